//! A plan that was made before, as far as it can still be carried out.

use crate::report::{Event, Problem, Role};
use crate::twoway::decide::Side;
use crate::twoway::exchange::Meet;
use crate::twoway::packed::Collector;
use crate::twoway::plan::{Plan, spread};
use crate::twoway::reconcile::{Pair, Step, Why};
use crate::twoway::record::{Record, State};
use crate::twoway::run::RunError;
use crate::twoway::run::planner::Planner;
use crate::twoway::run::told::Pairs;
use std::collections::HashMap;

const CHANGED: &str = "it has changed since the plan was made";

impl Planner<'_> {
    /// As much of a plan made before as still fits, and how many of its steps do not: of a path that is not as it was,
    /// nothing is done. What changed apart from the plan is left, to be found again by the next run.
    pub(super) fn applied(
        &self,
        plan: &Plan,
        theirs: &Meet,
        pairs: &mut Pairs<'_>,
    ) -> Result<(Plan, u64), RunError> {
        let author = self.own.history.author();
        let (left, right) = self.of_sides((author, self.own.is_new), (theirs.author, theirs.is_new));
        let made_for_these = plan.clone().made_for(left, right);
        let Some(plan) = made_for_these.filter(|plan| plan.settler.author == author) else {
            return Err(RunError::Halted(
                "the plan was made for other replicas, or before these had been in a run; make a new one"
                    .to_owned(),
            ));
        };
        let mut fits: Vec<bool> = plan.steps.iter().map(|step| step.before.is_unseen()).collect();
        // Removals that were found again, at another time.
        let mut dated: HashMap<usize, Pair> = HashMap::new();
        let mut unplanned = Collector::default();
        for (path, pair) in pairs {
            let step = plan.steps.find(&path);
            let is_as_planned = step.as_ref().is_some_and(|(_, step)| is_like(&step.before, &pair));
            if let Some((number, step)) = step {
                if let Some(fits) = fits.get_mut(number) {
                    *fits = is_as_planned;
                }
                if is_as_planned && step.before != pair {
                    dated.insert(number, pair.clone());
                }
            }
            if !is_as_planned && pair.left != pair.right {
                let (before, after) = (pair.clone(), pair);
                unplanned.push(&Step { path, why: Why::Unplanned, before, after, noted: Vec::new() });
            }
        }
        let as_planned = fits.clone();
        spread(&plan.steps, &mut fits);
        let mut unfit: u64 = 0;
        let mut steps = Collector::default();
        for (number, ((mut step, fits), is_as_planned)) in
            plan.steps.iter().zip(fits).zip(as_planned).enumerate()
        {
            if let Some(before) = dated.remove(&number) {
                step.before = before;
            }
            if fits {
                // The plan may have been made by a run that was asked for more.
                steps.push(&step.within(self.shared.facets));
                continue;
            }
            if is_as_planned && step.before.left != step.before.right {
                let (why, after) = (Why::Unplanned, step.before.clone());
                steps.push(&Step { why, after, ..step.clone() });
            }
            unfit = unfit.saturating_add(1);
            let problem = Problem::new(Role::Sink, "carrying out the plan for", &step.path, &CHANGED);
            self.settings.reporter.report(Event::Problem(problem));
        }
        unplanned.finish().into_items().for_each(|step| steps.push(&step));
        let plan = Plan::new(plan.left, plan.right, plan.settler, steps.finish());
        Ok((plan.settled_in(self.own.history.generation().saturating_add(1)), unfit))
    }
}

/// Whether a pair is as it was planned. When a removal was found, which a run that only made a plan does not remember,
/// makes no difference.
fn is_like(planned: &Pair, now: &Pair) -> bool {
    Side::BOTH.iter().all(|side| {
        let (planned, now) = (planned.of(*side), now.of(*side));
        let is_gone = planned.state == State::Absent;
        planned == now || (is_gone && Record { mtime: now.mtime, ..planned.clone() } == *now)
    })
}
