//! Histories of small replicas in memory: random edits and runs, and what must be true of each.
//!
//! [`model`] is a replica whose tree is a map; [`scan`] tells its edits and [`run`] brings two of them together in the
//! order in which a real run does, with a crash at any point. What is checked is in [`checks`], judged by sets of edit
//! events that are tracked apart from the versions.

mod checks;
mod model;
mod run;
mod scan;

mod crashes;
mod forks;
mod links;
mod looking;
mod oracle;
mod pairs;
mod stretches;
mod table;
mod topologies;

pub(crate) use self::table::{plan_by, plan_of};
