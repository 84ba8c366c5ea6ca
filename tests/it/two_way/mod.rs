//! Two-way runs of the real program, told in words.

mod accidents;
mod asking;
mod chains;
mod conflicts;
mod crash;
mod editor;
mod edits;
mod extended;
mod forks;
mod guards;
mod hidden;
mod interrupted;
mod linked;
mod look;
mod meeting;
mod merging;
mod model;
mod names;
mod owners;
mod random;
mod rules;
mod telling;
mod user;

use crate::support::command::Output;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, Snapshot};
use crate::support::transport::Way;
use crate::support::tree::Tree;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

/// Two trees that are brought up to date with each other.
pub(crate) struct Two {
    pub(crate) scene: Scene,
    pub(crate) way: Way,
}

/// All that is compared between two replicas.
const COLUMNS: Columns =
    Columns { mode: true, owner: false, mtime: true, directory_mtime: true, xattrs: true };

impl Two {
    /// Trees that have not met.
    pub(crate) fn new(way: Way, left: &Tree, right: &Tree) -> Two {
        Two { scene: Scene::new().tree("left", left).tree("right", right), way }
    }

    /// Trees that have met, and were the same.
    pub(crate) fn met(way: Way, tree: &Tree) -> Two {
        let two = Two::new(way, tree, &Tree::new());
        two.sync(&[]).success();
        two.assert_same();
        two
    }

    /// The same in memory, for a test that does it again and again.
    pub(crate) fn met_in_memory(way: Way, tree: &Tree) -> Two {
        let two = Two { scene: Scene::in_memory().tree("left", tree).tree("right", &Tree::new()), way };
        two.sync(&[]).success();
        two
    }

    /// Runs dsync between them.
    pub(crate) fn sync(&self, options: &[&str]) -> Output {
        let options: Vec<&str> = ["-2"].iter().chain(options).copied().collect();
        self.way.copy(&options, &[self.scene.path("left")], self.scene.path("right")).run()
    }

    /// What is at a side, without dsync's own.
    pub(crate) fn snapshot(&self, side: &str) -> Snapshot {
        self.scene.snapshot(side).retain(|path| path != b".dsync" && !path.starts_with(b".dsync/"))
    }

    /// The paths on a side, without dsync's own.
    pub(crate) fn paths(&self, side: &str) -> Vec<String> {
        let own = |path: &String| path != ".dsync" && !path.starts_with(".dsync/");
        self.scene.paths(side).into_iter().filter(own).collect()
    }

    #[track_caller]
    pub(crate) fn assert_same(&self) {
        let differences = self.snapshot("left").differences(&self.snapshot("right"), COLUMNS);
        assert!(differences.is_empty(), "{:?}: {differences:#?}", self.way);
        for side in ["left", "right"] {
            let staged = fs::read_dir(self.scene.path(side).join(".dsync/staging")).unwrap().count();
            assert_eq!(staged, 0, "{:?}: something staged is left on the {side}", self.way);
        }
    }

    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        String::from_utf8_lossy(&self.scene.read(path)).into_owned()
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.scene.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.scene.path(path);
        if path.symlink_metadata().unwrap().is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.scene.path(from), self.scene.path(to)).unwrap();
    }

    pub(crate) fn chmod(&self, path: &str, mode: u32) {
        fs::set_permissions(self.scene.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn link(&self, path: &str, target: &str) {
        symlink(target, self.scene.path(path)).unwrap();
    }

    pub(crate) fn touch(&self, path: &str, seconds: i64) {
        let time = filetime::FileTime::from_unix_time(seconds, 0);
        filetime::set_file_mtime(self.scene.path(path), time).unwrap();
    }
}
