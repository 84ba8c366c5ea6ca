//! The logs of runs: a row for the header of each, and rows that each hold a good number of entries, so that a long log
//! is read piece by piece. Entries are written in the transaction that makes them true.

use crate::tree::{Gid, RelPath, Uid};
use crate::twoway::TwoWayError;
use crate::twoway::facet::{Extended, Facet, FacetSum, Register, Value};
use crate::twoway::history::change::{Change, WRITING, unwritable};
use crate::twoway::history::row::{self, Stored, StoredFacet, Time};
use crate::twoway::history::{ENTRIES, History, READING, RUNS, VALUES, storage};
use crate::twoway::log::{Ending, Entry, Purpose, Run};
use crate::twoway::reconcile::{self, Why};
use crate::twoway::record::{Attributes, Modes, Record};
use crate::twoway::version::Version;
use filetime::FileTime;
use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::sync::Arc;

#[cfg(test)]
mod tests;

/// Bytes of entries after which another row begins.
const ROW: usize = 32 << 10;

/// What is kept with the header of a run until it comes to its end, for whoever takes over what it left if it was
/// killed.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Aside {
    modes: Modes,
    is_taken_over: bool,
}

/// A run that was killed, or stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Killed {
    /// Its number.
    pub number: u64,
    /// What of permission bits it synchronised, if that is known.
    pub modes: Option<Modes>,
}

/// What the log of a run is to say of what it did.
#[derive(Debug, Default)]
pub struct Late {
    /// The number of the run, if it is remembered.
    pub run: Option<u64>,
    /// What it did.
    pub entries: Vec<Entry>,
    /// Attributes that it has set others in place of.
    pub replaced: Vec<(Facet, Value)>,
}

/// An entry as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredEntry {
    path: Vec<u8>,
    change: reconcile::Change,
    why: Why,
    before: Seen,
    after: Seen,
    trashed: Option<Place>,
    problem: Option<String>,
}

/// A record without its versions.
#[derive(Serialize, Deserialize)]
struct Seen {
    state: Stored,
    mode: u32,
    owner: (Option<Uid>, Option<Gid>),
    mtime: Time,
    extended: Vec<StoredFacet>,
    occupied: bool,
}

/// Where something is in the trash.
#[derive(Serialize, Deserialize)]
enum Place {
    /// At the path it had.
    Same,
    Other(Vec<u8>),
}

impl From<&Record> for Seen {
    fn from(record: &Record) -> Seen {
        let extended = record.extended.iter();
        Seen {
            state: Stored::from(&record.state),
            mode: record.attributes.mode,
            owner: record.attributes.owner,
            mtime: record.mtime.into(),
            extended: extended.map(|(facet, register)| StoredFacet::new(facet, register.sum)).collect(),
            occupied: record.occupied,
        }
    }
}

impl Seen {
    fn read(self, none: &Arc<Version>) -> Result<Record, TwoWayError> {
        let register = |stored: StoredFacet| {
            let (facet, sum) = stored.read()?;
            Ok((facet, Register { sum, version: none.clone() }))
        };
        let extended = self.extended.into_iter().map(register).collect::<Result<Extended, TwoWayError>>()?;
        Ok(Record {
            state: self.state.read()?,
            attributes: Attributes { mode: self.mode, owner: self.owner },
            mtime: self.mtime.into(),
            content: none.clone(),
            meta: none.clone(),
            extended,
            occupied: self.occupied,
        })
    }
}

impl From<&Entry> for StoredEntry {
    fn from(entry: &Entry) -> StoredEntry {
        let place = |path: &RelPath| match *path == entry.path {
            true => Place::Same,
            false => Place::Other(path.as_bytes().to_vec()),
        };
        StoredEntry {
            path: entry.path.as_bytes().to_vec(),
            change: entry.change,
            why: entry.why.clone(),
            before: Seen::from(&entry.before),
            after: Seen::from(&entry.after),
            trashed: entry.trashed.as_ref().map(place),
            problem: entry.problem.clone(),
        }
    }
}

impl StoredEntry {
    fn read(self) -> Result<Entry, TwoWayError> {
        let path = |bytes: Vec<u8>| RelPath::new(bytes).map_err(|error| row::damaged(&error));
        let at = path(self.path)?;
        let trashed = self.trashed.map(|place| match place {
            Place::Same => Ok(at.clone()),
            Place::Other(bytes) => path(bytes),
        });
        let none = Arc::new(Version::new());
        Ok(Entry {
            change: self.change,
            why: self.why,
            before: self.before.read(&none)?,
            after: self.after.read(&none)?,
            trashed: trashed.transpose()?,
            problem: self.problem,
            path: at,
        })
    }
}

fn read_run(bytes: &[u8]) -> Result<Run, TwoWayError> {
    read_row(bytes).map(|(run, _)| run)
}

/// The header of a run, and what is kept with it, if anything is.
fn read_row(bytes: &[u8]) -> Result<(Run, Option<Aside>), TwoWayError> {
    let (run, rest) = postcard::take_from_bytes(bytes).map_err(|error| row::damaged(&error))?;
    let aside = if rest.is_empty() { None } else { Some(postcard::from_bytes(rest)) };
    Ok((run, aside.transpose().map_err(|error| row::damaged(&error))?))
}

/// The entries of one row, up to the first that cannot be read.
fn read_entries(mut bytes: &[u8]) -> Vec<Result<Entry, TwoWayError>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let taken = postcard::take_from_bytes::<StoredEntry>(bytes).map_err(|error| row::damaged(&error));
        let (entry, rest) = match taken {
            Ok((entry, rest)) => (entry.read(), rest),
            Err(error) => (Err(error), &[][..]),
        };
        all.push(entry);
        bytes = rest;
    }
    all
}

impl Change<'_> {
    /// Writes what a run did.
    pub(super) fn log(&mut self, run: u64, entries: &[Entry]) -> Result<(), TwoWayError> {
        if entries.is_empty() {
            return Ok(());
        }
        self.keep_versions(run, entries)?;
        let mut table = self.txn.open_table(ENTRIES).map_err(storage(WRITING))?;
        let last = table.range((run, 0)..=(run, u64::MAX)).map_err(storage(READING))?.next_back();
        let last = last.transpose().map_err(storage(READING))?.map(|(key, _)| key.value().1);
        let mut number = last.map_or(0, |last| last.saturating_add(1));
        let mut bytes = Vec::new();
        let mut rest = entries.iter();
        while let Some(entry) = rest.next() {
            bytes = postcard::to_extend(&StoredEntry::from(entry), bytes).map_err(unwritable)?;
            if bytes.len() >= ROW || rest.len() == 0 {
                table.insert((run, number), &*bytes).map_err(storage(WRITING))?;
                number = number.saturating_add(1);
                bytes.clear();
            }
        }
        Ok(())
    }

    /// Keeps attributes that a run has set others in place of.
    pub(super) fn keep(&mut self, run: u64, values: &[(Facet, Value)]) -> Result<(), TwoWayError> {
        if values.is_empty() {
            return Ok(());
        }
        let mut table = self.txn.open_table(VALUES).map_err(storage(WRITING))?;
        for (facet, value) in values {
            // None are known by that alone.
            if let Some(FacetSum(sum)) = value.sum(*facet) {
                let key = (run, facet.code(), sum);
                table.insert(key, &*value.encode()).map_err(storage(WRITING))?;
            }
        }
        Ok(())
    }

    fn put_run(&mut self, run: &Run, aside: Option<Aside>) -> Result<(), TwoWayError> {
        let mut bytes = postcard::to_stdvec(run).map_err(unwritable)?;
        if let Some(aside) = aside {
            bytes = postcard::to_extend(&aside, bytes).map_err(unwritable)?;
        }
        let mut runs = self.txn.open_table(RUNS).map_err(storage(WRITING))?;
        runs.insert(run.number, &*bytes).map_err(storage(WRITING))?;
        Ok(())
    }
}

impl History {
    /// Begins a run, whose log is what [`installed`](History::installed) tells from then on, and returns its number.
    /// `modes` is what of permission bits it synchronises.
    ///
    /// # Errors
    /// Those of writing.
    pub fn begin_run(&mut self, began: FileTime, purpose: Purpose, modes: Modes) -> Result<u64, TwoWayError> {
        let mut change = Change::begin(self)?;
        let number = change.identity.run.saturating_add(1);
        change.identity.run = number;
        let aside = Aside { modes, is_taken_over: false };
        change.put_run(&Run { number, began, purpose, ending: None }, Some(aside))?;
        change.commit()?;
        Ok(number)
    }

    /// Lets the next run have a number beyond this one, under which there is something of a run that is not remembered.
    pub fn count_runs_after(&mut self, number: u64) {
        self.identity.run = self.identity.run.max(number);
    }

    /// The present run has come to its end.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn end_run(&mut self, ending: Ending) -> Result<(), TwoWayError> {
        let Some(run) = self.run(self.identity.run)? else { return Ok(()) };
        let mut change = Change::begin(self)?;
        change.put_run(&Run { ending: Some(ending), ..run }, None)?;
        change.commit()
    }

    /// The last run, if it did not come to its end and nobody has taken over yet what it left.
    ///
    /// # Errors
    /// Those of reading.
    pub fn killed(&self) -> Result<Option<Killed>, TwoWayError> {
        let runs = self.read()?.open_table(RUNS).map_err(storage(READING))?;
        let Some((_, row)) = runs.last().map_err(storage(READING))? else { return Ok(None) };
        let (run, aside) = read_row(row.value())?;
        let is_left = run.ending.is_none() && !aside.is_some_and(|aside| aside.is_taken_over);
        Ok(is_left.then_some(Killed { number: run.number, modes: aside.map(|aside| aside.modes) }))
    }

    /// What that run left has been taken over.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn is_taken_over(&mut self, killed: &Killed) -> Result<(), TwoWayError> {
        let Some(run) = self.run(killed.number)? else { return Ok(()) };
        let mut change = Change::begin(self)?;
        let aside = Aside { modes: killed.modes.unwrap_or(Modes::Whole), is_taken_over: true };
        change.put_run(&run, Some(aside))?;
        change.commit()
    }

    /// Forgets what runs did.
    ///
    /// # Errors
    /// Those of writing.
    pub fn forget_runs(&mut self, numbers: &[u64]) -> Result<(), TwoWayError> {
        if numbers.is_empty() {
            return Ok(());
        }
        let change = Change::begin(self)?;
        for number in numbers {
            let mut runs = change.txn.open_table(RUNS).map_err(storage(WRITING))?;
            runs.remove(number).map_err(storage(WRITING))?;
            let mut entries = change.txn.open_table(ENTRIES).map_err(storage(WRITING))?;
            let of_run = (*number, 0)..=(*number, u64::MAX);
            entries.retain_in(of_run, |_, _| false).map_err(storage(WRITING))?;
            let mut values = change.txn.open_table(VALUES).map_err(storage(WRITING))?;
            let of_run = (*number, 0, [0; 16])..=(*number, u8::MAX, [u8::MAX; 16]);
            values.retain_in(of_run, |_, _| false).map_err(storage(WRITING))?;
            change.forget_replaced(*number)?;
        }
        change.commit()
    }

    /// The run of that number, if it is remembered.
    ///
    /// # Errors
    /// Those of reading.
    pub fn run(&self, number: u64) -> Result<Option<Run>, TwoWayError> {
        let runs = self.read()?.open_table(RUNS).map_err(storage(READING))?;
        let run = runs.get(number).map_err(storage(READING))?;
        run.map(|run| read_run(run.value())).transpose()
    }

    /// The runs that are remembered, oldest first.
    ///
    /// # Errors
    /// Those of reading.
    pub fn runs(
        &self,
    ) -> Result<impl DoubleEndedIterator<Item = Result<Run, TwoWayError>> + use<>, TwoWayError> {
        let runs = self.read()?.open_table(RUNS).map_err(storage(READING))?;
        let rows = runs.range::<u64>(..).map_err(storage(READING))?;
        Ok(rows.map(|row| read_run(row.map_err(storage(READING))?.1.value())))
    }

    /// What a run did, in the order in which it did it.
    ///
    /// # Errors
    /// Those of reading.
    pub fn entries(
        &self,
        run: u64,
    ) -> Result<impl DoubleEndedIterator<Item = Result<Entry, TwoWayError>> + use<>, TwoWayError> {
        let rows = self.rows_of_entries((run, 0)..=(run, u64::MAX))?;
        Ok(rows.flat_map(|row| match row {
            Ok((_, entries)) => entries,
            Err(error) => vec![Err(error)],
        }))
    }

    /// The attributes with this sum that a run has set others in place of, if they are remembered.
    ///
    /// # Errors
    /// Those of reading.
    pub fn value(&self, run: u64, facet: Facet, sum: FacetSum) -> Result<Option<Value>, TwoWayError> {
        let values = self.read()?.open_table(VALUES).map_err(storage(READING))?;
        let value = values.get((run, facet.code(), sum.0)).map_err(storage(READING))?;
        value
            .map(|value| Value::decode(facet, value.value()).map_err(|error| row::damaged(&error)))
            .transpose()
    }

    /// What all runs did at a path, and below it, with the number of the run, oldest first.
    ///
    /// # Errors
    /// Those of reading.
    pub fn entries_of(
        &self,
        path: &RelPath,
    ) -> Result<impl Iterator<Item = Result<(u64, Entry), TwoWayError>> + use<>, TwoWayError> {
        let rows = self.rows_of_entries((0, 0)..=(u64::MAX, u64::MAX))?;
        let path = path.clone();
        let is_about = move |entry: &Entry| entry.path == path || entry.path.is_below(&path);
        let all = rows.flat_map(|row| match row {
            Ok((run, entries)) => entries.into_iter().map(|entry| Ok((run, entry?))).collect(),
            Err(error) => vec![Err(error)],
        });
        Ok(all.filter(move |entry| !matches!(entry, Ok((_, entry)) if !is_about(entry))))
    }

    fn rows_of_entries(
        &self,
        range: RangeInclusive<(u64, u64)>,
    ) -> Result<impl DoubleEndedIterator<Item = Result<Row, TwoWayError>> + use<>, TwoWayError> {
        let entries = self.read()?.open_table(ENTRIES).map_err(storage(READING))?;
        let rows = entries.range::<(u64, u64)>(range).map_err(storage(READING))?;
        Ok(rows.map(|row| {
            let (key, bytes) = row.map_err(storage(READING))?;
            Ok((key.value().0, read_entries(bytes.value())))
        }))
    }
}

/// The number of a run, and some of its entries.
type Row = (u64, Vec<Result<Entry, TwoWayError>>);
