//! A role's end of the connection to the other role.
//!
//! [`Sender`] can be cloned to every thread that has something to say; it waits for credit. [`Receiver`] belongs to
//! the one thread that reads; it never waits for anything but messages. A received message comes with a [`Permit`]
//! that holds its credit: dropping the permit, when the message has been dealt with, lets the peer send more.

use crate::wire::credit::{Rank, WINDOWS, Windows};
use crate::wire::mailbox::{Mailbox, Taken};
use crate::wire::{Abort, AbortKind, Message, WireError};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The link is closed: the peer is gone or the run was stopped. `Link::failure` tells why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link to the peer is closed")]
pub struct Closed;

/// Messages that may wait to be sent before one without a cost waits too.
const FREE_WAITING: usize = 8192;

/// Both halves of one end.
#[derive(Debug)]
pub struct Link {
    /// The half that sends.
    pub sender: Sender,
    /// The half that receives.
    pub receiver: Receiver,
}

/// Sends. Clones share the credit.
#[derive(Debug, Clone)]
pub struct Sender {
    end: Arc<End>,
    retired: Arc<AtomicBool>,
}

/// Receives.
#[derive(Debug)]
pub struct Receiver {
    end: Arc<End>,
    batch: VecDeque<Message>,
}

/// Stops a link from outside; see [`Sender::stopper`].
#[derive(Debug, Clone)]
pub struct Stopper {
    end: Arc<End>,
}

#[derive(Debug)]
struct End {
    outbox: Arc<Mailbox<Message>>,
    inbox: Arc<Mailbox<Message>>,
    windows: Windows,
    /// What may still be sent, by rank.
    credit: Mutex<Credit>,
    more_credit: Condvar,
    /// What was received and is held, and what was dealt with but not yet given back.
    held: Mutex<[Held; 4]>,
    failure: Mutex<Option<WireError>>,
    given_up: AtomicBool,
}

#[derive(Debug)]
struct Credit {
    left: [u64; 4],
    open: bool,
    /// How many senders wait; waking none would cost a system call for nothing.
    waiting: usize,
    /// Whether content had to wait since that was last asked.
    was_short: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held {
    holding: u64,
    returning: u64,
}

/// A message with the credit it holds.
#[derive(Debug)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// Drop it when the message has been dealt with.
    pub permit: Permit,
}

/// The credit a received message holds until it is dropped.
#[derive(Debug)]
pub struct Permit {
    end: Option<Arc<End>>,
    rank: Rank,
    cost: u64,
}

/// Credit set aside for messages to come. What is not spent goes back when it is dropped.
#[derive(Debug)]
pub struct Reservation {
    end: Arc<End>,
    rank: Rank,
    left: u64,
}

impl Link {
    /// Two ends in one process, connected to each other.
    pub fn pair() -> (Link, Link) {
        Link::pair_with(WINDOWS)
    }

    /// The same with windows of one's own.
    pub fn pair_with(windows: Windows) -> (Link, Link) {
        let (there, back) = (Arc::new(Mailbox::new()), Arc::new(Mailbox::new()));
        (Link::new(there.clone(), back.clone(), windows), Link::new(back, there, windows))
    }

    pub(crate) fn new(outbox: Arc<Mailbox<Message>>, inbox: Arc<Mailbox<Message>>, windows: Windows) -> Link {
        let left = Rank::CREDITED.map(|rank| windows.of(rank));
        let end = Arc::new(End {
            outbox,
            inbox,
            windows,
            credit: Mutex::new(Credit { left, open: true, waiting: 0, was_short: false }),
            more_credit: Condvar::new(),
            held: Mutex::new([Held::default(); 4]),
            failure: Mutex::new(None),
            given_up: AtomicBool::new(false),
        });
        let sender = Sender { end: end.clone(), retired: Arc::default() };
        Link { sender, receiver: Receiver { end, batch: VecDeque::new() } }
    }
}

impl Sender {
    /// Sends a message, waiting for credit first.
    pub fn send(&self, message: Message) -> Result<(), Closed> {
        self.spend(message.rank(), self.end.cost_of(&message))?;
        self.put(message)
    }

    /// Sends a message if there is credit for it now. Returns whether it was sent.
    pub fn send_now(&self, message: Message) -> Result<bool, Closed> {
        let cost = self.end.cost_of(&message);
        if self.is_retired() {
            return Err(Closed);
        }
        if !lock(&self.end.credit).take(message.rank(), cost)? {
            return Ok(false);
        }
        self.put(message).map(|()| true)
    }

    /// Sets credit aside for several messages of one rank, all or nothing, so that sending them cannot get stuck
    /// half-way. Asking for more than can ever be had is cut to that.
    pub fn reserve(&self, rank: Rank, bytes: u64) -> Result<Reservation, Closed> {
        let bytes = bytes.min(self.end.windows.most(rank));
        self.spend(rank, bytes)?;
        Ok(Reservation { end: self.end.clone(), rank, left: bytes })
    }

    /// Sends a message on credit set aside before; what the reservation does not cover is waited for.
    pub fn send_reserved(&self, message: Message, reservation: &mut Reservation) -> Result<(), Closed> {
        let cost = self.end.cost_of(&message);
        let covered = cost.min(reservation.left);
        reservation.left -= covered;
        self.spend(message.rank(), cost - covered)?;
        self.put(message)
    }

    /// Whether this end was stopped, or this sender retired, so that nobody waits for what is still being done.
    pub fn is_stopped(&self) -> bool {
        self.is_retired() || !lock(&self.end.credit).open
    }

    /// Whether this side stopped the link because nobody wants the run any more; see [`Stopper::give_up`].
    pub fn is_given_up(&self) -> bool {
        self.end.given_up.load(Ordering::Acquire)
    }

    /// A sender to the same peer, with the same credit, that can be retired by itself: for what ends before the link.
    pub fn for_a_while(&self) -> Sender {
        Sender { end: self.end.clone(), retired: Arc::default() }
    }

    /// Lets nobody wait for credit here any more: whoever does, or has anything else to say through this sender or a
    /// clone of it, gets [`Closed`]. The link goes on.
    pub fn retire(&self) {
        // Under the lock, or whoever is about to wait would miss it.
        let _credit = lock(&self.end.credit);
        self.retired.store(true, Ordering::Release);
        self.end.more_credit.notify_all();
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// A handle that stops this end.
    pub fn stopper(&self) -> Stopper {
        Stopper { end: self.end.clone() }
    }

    /// Says that nothing more will be sent. What was sent still arrives.
    pub fn close(&self) {
        self.end.outbox.close();
    }

    /// Waits for credit and spends it.
    fn spend(&self, rank: Rank, cost: u64) -> Result<(), Closed> {
        let mut credit = lock(&self.end.credit);
        while !self.is_retired() && !credit.take(rank, cost)? {
            credit.was_short |= rank == Rank::Content;
            credit.waiting += 1;
            credit = self.end.more_credit.wait(credit).unwrap_or_else(PoisonError::into_inner);
            credit.waiting -= 1;
        }
        if self.is_retired() { Err(Closed) } else { Ok(()) }
    }

    fn put(&self, message: Message) -> Result<(), Closed> {
        let put = match message {
            // These cost no credit, since the reader at the other end deals with them at once; but a slow line, or a
            // peer that does not read, must not make them pile up here. They are sent by threads that work, never by
            // the one that receives, so both ends go on reading while these wait, and room comes.
            Message::Event(_) | Message::Close(_) | Message::Confirm(_) | Message::Progress(_) => {
                self.end.outbox.put_below(FREE_WAITING, message)
            }
            // The walk is far ahead of the comparison anyway.
            Message::Mention(_) => self.end.outbox.put_idly(message),
            // What the receiving thread may say (why it gives up, that it is done) must not wait for the line, and is
            // said once.
            message => self.end.outbox.put(message),
        };
        if put { Ok(()) } else { Err(Closed) }
    }
}

impl Receiver {
    /// Waits for something to come and books the credit in it; the rest is kept for [`receive`](Receiver::receive). For
    /// who has something to send and nobody else to receive meanwhile: what the peer sends does not gain it any credit
    /// as long as it is kept, so only one of the two may have more to say than there is credit for.
    pub fn book(&mut self) -> Result<(), Closed> {
        let Receiver { end, batch } = self;
        if let Taken::Closed = end.inbox.take(batch, None) {
            end.stop(None);
            return Err(Closed);
        }
        batch.retain(|message| match message {
            Message::Credit { rank, bytes } => {
                end.gain(*rank, *bytes);
                false
            }
            _ => true,
        });
        Ok(())
    }

    /// The next message. Credit is booked here and not shown.
    pub fn receive(&mut self) -> Result<Received, Closed> {
        loop {
            while let Some(message) = self.batch.pop_front() {
                if let Message::Credit { rank, bytes } = message {
                    self.end.gain(rank, bytes);
                    continue;
                }
                let permit = self.end.hold(&message).map_err(|error| {
                    self.end.stop(Some(error));
                    Closed
                })?;
                return Ok(Received { message, permit });
            }
            match self.end.inbox.take(&mut self.batch, None) {
                Taken::Some | Taken::Nothing => {}
                Taken::Closed => {
                    self.end.stop(None);
                    return Err(Closed);
                }
            }
        }
    }
}

impl Stopper {
    /// Stops this end: every thread that waits on it gets [`Closed`].
    pub fn stop(&self) {
        self.end.stop(None);
    }

    /// Stops it because nobody wants the run any more. The other side hears of it if there is a line to say so, and
    /// so can tell it from a line that broke.
    pub fn give_up(&self, why: &str) {
        self.end.given_up.store(true, Ordering::Release);
        self.end
            .outbox
            .put_alone(Message::Abort(Abort { text: why.to_owned(), kind: AbortKind::Interrupted }));
        self.stop();
    }

    /// Whether it was given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.end.given_up.load(Ordering::Acquire)
    }

    /// Stops it for a reason, which [`Stopper::failure`] returns from then on; the first reason stays.
    pub fn fail(&self, error: WireError) {
        self.end.stop(Some(error));
    }

    /// Whether content had to wait for credit since this was last asked.
    pub(crate) fn was_short_of_credit(&self) -> bool {
        std::mem::take(&mut lock(&self.end.credit).was_short)
    }

    /// Takes the reason for which the link stopped, if it was a failure.
    pub fn failure(&self) -> Option<WireError> {
        lock(&self.end.failure).take()
    }
}

impl End {
    /// The credit a message takes, here as at the other end: what is spent is what is given back, or credit would leak.
    /// A message dearer than the sender is ever sure to have would wait for ever; it goes when nothing else of its rank
    /// is under way.
    fn cost_of(&self, message: &Message) -> u64 {
        message.cost().min(self.windows.most(message.rank()))
    }

    fn gain(&self, rank: Rank, bytes: u64) {
        let Some(place) = rank.credited() else { return };
        let mut credit = lock(&self.credit);
        if let Some(left) = credit.left.get_mut(place) {
            // A peer cannot grant more than the window, whatever it says.
            *left = left.saturating_add(bytes).min(self.windows.of(rank));
        }
        if credit.waiting > 0 {
            self.more_credit.notify_all();
        }
    }

    fn hold(self: &Arc<End>, message: &Message) -> Result<Permit, WireError> {
        let rank = message.rank();
        let Some(place) = rank.credited() else { return Ok(Permit { end: None, rank, cost: 0 }) };
        let window = self.windows.of(rank);
        let cost = self.cost_of(message);
        if let Some(held) = lock(&self.held).get_mut(place) {
            held.holding = held.holding.saturating_add(cost);
            if held.holding > window {
                return Err(WireError::Overrun);
            }
        }
        Ok(Permit { end: Some(self.clone()), rank, cost })
    }

    fn give_back(&self, rank: Rank, cost: u64) {
        let Some(place) = rank.credited() else { return };
        let bytes = {
            let mut held = lock(&self.held);
            let Some(held) = held.get_mut(place) else { return };
            held.returning = held.returning.saturating_add(cost);
            if held.returning < self.windows.gulp(rank) {
                return;
            }
            held.holding = held.holding.saturating_sub(held.returning);
            std::mem::take(&mut held.returning)
        };
        self.outbox.put(Message::Credit { rank, bytes });
    }

    fn stop(&self, error: Option<WireError>) {
        if let Some(error) = error {
            lock(&self.failure).get_or_insert(error);
        }
        lock(&self.credit).open = false;
        self.more_credit.notify_all();
        self.outbox.close();
        self.inbox.abort();
    }
}

impl Credit {
    /// Takes `cost` off what is left of `rank`, if that is enough. Returns whether it was.
    fn take(&mut self, rank: Rank, cost: u64) -> Result<bool, Closed> {
        let Some(place) = rank.credited() else { return Ok(true) };
        if !self.open {
            return Err(Closed);
        }
        let left = self.left.get_mut(place).filter(|left| **left >= cost);
        Ok(left.map(|left| *left -= cost).is_some())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            end.give_back(self.rank, self.cost);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.end.gain(self.rank, self.left);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Content, ContentOp, FileId};
    use bytes::Bytes;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    fn content(len: usize) -> Message {
        Message::Content(Content {
            attached: Bytes::new(),
            file: FileId(1),
            ops: vec![ContentOp::Literal(Bytes::from(vec![0; len]))],
            end: None,
            packed: false,
        })
    }

    #[test]
    fn a_sender_waits_until_the_receiver_is_done() {
        let windows = Windows { listing: 1600, want: 1600, content: 1600, again: 1600 };
        let (a, mut b) = Link::pair_with(windows);
        let sent = Arc::new(AtomicUsize::new(0));
        let thread = std::thread::spawn({
            let sent = sent.clone();
            let mut receiver = a.receiver;
            std::thread::spawn(move || while receiver.receive().is_ok() {});
            move || {
                for _ in 0..8 {
                    a.sender.send(content(200)).unwrap();
                    sent.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        let first = b.receiver.receive().unwrap();
        std::thread::sleep(Duration::from_millis(50));
        let before = sent.load(Ordering::SeqCst);
        assert!((1..=3).contains(&before), "{before} messages of 520 in a window of 1600");
        drop(first);
        for _ in 0..7 {
            drop(b.receiver.receive().unwrap());
        }
        thread.join().unwrap();
    }

    #[test]
    fn a_peer_that_ignores_its_credit_is_cut_off() {
        let windows = Windows { listing: 1600, want: 1600, content: 1600, again: 1600 };
        let (a, mut b) = Link::pair_with(windows);
        for _ in 0..5 {
            a.sender.put(content(200)).unwrap();
        }
        let mut held = Vec::new();
        let error = loop {
            match b.receiver.receive() {
                Ok(received) => held.push(received),
                Err(closed) => break closed,
            }
        };
        assert_eq!(error, Closed);
        assert!(matches!(b.sender.stopper().failure(), Some(WireError::Overrun)));
        assert_eq!(held.len(), 3);
    }

    #[test]
    fn stopping_wakes_a_sender_that_waits_for_credit() {
        let windows = Windows { listing: 100, want: 100, content: 100, again: 100 };
        let (a, _b) = Link::pair_with(windows);
        let stopper = a.sender.stopper();
        a.sender.send(content(1000)).unwrap();
        let waiting = std::thread::spawn(move || a.sender.send(content(1000)));
        std::thread::sleep(Duration::from_millis(20));
        stopper.stop();
        assert_eq!(waiting.join().unwrap(), Err(Closed));
    }

    #[test]
    fn retiring_a_sender_wakes_who_waits_in_it_and_nobody_else() {
        let windows = Windows { listing: 100, want: 1000, content: 100, again: 100 };
        let (a, mut b) = Link::pair_with(windows);
        let pass = a.sender.for_a_while();
        pass.send(content(1000)).unwrap();
        let waits = pass.clone();
        let waiting = std::thread::spawn(move || waits.send(content(1000)));
        std::thread::sleep(Duration::from_millis(20));
        pass.retire();
        assert_eq!(waiting.join().unwrap(), Err(Closed));
        assert_eq!(pass.send(Message::Alive), Err(Closed));
        assert!(pass.is_stopped() && !a.sender.is_stopped());
        a.sender.send(Message::Alive).unwrap();
        drop(b.receiver.receive().unwrap());
        assert!(matches!(b.receiver.receive().unwrap().message, Message::Alive));
    }

    #[test]
    fn unspent_reservations_go_back() {
        let windows = Windows { listing: 100, want: 1000, content: 100, again: 100 };
        let (a, _b) = Link::pair_with(windows);
        let reservation = a.sender.reserve(Rank::Want, 5000).unwrap();
        drop(reservation);
        assert_eq!(a.sender.reserve(Rank::Want, 900).unwrap().left, 900);
    }
}
