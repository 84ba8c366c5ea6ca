//! Packed items that can be looked up by number and by path, or gone through from either end.
//!
//! A store does not change. It is put together by a [`Collector`], and a copy of it costs little, as the bytes are
//! shared. Whoever looks at an item has its whole batch unpacked, and the last few are kept so, since what comes next
//! is mostly near.

use crate::tree::RelPath;
use crate::twoway::exchange::Garbled;
use crate::twoway::packed::{Batch, Collector, Packing, Versions};
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

/// How many batches are kept unpacked.
const UNPACKED: usize = 8;

/// What a store can hold.
pub trait Packable: Clone {
    /// The same without its path, and with versions by numbers.
    type Packed: Serialize + DeserializeOwned;

    /// Where it belongs.
    fn path(&self) -> &RelPath;

    /// Packs it for the batch that is being put together.
    fn pack(&self, packing: &mut Packing<Self::Packed>) -> Self::Packed;

    /// What was packed.
    ///
    /// # Errors
    /// It was not packed by [`pack`](Packable::pack).
    fn unpack(path: RelPath, packed: Self::Packed, versions: &Versions) -> Result<Self, Garbled>;
}

/// Items, numbered from 0. If they came in the order of a walk, each path once, they can be found by path.
pub struct Store<T> {
    batches: Vec<Stored>,
    len: usize,
    unpacked: Mutex<VecDeque<(usize, Arc<[T]>)>>,
}

/// A batch.
#[derive(Clone)]
pub(super) struct Stored {
    /// The number of its first item.
    pub number: usize,
    /// The path of that.
    pub first: RelPath,
    pub bytes: Arc<[u8]>,
}

impl<T: Packable> Store<T> {
    pub(super) fn new(batches: Vec<Stored>, len: usize) -> Store<T> {
        Store { batches, len, unpacked: Mutex::default() }
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The item with this number.
    pub fn get(&self, number: usize) -> Option<T> {
        let batch = self.batches.partition_point(|batch| batch.number <= number).checked_sub(1)?;
        let first = self.batches.get(batch)?.number;
        self.unpacked(batch).get(number.checked_sub(first)?).cloned()
    }

    /// The number of the item at a path, with the item.
    pub fn find(&self, path: &RelPath) -> Option<(usize, T)> {
        let batch = self.batches.partition_point(|batch| batch.first.walk_order(path).is_le());
        let batch = batch.checked_sub(1)?;
        let first = self.batches.get(batch)?.number;
        let items = self.unpacked(batch);
        let place = items.binary_search_by(|item| item.path().walk_order(path)).ok()?;
        Some((first.checked_add(place)?, items.get(place)?.clone()))
    }

    /// The numbers of those below a path, without itself.
    pub fn below(&self, path: &RelPath) -> Range<usize> {
        let first = self.position(|item| item.walk_order(path) != Ordering::Greater);
        first..self.position(|item| item.walk_order(path) != Ordering::Greater || item.is_below(path))
    }

    /// How many items there are before the first whose path is not `before`.
    fn position(&self, before: impl Fn(&RelPath) -> bool) -> usize {
        let batch = self.batches.partition_point(|batch| before(&batch.first));
        let Some(batch) = batch.checked_sub(1) else { return 0 };
        let first = self.batches.get(batch).map_or(0, |batch| batch.number);
        first.saturating_add(self.unpacked(batch).partition_point(|item| before(item.path())))
    }

    /// All of them, in order.
    pub fn iter(&self) -> Iter<'_, T> {
        let (front, back) = (Vec::new().into_iter(), Vec::new().into_iter());
        Iter { store: self, front, batches: 0..self.batches.len(), back, left: self.len }
    }

    /// All of them, in order, each batch being given up when it comes.
    pub fn into_items(self) -> impl Iterator<Item = T> {
        self.batches.into_iter().flat_map(|batch| unpack(&batch.bytes))
    }

    fn unpacked(&self, batch: usize) -> Arc<[T]> {
        let mut unpacked = self.unpacked.lock().unwrap_or_else(PoisonError::into_inner);
        let place = unpacked.iter().position(|(number, _)| *number == batch);
        let items = match place.and_then(|place| unpacked.remove(place)) {
            Some((_, items)) => items,
            None => self.unpack(batch).into(),
        };
        unpacked.truncate(UNPACKED.saturating_sub(1));
        unpacked.push_front((batch, items.clone()));
        items
    }

    fn unpack(&self, batch: usize) -> Vec<T> {
        self.batches.get(batch).map(|batch| unpack(&batch.bytes)).unwrap_or_default()
    }
}

/// The items of a batch. What was packed here can be unpacked, so that nothing is ever missing.
fn unpack<T: Packable>(bytes: &[u8]) -> Vec<T> {
    let unpack = || {
        let batch: Batch<T::Packed> = postcard::from_bytes(bytes).map_err(|_| Garbled("a batch"))?;
        let versions = batch.versions()?;
        let mut items = Vec::with_capacity(batch.len());
        batch.read(|path, packed| {
            items.push(T::unpack(path, packed, &versions)?);
            Ok(())
        })?;
        Ok::<_, Garbled>(items)
    };
    unpack().unwrap_or_default()
}

/// Goes through a store.
pub struct Iter<'a, T> {
    store: &'a Store<T>,
    front: vec::IntoIter<T>,
    /// Those that are still packed.
    batches: Range<usize>,
    back: vec::IntoIter<T>,
    left: usize,
}

impl<T: Packable> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.left = self.left.saturating_sub(1);
        loop {
            if let Some(item) = self.front.next() {
                return Some(item);
            }
            match self.batches.next() {
                Some(batch) => self.front = self.store.unpack(batch).into_iter(),
                None => return self.back.next(),
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T: Packable> DoubleEndedIterator for Iter<'_, T> {
    fn next_back(&mut self) -> Option<T> {
        self.left = self.left.saturating_sub(1);
        loop {
            if let Some(item) = self.back.next_back() {
                return Some(item);
            }
            match self.batches.next_back() {
                Some(batch) => self.back = self.store.unpack(batch).into_iter(),
                None => return self.front.next_back(),
            }
        }
    }
}

impl<T: Packable> ExactSizeIterator for Iter<'_, T> {}

impl<'a, T: Packable> IntoIterator for &'a Store<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

/// In any order; those that come late cost some more.
impl<T: Packable> FromIterator<T> for Store<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Store<T> {
        let mut collector = Collector::default();
        items.into_iter().for_each(|item| collector.push(&item));
        collector.finish()
    }
}

impl<T: Packable> Default for Store<T> {
    fn default() -> Store<T> {
        Store::new(Vec::new(), 0)
    }
}

impl<T: Packable> Clone for Store<T> {
    fn clone(&self) -> Store<T> {
        Store::new(self.batches.clone(), self.len)
    }
}

impl<T: Packable + PartialEq> PartialEq for Store<T> {
    fn eq(&self, other: &Store<T>) -> bool {
        self.len == other.len && self.iter().eq(other)
    }
}

impl<T: Packable + std::fmt::Debug> std::fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<T: Packable + Serialize> Serialize for Store<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self)
    }
}

/// As they come: whether that is in order is to be checked by who reads them.
impl<'d, T: Packable + Deserialize<'d>> Deserialize<'d> for Store<T> {
    fn deserialize<D: Deserializer<'d>>(from: D) -> Result<Store<T>, D::Error> {
        from.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T>(PhantomData<T>);

impl<'d, T: Packable + Deserialize<'d>> Visitor<'d> for Items<T> {
    type Value = Store<T>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'d>>(self, mut items: A) -> Result<Store<T>, A::Error> {
        let mut collector = Collector::as_they_come();
        while let Some(item) = items.next_element::<T>()? {
            collector.push(&item);
        }
        Ok(collector.finish())
    }
}
