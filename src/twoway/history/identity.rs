//! Which life of which replica a history belongs to.

use crate::fs::{Dir, Stamp};
use crate::twoway::TwoWayError;
use crate::twoway::lineage::Tag;
use crate::twoway::version::Author;
use serde::{Deserialize, Serialize};

/// The format of the history that this dsync writes, and the only one it reads. 2: facets, with their values in the
/// log.
pub(super) const FORMAT: u32 = 2;

/// The row about the history itself. The format comes first, so that it can be read of any later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub format: u32,
    /// Who counts here.
    pub author: [u8; 16],
    /// How many generations this author has had.
    pub generation: u64,
    /// The number of the last change of a record.
    pub sequence: u64,
    /// All changes after this one are in the index.
    pub indexed_from: u64,
    /// The number of the last run.
    pub run: u64,
    /// Where it was when it was written.
    pub place: Place,
}

/// Where a history is. One that finds itself elsewhere was copied, or restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Device and inode of the root.
    root: (u64, u64),
    /// Device and inode of the history's own file; zeros of one that has none.
    file: (u64, u64),
    /// A hash of the machine's name, if it has one.
    machine: Option<[u8; 16]>,
}

/// What a history was when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// There was none.
    New,
    /// The one of this replica.
    Known,
    /// It was copied here, or restored from a copy: it has a new author, and has kept what it knew.
    Copied,
}

impl Place {
    pub(super) fn here(root: &Dir, file: Option<&Stamp>) -> Result<Place, TwoWayError> {
        let machine = crate::fs::machine_name().map(|name| {
            let mut hash = [0; 16];
            let mut hasher = blake3::Hasher::new_derive_key("dsync 2026 two-way machine of a replica");
            hasher.update(name.as_bytes()).finalize_xof().fill(&mut hash);
            hash
        });
        let root = root.identity().map_err(TwoWayError::at("."))?;
        let file = file.map_or((0, 0), |file| (file.dev, file.ino));
        Ok(Place { root, file, machine })
    }
}

/// Somebody who has never counted.
pub(super) fn new_author() -> Result<Author, TwoWayError> {
    let mut author = [0; 16];
    random(&mut author)?;
    Ok(Author(author))
}

/// A tag for a new generation.
pub(in crate::twoway) fn new_tag() -> Result<Tag, TwoWayError> {
    let mut tag = [0; 8];
    random(&mut tag)?;
    Ok(Tag(u64::from_le_bytes(tag)))
}

/// Something that no other run has.
pub(in crate::twoway) fn new_token() -> Result<[u8; 16], TwoWayError> {
    let mut token = [0; 16];
    random(&mut token)?;
    Ok(token)
}

fn random(bytes: &mut [u8]) -> Result<(), TwoWayError> {
    getrandom::fill(bytes)
        .map_err(|error| TwoWayError::Storage { doing: "drawing random numbers for", source: error.into() })
}
