//! Gaps: stretches of the new file that are told later, with the help of finer sums.

use crate::delta::BlockLen;
use std::ops::Range;

/// The most gaps of one file that may be open at a time.
pub const MAX_GAPS: usize = 1 << 16;

/// The gaps of one file that are open at a time are together at most so many times as long as its basis. Bounds what
/// must be kept for bytes that did not arrive.
pub(super) const GAPS_PER_BASIS: u64 = 4;

/// What is signed for the gaps of one round is together at most so many times as long as the basis. Bounds what must be
/// read for gaps of a byte each. Honest ones are longer than a block, so of each less than four times its length is
/// signed: see [`Cover::of_gap`].
pub(super) const COVERED_PER_BASIS: u64 = 4 * GAPS_PER_BASIS;

/// A stretch of the new file that is not told yet, and the range of the basis where something like it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where in the new file it begins.
    pub at: u64,
    /// How many bytes of the new file it has, at least 1.
    pub len: u64,
    /// Where the range of the basis begins.
    pub offset: u64,
    /// How many bytes that has, at least 1.
    pub basis_len: u64,
}

impl Gap {
    /// A file of which nothing is told yet, however long it is.
    pub fn whole(basis_len: u64) -> Self {
        Self { at: 0, len: u64::MAX, offset: 0, basis_len }
    }

    /// Where in the new file it ends.
    pub fn end(&self) -> u64 {
        self.at.saturating_add(self.len)
    }
}

/// The bytes of a basis that one signature covers: a range, or the two ends of one whose middle is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cover {
    start: u64,
    len: u64,
    /// How many covered bytes precede the middle left out, and how many bytes that is.
    front: u64,
    omitted: u64,
}

impl Cover {
    /// A basis from its beginning.
    pub fn whole(basis_len: u64) -> Self {
        Self { start: 0, len: basis_len, front: basis_len, omitted: 0 }
    }

    /// What is signed for a gap, in blocks of `block_len`: all of its range, or where that is more than twice as long
    /// as the gap, rounded up to whole blocks, only as much as the gap is long from either end of the range. Something
    /// was removed there, and what is left of it adjoins what was found.
    pub fn of_gap(gap: &Gap, block_len: BlockLen) -> Self {
        let block_len = u64::from(block_len.get());
        let reach = gap.len.div_ceil(block_len).saturating_mul(block_len);
        let both = reach.saturating_mul(2);
        let len = gap.basis_len.min(both);
        Self { start: gap.offset, len, front: len.min(reach), omitted: gap.basis_len - len }
    }

    /// How many bytes are covered.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing is covered.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many blocks that makes, counting a shorter last one.
    pub fn block_count(&self, block_len: BlockLen) -> u64 {
        self.len.div_ceil(u64::from(block_len.get()))
    }

    /// The ranges of the basis covered, in order: one, and perhaps another.
    pub fn ranges(&self) -> [Range<u64>; 2] {
        let (seam, end) = (self.start.saturating_add(self.front), self.offset(self.len));
        [self.start..seam, seam.saturating_add(self.omitted).min(end)..end]
    }

    /// Where in the basis the covered byte number `place` is.
    pub(super) fn offset(&self, place: u64) -> u64 {
        let omitted = if place >= self.front { self.omitted } else { 0 };
        self.start.saturating_add(place).saturating_add(omitted)
    }

    /// The inverse: which covered byte is at `offset` of the basis. `None` if none is.
    pub(super) fn place(&self, offset: u64) -> Option<u64> {
        let distance = offset.checked_sub(self.start)?;
        let place = if distance < self.front {
            distance
        } else {
            distance.checked_sub(self.omitted).filter(|place| *place >= self.front)?
        };
        (place < self.len).then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cover(len: u64, basis_len: u64) -> Cover {
        Cover::of_gap(&Gap { at: 7, len, offset: 1000, basis_len }, BlockLen::new(16).unwrap())
    }

    #[test]
    fn a_range_about_as_long_as_its_gap_is_covered_whole() {
        let cover = cover(100, 224);
        assert_eq!((cover.len(), cover.block_count(BlockLen::new(16).unwrap())), (224, 14));
        assert_eq!(cover.ranges(), [1000..1112, 1112..1224]);
        assert_eq!((cover.offset(0), cover.offset(150), cover.place(1150)), (1000, 1150, Some(150)));
        assert_eq!((cover.place(999), cover.place(1224)), (None, None));
    }

    #[test]
    fn of_a_longer_range_the_ends_are_covered() {
        let cover = cover(100, 5000);
        assert_eq!(cover.ranges(), [1000..1112, 5888..6000]);
        assert_eq!((cover.offset(111), cover.offset(112), cover.offset(223)), (1111, 5888, 5999));
        for place in 0..224 {
            assert_eq!(cover.place(cover.offset(place)), Some(place));
        }
        for outside in [1112, 5887, 6000, u64::MAX] {
            assert_eq!(cover.place(outside), None);
        }
    }

    #[test]
    fn a_short_range_has_one_end() {
        assert_eq!(cover(100, 30).ranges(), [1000..1030, 1030..1030]);
        assert_eq!(Cover::whole(5).ranges(), [0..5, 5..5]);
        assert!(Cover::whole(0).is_empty());
    }

    #[test]
    fn gaps_at_the_end_of_numbers_do_no_harm() {
        let gap = Gap { at: u64::MAX, len: u64::MAX, offset: u64::MAX, basis_len: u64::MAX };
        let cover = Cover::of_gap(&gap, BlockLen::new(16).unwrap());
        assert!(cover.ranges().iter().all(|range| range.start <= range.end));
        assert_eq!(gap.end(), u64::MAX);
    }
}
