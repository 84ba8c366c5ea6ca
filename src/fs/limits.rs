//! What the process may do: the umask, and how many files it may have open.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit};
use std::sync::OnceLock;

/// Enough for every window of a run, and small enough for programs that close all that could be open.
const OPEN_FILES: u64 = 65_536;

/// The permission bits that new files do not get.
///
/// Linux tells it in `/proc/self/status` (since 4.7). Elsewhere it can only be read by setting it: that happens in the
/// first call, so the first call comes before any thread creates files; for that moment it is the strictest one.
pub fn umask() -> u32 {
    static UMASK: OnceLock<u32> = OnceLock::new();
    *UMASK.get_or_init(|| {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        told(&status).unwrap_or_else(asked)
    })
}

/// The umask that a process's status tells.
fn told(status: &str) -> Option<u32> {
    let digits = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(digits.trim(), 8).ok().filter(|mask| *mask <= 0o777)
}

/// The umask by setting one and putting back the old.
#[allow(clippy::unnecessary_cast, reason = "the width of a mode differs by platform")]
fn asked() -> u32 {
    let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    rustix::process::umask(mask);
    mask.as_raw_mode() as u32
}

/// Raises the limit of open files as far as the system lets a user, and returns what it is then.
pub fn raise_file_limit() -> u64 {
    let Rlimit { current, maximum } = rustix::process::getrlimit(Resource::Nofile);
    let (current, maximum) = (current.unwrap_or(u64::MAX), maximum.unwrap_or(u64::MAX));
    let wanted = maximum.min(OPEN_FILES);
    if current >= wanted {
        return current;
    }
    let raised = Rlimit { current: Some(wanted), maximum: (maximum != u64::MAX).then_some(maximum) };
    match rustix::process::setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(_) => current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_to_the_umask_agree() {
        assert_eq!(umask(), asked());
    }

    #[test]
    fn a_status_is_read_with_care() {
        assert_eq!(told("Name:\tx\nUmask:\t0027\nState:\tR\n"), Some(0o27));
        for other in ["", "Umask:", "Umask:\t9", "Umask:\t7777777", "Mask: 022"] {
            assert_eq!(told(other), None, "{other}");
        }
    }

    #[test]
    fn the_file_limit_only_rises() {
        let before = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let raised = raise_file_limit();
        assert!(raised >= before);
        assert_eq!(raise_file_limit(), raised);
    }
}
