//! The directories of the tree, by path.

use crate::fs::{Error, WriteDir};
use crate::tree::RelPath;
use crate::twoway::carry::lock;
use std::sync::Mutex;

/// Opens directories. As tasks come in the order of a walk, the last one is mostly asked for again.
pub(super) struct Handles {
    root: WriteDir,
    last: Mutex<Option<(RelPath, WriteDir)>>,
}

impl Handles {
    pub(super) fn new(root: WriteDir) -> Handles {
        Handles { root, last: Mutex::new(None) }
    }

    /// The directory at a path.
    pub(super) fn open(&self, path: &RelPath) -> Result<WriteDir, Error> {
        let mut last = lock(&self.last);
        if let Some((_, dir)) = last.as_ref().filter(|(at, _)| at == path) {
            return Ok(dir.clone());
        }
        let dir = self.root.open_beneath_writable(path)?;
        *last = Some((path.clone(), dir.clone()));
        Ok(dir)
    }

    /// What is at a path may be another directory, or none, by now.
    pub(super) fn forget(&self) {
        *lock(&self.last) = None;
    }
}
