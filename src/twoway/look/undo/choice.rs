//! Which run is undone where the user names none.

use crate::fs::Dir;
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::carry::run_name;
use crate::twoway::history::History;
use crate::twoway::log::Entry;
use crate::twoway::look::Hold;
use crate::twoway::look::undo::work::{Renames, Work};

/// A run that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToUndo {
    /// Its number.
    pub run: u64,
    /// The last run that did something here, if that is another, since nothing of it can be put back any more.
    pub lost: Option<u64>,
}

/// What of a run can still be put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// It did nothing.
    Nothing,
    /// Something; or there was nothing to be put back.
    Some,
    /// None of what it replaced and deleted.
    Lost,
}

impl Hold {
    /// The last run that did something here, of which not all is lost that was to be put back; or the last that did
    /// something, if that holds of none.
    ///
    /// # Errors
    /// Those of reading.
    pub fn last_to_undo(&self) -> Result<Option<ToUndo>, TwoWayError> {
        let mut lost = None;
        for run in self.history.runs()?.rev() {
            let run = run?.number;
            match left(&self.history, self.replica.all_trash(), run)? {
                Left::Nothing => {}
                Left::Some => return Ok(Some(ToUndo { run, lost })),
                Left::Lost => {
                    lost.get_or_insert(run);
                }
            }
        }
        Ok(lost.map(|run| ToUndo { run, lost: None }))
    }
}

fn left(history: &History, all: &Dir, run: u64) -> Result<Left, TwoWayError> {
    let renames = Renames::of(history, run)?;
    let trash = Trash::open(all, run)?;
    let mut left = Left::Nothing;
    for entry in history.entries(run)? {
        let entry = entry?;
        if entry.problem.is_some() {
            continue;
        }
        match renames.work(&entry) {
            None if left == Left::Nothing => left = Left::Some,
            None => {}
            Some(work) if is_there(&entry, &work, &trash) => return Ok(Left::Some),
            Some(_) => left = Left::Lost,
        }
    }
    Ok(left)
}

/// Whether what an entry needs may be had: what was at its path is in the trash, if it has to be.
fn is_there(entry: &Entry, work: &Work, trash: &Trash) -> bool {
    match work {
        Work::RenameBack(..) | Work::Adjust => true,
        // A directory is made anew.
        Work::PutBack(_) | Work::PutBackLater if entry.before.state.is_directory() => true,
        Work::PutBack(_) | Work::PutBackLater => entry.trashed.as_ref().is_some_and(|path| trash.has(path)),
    }
}

/// What a run has in the trash, if there is anything.
struct Trash(Option<Dir>);

impl Trash {
    fn open(all: &Dir, run: u64) -> Result<Trash, TwoWayError> {
        match all.open_dir(&run_name(run)?) {
            Ok(dir) => Ok(Trash(Some(dir))),
            Err(error) if error.is_not_found() => Ok(Trash(None)),
            Err(error) => Err(TwoWayError::at(".dsync/trash")(error)),
        }
    }

    /// Whether there is something at a path, or it cannot be told.
    fn has(&self, path: &RelPath) -> bool {
        let (Some(trash), Some((parent, name))) = (&self.0, path.split_last()) else { return false };
        match trash.open_beneath(&parent).and_then(|dir| dir.entry(&name)) {
            Ok(entry) => entry.is_some(),
            Err(error) => !error.is_not_found(),
        }
    }
}
