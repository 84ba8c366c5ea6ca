//! Reaching a directory several levels down without following a symbolic link.
//!
//! One openat2(2) for as many elements as a path may have, or element by element where that call is missing. Both
//! answer alike: a symbolic link anywhere on the way is "not a directory". A directory that may be searched but not
//! read is opened all the same, for use as a handle only.

use crate::fs::kernel;
use crate::tree::RelPath;
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The longest path Linux takes in one call, without the NUL (PATH_MAX).
const LONGEST: usize = 4095;

/// What every directory is opened with.
const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens the directory `name` of `dir`.
pub(super) fn open_one(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    match rustix::fs::openat(dir, name, DIRECTORY, Mode::empty()) {
        Err(Errno::ACCESS) => search_only(dir, name),
        // Which of the two a symbolic link gives differs by system and call.
        Err(Errno::LOOP) => Err(Errno::NOTDIR),
        done => done,
    }
}

/// Opens the directory at `path` below `dir`; `None` if the path is empty and so `dir` itself is meant.
pub(super) fn open(dir: BorrowedFd<'_>, path: &RelPath) -> Result<Option<OwnedFd>> {
    let mut reached: Option<OwnedFd> = None;
    for piece in pieces(path.as_bytes()) {
        let from = reached.as_ref().map_or(dir, AsFd::as_fd);
        reached = Some(open_piece(from, piece)?);
    }
    Ok(reached)
}

/// Opens several elements at once, or else one by one.
fn open_piece(dir: BorrowedFd<'_>, piece: &[u8]) -> Result<OwnedFd> {
    if !piece.contains(&b'/') {
        return open_one(dir, piece);
    }
    match kernel::open_beneath(dir, piece, DIRECTORY) {
        Some(Ok(opened)) => Ok(opened),
        Some(Err(Errno::LOOP)) => Err(Errno::NOTDIR),
        // The last directory may be closed to reading only, which the walk finds out.
        Some(Err(error)) if error != Errno::ACCESS => Err(error),
        _ => walk(dir, piece),
    }
}

/// Opens element after element.
fn walk(dir: BorrowedFd<'_>, piece: &[u8]) -> Result<OwnedFd> {
    let mut elements = piece.split(|&b| b == b'/');
    let first = elements.next().unwrap_or_default();
    elements.try_fold(open_one(dir, first)?, |reached, name| open_one(reached.as_fd(), name))
}

/// A handle on a directory that may not be read: good for reaching what is in it.
fn search_only(dir: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd> {
    let handle = match kernel::entry_handle(dir, name) {
        Some(handle) => handle?,
        None => return Err(Errno::ACCESS),
    };
    match rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode) {
        rustix::fs::FileType::Directory => Ok(handle),
        _ => Err(Errno::NOTDIR),
    }
}

/// Cuts a path between elements into pieces that one call takes. A single element is never too long for that.
fn pieces(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = path;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = match rest.get(..=LONGEST) {
            Some(head) => head.iter().rposition(|&b| b == b'/').unwrap_or(LONGEST),
            None => rest.len(),
        };
        let (piece, tail) = rest.split_at(end);
        rest = tail.strip_prefix(b"/").unwrap_or(tail);
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_path_and_fit_one_call() {
        for elements in [1, 2, 15, 16, 17, 200] {
            for length in [1, 200, 255, 1020] {
                let path = vec![vec![b'n'; length]; elements].join(&b'/');
                let cut: Vec<&[u8]> = pieces(&path).collect();
                assert_eq!(cut.join(&b'/'), path);
                assert!(cut.iter().all(|piece| !piece.is_empty() && piece.len() <= LONGEST));
            }
        }
        assert_eq!(pieces(b"").count(), 0);
    }
}
