//! Somebody goes on working while runs go on, on both sides, and every version is accounted for.
//!
//! Each version has a number and a content that tells it. Whoever overwrites or deletes looks at what that was: it is
//! given up by its author. Everything else is in the end in one of the trees or in a trash.

use crate::oracle::random::Random;
use crate::support::command::{Invocation, Output};
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use crate::two_way::Two;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::process::Signal;
use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const NAMES: [&str; 7] = ["a", "b", "c.txt", "dir/a", "dir/b", "dir/deep/c", "new/d"];
/// How long somebody works at least.
const WORK: Duration = Duration::from_secs(4);
/// And at most, on a machine that is too busy for enough to happen in that time.
const LONGEST: Duration = Duration::from_secs(120);
/// How many runs come to their end meanwhile, and how many versions are written.
const ENOUGH: (usize, u64) = (6, 51);

/// What an editor did.
#[derive(Default)]
struct Done {
    written: BTreeSet<u64>,
    given_up: BTreeSet<u64>,
}

/// Some hundred to some ten thousand bytes that no other version has.
fn content_of(version: u64) -> Vec<u8> {
    let length = 100 + usize::try_from(version % 40).unwrap() * 700;
    [
        format!("version {version}\n").as_bytes(),
        &noise(length, version),
        format!("\nend of {version}").as_bytes(),
    ]
    .concat()
}

/// Which version this is, if it is a whole one.
fn version_of(content: &[u8]) -> Option<u64> {
    let line = content.strip_prefix(b"version ")?.split(|byte| *byte == b'\n').next()?;
    let version = std::str::from_utf8(line).ok()?.parse().ok()?;
    (content_of(version) == content).then_some(version)
}

struct Editor<'a> {
    root: PathBuf,
    /// A place of its own on the same file system.
    desk: PathBuf,
    random: Random,
    versions: &'a AtomicU64,
    /// How many were written, by all editors.
    written: &'a AtomicU64,
    done: Done,
}

impl Editor<'_> {
    fn work(mut self, until: &AtomicBool) -> Done {
        while !until.load(Ordering::Relaxed) {
            let path = self.root.join(self.random.pick(&NAMES));
            // Whatever a run has just moved away is not there, and the next thing is done.
            let _ = match self.random.below(10) {
                0..3 => self.rewrite(&path),
                3..6 => self.replace(&path),
                6..8 => self.create(&path),
                8 => self.delete(&path),
                _ => self.rename(&path),
            };
            thread::sleep(Duration::from_micros(200 + u64::try_from(self.random.below(4000)).unwrap()));
        }
        self.done
    }

    fn wrote(&mut self, version: u64) {
        self.done.written.insert(version);
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    fn next(&mut self) -> (u64, Vec<u8>) {
        let version = self.versions.fetch_add(1, Ordering::Relaxed);
        (version, content_of(version))
    }

    /// In place, in two steps.
    fn rewrite(&mut self, path: &Path) -> std::io::Result<()> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut old = Vec::new();
        file.read_to_end(&mut old)?;
        self.done.given_up.extend(version_of(&old));
        let (version, content) = self.next();
        file.set_len(0)?;
        file.rewind()?;
        let (first, second) = content.split_at(content.len() / 2);
        file.write_all(first)?;
        thread::sleep(Duration::from_micros(u64::try_from(self.random.below(1500)).unwrap()));
        file.write_all(second)?;
        self.wrote(version);
        Ok(())
    }

    fn write_at_desk(&mut self) -> std::io::Result<(u64, PathBuf)> {
        let (version, content) = self.next();
        let at = self.desk.join(version.to_string());
        fs::write(&at, content)?;
        Ok((version, at))
    }

    /// A new file takes the name; by an exchange, so that what had it can be looked at.
    fn replace(&mut self, path: &Path) -> std::io::Result<()> {
        let (version, new) = self.write_at_desk()?;
        renameat_with(CWD, &new, CWD, path, RenameFlags::EXCHANGE)?;
        self.wrote(version);
        self.give_up(&new)
    }

    fn create(&mut self, path: &Path) -> std::io::Result<()> {
        fs::create_dir_all(path.parent().unwrap())?;
        let (version, new) = self.write_at_desk()?;
        renameat_with(CWD, &new, CWD, path, RenameFlags::NOREPLACE)?;
        self.wrote(version);
        Ok(())
    }

    fn delete(&mut self, path: &Path) -> std::io::Result<()> {
        let away = self.desk.join("away");
        fs::rename(path, &away)?;
        self.give_up(&away)
    }

    fn give_up(&mut self, at: &Path) -> std::io::Result<()> {
        self.done.given_up.extend(version_of(&fs::read(at)?));
        fs::remove_file(at)
    }

    fn rename(&mut self, path: &Path) -> std::io::Result<()> {
        let to = self.root.join(self.random.pick(&NAMES));
        Ok(renameat_with(CWD, path, CWD, to, RenameFlags::NOREPLACE)?)
    }
}

/// The versions in all files at and below a directory.
fn versions(at: &Path, found: &mut BTreeSet<u64>) {
    for entry in fs::read_dir(at).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            versions(&path, found);
        } else {
            found.extend(version_of(&fs::read(path).unwrap()));
        }
    }
}

/// How a run is disturbed.
#[derive(Clone, Copy, PartialEq)]
enum Disturbed {
    Never,
    Often,
}

/// One run, which may be ended by a signal after a while.
fn run(invocation: Invocation, signal: Option<Signal>, random: &mut Random) -> Output {
    let running = invocation.start();
    if let Some(signal) = signal {
        thread::sleep(Duration::from_micros(u64::try_from(random.below(25_000)).unwrap()));
        running.signal(signal);
    }
    running.finish()
}

fn work_while_runs_go_on(way: Way, disturbed: Disturbed, seed: u64) {
    let two = Two { scene: Scene::in_memory().tree("left", &Tree::new()).tree("right", &Tree::new()), way };
    let scene = &two.scene;
    let (counter, written, stop) = (AtomicU64::new(1), AtomicU64::new(0), AtomicBool::new(false));
    let invocation = |policy: &str| {
        let options = ["-2", "--allow-mass-delete", &format!("--conflict={policy}")];
        way.copy(&options, &[scene.path("left")], scene.path("right"))
    };
    let (mut runs, mut complete) = (0, 0);
    let done = thread::scope(|scope| {
        let editors = ["left", "right"].map(|side| {
            let desk = scene.path(&format!("desk of the {side}"));
            fs::create_dir(&desk).unwrap();
            let editor = Editor {
                root: scene.path(side),
                desk,
                random: Random::new(seed * 2 + u64::from(side == "left")),
                versions: &counter,
                written: &written,
                done: Done::default(),
            };
            let stop = &stop;
            scope.spawn(move || editor.work(stop))
        });
        let (started, random) = (Instant::now(), &mut Random::new(seed));
        let mut odd = None;
        let is_enough = |complete| complete >= ENOUGH.0 && written.load(Ordering::Relaxed) >= ENOUGH.1;
        let goes_on = |complete| match started.elapsed() {
            elapsed if elapsed < WORK => true,
            elapsed => elapsed < LONGEST && !is_enough(complete),
        };
        while goes_on(complete) && odd.is_none() {
            let signals = [Some(Signal::KILL), Some(Signal::TERM), None];
            let signal = if disturbed == Disturbed::Often { signals[random.below(3)] } else { None };
            let output = run(invocation(["keep-both", "skip", "newer"][runs % 3]), signal, random);
            runs += 1;
            let allowed = match (output.code, signal) {
                (Some(0 | 23 | 40), _) => true,
                (Some(20), Some(Signal::TERM)) | (None, Some(Signal::KILL)) => true,
                // Before it listens to signals.
                (None, Some(Signal::TERM)) => output.signal == Some(Signal::TERM.as_raw()),
                _ => false,
            };
            complete += usize::from(output.code.is_some() && output.code != Some(20));
            odd = (!allowed).then_some(output);
        }
        stop.store(true, Ordering::Relaxed);
        let done = editors.map(|editor| editor.join().unwrap());
        assert!(odd.is_none(), "{way:?}: {}", odd.unwrap());
        done
    });
    invocation("keep-both").run().success();
    invocation("keep-both").run().success();
    two.assert_same();
    let mut found = BTreeSet::new();
    ["left", "right"].iter().for_each(|side| versions(&scene.path(side), &mut found));
    let [left, right] = done;
    let given_up: BTreeSet<u64> = left.given_up.union(&right.given_up).copied().collect();
    let written: BTreeSet<u64> = left.written.union(&right.written).copied().collect();
    let lost: Vec<_> = written.difference(&given_up).filter(|version| !found.contains(version)).collect();
    println!(
        "{way:?}: {runs} runs, {complete} complete; {} versions, {} given up",
        written.len(),
        given_up.len()
    );
    assert!(lost.is_empty(), "{way:?}: {lost:?} of {} are lost", written.len());
    assert!(complete >= ENOUGH.0 && written.len() as u64 >= ENOUGH.1, "{way:?}: too little happened");
}

#[test]
fn every_version_is_accounted_for() {
    for (way, seed) in Way::plain().into_iter().zip(1..) {
        work_while_runs_go_on(way, Disturbed::Never, seed);
    }
}

#[test]
fn every_version_is_accounted_for_where_runs_are_killed() {
    for (way, seed) in Way::plain().into_iter().zip(11..) {
        work_while_runs_go_on(way, Disturbed::Often, seed);
    }
}
