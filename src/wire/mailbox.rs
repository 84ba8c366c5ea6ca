//! A queue between threads that refuses nothing: its bound is the credit of those who put things in, and where that is
//! only claimed or there is none, they wait.
//!
//! Messages that nobody waits for are put in *idly*: a taker that can wait for company (one that writes frames, of
//! which each costs a header, a system call and a packet) takes them with the next other message, or a little later.

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
    /// What the taker waits for; waking one that does not would cost a system call for nothing.
    taker: Taker,
    /// Whether anything inside was not put in idly.
    pressing: bool,
    /// How many callers of [`Mailbox::put_below`] and [`Mailbox::put_within`] wait.
    putters_wait: usize,
    /// What the messages put in by [`Mailbox::put_within`] weigh.
    weight: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taker {
    IsBusy,
    WaitsForAny,
    /// There is something, and it lingers for more.
    Lingers,
}

/// How many messages are no longer lingered over.
const COMPANY: usize = 512;

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
                taker: Taker::IsBusy,
                pressing: false,
                putters_wait: 0,
                weight: 0,
            }),
            arrived: Condvar::new(),
            taken: Condvar::new(),
        }
    }

    /// Puts a message in. Returns whether the box is still open.
    pub(crate) fn put(&self, message: T) -> bool {
        self.push(message, true)
    }

    /// Puts in a message that nobody waits for.
    pub(crate) fn put_idly(&self, message: T) -> bool {
        self.push(message, false)
    }

    /// Puts a message in, in the place of all that are inside and that nobody is to hear any more.
    pub(crate) fn put_alone(&self, message: T) -> bool {
        self.lock().queue.clear();
        self.taken.notify_all();
        self.put(message)
    }

    fn push(&self, message: T, pressing: bool) -> bool {
        let mut state = self.lock();
        if !state.open {
            return false;
        }
        state.queue.push_back(message);
        state.pressing |= pressing || state.queue.len() >= COMPANY;
        let wake = match state.taker {
            Taker::IsBusy => false,
            Taker::WaitsForAny => true,
            Taker::Lingers => state.pressing,
        };
        if wake {
            state.taker = Taker::IsBusy;
        }
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        true
    }

    /// Puts a message in idly, after waiting until fewer than `limit` are inside: for messages that cost no credit but
    /// may be many. Whoever takes them must never wait for whoever calls this.
    pub(crate) fn put_below(&self, limit: usize, message: T) -> bool {
        let mut state = self.lock();
        while state.open && state.queue.len() >= limit {
            state.putters_wait += 1;
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.putters_wait -= 1;
        }
        drop(state);
        self.put_idly(message)
    }

    /// Puts in a message of a peer, whose word that it had credit for them is yet to be checked: waits while those
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

    /// Moves everything there is into `into`, waiting for something if there is nothing, for `patience` at most.
    pub(crate) fn take(&self, into: &mut VecDeque<T>, patience: Option<Duration>) -> Taken {
        self.take_lingering(into, patience, Duration::ZERO)
    }

    /// The same, but waits for `linger` while there are only messages that were put in idly.
    pub(crate) fn take_lingering(
        &self,
        into: &mut VecDeque<T>,
        patience: Option<Duration>,
        linger: Duration,
    ) -> Taken {
        let mut state = self.lock();
        loop {
            if !state.queue.is_empty() {
                if !state.pressing && state.open && !linger.is_zero() {
                    state.taker = Taker::Lingers;
                    let lingers = |state: &mut State<T>| !state.pressing && state.open;
                    let waited = self.arrived.wait_timeout_while(state, linger, lingers);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                    state.taker = Taker::IsBusy;
                }
                state.pressing = false;
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
            state.taker = Taker::WaitsForAny;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(60);

    /// Takes while `then` happens, lingering for as good as ever; returns what was taken.
    fn taken(mailbox: &Mailbox<u32>, then: impl FnOnce() + Send) -> Vec<u32> {
        let mut into = VecDeque::new();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(30));
                then();
            });
            mailbox.take_lingering(&mut into, None, LONG);
        });
        into.into()
    }

    #[test]
    fn an_idle_message_goes_with_the_next_other_one() {
        let mailbox = Mailbox::new();
        assert!(mailbox.put_idly(1));
        let others = || (2..4).for_each(|number| assert!(mailbox.put_idly(number)));
        assert_eq!(taken(&mailbox, || (others(), mailbox.put(4)).1.then_some(()).unwrap()), [1, 2, 3, 4]);
        // Also where the taker was there first.
        assert_eq!(taken(&mailbox, || (others(), mailbox.put(4)).1.then_some(()).unwrap()), [2, 3, 4]);
    }

    #[test]
    fn idle_messages_go_by_themselves_after_a_while_or_when_they_are_many() {
        let mailbox = Mailbox::new();
        mailbox.put_idly(1);
        let (mut into, since) = (VecDeque::new(), Instant::now());
        mailbox.take_lingering(&mut into, None, Duration::from_millis(20));
        assert!(into == [1] && since.elapsed() >= Duration::from_millis(20));
        let many = || (0..COMPANY as u32).for_each(|number| assert!(mailbox.put_idly(number)));
        assert_eq!(taken(&mailbox, many).len(), COMPANY);
    }

    #[test]
    fn the_end_is_not_lingered_over() {
        let mailbox = Mailbox::new();
        mailbox.put_idly(1);
        assert_eq!(taken(&mailbox, || mailbox.close()), [1]);
        assert_eq!(mailbox.take_lingering(&mut VecDeque::new(), None, LONG), Taken::Closed);
    }

    #[test]
    fn who_cannot_linger_takes_at_once() {
        let mailbox = Mailbox::new();
        mailbox.put_idly(1);
        let mut into = VecDeque::new();
        assert_eq!(mailbox.take(&mut into, None), Taken::Some);
        assert_eq!(mailbox.take(&mut into, Some(Duration::ZERO)), Taken::Nothing);
    }
}
