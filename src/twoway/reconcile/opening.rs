//! What is planned for a path when it comes, before anything below it.

use crate::tree::RelPath;
use crate::twoway::decide::{self, Decision, Part, Side, decide};
use crate::twoway::facet::{Facet, Register};
use crate::twoway::policy::{Conflict, ConflictKind, Resolution, keeps_the_name};
use crate::twoway::reconcile::{Below, Fate, Found, Open, Pair, Reconciliation, Why, Win};
use std::sync::Arc;

impl Reconciliation<'_> {
    /// Opens the next path; those that it is not below have been closed.
    pub(super) fn visit(&mut self, path: RelPath, pair: Pair) {
        let first = self.steps.len();
        let (fate, below) = match self.open.last().map_or(Below::Apart, |above| above.below) {
            Below::Left => return,
            Below::Taken(win) => self.take(&path, &pair, win),
            Below::Apart => self.decide(&path, &pair),
        };
        self.open.push(Open { path, pair, fate, below, found: Found::default(), first });
    }

    fn decide(&mut self, path: &RelPath, pair: &Pair) -> (Fate, Below) {
        match decide(&pair.left, &pair.right, self.rules.shared) {
            Decision::Unknown => self.leave_unknown(path, pair),
            Decision::Alike { content: Part::Conflict, .. } => {
                self.conflict(path, pair, ConflictKind::Content)
            }
            Decision::Alike { .. } if !pair.left.state.is_present() => (Fate::Absent, Below::Apart),
            Decision::Alike { content, attributes } => self.alike(path, pair, content, attributes),
            Decision::Replace(winner) => self.replace(path, pair, winner),
            Decision::RemovedAndEdited { edited } => self.removed_and_edited(path, pair, edited),
            Decision::Kinds => self.conflict(path, pair, kind_of_kinds(pair)),
        }
    }

    fn leave_unknown(&mut self, path: &RelPath, pair: &Pair) -> (Fate, Below) {
        self.leave(path, pair, Why::Unknown);
        (Fate::Planned(Found::UNKNOWN), Below::Left)
    }

    /// Below a conflict that was won.
    fn take(&mut self, path: &RelPath, pair: &Pair, win: Win) -> (Fate, Below) {
        if pair.is_unknown() {
            return self.leave_unknown(path, pair);
        }
        self.plan_taken(path, pair, win);
        let present = pair.of(win.winner).state.is_present();
        (Fate::Planned(Found::survivor_if(present)), Below::Taken(win))
    }

    /// Both have the same kind of thing.
    fn alike(&mut self, path: &RelPath, pair: &Pair, content: Part, attributes: Part) -> (Fate, Below) {
        let mut after = pair.clone();
        let version = Arc::new(pair.left.content.joined(&pair.right.content));
        let (state, mtime) = match content {
            Part::Take(side) => (&pair.of(side).state, pair.of(side).mtime),
            Part::Same | Part::Conflict => {
                let is_kept = self.rules.shared.facets.contains(Facet::Links);
                let joined = decide::has_joined(&pair.left, &pair.right).filter(|_| is_kept);
                let later = || pair.left.mtime.max(pair.right.mtime);
                (&pair.left.state, joined.map_or_else(later, |side| pair.of(side).mtime))
            }
        };
        for side in Side::BOTH {
            let record = after.of_mut(side);
            record.content = version.clone();
            record.state = state.clone();
            record.mtime = mtime;
        }
        let why = self.attributes(path, pair, attributes, &mut after);
        self.plan(path, pair, after, why);
        (Fate::Planned(Found::SURVIVOR), Below::Apart)
    }

    fn attributes(&mut self, path: &RelPath, pair: &Pair, part: Part, after: &mut Pair) -> Why {
        let facets: Vec<(Facet, Part)> = self
            .rules
            .shared
            .facets
            .iter()
            .map(|facet| (facet, decide::facet(&pair.left, &pair.right, facet)))
            .collect();
        let is_conflict = part == Part::Conflict || facets.iter().any(|(_, part)| *part == Part::Conflict);
        let resolution = is_conflict.then(|| {
            let kind = ConflictKind::Attributes;
            self.rules.resolver.resolve(&Conflict { path, left: &pair.left, right: &pair.right, kind })
        });
        let winner = resolution.and_then(|resolution| match resolution {
            Resolution::Skip | Resolution::Merged(_) => None,
            Resolution::Win(side) => Some(side),
            Resolution::KeepBoth => Some(keeps_the_name(&pair.left, &pair.right)),
        });
        self.modes_and_owners(pair, part, (resolution, winner), after);
        let is_left = resolution.is_some() && winner.is_none();
        for (facet, part) in facets {
            // Which file it is a name of depends on the attributes, too.
            if is_left && facet == Facet::Links {
                continue;
            }
            self.facet(pair, facet, (part, winner), after);
        }
        match (resolution, winner) {
            (None, _) => Why::Clear,
            (Some(_), None) => Why::Conflict(ConflictKind::Attributes),
            (Some(resolution), Some(_)) => Why::Settled(ConflictKind::Attributes, resolution),
        }
    }

    fn modes_and_owners(
        &self,
        pair: &Pair,
        part: Part,
        (resolution, winner): (Option<Resolution>, Option<Side>),
        after: &mut Pair,
    ) {
        let joined = pair.left.meta.joined(&pair.right.meta);
        let (attributes, version) = match (part, winner) {
            (Part::Same, _) => (pair.left.attributes, joined),
            (Part::Take(side), _) => (pair.of(side).attributes, joined),
            (Part::Conflict, None) => return,
            (Part::Conflict, Some(side)) => {
                let mut attributes = pair.of(side).attributes;
                if resolution == Some(Resolution::KeepBoth) {
                    attributes.mode = pair.left.attributes.mode & pair.right.attributes.mode;
                }
                (attributes, self.settled_version(&joined))
            }
        };
        let version = Arc::new(version);
        for side in Side::BOTH {
            let record = after.of_mut(side);
            record.attributes = record.attributes_with(&attributes, self.rules.shared.modes);
            record.meta = version.clone();
        }
    }

    fn facet(&self, pair: &Pair, facet: Facet, (part, winner): (Part, Option<Side>), after: &mut Pair) {
        let registers = pair.left.extended.get(facet).zip(pair.right.extended.get(facet));
        let Some((left, right)) = registers else { return };
        let joined = left.version.joined(&right.version);
        let (side, version) = match (part, winner) {
            (Part::Same, _) => (Side::Left, joined),
            (Part::Take(side), _) => (side, joined),
            (Part::Conflict, None) => return,
            (Part::Conflict, Some(side)) => (side, self.settled_version(&joined)),
        };
        let sum = if side == Side::Left { left.sum } else { right.sum };
        let register = Register { sum, version: Arc::new(version) };
        for side in Side::BOTH {
            after.of_mut(side).extended.set(facet, register.clone());
        }
    }

    /// One side has replaced or removed what the other has not touched, or made what the other never had.
    fn replace(&mut self, path: &RelPath, pair: &Pair, winner: Side) -> (Fate, Below) {
        let (new, old) = (pair.of(winner), pair.of(winner.other()));
        if old.bars(&new.state) {
            return self.conflict(path, pair, ConflictKind::Occupied);
        }
        let after = self.both(pair, new);
        let fate = if !new.state.is_present() {
            Fate::Goes { kept: winner.other(), after: Box::new(after), why: Why::Clear }
        } else if old.state.is_directory() {
            Fate::Replaced { winner }
        } else {
            self.plan(path, pair, after, Why::Clear);
            Fate::Planned(Found::SURVIVOR)
        };
        (fate, Below::Apart)
    }

    /// One side has removed what the other has edited.
    fn removed_and_edited(&mut self, path: &RelPath, pair: &Pair, edited: Side) -> (Fate, Below) {
        let removed = edited.other();
        let (gone, there) = (pair.of(removed), pair.of(edited));
        // Who never knew it has not removed it. Both versions have an edit if it became something else, or anew what it
        // was: that is not what was removed. None has where edits were not noticed.
        let knew = gone.content.counts().next().is_some();
        let (content, meta) = (gone.content.covers(&there.content), gone.meta.covers(&there.meta));
        let same_thing = (content || meta) && !gone.covers(there, self.rules.shared.facets);
        if knew && same_thing && self.rules.resolver.removals_win(path) == Some(removed) {
            let after = Box::new(self.settled(pair, removed));
            let why = Why::Settled(ConflictKind::Content, Resolution::Win(removed));
            return (Fate::Goes { kept: edited, after, why }, Below::Apart);
        }
        if gone.bars(&there.state) {
            return self.conflict(path, pair, ConflictKind::Occupied);
        }
        self.plan(path, pair, self.settled(pair, edited), Why::Kept { removed });
        (Fate::Planned(Found::SURVIVOR), Below::Apart)
    }

    /// Each side has edits that the other has not.
    fn conflict(&mut self, path: &RelPath, pair: &Pair, kind: ConflictKind) -> (Fate, Below) {
        let Some(win) = self.settle(path, pair, kind) else {
            return (Fate::Planned(Found::SURVIVOR), Below::Left);
        };
        let winner = win.winner;
        let fate = match pair.of(winner.other()).state.is_directory() {
            true => Fate::Overruled { winner },
            false => Fate::Planned(Found::survivor_if(pair.of(winner).state.is_present())),
        };
        (fate, Below::Taken(win))
    }
}

/// What a conflict of kinds is about.
fn kind_of_kinds(pair: &Pair) -> ConflictKind {
    match pair.left.bars(&pair.right.state) || pair.right.bars(&pair.left.state) {
        true => ConflictKind::Occupied,
        false => ConflictKind::Kinds,
    }
}
