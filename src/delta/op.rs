//! The operations that make a new file from a basis.

/// One step towards the new file, which is the results of all steps, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op<'a> {
    /// The next bytes are these of the basis.
    Copy {
        /// Where in the basis they begin.
        offset: u64,
        /// How many they are.
        len: u64,
    },
    /// The next bytes are these.
    Literal(&'a [u8]),
    /// The next bytes are told later, once it is known what sums this range of the basis has in shorter blocks. No
    /// search makes one; a [`GapSearch`](super::GapSearch) does.
    Gap {
        /// How many they are.
        len: u64,
        /// Where the range begins.
        offset: u64,
        /// How many bytes it has.
        basis_len: u64,
    },
}

/// The length from which a copy is handed on though it may continue, so that the sink has something to do meanwhile.
const LONG: u64 = 8 << 20;

/// Joins copies that continue one another before they are handed on. Keeps at most one copy back.
#[derive(Debug, Default)]
pub(super) struct CopyMerger {
    kept: Option<(u64, u64)>,
}

impl CopyMerger {
    /// Adds a copy.
    pub(super) fn copy<E>(
        &mut self,
        offset: u64,
        len: u64,
        out: &mut impl FnMut(Op<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match &mut self.kept {
            Some((start, kept)) if *start + *kept == offset && *kept < LONG => *kept += len,
            _ => {
                self.flush(out)?;
                self.kept = Some((offset, len));
            }
        }
        Ok(())
    }

    /// Adds literal bytes; none is nothing.
    pub(super) fn literal<E>(
        &mut self,
        data: &[u8],
        out: &mut impl FnMut(Op<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if data.is_empty() {
            return Ok(());
        }
        self.flush(out)?;
        out(Op::Literal(data))
    }

    /// Hands on the copy kept back.
    pub(super) fn flush<E>(&mut self, out: &mut impl FnMut(Op<'_>) -> Result<(), E>) -> Result<(), E> {
        match self.kept.take() {
            Some((offset, len)) => out(Op::Copy { offset, len }),
            None => Ok(()),
        }
    }
}
