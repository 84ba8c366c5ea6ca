//! A process that is restricted to one directory.
//!
//! The directory becomes the current one, and paths are resolved so that they end in it ([`confined`]). That is the
//! rule; Landlock (landlock(7)) is the second line behind it, on kernels that have it: should a path ever get round the
//! rule, the kernel does not open it. It holds for the calling thread and for all that are started by it later on, so
//! this comes before there are others.
//!
//! [`confined`]: crate::fs::confined

use crate::fs::confined::Beneath;
use crate::fs::{Error, Links, Root};
use std::os::fd::AsFd as _;

/// What keeps a process in its directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// The kernel, too.
    ByKernel,
    /// The rule alone: the kernel cannot, or only in a way in which no run can work.
    ByRule,
}

/// Restricts this process to a directory for good: in it, it may write only if that is said. The links that are
/// returned are those that paths go through from now on. A kernel that cannot keep it there is done without.
///
/// # Errors
/// The directory cannot be made the current one, or the kernel begins to keep the process in it and fails.
pub fn keep_below(root: &Root, writes: bool) -> Result<Links, Error> {
    const RESTRICTING: &str = "restricting this process to";
    rustix::process::fchdir(root.dir().as_fd()).map_err(Error::when(RESTRICTING))?;
    kernel::keep(root.dir().as_fd(), writes).map_err(Error::when(RESTRICTING))?;
    Ok(Links::Beneath(Beneath::new(root.dir().identity()?)))
}

#[cfg(target_os = "linux")]
mod kernel {
    use super::Kept;
    use landlock::{
        ABI, Access, AccessFs, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr as _,
        RulesetCreatedAttr as _, RulesetError, RulesetStatus,
    };
    use rustix::fs::{CWD, FileType, Mode, OFlags};
    use std::io;
    use std::os::fd::{BorrowedFd, OwnedFd};

    /// The newest version of which every right is known here.
    const VERSION: ABI = ABI::V5;

    /// What a process reads of the system besides: how users and groups are called, by whatever service tells it, who
    /// this machine is, and what the system says about the process itself, as how many processors it may use.
    const READ: [&str; 20] = [
        "/etc/passwd",
        "/etc/group",
        "/etc/nsswitch.conf",
        "/etc/machine-id",
        "/etc/localtime",
        "/etc/ld.so.cache",
        "/etc/sssd",
        "/lib",
        "/lib32",
        "/lib64",
        "/usr/lib",
        "/usr/lib32",
        "/usr/lib64",
        "/usr/share/zoneinfo",
        "/run/systemd/userdb",
        "/var/lib/extrausers",
        "/var/lib/sss",
        "/proc/self",
        "/proc/sys/kernel/random",
        "/sys/fs/cgroup",
    ];

    pub(super) fn keep(top: BorrowedFd<'_>, writes: bool) -> io::Result<Kept> {
        restrict(top, writes).map_err(|error| io::Error::other(format!("landlock: {error}")))
    }

    fn restrict(top: BorrowedFd<'_>, writes: bool) -> Result<Kept, RulesetError> {
        // The first version does not let anything be moved from one directory to another, which runs do.
        let strict = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
        let Ok(ruleset) = strict.handle_access(AccessFs::Refer) else { return Ok(Kept::ByRule) };
        let ruleset = ruleset.set_compatibility(CompatLevel::BestEffort);
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let all = AccessFs::from_all(VERSION);
        let rights = if writes { all & !AccessFs::Execute } else { read };
        let mut rules = ruleset.handle_access(all)?.create()?.add_rule(PathBeneath::new(top, rights))?;
        for (file, is_dir) in READ.iter().filter_map(|path| open(path)) {
            let rights = if is_dir { read } else { AccessFs::ReadFile.into() };
            rules = rules.add_rule(PathBeneath::new(file, rights))?;
        }
        Ok(match rules.restrict_self()?.ruleset {
            RulesetStatus::NotEnforced => Kept::ByRule,
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Kept::ByKernel,
        })
    }

    /// What is there on this system, and whether it is a directory.
    fn open(path: &str) -> Option<(OwnedFd, bool)> {
        let file = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mode = rustix::fs::fstat(&file).ok()?.st_mode;
        Some((file, FileType::from_raw_mode(mode) == FileType::Directory))
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::Kept;
    use std::io;
    use std::os::fd::BorrowedFd;

    pub(super) fn keep(_top: BorrowedFd<'_>, _writes: bool) -> io::Result<Kept> {
        Ok(Kept::ByRule)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::fs::tests::temporary;
    use crate::testing::missing;
    use std::fs;
    use std::io::{ErrorKind, Result};
    use std::path::Path;
    use std::thread;

    /// Does something in a thread that was started by one that is kept below `top`, which leaves all others as they
    /// are. `None`, after having said so, where the kernel keeps nobody.
    fn kept<T: Send>(top: &Path, writes: bool, act: impl Fn(&Path) -> T + Send + Sync) -> Option<T> {
        let root = Root::open(top.as_os_str(), Links::Trusted).unwrap();
        let result = thread::scope(|scope| {
            let keeping = scope.spawn(|| match kernel::keep(root.dir().as_fd(), writes).unwrap() {
                Kept::ByKernel => Some(thread::scope(|scope| scope.spawn(|| act(top)).join().unwrap())),
                Kept::ByRule => None,
            });
            keeping.join().unwrap()
        });
        if result.is_none() {
            missing("a kernel with Landlock");
        }
        result
    }

    fn is_refused<T>(result: Result<T>) -> bool {
        matches!(result, Err(error) if error.kind() == ErrorKind::PermissionDenied)
    }

    #[test]
    fn a_thread_that_is_started_later_reaches_nothing_else() {
        let (top, outside) = (temporary(), temporary());
        fs::write(top.path().join("file"), "inside").unwrap();
        fs::create_dir(top.path().join("dir")).unwrap();
        fs::write(outside.path().join("file"), "outside").unwrap();
        std::os::unix::fs::symlink(outside.path(), top.path().join("link")).unwrap();
        let act = |top: &Path| {
            assert!(is_refused(fs::read(outside.path().join("file"))));
            assert!(is_refused(fs::read(top.join("link/file"))));
            assert!(is_refused(fs::read_dir(outside.path())));
            assert!(is_refused(fs::write(outside.path().join("new"), "")));
            assert!(is_refused(fs::write(outside.path().join("file"), "changed")));
            assert!(is_refused(fs::remove_file(outside.path().join("file"))));
            assert!(fs::rename(top.join("file"), outside.path().join("moved")).is_err());
            assert!(fs::hard_link(top.join("file"), outside.path().join("linked")).is_err());
            assert_eq!(fs::read(top.join("file")).unwrap(), b"inside");
            fs::write(top.join("dir/new"), "new").unwrap();
            fs::rename(top.join("dir/new"), top.join("moved")).unwrap();
            fs::hard_link(top.join("moved"), top.join("dir/linked")).unwrap();
            fs::remove_file(top.join("moved")).unwrap();
            // What the host knows about users and about itself is known still.
            assert!(fs::read("/etc/passwd").is_ok());
            assert!(fs::read_to_string("/proc/self/status").is_ok());
            assert!(is_refused(fs::read("/etc/hostname")) || !Path::new("/etc/hostname").exists());
        };
        if kept(top.path(), true, act).is_some() {
            assert_eq!(fs::read(outside.path().join("file")).unwrap(), b"outside", "others are as before");
            assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn nothing_is_written_where_only_reading_is_left() {
        let top = temporary();
        fs::write(top.path().join("file"), "inside").unwrap();
        kept(top.path(), false, |top| {
            assert_eq!(fs::read(top.join("file")).unwrap(), b"inside");
            assert!(fs::read_dir(top).is_ok());
            assert!(is_refused(fs::write(top.join("new"), "")));
            assert!(is_refused(fs::write(top.join("file"), "")));
            assert!(is_refused(fs::create_dir(top.join("dir"))));
            assert!(is_refused(fs::remove_file(top.join("file"))));
            assert!(is_refused(fs::rename(top.join("file"), top.join("other"))));
        });
    }
}
