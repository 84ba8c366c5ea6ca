//! Directories that did not change are not listed, and whatever did change is found all the same.

use crate::support::command::{self, Invocation, Output, dsync};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::{
    Direction, Transport, Way, remote, rsh_script, shell_options, shell_options_for,
};
use crate::support::tree::{Node, Tree};
use filetime::FileTime;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

/// Forty directories of fifty files on two levels, and one deep below with one of each kind among others.
fn tree() -> Tree {
    let mut tree = Tree::new();
    for dir in 0..40 {
        for file in 0..50 {
            tree = tree.file(format!("d{}/e{dir}/file-{file}", dir % 4), format!("{dir} {file}"));
        }
    }
    for file in 0..30 {
        tree = tree.file(format!("d1/deep/down/here/other-{file}"), "other");
    }
    tree.file("d1/deep/down/here/file", "content")
        .symlink("d1/deep/down/here/link", "target")
        .node("d1/deep/down/here/fifo", Node::Fifo)
        .file("d1/deep/down/here/dir/inside", "more")
}

/// Bytes in both directions, as `--stats` has them.
fn bytes(output: &Output) -> u64 {
    output.number("Total bytes sent:") + output.number("Total bytes received:")
}

#[test]
fn an_unchanged_tree_costs_a_few_bytes_for_each_directory() {
    if command::is_rsync() {
        return tools::not_for_rsync("it lists everything");
    }
    for way in Way::remote() {
        let scene = Scene::with_source(&tree());
        let copy = || {
            way.copy(&["-a", "--stats", "--delete"], &[scene.path("source/")], scene.path("to"))
                .run()
                .success()
        };
        copy();
        let again = copy();
        // 50 directories; the greeting, the request and the summary are the same however large the tree is.
        assert!(bytes(&again) < 3000, "{way:?}\n{again}");
        assert!(again.out().contains("Number of files: 2,083"), "{way:?}\n{again}");
    }
}

const HERE: &str = "to/d1/deep/down/here";

/// Changes one thing at the destination, deep inside what is the same.
type Damage = fn(&Path);

const DAMAGES: [(&str, Damage); 13] = [
    ("a size", |here| fs::write(here.join("file"), "other content").unwrap()),
    ("a time", |here| {
        filetime::set_file_mtime(here.join("file"), FileTime::from_unix_time(1_000_000, 0)).unwrap();
    }),
    ("a mode", |here| fs::set_permissions(here.join("file"), fs::Permissions::from_mode(0o600)).unwrap()),
    ("a missing file", |here| fs::remove_file(here.join("file")).unwrap()),
    ("a missing directory", |here| fs::remove_dir_all(here.join("dir")).unwrap()),
    ("an extra file", |here| fs::write(here.join("extra"), "").unwrap()),
    ("an extra directory", |here| fs::create_dir_all(here.join("extra/with/more")).unwrap()),
    ("another target", |here| {
        fs::remove_file(here.join("link")).unwrap();
        symlink("elsewhere", here.join("link")).unwrap();
    }),
    ("another kind", |here| {
        fs::remove_file(here.join("fifo")).unwrap();
        fs::write(here.join("fifo"), "").unwrap();
    }),
    ("a directory's mode", |here| {
        fs::set_permissions(here.join("dir"), fs::Permissions::from_mode(0o700)).unwrap();
    }),
    ("a directory's time", |here| {
        filetime::set_file_mtime(here.join("dir"), FileTime::from_unix_time(1_000_000, 0)).unwrap();
    }),
    ("an owner", |here| lchown(here.join("file"), Some(54_321), None).unwrap()),
    ("a group", |here| lchown(here.join("link"), None, Some(54_321)).unwrap()),
];

#[test]
fn every_change_is_found() {
    for way in Way::remote() {
        let scene = Scene::with_source(&tree());
        let copy = |options: &[&str]| {
            way.copy(options, &[scene.path("source/")], scene.path("to")).run().success();
        };
        copy(&["-a"]);
        for (what, damage) in DAMAGES {
            if (what == "an owner" || what == "a group") && !tools::is_root() {
                tools::missing("root, who may give files away");
                continue;
            }
            damage(&scene.path(HERE));
            // So that it is not the only one.
            fs::write(scene.path(HERE).join("other-7"), "changed").unwrap();
            println!("{way:?}: {what}");
            copy(&["-a", "--delete"]);
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        }
    }
}

/// Changes that the options do not ask about are left as they are, and so are entries that nothing may delete.
#[test]
fn what_is_not_asked_for_is_left() {
    for way in Way::remote() {
        let scene = Scene::with_source(&tree());
        let copy = |options: &[&str]| {
            way.copy(options, &[scene.path("source/")], scene.path("to")).run().success();
        };
        copy(&["-a"]);
        let here = scene.path(HERE);
        fs::set_permissions(here.join("file"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(here.join("keep.o"), "mine").unwrap();
        let before = scene.snapshot("to");
        copy(&["-rlt", "--size-only", "--delete", "--exclude=*.o"]);
        copy(&["-a", "--no-p", "--exclude=*.o"]);
        let columns = Columns { directory_mtime: false, ..Columns::ALL };
        assert_eq!(before.differences(&scene.snapshot("to"), columns), [""; 0], "{way:?}");
        copy(&["-a", "--exclude=*.o", "--delete-excluded", "--delete"]);
        assert!(!here.join("keep.o").exists(), "{way:?}");
        assert_same(
            &scene.path("source"),
            &scene.path("to"),
            Columns { directory_mtime: false, ..Columns::ALL },
        );
    }
}

/// A directory of three thousand entries, with names so long that what is listed of it comes in parts, and directories
/// among them, of which each holds one file.
fn large() -> Tree {
    let mut tree = Tree::new();
    for number in 0..3000 {
        let name = format!("large/{number:05}-{}", "x".repeat(150));
        tree = match number % 10 {
            0 => tree.file(format!("{name}/inside"), format!("{number}")),
            _ => tree.file(&name, format!("{number}")).mtime(&name, number * number * 54_321 % 100_000_000),
        };
    }
    tree
}

/// Few changes anywhere in a large directory, and below: what is listed is a part of it, and each file gets the content
/// that is its own.
#[test]
fn few_changes_in_a_large_directory() {
    if command::is_rsync() {
        return tools::not_for_rsync("it lists everything");
    }
    for way in
        [Direction::Push, Direction::Pull].map(|direction| Way { transport: Transport::Rsh, direction })
    {
        let scene = Scene::with_source(&large()).tree("to", &large());
        let copy =
            |options: &[&str]| way.copy(options, &[scene.path("source/")], scene.path("to")).run().success();
        let (source, to) = (scene.path("source/large"), scene.path("to/large"));
        let mut names: Vec<OsString> =
            fs::read_dir(&source).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        let unchanged = bytes(&copy(&["-a", "--stats"]));
        fs::set_permissions(to.join(&names[1234]), fs::Permissions::from_mode(0o600)).unwrap();
        let one = bytes(&copy(&["-a", "--stats"])) - unchanged;
        let all = bytes(&copy(&["-a", "--stats", "-I", "--ignore-existing"])) - unchanged;
        assert!(one < all / 5, "{way:?}: of {all} bytes {one}");
        for name in names.iter().step_by(157) {
            let (there, here) = (source.join(name), to.join(name));
            if there.is_dir() {
                fs::write(there.join("inside"), "changed inside").unwrap();
                fs::write(here.join("extra"), "").unwrap();
            } else {
                fs::write(&there, format!("changed {name:?}")).unwrap();
            }
        }
        for name in names.iter().skip(70).step_by(400) {
            match to.join(name) {
                dir if dir.is_dir() => fs::remove_dir_all(dir).unwrap(),
                file => fs::remove_file(file).unwrap(),
            }
        }
        fs::write(to.join("05"), "extra").unwrap();
        fs::create_dir(source.join("00500-new")).unwrap();
        // Fractions of a second are not compared, and this one may be the one in which the other was changed.
        filetime::set_file_mtime(&source, FileTime::from_unix_time(1_000_000, 0)).unwrap();
        copy(&["-a", "--delete"]);
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

/// A user who may set no owner, and no group but its own, has what others own, and it is the same.
#[test]
fn owners_that_cannot_be_set_make_no_difference() {
    if command::is_rsync() {
        return tools::not_for_rsync("it lists everything");
    }
    let mut tree = Tree::new();
    for dir in ["root", "users", "mixed"] {
        tree = (0..40).fold(tree, |tree, file| tree.file(format!("{dir}/{file}"), "content"));
    }
    for direction in [Direction::Push, Direction::Pull] {
        let scene = Scene::with_source(&tree).tree("to", &Tree::new());
        scene.give_away("to", &Tree::new());
        if tools::is_root() {
            let own = |path: &str| lchown(scene.path(path), Some(12_345), Some(65_534)).unwrap();
            (0..40).for_each(|file| own(&format!("source/users/{file}")));
            (0..40).step_by(2).for_each(|file| own(&format!("source/mixed/{file}")));
        }
        let shell = rsh_script(scene.root(), "exec /bin/sh -c \"$*\"\n");
        let copy = || {
            let (source, to) = (scene.path("source/"), scene.path("to"));
            let operands = match direction {
                Direction::Push => [source.into_os_string(), remote(&to)],
                Direction::Pull => [remote(source), to.into_os_string()],
            };
            let program = command::reachable()?;
            let options = [OsString::from("-a"), "--stats".into(), "--delete".into()];
            let run = Invocation::new(&program, options).args(shell_options_for(&shell, &program));
            Some(run.args(operands).unprivileged()?.run().success())
        };
        let Some(_) = copy() else { return };
        let again = copy().unwrap();
        // What is mixed cannot be told from afar.
        assert!(bytes(&again) < 1400, "{direction:?}\n{again}");
        assert_same(&scene.path("source"), &scene.path("to"), Columns { owner: false, ..Columns::ALL });
        // A group that can be set is still looked at, also among those that cannot.
        for path in ["to/users/7", "to/mixed/8"] {
            lchown(scene.path(path), None, Some(0)).unwrap();
        }
        copy().unwrap();
        for path in ["to/users/7", "to/mixed/8"] {
            assert_eq!(fs::metadata(scene.path(path)).unwrap().gid(), 65_534, "{direction:?}: {path}");
        }
    }
}

/// A new tree below an old one is listed at once, and every level of it arrives.
#[test]
fn new_trees_in_old_ones() {
    for way in Way::remote() {
        let scene = Scene::with_source(&tree());
        let copy = || {
            way.copy(&["-a", "--delete"], &[scene.path("source/")], scene.path("to")).run().success();
        };
        copy();
        let mut new = Tree::new();
        for dir in 0..30 {
            new = new.file(format!("a/b{dir}/c/d/e/file"), "x").file(format!("a/b{dir}/f"), "y");
        }
        new.write(&scene.path("source/d0/new"));
        new.write(&scene.path("source/d2/e2/new"));
        fs::write(scene.path("source/d1/deep/down/here/dir/inside"), "changed too").unwrap();
        copy();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

/// Thirty directories, each with one below, all different at the destination.
fn all_different() -> Scene {
    let mut new = Tree::new();
    let mut old = Tree::new();
    for dir in 0..30 {
        new = new.file(format!("d{dir:02}/sub/file"), "new content").file(format!("d{dir:02}/a"), "new");
        old = old.file(format!("d{dir:02}/sub/file"), "old").file(format!("d{dir:02}/sub/extra"), "");
    }
    Scene::with_source(&new).tree("to", &old)
}

#[test]
fn lines_come_in_the_order_of_the_tree() {
    let lines = |way: Way| {
        let scene = all_different();
        let output = way.copy(&["-ain", "--delete"], &[scene.path("source/")], scene.path("to"));
        let out = output.run().success().out().to_string();
        out.lines()
            .map(|line| line.replacen('<', ">", usize::from(line.starts_with('<'))))
            .collect::<Vec<_>>()
    };
    let expected = lines(Way::LOCAL);
    assert!(expected.len() >= 90, "{expected:?}");
    if command::is_rsync() {
        return tools::not_for_rsync("it has an order of its own");
    }
    for way in Way::remote() {
        assert_eq!(lines(way), expected, "{way:?}");
    }
}

/// Many directories wait for their listings at once, with few files that may be open.
#[test]
fn directories_that_wait_hold_nothing_open() {
    if command::is_rsync() {
        return tools::not_for_rsync("it keeps no directories open");
    }
    let mut new = Tree::new();
    let mut old = Tree::new();
    for dir in 0..600 {
        new = new.file(format!("d{dir}/kept"), "of the source").file(format!("d{dir}/new"), "n");
        old = old.file(format!("d{dir}/kept"), "of the destination");
    }
    for direction in [Direction::Push, Direction::Pull] {
        let scene = Scene::with_source(&new).tree("to", &old);
        let limited = rsh_script(scene.root(), "ulimit -n 96; exec /bin/sh -c \"$*\"\n");
        let (source, to) = (scene.path("source/"), scene.path("to"));
        let operands = match direction {
            Direction::Push => [source.into_os_string(), remote(&to)],
            Direction::Pull => [remote(source), to.into_os_string()],
        };
        let words =
            [&[OsString::from("-a"), "--ignore-existing".into()][..], &shell_options(&limited), &operands];
        Invocation::new(Path::new("/bin/sh"), ["-c", r#"ulimit -n 96; exec "$0" "$@""#])
            .args([command::binary()])
            .args(words.concat())
            .run()
            .success();
        for dir in 0..600 {
            assert_eq!(scene.read(&format!("to/d{dir}/kept")), b"of the destination", "{direction:?} {dir}");
            assert_eq!(scene.read(&format!("to/d{dir}/new")), b"n", "{direction:?} {dir}");
        }
    }
}

/// What is in a directory that cannot be read is looked for by name, so nothing that is to be kept is replaced.
#[test]
fn a_destination_that_cannot_be_read_is_not_taken_for_empty() {
    let tree = Tree::new().file("dir/kept", "of the source").file("dir/new", "n");
    let scene = Scene::with_source(&tree).tree("to", &Tree::new().file("dir/kept", "of the destination"));
    scene.give_away("to", &Tree::new().file("dir/kept", ""));
    fs::set_permissions(scene.path("to/dir"), fs::Permissions::from_mode(0o333)).unwrap();
    let run = dsync(["-r", "--ignore-existing"]).args([scene.path("source/"), scene.path("to")]);
    let Some(run) = run.unprivileged() else { return };
    let output = run.run();
    fs::set_permissions(scene.path("to/dir"), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(scene.read("to/dir/kept"), b"of the destination", "{output}");
    assert_eq!(scene.read("to/dir/new"), b"n", "{output}");
}
