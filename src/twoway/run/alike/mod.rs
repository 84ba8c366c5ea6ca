//! Which stretches of two histories are the same, so that only the rest of them is told.
//!
//! Where two replicas have to compare everything (they meet for the first time, the rules are others than last time, or
//! what they remember of each other is of different runs), most of what they know is the same all the same. So the
//! records, in order, are cut into stretches, and sums of these are compared. Where a stretch ends is decided by the
//! record itself: so one that only one side has changes the stretch it is in, and no other, as in the cutting of files
//! by content (Muthitacharoen, Chen and Mazières, "A Low-bandwidth Network File System", SOSP 2001).
//!
//! What is summed is all that is told of a path, versions included, so of what is the same nothing would have to be
//! done.
//!
//! Two that meet for the first time have the same at most paths, but each under versions of its own. One scan has found
//! it all, though, so mostly all records of a stretch have the same versions. Then these are told beside the sum of the
//! rest. Where that sum is the same on both sides and the versions are not, the stretches are [`Similar`]: each side
//! knows as much of what the other knows of these paths as if that had been told path by path. Nothing is decided here:
//! the plan is made of such paths as of all others. What it does with them is, for the most part, to join the versions.
//! Of a whole stretch in which it does nothing else the follower is told no tasks, but only that, and does the same by
//! the function by which the planner has seen to it that it is the same.

mod cut;
#[cfg(test)]
mod tests;
mod versions;

pub(in crate::twoway) use cut::Cutting;

use crate::pass::PassError;
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::decide::Side;
use crate::twoway::facet::Facets;
use crate::twoway::history;
use crate::twoway::lineage::Lineages;
use crate::twoway::packed::Store;
use crate::twoway::reconcile::{Step, Why};
use crate::twoway::record::Record;
use crate::twoway::run::RunError;
use crate::twoway::run::told::{Keys, Row, UNHEARD_OF};
use crate::twoway::task::Task;
use cut::{Piece, Sum, cut};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use versions::{Versions, is_join};

/// The stretches of all that one side knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Stretches {
    each: Vec<Stretch>,
    /// The versions that are the same in all records of some of them.
    #[serde(deserialize_with = "few")]
    versions: Vec<Versions>,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Stretch {
    /// Of everything in it, or, if there is a number of versions, of all but these.
    sum: Sum,
    versions: Option<u32>,
}

/// How the other side's stretches are like those here.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Alike {
    each: Vec<Likeness>,
    /// The versions that are the same in all records of some that are here.
    #[serde(deserialize_with = "few")]
    versions: Vec<Versions>,
}

/// How one of them is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Likeness {
    /// There is none like it.
    Different,
    /// It is the same.
    Same,
    /// It is the same but for the versions, which have this number here.
    Similar(u32),
}

/// The most stretches that are told: some ten million records, and half of what a message may hold. Who knows more tells
/// everything.
const MOST_STRETCHES: usize = 400_000;
/// The most versions that are told beside them, and the most counts in these. What has others is told as if it had no
/// versions in common.
const MOST_VERSIONS: usize = 1024;
const MOST_COUNTS: usize = 100_000;

/// Reads no more versions than are told: each takes much more room than bytes.
fn few<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Versions>, D::Error> {
    struct Few;
    impl<'de> Visitor<'de> for Few {
        type Value = Vec<Versions>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "at most {MOST_VERSIONS} versions")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut told: A) -> Result<Vec<Versions>, A::Error> {
            let mut all = Vec::new();
            while let Some(versions) = told.next_element()? {
                if all.len() >= MOST_VERSIONS {
                    return Err(A::Error::invalid_length(all.len().saturating_add(1), &self));
                }
                all.push(versions);
            }
            Ok(all)
        }
    }
    from.deserialize_seq(Few)
}

/// The planner's own stretches, which it has told.
pub(in crate::twoway) struct Cuts {
    facets: Facets,
    places: Vec<Place>,
}

/// Where a stretch is.
#[derive(Debug, Clone)]
struct Place {
    /// The planner's number of it.
    number: usize,
    /// How many records are before it, and how many are in it.
    start: usize,
    len: usize,
    first: RelPath,
    last: RelPath,
    /// The versions of its records; the other side's as soon as these are known.
    versions: Option<Arc<Versions>>,
}

/// Stretches in which both sides know the same but for the versions, with those of the other side.
#[derive(Debug, Default)]
pub(in crate::twoway) struct Similar {
    facets: Facets,
    /// In order.
    places: Vec<Place>,
}

/// What a plan does in similar stretches.
pub(in crate::twoway) struct Joins<'a> {
    similar: &'a Similar,
    /// For each of them, whether it only joins all versions.
    whole: Vec<bool>,
    /// For each step, whether it only joins versions.
    is_join: Vec<bool>,
}

/// The stretches of all these records; `None` if they are too many to be told.
pub(in crate::twoway) fn stretches(
    rows: impl Iterator<Item = Row>,
    cutting: &Cutting<'_>,
) -> Result<Option<(Stretches, Cuts)>, TwoWayError> {
    let mut table = Table::default();
    let (mut each, mut places) = (Vec::new(), Vec::new());
    cut(rows, cutting, &mut |piece| {
        let number = each.len();
        let versions = piece.versions.as_ref();
        let told = versions.and_then(|versions| table.number(versions));
        each.push(Stretch { sum: if told.is_some() { piece.values } else { piece.all }, versions: told });
        let versions = versions.filter(|_| told.is_some()).cloned().map(Arc::new);
        places.extend(Place::of(number, &piece, versions));
    })?;
    let stretches = Stretches { each, versions: table.all };
    let is_told = stretches.each.len() <= MOST_STRETCHES;
    Ok(is_told.then_some((stretches, Cuts { facets: cutting.shared.facets, places })))
}

/// Which of the other side's stretches are here, too; which of them are similar; and the keys of what is in none of
/// them. `None` if these are few: then it takes less to tell everything.
pub(in crate::twoway) fn compare(
    rows: impl Iterator<Item = Row>,
    cutting: &Cutting<'_>,
    theirs: &Stretches,
) -> Result<Option<(Alike, Similar, Keys)>, TwoWayError> {
    let there: HashMap<(Sum, bool), usize> = theirs
        .each
        .iter()
        .enumerate()
        .map(|(number, stretch)| ((stretch.sum, stretch.versions.is_some()), number))
        .collect();
    let shared: Vec<Arc<Versions>> = theirs.versions.iter().cloned().map(Arc::new).collect();
    let versions_of = |number: usize| {
        let versions = theirs.each.get(number)?.versions?;
        shared.get(usize::try_from(versions).ok()?)
    };
    let (mut table, mut keys) = (Table::default(), Keys::new());
    let mut each = vec![Likeness::Different; theirs.each.len()];
    let mut places = Vec::new();
    cut(rows, cutting, &mut |piece| {
        let by_values = piece.versions.as_ref().and_then(|_| there.get(&(piece.values, true)));
        let number = by_values.or_else(|| there.get(&(piece.all, false))).copied();
        let likeness = number.map_or(Likeness::Different, |number| {
            match (&piece.versions, versions_of(number)) {
                // What is above something that is told may not be missed.
                _ if piece.has_unknown => Likeness::Different,
                (_, None) => Likeness::Same,
                (Some(ours), Some(theirs)) if *ours == **theirs => Likeness::Same,
                (Some(ours), Some(theirs)) => table.number(ours).map_or(Likeness::Different, |ours| {
                    places.extend(Place::of(number, &piece, Some(theirs.clone())));
                    Likeness::Similar(ours)
                }),
                _ => Likeness::Different,
            }
        });
        match number.and_then(|number| each.get_mut(number)) {
            Some(place) if likeness != Likeness::Different => *place = likeness,
            _ => keys.extend(piece.paths.iter().map(history::key)),
        }
    })?;
    let alike = each.iter().filter(|likeness| **likeness != Likeness::Different).count();
    let similar = Similar { facets: cutting.shared.facets, places };
    let answer = Alike { each, versions: table.all };
    Ok((alike > theirs.each.len() / 2).then_some((answer, similar, keys)))
}

impl Stretches {
    /// Refuses versions of generations that nobody has heard of.
    pub(in crate::twoway) fn check(&self, lineages: &Lineages) -> Result<(), PassError> {
        check(&self.versions, lineages)
    }
}

impl Alike {
    /// Refuses versions of generations that nobody has heard of.
    pub(in crate::twoway) fn check(&self, lineages: &Lineages) -> Result<(), PassError> {
        check(&self.versions, lineages)
    }
}

fn check(versions: &[Versions], lineages: &Lineages) -> Result<(), PassError> {
    let mut counts = versions.iter().flat_map(Versions::counts);
    let is_unheard_of = counts.any(|(author, count)| count > lineages.newest(author));
    if is_unheard_of { Err(UNHEARD_OF) } else { Ok(()) }
}

const UNTOLD: PassError = PassError::Protocol("a stretch of records is like one that was not told");

impl Cuts {
    /// By the other side's answer: the stretches that are similar there, and the keys of what is in none that is the
    /// same. The rows are those that were cut.
    pub(in crate::twoway) fn answered(
        self,
        alike: &Alike,
        mut rows: impl Iterator<Item = Row>,
    ) -> Result<(Similar, Keys), RunError> {
        let theirs: Vec<Arc<Versions>> = alike.versions.iter().cloned().map(Arc::new).collect();
        let (mut places, mut keys) = (Vec::new(), Keys::new());
        // What the other side said nothing of is told.
        let answers = alike.each.iter().copied().chain(std::iter::repeat(Likeness::Different));
        for (place, likeness) in self.places.into_iter().zip(answers) {
            for row in rows.by_ref().take(place.len) {
                let (path, _) = row?;
                if likeness == Likeness::Different {
                    keys.insert(history::key(&path));
                }
            }
            if let Likeness::Similar(number) = likeness {
                let theirs = usize::try_from(number).ok().and_then(|number| theirs.get(number)).cloned();
                let versions = place.versions.and(theirs).ok_or(UNTOLD)?;
                places.push(Place { versions: Some(versions), ..place });
            }
        }
        Ok((Similar { facets: self.facets, places }, keys))
    }
}

impl Place {
    /// That of a piece, which is not empty.
    fn of(number: usize, piece: &Piece, versions: Option<Arc<Versions>>) -> Option<Place> {
        let (first, last) = (piece.paths.first()?.clone(), piece.paths.last()?.clone());
        Some(Place { number, start: piece.start, len: piece.paths.len(), first, last, versions })
    }

    fn end(&self) -> usize {
        self.start.saturating_add(self.len)
    }
}

impl Similar {
    /// Whether there are none.
    pub(in crate::twoway) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Those of these rows, which are all that are known here, that are in a similar stretch; each with that.
    fn places<'a>(
        &'a self,
        rows: impl Iterator<Item = Row> + 'a,
    ) -> impl Iterator<Item = Result<(RelPath, Record, &'a Place), TwoWayError>> + 'a {
        let mut places = self.places.iter().peekable();
        let in_place = move |(number, row): (usize, Row)| {
            while places.next_if(|place| place.end() <= number).is_some() {}
            let place = places.peek().copied();
            match (row, place) {
                (Err(error), _) => Some(Err(error)),
                (Ok((path, record)), Some(place)) if place.start <= number => Some(Ok((path, record, place))),
                _ => None,
            }
        };
        rows.enumerate().filter_map(in_place)
    }

    /// Those of these rows, which are all that are known here, that are in a similar stretch; each with what the other
    /// side knows of it.
    pub(in crate::twoway) fn on_both<'a>(
        &'a self,
        rows: impl Iterator<Item = Row> + 'a,
    ) -> impl Iterator<Item = Result<(RelPath, Record, Record), TwoWayError>> + 'a {
        self.places(rows).filter_map(|row| match row {
            Ok((path, ours, place)) => {
                let theirs = place.versions.as_ref()?.given_to(&ours);
                Some(Ok((path, ours, theirs)))
            }
            Err(error) => Some(Err(error)),
        })
    }

    /// What a plan does in them, as far as it concerns this side, which did not make it.
    pub(in crate::twoway) fn joins(&self, steps: &Store<Step>, side: Side) -> Joins<'_> {
        let mut counts = vec![0_usize; self.places.len()];
        let mut joins = Joins { similar: self, whole: Vec::new(), is_join: Vec::new() };
        if self.is_empty() {
            return joins;
        }
        for step in steps {
            let count = self.find(&step.path).and_then(|place| counts.get_mut(place));
            let count = count.filter(|_| is_join(&step, side, self.facets));
            joins.is_join.push(count.is_some());
            if let Some(count) = count {
                *count = count.saturating_add(1);
            }
        }
        // Nothing else that is there has a path between the first and the last of a stretch.
        joins.whole = self.places.iter().zip(counts).map(|(place, count)| place.len == count).collect();
        joins
    }

    /// The number of the place in whose range a path is.
    fn find(&self, path: &RelPath) -> Option<usize> {
        let number = self.places.partition_point(|place| place.last.walk_order(path).is_lt());
        let place = self.places.get(number)?;
        place.first.walk_order(path).is_le().then_some(number)
    }

    /// Gives `each` the tasks of the stretches of which the planner has said, by its numbers, that versions are joined
    /// there.
    pub(in crate::twoway) fn tasks(
        &self,
        rows: impl Iterator<Item = Row>,
        joined: &[bool],
        each: &mut dyn FnMut(Task),
    ) -> Result<(), TwoWayError> {
        for row in self.places(rows) {
            let (path, before, place) = row?;
            if joined.get(place.number) == Some(&true)
                && let Some(versions) = &place.versions
            {
                let after = versions.joined_to(&before, self.facets);
                each(Task::between(path, Why::Clear, before, after));
            }
        }
        Ok(())
    }
}

impl Joins<'_> {
    /// Of which stretches, by the planner's numbers, the follower is told that it joins the versions; `None` if of none.
    pub(in crate::twoway) fn told(&self) -> Option<Vec<bool>> {
        let whole = self.similar.places.iter().zip(&self.whole).filter(|(_, is_whole)| **is_whole);
        let mut told = Vec::new();
        for (place, _) in whole {
            told.resize(place.number, false);
            told.push(true);
        }
        (!told.is_empty()).then_some(told)
    }

    /// Whether the follower knows by that what it is to do about the step with this number.
    pub(in crate::twoway) fn say(&self, step: usize, path: &RelPath) -> bool {
        let place = self.is_join.get(step).filter(|is_join| **is_join).and_then(|_| self.similar.find(path));
        place.and_then(|place| self.whole.get(place)) == Some(&true)
    }
}

/// Versions, each once.
#[derive(Default)]
struct Table {
    all: Vec<Versions>,
    numbers: HashMap<Versions, u32>,
    /// How many counts are in them.
    counts: usize,
}

impl Table {
    /// The number of these versions, if there is room for them.
    fn number(&mut self, versions: &Versions) -> Option<u32> {
        if let Some(number) = self.numbers.get(versions) {
            return Some(*number);
        }
        let number = u32::try_from(self.all.len()).ok().filter(|_| self.all.len() < MOST_VERSIONS)?;
        self.counts = self.counts.saturating_add(versions.counts().count());
        if self.counts > MOST_COUNTS {
            return None;
        }
        self.all.push(versions.clone());
        self.numbers.insert(versions.clone(), number);
        Some(number)
    }
}
