//! Files that were renamed on one side, found again on the other: a cheaper way to carry out two steps.

use crate::twoway::decide::Side;
use crate::twoway::plan::Plan;
use crate::twoway::reconcile::{Change, Step};
use crate::twoway::record::{ContentSum, State};
use std::collections::HashMap;

/// A file that a plan removes on a side and makes there again, with the same content, under another name. It need not
/// be sent. A wrong guess does no harm: what is there in the end is the same.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rename<'a> {
    /// Where to rename it.
    pub side: Side,
    /// The step that removes it.
    pub from: &'a Step,
    /// The step that makes it.
    pub to: &'a Step,
}

/// Which steps remove, and which make, a file with some content.
#[derive(Default)]
struct Ends<'a> {
    gone: Vec<&'a Step>,
    new: Vec<&'a Step>,
}

impl Plan {
    /// The files that can be renamed instead of being sent: where exactly one with that content goes and exactly one
    /// comes.
    pub fn renames(&self) -> Vec<Rename<'_>> {
        let mut ends: HashMap<(Side, ContentSum), Ends<'_>> = HashMap::new();
        for step in &self.steps {
            for side in Side::BOTH {
                let state = match step.change(side) {
                    Some(Change::Remove) => &step.before.of(side).state,
                    Some(Change::Create) => &step.after.of(side).state,
                    _ => continue,
                };
                // To make an empty file is as cheap.
                let State::File { sum, size: 1.. } = state else { continue };
                let ends = ends.entry((side, *sum)).or_default();
                if step.change(side) == Some(Change::Remove) { &mut ends.gone } else { &mut ends.new }
                    .push(step);
            }
        }
        let mut renames: Vec<Rename<'_>> = ends
            .into_iter()
            .filter_map(|((side, _), ends)| match (&ends.gone[..], &ends.new[..]) {
                ([from], [to]) => Some(Rename { side, from, to }),
                _ => None,
            })
            .collect();
        renames.sort_by_cached_key(|rename| (rename.side, rename.to.path.clone()));
        renames
    }
}
