//! Why bytes from the peer could not be understood.

use crate::tree::InvalidName;
use std::io;

/// What went wrong on the wire. All of them end the run: after a malformed frame nothing that follows can be
/// trusted.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Bytes that are no message.
    #[error("the peer sent a malformed {0}")]
    Malformed(&'static str),
    /// A name that could leave its directory, or is none.
    #[error("the peer sent an unusable name: {0}")]
    Name(#[from] InvalidName),
    /// A length beyond what this side accepts.
    #[error("the peer sent a {what} of {length}, more than the {limit} allowed")]
    TooLong {
        /// What was too long.
        what: &'static str,
        /// How long it claimed to be.
        length: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// Something printed before the protocol began.
    #[error("the remote shell printed text before dsync began to speak: {0:?}")]
    Noise(String),
    /// The stream ended where a message was due.
    #[error("the connection to the peer ended unexpectedly")]
    Ended,
    /// No protocol version both sides know.
    #[error(
        "this dsync speaks protocol {ours} and the peer (dsync {peer}) speaks {theirs}; install the same version on both hosts"
    )]
    Version {
        /// What this side speaks.
        ours: String,
        /// What the other side speaks.
        theirs: String,
        /// The peer's program version.
        peer: String,
    },
    /// The peer asks for something this version does not have.
    #[error(
        "the peer asks for an option (number {0}) that this version does not know; install the same version on both hosts"
    )]
    UnknownOption(u64),
    /// An option's value makes no sense.
    #[error("the peer sent an unusable option: {0}")]
    Option(String),
    /// More was sent than credit was given for.
    #[error("the peer sent more than it was allowed to")]
    Overrun,
    /// Compressed data that does not decompress.
    #[error("the peer sent data that does not decompress: {0}")]
    Compression(io::Error),
    /// The stream itself failed.
    #[error("the connection to the peer failed: {0}")]
    Io(#[from] io::Error),
    /// Nothing arrived for as long as `--timeout` allows.
    #[error("the peer sent nothing for {0} seconds")]
    Timeout(u32),
}
