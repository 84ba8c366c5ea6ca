//! What `/proc` tells about processes: who is whose child, CPU time used, peak of resident memory.
//!
//! See proc_pid_stat(5) and proc_pid_status(5). A process may be gone at any moment; then there is nothing to tell.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::failure::{Doing, Failure};

/// Every process with its parent, at one moment.
pub(crate) struct Family(Vec<(u32, u32)>);

impl Family {
    /// Looks at all processes.
    pub(crate) fn now() -> Self {
        let Ok(entries) = fs::read_dir("/proc") else { return Self(Vec::new()) };
        let with_parent = |entry: fs::DirEntry| {
            let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
            let parent = stat_fields(&pid.to_string()).ok()?.first().copied()?;
            Some((pid, u32::try_from(parent).ok()?))
        };
        Self(entries.flatten().filter_map(with_parent).collect())
    }

    /// The process `root` and all that descend from it.
    pub(crate) fn of(&self, root: u32) -> HashSet<u32> {
        let mut found = HashSet::from([root]);
        loop {
            let before = found.len();
            let children: Vec<u32> =
                self.0.iter().filter(|(_, parent)| found.contains(parent)).map(|(pid, _)| *pid).collect();
            found.extend(children);
            if found.len() == before {
                return found;
            }
        }
    }
}

/// CPU time, user and system, of the children of a process that it has waited for, and of theirs.
pub(crate) fn waited_cpu(process: &str) -> Result<Duration, Failure> {
    let fields = stat_fields(process)?;
    // cutime and cstime are fields 16 and 17 of the line; the first of `fields` is number 4.
    let ticks: u64 = fields.iter().skip(12).take(2).filter_map(|&ticks| u64::try_from(ticks).ok()).sum();
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// The numbers of `/proc/PROCESS/stat` from the parent's id (field 4) on. The command's name before them is in
/// parentheses and may itself hold blanks and parentheses.
fn stat_fields(process: &str) -> Result<Vec<i64>, Failure> {
    let path = format!("/proc/{process}/stat");
    let line = fs::read_to_string(&path).doing(|| format!("Reading {path}"))?;
    let after_name = line.rsplit(')').next().unwrap_or_default();
    // Fields such as the limit of resident memory exceed i64; they are none of those used here.
    Ok(after_name.split_ascii_whitespace().skip(1).map(|field| field.parse().unwrap_or(i64::MAX)).collect())
}

/// The program a process runs.
pub(crate) fn program(pid: u32) -> Option<PathBuf> {
    fs::read_link(Path::new("/proc").join(pid.to_string()).join("exe")).ok()
}

/// The most memory a process has had resident so far, in bytes.
pub(crate) fn peak_resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kib.trim().trim_end_matches("kB").trim_end().parse::<u64>().ok()? * 1024)
}
