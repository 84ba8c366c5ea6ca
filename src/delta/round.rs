//! A round: what it may leave to the next, and what is worth that.

use crate::delta::gap::GAPS_PER_BASIS;
use crate::delta::{BlockLen, Cover, Gap, MAX_BLOCKS, MAX_GAPS, StrongLen};

/// A stretch longer than so many blocks that were not found is no gap; or in the first round, one with all the rest.
const LONGEST: u64 = 64;

/// What asking for the finer sums of a gap costs, and what each of its blocks does, about, in bytes.
const ASKING: u64 = 16;
const BLOCK: u64 = 8;

/// How many times as much as it costs a gap must be able to save.
const WORTH: u64 = 2;

/// A gap whose range is so many times shorter than itself is not worth searching.
const THINNEST: u64 = 16;

/// The gaps that one round leaves to the next.
#[derive(Debug)]
pub struct Round {
    pub(super) block_len: BlockLen,
    pub(super) in_place: bool,
    /// How many bytes that were not found may be a gap; or, if `rest`, may be before the rest of the file becomes one.
    pub(super) longest: u64,
    pub(super) rest: bool,
    most_gaps: usize,
    /// How many more bytes of gaps there may be.
    room: u64,
    gaps: Vec<Gap>,
    pub(super) blocks: u64,
    comparisons: u64,
}

impl Round {
    /// Starts a round of a file that is searched for blocks of `searched` bytes, the `first` or a later one. It leaves
    /// at most `most_gaps` gaps, and never more than [`MAX_GAPS`]. `None` if there are no finer blocks to ask for.
    pub fn new(
        searched: BlockLen,
        first: bool,
        in_place: bool,
        basis_len: u64,
        most_gaps: usize,
    ) -> Option<Self> {
        Some(Self {
            block_len: searched.finer()?,
            in_place,
            longest: LONGEST * u64::from(searched.get()),
            rest: first,
            most_gaps: most_gaps.min(MAX_GAPS),
            room: basis_len.saturating_mul(GAPS_PER_BASIS),
            gaps: Vec::new(),
            blocks: 0,
            comparisons: 0,
        })
    }

    /// The gaps, in order.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Ends the round: the gaps, in order, the length of the blocks whose sums are asked for, and that of their sums.
    pub fn finish(self) -> (Vec<Gap>, BlockLen, StrongLen) {
        (self.gaps, self.block_len, StrongLen::for_search(self.comparisons))
    }

    /// Whether finer sums of a gap can pay: whether what they can save, the shorter of the two lengths less a block for
    /// the edit there must be, is twice what they cost.
    pub(super) fn is_worth(&self, gap: &Gap) -> bool {
        let cover = Cover::of_gap(gap, self.block_len);
        let saved = gap.len.min(cover.len()).saturating_sub(self.block_len.get().into());
        let cost = ASKING.saturating_add(BLOCK.saturating_mul(cover.block_count(self.block_len)));
        saved / WORTH >= cost && gap.basis_len >= gap.len / THINNEST
    }

    /// Makes a gap of a stretch, if that is worth it and there is room.
    pub(super) fn admit(&mut self, gap: Gap) -> bool {
        let blocks = Cover::of_gap(&gap, self.block_len).block_count(self.block_len);
        let fits = self.gaps.len() < self.most_gaps
            && self.blocks.saturating_add(blocks) <= u64::from(MAX_BLOCKS)
            && gap.len <= self.room;
        let admitted = fits && self.is_worth(&gap);
        if admitted {
            self.room -= gap.len;
            self.blocks += blocks;
            self.comparisons = self.comparisons.saturating_add(gap.len.saturating_mul(blocks));
            self.gaps.push(gap);
        }
        admitted
    }
}
