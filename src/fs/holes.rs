//! Files with holes: stretches of zeros that take no room.
//!
//! What is written to a file with [`Holes`] leaves its zeros out, in whole blocks: beyond the end that the file had it
//! is enough not to write them, and before it they are punched out (fallocate(2)), or written where the file system
//! cannot do that. After each call the file has the content and the length it would have had anyway. What is read of a
//! file with holes is looked up in the [`Extents`] that hold data, as far as the system tells.

use crate::fs::{file, kernel};
use rustix::io::retry_on_intr;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The blocks that are looked at: those of most file systems.
const BLOCK: u64 = 4096;

/// Zeros written at once where nothing can be punched.
const ZEROS: [u8; 16 << 10] = [0; 16 << 10];

/// What is known of a file in which zeros are to be holes.
#[derive(Debug, Default)]
pub(super) struct Holes(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// How long the file is. Nobody else writes to it.
    len: u64,
    /// Whether there are blocks beyond that.
    reserved: bool,
}

impl Holes {
    /// Those of a file of this length.
    pub(super) fn of_len(len: u64) -> Holes {
        Holes(Mutex::new(Known { len, reserved: false }))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file has another length now.
    pub(super) fn set_len(&self, len: u64) {
        self.lock().len = len;
    }

    /// Blocks were set aside beyond its end.
    pub(super) fn reserved(&self) {
        self.lock().reserved = true;
    }

    /// Writes all of `data` at `offset`, but for its zeros.
    pub(super) fn write(&self, file: BorrowedFd<'_>, data: &[u8], offset: u64) -> io::Result<()> {
        let mut known = self.lock();
        let mut at = offset;
        for (run, is_zero) in runs(data, offset) {
            let end = at.saturating_add(run.len() as u64);
            if is_zero {
                known.leave(file, at..end)?;
            } else {
                file::write_full(file, run, at)?;
                known.len = known.len.max(end);
            }
            at = end;
        }
        known.reach(file, at)
    }

    /// Makes a stretch of the file a hole, as if zeros were written there.
    pub(super) fn leave(&self, file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
        let mut known = self.lock();
        let end = range.end;
        known.leave(file, range)?;
        known.reach(file, end)
    }
}

impl Known {
    /// Has zeros where something may have been written before, or blocks were set aside. The length stays, but for the
    /// latter: nothing is punched beyond the end of a file (ext4).
    fn leave(&mut self, file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
        if self.reserved {
            self.reach(file, range.end)?;
        }
        let end = range.end.min(self.len);
        let len = end.saturating_sub(range.start);
        if len == 0 {
            return Ok(());
        }
        match kernel::punch_hole(file, range.start, len) {
            Some(done) => Ok(done?),
            None => write_zeros(file, range.start..end),
        }
    }

    /// Makes the file as long as to `end` if it is shorter.
    fn reach(&mut self, file: BorrowedFd<'_>, end: u64) -> io::Result<()> {
        if self.len < end {
            retry_on_intr(|| rustix::fs::ftruncate(file, end))?;
            self.len = end;
        }
        Ok(())
    }
}

fn write_zeros(file: BorrowedFd<'_>, range: Range<u64>) -> io::Result<()> {
    let mut at = range.start;
    while at < range.end {
        let len = usize::try_from(range.end - at).map_or(ZEROS.len(), |left| left.min(ZEROS.len()));
        file::write_full(file, ZEROS.get(..len).unwrap_or_default(), at)?;
        at = at.saturating_add(len as u64);
    }
    Ok(())
}

/// Data that goes to `offset`, cut where zeros begin and end, with whether each part is zeros: whole blocks of the
/// file, or what the data has of them.
fn runs(data: &[u8], offset: u64) -> impl Iterator<Item = (&[u8], bool)> {
    let mut rest = data;
    let mut at = offset;
    std::iter::from_fn(move || {
        let first = is_zero(rest.get(..block(at, rest.len()))?);
        let mut len = 0;
        while let Some(next) = rest.get(len..).filter(|next| !next.is_empty()) {
            let end = block(at.saturating_add(len as u64), next.len());
            if is_zero(next.get(..end).unwrap_or_default()) != first {
                break;
            }
            len += end;
        }
        let (run, after) = rest.split_at_checked(len).filter(|(run, _)| !run.is_empty())?;
        rest = after;
        at = at.saturating_add(len as u64);
        Some((run, first))
    })
}

/// How many of `len` bytes from `at` on are in the same block.
fn block(at: u64, len: usize) -> usize {
    usize::try_from(BLOCK - at % BLOCK).map_or(len, |left| left.min(len))
}

fn is_zero(data: &[u8]) -> bool {
    // Without a look at each byte by itself.
    data.chunks(64).all(|piece| piece.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Which stretches of an open file hold data, found out from front to back.
#[derive(Debug)]
pub(super) struct Extents {
    /// The data that was found last. Before it, from where it was looked for on, is a hole.
    data: Range<u64>,
    /// From where on it was looked for.
    from: u64,
}

impl Extents {
    /// Nothing known yet.
    pub(super) fn new() -> Extents {
        Extents { data: 0..0, from: 0 }
    }

    /// Where the hole ends in which `at` is, or `at` itself if it is in none. A hole at the end of the file goes on to
    /// `len`, if the file is still that long. `None` where the system does not tell.
    pub(super) fn hole(&mut self, file: BorrowedFd<'_>, at: u64, len: u64) -> Option<io::Result<u64>> {
        if at < self.from || at >= self.data.end {
            match kernel::data_after(file, at)? {
                Ok(Some(data)) => self.data = data,
                Ok(None) => match rustix::fs::fstat(file) {
                    Ok(stat) if crate::fs::status::size(&stat) >= len => self.data = len.max(at)..u64::MAX,
                    Ok(_) => self.data = at..u64::MAX,
                    Err(error) => return Some(Err(error.into())),
                },
                Err(error) => return Some(Err(error.into())),
            }
            self.from = at;
        }
        Some(Ok(self.data.start.max(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::kernel;
    use proptest::prelude::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn runs_are_cut_at_blocks() {
        let mut data = vec![0; 3 * 4096];
        data[5000] = 1;
        let lens = |offset| runs(&data, offset).map(|(run, zero)| (run.len(), zero)).collect::<Vec<_>>();
        assert_eq!(lens(0), [(4096, true), (4096, false), (4096, true)]);
        // The byte is in the last of three blocks, of which the first is cut.
        assert_eq!(lens(4000), [(4192, true), (4096, false), (4000, true)]);
        assert_eq!(runs(&[], 7).count(), 0);
    }

    fn content(file: &File) -> Vec<u8> {
        let mut content = Vec::new();
        let mut again =
            File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(file))).unwrap();
        again.read_to_end(&mut content).unwrap();
        content
    }

    #[test]
    fn zeros_take_no_room() {
        let file = tempfile::tempfile().unwrap();
        let holes = Holes::default();
        let data = [vec![7; 4096], vec![0; 1 << 20], vec![8; 4096], vec![0; 1 << 20]].concat();
        for (number, piece) in data.chunks(100_000).enumerate() {
            holes.write(file.as_fd(), piece, number as u64 * 100_000).unwrap();
        }
        assert_eq!(content(&file), data);
        assert!(file.metadata().unwrap().blocks() * 512 <= 64 << 10);
        // What was there gives way.
        holes.write(file.as_fd(), &[9; 1 << 20], 4096).unwrap();
        assert!(file.metadata().unwrap().blocks() * 512 >= 1 << 20);
        holes.write(file.as_fd(), &[0; 1 << 20], 4096).unwrap();
        assert_eq!(content(&file), data);
        assert!(file.metadata().unwrap().blocks() * 512 <= 64 << 10);
    }

    proptest! {
        #[test]
        fn writing_with_holes_is_writing(
            writes in prop::collection::vec((0_u64..30_000, 0_usize..20_000, 0_u8..3), 1..12),
            punches in any::<bool>(),
        ) {
            let (sparse, plain) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
            let holes = Holes::default();
            for (offset, len, kind) in writes {
                let data: Vec<u8> = (0..len).map(|at| match kind {
                    0 => 0,
                    1 => (at / 5000 % 2) as u8,
                    _ => 1,
                }).collect();
                let write = || holes.write(sparse.as_fd(), &data, offset).unwrap();
                if punches { write() } else { kernel::without(write) }
                file::write_full(plain.as_fd(), &data, offset).unwrap();
                if len == 0 {
                    // Nothing written makes no file longer.
                    rustix::fs::ftruncate(&sparse, plain.metadata().unwrap().len()).unwrap();
                    holes.set_len(plain.metadata().unwrap().len());
                }
                prop_assert_eq!(content(&sparse), content(&plain));
            }
        }
    }

    #[test]
    fn holes_are_found() {
        let file = tempfile::tempfile().unwrap();
        rustix::fs::ftruncate(&file, 1 << 20).unwrap();
        file::write_full(file.as_fd(), &[1; 4096], 512 << 10).unwrap();
        let mut extents = Extents::new();
        let mut hole = |at| extents.hole(file.as_fd(), at, 1 << 20).unwrap().unwrap();
        assert_eq!(hole(0), 512 << 10);
        assert_eq!(hole(4096), 512 << 10);
        assert_eq!(hole(512 << 10), 512 << 10);
        assert_eq!(hole(600 << 10), 1 << 20);
        assert_eq!(hole(0), 512 << 10);
        // One that became shorter has no hole there.
        rustix::fs::ftruncate(&file, 700 << 10).unwrap();
        let mut extents = Extents::new();
        assert_eq!(extents.hole(file.as_fd(), 650 << 10, 1 << 20).unwrap().unwrap(), 650 << 10);
    }
}
