//! The contents of files that a conflict is about: read here, or asked for at the other side.

use crate::fs::{Dir, ReadFile};
use crate::pass::{PassError, describe};
use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::exchange::{Conversation, Talk};
use crate::twoway::history::{History, Replaced};
use crate::twoway::packed::is_own;
use crate::twoway::record::ContentSum;
use crate::twoway::run::Contents;
use crate::twoway::run::share::OUT_OF_TURN;
use crate::twoway::scan::sum;
use crate::twoway::trash::TRASH;
use crate::twoway::version::Version;
use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::atomic::AtomicBool;

/// Bytes read at once.
const PIECE: usize = 32 << 10;

/// Writes a whole file of a replica to `to`, if it is one of at most `limit` bytes.
pub(super) fn copy_out(root: &Dir, path: &RelPath, limit: u64, to: &mut dyn Write) -> Result<bool, String> {
    match open(root, path)?.filter(|_| !is_own(path)) {
        Some(file) => write_out(&file, limit, to),
        None => Ok(false),
    }
}

/// The same of a file that was replaced, as far as its content is in the trash as it was.
fn copy_out_replaced(
    (root, history): (&Dir, &History),
    (path, version): (&RelPath, &Version),
    limit: u64,
    to: &mut dyn Write,
) -> Result<bool, String> {
    // What nobody has ever seen is no file.
    if version.is_empty() {
        return Ok(false);
    }
    for Replaced { run, trashed, sum } in
        history.replaced(path, version).map_err(|error| error.to_string())?
    {
        // What cannot be read is not there: somebody else may have it, and a merge can do without.
        if let Ok(Some(file)) = open(root, &below_trash(run, &trashed)?)
            && file.len() <= limit
            && sum_of(&file).is_ok_and(|found| found == sum)
        {
            return write_out(&file, limit, to);
        }
    }
    Ok(false)
}

fn sum_of(file: &ReadFile) -> Result<ContentSum, String> {
    let sum = sum(file.pieces(0..file.len()), &AtomicBool::new(false), &mut vec![0; PIECE]);
    sum.map_err(|error| describe(&error))
}

fn below_trash(run: u64, trashed: &RelPath) -> Result<RelPath, String> {
    let path = [format!("{TRASH}/{run}/").as_bytes(), trashed.as_bytes()].concat();
    RelPath::new(path).map_err(|error| error.to_string())
}

fn write_out(file: &ReadFile, limit: u64, to: &mut dyn Write) -> Result<bool, String> {
    if file.len() > limit {
        return Ok(false);
    }
    let mut piece = vec![0; PIECE];
    let mut at: u64 = 0;
    while at < file.len() {
        let read = file.read_at(&mut piece, at).map_err(|error| describe(&error))?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { return Ok(false) };
        to.write_all(bytes).map_err(|error| describe(&error))?;
        at = at.saturating_add(read as u64);
    }
    Ok(!file.changed().map_err(|error| describe(&error))?)
}

fn open(root: &Dir, path: &RelPath) -> Result<Option<ReadFile>, String> {
    let Some((parent, name)) = path.split_last() else { return Ok(None) };
    match root.open_beneath(&parent).and_then(|dir| dir.open_file(&name)) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(describe(&error.source)),
    }
}

/// Answers the planner who wants to see a file, which `write` writes.
fn show(
    conversation: &mut Conversation<'_>,
    write: impl FnOnce(&mut dyn Write) -> Result<bool, String>,
) -> Result<(), PassError> {
    let mut telling = Telling { conversation, lost: None };
    let shown = write(&mut telling);
    if let Some(lost) = telling.lost {
        return Err(lost);
    }
    conversation.say(&Talk::Content(shown.map(|is_whole| (Vec::new(), Some(is_whole)))))
}

/// Answers the planner who wants to see a file of the tree.
pub(super) fn show_file(
    conversation: &mut Conversation<'_>,
    root: &Dir,
    path: &RelPath,
    limit: u64,
) -> Result<(), PassError> {
    show(conversation, |to| copy_out(root, path, limit, to))
}

/// Answers the planner who wants to see a file that was replaced.
pub(super) fn show_replaced(
    conversation: &mut Conversation<'_>,
    own: (&Dir, &History),
    which: (&RelPath, &Version),
    limit: u64,
) -> Result<(), PassError> {
    show(conversation, |to| copy_out_replaced(own, which, limit, to))
}

/// Sends what is written to it.
struct Telling<'a, 'l> {
    conversation: &'a mut Conversation<'l>,
    lost: Option<PassError>,
}

impl Write for Telling<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.conversation.say(&Talk::Content(Ok((bytes.to_vec(), None)))) {
            self.lost = Some(error);
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The contents on both sides of a conflict at a path, for the planner.
pub(super) struct OfConflict<'a, 'c, 'l> {
    pub root: &'a Dir,
    pub history: &'a History,
    /// The planner's side.
    pub side: Side,
    pub path: &'a RelPath,
    /// The edits that both have absorbed.
    pub common: Version,
    pub conversation: &'a RefCell<&'c mut Conversation<'l>>,
}

impl OfConflict<'_, '_, '_> {
    /// Asks for a file of the other side's.
    fn fetch_theirs(&self, asked: &Talk, limit: u64, to: &mut dyn Write) -> Result<bool, String> {
        let lost = |error: PassError| error.to_string();
        let mut conversation = self.conversation.borrow_mut();
        conversation.say(asked).map_err(lost)?;
        let (mut left, mut failed) = (limit, None);
        loop {
            let Talk::Content(content) = conversation.hear().map_err(lost)? else {
                return Err(OUT_OF_TURN.to_string());
            };
            let (bytes, end) = content?;
            left = left.checked_sub(bytes.len() as u64).ok_or_else(|| OUT_OF_TURN.to_string())?;
            if failed.is_none() {
                failed = to.write_all(&bytes).err();
            }
            if let Some(is_whole) = end {
                return failed.map_or(Ok(is_whole), |error| Err(describe(&error)));
            }
        }
    }
}

impl Contents for OfConflict<'_, '_, '_> {
    fn fetch(&self, side: Side, limit: u64, to: &mut dyn Write) -> Result<bool, String> {
        match side == self.side {
            true => copy_out(self.root, self.path, limit, to),
            false => self.fetch_theirs(&Talk::Read(self.path.clone(), limit), limit, to),
        }
    }

    fn fetch_base(&self, side: Side, limit: u64, to: &mut dyn Write) -> Result<bool, String> {
        let (path, common) = (self.path, &self.common);
        match side == self.side {
            true => copy_out_replaced((self.root, self.history), (path, common), limit, to),
            false => self.fetch_theirs(&Talk::ReadReplaced(path.clone(), common.clone(), limit), limit, to),
        }
    }
}
