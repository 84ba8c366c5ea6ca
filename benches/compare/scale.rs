//! How large the cases are: as the table states them, or small for trying the harness.

use crate::cases::{Case, Part};

const GIB: u64 = 1 << 30;

/// Length of the files of which a directory has many.
pub(crate) const LARGER: u64 = 1 << 20;

/// The sizes of a run.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    /// Length of the one large file.
    pub(crate) file_bytes: u64,
    /// The counts of small files and of directories are divided by this.
    count_divisor: u64,
    /// Memory touched before every timed run. Virtual machines hand freed pages back to their host, and the first touch
    /// afterwards costs seconds; whichever tool runs first would pay for both.
    pub(crate) touched_bytes: u64,
}

impl Scale {
    /// The sizes of a table that counts.
    pub(crate) const FULL: Self = Self { file_bytes: GIB, count_divisor: 1, touched_bytes: 5 * GIB / 2 };
    /// Sizes for trying the harness.
    pub(crate) const QUICK: Self =
        Self { file_bytes: GIB / 16, count_divisor: 10, touched_bytes: 5 * GIB / 32 };

    /// Files of a directory, each of [`LARGER`] bytes.
    pub(crate) fn directory_files(self) -> u64 {
        self.file_bytes / 4 / LARGER
    }

    /// A count of the table at this scale, at least 1.
    pub(crate) fn count(self, stated: u64) -> u64 {
        (stated / self.count_divisor).max(1)
    }

    /// Bytes and inodes that `case` needs: its two trees, and the staged copy of the large file.
    pub(crate) fn needs(self, case: &Case) -> (u64, u64) {
        let (mut bytes, mut inodes) = (0u64, 0u64);
        for part in case.source.iter().chain(case.source).chain(case.destination) {
            match *part {
                Part::File(_) => bytes += self.file_bytes,
                Part::HalfFile(_) => bytes += self.file_bytes / 2,
                Part::Directory(_) => {
                    bytes += self.directory_files() * LARGER;
                    inodes += self.directory_files();
                }
                Part::SmallFiles { count, .. } => {
                    bytes += self.count(count) * 8192;
                    inodes += self.count(count);
                }
                Part::EmptyFiles { directories, in_each } => {
                    inodes += self.count(directories) * (in_each + 1)
                }
            }
        }
        (bytes, inodes)
    }
}
