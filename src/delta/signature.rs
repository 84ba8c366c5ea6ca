//! The signature of a basis: a weak and a strong sum for each of its blocks.
//!
//! The sink makes one with [`Signer`](super::Signer), sends its [`SignatureHeader`] and then its blocks in
//! [`SignaturePart`]s of a size that suits the frames; the source puts it together again with a
//! [`SignatureBuilder`]. Sums lie in two flat arrays, so that a million blocks are two allocations.

use crate::delta::{BlockLen, DeltaError, MAX_BLOCKS, StrongLen, Sum};
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
        if self.block_count() > u64::from(MAX_BLOCKS) {
            return Err(DeltaError::TooManyBlocks {
                basis_len: self.basis_len,
                block_len: self.block_len.get(),
            });
        }
        Ok(())
    }

    /// The number of blocks, counting a shorter last one.
    pub fn block_count(&self) -> u64 {
        self.basis_len.div_ceil(u64::from(self.block_len.get()))
    }
}

/// The sums of some consecutive blocks, as they travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignaturePart<'a> {
    /// A weak sum a block.
    pub weak: &'a [u32],
    /// The shortened strong sums of the same blocks, one after the other.
    pub strong: &'a [u8],
}

/// A whole signature. However it was made, its arrays have exactly the length its header implies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    header: SignatureHeader,
    weak: Vec<u32>,
    strong: Vec<u8>,
}

impl Signature {
    /// The shape of this signature.
    pub fn header(&self) -> SignatureHeader {
        self.header
    }

    /// The sums in order, at most `max_blocks` blocks a part (and at least one).
    pub fn parts(&self, max_blocks: usize) -> impl Iterator<Item = SignaturePart<'_>> {
        let blocks = max_blocks.max(1);
        let bytes = blocks.saturating_mul(self.header.strong_len.bytes());
        let parts = self.weak.chunks(blocks).zip(self.strong.chunks(bytes));
        parts.map(|(weak, strong)| SignaturePart { weak, strong })
    }

    /// A signature of nothing, for [`Signer`](super::Signer) to add to: it learns the number of blocks last.
    pub(super) fn empty(block_len: BlockLen, strong_len: StrongLen) -> Self {
        let header = SignatureHeader { basis_len: 0, block_len, strong_len };
        Self { header, weak: Vec::new(), strong: Vec::new() }
    }

    /// Adds the sums of the next `len` bytes of the basis. Only the last block may be shorter than the others.
    pub(super) fn add_block(&mut self, len: usize, weak: u32, strong: &Sum) {
        self.header.basis_len += len as u64;
        self.weak.push(weak);
        self.strong.extend(strong.0.iter().take(self.header.strong_len.bytes()));
    }

    /// How many blocks have the full block length. They are the first ones; at most one shorter block follows.
    pub(super) fn full_blocks(&self) -> u32 {
        let full = self.header.basis_len / u64::from(self.header.block_len.get());
        u32::try_from(full).unwrap_or(u32::MAX)
    }

    /// The last block and its length, if it is shorter than the others.
    pub(super) fn short_block(&self) -> Option<(u32, usize)> {
        let len = self.header.basis_len % u64::from(self.header.block_len.get());
        (len > 0).then_some((self.full_blocks(), len as usize))
    }

    /// Where in the basis a block begins.
    pub(super) fn offset(&self, block: u32) -> u64 {
        u64::from(block) * u64::from(self.header.block_len.get())
    }

    /// The weak sum of a block; `None` past the last.
    pub(super) fn weak(&self, block: u32) -> Option<u32> {
        self.weak.get(block as usize).copied()
    }

    /// The shortened strong sum of a block; `None` past the last.
    pub(super) fn strong(&self, block: u32) -> Option<&[u8]> {
        self.strong.get(self.strong_range(block))
    }

    /// Whether a block has this strong sum, as far as the signature tells.
    pub(super) fn matches(&self, block: u32, sum: &Sum) -> bool {
        self.strong(block).is_some_and(|strong| sum.0.starts_with(strong))
    }

    fn strong_range(&self, block: u32) -> Range<usize> {
        let len = self.header.strong_len.bytes();
        let start = block as usize * len;
        start..start + len
    }
}

/// Puts a signature together from its header and its parts, in order.
///
/// Allocates for what has arrived, never for what the header announces.
#[derive(Debug)]
pub struct SignatureBuilder {
    signature: Signature,
}

impl SignatureBuilder {
    /// Starts a signature.
    ///
    /// # Errors
    /// Those of [`SignatureHeader::validate`].
    pub fn new(header: SignatureHeader) -> Result<Self, DeltaError> {
        header.validate()?;
        Ok(Self { signature: Signature { header, weak: Vec::new(), strong: Vec::new() } })
    }

    /// The number of blocks still to come.
    pub fn missing(&self) -> u64 {
        self.signature.header.block_count().saturating_sub(self.signature.weak.len() as u64)
    }

    /// Adds the next blocks. After an error the builder is as it was before.
    ///
    /// # Errors
    /// [`DeltaError::UnevenPart`] if weak and strong sums do not pair up, [`DeltaError::BlockCount`] for more blocks
    /// than announced.
    pub fn push(&mut self, part: SignaturePart<'_>) -> Result<(), DeltaError> {
        let strong_len = self.signature.header.strong_len.bytes();
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
        self.signature.weak.extend_from_slice(part.weak);
        self.signature.strong.extend_from_slice(part.strong);
        Ok(())
    }

    /// Hands out the signature.
    ///
    /// # Errors
    /// [`DeltaError::BlockCount`] if blocks are missing.
    pub fn finish(self) -> Result<Signature, DeltaError> {
        if self.missing() > 0 {
            return Err(self.wrong_count(0));
        }
        Ok(self.signature)
    }

    fn wrong_count(&self, more: usize) -> DeltaError {
        DeltaError::BlockCount {
            arrived: (self.signature.weak.len() as u64).saturating_add(more as u64),
            announced: self.signature.header.block_count(),
        }
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
        let signature = builder.finish().unwrap();
        assert_eq!(signature.short_block(), Some((2, 5)));
        assert_eq!(signature.strong(2), Some(&[9_u8; 5][..]));
        assert_eq!(signature.strong(3), None);
        assert_eq!(signature.weak(3), None);
    }

    #[test]
    fn builder_refuses_to_finish_early() {
        let builder = SignatureBuilder::new(header(25, 10)).unwrap();
        assert!(matches!(builder.finish(), Err(DeltaError::BlockCount { arrived: 0, announced: 3 })));
    }
}
