//! Carries operations out: basis and literals in, the new file out, hashed as it is written.
//!
//! The sink owns the files; it lends them as a [`Basis`] that can be read anywhere and an [`Output`] that is written
//! from its beginning. Operations come from the peer, so nothing about them is trusted.

use crate::delta::{DeltaError, Op, SegmentHasher, SegmentSums, SumChoice};
use std::io;

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

/// The new file, written from its beginning without gaps.
pub trait Output {
    /// Writes the next bytes.
    ///
    /// # Errors
    /// Any failure of writing.
    fn write(&mut self, data: &[u8]) -> io::Result<()>;

    /// Takes the next bytes where they equal the basis at the very same offset.
    ///
    /// An output that began as the basis, updated in place or cloned, has them already and only moves on.
    ///
    /// # Errors
    /// Any failure of writing.
    fn keep(&mut self, data: &[u8]) -> io::Result<()> {
        self.write(data)
    }
}

impl Output for Vec<u8> {
    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.extend_from_slice(data);
        Ok(())
    }
}

/// Makes the new file from operations.
#[derive(Debug)]
pub struct Patch<B, O> {
    basis: B,
    basis_len: u64,
    output: O,
    hasher: SegmentHasher,
    position: u64,
    buffer: Vec<u8>,
}

impl<B: Basis, O: Output> Patch<B, O> {
    /// Starts a file. Copies may take from the first `basis_len` bytes of the basis, those its signature covered; where
    /// there is no basis, that is none of an empty slice.
    pub fn new(choice: SumChoice, basis: B, basis_len: u64, output: O) -> Self {
        Self { basis, basis_len, output, hasher: SegmentHasher::new(choice), position: 0, buffer: Vec::new() }
    }

    /// Carries out one operation.
    ///
    /// A copy is made from front to back, so basis and output may be one file if, as
    /// [`SearchOptions::in_place`](super::SearchOptions) has it, no copy takes from before where it goes.
    ///
    /// # Errors
    /// [`DeltaError::CopyOutsideBasis`] and [`DeltaError::OutputTooLong`] for operations no honest peer sends, before
    /// anything of them is written; otherwise what basis or output said.
    pub fn apply(&mut self, op: Op<'_>) -> Result<(), DeltaError> {
        match op {
            Op::Copy { offset, len } => self.copy(offset, len),
            Op::Literal(data) => {
                self.reserve(data.len() as u64)?;
                self.output.write(data).map_err(|source| self.write_failed(data.len(), source))?;
                self.advance(data);
                Ok(())
            }
        }
    }

    /// How many bytes of the new file have been written.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Ends the file here; returns the output and the sums of what was written.
    pub fn finish(self) -> (O, SegmentSums) {
        (self.output, self.hasher.finish())
    }

    fn copy(&mut self, offset: u64, len: u64) -> Result<(), DeltaError> {
        let outside = || DeltaError::CopyOutsideBasis { offset, len, basis_len: self.basis_len };
        let end = offset.checked_add(len).filter(|end| *end <= self.basis_len).ok_or_else(outside)?;
        self.reserve(len)?;
        let in_place = offset == self.position;
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut from = offset;
        while from < end {
            buffer.resize((end - from).min(COPY_BUFFER) as usize, 0);
            self.copy_piece(from, &mut buffer, in_place)?;
            from += buffer.len() as u64;
        }
        self.buffer = buffer;
        Ok(())
    }

    fn copy_piece(&mut self, from: u64, buffer: &mut [u8], in_place: bool) -> Result<(), DeltaError> {
        let len = buffer.len();
        self.basis.read_at(from, buffer).map_err(|source| DeltaError::ReadBasis {
            offset: from,
            len,
            source,
        })?;
        let written = if in_place { self.output.keep(buffer) } else { self.output.write(buffer) };
        written.map_err(|source| self.write_failed(len, source))?;
        self.advance(buffer);
        Ok(())
    }

    /// Refuses what would end beyond the longest file a system can hold.
    fn reserve(&self, len: u64) -> Result<(), DeltaError> {
        let end = self.position.checked_add(len).filter(|end| i64::try_from(*end).is_ok());
        end.map(|_| ()).ok_or(DeltaError::OutputTooLong)
    }

    fn advance(&mut self, written: &[u8]) {
        self.hasher.push(written);
        self.position += written.len() as u64;
    }

    fn write_failed(&self, len: usize, source: io::Error) -> DeltaError {
        DeltaError::WriteOutput { position: self.position, len, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::StrongKind;
    use proptest::prelude::*;

    const CHOICE: SumChoice = SumChoice { kind: StrongKind::Xxh3, seed: 9 };

    fn patch(basis: &[u8]) -> Patch<&[u8], Vec<u8>> {
        Patch::new(CHOICE, basis, basis.len() as u64, Vec::new())
    }

    #[test]
    fn writes_and_hashes() {
        let basis: Vec<u8> = (0..700_000_u32).map(|n| (n >> 3) as u8).collect();
        let mut patch = patch(&basis);
        patch.apply(Op::Literal(b"new ")).unwrap();
        patch.apply(Op::Copy { offset: 1, len: 600_000 }).unwrap();
        patch.apply(Op::Copy { offset: 5, len: 0 }).unwrap();
        patch.apply(Op::Copy { offset: 0, len: 700_000 }).unwrap();
        assert_eq!(patch.position(), 1_300_004);
        let (written, sums) = patch.finish();
        let expected = [b"new ", &basis[1..600_001], &basis].concat();
        assert!(written == expected);
        let mut hasher = SegmentHasher::new(CHOICE);
        hasher.push(&expected);
        assert_eq!(sums, hasher.finish());
    }

    #[test]
    fn copies_from_the_same_offset_are_kept() {
        #[derive(Default)]
        struct Calls(Vec<(&'static str, usize)>);
        impl Output for Calls {
            fn write(&mut self, data: &[u8]) -> io::Result<()> {
                self.0.push(("write", data.len()));
                Ok(())
            }
            fn keep(&mut self, data: &[u8]) -> io::Result<()> {
                self.0.push(("keep", data.len()));
                Ok(())
            }
        }
        let mut patch = Patch::new(CHOICE, &[0_u8; 100][..], 100, Calls::default());
        patch.apply(Op::Copy { offset: 0, len: 10 }).unwrap();
        patch.apply(Op::Copy { offset: 20, len: 5 }).unwrap();
        patch.apply(Op::Literal(&[1; 5])).unwrap();
        patch.apply(Op::Copy { offset: 20, len: 80 }).unwrap();
        let calls = patch.finish().0.0;
        assert_eq!(calls, [("keep", 10), ("write", 5), ("write", 5), ("keep", 80)]);
    }

    #[test]
    fn refuses_copies_outside_the_basis() {
        let mut patch = patch(b"12345");
        for (offset, len) in [(0, 6), (5, 1), (6, 0), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
            let result = patch.apply(Op::Copy { offset, len });
            assert!(matches!(result, Err(DeltaError::CopyOutsideBasis { .. })), "{offset} {len}");
        }
        patch.apply(Op::Copy { offset: 5, len: 0 }).unwrap();
        assert_eq!(patch.position(), 0);
    }

    #[test]
    fn a_basis_that_shrank_is_an_error() {
        let mut patch = Patch::new(CHOICE, &b"123"[..], 5, Vec::new());
        let result = patch.apply(Op::Copy { offset: 1, len: 4 });
        assert!(matches!(result, Err(DeltaError::ReadBasis { offset: 1, len: 4, .. })));
    }

    #[test]
    fn refuses_endless_files() {
        struct Nothing;
        impl Basis for Nothing {
            fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
                Err(io::ErrorKind::Other.into())
            }
        }
        let mut patch = Patch::new(CHOICE, Nothing, u64::MAX, Vec::new());
        let result = patch.apply(Op::Copy { offset: 0, len: u64::MAX });
        assert!(matches!(result, Err(DeltaError::OutputTooLong)));
    }

    proptest! {
        #[test]
        fn arbitrary_operations_never_panic(
            basis in prop::collection::vec(any::<u8>(), 0..100),
            claimed in prop_oneof![0_u64..200, any::<u64>()],
            copies in prop::collection::vec((prop_oneof![0_u64..120, any::<u64>()], prop_oneof![0_u64..120, any::<u64>()]), 0..8),
        ) {
            let mut patch = Patch::new(CHOICE, &basis[..], claimed, Vec::new());
            for (offset, len) in copies {
                let before = patch.position();
                match patch.apply(Op::Copy { offset, len }) {
                    Ok(()) => prop_assert_eq!(patch.position(), before + len),
                    Err(DeltaError::ReadBasis { .. }) => break,
                    Err(_) => prop_assert_eq!(patch.position(), before),
                }
                patch.apply(Op::Literal(b"x")).unwrap();
            }
            let position = patch.position();
            let (written, sums) = patch.finish();
            prop_assert_eq!(written.len() as u64, position);
            prop_assert_eq!(sums.len(), position);
        }
    }
}
