//! Changes that are to happen only where nobody else makes one.

use super::*;
use crate::fs::{Expected, SetMeta, Slot};
use crate::tree::{Kind, Node, Uid};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// A tree, and beside it what belongs to dsync alone.
struct Place {
    at: TempDir,
    tree: WriteDir,
    staging: WriteDir,
    trash: WriteDir,
}

impl Place {
    fn new() -> Place {
        let at = temporary();
        for part in ["tree", "staging", "trash"] {
            fs::create_dir(at.path().join(part)).unwrap();
        }
        let part = |part| writable(&at.path().join(part));
        Place { tree: part("tree"), staging: part("staging"), trash: part("trash"), at }
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.at.path().join(rest)
    }

    fn write(&self, rest: &str, content: &str) {
        fs::write(self.path(rest), content).unwrap();
    }

    fn read(&self, rest: &str) -> String {
        fs::read_to_string(self.path(rest)).unwrap()
    }

    fn expected(&self, file: &str) -> Expected {
        let found = self.tree.stamped(&name(file)).unwrap().unwrap();
        match found.entry.kind() {
            Kind::Directory => Expected::Directory { dev: found.stamp.dev, ino: found.stamp.ino },
            _ => Expected::Version(found.stamp),
        }
    }

    /// All names, and the contents of all files.
    fn everything(&self) -> Vec<String> {
        let mut found = Vec::new();
        for part in ["tree", "staging", "trash"] {
            for file in names(&self.path(part)) {
                let content = fs::read_to_string(self.path(part).join(&file)).unwrap_or_default();
                found.push(format!("{part}/{file}={content}"));
            }
        }
        found
    }
}

fn slot<'a>(dir: &'a WriteDir, name: &'a Name) -> Slot<'a> {
    Slot { dir, name }
}

#[test]
fn a_name_is_taken_only_if_it_is_free() {
    both_ways(|| {
        let place = Place::new();
        let (new, file) = (name("new"), name("file"));
        for taken in [false, true] {
            place.write("staging/new", "new");
            let moved = slot(&place.staging, &new).move_to(slot(&place.tree, &file)).unwrap();
            assert_eq!(moved.is_some(), !taken);
            let Some(stamp) = moved else { break };
            assert_eq!(stamp, place.tree.stamped(&file).unwrap().unwrap().stamp);
            place.write("tree/file", "old");
        }
        assert_eq!(place.everything(), ["tree/file=old", "staging/new=new"]);
        // Not even a directory or a link to nothing gives way.
        fs::remove_file(place.path("tree/file")).unwrap();
        std::os::unix::fs::symlink("nowhere", place.path("tree/file")).unwrap();
        assert_eq!(slot(&place.staging, &new).move_to(slot(&place.tree, &file)).unwrap(), None);
        place.staging.make_dir(&name("dir"), 0o700).unwrap();
        let (dir, file) = (name("dir"), name("file"));
        assert_eq!(slot(&place.staging, &dir).move_to(slot(&place.tree, &file)).unwrap(), None);
        assert!(slot(&place.staging, &dir).move_to(slot(&place.tree, &dir)).unwrap().is_some());
    });
}

#[test]
fn an_expected_entry_gives_way_and_is_kept() {
    both_ways(|| {
        let place = Place::new();
        let (new, file) = (name("new"), name("file"));
        for version in 1..4 {
            place.write("tree/file", &format!("old {version}"));
            let expected = place.expected("file");
            place.write("staging/new", "new");
            let replaced = slot(&place.staging, &new)
                .replace(slot(&place.tree, &file), &expected, &place.trash)
                .unwrap()
                .unwrap();
            assert_eq!(replaced.stamp, place.tree.stamped(&file).unwrap().unwrap().stamp);
            assert_eq!(place.read("tree/file"), "new");
            assert_eq!(place.read(&format!("trash/{}", replaced.trashed)), format!("old {version}"));
        }
        assert_eq!(names(&place.path("trash")).len(), 3);
        let expected = place.expected("file");
        let trashed = slot(&place.tree, &file).discard(&expected, &place.trash).unwrap().unwrap();
        assert_eq!(place.read(&format!("trash/{trashed}")), "new");
        assert_eq!(names(&place.path("tree")), [""; 0]);
        assert_eq!(names(&place.path("staging")), [""; 0]);
    });
}

#[test]
fn a_file_takes_the_place_of_a_full_directory_and_the_other_way_round() {
    both_ways(|| {
        let place = Place::new();
        let (new, file) = (name("new"), name("file"));
        fs::create_dir(place.path("tree/file")).unwrap();
        place.write("tree/file/inside", "kept");
        let expected = place.expected("file");
        place.write("tree/file/later", "kept too");
        place.write("staging/new", "new");
        let at = slot(&place.tree, &file);
        let first = slot(&place.staging, &new).replace(at, &expected, &place.trash).unwrap().unwrap();
        assert_eq!(place.read("tree/file"), "new");
        assert_eq!(names(&place.path("trash").join(first.trashed.as_os_str())), ["inside", "later"]);
        place.staging.make_dir(&new, 0o755).unwrap();
        let expected = place.expected("file");
        let second = slot(&place.staging, &new).replace(at, &expected, &place.trash).unwrap().unwrap();
        assert!(place.path("tree/file").is_dir());
        assert_eq!(place.read(&format!("trash/{}", second.trashed)), "new");
    });
}

#[test]
fn anything_else_stays() {
    both_ways(|| {
        let place = Place::new();
        let (new, file) = (name("new"), name("file"));
        place.write("staging/new", "new");
        place.write("tree/file", "seen");
        let seen = place.expected("file");
        let at = slot(&place.tree, &file);
        let changes: [&dyn Fn(); 4] = [
            &|| place.write("tree/file", "edited"),
            &|| {
                place.write("tree/other", "seen");
                fs::rename(place.path("tree/other"), place.path("tree/file")).unwrap();
            },
            &|| {
                fs::remove_file(place.path("tree/file")).unwrap();
                fs::create_dir(place.path("tree/file")).unwrap();
            },
            &|| fs::remove_dir(place.path("tree/file")).unwrap(),
        ];
        for change in changes {
            change();
            let before = place.everything();
            assert_eq!(slot(&place.staging, &new).replace(at, &seen, &place.trash).unwrap(), None);
            assert_eq!(at.discard(&seen, &place.trash).unwrap(), None);
            assert_eq!(place.everything(), before);
        }
    });
}

#[test]
fn a_staged_file_is_installed_or_gone() {
    both_ways(|| {
        let place = Place::new();
        let file = name("file");
        let at = slot(&place.tree, &file);
        let meta = SetMeta { mode: Some(0o640), ..SetMeta::default() };
        let stage = || {
            let stage = place.staging.stage(&name("1")).unwrap();
            stage.write_at(b"new", 0).unwrap();
            stage
        };
        assert!(stage().install_if_free(&meta, at).unwrap().is_some());
        assert!(stage().install_if_free(&meta, at).unwrap().is_none());
        let expected = place.expected("file");
        place.write("tree/file", "edited");
        assert_eq!(stage().install_instead(&meta, at, &expected, &place.trash).unwrap(), None);
        assert_eq!(place.everything(), ["tree/file=edited"]);
        let expected = place.expected("file");
        assert!(stage().install_instead(&meta, at, &expected, &place.trash).unwrap().is_some());
        assert_eq!(place.everything(), ["tree/file=new", "trash/file=edited"]);
        // An error leaves everything in its place.
        let expected = place.expected("file");
        let impossible = SetMeta { owner: Some(Uid(u32::MAX)), ..SetMeta::default() };
        stage().install_instead(&impossible, at, &expected, &place.trash).unwrap_err();
        assert_eq!(place.everything(), ["tree/file=new", "trash/file=edited"]);
    });
}

#[test]
fn an_expected_file_gets_another_name() {
    both_ways(|| {
        let place = Place::new();
        let (old, new) = (name("old"), name("new"));
        let (from, to) = (slot(&place.tree, &old), slot(&place.tree, &new));
        let trash = || Ok(place.trash.clone());
        place.write("tree/old", "1");
        let seen = place.expected("old");
        // Taken, changed, gone: nothing has changed then.
        place.write("tree/new", "2");
        assert_eq!(from.rename(&seen, to, trash).unwrap(), None);
        assert_eq!(place.everything(), ["tree/new=2", "tree/old=1"]);
        fs::remove_file(place.path("tree/new")).unwrap();
        place.write("tree/old", "edited");
        assert_eq!(from.rename(&seen, to, trash).unwrap(), None);
        assert_eq!(place.everything(), ["tree/old=edited"]);
        let stamp = from.rename(&place.expected("old"), to, trash).unwrap();
        assert_eq!(stamp, Some(place.tree.stamped(&new).unwrap().unwrap().stamp));
        assert_eq!(place.everything(), ["tree/new=edited"]);
        assert_eq!(from.rename(&seen, to, trash).unwrap(), None);
    });
}

#[test]
fn a_small_file_is_written_where_the_name_is_free() {
    both_ways(|| {
        let place = Place::new();
        let meta = SetMeta { mode: Some(0o640), ..SetMeta::default() };
        let stamp = place.tree.write_if_free(&name("file"), b"new", &meta).unwrap();
        let found = place.tree.stamped(&name("file")).unwrap().unwrap();
        assert_eq!((stamp, found.entry.meta.mode), (Some(found.stamp), 0o640));
        assert_eq!(place.tree.write_if_free(&name("file"), b"other", &meta).unwrap(), None);
        assert_eq!(place.everything(), ["tree/file=new"]);
    });
}

#[test]
fn names_in_the_trash_fit() {
    let place = Place::new();
    let long = name([b'x'; 255]);
    for _ in 0..12 {
        place.tree.make_node(&long, &Node::Fifo, &SetMeta::default(), false).unwrap();
        let stamp = place.tree.stamped(&long).unwrap().unwrap().stamp;
        let discarded = slot(&place.tree, &long).discard(&Expected::Version(stamp), &place.trash).unwrap();
        assert!(discarded.is_some());
    }
    assert_eq!(names(&place.path("trash")).len(), 12);
}

/// Somebody who makes versions of `tree/file` in every way, and loses none: each is numbered, and what gives way to a
/// newer one is kept in `out`. There are more than a hundred. Returns how many there were.
fn edit(place: &Place, out: &Path, done: &AtomicBool) -> usize {
    let (file, own) = (place.path("tree/file"), place.path("tree/own"));
    let keep = |number: usize| fs::rename(&own, out.join(number.to_string())).unwrap();
    let mut number = 0;
    while !done.load(Ordering::Relaxed) || number <= 100 {
        number += 1;
        fs::write(&own, format!("edit {number}\n")).unwrap();
        match number % 4 {
            // Replaced by another file.
            0 | 1 => match renameat_with(CWD, &own, CWD, &file, RenameFlags::EXCHANGE) {
                Ok(()) => keep(number),
                Err(_) => {
                    if renameat_with(CWD, &own, CWD, &file, RenameFlags::NOREPLACE).is_err() {
                        keep(number);
                    }
                }
            },
            // Removed.
            2 => {
                keep(number);
                let _ = renameat_with(CWD, &file, CWD, &own, RenameFlags::NOREPLACE)
                    .map(|()| keep(number + 1_000_000));
            }
            // Changed where it is.
            _ => {
                keep(number);
                number += 1;
                match fs::OpenOptions::new().append(true).open(&file) {
                    Ok(mut open) => writeln!(open, "edit {number}").unwrap(),
                    Err(_) => number -= 1,
                }
            }
        }
    }
    number
}

/// All lines of all files below.
fn lines(at: &Path, into: &mut Vec<String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            lines(&path, into);
        } else {
            into.extend(fs::read_to_string(path).unwrap().lines().map(str::to_owned));
        }
    }
}

#[test]
fn every_version_ever_written_is_somewhere() {
    both_ways(|| {
        let place = Place::new();
        let out = place.path("out");
        fs::create_dir(&out).unwrap();
        let done = AtomicBool::new(false);
        let (mut written, mut installed, mut discarded) = (0, 0, 0);
        let edits = std::thread::scope(|scope| {
            let editor = scope.spawn(|| edit(&place, &out, &done));
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let file = name("file");
                let at = slot(&place.tree, &file);
                // A machine that has much else to do comes to little in that time.
                for round in 0..200 {
                    if round >= 4 && installed > 10 && discarded > 10 {
                        break;
                    }
                    for_a_while(|| {
                        written += 1;
                        let stage = place.staging.stage(&name("1")).unwrap();
                        stage.write_at(format!("ours {written}\n").as_bytes(), 0).unwrap();
                        let new = name(format!("new {written}"));
                        let new = slot(&place.staging, &new);
                        assert!(stage.install_if_free(&SetMeta::default(), new).unwrap().is_some());
                        let Some(seen) = place.tree.stamped(&file).unwrap() else {
                            installed += usize::from(new.move_to(at).unwrap().is_some());
                            return;
                        };
                        let expected = Expected::Version(seen.stamp);
                        if written % 3 == 0 {
                            discarded += usize::from(at.discard(&expected, &place.trash).unwrap().is_some());
                        } else {
                            installed +=
                                usize::from(new.replace(at, &expected, &place.trash).unwrap().is_some());
                        }
                    });
                }
            }));
            done.store(true, Ordering::Relaxed);
            let edits = editor.join();
            outcome.unwrap();
            edits.unwrap()
        });
        assert!(edits > 100 && installed > 10 && discarded > 10, "{edits} {installed} {discarded}");
        let mut found = Vec::new();
        lines(place.at.path(), &mut found);
        found.sort();
        let mut all: Vec<String> = (1..=edits).map(|n| format!("edit {n}")).collect();
        all.extend((1..=written).map(|n| format!("ours {n}")));
        all.sort();
        assert_eq!(found, all);
    });
}
