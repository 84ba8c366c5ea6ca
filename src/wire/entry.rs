//! Entries as bytes: each is told as what differs from the one before it.
//!
//! A listing is sorted, so a name shares its beginning with the name before; files of one directory mostly share
//! owner, group and mode, and their times are near each other. The listing is compressed afterwards, but what was
//! never written costs nothing to compress.

use crate::tree::{Entry, Gid, Kind, MAX_NAME, Meta, Name, Node, Rdev, Uid};
use crate::wire::WireError;
use crate::wire::codec::{Cursor, Put};
use crate::wire::extra::{LastAcls, decode_extra, encode_extra, tells};
use crate::wire::message::MAX_ENTRIES;
use filetime::FileTime;

/// The longest symlink target accepted, in bytes: Linux's PATH_MAX.
const TARGET_LIMIT: u64 = 4096;

const SAME_MODE: u8 = 1 << 3;
const SAME_OWNER: u8 = 1 << 4;
const SAME_TIME: u8 = 1 << 5;
const WHOLE_SECOND: u8 = 1 << 6;
const HAS_EXTRA: u8 = 1 << 7;

const NOTHING: Meta = Meta { mode: 0, mtime: FileTime::zero(), uid: Uid::ROOT, gid: Gid::ROOT };

pub(crate) fn encode_entries(entries: &[Entry], out: &mut Vec<u8>) {
    out.put_varint(entries.len() as u64);
    let (mut name, mut meta): (&[u8], &Meta) = (&[], &NOTHING);
    let mut acls = LastAcls::default();
    for entry in entries {
        encode_entry(entry, name, meta, out);
        if let Some(extra) = entry.extra.as_deref().filter(|extra| tells(extra)) {
            encode_extra(extra, entry.is_dir(), &mut acls, out);
        }
        (name, meta) = (entry.name.as_bytes(), &entry.meta);
    }
}

/// Reads entries, in strictly ascending order of names as every listing has them.
pub(crate) fn decode_entries(cursor: &mut Cursor) -> Result<Vec<Entry>, WireError> {
    let count = cursor.count("list of entries", 3, MAX_ENTRIES)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(count);
    let mut name = Vec::new();
    let mut acls = LastAcls::default();
    for _ in 0..count {
        let last = entries.last();
        let entry = decode_entry(cursor, &mut name, last.map_or(&NOTHING, |last| &last.meta), &mut acls)?;
        if last.is_some_and(|last| last.name >= entry.name) {
            return Err(WireError::Malformed("listing: it is not sorted"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// An entry that is told by itself.
pub(crate) fn told_entry(entry: &Entry) -> Vec<u8> {
    let mut out = Vec::new();
    encode_entries(std::slice::from_ref(entry), &mut out);
    out
}

/// The entry of [`told_entry`].
pub(crate) fn untold_entry(told: Vec<u8>) -> Result<Entry, WireError> {
    let mut cursor = Cursor::new(told.into());
    let mut entries = decode_entries(&mut cursor)?;
    let entry = entries.pop().filter(|_| entries.is_empty() && cursor.is_empty());
    entry.ok_or(WireError::Malformed("entry: it is not one"))
}

fn encode_entry(entry: &Entry, name_before: &[u8], before: &Meta, out: &mut Vec<u8>) {
    let extra = if entry.extra.as_deref().is_some_and(tells) { HAS_EXTRA } else { 0 };
    out.push(entry.kind().code() | meta_flags(&entry.meta, before) | extra);
    let name = entry.name.as_bytes();
    let shared = name.iter().zip(name_before).take_while(|(a, b)| a == b).count();
    out.put_varint(shared as u64);
    out.put_bytes(name.get(shared..).unwrap_or_default());
    put_meta(&entry.meta, before, out);
    match &entry.node {
        Node::File { size } => out.put_varint(*size),
        Node::Symlink { target } => out.put_bytes(target),
        Node::CharDevice(rdev) | Node::BlockDevice(rdev) => {
            out.put_varint(rdev.major.into());
            out.put_varint(rdev.minor.into());
        }
        Node::Directory | Node::Fifo | Node::Socket => {}
    }
}

/// `name` is the one before, and then the entry's; `acls` those told last.
fn decode_entry(
    cursor: &mut Cursor,
    name: &mut Vec<u8>,
    before: &Meta,
    acls: &mut LastAcls,
) -> Result<Entry, WireError> {
    let flags = cursor.byte()?;
    let shared = usize::try_from(cursor.varint()?).ok().filter(|shared| *shared <= name.len());
    name.truncate(shared.ok_or(WireError::Malformed("name"))?);
    name.extend_from_slice(&cursor.bytes("name", MAX_NAME as u64)?);
    let name = Name::new(name)?;
    let meta = take_meta(cursor, flags, before)?;
    let kind = Kind::from_code(flags & 7).ok_or(WireError::Malformed("entry: its kind is unknown"))?;
    let node = match kind {
        Kind::File => Node::File { size: cursor.varint()? },
        Kind::Directory => Node::Directory,
        Kind::Symlink => {
            let target: Box<[u8]> = cursor.bytes("symlink target", TARGET_LIMIT)?.as_ref().into();
            if target.contains(&0) {
                return Err(WireError::Malformed("symlink target"));
            }
            Node::Symlink { target }
        }
        Kind::Fifo => Node::Fifo,
        Kind::Socket => Node::Socket,
        Kind::CharDevice => Node::CharDevice(decode_rdev(cursor)?),
        Kind::BlockDevice => Node::BlockDevice(decode_rdev(cursor)?),
    };
    let mut entry = Entry::new(name, node, meta);
    if flags & HAS_EXTRA != 0 {
        entry.extra = decode_extra(cursor, entry.is_dir(), acls)?;
    }
    Ok(entry)
}

fn decode_rdev(cursor: &mut Cursor) -> Result<Rdev, WireError> {
    Ok(Rdev { major: cursor.u32()?, minor: cursor.u32()? })
}

pub(crate) fn encode_meta(meta: &Meta, out: &mut Vec<u8>) {
    out.push(meta_flags(meta, &NOTHING));
    put_meta(meta, &NOTHING, out);
}

pub(crate) fn decode_meta(cursor: &mut Cursor) -> Result<Meta, WireError> {
    let flags = cursor.byte()?;
    take_meta(cursor, flags, &NOTHING)
}

fn meta_flags(meta: &Meta, before: &Meta) -> u8 {
    let mut flags = 0;
    if meta.mode == before.mode {
        flags |= SAME_MODE;
    }
    if (meta.uid, meta.gid) == (before.uid, before.gid) {
        flags |= SAME_OWNER;
    }
    if meta.mtime == before.mtime {
        flags |= SAME_TIME;
    } else if meta.mtime.nanoseconds() == 0 {
        flags |= WHOLE_SECOND;
    }
    flags
}

fn put_meta(meta: &Meta, before: &Meta, out: &mut Vec<u8>) {
    let flags = meta_flags(meta, before);
    if flags & SAME_MODE == 0 {
        out.put_varint(meta.mode.into());
    }
    if flags & SAME_OWNER == 0 {
        out.put_varint(meta.uid.0.into());
        out.put_varint(meta.gid.0.into());
    }
    if flags & SAME_TIME == 0 {
        out.put_signed(meta.mtime.unix_seconds().wrapping_sub(before.mtime.unix_seconds()));
        if flags & WHOLE_SECOND == 0 {
            out.put_varint(meta.mtime.nanoseconds().into());
        }
    }
}

fn take_meta(cursor: &mut Cursor, flags: u8, before: &Meta) -> Result<Meta, WireError> {
    let mut meta = *before;
    if flags & SAME_MODE == 0 {
        meta.mode = cursor.u32()?;
        if meta.mode > 0o7777 {
            return Err(WireError::Malformed("mode"));
        }
    }
    if flags & SAME_OWNER == 0 {
        meta.uid = Uid(cursor.u32()?);
        meta.gid = Gid(cursor.u32()?);
    }
    if flags & SAME_TIME == 0 {
        let seconds = before.mtime.unix_seconds().wrapping_add(cursor.signed()?);
        let nanos = if flags & WHOLE_SECOND == 0 { cursor.u32()? } else { 0 };
        if nanos >= 1_000_000_000 {
            return Err(WireError::Malformed("time"));
        }
        meta.mtime = FileTime::from_unix_time(seconds, nanos);
    }
    Ok(meta)
}
