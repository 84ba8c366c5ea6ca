//! From what both replicas know to what is to be done: a pure function over the paths that changed on either side.
//!
//! Per path the two records decide ([`decide`]); what is above and below a path matters only where a directory meets
//! something else. A directory that one side removed, or put something else in place of, goes only if nothing in it
//! survives: what the other side edited or added below stays, with its parents, and makes a removal none and a
//! replacement a conflict.
//!
//! The plan says for each path what both replicas will record of it afterwards. What has to be done follows from the
//! difference to what they have: where the state differs, it is fetched from the side that has it already, since nothing
//! is ever made up.

use crate::tree::{Name, RelPath};
use crate::twoway::decide::{Decision, Part, Side, decide};
use crate::twoway::policy::{Conflict, ConflictKind, Resolution, copy_name, keeps_the_name};
use crate::twoway::record::{Attributes, Record, State};
use crate::twoway::version::{Author, Version};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What both replicas know of a path, and of the paths below that changed on either side.
#[derive(Clone, Debug)]
pub struct Known {
    /// The record of each side.
    pub pair: Pair,
    /// What is below, by name.
    pub below: BTreeMap<Name, Known>,
}

/// A value for each side.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair {
    /// The first argument's.
    pub left: Record,
    /// The second argument's.
    pub right: Record,
}

/// What is to be done at one path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Where.
    pub path: RelPath,
    /// What is known of it.
    pub before: Pair,
    /// What will be known of it.
    pub after: Pair,
    /// Why.
    pub why: Why,
}

/// Why a step does what it does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Why {
    /// One side's is newer, or both are the same, or both together make one.
    Clear,
    /// One side removed what the other edited, or in which it edited something: it stays.
    Kept {
        /// Who removed it.
        removed: Side,
    },
    /// A conflict was resolved.
    Settled(ConflictKind, Resolution),
    /// A conflict is left as it is, with all that is below.
    Conflict(ConflictKind),
    /// The loser of the conflict at this path, under its new name.
    CopyOf(RelPath),
    /// It could not be looked at, so it is left as it is, with all that is below.
    Unknown,
}

/// The edit that settles conflicts: whose, and in which generation.
#[derive(Clone, Copy, Debug)]
pub struct Settler {
    /// The replica that makes the plan.
    pub author: Author,
    /// Its generation.
    pub count: u64,
}

/// Plans what is to be done. `resolve` is asked about each conflict; `prefers` says whose removals win over edits;
/// `unchanged` tells what both record of a path that is not among the changed ones.
pub fn reconcile(
    root: &Known,
    settler: Settler,
    prefers: Option<Side>,
    unchanged: &dyn Fn(&RelPath) -> Option<Record>,
    resolve: &mut dyn FnMut(&Conflict<'_>) -> Resolution,
) -> Vec<Step> {
    let mut reconciliation = Reconciliation { settler, prefers, unchanged, resolve, steps: Vec::new() };
    reconciliation.visit(&RelPath::root(), root, &Siblings::new(), None);
    reconciliation.steps
}

type Siblings = BTreeMap<Name, Known>;

struct Reconciliation<'a> {
    settler: Settler,
    prefers: Option<Side>,
    unchanged: &'a dyn Fn(&RelPath) -> Option<Record>,
    resolve: &'a mut dyn FnMut(&Conflict<'_>) -> Resolution,
    steps: Vec<Step>,
}

impl Pair {
    /// That of one side.
    pub fn of(&self, side: Side) -> &Record {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    fn of_mut(&mut self, side: Side) -> &mut Record {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    fn both(record: Record) -> Pair {
        Pair { left: record.clone(), right: record }
    }
}

impl Reconciliation<'_> {
    /// Plans a path and what is below; with `force`, both get what that side has. Returns whether anything will be there.
    fn visit(
        &mut self,
        path: &RelPath,
        known: &Known,
        siblings: &Siblings,
        force: Option<(Side, &Why)>,
    ) -> bool {
        let pair = &known.pair;
        if let Some((side, why)) = force {
            // What the other has no edits of needs no edit of its own to win: it would be one that nobody made.
            let (after, why) = match pair.of(side).covers(pair.of(side.other())) {
                true => (Pair::both(pair.of(side).clone()), Why::Clear),
                false => (self.settled(pair, side), why.clone()),
            };
            let step = self.step(path, pair, after, why);
            self.steps.push(step);
            self.below(path, known, force);
            return pair.of(side).state.is_present();
        }
        match decide(&pair.left, &pair.right) {
            Decision::Alike { content, attributes } => self.alike(path, known, siblings, content, attributes),
            Decision::Replace(side) => self.replace(path, known, siblings, side),
            Decision::RemovedAndEdited { edited } => self.removed_and_edited(path, known, edited),
            Decision::Kinds => self.conflict(path, known, siblings, ConflictKind::Kinds),
            Decision::Unknown => self.leave(path, pair, Why::Unknown),
        }
    }

    /// Plans all that is below a path. Returns whether anything will be there.
    fn below(&mut self, path: &RelPath, known: &Known, force: Option<(Side, &Why)>) -> bool {
        let mut any = false;
        for (name, below) in &known.below {
            any |= self.visit(&path.join(name), below, &known.below, force);
        }
        any
    }

    fn step(&self, path: &RelPath, before: &Pair, after: Pair, why: Why) -> Step {
        Step { path: path.clone(), before: before.clone(), after, why }
    }

    fn leave(&mut self, path: &RelPath, pair: &Pair, why: Why) -> bool {
        let step = self.step(path, pair, pair.clone(), why);
        self.steps.push(step);
        true
    }

    /// Both have the same kind of thing, or nothing.
    fn alike(
        &mut self,
        path: &RelPath,
        known: &Known,
        siblings: &Siblings,
        content: Part,
        attributes: Part,
    ) -> bool {
        let pair = &known.pair;
        let content_from = match content {
            Part::Conflict => return self.conflict(path, known, siblings, ConflictKind::Content),
            Part::Take(side) => Some(side),
            Part::Same => None,
        };
        let mut after = pair.clone();
        let version = Arc::new(pair.left.content.joined(&pair.right.content));
        let state = content_from.map(|side| pair.of(side).state.clone());
        let mtime = match content_from {
            Some(side) => pair.of(side).mtime,
            None => pair.left.mtime.max(pair.right.mtime),
        };
        for side in Side::BOTH {
            let record = after.of_mut(side);
            record.content = version.clone();
            record.mtime = mtime;
            if let Some(state) = &state {
                record.state = state.clone();
            }
        }
        let why = self.attributes(path, pair, attributes, &mut after);
        let step = self.step(path, pair, after, why);
        self.steps.push(step);
        let below = self.below(path, known, None);
        pair.left.state.is_present() || below
    }

    fn attributes(&mut self, path: &RelPath, pair: &Pair, part: Part, after: &mut Pair) -> Why {
        let joined = pair.left.meta.joined(&pair.right.meta);
        let (attributes, version, why) = match part {
            Part::Same => (pair.left.attributes, joined, Why::Clear),
            Part::Take(side) => (pair.of(side).attributes, joined, Why::Clear),
            Part::Conflict => {
                let kind = ConflictKind::Attributes;
                let resolution =
                    (self.resolve)(&Conflict { path, left: &pair.left, right: &pair.right, kind });
                let attributes = match resolution {
                    Resolution::Skip => return Why::Conflict(kind),
                    Resolution::Win(side) => pair.of(side).attributes,
                    Resolution::KeepBoth => Attributes {
                        mode: pair.left.attributes.mode & pair.right.attributes.mode,
                        ..pair.of(keeps_the_name(&pair.left, &pair.right)).attributes
                    },
                };
                (attributes, self.bumped(&joined), Why::Settled(kind, resolution))
            }
        };
        let version = Arc::new(version);
        for side in Side::BOTH {
            after.of_mut(side).attributes = attributes;
            after.of_mut(side).meta = version.clone();
        }
        why
    }

    /// One side has replaced or removed what the other has not touched, or made what the other never had.
    fn replace(&mut self, path: &RelPath, known: &Known, siblings: &Siblings, winner: Side) -> bool {
        let pair = &known.pair;
        let (new, old) = (pair.of(winner), pair.of(winner.other()));
        let first = self.steps.len();
        let step = self.step(path, pair, Pair::both(new.clone()), Why::Clear);
        self.steps.push(step);
        let survivors = self.below(path, known, None);
        if !old.state.is_directory() || !survivors {
            return new.state.is_present();
        }
        if new.state.is_present() {
            self.steps.truncate(first);
            return self.conflict(path, known, siblings, ConflictKind::Kinds);
        }
        self.keep(first, path, pair, winner.other());
        true
    }

    /// One side has removed what the other has edited.
    fn removed_and_edited(&mut self, path: &RelPath, known: &Known, edited: Side) -> bool {
        let pair = &known.pair;
        let removed = edited.other();
        let first = self.steps.len();
        // Who never knew it has not removed it.
        let knew = pair.of(removed).content.counts().next().is_some();
        let goes = self.prefers == Some(removed) && knew;
        let why = match goes {
            true => Why::Settled(ConflictKind::Content, Resolution::Win(removed)),
            false => Why::Kept { removed },
        };
        let winner = if goes { removed } else { edited };
        let step = self.step(path, pair, self.settled(pair, winner), why);
        self.steps.push(step);
        let survivors = self.below(path, known, None);
        if goes && survivors {
            self.keep(first, path, pair, edited);
        }
        !goes || survivors
    }

    /// What was to be removed stays after all, on both sides, for what is in it.
    fn keep(&mut self, step: usize, path: &RelPath, pair: &Pair, side: Side) {
        let kept = self.step(path, pair, self.settled(pair, side), Why::Kept { removed: side.other() });
        if let Some(step) = self.steps.get_mut(step) {
            *step = kept;
        }
    }

    fn conflict(&mut self, path: &RelPath, known: &Known, siblings: &Siblings, kind: ConflictKind) -> bool {
        let pair = &known.pair;
        let resolution = (self.resolve)(&Conflict { path, left: &pair.left, right: &pair.right, kind });
        let winner = match resolution {
            Resolution::Skip => return self.leave(path, pair, Why::Conflict(kind)),
            Resolution::Win(side) => side,
            Resolution::KeepBoth => {
                let winner = keeps_the_name(&pair.left, &pair.right);
                if !self.copy_loser(path, pair.of(winner.other()), siblings) {
                    return self.leave(path, pair, Why::Conflict(kind));
                }
                winner
            }
        };
        let why = Why::Settled(kind, resolution);
        let step = self.step(path, pair, self.settled(pair, winner), why.clone());
        self.steps.push(step);
        self.below(path, known, Some((winner, &why)));
        pair.of(winner).state.is_present()
    }

    /// Gives the loser of a conflict another name, on both sides. Returns whether it has one.
    fn copy_loser(&mut self, path: &RelPath, loser: &Record, siblings: &Siblings) -> bool {
        let Some((parent, name)) = path.split_last() else { return false };
        let Some(copy) = copy_name(&name, &loser.state) else { return false };
        let copy_path = parent.join(&copy);
        if let Some(there) = siblings.get(&copy) {
            // Whatever becomes of it, its content is kept, if it is this.
            return Side::BOTH.iter().any(|side| there.pair.of(*side).state == loser.state);
        }
        let before = (self.unchanged)(&copy_path).unwrap_or_else(|| Record {
            state: State::Absent,
            content: Arc::default(),
            meta: Arc::default(),
            ..loser.clone()
        });
        if before.state.is_present() {
            return before.state == loser.state;
        }
        let (content, meta) = (Arc::new(self.bumped(&before.content)), Arc::new(self.bumped(&before.meta)));
        let made = Record { content, meta, ..loser.clone() };
        let why = Why::CopyOf(path.clone());
        let step = self.step(&copy_path, &Pair::both(before), Pair::both(made), why);
        self.steps.push(step);
        true
    }

    /// Both get what one side has, which is from now on newer than what either had.
    fn settled(&self, pair: &Pair, side: Side) -> Pair {
        let content = self.bumped(&pair.left.content.joined(&pair.right.content));
        let meta = self.bumped(&pair.left.meta.joined(&pair.right.meta));
        Pair::both(Record { content: Arc::new(content), meta: Arc::new(meta), ..pair.of(side).clone() })
    }

    fn bumped(&self, version: &Version) -> Version {
        version.edited(self.settler.author, self.settler.count)
    }
}
