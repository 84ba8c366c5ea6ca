//! The sum of a whole file: the proof that a delta was right.
//!
//! It is a sum over the sums of its segments of 1 MiB. Segments can be summed in parallel, and when the file sums of
//! source and sink differ, comparing the segments' sums shows what to fetch again: little, if a live file changed while
//! it was read.

use crate::delta::{DeltaError, StrongHasher, Sum, SumChoice};

/// The length of every segment but the last, in bytes.
pub const SEGMENT_LEN: u64 = 1 << 20;

/// The segment sums of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentSums {
    len: u64,
    sums: Vec<Sum>,
}

impl SegmentSums {
    /// Takes the sums of a file of `len` bytes from the wire.
    ///
    /// # Errors
    /// [`DeltaError::SegmentCount`] if these are not as many sums as such a file has segments.
    pub fn new(len: u64, sums: Vec<Sum>) -> Result<Self, DeltaError> {
        if sums.len() as u64 != len.div_ceil(SEGMENT_LEN) {
            return Err(DeltaError::SegmentCount { len, sums: sums.len() });
        }
        Ok(Self { len, sums })
    }

    /// The sums of a file that is at hand whole.
    pub fn of(choice: SumChoice, content: &[u8]) -> Self {
        let sums = content.chunks(SEGMENT_LEN as usize).map(|segment| choice.sum(segment)).collect();
        Self { len: content.len() as u64, sums }
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
    hasher: StrongHasher,
    /// Bytes of the segment begun that were pushed or skipped.
    begun: u64,
    sums: SegmentSums,
}

impl SegmentHasher {
    /// Starts a file.
    pub fn new(choice: SumChoice) -> Self {
        Self { hasher: choice.hasher(), begun: 0, sums: SegmentSums { len: 0, sums: Vec::new() } }
    }

    /// Adds the next bytes.
    pub fn push(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let room = SEGMENT_LEN - self.begun;
            let (now, later) =
                data.split_at(usize::try_from(room).map_or(data.len(), |room| room.min(data.len())));
            self.hasher.update(now);
            self.begun += now.len() as u64;
            self.sums.len += now.len() as u64;
            if self.begun == SEGMENT_LEN {
                self.end_segment();
            }
            data = later;
        }
    }

    /// Passes over bytes that are pushed nowhere. Takes time and memory in proportion to `len`.
    pub fn skip(&mut self, mut len: u64) {
        while len > 0 {
            let now = len.min(SEGMENT_LEN - self.begun);
            self.begun += now;
            self.sums.len += now;
            if self.begun == SEGMENT_LEN {
                self.end_segment();
            }
            len -= now;
        }
    }

    /// Ends the file here and hands out its sums.
    pub fn finish(mut self) -> SegmentSums {
        if self.begun > 0 {
            self.end_segment();
        }
        self.sums
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
    const SEGMENT: usize = SEGMENT_LEN as usize;

    fn sums(data: &[u8], piece: usize) -> SegmentSums {
        let mut hasher = SegmentHasher::new(CHOICE);
        data.chunks(piece).for_each(|piece| hasher.push(piece));
        hasher.finish()
    }

    #[test]
    fn segments_are_summed_each_by_itself() {
        let data: Vec<u8> = (0..SEGMENT * 2 + 100).map(|n| (n % 251) as u8).collect();
        let expected: Vec<Sum> = data.chunks(SEGMENT).map(|segment| CHOICE.sum(segment)).collect();
        for piece in [data.len(), SEGMENT, 65_521] {
            let sums = sums(&data, piece);
            assert_eq!(sums, SegmentSums::new(data.len() as u64, expected.clone()).unwrap());
        }
        assert_eq!(sums(&data[..SEGMENT], 1000).sums().len(), 1);
        for len in [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1, data.len()] {
            assert_eq!(SegmentSums::of(CHOICE, &data[..len]), sums(&data[..len], 65_521), "{len}");
        }
    }

    #[test]
    fn what_is_skipped_spoils_its_segments_only() {
        let data = vec![7; SEGMENT * 4 + 100];
        let mut hasher = SegmentHasher::new(CHOICE);
        hasher.push(&data[..SEGMENT + 10]);
        hasher.skip(SEGMENT_LEN);
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
        let longer = SegmentSums::new(2, one.sums().to_vec()).unwrap();
        assert_ne!(one.root(CHOICE), longer.root(CHOICE));
        assert_ne!(one.root(CHOICE), sums(b"b", 1).root(CHOICE));
    }

    #[test]
    fn counts_from_the_wire_are_checked() {
        assert!(SegmentSums::new(0, Vec::new()).is_ok());
        assert!(SegmentSums::new(1, Vec::new()).is_err());
        assert!(SegmentSums::new(SEGMENT_LEN, vec![Sum([0; 16]); 2]).is_err());
        assert!(SegmentSums::new(u64::MAX, vec![Sum([0; 16])]).is_err());
    }
}
