//! Events in the order of the listing, also where a decision takes longer than the next one's.

use crate::report::{Event, Reporter};
use crate::wire::FileId;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How many events are held back before who has more to say waits.
const HELD: usize = 8192;

/// Passes events on, holding back those after one that is still open. The comparison speaks, and may have to wait;
/// those who sign fill places, and never do.
pub(super) struct Announcer {
    reporter: Arc<dyn Reporter>,
    held: Mutex<Held>,
    said: Condvar,
}

#[derive(Default)]
struct Held {
    places: VecDeque<Place>,
    stopped: bool,
}

enum Place {
    Said(Event),
    Open(FileId),
}

impl Announcer {
    pub(super) fn new(reporter: Arc<dyn Reporter>) -> Announcer {
        Announcer { reporter, held: Mutex::default(), said: Condvar::new() }
    }

    /// Says an event in its turn.
    pub(super) fn say(&self, event: Event) {
        let full = |held: &mut Held| held.places.len() >= HELD && !held.stopped;
        let waited = self.said.wait_while(self.lock(), full);
        let mut held = waited.unwrap_or_else(PoisonError::into_inner);
        if held.places.is_empty() {
            // Under the lock, so that two threads cannot change places.
            self.reporter.report(event);
        } else {
            held.places.push_back(Place::Said(event));
        }
    }

    /// Keeps a place for what will be said about `file`.
    pub(super) fn keep_place(&self, file: FileId) {
        self.lock().places.push_back(Place::Open(file));
    }

    /// Fills the place kept for `file`, with nothing if there is nothing to say.
    pub(super) fn fill(&self, file: FileId, event: Option<Event>) {
        let mut held = self.lock();
        let places = &mut held.places;
        let place = places.iter().position(|place| matches!(place, Place::Open(open) if *open == file));
        match (place, event) {
            (Some(place), Some(event)) => {
                if let Some(open) = places.get_mut(place) {
                    *open = Place::Said(event);
                }
            }
            (Some(place), None) => {
                places.remove(place);
            }
            (None, _) => {}
        }
        while matches!(places.front(), Some(Place::Said(_))) {
            if let Some(Place::Said(event)) = places.pop_front() {
                self.reporter.report(event);
            }
        }
        drop(held);
        self.said.notify_all();
    }

    /// Lets nobody wait any more: what is open will not be filled.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.said.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
