//! Summing a wanted file while the sink still signs what it has of it.
//!
//! A sink asks for a file before it has read its basis. Until its block sums are there the source would have nothing to
//! do with a large file, so it reads and sums it meanwhile. It needs the file sum in any case; and once both are there,
//! what is the same at the same place is known without another look, and only the rest is read again and searched.
//!
//! The two things come from two threads. Neither waits for the other: whoever brings the second goes on with both.

use crate::delta::{BlockLen, SegmentHasher, SegmentSums, SumChoice};
use crate::fs::ReadFile;
use crate::pass::source::content::{Asked, Stop, check_growth};
use crate::pass::source::rounds::Room;
use crate::pass::source::{Listed, Source};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes of a file from which on it is summed ahead. A shorter one is read twice in the time it takes to hand it over.
pub(super) const LEAST: u64 = 1 << 20;

/// Bytes read at once.
const PIECE: usize = 256 << 10;

/// A file to be summed ahead.
pub(super) struct Ahead {
    listed: Listed,
    segment_len: BlockLen,
    /// Room for it and its sums, until the round takes it over.
    room: Mutex<Option<Room>>,
    /// Whether nobody will ask for it any more.
    abandoned: AtomicBool,
    meeting: Meeting<Summed, Box<Asked>>,
}

impl Ahead {
    pub(super) fn new(listed: Listed, segment_len: BlockLen, room: Room) -> Ahead {
        let (room, abandoned) = (Mutex::new(Some(room)), AtomicBool::new(false));
        Ahead { listed, segment_len, room, abandoned, meeting: Meeting::new() }
    }

    /// The file was read. Returns the round that is to be told of it, if the sums for that are there.
    pub(super) fn summed(&self, summed: Summed) -> Option<Box<Asked>> {
        self.meeting.bring(summed).map(|both| self.joined(both))
    }

    /// The sums for a round are there. Returns it, if the file was read.
    pub(super) fn asked(&self, asked: Box<Asked>) -> Option<Box<Asked>> {
        self.meeting.bring_other(asked).map(|both| self.joined(both))
    }

    /// The sums will not come: what is not read yet need not be.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    fn joined(&self, (summed, mut asked): (Summed, Box<Asked>)) -> Box<Asked> {
        asked.summed = Some(summed);
        asked.telling.room = self.room.lock().unwrap_or_else(PoisonError::into_inner).take();
        asked
    }
}

/// A file as it was read.
pub(super) type Summed = Result<(ReadFile, SegmentSums), Stop>;

/// Where two things meet that are needed together.
struct Meeting<A, B>(Mutex<(Option<A>, Option<B>)>);

impl<A, B> Meeting<A, B> {
    fn new() -> Meeting<A, B> {
        Meeting(Mutex::new((None, None)))
    }

    /// Brings the one. Returns both if the other is there.
    fn bring(&self, one: A) -> Option<(A, B)> {
        self.meet(|here| here.0 = Some(one))
    }

    /// Brings the other. Returns both if the one is there.
    fn bring_other(&self, other: B) -> Option<(A, B)> {
        self.meet(|here| here.1 = Some(other))
    }

    fn meet(&self, bring: impl FnOnce(&mut (Option<A>, Option<B>))) -> Option<(A, B)> {
        let mut here = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bring(&mut here);
        match std::mem::take(&mut *here) {
            (Some(one), Some(other)) => Some((one, other)),
            one_of_them => {
                *here = one_of_them;
                None
            }
        }
    }
}

impl Source<'_> {
    /// Sums a file that is going to be asked for, unless nobody will.
    pub(super) fn sum_ahead(&self, ahead: &Ahead) -> Summed {
        let go_on = || if ahead.abandoned.load(Ordering::Relaxed) { Err(Stop::Closed) } else { Ok(()) };
        self.sum(&ahead.listed, (self.context.sums, ahead.segment_len), go_on)
    }

    /// Reads a file from front to back and sums it, while `go_on` allows it.
    pub(super) fn sum(
        &self,
        listed: &Listed,
        (choice, segment_len): (SumChoice, BlockLen),
        go_on: impl Fn() -> Result<(), Stop>,
    ) -> Summed {
        go_on()?;
        let open = self.open(listed)?;
        let most = listed.most_segments(segment_len);
        let mut hasher = SegmentHasher::new(choice, segment_len);
        let mut pieces = open.pieces(0..u64::MAX);
        let mut buffer = pieces.buffer(PIECE.max(segment_len.get() as usize));
        while let Some(piece) = pieces.next(&mut buffer).map_err(Stop::Unreadable)? {
            self.go_on()?;
            go_on()?;
            hasher.push(piece);
            check_growth(hasher.whole_segments(), most)?;
        }
        Ok((open, hasher.finish()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_second_gets_both() {
        let meeting = Meeting::new();
        assert_eq!(meeting.bring(1), None);
        assert_eq!(meeting.bring_other("a"), Some((1, "a")));
        assert_eq!(meeting.bring_other("b"), None);
        assert_eq!(meeting.bring(2), Some((2, "b")));
    }
}
