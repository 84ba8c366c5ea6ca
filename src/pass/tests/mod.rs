//! Passes between real trees: one after the other on one link, and such as were planned.

mod grouped;
mod hostile;
mod planned;
mod repeated;

use super::*;
use crate::delta::StrongKind;
use crate::fs::{Error, Links, Root, SetMeta, Stage};
use crate::report::{Event, Totals};
use crate::tree::{Entry, Name, RelPath};
use crate::view::{Selection, View};
use crate::wire::pump::{self, PumpOptions};
use crate::wire::{Link, Stopper};
use sink::Goal;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// Remembers what was reported.
#[derive(Default)]
struct Heard(Mutex<Vec<Event>>);

impl Reporter for Heard {
    fn report(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Heard {
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    /// What was said about items and problems since it was last asked.
    fn said(&self) -> Vec<String> {
        let mut said: Vec<String> = self
            .take()
            .into_iter()
            .filter_map(|event| match event {
                Event::Item(item) => {
                    Some(format!("{}{}", item.path, if item.change.new { " new" } else { "" }))
                }
                Event::Problem(problem) => {
                    Some(format!("{} {}", problem.doing, String::from_utf8(problem.path).unwrap()))
                }
                _ => None,
            })
            .collect();
        said.sort();
        said
    }
}

fn context(heard: &Arc<Heard>) -> Context {
    let options = Options { recursive: true, times: true, ..Options::default() };
    Context {
        options,
        sums: SumChoice { kind: StrongKind::Xxh3, seed: 1 },
        compare_sums: SumChoice { kind: StrongKind::Xxh3, seed: 1 },
        reporter: heard.clone(),
        progress: Arc::default(),
        local: false,
        open_files: 256,
        paths: crate::fs::Links::Trusted,
        tell_progress: false,
        sweep: Default::default(),
        stop: Arc::default(),
    }
}

/// The two ends of a link over a pair of sockets.
fn pumped() -> (Link, Link) {
    let end = |stream: UnixStream| {
        let reader = Box::new(stream.try_clone().unwrap());
        pump::start(reader, Box::new(stream), Vec::new(), PumpOptions::default()).unwrap().0
    };
    let (here, there) = UnixStream::pair().unwrap();
    (end(here), end(there))
}

/// Both ends of a link are stopped if what is done takes for ever.
fn in_time<T>(stoppers: [Stopper; 2], done: impl FnOnce() -> T) -> T {
    let (over, is_over) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if is_over.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
                stoppers.iter().for_each(Stopper::stop);
            }
        });
        let done = done();
        drop(over);
        done
    })
}

fn stoppers(one: &Link, other: &Link) -> [Stopper; 2] {
    [one, other].map(|link| link.sender.stopper())
}

type Played = Result<Totals, PassError>;

/// One pass; what source and sink returned.
fn pass(
    (source, sink): (&mut Link, &mut Link),
    view: &View,
    goal: Goal<'_>,
    context: &Context,
) -> (Played, Played) {
    in_time(stoppers(source, sink), || {
        thread::scope(|scope| {
            let reading = scope.spawn(|| source::run(source, view, &[], context));
            let written = sink::run(sink, goal, context);
            (reading.join().unwrap(), written)
        })
    })
}

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn root(at: &Path) -> Root {
    Root::open(at.as_os_str(), Links::Trusted).unwrap()
}

/// Makes a file, and the directories it is in.
fn put(at: &Path, name: &str, content: impl AsRef<[u8]>) {
    let at = at.join(name);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, content).unwrap();
}

/// Bytes that look random, `len` of them, different for each seed.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// All files below a directory, with what is in them.
fn files(at: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut all, mut rest) = (BTreeMap::new(), vec![at.to_owned()]);
    while let Some(dir) = rest.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                rest.push(path);
            } else {
                let name = path.strip_prefix(at).unwrap().to_str().unwrap().to_owned();
                all.insert(name, fs::read(path).unwrap());
            }
        }
    }
    all
}

/// Files to fetch, each with whether it is new; and what became of them.
#[derive(Debug, Default)]
struct Plan {
    files: BTreeMap<RelPath, bool>,
    /// Where there is a file that one is much like.
    like: BTreeMap<RelPath, RelPath>,
    /// Those that are not installed.
    refused: Vec<RelPath>,
    /// Is done as soon as these are found to be wanted.
    meanwhile: BTreeMap<RelPath, fn(&Path)>,
    source: PathBuf,
    /// What was installed, and whether it came staged.
    installed: Mutex<BTreeMap<String, bool>>,
}

impl Plan {
    fn new(files: &[(&str, bool)]) -> Plan {
        Plan { files: files.iter().map(|(name, new)| (path(name), *new)).collect(), ..Plan::default() }
    }

    fn selection(&self) -> Selection {
        Selection::new(self.files.keys().cloned())
    }

    fn view(&self, at: &Path) -> View {
        View::planned(root(at).dir().clone(), self.selection())
    }

    fn goal(&self, at: &Path) -> Goal<'_> {
        Goal::Planned { root: root(at), agenda: self }
    }

    fn is_refused(&self, at: &Place<'_>, staged: bool) -> bool {
        assert_eq!(at.path.split_last().unwrap().1, *at.name);
        assert!(self.files.contains_key(at.path));
        let refused = self.refused.contains(at.path);
        if !refused {
            self.installed.lock().unwrap().insert(at.path.as_bytes().escape_ascii().to_string(), staged);
        }
        refused
    }

    /// The names of what was installed, each with whether it came staged.
    fn installed(&self) -> Vec<(String, bool)> {
        std::mem::take(&mut *self.installed.lock().unwrap()).into_iter().collect()
    }
}

impl Agenda for Plan {
    fn wants(&self, path: &RelPath, _: &Entry) -> Option<Planned> {
        if let Some(meanwhile) = self.meanwhile.get(path) {
            meanwhile(&self.source);
        }
        let is_new = *self.files.get(path)?;
        Some(Planned { is_new, like: self.like.get(path).cloned() })
    }

    fn install(&self, at: &Place<'_>, staged: Stage) -> Result<bool, Error> {
        if self.is_refused(at, true) {
            return Ok(false);
        }
        staged.install(&SetMeta::default()).map(|()| true)
    }

    fn write(&self, at: &Place<'_>, content: &[u8]) -> Result<bool, Error> {
        if self.is_refused(at, false) {
            return Ok(false);
        }
        at.dir.write_whole(at.name, content, |_| Ok(()))
    }
}
