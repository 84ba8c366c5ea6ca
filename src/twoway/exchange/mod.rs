//! What two replicas tell each other before and after a plan is carried out, over the link that then carries the
//! passes.
//!
//! The asking side, which makes the plan, speaks first at each turn, but where both have to say they are ready:
//!
//! ```text
//! planner                                    follower
//!   Rules (what stands for them) ----------->  only if directories may hold files of rules, or rules look at where
//!         <--------- SameRules, or RuleFiles   a tree is
//!   RuleFiles ------------------------------>  if they are not the same
//!   Meet (who, lineage heads) -------------->
//!         <--------------------------------- Meet, and what it remembers of the planner
//!   News (of generations) ------------------>  unless the heads are the same; then both meet once more
//!         <--------------------------------- News
//!   Compare (what) ------------------------->
//!         <--------------------------------- Alike (what is the same), if everything is compared by stretches
//!   Paths (what has changed here) ---------->
//!         <--------------------------------- Records (of all that has changed on either side)
//!   Read (a file in conflict) -------------->  only to show or merge it
//!   ReadReplaced (what both were made of) -->  only to merge it
//!         <--------------------------------- Content
//!   Settled, Joined, Tasks ----------------->  the plan, as far as it concerns the follower
//!         <------------- Undone ------------>  losers that could not be copied, if any are to be
//!         <------------- Ready ------------->  everything that needs no file is written down
//!   Lack (attributes of these paths) ------->  if the planner needs any; the follower then does the same
//!         <--------------------------------- Values
//!   ... passes ...
//!         <------------- Undone ------------>  what could not be done
//!         <------------- Done -------------->
//! ```
//!
//! To the link all that is opaque: parts of messages, which [`Conversation`] puts together. What a peer may make this
//! side hold is bounded by `MOST` for each message, and for what is gathered by what the tree itself has.

use crate::pass::PassError;
use crate::report::{Progress, Reporter, Totals};
use crate::tree::RelPath;
use crate::tree::filter::RuleFiles;
use crate::twoway::decide::Side;
use crate::twoway::facet::Facets;
use crate::twoway::guard::Census;
use crate::twoway::history::Partner;
use crate::twoway::lineage::{Heads, Lineages};
use crate::twoway::packed::{Batch, PackedTask, Packing, ToldValues};
use crate::twoway::run::{self, Stretches};
use crate::twoway::version::{Author, Version};
use crate::wire::{Closed, Link, Message, Received};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What one replica tells the other.
#[derive(Debug, Serialize, Deserialize)]
pub enum Talk {
    /// Who speaks, and what it knows of generations.
    Meet(Meet),
    /// Generations and forks that the other has not heard of.
    News(Lineages),
    /// What is going to be compared.
    Compare(Compare),
    /// Which of the planner's stretches of records the follower has, too; `None`: everything will be told.
    Alike(Option<run::Alike>),
    /// Paths that have changed at the planner, in order; the last ones or not.
    Paths(Batch<()>, bool),
    /// What the follower knows of all that changed on either side, in order; the last of it or not. A batch of records,
    /// which the planner keeps as it comes.
    Records(Vec<u8>, bool),
    /// The planner wants to see this file of the follower's, at most so many bytes of it.
    Read(RelPath, u64),
    /// A part of it; at the end whether that was all of it, unchanged. Or why it cannot be had.
    Content(Result<(Vec<u8>, Option<bool>), String>),
    /// The generation in which conflicts were settled.
    Settled(Lineages),
    /// Of which of the planner's stretches, in which the follower has the same under other versions, it joins the
    /// versions of all records, and has nothing else to do. Of these no tasks are told.
    Joined(Vec<bool>),
    /// What else the follower is to do, in order; with the last of it what else it needs to know.
    Tasks(Batch<PackedTask>, Option<Terms>),
    /// Nothing is to be done or remembered; or what was is only shown.
    Nothing,
    /// All that needs no file to be touched is written down; what is to come from the other side.
    Ready(Ready),
    /// Facets of these paths are needed; the last of them or not.
    Lack(Batch<Facets>, bool),
    /// What they are, as far as they can be had; the last of what was asked for together or not.
    Values(ToldValues, bool),
    /// What could not be done here; the last of it or not.
    Undone(Batch<()>, bool),
    /// This side has done what it could.
    Done(Done),
    /// What stands for the planner's files of rules.
    Rules([u8; 32]),
    /// The follower has the same.
    SameRules,
    /// Files of rules, as far as they fit in a message; the last of them or not.
    RuleFiles(RuleFiles, bool),
    /// The planner wants to see the file of this path that had absorbed exactly these edits, if it is in the follower's
    /// trash, at most so many bytes of it.
    ReadReplaced(RelPath, Version, u64),
}

/// Who meets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Meet {
    /// Who counts here.
    pub author: Author,
    /// What is known of generations.
    pub heads: Heads,
    /// How much there is here.
    pub census: Census,
    /// Which attributes that are not in the permission bits can be kept here.
    pub holds: Facets,
    /// How many problems the scan met here, all of which were told.
    pub problems: u64,
    /// Whether no run was ever carried out here.
    pub is_new: bool,
    /// Whether it was said of this side that it has lost its history.
    pub loss_told: bool,
    /// The planner's: how the follower is to name it.
    pub name: String,
    /// The follower's: whether it remembers a run with another replica of that name.
    pub remembers_another: bool,
    /// How many bytes may still be written here, if that is known.
    pub free: Option<u64>,
    /// The time of day, in nanoseconds since 1970.
    pub now: i64,
    /// The follower's last: what it remembers of the planner. `None` also if that is of no use any more.
    pub memory: Option<Partner>,
}

/// What is compared.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Compare {
    /// What has changed since the last run of the two.
    Changes,
    /// Everything but stretches of records that are the same on both sides. These are the planner's.
    Stretches(Stretches),
    /// Everything.
    Everything,
}

/// What holds for a whole plan.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Terms {
    /// Which side the follower is.
    pub side: Side,
    /// What both are to remember of this run.
    pub token: [u8; 16],
}

/// What a side needs from the other to do what it is to do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Ready {
    /// Whether files are to be fetched.
    pub fetches: bool,
    /// Whether attributes are needed.
    pub lacks: bool,
}

/// How a side ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Done {
    /// The number of the last change of a record here.
    pub sequence: u64,
    /// What was counted here.
    pub totals: Totals,
}

/// The peer said what makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Garbled(pub &'static str);

impl From<Garbled> for PassError {
    fn from(garbled: Garbled) -> PassError {
        PassError::Protocol(garbled.0)
    }
}

/// Bytes of a message in one part.
const PART: usize = 48 << 10;

/// The longest message accepted: the news of some million generations.
const MOST: usize = 16 << 20;

/// One end of a link while no pass has it.
pub struct Conversation<'l> {
    link: &'l mut Link,
    reporter: &'l dyn Reporter,
    progress: &'l Progress,
}

impl<'l> Conversation<'l> {
    /// Talks over `link`. What comes for the user meanwhile goes to `reporter` and `progress`.
    pub fn new(link: &'l mut Link, reporter: &'l dyn Reporter, progress: &'l Progress) -> Conversation<'l> {
        Conversation { link, reporter, progress }
    }

    /// Tells the other side, which has nothing long to say itself meanwhile.
    ///
    /// # Errors
    /// The link is closed.
    pub fn say(&mut self, talk: &Talk) -> Result<(), PassError> {
        let bytes = postcard::to_stdvec(talk).map_err(|_| PassError::Protocol("a message that cannot be"))?;
        let mut parts = bytes.chunks(PART).peekable();
        while let Some(part) = parts.next() {
            let more = u8::from(parts.peek().is_some());
            let part = Bytes::from([&[more], part].concat());
            while !self.link.sender.send_now(Message::Talk(part.clone()))? {
                self.link.receiver.book()?;
            }
        }
        Ok(())
    }

    /// Waits for what the other side says.
    ///
    /// # Errors
    /// It gives up, breaks the protocol, or is gone.
    pub fn hear(&mut self) -> Result<Talk, PassError> {
        const GARBLED: PassError = PassError::Protocol("what the other replica says cannot be read");
        let mut bytes = Vec::new();
        loop {
            let Received { message, permit: _permit } =
                self.link.receiver.receive().map_err(|Closed| PassError::Lost)?;
            match message {
                Message::Talk(part) => {
                    let (more, part) = part.split_first().ok_or(GARBLED)?;
                    bytes.extend_from_slice(part);
                    if bytes.len() > MOST {
                        return Err(GARBLED);
                    }
                    if *more == 0 {
                        return postcard::from_bytes(&bytes).map_err(|_| GARBLED);
                    }
                }
                Message::Event(event) => self.reporter.report(event),
                Message::Progress(reading) => {
                    self.progress.set_totals(&reading);
                    self.progress.set_done(&reading);
                }
                Message::Abort(abort) => return Err(PassError::Peer(abort)),
                Message::Alive | Message::Credit { .. } | Message::Invite(_) | Message::Spread(_) => {}
                _ => return Err(PassError::Protocol("a pass begins while replicas talk")),
            }
        }
    }

    /// The link, for a pass.
    pub fn link(&mut self) -> &mut Link {
        self.link
    }
}

/// Tells paths in batches.
///
/// # Errors
/// The link is closed.
pub fn say_paths(
    conversation: &mut Conversation<'_>,
    paths: impl IntoIterator<Item = RelPath>,
    as_talk: fn(Batch<()>, bool) -> Talk,
) -> Result<(), PassError> {
    let mut packing = Packing::default();
    for path in paths {
        packing.add(&path, ());
        if packing.is_full() {
            conversation.say(&as_talk(packing.take(), false))?;
        }
    }
    conversation.say(&as_talk(packing.take(), true))
}
