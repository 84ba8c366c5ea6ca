//! The `ssh` program in the place of the built-in client, for what that one does not do.
//!
//! It reads the same configuration, so the same host is reached. It never stands in where the built-in client found
//! something wrong with a host's key: whoever is not to be trusted is not to be asked again in another way.

use std::ffi::OsString;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::transport::command::RemoteCommand;
use crate::transport::ssh::Options;
use crate::transport::target::Host;
use crate::transport::{Connection, Error, IpFamily, child};

/// How long it may take to ask whether there is a connection, of a process on this machine.
const CHECKED: Duration = Duration::from_secs(5);

/// Why the `ssh` program may succeed where the built-in client did not reach the host, or was not let in without a
/// question, as a clause: a connection of its that is open and shared.
pub(super) fn shared_connection(host: &Host, options: &Options, error: &Error) -> Option<String> {
    if !error.leaves_room_for_another() {
        return None;
    }
    let words = words(options);
    let (program, arguments) = words.split_first()?;
    let mut command = Command::new(program);
    command.args(arguments).args(["-O", "check"]).args(options.family.map(IpFamily::flag));
    if let Some(user) = &host.user {
        command.arg("-l").arg(user);
    }
    if let Some(port) = host.port {
        command.arg("-p").arg(port.to_string());
    }
    command.arg("--").arg(&host.name).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let is_there = succeeds_within(command.spawn().ok()?, CHECKED);
    is_there.then(|| "it has a connection that is open and shared (ControlPath)".to_owned())
}

/// Whether a program ends well within this time. If it does not end, it is ended: a process that keeps a connection may
/// be stopped, and answers nobody.
fn succeeds_within(mut child: Child, limit: Duration) -> bool {
    let until = Instant::now() + limit;
    while Instant::now() < until {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    false
}

/// Runs `command` on `host` through the `ssh` program.
pub(super) fn connect(host: &Host, command: &[u8], options: &Options) -> Result<Connection, Error> {
    child::connect(&words(options), host, &RemoteCommand::whole(command), options.family)
}

/// The program and its arguments, but for the host.
fn words(options: &Options) -> Vec<OsString> {
    // No terminal and no command other than ours, whatever the configuration says: the streams are the protocol's.
    let mut shell: Vec<OsString> = vec![options.environment.ssh_program.clone(), "-T".into()];
    shell.extend(["-o".into(), "RemoteCommand=none".into()]);
    if options.tell_steps {
        shell.push("-v".into());
    }
    if let Some(file) = &options.config_file {
        shell.extend(["-F".into(), file.clone().into_os_string()]);
    }
    if let Some(limit) = options.connect_timeout {
        shell.extend(["-o".into(), format!("ConnectTimeout={}", limit.as_secs().max(1)).into()]);
    }
    shell
}
