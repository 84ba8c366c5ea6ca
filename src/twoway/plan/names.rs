//! Which files the names of a plan are of, once all else is planned.
//!
//! Contents and identities are decided apart, so names that would have one identity may come to have different contents
//! or attributes: one side linked a file to another, and the other wrote another one in its place. Those are files of
//! their own. So that nobody later takes them for one, an identity is kept by one file only, and the others get new
//! ones, which is settled as conflicts are: in the plan, so that both sides have it alike.
//!
//! With that it is known what is to be done for each identity that changes, and where that is nothing.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::facet::{Facet, FacetSum, Register};
use crate::twoway::names::{InCommon, Likeness, Member, roles};
use crate::twoway::plan::Plan;
use crate::twoway::reconcile::{Change, Settler, Step, Why};
use crate::twoway::record::Record;
use crate::twoway::version::Version;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// What new identities begin with.
const PURPOSE: &str = "dsync 2026 identity of a file that is parted from another";

/// The identities that the names of a plan have, or come to have, where that or a content changes.
pub(in crate::twoway) fn identities<'s>(steps: impl IntoIterator<Item = Step> + 's) -> HashSet<FacetSum> {
    let mut identities = HashSet::new();
    for step in steps {
        for side in Side::BOTH {
            let (before, after) = (step.before.of(side), step.after.of(side));
            if Change::between(before, after).is_some() {
                identities.extend(before.extended.identity());
                identities.extend(after.extended.identity());
            }
        }
    }
    identities
}

/// Parts files that would have one identity, and finds out where nothing has to be done. `names` are all that have one
/// of these [`identities`] on either side, before or after, in the order of a walk, be something done to them or not:
/// steps that do nothing, too. Returns those that something has to be written down for, as they are to be.
pub(in crate::twoway) fn settle(mut names: Vec<Step>, settler: Settler, in_common: InCommon) -> Vec<Step> {
    let mut of_identity: BTreeMap<FacetSum, Vec<usize>> = BTreeMap::new();
    for (number, name) in names.iter().enumerate() {
        let identities = Side::BOTH.map(|side| likeness(name.after.of(side), in_common));
        let identities: BTreeSet<FacetSum> = identities.iter().flatten().map(Likeness::identity).collect();
        for identity in identities {
            of_identity.entry(identity).or_default().push(number);
        }
    }
    let parting = Parting { settler, in_common };
    for (identity, members) in of_identity {
        parting.part(identity, &members, &mut names);
    }
    for side in Side::BOTH {
        note(side, &mut names, in_common);
    }
    names.retain(|name| name.is_left() || name.before != name.after);
    names
}

fn likeness(record: &Record, in_common: InCommon) -> Option<Likeness> {
    Likeness::of(record, in_common).filter(|_| record.state.is_present())
}

impl Plan {
    /// Whether it settles which names are one file, which is an edit of its own.
    pub(in crate::twoway) fn settles_names(&self) -> bool {
        let Settler { author, count } = self.settler;
        let is_settled = |record: &Record| {
            record.extended.get(Facet::Links).is_some_and(|known| known.version.count(author) >= count)
        };
        self.steps.iter().any(|step| Side::BOTH.iter().any(|side| is_settled(step.after.of(*side))))
    }
}

/// Names that are to be one file, on both sides or on one.
#[derive(Debug, Default)]
struct File {
    /// Where each of them is to be it.
    names: BTreeMap<usize, BTreeSet<Side>>,
    sides: BTreeSet<Side>,
}

impl File {
    fn add(&mut self, number: usize, sides: impl IntoIterator<Item = Side> + Clone) {
        self.sides.extend(sides.clone());
        self.names.entry(number).or_default().extend(sides);
    }
}

struct Parting {
    settler: Settler,
    in_common: InCommon,
}

impl Parting {
    /// Parts the files that these names, which are all that have this identity, are to be.
    fn part(&self, identity: FacetSum, members: &[usize], names: &mut [Step]) {
        let mut files = self.files(identity, members, names);
        if files.len() < 2 {
            return;
        }
        // What both sides settle goes before what is left, and then what has most names.
        let is_left = |file: &File| {
            file.names.keys().all(|number| names.get(*number).is_none_or(|name| name.is_left()))
        };
        let rank = |file: &File| {
            let one_sided = file.sides.len() < Side::BOTH.len();
            (is_left(file), one_sided, Reverse(file.names.len()), file.names.keys().next().copied())
        };
        files.sort_by_key(rank);
        let mut kept: BTreeSet<Side> = BTreeSet::new();
        for file in files {
            if kept.is_disjoint(&file.sides) {
                kept.extend(file.sides);
                continue;
            }
            let first = file.names.keys().next().and_then(|first| names.get(*first)).map(|name| &name.path);
            let new = first.filter(|_| file.names.len() > 1).map(|first| self.draw(identity, first));
            for (number, sides) in file.names {
                if let Some(name) = names.get_mut(number) {
                    self.give(name, &sides, new);
                }
            }
        }
    }

    /// The files that names of one identity are to be: those that are one on either side. What is left is no name of
    /// both sides.
    fn files(&self, identity: FacetSum, members: &[usize], names: &[Step]) -> Vec<File> {
        let mut files: Vec<File> = Vec::new();
        let mut places: HashMap<(Side, Likeness), usize> = HashMap::new();
        for number in members {
            let Some(name) = names.get(*number) else { continue };
            let ends: Vec<(Side, Likeness)> = Side::BOTH
                .into_iter()
                .filter_map(|side| Some((side, likeness(name.after.of(side), self.in_common)?)))
                .filter(|(_, likeness)| likeness.identity() == identity)
                .collect();
            if name.is_left() {
                // Each end by itself.
                for end in ends {
                    let place = *places.entry(end.clone()).or_insert_with(|| {
                        files.push(File::default());
                        files.len().saturating_sub(1)
                    });
                    if let Some(file) = files.get_mut(place) {
                        file.add(*number, [end.0]);
                    }
                }
                continue;
            }
            let known: BTreeSet<usize> = ends.iter().filter_map(|end| places.get(end)).copied().collect();
            let place = known.first().copied().unwrap_or_else(|| {
                files.push(File::default());
                files.len().saturating_sub(1)
            });
            // What was taken for two files is one.
            for other in known.into_iter().filter(|other| *other != place) {
                let merged = files.get_mut(other).map(std::mem::take).unwrap_or_default();
                places.values_mut().filter(|of| **of == other).for_each(|of| *of = place);
                if let Some(file) = files.get_mut(place) {
                    merged.names.into_iter().for_each(|(number, sides)| file.add(number, sides));
                }
            }
            if let Some(file) = files.get_mut(place) {
                file.add(*number, ends.iter().map(|(side, _)| *side));
            }
            places.extend(ends.into_iter().map(|end| (end, place)));
        }
        files.retain(|file| !file.names.is_empty());
        files
    }

    /// Gives a name an identity on these sides; none if it stands alone. On one side alone that is no edit: when both
    /// agree about it, whatever the other has takes its place.
    fn give(&self, name: &mut Step, sides: &BTreeSet<Side>, sum: Option<FacetSum>) {
        let version = match sides.len() < Side::BOTH.len() {
            true => Version::new(),
            false => {
                let joined =
                    name.after.left.extended.joined_version(&name.after.right.extended, Facet::Links);
                joined.edited(self.settler.author, self.settler.count)
            }
        };
        let version = Arc::new(version);
        for side in sides {
            let register = Register { sum, version: version.clone() };
            name.after.of_mut(*side).extended.set(Facet::Links, register);
        }
    }

    /// A new identity for a file with this first name, which no other has: no other plan has the same settler.
    fn draw(&self, identity: FacetSum, first: &RelPath) -> FacetSum {
        let mut hasher = blake3::Hasher::new_derive_key(PURPOSE);
        hasher.update(&self.settler.author.0);
        hasher.update(&self.settler.count.to_le_bytes());
        hasher.update(&identity.0);
        hasher.update(first.as_bytes());
        let mut new = [0; 16];
        hasher.finalize_xof().fill(&mut new);
        FacetSum(new)
    }
}

/// Finds out for which names nothing has to be done on a side but to write it down: names that were one file, and only
/// those, have had one identity there.
fn note(side: Side, names: &mut [Step], in_common: InCommon) {
    let mut inodes: HashMap<FacetSum, u64> = HashMap::new();
    let (mut members, mut may_be_noted) = (Vec::new(), Vec::new());
    for (number, name) in (0_u64..).zip(names.iter()) {
        let (before, after) = (name.before.of(side), name.after.of(side));
        let change = Change::between(before, after);
        if !after.state.is_present() || matches!(name.why, Why::CopyOf { .. }) {
            continue;
        }
        let is_there = matches!(change, None | Some(Change::Adjust));
        let inode = match before.extended.identity() {
            Some(identity) => (0, *inodes.entry(identity).or_insert(number)),
            None => (1, number),
        };
        let place = usize::try_from(number).unwrap_or(usize::MAX);
        if change.is_some_and(|change| change.is_only_of_names(before, after)) {
            may_be_noted.push(place);
        }
        members.push(Member {
            path: name.path.clone(),
            task: change.map(|_| place),
            inode: is_there.then_some(inode),
            likeness: likeness(after, in_common),
            mtime: after.mtime,
        });
    }
    let roles = roles(&members).by_task;
    for place in may_be_noted.into_iter().filter(|place| !roles.contains_key(place)) {
        if let Some(name) = names.get_mut(place) {
            name.noted.push(side);
        }
    }
}
