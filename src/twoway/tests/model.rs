//! A replica in memory: a tree that is a map, what a user does to it, and what the replica remembers.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::facet::{Extended, Facet, FacetSum};
use crate::twoway::lineage::{Lineages, Tag};
use crate::twoway::policy::Policy;
use crate::twoway::record::{Attributes, ContentSum, Modes, Record, Shared, State};
use crate::twoway::version::Author;
use filetime::FileTime;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Its elements joined by slashes.
pub(super) type Path = Vec<u8>;

pub(super) type Tree = BTreeMap<Path, Thing>;

/// What there is at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Thing {
    pub(super) state: State,
    pub(super) mode: u32,
    pub(super) mtime: i64,
    /// Its extended attributes; 0 for none.
    pub(super) xattrs: u8,
    /// Whether it cannot be looked at.
    pub(super) unreadable: bool,
}

/// What is synchronised besides contents: permission bits, and extended attributes if they are.
pub(super) fn shared(xattrs: bool) -> Shared {
    let facets = xattrs.then_some(Facet::Xattrs).into_iter().collect();
    Shared { modes: Modes::Whole, facets }
}

/// What stands for extended attributes.
pub(super) fn sum(xattrs: u8) -> Option<FacetSum> {
    (xattrs > 0).then_some(FacetSum([xattrs; 16]))
}

/// What an edit was of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Of {
    Content,
    Attributes,
    Xattrs,
}

/// The edits that a path has absorbed, tracked apart from the versions.
pub(super) type Absorbed = BTreeMap<(Path, Of), BTreeSet<u64>>;

/// A path below which a run does not look.
pub(super) type Filter = Option<&'static str>;

#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) tree: Tree,
    pub(super) database: Database,
    pub(super) absorbed: Absorbed,
    /// What the last look or run left there: what differs from it was edited since, whatever the history says.
    pub(super) last: BTreeMap<Path, (State, u32, u8)>,
    /// What the last scan could not look at.
    pub(super) unknown: BTreeSet<Path>,
}

/// What a replica remembers.
#[derive(Clone, Debug)]
pub(super) struct Database {
    pub(super) author: Author,
    pub(super) generation: u64,
    pub(super) lineages: Lineages,
    pub(super) history: BTreeMap<Path, Record>,
    /// When each record changed last, counted in changes of records.
    pub(super) changed: BTreeMap<Path, u64>,
    pub(super) sequence: u64,
    pub(super) partners: BTreeMap<Author, Partner>,
    /// What is being done: what will be recorded, and what it will have absorbed.
    pub(super) intents: BTreeMap<Path, (Record, Absorbed)>,
}

/// What a replica remembers of another.
#[derive(Clone, Debug, Default)]
pub(super) struct Partner {
    /// Up to which of the other's changes it has been told everything.
    pub(super) seen: u64,
    /// What could not be settled.
    pub(super) pending: BTreeSet<Path>,
    /// What did not take part.
    pub(super) filter: Filter,
    /// Whether extended attributes did.
    pub(super) xattrs: bool,
    /// Their last run that came to its end: both remember the same, or one of them is not what it was.
    pub(super) run: u64,
}

/// How many random cases a test tries: so many, or as many times more as `DSYNC_MODEL_TIMES` says.
pub(super) fn cases(cases: u32) -> ProptestConfig {
    let times = std::env::var("DSYNC_MODEL_TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    ProptestConfig { cases: cases * times, ..ProptestConfig::default() }
}

/// Something a user does.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    Write(usize, u8),
    Link(usize, u8),
    MakeDir(usize),
    Remove(usize),
    Chmod(usize, u8),
    Touch(usize, u8),
    Mark(usize, u8),
    Rename(usize, usize),
    Lock(usize, bool),
}

const PLACES: [&str; 9] = ["a", "b", "c", "a/a", "a/b", "b/a", "a/a/a", "a/a/b", "b/a/a"];

const FILTERS: [&str; 4] = ["a/a", "b", "b/a", "a/a/a"];

fn place(n: usize) -> Path {
    PLACES[n % PLACES.len()].as_bytes().to_vec()
}

pub(super) fn parent(path: &[u8]) -> Option<Path> {
    path.iter().rposition(|byte| *byte == b'/').map(|at| path[..at].to_vec())
}

pub(super) fn is_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.first() == Some(&b'/'))
}

pub(super) fn is_ignored(path: &[u8], filter: Filter) -> bool {
    filter.is_some_and(|ignored| path == ignored.as_bytes() || is_below(path, ignored.as_bytes()))
}

pub(super) fn file(content: u8) -> State {
    State::File { sum: ContentSum([content; 32]), size: u64::from(content) }
}

pub(super) fn rel(path: &[u8]) -> RelPath {
    RelPath::new(path).unwrap()
}

pub(super) fn attributes(mode: u32) -> Attributes {
    Attributes { mode, owner: (None, None) }
}

/// An author that nobody has been.
pub(super) fn fresh(unique: u64) -> Author {
    Author((u128::MAX - u128::from(unique)).to_be_bytes())
}

/// The record of what a replica has never seen.
pub(super) fn never() -> Record {
    Record {
        state: State::Absent,
        attributes: attributes(0o644),
        mtime: FileTime::zero(),
        content: Arc::default(),
        meta: Arc::default(),
        extended: Extended::default(),
        occupied: false,
    }
}

impl Database {
    pub(super) fn new(author: Author) -> Database {
        Database {
            author,
            generation: 0,
            lineages: Lineages::default(),
            history: BTreeMap::new(),
            changed: BTreeMap::new(),
            sequence: 0,
            partners: BTreeMap::new(),
            intents: BTreeMap::new(),
        }
    }

    pub(super) fn record(&self, path: &[u8]) -> Record {
        self.history.get(path).cloned().unwrap_or_else(never)
    }

    /// Begins a generation; the number is one that nobody else draws.
    pub(super) fn count_on(&mut self, unique: u64) {
        self.generation = self.lineages.count_on(self.author, Tag(unique));
    }

    /// Makes what two know of generations agree. Who finds that another counted under its name gets a fresh one, made
    /// of that number.
    pub(super) fn agree(&mut self, other: &mut Database, unique: &mut u64) {
        loop {
            let (here, there) = (self.lineages.heads(), other.lineages.heads());
            if here == there {
                break;
            }
            let (ours, theirs) = (self.lineages.news_for(&there), other.lineages.news_for(&here));
            self.learn(&theirs);
            other.learn(&ours);
        }
        for database in [self, other] {
            if database.lineages.is_shared(database.author, database.generation) {
                *unique += 1;
                database.author = fresh(*unique);
                database.generation = 0;
            }
        }
    }

    fn learn(&mut self, news: &Lineages) {
        for renaming in self.lineages.merge(news) {
            for record in self.history.values_mut() {
                *record = record.renamed(&renaming);
            }
        }
    }

    pub(super) fn note(&mut self, path: Path, record: Record) {
        if self.history.get(&path) != Some(&record) {
            self.sequence += 1;
            self.changed.insert(path.clone(), self.sequence);
            self.history.insert(path, record);
        }
    }
}

impl Replica {
    pub(super) fn new(n: u8) -> Replica {
        Replica {
            tree: Tree::new(),
            database: Database::new(Author([n; 16])),
            absorbed: Absorbed::new(),
            last: BTreeMap::new(),
            unknown: BTreeSet::new(),
        }
    }

    pub(super) fn author(&self) -> Author {
        self.database.author
    }

    /// What the replica has there as others see it.
    pub(super) fn record(&self, path: &[u8]) -> Record {
        let record = self.database.record(path);
        match self.unknown.contains(path) {
            true => Record { state: State::Unknown, occupied: false, ..record },
            false => record,
        }
    }

    pub(super) fn events(&self, key: &(Path, Of)) -> BTreeSet<u64> {
        self.absorbed.get(key).cloned().unwrap_or_default()
    }

    fn has_room_for(&self, path: &[u8]) -> bool {
        parent(path).is_none_or(|parent| self.tree.get(&parent).is_some_and(|p| p.state.is_directory()))
    }

    fn put(&mut self, path: &[u8], state: State, mtime: i64) {
        if !self.has_room_for(path) {
            return;
        }
        let there = self.tree.get(path).cloned();
        if there.as_ref().is_some_and(|there| there.state.is_directory() && state.is_directory()) {
            return;
        }
        self.remove(path);
        let (mode, xattrs) = there.map_or((0o644, 0), |there| (there.mode, there.xattrs));
        self.tree.insert(path.to_vec(), Thing { state, mode, mtime, xattrs, unreadable: false });
    }

    /// Removes a path with all below, and returns what was there.
    pub(super) fn remove(&mut self, path: &[u8]) -> Vec<Thing> {
        let goes = |there: &Path| there == path || is_below(there, path);
        let gone =
            self.tree.iter().filter(|(there, _)| goes(there)).map(|(_, thing)| thing.clone()).collect();
        self.tree.retain(|there, _| !goes(there));
        gone
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) {
        let moved: Tree = self
            .tree
            .iter()
            .filter(|(path, _)| *path == from || is_below(path, from))
            .map(|(path, thing)| (path.clone(), thing.clone()))
            .collect();
        let nested = from == to || is_below(to, from) || is_below(from, to);
        if nested || moved.is_empty() || !self.has_room_for(to) {
            return;
        }
        self.remove(from);
        self.remove(to);
        for (path, thing) in moved {
            self.tree.insert([to, &path[from.len()..]].concat(), thing);
        }
    }

    fn change(&mut self, at: usize, change: impl FnOnce(&mut Thing)) {
        if let Some(thing) = self.tree.get_mut(&place(at)) {
            change(thing);
        }
    }

    pub(super) fn edit(&mut self, edit: &Edit, now: i64) {
        match edit {
            Edit::Write(at, content) => self.put(&place(*at), file(*content), now),
            Edit::Link(at, target) => self.put(&place(*at), State::Symlink { target: [*target].into() }, now),
            Edit::MakeDir(at) => self.put(&place(*at), State::Directory, now),
            Edit::Remove(at) => drop(self.remove(&place(*at))),
            Edit::Chmod(at, mode) => self.change(*at, |thing| thing.mode = 0o600 | u32::from(*mode)),
            Edit::Mark(at, xattrs) => self.change(*at, |thing| thing.xattrs = *xattrs),
            Edit::Touch(at, time) => self.change(*at, |thing| thing.mtime = i64::from(*time)),
            Edit::Rename(from, to) => self.rename(&place(*from), &place(*to)),
            Edit::Lock(at, locked) => self.change(*at, |thing| thing.unreadable = *locked),
        }
    }

    pub(super) fn edit_all(&mut self, edits: &[Edit], from: i64) {
        edits.iter().zip(from..).for_each(|(edit, now)| self.edit(edit, now));
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0..PLACES.len();
    prop_oneof![
        8 => (at.clone(), 0_u8..6).prop_map(|(at, content)| Edit::Write(at, content)),
        2 => (at.clone(), 0_u8..2).prop_map(|(at, target)| Edit::Link(at, target)),
        8 => at.clone().prop_map(Edit::MakeDir),
        4 => at.clone().prop_map(Edit::Remove),
        2 => (at.clone(), 0_u8..4).prop_map(|(at, mode)| Edit::Chmod(at, mode)),
        2 => (at.clone(), 0_u8..4).prop_map(|(at, time)| Edit::Touch(at, time)),
        2 => (at.clone(), 0_u8..3).prop_map(|(at, xattrs)| Edit::Mark(at, xattrs)),
        4 => (at.clone(), at).prop_map(|(from, to)| Edit::Rename(from, to)),
    ]
}

pub(super) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(edit(), 0..8)
}

/// Edits after which something may not be readable.
pub(super) fn edits_and_locks() -> impl Strategy<Value = Vec<Edit>> {
    let lock = (0..PLACES.len(), any::<bool>()).prop_map(|(at, locked)| Edit::Lock(at, locked));
    prop::collection::vec(prop_oneof![8 => edit(), 1 => lock], 0..8)
}

pub(super) fn filter() -> impl Strategy<Value = Filter> {
    prop_oneof![3 => Just(None), 1 => (0..FILTERS.len()).prop_map(|n| Some(FILTERS[n]))]
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::Skip),
        Just(Policy::KeepBoth),
        Just(Policy::Newer),
        Just(Policy::Older),
        Just(Policy::Larger),
        Just(Policy::Smaller),
        Just(Policy::Prefer(Side::Left)),
        Just(Policy::Prefer(Side::Right)),
    ]
}
