//! What must be true of every run.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::facet::Facet;
use crate::twoway::policy::{ConflictKind, Policy};
use crate::twoway::reconcile::{Step, Why};
use crate::twoway::record::State;
use crate::twoway::tests::model::*;
use crate::twoway::tests::run::{Outcome, Run};
use std::collections::BTreeSet;

/// Whether one has absorbed an edit there that the other has not.
fn has_news(of: &Replica, to: &Replica, concerns: impl Fn(&[u8], Of) -> bool) -> bool {
    let mut edits = of.absorbed.iter().filter(|((at, part), _)| concerns(at, *part));
    edits.any(|(key, events)| !events.is_subset(&to.events(key)))
}

/// A conflict is one only if neither side knew the other's edits, there or, where kinds differ, below.
pub(super) fn conflict(path: &RelPath, kind: ConflictKind, left: &Replica, right: &Replica, xattrs: bool) {
    let path = path.as_bytes();
    if kind == ConflictKind::Attributes {
        let parts = [Of::Attributes, Of::Xattrs].into_iter().take(if xattrs { 2 } else { 1 });
        let is_conflict = |part: Of| {
            let concerns = |at: &[u8], of: Of| at == path && of == part;
            has_news(left, right, concerns) && has_news(right, left, concerns)
        };
        return assert!(parts.into_iter().any(is_conflict), "a false conflict at {path:?} {kind:?}");
    }
    let concerns = |at: &[u8], of: Of| match kind {
        ConflictKind::Content => at == path && of == Of::Content,
        _ => (at == path || is_below(at, path)) && (xattrs || of != Of::Xattrs),
    };
    let (one, other) = (has_news(left, right, concerns), has_news(right, left, concerns));
    match kind {
        // What takes no part is no edit, but stands in the way.
        ConflictKind::Occupied => assert!(one || other, "a false conflict"),
        _ => assert!(one && other, "a false conflict at {path:?} {kind:?}"),
    }
}

/// Everything is in a directory.
pub(super) fn hangs_together(replica: &Replica, steps: &[Step]) {
    for path in replica.tree.keys() {
        if let Some(parent) = parent(path) {
            let is_dir = replica.tree.get(&parent).is_some_and(|parent| parent.state.is_directory());
            assert!(is_dir, "{path:?} hangs in the air: {steps:#?}");
        }
    }
}

/// All that is true of a run that came to its end.
pub(super) fn run(before: [&Replica; 2], after: [&Replica; 2], outcome: &Outcome, run: &Run) {
    let left: Vec<&Step> = outcome.steps.iter().filter(|step| step.is_left()).collect();
    convergence(after, &left, run);
    no_loss(before, after, outcome, run);
    no_silent_change(outcome, run);
    own_xattrs(before, after, outcome, run);
    excluded(before, after, run);
    second_run(after, left.len(), run);
}

/// Invariants 1 and 2: both sides are the same but for what is reported.
fn convergence(after: [&Replica; 2], left: &[&Step], run: &Run) {
    let excused = |path: &[u8]| {
        left.iter().any(|step| step.path.as_bytes() == path || is_below(path, step.path.as_bytes()))
    };
    let paths: BTreeSet<&Path> = after[0].tree.keys().chain(after[1].tree.keys()).collect();
    for path in paths.into_iter().filter(|path| !is_ignored(path, run.filter) && !excused(path)) {
        let seen = after.map(|replica| replica.seen(path, run.filter, run.xattrs));
        assert_eq!(seen[0], seen[1], "{path:?} differs");
    }
    if matches!(run.policy, Policy::Prefer(_)) {
        for step in left {
            let cannot = matches!(step.why, Why::Unknown | Why::Conflict(ConflictKind::Occupied));
            assert!(cannot, "left under a policy that decides everything: {step:?}");
        }
    }
}

/// Invariant 5: all that was there is somewhere, and what was edited since the last run is so in the trees, unless a
/// policy gave it up.
pub(super) fn no_loss(before: [&Replica; 2], after: [&Replica; 2], outcome: &Outcome, run: &Run) {
    let in_trees =
        |state: &State| after.iter().any(|replica| replica.tree.values().any(|thing| thing.state == *state));
    let in_trash = |state: &State| outcome.trash.iter().any(|thing| thing.state == *state);
    for replica in before {
        for (path, thing) in &replica.tree {
            assert!(in_trees(&thing.state) || in_trash(&thing.state), "lost: {path:?} {thing:?}");
            let is_edit = replica.database.record(path).state != thing.state;
            if is_edit && matches!(run.policy, Policy::Skip | Policy::KeepBoth) {
                assert!(in_trees(&thing.state), "{path:?} {thing:?} is gone: {:#?}", outcome.steps);
            }
        }
    }
}

/// What one side changed on the other without a word, that other had nothing of its own in.
pub(super) fn no_silent_change(outcome: &Outcome, run: &Run) {
    let scanned = outcome.scanned.each_ref();
    for step in outcome.steps.iter().filter(|step| step.why == Why::Clear) {
        for (side, [own, other]) in [(Side::Left, scanned), (Side::Right, [scanned[1], scanned[0]])] {
            let (before, after) = (step.before.of(side), step.after.of(side));
            let key = (step.path.as_bytes().to_vec(), Of::Content);
            // Who has lost its history does not know what it removed.
            let matters = run.judged || before.state.is_present();
            if matters && before.state != after.state {
                let (own, other) = (own.events(&key), other.events(&key));
                assert!(own.is_subset(&other), "overwritten in silence: {step:?}");
            }
            let key = (step.path.as_bytes().to_vec(), Of::Xattrs);
            let is_kept = before.state.is_present() && before.state.is_like(&after.state);
            if is_kept && after.extended.differing(&before.extended).contains(Facet::Xattrs) {
                let (own, other) = (own.events(&key), other.events(&key));
                assert!(own.is_subset(&other), "attributes are overwritten in silence: {step:?}");
            }
        }
    }
}

/// Extended attributes that take no part stay with what has the name, and those that do change only where that is
/// planned.
fn own_xattrs(before: [&Replica; 2], after: [&Replica; 2], outcome: &Outcome, run: &Run) {
    for (replica, after) in before.into_iter().zip(after) {
        for (path, thing) in &replica.tree {
            let Some(now) = after.tree.get(path).filter(|now| now.state.is_like(&thing.state)) else {
                continue;
            };
            let is_planned = || outcome.steps.iter().any(|step| step.path.as_bytes() == path);
            assert!(now.xattrs == thing.xattrs || (run.xattrs && is_planned()), "{path:?} has lost its own");
        }
    }
}

/// Invariant 16: what takes no part is not touched.
fn excluded(before: [&Replica; 2], after: [&Replica; 2], run: &Run) {
    for (before, after) in before.into_iter().zip(after) {
        let of = |replica: &Replica| -> Tree {
            let tree =
                replica.tree.iter().filter(|(path, thing)| is_ignored(path, run.filter) || thing.unreadable);
            tree.map(|(path, thing)| (path.clone(), thing.clone())).collect()
        };
        assert_eq!(of(before), of(after), "what takes no part was touched");
    }
}

/// Invariant 8: a second run has no second thoughts.
fn second_run(after: [&Replica; 2], left: usize, run: &Run) {
    let (mut a, mut b) = (after[0].clone(), after[1].clone());
    let again = run.go(&mut a, &mut b, &mut 1_000_000);
    let changes: Vec<&Step> = again.steps.iter().filter(|step| step.changes_anything()).collect();
    assert!(changes.is_empty() && again.trash.is_empty(), "second thoughts: {changes:#?}");
    assert_eq!(again.steps.iter().filter(|step| step.is_left()).count(), left);
}
