//! Messages as bytes.
//!
//! Integers are LEB128 varints, signed ones zigzag-coded first (both as in the Protocol Buffers encoding guide);
//! byte strings carry their length. A decoder checks every length against what is left before it takes a byte, and
//! every count against the least an element can take, so nothing is allocated that did not arrive.

use crate::delta::{BlockLen, Digest, SignatureHeader, StrongLen, Sum};
use crate::wire::attached::ATTACHED_LIMIT;
use crate::wire::batch::{decode_fetch, decode_fetched, encode_fetch, encode_fetched};
use crate::wire::extra::{LastAcls, decode_extra, encode_extra};
use crate::wire::listing::{
    decode_expand, decode_listing, decode_mention, decode_owners, encode_expand, encode_listing,
    encode_mention, encode_owners,
};
use crate::wire::message::{MAX_OPS, MAX_TALK};
use crate::wire::{
    Again, Begin, ChannelSet, Check, Confirm, Content, ContentEnd, ContentOp, DirId, FileId, FileThere,
    Identified, Identify, Message, Rank, SumsPart, Token, Verdict, Want, WireError,
};
use bytes::{Buf, Bytes};
use filetime::FileTime;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes the parts of a message.
pub(crate) trait Put {
    fn put_varint(&mut self, value: u64);
    fn put_signed(&mut self, value: i64);
    fn put_bytes(&mut self, bytes: &[u8]);
}

impl Put for Vec<u8> {
    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push((value as u8) | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    fn put_signed(&mut self, value: i64) {
        self.put_varint(((value << 1) ^ (value >> 63)) as u64);
    }

    fn put_bytes(&mut self, bytes: &[u8]) {
        self.put_varint(bytes.len() as u64);
        self.extend_from_slice(bytes);
    }
}

/// Reads the parts of a message out of a frame.
#[derive(Debug)]
pub(crate) struct Cursor {
    bytes: Bytes,
}

impl Cursor {
    pub(crate) fn new(bytes: Bytes) -> Cursor {
        Cursor { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Bytes left.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, WireError> {
        self.bytes.try_get_u8().map_err(|_| WireError::Malformed("message: it ends early"))
    }

    pub(crate) fn varint(&mut self) -> Result<u64, WireError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(WireError::Malformed("number: it is longer than 64 bits"))
    }

    /// Seconds and nanoseconds.
    pub(crate) fn time(&mut self) -> Result<FileTime, WireError> {
        let (seconds, nanos) = (self.signed()?, self.u32()?);
        match nanos {
            0..1_000_000_000 => Ok(FileTime::from_unix_time(seconds, nanos)),
            _ => Err(WireError::Malformed("time")),
        }
    }

    pub(crate) fn signed(&mut self) -> Result<i64, WireError> {
        let value = self.varint()?;
        Ok(((value >> 1) as i64) ^ -((value & 1) as i64))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        u32::try_from(self.varint()?).map_err(|_| WireError::Malformed("number: it is longer than 32 bits"))
    }

    /// Exactly `len` bytes, shared with the frame.
    pub(crate) fn take(&mut self, len: u64) -> Result<Bytes, WireError> {
        match usize::try_from(len) {
            Ok(len) if len <= self.bytes.len() => Ok(self.bytes.split_to(len)),
            _ => Err(WireError::Malformed("length: it is beyond the end of the frame")),
        }
    }

    /// A byte string of at most `limit` bytes.
    pub(crate) fn bytes(&mut self, what: &'static str, limit: u64) -> Result<Bytes, WireError> {
        let length = self.varint()?;
        if length > limit {
            return Err(WireError::TooLong { what, length, limit });
        }
        self.take(length)
    }

    /// A count of things that take at least `least` bytes each, of which a message holds `most` at most. The second
    /// limit is there because some take far more memory than bytes.
    pub(crate) fn count(&mut self, what: &'static str, least: usize, most: u64) -> Result<usize, WireError> {
        let count = self.varint()?;
        if count > most {
            return Err(WireError::TooLong { what, length: count, limit: most });
        }
        match usize::try_from(count) {
            Ok(n) if n.saturating_mul(least) <= self.bytes.len() => Ok(n),
            _ => Err(WireError::Malformed("count: there is not that much in the frame")),
        }
    }

    /// Exactly `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], WireError> {
        let bytes = self.take(N as u64)?;
        bytes.as_ref().try_into().map_err(|_| WireError::Malformed(what))
    }

    pub(crate) fn sum(&mut self) -> Result<Sum, WireError> {
        self.array("sum").map(Sum)
    }

    fn digest(&mut self) -> Result<Digest, WireError> {
        self.array("digest").map(Digest)
    }

    pub(crate) fn token(&mut self) -> Result<Token, WireError> {
        self.array("token")
    }

    fn postcard<T: DeserializeOwned>(&mut self, what: &'static str) -> Result<T, WireError> {
        let bytes = self.bytes(what, RARE_LIMIT)?;
        postcard::from_bytes(&bytes).map_err(|_| WireError::Malformed(what))
    }
}

/// The longest a message may be that is neither content nor listing, in bytes.
const RARE_LIMIT: u64 = 256 << 10;

fn put_postcard<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    // Serialising these types into memory cannot fail; an empty value would be refused by the decoder.
    out.put_bytes(&postcard::to_stdvec(value).unwrap_or_default());
}

/// Appends `message`.
pub(crate) fn encode(message: &Message, out: &mut Vec<u8>) -> Result<(), WireError> {
    match message {
        Message::Begin(begin) => {
            out.push(1);
            let (has_root, has_extra) = (begin.root.is_some(), begin.extra.is_some());
            let flags = [begin.single, has_root, has_extra, begin.bare];
            out.push((0..).zip(flags).fold(0, |all, (bit, flag)| all | u8::from(flag) << bit));
            if let Some(meta) = &begin.root {
                crate::wire::entry::encode_meta(meta, out);
            }
            if let Some(extra) = &begin.extra {
                encode_extra(extra, true, &mut LastAcls::default(), out);
            }
            encode_owners(&begin.owners, out);
        }
        Message::Listing(listing) => encode_listing(listing, out),
        Message::Mention(mention) => encode_mention(mention, out),
        Message::Expand(expand) => encode_expand(expand, out),
        Message::Listed => out.push(3),
        Message::Want(want) => {
            out.push(4);
            for number in [want.file.0, want.dir.0, want.index] {
                out.put_varint(number.into());
            }
            match &want.basis {
                None if want.from > 0 => {
                    out.push(3);
                    out.put_varint(want.from);
                }
                None => out.push(0),
                Some(header) => {
                    out.push(if want.refine { 2 } else { 1 });
                    out.put_varint(header.basis_len);
                    out.put_varint(header.block_len.get().into());
                    out.put_varint(header.strong_len.get().into());
                }
            }
        }
        Message::Sums(part) => {
            out.push(5);
            out.put_varint(part.file.0.into());
            out.put_varint(part.weak.len() as u64);
            for weak in &part.weak {
                out.extend_from_slice(&weak.to_le_bytes());
            }
            out.put_bytes(&part.strong);
        }
        Message::Check(check) => {
            out.push(6);
            for number in [check.file.0, check.dir.0, check.index] {
                out.put_varint(number.into());
            }
            out.extend_from_slice(&check.sum.0);
        }
        Message::Verdict(verdict) => {
            out.push(7);
            out.put_varint(verdict.file.0.into());
            out.push(verdict.same.into());
        }
        Message::Identify(Identify { file, dir, index }) => {
            out.push(24);
            for number in [file.0, dir.0, *index] {
                out.put_varint(number.into());
            }
        }
        Message::Identified(identified) => {
            out.push(25);
            out.put_varint(identified.file.0.into());
            out.push(identified.digest.is_some().into());
            out.extend_from_slice(identified.digest.as_ref().map_or(&[], |digest| digest.0.as_slice()));
        }
        Message::Content(content) => encode_content(content, out)?,
        Message::Again(again) => {
            out.push(9);
            for number in [again.file.0, again.dir.0, again.index] {
                out.put_varint(number.into());
            }
            out.put_varint(again.segment_len.get().into());
            out.put_varint(again.segments.len() as u64);
            again.segments.iter().for_each(|sum| out.extend_from_slice(&sum.0));
        }
        Message::Close(dir) => {
            out.push(10);
            out.put_varint(dir.0.into());
        }
        Message::Confirm(Confirm { dir, index, there }) => {
            out.push(26);
            for number in [dir.0.into(), (*index).into(), there.ino] {
                out.put_varint(number);
            }
            out.put_signed(there.ctime.unix_seconds());
            out.put_varint(there.ctime.nanoseconds().into());
        }
        Message::Event(event) => {
            out.push(11);
            put_postcard(out, event);
        }
        Message::Progress(reading) => {
            out.push(12);
            put_postcard(out, reading);
        }
        Message::Credit { rank, bytes } => {
            out.push(13);
            out.push(rank.credited().unwrap_or_default() as u8);
            out.put_varint(*bytes);
        }
        Message::Alive => out.push(14),
        Message::Finish(totals) => {
            out.push(15);
            put_postcard(out, totals);
        }
        Message::Abort(abort) => {
            out.push(16);
            put_postcard(out, abort);
        }
        Message::Fetch(fetch) => {
            out.push(19);
            encode_fetch(fetch, out);
        }
        Message::Fetched(fetched) => {
            out.push(20);
            encode_fetched(fetched, out)?;
        }
        Message::Invite(token) => {
            out.push(21);
            out.extend_from_slice(token);
        }
        Message::Spread(channels) => out.extend_from_slice(&[22, channels.0]),
        Message::Talk(talk) => {
            out.push(23);
            out.put_bytes(talk);
        }
    }
    Ok(())
}

/// Reads one message.
pub(crate) fn decode(cursor: &mut Cursor) -> Result<Message, WireError> {
    Ok(match cursor.byte()? {
        1 => {
            let flags = cursor.byte()?;
            let root = if flags & 2 != 0 { Some(crate::wire::entry::decode_meta(cursor)?) } else { None };
            let extra = match flags & 4 {
                0 => None,
                _ => decode_extra(cursor, true, &mut LastAcls::default())?,
            };
            let (single, bare) = (flags & 1 != 0, flags & 8 != 0);
            Message::Begin(Begin { root, extra, single, bare, owners: decode_owners(cursor)? })
        }
        2 => Message::Listing(decode_listing(cursor)?),
        3 => Message::Listed,
        4 => Message::Want(decode_want(cursor)?),
        5 => Message::Sums(decode_sums(cursor)?),
        6 => Message::Check(Check {
            file: FileId(cursor.u32()?),
            dir: DirId(cursor.u32()?),
            index: cursor.u32()?,
            sum: cursor.sum()?,
        }),
        7 => Message::Verdict(Verdict { file: FileId(cursor.u32()?), same: cursor.byte()? != 0 }),
        8 => Message::Content(decode_content(cursor)?),
        9 => {
            let (file, dir, index) = (FileId(cursor.u32()?), DirId(cursor.u32()?), cursor.u32()?);
            let segment_len = BlockLen::new(cursor.varint()?);
            let segment_len =
                segment_len.map_err(|_| WireError::Malformed("list of segments: their length"))?;
            let segments = (0..cursor.count("list of segments", 16, u64::MAX)?)
                .map(|_| cursor.sum())
                .collect::<Result<_, _>>()?;
            Message::Again(Again { file, dir, index, segment_len, segments })
        }
        10 => Message::Close(DirId(cursor.u32()?)),
        11 => Message::Event(cursor.postcard("event")?),
        12 => Message::Progress(cursor.postcard("progress")?),
        13 => {
            let rank = Rank::CREDITED.get(usize::from(cursor.byte()?)).copied();
            Message::Credit { rank: rank.ok_or(WireError::Malformed("credit"))?, bytes: cursor.varint()? }
        }
        14 => Message::Alive,
        15 => Message::Finish(cursor.postcard("summary")?),
        16 => Message::Abort(cursor.postcard("reason")?),
        17 => Message::Mention(decode_mention(cursor)?),
        18 => Message::Expand(decode_expand(cursor)?),
        26 => {
            let (dir, index) = (DirId(cursor.u32()?), cursor.u32()?);
            let there = FileThere { ino: cursor.varint()?, ctime: cursor.time()? };
            Message::Confirm(Confirm { dir, index, there })
        }
        19 => Message::Fetch(decode_fetch(cursor)?),
        20 => Message::Fetched(decode_fetched(cursor)?),
        21 => Message::Invite(cursor.token()?),
        22 => Message::Spread(ChannelSet(cursor.byte()?)),
        23 => Message::Talk(cursor.bytes("talk", MAX_TALK)?),
        24 => {
            let (file, dir) = (FileId(cursor.u32()?), DirId(cursor.u32()?));
            Message::Identify(Identify { file, dir, index: cursor.u32()? })
        }
        25 => {
            let file = FileId(cursor.u32()?);
            let digest = match cursor.byte()? {
                0 => None,
                _ => Some(cursor.digest()?),
            };
            Message::Identified(Identified { file, digest })
        }
        _ => return Err(WireError::Malformed("message: its kind is unknown")),
    })
}

fn decode_want(cursor: &mut Cursor) -> Result<Want, WireError> {
    let (file, dir, index) = (FileId(cursor.u32()?), DirId(cursor.u32()?), cursor.u32()?);
    let kind = cursor.byte()?;
    let mut from = 0;
    let basis = match kind {
        0 => None,
        3 => {
            from = cursor.varint()?;
            None
        }
        1 | 2 => {
            let basis_len = cursor.varint()?;
            let (block_len, strong_len) = decode_lengths(cursor)?;
            let header = SignatureHeader { basis_len, block_len, strong_len };
            header.validate().map_err(|_| WireError::Malformed("signature"))?;
            Some(header)
        }
        _ => return Err(WireError::Malformed("request")),
    };
    Ok(Want { file, dir, index, basis, refine: kind == 2, from })
}

fn decode_lengths(cursor: &mut Cursor) -> Result<(BlockLen, StrongLen), WireError> {
    let block_len =
        BlockLen::new(cursor.varint()?).map_err(|_| WireError::Malformed("signature: block length"))?;
    let strong_len =
        StrongLen::new(cursor.varint()?).map_err(|_| WireError::Malformed("signature: sum length"))?;
    Ok((block_len, strong_len))
}

fn decode_sums(cursor: &mut Cursor) -> Result<SumsPart, WireError> {
    let file = FileId(cursor.u32()?);
    let count = cursor.count("list of sums", 4, u64::MAX)?;
    let raw = cursor.take(4 * count as u64)?;
    let weak =
        raw.chunks_exact(4).map(|b| b.iter().rev().fold(0, |n, byte| n << 8 | u32::from(*byte))).collect();
    let length = cursor.varint()?;
    Ok(SumsPart { file, weak, strong: cursor.take(length)? })
}

fn encode_content(content: &Content, out: &mut Vec<u8>) -> Result<(), WireError> {
    out.push(8);
    out.put_varint(content.file.0.into());
    out.push(match content.end {
        None => 0,
        Some(ContentEnd::Complete { .. }) if !content.attached.is_empty() => 4,
        Some(ContentEnd::Complete { .. }) => 1,
        Some(ContentEnd::Unreadable) => 2,
        Some(ContentEnd::Round { .. }) => 3,
        Some(ContentEnd::Local) => return Err(WireError::Malformed("content: it is local")),
    });
    match content.end {
        Some(ContentEnd::Complete { len, sum }) => {
            out.put_varint(len);
            out.extend_from_slice(&sum.0);
            if !content.attached.is_empty() {
                out.put_bytes(&content.attached);
            }
        }
        Some(ContentEnd::Round { block_len, strong_len }) => {
            out.put_varint(block_len.get().into());
            out.put_varint(strong_len.get().into());
        }
        _ => {}
    }
    out.put_varint(content.ops.len() as u64);
    for op in &content.ops {
        match op {
            ContentOp::Literal(data) => {
                out.push(0);
                out.put_bytes(data);
            }
            ContentOp::Copy { offset, len } => {
                out.push(1);
                out.put_varint(*offset);
                out.put_varint(*len);
            }
            ContentOp::Rewrite { offset, data } => {
                out.push(2);
                out.put_varint(*offset);
                out.put_bytes(data);
            }
            ContentOp::Gap { len, offset, basis_len } => {
                out.push(3);
                for number in [*len, *offset, *basis_len] {
                    out.put_varint(number);
                }
            }
            ContentOp::File(_) => return Err(WireError::Malformed("content: it is local")),
        }
    }
    Ok(())
}

fn decode_content(cursor: &mut Cursor) -> Result<Content, WireError> {
    let file = FileId(cursor.u32()?);
    let mut attached = Bytes::new();
    let end = match cursor.byte()? {
        0 => None,
        1 => Some(ContentEnd::Complete { len: cursor.varint()?, sum: cursor.sum()? }),
        4 => {
            let end = ContentEnd::Complete { len: cursor.varint()?, sum: cursor.sum()? };
            attached = cursor.bytes("extended attributes", ATTACHED_LIMIT)?;
            Some(end)
        }
        2 => Some(ContentEnd::Unreadable),
        3 => {
            let (block_len, strong_len) = decode_lengths(cursor)?;
            Some(ContentEnd::Round { block_len, strong_len })
        }
        _ => return Err(WireError::Malformed("content")),
    };
    let ops = (0..cursor.count("list of operations", 2, MAX_OPS)?)
        .map(|_| decode_op(cursor))
        .collect::<Result<_, _>>()?;
    Ok(Content { file, ops, attached, end, packed: false })
}

fn decode_op(cursor: &mut Cursor) -> Result<ContentOp, WireError> {
    Ok(match cursor.byte()? {
        0 => {
            let len = cursor.varint()?;
            ContentOp::Literal(cursor.take(len)?)
        }
        1 => ContentOp::Copy { offset: cursor.varint()?, len: cursor.varint()? },
        2 => {
            let offset = cursor.varint()?;
            let len = cursor.varint()?;
            ContentOp::Rewrite { offset, data: cursor.take(len)? }
        }
        3 => ContentOp::Gap { len: cursor.varint()?, offset: cursor.varint()?, basis_len: cursor.varint()? },
        _ => return Err(WireError::Malformed("content: unknown operation")),
    })
}
