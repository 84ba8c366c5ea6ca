//! Staging: a new version of a file is written beside the old one and renamed over it when it is whole.
//!
//! The staged file of a target is `.dsync-<24 hex>.part` in the target's directory: a fixed length that fits wherever
//! the target fits, and the same in every run, so that what a killed run left is found again. The first 16 digits are
//! XXH3-64 (seed 0) of the target's name, the other 8 a check of those 16, so that the name alone shows who made the
//! file, also where nobody knows its target any more: names that somebody else gave are ordinary names.
//!
//! A writer holds an exclusive flock(2) on its staged file for as long as it lives. What is under such a name is
//! cleared only if it can be nobody's work in progress: the running user's (or anybody's, for root, which hands files
//! to their owners before it renames them), with one link and, being a file, not locked (or, with several, the name of
//! a link in the making: see `link`). On a file system that has no
//! locks every such file counts as left behind. A small file that is there whole is staged
//! without a lock, under a number instead of its target's and with the complement of the check, or without any name:
//! see `whole`.
//!
//! Where a run has a directory for what is not finished ([`Writing::temp`](crate::fs::Writing)), files are staged
//! there, under numbers too, and nobody goes on with what is left of them. If that is another file system, from where
//! no file is renamed, a whole one is copied beside its target before it gets its attributes, so that the name holds
//! the old or the new all the same.

use crate::fs::file::{self, ReadFile, WriteFile};
use crate::fs::{
    Devices, Dir, Error, Expected, Keeping, Replaced, SetMeta, Slot, Stamp, WriteDir, kernel, status, whole,
};
use crate::tree::{Entry, Kind, Name};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use xxhash_rust::xxh3::xxh3_64;

const PREFIX: &[u8] = b".dsync-";

/// The directory in which a replica keeps its history.
pub(super) const HOME: &[u8] = b".dsync";
const SUFFIX: &[u8] = b".part";
const TARGET_DIGITS: usize = 16;

/// How much of a file that was staged elsewhere is copied before the next look at whether to go on, in bytes.
const COPIED_AT_ONCE: u64 = 64 << 20;

/// How often two runs may take the same staged name from each other before one gives up.
const ATTEMPTS: usize = 16;

pub(super) const STAGING: &str = "creating temporary file for";

pub(super) const INSTALLING: &str = "renaming into place";

/// The name under which new versions of the file `target` are written.
pub fn stage_name(target: &Name) -> Name {
    name_with(target, xxh3_64(target.as_bytes()), Purpose::Target)
}

/// The passing staged name with this number, for `target`.
pub(super) fn name_for(target: &Name, number: u64) -> Name {
    name_with(target, number, Purpose::Passing)
}

/// What a staged name is for, which its check tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// New versions of one target: what is left of one, another run may go on with.
    Target,
    /// A file in the moment before it has its name: what is left of it is of no use to anybody.
    Passing,
}

fn name_with(target: &Name, number: u64, purpose: Purpose) -> Name {
    let digits = format!("{number:016x}");
    let check = check(digits.as_bytes(), purpose);
    let bytes = [PREFIX, digits.as_bytes(), check.as_bytes(), SUFFIX].concat();
    // Cannot fail, as the bytes are made above; the target's own name would be refused by the exclusive creation.
    Name::new(bytes).unwrap_or_else(|_| target.clone())
}

fn check(digits: &[u8], purpose: Purpose) -> String {
    let check = (xxh3_64(digits) >> 32) as u32;
    format!("{:08x}", if purpose == Purpose::Passing { !check } else { check })
}

/// What a staged name is for; `None` if it is none. One in 2^31 other names of that form passes for one.
fn purpose(name: &Name) -> Option<Purpose> {
    let digits = name.as_bytes().strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (digits, found) = digits.split_at_checked(TARGET_DIGITS)?;
    let is_hex = digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let of = |purpose: &Purpose| is_hex && found == check(digits, *purpose).as_bytes();
    [Purpose::Target, Purpose::Passing].into_iter().find(of)
}

/// Whether a name is one under which dsync stages files.
pub fn is_stage_name(name: &Name) -> bool {
    purpose(name).is_some()
}

/// Whether it is one under which no run goes on with what another left.
pub fn is_passing(name: &Name) -> bool {
    purpose(name) == Some(Purpose::Passing)
}

/// Whether an entry belongs to dsync itself, so that no run lists, copies or deletes it: a staged file, and `.dsync`,
/// the directory in which a replica keeps its history.
pub fn is_reserved(entry: &Entry) -> bool {
    match entry.kind() {
        Kind::File => is_stage_name(&entry.name),
        Kind::Directory => is_home(&entry.name),
        _ => false,
    }
}

/// Whether a directory of this name is the one in which a replica keeps its history.
pub fn is_home(name: &Name) -> bool {
    name.as_bytes() == HOME
}

/// A new version of a file in the making. Dropping it removes it; [`Stage::install`] gives it its name.
#[derive(Debug)]
pub struct Stage {
    file: WriteFile,
    dir: WriteDir,
    target: Name,
    /// Where it is, if not in `dir`.
    elsewhere: Option<Dir>,
    staged: Name,
    leftover: Option<ReadFile>,
    installed: bool,
}

/// Begins a new version of `target`.
pub(super) fn begin(dir: &WriteDir, target: &Name) -> Result<Stage, Error> {
    match &dir.writing().temp {
        None => begin_beside(dir, target),
        Some(temp) => begin_in(temp, dir, target),
    }
}

/// What staged files are created with.
const CREATE: OFlags = OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL).union(file::PLAIN);

/// Begins it in a directory for what is not finished.
fn begin_in(temp: &Dir, dir: &WriteDir, target: &Name) -> Result<Stage, Error> {
    for _ in 0..ATTEMPTS {
        let staged = name_for(target, whole::next_number());
        match rustix::fs::openat(temp, staged.as_bytes(), CREATE, Mode::RUSR | Mode::WUSR) {
            Ok(handle) if is_ours(&handle).map_err(Error::when(STAGING))? => {
                let file = WriteFile::new(handle, 0, dir);
                let (dir, target, elsewhere) = (dir.clone(), target.clone(), Some(temp.clone()));
                return Ok(Stage { file, dir, target, elsewhere, staged, leftover: None, installed: false });
            }
            Ok(_) | Err(Errno::EXIST) => {}
            Err(error) => return Err(Error::when(STAGING)(error)),
        }
    }
    Err(busy())
}

/// Begins it beside its target.
fn begin_beside(dir: &WriteDir, target: &Name) -> Result<Stage, Error> {
    let staged = stage_name(target);
    let mut leftover = None;
    for _ in 0..ATTEMPTS {
        match rustix::fs::openat(dir, staged.as_bytes(), CREATE, Mode::RUSR | Mode::WUSR) {
            Ok(handle) if is_ours(&handle).map_err(Error::when(STAGING))? => {
                let file = WriteFile::new(handle, 0, dir);
                let (dir, target) = (dir.clone(), target.clone());
                return Ok(Stage { file, dir, target, elsewhere: None, staged, leftover, installed: false });
            }
            Ok(_) => {}
            Err(Errno::EXIST) => {
                if let Some(Leftover::File(found)) = take_leftover(dir.as_fd(), &staged)? {
                    leftover = Some(found);
                }
            }
            Err(error) => return Err(Error::when(STAGING)(error)),
        }
    }
    Err(busy())
}

/// Locks a file just created. `false` if another run took it for a leftover before the lock was there: that run
/// then holds the lock, or has removed the file already.
fn is_ours(handle: &OwnedFd) -> rustix::io::Result<bool> {
    match lock(handle)? {
        Lock::Held | Lock::Unsupported => Ok(rustix::fs::fstat(handle)?.st_nlink > 0),
        Lock::Busy => Ok(false),
    }
}

/// The answer to a request for a lock that dies with its process.
pub(super) enum Lock {
    Held,
    Busy,
    Unsupported,
}

/// Asks for an exclusive flock(2).
pub(super) fn lock(handle: impl AsFd) -> rustix::io::Result<Lock> {
    ask(handle, FlockOperation::NonBlockingLockExclusive)
}

/// Asks for one that others may have at the same time, as long as nobody has an exclusive one.
pub(super) fn lock_shared(handle: impl AsFd) -> rustix::io::Result<Lock> {
    ask(handle, FlockOperation::NonBlockingLockShared)
}

fn ask(handle: impl AsFd, operation: FlockOperation) -> rustix::io::Result<Lock> {
    match rustix::fs::flock(handle, operation) {
        Ok(()) => Ok(Lock::Held),
        Err(Errno::WOULDBLOCK) => Ok(Lock::Busy),
        // NFS without a lock server, some FUSE file systems; NFS also refuses exclusive locks on read-only handles.
        Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::BADF) => {
            Ok(Lock::Unsupported)
        }
        Err(error) => Err(error),
    }
}

/// What a killed run left, now without a name.
pub(super) enum Leftover {
    /// Part of a new version, which may serve as a basis.
    File(ReadFile),
    /// Nothing of use.
    Other,
}

/// Removes what a killed run left under `staged`. `None` if there is nothing; an error if a living run writes there
/// or if what has the name is not of dsync's making.
pub(super) fn take_leftover(dir: BorrowedFd<'_>, staged: &Name) -> Result<Option<Leftover>, Error> {
    for _ in 0..ATTEMPTS {
        let stat = match rustix::fs::statat(dir, staged.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat.map_err(Error::when(STAGING))?,
        };
        let kind = status::kind(&stat);
        let euid = rustix::process::geteuid();
        let own = stat.st_uid == euid.as_raw();
        if stat.st_nlink == 0 {
            // Its writer installed it, and the next one replaced it, between the finding of the name and the look.
            continue;
        }
        // Of a file with several names that of a link in the making is one, and the file itself stays.
        let linked = stat.st_nlink > 1;
        let is_link = linked && is_passing(staged);
        if kind == Some(Kind::Directory) || (linked && !is_link) || !(own || euid.is_root()) {
            return Err(Error::refused(
                STAGING,
                io::ErrorKind::AlreadyExists,
                format!("\"{staged}\" is in the way and not left by dsync"),
            ));
        }
        let leftover = match kind {
            Some(Kind::File) if !is_link => match open_unlocked(dir, staged, &stat)? {
                Some(file) if own => Leftover::File(file),
                Some(_) => Leftover::Other,
                None => continue,
            },
            _ => Leftover::Other,
        };
        match rustix::fs::unlinkat(dir, staged.as_bytes(), AtFlags::empty()) {
            Err(Errno::NOENT) => {}
            done => return done.map(|()| Some(leftover)).map_err(Error::when(STAGING)),
        }
    }
    Err(busy())
}

/// Opens and locks a staged file that was seen with these attributes. `None` if the name is another file's by then.
fn open_unlocked(dir: BorrowedFd<'_>, staged: &Name, seen: &Stat) -> Result<Option<ReadFile>, Error> {
    let open = |access| rustix::fs::openat(dir, staged.as_bytes(), access | file::PLAIN, Mode::empty());
    // Where locks are emulated an exclusive one asks for a writable handle.
    let opened = match open(OFlags::RDWR) {
        Err(Errno::ACCESS) => open(OFlags::RDONLY),
        done => done,
    };
    let handle = match opened {
        Err(Errno::NOENT) => return Ok(None),
        handle => handle.map_err(Error::when(STAGING))?,
    };
    if let Lock::Busy = lock(&handle).map_err(Error::when(STAGING))? {
        return Err(busy());
    }
    // Its writer may have renamed it, and another begun a new one, since it was seen: only what still has the name
    // while the lock is held can be removed by that name.
    let now = match rustix::fs::statat(dir, staged.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(None),
        now => now.map_err(Error::when(STAGING))?,
    };
    let file = ReadFile::new(handle, Keeping::Inodes, Devices::Entries)?;
    let same = |stat: &Stat| status::identity(stat) == (file.stamp().dev, file.stamp().ino);
    Ok((same(seen) && same(&now)).then_some(file))
}

fn busy() -> Error {
    Error::refused("writing", io::ErrorKind::WouldBlock, "another dsync is writing this file")
}

impl Stage {
    /// What a killed run left of this same file, to serve as a basis. It has no name any more.
    pub fn leftover(&mut self) -> Option<ReadFile> {
        self.leftover.take()
    }

    /// Sets the attributes and gives the file a name, in any directory of the same file system, that must be free.
    /// Returns its stamp; `None` if the name is taken, and then the staged file is gone.
    pub fn install_if_free(mut self, meta: &SetMeta, at: Slot<'_>) -> Result<Option<Stamp>, Error> {
        self.file.finish(meta)?;
        let installed = self.slot().move_to(at)?;
        self.installed = installed.is_some();
        Ok(installed)
    }

    /// Sets the attributes and puts the file in the place of what is expected to be there, which goes into `trash`.
    /// `None` if something else is there, and then that stays and the staged file is gone.
    pub fn install_instead(
        mut self,
        meta: &SetMeta,
        at: Slot<'_>,
        expected: &Expected,
        trash: &WriteDir,
    ) -> Result<Option<Replaced>, Error> {
        self.file.finish(meta)?;
        let replaced = self.slot().replace(at, expected, trash)?;
        self.installed = replaced.is_some();
        Ok(replaced)
    }

    /// Leaves it as a killed run would leave it, for another to go on with; removes it where none would.
    pub fn leave(mut self) {
        self.installed = self.elsewhere.is_none();
    }

    fn slot(&self) -> Slot<'_> {
        Slot { dir: &self.dir, name: &self.staged }
    }

    /// Sets the attributes and renames the file over its target in one step, which must not be a directory. After an
    /// error the target is as it was.
    pub fn install(self, meta: &SetMeta) -> Result<(), Error> {
        let (dir, target) = (self.dir.clone(), self.target.clone());
        self.install_as(meta, Slot { dir: &dir, name: &target })
    }

    /// The same under another name, or in another directory.
    pub fn install_as(mut self, meta: &SetMeta, at: Slot<'_>) -> Result<(), Error> {
        self.file.finish(meta)?;
        rustix::fs::renameat(self.home(), self.staged.as_bytes(), at.dir, at.name.as_bytes())
            .map_err(Error::when(INSTALLING))?;
        self.installed = true;
        Ok(())
    }

    /// The same content where it can be renamed to its target: a copy beside that, if it is staged on another file
    /// system. Only the content is copied. Fails when `go_on` says that nobody waits for it any more.
    pub fn brought_home(self, go_on: impl Fn() -> bool) -> Result<Stage, Error> {
        const COPYING: &str = "copying the staged file to";
        let Some(elsewhere) = &self.elsewhere else { return Ok(self) };
        if kernel::same_mount(elsewhere.as_fd(), self.dir.as_fd()).map_err(Error::when(COPYING))? {
            return Ok(self);
        }
        let near = begin_beside(&self.dir, &self.target)?;
        let mut at = 0;
        loop {
            let copied = near.file.copy_from(&self.file, at, COPIED_AT_ONCE, at, 1)?;
            at = at.saturating_add(copied);
            if copied < COPIED_AT_ONCE {
                return Ok(near);
            }
            if !go_on() {
                return Err(Error::refused(COPYING, io::ErrorKind::Interrupted, "the run was stopped"));
            }
        }
    }

    /// The directory it is in.
    fn home(&self) -> BorrowedFd<'_> {
        self.elsewhere.as_ref().map_or(self.dir.as_fd(), |dir| dir.as_fd())
    }
}

impl Deref for Stage {
    type Target = WriteFile;
    fn deref(&self) -> &WriteFile {
        &self.file
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if !self.installed {
            // A failure leaves what a killed run would leave, for the next run to clear.
            let _ = rustix::fs::unlinkat(self.home(), self.staged.as_bytes(), AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(bytes: &[u8]) -> Name {
        Name::new(bytes).unwrap()
    }

    #[test]
    fn staged_names_are_stable_and_recognised() {
        assert_eq!(stage_name(&name(b"photo.raw")).to_string(), ".dsync-a55e7b63f8e5f075605c594c.part");
        for target in [&b"a"[..], b"\xff\xfe", &[b'x'; 255]] {
            assert!(is_stage_name(&stage_name(&name(target))));
        }
    }

    #[test]
    fn passing_names_are_told_apart() {
        let (target, passing) = (name(b"a"), name_for(&name(b"a"), 7));
        assert!(is_stage_name(&passing) && is_passing(&passing));
        assert!(is_stage_name(&stage_name(&target)) && !is_passing(&stage_name(&target)));
    }

    #[test]
    fn names_that_only_look_alike_are_not_staged() {
        for other in [
            &b".dsync-a55e7b63f8e5f075605c594c"[..],
            b".dsync-A55E7B63F8E5F075605c594c.part",
            b".dsync-a55e7b63f8e5f07605c594c.part",
            b".dsync-a55e7b63f8e5f0750605c594c.part",
            b".dsync-a55e7b63f8e5f076605c594c.part",
            b".dsync-a55e7b63f8e5f075.part",
            b"dsync-a55e7b63f8e5f075605c594c.part",
            b".dsync-a55e7b63f8e5f075605c594c.partial",
            b".dsync-.part",
        ] {
            assert!(!is_stage_name(&name(other)), "{other:?}");
        }
    }
}
