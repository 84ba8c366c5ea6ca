//! Answers requests for content: whole, as a delta against the sink's signature, or only where it did not verify.
//!
//! A file sent whole is read once, from front to back, and hashed as it is read, so what is sent is what was summed even
//! if the file changes meanwhile. Its modification time was sent with the listing, before this, so a change is found by the
//! next run.

use crate::delta::{SEGMENT_LEN, SegmentHasher, SegmentSums, Signatures, Sum};
use crate::fs::ReadFile;
use crate::pass::source::kept::Kept;
use crate::pass::source::outgoing::Outgoing;
use crate::pass::source::rounds::Delta;
use crate::pass::source::{Listed, Source};
use crate::pass::tally::describe;
use crate::tree::RelPath;
use crate::wire::{Again, BatchId, Closed, ContentEnd, ContentOp, FileId, Message, Permit, Verdict};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// Between two local paths, the length above which the sink copies a file by itself: a short one is read sooner than
/// handed over.
const HANDED_OVER: u64 = 64 << 10;

/// A request, with the credit it holds until it is answered.
pub(super) enum Job {
    /// Send the content.
    Send { file: FileId, listed: Listed, _permit: Permit },
    /// Send the next round of it as a difference to a basis, whose signatures are given.
    Round { file: FileId, delta: Box<Delta>, signatures: Signatures, _permits: Vec<Permit> },
    /// Send several small files.
    Fetch { batch: BatchId, kept: Arc<Kept>, indices: Vec<u32>, _permit: Permit },
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

/// Why reading stopped: the file cannot be opened or read, or there is nobody to send it to.
pub(super) enum Stop {
    Unopened(crate::fs::Error),
    Unreadable(io::Error),
    Closed,
}

impl From<crate::fs::Error> for Stop {
    fn from(error: crate::fs::Error) -> Stop {
        Stop::Unopened(error)
    }
}

impl From<Closed> for Stop {
    fn from(_: Closed) -> Stop {
        Stop::Closed
    }
}

impl Source<'_> {
    fn answer(&self, job: Job) -> Result<(), Closed> {
        match job {
            Job::Send { file, listed, _permit } => self.telling(file, &path_of(&listed), |out| {
                let open = self.open(&listed)?;
                let by_itself = self.context.local && open.len() > HANDED_OVER;
                if by_itself { self.hand_over(open, out) } else { self.whole(&open, out) }
            }),
            Job::Round { file, delta, signatures, _permits } => {
                let path = path_of(&delta.listed);
                self.telling(file, &path, |out| self.round(file, delta, signatures, out))
            }
            Job::Fetch { batch, kept, indices, _permit } => self.fetch(batch, &kept, &indices),
            Job::Again { again, listed, _permit } => self.telling(again.file, &path_of(&listed), |out| {
                self.differing(&self.open(&listed)?, &again, out)
            }),
            Job::Check { file, listed, sum, _permit } => {
                // What cannot be read is called different: the request that follows finds out why.
                let same = self.open(&listed).ok().and_then(|open| self.sum(&open).ok()) == Some(sum);
                self.sender.send(Message::Verdict(Verdict { file, same }))
            }
        }
    }

    /// Answers with what `send` makes of a file.
    fn telling<'s>(
        &'s self,
        file: FileId,
        path: &RelPath,
        send: impl FnOnce(&mut Outgoing<'s>) -> Result<ContentEnd, Stop>,
    ) -> Result<(), Closed> {
        let mut out = Outgoing::new(&self.sender, file);
        match send(&mut out) {
            Ok(end) => out.end(end),
            Err(stop) => {
                self.tell_unread(path, stop)?;
                out.end(ContentEnd::Unreadable)
            }
        }
    }

    /// Tells why a file was not read.
    pub(super) fn tell_unread(&self, path: &RelPath, stop: Stop) -> Result<(), Closed> {
        match stop {
            Stop::Closed => return Err(Closed),
            Stop::Unopened(error) => self.tally.failed(path, &error),
            Stop::Unreadable(error) => self.tally.problem("reading", path, &describe(&error)),
        }
        Ok(())
    }

    pub(super) fn open(&self, listed: &Listed) -> Result<ReadFile, crate::fs::Error> {
        let Listed { kept, index } = listed;
        let name = match listed.entry() {
            Some(entry) => &entry.name,
            None => return Err(crate::fs::Error::not_listed()),
        };
        self.view.open_file(&kept.dir, kept.listing.origin(*index), name)
    }

    /// Between two local paths the sink copies by itself.
    fn hand_over(&self, open: ReadFile, out: &mut Outgoing<'_>) -> Result<ContentEnd, Stop> {
        out.push(ContentOp::File(Arc::new(open.into())))?;
        Ok(ContentEnd::Local)
    }

    fn whole(&self, open: &ReadFile, out: &mut Outgoing<'_>) -> Result<ContentEnd, Stop> {
        if open.len() < CHUNK as u64
            && let ControlFlow::Break(all) = next_chunk(open, 0).map_err(Stop::Unreadable)?
        {
            let sums = SegmentSums::of(self.context.sums, &all);
            out.literal(all)?;
            return Ok(self.complete(&sums));
        }
        let mut hasher = SegmentHasher::new(self.context.sums);
        read_all(open, |chunk| {
            hasher.push(&chunk);
            Ok(out.literal(chunk)?)
        })?;
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
            self.go_on()?;
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
            self.go_on()
        })?;
        Ok(hasher.finish().root(self.context.sums))
    }

    /// Whether the run was stopped, which is asked where little is sent that would notice.
    pub(super) fn go_on(&self) -> Result<(), Stop> {
        if self.sender.is_stopped() { Err(Stop::Closed) } else { Ok(()) }
    }

    pub(super) fn complete(&self, sums: &SegmentSums) -> ContentEnd {
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

/// The chunk at `offset`, and whether it is the last.
fn next_chunk(open: &ReadFile, offset: u64) -> io::Result<ControlFlow<Bytes, Bytes>> {
    let expected = open.len().saturating_sub(offset);
    let size = usize::try_from(expected).map_or(CHUNK, |expected| expected.saturating_add(1).min(CHUNK));
    let mut buffer = vec![0; size];
    let (read, last) = read_next(open, &mut buffer, offset)?;
    buffer.truncate(read);
    let chunk = Bytes::from(buffer);
    Ok(if last { ControlFlow::Break(chunk) } else { ControlFlow::Continue(chunk) })
}

/// Reads at `offset`. Returns how many bytes there were, and whether these are the last. A file that ends where it ended
/// when it was opened is at its end, which saves asking once more; one that ends before is asked until it says so.
pub(super) fn read_next(open: &ReadFile, buffer: &mut [u8], offset: u64) -> io::Result<(usize, bool)> {
    let expected = open.len().saturating_sub(offset);
    let mut read = open.read_at(buffer, offset)?;
    let mut last = read as u64 == expected;
    if !last && read < buffer.len() {
        let rest = buffer.get_mut(read..).unwrap_or_default();
        read += open.read_full_at(rest, offset + read as u64)?;
        last = read < buffer.len();
    }
    Ok((read, last))
}

fn path_of(listed: &Listed) -> RelPath {
    let dir = listed.kept.dir.path();
    listed.entry().map_or_else(|| dir.clone(), |entry| dir.join(&entry.name))
}
