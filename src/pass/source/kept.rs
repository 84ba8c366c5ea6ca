//! Listings that were sent and may still be asked about.
//!
//! The walk is depth-first, so the directories above the current one cannot be settled yet, however long their
//! listings are. All others count against a window; when it is full, the walk waits until the sink closes some.

use crate::pass::PassError;
use crate::view::{ViewDir, ViewListing};
use crate::wire::{Closed, DirId};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of listings, besides those above the current directory, that are kept at most before the walk waits.
const WINDOW: u64 = 6 << 20;

/// A listing that was sent.
#[derive(Debug)]
pub(super) struct Kept {
    pub dir: ViewDir,
    pub listing: ViewListing,
    /// About the memory it takes, in bytes.
    pub cost: u64,
}

#[derive(Debug, Default)]
pub(super) struct KeptListings {
    state: Mutex<State>,
    room: Condvar,
}

#[derive(Debug, Default)]
struct State {
    listings: HashMap<DirId, (Arc<Kept>, bool)>,
    /// Bytes of those that the walk has left.
    left_behind: u64,
    stopped: bool,
    all_listed: bool,
    /// Whether the walk waits for room.
    waiting: bool,
}

impl KeptListings {
    pub(super) fn insert(&self, id: DirId, kept: Arc<Kept>) {
        self.lock().listings.insert(id, (kept, false));
    }

    pub(super) fn get(&self, id: DirId) -> Option<Arc<Kept>> {
        self.lock().listings.get(&id).map(|(kept, _)| kept.clone())
    }

    /// The walk has listed everything below `id`.
    pub(super) fn leave(&self, id: DirId) {
        let mut state = self.lock();
        let cost = state.listings.get_mut(&id).map(|(kept, left)| {
            *left = true;
            kept.cost
        });
        state.left_behind = state.left_behind.saturating_add(cost.unwrap_or_default());
    }

    /// The sink has settled everything in and below `id`.
    pub(super) fn close(&self, id: DirId) -> Result<(), PassError> {
        let mut state = self.lock();
        let (kept, left) = state
            .listings
            .remove(&id)
            .ok_or(PassError::Protocol("a directory was closed that is not open"))?;
        if left {
            state.left_behind = state.left_behind.saturating_sub(kept.cost);
        }
        let wake = state.left_behind <= WINDOW && std::mem::take(&mut state.waiting);
        drop(state);
        if wake {
            self.room.notify_all();
        }
        Ok(())
    }

    /// Waits until the window has room.
    pub(super) fn wait_for_room(&self) -> Result<(), Closed> {
        let mut state = self.lock();
        while state.left_behind > WINDOW && !state.stopped {
            state.waiting = true;
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped { Err(Closed) } else { Ok(()) }
    }

    /// The walk has sent everything.
    pub(super) fn all_listed(&self) {
        self.lock().all_listed = true;
    }

    /// Whether everything was sent and settled, so that the sink may end.
    pub(super) fn is_done(&self) -> bool {
        let state = self.lock();
        state.all_listed && state.listings.is_empty()
    }

    /// Lets nobody wait any more.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.room.notify_all();
    }

    /// Whether [`KeptListings::stop`] was called.
    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
