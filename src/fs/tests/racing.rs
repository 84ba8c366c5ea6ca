//! A neighbour who keeps exchanging an entry with a symbolic link to a place outside: nothing there is read or changed.

use super::*;
use crate::fs::{SetMeta, stage_name};
use crate::tree::{Kind, Node};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// `root/` to work in, `outside/` that must stay as it is; both hold the same names with different content.
struct Arena(TempDir);

impl Arena {
    fn new() -> Arena {
        let arena = Arena(temporary());
        for (place, word) in [("root/entry", "inside"), ("outside", "outside")] {
            fs::create_dir_all(arena.at(place).join("sub")).unwrap();
            for file in ["file", "sub/file"] {
                fs::write(arena.at(place).join(file), word).unwrap();
            }
        }
        arena
    }

    fn at(&self, rest: &str) -> PathBuf {
        self.0.path().join(rest)
    }

    /// Everything about the outside that a run could change.
    fn outside(&self) -> Vec<(String, u32, u32, i64, Vec<u8>)> {
        let mut seen = Vec::new();
        for place in ["outside", "outside/sub"] {
            for entry in names(&self.at(place)) {
                let path = self.at(place).join(&entry);
                let meta = fs::symlink_metadata(&path).unwrap();
                let content = fs::read(&path).unwrap_or_default();
                seen.push((entry, meta.mode(), meta.uid(), meta.mtime_nsec(), content));
            }
        }
        seen
    }

    /// Runs `step` both ways while `root/entry` and a link to `outside/TARGET` keep changing places. Returns how
    /// often `step` said that it succeeded.
    fn flipping(&self, target: &str, step: impl Fn(&WriteDir) -> bool) -> usize {
        let before = self.outside();
        let _ = fs::remove_file(self.at("root/link"));
        symlink(self.at("outside").join(target), self.at("root/link")).unwrap();
        let (entry, link) = (self.at("root/entry"), self.at("root/link"));
        let done = AtomicBool::new(false);
        let root = writable(&self.at("root"));
        let succeeded = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let _ = renameat_with(CWD, &entry, CWD, &link, RenameFlags::EXCHANGE);
                }
            });
            let mut succeeded = 0;
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                both_ways_counting(|| for_a_while(|| succeeded += usize::from(step(&root))));
            }));
            done.store(true, Ordering::Relaxed);
            outcome.unwrap();
            succeeded
        });
        if self.at("root/entry").is_symlink() {
            renameat_with(CWD, self.at("root/entry"), CWD, self.at("root/link"), RenameFlags::EXCHANGE)
                .unwrap();
        }
        assert_eq!(self.outside(), before);
        succeeded
    }
}

fn both_ways_counting(mut test: impl FnMut()) {
    test();
    crate::fs::kernel::without(test);
}

fn content(file: &crate::fs::ReadFile) -> Vec<u8> {
    let mut buffer = [0; 16];
    let read = file.read_full_at(&mut buffer, 0).unwrap();
    buffer[..read].to_vec()
}

#[test]
fn directories_swapped_for_links_are_not_left() {
    let arena = Arena::new();
    let reads = arena.flipping("", |root| {
        let reached = [root.open_beneath(&path("entry/sub")), root.open_dir(&name("entry"))];
        reached.into_iter().flatten().fold(false, |_, dir| {
            assert_eq!(content(&dir.open_file(&name("file")).unwrap()), b"inside");
            true
        })
    });
    let writes = arena.flipping("", |root| {
        let Ok(dir) = root.open_beneath_writable(&path("entry/sub")) else { return false };
        let stage = dir.stage(&name("staged")).unwrap();
        stage.write_at(b"new", 0).unwrap();
        stage.install(&SetMeta { mode: Some(0o600), ..SetMeta::default() }).unwrap();
        dir.make_node(&name("staged"), &Node::Fifo, &SetMeta::default(), true).unwrap();
        dir.make_dir(&name("made"), 0o700).unwrap();
        dir.open_in_place(&name("placed")).unwrap().write_at(b"new", 0).unwrap();
        dir.remove(&name("staged"), Kind::Fifo).unwrap();
        dir.remove(&name("made"), Kind::Directory).unwrap();
        dir.set_own_meta(&SetMeta { mode: Some(0o711), ..SetMeta::default() }).unwrap();
        true
    });
    let changes = arena.flipping("", |root| {
        let meta = SetMeta { mode: Some(0o711), ..SetMeta::default() };
        root.set_meta(&name("entry"), Kind::Directory, &meta).is_ok()
    });
    assert!(reads > 0 && writes > 0 && changes > 0, "{reads} {writes} {changes}");
}

#[test]
fn files_swapped_for_links_are_not_left() {
    let arena = Arena::new();
    fs::remove_dir_all(arena.at("root/entry")).unwrap();
    fs::write(arena.at("root/entry"), b"inside").unwrap();
    let reads = arena.flipping("file", |root| match root.open_file(&name("entry")) {
        Ok(file) => {
            assert_eq!(content(&file), b"inside");
            true
        }
        Err(_) => false,
    });
    let changes = arena.flipping("file", |root| {
        let placed = root.open_in_place(&name("entry")).and_then(|file| file.write_at(b"inside", 0));
        let meta = SetMeta { mode: Some(0o600), ..SetMeta::default() };
        placed.is_ok() | root.set_meta(&name("entry"), Kind::File, &meta).is_ok()
    });
    let listed = arena.flipping("file", |root| {
        root.list().unwrap().entries.iter().all(|entry| match &entry.node {
            Node::File { size } => *size == 6,
            node => node.kind() == Kind::Symlink,
        })
    });
    assert!(reads > 0 && changes > 0 && listed > 0, "{reads} {changes} {listed}");
}

#[test]
fn a_staged_name_swapped_for_a_link_is_not_followed() {
    let arena = Arena::new();
    let staged = crate::fs::stage_name(&name("target"));
    let link = arena.at("root").join(staged.as_os_str());
    let outside = arena.at("outside/file");
    let before = arena.outside();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = fs::remove_file(&link);
                let _ = symlink(&outside, &link);
            }
        });
        let root = writable(&arena.at("root"));
        for_a_while(|| {
            if let Ok(stage) = root.stage(&name("target")) {
                let _ = stage.write_at(b"new", 0);
                let _ = stage.install(&SetMeta { mode: Some(0o777), ..SetMeta::default() });
            }
            let _ = root.clear_staged(&stage_name(&name("target")));
        });
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(arena.outside(), before);
}
