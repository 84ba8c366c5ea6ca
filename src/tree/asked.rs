//! What a listing tells beside its entries, where names were asked for.

use crate::tree::{Name, RelPath};

/// What is known of names that the user gave, beside the entries they stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Paths below the transfer root that are not there, and are to be removed at the destination.
    pub absent: Vec<RelPath>,
    /// Directories of the listing that are there only for what is below them, and have no attributes. Sorted.
    pub implied: Vec<Name>,
}

impl Asked {
    /// Whether nothing is told.
    pub fn is_empty(&self) -> bool {
        self.absent.is_empty() && self.implied.is_empty()
    }

    /// Whether this directory is there only for what is below it.
    pub fn implies(&self, name: &Name) -> bool {
        self.implied.binary_search(name).is_ok()
    }
}
