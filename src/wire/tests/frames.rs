//! Frames: messages in, messages out, whatever the compression does.

use super::samples::{any_message, each, file, listing, literal, shown};
use crate::request::{CompressWhen, Compression, Compressor};
use crate::tree::Entry;
use crate::wire::codec;
use crate::wire::frame::{Compressed, FrameDecoder, FrameEncoder, HEADER, MAX_PAYLOAD};
use crate::wire::{Content, ContentOp, DirId, FileId, Message, SumsPart, Verdict, WireError};
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::time::{Duration, Instant};
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::CParameter;

const COMPRESSED: u8 = 1;
const CONTENT: u8 = 2;
const LZ4: u8 = 4;

fn always(level: i32) -> Option<Compression> {
    Some(Compression { level, when: CompressWhen::Always, by: Compressor::Zstd })
}

/// Splits a stream into headers and payloads.
fn split(mut stream: &[u8]) -> Vec<([u8; HEADER], Vec<u8>)> {
    let mut frames = Vec::new();
    while !stream.is_empty() {
        let (header, rest) = stream.split_first_chunk::<HEADER>().unwrap();
        let (payload, rest) = rest.split_at(FrameDecoder::payload_len(*header).unwrap());
        frames.push((*header, payload.to_vec()));
        stream = rest;
    }
    frames
}

/// One frame with as many of `messages` as it takes.
fn frame(encoder: &mut FrameEncoder, messages: &mut VecDeque<Message>) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.frame(messages, &mut out).unwrap();
    out
}

fn frames(encoder: &mut FrameEncoder, messages: Vec<Message>) -> Vec<u8> {
    let (mut messages, mut out) = (VecDeque::from(messages), Vec::new());
    while !messages.is_empty() {
        encoder.frame(&mut messages, &mut out).unwrap();
    }
    out
}

fn read(
    decoder: &mut FrameDecoder,
    header: [u8; HEADER],
    payload: Vec<u8>,
) -> Result<Vec<Message>, WireError> {
    let mut messages = Vec::new();
    decoder.messages(header, payload, |message, _| messages.push(message))?;
    Ok(messages)
}

fn read_all(decoder: &mut FrameDecoder, stream: &[u8]) -> Vec<Message> {
    split(stream).into_iter().flat_map(|(header, payload)| read(decoder, header, payload).unwrap()).collect()
}

fn header(kind: u8, len: usize) -> [u8; HEADER] {
    let [a, b, c, d] = u32::try_from(len).unwrap().to_le_bytes();
    [kind, a, b, c, d]
}

/// Incompressible bytes (xorshift64).
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..len).map(|_| step()).collect()
}

/// zstd's own stream of `data`, flushed.
fn compressed(data: &[u8], window_log: u32) -> Vec<u8> {
    let mut encoder = Encoder::new(3).unwrap();
    encoder.set_parameter(CParameter::WindowLog(window_log)).unwrap();
    let mut out = vec![0; zstd::zstd_safe::compress_bound(data.len()) + 1024];
    let mut output = OutBuffer::around(&mut out[..]);
    let mut input = InBuffer::around(data);
    while input.pos() < data.len() {
        encoder.run(&mut input, &mut output).unwrap();
    }
    assert_eq!(encoder.flush(&mut output).unwrap(), 0);
    let len = output.pos();
    out.truncate(len);
    out
}

#[test]
fn each_message_survives() {
    let lz4 = Some(Compression { level: 1, when: CompressWhen::Always, by: Compressor::Lz4 });
    for compression in [None, always(1), always(19), lz4] {
        let mut encoder = FrameEncoder::new(compression).unwrap();
        let mut decoder = FrameDecoder::new().unwrap();
        let (names, messages): (Vec<_>, Vec<_>) = each().into_iter().unzip();
        for _ in 0..3 {
            let stream = frames(&mut encoder, messages.clone());
            let back = read_all(&mut decoder, &stream);
            for ((name, a), b) in names.iter().zip(shown(&messages)).zip(shown(&back)) {
                assert_eq!(a, b, "{name}");
            }
            assert_eq!(back.len(), messages.len());
        }
    }
}

#[test]
fn content_is_compressed_by_lz4() {
    let lz4 = Some(Compression { level: 1, when: CompressWhen::Always, by: Compressor::Lz4 });
    let mut encoder = FrameEncoder::new(lz4).unwrap();
    let mut decoder = FrameDecoder::new().unwrap();
    for _ in 0..3 {
        let messages = vec![literal(1, b"again and ".repeat(10_000)), literal(1, noise(1000, 3))];
        let stream = frames(&mut encoder, messages.clone());
        assert!(stream.len() < 10_000, "{}", stream.len());
        assert!(split(&stream).iter().all(|(header, _)| header[0] == COMPRESSED | CONTENT | LZ4));
        assert_eq!(shown(&read_all(&mut decoder, &stream)), shown(&messages));
    }
}

#[test]
fn broken_lz4_is_refused() {
    let mut decoder = FrameDecoder::new().unwrap();
    let long = [&u32::MAX.to_le_bytes()[..], &[0; 20]].concat();
    let wrong = [&7_u32.to_le_bytes()[..], &[0; 20]].concat();
    for payload in [vec![], vec![0; 3], long, wrong] {
        let header = header(COMPRESSED | CONTENT | LZ4, payload.len());
        assert!(read(&mut decoder, header, payload).is_err());
    }
}

#[test]
fn what_is_not_worth_compressing_is_not_tried() {
    let mut encoder = FrameEncoder::new(always(3)).unwrap();
    let mut packed = literal(1, vec![0; 100_000]);
    let Message::Content(content) = &mut packed else { panic!() };
    content.packed = true;
    let stream = frames(&mut encoder, vec![packed, literal(2, vec![0; 100_000])]);
    let kinds: Vec<u8> = split(&stream).iter().map(|(header, _)| header[0]).collect();
    assert_eq!(kinds, [CONTENT, COMPRESSED | CONTENT]);
    assert_eq!(read_all(&mut FrameDecoder::new().unwrap(), &stream).len(), 2);
}

#[test]
fn many_messages_share_a_frame_and_classes_do_not() {
    let mut encoder = FrameEncoder::new(None).unwrap();
    let mut messages: VecDeque<Message> = (0..100).map(|n| literal(n, vec![1; 100])).collect();
    messages.extend((0..50).map(|_| Message::Listed));
    messages.push_back(literal(0, vec![]));
    let kinds: Vec<u8> = std::iter::from_fn(|| {
        let out = frame(&mut encoder, &mut messages);
        out.first().copied()
    })
    .collect();
    assert_eq!(kinds, [CONTENT, COMPRESSED, CONTENT]);
}

#[test]
fn a_frame_is_closed_when_it_is_full() {
    let mut encoder = FrameEncoder::new(None).unwrap();
    let mut messages: VecDeque<Message> = (0..10).map(|n| literal(n, vec![1; 100 << 10])).collect();
    let out = frame(&mut encoder, &mut messages);
    assert_eq!(messages.len(), 7, "three reach 256 KiB");
    assert!(out.len() > 300 << 10 && out.len() < MAX_PAYLOAD);
}

#[test]
fn no_messages_make_no_frame() {
    assert_eq!(frame(&mut FrameEncoder::new(None).unwrap(), &mut VecDeque::new()), b"");
}

/// Listings repeat themselves from frame to frame, which the common stream makes use of.
#[test]
fn a_frame_profits_from_those_before() {
    let entries: Vec<Entry> = (0..500).map(|n| file(format!("{n:03}-{:x}.jpg", n * n * 7919), n)).collect();
    let (mut encoder, mut decoder) = (FrameEncoder::new(None).unwrap(), FrameDecoder::new().unwrap());
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let stream = frames(&mut encoder, vec![listing(entries.clone())]);
        assert_eq!(shown(&read_all(&mut decoder, &stream)), shown(&[listing(entries.clone())]));
        sizes.push(stream.len());
    }
    assert!(sizes[1] * 10 < sizes[0] && sizes[2] * 10 < sizes[0], "{sizes:?}");
}

/// What does not become shorter is not tried every time; what does, is. The decoder follows through both.
#[test]
fn content_compression_rests_and_resumes() {
    let (mut encoder, mut decoder) = (FrameEncoder::new(always(3)).unwrap(), FrameDecoder::new().unwrap());
    let mut next = |data: Vec<u8>| {
        let stream = frames(&mut encoder, vec![literal(1, data.clone())]);
        let back = read_all(&mut decoder, &stream);
        assert_eq!(shown(&back), shown(&[literal(1, data)]));
        assert_eq!(encoder.take_compressed(), decoder.take_compressed());
        stream[0] & COMPRESSED != 0
    };
    let tries = (1..=200).filter(|n| next(noise(10_000, *n))).count();
    assert!((1..100).contains(&tries), "{tries}");
    let text = b"all work and no play makes jack a dull boy\n".repeat(200);
    let begun = Instant::now();
    while !next(text.clone()) {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never tries again");
    }
    assert!((0..20).all(|_| next(text.clone())), "it goes on once it pays");
}

#[test]
fn what_was_compressed_is_counted_at_both_ends() {
    let (mut encoder, mut decoder) = (FrameEncoder::new(always(3)).unwrap(), FrameDecoder::new().unwrap());
    let stream = frames(&mut encoder, vec![Message::Listed, literal(1, vec![7; 50_000])]);
    let counted = encoder.take_compressed();
    assert!((50_000..50_100).contains(&counted.from) && counted.to < 1000, "{counted:?}");
    read_all(&mut decoder, &stream);
    assert_eq!(decoder.take_compressed(), counted);
    assert_eq!(decoder.take_compressed(), Compressed::default());
}

#[test]
fn what_listings_take_is_counted_at_both_ends() {
    let (mut encoder, mut decoder) = (FrameEncoder::new(None).unwrap(), FrameDecoder::new().unwrap());
    let mut crossed = |messages: Vec<Message>| {
        let stream = frames(&mut encoder, messages);
        read_all(&mut decoder, &stream);
        let listed = encoder.take_listed();
        assert_eq!(decoder.take_listed(), listed);
        (listed, stream.len() as u64)
    };
    let listing = |count| listing((0..count).map(|n| file(format!("{n:04}"), n)).collect());
    let (listed, all) = crossed(vec![listing(1000)]);
    assert_eq!(listed, all);
    let (listed, all) = crossed(vec![listing(10), literal(1, vec![7; 50_000]), Message::Listed]);
    assert!(listed > 0 && listed < all - 50_000, "{listed} of {all}");
    // In one frame by its share.
    let (listed, all) = crossed(vec![Message::Close(DirId(1)), listing(1000), Message::Alive]);
    assert!(listed < all && listed > all / 2, "{listed} of {all}");
    assert_eq!(crossed(vec![literal(1, vec![7; 50_000])]).0, 0);
}

#[test]
fn sums_and_content_are_not_compressed_unless_asked() {
    let mut encoder = FrameEncoder::new(None).unwrap();
    let text = b"a".repeat(100_000);
    let stream = frames(&mut encoder, vec![literal(1, text)]);
    assert_eq!((stream[0], stream.len() > 100_000), (CONTENT, true));
}

#[test]
fn a_frame_longer_than_allowed_is_refused_by_its_header() {
    assert_eq!(FrameDecoder::payload_len(header(0, MAX_PAYLOAD)).unwrap(), MAX_PAYLOAD);
    for len in [MAX_PAYLOAD + 1, u32::MAX as usize] {
        let error = FrameDecoder::payload_len(header(1, len)).unwrap_err();
        assert!(matches!(error, WireError::TooLong { what: "frame", .. }), "{error}");
    }
}

#[test]
fn unknown_kinds_of_frames_are_refused() {
    for kind in (8..=255).chain([LZ4, LZ4 | COMPRESSED, LZ4 | CONTENT]) {
        assert!(FrameDecoder::payload_len(header(kind, 0)).is_err(), "{kind}");
    }
}

/// 64 MiB of nothing fit in a few kilobytes.
#[test]
fn a_bomb_is_refused_before_it_unfolds() {
    let bomb = compressed(&vec![14; 64 << 20], 20);
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    for kind in [COMPRESSED, COMPRESSED | CONTENT] {
        let mut decoder = FrameDecoder::new().unwrap();
        let error = read(&mut decoder, header(kind, bomb.len()), bomb.clone()).unwrap_err();
        match error {
            WireError::TooLong { what: "decompressed frame", length, .. } => {
                assert!(length < MAX_PAYLOAD as u64 * 2, "{length} were unfolded");
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn exactly_the_longest_payload_is_taken() {
    for (len, taken) in [(MAX_PAYLOAD, true), (MAX_PAYLOAD + 1, false)] {
        let payload = compressed(&vec![14; len], 20);
        let mut count = 0;
        let mut decoder = FrameDecoder::new().unwrap();
        let result = decoder.messages(header(COMPRESSED, payload.len()), payload, |message, size| {
            assert!(matches!(message, Message::Alive) && size == 1);
            count += 1;
        });
        assert_eq!(result.is_ok(), taken, "{len}");
        assert_eq!(count, if taken { len } else { 0 });
    }
}

/// Bytes of `message` that are a part of `frame`, rather than copied from it.
fn shared(message: &Message, frame: &std::ops::Range<*const u8>) -> Vec<bool> {
    let is_shared = |data: &bytes::Bytes| frame.contains(&data.as_ptr());
    match message {
        Message::Sums(part) => vec![is_shared(&part.strong)],
        Message::Content(content) => content
            .ops
            .iter()
            .filter_map(|op| match op {
                ContentOp::Literal(data) | ContentOp::Rewrite { data, .. } => Some(is_shared(data)),
                ContentOp::Copy { .. } | ContentOp::Gap { .. } | ContentOp::File(_) => None,
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// Credit is paid for a message, so a message that is held must not hold megabytes of others that are gone.
#[test]
fn a_small_message_does_not_keep_a_large_frame() {
    let data = |len: usize| bytes::Bytes::from(noise(len, len as u64));
    let ops = vec![ContentOp::Literal(data(1000)), ContentOp::Rewrite { offset: 7, data: data(2000) }];
    let small = [
        Message::Content(Content {
            attached: Default::default(),
            file: FileId(1),
            ops,
            end: None,
            packed: false,
        }),
        Message::Sums(SumsPart { file: FileId(1), weak: vec![1; 100], strong: data(500) }),
    ];
    for message in small {
        for (padding, keeps) in [(0, true), (1 << 20, false)] {
            let mut payload = Vec::new();
            codec::encode(&message, &mut payload).unwrap();
            let verdict = Message::Verdict(Verdict { file: FileId(1), same: true });
            while payload.len() < padding {
                codec::encode(&verdict, &mut payload).unwrap();
            }
            let frame = payload.as_ptr_range();
            let header = header(CONTENT, payload.len());
            let arrived = read(&mut FrameDecoder::new().unwrap(), header, payload).unwrap();
            assert_eq!(shown(&arrived[..1]), shown(std::slice::from_ref(&message)));
            let shared = shared(&arrived[0], &frame);
            assert!(
                !shared.is_empty() && shared.iter().all(|shared| *shared == keeps),
                "{padding}: {shared:?}"
            );
        }
    }
}

/// What costs nothing cannot fill up the frames of what is held.
#[test]
fn a_message_in_a_frame_of_the_other_kind_is_refused() {
    for (name, message) in each() {
        let stream = frames(&mut FrameEncoder::new(None).unwrap(), vec![message.clone()]);
        let mut payload = Vec::new();
        codec::encode(&message, &mut payload).unwrap();
        for kind in [0, CONTENT] {
            let read = read(&mut FrameDecoder::new().unwrap(), header(kind, payload.len()), payload.clone());
            assert_eq!(read.is_ok(), stream[0] & CONTENT == kind, "{name} in a frame of kind {kind}");
        }
    }
}

/// A larger window would make the decoder allocate as much.
#[test]
fn a_larger_window_is_refused() {
    let payload = compressed(&noise(100_000, 1), 24);
    let mut decoder = FrameDecoder::new().unwrap();
    let error = read(&mut decoder, header(COMPRESSED, payload.len()), payload).unwrap_err();
    assert!(matches!(error, WireError::Compression(_)), "{error}");
}

/// A message must end where its frame ends.
#[test]
fn a_message_does_not_continue_in_the_next_frame() {
    let stream = frames(&mut FrameEncoder::new(None).unwrap(), vec![literal(1, vec![5; 100])]);
    let (_, payload) = split(&stream).remove(0);
    let mut decoder = FrameDecoder::new().unwrap();
    let (first, second) = payload.split_at(50);
    assert!(read(&mut decoder, header(CONTENT, 50), first.to_vec()).is_err());
    assert!(read(&mut decoder, header(CONTENT, second.len()), second.to_vec()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_messages_survive(
        batches in vec(vec(any_message(), 0..8), 1..6),
        compression in prop_oneof![Just(None), (1..10_i32).prop_map(always)],
    ) {
        let (mut encoder, mut decoder) = (FrameEncoder::new(compression).unwrap(), FrameDecoder::new().unwrap());
        for batch in batches {
            let stream = frames(&mut encoder, batch.clone());
            prop_assert_eq!(shown(&read_all(&mut decoder, &stream)), shown(&batch));
        }
    }

    #[test]
    fn any_payload_is_harmless(kind in prop::sample::select(vec![0, 1, 2, 3, 7]), payloads in vec(vec(any::<u8>(), 0..300), 1..4)) {
        let mut decoder = FrameDecoder::new().unwrap();
        for payload in payloads {
            let _ = read(&mut decoder, header(kind, payload.len()), payload);
        }
    }

    #[test]
    fn flipped_bits_are_harmless(
        messages in vec(any_message(), 1..8),
        flips in vec(any::<(prop::sample::Index, u8)>(), 1..4),
    ) {
        let mut decoder = FrameDecoder::new().unwrap();
        for (header, mut payload) in split(&frames(&mut FrameEncoder::new(always(1)).unwrap(), messages)) {
            for (place, bit) in &flips {
                let place = place.index(payload.len());
                payload[place] ^= 1 << (bit % 8);
            }
            if read(&mut decoder, header, payload).is_err() {
                break;
            }
        }
    }

    #[test]
    fn a_frame_cut_short_is_harmless(messages in vec(any_message(), 1..8), cut in any::<prop::sample::Index>()) {
        let sent = messages.len();
        let mut decoder = FrameDecoder::new().unwrap();
        let mut arrived = 0;
        for (header, mut payload) in split(&frames(&mut FrameEncoder::new(always(1)).unwrap(), messages)) {
            payload.truncate(cut.index(payload.len()));
            match read(&mut decoder, header, payload) {
                Ok(messages) => arrived += messages.len(),
                Err(_) => break,
            }
        }
        prop_assert!(arrived < sent);
    }
}
