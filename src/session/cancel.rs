//! Stopping a run from another thread.

use std::sync::{Arc, Mutex, PoisonError};

/// Stops a run: everything that waits is woken, what is staged is removed, and the run fails as cancelled. Clones
/// stop the same run.
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

impl std::fmt::Debug for Cancel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cancel").field("cancelled", &self.is_cancelled()).finish_non_exhaustive()
    }
}
