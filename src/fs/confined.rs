//! Paths in a process that is restricted to one directory: whatever they are, they end there.
//!
//! A peer names them, so nothing outside of the directory may even be looked at for their sake. They are walked element
//! by element, with every directory on the way held open: `..` goes back to the one that was gone through, never to
//! where that is by now, and above the directory there is nothing. A slash at the beginning means the directory itself.
//! A symbolic link in the tree whose text is absolute is meant for the whole system; it is followed if it goes through
//! the directory, and what is on its way there is told to nobody. So it may not go back on that way: `/a/b/../../top`
//! would be followed if there is a `/a/b`, and whoever writes links could ask so for every name there is. Nor may it go
//! through what the system tells of processes.
//!
//! What a replica keeps for itself in the tree is no place for anybody: no path leads there.

use crate::fs::resolve::{self, Links, MOST_LINKS, Place, Step};
use crate::fs::{Error, beneath, kernel, stage, status};
use crate::tree::Kind;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, Result};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The directory that a process is restricted to, which is its current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beneath {
    /// Its identity.
    top: (u64, u64),
    /// Whether links of other users are followed, too.
    of_anyone: bool,
}

/// Which symbolic links a walk goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// As a path that was named may.
    Named,
    /// All that stay in the directory.
    Any,
    /// None.
    None,
}

/// What is at the end of a walk, which is no symbolic link.
pub(super) enum End {
    /// A directory, by a handle that may be good only for reaching what is in it.
    Directory(OwnedFd),
    /// Something else.
    Entry {
        /// The directory that it is in.
        holder: OwnedFd,
        name: Vec<u8>,
        kind: Option<Kind>,
        identity: (u64, u64),
    },
}

/// How many levels are looked at upwards.
const MOST_ABOVE: usize = 4096;

impl From<End> for Place {
    fn from(end: End) -> Place {
        match end {
            End::Directory(handle) => Place::Directory(handle),
            End::Entry { kind, identity, .. } => Place::Other { kind, identity },
        }
    }
}

impl Beneath {
    /// The same, where links of other users are followed, too.
    pub(super) fn of_anyone(self) -> Beneath {
        Beneath { of_anyone: true, ..self }
    }

    /// Whether links of other users are followed, too.
    pub(super) fn is_of_anyone(self) -> bool {
        self.of_anyone
    }

    /// Whether this is the identity of the directory itself.
    pub(super) fn is_top(self, identity: (u64, u64)) -> bool {
        identity == self.top
    }

    /// For a process of which this is the identity of the current directory.
    pub(super) fn new(top: (u64, u64)) -> Beneath {
        Beneath { top, of_anyone: false }
    }

    /// A handle on the directory itself.
    ///
    /// # Errors
    /// Also if the current directory is another one.
    pub(super) fn open_top(self) -> Result<OwnedFd> {
        let top = enter(CWD, b".")?;
        if identity(top.as_fd())? == self.top { Ok(top) } else { Err(Errno::XDEV) }
    }
}

/// Follows a path to its end, the last element too; a slash at its beginning means nothing. `doing` says what for.
///
/// # Errors
/// Those of the system; or it is refused, as it leads out of the directory or through a link that is not followed.
pub(super) fn walk(
    from: OwnedFd,
    path: &[u8],
    beneath: Beneath,
    follow: Follow,
    doing: &'static str,
) -> std::result::Result<End, Error> {
    let failed = |errno: Errno| Error::when(doing)(errno);
    // Each is in the one before it.
    let mut way = vec![from];
    let mut ahead = resolve::elements(path);
    let mut followed = 0;
    let mut end = None;
    while let Some(element) = ahead.pop() {
        check_element(&element, doing)?;
        let here = match (&end, way.last()) {
            (None, Some(here)) => here,
            _ => return Err(failed(Errno::NOTDIR)),
        };
        match element.as_slice() {
            b"." => continue,
            b".." if way.len() > 1 => {
                way.pop();
                continue;
            }
            b".." => {
                way = above(here.as_fd(), beneath.top).map_err(failed)?.ok_or_else(|| leads_out(doing))?;
                continue;
            }
            _ => {}
        }
        match resolve::step(here.as_fd(), &element).map_err(failed)? {
            Step::To(Place::Directory(handle)) => way.push(handle),
            Step::To(Place::Other { kind, identity }) => end = Some((element, kind, identity)),
            Step::Link { target, owner } => {
                followed += 1;
                if followed > MOST_LINKS {
                    return Err(failed(Errno::LOOP));
                }
                match follow {
                    Follow::Named => resolve::check_owner(Links::Beneath(beneath), owner, &element, doing)?,
                    Follow::Any => {}
                    Follow::None => return Err(failed(Errno::NOTDIR)),
                }
                if target.starts_with(b"/") {
                    let (top, rest) = inwards(&target, beneath.top).ok_or_else(|| leads_out(doing))?;
                    way = vec![top];
                    ahead.extend(rest);
                } else {
                    ahead.extend(resolve::elements(&target));
                }
            }
        }
    }
    let last = way.pop().ok_or_else(|| failed(Errno::NOENT))?;
    Ok(match end {
        Some((name, kind, identity)) => End::Entry { holder: last, name, kind, identity },
        None => End::Directory(last),
    })
}

/// Opens the regular file at a path to read it, which then is the one that the path led to.
///
/// # Errors
/// Those of [`walk`]; there is no regular file.
pub(super) fn open_file(
    path: &[u8],
    beneath: Beneath,
    doing: &'static str,
) -> std::result::Result<File, Error> {
    let top = beneath.open_top().map_err(Error::when(doing))?;
    open_file_from(top, path, beneath, doing)
}

/// The same for a path that begins at this directory.
pub(super) fn open_file_from(
    from: OwnedFd,
    path: &[u8],
    beneath: Beneath,
    doing: &'static str,
) -> std::result::Result<File, Error> {
    match walk(from, path, beneath, Follow::Named, doing)? {
        End::Entry { holder, name, kind: Some(Kind::File), identity: seen } => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&holder, name, flags, Mode::empty()).map_err(Error::when(doing))?;
            if identity(file.as_fd()).map_err(Error::when(doing))? != seen {
                let why = "the path led elsewhere when it was opened";
                return Err(Error::refused(doing, io::ErrorKind::PermissionDenied, why));
            }
            Ok(File::from(file))
        }
        End::Directory(_) => Err(Error::when(doing)(Errno::ISDIR)),
        End::Entry { .. } => Err(Error::refused(doing, io::ErrorKind::InvalidInput, "it is no regular file")),
    }
}

/// Refuses a path of which an element is one that nobody but dsync itself may go through: for paths that somebody
/// else chose.
pub fn check_path(path: &[u8], doing: &'static str) -> std::result::Result<(), Error> {
    path.split(|byte| *byte == b'/').try_for_each(|element| check_element(element, doing))
}

/// Refuses an element of a path that nobody but dsync itself may go through.
pub(super) fn check_element(element: &[u8], doing: &'static str) -> std::result::Result<(), Error> {
    if element != stage::HOME {
        return Ok(());
    }
    let why = "the path leads into .dsync, which is for dsync alone";
    Err(Error::refused(doing, io::ErrorKind::PermissionDenied, why))
}

fn leads_out(doing: &'static str) -> Error {
    let why = "the path leads out of the directory that the server is restricted to";
    Error::refused(doing, io::ErrorKind::PermissionDenied, why)
}

/// The directories above this one, which is below the top: the top first. `None` if nothing is above it in there.
fn above(dir: BorrowedFd<'_>, top: (u64, u64)) -> Result<Option<Vec<OwnedFd>>> {
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut here = identity(dir)?;
    if here == top {
        return Ok(None);
    }
    while above.len() < MOST_ABOVE {
        let next = enter(above.last().map_or(dir, AsFd::as_fd), b"..")?;
        let there = identity(next.as_fd())?;
        if there == here {
            // It was moved out of the tree.
            return Ok(None);
        }
        above.push(next);
        if there == top {
            above.reverse();
            return Ok(Some(above));
        }
        here = there;
    }
    Ok(None)
}

/// Follows an absolute path until it comes to the top, and that only forwards. Links on the way are the system's, and
/// may go back. Returns the top, and what of the path is left, last first; or nothing, whyever.
fn inwards(path: &[u8], top: (u64, u64)) -> Option<(OwnedFd, Vec<Vec<u8>>)> {
    let root = || enter(CWD, b"/").ok();
    let mut here = root()?;
    let mut ahead = resolve::elements(path);
    // How many of those are the path's own, and none of a link that was met.
    let mut own = ahead.len();
    let mut followed = 0;
    loop {
        if identity(here.as_fd()).ok()? == top {
            return Some((here, ahead));
        }
        let element = ahead.pop()?;
        let is_own = ahead.len() < own;
        own = own.min(ahead.len());
        if element == b"." {
            continue;
        }
        if (is_own && element == b"..") || kernel::tells_of_processes(here.as_fd()) {
            return None;
        }
        match resolve::step(here.as_fd(), &element).ok()? {
            Step::To(Place::Directory(next)) => here = next,
            Step::To(Place::Other { .. }) => return None,
            Step::Link { target, .. } => {
                followed += 1;
                if followed > MOST_LINKS {
                    return None;
                }
                if target.starts_with(b"/") {
                    here = root()?;
                }
                ahead.extend(resolve::elements(&target));
            }
        }
    }
}

fn identity(handle: BorrowedFd<'_>) -> Result<(u64, u64)> {
    rustix::fs::fstat(handle).map(|stat| status::identity(&stat))
}

/// A handle on a directory, good for reaching what is in it.
fn enter(from: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    match kernel::entry_handle(from, name) {
        Some(handle) => handle,
        None => beneath::open_one(from, name),
    }
}
