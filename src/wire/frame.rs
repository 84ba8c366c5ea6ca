//! Frames: runs of messages with a length in front, compressed where that pays.
//!
//! A frame is one byte of kind, four bytes of payload length (little endian), and the payload: whole messages, one
//! after the other. Messages are of two classes. Those about the trees (`Class::Meta`: listings, requests,
//! outcomes) are always compressed, in one zstd stream per direction, so that each frame profits from those before.
//! Content is compressed only when asked, and not while it turns out incompressible. Stream and class never mix, so
//! each side needs two compressors and two decompressors.

use crate::wire::codec::{self, Cursor};
use crate::wire::{ContentOp, Message, Rank, WireError};
use bytes::Bytes;
use std::io;
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

/// Which compressor a message goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Meta,
    Content,
}

fn class(message: &Message) -> Class {
    // Block sums look random, so they travel with the content, uncompressed.
    match message.rank() {
        Rank::Content | Rank::Again => Class::Content,
        Rank::Want if matches!(message, Message::Sums(_)) => Class::Content,
        _ => Class::Meta,
    }
}

/// Turns messages into frames.
pub struct FrameEncoder {
    meta: Encoder<'static>,
    content: Option<Adaptive>,
    payload: Vec<u8>,
}

/// A compressor that rests while the data does not shrink.
struct Adaptive {
    encoder: Encoder<'static>,
    /// Frames to let pass before trying again.
    rest: u32,
    /// How long the last rest was.
    last_rest: u32,
}

impl FrameEncoder {
    /// An encoder that compresses content at the zstd level `content_level`, if given.
    pub fn new(content_level: Option<i32>) -> io::Result<FrameEncoder> {
        let content = match content_level {
            None => None,
            Some(level) => Some(Adaptive { encoder: encoder(level)?, rest: 0, last_rest: 0 }),
        };
        Ok(FrameEncoder { meta: encoder(META_LEVEL)?, content, payload: Vec::new() })
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
        while let Some(message) = messages.front()
            && self::class(message) == class
            && self.payload.len() < FULL
        {
            codec::encode(message, &mut self.payload)?;
            messages.pop_front();
        }
        let kind = if class == Class::Content { CONTENT } else { 0 };
        let header = out.len();
        out.extend_from_slice(&[kind; HEADER]);
        let start = out.len();
        let compressed = match class {
            Class::Meta => {
                compress(&mut self.meta, &self.payload, out).map_err(WireError::Compression)?;
                true
            }
            Class::Content => match &mut self.content {
                Some(adaptive) => adaptive.compress(&self.payload, out)?,
                None => false,
            },
        };
        if !compressed {
            out.extend_from_slice(&self.payload);
        }
        let len = u32::try_from(out.len() - start).map_err(|_| WireError::Malformed("frame"))?;
        if let Some([kind, length @ ..]) = out.get_mut(header..start) {
            *kind |= if compressed { COMPRESSED } else { 0 };
            length.copy_from_slice(&len.to_le_bytes());
        }
        Ok(())
    }
}

impl Adaptive {
    /// Appends the payload compressed, or nothing if this is a time of rest. Returns which.
    fn compress(&mut self, payload: &[u8], out: &mut Vec<u8>) -> Result<bool, WireError> {
        if self.rest > 0 {
            self.rest -= 1;
            return Ok(false);
        }
        let start = out.len();
        compress(&mut self.encoder, payload, out).map_err(WireError::Compression)?;
        // What was compressed must be sent, or the decompressor would lack it; but a stretch of data that does not
        // shrink by a twentieth buys the following frames a rest, twice as long each time.
        if (out.len() - start).saturating_mul(20) > payload.len().saturating_mul(19) {
            self.last_rest = (self.last_rest * 2).clamp(4, 64);
            self.rest = self.last_rest;
        } else {
            self.last_rest = 0;
        }
        Ok(true)
    }
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

/// Turns frames into messages.
pub struct FrameDecoder {
    meta: Decoder<'static>,
    content: Decoder<'static>,
}

impl FrameDecoder {
    /// A decoder for one direction of a link.
    pub fn new() -> io::Result<FrameDecoder> {
        let decoder = || {
            let mut decoder = Decoder::new()?;
            decoder.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(WINDOW_LOG))?;
            io::Result::Ok(decoder)
        };
        Ok(FrameDecoder { meta: decoder()?, content: decoder()? })
    }

    /// How long the payload after this header is. Refuses kinds that this version does not have.
    pub fn payload_len(header: [u8; HEADER]) -> Result<usize, WireError> {
        let [kind, length @ ..] = header;
        if kind & !(COMPRESSED | CONTENT) != 0 {
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
        let payload = match (kind & COMPRESSED != 0, kind & CONTENT != 0) {
            (false, _) => payload,
            (true, false) => decompress(&mut self.meta, &payload)?,
            (true, true) => decompress(&mut self.content, &payload)?,
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
            if size < whole / SHARE {
                unshare(&mut message);
            }
            each(message, size);
        }
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
        _ => {}
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
