//! What is planned for a path when all that is below it has been seen.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::policy::ConflictKind;
use crate::twoway::reconcile::{Fate, Found, Open, Pair, Reconciliation, Step, Why};
use crate::twoway::record::{Record, State};
use std::sync::Arc;

impl Reconciliation<'_> {
    /// Closes the innermost open path, and tells the one above what is there.
    pub(super) fn close(&mut self) {
        let Some(open) = self.open.pop() else { return };
        let Open { path, pair, fate, found, first, .. } = open;
        let found = match fate {
            Fate::Planned(own) => own.and(found),
            Fate::Absent => self.absent(&path, &pair, found),
            Fate::Goes { kept, after, why } => self.goes(&path, &pair, found, kept, (*after, why)),
            Fate::Replaced { winner } => self.replaced(&path, &pair, found, winner, first),
            Fate::Overruled { winner } => self.overruled(&path, &pair, found, winner, first),
        };
        if let Some(above) = self.open.last_mut() {
            above.found = above.found.and(found);
        }
    }

    /// Neither has it: a directory that stays is there again if something in it is.
    fn absent(&mut self, path: &RelPath, pair: &Pair, found: Found) -> Found {
        let (left, right) = (&pair.left, &pair.right);
        if found.survivor {
            let stands = if right.occupied { Side::Right } else { Side::Left };
            let settled = self.settled(pair, stands);
            let alive = Record { state: State::Directory, ..settled.left };
            self.plan(path, pair, self.both(pair, &alive), Why::Kept { removed: stands.other() });
        } else {
            let joined = Record {
                content: Arc::new(left.content.joined(&right.content)),
                meta: Arc::new(left.meta.joined(&right.meta)),
                mtime: left.mtime.max(right.mtime),
                extended: self.joined(pair, &left.extended),
                ..left.clone()
            };
            self.plan(path, pair, self.both(pair, &joined), Why::Clear);
        }
        found
    }

    /// One side has removed it.
    fn goes(
        &mut self,
        path: &RelPath,
        pair: &Pair,
        found: Found,
        kept: Side,
        (after, why): (Pair, Why),
    ) -> Found {
        if found.survivor {
            self.plan(path, pair, self.settled(pair, kept), Why::Kept { removed: kept.other() });
        } else if found.unknown {
            self.leave(path, pair, Why::Unknown);
        } else {
            self.plan(path, pair, after, why);
        }
        found
    }

    /// One side has put something else in its place, and the other's directory had no edits of its own.
    fn replaced(&mut self, path: &RelPath, pair: &Pair, found: Found, winner: Side, first: usize) -> Found {
        if found.unknown {
            self.take_back(path, pair, first);
        } else if found.survivor {
            // Whatever is decided at the top holds for all below, which has been planned apart.
            let below: Vec<Step> = self.steps.drain(first.min(self.steps.len())..).collect();
            if let Some(win) = self.settle(path, pair, ConflictKind::Kinds) {
                for step in below.iter().filter(|step| !matches!(step.why, Why::CopyOf { .. })) {
                    self.plan_taken(&step.path, &step.before, win);
                }
            }
        } else {
            self.plan(path, pair, self.both(pair, pair.of(winner)), Why::Clear);
        }
        Found { survivor: true, ..found }
    }

    /// It lost a conflict.
    fn overruled(&mut self, path: &RelPath, pair: &Pair, found: Found, winner: Side, first: usize) -> Found {
        if found.unknown {
            self.take_back(path, pair, first);
        }
        Found::survivor_if(pair.of(winner).state.is_present()).and(found)
    }

    /// Leaves a directory alone, with all below, since something in it could not be looked at.
    fn take_back(&mut self, path: &RelPath, pair: &Pair, first: usize) {
        self.steps.truncate(first);
        self.leave(path, pair, Why::Unknown);
    }
}
