//! The facts without which a table of times means nothing: machine, versions, date.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::failure::{Doing, Failure};
use crate::tool::Tool;

/// The `f_type` of tmpfs, see statfs(2).
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Where and when a comparison was run.
#[derive(Serialize, Deserialize)]
pub(crate) struct Machine {
    /// In UTC.
    pub(crate) date: String,
    /// Processor, cores, memory and kernel.
    pub(crate) host: String,
    /// What `rsync --version` begins with.
    pub(crate) rsync: String,
    pub(crate) dsync: String,
    pub(crate) ssh: String,
    /// The directory of the trees and its file system.
    pub(crate) trees: String,
}

impl Machine {
    /// Looks at this machine.
    pub(crate) fn here(directory: &Path, rsync: &Tool, dsync: &Tool) -> Result<Self, Failure> {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let memory =
            field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Ok(Self {
            date: printed(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M"])),
            host: format!(
                "{}, {cores} cores, {} GiB of memory, Linux {}",
                field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
                memory.unwrap_or(0) >> 20,
                kernel.trim()
            ),
            rsync: rsync.version()?,
            dsync: dsync.version()?,
            ssh: printed(Command::new("ssh").arg("-V")),
            trees: format!("{}, {}", directory.display(), file_system(directory)?),
        })
    }

    /// All of it in one line.
    pub(crate) fn line(&self) -> String {
        let Self { date, host, rsync, dsync, ssh, trees } = self;
        format!("{host}; {dsync}; {rsync}; {ssh}; trees in {trees}; {date} UTC")
    }
}

/// Fails if the file system of `directory` cannot hold the trees.
pub(crate) fn check_room(directory: &Path, (bytes, inodes): (u64, u64)) -> Result<(), Failure> {
    let found = rustix::fs::statfs(directory).doing(|| format!("Looking at {}", directory.display()))?;
    let free = found.f_bavail.saturating_mul(u64::try_from(found.f_bsize).unwrap_or(0));
    if free < bytes || found.f_ffree < inodes {
        return Err(Failure::new(format!(
            "{} has {} MB and {} inodes free, the cases need {} MB and {inodes} inodes",
            directory.display(),
            free / 1_000_000,
            found.f_ffree,
            bytes / 1_000_000
        )));
    }
    Ok(())
}

fn file_system(directory: &Path) -> Result<&'static str, Failure> {
    let found = rustix::fs::statfs(directory).doing(|| format!("Looking at {}", directory.display()))?;
    Ok(if found.f_type == TMPFS_MAGIC { "tmpfs" } else { "NOT a tmpfs: times include a disk's" })
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a command says on either stream, in one line; nothing if it cannot be run.
fn printed(command: &mut Command) -> String {
    let Ok(output) = command.output() else { return String::new() };
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).trim().to_owned()
}
