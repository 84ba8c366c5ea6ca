//! Where files can share blocks, a new version shares those that stay with the old one.

use crate::support::disk::Disk;
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use std::fs;

const SIZE: usize = 64 << 20;

/// `old` with a few bytes changed, and some added at the end.
fn edited(old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    for at in [5, SIZE / 3, SIZE - 100] {
        new[at..at + 37].copy_from_slice(&noise(37, at as u64));
    }
    new.extend_from_slice(b"appended");
    new
}

#[test]
fn a_new_version_takes_room_for_what_is_new() {
    let old = noise(SIZE, 1);
    for way in Way::plain() {
        let tree = Tree::new().file("file", edited(&old)).mtime("file", 1_650_000_000);
        let scene = Scene::with_source(&tree);
        let Some(disk) = Disk::sharing(&scene, "disk", 320) else { return };
        fs::write(disk.path("file"), &old).unwrap();
        // Keeps the old version's blocks.
        fs::hard_link(disk.path("file"), disk.path("kept")).unwrap();
        let before = disk.used();
        way.copy(&["-a", "--no-whole-file"], &[scene.path("source/")], &disk.at).run().success();
        assert!(fs::read(disk.path("file")).unwrap() == edited(&old), "{way:?}");
        assert!(fs::read(disk.path("kept")).unwrap() == old, "{way:?}");
        let more = disk.used().saturating_sub(before);
        assert!(more < SIZE as u64 / 16, "{way:?}: {more} bytes");
    }
}

#[test]
fn a_new_version_of_another_length_or_place_is_right_all_the_same() {
    let old = noise(SIZE, 2);
    let shifted = [&b"inserted"[..], &old[..SIZE / 2], b"in the middle", &old[SIZE / 2..]].concat();
    for new in [shifted, old[..SIZE / 2].to_vec(), noise(SIZE + 1, 3)] {
        let scene = Scene::with_source(&Tree::new().file("file", &*new).mtime("file", 1_650_000_000));
        let Some(disk) = Disk::sharing(&scene, "disk", 320) else { return };
        fs::write(disk.path("file"), &old).unwrap();
        let options = ["-a", "--no-whole-file"];
        Way::LOCAL.copy(&options, &[scene.path("source/")], &disk.at).run().success();
        assert!(fs::read(disk.path("file")).unwrap() == new);
    }
}

#[test]
fn a_local_copy_shares_blocks_as_it_is_asked_to() {
    for (when, shares) in [("auto", true), ("always", true), ("never", false)] {
        let content = noise(SIZE, 4);
        let scene = Scene::new();
        let Some(disk) = Disk::sharing(&scene, "disk", 320) else { return };
        fs::create_dir(disk.path("source")).unwrap();
        fs::write(disk.path("source/large"), &content).unwrap();
        fs::write(disk.path("source/small"), "few bytes").unwrap();
        fs::write(disk.path("source/empty"), "").unwrap();
        let before = disk.used();
        let copy = |options: &[&str]| {
            Way::LOCAL.copy(options, &[disk.path("source/")], disk.path("to")).run().success();
        };
        copy(&["-a", &format!("--reflink={when}")]);
        let more = disk.used().saturating_sub(before);
        assert_eq!(more < SIZE as u64 / 2, shares, "{when}: {more} bytes");
        assert!(fs::read(disk.path("to/large")).unwrap() == content);
        assert_eq!(fs::read(disk.path("to/small")).unwrap(), b"few bytes");
        // What is changed in one of them is not seen in the other.
        fs::write(disk.path("source/large"), edited(&content)).unwrap();
        let kept = disk.path("kept");
        assert!(
            std::process::Command::new("cp")
                .arg("--reflink=auto")
                .arg(disk.path("to/large"))
                .arg(&kept)
                .status()
                .unwrap()
                .success()
        );
        copy(&["-a", "--inplace", "--no-whole-file", &format!("--reflink={when}")]);
        assert!(fs::read(disk.path("to/large")).unwrap() == edited(&content), "{when}");
        assert!(fs::read(disk.path("source/large")).unwrap() == edited(&content), "{when}");
        assert!(fs::read(&kept).unwrap() == content, "{when}");
        // Nor where all of it is replaced where it is.
        fs::write(disk.path("source/large"), &content[..SIZE / 2]).unwrap();
        copy(&["-a", "--inplace", &format!("--reflink={when}")]);
        assert!(fs::read(disk.path("to/large")).unwrap() == content[..SIZE / 2], "{when}");
        assert!(fs::read(&kept).unwrap() == content, "{when}");
    }
}

#[test]
fn what_must_share_and_cannot_is_an_error_of_its_file() {
    let tree = Tree::new().file("large", noise(300_000, 5)).file("small", "x").file("empty", "");
    // What is elsewhere cannot share blocks with it.
    let scene = Scene::with_source(&tree);
    let Some(disk) = Disk::small(&scene, "disk", 16) else { return };
    let output = Way::LOCAL.copy(&["-a", "--reflink=always"], &[scene.path("source/")], &disk.at).run();
    let output = output.expect(23);
    assert!(output.err().contains("--reflink=always"), "{output}");
    assert!(disk.path("empty").exists() && !disk.path("large").exists() && !disk.path("small").exists());
    for when in ["auto", "never"] {
        let options = ["-a", &format!("--reflink={when}")];
        Way::LOCAL.copy(&options, &[scene.path("source/")], disk.path(when)).run().success();
        assert!(fs::read(disk.path(when).join("large")).unwrap() == noise(300_000, 5), "{when}");
    }
    let options = ["-a", "--reflink=always", "--copy-dest=../auto"];
    Way::LOCAL.copy(&options, &[scene.path("source/")], disk.path("based")).run().expect(23);
    assert!(!disk.path("based/large").exists());
}

#[test]
fn what_is_found_elsewhere_shares_blocks_as_it_is_asked_to() {
    let content = noise(SIZE, 6);
    for way in Way::plain() {
        for (when, shares) in [("always", true), ("never", false)] {
            let tree = Tree::new().file("file", &*content).mtime("file", 1_650_000_000);
            let scene = Scene::with_source(&tree);
            let Some(disk) = Disk::sharing(&scene, "disk", 320) else { return };
            way.copy(&["-a"], &[scene.path("source/")], disk.path("base")).run().success();
            let before = disk.used();
            let options = ["-a", "--copy-dest=../base", &format!("--reflink={when}")];
            way.copy(&options, &[scene.path("source/")], disk.path("to")).run().success();
            let more = disk.used().saturating_sub(before);
            assert_eq!(more < SIZE as u64 / 2, shares, "{way:?} {when}: {more} bytes");
            assert!(fs::read(disk.path("to/file")).unwrap() == content);
        }
    }
}

#[test]
fn no_other_word_says_when_blocks_are_shared() {
    let scene = Scene::with_source(&Tree::new().file("a", "a"));
    for options in [
        &["--reflink=sometimes"][..],
        &["--reflink=always", "--bwlimit=1m"],
        &["--two-way", "--reflink=auto"],
    ] {
        Way::LOCAL.copy(options, &[scene.path("source")], scene.path("to")).run().expect(1);
        assert!(!scene.path("to").exists());
    }
}
