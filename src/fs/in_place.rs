//! Opening a file to change it where it is, keeping its inode and its links (`--inplace`).

use crate::fs::file::{self, WriteFile};
use crate::fs::{Error, WriteDir, attributes, status};
use crate::tree::{Kind, Name};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How often a file may appear and vanish between two calls.
const ATTEMPTS: usize = 16;

/// Opens or creates the file `name` of `dir`.
pub(super) fn open(dir: &WriteDir, name: &Name) -> std::result::Result<WriteFile, Error> {
    let handle = open_or_create(dir.as_fd(), name).map_err(Error::when("opening for writing"))?;
    let stat = file::with_content(&handle, dir.devices())?;
    Ok(WriteFile::new(handle, status::size(&stat), dir).of_kind(status::kind(&stat)))
}

/// Opens the file that is there, or else creates it: in separate calls, because in a sticky directory Linux refuses
/// O_CREAT on another user's file even where that user's file may be written (fs.protected_regular).
fn open_or_create(dir: BorrowedFd<'_>, name: &Name) -> Result<OwnedFd> {
    let create = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | file::PLAIN;
    for _ in 0..ATTEMPTS {
        match open_existing(dir, name) {
            Err(Errno::NOENT) => {}
            Err(Errno::ACCESS) => return open_read_only(dir, name),
            done => return done,
        }
        match rustix::fs::openat(dir, name.as_bytes(), create, Mode::RUSR | Mode::WUSR) {
            Err(Errno::EXIST) => {}
            done => return done,
        }
    }
    Err(Errno::EXIST)
}

fn open_existing(dir: BorrowedFd<'_>, name: &Name) -> Result<OwnedFd> {
    rustix::fs::openat(dir, name.as_bytes(), OFlags::RDWR | file::PLAIN, Mode::empty())
}

/// Opens one's own file that its mode closes to writing: the mode is widened for the moment of opening.
fn open_read_only(dir: BorrowedFd<'_>, name: &Name) -> Result<OwnedFd> {
    let handle = attributes::entry_handle(dir, name, Kind::File).unwrap_or(Err(Errno::ACCESS))?;
    let stat = rustix::fs::fstat(&handle)?;
    if status::kind(&stat) != Some(Kind::File) || stat.st_uid != rustix::process::geteuid().as_raw() {
        return Err(Errno::ACCESS);
    }
    let mode = Mode::from_raw_mode(stat.st_mode);
    attributes::set_mode(handle.as_fd(), mode | Mode::RUSR | Mode::WUSR)?;
    let opened = open_existing(dir, name);
    attributes::set_mode(handle.as_fd(), mode)?;
    let opened = opened?;
    // What was opened by name must be what was widened.
    let same = status::identity(&rustix::fs::fstat(&opened)?) == status::identity(&stat);
    if same { Ok(opened) } else { Err(Errno::ACCESS) }
}
