//! Streams over several channels: whatever the channels do, what arrives is what was sent.

use super::samples::literal;
use crate::request::{CompressWhen, Compression, Compressor};
use crate::wire::channels::{Channel, ChannelSet, Dealer, Further, Gatherer, Halves, Spreader, TURN, chosen};
use crate::wire::frame::{FrameDecoder, FrameEncoder, HEADER};
use crate::wire::mailbox::Mailbox;
use crate::wire::pump::{Pump, PumpOptions, Unconnected};
use crate::wire::{Link, Message, Token, WireError};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const TOKEN: Token = [7; 16];

/// A channel in memory that takes and gives no more at a time than its `piece`.
#[derive(Clone)]
struct Pipe {
    bytes: Arc<Mutex<VecDeque<u8>>>,
    piece: usize,
}

impl Pipe {
    fn new(piece: usize) -> Pipe {
        Pipe { bytes: Arc::default(), piece }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = &bytes[..bytes.len().min(self.piece)];
        self.bytes.lock().unwrap().extend(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.piece);
        self.bytes.lock().unwrap().read(&mut buffer[..length])
    }
}

/// Bytes of which no two stretches are alike.
fn sample(length: usize) -> Vec<u8> {
    (0..length.div_ceil(4))
        .flat_map(|n| (n as u32).wrapping_mul(0x9e37_79b1).to_le_bytes())
        .take(length)
        .collect()
}

/// The ends of `pipes` as a pump gets them.
fn halves(pipes: &[Pipe]) -> (Halves<dyn Read + Send>, Halves<dyn Write + Send>) {
    let (spreader, readers, writers) = Spreader::new(Arc::new(Mailbox::new()));
    let channel = |(place, pipe): (usize, &Pipe)| Channel {
        number: place as u8 + 1,
        reader: Box::new(pipe.clone()),
        writer: Box::new(pipe.clone()),
    };
    spreader.spread(pipes.iter().enumerate().map(channel).collect());
    (readers.recv().unwrap(), writers.recv().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the stream is cut on its way in and out, and wherever it goes over to more channels.
    #[test]
    fn what_is_dealt_is_gathered(
        pieces in prop::collection::vec(1..3 * TURN, 1..=8),
        alone in 0..2 * TURN,
        together in 0..20 * TURN,
        (write, read) in (1..3 * TURN, 1..3 * TURN),
    ) {
        let pipes: Vec<Pipe> = pieces.into_iter().map(Pipe::new).collect();
        let (first, further) = pipes.split_first().unwrap();
        let sent = sample(alone + together);
        let mut dealer = Dealer::new(Box::new(first.clone()));
        let put = |bytes: &[u8], dealer: &mut Dealer| {
            bytes.chunks(write).for_each(|chunk| dealer.write_all(chunk).unwrap());
        };
        put(&sent[..alone], &mut dealer);
        let (readers, writers) = halves(further);
        dealer.spread(writers);
        put(&sent[alone..], &mut dealer);

        let loads: Vec<usize> = pipes.iter().map(|pipe| pipe.bytes.lock().unwrap().len()).collect();
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= TURN + alone, "{loads:?}");

        let mut gatherer = Gatherer::new(Box::new(first.clone()));
        let mut got = vec![0; alone];
        gatherer.read_exact(&mut got).unwrap();
        let set = readers.set;
        gatherer.spread(readers, set).unwrap();
        let mut buffer = vec![0; read];
        while let count @ 1.. = gatherer.read(&mut buffer).unwrap() {
            got.extend_from_slice(&buffer[..count]);
        }
        prop_assert!(got == sent);
    }

    /// A set is of the peer's making.
    #[test]
    fn what_the_peer_chooses_is_there_or_refused(set in any::<u8>(), numbers in prop::collection::vec(any::<u8>(), 0..9)) {
        let there = |number: u8| numbers.contains(&number);
        let joined = numbers.iter().map(|number| channel(*number)).collect();
        let all = (0..8).filter(|bit| set >> bit & 1 != 0).all(|bit| bit > 0 && there(bit));
        match chosen(joined, ChannelSet(set)) {
            Ok(chosen) => {
                prop_assert!(all);
                let numbers: Vec<u8> = chosen.iter().map(|channel| channel.number).collect();
                let expected: Vec<u8> = (1..8).filter(|bit| set >> bit & 1 != 0).collect();
                prop_assert_eq!(numbers, expected);
            }
            Err(_) => prop_assert!(!all),
        }
    }
}

fn channel(number: u8) -> Channel {
    Channel { number, reader: Box::new(io::empty()), writer: Box::new(io::sink()) }
}

/// Two ends of a stream whose bytes are on their way for varying times.
fn slow_pair(seed: u64) -> (UnixStream, UnixStream) {
    let ((here, near), (far, there)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
    let ways = [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)];
    for (way, (mut from, mut to)) in ways.into_iter().enumerate() {
        thread::spawn(move || {
            let (mut buffer, mut state) = (vec![0; 30_000], seed * 2 + way as u64 + 1);
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                thread::sleep(Duration::from_micros((state >> 33) % 300));
                if to.write_all(&buffer[..count]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
    }
    (here, there)
}

fn channel_over(number: u8, stream: &UnixStream) -> Channel {
    let (reader, writer) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
    Channel { number, reader: Box::new(reader), writer: Box::new(writer) }
}

fn start(stream: &UnixStream, further: Further) -> (Link, Pump) {
    let (link, unconnected) = Unconnected::new();
    let (reader, writer) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
    let options = PumpOptions {
        compression: Some(Compression { level: 1, when: CompressWhen::Always, by: Compressor::Zstd }),
        ..PumpOptions::default()
    };
    let pump = unconnected.connect(Box::new(reader), Box::new(writer), Vec::new(), options, further);
    (link, pump.unwrap())
}

/// Both sides send all the time while the others join, more than the channels hold, and are in no hurry to read.
#[test]
fn a_link_goes_over_to_more_channels_while_it_is_in_use() {
    for further in [0, 1, 3, 7] {
        let (here, there) = slow_pair(0);
        let pairs: Vec<_> = (1..=further).map(|number| (number, slow_pair(number.into()))).collect();
        let near: Vec<Channel> =
            pairs.iter().map(|(number, (here, _))| channel_over(*number, here)).collect();
        let far: Vec<Channel> =
            pairs.iter().rev().map(|(number, (_, there))| channel_over(*number, there)).collect();
        drop(pairs);
        let invited = Further::Invited(Box::new(move |token, spreader| {
            assert_eq!(token, TOKEN);
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                spreader.spread(near);
            });
        }));
        let (asking, _pump) = start(&here, invited);
        let (peer, _other) = start(&there, Further::Joined(Box::new(move || far)));
        peer.sender.send(Message::Invite(TOKEN)).unwrap();
        const COUNT: u32 = 300;
        thread::scope(|scope| {
            for link in [asking, peer] {
                let Link { sender, mut receiver } = link;
                let reading = scope.spawn(move || {
                    for n in 0..COUNT {
                        let message = receiver.receive().unwrap().message;
                        assert!(matches!(message, Message::Content(content) if content.file.0 == n));
                    }
                    receiver
                });
                scope.spawn(move || {
                    for n in 0..COUNT {
                        sender.send(literal(n, sample(n as usize * 517 % 100_000))).unwrap();
                    }
                    // Credit still comes and goes until the other side has all.
                    drop(reading.join().unwrap());
                });
            }
        });
    }
}

/// What an end with `further` says about a peer that sends these messages, a frame each.
fn failure(further: Further, messages: &[Message]) -> Option<WireError> {
    let (here, mut there) = UnixStream::pair().unwrap();
    let (mut link, _pump) = start(&here, further);
    let mut encoder = FrameEncoder::new(None).unwrap();
    for message in messages {
        let mut out = Vec::new();
        encoder.frame(&mut VecDeque::from([message.clone()]), &mut out).unwrap();
        there.write_all(&out).unwrap();
    }
    there.shutdown(std::net::Shutdown::Write).unwrap();
    while link.receiver.receive().is_ok() {}
    link.sender.stopper().failure()
}

#[test]
fn a_peer_can_neither_invite_nor_spread_unasked_or_twice() {
    let invite = || Message::Invite(TOKEN);
    let spread = |set| Message::Spread(ChannelSet(set));
    let asking = |numbers: &'static [u8]| {
        let spread =
            move |_, spreader: Spreader| spreader.spread(numbers.iter().map(|n| channel(*n)).collect());
        Further::Invited(Box::new(spread))
    };
    let peer = |numbers: &'static [u8]| {
        Further::Joined(Box::new(move || numbers.iter().map(|number| channel(*number)).collect()))
    };
    for (what, further, messages) in [
        ("nobody asked for one", Further::Never, vec![invite()]),
        ("nobody asked for any", Further::Never, vec![spread(0)]),
        ("the peer invites, not the asking side", peer(&[]), vec![invite()]),
        ("twice", asking(&[]), vec![invite(), invite()]),
        ("before the invitation", asking(&[1]), vec![spread(2)]),
        ("another set than was chosen", asking(&[1, 2]), vec![invite(), spread(2)]),
        ("again", asking(&[]), vec![invite(), spread(0), spread(0)]),
        ("one that has not joined", peer(&[1]), vec![spread(6)]),
        ("the first channel", peer(&[1]), vec![spread(1)]),
        ("again", peer(&[]), vec![spread(0), spread(0)]),
    ] {
        assert!(matches!(failure(further, &messages), Some(WireError::Malformed(_))), "{what}");
    }
    for (further, messages) in [
        (asking(&[]), vec![invite(), spread(0)]),
        (peer(&[3]), vec![spread(0)]),
        (peer(&[3]), vec![spread(8)]),
    ] {
        assert!(failure(further, &messages).is_none());
    }
}

/// One that ends takes the link with it, when its turn comes; nothing waits for it.
#[test]
fn a_channel_that_is_lost_ends_the_link() {
    let (here, _there) = UnixStream::pair().unwrap();
    let (lost, gone) = UnixStream::pair().unwrap();
    drop(gone);
    let near = channel_over(1, &lost);
    let invited = Further::Invited(Box::new(move |_, spreader| spreader.spread(vec![near])));
    let (mut link, _pump) = start(&here, invited);
    let mut bytes = Vec::new();
    let mut encoder = FrameEncoder::new(None).unwrap();
    for message in [Message::Invite(TOKEN), Message::Spread(ChannelSet(2))] {
        encoder.frame(&mut VecDeque::from([message]), &mut bytes).unwrap();
    }
    let mut there = &_there;
    there.write_all(&bytes).unwrap();
    let mut content = Vec::new();
    encoder.frame(&mut VecDeque::from([literal(0, sample(3 * TURN))]), &mut content).unwrap();
    there.write_all(&content).unwrap();
    assert!(link.receiver.receive().is_err());
    assert!(matches!(link.sender.stopper().failure(), Some(WireError::Ended | WireError::Io(_))));
}

/// Who has nothing to say goes over all the same: the other side's bytes cannot until it has heard that.
#[test]
fn a_link_that_is_idle_goes_over_too() {
    let (here, there) = UnixStream::pair().unwrap();
    let invited = Further::Invited(Box::new(move |_, spreader| {
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            spreader.spread(vec![channel(3)]);
        });
    }));
    let (_asking, _pump) = start(&here, invited);
    let mut bytes = Vec::new();
    let mut encoder = FrameEncoder::new(None).unwrap();
    encoder.frame(&mut VecDeque::from([Message::Invite(TOKEN)]), &mut bytes).unwrap();
    (&there).write_all(&bytes).unwrap();
    there.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut header = [0; HEADER];
    (&there).read_exact(&mut header).unwrap();
    let mut payload = vec![0; FrameDecoder::payload_len(header).unwrap()];
    (&there).read_exact(&mut payload).unwrap();
    let mut said = Vec::new();
    let mut decoder = FrameDecoder::new().unwrap();
    decoder.messages(header, payload, |message, _| said.push(message)).unwrap();
    assert!(matches!(said[..], [Message::Spread(ChannelSet(8))]), "{said:?}");
}
