//! Which steps of a plan may still be carried out when some of them do not fit any more, because what they are about
//! has changed since.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::packed::Store;
use crate::twoway::policy::ConflictKind;
use crate::twoway::reconcile::{Change, Step, Why};

/// Takes out what cannot be done without a step that does not fit: all that is below a path that was to come, to go or
/// to be settled; the removal of a directory in which something is not as it was; and, both ways, what a conflict was
/// settled to and the copy of its loser.
pub(in crate::twoway) fn spread(steps: &Store<Step>, fits: &mut [bool]) {
    while spread_down(steps, fits) | spread_up(steps, fits) | spread_to_copies(steps, fits) {}
}

fn is_fit(fits: &[bool], number: usize) -> bool {
    fits.get(number).copied().unwrap_or(false)
}

/// Marks a step. Returns whether that is news.
fn take_out(fits: &mut [bool], number: usize) -> bool {
    fits.get_mut(number).is_some_and(|fits| std::mem::replace(fits, false))
}

fn spread_down(steps: &Store<Step>, fits: &mut [bool]) -> bool {
    let mut above: Option<RelPath> = None;
    let mut is_news = false;
    for (number, step) in steps.iter().enumerate() {
        above = above.filter(|above| step.path.is_below(above));
        if above.is_some() {
            is_news |= take_out(fits, number);
        } else if !is_fit(fits, number) && decides_below(&step) {
            above = Some(step.path);
        }
    }
    is_news
}

/// Whether what is below a path depends on its step.
fn decides_below(step: &Step) -> bool {
    let is_settled =
        matches!(step.why, Why::Settled(kind, _) if kind != ConflictKind::Attributes) || step.is_left();
    is_settled
        || Side::BOTH
            .iter()
            .any(|side| !matches!(step.change(*side), None | Some(Change::Adjust | Change::Update)))
}

fn spread_up(steps: &Store<Step>, fits: &mut [bool]) -> bool {
    let mut is_news = false;
    for (number, step) in steps.iter().enumerate() {
        let takes_away = Side::BOTH.iter().any(|side| {
            let change = step.change(*side);
            let goes = matches!(change, Some(Change::Remove | Change::Replace | Change::Empty));
            goes && step.before.of(*side).state.is_directory()
        });
        if takes_away && steps.below(&step.path).any(|below| !is_fit(fits, below)) {
            is_news |= take_out(fits, number);
        }
    }
    is_news
}

fn spread_to_copies(steps: &Store<Step>, fits: &mut [bool]) -> bool {
    let mut is_news = false;
    for (number, step) in steps.iter().enumerate() {
        let Why::CopyOf { original, .. } = &step.why else { continue };
        let original = steps.find(original).map(|(number, _)| number);
        let fit = is_fit(fits, number) && original.is_some_and(|original| is_fit(fits, original));
        if !fit {
            is_news |= take_out(fits, number);
            is_news |= original.is_some_and(|original| take_out(fits, original));
        }
    }
    is_news
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::policy::Policy;
    use crate::twoway::tests::plan_by;

    /// What is left of a plan when these paths do not fit.
    fn left(policy: &Policy, trees: [&str; 3], unfit: &[&str]) -> Vec<String> {
        let (plan, _) = plan_by(policy, trees[0], trees[1], trees[2]);
        let is_fit = |step: &Step| !unfit.contains(&step.path.to_string().as_str());
        let mut fits: Vec<bool> = plan.steps.iter().map(|step| is_fit(&step)).collect();
        spread(&plan.steps, &mut fits);
        let fitting = plan.steps.iter().zip(fits).filter(|(_, fits)| *fits);
        fitting.map(|(step, _)| step.path.to_string()).filter(|path| path != ".").collect()
    }

    #[test]
    fn what_stands_by_itself_stays() {
        assert_eq!(left(&Policy::Skip, ["a=1 b=1", "a=2 b=2", "a=1 b=1"], &["a"]), ["b"]);
    }

    #[test]
    fn a_directory_goes_only_as_a_whole() {
        let trees = ["d/ d/a=1 d/b=1 x=1", "x=2", "d/ d/a=1 d/b=1 x=1"];
        assert_eq!(left(&Policy::Skip, trees, &["d/a"]), ["x"]);
        assert_eq!(left(&Policy::Skip, trees, &["d"]), ["x"]);
    }

    #[test]
    fn what_is_settled_and_the_copy_of_its_loser_go_together() {
        let trees = ["a=1 b=1", "a=2 b=2", "a=3 b=1"];
        let all = left(&Policy::KeepBoth, trees, &[]);
        let copy = all.iter().find(|path| path.contains("conflict")).unwrap();
        assert_eq!(all.len(), 3, "{all:?}");
        assert_eq!(left(&Policy::KeepBoth, trees, &[copy]), ["b"]);
        assert_eq!(left(&Policy::KeepBoth, trees, &["a"]), ["b"]);
    }
}
