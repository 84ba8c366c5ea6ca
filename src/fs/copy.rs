//! Copying a range of one file into another on the same machine.
//!
//! copy_file_range(2) moves the bytes inside the kernel, and on file systems that can share blocks (Btrfs, XFS,
//! bcachefs) it shares them, so for a file that is only copied a separate attempt at FICLONE would gain nothing. Where
//! it is refused, which depends on the pair of file systems, the bytes go through buffers. So they do where it would
//! share nothing and leave nothing to another machine, if there are many: two threads can read and write at the same
//! time.

use crate::fs::holes::{Extents, Holes};
use crate::fs::{file, kernel, status};
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// The most bytes asked for in one call, below the kernel's own limit of 2 GiB.
const AT_ONCE: u64 = 1 << 30;

/// Bytes of a buffer.
const BUFFER: usize = 256 * 1024;

/// Bytes from which on a second thread is worth while.
const MANY: u64 = 2 << 20;

/// Copies `len` bytes from `offset` of `from` to `at` of `to`, and returns how many there were before `from` ended. If
/// that happens while it is being copied, some of what was behind may be there too. There are at most `threads`
/// threads. Unless it may be done `in_kernel`, no blocks are shared.
pub(super) fn copy(
    (from, offset): (BorrowedFd<'_>, u64),
    len: u64,
    (to, at): (BorrowedFd<'_>, u64),
    threads: usize,
    in_kernel: bool,
) -> io::Result<u64> {
    let there = status::size(&rustix::fs::fstat(from)?).saturating_sub(offset).min(len);
    let many = threads > 1 && there >= MANY;
    let is_better = in_kernel && !(many && kernel::copies_page_by_page(to));
    let done = if is_better { inside_kernel(from, offset, len, to, at)? } else { 0 };
    if done == len {
        return Ok(len);
    }
    let (offset, at) = (offset.saturating_add(done), at.saturating_add(done));
    let copying = Copying {
        from,
        offset,
        to,
        at,
        next: AtomicU64::new(0),
        end: AtomicU64::new(len - done),
        turn: Mutex::new(()),
    };
    Ok(done + copying.run(many)?)
}

/// The same into a file in which zeros are to be holes: what `from` has no data for is not read.
pub(super) fn copy_sparse(
    from: BorrowedFd<'_>,
    offset: u64,
    len: u64,
    to: BorrowedFd<'_>,
    at: u64,
    holes: &Holes,
) -> io::Result<u64> {
    let there = status::size(&rustix::fs::fstat(from)?);
    let end = offset.saturating_add(len);
    let mut extents = Extents::new();
    let mut buffer = vec![0; BUFFER];
    let mut place = offset;
    while place < end {
        let goes_to = at.saturating_add(place - offset);
        let hole = extents.hole(from, place, there.min(end)).transpose()?.map_or(place, |hole| hole.min(end));
        if hole > place {
            holes.leave(to, goes_to..goes_to.saturating_add(hole - place))?;
            place = hole;
            continue;
        }
        let ask = usize::try_from(end - place).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(room) = buffer.get_mut(..ask) else { break };
        let read = file::read_full(from, room, place)?;
        holes.write(to, room.get(..read).unwrap_or_default(), goes_to)?;
        place = place.saturating_add(read as u64);
        if read < ask {
            break;
        }
    }
    Ok(place - offset)
}

/// Copies as far as the kernel does it by itself, and returns how far that was. It is less than `len` where the kernel
/// cannot, and where `from` ends or only claims to (/proc), so the end is left to a read.
fn inside_kernel(
    from: BorrowedFd<'_>,
    offset: u64,
    len: u64,
    to: BorrowedFd<'_>,
    at: u64,
) -> io::Result<u64> {
    let (mut source, mut sink) = (offset, at);
    let mut left = len;
    while left > 0 {
        match kernel::copy_range(from, &mut source, to, &mut sink, left.min(AT_ONCE) as usize) {
            Some(Ok(copied)) if copied > 0 => left = left.saturating_sub(copied as u64),
            Some(Err(error)) => return Err(error.into()),
            _ => break,
        }
    }
    Ok(len - left)
}

/// A range being copied through buffers.
struct Copying<'a> {
    from: BorrowedFd<'a>,
    offset: u64,
    to: BorrowedFd<'a>,
    at: u64,
    /// Where in the range the next piece begins that nobody has taken.
    next: AtomicU64,
    /// Where the range ends, or `from` does.
    end: AtomicU64,
    /// Held while writing: the kernel lets one at a time write to a file, but others wait for their turn there without
    /// giving up their core.
    turn: Mutex<()>,
}

impl Copying<'_> {
    /// Copies everything, by two threads if there is much, and returns how much there was.
    fn run(&self, much: bool) -> io::Result<u64> {
        thread::scope(|scope| {
            let spawn = || thread::Builder::new().name("copy".to_owned()).spawn_scoped(scope, || self.work());
            // One does it too.
            let other = much.then(spawn).and_then(Result::ok);
            let done = self.work();
            let others = other.map_or(Ok(()), |other| {
                other
                    .join()
                    .unwrap_or_else(|_| Err(io::Error::other("a thread that copied it ended too early")))
            });
            done.and(others)
        })?;
        Ok(self.end.load(Ordering::Acquire))
    }

    /// Copies pieces until none is left.
    fn work(&self) -> io::Result<()> {
        let size = usize::try_from(self.end.load(Ordering::Acquire)).map_or(BUFFER, |len| len.min(BUFFER));
        let mut buffer = vec![0; size];
        loop {
            let start = self.next.fetch_add(size as u64, Ordering::Relaxed);
            let left = self.end.load(Ordering::Acquire).saturating_sub(start);
            let ask = usize::try_from(left).map_or(size, |left| left.min(size));
            let Some(room) = buffer.get_mut(..ask).filter(|room| !room.is_empty()) else { return Ok(()) };
            let read = self.piece(room, start);
            let whole = read.as_ref().is_ok_and(|read| *read == ask);
            if !whole {
                let end = start.saturating_add(*read.as_ref().unwrap_or(&0) as u64);
                self.end.fetch_min(end, Ordering::AcqRel);
                return read.map(|_| ());
            }
        }
    }

    /// Copies a piece, and returns how many bytes there were.
    fn piece(&self, room: &mut [u8], start: u64) -> io::Result<usize> {
        let read = file::read_full(self.from, room, self.offset.saturating_add(start))?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        file::write_full(self.to, room.get(..read).unwrap_or_default(), self.at.saturating_add(start))?;
        Ok(read)
    }
}
