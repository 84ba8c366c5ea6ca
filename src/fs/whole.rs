//! Small files: a new version whose whole content is at hand takes its place in few system calls.
//!
//! It needs no staged file that another run could find and go on with, so it gets a staged name that belongs to no
//! target, different each time, and no lock. Whoever takes it for a leftover in the moment it exists can only remove
//! it, which is noticed when it is to be renamed; then it is staged like any other file.

use crate::fs::file::{self, WriteFile};
use crate::fs::{Error, WriteDir, stage};
use crate::tree::Name;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a file came to have its name.
enum Outcome {
    Installed,
    /// Somebody removed it before, or has something of that name.
    Swept,
}

/// Makes `content` the new version of `target`. `set` gives the open file its attributes, once or twice.
pub(super) fn write(
    dir: &WriteDir,
    target: &Name,
    content: &[u8],
    set: impl Fn(&WriteFile) -> Result<(), Error>,
) -> Result<(), Error> {
    match try_write(dir, target, content, &set)? {
        Outcome::Installed => Ok(()),
        Outcome::Swept => {
            let stage = stage::begin(dir, target)?;
            stage.write_at(content, 0)?;
            set(&stage)?;
            stage.install(&Default::default())
        }
    }
}

fn try_write(
    dir: &WriteDir,
    target: &Name,
    content: &[u8],
    set: impl Fn(&WriteFile) -> Result<(), Error>,
) -> Result<Outcome, Error> {
    let staged = stage::name_for(target, next_number());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | file::PLAIN;
    let file = match rustix::fs::openat(dir, staged.as_bytes(), flags, Mode::RUSR | Mode::WUSR) {
        Ok(handle) => WriteFile::new(handle),
        Err(Errno::EXIST) => return Ok(Outcome::Swept),
        Err(error) => return Err(Error::when(stage::STAGING)(error)),
    };
    let written = file.write_at(content, 0).and_then(|()| set(&file));
    let renamed =
        written.and_then(|()| match rustix::fs::renameat(dir, staged.as_bytes(), dir, target.as_bytes()) {
            Ok(()) => Ok(Outcome::Installed),
            Err(Errno::NOENT) => Ok(Outcome::Swept),
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
