//! Who wins a conflict.
//!
//! A [`Policy`] says so for any conflict, and [`Policies`] which policy holds for which path. What a person or a
//! command has to be asked about, the run asks itself: it wraps the policies in a [`Resolver`] of its own.

mod copy;
mod overrides;

pub use self::overrides::{InvalidOverride, Override, Policies};

pub(in crate::twoway) use self::copy::{copy_name, is_copy, keeps_the_name};

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::record::{ContentSum, Record, State};
use filetime::FileTime;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::str::FromStr;

/// A path on which each side has edits that the other has not.
#[derive(Clone, Copy, Debug)]
pub struct Conflict<'a> {
    /// Where.
    pub path: &'a RelPath,
    /// What is there on the first argument's side.
    pub left: &'a Record,
    /// What is there on the second argument's side.
    pub right: &'a Record,
    /// What of it.
    pub kind: ConflictKind,
}

impl Conflict<'_> {
    /// Whether keep-both can settle it, as far as it tells by itself: what has to give up the name can get another one.
    pub fn can_keep_both(&self) -> bool {
        if self.kind == ConflictKind::Attributes {
            return true;
        }
        let loser = match keeps_the_name(self.left, self.right) {
            Side::Left => self.right,
            Side::Right => self.left,
        };
        let name = self.path.split_last().map(|(_, name)| name);
        name.is_some_and(|name| copy_name(&name, &loser.state).is_some())
    }

    /// Whether it can be settled by what one of the sides has.
    pub fn can_be_won(&self) -> bool {
        self.kind != ConflictKind::Occupied
    }
}

/// What a conflict is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictKind {
    /// Two contents, or two targets of a link.
    Content,
    /// Two modes or owners of the same content.
    Attributes,
    /// Two kinds of thing; or one thing in the place of a directory in which the other side has edits.
    Kinds,
    /// Something wants the name of a directory that cannot go, because it holds what takes no part. Only the directory
    /// can win.
    Occupied,
}

/// What is done about a conflict.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// Nothing: both keep theirs.
    Skip,
    /// This side's is taken by both; the other's goes to the trash.
    Win(Side),
    /// The winner keeps the name, and the loser gets another on both sides. Of attributes: what both permit.
    KeepBoth,
    /// Both take what was made of the two. Only of two files.
    Merged(Merged),
}

/// A file made of the two contents of a conflict; whoever resolved it so has it at hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Merged {
    /// The sum of its content.
    pub sum: ContentSum,
    /// The length of its content, in bytes.
    pub size: u64,
    /// When it was made.
    #[serde(with = "crate::twoway::text::time")]
    pub mtime: FileTime,
}

/// A rule that resolves conflicts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Policy {
    /// Both keep theirs.
    #[default]
    Skip,
    /// Both are kept, on both sides.
    KeepBoth,
    /// The later modification time wins.
    Newer,
    /// The earlier modification time wins.
    Older,
    /// The longer file wins.
    Larger,
    /// The shorter file wins.
    Smaller,
    /// This side wins, its removals too.
    Prefer(Side),
    /// A person decides.
    Ask,
    /// This command makes one file of the two.
    Merge(Box<str>),
}

/// Who is asked about conflicts while a plan is made.
pub trait Resolver {
    /// What is done about this conflict.
    fn resolve(&mut self, conflict: &Conflict<'_>) -> Resolution;

    /// Whose removals win over edits at this path, if anybody's.
    fn removals_win(&self, path: &RelPath) -> Option<Side>;
}

/// A text that names no [`Policy`].
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} is no conflict policy")]
pub struct InvalidPolicy(pub String);

impl Policy {
    /// Resolves a conflict by what the records say. What the policy cannot tell is skipped: equal times or sizes, the
    /// size of what is no file, and what somebody would have to be asked.
    pub fn resolve(&self, conflict: &Conflict<'_>) -> Resolution {
        if conflict.kind == ConflictKind::Occupied && *self != Policy::KeepBoth {
            return Resolution::Skip;
        }
        let (left, right) = (conflict.left, conflict.right);
        let by_size = || match (&left.state, &right.state) {
            (State::File { size: left, .. }, State::File { size: right, .. }) => left.cmp(right),
            _ => Ordering::Equal,
        };
        let greatest = match self {
            Policy::KeepBoth => return Resolution::KeepBoth,
            Policy::Prefer(side) => return Resolution::Win(*side),
            Policy::Newer => left.mtime.cmp(&right.mtime),
            Policy::Older => right.mtime.cmp(&left.mtime),
            Policy::Larger => by_size(),
            Policy::Smaller => by_size().reverse(),
            Policy::Skip | Policy::Ask | Policy::Merge(_) => Ordering::Equal,
        };
        match greatest {
            Ordering::Less => Resolution::Win(Side::Right),
            Ordering::Greater => Resolution::Win(Side::Left),
            Ordering::Equal => Resolution::Skip,
        }
    }

    /// Whether somebody has to be asked: a person, or a command.
    pub fn asks(&self) -> bool {
        matches!(self, Policy::Ask | Policy::Merge(_))
    }

    /// Whose removals win over edits.
    pub fn removals_win(&self) -> Option<Side> {
        match self {
            Policy::Prefer(side) => Some(*side),
            _ => None,
        }
    }
}

/// The values of `--conflict`.
impl FromStr for Policy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Policy, InvalidPolicy> {
        Ok(match text {
            "skip" => Policy::Skip,
            "keep-both" => Policy::KeepBoth,
            "newer" => Policy::Newer,
            "older" => Policy::Older,
            "larger" => Policy::Larger,
            "smaller" => Policy::Smaller,
            "local" => Policy::Prefer(Side::Left),
            "remote" => Policy::Prefer(Side::Right),
            "ask" => Policy::Ask,
            other => match other.strip_prefix("merge=") {
                Some(command) if !command.is_empty() => Policy::Merge(command.into()),
                _ => return Err(InvalidPolicy(text.to_owned())),
            },
        })
    }
}

/// One policy for every path.
impl Resolver for Policy {
    fn resolve(&mut self, conflict: &Conflict<'_>) -> Resolution {
        Policy::resolve(self, conflict)
    }

    fn removals_win(&self, _: &RelPath) -> Option<Side> {
        Policy::removals_win(self)
    }
}
