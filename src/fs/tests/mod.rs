//! The module against real file systems.

mod confined;
mod extended;
mod faked;
mod guarded;
mod linking;
mod named;
mod racing;
mod reading;
mod roots;
mod staging;
pub(crate) mod unprivileged;
mod writing;

use crate::fs::{Bounds, Dir, Links, Root, WriteDir};
use crate::testing::{is_root, missing};
use crate::tree::{Name, RelPath};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn name(bytes: impl AsRef<[u8]>) -> Name {
    Name::new(bytes.as_ref()).unwrap()
}

fn path(bytes: impl AsRef<[u8]>) -> RelPath {
    RelPath::new(bytes.as_ref()).unwrap()
}

pub(crate) fn temporary() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn open(at: &Path) -> Root {
    Root::open(at.as_os_str(), Links::Trusted).unwrap()
}

fn dir(at: &Path) -> Dir {
    open(at).dir().clone()
}

pub(crate) fn writable(at: &Path) -> WriteDir {
    open(at).writable().unwrap()
}

/// Names of what is in a directory, staged files included.
fn names(at: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(at)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Runs `test` as on a system that has none of the calls that only some have.
pub(crate) fn without<T>(test: impl FnOnce() -> T) -> T {
    crate::fs::kernel::without(test)
}

/// Runs `test` with the system's own calls, then without them.
fn both_ways(test: impl Fn()) {
    test();
    crate::fs::kernel::without(test);
}

/// Repeats `step` for a while.
fn for_a_while(mut step: impl FnMut()) {
    let end = Instant::now() + Duration::from_millis(120);
    while Instant::now() < end {
        step();
    }
}

/// Whether `what`, which needs root, can be tried.
fn root_or_skip(what: &str) -> bool {
    if !is_root() {
        missing(&format!("root, for {what}"));
    }
    is_root()
}
