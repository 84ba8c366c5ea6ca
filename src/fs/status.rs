//! What a `stat` says, in the words of `tree`.

use crate::tree::{Gid, Inode, Kind, Meta, Rdev, Uid};
use filetime::FileTime;
use rustix::fs::{FileType, Stat};

/// What an entry is and has, apart from what only its kind has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status {
    /// `None` for a kind that dsync does not know.
    pub kind: Option<Kind>,
    pub meta: Meta,
    /// The number of a device entry.
    pub device: Rdev,
}

impl Status {
    /// What the inode itself says.
    pub(super) fn of(stat: &Stat) -> Status {
        Status { kind: kind(stat), meta: meta(stat), device: device(stat) }
    }
}

/// The kind of an entry; `None` for a kind that dsync does not know (doors, whiteouts of other systems).
pub(super) fn kind(stat: &Stat) -> Option<Kind> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Some(Kind::File),
        FileType::Directory => Some(Kind::Directory),
        FileType::Symlink => Some(Kind::Symlink),
        FileType::Fifo => Some(Kind::Fifo),
        FileType::Socket => Some(Kind::Socket),
        FileType::CharacterDevice => Some(Kind::CharDevice),
        FileType::BlockDevice => Some(Kind::BlockDevice),
        _ => None,
    }
}

/// The attributes every kind has.
#[allow(clippy::unnecessary_cast, reason = "the widths of the fields differ by platform")]
pub(super) fn meta(stat: &Stat) -> Meta {
    Meta {
        mode: (stat.st_mode as u32) & 0o7777,
        mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        uid: Uid(stat.st_uid),
        gid: Gid(stat.st_gid),
    }
}

/// Length in bytes; a negative one, which only a broken file system reports, is 0.
#[allow(clippy::unnecessary_cast, reason = "the widths of the fields differ by platform")]
pub(super) fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size as i64).unwrap_or(0)
}

/// Whether a file has holes of some size. One that its file system compresses may seem so.
#[allow(clippy::unnecessary_cast, reason = "the widths of the fields differ by platform")]
pub(super) fn has_holes(stat: &Stat) -> bool {
    /// What st_blocks counts in.
    const UNIT: u64 = 512;
    /// Bytes that are worth asking where they are.
    const LEAST: u64 = 64 << 10;
    let held = u64::try_from(stat.st_blocks as i64).unwrap_or(0).saturating_mul(UNIT);
    size(stat) >= held.saturating_add(LEAST)
}

/// The number of a device entry.
fn device(stat: &Stat) -> Rdev {
    Rdev { major: rustix::fs::major(stat.st_rdev), minor: rustix::fs::minor(stat.st_rdev) }
}

/// Device and inode: what tells one file from every other at the same moment.
#[allow(clippy::unnecessary_cast, reason = "the widths of the fields differ by platform")]
pub(super) fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

/// Which file it is, if it has several names. Those of a directory are the system's own.
#[allow(clippy::unnecessary_cast, reason = "the widths of the fields differ by platform")]
pub(super) fn inode(stat: &Stat) -> Option<Inode> {
    let names = stat.st_nlink as u64;
    let several = names > 1 && kind(stat) != Some(Kind::Directory);
    several.then(|| Inode { identity: identity(stat), names })
}

/// The time of the last change to content or attributes, which nobody can set back.
#[allow(clippy::unnecessary_cast, reason = "the widths of the fields differ by platform")]
pub(super) fn changed(stat: &Stat) -> FileTime {
    time(stat.st_ctime as i64, stat.st_ctime_nsec as i64)
}

/// The time of the last access.
#[allow(clippy::unnecessary_cast, reason = "the widths of the fields differ by platform")]
pub(super) fn accessed(stat: &Stat) -> FileTime {
    time(stat.st_atime as i64, stat.st_atime_nsec as i64)
}

/// Broken file systems report a billion nanoseconds and more, which no call would take back.
fn time(seconds: i64, nanoseconds: i64) -> FileTime {
    FileTime::from_unix_time(seconds, u32::try_from(nanoseconds.clamp(0, 999_999_999)).unwrap_or(0))
}
