//! Stopping a run from another thread.

use std::sync::{Arc, Mutex, PoisonError};

/// Stops a run: everything that waits is woken, what is staged is removed, and the run fails as cancelled. Clones
/// stop the same run.
#[derive(Clone, Default)]
pub struct Cancel {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    actions: Vec<Box<dyn Fn() + Send>>,
}

impl Cancel {
    /// A handle for a run that has not been stopped.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Stops the run. May be called at any time, any number of times.
    pub fn cancel(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.cancelled = true;
        for action in state.actions.drain(..) {
            action();
        }
    }

    /// Whether the run was stopped.
    pub fn is_cancelled(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).cancelled
    }

    /// Does `action` when the run is stopped, at once if it was.
    pub(crate) fn on_cancel(&self, action: impl Fn() + Send + 'static) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.cancelled {
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
