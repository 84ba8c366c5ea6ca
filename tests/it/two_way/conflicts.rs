//! What both sides changed.

use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::Two;

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
            let found = walkdir(&two.scene.path(&kept));
            assert!(found.iter().any(|content| content == loser.1), "{way:?} {policy}: {found:?}");
        }
    }
}

/// The contents of all files below a directory.
fn walkdir(path: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walkdir(&path));
        } else {
            found.push(std::fs::read_to_string(&path).unwrap());
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
