//! Extended attributes that filter rules leave out: they take no part on either side, and stay.

use crate::support::command::{Output, dsync};
use crate::support::scene::Scene;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::Tree;
use crate::support::xattr;
use crate::two_way::Two;
use crate::two_way::crash::{KILLED, MANY, Victim, WITHOUT_DIRECTORY_TIMES, crashing_with};

const OWN: &[u8] = b"user.own";

/// Each side has `user.own` of its own.
const HIDING: [&str; 2] = ["-X", "-f-x user.own"];

/// Two files and a directory that have `user.own` with this value, and a colour besides.
fn tree(own: &str) -> Tree {
    let tree = Tree::new().file("marked", "one").directory("dir").file("dir/in it", "two");
    let tree = ["marked", "dir", "dir/in it"].iter().fold(tree, |tree, path| {
        let tree = tree.xattr(path, "user.colour", "red");
        tree.xattr(path, "user.own", own)
    });
    tree.file("plain", "three")
}

/// Replicas that have met by these rules.
fn met(way: Way) -> Two {
    let two = Two::new(way, &tree("left"), &tree("right"));
    two.sync(&HIDING).success();
    two
}

impl Two {
    fn own(&self, path: &str) -> Option<String> {
        xattr::get(&self.scene.path(path), OWN).map(|value| String::from_utf8(value).unwrap())
    }

    fn set_own(&self, path: &str, value: &str) {
        xattr::set(&self.scene.path(path), OWN, value.as_bytes());
    }

    #[track_caller]
    fn assert_own(&self, path: &str, values: [Option<&str>; 2]) {
        let found = ["left", "right"].map(|side| self.own(&format!("{side}/{path}")));
        assert_eq!(found.each_ref().map(Option::as_deref), values, "{:?} {path}", self.way);
    }

    #[track_caller]
    fn assert_colour(&self, path: &str, value: Option<&str>) {
        let found = ["left", "right"].map(|side| self.colour(&format!("{side}/{path}")));
        assert_eq!(found.each_ref().map(Option::as_deref), [value; 2], "{:?} {path}", self.way);
    }

    #[track_caller]
    fn assert_in_sync(&self, options: &[&str]) {
        let again = self.sync(&[options, &["-v"]].concat()).success();
        assert!(again.out().contains("in sync"), "{:?}: {again}", self.way);
    }

    fn undo(&self, side: &str, run: Option<&str>) -> Output {
        let words = ["undo".into(), self.scene.path(side).into_os_string()];
        dsync(words.into_iter().chain(run.map(Into::into))).run()
    }
}

#[test]
fn each_side_keeps_its_own() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        for rule in ["-f-x user.own", "-f-xs user.own", "-f-xr user.own", "-f-x! user.colour"] {
            let options = ["-X", rule];
            let two = Two::new(way, &tree("left"), &tree("right"));
            two.write("left/new", "new");
            two.mark("left/new", "blue");
            two.set_own("left/new", "left");
            two.sync(&options).success();
            two.assert_own("new", [Some("left"), None]);
            two.assert_colour("new", Some("blue"));
            two.set_own("left/marked", "other");
            xattr::remove(&two.scene.path("right/dir"), OWN);
            two.assert_in_sync(&options);
            two.mark("right/marked", "green");
            two.mark("left/dir", "green");
            xattr::remove(&two.scene.path("left/dir/in it"), b"user.colour");
            let inodes = ["left/marked", "right/dir", "right/dir/in it"].map(|path| two.inode(path));
            two.sync(&options).success();
            assert_eq!(["left/marked", "right/dir", "right/dir/in it"].map(|path| two.inode(path)), inodes);
            two.assert_colour("marked", Some("green"));
            two.assert_colour("dir", Some("green"));
            two.assert_colour("dir/in it", None);
            two.assert_own("marked", [Some("other"), Some("right")]);
            two.assert_own("dir", [Some("left"), None]);
            two.assert_own("dir/in it", [Some("left"), Some("right")]);
            two.assert_in_sync(&options);
        }
    }
}

#[test]
fn what_gets_another_content_keeps_its_own() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        let two = met(way);
        let inode = two.inode("right/marked");
        two.write("left/marked", "edited on the left");
        two.mark("left/marked", "green");
        two.write("right/dir/in it", "edited on the right");
        two.write("left/plain", "edited, too");
        two.set_own("right/plain", "right");
        two.sync(&HIDING).success();
        assert_ne!(two.inode("right/marked"), inode);
        assert_eq!(two.read("right/marked"), "edited on the left");
        assert_eq!(two.read("left/dir/in it"), "edited on the right");
        two.assert_colour("marked", Some("green"));
        two.assert_colour("dir/in it", Some("red"));
        two.assert_own("marked", [Some("left"), Some("right")]);
        two.assert_own("dir/in it", [Some("left"), Some("right")]);
        two.assert_own("plain", [None, Some("right")]);
        // What gave way has all it had.
        assert_eq!(two.own("right/.dsync/trash/2/marked").as_deref(), Some("right"));
        assert_eq!(two.colour("right/.dsync/trash/2/marked").as_deref(), Some("red"));
        two.assert_in_sync(&HIDING);
        two.remove("left/dir");
        two.sync(&[&HIDING[..], &["--allow-mass-delete"]].concat()).success();
        assert_eq!(two.own("right/.dsync/trash/3/dir").as_deref(), Some("right"));
        assert_eq!(two.own("right/.dsync/trash/3/dir/in it").as_deref(), Some("right"));
        two.undo("right", None).success();
        assert_eq!(two.own("right/dir").as_deref(), Some("right"));
        assert_eq!(two.own("right/dir/in it").as_deref(), Some("right"));
    }
}

#[test]
fn the_loser_of_a_conflict_keeps_its_own_too() {
    if !xattr::are_here() {
        return;
    }
    let two = met(Way::LOCAL);
    for (side, time) in [("left", 1_700_000_000), ("right", 1_700_000_009)] {
        let path = format!("{side}/marked");
        two.write(&path, side);
        two.touch(&path, time);
    }
    two.sync(&[&HIDING[..], &["--conflict=keep-both"]].concat()).success();
    let copy = two.paths("left").into_iter().find(|path| path.contains("conflict")).unwrap();
    two.assert_own("marked", [Some("left"), Some("right")]);
    two.assert_own(&copy, [Some("left"), None]);
    two.assert_colour(&copy, Some("red"));
    two.assert_in_sync(&HIDING);
}

#[test]
fn rules_that_come_and_go_take_nothing_away() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        let two = Two::new(way, &tree("same"), &Tree::new());
        two.sync(&["-X"]).success();
        two.assert_same();
        two.set_own("left/marked", "left");
        xattr::remove(&two.scene.path("right/dir"), OWN);
        two.set_own("right/plain", "right");
        two.sync(&[&HIDING[..], &["-n"]].concat()).success();
        two.assert_in_sync(&HIDING);
        two.assert_own("marked", [Some("left"), Some("same")]);
        two.assert_own("dir", [Some("same"), None]);
        two.assert_own("plain", [None, Some("right")]);
        two.mark("right/marked", "green");
        two.sync(&HIDING).success();
        two.assert_colour("marked", Some("green"));
        xattr::remove(&two.scene.path("right/dir"), b"user.colour");
        // As for the first time: who has some keeps them, and who has none gets them.
        let output = two.sync(&["-X"]).expect(40);
        assert!(output.err().contains("conflict: marked"), "{output}");
        assert!(!output.err().contains("dir"), "{output}");
        two.assert_own("marked", [Some("left"), Some("same")]);
        two.assert_own("dir", [Some("same"); 2]);
        two.assert_own("dir/in it", [Some("same"); 2]);
        two.assert_own("plain", [Some("right"); 2]);
        two.assert_colour("dir", Some("red"));
        two.assert_in_sync(&HIDING);
        two.sync(&["-X", "--conflict=remote"]).success();
        two.assert_same();
        two.assert_own("marked", [Some("same"); 2]);
    }
}

/// In a chain of which one end has no such rules.
#[test]
fn others_with_whom_all_takes_part_lose_nothing() {
    if !xattr::are_here() {
        return;
    }
    let scene = Scene::new().tree("a", &tree("a")).tree("b", &Tree::new()).tree("c", &Tree::new());
    let sync = |options: &[&str], one: &str, other: &str| {
        let options: Vec<&str> = ["-2"].iter().chain(options).copied().collect();
        Way::LOCAL.copy(&options, &[scene.path(one)], scene.path(other)).run()
    };
    let get = |at: &str, name: &[u8]| {
        xattr::get(&scene.path(at), name).map(|value| String::from_utf8(value).unwrap())
    };
    sync(&HIDING, "a", "b").success();
    assert_eq!((get("b/marked", OWN), get("b/marked", b"user.colour").as_deref()), (None, Some("red")));
    xattr::set(&scene.path("b/marked"), OWN, b"b");
    for _ in 0..2 {
        sync(&["-X"], "b", "c").success();
        assert_eq!(get("c/marked", OWN).as_deref(), Some("b"));
        sync(&HIDING, "a", "b").success();
    }
    assert_eq!(get("a/marked", OWN).as_deref(), Some("a"));
    assert_eq!(get("b/marked", OWN).as_deref(), Some("b"));
    xattr::set(&scene.path("a/marked"), b"user.colour", b"green");
    sync(&HIDING, "a", "b").success();
    sync(&["-X"], "b", "c").success();
    assert_eq!(get("c/marked", b"user.colour").as_deref(), Some("green"));
}

#[test]
fn an_undo_leaves_them_alone() {
    if !xattr::are_here() {
        return;
    }
    let two = met(Way::LOCAL);
    two.mark("left/marked", "green");
    two.mark("left/dir", "green");
    two.write("left/dir/in it", "edited");
    two.mark("left/dir/in it", "green");
    two.sync(&HIDING).success();
    two.set_own("right/marked", "set since");
    two.undo("right", None).success();
    for path in ["right/marked", "right/dir", "right/dir/in it"] {
        assert_eq!(two.colour(path).as_deref(), Some("red"), "{path}");
    }
    assert_eq!(two.read("right/dir/in it"), "two");
    two.assert_own("marked", [Some("left"), Some("set since")]);
    two.assert_own("dir", [Some("left"), Some("right")]);
    two.assert_own("dir/in it", [Some("left"), Some("right")]);
    two.sync(&HIDING).success();
    two.assert_colour("marked", Some("red"));
    two.assert_own("marked", [Some("left"), Some("set since")]);
}

#[test]
fn what_was_done_by_other_rules_is_not_undone_by_half() {
    if !xattr::are_here() {
        return;
    }
    let two = met(Way::LOCAL);
    two.mark("left/marked", "green");
    xattr::remove(&two.scene.path("left/dir"), b"user.colour");
    two.sync(&HIDING).success();
    xattr::remove(&two.scene.path("right/dir"), OWN);
    two.sync(&["-X", "-f-x user.*"]).success();
    two.mark("right/dir", "set since");
    let output = two.undo("right", Some("2")).expect(23);
    assert!(output.to_string().contains("the rules of a later run hide attributes that it had"), "{output}");
    assert_eq!(two.colour("right/dir").as_deref(), Some("set since"));
    assert_eq!(two.colour("right/marked").as_deref(), Some("green"));
    two.assert_own("marked", [Some("left"), Some("right")]);
}

#[test]
fn status_looks_at_what_the_runs_look_at() {
    if !xattr::are_here() {
        return;
    }
    let two = met(Way::LOCAL);
    let status = || dsync(["status".into(), two.scene.path("left").into_os_string()]).run().success();
    let before = status().out().to_owned();
    two.set_own("left/marked", "other");
    assert_eq!(status().out(), before);
    two.mark("left/dir", "green");
    assert_ne!(status().out(), before);
    assert!(status().out().contains("dir"), "{}", status());
    two.assert_own("marked", [Some("other"), Some("right")]);
}

#[test]
fn rules_in_directories_and_without_the_option_say_nothing() {
    if !xattr::are_here() {
        return;
    }
    let two = Two::new(Way::LOCAL, &tree("left").file(".f", "-x user.own\n"), &Tree::new());
    two.sync(&["-X", "-f: .f"]).success();
    two.assert_same();
    assert_eq!(two.own("right/marked").as_deref(), Some("left"));
    two.set_own("left/marked", "other");
    two.sync(&["-f-x user.own"]).success();
    assert_eq!(two.own("right/marked").as_deref(), Some("left"));
    // Nor has it been forgotten what was known of it.
    two.sync(&["-X", "-f: .f"]).success();
    two.assert_same();
    assert_eq!(two.own("right/marked").as_deref(), Some("other"));
}

/// Replicas that have met by the options, of which the files and attributes on the left are others since.
fn with_work(way: Way, options: &[&str]) -> Two {
    let two = Two { scene: Scene::in_memory().tree("left", &tree("same")).tree("right", &Tree::new()), way };
    two.sync(options).success();
    for side in ["left", "right"] {
        for path in ["marked", "dir", "dir/in it", "plain"] {
            two.set_own(&format!("{side}/{path}"), side);
        }
    }
    two.write("left/marked", "edited");
    two.touch("left/marked", 1_700_000_000);
    two.write("left/new", "new");
    two.touch("left/new", 1_700_000_000);
    two.set_own("left/new", "left");
    if options == HIDING {
        for path in ["marked", "dir", "dir/in it"] {
            two.mark(&format!("left/{path}"), "green");
            xattr::set(&two.scene.path(&format!("left/{path}")), b"user.more", b"more");
        }
    }
    two
}

/// Runs that are killed at any point, with the rules of the last one or with other ones.
#[test]
fn who_is_killed_takes_none_away() {
    if !xattr::are_here() {
        return;
    }
    let push = Way { transport: Transport::Rsh, direction: Direction::Push };
    let (hiding, all): (&[&str], &[&str]) = (&HIDING, &["-X"]);
    let who = [
        (hiding, Way::LOCAL, Victim::Asking),
        (hiding, push, Victim::Peer),
        (all, Way::LOCAL, Victim::Asking),
    ];
    for (options, way, victim) in who {
        let undisturbed = with_work(way, options);
        undisturbed.sync(&HIDING).success();
        undisturbed.assert_own("marked", [Some("left"), Some("right")]);
        let wanted = ["left", "right"].map(|side| undisturbed.snapshot(side));
        for at in 1..MANY {
            let two = with_work(way, options);
            let crashed = crashing_with(&two, &HIDING, victim, at);
            let output = two.sync(&HIDING).success();
            for (side, wanted) in ["left", "right"].iter().zip(&wanted) {
                let differences = two.snapshot(side).differences(wanted, WITHOUT_DIRECTORY_TIMES);
                assert!(
                    differences.is_empty(),
                    "{options:?} {way:?} {at} {side}: {differences:#?}\n{crashed}\n{output}"
                );
            }
            two.assert_in_sync(&HIDING);
            if crashed.code == Some(0) && !crashed.err().contains(KILLED) {
                assert!(at > 20, "there are few points: {at}");
                break;
            }
        }
    }
}
