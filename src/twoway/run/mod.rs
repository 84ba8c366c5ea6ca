//! One run of two replicas, from opening them to what both remember of it.
//!
//! The [`planner`] is the side that was asked for the run, the [`follower`] its peer; each has one of the replicas
//! ([`own`]). They find out what has changed ([`told`]), the planner makes the plan, and both carry out their share of
//! it ([`share`]). In which order, and why in this one, is told where it is done.

mod contents;
mod follower;
mod meeting;
mod overseer;
mod own;
mod planner;
mod share;
mod told;

pub use follower::follow;
pub use overseer::{Answer, Asked, Contents, Overseer, Stopped, Which};
pub use planner::{Outcome, Settings, plan_and_carry_out};

use crate::pass::{Context, PassError};
use crate::twoway::TwoWayError;
use crate::twoway::exchange::Garbled;
use crate::wire::{Abort, AbortKind, Link, Message};
use std::sync::atomic::AtomicBool;

/// What both sides of a run need to know about it.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// What a pass needs, without an agenda.
    pub context: &'a Context,
    /// Set to end the run early.
    pub stop: &'a AtomicBool,
}

/// Why a run ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The replica here, or its history, cannot be used.
    #[error(transparent)]
    Replica(#[from] TwoWayError),
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

impl RunError {
    /// Tells the other side why this one ends, and closes the link.
    fn close(&self, link: &Link) {
        let abort = match self {
            RunError::Replica(TwoWayError::Stopped) => None,
            RunError::Stopped(stopped) => Some(Abort { text: stopped.0.clone(), kind: AbortKind::Halted }),
            RunError::Replica(error) => Some(Abort { text: error.to_string(), kind: AbortKind::Failed }),
            RunError::Halted(text) => Some(Abort { text: text.clone(), kind: AbortKind::Halted }),
            // A pass has told it, or there is nobody left to be told.
            RunError::Pass(PassError::Protocol(what)) => {
                Some(Abort { text: (*what).to_owned(), kind: AbortKind::Protocol })
            }
            RunError::Pass(_) => None,
        };
        if let Some(abort) = abort {
            // If the link is closed, nobody is left to be told.
            let _ = link.sender.send(Message::Abort(abort));
        }
        link.sender.stopper().stop();
    }
}
