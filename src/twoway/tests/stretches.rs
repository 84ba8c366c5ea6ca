//! What stretches of records leave untold makes no difference: the plan is that of all records, and the follower comes to
//! the tasks that are its side of it.

use crate::pass::OwnerMap;
use crate::request::Options;
use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::history;
use crate::twoway::packed::{Collector, Store};
use crate::twoway::reconcile::Step;
use crate::twoway::record::Record;
use crate::twoway::run::alike::{self, Cutting, Similar};
use crate::twoway::run::{Alike, Stretches};
use crate::twoway::task::Task;
use crate::twoway::tests::checks;
use crate::twoway::tests::model::*;
use crate::twoway::tests::run::Run;
use crate::twoway::{TwoWayError, policy::Policy};
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Nobody's: no owners are synchronised.
static OWNERS: LazyLock<OwnerMap> = LazyLock::new(|| OwnerMap::new(&Options::default()).unwrap().0);

thread_local! {
    /// In how many runs of this test something was concluded and not told.
    static CONCLUDED: Cell<u64> = const { Cell::new(0) };
}

/// All that takes part of what a replica knows, in order.
fn rows(replica: &Replica, filter: Filter) -> Vec<(RelPath, Record)> {
    let known: BTreeSet<&Path> = replica.database.history.keys().chain(&replica.unknown).collect();
    let taking_part = known.into_iter().filter(|path| !is_ignored(path, filter));
    let mut rows: Vec<_> = taking_part.map(|path| (rel(path), replica.record(path))).collect();
    rows.sort_by(|(one, _), (other, _)| one.walk_order(other));
    rows
}

fn read(rows: &[(RelPath, Record)]) -> impl Iterator<Item = Result<(RelPath, Record), TwoWayError>> {
    rows.iter().cloned().map(Ok)
}

/// What comes out at the other end.
fn told<T: serde::Serialize + serde::de::DeserializeOwned>(what: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(what).unwrap()).unwrap()
}

fn bytes(keys: impl IntoIterator<Item = Vec<u8>>) -> impl Iterator<Item = Path> {
    keys.into_iter().map(|key| history::path(&key).unwrap().as_bytes().to_vec())
}

/// Compares by stretches, and checks what comes of it. `steps` is the plan of all that is known; `plan` makes one of
/// some paths.
pub(super) fn check(
    [left, right]: [&Replica; 2],
    (filter, xattrs): (Filter, bool),
    steps: &[Step],
    plan: &dyn Fn(&BTreeSet<Path>) -> Vec<Step>,
) {
    // Such short ones that there are several, of which some are the same.
    let cutting = Cutting { usual: 2, ..Cutting::new(shared(xattrs), &OWNERS) };
    let (ours, theirs) = (rows(left, filter), rows(right, filter));
    let (stretches, cuts) = alike::stretches(read(&ours), &cutting).unwrap().unwrap();
    let stretches: Stretches = told(&stretches);
    stretches.check(&right.database.lineages).unwrap();
    let Some((answer, there, keys)) = alike::compare(read(&theirs), &cutting, &stretches).unwrap() else {
        return;
    };
    let answer: Alike = told(&answer);
    answer.check(&left.database.lineages).unwrap();
    let (here, more) = cuts.answered(&answer, read(&ours)).unwrap();
    let mut paths: BTreeSet<Path> = bytes(keys).chain(bytes(more)).collect();
    for path in paths.clone() {
        let mut above = parent(&path);
        while let Some(path) = above {
            above = parent(&path);
            paths.insert(path);
        }
    }
    for both in here.on_both(read(&ours)) {
        let (path, ours, theirs) = both.unwrap();
        assert_eq!(ours, left.record(path.as_bytes()), "{path}");
        assert_eq!(theirs, right.record(path.as_bytes()), "{path}");
        paths.insert(path.as_bytes().to_vec());
    }
    assert_eq!(plan(&paths), steps, "what is concluded is not what would be told");
    follow((&here, &there), &theirs, steps);
}

/// Checks that the follower comes to the tasks of this plan by what it is told.
fn follow((here, there): (&Similar, &Similar), theirs: &[(RelPath, Record)], steps: &[Step]) {
    let mut collector = Collector::default();
    steps.iter().for_each(|step| collector.push(step));
    let steps: Store<Step> = collector.finish();
    let joins = here.joins(&steps, Side::Right);
    let all: Vec<Task> = steps.iter().map(|step| Task::new(step, Side::Right)).collect();
    let mut tasks: Vec<Task> = Vec::new();
    if let Some(joined) = joins.told() {
        there.tasks(read(theirs), &told(&joined), &mut |task| tasks.push(task)).unwrap();
        assert!(!tasks.is_empty());
        CONCLUDED.set(CONCLUDED.get() + 1);
    }
    let is_told = |(number, task): &(usize, &Task)| !joins.say(*number, &task.path);
    tasks.extend(all.iter().enumerate().filter(is_told).map(|(_, task)| task.clone()));
    tasks.sort_by(|one, other| one.path.walk_order(&other.path));
    assert_eq!(tasks, all);
}

#[test]
fn three_that_have_most_in_common_meet() {
    let edits = (edits(), edits(), edits(), prop::collection::vec(edits(), 6));
    let strategy = (edits, policy(), filter(), any::<bool>());
    let runs = Cell::new(0_u64);
    let mut runner = proptest::test_runner::TestRunner::new(cases(2_000));
    let held = runner.run(&strategy, |((base, more, rest, own), policy, filter, xattrs)| {
        let mut replicas: Vec<Replica> = (1..=3).map(Replica::new).collect();
        for replica in &mut replicas {
            replica.edit_all(&base, 0);
            replica.edit_all(&more, 10);
            replica.edit_all(&rest, 20);
        }
        let mut event = 0;
        for (time, edits) in (1..).zip(own) {
            // Each is edited a little, at most by one edit, and twice.
            let at = usize::try_from(time).unwrap() % 3;
            replicas[at].edit_all(&edits[..edits.len().min(1)], 100 * time);
            if time < 3 {
                continue;
            }
            let to = (at + 1) % 3;
            let (mut a, mut b) = (replicas[at].clone(), replicas[to].clone());
            let before = (a.clone(), b.clone());
            let run = Run::new(policy.clone()).filtered(filter).with_xattrs(xattrs);
            let outcome = run.go(&mut a, &mut b, &mut event);
            checks::run([&before.0, &before.1], [&a, &b], &outcome, &run);
            replicas[at] = a;
            replicas[to] = b;
            runs.set(runs.get() + 1);
        }
        Ok(())
    });
    held.unwrap();
    // Else this would be about nothing.
    let (runs, concluded) = (runs.get(), CONCLUDED.get());
    assert!(concluded > runs / 10, "in {concluded} of {runs} runs something was concluded");
}

#[test]
fn equal_trees_that_meet_tell_nothing_but_stretches() {
    let (mut a, mut b, mut event) = (Replica::new(1), Replica::new(2), 0);
    for replica in [&mut a, &mut b] {
        replica.edit_all(&[Edit::MakeDir(0), Edit::Write(3, 1), Edit::Write(1, 2), Edit::Mark(1, 1)], 0);
    }
    Run::new(Policy::Skip).go(&mut a, &mut b, &mut event);
    assert_eq!(CONCLUDED.get(), 1);
    assert_eq!(a.database.history, b.database.history);
    let joined = a.record(b"a/a");
    assert!([&a, &b].iter().all(|replica| joined.content.count(replica.author()) == 1));
}
