//! `--remove-source-files`: what has arrived goes at the source, and nothing else.

use crate::support::command;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Node, Tree, noise};
use crate::support::xattr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

const REMOVE: &str = "--remove-source-files";

fn tree() -> Tree {
    Tree::new()
        .file("file", "content")
        .file("dir/deep/file", noise(300_000, 1))
        .file("dir/small", "x")
        .symlink("dir/link", "small")
        .node("fifo", Node::Fifo)
        .directory("empty")
}

const DIRECTORIES: [&str; 3] = ["dir", "dir/deep", "empty"];

#[test]
fn what_has_arrived_goes_and_directories_stay() {
    for way in Way::all() {
        for options in [
            &["-a"][..],
            &["-a", "--no-W"],
            &["-a", "-c"],
            &["-a", "--inplace"],
            &["-a", "--delay-updates"],
            &["-a", "--delete-before"],
            &["-aH"],
            &["-aX"],
            &["-a", "-b"],
            &["-a", "--plain=all"],
        ] {
            if command::is_rsync() && options.contains(&"--plain=all") {
                continue;
            }
            let old = Tree::new().file("file", "older content").file("dir/deep/file", noise(290_000, 1));
            let scene = Scene::with_source(&tree()).tree("to", &old).tree("copy", &tree());
            let options = [options, &[REMOVE]].concat();
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(scene.paths("source"), DIRECTORIES, "{way:?} {options:?}");
            for path in ["dir/small", "dir/deep/file", "file"] {
                let (there, wanted) =
                    (scene.read(&format!("to/{path}")), scene.read(&format!("copy/{path}")));
                assert_eq!(there, wanted, "{way:?} {options:?} {path}");
            }
            assert!(scene.path("to/dir/link").is_symlink(), "{way:?} {options:?}");
            // Once more, there is nothing to do.
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        }
    }
}

#[test]
fn what_was_there_before_goes_too() {
    for way in Way::all() {
        for options in [&["-a"][..], &["-a", "-c"], &["-aH"], &["-aX"], &["-a", "--delay-updates"]] {
            let source = tree().mode("file", 0o600).xattr("dir/small", "user.x", "y");
            let scene = Scene::with_source(&source);
            way.copy(&["-aX"], &[scene.path("source/")], scene.path("to")).run().success();
            if xattr::get(&scene.path("to/dir/small"), b"user.x").is_none_or(|value| value != b"y") {
                return tools::missing("extended attributes");
            }
            fs::set_permissions(scene.path("to/dir/small"), fs::Permissions::from_mode(0o600)).unwrap();
            let options = [options, &["-v", REMOVE]].concat();
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(scene.paths("source"), DIRECTORIES, "{way:?} {options:?} {output}");
            assert!(!output.out().contains("dir/deep/file"), "{way:?} {output}");
        }
    }
}

#[test]
fn what_was_not_copied_stays() {
    for way in Way::all() {
        for (options, stay) in [
            (&["-a", "-n"][..], &["dir", "dir/large", "dir/small", "excluded", "link", "there"][..]),
            (&["-a", "--list-only"], &["dir", "dir/large", "dir/small", "excluded", "link", "there"]),
            (&["-a", "--existing"], &["dir", "dir/large", "dir/small", "excluded", "link"]),
            (&["-a", "--ignore-existing"], &["dir", "there"]),
            (&["-a", "-u"], &["dir", "there"]),
            (&["-a", "--max-size=10"], &["dir", "dir/large"]),
            (&["-a", "--exclude=excluded"], &["dir", "excluded"]),
            (&["-rt"], &["dir", "link"]),
        ] {
            let source = Tree::new()
                .file("dir/large", noise(100, 1))
                .file("dir/small", "x")
                .file("excluded", "x")
                .file("there", "new")
                .symlink("link", "there")
                .mtime("there", 1_000_000_000);
            let scene = Scene::with_source(&source).tree("to", &Tree::new().file("there", "older"));
            let options = [options, &[REMOVE]].concat();
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(scene.paths("source"), stay, "{way:?} {options:?}");
        }
    }
}

/// What cannot take its place at the destination is not taken from the source.
#[test]
fn what_failed_stays() {
    for way in Way::all() {
        let source = Tree::new().file("a", "x").file("in-the-way", "x");
        let there = Tree::new().file("in-the-way/full", "x");
        let scene = Scene::with_source(&source).tree("to", &there);
        way.copy(&["-a", REMOVE], &[scene.path("source/")], scene.path("to")).run().expect(23);
        assert_eq!(scene.paths("source"), ["in-the-way"], "{way:?}");
        assert_eq!(scene.paths("to"), ["a", "in-the-way", "in-the-way/full"], "{way:?}");
    }
}

#[test]
fn the_destination_s_own_file_stays() {
    if command::is_rsync() {
        return tools::not_for_rsync("over a connection it removes the only copy there is");
    }
    for way in Way::all() {
        // The source as its own destination, also under another name.
        for to in ["source", "same", "source/dir/.."] {
            for options in [&["-a"][..], &["-a", "-c"], &["-aH"]] {
                let scene = Scene::with_source(&tree());
                symlink("source", scene.path("same")).unwrap();
                let before = scene.snapshot("source");
                let options = [options, &[REMOVE]].concat();
                way.copy(&options, &[scene.path("source/")], scene.path(to)).run().expect(23);
                let differences = scene.snapshot("source").differences(&before, Columns::ALL);
                assert!(differences.is_empty(), "{way:?} {to} {options:?}: {differences:?}");
            }
        }
        // One name each of a file.
        let scene = Scene::with_source(&Tree::new().file("one", "x").file("other", "x"));
        fs::create_dir(scene.path("to")).unwrap();
        fs::hard_link(scene.path("source/one"), scene.path("to/one")).unwrap();
        way.copy(&["-a", REMOVE], &[scene.path("source/")], scene.path("to")).run().expect(23);
        assert_eq!(scene.paths("source"), ["one"], "{way:?}");
        assert_eq!(scene.paths("to"), ["one", "other"], "{way:?}");
    }
}

/// The source itself as a directory to compare with: nothing is at the destination.
#[test]
fn what_is_only_found_at_the_source_stays() {
    if command::is_rsync() {
        return tools::not_for_rsync("it removes the only copy there is");
    }
    for way in Way::all() {
        for option in ["--compare-dest=../source", "--link-dest=../source"] {
            let scene = Scene::with_source(&Tree::new().file("a", "x").file("dir/b", "y"));
            fs::create_dir(scene.path("to")).unwrap();
            for more in ["-t", "-c"] {
                let options = ["-a", more, option, REMOVE];
                way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(23);
                assert_eq!(scene.paths("source"), ["a", "dir", "dir/b"], "{way:?} {option}");
            }
        }
    }
}

#[test]
fn all_names_of_a_file_go() {
    for way in Way::all() {
        for options in [&["-a"][..], &["-aH"], &["-aH", "--inplace"], &["-aH", "--no-W"]] {
            for linked_there in [false, true] {
                let scene = Scene::with_source(&Tree::new().file("a", noise(9000, 1)).directory("dir"));
                for name in ["b", "dir/c", "dir/d"] {
                    fs::hard_link(scene.path("source/a"), scene.path("source").join(name)).unwrap();
                }
                if linked_there {
                    Tree::new().file("a", noise(9001, 1)).directory("dir").write(&scene.path("to"));
                    fs::hard_link(scene.path("to/a"), scene.path("to/dir/c")).unwrap();
                }
                let options = [options, &[REMOVE]].concat();
                let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
                assert_eq!(scene.paths("source"), ["dir"], "{way:?} {options:?} {output}");
                assert_eq!(scene.paths("to"), ["a", "b", "dir", "dir/c", "dir/d"], "{way:?} {options:?}");
            }
        }
    }
}

#[test]
fn of_several_sources_each_loses_what_it_gave() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("both", "1").file("one", "1"))
            .tree("other", &Tree::new().file("both", "2").file("two", "2"))
            .tree("third", &Tree::new().file("three", "3"));
        let sources = [scene.path("source/"), scene.path("other/"), scene.path("third/three")];
        way.copy(&["-a", REMOVE], &sources, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["both", "one", "three", "two"], "{way:?}");
        assert_eq!(scene.read("to/both"), b"1", "{way:?}");
        assert!(scene.paths("source").is_empty() && scene.paths("third").is_empty(), "{way:?}");
        assert_eq!(scene.paths("other"), ["both"], "{way:?}");
    }
}

#[test]
fn a_single_file_under_a_new_name_goes() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("old", "x").file("stays", "x"));
        way.copy(&["-t", REMOVE], &[scene.path("source/old")], scene.path("new")).run().success();
        assert_eq!(scene.paths("source"), ["stays"], "{way:?}");
        assert_eq!(scene.read("new"), b"x", "{way:?}");
    }
}

/// A link whose referent was copied goes itself; what it leads to stays, as does what is behind a link to a directory.
#[test]
fn links_that_are_followed() {
    for way in Way::all() {
        let scene =
            Scene::with_source(&Tree::new().symlink("link", "../outside/file").symlink("dir", "../outside"))
                .tree("outside", &Tree::new().file("file", "x"));
        let output = way.copy(&["-aL", REMOVE], &[scene.path("source/")], scene.path("to")).run();
        assert_eq!(scene.paths("to"), ["dir", "dir/file", "link"], "{way:?}");
        assert_eq!(scene.paths("source"), ["dir"], "{way:?}");
        if !command::is_rsync() {
            assert_eq!(scene.paths("outside"), ["file"], "{way:?}");
            assert!(output.code == Some(23) && output.err().contains("dir/file"), "{way:?} {output}");
        }
    }
}

#[test]
fn it_is_told_if_that_is_asked() {
    for way in Way::all() {
        for (options, told) in
            [(&["-a", "-v"][..], 0), (&["-ai"], 0), (&["-avv"], 2), (&["-a", "--info=remove"], 2)]
        {
            let scene = Scene::with_source(&Tree::new().file("a", "x").file("dir/b", "x"));
            let options = [options, &[REMOVE]].concat();
            let dry = [&options[..], &["-n"]].concat();
            for (options, told) in [(dry, 0), (options, told)] {
                let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
                let lines = output.out().lines().filter(|line| line.starts_with("sender removed ")).count();
                assert_eq!(lines, told, "{way:?} {options:?}: {output}");
            }
        }
    }
}

#[test]
fn what_cannot_be_removed_is_told() {
    if !tools::is_root() {
        return tools::missing("root, to become another user");
    }
    let tree = Tree::new().file("shut/a", "x").file("b", "x").mode("shut", 0o555);
    let scene = Scene::with_source(&tree);
    scene.give_away("source", &tree);
    fs::create_dir(scene.path("to")).unwrap();
    fs::set_permissions(scene.path("to"), fs::Permissions::from_mode(0o777)).unwrap();
    let run = Way::LOCAL.copy(&["-rt", REMOVE], &[scene.path("source/")], scene.path("to"));
    let Some(run) = run.unprivileged() else { return };
    let output = run.run().expect(23);
    assert_eq!(scene.paths("source"), ["shut", "shut/a"]);
    assert!(output.err().contains("shut/a"), "{output}");
    assert_same(&scene.path("source/shut"), &scene.path("to/shut"), Columns { mode: false, ..Columns::ALL });
}

/// The first has arrived long before the last is listed, and must not be missed then.
#[test]
fn names_of_one_file_stay_one_when_they_go() {
    for way in Way::plain() {
        let mut tree = Tree::new().file("a", "content").file("z/last", "content");
        let long = "x".repeat(200);
        for number in 0..12_000 {
            tree = tree.file(format!("between/{}/{long}{number}", number % 60), "");
        }
        tree.links.insert(b"z/last".to_vec(), b"a".to_vec());
        let scene =
            Scene::with_source(&tree).tree("to", &Tree::new().file("a", "content").file("z/last", "other"));
        // What is between them is only listed.
        let options = ["-aH", "--existing", REMOVE];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        let inode = |name: &str| fs::metadata(scene.path(name)).unwrap().ino();
        assert_eq!(inode("to/a"), inode("to/z/last"), "{way:?}");
        assert!(!scene.path("source/a").exists() && !scene.path("source/z/last").exists(), "{way:?}");
    }
}
