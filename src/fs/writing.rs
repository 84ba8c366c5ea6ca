//! How files are written below a root: what a run asks of every file it writes.
//!
//! It is said once, where the root is opened, and goes along with every handle that the root gives out, so that none of
//! those who write can forget it.

use crate::fs::Dir;

/// Whether a copy shares blocks with what it is a copy of, where the file system can have two files do so. Neither
/// sees what is written to the other afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Where it can.
    #[default]
    Possible,
    /// It must, if all of a file is copied.
    Demanded,
    /// Never: every byte is written.
    Never,
}

/// How files are written. [`Writing::default`] is beside the file that is replaced, every byte of it, and whenever the
/// system likes.
#[derive(Debug, Clone, Default)]
pub struct Writing {
    /// What was written is on the disk before the file gets its name.
    pub fsync: bool,
    /// Zeros take no room where the file system can do without.
    pub sparse: bool,
    /// Whether copies share blocks.
    pub sharing: Sharing,
    /// New versions are staged here, and not beside the old ones.
    pub temp: Option<Dir>,
}
