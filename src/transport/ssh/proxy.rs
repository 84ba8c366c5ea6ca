//! `ProxyCommand`: a program whose standard streams lead to the server.
//!
//! As with `ssh`, the user's own shell runs it, and it has our standard error to complain on. Names that could mean
//! anything to that shell were refused where they were read.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::net::unix::pipe::{Receiver, Sender};

use crate::transport::Error;
use crate::transport::ssh::settings::Settings;
use crate::transport::ssh::stream::{Stream, Way};
use crate::transport::ssh::telling::Telling;

/// How long a program that lost its streams may take to end before it is killed.
const GRACE: Duration = Duration::from_millis(200);

/// A proxy command that runs. Dropping it ends it.
pub(super) struct Proxy {
    child: Child,
    command: String,
}

/// Starts `command` for the host of `settings`, run by `shell`. Called within the runtime.
pub(super) fn start(
    command: &str,
    settings: &Settings,
    shell: &Path,
    telling: &Telling,
) -> Result<Stream, Error> {
    let command = expanded(command, settings).ok_or_else(|| Error::Directive {
        host: settings.original.clone(),
        directive: "ProxyCommand",
        value: command.to_owned(),
    })?;
    telling.step(|| format!("running the proxy command {command:?}"));
    let fail = |source: io::Error| Error::Proxy {
        host: settings.hostname.clone(),
        command: command.clone(),
        ended: format!("could not be started by {} ({source})", shell.display()),
    };
    let (child_input, input) = io::pipe().map_err(fail)?;
    let (output, child_output) = io::pipe().map_err(fail)?;
    // In the place of the shell, so that ending it ends the program.
    let line = format!("exec {command}");
    let mut shell_command = Command::new(shell);
    shell_command.arg("-c").arg(line).stdin(Stdio::from(child_input)).stdout(Stdio::from(child_output));
    let child = shell_command.spawn().map_err(fail)?;
    // It holds our copies of the child's ends.
    drop(shell_command);
    let reading = Receiver::from_owned_fd(output.into()).map_err(fail)?;
    let writing = Sender::from_owned_fd(input.into()).map_err(fail)?;
    let way = Way::Proxy(Proxy { child, command });
    Ok(Stream { reading: Box::new(reading), writing: Box::new(writing), way })
}

/// Replaces the tokens that a proxy command may hold; `None` where there is another.
fn expanded(command: &str, settings: &Settings) -> Option<String> {
    let mut text = String::with_capacity(command.len());
    let mut rest = command.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            text.push(c);
            continue;
        }
        match rest.next()? {
            '%' => text.push('%'),
            'h' => text.push_str(&settings.hostname),
            'n' => text.push_str(&settings.original),
            'p' => text.push_str(&settings.port.to_string()),
            'r' => text.push_str(&settings.user),
            'k' => text.push_str(&settings.key_name()),
            _ => return None,
        }
    }
    Some(text)
}

impl Proxy {
    /// What was run, with its tokens replaced.
    pub(super) fn command(&self) -> &str {
        &self.command
    }

    /// How it ended, if it has or is about to.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.wait(GRACE)?;
        Some(match status.code() {
            Some(code) => format!("ended with exit code {code}"),
            None => "was ended by a signal".to_owned(),
        })
    }

    fn wait(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().ok()? {
                return Some(status);
            }
            let left = limit.checked_sub(start.elapsed())?;
            std::thread::sleep(left.min(Duration::from_millis(5)));
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        // What a terminal that is gone would send, as OpenSSH does it.
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = pid.map(|pid| kill_process(pid, Signal::HUP));
        if self.wait(GRACE).is_none() {
            let _ = self.child.kill();
            let _ = self.wait(GRACE);
        }
    }
}
