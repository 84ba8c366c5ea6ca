//! What both sides of a conflict had before, where the trash of one of them still has it.
//!
//! What they had when they were last the same was overwritten by who edited it, so what is found is the version before:
//! the one that the last run of these two replaced by another, on one side or the other. Both sides' versions were made
//! of what replaced it, so it is an ancestor of both, if not the nearest: where both have changed what had changed
//! before, a merge finds a conflict that it would not find by the nearest, and never the other way round.

use crate::fs::Dir;
use crate::tree::{Name, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::history::History;
use crate::twoway::log::Purpose;
use crate::twoway::record::{ContentSum, State};
use crate::twoway::run::contents::copy_out;
use crate::twoway::version::Author;
use filetime::FileTime;
use std::io::{self, Write};

/// Where a replica may have ancestors.
pub(super) struct Ancestry<'a> {
    pub history: &'a History,
    /// The directory that has one for each run; none in a dry run.
    pub trash: Option<&'a Dir>,
    /// Whose version is the other.
    pub partner: Author,
}

/// A version that was replaced.
pub(super) struct Ancestor {
    /// The trash of the run that replaced it.
    run: Dir,
    /// Where it is there.
    at: RelPath,
    sum: ContentSum,
    /// When it was modified.
    pub mtime: FileTime,
}

impl Ancestry<'_> {
    /// The latest ancestor of what is at a path, if there is one here.
    pub(super) fn find(&self, path: &RelPath) -> Result<Option<Ancestor>, TwoWayError> {
        let (Some(trash), Some((above, _))) = (self.trash, path.split_last()) else { return Ok(None) };
        for run in self.history.runs()?.rev() {
            let run = run?;
            if !matches!(run.purpose, Purpose::Meeting { partner, .. } if partner == self.partner) {
                continue;
            }
            let Some(in_trash) = in_trash(trash, run.number) else { continue };
            // Reading a log takes longer than this.
            if in_trash.open_beneath(&above).is_err() {
                continue;
            }
            for entry in self.history.entries(run.number)?.rev() {
                let entry = entry?;
                let Some(trashed) = entry.trashed.filter(|_| entry.path == *path) else { continue };
                let State::File { sum, .. } = entry.before.state else { return Ok(None) };
                let is_ancestor = entry.problem.is_none() && entry.after.state.is_present();
                let mtime = entry.before.mtime;
                return Ok(is_ancestor.then_some(Ancestor { run: in_trash, at: trashed, sum, mtime }));
            }
        }
        Ok(None)
    }
}

impl Ancestor {
    /// Writes it, if it has at most `limit` bytes, to `to`. Returns whether it did; if not, something of it may have
    /// been written.
    pub(super) fn fetch(&self, limit: u64, to: &mut dyn Write) -> Result<bool, String> {
        let mut summed = Summed { to, hasher: blake3::Hasher::new() };
        let is_whole = copy_out(&self.run, &self.at, limit, &mut summed)?;
        // Whoever had it open may have written to it since.
        Ok(is_whole && *summed.hasher.finalize().as_bytes() == self.sum.0)
    }
}

fn in_trash(all: &Dir, run: u64) -> Option<Dir> {
    all.open_dir(&Name::new(run.to_string()).ok()?).ok()
}

/// Sums what goes through it.
struct Summed<'a> {
    to: &'a mut dyn Write,
    hasher: blake3::Hasher,
}

impl Write for Summed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
