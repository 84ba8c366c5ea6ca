//! What is not done unless somebody says that it is meant.

use crate::support::disk::Disk;
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::{COLUMNS, Two};
use std::fs;

fn tree() -> Tree {
    (0..20).fold(Tree::new(), |tree, n| tree.file(format!("dir/file{n}"), format!("content {n}")))
}

fn count(two: &Two, side: &str) -> usize {
    two.paths(side).iter().filter(|path| path.contains("file")).count()
}

#[test]
fn an_emptied_tree_empties_nothing() {
    for way in Way::all() {
        for (emptied, other) in [("left", "right"), ("right", "left")] {
            let two = Two::met(way, &tree());
            two.remove(&format!("{emptied}/dir"));
            let output = two.sync(&[]).expect(41);
            assert!(output.err().contains("--allow-mass-delete"), "{output}");
            let told = output.err().replace('\n', " ");
            assert!(told.contains(&format!("/{emptied}; if that is meant")), "{told}");
            assert_eq!(count(&two, other), 20);
            two.sync(&["--allow-mass-delete"]).success();
            assert_eq!(count(&two, other), 0);
        }
    }
}

#[test]
fn more_than_half_does_not_go_unasked() {
    for way in Way::plain() {
        let two = Two::met(way, &tree());
        for n in 0..11 {
            two.remove(&format!("left/dir/file{n}"));
        }
        two.sync(&[]).expect(41);
        assert_eq!((count(&two, "left"), count(&two, "right")), (9, 20));
        two.sync(&["--max-delete=10"]).expect(41);
        two.sync(&["--max-delete=11"]).success();
        assert_eq!(count(&two, "right"), 9);
    }
}

#[test]
fn what_has_no_room_is_not_begun() {
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("file", vec![7; 3 << 20]));
        let Some(disk) = Disk::small(&scene, "disk", 2) else { return };
        fs::create_dir(disk.path("right")).unwrap();
        for options in [&["-2n"][..], &["-2"]] {
            let output = way.copy(options, &[scene.path("source")], disk.path("right")).run().expect(41);
            assert!(output.err().contains("/right needs 3145728 bytes more, and "), "{way:?}: {output}");
            assert!(output.err().contains("dsync trash --empty "), "{way:?}: {output}");
        }
    }
}

#[test]
fn without_its_history_a_tree_loses_nothing() {
    for way in Way::plain() {
        for lost in [&["left"][..], &["right"], &["left", "right"]] {
            let two = Two::met(way, &tree());
            two.remove("left/dir/file1");
            two.write("right/dir/file2", "edited");
            for side in lost {
                fs::remove_dir_all(two.scene.path(side).join(".dsync")).unwrap();
            }
            let code = two.sync(&[]).code;
            assert!(matches!(code, Some(0 | 40)), "{code:?}");
            assert!(count(&two, "left") >= 19 && count(&two, "right") >= 19);
            let kept = [two.read("left/dir/file2"), two.read("right/dir/file2")];
            assert!(kept.contains(&"edited".to_owned()), "{lost:?}: {kept:?}");
        }
    }
}

#[test]
fn a_missing_root_is_not_made() {
    for way in Way::all() {
        let two = Two::new(way, &tree(), &Tree::new());
        fs::remove_dir(two.scene.path("right")).unwrap();
        let output = two.sync(&[]).expect(41);
        assert!(output.err().contains("make the directory"), "{output}");
        assert!(!two.scene.path("right").exists());
    }
}

#[test]
fn a_directory_is_not_synchronised_with_itself() {
    for way in Way::plain() {
        let two = Two::new(way, &tree(), &Tree::new());
        two.link("link", "left");
        let files = || two.snapshot("left").retain(|path| !path.windows(6).any(|part| part == b".dsync"));
        let before = files();
        for (left, right, why) in [
            ("left", "left", "are the same directory"),
            ("left", "link", "are the same directory"),
            ("left/dir/..", "left/", "are the same directory"),
            ("left", "left/dir", "is inside the other"),
            ("link/dir", "left", "is inside the other"),
        ] {
            for options in [&["-2"][..], &["-2n"]] {
                let output =
                    way.copy(options, &[two.scene.path(left)], two.scene.path(right)).run().expect(41);
                assert!(output.err().contains(why), "{way:?} {left} {right}: {output}");
                assert!(!output.err().contains("another dsync"), "{output}");
            }
        }
        assert!(before.differences(&files(), COLUMNS).is_empty());
    }
}

#[test]
fn a_tree_that_has_lost_all_it_had_is_not_filled_unasked() {
    for way in Way::plain() {
        for (lost, other) in [("left", "right"), ("right", "left")] {
            let two = Two::met(way, &tree());
            fs::remove_dir_all(two.scene.path(lost)).unwrap();
            fs::create_dir(two.scene.path(lost)).unwrap();
            // That a first run was refused is no past.
            for options in [&["-n"][..], &[], &[]] {
                let output = two.sync(options).expect(41);
                assert!(output.err().contains("--allow-mass-delete"), "{way:?} {lost}: {output}");
                assert_eq!((count(&two, lost), count(&two, other)), (0, 20), "{way:?} {lost}");
                assert_eq!(two.scene.paths(lost), [""; 0], "what was refused leaves nothing");
            }
            two.sync(&["--allow-mass-delete"]).expect(0);
            two.assert_same();
            assert_eq!(count(&two, lost), 20);
        }
    }
}

#[test]
fn another_replica_at_a_known_place_is_not_taken_for_the_one_that_was_met() {
    for way in Way::plain() {
        for side in ["left", "right"] {
            let two = Two::met(way, &tree());
            // A replica of its own, which has met somebody else.
            let [own, met] = ["own", "met"].map(|name| two.scene.path(name));
            fs::create_dir(&own).unwrap();
            fs::create_dir(&met).unwrap();
            fs::write(own.join("file of its own"), "its own").unwrap();
            Way::LOCAL.copy(&["-2"], &[own], met).run().success();
            two.rename(side, "away");
            two.rename("own", side);
            for options in [&["-n"][..], &[], &[]] {
                let output = two.sync(options).expect(41);
                let told = output.err();
                assert!(told.contains("is not what was met there before"), "{way:?} {side}: {told}");
                assert!(
                    told.contains(&format!("/{side} is")) && told.contains("--allow-mass-delete"),
                    "{told}"
                );
                assert_eq!(two.paths(side), ["file of its own"], "{way:?} {side}");
            }
            two.sync(&["--allow-mass-delete"]).success();
            two.assert_same();
            two.sync(&[]).success();
            // The one that was met before is known, and so is by now the other.
            two.rename(side, "own");
            two.rename("away", side);
            two.sync(&[]).success();
            two.assert_same();
        }
    }
}

#[test]
fn that_a_history_is_lost_is_said() {
    for way in Way::plain() {
        for lost in ["left", "right"] {
            let two = Two::met(way, &tree());
            two.remove(&format!("{lost}/dir/file1"));
            fs::remove_dir_all(two.scene.path(lost).join(".dsync")).unwrap();
            let told = two.sync(&[]).expect(0).err();
            assert_eq!(told.matches(&format!("/{lost} has lost its history: ")).count(), 1, "{told}");
            assert_eq!((count(&two, "left"), count(&two, "right")), (20, 20));
            two.assert_same();
            assert_eq!(two.sync(&[]).success().err(), "");
        }
    }
}

/// Whoever comes while another run has one of the directories changes nothing, whichever of them it is.
#[test]
fn a_replica_that_another_run_has_is_left_alone() {
    for way in Way::plain() {
        let two = Two::met(way, &Tree::new().file("a", "one"));
        two.write("left/a", "left");
        two.write("right/a", "right's");
        let (begun, go_on) = (two.scene.path("begun"), two.scene.path("go on"));
        let wait = format!(
            "touch '{}'; until [ -e '{}' ]; do sleep 0.02; done; false",
            begun.display(),
            go_on.display()
        );
        std::thread::scope(|scope| {
            let first = scope.spawn(|| two.sync(&[&format!("--conflict=merge={wait}")]));
            while !begun.exists() {
                assert!(!first.is_finished(), "it asks nobody");
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            let third = two.scene.path("third");
            std::fs::create_dir_all(&third).unwrap();
            let outputs = ["left", "right"].map(|held| {
                let held = two.scene.path(held);
                let to = way.copy(&["-2"], std::slice::from_ref(&third), held.clone()).run();
                [to, way.copy(&["-2"], &[held], third.clone()).run()]
            });
            std::fs::write(&go_on, "").unwrap();
            first.join().unwrap().expect(40);
            for output in outputs.into_iter().flatten() {
                let output = output.expect(41);
                assert!(output.err().contains("another dsync is working on"), "{output}");
            }
        });
    }
}
