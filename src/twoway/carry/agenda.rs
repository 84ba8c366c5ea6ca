//! What a pass fetches, and how each file gets its name.

use crate::fs::{Error, SetMeta, Slot, Stage, Stamp, WriteDir};
use crate::pass::{Agenda, Place, Planned, describe};
use crate::tree::{Entry, Node, RelPath};
use crate::twoway::carry::copy::{check_content, is_as_planned};
use crate::twoway::carry::extended::replaced;
use crate::twoway::carry::{AT_SOURCE, CHANGED, Carrier, Done, Expectation, Trouble, expected};
use crate::twoway::crash;
use crate::twoway::facet::{At, Seen};
use crate::twoway::history::Look;
use crate::twoway::reconcile::Why;
use crate::twoway::record::State;
use crate::twoway::task::Task;

impl Agenda for Carrier {
    fn wants(&self, path: &RelPath, entry: &Entry) -> Option<Planned> {
        let (number, task) = self.fetched(path).filter(|_| !self.is_stopped())?;
        let is_planned = match (&entry.node, &task.after.state) {
            (Node::File { size }, State::File { size: planned, .. }) => size == planned,
            _ => false,
        };
        if !is_planned {
            self.leave(number, &task, &Trouble::Refused(AT_SOURCE));
            return None;
        }
        Some(Planned { is_new: !task.before.state.is_present(), like: self.like(&task) })
    }

    fn install(&self, at: &Place<'_>, staged: Stage) -> Result<bool, Error> {
        self.give_name(at, |task, look| {
            if !is_as_planned(&staged, &task.after.state)? {
                return Err(Trouble::Refused(AT_SOURCE));
            }
            self.put(at, task, look, staged)
        })
    }

    fn write(&self, at: &Place<'_>, content: &[u8]) -> Result<bool, Error> {
        // Nothing of it was there before: it is begun here.
        if self.is_stopped() {
            return Ok(false);
        }
        self.give_name(at, |task, look| {
            check_content(content, &task.after.state)?;
            let is_plain = || self.extended(task, None, at.dir).map(|wanted| wanted.is_empty());
            if look.is_none() && is_plain()? {
                let meta = self.settings.all(&task.after, None);
                let stamp = at.dir.write_if_free(at.name, content, &meta)?;
                let taken = || Trouble::taken(Slot { dir: at.dir, name: at.name });
                return self.is_there(task, stamp.ok_or_else(taken)?, None, Seen::new());
            }
            let staged = at.dir.stage(at.name)?;
            staged.write_at(content, 0)?;
            self.put(at, task, look, staged)
        })
    }
}

/// How much longer than what is fetched a file may be that is to be its basis, and how much shorter: its sums are sent,
/// and are to be less than what they save.
const FACTOR: u64 = 4;

impl Carrier {
    /// The file here that what a task fetches is most likely much like: of the two that a conflict is about, both were
    /// made of the same file. Only the path of a task is believed, which is in the tree and none of dsync's own; as the
    /// original of a copy the other side may name anything.
    fn like(&self, task: &Task) -> Option<RelPath> {
        let Why::CopyOf { original, .. } = &task.why else { return None };
        let (_, original) = self.tasks.find(original)?;
        let (State::File { size, .. }, State::File { size: here, .. }) =
            (&task.after.state, &original.before.state)
        else {
            return None;
        };
        let is_near = size.div_ceil(FACTOR) <= *here && *here <= size.saturating_mul(FACTOR);
        is_near.then_some(original.path)
    }

    /// The task of a file that is to be fetched, if it is.
    fn fetched(&self, path: &RelPath) -> Option<(usize, Task)> {
        let (number, task) = self.tasks.find(path)?;
        let is_open = self.is_waiting(number) && !self.is_linked(number) && !self.journal.has_failed();
        (is_open && task.is_fetched()).then_some((number, task))
    }

    /// Gives a fetched file its name by `install`. An error of the file system is the caller's to tell.
    fn give_name(
        &self,
        at: &Place<'_>,
        install: impl FnOnce(&Task, Option<&Look>) -> Result<Done, Trouble>,
    ) -> Result<bool, Error> {
        let Some((number, task)) = self.fetched(at.path) else { return Ok(false) };
        crash::point("install");
        let done = match self.expectation(&task) {
            Ok(Expectation::Free) => install(&task, None),
            Ok(Expectation::There(look)) => install(&task, Some(&look)),
            Ok(Expectation::Unclear(why)) => Err(Trouble::Refused(why)),
            Err(error) => {
                self.journal.keep_failure(Err(error));
                return Ok(false);
            }
        };
        crash::point("installed");
        match done {
            Ok(done) => {
                if let Some((parent, _)) = at.path.split_last() {
                    self.directories.touch(&parent);
                }
                self.journal.keep_failure(self.is_done(number, &task, done));
                Ok(true)
            }
            Err(Trouble::Failed(error)) => {
                let why = format!("{}: {}", error.doing, describe(&error.source));
                self.leave(number, &task, &Trouble::Told(why));
                Err(error)
            }
            Err(trouble) => {
                self.leave(number, &task, &trouble);
                Ok(false)
            }
        }
    }

    /// Gives a staged file its attributes and its name.
    pub(super) fn put(
        &self,
        at: &Place<'_>,
        task: &Task,
        look: Option<&Look>,
        staged: Stage,
    ) -> Result<Done, Trouble> {
        let slot = Slot { dir: at.dir, name: at.name };
        let meta = self.settings.all(&task.after, self.replaced_meta(task, at.dir, at.name)?.as_ref());
        let old = replaced(task, at.dir, at.name).filter(|_| look.is_some());
        let unset = self.set_staged(task, old, at.dir, &meta, &staged)?;
        let Some(look) = look else {
            let stamp = staged.install_if_free(&meta, slot)?;
            return self.is_there(task, stamp.ok_or_else(|| Trouble::taken(slot))?, None, unset);
        };
        let (parent, _) = task.path.split_last().ok_or(Trouble::Refused(CHANGED))?;
        self.check_emptied(task, at.dir, at.name)?;
        let trash = self.trash.open(&parent)?;
        let mut held = self.links.hold(at.dir, at.name)?;
        let expected = expected(&task.before, &held.look(look));
        let replaced = staged.install_instead(&meta, slot, &expected, &trash)?;
        let replaced = replaced.ok_or(Trouble::Refused(CHANGED))?;
        held.is_changed(look, None, &trash, &replaced.trashed);
        drop(held);
        let trashed = self.is_trashed(&parent, &replaced.trashed, &task.path, &task.before);
        self.is_there(task, replaced.stamp, Some(trashed), unset)
    }

    /// Gives a staged file its ACLs and extended attributes. Returns what it has of those that could not be set.
    pub(super) fn set_staged(
        &self,
        task: &Task,
        old: Option<At<'_>>,
        dir: &WriteDir,
        meta: &SetMeta,
        staged: &Stage,
    ) -> Result<Seen, Trouble> {
        let wanted = self.extended_anew(task, old, dir)?;
        if wanted.is_empty() {
            return Ok(Seen::new());
        }
        // Whoever gives a file away takes capabilities from it.
        staged.set_meta(&meta.split_owner().0)?;
        let mode = meta.mode.unwrap_or(task.after.attributes.mode);
        let not_set = self.not_set(&task.path);
        Ok(wanted.set(mode, |extended| staged.set_extended(extended), |look| staged.extra(look), not_set)?)
    }

    fn is_there(
        &self,
        task: &Task,
        stamp: Stamp,
        trashed: Option<RelPath>,
        unset: Seen,
    ) -> Result<Done, Trouble> {
        Ok(Done { look: Some(self.look(stamp, &task.after)), trashed, unset })
    }
}
