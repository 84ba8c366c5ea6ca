//! How far two replicas know each other.

use crate::tree::RelPath;
use crate::twoway::history::change::WRITING;
use crate::twoway::history::{History, MET, PARTNERS, PENDING, READING, row, storage};
use crate::twoway::version::Author;
use crate::twoway::{TwoWayError, history::Known};
use filetime::FileTime;
use redb::ReadableTable as _;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How far a partner and this replica know each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// The last of this replica's changes that the partner has acknowledged.
    pub acknowledged: u64,
    /// The last of the partner's changes that this replica has acknowledged.
    pub received: u64,
    /// A random number that both drew together at the end of their last run: who does not remember the same one does
    /// not remember that run, but an earlier one.
    pub token: [u8; 16],
    /// A digest of the rules and options of the last run with it; `None` if everything is to be compared next time.
    pub options: Option<[u8; 32]>,
}

/// What the end of a run with a partner leaves to be known.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledgement<'a> {
    /// The partner.
    pub author: Author,
    /// How far it and this replica know each other now.
    pub partner: Partner,
    /// What is left undone, each with everything below.
    pub pending: &'a [RelPath],
    /// Records that are true with it.
    pub records: &'a [(RelPath, Known)],
}

impl History {
    /// What is known of a partner; `None` at the first meeting.
    ///
    /// # Errors
    /// Those of reading.
    pub fn partner(&self, author: Author) -> Result<Option<Partner>, TwoWayError> {
        let partners = self.read()?.open_table(PARTNERS).map_err(storage(READING))?;
        let found = partners.get(author.0).map_err(storage(READING))?;
        found.map(|found| decode(found.value())).transpose()
    }

    /// All partners.
    ///
    /// # Errors
    /// Those of reading.
    pub fn partners(&self) -> Result<Vec<(Author, Partner)>, TwoWayError> {
        let partners = self.read()?.open_table(PARTNERS).map_err(storage(READING))?;
        let rows = partners.iter().map_err(storage(READING))?;
        rows.map(|row| {
            let (author, value) = row.map_err(storage(READING))?;
            Ok((Author(author.value()), decode(value.value())?))
        })
        .collect()
    }

    /// A run with a partner has come to its end, and there was nothing to be done or remembered but that.
    ///
    /// # Errors
    /// Those of writing.
    pub fn was_met(&mut self, author: Author, at: FileTime) -> Result<(), TwoWayError> {
        let txn = self.db.begin_write().map_err(storage(WRITING))?;
        {
            let mut met = txn.open_table(MET).map_err(storage(WRITING))?;
            met.insert(author.0, (at.unix_seconds(), at.nanoseconds())).map_err(storage(WRITING))?;
        }
        txn.commit().map_err(storage(WRITING))
    }

    /// When that was, by partner.
    ///
    /// # Errors
    /// Those of reading.
    pub fn met(&self) -> Result<BTreeMap<Author, FileTime>, TwoWayError> {
        let met = match self.read()?.open_table(MET) {
            Ok(met) => met,
            Err(redb::TableError::TableDoesNotExist(_)) => return Ok(BTreeMap::new()),
            Err(error) => return Err(storage(READING)(error)),
        };
        let rows = met.iter().map_err(storage(READING))?;
        rows.map(|row| {
            let (author, at) = row.map_err(storage(READING))?;
            let (seconds, nanoseconds) = at.value();
            Ok((Author(author.value()), FileTime::from_unix_time(seconds, nanoseconds)))
        })
        .collect()
    }

    /// The paths that were left undone with a partner.
    ///
    /// # Errors
    /// Those of reading.
    pub fn pending(&self, author: Author) -> Result<Vec<RelPath>, TwoWayError> {
        let pending = self.read()?.open_table(PENDING).map_err(storage(READING))?;
        let mut paths = Vec::new();
        for row in pending.range((author.0, &[][..])..).map_err(storage(READING))? {
            let (key, ()) = row.map(|(key, value)| (key, value.value())).map_err(storage(READING))?;
            let (of, key) = key.value();
            if of != author.0 {
                break;
            }
            paths.push(row::path(key)?);
        }
        Ok(paths)
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Partner, TwoWayError> {
    postcard::from_bytes(bytes).map_err(|error| row::damaged(&error))
}
