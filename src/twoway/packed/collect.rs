//! Putting a store together of items that come nearly in order.
//!
//! Those that come late go into further runs, each in order itself, and all runs are merged at the end. A directory
//! that is told after what is below it makes one run more for each directory above it of which that is true, too.

use crate::tree::RelPath;
use crate::twoway::packed::store::Stored;
use crate::twoway::packed::{Packable, Packing, Store};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// Collects items for a [`Store`].
pub struct Collector<T: Packable> {
    runs: Vec<Run<T>>,
    keeps_order: bool,
}

/// Items in order.
struct Run<T: Packable> {
    batches: Vec<Stored>,
    packing: Packing<T::Packed>,
    /// The path and number of the first item that is being packed.
    first: RelPath,
    number: usize,
    last: RelPath,
    len: usize,
}

impl<T: Packable> Default for Collector<T> {
    fn default() -> Collector<T> {
        Collector { runs: vec![Run::default()], keeps_order: true }
    }
}

impl<T: Packable> Default for Run<T> {
    fn default() -> Run<T> {
        let (first, last) = (RelPath::root(), RelPath::root());
        Run { batches: Vec::new(), packing: Packing::default(), first, number: 0, last, len: 0 }
    }
}

impl<T: Packable> Collector<T> {
    /// Takes items in whatever order, and leaves them in it.
    pub fn as_they_come() -> Collector<T> {
        Collector { keeps_order: false, ..Collector::default() }
    }

    /// Adds an item.
    pub fn push(&mut self, item: &T) {
        let has_place = |run: &Run<T>| {
            !self.keeps_order || run.len == 0 || run.last.walk_order(item.path()) == Ordering::Less
        };
        match self.runs.iter().position(has_place).and_then(|place| self.runs.get_mut(place)) {
            Some(run) => run.push(item),
            None => {
                let mut run = Run::default();
                run.push(item);
                self.runs.push(run);
            }
        }
    }

    /// All that was added, in order.
    pub fn finish(mut self) -> Store<T> {
        if self.runs.len() <= 1 {
            return self.runs.pop().map(Run::finish).unwrap_or_default();
        }
        let mut runs: Vec<_> = self.runs.into_iter().map(|run| run.finish().into_items()).collect();
        let mut heads = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heads.extend(run.next().map(|item| Head { item, run: number }));
        }
        let mut merged = Run::default();
        while let Some(Head { item, run }) = heads.pop() {
            merged.push(&item);
            let next = runs.get_mut(run).and_then(Iterator::next);
            heads.extend(next.map(|item| Head { item, run }));
        }
        merged.finish()
    }
}

impl<T: Packable> Run<T> {
    fn push(&mut self, item: &T) {
        if self.len == self.number {
            self.first = item.path().clone();
        }
        let packed = item.pack(&mut self.packing);
        self.packing.add(item.path(), packed);
        self.last = item.path().clone();
        self.len = self.len.saturating_add(1);
        if self.packing.is_full() {
            self.store();
        }
    }

    /// Packs what is waiting.
    fn store(&mut self) {
        // Nothing that is packed has a length that is not known, so there is nothing to fail.
        let bytes = postcard::to_stdvec(&self.packing.take()).unwrap_or_default();
        let first = std::mem::take(&mut self.first);
        self.batches.push(Stored { number: self.number, first, bytes: Arc::from(bytes) });
        self.number = self.len;
    }

    fn finish(mut self) -> Store<T> {
        if self.len > self.number {
            self.store();
        }
        Store::new(self.batches, self.len)
    }
}

/// The next item of a run; the greatest is that which comes first.
struct Head<T> {
    item: T,
    run: usize,
}

impl<T: Packable> Ord for Head<T> {
    fn cmp(&self, other: &Head<T>) -> Ordering {
        other.item.path().walk_order(self.item.path()).then_with(|| other.run.cmp(&self.run))
    }
}

impl<T: Packable> PartialOrd for Head<T> {
    fn partial_cmp(&self, other: &Head<T>) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Packable> PartialEq for Head<T> {
    fn eq(&self, other: &Head<T>) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T: Packable> Eq for Head<T> {}
