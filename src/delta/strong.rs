//! The strong sum: 128 bits that are as good as unique for what was hashed.
//!
//! Some functions have fewer bits, which come first, and zeros follow; of those that have more, the first 128 count.
//!
//! Used for the blocks of a signature, shortened to [`StrongLen`](super::StrongLen), and whole for file sums. Every
//! sum is seeded with the session's seed, so that blocks which collide under one seed do not under the next: a redo
//! under a new seed cannot fail in the same way (thesis, section 3.4.3), and no file can be prepared to collide.

use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use sha1::Sha1;
use std::fmt;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed, xxh3_128_with_seed};
use xxhash_rust::xxh64::{Xxh64, xxh64};

/// A whole strong sum.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sum(pub [u8; 16]);

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Which function makes strong sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StrongKind {
    /// XXH3, 128 bits, with its own seed, in canonical (big-endian) order. The default: tens of times as fast as MD5.
    #[default]
    Xxh3,
    /// MD5 (RFC 1321) over the seed, as eight little-endian bytes, followed by the data.
    Md5,
    /// XXH3, 64 bits, with its own seed, in canonical (big-endian) order.
    Xxh3Short,
    /// XXH64 with its own seed, in canonical (big-endian) order.
    Xxh64,
    /// SHA-1 (RFC 3174) as MD5.
    Sha1,
    /// No sum: all that is compared by it is the same. For files that are sent whole.
    None,
}

impl StrongKind {
    /// How many bytes other programs show of it.
    pub fn digest_len(self) -> usize {
        match self {
            StrongKind::Xxh3 | StrongKind::Md5 => 16,
            StrongKind::Xxh3Short | StrongKind::Xxh64 => 8,
            StrongKind::Sha1 => 20,
            StrongKind::None => 0,
        }
    }
}

/// A strong sum function with its seed: what both ends must agree on before any sum has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SumChoice {
    /// The function.
    pub kind: StrongKind,
    /// The session's seed.
    pub seed: u64,
}

impl SumChoice {
    /// Sums `data`.
    pub fn sum(self, data: &[u8]) -> Sum {
        match self.kind {
            StrongKind::Xxh3 => Sum(xxh3_128_with_seed(data, self.seed).to_be_bytes()),
            StrongKind::Md5 => Sum(begun::<Md5>(Some(self.seed)).chain_update(data).finalize().into()),
            StrongKind::Xxh3Short => short(xxh3_64_with_seed(data, self.seed)),
            StrongKind::Xxh64 => short(xxh64(data, self.seed)),
            StrongKind::Sha1 => first(begun::<Sha1>(Some(self.seed)).chain_update(data)),
            StrongKind::None => Sum([0; 16]),
        }
    }

    /// A hasher for data that comes in pieces; the same sum as [`sum`](Self::sum) over the whole.
    pub fn hasher(self) -> StrongHasher {
        StrongHasher::new(self.kind, Some(self.seed))
    }
}

impl StrongKind {
    /// A hasher without any seed: its [digests](StrongHasher::digest) are those that other programs show of a file.
    pub fn plain_hasher(self) -> StrongHasher {
        StrongHasher::new(self, None)
    }
}

/// A digest to which the seed was added, if there is one.
fn begun<D: Digest>(seed: Option<u64>) -> D {
    seed.map_or_else(D::new, |seed| D::new_with_prefix(seed.to_le_bytes()))
}

fn short(sum: u64) -> Sum {
    Sum((u128::from(sum) << 64).to_be_bytes())
}

fn first(digest: Sha1) -> Sum {
    let mut sum = [0; 16];
    sum.iter_mut().zip(digest.finalize()).for_each(|(place, byte)| *place = byte);
    Sum(sum)
}

/// A strong sum in the making.
#[derive(Clone)]
pub struct StrongHasher {
    seed: Option<u64>,
    state: State,
}

#[derive(Clone)]
enum State {
    // Boxed: its buffers are over half a kilobyte.
    Xxh3(Box<Xxh3>),
    Xxh3Short(Box<Xxh3>),
    Xxh64(Xxh64),
    Md5(Md5),
    Sha1(Sha1),
    None,
}

impl StrongHasher {
    fn new(kind: StrongKind, seed: Option<u64>) -> StrongHasher {
        // The functions of the XXH family call no seed 0.
        let number = seed.unwrap_or(0);
        let state = match kind {
            StrongKind::Xxh3 => State::Xxh3(Box::new(Xxh3::with_seed(number))),
            StrongKind::Md5 => State::Md5(begun(seed)),
            StrongKind::Xxh3Short => State::Xxh3Short(Box::new(Xxh3::with_seed(number))),
            StrongKind::Xxh64 => State::Xxh64(Xxh64::new(number)),
            StrongKind::Sha1 => State::Sha1(begun(seed)),
            StrongKind::None => State::None,
        };
        StrongHasher { seed, state }
    }

    /// Adds the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Xxh3(hasher) | State::Xxh3Short(hasher) => hasher.update(data),
            State::Xxh64(hasher) => hasher.update(data),
            State::Md5(hasher) => Digest::update(hasher, data),
            State::Sha1(hasher) => Digest::update(hasher, data),
            State::None => {}
        }
    }

    /// Returns the sum of everything added, and starts anew.
    pub fn finish_reset(&mut self) -> Sum {
        match &mut self.state {
            State::Xxh3(hasher) => {
                let sum = Sum(hasher.digest128().to_be_bytes());
                hasher.reset();
                sum
            }
            State::Xxh3Short(hasher) => {
                let sum = short(hasher.digest());
                hasher.reset();
                sum
            }
            State::Xxh64(hasher) => {
                let sum = short(hasher.digest());
                hasher.reset(self.seed.unwrap_or(0));
                sum
            }
            State::Md5(hasher) => Sum(std::mem::replace(hasher, begun(self.seed)).finalize().into()),
            State::Sha1(hasher) => first(std::mem::replace(hasher, begun(self.seed))),
            State::None => Sum([0; 16]),
        }
    }
}

impl StrongHasher {
    /// The whole of what the function makes of everything added, as long as it is: 20 bytes of SHA-1, nothing of none.
    pub fn digest(mut self) -> Vec<u8> {
        match self.state {
            State::Xxh3Short(hasher) => hasher.digest().to_be_bytes().into(),
            State::Xxh64(hasher) => hasher.digest().to_be_bytes().into(),
            State::Sha1(hasher) => hasher.finalize().to_vec(),
            State::None => Vec::new(),
            State::Xxh3(_) | State::Md5(_) => self.finish_reset().0.into(),
        }
    }
}

impl fmt::Debug for StrongHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StrongHasher").field("seed", &self.seed).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [StrongKind; 5] =
        [StrongKind::Xxh3, StrongKind::Md5, StrongKind::Xxh3Short, StrongKind::Xxh64, StrongKind::Sha1];

    #[test]
    fn known_values() {
        let sum = |kind, seed| format!("{:?}", SumChoice { kind, seed }.sum(b""));
        // Those of xxHash of nothing, as published; the others of eight zero bytes.
        assert_eq!(sum(StrongKind::Xxh3, 0), "99aa06d3014798d86001c324468d497f");
        assert_eq!(sum(StrongKind::Md5, 0), "7dea362b3fac8e00956a4952a3d4f474");
        assert_eq!(sum(StrongKind::Xxh3Short, 0), "2d06800538d394c20000000000000000");
        assert_eq!(sum(StrongKind::Xxh64, 0), "ef46db3751d8e9990000000000000000");
        assert_eq!(sum(StrongKind::Sha1, 0), "05fe405753166f125559e7c9ac558654");
        assert_eq!(sum(StrongKind::None, 0), "0".repeat(32));
    }

    #[test]
    fn plain_digests_are_those_of_other_programs() {
        for (kind, digest) in [
            (StrongKind::Xxh3, "99aa06d3014798d86001c324468d497f"),
            (StrongKind::Md5, "d41d8cd98f00b204e9800998ecf8427e"),
            (StrongKind::Xxh3Short, "2d06800538d394c2"),
            (StrongKind::Xxh64, "ef46db3751d8e999"),
            (StrongKind::Sha1, "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            (StrongKind::None, ""),
        ] {
            let found: String =
                kind.plain_hasher().digest().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, digest);
        }
    }

    #[test]
    fn seeds_matter() {
        for kind in ALL {
            let data = [7; 1000];
            assert_ne!(SumChoice { kind, seed: 1 }.sum(&data), SumChoice { kind, seed: 2 }.sum(&data));
        }
    }

    proptest! {
        #[test]
        fn pieces_equal_the_whole(
            data in prop::collection::vec(any::<u8>(), 0..2000),
            piece in 1_usize..600,
            seed in any::<u64>(),
        ) {
            for kind in ALL.into_iter().chain([StrongKind::None]) {
                let choice = SumChoice { kind, seed };
                let mut hasher = choice.hasher();
                for _again in 0..2 {
                    data.chunks(piece).for_each(|piece| hasher.update(piece));
                    prop_assert_eq!(hasher.finish_reset(), choice.sum(&data));
                }
            }
        }
    }
}
