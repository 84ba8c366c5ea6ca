//! Batches: the beginnings of paths and the versions that many share are told once in each.

use crate::pass::OwnerMap;
use crate::tree::RelPath;
use crate::twoway::exchange::Garbled;
use crate::twoway::facet::{Extended, Facet, Facets, Register, Value};
use crate::twoway::history::{Stored, StoredFacet, Time};
use crate::twoway::packed::acls::{self, HeardAcls, ToldAcls};
use crate::twoway::packed::owners::{Named, Numbers, Owners, translate};
use crate::twoway::record::{Attributes, Record, State};
use crate::twoway::text;
use crate::twoway::version::{Author, Version};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// Paths in the order of a walk, each with what is told of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Batch<T> {
    authors: Vec<[u8; 16]>,
    /// By numbers of authors.
    versions: Vec<Vec<(u32, u64)>>,
    /// Of whom others are told; nobody's of what is kept.
    owners: Named,
    /// ACLs that name some of them; none of what is kept.
    acls: ToldAcls,
    items: Vec<Item<T>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Item<T> {
    /// How many bytes of the path before it begins with.
    shared: u32,
    /// The rest of it.
    #[serde(with = "text::raw")]
    rest: Vec<u8>,
    what: T,
}

/// A record; versions by their numbers in the batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackedRecord {
    state: Stored,
    mode: u32,
    owner: Owners,
    mtime: Time,
    content: u32,
    meta: u32,
    extended: PackedFacets,
    occupied: bool,
}

/// Facets, each with the number of its version.
pub(super) type PackedFacets = Vec<(StoredFacet, u32)>;

/// Puts batches together.
#[derive(Debug)]
pub struct Packing<T> {
    batch: Batch<T>,
    authors: HashMap<Author, u32>,
    versions: HashMap<Arc<Version>, u32>,
    owners: Numbers,
    acls: ToldAcls,
    last: RelPath,
    size: usize,
}

/// About how many bytes a batch takes: little enough for one message.
const FULL: usize = 40 << 10;

impl<T> Default for Packing<T> {
    fn default() -> Packing<T> {
        let (authors, versions, owners, acls, items) = Default::default();
        Packing {
            batch: Batch { authors, versions, owners, acls, items },
            authors: HashMap::new(),
            versions: HashMap::new(),
            owners: Numbers::default(),
            acls: ToldAcls::default(),
            last: RelPath::root(),
            size: 0,
        }
    }
}

impl<T> Packing<T> {
    /// Adds a path with what is told of it.
    pub fn add(&mut self, path: &RelPath, what: T) {
        let bytes = path.as_bytes();
        let shared = bytes.iter().zip(self.last.as_bytes()).take_while(|(one, other)| one == other).count();
        let rest = bytes.get(shared..).unwrap_or_default().to_vec();
        self.size = self.size.saturating_add(rest.len()).saturating_add(96);
        self.batch.items.push(Item { shared: u32::try_from(shared).unwrap_or(0), rest, what });
        self.last = path.clone();
    }

    /// Whether it is time to send what was added.
    pub fn is_full(&self) -> bool {
        self.size >= FULL
    }

    /// What was added since this was last called.
    pub fn take(&mut self) -> Batch<T> {
        std::mem::take(self).batch
    }

    /// The same, to be told: with the names of the owners in it.
    pub(crate) fn take_named(&mut self, owners: &OwnerMap) -> Batch<T> {
        let Packing { batch, owners: numbers, acls, .. } = std::mem::take(self);
        Batch { owners: numbers.named(owners), acls, ..batch }
    }

    /// The ACL that a path in this batch has, or is to have, if it names anybody of whom others are told.
    pub(crate) fn acl(&mut self, value: &Value, owners: &OwnerMap) {
        if let Some(sum) = value.sum(Facet::Acls).filter(|_| acls::names_anybody(value, owners)) {
            self.size = self.size.saturating_add(self.acls.add(sum, value, &mut self.owners));
        }
    }

    /// A user and a group, to be told of in this batch.
    pub(super) fn owners(&mut self, owners: Owners) -> Owners {
        // A name takes no more than this for the most part.
        self.size = self.size.saturating_add(self.owners.add(owners).saturating_mul(32));
        owners
    }

    /// A record, to be told of a path in this batch.
    pub(super) fn pack(&mut self, record: &Record) -> PackedRecord {
        PackedRecord {
            state: Stored::from(&record.state),
            mode: record.attributes.mode,
            owner: self.owners(record.attributes.owner),
            mtime: record.mtime.into(),
            content: self.version(&record.content),
            meta: self.version(&record.meta),
            extended: self.facets(&record.extended),
            occupied: record.occupied,
        }
    }

    /// Facets, to be told in this batch.
    pub(super) fn facets(&mut self, extended: &Extended) -> PackedFacets {
        let pack = |(facet, register): (Facet, &Register)| {
            (StoredFacet::new(facet, register.sum), self.version(&register.version))
        };
        extended.iter().map(pack).collect()
    }

    /// The number of a version in this batch.
    pub(super) fn version(&mut self, version: &Arc<Version>) -> u32 {
        if let Some(number) = self.versions.get(version) {
            return *number;
        }
        let counts = version.counts().map(|(author, count)| (self.author(author), count)).collect();
        let number = u32::try_from(self.batch.versions.len()).unwrap_or(u32::MAX);
        self.batch.versions.push(counts);
        self.versions.insert(version.clone(), number);
        self.size = self.size.saturating_add(16);
        number
    }

    fn author(&mut self, author: Author) -> u32 {
        let next = u32::try_from(self.authors.len()).unwrap_or(u32::MAX);
        let number = *self.authors.entry(author).or_insert(next);
        if number == next {
            self.batch.authors.push(author.0);
            self.size = self.size.saturating_add(16);
        }
        number
    }
}

impl Packing<PackedRecord> {
    /// Adds a record.
    pub fn record(&mut self, path: &RelPath, record: &Record) {
        let packed = self.pack(record);
        self.add(path, packed);
    }
}

/// Whether a path is that of a replica's own directory or below one, or of a file that is being received. Only the
/// directory at the top is told by its name alone; below, something else may have that.
pub(in crate::twoway) fn is_own(path: &RelPath) -> bool {
    const HOME: &[u8] = b".dsync";
    let Some((parent, name)) = path.split_last() else { return false };
    crate::fs::is_stage_name(&name)
        // Some file systems do not tell the cases apart.
        || parent.elements().any(|element| element.eq_ignore_ascii_case(HOME))
        || (parent.is_root() && name.as_bytes().eq_ignore_ascii_case(HOME))
}

/// The versions of a batch that was read.
pub struct Versions(Vec<Arc<Version>>);

impl Versions {
    pub(super) fn get(&self, number: u32) -> Result<Arc<Version>, Garbled> {
        let version = usize::try_from(number).ok().and_then(|number| self.0.get(number));
        version.cloned().ok_or(Garbled("a version that was not told"))
    }

    /// A record that was told in this batch.
    pub(super) fn unpack(&self, packed: PackedRecord) -> Result<Record, Garbled> {
        Ok(Record {
            state: packed.state.read().map_err(|_| Garbled("an impossible state"))?,
            attributes: Attributes { mode: packed.mode, owner: packed.owner },
            mtime: packed.mtime.into(),
            content: self.get(packed.content)?,
            meta: self.get(packed.meta)?,
            extended: self.facets(packed.extended)?,
            occupied: packed.occupied,
        })
    }

    /// Facets that were told in this batch.
    pub(super) fn facets(&self, packed: PackedFacets) -> Result<Extended, Garbled> {
        let unpack = |(facet, version): (StoredFacet, u32)| {
            let (facet, sum) = facet.read().map_err(|_| Garbled("attributes of an unknown kind"))?;
            Ok((facet, Register { sum, version: self.get(version)? }))
        };
        packed.into_iter().map(unpack).collect()
    }
}

/// Refuses what no honest peer tells of a path.
pub(super) fn check(record: &Record) -> Result<(), Garbled> {
    let may_be_occupied = matches!(record.state, State::Absent | State::Directory | State::Unknown);
    if record.attributes.mode > 0o7777 || (record.occupied && !may_be_occupied) {
        return Err(Garbled("an impossible record"));
    }
    Ok(())
}

/// The longest path told, in bytes.
const LONGEST: usize = 64 << 10;

impl<T> Batch<T> {
    /// How many paths there are in it.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The counts that its versions have, each with its author.
    pub fn counts(&self) -> impl Iterator<Item = (Author, u64)> {
        self.versions.iter().flatten().filter_map(|(number, count)| {
            let author = usize::try_from(*number).ok().and_then(|number| self.authors.get(number));
            author.map(|author| (Author(*author), *count))
        })
    }

    /// Has the owners learnt that it names. Returns the ACLs among what it tells.
    pub(crate) fn learn(&self, owners: &OwnerMap) -> Result<HeardAcls, Garbled> {
        if self.acls.len() > self.items.len() {
            return Err(Garbled("more ACLs than paths"));
        }
        // Each path has one user and one group.
        let most = self.items.len().saturating_add(self.acls.grants());
        self.owners.clone().learn(most, owners)?;
        self.acls.hear(owners)
    }

    pub(super) fn versions(&self) -> Result<Versions, Garbled> {
        let author = |number: u32| {
            let author = usize::try_from(number).ok().and_then(|number| self.authors.get(number));
            author.map(|author| Author(*author)).ok_or(Garbled("an author that was not told"))
        };
        let version = |counts: &Vec<(u32, u64)>| {
            let counts = counts.iter().map(|(number, count)| Ok((author(*number)?, *count)));
            counts.collect::<Result<Version, Garbled>>().map(Arc::new)
        };
        self.versions.iter().map(version).collect::<Result<_, _>>().map(Versions)
    }

    /// The paths, each with what is told of it.
    pub(super) fn read(self, mut each: impl FnMut(RelPath, T) -> Result<(), Garbled>) -> Result<(), Garbled> {
        let mut last: Vec<u8> = Vec::new();
        for Item { shared, rest, what } in self.items {
            let shared = usize::try_from(shared).ok().filter(|shared| *shared <= last.len());
            last.truncate(shared.ok_or(Garbled("a path that begins with more than there is"))?);
            last.extend_from_slice(&rest);
            if last.len() > LONGEST {
                return Err(Garbled("a path that is too long"));
            }
            let path = RelPath::new(last.as_slice()).map_err(|_| Garbled("an impossible path"))?;
            each(path, what)?;
        }
        Ok(())
    }

    /// The same of what a peer has told. What is dsync's own is nobody's to tell of.
    pub(super) fn hear(self, mut each: impl FnMut(RelPath, T) -> Result<(), Garbled>) -> Result<(), Garbled> {
        self.read(|path, what| match is_own(&path) {
            true => Err(Garbled("a path of dsync's own")),
            false => each(path, what),
        })
    }

    /// The paths alone.
    pub fn paths(self) -> Result<Vec<RelPath>, Garbled> {
        let mut paths = Vec::with_capacity(self.items.len());
        self.hear(|path, _| {
            paths.push(path);
            Ok(())
        })?;
        Ok(paths)
    }
}

impl Batch<Facets> {
    /// The paths with the facets that are needed of each.
    pub fn needed(self) -> Result<Vec<(RelPath, Facets)>, Garbled> {
        let mut needed = Vec::with_capacity(self.items.len());
        self.hear(|path, facets| {
            needed.push((path, facets));
            Ok(())
        })?;
        Ok(needed)
    }
}

impl Batch<PackedRecord> {
    /// The records, with the numbers that their owners have here.
    pub(crate) fn records(self, owners: &OwnerMap) -> Result<Vec<(RelPath, Record)>, Garbled> {
        let versions = self.versions()?;
        let acls = self.learn(owners)?;
        let mut records = Vec::with_capacity(self.items.len());
        self.hear(|path, packed| {
            let mut record = versions.unpack(packed)?;
            record.attributes.owner = translate(record.attributes.owner, owners);
            acls.translate(&mut record.extended);
            check(&record)?;
            records.push((path, record));
            Ok(())
        })?;
        Ok(records)
    }
}
