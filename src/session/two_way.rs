//! A two-way run, as it is asked for and what came of it.

use crate::session::{Direction, Failure, Run};
use crate::tree::RelPath;
use crate::twoway::guard::MaxDelete;
use crate::twoway::plan::Plan;
use crate::twoway::policy::Policies;

/// What only the side that makes the plan has to know of a two-way run; what both have to is
/// [`TwoWay`](crate::request::TwoWay).
#[derive(Debug, Clone, Default)]
pub struct TwoWayRun {
    /// Who wins conflicts.
    pub policies: Policies,
    /// How many removals are too many.
    pub max_delete: MaxDelete,
    /// A plan to carry out, instead of making one.
    pub apply: Option<Plan>,
}

/// What a two-way run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct TwoWayOutcome {
    /// What was done, or in a dry run would have been.
    pub plan: Plan,
    /// Paths of the plan at which something could not be done, and was told as a problem.
    pub undone: Vec<RelPath>,
    /// By how many milliseconds the clock of the second side is ahead of that of the first, if they have two.
    pub clock_offset: Option<i64>,
}

/// Runs a two-way run.
pub(super) fn run(run: &Run, _: &Direction<'_>) -> Result<super::Outcome, Failure> {
    if run.sources.len() != 1 {
        return Err(Failure::Usage("a two-way run is between two trees".into()));
    }
    Err(Failure::Usage("two-way runs cannot be carried out yet".into()))
}
