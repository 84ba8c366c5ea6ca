//! Checks that a run did its work: the two trees are equal.
//!
//! A tool that is fast because it left something out must not get a place in the table. The walk is this harness's own
//! and shares no code with either tool. It compares names, types, modes, whole modification times, sizes and every
//! byte; a name too many at the destination, such as a forgotten temporary file, is a difference too. Only what dsync
//! remembers of a tree is its own.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::failure::{Doing, Failure};

/// Fails with the first difference between the trees.
pub(crate) fn equal(source: &Path, destination: &Path) -> Result<(), Failure> {
    let read = |path: &Path| fs::symlink_metadata(path).doing(|| format!("Verifying {}", path.display()));
    let (ours, theirs) = (read(source)?, read(destination)?);
    if let Some(what) = different_attribute(&ours, &theirs) {
        return Err(Failure::new(format!("{} has another {what} than the source", destination.display())));
    }
    if ours.is_dir() {
        let (names, copied) = (names(source)?, names(destination)?);
        if names != copied {
            let odd = names.iter().find(|name| !copied.contains(name));
            let odd = odd.or_else(|| copied.iter().find(|name| !names.contains(name)));
            return Err(Failure::new(format!(
                "{} differs in its names, first {odd:?}",
                destination.display()
            )));
        }
        for name in &names {
            equal(&source.join(name), &destination.join(name))?;
        }
    } else if ours.len() > 0 && !same_bytes(source, destination, ours.len())? {
        return Err(Failure::new(format!("{} differs from the source in its bytes", destination.display())));
    }
    Ok(())
}

fn different_attribute(ours: &Metadata, theirs: &Metadata) -> Option<&'static str> {
    if ours.mode() != theirs.mode() {
        Some("type or mode")
    } else if (ours.mtime(), ours.mtime_nsec()) != (theirs.mtime(), theirs.mtime_nsec()) {
        Some("modification time")
    } else if ours.is_file() && ours.len() != theirs.len() {
        Some("size")
    } else {
        None
    }
}

fn names(directory: &Path) -> Result<Vec<OsString>, Failure> {
    let listed = || -> io::Result<Vec<OsString>> {
        let mut names =
            fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
        names.retain(|name| name != ".dsync");
        names.sort_unstable();
        Ok(names)
    };
    listed().doing(|| format!("Verifying {}", directory.display()))
}

fn same_bytes(source: &Path, destination: &Path, length: u64) -> Result<bool, Failure> {
    let compared = || -> io::Result<bool> {
        let (mut ours, mut theirs) = (File::open(source)?, File::open(destination)?);
        let capacity = usize::try_from(length).unwrap_or(usize::MAX).min(1 << 20);
        let (mut left, mut right) = (vec![0; capacity], vec![0; capacity]);
        let mut remaining = length;
        while remaining > 0 {
            let count = usize::try_from(remaining).unwrap_or(usize::MAX).min(capacity);
            left.truncate(count);
            right.truncate(count);
            ours.read_exact(&mut left)?;
            theirs.read_exact(&mut right)?;
            if left != right {
                return Ok(false);
            }
            remaining -= count as u64;
        }
        Ok(true)
    };
    compared().doing(|| format!("Verifying {}", destination.display()))
}
