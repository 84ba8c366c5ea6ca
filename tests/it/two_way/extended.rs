//! What is synchronised of attributes besides permissions, owners and times: ACLs, extended attributes, and without
//! permissions whether a file can be executed.

use crate::support::command::dsync;
use crate::support::disk::Disk;
use crate::support::scene::Scene;
use crate::support::snapshot::Columns;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::support::xattr::{self, ACCESS_ACL, DEFAULT_ACL, acl};
use crate::two_way::Two;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

const EXTENDED: &str = "-AX";

fn tree() -> Tree {
    let acl = acl(0o640, 4, &[(1, 6)], &[]);
    Tree::new()
        .file("marked", "one")
        .xattr("marked", "user.colour", "red")
        .file("let in", "two")
        .mode("let in", 0o640)
        .xattr("let in", ACCESS_ACL, acl)
        .directory("dir")
        .xattr("dir", "user.colour", "blue")
        .xattr("dir", DEFAULT_ACL, self::acl(0o750, 5, &[(2, 7)], &[]))
        .file("dir/in it", "three")
        .file("plain", "four")
}

fn met(way: Way) -> Two {
    let two = Two::new(way, &tree(), &Tree::new());
    two.sync(&[EXTENDED]).success();
    two.assert_same();
    two
}

impl Two {
    pub(super) fn mark(&self, path: &str, colour: &str) {
        xattr::set(&self.scene.path(path), b"user.colour", colour.as_bytes());
    }

    pub(super) fn colour(&self, path: &str) -> Option<String> {
        let value = xattr::get(&self.scene.path(path), b"user.colour");
        value.map(|value| String::from_utf8(value).unwrap())
    }

    pub(super) fn inode(&self, path: &str) -> u64 {
        self.scene.path(path).symlink_metadata().unwrap().ino()
    }

    fn mode_of(&self, path: &str) -> u32 {
        self.scene.path(path).symlink_metadata().unwrap().permissions().mode() & 0o7777
    }
}

#[test]
fn they_go_both_ways() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        let two = met(way);
        assert_eq!(two.colour("right/dir").as_deref(), Some("blue"));
        two.mark("left/marked", "green");
        xattr::remove(&two.scene.path("right/let in"), ACCESS_ACL);
        two.mark("right/plain", "white");
        xattr::set(&two.scene.path("left/dir"), DEFAULT_ACL, &acl(0o700, 0, &[(3, 7)], &[]));
        two.write("right/dir/new", "new");
        two.mark("right/dir/new", "grey");
        // One side's content, the other's attributes.
        two.write("left/dir/in it", "edited");
        two.mark("right/dir/in it", "black");
        let inodes = ["right/marked", "left/let in", "left/plain"].map(|path| two.inode(path));
        two.sync(&[EXTENDED]).success();
        two.assert_same();
        assert_eq!(two.colour("right/marked").as_deref(), Some("green"));
        assert_eq!(two.colour("left/plain").as_deref(), Some("white"));
        assert_eq!(two.colour("left/dir/new").as_deref(), Some("grey"));
        assert_eq!(two.colour("left/dir/in it").as_deref(), Some("black"));
        assert_eq!(two.read("right/dir/in it"), "edited");
        assert_eq!(xattr::get(&two.scene.path("left/let in"), ACCESS_ACL), None);
        let now = ["right/marked", "left/let in", "left/plain"].map(|path| two.inode(path));
        assert_eq!(now, inodes, "{way:?}: something was sent of which only attributes had changed");
        let again = two.sync(&[EXTENDED, "-v"]).success();
        assert!(again.out().contains("in sync"), "{again}");
    }
}

#[test]
fn runs_without_them_leave_each_side_its_own() {
    if !xattr::are_here() {
        return;
    }
    let two = met(Way::LOCAL);
    two.mark("left/marked", "green");
    two.write("left/marked", "edited");
    xattr::set(&two.scene.path("right/plain"), ACCESS_ACL, &acl(0o644, 4, &[(9, 7)], &[]));
    two.write("left/plain", "edited, too");
    two.sync(&[]).success();
    assert_eq!(
        (two.read("right/marked").as_str(), two.colour("right/marked").as_deref()),
        ("edited", Some("red"))
    );
    assert!(xattr::get(&two.scene.path("right/plain"), ACCESS_ACL).is_some());
    two.sync(&[]).success();
    two.sync(&[EXTENDED]).success();
    two.assert_same();
    assert_eq!(two.colour("right/marked").as_deref(), Some("green"));
    assert!(xattr::get(&two.scene.path("left/plain"), ACCESS_ACL).is_some());
}

#[test]
fn who_begins_to_look_at_them_loses_none() {
    if !xattr::are_here() {
        return;
    }
    let two = Two::met(Way::LOCAL, &Tree::new().file("here", "1").file("there", "2").file("both", "3"));
    two.mark("left/here", "red");
    two.mark("right/there", "blue");
    two.mark("left/both", "green");
    two.mark("right/both", "black");
    let output = two.sync(&[EXTENDED]).expect(40);
    assert!(output.err().contains("both") && output.err().contains("attributes"), "{output}");
    assert_eq!(two.colour("right/here").as_deref(), Some("red"));
    assert_eq!(two.colour("left/there").as_deref(), Some("blue"));
    assert_eq!(two.colour("left/both").as_deref(), Some("green"));
    two.sync(&[EXTENDED, "--conflict=remote"]).success();
    two.assert_same();
    assert_eq!(two.colour("left/both").as_deref(), Some("black"));
}

/// In a chain of which one link does not care for them.
#[test]
fn they_are_passed_on_when_somebody_begins_to_care() {
    if !xattr::are_here() {
        return;
    }
    let plain = Tree::new().file("a", "1").xattr("a", "user.colour", "red");
    let scene = Scene::new().tree("a", &plain).tree("b", &Tree::new()).tree("c", &Tree::new());
    let sync = |options: &[&str], one: &str, other: &str| {
        let options: Vec<&str> = ["-2"].iter().chain(options).copied().collect();
        Way::LOCAL.copy(&options, &[scene.path(one)], scene.path(other)).run()
    };
    let colour = |replica: &str| xattr::get(&scene.path(replica).join("a"), b"user.colour");
    for (one, other) in [("a", "b"), ("b", "c")] {
        sync(&["-X"], one, other).success();
    }
    xattr::set(&scene.path("a/a"), b"user.colour", b"green");
    sync(&["-X"], "a", "b").success();
    sync(&[], "b", "c").success();
    assert_eq!(colour("c").as_deref(), Some(&b"red"[..]));
    sync(&["-X"], "b", "c").success();
    assert_eq!(colour("c").as_deref(), Some(&b"green"[..]));
    xattr::remove(&scene.path("c/a"), b"user.colour");
    sync(&[], "c", "b").success();
    sync(&["-X"], "c", "a").success();
    sync(&["-X"], "b", "a").success();
    assert_eq!(["a", "b", "c"].map(colour), [None, None, None]);
}

#[test]
fn a_file_system_that_cannot_hold_them_takes_none_away() {
    if !xattr::are_here() {
        return;
    }
    let scene = Scene::new().tree("left", &tree());
    let Some(disk) = Disk::without_attributes(&scene, "right") else { return };
    let two = Two { scene, way: Way::LOCAL };
    let output = two.sync(&[EXTENDED]).expect(0);
    assert!(output.err().contains("cannot hold extended attributes"), "{output}");
    two.mark("left/marked", "green");
    std::fs::write(disk.path("marked"), "edited").unwrap();
    std::fs::remove_file(disk.path("plain")).unwrap();
    two.mark("left/plain", "white");
    two.sync(&[EXTENDED]).expect(0);
    assert_eq!(
        (two.read("left/marked").as_str(), two.colour("left/marked").as_deref()),
        ("edited", Some("green"))
    );
    assert!(!two.scene.path("left/plain").exists());
    let again = two.sync(&[EXTENDED, "-v"]).expect(0);
    assert!(again.out().contains("in sync"), "{again}");
}

#[test]
fn two_edits_of_them_are_a_conflict() {
    if !xattr::are_here() {
        return;
    }
    for (policy, code, expected) in
        [("skip", 40, None), ("local", 0, Some("green")), ("remote", 0, Some("black"))]
    {
        let two = met(Way::LOCAL);
        two.mark("left/marked", "green");
        two.mark("right/marked", "black");
        two.mark("left/dir", "white");
        let output = two.sync(&[EXTENDED, &format!("--conflict={policy}")]).expect(code);
        assert_eq!(two.colour("right/dir").as_deref(), Some("white"));
        let (left, right) = (two.colour("left/marked"), two.colour("right/marked"));
        match expected {
            None => {
                assert_eq!((left.as_deref(), right.as_deref()), (Some("green"), Some("black")));
                let title = "conflict: marked (other ACLs or extended attributes on each side)";
                assert!(output.err().contains(title), "{output}");
            }
            Some(_) => {
                assert_eq!((left.as_deref(), right.as_deref()), (expected, expected));
                two.assert_same();
            }
        }
    }
}

#[test]
fn what_a_run_set_can_be_undone() {
    if !xattr::are_here() {
        return;
    }
    let two = met(Way::LOCAL);
    let before = two.snapshot("right");
    two.mark("left/marked", "green");
    xattr::remove(&two.scene.path("left/let in"), ACCESS_ACL);
    xattr::remove(&two.scene.path("left/dir"), DEFAULT_ACL);
    two.mark("left/dir", "white");
    two.write("left/plain", "edited");
    two.mark("left/plain", "grey");
    two.sync(&[EXTENDED]).success();
    assert_eq!(two.colour("right/marked").as_deref(), Some("green"));
    let undone = dsync(["undo".into(), two.scene.path("right").into_os_string()]).run().success();
    let columns = Columns { directory_mtime: false, ..crate::two_way::COLUMNS };
    let differences = two.snapshot("right").differences(&before, columns);
    assert!(differences.is_empty(), "{differences:#?} {undone}");
    // Which are edits that the other side gets.
    two.sync(&[EXTENDED]).success();
    two.assert_same();
    assert_eq!(two.colour("left/marked").as_deref(), Some("red"));
}

#[test]
fn the_trash_keeps_them() {
    if !xattr::are_here() {
        return;
    }
    let two = met(Way::LOCAL);
    let before = two.snapshot("right");
    two.remove("left/dir");
    two.remove("left/marked");
    two.remove("left/let in");
    two.link("left/let in", "marked");
    two.sync(&[EXTENDED, "--allow-mass-delete"]).success();
    two.assert_same();
    let undone = dsync(["undo".into(), two.scene.path("right").into_os_string()]).run().success();
    let columns = Columns { directory_mtime: false, ..crate::two_way::COLUMNS };
    let differences = two.snapshot("right").differences(&before, columns);
    assert!(differences.is_empty(), "{differences:#?} {undone}");
}

#[test]
fn a_plan_is_carried_out_with_them() {
    if !xattr::are_here() {
        return;
    }
    let two = met(Way::LOCAL);
    two.mark("left/marked", "green");
    two.mark("right/plain", "white");
    let plan = two.scene.path("plan");
    two.sync(&[EXTENDED, &format!("--plan={}", plan.display()), "-n"]).success();
    assert_eq!(two.colour("right/marked").as_deref(), Some("red"));
    let apply = format!("--apply={}", plan.display());
    two.mark("right/plain", "black");
    let output = two.sync(&[EXTENDED, &apply]).expect(23);
    assert!(output.err().contains("plain"), "{output}");
    assert_eq!(two.colour("right/marked").as_deref(), Some("green"));
    assert_eq!(two.colour("left/plain"), None);
    two.sync(&[EXTENDED]).success();
    two.assert_same();
    assert_eq!(two.colour("left/plain").as_deref(), Some("black"));
}

#[test]
fn the_loser_of_a_conflict_keeps_its_own() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        let two = met(way);
        two.write("left/marked", "left");
        two.mark("left/marked", "green");
        two.touch("left/marked", 1_700_000_000);
        two.write("right/marked", "right");
        two.mark("right/marked", "black");
        two.touch("right/marked", 1_700_000_009);
        two.sync(&[EXTENDED, "--conflict=keep-both"]).success();
        two.assert_same();
        let copy = two.paths("left").into_iter().find(|path| path.contains("conflict")).unwrap();
        for side in ["left", "right"] {
            assert_eq!(two.colour(&format!("{side}/marked")).as_deref(), Some("black"));
            assert_eq!(two.colour(&format!("{side}/{copy}")).as_deref(), Some("green"));
        }
    }
}

/// Without `-p` each side has its own permissions, but for that.
#[test]
fn whether_a_file_can_be_executed_goes_both_ways() {
    let options = ["--no-perms", "-E"];
    let tree = Tree::new().file("a", "1").file("b", "2").file("c", "3").mode("a", 0o640).mode("c", 0o755);
    let two = Two::new(Way::LOCAL, &tree, &Tree::new());
    two.sync(&options).success();
    two.chmod("right/a", 0o600);
    two.chmod("left/a", 0o750);
    two.chmod("right/b", 0o700);
    two.chmod("left/c", 0o644);
    two.write("left/new", "new");
    two.chmod("left/new", 0o755);
    let inode = two.inode("right/a");
    two.sync(&options).success();
    assert_eq!([two.mode_of("left/a"), two.mode_of("right/a")], [0o750, 0o700]);
    assert_eq!(two.mode_of("left/b"), 0o755);
    assert_eq!(two.mode_of("right/c") & 0o111, 0);
    assert_eq!(two.mode_of("right/new") & 0o100, 0o100);
    assert_eq!(two.inode("right/a"), inode);
    two.chmod("left/b", 0o711);
    two.chmod("right/b", 0o744);
    let output = two.sync(&["--no-perms", "-E", "-v"]).success();
    assert!(output.out().contains("in sync"), "{output}");
    // Both have made of it what it was not, and so the same.
    two.chmod("left/c", 0o755);
    two.chmod("right/c", 0o700);
    two.sync(&options).success();
    assert_eq!([two.mode_of("left/c"), two.mode_of("right/c")], [0o755, 0o700]);
}
