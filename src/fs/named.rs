//! A file that a user named beside source and destination: one of filter rules to be read, a log to be written.

use crate::fs::resolve::{self, Links, Place};
use crate::fs::{Error, status};
use crate::tree::Kind;
use rustix::fs::Stat;
use rustix::fs::{Mode, OFlags};
use std::ffi::OsStr;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;

const OPENING: &str = "opening";

/// Opens what is at `path` to read it, going through symbolic links by the rule of `links`.
///
/// It is opened by its path, as there are names that lead to no entry: `/dev/stdin`, and what a shell puts for
/// `<(...)`, end in a link to an open pipe or a deleted file, whose text is no path. So where the path leads is looked
/// at twice: before, because some devices act when they are only opened; and after, because nobody can exchange what is
/// open by then.
pub fn open_named(path: &OsStr, links: Links) -> Result<File, Error> {
    open(path, links, File::options().read(true))
}

/// Opens the file at `path` to write at its end, and makes it if nothing is there, by the same rules as [`open_named`].
pub fn append_named(path: &OsStr, links: Links) -> Result<File, Error> {
    match open(path, links, File::options().append(true)) {
        Err(error) if error.is_not_found() => make(path, links),
        done => done,
    }
}

/// Makes a file where none is, in a directory that the path leads to by the rule of `links`.
fn make(path: &OsStr, links: Links) -> Result<File, Error> {
    const MAKING: &str = "making";
    let path = path.as_bytes();
    let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => path.split_at_checked(slash + 1).unwrap_or_default(),
        None => (&b"."[..], path),
    };
    let Place::Directory(parent) = resolve::resolve(parent, links, MAKING)? else {
        return Err(Error::when(MAKING)(rustix::io::Errno::NOTDIR));
    };
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let made = rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o666));
    Ok(File::from(made.map_err(Error::when(MAKING))?))
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
