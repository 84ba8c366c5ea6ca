//! A whole plan as data: to be shown, written to a file, read back and carried out.
//!
//! Whatever can be told from the steps is not part of it: [renames](Plan::renames), the [`Summary`], and what
//! [`guard`](crate::twoway::guard) thinks of it.

mod rename;
mod summary;

pub use self::rename::Rename;
pub use self::summary::{Summary, Work};

use crate::tree::RelPath;
use crate::twoway::reconcile::{OutOfOrder, Settler, Step};
use crate::twoway::record::Record;
use crate::twoway::version::{Author, Version};
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
    /// Who settled its conflicts, and in which generation.
    pub settler: Settler,
    /// The steps, in [the order of a walk](RelPath::walk_order), each path once.
    pub steps: Vec<Step>,
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
    /// The plan made of the steps that [`reconcile`](crate::twoway::reconcile::reconcile) gave out.
    pub fn new(left: Author, right: Author, settler: Settler, mut steps: Vec<Step>) -> Plan {
        steps.sort_by(|one, other| one.path.walk_order(&other.path));
        Plan { format: FORMAT, left, right, settler, steps }
    }

    /// Checks what a file may have wrong that types do not tell.
    pub fn validate(&self) -> Result<(), InvalidPlan> {
        if self.format != FORMAT {
            return Err(InvalidPlan::Format(self.format));
        }
        let pairs = self.steps.iter().zip(self.steps.iter().skip(1));
        match pairs.into_iter().find(|(one, next)| one.path.walk_order(&next.path) != Ordering::Less) {
            Some((_, step)) => Err(OutOfOrder(step.path.clone()).into()),
            None => Ok(()),
        }
    }

    /// The same plan for a settler who has counted on since it was made: its conflicts are settled in this generation.
    pub fn settled_in(mut self, count: u64) -> Plan {
        let Settler { author, count: old } = self.settler;
        let renew = |version: &Arc<Version>| match version.count(author) == old {
            true => Arc::new(version.edited(author, count)),
            false => version.clone(),
        };
        let renewed = |record: &Record| Record {
            content: renew(&record.content),
            meta: renew(&record.meta),
            ..record.clone()
        };
        for step in &mut self.steps {
            step.after.left = renewed(&step.after.left);
            step.after.right = renewed(&step.after.right);
        }
        Plan { settler: Settler { author, count }, ..self }
    }

    /// The step for a path, if there is one.
    pub fn step(&self, path: &RelPath) -> Option<&Step> {
        let at = self.steps.binary_search_by(|step| step.path.walk_order(path)).ok()?;
        self.steps.get(at)
    }
}

#[cfg(test)]
mod tests;
