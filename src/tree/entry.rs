//! An entry of a directory as a run compares it.

use crate::tree::{Acls, Gid, Name, Uid, XattrSums};
use filetime::FileTime;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What an entry is, without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix-domain socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Kind {
    /// Every kind, each at the place that is its code.
    const CODED: [Kind; 7] = [
        Kind::File,
        Kind::Directory,
        Kind::Symlink,
        Kind::Fifo,
        Kind::Socket,
        Kind::CharDevice,
        Kind::BlockDevice,
    ];

    /// The number that stands for it on the wire and in what is hashed.
    pub fn code(self) -> u8 {
        match self {
            Kind::File => 0,
            Kind::Directory => 1,
            Kind::Symlink => 2,
            Kind::Fifo => 3,
            Kind::Socket => 4,
            Kind::CharDevice => 5,
            Kind::BlockDevice => 6,
        }
    }

    /// The kind with this code, if there is one.
    pub fn from_code(code: u8) -> Option<Kind> {
        Kind::CODED.get(usize::from(code)).copied()
    }

    /// Whether `--devices` is what keeps this kind.
    pub fn is_device(self) -> bool {
        matches!(self, Kind::CharDevice | Kind::BlockDevice)
    }

    /// Whether `--specials` is what keeps this kind.
    pub fn is_special(self) -> bool {
        matches!(self, Kind::Fifo | Kind::Socket)
    }
}

/// A device number, split as the kernel's interfaces split it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rdev {
    /// Which driver.
    pub major: u32,
    /// Which of the driver's devices.
    pub minor: u32,
}

/// What an entry is, with the details that belong to that kind only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// A regular file of `size` bytes.
    File {
        /// Length in bytes.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// The text of the link: any bytes but NUL, never followed.
        target: Box<[u8]>,
    },
    /// A named pipe.
    Fifo,
    /// A Unix-domain socket.
    Socket,
    /// A character device.
    CharDevice(Rdev),
    /// A block device.
    BlockDevice(Rdev),
}

impl Node {
    /// The kind alone.
    pub fn kind(&self) -> Kind {
        match self {
            Node::File { .. } => Kind::File,
            Node::Directory => Kind::Directory,
            Node::Symlink { .. } => Kind::Symlink,
            Node::Fifo => Kind::Fifo,
            Node::Socket => Kind::Socket,
            Node::CharDevice(_) => Kind::CharDevice,
            Node::BlockDevice(_) => Kind::BlockDevice,
        }
    }

    /// The bytes a person would count: a file's length, a link's target length, else 0.
    pub fn size(&self) -> u64 {
        match self {
            Node::File { size } => *size,
            Node::Symlink { target } => target.len() as u64,
            _ => 0,
        }
    }
}

/// The attributes every kind of entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777.
    pub mode: u32,
    /// Time of last modification, with nanoseconds.
    pub mtime: FileTime,
    /// Owner, by the numbers of the host the entry was seen on.
    pub uid: Uid,
    /// Group, by the numbers of the host the entry was seen on.
    pub gid: Gid,
}

/// The permission bits of a file that is to be executable as another one is: one that nobody can execute, where
/// somebody can execute the other, can be executed by all who may read it; one whose like nobody can execute, by
/// nobody.
pub fn executable_like(have: u32, other: u32) -> u32 {
    const EXECUTE: u32 = 0o111;
    if other & EXECUTE == 0 {
        have & !EXECUTE
    } else if have & EXECUTE == 0 {
        have | (have & 0o444) >> 2
    } else {
        have
    }
}

/// Whom an entry belongs to, by the numbers of one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The user.
    pub uid: Uid,
    /// The group.
    pub gid: Gid,
}

impl Meta {
    /// The user and the group.
    pub fn owner(&self) -> Owner {
        Owner { uid: self.uid, gid: self.gid }
    }
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the directory.
    pub name: Name,
    /// What it is.
    pub node: Node,
    /// Its attributes.
    pub meta: Meta,
    /// What only some runs look at, where it has any of that.
    pub extra: Option<Box<Extra>>,
}

/// What only runs with certain options look at. Each field is `None` where nobody asked for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extra {
    /// `-U`: time of last access, with nanoseconds.
    pub atime: Option<FileTime>,
    /// `-A`: its ACLs, as far as its mode does not say them, by the numbers of the host it was seen on. Entries that
    /// have the same may share them.
    pub acls: Option<Arc<Acls>>,
    /// `-X`: sums of its extended attributes.
    pub xattrs: XattrSums,
    /// Of an entry that was seen to have several names: which of the host's files it is. It never leaves the host.
    pub inode: Option<Inode>,
    /// `--remove-source-files`: what the entry itself was when it was seen, even if another one that it leads to stands
    /// for it. It never leaves the host.
    pub stamp: Option<Box<Stamp>>,
    /// `-H`: of an entry that is listed as one of several names of a file.
    pub group: Option<Group>,
}

impl Extra {
    /// In the form in which an entry has it: none if it says nothing.
    pub fn boxed(self) -> Option<Box<Extra>> {
        (self != Extra::default()).then(|| Box::new(self))
    }
}

/// What tells a version of a file from every other: if it is equal at two moments, nobody changed the file between
/// them (within the clock's resolution).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Stamp {
    /// Device the file is on.
    pub dev: u64,
    /// Inode on that device.
    pub ino: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last modification.
    pub mtime: FileTime,
    /// Last change to content or attributes.
    pub ctime: FileTime,
}

/// Which file a name leads to: device and inode.
pub type InodeId = (u64, u64);

impl Stamp {
    /// Which file it is of, whatever it is called.
    pub fn inode(&self) -> InodeId {
        (self.dev, self.ino)
    }
}

/// Names that are one file at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Group {
    /// The number that the source gave to the file.
    pub number: u32,
    /// Whether this is the last of its names, after which the number is no longer needed.
    pub last: bool,
}

/// A file of a host, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inode {
    /// Device and inode: what tells it from every other at the same moment.
    pub identity: InodeId,
    /// How many names it has.
    pub names: u64,
}

impl Entry {
    /// An entry of which nothing more is known.
    pub fn new(name: Name, node: Node, meta: Meta) -> Entry {
        Entry { name, node, meta, extra: None }
    }

    /// Its ACLs, if it has any and they were looked at.
    pub fn acls(&self) -> Option<&Acls> {
        self.extra.as_ref()?.acls.as_deref()
    }

    /// Whether it has extended attributes, as far as they were looked at.
    pub fn has_xattrs(&self) -> bool {
        self.extra.as_ref().is_some_and(|extra| !extra.xattrs.is_empty())
    }

    /// The kind alone.
    pub fn kind(&self) -> Kind {
        self.node.kind()
    }

    /// What only some runs look at, to be changed.
    pub fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Takes in what a closer look saw of it, which is not told of its names.
    pub fn see_more(&mut self, seen: Option<Box<Extra>>) {
        let (inode, stamp) = (self.inode(), self.stamp());
        self.extra = seen;
        if inode.is_some() || stamp.is_some() {
            let extra = self.extra_mut();
            (extra.inode, extra.stamp) = (inode, stamp.map(Box::new));
        }
    }

    /// Takes out which of the host's files it is, if it has several names.
    pub fn take_inode(&mut self) -> Option<Inode> {
        let inode = self.extra.as_mut()?.inode.take();
        self.extra.take_if(|extra| **extra == Extra::default());
        inode
    }

    /// What it was when it was seen, if that is to be known.
    pub fn stamp(&self) -> Option<Stamp> {
        self.extra.as_ref()?.stamp.as_deref().copied()
    }

    /// The same as another host is told of it.
    pub fn told(&self) -> Entry {
        let mut told = self.clone();
        if let Some(extra) = &mut told.extra {
            (extra.inode, extra.stamp) = (None, None);
        }
        told.extra.take_if(|extra| **extra == Extra::default());
        told
    }

    /// Which of the host's files it is, if it has several names.
    pub fn inode(&self) -> Option<Inode> {
        self.extra.as_ref()?.inode
    }

    /// The group of names it belongs to, which are one file at the source.
    pub fn group(&self) -> Option<Group> {
        self.extra.as_ref()?.group
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.kind() == Kind::Directory
    }
}
