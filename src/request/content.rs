//! How content is compressed on its way.

use serde::{Deserialize, Serialize};

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
