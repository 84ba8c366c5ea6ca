//! Records as they travel: in batches, with the beginnings of paths and the versions that many share told once.

use crate::tree::RelPath;
use crate::twoway::exchange::Garbled;
use crate::twoway::history::{Stored, Time};
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::{Attributes, Record};
use crate::twoway::task::Task;
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
    items: Vec<Item<T>>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Item<T> {
    /// How many bytes of the path before it begins with.
    shared: u32,
    /// The rest of it.
    rest: Vec<u8>,
    what: T,
}

/// A user and a group.
type Owners = (Option<u32>, Option<u32>);

/// A record; versions by their numbers in the batch.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackedRecord {
    state: Stored,
    mode: u32,
    owner: (Option<u32>, Option<u32>),
    mtime: Time,
    content: u32,
    meta: u32,
    occupied: bool,
}

/// A task, told to who knows what is there before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PackedTask {
    why: Why,
    there: Option<Change>,
    renamed_from: Option<RelPath>,
    /// `None`: as it is.
    state: Option<Stored>,
    attributes: Option<(u32, Owners)>,
    mtime: Option<Time>,
    content: u32,
    meta: u32,
    occupied: bool,
}

/// Puts batches together.
#[derive(Debug)]
pub struct Packing<T> {
    batch: Batch<T>,
    authors: HashMap<Author, u32>,
    versions: HashMap<Arc<Version>, u32>,
    last: RelPath,
    size: usize,
}

/// About how many bytes a batch takes: little enough for one message.
const FULL: usize = 40 << 10;

impl<T> Default for Packing<T> {
    fn default() -> Packing<T> {
        Packing {
            batch: Batch { authors: Vec::new(), versions: Vec::new(), items: Vec::new() },
            authors: HashMap::new(),
            versions: HashMap::new(),
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

    /// The number of a version in this batch.
    fn version(&mut self, version: &Arc<Version>) -> u32 {
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
        let packed = PackedRecord {
            state: Stored::from(&record.state),
            mode: record.attributes.mode,
            owner: record.attributes.owner,
            mtime: record.mtime.into(),
            content: self.version(&record.content),
            meta: self.version(&record.meta),
            occupied: record.occupied,
        };
        self.add(path, packed);
    }
}

impl Packing<PackedTask> {
    /// Adds a task.
    pub fn task(&mut self, task: &Task) {
        let Task { before, after, .. } = task;
        let attributes = (after.attributes.mode, after.attributes.owner);
        let packed = PackedTask {
            why: task.why.clone(),
            there: task.there,
            renamed_from: task.renamed_from.clone(),
            state: (before.state != after.state).then(|| Stored::from(&after.state)),
            attributes: (before.attributes != after.attributes).then_some(attributes),
            mtime: (before.mtime != after.mtime).then(|| after.mtime.into()),
            content: self.version(&after.content),
            meta: self.version(&after.meta),
            occupied: after.occupied,
        };
        self.add(&task.path, packed);
    }
}

/// Whether a path is that of a replica's own directory or below one, or of a file that is being received. Only the
/// directory at the top is told by its name alone; below, something else may have that.
pub(in crate::twoway) fn is_own(path: &RelPath) -> bool {
    const HOME: &[u8] = b".dsync";
    let Some((parent, name)) = path.split_last() else { return false };
    crate::fs::is_stage_name(&name)
        || parent.elements().any(|element| element == HOME)
        || (parent.is_root() && name.as_bytes() == HOME)
}

/// The versions of a batch that was read.
struct Versions(Vec<Arc<Version>>);

impl Versions {
    fn get(&self, number: u32) -> Result<Arc<Version>, Garbled> {
        let version = usize::try_from(number).ok().and_then(|number| self.0.get(number));
        version.cloned().ok_or(Garbled("a version that was not told"))
    }
}

impl<T> Batch<T> {
    /// How many paths there are in it.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn versions(&self) -> Result<Versions, Garbled> {
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

    /// The paths, each with what is told of it. What is dsync's own is nobody's to tell of.
    fn read(self, mut each: impl FnMut(RelPath, T) -> Result<(), Garbled>) -> Result<(), Garbled> {
        let mut last: Vec<u8> = Vec::new();
        for Item { shared, rest, what } in self.items {
            let shared = usize::try_from(shared).ok().filter(|shared| *shared <= last.len());
            last.truncate(shared.ok_or(Garbled("a path that begins with more than there is"))?);
            last.extend_from_slice(&rest);
            let path = RelPath::new(last.as_slice()).map_err(|_| Garbled("an impossible path"))?;
            if is_own(&path) {
                return Err(Garbled("a path of dsync's own"));
            }
            each(path, what)?;
        }
        Ok(())
    }

    /// The paths alone.
    pub fn paths(self) -> Result<Vec<RelPath>, Garbled> {
        let mut paths = Vec::with_capacity(self.items.len());
        self.read(|path, _| {
            paths.push(path);
            Ok(())
        })?;
        Ok(paths)
    }
}

impl Batch<PackedRecord> {
    /// The records.
    pub fn records(self) -> Result<Vec<(RelPath, Record)>, Garbled> {
        let versions = self.versions()?;
        let mut records = Vec::with_capacity(self.items.len());
        self.read(|path, packed| {
            let state = packed.state.read().map_err(|_| Garbled("an impossible state"))?;
            let record = Record {
                state,
                attributes: Attributes { mode: packed.mode, owner: packed.owner },
                mtime: packed.mtime.into(),
                content: versions.get(packed.content)?,
                meta: versions.get(packed.meta)?,
                occupied: packed.occupied,
            };
            records.push((path, record));
            Ok(())
        })?;
        Ok(records)
    }
}

impl Batch<PackedTask> {
    /// The tasks, for who knows what is there before them.
    pub fn tasks<E: From<Garbled>>(
        self,
        mut before: impl FnMut(&RelPath) -> Result<Record, E>,
    ) -> Result<Vec<Task>, E> {
        let versions = self.versions()?;
        let mut packed = Vec::with_capacity(self.items.len());
        self.read(|path, task| {
            packed.push((path, task));
            Ok(())
        })?;
        let task = |(path, task): (RelPath, PackedTask)| {
            let before = before(&path)?;
            let state = match task.state {
                Some(state) => state.read().map_err(|_| Garbled("an impossible state"))?,
                None => before.state.clone(),
            };
            let attributes = task.attributes.map(|(mode, owner)| Attributes { mode, owner });
            let after = Record {
                state,
                attributes: attributes.unwrap_or(before.attributes),
                mtime: task.mtime.map_or(before.mtime, Into::into),
                content: versions.get(task.content)?,
                meta: versions.get(task.meta)?,
                occupied: task.occupied,
            };
            let (there, renamed_from) = (task.there, task.renamed_from);
            Ok(Task { there, renamed_from, ..Task::between(path, task.why, before, after) })
        };
        packed.into_iter().map(task).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::record::{ContentSum, State};
    use filetime::FileTime;
    use proptest::prelude::*;

    fn version() -> impl Strategy<Value = Arc<Version>> {
        let counts = prop::collection::vec((0_u8..3, 0_u64..300), 0..3);
        counts.prop_map(|counts| {
            Arc::new(counts.into_iter().map(|(author, count)| (Author([author; 16]), count)).collect())
        })
    }

    fn state() -> impl Strategy<Value = State> {
        prop_oneof![
            Just(State::Absent),
            Just(State::Directory),
            (any::<[u8; 32]>(), any::<u64>())
                .prop_map(|(sum, size)| State::File { sum: ContentSum(sum), size }),
            any::<Vec<u8>>().prop_map(|target| State::Symlink { target: target.into() }),
            Just(State::Unknown),
        ]
    }

    fn record() -> impl Strategy<Value = Record> {
        let mtime = (any::<i64>(), 0_u32..1_000_000_000);
        let owner = (any::<Option<u32>>(), any::<Option<u32>>());
        (state(), any::<u32>(), owner, mtime, version(), version(), any::<bool>()).prop_map(
            |(state, mode, owner, (seconds, nanos), content, meta, occupied)| Record {
                state,
                attributes: Attributes { mode, owner },
                mtime: FileTime::from_unix_time(seconds, nanos),
                content,
                meta,
                occupied,
            },
        )
    }

    fn path() -> impl Strategy<Value = RelPath> {
        prop::collection::vec("[a-c]{1,3}", 1..4)
            .prop_map(|elements| RelPath::new(elements.join("/").into_bytes()).unwrap())
    }

    proptest! {
        #[test]
        fn records_arrive_as_they_were(told in prop::collection::vec((path(), record()), 0..20)) {
            let mut packing = Packing::default();
            told.iter().for_each(|(path, record)| packing.record(path, record));
            let bytes = postcard::to_stdvec(&packing.take()).unwrap();
            let batch: Batch<PackedRecord> = postcard::from_bytes(&bytes).unwrap();
            prop_assert_eq!(batch.records().unwrap(), told);
        }

        #[test]
        fn tasks_arrive_where_what_was_before_is_known(
            told in prop::collection::vec((path(), record(), record()), 0..20),
        ) {
            let mut packing = Packing::default();
            let tasks: Vec<Task> = told
                .iter()
                .map(|(path, before, after)| {
                    Task::between(path.clone(), Why::Clear, before.clone(), after.clone())
                })
                .collect();
            tasks.iter().for_each(|task| packing.task(task));
            let bytes = postcard::to_stdvec(&packing.take()).unwrap();
            let batch: Batch<PackedTask> = postcard::from_bytes(&bytes).unwrap();
            let mut known = told.iter().map(|(_, before, _)| before.clone());
            let arrived = batch.tasks::<Garbled>(|_| Ok(known.next().unwrap())).unwrap();
            prop_assert_eq!(arrived, tasks);
        }

        #[test]
        fn nothing_that_arrives_makes_it_panic(bytes in any::<Vec<u8>>()) {
            if let Ok(batch) = postcard::from_bytes::<Batch<PackedRecord>>(&bytes) {
                let _ = batch.records();
            }
        }
    }

    #[test]
    fn nobody_tells_of_what_is_dsyncs_own() {
        let staged = crate::fs::stage_name(&crate::tree::Name::new(*b"x").unwrap());
        for (told, refused) in [
            (".dsync", true),
            (".dsync/history", true),
            ("a/.dsync/history", true),
            (&*format!("a/{staged}"), true),
            ("a/.dsync", false),
            (".dsynced/a", false),
        ] {
            let mut packing = Packing::default();
            packing.add(&RelPath::new(told.as_bytes()).unwrap(), ());
            assert_eq!(packing.take().paths().is_err(), refused, "{told}");
        }
    }
}
