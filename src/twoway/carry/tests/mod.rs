//! Tasks carried out in real trees. What a task that is done means: its record is in the history, a scan finds no edit,
//! and what gave way is in the trash.

mod changes;
mod crashes;
mod names;
mod recovery;
mod refusals;
mod renames;
mod unprivileged;

use super::*;
use crate::fs::{Links, Root};
use crate::pass::{Agenda as _, Place};
use crate::report::Event;
use crate::tree::{Gid, Meta, Node, Uid};
use crate::twoway::decide::Side;
use crate::twoway::facet::{Facets, Visible};
use crate::twoway::hiding::Hiding;
use crate::twoway::log::{Entry, Purpose};
use crate::twoway::reconcile::{Pair, Step};
use crate::twoway::record::ContentSum;
use crate::twoway::record::{Modes, Shared};
use crate::twoway::scan::{Counts, Observer, ScanOptions, Trouble as Unseen, scan};
use crate::twoway::version::{Author, Version};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use tempfile::TempDir;

/// A time long ago, in which everything that is made was modified.
const THEN: i64 = 1_000_000_000;

const RUN: u64 = 1;

struct Scene {
    at: PathBuf,
    /// Goes with it.
    _place: Option<TempDir>,
    replica: Replica,
    history: Option<History>,
    settings: Settings,
}

/// A file as the other side lists it.
fn listed(name: &Name, len: usize) -> crate::tree::Entry {
    let meta = Meta { mode: 0o644, mtime: FileTime::zero(), uid: Uid::ROOT, gid: Gid::ROOT };
    crate::tree::Entry::new(name.clone(), Node::File { size: len as u64 }, meta)
}

/// What was said, a line for each event.
#[derive(Default)]
struct Said(Mutex<Vec<String>>);

/// What came of a run.
struct Came {
    left: Vec<String>,
    said: Vec<String>,
    log: Vec<Entry>,
    totals: Totals,
}

struct Deaf;

impl Observer for Deaf {
    fn trouble(&mut self, path: &RelPath, trouble: &Unseen) {
        panic!("{path}: {trouble}");
    }
}

impl Reporter for Said {
    fn report(&self, event: Event) {
        let line = match event {
            Event::Item(item) => {
                let new = if item.change.new { "new " } else { "" };
                format!("{new}{:?} {}", item.change.action, item.path)
            }
            Event::Deleted { path, .. } => format!("deleted {path}"),
            Event::Problem(problem) => {
                format!("{} {}: {}", problem.doing, String::from_utf8_lossy(&problem.path), problem.cause)
            }
            other => format!("{other:?}"),
        };
        lock(&self.0).push(line);
    }
}

fn path(path: &str) -> RelPath {
    RelPath::new(path.strip_prefix('.').filter(|rest| rest.is_empty()).unwrap_or(path).as_bytes()).unwrap()
}

fn file(content: &str) -> State {
    let sum = ContentSum(*blake3::hash(content.as_bytes()).as_bytes());
    State::File { sum, size: content.len() as u64 }
}

fn link(target: &str) -> State {
    State::Symlink { target: target.as_bytes().into() }
}

fn scan_options<'a>(hiding: &'a Arc<Hiding>, stop: &'a AtomicBool, began: FileTime) -> ScanOptions<'a> {
    ScanOptions {
        hiding,
        modes: Modes::Whole,
        facets: Facets::NONE,
        visible: &Visible::ALL,
        owner: false,
        group: false,
        links: true,
        devices: true,
        specials: true,
        threads: 1,
        began,
        now: FileTime::zero(),
        stop,
        unfinished: None,
    }
}

impl Scene {
    /// A tree with these files (a content), directories (`/`) and links (`->` target).
    fn new(entries: &[(&str, &str)]) -> Scene {
        let at = tempfile::tempdir().unwrap();
        let root = Root::open(at.path().as_os_str(), Links::Trusted).unwrap().writable().unwrap();
        let mut scene = Scene::in_place(Some(at), root);
        for (path, what) in entries {
            scene.put(path, what);
        }
        scene.scan();
        scene
    }

    /// What is at a root already.
    fn in_place(place: Option<TempDir>, root: WriteDir) -> Scene {
        let replica = Replica::open(&root).unwrap();
        let (history, _) = replica.history().unwrap();
        let detail = Detail { changes: true, attributes: true, ..Detail::default() };
        let shared = Shared { modes: Modes::Whole, facets: Facets::NONE };
        let holds = Facets::held_by(&root);
        let settings = Settings {
            shared,
            holds,
            owner: false,
            group: false,
            is_root: false,
            keep_trash: true,
            umask: 0o022,
            detail,
        };
        let at = place.as_ref().map(|place| place.path().to_owned()).unwrap_or_default();
        Scene { at, _place: place, replica, history: Some(history), settings }
    }

    fn recover(&mut self) {
        let mut history = self.history.take().unwrap();
        recover(&self.replica, &mut history, self.settings.shared.modes).unwrap();
        assert_eq!(history.intents().unwrap(), []);
        self.history = Some(history);
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.at.join(rest)
    }

    fn put(&self, path: &str, what: &str) {
        let at = self.path(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match (what, what.strip_prefix("->")) {
            ("/", _) => fs::create_dir(&at).unwrap(),
            (_, Some(target)) => symlink(target, &at).unwrap(),
            (content, None) => fs::write(&at, content).unwrap(),
        }
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Everything below a directory, one line each.
    fn tree(&self, below: &str) -> Vec<String> {
        let mut all = Vec::new();
        let from = self.path(below);
        if from.exists() {
            list(&from, &from, &mut all);
        }
        all.sort();
        all
    }

    fn trash(&self) -> Vec<String> {
        self.tree(&format!(".dsync/trash/{RUN}"))
    }

    fn history(&mut self) -> &mut History {
        self.history.as_mut().unwrap()
    }

    fn scan(&mut self) -> Counts {
        let (hiding, stop) = (Arc::default(), AtomicBool::new(false));
        let began = self.replica.opened_at().unwrap();
        let Shared { modes, facets } = self.settings.shared;
        let options = ScanOptions { modes, facets, ..scan_options(&hiding, &stop, began) };
        let root = self.replica.root().clone();
        scan(&root, self.history(), &options, &mut Deaf).unwrap().commit().unwrap()
    }

    fn record(&self, at: &str) -> Record {
        let known = self.history.as_ref().unwrap().known(&path(at)).unwrap();
        known.map_or_else(Record::never, |known| known.record)
    }

    /// The task that makes of what is at a path now what `change` makes of its record.
    fn task(&self, at: &str, change: impl FnOnce(&mut Record)) -> Task {
        let before = self.record(at);
        let mut after = before.clone();
        change(&mut after);
        let by = |version: &Version| Arc::new(version.edited(Author([9; 16]), 1));
        (after.content, after.meta) = (by(&after.content), by(&after.meta));
        let pair = |record: &Record| Pair { left: record.clone(), right: record.clone() };
        let step = Step {
            path: path(at),
            why: Why::Clear,
            before: pair(&before),
            after: pair(&after),
            noted: Vec::new(),
        };
        Task::new(step, Side::Left)
    }

    /// The same with another state, a mode and an old time.
    fn becomes(&self, at: &str, state: State, mode: u32) -> Task {
        self.task(at, |record| {
            record.attributes.mode = if matches!(state, State::Symlink { .. }) { 0o777 } else { mode };
            record.state = state;
            record.mtime = FileTime::from_unix_time(THEN, 5);
        })
    }

    fn goes(&self, at: &str) -> Task {
        self.task(at, |record| record.state = State::Absent)
    }

    fn begin(&mut self, tasks: Vec<Task>) -> (Carrier, Arc<Said>) {
        let said = Arc::new(Said::default());
        let tasks = Arc::new(Tasks::told(tasks.into_iter().collect()));
        let mut history = self.history.take().unwrap();
        let purpose =
            Purpose::Meeting { partner: Author([2; 16]), name: "there".to_owned(), side: Side::Left };
        let run = history.begin_run(FileTime::zero(), purpose, Modes::Whole).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let carrier =
            Carrier::new(&self.replica, history, run, tasks, self.settings, said.clone(), stop).unwrap();
        (carrier, said)
    }

    /// Plays the pass: fetches what is wanted, of these contents.
    fn fetch(&self, carrier: &Carrier, contents: &[(&str, &str)]) -> Vec<bool> {
        let fetch = |(at, content): &(&str, &str)| {
            let at = path(at);
            let (parent, name) = at.split_last().unwrap();
            carrier.wants(&at, &listed(&name, content.len()))?;
            let dir = self.replica.root().open_beneath_writable(&parent).unwrap();
            let place = Place { path: &at, dir: &dir, name: &name };
            let bytes = content.as_bytes();
            Some(if bytes.len() % 2 == 0 {
                carrier.write(&place, bytes).unwrap()
            } else {
                let stage = dir.stage(&name).unwrap();
                stage.write_at(bytes, 0).unwrap();
                carrier.install(&place, stage).unwrap()
            })
        };
        contents.iter().filter_map(fetch).collect()
    }

    fn end(&mut self, carrier: Carrier, said: &Said) -> Came {
        let tasks = carrier.tasks.clone();
        let ended = carrier.ended().unwrap();
        let log = ended.history.entries(ended.history.last_run()).unwrap().map(Result::unwrap).collect();
        self.history = Some(ended.history);
        let left = ended.left.iter().map(|number| tasks.get(*number).unwrap().path.to_string()).collect();
        let said = std::mem::take(&mut *lock(&said.0));
        Came { left, said, log, totals: ended.totals }
    }

    /// Carries out tasks; `meanwhile` is what somebody does before anything is made.
    fn run_with(
        &mut self,
        tasks: Vec<Task>,
        contents: &[(&str, &str)],
        meanwhile: impl FnOnce(&Scene),
    ) -> Came {
        let (carrier, said) = self.begin(tasks);
        meanwhile(self);
        carrier.copy_losers().unwrap();
        carrier.write_down().unwrap();
        carrier.find_names(&|_| true).unwrap();
        carrier.make().unwrap();
        self.fetch(&carrier, contents);
        carrier.finish().unwrap();
        self.end(carrier, &said)
    }

    /// The same undisturbed: everything is done, and is known to be.
    fn run(&mut self, tasks: Vec<Task>, contents: &[(&str, &str)]) -> Came {
        let came = self.run_with(tasks.clone(), contents, |_| {});
        assert_eq!((&came.left, came.totals.failed), (&Vec::new(), 0), "{:?}", came.said);
        assert_eq!(came.log.len(), tasks.iter().filter(|task| task.here.is_some()).count());
        self.is_known(&tasks);
        came
    }

    /// What was done is in the history, and a scan finds nothing.
    fn is_known(&mut self, tasks: &[Task]) {
        for task in tasks {
            assert_eq!(self.record(&task.path.to_string()), task.after, "{}", task.path);
        }
        assert_eq!(self.history().intents().unwrap(), []);
        assert_eq!(self.tree(".dsync/staging"), [""; 0]);
        let counts = self.scan();
        assert!(!counts.has_edits() && counts.touched == 0, "{counts:?}");
    }

    /// Time and mode of an entry.
    fn looks(&self, path: &str) -> (i64, u32) {
        let meta = fs::symlink_metadata(self.path(path)).unwrap();
        (meta.mtime(), meta.mode() & 0o7777)
    }
}

fn list(root: &std::path::Path, at: &std::path::Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(at).unwrap() {
        let path = entry.unwrap().path();
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        if name == ".dsync" {
            continue;
        }
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.is_dir() {
            all.push(format!("{name}/"));
            list(root, &path, all);
        } else if meta.is_symlink() {
            all.push(format!("{name}->{}", fs::read_link(&path).unwrap().display()));
        } else if meta.is_file() {
            all.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
        } else {
            all.push(format!("{name}|"));
        }
    }
}
