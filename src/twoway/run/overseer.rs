//! Who is told about a two-way run, and asked, at the side that makes the plan.
//!
//! The run calls it and waits: nothing is done on either side before a plan was shown and all answers are there. What
//! may take long, or a person, is therefore no trouble but for the [timeout](crate::request::Options::timeout) of the
//! peer, which the run keeps from running out.

use crate::twoway::decide::Side;
use crate::twoway::plan::Plan;
use crate::twoway::policy::{Conflict, Policy};
use std::io;

/// Is told what is going to be done, and decides what no record can.
pub trait Overseer: Send + Sync {
    /// The plan is made, and nothing of it has been done; if a guard refuses it, or this is a dry run, nothing will be.
    ///
    /// # Errors
    /// [`Stopped`] if nothing at all is to be done.
    fn planned(&self, plan: &Plan) -> Result<(), Stopped>;

    /// Decides a conflict whose policy is [`Policy::Ask`] or [`Policy::Merge`].
    ///
    /// # Errors
    /// [`Stopped`] if nothing at all is to be done.
    fn resolve(&self, asked: &Asked<'_>) -> Result<Answer, Stopped>;
}

/// A conflict that somebody is asked about.
pub struct Asked<'a> {
    /// The conflict.
    pub conflict: Conflict<'a>,
    /// What is to be done about it: ask a person, or run a command.
    pub policy: &'a Policy,
    /// Which one it is, counted from 1.
    pub number: u64,
    /// Of how many there are as long as those before are left; what was chosen for one may decide others below it.
    pub count: u64,
    /// What is in the files.
    pub contents: &'a dyn Contents,
}

/// The contents that a conflict is about, fetched when they are asked for.
pub trait Contents {
    /// Writes the whole content of this side's file to `to`. Returns whether it did: not if there is no such file any
    /// more, if it is no regular file, is not as it was scanned, or is longer than `limit`, in bytes; then something of
    /// it may have been written.
    ///
    /// # Errors
    /// Why it could not be read, fetched or written, as a phrase.
    fn fetch(&self, side: Side, limit: u64, to: &mut dyn io::Write) -> Result<bool, String>;

    /// The same of the file that both were made of, if the trash of this side has it: the one that has absorbed exactly
    /// the edits that both have. Most often none has it, since nothing puts into a trash what users change themselves.
    ///
    /// # Errors
    /// As above.
    fn fetch_base(&self, side: Side, limit: u64, to: &mut dyn io::Write) -> Result<bool, String>;
}

/// What is to be done about a conflict.
pub enum Answer {
    /// Nothing: both keep theirs.
    Skip,
    /// Both get this side's.
    Win(Side),
    /// The winner keeps the name, and the loser gets another.
    KeepBoth,
    /// Both get this, to be read once to its end. Only of two files.
    Merged(Box<dyn io::Read + Send>),
}

/// The run is to end with nothing done, for this reason.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Stopped(pub String);
