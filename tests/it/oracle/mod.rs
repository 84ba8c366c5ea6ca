//! rsync as the oracle: whatever it makes of a random tree and random options, dsync must make too.
//!
//! A case is drawn from a seed: sources, the destination's earlier state, and options that make sense together. rsync
//! runs it between local paths on one copy of the destination, dsync by some transport on another. Afterwards names,
//! kinds, contents, modes, times, owners, link targets and which files kept their inode must agree, and so must the
//! exit codes, the lines of `-i` and the numbers of `--stats`.
//!
//! * `DSYNC_ORACLE_SEED`: the seed of the first case; case n has the seed after it by n.
//! * `DSYNC_ORACLE_CASES`: how many cases of each test. A failure names its seed; it alone is repeated by giving that
//!   seed and one case.

mod case;
mod coverage;
mod exclusions;
mod fitting;
mod groups;
pub(crate) mod options;
mod outcome;
pub(crate) mod random;
mod shrink;
pub(crate) mod trees;

use self::case::Case;
use self::coverage::Coverage;
use self::options::Effect;
use self::outcome::Outcome;
use crate::support::command::{Invocation, Output};
use crate::support::disk::Disk;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::{snapshot, sshd, tools};
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Cases between local paths; the other transports, whose part in the outcome is small, get fewer.
const LOCAL_CASES: usize = 220;
const RSH_CASES: usize = 40;
const SSH_CASES: usize = 20;
/// Seeds looked at for further cases of options that had too little effect, as a multiple of the cases.
const FURTHER: usize = 30;
/// Failures shown in full, with their smallest case; of the others only what differs.
const SHOWN: usize = 4;

#[test]
fn local() {
    compare(LOCAL_CASES, 1_000, |_| Way::LOCAL, true);
}

#[test]
fn remote_shell() {
    compare(RSH_CASES, 2_000, |seed| alternating(Transport::Rsh, seed), false);
}

#[test]
fn openssh() {
    if sshd::login().is_some() {
        compare(SSH_CASES, 3_000, |seed| alternating(Transport::OpenSsh, seed), false);
    }
}

#[test]
fn embedded_server() {
    compare(SSH_CASES, 4_000, |seed| alternating(Transport::Embedded, seed), false);
}

fn alternating(transport: Transport, seed: u64) -> Way {
    let direction = if seed.is_multiple_of(2) { Direction::Push } else { Direction::Pull };
    Way { transport, direction }
}

/// What all cases of a test share.
struct Comparing {
    rsync: PathBuf,
    way: fn(u64) -> Way,
    coverage: Option<Mutex<Coverage>>,
    failed: AtomicUsize,
    /// The seeds of cases with different outcomes, and what differs.
    failures: Mutex<Vec<(u64, String)>>,
}

/// What both programs made of a case.
struct Examined {
    /// Times from here on are the runs'.
    since: i64,
    differences: Vec<String>,
    oracle: Outcome,
    /// What dsync printed.
    output: Output,
    /// A part of the sources.
    _mounted: Option<Disk>,
}

fn compare(cases: usize, first_seed: u64, way: fn(u64) -> Way, cover: bool) {
    let Some(rsync) = tools::find("rsync") else { return };
    let first_seed = number("DSYNC_ORACLE_SEED").unwrap_or(first_seed);
    let wanted = number("DSYNC_ORACLE_CASES").map_or(cases, |cases| usize::try_from(cases).unwrap());
    println!("seed {first_seed}, {wanted} cases");
    let comparing = Comparing {
        rsync,
        way,
        // A few cases asked for by hand prove nothing about coverage, nor need they.
        coverage: (cover && wanted >= cases).then(Mutex::default),
        failed: AtomicUsize::new(0),
        failures: Mutex::default(),
    };
    let next = AtomicUsize::new(0);
    // rsync spends much of its time asleep, waiting for its other half.
    let threads = 2 * thread::available_parallelism().map_or(1, usize::from).min(4);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let offset = next.fetch_add(1, Ordering::Relaxed)
                    && (offset < wanted || (offset < FURTHER * cases && comparing.lacks_some()))
                {
                    let case = Case::draw(first_seed + offset as u64);
                    if offset < wanted || comparing.lacks_one_of(&case) {
                        comparing.one(&case);
                    }
                }
            });
        }
    });
    comparing.conclude();
}

impl Comparing {
    fn one(&self, case: &Case) {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        let examined = self.examine(case, here);
        if !examined.differences.is_empty() {
            return self.fail(case, examined);
        }
        if let Some(coverage) = &self.coverage {
            self.cover(case, here, &examined, coverage);
        }
    }

    /// Runs both programs on a case that is written into `here`.
    fn examine(&self, case: &Case, here: &Path) -> Examined {
        let since = snapshot::from_now();
        let mounted = case.write(here);
        let how = case.comparison();
        let oracle = self.rsync(case, here, None, since, &[]);
        let theirs = here.join("dsync");
        case.write_destination(&theirs);
        let way = (self.way)(case.seed);
        let (sources, bases) = (case.snapshots(here), case.bases(here));
        let outcome = Outcome::of(&theirs, since, || {
            let mut words = case.words(here, None);
            if ["--delete", "--delete-after"].iter().any(|name| options::has(&case.options, name)) {
                // It is asked where rsync is not.
                words.push("--delete-from-empty".into());
            }
            words.extend(options::own(case.seed));
            if way.direction == Direction::Pull {
                // rsync's links are munged by none, and those of the source are what they were; so it is the side of
                // the source that must be told.
                let munge = words.iter_mut().filter(|word| *word == "--munge-links");
                munge.for_each(|word| *word = "-M--munge-links".into());
            }
            if way.transport != Transport::Local && options::has(&case.options, "--fake-super") {
                // Each side is told for itself, and rsync's are one here.
                words.push("-M--fake-super".into());
            }
            way.copy(&words, &case.operands(here), case.target(&theirs)).run()
        });
        let outcome = outcome.with_sources(case.sources_left(here), since);
        let mut differences = oracle.state_differences(&outcome, &how);
        differences.extend(oracle.output_differences(&outcome, &how));
        if !case.removes() && case.snapshots(here) != sources {
            differences.push("a source was changed".to_owned());
        }
        differences.extend(oracle.backup_differences(&outcome, &how));
        differences.extend(oracle.sharing_differences(&outcome, &bases));
        if case.bases(here) != bases {
            differences.push("what is compared with was changed".to_owned());
        }
        Examined { since, differences, oracle, output: outcome.output, _mounted: mounted }
    }

    /// Notes a difference. Of the first, the smallest case that shows something of it is looked for.
    fn fail(&self, case: &Case, examined: Examined) {
        let Examined { differences, oracle, output, .. } = examined;
        let mut text = format!("{}\n", differences.join("\n"));
        let number = self.failed.fetch_add(1, Ordering::Relaxed);
        if number < SHOWN {
            let smallest = shrink::smallest(case, &mut |candidate| {
                let directory = tempfile::tempdir().unwrap();
                let still = self.examine(candidate, directory.path()).differences;
                still.iter().any(|line| differences.contains(line))
            });
            // What both left behind is worth a look.
            let kept = tempfile::tempdir().unwrap().keep();
            let Examined { differences, oracle: smaller, output: smaller_output, .. } =
                self.examine(&smallest, &kept);
            text += &format!("{}\n{output}\n", oracle.output);
            text += &format!(
                "the smallest case, kept in {}:\n{}{}\n{}\n{smaller_output}\n",
                kept.display(),
                shrink::description(&smallest, &kept),
                differences.join("\n"),
                smaller.output,
            );
            text += &format!(
                "again: DSYNC_ORACLE_SEED={} DSYNC_ORACLE_CASES=1 cargo test --test it oracle\n",
                case.seed
            );
        }
        self.failures.lock().unwrap().push((case.seed, text));
    }

    /// rsync on its own copy of the destination, with the options of the case but one and with `more`.
    fn rsync(&self, case: &Case, here: &Path, without: Option<usize>, since: i64, more: &[&str]) -> Outcome {
        let run = || {
            let at = tempfile::tempdir_in(here).unwrap().keep().join("rsync");
            case.write_destination(&at);
            Outcome::of(&at, since, || {
                Invocation::new(&self.rsync, case.words(here, without))
                    .args(more)
                    .args(case.operands(here))
                    .args([case.target(&at)])
                    .run()
            })
            .with_sources(case.sources_left(here), since)
        };
        // Two processes of rsync make the same directory for backups, and now and then one of them fails.
        let is_race = |outcome: &Outcome| {
            let (errors, code) = (outcome.output.err(), outcome.output.code);
            (errors.contains("make_backup(") && errors.contains("File exists")) || code == Some(11)
        };
        let mut outcome = run();
        for _ in 0..5 {
            if !is_race(&outcome) {
                break;
            }
            outcome = run();
        }
        outcome
    }

    /// Counts the options that changed what rsync did.
    fn cover(&self, case: &Case, here: &Path, examined: &Examined, coverage: &Mutex<Coverage>) {
        let Examined { since, oracle: whole, .. } = examined;
        let how = case.comparison();
        coverage.lock().unwrap().met(&case.options);
        for (number, choice) in case.options.iter().enumerate() {
            coverage.lock().unwrap().drawn(choice.name);
            if !coverage.lock().unwrap().lacking().contains(&choice.name) {
                continue;
            }
            let effective = if choice.effect == Effect::Traffic {
                let [with, without] = [None, Some(number)].map(|without| {
                    let outcome = self.rsync(case, here, without, *since, &["--stats"]);
                    traffic(&outcome.output)
                });
                with != without
            } else {
                let without = self.rsync(case, here, Some(number), *since, &[]);
                match choice.effect {
                    Effect::State => {
                        !whole.state_differences(&without, &how).is_empty()
                            || !whole.backup_differences(&without, &how).is_empty()
                    }
                    _ => whole.output.stdout != without.output.stdout,
                }
            };
            if effective {
                coverage.lock().unwrap().effective(choice.name);
            }
        }
    }

    fn lacks_some(&self) -> bool {
        self.coverage.as_ref().is_some_and(|coverage| !coverage.lock().unwrap().lacks().is_empty())
    }

    fn lacks_one_of(&self, case: &Case) -> bool {
        self.coverage.as_ref().is_some_and(|coverage| coverage.lock().unwrap().needs(&case.options))
    }

    fn conclude(self) {
        let failures = self.failures.into_inner().unwrap();
        for (seed, text) in &failures {
            println!("--- seed {seed}: rsync (left) and dsync (right) differ\n{text}");
        }
        assert!(failures.is_empty(), "{} cases differ", failures.len());
        if let Some(coverage) = self.coverage {
            let coverage = coverage.into_inner().unwrap();
            println!("{}", coverage.report());
            let lacks = coverage.lacks();
            assert!(
                lacks.is_empty(),
                "too few cases in which these mattered, or came together: {}",
                lacks.join(", ")
            );
        }
    }
}

/// The lines about bytes that rsync prints; none with `-q`.
fn traffic(output: &Output) -> Vec<String> {
    let labels = ["Literal data:", "Matched data:", "Total bytes sent:", "Total bytes received:"];
    let out = output.out();
    let wanted = out.lines().filter(|line| labels.iter().any(|label| line.starts_with(label)));
    wanted.map(str::to_owned).collect()
}

/// The number in an environment variable.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}
