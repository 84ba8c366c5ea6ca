//! What stops a two-way run at one of its replicas.

use crate::fs;
use crate::tree::Uid;
use std::io;

/// Why a replica, or its history, cannot be used. The path of the replica is the caller's to add.
#[derive(Debug, thiserror::Error)]
pub enum TwoWayError {
    /// Something about the files in `.dsync` failed.
    #[error("{doing} {what}: {source}")]
    Files {
        /// What was being done.
        doing: &'static str,
        /// Which file or directory, from the top of the replica.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Something that is no directory has the name of the replica's own.
    #[error("{0} is no directory, so no history can be kept there")]
    NoDirectory(String),
    /// Somebody else's directory has that name.
    #[error("{what} belongs to user {owner}, not to the one dsync runs as (user {user})")]
    NotOurs {
        /// Which directory, from the top of the replica.
        what: String,
        /// Whose it is.
        owner: Uid,
        /// Who runs dsync.
        user: Uid,
    },
    /// Another run has the replica.
    #[error("another dsync is working on this replica{holder}")]
    InUse {
        /// Which one, if that is known: begins with a space.
        holder: String,
    },
    /// The history is damaged, or was cut off.
    #[error(
        "the history of this replica is damaged ({why}); without it nothing is lost, but what was deleted may come \
         back: move .dsync/history away and run again"
    )]
    Damaged {
        /// What was found.
        why: String,
    },
    /// The file in its place is no history.
    #[error(".dsync/history is no history of a dsync replica ({why}); move it away and run again")]
    Foreign {
        /// What it is instead.
        why: String,
    },
    /// An earlier dsync wrote the history.
    #[error(
        "the history of this replica has format {found}, and this dsync knows format {known}; without it nothing is \
         lost, but what was deleted may come back: move .dsync/history away and run again"
    )]
    OlderFormat {
        /// The format found.
        found: u32,
        /// The format known here.
        known: u32,
    },
    /// A later dsync wrote the history.
    #[error(
        "the history of this replica has format {found}, and this dsync knows those up to {known}: a newer dsync is \
         needed"
    )]
    NewerFormat {
        /// The format found.
        found: u32,
        /// The latest format known here.
        known: u32,
    },
    /// A scan was ended early, as was asked for.
    #[error("stopped while looking for changes")]
    Stopped,
    /// The database could not be read or written.
    #[error("{doing} the history of this replica: {source}")]
    Storage {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl TwoWayError {
    /// Names the file or directory at which something failed.
    pub(super) fn at(what: impl Into<String>) -> impl FnOnce(fs::Error) -> TwoWayError {
        move |error| TwoWayError::Files { doing: error.doing, what: what.into(), source: error.source }
    }
}
