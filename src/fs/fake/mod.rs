//! Attributes that only root may set, kept where anybody may: in extended attributes (`--fake-super`).
//!
//! A tree that is kept so is made of directories and regular files that belong to whoever made it, who can always read
//! and change them. What the entries are besides stands in attributes of the names and forms that rsync gives them, so
//! that each of the two programs reads the trees of the other:
//!
//! | attribute | what it holds |
//! |---|---|
//! | `user.rsync.%stat` | kind, permissions, device number, owner and group (`stat`); missing if the inode says just that |
//! | `user.rsync.%aacl`, `user.rsync.%dacl` | the ACLs (`acl`) |
//! | `user.rsync.NAME` | the attribute NAME, if that is none of `user.` |
//!
//! A symbolic link is a file that holds what it leads to, and all other kinds are empty files. The inode has the
//! permissions too, but for those that would shut its owner out or let a program run as somebody else.
//!
//! This is all that knows of it: who lists, reads and writes goes by the [`Keeping`] of its directory, and everybody
//! else sees entries as they are meant. What is no directory never stands for one, nor the other way round, whatever an
//! attribute says.

mod acl;
mod stat;

pub(super) use acl::{acls, set_acls};

use crate::fs::attributes::{self, SetMeta, mode_bits};
use crate::fs::status::{self, Status};
use crate::fs::{Error, extended, file};
use crate::tree::xattr::is_users;
use crate::tree::{Entry, Kind, Meta, Name, Node, Rdev};
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;
use stat::Kept;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Where the attributes of the entries of a tree are kept that only root may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keeping {
    /// In their inodes.
    #[default]
    Inodes,
    /// In extended attributes, as far as inodes do not say the same.
    Attributes,
}

/// What all names begin with that are of no use but here, and those of attributes that stand for others.
const PREFIX: &[u8] = b"user.rsync.";
/// Names that stand for none.
const OWN: &[u8] = b"user.rsync.%";
const STAT: &[u8] = b"user.rsync.%stat";

const READING: &str = "reading attributes of";
const READING_LINK: &str = "reading symbolic link";
const KEEPING: &str = "keeping the attributes of";
const CREATING: &str = "creating";

/// The longest target of a symbolic link (PATH_MAX of Linux, less its NUL).
const LONGEST_TARGET: usize = 4095;

impl Keeping {
    /// In extended attributes, if that is asked for.
    pub fn faked(is_asked: bool) -> Keeping {
        if is_asked { Keeping::Attributes } else { Keeping::Inodes }
    }

    /// The name of the attribute that is seen where an entry has one of this name, if any is.
    pub(super) fn seen(self, name: &[u8]) -> Option<&[u8]> {
        match self {
            Keeping::Inodes => Some(name),
            Keeping::Attributes if name.starts_with(OWN) => None,
            // Others are the system's about the file, not of what it stands for.
            Keeping::Attributes if !is_users(name) => None,
            Keeping::Attributes => Some(name.strip_prefix(PREFIX).unwrap_or(name)),
        }
    }

    /// The name under which an attribute is kept; `None` of one that is kept nowhere.
    pub(super) fn kept(self, name: &[u8]) -> Option<Vec<u8>> {
        match self {
            Keeping::Attributes if name.starts_with(OWN) => None,
            Keeping::Attributes if !is_users(name) => Some([PREFIX, name].concat()),
            Keeping::Attributes | Keeping::Inodes => Some(name.to_vec()),
        }
    }

    /// What an entry is that `handle` refers to and that has this `stat`.
    pub(super) fn status(self, handle: BorrowedFd<'_>, stat: &Stat) -> Result<Status, Error> {
        let status = Status::of(stat);
        match self {
            Keeping::Inodes => Ok(status),
            Keeping::Attributes => Ok(match kept(handle, stat)? {
                None => status,
                Some(Kept { kind, mode, device, uid, gid }) => {
                    Status { kind: Some(kind), meta: Meta { mode, uid, gid, ..status.meta }, device }
                }
            }),
        }
    }

    /// The same of an entry of a directory, of which this is the `stat`, with the handle that it took.
    pub(super) fn status_of_entry(
        self,
        dir: BorrowedFd<'_>,
        name: &Name,
        stat: &Stat,
    ) -> Result<(Status, Option<OwnedFd>), Error> {
        let kind = match (self, status::kind(stat)) {
            (Keeping::Attributes, Some(kind @ (Kind::File | Kind::Directory))) => kind,
            _ => return Ok((Status::of(stat), None)),
        };
        let opened = attributes::entry_handle(dir, name, kind).unwrap_or(Err(Errno::OPNOTSUPP));
        let handle = opened.map_err(|error| match error {
            // It was replaced meanwhile.
            Errno::LOOP | Errno::NOTDIR => Error::when(READING)(Errno::NOENT),
            error => Error::when(READING)(error),
        })?;
        Ok((self.status(handle.as_fd(), stat)?, Some(handle)))
    }

    /// A handle on an entry that was listed as of this kind. `None` where there are none that would do.
    pub(super) fn handle(
        self,
        dir: BorrowedFd<'_>,
        name: &Name,
        kind: Kind,
    ) -> Option<rustix::io::Result<OwnedFd>> {
        attributes::entry_handle(dir, name, kind).or_else(|| match self {
            Keeping::Inodes => None,
            Keeping::Attributes => attributes::entry_handle(dir, name, Kind::File),
        })
    }

    /// The permissions with which a file or directory is made that is to have these.
    pub(super) fn made_with(self, mode: u32) -> u32 {
        match self {
            Keeping::Inodes => mode,
            Keeping::Attributes => open_mode(Kind::File, mode),
        }
    }
}

/// The permissions of the inode of an entry that has these: its owner is never shut out.
fn open_mode(kind: Kind, mode: u32) -> u32 {
    (mode & 0o777) | if kind == Kind::Directory { 0o700 } else { 0o600 }
}

/// What the attribute says.
fn kept(handle: BorrowedFd<'_>, stat: &Stat) -> Result<Option<Kept>, Error> {
    let kind = status::kind(stat);
    if !matches!(kind, Some(Kind::File | Kind::Directory)) {
        return Ok(None);
    }
    let Some(text) = extended::value(handle, STAT).map_err(Error::when(READING))? else { return Ok(None) };
    let is_directory = kind == Some(Kind::Directory);
    let kept = Kept::parse(&text).filter(|kept| (kept.kind == Kind::Directory) == is_directory);
    kept.map(Some).ok_or_else(|| {
        let why = "its attribute user.rsync.%stat says what cannot be";
        Error::refused(READING, io::ErrorKind::InvalidData, why)
    })
}

/// Sets owner, group and mode, as far as they are to be set.
pub(super) fn set(handle: BorrowedFd<'_>, meta: &SetMeta) -> Result<(), Error> {
    if meta.owner.is_none() && meta.group.is_none() && meta.mode.is_none() {
        return Ok(());
    }
    attributes::owners(meta)?;
    let stat = rustix::fs::fstat(handle).map_err(Error::when(KEEPING))?;
    let Some(real) = Kept::of(&stat) else { return Err(Error::when(KEEPING)(Errno::OPNOTSUPP)) };
    // What cannot be is written over.
    let has = kept(handle, &stat).ok().flatten().unwrap_or(real);
    let mode = meta.mode.map_or(has.mode, |mode| mode & 0o7777);
    let (uid, gid) = (meta.owner.unwrap_or(has.uid), meta.group.unwrap_or(has.gid));
    keep(handle, &real, &Kept { mode, uid, gid, ..has })
}

/// Has an inode that is `real` stand for what is to be kept.
fn keep(handle: BorrowedFd<'_>, real: &Kept, kept: &Kept) -> Result<(), Error> {
    let open = open_mode(kept.kind, kept.mode);
    if real.mode != open {
        attributes::set_mode(handle, mode_bits(open)).map_err(Error::when(KEEPING))?;
    }
    let says_all = *kept == Kept { mode: open, ..*real };
    let text = (!says_all).then(|| kept.to_string().into_bytes());
    extended::set_or_remove(handle, STAT, text.as_deref()).map_err(Error::when(KEEPING))
}

/// Makes what stands for anything but a file or directory, or leaves nothing. The name must be free.
pub(super) fn make(
    dir: BorrowedFd<'_>,
    name: &Name,
    node: &Node,
    mode: Option<u32>,
    umask: u32,
) -> Result<(), Error> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | file::PLAIN;
    let handle = rustix::fs::openat(dir, name.as_bytes(), flags, Mode::RUSR | Mode::WUSR)
        .map_err(Error::when(CREATING))?;
    fill(handle.as_fd(), node, mode, umask).inspect_err(|_| {
        // If that fails too, the first error is the one to tell.
        let _ = rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::empty());
    })
}

fn fill(handle: BorrowedFd<'_>, node: &Node, mode: Option<u32>, umask: u32) -> Result<(), Error> {
    let (device, default) = match node {
        Node::Symlink { target } => {
            file::write_full(handle, target, 0).map_err(Error::when(CREATING))?;
            (NO_DEVICE, 0o777)
        }
        Node::CharDevice(device) | Node::BlockDevice(device) => (*device, 0o666 & !umask),
        _ => (NO_DEVICE, 0o666 & !umask),
    };
    let stat = rustix::fs::fstat(handle).map_err(Error::when(CREATING))?;
    let Some(real) = Kept::of(&stat) else { return Err(Error::when(CREATING)(Errno::INVAL)) };
    let mode = mode.map_or(default, |mode| mode & 0o7777);
    keep(handle, &real, &Kept { kind: node.kind(), mode, device, ..real })
}

const NO_DEVICE: Rdev = Rdev { major: 0, minor: 0 };

/// What the symbolic link leads to that a file stands for; nothing, as no link of a system does, if it holds no path.
pub(super) fn target(handle: BorrowedFd<'_>) -> Result<Box<[u8]>, Error> {
    // One byte more shows that it is too long.
    let mut target = vec![0; LONGEST_TARGET + 1];
    let read = file::read_full(handle, &mut target, 0).map_err(Error::when(READING_LINK))?;
    target.truncate(read);
    let is_path = read <= LONGEST_TARGET && !target.contains(&0);
    Ok(if is_path { target.into() } else { Box::default() })
}

/// What is wrong with a symbolic link that leads to nothing: it can be replaced, but not be made like.
pub fn fault_of_link(entry: &Entry) -> Option<Error> {
    let is_pathless = matches!(&entry.node, Node::Symlink { target } if target.is_empty());
    is_pathless.then(|| {
        let why = "the file that stands for it holds no path";
        Error::refused(READING_LINK, io::ErrorKind::InvalidData, why)
    })
}
