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
