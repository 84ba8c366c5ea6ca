//! Conflicts that somebody is asked about, a person or a command, and answers that cannot be carried out.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::policy::{Conflict, ConflictKind, Merged, Resolution, Resolver};
use crate::twoway::reconcile::{Elsewhere, OutOfOrder, Pair, Rules, Settler, Step, Why, reconcile};
use crate::twoway::record::{ContentSum, Record, State};
use crate::twoway::tests::model::{attributes, file, never, rel, shared};
use crate::twoway::version::{Author, Version};
use filetime::FileTime;
use std::sync::Arc;

/// Answers always the same, and remembers the questions.
struct Answer(Resolution, Vec<(RelPath, ConflictKind)>);

impl Resolver for Answer {
    fn resolve(&mut self, conflict: &Conflict<'_>) -> Resolution {
        self.1.push((conflict.path.clone(), conflict.kind));
        self.0
    }

    fn removals_win(&self, _: &RelPath) -> Option<Side> {
        None
    }
}

fn by(author: u8, state: State) -> Record {
    let version = Arc::new(Version::new().edited(Author([author; 16]), 1));
    Record { state, content: version.clone(), meta: version, ..never() }
}

fn plan(paths: &[(&str, Record, Record)], answer: &mut Answer) -> Result<Vec<Step>, OutOfOrder> {
    let settler = Settler { author: Author([1; 16]), count: 2 };
    let rules =
        Rules { settler, resolver: answer, elsewhere: &|_| Elsewhere::Unchanged(None), shared: shared(true) };
    let paths = paths
        .iter()
        .map(|(path, left, right)| (rel(path.as_bytes()), Pair { left: left.clone(), right: right.clone() }));
    let mut steps = Vec::new();
    reconcile(paths, rules, &mut |step| steps.push(step))?;
    Ok(steps)
}

const MERGED: Merged = Merged { sum: ContentSum([9; 32]), size: 9, mtime: FileTime::from_unix_time(7, 0) };

#[test]
fn both_take_what_was_merged() {
    let mut answer = Answer(Resolution::Merged(MERGED), Vec::new());
    let steps = plan(&[("f", by(1, file(1)), by(2, file(2)))], &mut answer).unwrap();
    assert_eq!(answer.1, [(rel(b"f"), ConflictKind::Content)]);
    let [step] = &steps[..] else { panic!("{steps:#?}") };
    assert_eq!(step.why, Why::Settled(ConflictKind::Content, Resolution::Merged(MERGED)));
    for after in [&step.after.left, &step.after.right] {
        assert_eq!((&after.state, after.mtime), (&file(9), MERGED.mtime));
        for before in [&step.before.left, &step.before.right] {
            assert!(after.covers(before, shared(true).facets));
        }
    }
}

#[test]
fn what_cannot_be_merged_is_left() {
    let chmod = Record { attributes: attributes(0o600), ..by(2, file(1)) };
    for (left, right, kind) in [
        (by(1, file(1)), by(2, State::Directory), ConflictKind::Kinds),
        (by(1, file(1)), chmod, ConflictKind::Attributes),
        (
            by(1, State::Symlink { target: [1].into() }),
            by(2, State::Symlink { target: [2].into() }),
            ConflictKind::Content,
        ),
    ] {
        let mut answer = Answer(Resolution::Merged(MERGED), Vec::new());
        let steps = plan(&[("f", left, right)], &mut answer).unwrap();
        assert!(steps.iter().all(|step| step.why == Why::Conflict(kind)), "{steps:#?}");
        assert!(!steps[0].changes_anything());
    }
}

#[test]
fn a_directory_that_cannot_go_may_win_but_not_lose() {
    let occupied = Record { occupied: true, ..by(2, State::Directory) };
    for (winner, wins) in [(Side::Left, false), (Side::Right, true)] {
        let mut answer = Answer(Resolution::Win(winner), Vec::new());
        let steps = plan(&[("d", by(1, file(1)), occupied.clone())], &mut answer).unwrap();
        assert_eq!(answer.1, [(rel(b"d"), ConflictKind::Occupied)]);
        assert_eq!(steps[0].is_left(), !wins, "{steps:#?}");
        assert_eq!(steps[0].after.left.state.is_directory(), wins);
        assert!(!steps[0].after.left.occupied && steps[0].after.right.occupied);
    }
}

#[test]
fn one_question_for_a_directory_with_edits_inside() {
    let base = |record: Record| Record { content: Arc::default(), meta: Arc::default(), ..record };
    let mut answer = Answer(Resolution::Win(Side::Left), Vec::new());
    let steps = plan(
        &[
            ("d", by(1, file(1)), base(by(2, State::Directory))),
            ("d/f", by(1, State::Absent), by(2, file(2))),
            ("d/g", by(1, State::Absent), by(2, file(3))),
        ],
        &mut answer,
    );
    assert_eq!(answer.1, [(rel(b"d"), ConflictKind::Kinds)]);
    assert!(steps.unwrap().iter().all(|step| step.after.left.state == step.before.left.state));
}

#[test]
fn paths_out_of_order_are_refused() {
    let there = || by(1, file(1));
    for paths in [["b", "a"], ["a", "a"], ["a-b", "a/b"]] {
        let paths = paths.map(|path| (path, there(), never()));
        let answer = &mut Answer(Resolution::Skip, Vec::new());
        assert_eq!(plan(&paths, answer), Err(OutOfOrder(rel(paths[1].0.as_bytes()))));
    }
}

#[test]
fn deep_paths_take_no_stack() {
    let deep: Vec<String> = (1..=2_000).map(|depth| vec!["x"; depth].join("/")).collect();
    let deep: Vec<_> = deep.iter().map(|path| (path.as_str(), by(1, State::Directory), never())).collect();
    let steps = plan(&deep, &mut Answer(Resolution::Skip, Vec::new())).unwrap();
    assert_eq!(steps.len(), 2_000);
}
