//! How long the blocks of a signature are, and how much of each strong sum is sent.
//!
//! Both are choices of the sink, which knows the two files' lengths, and arrive at the source over the wire; so both
//! are types that hold only values the engine can work with.

use crate::delta::DeltaError;
use std::num::NonZeroU32;

/// The longest block, in bytes. Only files beyond 1 TiB need blocks above 1 MiB.
pub const MAX_BLOCK_LEN: u32 = 16 << 20;

/// The most blocks a signature may have. Bounds its memory: about 30 MB with its index at the source.
pub const MAX_BLOCKS: u32 = 1 << 20;

/// The longest stretch of a basis that can be signed: 16 TiB, ext4's largest file. Of a longer basis the beginning is
/// signed and the rest of the new file travels as literals.
pub const MAX_BASIS_LEN: u64 = MAX_BLOCK_LEN as u64 * MAX_BLOCKS as u64;

/// Below this length, rsync's choice, a block's sums weigh too much against its bytes.
const MIN_CHOSEN_LEN: u64 = 704;

/// The length of a block in bytes: 1 to [`MAX_BLOCK_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockLen(NonZeroU32);

impl BlockLen {
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

    /// Chooses the block length for a basis of `basis_len` bytes.
    ///
    /// Sums cost in proportion to size / L and each edit costs about L literal bytes, so the cheapest L grows with
    /// the square root of the size (thesis, section 3.3); like rsync's it is a multiple of 8. `wanted`, the user's
    /// `--block-size`, takes the place of that choice. Either is raised until [`MAX_BLOCKS`] suffice.
    pub fn for_basis(basis_len: u64, wanted: Option<Self>) -> Self {
        let chosen = match wanted {
            Some(len) => u64::from(len.get()),
            None => (basis_len.isqrt() & !7).max(MIN_CHOSEN_LEN),
        };
        let least = basis_len.div_ceil(u64::from(MAX_BLOCKS));
        let len = chosen.max(least).min(u64::from(MAX_BLOCK_LEN));
        Self::new(len).unwrap_or(Self(NonZeroU32::MIN))
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

/// How many leading bytes of each strong sum a signature carries: 5 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StrongLen(u8);

impl StrongLen {
    /// The shortest strong sum, in bytes.
    pub const MIN: u8 = 5;

    /// A whole strong sum, in bytes.
    pub const MAX: u8 = 16;

    /// The binary logarithm of the accepted chance that a search goes wrong anywhere in a file.
    const BUDGET_BITS: u32 = 20;

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

    /// Chooses the length for searching a new file of `positions` bytes for `blocks` blocks.
    ///
    /// The worst case of the thesis (section 3.4.1) counts the weak sum as worth nothing: then every position is
    /// compared with every block, and each comparison errs with chance 2^-bits. For less than 2^-20 in total,
    ///
    /// `bits = log2(positions) + log2(blocks) + 20`,
    ///
    /// rounded up to whole bytes. An error costs a second fetch of the segments it spoilt, found by the file sum.
    pub fn for_search(positions: u64, blocks: u64) -> Self {
        let bits = log2_ceil(positions) + log2_ceil(blocks) + Self::BUDGET_BITS;
        let bytes = u8::try_from(bits.div_ceil(8)).unwrap_or(Self::MAX);
        Self(bytes.clamp(Self::MIN, Self::MAX))
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
    fn block_lengths_follow_the_square_root_within_bounds() {
        let chosen = |size| BlockLen::for_basis(size, None).get();
        assert_eq!(chosen(0), 704);
        assert_eq!(chosen(500_000), 704);
        assert_eq!(chosen(1 << 30), 32 << 10);
        assert_eq!(chosen(1 << 40), 1 << 20);
        assert_eq!(chosen(1 << 44), 16 << 20);
        assert_eq!(chosen(u64::MAX), MAX_BLOCK_LEN);
    }

    #[test]
    fn blocks_stay_bounded_whatever_was_wanted() {
        for exponent in 0..=44 {
            for size in [(1_u64 << exponent) - 1, 1 << exponent] {
                for wanted in [None, BlockLen::new(1).ok(), BlockLen::new(u64::from(MAX_BLOCK_LEN)).ok()] {
                    let len = BlockLen::for_basis(size, wanted);
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
        let wanted = BlockLen::new(1000).unwrap();
        assert_eq!(BlockLen::for_basis(1 << 20, Some(wanted)), wanted);
        assert_eq!(BlockLen::for_basis(1 << 40, Some(wanted)).get(), 1 << 20);
    }

    #[test]
    fn lengths_from_the_wire_are_checked() {
        assert!(BlockLen::new(0).is_err());
        assert!(BlockLen::new(u64::from(MAX_BLOCK_LEN)).is_ok());
        assert!(BlockLen::new(u64::from(MAX_BLOCK_LEN) + 1).is_err());
        assert!(BlockLen::new(1 << 32).is_err());
        assert!(StrongLen::new(4).is_err());
        assert!(StrongLen::new(16).is_ok());
        assert!(StrongLen::new(17).is_err());
        assert!(StrongLen::new(256 + 8).is_err());
    }

    #[test]
    fn strong_lengths_meet_the_budget() {
        assert_eq!(StrongLen::for_search(0, 0).get(), 5);
        assert_eq!(StrongLen::for_search(100_000, 150).get(), 6);
        // 30 + 12 + 20 = 62 bits
        assert_eq!(StrongLen::for_search(1 << 30, 4096).get(), 8);
        // 30 + 15 + 20 = 65 bits
        assert_eq!(StrongLen::for_search(1 << 30, 1 << 15).get(), 9);
        assert_eq!(StrongLen::for_search(u64::MAX, u64::MAX).get(), 16);
    }
}
