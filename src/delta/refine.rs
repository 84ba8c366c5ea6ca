//! Refinement: what was not found in long blocks is looked for in shorter ones, there alone.
//!
//! A search in blocks of one length has to choose between many sums and many literals. Refinement has few of both. A
//! file is told in **rounds**. In the first it is searched for long blocks, and what lies between two matches is no
//! literal but a [`Gap`](crate::delta::Op::Gap), which says how long it is and which range of the basis lies between
//! the same two matches. At the end of the round the sink sends the sums of these ranges in blocks a sixteenth as long
//! ([`BlockLen::finer`](crate::delta::BlockLen::finer)).
//! In the next round the source searches each gap for its own blocks only, and so on; in the round of the shortest
//! blocks everything is told. The operations of a round fill the gaps of the one before, in order.
//!
//! Of a gigabyte with a hundred small edits a hundred blocks of 256 KiB are not found, then a hundred of 16 KiB in
//! these, then of 1 KiB, then of 128 bytes: that is 4096 + 100 (16 + 16 + 8) sums and some 15 kB of literals, where one
//! level has 32768 sums and 3 MB of literals.
//!
//! Finer sums are asked for only where they can pay. A stretch in which many blocks of the last length were not found,
//! one after the other, is new and will not be found in shorter ones, so it becomes literals at once, and the sums
//! asked for in vain stay a small part of the literals. Only in the first round it may also be that every long block
//! was edited, or that something long was inserted. Then samples of what is ahead are looked up
//! ([`GapSearch::occurs`]). If one is found, the search goes on. If none is, the rest of the stretch is left as one
//! gap, since the next sums weigh less than a two thousandth of what they are of; and if then no sample of that is
//! found either, it is new, and is sent without being searched.
//!
//! **In place** the basis is being overwritten, but not where gaps are, since all of a gap is told later. So a gap
//! can refer to the range that it will overwrite itself and to no other, and only where nothing has moved. What has
//! moved is copied all the same, but not refined; and where more was inserted than can be remembered ([`Reach`]), all
//! that follows is literal.

use crate::delta::sift::{Sifted, Sifter};
use crate::delta::{Gap, Reach, Round, Search, SearchOptions, SearchStats, Signature, SumChoice};
use std::ops::Range;

/// A search of one gap, or of a file, pushed from its beginning, that leaves gaps to the next round.
///
/// Operations are handed to `out` in order. Bytes that may become a gap are only counted, so besides what the
/// [`Search`] holds it has a few numbers whatever the file.
#[derive(Debug)]
pub struct GapSearch<'a> {
    search: Search,
    sifter: Sifter<'a>,
    /// Whether the rest of the stretch is left to the next round.
    left: bool,
}

impl<'a> GapSearch<'a> {
    /// Starts on `gap`, of a file whose basis has `basis_len` bytes, with the gap's signature, made with `choice`.
    /// Without a round, all that is not found is literal.
    pub fn new(
        gap: Gap,
        signature: Signature,
        choice: SumChoice,
        in_place: Option<Reach>,
        basis_len: u64,
        round: Option<&'a mut Round>,
    ) -> Self {
        let options = SearchOptions { in_place, position: gap.at };
        let search = Search::new(signature, choice, options);
        Self { search, sifter: Sifter::new(gap, basis_len, round), left: false }
    }

    /// Says that what is pushed next, or taken for unmoved after that, is a stretch that ends there in the new file.
    pub fn expect_end(&mut self, end: u64) {
        self.sifter.expect_end(end);
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
        let Self { search, sifter, left } = self;
        if *left {
            self.skip(data.len() as u64);
            return Ok(());
        }
        search.push(data, &mut |op| sifter.push(op, out))?;
        if sifter.is_lost() && (search.has_moved() || !sifter.may_leave_rest()) {
            return sifter.pass(out);
        }
        Ok(())
    }

    /// If so much was not found that searching on may be in vain: what is ahead in this stretch. After looking up
    /// samples of it, the caller says how to go on, by [`go_on`](Self::go_on) or [`leave_rest`](Self::leave_rest).
    pub fn is_lost(&self) -> Option<Range<u64>> {
        let is_lost = !self.left && self.sifter.is_lost();
        is_lost.then(|| self.sifter.position()..self.sifter.end())
    }

    /// Whether anything in `data` is a block of the basis: a sample, of at least two blocks, from anywhere.
    pub fn occurs(&self, data: &[u8]) -> bool {
        self.search.occurs(data)
    }

    /// Searches on: what was not found so far is literal.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn go_on<E>(&mut self, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<(), E> {
        self.sifter.pass(out)
    }

    /// Leaves the rest of the stretch to the next round, together with what was not found so far. It need not be
    /// pushed.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn leave_rest<E>(&mut self, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<(), E> {
        let Self { search, sifter, left } = self;
        *left = true;
        search.settle(&mut |op| sifter.push(op, out))
    }

    /// Whether the rest of the stretch was left to the next round.
    pub fn has_left_rest(&self) -> bool {
        self.left
    }

    /// Passes over the next bytes of a rest that was left.
    pub fn skip(&mut self, len: u64) {
        self.search.skip(len);
        self.sifter.hold(len);
    }

    /// Takes the next `len` bytes for what the basis has at the same place: see [`Search::unmoved`]. A new stretch
    /// follows.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn unmoved<E>(
        &mut self,
        len: u64,
        out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { search, sifter, left } = self;
        *left = false;
        search.unmoved(len, &mut |op| sifter.push(op, out))
    }

    /// Ends the gap here: hands out what remains, and tells what was done.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn finish<E>(self, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<SearchStats, E> {
        let Self { search, mut sifter, .. } = self;
        let stats = search.finish(&mut |op| sifter.push(op, out))?;
        sifter.finish(out)?;
        Ok(stats)
    }
}
