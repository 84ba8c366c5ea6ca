//! Frames: runs of messages with a length in front, compressed where that pays.
//!
//! A frame is one byte of kind, four bytes of payload length (little endian), and the payload: whole messages, one
//! after the other. Messages are of two classes. Those about the trees (`Class::Meta`: listings, requests,
//! outcomes) are always compressed, in one zstd stream per direction, so that each frame profits from those before.
//! Content is compressed only when asked, and then as far as it pays (`compression`): in another zstd stream, or each
//! frame by itself with LZ4. What the options say is not worth it is never tried.
//! Stream and class never mix, so each side needs two compressors and two decompressors.

use crate::request::{Compression, Compressor};
use crate::wire::codec::{self, Cursor};
use crate::wire::compression::{Block, Choice};
use crate::wire::{Content, ContentOp, Fetched, Message, Rank, WireError};
use bytes::Bytes;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use std::io;
use std::time::{Duration, Instant};
use zstd::stream::raw::{Decoder, Encoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::CParameter;

/// Bytes before a frame's payload.
pub const HEADER: usize = 5;
/// The longest payload accepted, compressed or not. A content message holds at most about 512 KiB, a part of a
/// listing or of a signature less.
pub const MAX_PAYLOAD: usize = 4 << 20;
/// A message keeps its whole frame, to save copying its bytes, only if it is at least one part in so many of it. So the
/// memory held is within this factor of the credit paid; what else a frame holds may be dealt with at once, or free.
const SHARE: usize = 4;
/// A frame is closed once it holds this much.
const FULL: usize = 256 << 10;
/// How far back compression looks: 2^20 bytes. A decoder refuses more, so a peer cannot make it allocate more.
const WINDOW_LOG: u32 = 20;
/// The level for everything but content: these bytes are few and the link is often slower than level 3.
const META_LEVEL: i32 = 3;

const COMPRESSED: u8 = 1 << 0;
const CONTENT: u8 = 1 << 1;
/// With both others: by LZ4.
const LZ4: u8 = 1 << 2;

/// Bytes before an LZ4 block, which say how long it becomes.
const LZ4_LENGTH: usize = 4;

/// Which compressor a message goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Meta,
    Content,
    /// The same as it is.
    Packed,
}

fn class(message: &Message) -> Class {
    match message.rank() {
        Rank::Content | Rank::Again => match message {
            Message::Content(Content { packed: true, .. })
            | Message::Fetched(Fetched { packed: true, .. }) => Class::Packed,
            _ => Class::Content,
        },
        // Block sums look random, so they travel with the content, uncompressed; and what announces them does, so that
        // those of many small files share a frame.
        Rank::Want => match message {
            Message::Sums(_) => Class::Content,
            Message::Want(want) if want.basis.is_some() => Class::Content,
            _ => Class::Meta,
        },
        _ => Class::Meta,
    }
}

/// Bytes of content frames that travelled compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compressed {
    /// Before.
    pub from: u64,
    /// After.
    pub to: u64,
}

impl Compressed {
    /// Both together.
    pub fn and(self, other: Compressed) -> Compressed {
        let Compressed { from, to } = other;
        Compressed { from: self.from.saturating_add(from), to: self.to.saturating_add(to) }
    }

    fn add(&mut self, from: usize, to: usize) {
        self.from = self.from.saturating_add(from as u64);
        self.to = self.to.saturating_add(to as u64);
    }
}

/// Turns messages into frames.
pub struct FrameEncoder {
    meta: Encoder<'static>,
    content: Option<ContentEncoder>,
    payload: Vec<u8>,
    listed: u64,
}

/// The compressor for content, and the decision whether to use it.
struct ContentEncoder {
    /// `None`: LZ4, which has no memory.
    encoder: Option<Encoder<'static>>,
    choice: Choice,
    compressed: Compressed,
}

impl FrameEncoder {
    /// An encoder that compresses content as `compression` says, if given.
    pub fn new(compression: Option<Compression>) -> io::Result<FrameEncoder> {
        let content = match compression {
            None => None,
            Some(Compression { level, when, by }) => Some(ContentEncoder {
                encoder: (by == Compressor::Zstd).then(|| encoder(level)).transpose()?,
                choice: Choice::new(when),
                compressed: Compressed::default(),
            }),
        };
        Ok(FrameEncoder { meta: encoder(META_LEVEL)?, content, payload: Vec::new(), listed: 0 })
    }

    /// Learns that writing `bytes` of what it made took so long, until `now`.
    pub fn written(&mut self, bytes: usize, took: Duration, now: Instant) {
        if let Some(content) = &mut self.content {
            content.choice.written(bytes, took, now);
        }
    }

    /// Learns that for so long, until `now`, there was nothing to encode for want of credit.
    pub fn starved(&mut self, took: Duration, now: Instant) {
        if let Some(content) = &mut self.content {
            content.choice.starved(took, now);
        }
    }

    /// How much content it has compressed since this was last asked.
    pub fn take_compressed(&mut self) -> Compressed {
        self.content.as_mut().map(|content| std::mem::take(&mut content.compressed)).unwrap_or_default()
    }

    /// How many bytes of frames were listings since this was last asked.
    pub fn take_listed(&mut self) -> u64 {
        std::mem::take(&mut self.listed)
    }

    /// Appends to `out` one frame with as many messages from the front of `messages` as fit well. Removes them from
    /// there, which ends their use of memory but not of credit.
    pub fn frame(
        &mut self,
        messages: &mut std::collections::VecDeque<Message>,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let Some(class) = messages.front().map(self::class) else { return Ok(()) };
        self.payload.clear();
        let mut listed = 0;
        while let Some(message) = messages.front()
            && self::class(message) == class
            && self.payload.len() < FULL
        {
            let start = self.payload.len();
            codec::encode(message, &mut self.payload)?;
            if message.rank() == Rank::Listing {
                listed += self.payload.len() - start;
            }
            messages.pop_front();
        }
        let kind = if class == Class::Meta { 0 } else { CONTENT };
        let header = out.len();
        out.extend_from_slice(&[kind; HEADER]);
        let start = out.len();
        let compressed = match class {
            Class::Meta => {
                compress(&mut self.meta, &self.payload, out).map_err(WireError::Compression)?;
                COMPRESSED
            }
            Class::Content => match &mut self.content {
                Some(content) => content.compress(&self.payload, out)?,
                None => 0,
            },
            Class::Packed => 0,
        };
        if compressed == 0 {
            out.extend_from_slice(&self.payload);
        }
        let len = u32::try_from(out.len() - start).map_err(|_| WireError::Malformed("frame"))?;
        if let Some([kind, length @ ..]) = out.get_mut(header..start) {
            *kind |= compressed;
            length.copy_from_slice(&len.to_le_bytes());
        }
        self.listed += share(out.len() - header, listed, self.payload.len());
        Ok(())
    }
}

impl ContentEncoder {
    /// Appends the payload compressed, or nothing if it is better sent as it is. Returns which, as bits of the kind.
    /// What was compressed must be sent so, whatever came of it: the decompressor would lack it.
    fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<u8, WireError> {
        let begun = Instant::now();
        if !self.choice.compresses(payload.len(), begun) {
            return Ok(0);
        }
        let start = out.len();
        let (done, how) = match &mut self.encoder {
            Some(encoder) => (compress(encoder, payload, out), COMPRESSED),
            None => (compress_lz4(payload, out), COMPRESSED | LZ4),
        };
        done.map_err(WireError::Compression)?;
        let now = Instant::now();
        let block = Block { from: payload.len(), to: out.len() - start, took: now.duration_since(begun) };
        self.compressed.add(block.from, block.to);
        self.choice.compressed(block, now);
        Ok(how)
    }
}

/// What of a frame of `len` bytes are listings, which are `listed` of the `whole` bytes in it before compression.
fn share(len: usize, listed: usize, whole: usize) -> u64 {
    (len as u64).saturating_mul(listed as u64).checked_div(whole as u64).unwrap_or(0)
}

fn encoder(level: i32) -> io::Result<Encoder<'static>> {
    let mut encoder = Encoder::new(level)?;
    encoder.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    Ok(encoder)
}

fn compress(encoder: &mut Encoder<'static>, payload: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut input = InBuffer::around(payload);
    out.reserve(payload.len() / 2 + 64);
    loop {
        let done = input.pos() == payload.len();
        let written = out.len();
        if out.capacity() - written < 64 {
            out.reserve(32 << 10);
        }
        let mut output = OutBuffer::around_pos(out, written);
        if !done {
            encoder.run(&mut input, &mut output)?;
        } else if encoder.flush(&mut output)? == 0 {
            return Ok(());
        }
    }
}

/// Appends the payload as an LZ4 block with its length before it, whatever comes of it.
fn compress_lz4(payload: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
    out.extend_from_slice(&len.to_le_bytes());
    let start = out.len();
    out.resize(start.saturating_add(get_maximum_output_size(payload.len())), 0);
    let room = out.get_mut(start..).unwrap_or_default();
    let written = compress_into(payload, room).map_err(io::Error::other)?;
    out.truncate(start.saturating_add(written));
    Ok(())
}

/// Turns frames into messages.
pub struct FrameDecoder {
    meta: Decoder<'static>,
    content: Decoder<'static>,
    compressed: Compressed,
    listed: u64,
}

impl FrameDecoder {
    /// A decoder for one direction of a link.
    pub fn new() -> io::Result<FrameDecoder> {
        let decoder = || {
            let mut decoder = Decoder::new()?;
            decoder.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(WINDOW_LOG))?;
            io::Result::Ok(decoder)
        };
        Ok(FrameDecoder {
            meta: decoder()?,
            content: decoder()?,
            compressed: Compressed::default(),
            listed: 0,
        })
    }

    /// How much content came compressed since this was last asked.
    pub fn take_compressed(&mut self) -> Compressed {
        std::mem::take(&mut self.compressed)
    }

    /// How many bytes of frames were listings since this was last asked.
    pub fn take_listed(&mut self) -> u64 {
        std::mem::take(&mut self.listed)
    }

    /// Whether the frame with this header holds content, and nothing else.
    pub fn is_content([kind, ..]: [u8; HEADER]) -> bool {
        kind & CONTENT != 0
    }

    /// How long the payload after this header is. Refuses kinds that this version does not have.
    pub fn payload_len(header: [u8; HEADER]) -> Result<usize, WireError> {
        let [kind, length @ ..] = header;
        let has_unfit = kind & LZ4 != 0 && kind & (COMPRESSED | CONTENT) != COMPRESSED | CONTENT;
        if kind & !(COMPRESSED | CONTENT | LZ4) != 0 || has_unfit {
            return Err(WireError::Malformed("frame: its kind is unknown"));
        }
        let length = u32::from_le_bytes(length);
        match usize::try_from(length) {
            Ok(len) if len <= MAX_PAYLOAD => Ok(len),
            _ => Err(WireError::TooLong { what: "frame", length: length.into(), limit: MAX_PAYLOAD as u64 }),
        }
    }

    /// Hands the messages of a frame to `each`, with the bytes each took there.
    pub fn messages(
        &mut self,
        header: [u8; HEADER],
        payload: Vec<u8>,
        mut each: impl FnMut(Message, usize),
    ) -> Result<(), WireError> {
        let [kind, ..] = header;
        let (len, mut listed) = (HEADER + payload.len(), 0);
        let payload = match (kind & COMPRESSED != 0, kind & CONTENT != 0) {
            (false, _) => payload,
            (true, false) => decompress(&mut self.meta, &payload)?,
            (true, true) => {
                let content = match kind & LZ4 {
                    0 => decompress(&mut self.content, &payload)?,
                    _ => decompress_lz4(&payload)?,
                };
                self.compressed.add(content.len(), payload.len());
                content
            }
        };
        let class = if kind & CONTENT != 0 { Class::Content } else { Class::Meta };
        let mut cursor = Cursor::new(Bytes::from(payload));
        let whole = cursor.len();
        while !cursor.is_empty() {
            let before = cursor.len();
            let mut message = codec::decode(&mut cursor)?;
            if self::class(&message) != class {
                return Err(WireError::Malformed("frame: a message in it is of the other kind"));
            }
            let size = before - cursor.len();
            if message.rank() == Rank::Listing {
                listed += size;
            }
            if size < whole / SHARE {
                unshare(&mut message);
            }
            each(message, size);
        }
        self.listed += share(len, listed, whole);
        Ok(())
    }
}

/// Copies the bytes that a message shares with its frame, so that it does not keep the frame.
fn unshare(message: &mut Message) {
    let copy = |data: &mut Bytes| *data = Bytes::copy_from_slice(data);
    match message {
        Message::Sums(part) => copy(&mut part.strong),
        Message::Content(content) => content.ops.iter_mut().for_each(|op| match op {
            ContentOp::Literal(data) | ContentOp::Rewrite { data, .. } => copy(data),
            ContentOp::Copy { .. } | ContentOp::Gap { .. } | ContentOp::File(_) => {}
        }),
        Message::Fetched(fetched) => copy(&mut fetched.data),
        Message::Talk(talk) => copy(talk),
        _ => {}
    }
}

fn decompress_lz4(payload: &[u8]) -> Result<Vec<u8>, WireError> {
    const BROKEN: WireError = WireError::Malformed("frame: its content cannot be decompressed");
    let (length, block) = payload.split_first_chunk::<LZ4_LENGTH>().ok_or(BROKEN)?;
    let len = u32::from_le_bytes(*length);
    let fits = usize::try_from(len).ok().filter(|len| *len <= MAX_PAYLOAD);
    let Some(fits) = fits else {
        let what = "decompressed frame";
        return Err(WireError::TooLong { what, length: len.into(), limit: MAX_PAYLOAD as u64 });
    };
    let mut out = vec![0; fits];
    match decompress_into(block, &mut out) {
        Ok(written) if written == out.len() => Ok(out),
        _ => Err(BROKEN),
    }
}

fn decompress(decoder: &mut Decoder<'static>, payload: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut input = InBuffer::around(payload);
    let mut out: Vec<u8> = Vec::with_capacity(payload.len().saturating_mul(3).clamp(256, MAX_PAYLOAD));
    loop {
        let written = out.len();
        if out.capacity() == written {
            out.reserve(64 << 10);
        }
        let mut output = OutBuffer::around_pos(&mut out, written);
        decoder.run(&mut input, &mut output).map_err(WireError::Compression)?;
        if out.len() > MAX_PAYLOAD {
            return Err(WireError::TooLong {
                what: "decompressed frame",
                length: out.len() as u64,
                limit: MAX_PAYLOAD as u64,
            });
        }
        // Room left in the output means that the decoder has nothing more to give.
        if input.pos() == payload.len() && out.len() < out.capacity() {
            // Messages may keep it for long, and have paid for what they hold.
            out.shrink_to_fit();
            return Ok(out);
        }
    }
}
