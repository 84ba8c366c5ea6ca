//! Paths that a user named, resolved once at the start of a run.
//!
//! Such a path may lead through directories that others can write, where a symbolic link planted by one of them would
//! turn a privileged run elsewhere. So it is walked element by element, and by default a symbolic link is followed only
//! if it belongs to root or to the user dsync runs as: those could have named the other place themselves. The link that
//! is judged is the link that is read, as both go through one handle. Sources alone are read wherever they lead.

use crate::fs::confined::{self, Beneath, Follow};
use crate::fs::{Error, beneath, kernel, status};
use crate::tree::{Escaped, Kind};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::{Errno, Result};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Which symbolic links a path that a user named may go through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Links {
    /// Those that belong to root or to the user dsync runs as.
    #[default]
    Trusted,
    /// The same, and the path must not end outside of a directory (`--confine-root`).
    Within(Bounds),
    /// Those that stay in the directory that this process is restricted to, which is the current one (`--restrict`). A
    /// path that begins with a slash begins there, too.
    Beneath(Beneath),
    /// All (`--insecure-links`).
    Any,
}

/// Where paths have to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The [identity](crate::fs::Dir::identity) of the directory.
    pub top: (u64, u64),
    /// Whether sources have to be below it as well, since it is a peer that names them.
    pub sources: bool,
}

impl Links {
    /// Which links the path of a source may go through. As in rsync these are all, since nothing is written there and
    /// the user chose what is read; but what a peer chooses stays within its bounds.
    pub fn for_sources(self) -> Links {
        match self {
            Links::Within(Bounds { sources: true, .. }) => self,
            Links::Beneath(beneath) => Links::Beneath(beneath.of_anyone()),
            Links::Trusted | Links::Within(_) | Links::Any => Links::Any,
        }
    }

    /// Refuses, in a process that is restricted to a directory, a path of which an element is dsync's own. For paths
    /// that are taken apart and not walked.
    pub fn check_elements(self, path: &[u8]) -> std::result::Result<(), Error> {
        match self {
            Links::Beneath(_) => confined::check_path(path, "opening"),
            Links::Trusted | Links::Within(_) | Links::Any => Ok(()),
        }
    }
}

/// As many symbolic links as Linux follows in one path.
pub(super) const MOST_LINKS: usize = 40;

/// How many levels are looked at upwards.
const MOST_ABOVE: usize = 4096;

/// Where a path leads.
pub(super) enum Place {
    /// To a directory, by a handle that may be good only for reaching what is in it.
    Directory(OwnedFd),
    /// To something else, of a kind that may be unknown, with its [`status::identity`].
    Other { kind: Option<Kind>, identity: (u64, u64) },
}

/// One element further.
pub(super) enum Step {
    To(Place),
    Link { target: Vec<u8>, owner: u32 },
}

/// Follows `path` to its end, the last element too. `doing` says what for.
pub(super) fn resolve(path: &[u8], links: Links, doing: &'static str) -> std::result::Result<Place, Error> {
    match links {
        Links::Beneath(beneath) => {
            let top = beneath.open_top().map_err(Error::when(doing))?;
            resolve_relative(top.as_fd(), path, links, doing)
        }
        Links::Trusted | Links::Within(_) | Links::Any => resolve_relative(CWD, path, links, doing),
    }
}

/// The same for a path that is relative to the directory `from`.
pub(super) fn resolve_relative(
    from: BorrowedFd<'_>,
    path: &[u8],
    links: Links,
    doing: &'static str,
) -> std::result::Result<Place, Error> {
    if path.is_empty() {
        return Err(Error::when(doing)(Errno::NOENT));
    }
    let start = match links {
        Links::Beneath(beneath) if path.starts_with(b"/") => beneath.open_top(),
        Links::Beneath(_) => start(from, b"."),
        Links::Trusted | Links::Within(_) | Links::Any => start(from, path),
    };
    resolve_from(start.map_err(Error::when(doing))?, path, links, doing)
}

/// As [`resolve`], beginning at a directory, also where the path itself begins with a slash.
pub(super) fn resolve_from(
    from: OwnedFd,
    path: &[u8],
    links: Links,
    doing: &'static str,
) -> std::result::Result<Place, Error> {
    if let Links::Beneath(beneath) = links {
        return confined::walk(from, path, beneath, Follow::Named, doing).map(Place::from);
    }
    let mut place = Place::Directory(from);
    let mut ahead = elements(path);
    let mut followed = 0;
    while let Some(element) = ahead.pop() {
        let Place::Directory(dir) = &place else { return Err(Error::when(doing)(Errno::NOTDIR)) };
        if element == b"." {
            continue;
        }
        match step(dir.as_fd(), &element).map_err(Error::when(doing))? {
            Step::To(next) => {
                if let (Links::Within(Bounds { top, .. }), Place::Other { .. }) = (links, &next) {
                    check_within(dir.as_fd(), top, doing)?;
                }
                place = next;
            }
            Step::Link { target, owner } => {
                followed += 1;
                if followed > MOST_LINKS {
                    return Err(Error::when(doing)(Errno::LOOP));
                }
                check_owner(links, owner, &element, doing)?;
                if target.starts_with(b"/") {
                    place = Place::Directory(start(CWD, &target).map_err(Error::when(doing))?);
                }
                ahead.extend(elements(&target));
            }
        }
    }
    if let (Links::Within(Bounds { top, .. }), Place::Directory(dir)) = (links, &place) {
        check_within(dir.as_fd(), top, doing)?;
    }
    Ok(place)
}

/// Refuses to go through a symbolic link of this name if it belongs to somebody whose links are not followed.
pub(super) fn check_owner(
    links: Links,
    owner: u32,
    name: &[u8],
    doing: &'static str,
) -> std::result::Result<(), Error> {
    let goes_through_any = match links {
        Links::Any => true,
        Links::Beneath(beneath) => beneath.is_of_anyone(),
        Links::Trusted | Links::Within(_) => false,
    };
    if goes_through_any || is_trusted(owner) {
        return Ok(());
    }
    let why = format!("the symbolic link \"{}\" belongs to another user", Escaped(name));
    Err(Error::refused(doing, io::ErrorKind::PermissionDenied, why))
}

/// Refuses a directory that is neither `top` nor below it.
pub(super) fn check_within(
    dir: BorrowedFd<'_>,
    top: (u64, u64),
    doing: &'static str,
) -> std::result::Result<(), Error> {
    let identity = |dir: BorrowedFd<'_>| rustix::fs::fstat(dir).map(|stat| status::identity(&stat));
    let above = |dir: BorrowedFd<'_>| match kernel::entry_handle(dir, b"..") {
        Some(handle) => handle,
        None => beneath::open_one(dir, b".."),
    };
    let is_within = || {
        let mut here = identity(dir)?;
        let mut handle: Option<OwnedFd> = None;
        for _ in 0..MOST_ABOVE {
            if here == top {
                return Ok(true);
            }
            let next = above(handle.as_ref().map_or(dir, AsFd::as_fd))?;
            let there = identity(next.as_fd())?;
            // The top of all is its own parent.
            if there == here {
                break;
            }
            (here, handle) = (there, Some(next));
        }
        Ok(false)
    };
    if is_within().map_err(Error::when::<Errno>(doing))? {
        return Ok(());
    }
    let why = "the path ends outside of the directory given by --confine-root";
    Err(Error::refused(doing, io::ErrorKind::PermissionDenied, why))
}

/// Opens for reading a directory that [`resolve`] reached, if it may be read.
pub(super) fn readable(dir: OwnedFd) -> Result<OwnedFd> {
    match beneath::open_one(dir.as_fd(), b".") {
        Err(Errno::ACCESS) => Ok(dir),
        done => done,
    }
}

/// The elements of a path, last first. A trailing slash demands a directory, as `.` does.
pub(super) fn elements(path: &[u8]) -> Vec<Vec<u8>> {
    let mut elements: Vec<Vec<u8>> = Vec::new();
    if path.ends_with(b"/") {
        elements.push(b".".to_vec());
    }
    elements.extend(path.rsplit(|&b| b == b'/').filter(|element| !element.is_empty()).map(<[u8]>::to_vec));
    elements
}

fn start(from: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let first: &[u8] = if path.starts_with(b"/") { b"/" } else { b"." };
    match kernel::entry_handle(from, first) {
        Some(handle) => handle,
        None => beneath::open_one(from, first),
    }
}

fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == rustix::process::geteuid().as_raw()
}

pub(super) fn step(dir: BorrowedFd<'_>, element: &[u8]) -> Result<Step> {
    let Some(handle) = kernel::entry_handle(dir, element) else { return step_by_name(dir, element) };
    let handle = handle?;
    let stat = rustix::fs::fstat(&handle)?;
    Ok(match status::kind(&stat) {
        Some(Kind::Directory) => Step::To(Place::Directory(handle)),
        Some(Kind::Symlink) => {
            let target = rustix::fs::readlinkat(&handle, "", Vec::new())?.into_bytes();
            Step::Link { target, owner: stat.st_uid }
        }
        kind => Step::To(Place::Other { kind, identity: status::identity(&stat) }),
    })
}

/// As [`step`], where there are no handles without access: the link is looked at before and after it is read.
fn step_by_name(dir: BorrowedFd<'_>, element: &[u8]) -> Result<Step> {
    let stat = rustix::fs::statat(dir, element, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(match status::kind(&stat) {
        Some(Kind::Directory) => {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Step::To(Place::Directory(rustix::fs::openat(dir, element, flags, Mode::empty())?))
        }
        Some(Kind::Symlink) => {
            let target = rustix::fs::readlinkat(dir, element, Vec::new())?.into_bytes();
            let after = rustix::fs::statat(dir, element, AtFlags::SYMLINK_NOFOLLOW)?;
            let unchanged = status::identity(&after) == status::identity(&stat)
                && status::changed(&after) == status::changed(&stat);
            if !unchanged {
                return Err(Errno::LOOP);
            }
            Step::Link { target, owner: stat.st_uid }
        }
        kind => Step::To(Place::Other { kind, identity: status::identity(&stat) }),
    })
}
