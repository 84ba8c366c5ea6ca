//! The decision table, row by row: what was there when both were the same, what each side made of it, and what a run
//! makes of that. Every row is tried with the sides swapped, too.
//!
//! A tree is written as words: `d/` is a directory, `f=2` a file with that content (and size), `l>t` a link to `t`,
//! `p|` a fifo. `:600` after any of them is its mode and `~5` its modification time; `?` says that it cannot be looked
//! at.

mod asked;
mod policies;
mod rows;

use crate::tree::{Kind, unescaped};
use crate::twoway::decide::Side;
use crate::twoway::guard::Census;
use crate::twoway::plan::Plan;
use crate::twoway::policy::{Policy, Resolution};
use crate::twoway::reconcile::{Settler, Why};
use crate::twoway::record::State;
use crate::twoway::tests::model::*;
use crate::twoway::tests::run::Run;

struct Row {
    name: &'static str,
    base: &'static str,
    edited: [&'static str; 2],
    policy: Policy,
    filter: Filter,
    expected: [&'static str; 2],
    /// What is said of every step that is not clear, as words: `f:kept-from-right`.
    said: &'static str,
}

/// A row in which both end as they are.
fn row(name: &'static str, base: &'static str, left: &'static str, right: &'static str) -> Row {
    let edited = [left, right];
    Row { name, base, edited, policy: Policy::Skip, filter: None, expected: edited, said: "" }
}

fn check(rows: &[Row]) {
    for row in rows {
        row.check([Side::Left, Side::Right]);
        row.check([Side::Right, Side::Left]);
    }
}

impl Row {
    fn by(self, policy: Policy) -> Row {
        Row { policy, ..self }
    }

    fn ignoring(self, ignored: &'static str) -> Row {
        Row { filter: Some(ignored), ..self }
    }

    /// Both end with this.
    fn gives(self, both: &'static str) -> Row {
        Row { expected: [both, both], ..self }
    }

    fn gives_each(self, left: &'static str, right: &'static str) -> Row {
        Row { expected: [left, right], ..self }
    }

    fn says(self, said: &'static str) -> Row {
        Row { said, ..self }
    }

    /// Tries it with these as left and right.
    fn check(&self, [left, right]: [Side; 2]) {
        let is = |side| if side == Side::Left { left } else { right };
        let (mut replicas, mut event) = ([Replica::new(1), Replica::new(2)], 0);
        replicas[0].tree = tree(self.base);
        let go = |run: Run, [one, other]: &mut [Replica; 2], event: &mut u64| run.go(one, other, event);
        go(Run::new(Policy::Skip), &mut replicas, &mut event);
        assert_eq!(replicas[1].tree, tree(self.base), "{}", self.name);
        let policy = match &self.policy {
            Policy::Prefer(side) => Policy::Prefer(is(*side)),
            same => same.clone(),
        };
        for side in Side::BOTH {
            replicas[is(side) as usize].tree = tree(self.edited[side as usize]);
        }
        let outcome = go(Run::new(policy).filtered(self.filter), &mut replicas, &mut event);
        for side in Side::BOTH {
            let (got, wanted) = (&replicas[is(side) as usize].tree, tree(self.expected[side as usize]));
            assert_eq!(got, &wanted, "{}: {side:?}: {:#?}", self.name, outcome.steps);
        }
        let mut said: Vec<String> = outcome
            .steps
            .iter()
            .filter(|step| step.why != Why::Clear)
            .map(|step| format!("{}:{}", step.path, word(&step.why, is)))
            .collect();
        said.sort();
        assert_eq!(said.join(" "), self.said, "{}", self.name);
    }
}

fn word(why: &Why, is: impl Fn(Side) -> Side) -> String {
    let side = |side| if is(side) == Side::Left { "left" } else { "right" };
    match why {
        Why::Clear => "clear".into(),
        Why::Kept { removed } => format!("kept-from-{}", side(*removed)),
        Why::Settled(kind, Resolution::Win(winner)) => {
            format!("{kind:?}-by-{}", side(*winner)).to_lowercase()
        }
        Why::Settled(kind, Resolution::KeepBoth) => format!("{kind:?}-by-both").to_lowercase(),
        Why::Settled(kind, other) => format!("{kind:?}-by-{other:?}").to_lowercase(),
        Why::Conflict(kind) => format!("conflict-of-{kind:?}").to_lowercase(),
        Why::CopyOf { original, .. } => format!("copy-of-{original}"),
        Why::Unknown => "unknown".into(),
        Why::Unplanned => "unplanned".into(),
    }
}

/// The plan between two replicas that were the same, and how much each has.
pub(crate) fn plan_of(base: &str, left: &str, right: &str) -> (Plan, [Census; 2]) {
    plan_by(&Policy::Skip, base, left, right)
}

pub(crate) fn plan_by(policy: &Policy, base: &str, left: &str, right: &str) -> (Plan, [Census; 2]) {
    let (mut a, mut b, mut event) = (Replica::new(1), Replica::new(2), 0);
    a.tree = tree(base);
    Run::new(Policy::Skip).go(&mut a, &mut b, &mut event);
    let known = a.tree.len() as u64;
    a.tree = tree(left);
    b.tree = tree(right);
    let census = |replica: &Replica| {
        let files = replica.tree.values().filter(|thing| !thing.state.is_directory());
        Census { known, found: replica.tree.len() as u64, files: files.count() as u64 }
    };
    let census = [census(&a), census(&b)];
    let steps = Run::new(policy.clone()).go(&mut a, &mut b, &mut event).steps;
    let count = a.database.generation;
    (
        Plan::new(a.author(), b.author(), Settler { author: a.author(), count }, steps.into_iter().collect()),
        census,
    )
}

fn tree(text: &str) -> Tree {
    text.split_whitespace().map(thing).collect()
}

fn thing(word: &str) -> (Path, Thing) {
    let (word, unreadable) = word.strip_suffix('?').map_or((word, false), |word| (word, true));
    let (word, mtime) = word.split_once('~').unwrap_or((word, "0"));
    let (word, mode) = word.split_once(':').unwrap_or((word, "644"));
    let (path, state) = if let Some(path) = word.strip_suffix('/') {
        (path, State::Directory)
    } else if let Some(path) = word.strip_suffix('|') {
        (path, State::Special(Kind::Fifo, None))
    } else if let Some((path, target)) = word.split_once('>') {
        (path, State::Symlink { target: target.as_bytes().into() })
    } else {
        let (path, content) = word.split_once('=').unwrap();
        (path, file(content.parse().unwrap()))
    };
    let mode = u32::from_str_radix(mode, 8).unwrap();
    (unescaped(path).unwrap(), Thing { state, mode, mtime: mtime.parse().unwrap(), xattrs: 0, unreadable })
}

/// The first argument's side, which is where the first of two trees is.
const L: Side = Side::Left;
const R: Side = Side::Right;
