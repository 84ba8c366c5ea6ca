//! What a file that is updated in place held where it has been written last.
//!
//! Written from front to back over itself, a file in which something was inserted would lose what moved back before it
//! is copied. So the last bytes that were overwritten are remembered, as many as both sides have agreed on ([`Reach`]),
//! and copies may take from so far behind the place where they go. What was passed and not written is in the file still.

use crate::delta::patch::Basis;
use std::collections::VecDeque;
use std::io;
use std::ops::Range;

/// A file is updated in place; so many of the bytes that were overwritten last can still be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach(pub u64);

impl Reach {
    /// What source and sink have agreed on: 1 MiB.
    pub const AGREED: Self = Self(1 << 20);
}

/// From this length on a piece is followed by another.
const LONG: usize = 256 << 10;

/// What was passed between two pieces is remembered too if it is shorter than this, so that pieces are few whatever is
/// written.
const NEAR: u64 = 4 << 10;

/// The bytes overwritten last.
#[derive(Debug)]
pub(super) struct Overwritten {
    reach: u64,
    /// In order of offset, and apart from each other.
    pieces: VecDeque<Piece>,
}

#[derive(Debug)]
struct Piece {
    offset: u64,
    bytes: Vec<u8>,
}

impl Piece {
    fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

impl Overwritten {
    /// None yet.
    pub(super) fn new(Reach(reach): Reach) -> Self {
        Self { reach, pieces: VecDeque::new() }
    }

    /// Remembers a range that is about to be written, behind all before it. Where it cannot be read any more, nothing is
    /// remembered, and the file sum will not agree with what is copied.
    pub(super) fn save(&mut self, basis: &impl Basis, range: Range<u64>) {
        if self.reach == 0 || range.is_empty() {
            return;
        }
        let behind = range.end.saturating_sub(self.reach);
        while self.pieces.front().is_some_and(|piece| piece.end() <= behind) {
            self.pieces.pop_front();
        }
        let near =
            |piece: &mut Piece| piece.bytes.len() < LONG && range.start.saturating_sub(piece.end()) < NEAR;
        let last = self.pieces.pop_back_if(near);
        // Of a range longer than the reach, only its end will be asked for.
        let mut piece = last.unwrap_or_else(|| Piece { offset: range.start.max(behind), bytes: Vec::new() });
        let (known, start) = (piece.bytes.len(), piece.end());
        let more = usize::try_from(range.end.saturating_sub(start)).unwrap_or_default();
        piece.bytes.resize(known.saturating_add(more), 0);
        match basis.read_at(start, piece.bytes.get_mut(known..).unwrap_or_default()) {
            Ok(()) => self.pieces.push_back(piece),
            Err(_) => self.clear(),
        }
    }

    /// Reads from the basis as it was, as far as that is remembered.
    pub(super) fn read_at(&self, basis: &impl Basis, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut at = offset;
        let mut rest = buf;
        let first = self.pieces.partition_point(|piece| piece.end() <= offset);
        let mut pieces = self.pieces.range(first..);
        while !rest.is_empty() {
            let piece = pieces.next();
            // What lies before the next piece is in the file.
            let until = piece.map_or(u64::MAX, |piece| piece.offset);
            let (from_file, other) = split(rest, until.saturating_sub(at));
            if !from_file.is_empty() {
                basis.read_at(at, from_file)?;
                at = at.saturating_add(from_file.len() as u64);
            }
            rest = other;
            if let Some(piece) = piece {
                let within = usize::try_from(at.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
                let bytes = piece.bytes.get(within..).unwrap_or_default();
                let (from_piece, other) = split(rest, bytes.len() as u64);
                from_piece.copy_from_slice(bytes.get(..from_piece.len()).unwrap_or_default());
                at = at.saturating_add(from_piece.len() as u64);
                rest = other;
            }
        }
        Ok(())
    }

    /// Forgets everything: what is written next is not behind what was.
    pub(super) fn clear(&mut self) {
        self.pieces = VecDeque::new();
    }
}

/// Splits a buffer after `len` bytes, or at its end.
fn split(buf: &mut [u8], len: u64) -> (&mut [u8], &mut [u8]) {
    let len = usize::try_from(len).map_or(buf.len(), |len| len.min(buf.len()));
    buf.split_at_mut(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The simple twin: a copy of the whole basis.
        #[test]
        fn what_is_within_reach_is_as_it_was(
            basis in prop::collection::vec(any::<u8>(), 1..20_000),
            reach in prop_oneof![0_u64..50, 0_u64..20_000],
            steps in prop::collection::vec((prop_oneof![0_usize..20, 0_usize..9000], prop_oneof![1_usize..20, 1_usize..5000]), 1..20),
        ) {
            let mut file = basis.clone();
            let mut overwritten = Overwritten::new(Reach(reach));
            let mut position = 0;
            for (passed, written) in steps {
                let start = (position + passed).min(file.len());
                position = (start + written).min(file.len());
                overwritten.save(&&file[..], start as u64..position as u64);
                file[start..position].fill(0xEE);
                let from = position.saturating_sub(reach as usize);
                let mut read = vec![0; file.len() - from];
                overwritten.read_at(&&file[..], from as u64, &mut read).unwrap();
                prop_assert_eq!(&read[..], &basis[from..]);
                let held: usize = overwritten.pieces.iter().map(|piece| piece.bytes.len()).sum();
                prop_assert!(held as u64 <= reach + 2 * LONG as u64, "{} bytes", held);
            }
        }
    }

    #[test]
    fn pieces_are_few_whatever_is_written() {
        let basis = vec![7; 1 << 20];
        let mut overwritten = Overwritten::new(Reach::AGREED);
        for at in (0..1 << 20).step_by(2) {
            overwritten.save(&&basis[..], at..at + 1);
        }
        assert!(overwritten.pieces.len() <= 8, "{}", overwritten.pieces.len());
    }
}
