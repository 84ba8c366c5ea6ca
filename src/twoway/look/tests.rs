//! Looking back at runs that are played here, step by step, with real files.

mod undoing;

use super::undo::{ToUndo, Undone};
use super::*;
use crate::fs::Stamp;
use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::facet::{Facets, Visible};
use crate::twoway::hiding::Hiding;
use crate::twoway::history::{Acknowledgement, Known, Look, Partner};
use crate::twoway::log::{Ending, Entry, Outcome, Purpose};
use crate::twoway::look::status::{Edit, EditKind, Status};
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::Modes;
use crate::twoway::record::{Record, State};
use crate::twoway::scan::{Observer, ScanOptions, Trouble, scan};
use crate::twoway::version::Author;
use filetime::FileTime;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const PARTNER: Author = Author([7; 16]);

struct Scene {
    at: tempfile::TempDir,
    hiding: Arc<Hiding>,
    stop: AtomicBool,
}

struct Nobody;

impl Observer for Nobody {
    fn trouble(&mut self, path: &RelPath, trouble: &Trouble) {
        panic!("{path}: {trouble}");
    }
}

fn path(path: &str) -> RelPath {
    RelPath::new(path.as_bytes()).unwrap()
}

/// A run that is played: what it does to a path, and what it writes down of it.
struct Playing<'s> {
    scene: &'s Scene,
    hold: Hold,
    run: u64,
    log: Vec<Entry>,
}

impl Scene {
    fn new(files: &[(&str, &str)]) -> Scene {
        let scene =
            Scene { at: tempfile::tempdir().unwrap(), hiding: Arc::default(), stop: AtomicBool::new(false) };
        files.iter().for_each(|(name, content)| scene.write(name, content));
        fs::create_dir(scene.path(".dsync")).unwrap();
        fs::set_permissions(scene.path(".dsync"), fs::Permissions::from_mode(0o700)).unwrap();
        scene.scan();
        scene
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.at.path().join(rest)
    }

    fn write(&self, rest: &str, content: &str) {
        fs::create_dir_all(self.path(rest).parent().unwrap()).unwrap();
        fs::write(self.path(rest), content).unwrap();
    }

    fn read(&self, rest: &str) -> Option<String> {
        fs::read_to_string(self.path(rest)).ok()
    }

    fn mode(&self, rest: &str) -> u32 {
        fs::symlink_metadata(self.path(rest)).unwrap().mode() & 0o7777
    }

    fn options(&self) -> ScanOptions<'_> {
        ScanOptions {
            hiding: &self.hiding,
            modes: Modes::Whole,
            facets: Facets::NONE,
            visible: &Visible::ALL,
            owner: false,
            group: false,
            links: true,
            devices: false,
            specials: false,
            threads: 1,
            began: FileTime::zero(),
            now: FileTime::from_unix_time(1_000_000_000, 0),
            stop: &self.stop,
            unfinished: None,
        }
    }

    fn hold(&self) -> Hold {
        Hold::open(self.at.path().as_os_str()).unwrap().unwrap()
    }

    fn glance(&self) -> Glance {
        Glance::open(self.at.path().as_os_str()).unwrap().unwrap()
    }

    /// Scans and commits, as a run begins.
    fn scan(&self) {
        let mut hold = self.hold();
        let root = hold.replica.root().clone();
        scan(&root, &mut hold.history, &self.options(), &mut Nobody).unwrap().commit().unwrap();
    }

    fn play(&self) -> Playing<'_> {
        self.scan();
        let mut hold = self.hold();
        let purpose = Purpose::Meeting { partner: PARTNER, name: "nas:docs".to_owned(), side: Side::Left };
        let run = hold.history.begin_run(FileTime::from_unix_time(50, 0), purpose, Modes::Whole).unwrap();
        Playing { scene: self, hold, run, log: Vec::new() }
    }

    /// Undoes the last run. What could not be put back, with the reason.
    fn undo(&self) -> (Undone, Vec<String>) {
        let mut hold = self.hold();
        let run = hold.last_to_undo().unwrap().unwrap().run;
        let mut refused = Vec::new();
        let undone = hold.undo(run, FileTime::from_unix_time(60, 0), &mut |entry| {
            refused.extend(entry.problem.as_ref().map(|problem| format!("{}: {problem}", entry.path)));
        });
        (undone.unwrap().unwrap(), refused)
    }

    fn status(&self) -> (Status, Vec<(String, EditKind)>) {
        let mut edits = Vec::new();
        let mut each = |edit: Edit| edits.push((edit.path.to_string(), edit.kind));
        let status = self.glance().status(&self.options(), &mut Nobody, &mut each).unwrap();
        (status, edits)
    }
}

impl Playing<'_> {
    /// Moves what is at a path to the trash, if something is, and returns where it is there.
    fn discard(&self, at: &str) -> Option<RelPath> {
        let kept = self.scene.path(&format!(".dsync/trash/{}/{at}", self.run));
        fs::create_dir_all(kept.parent().unwrap()).unwrap();
        fs::rename(self.scene.path(at), kept).ok().map(|()| path(at))
    }

    fn known(&self, at: &str) -> Option<Record> {
        self.hold.history.known(&path(at)).unwrap().map(|known| known.record)
    }

    /// Writes down that a path has changed from what was known to what is there.
    fn done(&mut self, at: &str, change: Change, trashed: Option<RelPath>) {
        let nothing = Record { state: State::Absent, ..self.known("").unwrap() };
        let before = self.known(at).unwrap_or_else(|| nothing.clone());
        let mut after = before.clone();
        let mut look = None;
        after.state = match fs::symlink_metadata(self.scene.path(at)) {
            Err(_) => State::Absent,
            Ok(meta) => {
                after.attributes.mode = meta.mode() & 0o7777;
                after.mtime = FileTime::from_last_modification_time(&meta);
                let ctime = FileTime::from_unix_time(meta.ctime(), meta.ctime_nsec() as u32);
                let (dev, ino, size) = (meta.dev(), meta.ino(), meta.size());
                let stamp = Stamp { dev, ino, size, mtime: after.mtime, ctime };
                look = Some(Look { stamp, settled: true, facets: Facets::NONE });
                if meta.is_dir() {
                    State::Directory
                } else if meta.is_symlink() {
                    let target = fs::read_link(self.scene.path(at)).unwrap();
                    State::Symlink { target: target.into_os_string().into_encoded_bytes().into() }
                } else {
                    let content = fs::read(self.scene.path(at)).unwrap();
                    let sum = crate::twoway::record::ContentSum(*blake3::hash(&content).as_bytes());
                    State::File { sum, size: meta.len() }
                }
            }
        };
        let why = Why::Clear;
        self.log.push(Entry {
            path: path(at),
            change,
            why,
            before,
            after: after.clone(),
            trashed,
            problem: None,
        });
        let entry = std::mem::take(&mut self.log);
        self.hold.history.installed(&[(path(at), Known::there(after, look))], &entry, &[]).unwrap();
    }

    fn replace(&mut self, at: &str, content: &str) {
        let trashed = self.discard(at);
        self.scene.write(at, content);
        self.done(at, Change::Update, trashed);
    }

    fn create(&mut self, at: &str, content: &str) {
        self.scene.write(at, content);
        self.done(at, Change::Create, None);
    }

    fn remove(&mut self, at: &str) {
        let trashed = self.discard(at);
        self.done(at, Change::Remove, trashed);
    }

    fn remove_dir(&mut self, at: &str) {
        fs::remove_dir(self.scene.path(at)).unwrap();
        self.done(at, Change::Remove, Some(path(at)));
    }

    fn rename(&mut self, from: &str, to: &str) {
        fs::rename(self.scene.path(from), self.scene.path(to)).unwrap();
        self.done(to, Change::Create, None);
        self.done(from, Change::Remove, None);
    }

    fn chmod(&mut self, at: &str, mode: u32) {
        fs::set_permissions(self.scene.path(at), fs::Permissions::from_mode(mode)).unwrap();
        self.done(at, Change::Adjust, None);
    }

    fn end(mut self, outcome: Outcome, pending: &[RelPath]) {
        let acknowledged = self.hold.history.sequence();
        let partner = Partner { acknowledged, received: 0, options: Some([0; 32]), token: [0; 16] };
        let acknowledgement = Acknowledgement { author: PARTNER, partner, pending, records: &[] };
        self.hold.history.acknowledged(&acknowledgement).unwrap();
        self.hold.history.end_run(Ending { at: FileTime::from_unix_time(55, 0), outcome }).unwrap();
    }
}

fn outcome(done: u64, problems: u64) -> Outcome {
    Outcome { done, problems, ..Outcome::default() }
}

#[test]
fn an_undo_puts_back_what_was_replaced_and_deleted() {
    let scene = Scene::new(&[
        ("edited", "old"),
        ("gone", "gone"),
        ("dir/sub/inner", "inner"),
        ("dir/other", "other"),
        ("kind", "file"),
        ("name", "renamed"),
        ("mode", "mode"),
        ("stays", "stays"),
    ]);
    symlink("old-target", scene.path("link")).unwrap();
    fs::set_permissions(scene.path("dir/sub"), fs::Permissions::from_mode(0o550)).unwrap();
    let time = FileTime::from_unix_time(1234, 0);
    filetime::set_file_mtime(scene.path("dir/sub"), time).unwrap();
    let mut run = scene.play();
    run.replace("edited", "new");
    run.create("fresh", "fresh");
    run.rename("name", "renamed");
    run.chmod("mode", 0o600);
    fs::set_permissions(scene.path("dir/sub"), fs::Permissions::from_mode(0o750)).unwrap();
    for at in ["gone", "dir/sub/inner", "dir/other"] {
        run.remove(at);
    }
    run.remove_dir("dir/sub");
    run.remove_dir("dir");
    let trashed = run.discard("kind");
    fs::create_dir(scene.path("kind")).unwrap();
    run.done("kind", Change::Replace, trashed);
    let trashed = run.discard("link");
    symlink("new-target", scene.path("link")).unwrap();
    run.done("link", Change::Update, trashed);
    run.end(outcome(10, 0), &[]);

    let (undone, refused) = scene.undo();
    assert_eq!(refused, [""; 0]);
    assert_eq!((undone.run, undone.number), (1, 2));
    let read = |name: &str| scene.read(name);
    for (name, content) in [
        ("edited", "old"),
        ("gone", "gone"),
        ("dir/sub/inner", "inner"),
        ("dir/other", "other"),
        ("kind", "file"),
        ("name", "renamed"),
        ("stays", "stays"),
        // What it had made where nothing was.
        ("fresh", "fresh"),
        // What gave way.
        (".dsync/trash/2/edited", "new"),
    ] {
        assert_eq!(read(name).as_deref(), Some(content), "{name}");
    }
    assert_eq!((read("renamed"), scene.mode("mode"), scene.mode("dir/sub")), (None, 0o644, 0o550));
    assert_eq!(fs::read_link(scene.path("link")).unwrap().as_os_str(), "old-target");
    assert!(scene.path(".dsync/trash/2/kind").is_dir());
    let meta = fs::metadata(scene.path("dir/sub")).unwrap();
    assert_eq!(FileTime::from_last_modification_time(&meta), time);
    // It is an edit of this replica.
    let (_, edits) = scene.status();
    let edit = |name: &str, kind| (name.to_owned(), kind);
    assert!(edits.contains(&edit("edited", EditKind::Edited)), "{edits:?}");
    assert!(edits.contains(&edit("gone", EditKind::Created)), "{edits:?}");
    assert!(edits.contains(&edit("renamed", EditKind::Removed)), "{edits:?}");
    assert!(edits.contains(&edit("mode", EditKind::Attributes)), "{edits:?}");
    assert!(!edits.iter().any(|(name, _)| name == "stays" || name == "fresh"));
    // And a run that can be undone.
    let (again, refused) = scene.undo();
    assert_eq!((again.run, again.number, refused.len()), (2, 3, 0), "{refused:?}");
    assert_eq!(
        (read("edited").as_deref(), read("name"), read("renamed").as_deref()),
        (Some("new"), None, Some("renamed"))
    );
    assert_eq!(scene.mode("mode"), 0o600);
}

#[test]
fn an_undo_leaves_what_was_changed_since() {
    let names = ["same-size", "longer", "removed", "mode", "taken", "from", "full"];
    let files: Vec<(&str, &str)> = names.iter().map(|name| (*name, "old")).collect();
    let scene = Scene::new(&files);
    let mut run = scene.play();
    for at in ["same-size", "longer", "removed"] {
        run.replace(at, "new");
    }
    run.chmod("mode", 0o600);
    run.remove("taken");
    run.rename("from", "to");
    let trashed = run.discard("full");
    fs::create_dir(scene.path("full")).unwrap();
    run.done("full", Change::Replace, trashed);
    run.end(outcome(7, 0), &[]);
    scene.write("same-size", "NEW");
    scene.write("longer", "newer");
    fs::remove_file(scene.path("removed")).unwrap();
    fs::set_permissions(scene.path("mode"), fs::Permissions::from_mode(0o640)).unwrap();
    scene.write("taken", "mine");
    scene.write("from", "mine");
    scene.write("full/file", "mine");
    let (undone, mut refused) = scene.undo();
    refused.sort();
    assert_eq!(undone.outcome, outcome(0, 7));
    let told: Vec<&str> = refused.iter().filter_map(|told| told.split(": ").next()).collect();
    assert_eq!(told, ["full", "longer", "mode", "removed", "same-size", "taken", "to"]);
    for (name, content) in [
        ("same-size", "NEW"),
        ("longer", "newer"),
        ("taken", "mine"),
        ("from", "mine"),
        ("to", "old"),
        ("full/file", "mine"),
        (".dsync/trash/1/longer", "old"),
    ] {
        assert_eq!(scene.read(name).as_deref(), Some(content), "{name}");
    }
    assert_eq!((scene.read("removed"), scene.mode("mode")), (None, 0o640));
}

#[test]
fn what_is_no_longer_in_the_trash_is_told() {
    let scene = Scene::new(&[("a", "old"), ("b", "old")]);
    let mut run = scene.play();
    run.replace("a", "new");
    run.replace("b", "new");
    run.end(outcome(2, 0), &[]);
    fs::remove_file(scene.path(".dsync/trash/1/a")).unwrap();
    symlink("/etc/passwd", scene.path(".dsync/trash/1/a")).unwrap();
    let (undone, refused) = scene.undo();
    assert_eq!((undone.outcome, refused.len()), (outcome(1, 1), 1));
    assert!(refused[0].starts_with("a: "), "{refused:?}");
    assert_eq!((scene.read("a").as_deref(), scene.read("b").as_deref()), (Some("new"), Some("old")));
}

/// The last run that can be undone, and the last one if that is another.
fn to_undo(scene: &Scene) -> (u64, Option<u64>) {
    let ToUndo { run, lost } = scene.hold().last_to_undo().unwrap().unwrap();
    (run, lost)
}

#[test]
fn a_run_of_which_nothing_is_left_is_passed_over() {
    let scene = Scene::new(&[("a", "1"), ("b", "1")]);
    for (content, second) in [("2", "a"), ("3", "b")] {
        let mut run = scene.play();
        run.replace("a", content);
        if second == "b" {
            run.replace("b", content);
        }
        run.end(outcome(1, 0), &[]);
    }
    assert_eq!(to_undo(&scene), (2, None));
    fs::remove_file(scene.path(".dsync/trash/2/a")).unwrap();
    assert_eq!(to_undo(&scene), (2, None), "one is there");
    fs::remove_dir_all(scene.path(".dsync/trash/2")).unwrap();
    assert_eq!(to_undo(&scene), (1, Some(2)));
    scene.play().end(Outcome::default(), &[]);
    assert_eq!(to_undo(&scene), (1, Some(2)), "it did nothing");
    let mut run = scene.play();
    run.create("new", "x");
    run.end(outcome(1, 0), &[]);
    assert_eq!(to_undo(&scene), (4, None), "nothing was to be put back");
}

#[test]
fn where_nothing_is_left_of_any_it_is_the_last() {
    let scene = Scene::new(&[("a", "1")]);
    for content in ["2", "3"] {
        let mut run = scene.play();
        run.replace("a", content);
        run.end(outcome(1, 0), &[]);
    }
    for run in ["1", "2"] {
        fs::remove_dir_all(scene.path(".dsync/trash").join(run)).unwrap();
    }
    assert_eq!(to_undo(&scene), (2, None));
    let (undone, refused) = scene.undo();
    assert_eq!((undone.run, undone.outcome, refused.len()), (2, outcome(0, 1), 1));
}

#[test]
fn an_undo_of_what_nobody_remembers_does_nothing() {
    let scene = Scene::new(&[("a", "old")]);
    scene.play().end(Outcome::default(), &[]);
    let mut hold = scene.hold();
    assert_eq!(hold.last_to_undo().unwrap(), None);
    assert_eq!(hold.undo(9, FileTime::zero(), &mut |_| panic!()).unwrap(), None);
    assert_eq!(hold.history().last_run(), 1);
}

#[test]
fn status_tells_edits_and_partners() {
    let scene =
        Scene::new(&[("edited", "old"), ("gone", "x"), ("mode", "x"), ("same", "x"), ("touched", "x")]);
    scene.play().end(Outcome { conflicts: 1, ..Outcome::default() }, &[path("in/conflict")]);
    scene.write("edited", "newer");
    scene.write("new/file", "x");
    fs::remove_file(scene.path("gone")).unwrap();
    fs::set_permissions(scene.path("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    filetime::set_file_mtime(scene.path("touched"), FileTime::from_unix_time(9, 0)).unwrap();
    let (status, edits) = scene.status();
    let expected = [
        ("edited", EditKind::Edited),
        ("gone", EditKind::Removed),
        ("mode", EditKind::Attributes),
        ("new", EditKind::Created),
        ("new/file", EditKind::Created),
    ];
    assert_eq!(edits, expected.map(|(name, kind)| (name.to_owned(), kind)));
    assert!(!status.is_interrupted && !status.is_copied);
    let [standing] = &status.partners[..] else { panic!("{status:?}") };
    assert_eq!((standing.author, &standing.pending[..]), (PARTNER, &[path("in/conflict")][..]));
    let last = standing.last.clone().unwrap();
    assert_eq!((last.run, last.name.as_str(), last.outcome.unwrap().conflicts), (1, "nas:docs", 1));
    // A touch is told too.
    assert_eq!(standing.news, Some(6));
    // It was only looked at.
    assert_eq!(scene.status().1, edits);
}

#[test]
fn a_run_that_did_not_end_is_told() {
    let scene = Scene::new(&[("a", "old")]);
    scene.play().end(Outcome::default(), &[]);
    assert!(!scene.status().0.is_interrupted);
    drop(scene.play());
    assert!(scene.status().0.is_interrupted);
    // A later one had nothing to do.
    let at = FileTime::from_unix_time(90, 0);
    scene.hold().history.was_met(PARTNER, at).unwrap();
    let status = scene.status().0;
    assert!(!status.is_interrupted);
    assert_eq!(status.partners[0].last.as_ref().unwrap().at, at);
}

#[test]
fn what_is_no_replica_does_not_become_one() {
    let at = tempfile::tempdir().unwrap();
    assert!(Glance::open(at.path().as_os_str()).unwrap().is_none());
    assert!(Hold::open(at.path().as_os_str()).unwrap().is_none());
    assert_eq!(fs::read_dir(at.path()).unwrap().count(), 0);
    assert!(Glance::open(at.path().join("missing").as_os_str()).is_err());
}
