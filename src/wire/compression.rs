//! Decides, block after block, whether content is compressed. A block is the content of a frame.
//!
//! What does not become shorter is a waste of time for everybody. Where the line is what a run waits for, anything
//! shorter is a gain; where the line is fast, a compressor only stands in its way. So there are two questions. The
//! first is answered by the blocks compressed lately. The second compares the time that took with the time the line
//! would have needed for the bytes saved, and for that the line's speed has to be known.
//!
//! The speed of a line shows when its sender has to wait for it: writing then takes as long as the line does. What lies
//! between the two (sockets, the window of an SSH channel) takes megabytes at once first, so a line shows its speed
//! only after that, and never while less is sent than it takes. Compressed content may be less than it takes, so now
//! and then some has to go as it is for the line to show its speed again; but not while the sender waits for credit,
//! which means that something further on is slower than the compressor.
//!
//! Everything here is arithmetic over what [`FrameEncoder`](crate::wire::frame::FrameEncoder) measures or is told.

use crate::request::CompressWhen;
use std::time::{Duration, Instant};

/// After a block that did not pay, so many times its length is sent as it is before the next try, first the first, then
/// twice as many each time up to the second: data changes from one file to the next, but often not for a long time. It
/// is by length, as a few bytes say nothing of the megabytes behind them.
const REST: (u32, u32) = (4, 512);
/// A rest is over earlier when so many times the time has passed that the try took, as over a slow line.
const TRIES: u32 = 100;
/// How long the line is looked at before something is concluded.
const LOOK: Duration = Duration::from_millis(50);
/// How much time may go into compressing before the line has shown its speed. Until then it counts as slow, so that
/// what is soon sent, or comes in drops, travels compressed. It fills up what usually lies before a line.
const OPENING: Duration = Duration::from_millis(100);
/// How many bytes may be written at least before a speed once shown has to show again: many, in comparison with those
/// it takes for that.
const BELIEVED: u64 = 64 << 20;
/// The same, in what was written during the look that showed it.
const BELIEVED_LOOKS: u64 = 20;

/// What compressing a block came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Block {
    /// Bytes before.
    pub from: usize,
    /// Bytes after.
    pub to: usize,
    /// How long it took.
    pub took: Duration,
}

/// The decision about the next block.
#[derive(Debug)]
pub(crate) struct Choice {
    when: CompressWhen,
    /// The blocks compressed since the last rest, those further back counting ever less.
    lately: Block,
    rest: Option<Rest>,
    /// How many times the length of what was tried the last rest was meant for; none if the last block paid.
    last_rest: u32,
    line: Line,
}

/// A time of not compressing.
#[derive(Debug)]
struct Rest {
    /// Bytes before compression.
    bytes: u64,
    until: Instant,
}

/// How fast the line is.
#[derive(Debug)]
struct Line {
    /// Bytes a second; nothing until it has shown.
    speed: f64,
    /// What is left of [`OPENING`].
    opening: Duration,
    /// Bytes that may be written until the speed has to show again.
    believed: u64,
    /// The speed that the look before showed, if one did.
    before: Option<f64>,
    /// The look that is going on.
    look: Look,
}

/// What the sender did lately.
#[derive(Debug, Default)]
struct Look {
    since: Option<Instant>,
    /// Bytes written.
    bytes: u64,
    writing: Duration,
    compressing: Duration,
    /// Having nothing to write, as there was no credit.
    starving: Duration,
}

impl Choice {
    pub(crate) fn new(when: CompressWhen) -> Choice {
        let line = Line { speed: 0.0, opening: OPENING, believed: 0, before: None, look: Look::default() };
        Choice { when, lately: Block::default(), rest: None, last_rest: 0, line }
    }

    /// Whether to compress the next block, which has `len` bytes.
    pub(crate) fn compresses(&mut self, len: usize, now: Instant) -> bool {
        if let Some(rest) = self.rest.as_mut().filter(|rest| now < rest.until)
            && let Some(bytes) = rest.bytes.checked_sub(len as u64)
        {
            rest.bytes = bytes;
            return false;
        }
        self.rest = None;
        self.when == CompressWhen::Always || self.line.is_known()
    }

    /// Learns what compressing a block came to.
    pub(crate) fn compressed(&mut self, block: Block, now: Instant) {
        add(&mut self.line.look.compressing, block.took);
        self.lately = Block {
            from: (self.lately.from / 2).saturating_add(block.from),
            to: (self.lately.to / 2).saturating_add(block.to),
            took: (self.lately.took / 2).saturating_add(block.took),
        };
        if self.pays() {
            self.last_rest = 0;
        } else {
            let (first, longest) = REST;
            self.last_rest = self.last_rest.saturating_mul(2).clamp(first, longest);
            let until = now.checked_add(block.took.saturating_mul(TRIES));
            let bytes = (block.from as u64).saturating_mul(self.last_rest.into());
            self.rest = until.map(|until| Rest { bytes, until });
            self.lately = Block::default();
        }
    }

    fn pays(&self) -> bool {
        let Block { from, to, took } = self.lately;
        let saved = from.saturating_sub(to);
        // A twentieth is the least that is worth the trouble at the other end.
        saved.saturating_mul(20) >= from
            && (self.when == CompressWhen::Always || took.as_secs_f64() * self.line.speed < saved as f64)
    }

    /// Learns that the line took `bytes` and its sender was kept waiting for `took`, until `now`.
    pub(crate) fn written(&mut self, bytes: usize, took: Duration, now: Instant) {
        self.line.look.bytes = self.line.look.bytes.saturating_add(bytes as u64);
        add(&mut self.line.look.writing, took);
        self.line.conclude(now.checked_sub(took).unwrap_or(now), now);
    }

    /// Learns that there was nothing to write for so long, until `now`, because there was no credit to send it.
    pub(crate) fn starved(&mut self, took: Duration, now: Instant) {
        add(&mut self.line.look.starving, took);
        self.line.conclude(now.checked_sub(took).unwrap_or(now), now);
    }
}

impl Line {
    fn is_known(&self) -> bool {
        self.believed > 0 || !self.opening.is_zero()
    }

    /// Ends the look if it was long enough.
    fn conclude(&mut self, begun: Instant, now: Instant) {
        let since = *self.look.since.get_or_insert(begun);
        let looked = now.saturating_duration_since(since);
        if looked < LOOK {
            return;
        }
        let next = Look { since: Some(now), ..Look::default() };
        let Look { bytes, writing, compressing, starving, .. } = std::mem::replace(&mut self.look, next);
        let most = |time: Duration| time.saturating_mul(2) >= looked;
        if most(writing) {
            // The line goes on while its sender does something else, as that comes back before it has run dry.
            let speed = bytes as f64 / looked.as_secs_f64();
            // A single look may have seen a line, or a peer, that only stopped for a moment.
            if let Some(before) = self.before.replace(speed) {
                self.speed = speed.max(before);
                self.believed = bytes.saturating_mul(BELIEVED_LOOKS).max(BELIEVED);
                self.opening = Duration::ZERO;
            }
        } else {
            self.before = None;
            self.opening = self.opening.saturating_sub(compressing);
            if !most(writing.saturating_add(starving)) {
                self.believed = self.believed.saturating_sub(bytes);
            }
        }
    }
}

fn add(time: &mut Duration, more: Duration) {
    *time = time.saturating_add(more);
}

#[cfg(test)]
mod tests;
