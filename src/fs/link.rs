//! Giving a file that is there another name.
//!
//! The new name is made beside the one it is to have and looked at before it takes that, so that nobody who exchanges
//! the file in the meantime gets another one linked: what may be written by many can be in one group with what may be
//! written by few. No symbolic link is followed; one is linked itself.

use crate::fs::whole::next_number;
use crate::fs::{Dir, Error, WriteDir, stage, status};
use crate::tree::Name;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use std::os::fd::AsFd;

const LINKING: &str = "linking";

/// A file to be given another name.
#[derive(Debug, Clone, Copy)]
pub struct Linkable<'a> {
    /// The directory it is in.
    pub dir: &'a Dir,
    /// A name it has there.
    pub name: &'a Name,
    /// Which file that is: device and inode.
    pub identity: (u64, u64),
}

/// What became of a link.
#[derive(Debug)]
pub enum Linked {
    /// It was made.
    Made,
    /// The file is not there any more, or another has its name. Nothing was changed.
    Gone,
    /// The file system does not give this file another name, or not there. Nothing was changed.
    Refused(Error),
}

impl WriteDir {
    /// Makes `name` another name of a file, in place of whatever but a directory has the name, in one step.
    ///
    /// # Errors
    /// Whatever else than the outcomes of [`Linked`] can happen; nothing was changed then.
    pub fn link(&self, name: &Name, file: Linkable<'_>) -> Result<Linked, Error> {
        let staged = stage::name_for(name, next_number());
        let linked = self.link_as(&staged, file)?;
        if !matches!(linked, Linked::Made) {
            return Ok(linked);
        }
        let made = self.rename_over(&staged, name);
        // Where the name was this file's already, a renaming leaves both.
        let _ = rustix::fs::unlinkat(self.as_fd(), staged.as_bytes(), AtFlags::empty());
        made
    }

    /// Makes `name`, which must be free, another name of a file.
    ///
    /// # Errors
    /// Whatever else than the outcomes of [`Linked`] can happen; nothing was changed then.
    pub fn link_as(&self, name: &Name, file: Linkable<'_>) -> Result<Linked, Error> {
        let (from, to) = (file.name.as_bytes(), name.as_bytes());
        match rustix::fs::linkat(file.dir.as_fd(), from, self.as_fd(), to, AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(Linked::Gone),
            Err(error @ (Errno::PERM | Errno::XDEV | Errno::MLINK | Errno::OPNOTSUPP | Errno::NOSYS)) => {
                return Ok(Linked::Refused(Error::when(LINKING)(error)));
            }
            Err(error) => return Err(Error::when(LINKING)(error)),
        }
        let made = match rustix::fs::statat(self.as_fd(), to, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if status::identity(&stat) == file.identity => return Ok(Linked::Made),
            Ok(_) | Err(Errno::NOENT) => Ok(Linked::Gone),
            Err(error) => Err(Error::when(LINKING)(error)),
        };
        let _ = rustix::fs::unlinkat(self.as_fd(), to, AtFlags::empty());
        made
    }

    fn rename_over(&self, staged: &Name, name: &Name) -> Result<Linked, Error> {
        match rustix::fs::renameat(self.as_fd(), staged.as_bytes(), self.as_fd(), name.as_bytes()) {
            Ok(()) => Ok(Linked::Made),
            // Somebody took it for a leftover.
            Err(Errno::NOENT) => Ok(Linked::Gone),
            Err(error) => Err(Error::when(stage::INSTALLING)(error)),
        }
    }
}
