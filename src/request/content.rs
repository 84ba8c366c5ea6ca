//! How content is summed and compressed on its way.

use serde::{Deserialize, Serialize};

/// Which strong sum blocks and files are compared by. All but the last are seeded per run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SumKind {
    /// XXH3-128.
    #[default]
    Xxh3,
    /// MD5.
    Md5,
    /// XXH3-64.
    Xxh3Short,
    /// XXH64.
    Xxh64,
    /// SHA-1, as far as 128 bits of it.
    Sha1,
    /// None: files are sent whole, and nothing is verified.
    None,
}

impl SumKind {
    /// How many bytes other programs show of it.
    pub fn digest_len(self) -> usize {
        match self {
            SumKind::Xxh3 | SumKind::Md5 => 16,
            SumKind::Xxh3Short | SumKind::Xxh64 => 8,
            SumKind::Sha1 => 20,
            SumKind::None => 0,
        }
    }

    /// What `--checksum-choice` calls them. A name that stands for another one's sum comes after it.
    pub const NAMES: [(&str, SumKind); 7] = [
        ("xxh128", SumKind::Xxh3),
        ("xxh3", SumKind::Xxh3Short),
        ("xxh64", SumKind::Xxh64),
        ("xxhash", SumKind::Xxh64),
        ("md5", SumKind::Md5),
        ("sha1", SumKind::Sha1),
        ("none", SumKind::None),
    ];
}

/// How content is compressed on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compression {
    /// zstd's level, 1 to 22. It means nothing to the others.
    pub level: i32,
    /// Which of it.
    pub when: CompressWhen,
    /// By what.
    pub by: Compressor,
}

/// What compresses content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Compressor {
    /// Zstandard: a stream, in which later content profits from earlier.
    #[default]
    Zstd,
    /// LZ4: each frame by itself, very fast.
    Lz4,
}

/// Which content is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum CompressWhen {
    /// `-z`: whatever becomes shorter by it.
    #[default]
    Always,
    /// `--compress=auto`: as long as it also makes the run shorter, which depends on the line.
    Auto,
}

/// zstd's own default level.
pub const DEFAULT_ZSTD_LEVEL: i32 = 3;
