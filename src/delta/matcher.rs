//! The window that moves over the new file and what is tried at each of its positions; the module of
//! [`Search`](super::Search) tells why.

use crate::delta::index::{Index, Keep};
use crate::delta::op::CopyMerger;
use crate::delta::rolling::RollingSum;
use crate::delta::{Op, Reach, SearchOptions, SearchStats, Signature, Sum, SumChoice};

/// How many blocks may be hashed in vain before the budget must be earned.
const FUTILE_BLOCKS: u64 = 64;

/// How many bytes may be hashed in vain for each byte passed, beyond twice what chance makes of 32-bit sums.
const FUTILE_BYTES: u64 = 8;

/// What to try at the window's position.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Follow,
    /// Follow failed for this window.
    Ahead(RollingSum),
    /// This window is in no block; the next may be.
    Roll(RollingSum),
}

/// What became of a step.
enum Step {
    /// The bytes that decide have not been pushed.
    Starved,
    /// The window moved on by this many bytes, all of them literal.
    Moved(usize),
    /// The window moved on by `skipped` bytes, all of them literal, and is this block.
    Found { skipped: usize, block: u32 },
}

/// A search over whatever stretch of the new file [`Search`](super::Search) lays before it.
#[derive(Debug)]
pub(super) struct Matcher {
    signature: Signature,
    index: Index,
    choice: SumChoice,
    in_place: Option<Reach>,
    block_len: usize,
    stage: Stage,
    /// Where in the new file the window begins.
    position: u64,
    /// Where in the basis the window would begin, had nothing been inserted or removed since the last match.
    expected: u64,
    /// How many bytes may be hashed in vain, and how many more for each byte passed.
    budget: u64,
    budget_rate: u64,
    merger: CopyMerger,
    stats: SearchStats,
    /// Whether a block was seen that can no longer be used.
    moved: bool,
}

impl Matcher {
    pub(super) fn new(signature: Signature, choice: SumChoice, options: SearchOptions) -> Self {
        let keep = if options.in_place.is_some() { Keep::Last } else { Keep::First };
        let block_len = signature.header().block_len.bytes();
        let start = signature.offset(0);
        let by_chance = signature.header().basis_len >> 32;
        Self {
            index: Index::new(&signature, keep),
            choice,
            in_place: options.in_place,
            block_len,
            stage: Stage::Follow,
            position: options.position,
            expected: start,
            budget: FUTILE_BLOCKS * block_len as u64,
            budget_rate: FUTILE_BYTES + 2 * by_chance,
            merger: CopyMerger::default(),
            stats: SearchStats::default(),
            moved: false,
            signature,
        }
    }

    /// The length of the window.
    pub(super) fn block_len(&self) -> usize {
        self.block_len
    }

    /// Whether a block of the basis was seen so much further on in the new file, in place, that it cannot be used: much was
    /// inserted.
    pub(super) fn has_moved(&self) -> bool {
        self.moved
    }

    /// Moves the window over `data`, where it stands at the beginning, until it stands at `end` or more is needed.
    /// With `last`, no more is to come. Returns how far the window moved; everything before it has been handed out.
    pub(super) fn scan<E>(
        &mut self,
        data: &[u8],
        end: usize,
        last: bool,
        out: &mut impl FnMut(Op<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut window = 0;
        let mut told = 0;
        while window < end {
            let rest = data.get(window..).unwrap_or_default();
            match self.step(rest, end - window, last) {
                Step::Starved => break,
                Step::Moved(bytes) => window += bytes,
                Step::Found { skipped, block } => {
                    window += skipped;
                    self.merger.literal(data.get(told..window).unwrap_or_default(), out)?;
                    self.copy(block, self.block_len, out)?;
                    window += self.block_len;
                    told = window;
                }
            }
        }
        self.merger.literal(data.get(told..window).unwrap_or_default(), out)?;
        Ok(window)
    }

    /// Passes over `before`, less than a window, or one that nothing matched, and then over `len` bytes that are those of
    /// the basis at the same place.
    pub(super) fn unmoved<E>(
        &mut self,
        before: &[u8],
        len: u64,
        out: &mut impl FnMut(Op<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.merger.literal(before, out)?;
        self.advance(before.len() as u64);
        self.expected = self.position;
        self.merger.copy(self.expected, len, out)?;
        self.stats.matched_blocks += len.div_ceil(self.block_len as u64);
        self.stage = Stage::Follow;
        self.advance(len);
        Ok(())
    }

    /// Ends the file with `tail`: less than a window, or one that nothing matched. Its very end may be the short last
    /// block.
    pub(super) fn finish<E>(
        mut self,
        tail: &[u8],
        out: &mut impl FnMut(Op<'_>) -> Result<(), E>,
    ) -> Result<SearchStats, E> {
        let (literal, found) = self.short_block_at_end(tail);
        self.merger.literal(literal, out)?;
        if let Some((block, len)) = found {
            self.copy(block, len, out)?;
        }
        self.merger.flush(out)?;
        Ok(self.stats)
    }

    /// Splits off the short last block of the basis, with its length, from the end of the file.
    fn short_block_at_end<'a>(&mut self, tail: &'a [u8]) -> (&'a [u8], Option<(u32, usize)>) {
        if let Some((block, len)) = self.signature.short_block()
            && let Some(before) = tail.len().checked_sub(len)
        {
            let (before, end) = tail.split_at(before);
            self.advance(before.len() as u64);
            if self.usable(block) && self.is_block(block, end) {
                return (before, Some((block, len)));
            }
        }
        (tail, None)
    }

    /// Tries what the stage says on the window at the beginning of `rest`, moving it by at most `limit` bytes.
    fn step(&mut self, rest: &[u8], limit: usize, last: bool) -> Step {
        let Some((window, beyond)) = rest.split_at_checked(self.block_len) else { return Step::Starved };
        match self.stage {
            Stage::Follow => self.follow(window),
            Stage::Ahead(sum) => self.look_ahead(sum, beyond, last),
            Stage::Roll(_) if beyond.is_empty() => Step::Starved,
            Stage::Roll(sum) => self.roll(sum, rest, beyond, limit),
        }
    }

    fn follow(&mut self, window: &[u8]) -> Step {
        let mut strong = None;
        if let Some(block) = self.signature.block_at(self.expected) {
            let sum = self.strong_sum(window);
            if self.agrees(block, window, &sum) {
                return Step::Found { skipped: 0, block };
            }
            strong = Some(sum);
        }
        let sum = RollingSum::of(window);
        if let Some(block) = self.look_up(sum.value(), window, strong) {
            return Step::Found { skipped: 0, block };
        }
        self.stage = Stage::Ahead(sum);
        Step::Moved(0)
    }

    fn look_ahead(&mut self, sum: RollingSum, beyond: &[u8], last: bool) -> Step {
        if let Some(block) = self.signature.block_at(self.expected.saturating_add(self.block_len as u64)) {
            match beyond.get(..self.block_len) {
                Some(next) if self.is_block(block, next) => {
                    self.advance(self.block_len as u64);
                    return Step::Found { skipped: self.block_len, block };
                }
                None if !last => return Step::Starved,
                _ => {}
            }
        }
        self.stage = Stage::Roll(sum);
        Step::Moved(0)
    }

    fn roll(&mut self, mut sum: RollingSum, rest: &[u8], beyond: &[u8], limit: usize) -> Step {
        let room = beyond.len().min(limit);
        let mut moved = 0;
        while moved < room {
            let leaving = rest.get(moved..room).unwrap_or_default();
            let entering = beyond.get(moved..room).unwrap_or_default();
            let passed = self.roll_to_candidate(&mut sum, leaving, entering);
            self.advance(passed as u64);
            self.stats.rolled_bytes += passed as u64;
            moved += passed;
            let window = rest.get(moved..moved + self.block_len).unwrap_or_default();
            if let Some(block) = self.look_up(sum.value(), window, None) {
                return Step::Found { skipped: moved, block };
            }
        }
        self.stage = Stage::Roll(sum);
        Step::Moved(room)
    }

    /// The inner loop: rolls on until the index may know the sum, or to the end of what there is. Returns by how much.
    fn roll_to_candidate(&self, sum: &mut RollingSum, leaving: &[u8], entering: &[u8]) -> usize {
        let mut rolling = *sum;
        let mut passed = 0;
        for (leaving, entering) in leaving.iter().zip(entering) {
            rolling.roll(*leaving, *entering);
            passed += 1;
            if self.index.may_contain(rolling.value()) && self.has_block(rolling.value()) {
                break;
            }
        }
        *sum = rolling;
        passed
    }

    /// Whether the index has a block with this weak sum. Out of line, to leave the registers to the loop that asks.
    #[cold]
    fn has_block(&self, weak: u32) -> bool {
        self.index.chain(weak).any(|block| self.signature.weak(block) == Some(weak))
    }

    /// Finds a block with the sums of `window`. Prefers the expected block among equal ones, so that a run of them is
    /// followed to its end.
    fn look_up(&mut self, weak: u32, window: &[u8], known: Option<Sum>) -> Option<u32> {
        let mut strong = known;
        for block in self.signature.block_at(self.expected).into_iter().chain(self.index.chain(weak)) {
            let usable = self.usable(block);
            // One that is not need be recognised only once.
            if self.signature.weak(block) != Some(weak) || (!usable && self.moved) {
                continue;
            }
            let sum = match strong {
                Some(sum) => sum,
                None if self.budget < window.len() as u64 => return None,
                None => {
                    self.stats.strong_sums += 1;
                    *strong.insert(self.choice.sum(window))
                }
            };
            if self.signature.matches(block, &sum) {
                if usable {
                    return Some(block);
                }
                self.moved = true;
            }
        }
        if known.is_none() && strong.is_some() {
            self.stats.false_alarms += 1;
            self.budget = self.budget.saturating_sub(window.len() as u64);
        }
        None
    }

    /// Whether a block can still be had when the new file has been written up to the window. What follows a usable block
    /// is usable after it.
    fn usable(&self, block: u32) -> bool {
        match self.in_place {
            None => true,
            Some(Reach(reach)) => self.signature.offset(block).saturating_add(reach) >= self.position,
        }
    }

    fn is_block(&mut self, block: u32, data: &[u8]) -> bool {
        let sum = self.strong_sum(data);
        self.agrees(block, data, &sum)
    }

    /// Whether a block is `data`, whose strong sum is given, where nothing but its place speaks for it so far.
    fn agrees(&self, block: u32, data: &[u8], strong: &Sum) -> bool {
        let decided = self.signature.strong_len().decides();
        self.signature.matches(block, strong)
            && (decided || self.signature.weak(block) == Some(RollingSum::of(data).value()))
    }

    fn strong_sum(&mut self, data: &[u8]) -> Sum {
        self.stats.strong_sums += 1;
        self.choice.sum(data)
    }

    /// Takes the first `len` bytes of a block, after which its successor is expected.
    fn copy<E>(
        &mut self,
        block: u32,
        len: usize,
        out: &mut impl FnMut(Op<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expected = self.signature.offset(block);
        self.merger.copy(self.expected, len as u64, out)?;
        self.stats.matched_blocks += 1;
        self.stage = Stage::Follow;
        self.advance(len as u64);
        Ok(())
    }

    /// Notes that the window has passed these bytes.
    fn advance(&mut self, bytes: u64) {
        self.position = self.position.saturating_add(bytes);
        self.expected = self.expected.saturating_add(bytes);
        self.budget = self.budget.saturating_add(bytes.saturating_mul(self.budget_rate));
    }
}
