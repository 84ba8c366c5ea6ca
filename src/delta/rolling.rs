//! The weak sum: cheap to compute for a block, and cheaper still for the window one byte further on.
//!
//! For bytes `x[0] .. x[n-1]`, all arithmetic modulo 2^32,
//!
//! ```text
//! plain    = x[0] + x[1] + ... + x[n-1]
//! weighted = n x[0] + (n-1) x[1] + ... + 1 x[n-1]
//! value    = (weighted rotated left by 16) + SPREAD plain
//! ```
//!
//! `plain` and `weighted` are the two sums of Adler-32 and of rsync. Those keep 16 bits of each, but in a small block
//! `plain` has only some 13 bits of information and `weighted` more than 16. Keeping both whole and folding `plain`
//! over all 32 bits by an odd multiplier uses what both know, at the price of one multiplication. The rotation puts the
//! evenly distributed low bits of `weighted` on top, where the [index](super::index) looks first.

/// 2^32 divided by the golden ratio, made odd: multiples of it are spread evenly over 32 bits.
const SPREAD: u32 = 0x9E37_79B1;

/// Columns of a window: 16 bytes, so that one SSE2 register of input feeds four of each sum.
const LANES: usize = 16;

/// Rows after which sums of 16 bits are added to those of 32: at most 22, so that 255 + 2 * 255 + ... fits.
const ROWS: usize = 16;

/// Bytes after which sums of 32 bits are folded: at most 5800 rows, likewise.
const STRETCH: usize = 64 << 10;

/// Shorter windows are summed in 32 bits throughout.
const LONG: usize = 4 << 10;

/// The weak sum of a window, able to move on by one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RollingSum {
    plain: u32,
    weighted: u32,
    /// The length of the window, modulo 2^32.
    len: u32,
}

impl RollingSum {
    /// Sums a whole window.
    pub(super) fn of(window: &[u8]) -> Self {
        if window.len() < LONG {
            return Self::of_short(window);
        }
        let (blocks, rest) = window.as_chunks::<{ LANES * ROWS }>();
        let empty = Self { plain: 0, weighted: 0, len: 0 };
        let stretches = blocks.chunks(STRETCH / (LANES * ROWS)).map(of_blocks);
        stretches.chain([Self::of_short(rest)]).fold(empty, Self::followed_by)
    }

    /// The sum of two windows, one after the other.
    fn followed_by(self, next: Self) -> Self {
        Self {
            plain: self.plain.wrapping_add(next.plain),
            weighted: self
                .weighted
                .wrapping_add(self.plain.wrapping_mul(next.len))
                .wrapping_add(next.weighted),
            len: self.len.wrapping_add(next.len),
        }
    }

    /// Sums a window in 32 bits.
    ///
    /// The window is read as rows of [`LANES`] bytes. Each column keeps its own plain sum and the running total of
    /// it, which needs additions only and no sum across lanes, so it vectorises; the position of each column within
    /// the row is put right at the end. Measured with SSE2: 16 GB/s, where the loop by definition makes 5.
    #[allow(clippy::indexing_slicing, reason = "all indexes are below LANES, the length of every array here")]
    fn of_short(window: &[u8]) -> Self {
        let (rows, rest) = window.as_chunks::<LANES>();
        let mut columns = [0_u32; LANES];
        let mut totals = [0_u32; LANES];
        for row in rows {
            for lane in 0..LANES {
                columns[lane] = columns[lane].wrapping_add(u32::from(row[lane]));
                totals[lane] = totals[lane].wrapping_add(columns[lane]);
            }
        }
        let mut plain = 0_u32;
        let mut weighted = 0_u32;
        for lane in 0..LANES {
            plain = plain.wrapping_add(columns[lane]);
            weighted = weighted
                .wrapping_add(totals[lane].wrapping_mul(LANES as u32))
                .wrapping_sub(columns[lane].wrapping_mul(lane as u32));
        }
        for byte in rest {
            plain = plain.wrapping_add(u32::from(*byte));
            weighted = weighted.wrapping_add(plain);
        }
        Self { plain, weighted, len: window.len() as u32 }
    }

    /// Moves the window on by one byte: `leaving` was its first, `entering` becomes its last.
    #[inline]
    pub(super) fn roll(&mut self, leaving: u8, entering: u8) {
        let leaving = u32::from(leaving);
        self.plain = self.plain.wrapping_add(u32::from(entering)).wrapping_sub(leaving);
        self.weighted = self.weighted.wrapping_add(self.plain).wrapping_sub(self.len.wrapping_mul(leaving));
    }

    /// The weak sum, as it stands in a signature.
    #[inline]
    pub(super) fn value(&self) -> u32 {
        self.weighted.rotate_left(16).wrapping_add(self.plain.wrapping_mul(SPREAD))
    }
}

/// Sums of columns, four in each number: those of even bytes, then those of odd ones.
type Columns = [[u64; LANES / 8]; 2];

/// Sums at most [`STRETCH`] bytes. As [`RollingSum::of_short`], but the columns of a few rows are summed in 16 bits,
/// and these in 32 bits, several in a number of 64, which gives four times as many sums to each operation on bytes.
/// Measured with SSE2: 27 GB/s.
#[allow(clippy::indexing_slicing, reason = "all indexes are below the lengths of the arrays here")]
fn of_blocks(blocks: &[[u8; LANES * ROWS]]) -> RollingSum {
    const BYTES: u64 = 0x00ff_00ff_00ff_00ff;
    const HALVES: u64 = 0x0000_ffff_0000_ffff;
    let mut columns = [[[0_u64; LANES / 8]; 2]; 2];
    let mut totals = [[[0_u64; LANES / 8]; 2]; 2];
    for block in blocks {
        let (mut sums, mut running): (Columns, Columns) = Default::default();
        for row in block.as_chunks::<LANES>().0 {
            for (word, bytes) in row.as_chunks::<8>().0.iter().enumerate() {
                let bytes = u64::from_le_bytes(*bytes);
                for odd in 0..2 {
                    sums[odd][word] = sums[odd][word].wrapping_add(bytes >> (8 * odd) & BYTES);
                    running[odd][word] = running[odd][word].wrapping_add(sums[odd][word]);
                }
            }
        }
        for odd in 0..2 {
            for high in 0..2 {
                for word in 0..LANES / 8 {
                    let (column, total) = (&mut columns[odd][high][word], &mut totals[odd][high][word]);
                    *total = total.wrapping_add(*column * ROWS as u64);
                    *total = total.wrapping_add(running[odd][word] >> (16 * high) & HALVES);
                    *column = column.wrapping_add(sums[odd][word] >> (16 * high) & HALVES);
                }
            }
        }
    }
    let mut sum = RollingSum { plain: 0, weighted: 0, len: (blocks.len() * LANES * ROWS) as u32 };
    for place in 0..LANES {
        let (odd, high, word, shift) = (place & 1, place >> 1 & 1, place >> 3, 32 * (place >> 2 & 1));
        let column = (columns[odd][high][word] >> shift) as u32;
        let total = (totals[odd][high][word] >> shift) as u32;
        sum.plain = sum.plain.wrapping_add(column);
        sum.weighted = sum
            .weighted
            .wrapping_add(total.wrapping_mul(LANES as u32))
            .wrapping_sub(column.wrapping_mul(place as u32));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The sums as the module's prose defines them.
    fn by_definition(window: &[u8]) -> RollingSum {
        let mut sum = RollingSum { plain: 0, weighted: 0, len: window.len() as u32 };
        for (weight, byte) in (1..=window.len() as u32).rev().zip(window) {
            sum.plain = sum.plain.wrapping_add(u32::from(*byte));
            sum.weighted = sum.weighted.wrapping_add(weight.wrapping_mul(u32::from(*byte)));
        }
        sum
    }

    #[test]
    fn known_values() {
        // Part of the wire format: a change here is a change of protocol.
        assert_eq!(RollingSum::of(b"").value(), 0);
        assert_eq!(RollingSum::of(b"a").value(), (97 << 16) + 97_u32.wrapping_mul(SPREAD));
        assert_eq!(RollingSum::of(b"The quick brown fox jumps over the lazy dog").value(), 0xB8C9_860A);
    }

    #[test]
    fn large_windows_wrap() {
        let window = vec![255; 1 << 20];
        assert_eq!(RollingSum::of(&window), by_definition(&window));
    }

    proptest! {
        #[test]
        fn lanes_equal_the_definition(window in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(RollingSum::of(&window), by_definition(&window));
        }

        #[test]
        fn wide_lanes_equal_the_definition(
            window in prop::collection::vec(any::<u8>(), LONG..LONG + 300),
            times in 1_usize..40,
        ) {
            let window = window.repeat(times);
            prop_assert_eq!(RollingSum::of(&window), by_definition(&window));
        }

        #[test]
        fn rolling_equals_summing_again(
            data in prop::collection::vec(any::<u8>(), 1..400),
            len in 1_usize..100,
        ) {
            let len = len.min(data.len());
            let mut sum = RollingSum::of(&data[..len]);
            for start in 1..=data.len() - len {
                sum.roll(data[start - 1], data[start + len - 1]);
                prop_assert_eq!(sum, RollingSum::of(&data[start..start + len]));
            }
        }
    }
}
