//! Credit under random schedules: whatever the windows, the messages and the threads, everything arrives.

use super::samples::{file, listing, literal};
use crate::delta::{BlockLen, Sum};
use crate::wire::{
    Abort, AbortKind, Again, DirId, FileId, Link, Message, Permit, Rank, Receiver, Sender, Want, Windows,
};
use proptest::prelude::*;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// What a run of the model is made of.
#[derive(Debug, Clone)]
struct Plan {
    windows: Windows,
    /// Entries of each listing; as many wants are its answer.
    listings: Vec<u8>,
    /// Bytes of each content that answers a want.
    contents: Vec<u16>,
    /// Each how many contents something is asked for again.
    again_every: u16,
    /// Where a thread lets others go first.
    yields: u16,
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let window = || prop_oneof![64..2_000_u32, 64..200_000_u32];
    let windows = (window(), window(), window(), window())
        .prop_map(|(listing, want, content, again)| Windows { listing, want, content, again });
    let listings = prop::collection::vec(0..20_u8, 1..20);
    let contents = prop::collection::vec(prop_oneof![0..100_u16, any::<u16>()], 1..4);
    (windows, listings, contents, 1..5_u16, any::<u16>()).prop_map(
        |(windows, listings, contents, again_every, yields)| Plan {
            windows,
            listings,
            contents,
            again_every,
            yields,
        },
    )
}

impl Plan {
    fn pause(&self, step: usize) {
        if self.yields >> (step % 16) & 1 != 0 {
            thread::yield_now();
        }
    }

    fn wants(&self) -> usize {
        self.listings.iter().map(|entries| usize::from(*entries)).sum()
    }
}

/// The source: one thread lists, one answers requests, one reads. Returns how many wants and agains it got.
fn source(plan: &Plan, link: Link) -> (usize, usize) {
    let Link { sender, mut receiver } = link;
    let (queue, jobs) = mpsc::channel::<Permit>();
    thread::scope(|scope| {
        scope.spawn(|| {
            for (step, entries) in plan.listings.iter().enumerate() {
                plan.pause(step);
                let entries = (0..*entries).map(|n| file(format!("{n:03}"), 1)).collect();
                sender.send(listing(entries)).unwrap();
            }
            sender.send(Message::Listed).unwrap();
        });
        let sender = &sender;
        scope.spawn(move || {
            for (step, _permit) in jobs.iter().enumerate() {
                plan.pause(step);
                for len in &plan.contents {
                    sender.send(literal(0, vec![0; usize::from(*len)])).unwrap();
                }
            }
            sender.send(Message::Alive).unwrap();
        });
        let counts = read_as_source(&mut receiver, queue);
        sender.send(Message::Finish(Default::default())).unwrap();
        counts
    })
}

fn read_as_source(receiver: &mut Receiver, queue: mpsc::Sender<Permit>) -> (usize, usize) {
    let (mut wants, mut agains, mut queue) = (0, 0, Some(queue));
    while let Ok(received) = receiver.receive() {
        match received.message {
            Message::Want(_) => {
                wants += 1;
                queue.as_ref().expect("no want follows the last").send(received.permit).unwrap();
            }
            Message::Again(_) => agains += 1,
            // The sink has asked for everything.
            Message::Close(_) => queue = None,
            Message::Finish(_) => return (wants, agains),
            other => panic!("{other:?}"),
        }
    }
    panic!("the link closed")
}

/// The sink: one thread compares listings and asks, one takes content and asks again, one reads.
fn sink(plan: &Plan, link: Link) -> usize {
    let Link { sender, mut receiver } = link;
    let (listings, listed) = mpsc::channel::<Option<(usize, Permit)>>();
    let (contents, arrived) = mpsc::channel::<Permit>();
    thread::scope(|scope| {
        let sender = &sender;
        scope.spawn(move || {
            for (step, listing) in listed.iter().enumerate() {
                plan.pause(step + 5);
                let Some((entries, _permit)) = listing else { break };
                ask(sender, entries);
            }
            sender.send(Message::Close(DirId(0))).unwrap();
        });
        scope.spawn(move || {
            for (step, _permit) in arrived.iter().enumerate() {
                plan.pause(step + 9);
                if step % usize::from(plan.again_every) == 0 {
                    let segments = vec![Sum([0; 16]); step % 7];
                    let segment_len = BlockLen::SEGMENT;
                    let again = Again { file: FileId(0), dir: DirId(0), index: 0, segment_len, segments };
                    sender.send(Message::Again(again)).unwrap();
                }
            }
            sender.send(Message::Finish(Default::default())).unwrap();
        });
        let (mut count, mut contents) = (0, Some(contents));
        while let Ok(received) = receiver.receive() {
            match received.message {
                Message::Listing(part) => {
                    listings.send(Some((part.entries.len(), received.permit))).unwrap();
                }
                Message::Listed => listings.send(None).unwrap(),
                Message::Content(_) => {
                    count += 1;
                    contents.as_ref().expect("no content follows the last").send(received.permit).unwrap();
                }
                // The source has answered everything.
                Message::Alive => contents = None,
                Message::Finish(_) => return count,
                other => panic!("{other:?}"),
            }
        }
        panic!("the link closed")
    })
}

/// Asks for each entry: half of the requests together, as a signature is sent, half one by one.
fn ask(sender: &Sender, entries: usize) {
    let want = || {
        Message::Want(Want { file: FileId(0), dir: DirId(0), index: 0, basis: None, refine: false, from: 0 })
    };
    let together = entries / 2;
    let mut credit = sender.reserve(Rank::Want, together as u64 * want().cost() + 100).unwrap();
    for _ in 0..together {
        sender.send_reserved(want(), &mut credit).unwrap();
    }
    drop(credit);
    for _ in together..entries {
        sender.send(want()).unwrap();
    }
}

/// Runs both roles; fails if they are not done in time.
fn run(plan: &Plan) {
    let (a, b) = Link::pair_with(plan.windows);
    let stoppers = [a.sender.stopper(), b.sender.stopper()];
    let (done, ended) = mpsc::channel();
    let (here, there) = (plan.clone(), plan.clone());
    let source = thread::spawn(move || source(&here, a));
    let sink = thread::spawn(move || {
        let count = sink(&there, b);
        done.send(()).unwrap();
        count
    });
    let waited = ended.recv_timeout(Duration::from_secs(20));
    stoppers.iter().filter(|_| waited == Err(RecvTimeoutError::Timeout)).for_each(|stopper| stopper.stop());
    assert_eq!(waited, Ok(()), "the roles wait for each other: {plan:?}");
    let (wants, agains) = source.join().unwrap();
    let contents = sink.join().unwrap();
    assert_eq!(wants, plan.wants());
    assert_eq!(contents, wants * plan.contents.len());
    assert_eq!(agains, contents.div_ceil(usize::from(plan.again_every)));
}

/// A message dearer than what is left after a little was used and not returned yet.
#[test]
fn a_message_as_dear_as_its_window_arrives() {
    let windows = Windows { listing: 8000, want: 8000, content: 8000, again: 8000 };
    let (mut a, mut b) = Link::pair_with(windows);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        // The first costs 320, which the receiver keeps until it has 500.
        for len in [0, 8000, 0, 8000 - 320, 7500 - 320, 50_000] {
            a.sender.send(literal(0, vec![0; len])).unwrap();
        }
        drop(a.sender.reserve(Rank::Content, 8000).unwrap());
        done.send(()).unwrap();
    });
    let stopper = b.sender.stopper();
    thread::spawn(move || while b.receiver.receive().is_ok() {});
    thread::spawn(move || while a.receiver.receive().is_ok() {});
    ended.recv_timeout(Duration::from_secs(10)).expect("the sender waits for ever");
    stopper.stop();
}

/// What a reserved message spends is what the receiver gives back, also where the message is dearer than the most a
/// window ever has: else a little leaks with each reservation until one waits for ever.
#[test]
fn reserved_messages_dearer_than_the_window_leak_no_credit() {
    let windows = Windows { listing: 1000, want: 64, content: 1000, again: 1000 };
    let (mut a, mut b) = Link::pair_with(windows);
    let stoppers = [a.sender.stopper(), b.sender.stopper()];
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        (0..10).for_each(|_| ask(&a.sender, 4));
        done.send(()).unwrap();
    });
    thread::spawn(move || while a.receiver.receive().is_ok() {});
    thread::spawn(move || while b.receiver.receive().is_ok() {});
    let waited = ended.recv_timeout(Duration::from_secs(5));
    stoppers.iter().for_each(|stopper| stopper.stop());
    assert_eq!(waited, Ok(()), "credit leaked");
}

#[test]
fn what_cannot_be_sent_now_is_not_sent() {
    let want = || {
        Message::Want(Want { file: FileId(0), dir: DirId(0), index: 0, basis: None, refine: false, from: 0 })
    };
    let window = u32::try_from(want().cost()).unwrap();
    let (mut a, mut b) =
        Link::pair_with(Windows { listing: window, want: window, content: window, again: window });
    // Dearer than the window ever has room for, it goes if nothing else is under way.
    assert_eq!(a.sender.send_now(want()), Ok(true));
    assert_eq!(a.sender.send_now(want()), Ok(false));
    assert_eq!(a.sender.send_now(Message::Close(DirId(0))), Ok(true), "what costs nothing can always go");
    // Nothing of the message that was refused has arrived, and what it would have cost was not spent.
    assert!(matches!(b.receiver.receive().unwrap().message, Message::Want(_)));
    assert!(matches!(b.receiver.receive().unwrap().message, Message::Close(_)));
    b.sender.send(Message::Alive).unwrap();
    assert!(matches!(a.receiver.receive().unwrap().message, Message::Alive), "the credit came before this");
    assert_eq!(a.sender.send_now(want()), Ok(true));
    a.sender.stopper().stop();
    assert!(a.sender.send_now(want()).is_err());
}

/// What costs nothing is bounded too, or a peer that lists and never reads would fill the memory.
#[test]
fn what_costs_nothing_waits_for_a_peer_that_does_not_read() {
    let free: [fn(u32) -> Message; 3] = [
        |n| Message::Close(DirId(n)),
        |_| Message::Progress(Default::default()),
        |_| Message::Event(crate::report::Event::CreatedDestination),
    ];
    for make in free {
        let (a, mut b) = Link::pair();
        let sending = thread::spawn(move || {
            (0..100_000).for_each(|n| a.sender.send(make(n)).unwrap());
            a
        });
        thread::sleep(Duration::from_millis(100));
        assert!(!sending.is_finished(), "{:?}", make(0));
        (0..100_000).for_each(|_| drop(b.receiver.receive().unwrap()));
        let a = sending.join().unwrap();
        a.sender.send(Message::Finish(Default::default())).unwrap();
        assert!(matches!(b.receiver.receive().unwrap().message, Message::Finish(_)));
    }
}

/// The receiving thread says it, and would read no more if it had to wait.
#[test]
fn giving_up_does_not_wait_for_room() {
    let (a, _b) = Link::pair();
    let events = a.sender.clone();
    thread::spawn(move || while events.send(Message::Close(DirId(0))).is_ok() {});
    thread::sleep(Duration::from_millis(100));
    let (done, ended) = mpsc::channel();
    let sender = a.sender.clone();
    thread::spawn(move || {
        let abort = Abort { text: String::new(), kind: AbortKind::Protocol };
        done.send(sender.send(Message::Abort(abort))).unwrap();
    });
    assert_eq!(ended.recv_timeout(Duration::from_secs(10)), Ok(Ok(())));
    a.sender.stopper().stop();
}

#[test]
fn a_peer_cannot_grant_more_than_the_window() {
    let windows = Windows { listing: 100, want: 100, content: 1000, again: 100 };
    let (a, b) = Link::pair_with(windows);
    b.sender.send(Message::Credit { rank: Rank::Content, bytes: u64::MAX }).unwrap();
    b.sender.send(Message::Alive).unwrap();
    let mut receiver = a.receiver;
    assert!(matches!(receiver.receive().unwrap().message, Message::Alive));
    a.sender.send(literal(0, vec![0; 800])).unwrap();
    let stopper = a.sender.stopper();
    let waiting = thread::spawn(move || a.sender.send(literal(0, vec![0; 800])));
    thread::sleep(Duration::from_millis(30));
    assert!(!waiting.is_finished());
    stopper.stop();
    assert!(waiting.join().unwrap().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn roles_that_keep_to_the_ranks_never_wait_for_each_other(plan in any_plan()) {
        run(&plan);
    }
}
