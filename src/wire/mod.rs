//! How the two roles of a pass talk: typed messages over a link.
//!
//! A [`link`] is two mailboxes, one each way, with a byte credit per [`Rank`] of message. Between two local paths
//! that is all there is. Over a byte stream, [`pump`] moves the same messages: it encodes them (`codec`) into
//! frames ([`frame`]) and back, after the greeting ([`hello`]) in which the asking side says what it wants. Nothing
//! here knows what a message is good for; `pass` gives them their meaning.
//!
//! [`pump`], [`hello`] and [`channels`] alone touch a stream. Everything decoded is checked before it is allocated for
//! or handed on.

mod attached;
mod batch;
pub mod channels;
mod codec;
mod compression;
mod credit;
mod entry;
mod error;
mod extra;
pub mod frame;
pub mod hello;
pub mod link;
mod listing;
mod mailbox;
mod message;
pub mod pump;
mod request;

#[cfg(test)]
mod tests;

pub(crate) use attached::{decode as decode_attached, encode as encode_attached};
pub use batch::{BATCH_FILES, BatchId, Fetch, FetchWhat, Fetched, FetchedFile};
pub use channels::{ChannelSet, Token};
pub use credit::{OPEN_GAPS, Rank, WINDOWS, Windows};
pub(crate) use entry::{told_entry, untold_entry};
pub use error::WireError;
pub(crate) use extra::EntryCosts;
pub use link::{Closed, Link, Permit, Received, Receiver, Reservation, Sender, Stopper};
pub(crate) use message::asked_cost;
pub use message::{
    Abort, AbortKind, Again, Begin, Check, Confirm, Content, ContentEnd, ContentOp, DirId, Expand, FileId,
    FileThere, Identified, Identify, Listing, ListingEnd, MAX_TALK, MENTIONED_ACLS, MENTIONED_OWNERS,
    MESSAGE_COST, Mention, Message, OwnerKind, OwnerName, SumsPart, Verdict, Want,
};
