//! Installing what a conflict was merged to, where that was done.

use crate::pass::Place;
use crate::tree::Name;
use crate::twoway::TwoWayError;
use crate::twoway::carry::copy::is_as_planned;
use crate::twoway::carry::{CHANGED, Carrier, Trouble};
use crate::twoway::task::Task;

impl Carrier {
    /// Gives what was merged, which has this name in the staging directory, the name in the tree. The other side
    /// fetches it from there.
    pub(super) fn install_merged(
        &self,
        number: usize,
        task: &Task,
        merged: &Name,
    ) -> Result<(), TwoWayError> {
        self.carry_out(number, task, |look| {
            let (_, dir, name) = self.place(&task.path)?;
            let staged = dir.stage(&name)?;
            staged.copy_all_of(&self.staging.open_file(merged)?)?;
            if !is_as_planned(&staged, &task.after.state)? {
                return Err(Trouble::Refused(CHANGED));
            }
            let at = Place { path: &task.path, dir: &dir, name: &name };
            self.put(&at, task, look, staged).map(Some)
        })?;
        // What cannot be removed now is cleared by the next run.
        let _ = self.staging.remove(merged, crate::tree::Kind::File);
        Ok(())
    }
}
