//! What a plan asks of one replica: its own side of the steps.
//!
//! The side that made the plan looks at its steps; the other one keeps the tasks that it was told. Of each task there
//! is an [`Outline`] at hand, so that those that matter are found without all being unpacked.

use crate::tree::{Name, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::facet::{Extended, Facet, Facets};
use crate::twoway::packed::Store;
use crate::twoway::plan::Rename;
use crate::twoway::reconcile::{Change, Step, Why};
use crate::twoway::record::{Record, State};
use std::collections::HashMap;
use std::ops::Range;

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

/// What a task is about, without what is known of its path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outline {
    /// What is done here.
    pub here: Option<Change>,
    /// What is done on the other side.
    pub there: Option<Change>,
    /// Whether a directory will be there.
    pub is_directory: bool,
    /// Whether a directory is there.
    pub was_directory: bool,
    /// Whether a file will be there.
    pub is_file: bool,
    /// Whether a file's content has to come from the other side.
    pub is_fetched: bool,
    /// Whether it is a file that only gets this name.
    pub is_renamed: bool,
    /// Whether it is the copy of a loser.
    pub is_copy: bool,
    /// Whether it is a conflict that is left.
    pub is_conflict: bool,
    /// Whether something is left for a later run.
    pub is_left: bool,
    /// Whether anything is to be written down.
    pub is_news: bool,
    /// The facets whose new value is not here.
    pub lacks: Facets,
    /// Whether it is, or will be, a name of a file that may have others.
    pub is_named: bool,
}

/// The tasks of one replica in [the order of a walk](RelPath::walk_order), each path once.
pub struct Tasks {
    kept: Kept,
    outlines: Vec<Outline>,
}

/// Where the tasks are.
enum Kept {
    Told(Store<Task>),
    Planned(Planned),
}

/// The side of a plan's steps that concerns one replica.
#[derive(Clone)]
pub struct Planned {
    /// The steps.
    pub steps: Store<Step>,
    /// Whose side it is.
    pub side: Side,
    /// What only gets another name on that side, in the order of the new ones.
    pub renames: Vec<Rename>,
    /// The files in the staging directory that have what was merged, by path.
    pub merged: HashMap<RelPath, Name>,
}

impl Task {
    /// One side of a step.
    pub fn new(step: Step, side: Side) -> Task {
        let (here, there) = (step.change(side), step.change(side.other()));
        let Step { path, why, before, after, .. } = step;
        Task { here, there, ..Task::between(path, why, before.into_one(side), after.into_one(side)) }
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

    /// The facets whose new value is not here.
    pub fn lacks(&self) -> Facets {
        let new = match self.here {
            Some(Change::Create | Change::Replace) if self.renamed_from.is_none() => {
                self.after.extended.differing(&Extended::default())
            }
            Some(Change::Update | Change::Adjust) => self.after.extended.differing(&self.before.extended),
            _ => Facets::NONE,
        };
        let is_some =
            |facet: &Facet| self.after.extended.get(*facet).is_some_and(|known| known.sum.is_some());
        new.attributes().iter().filter(is_some).collect()
    }

    /// Whether anything is to be written down, be it after something was done.
    pub fn is_news(&self) -> bool {
        self.before != self.after
    }

    fn outline(&self) -> Outline {
        Outline {
            here: self.here,
            there: self.there,
            is_directory: self.after.state.is_directory(),
            was_directory: self.before.state.is_directory(),
            is_file: matches!(self.after.state, State::File { .. }),
            is_fetched: self.is_fetched(),
            is_renamed: self.renamed_from.is_some(),
            is_copy: matches!(self.why, Why::CopyOf { .. }),
            is_conflict: matches!(self.why, Why::Conflict(_)),
            is_left: self.why.is_left(),
            is_news: self.is_news(),
            lacks: self.lacks(),
            is_named: [&self.before, &self.after].iter().any(|record| record.extended.identity().is_some()),
        }
    }
}

impl Outline {
    /// Whether the other side fetches a file's content.
    pub fn is_asked_for(&self) -> bool {
        self.is_file && matches!(self.there, Some(Change::Create | Change::Update | Change::Replace))
    }
}

impl Planned {
    fn renamed_from(&self, number: usize) -> Option<RelPath> {
        let place = self.renames.binary_search_by_key(&number, |rename| rename.to).ok()?;
        Some(self.steps.get(self.renames.get(place)?.from)?.path)
    }

    fn task(&self, number: usize, step: Step) -> Task {
        let at_hand = if self.merged.is_empty() { None } else { self.merged.get(&step.path).cloned() };
        let renamed_from = if self.renames.is_empty() { None } else { self.renamed_from(number) };
        Task { renamed_from, at_hand, ..Task::new(step, self.side) }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Task> {
        self.steps.iter().enumerate().map(|(number, step)| self.task(number, step))
    }
}

impl Tasks {
    /// Those that were told.
    pub fn told(tasks: Store<Task>) -> Tasks {
        let outlines = tasks.iter().map(|task| task.outline()).collect();
        Tasks { kept: Kept::Told(tasks), outlines }
    }

    /// Those that were planned.
    pub fn planned(planned: Planned) -> Tasks {
        let outlines = planned.iter().map(|task| task.outline()).collect();
        Tasks { kept: Kept::Planned(planned), outlines }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.outlines.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.outlines.is_empty()
    }

    /// The task with this number, counted from 0.
    pub fn get(&self, number: usize) -> Option<Task> {
        match &self.kept {
            Kept::Told(tasks) => tasks.get(number),
            Kept::Planned(planned) => Some(planned.task(number, planned.steps.get(number)?)),
        }
    }

    /// The number of the task for a path, and the task.
    pub fn find(&self, path: &RelPath) -> Option<(usize, Task)> {
        match &self.kept {
            Kept::Told(tasks) => tasks.find(path),
            Kept::Planned(planned) => {
                let (number, step) = planned.steps.find(path)?;
                Some((number, planned.task(number, step)))
            }
        }
    }

    /// What the task with this number is about.
    pub fn outline(&self, number: usize) -> Option<&Outline> {
        self.outlines.get(number)
    }

    /// What all of them are about.
    pub fn outlines(&self) -> &[Outline] {
        &self.outlines
    }

    /// All that are about something, with their numbers.
    pub fn such(&self, is: impl Fn(&Outline) -> bool) -> impl DoubleEndedIterator<Item = (usize, Task)> {
        let such = self.outlines.iter().enumerate().filter(move |(_, outline)| is(outline));
        such.filter_map(|(number, _)| Some((number, self.get(number)?)))
    }

    /// The numbers of those below a path, without itself.
    pub fn below(&self, path: &RelPath) -> Range<usize> {
        match &self.kept {
            Kept::Told(tasks) => tasks.below(path),
            Kept::Planned(planned) => planned.steps.below(path),
        }
    }
}
