//! What symbolic links lead to, where the user asked for that: the only way out of a tree.
//!
//! The source of a run reads referents in place of links (`-L`, `-k`, `--copy-unsafe-links`). Nothing is ever written
//! through one, since a [`Dir`] gives no access to that, and no sink calls this.

use crate::fs::file::{self, ReadFile};
use crate::fs::{Dir, Error, list};
use crate::tree::{Entry, Name};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

const FOLLOWING: &str = "following";

impl Dir {
    /// What the symbolic link of that name leads to, as an entry of the link's name; `None` if nothing is there.
    pub fn referent(&self, name: &Name) -> Result<Option<Entry>, Error> {
        let stat = match rustix::fs::statat(self.as_fd(), name.as_bytes(), AtFlags::empty()) {
            Ok(stat) => stat,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => return Err(Error::when(FOLLOWING)(error)),
        };
        Ok(list::followed(&stat)?.map(|node| list::seen(name.clone(), node, &stat)))
    }

    /// Opens the directory that the symbolic link of that name leads to.
    pub fn open_referent_dir(&self, name: &Name) -> Result<Dir, Error> {
        self.follow(name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC).map(Dir::new)
    }

    /// Opens the regular file that the symbolic link of that name leads to.
    pub fn open_referent_file(&self, name: &Name) -> Result<ReadFile, Error> {
        ReadFile::new(self.follow(name, file::PLAIN.difference(OFlags::NOFOLLOW) | OFlags::RDONLY)?)
    }

    fn follow(&self, name: &Name, flags: OFlags) -> Result<OwnedFd, Error> {
        rustix::fs::openat(self.as_fd(), name.as_bytes(), flags, Mode::empty())
            .map_err(Error::when(FOLLOWING))
    }
}
