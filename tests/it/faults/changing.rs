//! Source files that change while they are read: the rest is copied, and the next run makes it good.

use crate::faults::{LOOK_ALIKE, begin, large, scene, staged, wait_for};
use crate::support::command::Output;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use std::fs::{self, OpenOptions};
use std::io::Write as _;

/// Changes the source in the middle of a run. The run ends by itself, without more than a complaint, and another run
/// leaves nothing to complain about.
fn changes_meanwhile(change: impl Fn(&Scene)) {
    for way in Way::plain() {
        let scene = scene();
        let running = begin(&scene, way, &["--bwlimit=5000"]);
        change(&scene);
        let output = running.finish();
        assert!(matches!(output.code, Some(0 | 23 | 24)), "{way:?}\n{output}");
        assert_eq!(scene.read("to/small"), b"new", "{way:?}\n{output}");
        assert!(staged(&scene).is_empty(), "{way:?}\n{output}");
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        fs::remove_file(scene.path("to").join(LOOK_ALIKE)).unwrap();
        if scene.path("source/large").exists() {
            assert_same(
                &scene.path("source"),
                &scene.path("to"),
                Columns { directory_mtime: false, ..Columns::ALL },
            );
        }
    }
}

#[test]
fn a_file_that_grows() {
    changes_meanwhile(|scene| {
        let mut file = OpenOptions::new().append(true).open(scene.path("source/large")).unwrap();
        file.write_all(&noise(500_000, 3)).unwrap();
    });
}

#[test]
fn a_file_that_shrinks() {
    changes_meanwhile(|scene| {
        OpenOptions::new().write(true).open(scene.path("source/large")).unwrap().set_len(2 << 20).unwrap();
    });
}

#[test]
fn a_file_that_is_emptied() {
    changes_meanwhile(|scene| fs::write(scene.path("source/large"), "").unwrap());
}

#[test]
fn a_file_that_is_rewritten() {
    changes_meanwhile(|scene| fs::write(scene.path("source/large"), noise(6 << 20, 4)).unwrap());
}

#[test]
fn a_file_that_is_replaced() {
    changes_meanwhile(|scene| {
        fs::write(scene.path("other"), noise(3 << 20, 5)).unwrap();
        fs::rename(scene.path("other"), scene.path("source/large")).unwrap();
    });
}

#[test]
fn a_file_that_vanishes_while_it_is_read() {
    changes_meanwhile(|scene| fs::remove_file(scene.path("source/large")).unwrap());
}

#[test]
fn files_that_vanish_before_they_are_read() {
    let mut tree = Tree::new().file("a-large", large());
    for number in 0..20u8 {
        tree = tree.file(format!("b/{number}"), noise(300_000, u64::from(number)));
    }
    for way in Way::plain() {
        let scene = Scene::with_source(&tree);
        let options = ["-a", "-W", "--bwlimit=5000"];
        let running = way.copy(&options, &[scene.path("source/")], scene.path("to")).start();
        wait_for("the large file is under way", || staged(&scene).iter().any(|(_, length)| *length > 50_000));
        for number in 10..20 {
            fs::remove_file(scene.path(&format!("source/b/{number}"))).unwrap();
        }
        let output: Output = running.finish();
        let arrived = (10..20).filter(|number| scene.path(&format!("to/b/{number}")).exists()).count();
        // Those read in time arrived; the others are told by the code for vanished files.
        assert_eq!(
            output.code,
            Some(if arrived == 10 { 0 } else { 24 }),
            "{way:?}: {arrived} arrived\n{output}"
        );
        for number in 0..10 {
            assert!(scene.path(&format!("to/b/{number}")).exists(), "{way:?}: {number}\n{output}");
        }
    }
}
