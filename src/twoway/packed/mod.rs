//! What there may be millions of, in little room: records, steps and tasks, in the order of a walk.
//!
//! They are put together in [batches](Batch), as they also travel. What a run keeps until its end is in a [`Store`] of
//! such batches, each of which is only unpacked while something of it is looked at. A step of a plan takes some
//! hundred bytes there, and not the half thousand that it takes when it is looked at.

mod acls;
mod batch;
mod collect;
mod owners;
mod step;
mod store;
mod task;
#[cfg(test)]
mod tests;

pub use acls::{HeardAcls, TellingValues, ToldValues};
pub(in crate::twoway) use batch::is_own;
pub use batch::{Batch, PackedRecord, Packing, Versions};
pub use collect::Collector;
pub use step::PackedStep;
pub use store::{Iter, Packable, Store};
pub use task::{KeptTask, PackedTask};
