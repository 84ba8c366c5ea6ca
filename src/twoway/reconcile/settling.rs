//! Conflicts: who wins, and what becomes of the loser.

use crate::tree::RelPath;
use crate::twoway::decide::{Decision, Part, Side, decide};
use crate::twoway::facet::{Extended, Facet, Register};
use crate::twoway::policy::{Conflict, ConflictKind, Merged, Resolution, copy_name, keeps_the_name};
use crate::twoway::reconcile::{Elsewhere, Pair, Reconciliation, Why, Win};
use crate::twoway::record::{Record, Shared, State};
use crate::twoway::version::Version;
use std::sync::Arc;

impl Reconciliation<'_> {
    /// Plans what is done about a conflict at a path itself. Returns who won, or nothing if it is left.
    pub(super) fn settle(&mut self, path: &RelPath, pair: &Pair, kind: ConflictKind) -> Option<Win> {
        let conflict = Conflict { path, left: &pair.left, right: &pair.right, kind };
        let resolution = self.rules.resolver.resolve(&conflict);
        let Some(winner) = self.winner(path, pair, kind, resolution) else {
            self.leave(path, pair, Why::Conflict(kind));
            return None;
        };
        let mut after = self.settled(pair, winner);
        if let Resolution::Merged(merged) = resolution {
            after = Pair { left: merged_file(after.left, merged), right: merged_file(after.right, merged) };
        }
        self.plan(path, pair, after, Why::Settled(kind, resolution));
        Some(Win { winner, kind, resolution })
    }

    /// Who wins by this resolution, if it can be carried out. A loser that is kept has its copy planned then.
    fn winner(
        &mut self,
        path: &RelPath,
        pair: &Pair,
        kind: ConflictKind,
        resolution: Resolution,
    ) -> Option<Side> {
        let named = keeps_the_name(&pair.left, &pair.right);
        match resolution {
            Resolution::Skip => None,
            // What cannot go has the name.
            Resolution::Win(side) => (kind != ConflictKind::Occupied || side == named).then_some(side),
            Resolution::Merged(_) => {
                let files = Side::BOTH.iter().all(|side| matches!(pair.of(*side).state, State::File { .. }));
                files.then_some(named)
            }
            Resolution::KeepBoth => self.copy_loser(path, pair, named.other()).then_some(named),
        }
    }

    /// Gives the loser of a conflict another name, on both sides. Returns whether it has one.
    fn copy_loser(&mut self, path: &RelPath, pair: &Pair, side: Side) -> bool {
        let loser = pair.of(side);
        let Some((parent, name)) = path.split_last() else { return false };
        let Some(copy) = copy_name(&name, &loser.state) else { return false };
        let copy = parent.join(&copy);
        let nothing = Record {
            state: State::Absent,
            content: Arc::default(),
            meta: Arc::default(),
            extended: Extended::default(),
            occupied: false,
            ..loser.clone()
        };
        let before = match (self.rules.elsewhere)(&copy) {
            Elsewhere::Unchanged(record) => record.unwrap_or(nothing),
            Elsewhere::Changed(pair) => return will_be(&pair, &loser.state, self.rules.shared),
            Elsewhere::Excluded => return false,
        };
        if before.state.is_present() || before.occupied {
            return before.state == loser.state;
        }
        let made = Record {
            content: Arc::new(self.settled_version(&before.content)),
            meta: Arc::new(self.settled_version(&before.meta)),
            extended: self.copied(&before.extended, &loser.extended),
            occupied: false,
            ..loser.clone()
        };
        let (before, after) =
            (Pair { left: before.clone(), right: before }, Pair { left: made.clone(), right: made });
        self.plan(&copy, &before, after, Why::CopyOf { original: path.clone(), loser: side });
        true
    }

    /// What is known of the facets of a copy: as much of them as is shared.
    fn copied(&self, before: &Extended, loser: &Extended) -> Extended {
        let mut shared = loser.only(self.rules.shared.facets);
        if let Some(links) = shared.get(Facet::Links).cloned() {
            // It is a file of its own, whatever the loser was.
            shared.set(Facet::Links, Register { sum: None, ..links });
        }
        let settled = |(facet, register): (Facet, &Register)| {
            let version = before.joined_version(&Extended::default(), facet);
            (facet, Register { version: Arc::new(self.settled_version(&version)), ..*register })
        };
        shared.iter().map(settled).collect()
    }

    /// Plans that both get what the winner of a conflict above has.
    pub(super) fn plan_taken(&mut self, path: &RelPath, pair: &Pair, win: Win) {
        let Win { winner: side, kind, resolution } = win;
        // What the other has no edits of needs no edit of its own to win: it would be one that nobody made.
        let (after, why) = match pair.of(side).covers(pair.of(side.other()), self.rules.shared.facets) {
            true => (self.both(pair, pair.of(side)), Why::Clear),
            false => (self.settled(pair, side), Why::Settled(kind, resolution)),
        };
        self.plan(path, pair, after, why);
    }

    /// Both get what one side has, which is from now on newer than what either had.
    pub(super) fn settled(&self, pair: &Pair, side: Side) -> Pair {
        let content = self.settled_version(&pair.left.content.joined(&pair.right.content));
        let meta = self.settled_version(&pair.left.meta.joined(&pair.right.meta));
        let (content, meta) = (Arc::new(content), Arc::new(meta));
        let mut extended = pair.of(side).extended.clone();
        for facet in self.rules.shared.facets.iter() {
            if let Some(register) = extended.get(facet).cloned() {
                let joined = pair.left.extended.joined_version(&pair.right.extended, facet);
                let version = Arc::new(self.settled_version(&joined));
                extended.set(facet, Register { version, ..register });
            }
        }
        self.both(pair, &Record { content, meta, extended, ..pair.of(side).clone() })
    }

    /// What is known of facets with the versions of both sides.
    pub(super) fn joined(&self, pair: &Pair, known: &Extended) -> Extended {
        let mut joined = known.clone();
        for facet in self.rules.shared.facets.iter() {
            let register = [known, &pair.left.extended, &pair.right.extended];
            if let Some(register) = register.iter().find_map(|extended| extended.get(facet)).cloned() {
                let version = Arc::new(pair.left.extended.joined_version(&pair.right.extended, facet));
                joined.set(facet, Register { version, ..register });
            }
        }
        joined
    }

    pub(super) fn settled_version(&self, version: &Version) -> Version {
        version.edited(self.rules.settler.author, self.rules.settler.count)
    }
}

fn merged_file(record: Record, merged: Merged) -> Record {
    let Merged { sum, size, mtime } = merged;
    Record { state: State::File { sum, size }, mtime, ..record }
}

/// Whether both will have this state, by what is clear of a path that changed.
fn will_be(pair: &Pair, state: &State, shared: Shared) -> bool {
    match decide(&pair.left, &pair.right, shared) {
        Decision::Alike { content: Part::Take(side), .. } | Decision::Replace(side) => {
            pair.of(side).state == *state
        }
        Decision::Alike { content: Part::Same, .. } => pair.left.state == *state,
        _ => false,
    }
}
