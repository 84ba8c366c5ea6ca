//! A destination without room.

use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A file system of a megabyte, unmounted when dropped.
struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    fn mount(at: PathBuf) -> Option<SmallDisk> {
        let mount = tools::find("mount")?;
        fs::create_dir(&at).unwrap();
        let made =
            Command::new(mount).args(["-t", "tmpfs", "-o", "size=1m", "none"]).arg(&at).output().unwrap();
        if !made.status.success() {
            tools::missing("the right to mount");
            return None;
        }
        Some(SmallDisk { at })
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

#[test]
fn the_old_file_stays_and_nothing_is_left_beside_it() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("large", noise(4 << 20, 1)).file("small", "new"));
        let Some(disk) = SmallDisk::mount(scene.path("to")) else { return };
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
