//! How a record is stored: under its path, as a row in postcard's encoding.
//!
//! The key is the path with a NUL for each `/`. No name holds either, and NUL is the least byte, so the order of the
//! keys is the order of a walk that goes through directories by the bytes of their names, each followed by what is in
//! it.
//!
//! Version vectors would be the bulk of a row, so authors stand in them as numbers, from a table of all that this
//! history has ever named.

use crate::fs::Stamp;
use crate::tree::{Gid, Kind, Rdev, RelPath, Uid};
use crate::twoway::TwoWayError;
use crate::twoway::facet::{Extended, Facet, FacetSum, Facets, Register};
use crate::twoway::record::{Attributes, ContentSum, Record, State};
use crate::twoway::text;
use crate::twoway::version::{Author, Version};
use filetime::FileTime;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a history holds of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// What was seen or agreed there. Where something could not be looked at last time, its state is what it was before
    /// that.
    pub record: Record,
    /// How the entry looked when that was established; of what is absent, `None`.
    pub look: Option<Look>,
    /// The local number of the last change of the record, which is given when it is written.
    pub sequence: u64,
    /// Whether the entry could not be looked at in the last scan.
    pub is_unknown: bool,
}

/// A look at an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its stamp.
    pub stamp: Stamp,
    /// Whether a later change would certainly show in the stamp. Not so soon after the last one, as clocks tick.
    pub settled: bool,
    /// The facets that were looked at since the stamp was taken, and of which a later change would certainly show in
    /// it.
    pub facets: Facets,
}

impl Known {
    /// What is known of an entry after a look at it, or of one that is gone.
    pub fn there(record: Record, look: Option<Look>) -> Known {
        Known { record, look, sequence: 0, is_unknown: false }
    }

    /// The record as others are told of it: unknown if the entry could not be looked at.
    pub fn told(&self) -> Record {
        let state = if self.is_unknown { State::Unknown } else { self.record.state.clone() };
        Record { state, ..self.record.clone() }
    }
}

/// The key of a path.
pub(in crate::twoway) fn key(path: &RelPath) -> Vec<u8> {
    path.as_bytes().iter().map(|&byte| if byte == b'/' { 0 } else { byte }).collect()
}

/// The path of a key.
pub(in crate::twoway) fn path(key: &[u8]) -> Result<RelPath, TwoWayError> {
    let bytes: Vec<u8> = key.iter().map(|&byte| if byte == 0 { b'/' } else { byte }).collect();
    RelPath::new(bytes).map_err(|error| damaged(&error))
}

/// The keys of all that is below a directory: from the first to before the second.
pub(super) fn below(path: &RelPath) -> (Vec<u8>, Option<Vec<u8>>) {
    if path.is_root() {
        return (vec![1], None);
    }
    let mut first = key(path);
    let mut end = first.clone();
    first.push(0);
    end.push(1);
    (first, Some(end))
}

pub(super) fn damaged(why: &dyn std::fmt::Display) -> TwoWayError {
    TwoWayError::Damaged { why: why.to_string() }
}

/// Authors by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Authors(Vec<Author>);

/// A version, with the numbers of its authors.
pub(super) type Counts = Vec<(u32, u64)>;

impl Authors {
    pub(super) fn push(&mut self, author: Author) {
        self.0.push(author);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, number: usize) -> Option<Author> {
        self.0.get(number).copied()
    }

    fn number(&mut self, author: Author) -> u32 {
        let place = self.0.iter().position(|known| *known == author).unwrap_or_else(|| {
            self.0.push(author);
            self.0.len().saturating_sub(1)
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    pub(super) fn counts(&mut self, version: &Version) -> Counts {
        version.counts().map(|(author, count)| (self.number(author), count)).collect()
    }

    pub(super) fn version(&self, counts: &Counts) -> Result<Arc<Version>, TwoWayError> {
        let named = counts.iter().map(|(number, count)| {
            let author = usize::try_from(*number).ok().and_then(|number| self.get(number));
            Ok((author.ok_or_else(|| damaged(&"a version names an unknown author"))?, *count))
        });
        Ok(Arc::new(named.collect::<Result<Version, TwoWayError>>()?))
    }
}

#[derive(Serialize, Deserialize)]
struct Row {
    state: Stored,
    mode: u32,
    owner: (Option<Uid>, Option<Gid>),
    mtime: Time,
    look: Option<StoredLook>,
    is_unknown: bool,
    occupied: bool,
    sequence: u64,
    content: Counts,
    /// None: the same.
    meta: Option<Counts>,
    extended: Vec<StoredRegister>,
}

/// What is known of a facet, as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredRegister {
    facet: StoredFacet,
    /// None: that of the content.
    version: Option<Counts>,
}

/// A facet without its version, as it is stored and told: its code, and the sum of its value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::twoway) struct StoredFacet(u8, Option<FacetDigest>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct FacetDigest(#[serde(with = "text::raw")] [u8; 16]);

/// A state as it is stored and told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::twoway) enum Stored {
    Absent,
    Directory,
    File {
        #[serde(with = "text::raw")]
        sum: [u8; 32],
        size: u64,
    },
    Symlink {
        #[serde(with = "text::raw")]
        target: Box<[u8]>,
    },
    Special(u8, Option<Rdev>),
    Unknown,
}

/// A time as it is stored and told: seconds and nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::twoway) struct Time(i64, u32);

#[derive(Serialize, Deserialize)]
struct StoredLook {
    dev: u64,
    ino: u64,
    /// None: those of the record.
    content: Option<(u64, Time)>,
    /// None: the time of modification.
    ctime: Option<Time>,
    settled: bool,
    facets: Facets,
}

impl From<FileTime> for Time {
    fn from(time: FileTime) -> Time {
        Time(time.unix_seconds(), time.nanoseconds())
    }
}

impl From<Time> for FileTime {
    fn from(time: Time) -> FileTime {
        FileTime::from_unix_time(time.0, time.1.min(999_999_999))
    }
}

pub(super) fn encode(known: &Known, authors: &mut Authors) -> Result<Vec<u8>, TwoWayError> {
    let record = &known.record;
    let content = authors.counts(&record.content);
    let meta = (record.meta != record.content).then(|| authors.counts(&record.meta));
    let register = |(facet, register): (Facet, &Register)| StoredRegister {
        facet: StoredFacet::new(facet, register.sum),
        version: (register.version != record.content).then(|| authors.counts(&register.version)),
    };
    let extended = record.extended.iter().map(register).collect();
    let row = Row {
        state: Stored::from(&record.state),
        mode: record.attributes.mode,
        owner: record.attributes.owner,
        mtime: record.mtime.into(),
        look: known.look.map(|look| StoredLook::new(&look, record)),
        is_unknown: known.is_unknown,
        occupied: record.occupied,
        sequence: known.sequence,
        content,
        meta,
        extended,
    };
    postcard::to_stdvec(&row).map_err(|error| TwoWayError::Storage {
        doing: "encoding",
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
    })
}

pub(super) fn decode(bytes: &[u8], authors: &Authors) -> Result<Known, TwoWayError> {
    let row: Row = postcard::from_bytes(bytes).map_err(|error| damaged(&error))?;
    let content = authors.version(&row.content)?;
    let meta = row.meta.map_or_else(|| Ok(content.clone()), |counts| authors.version(&counts))?;
    let register = |stored: StoredRegister| {
        let version =
            stored.version.map_or_else(|| Ok(content.clone()), |counts| authors.version(&counts))?;
        let (facet, sum) = stored.facet.read()?;
        Ok((facet, Register { sum, version }))
    };
    let extended = row.extended.into_iter().map(register).collect::<Result<Extended, TwoWayError>>()?;
    let record = Record {
        state: row.state.read()?,
        attributes: Attributes { mode: row.mode, owner: row.owner },
        mtime: row.mtime.into(),
        content,
        meta,
        extended,
        occupied: row.occupied,
    };
    let look = row.look.map(|look| look.read(&record));
    Ok(Known { record, look, sequence: row.sequence, is_unknown: row.is_unknown })
}

impl From<&State> for Stored {
    fn from(state: &State) -> Stored {
        match state {
            State::Absent => Stored::Absent,
            State::Directory => Stored::Directory,
            State::File { sum, size } => Stored::File { sum: sum.0, size: *size },
            State::Symlink { target } => Stored::Symlink { target: target.clone() },
            State::Special(kind, device) => Stored::Special(kind.code(), *device),
            State::Unknown => Stored::Unknown,
        }
    }
}

impl Stored {
    pub(in crate::twoway) fn read(self) -> Result<State, TwoWayError> {
        Ok(match self {
            Stored::Absent => State::Absent,
            Stored::Directory => State::Directory,
            Stored::File { sum, size } => State::File { sum: ContentSum(sum), size },
            Stored::Symlink { target } => State::Symlink { target },
            Stored::Special(code, device) => {
                let kind = Kind::from_code(code).ok_or_else(|| damaged(&"an entry of an unknown kind"))?;
                State::Special(kind, device)
            }
            Stored::Unknown => State::Unknown,
        })
    }
}

impl StoredFacet {
    pub(in crate::twoway) fn new(facet: Facet, sum: Option<FacetSum>) -> StoredFacet {
        StoredFacet(facet.code(), sum.map(|FacetSum(sum)| FacetDigest(sum)))
    }

    pub(in crate::twoway) fn read(self) -> Result<(Facet, Option<FacetSum>), TwoWayError> {
        let StoredFacet(code, sum) = self;
        let facet = Facet::from_code(code).ok_or_else(|| damaged(&"attributes of an unknown kind"))?;
        Ok((facet, sum.map(|FacetDigest(sum)| FacetSum(sum))))
    }
}

/// The size that a record tells of a file.
fn size(record: &Record) -> u64 {
    match record.state {
        State::File { size, .. } => size,
        _ => 0,
    }
}

impl StoredLook {
    fn new(look: &Look, record: &Record) -> StoredLook {
        let stamp = &look.stamp;
        let is_as_recorded = (stamp.size, stamp.mtime) == (size(record), record.mtime);
        StoredLook {
            dev: stamp.dev,
            ino: stamp.ino,
            content: (!is_as_recorded).then(|| (stamp.size, stamp.mtime.into())),
            ctime: (stamp.ctime != stamp.mtime).then(|| stamp.ctime.into()),
            settled: look.settled,
            facets: look.facets,
        }
    }

    fn read(self, record: &Record) -> Look {
        let (size, mtime) =
            self.content.map_or((size(record), record.mtime), |(size, time)| (size, time.into()));
        let ctime = self.ctime.map_or(mtime, FileTime::from);
        let stamp = Stamp { dev: self.dev, ino: self.ino, size, mtime, ctime };
        Look { stamp, settled: self.settled, facets: self.facets }
    }
}
