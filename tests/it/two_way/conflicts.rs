//! What both sides changed.

use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use crate::two_way::Two;
use std::fs;
use std::path::Path;

fn tree() -> Tree {
    Tree::new().file("a", "one").file("b", "two").file("dir/c", "three").file("dir/d", "four")
}

/// Both sides wrote another `a`, the right one later.
fn both_wrote(way: Way) -> Two {
    let two = Two::met(way, &tree());
    two.write("left/a", "left's longer content");
    two.write("right/a", "right's content");
    two.touch("left/a", 1_500_000_000);
    two.touch("right/a", 1_600_000_000);
    two
}

#[test]
fn a_conflict_is_left_and_told_with_what_would_resolve_it() {
    for way in Way::all() {
        let two = both_wrote(way);
        two.write("left/b", "no conflict");
        for _ in 0..2 {
            let output = two.sync(&[]).expect(40);
            let told = output.out() + &output.err();
            assert!(told.contains("--conflict-for") && told.contains("a"), "{output}");
            assert_eq!(two.read("left/a"), "left's longer content");
            assert_eq!(two.read("right/a"), "right's content");
            assert_eq!(two.read("right/b"), "no conflict");
        }
        two.write("left/a", "right's content");
        two.touch("left/a", 1_600_000_000);
        two.sync(&[]).success();
        two.assert_same();
    }
}

#[test]
fn policies_decide() {
    let (left, right) = ("left's longer content", "right's content");
    for way in Way::plain() {
        for (policy, winner) in [
            ("newer", right),
            ("older", left),
            ("larger", left),
            ("smaller", right),
            ("local", left),
            ("remote", right),
        ] {
            let two = both_wrote(way);
            two.sync(&[&format!("--conflict={policy}")]).success();
            two.assert_same();
            assert_eq!(two.read("left/a"), winner, "{way:?} {policy}");
            let loser = if winner == left { ("right", right) } else { ("left", left) };
            let kept = format!("{}/.dsync/trash", loser.0);
            let found = walk(&two.scene.path(&kept));
            assert!(found.iter().any(|content| content == loser.1.as_bytes()), "{way:?} {policy}: {found:?}");
        }
    }
}

/// A copy is sent as what differs from the version that is there, unless that is no file.
#[test]
fn a_copy_of_a_loser_is_sent_as_a_difference() {
    for way in Way::plain() {
        for (len, most) in [(40_000, 6_000), (3_000_000, 30_000)] {
            let tree = Tree::new().file("image.bin", noise(len, 1)).file("kind", noise(len, 2));
            let two = Two::met(way, &tree);
            for (side, edit) in [("left", "here"), ("right", "there")] {
                let mut edited = noise(len, 1);
                edited.splice(20_000..20_010, edit.bytes());
                fs::write(two.scene.path(&format!("{side}/image.bin")), edited).unwrap();
            }
            let images = ["left", "right"].map(|side| two.scene.read(&format!("{side}/image.bin")));
            let output = two.sync(&["--conflict=keep-both", "--no-whole-file", "--stats"]).success();
            two.assert_same();
            let kept = ["left", "right"].map(|side| walk(&two.scene.path(side)));
            for image in &images {
                assert!(kept.iter().all(|kept| kept.contains(image)), "{way:?} {len}: {output}");
            }
            assert!(output.number("Literal data:") < most, "{way:?} {len}: {output}");
            // Where the other side has a directory by now, there is no file to differ from.
            two.remove("right/kind");
            fs::create_dir(two.scene.path("right/kind")).unwrap();
            fs::write(two.scene.path("left/kind"), noise(len, 3)).unwrap();
            two.sync(&["--conflict=keep-both", "--no-whole-file"]).success();
            two.assert_same();
            let kept = walk(&two.scene.path("right"));
            assert!(kept.contains(&noise(len, 3)), "{way:?} {len}");
        }
    }
}

/// The contents of all files below a directory.
fn walk(path: &Path) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        } else {
            found.push(fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn both_are_kept() {
    for way in Way::all() {
        let two = both_wrote(way);
        two.sync(&["--conflict=keep-both"]).success();
        two.assert_same();
        assert_eq!(two.read("left/a"), "right's content");
        let copy: Vec<String> =
            two.paths("left").into_iter().filter(|path| path.starts_with("a.conflict-")).collect();
        assert_eq!(copy.len(), 1, "{copy:?}");
        assert_eq!(two.read(&format!("right/{}", copy[0])), "left's longer content");
        let again = two.sync(&["-i"]).success();
        assert_eq!(again.out(), "");
    }
}

#[test]
fn an_edit_survives_a_deletion() {
    for way in Way::plain() {
        let two = Two::met(way, &tree());
        two.remove("left/dir");
        two.write("right/dir/c", "edited");
        two.sync(&[]).success();
        two.assert_same();
        assert_eq!(two.read("left/dir/c"), "edited");
        assert!(!two.scene.path("right/dir/d").exists(), "what was not edited is gone");
    }
}

#[test]
fn different_paths_have_different_policies() {
    for way in Way::plain() {
        let two = both_wrote(way);
        two.write("left/b", "left");
        two.write("right/b", "right");
        two.sync(&["--conflict-for=/a=local", "--conflict=remote"]).success();
        two.assert_same();
        assert_eq!(
            (two.read("right/a"), two.read("left/b")),
            ("left's longer content".into(), "right".into())
        );
    }
}

#[test]
fn a_loser_that_cannot_be_copied_keeps_its_name() {
    for way in Way::plain() {
        for options in [&["--conflict=keep-both"][..], &["--conflict=keep-both", "--no-trash"]] {
            let two = both_wrote(way);
            let hash = blake3::hash(b"left's longer content").to_hex();
            let taken = two.scene.path("left").join(format!("a.conflict-{}", &hash[..8]));
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, &taken, rustix::fs::FileType::Fifo, mode, 0).unwrap();
            for _ in 0..2 {
                two.sync(options).expect(23);
                assert_eq!(two.read("left/a"), "left's longer content", "{way:?}");
                assert_eq!(two.read("right/a"), "right's content", "{way:?}");
            }
            std::fs::remove_file(taken).unwrap();
            two.sync(options).success();
            two.assert_same();
            assert_eq!(two.paths("left").iter().filter(|path| path.starts_with("a.conflict-")).count(), 1);
        }
    }
}
