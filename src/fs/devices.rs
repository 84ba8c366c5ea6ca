//! Devices whose content is read or written as if they were files (`--copy-devices`, `--write-devices`).
//!
//! Nothing but this lets the content of a device be touched: where nobody asked for it, opening one is refused, and so
//! is any other special file always. A device that keeps blocks is as long as these are. Any other, as a terminal or
//! `/dev/zero`, has no length, so nothing is read of it.

use crate::fs::status;
use crate::tree::{Kind, Meta, Node};
use filetime::FileTime;
use rustix::fs::{OFlags, SeekFrom, Stat};
use std::os::fd::{AsFd, OwnedFd};

/// What becomes of the devices of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Devices {
    /// They are entries, and nobody touches their content.
    #[default]
    Entries,
    /// They are listed as files, which were changed just now, and read as such.
    Read,
    /// They are listed as entries, and written to, and read, as files.
    Written,
}

impl Devices {
    /// Devices are read, if that is asked for.
    pub fn read(is_asked: bool) -> Devices {
        if is_asked { Devices::Read } else { Devices::Entries }
    }

    /// Devices are written to, if that is asked for.
    pub fn written(is_asked: bool) -> Devices {
        if is_asked { Devices::Written } else { Devices::Entries }
    }

    /// Whether what has this `stat` may be opened for its content.
    pub(super) fn have_content(self, stat: &Stat) -> bool {
        match status::kind(stat) {
            Some(Kind::File) => true,
            Some(kind) => kind.is_device() && self != Devices::Entries,
            None => false,
        }
    }

    /// Whether what is of the kind `found` may be meant where something of the kind `meant` was listed.
    pub(super) fn may_be(self, found: Option<Kind>, meant: Kind) -> bool {
        let is_file = || meant == Kind::File && found.is_some_and(Kind::is_device);
        found == Some(meant) || (self != Devices::Entries && is_file())
    }

    /// How an entry is listed whose inode has this `stat`. `open` opens it to read.
    pub(super) fn listed(
        self,
        (node, meta): (Node, Meta),
        stat: &Stat,
        open: impl FnOnce(OFlags) -> rustix::io::Result<OwnedFd>,
    ) -> (Node, Meta) {
        let size = match status::kind(stat) {
            // One that cannot be opened will say so when it is to be read.
            Some(Kind::BlockDevice) if self == Devices::Read => open(OFlags::RDONLY).map_or(0, length),
            Some(Kind::CharDevice) if self == Devices::Read => 0,
            // It stands for a device: its own content is all that there is.
            Some(Kind::File) if self == Devices::Read && node.kind().is_device() => status::size(stat),
            _ => return (node, meta),
        };
        let now = FileTime::from_unix_time(FileTime::now().unix_seconds(), 0);
        // Whoever may run the copy is not given another's rights with it.
        (Node::File { size }, Meta { mtime: now, mode: meta.mode & 0o777, ..meta })
    }
}

/// How many bytes an open device holds: none that cannot tell. The handle's offset is lost.
pub(super) fn length(device: impl AsFd) -> u64 {
    rustix::fs::seek(device, SeekFrom::End(0)).unwrap_or(0)
}
