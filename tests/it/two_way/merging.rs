//! What a merge command is told of the file that both were made of: the right one, or nothing.

use crate::support::command::dsync;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::Two;
use std::fs;

const OLD: &str = "1\n2\n3\n4\n5\n6\n7\n";
/// Tells what was found.
const TELLS: &str = "--conflict=merge=\
     if test -n \"$BASE\"; then cat \"$BASE\" > \"$MERGED\"; else echo none > \"$MERGED\"; fi";
const BY_THREE: &str = "--conflict=merge=diff3 -m \"$LOCAL\" \"$BASE\" \"$REMOTE\" > \"$MERGED\"";

fn meet(two: &Two, one: &str, other: &str) {
    Way::LOCAL.copy(&["-2"], &[two.scene.path(one)], two.scene.path(other)).run().success();
}

/// Two that have met, and a third that has met one of them.
fn with_third(way: Way, hub: &str) -> Two {
    let two = Two::met(way, &Tree::new().file("list", OLD));
    fs::create_dir(two.scene.path("third")).unwrap();
    meet(&two, hub, "third");
    two
}

fn other(side: &str) -> &'static str {
    if side == "left" { "right" } else { "left" }
}

#[test]
fn a_file_that_a_third_replica_replaced_is_merged_by_three() {
    for way in Way::plain() {
        for hub in ["left", "right"] {
            let two = with_third(way, hub);
            two.write("third/list", "1\n2\n3\n4\n5\n6\nseven\n");
            meet(&two, hub, "third");
            two.write(&format!("{}/list", other(hub)), "one\n2\n3\n4\n5\n6\n7\n");
            two.sync(&[BY_THREE]).success();
            assert_eq!(two.read("left/list"), "one\n2\n3\n4\n5\n6\nseven\n", "{way:?} {hub}");
            two.assert_same();
        }
    }
}

#[test]
fn a_file_in_whose_place_an_older_one_was_put_back_is_what_both_were_made_of() {
    for way in Way::plain() {
        for hub in ["left", "right"] {
            let two = Two::met(way, &Tree::new().file("list", "oldest\n"));
            two.write(&format!("{}/list", other(hub)), OLD);
            two.sync(&[]).success();
            dsync(["undo".into(), two.scene.path(hub).into_os_string()]).run().success();
            assert_eq!(two.read(&format!("{hub}/list")), "oldest\n");
            two.write(&format!("{}/list", other(hub)), "newest\n");
            two.sync(&[TELLS]).success();
            assert_eq!(two.read("left/list"), OLD, "{way:?} {hub}");
            two.assert_same();
        }
    }
}

/// What is in the trash is older: somebody who merged by it could lose what one side took back.
#[test]
fn an_older_file_is_never_taken_for_what_both_were_made_of() {
    for way in Way::plain() {
        for (edited, left, right) in [("left", OLD, "right\n"), ("right", "left\n", OLD)] {
            let two = Two::met(way, &Tree::new().file("list", OLD));
            two.write(&format!("{edited}/list"), "newer\n");
            two.sync(&[]).success();
            two.write("left/list", left);
            two.write("right/list", right);
            two.sync(&[TELLS]).success();
            assert_eq!(two.read("left/list"), "none\n", "{way:?}");
            two.assert_same();
        }
    }
}

#[test]
fn where_the_trash_has_it_no_more_nothing_is_told() {
    for way in Way::plain() {
        for spoil in ["writes", "empties", "keeps none"] {
            let two = with_third(way, "right");
            two.write("third/list", "third\n");
            let keep: &[&str] = if spoil == "keeps none" { &["-2", "--no-trash"] } else { &["-2"] };
            let (right, third) = (two.scene.path("right"), two.scene.path("third"));
            Way::LOCAL.copy(keep, &[&right], &third).run().success();
            match spoil {
                "writes" => {
                    let run = fs::read_dir(right.join(".dsync/trash")).unwrap().next().unwrap().unwrap();
                    assert_eq!(fs::read_to_string(run.path().join("list")).unwrap(), OLD);
                    fs::write(run.path().join("list"), OLD.replace('4', "four")).unwrap();
                }
                "empties" => {
                    let empty = ["trash".into(), "--empty".into(), right.into_os_string()];
                    dsync::<std::ffi::OsString>(empty).run().success();
                }
                _ => {}
            }
            two.write("left/list", "left\n");
            two.sync(&[TELLS]).success();
            assert_eq!(two.read("left/list"), "none\n", "{way:?} {spoil}");
            two.assert_same();
        }
    }
}

/// Nobody's environment is taken for it either.
#[test]
fn what_never_was_the_same_was_made_of_nothing() {
    for way in Way::plain() {
        let two = Two::new(way, &Tree::new().file("list", "1\n"), &Tree::new().file("list", "2\n"));
        let (left, right) = (two.scene.path("left"), two.scene.path("right"));
        way.copy(&["-2", TELLS], &[left], right).variable("BASE", "/etc/passwd").run().success();
        assert_eq!(two.read("left/list"), "none\n", "{way:?}");
    }
}
