//! Setting owner, group, mode and times.
//!
//! Always on a handle of the very entry, never by a path and never through a symbolic link. An entry that cannot be
//! opened (no permission on it, or a kind whose opening has effects) is reached by a handle without access; only
//! systems that have no such handles set attributes by directory and name, still without following.

use crate::fs::{Dir, Error, Keeping, beneath, crash, fake, file, kernel, status};
use crate::tree::{Gid, Kind, Meta, Name, Uid};
use filetime::FileTime;
use rustix::fs::{AtFlags, Mode, OFlags, RawMode, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Which attributes to set; `None` leaves one as it is. They are set in the order of owner and group, mode, time,
/// because a change of owner clears setuid and setgid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SetMeta {
    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777. Symbolic links have none, and theirs is ignored.
    pub mode: Option<u32>,
    /// Owner, by this host's numbers.
    pub owner: Option<Uid>,
    /// Group, by this host's numbers.
    pub group: Option<Gid>,
    /// Time of last modification. The time of last access becomes now with it where none is given.
    pub mtime: Option<FileTime>,
    /// Time of last access.
    pub atime: Option<FileTime>,
}

impl SetMeta {
    /// Owner and group alone, and the rest.
    pub fn split_owner(&self) -> (SetMeta, SetMeta) {
        let owner = SetMeta { owner: self.owner, group: self.group, ..SetMeta::default() };
        (owner, SetMeta { owner: None, group: None, ..*self })
    }

    /// What is to be set of an entry that has these attributes; the time in any case.
    pub(super) fn lacking(&self, has: &Meta) -> SetMeta {
        let owner = self.owner.filter(|owner| *owner != has.uid);
        let group = self.group.filter(|group| *group != has.gid);
        let is_given_away = owner.is_some() || group.is_some();
        // Who gives a file away may find that it has lost the bits which run it as its owner.
        let may_lose = |mode: u32| is_given_away && mode & !0o777 != 0;
        let mode = self.mode.filter(|mode| *mode != has.mode || may_lose(*mode));
        SetMeta { mode, owner, group, ..*self }
    }

    /// Whether there is nothing to set.
    pub fn is_empty(&self) -> bool {
        *self == SetMeta::default()
    }
}

const OWNER: &str = "setting the owner of";
const MODE: &str = "setting permissions of";
const TIMES: &str = "setting times of";

/// Sets attributes of the entry `name` of `dir`, which must be of that kind.
pub(super) fn set_entry(dir: &Dir, name: &Name, kind: Kind, meta: &SetMeta) -> Result<(), Error> {
    const READING: &str = "reading attributes of";
    const SETTING: &str = "setting attributes of";
    if meta.is_empty() {
        return Ok(());
    }
    match dir.keeping().handle(dir.as_fd(), name, kind) {
        Some(handle) => {
            let handle = handle.map_err(Error::when("opening"))?;
            check_kind(handle.as_fd(), dir, kind, SETTING)?;
            set(handle.as_fd(), dir.keeping(), kind, meta)
        }
        None => {
            let stat = rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
            if status::kind(&stat.map_err(Error::when(READING))?) != Some(kind) {
                return Err(of_another_kind(SETTING));
            }
            set_by_name(dir.as_fd(), name, kind, meta)
        }
    }
}

/// Refuses what is not of the kind that was listed.
pub(super) fn check_kind(
    handle: BorrowedFd<'_>,
    dir: &Dir,
    kind: Kind,
    doing: &'static str,
) -> Result<(), Error> {
    let stat = rustix::fs::fstat(handle).map_err(Error::when(doing))?;
    let found = dir.keeping().status(handle, &stat)?.kind;
    if dir.devices().may_be(found, kind) { Ok(()) } else { Err(of_another_kind(doing)) }
}

fn of_another_kind(doing: &'static str) -> Error {
    Error::refused(doing, io::ErrorKind::InvalidInput, "the entry became one of another kind")
}

/// A handle on an entry: a file or directory is opened, which asks no more of the system than that; all else, and
/// what may not be read, gets a handle without access. `None` where there are no such handles.
pub(super) fn entry_handle(
    dir: BorrowedFd<'_>,
    name: &Name,
    kind: Kind,
) -> Option<rustix::io::Result<OwnedFd>> {
    let opened = match kind {
        Kind::Directory => beneath::open_one(dir, name.as_bytes()),
        Kind::File => rustix::fs::openat(dir, name.as_bytes(), file::PLAIN | OFlags::RDONLY, Mode::empty()),
        _ => return kernel::entry_handle(dir, name.as_bytes()),
    };
    match opened {
        Err(Errno::ACCESS) => kernel::entry_handle(dir, name.as_bytes()),
        done => Some(done),
    }
}

/// Sets attributes of what a handle refers to, whether or not the handle gives access.
pub(super) fn set(handle: BorrowedFd<'_>, keeping: Keeping, kind: Kind, meta: &SetMeta) -> Result<(), Error> {
    match keeping {
        Keeping::Inodes => set_in_inode(handle, kind, meta)?,
        Keeping::Attributes => fake::set(handle, meta)?,
    }
    if let Some(times) = times(meta) {
        or_by_handle(rustix::fs::futimens(handle, &times), || kernel::set_times_by_handle(handle, &times))
            .map_err(Error::when(TIMES))?;
    }
    Ok(())
}

/// Sets owner, group and mode.
fn set_in_inode(handle: BorrowedFd<'_>, kind: Kind, meta: &SetMeta) -> Result<(), Error> {
    if meta.owner.is_some() || meta.group.is_some() {
        let (owner, group) = owners(meta)?;
        or_by_handle(rustix::fs::fchown(handle, owner, group), || {
            kernel::set_owner_by_handle(handle, owner, group)
        })
        .map_err(Error::when(OWNER))?;
        crash::point("owner");
    }
    if let Some(mode) = meta.mode.filter(|_| kind != Kind::Symlink).map(mode_bits) {
        set_mode(handle, mode).map_err(Error::when(MODE))?;
        crash::point("mode");
    }
    Ok(())
}

/// Sets the mode of what a handle refers to, whether or not the handle gives access.
pub(super) fn set_mode(handle: BorrowedFd<'_>, mode: Mode) -> rustix::io::Result<()> {
    or_by_handle(rustix::fs::fchmod(handle, mode), || kernel::set_mode_by_handle(handle, mode))
}

/// The second way for handles without access, which the first answers with EBADF.
fn or_by_handle(
    first: rustix::io::Result<()>,
    second: impl FnOnce() -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    match first {
        Err(Errno::BADF) => second(),
        done => done,
    }
}

/// Sets attributes by directory and name.
fn set_by_name(dir: BorrowedFd<'_>, name: &Name, kind: Kind, meta: &SetMeta) -> Result<(), Error> {
    let name = name.as_bytes();
    if meta.owner.is_some() || meta.group.is_some() {
        let (owner, group) = owners(meta)?;
        rustix::fs::chownat(dir, name, owner, group, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(Error::when(OWNER))?;
        crash::point("owner");
    }
    if let Some(mode) = meta.mode.filter(|_| kind != Kind::Symlink).map(mode_bits) {
        rustix::fs::chmodat(dir, name, mode, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::when(MODE))?;
    }
    if let Some(times) = times(meta) {
        rustix::fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW).map_err(Error::when(TIMES))?;
    }
    Ok(())
}

/// The numbers as the system takes them. The highest one means "leave as it is" to chown(2), so nobody has it.
pub(super) fn owners(meta: &SetMeta) -> Result<(Option<rustix::fs::Uid>, Option<rustix::fs::Gid>), Error> {
    if meta.owner == Some(Uid(u32::MAX)) || meta.group == Some(Gid(u32::MAX)) {
        return Err(Error::refused(OWNER, io::ErrorKind::InvalidInput, "the number is not a valid owner"));
    }
    let owner = meta.owner.map(|Uid(number)| rustix::fs::Uid::from_raw(number));
    let group = meta.group.map(|Gid(number)| rustix::fs::Gid::from_raw(number));
    Ok((owner, group))
}

/// Permission bits as the system takes them.
#[allow(clippy::unnecessary_cast, reason = "the width of a mode differs by platform")]
pub(super) fn mode_bits(mode: u32) -> Mode {
    Mode::from_raw_mode((mode & 0o7777) as RawMode)
}

/// Both times as the system takes them, if there is one to set.
fn times(meta: &SetMeta) -> Option<Timestamps> {
    let time = |time: FileTime| Timespec {
        tv_sec: time.unix_seconds(),
        // More than a second's worth comes only from a broken peer, and some such values are commands.
        tv_nsec: time.nanoseconds().min(999_999_999) as _,
    };
    let some = meta.mtime.is_some() || meta.atime.is_some();
    some.then(|| Timestamps {
        // Many file systems that are programs take both times or, without a word, none.
        last_access: meta.atime.map_or(Timespec { tv_sec: 0, tv_nsec: UTIME_NOW }, time),
        last_modification: meta.mtime.map_or(Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT }, time),
    })
}
