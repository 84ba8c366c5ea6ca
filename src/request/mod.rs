//! What a run was asked to do, as validated data.
//!
//! `cli` makes a [`Request`] from the command line, `wire` carries it to the peer, both roles obey it. There is one
//! of it per run and nothing changes it afterwards.

mod chmod;
mod content;
mod options;
mod owner_map;
mod restriction;
mod shortcuts;
mod skip_compress;

pub use crate::delta::StrongKind;
pub use chmod::{Chmod, InvalidChmod};
pub use content::{CompressWhen, Compression, Compressor, DEFAULT_ZSTD_LEVEL};
pub use options::{
    Append, Backup, Bases, BasisKind, DEFAULT_TRASH_DAYS, Deletion, DeletionLimit, DeletionTime, Detail,
    InvalidOptions, LinkRules, MAX_BASES, MAX_STREAMS, Missing, Mounts, NamesFrom, Options, Reflink, Super,
    TwoWay,
};
pub use owner_map::{From, InvalidOwnerRules, OwnerRule, OwnerRules, To};
pub use restriction::{Access, Refused, Restriction};
pub use shortcuts::Shortcuts;
pub use skip_compress::{InvalidSkipCompress, SkipCompress};

/// What the peer is asked to play, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The peer's role and roots. The asking side plays the other role.
    pub part: Part,
    /// Everything else.
    pub options: Options,
}

/// A role with its roots. Paths are as the user typed them, any bytes but NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Read these and send what the sink wants.
    Source {
        /// One per source argument, in order. Those with wildcards are expanded where they are read.
        arguments: Vec<Vec<u8>>,
    },
    /// Write below this.
    Sink {
        /// The destination argument; empty means the home directory.
        destination: Vec<u8>,
    },
    /// Be the replica at the other end of a two-way run. The asking side has the other, and makes the plan.
    Replica {
        /// The argument that names its root; empty means the home directory.
        root: Vec<u8>,
        /// Those of the asking side's root and of the directories above it, itself first; none if it has none.
        landmarks: Vec<Landmark>,
    },
}

/// What tells a directory from any other, on every machine.
pub type Landmark = [u8; 16];
