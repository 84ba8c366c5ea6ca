//! Scans of real trees, case by case; [`edits`] holds them against an independent reading of random ones.

mod edits;
mod hidden;

use super::*;
use crate::fs::{Links, Root};
use crate::tree::filter::{Action, Rule, Rules};
use crate::twoway::history::{Known, Origin};
use crate::twoway::record::{ContentSum, State};
use crate::twoway::replica::Replica;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use tempfile::TempDir;

struct Scene {
    at: TempDir,
    replica: Replica,
    history: History,
    rules: Rules,
    specials: bool,
    facets: Facets,
    visible: Visible,
}

#[derive(Default)]
struct Troubles(Vec<String>);

impl Observer for Troubles {
    fn trouble(&mut self, path: &RelPath, trouble: &Trouble) {
        self.0.push(format!("{path}: {trouble}"));
    }
}

impl Scene {
    fn new() -> Scene {
        let at = tempfile::tempdir().unwrap();
        let (replica, history, origin) = open(at.path());
        assert_eq!(origin, Origin::New);
        Scene {
            at,
            replica,
            history,
            rules: Rules::new(),
            specials: false,
            facets: Facets::NONE,
            visible: Visible::ALL,
        }
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.at.path().join(rest)
    }

    fn write(&self, rest: &str, content: &str) {
        fs::create_dir_all(self.path(rest).parent().unwrap()).unwrap();
        fs::write(self.path(rest), content).unwrap();
    }

    /// Scans and commits, as a run of its own.
    fn scan(&mut self) -> (Counts, Vec<String>) {
        // The file of the lock is written by whoever opens the replica: that is its clock.
        let clock = self.path(".dsync/clock");
        fs::write(&clock, "x").unwrap();
        self.scan_at(FileTime::from_last_modification_time(&fs::metadata(clock).unwrap()))
    }

    /// The same at another time.
    fn scan_at(&mut self, began: FileTime) -> (Counts, Vec<String>) {
        let mut troubles = Troubles::default();
        let options = ScanOptions {
            hiding: &Arc::new(Hiding::of_rules(&self.rules)),
            modes: Modes::Whole,
            facets: self.facets,
            visible: &self.visible,
            owner: false,
            group: false,
            links: true,
            devices: false,
            specials: self.specials,
            threads: 2,
            began,
            now: FileTime::from_unix_time(1_000_000_000, 0),
            stop: &AtomicBool::new(false),
            unfinished: None,
        };
        let root = self.replica.root().clone();
        let counts = scan(&root, &mut self.history, &options, &mut troubles).unwrap().commit().unwrap();
        (counts, troubles.0)
    }

    fn known(&self, path: &str) -> Option<Known> {
        self.history.known(&RelPath::new(path.as_bytes()).unwrap()).unwrap()
    }

    fn state(&self, path: &str) -> State {
        self.known(path).unwrap().told().state
    }

    fn all(&self) -> BTreeMap<String, Known> {
        let mut all = BTreeMap::new();
        self.history
            .all(&mut |path, known| {
                all.insert(String::from_utf8(path.as_bytes().to_vec()).unwrap(), known);
                Ok(())
            })
            .unwrap();
        all
    }

    /// Waits until no stamp can hide a change any more.
    fn settle(&self) {
        std::thread::sleep(std::time::Duration::from_millis(30));
    }
}

fn open(at: &Path) -> (Replica, History, Origin) {
    let root = Root::open(at.as_os_str(), Links::Trusted).unwrap().writable().unwrap();
    let replica = Replica::open(&root).unwrap();
    let (history, origin) = replica.history().unwrap();
    (replica, history, origin)
}

fn sum(content: &[u8]) -> ContentSum {
    ContentSum(*blake3::hash(content).as_bytes())
}

#[test]
fn an_unchanged_tree_is_not_read_and_writes_nothing() {
    let mut scene = Scene::new();
    for file in ["a", "b/c", "b/d/e"] {
        scene.write(file, file);
    }
    scene.settle();
    let (counts, _) = scene.scan();
    assert_eq!((counts.created, counts.read, counts.entries), (5, 3, 5));
    let history = fs::read(scene.path(".dsync/history")).unwrap();
    let (counts, _) = scene.scan();
    assert_eq!((counts.has_edits(), counts.touched, counts.read), (false, 0, 0));
    assert!(fs::read(scene.path(".dsync/history")).unwrap() == history);
}

#[test]
fn what_was_changed_a_moment_ago_is_read_again() {
    let mut scene = Scene::new();
    scene.write("file", "1");
    let changed = fs::metadata(scene.path("file")).unwrap();
    let mut read_after = |milliseconds: i64| {
        let nanoseconds = changed.ctime() * 1_000_000_000 + changed.ctime_nsec() + milliseconds * 1_000_000;
        let (seconds, rest) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
        scene.scan_at(FileTime::from_unix_time(seconds, rest as u32)).0.read
    };
    assert_eq!([1, 10, 5000, 5001, 5002].map(&mut read_after), [1, 1, 1, 0, 0]);
}

#[test]
fn nothing_is_written_before_it_is_committed() {
    let mut scene = Scene::new();
    for file in ["a", "b"] {
        scene.write(file, file);
    }
    scene.scan();
    for file in ["a", "b"] {
        fs::remove_file(scene.path(file)).unwrap();
    }
    let options = ScanOptions {
        hiding: &Arc::default(),
        modes: Modes::Whole,
        facets: Facets::NONE,
        visible: &Visible::ALL,
        owner: true,
        group: true,
        links: true,
        devices: true,
        specials: true,
        threads: 1,
        began: FileTime::zero(),
        now: FileTime::zero(),
        stop: &AtomicBool::new(false),
        unfinished: None,
    };
    let root = scene.replica.root().clone();
    let before = (scene.all(), scene.history.sequence(), scene.history.generation());
    let findings = scan(&root, &mut scene.history, &options, &mut Troubles::default()).unwrap();
    assert!(findings.counts().is_emptied());
    drop(findings);
    assert_eq!((scene.all(), scene.history.sequence(), scene.history.generation()), before);
    let stopped = ScanOptions { stop: &AtomicBool::new(true), ..options };
    let error = scan(&root, &mut scene.history, &stopped, &mut Troubles::default()).unwrap_err();
    assert!(matches!(error, TwoWayError::Stopped));
    assert!(!scene.scan().0.is_emptied() || scene.state("a") == State::Absent);
}

#[test]
fn what_the_rules_hide_keeps_its_record() {
    let mut scene = Scene::new();
    for file in ["dir/a.o", "dir/b", "gone/c", "x.o"] {
        scene.write(file, "1");
    }
    scene.scan();
    let before = scene.all();
    scene.rules.push(Rule::new(Action::Exclude, *b"*.o")).unwrap();
    scene.rules.push(Rule::new(Action::Exclude, *b"/gone/")).unwrap();
    fs::remove_dir_all(scene.path("gone")).unwrap();
    fs::remove_file(scene.path("x.o")).unwrap();
    scene.write("dir/a.o", "2");
    scene.write("dir/new.o", "2");
    let (counts, _) = scene.scan();
    assert!(!counts.has_edits(), "{counts:?}");
    let after = scene.all();
    for hidden in ["dir/a.o", "gone", "gone/c", "x.o"] {
        assert_eq!(after[hidden], before[hidden]);
    }
    assert!(!after.contains_key("dir/new.o"));
    scene.rules = Rules::new();
    let (counts, _) = scene.scan();
    assert_eq!((counts.created, counts.edited, counts.gone, counts.gone_files), (1, 1, 3, 2));
}

#[test]
fn what_is_not_synchronised_is_unknown_and_the_rest_goes_on() {
    let mut scene = Scene::new();
    scene.write("was-file", "1");
    scene.write("file", "1");
    scene.scan();
    let version = scene.known("was-file").unwrap().record.content;
    fs::remove_file(scene.path("was-file")).unwrap();
    for fifo in ["was-file", "new"] {
        rustix::fs::mknodat(
            rustix::fs::CWD,
            scene.path(fifo),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::from_raw_mode(0o600),
            0,
        )
        .unwrap();
    }
    scene.write("file", "2");
    let (counts, troubles) = scene.scan();
    assert_eq!(troubles, ["new: a Fifo is not synchronised", "was-file: a Fifo is not synchronised"]);
    assert_eq!((counts.unknown, counts.edited, counts.gone), (2, 1, 0));
    // Where nothing was known there is nothing to tell, but that something is in the way.
    assert!(scene.known("new").is_none() && scene.known("").unwrap().record.occupied);
    assert_eq!(scene.state("was-file"), State::Unknown);
    assert_eq!(scene.known("was-file").unwrap().record.content, version);
    let sequence = scene.history.sequence();
    assert_eq!((scene.scan().0.unknown, scene.history.sequence()), (2, sequence));
    // With them it is an edit; without, it never was one.
    scene.specials = true;
    assert_eq!(scene.scan().0.created, 2);
    fs::remove_file(scene.path("new")).unwrap();
    assert_eq!(scene.scan().0.gone, 1);
}

#[test]
fn what_cannot_be_read_keeps_its_records() {
    let mut scene = Scene::new();
    for file in ["dir/deep/file", "dir-after", "dir/file", "loop"] {
        scene.write(file, "1");
    }
    scene.scan();
    let before = scene.all();
    // A directory that is elsewhere than its listing says: the same as one that may not be read, for root too.
    let mut findings = Vec::new();
    let hidden = scene.path("hidden");
    fs::rename(scene.path("dir"), &hidden).unwrap();
    fs::create_dir(scene.path("dir")).unwrap();
    let mounted =
        std::process::Command::new("mount").args(["-t", "tmpfs", "none"]).arg(scene.path("dir")).status();
    if !crate::testing::is_root() || !mounted.is_ok_and(|status| status.success()) {
        return crate::testing::missing("the right to mount");
    }
    fs::remove_dir_all(hidden).unwrap();
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| findings.push(scene.scan())));
    let unmounted = std::process::Command::new("umount").arg("-l").arg(scene.path("dir")).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    outcome.unwrap();
    let (counts, troubles) = findings.remove(0);
    assert_eq!(troubles, ["dir: it is on another file system"]);
    assert_eq!((counts.has_edits(), counts.unknown), (false, 1));
    let after = scene.all();
    for kept in ["dir/deep", "dir/deep/file", "dir/file"] {
        assert_eq!(after[kept], before[kept]);
    }
    assert_eq!(after["dir"].told().state, State::Unknown);
    assert_eq!(after["dir"].record.content, before["dir"].record.content);
}

#[test]
fn a_kept_directory_lives_again_once_something_visible_is_inside() {
    let mut scene = Scene::new();
    scene.write("dir/inner/ignored.o", "1");
    scene.write("dir/ignored.o", "1");
    scene.rules.push(Rule::new(Action::Exclude, *b"*.o")).unwrap();
    scene.scan();
    let removed = |scene: &Scene, path: &str| {
        let mut record = scene.known(path).unwrap().record;
        record.state = State::Absent;
        assert!(record.occupied);
        let known = Known::there(record, None);
        (RelPath::new(path.as_bytes()).unwrap(), known)
    };
    let done = [removed(&scene, "dir"), removed(&scene, "dir/inner")];
    scene.history.installed(&done, &[], &[]).unwrap();
    let before = scene.all();
    let (counts, _) = scene.scan();
    assert!(!counts.has_edits());
    assert_eq!(scene.all(), before);
    scene.write("dir/inner/visible", "1");
    assert_eq!(scene.scan().0.created, 3);
    for path in ["dir", "dir/inner"] {
        let known = scene.known(path).unwrap();
        assert_eq!((known.record.state, known.record.occupied), (State::Directory, true));
    }
    // A kept one that goes altogether only frees its name.
    let done = [removed(&scene, "dir")];
    scene.history.installed(&done, &[], &[]).unwrap();
    let version = scene.known("dir").unwrap().record.content;
    fs::remove_dir_all(scene.path("dir")).unwrap();
    scene.scan();
    let known = scene.known("dir").unwrap();
    let crate::twoway::record::Record { state, occupied, content, .. } = known.record;
    assert_eq!((state, occupied, content), (State::Absent, false, version));
}

#[test]
fn a_directory_knows_whether_it_holds_what_takes_no_part() {
    let mut scene = Scene::new();
    scene.rules.push(Rule::new(Action::Exclude, *b"*.o")).unwrap();
    scene.write("plain/file", "1");
    scene.write("deep/inner/ignored.o", "1");
    scene.write("replica/.dsync/history", "1");
    // What a killed run left can go with its directory.
    scene.write("left/.dsync-0123456789abcdef01234567.part", "1");
    scene.scan();
    let occupied = |scene: &Scene, path: &str| scene.known(path).unwrap().record.occupied;
    for (path, expected) in
        [("plain", false), ("left", false), ("deep", true), ("deep/inner", true), ("replica", true)]
    {
        assert_eq!(occupied(&scene, path), expected, "{path}");
    }
    let versions = |scene: &Scene| scene.known("deep").map(|known| (known.record.content, known.record.meta));
    let before = versions(&scene);
    fs::remove_file(scene.path("deep/inner/ignored.o")).unwrap();
    assert!(!scene.scan().0.has_edits());
    assert!(!occupied(&scene, "deep") && !occupied(&scene, "deep/inner"));
    assert_eq!(versions(&scene), before);
}

#[test]
fn a_file_that_does_not_keep_still_is_unknown() {
    let mut scene = Scene::new();
    scene.write("busy", "1");
    scene.write("calm", "-");
    scene.scan();
    let (done, growing) = (AtomicBool::new(false), AtomicBool::new(false));
    let path = scene.path("busy");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Long enough to be changed while it is read.
            let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.set_len(64 << 20).unwrap();
            while !done.load(Ordering::Relaxed) {
                std::io::Write::write_all(&mut &file, b"x").unwrap();
                growing.store(true, Ordering::Relaxed);
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while !growing.load(Ordering::Relaxed) {
                scene.settle();
            }
            // Who is made to wait may miss the reader.
            for round in 0..20 {
                let before = scene.known("busy").unwrap().record;
                scene.write("calm", &round.to_string());
                let (counts, troubles) = scene.scan();
                if counts.unknown == 0 {
                    continue;
                }
                assert_eq!(troubles, ["busy: it keeps changing"]);
                assert_eq!((counts.unknown, counts.edited), (1, 1));
                assert_eq!(scene.state("busy"), State::Unknown);
                assert_eq!(scene.known("busy").unwrap().record, before);
                return;
            }
            panic!("it was never seen to change");
        }));
        done.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    assert_eq!(scene.scan().0.edited, 1);
    assert_ne!(scene.state("busy"), State::Unknown);
}

#[test]
fn a_deep_tree_is_walked_with_few_handles() {
    let mut scene = Scene::new();
    let deep = vec!["d"; 300].join("/");
    scene.write(&format!("{deep}/file"), "1");
    scene.write("d/z", "1");
    assert_eq!(scene.scan().0.created, 302);
    scene.write(&format!("{deep}/file"), "2");
    scene.write("d/z", "2");
    assert_eq!(scene.scan().0.edited, 2);
}
