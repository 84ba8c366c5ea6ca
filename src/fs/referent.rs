//! What symbolic links lead to, where the user asked for that: the only way out of a tree.
//!
//! The source of a run reads referents in place of links (`-L`, `-k`, `--copy-unsafe-links`). Nothing is ever written
//! through one, since a [`Dir`] gives no access to that, and no sink calls this. In a process that is restricted to a
//! directory nothing is followed out of that.

use crate::fs::confined::{self, End, Follow};
use crate::fs::file::{self, ReadFile};
use crate::fs::status::{self, Status};
use crate::fs::{Dir, Error, Keeping, kernel, list};
use crate::tree::{Entry, Kind, Name};
use filetime::FileTime;
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// What a file at the end of a link is opened with.
const FILE: OFlags = file::PLAIN.difference(OFlags::NOFOLLOW).union(OFlags::RDONLY);

const FOLLOWING: &str = "following";

impl Dir {
    /// What the symbolic link of that name leads to, as an entry of the link's name; `None` if nothing is there. What
    /// only stands for a link leads nowhere, and is the link itself.
    pub fn referent(&self, name: &Name) -> Result<Option<Entry>, Error> {
        let stat = match self.followed(name) {
            Ok(stat) => stat,
            Err(error) if leads_nowhere(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let status = match (self.keeping(), status::kind(&stat)) {
            (Keeping::Attributes, Some(Kind::File)) => {
                let file = self.follow(name, FILE)?;
                self.keeping().status(file.as_fd(), &stat)?
            }
            (Keeping::Attributes, Some(Kind::Directory)) => {
                self.keeping().status(self.open_referent_dir(name)?.as_fd(), &stat)?
            }
            _ => Status::of(&stat),
        };
        match list::followed(&status, &stat)? {
            Some(node) => {
                let open = |_| self.follow(name, FILE).map_err(|_| Errno::NXIO);
                let (node, meta) = self.devices().listed((node, status.meta), &stat, open);
                Ok(Some(list::seen(name.clone(), node, meta, &stat)))
            }
            // No system follows what only stands for a link.
            None => self.entry(name),
        }
    }

    /// When what the symbolic link of that name leads to was last read.
    pub fn referent_atime(&self, name: &Name) -> Result<FileTime, Error> {
        Ok(status::accessed(&self.followed(name)?))
    }

    /// Opens the directory that the symbolic link of that name leads to. One that may be searched but not read opens,
    /// and then cannot be listed.
    pub fn open_referent_dir(&self, name: &Name) -> Result<Dir, Error> {
        let opened = self.follow(name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC);
        match opened {
            Err(error) if error.source.raw_os_error() == Some(Errno::ACCESS.raw_os_error()) => {
                match self.referent_handle(name)? {
                    Some(handle) => Ok(self.like(handle.map_err(Error::when(FOLLOWING))?)),
                    None => Err(error),
                }
            }
            opened => opened.map(|handle| self.like(handle)),
        }
    }

    /// Opens the regular file that the symbolic link of that name leads to.
    pub fn open_referent_file(&self, name: &Name) -> Result<ReadFile, Error> {
        ReadFile::new(self.follow(name, FILE)?, self.keeping(), self.devices())
    }

    /// What the system tells of what the link leads to.
    fn followed(&self, name: &Name) -> Result<Stat, Error> {
        let stat = match self.end(name)? {
            None => rustix::fs::statat(self.as_fd(), name.as_bytes(), AtFlags::empty()),
            Some(End::Directory(handle)) => rustix::fs::fstat(handle),
            Some(End::Entry { holder, name, .. }) => {
                rustix::fs::statat(holder, name, AtFlags::SYMLINK_NOFOLLOW)
            }
        };
        stat.map_err(Error::when(FOLLOWING))
    }

    fn follow(&self, name: &Name, flags: OFlags) -> Result<OwnedFd, Error> {
        let opened = match self.end(name)? {
            None => rustix::fs::openat(self.as_fd(), name.as_bytes(), flags, Mode::empty()),
            Some(End::Directory(handle)) => rustix::fs::openat(handle, ".", flags, Mode::empty()),
            Some(End::Entry { holder, name, .. }) => {
                rustix::fs::openat(holder, name, flags | OFlags::NOFOLLOW, Mode::empty())
            }
        };
        opened.map_err(Error::when(FOLLOWING))
    }

    /// A handle on the directory that the link leads to, which gives no access to it; `None` where there are none such.
    fn referent_handle(&self, name: &Name) -> Result<Option<std::result::Result<OwnedFd, Errno>>, Error> {
        Ok(match self.end(name)? {
            None => kernel::referent_handle(self.as_fd(), name.as_bytes()),
            Some(End::Directory(handle)) => Some(Ok(handle)),
            Some(End::Entry { .. }) => Some(Err(Errno::NOTDIR)),
        })
    }

    /// Where the link leads, in a process that is restricted to a directory; in any other the system follows it.
    fn end(&self, name: &Name) -> Result<Option<End>, Error> {
        let Some(bound) = self.bound() else { return Ok(None) };
        let here = self.as_fd().try_clone_to_owned().map_err(Error::when(FOLLOWING))?;
        confined::walk(here, name.as_bytes(), bound, Follow::Any, FOLLOWING).map(Some)
    }
}

fn leads_nowhere(error: &Error) -> bool {
    let is = |errno: Errno| error.source.raw_os_error() == Some(errno.raw_os_error());
    is(Errno::NOENT) || is(Errno::NOTDIR)
}
