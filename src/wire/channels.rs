//! The channels of a connection, one or several: how a stream of bytes is dealt over them, and how they come together.
//!
//! A long path is faster with several channels, since an SSH server grants each no more than a fixed amount per round
//! trip. They carry one stream of bytes each way, dealt in *turns*: so many bytes go to the first channel, as many to
//! the next, and after the last it is the first one's turn again. Both ends count alike, so what arrives needs no
//! number to be put in order and no memory while it is out of order: early bytes wait in their channel, whose own
//! window bounds them. Above this, frames and messages know nothing of channels. The price is that the slowest
//! channel sets the pace; but they share one path, and turns are so short that each gets the same load.
//!
//! A connection begins with one channel, and loses no time over the others. The peer sends an invitation, the asking
//! side starts further processes of it, each with a channel of its own, and when those have joined (see
//! [`transport::meeting`](crate::transport::meeting)), each side says in a last message over the old channels from
//! where on its bytes are dealt over all of them.

use crate::request::MAX_STREAMS;
use crate::wire::mailbox::Mailbox;
use crate::wire::{Message, WireError};
use std::io::{self, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

/// Bytes that go over a channel before it is the next one's turn. Part of the protocol.
pub(crate) const TURN: usize = 64 << 10;

/// What is read of a channel at once where less is asked for.
const READ_AHEAD: usize = 64 << 10;

/// The bytes of an invitation that tell the invited from everybody else.
pub type Token = [u8; 16];

/// A channel beside the first.
pub struct Channel {
    /// Its number, from 1, chosen by the asking side. The first channel is number 0.
    pub number: u8,
    /// What the other side writes.
    pub reader: Box<dyn Read + Send>,
    /// What the other side reads.
    pub writer: Box<dyn Write + Send>,
}

/// Where a connection's further channels come from.
pub enum Further {
    /// It has none.
    Never,
    /// The asking side. Called when the peer invites, from the thread that reads, which must not be kept waiting.
    Invited(Box<dyn FnOnce(Token, Spreader) + Send>),
    /// The peer. Called once the asking side is done with joining; returns all channels that joined.
    Joined(Box<dyn FnOnce() -> Vec<Channel> + Send>),
}

/// Lets a connection that runs go on over more channels.
#[derive(Debug)]
pub struct Spreader {
    outbox: Arc<Mailbox<Message>>,
    readers: Sender<Halves<dyn Read + Send>>,
    writers: Sender<Halves<dyn Write + Send>>,
}

/// The halves of further channels that one thread of a pump uses, in the order of their numbers.
pub(crate) struct Halves<T: ?Sized> {
    /// Which they are, as it is announced.
    pub(crate) set: ChannelSet,
    halves: Vec<Box<T>>,
}

/// Which of the further channels, a bit each. Told by the peer, so it may name some that are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChannelSet(pub u8);

impl ChannelSet {
    /// Whether it has the channel with this number, which is none if there can be no such channel.
    pub fn has(self, number: u8) -> bool {
        (1..MAX_STREAMS).contains(&number) && self.0 & 1 << number != 0
    }

    fn with(self, number: u8) -> ChannelSet {
        ChannelSet(self.0 | 1_u8.checked_shl(number.into()).unwrap_or(0))
    }
}

/// Where the thread that reads finds its halves of the channels.
pub(crate) type Readers = Receiver<Halves<dyn Read + Send>>;
/// Where the thread that writes finds its halves.
pub(crate) type Writers = Receiver<Halves<dyn Write + Send>>;

impl Spreader {
    /// A spreader for the pump that takes messages out of `outbox`, and where its threads find the channels.
    pub(crate) fn new(outbox: Arc<Mailbox<Message>>) -> (Spreader, Readers, Writers) {
        let ((readers, reading), (writers, writing)) = (mpsc::channel(), mpsc::channel());
        (Spreader { outbox, readers, writers }, reading, writing)
    }

    /// Deals what is sent from now on over these channels too, and what is received once the other side does so. None
    /// changes nothing, but tells the other side that there will be none.
    pub fn spread(self, mut channels: Vec<Channel>) {
        channels.sort_by_key(|channel| channel.number);
        let set = channels.iter().fold(ChannelSet::default(), |set, channel| set.with(channel.number));
        let (readers, writers) = channels.into_iter().map(|channel| (channel.reader, channel.writer)).unzip();
        // Where these are not taken the run has ended, and the channels end with it.
        let _ = self.readers.send(Halves { set, halves: readers });
        let _ = self.writers.send(Halves { set, halves: writers });
        // The thread that writes looks for them before each frame. It may be waiting for something to say.
        self.outbox.put(Message::Alive);
    }
}

/// The peer's answer to the asking side's choice among the channels that joined.
pub(crate) fn chosen(joined: Vec<Channel>, set: ChannelSet) -> Result<Vec<Channel>, WireError> {
    let mut chosen: Vec<Channel> = joined.into_iter().filter(|channel| set.has(channel.number)).collect();
    chosen.sort_by_key(|channel| channel.number);
    chosen.dedup_by_key(|channel| channel.number);
    let there = chosen.iter().fold(ChannelSet::default(), |set, channel| set.with(channel.number));
    if there == set {
        Ok(chosen)
    } else {
        Err(WireError::Malformed("choice of channels: some are not there"))
    }
}

/// Whose turn it is among so many channels.
#[derive(Debug, Clone, Copy)]
struct Turn {
    channels: usize,
    at: usize,
    left: usize,
}

impl Turn {
    /// The first channel's first turn.
    fn among(channels: usize) -> Turn {
        Turn { channels, at: 0, left: TURN }
    }

    /// How many of the next `length` bytes belong to the channel at `at`. One alone has them all.
    fn share(&self, length: usize) -> usize {
        if self.channels > 1 { length.min(self.left) } else { length }
    }

    /// Counts bytes that were moved, as many as its share at most.
    fn moved(&mut self, count: usize) {
        if self.channels > 1 {
            self.left = self.left.saturating_sub(count);
            if self.left == 0 {
                *self = Turn { at: (self.at + 1) % self.channels, ..Turn::among(self.channels) };
            }
        }
    }
}

/// Writes a stream over channels in turns.
pub(crate) struct Dealer {
    channels: Vec<Box<dyn Write + Send>>,
    turn: Turn,
}

impl Dealer {
    /// Over one channel.
    pub(crate) fn new(first: Box<dyn Write + Send>) -> Dealer {
        Dealer { channels: vec![first], turn: Turn::among(1) }
    }

    /// From here on over these, too. Begins with the first channel's turn.
    pub(crate) fn spread(&mut self, further: Halves<dyn Write + Send>) {
        self.channels.extend(further.halves);
        self.turn = Turn::among(self.channels.len());
    }
}

impl Write for Dealer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let share = bytes.get(..self.turn.share(bytes.len())).unwrap_or(bytes);
        let Some(channel) = self.channels.get_mut(self.turn.at) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let count = channel.write(share)?;
        self.turn.moved(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.channels.iter_mut().try_for_each(|channel| channel.flush())
    }
}

/// Reads a stream from channels in turns. It ends when the channel ends whose turn it is.
pub(crate) struct Gatherer {
    channels: Vec<BufReader<Box<dyn Read + Send>>>,
    turn: Turn,
}

impl Gatherer {
    /// From one channel.
    pub(crate) fn new(first: Box<dyn Read + Send>) -> Gatherer {
        Gatherer { channels: vec![BufReader::with_capacity(READ_AHEAD, first)], turn: Turn::among(1) }
    }

    /// From here on from these, too: those that `announced` names, which is what the other side said. Begins with the
    /// first channel's turn.
    pub(crate) fn spread(
        &mut self,
        further: Halves<dyn Read + Send>,
        announced: ChannelSet,
    ) -> Result<(), WireError> {
        if further.set != announced {
            return Err(WireError::Malformed("choice of channels: it is not the one that was made"));
        }
        let buffered = |half| BufReader::with_capacity(READ_AHEAD, half);
        self.channels.extend(further.halves.into_iter().map(buffered));
        self.turn = Turn::among(self.channels.len());
        Ok(())
    }
}

impl Read for Gatherer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let share = self.turn.share(buffer.len());
        let (Some(share), Some(channel)) = (buffer.get_mut(..share), self.channels.get_mut(self.turn.at))
        else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let count = channel.read(share)?;
        self.turn.moved(count);
        Ok(count)
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("number", &self.number).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Further {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Further::Never => "Never",
            Further::Invited(_) => "Invited",
            Further::Joined(_) => "Joined",
        })
    }
}
