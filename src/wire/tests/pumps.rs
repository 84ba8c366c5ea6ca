//! Links over a byte stream.

use super::samples::{each, literal, shown};
use crate::request::{CompressWhen, Compression, Compressor};
use crate::wire::frame::FrameEncoder;
use crate::wire::hello::Hello;
use crate::wire::pump::{self, Pump, PumpOptions};
use crate::wire::{Abort, AbortKind, Link, Message, WireError};
use std::collections::VecDeque;
use std::io::{self, Cursor, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

fn start(stream: &UnixStream, options: PumpOptions) -> (Link, Pump) {
    let (reader, writer) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
    pump::start(Box::new(reader), Box::new(writer), Vec::new(), options).unwrap()
}

/// What a link that is read to its end says about why it ended.
fn failure(link: &mut Link) -> Option<WireError> {
    while link.receiver.receive().is_ok() {}
    link.sender.stopper().failure()
}

/// What one end makes of these bytes, after which the stream ends.
fn failure_after(bytes: &[u8], options: PumpOptions) -> Option<WireError> {
    let (here, mut there) = UnixStream::pair().unwrap();
    let (mut link, _pump) = start(&here, options);
    let bytes = bytes.to_vec();
    let writing = thread::spawn(move || {
        // The other end may stop reading at any time.
        let _ = there.write_all(&bytes);
    });
    drop(here);
    let failure = failure(&mut link);
    link.sender.stopper().stop();
    writing.join().unwrap();
    failure
}

#[test]
fn everything_arrives_in_order_both_ways_at_once() {
    let (a, b) = UnixStream::pair().unwrap();
    let compression = Some(Compression { level: 1, when: CompressWhen::Always, by: Compressor::Zstd });
    let options = PumpOptions { compression, ..PumpOptions::default() };
    let (done, all_done) = mpsc::channel();
    let ends = [start(&a, options), start(&b, options)].map(|(link, pump)| {
        let (Link { sender, mut receiver }, stopper, done) = (link, pump.stopper(), done.clone());
        let receiving = thread::spawn(move || {
            for n in 0..300 {
                let message = receiver.receive().unwrap().message;
                assert!(matches!(message, Message::Content(content) if content.file.0 == n));
            }
            done.send(()).unwrap();
            // The other thread still needs the credit that arrives here.
            while receiver.receive().is_ok() {}
        });
        for_each_in_background(300, move |n| sender.send(literal(n, vec![n as u8; 200_000])).unwrap());
        (receiving, stopper)
    });
    for _ in &ends {
        all_done.recv_timeout(Duration::from_secs(30)).expect("the ends wait for each other");
    }
    for (receiving, stopper) in ends {
        stopper.stop();
        receiving.join().unwrap();
    }
}

fn for_each_in_background(count: u32, act: impl Fn(u32) + Send + 'static) {
    thread::spawn(move || (0..count).for_each(act));
}

/// What was sent before the end is still written, and only then is the stream's end seen.
#[test]
fn the_last_words_arrive() {
    let (here, there) = UnixStream::pair().unwrap();
    let (link, pump) = start(&here, PumpOptions::default());
    let (mut other, _pump) = start(&there, PumpOptions::default());
    for n in 0..50 {
        link.sender.send(literal(n, vec![0; 100_000])).unwrap();
    }
    link.sender.close();
    assert!(link.sender.send(Message::Listed).is_err());
    pump.finish();
    here.shutdown(Shutdown::Write).unwrap();
    let count = std::iter::from_fn(|| other.receiver.receive().ok()).count();
    assert_eq!(count, 50);
}

#[test]
fn a_hello_comes_first_if_it_is_expected() {
    let hello = Hello::new(1).encode();
    let (here, mut there) = UnixStream::pair().unwrap();
    let (mut link, pump) = start(&here, PumpOptions { expects_hello: true, ..PumpOptions::default() });
    let mut bytes = hello.clone();
    let finish = Message::Finish(Default::default());
    FrameEncoder::new(None).unwrap().frame(&mut VecDeque::from([finish]), &mut bytes).unwrap();
    there.write_all(&bytes).unwrap();
    assert!(matches!(link.receiver.receive().unwrap().message, Message::Finish(_)));
    assert_eq!(pump.traffic().received.load(Ordering::Relaxed), bytes.len() as u64);
}

#[test]
fn what_is_wrong_with_a_stream_is_told() {
    let plain = PumpOptions::default();
    let greeted = PumpOptions { expects_hello: true, ..plain };
    assert!(failure_after(b"", plain).is_none(), "an end between frames");
    assert!(matches!(failure_after(b"", greeted), Some(WireError::Ended)));
    assert!(matches!(failure_after(b"bash: no\n", greeted), Some(WireError::Noise(_))));
    assert!(matches!(failure_after(&[0, 1], plain), Some(WireError::Ended)));
    assert!(matches!(failure_after(&[0, 2, 0, 0, 0, 3], plain), Some(WireError::Ended)));
    assert!(matches!(failure_after(&[0, 1, 0, 0, 0, 99], plain), Some(WireError::Malformed(_))));
    assert!(matches!(failure_after(&[9, 1, 0, 0, 0, 3], plain), Some(WireError::Malformed(_))));
    assert!(matches!(failure_after(&[0, 0, 0, 0, 0xff], plain), Some(WireError::TooLong { .. })));
    assert!(matches!(failure_after(&[1, 3, 0, 0, 0, 1, 2, 3], plain), Some(WireError::Compression(_))));
}

/// A stream to a peer that has ended: what is written fails, and only some time after that its last words are read.
struct Ended {
    failed: Option<mpsc::Receiver<()>>,
    words: Cursor<Vec<u8>>,
}

struct Broken(mpsc::Sender<()>);

impl Read for Ended {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(failed) = self.failed.take() {
            failed.recv().unwrap();
            thread::sleep(Duration::from_millis(100));
        }
        self.words.read(buffer)
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        // Twice nobody needs to be told.
        let _ = self.0.send(());
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A link over such a stream, on which something was sent.
fn start_ended(words: Vec<u8>, expects_hello: bool) -> (Link, Pump) {
    let (fail, failed) = mpsc::channel();
    let reader = Ended { failed: Some(failed), words: Cursor::new(words) };
    let options = PumpOptions { expects_hello, ..PumpOptions::default() };
    let (link, pump) = pump::start(Box::new(reader), Box::new(Broken(fail)), Vec::new(), options).unwrap();
    link.sender.send(Message::Listed).unwrap();
    (link, pump)
}

fn abort_frame() -> Vec<u8> {
    let abort = Abort { text: "a file is in the way".into(), kind: AbortKind::Selection };
    let mut out = Vec::new();
    FrameEncoder::new(None).unwrap().frame(&mut VecDeque::from([Message::Abort(abort)]), &mut out).unwrap();
    out
}

/// Why a peer ended is in what it said last, not in that nothing can be written to it any more.
#[test]
fn the_last_words_of_a_peer_that_ended_are_heard() {
    let (mut link, pump) = start_ended(abort_frame(), false);
    let message = link.receiver.receive().expect("its reason was thrown away").message;
    assert!(matches!(&message, Message::Abort(abort) if abort.kind == AbortKind::Selection), "{message:?}");
    assert!(link.receiver.receive().is_err());
    assert!(link.sender.stopper().failure().is_none());
    pump.finish();
}

#[test]
fn what_is_wrong_with_a_peer_that_ended_is_told() {
    let (mut noisy, _pump) = start_ended(b"bash: dsync: not found\n".to_vec(), true);
    assert!(matches!(failure(&mut noisy), Some(WireError::Noise(_))));
    let hello = Hello { versions: (9, 12), ..Hello::new(0) };
    let (mut newer, _pump) = start_ended(hello.encode(), true);
    assert!(matches!(failure(&mut newer), Some(WireError::Version { .. })));
}

/// A peer that only stops to read is none that has ended: it is not waited for without end.
#[test]
fn a_peer_that_takes_nothing_and_stays_is_given_up() {
    let (here, there) = UnixStream::pair().unwrap();
    there.shutdown(Shutdown::Read).unwrap();
    let (mut link, _pump) = start(&here, PumpOptions::default());
    link.sender.send(Message::Listed).unwrap();
    assert!(matches!(failure(&mut link), Some(WireError::Io(_))));
}

/// A role may have more to tell than fits before it comes to read that the peer has ended.
#[test]
fn nobody_waits_to_tell_a_peer_that_ended() {
    let (mut link, pump) = start_ended(abort_frame(), false);
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        for _ in 0..20_000 {
            let event = crate::report::Event::CreatedDestination;
            link.sender.send(Message::Event(event)).expect("the link is open until its end was read");
        }
        let message = link.receiver.receive().map(|received| received.message);
        while link.receiver.receive().is_ok() {}
        done.send(message).unwrap();
    });
    let stopper = pump.stopper();
    let message = ended.recv_timeout(Duration::from_secs(10));
    stopper.stop();
    assert!(matches!(message, Ok(Ok(Message::Abort(_)))), "{message:?}");
}

/// Frames that are small on the wire and large in memory wait in the stream, not in the queue.
#[test]
fn a_peer_that_says_more_than_is_listened_to_has_to_wait() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let (mut link, pump) = start(&here, PumpOptions::default());
    let traffic = pump.traffic();
    let mut encoder = FrameEncoder::new(None).unwrap();
    let event = || Message::Event(crate::report::Event::Notice("x".repeat(200_000)));
    const SENT: usize = 2000;
    let writing = thread::spawn(move || {
        for _ in 0..SENT {
            let mut out = Vec::new();
            encoder.frame(&mut VecDeque::from([event()]), &mut out).unwrap();
            there.write_all(&out).unwrap();
        }
        there
    });
    wait_for("the reader stops reading", || {
        let before = traffic.received.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(200));
        before > 0 && traffic.received.load(Ordering::Relaxed) == before
    });
    assert!(!writing.is_finished() || traffic.received.load(Ordering::Relaxed) < (SENT * 20) as u64);
    for _ in 0..SENT {
        link.receiver.receive().unwrap();
    }
    writing.join().unwrap();
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
    }
}

#[test]
fn a_silent_peer_is_given_up() {
    let (here, _there) = UnixStream::pair().unwrap();
    let (mut link, _pump) = start(&here, PumpOptions { timeout: Some(1), ..PumpOptions::default() });
    let since = Instant::now();
    assert!(matches!(failure(&mut link), Some(WireError::Timeout(1))));
    assert!(since.elapsed() < Duration::from_secs(5));
}

/// Its other way may still work, and then it is to know why this side is gone.
#[test]
fn a_peer_that_is_given_up_is_told() {
    let (here, there) = UnixStream::pair().unwrap();
    let (_link, _pump) = start(&here, PumpOptions { timeout: Some(1), ..PumpOptions::default() });
    let (mut link, _other) = start(&there, PumpOptions::default());
    let told = link.receiver.receive().unwrap().message;
    assert!(matches!(&told, Message::Abort(abort) if abort.kind == AbortKind::Timeout), "{told:?}");
}

/// The greeting may be more than the stream takes before somebody reads.
#[test]
fn a_peer_that_does_not_read_the_greeting_is_given_up() {
    let (here, _there) = UnixStream::pair().unwrap();
    let (reader, writer) = (here.try_clone().unwrap(), here);
    let options = PumpOptions { timeout: Some(1), expects_hello: true, ..PumpOptions::default() };
    let (mut link, _pump) =
        pump::start(Box::new(reader), Box::new(writer), vec![0; 8 << 20], options).unwrap();
    assert!(matches!(failure(&mut link), Some(WireError::Timeout(1))));
}

#[test]
fn the_greeting_comes_before_the_first_frame() {
    let (here, mut there) = UnixStream::pair().unwrap();
    let (reader, writer) = (here.try_clone().unwrap(), here.try_clone().unwrap());
    let (link, pump) =
        pump::start(Box::new(reader), Box::new(writer), b"greeting".to_vec(), PumpOptions::default())
            .unwrap();
    link.sender.send(Message::Listed).unwrap();
    link.sender.close();
    let traffic = pump.traffic();
    pump.finish();
    here.shutdown(Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    there.read_to_end(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"greeting") && bytes.len() > 8 + crate::wire::frame::HEADER);
    assert_eq!(traffic.sent.load(Ordering::Relaxed), bytes.len() as u64);
}

#[test]
fn a_peer_with_nothing_to_say_is_not_given_up() {
    let (a, b) = UnixStream::pair().unwrap();
    let options = PumpOptions { timeout: Some(1), ..PumpOptions::default() };
    let ((mut here, _pump), (there, _other)) = (start(&a, options), start(&b, options));
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(2500));
        there.sender.send(Message::Finish(Default::default())).unwrap();
        there
    });
    assert!(matches!(here.receiver.receive().unwrap().message, Message::Finish(_)));
    late.join().unwrap();
}

#[test]
fn each_message_crosses() {
    let (a, b) = UnixStream::pair().unwrap();
    let ((here, _pump), (mut there, _other)) =
        (start(&a, PumpOptions::default()), start(&b, PumpOptions::default()));
    // These are for the link itself.
    let kept = |message: &Message| {
        !matches!(message, Message::Alive | Message::Credit { .. } | Message::Invite(_) | Message::Spread(_))
    };
    let messages: Vec<Message> = each().into_iter().map(|(_, message)| message).filter(kept).collect();
    messages.iter().for_each(|message| here.sender.send(message.clone()).unwrap());
    let arrived: Vec<Message> = messages.iter().map(|_| there.receiver.receive().unwrap().message).collect();
    assert_eq!(shown(&arrived), shown(&messages));
}
