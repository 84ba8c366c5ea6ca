//! Finds out what `ssh_config` says about a host.
//!
//! The answer is asked of `ssh -G`, the one program that reads the format fully (`Match`, `Include`,
//! canonicalisation, tokens). Where OpenSSH's client is not installed there usually is no configuration either and
//! its defaults hold; if there is one after all, it is refused rather than half understood.

use std::cell::OnceCell;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::transport::ssh::Options;
use crate::transport::ssh::algorithms;
use crate::transport::ssh::server_text::visible;
use crate::transport::ssh::settings::{Route, Settings};
use crate::transport::ssh::telling::Telling;
use crate::transport::target::Host;
use crate::transport::{Error, IpFamily, Notice};

/// The value of `-F` that stands for no file.
const NO_FILE: &str = "none";

/// The most hosts on the way to one, itself included.
const MAX_HOPS: usize = 16;

/// Returns the settings for every host on the way to `host`, in the order in which they are reached; `host` is last.
///
/// As with `ssh`, the host to jump through at last is reached through those named before it, and the first of them as
/// its own configuration says.
pub(super) fn way(host: &Host, options: &Options, telling: &Telling) -> Result<Vec<Settings>, Error> {
    let mut hops = vec![settings(host, &[], options, telling)?];
    let mut family_free = options.clone();
    family_free.family = None;
    while let Some(Route::Jump(hosts)) = hops.last().map(|hop| hop.route.clone()) {
        let Some((next, before)) = hosts.split_last() else { break };
        if hops.len() >= MAX_HOPS {
            return Err(Error::TooManyJumps { host: host.to_string(), limit: MAX_HOPS });
        }
        hops.push(settings(next, before, &family_free, telling)?);
    }
    hops.reverse();
    tell_skipped(host, &hops, options, telling);
    Ok(hops)
}

/// Tells which algorithms the configuration asks for that this client does not know, and goes on without.
fn tell_skipped(host: &Host, hops: &[Settings], options: &Options, telling: &Telling) {
    let without_file = Options { config_file: Some(NO_FILE.into()), ..options.clone() };
    let defaults = OnceCell::new();
    for hop in hops.iter().filter(|hop| hop.read_by_ssh) {
        // Where they cannot be asked for there is nothing to tell.
        let ask = || defaults.get_or_init(|| settings(host, &[], &without_file, telling).ok()).clone();
        if let Some(names) = algorithms::asked_in_vain(hop, ask) {
            telling.notice(Notice::AlgorithmsSkipped { host: hop.original.clone(), names });
        }
    }
}

/// Returns the settings for `host`, which is reached through `jumps` if there are any.
pub(super) fn settings(
    host: &Host,
    jumps: &[Host],
    options: &Options,
    telling: &Telling,
) -> Result<Settings, Error> {
    let environment = &options.environment;
    match ask_ssh(host, jumps, options, telling) {
        Ok(text) => Settings::from_resolved(&text, &host.name, environment),
        Err(Error::Spawn { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            match unread_config(options) {
                Some(file) => Err(Error::ConfigNeedsSsh { file }),
                None => Ok(without_config(host, options)),
            }
        }
        Err(error) => Err(error),
    }
}

fn ask_ssh(host: &Host, jumps: &[Host], options: &Options, telling: &Telling) -> Result<String, Error> {
    let program = &options.environment.ssh_program;
    let mut command = Command::new(program);
    command.arg("-G").stdin(Stdio::null());
    if let Some(file) = &options.config_file {
        command.arg("-F").arg(file);
    }
    if let Some(port) = host.port {
        command.arg("-p").arg(port.to_string());
    }
    if let Some(user) = &host.user {
        command.arg("-l").arg(user);
    }
    if !jumps.is_empty() {
        command.arg("-J").arg(jumps.iter().map(Host::to_string).collect::<Vec<_>>().join(","));
    }
    command.args(options.family.map(IpFamily::flag)).arg("--").arg(&host.name);
    telling.step(|| format!("asking {command:?} for the configuration"));
    let output = command
        .output()
        .map_err(|source| Error::Spawn { program: program.to_string_lossy().into_owned(), source })?;
    if !output.status.success() {
        let message = visible(String::from_utf8_lossy(&output.stderr).trim());
        return Err(Error::SshConfig { host: host.name.clone(), message });
    }
    String::from_utf8(output.stdout).map_err(|_| Error::SshConfig {
        host: host.name.clone(),
        message: "the configuration is not UTF-8".to_owned(),
    })
}

/// The file that would have been read, where there is one.
fn unread_config(options: &Options) -> Option<PathBuf> {
    match &options.config_file {
        Some(file) if file == Path::new(NO_FILE) => None,
        Some(file) => Some(file.clone()),
        None => {
            let user_file = options.environment.home.join(".ssh/config");
            let system_file = PathBuf::from("/etc/ssh/ssh_config");
            [user_file, system_file].into_iter().find(|file| file.exists())
        }
    }
}

fn without_config(host: &Host, options: &Options) -> Settings {
    let mut settings = Settings::defaults(&host.name, &options.environment);
    settings.port = host.port.unwrap_or(settings.port);
    settings.user = host.user.clone().unwrap_or(settings.user);
    settings.family = options.family.or(settings.family);
    settings
}
