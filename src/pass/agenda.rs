//! What a pass is to do where that was planned before it: the files to fetch, and how each gets its name.
//!
//! Without an agenda a sink compares what is listed with what it has, and decides. With one it has been decided: the
//! source lists nothing but what is to be fetched and what is above it ([`crate::view::Selection`]), all directories
//! are there, and the sink fetches every listed file that the agenda wants, whatever it has itself. Attributes,
//! removals and everything without content are none of the pass's business then; nor is what was planned and is not
//! listed, which whoever has the agenda finds out.

use crate::fs::{Error, Stage, WriteDir};
use crate::tree::{Entry, Name, RelPath};

/// What was planned for the sink of a pass.
pub trait Agenda: Send + Sync + std::fmt::Debug {
    /// Whether a listed entry, which is no directory, is to be fetched, and as what: `None` if nobody planned it, or the
    /// listed entry cannot be what was planned (that is told by whoever has the agenda). The entry has the owners of the
    /// source's host. Asked once for each; only files are then fetched.
    fn wants(&self, path: &RelPath, entry: &Entry) -> Option<Planned>;

    /// Gives a file that was fetched its attributes and its name, if what has the name is still what it was when that
    /// was planned. `false` if it is not, or the content is not what was planned; that was told then, and is counted by
    /// the caller as one that failed; the staged file is gone.
    ///
    /// The content has the file sum that the source told, unless it was copied from a file that the source handed over.
    /// Several threads call this at the same time, each for another path.
    ///
    /// # Errors
    /// Those of the file system, to be told by the caller.
    fn install(&self, at: &Place<'_>, staged: Stage) -> Result<bool, Error>;

    /// The same for a small file whose content is at hand: at most 128 KiB, new or not.
    ///
    /// # Errors
    /// Those of the file system, to be told by the caller.
    fn write(&self, at: &Place<'_>, content: &[u8]) -> Result<bool, Error>;
}

/// As what a file is fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// Whether it is new here, not another version of one that is there. Only told, never relied on.
    pub is_new: bool,
    /// Where there is a file that one that is new is most likely much like. It only saves sending what both have.
    pub like: Option<RelPath>,
}

/// Where a file goes.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its path below the root.
    pub path: &'a RelPath,
    /// The directory it is in.
    pub dir: &'a WriteDir,
    /// Its name there.
    pub name: &'a Name,
}
