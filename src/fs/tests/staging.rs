//! New versions of files.

use super::*;
use crate::fs::{Error, SetMeta, is_stage_name, stage_name};
use crate::tree::{Gid, Node, Uid};
use filetime::FileTime;
use rustix::fs::FlockOperation;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, lchown, symlink};
use std::path::PathBuf;
use std::process::Command;

fn staged(at: &TempDir, target: &str) -> PathBuf {
    at.path().join(stage_name(&name(target)).as_os_str())
}

#[test]
fn the_target_is_old_until_it_is_new() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), b"old").unwrap();
    let old = fs::metadata(at.path().join("file")).unwrap().ino();
    let stage = root.stage(&name("file")).unwrap();
    stage.preallocate(1 << 20).unwrap();
    stage.write_at(b"version", 4).unwrap();
    stage.write_at(b"new ", 0).unwrap();
    stage.set_len(10).unwrap();
    assert_eq!(stage.len().unwrap(), 10);
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"old");
    assert_eq!(fs::metadata(staged(&at, "file")).unwrap().mode() & 0o777, 0o600);
    let mtime = FileTime::from_unix_time(77, 5);
    stage.install(&SetMeta { mode: Some(0o4444), mtime: Some(mtime), ..SetMeta::default() }).unwrap();
    let new = fs::metadata(at.path().join("file")).unwrap();
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"new versio");
    assert_ne!(new.ino(), old);
    assert_eq!((new.mode() & 0o7777, FileTime::from_last_modification_time(&new)), (0o4444, mtime));
    assert_eq!(names(at.path()), ["file"]);
}

#[test]
fn a_dropped_or_failed_stage_leaves_the_target_and_nothing_else() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), b"old").unwrap();
    root.stage(&name("file")).unwrap().write_at(b"new", 0).unwrap();
    let impossible = SetMeta { owner: Some(Uid(u32::MAX)), ..SetMeta::default() };
    root.stage(&name("file")).unwrap().install(&impossible).unwrap_err();
    root.make_dir(&name("dir"), 0o700).unwrap();
    let error = root.stage(&name("dir")).unwrap().install(&SetMeta::default()).unwrap_err();
    assert_eq!(error.doing, "renaming into place");
    assert_eq!(names(at.path()), ["dir", "file"]);
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"old");
}

#[test]
fn a_link_at_the_target_is_replaced_and_not_followed() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("outside"), b"kept").unwrap();
    symlink("outside", at.path().join("file")).unwrap();
    let stage = root.stage(&name("file")).unwrap();
    stage.write_at(b"new", 0).unwrap();
    stage.install(&SetMeta::default()).unwrap();
    assert!(fs::symlink_metadata(at.path().join("file")).unwrap().is_file());
    assert_eq!(fs::read(at.path().join("outside")).unwrap(), b"kept");
}

#[test]
fn the_longest_names_can_be_staged() {
    let at = temporary();
    let target = name([b'\xff'; 255]);
    writable(at.path()).stage(&target).unwrap().install(&SetMeta::default()).unwrap();
    assert!(dir(at.path()).entry(&target).unwrap().is_some());
}

#[test]
fn what_a_killed_run_left_becomes_a_basis() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(staged(&at, "file"), b"half").unwrap();
    let mut stage = root.stage(&name("file")).unwrap();
    let leftover = stage.leftover().unwrap();
    assert!(stage.leftover().is_none());
    assert_eq!(stage.len().unwrap(), 0);
    assert_eq!(stage.copy_from(&leftover, 0, leftover.len(), 0, 2).unwrap(), 4);
    stage.write_at(b" and half", 4).unwrap();
    stage.install(&SetMeta::default()).unwrap();
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"half and half");
    assert_eq!(names(at.path()), ["file"]);
}

#[test]
fn a_read_only_leftover_and_a_special_one_are_cleared() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(staged(&at, "file"), b"half").unwrap();
    fs::set_permissions(staged(&at, "file"), std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    assert!(root.stage(&name("file")).unwrap().leftover().is_some());
    symlink("/etc/passwd", staged(&at, "file")).unwrap();
    assert!(root.stage(&name("file")).unwrap().leftover().is_none());
    symlink("/etc/passwd", staged(&at, "link")).unwrap();
    root.make_node(&name("link"), &Node::Fifo, &SetMeta::default(), true).unwrap();
    assert_eq!(names(at.path()), ["link"]);
}

#[test]
fn a_living_writer_is_left_alone() {
    let at = temporary();
    let root = writable(at.path());
    let living = root.stage(&name("file")).unwrap();
    living.write_at(b"mine", 0).unwrap();
    for error in [
        root.stage(&name("file")).unwrap_err(),
        root.clear_staged(&stage_name(&name("file"))).unwrap_err(),
        root.make_node(&name("file"), &Node::Fifo, &SetMeta::default(), true).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(error.to_string().contains("another dsync is writing this file"));
    }
    root.stage(&name("other")).unwrap().install(&SetMeta::default()).unwrap();
    living.install(&SetMeta::default()).unwrap();
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"mine");
    root.stage(&name("file")).unwrap();
}

#[test]
fn clearing_touches_the_leftover_of_that_target_only() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(staged(&at, "kept"), b"part").unwrap();
    fs::write(staged(&at, "file"), b"").unwrap();
    assert!(!root.clear_staged(&stage_name(&name("absent"))).unwrap());
    assert!(root.clear_staged(&stage_name(&name("file"))).unwrap());
    assert!(!root.clear_staged(&stage_name(&name("file"))).unwrap());
    root.stage(&name("file")).unwrap().install(&SetMeta::default()).unwrap();
    assert_eq!(fs::read(staged(&at, "kept")).unwrap(), b"part");
}

#[test]
fn what_cannot_be_a_leftover_is_never_touched() {
    let at = temporary();
    let root = writable(at.path());
    // A second link: whoever planted it wants the other name's file read or removed.
    fs::write(at.path().join("secret"), b"secret").unwrap();
    fs::hard_link(at.path().join("secret"), staged(&at, "file")).unwrap();
    fs::create_dir(staged(&at, "dir")).unwrap();
    for target in ["file", "dir"] {
        let error = root.stage(&name(target)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(root.clear_staged(&stage_name(&name(target))).is_err());
        assert!(staged(&at, target).exists());
    }
}

#[test]
fn root_clears_what_it_had_handed_over_but_does_not_use_it() {
    if !root_or_skip("a leftover of another user") {
        return;
    }
    let at = temporary();
    fs::write(staged(&at, "file"), b"planted").unwrap();
    lchown(staged(&at, "file"), Some(65534), None).unwrap();
    assert!(writable(at.path()).stage(&name("file")).unwrap().leftover().is_none());
}

#[test]
fn a_stage_whose_name_was_taken_before_its_lock_begins_anew() {
    let at = temporary();
    let root = writable(at.path());
    // Threads stage the same target over and over; the file must always be one thread's whole version.
    std::thread::scope(|scope| {
        for letter in [b'a', b'b', b'c'] {
            let root = root.clone();
            scope.spawn(move || {
                for _ in 0..300 {
                    match root.stage(&name("file")) {
                        Ok(stage) => {
                            stage.write_at(&[letter; 4096], 0).unwrap();
                            stage.write_at(&[letter; 4096], 4096).unwrap();
                            stage.install(&SetMeta::default()).unwrap();
                        }
                        Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
                    }
                    if let Ok(content) = fs::read(Path::new("/proc/self/fd").join(fd(&root)).join("file")) {
                        assert_eq!(content.len(), 8192);
                        assert!(content.iter().all(|b| *b == content[0]));
                    }
                }
            });
        }
    });
    assert_eq!(names(at.path()), ["file"]);
}

fn fd(dir: &crate::fs::Dir) -> String {
    use std::os::fd::{AsFd, AsRawFd};
    dir.as_fd().as_raw_fd().to_string()
}

#[test]
fn a_whole_file_takes_its_place() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), "old").unwrap();
    let meta =
        SetMeta { mode: Some(0o640), mtime: Some(FileTime::from_unix_time(7, 8)), ..SetMeta::default() };
    assert!(root.write_whole(&name("file"), b"new", |file| file.set_meta(&meta)).unwrap());
    assert!(root.write_whole(&name("empty"), b"", |_| Ok(())).unwrap());
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"new");
    let found = fs::metadata(at.path().join("file")).unwrap();
    assert_eq!((found.mode() & 0o7777, found.mtime(), found.mtime_nsec()), (0o640, 7, 8));
    assert_eq!(fs::metadata(at.path().join("empty")).unwrap().mode() & 0o777, 0o600);
    assert_eq!(names(at.path()), ["empty", "file"]);
}

#[test]
fn a_whole_file_that_fails_leaves_the_old_one() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), "old").unwrap();
    fs::create_dir(at.path().join("dir")).unwrap();
    let refuse = |_: &crate::fs::WriteFile| Err(Error::refused("testing", ErrorKind::Other, "no"));
    assert!(root.write_whole(&name("file"), b"new", refuse).is_err());
    assert!(root.write_whole(&name("dir"), b"new", |_| Ok(())).is_err());
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"old");
    assert_eq!(names(at.path()), ["dir", "file"]);
}

#[test]
fn a_whole_file_that_is_removed_before_it_has_its_name_is_told() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), "old").unwrap();
    let mut times = 0;
    let remove = |_: &crate::fs::WriteFile| {
        times += 1;
        for found in root.list().unwrap().entries {
            if is_stage_name(&found.name) {
                assert!(root.clear_staged(&found.name).unwrap());
            }
        }
        Ok(())
    };
    assert!(!root.write_whole(&name("file"), b"new", remove).unwrap());
    assert_eq!(times, 1);
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"old");
    assert_eq!(names(at.path()), ["file"]);
}

#[test]
fn a_new_file_has_its_attributes_and_leaves_nothing_else() {
    both_ways(|| {
        let at = temporary();
        let root = writable(at.path());
        for mode in [0o600, 0o644, 0o666, 0o4755, 0o2070, 0] {
            let mtime = FileTime::from_unix_time(7, 8);
            let meta = SetMeta { mode: Some(mode), mtime: Some(mtime), ..SetMeta::default() };
            let set = |file: &crate::fs::WriteFile| file.set_meta(&file.lacking(&meta)?);
            let file = name(mode.to_string());
            assert!(root.write_new(&file, b"new", mode, set).unwrap());
            let found = root.entry(&file).unwrap().unwrap();
            assert_eq!((found.meta.mode, found.meta.mtime, found.node.size()), (mode, mtime, 3));
            assert_eq!(fs::read(at.path().join(file.as_os_str())).unwrap(), b"new");
            assert_eq!(fs::metadata(at.path().join(file.as_os_str())).unwrap().nlink(), 1);
        }
        assert_eq!(names(at.path()).len(), 6);
    });
}

#[test]
fn a_new_file_that_fails_or_comes_too_late_changes_nothing() {
    let at = temporary();
    let root = writable(at.path());
    let refuse = |_: &crate::fs::WriteFile| Err(Error::refused("testing", ErrorKind::Other, "no"));
    both_ways(|| {
        assert!(root.write_new(&name("file"), b"new", 0o644, refuse).is_err());
        assert_eq!(names(at.path()), [""; 0]);
    });
    let too_late = |_: &crate::fs::WriteFile| {
        assert_eq!(names(at.path()), [""; 0], "it has no name yet");
        fs::write(at.path().join("file"), "of somebody else").unwrap();
        Ok(())
    };
    if crate::fs::kernel::create_nameless(root.as_fd(), rustix::fs::Mode::empty()).is_none() {
        return crate::testing::missing("files without names");
    }
    assert!(!root.write_new(&name("file"), b"new", 0o644, too_late).unwrap());
    assert_eq!(fs::read(at.path().join("file")).unwrap(), b"of somebody else");
    assert_eq!(names(at.path()), ["file"]);
}

#[test]
fn what_keeps_a_new_file_from_its_name_keeps_a_staged_one_from_it_too() {
    both_ways(|| {
        let at = temporary();
        let root = writable(at.path());
        let error = root.write_new(&name("x".repeat(256)), b"new", 0o644, |_| Ok(())).unwrap_err();
        assert_eq!((error.doing, error.kind()), ("renaming into place", ErrorKind::InvalidFilename));
        assert_eq!(names(at.path()), [""; 0]);
    });
}

#[test]
fn only_what_a_file_lacks_is_set() {
    let has = crate::tree::Meta { mode: 0o644, mtime: FileTime::zero(), uid: Uid(1), gid: Gid(2) };
    let all = SetMeta {
        mode: Some(0o644),
        owner: Some(Uid(1)),
        group: Some(Gid(2)),
        mtime: Some(FileTime::zero()),
        atime: None,
    };
    let time = SetMeta { mtime: all.mtime, ..SetMeta::default() };
    assert_eq!(all.lacking(&has), time);
    assert_eq!(SetMeta { mode: Some(0o640), ..all }.lacking(&has), SetMeta { mode: Some(0o640), ..time });
    // A change of owner may take special bits away, but no others.
    let given = SetMeta { group: Some(Gid(3)), ..all };
    assert_eq!(given.lacking(&has), SetMeta { group: Some(Gid(3)), ..time });
    let special = crate::tree::Meta { mode: 0o4755, ..has };
    let given = SetMeta { mode: Some(0o4755), ..given };
    assert_eq!(given.lacking(&special), SetMeta { mode: Some(0o4755), group: Some(Gid(3)), ..time });
    assert_eq!(SetMeta::default().lacking(&has), SetMeta::default());
}

#[test]
fn a_whole_file_survives_those_who_clear_leftovers() {
    let at = temporary();
    let root = writable(at.path());
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for found in root.list().unwrap().entries {
                    if is_stage_name(&found.name) {
                        let _ = root.clear_staged(&found.name);
                    }
                }
            }
        });
        let mut last = Vec::new();
        for number in 0..3000_u32 {
            let content = number.to_le_bytes().repeat(100);
            if root.write_whole(&name("file"), &content, |_| Ok(())).unwrap() {
                last = content;
            }
            assert_eq!(fs::read(at.path().join("file")).unwrap_or_default(), last);
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(names(at.path()), ["file"]);
}

#[test]
fn the_lock_is_gone_with_its_writer() {
    let at = temporary();
    let root = writable(at.path());
    let dead = File::create(staged(&at, "file")).unwrap();
    rustix::fs::flock(&dead, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert!(root.clear_staged(&stage_name(&name("file"))).is_err());
    drop(dead);
    assert!(root.clear_staged(&stage_name(&name("file"))).unwrap());
}

#[test]
fn a_full_disk_leaves_the_old_version() {
    if !root_or_skip("a small file system") {
        return;
    }
    let at = temporary();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(at.path()).status();
    if !mounted.is_ok_and(|status| status.success()) {
        return missing("the right to mount");
    }
    let check = std::panic::catch_unwind(|| {
        let root = writable(at.path());
        fs::write(at.path().join("file"), b"old").unwrap();
        let stage = root.stage(&name("file")).unwrap();
        let error = stage.preallocate(1 << 20).unwrap_err();
        assert_eq!((error.doing, error.kind()), ("allocating space for", ErrorKind::StorageFull));
        let error = stage.write_at(&vec![1; 1 << 20], 0).unwrap_err();
        assert_eq!((error.doing, error.kind()), ("writing", ErrorKind::StorageFull));
        drop(stage);
        assert_eq!(names(at.path()), ["file"]);
        assert_eq!(fs::read(at.path().join("file")).unwrap(), b"old");
    });
    let unmounted = Command::new("umount").arg("-l").arg(at.path()).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    check.unwrap();
}
