//! File contents that do not compress and never repeat, the same on every machine.
//!
//! The stream of a seed is addressable: any range of it can be written by itself, so that a file with a piece cut out
//! or put in is written as a few ranges, and nothing needs a stored original.

use std::io::{self, Write};
use std::ops::Range;

const WORD: u64 = 8;
/// Bytes made at a time: within the second-level cache of any machine.
const CHUNK: u64 = 64 * 1024;

/// Writes the bytes `range` of the stream of `seed`.
pub(crate) fn write(out: &mut impl Write, seed: u64, range: Range<u64>) -> io::Result<()> {
    let mut chunk = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let end = (at - at % CHUNK + CHUNK).min(range.end);
        let first_word = at / WORD;
        chunk.clear();
        for word in first_word..end.div_ceil(WORD) {
            chunk.extend_from_slice(&mixed(seed, word).to_le_bytes());
        }
        let skipped = (at % WORD) as usize;
        let length = (end - at) as usize;
        out.write_all(chunk.get(skipped..skipped + length).unwrap_or_default())?;
        at = end;
    }
    Ok(())
}

/// The same bytes in memory.
pub(crate) fn bytes(seed: u64, range: Range<u64>) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to memory cannot fail.
    let _ = write(&mut out, seed, range);
    out
}

/// The `index`-th number of the stream of `seed`: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom
/// number generators", OOPSLA 2014), whose state is a plain counter.
pub(crate) fn mixed(seed: u64, index: u64) -> u64 {
    let mut z = seed.rotate_left(32).wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
