//! Small files: a new version whose whole content is at hand takes its place in few system calls.
//!
//! It needs no staged file that another run could find and go on with, so it gets a staged name that belongs to no
//! target, different each time, and no lock. Whoever takes it for a leftover in the moment it exists can only remove
//! it, which is noticed when it is to be renamed; then the caller stages it like any other file.

use crate::fs::file::{self, WriteFile};
use crate::fs::{Error, WriteDir, stage};
use crate::tree::Name;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes `content` the new version of `target`. `set` gives the open file its attributes. `false` if the name was not
/// free, or somebody removed the file before it had its own; then nothing has changed.
pub(super) fn write(
    dir: &WriteDir,
    target: &Name,
    content: &[u8],
    set: impl FnOnce(&WriteFile) -> Result<(), Error>,
) -> Result<bool, Error> {
    let staged = stage::name_for(target, next_number());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | file::PLAIN;
    let file = match rustix::fs::openat(dir, staged.as_bytes(), flags, Mode::RUSR | Mode::WUSR) {
        Ok(handle) => WriteFile::new(handle),
        Err(Errno::EXIST) => return Ok(false),
        Err(error) => return Err(Error::when(stage::STAGING)(error)),
    };
    let written = file.write_at(content, 0).and_then(|()| set(&file));
    let renamed =
        written.and_then(|()| match rustix::fs::renameat(dir, staged.as_bytes(), dir, target.as_bytes()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(Error::when(stage::INSTALLING)(error)),
        });
    if renamed.is_err() {
        // A failure leaves what a killed run would leave, for the next run to clear.
        let _ = rustix::fs::unlinkat(dir, staged.as_bytes(), AtFlags::empty());
    }
    renamed
}

/// A number that no other run has, nor this one before: where two had the same, one would give its name to the
/// other's file.
fn next_number() -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    KEYS.hash_one(NEXT.fetch_add(1, Ordering::Relaxed))
}
