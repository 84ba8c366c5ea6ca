//! Files that have several names: with `-H` the same ones have them on both sides. Without it runs know nothing of
//! that, and what is done to one name is not taken for somebody else's edit of the others.

mod crash;
mod left;
mod look;
mod random;

use crate::support::command::dsync;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use crate::two_way::Two;
use std::collections::BTreeMap;
use std::ffi::OsStr;
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

/// What one name of a file gets is nothing that the others were given.
#[test]
fn one_name_gets_other_attributes_and_the_others_keep_theirs() {
    for way in Way::plain() {
        for (changed, mode) in [(&["a"][..], 0o600), (&["a", "b", "dir/c"], 0o755)] {
            let two = linked(way);
            for name in changed {
                two.chmod(&format!("left/{name}"), mode);
            }
            two.chmod("left/dir/d", 0o640);
            let wanted = two.snapshot("left");
            two.sync(&[]).success();
            two.assert_same();
            let again = two.sync(&["-v"]).success();
            assert!(again.out().contains("in sync"), "{again}");
            assert!(two.snapshot("left").differences(&wanted, crate::two_way::COLUMNS).is_empty(), "{way:?}");
        }
    }
}

/// The trash has nothing to do with names that stay in the tree.
#[test]
fn what_is_in_the_trash_is_written_to_by_nobody() {
    for way in Way::plain() {
        let two =
            Two::new(way, &Tree::new(), &Tree::new().file("x", "precious").file("gone", "precious, too"));
        for (name, other) in [("x", "y"), ("gone", "stays")] {
            fs::hard_link(two.scene.path("right").join(name), two.scene.path("right").join(other)).unwrap();
        }
        two.sync(&[]).success();
        two.write("left/new", "new");
        two.rename("left/new", "left/x");
        two.remove("left/gone");
        two.sync(&[]).success();
        for name in ["y", "stays"] {
            // Into the same file.
            two.write(&format!("right/{name}"), "a later edit");
        }
        let output = dsync(["undo"]).args([two.scene.path("right")]).run().success();
        assert_eq!(two.read("right/x"), "precious", "{way:?} {output}");
        assert_eq!(two.read("right/gone"), "precious, too", "{way:?} {output}");
    }
}

/// A content of its own in the trash takes no more room than the file did.
#[test]
fn what_is_kept_in_the_trash_has_the_holes_of_the_file() {
    let two = Two::new(Way::LOCAL, &Tree::new(), &Tree::new().file("x", "begins"));
    fs::File::options().write(true).open(two.scene.path("right/x")).unwrap().set_len(8 << 20).unwrap();
    fs::hard_link(two.scene.path("right/x"), two.scene.path("right/y")).unwrap();
    two.sync(&[]).success();
    two.write("left/new", "new");
    two.rename("left/new", "left/x");
    two.sync(&[]).success();
    let trash = fs::read_dir(two.scene.path("right/.dsync/trash")).unwrap().map(|run| run.unwrap().path());
    let kept = trash.filter_map(|run| run.join("x").metadata().ok()).next().unwrap();
    assert_eq!((kept.nlink(), kept.len()), (1, 8 << 20));
    assert!(kept.blocks() * 512 < 1 << 20, "{} blocks", kept.blocks());
}

/// What both sides wrote through whichever name is merged for all names at once.
#[test]
fn what_both_sides_wrote_to_one_file_is_merged_once() {
    for way in Way::plain() {
        let two = one_file(way);
        two.write("left/a", "left\n");
        two.write("right/b", "right\n");
        let counted = two.scene.path("counted");
        let count = format!("echo >> '{}'", counted.display());
        let merge = format!("--conflict=merge={count}; cat \"$LOCAL\" \"$REMOTE\" > \"$MERGED\"");
        two.sync(&["-H", &merge]).success();
        assert_eq!(fs::read_to_string(counted).unwrap().lines().count(), 1, "{way:?}");
        for side in ["left", "right"] {
            assert_eq!(two.read(&format!("{side}/dir/c")), "left\nright\n", "{way:?} {side}");
            let found = groups(&two, side, &["a", "b", "dir/c", "other"]);
            assert_eq!(found, [vec!["a", "b", "dir/c"], vec!["other"]], "{way:?} {side}");
        }
        assert_groups(&two, &[&["a", "b", "dir/c"], &["other"]]);
    }
}

/// All names that a file has go to the trash together, and need no more room there than in the tree.
#[test]
fn a_file_is_in_the_trash_once() {
    let two = one_file(Way::LOCAL);
    two.write("left/a", "edited");
    two.sync(&["-H"]).success();
    let trash = fs::read_dir(two.scene.path("right/.dsync/trash")).unwrap().map(|run| run.unwrap().path());
    let kept = trash.filter_map(|run| run.join("a").metadata().ok()).next().unwrap();
    assert_eq!(kept.nlink(), 3);
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
fn what_is_linked_is_told_by_that_word() {
    let two = Two::new(Way::LOCAL, &Tree::new().file("a", "the same").file("b", "the same"), &Tree::new());
    for name in ["a", "b"] {
        two.touch(&format!("left/{name}"), 1_700_000_000);
    }
    two.sync(&["-H"]).success();
    for join in [true, false] {
        fs::remove_file(two.scene.path("left/b")).unwrap();
        match join {
            true => fs::hard_link(two.scene.path("left/a"), two.scene.path("left/b")).unwrap(),
            false => {
                two.write("left/b", "the same");
                two.touch("left/b", 1_700_000_000);
            }
        }
        let told = two.sync(&["-Hv"]).success().out();
        assert!(told.contains(" with other links") && told.contains("\n  links       b\n"), "{told}");
        let log =
            dsync([OsStr::new("log"), OsStr::new("-v"), two.scene.path("right").as_os_str()]).run().success();
        assert!(log.out().contains("\n  links       b"), "{log}");
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

/// Which of these names are one file at a side.
pub(super) fn groups(two: &Two, side: &str, names: &[&str]) -> Vec<Vec<String>> {
    let mut groups: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for name in names {
        if let Ok(found) = two.scene.path(&format!("{side}/{name}")).symlink_metadata() {
            groups.entry(found.ino()).or_default().push((*name).to_owned());
        }
    }
    let mut groups: Vec<Vec<String>> = groups.into_values().collect();
    groups.sort();
    groups
}

/// That these are one file each, on both sides, and that nothing is left to be done.
#[track_caller]
fn assert_groups(two: &Two, wanted: &[&[&str]]) {
    let names = wanted.concat();
    let mut wanted: Vec<Vec<&str>> = wanted.iter().map(|group| group.to_vec()).collect();
    wanted.sort();
    for side in ["left", "right"] {
        assert_eq!(groups(two, side, &names), wanted, "{side}");
    }
    two.assert_same();
    let again = two.sync(&["-Hv"]).success();
    assert!(again.out().contains("in sync"), "{again}");
    for side in ["left", "right"] {
        assert_eq!(groups(two, side, &names), wanted, "{side}, the second time");
    }
}

pub(super) fn join(two: &Two, of: &str, name: &str) {
    let name = two.scene.path(name);
    let _ = fs::remove_file(&name);
    fs::create_dir_all(name.parent().unwrap()).unwrap();
    fs::hard_link(two.scene.path(of), name).unwrap();
}

/// Both sides have met with `-H`, and `a`, `b` and `dir/c` are one file on both, and `other` is none of them.
fn one_file(way: Way) -> Two {
    let two = Two::new(way, &Tree::new().file("a", "the same").file("other", "other"), &Tree::new());
    join(&two, "left/a", "left/b");
    join(&two, "left/a", "left/dir/c");
    two.sync(&["-H"]).success();
    assert_groups(&two, &[&["a", "b", "dir/c"], &["other"]]);
    two
}

#[test]
fn names_of_one_file_become_one() {
    Way::all().into_iter().for_each(|way| drop(one_file(way)));
}

#[test]
fn an_edit_through_one_name_reaches_all() {
    for way in Way::plain() {
        let two = one_file(way);
        two.write("right/b", "edited through one name");
        two.sync(&["-H"]).success();
        assert_eq!(two.read("left/dir/c"), "edited through one name");
        assert_groups(&two, &[&["a", "b", "dir/c"], &["other"]]);
        two.chmod("left/a", 0o600);
        two.touch("left/a", 1_700_000_000);
        two.sync(&["-H"]).success();
        assert_groups(&two, &[&["a", "b", "dir/c"], &["other"]]);
    }
}

#[test]
fn names_leave_join_and_change_files() {
    for way in Way::plain() {
        let two = one_file(way);
        // As an editor saves.
        two.remove("left/a");
        two.write("left/a", "the same");
        join(&two, "right/b", "right/new");
        join(&two, "right/b", "right/dir/new");
        two.sync(&["-H"]).success();
        assert_groups(&two, &[&["a"], &["b", "dir/c", "dir/new", "new"], &["other"]]);
        join(&two, "left/other", "left/b");
        two.remove("left/new");
        two.sync(&["-H"]).success();
        assert_groups(&two, &[&["a"], &["dir/c", "dir/new"], &["b", "other"]]);
        join(&two, "right/a", "right/b");
        two.rename("right/dir/new", "right/moved");
        two.sync(&["-H"]).success();
        assert_groups(&two, &[&["a", "b"], &["dir/c", "moved"], &["other"]]);
    }
}

#[test]
fn what_a_run_without_the_option_takes_apart_is_no_edit() {
    for way in Way::plain() {
        let two = one_file(way);
        two.write("left/a", "edited through one name");
        two.chmod("left/a", 0o600);
        two.sync(&[]).success();
        two.assert_same();
        assert_eq!(groups(&two, "right", &["a", "b", "dir/c"]).len(), 3);
        assert_eq!(groups(&two, "left", &["a", "b", "dir/c"]).len(), 1);
        two.sync(&["-H"]).success();
        assert_groups(&two, &[&["a", "b", "dir/c"], &["other"]]);
    }
}

/// What is done to one name of a file shows in what the others look like.
#[test]
fn some_names_are_replaced_while_others_stay() {
    for way in Way::plain() {
        for options in [&["--allow-mass-delete"][..], &["-H", "--allow-mass-delete"]] {
            let two = one_file(way);
            two.remove("left/a");
            two.write("left/a", "a file of its own");
            two.remove("left/dir/c");
            two.sync(options).success();
            two.assert_same();
            two.chmod("left/b", 0o600);
            two.sync(options).success();
            two.assert_same();
            // What the option has kept out of a run is seen by the next.
            two.sync(&["-H"]).success();
            assert_groups(&two, &[&["a"], &["b"], &["other"]]);
        }
    }
}

#[test]
fn the_content_of_a_file_travels_once() {
    for way in Way::plain() {
        let two = Two::new(way, &Tree::new().file("a", noise(200_000, 1)), &Tree::new());
        ["b", "c", "dir/d"].iter().for_each(|name| join(&two, "left/a", &format!("left/{name}")));
        let output = two.sync(&["-H", "--stats", "--no-compress"]).success();
        assert_eq!(output.number("Literal data:"), 200_000, "{output}");
        assert_groups(&two, &[&["a", "b", "c", "dir/d"]]);
    }
}

#[test]
fn a_removal_is_no_conflict_with_a_link() {
    for way in Way::plain() {
        let two = one_file(way);
        two.remove("left/b");
        two.remove("right/a");
        join(&two, "right/b", "right/new");
        two.sync(&["-H", "--allow-mass-delete"]).success();
        assert_groups(&two, &[&["dir/c", "new"], &["other"]]);
        assert_eq!(two.paths("left"), ["dir", "dir/c", "new", "other"]);
    }
}

#[test]
fn what_takes_no_part_stays_as_it_is() {
    let two = one_file(Way::LOCAL);
    two.write("right/a", "edited through one name");
    two.sync(&["-H", "--exclude=/b"]).success();
    assert_eq!(two.read("left/a"), "edited through one name");
    assert_eq!(two.read("left/b"), "the same");
    assert_eq!(groups(&two, "left", &["a", "b", "dir/c"]), [vec!["a", "dir/c"], vec!["b"]]);
    two.sync(&["-H"]).success();
    assert_eq!(two.read("left/b"), "edited through one name");
    two.assert_same();
    assert_eq!(groups(&two, "left", &NAMES), groups(&two, "right", &NAMES));
}

#[test]
fn what_takes_a_content_of_its_own_can_be_undone() {
    let two = one_file(Way::LOCAL);
    join(&two, "left/other", "left/b");
    let shown = two.sync(&["-Hn"]);
    assert_eq!(groups(&two, "right", &["b", "other"]).len(), 2);
    assert!(shown.out().contains(" b"), "{shown}");
    two.sync(&["-H"]).success();
    assert_eq!(two.read("right/b"), "other");
    let right = two.scene.path("right");
    dsync(["undo".into(), right.into_os_string()]).run().success();
    assert_eq!(two.read("right/b"), "the same");
    two.sync(&["-H"]).success();
    assert_groups(&two, &[&["a", "b", "dir/c"], &["other"]]);
}

#[test]
fn links_are_found_where_both_sides_are_the_same() {
    for way in Way::plain() {
        let two = linked(way);
        two.sync(&["-H"]).success();
        assert_groups(&two, &[&NAMES]);
    }
}
