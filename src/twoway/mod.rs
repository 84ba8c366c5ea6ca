//! Two trees that change on both sides: what each replica remembers, and how two of them come to one plan.
//!
//! Every replica keeps a [`record`] of each path: what was last seen there, and which edits that state has absorbed, as
//! two [`version`] vectors. From the records of both replicas, [`reconcile`] makes the plan; it is a pure function, and
//! so are the two it is made of: [`decide`], which says what two records mean together, and [`policy`], which says who
//! wins where each side has edits that the other has not.

pub mod decide;
pub mod guard;
pub mod lineage;
pub mod plan;
pub mod policy;
pub mod reconcile;
pub mod record;
mod text;
pub mod version;

#[cfg(test)]
mod tests;
