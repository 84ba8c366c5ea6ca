//! The one place that writes to standard output and standard error.
//!
//! Lines of both streams and the progress bar meet on the same terminal. Here they take turns: the bar is taken away
//! while something is written above it, and while a bar is up, lines are gathered and written with its next step, so
//! that a run over many small files does not redraw for each. Order between the two streams is kept, also where both
//! go to one file.

use indicatif::ProgressBar;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Gathered output that is written without waiting for more, in bytes.
const ENOUGH: usize = 1 << 15;

/// Standard output, standard error and the bar between them.
pub(in crate::cli) struct Screen {
    state: Mutex<State>,
    out_is_terminal: bool,
    asking: AtomicBool,
}

#[derive(Default)]
struct State {
    gathered: String,
    bar: Option<ProgressBar>,
    /// Nobody reads standard output any more.
    out_closed: bool,
    /// Why standard output took no more, if not because its reader went away.
    out_error: Option<io::Error>,
}

impl Screen {
    /// The process's own streams.
    pub(in crate::cli) fn new() -> Screen {
        Screen {
            state: Mutex::default(),
            out_is_terminal: io::stdout().is_terminal(),
            asking: AtomicBool::new(false),
        }
    }

    /// Writes whole lines to standard output: at once on a terminal without a bar, else when enough came together.
    pub(in crate::cli) fn out(&self, lines: &str) {
        let mut state = self.lock();
        state.gathered.push_str(lines);
        let at_once = self.out_is_terminal && state.bar.is_none();
        if at_once || state.gathered.len() >= ENOUGH {
            self.write_gathered(&mut state);
        }
    }

    /// Writes whole lines to standard error, after what was gathered before.
    pub(in crate::cli) fn err(&self, lines: &str) {
        let mut state = self.lock();
        self.write_gathered(&mut state);
        write_err(&state, lines);
    }

    /// Writes what was gathered.
    pub(in crate::cli) fn flush(&self) {
        self.write_gathered(&mut self.lock());
    }

    /// Writes lines to standard error if that is possible at once: not while somebody else writes or asks.
    pub(in crate::cli) fn try_err(&self, lines: &str) {
        if let Ok(state) = self.state.try_lock() {
            write_err(&state, lines);
        }
    }

    /// Lets `talk` have the terminal for itself.
    pub(in crate::cli) fn aside<R>(&self, talk: impl FnOnce() -> R) -> R {
        let mut state = self.lock();
        self.write_gathered(&mut state);
        above(state.bar.as_ref(), talk)
    }

    /// The same for a question that a signal may end at once.
    pub(in crate::cli) fn ask<R>(&self, question: impl FnOnce() -> R) -> R {
        self.asking.store(true, Ordering::Release);
        let answer = self.aside(question);
        self.asking.store(false, Ordering::Release);
        answer
    }

    /// Whether a question is waiting for its answer.
    pub(in crate::cli) fn is_asking(&self) -> bool {
        self.asking.load(Ordering::Acquire)
    }

    /// Puts up a bar, or takes it down.
    pub(in crate::cli) fn set_bar(&self, bar: Option<ProgressBar>) {
        let mut state = self.lock();
        self.write_gathered(&mut state);
        state.bar = bar;
    }

    /// Why standard output took less than all, if it did. A reader that went away is no reason: the run goes on, and
    /// whoever closed the pipe does not want the rest.
    pub(in crate::cli) fn take_out_error(&self) -> Option<io::Error> {
        self.lock().out_error.take()
    }

    fn write_gathered(&self, state: &mut State) {
        let text = std::mem::take(&mut state.gathered);
        if text.is_empty() || state.out_closed {
            return;
        }
        let bar = state.bar.as_ref().filter(|_| self.out_is_terminal);
        let written = above(bar, || {
            let mut out = io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        if let Err(error) = written {
            state.out_closed = true;
            state.out_error = (error.kind() != io::ErrorKind::BrokenPipe).then_some(error);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write_err(state: &State, lines: &str) {
    // There is nowhere left to tell about a failure to write here.
    above(state.bar.as_ref(), || {
        let _ = io::stderr().write_all(lines.as_bytes());
    });
}

/// Does something to the terminal while the bar is out of the way.
fn above<R>(bar: Option<&ProgressBar>, write: impl FnOnce() -> R) -> R {
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}
