//! How long the blocks of a signature are, and how much of each strong sum is sent.
//!
//! Both are choices of the sink, which knows the two files' lengths, and arrive at the source over the wire; so both
//! are types that hold only values the engine can work with.

use crate::delta::DeltaError;
use std::num::NonZeroU32;
use std::ops::Range;

/// The longest block, in bytes. Only files beyond 1 TiB need blocks above 1 MiB.
pub const MAX_BLOCK_LEN: u32 = 16 << 20;

/// The most blocks a signature may have. Bounds its memory: about 30 MB with its index at the source.
pub const MAX_BLOCKS: u32 = 1 << 20;

/// The longest stretch of a basis that can be signed: 16 TiB, ext4's largest file. Of a longer basis the beginning is
/// signed and the rest of the new file travels as literals.
pub const MAX_BASIS_LEN: u64 = MAX_BLOCK_LEN as u64 * MAX_BLOCKS as u64;

/// About how many bytes the two sums of a block take where there are few blocks.
const SUMS_LEN: u64 = 6;

/// The shortest blocks of a basis that is not refined.
const SHORTEST: u64 = 64;

/// A basis shorter than this is signed in blocks of one length only: more would save less than a kilobyte, for another
/// round trip.
const REFINED_BASIS: u64 = 64 << 10;

/// Of a basis that is refined, the longest blocks are at most so many.
const TOP_BLOCKS: u64 = 4096;

/// The shortest and the longest that the longest blocks of a basis that is refined are chosen to be.
const TOP_LENS: std::ops::RangeInclusive<u64> = 4 << 10..=1 << 20;

/// How much shorter the blocks of the next finer level are, and the shortest.
const FINER: u32 = 16;
const FINEST: u32 = 128;

/// The length of a block, or of a segment of a file sum, in bytes: 1 to [`MAX_BLOCK_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockLen(NonZeroU32);

impl BlockLen {
    /// The length of the segments of a file sum, where they have no other: 1 MiB.
    pub const SEGMENT: Self = Self(NonZeroU32::MIN.saturating_add((1 << 20) - 1));

    /// Takes a block length from the wire or the command line.
    ///
    /// # Errors
    /// [`DeltaError::BlockLen`] for 0 and for more than [`MAX_BLOCK_LEN`].
    pub fn new(len: u64) -> Result<Self, DeltaError> {
        u32::try_from(len)
            .ok()
            .filter(|len| *len <= MAX_BLOCK_LEN)
            .and_then(NonZeroU32::new)
            .map(Self)
            .ok_or(DeltaError::BlockLen(len))
    }

    /// Chooses the length of the blocks that a basis of `basis_len` bytes is signed in first, and whether what they do
    /// not match of the new file, which has about `new_len` bytes, is then to be [refined](Self::finer). Then the new
    /// file has as many segments as such blocks, so it must not be beyond all proportion.
    ///
    /// A long basis is signed in a few thousand blocks, whose length is a power of two. Sums of a short one cost about
    /// 6 size / L bytes and an edit about L literal bytes, so one edit is cheapest with L = √(6 size) (thesis, section
    /// 3.3); like rsync's it is a multiple of 8. `wanted`, the user's `--block-size`, takes the place of either choice.
    /// All are raised until [`MAX_BLOCKS`] suffice.
    pub fn for_basis(basis_len: u64, new_len: u64, wanted: Option<Self>) -> (Self, bool) {
        let refined = wanted.is_none() && basis_len >= REFINED_BASIS;
        let chosen = match wanted {
            Some(len) => u64::from(len.get()),
            None if refined => {
                let len = basis_len.div_ceil(TOP_BLOCKS).checked_next_power_of_two();
                len.unwrap_or(u64::MAX).clamp(*TOP_LENS.start(), *TOP_LENS.end())
            }
            None => ((SUMS_LEN * basis_len).isqrt() & !7).max(SHORTEST),
        };
        let least = basis_len.div_ceil(u64::from(MAX_BLOCKS));
        let len = chosen.max(least).min(u64::from(MAX_BLOCK_LEN));
        let len = Self::new(len).unwrap_or(Self(NonZeroU32::MIN));
        (len, refined && len.may_divide(new_len))
    }

    /// Whether a file of `len` bytes may be summed in segments of this length: bounds the memory for their sums.
    pub fn may_divide(self, len: u64) -> bool {
        len.div_ceil(self.get().into()) <= u64::from(MAX_BLOCKS)
    }

    /// The length of the blocks to try where blocks of this length were not found: a sixteenth, but at least 128 bytes.
    /// `None` if that would be little shorter.
    pub fn finer(self) -> Option<Self> {
        let len = (self.get() / FINER).max(FINEST);
        if self.get() / len < 4 { None } else { NonZeroU32::new(len).map(Self) }
    }

    /// The bytes of the block with this number, from 0, in a file of `len` bytes; none past the last.
    pub(super) fn range(self, number: u64, len: u64) -> Range<u64> {
        let block_len = u64::from(self.get());
        let start = number.saturating_mul(block_len).min(len);
        start..start.saturating_add(block_len).min(len)
    }

    /// The length in bytes.
    pub fn get(self) -> u32 {
        self.0.get()
    }

    /// The length as a slice length.
    pub(super) fn bytes(self) -> usize {
        self.get() as usize
    }
}

/// How many leading bytes of each strong sum a signature carries: 2 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrongLen(u8);

impl StrongLen {
    /// The shortest strong sum, in bytes.
    pub const MIN: u8 = 2;

    /// A whole strong sum, in bytes.
    pub const MAX: u8 = 16;

    /// The binary logarithm of the accepted chance that a search goes wrong anywhere in a file.
    const BUDGET_BITS: u32 = 20;

    /// What a weak sum is worth, in bits. It has 32, but is no hash: of short blocks of text it tells little more.
    const WEAK_BITS: u32 = 24;

    /// From this length on a strong sum decides alone whether the block expected next is there.
    const DECIDES: u8 = 4;

    /// Takes a strong sum length from the wire.
    ///
    /// # Errors
    /// [`DeltaError::StrongLen`] outside [`MIN`](Self::MIN) to [`MAX`](Self::MAX).
    pub fn new(len: u64) -> Result<Self, DeltaError> {
        u8::try_from(len)
            .ok()
            .filter(|len| (Self::MIN..=Self::MAX).contains(len))
            .map(Self)
            .ok_or(DeltaError::StrongLen(len))
    }

    /// Chooses the length for a search that compares windows with blocks `comparisons` times at worst: every position
    /// of the new file with every block.
    ///
    /// As in the thesis (section 3.4.1), each comparison errs with chance 2^-bits, the weak sum's included. For less
    /// than 2^-20 in total,
    ///
    /// `bits = log2(comparisons) + 20`,
    ///
    /// of which the weak sum has 24; the rest is rounded up to whole bytes. An error costs a second fetch of the
    /// segments it spoilt, found by the file sum.
    pub fn for_search(comparisons: u64) -> Self {
        let bits = (log2_ceil(comparisons) + Self::BUDGET_BITS).saturating_sub(Self::WEAK_BITS);
        let bytes = u8::try_from(bits.div_ceil(8)).unwrap_or(Self::MAX);
        Self(bytes.clamp(Self::MIN, Self::MAX))
    }

    /// Whether such a sum needs no weak sum beside it to tell that a block is where it is expected. There are few such
    /// comparisons that fail, two for each edit at most.
    pub(super) fn decides(self) -> bool {
        self.0 >= Self::DECIDES
    }

    /// The length in bytes.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The length as a slice length.
    pub(super) fn bytes(self) -> usize {
        usize::from(self.0)
    }
}

fn log2_ceil(n: u64) -> u32 {
    u64::BITS - n.saturating_sub(1).leading_zeros()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_lengths_follow_the_size_within_bounds() {
        let chosen = |size| {
            let (len, refined) = BlockLen::for_basis(size, size, None);
            (len.get(), refined)
        };
        assert_eq!(chosen(0), (64, false));
        assert_eq!(chosen(4000), (152, false));
        assert_eq!(chosen(REFINED_BASIS - 1), (624, false));
        assert_eq!(chosen(REFINED_BASIS), (4 << 10, true));
        assert_eq!(chosen(1 << 30), (256 << 10, true));
        assert_eq!(chosen((1 << 30) + 1), (512 << 10, true));
        assert_eq!(chosen(1 << 40), (1 << 20, true));
        assert_eq!(chosen(1 << 44), (16 << 20, true));
        assert_eq!(chosen(u64::MAX), (MAX_BLOCK_LEN, false));
    }

    #[test]
    fn a_file_beyond_all_proportion_is_not_refined() {
        let refined = |new_len| BlockLen::for_basis(REFINED_BASIS, new_len, None).1;
        assert!(refined(4 << 30));
        assert!(!refined((4 << 30) + 1));
        assert_eq!(BlockLen::SEGMENT.get(), 1 << 20);
    }

    #[test]
    fn levels_end_at_128_bytes() {
        let levels = |len| {
            let levels = std::iter::successors(BlockLen::new(len).ok(), |len| len.finer());
            levels.map(BlockLen::get).collect::<Vec<_>>()
        };
        assert_eq!(levels(256 << 10), [256 << 10, 16 << 10, 1 << 10, 128]);
        assert_eq!(levels(128 << 10), [128 << 10, 8 << 10, 512, 128]);
        assert_eq!(levels(64 << 10), [64 << 10, 4 << 10, 256]);
        assert_eq!(levels(4 << 10), [4 << 10, 256]);
        assert_eq!(levels(u64::from(MAX_BLOCK_LEN)), [16 << 20, 1 << 20, 64 << 10, 4 << 10, 256]);
        assert_eq!(levels(1), [1]);
    }

    #[test]
    fn blocks_stay_bounded_whatever_was_wanted() {
        for exponent in 0..=44 {
            for size in [(1_u64 << exponent) - 1, 1 << exponent] {
                for wanted in [None, BlockLen::new(1).ok(), BlockLen::new(u64::from(MAX_BLOCK_LEN)).ok()] {
                    let (len, _) = BlockLen::for_basis(size, 0, wanted);
                    assert!(
                        size.div_ceil(u64::from(len.get())) <= u64::from(MAX_BLOCKS),
                        "{size} {wanted:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_wanted_length_is_taken_where_it_can_be() {
        let wanted = BlockLen::new(1024).unwrap();
        assert_eq!(BlockLen::for_basis(1 << 20, 0, Some(wanted)), (wanted, false));
        assert_eq!(BlockLen::for_basis(1 << 40, 0, Some(wanted)).0.get(), 1 << 20);
    }

    #[test]
    fn lengths_from_the_wire_are_checked() {
        assert!(BlockLen::new(0).is_err());
        assert!(BlockLen::new(u64::from(MAX_BLOCK_LEN)).is_ok());
        assert!(BlockLen::new(u64::from(MAX_BLOCK_LEN) + 1).is_err());
        assert!(BlockLen::new(1 << 32).is_err());
        assert!(StrongLen::new(1).is_err());
        assert!(StrongLen::new(16).is_ok());
        assert!(StrongLen::new(17).is_err());
        assert!(StrongLen::new(256 + 8).is_err());
    }

    #[test]
    fn strong_lengths_meet_the_budget() {
        let chosen = |comparisons| StrongLen::for_search(comparisons).get();
        assert_eq!(chosen(0), 2);
        // 17 + 8 + 20 - 24 = 21 bits
        assert_eq!(chosen(100_000 * 150), 3);
        // 30 + 12 + 20 - 24 = 38 bits
        assert_eq!(chosen(4096 << 30), 5);
        // 30 + 15 + 20 - 24 = 41 bits
        assert_eq!(chosen(1 << 45), 6);
        assert_eq!(chosen(u64::MAX), 8);
    }
}
