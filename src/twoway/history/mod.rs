//! What a replica remembers: the state and version of every path, and how far its partners know them.
//!
//! A history is a redb database in one file of the replica's own directory. Every change of it is one transaction,
//! named after what it is for; whoever is killed leaves the one before. The order in which a run makes them is what
//! makes it safe to be killed: first what a [scan] found, before anybody is told; then [`History::plan_records`] for
//! all that needs no file to be touched, and [`History::intend`] for what does; after each of these is done,
//! [`History::installed`]; and at the end [`History::acknowledged`]. The next run begins with [`History::recover`].
//!
//! | table | key | value |
//! |---|---|---|
//! | `identity` | | format, author, generation, sequence, place |
//! | `authors` | number | author, for the versions in rows |
//! | `records` | path | record, look, sequence |
//! | `changes` | sequence | path, for changes that some partner has not acknowledged |
//! | `partners` | author | how far each knows the other, and with which rules |
//! | `met` | author | when it was last met with nothing to be done |
//! | `pending` | author, path | what is left undone with that partner |
//! | `lineages` | | the generations and forks heard of |
//! | `intents` | path | the record that is to be true when what is going on is done; of an undo, what was there |
//! | `runs` | number | a run's header, and until it comes to its end how to take over what it left |
//! | `entries` | number, a count | what the run did at some paths |
//! | `values` | number, facet, sum | attributes that the run has set others in place of |
//! | `replaced` | number, path | the version of a file that the run has put into the trash |
//! | `visible` | | the rules for the names of extended attributes by which these were last looked at |
//!
//! The file is checked against its checksums whenever it is opened, as a wrong bit could look like a removal. What
//! fails that check, is cut off, or is something else is told apart ([`TwoWayError`]); a run does not go on without the
//! user.
//!
//! [scan]: crate::twoway::scan

mod change;
mod file;
mod identity;
mod overlay;
mod owners;
mod partner;
mod replaced;
mod row;
mod runs;
#[cfg(test)]
mod tests;
mod visible;

pub use identity::Origin;
pub use partner::{Acknowledgement, Partner};
pub use replaced::Replaced;
pub use row::{Known, Look};
pub use runs::{Killed, Late};

pub use change::Learned;
pub(super) use change::{Change, Told, unwritable};
pub(super) use identity::{new_tag, new_token};

use crate::fs::{Dir, ReadFile, WriteFile};
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::facet::Visible;
use crate::twoway::lineage::Lineages;
use crate::twoway::record::Record;
use crate::twoway::version::Author;
use file::Unlocked;
use identity::{FORMAT, Identity, Place};
use overlay::Overlay;
use owners::Seen;
use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageBackend,
    TableDefinition,
};
use row::Authors;
use std::cmp::Ordering;
use std::io::ErrorKind;
use std::ops::Bound;
use std::sync::Arc;

const IDENTITY: TableDefinition<'_, (), &[u8]> = TableDefinition::new("identity");
const AUTHORS: TableDefinition<'_, u32, [u8; 16]> = TableDefinition::new("authors");
const RECORDS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("records");
const CHANGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("changes");
const PARTNERS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("partners");
/// When a run with a partner last came to its end without anything to be done; older histories have no such table.
const MET: TableDefinition<'_, [u8; 16], (i64, u32)> = TableDefinition::new("met");
const PENDING: TableDefinition<'_, ([u8; 16], &[u8]), ()> = TableDefinition::new("pending");
const LINEAGES: TableDefinition<'_, (), &[u8]> = TableDefinition::new("lineages");
const INTENTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("intents");
const RUNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("runs");
const ENTRIES: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("entries");
const VALUES: TableDefinition<'_, (u64, u8, [u8; 16]), &[u8]> = TableDefinition::new("values");
/// Older histories have no such table.
const REPLACED: TableDefinition<'_, (u64, &[u8]), &[u8]> = TableDefinition::new("replaced");
/// Older histories have no such table, nor do those in which no rules were ever heeded.
const VISIBLE: TableDefinition<'_, (), &[u8]> = TableDefinition::new("visible");

/// What a redb file begins with.
const MAGIC: &[u8] = b"redb\x1A\x0A\xA9\x0D\x0A";

const CUT_OFF: &str = "it is cut off";

/// Bytes of the file kept in memory.
const CACHE: usize = 8 << 20;

/// The history of a replica.
#[derive(Debug)]
pub struct History {
    db: Database,
    identity: Identity,
    authors: Authors,
    lineages: Lineages,
    partners: u64,
    /// What is read of owners.
    owners: Seen,
    /// The extended attributes of which something is known.
    visible: Visible,
    /// What keeps other runs from the replica. The last field: it goes when the database is closed, which writes to it.
    held: Option<Arc<WriteFile>>,
}

/// A moment of a history, to be read while it is changed.
pub(super) struct Snapshot {
    authors: Authors,
    owners: Seen,
    records: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl History {
    /// Opens the history in `file`, which is begun if it is empty, of the replica at `root`. Whoever is killed while it
    /// is begun may leave what is no history.
    ///
    /// # Errors
    /// It is damaged, no history at all, or of a later format; or reading and writing fail.
    pub fn open(file: WriteFile, root: &Dir) -> Result<(History, Origin), TwoWayError> {
        let stamp = file.stamp().map_err(TwoWayError::at(".dsync/history"))?;
        check_beginning(&|beginning| file.read_full_at(beginning, 0))?;
        let file = redb::backends::FileBackend::new(file.into()).map_err(storage(OPENING))?;
        let db = create(Unlocked { file, is_begun: stamp.size == 0 })?;
        History::begin(db, Place::here(root, Some(&stamp))?)
    }

    /// The same to look at it only: what is written stays in memory, and the file as it is. Without one, all is.
    ///
    /// # Errors
    /// Those of [`open`](History::open).
    pub fn open_to_look(file: Option<ReadFile>, root: &Dir) -> Result<(History, Origin), TwoWayError> {
        let stamp = file.as_ref().map(ReadFile::stamp);
        if let Some(file) = &file {
            check_beginning(&|beginning| file.read_full_at(beginning, 0))?;
        }
        History::begin(create(Overlay::new(file))?, Place::here(root, stamp.as_ref())?)
    }

    fn begin(db: Database, place: Place) -> Result<(History, Origin), TwoWayError> {
        let stored = Identity::read(&db)?;
        let origin = match &stored {
            None => Origin::New,
            Some(stored) if stored.place == place => Origin::Known,
            Some(_) => Origin::Copied,
        };
        let blank = Identity {
            format: FORMAT,
            author: [0; 16],
            generation: 0,
            sequence: 0,
            indexed_from: 0,
            run: 0,
            place: place.clone(),
        };
        let identity = stored.unwrap_or(blank);
        let (authors, lineages) = Default::default();
        let (owners, visible) = (Seen::BOTH, Visible::ALL);
        let mut history =
            History { db, identity, authors, lineages, partners: 0, owners, visible, held: None };
        if origin == Origin::New {
            history.create_tables()?;
        }
        history.read_small_tables()?;
        if origin != Origin::Known {
            history.begin_life(place)?;
        }
        Ok((history, origin))
    }

    /// Holds the lock of the replica as long as it is open itself.
    pub(super) fn hold(&mut self, lock: Arc<WriteFile>) {
        self.held = Some(lock);
    }

    /// From now on users and groups are read only where they take part in a run; what is known of them else stays.
    pub(super) fn takes_part(&mut self, (user, group): (bool, bool)) {
        self.owners = Seen { user, group };
    }

    fn create_tables(&self) -> Result<(), TwoWayError> {
        let failed = "beginning";
        let txn = self.db.begin_write().map_err(storage(failed))?;
        txn.open_table(IDENTITY).map_err(storage(failed))?;
        txn.open_table(AUTHORS).map_err(storage(failed))?;
        txn.open_table(RECORDS).map_err(storage(failed))?;
        txn.open_table(CHANGES).map_err(storage(failed))?;
        txn.open_table(PARTNERS).map_err(storage(failed))?;
        txn.open_table(PENDING).map_err(storage(failed))?;
        txn.open_table(LINEAGES).map_err(storage(failed))?;
        txn.open_table(INTENTS).map_err(storage(failed))?;
        txn.open_table(RUNS).map_err(storage(failed))?;
        txn.open_table(ENTRIES).map_err(storage(failed))?;
        txn.open_table(VALUES).map_err(storage(failed))?;
        txn.commit().map_err(storage(failed))
    }

    fn read_small_tables(&mut self) -> Result<(), TwoWayError> {
        let txn = self.read()?;
        let authors = txn.open_table(AUTHORS).map_err(storage(READING))?;
        for (expected, row) in authors.iter().map_err(storage(READING))?.enumerate() {
            let (number, author) = row.map_err(storage(READING))?;
            if usize::try_from(number.value()) != Ok(expected) {
                return Err(row::damaged(&"an author is missing"));
            }
            self.authors.push(Author(author.value()));
        }
        let lineages = txn.open_table(LINEAGES).map_err(storage(READING))?;
        if let Some(bytes) = lineages.get(()).map_err(storage(READING))? {
            self.lineages = postcard::from_bytes(bytes.value()).map_err(|error| row::damaged(&error))?;
        }
        let partners = txn.open_table(PARTNERS).map_err(storage(READING))?;
        self.partners = redb::ReadableTableMetadata::len(&partners).map_err(storage(READING))?;
        self.visible = visible::read(&txn)?;
        Ok(())
    }

    fn read(&self) -> Result<ReadTransaction, TwoWayError> {
        self.db.begin_read().map_err(storage(READING))
    }

    /// Who counts here.
    pub fn author(&self) -> Author {
        Author(self.identity.author)
    }

    /// How many generations this author has had.
    pub fn generation(&self) -> u64 {
        self.identity.generation
    }

    /// The number of the last change of a record.
    pub fn sequence(&self) -> u64 {
        self.identity.sequence
    }

    /// The number of the last run, 0 if there was none.
    pub fn last_run(&self) -> u64 {
        self.identity.run
    }

    /// What is known of a path.
    ///
    /// # Errors
    /// Those of reading.
    pub fn known(&self, path: &RelPath) -> Result<Option<Known>, TwoWayError> {
        self.snapshot()?.known(&row::key(path))
    }

    /// The history as it is now.
    pub(super) fn snapshot(&self) -> Result<Snapshot, TwoWayError> {
        let records = self.read()?.open_table(RECORDS).map_err(storage(READING))?;
        Ok(Snapshot { authors: self.authors.clone(), owners: self.owners, records })
    }

    /// Hands everything known to `each`, in the order of a walk.
    ///
    /// # Errors
    /// Those of reading, and of `each`.
    pub fn all(
        &self,
        each: &mut dyn FnMut(RelPath, Known) -> Result<(), TwoWayError>,
    ) -> Result<(), TwoWayError> {
        self.snapshot()?.range(Bound::Unbounded, Bound::Unbounded, each)
    }

    /// The same of what is below a directory.
    ///
    /// # Errors
    /// Those of reading, and of `each`.
    pub fn below(
        &self,
        directory: &RelPath,
        each: &mut dyn FnMut(RelPath, Known) -> Result<(), TwoWayError>,
    ) -> Result<(), TwoWayError> {
        let (first, end) = row::below(directory);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        self.snapshot()?.range(Bound::Included(&first), end, each)
    }

    /// Hands the paths whose records have changed after the change number `since` to `each`, in the order of the
    /// changes. `false` if not all of them are known any more: then everything is to be compared.
    ///
    /// # Errors
    /// Those of reading, and of `each`.
    pub fn changes(
        &self,
        since: u64,
        each: &mut dyn FnMut(RelPath) -> Result<(), TwoWayError>,
    ) -> Result<bool, TwoWayError> {
        if since < self.identity.indexed_from || since > self.identity.sequence {
            return Ok(false);
        }
        let changes = self.read()?.open_table(CHANGES).map_err(storage(READING))?;
        let later = (Bound::Excluded(since), Bound::Unbounded);
        for row in changes.range::<u64>(later).map_err(storage(READING))? {
            let (_, key) = row.map_err(storage(READING))?;
            each(row::path(key.value())?)?;
        }
        Ok(true)
    }

    /// What is intended: recorded before a run touched the files, and not done as far as is known.
    ///
    /// # Errors
    /// Those of reading.
    pub fn intents(&self) -> Result<Vec<(RelPath, Record)>, TwoWayError> {
        let all = self.intended()?;
        Ok(all.into_iter().map(|(path, known)| (path, known.record)).collect())
    }

    /// The same, with the looks that an undo has written down with what there was before.
    pub(super) fn intended(&self) -> Result<Vec<(RelPath, Known)>, TwoWayError> {
        let intents = self.read()?.open_table(INTENTS).map_err(storage(READING))?;
        let mut all = Vec::new();
        for row in intents.iter().map_err(storage(READING))? {
            let (key, value) = row.map_err(storage(READING))?;
            all.push((row::path(key.value())?, row::decode(value.value(), &self.authors)?));
        }
        Ok(all)
    }

    /// All generations heard of, and all forks, to be passed on.
    pub fn lineages(&self) -> &Lineages {
        &self.lineages
    }
}

impl Snapshot {
    pub(super) fn known(&self, key: &[u8]) -> Result<Option<Known>, TwoWayError> {
        let row = self.records.get(key).map_err(storage(READING))?;
        row.map(|row| Ok(self.owners.of(row::decode(row.value(), &self.authors)?))).transpose()
    }

    fn range(
        &self,
        first: Bound<&[u8]>,
        end: Bound<&[u8]>,
        each: &mut dyn FnMut(RelPath, Known) -> Result<(), TwoWayError>,
    ) -> Result<(), TwoWayError> {
        for row in self.records.range::<&[u8]>((first, end)).map_err(storage(READING))? {
            let (key, value) = row.map_err(storage(READING))?;
            each(row::path(key.value())?, self.owners.of(row::decode(value.value(), &self.authors)?))?;
        }
        Ok(())
    }

    /// All records, by key.
    pub(super) fn rows(
        &self,
    ) -> Result<impl Iterator<Item = Result<(Vec<u8>, Known), TwoWayError>> + use<>, TwoWayError> {
        let (authors, owners) = (self.authors.clone(), self.owners);
        let rows = self.records.range::<&[u8]>(..).map_err(storage(READING))?;
        Ok(rows.map(move |row| {
            let (key, value) = row.map_err(storage(READING))?;
            Ok((key.value().to_vec(), owners.of(row::decode(value.value(), &authors)?)))
        }))
    }
}

pub(super) use row::{Stored, StoredFacet, Time, key, path};

const OPENING: &str = "opening";
const READING: &str = "reading";

/// What is said of an error of the database.
fn storage<E: Into<redb::Error>>(doing: &'static str) -> impl FnOnce(E) -> TwoWayError {
    move |error| match error.into() {
        redb::Error::Corrupted(why) => TwoWayError::Damaged { why },
        redb::Error::Io(source) => TwoWayError::Storage { doing, source },
        other => TwoWayError::Storage { doing, source: std::io::Error::other(other.to_string()) },
    }
}

/// Tells what is no database at all from one that is damaged.
fn check_beginning(read: &dyn Fn(&mut [u8]) -> std::io::Result<usize>) -> Result<(), TwoWayError> {
    let reading = |source| TwoWayError::Storage { doing: READING, source };
    let mut beginning = [0; MAGIC.len()];
    let read = read(&mut beginning).map_err(reading)?;
    match beginning.get(..read).unwrap_or_default() {
        found if found.is_empty() || found == MAGIC => Ok(()),
        found if MAGIC.starts_with(found) => Err(row::damaged(&CUT_OFF)),
        _ => Err(TwoWayError::Foreign { why: "it is no database of that kind".to_owned() }),
    }
}

/// Opens the database and checks all of it. Without that check the library trusts what it reads, and may panic.
fn create(backend: impl StorageBackend) -> Result<Database, TwoWayError> {
    let opened = redb::Builder::new()
        .set_cache_size(CACHE)
        .set_check_integrity_on_open(true)
        .create_with_backend(backend);
    opened.map_err(|error| match error {
        redb::DatabaseError::UpgradeRequired(found) => {
            TwoWayError::Foreign { why: format!("it is a database of format {found}") }
        }
        redb::DatabaseError::Storage(redb::StorageError::Io(error)) => match error.kind() {
            // Made of what was read, and not by reading it.
            ErrorKind::UnexpectedEof => row::damaged(&CUT_OFF),
            ErrorKind::InvalidData => row::damaged(&error),
            _ => TwoWayError::Storage { doing: OPENING, source: error },
        },
        error => storage(OPENING)(error),
    })
}

impl Identity {
    /// `None` of a database in which nothing is.
    fn read(db: &Database) -> Result<Option<Identity>, TwoWayError> {
        let txn = db.begin_read().map_err(storage(READING))?;
        if txn.list_tables().map_err(storage(READING))?.next().is_none() {
            return Ok(None);
        }
        let foreign = |why: &str| TwoWayError::Foreign { why: why.to_owned() };
        let table = match txn.open_table(IDENTITY) {
            Err(redb::TableError::Storage(error)) => return Err(storage(READING)(error)),
            table => table.map_err(|_| foreign("it is another program's database"))?,
        };
        // Before the first life there are tables, and nothing in them.
        let Some(row) = table.get(()).map_err(storage(READING))? else { return Ok(None) };
        let (format, _) =
            postcard::take_from_bytes::<u32>(row.value()).map_err(|error| row::damaged(&error))?;
        match format.cmp(&FORMAT) {
            Ordering::Less => return Err(TwoWayError::OlderFormat { found: format, known: FORMAT }),
            Ordering::Greater => return Err(TwoWayError::NewerFormat { found: format, known: FORMAT }),
            Ordering::Equal => {}
        }
        postcard::from_bytes(row.value()).map(Some).map_err(|error| row::damaged(&error))
    }
}
