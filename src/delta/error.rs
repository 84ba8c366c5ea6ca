//! What can go wrong in the delta engine. It knows offsets, not paths: the caller adds which file it was.

use std::io;
use thiserror::Error;

/// A failure of the delta engine, or a value from the peer that it refuses.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DeltaError {
    /// A block length of zero or beyond [`MAX_BLOCK_LEN`](super::MAX_BLOCK_LEN).
    #[error("Block length {0} is not between 1 and {max}", max = super::MAX_BLOCK_LEN)]
    BlockLen(u64),

    /// A strong sum length outside what [`StrongLen`](super::StrongLen) allows.
    #[error("Strong sum length {0} is not between {min} and {max}", min = super::StrongLen::MIN, max = super::StrongLen::MAX)]
    StrongLen(u64),

    /// A signature over more bytes or blocks than this engine handles.
    #[error("Signature of {basis_len} bytes in blocks of {block_len} has more than {max} blocks", max = super::MAX_BLOCKS)]
    TooManyBlocks {
        /// Bytes the signature says it covers.
        basis_len: u64,
        /// Its block length.
        block_len: u32,
    },

    /// A part of a signature whose strong sums do not belong to its weak sums.
    #[error(
        "Signature part has {weak} weak sums but {strong_bytes} bytes of strong sums of {strong_len} bytes each"
    )]
    UnevenPart {
        /// Number of weak sums.
        weak: usize,
        /// Bytes of strong sums.
        strong_bytes: usize,
        /// Bytes that each strong sum should have.
        strong_len: usize,
    },

    /// More or fewer blocks arrived than the header announced.
    #[error("Signature has {arrived} blocks where its header announced {announced}")]
    BlockCount {
        /// Blocks that arrived.
        arrived: u64,
        /// Blocks that the header implies.
        announced: u64,
    },

    /// A list of segment sums that does not fit its file length.
    #[error("File sum of {len} bytes has {sums} segment sums")]
    SegmentCount {
        /// The length of the file.
        len: u64,
        /// The number of sums.
        sums: usize,
    },

    /// A copy or gap that reaches outside the basis.
    #[error("{len} bytes at {offset} reach outside the basis of {basis_len} bytes")]
    OutsideBasis {
        /// Where in the basis they begin.
        offset: u64,
        /// How many they are.
        len: u64,
        /// The length of the basis.
        basis_len: u64,
    },

    /// An operation that reaches beyond the gap it belongs to.
    #[error("{len} bytes at {position} reach beyond the gap they belong to")]
    OutsideGap {
        /// Where in the result they begin.
        position: u64,
        /// How many they are.
        len: u64,
    },

    /// More gaps, or longer ones, than may be open; or an empty one.
    #[error("The gaps left are empty, too many or too long")]
    TooManyGaps,

    /// A round or a file ended before all of it was told, or a further round has nothing to tell.
    #[error("The end does not come where everything is told")]
    RoundIncomplete,

    /// The result would be longer than any file can be.
    #[error("Operations make a file longer than any file can be")]
    OutputTooLong,

    /// The basis could not be read.
    #[error("Reading {len} bytes of the basis at {offset}")]
    ReadBasis {
        /// Where in the basis.
        offset: u64,
        /// How many bytes.
        len: usize,
        /// What the reader said.
        source: io::Error,
    },

    /// The result could not be written.
    #[error("Writing {len} bytes of the result at {position}")]
    WriteOutput {
        /// Where in the result.
        position: u64,
        /// How many bytes.
        len: usize,
        /// What the writer said.
        source: io::Error,
    },
}
