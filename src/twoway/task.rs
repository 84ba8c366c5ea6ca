//! What a plan asks of one replica: its own side of the steps.

use crate::tree::{Name, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::reconcile::{Change, Step, Why};
use crate::twoway::record::{Record, State};
use std::cmp::Ordering;

/// What is to be done at one path of a replica, and what will be known of it then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Task {
    /// Where.
    pub path: RelPath,
    /// Why.
    pub why: Why,
    /// What is done here, if anything is but writing down what is known.
    pub here: Option<Change>,
    /// What is done on the other side.
    pub there: Option<Change>,
    /// What is known of it here.
    pub before: Record,
    /// What will be known of it here.
    pub after: Record,
    /// The file here that only gets this name, and whose removal is planned: nothing is fetched.
    pub renamed_from: Option<RelPath>,
    /// The file in the staging directory that has the content, which was merged here.
    pub at_hand: Option<Name>,
}

/// The tasks of one replica in [the order of a walk](RelPath::walk_order), each path once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tasks(Vec<Task>);

impl Task {
    /// One side of a step.
    pub fn new(step: &Step, side: Side) -> Task {
        let (before, after) = (step.before.of(side).clone(), step.after.of(side).clone());
        let there = step.change(side.other());
        Task { there, ..Task::between(step.path.clone(), step.why.clone(), before, after) }
    }

    /// What leads from one record to another; nothing is done on the other side.
    pub fn between(path: RelPath, why: Why, before: Record, after: Record) -> Task {
        let here = Change::between(&before, &after);
        Task { path, why, here, there: None, before, after, renamed_from: None, at_hand: None }
    }

    /// Whether a file's content has to come from the other side.
    pub fn is_fetched(&self) -> bool {
        let content = matches!(self.here, Some(Change::Create | Change::Update | Change::Replace));
        let is_here = self.renamed_from.is_some() || self.at_hand.is_some();
        content && matches!(self.after.state, State::File { .. }) && !is_here
    }

    /// Whether anything is to be written down, be it after something was done.
    pub fn is_news(&self) -> bool {
        self.before != self.after
    }
}

impl Tasks {
    /// Puts tasks in order.
    pub fn new(mut tasks: Vec<Task>) -> Tasks {
        tasks.sort_by(|one, other| one.path.walk_order(&other.path));
        Tasks(tasks)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The task with this number, counted from 0.
    pub fn get(&self, number: usize) -> Option<Task> {
        self.0.get(number).cloned()
    }

    /// The number of the task for a path.
    pub fn find(&self, path: &RelPath) -> Option<usize> {
        self.0.binary_search_by(|task| task.path.walk_order(path)).ok()
    }

    /// All, with their numbers.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (usize, Task)> + ExactSizeIterator {
        self.0.iter().cloned().enumerate()
    }

    /// The numbers of those below a path, without itself.
    pub fn below(&self, path: &RelPath) -> std::ops::Range<usize> {
        let first = self.0.partition_point(|task| task.path.walk_order(path) != Ordering::Greater);
        let after = self.0.get(first..).unwrap_or_default();
        let count = after.partition_point(|task| task.path.is_below(path));
        first..first.saturating_add(count)
    }
}
