//! Where new versions of files are until they are whole.

use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};
use std::path::Path;

fn scene() -> Scene {
    let new = Tree::new().file("small", "new").file("dir/small", "another").file("large", noise(1 << 20, 1));
    let old = Tree::new().file("small", "older").file("large", noise(1 << 19, 2));
    Scene::with_source(&new).tree("to", &old)
}

#[test]
fn files_are_staged_in_another_directory() {
    let other = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for way in Way::all() {
        let scene = scene();
        fs::create_dir(scene.path("to/tmp")).unwrap();
        for (temp, options) in
            [(scene.path("to/tmp"), "-aI"), (other.path().to_owned(), "-aI"), ("tmp".into(), "-aIS")]
        {
            let options = [options, "--exclude=/tmp", &format!("--temp-dir={}", temp.display())];
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0, "{way:?}");
            assert_eq!(fs::read_dir(scene.path("to/tmp")).unwrap().count(), 0, "{way:?}");
        }
        fs::remove_dir(scene.path("to/tmp")).unwrap();
        // Its time is not the source's any more.
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

#[test]
fn a_file_goes_on_with_what_was_kept_of_it() {
    let new = noise(2 << 20, 5);
    let absolute = tempfile::tempdir().unwrap();
    for way in Way::all() {
        for dir in [".kept", "../kept", absolute.path().to_str().unwrap()] {
            let scene = Scene::with_source(&Tree::new().file("dir/file", &new))
                .tree("to", &Tree::new().file("dir/file", "old"));
            let kept = scene.path("to/dir").join(dir);
            fs::create_dir_all(&kept).unwrap();
            fs::write(kept.join("file"), &new[..1_500_000]).unwrap();
            fs::write(kept.join("another"), "stays").unwrap();
            // A rule that goes with the option protects it in each directory, and nothing elsewhere.
            let option = format!("--partial-dir={dir}");
            let options = ["-a", "--stats", "--no-whole-file", "--delete", "--filter=P /kept/", &option];
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(scene.read("to/dir/file"), new, "{way:?} {dir}");
            assert!(output.number("Matched data:") > 1_400_000, "{way:?} {dir}\n{output}");
            assert!(!kept.join("file").exists() && kept.join("another").exists(), "{way:?} {dir}");
            fs::remove_file(kept.join("another")).unwrap();
        }
    }
}

#[test]
fn the_directory_goes_when_it_is_empty() {
    for way in Way::all() {
        for whole in ["-W", "--no-W"] {
            let scene = Scene::with_source(&Tree::new().file("file", noise(5000, 1)));
            fs::create_dir_all(scene.path("to/.kept")).unwrap();
            fs::write(scene.path("to/.kept/file"), "part").unwrap();
            let options = ["-a", whole, "--partial-dir=.kept"];
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(scene.paths("to"), ["file"], "{way:?} {whole}");
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        }
    }
}

#[test]
fn what_is_kept_is_neither_copied_nor_deleted() {
    for way in Way::all() {
        for (option, dir) in [("--partial-dir=.kept", ".kept"), ("--delay-updates", ".~tmp~")] {
            let scene = Scene::with_source(&Tree::new().file(format!("{dir}/a"), "theirs").file("b", ""))
                .tree(
                    "to",
                    &Tree::new().file(format!("{dir}/c"), "ours").file(format!("gone/{dir}/d"), "goes"),
                );
            way.copy(&["-a", "--delete", option], &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(scene.paths("to"), [dir.to_owned(), format!("{dir}/c"), "b".to_owned()], "{way:?}");
        }
    }
}

/// The inode and the size of every file below a directory.
fn inodes(root: &Path) -> Vec<(String, u64)> {
    ["small", "large", "dir/small"]
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), fs::metadata(root.join(name)).ok()?.ino())))
        .collect()
}

#[test]
fn updates_come_at_the_end() {
    for way in Way::all() {
        for options in [
            &["--delay-updates"][..],
            &["--delay-updates", "--partial-dir=.held/"],
            &["--delay-updates", "--no-W", "--fsync"],
        ] {
            let scene = scene();
            let before = inodes(&scene.path("to"));
            let options = [&["-a", "--stats"], options].concat();
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
            assert_eq!(output.number("Number of regular files transferred:"), 3, "{output}");
            assert!(inodes(&scene.path("to")).iter().all(|inode| !before.contains(inode)), "{way:?}");
            // Nothing is left to be done.
            let output = way
                .copy(&[&options[..], &["-i"]].concat(), &[scene.path("source/")], scene.path("to"))
                .run()
                .success();
            assert_eq!(output.number("Number of regular files transferred:"), 0, "{output}");
        }
    }
}

/// They are not deleted before they have their names, whatever is asked for.
#[test]
fn files_that_wait_are_not_deleted() {
    for way in Way::all() {
        for options in
            [&["--delete-excluded"][..], &["--delete", "-f", "R .~tmp~/"], &["--delete", "-f", "!"]]
        {
            let scene = scene();
            fs::write(scene.path("to/extra"), "").unwrap();
            let options = [&["-a", "--delay-updates"], options].concat();
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        }
    }
}

#[test]
fn a_file_that_grew_is_appended_to() {
    let new = noise(300_000, 4);
    for way in Way::all() {
        let tree = Tree::new()
            .file("grown", &new)
            .file("same", "1234")
            .file("shorter", "12")
            .file("new", "new")
            .mtime("grown", 1_650_000_000);
        for (option, expected) in [("--append", "trusted"), ("--append-verify", "verified")] {
            let other = [&b"other"[..], &new[5..200_000]].concat();
            let scene = Scene::with_source(&tree).tree(
                "to",
                &Tree::new().file("grown", &other).file("same", "abcd").file("shorter", "longer"),
            );
            let before = fs::metadata(scene.path("to/grown")).unwrap().ino();
            let output = way
                .copy(&["-a", "--stats", option], &[scene.path("source/")], scene.path("to"))
                .run()
                .success();
            let (literal, grown) = (output.number("Literal data:"), scene.read("to/grown"));
            assert_eq!(fs::metadata(scene.path("to/grown")).unwrap().ino(), before);
            assert_eq!(
                (scene.read("to/same"), scene.read("to/shorter"), scene.read("to/new")),
                (b"abcd".to_vec(), b"longer".to_vec(), b"new".to_vec())
            );
            match expected {
                "trusted" => {
                    assert_eq!(grown, [&other[..], &new[200_000..]].concat(), "{way:?}");
                    assert_eq!(literal, 100_003, "{way:?}\n{output}");
                }
                _ => {
                    assert_eq!(grown, new, "{way:?}");
                    assert!(literal < 120_000, "{way:?}\n{output}");
                }
            }
        }
    }
}

#[test]
fn a_file_that_is_not_there_begins_with_one_like_it() {
    for way in Way::all() {
        let old = noise(200_000, 8);
        let tree = Tree::new()
            .file("backup-2026-11-22.tar", [&old[..], b"more"].concat())
            .file("moved", noise(150_000, 9))
            .mtime("moved", 1_650_000_000);
        let there = Tree::new()
            .file("backup-2026-11-21.tar", &old)
            .file("was", noise(150_000, 9))
            .mtime("was", 1_650_000_000);
        for fuzzy in ["-y", "-yy", "--no-y"] {
            let scene = Scene::with_source(&tree).tree("to", &there);
            let output = way
                .copy(&["-a", "--stats", "--no-W", fuzzy], &[scene.path("source/")], scene.path("to"))
                .run()
                .success();
            let (literal, all) = (output.number("Literal data:"), 350_004);
            assert_eq!(literal < 2000, fuzzy != "--no-y", "{way:?} {fuzzy} of {all}\n{output}");
            assert_eq!(scene.read("to/moved"), scene.read("source/moved"));
            assert_eq!(scene.read("to/backup-2026-11-22.tar"), scene.read("source/backup-2026-11-22.tar"));
        }
    }
}

/// Said twice, it looks for such files also in the directories that are compared with besides.
#[test]
fn a_file_that_is_not_there_begins_with_one_like_it_elsewhere() {
    for way in Way::plain() {
        let old = noise(200_000, 8);
        let scene = Scene::with_source(&Tree::new().file("d/list-2.txt", [&old[..], b"more"].concat()))
            .tree("basis", &Tree::new().file("d/list-1.txt", &old));
        for (fuzzy, saves) in [("-y", false), ("-yy", true)] {
            let to = scene.path(fuzzy);
            let options = ["-a", "--stats", "--no-W", "--compare-dest=../basis", fuzzy];
            let output = way.copy(&options, &[scene.path("source/")], &to).run().success();
            assert_eq!(output.number("Literal data:") < 2000, saves, "{way:?} {fuzzy}\n{output}");
            assert_eq!(scene.read(&format!("{fuzzy}/d/list-2.txt")), scene.read("source/d/list-2.txt"));
        }
    }
}

#[test]
fn a_directory_that_is_not_there_ends_the_run_before_anything_is_changed() {
    for way in Way::all() {
        let scene = scene();
        let before = scene.snapshot("to");
        for temp in ["/no/such", "no-such", "small"] {
            for more in ["-v", "-n"] {
                let options = ["-a", more, "-T", temp];
                let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(1);
                assert!(output.err().contains("--temp-dir"), "{output}");
                scene.snapshot("to").assert_same(&before, Columns::ALL);
            }
        }
        let aside = [
            ("--temp-dir", "/no/such"),
            ("--temp-dir", "no-such"),
            ("--temp-dir", "../no-such"),
            ("--backup-dir", "../to/small"),
        ];
        let runs =
            aside.into_iter().flat_map(|aside| ["-v", "-n", "--delete-before"].map(|more| (aside, more)));
        for (((option, path), more), to) in runs.flat_map(|run| [(run, "new"), (run, "new/below")]) {
            let aside = format!(
                "{option}={}",
                if to == "new" { path.to_owned() } else { path.replace("../", "../../") }
            );
            let options = ["-a", more, &aside, if to == "new" { "-x" } else { "--mkpath" }];
            let output = way.copy(&options, &[scene.path("source/")], scene.path(to)).run().expect(1);
            let err = output.err();
            assert!(err.contains(&format!("the directory of {option}")), "{way:?} {aside}: {output}");
            let why = if option == "--backup-dir" { "Not a directory" } else { "No such file or directory" };
            assert!(err.contains(why), "{way:?} {aside}: {output}");
            assert!(!scene.path("new").exists(), "{way:?} {aside}: {output}");
        }
    }
}

/// One that is relative begins there all the same, and may lead back to what is there.
#[test]
fn a_directory_beside_a_new_destination_is_found() {
    for way in Way::plain() {
        let scene = scene();
        for (to, options) in [
            ("new", ["-a", "-T../to", "--partial-dir=parts"]),
            ("one/two", ["-a", "-T../../to", "--mkpath"]),
            ("here", ["-a", "-T.", "-b"]),
            ("again", ["-a", "-T../again", "--backup-dir=../kept"]),
        ] {
            way.copy(&options, &[scene.path("source/")], scene.path(to)).run().success();
            assert_eq!(scene.read(&format!("{to}/small")), b"new", "{way:?} {to}");
        }
    }
}

/// What waits takes its place as if it had not: the old version is kept, and a file has all its names.
#[test]
fn what_waits_is_backed_up_and_linked() {
    for way in Way::plain() {
        let scene = scene();
        fs::hard_link(scene.path("source/large"), scene.path("source/dir/again")).unwrap();
        let options = ["-aH", "--delay-updates", "-b"];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.read("to/small"), b"new", "{way:?}");
        assert_eq!(scene.read("to/small~"), b"older", "{way:?}");
        assert_eq!(scene.read("to/large~"), noise(1 << 19, 2), "{way:?}");
        assert_eq!(scene.read("to/large"), noise(1 << 20, 1), "{way:?}");
        let inode = |name: &str| fs::metadata(scene.path(name)).unwrap().ino();
        assert_eq!(inode("to/large"), inode("to/dir/again"), "{way:?}");
        assert!(!scene.path("to/.~tmp~").exists(), "{way:?}");
    }
}

#[test]
fn what_comes_from_another_file_system_has_its_attributes() {
    let other = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let temp = format!("--temp-dir={}", other.path().display());
    for way in Way::plain() {
        for options in [&["-a", "-b"][..], &["-a", "--no-whole-file"], &["-a", "--delay-updates"]] {
            let scene = scene();
            for (name, mode) in [("small", 0o640), ("large", 0o755)] {
                let file = scene.path("source").join(name);
                fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
                if tools::is_root() {
                    lchown(&file, Some(1234), Some(2345)).unwrap();
                }
            }
            let options = [options, &["--filter=P *~", &temp]].concat();
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            for name in ["small~", "large~"] {
                if fs::remove_file(scene.path("to").join(name)).is_ok() {
                    assert!(options.contains(&"-b"));
                }
            }
            let columns = Columns { directory_mtime: false, ..Columns::ALL };
            scene.snapshot("to").assert_same(&scene.snapshot("source"), columns);
            assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0, "{way:?}");
        }
    }
}
