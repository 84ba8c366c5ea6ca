//! Replicas that are copied with their history, put back to an older state, or lose their history: nothing is ever
//! overwritten in silence, and nothing removed that nobody removed.

use crate::twoway::tests::checks;
use crate::twoway::tests::model::*;
use crate::twoway::tests::run::Run;
use proptest::prelude::*;

/// What happens between two runs.
#[derive(Clone, Debug)]
enum Event {
    Edits(usize, Vec<Edit>),
    Run(usize, usize),
    /// The second becomes a copy of the first, history and all, and nobody notices.
    Copy(usize, usize),
    /// A copy is kept, as a snapshot.
    Keep(usize),
    /// What was kept takes the place of tree and history.
    PutBack(usize),
    LoseHistory(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let at = 0_usize..4;
    prop_oneof![
        4 => (at.clone(), edits()).prop_map(|(at, edits)| Event::Edits(at, edits)),
        6 => (at.clone(), at.clone()).prop_map(|(from, to)| Event::Run(from, to)),
        1 => (at.clone(), at.clone()).prop_map(|(from, to)| Event::Copy(from, to)),
        2 => at.clone().prop_map(Event::Keep),
        1 => at.clone().prop_map(Event::PutBack),
        1 => at.prop_map(Event::LoseHistory),
    ]
}

proptest! {
    #![proptest_config(cases(8_000))]

    #[test]
    fn forked_histories_overwrite_nothing_in_silence(
        events in prop::collection::vec(event(), 1..24),
        policy in policy(),
    ) {
        let mut replicas: Vec<Replica> = (1..=4).map(Replica::new).collect();
        let mut kept = replicas.clone();
        let mut counter = 0;
        for (time, event) in (1..).zip(events) {
            match event {
                Event::Edits(at, edits) => replicas[at].edit_all(&edits, time * 100),
                Event::Copy(from, to) => {
                    replicas[to] = replicas[from].clone();
                    kept[to] = replicas[from].clone();
                }
                Event::Keep(at) => kept[at] = replicas[at].clone(),
                Event::PutBack(at) => replicas[at] = kept[at].clone(),
                Event::LoseHistory(at) => {
                    counter += 1;
                    let replica = &mut replicas[at];
                    replica.database = Database::new(fresh(counter));
                    // Nobody knows any more what was removed, be it a path or the attributes of one.
                    let has_attributes = |path: &Path| replica.tree.get(path).is_some_and(|thing| thing.xattrs > 0);
                    replica.absorbed.retain(|(path, of), _| {
                        replica.tree.contains_key(path) && (*of != Of::Xattrs || has_attributes(path))
                    });
                    replica.last.retain(|path, (.., xattrs)| {
                        if !has_attributes(path) {
                            *xattrs = 0;
                        }
                        replica.tree.contains_key(path)
                    });
                }
                Event::Run(from, to) if from == to => {}
                Event::Run(from, to) => {
                    let (mut a, mut b) = (replicas[from].clone(), replicas[to].clone());
                    let before = (a.clone(), b.clone());
                    let run = Run { judged: false, ..Run::new(policy.clone()) };
                    let outcome = run.go(&mut a, &mut b, &mut counter);
                    checks::run([&before.0, &before.1], [&a, &b], &outcome, &run);
                    replicas[from] = a;
                    replicas[to] = b;
                }
            }
        }
    }
}
