//! What an undo does for each entry of a log, which whoever takes over a killed one has to know as well.

use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::history::History;
use crate::twoway::log::Entry;
use crate::twoway::look::undo::made::is_in_the_way;
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::{ContentSum, Record, State};
use std::collections::{BTreeMap, BTreeSet};

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

/// The files that a run gave another name.
#[derive(Default)]
pub(super) struct Renames {
    /// By the new name: the one they had, and what was known of it.
    new: BTreeMap<RelPath, (RelPath, Record)>,
    old: BTreeSet<RelPath>,
}

impl Renames {
    pub(super) fn of(history: &History, run: u64) -> Result<Renames, TwoWayError> {
        let mut renames = Renames::default();
        // What is not paired yet, in the order of the log.
        let (mut made, mut gone) = (Unpaired::new(), Unpaired::new());
        let mut last = None;
        for entry in history.entries(run)? {
            let entry = entry?;
            let Some((sum, is_new)) = renamed(&entry) else {
                last = None;
                continue;
            };
            // A run that renames a file says one after the other.
            let before = last.take();
            let (own, other) = if is_new { (&mut made, &mut gone) } else { (&mut gone, &mut made) };
            if before == Some((sum, !is_new))
                && let Some(other) = other.get_mut(&sum).and_then(Vec::pop)
            {
                renames.pair(if is_new { (entry, other) } else { (other, entry) });
            } else {
                own.entry(sum).or_default().push(entry);
                last = Some((sum, is_new));
            }
        }
        // What was found out about a killed one says them in another order.
        for (sum, made) in made {
            let gone = gone.remove(&sum).unwrap_or_default();
            for (new, old) in made.into_iter().zip(gone) {
                renames.pair((new, old));
            }
        }
        Ok(renames)
    }

    fn pair(&mut self, (new, old): (Entry, Entry)) {
        self.old.insert(old.path.clone());
        self.new.insert(new.path, (old.path, old.before));
    }

    /// Whether an entry is about the new name of one of them.
    pub(super) fn has(&self, entry: &Entry) -> bool {
        entry.change == Change::Create && self.new.contains_key(&entry.path)
    }

    /// What there is to do for an entry of a log that is gone through from its end, if anything.
    pub(super) fn work(&self, entry: &Entry) -> Option<Work> {
        if entry.problem.is_some() || entry.before.state == State::Unknown {
            return None;
        }
        match (entry.change, &entry.after.state) {
            (Change::Create, State::File { .. }) => {
                self.new.get(&entry.path).map(|(old, was)| Work::RenameBack(old.clone(), was.clone()))
            }
            _ if is_in_the_way(entry) => Some(Work::PutBackLater),
            (Change::Create | Change::Empty, _) => None,
            // Its entry is that of the new name.
            (Change::Remove, _) if self.old.contains(&entry.path) => None,
            // A name that was given to another file: the one that it had is in the trash, with the names that it has.
            (Change::Adjust, _) if entry.trashed.is_none() => Some(Work::Adjust),
            (Change::Remove, _) => Some(Work::PutBack(Change::Create)),
            (same, _) => Some(Work::PutBack(same)),
        }
    }
}

type Unpaired = BTreeMap<ContentSum, Vec<Entry>>;

/// The content of a file of which an entry tells the new name, or the old one, if it may be that of a renamed file.
fn renamed(entry: &Entry) -> Option<(ContentSum, bool)> {
    if entry.problem.is_some() || entry.trashed.is_some() {
        return None;
    }
    match (entry.change, &entry.before.state, &entry.after.state) {
        (Change::Create, _, State::File { sum, .. }) => Some((*sum, true)),
        (Change::Remove, State::File { sum, .. }, _) => Some((*sum, false)),
        _ => None,
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
