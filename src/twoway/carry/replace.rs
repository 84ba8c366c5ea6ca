//! Putting something without content in the place of another entry, which goes into the trash.

use crate::fs::{Error, Slot, Stamp, WriteDir, stage_name};
use crate::tree::{Kind, Name, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::{CHANGED, Carrier, NOT_EMPTY, Outcome, Trouble, expected};
use crate::twoway::facet::{At, Visible, Wanted};
use crate::twoway::history::Look;
use crate::twoway::record::Record;
use crate::twoway::task::Task;

impl Carrier {
    /// Puts what `make` makes, of this kind, in the place of what looked like `look`. Returns its stamp, and the path
    /// of the old one in the trash.
    pub(super) fn replace(
        &self,
        task: &Task,
        look: &Look,
        new: Kind,
        make: impl FnOnce(&WriteDir, &Name) -> Result<(), Error>,
    ) -> Result<(Stamp, RelPath), Trouble> {
        let (parent, dir, name) = self.place(&task.path)?;
        self.check_emptied(task, &dir, &name)?;
        let trash = self.trash.open(&parent)?;
        let staged = stage_name(&name);
        make(&self.staging, &staged)?;
        let slot = Slot { dir: &self.staging, name: &staged };
        let mut held = self.links.hold(&dir, &name)?;
        let expected = expected(&task.before, &held.look(look));
        let replaced = slot.replace(Slot { dir: &dir, name: &name }, &expected, &trash);
        if let Ok(Some(replaced)) = &replaced {
            held.is_changed(look, None, &trash, &replaced.trashed);
            self.handles.forget();
            return Ok((
                replaced.stamp,
                self.is_trashed(&parent, &replaced.trashed, &task.path, &task.before),
            ));
        }
        // It is cleared with the rest of the staging directory if it cannot be now.
        let _ = self.staging.remove(&staged, new);
        replaced?;
        Err(Trouble::Refused(CHANGED))
    }

    /// Makes sure that nothing is in a directory whose place something else is to take.
    pub(super) fn check_emptied(&self, task: &Task, dir: &WriteDir, name: &Name) -> Result<(), Trouble> {
        if !task.before.state.is_directory() {
            return Ok(());
        }
        let dir = dir.open_dir_writable(name)?;
        clear_staged(&dir)?;
        let listing = dir.list()?;
        let is_empty = listing.is_whole() && listing.entries.is_empty();
        if is_empty { Ok(()) } else { Err(Trouble::Refused(NOT_EMPTY)) }
    }

    /// Takes note of what has come into the trash under this name, and returns its path there. A directory from which
    /// everything was removed before is made where that went.
    pub(super) fn is_trashed(
        &self,
        parent: &RelPath,
        name: &Name,
        path: &RelPath,
        before: &Record,
    ) -> RelPath {
        let kind = super::kind(before).unwrap_or(Kind::File);
        if kind == Kind::Directory
            && let Ok(trash) = self.trash.open(parent)
            && let Ok(like) = Wanted::of(At::Entry(&trash, name, kind), self.settings.holds, &Visible::ALL)
            && trash.remove(name, kind).is_ok()
            && self.trash.make_like(path, before.attributes.mode, &like).is_ok()
        {
            return path.clone();
        }
        self.trash.note(parent, name, kind)
    }

    /// Removes all that is planned to be removed below a directory whose place something else is to take.
    pub(super) fn clear_below(&self, number: usize, task: &Task) -> Result<(), TwoWayError> {
        for below in self.tasks.below(&task.path).rev() {
            if let Some(below_task) = self.tasks.get(below) {
                self.remove(below, &below_task)?;
            }
        }
        if !self.is_stopped() && !self.is_done_below(&task.path) && self.outcome(number) == Outcome::Waiting {
            self.leave(number, task, &Trouble::dependent());
        }
        Ok(())
    }
}

/// Removes what killed runs left of files in a directory that is to go.
pub(super) fn clear_staged(dir: &WriteDir) -> Result<(), Error> {
    for entry in dir.list()?.entries {
        if entry.kind() == Kind::File && crate::fs::is_stage_name(&entry.name) {
            dir.clear_staged(&entry.name)?;
        }
    }
    Ok(())
}
