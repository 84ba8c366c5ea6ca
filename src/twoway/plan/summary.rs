//! A plan at one glance: who changes what and why, grouped.

use crate::twoway::decide::Side;
use crate::twoway::plan::{Plan, Rename};
use crate::twoway::reconcile::{Change, Step, Why};
use crate::twoway::record::State;
use std::collections::{BTreeMap, HashSet};

/// The numbers of the steps of a plan, each wherever it belongs, in the order of the plan.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Summary {
    /// What is done on the first argument's side.
    pub left: Work,
    /// What is done on the second argument's.
    pub right: Work,
    /// Conflicts that are left.
    pub conflicts: Vec<usize>,
    /// Conflicts that were settled.
    pub settled: Vec<usize>,
    /// The losers of settled conflicts that got a name of their own.
    pub copies: Vec<usize>,
    /// What one side removed, and the other had edited: it is kept.
    pub kept: Vec<usize>,
    /// What could not be looked at and is left.
    pub unknown: Vec<usize>,
    /// What changed after the plan was made and is left.
    pub unplanned: Vec<usize>,
}

/// What is done on one side.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Work {
    /// By what is done. Renames are not among them.
    pub changes: BTreeMap<Change, Vec<usize>>,
    /// Names that become one file with others, or cease to be. They are not among the changes.
    pub links: Vec<usize>,
    /// Files that only get another name.
    pub renames: Vec<Rename>,
    /// The lengths of all files that are fetched from the other side, in bytes: at most so much is sent.
    pub bytes: u64,
}

impl Summary {
    /// Sums up a plan.
    pub fn new(plan: &Plan) -> Summary {
        let renames = plan.renames();
        let mut renamed = HashSet::new();
        let mut summary = Summary::default();
        for rename in renames {
            renamed.extend([(rename.side, rename.from), (rename.side, rename.to)]);
            summary.of_mut(rename.side).renames.push(rename);
        }
        for (number, step) in plan.steps.iter().enumerate() {
            for side in Side::BOTH {
                if !renamed.contains(&(side, number)) {
                    summary.of_mut(side).add(number, &step, side);
                }
            }
            match step.why {
                Why::Clear => continue,
                Why::Conflict(_) => &mut summary.conflicts,
                Why::Settled(..) => &mut summary.settled,
                Why::CopyOf { .. } => &mut summary.copies,
                Why::Kept { .. } => &mut summary.kept,
                Why::Unknown => &mut summary.unknown,
                Why::Unplanned => &mut summary.unplanned,
            }
            .push(number);
        }
        summary
    }

    /// What is done on a side.
    pub fn of(&self, side: Side) -> &Work {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    fn of_mut(&mut self, side: Side) -> &mut Work {
        match side {
            Side::Left => &mut self.left,
            Side::Right => &mut self.right,
        }
    }

    /// Whether both sides are and stay the same: nothing is done and nothing left.
    pub fn is_in_sync(&self) -> bool {
        let idle = |work: &Work| work.changes.is_empty() && work.links.is_empty() && work.renames.is_empty();
        let left = [&self.conflicts, &self.unknown, &self.unplanned];
        idle(&self.left) && idle(&self.right) && left.iter().all(|steps| steps.is_empty())
    }
}

impl Work {
    fn add(&mut self, number: usize, step: &Step, side: Side) {
        let Some(change) = step.change(side).filter(|_| !step.stays(side)) else { return };
        if let (State::File { size, .. }, false) = (&step.after.of(side).state, change == Change::Adjust) {
            self.bytes = self.bytes.saturating_add(*size);
        }
        match change.is_of_names(step.before.of(side), step.after.of(side)) {
            true => self.links.push(number),
            false => self.changes.entry(change).or_default().push(number),
        }
    }

    /// The steps that do this.
    pub fn steps(&self, change: Change) -> &[usize] {
        self.changes.get(&change).map_or(&[], Vec::as_slice)
    }
}
