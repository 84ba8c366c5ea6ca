//! Stopping a run from another thread.

use crate::pass::Stop;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Stops a run: everything that waits is woken, what is staged is removed, and the run fails as cancelled; a two-way
/// run may finish some files before that. Clones stop the same run.
#[derive(Clone, Default)]
pub struct Cancel {
    state: Arc<Mutex<State>>,
}

/// Why a run was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// By a signal.
    Cancelled,
    /// It was to take no longer.
    OutOfTime,
}

#[derive(Default)]
struct State {
    why: Option<Why>,
    actions: Vec<Box<dyn Fn() + Send>>,
}

impl Cancel {
    /// A handle for a run that has not been stopped.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Stops the run. May be called at any time, any number of times.
    pub fn cancel(&self) {
        self.stop(Why::Cancelled);
    }

    /// Stops the run because its time is up.
    pub fn time_is_up(&self) {
        self.stop(Why::OutOfTime);
    }

    fn stop(&self, why: Why) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.why.get_or_insert(why);
        for action in state.actions.drain(..) {
            action();
        }
    }

    /// Whether the run was stopped.
    pub fn is_cancelled(&self) -> bool {
        self.why().is_some()
    }

    /// What is stopped together with this one, but not before what `stop` holds then is done: that has `grace`.
    pub(super) fn after_what_is_in_hand(&self, stop: &Arc<Stop>, grace: Duration) -> Cancel {
        let late = Cancel::new();
        let (to_stop, stop) = (late.clone(), stop.clone());
        self.on_cancel(move || {
            let to_stop_then = to_stop.clone();
            stop.ask(move || to_stop_then.cancel());
            if !to_stop.is_cancelled() {
                end_after(grace, &stop);
            }
        });
        late
    }

    pub(super) fn why(&self) -> Option<Why> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).why
    }

    /// Does `action` when the run is stopped, at once if it was.
    pub(crate) fn on_cancel(&self, action: impl Fn() + Send + 'static) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.why.is_some() {
            action();
        } else {
            state.actions.push(Box::new(action));
        }
    }
}

/// Waits no longer than this for what is in hand.
fn end_after(grace: Duration, stop: &Arc<Stop>) {
    let ending = stop.clone();
    let waits = move || {
        thread::sleep(grace);
        ending.end_now();
    };
    if thread::Builder::new().name("grace".into()).spawn(waits).is_err() {
        stop.end_now();
    }
}

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancel").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}
