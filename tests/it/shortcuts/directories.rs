//! Directories that are compared by fingerprints and by the sums of their buckets, against the same run that compares
//! every entry.
//!
//! A case is drawn from a seed: a source with large directories, a destination that differs in a few entries, and
//! options that make sense together. `DSYNC_ORACLE_SEED` and `DSYNC_ORACLE_CASES` choose the cases, as for `oracle`.

use crate::oracle::options::{self, Choice};
use crate::oracle::random::Random;
use crate::oracle::{self, trees};
use crate::support::command;
use crate::support::scene::Scene;
use crate::support::snapshot::{self, Columns, Snapshot};
use crate::support::tools;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::{Entry, Node, Tree};
use dsync::tree::Name;
use std::collections::HashSet;
use std::ffi::OsString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

const CASES: u64 = 60;

/// Options with which every directory is listed in any case (a second `-i` among them), and what hides the lines that
/// are compared.
const LEFT_OUT: [&str; 7] = ["-c", "-I", "-i", "-vv", "--max-delete", "-P", "-q"];

/// Numbers that tell how a run talks to its peer, and how long it took.
const OTHER_NUMBERS: [&str; 7] = [
    "Compressed data",
    "File list ",
    "Connection time",
    "Total run time",
    "Total bytes ",
    "sent ",
    "total size is ",
];

struct Case {
    source: Tree,
    destination: Tree,
    options: Vec<Choice>,
    way: Way,
    /// Whether the source goes by its name, not as the contents of a directory.
    by_name: bool,
}

impl Case {
    fn draw(seed: u64) -> Case {
        let mut random = Random::new(seed);
        let source = trees::wide(&mut random);
        let mut destination = trees::nearly(&mut random, &source);
        if random.chance(20) {
            leave_over(&mut random, &source, &mut destination);
        }
        let mut options = options::draw(&mut random, &source);
        options.retain(|choice| !LEFT_OUT.contains(&choice.name));
        let direction = *random.pick(&[Direction::Push, Direction::Pull]);
        let way = Way { transport: Transport::Rsh, direction };
        Case { source, destination, options, way, by_name: random.chance(25) }
    }

    /// What comes of it: the tree that is left, what was said, and how it ended.
    fn run(&self, scene: &Scene, name: &str, more: &[&str]) -> (Snapshot, String) {
        let to = scene.path(name);
        if self.by_name {
            std::fs::create_dir(&to).unwrap();
            std::fs::write(to.join("another"), "").unwrap();
        }
        let (operand, place) =
            if self.by_name { ("source", to.join("source")) } else { ("source/", to.clone()) };
        self.destination.write(&place);
        let (before, since) = (Snapshot::of(&to), snapshot::from_now());
        let words = self.options.iter().enumerate();
        let words = words.flat_map(|(number, choice)| choice.words(scene.root(), number));
        let words: Vec<OsString> =
            words.chain(["-i", "--stats"].iter().chain(more).map(OsString::from)).collect();
        let output = self.way.copy(&words, &[scene.path(operand)], &to).run();
        let out = output.out();
        let mut lines: Vec<&str> =
            out.lines().filter(|line| !OTHER_NUMBERS.iter().any(|other| line.starts_with(other))).collect();
        // A line with a sum comes when the file is there, which may be before or after another one.
        if words.iter().any(|word| word.to_string_lossy().contains("%C")) {
            lines.sort_unstable();
        }
        let said = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
        let errors = output.err().replace(&format!("{}/", to.display()), "");
        let after = Snapshot::of(&to).with_now(since).without_fractions_kept_from(&before);
        (after, format!("{said}{errors}exit {:?}", output.code))
    }

    /// How the two runs differ; empty if they do not.
    fn differences(&self) -> String {
        let scene = Scene::in_memory().tree("source", &self.source);
        self.options.iter().enumerate().for_each(|(number, choice)| choice.write(scene.root(), number));
        let (usual, said) = self.run(&scene, "usual", &[]);
        let (plain, plainly_said) = self.run(&scene, "plain", &["--plain=fingerprints"]);
        let differences = plain.differences(&usual, Columns::ALL);
        if differences.is_empty() && said == plainly_said {
            return String::new();
        }
        let only = |these: &str, those: &str| -> Vec<String> {
            let others: HashSet<&str> = those.lines().collect();
            these.lines().filter(|line| !others.contains(line)).map(str::to_owned).collect()
        };
        let words = self.options.iter().map(|choice| format!("{choice:?}")).collect::<Vec<_>>().join("\n");
        let (plain, usual) = (only(&plainly_said, &said), only(&said, &plainly_said));
        format!(
            "{words}\nleft plain, right usual: {differences:#?}\nsaid only plainly: {plain:#?}\nonly usually: {usual:#?}"
        )
    }
}

/// Puts what a killed run left, or a replica's history, into a directory of `destination`.
fn leave_over(random: &mut Random, source: &Tree, destination: &mut Tree) {
    let paths: Vec<&Vec<u8>> = source.entries.keys().filter(|path| !path.is_empty()).collect();
    let Some(path) = (!paths.is_empty()).then(|| *random.pick(&paths)) else { return };
    let (dir, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..=slash], &path[slash + 1..]),
        None => (&b""[..], &path[..]),
    };
    if !destination.entries.get(dir.strip_suffix(b"/").unwrap_or(dir)).is_some_and(Entry::is_directory) {
        return;
    }
    if random.chance(30) {
        destination
            .insert(&[dir, b".dsync/history"].concat(), Entry::new(Node::File(b"of a replica".to_vec())));
    } else {
        let staged = dsync::fs::stage_name(&Name::new(name).unwrap());
        let entry = Entry::new(Node::File(random.bytes(20)));
        destination.insert(&[dir, staged.as_bytes()].concat(), entry);
    }
}

#[test]
fn few_differences_in_large_directories() {
    if command::is_rsync() {
        return tools::not_for_rsync("it has no such options");
    }
    let first = oracle::number("DSYNC_ORACLE_SEED").unwrap_or(5_000);
    let cases = oracle::number("DSYNC_ORACLE_CASES").unwrap_or(CASES);
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from).min(4);
    let work = || {
        let seeds = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        let seeds = seeds.take_while(|seed| *seed < cases).map(|seed| first + seed);
        seeds
            .map(|seed| (seed, Case::draw(seed).differences()))
            .filter(|(_, found)| !found.is_empty())
            .collect()
    };
    let failures: Vec<(u64, String)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| -> Vec<_> { thread.join().unwrap() }).collect()
    });
    for (seed, differences) in failures.iter().take(4) {
        println!("--- seed {seed}\n{differences}");
    }
    let seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
    assert!(seeds.is_empty(), "these cases differ: {seeds:?}");
}
