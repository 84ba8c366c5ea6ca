//! A file that a user named beside source and destination, such as one of filter rules, to be read once.

use crate::fs::resolve::{self, Links, Place};
use crate::fs::{Error, status};
use crate::tree::Kind;
use rustix::fs::Stat;
use std::ffi::OsStr;
use std::fs::File;
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
    where_to(path, links)?;
    let file = File::open(path).map_err(Error::when(OPENING))?;
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
