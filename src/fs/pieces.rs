//! Reading a stretch of a file piece by piece, from front to back.

use crate::fs::file;
use crate::fs::holes::Extents;
use rustix::io::retry_on_intr;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

/// What is left to read of a stretch of an open file.
#[derive(Debug)]
pub struct Pieces<'a> {
    file: BorrowedFd<'a>,
    /// Where the file is expected to end.
    len: u64,
    at: u64,
    end: u64,
    /// Whether the file has ended.
    ended: bool,
    /// If it has holes, of which the zeros need not be read.
    extents: Option<Extents>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(file: BorrowedFd<'a>, len: u64, range: Range<u64>) -> Pieces<'a> {
        Pieces { file, len, at: range.start, end: range.end, ended: false, extents: None }
    }

    /// Says whether the file has holes.
    pub(super) fn with_holes(self, has_holes: bool) -> Pieces<'a> {
        Pieces { extents: has_holes.then(Extents::new), ..self }
    }

    /// A buffer of at most `most` bytes, and no longer than is of use: so long that a short file and its end are one
    /// read.
    pub fn buffer(&self, most: usize) -> Vec<u8> {
        let until = if self.at <= self.len { self.len.saturating_add(1) } else { u64::MAX };
        let left = until.min(self.end).saturating_sub(self.at);
        vec![0; usize::try_from(left).map_or(most, |left| left.clamp(1, most.max(1)))]
    }

    /// Reads the next piece into `buffer`: as much as fits, less only at the end of the stretch or of the file. `None`
    /// where nothing is left. A file that ends where it is expected to is at its end, which saves asking once more; one
    /// that ends before is asked until it says so.
    ///
    /// # Errors
    /// Those of reading.
    pub fn next<'b>(&mut self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        let room = self.room(buffer);
        if self.have_ended() || room.is_empty() {
            return Ok(None);
        }
        if self.is_hole(room.len()) {
            room.fill(0);
            self.at = self.at.saturating_add(room.len() as u64);
            self.ended = self.at == self.len;
            return Ok(Some(room));
        }
        let mut read = retry_on_intr(|| rustix::io::pread(self.file, &mut *room, self.at))?;
        self.ended = read as u64 == self.len.saturating_sub(self.at);
        if !self.ended
            && let Some(rest) = room.get_mut(read..).filter(|rest| !rest.is_empty())
        {
            read += file::read_full(self.file, rest, self.at.saturating_add(read as u64))?;
            self.ended = read < room.len();
        }
        self.at = self.at.saturating_add(read as u64);
        Ok(room.get(..read).filter(|piece| !piece.is_empty()))
    }

    /// Reads the next piece, to the end of the stretch even if the file has become shorter. What it does not have any
    /// more, or what cannot be read, counts as zeros: for those who find out by a sum.
    pub fn next_padded<'b>(&mut self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        let room = self.room(buffer);
        let read = file::read_full(self.file, room, self.at).unwrap_or_default();
        room.get_mut(read..).unwrap_or_default().fill(0);
        self.at = self.at.saturating_add(room.len() as u64);
        Some(&*room).filter(|piece| !piece.is_empty())
    }

    /// Whether nothing is left.
    pub fn have_ended(&self) -> bool {
        self.ended || self.at >= self.end
    }

    /// Whether the next bytes, so many of them, are in a hole, before the end that the file is expected to have.
    fn is_hole(&mut self, bytes: usize) -> bool {
        let end = self.at.saturating_add(bytes as u64);
        let Some(extents) = self.extents.as_mut().filter(|_| end <= self.len) else { return false };
        match extents.hole(self.file, self.at, self.len) {
            Some(Ok(hole)) => hole >= end,
            // Reading will tell.
            Some(Err(_)) => false,
            None => {
                self.extents = None;
                false
            }
        }
    }

    /// As much of a buffer as there is use for.
    fn room<'b>(&self, buffer: &'b mut [u8]) -> &'b mut [u8] {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let len = buffer.len().min(left);
        buffer.get_mut(..len).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use crate::fs::{Devices, Keeping, ReadFile};
    use std::io::Write;

    fn open(len: usize) -> (tempfile::NamedTempFile, ReadFile) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&content(len)).unwrap();
        let open = std::fs::File::open(file.path()).unwrap();
        let open = ReadFile::new(open.into(), Keeping::Inodes, Devices::Entries).unwrap();
        (file, open)
    }

    fn content(len: usize) -> Vec<u8> {
        (0..len).map(|n| (n % 251) as u8).collect()
    }

    fn read(open: &ReadFile, range: std::ops::Range<u64>, most: usize) -> Vec<Vec<u8>> {
        let mut pieces = open.pieces(range);
        let mut buffer = pieces.buffer(most);
        let mut read = Vec::new();
        while let Some(piece) = pieces.next(&mut buffer).unwrap() {
            read.push(piece.to_vec());
        }
        read
    }

    #[test]
    fn a_file_is_read_in_full_pieces() {
        for len in [0, 1, 99, 100, 101, 300, 1000] {
            let (_file, open) = open(len);
            for range in [0..u64::MAX, 0..len as u64, 0..50, 70..170, 150..u64::MAX, 7..7] {
                let within = range.start.min(len as u64) as usize..range.end.min(len as u64) as usize;
                let expected: Vec<Vec<u8>> = content(len)[within].chunks(100).map(<[u8]>::to_vec).collect();
                assert_eq!(read(&open, range.clone(), 100), expected, "{len} {range:?}");
            }
        }
    }

    #[test]
    fn a_file_that_grew_or_shrank_is_read_to_its_end() {
        let (mut file, open) = open(250);
        file.write_all(&[9; 100]).unwrap();
        assert_eq!(read(&open, 0..u64::MAX, 100).concat().len(), 350);
        file.as_file().set_len(120).unwrap();
        assert_eq!(read(&open, 0..u64::MAX, 100).concat(), content(120));
    }

    #[test]
    fn what_is_missing_counts_as_zeros_where_that_is_asked_for() {
        let (_file, open) = open(150);
        let mut pieces = open.pieces(20..320);
        let (mut buffer, mut read) = (vec![1; 100], Vec::new());
        while let Some(piece) = pieces.next_padded(&mut buffer) {
            read.extend_from_slice(piece);
        }
        assert_eq!(read, [&content(150)[20..], &[0; 170]].concat());
    }
}
