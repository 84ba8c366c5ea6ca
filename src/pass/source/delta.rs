//! Tells a file as a difference to the sink's basis, in rounds: see [`crate::delta`].
//!
//! The first round reads the file from front to back and sums it; that sum is what the file is verified by in the end.
//! The later ones read only its gaps again. If the file has changed meanwhile, what they tell does not fit the sum, and
//! the sink asks for the segments that differ, as it does in all such cases.

use crate::delta::{Gap, GapSearch, MAX_GAPS, Op, Round, SegmentHasher, Sifted, Signatures};
use crate::fs::ReadFile;
use crate::pass::source::Source;
use crate::pass::source::content::{Stop, read_next};
use crate::pass::source::outgoing::Outgoing;
use crate::pass::source::rounds::Delta;
use crate::wire::{ContentEnd, ContentOp, FileId};
use bytes::Bytes;

/// Bytes read at once: what is read is summed, searched and sent while it is in the cache. Longer blocks are read whole,
/// since a search copies what does not end where a window ends.
const PIECE: usize = 256 << 10;

impl Source<'_> {
    /// Tells one round. If it leaves gaps, the file waits for their sums.
    pub(super) fn round(
        &self,
        file: FileId,
        mut delta: Box<Delta>,
        signatures: Signatures,
        out: &mut Outgoing<'_>,
    ) -> Result<ContentEnd, Stop> {
        let (open, mut end) = match delta.begun.take() {
            Some((open, end)) => (open, Some(end)),
            None => (self.open(&delta.listed)?, None),
        };
        let gaps = std::mem::take(&mut delta.gaps);
        let mut round = self.start_round(&mut delta, end.is_none(), signatures.block_count(), gaps.len());
        for (gap, signature) in gaps.iter().zip(signatures) {
            let (sums, in_place) = (self.context.sums, self.context.options.in_place);
            let mut search = GapSearch::new(*gap, signature, sums, in_place, delta.basis_len, round.as_mut());
            let mut out = |sifted: Sifted<'_>| tell(&open, sifted, out);
            let longest = PIECE.max(delta.block_len.get() as usize);
            let mut buffer = vec![0; piece(gap.len.min(open.len().saturating_add(1)), longest)];
            match end {
                None => {
                    let mut hasher = SegmentHasher::new(sums);
                    read_all(&open, &mut buffer, |data| {
                        self.go_on()?;
                        hasher.push(data);
                        search.push(data, &mut out)
                    })?;
                    end = Some(self.complete(&hasher.finish()));
                }
                Some(_) => read_gap(&open, gap, &mut buffer, |data| {
                    self.go_on()?;
                    search.push(data, &mut out)
                })?,
            }
            search.finish(&mut out)?;
        }
        // There was one gap at least: the whole file.
        let end = end.ok_or(Stop::Closed)?;
        let left = round.filter(|round| !round.gaps().is_empty()).map(Round::finish);
        let Some((gaps, block_len, strong_len)) = left else { return Ok(end) };
        if let Some(share) = &mut delta.share {
            share.keep(gaps.len());
        }
        *delta = Delta { gaps, block_len, strong_len, begun: Some((open, end)), ..*delta };
        // Before the end is sent, which is answered.
        self.rounds.leave(file, delta);
        Ok(ContentEnd::Round { block_len, strong_len })
    }

    /// Prepares for the gaps of a round, if it may leave any: about one between any two blocks of those searched for.
    fn start_round(&self, delta: &mut Delta, first: bool, blocks: u64, gaps: usize) -> Option<Round> {
        if !delta.refine {
            return None;
        }
        if first {
            delta.share = self.rounds.share();
        }
        let most = usize::try_from(blocks).unwrap_or(MAX_GAPS).saturating_add(gaps).min(MAX_GAPS);
        let most = delta.share.as_mut()?.more(most);
        let in_place = self.context.options.in_place;
        Round::new(delta.block_len, first, in_place, delta.basis_len, most)
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
            let gap = Gap { at, len, offset: 0, basis_len: 0 };
            let mut buffer = vec![0; piece(len, PIECE)];
            read_gap(open, &gap, &mut buffer, |data| Ok(out.literal(Bytes::copy_from_slice(data))?))
        }
    }
}

/// A good length for a buffer to read so many bytes with.
fn piece(len: u64, longest: usize) -> usize {
    usize::try_from(len).map_or(longest, |len| len.clamp(1, longest))
}

/// Reads a file from front to back, however long it has become.
fn read_all(
    open: &ReadFile,
    buffer: &mut [u8],
    mut each: impl FnMut(&[u8]) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut offset = 0;
    loop {
        let (read, last) = read_next(open, buffer, offset).map_err(Stop::Unreadable)?;
        each(buffer.get(..read).unwrap_or_default())?;
        if last {
            return Ok(());
        }
        offset += read as u64;
    }
}

/// Reads a gap once more. What the file no longer has counts as zeros, which the file sum will not agree with.
fn read_gap(
    open: &ReadFile,
    gap: &Gap,
    buffer: &mut [u8],
    mut each: impl FnMut(&[u8]) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut at = gap.at;
    while at < gap.end() {
        let len = usize::try_from(gap.end() - at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let piece = buffer.get_mut(..len).unwrap_or_default();
        let read = open.read_full_at(piece, at).map_err(Stop::Unreadable)?;
        piece.get_mut(read..).unwrap_or_default().fill(0);
        each(piece)?;
        at += len as u64;
    }
    Ok(())
}
