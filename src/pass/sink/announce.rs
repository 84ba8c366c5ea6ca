//! Events in the order of the listing, also where a decision takes longer than the next one's: contents are compared
//! by others, and the listing of a directory that is not the same has to come first.

use crate::report::{Event, Reporter};
use crate::wire::{DirId, FileId};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How many events are held back before who has more to say waits.
const HELD: usize = 8192;

/// Passes events on, holding back those after a place that is still open. The comparison speaks, and may have to wait
/// for those who sign, who fill the places of files and never wait. What is held back for a directory is bounded by what
/// the source lists before the sink has closed some of it.
pub(super) struct Announcer {
    reporter: Arc<dyn Reporter>,
    held: Mutex<Held>,
    said: Condvar,
}

#[derive(Default)]
struct Held {
    queue: VecDeque<Turn>,
    /// How many of the places are files'.
    files: usize,
    /// The directory whose place is being filled.
    at: Option<DirId>,
    stopped: bool,
}

/// What a place is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// What will be said about a file.
    File(FileId),
    /// What will be said about everything in a directory.
    Dir(DirId),
}

enum Turn {
    Said(Event),
    Open(Place),
}

impl Held {
    fn position(&self, place: Place) -> Option<usize> {
        self.queue.iter().position(|turn| matches!(turn, Turn::Open(open) if *open == place))
    }

    /// Adds a turn: before the place that is being filled, else at the end.
    fn add(&mut self, turn: Turn) {
        match self.at.and_then(|dir| self.position(Place::Dir(dir))) {
            Some(position) => self.queue.insert(position, turn),
            None => self.queue.push_back(turn),
        }
    }
}

impl Announcer {
    pub(super) fn new(reporter: Arc<dyn Reporter>) -> Announcer {
        Announcer { reporter, held: Mutex::default(), said: Condvar::new() }
    }

    /// Says an event in its turn.
    pub(super) fn say(&self, event: Event) {
        let full = |held: &mut Held| held.files > 0 && held.queue.len() >= HELD && !held.stopped;
        let waited = self.said.wait_while(self.lock(), full);
        let mut held = waited.unwrap_or_else(PoisonError::into_inner);
        held.add(Turn::Said(event));
        self.go_on(held);
    }

    /// Keeps a place.
    pub(super) fn keep_place(&self, place: Place) {
        let mut held = self.lock();
        held.files += usize::from(matches!(place, Place::File(_)));
        held.add(Turn::Open(place));
    }

    /// Fills the place kept for `file`, with nothing if there is nothing to say.
    pub(super) fn fill(&self, file: FileId, event: Option<Event>) {
        let mut held = self.lock();
        let Some(position) = held.position(Place::File(file)) else { return };
        held.files -= 1;
        match (event, held.queue.get_mut(position)) {
            (Some(event), Some(open)) => *open = Turn::Said(event),
            _ => drop(held.queue.remove(position)),
        }
        self.go_on(held);
    }

    /// What is said and kept from now on belongs to the place of this directory, if it has one; with `None`, and with
    /// another directory, the place is full.
    pub(super) fn go_to(&self, dir: Option<DirId>) {
        let mut held = self.lock();
        let full = std::mem::replace(&mut held.at, dir).and_then(|dir| held.position(Place::Dir(dir)));
        if let Some(position) = full {
            held.queue.remove(position);
        }
        self.go_on(held);
    }

    /// Lets nobody wait any more: what is open will not be filled.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.said.notify_all();
    }

    /// Says what has its turn. Under the lock, so that two threads cannot change places.
    fn go_on(&self, mut held: MutexGuard<'_, Held>) {
        while matches!(held.queue.front(), Some(Turn::Said(_))) {
            if let Some(Turn::Said(event)) = held.queue.pop_front() {
                self.reporter.report(event);
            }
        }
        let room = held.queue.len() < HELD;
        drop(held);
        if room {
            self.said.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
