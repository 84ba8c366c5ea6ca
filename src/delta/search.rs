//! Finds the basis in the new file.
//!
//! A window of one block length moves over the new file, and at each place one of three things is tried:
//!
//! * **Follow**: the window is compared with the block that comes next in the basis, by strong sum. This is all that
//!   happens in an unchanged stretch. Failing that, its weak sum is looked up: perhaps another block moved here.
//! * **Ahead**: the block after that is compared with the bytes one block further on. If they are equal, this is an edit
//!   that kept its length: one block of literals, and on at full speed.
//! * **Roll**: otherwise something was inserted, removed or rewritten. The window moves byte by byte and its weak sum is
//!   looked up at every position, until a block is found.
//!
//! Rolling is the slow part, at about a byte a nanosecond, but only bytes that become literals are rolled over, and
//! sending a literal costs more. (Looking further ahead than one block would save rolling over longer edits, but miss what
//! moved within them.)
//!
//! Work is linear in the new file whatever it and the signature hold. Each match allows one futile comparison by Follow
//! and one by Ahead. Strong sums that Roll computes in vain are paid from a budget of a few bytes for each byte the
//! window has passed; while it is exhausted, lookups fail, which costs literals but never correctness.

use crate::delta::matcher::Matcher;
use crate::delta::{Op, Reach, Signature, SumChoice};

/// What the caller wants of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchOptions {
    /// The new file will be written over its basis, from front to back: only copies from behind the position being written
    /// are found, or from so far before it.
    pub in_place: Option<Reach>,
    /// Where in the new file the bytes to be searched begin.
    pub position: u64,
}

/// What a search has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchStats {
    /// Blocks found, the short last one included.
    pub matched_blocks: u64,
    /// Strong sums computed.
    pub strong_sums: u64,
    /// Windows whose weak sum was in the signature but whose strong sum was not.
    pub false_alarms: u64,
    /// Bytes the window rolled over.
    pub rolled_bytes: u64,
}

/// A search of one new file, or of a [gap](super::Gap) in it, pushed from its beginning, for the blocks of one signature.
///
/// Operations are handed to `out` in order: literals, of at most a chunk and two blocks each, as soon as the window has
/// passed them; a copy once it is known that nothing continues it. What waits for bytes yet to come is less than two
/// blocks. After `out` has failed once, a search is of no more use.
#[derive(Debug)]
pub struct Search {
    matcher: Matcher,
    /// Bytes pushed that the window has not passed, because what follows them is needed too.
    carry: Vec<u8>,
    /// How much of the beginning of `carry` the window has passed all the same.
    passed: usize,
}

impl Search {
    /// Starts a search. `choice` is the one that the signature was made with.
    pub fn new(signature: Signature, choice: SumChoice, options: SearchOptions) -> Self {
        Self { matcher: Matcher::new(signature, choice, options), carry: Vec::new(), passed: 0 }
    }

    /// Searches the next bytes of the new file.
    ///
    /// Any chunk size works and yields the same copies; chunks of many blocks are searched where they lie, while up to
    /// two blocks at each seam are copied.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn push<E>(&mut self, chunk: &[u8], out: &mut impl FnMut(Op<'_>) -> Result<(), E>) -> Result<(), E> {
        let block_len = self.matcher.block_len();
        let mut chunk = chunk;
        while self.passed < self.carry.len() {
            if chunk.is_empty() {
                return Ok(());
            }
            // A window that starts in the carry ends in the chunk: lend it a block from there, until it starts there.
            let carried = self.carry.len() - self.passed;
            let (seam, rest) = chunk.split_at(chunk.len().min(block_len));
            self.carry.extend_from_slice(seam);
            let data = self.carry.get(self.passed..).unwrap_or_default();
            let used = self.matcher.scan(data, carried, false, out)?;
            if let Some(beyond) = used.checked_sub(carried) {
                self.drop_carry();
                chunk = chunk.get(beyond..).unwrap_or_default();
            } else {
                self.pass(used);
                chunk = rest;
            }
        }
        let used = self.matcher.scan(chunk, chunk.len(), false, out)?;
        self.drop_carry();
        self.carry.extend_from_slice(chunk.get(used..).unwrap_or_default());
        Ok(())
    }

    /// Takes the next `len` bytes of the new file, which are not pushed, for what the basis has at the same place, from
    /// the beginning of a block on. Nothing pushed before is looked for beyond here.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn unmoved<E>(&mut self, len: u64, out: &mut impl FnMut(Op<'_>) -> Result<(), E>) -> Result<(), E> {
        let data = self.carry.get(self.passed..).unwrap_or_default();
        let used = self.matcher.scan(data, data.len(), true, out)?;
        self.matcher.unmoved(data.get(used..).unwrap_or_default(), len, out)?;
        self.drop_carry();
        Ok(())
    }

    /// Whether much was inserted before what is searched, in place, so that the basis is of little use from here on.
    pub(super) fn has_moved(&self) -> bool {
        self.matcher.has_moved()
    }

    /// Ends the new file, or the gap, here: hands out what remains, and tells what was done.
    ///
    /// # Errors
    /// Only those of `out`.
    pub fn finish<E>(mut self, out: &mut impl FnMut(Op<'_>) -> Result<(), E>) -> Result<SearchStats, E> {
        let data = self.carry.get(self.passed..).unwrap_or_default();
        let used = self.matcher.scan(data, data.len(), true, out)?;
        self.matcher.finish(data.get(used..).unwrap_or_default(), out)
    }

    fn drop_carry(&mut self) {
        self.carry.clear();
        self.passed = 0;
    }

    /// Notes that the window has passed these bytes; makes room when they are the larger part, so that chunks much
    /// smaller than a block cost no more than a constant number of moves a byte.
    fn pass(&mut self, bytes: usize) {
        self.passed += bytes;
        if self.passed > self.carry.len() / 2 {
            self.carry.drain(..self.passed);
            self.passed = 0;
        }
    }
}
