//! What was done, on its way into the history.
//!
//! A transaction takes as long for one path as for a thousand, so what was done is written many at a time. Until then
//! the intents stand for it: whoever is killed finds it done.

use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::carry::lock;
use crate::twoway::facet::{Facet, Value};
use crate::twoway::history::{self, History, Known, Snapshot};
use crate::twoway::log;
use crate::twoway::record::Record;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How many paths are written at once.
const MOST: usize = 1024;

/// For how long something that was done may wait for more.
const LONGEST: Duration = Duration::from_millis(200);

pub(super) struct Journal {
    history: Mutex<History>,
    /// What is written, to be read while more is. Never an old one: the database keeps all that it could see.
    written: Mutex<Arc<Snapshot>>,
    waiting: Mutex<Waiting>,
    /// Why something could not be written, where the one who did it could not tell.
    failed: Mutex<Option<TwoWayError>>,
}

#[derive(Default)]
struct Waiting {
    done: Vec<(RelPath, Known)>,
    log: Vec<log::Entry>,
    /// Attributes that others were set in place of.
    replaced: Vec<(Facet, Value)>,
    since: Option<Instant>,
}

impl Journal {
    pub(super) fn new(history: History) -> Result<Journal, TwoWayError> {
        let written = Mutex::new(Arc::new(history.snapshot()?));
        let history = Mutex::new(history);
        Ok(Journal { history, written, waiting: Mutex::default(), failed: Mutex::new(None) })
    }

    /// Takes what was done to paths that are to be written together, and what is to be remembered of it.
    pub(super) fn record(
        &self,
        done: Vec<(RelPath, Known)>,
        log: impl IntoIterator<Item = log::Entry>,
    ) -> Result<(), TwoWayError> {
        let is_due = {
            let mut waiting = lock(&self.waiting);
            waiting.done.extend(done);
            waiting.log.extend(log);
            let since = *waiting.since.get_or_insert_with(Instant::now);
            waiting.done.len() >= MOST || since.elapsed() >= LONGEST
        };
        if is_due { self.flush() } else { Ok(()) }
    }

    /// Takes what is to be remembered of something that was not done.
    pub(super) fn note(&self, entry: Option<log::Entry>) {
        lock(&self.waiting).log.extend(entry);
    }

    /// Takes attributes that others were set in place of, before that is recorded.
    pub(super) fn keep(&self, replaced: impl IntoIterator<Item = (Facet, Value)>) {
        lock(&self.waiting).replaced.extend(replaced);
    }

    /// Writes what is waiting.
    pub(super) fn flush(&self) -> Result<(), TwoWayError> {
        if let Some(error) = lock(&self.failed).take() {
            return Err(error);
        }
        let mut history = lock(&self.history);
        let waiting = std::mem::take(&mut *lock(&self.waiting));
        let Waiting { done, log, replaced, .. } = waiting;
        if done.is_empty() && log.is_empty() {
            return Ok(());
        }
        history.installed(&done, &log, &replaced)?;
        self.renew(&history)
    }

    /// Writes what needs no file to be touched, and then what is intended.
    pub(super) fn write_down(
        &self,
        noted: impl IntoIterator<Item = (RelPath, Record)>,
        intended: impl IntoIterator<Item = (RelPath, Record)>,
    ) -> Result<(), TwoWayError> {
        self.flush()?;
        let mut history = lock(&self.history);
        let mut noted = noted.into_iter().peekable();
        if noted.peek().is_some() {
            history.plan_records(noted)?;
            self.renew(&history)?;
        }
        let mut intended = intended.into_iter().peekable();
        if intended.peek().is_some() { history.intend(intended) } else { Ok(()) }
    }

    /// What is known of a path, as far as it is written.
    pub(super) fn known(&self, path: &RelPath) -> Result<Option<Known>, TwoWayError> {
        let written = lock(&self.written).clone();
        written.known(&history::key(path))
    }

    /// All that is known, as far as it is written.
    pub(super) fn rows(
        &self,
    ) -> Result<impl Iterator<Item = Result<(Vec<u8>, Known), TwoWayError>> + use<>, TwoWayError> {
        let written = lock(&self.written).clone();
        written.rows()
    }

    /// From now on what is written by now is known.
    fn renew(&self, history: &History) -> Result<(), TwoWayError> {
        *lock(&self.written) = Arc::new(history.snapshot()?);
        Ok(())
    }

    /// Keeps what came of something for whoever can tell it.
    pub(super) fn keep_failure(&self, done: Result<(), TwoWayError>) {
        if let Err(error) = done {
            lock(&self.failed).get_or_insert(error);
        }
    }

    /// Whether something could not be written, so that nothing more is to be done.
    pub(super) fn has_failed(&self) -> bool {
        lock(&self.failed).is_some()
    }

    /// Writes what is waiting, and gives the history back.
    pub(super) fn close(self) -> Result<History, TwoWayError> {
        self.flush()?;
        Ok(self.history.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}
