//! What a killed run did and came not to say in its log.
//!
//! What is done goes into the log many paths at a time, so of a run that is killed the log lacks the last of them. Who
//! [recovers](super::recover()) finds out what was done, and where in the run's trash the old versions are: these are
//! known by their inodes. With that the log says what it would have said, but for the reasons, and who undoes the run
//! undoes all of it.

use crate::fs::Dir;
use crate::tree::RelPath;
use crate::twoway::carry::names::inode;
use crate::twoway::history::{Killed, Known, Late};
use crate::twoway::log::Entry;
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::Record;

/// What is found out about a run.
pub(super) struct Catching<'a> {
    root: &'a Dir,
    /// What it has in the trash, if it has anything.
    trash: Option<&'a Dir>,
    late: Late,
}

impl<'a> Catching<'a> {
    pub(super) fn new(root: &'a Dir, trash: Option<&'a Dir>, killed: Option<Killed>) -> Catching<'a> {
        let late = Late { run: killed.map(|killed| killed.number), ..Late::default() };
        Catching { root, trash, late }
    }

    /// At a path of which this was known the run has done what led to this.
    pub(super) fn is_done(&mut self, path: &RelPath, before: Option<&Known>, after: &Record) {
        let was = before.map_or_else(Record::never, |before| before.record.clone());
        let Some(change) = Change::between(&was, after) else { return };
        let gives_way = was.state.is_directory() && !after.state.is_directory();
        let trashed = before.and_then(|known| self.trashed(path, known));
        // Of a directory that was removed the trash has one that was made like it.
        let trashed =
            trashed.or_else(|| Some(path.clone()).filter(|path| gives_way && self.has_directory(path)));
        self.add(path, change, was, after, trashed);
    }

    /// It is not known what is at a path now that this was to be done to. The log says that it was, if the trash has
    /// what was there.
    pub(super) fn is_unclear(&mut self, path: &RelPath, before: Option<&Known>, intended: &Record) {
        let Some(known) = before else { return };
        let change = Change::between(&known.record, intended);
        if let Some((change, trashed)) = change.zip(self.trashed(path, known)) {
            self.add(path, change, known.record.clone(), intended, Some(trashed));
        }
    }

    fn add(
        &mut self,
        path: &RelPath,
        change: Change,
        before: Record,
        after: &Record,
        trashed: Option<RelPath>,
    ) {
        let (path, after) = (path.clone(), after.clone());
        self.late.entries.push(Entry {
            path,
            change,
            why: Why::Clear,
            before,
            after,
            trashed,
            problem: None,
        });
    }

    /// Where in the trash that is which looked like this, and has not its name any more.
    fn trashed(&self, path: &RelPath, before: &Known) -> Option<RelPath> {
        let (was, (above, name)) = (inode(before)?, path.split_last()?);
        let has_name = || {
            let found = self.root.open_beneath(&above).ok()?.stamped(&name).ok()??;
            (found.stamp.inode() == was).then_some(())
        };
        if has_name().is_some() {
            return None;
        }
        let kept = self.trash?.open_beneath(&above).ok()?.kept_as(&name, was).ok()??;
        Some(above.join(&kept))
    }

    fn has_directory(&self, path: &RelPath) -> bool {
        self.trash.is_some_and(|trash| trash.open_beneath(path).is_ok())
    }

    /// What is to be written down.
    pub(super) fn into_late(self) -> Late {
        self.late
    }
}
