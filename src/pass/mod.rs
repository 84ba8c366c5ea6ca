//! One pass: one tree's state moves in one direction.
//!
//! A pass has two roles. The [`source`] reads its view of a tree and lists it, directory by directory; the [`sink`]
//! opens its own counterpart of each listed directory, compares (`decide`), and asks for the content it lacks. The
//! source answers requests about what it listed, and nothing else. Which end of a connection plays which role decides
//! between push and pull; between two local paths both roles run in one process.
//!
//! A pass ends, and its link goes on: when both roles have returned without an error, all credit is back and nothing
//! that was said in the pass is still on its way, so that another pass may follow, in either direction. Who plays the
//! roles ends the link.
//!
//! What a sink does about what is listed is its [`sink::Goal`]: it makes its tree like the source's, as far as the
//! options say, or it fetches what was planned beforehand, by an [`Agenda`].
//!
//! ```text
//! source                                     sink
//!   walk ---- Mention (a fingerprint) ----->   compare: the same, so nothing to do, or
//!        <--- Expand (sums of buckets) -----
//!        ---- Listing (what differs) ------>   compare: same, different, absent, extra
//!   content <--- Fetch (small files, or attributes of what needs no content)
//!           <--- Want, Sums, Check ---------   sign (what it has of a file, or of its gaps)
//!           ---- Fetched, Content, Verdict ->   apply: stage, verify, install
//!           <--- Again (what differs) ------
//!   kept    <--- Close(dir) ----------------   everything in it is settled
//! ```
//!
//! Each arrow has a rank and a credit of its own (`wire`), each box is one or more threads, and a box may wait only
//! for boxes further down the diagram. Memory is the windows of the ranks, the largest directory, the
//! directories above the one being listed, and what each part says it keeps: listings that may still be asked about
//! (`source/kept`), directories whose listing is to come and what was mentioned below them (`sink/compare`), lines that
//! wait for their turn (`sink/announce`), the sums of gaps and of files read ahead (`source/rounds`, `sink/gaps`).

mod agenda;
mod decide;
mod fingerprint;
mod names;
pub mod sink;
pub mod source;
mod stop;
mod tally;

pub use agenda::{Agenda, Place, Planned};

pub use stop::{InHand, Stop};

pub(crate) use decide::passed_over;
pub(crate) use names::OwnerMap;
pub(crate) use tally::describe;

use crate::delta::{StrongKind, SumChoice};
use crate::pass::sink::DestinationError;
use crate::report::{Progress, Reporter};
use crate::request::Options;
use crate::tree::Escaped;
use crate::view::ViewError;
use crate::wire::{Abort, AbortKind, Message, Sender};
use std::sync::Arc;

/// What both roles need to know about their run.
#[derive(Clone)]
pub struct Context {
    /// What was asked.
    pub options: Options,
    /// The strong sum of what is transferred, with the run's seed.
    pub sums: SumChoice,
    /// The one that contents are compared by where nothing is transferred yet.
    pub compare_sums: SumChoice,
    /// Where events go: to the user, or to the peer that has one.
    pub reporter: Arc<dyn Reporter>,
    /// How far the run is.
    pub progress: Arc<Progress>,
    /// Whether both roles are in this process, so that an open file can be handed over.
    pub local: bool,
    /// How many files this process may have open.
    pub open_files: u64,
    /// Which links paths may go through that the user named.
    pub paths: crate::fs::Links,
    /// Whether the peer must be told how far this role is, because the user is at its end.
    pub tell_progress: bool,
    /// What this pass has to do with deletion.
    pub sweep: Sweep,
    /// Whether it is to end early.
    pub stop: Arc<Stop>,
}

/// With `--delete-before`, one pass removes what the source does not have, and another does all else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sweep {
    /// There is one pass for everything.
    #[default]
    None,
    /// This pass only removes. Its source counts nothing and says nothing, since it will all be met again.
    Now,
    /// A pass before this one has removed so many entries.
    Done(u64),
}

impl Context {
    /// The function of the sums that are shown: that by which the run looks at contents.
    fn shown_sum(&self) -> StrongKind {
        if self.options.checksum { self.compare_sums.kind } else { self.sums.kind }
    }

    /// Whether changed files are sent whole.
    fn whole_file(&self) -> bool {
        // What is to be kept has to be looked at. Without a sum no block can be found.
        let default = self.local && self.options.append.is_none();
        self.options.whole_file.unwrap_or(default) || self.sums.kind == StrongKind::None
    }
}

/// Why a pass ended early.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The link to the other role closed; the link knows why.
    #[error("the connection to the other side was lost")]
    Lost,
    /// The peer sent something that makes no sense at this point.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// The destination cannot be used.
    #[error("{0}")]
    Destination(#[from] sink::DestinationError),
    /// There are no sources to begin with.
    #[error("{} {}: {}", .0.doing, Escaped(&.0.path), describe(&.0.source))]
    Sources(ViewError),
    /// The other role gave up.
    #[error("{}", .0.text)]
    Peer(Abort),
    /// Nothing more was to be begun, and what was in hand is done.
    #[error("the run was interrupted")]
    Stopped,
    /// Something the role needs could not be had.
    #[error(transparent)]
    Setup(#[from] crate::fs::Error),
}

impl PassError {
    pub(crate) fn thread(source: std::io::Error) -> PassError {
        PassError::Setup(crate::fs::Error { doing: "starting a thread", source })
    }

    /// What the other role is told of it; `None` if there is no other role any more, or it knows.
    fn abort(&self) -> Option<Abort> {
        match self {
            PassError::Lost | PassError::Peer(_) => None,
            error => {
                let kind = match error {
                    PassError::Destination(error) if error.is_selection() => AbortKind::Selection,
                    PassError::Destination(DestinationError::NoTemp { .. }) => AbortKind::Usage,
                    PassError::Sources(_) => AbortKind::Selection,
                    PassError::Protocol(_) => AbortKind::Protocol,
                    PassError::Stopped => AbortKind::Interrupted,
                    _ => AbortKind::Failed,
                };
                Some(Abort { text: error.to_string(), kind })
            }
        }
    }

    /// Tells the other role, and closes the link.
    fn close(&self, sender: &Sender) {
        if let Some(abort) = self.abort() {
            // If the link is closed, nobody is left to be told.
            let _ = sender.send(Message::Abort(abort));
        }
        sender.stopper().stop();
    }
}

impl From<crate::wire::Closed> for PassError {
    fn from(_: crate::wire::Closed) -> PassError {
        PassError::Lost
    }
}

impl Context {
    /// A share of the files that may be open: one in `part` of them, but no more than `most`.
    fn share_of_open_files(&self, part: u64, most: usize) -> usize {
        usize::try_from(self.open_files / part).unwrap_or(most).clamp(4, most)
    }

    /// Number of threads for work that can be spread: one per core, at least two so that one slow file does not stop
    /// everything, at most eight because more only queue at the disk.
    pub(crate) fn workers(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(2, |cores| cores.get());
        if self.options.shortcuts.threads { cores().clamp(2, 8) } else { 1 }
    }
}

/// Why a pass ends when what belongs between passes comes in it.
const TALK: &str = "what replicas say to each other came within a pass";

/// Files up to this many bytes are read and written at once, and asked for in batches.
const SMALL: u64 = 128 << 10;

#[cfg(test)]
mod tests;
