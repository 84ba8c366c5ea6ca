//! The signature of a basis: a weak and a strong sum for each of its blocks.
//!
//! The sink makes one with [`Signer`](super::Signer), sends its [`SignatureHeader`] and then its blocks in
//! [`SignaturePart`]s of a size that suits the frames; the source puts it together again with a
//! [`SignatureBuilder`]. Sums lie in two flat arrays, so that a million blocks are two allocations. The signatures of
//! many gaps travel as if they were one, since both sides know where each ends.

use crate::delta::{BlockLen, Cover, DeltaError, Gap, MAX_BLOCKS, SegmentSums, StrongLen, Sum};
use std::ops::Range;

/// The shape of a signature: everything but the sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureHeader {
    /// How many bytes of the basis, from its beginning, are covered.
    pub basis_len: u64,
    /// The length of every block but the last, which is what remains.
    pub block_len: BlockLen,
    /// How many bytes of each strong sum follow.
    pub strong_len: StrongLen,
}

impl SignatureHeader {
    /// Checks what its fields' types do not.
    ///
    /// # Errors
    /// [`DeltaError::TooManyBlocks`] if there would be more than [`MAX_BLOCKS`].
    pub fn validate(&self) -> Result<(), DeltaError> {
        check_blocks([Cover::whole(self.basis_len)], self.block_len).map(|_| ())
    }

    /// Whether a new file of about `new_len` bytes may be expected to have most of the basis where it is. One of the same
    /// length most likely was changed here and there, and one that is longer appended to; but of one that is shorter
    /// something was removed, and what followed has moved.
    pub fn mostly_stays(&self, new_len: u64) -> bool {
        self.basis_len <= new_len
    }

    /// The number of blocks, counting a shorter last one.
    pub fn block_count(&self) -> u64 {
        self.basis_len.div_ceil(u64::from(self.block_len.get()))
    }
}

/// Counts the blocks of several signatures that travel together.
///
/// # Errors
/// [`DeltaError::TooManyBlocks`] if there would be more than [`MAX_BLOCKS`].
pub(super) fn check_blocks(
    covers: impl IntoIterator<Item = Cover>,
    block_len: BlockLen,
) -> Result<u64, DeltaError> {
    let (mut blocks, mut covered) = (0_u64, 0_u64);
    for cover in covers {
        blocks = blocks.saturating_add(cover.block_count(block_len));
        covered = covered.saturating_add(cover.len());
    }
    if blocks > u64::from(MAX_BLOCKS) {
        return Err(DeltaError::TooManyBlocks { basis_len: covered, block_len: block_len.get() });
    }
    Ok(blocks)
}

/// The sums of some consecutive blocks, as they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignaturePart<'a> {
    /// A weak sum a block.
    pub weak: &'a [u32],
    /// The shortened strong sums of the same blocks, one after the other.
    pub strong: &'a [u8],
}

/// A whole signature. However it was made, its arrays have exactly the length its cover implies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    cover: Cover,
    block_len: BlockLen,
    strong_len: StrongLen,
    weak: Vec<u32>,
    strong: Vec<u8>,
}

impl Signature {
    /// The shape of this signature.
    pub fn header(&self) -> SignatureHeader {
        SignatureHeader {
            basis_len: self.cover.len(),
            block_len: self.block_len,
            strong_len: self.strong_len,
        }
    }

    /// The sums in order, at most `max_blocks` blocks a part (and at least one).
    pub fn parts(&self, max_blocks: usize) -> impl Iterator<Item = SignaturePart<'_>> {
        let blocks = max_blocks.max(1);
        let bytes = blocks.saturating_mul(self.strong_len.bytes());
        let parts = self.weak.chunks(blocks).zip(self.strong.chunks(bytes));
        parts.map(|(weak, strong)| SignaturePart { weak, strong })
    }

    /// A signature of nothing, to be added to: the number of blocks is known last.
    pub fn empty(block_len: BlockLen, strong_len: StrongLen) -> Self {
        Self { cover: Cover::whole(0), block_len, strong_len, weak: Vec::new(), strong: Vec::new() }
    }

    /// Adds the sums of the next `len` bytes of the basis. Only the last block may be shorter than the others.
    pub(super) fn add_block(&mut self, len: usize, weak: u32, strong: &Sum) {
        self.cover = Cover::whole(self.cover.len() + len as u64);
        self.weak.push(weak);
        self.strong.extend(strong.0.iter().take(self.strong_len.bytes()));
    }

    /// Adds the sums of what follows. Unless this ends with a whole block, the sums are good only for being sent.
    pub fn append(&mut self, other: Signature) {
        self.cover = Cover::whole(self.cover.len() + other.cover.len());
        self.weak.extend(other.weak);
        self.strong.extend(other.strong);
    }

    /// The ranges of a whole new file, in order and apart from each other, that are at the very same place in this whole
    /// basis. They consist of blocks and are found by the sums of the new file's segments, which are as long, or else
    /// are none; where the strong sums are too short to tell alone, too.
    pub fn unmoved(&self, new: &SegmentSums) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        if new.segment_len() != self.block_len || !self.strong_len.decides() {
            return ranges;
        }
        for (block, sum) in (0_u32..).zip(new.sums()) {
            let range = new.range(block.into());
            if range != self.block_len.range(block.into(), self.cover.len()) || !self.matches(block, sum) {
                continue;
            }
            match ranges.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => ranges.push(range),
            }
        }
        ranges
    }

    /// How many blocks have the full block length. They are the first ones; at most one shorter block follows.
    pub(super) fn full_blocks(&self) -> u32 {
        let full = self.cover.len() / u64::from(self.block_len.get());
        u32::try_from(full).unwrap_or(u32::MAX)
    }

    /// The last block and its length, if it is shorter than the others.
    pub(super) fn short_block(&self) -> Option<(u32, usize)> {
        let len = self.cover.len() % u64::from(self.block_len.get());
        (len > 0).then_some((self.full_blocks(), len as usize))
    }

    /// Where in the basis a block begins.
    pub(super) fn offset(&self, block: u32) -> u64 {
        self.cover.offset(u64::from(block) * u64::from(self.block_len.get()))
    }

    /// The full-length block that begins at `offset` in the basis, if one does.
    pub(super) fn block_at(&self, offset: u64) -> Option<u32> {
        let (place, len) = (self.cover.place(offset)?, u64::from(self.block_len.get()));
        let block = u32::try_from(place / len).ok()?;
        (place.is_multiple_of(len) && block < self.full_blocks()).then_some(block)
    }

    /// The weak sum of a block; `None` past the last.
    pub(super) fn weak(&self, block: u32) -> Option<u32> {
        self.weak.get(block as usize).copied()
    }

    /// The shortened strong sum of a block; `None` past the last.
    pub(super) fn strong(&self, block: u32) -> Option<&[u8]> {
        self.strong.get(self.strong_range(block))
    }

    /// How many bytes of each strong sum there are.
    pub(super) fn strong_len(&self) -> StrongLen {
        self.strong_len
    }

    /// Whether a block has this strong sum, as far as the signature tells.
    pub(super) fn matches(&self, block: u32, sum: &Sum) -> bool {
        self.strong(block).is_some_and(|strong| sum.0.starts_with(strong))
    }

    fn strong_range(&self, block: u32) -> Range<usize> {
        let len = self.strong_len.bytes();
        let start = block as usize * len;
        start..start + len
    }
}

/// Puts signatures together that travel as one, from their parts, in order.
///
/// Allocates for what has arrived, never for what is announced.
#[derive(Debug)]
pub struct SignatureBuilder {
    covers: Vec<Cover>,
    block_len: BlockLen,
    strong_len: StrongLen,
    blocks: u64,
    weak: Vec<u32>,
    strong: Vec<u8>,
}

impl SignatureBuilder {
    /// Starts the signature of a basis.
    ///
    /// # Errors
    /// Those of [`SignatureHeader::validate`].
    pub fn new(header: SignatureHeader) -> Result<Self, DeltaError> {
        let SignatureHeader { basis_len, block_len, strong_len } = header;
        Self::with_covers(vec![Cover::whole(basis_len)], block_len, strong_len)
    }

    /// Starts the signatures of what `gaps` name, one after the other.
    ///
    /// # Errors
    /// [`DeltaError::TooManyBlocks`] if these have more than [`MAX_BLOCKS`] in all.
    pub fn for_gaps(gaps: &[Gap], block_len: BlockLen, strong_len: StrongLen) -> Result<Self, DeltaError> {
        let covers = gaps.iter().map(|gap| Cover::of_gap(gap, block_len)).collect();
        Self::with_covers(covers, block_len, strong_len)
    }

    fn with_covers(
        covers: Vec<Cover>,
        block_len: BlockLen,
        strong_len: StrongLen,
    ) -> Result<Self, DeltaError> {
        let blocks = check_blocks(covers.iter().copied(), block_len)?;
        Ok(Self { covers, block_len, strong_len, blocks, weak: Vec::new(), strong: Vec::new() })
    }

    /// The number of blocks still to come.
    pub fn missing(&self) -> u64 {
        self.blocks.saturating_sub(self.weak.len() as u64)
    }

    /// Adds the next blocks. After an error the builder is as it was before.
    ///
    /// # Errors
    /// [`DeltaError::UnevenPart`] if weak and strong sums do not pair up, [`DeltaError::BlockCount`] for more blocks
    /// than announced.
    pub fn push(&mut self, part: SignaturePart<'_>) -> Result<(), DeltaError> {
        let strong_len = self.strong_len.bytes();
        if part.weak.len().checked_mul(strong_len) != Some(part.strong.len()) {
            return Err(DeltaError::UnevenPart {
                weak: part.weak.len(),
                strong_bytes: part.strong.len(),
                strong_len,
            });
        }
        if part.weak.len() as u64 > self.missing() {
            return Err(self.wrong_count(part.weak.len()));
        }
        self.weak.extend_from_slice(part.weak);
        self.strong.extend_from_slice(part.strong);
        Ok(())
    }

    /// Hands out the signatures.
    ///
    /// # Errors
    /// [`DeltaError::BlockCount`] if blocks are missing.
    pub fn finish(self) -> Result<Signatures, DeltaError> {
        if self.missing() > 0 {
            return Err(self.wrong_count(0));
        }
        Ok(Signatures { taken: 0, covers: self.covers.clone().into_iter(), sums: self })
    }

    fn wrong_count(&self, more: usize) -> DeltaError {
        DeltaError::BlockCount {
            arrived: (self.weak.len() as u64).saturating_add(more as u64),
            announced: self.blocks,
        }
    }
}

/// Signatures that travelled as one: an iterator.
#[derive(Debug)]
pub struct Signatures {
    covers: std::vec::IntoIter<Cover>,
    sums: SignatureBuilder,
    /// Blocks handed out.
    taken: usize,
}

impl Signatures {
    /// How many blocks they have in all, those handed out included.
    pub fn block_count(&self) -> u64 {
        self.sums.blocks
    }
}

impl Iterator for Signatures {
    type Item = Signature;

    fn next(&mut self) -> Option<Signature> {
        let cover = self.covers.next()?;
        let SignatureBuilder { block_len, strong_len, weak, strong, .. } = &mut self.sums;
        let (block_len, strong_len) = (*block_len, *strong_len);
        let end = self.taken + cover.block_count(block_len) as usize;
        let (weak, strong) = if self.taken == 0 && end == weak.len() {
            // The only one need not be copied.
            (std::mem::take(weak), std::mem::take(strong))
        } else {
            let bytes = self.taken * strong_len.bytes()..end * strong_len.bytes();
            (weak.get(self.taken..end)?.to_vec(), strong.get(bytes)?.to_vec())
        };
        self.taken = end;
        Some(Signature { cover, block_len, strong_len, weak, strong })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(basis_len: u64, block_len: u64) -> SignatureHeader {
        SignatureHeader {
            basis_len,
            block_len: BlockLen::new(block_len).unwrap(),
            strong_len: StrongLen::new(5).unwrap(),
        }
    }

    #[test]
    fn headers_are_bounded() {
        assert!(header(0, 1).validate().is_ok());
        assert!(header(u64::from(MAX_BLOCKS), 1).validate().is_ok());
        assert!(header(u64::from(MAX_BLOCKS) + 1, 1).validate().is_err());
        assert!(header(u64::MAX, 16 << 20).validate().is_err());
        assert!(SignatureBuilder::new(header(u64::MAX, 1)).is_err());
    }

    #[test]
    fn builder_wants_exactly_what_was_announced() {
        let part = SignaturePart { weak: &[1, 2], strong: &[0; 10] };
        let mut builder = SignatureBuilder::new(header(25, 10)).unwrap();
        builder.push(part).unwrap();
        assert_eq!(builder.missing(), 1);
        assert!(matches!(builder.push(part), Err(DeltaError::BlockCount { arrived: 4, announced: 3 })));
        assert!(matches!(
            builder.push(SignaturePart { weak: &[1], strong: &[0; 6] }),
            Err(DeltaError::UnevenPart { weak: 1, strong_bytes: 6, strong_len: 5 })
        ));
        assert_eq!(builder.missing(), 1);
        builder.push(SignaturePart { weak: &[3], strong: &[9; 5] }).unwrap();
        let signature = builder.finish().unwrap().next().unwrap();
        assert_eq!(signature.short_block(), Some((2, 5)));
        assert_eq!(signature.strong(2), Some(&[9_u8; 5][..]));
        assert_eq!(signature.strong(3), None);
        assert_eq!(signature.weak(3), None);
    }

    #[test]
    fn signatures_of_gaps_travel_as_one() {
        let (block_len, strong_len) = (BlockLen::new(10).unwrap(), StrongLen::new(2).unwrap());
        let gap = |len, offset, basis_len| Gap { at: 0, len, offset, basis_len };
        let gaps = [gap(10, 100, 25), gap(7, 200, 1000)];
        let mut builder = SignatureBuilder::for_gaps(&gaps, block_len, strong_len).unwrap();
        assert_eq!(builder.missing(), 4);
        builder.push(SignaturePart { weak: &[0, 1, 2, 3], strong: &[0, 0, 1, 1, 2, 2, 3, 3] }).unwrap();
        let signatures: Vec<Signature> = builder.finish().unwrap().collect();
        let [first, second] = &signatures[..] else { panic!("{signatures:?}") };
        assert_eq!((first.full_blocks(), first.short_block()), (2, None));
        assert_eq!((first.offset(1), first.block_at(115), first.block_at(110)), (115, Some(1), None));
        assert_eq!((second.full_blocks(), second.offset(0), second.offset(1)), (2, 200, 1190));
        assert_eq!((second.block_at(1190), second.block_at(210)), (Some(1), None));
        assert_eq!((second.weak(0), second.strong(1)), (Some(2), Some(&[3_u8, 3][..])));
        let many = vec![gap(u64::MAX, 0, u64::MAX); 2];
        assert!(SignatureBuilder::for_gaps(&many, block_len, strong_len).is_err());
    }

    #[test]
    fn builder_refuses_to_finish_early() {
        let builder = SignatureBuilder::new(header(25, 10)).unwrap();
        assert!(matches!(builder.finish(), Err(DeltaError::BlockCount { arrived: 0, announced: 3 })));
    }
}
