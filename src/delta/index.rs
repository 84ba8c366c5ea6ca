//! Finds the blocks that have a given weak sum, at one memory access for nearly every window that matches nothing.
//!
//! Three flat arrays:
//!
//! * the **filter**, a word of 64 bits for each slot, in which one bit is set for each weak sum. A window that is not
//!   in the basis passes it by chance once in 64 or more. Each pass costs a mispredicted branch, so fewer bits are
//!   slower;
//! * the **heads** of chains, one for each slot;
//! * the **next** block in the chain of each block.
//!
//! There are one to two slots a block. Together that is half a megabyte for a file of 1 GiB, and 16 MB at most.
//!
//! Chains hold no two blocks with the same sums (one of a million blocks of zeros is enough) and at most
//! [`MAX_CHAIN`] blocks, since weak sums that collide are easily made: a chain without bound is how a hostile signature
//! stops a sender for hours (CVE-2026-70453 in rsync).

use crate::delta::Signature;

/// The most blocks in a chain. Chains of sums that were not made to collide hold one or two.
const MAX_CHAIN: usize = 16;

/// Ends a chain. Above every block number, which are below [`MAX_BLOCKS`](super::MAX_BLOCKS).
const NONE: u32 = u32::MAX;

/// Which of several equal blocks the index keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// The first, so that a run of equal blocks can be followed.
    First,
    /// The last, which stays usable longest when a file is updated in place.
    Last,
}

/// The full-length blocks of a signature by weak sum.
#[derive(Debug)]
pub(super) struct Index {
    filter: Vec<u64>,
    heads: Vec<u32>,
    next: Vec<u32>,
    /// What shifts a 32-bit hash down to a slot.
    slot_shift: u32,
}

impl Index {
    /// Indexes the full-length blocks of `signature`.
    pub(super) fn new(signature: &Signature, keep: Keep) -> Self {
        let blocks = signature.full_blocks();
        let slots = blocks.max(4).next_power_of_two();
        let mut index = Self {
            filter: vec![0; slots as usize],
            heads: vec![NONE; slots as usize],
            next: vec![NONE; blocks as usize],
            slot_shift: u32::BITS - slots.trailing_zeros(),
        };
        match keep {
            Keep::First => (0..blocks).for_each(|block| index.insert(signature, block)),
            Keep::Last => (0..blocks).rev().for_each(|block| index.insert(signature, block)),
        }
        index
    }

    /// Whether a block may have this weak sum. Errs only by saying yes.
    #[inline]
    pub(super) fn may_contain(&self, weak: u32) -> bool {
        let word = self.filter.get((weak >> self.slot_shift) as usize).copied().unwrap_or_default();
        word >> (weak & 63) & 1 == 1
    }

    /// The blocks that share a chain with this weak sum, at most [`MAX_CHAIN`]; the caller compares the sums.
    pub(super) fn chain(&self, weak: u32) -> impl Iterator<Item = u32> {
        let head = self.heads.get((scatter(weak) >> self.slot_shift) as usize).copied();
        std::iter::successors(head.filter(|block| *block != NONE), |block| {
            self.next.get(*block as usize).copied().filter(|block| *block != NONE)
        })
    }

    /// Appends a block to its chain, unless the chain is full or has a block with the same sums.
    fn insert(&mut self, signature: &Signature, block: u32) {
        let Some(weak) = signature.weak(block) else { return };
        let mut last = None;
        for (place, other) in self.chain(weak).enumerate() {
            let equal =
                signature.weak(other) == Some(weak) && signature.strong(other) == signature.strong(block);
            if equal || place + 1 == MAX_CHAIN {
                return;
            }
            last = Some(other);
        }
        if let Some(word) = self.filter.get_mut((weak >> self.slot_shift) as usize) {
            *word |= 1 << (weak & 63);
        }
        let link = match last {
            Some(last) => self.next.get_mut(last as usize),
            None => self.heads.get_mut((scatter(weak) >> self.slot_shift) as usize),
        };
        if let Some(link) = link {
            *link = block;
        }
    }
}

/// Spreads a weak sum over all bits, of which the highest are the best (Knuth's multiplicative hashing). Sums of
/// structured data need that, or they would crowd into a few chains. For the filter, which is asked for every byte, the
/// sum itself is good enough.
fn scatter(weak: u32) -> u32 {
    weak.wrapping_mul(0x85EB_CA6B)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::{BlockLen, StrongLen, Sum};

    /// A signature of one-byte blocks with these sums.
    fn signature(sums: impl IntoIterator<Item = (u32, u8)>) -> Signature {
        let mut signature = Signature::empty(BlockLen::new(1).unwrap(), StrongLen::new(5).unwrap());
        for (weak, strong) in sums {
            signature.add_block(1, weak, &Sum([strong; 16]));
        }
        signature
    }

    fn found(signature: &Signature, index: &Index, weak: u32) -> Vec<u32> {
        index.chain(weak).filter(|block| signature.weak(*block) == Some(weak)).collect()
    }

    #[test]
    fn empty() {
        let signature = signature([]);
        let index = Index::new(&signature, Keep::First);
        assert!(!index.may_contain(0));
        assert_eq!(index.chain(0).count(), 0);
    }

    #[test]
    fn every_distinct_block_is_found() {
        let signature = signature((0..1000).map(|n| (n * n * 77, n as u8)));
        let index = Index::new(&signature, Keep::First);
        for block in 0..1000 {
            let weak = block * block * 77;
            assert!(index.may_contain(weak));
            assert!(found(&signature, &index, weak).contains(&block));
        }
    }

    #[test]
    fn the_filter_holds_back_nearly_everything_else() {
        let mut state = 1_u32;
        let mut random = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state ^ state >> 15
        };
        let signature = signature((0..10_000).map(|_| (random(), 0)));
        let index = Index::new(&signature, Keep::First);
        let passed = (0..10_000).filter(|_| index.may_contain(random())).count();
        assert!(passed < 10_000 / 48, "{passed}");
    }

    #[test]
    fn equal_blocks_are_kept_once() {
        let signature = signature((0..1000).map(|n| (7, u8::from(n == 500))));
        assert_eq!(found(&signature, &Index::new(&signature, Keep::First), 7), [0, 500]);
        assert_eq!(found(&signature, &Index::new(&signature, Keep::Last), 7), [999, 500]);
    }

    #[test]
    fn colliding_blocks_make_no_long_chain() {
        let signature = signature((0..200).map(|n| (7, n)));
        let index = Index::new(&signature, Keep::First);
        assert_eq!(index.chain(7).count(), MAX_CHAIN);
    }
}
