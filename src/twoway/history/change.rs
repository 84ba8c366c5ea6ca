//! Changing a history: one transaction each, named after what it is for.

use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::crash;
use crate::twoway::facet::{Facet, Value};
use crate::twoway::history::identity::{self, Identity, Place};
use crate::twoway::history::owners;
use crate::twoway::history::row::{self, Authors, Known};
use crate::twoway::history::runs::Late;
use crate::twoway::history::{
    AUTHORS, Acknowledgement, CHANGES, History, IDENTITY, INTENTS, LINEAGES, PARTNERS, PENDING, Partner,
    READING, RECORDS, Snapshot, partner, storage,
};
use crate::twoway::lineage::{Lineages, Tag};
use crate::twoway::log;
use crate::twoway::record::{Record, State};
use crate::twoway::version::Author;
use filetime::FileTime;
use redb::{ReadableTable as _, ReadableTableMetadata as _, WriteTransaction};
use std::collections::BTreeMap;

pub(super) const WRITING: &str = "writing";

/// How many rows are written in one go, as finding their table takes longer than writing one.
const BATCH: usize = 1024;

/// A transaction. Dropped before it is committed, it leaves everything as it was.
pub(in crate::twoway) struct Change<'h> {
    pub(super) history: &'h mut History,
    pub(super) txn: WriteTransaction,
    pub(super) identity: Identity,
    pub(super) authors: Authors,
    lineages: Lineages,
    rows: Vec<(Vec<u8>, Known, Option<u64>)>,
}

/// How a record that is written relates to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::twoway) enum Told {
    /// Partners are to be told of it. With the number of the change before, if there is one.
    Anew(Option<u64>),
    /// Nothing in it is news to partners.
    Already,
}

impl<'h> Change<'h> {
    pub(in crate::twoway) fn begin(history: &'h mut History) -> Result<Change<'h>, TwoWayError> {
        let txn = history.db.begin_write().map_err(storage(WRITING))?;
        let (identity, authors) = (history.identity.clone(), history.authors.clone());
        let lineages = history.lineages.clone();
        Ok(Change { history, txn, identity, authors, lineages, rows: Vec::new() })
    }

    /// Writes what is known of a path.
    pub(in crate::twoway) fn put(
        &mut self,
        key: Vec<u8>,
        mut known: Known,
        told: Told,
    ) -> Result<(), TwoWayError> {
        let before = match told {
            Told::Already => None,
            Told::Anew(before) => {
                self.identity.sequence = self.identity.sequence.saturating_add(1);
                known.sequence = self.identity.sequence;
                Some(before.unwrap_or(0))
            }
        };
        self.rows.push((key, known, before));
        if self.rows.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// What is known of these paths by now, with all that was put.
    pub(in crate::twoway) fn known(&mut self, keys: &[Vec<u8>]) -> Result<Vec<Option<Known>>, TwoWayError> {
        self.flush()?;
        let records = self.txn.open_table(RECORDS).map_err(storage(READING))?;
        let known = |key: &Vec<u8>| {
            let row = records.get(&**key).map_err(storage(READING))?;
            row.map(|row| row::decode(row.value(), &self.authors)).transpose()
        };
        keys.iter().map(known).collect()
    }

    fn flush(&mut self) -> Result<(), TwoWayError> {
        let mut records = self.txn.open_table(RECORDS).map_err(storage(WRITING))?;
        let mut changes = self.txn.open_table(CHANGES).map_err(storage(WRITING))?;
        for (key, mut known, before) in self.rows.drain(..) {
            // Of what has no number of a change before there is no record either.
            if before != Some(0)
                && owners::lacks(&known.record)
                && let Some(row) = records.get(&*key).map_err(storage(READING))?
            {
                owners::keep(&mut known.record, &row::decode(row.value(), &self.authors)?.record);
            }
            let value = row::encode(&known, &mut self.authors)?;
            records.insert(&*key, &*value).map_err(storage(WRITING))?;
            let Some(before) = before else { continue };
            if before > self.identity.indexed_from {
                changes.remove(before).map_err(storage(WRITING))?;
            }
            // Without partners there is nobody to tell of changes: the first one is told everything.
            if self.history.partners > 0 {
                changes.insert(known.sequence, &*key).map_err(storage(WRITING))?;
            }
        }
        Ok(())
    }

    /// Writes what is known of a path in place of what was there before all changes, under a number of its own.
    fn replace(&mut self, path: &RelPath, known: Known, before: &Snapshot) -> Result<(), TwoWayError> {
        let key = row::key(path);
        let before = before.known(&key)?.map(|known| known.sequence);
        self.put(key, known, Told::Anew(before))
    }

    /// Who counts.
    pub(in crate::twoway) fn author(&self) -> Author {
        Author(self.identity.author)
    }

    /// Gives this author one generation more and returns its number.
    pub(in crate::twoway) fn generation(&mut self, tag: Tag) -> u64 {
        self.identity.generation = self.lineages.count_on(self.author(), tag);
        self.identity.generation
    }

    pub(in crate::twoway) fn commit(mut self) -> Result<(), TwoWayError> {
        self.flush()?;
        let partners = {
            let table = self.txn.open_table(PARTNERS).map_err(storage(WRITING))?;
            table.len().map_err(storage(WRITING))?
        };
        if self.history.partners == 0 {
            self.identity.indexed_from = self.identity.sequence;
        }
        {
            let mut authors = self.txn.open_table(AUTHORS).map_err(storage(WRITING))?;
            for number in self.history.authors.len()..self.authors.len() {
                let (Ok(key), Some(author)) = (u32::try_from(number), self.authors.get(number)) else {
                    break;
                };
                authors.insert(key, author.0).map_err(storage(WRITING))?;
            }
            let bytes = postcard::to_stdvec(&self.identity).map_err(unwritable)?;
            let mut table = self.txn.open_table(IDENTITY).map_err(storage(WRITING))?;
            table.insert((), &*bytes).map_err(storage(WRITING))?;
        }
        if self.lineages != self.history.lineages {
            let bytes = postcard::to_stdvec(&self.lineages).map_err(unwritable)?;
            let mut table = self.txn.open_table(LINEAGES).map_err(storage(WRITING))?;
            table.insert((), &*bytes).map_err(storage(WRITING))?;
        }
        crash::point("commit");
        self.txn.commit().map_err(storage(WRITING))?;
        crash::point("committed");
        self.history.identity = self.identity;
        self.history.authors = self.authors;
        self.history.lineages = self.lineages;
        self.history.partners = partners;
        Ok(())
    }

    fn each_partner(&mut self, change: &mut dyn FnMut(&mut Partner)) -> Result<(), TwoWayError> {
        let mut table = self.txn.open_table(PARTNERS).map_err(storage(WRITING))?;
        let mut all = Vec::new();
        for row in table.iter().map_err(storage(READING))? {
            let (author, value) = row.map_err(storage(READING))?;
            all.push((author.value(), partner::decode(value.value())?));
        }
        for (author, mut partner) in all {
            change(&mut partner);
            let bytes = postcard::to_stdvec(&partner).map_err(unwritable)?;
            table.insert(author, &*bytes).map_err(storage(WRITING))?;
        }
        Ok(())
    }

    /// Forgets changes that every partner has acknowledged.
    fn trim_changes(&mut self) -> Result<(), TwoWayError> {
        let mut least = u64::MAX;
        self.each_partner(&mut |partner| least = least.min(partner.acknowledged))?;
        let least = least.min(self.identity.sequence);
        if least > self.identity.indexed_from {
            let mut changes = self.txn.open_table(CHANGES).map_err(storage(WRITING))?;
            changes.retain_in(..=least, |_, _| false).map_err(storage(WRITING))?;
            self.identity.indexed_from = least;
        }
        Ok(())
    }
}

/// What came of learning what a partner knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Learned {
    /// Whether two have counted under one name, of whatever replica.
    pub is_forked: bool,
    /// Whether somebody else has under this replica's, which therefore goes on under a fresh one.
    pub is_fresh: bool,
}

impl History {
    /// A new history begins, or a copied one goes on under a name of its own: nobody knows anything of that one's
    /// changes.
    pub(super) fn begin_life(&mut self, place: Place) -> Result<(), TwoWayError> {
        let author = identity::new_author()?;
        let mut change = Change::begin(self)?;
        change.new_author(author)?;
        change.identity.place = place;
        change.commit()
    }

    /// What needs no file to be touched: records that both sides have agreed on, with how the entry looked.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn plan_records(
        &mut self,
        records: impl IntoIterator<Item = (RelPath, Record)>,
    ) -> Result<(), TwoWayError> {
        let snapshot = self.snapshot()?;
        let mut change = Change::begin(self)?;
        for (path, record) in records {
            let key = row::key(&path);
            let before = snapshot.known(&key)?;
            let sequence = before.as_ref().map(|known| known.sequence);
            let look = before.and_then(|known| known.look).filter(|_| record.state.is_present());
            change.put(key, Known::there(record, look), Told::Anew(sequence))?;
        }
        change.commit()
    }

    /// What is going to be done to files: the record that each path will have.
    ///
    /// # Errors
    /// Those of writing.
    pub fn intend(
        &mut self,
        intents: impl IntoIterator<Item = (RelPath, Record)>,
    ) -> Result<(), TwoWayError> {
        let mut change = Change::begin(self)?;
        change.put_intents(intents.into_iter().map(|(path, record)| (path, Known::there(record, None))))?;
        change.commit()
    }

    /// A step of an undo: what its log tells of what was done, with the attributes that others were set in place of,
    /// and that nothing is intended at those paths any more; and of what comes next, what there is before it is done.
    /// No record changes: the next scan finds what was put back.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub(in crate::twoway) fn undoing<'p>(
        &mut self,
        log: &[log::Entry],
        replaced: &[(Facet, Value)],
        done: impl Iterator<Item = &'p RelPath>,
        next: &BTreeMap<RelPath, Known>,
    ) -> Result<(), TwoWayError> {
        let mut change = Change::begin(self)?;
        let run = change.identity.run;
        change.log(run, log)?;
        change.keep(run, replaced)?;
        change.drop_intents(done)?;
        change.put_intents(next.iter().map(|(path, known)| (path.clone(), known.clone())))?;
        change.commit()
    }

    /// What was done to files: what is known of each now, with how it looks. It is no longer intended. A directory that
    /// was removed but is still there has a record that says so. What the log of the run tells of it is written with
    /// it, and the attributes that it set others in place of.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn installed(
        &mut self,
        done: &[(RelPath, Known)],
        log: &[log::Entry],
        replaced: &[(Facet, Value)],
    ) -> Result<(), TwoWayError> {
        let snapshot = self.snapshot()?;
        let mut change = Change::begin(self)?;
        let run = change.identity.run;
        change.log(run, log)?;
        change.keep(run, replaced)?;
        change.drop_intents(done.iter().map(|(path, _)| path))?;
        for (path, known) in done {
            change.replace(path, known.clone(), &snapshot)?;
        }
        change.commit()
    }

    /// After a run that was killed: takes what is known by now of those paths at which something was intended, and
    /// drops all intents. Its log says then what it did.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn recover(&mut self, found: &[(RelPath, Known)], late: &Late) -> Result<(), TwoWayError> {
        let snapshot = self.snapshot()?;
        let mut change = Change::begin(self)?;
        change.drop_all_intents()?;
        if let Some(run) = late.run {
            change.log(run, &late.entries)?;
            change.keep(run, &late.replaced)?;
        }
        for (path, known) in found {
            change.replace(path, known.clone(), &snapshot)?;
        }
        change.commit()
    }

    /// The end of a run with a partner. A partner that is not known yet is acknowledged at the beginning too, with
    /// nothing, so that what changes from then on is kept for it.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn acknowledged(&mut self, acknowledgement: &Acknowledgement<'_>) -> Result<(), TwoWayError> {
        let author = acknowledgement.author.0;
        let snapshot = self.snapshot()?;
        let mut change = Change::begin(self)?;
        for (path, known) in acknowledgement.records {
            change.replace(path, known.clone(), &snapshot)?;
        }
        change.flush()?;
        {
            let bytes = postcard::to_stdvec(&acknowledgement.partner).map_err(unwritable)?;
            let mut partners = change.txn.open_table(PARTNERS).map_err(storage(WRITING))?;
            partners.insert(author, &*bytes).map_err(storage(WRITING))?;
            let mut pending = change.txn.open_table(PENDING).map_err(storage(WRITING))?;
            pending.retain(|(of, _), ()| of != author).map_err(storage(WRITING))?;
            for path in acknowledgement.pending {
                pending.insert((author, &*row::key(path)), ()).map_err(storage(WRITING))?;
            }
        }
        if change.history.partners > 0 {
            change.trim_changes()?;
        }
        change.commit()
    }

    /// Learns what a partner knows of generations. Where that shows that two have counted under one name, what is not
    /// common to both gets a name of its own, in every record, and everything is to be compared with every partner. If
    /// somebody else counts under this replica's name, it goes on under a fresh one. Returns what came of it.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn learn(&mut self, news: &Lineages) -> Result<Learned, TwoWayError> {
        let fresh = identity::new_author()?;
        let mut change = Change::begin(self)?;
        let renamings = change.lineages.merge(news);
        if !renamings.is_empty() {
            let rows = change.history.snapshot()?.rows()?;
            for row in rows {
                let (key, mut known) = row?;
                let renamed =
                    renamings.iter().fold(known.record.clone(), |record, renaming| record.renamed(renaming));
                if renamed != known.record {
                    known.record = renamed;
                    let before = known.sequence;
                    change.put(key, known, Told::Anew(Some(before)))?;
                }
            }
            change.flush()?;
            change.each_partner(&mut |partner| partner.options = None)?;
        }
        let is_fresh = change.lineages.is_shared(change.author(), change.identity.generation);
        if is_fresh {
            change.identity.author = fresh.0;
            change.identity.generation = 0;
        }
        change.commit()?;
        Ok(Learned { is_forked: !renamings.is_empty(), is_fresh })
    }

    /// Forgets removals that were found before `before`, and returns how many. A partner that has not acknowledged one
    /// is compared with as a whole next time.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub fn expire(&mut self, before: FileTime) -> Result<u64, TwoWayError> {
        let mut change = Change::begin(self)?;
        let rows = change.history.snapshot()?.rows()?;
        let (mut count, mut latest) = (0_u64, 0);
        for row in rows {
            let (key, known) = row?;
            if known.record.state != State::Absent
                || known.is_unknown
                || known.record.occupied
                || known.record.mtime >= before
            {
                continue;
            }
            count = count.saturating_add(1);
            latest = known.sequence.max(latest);
            let mut records = change.txn.open_table(RECORDS).map_err(storage(WRITING))?;
            records.remove(&*key).map_err(storage(WRITING))?;
            let mut changes = change.txn.open_table(CHANGES).map_err(storage(WRITING))?;
            changes.remove(known.sequence).map_err(storage(WRITING))?;
        }
        change.each_partner(&mut |partner| {
            if partner.acknowledged < latest {
                partner.options = None;
            }
        })?;
        if count > 0 {
            change.commit()?;
        }
        Ok(count)
    }

    /// Begins a generation for what a plan settles, and returns its number.
    ///
    /// # Errors
    /// Those of writing.
    pub fn count_on(&mut self) -> Result<u64, TwoWayError> {
        let tag = identity::new_tag()?;
        let mut change = Change::begin(self)?;
        let generation = change.generation(tag);
        change.commit()?;
        Ok(generation)
    }
}

impl Change<'_> {
    fn new_author(&mut self, author: Author) -> Result<(), TwoWayError> {
        self.identity.author = author.0;
        self.identity.generation = 0;
        self.identity.indexed_from = self.identity.sequence;
        let mut partners = self.txn.open_table(PARTNERS).map_err(storage(WRITING))?;
        partners.retain(|_, _| false).map_err(storage(WRITING))?;
        let mut pending = self.txn.open_table(PENDING).map_err(storage(WRITING))?;
        pending.retain(|_, ()| false).map_err(storage(WRITING))?;
        let mut changes = self.txn.open_table(CHANGES).map_err(storage(WRITING))?;
        changes.retain(|_, _| false).map_err(storage(WRITING))
    }

    fn put_intents(&mut self, intents: impl Iterator<Item = (RelPath, Known)>) -> Result<(), TwoWayError> {
        let mut table = self.txn.open_table(INTENTS).map_err(storage(WRITING))?;
        for (path, known) in intents {
            let value = row::encode(&known, &mut self.authors)?;
            table.insert(&*row::key(&path), &*value).map_err(storage(WRITING))?;
        }
        Ok(())
    }

    fn drop_all_intents(&mut self) -> Result<(), TwoWayError> {
        let mut table = self.txn.open_table(INTENTS).map_err(storage(WRITING))?;
        table.retain(|_, _| false).map_err(storage(WRITING))
    }

    fn drop_intents<'p>(&mut self, paths: impl Iterator<Item = &'p RelPath>) -> Result<(), TwoWayError> {
        let mut table = self.txn.open_table(INTENTS).map_err(storage(WRITING))?;
        for path in paths {
            table.remove(&*row::key(path)).map_err(storage(WRITING))?;
        }
        Ok(())
    }
}

pub(in crate::twoway) fn unwritable(error: postcard::Error) -> TwoWayError {
    let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
    TwoWayError::Storage { doing: WRITING, source }
}
