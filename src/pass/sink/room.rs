//! The room that files take at the destination before their turn.
//!
//! What is to be signed lies ready long before its content comes, and a stage may begin as a copy of the old file, or
//! wait half-built for its next round. Were that done for all at once, the destination would need room for a second
//! copy of everything. So a file takes its share here before it is signed, and gives it back when it has landed; one
//! for which there is none is signed later.
//!
//! Nobody waits here. Whoever lands a file is told which others to try again; and since a file gets its share in any
//! case if no other has one, there is always somebody to land.

use crate::wire::FileId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many files have a share however large they are: one is signed while another is built.
const FILES: usize = 2;
/// Bytes up to which more files have one.
const BYTES: u64 = 64 << 20;

/// Who has a share of the room, and who waits for one.
#[derive(Debug, Default)]
pub(super) struct Room(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    shares: HashMap<FileId, u64>,
    waiting: VecDeque<(FileId, u64)>,
}

impl State {
    fn bytes(&self) -> u64 {
        self.shares.values().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// Whether there may be so many shares of so many bytes.
fn may_be(shares: usize, bytes: u64) -> bool {
    shares <= FILES || bytes <= BYTES
}

impl Room {
    /// Takes a share of this many bytes, if all then take `most` bytes at most, which is what the file system has room
    /// for. If not, the file is noted as one that waits.
    pub(super) fn take(&self, file: FileId, bytes: u64, most: u64) -> bool {
        let mut state = self.lock();
        let (shares, all) = (state.shares.len(), state.bytes().saturating_add(bytes));
        let taken = shares == 0 || (all <= most && may_be(shares + 1, all));
        if taken {
            state.shares.insert(file, bytes);
        } else {
            state.waiting.push_back((file, bytes));
        }
        taken
    }

    /// Gives a share back, if the file has one. Returns those that are to try again.
    pub(super) fn give_back(&self, file: FileId) -> Vec<FileId> {
        let mut state = self.lock();
        let mut next = Vec::new();
        if state.shares.remove(&file).is_none() {
            return next;
        }
        let (shares, mut all) = (state.shares.len(), state.bytes());
        while let Some((file, bytes)) = state.waiting.front().copied() {
            all = all.saturating_add(bytes);
            let count = shares + next.len() + 1;
            if count > 1 && !may_be(count, all) {
                break;
            }
            next.push(file);
            state.waiting.pop_front();
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;
    const MIB: u64 = 1 << 20;

    #[test]
    fn of_huge_files_two_have_a_share() {
        let room = Room::default();
        let taken: Vec<bool> = (0..4).map(|n| room.take(FileId(n), GIB, u64::MAX)).collect();
        assert_eq!(taken, [true, true, false, false]);
        assert_eq!(room.give_back(FileId(9)), []);
        assert_eq!(room.give_back(FileId(0)), [FileId(2)]);
        assert!(room.take(FileId(2), GIB, u64::MAX));
        assert_eq!(room.give_back(FileId(0)), [], "it has given it back");
        assert_eq!(room.give_back(FileId(1)), [FileId(3)]);
    }

    #[test]
    fn of_others_as_many_as_fit() {
        let room = Room::default();
        let taken = (0..100).filter(|n| room.take(FileId(*n), MIB, u64::MAX)).count();
        assert_eq!(taken, 64);
        assert_eq!(room.give_back(FileId(3)), [FileId(64)]);
    }

    #[test]
    fn on_a_full_disk_one_after_another() {
        let room = Room::default();
        let mut queue: VecDeque<FileId> = (0..50).map(FileId).collect();
        let (mut building, mut landed) = (VecDeque::new(), 0);
        while let Some(file) = queue.pop_front() {
            if room.take(file, MIB, 0) {
                building.push_back(file);
            }
            assert!(building.len() <= 1);
            if queue.is_empty()
                && let Some(file) = building.pop_front()
            {
                landed += 1;
                queue.extend(room.give_back(file));
            }
        }
        assert_eq!(landed, 50);
    }
}
