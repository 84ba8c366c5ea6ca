//! Directories that did not change are not listed, and whatever did change is found all the same.

use crate::support::command::{self, Output};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Node, Tree};
use filetime::FileTime;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::Path;

/// Forty directories of fifty files on two levels, and one deep below with one of each kind.
fn tree() -> Tree {
    let mut tree = Tree::new();
    for dir in 0..40 {
        for file in 0..50 {
            tree = tree.file(format!("d{}/e{dir}/file-{file}", dir % 4), format!("{dir} {file}"));
        }
    }
    tree.file("d1/deep/down/here/file", "content")
        .symlink("d1/deep/down/here/link", "target")
        .node("d1/deep/down/here/fifo", Node::Fifo)
        .file("d1/deep/down/here/dir/inside", "more")
}

/// Bytes in both directions, as `--stats` has them.
fn bytes(output: &Output) -> u64 {
    let out = output.out();
    let number = |label: &str| -> u64 {
        let line = out.lines().find_map(|line| line.strip_prefix(label)).expect("the statistics are printed");
        line.replace(',', "").trim().parse().unwrap()
    };
    number("Total bytes sent:") + number("Total bytes received:")
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
        assert!(again.out().contains("Number of files: 2,053"), "{way:?}\n{again}");
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
