//! The first run of two trees, and those after it.

use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use crate::two_way::Two;

fn tree() -> Tree {
    Tree::new()
        .file("file", "content")
        .file("empty", "")
        .file("deep/er/file", "deep content")
        .file("large", noise(700_000, 1))
        .directory("nothing in it")
        .mode("nothing in it", 0o750)
        .symlink("link", "deep/er")
        .file("odd\nname \\ \u{e9}", "odd")
        .file(b"no text \xff", "bytes")
        .mode("file", 0o640)
        .mtime("file", 1_000_000_000)
        .mtime("deep/er", 1_100_000_000)
}

#[test]
fn an_empty_tree_is_filled() {
    for way in Way::all() {
        let two = Two::new(way, &tree(), &Tree::new());
        two.sync(&[]).success();
        two.assert_same();
        assert_eq!(two.read("right/deep/er/file"), "deep content");
        let two = Two::new(way, &Tree::new(), &tree());
        two.sync(&[]).success();
        two.assert_same();
        assert_eq!(two.read("left/deep/er/file"), "deep content");
    }
}

#[test]
fn two_trees_become_their_union_and_nothing_goes() {
    for way in Way::all() {
        let two = Two::new(way, &tree().file("left only", "l"), &tree().file("sub/right only", "r"));
        let output = two.sync(&["--stats"]).success();
        two.assert_same();
        assert_eq!(two.read("left/sub/right only"), "r");
        assert_eq!(two.read("right/left only"), "l");
        assert_eq!(output.number("Number of regular files transferred:"), 2, "{output}");
    }
}

#[test]
fn a_second_run_does_nothing() {
    for way in Way::all() {
        let two = Two::met(way, &tree());
        let before = (two.snapshot("left"), two.snapshot("right"));
        let output = two.sync(&["-i"]).success();
        assert_eq!(output.out(), "", "{way:?}");
        assert!(before == (two.snapshot("left"), two.snapshot("right")), "{way:?}: something was touched");
    }
}

#[test]
fn either_side_may_be_named_first() {
    for way in Way::plain() {
        let two = Two::met(way, &tree());
        two.write("right/file", "edited");
        let options = ["-2"];
        let turned = two.way.copy(&options, &[two.scene.path("right/")], two.scene.path("left/"));
        turned.run().success();
        two.assert_same();
        assert_eq!(two.read("left/file"), "edited");
    }
}
