//! Files that have several names on one side, of which runs know nothing: what is done to one name is not taken for somebody
//! else's edit of the others.

use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::Two;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

const NAMES: [&str; 4] = ["a", "b", "dir/c", "dir/d"];

/// Both sides have these files, and on the right all are one.
fn linked(way: Way) -> Two {
    let tree = NAMES.iter().fold(Tree::new(), |tree, name| tree.file(name, "the same"));
    let two = Two::met(way, &tree);
    for name in &NAMES[1..] {
        let name = two.scene.path(&format!("right/{name}"));
        fs::remove_file(&name).unwrap();
        fs::hard_link(two.scene.path("right/a"), &name).unwrap();
    }
    two.sync(&[]).success();
    assert_eq!(two.scene.path("right/a").metadata().unwrap().nlink(), 4);
    two
}

#[test]
fn all_names_are_replaced_in_one_run() {
    for way in Way::plain() {
        let two = linked(way);
        for name in NAMES {
            two.write(&format!("left/{name}"), &format!("{name}, edited"));
        }
        two.sync(&[]).success();
        two.assert_same();
        let again = two.sync(&["-v"]).success();
        assert!(again.out().contains("in sync"), "{again}");
    }
}

#[test]
fn all_names_get_other_attributes_in_one_run() {
    for way in Way::plain() {
        let two = linked(way);
        for name in NAMES {
            two.chmod(&format!("left/{name}"), 0o600);
            two.touch(&format!("left/{name}"), 1_700_000_000);
        }
        two.sync(&[]).success();
        two.assert_same();
        assert_eq!(two.scene.path("right/a").metadata().unwrap().nlink(), 4);
    }
}

#[test]
fn each_name_may_meet_another_fate() {
    for way in Way::plain() {
        let two = linked(way);
        two.write("left/a", "edited");
        two.remove("left/b");
        two.remove("left/dir/c");
        two.link("left/dir/c", "d");
        two.chmod("left/dir/d", 0o600);
        two.sync(&["--allow-mass-delete"]).success();
        two.assert_same();
        assert_eq!(two.read("right/dir/d"), "the same");
        let again = two.sync(&["-v"]).success();
        assert!(again.out().contains("in sync"), "{again}");
    }
}

#[test]
fn all_names_may_go() {
    let two = linked(Way::LOCAL);
    for name in NAMES {
        two.remove(&format!("left/{name}"));
    }
    two.sync(&["--allow-mass-delete"]).success();
    two.assert_same();
    assert_eq!(two.paths("right"), ["dir"]);
}
