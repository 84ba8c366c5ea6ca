//! A tree as it is on disk, and how two of them differ.
//!
//! Hard links are no part of the comparison: each name stands for itself.

use std::collections::btree_map::Keys;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::SystemTime;

use crate::support::xattr::{self, Xattrs};
use xxhash_rust::xxh3::xxh3_128;

/// A second (since the epoch) that is no later than any time which the file system gives from here on.
///
/// It stamps files with a clock of its own, which is behind by up to a tick.
pub(crate) fn from_now() -> i64 {
    filetime::FileTime::now().unix_seconds() - 1
}

/// All entries below a root, and the root itself as the empty path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    entries: BTreeMap<Vec<u8>, Stamp>,
}

/// What was seen at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// As the first column of `ls -l`.
    pub(crate) kind: char,
    pub(crate) mode: u32,
    pub(crate) mtime: Mtime,
    pub(crate) user: u32,
    pub(crate) group: u32,
    /// Length and hash of a file, target of a link, number of a device.
    pub(crate) content: Content,
    pub(crate) xattrs: Xattrs,
    pub(crate) inode: u64,
    /// When the inode was made, if the file system tells: its number may be that of another one before it.
    pub(crate) born: Option<SystemTime>,
}

/// A modification time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mtime {
    /// Seconds and nanoseconds.
    At(i64, i64),
    /// Since the test began: set by the run, by not being set to anything.
    Now,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    None,
    Unreadable,
    Bytes { length: u64, hash: u128 },
    Target(Vec<u8>),
    Device { major: u32, minor: u32 },
}

/// What of two snapshots is compared besides names, kinds and contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Columns {
    pub(crate) mode: bool,
    pub(crate) owner: bool,
    pub(crate) mtime: bool,
    pub(crate) directory_mtime: bool,
    /// Extended attributes and ACLs.
    pub(crate) xattrs: bool,
}

impl Columns {
    /// Everything.
    pub(crate) const ALL: Columns =
        Columns { mode: true, owner: true, mtime: true, directory_mtime: true, xattrs: true };
}

impl Snapshot {
    /// Reads the tree at `root`; empty if there is nothing.
    pub(crate) fn of(root: &Path) -> Snapshot {
        let mut entries = BTreeMap::new();
        if let Ok(meta) = root.symlink_metadata() {
            read(root, Vec::new(), &meta, &mut entries);
        }
        Snapshot { entries }
    }

    /// The paths, sorted.
    pub(crate) fn paths(&self) -> Keys<'_, Vec<u8>, Stamp> {
        self.entries.keys()
    }

    /// The names that are one file, of each file that has several.
    pub(crate) fn groups(&self) -> BTreeSet<BTreeSet<Vec<u8>>> {
        let mut files: BTreeMap<u64, BTreeSet<Vec<u8>>> = BTreeMap::new();
        for (path, stamp) in self.entries.iter().filter(|(_, stamp)| stamp.kind != 'd') {
            files.entry(stamp.inode).or_default().insert(path.clone());
        }
        files.into_values().filter(|names| names.len() > 1).collect()
    }

    /// What is at `path`.
    pub(crate) fn get(&self, path: impl AsRef<[u8]>) -> Option<&Stamp> {
        self.entries.get(path.as_ref())
    }

    /// The same with every time from `since` (a [`from_now`]) to a little after this moment read as [`Mtime::Now`].
    pub(crate) fn with_now(mut self, since: i64) -> Snapshot {
        let until = filetime::FileTime::now().unix_seconds() + 5;
        for stamp in self.entries.values_mut() {
            if matches!(stamp.mtime, Mtime::At(seconds, _) if (since..=until).contains(&seconds)) {
                stamp.mtime = Mtime::Now;
            }
        }
        self
    }

    /// The same with whole seconds for entries that had this time in whole seconds `before`. Times that agree in
    /// their second count as equal, so whether the fraction is brought along is left to chance.
    pub(crate) fn without_fractions_kept_from(mut self, before: &Snapshot) -> Snapshot {
        for (path, stamp) in &mut self.entries {
            if let (Mtime::At(seconds, _), Some(Mtime::At(old, _))) =
                (stamp.mtime, before.entries.get(path).map(|stamp| stamp.mtime))
                && seconds == old
            {
                stamp.mtime = Mtime::At(seconds, 0);
            }
        }
        self
    }

    /// The same with whole seconds.
    pub(crate) fn in_whole_seconds(mut self) -> Snapshot {
        for stamp in self.entries.values_mut() {
            if let Mtime::At(seconds, _) = stamp.mtime {
                stamp.mtime = Mtime::At(seconds, 0);
            }
        }
        self
    }

    /// The same with no times of entries that `is_left_out` names.
    pub(crate) fn without_times(mut self, is_left_out: impl Fn(&[u8], &Stamp) -> bool) -> Snapshot {
        for (path, stamp) in &mut self.entries {
            if is_left_out(path, stamp) {
                stamp.mtime = Mtime::Now;
            }
        }
        self
    }

    /// The same without the paths that `keep` refuses.
    pub(crate) fn retain(mut self, keep: impl Fn(&Vec<u8>) -> bool) -> Snapshot {
        self.entries.retain(|path, _| keep(path));
        self
    }

    /// What differs, one line a path and column; empty if nothing does.
    pub(crate) fn differences(&self, other: &Snapshot, columns: Columns) -> Vec<String> {
        let mut lines = Vec::new();
        for (path, mine) in &self.entries {
            let name = shown(path);
            match other.entries.get(path) {
                None => lines.push(format!("{name}: only left, {}", mine.kind)),
                Some(theirs) => {
                    let found = mine.differences(theirs, columns);
                    lines.extend(found.into_iter().map(|found| format!("{name}: {found}")));
                }
            }
        }
        for (path, theirs) in &other.entries {
            if !self.entries.contains_key(path) {
                lines.push(format!("{}: only right, {}", shown(path), theirs.kind));
            }
        }
        lines
    }

    /// Fails the test unless `other` is the same.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Snapshot, columns: Columns) {
        let differences = self.differences(other, columns);
        assert!(differences.is_empty(), "the trees differ:\n{}\n", differences.join("\n"));
    }
}

/// Fails the test unless the trees at `left` and `right` are the same.
#[track_caller]
pub(crate) fn assert_same(left: &Path, right: &Path, columns: Columns) {
    Snapshot::of(left).assert_same(&Snapshot::of(right), columns);
}

impl Stamp {
    fn differences(&self, other: &Stamp, columns: Columns) -> Vec<String> {
        if self.kind != other.kind {
            return vec![format!("kind {} and {}", self.kind, other.kind)];
        }
        let mut found = Vec::new();
        if self.content != other.content {
            found.push(format!("content {:?} and {:?}", self.content, other.content));
        }
        if columns.mode && self.mode != other.mode {
            found.push(format!("mode {:o} and {:o}", self.mode, other.mode));
        }
        if columns.owner && (self.user, self.group) != (other.user, other.group) {
            found.push(format!("owner {}:{} and {}:{}", self.user, self.group, other.user, other.group));
        }
        if columns.xattrs && self.xattrs != other.xattrs {
            let shown = |xattrs: &Xattrs| {
                let one = |(name, value): (&Vec<u8>, &Vec<u8>)| {
                    format!("{}={}", name.escape_ascii(), value[..value.len().min(60)].escape_ascii())
                };
                xattrs.iter().map(one).collect::<Vec<_>>().join(" ")
            };
            found.push(format!("attributes {} and {}", shown(&self.xattrs), shown(&other.xattrs)));
        }
        let times = if self.kind == 'd' { columns.directory_mtime } else { columns.mtime };
        if times && self.mtime != other.mtime {
            found.push(format!("mtime {:?} and {:?}", self.mtime, other.mtime));
        }
        found
    }
}

fn read(at: &Path, path: Vec<u8>, meta: &Metadata, entries: &mut BTreeMap<Vec<u8>, Stamp>) {
    if meta.is_dir() {
        let listing = fs::read_dir(at).into_iter().flatten().map_while(Result::ok);
        for entry in listing {
            let name = entry.file_name();
            let below = if path.is_empty() {
                name.as_bytes().to_vec()
            } else {
                [path.as_slice(), name.as_bytes()].join(&b'/')
            };
            if let Ok(meta) = entry.metadata() {
                read(&entry.path(), below, &meta, entries);
            }
        }
    }
    entries.insert(path, stamp(at, meta));
}

fn stamp(at: &Path, meta: &Metadata) -> Stamp {
    let kind = meta.file_type();
    let device =
        || Content::Device { major: rustix::fs::major(meta.rdev()), minor: rustix::fs::minor(meta.rdev()) };
    let (kind, content) = if kind.is_file() {
        let content = fs::read(at).map_or(Content::Unreadable, |bytes| Content::Bytes {
            length: meta.len(),
            hash: xxh3_128(&bytes),
        });
        ('-', content)
    } else if kind.is_dir() {
        ('d', Content::None)
    } else if kind.is_symlink() {
        ('l', Content::Target(fs::read_link(at).unwrap().as_os_str().as_bytes().to_vec()))
    } else if kind.is_fifo() {
        ('p', Content::None)
    } else if kind.is_socket() {
        ('s', Content::None)
    } else if kind.is_char_device() {
        ('c', device())
    } else {
        ('b', device())
    };
    Stamp {
        kind,
        mode: meta.mode() & 0o7777,
        mtime: Mtime::At(meta.mtime(), meta.mtime_nsec()),
        user: meta.uid(),
        group: meta.gid(),
        content,
        xattrs: xattr::read(at),
        inode: meta.ino(),
        born: meta.created().ok(),
    }
}

fn shown(path: &[u8]) -> String {
    if path.is_empty() { ".".to_owned() } else { path.escape_ascii().to_string() }
}
