//! A queue between threads that refuses nothing: its bound is the credit of those who put things in, and where that is
//! only claimed or there is none, they wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Messages on their way from any number of threads to one.
#[derive(Debug)]
pub(crate) struct Mailbox<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
    taken: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queue: VecDeque<T>,
    open: bool,
    /// Whether the taker waits; waking one that does not would cost a system call for nothing.
    taker_waits: bool,
    /// How many callers of [`Mailbox::put_below`] and [`Mailbox::put_within`] wait.
    putters_wait: usize,
    /// What the messages put in by [`Mailbox::put_within`] weigh.
    weight: u64,
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
        Mailbox {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                open: true,
                taker_waits: false,
                putters_wait: 0,
                weight: 0,
            }),
            arrived: Condvar::new(),
            taken: Condvar::new(),
        }
    }

    /// Puts a message in. Returns whether the box is still open.
    pub(crate) fn put(&self, message: T) -> bool {
        let mut state = self.lock();
        if !state.open {
            return false;
        }
        state.queue.push_back(message);
        let wake = std::mem::take(&mut state.taker_waits);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        true
    }

    /// The same, after waiting until fewer than `limit` messages are inside: for messages that cost no credit but may
    /// be many. Whoever takes them must never wait for whoever calls this.
    pub(crate) fn put_below(&self, limit: usize, message: T) -> bool {
        let mut state = self.lock();
        while state.open && state.queue.len() >= limit {
            state.putters_wait += 1;
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.putters_wait -= 1;
        }
        drop(state);
        self.put(message)
    }

    /// The same for messages of a peer, whose word that it had credit for them is yet to be checked: waits while those
    /// inside and this one would weigh more than `limit` bytes, unless there are none.
    pub(crate) fn put_within(&self, limit: u64, weight: u64, message: T) -> bool {
        let mut state = self.lock();
        while state.open && state.weight > 0 && state.weight.saturating_add(weight) > limit {
            state.putters_wait += 1;
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.putters_wait -= 1;
        }
        state.weight = state.weight.saturating_add(weight);
        drop(state);
        self.put(message)
    }

    /// Moves everything there is into `into`, waiting for something if there is nothing.
    pub(crate) fn take(&self, into: &mut VecDeque<T>, patience: Option<Duration>) -> Taken {
        let mut state = self.lock();
        loop {
            if !state.queue.is_empty() {
                into.append(&mut state.queue);
                state.weight = 0;
                if state.putters_wait > 0 {
                    self.taken.notify_all();
                }
                return Taken::Some;
            }
            if !state.open {
                return Taken::Closed;
            }
            state.taker_waits = true;
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
        self.taken.notify_all();
    }

    /// Lets nothing more in and throws away what is inside.
    pub(crate) fn abort(&self) {
        let mut state = self.lock();
        state.open = false;
        let dropped = std::mem::take(&mut state.queue);
        drop(state);
        // There may be megabytes of them, which nobody has to wait for.
        drop(dropped);
        self.arrived.notify_all();
        self.taken.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
