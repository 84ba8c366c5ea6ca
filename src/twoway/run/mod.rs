//! One run of two replicas, from opening them to what both remember of it.
//!
//! The `planner` is the side that was asked for the run, the `follower` its peer; each has one of the replicas
//! (`own`). They agree on what takes no part (`agreeing`) and find out what has changed (`comparing`, `told`), the
//! planner makes the plan, and both carry out their share of it (`share`). In which order, and why in this one, is told
//! where it is done.

mod agreeing;
pub(in crate::twoway) mod alike;
mod applied;
mod asking;
mod comparing;
mod contents;
mod follower;
mod meeting;
mod overseer;
mod own;
mod planner;
mod share;
#[cfg(test)]
mod tests;
mod told;
mod values;

pub use alike::{Alike, Stretches};
pub use follower::follow;
pub use overseer::{Answer, Asked, Contents, Overseer, Stopped};
pub use planner::{Names, Outcome, Settings, plan_and_carry_out};

use crate::pass::{Context, PassError};
use crate::report::Event;
use crate::tree::Escaped;
use crate::twoway::TwoWayError;
use crate::twoway::exchange::Garbled;
use crate::wire::{Abort, AbortKind, Link, Message};

/// What both sides of a run need to know about it.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// What a pass needs, without an agenda. Its [stop](crate::pass::Stop) ends all of the run.
    pub context: &'a Context,
    /// The argument that names the replica here.
    pub name: &'a [u8],
}

impl Around<'_> {
    /// What the replica here is called.
    fn name(&self) -> String {
        shown(self.name)
    }

    /// Says something of it.
    fn notice(&self, text: &str) {
        self.context.reporter.report(Event::Notice(format!("{} {text}", self.name())));
    }
}

/// What an argument that names a replica is shown as.
pub fn shown(argument: &[u8]) -> String {
    Escaped(if argument.is_empty() { b"." } else { argument }).to_string()
}

/// Why a run ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The replica here, or its history, cannot be used.
    #[error("{}{source}", named(root))]
    Replica {
        /// The argument that names it, if that has been added.
        root: Vec<u8>,
        /// Why.
        source: TwoWayError,
    },
    /// A guard stopped it before anything was changed.
    #[error("{0}")]
    Halted(String),
    /// Whoever was asked stopped it before anything was changed.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The other side, or a pass.
    #[error(transparent)]
    Pass(#[from] PassError),
}

impl From<Garbled> for RunError {
    fn from(garbled: Garbled) -> RunError {
        RunError::Pass(garbled.into())
    }
}

impl From<TwoWayError> for RunError {
    fn from(source: TwoWayError) -> RunError {
        RunError::Replica { root: Vec::new(), source }
    }
}

/// What goes before an error of a replica.
fn named(root: &[u8]) -> String {
    if root.is_empty() { String::new() } else { format!("{}: ", Escaped(root)) }
}

impl RunError {
    /// The same of the replica that this argument names.
    pub fn at(self, root: &[u8]) -> RunError {
        match self {
            RunError::Replica { source, .. } => RunError::Replica { root: root.to_vec(), source },
            other => other,
        }
    }

    /// Whether the reason for it is at the other side, or nobody knows it.
    pub fn is_from_elsewhere(&self) -> bool {
        matches!(self, RunError::Pass(PassError::Lost | PassError::Peer(_)))
    }

    /// Tells the other side why this one ends, and closes the link.
    pub fn tell(self, link: &Link) -> RunError {
        let abort = |text: String, kind| Some(Abort { text, kind });
        let abort = match &self {
            RunError::Replica { source: TwoWayError::Stopped, .. } => None,
            RunError::Replica { source: TwoWayError::InUse { .. }, .. } => {
                abort(self.to_string(), AbortKind::InUse)
            }
            RunError::Replica { .. } => abort(self.to_string(), AbortKind::Failed),
            RunError::Halted(_) | RunError::Stopped(_) => abort(self.to_string(), AbortKind::Halted),
            // A pass has told it, or there is nobody left to be told.
            RunError::Pass(PassError::Protocol(what)) => abort((*what).to_owned(), AbortKind::Protocol),
            RunError::Pass(_) => None,
        };
        if let Some(abort) = abort {
            // If the link is closed, nobody is left to be told.
            let _ = link.sender.send(Message::Abort(abort));
        }
        link.sender.stopper().stop();
        self
    }
}
