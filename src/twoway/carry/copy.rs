//! Copies of what lost a conflict, made where the loser is.

use crate::fs::{Slot, Stage};
use crate::tree::{Kind, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::attributes::node;
use crate::twoway::carry::{AT_SOURCE, CHANGED, Carrier, Done, Trouble};
use crate::twoway::facet::At;
use crate::twoway::history::Look;
use crate::twoway::record::{ContentSum, State};
use crate::twoway::scan;
use crate::twoway::task::Task;
use std::sync::atomic::AtomicBool;

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

impl Carrier {
    /// Makes the copy of the loser at `original`, unless it is a file whose content is not here.
    pub(super) fn copy_loser(
        &self,
        number: usize,
        task: &Task,
        original: &RelPath,
    ) -> Result<(), TwoWayError> {
        let known = self.journal.known(original)?.filter(|known| !known.is_unknown);
        let known = known.filter(|known| known.record.state == task.after.state);
        if node(&task.after).is_some() {
            // What is not here comes with all else that does.
            return match known.is_some() || task.lacks().is_empty() {
                true => self.make_node(number, task, known.map(|_| original)),
                false => Ok(()),
            };
        }
        match known.and_then(|known| known.look) {
            Some(look) => self.carry_out(number, task, |_| self.copy_file(task, original, &look).map(Some)),
            None => Ok(()),
        }
    }

    fn copy_file(&self, task: &Task, original: &RelPath, look: &Look) -> Result<Done, Trouble> {
        let (_, from, its_name) = self.place(original)?;
        let file = from.open_file(&its_name)?;
        if file.stamp() != look.stamp {
            return Err(Trouble::Refused(CHANGED));
        }
        let (_, dir, name) = self.place(&task.path)?;
        // Not beside its name: nothing is intended yet, so nobody would look there for what a killed run has left.
        let stage = self.staging.stage(&name)?;
        stage.copy_all_of(&file)?;
        crate::twoway::crash::point("copy");
        if !is_as_planned(&stage, &task.after.state)? {
            return Err(Trouble::Refused(CHANGED));
        }
        let meta = self.settings.all(&task.after, Some(&file.meta()));
        let slot = Slot { dir: &dir, name: &name };
        let from = At::Entry(&from, &its_name, Kind::File);
        let unset = self.set_staged(task, Some(from), &dir, &meta, &stage)?;
        let stamp = stage.install_if_free(&meta, slot)?;
        let stamp = stamp.ok_or_else(|| Trouble::taken(slot))?;
        Ok(Done { look: Some(self.look(stamp, &task.after)), trashed: None, unset })
    }
}

/// Whether a staged file has the planned content.
pub(super) fn is_as_planned(stage: &Stage, planned: &State) -> Result<bool, crate::fs::Error> {
    let failed = |source| crate::fs::Error { doing: "reading", source };
    let State::File { sum, size } = planned else { return Ok(false) };
    if stage.len().map_err(failed)? != *size {
        return Ok(false);
    }
    let pieces = stage.pieces(0..*size);
    let mut buffer = pieces.buffer(BUFFER);
    let found = scan::sum(pieces, &AtomicBool::new(false), &mut buffer).map_err(failed)?;
    Ok(found == *sum)
}

/// Whether a content is the planned one.
pub(super) fn check_content(content: &[u8], planned: &State) -> Result<(), Trouble> {
    let found =
        State::File { sum: ContentSum(*blake3::hash(content).as_bytes()), size: content.len() as u64 };
    if found == *planned { Ok(()) } else { Err(Trouble::Refused(AT_SOURCE)) }
}
