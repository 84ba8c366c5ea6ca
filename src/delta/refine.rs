//! Refinement: what was not found in long blocks is looked for in shorter ones, there alone.
//!
//! A search in blocks of one length has to choose between many sums and many literals. Refinement has few of both. A
//! file is told in **rounds**. In the first it is searched for long blocks, and what lies between two matches is no
//! literal but an [`Op::Gap`], which says how long it is and which range of the basis lies between the same two matches.
//! At the end of the round the sink sends the sums of these ranges in blocks a sixteenth as long ([`BlockLen::finer`]).
//! In the next round the source searches each gap for its own blocks only, and so on; in the round of the shortest
//! blocks everything is told. The operations of a round fill the gaps of the one before, in order.
//!
//! Of a gigabyte with a hundred small edits a hundred blocks of 256 KiB are not found, then a hundred of 16 KiB in
//! these, then of 1 KiB, then of 128 bytes: that is 4096 + 100 (16 + 16 + 8) sums and some 15 kB of literals, where one
//! level has 32768 sums and 3 MB of literals.
//!
//! Finer sums are asked for only where they can pay. A stretch in which many blocks of the last length were not found,
//! one after the other, is new and will not be found in shorter ones, so it becomes literals at once, and the sums
//! asked for in vain stay a small part of the literals. Only in the first round it may also be that every long block was
//! edited. The next sums weigh less than a two thousandth of what they are of, so all that is left of the file is
//! searched for them instead: as one gap, unsearched so far, so that a file that is all new is searched once and sent
//! meanwhile.
//!
//! **In place** the basis is being overwritten, but not where gaps are, since all of a gap is told later. So a gap
//! can refer to the range that it will overwrite itself and to no other, and only where nothing has moved. What has moved
//! is copied all the same, but not refined; and where more was inserted than can be remembered ([`Reach`]), all that
//! follows is literal.

use crate::delta::gap::GAPS_PER_BASIS;
use crate::delta::{
    BlockLen, Cover, Gap, MAX_BLOCKS, MAX_GAPS, Op, Reach, Search, SearchOptions, SearchStats, Signature,
    StrongLen, SumChoice,
};

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
    block_len: BlockLen,
    in_place: bool,
    /// How many bytes that were not found may be a gap; or, if `rest`, may be before the rest of the file becomes one.
    longest: u64,
    rest: bool,
    most_gaps: usize,
    /// How many more bytes of gaps there may be.
    room: u64,
    gaps: Vec<Gap>,
    blocks: u64,
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

    /// Makes a gap of a stretch, if finer sums can pay: if what they can save, the shorter of the two lengths less a
    /// block for the edit there must be, is twice what they cost.
    fn admit(&mut self, gap: Gap) -> bool {
        let cover = Cover::of_gap(&gap, self.block_len);
        let blocks = cover.block_count(self.block_len);
        let saved = gap.len.min(cover.len()).saturating_sub(self.block_len.get().into());
        let worth = saved >= WORTH * (ASKING + BLOCK * blocks) && gap.basis_len >= gap.len / THINNEST;
        let fits = self.gaps.len() < self.most_gaps
            && self.blocks + blocks <= u64::from(MAX_BLOCKS)
            && gap.len <= self.room;
        if worth && fits {
            self.room -= gap.len;
            self.blocks += blocks;
            self.comparisons = self.comparisons.saturating_add(gap.len.saturating_mul(blocks));
            self.gaps.push(gap);
        }
        worth && fits
    }
}

/// What becomes of a search's operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sifted<'a> {
    /// An operation to be sent.
    Op(Op<'a>),
    /// Literal bytes that were passed before it was known that they are: these of the new file, to be read again.
    Passed {
        /// Where they begin.
        at: u64,
        /// How many they are.
        len: u64,
    },
}

/// A search of one gap, or of a file, pushed from its beginning, that leaves gaps to the next round.
///
/// Operations are handed to `out` in order. Bytes that may become a gap are only counted, so besides what the [`Search`]
/// holds it has a few numbers whatever the file.
#[derive(Debug)]
pub struct GapSearch<'a> {
    /// `None` once the rest is one gap.
    search: Option<Search>,
    sifter: Sifter<'a>,
    stats: SearchStats,
}

impl<'a> GapSearch<'a> {
    /// Starts on `gap`, of a file whose basis has `basis_len` bytes, with the gap's signature, made with `choice`. Without
    /// a round, all that is not found is literal.
    pub fn new(
        gap: Gap,
        signature: Signature,
        choice: SumChoice,
        in_place: Option<Reach>,
        basis_len: u64,
        round: Option<&'a mut Round>,
    ) -> Self {
        let options = SearchOptions { in_place, position: gap.at };
        Self {
            search: Some(Search::new(signature, choice, options)),
            sifter: Sifter::new(gap, basis_len, round),
            stats: SearchStats::default(),
        }
    }

    /// Searches the next bytes.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn push<E>(
        &mut self,
        data: &[u8],
        out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { search, sifter, stats } = self;
        match search {
            Some(search) => search.push(data, &mut |op| sifter.push(op, out))?,
            None => sifter.push(Op::Literal(data), out)?,
        }
        if sifter.is_lost()
            && let Some(searching) = search
        {
            if searching.has_moved() || !sifter.may_leave_rest() {
                sifter.passing = true;
                return sifter.pass(out);
            }
            if let Some(search) = search.take() {
                *stats = search.finish(&mut |op| sifter.push(op, out))?;
            }
        }
        Ok(())
    }

    /// Takes the next `len` bytes for what the basis has at the same place: see [`Search::unmoved`].
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn unmoved<E>(
        &mut self,
        len: u64,
        out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { search, sifter, .. } = self;
        match search {
            Some(search) => search.unmoved(len, &mut |op| sifter.push(op, out)),
            None => sifter.push(Op::Copy { offset: sifter.position, len }, out),
        }
    }

    /// Ends the gap here: hands out what remains, and tells what was done.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn finish<E>(self, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<SearchStats, E> {
        let Self { search, mut sifter, mut stats } = self;
        if let Some(search) = search {
            stats = search.finish(&mut |op| sifter.push(op, out))?;
        }
        sifter.finish(out)?;
        Ok(stats)
    }
}

/// Sifts the operations of a search into those to be sent and gaps.
#[derive(Debug)]
struct Sifter<'a> {
    round: Option<&'a mut Round>,
    /// How long the basis is.
    basis_len: u64,
    /// Where in the new file the next byte is.
    position: u64,
    /// Where in the basis what was found last ends, and where the basis of this search does.
    from: u64,
    until: u64,
    /// How many bytes before `position` wait for what they become.
    held: u64,
    /// Whether too many have waited, so that they and those that follow are literals.
    passing: bool,
}

impl<'a> Sifter<'a> {
    fn new(gap: Gap, basis_len: u64, round: Option<&'a mut Round>) -> Self {
        Self {
            round,
            basis_len,
            position: gap.at,
            from: gap.offset,
            until: gap.offset.saturating_add(gap.basis_len),
            held: 0,
            passing: false,
        }
    }

    /// Takes the next operation of the search.
    fn push<E>(&mut self, op: Op<'_>, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<(), E> {
        match op {
            Op::Copy { offset, len } => {
                self.settle(offset, out)?;
                self.position = self.position.saturating_add(len);
                self.from = offset.saturating_add(len);
                self.passing = false;
                out(Sifted::Op(op))
            }
            Op::Literal(data) => {
                let longest =
                    self.round.as_ref().map(|round| if round.rest { u64::MAX } else { round.longest });
                self.position = self.position.saturating_add(data.len() as u64);
                match longest {
                    Some(longest) if !self.passing => {
                        self.held = self.held.saturating_add(data.len() as u64);
                        if self.held <= longest {
                            return Ok(());
                        }
                        self.passing = true;
                        self.pass(out)
                    }
                    _ => out(Sifted::Op(op)),
                }
            }
            Op::Gap { .. } => out(Sifted::Op(op)),
        }
    }

    /// Whether so much was not found that something else is to become of what follows.
    fn is_lost(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.rest && self.held > round.longest)
    }

    /// Whether that may become one gap, together with what is held: where it has a basis, and not too much of one for one
    /// signature.
    fn may_leave_rest(&self) -> bool {
        let blocks = |round: &Round| {
            let blocks = self.until.saturating_sub(self.from) / u64::from(round.block_len.get());
            round.blocks.saturating_add(blocks)
        };
        self.gap(self.until).is_some()
            && self.round.as_ref().is_some_and(|round| blocks(round) < u64::from(MAX_BLOCKS))
    }

    /// Ends the search here.
    fn finish<E>(mut self, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<(), E> {
        self.settle(self.until, out)
    }

    /// Decides what becomes of the bytes held, after which `next` of the basis was found.
    fn settle<E>(&mut self, next: u64, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.held == 0 {
            return Ok(());
        }
        let gap = self.gap(next);
        let admitted = gap.filter(|gap| self.round.as_mut().is_some_and(|round| round.admit(*gap)));
        match admitted {
            None => self.pass(out),
            Some(Gap { len, offset, basis_len, .. }) => {
                self.held = 0;
                out(Sifted::Op(Op::Gap { len, offset, basis_len }))
            }
        }
    }

    /// The gap that the bytes held would be: with the range between what was found before and after them, or, where
    /// something has moved, with what follows the former.
    fn gap(&self, next: u64) -> Option<Gap> {
        let in_place = self.round.as_ref()?.in_place;
        let (at, len) = (self.position.saturating_sub(self.held), self.held);
        let until = if in_place || next < self.from { self.from.saturating_add(len) } else { next };
        let basis_len = until.min(self.basis_len).saturating_sub(self.from);
        let usable = basis_len > 0 && (!in_place || self.from == at);
        usable.then_some(Gap { at, len, offset: self.from, basis_len })
    }

    /// Hands the bytes held out as literals.
    fn pass<E>(&mut self, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<(), E> {
        let len = std::mem::take(&mut self.held);
        out(Sifted::Passed { at: self.position.saturating_sub(len), len })
    }
}
