//! Two trees that change on both sides: what each replica remembers, and how two of them come to one plan.
//!
//! Every replica keeps a [`record`] of each path: what was last seen there, and which edits that state has absorbed, as
//! two [`version`] vectors, and one more for each [`facet`] that is synchronised. From the records of both replicas,
//! [`reconcile`] makes the plan; it is a pure function, and so are the two it is made of: [`decide`], which says what
//! two records mean together, and [`policy`], which says who wins where each side has edits that the other has not.
//!
//! What a replica remembers is in its [`history`], a database in the directory `.dsync` at the top of the tree, which
//! [`replica`] opens and locks. A [`scan`] finds out what has changed since, but for what takes no part: [`hiding`].
//!
//! Two copies of one replica that counted on under one name are told apart by [`lineage`]. A [`plan`] is data: it can
//! be looked at, written down and carried out later; [`guard`] says when it must not be.
//!
//! Runs leave [`log`]s and what they replaced or deleted in the [`trash`]; [`look`] is for looking back at both.
//!
//! There may be millions of changed paths, so what a run keeps of each is [`packed`]. Users and groups each replica
//! knows by the numbers of its own host; what it tells of them is packed with their names, by which the other finds its
//! own.
//!
//! A [`run`] brings all of it together over a link: what both replicas have to say to each other is in [`exchange`],
//! and [`carry`] carries out what the plan asks of one of them.

pub mod carry;
pub mod decide;
mod error;
pub mod exchange;
pub mod facet;
pub mod guard;
pub mod hiding;
pub mod history;
pub mod lineage;
pub mod log;
pub mod look;
mod names;
pub mod packed;
pub mod plan;
pub mod policy;
pub mod reconcile;
pub mod record;
pub mod replica;
pub mod run;
pub mod scan;
pub mod task;
mod text;
pub mod trash;
pub mod version;

pub use crate::fs::crash;
pub use error::TwoWayError;

#[cfg(test)]
pub(crate) mod tests;
