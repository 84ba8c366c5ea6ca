//! Files whose content was asked for and is not settled.

use crate::delta::{BlockLen, Held};
use crate::fs::{ReadFile, Stage};
use crate::pass::PassError;
use crate::pass::decide::Update;
use crate::pass::sink::bases::Found;
use crate::pass::sink::batches::Batch;
use crate::pass::sink::confirm::Listed;
use crate::pass::sink::nearby::Like;
use crate::tree::{Entry, Name, RelPath};
use crate::wire::{BatchId, Closed, DirId, FileId};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A file on its way.
#[derive(Debug, Clone)]
pub(super) struct Flight {
    pub dir: DirId,
    /// Its place in the source's listing.
    pub index: u32,
    /// The name it gets here.
    pub name: Name,
    /// Its path, as the user knows it.
    pub path: RelPath,
    /// What the source listed, with this host's owners.
    pub entry: Entry,
    /// What is here.
    pub own: Option<Entry>,
    /// What is like it elsewhere, if it is not here.
    pub found: Option<Found>,
    pub update: Update,
    /// Whether a killed run left a part of it.
    pub leftover: bool,
    /// Whether an interrupted run kept a part of it in a directory for that.
    pub partial: bool,
    /// How much of it is here and stays, in bytes: the rest is appended.
    pub appended_to: u64,
    /// Another file that is to be its basis.
    pub like: Option<Like>,
    /// One elsewhere at the destination that is to be its basis if there is no other: of its name, of its length, or
    /// what a plan knows it to be like.
    pub namesake: Option<RelPath>,
    /// Those that may have its content.
    pub candidates: Arc<[RelPath]>,
    pub phase: Phase,
}

/// What the source was asked about a file, which is all it may answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Whether its content is the one that is here.
    Comparing,
    /// Which content it has.
    Identifying,
    /// That was answered, and nothing else asked yet.
    Compared,
    /// Its content, once the block sums of what is here are there.
    Signing,
    /// Its content.
    Fetching,
}

/// What signing prepared for the building of a file.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub basis: Option<Arc<ReadFile>>,
    /// Made early where its leftover is the basis, or where it holds some of the basis already.
    pub stage: Option<Stage>,
    /// What that, or the file to be updated in place, holds of the basis.
    pub held: Held,
    /// The length of the blocks, if what these do not match is refined.
    pub refined: Option<BlockLen>,
}

#[derive(Debug)]
pub(super) struct Flights {
    state: Mutex<State>,
    landed: Condvar,
    limits: Limits,
}

/// How many files may be in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// At all: enough to fill a long path with small files, few enough to hold in memory.
    pub all: usize,
    /// With a basis, which is held open.
    pub with_basis: usize,
}

#[derive(Debug, Default)]
struct State {
    flights: HashMap<FileId, (Arc<Flight>, Option<Prepared>)>,
    batches: HashMap<BatchId, Batch>,
    next_batch: u32,
    /// How many files are in flight in batches.
    in_batches: u64,
    with_basis: usize,
    next: u32,
    stopped: bool,
    /// Whether somebody waits for room.
    waiting: bool,
}

impl State {
    fn in_flight(&self) -> usize {
        self.flights.len().saturating_add(usize::try_from(self.in_batches).unwrap_or(usize::MAX))
    }

    fn insert_batch(&mut self, batch: Batch) -> BatchId {
        let id = BatchId(self.next_batch);
        self.next_batch = self.next_batch.wrapping_add(1);
        self.in_batches += batch.expected() as u64;
        self.batches.insert(id, batch);
        id
    }

    fn insert(&mut self, flight: Flight, prepared: Option<Prepared>) -> FileId {
        let id = FileId(self.next);
        self.next = self.next.wrapping_add(1);
        self.flights.insert(id, (Arc::new(flight), prepared));
        id
    }
}

impl Flight {
    /// Where it was listed.
    pub(super) fn place(&self) -> Listed {
        Listed { dir: self.dir, index: self.index }
    }
}

impl Flights {
    pub(super) fn new(limits: Limits) -> Flights {
        Flights { state: Mutex::default(), landed: Condvar::new(), limits }
    }

    /// Registers a file, once there is room for it.
    pub(super) fn start(&self, flight: Flight, with_basis: bool) -> Result<FileId, Closed> {
        let mut state = self.lock();
        while !state.stopped
            && (state.in_flight() >= self.limits.all
                || (with_basis && state.with_basis >= self.limits.with_basis))
        {
            state = self.wait(state);
        }
        if state.stopped {
            return Err(Closed);
        }
        let prepared = with_basis.then(Prepared::default);
        state.with_basis += usize::from(with_basis);
        Ok(state.insert(flight, prepared))
    }

    /// Takes the staged files that were prepared, and that nobody is going to write.
    pub(super) fn take_stages(&self) -> Vec<Stage> {
        let mut state = self.lock();
        let prepared = state.flights.values_mut().filter_map(|(_, prepared)| prepared.as_mut());
        prepared.filter_map(|prepared| prepared.stage.take()).collect()
    }

    /// Registers a batch, once fewer files are in flight than may be.
    pub(super) fn start_batch(&self, batch: Batch) -> Result<BatchId, Closed> {
        let mut state = self.lock();
        while !state.stopped && state.in_flight() >= self.limits.all {
            state = self.wait(state);
        }
        if state.stopped {
            return Err(Closed);
        }
        Ok(state.insert_batch(batch))
    }

    /// Registers a batch in the place of a file, which has landed. It waits for nothing: whoever goes on with files
    /// that were compared is waited for by all of them.
    pub(super) fn turn_into_batch(&self, file: FileId, batch: Batch) -> BatchId {
        let mut state = self.lock();
        let batch = state.insert_batch(batch);
        drop(state);
        self.land(file);
        batch
    }

    /// Takes a batch of which files have come, to be given back by [`Flights::land_batch`].
    pub(super) fn take(&self, id: BatchId) -> Result<Batch, PassError> {
        let batch = self.lock().batches.remove(&id);
        batch.ok_or(PassError::Protocol("content that was not asked for"))
    }

    /// Registers a file of a batch that is to be asked for by itself. It waits for nothing, since it is in flight.
    pub(super) fn single_out(&self, flight: Flight) -> FileId {
        let mut state = self.lock();
        state.in_batches = state.in_batches.saturating_sub(1);
        state.insert(flight, None)
    }

    /// So many files of a batch are settled.
    pub(super) fn land_batch(&self, id: BatchId, batch: Batch, files: u64) {
        let mut state = self.lock();
        state.in_batches = state.in_batches.saturating_sub(files);
        if batch.expected() > 0 {
            state.batches.insert(id, batch);
        }
        self.wake(state);
    }

    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.waiting = true;
        self.landed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// A file that content arrives for, which must have been asked for.
    pub(super) fn fetched(&self, id: FileId) -> Result<Arc<Flight>, PassError> {
        let flight = self.get(id)?;
        match flight.phase {
            Phase::Fetching => Ok(flight),
            _ => Err(PassError::Protocol("content that was not asked for")),
        }
    }

    /// A file of which this was asked about its content. The answer counts once, also where it came twice at the same
    /// time.
    pub(super) fn answered(&self, id: FileId, asked: Phase) -> Result<Arc<Flight>, PassError> {
        let mut state = self.lock();
        match state.flights.get_mut(&id) {
            Some((flight, _)) if flight.phase == asked => {
                *flight = Arc::new(Flight { phase: Phase::Compared, ..Flight::clone(flight) });
                Ok(flight.clone())
            }
            Some(_) => Err(PassError::Protocol("a verdict nobody asked for")),
            None => Err(PassError::Protocol("a file that was not asked for is named")),
        }
    }

    pub(super) fn get(&self, id: FileId) -> Result<Arc<Flight>, PassError> {
        let state = self.lock();
        let flight = state.flights.get(&id).map(|(flight, _)| flight.clone());
        flight.ok_or(PassError::Protocol("a file that was not asked for is named"))
    }

    /// Replaces what is known of a file after its content was compared.
    pub(super) fn replace(&self, id: FileId, flight: Flight) {
        if let Some((known, _)) = self.lock().flights.get_mut(&id) {
            *known = Arc::new(flight);
        }
    }

    /// Leaves what signing prepared for whoever builds the file, whose content may come from now on.
    pub(super) fn prepare(&self, id: FileId, prepared: Prepared) {
        if let Some((flight, Some(known))) = self.lock().flights.get_mut(&id) {
            *flight = Arc::new(Flight { phase: Phase::Fetching, ..Flight::clone(flight) });
            *known = prepared;
        }
    }

    /// Takes what was prepared.
    pub(super) fn prepared(&self, id: FileId) -> Prepared {
        match self.lock().flights.get_mut(&id) {
            Some((_, Some(prepared))) => std::mem::take(prepared),
            _ => Prepared::default(),
        }
    }

    /// The file is settled.
    pub(super) fn land(&self, id: FileId) {
        let mut state = self.lock();
        let flight = state.flights.remove(&id);
        if let Some((_, prepared)) = &flight {
            state.with_basis -= usize::from(prepared.is_some());
        }
        self.wake(state);
        drop(flight);
    }

    /// Waking whoever waits for each of a long row of files would make both switch for each; a gap is soon enough.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let Limits { all, with_basis } = self.limits;
        let room = state.in_flight() < all - all / 8 && state.with_basis < with_basis - with_basis / 8;
        let wake = room && std::mem::take(&mut state.waiting);
        drop(state);
        if wake {
            self.landed.notify_one();
        }
    }

    /// Lets nobody wait any more.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.landed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
