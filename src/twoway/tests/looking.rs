//! Who only looks at a replica can do all that a run does with its history, and leaves no trace on the disk.

use crate::fs::{Dir, Links, Root};
use crate::tree::RelPath;
use crate::twoway::facet::{Facets, Visible};
use crate::twoway::history::{History, Known, Late, Origin};
use crate::twoway::record::Modes;
use crate::twoway::replica::Replica;
use crate::twoway::scan::{Counts, Observer, ScanOptions, Trouble, scan};
use filetime::FileTime;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

struct Nobody;

impl Observer for Nobody {
    fn trouble(&mut self, path: &RelPath, trouble: &Trouble) {
        panic!("{path}: {trouble}");
    }
}

fn scanned(root: &Dir, history: &mut History, began: FileTime) -> Counts {
    let options = ScanOptions {
        hiding: &Arc::default(),
        modes: Modes::Whole,
        facets: Facets::NONE,
        visible: &Visible::ALL,
        owner: false,
        group: false,
        links: true,
        devices: false,
        specials: false,
        threads: 1,
        began,
        now: FileTime::from_unix_time(1_000_000_000, 0),
        stop: &AtomicBool::new(false),
        unfinished: None,
    };
    scan(root, history, &options, &mut Nobody).unwrap().commit().unwrap()
}

type Trace = (i64, i64, i64, i64, u64, Vec<u8>);

/// Everything below a directory: its times, inode and content.
fn traces(at: &Path) -> BTreeMap<PathBuf, Trace> {
    let mut all = BTreeMap::new();
    let mut left = vec![at.to_owned()];
    while let Some(path) = left.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if meta.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        let times = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
        all.insert(path, (times.0, times.1, times.2, times.3, meta.ino(), content));
    }
    all
}

#[test]
fn it_leaves_no_trace() {
    let at = tempfile::tempdir().unwrap();
    for dir in ["a", "b/c"] {
        fs::create_dir_all(at.path().join(dir)).unwrap();
        for n in 0..300 {
            fs::write(at.path().join(dir).join(n.to_string()), n.to_string()).unwrap();
        }
    }
    let opened = Root::open(at.path().as_os_str(), Links::Trusted).unwrap();
    let root = opened.writable().unwrap();
    let path = |path: &str| RelPath::new(path.as_bytes()).unwrap();
    let replica = Replica::open(&root).unwrap();
    let (mut history, _) = replica.history().unwrap();
    scanned(&root, &mut history, replica.opened_at().unwrap());
    let known = history.known(&path("a/1")).unwrap().unwrap();
    history.intend([(path("a/1"), known.record.clone())]).unwrap();
    let author = history.author();
    drop((history, replica));
    fs::write(at.path().join("a/1"), "edited").unwrap();
    fs::write(at.path().join("new"), "new").unwrap();
    fs::remove_file(at.path().join("b/c/7")).unwrap();

    let before = traces(at.path());
    let looked = Replica::look(opened.dir()).unwrap().unwrap();
    let file = looked.history_file().unwrap();
    let (mut history, origin) = History::open_to_look(file, looked.root()).unwrap();
    assert_eq!((origin, history.author()), (Origin::Known, author));
    history.recover(&[], &Late::default()).unwrap();
    assert_eq!(history.intents().unwrap(), []);
    let counts = scanned(looked.root(), &mut history, looked.opened_at());
    assert_eq!((counts.created, counts.edited, counts.gone), (1, 1, 1));
    history.plan_records([(path("planned"), known.record)]).unwrap();
    assert!(history.known(&path("new")).unwrap().is_some());
    let again = scanned(looked.root(), &mut history, looked.opened_at());
    // What was planned is not there.
    assert_eq!((again.created, again.edited, again.gone), (0, 0, 1));
    drop((history, looked));
    assert!(traces(at.path()) == before);
}

#[test]
fn a_tree_that_is_no_replica_does_not_become_one() {
    let at = tempfile::tempdir().unwrap();
    fs::write(at.path().join("file"), "x").unwrap();
    let before = traces(at.path());
    let root = Root::open(at.path().as_os_str(), Links::Trusted).unwrap().read_only();
    assert!(Replica::look(root.dir()).unwrap().is_none());
    let (mut history, origin) = History::open_to_look(None, root.dir()).unwrap();
    assert_eq!((origin, scanned(root.dir(), &mut history, FileTime::zero()).created), (Origin::New, 1));
    let all: &mut Vec<(RelPath, Known)> = &mut Vec::new();
    history
        .all(&mut |path, known| {
            all.push((path, known));
            Ok(())
        })
        .unwrap();
    assert_eq!(all.len(), 2);
    drop(history);
    assert!(traces(at.path()) == before);
}
