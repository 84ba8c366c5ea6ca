//! Trees as data: built in memory, edited, and written wherever a test wants one.

use crate::support::xattr::{self, Xattrs};
use filetime::FileTime;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::mem::discriminant;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    File(Vec<u8>),
    Directory,
    Symlink(Vec<u8>),
    Fifo,
    Socket,
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
}

/// A node with its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) node: Node,
    /// Permission bits; of no meaning for a symbolic link.
    pub(crate) mode: u32,
    pub(crate) mtime: FileTime,
    /// When it was last read; `None`: when it was changed.
    pub(crate) atime: Option<FileTime>,
    /// User and group; `None` leaves them as they come.
    pub(crate) owner: Option<(u32, u32)>,
    /// Extended attributes, ACLs among them.
    pub(crate) xattrs: Xattrs,
}

/// The modification time of what does not say otherwise.
pub(crate) const LONG_AGO: FileTime = FileTime::from_unix_time(1_600_000_000, 123_456_789);

impl Entry {
    /// A node with the attributes it would have if someone had made it [`LONG_AGO`].
    pub(crate) fn new(node: Node) -> Entry {
        let mode = if node == Node::Directory { 0o755 } else { 0o644 };
        Entry { node, mode, mtime: LONG_AGO, atime: None, owner: None, xattrs: Xattrs::new() }
    }

    pub(crate) fn is_directory(&self) -> bool {
        self.node == Node::Directory
    }
}

/// A tree below a root directory, which is the entry with the empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tree {
    /// By path; parents come before what is in them.
    pub(crate) entries: BTreeMap<Vec<u8>, Entry>,
    /// Names that are to be the file which has another name, where both are there, of one kind and no directories.
    pub(crate) links: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Tree {
    /// An empty root.
    pub(crate) fn new() -> Tree {
        Tree { entries: BTreeMap::from([(Vec::new(), Entry::new(Node::Directory))]), links: BTreeMap::new() }
    }

    /// Adds a regular file.
    pub(crate) fn file(self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Tree {
        self.with(path, Entry::new(Node::File(content.as_ref().to_vec())))
    }

    /// Adds a directory.
    pub(crate) fn directory(self, path: impl AsRef<[u8]>) -> Tree {
        self.with(path, Entry::new(Node::Directory))
    }

    /// Adds a symbolic link.
    pub(crate) fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Tree {
        self.with(path, Entry::new(Node::Symlink(target.as_ref().to_vec())))
    }

    /// Adds a node of any kind.
    pub(crate) fn node(self, path: impl AsRef<[u8]>, node: Node) -> Tree {
        self.with(path, Entry::new(node))
    }

    /// Adds an entry, and the directories above it where they are not there.
    pub(crate) fn with(mut self, path: impl AsRef<[u8]>, entry: Entry) -> Tree {
        self.insert(path.as_ref(), entry);
        self
    }

    /// Gives the entry at `path` a mode.
    pub(crate) fn mode(mut self, path: impl AsRef<[u8]>, mode: u32) -> Tree {
        self.entry(path.as_ref()).mode = mode;
        self
    }

    /// Gives the entry at `path` an extended attribute.
    pub(crate) fn xattr(
        mut self,
        path: impl AsRef<[u8]>,
        name: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Tree {
        let xattrs = &mut self.entry(path.as_ref()).xattrs;
        xattrs.insert(name.as_ref().to_vec(), value.as_ref().to_vec());
        self
    }

    /// Gives the entry at `path` a modification time in whole seconds.
    pub(crate) fn mtime(mut self, path: impl AsRef<[u8]>, seconds: i64) -> Tree {
        self.entry(path.as_ref()).mtime = FileTime::from_unix_time(seconds, 0);
        self
    }

    fn entry(&mut self, path: &[u8]) -> &mut Entry {
        self.entries.get_mut(path).unwrap_or_else(|| panic!("no {} in the tree", path.escape_ascii()))
    }

    /// As [`Tree::with`].
    pub(crate) fn insert(&mut self, path: &[u8], entry: Entry) {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for (slash, _) in slashes {
            self.entries.entry(path[..slash].to_vec()).or_insert_with(|| Entry::new(Node::Directory));
        }
        self.entries.insert(path.to_vec(), entry);
    }

    /// Takes away `path` and all below it.
    pub(crate) fn remove(&mut self, path: &[u8]) {
        let below = [path, b"/"].concat();
        self.entries.retain(|other, _| other != path && !other.starts_with(&below));
    }

    /// Makes the tree at `root`, which may exist if it is an empty directory.
    pub(crate) fn write(&self, root: &Path) {
        for (path, entry) in &self.entries {
            make(&entry.node, &at(root, path));
        }
        for (path, other) in &self.links {
            let kind = |path| self.entries.get(path).map(|entry| discriminant(&entry.node));
            let is_linked = path != other && kind(path) == kind(other);
            if is_linked && self.entries.get(path).is_some_and(|entry| !entry.is_directory()) {
                fs::remove_file(at(root, path)).unwrap();
                fs::hard_link(at(root, other), at(root, path)).unwrap();
            }
        }
        // From the leaves up: a directory may take its own writability away, and gets its time when it is full.
        for (path, entry) in self.entries.iter().rev() {
            set_attributes(entry, &at(root, path));
        }
    }
}

/// The place of `path` below `root`.
pub(crate) fn at(root: &Path, path: &[u8]) -> PathBuf {
    if path.is_empty() { root.to_owned() } else { root.join(OsStr::from_bytes(path)) }
}

/// `path` with a trailing slash, which on a command line means its contents.
pub(crate) fn contents(path: &Path) -> PathBuf {
    path.join("")
}

fn make(node: &Node, at: &Path) {
    let made = match node {
        Node::File(content) => fs::write(at, content),
        Node::Directory => fs::create_dir(at).or_else(|error| if at.is_dir() { Ok(()) } else { Err(error) }),
        Node::Symlink(target) => symlink(OsStr::from_bytes(target), at),
        Node::Fifo => make_special(FileType::Fifo, 0, at),
        Node::Socket => make_special(FileType::Socket, 0, at),
        Node::CharDevice(major, minor) => {
            make_special(FileType::CharacterDevice, makedev(*major, *minor), at)
        }
        Node::BlockDevice(major, minor) => make_special(FileType::BlockDevice, makedev(*major, *minor), at),
    };
    made.unwrap_or_else(|error| panic!("making {}: {error}", at.display()));
}

fn make_special(kind: FileType, device: u64, at: &Path) -> std::io::Result<()> {
    Ok(mknodat(CWD, at, kind, Mode::from_raw_mode(0o600), device)?)
}

/// The owner first, because a change of owner clears the set-id bits.
fn set_attributes(entry: &Entry, at: &Path) {
    if let Some((user, group)) = entry.owner {
        lchown(at, Some(user), Some(group)).unwrap();
    }
    if !matches!(entry.node, Node::Symlink(_)) {
        fs::set_permissions(at, fs::Permissions::from_mode(entry.mode)).unwrap();
    }
    // A node that took another's place may have what it cannot keep.
    let is_kept = |name: &[u8]| match &entry.node {
        Node::Directory => true,
        Node::File(_) => name != xattr::DEFAULT_ACL,
        _ => !name.starts_with(b"user.") && !name.starts_with(b"system."),
    };
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_kept(name)) {
        xattr::set(at, name, value);
    }
    filetime::set_symlink_file_times(at, entry.atime.unwrap_or(entry.mtime), entry.mtime).unwrap();
}

/// Bytes that no compression makes shorter, the same for the same seed: Marsaglia's xorshift64.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let step = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(step).take(length / 8 + 1).flatten().take(length).collect()
}
