//! A file that a user named beside source and destination: one of filter rules to be read, a log to be written.

use crate::fs::resolve::{self, Links, MOST_LINKS, Place, Step};
use crate::fs::{Error, confined, status};
use crate::tree::Kind;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

const OPENING: &str = "opening";

/// Opens what is at `path` to read it, going through symbolic links by the rule of `links`.
///
/// It is opened by its path, as there are names that lead to no entry: `/dev/stdin`, and what a shell puts for
/// `<(...)`, end in a link to an open pipe or a deleted file, whose text is no path. So where the path leads is looked
/// at twice: before, because some devices act when they are only opened; and after, because nobody can exchange what is
/// open by then.
///
/// In a process that is restricted to a directory only files are opened that are in it.
pub fn open_named(path: &OsStr, links: Links) -> Result<File, Error> {
    if let Links::Beneath(beneath) = links {
        return confined::open_file(path.as_bytes(), beneath, OPENING);
    }
    open(path, links, File::options().read(true))
}

/// Opens the file at `path` to write at its end, and makes it if nothing is there, by the same rules as [`open_named`].
/// A symbolic link that leads nowhere is followed like any other: the file is made where it leads.
pub fn append_named(path: &OsStr, links: Links) -> Result<File, Error> {
    let append = || open(path, links, File::options().append(true));
    match append() {
        Err(error) if error.is_not_found() => match make(path, links) {
            // Somebody else, most likely another run, made it in between.
            Err(error) if error.source.kind() == io::ErrorKind::AlreadyExists => append(),
            done => done,
        },
        done => done,
    }
}

/// Makes a file where none is, in a directory that the path leads to by the rule of `links`.
///
/// # Errors
/// Also where something is there by now.
fn make(path: &OsStr, links: Links) -> Result<File, Error> {
    const MAKING: &str = "making";
    let mut path = path.as_bytes().to_vec();
    let mut from: Option<OwnedFd> = None;
    for _ in 0..MOST_LINKS {
        let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => path.split_at_checked(slash + 1).unwrap_or_default(),
            None => (&b"."[..], &path[..]),
        };
        let above = match from.take().filter(|_| !path.starts_with(b"/")) {
            Some(dir) => resolve::resolve_from(dir, above, links, MAKING)?,
            None => resolve::resolve(above, links, MAKING)?,
        };
        let Place::Directory(dir) = above else { return Err(Error::when(MAKING)(Errno::NOTDIR)) };
        match resolve::step(dir.as_fd(), name) {
            Ok(Step::To(_)) => return Err(Error::when(MAKING)(Errno::EXIST)),
            Ok(Step::Link { target, owner }) => {
                resolve::check_owner(links, owner, name, MAKING)?;
                (path, from) = (target, Some(dir));
            }
            Err(Errno::NOENT) => {
                let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                let made = rustix::fs::openat(dir, name, flags, Mode::from_raw_mode(0o666));
                return Ok(File::from(made.map_err(Error::when(MAKING))?));
            }
            Err(error) => return Err(Error::when(MAKING)(error)),
        }
    }
    Err(Error::when(MAKING)(Errno::LOOP))
}

fn open(path: &OsStr, links: Links, how: &OpenOptions) -> Result<File, Error> {
    where_to(path, links)?;
    let file = how.open(path).map_err(Error::when(OPENING))?;
    let opened = rustix::fs::fstat(&file).map_err(Error::when(OPENING))?;
    let is_it = match where_to(path, links)? {
        Some(identity) => identity == status::identity(&opened),
        None => !is_in_a_tree(&opened),
    };
    if is_it {
        Ok(file)
    } else {
        let why = "the path led elsewhere when it was opened";
        Err(Error::refused(OPENING, io::ErrorKind::PermissionDenied, why))
    }
}

/// What the path leads to; `None` if nothing is there.
fn where_to(path: &OsStr, links: Links) -> Result<Option<(u64, u64)>, Error> {
    match resolve::resolve(path.as_bytes(), links, OPENING) {
        Ok(Place::Other { identity, .. }) => Ok(Some(identity)),
        Ok(Place::Directory(handle)) => {
            let stat = rustix::fs::fstat(&handle).map_err(Error::when(OPENING))?;
            Ok(Some(status::identity(&stat)))
        }
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a path must lead to it, as it is no pipe and was not deleted.
fn is_in_a_tree(stat: &Stat) -> bool {
    matches!(status::kind(stat), Some(Kind::File | Kind::Directory)) && stat.st_nlink > 0
}
