//! Files that are new where they are listed, and somewhere here already (`--detect-renames`).
//!
//! Before anything is changed for the first time, all directories here are read (`walk`), and the files that are worth
//! it are kept by length, time and name (`index`). For a new file of which there may be the content, the source is
//! asked for its digest; each candidate is summed here, so that nothing is told of what is here, and a source gets
//! nothing copied that it does not have. Only where the digests agree is it taken from here (`carry`): copied, or,
//! where the old name is about to be deleted, renamed instead.
//!
//! Which names are deleted is known late, so with this option all deletions come last (`spool`), and a file that may be
//! renamed waits for them: deleting a name for which something waits *is* giving it the new one, and what still waits
//! when all is deleted is copied. So every rule about deletion holds for renaming too, and at each moment the content
//! has the old name or the new one. What waits is remembered, one record for each file; a candidate that this run is
//! going to change is copied before that ([`Sink::let_go`]), so that it depends on nobody's speed what comes of it.

mod carry;
mod index;
mod walk;

use crate::delta::Digest;
use crate::fs::Stamp;
use crate::pass::PassError;
use crate::pass::decide::Update;
use crate::pass::sink::Sink;
use crate::tree::{Entry, Name, RelPath};
pub(super) use carry::Away;
use index::Index;
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often it is looked whether the run was stopped while the comparison waits.
const LOOK: Duration = Duration::from_millis(100);

/// What is known of files that may have been moved.
#[derive(Debug, Default)]
pub(super) struct Moves {
    is_on: bool,
    /// `None` until the first change.
    index: Mutex<Option<Index>>,
    engaged: Mutex<HashMap<RelPath, Engaged>>,
    /// Somebody has done with a candidate.
    done: Condvar,
}

/// A file of the destination that is a candidate for new ones.
#[derive(Debug, Default)]
struct Engaged {
    /// For how many of these the source was asked, or is being answered.
    asked: usize,
    /// Those that are to have its content, or its place.
    waiting: Vec<Waiting>,
}

/// A new file of which the content is here, under a name that may be deleted.
#[derive(Debug)]
struct Waiting {
    /// The directory it is to be in.
    dir: RelPath,
    /// Its name there.
    name: Name,
    /// What the source listed, with this host's owners.
    entry: Entry,
    update: Update,
    /// Whether that directory has got its time, which a new name in it changes.
    keeps_time: bool,
    /// Which version it was that has the content.
    stamp: Stamp,
    /// The content.
    digest: Digest,
}

impl Moves {
    /// Nothing known yet. Without the option nothing will be.
    pub(super) fn new(is_on: bool) -> Moves {
        Moves { is_on, ..Moves::default() }
    }

    /// Whether moved files are looked for, and deletions put off.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    fn engaged(&self) -> MutexGuard<'_, HashMap<RelPath, Engaged>> {
        self.engaged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source is asked about a file that these are candidates for.
    fn engage(&self, candidates: &[RelPath]) {
        let mut engaged = self.engaged();
        for path in candidates {
            engaged.entry(path.clone()).or_default().asked += 1;
        }
    }

    /// It is known what comes of that.
    fn disengage(&self, candidates: &[RelPath]) {
        let mut engaged = self.engaged();
        for path in candidates {
            if let Some(candidate) = engaged.get_mut(path) {
                candidate.asked = candidate.asked.saturating_sub(1);
                if candidate.asked == 0 && candidate.waiting.is_empty() {
                    engaged.remove(path);
                }
            }
        }
        drop(engaged);
        self.done.notify_all();
    }

    /// Has a new file wait until it is known what becomes of the candidate whose content it has.
    fn wait_for(&self, path: &RelPath, waiting: Waiting) {
        self.engaged().entry(path.clone()).or_default().waiting.push(waiting);
    }

    /// Those that wait for a file of this path.
    fn take_waiting(&self, path: &RelPath) -> Vec<Waiting> {
        let mut engaged = self.engaged();
        let Some(candidate) = engaged.get_mut(path) else { return Vec::new() };
        let waiting = std::mem::take(&mut candidate.waiting);
        if candidate.asked == 0 {
            engaged.remove(path);
        }
        waiting
    }

    /// All that still wait, by the paths of the files.
    fn take_all(&self) -> Vec<(RelPath, Vec<Waiting>)> {
        let mut all: Vec<_> = std::mem::take(&mut *self.engaged()).into_iter().collect();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        all.into_iter().map(|(path, candidate)| (path, candidate.waiting)).collect()
    }
}

impl Sink<'_> {
    /// Works with the index, which is made first if there is none.
    fn with_index<T>(&self, work: impl FnOnce(&mut Index) -> T) -> T {
        let mut index = self.moves.index.lock().unwrap_or_else(PoisonError::into_inner);
        work(index.get_or_insert_with(|| self.walk_here()))
    }

    /// Something is going to be made here: what there is before that is looked at, if it was not yet.
    pub(super) fn look_around(&self) {
        if self.moves.is_on() {
            self.with_index(|_| ());
        }
    }

    /// Files here that may have the content of a new one. They count as asked about from now on.
    pub(super) fn candidates(&self, entry: &Entry) -> Vec<RelPath> {
        if !self.moves.is_on() || entry.node.size() < index::LEAST {
            return Vec::new();
        }
        let found = self.with_index(|index| index.candidates(entry));
        self.moves.engage(&found);
        found
    }

    /// A file of the same name elsewhere, which may be another version of a new one.
    pub(super) fn namesake(&self, entry: &Entry) -> Option<RelPath> {
        let is_worth_it = self.moves.is_on() && entry.node.size() > crate::pass::SMALL;
        is_worth_it.then(|| self.with_index(|index| index.namesake(entry))).flatten()
    }

    /// The comparison has found what is to become of a file here: it stays as it is.
    pub(super) fn stays(&self, path: &RelPath) {
        let mut index = self.moves.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = index.as_mut() {
            index.keep(path);
        }
    }

    /// The comparison is about to change a file here, or to remove it with a directory. Whoever asked about it is
    /// waited for, and what waits for it gets its content first.
    pub(super) fn let_go(&self, path: &RelPath) -> Result<(), PassError> {
        self.with_index(|index| index.forget(path));
        self.wait_until(|engaged| engaged.get(path).is_none_or(|candidate| candidate.asked == 0))?;
        for waiting in self.moves.take_waiting(path) {
            self.copy_late(path, &waiting);
        }
        Ok(())
    }

    /// The same of all files of a directory, which may be removed: what waits for one gets its place then.
    pub(super) fn let_go_below(&self, above: &RelPath) -> Result<(), PassError> {
        self.with_index(|index| index.forget_below(above));
        self.wait_until(|engaged| {
            !engaged.iter().any(|(path, candidate)| candidate.asked > 0 && path.is_below(above))
        })
    }

    /// Both, for what may be either.
    pub(super) fn let_go_of(&self, path: &RelPath) -> Result<(), PassError> {
        self.let_go(path)?;
        self.let_go_below(path)
    }

    /// All that was to be deleted is: what still waits is copied.
    pub(super) fn finish_moves(&self) {
        let all = self.moves.take_all();
        let rest = all.iter().flat_map(|(path, waiting)| waiting.iter().map(move |waiting| (path, waiting)));
        for (path, waiting) in rest.take_while(|_| !self.sender.is_stopped()) {
            self.copy_late(path, waiting);
        }
    }

    /// Waits for those who sum candidates, none of whom waits for the comparison.
    fn wait_until(&self, is_done: impl Fn(&HashMap<RelPath, Engaged>) -> bool) -> Result<(), PassError> {
        let mut engaged = self.moves.engaged();
        while !is_done(&engaged) {
            if self.sender.is_stopped() {
                return Err(PassError::Lost);
            }
            let waited = self.moves.done.wait_timeout(engaged, LOOK);
            engaged = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }
}
