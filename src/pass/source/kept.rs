//! Listings that may still be asked about, or for.
//!
//! The walk is depth-first, so the directories above the current one cannot be settled yet, however long their
//! listings are. All others count against a window; when it is full, the walk waits until the sink closes some. While
//! it waits, and when it is through, it sends the listings that the sink asks for.

use crate::pass::PassError;
use crate::view::{ViewDir, ViewListing};
use crate::wire::{Closed, DirId, Expand};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of listings, besides those above the current directory, that are kept at most before the walk waits.
const WINDOW: u64 = 6 << 20;

/// The listing of a directory that was listed or mentioned.
#[derive(Debug)]
pub(super) struct Kept {
    pub dir: ViewDir,
    /// Its parent and its place in the parent's entries.
    pub parent: Option<(DirId, u32)>,
    pub listing: ViewListing,
    /// About the memory it takes, in bytes.
    pub cost: u64,
}

#[derive(Debug, Default)]
pub(super) struct KeptListings {
    state: Mutex<State>,
    turn: Condvar,
}

#[derive(Debug, Default)]
struct State {
    listings: BTreeMap<DirId, Slot>,
    /// Bytes of those that the walk has left.
    left_behind: u64,
    /// Listings that were asked for, in order.
    asked: VecDeque<Expand>,
    stopped: bool,
    all_listed: bool,
    /// Whether the walk waits.
    waiting: bool,
}

#[derive(Debug)]
struct Slot {
    kept: Arc<Kept>,
    /// Whether the sink has, or is about to get, the listing.
    sent: bool,
    /// The last directory below it, once the walk has left it.
    last: Option<DirId>,
}

impl State {
    /// Whether the walk has anything to do: a listing to send, room for another directory, or, when it is through,
    /// nothing to wait for any more.
    fn has_turn(&self) -> bool {
        let may_go_on = if self.all_listed { self.listings.is_empty() } else { self.left_behind <= WINDOW };
        self.stopped || !self.asked.is_empty() || may_go_on
    }
}

impl KeptListings {
    /// Keeps a listing that is sent now, or only mentioned.
    pub(super) fn insert(&self, id: DirId, kept: Arc<Kept>, sent: bool) {
        self.lock().listings.insert(id, Slot { kept, sent, last: None });
    }

    pub(super) fn get(&self, id: DirId) -> Option<Arc<Kept>> {
        self.lock().listings.get(&id).map(|slot| slot.kept.clone())
    }

    /// The walk has gone through everything below `id`, up to `last`.
    pub(super) fn leave(&self, id: DirId, last: DirId) {
        let mut state = self.lock();
        let cost = state.listings.get_mut(&id).map(|slot| {
            slot.last = Some(last);
            slot.kept.cost
        });
        state.left_behind = state.left_behind.saturating_add(cost.unwrap_or_default());
    }

    /// The sink asks for the listing of a directory that was mentioned to it. Sums of more buckets than there are entries
    /// would save nothing and are forgotten, so that what is kept until they are needed is bounded by the listings.
    pub(super) fn ask(&self, mut expand: Expand) -> Result<(), PassError> {
        let mut state = self.lock();
        let slot = state.listings.get_mut(&expand.dir).filter(|slot| !slot.sent);
        let slot = slot.ok_or(PassError::Protocol("a listing was asked for that is not to be had"))?;
        slot.sent = true;
        if expand.sums.len() > slot.kept.listing.entries.len() {
            expand.sums = Vec::new();
        }
        state.asked.push_back(expand);
        self.wake(state);
        Ok(())
    }

    /// The listings that are to be sent if that of `dir`, and maybe those below, are asked for, in order.
    pub(super) fn take_asked(&self, dir: DirId, below: bool) -> Vec<(DirId, Arc<Kept>)> {
        let mut state = self.lock();
        let Some(slot) = state.listings.get(&dir) else { return Vec::new() };
        let mut asked = vec![(dir, slot.kept.clone())];
        if below {
            let last = slot.last.unwrap_or(DirId(u32::MAX));
            // Those below come after it.
            let rest = state.listings.range_mut(dir..=last).filter(|(_, slot)| !slot.sent);
            asked.extend(rest.map(|(id, slot)| {
                slot.sent = true;
                (*id, slot.kept.clone())
            }));
        }
        asked
    }

    /// The sink has settled everything in and below `id`.
    pub(super) fn close(&self, id: DirId) -> Result<(), PassError> {
        let mut state = self.lock();
        let slot = state
            .listings
            .remove(&id)
            .ok_or(PassError::Protocol("a directory was closed that is not open"))?;
        if slot.last.is_some() {
            state.left_behind = state.left_behind.saturating_sub(slot.kept.cost);
        }
        self.wake(state);
        Ok(())
    }

    /// Waits until there is something to do for the walk: a listing to send, or else, if it is not through, room for
    /// another directory. `None` when it is through: everything is closed.
    pub(super) fn turn(&self) -> Result<Option<Expand>, Closed> {
        let mut state = self.lock();
        while !state.has_turn() {
            state.waiting = true;
            state = self.turn.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.stopped { Err(Closed) } else { Ok(state.asked.pop_front()) }
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
        self.turn.notify_all();
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wake = state.has_turn() && std::mem::take(&mut state.waiting);
        drop(state);
        if wake {
            self.turn.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
