//! A destination without room.

use crate::support::disk::Disk;
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use std::fs;

#[test]
fn the_old_file_stays_and_nothing_is_left_beside_it() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("large", noise(4 << 20, 1)).file("small", "new"));
        let Some(disk) = Disk::small(&scene, "to", 1) else { return };
        fs::write(disk.at.join("large"), "old").unwrap();
        let output = way.copy(&["-a"], &[scene.path("source/")], &disk.at).run();
        assert!(matches!(output.code, Some(11 | 23)), "{way:?}\n{output}");
        assert!(output.err().contains("No space left on device"), "{way:?}\n{output}");
        assert_eq!(fs::read(disk.at.join("large")).unwrap(), b"old", "{way:?}");
        let others: Vec<String> =
            scene.paths("to").into_iter().filter(|name| name != "large" && name != "small").collect();
        assert_eq!(others, [""; 0], "{way:?}");
    }
}

/// A file of this many bytes, and what becomes of it by small changes all over.
fn old_and_new(len: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
    let old = noise(len, seed);
    let mut new = old.clone();
    for place in 0..37 {
        new[place * (len / 37)] ^= 1;
    }
    (old, new)
}

/// There is room for a second copy of some of the files at a time, not of all.
#[test]
fn files_that_fit_one_after_another() {
    for way in Way::all() {
        let files: Vec<_> = (0..20).map(|number| old_and_new(2 << 20, number)).collect();
        let numbered = || files.iter().enumerate();
        let tree = numbered().fold(Tree::new(), |tree, (n, (_, new))| tree.file(format!("file{n}"), new));
        let scene = Scene::with_source(&tree);
        let Some(disk) = Disk::small(&scene, "to", 40 + 12) else { return };
        numbered().for_each(|(n, (old, _))| fs::write(disk.at.join(format!("file{n}")), old).unwrap());
        way.copy(&["-a", "--no-whole-file"], &[scene.path("source/")], &disk.at).run().success();
        for (n, (_, new)) in numbered() {
            assert!(fs::read(disk.at.join(format!("file{n}"))).unwrap() == *new, "{way:?}: file{n}");
        }
    }
}

/// Half of the old file can be copied before its new content comes: nobody takes that for all of it.
#[test]
fn a_file_of_which_half_fits() {
    for way in Way::all() {
        let old = noise(8 << 20, 1);
        // The change itself has room.
        let new = [b"new", &old[3..]].concat();
        let scene = Scene::with_source(&Tree::new().file("large", new));
        let Some(disk) = Disk::small(&scene, "to", 8 + 4) else { return };
        fs::write(disk.at.join("large"), &old).unwrap();
        let output = way.copy(&["-a", "--no-whole-file"], &[scene.path("source/")], &disk.at).run();
        assert!(matches!(output.code, Some(11 | 23)), "{way:?}\n{output}");
        assert!(output.err().contains("No space left on device"), "{way:?}\n{output}");
        assert!(fs::read(disk.at.join("large")).unwrap() == old, "{way:?}");
        assert_eq!(scene.paths("to"), ["large"], "{way:?}");
    }
}
