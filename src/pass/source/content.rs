//! Answers requests for content: whole, as a delta against the sink's signature, or only where it did not verify.
//!
//! A file is read once, from front to back, and hashed as it is read, so what is sent is what was summed even if the
//! file changes meanwhile. Its modification time was sent with the listing, before this, so a change is found by the
//! next run.

use crate::delta::{Op, SEGMENT_LEN, Search, SearchOptions, SegmentHasher, SegmentSums, Signature, Sum};
use crate::fs::ReadFile;
use crate::pass::source::outgoing::Outgoing;
use crate::pass::source::{Listed, Source};
use crate::pass::tally::describe;
use crate::tree::RelPath;
use crate::wire::{Again, Closed, ContentEnd, ContentOp, FileId, Message, Permit, Verdict};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// A request, with the credit it holds until it is answered.
pub(super) enum Job {
    /// Send the content, as a difference to a basis if its signature is given.
    Send { file: FileId, listed: Listed, signature: Option<Box<Signature>>, _permits: Vec<Permit> },
    /// Compare the content with a file sum.
    Check { file: FileId, listed: Listed, sum: Sum, _permit: Permit },
    /// Send the segments that differ from those given.
    Again { again: Again, listed: Listed, _permit: Permit },
}

/// Answers until the queue ends or the link closes.
pub(super) fn run(source: &Source<'_>, jobs: &Receiver<Job>) {
    for job in jobs {
        if source.answer(job).is_err() {
            return;
        }
    }
}

/// Why reading stopped: the file cannot be read, or there is nobody to send it to.
enum Stop {
    Unreadable(io::Error),
    Closed,
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Stop {
        Stop::Closed
    }
}

impl Source<'_> {
    fn answer(&self, job: Job) -> Result<(), Closed> {
        match job {
            Job::Send { file, listed, signature, _permits } => {
                self.with_file(file, &listed, |open, out| match signature {
                    None if self.context.local => self.hand_over(open, out),
                    None => self.whole(&open, out),
                    Some(signature) => self.delta(&open, *signature, out),
                })
            }
            Job::Again { again, listed, _permit } => {
                self.with_file(again.file, &listed, |open, out| self.differing(&open, &again, out))
            }
            Job::Check { file, listed, sum, _permit } => {
                // What cannot be read is called different: the request that follows finds out why.
                let same = self.open(&listed).ok().and_then(|open| self.sum(&open).ok()) == Some(sum);
                self.sender.send(Message::Verdict(Verdict { file, same }))
            }
        }
    }

    /// Opens a listed file and answers with what `send` makes of it.
    fn with_file<'s>(
        &'s self,
        file: FileId,
        listed: &Listed,
        send: impl FnOnce(ReadFile, &mut Outgoing<'s>) -> Result<ContentEnd, Stop>,
    ) -> Result<(), Closed> {
        let mut out = Outgoing::new(&self.sender, file);
        let sent = match self.open(listed) {
            Err(error) => {
                self.tally.failed(&path_of(listed), &error);
                return out.end(ContentEnd::Unreadable);
            }
            Ok(open) => send(open, &mut out),
        };
        match sent {
            Ok(end) => out.end(end),
            Err(Stop::Closed) => Err(Closed),
            Err(Stop::Unreadable(error)) => {
                self.tally.problem("reading", &path_of(listed), &describe(&error));
                out.end(ContentEnd::Unreadable)
            }
        }
    }

    fn open(&self, listed: &Listed) -> Result<ReadFile, crate::fs::Error> {
        let Listed { kept, index } = listed;
        let name = match listed.entry() {
            Some(entry) => &entry.name,
            None => {
                return Err(crate::fs::Error { doing: "opening", source: io::ErrorKind::NotFound.into() });
            }
        };
        self.view.open_file(&kept.dir, kept.listing.origin(*index), name)
    }

    /// Between two local paths the sink copies by itself.
    fn hand_over(&self, open: ReadFile, out: &mut Outgoing<'_>) -> Result<ContentEnd, Stop> {
        out.push(ContentOp::File(Arc::new(open.into())))?;
        Ok(ContentEnd::Local)
    }

    fn whole(&self, open: &ReadFile, out: &mut Outgoing<'_>) -> Result<ContentEnd, Stop> {
        let mut hasher = SegmentHasher::new(self.context.sums);
        read_all(open, |chunk| {
            hasher.push(&chunk);
            Ok(out.literal(chunk)?)
        })?;
        Ok(self.complete(&hasher.finish()))
    }

    fn delta(
        &self,
        open: &ReadFile,
        signature: Signature,
        out: &mut Outgoing<'_>,
    ) -> Result<ContentEnd, Stop> {
        let mut hasher = SegmentHasher::new(self.context.sums);
        let options = SearchOptions { in_place: self.context.options.in_place };
        let mut search = Search::new(signature, self.context.sums, options);
        let mut emit = |op: Op<'_>| match op {
            Op::Copy { offset, len } => out.push(ContentOp::Copy { offset, len }),
            Op::Literal(data) => out.literal(Bytes::copy_from_slice(data)),
        };
        read_all(open, |chunk| {
            hasher.push(&chunk);
            Ok(search.push(&chunk, &mut emit)?)
        })?;
        search.finish(&mut emit)?;
        Ok(self.complete(&hasher.finish()))
    }

    fn differing(&self, open: &ReadFile, again: &Again, out: &mut Outgoing<'_>) -> Result<ContentEnd, Stop> {
        let mut hasher = SegmentHasher::new(self.context.sums);
        let mut segment = vec![0; SEGMENT_LEN as usize];
        let mut offset = 0;
        for number in 0usize.. {
            let read = open.read_full_at(&mut segment, offset).map_err(Stop::Unreadable)?;
            let data = segment.get(..read).unwrap_or_default();
            if data.is_empty() {
                break;
            }
            hasher.push(data);
            if again.segments.get(number) != Some(&self.context.sums.sum(data)) {
                // In pieces, so that a message stays within its window.
                for (place, piece) in data.chunks(CHUNK).enumerate() {
                    let offset = offset + (place * CHUNK) as u64;
                    out.push(ContentOp::Rewrite { offset, data: Bytes::copy_from_slice(piece) })?;
                }
            }
            offset += read as u64;
        }
        Ok(self.complete(&hasher.finish()))
    }

    fn sum(&self, open: &ReadFile) -> Result<Sum, Stop> {
        let mut hasher = SegmentHasher::new(self.context.sums);
        read_all(open, |chunk| {
            hasher.push(&chunk);
            // Nothing is sent here that would notice that the run was stopped.
            if self.sender.is_stopped() { Err(Stop::Closed) } else { Ok(()) }
        })?;
        Ok(hasher.finish().root(self.context.sums))
    }

    fn complete(&self, sums: &SegmentSums) -> ContentEnd {
        ContentEnd::Complete { len: sums.len(), sum: sums.root(self.context.sums) }
    }
}

/// Reads a file from front to back, however long it has become.
fn read_all(open: &ReadFile, mut each: impl FnMut(Bytes) -> Result<(), Stop>) -> Result<(), Stop> {
    let mut offset = 0;
    loop {
        match next_chunk(open, offset) {
            Err(error) => return Err(Stop::Unreadable(error)),
            Ok(ControlFlow::Break(last)) => return if last.is_empty() { Ok(()) } else { each(last) },
            Ok(ControlFlow::Continue(chunk)) => {
                offset += chunk.len() as u64;
                each(chunk)?;
            }
        }
    }
}

/// The chunk at `offset`, and whether it is the last. A file that ends where it ended when it was opened is at its end,
/// which saves asking once more; one that ends before is asked until it says so.
fn next_chunk(open: &ReadFile, offset: u64) -> io::Result<ControlFlow<Bytes, Bytes>> {
    let expected = open.len().saturating_sub(offset);
    let size = usize::try_from(expected).map_or(CHUNK, |expected| expected.saturating_add(1).min(CHUNK));
    let mut buffer = vec![0; size];
    let mut read = open.read_at(&mut buffer, offset)?;
    let mut last = read as u64 == expected;
    if !last && read < size {
        let rest = buffer.get_mut(read..).unwrap_or_default();
        read += open.read_full_at(rest, offset + read as u64)?;
        last = read < size;
    }
    buffer.truncate(read);
    let chunk = Bytes::from(buffer);
    Ok(if last { ControlFlow::Break(chunk) } else { ControlFlow::Continue(chunk) })
}

fn path_of(listed: &Listed) -> RelPath {
    let dir = listed.kept.dir.path();
    listed.entry().map_or_else(|| dir.clone(), |entry| dir.join(&entry.name))
}
