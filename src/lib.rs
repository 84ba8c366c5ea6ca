//! dsync copies and synchronises directory trees, locally or between machines over SSH, sending only what changed.
//!
//! The idea in four sentences. A **pass** moves one tree's state in one direction; it has two roles, a source that
//! reads and a sink that writes, each written once. The roles talk through a **link** of typed messages: bounded
//! queues in memory between two local paths, the same messages framed over a byte stream between hosts. The source's
//! listings drive and the sink decides: it compares each listed directory with its own and asks for what it lacks.
//! Every touch of either tree goes through handles of directories and single names, so nothing outside the two roots
//! is read or written, but for what links lead to where the user asked for that.
//!
//! | module | what it is | may use |
//! |---|---|---|
//! | [`delta`] | block signatures, the search, patching; pure | - |
//! | [`tree`] | names, paths, entries, filter rules; pure | - |
//! | [`report`] | what a run says: events, problems, totals, progress | `tree` |
//! | [`request`] | what a run was asked, as data; pure | `tree`, `delta` |
//! | [`fs`] | the only code that touches the trees | `tree` |
//! | [`view`] | the source's tree as a run sees it | `tree`, `request`, `fs`, `report` |
//! | [`wire`] | messages, frames, credit, the link | `tree`, `delta`, `request`, `report` |
//! | [`transport`] | how to get a byte stream to a dsync on a host | `report` |
//! | [`pass`] | one direction: the source, the sink, what an entry needs | all above but `transport` |
//! | [`twoway`] | trees that change on both sides: what each replica remembers, the plan, and carrying it out | all above but `transport` |
//! | [`session`] | a run from connecting to its summary | all above |
//! | [`cli`] | flags, environment, output, exit codes | `request`, `report`, `session`, `tree`, `transport`, `twoway` |
//!
//! A two-way run is two passes from one plan: each replica keeps a history of its tree, the plan is made of what both
//! have to tell, and the passes fetch what it says; all else it asks for is done where it is to be done.
//!
//! A test holds the modules to these rules. The library part never prints, prompts or reads the environment; only
//! [`cli`] does. How the two sides talk is described in the manual page dsync-protocol(5).
#![forbid(unsafe_code)]

pub mod cli;
pub mod delta;
pub mod fs;
pub mod pass;
pub mod report;
pub mod request;
pub mod session;
#[cfg(test)]
mod testing;
pub mod transport;
pub mod tree;
pub mod twoway;
pub mod view;
pub mod wire;
