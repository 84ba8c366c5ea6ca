//! Small files: a new version whose whole content is at hand takes its place in few system calls.
//!
//! A file that is not there yet is made without a name where the system can, and linked under its own when it is whole:
//! nobody can reach it before, and nothing is left of it if this process is killed. To who watches the directory it is
//! one that was created, and the manual says so, since others are moved to their names. One that is there needs a name
//! to be renamed from; as nobody could go on with it, that is a staged name that belongs to no target, different each
//! time, and it is not locked. Whoever takes it for a leftover in the moment it exists can only remove it, which is
//! noticed when it is to be renamed; then the caller stages it like any other file.

use crate::fs::attributes::mode_bits;
use crate::fs::file::{self, WriteFile};
use crate::fs::{Error, SetMeta, Stamp, WriteDir, kernel, stage};
use crate::tree::Name;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Makes a file `target` that holds `content`. `set` gives the open file its attributes, and may be called twice;
/// `mode` is what it is going to make of the permissions. `false` if there is a file of that name by now, and nothing
/// has changed.
pub(super) fn create(
    dir: &WriteDir,
    target: &Name,
    content: &[u8],
    mode: u32,
    mut set: impl FnMut(&WriteFile) -> Result<(), Error>,
) -> Result<bool, Error> {
    match create_nameless(dir, target, content, mode, &mut set) {
        Some(done) => done,
        None => replace(dir, target, content, set),
    }
}

/// Makes a file `target` that holds `content` and has these attributes, and returns its stamp; `None` if the name is
/// taken. Nothing at all where there are no files without names, or this one cannot get its name.
pub(super) fn create_if_free(
    dir: &WriteDir,
    target: &Name,
    content: &[u8],
    meta: &SetMeta,
) -> Option<Result<Option<Stamp>, Error>> {
    let file = WriteFile::new(kernel::create_nameless(dir.as_fd(), Mode::RUSR | Mode::WUSR)?, 0, dir);
    if let Err(error) = file.write_at(content, 0).and_then(|()| file.finish(meta)) {
        return Some(Err(error));
    }
    let is_free = kernel::give_name(file.as_fd(), dir.as_fd(), target)?;
    Some(if is_free { file.stamp().map(Some) } else { Ok(None) })
}

/// `None` where there are no files without names, or this one cannot get its name.
fn create_nameless(
    dir: &WriteDir,
    target: &Name,
    content: &[u8],
    mode: u32,
    set: impl FnOnce(&WriteFile) -> Result<(), Error>,
) -> Option<Result<bool, Error>> {
    let file = WriteFile::new(
        kernel::create_nameless(dir.as_fd(), mode_bits(dir.keeping().made_with(mode) & 0o777))?,
        0,
        dir,
    );
    if let Err(error) = file.write_at(content, 0).and_then(|()| set(&file)).and_then(|()| file.sync()) {
        return Some(Err(error));
    }
    kernel::give_name(file.as_fd(), dir.as_fd(), target).map(Ok)
}

/// Makes `content` the new version of `target`. `set` gives the open file its attributes. `false` if the name was not
/// free, or somebody removed the file before it had its own; then nothing has changed.
pub(super) fn replace(
    dir: &WriteDir,
    target: &Name,
    content: &[u8],
    set: impl FnOnce(&WriteFile) -> Result<(), Error>,
) -> Result<bool, Error> {
    let staged = stage::name_for(target, next_number());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | file::PLAIN;
    let file = match rustix::fs::openat(dir, staged.as_bytes(), flags, Mode::RUSR | Mode::WUSR) {
        Ok(handle) => WriteFile::new(handle, 0, dir),
        Err(Errno::EXIST) => return Ok(false),
        Err(error) => return Err(Error::when(stage::STAGING)(error)),
    };
    let written = file.write_at(content, 0).and_then(|()| set(&file)).and_then(|()| file.sync());
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
pub(super) fn next_number() -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static NEXT: AtomicU64 = AtomicU64::new(0);
    KEYS.hash_one(NEXT.fetch_add(1, Ordering::Relaxed))
}
