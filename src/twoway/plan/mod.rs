//! A whole plan as data: to be shown, written to a file, read back and carried out.
//!
//! Whatever can be told from the steps is not part of it: [renames](Plan::renames), the [`Summary`], and what
//! [`guard`](crate::twoway::guard) thinks of it.

mod fitting;
pub(super) mod names;
mod rename;
mod summary;

pub(super) use self::fitting::spread;
pub use self::rename::Rename;
pub use self::summary::{Summary, Work};

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::packed::Store;
use crate::twoway::reconcile::{OutOfOrder, Pair, Settler, Step};
use crate::twoway::record::Record;
use crate::twoway::version::{Author, Renaming, Version};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::sync::Arc;

/// What is to be done on two replicas, and all that is needed to do it later: no step is carried out whose path is not
/// as it was.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// How it is written: [`FORMAT`].
    pub format: u32,
    /// The first argument's replica.
    pub left: Author,
    /// The second argument's.
    pub right: Author,
    /// The sides that had never been in a run: the name of their replica was drawn for the plan alone, and the run that
    /// carries it out draws another.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub new: Vec<Side>,
    /// Who settled its conflicts, and in which generation.
    pub settler: Settler,
    /// The steps, in [the order of a walk](RelPath::walk_order), each path once.
    pub steps: Store<Step>,
}

/// How plans are written by this version.
pub const FORMAT: u32 = 1;

/// Why a plan that was read cannot be carried out.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidPlan {
    /// Another version wrote it.
    #[error("the plan is written in format {0}, and only format {FORMAT} can be read")]
    Format(u32),
    /// A path is not where it belongs.
    #[error(transparent)]
    Order(#[from] OutOfOrder),
}

impl Plan {
    /// The plan made of the steps that [`reconcile`](crate::twoway::reconcile::reconcile) gave out, in order.
    pub fn new(left: Author, right: Author, settler: Settler, steps: Store<Step>) -> Plan {
        Plan { format: FORMAT, left, right, new: Vec::new(), settler, steps }
    }

    /// Checks what a file may have wrong that types do not tell.
    pub fn validate(&self) -> Result<(), InvalidPlan> {
        if self.format != FORMAT {
            return Err(InvalidPlan::Format(self.format));
        }
        let mut last: Option<RelPath> = None;
        for Step { path, .. } in &self.steps {
            if last.is_some_and(|last| last.walk_order(&path) != Ordering::Less) {
                return Err(OutOfOrder(path).into());
            }
            last = Some(path);
        }
        Ok(())
    }

    /// The same plan for a settler who has counted on since it was made: its conflicts are settled in this generation.
    pub fn settled_in(self, count: u64) -> Plan {
        let Settler { author, count: old } = self.settler;
        let renew = |version: &Arc<Version>| match version.count(author) == old {
            true => Arc::new(version.edited(author, count)),
            false => version.clone(),
        };
        let renewed = |record: &Record| Record {
            content: renew(&record.content),
            meta: renew(&record.meta),
            extended: record.extended.renamed(renew),
            ..record.clone()
        };
        let renew = |step: Step| Step { after: step.after.map(renewed), ..step };
        let steps = self.steps.into_items().map(renew).collect();
        Plan { settler: Settler { author, count }, steps, ..self }
    }

    /// The same plan for these replicas, with whether they are new still; `None` if it was made for others.
    pub fn made_for(self, left: (Author, bool), right: (Author, bool)) -> Option<Plan> {
        let mut plan = self;
        for (side, (author, is_new)) in [(Side::Left, left), (Side::Right, right)] {
            let planned = match side {
                Side::Left => plan.left,
                Side::Right => plan.right,
            };
            if planned != author {
                if !is_new || !plan.new.contains(&side) {
                    return None;
                }
                plan = plan.renamed(&Renaming { author: planned, from: 1, to: author });
            }
        }
        Some(plan)
    }

    /// The same plan with counts under another name.
    fn renamed(self, renaming: &Renaming) -> Plan {
        let author = |author| if author == renaming.author { renaming.to } else { author };
        let rename = |step: Step| {
            let renamed = |pair: Pair| pair.map(|record| record.renamed(renaming));
            Step { before: renamed(step.before), after: renamed(step.after), ..step }
        };
        let settler = Settler { author: author(self.settler.author), ..self.settler };
        let (left, right) = (author(self.left), author(self.right));
        Plan { left, right, settler, steps: self.steps.into_items().map(rename).collect(), ..self }
    }

    /// The step for a path, if there is one.
    pub fn step(&self, path: &RelPath) -> Option<Step> {
        self.steps.find(path).map(|(_, step)| step)
    }
}

#[cfg(test)]
mod tests;
