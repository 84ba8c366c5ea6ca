//! What is written down of files that have several names, and what is only done where there is something to do.

use crate::support::command::dsync;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::Two;
use crate::two_way::linked::{assert_groups, join};

/// Runs once more, and expects nothing to be done.
fn nothing_to_do(two: &Two, options: &[&str], code: i32) {
    let options: Vec<&str> = [options, &["-H", "-i", "-v"]].concat();
    let output = two.sync(&options).expect(code);
    assert!(!output.out().contains("links"), "{output}");
}

#[test]
fn what_a_conflict_keeps_apart_is_settled_once() {
    for way in Way::plain() {
        let two = Two::new(
            way,
            &Tree::new().file("d/b", "X").directory("a"),
            &Tree::new().file("a/a", "more than that"),
        );
        join(&two, "left/d/b", "left/d/c");
        join(&two, "left/d/b", "left/a/a");
        join(&two, "right/a/a", "right/d");
        two.sync(&["-H", "--conflict=larger"]).expect(40);
        for _ in 0..2 {
            nothing_to_do(&two, &["--conflict=larger"], 40);
        }
        let log = dsync(["log"]).args([two.scene.path("left")]).run().success();
        assert_eq!(log.out().matches("changed here").count(), 1, "{log}");
        dsync(["undo"]).args([two.scene.path("left")]).run().success();
        assert_eq!(two.read("left/a/a"), "X");
    }
}

#[test]
fn two_files_that_both_were_to_be_one_are_two_from_then_on() {
    for way in Way::plain() {
        let two = Two::new(way, &Tree::new().file("a", "same").file("b", "same"), &Tree::new());
        two.sync(&["-H"]).success();
        join(&two, "left/a", "left/b");
        two.remove("right/b");
        two.write("right/b", "another");
        two.sync(&["-H"]).success();
        // The same content makes no link of what nobody linked.
        two.remove("left/a");
        join(&two, "left/b", "left/c");
        two.write("left/b", "same");
        join(&two, "right/a", "right/e");
        two.sync(&["-H"]).success();
        assert_groups(&two, &[&["b", "c"], &["e"]]);
        nothing_to_do(&two, &[], 0);
    }
}

#[test]
fn a_name_that_stands_alone_is_no_news_after_a_run_that_knew_nothing_of_names() {
    for way in Way::plain() {
        let two = Two::new(way, &Tree::new().file("a", "one"), &Tree::new());
        join(&two, "left/a", "left/b");
        two.sync(&["-H"]).success();
        two.remove("left/b");
        two.sync(&["-H"]).success();
        two.write("left/a", "edited");
        two.sync(&[]).success();
        nothing_to_do(&two, &[], 0);
    }
}
