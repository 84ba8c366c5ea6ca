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
        let Some(disk) = Disk::small(&scene, "to") else { return };
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
