//! The first run of two trees, and those after it.

use crate::support::scene::Scene;
use crate::support::snapshot::Columns;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::{Tree, noise};
use crate::two_way::{COLUMNS, Two};

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

/// What is only about how content travels is the same as in one-way runs.
#[test]
fn content_travels_as_it_is_told_to() {
    for way in Way::all() {
        for options in [&["-z", "--progress"][..], &["--streams=3", "--bwlimit=100m"], &["--no-whole-file"]] {
            let noise = noise(3 << 20, 1);
            let two = Two::new(way, &tree().file("one", &noise), &tree().file("two", noise.repeat(2)));
            two.sync(&[&["--stats"], options].concat()).success();
            two.assert_same();
            two.sync(options).success();
        }
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

/// With rules that are others than last time everything is compared, and most of it is the same.
#[test]
fn of_what_is_known_alike_next_to_nothing_is_told() {
    const FILES: usize = 4000;
    let tree = (0..FILES).fold(Tree::new(), |tree, n| tree.file(format!("{}/{n}", n / 50), format!("{n}")));
    for way in
        [Direction::Push, Direction::Pull].map(|direction| Way { transport: Transport::Rsh, direction })
    {
        let two = Two::met_in_memory(way, &tree);
        let told = |options: &[&str]| {
            let output = two.sync(&[&["--stats"], options].concat()).success();
            let bytes = ["Total bytes sent:", "Total bytes received:"].map(|line| output.number(line));
            (bytes[0] + bytes[1], output)
        };
        two.write("left/7/350", "edited on the left");
        two.write("right/60/3000", "edited on the right");
        two.write("right/new/file", "new");
        two.remove("left/70/3500");
        two.write("left/3/155", "left out");
        let (bytes, output) = told(&["--exclude=/3"]);
        assert!(bytes < 25_000, "{way:?} {bytes}: {output}");
        assert_eq!(two.read("right/7/350"), "edited on the left");
        assert_eq!(two.read("left/60/3000"), "edited on the right");
        assert_eq!((two.read("left/new/file"), two.read("right/3/155")), ("new".into(), "155".into()));
        assert!(!two.scene.path("right/70/3500").exists());
        let (bytes, output) = told(&[]);
        assert!(bytes < 25_000, "{way:?} {bytes}: {output}");
        assert_eq!(two.read("right/3/155"), "left out");
        two.assert_same();
        let (bytes, output) = told(&[]);
        assert!(bytes < 1000, "{way:?} {bytes}: {output}");
    }
}

/// Trees that are mostly the same when they meet tell each other little, and come to what they come to by telling
/// everything.
#[test]
fn of_equal_trees_that_meet_next_to_nothing_is_told() {
    const FILES: usize = 4000;
    let tree = (0..FILES).fold(Tree::new(), |tree, n| tree.file(format!("{}/{n}", n / 50), format!("{n}")));
    for way in
        [Direction::Push, Direction::Pull].map(|direction| Way { transport: Transport::Rsh, direction })
    {
        let met = |differing: bool, options: &[&str]| {
            let scene = Scene::in_memory().tree("left", &tree).tree("right", &tree);
            let two = Two { scene, way };
            if differing {
                two.write("left/7/350", "edited on the left");
                two.write("right/new/file", "new");
                two.write("left/70/3500", "in conflict");
                two.remove("right/30/1500");
            }
            let output = two.sync(&[&["--stats", "--conflict=keep-both"], options].concat()).success();
            two.assert_same();
            let again = two.sync(&["-i"]).success();
            assert_eq!(again.out(), "", "{way:?}");
            let bytes = ["Total bytes sent:", "Total bytes received:"].map(|line| output.number(line));
            (bytes[0] + bytes[1], two.snapshot("left"), output)
        };
        let (bytes, _, output) = met(false, &[]);
        assert!(bytes < 8_000, "{way:?} {bytes}: {output}");
        let (bytes, with, output) = met(true, &[]);
        assert!(bytes < 30_000, "{way:?} {bytes}: {output}");
        let (bytes, without, output) = met(true, &["--plain=stretches"]);
        assert!(bytes > 100_000, "{way:?} {bytes}: {output}");
        let columns = Columns { mtime: false, directory_mtime: false, ..COLUMNS };
        let differences = with.differences(&without, columns);
        assert!(differences.is_empty(), "{way:?}: {differences:#?}");
    }
}
