//! From what both replicas know to what is to be done: a pure function over the paths that changed on either side.
//!
//! Per path the two records decide ([`decide`](crate::twoway::decide)); what is above and below a path matters only
//! where a directory meets something else. A directory that one side removed, or put something else in place of, goes
//! only if nothing in it survives: what the other side edited or added below stays, with its parents, and makes a
//! removal none and a replacement a conflict.
//!
//! The paths come as a stream in the order of a walk, so the whole of a large change is never held: a path is opened
//! when it comes, and closed when all below it has been seen. Steps are given out as soon as they cannot change any
//! more; held back are only those below a directory that something else may take the place of.

mod closing;
mod opening;
mod settling;
mod step;

pub use self::step::{Change, Pair, Step, Why};

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::policy::{ConflictKind, Resolution, Resolver};
use crate::twoway::record::{Record, Shared};
use crate::twoway::version::Author;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// The edit that settles conflicts: whose, and in which generation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Settler {
    /// The replica that makes the plan.
    pub author: Author,
    /// Its generation, which has found no other edits.
    pub count: u64,
}

/// What is at a path where a copy might be made.
#[derive(Clone, Debug)]
pub enum Elsewhere {
    /// Both replicas have this same record of it, if any.
    Unchanged(Option<Record>),
    /// It is one of the changed paths, and the records differ.
    Changed(Pair),
    /// Whatever it is, it takes no part, or the name would not.
    Excluded,
}

/// What is asked about a path apart from its records.
pub struct Rules<'a> {
    /// Who settles conflicts.
    pub settler: Settler,
    /// How.
    pub resolver: &'a mut dyn Resolver,
    /// What is at another path.
    pub elsewhere: &'a dyn Fn(&RelPath) -> Elsewhere,
    /// Which attributes are synchronised.
    pub shared: Shared,
}

/// A path came before one that belongs before it, or came twice. Nothing may be done of what was planned until then: it
/// is not known what is below its directories.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the changed path {0} is out of order")]
pub struct OutOfOrder(pub RelPath);

/// Plans what is to be done, and gives each step to `emit`: what is to be done to a tree or recorded, and what is left.
///
/// `paths` are those that changed on either side with all that is above them, each once, in
/// [the order of a walk](RelPath::walk_order). The steps come in that order too, but that a directory which one side
/// removed comes after what is below it, and a copy before what it is a copy of.
pub fn reconcile(
    paths: impl IntoIterator<Item = (RelPath, Pair)>,
    rules: Rules<'_>,
    emit: &mut dyn FnMut(Step),
) -> Result<(), OutOfOrder> {
    let mut reconciliation = Reconciliation { rules, open: Vec::new(), steps: Vec::new() };
    let mut last: Option<RelPath> = None;
    for (path, pair) in paths {
        if last.as_ref().is_some_and(|last| last.walk_order(&path) != Ordering::Less) {
            return Err(OutOfOrder(path));
        }
        last = Some(path.clone());
        while reconciliation.open.last().is_some_and(|open| !path.is_below(&open.path)) {
            reconciliation.close();
        }
        reconciliation.visit(path, pair);
        reconciliation.give_out(emit);
    }
    while !reconciliation.open.is_empty() {
        reconciliation.close();
    }
    reconciliation.give_out(emit);
    Ok(())
}

struct Reconciliation<'a> {
    rules: Rules<'a>,
    /// The path in hand and those above it, outermost first.
    open: Vec<Open>,
    /// What is planned and not yet given out.
    steps: Vec<Step>,
}

/// A path whose step may depend on what is below it.
struct Open {
    path: RelPath,
    pair: Pair,
    fate: Fate,
    /// How what is below is planned.
    below: Below,
    /// What was found below.
    found: Found,
    /// How many steps were waiting when it was opened: what is after them is its own and what is below.
    first: usize,
}

/// What becomes of an open path.
enum Fate {
    /// It is planned, and this is what it is to the path above.
    Planned(Found),
    /// Neither has it. Something below may yet bring it to life.
    Absent,
    /// Both get this, a removal, unless something below survives.
    Goes {
        /// Who still has it.
        kept: Side,
        after: Box<Pair>,
        why: Why,
    },
    /// This side's takes the place of the other's directory, unless something below survives.
    Replaced { winner: Side },
    /// It is planned that this side's takes the place of the other's directory, whatever is below; but not of what
    /// could not be looked at.
    Overruled { winner: Side },
}

/// How what is below a path is planned.
#[derive(Clone, Copy)]
enum Below {
    /// By its own records.
    Apart,
    /// Both get what the winner of a conflict above has.
    Taken(Win),
    /// Not at all.
    Left,
}

/// How a conflict was resolved, and for whom.
#[derive(Clone, Copy)]
struct Win {
    winner: Side,
    kind: ConflictKind,
    resolution: Resolution,
}

/// What is or will be at a path and below, as far as it matters to those above.
#[derive(Clone, Copy, Default)]
struct Found {
    /// Something will be there.
    survivor: bool,
    /// Something could not be looked at.
    unknown: bool,
}

impl Found {
    const NOTHING: Found = Found { survivor: false, unknown: false };
    const SURVIVOR: Found = Found { survivor: true, unknown: false };
    const UNKNOWN: Found = Found { survivor: false, unknown: true };

    fn and(self, other: Found) -> Found {
        Found { survivor: self.survivor || other.survivor, unknown: self.unknown || other.unknown }
    }

    fn survivor_if(present: bool) -> Found {
        if present { Found::SURVIVOR } else { Found::NOTHING }
    }
}

impl Reconciliation<'_> {
    /// Gives out what cannot change any more.
    fn give_out(&mut self, emit: &mut dyn FnMut(Step)) {
        let held = self.open.iter().find(|open| open.fate.may_take_back()).map(|open| open.first);
        self.steps.drain(..held.unwrap_or(self.steps.len())).for_each(emit);
        let given_out = held.unwrap_or(0);
        for open in &mut self.open {
            open.first = open.first.saturating_sub(given_out);
        }
    }

    /// Plans a step, if it is one.
    fn plan(&mut self, path: &RelPath, before: &Pair, after: Pair, why: Why) {
        let step = Step { path: path.clone(), before: before.clone(), after, why, noted: Vec::new() };
        let step = step.replacing_names(self.rules.shared.facets);
        if step.is_left() || step.before != step.after {
            self.steps.push(step);
        }
    }

    /// Both sides with this record, but for what each has of its own.
    fn both(&self, pair: &Pair, record: &Record) -> Pair {
        pair.both(record, self.rules.shared.facets)
    }

    fn leave(&mut self, path: &RelPath, pair: &Pair, why: Why) {
        self.plan(path, pair, pair.clone(), why);
    }
}

impl Fate {
    /// Whether what is planned below may be taken back.
    fn may_take_back(&self) -> bool {
        matches!(self, Fate::Replaced { .. } | Fate::Overruled { .. })
    }
}
