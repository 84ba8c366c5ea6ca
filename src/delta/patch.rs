//! Carries operations out: basis and literals in, the new file out, hashed as it is written.
//!
//! The sink owns the files; it lends them as a [`Basis`] that can be read anywhere and an [`Output`] that can be written
//! anywhere. Operations come from the peer, so nothing about them is trusted.
//!
//! The operations of the first round make the file from its beginning and may leave gaps. Those of each further round
//! fill the gaps of the one before, in order and each exactly, but for the gaps they leave themselves. What the first
//! round writes is hashed as it is written; the segments in which it left gaps are to be read once more at the end.
//!
//! An output that begins as the basis ([`Held`]) has what stays where it was already. Of that nothing is written, and
//! whole segments of it whose sums are known are not read either.

use crate::delta::gap::{COVERED_PER_BASIS, GAPS_PER_BASIS};
use crate::delta::overwritten::Overwritten;
use crate::delta::signature::check_blocks;
use crate::delta::{
    BlockLen, Cover, DeltaError, Gap, MAX_GAPS, Op, Reach, SegmentHasher, SegmentSums, SumChoice,
};
use std::io;
use std::ops::Range;

/// The most bytes of a copy held in memory at a time.
const COPY_BUFFER: u64 = 256 << 10;

/// The old file.
pub trait Basis {
    /// Fills `buf` from the bytes at `offset`.
    ///
    /// # Errors
    /// Any failure of reading, among them a basis that became too short.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

impl Basis for [u8] {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buf.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(bytes);
        Ok(())
    }
}

impl<B: Basis + ?Sized> Basis for &B {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buf)
    }
}

/// The new file.
pub trait Output {
    /// Writes these bytes at `position`.
    ///
    /// # Errors
    /// Any failure of writing.
    fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()>;
}

impl Output for Vec<u8> {
    fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        let start = usize::try_from(position).map_err(io::Error::other)?;
        let end = start.checked_add(data.len()).ok_or(io::ErrorKind::OutOfMemory)?;
        if self.len() < end {
            self.resize(end, 0);
        }
        if let Some(place) = self.get_mut(start..end) {
            place.copy_from_slice(data);
        }
        Ok(())
    }
}

/// What an output holds before anything is written to it: the beginning of the basis, or nothing.
#[derive(Debug, Default)]
pub struct Held {
    /// How many bytes.
    pub len: u64,
    /// The sums of its segments, if they are known.
    pub sums: Option<SegmentSums>,
    /// Set if it is the basis itself.
    pub in_place: Option<Reach>,
}

/// Makes the new file from operations.
#[derive(Debug)]
pub struct Patch<B, O> {
    choice: SumChoice,
    basis: B,
    basis_len: u64,
    output: O,
    held: Held,
    overwritten: Option<Overwritten>,
    hasher: SegmentHasher,
    /// Where the next byte goes.
    position: u64,
    /// What this round fills.
    filling: Filling,
    /// How long the blocks are that were looked for in this round, if there may be another.
    searched: Option<BlockLen>,
    /// What it has left open.
    gaps: Vec<Gap>,
    /// The bytes of these.
    open: u64,
    /// Ranges of segments that the hasher has not seen whole.
    unsummed: Vec<Range<u64>>,
    buffer: Vec<u8>,
}

/// What the operations of a round fill.
#[derive(Debug)]
enum Filling {
    /// The file, from its beginning.
    File,
    /// The gap that ends at `end`, and then these, of a file of `len` bytes.
    Gaps { end: u64, rest: std::vec::IntoIter<Gap>, len: u64 },
}

/// A file whose every byte was told.
#[derive(Debug)]
pub struct Patched<O> {
    /// Where it was written.
    pub output: O,
    /// The sums of its segments, as far as they are known.
    pub sums: SegmentSums,
    /// The numbers of those that are not, in order, in ranges.
    pub unsummed: Vec<Range<u64>>,
}

impl<B: Basis, O: Output> Patch<B, O> {
    /// Starts a file. Copies may take from the first `basis_len` bytes of the basis, those its signature covered; where
    /// there is no basis, that is none of an empty slice.
    pub fn new(choice: SumChoice, basis: B, basis_len: u64, output: O) -> Self {
        Self {
            choice,
            basis,
            basis_len,
            output,
            held: Held::default(),
            overwritten: None,
            hasher: SegmentHasher::new(choice, BlockLen::SEGMENT),
            position: 0,
            filling: Filling::File,
            searched: None,
            gaps: Vec::new(),
            open: 0,
            unsummed: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Says that the output is no empty file.
    #[must_use]
    pub fn over(mut self, held: Held) -> Self {
        self.overwritten = held.in_place.map(Overwritten::new);
        self.held = held;
        self
    }

    /// Says that gaps may be left, to be refined: the basis was signed in blocks of this length, which are the
    /// segments of the file.
    #[must_use]
    pub fn refined(mut self, block_len: BlockLen) -> Self {
        self.searched = Some(block_len);
        self.hasher = SegmentHasher::new(self.choice, block_len);
        self
    }

    /// Carries out one operation.
    ///
    /// A copy is made from front to back, so basis and output may be one file if no copy takes from further before where it
    /// goes than [`Held::in_place`] says.
    ///
    /// # Errors
    /// What basis or output said; for operations no honest peer sends, before anything of them is written:
    /// [`DeltaError::OutsideBasis`], [`DeltaError::OutputTooLong`], [`DeltaError::OutsideGap`] and
    /// [`DeltaError::TooManyGaps`].
    pub fn apply(&mut self, op: Op<'_>) -> Result<(), DeltaError> {
        match op {
            Op::Copy { offset, len } => self.copy(offset, len),
            Op::Literal(data) => {
                self.reserve(data.len() as u64)?;
                self.write(data)?;
                self.advance(data);
                Ok(())
            }
            Op::Gap { len, offset, basis_len } => self.leave(len, offset, basis_len),
        }
    }

    /// Ends the round: from now on the gaps it left are filled, with what is found in blocks of `block_len`. Returns what
    /// is to be signed for that.
    ///
    /// # Errors
    /// [`DeltaError::RoundIncomplete`] if something of the last round was not told, or nothing was left to this one (in a
    /// file that is not [refined](Self::refined) nothing ever is);
    /// [`DeltaError::BlockLen`] if blocks are not at most half as long as the last ones, so that rounds come to an end;
    /// [`DeltaError::TooManyBlocks`] if there are more than a signature may have; [`DeltaError::TooManyGaps`] if more
    /// of the basis were to be read for them than gaps of any use need.
    pub fn next_round(&mut self, block_len: BlockLen) -> Result<Vec<Cover>, DeltaError> {
        if !self.is_filled() || self.gaps.is_empty() {
            return Err(DeltaError::RoundIncomplete);
        }
        if self.searched.is_some_and(|last| block_len.get() > last.get() / 2) {
            return Err(DeltaError::BlockLen(block_len.get().into()));
        }
        let covers: Vec<Cover> = self.gaps.iter().map(|gap| Cover::of_gap(gap, block_len)).collect();
        check_blocks(covers.iter().copied(), block_len)?;
        let covered = covers.iter().map(Cover::len).fold(0, u64::saturating_add);
        if covered > self.basis_len.saturating_mul(COVERED_PER_BASIS) {
            return Err(DeltaError::TooManyGaps);
        }
        let rest = std::mem::take(&mut self.gaps).into_iter();
        let len = match &self.filling {
            Filling::File => self.position,
            Filling::Gaps { len, .. } => *len,
        };
        self.filling = Filling::Gaps { end: self.position, rest, len };
        if let Some(overwritten) = &mut self.overwritten {
            overwritten.clear();
        }
        self.searched = Some(block_len);
        self.open = 0;
        Ok(covers)
    }

    /// The basis.
    pub fn basis(&self) -> &B {
        &self.basis
    }

    /// How many gaps are open: left by this round, or by the last and not begun in this.
    pub fn open_gaps(&self) -> usize {
        let rest = match &self.filling {
            Filling::File => 0,
            Filling::Gaps { rest, .. } => rest.len(),
        };
        self.gaps.len() + rest
    }

    /// How many bytes from the beginning of the new file are there.
    pub fn prefix(&self) -> u64 {
        let begun = match &self.filling {
            // Between two gaps nothing is missing.
            Filling::Gaps { end, rest, len, .. } if self.position == *end => {
                rest.as_slice().first().map_or(*len, |gap| gap.at)
            }
            _ => self.position,
        };
        self.gaps.first().map_or(begun, |gap| gap.at.min(begun))
    }

    /// Ends the file here.
    ///
    /// # Errors
    /// [`DeltaError::RoundIncomplete`] if there are gaps.
    pub fn finish(self) -> Result<Patched<O>, DeltaError> {
        if !self.is_filled() || !self.gaps.is_empty() {
            return Err(DeltaError::RoundIncomplete);
        }
        Ok(Patched { output: self.output, sums: self.hasher.finish(), unsummed: self.unsummed })
    }

    /// Gives up the file; returns the output as it is.
    pub fn into_output(self) -> O {
        self.output
    }

    /// Whether the operations of this round have filled what they had to.
    fn is_filled(&self) -> bool {
        match &self.filling {
            Filling::File => true,
            Filling::Gaps { end, rest, .. } => self.position == *end && rest.len() == 0,
        }
    }

    /// Leaves a gap.
    fn leave(&mut self, len: u64, offset: u64, basis_len: u64) -> Result<(), DeltaError> {
        self.within_basis(offset, basis_len)?;
        let open = self.open.saturating_add(len);
        let few = self.gaps.len() < MAX_GAPS && open <= self.basis_len.saturating_mul(GAPS_PER_BASIS);
        if self.searched.is_none() || !few || len == 0 || basis_len == 0 {
            return Err(DeltaError::TooManyGaps);
        }
        self.reserve(len)?;
        self.open = open;
        self.gaps.push(Gap { at: self.position, len, offset, basis_len });
        let end = self.position.saturating_add(len);
        if matches!(self.filling, Filling::File) {
            self.hasher.skip(len);
            let segment_len = u64::from(self.hasher.segment_len().get());
            let segments = self.position / segment_len..end.div_ceil(segment_len);
            match self.unsummed.last_mut() {
                Some(last) if last.end >= segments.start => last.end = segments.end,
                _ => self.unsummed.push(segments),
            }
        }
        self.position = end;
        Ok(())
    }

    /// Checks that a range is one of the basis; returns its end.
    fn within_basis(&self, offset: u64, len: u64) -> Result<u64, DeltaError> {
        let outside = || DeltaError::OutsideBasis { offset, len, basis_len: self.basis_len };
        offset.checked_add(len).filter(|end| *end <= self.basis_len).ok_or_else(outside)
    }

    fn copy(&mut self, offset: u64, len: u64) -> Result<(), DeltaError> {
        let end = self.within_basis(offset, len)?;
        self.reserve(len)?;
        let stays = offset == self.position;
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut from = offset;
        while from < end {
            let kept = if stays { self.keep(end - from) } else { 0 };
            if kept == 0 {
                // No further than to the end of a segment, as the next may be one to keep.
                let most = if stays { COPY_BUFFER.min(self.hasher.room()) } else { COPY_BUFFER };
                buffer.resize((end - from).min(most) as usize, 0);
                self.copy_piece(from, &mut buffer, stays)?;
                from += buffer.len() as u64;
            }
            from += kept;
        }
        self.buffer = buffer;
        Ok(())
    }

    /// Goes on over bytes, `len` at most, that the output holds and nobody needs to see. Returns how many these are.
    fn keep(&mut self, len: u64) -> u64 {
        let len = len.min(self.held.len.saturating_sub(self.position));
        let kept = match &self.filling {
            // The segments that gaps are in are summed at the end.
            Filling::Gaps { .. } => len,
            Filling::File => {
                let segment_len = u64::from(self.hasher.segment_len().get());
                let begins = len >= segment_len && self.hasher.is_between();
                match self
                    .held
                    .sums
                    .as_ref()
                    .filter(|_| begins)
                    .and_then(|sums| sums.at(self.position, segment_len))
                {
                    Some(sum) => {
                        self.hasher.push_segment(sum);
                        segment_len
                    }
                    None => 0,
                }
            }
        };
        self.position += kept;
        kept
    }

    fn copy_piece(&mut self, from: u64, buffer: &mut [u8], stays: bool) -> Result<(), DeltaError> {
        let len = buffer.len();
        let read = match &self.overwritten {
            Some(overwritten) => overwritten.read_at(&self.basis, from, buffer),
            None => self.basis.read_at(from, buffer),
        };
        read.map_err(|source| DeltaError::ReadBasis { offset: from, len, source })?;
        if !stays || self.position + len as u64 > self.held.len {
            self.write(buffer)?;
        }
        self.advance(buffer);
        Ok(())
    }

    fn write(&mut self, data: &[u8]) -> Result<(), DeltaError> {
        let (position, len) = (self.position, data.len());
        if let Some(overwritten) = &mut self.overwritten {
            let end = position.saturating_add(len as u64).min(self.basis_len);
            overwritten.save(&self.basis, position.min(end)..end);
        }
        let written = self.output.write_at(data, position);
        written.map_err(|source| DeltaError::WriteOutput { position, len, source })
    }

    /// Makes sure that the next operation may be `len` bytes long: refuses what would end beyond the longest file a
    /// system can hold, or beyond the gap it is in. Goes on to the next gap if the last is full.
    fn reserve(&mut self, len: u64) -> Result<(), DeltaError> {
        let end = match &mut self.filling {
            Filling::File => i64::MAX as u64,
            Filling::Gaps { end, rest, .. } => {
                if self.position == *end
                    && len > 0
                    && let Some(gap) = rest.next()
                {
                    self.position = gap.at;
                    *end = gap.end();
                }
                *end
            }
        };
        let beyond = match &self.filling {
            Filling::File => DeltaError::OutputTooLong,
            Filling::Gaps { .. } => DeltaError::OutsideGap { position: self.position, len },
        };
        self.position.checked_add(len).filter(|place| *place <= end).map(|_| ()).ok_or(beyond)
    }

    fn advance(&mut self, written: &[u8]) {
        if matches!(self.filling, Filling::File) {
            self.hasher.push(written);
        }
        self.position += written.len() as u64;
    }
}

#[cfg(test)]
mod tests;
