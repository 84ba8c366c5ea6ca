//! A plan at one glance: who changes what and why, grouped.

use crate::twoway::decide::Side;
use crate::twoway::plan::{Plan, Rename};
use crate::twoway::reconcile::{Change, Step, Why};
use crate::twoway::record::State;
use std::collections::{BTreeMap, BTreeSet};

/// The steps of a plan, each wherever it belongs, in the order of the plan.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Summary<'a> {
    /// What is done on the first argument's side.
    pub left: Work<'a>,
    /// What is done on the second argument's.
    pub right: Work<'a>,
    /// Conflicts that are left.
    pub conflicts: Vec<&'a Step>,
    /// Conflicts that were settled.
    pub settled: Vec<&'a Step>,
    /// The losers of settled conflicts that got a name of their own.
    pub copies: Vec<&'a Step>,
    /// What one side removed, and the other had edited: it is kept.
    pub kept: Vec<&'a Step>,
    /// What could not be looked at and is left.
    pub unknown: Vec<&'a Step>,
    /// What changed after the plan was made and is left.
    pub unplanned: Vec<&'a Step>,
}

/// What is done on one side.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Work<'a> {
    /// By what is done. Renames are not among them.
    pub changes: BTreeMap<Change, Vec<&'a Step>>,
    /// Files that only get another name.
    pub renames: Vec<Rename<'a>>,
    /// The lengths of all files that are fetched from the other side, in bytes: at most so much is sent.
    pub bytes: u64,
}

impl<'a> Summary<'a> {
    /// Sums up a plan.
    pub fn new(plan: &'a Plan) -> Summary<'a> {
        let renames = plan.renames();
        let on = |side| {
            let renames = renames.iter().filter(|rename| rename.side == side).copied();
            Work::new(&plan.steps, side, renames.collect())
        };
        let mut summary = Summary { left: on(Side::Left), right: on(Side::Right), ..Summary::default() };
        for step in &plan.steps {
            match step.why {
                Why::Clear => continue,
                Why::Conflict(_) => &mut summary.conflicts,
                Why::Settled(..) => &mut summary.settled,
                Why::CopyOf(_) => &mut summary.copies,
                Why::Kept { .. } => &mut summary.kept,
                Why::Unknown => &mut summary.unknown,
                Why::Unplanned => &mut summary.unplanned,
            }
            .push(step);
        }
        summary
    }

    /// What is done on a side.
    pub fn of(&self, side: Side) -> &Work<'a> {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// Whether both sides are and stay the same: nothing is done and nothing left.
    pub fn is_in_sync(&self) -> bool {
        let idle = |work: &Work<'_>| work.changes.is_empty() && work.renames.is_empty();
        let left = [&self.conflicts, &self.unknown, &self.unplanned];
        idle(&self.left) && idle(&self.right) && left.iter().all(|steps| steps.is_empty())
    }
}

impl<'a> Work<'a> {
    fn new(steps: &'a [Step], side: Side, renames: Vec<Rename<'a>>) -> Work<'a> {
        let renamed: BTreeSet<_> =
            renames.iter().flat_map(|rename| [&rename.from.path, &rename.to.path]).collect();
        let mut work = Work { renames, ..Work::default() };
        for step in steps.iter().filter(|step| !renamed.contains(&step.path)) {
            let Some(change) = step.change(side) else { continue };
            if let (State::File { size, .. }, false) = (&step.after.of(side).state, change == Change::Adjust)
            {
                work.bytes = work.bytes.saturating_add(*size);
            }
            work.changes.entry(change).or_default().push(step);
        }
        work
    }

    /// The steps that do this.
    pub fn steps(&self, change: Change) -> &[&'a Step] {
        self.changes.get(&change).map_or(&[], Vec::as_slice)
    }
}
