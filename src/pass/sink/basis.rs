//! What the sink has of a file that is to be updated: opened, signed, and copied while it is signed.
//!
//! A large basis is written into the stage from the very buffer it was signed from; or, where the file system can make
//! a clone of it, the stage begins as that, and is signed itself. Either way the stage then holds what was signed,
//! whatever becomes of the basis, so of what stays where it is nothing needs to be written, read or summed any more.

use crate::delta::{
    BlockLen, Held, MAX_BLOCKS, Reach, SegmentSums, Signature, SignatureHeader, Signer, StrongLen, Sum,
};
use crate::fs::{ReadFile, Stage};
use crate::pass::PassError;
use crate::pass::sink::Sink;
use crate::pass::sink::flights::{Flight, Prepared};
use crate::pass::sink::nearby::Like;
use crate::pass::tally::describe;
use crate::tree::Kind;
use crate::wire::FileId;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;
/// Bytes of a basis that a thread takes at once.
const PART: u64 = 4 << 20;
/// Bytes of a basis from which on the stage begins as a copy of it.
const LEAST_COPIED: u64 = 1 << 20;

/// A basis about to be signed.
pub(super) struct Basis {
    file: Arc<ReadFile>,
    /// The shape of its signature.
    pub header: SignatureHeader,
    /// Whether what the blocks do not match is to be refined.
    pub refine: bool,
    /// About how long the new file is.
    new_len: u64,
    stage: Option<Stage>,
}

impl Basis {
    /// Where the file is to be written, if that was opened to look for a basis.
    pub(super) fn into_stage(self) -> Option<Stage> {
        self.stage
    }

    /// Whether the stage is to begin as a copy of it.
    fn is_worth_copying(&self) -> bool {
        self.refine && self.header.basis_len >= LEAST_COPIED && self.header.mostly_stays(self.new_len)
    }

    /// Has the stage begin as a clone of it, if the file system can make one.
    fn clone_to_stage(&mut self) -> bool {
        // A clone of another length is none of what was opened.
        let is_cloned = |stage: &Stage| {
            stage.share_blocks_of(&*self.file).is_ok_and(|cloned| cloned)
                && stage.len().is_ok_and(|len| len == self.header.basis_len)
        };
        if self.stage.as_ref().is_some_and(is_cloned) {
            return true;
        }
        // One that failed may have left a part, and the file may have grown.
        self.stage = self.stage.take().filter(|stage| stage.set_len(0).is_ok());
        false
    }
}

impl Sink<'_> {
    /// Whether a file that may be copied early, or wait half-built, has the room for that now. If not, it is tried
    /// again when another has landed.
    pub(super) fn takes_room(&self, file: FileId, flight: &Flight) -> Result<bool, PassError> {
        let options = &self.context.options;
        if options.in_place || options.block_size.is_some() || !options.shortcuts.refinement {
            return Ok(true);
        }
        let found = flight.found.as_ref().map(|found| &found.entry);
        let own = flight.own.as_ref().or(found).map_or(0, |own| own.node.size());
        let bytes = flight.entry.node.size().max(own);
        // The other half is for what is built meanwhile.
        let most = match self.directories.writable(self, flight.dir)? {
            Ok(dir) => dir.free_bytes().map_or(u64::MAX, |free| free / 2),
            Err(_) => u64::MAX,
        };
        Ok(self.room.take(file, bytes, most))
    }

    /// Opens what is to serve as the basis: what an interrupted run kept, the file that is there, or was found
    /// elsewhere, or a file like it; or what a killed run left of it, if that is as long.
    pub(super) fn basis(&self, flight: &Flight) -> Result<Option<Basis>, PassError> {
        let Ok(dir) = self.directories.writable(self, flight.dir)? else { return Ok(None) };
        let is_file = flight.own.as_ref().is_some_and(|own| own.kind() == Kind::File);
        let own = || is_file.then(|| dir.open_file(&flight.name).ok()).flatten();
        let found = || self.bases()?.open(flight, flight.found.as_ref().filter(|_| !is_file)?).ok();
        let like = || match flight.like.as_ref()? {
            Like { place: None, name } => dir.open_file(name).ok(),
            Like { place: Some(place), name } => self.bases()?.open_beside(flight, *place, name).ok(),
        };
        let elsewhere = || self.open_here(flight.namesake.as_ref()?).ok();
        let near = self.open_partial(&dir, flight).or_else(own).or_else(found).or_else(like);
        let near = near.or_else(elsewhere);
        let in_place = self.context.options.in_place;
        let (mut stage, mut leftover) = (None, None);
        if near.is_none() || (flight.leftover && !in_place) {
            // What cannot be staged now is reported when the content arrives.
            self.directories.touch(flight.dir);
            stage = self.stage(&dir, &flight.name).ok();
            leftover = stage.as_mut().and_then(Stage::leftover);
        }
        // What was left began as a copy of the file that is there, or has grown beyond it.
        let is_ahead = |left: &ReadFile| near.as_ref().is_none_or(|near| left.len() >= near.len());
        let Some(file) = leftover.filter(is_ahead).or(near) else { return Ok(None) };
        let mut basis = self.shape(file, flight);
        if stage.is_none() && !in_place && basis.is_worth_copying() {
            self.directories.touch(flight.dir);
            stage = self.stage(&dir, &flight.name).ok();
        }
        basis.stage = stage;
        Ok(Some(basis))
    }

    fn shape(&self, file: ReadFile, flight: &Flight) -> Basis {
        let new_len = flight.entry.node.size();
        let wanted = self.context.options.block_size.and_then(|size| BlockLen::new(size.into()).ok());
        let (block_len, refine) = BlockLen::for_basis(file.len(), new_len, wanted);
        let refine = refine && self.context.options.shortcuts.refinement;
        let basis_len = file.len().min(u64::from(block_len.get()) * u64::from(MAX_BLOCKS));
        let blocks = basis_len.div_ceil(block_len.get().into());
        let strong_len = StrongLen::for_search(new_len.saturating_mul(blocks));
        let header = SignatureHeader { basis_len, block_len, strong_len };
        Basis { file: Arc::new(file), header, refine, new_len, stage: None }
    }

    /// Signs a basis, and copies it where that was planned.
    pub(super) fn sign(&self, mut basis: Basis, flight: &Flight) -> Result<(Signature, Prepared), PassError> {
        let copied = basis.is_worth_copying();
        let cloned = copied && basis.clone_to_stage();
        let Basis { file, header, refine, mut stage, .. } = basis;
        let signing = Signing {
            sink: self,
            file: &file,
            header,
            clone: stage.as_ref().filter(|_| cloned),
            copy: stage.as_ref().filter(|_| copied && !cloned),
            next: AtomicU64::new(0),
            uncopied: Mutex::new(false),
        };
        let Signed { signature, sums, unread, shorter } = signing.run()?;
        if let Some(error) = &unread {
            // The old content is of no use there, but the new can still be had.
            self.tally.problem("reading", &flight.path, &describe(error));
        }
        let is_whole = unread.is_none()
            && !shorter
            && !signing.uncopied.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut held = Held::default();
        if stage.is_none() && self.context.options.in_place {
            held.len = header.basis_len;
            held.in_place = Some(Reach::AGREED);
        } else if is_whole && stage.is_some() {
            held.len = if copied { header.basis_len } else { 0 };
        } else {
            // What is to be staged needs the room.
            stage = stage.filter(|begun| begun.set_len(0).is_ok());
        }
        if is_whole && refine {
            held.sums = SegmentSums::new(header.block_len, header.basis_len, sums).ok();
        }
        let refined = refine.then_some(header.block_len);
        Ok((signature, Prepared { basis: Some(file), stage, held, refined }))
    }
}

/// A basis being signed, by several threads: nothing else goes on with the file meanwhile.
struct Signing<'a> {
    sink: &'a Sink<'a>,
    file: &'a ReadFile,
    header: SignatureHeader,
    /// A clone of it, to be read instead.
    clone: Option<&'a Stage>,
    /// Where it is copied to.
    copy: Option<&'a Stage>,
    /// Where the next part begins that nobody has taken.
    next: AtomicU64,
    /// Whether something could not be copied. Held while copying: the kernel lets one at a time write to a file, but
    /// others wait for their turn there without giving up their core.
    uncopied: Mutex<bool>,
}

/// A part of a basis, or all of it, signed.
struct Signed {
    signature: Signature,
    sums: Vec<Sum>,
    /// What could not be read of it.
    unread: Option<io::Error>,
    /// Whether it ended too early.
    shorter: bool,
}

impl Signing<'_> {
    fn run(&self) -> Result<Signed, PassError> {
        let parts = self.header.basis_len.div_ceil(self.part_len());
        let workers = self.sink.context.workers();
        let threads = usize::try_from(parts).map_or(workers, |parts| parts.min(workers));
        let mut parts = thread::scope(|scope| {
            let spawn = |_| {
                let named = thread::Builder::new().name("sign".to_owned());
                named.spawn_scoped(scope, || self.work())
            };
            // Fewer do it too.
            let others: Vec<_> = (1..threads).map_while(|number| spawn(number).ok()).collect();
            let mut parts = self.work();
            for other in others {
                parts.append(&mut other.join().map_err(|_| PassError::Lost)?);
            }
            Ok::<_, PassError>(parts)
        })?;
        if self.sink.sender.is_stopped() {
            return Err(PassError::Lost);
        }
        parts.sort_unstable_by_key(|(start, _)| *start);
        let SignatureHeader { block_len, strong_len, .. } = self.header;
        let signature = Signature::empty(block_len, strong_len);
        let mut whole = Signed { signature, sums: Vec::new(), unread: None, shorter: false };
        for (_, part) in parts {
            whole.signature.append(part.signature);
            whole.sums.extend(part.sums);
            whole.unread = whole.unread.or(part.unread);
            whole.shorter |= part.shorter;
        }
        Ok(whole)
    }

    fn part_len(&self) -> u64 {
        PART.next_multiple_of(self.header.block_len.get().into())
    }

    /// Signs parts until none is left or the run is stopped. Returns them with the places where they begin.
    fn work(&self) -> Vec<(u64, Signed)> {
        let mut buffer = Vec::new();
        let mut parts = Vec::new();
        while !self.sink.sender.is_stopped() {
            let start = self.next.fetch_add(self.part_len(), Ordering::Relaxed);
            if start >= self.header.basis_len {
                break;
            }
            let end = start.saturating_add(self.part_len()).min(self.header.basis_len);
            buffer.resize(usize::try_from(end - start).map_or(CHUNK, |len| len.min(CHUNK)), 0);
            parts.push((start, self.sign_part(start..end, &mut buffer)));
        }
        parts
    }

    /// What cannot be read, or is not there any more, is signed as if it were noise that no file has: so nothing of it
    /// is found in the new one.
    fn sign_part(&self, range: Range<u64>, buffer: &mut [u8]) -> Signed {
        let SignatureHeader { block_len, strong_len, .. } = self.header;
        let mut signer = Signer::new(self.sink.context.sums, block_len, strong_len).keeping_sums();
        let mut pieces = match self.clone {
            Some(clone) => clone.pieces(range.clone()),
            None => self.file.pieces(range.clone()),
        };
        let (mut at, mut unread) = (range.start, None);
        while at < range.end && !self.sink.sender.is_stopped() {
            match pieces.next(buffer) {
                Ok(Some(piece)) => {
                    signer.push(piece);
                    self.copy(piece, at);
                    at += piece.len() as u64;
                }
                Ok(None) => break,
                Err(error) => {
                    unread = Some(error);
                    break;
                }
            }
        }
        let shorter = at < range.end;
        while at < range.end {
            let len = usize::try_from(range.end - at).map_or(buffer.len(), |left| left.min(buffer.len()));
            let noise = buffer.get_mut(..len).unwrap_or_default();
            fill_with_noise(noise);
            signer.push(noise);
            at += len as u64;
        }
        let (signature, sums) = signer.finish_with_sums();
        Signed { signature, sums, unread, shorter }
    }

    fn copy(&self, piece: &[u8], at: u64) {
        let Some(stage) = self.copy else { return };
        let mut uncopied = self.uncopied.lock().unwrap_or_else(PoisonError::into_inner);
        // What keeps it from being written is told when it is built.
        *uncopied = *uncopied || stage.write_at(piece, at).is_err();
    }
}

/// Bytes that nobody can know.
fn fill_with_noise(buffer: &mut [u8]) {
    let keys = RandomState::new();
    for (number, word) in buffer.chunks_mut(8).enumerate() {
        word.copy_from_slice(keys.hash_one(number).to_ne_bytes().get(..word.len()).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_never_the_same() {
        let (mut one, mut other) = ([0; 101], [0; 101]);
        fill_with_noise(&mut one);
        fill_with_noise(&mut other);
        assert_ne!(one, other);
        assert!(one.chunks(8).all(|word| word.iter().any(|byte| *byte != 0)));
    }
}
