//! Devices whose content is read or written as if they were files: `--copy-devices`, `--write-devices`.
//!
//! The devices are loop devices over files of the tests; where there are none to be had, only what must not happen to
//! others is tried.

use crate::support::command::{Output, dsync};
use crate::support::disk::Loop;
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::{Node, Tree, noise};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// How long the devices are.
const LEN: usize = 2 << 20;

/// A loop device.
struct Disk {
    device: Loop,
    _image: tempfile::NamedTempFile,
}

impl Disk {
    /// One with this content. `None`, after having said why, where there are none.
    fn of(content: &[u8]) -> Option<Disk> {
        if !tools::can_make_devices() {
            tools::missing("the right to make device files");
            return None;
        }
        let image = tempfile::NamedTempFile::new().unwrap();
        fs::write(image.path(), content).unwrap();
        Some(Disk { device: Loop::new(image.path())?, _image: image })
    }

    fn path(&self) -> &Path {
        self.device.path()
    }

    /// Makes a device file for it.
    fn node(&self, at: &Path) {
        let device = fs::metadata(self.path()).unwrap().rdev();
        mknodat(CWD, at, FileType::BlockDevice, Mode::from_raw_mode(0o640), device).unwrap();
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn fill(&self, content: &[u8]) {
        fs::write(self.path(), content).unwrap();
    }
}

fn copied(scene: &Scene, way: Way, options: &[&str]) -> Output {
    way.copy(options, &[scene.path("source/")], scene.path("to")).run()
}

/// The lines of `-i` about what is no directory.
fn items(output: &Output) -> Vec<String> {
    output.items().into_iter().filter(|line| line.get(1..2) != Some("d")).collect()
}

fn null(at: &Path) {
    mknodat(CWD, at, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, 3)).unwrap();
}

#[test]
fn what_a_device_holds_is_copied_to_a_file() {
    let content = noise(LEN, 1);
    let Some(disk) = Disk::of(&content) else { return };
    for way in Way::plain() {
        // Without -D too.
        for options in ["-ai", "-rlpti"] {
            let scene = Scene::with_source(&Tree::new().file("file", "x").node("fifo", Node::Fifo));
            disk.node(&scene.path("source/disk"));
            null(&scene.path("source/null"));
            let output = copied(&scene, way, &[options, "--copy-devices"]).success();
            let mut expected = vec![">f+++++++++ disk", ">f+++++++++ file", ">f+++++++++ null"];
            if options == "-ai" {
                expected.push("cS+++++++++ fifo");
            }
            assert_eq!(items(&output), expected, "{way:?}");
            assert_eq!(scene.read("to/disk"), content);
            assert_eq!(scene.read("to/null"), b"");
            assert_eq!(fs::metadata(scene.path("to/disk")).unwrap().mode() & 0o7777, 0o640);
            let before = scene.snapshot("to");
            assert_eq!(items(&copied(&scene, way, &["-ric", "--copy-devices"])), [""; 0]);
            assert_eq!(before.get("disk"), scene.snapshot("to").get("disk"));
        }
    }
}

#[test]
fn the_copy_of_a_device_is_never_set_id() {
    if !tools::can_make_devices() {
        return tools::missing("the right to make device files");
    }
    for way in Way::plain() {
        let source = Tree::new().node("null", Node::CharDevice(1, 3)).mode("null", 0o7755);
        let scene = Scene::with_source(&source).tree("to", &Tree::new().file("null", ""));
        for _ in 0..2 {
            copied(&scene, way, &["-aI", "--copy-devices"]).success();
            let meta = fs::metadata(scene.path("to/null")).unwrap();
            assert!(meta.is_file() && meta.mode() & 0o7777 == 0o755, "{way:?}");
            fs::remove_file(scene.path("to/null")).unwrap();
        }
    }
}

#[test]
fn what_has_changed_of_a_device_is_sent() {
    let mut content = noise(LEN, 2);
    let Some(disk) = Disk::of(&content) else { return };
    for (place, way) in Way::plain().into_iter().enumerate() {
        let scene = Scene::with_source(&Tree::new());
        disk.node(&scene.path("source/disk"));
        for options in [&["--no-whole-file"][..], &["--inplace", "--no-whole-file"], &["-c"], &["-S"]] {
            content[(place + 1) * 100_000] ^= 0xff;
            content[1 << 20..(1 << 20) + 70_000].fill(0);
            disk.fill(&content);
            // It counts as changed in this second, as what was copied from it may.
            let options = [&["-aI", "--copy-devices", "--stats"], options].concat();
            let output = copied(&scene, way, &options).success();
            assert!(scene.read("to/disk") == content, "{way:?} {options:?}");
            if options.contains(&"--inplace") {
                assert!(output.number("Literal data:") < 600_000, "{output}");
            }
        }
    }
}

#[test]
fn a_device_may_be_named_itself() {
    let content = noise(LEN, 3);
    let Some(disk) = Disk::of(&content) else { return };
    for way in Way::plain() {
        let scene = Scene::new();
        way.copy(&["--copy-devices"], &[disk.path()], scene.path("image")).run().success();
        assert!(scene.read("image") == content);
        let changed = noise(LEN, 4);
        fs::write(scene.path("image"), &changed).unwrap();
        // Both may have been changed in the same second.
        way.copy(&["-I", "--write-devices"], &[scene.path("image")], disk.path()).run().success();
        assert!(disk.content() == changed, "{way:?}");
        disk.fill(&content);
    }
}

#[test]
fn content_is_written_into_a_device_that_is_there() {
    let old = noise(LEN, 5);
    let Some(disk) = Disk::of(&old) else { return };
    let new = [&noise(300_000, 6)[..], &old[300_000..1 << 20]].concat();
    for way in Way::plain() {
        for more in [&["--no-whole-file"][..], &["-W"], &["-S"], &["--preallocate", "-c"]] {
            disk.fill(&old);
            let scene = Scene::with_source(&Tree::new().file("disk", &new).file("null", "text"));
            fs::create_dir(scene.path("to")).unwrap();
            disk.node(&scene.path("to/disk"));
            null(&scene.path("to/null"));
            let planned = copied(&scene, way, &[&["-ain", "--write-devices"], more].concat()).success();
            assert!(disk.content() == old, "a dry run writes nothing");
            let done =
                copied(&scene, way, &[&["-ai", "--write-devices", "--stats"], more].concat()).success();
            assert_eq!(items(&planned), items(&done));
            let lines = items(&done);
            let begin = if more.contains(&"-c") { ">fcst" } else { ">f.st" };
            assert!(lines.iter().all(|line| line.starts_with(begin)) && lines.len() == 2, "{lines:?}");
            let kinds = ["disk", "null"].map(|name| {
                let meta = fs::metadata(scene.path("to").join(name)).unwrap();
                assert_eq!(meta.mode() & 0o777, 0o644);
                assert_eq!(meta.mtime(), fs::metadata(scene.path("source").join(name)).unwrap().mtime());
                (meta.file_type().is_block_device(), meta.file_type().is_char_device())
            });
            assert_eq!(kinds, [(true, false), (false, true)]);
            let written = disk.content();
            assert!(written[..1 << 20] == new && written[1 << 20..] == old[1 << 20..], "{way:?} {more:?}");
            if more == ["--no-whole-file"] {
                assert!(done.number("Literal data:") < 400_000, "{done}");
            }
        }
    }
}

#[test]
fn a_device_that_holds_the_same_is_left_alone() {
    let content = noise(LEN, 16);
    let Some(disk) = Disk::of(&content) else { return };
    for way in Way::plain() {
        disk.fill(&content);
        let scene = Scene::with_source(&Tree::new().file("disk", &content));
        fs::create_dir(scene.path("to")).unwrap();
        disk.node(&scene.path("to/disk"));
        let done = |options: &[&str], expected: &[&str]| {
            let options = [&["-rtiW", "--write-devices", "--stats"], options].concat();
            let output = copied(&scene, way, &options).success();
            assert_eq!(items(&output), expected, "{way:?} {options:?}");
            output.number("Literal data:")
        };
        assert_eq!(done(&["-c"], &[".f..t...... disk"]), 0, "{way:?}");
        assert_eq!(done(&[], &[]), 0, "{way:?}");
        disk.fill(&noise(LEN, 17));
        assert_eq!(done(&["-c"], &[">fc........ disk"]), LEN as u64, "{way:?}");
        assert!(disk.content() == content, "{way:?}");
    }
}

#[test]
fn a_device_is_written_to_also_where_attributes_are_kept_apart() {
    let new = noise(LEN, 15);
    let Some(disk) = Disk::of(&noise(LEN, 14)) else { return };
    for way in Way::plain() {
        disk.fill(&noise(LEN, 14));
        let scene = Scene::with_source(&Tree::new().file("disk", &new));
        fs::create_dir(scene.path("to")).unwrap();
        disk.node(&scene.path("to/disk"));
        let option = match way.direction {
            Direction::Push => "-M--fake-super",
            Direction::Pull => "--fake-super",
        };
        // A device has no room for what is to be kept.
        let output = copied(&scene, way, &["-a", "--write-devices", option]).expect(23);
        assert!(output.err().contains("keeping the attributes of disk"), "{way:?}\n{output}");
        assert!(disk.content() == new, "{way:?}");
        assert!(fs::symlink_metadata(scene.path("to/disk")).unwrap().file_type().is_block_device());
    }
}

#[test]
fn what_a_device_held_is_kept_as_a_file() {
    let (old, new) = (noise(LEN, 11), noise(LEN, 12));
    let Some(disk) = Disk::of(&old) else { return };
    for way in Way::plain() {
        for (options, backup) in [(&["-b"][..], "to/disk~"), (&["-b", "--backup-dir=../kept"], "kept/disk")] {
            disk.fill(&old);
            let scene = Scene::with_source(&Tree::new().file("disk", &new));
            fs::create_dir(scene.path("to")).unwrap();
            disk.node(&scene.path("to/disk"));
            copied(&scene, way, &[&["-a", "--write-devices"], options].concat()).success();
            assert!(disk.content() == new, "{way:?}");
            assert!(fs::symlink_metadata(scene.path(backup)).unwrap().is_file(), "{way:?} {options:?}");
            assert!(scene.read(backup) == old, "{way:?} {options:?}");
        }
    }
}

#[test]
fn a_device_is_not_removed_for_its_content() {
    let content = noise(LEN, 13);
    let Some(disk) = Disk::of(&content) else { return };
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("file", "x"));
        disk.node(&scene.path("source/disk"));
        let output = copied(&scene, way, &["-a", "--copy-devices", "--remove-source-files"]).expect(23);
        assert!(output.err().contains("disk: it is a device"), "{output}");
        assert!(scene.read("to/disk") == content && !scene.path("source/file").exists(), "{way:?}");
        assert!(fs::metadata(scene.path("source/disk")).unwrap().file_type().is_block_device());
    }
}

#[test]
fn content_that_is_too_long_for_a_device_is_an_error() {
    let Some(disk) = Disk::of(&noise(LEN, 7)) else { return };
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("disk", noise(LEN + 4096, 8)));
        fs::create_dir(scene.path("to")).unwrap();
        disk.node(&scene.path("to/disk"));
        let output = copied(&scene, way, &["-a", "--write-devices"]).expect(23);
        assert!(output.err().contains("No space left"), "{output}");
        assert!(fs::metadata(scene.path("to/disk")).unwrap().file_type().is_block_device());
    }
}

#[test]
fn a_device_becomes_a_copy_of_another() {
    let (one, other) = (noise(LEN, 9), noise(LEN, 10));
    let (Some(from), Some(to)) = (Disk::of(&one), Disk::of(&other)) else { return };
    for way in Way::plain() {
        to.fill(&other);
        let scene = Scene::with_source(&Tree::new());
        fs::create_dir(scene.path("to")).unwrap();
        from.node(&scene.path("source/disk"));
        to.node(&scene.path("to/disk"));
        // Both may have been changed in the same second.
        copied(&scene, way, &["-aI", "--copy-devices", "--write-devices"]).success();
        assert!(to.content() == one && from.content() == one, "{way:?}");
        // A device of the same number is just what it is to be.
        from.node(&scene.path("to/same"));
        from.node(&scene.path("source/same"));
        copied(&scene, way, &["-a", "--write-devices", "--exclude=disk"]).success();
        assert!(fs::metadata(scene.path("to/same")).unwrap().file_type().is_block_device());
        assert!(from.content() == one);
    }
}

#[test]
fn nothing_is_written_into_a_device_unless_that_is_asked() {
    let old = noise(LEN, 11);
    let Some(disk) = Disk::of(&old) else { return };
    for way in Way::plain() {
        for options in [
            &["-a"][..],
            &["-a", "--inplace"],
            &["-a", "--inplace", "--no-whole-file", "-c"],
            &["-r", "--append"],
            &["-a", "--copy-devices"],
            &["-a", "--copy-devices", "--inplace"],
            &["-a", "-b", "--inplace"],
            &["-a", "--size-only"],
            &["-a", "--write-devices", "--no-write-devices", "--inplace"],
            &["-a", "--force", "--delete"],
        ] {
            let scene = Scene::with_source(&Tree::new().file("disk", noise(LEN, 12)));
            fs::create_dir(scene.path("to")).unwrap();
            disk.node(&scene.path("to/disk"));
            disk.node(&scene.path("to/extra"));
            copied(&scene, way, options);
            assert!(disk.content() == old, "{way:?} {options:?}");
        }
    }
}

#[test]
fn what_is_no_device_is_written_as_ever() {
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("fifo", "x").file("socket", "y"));
        let scene = scene.tree("to", &Tree::new().node("fifo", Node::Fifo).node("socket", Node::Socket));
        copied(&scene, way, &["-a", "--write-devices"]).success();
        assert_eq!(scene.read("to/fifo"), b"x");
        assert_eq!(scene.read("to/socket"), b"y");
        // A fifo is never read, whoever waits at its other end.
        let scene = Scene::with_source(&Tree::new().node("fifo", Node::Fifo));
        copied(&scene, way, &["-r", "--copy-devices"]).success();
        assert_eq!(scene.paths("to"), [""; 0]);
    }
}

/// What is there already stays, also where all else that is not at the source goes.
#[test]
fn the_side_that_receives_may_make_none() {
    for way in Way::all() {
        let is_push = way.transport != Transport::Local && way.direction == Direction::Push;
        let scene = Scene::with_source(
            &Tree::new().file("file", "content").node("fifo", Node::Fifo).node("old", Node::Fifo),
        )
        .tree("to", &Tree::new().node("old", Node::Fifo).file("extra", "gone"));
        let [here, there] = ["--drop-D", "-M--drop-D"];
        let (of_it, of_the_other) = if is_push { (there, here) } else { (here, there) };
        let dropped = copied(&scene, way, &["-a", "--delete", of_it]).success();
        assert!(dropped.out().contains("skipping non-regular file \"fifo\"\n"), "{way:?}\n{dropped}");
        assert_eq!(scene.paths("to"), ["file", "old"], "{way:?}\n{dropped}");
        // It is nothing to who sends.
        copied(&scene, way, &["-a", of_the_other]).success();
        assert_eq!(scene.paths("to"), ["fifo", "file", "old"], "{way:?}");
    }
}

#[test]
fn what_they_cannot_be_meant_with_is_refused() {
    let scene = Scene::with_source(&Tree::new().file("a", "a"));
    for options in [
        &["--two-way", "--copy-devices"][..],
        &["--two-way", "--write-devices"],
        &["-a", "--write-devices", "--partial-dir=.p"],
        &["-a", "--write-devices", "--delay-updates"],
    ] {
        let output = dsync(options.iter().copied()).args([scene.path("source"), scene.path("to")]).run();
        assert_eq!(output.code, Some(1), "{options:?}");
        assert!(!scene.path("to").exists());
    }
}
