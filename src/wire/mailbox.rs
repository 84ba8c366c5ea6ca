//! A queue between threads that never refuses: its bound is the credit of those who put things in.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Messages on their way from any number of threads to one.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    open: bool,
}

/// What [`Mailbox::take`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// At least one message.
    Some,
    /// Nothing for as long as the caller would wait.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

impl<T> Mailbox<T> {
    pub(crate) fn new() -> Mailbox<T> {
        Mailbox { state: Mutex::new(State { queue: VecDeque::new(), open: true }), arrived: Condvar::new() }
    }

    /// Puts a message in. Returns whether the box is still open.
    pub(crate) fn put(&self, message: T) -> bool {
        let mut state = self.lock();
        if !state.open {
            return false;
        }
        state.queue.push_back(message);
        // Whoever waits was woken by the first message and takes all there are.
        let first = state.queue.len() == 1;
        drop(state);
        if first {
            self.arrived.notify_one();
        }
        true
    }

    /// Moves everything there is into `into`, waiting for something if there is nothing.
    pub(crate) fn take(&self, into: &mut VecDeque<T>, patience: Option<Duration>) -> Taken {
        let mut state = self.lock();
        loop {
            if !state.queue.is_empty() {
                into.append(&mut state.queue);
                return Taken::Some;
            }
            if !state.open {
                return Taken::Closed;
            }
            state = match patience {
                None => self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let (state, waited) =
                        self.arrived.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
                    if waited.timed_out() && state.queue.is_empty() && state.open {
                        return Taken::Nothing;
                    }
                    state
                }
            };
        }
    }

    /// Lets nothing more in. What is inside can still be taken.
    pub(crate) fn close(&self) {
        self.lock().open = false;
        self.arrived.notify_all();
    }

    /// Lets nothing more in and throws away what is inside.
    pub(crate) fn abort(&self) {
        let mut state = self.lock();
        state.open = false;
        let dropped = std::mem::take(&mut state.queue);
        drop(state);
        // Dropping messages gives credit back, which must not happen under the lock.
        drop(dropped);
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
