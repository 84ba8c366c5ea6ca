//! Events in the order of the listing, also where a decision takes longer than the next one's.

use crate::report::{Event, Reporter};
use crate::wire::FileId;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Passes events on, holding back those after one that is still open.
pub(super) struct Announcer {
    reporter: Arc<dyn Reporter>,
    held: Mutex<VecDeque<Place>>,
}

enum Place {
    Said(Event),
    Open(FileId),
}

impl Announcer {
    pub(super) fn new(reporter: Arc<dyn Reporter>) -> Announcer {
        Announcer { reporter, held: Mutex::default() }
    }

    /// Says an event in its turn.
    pub(super) fn say(&self, event: Event) {
        let mut held = self.lock();
        if held.is_empty() {
            // Under the lock, so that two threads cannot change places.
            self.reporter.report(event);
        } else {
            held.push_back(Place::Said(event));
        }
    }

    /// Keeps a place for what will be said about `file`.
    pub(super) fn keep_place(&self, file: FileId) {
        self.lock().push_back(Place::Open(file));
    }

    /// Fills the place kept for `file`, with nothing if there is nothing to say.
    pub(super) fn fill(&self, file: FileId, event: Option<Event>) {
        let mut held = self.lock();
        let place = held.iter().position(|place| matches!(place, Place::Open(open) if *open == file));
        match (place, event) {
            (Some(place), Some(event)) => {
                if let Some(open) = held.get_mut(place) {
                    *open = Place::Said(event);
                }
            }
            (Some(place), None) => {
                held.remove(place);
            }
            (None, _) => {}
        }
        while matches!(held.front(), Some(Place::Said(_))) {
            if let Some(Place::Said(event)) = held.pop_front() {
                self.reporter.report(event);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Place>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
