//! Copying a range of one file into another on the same machine.
//!
//! copy_file_range(2) moves the bytes inside the kernel, and on file systems that can share blocks (Btrfs, XFS,
//! bcachefs) it shares them, so for a file that is only copied a separate attempt at FICLONE would gain nothing. Where
//! it is refused, which depends on the pair of file systems, the bytes go through a buffer.

use crate::fs::{file, kernel};
use rustix::io::retry_on_intr;
use std::io;
use std::os::fd::BorrowedFd;

/// The most bytes asked for in one call, below the kernel's own limit of 2 GiB.
const AT_ONCE: u64 = 1 << 30;

/// Bytes of the buffer where the kernel does not copy by itself.
const BUFFER: usize = 256 * 1024;

/// Copies `len` bytes from `offset` of `from` to `at` of `to`, and returns how many there were before `from` ended.
pub(super) fn copy(
    from: BorrowedFd<'_>,
    offset: u64,
    len: u64,
    to: BorrowedFd<'_>,
    at: u64,
) -> io::Result<u64> {
    let (mut source, mut sink) = (offset, at);
    let mut left = len;
    while left > 0 {
        let ask = left.min(AT_ONCE) as usize;
        match kernel::copy_range(from, &mut source, to, &mut sink, ask) {
            Some(Ok(copied)) if copied > 0 => left = left.saturating_sub(copied as u64),
            Some(Err(error)) => return Err(error.into()),
            // Files that claim to be empty and are not (/proc) give 0 here, so the end is left to a read.
            _ => return Ok(len - left + through_buffer(from, source, left, to, sink)?),
        }
    }
    Ok(len)
}

fn through_buffer(
    from: BorrowedFd<'_>,
    offset: u64,
    len: u64,
    to: BorrowedFd<'_>,
    at: u64,
) -> io::Result<u64> {
    let mut buffer = vec![0; usize::try_from(len).unwrap_or(BUFFER).min(BUFFER)];
    let mut done = 0;
    while done < len {
        let ask = usize::try_from(len - done).unwrap_or(BUFFER).min(BUFFER);
        let Some(room) = buffer.get_mut(..ask) else { break };
        let read = retry_on_intr(|| rustix::io::pread(from, &mut *room, offset.saturating_add(done)))?;
        let Some(data) = room.get(..read).filter(|data| !data.is_empty()) else { break };
        file::write_full(to, data, at.saturating_add(done))?;
        done += read as u64;
    }
    Ok(done)
}
