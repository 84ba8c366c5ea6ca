//! Reads what the sink has of changed files: for signatures, and for comparison by content.

use crate::delta::{BlockLen, Cover, SegmentHasher, SegmentSums, Signature, Signer, StrongLen};
use crate::fs::ReadFile;
use crate::pass::decide::{Decision, SetXattrs};
use crate::pass::sink::Sink;
use crate::pass::sink::flights::{Flight, Phase, Prepared};
use crate::pass::sink::landings::Landing;
use crate::pass::{PassError, sink::entry};
use crate::tree::Entry;
use crate::wire::{
    Check, DirId, FileId, Identified, MESSAGE_COST, Message, Rank, Reservation, SumsPart, Verdict, Want,
};
use bytes::Bytes;
use crossbeam_channel::Receiver;
use std::io;
use std::sync::Arc;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
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
    /// Copy a file from elsewhere.
    Copy(FileId),
    /// Go on after the answer to a check.
    Verdict(Verdict),
    /// Look for the content that a file has.
    Identified(Identified),
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
            Job::Copy(file) => sink.take_found(file, false)?,
            Job::Verdict(verdict) => sink.compared(verdict)?,
            Job::Identified(identified) => sink.identified(identified)?,
        }
    }
    Ok(())
}

impl Sink<'_> {
    /// Asks for a file's content without a basis.
    pub(super) fn ask(&self, file: FileId, dir: DirId, index: u32) -> Result<(), PassError> {
        self.ask_rest(file, dir, index, 0)
    }

    /// Asks for it from a place on.
    pub(super) fn ask_rest(&self, file: FileId, dir: DirId, index: u32, from: u64) -> Result<(), PassError> {
        let want = Want { file, dir, index, basis: None, refine: false, from };
        Ok(self.sender.send(Message::Want(want))?)
    }

    /// Asks for a file's content as a difference to what is here, before that is signed: the source has its own reading
    /// to do meanwhile. Does nothing yet if there is no room for it.
    pub(super) fn ask_with_basis(&self, file: FileId) -> Result<(), PassError> {
        let flight = self.flights.get(file)?;
        if !self.takes_room(file, &flight)? {
            return Ok(());
        }
        let Some(basis) = self.basis(&flight)? else {
            self.flights.prepare(file, Prepared::default());
            return self.ask(file, flight.dir, flight.index);
        };
        let header = basis.header;
        if header.basis_len == 0 {
            // The source needs no sums for that: it may answer before anything was signed.
            self.flights.prepare(file, Prepared { stage: basis.into_stage(), ..Prepared::default() });
            return self.ask(file, flight.dir, flight.index);
        }
        let mut credit = self.reserve_sums(header.block_count(), header.strong_len)?;
        let Flight { dir, index, .. } = *flight;
        let want = Want { file, dir, index, basis: Some(header), refine: basis.refine, from: 0 };
        self.sender.send_reserved(Message::Want(want), &mut credit)?;
        let (signature, prepared) = self.sign(basis, &flight)?;
        self.flights.prepare(file, prepared);
        self.send_sums(file, &signature, &mut credit)
    }

    /// Sets credit aside for a whole signature, and what goes before it: two that each got half of the credit would
    /// wait for each other.
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
                let mut pieces = basis.pieces(range);
                // Copies of what cannot be read any more will fail, and tell why.
                while let Some(piece) = pieces.next_padded(&mut buffer) {
                    if self.sender.is_stopped() {
                        return Err(PassError::Lost);
                    }
                    signer.push(piece);
                }
            }
            joined.append(signer.finish());
        }
        self.send_sums(*file, &joined, &mut credit)
    }

    pub(super) fn check(&self, file: FileId) -> Result<(), PassError> {
        let flight = self.flights.get(file)?;
        match self.open_compared(&flight)?.ok().and_then(|open| self.sum(&open).ok()) {
            Some(sums) => {
                let sum = sums.root(self.context.compare_sums);
                let check = Check { file, dir: flight.dir, index: flight.index, sum };
                Ok(self.sender.send(Message::Check(check))?)
            }
            // What cannot be read is not known to be the same.
            None => self.compared(Verdict { file, same: false }),
        }
    }

    fn sum(&self, open: &ReadFile) -> io::Result<SegmentSums> {
        let mut hasher = SegmentHasher::new(self.context.compare_sums, BlockLen::SEGMENT);
        self.read_whole(open, |piece| hasher.push(piece))?;
        Ok(hasher.finish())
    }

    /// Gives `take` the content of a file, piece by piece. Fails if the run is stopped meanwhile.
    pub(super) fn read_whole(&self, open: &ReadFile, mut take: impl FnMut(&[u8])) -> io::Result<()> {
        let mut pieces = open.pieces(0..open.len());
        let mut buffer = pieces.buffer(CHUNK);
        while let Some(piece) = pieces.next(&mut buffer)? {
            if self.sender.is_stopped() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            take(piece);
        }
        Ok(())
    }

    pub(super) fn compared(&self, Verdict { file, same }: Verdict) -> Result<(), PassError> {
        let flight = self.flights.answered(file, Phase::Comparing)?;
        if flight.found.is_some() {
            return self.compared_elsewhere(file, &flight, same);
        }
        let Some(own) = &flight.own else { return Err(PassError::Protocol("a verdict nobody asked for")) };
        let may_set_group = self.may_set_group(flight.entry.meta.gid);
        match self.policy().compared(same, &flight.entry, own, may_set_group) {
            Decision::Transfer(update) => {
                let Entry { node, meta, .. } = &flight.entry;
                self.announcer.fill(file, self.item(flight.path.clone(), node, meta, &update));
                if self.dry_run() {
                    entry::count_transfer(self, &flight.entry, false);
                    let kept = own.inode().filter(|_| self.context.options.in_place);
                    let landing = Landing::There(kept.map(|inode| inode.identity));
                    return self.land(file, &flight, landing);
                }
                let whole = self.context.whole_file();
                let phase = if whole { Phase::Fetching } else { Phase::Signing };
                self.flights.replace(file, Flight { update, phase, ..Flight::clone(&flight) });
                if whole { self.ask(file, flight.dir, flight.index) } else { self.ask_with_basis(file) }
            }
            Decision::Attributes(update) => {
                let Entry { node, meta, .. } = &flight.entry;
                let sum = self.sum_compared(&flight)?;
                let item = self.item_of_known(flight.path.clone(), node, meta, &update, sum);
                self.announcer.fill(file, item);
                self.set_attributes(flight.dir, &flight.path, &flight.name, &flight.entry, &update)?;
                self.settle_progress(1, flight.entry.node.size());
                self.clear_unwritten(&flight)?;
                let landing = self.kept_file(&flight, own)?;
                if update.xattrs == SetXattrs::Fetch && !self.dry_run() {
                    self.landed(&flight.entry, landing);
                    return self.fetch_xattrs_of(file, Flight::clone(&flight), update);
                }
                self.confirm(flight.place(), &flight.entry)?;
                self.land(file, &flight, landing)
            }
            Decision::Skip(_) | Decision::Make(_) | Decision::Compare => {
                self.announcer.fill(file, None);
                self.clear_unwritten(&flight)?;
                self.land(file, &flight, Landing::Failed)
            }
        }
    }

    /// The file that is here and stays, for its other names.
    fn kept_file(&self, flight: &Flight, own: &Entry) -> Result<Landing, PassError> {
        if !self.may_be_linked(&flight.entry) {
            return Ok(Landing::Failed);
        }
        let here = self.directories.counterpart(self, flight.dir)?;
        Ok(here.map_or(Landing::Failed, |here| Landing::There(here.identity_of(&flight.name, &own.node))))
    }

    /// A file is settled: its directory and its other names hear of it.
    pub(super) fn land(&self, file: FileId, flight: &Flight, landing: Landing) -> Result<(), PassError> {
        self.flights.land(file);
        self.landed(&flight.entry, landing);
        self.settle(flight.dir)
    }

    /// Opens what the source's file is compared with: what is here, or was found elsewhere.
    fn open_compared(&self, flight: &Flight) -> Result<Result<ReadFile, crate::fs::Error>, PassError> {
        if let (Some(found), Some(bases)) = (&flight.found, self.bases()) {
            return Ok(bases.open(flight, found));
        }
        let here = self.directories.counterpart(self, flight.dir)?;
        Ok(here.and_then(|here| here.open_file(&flight.name)))
    }

    /// The sum of the content that a file was compared with, if sums are asked for.
    pub(super) fn sum_compared(&self, flight: &Flight) -> Result<Option<Vec<u8>>, PassError> {
        if !self.context.options.detail.sums {
            return Ok(None);
        }
        let open = self.open_compared(flight)?.ok();
        Ok(open.and_then(|open| self.plain_sum_of(|buffer, offset| open.read_full_at(buffer, offset))))
    }

    /// Removes what a killed run left of a file that is not going to be written.
    pub(super) fn clear_unwritten(&self, flight: &Flight) -> Result<(), PassError> {
        match flight.leftover {
            true => self.clear_leftover(flight.dir, &crate::fs::stage_name(&flight.name)),
            false => Ok(()),
        }
    }
}
