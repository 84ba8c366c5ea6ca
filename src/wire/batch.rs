//! Batches: small files of one directory, or the extended attributes of entries of one, asked for and sent together.
//!
//! Small files are many, and a message each, handed from thread to thread at both ends, would cost more than their
//! bytes. The files of a batch need no numbers of their own: they are answered in the order in which they were asked
//! for.

use crate::delta::Sum;
use crate::wire::codec::{Cursor, Put};
use crate::wire::{DirId, WireError};
use bytes::Bytes;

/// The most files in a batch.
pub const BATCH_FILES: usize = 256;

/// A batch, numbered by the sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BatchId(pub u32);

/// What is asked for of listed entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchWhat {
    /// The content of files, and their extended attributes where these are asked for.
    Content,
    /// The extended attributes of entries of any kind, and no content.
    Xattrs,
}

/// A request for listed files, whole, or for what else there is of listed entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// The number the answers will carry.
    pub batch: BatchId,
    /// The directory the files were listed in.
    pub dir: DirId,
    /// Their places in that directory's entries, ascending; [`BATCH_FILES`] at most. With [`FetchWhat::Xattrs`], none
    /// stands for the transfer root itself.
    pub indices: Vec<u32>,
    /// What of them.
    pub what: FetchWhat,
}

/// The next files of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The batch.
    pub batch: BatchId,
    /// What became of each file.
    pub files: Vec<FetchedFile>,
    /// Of those that are whole, one after the other: what is attached, and the content.
    pub data: Bytes,
    /// Whether trying to compress it is a waste of time. Not encoded.
    pub packed: bool,
}

/// What became of a file of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchedFile {
    /// Its content is there.
    Whole {
        /// How many bytes its extended attributes take.
        attached: u32,
        /// How many bytes it has.
        len: u32,
        /// Its file sum. `None` between two roles of one process, which have the same memory; then it is never encoded.
        sum: Option<Sum>,
    },
    /// Its extended attributes are there, which alone were asked for.
    Xattrs {
        /// How many bytes they take.
        attached: u32,
    },
    /// It is too long for a batch by now: it is to be asked for by itself.
    Longer,
    /// The source could not read it (and said so in an event); nothing is to be installed.
    Unreadable,
}

pub(crate) fn encode_fetch(fetch: &Fetch, out: &mut Vec<u8>) {
    out.put_varint(fetch.batch.0.into());
    out.put_varint(fetch.dir.0.into());
    out.push(match fetch.what {
        FetchWhat::Content => 0,
        FetchWhat::Xattrs => 1,
    });
    out.put_varint(fetch.indices.len() as u64);
    let mut next: u32 = 0;
    for &index in &fetch.indices {
        // Mostly 0, as new files have new neighbours.
        out.put_varint(index.wrapping_sub(next).into());
        next = index.wrapping_add(1);
    }
}

pub(crate) fn decode_fetch(cursor: &mut Cursor) -> Result<Fetch, WireError> {
    let (batch, dir) = (BatchId(cursor.u32()?), DirId(cursor.u32()?));
    let what = match cursor.byte()? {
        0 => FetchWhat::Content,
        1 => FetchWhat::Xattrs,
        _ => return Err(WireError::Malformed("request")),
    };
    let count = cursor.count("list of files", 1, BATCH_FILES as u64)?;
    let mut indices = Vec::with_capacity(count);
    let mut next = Some(0_u32);
    for _ in 0..count {
        let index = next.zip(Some(cursor.u32()?)).and_then(|(next, skipped)| next.checked_add(skipped));
        let index = index.ok_or(WireError::Malformed("request: its files are not in order"))?;
        indices.push(index);
        next = index.checked_add(1);
    }
    Ok(Fetch { batch, dir, indices, what })
}

pub(crate) fn encode_fetched(fetched: &Fetched, out: &mut Vec<u8>) -> Result<(), WireError> {
    out.put_varint(fetched.batch.0.into());
    out.put_varint(fetched.files.len() as u64);
    for file in &fetched.files {
        match file {
            FetchedFile::Whole { attached, len, sum: Some(sum) } => {
                out.push(if *attached == 0 { 0 } else { 3 });
                if *attached > 0 {
                    out.put_varint((*attached).into());
                }
                out.put_varint((*len).into());
                out.extend_from_slice(&sum.0);
            }
            FetchedFile::Xattrs { attached } => {
                out.push(4);
                out.put_varint((*attached).into());
            }
            FetchedFile::Whole { sum: None, .. } => {
                return Err(WireError::Malformed("content: it is local"));
            }
            FetchedFile::Longer => out.push(1),
            FetchedFile::Unreadable => out.push(2),
        }
    }
    out.extend_from_slice(&fetched.data);
    Ok(())
}

pub(crate) fn decode_fetched(cursor: &mut Cursor) -> Result<Fetched, WireError> {
    let batch = BatchId(cursor.u32()?);
    let count = cursor.count("list of files", 1, BATCH_FILES as u64)?;
    let mut files = Vec::with_capacity(count);
    let mut total: u64 = 0;
    for _ in 0..count {
        files.push(match cursor.byte()? {
            kind @ (0 | 3) => {
                let attached = if kind == 0 { 0 } else { cursor.u32()? };
                let len = cursor.u32()?;
                total = total.saturating_add(len.into()).saturating_add(attached.into());
                FetchedFile::Whole { attached, len, sum: Some(cursor.sum()?) }
            }
            4 => {
                let attached = cursor.u32()?;
                total = total.saturating_add(attached.into());
                FetchedFile::Xattrs { attached }
            }
            1 => FetchedFile::Longer,
            2 => FetchedFile::Unreadable,
            _ => return Err(WireError::Malformed("content of a batch")),
        });
    }
    Ok(Fetched { batch, files, data: cursor.take(total)?, packed: false })
}
