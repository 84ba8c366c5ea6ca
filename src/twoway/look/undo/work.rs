//! What an undo does for each entry of a log, which whoever takes over a killed one has to know as well.

use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::history::History;
use crate::twoway::log::Entry;
use crate::twoway::look::undo::made::is_in_the_way;
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::{ContentSum, Record, State};
use std::collections::BTreeMap;

/// What there is to do for an entry.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// The file gets this name back, of which that was known.
    RenameBack(RelPath, Record),
    /// What was there is put back, which is this change.
    PutBack(Change),
    /// The same of what a directory is in the place of, when all else is done: what was only moved into that is back by
    /// then.
    PutBackLater,
    /// Attributes are set back.
    Adjust,
}

/// The files that a run gave another name, by content: the name they had, and what was known of it.
pub(super) struct Renames(BTreeMap<ContentSum, (RelPath, Record)>);

impl Renames {
    pub(super) fn of(history: &History, run: u64) -> Result<Renames, TwoWayError> {
        let mut renamed = BTreeMap::new();
        for entry in history.entries(run)? {
            let Entry { path, change, before, trashed, problem, .. } = entry?;
            if let (Change::Remove, State::File { sum, .. }, None, None) =
                (change, &before.state, trashed, problem)
            {
                renamed.insert(*sum, (path, before));
            }
        }
        Ok(Renames(renamed))
    }

    /// Whether an entry is about the new name of one of them.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        let sum = if let State::File { sum, .. } = &entry.after.state { Some(sum) } else { None };
        entry.change == Change::Create && sum.is_some_and(|sum| self.0.contains_key(sum))
    }

    /// Whether a file that the run removed has another name by it; that one's entry comes later.
    fn is_renamed(&self, entry: &Entry) -> bool {
        match &entry.before.state {
            State::File { sum, .. } => self.0.get(sum).is_some_and(|(old, _)| *old == entry.path),
            _ => false,
        }
    }

    /// What there is to do for an entry of a log that is gone through from its end, if anything.
    pub(super) fn work(&mut self, entry: &Entry) -> Option<Work> {
        if entry.problem.is_some() || entry.before.state == State::Unknown {
            return None;
        }
        match (entry.change, &entry.after.state) {
            (Change::Create, State::File { sum, .. }) => {
                self.0.remove(sum).map(|(old, was)| Work::RenameBack(old, was))
            }
            _ if is_in_the_way(entry) => Some(Work::PutBackLater),
            (Change::Create | Change::Empty, _) => None,
            (Change::Remove, _) if self.is_renamed(entry) => None,
            // A name that was given to another file: the one that it had is in the trash, with the names that it has.
            (Change::Adjust, _) if entry.trashed.is_none() => Some(Work::Adjust),
            (Change::Remove, _) => Some(Work::PutBack(Change::Create)),
            (same, _) => Some(Work::PutBack(same)),
        }
    }
}

/// What the log of the undo says of an entry that was undone by this change.
pub(super) fn undone(
    entry: &Entry,
    change: Change,
    trashed: Option<RelPath>,
    problem: Option<String>,
) -> Entry {
    Entry {
        path: entry.path.clone(),
        change,
        why: Why::Clear,
        before: entry.after.clone(),
        after: entry.before.clone(),
        trashed,
        problem,
    }
}

/// The entry that the old name of a file would have had if it had been removed there only: undone, it is made again.
pub(super) fn old_name(entry: &Entry, old: &RelPath, was: &Record) -> Entry {
    Entry { path: old.clone(), before: was.clone(), after: Record::never(), ..entry.clone() }
}

/// Where in the trash that is which was in a directory that has come there as `trashed` from `at`.
pub(super) fn trashed_with(trashed: &RelPath, at: &RelPath, inside: &RelPath) -> Option<RelPath> {
    let below = inside.as_bytes().get(at.as_bytes().len()..).unwrap_or_default();
    RelPath::new([trashed.as_bytes(), below].concat()).ok()
}
