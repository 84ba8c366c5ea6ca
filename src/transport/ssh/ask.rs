//! Questions to the user from asynchronous code, and deadlines that do not run while one is open.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::report::Prompter;
use crate::transport::Error;
use crate::transport::error::Unvouched;
use crate::transport::refusal::Spent;

/// Asks the user, if there is one to ask.
#[derive(Clone)]
pub(super) struct Asker {
    prompter: Arc<dyn Prompter>,
    batch: bool,
    clock: Clock,
    /// Whether a secret or a line was asked for.
    has_asked: Arc<AtomicBool>,
    /// Whether the server has refused an answer, or what spared one.
    was_refused: Arc<AtomicBool>,
}

impl Asker {
    /// With `batch`, nobody is ever asked.
    pub(super) fn new(prompter: Arc<dyn Prompter>, batch: bool) -> Self {
        Self {
            prompter,
            batch,
            clock: Clock::default(),
            has_asked: Arc::default(),
            was_refused: Arc::default(),
        }
    }

    /// Whether a question can be answered.
    pub(super) fn can_ask(&self) -> bool {
        self.why_not().is_none()
    }

    /// Why no question can be answered, as a clause.
    pub(super) fn why_not(&self) -> Option<&'static str> {
        Some(match self.unvouched()? {
            Unvouched::Batch => "BatchMode is on",
            _ => "there is no terminal to ask at",
        })
    }

    /// Why nobody can be asked to vouch for a key, if that is so.
    pub(super) fn unvouched(&self) -> Option<Unvouched> {
        match (self.batch, self.prompter.interactive()) {
            (true, _) => Some(Unvouched::Batch),
            (_, false) => Some(Unvouched::NoTerminal),
            (false, true) => None,
        }
    }

    /// Whether the user was asked for anything but a yes.
    pub(super) fn has_asked(&self) -> bool {
        self.has_asked.load(Ordering::Relaxed)
    }

    /// Notes that the server has refused a password, a key, or another way to log in.
    pub(super) fn note_refusal(&self) {
        self.was_refused.store(true, Ordering::Relaxed);
    }

    /// What the login has cost so far.
    pub(super) fn spent(&self) -> Spent {
        Spent { asked: self.has_asked(), refused: self.was_refused.load(Ordering::Relaxed) }
    }

    /// The clock that stands while a question is open.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) async fn confirm(&self, text: String) -> Result<bool, Error> {
        self.ask("confirmation", move |prompter| prompter.confirm(&text)).await
    }

    pub(super) async fn secret(&self, what: &str, prompt: String) -> Result<String, Error> {
        self.has_asked.store(true, Ordering::Relaxed);
        self.ask(what, move |prompter| prompter.secret(&prompt)).await
    }

    pub(super) async fn line(&self, what: &str, prompt: String) -> Result<String, Error> {
        self.has_asked.store(true, Ordering::Relaxed);
        self.ask(what, move |prompter| prompter.line(&prompt)).await
    }

    async fn ask<T, Q>(&self, what: &str, question: Q) -> Result<T, Error>
    where
        T: Send + 'static,
        Q: FnOnce(&dyn Prompter) -> io::Result<T> + Send + 'static,
    {
        let prompter = Arc::clone(&self.prompter);
        let _standing = self.clock.stop();
        let answer = tokio::task::spawn_blocking(move || question(&*prompter)).await;
        answer
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| Error::Prompt { what: what.to_owned(), source })
    }
}

/// Measures time without the time in which the user was busy.
#[derive(Clone, Default)]
pub(super) struct Clock(Arc<Mutex<Stops>>);

#[derive(Default)]
struct Stops {
    /// Total of the stops that are over.
    stood: Duration,
    open: usize,
    since: Option<Instant>,
}

/// Keeps the clock from running until dropped.
pub(super) struct Standing(Clock);

impl Clock {
    pub(super) fn stop(&self) -> Standing {
        let mut stops = self.lock();
        stops.open = stops.open.saturating_add(1);
        stops.since.get_or_insert_with(Instant::now);
        drop(stops);
        Standing(self.clone())
    }

    fn stood(&self) -> Duration {
        let stops = self.lock();
        stops.stood.saturating_add(stops.since.map_or(Duration::ZERO, |since| since.elapsed()))
    }

    fn lock(&self) -> MutexGuard<'_, Stops> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` for at most `limit` on this clock; `None` when that was not enough.
    pub(super) async fn within<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        tokio::pin!(work);
        let start = Instant::now();
        let stood_before = self.stood();
        loop {
            let stood = self.stood().saturating_sub(stood_before);
            let left = limit.checked_sub(start.elapsed().saturating_sub(stood))?;
            tokio::select! {
                output = &mut work => return Some(output),
                // While a question is open, `left` does not shrink; the floor keeps that from becoming a busy loop.
                () = tokio::time::sleep(left.max(Duration::from_millis(10))) => {}
            }
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let mut stops = self.0.lock();
        stops.open = stops.open.saturating_sub(1);
        if stops.open == 0
            && let Some(since) = stops.since.take()
        {
            stops.stood = stops.stood.saturating_add(since.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_stands_while_a_question_is_open() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let clock = Clock::default();
        // Much, so that a busy machine does not take as long to begin with either.
        let limit = Duration::from_millis(300);
        let question = async {
            let _standing = clock.stop();
            tokio::time::sleep(limit * 2).await;
        };
        assert_eq!(runtime.block_on(clock.within(limit, question)), Some(()));
        let work = std::future::pending::<()>();
        assert_eq!(runtime.block_on(clock.within(limit, work)), None);
    }
}
