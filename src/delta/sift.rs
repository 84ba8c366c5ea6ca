//! Sifts what a search found: what is to be sent, and what is left to the next round.

use crate::delta::{Gap, MAX_BLOCKS, Op, Round};

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

/// Sifts the operations of a search into those to be sent and gaps.
#[derive(Debug)]
pub(super) struct Sifter<'a> {
    round: Option<&'a mut Round>,
    /// How long the basis is.
    basis_len: u64,
    /// Where in the new file the next byte is, and where the stretch ends that is being searched.
    position: u64,
    end: u64,
    /// Where in the basis what was found last ends, and where the basis of this search does.
    from: u64,
    until: u64,
    /// How many bytes before `position` wait for what they become.
    held: u64,
    /// Whether too many have waited, so that they and those that follow are literals.
    passing: bool,
}

impl<'a> Sifter<'a> {
    pub(super) fn new(gap: Gap, basis_len: u64, round: Option<&'a mut Round>) -> Self {
        Self {
            round,
            basis_len,
            position: gap.at,
            end: gap.end(),
            from: gap.offset,
            until: gap.offset.saturating_add(gap.basis_len),
            held: 0,
            passing: false,
        }
    }

    /// Takes the next operation of the search.
    pub(super) fn push<E>(
        &mut self,
        op: Op<'_>,
        out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
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
                match longest {
                    Some(longest) if !self.passing => {
                        self.hold(data.len() as u64);
                        if self.held > longest { self.pass(out) } else { Ok(()) }
                    }
                    _ => {
                        self.position = self.position.saturating_add(data.len() as u64);
                        out(Sifted::Op(op))
                    }
                }
            }
            Op::Gap { .. } => out(Sifted::Op(op)),
        }
    }

    /// Says where the stretch ends that is searched now.
    pub(super) fn expect_end(&mut self, end: u64) {
        self.end = end;
    }

    /// Where in the new file the next byte is.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Where the stretch ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Has the next bytes wait for what they become.
    pub(super) fn hold(&mut self, len: u64) {
        self.position = self.position.saturating_add(len);
        self.held = self.held.saturating_add(len);
    }

    /// Whether so much was not found that something else is to become of the rest of the stretch.
    pub(super) fn is_lost(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.rest && self.held > round.longest)
    }

    /// Whether that may become one gap, together with what is held: where it is worth it and has a basis, and not too
    /// much of one for one signature.
    pub(super) fn may_leave_rest(&self) -> bool {
        let Some((round, gap)) = self.round.as_ref().zip(self.gap(self.until)) else { return false };
        let len = gap.len.saturating_add(self.end.saturating_sub(self.position));
        let gap = Gap { len, ..gap };
        let blocks = round.blocks.saturating_add(gap.basis_len / u64::from(round.block_len.get()));
        round.is_worth(&gap) && blocks < u64::from(MAX_BLOCKS)
    }

    /// Ends the search here.
    pub(super) fn finish<E>(mut self, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<(), E> {
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

    /// Hands the bytes held out as literals, and from now on what follows, too, until something is found.
    pub(super) fn pass<E>(&mut self, out: &mut impl FnMut(Sifted<'_>) -> Result<(), E>) -> Result<(), E> {
        self.passing = true;
        let len = std::mem::take(&mut self.held);
        out(Sifted::Passed { at: self.position.saturating_sub(len), len })
    }
}
