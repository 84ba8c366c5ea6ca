//! What a plan is made of: for one path, what both sides know of it now and what they will know of it, and why.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::facet::{Facet, Facets};
use crate::twoway::policy::{ConflictKind, Resolution};
use crate::twoway::record::{Record, State};
use crate::twoway::text;
use serde::{Deserialize, Serialize};

/// The record of each side.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pair {
    /// The first argument's.
    pub left: Record,
    /// The second argument's.
    pub right: Record,
}

/// What is to be done at one path.
///
/// Nothing is ever made up: where the state of a side changes, the new one is fetched from the other side, which has it
/// now, or it is what a conflict was merged to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Where.
    #[serde(with = "text::path")]
    pub path: RelPath,
    /// Why.
    pub why: Why,
    /// What is known of it.
    pub before: Pair,
    /// What will be known of it.
    pub after: Pair,
    /// The sides on which it is only written down that it is a name of another file than before: those that it is one
    /// with have changed, or there are none, and nothing has to be done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noted: Vec<Side>,
}

/// Why a step does what it does.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
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
    /// A conflict is left as it is. Unless it is about attributes, so is all that is below.
    Conflict(ConflictKind),
    /// The loser of a conflict gets a name of its own.
    CopyOf {
        /// Where the conflict is.
        #[serde(with = "text::path")]
        original: RelPath,
        /// Whose version that is.
        loser: Side,
    },
    /// It could not be looked at, or holds what could not: it is left as it is, with all that is below.
    Unknown,
    /// It changed apart from the plan that is carried out: it is left for a later run.
    Unplanned,
}

/// What is done to a path on one side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It is made, where nothing was.
    Create,
    /// Another content, target or device number takes the place of the old one.
    Update,
    /// Another kind of thing takes its place.
    Replace,
    /// It goes to the trash.
    Remove,
    /// It was to be removed, but the directory stays for what it holds that takes no part, or the file of rules for
    /// what it leaves out there.
    Empty,
    /// Its attributes or its modification time are set.
    Adjust,
}

impl Pair {
    /// That of one side.
    pub fn of(&self, side: Side) -> &Record {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// That of one side alone.
    pub fn into_one(self, side: Side) -> Record {
        match side {
            Side::Left => self.left,
            Side::Right => self.right,
        }
    }

    pub(in crate::twoway) fn of_mut(&mut self, side: Side) -> &mut Record {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// What this makes of each of them.
    pub(in crate::twoway) fn map(&self, each: impl Fn(&Record) -> Record) -> Pair {
        Pair { left: each(&self.left), right: each(&self.right) }
    }

    /// Both with this record, but for what is a fact about one side alone, and for facets that are not shared.
    pub(super) fn both(&self, record: &Record, shared: Facets) -> Pair {
        let stays = matches!(record.state, State::Absent | State::Directory);
        let on = |side| {
            let own = self.of(side);
            let record = record.clone();
            Record { occupied: stays && own.occupied, ..own.followed_by(record, shared) }
        };
        Pair { left: on(Side::Left), right: on(Side::Right) }
    }

    /// Whether neither side has ever seen anything there.
    pub fn is_unseen(&self) -> bool {
        Side::BOTH.iter().all(|side| {
            let record = self.of(*side);
            !record.state.is_present()
                && [&record.content, &record.meta].iter().all(|version| version.is_empty())
        })
    }

    /// Whether what is there on either side could not be looked at.
    pub fn is_unknown(&self) -> bool {
        Side::BOTH.iter().any(|side| self.of(*side).state == State::Unknown)
    }
}

impl Step {
    /// The same where no more than these facets is shared.
    pub(in crate::twoway) fn within(self, shared: Facets) -> Step {
        let Step { path, why, before, after, noted } = self;
        let (left, right) =
            (before.left.followed_by(after.left, shared), before.right.followed_by(after.right, shared));
        Step { path, why, before, after: Pair { left, right }, noted }.replacing_names(shared)
    }

    /// The same, where it is known which names are one file, but not kept alike: what is replaced is that no longer.
    pub(super) fn replacing_names(mut self, shared: Facets) -> Step {
        if !shared.contains(Facet::Links) {
            for side in Side::BOTH {
                if self.before.of(side).state != self.after.of(side).state {
                    self.after.of_mut(side).extended.forget(Facet::Links);
                }
            }
        }
        self
    }

    /// What is done on a side, if anything is done there.
    pub fn change(&self, side: Side) -> Option<Change> {
        let change = Change::between(self.before.of(side), self.after.of(side));
        change.filter(|_| !self.noted.contains(&side))
    }

    /// Whether what is there on a side counts as removed and stays, and is no directory.
    pub fn stays(&self, side: Side) -> bool {
        self.change(side) == Some(Change::Empty) && !self.before.of(side).state.is_directory()
    }

    /// Whether anything is done to either tree.
    pub fn changes_anything(&self) -> bool {
        Side::BOTH.iter().any(|side| self.change(*side).is_some())
    }

    /// Whether something is left for a later run.
    pub fn is_left(&self) -> bool {
        self.why.is_left()
    }
}

impl Why {
    /// Whether something is left for a later run.
    pub fn is_left(&self) -> bool {
        matches!(self, Why::Conflict(_) | Why::Unknown | Why::Unplanned)
    }
}

impl Change {
    /// Whether it is above all about which names are one file, where it leads from one record to another.
    pub fn is_of_names(self, before: &Record, after: &Record) -> bool {
        self == Change::Adjust && after.extended.differing(&before.extended).contains(Facet::Links)
    }

    /// Whether it is about nothing else.
    pub fn is_only_of_names(self, before: &Record, after: &Record) -> bool {
        let mut but_for_names = after.clone();
        but_for_names.extended.set_from(&before.extended, Facet::Links);
        self.is_of_names(before, after) && Change::between(before, &but_for_names).is_none()
    }

    /// What leads from one record of a replica to another, if anything has to be done for it.
    pub fn between(before: &Record, after: &Record) -> Option<Change> {
        match (&before.state, &after.state) {
            (State::Absent, State::Absent) => None,
            (_, State::Absent) if after.occupied => Some(Change::Empty),
            (_, State::Absent) => Some(Change::Remove),
            (State::Absent, _) => Some(Change::Create),
            (old, new) if !old.is_like(new) => Some(Change::Replace),
            (old, new) if old != new => Some(Change::Update),
            _ => {
                let same = before.attributes == after.attributes
                    && before.mtime == after.mtime
                    && after.extended.differing(&before.extended).is_empty();
                (!same).then_some(Change::Adjust)
            }
        }
    }
}
