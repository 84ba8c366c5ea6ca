//! What somebody does on one side happens on the other.

use crate::support::command::{self, Invocation, Output};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use crate::two_way::Two;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

fn tree() -> Tree {
    Tree::new()
        .file("a", "one")
        .file("b", "two")
        .file("c", "three")
        .file("dir/d", "four")
        .file("dir/sub/e", "five")
        .file("other/f", "six")
        .file("large", noise(700_000, 1))
        .symlink("link", "a")
}

/// Does the same edits on one side or the other, and looks at both.
fn on_either_side(edit: impl Fn(&Two, &str)) {
    for way in Way::plain() {
        for side in ["left", "right"] {
            let two = Two::met(way, &tree());
            edit(&two, side);
            let edited = two.snapshot(side);
            let output = two.sync(&[]).success();
            two.assert_same();
            let differences = two.snapshot(side).differences(&edited, crate::two_way::COLUMNS);
            assert!(differences.is_empty(), "{way:?}: the edit was changed: {differences:?}\n{output}");
            let again = two.sync(&["-i"]).success();
            assert_eq!(again.out(), "", "{way:?}");
        }
    }
}

#[test]
fn files_are_written() {
    on_either_side(|two, side| {
        two.write(&format!("{side}/a"), "another one");
        two.write(&format!("{side}/new"), "new");
        two.write(&format!("{side}/dir/new/er"), "newer");
        let mut large = two.scene.read(&format!("{side}/large"));
        large[350_000] ^= 1;
        large.extend(b"more");
        fs::write(two.scene.path(&format!("{side}/large")), large).unwrap();
    });
}

#[test]
fn things_are_removed() {
    on_either_side(|two, side| {
        two.remove(&format!("{side}/a"));
        two.remove(&format!("{side}/dir"));
        two.remove(&format!("{side}/link"));
    });
}

#[test]
fn things_are_renamed() {
    on_either_side(|two, side| {
        two.rename(&format!("{side}/a"), &format!("{side}/renamed"));
        two.rename(&format!("{side}/dir"), &format!("{side}/moved"));
        two.rename(&format!("{side}/large"), &format!("{side}/other/large"));
    });
}

#[test]
fn a_renamed_file_is_not_sent() {
    for way in Way::plain() {
        let two = Two::met(way, &tree());
        two.rename("left/large", "left/other/larger");
        let output = two.sync(&["--stats"]).success();
        two.assert_same();
        assert_eq!(output.number("Number of regular files transferred:"), 0, "{output}");
    }
}

#[test]
fn attributes_change() {
    on_either_side(|two, side| {
        two.chmod(&format!("{side}/a"), 0o600);
        two.chmod(&format!("{side}/dir"), 0o700);
        two.touch(&format!("{side}/b"), 1_700_000_000);
    });
}

#[test]
fn kinds_change() {
    on_either_side(|two, side| {
        two.remove(&format!("{side}/a"));
        two.link(&format!("{side}/a"), "b");
        two.remove(&format!("{side}/dir"));
        two.write(&format!("{side}/dir"), "a file now");
        two.remove(&format!("{side}/b"));
        two.write(&format!("{side}/b/inside"), "a directory now");
        two.remove(&format!("{side}/other"));
        two.link(&format!("{side}/other"), "nowhere");
        two.remove(&format!("{side}/link"));
        two.write(&format!("{side}/link"), "a file");
    });
}

#[test]
fn edits_on_both_sides_cross() {
    for way in Way::all() {
        let two = Two::met(way, &tree());
        two.write("left/a", "from the left");
        two.write("right/b", "from the right");
        two.remove("left/c");
        two.remove("right/dir/sub");
        two.write("left/dir/g", "new");
        two.chmod("right/a", 0o600);
        two.sync(&[]).success();
        two.assert_same();
        assert_eq!(two.read("right/a"), "from the left");
        assert_eq!(two.read("left/b"), "from the right");
        assert_eq!(
            two.paths("left"),
            ["a", "b", "dir", "dir/d", "dir/g", "large", "link", "other", "other/f"]
        );
    }
}

#[test]
fn what_was_replaced_or_removed_is_in_the_trash() {
    for way in Way::plain() {
        let two = Two::met(way, &tree());
        two.write("left/a", "another");
        two.remove("left/dir");
        two.sync(&[]).success();
        let trash = two.scene.path("right/.dsync/trash");
        let run = fs::read_dir(&trash).unwrap().next().unwrap().unwrap().path();
        for (path, content) in [("a", "one"), ("dir/d", "four"), ("dir/sub/e", "five")] {
            assert_eq!(fs::read_to_string(run.join(path)).unwrap(), content, "{way:?}");
        }
    }
}

/// Without permissions each side has its own, at the first meeting as later.
#[test]
fn permissions_that_are_not_kept_are_no_conflict() {
    for way in Way::plain() {
        let (left, right) = (Tree::new().file("a", "one").file("b", "b"), Tree::new().file("a", "one"));
        let two = Two::new(way, &left, &right);
        two.chmod("left/a", 0o600);
        two.chmod("right/a", 0o640);
        two.chmod("right", 0o700);
        let mode = |path: &str| two.scene.path(path).metadata().unwrap().permissions().mode() & 0o777;
        for run in 0..3 {
            two.sync(&["--no-perms"]).success();
            assert_eq!(
                (mode("left/a"), mode("right/a"), mode("right")),
                (0o600, 0o640, 0o700),
                "{way:?} {run}"
            );
            two.write("left/a", &format!("edited {run}"));
        }
        two.sync(&["--no-perms"]).success();
        assert_eq!(two.read("right/a"), "edited 2");
        // Asked for now, nobody knows which of the two is meant.
        let output = two.sync(&[]).expect(40);
        assert!(output.err().contains("a (other permissions or owners on each side)"), "{way:?} {output}");
        assert_eq!((mode("left/a"), mode("right/a")), (0o600, 0o640), "{way:?}");
    }
}

/// `-2a` by a user who is not root and has these directories, or nothing where nobody can be made to be one.
fn by_a_user<'a>(two: &'a Two, theirs: &[&str]) -> Option<impl Fn() -> Output + 'a> {
    if !rustix::process::geteuid().is_root() {
        tools::missing("the right to be somebody else");
        return None;
    }
    let setpriv = tools::find("setpriv")?;
    let program = two.scene.path("dsync");
    fs::copy(command::binary(), &program).unwrap();
    for path in ["", "left", "right"].iter().chain(theirs) {
        let path = two.scene.root().join(path);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(&path, Some(1234), Some(1234)).unwrap();
    }
    Some(move || {
        let identity = ["--reuid=1234", "--regid=1234", "--clear-groups"].map(OsString::from);
        let run = [
            program.clone().into(),
            "-2a".into(),
            two.scene.path("left").into(),
            two.scene.path("right").into(),
        ];
        Invocation::new(&setpriv, identity.into_iter().chain(run)).run()
    })
}

/// Owners that the running user may not set keep nothing from being synchronised.
#[test]
fn who_may_not_set_owners_has_their_own() {
    let two = Two::new(Way::LOCAL, &tree(), &Tree::new().file("theirs", "right"));
    let Some(sync) = by_a_user(&two, &["left/dir", "left/dir/sub", "left/other"]) else { return };
    sync().success();
    let paths = two.paths("left");
    assert_eq!(two.paths("right"), paths);
    assert!(paths.contains(&"theirs".to_owned()), "{paths:?}");
    let owner = |path: &str| two.scene.path(path).metadata().unwrap().uid();
    assert_eq!((owner("left/a"), owner("right/a")), (0, 1234));
    two.write("left/a", "edited by root");
    sync().success();
    assert_eq!(two.read("right/a"), "edited by root");
    assert_eq!(owner("left/a"), 0);
}

/// Who may not write to a directory may not give it another parent either, such as the trash.
#[test]
fn a_directory_that_cannot_be_written_to_gives_way() {
    let two = Two::new(Way::LOCAL, &Tree::new().directory("a").directory("b"), &Tree::new());
    let Some(sync) = by_a_user(&two, &["left/a", "left/b"]) else { return };
    two.chmod("left/a", 0o555);
    two.chmod("left/b", 0o555);
    sync().success();
    fs::remove_dir(two.scene.path("left/a")).unwrap();
    fs::remove_dir(two.scene.path("left/b")).unwrap();
    two.write("left/a", "a file");
    two.link("left/b", "a");
    sync().success();
    assert_eq!((two.read("right/a"), two.read("right/b")), ("a file".to_owned(), "a file".to_owned()));
}

/// Who owns a file is not synchronised without -o, and a new version of its content changes nothing about that: least
/// of all does a program that runs as its owner become one that runs as root.
#[test]
fn owners_that_are_not_synchronised_stay() {
    if !rustix::process::geteuid().is_root() {
        return tools::missing("root");
    }
    for way in Way::plain() {
        let two = Two::met(way, &Tree::new().file("a", "one").file("b", "two").symlink("link", "a"));
        for name in ["a", "b", "link"] {
            std::os::unix::fs::lchown(two.scene.path("right").join(name), Some(1234), Some(4321)).unwrap();
        }
        two.chmod("right/b", 0o4751);
        fs::hard_link(two.scene.path("right/b"), two.scene.path("outside")).unwrap();
        two.sync(&[]).success();
        two.write("left/a", "another");
        two.touch("left/b", 1_700_000_000);
        two.remove("left/link");
        std::os::unix::fs::symlink("b", two.scene.path("left/link")).unwrap();
        two.sync(&[]).success();
        assert_eq!(two.read("right/a"), "another");
        for name in ["a", "b", "link"] {
            let found = fs::symlink_metadata(two.scene.path("right").join(name)).unwrap();
            assert_eq!((found.uid(), found.gid()), (1234, 4321), "{way:?} {name}");
        }
        assert_eq!(fs::metadata(two.scene.path("right/b")).unwrap().mode() & 0o7777, 0o4751, "{way:?}");
    }
}
