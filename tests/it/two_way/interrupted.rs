//! Runs that are interrupted in the middle: they finish what is in hand, but do not wait long for it, and say so;
//! nothing is half done, and the next run ends where an undisturbed one would.

use crate::faults::wait_for;
use crate::support::command::{Output, Running};
use crate::support::transport::{Direction, Way};
use crate::support::tree::{Tree, noise};
use crate::two_way::Two;
use crate::two_way::crash::{WITHOUT_DIRECTORY_TIMES, contents};
use crate::two_way::linked::{groups, join};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::time::Duration;

const OPTIONS: &[&str] = &["-H", "--allow-mass-delete"];
/// The large file takes 15 s so, whatever else there is to do.
const SLOWLY: &[&str] = &["-W", "--no-compress", "--bwlimit=400"];
const LINKED: [&str; 5] = ["large", "also large", "dir/a", "dir/linked", "parted"];

/// Two trees between which there is something of every kind to do, and a large file to be sent from one side.
fn with_work(way: Way, large_at: &str) -> Two {
    let tree = Tree::new()
        .file("large", noise(100_000, 1))
        .file("edited left", "one")
        .file("edited right", "two")
        .file("mode", "mode")
        .file("removed", "gone")
        .file("from", "renamed")
        .file("dir/a", "a")
        .file("gone/deep/c", "c");
    let two = Two::new(way, &tree, &Tree::new());
    for (of, name) in [("large", "also large"), ("dir/a", "parted")] {
        join(&two, &format!("left/{of}"), &format!("left/{name}"));
    }
    two.sync(OPTIONS).success();
    fs::write(two.scene.path(&format!("{large_at}/large")), noise(6 << 20, 2)).unwrap();
    two.touch(&format!("{large_at}/large"), 1_700_000_000);
    for (path, content) in [
        ("left/edited left", "one, edited"),
        ("right/edited right", "two, edited"),
        ("left/new/er/file", "new"),
        ("right/new too", "also new"),
    ] {
        two.write(path, content);
        two.touch(path, 1_700_000_000);
    }
    two.chmod("right/mode", 0o600);
    two.remove("left/removed");
    two.remove("right/gone");
    two.rename("left/from", "left/dir/renamed");
    join(&two, "right/dir/a", "right/dir/linked");
    two.remove("left/parted");
    two.write("left/parted", "a");
    two.touch("left/parted", 1_700_000_000);
    two
}

/// Whether so much of a file is staged in a tree, or below.
fn is_under_way(at: &Path) -> bool {
    fs::read_dir(at).into_iter().flatten().flatten().any(|entry| {
        let is_staged = entry.file_name().to_string_lossy().starts_with(".dsync-");
        let is_long = entry.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 50_000);
        (is_staged && is_long)
            || (entry.file_name() == ".dsync" && is_under_way(&entry.path().join("staging")))
    })
}

/// A run that is interrupted when a large file is under way.
fn interrupt(two: &Two, options: &[&str], to: &str, everybody: bool) -> Running {
    let options = [&["-2"], options, SLOWLY].concat();
    let running = two.way.copy(&options, &[two.scene.path("left")], two.scene.path("right")).start();
    wait_for("the large file is under way", || is_under_way(&two.scene.path(to)));
    if everybody {
        running.signal_group(Signal::INT);
    } else {
        running.signal(Signal::INT);
    }
    running
}

fn interrupted(two: &Two, to: &str, everybody: bool) -> Output {
    interrupt(two, OPTIONS, to, everybody).finish()
}

#[test]
fn the_next_run_ends_where_an_undisturbed_one_does() {
    for way in Way::plain() {
        for (from, to, everybody) in [("left", "right", false), ("right", "left", true)] {
            let undisturbed = with_work(way, from);
            undisturbed.sync(OPTIONS).success();
            undisturbed.assert_same();
            let (wanted, wanted_groups) =
                (undisturbed.snapshot("left"), groups(&undisturbed, "left", &LINKED));
            let two = with_work(way, from);
            let known = contents(&two);
            let output = interrupted(&two, to, everybody).expect(20);
            assert!(
                output.elapsed < Duration::from_secs(12),
                "{way:?}: it waited for the large file\n{output}"
            );
            let made_up: Vec<_> =
                contents(&two).into_iter().filter(|(content, _)| !known.contains_key(content)).collect();
            assert!(made_up.is_empty(), "{way:?}: {made_up:?}\n{output}");
            assert_ne!(two.scene.read(&format!("{to}/large")), two.scene.read(&format!("{from}/large")));
            let next = two.sync(OPTIONS);
            assert_eq!(next.code, Some(0), "{way:?}: {output}\n{next}");
            two.assert_same();
            let differences = two.snapshot("left").differences(&wanted, WITHOUT_DIRECTORY_TIMES);
            assert!(differences.is_empty(), "{way:?}: {differences:#?}\n{output}\n{next}");
            for side in ["left", "right"] {
                assert_eq!(groups(&two, side, &LINKED), wanted_groups, "{way:?} {side}: {output}\n{next}");
            }
            let again = two.sync(&[OPTIONS, &["-v"]].concat()).success();
            assert!(again.out().contains("in sync"), "{way:?}: {again}");
        }
    }
}

/// Two trees, where files of one side are to be sent to the other, one after the other, and one is to go.
fn with_files(way: Way, from: &str) -> Two {
    let two = Two::met(way, &Tree::new().file("gone", "gone").file("stays", "stays"));
    two.remove(&format!("{from}/gone"));
    // At the rate of these runs the first takes 2 s, and all of them 9.
    for (name, len) in [("1", 800_000), ("2", 700_000), ("3", 700_000), ("4", 700_000), ("5", 700_000)] {
        fs::write(two.scene.path(&format!("{from}/{name}")), noise(len, 3)).unwrap();
    }
    two.write(&format!("{from}/small"), "small");
    two
}

/// Whether whoever writes hears of a signal at once, and not after what waits for the line.
fn hears_at_once(way: Way, from: &str, everybody: bool) -> bool {
    let here = if way.direction == Direction::Push { "left" } else { "right" };
    way == Way::LOCAL || everybody || from != here
}

#[test]
fn what_is_in_hand_is_finished_and_nothing_else_is_begun() {
    const FILES: [&str; 5] = ["1", "2", "3", "4", "5"];
    for way in Way::plain() {
        for (from, to, everybody) in [("left", "right", false), ("right", "left", true)] {
            let two = with_files(way, from);
            let output = interrupt(&two, &["--plain=threads"], to, everybody).finish().expect(20);
            let context = format!("{way:?} {from} {everybody}: {output}");
            let (done, begun): (Vec<&str>, Vec<&str>) =
                FILES.into_iter().partition(|name| two.scene.path(&format!("{to}/{name}")).exists());
            assert!(done.starts_with(&["1"]) && begun.ends_with(&["5"]), "{done:?} {context}");
            if hears_at_once(way, from, everybody) {
                assert_eq!(done, ["1"], "{context}");
            }
            for name in &done {
                let of = |side: &str| two.scene.read(&format!("{side}/{name}"));
                assert!(of(to) == of(from), "{name} {context}");
            }
            assert_eq!(two.paths(to), [&done[..], &["gone", "stays"]].concat(), "{context}");
            let staged = fs::read_dir(two.scene.path(to).join(".dsync/staging")).unwrap().count();
            assert_eq!(staged, 0, "{context}");
            // Nobody has to look again at what was done.
            let next = two.sync(&["-v"]).success();
            let told = |path: &str| next.out().lines().any(|line| line.ends_with(&format!(" {path}")));
            assert!(begun.iter().all(|path| told(path)) && told("small"), "{context}\n{next}");
            assert!(!done.iter().any(|path| told(path)), "{context}\n{next}");
            assert_eq!(two.paths(to), ["1", "2", "3", "4", "5", "small", "stays"], "{context}");
            two.assert_same();
        }
    }
}

#[test]
fn a_second_signal_waits_for_nothing() {
    for way in Way::plain() {
        let two = with_files(way, "left");
        let running = interrupt(&two, &["--plain=threads"], "right", false);
        // One that comes sooner is taken for the first.
        std::thread::sleep(Duration::from_millis(400));
        running.signal(Signal::INT);
        let output = running.finish().expect(20);
        assert!(!two.paths("right").contains(&"1".to_owned()), "{way:?}: {output}");
        // Whoever is at the other end hears of it at once.
        let lets_go = || two.sync(&[]).code == Some(0);
        wait_for("the next run has both", lets_go);
        two.assert_same();
    }
}
