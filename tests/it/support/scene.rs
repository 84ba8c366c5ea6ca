//! A directory for one test, with trees in it.

use crate::support::snapshot::Snapshot;
use crate::support::tree::{Tree, at};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A directory that goes when the test ends.
#[derive(Debug)]
pub(crate) struct Scene {
    directory: TempDir,
}

impl Scene {
    /// An empty one.
    pub(crate) fn new() -> Scene {
        Scene { directory: tempfile::tempdir().unwrap() }
    }

    /// An empty one in memory if there is a place for that, for a test that writes much again and again.
    pub(crate) fn in_memory() -> Scene {
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        Scene { directory: directory.unwrap() }
    }

    /// One with a tree at `source`.
    pub(crate) fn with_source(tree: &Tree) -> Scene {
        Scene::new().tree("source", tree)
    }

    /// Writes a tree.
    pub(crate) fn tree(self, name: &str, tree: &Tree) -> Scene {
        tree.write(&self.path(name));
        self
    }

    /// Gives `tree`, which was written at `name`, to the user 65534 and lets everybody reach it.
    pub(crate) fn give_away(&self, name: &str, tree: &Tree) {
        for path in tree.entries.keys() {
            lchown(at(&self.path(name), path), Some(65_534), Some(65_534)).unwrap();
        }
        fs::set_permissions(self.root(), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// The path of something in it; a trailing slash stays.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// What is at `name` now.
    pub(crate) fn snapshot(&self, name: &str) -> Snapshot {
        Snapshot::of(&self.path(name))
    }

    /// The paths below `name`, readable and sorted, without the root.
    pub(crate) fn paths(&self, name: &str) -> Vec<String> {
        let snapshot = self.snapshot(name);
        snapshot.paths().filter(|path| !path.is_empty()).map(|path| path.escape_ascii().to_string()).collect()
    }

    /// The content of the file `name`.
    #[track_caller]
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
