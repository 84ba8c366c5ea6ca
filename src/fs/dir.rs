//! Reading a directory by a handle on it.

use crate::fs::confined::Beneath;
use crate::fs::file::{self, ReadFile};
use crate::fs::list::{self, Listing, Stamped};
use crate::fs::resolve::{self, Links};
use crate::fs::{Devices, Error, Holds, Keeping, Look, Stamp, XattrNames, beneath, extended, status};
use crate::tree::{DefaultAcl, Entry, Extra, Kind, Meta, Name, RelPath, Xattrs};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// How many levels are looked at upwards.
const MOST_ABOVE: usize = 4096;

/// A handle on a directory: it stays the same directory however it is renamed or moved. Nothing can be written
/// through it. Clones share the handle.
#[derive(Debug, Clone)]
pub struct Dir {
    held: Arc<Held>,
    keeping: Keeping,
    devices: Devices,
}

#[derive(Debug)]
struct Held {
    handle: OwnedFd,
    /// What nothing may be reached outside of, in a process that is restricted to it.
    bound: Option<Beneath>,
}

impl Dir {
    /// How many bytes may still be written to the file system it is on, as far as that tells.
    ///
    /// # Errors
    /// Those of the system, or the file system counts nothing, as one that is in memory alone may.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(self.as_fd())?;
        if stat.f_blocks == 0 {
            return Err(io::ErrorKind::Unsupported.into());
        }
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// A directory that was reached by the rule of `links`.
    pub(super) fn new(handle: OwnedFd, links: Links) -> Dir {
        let bound = match links {
            Links::Beneath(bound) => Some(bound),
            Links::Trusted | Links::Within(_) | Links::Any => None,
        };
        let held = Arc::new(Held { handle, bound });
        Dir { held, keeping: Keeping::default(), devices: Devices::default() }
    }

    /// Another directory, for which holds what does for this one.
    pub(super) fn like(&self, handle: OwnedFd) -> Dir {
        let held = Arc::new(Held { handle, bound: self.bound() });
        Dir { held, keeping: self.keeping, devices: self.devices }
    }

    /// The same directory, in which and below which attributes are kept so.
    pub(super) fn with_keeping(self, keeping: Keeping) -> Dir {
        Dir { keeping, ..self }
    }

    /// The same directory, in which and below which that becomes of devices.
    pub(super) fn with_devices(self, devices: Devices) -> Dir {
        Dir { devices, ..self }
    }

    /// What becomes of devices here.
    pub(super) fn devices(&self) -> Devices {
        self.devices
    }

    /// What nothing may be reached outside of from here, if there is such.
    pub(super) fn bound(&self) -> Option<Beneath> {
        self.held.bound
    }

    /// How attributes are kept here.
    pub(super) fn keeping(&self) -> Keeping {
        self.keeping
    }

    /// Lists the directory, sorted by the bytes of the names. Entries that vanish meanwhile are left out; what else
    /// goes wrong after the opening is told in the listing.
    pub fn list(&self) -> Result<Listing, Error> {
        list::list(self, |entry, _| entry)
    }

    /// The names of the directories in it, sorted by their bytes. Where the file system tells what each name is of, no
    /// entry is looked at.
    ///
    /// # Errors
    /// Those of the system.
    pub fn directories(&self) -> Result<Vec<Name>, Error> {
        list::directories(self)
    }

    /// Whether there is nothing in the directory. No entry is looked at.
    pub fn is_empty(&self) -> Result<bool, Error> {
        list::is_empty(self.as_fd())
    }

    /// As [`list`](Dir::list), each entry with its stamp.
    pub fn list_stamped(&self) -> Result<Listing<Stamped>, Error> {
        list::list(self, list::with_stamp)
    }

    /// As [`entry`](Dir::entry), with its stamp.
    pub fn stamped(&self, name: &Name) -> Result<Option<Stamped>, Error> {
        list::stamped(self, name)
    }

    /// The stamp of an entry that is no directory and has other names besides; `None` if it has none, or is not there.
    pub fn stamp_of_linked(&self, name: &Name) -> Result<Option<Stamp>, Error> {
        list::stamp_of_linked(self.as_fd(), name)
    }

    /// How many names an entry has, this one included.
    pub fn link_count(&self, name: &Name) -> Result<u64, Error> {
        list::link_count(self.as_fd(), name)
    }

    /// Whether what has that name is a device itself, not what stands for one.
    pub fn is_device(&self, name: &Name) -> bool {
        let stat = rustix::fs::statat(self.as_fd(), name.as_bytes(), rustix::fs::AtFlags::SYMLINK_NOFOLLOW);
        stat.is_ok_and(|stat| status::kind(&stat).is_some_and(Kind::is_device))
    }

    /// The entry of that name, `None` if there is none.
    pub fn entry(&self, name: &Name) -> Result<Option<Entry>, Error> {
        list::entry(self, name)
    }

    /// What `look` sees of an entry of this kind.
    ///
    /// # Errors
    /// Those of the system: "not found" also if there is an entry of another kind by now.
    pub fn extra(&self, name: &Name, kind: Kind, look: &Look) -> Result<Option<Box<Extra>>, Error> {
        extended::look_at_entry(self, name, kind, look)
    }

    /// The extended attributes of an entry of this kind.
    ///
    /// # Errors
    /// Those of the system, or they are longer than [`MAX_XATTRS`](crate::tree::xattr::MAX_XATTRS).
    pub fn xattrs(&self, name: &Name, kind: Kind, of: &XattrNames) -> Result<Xattrs, Error> {
        extended::xattrs_of_entry(self, name, kind, of)
    }

    /// Those of the directory itself.
    ///
    /// # Errors
    /// The same.
    pub fn own_xattrs(&self, of: &XattrNames) -> Result<Xattrs, Error> {
        extended::xattrs(self.as_fd(), self.keeping, of)
    }

    /// The ACL that new entries of the directory get, if it has one. What only stands for one is heeded by no system.
    pub fn default_acl(&self) -> Result<Option<DefaultAcl>, Error> {
        match self.keeping {
            Keeping::Inodes => extended::default_acl(self.as_fd()),
            Keeping::Attributes => Ok(None),
        }
    }

    /// The name of an entry that this file system does not tell from `name`, though it is another; `None` if an entry
    /// has just that name, or none has one like it.
    pub fn alias(&self, name: &Name) -> Result<Option<Name>, Error> {
        let Some(found) = self.stamped(name)? else { return Ok(None) };
        let entries = self.list_stamped()?.entries;
        if entries.iter().any(|one| one.entry.name == *name) {
            return Ok(None);
        }
        let is_found = |one: &&Stamped| (one.stamp.dev, one.stamp.ino) == (found.stamp.dev, found.stamp.ino);
        // File systems that are programs may number names, not entries.
        let sought = folded(name);
        let is_like = |one: &&Stamped| folded(&one.entry.name) == sought;
        let alias = entries.iter().find(is_found).or_else(|| entries.iter().find(is_like));
        Ok(alias.map(|one| one.entry.name.clone()))
    }

    /// The attributes of the directory itself.
    pub fn own_meta(&self) -> Result<Meta, Error> {
        Ok(self.own_stamped()?.0)
    }

    /// What `look` sees of the directory itself.
    pub fn own_extra(&self, look: &Look) -> Result<Option<Box<Extra>>, Error> {
        extended::look_at(self.as_fd(), self.keeping, Kind::Directory, look)
    }

    /// What its file system can hold.
    pub fn holds(&self) -> Holds {
        extended::holds(self.as_fd())
    }

    /// The attributes of the directory itself, with its stamp.
    pub fn own_stamped(&self) -> Result<(Meta, Stamp), Error> {
        let stat = rustix::fs::fstat(&self.held.handle).map_err(Error::when("reading attributes of"))?;
        Ok((self.keeping.status(self.as_fd(), &stat)?.meta, Stamp::of(&stat)))
    }

    /// Device and inode of the directory: equal for two handles on the same directory only.
    pub fn identity(&self) -> Result<(u64, u64), Error> {
        let stat = rustix::fs::fstat(&self.held.handle).map_err(Error::when("reading attributes of"))?;
        Ok(status::identity(&stat))
    }

    /// The [identity](Dir::identity) of the directory and of each one above it, itself first, as far up as that can be
    /// looked at.
    pub fn identities_upwards(&self) -> Result<Vec<(u64, u64)>, Error> {
        let mut all = vec![self.identity()?];
        let mut dir = self.clone();
        while let Ok(above) = beneath::open_one(dir.as_fd(), b"..") {
            dir = self.like(above);
            match dir.identity() {
                // The top is its own parent.
                Ok(identity) if all.last() != Some(&identity) && all.len() < MOST_ABOVE => all.push(identity),
                _ => break,
            }
        }
        Ok(all)
    }

    /// The directory that holds this one; `None` of the top of the system, or of what this process is restricted to, or
    /// where it cannot be reached.
    pub fn above(&self) -> Option<Dir> {
        if self.bound().is_some_and(|bound| self.identity().map_or(true, |here| bound.is_top(here))) {
            return None;
        }
        let above = beneath::open_one(self.as_fd(), b"..").map(|above| self.like(above)).ok()?;
        (above.identity().ok()? != self.identity().ok()?).then_some(above)
    }

    /// Opens a directory in this one. A symbolic link is "not a directory". One that may be searched but not read
    /// opens, and then cannot be listed.
    pub fn open_dir(&self, name: &Name) -> Result<Dir, Error> {
        let opened = beneath::open_one(self.as_fd(), name.as_bytes());
        Ok(self.like(opened.map_err(Error::when("opening directory"))?))
    }

    /// Opens a directory any number of levels down, by the same rules at each.
    pub fn open_beneath(&self, path: &RelPath) -> Result<Dir, Error> {
        let opened = beneath::open(self.as_fd(), path).map_err(Error::when("opening directory"))?;
        Ok(opened.map_or_else(|| self.clone(), |handle| self.like(handle)))
    }

    /// Opens the directory that a path the user named leads to from here, going through symbolic links by the rule of
    /// `links`, which may lead anywhere.
    pub fn open_named(&self, path: &RelPath, links: Links) -> Result<Dir, Error> {
        const OPENING: &str = "opening directory";
        let here = self.as_fd().try_clone_to_owned().map_err(Error::when(OPENING))?;
        match resolve::resolve_from(here, path.as_bytes(), links, OPENING)? {
            resolve::Place::Directory(handle) => {
                Ok(self.like(resolve::readable(handle).map_err(Error::when(OPENING))?))
            }
            resolve::Place::Other { .. } => Err(Error::when(OPENING)(rustix::io::Errno::NOTDIR)),
        }
    }

    /// Opens a regular file for reading, or a device if these are read as files. Anything else is an error, and opening
    /// it does not wait (a fifo).
    pub fn open_file(&self, name: &Name) -> Result<ReadFile, Error> {
        file::open_to_read(self, name)
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.held.handle.as_fd()
    }
}

/// A name without the difference between capital and small letters, as far as it is text.
fn folded(name: &Name) -> Vec<u8> {
    std::str::from_utf8(name.as_bytes())
        .map_or_else(|_| name.as_bytes().to_vec(), |text| text.to_lowercase().into_bytes())
}
