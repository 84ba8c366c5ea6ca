//! Finding out what has changed in a tree since its history was last written.
//!
//! A scan walks the tree in the order of the history's keys and goes along both at once, so it needs no more memory for
//! a large tree than for a small one. An entry whose stamp (inode, size, times, the change time among them) is the one
//! recorded is taken for unchanged; the content of other files is read and summed up, by threads of their own. Only a
//! stamp that was taken soon after the last change, within two ticks of the clock that stamps are made with, could hide
//! another: such a file is read again next time.
//!
//! ACLs and extended attributes are looked at only where that shows, too, or where nobody has before: a look at an
//! entry tells which [facets](crate::twoway::facet) it has seen. What takes no part keeps what is known of it, and is
//! looked at by the next scan in which it does.
//!
//! Which names are one file is known only when all of them have been seen, so that comes last, in the same transaction.
//!
//! What is different becomes an edit of this replica, under a new generation: in the version of content and existence,
//! or in that of the attributes, or both for what is new or of another kind. A time of modification is no edit. What
//! the rules hide keeps its record as it is. What cannot be read, does not keep still or is not synchronised for what
//! it is keeps its record too, marked as unknown, and is told as trouble; so does a directory on another file system,
//! as nothing could be renamed into it. A directory that holds what takes no part, at any depth, is recorded as
//! occupied: it cannot go, whoever removes it elsewhere.
//!
//! Nothing is written before [`Findings::commit`], and nothing at all if nothing has changed: the caller looks at the
//! [`Counts`] first, as a tree that is suddenly empty is more likely not mounted. Only that other extended attributes
//! are visible than before is written down at once: what was known of them is not known then, which is no edit.

mod compare;
mod hash;
mod names;
mod settle;
#[cfg(test)]
mod tests;
mod walk;

pub(in crate::twoway) use compare::look;
pub(in crate::twoway) use hash::sum;

use crate::fs::{Dir, Error};
use crate::tree::{Kind, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::facet::{Facets, Visible};
use crate::twoway::hiding::Hiding;
use crate::twoway::history::{Change, History};
use crate::twoway::record::Modes;
use filetime::FileTime;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What of a tree is synchronised, and how it is read.
#[derive(Debug, Clone, Copy)]
pub struct ScanOptions<'a> {
    /// Which paths take no part.
    pub hiding: &'a Arc<Hiding>,
    /// What of permission bits is.
    pub modes: Modes,
    /// Which facets are.
    pub facets: Facets,
    /// Which extended attributes are.
    pub visible: &'a Visible,
    /// Whether owners are.
    pub owner: bool,
    /// Whether groups are.
    pub group: bool,
    /// Whether symbolic links are.
    pub links: bool,
    /// Whether devices are.
    pub devices: bool,
    /// Whether fifos and sockets are.
    pub specials: bool,
    /// How many threads read files; at least one does.
    pub threads: usize,
    /// The time by the file system's own clock, not later than the beginning of the scan.
    pub began: FileTime,
    /// The time of day, for removals.
    pub now: FileTime,
    /// Paths that count as they are recorded, whatever attributes they have: a run that may not change them has
    /// found that another one was killed before it could.
    pub unfinished: Option<&'a BTreeSet<RelPath>>,
    /// Set to end the scan early.
    pub stop: &'a AtomicBool,
}

/// Why what is at a path is not known.
#[derive(Debug)]
pub enum Trouble {
    /// It could not be read.
    Failed(Error),
    /// It was changed again and again while it was read.
    Changing,
    /// What is of this kind is not synchronised.
    Kind(Kind),
    /// It is on another file system than the directory it is in.
    Mounted,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Trouble::Failed(error) => error.fmt(f),
            Trouble::Changing => f.write_str("it keeps changing"),
            Trouble::Kind(kind) => write!(f, "a {kind:?} is not synchronised"),
            Trouble::Mounted => f.write_str("it is on another file system"),
        }
    }
}

/// Who is told how a scan goes on.
pub trait Observer {
    /// What is at a path is not known.
    fn trouble(&mut self, path: &RelPath, trouble: &Trouble);

    /// So much has been seen; called every now and then.
    fn progress(&mut self, counts: &Counts) {
        let _ = counts;
    }
}

/// What a scan has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Entries that take part, without the root.
    pub entries: u64,
    /// Files among them.
    pub files: u64,
    /// Bytes in these files.
    pub bytes: u64,
    /// Entries that the history knew to be there, without the root.
    pub known: u64,
    /// Entries that are new, or of another kind than before.
    pub created: u64,
    /// Entries with another content.
    pub edited: u64,
    /// Entries with other attributes.
    pub attributes: u64,
    /// Entries with nothing but another time of modification.
    pub touched: u64,
    /// Entries that are gone.
    pub gone: u64,
    /// Files among them.
    pub gone_files: u64,
    /// Entries that could not be looked at, or are not synchronised.
    pub unknown: u64,
    /// Files that were read.
    pub read: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// When the oldest removal that is remembered was found.
    pub oldest_removal: Option<FileTime>,
}

impl Counts {
    /// Whether a tree with two or more entries has lost all of them.
    pub fn is_emptied(&self) -> bool {
        self.known >= 2 && self.entries == 0
    }

    /// Whether the scan has found edits.
    pub fn has_edits(&self) -> bool {
        self.created > 0 || self.edited > 0 || self.attributes > 0 || self.gone > 0
    }
}

/// What a scan has found, not yet written.
#[must_use = "what was found is lost unless it is committed"]
pub struct Findings<'h> {
    change: Option<Change<'h>>,
    counts: Counts,
}

impl Findings<'_> {
    /// What was seen.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Writes everything found, with the new generation, in one transaction. Only then may anything of it be told.
    ///
    /// # Errors
    /// Those of writing.
    pub fn commit(self) -> Result<Counts, TwoWayError> {
        self.change.map_or(Ok(()), Change::commit)?;
        Ok(self.counts)
    }
}

impl std::fmt::Debug for Findings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Findings").field("counts", &self.counts).finish_non_exhaustive()
    }
}

/// Compares the tree at `root` with its history, of which from then on no more is read of owners than is synchronised.
///
/// # Errors
/// The root itself cannot be read, the history cannot, or the scan was stopped. Anything else is told to `observer`.
pub fn scan<'h>(
    root: &Dir,
    history: &'h mut History,
    options: &ScanOptions<'_>,
    observer: &mut dyn Observer,
) -> Result<Findings<'h>, TwoWayError> {
    if !options.facets.and(Facets::XATTRS).is_empty() {
        history.sees(options.visible)?;
    }
    history.takes_part((options.owner, options.group));
    std::thread::scope(|scope| {
        let readers = hash::Readers::new(scope, options.threads, options.stop);
        walk::Scan::new(root, history, options, observer, readers)?.run()
    })
}
