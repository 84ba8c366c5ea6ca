//! The generations of one author between two forks.

use crate::twoway::lineage::{Fork, Tag};
use crate::twoway::version::Author;
use serde::{Deserialize, Serialize};

/// Consecutive generations with their tags.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// Who counted, under whatever name these generations are known now.
    pub(super) root: Author,
    /// The number of the first one here.
    first: u64,
    /// The tag of each.
    tags: Vec<Tag>,
}

impl Segment {
    pub(super) fn new(root: Author, first: u64) -> Segment {
        Segment { root, first, tags: Vec::new() }
    }

    /// One that begins where this does.
    pub(super) fn empty(&self) -> Segment {
        Segment::new(self.root, self.first)
    }

    pub(super) fn push(&mut self, tag: Tag) -> u64 {
        self.tags.push(tag);
        self.next().saturating_sub(1)
    }

    /// The generation after the newest.
    fn next(&self) -> u64 {
        self.first.saturating_add(self.tags.len() as u64)
    }

    fn place(&self, generation: u64) -> Option<usize> {
        generation.checked_sub(self.first)?.try_into().ok()
    }

    pub(super) fn tag(&self, generation: u64) -> Option<Tag> {
        self.tags.get(self.place(generation)?).copied()
    }

    pub(super) fn newest(&self) -> Option<(u64, Tag)> {
        self.tags.last().map(|tag| (self.next().saturating_sub(1), *tag))
    }

    /// The generations after this one, if there are any.
    pub(super) fn after(&self, generation: u64) -> Option<Segment> {
        let first = generation.checked_add(1)?;
        let tags = self.tags.get(self.place(first)?..)?;
        (!tags.is_empty()).then(|| Segment { root: self.root, first, tags: tags.into() })
    }

    /// Takes those from a generation on out of this segment, if there are any.
    pub(super) fn divide(&mut self, from: u64) -> Option<Segment> {
        let place = self.place(from).filter(|place| *place < self.tags.len())?;
        Some(Segment { root: self.root, first: from, tags: self.tags.split_off(place) })
    }

    /// The first generation that both know, by different tags, as the two ways from there on.
    pub(super) fn clash(&self, other: &Segment) -> Option<[Fork; 2]> {
        let start = self.first.max(other.first);
        let own = self.tags.get(self.place(start)?..)?.iter();
        let others = other.tags.get(other.place(start)?..)?;
        let ((own, other), from) = own.zip(others).zip(start..).find(|((own, other), _)| own != other)?;
        Some([*own, *other].map(|tag| Fork { author: self.root, from, tag }))
    }

    /// Adds what another one has beyond this. What does not continue it is left out.
    pub(super) fn extend(&mut self, other: &Segment) {
        if let Some(more) = other.place(self.next()).and_then(|place| other.tags.get(place..)) {
            self.tags.extend_from_slice(more);
        }
    }
}
