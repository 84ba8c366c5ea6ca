//! The messages of a pass, and of what is said between passes.

use crate::delta::{BlockLen, Digest, SignatureHeader, StrongLen, Sum};
use crate::report::{Event, ProgressReading, Totals};
use crate::tree::{Acls, Asked, BucketSum, Buckets, Entry, Extra, Fingerprint, Meta, Owner};
use crate::wire::extra::{EntryCosts, acls_cost, tells};
use crate::wire::{ChannelSet, Fetch, Fetched, Rank, Token, WINDOWS};
use bytes::Bytes;
use filetime::FileTime;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A directory of the source, numbered by the source in the order of its listings. The root is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct DirId(pub u32);

/// A file whose content the sink asked for, numbered by the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct FileId(pub u32);

/// What one role tells the other.
#[derive(Debug, Clone)]
pub enum Message {
    /// Source: what the transfer root is. The first message of a pass.
    Begin(Begin),
    /// Source: entries of one directory.
    Listing(Listing),
    /// Source: a directory that is not listed unless the sink asks.
    Mention(Mention),
    /// Sink: list this mentioned directory.
    Expand(Expand),
    /// Source: every directory was listed or mentioned.
    Listed,
    /// Sink: send this file's content.
    Want(Want),
    /// Sink: block sums of a wanted file's basis, or of what its gaps name.
    Sums(SumsPart),
    /// Sink: has this file the content that sums to this?
    Check(Check),
    /// Source: the answer to a check.
    Verdict(Verdict),
    /// Sink: which content has this file?
    Identify(Identify),
    /// Source: the answer to that.
    Identified(Identified),
    /// Source: content of a wanted file.
    Content(Content),
    /// Sink: send these small files.
    Fetch(Fetch),
    /// Source: the next files of a batch.
    Fetched(Fetched),
    /// Sink: the content did not verify; send the segments that differ.
    Again(Again),
    /// Sink: this directory and all below it is settled; its listing may be forgotten.
    Close(DirId),
    /// Sink: an entry is here, so the source may remove its own (`--remove-source-files`).
    Confirm(Confirm),
    /// Either: something for the other side's reporter.
    Event(Event),
    /// Either: how far the run is.
    Progress(ProgressReading),
    /// Either: `bytes` of `rank` were handled and may be sent again.
    Credit {
        /// Which rank.
        rank: Rank,
        /// How much.
        bytes: u64,
    },
    /// Either: nothing to say, still here.
    Alive,
    /// The peer: further processes of it may join this connection, if they know this token.
    Invite(Token),
    /// Either, alone in its frame: what follows is dealt over the first channel and these.
    Spread(ChannelSet),
    /// Either: this role gives up.
    Abort(Abort),
    /// Sink, then source: this role is done.
    Finish(Totals),
    /// Either, outside of a pass: what two replicas say to each other, [`MAX_TALK`] bytes at most. What it means is
    /// theirs.
    Talk(Bytes),
}

/// Why a role gives up, told to the other side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abort {
    /// The reason, for people.
    pub text: String,
    /// Its class.
    pub kind: AbortKind,
}

/// The classes of reasons that the asking side's exit code tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AbortKind {
    /// Something this role needs could not be had.
    Failed,
    /// Sources and destination do not fit each other, or cannot be used.
    Selection,
    /// The other side broke the protocol.
    Protocol,
    /// Nothing came from the other side for too long.
    Timeout,
    /// A guard of a two-way run: nothing has been changed.
    Halted,
    /// What was asked for cannot be meant, as things are on this side.
    Usage,
    /// Another run has what this one needs: nothing has been changed, and it passes.
    InUse,
    /// Somebody stopped it.
    Interrupted,
}

/// What the transfer root is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// Whether nothing but directories' contents are sent, and there are none, or they cannot be read.
    pub bare: bool,
    /// The attributes of the root directory itself, where a source was named with its contents (`src/`).
    pub root: Option<Meta>,
    /// What else is told of it.
    pub extra: Option<Box<Extra>>,
    /// Whether the whole transfer is one entry that is no directory, so that the destination may be its new name.
    pub single: bool,
    /// Names of the owners in `root` and `extra`.
    pub owners: Vec<OwnerName>,
}

/// A part of one directory's listing. Entries are in strictly ascending order of names over all parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The directory.
    pub dir: DirId,
    /// Where it was listed: its parent and its place in the parent's entries. `None` for the root.
    pub parent: Option<(DirId, u32)>,
    /// Of a directory whose buckets were sent, those that are the same: their entries are not listed, but take their
    /// places all the same. Only in the first part, and empty if everything is listed.
    pub same: Buckets,
    /// How many entries of the directory are in these buckets.
    pub same_entries: u64,
    /// The entries of this part.
    pub entries: Vec<Entry>,
    /// Names of owners that were not sent before.
    pub owners: Vec<OwnerName>,
    /// What is told of names that were asked for, and of entries of this part.
    pub asked: Asked,
    /// Set in the last part of a directory.
    pub end: Option<ListingEnd>,
}

/// A directory instead of its listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// The directory.
    pub dir: DirId,
    /// Its parent and its place in the parent's entries, as in a listing. `None` for the root.
    pub parent: Option<(DirId, u32)>,
    /// What a sink finds in its own directory if no comparison would find anything to do. `None`: it has to ask.
    pub fingerprint: Option<Fingerprint>,
    /// The owners of its entries, each once, in the order in which they appear; the fingerprint says which of them each
    /// entry has.
    pub owned_by: Vec<Owner>,
    /// The ACLs of its entries, in the same way.
    pub acls: Vec<Arc<Acls>>,
    /// Names of owners that were not sent before.
    pub owners: Vec<OwnerName>,
}

/// A request for the listing of a mentioned directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expand {
    /// The directory.
    pub dir: DirId,
    /// Whether the directories below it are to be listed, too, without being asked for one by one: the sink has
    /// nothing there that could be the same.
    pub below: bool,
    /// The sums of the directory's buckets as the sink has them, so that what is the same is not listed. None: list
    /// everything.
    pub sums: Vec<BucketSum>,
}

/// How a directory's listing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListingEnd {
    /// It has everything: no read error here, and none anywhere before in this run. Only then may the sink take a
    /// missing name for an absent entry.
    Whole,
    /// It would, but something could not be read, here or before.
    Broken,
    /// It only has what was asked for by name, or what could be read.
    Part,
    /// The same, and something could not be read, here or before.
    BrokenPart,
}

/// Users or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OwnerKind {
    /// A user.
    User,
    /// A group.
    Group,
}

/// The name behind a number on the source's host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerName {
    /// User or group.
    pub kind: OwnerKind,
    /// The number entries carry.
    pub id: u32,
    /// The name it has.
    pub name: Box<[u8]>,
}

/// A request for the content of a listed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The number its content will carry.
    pub file: FileId,
    /// The directory it was listed in.
    pub dir: DirId,
    /// Its place in that directory's entries.
    pub index: u32,
    /// What is known of the sink's version; its sums follow. `None`: send everything.
    pub basis: Option<SignatureHeader>,
    /// Whether there may be gaps, for which the sink then sends finer sums. The segments of the file are then as long
    /// as the blocks of the basis.
    pub refine: bool,
    /// Without a basis: from where on it is wanted, in bytes. Length and file sum are then those of the rest.
    pub from: u64,
}

/// Block sums of a basis, in order; or of what the gaps of a round name, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SumsPart {
    /// The wanted file.
    pub file: FileId,
    /// Rolling sums.
    pub weak: Vec<u32>,
    /// Strong sums, packed at the width the header gave.
    pub strong: Bytes,
}

/// A question whether a listed file has the content the sink has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The number the verdict will carry.
    pub file: FileId,
    /// The directory it was listed in.
    pub dir: DirId,
    /// Its place in that directory's entries.
    pub index: u32,
    /// File sum of the sink's version.
    pub sum: Sum,
}

/// The answer to a [`Check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The number the check gave.
    pub file: FileId,
    /// Whether the contents agree.
    pub same: bool,
}

/// A question which content a listed file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identify {
    /// The number the answer will carry.
    pub file: FileId,
    /// The directory it was listed in.
    pub dir: DirId,
    /// Its place in that directory's entries.
    pub index: u32,
}

/// The answer to an [`Identify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identified {
    /// The number the question gave.
    pub file: FileId,
    /// The digest of the content, if it could be read.
    pub digest: Option<Digest>,
}

/// A part of a wanted file's content.
#[derive(Debug, Clone)]
pub struct Content {
    /// Which file.
    pub file: FileId,
    /// How to go on building it.
    pub ops: Vec<ContentOp>,
    /// With the end of a whole content: the extended attributes that the file has, if these are asked for.
    pub attached: Bytes,
    /// Set in the last part.
    pub end: Option<ContentEnd>,
    /// Whether trying to compress it is a waste of time. Not encoded.
    pub packed: bool,
}

/// One step of building a file.
#[derive(Debug, Clone)]
pub enum ContentOp {
    /// These bytes come next.
    Literal(Bytes),
    /// These bytes of the basis come next.
    Copy {
        /// Where in the basis.
        offset: u64,
        /// How many bytes, at least 1.
        len: u64,
    },
    /// The next bytes are told in the next round.
    Gap {
        /// How many they are, at least 1.
        len: u64,
        /// Where the range of the basis begins that may hold something like them.
        offset: u64,
        /// How many bytes that has, at least 1.
        basis_len: u64,
    },
    /// These bytes replace what was built there before (an answer to [`Again`]).
    Rewrite {
        /// Where in the file.
        offset: u64,
        /// The bytes.
        data: Bytes,
    },
    /// The whole content is in this open file. Only between two roles of one process; never encoded.
    File(Arc<OwnedFd>),
}

/// How a content ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentEnd {
    /// Complete.
    Complete {
        /// Length of the file in bytes.
        len: u64,
        /// Its file sum.
        sum: Sum,
    },
    /// The round is over; the gaps it left are told once their finer sums have come.
    Round {
        /// The length of the blocks these are to be of.
        block_len: BlockLen,
        /// How many bytes of each strong sum are to be sent.
        strong_len: StrongLen,
    },
    /// The source could not read it (and said so in an event); nothing is to be installed.
    Unreadable,
    /// Complete by [`ContentOp::File`]: there is nothing to verify against but the file itself.
    Local,
}

/// A request to send what does not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Again {
    /// The number its content will carry, as before.
    pub file: FileId,
    /// The directory it was listed in.
    pub dir: DirId,
    /// Its place in that directory's entries.
    pub index: u32,
    /// How long its segments are.
    pub segment_len: BlockLen,
    /// Sums of the segments the sink has built, in order.
    pub segments: Vec<Sum>,
}

/// An entry that is here as it was listed, and stays, if the run is asked to remove it at the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confirm {
    /// The directory it was listed in.
    pub dir: DirId,
    /// Its place in that directory's entries.
    pub index: u32,
    /// What was found here, which must not be the source's own.
    pub there: FileThere,
}

/// Which file was found at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileThere {
    /// Its inode.
    pub ino: u64,
    /// When it last changed.
    pub ctime: FileTime,
}

/// The most bytes in one [`Message::Talk`]: what is gathered to 64 KiB and ends with something longer than most.
pub const MAX_TALK: u64 = 80 << 10;

/// What holding a message costs besides its variable parts, in bytes: at least its size, and a little for its permit.
pub const MESSAGE_COST: u64 = 256;
/// What an operation costs besides its data.
const OP: u64 = 64;
/// What a file of a batch costs besides its data.
const FETCHED: u64 = 32;
/// What an owner costs besides its name.
const OWNER: u64 = 64;
/// What an entry costs besides its name, target and extra.
const ENTRY: u64 = 128;
/// What its extra costs besides ACLs.
const EXTRA: u64 = 128;

/// The most operations in one message: as many as its window has credit for.
pub(crate) const MAX_OPS: u64 = WINDOWS.content as u64 / OP;
/// The most owners that a mention tells of: a directory with more is listed.
pub const MENTIONED_OWNERS: usize = 16;
/// The most ACLs that a mention tells of: a directory with more is listed.
pub const MENTIONED_ACLS: usize = 16;
/// The most owners in one message.
pub(crate) const MAX_OWNERS: u64 = WINDOWS.listing as u64 / OWNER;
/// The most entries in one message.
pub(crate) const MAX_ENTRIES: u64 = WINDOWS.listing as u64 / ENTRY;

impl Message {
    /// The rank whose credit it spends.
    pub fn rank(&self) -> Rank {
        match self {
            Message::Begin(_)
            | Message::Listing(_)
            | Message::Mention(_)
            | Message::Listed
            | Message::Talk(_) => Rank::Listing,
            Message::Want(_)
            | Message::Sums(_)
            | Message::Check(_)
            | Message::Identify(_)
            | Message::Expand(_)
            | Message::Fetch(_) => Rank::Want,
            Message::Verdict(_) | Message::Identified(_) | Message::Content(_) | Message::Fetched(_) => {
                Rank::Content
            }
            Message::Again(_) => Rank::Again,
            Message::Close(_)
            | Message::Confirm(_)
            | Message::Event(_)
            | Message::Progress(_)
            | Message::Credit { .. }
            | Message::Alive
            | Message::Invite(_)
            | Message::Spread(_)
            | Message::Abort(_)
            | Message::Finish(_) => Rank::Settled,
        }
    }

    /// The credit it spends: about the memory that holding it takes, in bytes. Both ends compute the same.
    pub fn cost(&self) -> u64 {
        let variable = match self {
            Message::Begin(begin) => {
                let acls = begin.extra.as_ref().and_then(|extra| extra.acls.as_ref());
                owners_cost(&begin.owners) + acls.map_or(0, |acls| acls_cost(acls))
            }
            Message::Listing(listing) => {
                EntryCosts::of(&listing.entries)
                    + owners_cost(&listing.owners)
                    + listing.same.as_bytes().len() as u64
                    + asked_cost(&listing.asked)
            }
            Message::Mention(mention) => {
                size_of_val(mention.owned_by.as_slice()) as u64
                    + mention.acls.iter().map(|acls| acls_cost(acls)).sum::<u64>()
                    + owners_cost(&mention.owners)
            }
            Message::Expand(expand) => size_of_val(expand.sums.as_slice()) as u64,
            Message::Sums(part) => 4 * part.weak.len() as u64 + part.strong.len() as u64,
            Message::Content(content) => {
                let ops = content.ops.iter().map(|op| match op {
                    ContentOp::Literal(data) | ContentOp::Rewrite { data, .. } => OP + data.len() as u64,
                    ContentOp::Copy { .. } | ContentOp::Gap { .. } | ContentOp::File(_) => OP,
                });
                ops.sum::<u64>() + content.attached.len() as u64
            }
            Message::Fetch(fetch) => 4 * fetch.indices.len() as u64,
            Message::Fetched(fetched) => FETCHED * fetched.files.len() as u64 + fetched.data.len() as u64,
            Message::Again(again) => 16 * again.segments.len() as u64,
            Message::Talk(talk) => talk.len() as u64,
            _ => 0,
        };
        MESSAGE_COST + variable
    }
}

fn owners_cost(owners: &[OwnerName]) -> u64 {
    owners.iter().map(|owner| OWNER + owner.name.len() as u64).sum()
}

/// What holding what is told of names costs, in bytes.
pub(crate) fn asked_cost(asked: &Asked) -> u64 {
    let paths = asked.absent.iter().map(|path| path.as_bytes().len());
    let names = asked.implied.iter().map(|name| name.as_bytes().len());
    paths.chain(names).map(|len| OWNER + len as u64).sum()
}

/// What holding an entry costs, in bytes, besides its ACLs.
pub(crate) fn entry_cost(entry: &Entry) -> u64 {
    let target = match &entry.node {
        crate::tree::Node::Symlink { target } => target.len() as u64,
        _ => 0,
    };
    let extra = if entry.extra.as_deref().is_some_and(tells) { EXTRA } else { 0 };
    ENTRY + entry.name.as_bytes().len() as u64 + target + extra
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::FetchedFile;

    #[test]
    fn nothing_that_is_held_is_larger_than_what_is_paid_for_it() {
        for (name, size, cost) in [
            ("message", size_of::<Message>(), MESSAGE_COST),
            ("operation", size_of::<ContentOp>(), OP),
            ("file of a batch", size_of::<FetchedFile>(), FETCHED),
            ("owner", size_of::<OwnerName>(), OWNER),
            ("entry", size_of::<Entry>(), ENTRY),
            ("extra", size_of::<Extra>(), EXTRA),
        ] {
            assert!(size as u64 <= cost, "holding one {name} takes {size} bytes and costs {cost}");
        }
    }
}
