//! Carries operations out: basis and literals in, the new file out, hashed as it is written.
//!
//! The sink owns the files; it lends them as a [`Basis`] that can be read anywhere and an [`Output`] that can be written
//! anywhere. Operations come from the peer, so nothing about them is trusted.
//!
//! The operations of the first round make the file from its beginning and may leave gaps. Those of each further round
//! fill the gaps of the one before, in order and each exactly, but for the gaps they leave themselves. What the first
//! round writes is hashed as it is written; the segments in which it left gaps are to be read once more at the end.

use crate::delta::gap::{COVERED_PER_BASIS, GAPS_PER_BASIS};
use crate::delta::signature::check_blocks;
use crate::delta::{
    BlockLen, Cover, DeltaError, Gap, MAX_GAPS, Op, SEGMENT_LEN, SegmentHasher, SegmentSums, SumChoice,
};
use std::io;
use std::ops::Range;

/// The most bytes of a copy held in memory at a time.
const COPY_BUFFER: u64 = 256 << 10;

/// The old file.
pub trait Basis {
    /// Fills `buf` from the bytes at `offset`.
    ///
    /// # Errors
    /// Any failure of reading, among them a basis that became too short.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

impl Basis for [u8] {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buf.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl<B: Basis + ?Sized> Basis for &B {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buf)
    }
}

/// The new file.
pub trait Output {
    /// Writes these bytes at `position`.
    ///
    /// # Errors
    /// Any failure of writing.
    fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()>;

    /// Takes these bytes at `position`, which equal the basis at the very same offset.
    ///
    /// An output that began as the basis, updated in place or cloned, has them already.
    ///
    /// # Errors
    /// Any failure of writing.
    fn keep(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        self.write_at(data, position)
    }
}

impl Output for Vec<u8> {
    fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        let start = usize::try_from(position).map_err(io::Error::other)?;
        let end = start.checked_add(data.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        if self.len() < end {
            self.resize(end, 0);
        }
        if let Some(place) = self.get_mut(start..end) {
            place.copy_from_slice(data);
        }
        Ok(())
    }
}

/// Makes the new file from operations.
#[derive(Debug)]
pub struct Patch<B, O> {
    basis: B,
    basis_len: u64,
    output: O,
    hasher: SegmentHasher,
    /// Where the next byte goes.
    position: u64,
    /// What this round fills.
    filling: Filling,
    /// How long the blocks are that were looked for in this round, if that is known.
    searched: Option<BlockLen>,
    /// What it has left open.
    gaps: Vec<Gap>,
    /// The bytes of these.
    open: u64,
    /// Ranges of segments that the hasher has not seen whole.
    unsummed: Vec<Range<u64>>,
    buffer: Vec<u8>,
}

/// What the operations of a round fill.
#[derive(Debug)]
enum Filling {
    /// The file, from its beginning.
    File,
    /// The gap that ends at `end`, and then these, of a file of `len` bytes.
    Gaps { end: u64, rest: std::vec::IntoIter<Gap>, len: u64 },
}

/// A file whose every byte was told.
#[derive(Debug)]
pub struct Patched<O> {
    /// Where it was written.
    pub output: O,
    /// The sums of its segments, as far as they are known.
    pub sums: SegmentSums,
    /// The numbers of those that are not, in order, in ranges.
    pub unsummed: Vec<Range<u64>>,
}

impl<B: Basis, O: Output> Patch<B, O> {
    /// Starts a file. Copies may take from the first `basis_len` bytes of the basis, those its signature covered; where
    /// there is no basis, that is none of an empty slice.
    pub fn new(choice: SumChoice, basis: B, basis_len: u64, output: O) -> Self {
        Self {
            basis,
            basis_len,
            output,
            hasher: SegmentHasher::new(choice),
            position: 0,
            filling: Filling::File,
            searched: None,
            gaps: Vec::new(),
            open: 0,
            unsummed: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Says that the basis was signed in blocks of this length, so that those of the next round have to be shorter.
    #[must_use]
    pub fn signed_in(mut self, block_len: BlockLen) -> Self {
        self.searched = Some(block_len);
        self
    }

    /// Carries out one operation.
    ///
    /// A copy is made from front to back, so basis and output may be one file if, as
    /// [`SearchOptions::in_place`](super::SearchOptions) has it, no copy takes from before where it goes.
    ///
    /// # Errors
    /// What basis or output said; for operations no honest peer sends, before anything of them is written:
    /// [`DeltaError::OutsideBasis`], [`DeltaError::OutputTooLong`], [`DeltaError::OutsideGap`] and
    /// [`DeltaError::TooManyGaps`].
    pub fn apply(&mut self, op: Op<'_>) -> Result<(), DeltaError> {
        match op {
            Op::Copy { offset, len } => self.copy(offset, len),
            Op::Literal(data) => {
                self.reserve(data.len() as u64)?;
                let written = self.output.write_at(data, self.position);
                written.map_err(|source| self.write_failed(data.len(), source))?;
                self.advance(data);
                Ok(())
            }
            Op::Gap { len, offset, basis_len } => self.leave(len, offset, basis_len),
        }
    }

    /// Ends the round: from now on the gaps it left are filled, with what is found in blocks of `block_len`. Returns what
    /// is to be signed for that.
    ///
    /// # Errors
    /// [`DeltaError::RoundIncomplete`] if something of the last round was not told, or nothing was left to this one;
    /// [`DeltaError::BlockLen`] if blocks are not at most half as long as the last ones, so that rounds come to an end;
    /// [`DeltaError::TooManyBlocks`] if there are more than a signature may have; [`DeltaError::TooManyGaps`] if more
    /// of the basis were to be read for them than gaps of any use need.
    pub fn next_round(&mut self, block_len: BlockLen) -> Result<Vec<Cover>, DeltaError> {
        if !self.is_filled() || self.gaps.is_empty() {
            return Err(DeltaError::RoundIncomplete);
        }
        if self.searched.is_some_and(|last| block_len.get() > last.get() / 2) {
            return Err(DeltaError::BlockLen(block_len.get().into()));
        }
        let covers: Vec<Cover> = self.gaps.iter().map(|gap| Cover::of_gap(gap, block_len)).collect();
        check_blocks(covers.iter().copied(), block_len)?;
        let covered = covers.iter().map(Cover::len).fold(0, u64::saturating_add);
        if covered > self.basis_len.saturating_mul(COVERED_PER_BASIS) {
            return Err(DeltaError::TooManyGaps);
        }
        let rest = std::mem::take(&mut self.gaps).into_iter();
        let len = match &self.filling {
            Filling::File => self.position,
            Filling::Gaps { len, .. } => *len,
        };
        self.filling = Filling::Gaps { end: self.position, rest, len };
        self.searched = Some(block_len);
        self.open = 0;
        Ok(covers)
    }

    /// The basis.
    pub fn basis(&self) -> &B {
        &self.basis
    }

    /// How many gaps are open: left by this round, or by the last and not begun in this.
    pub fn open_gaps(&self) -> usize {
        let rest = match &self.filling {
            Filling::File => 0,
            Filling::Gaps { rest, .. } => rest.len(),
        };
        self.gaps.len() + rest
    }

    /// How many bytes from the beginning of the new file are there.
    pub fn prefix(&self) -> u64 {
        let begun = match &self.filling {
            // Between two gaps nothing is missing.
            Filling::Gaps { end, rest, len, .. } if self.position == *end => {
                rest.as_slice().first().map_or(*len, |gap| gap.at)
            }
            _ => self.position,
        };
        self.gaps.first().map_or(begun, |gap| gap.at.min(begun))
    }

    /// Ends the file here.
    ///
    /// # Errors
    /// [`DeltaError::RoundIncomplete`] if there are gaps.
    pub fn finish(self) -> Result<Patched<O>, DeltaError> {
        if !self.is_filled() || !self.gaps.is_empty() {
            return Err(DeltaError::RoundIncomplete);
        }
        Ok(Patched { output: self.output, sums: self.hasher.finish(), unsummed: self.unsummed })
    }

    /// Gives up the file; returns the output as it is.
    pub fn into_output(self) -> O {
        self.output
    }

    /// Whether the operations of this round have filled what they had to.
    fn is_filled(&self) -> bool {
        match &self.filling {
            Filling::File => true,
            Filling::Gaps { end, rest, .. } => self.position == *end && rest.len() == 0,
        }
    }

    /// Leaves a gap.
    fn leave(&mut self, len: u64, offset: u64, basis_len: u64) -> Result<(), DeltaError> {
        self.within_basis(offset, basis_len)?;
        let open = self.open.saturating_add(len);
        let few = self.gaps.len() < MAX_GAPS && open <= self.basis_len.saturating_mul(GAPS_PER_BASIS);
        if !few || len == 0 || basis_len == 0 {
            return Err(DeltaError::TooManyGaps);
        }
        self.reserve(len)?;
        self.open = open;
        self.gaps.push(Gap { at: self.position, len, offset, basis_len });
        let end = self.position.saturating_add(len);
        if matches!(self.filling, Filling::File) {
            self.hasher.skip(len);
            let segments = self.position / SEGMENT_LEN..end.div_ceil(SEGMENT_LEN);
            match self.unsummed.last_mut() {
                Some(last) if last.end >= segments.start => last.end = segments.end,
                _ => self.unsummed.push(segments),
            }
        }
        self.position = end;
        Ok(())
    }

    /// Checks that a range is one of the basis; returns its end.
    fn within_basis(&self, offset: u64, len: u64) -> Result<u64, DeltaError> {
        let outside = || DeltaError::OutsideBasis { offset, len, basis_len: self.basis_len };
        offset.checked_add(len).filter(|end| *end <= self.basis_len).ok_or_else(outside)
    }

    fn copy(&mut self, offset: u64, len: u64) -> Result<(), DeltaError> {
        let end = self.within_basis(offset, len)?;
        self.reserve(len)?;
        let in_place = offset == self.position;
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut from = offset;
        while from < end {
            buffer.resize((end - from).min(COPY_BUFFER) as usize, 0);
            self.copy_piece(from, &mut buffer, in_place)?;
            from += buffer.len() as u64;
        }
        self.buffer = buffer;
        Ok(())
    }

    fn copy_piece(&mut self, from: u64, buffer: &mut [u8], in_place: bool) -> Result<(), DeltaError> {
        let len = buffer.len();
        self.basis.read_at(from, buffer).map_err(|source| DeltaError::ReadBasis {
            offset: from,
            len,
            source,
        })?;
        let position = self.position;
        let written = if in_place {
            self.output.keep(buffer, position)
        } else {
            self.output.write_at(buffer, position)
        };
        written.map_err(|source| self.write_failed(len, source))?;
        self.advance(buffer);
        Ok(())
    }

    /// Makes sure that the next operation may be `len` bytes long: refuses what would end beyond the longest file a
    /// system can hold, or beyond the gap it is in. Goes on to the next gap if the last is full.
    fn reserve(&mut self, len: u64) -> Result<(), DeltaError> {
        let end = match &mut self.filling {
            Filling::File => i64::MAX as u64,
            Filling::Gaps { end, rest, .. } => {
                if self.position == *end
                    && len > 0
                    && let Some(gap) = rest.next()
                {
                    self.position = gap.at;
                    *end = gap.end();
                }
                *end
            }
        };
        let beyond = match &self.filling {
            Filling::File => DeltaError::OutputTooLong,
            Filling::Gaps { .. } => DeltaError::OutsideGap { position: self.position, len },
        };
        self.position.checked_add(len).filter(|place| *place <= end).map(|_| ()).ok_or(beyond)
    }

    fn advance(&mut self, written: &[u8]) {
        if matches!(self.filling, Filling::File) {
            self.hasher.push(written);
        }
        self.position += written.len() as u64;
    }

    fn write_failed(&self, len: usize, source: io::Error) -> DeltaError {
        DeltaError::WriteOutput { position: self.position, len, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::StrongKind;
    use proptest::prelude::*;

    const CHOICE: SumChoice = SumChoice { kind: StrongKind::Xxh3, seed: 9 };

    fn patch(basis: &[u8]) -> Patch<&[u8], Vec<u8>> {
        Patch::new(CHOICE, basis, basis.len() as u64, Vec::new())
    }

    #[test]
    fn writes_and_hashes() {
        let basis: Vec<u8> = (0..700_000_u32).map(|n| (n >> 3) as u8).collect();
        let mut patch = patch(&basis);
        patch.apply(Op::Literal(b"new ")).unwrap();
        patch.apply(Op::Copy { offset: 1, len: 600_000 }).unwrap();
        patch.apply(Op::Copy { offset: 5, len: 0 }).unwrap();
        patch.apply(Op::Copy { offset: 0, len: 700_000 }).unwrap();
        assert_eq!(patch.prefix(), 1_300_004);
        let Patched { output: written, sums, unsummed } = patch.finish().unwrap();
        assert_eq!(unsummed, []);
        let expected = [b"new ", &basis[1..600_001], &basis].concat();
        assert!(written == expected);
        let mut hasher = SegmentHasher::new(CHOICE);
        hasher.push(&expected);
        assert_eq!(sums, hasher.finish());
    }

    #[test]
    fn copies_from_the_same_offset_are_kept() {
        #[derive(Default)]
        struct Calls(Vec<(&'static str, usize)>);
        impl Output for Calls {
            fn write_at(&mut self, data: &[u8], _: u64) -> io::Result<()> {
                self.0.push(("write", data.len()));
                Ok(())
            }
            fn keep(&mut self, data: &[u8], _: u64) -> io::Result<()> {
                self.0.push(("keep", data.len()));
                Ok(())
            }
        }
        let mut patch = Patch::new(CHOICE, &[0_u8; 100][..], 100, Calls::default());
        patch.apply(Op::Copy { offset: 0, len: 10 }).unwrap();
        patch.apply(Op::Copy { offset: 20, len: 5 }).unwrap();
        patch.apply(Op::Literal(&[1; 5])).unwrap();
        patch.apply(Op::Copy { offset: 20, len: 80 }).unwrap();
        let calls = patch.into_output().0;
        assert_eq!(calls, [("keep", 10), ("write", 5), ("write", 5), ("keep", 80)]);
    }

    #[test]
    fn refuses_copies_outside_the_basis() {
        let mut patch = patch(b"12345");
        for (offset, len) in [(0, 6), (5, 1), (6, 0), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
            let result = patch.apply(Op::Copy { offset, len });
            assert!(matches!(result, Err(DeltaError::OutsideBasis { .. })), "{offset} {len}");
        }
        patch.apply(Op::Copy { offset: 5, len: 0 }).unwrap();
        assert_eq!(patch.prefix(), 0);
    }

    #[test]
    fn a_basis_that_shrank_is_an_error() {
        let mut patch = Patch::new(CHOICE, &b"123"[..], 5, Vec::new());
        let result = patch.apply(Op::Copy { offset: 1, len: 4 });
        assert!(matches!(result, Err(DeltaError::ReadBasis { offset: 1, len: 4, .. })));
    }

    fn gap(len: u64) -> Op<'static> {
        Op::Gap { len, offset: 0, basis_len: 5 }
    }

    fn block_len(len: u64) -> BlockLen {
        BlockLen::new(len).unwrap()
    }

    #[test]
    fn gaps_are_filled_in_order_and_exactly() {
        let mut patch = patch(b"12345");
        for op in [Op::Literal(b"ab"), gap(3), Op::Copy { offset: 0, len: 2 }, gap(6), Op::Literal(b"z")] {
            patch.apply(op).unwrap();
        }
        assert_eq!((patch.prefix(), patch.open_gaps()), (2, 2));
        assert_eq!(patch.next_round(block_len(4)).unwrap().len(), 2);
        assert_eq!(patch.prefix(), 2);
        patch.apply(Op::Literal(b"cd")).unwrap();
        assert_eq!(patch.prefix(), 4);
        assert!(matches!(patch.apply(Op::Literal(b"ef")), Err(DeltaError::OutsideGap { .. })));
        patch.apply(Op::Copy { offset: 4, len: 1 }).unwrap();
        assert_eq!((patch.prefix(), patch.open_gaps()), (7, 1));
        assert!(matches!(patch.next_round(block_len(2)), Err(DeltaError::RoundIncomplete)));
        patch.apply(gap(4)).unwrap();
        patch.apply(Op::Literal(b"xy")).unwrap();
        assert!(matches!(patch.apply(Op::Literal(b"!")), Err(DeltaError::OutsideGap { .. })));
        assert!(matches!(patch.next_round(block_len(3)), Err(DeltaError::BlockLen(3))));
        assert_eq!(patch.next_round(block_len(2)).unwrap().len(), 1);
        assert_eq!(patch.prefix(), 7);
        patch.apply(Op::Literal(b"wwww")).unwrap();
        assert_eq!(patch.prefix(), 14);
        let Patched { output, unsummed, sums } = patch.finish().unwrap();
        assert_eq!(output, b"abcd512wwwwxyz");
        assert_eq!(sums.len(), 14);
        assert_eq!((unsummed.len(), unsummed[0].clone()), (1, 0..1));
    }

    #[test]
    fn segments_with_gaps_are_named() {
        let basis = vec![0; 4 << 20];
        let mut patch = patch(&basis);
        for (copied, left) in [(100, 1), ((1 << 20) - 101, 10), (3 << 20, 1 << 20)] {
            patch.apply(Op::Copy { offset: 0, len: copied }).unwrap();
            patch.apply(gap(left)).unwrap();
        }
        patch.next_round(block_len(4)).unwrap();
        for len in [1, 10, 1 << 20] {
            patch.apply(Op::Copy { offset: 0, len }).unwrap();
        }
        assert_eq!(patch.finish().unwrap().unsummed, [0..2, 4..6]);
    }

    #[test]
    fn what_is_not_filled_is_no_file() {
        let mut patch = patch(b"12345");
        assert!(matches!(patch.next_round(block_len(4)), Err(DeltaError::RoundIncomplete)));
        patch.apply(gap(1)).unwrap();
        assert!(matches!(patch.finish(), Err(DeltaError::RoundIncomplete)));
    }

    #[test]
    fn refuses_gaps_without_measure() {
        let mut patch = patch(b"12345");
        for (len, offset, basis_len) in [(1, 0, 6), (1, 5, 1), (1, u64::MAX, 1), (1, 1, u64::MAX)] {
            let result = patch.apply(Op::Gap { len, offset, basis_len });
            assert!(matches!(result, Err(DeltaError::OutsideBasis { .. })), "{offset} {basis_len}");
        }
        for (len, basis_len) in [(0, 1), (1, 0), (21, 5), (u64::MAX, 5)] {
            let result = patch.apply(Op::Gap { len, offset: 0, basis_len });
            assert!(matches!(result, Err(DeltaError::TooManyGaps)), "{len} {basis_len}");
        }
        let zeros = vec![0; 1 << 20];
        let mut patch = Patch::new(CHOICE, &zeros[..], 1 << 20, Vec::new());
        (0..MAX_GAPS).for_each(|_| patch.apply(gap(1)).unwrap());
        assert!(matches!(patch.apply(gap(1)), Err(DeltaError::TooManyGaps)));
    }

    #[test]
    fn refuses_gaps_that_have_the_basis_read_over_and_over() {
        let zeros = vec![0; 1000];
        let wide = |times| {
            let mut patch = Patch::new(CHOICE, &zeros[..], 1000, Vec::new());
            (0..times).for_each(|_| patch.apply(Op::Gap { len: 1, offset: 0, basis_len: 1000 }).unwrap());
            patch.next_round(block_len(500)).map(|covers| covers.len())
        };
        assert_eq!(wide(16).unwrap(), 16);
        assert!(matches!(wide(17), Err(DeltaError::TooManyGaps)));
    }

    #[test]
    fn the_first_round_too_has_to_be_finer() {
        let mut patch = patch(b"12345").signed_in(block_len(9));
        patch.apply(gap(3)).unwrap();
        assert!(matches!(patch.next_round(block_len(5)), Err(DeltaError::BlockLen(5))));
        patch.next_round(block_len(4)).unwrap();
    }

    #[test]
    fn refuses_endless_files() {
        struct Nothing;
        impl Basis for Nothing {
            fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
                Err(io::ErrorKind::Other.into())
            }
        }
        let mut patch = Patch::new(CHOICE, Nothing, u64::MAX, Vec::new());
        let result = patch.apply(Op::Copy { offset: 0, len: u64::MAX });
        assert!(matches!(result, Err(DeltaError::OutputTooLong)));
    }

    proptest! {
        #[test]
        fn arbitrary_operations_never_panic(
            basis in prop::collection::vec(any::<u8>(), 0..100),
            claimed in prop_oneof![0_u64..200, any::<u64>()],
            copies in prop::collection::vec((prop_oneof![0_u64..120, any::<u64>()], prop_oneof![0_u64..120, any::<u64>()]), 0..8),
        ) {
            let mut patch = Patch::new(CHOICE, &basis[..], claimed, Vec::new());
            for (offset, len) in copies {
                let before = patch.prefix();
                match patch.apply(Op::Copy { offset, len }) {
                    Ok(()) => prop_assert_eq!(patch.prefix(), before + len),
                    Err(DeltaError::ReadBasis { .. }) => break,
                    Err(_) => prop_assert_eq!(patch.prefix(), before),
                }
                patch.apply(Op::Literal(b"x")).unwrap();
            }
            let position = patch.prefix();
            let Patched { output, sums, .. } = patch.finish().unwrap();
            prop_assert_eq!(output.len() as u64, position);
            prop_assert_eq!(sums.len(), position);
        }

        #[test]
        fn arbitrary_gaps_never_panic(
            claimed in prop_oneof![0_u64..200, any::<u64>()],
            ops in prop::collection::vec((0..4_u8, prop_oneof![0_u64..120, any::<u64>()], prop_oneof![0_u64..120, any::<u64>()]), 0..20),
        ) {
            let mut patch = Patch::new(CHOICE, &[][..], claimed.min(1 << 30), Vec::new());
            for (kind, a, b) in ops {
                let _ = match kind {
                    0 => patch.apply(Op::Literal(&vec![1; a.min(200) as usize])),
                    1 => patch.next_round(BlockLen::new(a.clamp(1, 1 << 20)).unwrap()).map(|_| ()),
                    _ => patch.apply(Op::Gap { len: a, offset: b % 50, basis_len: b }),
                };
                prop_assert!(patch.open_gaps() <= 20);
            }
            let _ = patch.finish();
        }
    }
}
