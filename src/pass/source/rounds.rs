//! Files told in rounds: what is kept of one while the sums of its gaps are on their way.
//!
//! Nobody waits for these sums. The worker that ends a round leaves the file here and takes up other work; when the sums
//! are complete, the next round is a job like any other. A file is forgotten when its directory is closed, since a sink
//! that could not write it does not answer.
//!
//! Files and gaps are bounded over all files. One that finds no room is told with fewer gaps or none, in literals: right
//! all the same, only dearer.

use crate::delta::{BlockLen, Gap, StrongLen};
use crate::fs::ReadFile;
use crate::pass::source::Listed;
use crate::wire::{ContentEnd, DirId, FileId, OPEN_GAPS};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file that is told as a difference: before its first round, or between two.
pub(super) struct Telling {
    pub dir: DirId,
    pub listed: Listed,
    pub basis_len: u64,
    /// What the next round tells, in order, and the shape of the sums it needs.
    pub gaps: Vec<Gap>,
    pub block_len: BlockLen,
    pub strong_len: StrongLen,
    /// Whether there may be more rounds.
    pub refine: bool,
    /// The file, and the end of its content, both known from the first round on.
    pub begun: Option<(ReadFile, ContentEnd)>,
    pub room: Option<Room>,
}

/// The files that wait for sums.
pub(super) struct Rounds {
    waiting: Mutex<HashMap<FileId, Box<Telling>>>,
    counts: Arc<Mutex<Counts>>,
    most_files: usize,
}

#[derive(Debug, Default)]
struct Counts {
    files: usize,
    gaps: usize,
}

impl Rounds {
    /// With room for so many files, each of which is held open.
    pub(super) fn new(most_files: usize) -> Rounds {
        Rounds { waiting: Mutex::default(), counts: Arc::default(), most_files }
    }

    /// Room for one more file, if there is.
    pub(super) fn room(&self) -> Option<Room> {
        let mut counts = lock(&self.counts);
        if counts.files >= self.most_files {
            return None;
        }
        counts.files += 1;
        Some(Room { counts: self.counts.clone(), gaps: 0 })
    }

    /// Leaves a file until its sums come.
    pub(super) fn leave(&self, file: FileId, telling: Box<Telling>) {
        lock(&self.waiting).insert(file, telling);
    }

    /// Takes a file up again.
    pub(super) fn take(&self, file: FileId) -> Option<Box<Telling>> {
        lock(&self.waiting).remove(&file)
    }

    /// Forgets the files of a directory.
    pub(super) fn close(&self, dir: DirId) {
        lock(&self.waiting).retain(|_, telling| telling.dir != dir);
    }
}

/// The room that one file has, and its gaps.
#[derive(Debug)]
pub(super) struct Room {
    counts: Arc<Mutex<Counts>>,
    gaps: usize,
}

impl Room {
    /// Takes room for as many gaps as there is, `most` at most; returns how many.
    pub(super) fn more(&mut self, most: usize) -> usize {
        let mut counts = lock(&self.counts);
        let gaps = most.min(OPEN_GAPS.saturating_sub(counts.gaps));
        counts.gaps += gaps;
        self.gaps += gaps;
        gaps
    }

    /// Keeps room for so many gaps of those it has.
    pub(super) fn keep(&mut self, gaps: usize) {
        let surplus = self.gaps.saturating_sub(gaps);
        lock(&self.counts).gaps -= surplus;
        self.gaps -= surplus;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.keep(0);
        lock(&self.counts).files -= 1;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_gaps_are_bounded() {
        let rounds = Rounds::new(2);
        let (first, second) = (rounds.room(), rounds.room());
        assert!(first.is_some() && rounds.room().is_none());
        drop(first);
        let (mut first, mut second) = (rounds.room().unwrap(), second.unwrap());
        assert_eq!(first.more(10), 10);
        assert_eq!(second.more(OPEN_GAPS), OPEN_GAPS - 10);
        assert_eq!(first.more(1), 0);
        second.keep(3);
        assert_eq!(first.more(OPEN_GAPS), OPEN_GAPS - 13);
        drop((first, second));
        assert_eq!(rounds.room().unwrap().more(usize::MAX), OPEN_GAPS);
    }
}
