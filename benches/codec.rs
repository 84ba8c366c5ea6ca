//! Throughput of the wire between the roles and the stream: listings and content to frames and back, compression
//! included. Numbers are entries or bytes of content a second.

#[path = "compare/noise.rs"]
mod noise;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use dsync::request::{CompressWhen, Compression, Compressor, DEFAULT_ZSTD_LEVEL};
use dsync::tree::{Entry, Gid, Meta, Name, Node, Uid};
use dsync::wire::frame::{FrameDecoder, FrameEncoder, HEADER};
use dsync::wire::{Content, ContentOp, DirId, FileId, Listing, ListingEnd, Message};
use filetime::FileTime;
use std::collections::VecDeque;

/// Entries of a part of a listing, about as many as the source puts into one.
const PART: u64 = 512;
const PARTS: u64 = 32;
/// Bytes of a content message, as the source cuts it.
const PIECE: usize = 128 << 10;
const PIECES: usize = 256;

/// As `-z`.
const DEFAULT: Compression =
    Compression { level: DEFAULT_ZSTD_LEVEL, when: CompressWhen::Always, by: Compressor::Zstd };

/// Text as compressible as logs are: lines that differ in their numbers.
fn text(len: usize) -> Vec<u8> {
    let lines = (0_u64..).map(|n| {
        format!(
            "2026-11-21T10:{:02}:{:02} request {} took {} us\n",
            n / 60 % 60,
            n % 60,
            n * 7919,
            n * n % 99_991
        )
    });
    lines.flat_map(String::into_bytes).take(len).collect()
}

fn entry(n: u64) -> Option<Entry> {
    let name = Name::new(format!("IMG_{n:06}.jpg").into_bytes()).ok()?;
    let mtime = FileTime::from_unix_time(1_700_000_000 + (n * 37) as i64, (n * 7919 % 1_000_000_000) as u32);
    let meta = Meta { mode: 0o644, mtime, uid: Uid(1000), gid: Gid(1000) };
    Some(Entry::new(name, Node::File { size: n * 104_729 % 9_000_000 }, meta))
}

fn listings() -> VecDeque<Message> {
    let part = |part| {
        let entries = (part * PART..(part + 1) * PART).filter_map(entry).collect();
        let end = (part + 1 == PARTS).then_some(ListingEnd::Whole);
        Message::Listing(Listing {
            dir: DirId(1),
            parent: Some((DirId(0), 1)),
            same: Default::default(),
            same_entries: 0,
            entries,
            owners: Vec::new(),
            asked: Default::default(),
            end,
        })
    };
    (0..PARTS).map(part).collect()
}

fn content(data: Vec<u8>) -> VecDeque<Message> {
    let data = Bytes::from(data);
    let message = |place: usize| {
        let piece = data.slice(place * PIECE..(place + 1) * PIECE);
        Message::Content(Content {
            attached: Bytes::new(),
            file: FileId(1),
            ops: vec![ContentOp::Literal(piece)],
            end: None,
            packed: false,
        })
    };
    (0..data.len() / PIECE).map(message).collect()
}

/// All frames of `messages`, with the encoder made anew as for a run.
fn encode(mut messages: VecDeque<Message>, compression: Option<Compression>) -> Vec<u8> {
    let mut out = Vec::new();
    let Ok(mut encoder) = FrameEncoder::new(compression) else { return out };
    while !messages.is_empty() && encoder.frame(&mut messages, &mut out).is_ok() {}
    out
}

/// The number of messages in `stream`.
fn decode(mut stream: &[u8]) -> usize {
    let mut count = 0;
    let Ok(mut decoder) = FrameDecoder::new() else { return 0 };
    while let Some((header, rest)) = stream.split_first_chunk::<HEADER>() {
        let Some((payload, rest)) =
            FrameDecoder::payload_len(*header).ok().and_then(|len| rest.split_at_checked(len))
        else {
            return count;
        };
        if decoder.messages(*header, payload.to_vec(), |_, _| count += 1).is_err() {
            return count;
        }
        stream = rest;
    }
    count
}

fn bench(
    c: &mut Criterion,
    name: &str,
    unit: Throughput,
    messages: &VecDeque<Message>,
    compression: Option<Compression>,
) {
    let stream = encode(messages.clone(), compression);
    assert_eq!(decode(&stream), messages.len());
    let mut group = c.benchmark_group(name);
    group.throughput(unit).sample_size(20);
    group.bench_function("encode", |b| {
        b.iter_batched(|| messages.clone(), |messages| encode(messages, compression), BatchSize::LargeInput);
    });
    group.bench_function("decode", |b| b.iter(|| decode(&stream)));
    group.finish();
}

fn bench_listings(c: &mut Criterion) {
    bench(c, "listing", Throughput::Elements(PART * PARTS), &listings(), None);
}

fn bench_content(c: &mut Criterion) {
    let unit = Throughput::Bytes((PIECE * PIECES) as u64);
    let noise = content(noise::bytes(1, 0..(PIECE * PIECES) as u64));
    bench(c, "content", unit.clone(), &noise, None);
    bench(c, "content, -z, noise", unit.clone(), &noise, Some(DEFAULT));
    bench(c, "content, -z, text", unit, &content(text(PIECE * PIECES)), Some(DEFAULT));
}

criterion_group!(benches, bench_listings, bench_content);
criterion_main!(benches);
