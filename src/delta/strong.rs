//! The strong sum: 128 bits that are as good as unique for what was hashed.
//!
//! Used for the blocks of a signature, shortened to [`StrongLen`](super::StrongLen), and whole for file sums. Every
//! sum is seeded with the session's seed, so that blocks which collide under one seed do not under the next: a redo
//! under a new seed cannot fail in the same way (thesis, section 3.4.3), and no file can be prepared to collide.

use md5::{Digest, Md5};
use std::fmt;
use xxhash_rust::xxh3::{Xxh3, xxh3_128_with_seed};

/// A whole strong sum.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sum(pub [u8; 16]);

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// Which function makes strong sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StrongKind {
    /// XXH3, 128 bits, with its own seed, in canonical (big-endian) order. The default: tens of times as fast as MD5.
    Xxh3,
    /// MD5 (RFC 1321) over the seed, as eight little-endian bytes, followed by the data.
    Md5,
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
            StrongKind::Md5 => Sum(seeded_md5(self.seed).chain_update(data).finalize().into()),
        }
    }

    /// A hasher for data that comes in pieces; the same sum as [`sum`](Self::sum) over the whole.
    pub fn hasher(self) -> StrongHasher {
        let state = match self.kind {
            StrongKind::Xxh3 => State::Xxh3(Box::new(Xxh3::with_seed(self.seed))),
            StrongKind::Md5 => State::Md5(seeded_md5(self.seed)),
        };
        StrongHasher { seed: Some(self.seed), state }
    }
}

impl StrongKind {
    /// A hasher without any seed: its sums are those that other programs show of a file.
    pub fn plain_hasher(self) -> StrongHasher {
        let state = match self {
            StrongKind::Xxh3 => State::Xxh3(Box::new(Xxh3::new())),
            StrongKind::Md5 => State::Md5(Md5::new()),
        };
        StrongHasher { seed: None, state }
    }
}

fn seeded_md5(seed: u64) -> Md5 {
    Md5::new_with_prefix(seed.to_le_bytes())
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
    Md5(Md5),
}

impl StrongHasher {
    /// Adds the next bytes.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.state {
            State::Xxh3(hasher) => hasher.update(data),
            State::Md5(hasher) => Digest::update(hasher, data),
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
            State::Md5(hasher) => {
                let hasher = std::mem::replace(hasher, self.seed.map_or_else(Md5::new, seeded_md5));
                Sum(hasher.finalize().into())
            }
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

    #[test]
    fn known_values() {
        let sum = |kind, seed| format!("{:?}", SumChoice { kind, seed }.sum(b""));
        // XXH3-128 of nothing, as published; MD5 of eight zero bytes.
        assert_eq!(sum(StrongKind::Xxh3, 0), "99aa06d3014798d86001c324468d497f");
        assert_eq!(sum(StrongKind::Md5, 0), "7dea362b3fac8e00956a4952a3d4f474");
    }

    #[test]
    fn plain_sums_are_those_of_other_programs() {
        for (kind, sum) in [
            (StrongKind::Xxh3, "99aa06d3014798d86001c324468d497f"),
            (StrongKind::Md5, "d41d8cd98f00b204e9800998ecf8427e"),
        ] {
            let mut hasher = kind.plain_hasher();
            for _again in 0..2 {
                assert_eq!(format!("{:?}", hasher.finish_reset()), sum);
            }
        }
    }

    #[test]
    fn seeds_matter() {
        for kind in [StrongKind::Xxh3, StrongKind::Md5] {
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
            for kind in [StrongKind::Xxh3, StrongKind::Md5] {
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
