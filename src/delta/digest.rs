//! What tells the content of a file from every other content, with no block and no basis in between.
//!
//! The file sum of a transfer only has to catch accidents: whoever sends it sends the content too. A digest stands for
//! content that is not sent at all, so it is BLAKE3, 256 bits, keyed by the session's seed: nobody finds two contents
//! with the same one, and none that is written down today is of use in another session.

use std::fmt;

/// Bytes of a digest.
pub const DIGEST_LEN: usize = 32;

/// What the key is derived for.
const PURPOSE: &str = "dsync 2026 content of a file";

/// The digest of a whole content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; DIGEST_LEN]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Makes the digest of a content that comes in pieces.
#[derive(Debug)]
pub struct Digester(blake3::Hasher);

impl Digester {
    /// Of nothing yet, in the session with this seed.
    pub fn new(seed: u64) -> Digester {
        Digester(blake3::Hasher::new_keyed(&blake3::derive_key(PURPOSE, &seed.to_le_bytes())))
    }

    /// The next piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The digest of all pieces, however they were cut.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(seed: u64, pieces: &[&[u8]]) -> Digest {
        let mut digester = Digester::new(seed);
        pieces.iter().for_each(|piece| digester.push(piece));
        digester.finish()
    }

    #[test]
    fn only_content_and_seed_count() {
        assert_eq!(digest(1, &[b"con", b"", b"tent"]), digest(1, &[b"content"]));
        assert_ne!(digest(1, &[b"content"]), digest(1, &[b"contents"]));
        assert_ne!(digest(1, &[b"content"]), digest(2, &[b"content"]));
    }

    #[test]
    fn it_is_the_one_of_the_protocol_page() {
        let key = blake3::derive_key("dsync 2026 content of a file", &[7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(digest(7, &[b"content"]).0, *blake3::keyed_hash(&key, b"content").as_bytes());
    }
}
