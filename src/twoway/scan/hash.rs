//! Reading the content of files that may have changed, by several threads.

use crate::fs::{Dir, Look, Pieces, Stamp};
use crate::tree::{Meta, Name};
use crate::twoway::facet::{Facets, Seen, sums_of};
use crate::twoway::record::ContentSum;
use crate::twoway::scan::Trouble;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// How many files may wait to be read. Each keeps its directory open.
const WAITING: usize = 64;

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 3;

/// A file that was read.
#[derive(Debug)]
pub(super) struct Read {
    pub sum: ContentSum,
    pub stamp: Stamp,
    pub meta: Meta,
    pub seen: Seen,
}

/// What came of reading a file.
pub(super) type Outcome = Result<Read, Trouble>;

struct Job {
    dir: Dir,
    name: Name,
    facets: Facets,
    /// What has to be looked at to see them.
    look: Look,
    answer: Sender<Outcome>,
}

/// The threads, which are there from the first file on.
pub(super) struct Readers<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    threads: usize,
    stop: &'env AtomicBool,
    jobs: Option<Sender<Job>>,
}

impl<'scope, 'env> Readers<'scope, 'env> {
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'env>,
        threads: usize,
        stop: &'env AtomicBool,
    ) -> Readers<'scope, 'env> {
        Readers { scope, threads, stop, jobs: None }
    }

    /// Has a file read and looked at for these facets, and returns where the outcome will be.
    pub(super) fn read(&mut self, dir: Dir, name: Name, (facets, look): (Facets, Look)) -> Receiver<Outcome> {
        let (answer, outcome) = bounded(1);
        let job = Job { dir, name, facets, look, answer };
        let jobs = match self.jobs.take() {
            Some(jobs) => Some(jobs),
            None => self.start(),
        };
        match &jobs {
            // Who answers nobody is gone, and so is the file's reader; nobody takes that for an outcome.
            Some(jobs) => drop(jobs.send(job)),
            // Without threads there is this one.
            None => job.run(self.stop, &mut vec![0; BUFFER]),
        }
        self.jobs = jobs;
        outcome
    }

    fn start(&self) -> Option<Sender<Job>> {
        let (jobs, waiting) = bounded::<Job>(WAITING);
        let mut started = 0;
        for _ in 0..self.threads.max(1) {
            let (waiting, stop) = (waiting.clone(), self.stop);
            let reader = move || {
                let mut buffer = vec![0; BUFFER];
                waiting.iter().for_each(|job: Job| job.run(stop, &mut buffer));
            };
            let spawned =
                std::thread::Builder::new().name("hash".to_owned()).spawn_scoped(self.scope, reader);
            started += usize::from(spawned.is_ok());
        }
        (started > 0).then_some(jobs)
    }
}

impl Job {
    fn run(self, stop: &AtomicBool, buffer: &mut [u8]) {
        let outcome = read(&self, stop, buffer);
        // Nobody waits for it any more if the scan has failed.
        let _ = self.answer.send(outcome);
    }
}

/// Reads a file until it is the same before and after.
fn read(job: &Job, stop: &AtomicBool, buffer: &mut [u8]) -> Outcome {
    for _ in 0..ATTEMPTS {
        let file = job.dir.open_file(&job.name).map_err(Trouble::Failed)?;
        let failed = |source| Trouble::Failed(crate::fs::Error { doing: "reading", source });
        // No further than it was long, or a file that grows all the time would never be done; that it has grown shows
        // in its stamp.
        let sum = sum(file.pieces(0..file.len()), stop, buffer).map_err(failed)?;
        let extra = match job.look.is_nothing() {
            true => None,
            false => file.extra(&job.look).map_err(Trouble::Failed)?,
        };
        if !file.changed().map_err(failed)? {
            let seen = sums_of(job.facets, extra.as_deref());
            return Ok(Read { sum, stamp: file.stamp(), meta: file.meta(), seen });
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    Err(Trouble::Changing)
}

/// The sum of what there is to read.
pub(in crate::twoway) fn sum(
    mut pieces: Pieces<'_>,
    stop: &AtomicBool,
    buffer: &mut [u8],
) -> std::io::Result<ContentSum> {
    let mut hasher = blake3::Hasher::new();
    while let Some(piece) = pieces.next(buffer)? {
        hasher.update(piece);
        if stop.load(Ordering::Relaxed) {
            return Err(std::io::ErrorKind::Interrupted.into());
        }
    }
    Ok(ContentSum(*hasher.finalize().as_bytes()))
}
