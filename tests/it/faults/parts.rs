//! Files that are written in parts, somewhere else, or where they are: what becomes of them when a run is disturbed.

use crate::faults::{
    LOOK_ALIKE, assert_completes, begin, large, old_large, scene, staged, wait_for,
    wait_until_nothing_is_staged,
};
use crate::support::scene::Scene;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::{Tree, noise};
use rustix::process::Signal;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;

/// A slow run in which a small file is complete and a large one under way.
fn begin_delayed(scene: &Scene, way: Way) -> crate::support::command::Running {
    let running = begin(scene, way, &["--delay-updates"]);
    wait_for("the small file waits", || scene.path("to/.~tmp~/small").exists());
    running
}

fn delayed_scene() -> Scene {
    // The small file comes first.
    let scene = scene();
    fs::rename(scene.path("source/large"), scene.path("source/z-large")).unwrap();
    fs::rename(scene.path("to/large"), scene.path("to/z-large")).unwrap();
    scene
}

/// No name has changed, and the next run changes all of them and clears up.
#[track_caller]
fn nothing_was_published(scene: &Scene, way: Way) {
    assert_eq!(scene.read("to/z-large"), old_large(), "{way:?}");
    assert_eq!(scene.read("to/small"), b"old content", "{way:?}");
    let options = ["-a", "--delay-updates"];
    way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
    assert!(!scene.path("to/.~tmp~").exists(), "{way:?}");
    assert_completes(scene, way);
}

#[test]
fn updates_that_wait_are_not_seen_when_the_run_is_killed() {
    for way in Way::plain() {
        let scene = delayed_scene();
        let running = begin_delayed(&scene, way);
        running.signal(Signal::KILL);
        assert_eq!(running.finish().signal, Some(Signal::KILL.as_raw()));
        if way.transport != Transport::Local && way.direction == Direction::Push {
            wait_for("the peer has gone", || staged(&scene).iter().all(|(name, _)| name == ".~tmp~"));
        }
        nothing_was_published(&scene, way);
    }
}

#[test]
fn updates_that_wait_are_not_seen_when_the_run_is_interrupted() {
    for way in Way::plain() {
        let scene = delayed_scene();
        let running = begin_delayed(&scene, way);
        running.signal(Signal::INT);
        running.finish().expect(20);
        wait_for("the part is kept", || scene.path("to/.~tmp~/z-large").exists());
        let kept = scene.read("to/.~tmp~/z-large");
        assert!(!kept.is_empty() && large().starts_with(&kept), "{way:?}");
        nothing_was_published(&scene, way);
    }
}

/// A directory for parts that is a link, which may have come from the source, is not written through.
#[test]
fn parts_are_not_kept_behind_a_link() {
    for way in Way::plain() {
        for options in [&["--partial-dir=.kept"][..], &["--partial-dir=.kept", "--insecure-links"]] {
            let scene = scene();
            fs::create_dir(scene.path("elsewhere")).unwrap();
            fs::write(scene.path("elsewhere/large"), "mine").unwrap();
            for tree in ["source", "to"] {
                symlink("../elsewhere", scene.path(tree).join(".kept")).unwrap();
            }
            let running = begin(&scene, way, options);
            running.signal(Signal::INT);
            running.finish().expect(20);
            wait_for("nothing is staged", || staged(&scene).iter().all(|(name, _)| name == ".kept"));
            assert_eq!(scene.paths("elsewhere"), ["large"], "{way:?}");
            assert_eq!(scene.read("elsewhere/large"), b"mine", "{way:?}");
            assert_eq!(scene.read("to/large"), old_large(), "{way:?}");
            // A run that is not disturbed neither takes it for a basis nor removes it.
            let options = [&["-a", "--no-whole-file"], options].concat();
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(scene.read("elsewhere/large"), b"mine", "{way:?}");
            assert_eq!(scene.read("to/large"), large(), "{way:?}");
        }
    }
}

/// Nothing is updated where files cannot wait, and nothing is removed that has the name of the place.
#[test]
fn files_that_cannot_wait_are_told() {
    for way in Way::plain() {
        for link in [true, false] {
            let scene = scene();
            fs::create_dir(scene.path("elsewhere")).unwrap();
            let place = scene.path("to/.~tmp~");
            if link {
                symlink("../elsewhere", &place).unwrap()
            } else {
                fs::write(&place, "mine").unwrap()
            }
            let output = way
                .copy(&["-a", "--delay-updates"], &[scene.path("source/")], scene.path("to"))
                .run()
                .expect(23);
            assert!(output.err().contains("opening the directory for partial files"), "{way:?}\n{output}");
            assert_eq!(scene.read("to/large"), old_large(), "{way:?}");
            assert_eq!(scene.paths("elsewhere").len(), 0, "{way:?}");
            assert_eq!(place.is_symlink(), link, "{way:?}");
        }
    }
}

fn appending() -> Scene {
    let old = &large()[..1 << 20];
    Scene::with_source(&Tree::new().file("large", large()).file("small", "new"))
        .tree("to", &Tree::new().file("large", old).file(LOOK_ALIKE, "mine"))
}

/// A slow run that has appended something.
fn begin_appending(scene: &Scene, way: Way) -> crate::support::command::Running {
    let options = ["-a", "--append", "--bwlimit=400"];
    let running = way.copy(&options, &[scene.path("source/")], scene.path("to")).start();
    wait_for("something is appended", || {
        fs::metadata(scene.path("to/large")).unwrap().len() > (1 << 20) + 50_000
    });
    running
}

#[test]
fn what_was_appended_by_a_run_that_is_killed_is_what_the_next_goes_on_with() {
    for way in Way::plain() {
        for signal in [Signal::KILL, Signal::INT] {
            let scene = appending();
            let running = begin_appending(&scene, way);
            running.signal(signal);
            running.finish();
            wait_until_nothing_is_staged(&scene);
            let now = scene.read("to/large");
            assert!(now.len() > 1 << 20 && large().starts_with(&now), "{way:?} {signal:?}: {}", now.len());
            let options = ["-a", "--append", "--stats"];
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            // A peer may have gone on for a moment.
            assert!(
                output.number("Literal data:") <= (large().len() - now.len() + 3) as u64,
                "{way:?}\n{output}"
            );
            assert_completes(&scene, way);
        }
    }
}

/// The source changes while it is appended: the start of the file stays what it was in any case, and a run that looks
/// at it makes it good.
#[test]
fn a_source_that_changes_while_it_is_appended() {
    type Change = fn(&Scene);
    let changes: [(&str, Change); 4] = [
        ("grows", |scene| {
            let mut file = OpenOptions::new().append(true).open(scene.path("source/large")).unwrap();
            file.write_all(&noise(300_000, 3)).unwrap();
        }),
        ("shrinks", |scene| {
            let file = OpenOptions::new().write(true).open(scene.path("source/large")).unwrap();
            file.set_len(1000).unwrap();
        }),
        ("is replaced", |scene| {
            fs::write(scene.path("other"), noise(3 << 20, 5)).unwrap();
            fs::rename(scene.path("other"), scene.path("source/large")).unwrap();
        }),
        ("vanishes", |scene| fs::remove_file(scene.path("source/large")).unwrap()),
    ];
    for way in Way::plain() {
        for (what, change) in changes {
            let scene = appending();
            let options = ["-a", "--append", "--bwlimit=4000"];
            let running = way.copy(&options, &[scene.path("source/")], scene.path("to")).start();
            wait_for("something is appended", || {
                fs::metadata(scene.path("to/large")).unwrap().len() > (1 << 20) + 50_000
            });
            change(&scene);
            let output = running.finish();
            assert!(matches!(output.code, Some(0 | 23 | 24)), "{way:?} {what}\n{output}");
            assert!(scene.read("to/large").starts_with(&large()[..1 << 20]), "{way:?} {what}");
            if what != "vanishes" {
                assert_completes(&scene, way);
            }
        }
    }
}

/// A file that is not the start of the source's keeps what it has, whatever comes behind it.
#[test]
fn a_file_that_only_looks_shorter_keeps_its_start() {
    for way in Way::plain() {
        let other = noise(200_000, 77);
        let scene = Scene::with_source(&Tree::new().file("file", noise(300_000, 78)).file("older", "12345"))
            .tree("to", &Tree::new().file("file", &other).file("older", "is longer"));
        way.copy(&["-a", "--append"], &[scene.path("source/")], scene.path("to")).run().success();
        let now = scene.read("to/file");
        assert!(now.len() == 300_000 && now.starts_with(&other), "{way:?}");
        assert_eq!(scene.read("to/older"), b"is longer", "{way:?}");
        // With --append-verify it is what the source has.
        fs::write(scene.path("to/file"), &other).unwrap();
        way.copy(&["-a", "--append-verify"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.read("to/file"), noise(300_000, 78), "{way:?}");
    }
}
