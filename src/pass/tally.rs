//! What a role counts, and how it tells of problems.

use crate::pass::Context;
use crate::report::{Event, Problem, ProblemClass, Role, Totals, without_numbers};
use crate::tree::RelPath;
use std::collections::HashSet;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts of one role, shared by its threads.
pub(crate) struct Tally<'a> {
    role: Role,
    context: &'a Context,
    totals: Mutex<Totals>,
    /// The entries of which something was told, by the hashes of their paths, if that is to be known.
    failed: Option<Mutex<HashSet<u64>>>,
    hasher: RandomState,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(role: Role, context: &'a Context) -> Tally<'a> {
        let failed = (role == Role::Sink && context.options.remove_source_files).then(Mutex::default);
        Tally { role, context, totals: Mutex::default(), failed, hasher: RandomState::new() }
    }

    /// Changes the counts.
    pub(crate) fn count(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut self.lock());
    }

    /// The counts so far.
    pub(crate) fn totals(&self) -> Totals {
        *self.lock()
    }

    /// Reports and counts that something could not be done with the entry at `path`.
    pub(crate) fn problem(&self, doing: &str, path: &RelPath, cause: &impl fmt::Display) {
        self.note(path);
        self.report(Problem::new(self.role, doing, path, cause));
    }

    /// The same for a failed operation of `fs`. At the source, what is not there any more has vanished.
    pub(crate) fn failed(&self, path: &RelPath, error: &crate::fs::Error) {
        self.note(path);
        let problem = Problem::new(self.role, error.doing, path, &describe(&error.source));
        if self.role == Role::Source && error.is_not_found() {
            self.report(problem.of_class(ProblemClass::Vanished));
        } else {
            self.report(problem);
        }
    }

    /// Something of the entry at `path` is not as it should be.
    pub(crate) fn note(&self, path: &RelPath) {
        if let Some(failed) = &self.failed {
            let hash = self.hasher.hash_one(path.as_bytes());
            failed.lock().unwrap_or_else(PoisonError::into_inner).insert(hash);
        }
    }

    /// Whether anything was told of the entry at `path`, where that matters; two paths may rarely be taken for one.
    pub(crate) fn has_failed(&self, path: &RelPath) -> bool {
        let hash = self.hasher.hash_one(path.as_bytes());
        let has = |failed: &Mutex<HashSet<u64>>| {
            failed.lock().unwrap_or_else(PoisonError::into_inner).contains(&hash)
        };
        self.failed.as_ref().is_some_and(has)
    }

    /// Reports and counts a problem.
    pub(crate) fn report(&self, problem: Problem) {
        self.lock().count(problem.class);
        self.context.reporter.report(Event::Problem(problem));
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operating system's words for an error, without the number Rust adds.
pub(crate) fn describe(error: &io::Error) -> String {
    without_numbers(&error.to_string())
}
