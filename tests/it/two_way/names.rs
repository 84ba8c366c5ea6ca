//! Names that one side cannot have, or does not tell apart.

use crate::support::disk::Disk;
use crate::support::snapshot::Columns;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::{COLUMNS, Two};
use std::os::unix::fs::MetadataExt as _;

/// What a file system without permissions can keep.
const PLAIN: &[&str] = &["--no-perms"];

/// A pair whose right side is on a file system that does not tell `a` from `A`.
fn beside_one_that_ignores_case(tree: &Tree) -> Option<(Two, Disk)> {
    let two = Two { scene: crate::support::scene::Scene::new().tree("left", tree), way: Way::LOCAL };
    let disk = Disk::ignoring_case(&two.scene, "right")?;
    Some((two, disk))
}

/// What a file system without permissions and with coarse times can have is the same.
fn assert_same(two: &Two) {
    let columns = Columns { mode: false, mtime: false, directory_mtime: false, ..COLUMNS };
    let differences = two.snapshot("left").differences(&two.snapshot("right"), columns);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn two_names_never_become_one() {
    let tree = Tree::new()
        .file("File", "one")
        .file("file", "two")
        .file("Dir/a", "a")
        .file("dir/b", "b")
        .file("other", "goes on");
    let Some((two, _disk)) = beside_one_that_ignores_case(&tree) else { return };
    for _ in 0..2 {
        let output = two.sync(PLAIN).expect(23);
        assert!(output.err().contains("name conflict"), "{output}");
        assert_eq!((two.read("left/File"), two.read("left/file")), ("one".into(), "two".into()));
        assert_eq!((two.read("right/File"), two.read("right/other")), ("one".into(), "goes on".into()));
        assert_eq!(two.paths("right"), ["Dir", "Dir/a", "File", "other"]);
        assert_eq!(two.paths("left").len(), 7);
    }
    two.rename("left/file", "left/renamed");
    two.rename("left/dir", "left/renamed dir");
    two.sync(PLAIN).success();
    assert_same(&two);
}

#[test]
fn a_name_may_change_its_case() {
    let Some((two, _disk)) = beside_one_that_ignores_case(&Tree::new().file("name", "content")) else {
        return;
    };
    two.sync(PLAIN).success();
    two.rename("left/name", "left/Name");
    two.sync(PLAIN).success();
    assert_same(&two);
    two.rename("right/Name", "right/NAME");
    two.sync(PLAIN).success();
    assert_same(&two);
    assert_eq!(two.paths("left"), ["NAME"]);
}

/// What a memory stick cannot keep is nothing that would be carried back or found again by the next run.
#[test]
fn a_file_system_without_permissions_and_exchange_is_a_replica_like_any_other() {
    let tree = Tree::new().file("a", "one").file("d/b", "two").file("d/to go", "three").file("file", "four");
    let Some((two, _disk)) = beside_one_that_ignores_case(&tree) else { return };
    let seconds = |path: &str| two.scene.path(path).metadata().unwrap().mtime();
    two.sync(PLAIN).success();
    assert_same(&two);
    for path in ["a", "d/b", "d"] {
        assert_eq!(seconds(&format!("left/{path}")), seconds(&format!("right/{path}")), "{path}");
    }
    let in_sync = |two: &Two| {
        let again = two.sync(&["--no-perms", "-v", "--stats"]).success();
        assert!(again.out().contains("Number of regular files transferred: 0"), "{again}");
    };
    in_sync(&two);
    two.write("left/a", "one, edited");
    two.write("right/d/b", "two, edited");
    two.remove("right/d/to go");
    two.remove("left/file");
    two.write("left/file/is a directory", "now");
    let output = two.sync(PLAIN).success();
    assert_same(&two);
    assert_eq!(
        (two.read("right/a"), two.read("left/d/b")),
        ("one, edited".into(), "two, edited".into()),
        "{output}"
    );
    in_sync(&two);
    let mode = |path: &str| two.scene.path(path).metadata().unwrap().mode() & 0o777;
    assert_eq!(mode("left/a"), 0o644, "its permissions are its own");
    two.write("left/a", "left");
    two.write("right/a", "right");
    two.sync(&["--no-perms", "--conflict=keep-both"]).success();
    assert_same(&two);
    assert_eq!(two.paths("left").len(), 6, "{:?}", two.paths("left"));
}
