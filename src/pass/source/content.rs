//! Answers requests for content: whole, as a delta against the sink's signature, or only where it did not verify.
//!
//! A file sent whole is read once, from front to back, and hashed as it is read, so what is sent is what was summed
//! even if the file changes meanwhile. Its modification time was sent with the listing, before this, so a change is
//! found by the next run.

use crate::delta::{BlockLen, Digest, Digester, SegmentHasher, SegmentSums, Signatures, Sum};
use crate::fs::{Pieces, ReadFile};
use crate::pass::source::ahead::{Ahead, Summed};
use crate::pass::source::kept::Kept;
use crate::pass::source::outgoing::Outgoing;
use crate::pass::source::rounds::Telling;
use crate::pass::source::{Listed, Source};
use crate::pass::tally::describe;
use crate::request::Reflink;
use crate::tree::{Entry, RelPath};
use crate::wire::{
    Again, Closed, ContentEnd, ContentOp, Fetch, FileId, Identified, Message, Permit, Verdict,
    encode_attached,
};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use std::io;
use std::sync::Arc;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// Between two local paths, the length above which the sink copies a file by itself: a short one is read sooner than
/// handed over.
const HANDED_OVER: u64 = 64 << 10;

/// A request, with the credit it holds until it is answered.
pub(super) enum Job {
    /// Send the content, from this place on.
    Send { file: FileId, listed: Listed, from: u64, _permit: Permit },
    /// Send the next round of it.
    Round(Box<Asked>),
    /// Read what is going to be asked for.
    Ahead(Arc<Ahead>),
    /// Send several small files, or attributes of several entries.
    Fetch { fetch: Fetch, kept: Arc<Kept>, _permit: Permit },
    /// Compare the content with a file sum.
    Check { file: FileId, listed: Listed, sum: Sum, _permit: Permit },
    /// Tell which content it is.
    Identify { file: FileId, listed: Listed, _permit: Permit },
    /// Send the segments that differ from those given.
    Again { again: Again, listed: Listed, _permit: Permit },
}

/// A round of a file, told as a difference to a basis or to what its gaps name, whose signatures are there.
pub(super) struct Asked {
    pub file: FileId,
    pub telling: Box<Telling>,
    pub signatures: Signatures,
    /// What came of reading it, if it was read ahead.
    pub summed: Option<Summed>,
    pub _permits: Vec<Permit>,
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
#[derive(Debug)]
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
            Job::Send { file, .. } if self.context.stop.is_asked() => self.withhold(file),
            Job::Send { file, listed, from, _permit } => self.telling(file, &listed, |out| {
                let open = self.open(&listed)?;
                let options = &self.context.options;
                // Only who has both files can have them share blocks.
                let must = options.reflink == Reflink::Always && !open.is_empty();
                let may = self.context.local && (options.shortcuts.handing_over || must);
                let is_worth = must || (open.len() > HANDED_OVER && !open.is_device());
                let by_itself = may && from == 0 && is_worth;
                if by_itself { self.hand_over(open, out) } else { self.whole(&open, &listed, from, out) }
            }),
            Job::Round(asked) => self.next_round(*asked),
            Job::Ahead(ahead) => {
                let summed = self.sum_ahead(&ahead);
                ahead.summed(summed).map_or(Ok(()), |asked| self.next_round(*asked))
            }
            Job::Fetch { fetch, kept, _permit } => self.fetch(&fetch, &kept),
            Job::Again { again, listed, _permit } => self.telling(again.file, &listed, |out| {
                let most = listed.most_segments(again.segment_len);
                self.differing(&self.open(&listed)?, &again, most, out)
            }),
            Job::Check { file, listed, sum, _permit } => {
                let choice = self.context.compare_sums;
                // What cannot be read is called different: the request that follows finds out why.
                let summed = self.sum(&listed, (choice, BlockLen::SEGMENT), || Ok(())).ok();
                let same = summed.is_some_and(|(_, sums)| sums.root(choice) == sum);
                self.sender.send(Message::Verdict(Verdict { file, same }))
            }
            Job::Identify { file, listed, _permit } => {
                // What cannot be read is asked for after all, and then it is told why.
                let digest = self.digest(&listed).ok();
                self.sender.send(Message::Identified(Identified { file, digest }))
            }
        }
    }

    fn next_round(&self, asked: Asked) -> Result<(), Closed> {
        if asked.telling.begun.is_none() && self.context.stop.is_asked() {
            return self.withhold(asked.file);
        }
        let listed = asked.telling.listed.clone();
        self.telling(asked.file, &listed, |out| self.round(asked, out))
    }

    /// Sends nothing of a file, as the run is to end. Nobody is told, since that is why.
    fn withhold(&self, file: FileId) -> Result<(), Closed> {
        Outgoing::new(&self.sender, file, false).end(ContentEnd::Unreadable, Bytes::new())
    }

    /// Answers with what `send` makes of a file, and with the attributes the file has where that is all of it.
    fn telling<'s>(
        &'s self,
        file: FileId,
        listed: &Listed,
        send: impl FnOnce(&mut Outgoing<'s>) -> Result<ContentEnd, Stop>,
    ) -> Result<(), Closed> {
        let mut out = Outgoing::new(&self.sender, file, self.is_packed(path_of(listed).as_bytes()));
        let sent = send(&mut out).and_then(|end| match end {
            ContentEnd::Complete { .. } | ContentEnd::Local => Ok((end, self.attached(listed)?)),
            ContentEnd::Round { .. } | ContentEnd::Unreadable => Ok((end, Bytes::new())),
        });
        match sent {
            Ok((end, attached)) => out.end(end, attached),
            Err(stop) => {
                self.tell_unread(&path_of(listed), stop)?;
                out.end(ContentEnd::Unreadable, Bytes::new())
            }
        }
    }

    /// Whether the content of a file of this name is not worth compressing.
    pub(super) fn is_packed(&self, name: &[u8]) -> bool {
        let options = &self.context.options;
        options.compress.is_some() && options.skip_compress.matches(name)
    }

    /// The extended attributes of a listed file, as they are attached to its content: nothing if nobody asks for them,
    /// or it had none.
    fn attached(&self, listed: &Listed) -> Result<Bytes, Stop> {
        let Listed { kept, index } = listed;
        if self.look.xattrs.is_none() || !listed.entry().is_some_and(Entry::has_xattrs) {
            return Ok(Bytes::new());
        }
        let dir = self.view.dir_of(&kept.dir, kept.listing.origin(*index))?;
        let xattrs = self.view.xattrs(&dir, (&kept.dir, &kept.listing), *index, &self.look)?;
        Ok(encode_attached(&xattrs))
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

    /// Sends all of a file from a place on.
    fn whole(
        &self,
        open: &ReadFile,
        listed: &Listed,
        from: u64,
        out: &mut Outgoing<'_>,
    ) -> Result<ContentEnd, Stop> {
        let mut pieces = open.pieces(from..u64::MAX);
        if open.len() < CHUNK as u64 {
            // All of it, unless it has grown.
            let all = next_chunk(&mut pieces)?;
            if pieces.have_ended() {
                let sums = SegmentSums::of(self.context.sums, &all);
                out.literal(all)?;
                return Ok(self.complete(&sums));
            }
            pieces = open.pieces(from..u64::MAX);
        }
        let most = listed.most_segments(BlockLen::SEGMENT);
        let mut hasher = SegmentHasher::new(self.context.sums, BlockLen::SEGMENT);
        while !pieces.have_ended() {
            let chunk = next_chunk(&mut pieces)?;
            hasher.push(&chunk);
            check_growth(hasher.whole_segments(), most)?;
            out.literal(chunk)?;
        }
        Ok(self.complete(&hasher.finish()))
    }

    fn differing(
        &self,
        open: &ReadFile,
        again: &Again,
        most: usize,
        out: &mut Outgoing<'_>,
    ) -> Result<ContentEnd, Stop> {
        let mut pieces = open.pieces(0..u64::MAX);
        let mut segment = vec![0; again.segment_len.get() as usize];
        let (mut sums, mut at) = (Vec::new(), 0);
        while let Some(data) = pieces.next(&mut segment).map_err(Stop::Unreadable)? {
            self.go_on()?;
            let sum = self.context.sums.sum(data);
            if again.segments.get(sums.len()) != Some(&sum) {
                // In pieces, so that a message stays within its window.
                for (place, piece) in data.chunks(CHUNK).enumerate() {
                    let offset = at + (place * CHUNK) as u64;
                    out.push(ContentOp::Rewrite { offset, data: Bytes::copy_from_slice(piece) })?;
                }
            }
            sums.push(sum);
            check_growth(sums.len(), most)?;
            at += data.len() as u64;
        }
        let sums = SegmentSums::new(again.segment_len, at, sums);
        Ok(self.complete(&sums.map_err(|error| Stop::Unreadable(io::Error::other(error)))?))
    }

    /// The digest of a file's content, as far as one byte beyond the length it was listed with.
    fn digest(&self, listed: &Listed) -> Result<Digest, Stop> {
        let open = self.open(listed)?;
        let mut digester = Digester::new(self.context.sums.seed);
        let mut pieces = open.pieces(0..listed.len().saturating_add(1));
        let mut buffer = pieces.buffer(CHUNK);
        while let Some(piece) = pieces.next(&mut buffer).map_err(Stop::Unreadable)? {
            self.go_on()?;
            digester.push(piece);
        }
        Ok(digester.finish())
    }

    /// Whether the run was stopped, which is asked where little is sent that would notice.
    pub(super) fn go_on(&self) -> Result<(), Stop> {
        if self.sender.is_stopped() { Err(Stop::Closed) } else { Ok(()) }
    }

    pub(super) fn complete(&self, sums: &SegmentSums) -> ContentEnd {
        ContentEnd::Complete { len: sums.len(), sum: sums.root(self.context.sums) }
    }
}

/// Stops reading a file that goes on far beyond what was listed, since the sums of its segments take memory.
pub(super) fn check_growth(segments: usize, most: usize) -> Result<(), Stop> {
    if segments <= most {
        return Ok(());
    }
    let grown = "it is far longer than when it was listed; run again";
    Err(Stop::Unreadable(io::Error::new(io::ErrorKind::FileTooLarge, grown)))
}

/// The next piece, to keep.
fn next_chunk(pieces: &mut Pieces<'_>) -> Result<Bytes, Stop> {
    let mut buffer = pieces.buffer(CHUNK);
    let read = pieces.next(&mut buffer).map_err(Stop::Unreadable)?.map_or(0, <[u8]>::len);
    buffer.truncate(read);
    Ok(Bytes::from(buffer))
}

fn path_of(listed: &Listed) -> RelPath {
    let dir = listed.kept.dir.path();
    listed.entry().map_or_else(|| dir.clone(), |entry| dir.join(&entry.name))
}
