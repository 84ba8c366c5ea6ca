//! The sum of a whole file: the proof that a delta was right.
//!
//! It is a sum over the sums of its segments. Segments can be summed apart from each other, and when the file sums of
//! source and sink differ, comparing the segments' sums shows what to fetch again: little, if a live file changed while
//! it was read.
//!
//! Segments are of 1 MiB, but in a file whose blocks are refined as long as the longest blocks. So the sink knows the
//! sums of segments of its basis once it has signed it, and need not read again what stays as it is; and the source,
//! once it has summed the new file, knows which blocks are still where they were ([`Signature::unmoved`]) and need not
//! be searched for.
//!
//! [`Signature::unmoved`]: crate::delta::Signature::unmoved

use crate::delta::{BlockLen, DeltaError, StrongHasher, Sum, SumChoice};
use std::ops::Range;

/// The segment sums of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSums {
    segment_len: BlockLen,
    len: u64,
    sums: Vec<Sum>,
}

impl SegmentSums {
    /// Takes the sums of a file of `len` bytes.
    ///
    /// # Errors
    /// [`DeltaError::SegmentCount`] if these are not as many sums as such a file has segments.
    pub fn new(segment_len: BlockLen, len: u64, sums: Vec<Sum>) -> Result<Self, DeltaError> {
        if sums.len() as u64 != len.div_ceil(segment_len.get().into()) {
            return Err(DeltaError::SegmentCount { len, sums: sums.len() });
        }
        Ok(Self { segment_len, len, sums })
    }

    /// The sums of a file that is at hand whole, in segments of [`BlockLen::SEGMENT`].
    pub fn of(choice: SumChoice, content: &[u8]) -> Self {
        let segment_len = BlockLen::SEGMENT;
        let sums = content.chunks(segment_len.bytes()).map(|segment| choice.sum(segment)).collect();
        Self { segment_len, len: content.len() as u64, sums }
    }

    /// How long each segment but the last is.
    pub fn segment_len(&self) -> BlockLen {
        self.segment_len
    }

    /// The length of the file in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the file is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The sum of each segment, in order.
    pub fn sums(&self) -> &[Sum] {
        &self.sums
    }

    /// The bytes of a segment; none past the last.
    pub fn range(&self, segment: u64) -> Range<u64> {
        self.segment_len.range(segment, self.len)
    }

    /// The sum of the whole segment that begins at `offset`, if segments have `segment_len` bytes and there is one.
    pub(super) fn at(&self, offset: u64, segment_len: u64) -> Option<Sum> {
        let whole = u64::from(self.segment_len.get()) == segment_len && offset.is_multiple_of(segment_len);
        let known = whole && offset.saturating_add(segment_len) <= self.len;
        let number = usize::try_from(offset / segment_len).ok().filter(|_| known)?;
        self.sums.get(number).copied()
    }

    /// Corrects the sum of a segment, if there is that segment.
    pub fn replace(&mut self, segment: u64, sum: Sum) {
        if let Some(place) = usize::try_from(segment).ok().and_then(|segment| self.sums.get_mut(segment)) {
            *place = sum;
        }
    }

    /// The file sum: over the length, as eight little-endian bytes, and then the sums of all segments.
    pub fn root(&self, choice: SumChoice) -> Sum {
        // At once, since small files are many and setting up a hasher costs more than they do.
        let mut bytes = self.len.to_le_bytes().to_vec();
        self.sums.iter().for_each(|sum| bytes.extend_from_slice(&sum.0));
        choice.sum(&bytes)
    }
}

/// Sums a file, pushed from its beginning in pieces of any size, by segments.
///
/// Where bytes are not known yet they can be skipped; the sums of the segments they are in have no meaning then.
#[derive(Debug)]
pub struct SegmentHasher {
    choice: SumChoice,
    /// Of the segment begun.
    hasher: StrongHasher,
    /// Bytes of it that were pushed or skipped.
    begun: u64,
    sums: SegmentSums,
}

impl SegmentHasher {
    /// Starts a file with segments of this length.
    pub fn new(choice: SumChoice, segment_len: BlockLen) -> Self {
        let sums = SegmentSums { segment_len, len: 0, sums: Vec::new() };
        Self { choice, hasher: choice.hasher(), begun: 0, sums }
    }

    /// Adds the next bytes.
    pub fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = self.room();
            let (now, later) =
                data.split_at(usize::try_from(room).map_or(data.len(), |room| room.min(data.len())));
            if self.begun == 0 && now.len() as u64 == room {
                self.push_segment(self.choice.sum(now));
            } else {
                self.hasher.update(now);
                self.pass(now.len() as u64);
            }
            data = later;
        }
    }

    /// Passes over bytes that are pushed nowhere. Takes time and memory in proportion to `len`.
    pub fn skip(&mut self, mut len: u64) {
        while len > 0 {
            let now = len.min(self.room());
            self.pass(now);
            len -= now;
        }
    }

    /// How long each segment but the last is.
    pub(super) fn segment_len(&self) -> BlockLen {
        self.sums.segment_len
    }

    /// How many bytes the segment begun, or else the next, still takes.
    pub(super) fn room(&self) -> u64 {
        u64::from(self.sums.segment_len.get()) - self.begun
    }

    /// Whether what comes next begins a segment.
    pub(super) fn is_between(&self) -> bool {
        self.begun == 0
    }

    /// Adds a whole segment whose sum is known, after whole segments.
    pub(super) fn push_segment(&mut self, sum: Sum) {
        self.sums.sums.push(sum);
        self.sums.len = self.sums.len.saturating_add(self.sums.segment_len.get().into());
    }

    /// Ends the file here and hands out its sums.
    pub fn finish(mut self) -> SegmentSums {
        if self.begun > 0 {
            self.end_segment();
        }
        self.sums
    }

    /// Notes that the segment has got this many bytes, no more than it has room for.
    fn pass(&mut self, len: u64) {
        self.begun += len;
        self.sums.len = self.sums.len.saturating_add(len);
        if self.room() == 0 {
            self.end_segment();
        }
    }

    fn end_segment(&mut self) {
        self.sums.sums.push(self.hasher.finish_reset());
        self.begun = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::StrongKind;

    const CHOICE: SumChoice = SumChoice { kind: StrongKind::Xxh3, seed: 3 };
    const SEGMENT: usize = 64 << 10;

    fn segment_len() -> BlockLen {
        BlockLen::new(SEGMENT as u64).unwrap()
    }

    fn sums(data: &[u8], piece: usize) -> SegmentSums {
        let mut hasher = SegmentHasher::new(CHOICE, segment_len());
        data.chunks(piece).for_each(|piece| hasher.push(piece));
        hasher.finish()
    }

    #[test]
    fn segments_are_summed_each_by_itself() {
        let data: Vec<u8> = (0..SEGMENT * 2 + 100).map(|n| (n % 251) as u8).collect();
        let expected: Vec<Sum> = data.chunks(SEGMENT).map(|segment| CHOICE.sum(segment)).collect();
        for piece in [data.len(), SEGMENT, 65_521, 1000] {
            let sums = sums(&data, piece);
            assert_eq!(sums, SegmentSums::new(segment_len(), data.len() as u64, expected.clone()).unwrap());
        }
        assert_eq!(sums(&data[..SEGMENT], 1000).sums().len(), 1);
        let mut known = SegmentHasher::new(CHOICE, segment_len());
        known.push_segment(CHOICE.sum(&data[..SEGMENT]));
        known.push(&data[SEGMENT..]);
        assert_eq!(known.finish(), sums(&data, SEGMENT));
    }

    #[test]
    fn content_at_hand_has_the_same_sums() {
        let data = vec![5; (2 << 20) + 100];
        for len in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, data.len()] {
            let mut hasher = SegmentHasher::new(CHOICE, BlockLen::SEGMENT);
            data[..len].chunks(65_521).for_each(|piece| hasher.push(piece));
            assert_eq!(SegmentSums::of(CHOICE, &data[..len]), hasher.finish(), "{len}");
        }
    }

    #[test]
    fn what_is_skipped_spoils_its_segments_only() {
        let data = vec![7; SEGMENT * 4 + 100];
        let mut hasher = SegmentHasher::new(CHOICE, segment_len());
        hasher.push(&data[..SEGMENT + 10]);
        hasher.skip(SEGMENT as u64);
        hasher.push(&data[2 * SEGMENT + 10..]);
        let (sums, known) = (hasher.finish(), sums(&data, SEGMENT));
        assert_eq!(sums.len(), data.len() as u64);
        let differ: Vec<bool> =
            known.sums().iter().zip(sums.sums()).map(|(known, sum)| known != sum).collect();
        assert_eq!(differ, [false, true, true, false, false]);
    }

    #[test]
    fn the_file_sum_covers_sums_and_length() {
        let empty = sums(b"", 1);
        assert!(empty.is_empty());
        assert!(empty.sums().is_empty());
        assert_eq!(empty.root(CHOICE), CHOICE.sum(&[0; 8]));
        let one = sums(b"a", 1);
        let longer = SegmentSums::new(segment_len(), 2, one.sums().to_vec()).unwrap();
        assert_ne!(one.root(CHOICE), longer.root(CHOICE));
        assert_ne!(one.root(CHOICE), sums(b"b", 1).root(CHOICE));
    }

    #[test]
    fn segments_have_their_bytes() {
        let sums = sums(&vec![1; SEGMENT + 5], SEGMENT);
        let segment = SEGMENT as u64;
        assert_eq!(
            [0, 1, 2, u64::MAX].map(|number| sums.range(number)),
            [0..segment, segment..segment + 5, segment + 5..segment + 5, segment + 5..segment + 5]
        );
    }

    #[test]
    fn counts_are_checked() {
        let new = |len, sums| SegmentSums::new(BlockLen::SEGMENT, len, sums);
        assert!(new(0, Vec::new()).is_ok());
        assert!(new(1, Vec::new()).is_err());
        assert!(new(1 << 20, vec![Sum([0; 16]); 2]).is_err());
        assert!(new(u64::MAX, vec![Sum([0; 16])]).is_err());
    }
}
