//! Tells a file as a difference to the sink's basis, in rounds: see [`crate::delta`].
//!
//! In the first round the whole file is summed; that sum is what the file is verified by in the end. If it was summed
//! ahead, only what is not where it was is read for the search; else it is read from front to back, and summed and
//! searched in one go. The later rounds read only its gaps again. If the file has changed between two readings, what is
//! told does not fit the sum, and the sink asks for the segments that differ, as it does in all such cases.

use crate::delta::{
    BlockLen, Gap, GapSearch, MAX_GAPS, Op, Reach, Round, SegmentHasher, SegmentSums, Sifted, Signature,
    Signatures,
};
use crate::fs::ReadFile;
use crate::pass::source::Source;
use crate::pass::source::content::{Asked, Stop};
use crate::pass::source::outgoing::Outgoing;
use crate::pass::source::rounds::Telling;
use crate::wire::{ContentEnd, ContentOp};
use bytes::Bytes;
use std::ops::Range;

/// Bytes read at once: what is read is summed, searched and sent while it is in the cache. Longer blocks are read whole,
/// since a search copies what does not end where a window ends.
const PIECE: usize = 256 << 10;

impl Source<'_> {
    /// Tells one round. If it leaves gaps, the file waits for their sums.
    pub(super) fn round(&self, asked: Asked, out: &mut Outgoing<'_>) -> Result<ContentEnd, Stop> {
        let Asked { file, mut telling, signatures, summed, .. } = asked;
        let gaps = std::mem::take(&mut telling.gaps);
        let mut round = self.start_round(&mut telling, signatures.block_count(), gaps.len());
        let (open, end) = match telling.begun.take() {
            None => self.tell_file(&telling, signatures, summed.transpose()?, round.as_mut(), out)?,
            Some((open, end)) => {
                self.tell_gaps(&telling, &open, gaps.iter().zip(signatures), round.as_mut(), out)?;
                (open, end)
            }
        };
        let left = round.filter(|round| !round.gaps().is_empty()).map(Round::finish);
        let Some((gaps, block_len, strong_len)) = left else { return Ok(end) };
        if let Some(room) = &mut telling.room {
            room.keep(gaps.len());
        }
        *telling = Telling { gaps, block_len, strong_len, begun: Some((open, end)), ..*telling };
        // Before the end is sent, which is answered.
        self.rounds.leave(file, telling);
        Ok(ContentEnd::Round { block_len, strong_len })
    }

    /// Prepares for the gaps of a round, if it may leave any: about one between any two blocks of those searched for.
    fn start_round(&self, telling: &mut Telling, blocks: u64, gaps: usize) -> Option<Round> {
        if !telling.refine {
            return None;
        }
        let first = telling.begun.is_none();
        if first && telling.room.is_none() {
            telling.room = self.rounds.room();
        }
        let most = usize::try_from(blocks).unwrap_or(MAX_GAPS).saturating_add(gaps).min(MAX_GAPS);
        let most = telling.room.as_mut()?.more(most);
        let in_place = self.context.options.in_place;
        Round::new(telling.block_len, first, in_place, telling.basis_len, most)
    }

    /// Tells the first round: the whole file, against its basis. Returns the file, and the end of its content.
    fn tell_file(
        &self,
        telling: &Telling,
        mut signatures: Signatures,
        summed: Option<(ReadFile, SegmentSums)>,
        round: Option<&mut Round>,
        out: &mut Outgoing<'_>,
    ) -> Result<(ReadFile, ContentEnd), Stop> {
        // There is one.
        let signature = signatures.next().ok_or(Stop::Closed)?;
        let Some((open, sums)) = summed else {
            let open = self.open(&telling.listed)?;
            let sums = self.tell_in_one_reading(telling, &open, signature, round, out)?;
            return Ok((open, self.complete(&sums)));
        };
        let unmoved = signature.unmoved(&sums);
        let mut buffer = buffer(telling.block_len, sums.len());
        let mut search = self.search(telling, Gap::whole(telling.basis_len), signature, round);
        let mut out = |sifted: Sifted<'_>| tell(&open, sifted, out);
        let mut at = 0;
        for range in unmoved {
            self.search_range(&open, at..range.start, &mut buffer, &mut search, &mut out)?;
            search.unmoved(range.end - range.start, &mut out)?;
            at = range.end;
        }
        self.search_range(&open, at..sums.len(), &mut buffer, &mut search, &mut out)?;
        search.finish(&mut out)?;
        Ok((open, self.complete(&sums)))
    }

    /// The same of a file that was not summed ahead: one reading does both.
    fn tell_in_one_reading(
        &self,
        telling: &Telling,
        open: &ReadFile,
        signature: Signature,
        round: Option<&mut Round>,
        out: &mut Outgoing<'_>,
    ) -> Result<SegmentSums, Stop> {
        let segment_len = if telling.refine { telling.block_len } else { BlockLen::SEGMENT };
        let mut hasher = SegmentHasher::new(self.context.sums, segment_len);
        let mut search = self.search(telling, Gap::whole(telling.basis_len), signature, round);
        let mut out = |sifted: Sifted<'_>| tell(open, sifted, out);
        let mut pieces = open.pieces(0..u64::MAX);
        let mut buffer = buffer(telling.block_len, open.len().saturating_add(1));
        while let Some(data) = pieces.next(&mut buffer).map_err(Stop::Unreadable)? {
            self.go_on()?;
            hasher.push(data);
            search.push(data, &mut out)?;
        }
        search.finish(&mut out)?;
        Ok(hasher.finish())
    }

    /// Tells a later round: each gap, against its own basis.
    fn tell_gaps<'g>(
        &self,
        telling: &Telling,
        open: &ReadFile,
        gaps: impl Iterator<Item = (&'g Gap, Signature)>,
        mut round: Option<&mut Round>,
        out: &mut Outgoing<'_>,
    ) -> Result<(), Stop> {
        let mut buffer = buffer(telling.block_len, open.len());
        let mut out = |sifted: Sifted<'_>| tell(open, sifted, out);
        for (gap, signature) in gaps {
            let mut search = self.search(telling, *gap, signature, round.as_deref_mut());
            self.search_range(open, gap.at..gap.end(), &mut buffer, &mut search, &mut out)?;
            search.finish(&mut out)?;
        }
        Ok(())
    }

    fn search<'r>(
        &self,
        telling: &Telling,
        gap: Gap,
        signature: Signature,
        round: Option<&'r mut Round>,
    ) -> GapSearch<'r> {
        let in_place = self.context.options.in_place.then_some(Reach::AGREED);
        GapSearch::new(gap, signature, self.context.sums, in_place, telling.basis_len, round)
    }

    /// Searches a stretch of the file that was read before. What it no longer has counts as zeros, which the file sum will
    /// not agree with.
    fn search_range(
        &self,
        open: &ReadFile,
        range: Range<u64>,
        buffer: &mut [u8],
        search: &mut GapSearch<'_>,
        out: &mut impl FnMut(Sifted<'_>) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let mut pieces = open.pieces(range);
        while let Some(data) = pieces.next_padded(buffer) {
            self.go_on()?;
            search.push(data, out)?;
        }
        Ok(())
    }
}

fn tell(open: &ReadFile, sifted: Sifted<'_>, out: &mut Outgoing<'_>) -> Result<(), Stop> {
    match sifted {
        Sifted::Op(Op::Copy { offset, len }) => Ok(out.push(ContentOp::Copy { offset, len })?),
        Sifted::Op(Op::Literal(data)) => Ok(out.literal(Bytes::copy_from_slice(data))?),
        Sifted::Op(Op::Gap { len, offset, basis_len }) => {
            Ok(out.push(ContentOp::Gap { len, offset, basis_len })?)
        }
        Sifted::Passed { at, len } => {
            let mut pieces = open.pieces(at..at.saturating_add(len));
            let mut buffer = vec![0; usize::try_from(len).map_or(PIECE, |len| len.min(PIECE))];
            while let Some(data) = pieces.next_padded(&mut buffer) {
                out.literal(Bytes::copy_from_slice(data))?;
            }
            Ok(())
        }
    }
}

/// A buffer to read a file of `len` bytes with, or stretches of it.
fn buffer(block_len: BlockLen, len: u64) -> Vec<u8> {
    let longest = PIECE.max(block_len.get() as usize);
    vec![0; usize::try_from(len).map_or(longest, |len| len.clamp(1, longest))]
}
