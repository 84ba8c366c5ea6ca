//! A run that ends at any point on either side, and one that does not.

use crate::tree::RelPath;
use crate::twoway::policy::Policy;
use crate::twoway::tests::model::*;
use crate::twoway::tests::run::{Outcome, Run};
use proptest::prelude::*;

fn left_by(outcome: &Outcome) -> Vec<&RelPath> {
    outcome.steps.iter().filter(|step| step.is_left()).map(|step| &step.path).collect()
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn a_run_after_a_crash_gives_what_an_undisturbed_one_gives(
        base in edits(),
        more in edits(),
        left in edits(),
        right in edits(),
        policy in policy(),
        filter in filter(),
        xattrs in any::<bool>(),
        until in prop::collection::vec((0_usize..100, 0_usize..100), 1..3),
    ) {
        let (mut a, mut b, mut event) = (Replica::new(1), Replica::new(2), 0);
        a.edit_all(&base, 0);
        a.edit_all(&more, 10);
        Run::new(Policy::Skip).go(&mut a, &mut b, &mut event);
        a.edit_all(&left, 100);
        b.edit_all(&right, 100);
        let run = Run::new(policy).filtered(filter).with_xattrs(xattrs);
        let (mut c, mut d) = (a.clone(), b.clone());
        let undisturbed = run.go(&mut c, &mut d, &mut event.clone());
        let length = undisturbed.length;
        for (left, right) in until {
            // One more than there is to do, for an acknowledgement.
            let until = [left % (length[0] + 2), right % (length[1] + 2)];
            Run { until, ..run.clone() }.go(&mut a, &mut b, &mut event);
        }
        let outcome = run.go(&mut a, &mut b, &mut event);
        prop_assert_eq!((&a.tree, &b.tree), (&c.tree, &d.tree));
        prop_assert_eq!(left_by(&outcome), left_by(&undisturbed), "false conflicts");
    }
}
