//! A directory that a user named, where a run works.

use crate::fs::resolve::{self, Links, Place};
use crate::fs::{Devices, Dir, Error, Keeping, WriteDir, Writing};
use crate::tree::{Kind, Name};
use rustix::fs::Mode;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

const OPENING: &str = "opening directory";

/// A directory a user named. Its path is resolved once, and the handle is kept for the whole run, so that the run
/// stays in the directory it began in whatever happens to the path.
#[derive(Debug, Clone)]
pub struct Root {
    dir: Dir,
    writable: bool,
    writing: Arc<Writing>,
}

impl Root {
    fn new(dir: Dir) -> Root {
        Root { dir, writable: true, writing: Arc::default() }
    }

    /// Opens the directory at `path`, following symbolic links by the rule of `links`.
    pub fn open(path: &OsStr, links: Links) -> Result<Root, Error> {
        Root::at(resolve::resolve(path.as_bytes(), links, OPENING)?, links)
    }

    /// The same for a path that is relative to a directory, of which it may lead out. Attributes are kept there as
    /// here.
    pub fn open_from(from: &Dir, path: &OsStr, links: Links) -> Result<Root, Error> {
        let root =
            Root::at(resolve::resolve_relative(from.as_fd(), path.as_bytes(), links, OPENING)?, links)?;
        Ok(root.with_keeping(from.keeping()))
    }

    /// The same, where it and the directories above it are made if they are not there, with the mode the umask leaves.
    pub fn make_from(from: &Dir, path: &OsStr, links: Links) -> Result<Root, Error> {
        const CREATING: &str = "creating directory";
        let mut missing: Vec<Name> = Vec::new();
        let mut above = path.as_bytes();
        let mut reached = loop {
            let at = if above.is_empty() { b".".as_slice() } else { above };
            match Root::open_from(from, OsStr::from_bytes(at), links) {
                Err(error) if error.is_not_found() && !above.is_empty() => {
                    let end = above.iter().rposition(|&b| b != b'/').map_or(0, |last| last.saturating_add(1));
                    let trimmed = above.get(..end).unwrap_or_default();
                    let start =
                        trimmed.iter().rposition(|&b| b == b'/').map_or(0, |slash| slash.saturating_add(1));
                    let (rest, last) = trimmed.split_at(start);
                    match Name::new(last) {
                        Ok(name) => missing.push(name),
                        // What is missing is above it.
                        Err(_) => return Err(error),
                    }
                    above = rest;
                }
                opened => break opened?,
            }
        };
        while let Some(name) = missing.pop() {
            let mode = Mode::from_raw_mode(0o777);
            match rustix::fs::mkdirat(reached.dir.as_fd(), name.as_bytes(), mode) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(Error::when(CREATING)(error)),
            }
            reached = Root::new(reached.dir.open_dir(&name)?);
        }
        Ok(reached)
    }

    fn at(place: Place, links: Links) -> Result<Root, Error> {
        match place {
            Place::Directory(handle) => {
                let handle = resolve::readable(handle).map_err(Error::when(OPENING))?;
                Ok(Root::new(Dir::new(handle, links)))
            }
            Place::Other { .. } => Err(Error::when(OPENING)(Errno::NOTDIR)),
        }
    }

    /// Opens the directory that holds the last element of `path`, and returns that element, which is neither
    /// followed nor looked at. `None` if the path can only be a directory's: it is empty or ends in `/`, `.` or `..`.
    pub fn open_parent(path: &OsStr, links: Links) -> Result<Option<(Root, Name)>, Error> {
        let path = path.as_bytes();
        let (parent, last) = match path.iter().rposition(|&b| b == b'/') {
            Some(slash) => path.split_at(slash.saturating_add(1)),
            None => (&b"."[..], path),
        };
        if matches!(last, b"" | b"." | b"..") {
            return Ok(None);
        }
        let name =
            Name::new(last).map_err(|error| Error::refused("opening", io::ErrorKind::InvalidInput, error))?;
        links.check_elements(last)?;
        Ok(Some((Root::open(OsStr::from_bytes(parent), links)?, name)))
    }

    /// What is at `path`, following the last element too; `None` if there is nothing, or a symbolic link to nothing.
    pub fn inspect(path: &OsStr, links: Links) -> Result<Option<Kind>, Error> {
        const INSPECTING: &str = "looking at";
        match resolve::resolve(path.as_bytes(), links, INSPECTING) {
            Ok(Place::Directory(_)) => Ok(Some(Kind::Directory)),
            Ok(Place::Other { kind: Some(kind), .. }) => Ok(Some(kind)),
            Ok(Place::Other { kind: None, .. }) => {
                Err(Error::refused(INSPECTING, io::ErrorKind::Unsupported, "the entry is of an unknown kind"))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes the directory at `path`, whose parent must exist, with the mode the umask leaves, and opens it. Slashes
    /// at the end do not matter.
    pub fn create(path: &OsStr, links: Links) -> Result<Root, Error> {
        const CREATING: &str = "creating directory";
        let bytes = path.as_bytes();
        let end = bytes.iter().rposition(|&b| b != b'/').map_or(0, |last| last.saturating_add(1));
        let trimmed = OsStr::from_bytes(bytes.get(..end).unwrap_or_default());
        let Some((parent, name)) = Root::open_parent(trimmed, links)? else {
            return Err(Error::when(CREATING)(Errno::EXIST));
        };
        rustix::fs::mkdirat(parent.dir.as_fd(), name.as_bytes(), Mode::from_raw_mode(0o777))
            .map_err(Error::when(CREATING))?;
        Ok(Root::new(parent.dir.open_dir(&name)?))
    }

    /// The directory, to read.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// The directory, to change; `None` for a read-only root.
    pub fn writable(&self) -> Option<WriteDir> {
        self.writable.then(|| WriteDir::new(self.dir.clone(), self.writing.clone()))
    }

    /// The same root, in which and below which attributes are kept so.
    pub fn with_keeping(self, keeping: Keeping) -> Root {
        Root { dir: self.dir.with_keeping(keeping), ..self }
    }

    /// The same root, in which and below which that becomes of devices.
    pub fn with_devices(self, devices: Devices) -> Root {
        Root { dir: self.dir.with_devices(devices), ..self }
    }

    /// The same root, below which files are written so.
    pub fn with_writing(self, writing: Writing) -> Root {
        Root { writing: Arc::new(writing), ..self }
    }

    /// The same root, for a run that must not change anything.
    pub fn read_only(self) -> Root {
        Root { writable: false, ..self }
    }
}
