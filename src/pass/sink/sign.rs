//! Reads what the sink has of changed files: for signatures, and for comparison by content.

use crate::delta::{BlockLen, Cover, MAX_BLOCKS, SegmentHasher, Signature, Signer, StrongLen};
use crate::fs::ReadFile;
use crate::pass::decide::Decision;
use crate::pass::sink::Sink;
use crate::pass::sink::flights::{Flight, Phase, Prepared};
use crate::pass::{PassError, sink::entry, workers};
use crate::tree::Kind;
use crate::wire::{Check, DirId, FileId, MESSAGE_COST, Message, Rank, Reservation, SumsPart, Verdict, Want};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::thread;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Bytes of a basis that are worth a thread of their own.
const SHARE: u64 = 16 << 20;
/// Blocks in one message.
const PART_BLOCKS: usize = 8192;

/// What there is to read.
pub(super) enum Job {
    /// Sign the basis of a file and ask for its content.
    Sign(FileId),
    /// Ask for the content of a file, without a basis.
    Ask(FileId),
    /// Sign what the gaps of a round name.
    Refine(Finer),
    /// Sum a file and ask whether the source's is the same.
    Check(FileId),
    /// Go on after the answer to that.
    Verdict(Verdict),
}

/// What there is to sign of the basis of a file in the making.
pub(super) struct Finer {
    pub file: FileId,
    pub basis: Arc<ReadFile>,
    pub covers: Vec<Cover>,
    pub block_len: BlockLen,
    pub strong_len: StrongLen,
}

/// Works until the queue ends.
pub(super) fn run(sink: &Sink<'_>, jobs: &Receiver<Job>) -> Result<(), PassError> {
    for job in jobs {
        match job {
            Job::Sign(file) => sink.ask_with_basis(file)?,
            Job::Ask(file) => {
                let flight = sink.flights.get(file)?;
                sink.ask(file, flight.dir, flight.index)?;
            }
            Job::Refine(finer) => sink.refine(&finer)?,
            Job::Check(file) => sink.check(file)?,
            Job::Verdict(verdict) => sink.compared(verdict)?,
        }
    }
    Ok(())
}

impl Sink<'_> {
    /// Asks for a file's content without a basis.
    pub(super) fn ask(&self, file: FileId, dir: DirId, index: u32) -> Result<(), PassError> {
        let want = Want { file, dir, index, basis: None, refine: false };
        Ok(self.sender.send(Message::Want(want))?)
    }

    fn ask_with_basis(&self, file: FileId) -> Result<(), PassError> {
        let flight = self.flights.get(file)?;
        let Some((basis, prepared)) = self.basis(&flight)? else {
            return self.ask(file, flight.dir, flight.index);
        };
        self.flights.prepare(file, prepared);
        let (len, new_len) = (basis.len(), flight.entry.node.size());
        let (block_len, refine) = self.block_len(len);
        let blocks = len.div_ceil(block_len.get().into());
        let strong_len = StrongLen::for_search(new_len.saturating_mul(blocks));
        let mut credit = self.reserve_sums(blocks, strong_len)?;
        let signature = match self.signature(&basis, block_len, strong_len) {
            Ok(signature) => signature,
            Err(_) if self.sender.is_stopped() => return Err(PassError::Lost),
            Err(error) => {
                // The old content is of no use then, but the new can still be had.
                self.tally.problem("reading", &flight.path, &crate::pass::tally::describe(&error));
                drop(credit);
                return self.ask(file, flight.dir, flight.index);
            }
        };
        let basis = Some(signature.header());
        let want = Want { file, dir: flight.dir, index: flight.index, basis, refine };
        self.sender.send_reserved(Message::Want(want), &mut credit)?;
        self.send_sums(file, &signature, &mut credit)
    }

    /// In blocks of what length a basis is signed, and whether what they do not match is refined.
    pub(super) fn block_len(&self, basis_len: u64) -> (BlockLen, bool) {
        let wanted = self.context.options.block_size.and_then(|size| BlockLen::new(size.into()).ok());
        BlockLen::for_basis(basis_len, wanted)
    }

    /// Sets credit aside for a whole signature, and what goes before it: two that each got half of the credit would wait
    /// for each other.
    fn reserve_sums(&self, blocks: u64, strong_len: StrongLen) -> Result<Reservation, PassError> {
        let per_block = 4 + u64::from(strong_len.get());
        let messages = blocks.div_ceil(PART_BLOCKS as u64) + 1;
        Ok(self.sender.reserve(Rank::Want, blocks * per_block + MESSAGE_COST * messages)?)
    }

    fn send_sums(
        &self,
        file: FileId,
        signature: &Signature,
        credit: &mut Reservation,
    ) -> Result<(), PassError> {
        for part in signature.parts(PART_BLOCKS) {
            let sums =
                SumsPart { file, weak: part.weak.to_vec(), strong: Bytes::copy_from_slice(part.strong) };
            self.sender.send_reserved(Message::Sums(sums), credit)?;
        }
        Ok(())
    }

    /// Answers the gaps of a round. This may wait for credit, which the thread that builds the file may not: the source
    /// gives it back only when it has sent content.
    fn refine(&self, finer: &Finer) -> Result<(), PassError> {
        let Finer { file, basis, covers, block_len, strong_len } = finer;
        let blocks = covers.iter().map(|cover| cover.block_count(*block_len)).sum();
        let mut credit = self.reserve_sums(blocks, *strong_len)?;
        let mut joined = Signature::empty(*block_len, *strong_len);
        let mut buffer = vec![0; CHUNK];
        for cover in covers {
            let mut signer = Signer::new(self.context.sums, *block_len, *strong_len);
            for range in cover.ranges() {
                self.read_range(basis, range, &mut buffer, |data| signer.push(data))?;
            }
            joined.append(signer.finish());
        }
        self.send_sums(*file, &joined, &mut credit)
    }

    /// Reads a range of a basis that was there when it was opened. What cannot be read any more counts as zeros: copies
    /// of it will fail, and tell why.
    fn read_range(
        &self,
        basis: &ReadFile,
        range: Range<u64>,
        buffer: &mut [u8],
        mut each: impl FnMut(&[u8]),
    ) -> Result<(), PassError> {
        let mut offset = range.start;
        while offset < range.end {
            if self.sender.is_stopped() {
                return Err(PassError::Lost);
            }
            let len = usize::try_from(range.end - offset).map_or(buffer.len(), |left| left.min(buffer.len()));
            let piece = buffer.get_mut(..len).unwrap_or_default();
            let read = basis.read_full_at(piece, offset).unwrap_or_default();
            piece.get_mut(read..).unwrap_or_default().fill(0);
            each(piece);
            offset += len as u64;
        }
        Ok(())
    }

    /// Opens what is to serve as the basis: the file that is there, else what a killed run left of it.
    fn basis(&self, flight: &Flight) -> Result<Option<(Arc<ReadFile>, Prepared)>, PassError> {
        let Ok(dir) = self.directories.writable(self, flight.dir)? else { return Ok(None) };
        if flight.own.as_ref().is_some_and(|own| own.kind() == Kind::File)
            && let Ok(open) = dir.open_file(&flight.name)
        {
            let open = Arc::new(open);
            return Ok(Some((open.clone(), Prepared { basis: Some(open), stage: None })));
        }
        // What cannot be staged now is reported when the content arrives.
        self.directories.touch(flight.dir);
        let Ok(mut stage) = dir.stage(&flight.name) else { return Ok(None) };
        let Some(leftover) = stage.leftover().map(Arc::new) else { return Ok(None) };
        Ok(Some((leftover.clone(), Prepared { basis: Some(leftover), stage: Some(stage) })))
    }

    fn signature(
        &self,
        basis: &ReadFile,
        block_len: BlockLen,
        strong_len: StrongLen,
    ) -> io::Result<Signature> {
        // Nothing else goes on with the file until the source has its signature, so all cores take part.
        let block = u64::from(block_len.get());
        let basis_len = basis.len().min(block * u64::from(MAX_BLOCKS));
        let share = basis_len.div_ceil(workers() as u64).max(SHARE).next_multiple_of(block);
        let sign = |start: u64| {
            let mut signer = Signer::new(self.context.sums, block_len, strong_len);
            let end = start.saturating_add(share).min(basis_len);
            self.read_all(basis, start..end, |data| signer.push(data)).map(|()| signer.finish())
        };
        thread::scope(|scope| {
            let starts = (share..basis_len).step_by(usize::try_from(share).unwrap_or(usize::MAX));
            let spawn = |start| {
                let named = thread::Builder::new().name("sign".to_owned());
                named.spawn_scoped(scope, move || sign(start)).map(|thread| (start, thread))
            };
            let others = starts.map(spawn).collect::<io::Result<Vec<_>>>()?;
            let mut signature = sign(0)?;
            for (start, thread) in others {
                let next = thread.join().map_err(|_| io::ErrorKind::Other)??;
                // A basis that became shorter meanwhile ends where the first hole is.
                if signature.header().basis_len == start {
                    signature.append(next);
                }
            }
            Ok(signature)
        })
    }

    fn check(&self, file: FileId) -> Result<(), PassError> {
        let flight = self.flights.get(file)?;
        let here = self.directories.counterpart(self, flight.dir)?;
        let mut hasher = SegmentHasher::new(self.context.sums);
        let read = here.and_then(|here| here.open_file(&flight.name)).and_then(|open| {
            let failed = |source| crate::fs::Error { doing: "reading", source };
            self.read_all(&open, 0..open.len(), |chunk| hasher.push(chunk)).map_err(failed)
        });
        match read {
            Ok(()) => {
                let sum = hasher.finish().root(self.context.sums);
                let check = Check { file, dir: flight.dir, index: flight.index, sum };
                Ok(self.sender.send(Message::Check(check))?)
            }
            // What cannot be read is not known to be the same.
            Err(_) => self.compared(Verdict { file, same: false }),
        }
    }

    fn compared(&self, Verdict { file, same }: Verdict) -> Result<(), PassError> {
        let flight = self.flights.compared(file)?;
        let Some(own) = &flight.own else { return Err(PassError::Protocol("a verdict nobody asked for")) };
        let may_set_group = self.may_set_group(&flight.entry.meta);
        match self.policy().compared(same, &flight.entry, own, may_set_group) {
            Decision::Transfer(update) => {
                self.announcer.fill(file, self.item(flight.path.clone(), &flight.entry.node, &update));
                if self.dry_run() {
                    entry::count_transfer(self, &flight.entry, false);
                    self.flights.land(file);
                    return self.settle(flight.dir);
                }
                self.flights
                    .replace(file, Flight { update, phase: Phase::Fetching, ..Flight::clone(&flight) });
                if self.context.whole_file() {
                    self.ask(file, flight.dir, flight.index)
                } else {
                    self.ask_with_basis(file)
                }
            }
            Decision::Attributes(update) => {
                self.announcer.fill(file, self.item(flight.path.clone(), &flight.entry.node, &update));
                self.set_attributes(flight.dir, &flight.path, &flight.name, Kind::File, &update)?;
                self.settle_progress(1, flight.entry.node.size());
                self.settle_unwritten(file, &flight)
            }
            Decision::Skip(_) | Decision::Make(_) | Decision::Compare => {
                self.announcer.fill(file, None);
                self.settle_unwritten(file, &flight)
            }
        }
    }

    fn settle_unwritten(&self, file: FileId, flight: &Flight) -> Result<(), PassError> {
        if flight.leftover {
            self.clear_leftover(flight.dir, &crate::fs::stage_name(&flight.name))?;
        }
        self.flights.land(file);
        self.settle(flight.dir)
    }

    /// Reads a range of a file from front to back, as far as it goes. Fails if the run is stopped meanwhile.
    fn read_all(&self, open: &ReadFile, range: Range<u64>, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        open.advise_sequential();
        let Range { start: mut offset, end } = range;
        let len = usize::try_from(end.saturating_sub(offset));
        let mut buffer = vec![0; len.map_or(CHUNK, |len| len.min(CHUNK))];
        while offset < end {
            if self.sender.is_stopped() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let most = usize::try_from(end - offset).unwrap_or(usize::MAX);
            let piece = buffer.len().min(most);
            let read = open.read_full_at(buffer.get_mut(..piece).unwrap_or_default(), offset)?;
            if read == 0 {
                break;
            }
            each(buffer.get(..read).unwrap_or_default());
            offset += read as u64;
        }
        Ok(())
    }
}
