//! Names that lead the others of their file: what becomes of those when the leader could not be made, and what all have
//! in common in the end.

use crate::fs::{SetMeta, Stamp};
use crate::pass::describe;
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::carry::{Carrier, NO_FILE, Trouble, kind, lock};
use crate::twoway::history::Known;
use crate::twoway::names::Role;
use crate::twoway::record::Record;
use filetime::FileTime;

impl Carrier {
    /// The other names that lead to the same file as this one, and did before.
    pub(super) fn names_there(&self, leader: &RelPath) -> Vec<RelPath> {
        lock(&self.roles).files.get(leader).map_or_else(Vec::new, |file| file.there.clone())
    }

    /// Something is not done. If others were to be linked to it, one of those whose content is fetched takes its place.
    pub(super) fn let_another_lead(&self, left: &RelPath) {
        let mut roles = lock(&self.roles);
        let Some(mut file) = roles.files.remove(left) else { return };
        let is_fetched = |number: &usize| {
            self.is_waiting(*number) && self.tasks.outline(*number).is_some_and(|outline| outline.is_fetched)
        };
        let next = file.linked.iter().position(is_fetched).map(|place| file.linked.remove(place));
        let Some((next, task)) = next.and_then(|next| Some((next, self.tasks.get(next)?))) else { return };
        roles.by_task.remove(&next);
        for number in &file.linked {
            roles.by_task.insert(*number, Role::Link(task.path.clone()));
        }
        file.there.clear();
        roles.files.insert(task.path, file);
        drop(roles);
        lock(&self.promoted).push(next);
    }

    /// Tells of those that took the place of another when nothing was fetched any more.
    pub(super) fn leave_unfetched(&self) {
        let next = || lock(&self.promoted).pop().filter(|_| !self.is_stopped());
        while let Some(number) = next() {
            if let Some(task) = self.tasks.get(number).filter(|_| self.is_waiting(number)) {
                self.leave(number, &task, &Trouble::Refused(NO_FILE));
            }
        }
    }

    /// Writes down how one name of a file looks, after others have been given or taken away.
    pub(super) fn look_once_more(&self, path: RelPath) -> Result<(), TwoWayError> {
        let Some(Known { look: Some(look), record, .. }) = self.journal.known(&path)? else { return Ok(()) };
        let now = self.links.hold_to_link().look(&look).stamp;
        if now == look.stamp || self.is_undone(&path) {
            return Ok(());
        }
        let look = Some(self.look(now, &record));
        self.journal.record(vec![(path, Known::there(record, look))], None)
    }

    /// Whether something was to be done to a path, and was not.
    fn is_undone(&self, path: &RelPath) -> bool {
        let task = self.tasks.find(path);
        task.is_some_and(|(number, task)| task.here.is_some() && !self.is_done_by_now(number))
    }

    /// Gives files of which names were to have several times of modification the latest of them: a file has one.
    pub(super) fn give_one_time(&self) -> Result<(), TwoWayError> {
        let mut dated = Vec::new();
        for (leader, file) in &lock(&self.roles).files {
            let Some(mtime) = file.mtime else { continue };
            let linked =
                file.linked.iter().filter_map(|number| self.tasks.get(*number)).map(|task| task.path);
            let all: Vec<RelPath> =
                [leader.clone()].into_iter().chain(file.there.iter().cloned()).chain(linked).collect();
            dated.push((mtime, all));
        }
        for (mtime, names) in dated {
            // What was not done yet is to have a time of its own.
            if self.is_stopped() || names.iter().any(|path| self.is_undone(path)) {
                continue;
            }
            for path in names {
                self.give_time(path, mtime)?;
            }
        }
        self.journal.flush()
    }

    fn give_time(&self, path: RelPath, mtime: FileTime) -> Result<(), TwoWayError> {
        let Some(Known { look: Some(look), record, .. }) = self.journal.known(&path)? else { return Ok(()) };
        let Some(kind) = kind(&record) else { return Ok(()) };
        let set = || -> Result<Option<Stamp>, Trouble> {
            let (_, dir, name) = self.place(&path)?;
            let mut held = self.links.hold_to_link();
            let expected = held.look(&look).stamp;
            let Some(found) = dir.stamped(&name)?.filter(|found| found.stamp == expected) else {
                return Ok(None);
            };
            if found.entry.meta.mtime == mtime {
                return Ok(Some(expected));
            }
            dir.set_meta(&name, kind, &SetMeta { mtime: Some(mtime), ..SetMeta::default() })?;
            held.is_changed(&look, Some(mtime), &dir, &name);
            let now = dir.stamped(&name)?.filter(|now| now.stamp.inode() == expected.inode());
            Ok(now.map(|now| now.stamp))
        };
        match set() {
            Ok(Some(stamp)) => {
                let record = Record { mtime, ..record };
                let look = Some(self.look_again(stamp, &record));
                self.journal.record(vec![(path, Known::there(record, look))], None)
            }
            // Whoever has changed it meanwhile has given it another time.
            Ok(None) => Ok(()),
            Err(Trouble::Failed(error)) => {
                self.telling.say(error.doing, &path, &describe(&error.source));
                Ok(())
            }
            Err(_) => Ok(()),
        }
    }
}
