//! Moves the messages of a link over a byte stream, which may have several channels: one thread that reads, one that
//! writes.
//!
//! The reading thread waits for the stream and, if a peer sends more than it has credit for or tells more than can be
//! shown, for the role to catch up, which itself waits for nobody. The writing thread takes whatever has gathered and
//! writes it in as few calls as it can.

use crate::request::Compression;
use crate::wire::channels::{ChannelSet, Dealer, Further, Gatherer, Halves, Spreader, Token, chosen};
use crate::wire::credit::WINDOWS;
use crate::wire::frame::{Compressed, FrameDecoder, FrameEncoder, HEADER};
use crate::wire::hello::Hello;
use crate::wire::link::{Link, Stopper};
use crate::wire::mailbox::{Mailbox, Taken};
use crate::wire::{Abort, AbortKind, Message, WireError};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, OnceLock, Weak};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the pump is told about the stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct PumpOptions {
    /// How content is compressed, if it is.
    pub compression: Option<Compression>,
    /// Bytes a second to write at most.
    pub bandwidth: Option<u64>,
    /// Seconds without a byte from the peer after which the link fails.
    pub timeout: Option<u32>,
    /// Whether the peer's hello is still to be read: the asking side does not wait for it before it sends.
    pub expects_hello: bool,
}

/// What crossed the stream.
#[derive(Debug, Default)]
pub struct Traffic {
    /// When the peer's hello had come, if it was to be read.
    pub begun: OnceLock<Instant>,
    /// Bytes written by this side.
    pub sent: AtomicU64,
    /// Bytes read by this side.
    pub received: AtomicU64,
    /// What of either was listings, which only one side sends, or what replicas say to each other.
    pub listed: AtomicU64,
    /// What of the bytes written was compressed content.
    pub sent_compressed: CompressedTraffic,
    /// What of the bytes read was compressed content.
    pub received_compressed: CompressedTraffic,
}

/// Bytes of content that crossed the stream compressed.
#[derive(Debug, Default)]
pub struct CompressedTraffic {
    from: AtomicU64,
    to: AtomicU64,
}

impl CompressedTraffic {
    fn add(&self, compressed: Compressed) {
        self.from.fetch_add(compressed.from, Ordering::Relaxed);
        self.to.fetch_add(compressed.to, Ordering::Relaxed);
    }

    /// What it has come to.
    pub fn read(&self) -> Compressed {
        Compressed { from: self.from.load(Ordering::Relaxed), to: self.to.load(Ordering::Relaxed) }
    }
}

/// The threads of a pump.
#[derive(Debug)]
pub struct Pump {
    writer: JoinHandle<()>,
    stopper: Stopper,
    traffic: Arc<Traffic>,
}

/// The far end of a link that has no stream yet. Until it gets one, what is sent gathers, as far as its credit goes.
/// Where it gets none, because this is dropped or [`connect`](Unconnected::connect) fails, the link is stopped.
#[derive(Debug)]
pub struct Unconnected {
    outbox: Arc<Mailbox<Message>>,
    inbox: Arc<Mailbox<Message>>,
    heard: Arc<Heard>,
    abandoned: Abandoned,
}

/// Tells a link, connected or not, that its peer is not silent: while somebody still makes the stream ready, the peer
/// has nothing to say.
#[derive(Debug, Clone)]
pub struct Signs(Weak<Heard>);

impl Signs {
    /// A sign of life has been seen.
    pub fn seen(&self) {
        if let Some(heard) = self.0.upgrade() {
            heard.now();
        }
    }
}

/// Stops a link that is given up before it is connected, be it by a panic: the role at its other end would wait for
/// ever.
#[derive(Debug)]
struct Abandoned {
    stopper: Stopper,
    connected: bool,
}

impl Drop for Abandoned {
    fn drop(&mut self) {
        if !self.connected {
            self.stopper.stop();
        }
    }
}

impl Unconnected {
    /// A new link.
    pub fn new() -> (Link, Unconnected) {
        let (outbox, inbox) = (Arc::new(Mailbox::new()), Arc::new(Mailbox::new()));
        let link = Link::new(outbox.clone(), inbox.clone(), WINDOWS);
        let abandoned = Abandoned { stopper: link.sender.stopper(), connected: false };
        let heard = Arc::new(Heard { since: Instant::now(), at: AtomicU64::new(0) });
        (link, Unconnected { outbox, inbox, heard, abandoned })
    }

    /// Tells the link of signs of life.
    pub fn signs(&self) -> Signs {
        Signs(Arc::downgrade(&self.heard))
    }

    /// Stops the link from another thread.
    pub fn stopper(&self) -> Stopper {
        self.abandoned.stopper.clone()
    }

    /// Connects the link to a stream, `reader` and `writer`. `greeting` is what is still to be written before the first
    /// frame. It is the writing thread that does so, since the peer may have much to say before it reads, or never
    /// read. `further` is where more channels come from while the stream runs.
    pub fn connect(
        self,
        reader: Box<dyn Read + Send>,
        writer: Box<dyn Write + Send>,
        greeting: Vec<u8>,
        options: PumpOptions,
        further: Further,
    ) -> io::Result<Pump> {
        let Unconnected { outbox, inbox, heard, mut abandoned } = self;
        let stopper = abandoned.stopper.clone();
        let traffic = Arc::new(Traffic::default());
        let (spreader, readers, writers) = Spreader::new(outbox.clone());
        // Before there was a stream, nothing could be heard.
        heard.now();
        {
            let reading = Reading {
                inbox,
                stopper: stopper.clone(),
                traffic: traffic.clone(),
                heard: heard.clone(),
                expects_hello: options.expects_hello,
                further,
                spreader: Some(spreader),
                readers,
            };
            let decoder = FrameDecoder::new()?;
            // Not joined: it may be inside a read that only the peer can end.
            thread::Builder::new().name("link reader".into()).spawn(move || reading.run(reader, decoder))?;
        }
        let timeout = options.timeout.filter(|&seconds| seconds > 0);
        if let Some(seconds) = timeout {
            let (heard, outbox, stopper) = (Arc::downgrade(&heard), outbox.clone(), stopper.clone());
            thread::Builder::new()
                .name("link timeout".into())
                .spawn(move || watch(&heard, &outbox, &stopper, seconds))?;
        }
        let writing = Writing {
            outbox,
            stopper: stopper.clone(),
            traffic: traffic.clone(),
            // A sign of life often enough that a few may be late.
            idle: timeout.map(|seconds| Duration::from_millis(u64::from(seconds) * 1000 / 4)),
            heard: Arc::downgrade(&heard),
            limiter: options.bandwidth.map(Limiter::new),
            encoder: FrameEncoder::new(options.compression)?,
            writers,
        };
        let writer = thread::Builder::new()
            .name("link writer".into())
            .spawn(move || writing.run(Dealer::new(writer), &greeting))?;
        abandoned.connected = true;
        Ok(Pump { writer, stopper, traffic })
    }
}

/// A new link, connected to a stream of one channel at once: see [`Unconnected::connect`].
pub fn start(
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
    greeting: Vec<u8>,
    options: PumpOptions,
) -> io::Result<(Link, Pump)> {
    let (link, unconnected) = Unconnected::new();
    Ok((link, unconnected.connect(reader, writer, greeting, options, Further::Never)?))
}

impl Pump {
    /// Waits until everything sent is written and the stream's writing half is closed. Close the sender first.
    pub fn finish(self) {
        // A panic in the writing thread has stopped the link already, which is all there is to know.
        let _ = self.writer.join();
    }

    /// Stops the link from another thread, and tells why it stopped.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Bytes moved so far.
    pub fn traffic(&self) -> Arc<Traffic> {
        self.traffic.clone()
    }
}

/// When the peer was last heard of.
#[derive(Debug)]
struct Heard {
    since: Instant,
    /// Milliseconds after `since`.
    at: AtomicU64,
}

impl Heard {
    fn now(&self) {
        self.at.store(u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn ago(&self) -> Duration {
        self.since.elapsed().saturating_sub(Duration::from_millis(self.at.load(Ordering::Relaxed)))
    }
}

/// Fails the link when nothing was heard for `seconds`, and says so, since the other way may still work. Ends with the
/// reading thread, which owns `heard`. It is a thread of its own because both others may be inside a call that only the
/// peer can end.
fn watch(heard: &Weak<Heard>, outbox: &Mailbox<Message>, stopper: &Stopper, seconds: u32) {
    let limit = Duration::from_secs(seconds.into());
    loop {
        let Some(left) = heard.upgrade().map(|heard| limit.saturating_sub(heard.ago())) else { return };
        if left.is_zero() {
            let error = WireError::Timeout(seconds);
            outbox.put(Message::Abort(Abort { text: error.to_string(), kind: AbortKind::Timeout }));
            return stopper.fail(error);
        }
        thread::sleep(left.min(Duration::from_millis(500)));
    }
}

/// How much may have been read and not yet looked at, in bytes: more than all windows together.
const UNREAD: u64 = 64 << 20;

struct Reading {
    inbox: Arc<Mailbox<Message>>,
    stopper: Stopper,
    traffic: Arc<Traffic>,
    heard: Arc<Heard>,
    expects_hello: bool,
    further: Further,
    /// Until it is needed.
    spreader: Option<Spreader>,
    readers: Receiver<Halves<dyn Read + Send>>,
}

impl Reading {
    fn run(mut self, reader: Box<dyn Read + Send>, mut decoder: FrameDecoder) {
        match self.frames(&mut Gatherer::new(reader), &mut decoder) {
            // The end of the stream is an error only if a role still waits for something, which it will notice.
            Ok(()) => self.inbox.close(),
            Err(error) => self.stopper.fail(error),
        }
    }

    fn frames(&mut self, reader: &mut Gatherer, decoder: &mut FrameDecoder) -> Result<(), WireError> {
        if self.expects_hello {
            let (_, taken) = Hello::read(reader)?;
            self.traffic.received.fetch_add(taken, Ordering::Relaxed);
            self.traffic.begun.get_or_init(Instant::now);
            self.heard.now();
        }
        let mut header = [0; HEADER];
        loop {
            match reader.read(&mut header[..1]) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            read_exact(reader, &mut header[1..])?;
            self.heard.now();
            let mut payload = vec![0; FrameDecoder::payload_len(header)?];
            for piece in payload.chunks_mut(64 << 10) {
                read_exact(reader, piece)?;
                self.heard.now();
            }
            self.traffic.received.fetch_add((HEADER + payload.len()) as u64, Ordering::Relaxed);
            let (mut invited, mut spreads) = (None, None);
            decoder.messages(header, payload, |message, size| match message {
                Message::Alive => {}
                Message::Invite(token) => invited = Some(token),
                Message::Spread(channels) => spreads = Some(channels),
                message => {
                    let weight = message.cost().saturating_add(size as u64);
                    self.inbox.put_within(UNREAD, weight, message);
                }
            })?;
            self.traffic.listed.fetch_add(decoder.take_listed(), Ordering::Relaxed);
            self.traffic.received_compressed.add(decoder.take_compressed());
            if let Some(token) = invited {
                self.invited(token)?;
            }
            if let Some(channels) = spreads {
                self.spread(reader, channels)?;
            }
        }
    }

    /// The peer has invited further channels.
    fn invited(&mut self, token: Token) -> Result<(), WireError> {
        match (std::mem::replace(&mut self.further, Further::Never), self.spreader.take()) {
            (Further::Invited(begin), Some(spreader)) => begin(token, spreader),
            _ => return Err(WireError::Malformed("invitation: nobody waits for one")),
        }
        Ok(())
    }

    /// What follows comes over these channels, too. The peer then does the same with what it sends.
    fn spread(&mut self, reader: &mut Gatherer, channels: ChannelSet) -> Result<(), WireError> {
        if let Further::Joined(joined) = std::mem::replace(&mut self.further, Further::Never)
            && let Some(spreader) = self.spreader.take()
        {
            spreader.spread(chosen(joined(), channels)?);
        }
        let readers = self.readers.try_recv();
        let readers = readers.map_err(|_| WireError::Malformed("choice of channels: none is due"))?;
        reader.spread(readers, channels)
    }
}

fn read_exact(reader: &mut impl Read, buffer: &mut [u8]) -> Result<(), WireError> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => WireError::Ended,
        _ => WireError::Io(error),
    })
}

struct Writing {
    outbox: Arc<Mailbox<Message>>,
    stopper: Stopper,
    traffic: Arc<Traffic>,
    idle: Option<Duration>,
    /// Gone when the reading thread has ended.
    heard: Weak<Heard>,
    limiter: Option<Limiter>,
    encoder: FrameEncoder,
    writers: Receiver<Halves<dyn Write + Send>>,
}

/// Frames gathered before they are handed to the stream together.
const GATHER: usize = 256 << 10;

/// How long messages that nobody waits for may wait for others.
const LINGER: Duration = Duration::from_millis(5);

/// How long a peer that takes nothing more may go on talking before that counts as a broken connection.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl Writing {
    fn run(mut self, mut writer: Dealer, greeting: &[u8]) {
        match self.write(greeting, &mut writer).and_then(|()| self.messages(&mut writer)) {
            Ok(()) => {}
            Err(WireError::Io(error)) => self.hear_out(error),
            Err(error) => self.stopper.fail(error),
        }
    }

    /// Nothing can be written any more. That is also how the end of a peer shows first, and why it ended (its reason,
    /// its version, the noise of its shell) is in what it said last; so the reading thread is left to find that, and
    /// the role to come to it. What the role says meanwhile goes nowhere, but it must not wait for room to say it.
    fn hear_out(self, error: io::Error) {
        let since = Instant::now();
        let mut unheard = VecDeque::new();
        while self.outbox.take(&mut unheard, Some(LAST_WORDS)) != Taken::Closed {
            unheard.clear();
            if since.elapsed() >= LAST_WORDS && self.heard.strong_count() > 0 {
                return self.stopper.fail(error.into());
            }
        }
    }

    fn messages(&mut self, writer: &mut Dealer) -> Result<(), WireError> {
        let mut batch = VecDeque::new();
        let mut buffer = Vec::new();
        loop {
            let begun = Instant::now();
            match self.outbox.take_lingering(&mut batch, self.idle, LINGER) {
                Taken::Closed => return Ok(writer.flush()?),
                Taken::Nothing => batch.push_back(Message::Alive),
                Taken::Some => {}
            }
            if self.stopper.was_short_of_credit() {
                let now = Instant::now();
                self.encoder.starved(now.duration_since(begun), now);
            }
            while !batch.is_empty() {
                if self.stopper.is_given_up() {
                    // Nobody wants the rest; only why is still to be heard.
                    batch.retain(|message| matches!(message, Message::Abort(_)));
                }
                buffer.clear();
                self.spread(writer)?;
                while !batch.is_empty() && buffer.len() < GATHER {
                    self.encoder.frame(&mut batch, &mut buffer)?;
                }
                let begun = Instant::now();
                self.write(&buffer, writer)?;
                let now = Instant::now();
                self.encoder.written(buffer.len(), now.duration_since(begun), now);
                self.traffic.listed.fetch_add(self.encoder.take_listed(), Ordering::Relaxed);
                self.traffic.sent_compressed.add(self.encoder.take_compressed());
            }
            writer.flush()?;
        }
    }

    /// Goes over to more channels if there are any, ahead of all that waits: over the old ones it might take long.
    fn spread(&mut self, writer: &mut Dealer) -> Result<(), WireError> {
        if let Ok(further) = self.writers.try_recv() {
            let (mut announced, mut buffer) = (VecDeque::from([Message::Spread(further.set)]), Vec::new());
            self.encoder.frame(&mut announced, &mut buffer)?;
            self.write(&buffer, writer)?;
            writer.spread(further);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8], writer: &mut Dealer) -> Result<(), WireError> {
        match &mut self.limiter {
            None => writer.write_all(bytes)?,
            Some(limiter) => limiter.write(bytes, writer)?,
        }
        self.traffic.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// A token bucket: writes small pieces, each no sooner than the rate allows.
struct Limiter {
    rate: u64,
    free_at: Instant,
}

impl Limiter {
    fn new(rate: u64) -> Limiter {
        Limiter { rate: rate.max(1), free_at: Instant::now() }
    }

    fn write(&mut self, data: &[u8], writer: &mut Dealer) -> io::Result<()> {
        // A tenth of a second's worth at a time keeps the line even without a call for every packet.
        let piece = usize::try_from(self.rate / 10).unwrap_or(usize::MAX).clamp(1024, 64 << 10);
        for piece in data.chunks(piece) {
            let now = Instant::now();
            thread::sleep(self.free_at.saturating_duration_since(now));
            writer.write_all(piece)?;
            writer.flush()?;
            let takes = Duration::from_secs_f64(piece.len() as f64 / self.rate as f64);
            self.free_at = self.free_at.max(now) + takes;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    #[test]
    fn a_panic_before_there_is_a_stream_stops_the_link() {
        let (link, unconnected) = Unconnected::new();
        assert!(!link.sender.is_stopped());
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _connecting = unconnected;
            resume_unwind(Box::new("a panic"))
        }));
        assert!(panicked.is_err());
        assert!(link.sender.is_stopped());
    }

    #[test]
    fn a_link_with_a_stream_goes_on() {
        let (link, unconnected) = Unconnected::new();
        let (here, _there) = UnixStream::pair().unwrap();
        let reader = Box::new(here.try_clone().unwrap());
        let _pump = unconnected
            .connect(reader, Box::new(here), Vec::new(), PumpOptions::default(), Further::Never)
            .unwrap();
        assert!(!link.sender.is_stopped());
    }
}
