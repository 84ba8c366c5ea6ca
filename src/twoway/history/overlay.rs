//! The storage of a history that is only looked at: a file that is read, and in front of it the pages that have been
//! written, which stay in memory. So whatever a history does, nothing of it reaches the disk.

use crate::fs::ReadFile;
use redb::StorageBackend;
use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of a page. Any number would do; this is that of the database.
const PAGE: u64 = 4096;

/// A file, or nothing, with what was written over it.
#[derive(Debug)]
pub(super) struct Overlay {
    file: Option<ReadFile>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    len: u64,
    /// How much of the file still shows where nothing was written: it may have been cut off since.
    shows: u64,
    pages: HashMap<u64, Box<[u8]>>,
}

/// A part of a page.
struct Part {
    page: u64,
    /// Where it begins in the page.
    from: usize,
    len: usize,
}

/// The parts of pages that a range is made of, in order.
fn parts(offset: u64, len: usize) -> impl Iterator<Item = Part> {
    let (mut at, mut left) = (offset, len);
    std::iter::from_fn(move || {
        let within = at.checked_rem(PAGE).unwrap_or(0);
        let len = left.min(usize::try_from(PAGE.saturating_sub(within)).unwrap_or(usize::MAX));
        let part = Part { page: at.saturating_sub(within), from: usize::try_from(within).ok()?, len };
        at = at.saturating_add(len as u64);
        left = left.saturating_sub(len);
        (len > 0).then_some(part)
    })
}

impl Overlay {
    pub(super) fn new(file: Option<ReadFile>) -> Overlay {
        let len = file.as_ref().map_or(0, ReadFile::len);
        Overlay { file, state: Mutex::new(State { len, shows: len, pages: HashMap::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills `out` with what the file shows from `offset` on, and zeros behind that.
    fn read_below(&self, state: &State, offset: u64, out: &mut [u8]) -> Result<()> {
        let shown = usize::try_from(state.shows.saturating_sub(offset)).unwrap_or(usize::MAX).min(out.len());
        let (from_file, behind) = out.split_at_mut(shown);
        behind.fill(0);
        let read = match &self.file {
            Some(file) if shown > 0 => file.read_full_at(from_file, offset)?,
            _ => 0,
        };
        if read == shown { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
}

/// A range that ends behind the end is told as any file tells it: a database that asks for one was cut off.
fn check(state: &State, offset: u64, len: usize) -> Result<()> {
    match offset.checked_add(len as u64) {
        Some(end) if end <= state.len => Ok(()),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn of_page<'p>(page: &'p [u8], part: &Part) -> &'p [u8] {
    page.get(part.from..part.from.saturating_add(part.len)).unwrap_or_default()
}

impl StorageBackend for Overlay {
    fn len(&self) -> Result<u64> {
        Ok(self.state().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let state = self.state();
        check(&state, offset, out.len())?;
        let mut rest = out;
        for part in parts(offset, rest.len()) {
            let (piece, after) = rest.split_at_mut(part.len);
            match state.pages.get(&part.page) {
                Some(page) => piece.copy_from_slice(of_page(page, &part)),
                None => self.read_below(&state, part.page.saturating_add(part.from as u64), piece)?,
            }
            rest = after;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut state = self.state();
        if len < state.len {
            let last = len.checked_rem(PAGE).unwrap_or(0);
            state.pages.retain(|page, _| *page < len);
            if let Some(page) = state.pages.get_mut(&len.saturating_sub(last)) {
                page.iter_mut().skip(usize::try_from(last).unwrap_or(usize::MAX)).for_each(|byte| *byte = 0);
            }
        }
        state.len = len;
        state.shows = state.shows.min(len);
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut state = self.state();
        check(&state, offset, data.len())?;
        let mut rest = data;
        for part in parts(offset, data.len()) {
            let (piece, after) = rest.split_at(part.len);
            if !state.pages.contains_key(&part.page) {
                let mut page = vec![0; usize::try_from(PAGE).map_err(Error::other)?];
                self.read_below(&state, part.page, &mut page)?;
                state.pages.insert(part.page, page.into());
            }
            let page = state.pages.get_mut(&part.page);
            let place = page.and_then(|page| page.get_mut(part.from..part.from.saturating_add(part.len)));
            place.ok_or(ErrorKind::InvalidInput)?.copy_from_slice(piece);
            rest = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Links, Root};
    use crate::tree::Name;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Op {
        Write(u64, Vec<u8>),
        SetLen(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..20_000_u64, prop::collection::vec(1_u8.., 0..9000))
                .prop_map(|(at, data)| Op::Write(at, data)),
            (0..20_000_u64).prop_map(Op::SetLen),
        ]
    }

    proptest! {
        #[test]
        fn it_reads_as_a_file_that_was_written_and_leaves_the_file_alone(
            content in prop::collection::vec(any::<u8>(), 0..20_000),
            ops in prop::collection::vec(op(), 0..8),
            at in 0..20_000_usize, len in 0..9000_usize,
        ) {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("file"), &content).unwrap();
            let root = Root::open(dir.path().as_os_str(), Links::Trusted).unwrap();
            let file = root.dir().open_file(&Name::new(*b"file").unwrap()).unwrap();
            let overlay = Overlay::new(Some(file));
            let mut model = content.clone();
            for op in ops {
                match op {
                    Op::SetLen(len) => {
                        overlay.set_len(len).unwrap();
                        model.resize(len as usize, 0);
                    }
                    Op::Write(at, data) => {
                        let place = model.get_mut(at as usize..at as usize + data.len());
                        prop_assert_eq!(overlay.write(at, &data).is_ok(), place.is_some());
                        if let Some(place) = place {
                            place.copy_from_slice(&data);
                        }
                    }
                }
            }
            prop_assert_eq!(overlay.len().unwrap(), model.len() as u64);
            let mut out = vec![0; len];
            match model.get(at..at + len) {
                Some(expected) => {
                    overlay.read(at as u64, &mut out).unwrap();
                    prop_assert!(out == expected);
                }
                None => prop_assert!(overlay.read(at as u64, &mut out).is_err()),
            }
            prop_assert!(std::fs::read(dir.path().join("file")).unwrap() == content);
        }
    }
}
