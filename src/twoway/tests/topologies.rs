//! Four replicas that meet in any order, with filters that change.

use crate::twoway::tests::checks;
use crate::twoway::tests::model::*;
use crate::twoway::tests::run::Run;
use proptest::prelude::*;

proptest! {
    #![proptest_config(cases(8_000))]

    #[test]
    fn topologies(
        history in prop::collection::vec(
            (0_usize..4, edits_and_locks(), 0_usize..4, 0_usize..4, filter(), any::<bool>()), 1..14
        ),
        policy in policy(),
    ) {
        let mut replicas: Vec<Replica> = (1..=4).map(Replica::new).collect();
        let mut event = 0;
        for (time, (at, edits, from, to, filter, xattrs)) in (1..).zip(history) {
            replicas[at].edit_all(&edits, time * 100);
            if from == to {
                continue;
            }
            let (mut a, mut b) = (replicas[from].clone(), replicas[to].clone());
            let before = (a.clone(), b.clone());
            let run = Run::new(policy.clone()).filtered(filter).with_xattrs(xattrs);
            let outcome = run.go(&mut a, &mut b, &mut event);
            checks::run([&before.0, &before.1], [&a, &b], &outcome, &run);
            replicas[from] = a;
            replicas[to] = b;
        }
    }
}
