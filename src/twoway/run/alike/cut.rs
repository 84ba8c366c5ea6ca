//! Cutting a history into stretches, and their sums.

use crate::pass::OwnerMap;
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::facet::{Facet, FacetSum, Register};
use crate::twoway::history::{self, Stored, Time};
use crate::twoway::record::{Record, Shared, State};
use crate::twoway::run::alike::versions::{Versions, is_told_by_versions};
use crate::twoway::run::told::Row;
use crate::twoway::version::Version;
use crate::wire::OwnerKind;
use serde::{Deserialize, Serialize};

/// BLAKE3, cut to 128 bits, which is what hides no change for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Sum([u8; 16]);

impl Sum {
    fn of(hasher: &blake3::Hasher) -> Sum {
        let mut sum = Sum([0; 16]);
        hasher.finalize_xof().fill(&mut sum.0);
        sum
    }
}

/// How records are cut and summed.
#[derive(Debug, Clone, Copy)]
pub(in crate::twoway) struct Cutting<'a> {
    /// Which attributes both sides keep alike.
    pub shared: Shared,
    /// Who has which number here.
    pub owners: &'a OwnerMap,
    /// Records in a stretch on average, less one in as many.
    pub usual: u8,
}

impl<'a> Cutting<'a> {
    pub(in crate::twoway) fn new(shared: Shared, owners: &'a OwnerMap) -> Cutting<'a> {
        Cutting { shared, owners, usual: 32 }
    }
}

/// The most records in a stretch.
const MOST: usize = 1024;

/// A stretch that was cut.
pub(super) struct Piece {
    /// How many records are before it.
    pub start: usize,
    /// The paths in it.
    pub paths: Vec<RelPath>,
    /// The versions of all its records, if they can be told by these.
    pub versions: Option<Versions>,
    /// Of everything in it.
    pub all: Sum,
    /// Of everything but the versions.
    pub values: Sum,
    /// Whether something in it could not be looked at.
    pub has_unknown: bool,
}

/// Hands each stretch to `each`, in order.
pub(super) fn cut(
    rows: impl Iterator<Item = Row>,
    cutting: &Cutting<'_>,
    each: &mut dyn FnMut(Piece),
) -> Result<(), TwoWayError> {
    let mut open = Open::default();
    for row in rows {
        let (path, record) = row?;
        let is_end = open.take(&path, &record, cutting)?;
        open.paths.push(path);
        if is_end || open.paths.len() >= MOST {
            each(open.close());
        }
    }
    if !open.paths.is_empty() {
        each(open.close());
    }
    Ok(())
}

/// The stretch that is being cut.
#[derive(Default)]
struct Open {
    start: usize,
    paths: Vec<RelPath>,
    /// Of what is told of each path but the versions; and with them.
    values: blake3::Hasher,
    all: blake3::Hasher,
    versions: Option<Versions>,
    /// Whether some record has other versions, or cannot be told by them.
    is_mixed: bool,
    has_unknown: bool,
    bytes: Vec<u8>,
}

impl Open {
    /// Takes a record in. Returns whether the stretch ends with it, which its versions make no difference to: both sides
    /// are to cut at the same places.
    fn take(&mut self, path: &RelPath, record: &Record, cutting: &Cutting<'_>) -> Result<bool, TwoWayError> {
        let Cutting { shared, owners, usual } = *cutting;
        self.bytes = values((path, record), (shared, owners), std::mem::take(&mut self.bytes))?;
        let sum = blake3::hash(&self.bytes);
        self.values.update(sum.as_bytes());
        self.all.update(sum.as_bytes());
        self.bytes.clear();
        each_version(record, shared, &mut |version| put(version, &mut self.bytes));
        self.all.update(&self.bytes);
        self.has_unknown |= record.state == State::Unknown;
        self.is_mixed |= !is_told_by_versions(record, shared);
        if !self.is_mixed {
            let known = self.versions.get_or_insert_with(|| Versions::of(record, shared.facets));
            self.is_mixed = !known.take(record, shared.facets);
        }
        Ok(sum.as_bytes().first().and_then(|byte| byte.checked_rem(usual)) == Some(0))
    }

    fn close(&mut self) -> Piece {
        let next = Open { start: self.start.saturating_add(self.paths.len()), ..Open::default() };
        let Open { start, paths, values, all, versions, is_mixed, has_unknown, .. } =
            std::mem::replace(self, next);
        let versions = versions.filter(|_| !is_mixed);
        let (all, values) = (Sum::of(&all), Sum::of(&values));
        Piece { start, paths, versions, all, values, has_unknown }
    }
}

/// All that is told of a path but its versions, in a form that depends on nothing else, but for what each side has of
/// its own.
fn values(
    (path, record): (&RelPath, &Record),
    (shared, owners): (Shared, &OwnerMap),
    mut bytes: Vec<u8>,
) -> Result<Vec<u8>, TwoWayError> {
    bytes.clear();
    let mode = shared.modes.taken(0o600, record.attributes.mode, record.state.kind());
    // By name, as whoever is told of an owner finds it; who has none is the same by number.
    let who = |kind, id: Option<u32>| id.map(|id| owners.name(kind, id).ok_or(id));
    let (user, group) = record.attributes.owner;
    let owner =
        (who(OwnerKind::User, user.map(|user| user.0)), who(OwnerKind::Group, group.map(|group| group.0)));
    let rest = (mode, owner, Time::from(record.mtime), record.occupied);
    let all = (path.as_bytes(), Stored::from(&record.state), rest);
    let mut bytes = postcard::to_extend(&all, bytes).map_err(history::unwritable)?;
    for (facet, register) in shared_facets(record, shared) {
        bytes.push(facet.code());
        bytes.extend_from_slice(&register.sum.map_or([0; 16], |FacetSum(sum)| sum));
    }
    Ok(bytes)
}

fn each_version(record: &Record, shared: Shared, each: &mut dyn FnMut(&Version)) {
    each(&record.content);
    each(&record.meta);
    shared_facets(record, shared).for_each(|(_, register)| each(&register.version));
}

fn shared_facets(record: &Record, shared: Shared) -> impl Iterator<Item = (Facet, &Register)> {
    record.extended.iter().filter(move |(facet, _)| shared.facets.contains(*facet))
}

fn put(version: &Version, bytes: &mut Vec<u8>) {
    for (author, count) in version.counts() {
        bytes.extend_from_slice(&author.0);
        bytes.extend_from_slice(&count.to_le_bytes());
    }
    // Nobody counts to nothing.
    bytes.extend_from_slice(&0_u64.to_le_bytes());
}
