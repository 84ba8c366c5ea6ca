//! Makes the signature of a basis as its bytes are read.

use crate::delta::rolling::RollingSum;
use crate::delta::{BlockLen, MAX_BLOCKS, Signature, StrongLen, Sum, SumChoice};

/// Signs a basis that is pushed from its beginning, in pieces of any size.
///
/// The signature covers what was pushed, whatever a `stat` promised: a basis that grows or shrinks while it is read
/// yields a true signature of what was read. Bytes beyond [`MAX_BLOCKS`] blocks are not covered.
#[derive(Debug)]
pub struct Signer {
    choice: SumChoice,
    signature: Signature,
    /// The whole strong sums of the blocks, if these are wanted.
    sums: Option<Vec<Sum>>,
    /// The beginning of a block whose end has not been pushed; always shorter than a block.
    begun: Vec<u8>,
    /// How many bytes may still be covered.
    room: u64,
}

impl Signer {
    /// Starts a signature.
    pub fn new(choice: SumChoice, block_len: BlockLen, strong_len: StrongLen) -> Self {
        Self {
            choice,
            signature: Signature::empty(block_len, strong_len),
            sums: None,
            begun: Vec::new(),
            room: u64::from(block_len.get()) * u64::from(MAX_BLOCKS),
        }
    }

    /// Keeps the blocks' strong sums, too: those of the segments of a file whose segments are as long.
    #[must_use]
    pub fn keeping_sums(mut self) -> Self {
        self.sums = Some(Vec::new());
        self
    }

    /// Adds the next bytes of the basis.
    pub fn push(&mut self, data: &[u8]) {
        let covered = usize::try_from(self.room).map_or(data.len(), |room| room.min(data.len()));
        self.room -= covered as u64;
        let (data, _) = data.split_at(covered);

        let block_len = self.signature.header().block_len.bytes();
        let data = self.complete_begun(data, block_len);
        let blocks = data.chunks_exact(block_len);
        self.begun.extend_from_slice(blocks.remainder());
        for block in blocks {
            self.add_block(block);
        }
    }

    /// Ends the basis here and hands out its signature.
    pub fn finish(self) -> Signature {
        self.finish_with_sums().0
    }

    /// Ends the basis here and hands out its signature, and the sums that were kept.
    pub fn finish_with_sums(mut self) -> (Signature, Vec<Sum>) {
        let last = std::mem::take(&mut self.begun);
        if !last.is_empty() {
            self.add_block(&last);
        }
        (self.signature, self.sums.unwrap_or_default())
    }

    /// Completes a begun block from the front of `data`, as far as that reaches; returns what it did not need.
    fn complete_begun<'a>(&mut self, data: &'a [u8], block_len: usize) -> &'a [u8] {
        if self.begun.is_empty() {
            return data;
        }
        let (front, rest) = data.split_at(data.len().min(block_len - self.begun.len()));
        self.begun.extend_from_slice(front);
        if self.begun.len() == block_len {
            let mut block = std::mem::take(&mut self.begun);
            self.add_block(&block);
            block.clear();
            self.begun = block;
        }
        rest
    }

    fn add_block(&mut self, block: &[u8]) {
        let sum = self.choice.sum(block);
        self.signature.add_block(block.len(), RollingSum::of(block).value(), &sum);
        if let Some(sums) = &mut self.sums {
            sums.push(sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::{SegmentHasher, StrongKind};
    use proptest::prelude::*;

    const CHOICE: SumChoice = SumChoice { kind: StrongKind::Xxh3, seed: 5 };

    fn signer(block_len: u64) -> Signer {
        Signer::new(CHOICE, BlockLen::new(block_len).unwrap(), StrongLen::new(7).unwrap())
    }

    #[test]
    fn blocks_beyond_the_bound_are_left_out() {
        let mut signer = signer(1);
        for _ in 0..3 {
            signer.push(&vec![1; MAX_BLOCKS as usize / 2]);
        }
        let header = signer.finish().header();
        assert_eq!(header.basis_len, u64::from(MAX_BLOCKS));
        header.validate().unwrap();
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(
            data in prop::collection::vec(any::<u8>(), 0..500),
            block_len in 1_u64..80,
            chunk in 1_usize..200,
        ) {
            let mut chunked = signer(block_len).keeping_sums();
            data.chunks(chunk).for_each(|chunk| chunked.push(chunk));
            let mut hasher = SegmentHasher::new(CHOICE, BlockLen::new(block_len).unwrap());
            hasher.push(&data);
            let mut expected = Signature::empty(BlockLen::new(block_len).unwrap(), StrongLen::new(7).unwrap());
            for block in data.chunks(block_len as usize) {
                expected.add_block(block.len(), RollingSum::of(block).value(), &CHOICE.sum(block));
            }
            let (signature, sums) = chunked.finish_with_sums();
            prop_assert_eq!(signature, expected);
            prop_assert_eq!(sums, hasher.finish().sums().to_vec());
        }
    }
}
