//! Names that one side cannot have, or does not tell apart.

use crate::support::disk::Disk;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::Two;

/// A pair whose right side is on a file system that does not tell `a` from `A`.
fn beside_one_that_ignores_case(tree: &Tree) -> Option<(Two, Disk)> {
    let two = Two { scene: crate::support::scene::Scene::new().tree("left", tree), way: Way::LOCAL };
    let disk = Disk::ignoring_case(&two.scene, "right")?;
    Some((two, disk))
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
        let output = two.sync(&[]).expect(23);
        assert!(output.err().contains("name conflict"), "{output}");
        assert_eq!((two.read("left/File"), two.read("left/file")), ("one".into(), "two".into()));
        assert_eq!((two.read("right/File"), two.read("right/other")), ("one".into(), "goes on".into()));
        assert_eq!(two.paths("right"), ["Dir", "Dir/a", "File", "other"]);
        assert_eq!(two.paths("left").len(), 7);
    }
    two.rename("left/file", "left/renamed");
    two.rename("left/dir", "left/renamed dir");
    two.sync(&[]).success();
    two.assert_same();
}

#[test]
fn a_name_may_change_its_case() {
    let Some((two, _disk)) = beside_one_that_ignores_case(&Tree::new().file("name", "content")) else {
        return;
    };
    two.sync(&[]).success();
    two.rename("left/name", "left/Name");
    two.sync(&[]).success();
    two.assert_same();
    two.rename("right/Name", "right/NAME");
    two.sync(&[]).success();
    two.assert_same();
    assert_eq!(two.paths("left"), ["NAME"]);
}
