//! Files of rules stay where what they leave out does.
//!
//! A directory that one side has removed stays on the other for the sake of what takes no part in it. If the files of
//! rules went that leave it out, it would take part in the next run, and whoever removed the directory would get what
//! was never meant to leave the other side. So they stay as well, and count as removed. By themselves they do not bring
//! a directory to life again.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::hiding::Hiding;
use crate::twoway::packed::{Collector, Store};
use crate::twoway::reconcile::{Change, Step};
use std::collections::HashMap;

impl Hiding {
    /// The same steps, but for the removal of files of rules from directories that are only emptied.
    pub fn keeping_files(&self, steps: Store<Step>) -> Store<Step> {
        let mut keeping = Keeping { steps: &steps, changed: HashMap::new() };
        for (path, holder) in &self.files {
            Side::BOTH.into_iter().for_each(|side| keeping.keep(side, path, holder));
        }
        let mut changed = keeping.changed;
        if changed.is_empty() {
            return steps;
        }
        let mut all = Collector::default();
        let items = steps.into_items().enumerate();
        items.for_each(|(number, step)| all.push(&changed.remove(&number).unwrap_or(step)));
        all.finish()
    }
}

/// Steps, and what becomes of some of them.
struct Keeping<'a> {
    steps: &'a Store<Step>,
    changed: HashMap<usize, Step>,
}

impl Keeping<'_> {
    /// Keeps a file of rules on a side, if its directory stays there.
    fn keep(&mut self, side: Side, path: &RelPath, holder: &RelPath) {
        let change = |path| self.steps.find(path).and_then(|(_, step)| step.change(side));
        if change(path) != Some(Change::Remove) || change(holder) != Some(Change::Empty) {
            return;
        }
        // Some are not in the directory itself, but in one below it, which then stays, too.
        let staying = std::iter::successors(Some(path.clone()), |path| Some(path.split_last()?.0));
        for path in staying.take_while(|path| path != holder) {
            if let Some((number, step)) = self.steps.find(&path) {
                self.changed.entry(number).or_insert(step).after.of_mut(side).occupied = true;
            }
        }
    }
}
