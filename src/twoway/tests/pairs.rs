//! Two replicas, that were once the same or have never met.

use crate::twoway::policy::{ConflictKind, Policy};
use crate::twoway::reconcile::Why;
use crate::twoway::tests::checks;
use crate::twoway::tests::model::*;
use crate::twoway::tests::run::Run;
use proptest::prelude::*;

fn swapped(policy: &Policy) -> Policy {
    match policy {
        Policy::Prefer(side) => Policy::Prefer(side.other()),
        same => same.clone(),
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn pairs(
        base in edits(),
        more in edits(),
        left in edits_and_locks(),
        right in edits_and_locks(),
        policy in policy(),
        filter in filter(),
        xattrs in any::<[bool; 2]>(),
    ) {
        let (mut a, mut b, mut event) = (Replica::new(1), Replica::new(2), 0);
        a.edit_all(&base, 0);
        a.edit_all(&more, 10);
        Run::new(Policy::Skip).with_xattrs(xattrs[0]).go(&mut a, &mut b, &mut event);
        let plain = |tree: &Tree| -> Tree {
            let plain = |thing: &Thing| Thing { xattrs: if xattrs[0] { thing.xattrs } else { 0 }, ..thing.clone() };
            tree.iter().map(|(path, thing)| (path.clone(), plain(thing))).collect()
        };
        prop_assert_eq!(plain(&a.tree), plain(&b.tree));
        a.edit_all(&left, 100);
        b.edit_all(&right, 100);
        let run = Run::new(policy.clone()).filtered(filter).with_xattrs(xattrs[1]);
        let before = (a.clone(), b.clone());
        let outcome = run.go(&mut a, &mut b, &mut event);
        checks::run([&before.0, &before.1], [&a, &b], &outcome, &run);
        // Invariant 9: swapping the sides swaps the result.
        let (mut c, mut d) = before;
        Run::new(swapped(&policy)).filtered(filter).with_xattrs(xattrs[1]).go(&mut d, &mut c, &mut event);
        prop_assert_eq!((&c.tree, &d.tree), (&a.tree, &b.tree));
    }

    #[test]
    fn first_meetings_remove_nothing(left in edits(), right in edits(), policy in policy()) {
        let (mut a, mut b, mut event) = (Replica::new(1), Replica::new(2), 0);
        a.edit_all(&left, 100);
        b.edit_all(&right, 100);
        let before = (a.clone(), b.clone());
        let run = Run::new(policy);
        let outcome = run.go(&mut a, &mut b, &mut event);
        checks::run([&before.0, &before.1], [&a, &b], &outcome, &run);
        for path in before.0.tree.keys().chain(before.1.tree.keys()) {
            // What lost to something else in the place of a directory above it.
            let lost = outcome.steps.iter().any(|step| {
                let at = step.path.as_bytes();
                is_below(path, at) && matches!(step.why, Why::Settled(ConflictKind::Kinds, _))
            });
            let left = outcome.steps.iter().any(|step| {
                let at = step.path.as_bytes();
                step.is_left() && (path == at || is_below(path, at))
            });
            let on_both = a.tree.contains_key(path) && b.tree.contains_key(path);
            prop_assert!(on_both || lost || left, "{:?}", path);
        }
    }
}
