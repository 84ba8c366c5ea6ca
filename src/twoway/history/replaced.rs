//! Which edits the files in the trash have absorbed.
//!
//! The log of a run tells what the run has put there, but no versions. These are kept apart, by run and path, for who
//! merges two files: a file in the trash is what both were made of if it has absorbed exactly the edits that both have.
//! One that has absorbed fewer is no such file, however alike the three may be.

use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::history::change::{Change, WRITING, unwritable};
use crate::twoway::history::row::{self, Counts};
use crate::twoway::history::{History, READING, REPLACED, storage};
use crate::twoway::log::Entry;
use crate::twoway::record::{ContentSum, State};
use crate::twoway::text;
use crate::twoway::version::Version;
use redb::TableError;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A file that a run has replaced or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The number of the run.
    pub run: u64,
    /// Where it is, below the directory of the run in the trash.
    pub trashed: RelPath,
    /// The sum that its content had.
    pub sum: ContentSum,
}

/// The same with its version, as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredReplaced {
    #[serde(with = "text::raw")]
    trashed: Vec<u8>,
    #[serde(with = "text::raw")]
    sum: [u8; 32],
    content: Counts,
}

impl Change<'_> {
    /// Keeps the versions of files that a run has replaced, before other records are put in the place of theirs.
    pub(super) fn keep_versions(&mut self, run: u64, entries: &[Entry]) -> Result<(), TwoWayError> {
        let mut rows = Vec::new();
        for entry in entries {
            let (Some(trashed), State::File { sum, .. }) = (&entry.trashed, &entry.before.state) else {
                continue;
            };
            let Some(content) = self.version_before(entry)? else { continue };
            let (trashed, content) = (trashed.as_bytes().to_vec(), self.authors.counts(&content));
            let stored = StoredReplaced { trashed, sum: sum.0, content };
            rows.push((row::key(&entry.path), postcard::to_stdvec(&stored).map_err(unwritable)?));
        }
        if rows.is_empty() {
            return Ok(());
        }
        let mut table = self.txn.open_table(REPLACED).map_err(storage(WRITING))?;
        for (key, row) in rows {
            table.insert((run, &*key), &*row).map_err(storage(WRITING))?;
        }
        Ok(())
    }

    /// The version of what was at a path. An undo tells what it read in a log, and that has none: then it is that of
    /// the record, if this is of the same content.
    fn version_before(&mut self, entry: &Entry) -> Result<Option<Arc<Version>>, TwoWayError> {
        if !entry.before.content.is_empty() {
            return Ok(Some(entry.before.content.clone()));
        }
        let known = self.known(&[row::key(&entry.path)])?.into_iter().next().flatten();
        let is_same = |state: &State| *state == entry.before.state;
        Ok(known
            .map(|known| known.record)
            .filter(|record| is_same(&record.state))
            .map(|record| record.content))
    }

    /// Forgets what a run has replaced.
    pub(super) fn forget_replaced(&self, run: u64) -> Result<(), TwoWayError> {
        let mut table = self.txn.open_table(REPLACED).map_err(storage(WRITING))?;
        let of_run = (run, &[][..])..(run.saturating_add(1), &[][..]);
        table.retain_in(of_run, |_, _| false).map_err(storage(WRITING))
    }
}

impl History {
    /// The files replaced at a path that had absorbed exactly the edits of this version, the last one first.
    ///
    /// # Errors
    /// Those of reading.
    pub fn replaced(&self, path: &RelPath, version: &Version) -> Result<Vec<Replaced>, TwoWayError> {
        let table = match self.read()?.open_table(REPLACED) {
            Ok(table) => table,
            Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
            Err(error) => return Err(storage(READING)(error)),
        };
        let (key, mut found) = (row::key(path), Vec::new());
        for run in self.runs()?.rev() {
            let run = run?.number;
            let Some(row) = table.get((run, &*key)).map_err(storage(READING))? else { continue };
            let stored: StoredReplaced =
                postcard::from_bytes(row.value()).map_err(|error| row::damaged(&error))?;
            if *self.authors.version(&stored.content)? == *version {
                let trashed = RelPath::new(stored.trashed).map_err(|error| row::damaged(&error))?;
                found.push(Replaced { run, trashed, sum: ContentSum(stored.sum) });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::history::Known;
    use crate::twoway::history::tests::{open, path, record};
    use crate::twoway::log::Purpose;
    use crate::twoway::reconcile::{Change, Why};
    use crate::twoway::record::{Modes, Record};
    use filetime::FileTime;

    fn begin(history: &mut History) {
        history.begin_run(FileTime::from_unix_time(1, 0), Purpose::Undo { run: 1 }, Modes::Whole).unwrap();
    }

    fn replaced(before: &Record, trashed: Option<&str>) -> Entry {
        Entry {
            path: path("a"),
            change: Change::Update,
            why: Why::Clear,
            before: before.clone(),
            after: record(9, &[(9, 9)]),
            trashed: trashed.map(path),
            problem: None,
        }
    }

    fn found(history: &History, version: &Version) -> Vec<(u64, String, u8)> {
        let found = history.replaced(&path("a"), version).unwrap();
        found.into_iter().map(|found| (found.run, found.trashed.to_string(), found.sum.0[0])).collect()
    }

    #[test]
    fn what_is_in_the_trash_is_found_by_its_version() {
        let at = tempfile::tempdir().unwrap();
        let (mut history, _) = open(at.path()).unwrap();
        let (first, second) = (record(1, &[(1, 1)]), record(2, &[(1, 2), (2, 5)]));
        assert_eq!(found(&history, &first.content), []);
        begin(&mut history);
        history.installed(&[], &[replaced(&first, Some("a"))], &[]).unwrap();
        begin(&mut history);
        history.installed(&[], &[replaced(&second, Some("a~")), replaced(&first, None)], &[]).unwrap();
        begin(&mut history);
        history.installed(&[], &[replaced(&first, Some("b"))], &[]).unwrap();
        drop(history);
        let (mut history, _) = open(at.path()).unwrap();
        let of_first = [(3, "b".to_owned(), 1), (1, "a".to_owned(), 1)];
        assert_eq!(found(&history, &first.content), of_first);
        assert_eq!(found(&history, &second.content), [(2, "a~".to_owned(), 2)]);
        assert_eq!(found(&history, &second.content.common(&first.content)), of_first);
        assert_eq!(found(&history, &record(1, &[(1, 2)]).content), []);
        assert_eq!(history.replaced(&path("b"), &first.content).unwrap(), []);
        history.forget_runs(&[3]).unwrap();
        assert_eq!(found(&history, &first.content), of_first[1..]);
        assert_eq!(found(&history, &second.content).len(), 1);
    }

    #[test]
    fn what_an_undo_replaces_has_the_version_that_is_known_of_it() {
        let at = tempfile::tempdir().unwrap();
        let (mut history, _) = open(at.path()).unwrap();
        let (there, unknown) = (record(1, &[(1, 3)]), record(7, &[]));
        history.installed(&[(path("a"), Known::there(there.clone(), None))], &[], &[]).unwrap();
        let undo = |history: &mut History, before: &Record| {
            begin(history);
            let (none, nothing) = (std::iter::empty(), Default::default());
            history.undoing(&[replaced(before, Some("a"))], &[], none, &nothing).unwrap();
        };
        undo(&mut history, &unknown);
        assert_eq!(found(&history, &there.content), []);
        undo(&mut history, &Record { content: unknown.content.clone(), ..there.clone() });
        assert_eq!(found(&history, &there.content), [(2, "a".to_owned(), 1)]);
    }
}
