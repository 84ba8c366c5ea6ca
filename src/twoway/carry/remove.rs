//! Removing, into the trash, what is to go.

use crate::fs::{Error, Expected, Slot, WriteDir};
use crate::tree::{Kind, Name, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::replace::clear_staged;
use crate::twoway::carry::{CHANGED, Carrier, Done, NOT_EMPTY, Trouble, expected};
use crate::twoway::facet::{At, Visible, Wanted};
use crate::twoway::history::Look;
use crate::twoway::reconcile::Change;
use crate::twoway::record::State;
use crate::twoway::task::Task;
use std::collections::HashSet;
use std::io::ErrorKind;

const NOT_MOVED: &str = "the same content was to be made under another name, and was not";

impl Carrier {
    /// Removes all that is to go, deepest first.
    pub(super) fn remove_all(&self) -> Result<(), TwoWayError> {
        self.leave_what_did_not_move()?;
        let removed = self.tasks.such(|outline| matches!(outline.here, Some(Change::Remove | Change::Empty)));
        removed.rev().try_for_each(|(number, task)| self.remove(number, &task))
    }

    /// Leaves files whose content was to be made under another name and is not: whoever allowed the removal took them
    /// for moved.
    fn leave_what_did_not_move(&self) -> Result<(), TwoWayError> {
        let made = self.tasks.such(|outline| outline.here == Some(Change::Create));
        let unmade = made.filter(|(number, _)| !self.is_done_by_now(*number));
        let files = unmade.filter(|(_, task)| matches!(task.after.state, State::File { .. }));
        let lacking: HashSet<State> = files.map(|(_, task)| task.after.state).collect();
        if lacking.is_empty() {
            return Ok(());
        }
        for (number, task) in self.tasks.such(|outline| outline.here == Some(Change::Remove)) {
            if lacking.contains(&task.before.state) && self.is_waiting(number) {
                self.leave(number, &task, &Trouble::Refused(NOT_MOVED));
            }
        }
        Ok(())
    }

    /// Removes what is at one path, if that is to go.
    pub(super) fn remove(&self, number: usize, task: &Task) -> Result<(), TwoWayError> {
        let (Some(change @ (Change::Remove | Change::Empty)), false) = (task.here, self.is_stopped()) else {
            return Ok(());
        };
        if task.before.state.is_directory() && !self.is_done_below(&task.path) {
            self.leave_dependent(number);
            return Ok(());
        }
        self.carry_out(number, task, |look| match look {
            // What is left in it takes no part.
            _ if change == Change::Empty => Ok(Some(Done::default())),
            None => Err(Trouble::Refused(CHANGED)),
            Some(look) if task.before.state.is_directory() => self.remove_directory(task, look).map(Some),
            Some(look) => self.discard(task, look).map(Some),
        })
    }

    fn discard(&self, task: &Task, look: &Look) -> Result<Done, Trouble> {
        let (parent, dir, name) = match self.place(&task.path) {
            Err(Trouble::Failed(error)) if error.is_not_found() => return Ok(Done::default()),
            place => place?,
        };
        let trash = self.trash.open(&parent)?;
        let slot = Slot { dir: &dir, name: &name };
        let mut held = self.links.hold(&dir, &name)?;
        let Some(trashed) = slot.discard(&expected(&task.before, &held.look(look)), &trash)? else {
            return is_gone(&dir, &name);
        };
        held.is_changed(look, None, &trash, &trashed);
        let trashed = self.is_trashed(&parent, &trashed, &task.path, &task.before);
        Ok(Done { trashed: Some(trashed), ..Done::default() })
    }

    /// Removes an empty directory; the trash gets one like it, with what was in it.
    fn remove_directory(&self, task: &Task, look: &Look) -> Result<Done, Trouble> {
        let (_, dir, name) = match self.place(&task.path) {
            Err(Trouble::Failed(error)) if error.is_not_found() => return Ok(Done::default()),
            place => place?,
        };
        let found = dir.stamped(&name)?;
        let is_expected = found.is_some_and(|found| {
            let (dev, ino) = (found.stamp.dev, found.stamp.ino);
            found.entry.is_dir() && expected(&task.before, look) == Expected::Directory { dev, ino }
        });
        if !is_expected {
            return is_gone(&dir, &name);
        }
        let like = Wanted::of(At::Entry(&dir, &name, Kind::Directory), self.settings.holds, &Visible::ALL)?;
        self.trash.make_like(&task.path, task.before.attributes.mode, &like)?;
        match remove_empty(&dir, &name) {
            Err(error) if is_full(&error) => {
                let inside = dir.open_dir_writable(&name)?;
                clear_staged(&inside)?;
                remove_empty(&dir, &name).map_err(|error| match is_full(&error) {
                    true => Trouble::Refused(NOT_EMPTY),
                    false => Trouble::Failed(error),
                })?;
            }
            done => done?,
        }
        self.handles.forget();
        Ok(Done { trashed: Some(RelPath::clone(&task.path)), ..Done::default() })
    }
}

fn remove_empty(dir: &WriteDir, name: &Name) -> Result<(), Error> {
    dir.remove(name, Kind::Directory)
}

fn is_full(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists)
}

/// What somebody else has removed is removed; anything else that is not as it was is left.
fn is_gone(dir: &WriteDir, name: &Name) -> Result<Done, Trouble> {
    match dir.entry(name)? {
        None => Ok(Done::default()),
        Some(_) => Err(Trouble::Refused(CHANGED)),
    }
}
