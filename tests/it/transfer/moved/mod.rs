//! `--detect-renames`: what was moved or copied at the source is renamed or copied at the destination.
//!
//! What is there in the end is what is there without the option; how it came there shows in the bytes that travelled,
//! in the lines, and in the inodes.

mod drawn;

use crate::support::command::Output;
use crate::support::scene::Scene;
use crate::support::snapshot::Columns;
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use crate::support::xattr;
use filetime::FileTime;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

const LARGE: usize = 5 << 20;

fn large() -> Vec<u8> {
    noise(LARGE, 1)
}

/// A destination that is as the source was, before `change` happened there.
fn changed(tree: &Tree, change: impl FnOnce(&Path)) -> Scene {
    let scene = Scene::in_memory().tree("source", tree).tree("to", tree);
    change(&scene.path("source"));
    scene
}

fn inode(scene: &Scene, path: &str) -> u64 {
    fs::metadata(scene.path(path)).unwrap().ino()
}

fn run(scene: &Scene, way: Way, options: &[&str]) -> Output {
    let options = [&["-a", "--stats", "--detect-renames"], options].concat();
    way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success()
}

/// Bytes that travelled.
fn traffic(output: &Output) -> u64 {
    output.number("Total bytes sent:") + output.number("Total bytes received:")
}

#[track_caller]
fn assert_same(scene: &Scene) {
    scene.snapshot("to").assert_same(&scene.snapshot("source"), Columns::ALL);
}

#[test]
fn a_moved_file_is_renamed_and_not_sent() {
    for way in Way::all() {
        for (from, to) in [("a/large", "z/large"), ("z/large", "a/large"), ("a/large", "a/other")] {
            let tree = Tree::new().file(from, large()).directory("a").directory("z").file("z/rest", "rest");
            let scene = changed(&tree, |source| fs::rename(source.join(from), source.join(to)).unwrap());
            let before = inode(&scene, &format!("to/{from}"));
            let output = run(&scene, way, &["--delete"]);
            assert_same(&scene);
            assert_eq!(inode(&scene, &format!("to/{to}")), before, "{way:?} {from}\n{output}");
            assert!(way == Way::LOCAL || traffic(&output) < 20_000, "{way:?} {from}\n{output}");
            assert_eq!(output.number("Literal data:"), 0, "{way:?} {from}\n{output}");
            assert_eq!(output.number("Matched data:"), LARGE as u64, "{way:?} {from}\n{output}");
            assert_eq!(output.number("Number of created files:"), 1, "{way:?} {from}\n{output}");
            assert_eq!(output.number("Number of deleted files:"), 1, "{way:?} {from}\n{output}");
        }
    }
}

#[test]
fn what_stays_or_is_not_deleted_is_copied() {
    for way in Way::all() {
        for options in [&[][..], &["--delete"], &["--delete", "-b", "--backup-dir=../kept"]] {
            let tree = Tree::new().file("b/large", large());
            let copy = |source: &Path| {
                for name in ["a", "c", "b/next"] {
                    fs::copy(source.join("b/large"), source.join(name)).unwrap();
                }
            };
            let scene = changed(&tree, copy);
            let output = run(&scene, way, options);
            assert_same(&scene);
            assert!(way == Way::LOCAL || traffic(&output) < 20_000, "{way:?} {options:?}\n{output}");
            let scene =
                changed(&tree, |source| fs::rename(source.join("b/large"), source.join("a")).unwrap());
            let output = run(&scene, way, options);
            assert_eq!(scene.read("to/a"), large(), "{way:?} {options:?}");
            assert_eq!(scene.path("to/b/large").exists(), options.is_empty(), "{way:?} {options:?}");
            assert!(way == Way::LOCAL || traffic(&output) < 20_000, "{way:?} {options:?}\n{output}");
            if options.len() > 1 {
                assert_eq!(scene.read("kept/b/large"), large(), "what is deleted is kept");
            }
        }
    }
}

#[test]
fn a_moved_directory_follows_from_its_files() {
    for way in Way::all() {
        let mut tree = Tree::new().file("small", "small").directory("old/sub");
        for number in 0..40 {
            tree = tree.file(format!("old/sub/{number}"), noise(3000 + 10 * number, number as u64));
        }
        let scene = changed(&tree, |source| fs::rename(source.join("old"), source.join("new")).unwrap());
        let before = inode(&scene, "to/old/sub/7");
        let output = run(&scene, way, &["--delete"]);
        assert_same(&scene);
        assert_eq!(inode(&scene, "to/new/sub/7"), before);
        assert_eq!(output.number("Literal data:"), 0, "{way:?}\n{output}");
    }
}

#[test]
fn only_the_same_content_counts() {
    for way in Way::plain() {
        let tree = Tree::new().file("old/file", noise(300_000, 1)).mtime("old/file", 1_600_000_000);
        let scene = changed(&tree, |source| {
            fs::create_dir(source.join("new")).unwrap();
            fs::rename(source.join("old/file"), source.join("new/file")).unwrap();
            let mut content = noise(300_000, 1);
            content[150_000] ^= 1;
            fs::write(source.join("new/file"), content).unwrap();
            filetime::set_file_mtime(source.join("new/file"), FileTime::from_unix_time(1_600_000_000, 0))
                .unwrap();
        });
        let output = run(&scene, way, &["--delete", "--no-whole-file", "-i"]);
        assert_same(&scene);
        assert!(output.out().contains("f+++++++++ new/file\n"), "{way:?}\n{output}");
        // The old one was a basis all the same.
        assert!(output.number("Literal data:") < 5_000, "{way:?}\n{output}");
    }
}

#[test]
fn a_file_that_was_moved_and_grew_has_its_old_version_for_a_basis() {
    for way in Way::plain() {
        let scene = changed(&Tree::new().file("old/disk.img", large()), |source| {
            fs::create_dir(source.join("new")).unwrap();
            fs::remove_file(source.join("old/disk.img")).unwrap();
            fs::write(source.join("new/disk.img"), [&large()[..], b"and more"].concat()).unwrap();
        });
        let output = run(&scene, way, &["--delete", "--no-whole-file"]);
        assert_same(&scene);
        assert!(output.number("Literal data:") < 50_000, "{way:?}\n{output}");
    }
}

#[test]
fn a_name_that_rules_protect_stays_and_may_be_copied_from() {
    for way in Way::plain() {
        let tree =
            Tree::new().file("kept/large", large()).file("old/large.mine", noise(LARGE, 2)).directory("new");
        for rule in ["--exclude=kept", "--filter=P kept"] {
            let scene = changed(&tree, |source| {
                fs::rename(source.join("kept/large"), source.join("new/large")).unwrap();
                fs::remove_dir(source.join("kept")).unwrap();
                fs::rename(source.join("old/large.mine"), source.join("new/other")).unwrap();
            });
            let before = inode(&scene, "to/kept/large");
            let output = run(&scene, way, &["--delete", rule, "--filter=P *.mine"]);
            for (path, seed) in [("kept/large", 1), ("new/large", 1), ("old/large.mine", 2), ("new/other", 2)]
            {
                assert_eq!(scene.read(&format!("to/{path}")), noise(LARGE, seed), "{way:?} {rule} {path}");
            }
            assert_eq!(inode(&scene, "to/kept/large"), before);
            assert_eq!(output.number("Literal data:"), 0, "{way:?} {rule}\n{output}");
            assert_eq!(output.number("Number of deleted files:"), 0, "{way:?} {rule}\n{output}");
        }
    }
}

#[test]
fn what_a_limit_leaves_is_copied() {
    for way in Way::plain() {
        let tree = Tree::new().file("a", "a").file("b", large()).directory("z");
        let scene = changed(&tree, |source| {
            fs::remove_file(source.join("a")).unwrap();
            fs::rename(source.join("b"), source.join("z/b")).unwrap();
        });
        let options = ["-a", "--detect-renames", "--delete", "--max-delete=1"];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(25);
        assert_eq!(scene.paths("to"), ["b", "z", "z/b"], "{way:?}");
        assert_eq!((scene.read("to/b"), scene.read("to/z/b")), (large(), large()));
    }
}

/// Of what this run changes, the content goes on before that.
#[test]
fn a_file_that_gets_another_content_is_copied_first() {
    for way in Way::plain() {
        let tree = Tree::new().file("m/log", large()).directory("a").directory("z");
        for to in ["a/log", "z/log"] {
            let scene = changed(&tree, |source| {
                fs::rename(source.join("m/log"), source.join(to)).unwrap();
                fs::write(source.join("m/log"), noise(100_000, 3)).unwrap();
            });
            let output = run(&scene, way, &["--delete"]);
            assert_same(&scene);
            let expected = if to == "a/log" { 100_000 } else { 100_000 + LARGE as u64 };
            assert_eq!(output.number("Literal data:"), expected, "{way:?} {to}\n{output}");
        }
        // And so it does where a directory is in the way, or comes.
        let tree = Tree::new().file("m/log/file", large()).directory("a");
        let scene = changed(&tree, |source| {
            fs::rename(source.join("m/log/file"), source.join("a/file")).unwrap();
            fs::remove_dir(source.join("m/log")).unwrap();
            fs::write(source.join("m/log"), "no directory").unwrap();
        });
        let output = run(&scene, way, &["--delete"]);
        assert_same(&scene);
        assert_eq!(output.number("Literal data:"), 12, "{way:?}\n{output}");
        let tree = Tree::new().file("m/log", large()).directory("a");
        let scene = changed(&tree, |source| {
            fs::rename(source.join("m/log"), source.join("a/file")).unwrap();
            fs::create_dir(source.join("m/log")).unwrap();
        });
        let output = run(&scene, way, &["--delete"]);
        assert_same(&scene);
        assert_eq!(output.number("Literal data:"), 0, "{way:?}\n{output}");
    }
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    for way in Way::plain() {
        let tree = Tree::new()
            .file("a/one", large())
            .file("m/two", noise(200_000, 2))
            .file("m/three", noise(9000, 3))
            .file("z/four", noise(9000, 4))
            .directory("n");
        for options in [&["--delete"][..], &["--delete", "-b", "--filter=P *~"], &[], &["--delete", "-c"]] {
            let scene = changed(&tree, |source| {
                for (from, to) in [("a/one", "z/one"), ("m/two", "a/2"), ("m/three", "n/three")] {
                    fs::rename(source.join(from), source.join(to)).unwrap();
                }
                fs::copy(source.join("z/four"), source.join("n/4")).unwrap();
                fs::write(source.join("z/four"), noise(9000, 5)).unwrap();
            });
            let before = scene.snapshot("to");
            let lines = |output: &Output| {
                let mut lines: Vec<String> = output.out().lines().map(str::to_owned).collect();
                lines.retain(|line| line.as_bytes().get(1) == Some(&b'f') || line.starts_with('*'));
                lines
            };
            let all = [&["-ai", "--detect-renames", "-n"], options].concat();
            let dry = way.copy(&all, &[scene.path("source/")], scene.path("to")).run().success();
            scene.snapshot("to").assert_same(&before, Columns::ALL);
            let all = [&["-ai", "--detect-renames"], options].concat();
            let real = way.copy(&all, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(lines(&dry), lines(&real), "{way:?} {options:?}");
            let said = lines(&real);
            assert!(said.contains(&"cf+++++++++ z/one => a/one".to_owned()), "{way:?} {said:?}");
            assert!(said.contains(&"cf+++++++++ a/2 => m/two".to_owned()), "{way:?} {said:?}");
            let deletes = said.contains(&"*deleting   a/one".to_owned());
            assert_eq!(deletes, !options.is_empty(), "{way:?} {said:?}");
        }
    }
}

#[test]
fn attributes_are_those_of_a_new_file() {
    for way in Way::plain() {
        for options in
            [&["-rp", "--delete"][..], &["-r", "--delete"], &["-rt", "--delete"], &["-aX", "--delete"]]
        {
            let tree = Tree::new()
                .file("a/wide", noise(9000, 1))
                .mode("a/wide", 0o666)
                .file("a/narrow", noise(9000, 2))
                .mode("a/narrow", 0o600)
                .file("a/marked", noise(9000, 3))
                .file("a/twice", noise(9000, 4))
                .directory("z");
            let outcome = |more: &[&str]| {
                let scene = changed(&tree, |source| {
                    for name in ["wide", "narrow", "marked", "twice"] {
                        fs::rename(source.join("a").join(name), source.join("z").join(name)).unwrap();
                    }
                    for (name, mode) in [("wide", 0o640), ("narrow", 0o755)] {
                        let mode = fs::Permissions::from_mode(mode);
                        fs::set_permissions(source.join("z").join(name), mode).unwrap();
                    }
                });
                if xattr::are_here() {
                    xattr::set(&scene.path("to/a/marked"), b"user.only-here", b"1");
                }
                fs::hard_link(scene.path("to/a/twice"), scene.path("outside")).unwrap();
                if tools::is_root() {
                    std::os::unix::fs::chown(scene.path("to/a/wide"), Some(1234), Some(1234)).unwrap();
                }
                let options = [options, more].concat();
                way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
                let outside = fs::metadata(scene.path("outside")).unwrap();
                assert_eq!(outside.permissions().mode() & 0o777, 0o644);
                (scene.snapshot("to").with_now(1_790_000_000), scene)
            };
            let ((with, _one), (without, _other)) = (outcome(&["--detect-renames"]), outcome(&[]));
            with.assert_same(&without, Columns::ALL);
        }
    }
}

#[test]
fn options_that_touch_files_in_their_own_way_go_with_it() {
    let tree = Tree::new()
        .file("m/one", noise(200_000, 1))
        .file("m/two", noise(20_000, 2))
        .file("m/linked", noise(30_000, 3))
        .directory("a")
        .directory("z");
    for way in Way::plain() {
        for options in [
            &["-H"][..],
            &["--link-dest=../basis"],
            &["--copy-dest=../basis"],
            &["--delay-updates"],
            &["--partial-dir=.parts"],
            &["--inplace"],
            &["--fuzzy", "--no-whole-file"],
            &["-S"],
            &["-T", "../temp"],
            &["--fsync"],
            &["-c"],
            &["-I"],
            &["--plain=all"],
            &["--checksum-choice=none", "-W"],
            &["-z"],
            &["-u", "--preallocate"],
        ] {
            for deletes in [&["--delete"][..], &[]] {
                let scene = changed(&tree, |source| {
                    fs::rename(source.join("m/one"), source.join("a/one")).unwrap();
                    fs::rename(source.join("m/two"), source.join("z/two")).unwrap();
                    fs::rename(source.join("m/linked"), source.join("a/linked")).unwrap();
                    fs::hard_link(source.join("a/linked"), source.join("z/linked")).unwrap();
                });
                fs::create_dir(scene.path("temp")).unwrap();
                let scene = scene.tree("basis", &Tree::new().file("z/two", noise(20_000, 2)));
                let all = [options, deletes].concat();
                let output = run(&scene, way, &all);
                for path in ["a/one", "z/two", "a/linked", "z/linked"] {
                    let (here, there) =
                        (scene.read(&format!("to/{path}")), scene.read(&format!("source/{path}")));
                    assert!(here == there, "{way:?} {all:?} {path}");
                }
                assert_eq!(scene.path("to/m/one").exists(), deletes.is_empty(), "{way:?} {all:?}");
                if options == ["-H"] {
                    assert_eq!(inode(&scene, "to/a/linked"), inode(&scene, "to/z/linked"), "{way:?} {all:?}");
                }
                assert_eq!(output.number("Literal data:"), 0, "{way:?} {all:?}\n{output}");
                assert!(!scene.path("to/a/.~tmp~").exists() && !scene.path("to/a/.parts").exists());
            }
        }
    }
}

#[test]
fn no_link_leads_to_a_candidate() {
    for way in Way::plain() {
        let scene = changed(&Tree::new().directory("a"), |source| {
            fs::write(source.join("a/large"), large()).unwrap();
        });
        fs::create_dir(scene.path("outside")).unwrap();
        fs::write(scene.path("outside/large"), large()).unwrap();
        symlink(scene.path("outside"), scene.path("to/link")).unwrap();
        symlink(scene.path("outside/large"), scene.path("to/large")).unwrap();
        let output = run(&scene, way, &["--delete"]);
        assert_same(&scene);
        assert_eq!(scene.read("outside/large"), large());
        assert_eq!(output.number("Literal data:"), LARGE as u64, "{way:?}\n{output}");
    }
}

/// What a source cannot read may be what an extra name here is, so nothing is renamed.
#[test]
fn after_an_error_at_the_source_nothing_is_renamed_away() {
    let tree = Tree::new().file("a/large", large()).directory("z").directory("shut");
    let scene = changed(&tree, |source| {
        fs::rename(source.join("a/large"), source.join("z/large")).unwrap();
        fs::set_permissions(source.join("shut"), fs::Permissions::from_mode(0o000)).unwrap();
    });
    scene.give_away("to", &tree);
    let options = ["-r", "--detect-renames", "--delete"];
    let copy = Way::LOCAL.copy(&options, &[scene.path("source/")], scene.path("to"));
    let Some(copy) = copy.unprivileged() else { return };
    copy.run().expect(23);
    assert_eq!((scene.read("to/a/large"), scene.read("to/z/large")), (large(), large()));
}

#[test]
fn what_is_deleted_before_cannot_be_renamed() {
    let scene = Scene::new().tree("source", &Tree::new()).tree("to", &Tree::new());
    let options = ["-a", "--delete-before", "--detect-renames"];
    let output = Way::LOCAL.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(1);
    assert!(output.err().contains("--delete-before removes what --detect-renames would rename"), "{output}");
}

#[test]
fn sources_are_not_removed_by_what_nobody_confirms() {
    let scene = Scene::with_source(&Tree::new().file("a", "a"));
    let options = ["-a", "--remove-source-files", "--detect-renames"];
    let output = Way::LOCAL.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(1);
    assert!(output.err().contains("cannot be given together"), "{output}");
    assert!(scene.path("source/a").exists() && !scene.path("to").exists());
}

/// At each moment a content has its old name or its new one.
#[test]
fn a_run_that_is_killed_loses_nothing() {
    let tree = Tree::new()
        .file("a/one", noise(20_000, 1))
        .mode("a/one", 0o644)
        .file("m/two", noise(20_000, 2))
        .file("m/three", noise(20_000, 3))
        .directory("z");
    for at in 1.. {
        let scene = changed(&tree, |source| {
            for (from, to) in [("a/one", "z/one"), ("m/two", "a/two"), ("m/three", "m/3")] {
                fs::rename(source.join(from), source.join(to)).unwrap();
            }
            fs::set_permissions(source.join("z/one"), fs::Permissions::from_mode(0o600)).unwrap();
        });
        let copy = |options: &[&str]| Way::LOCAL.copy(options, &[scene.path("source/")], scene.path("to"));
        let crashed = copy(&["-a", "--detect-renames", "--delete"]).variable("DSYNC_CRASH_AT", at).run();
        if crashed.signal.is_none() {
            assert!(at > 6, "there are few points: {at}");
            crashed.success();
            assert_same(&scene);
            return;
        }
        for (old, new, seed) in [("a/one", "z/one", 1), ("m/two", "a/two", 2), ("m/three", "m/3", 3)] {
            let names = [old, new].map(|name| scene.path("to").join(name));
            let there: Vec<_> = names.iter().filter_map(|name| fs::read(name).ok()).collect();
            assert!(
                !there.is_empty() && there.iter().all(|content| *content == noise(20_000, seed)),
                "{at} {old}"
            );
        }
        let wide =
            fs::metadata(scene.path("to/z/one")).is_ok_and(|one| one.permissions().mode() & 0o077 != 0);
        assert!(!wide, "{at}: it had never been that open under its new name");
        copy(&["-a", "--delete"]).run().success();
        let whole = |name: &str| scene.snapshot(name).in_whole_seconds();
        whole("to").assert_same(&whole("source"), Columns::ALL);
    }
}

#[test]
fn a_two_way_run_needs_no_such_option() {
    let scene = Scene::new().tree("one", &Tree::new()).tree("two", &Tree::new());
    let options = ["--two-way", "--detect-renames"];
    let output = Way::LOCAL.copy(&options, &[scene.path("one")], scene.path("two")).run().expect(1);
    assert!(output.err().contains("--detect-renames"), "{output}");
}
