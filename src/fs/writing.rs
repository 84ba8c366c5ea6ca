//! How files are written below a root: what a run asks of every file it writes.
//!
//! It is said once, where the root is opened, and goes along with every handle that the root gives out, so that none of
//! those who write can forget it.

use crate::fs::Dir;

/// How files are written. [`Writing::default`] is beside the file that is replaced, every byte of it, and whenever the
/// system likes.
#[derive(Debug, Clone, Default)]
pub struct Writing {
    /// What was written is on the disk before the file gets its name.
    pub fsync: bool,
    /// Zeros take no room where the file system can do without.
    pub sparse: bool,
    /// New versions are staged here, and not beside the old ones.
    pub temp: Option<Dir>,
}
