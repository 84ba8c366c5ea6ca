//! The delta engine: how a new version of a file is told to someone who holds an old one.
//!
//! The sink holds an old file, the **basis**; the source holds the new one; the wire between them is slow. The
//! engine is the rsync algorithm (A. Tridgell, *Efficient Algorithms for Sorting and Synchronization*, ANU 1999,
//! chapter 3), in three moves:
//!
//! 1. **Sign.** The sink cuts its basis into blocks of equal length ([`BlockLen`]) and computes two sums of each: a
//!    weak one that is cheap to slide along a file byte by byte, and a strong one that is as good as unique. Both
//!    together are the [`Signature`], less than a thousandth of the file, and it goes to the source ([`Signer`],
//!    [`SignatureBuilder`]).
//! 2. **Search.** The source slides a window of one block length over the new file. Where the weak sum of the
//!    window is one in the signature, and then the strong sum too, the basis has these bytes: an [`Op::Copy`]
//!    names them. What lies between is an [`Op::Literal`] ([`Search`]); or, where shorter blocks could find something
//!    there, an [`Op::Gap`], for which another signature is asked ([`GapSearch`]), and so on down to the shortest.
//! 3. **Patch.** The sink carries the operations out, in order, and hashes what it writes ([`Patch`]). Strong
//!    sums are shortened on the wire ([`StrongLen`]), and a file may change while it is read, so the result counts
//!    only once its file sum ([`SegmentSums`]) equals the source's; if not, the segments that differ are fetched
//!    again.
//!
//! Where this differs from the thesis:
//!
//! * Block lengths are refined: long blocks for the whole file, ever shorter ones where the long ones did not match
//!   (`refine` tells how). So a large file costs few sums, and a small edit of it few literals.
//! * Most of most files is unchanged. After a match the next block of the basis is compared at once, by strong sum
//!   alone, and after a mismatch the one after it, so that unchanged stretches and scattered edits run at the speed
//!   of hashing and only what moved is searched byte by byte ([`Search`]).
//! * No input makes the search quadratic: equal blocks are indexed once, chains are bounded, and strong sums that
//!   turn out futile are paid from a budget that only progress fills.
//! * The sums are seeded for each session ([`SumChoice`]), so that no stored file can be made to collide in
//!   advance. This is no security boundary against a peer, who knows the seed.
//!
//! Everything here is pure: bytes in, operations out. It knows no files, no wire and no threads, and allocates in
//! proportion to what it was given, never to what a peer announced. `pass` feeds it from `fs` and carries its values
//! through `wire`.

mod block;
mod digest;
mod error;
mod filesum;
mod gap;
mod index;
mod matcher;
mod op;
mod overwritten;
mod patch;
mod refine;
mod rolling;
mod round;
mod search;
mod sift;
mod sign;
mod signature;
mod strong;

pub use block::{BlockLen, MAX_BASIS_LEN, MAX_BLOCK_LEN, MAX_BLOCKS, MAX_SEGMENTS, StrongLen};
pub use digest::{DIGEST_LEN, Digest, Digester};
pub use error::DeltaError;
pub use filesum::{SegmentHasher, SegmentSums};
pub use gap::{Cover, Gap, MAX_GAPS};
pub use op::Op;
pub use overwritten::Reach;
pub use patch::{Basis, Held, Output, Patch, Patched};
pub use refine::GapSearch;
pub use round::Round;
pub use search::{Search, SearchOptions, SearchStats};
pub use sift::Sifted;
pub use sign::Signer;
pub use signature::{Signature, SignatureBuilder, SignatureHeader, SignaturePart, Signatures};
pub use strong::{StrongHasher, StrongKind, Sum, SumChoice};

#[cfg(test)]
mod tests;
