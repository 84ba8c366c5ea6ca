//! Histories that were lost, damaged, copied or brought back: at worst there is a conflict or a union.

use crate::support::command::Output;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::Two;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

/// The exit code of a run that cannot read a history.
const FILE_IO: i32 = 11;

const FILES: [&str; 6] = ["a", "b", "c", "dir/d", "dir/e", "dir/deep/f"];

fn tree() -> Tree {
    FILES.iter().fold(Tree::new(), |tree, path| tree.file(path, format!("{path} at first")))
}

/// Copies a tree with all that belongs to it.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(status.success());
}

/// The same after a run that put something into both trashes, which outlast a history.
fn edited_with_trash() -> Two {
    let two = Two::met_in_memory(Way::LOCAL, &tree());
    two.write("left/dir/e", "e by the left");
    two.write("right/dir/deep/f", "f by the right");
    two.sync(&[]).success();
    edit(&two);
    two
}

/// How often a run says this of a replica.
fn told(output: &Output, side: &str, what: &str) -> usize {
    output.err().matches(&format!("/{side} {what}")).count()
}

const LOST: &str = "has lost its history: ";
const SHARED: &str = "was copied or restored with its history: ";

/// Edits of both sides after which a history is not what it should be. `a` is deleted on the left by the user.
fn edited() -> Two {
    let two = Two::met_in_memory(Way::LOCAL, &tree());
    edit(&two);
    two
}

fn edit(two: &Two) {
    two.remove("left/a");
    two.write("left/b", "b by the left");
    two.write("right/c", "c by the right");
    two.write("left/dir/d", "d by the left");
    two.write("right/dir/d", "d by the right");
    two.write("right/new", "new");
}

/// All files below a directory and in it.
fn contents(of: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(of).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with(".dsync/staging") {
                contents(&path, found);
            }
        } else if !path.ends_with(".dsync/history") && !path.ends_with(".dsync/lock") {
            found.push(String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned());
        }
    }
}

/// What must be true whatever a history was: nothing is deleted but what the user deleted, and what was overwritten is
/// in a trash.
#[track_caller]
fn nothing_is_lost(two: &Two, output: &Output) {
    assert!(matches!(output.code, Some(FILE_IO | 0 | 40)), "{output}");
    for side in ["left", "right"] {
        for path in &FILES[1..] {
            assert!(two.scene.path(&format!("{side}/{path}")).exists(), "{side}/{path} is gone: {output}");
        }
    }
    let mut found = Vec::new();
    contents(two.scene.root(), &mut found);
    let edits = ["b by the left", "c by the right", "d by the left", "d by the right", "new"];
    for wanted in edits {
        assert!(found.iter().any(|content| content == wanted), "{wanted:?} is lost: {output}");
    }
    let d = [two.read("left/dir/d"), two.read("right/dir/d")];
    let both_stay = d[0] != d[1] && output.code != Some(0);
    assert!(both_stay, "one edit won over another in silence: {d:?} {output}");
}

#[test]
fn a_damaged_history_is_told_and_nothing_goes() {
    let length = fs::metadata(edited().scene.path("left/.dsync/history")).unwrap().len();
    let mut told = 0;
    let flips = (0..length).step_by(509).map(Some).chain([None]);
    for (n, at) in flips.enumerate() {
        let two = edited();
        let side = ["left", "right"][n % 2];
        let path = two.scene.path(&format!("{side}/.dsync/history"));
        let history = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        if let Some(at) = at {
            let mut byte = [0];
            history.read_exact_at(&mut byte, at).unwrap();
            byte[0] ^= 1 << (n % 8);
            history.write_all_at(&byte, at).unwrap();
        }
        let output = two.sync(&[]);
        nothing_is_lost(&two, &output);
        let says = output.err().contains("history");
        let forgotten = two.scene.path("left/a").exists() || !two.read("left/c").contains("right");
        assert!(says || !forgotten, "{at:?}: nothing was said: {output}");
        told += usize::from(says);
    }
    assert!(told > 0, "no flip did anything");
}

#[test]
fn a_truncated_history_is_told_and_nothing_goes() {
    let length = fs::metadata(edited().scene.path("left/.dsync/history")).unwrap().len();
    for (n, to) in
        [0, 1, 63, 64, 320, 4095, 4096, 4097, length / 2, length - 4096, length - 1].iter().enumerate()
    {
        for (n, sides) in [&["left", "right"][n % 2..=n % 2], &["left", "right"]].iter().enumerate() {
            let two = if n == 0 { edited_with_trash() } else { edited() };
            for side in *sides {
                let path = two.scene.path(&format!("{side}/.dsync/history"));
                OpenOptions::new().write(true).open(&path).unwrap().set_len(*to).unwrap();
            }
            let mut output = two.sync(&[]);
            nothing_is_lost(&two, &output);
            assert!(output.err().contains("history"), "{to}: {output}");
            if output.code == Some(FILE_IO) {
                // What the message says.
                for side in *sides {
                    let path = two.scene.path(&format!("{side}/.dsync/history"));
                    fs::rename(&path, two.scene.path("moved away")).unwrap();
                }
                output = two.sync(&[]);
                nothing_is_lost(&two, &output);
            }
            for side in *sides {
                assert_eq!(told(&output, side, LOST), 1, "{to}: {output}");
            }
            assert_eq!(output.code, Some(40), "{to}: {output}");
            two.sync(&["--conflict=local"]).expect(0);
            two.assert_same();
        }
    }
}

#[test]
fn a_removed_history_is_a_first_meeting() {
    for sides in [&["left"][..], &["right"], &["left", "right"]] {
        for (whole, with_trash) in [(true, true), (false, true), (false, false)] {
            let two = if with_trash { edited_with_trash() } else { edited() };
            for side in sides {
                let home = two.scene.path(&format!("{side}/.dsync"));
                match whole {
                    true => fs::remove_dir_all(home).unwrap(),
                    false => fs::remove_file(home.join("history")).unwrap(),
                }
            }
            let output = two.sync(&[]).expect(40);
            nothing_is_lost(&two, &output);
            // Where nothing is left of what either was, nobody knows of anything that was lost.
            let expected = usize::from(!(whole && sides.len() == 2));
            for side in sides {
                assert_eq!(told(&output, side, LOST), expected, "{output}");
            }
            let again = two.sync(&["--conflict=local"]).expect(0);
            assert_eq!(told(&again, sides[0], LOST), 0, "{again}");
            two.assert_same();
        }
    }
}

/// The history as it was before the last run comes back, with the tree or without it.
#[test]
fn a_history_from_before() {
    for side in ["left", "right"] {
        for in_place in [true, false] {
            for with_tree in [true, false] {
                let two = Two::met_in_memory(Way::LOCAL, &tree());
                let saved = two.scene.path("saved");
                copy(&two.scene.path(side), &saved);
                // What both have since then is not deleted because one of them does not remember it.
                two.write("left/later", "later");
                two.write("right/e", "e, later");
                two.sync(&[]).success();
                let (history, home) =
                    (saved.join(".dsync/history"), two.scene.path(&format!("{side}/.dsync")));
                if in_place {
                    let old = fs::read(&history).unwrap();
                    let mut file =
                        OpenOptions::new().write(true).truncate(true).open(home.join("history")).unwrap();
                    file.write_all(&old).unwrap();
                } else {
                    fs::remove_dir_all(&home).unwrap();
                    copy(&saved.join(".dsync"), &home);
                }
                let text = if with_tree {
                    fs::remove_file(two.scene.path(&format!("{side}/later"))).unwrap();
                    fs::remove_file(two.scene.path(&format!("{side}/e"))).unwrap();
                    "with its tree"
                } else {
                    "alone"
                };
                fs::remove_dir_all(saved).unwrap();
                edit(&two);
                let output = two.sync(&[]);
                nothing_is_lost(&two, &output);
                assert_eq!(output.err().matches(SHARED).count(), 1, "{in_place} {with_tree}: {output}");
                assert_eq!(told(&output, side, SHARED), 1, "{in_place} {with_tree}: {output}");
                for path in ["later", "e"] {
                    for side in ["left", "right"] {
                        let there = two.scene.path(&format!("{side}/{path}")).exists();
                        assert!(
                            there,
                            "{side}/{path} went when a history came back {text}: {in_place} {output}"
                        );
                    }
                }
            }
        }
    }
}

/// A tree is copied with its history, and both go on.
#[test]
fn a_copied_replica_is_another_one() {
    for copied in ["left", "right"] {
        for meets_first in ["left", "copy"] {
            let two = Two::met_in_memory(Way::LOCAL, &tree());
            copy(&two.scene.path(copied), &two.scene.path("copy"));
            let run = |one: &str, other: &str| {
                Way::LOCAL.copy(&["-2"], &[two.scene.path(one)], two.scene.path(other)).run()
            };
            two.write("left/b", "b by the left");
            two.write("copy/b", "b by the copy");
            two.write("left/dir/d", "d by the left");
            two.write("copy/dir/e", "e by the copy");
            two.remove("copy/a");
            let (first, second) = if meets_first == "left" { ("left", "copy") } else { ("copy", "left") };
            let output = run(first, "right").expect(0);
            assert_eq!(told(&output, "copy", SHARED), usize::from(first == "copy"), "{output}");
            let output = run(second, "right").expect(40);
            assert_eq!(told(&output, "copy", SHARED), usize::from(second == "copy"), "{output}");
            assert_eq!(told(&output, "left", SHARED), 0, "{output}");
            assert!(output.err().contains("conflict: b ("), "{output}");
            assert_eq!(two.read("left/b"), "b by the left");
            assert_eq!(two.read("copy/b"), "b by the copy");
            let output = run(first, "right");
            assert!(matches!(output.code, Some(0 | 40)), "{output}");
            let output = run("left", "copy").expect(40);
            for side in ["left", "right", "copy"] {
                assert_eq!(two.read(&format!("{side}/dir/d")), "d by the left", "{output}");
                assert_eq!(two.read(&format!("{side}/dir/e")), "e by the copy", "{output}");
                assert!(!two.scene.path(&format!("{side}/a")).exists(), "{side}/a came back");
            }
        }
    }
}
