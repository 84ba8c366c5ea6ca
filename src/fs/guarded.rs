//! Changes that happen only where nobody else has made one: a name is taken only if it is free, and an entry gives way
//! only if it is still the one that was looked at.
//!
//! No call compares and renames in one step, so what is to give way is first moved away and then looked at. It never
//! goes for good: it is renamed into a trash directory, or back if it proves to be another. A new version is moved into
//! the trash itself, under the name that the old one is to have there, and then the two are exchanged; so a process
//! that is killed at any moment leaves the one or the other under the name, and never loses the old one. Where the
//! system cannot exchange, the old one is moved away before the new one comes, and for that moment the name is free;
//! what a process that is killed then leaves is [put back](Slot::restore) later.
//!
//! Trash and staging directories belong to the caller, so nobody else changes names there. They are on the file system
//! of what is moved; from another one the system refuses it (EXDEV).

use crate::fs::{Dir, Error, Stamp, WriteDir, crash, kernel, status};
use crate::tree::{InodeId, Kind, Name};
use rustix::fs::{AtFlags, Stat};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd};

/// How often a third party may get in the way of putting something back before it stays in the trash.
const ATTEMPTS: usize = 16;

/// How many names are tried for something in the trash.
const MOST_NAMES: usize = 100_000;

/// The longest name that file systems take, in bytes.
const LONGEST: usize = 255;

const INSTALLING: &str = "renaming into place";
const DISCARDING: &str = "moving into the trash";
const RENAMING: &str = "renaming";
const LOOKING: &str = "looking into the trash for";
const RESTORING: &str = "putting back from the trash";

/// A name in a directory, whatever has it.
#[derive(Debug, Clone, Copy)]
pub struct Slot<'a> {
    /// The directory.
    pub dir: &'a WriteDir,
    /// The name in it.
    pub name: &'a Name,
}

/// The entry that a change is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// This directory, whatever is in it by now.
    Directory {
        /// Device it is on.
        dev: u64,
        /// Inode on that device.
        ino: u64,
    },
    /// What is no directory, in this version.
    Version(Stamp),
}

/// An entry that has taken the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The stamp of the new one: one that it has not, if somebody changed it at once.
    pub stamp: Stamp,
    /// The name of the old one in the trash.
    pub trashed: Name,
}

impl Expected {
    fn is(&self, stat: &Stat) -> bool {
        let is_directory = status::kind(stat) == Some(Kind::Directory);
        match self {
            Expected::Directory { dev, ino } => is_directory && status::identity(stat) == (*dev, *ino),
            Expected::Version(stamp) => !is_directory && Stamp::of(stat) == *stamp,
        }
    }

    /// Whether it was this, before it was renamed, which changes its ctime.
    fn was(&self, stat: &Stat) -> bool {
        match self {
            Expected::Version(stamp) => {
                let now = Stamp { ctime: stamp.ctime, ..Stamp::of(stat) };
                status::kind(stat) != Some(Kind::Directory) && now == *stamp
            }
            Expected::Directory { .. } => self.is(stat),
        }
    }
}

/// Whether an entry is the same version before and after it was renamed, which changes its ctime.
fn is_same(before: &Stat, after: &Stat) -> bool {
    if status::identity(before) != status::identity(after) || before.st_mode != after.st_mode {
        return false;
    }
    let meta = status::meta(before) == status::meta(after);
    status::kind(before) == Some(Kind::Directory) || (meta && status::size(before) == status::size(after))
}

impl Slot<'_> {
    fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    fn look(&self) -> Result<Option<Stat>> {
        look_at(self.dir, self.name)
    }

    /// Renames what is here over whatever has the other name, but a directory.
    pub fn rename_over(self, to: Slot<'_>) -> std::result::Result<(), Error> {
        rustix::fs::renameat(self.dir, self.name.as_bytes(), to.dir, to.name.as_bytes())
            .map_err(Error::when(INSTALLING))
    }

    /// Moves what is here, in a directory that nobody else changes, to a name that must be free. Returns its stamp
    /// there; `None` if the name is taken, and then nothing has changed.
    pub fn move_to(self, to: Slot<'_>) -> std::result::Result<Option<Stamp>, Error> {
        self.install(to).map_err(Error::when(INSTALLING))
    }

    fn install(self, to: Slot<'_>) -> Result<Option<Stamp>> {
        let before = self.look()?.ok_or(Errno::NOENT)?;
        Ok(if to_free(self, to)? { Some(stamp_of(&before, to)) } else { None })
    }

    /// Puts what is here, in a directory that nobody else changes, in the place of what is expected at `at`, which goes
    /// into `trash`. `None` if something else is there: that stays, and what was to replace it is still here, unless
    /// somebody has changed it meanwhile; then it is under the name, or in the trash with what else came out.
    pub fn replace(
        self,
        at: Slot<'_>,
        expected: &Expected,
        trash: &WriteDir,
    ) -> std::result::Result<Option<Replaced>, Error> {
        let Some(old) = at.look().map_err(Error::when(INSTALLING))?.filter(|old| expected.is(old)) else {
            return Ok(None);
        };
        let new = self.look().and_then(|new| new.ok_or(Errno::NOENT)).map_err(Error::when(INSTALLING))?;
        let name = self.into_trash(trash, at.name).map_err(Error::when(DISCARDING))?;
        let kept = Slot { dir: trash, name: &name };
        let exchanged = match exchange(kept, at) {
            None => {
                let back = into_private(kept, self).and_then(|_| instead(self, &new, at, &old, trash));
                return back.map_err(Error::when(INSTALLING));
            }
            Some(Err(Errno::NOENT)) => false,
            Some(Err(error)) => {
                into_private(kept, self).map_err(Error::when(INSTALLING))?;
                return Err(Error::when(INSTALLING)(error));
            }
            Some(Ok(())) => {
                if kept.look().map_err(Error::when(INSTALLING))?.is_some_and(|out| is_same(&old, &out)) {
                    return Ok(Some(Replaced { stamp: stamp_of(&new, at), trashed: name }));
                }
                true
            }
        };
        let undone = if exchanged { exchange_back(kept, at, &new) } else { Ok(true) };
        if undone.map_err(Error::when(INSTALLING))? {
            into_private(kept, self).map_err(Error::when(INSTALLING))?;
        }
        Ok(None)
    }

    /// Moves what is expected here into the trash, and returns its name there. `None` if something else is here; that
    /// stays, or is in the trash if somebody has taken the name before it could be put back.
    pub fn discard(self, expected: &Expected, trash: &WriteDir) -> std::result::Result<Option<Name>, Error> {
        let Some(old) = self.look().map_err(Error::when(DISCARDING))?.filter(|old| expected.is(old)) else {
            return Ok(None);
        };
        match take_away(self, &old, trash) {
            Err(Errno::NOENT) => Ok(None),
            taken => taken.map_err(Error::when(DISCARDING)),
        }
    }

    /// Puts back what was expected here and was moved into `trash` by a process that was killed before anything took
    /// its place. Returns whether it did: not if it is not there, or the name is taken.
    pub fn restore(self, expected: &Expected, trash: &WriteDir) -> std::result::Result<bool, Error> {
        let kept = kept_as(trash, self.name, |found| expected.was(found)).map_err(Error::when(RESTORING))?;
        let Some(name) = kept else { return Ok(false) };
        to_free(Slot { dir: trash, name: &name }, self).map_err(Error::when(RESTORING))
    }

    /// Removes another name of what is here: one that a process left which was killed where a file is given a free name
    /// by a link. What has that name and is something else stays. Returns whether there was such a one.
    pub fn drop_other_name(self, other: Slot<'_>) -> std::result::Result<bool, Error> {
        let look = |slot: Slot<'_>| slot.look().map_err(Error::when(INSTALLING));
        let (Some(here), Some(there)) = (look(self)?, look(other)?) else { return Ok(false) };
        if status::identity(&here) != status::identity(&there) || status::kind(&here) == Some(Kind::Directory)
        {
            return Ok(false);
        }
        let removed = rustix::fs::unlinkat(other.fd(), other.name.as_bytes(), AtFlags::empty());
        removed.map(|()| true).map_err(Error::when(INSTALLING))
    }

    /// Gives what is expected here another name, in any directory of the same file system, that must be free, and
    /// returns its stamp there. `None` if something else is here or the name is taken; then nothing has changed, unless
    /// somebody has taken the old name before it could be given back: then the entry has the new one, or is in the
    /// trash, by way of which it goes where the system cannot rename to a free name in one step.
    pub fn rename(
        self,
        expected: &Expected,
        to: Slot<'_>,
        trash: impl FnOnce() -> std::result::Result<WriteDir, Error>,
    ) -> std::result::Result<Option<Stamp>, Error> {
        let Some(old) = self.look().map_err(Error::when(RENAMING))?.filter(|old| expected.is(old)) else {
            return Ok(None);
        };
        let is_itself = || {
            let alias = to.dir.alias(to.name).ok().flatten();
            alias.as_ref() == Some(self.name) && self.dir.identity().ok() == to.dir.identity().ok()
        };
        let renamed = kernel::rename_to_free(self.fd(), self.name, to.fd(), to.name);
        crash::point("renamed to a free name");
        let done = match renamed {
            // Where the file system does not tell the two names apart, the new one is taken by the entry itself.
            Some(Err(Errno::EXIST)) if is_itself() => by_way_of(self, &old, to, &trash()?),
            Some(done) => {
                is_done(done).and_then(|done| if done { or_back(self, &old, to) } else { Ok(None) })
            }
            None => by_way_of(self, &old, to, &trash()?),
        };
        match done {
            Err(Errno::NOENT) => Ok(None),
            done => done.map_err(Error::when(RENAMING)),
        }
    }

    /// Moves what is here into a directory that nobody else changes, under this name or one like it that is free.
    fn into_trash(self, trash: &WriteDir, name: &Name) -> Result<Name> {
        for number in 0..MOST_NAMES {
            let name = numbered(name, number);
            let kept = Slot { dir: trash, name: &name };
            if into_private(self, kept)? {
                return Ok(name);
            }
        }
        Err(Errno::EXIST)
    }
}

impl Dir {
    /// The name of something that was moved into this directory of a trash from under that name: of what has this
    /// device and inode.
    pub fn kept_as(&self, name: &Name, inode: InodeId) -> std::result::Result<Option<Name>, Error> {
        kept_as(self, name, |found| status::identity(found) == inode).map_err(Error::when(LOOKING))
    }

    /// All names that something may have got which was moved into this directory of a trash from under that name.
    pub fn names_kept_for(&self, name: &Name) -> std::result::Result<Vec<Name>, Error> {
        let mut names = Vec::new();
        for name in (0..MOST_NAMES).map(|number| numbered(name, number)) {
            if look_at(self, &name).map_err(Error::when(LOOKING))?.is_none() {
                break;
            }
            names.push(name);
        }
        Ok(names)
    }
}

fn look_at(dir: &Dir, name: &Name) -> Result<Option<Stat>> {
    match rustix::fs::statat(dir.as_fd(), name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        stat => stat.map(Some),
    }
}

/// The name in a directory of a trash, of those that something with that name may have got there, of what is meant.
fn kept_as(trash: &Dir, name: &Name, is_meant: impl Fn(&Stat) -> bool) -> Result<Option<Name>> {
    for number in 0..MOST_NAMES {
        let name = numbered(name, number);
        match look_at(trash, &name)? {
            None => return Ok(None),
            Some(found) if is_meant(&found) => return Ok(Some(name)),
            Some(_) => {}
        }
    }
    Ok(None)
}

/// The name itself, or another that begins like it.
fn numbered(name: &Name, number: usize) -> Name {
    if number == 0 {
        return name.clone();
    }
    let suffix = format!("~{number}");
    let len = name.as_bytes().len().min(LONGEST.saturating_sub(suffix.len()));
    let stem = name.as_bytes().get(..len).unwrap_or_default();
    // Neither part can make it invalid.
    Name::new([stem, suffix.as_bytes()].concat()).unwrap_or_else(|_| name.clone())
}

/// The stamp of an entry after it was renamed. If it is not the same version any more, that of before, so that whoever
/// compares it later finds the change.
fn stamp_of(before: &Stat, at: Slot<'_>) -> Stamp {
    let after = at.look().ok().flatten().filter(|after| is_same(before, after));
    Stamp::of(&after.unwrap_or(*before))
}

/// Exchanges two entries; `None` where the system cannot.
fn exchange(one: Slot<'_>, other: Slot<'_>) -> Option<Result<()>> {
    crash::point("exchange");
    let exchanged = kernel::exchange(one.fd(), one.name, other.fd(), other.name);
    crash::point("exchanged");
    exchanged
}

/// Takes back an exchange that brought out another version than was expected. Whether the new version is back.
fn exchange_back(kept: Slot<'_>, at: Slot<'_>, new: &Stat) -> Result<bool> {
    for _ in 0..ATTEMPTS {
        match exchange(kept, at).unwrap_or(Err(Errno::NOSYS)) {
            Ok(()) => {}
            // Somebody removed the new version: what it had replaced goes back, and nothing is left of it.
            Err(Errno::NOENT) if to_free(kept, at)? => return Ok(false),
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error),
        }
        if kept.look()?.is_some_and(|out| is_same(new, &out)) {
            return Ok(true);
        }
        // Somebody put a third version there, which is the latest: it goes back, and the one before it is in the trash.
        match exchange(kept, at).unwrap_or(Err(Errno::NOSYS)) {
            Err(Errno::NOENT) => continue,
            done => return done.map(|()| false),
        }
    }
    Ok(false)
}

/// As an exchange, where the system has none: the old version is moved away, and the new one takes the name if it is
/// still free.
fn instead(
    from: Slot<'_>,
    new: &Stat,
    at: Slot<'_>,
    old: &Stat,
    trash: &WriteDir,
) -> Result<Option<Replaced>> {
    let trashed = match take_away(at, old, trash) {
        Ok(Some(trashed)) => trashed,
        Ok(None) | Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error),
    };
    match to_free(from, at) {
        Ok(is_there) => Ok(is_there.then(|| Replaced { stamp: stamp_of(new, at), trashed })),
        Err(error) => {
            // The name is free now: better the old version than none.
            let _ = to_free(Slot { dir: trash, name: &trashed }, at);
            Err(error)
        }
    }
}

/// Moves an entry into the trash and puts it back if it is another than `old`. Its name there, if it is the one.
fn take_away(at: Slot<'_>, old: &Stat, trash: &WriteDir) -> Result<Option<Name>> {
    let name = at.into_trash(trash, at.name)?;
    let kept = Slot { dir: trash, name: &name };
    if kept.look()?.is_some_and(|out| is_same(old, &out)) {
        return Ok(Some(name));
    }
    // A name that is taken again is somebody's latest version, and this one stays in the trash.
    to_free(kept, at)?;
    Ok(None)
}

/// After a renaming: the stamp of the entry if it is `old`; if it is another, that goes back.
fn or_back(from: Slot<'_>, old: &Stat, to: Slot<'_>) -> Result<Option<Stamp>> {
    if to.look()?.is_some_and(|out| is_same(old, &out)) {
        return Ok(Some(stamp_of(old, to)));
    }
    if let Some(back) = kernel::rename_to_free(to.fd(), to.name, from.fd(), from.name) {
        is_done(back)?;
    }
    Ok(None)
}

/// Renames an entry by way of the trash, and back if it is another than `old` or the name is taken.
fn by_way_of(from: Slot<'_>, old: &Stat, to: Slot<'_>, trash: &WriteDir) -> Result<Option<Stamp>> {
    let Some(kept) = take_away(from, old, trash)? else { return Ok(None) };
    let kept = Slot { dir: trash, name: &kept };
    if to_free(kept, to)? {
        return Ok(Some(stamp_of(old, to)));
    }
    to_free(kept, from)?;
    Ok(None)
}

/// Renames an entry of a private directory to a name that may be anybody's. `false` if that is taken.
///
/// Where the system cannot do it in one step, a file is linked and then loses its old name; a directory is renamed,
/// which at worst replaces an empty one.
fn to_free(from: Slot<'_>, to: Slot<'_>) -> Result<bool> {
    let (name, free) = (from.name.as_bytes(), to.name.as_bytes());
    crash::point("to a free name");
    let done = match kernel::rename_to_free(from.fd(), from.name, to.fd(), to.name) {
        Some(done) => done,
        None if is_directory(from)? => return into_private(from, to),
        None => match rustix::fs::linkat(from.fd(), name, to.fd(), free, AtFlags::empty()) {
            Ok(()) => {
                crash::point("linked");
                rustix::fs::unlinkat(from.fd(), name, AtFlags::empty())
            }
            // File systems without links.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                return into_private(from, to);
            }
            failed => failed,
        },
    };
    is_done(done)
}

/// Renames an entry to a name in a private directory. `false` if that is taken.
fn into_private(from: Slot<'_>, to: Slot<'_>) -> Result<bool> {
    crash::point("into a private directory");
    match kernel::rename_to_free(from.fd(), from.name, to.fd(), to.name) {
        Some(done) => is_done(done),
        None if to.look()?.is_some() => Ok(false),
        None => {
            rustix::fs::renameat(from.fd(), from.name.as_bytes(), to.fd(), to.name.as_bytes()).map(|()| true)
        }
    }
}

fn is_directory(slot: Slot<'_>) -> Result<bool> {
    Ok(slot.look()?.is_some_and(|stat| status::kind(&stat) == Some(Kind::Directory)))
}

fn is_done(done: Result<()>) -> Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}
