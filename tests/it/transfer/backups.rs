//! What is replaced or deleted is kept (`-b`, `--backup-dir`, `--suffix`).

use crate::support::command::{Output, dsync};
use crate::support::disk::Disk;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Entry, LONG_AGO, Node, Tree, noise};
use crate::support::xattr::{self, ACCESS_ACL, acl};
use filetime::FileTime;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};

fn run(way: Way, scene: &Scene, options: &[&str]) -> Output {
    way.copy(options, &[scene.path("source/")], scene.path("to")).run()
}

fn scene() -> Scene {
    let new = Tree::new()
        .file("file", "new content")
        .file("dir/deep/file", "new content")
        .file("now-file", "new content")
        .symlink("link", "new")
        .file("same", "the same")
        .mode("same", 0o600);
    let link = Entry { mtime: LONG_AGO, ..Entry::new(Node::Symlink(b"old".to_vec())) };
    let old = Tree::new()
        .file("file", "old")
        .file("dir/deep/file", "old")
        .node("now-file", Node::Fifo)
        .with("link", link)
        .file("same", "the same")
        .file("extra", "extra")
        .file("gone/with/all", "extra")
        .node("fifo", Node::Fifo)
        .mode("dir", 0o750)
        .mode("file", 0o640)
        .mtime("file", 1_500_000_000);
    Scene::with_source(&new).tree("to", &old)
}

#[test]
fn beside_its_name() {
    for way in Way::all() {
        let scene = scene();
        let old = fs::metadata(scene.path("to/file")).unwrap();
        run(way, &scene, &["-ab"]).success();
        assert_eq!(scene.read("to/file"), b"new content");
        assert_eq!(scene.read("to/file~"), b"old");
        assert_eq!(scene.read("to/dir/deep/file~"), b"old");
        let kept = fs::metadata(scene.path("to/file~")).unwrap();
        assert_eq!((kept.mode(), kept.mtime(), kept.ino()), (old.mode(), old.mtime(), old.ino()), "{way:?}");
        assert_eq!(fs::read_link(scene.path("to/link~")).unwrap().as_os_str(), "old");
        assert_eq!(scene.snapshot("to").get("now-file~").unwrap().kind, 'p');
        // Whose content stays has none.
        assert!(!scene.path("to/same~").exists());
        assert_eq!(scene.read("to/extra"), b"extra");
        // The next replaces it.
        fs::write(scene.path("source/file"), "newer").unwrap();
        run(way, &scene, &["-ab"]).success();
        assert_eq!(scene.read("to/file~"), b"new content", "{way:?}");
        assert!(!scene.path("to/file~~").exists());
        assert!(scene.paths("to").iter().all(|path| !path.contains(".part")), "{way:?}");
    }
}

#[test]
fn a_deletion_is_a_renaming() {
    for way in Way::plain() {
        let scene = scene();
        let output = run(way, &scene, &["-abi", "--delete", "--suffix=.old"]).success();
        assert_eq!(scene.read("to/extra.old"), b"extra", "{output}");
        assert_eq!(scene.read("to/gone/with/all.old"), b"extra", "{output}");
        assert_eq!(scene.snapshot("to").get("fifo.old").unwrap().kind, 'p');
        assert!(!scene.path("to/extra").exists() && !scene.path("to/gone/with/all").exists());
        for line in ["*deleting   extra\n", "cannot delete non-empty directory: gone\n"] {
            assert!(output.out().contains(line), "{way:?}\n{output}");
        }
        // Backups are neither deleted nor backed up.
        let before = scene.snapshot("to");
        let again = run(way, &scene, &["-ab", "--delete", "--suffix=.old"]).success();
        assert!(before == scene.snapshot("to"), "{way:?}\n{again}");
        // Unless that is asked for.
        run(way, &scene, &["-ab", "--delete-excluded", "--suffix=.old"]).success();
        assert!(!scene.path("to/extra.old").exists() && !scene.path("to/gone").exists(), "{way:?}");
    }
}

#[test]
fn in_a_tree_of_its_own() {
    for way in Way::all() {
        let scene = scene();
        let before = scene.snapshot("to");
        run(way, &scene, &["-a", "--delete", "--backup-dir=../kept/of today"]).success();
        assert_same(
            &scene.path("source"),
            &scene.path("to"),
            Columns { directory_mtime: false, ..Columns::ALL },
        );
        let kept = scene.snapshot("kept/of today");
        for path in ["file", "dir/deep/file", "now-file", "link", "extra", "gone/with/all", "fifo"] {
            let (old, now) =
                (before.get(path).unwrap(), kept.get(path).unwrap_or_else(|| panic!("{way:?}: {path}")));
            assert_eq!(
                (old.kind, old.mode, &old.content, old.mtime),
                (now.kind, now.mode, &now.content, now.mtime)
            );
        }
        assert_eq!(kept.get("dir").unwrap().mode, 0o750, "{way:?}");
        assert_eq!(kept.get("same"), None);
    }
}

#[test]
fn a_suffix_may_go_with_a_directory() {
    let scene = scene();
    let kept = scene.path("elsewhere");
    let option = format!("--backup-dir={}", kept.display());
    run(Way::LOCAL, &scene, &["-a", &option, "--suffix", ".1"]).success();
    assert_eq!(scene.read("elsewhere/dir/deep/file.1"), b"old");
}

#[test]
fn on_another_file_system_it_is_copied() {
    let scene = scene();
    let Some(disk) = Disk::small(&scene, "kept", 4) else { return };
    let before = scene.snapshot("to");
    run(Way::LOCAL, &scene, &["-a", "--delete", "--backup-dir=../kept"]).success();
    for path in ["file", "dir/deep/file", "now-file", "link", "extra", "gone/with/all", "fifo"] {
        let kept = scene.snapshot("kept");
        let (old, now) = (before.get(path).unwrap(), kept.get(path).unwrap_or_else(|| panic!("{path}")));
        assert_eq!(
            (old.kind, old.mode, &old.content, old.mtime),
            (now.kind, now.mode, &now.content, now.mtime)
        );
    }
    drop(disk);
    assert!(!scene.path("to/extra").exists());
}

#[test]
fn what_is_written_in_place_is_copied_first() {
    for way in Way::plain() {
        let old = noise(700_000, 3);
        let mut new = old.clone();
        new.splice(1000..1000, *b"inserted");
        let scene = Scene::with_source(&Tree::new().file("large", &new).file("small", "new"))
            .tree("to", &Tree::new().file("large", &old).file("small", "older"));
        let inode = fs::metadata(scene.path("to/large")).unwrap().ino();
        for options in [&["-ab", "--inplace"][..], &["-abI", "--inplace", "--no-whole-file"]] {
            fs::write(scene.path("to/large"), &old).unwrap();
            run(way, &scene, options).success();
            assert_eq!(scene.read("to/large~"), old, "{way:?}");
            assert_eq!(scene.read("to/large"), new, "{way:?}");
            assert_eq!(fs::metadata(scene.path("to/large")).unwrap().ino(), inode);
        }
    }
}

#[test]
fn where_no_backup_can_be_made_nothing_is_replaced() {
    for options in [&["-ab"][..], &["-ab", "--inplace"], &["-ab", "--delete"]] {
        let scene = scene();
        for name in ["file~", "extra~", "link~"] {
            fs::create_dir_all(scene.path(&format!("to/{name}/full"))).unwrap();
        }
        let output = run(Way::LOCAL, &scene, options);
        assert_eq!(output.code, Some(23), "{output}");
        assert_eq!(scene.read("to/file"), b"old", "{output}");
        assert_eq!(scene.read("to/extra"), b"extra", "{output}");
        assert_eq!(fs::read_link(scene.path("to/link")).unwrap().as_os_str(), "old");
        // All else is done.
        assert_eq!(scene.read("to/dir/deep/file"), b"new content");
    }
    // A name that is too long with the suffix.
    let long = "x".repeat(255);
    let scene =
        Scene::with_source(&Tree::new().file(&long, "new")).tree("to", &Tree::new().file(&long, "older"));
    assert_eq!(run(Way::LOCAL, &scene, &["-ab"]).code, Some(23));
    assert_eq!(scene.read(&format!("to/{long}")), b"older");
}

#[test]
fn a_dry_run_makes_none_and_tells_the_same() {
    for way in Way::plain() {
        for options in [&["--delete"][..], &["--delete", "--backup-dir=../kept"], &["--force"]] {
            let scene = scene();
            fs::create_dir(scene.path("to/now-file~")).unwrap();
            let before = scene.snapshot("to");
            let would = run(way, &scene, &[&["-abin"], options].concat()).success();
            assert!(before == scene.snapshot("to") && !scene.path("kept").exists());
            let does = run(way, &scene, &[&["-abi"], options].concat()).success();
            let lines = |output: &Output| -> Vec<String> {
                output.out().lines().take_while(|line| !line.is_empty()).map(str::to_owned).collect()
            };
            assert_eq!(lines(&would), lines(&does), "{way:?}");
        }
    }
}

#[test]
fn names_of_one_file_are_kept_each() {
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("a", "new"))
            .tree("to", &Tree::new().file("a", "older").file("b", "other"));
        fs::hard_link(scene.path("source/a"), scene.path("source/b")).unwrap();
        run(way, &scene, &["-abH"]).success();
        assert_eq!(
            (scene.read("to/a~"), scene.read("to/b~")),
            (b"older".to_vec(), b"other".to_vec()),
            "{way:?}"
        );
        assert_eq!(scene.read("to/b"), b"new");
    }
}

#[test]
fn what_is_elsewhere_replaces_nothing_without_a_backup() {
    for kind in ["compare", "link"] {
        let scene = Scene::with_source(&Tree::new().file("a", "new"))
            .tree("to", &Tree::new().file("a", "older"))
            .tree("before", &Tree::new().file("a", "new"));
        run(Way::LOCAL, &scene, &["-ab", &format!("--{kind}-dest=../before")]).success();
        assert_eq!(scene.read("to/a~"), b"older", "{kind}");
    }
}

#[test]
fn the_directory_may_be_behind_ones_own_link_only() {
    if !tools::is_root() {
        return tools::missing("root, who may give a link away");
    }
    let scene = scene();
    fs::create_dir(scene.path("kept")).unwrap();
    symlink("kept", scene.path("mine")).unwrap();
    run(Way::LOCAL, &scene, &["-a", "--backup-dir=../mine"]).success();
    assert_eq!(scene.read("kept/file"), b"old");
    let scene = self::scene();
    fs::create_dir(scene.path("kept")).unwrap();
    symlink("kept", scene.path("mine")).unwrap();
    lchown(scene.path("mine"), Some(12_345), None).unwrap();
    let before = scene.snapshot("to");
    for more in ["-v", "-n"] {
        let output = run(Way::LOCAL, &scene, &["-a", more, "--backup-dir=../mine"]).expect(1);
        assert!(output.err().contains("--backup-dir") && output.err().contains("another user"), "{output}");
    }
    scene.snapshot("to").assert_same(&before, Columns::ALL);
    assert_eq!(scene.paths("kept"), [""; 0]);
    // Nor does a link below it lead anywhere.
    let scene = self::scene();
    fs::create_dir_all(scene.path("kept")).unwrap();
    fs::create_dir_all(scene.path("outside")).unwrap();
    symlink("../outside", scene.path("kept/dir")).unwrap();
    assert_eq!(run(Way::LOCAL, &scene, &["-a", "--backup-dir=../kept"]).code, Some(23));
    assert_eq!(scene.paths("outside"), [""; 0]);
    assert_eq!(scene.read("to/dir/deep/file"), b"old");
    assert_eq!(fs::metadata(scene.path("kept")).unwrap().permissions().mode() & 0o777, 0o755);
}

#[test]
fn times_of_directories_are_left() {
    let scene = scene();
    let then = fs::metadata(scene.path("source/dir")).unwrap().mtime();
    run(Way::LOCAL, &scene, &["-ab"]).success();
    assert_ne!(fs::metadata(scene.path("to/dir/deep")).unwrap().mtime(), then);
    run(Way::LOCAL, &scene, &["-a", "--backup-dir=../kept"]).success();
    assert_eq!(fs::metadata(scene.path("to/dir/deep")).unwrap().mtime(), then);
}

#[test]
fn what_makes_no_sense_is_refused() {
    for options in [&["-b", "--suffix="][..], &["-b", "--suffix=a/b"], &["--backup-dir="], &["-2b"]] {
        dsync(["-a"]).args(options.iter().copied()).args(["nowhere/", "to"]).run().expect(1);
    }
}

/// A name that is nothing but the suffix is none of a backup.
#[test]
fn a_name_like_the_suffix_is_kept_as_any() {
    for way in Way::plain() {
        let scene =
            Scene::with_source(&Tree::new().directory("old")).tree("to", &Tree::new().file("old", "1"));
        run(way, &scene, &["-ab", "--suffix=old"]).success();
        assert_eq!(scene.read("to/oldold"), b"1", "{way:?}");
        assert!(scene.path("to/old").is_dir(), "{way:?}");
    }
}

#[test]
fn what_is_kept_keeps_its_attributes() {
    if !xattr::are_here() {
        return;
    }
    let old = Tree::new()
        .file("dir/file", "old")
        .mode("dir/file", 0o640)
        .xattr("dir/file", "user.a", "1")
        .xattr("dir/file", ACCESS_ACL, acl(0o640, 0, &[(1, 4), (12_345, 6)], &[]))
        .xattr("dir", ACCESS_ACL, acl(0o755, 5, &[(1, 7)], &[]));
    let new = Tree::new().file("dir/file", "new content");
    let accessed = FileTime::from_unix_time(1_400_000_000, 5);
    for way in Way::plain() {
        for options in [&["-ab"][..], &["-ab", "--inplace"], &["-abAXU", "--inplace"]] {
            let scene = Scene::with_source(&new).tree("to", &old).tree("before", &old);
            filetime::set_file_atime(scene.path("to/dir/file"), accessed).unwrap();
            run(way, &scene, options).success();
            let kept = fs::metadata(scene.path("to/dir/file~")).unwrap();
            assert_eq!(FileTime::from_last_access_time(&kept), accessed, "{way:?} {options:?}");
            let (kept, before) = (scene.snapshot("to"), scene.snapshot("before"));
            let (kept, before) = (kept.get("dir/file~").unwrap(), before.get("dir/file").unwrap());
            assert_eq!((&kept.xattrs, kept.mode), (&before.xattrs, before.mode), "{way:?} {options:?}");
        }
        let scene = Scene::with_source(&new).tree("to", &old).tree("before", &old);
        run(way, &scene, &["-a", "--inplace", "--backup-dir=../kept"]).success();
        let (kept, before) = (scene.snapshot("kept"), scene.snapshot("before"));
        for path in ["dir", "dir/file"] {
            let (kept, before) = (kept.get(path).unwrap(), before.get(path).unwrap());
            assert_eq!((&kept.xattrs, kept.mode), (&before.xattrs, before.mode), "{way:?} {path}");
        }
    }
}
