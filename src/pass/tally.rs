//! What a role counts, and how it tells of problems.

use crate::pass::Context;
use crate::report::{Event, Problem, ProblemClass, Role, Totals, without_number};
use crate::tree::RelPath;
use std::fmt;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts of one role, shared by its threads.
pub(crate) struct Tally<'a> {
    role: Role,
    context: &'a Context,
    totals: Mutex<Totals>,
}

impl<'a> Tally<'a> {
    pub(crate) fn new(role: Role, context: &'a Context) -> Tally<'a> {
        Tally { role, context, totals: Mutex::new(Totals::default()) }
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
        self.report(Problem::new(self.role, doing, path, cause));
    }

    /// The same for a failed operation of `fs`. At the source, what is not there any more has vanished.
    pub(crate) fn failed(&self, path: &RelPath, error: &crate::fs::Error) {
        let problem = Problem::new(self.role, error.doing, path, &describe(&error.source));
        if self.role == Role::Source && error.is_not_found() {
            self.report(problem.of_class(ProblemClass::Vanished));
        } else {
            self.report(problem);
        }
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
    without_number(&error.to_string()).to_owned()
}
