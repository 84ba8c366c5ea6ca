//! Directories that are compared with besides the destination (`--compare-dest`, `--copy-dest`, `--link-dest`).

use crate::support::command::{Output, dsync};
use crate::support::disk::Disk;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Entry, Node, Tree, noise};
use crate::support::xattr::{self, ACCESS_ACL, acl};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};

fn run(way: Way, scene: &Scene, options: &[&str]) -> Output {
    way.copy(options, &[scene.path("source/")], scene.path("to")).run()
}

fn wanted() -> Tree {
    Tree::new()
        .file("same", "the same")
        .file("dir/same", "also the same")
        .file("mode", "other mode")
        .file("time", "other time")
        .file("changed", "a new version")
        .file("new", "new")
        .symlink("link", "same")
        .symlink("relink", "same")
        .node("fifo", Node::Fifo)
}

fn before() -> Tree {
    wanted()
        .mode("mode", 0o600)
        .mtime("time", 1_500_000_000)
        .with("changed", Entry::new(Node::File(b"the old version".to_vec())))
        .with("relink", Entry::new(Node::Symlink(b"elsewhere".to_vec())))
}

fn scene() -> Scene {
    let mut before = before();
    before.remove(b"new");
    Scene::with_source(&wanted()).tree("before", &before)
}

fn inode(scene: &Scene, path: &str) -> u64 {
    fs::symlink_metadata(scene.path(path)).unwrap().ino()
}

const PATHS: [&str; 9] = ["same", "dir/same", "mode", "time", "changed", "new", "link", "relink", "fifo"];

/// Which entries of the destination are the ones of the other directory.
fn shared(scene: &Scene) -> Vec<&'static str> {
    let is_shared = |path: &&str| {
        let at = |top: &str| {
            fs::symlink_metadata(scene.path(&format!("{top}/{path}"))).map(|meta| meta.ino()).ok()
        };
        at("to").is_some() && at("to") == at("before")
    };
    PATHS.into_iter().filter(is_shared).collect()
}

fn changes(output: &Output) -> Vec<String> {
    let mut lines: Vec<String> = output
        .out()
        .lines()
        .filter(|line| line.get(11..12) == Some(" "))
        .map(|line| line.replace('<', ">"))
        .collect();
    lines.sort();
    lines
}

const CHANGES: [&str; 5] = [
    ">f+++++++++ new",
    ">f..t...... time",
    ">f.s....... changed",
    "cLc........ relink -> same",
    "cf...p..... mode",
];

#[test]
fn what_is_the_same_is_linked_and_the_rest_is_made() {
    for way in Way::all() {
        let scene = scene();
        let elsewhere = scene.snapshot("before");
        let output = run(way, &scene, &["-ai", "--link-dest=../before"]).success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        assert_eq!(shared(&scene), ["same", "dir/same", "link", "fifo"], "{way:?}\n{output}");
        assert!(elsewhere == scene.snapshot("before"), "{way:?}: what is elsewhere was changed");
        let told: Vec<String> = changes(&output).into_iter().filter(|line| !line.ends_with('/')).collect();
        assert_eq!(told, CHANGES, "{way:?}\n{output}");
        let again = run(way, &scene, &["-ai", "--link-dest=../before"]).success();
        assert_eq!(changes(&again), [""; 0], "{way:?}\n{again}");
        assert_eq!(shared(&scene), ["same", "dir/same", "link", "fifo"], "{way:?}");
    }
}

#[test]
fn what_is_the_same_is_copied() {
    for way in Way::plain() {
        let scene = scene();
        let output = run(way, &scene, &["-aii", "--copy-dest=../before", "--stats"]).success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        assert_eq!(shared(&scene), [""; 0], "{way:?}\n{output}");
        assert!(output.out().contains("cf          dir/same\n"), "{way:?}\n{output}");
        assert_eq!(output.number("Number of regular files transferred:"), 3, "{way:?}\n{output}");
        assert_eq!(output.number("Number of created files:"), 1, "{way:?}\n{output}");
    }
}

#[test]
fn what_is_the_same_is_left_out() {
    for way in Way::plain() {
        let scene = scene();
        // What is there already goes, too.
        Tree::new().file("same", "the same").file("dir/same", "something else").write(&scene.path("to"));
        run(way, &scene, &["-a", "--compare-dest=../before"]).success();
        assert_eq!(scene.paths("to"), ["changed", "dir", "mode", "new", "relink", "time"], "{way:?}");
        let again = run(way, &scene, &["-ai", "--compare-dest=../before"]).success();
        assert_eq!(changes(&again), [""; 0], "{way:?}\n{again}");
    }
}

#[test]
fn the_first_that_is_just_the_same_counts() {
    for way in Way::plain() {
        let scene = scene();
        let options = ["-a", "--link-dest", "../nowhere", "--link-dest", "../before", "--link-dest=../exact"];
        let same = ["mode", "time", "same"]
            .iter()
            .fold(Tree::new(), |tree, name| tree.with(name, wanted().entries[name.as_bytes()].clone()));
        let scene = scene.tree("exact", &same);
        let output = run(way, &scene, &options).expect(0);
        assert_eq!(inode(&scene, "to/mode"), inode(&scene, "exact/mode"));
        assert_eq!(inode(&scene, "to/time"), inode(&scene, "exact/time"));
        assert_eq!(inode(&scene, "to/same"), inode(&scene, "before/same"));
        assert!(output.err().contains("--link-dest arg does not exist: ../nowhere"), "{output}");
    }
}

/// As what is longer here than at the source, and stays with `--append`, is replaced nevertheless.
#[test]
fn what_has_grown_gives_way_to_what_is_the_same() {
    for way in Way::all() {
        let scene = scene().tree("to", &Tree::new().file("same", "the same and more"));
        run(way, &scene, &["-a", "--append", "--link-dest=../before"]).success();
        assert!(shared(&scene).contains(&"same"), "{way:?}");
    }
}

#[test]
fn another_version_serves_as_basis() {
    for way in Way::plain() {
        for kind in ["compare", "copy", "link"] {
            let old = noise(600_000, 5);
            let mut new = old.clone();
            new.splice(300_000..300_000, *b"inserted");
            let scene = Scene::with_source(&Tree::new().file("dir/large", &new))
                .tree("before", &Tree::new().file("dir/large", &old).mtime("dir/large", 1_500_000_000));
            let before = scene.snapshot("before");
            let options = ["-a", "--no-whole-file", "--stats", &format!("--{kind}-dest=../before")];
            let output = run(way, &scene, &options).success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
            assert!(output.number("Literal data:") < 50_000, "{way:?}\n{output}");
            assert!(before == scene.snapshot("before"));
            // In place the new file is another one, too.
            fs::remove_dir_all(scene.path("to")).unwrap();
            run(way, &scene, &["-a", "--no-whole-file", "--inplace", options[3]]).success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
            assert!(before == scene.snapshot("before"));
        }
    }
}

#[test]
fn contents_are_compared_if_asked() {
    for way in Way::plain() {
        for (kind, names) in [("compare", 0), ("copy", 1), ("link", 2)] {
            let scene = scene();
            // Of the same length and time.
            let tampered = Tree::new().file("before/same", "eht emas");
            tampered.write(scene.root());
            let would = run(way, &scene, &["-acin", &format!("--{kind}-dest=../before")]).success();
            let output = run(way, &scene, &["-aci", &format!("--{kind}-dest=../before")]).success();
            assert_eq!(changes(&would), changes(&output), "{way:?}");
            assert_eq!(scene.read("to/same"), b"the same", "{way:?}\n{output}");
            assert!(changes(&output).contains(&">fc........ same".to_owned()), "{way:?}\n{output}");
            assert!(changes(&output).contains(&"cf..t...... time".to_owned()), "{way:?}\n{output}");
            let made = fs::symlink_metadata(scene.path("to/dir/same")).map_or(0, |meta| meta.nlink());
            assert_eq!(made, names, "{way:?} {kind}\n{output}");
            if kind != "compare" {
                assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
            }
        }
    }
}

#[test]
fn a_dry_run_tells_the_same() {
    for way in Way::plain() {
        for kind in ["compare", "copy", "link"] {
            let scene = scene();
            let option = format!("--{kind}-dest=../before");
            let would = run(way, &scene, &["-ain", &option]).success();
            assert!(!scene.path("to").exists());
            let does = run(way, &scene, &["-ai", &option]).success();
            assert_eq!(changes(&would), changes(&does), "{way:?} {kind}");
        }
    }
}

#[test]
fn where_links_are_refused_files_are_copied() {
    let scene = scene();
    let Some(disk) = Disk::small(&scene, "to", 4) else { return };
    let output = run(Way::LOCAL, &scene, &["-a", "--link-dest=../before"]).expect(0);
    assert_same(&scene.path("source"), &disk.at, Columns { directory_mtime: true, ..Columns::ALL });
    assert_eq!(output.err().matches("so it is copied").count(), 1, "{output}");
}

#[test]
fn names_of_one_file_are_one_file_wherever_they_are() {
    for way in Way::plain() {
        let scene = scene();
        fs::hard_link(scene.path("source/same"), scene.path("source/twin")).unwrap();
        fs::hard_link(scene.path("source/new"), scene.path("source/newer")).unwrap();
        run(way, &scene, &["-aH", "--link-dest=../before"]).success();
        assert_eq!(inode(&scene, "to/same"), inode(&scene, "before/same"));
        assert_eq!(inode(&scene, "to/twin"), inode(&scene, "before/same"));
        assert_eq!(inode(&scene, "to/new"), inode(&scene, "to/newer"));
        fs::create_dir(scene.path("copied")).unwrap();
        way.copy(&["-aH", "--copy-dest=../before"], &[scene.path("source/")], scene.path("copied"))
            .run()
            .success();
        assert_eq!(inode(&scene, "copied/twin"), inode(&scene, "copied/same"));
        assert_ne!(inode(&scene, "copied/twin"), inode(&scene, "before/same"));
    }
}

#[test]
fn a_path_may_lead_through_ones_own_links_only() {
    let scene = scene();
    symlink("before", scene.path("mine")).unwrap();
    run(Way::LOCAL, &scene, &["-a", "--link-dest=../mine"]).success();
    assert_eq!(shared(&scene).len(), 4);
    // Nor is one below followed, whoever made it.
    fs::remove_dir_all(scene.path("to")).unwrap();
    fs::rename(scene.path("before/dir"), scene.path("aside")).unwrap();
    symlink("../aside", scene.path("before/dir")).unwrap();
    run(Way::LOCAL, &scene, &["-a", "--link-dest=../before"]).success();
    assert_ne!(inode(&scene, "to/dir/same"), inode(&scene, "aside/same"));
    if !tools::is_root() {
        return tools::missing("root, who may give a link away");
    }
    fs::remove_dir_all(scene.path("to")).unwrap();
    lchown(scene.path("mine"), Some(12_345), None).unwrap();
    let output = run(Way::LOCAL, &scene, &["-a", "--link-dest=../mine"]);
    assert_eq!(output.code, Some(23), "{output}");
    assert!(output.err().contains("belongs to another user"), "{output}");
    assert_eq!(shared(&scene), [""; 0]);
}

#[test]
fn what_is_elsewhere_stays_as_it_is_whatever_is_here() {
    for kind in ["compare", "copy", "link"] {
        for more in
            [&["--delete"][..], &["--inplace", "--no-whole-file"], &["-I"], &["--size-only"], &["--existing"]]
        {
            let scene = scene();
            Tree::new().file("same", "mine").file("extra", "mine").write(&scene.path("to"));
            fs::set_permissions(scene.path("to/same"), fs::Permissions::from_mode(0o600)).unwrap();
            let before = scene.snapshot("before");
            let option = format!("--{kind}-dest=../before");
            run(Way::LOCAL, &scene, &[&["-a", &option], more].concat()).success();
            assert!(before == scene.snapshot("before"), "{kind} {more:?}");
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for options in [
        &["--link-dest=a", "--copy-dest=b"][..],
        &["--link-dest=a"; 21],
        &["--link-dest="],
        &["-2", "--link-dest=a"],
    ] {
        dsync(["-a"]).args(options.iter().copied()).args(["nowhere/", "to"]).run().expect(1);
    }
}

/// What is as at the source but for its extended attributes is another version of a file, which is not linked; a copy
/// has the attributes of the source.
#[test]
fn attributes_that_are_asked_for_count_and_are_set() {
    if !xattr::are_here() {
        return;
    }
    let rights = || acl(0o644, 6, &[(4, 6)], &[]);
    let wanted = Tree::new()
        .file("same", "the same")
        .file("other", "other attributes")
        .file("changed", noise(40_000, 1))
        .directory("dir")
        .xattr("same", "user.a", "1")
        .xattr("same", ACCESS_ACL, rights())
        .xattr("other", "user.a", "1")
        .xattr("other", ACCESS_ACL, rights())
        .xattr("changed", "user.a", "1")
        .xattr("dir", "user.d", "1");
    let before = wanted
        .clone()
        .xattr("other", "user.a", "2")
        .xattr("dir", "user.d", "2")
        .with("changed", Entry::new(Node::File(noise(40_100, 2))));
    for way in Way::all() {
        for option in ["--link-dest=../before", "--copy-dest=../before"] {
            for checksum in [&[][..], &["-c"]] {
                let scene = Scene::with_source(&wanted).tree("before", &before);
                let options = [&["-aAX", "--no-whole-file", option], checksum].concat();
                let output = run(way, &scene, &options).success();
                assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
                let is_shared = inode(&scene, "to/same") == inode(&scene, "before/same");
                assert_eq!(is_shared, option.starts_with("--link"), "{way:?} {options:?}\n{output}");
                assert_ne!(inode(&scene, "to/other"), inode(&scene, "before/other"), "{way:?} {options:?}");
            }
        }
    }
}

/// A directory that has other attributes elsewhere gets a time of its own where that is not kept, and `-i` tells so.
#[test]
fn the_time_of_a_directory_that_differs_elsewhere_is_told() {
    for way in Way::all() {
        let tree = |mode: u32| Tree::new().file("dir/file", "x").mode("dir", mode).file("same/file", "x");
        for (options, expected) in [("-rpi", "cd..Tp..... dir/"), ("-rpti", "cd...p..... dir/")] {
            let scene = Scene::with_source(&tree(0o755)).tree("before", &tree(0o700));
            let output = run(way, &scene, &[options, "--link-dest=../before"]).success();
            let told = changes(&output);
            assert!(told.iter().any(|line| line == expected), "{way:?} {options}\n{output}");
            assert!(!told.iter().any(|line| line.ends_with(" same/")), "{way:?} {options}\n{output}");
        }
    }
}
