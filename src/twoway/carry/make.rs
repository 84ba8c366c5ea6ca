//! Making what has no content of its own, and giving files other names.

use crate::fs::{Error, Expected, SetMeta, Slot, WriteDir};
use crate::tree::{Kind, Meta, Name, Node, RelPath};
use crate::twoway::carry::attributes::node;
use crate::twoway::carry::extended::replaced;
use crate::twoway::carry::telling::entry;
use crate::twoway::carry::{CHANGED, Carrier, Done, Expectation, Outcome, Settings, Trouble, kind};
use crate::twoway::facet::{At, Facet, Seen, Wanted};
use crate::twoway::history::{Known, Look};
use crate::twoway::reconcile::Change;
use crate::twoway::record::{Modes, State};
use crate::twoway::task::{Outline, Task};
use crate::twoway::{TwoWayError, crash};

const IMPOSSIBLE: &str = "nothing of that kind can be made";

impl Carrier {
    /// Makes directories, from the top down.
    pub(super) fn make_directories(&self) -> Result<(), TwoWayError> {
        for (number, task) in self.tasks.such(|outline| outline.is_directory) {
            if let Some(change @ (Change::Create | Change::Replace)) = task.here {
                self.carry_out(number, &task, |look| {
                    let trashed = self.make_directory(&task, change, look)?;
                    let (_, dir, name) = self.place(&task.path)?;
                    let identity = dir.open_dir_writable(&name)?.identity()?;
                    self.directories.is_made(number, identity, trashed);
                    self.telling.made(&task, self.settings.shared.modes);
                    Ok(None)
                })?;
            }
        }
        Ok(())
    }

    /// Makes one, usable by its owner until the end of the run. Returns where the old entry is in the trash.
    fn make_directory(
        &self,
        task: &Task,
        change: Change,
        look: Option<&Look>,
    ) -> Result<Option<RelPath>, Trouble> {
        // What an ACL lets the group do is less than the mode says.
        let has_acls = task.after.extended.get(Facet::Acls).is_some_and(|known| known.sum.is_some());
        let open = if has_acls { 0o707 } else { 0o777 };
        let mode = (task.after.attributes.mode & open) | 0o700;
        if let (Change::Replace, Some(look)) = (change, look) {
            let make = |staging: &WriteDir, name: &_| staging.make_dir(name, mode);
            return self.replace(task, look, Kind::Directory, make).map(|(_, trashed)| Some(trashed));
        }
        let (_, dir, name) = self.place(&task.path)?;
        if task.before.occupied {
            // It was removed once, and is still there for what takes no part.
            let is_there = dir.entry(&name)?.is_some_and(|entry| entry.is_dir());
            return if is_there { Ok(None) } else { Err(Trouble::Refused(CHANGED)) };
        }
        let at = Slot { dir: &dir, name: &name };
        dir.make_dir(&name, mode).map_err(|error| Trouble::of_making(error, at))?;
        Ok(None)
    }

    /// Gives files their new names. This comes before anything is removed.
    pub(super) fn rename_all(&self) -> Result<(), TwoWayError> {
        for (number, task) in self.tasks.such(|outline| outline.is_renamed) {
            if let Some(from) = &task.renamed_from
                && !self.is_stopped()
                && self.is_waiting(number)
            {
                self.rename(number, &task, from)?;
            }
        }
        Ok(())
    }

    fn rename(&self, number: usize, task: &Task, from: &RelPath) -> Result<(), TwoWayError> {
        let Some((gone, old)) = self.tasks.find(from).filter(|(gone, _)| self.is_waiting(*gone)) else {
            self.leave(number, task, &Trouble::Refused(CHANGED));
            return Ok(());
        };
        crash::point("rename");
        let expectations = (self.expectation(task)?, self.expectation(&old)?);
        let renamed = self.try_to_rename(task, &old, expectations);
        crash::point("renamed");
        match renamed {
            Ok(look) => {
                for (number, task) in [(number, task), (gone, &old)] {
                    self.set_outcome(number, Outcome::Done);
                    self.telling.done(task, self.settings.shared.modes, false);
                }
                let done = vec![
                    (task.path.clone(), Known::there(task.after.clone(), Some(look))),
                    (old.path.clone(), Known::there(old.after.clone(), None)),
                ];
                self.journal.record(done, [task, &old].iter().filter_map(|task| entry(task, None, None)))
            }
            Err(trouble) => {
                self.leave(number, task, &trouble);
                Ok(())
            }
        }
    }

    fn try_to_rename(
        &self,
        task: &Task,
        old: &Task,
        expectations: (Expectation, Expectation),
    ) -> Result<Look, Trouble> {
        let (Expectation::Free, Expectation::There(look)) = expectations else {
            return Err(Trouble::Refused(CHANGED));
        };
        if old.here != Some(Change::Remove) || old.before.state != task.after.state {
            return Err(Trouble::Refused(CHANGED));
        }
        let (above, from_dir, from_name) = self.place(&old.path)?;
        let (_, dir, name) = self.place(&task.path)?;
        let (from, to) = (Slot { dir: &from_dir, name: &from_name }, Slot { dir: &dir, name: &name });
        let mut held = self.links.hold(&from_dir, &from_name)?;
        let expected = Expected::Version(held.look(&look).stamp);
        let renamed = from.rename(&expected, to, || self.trash.open(&above))?;
        let Some(stamp) = renamed else {
            let is_taken = dir.entry(&name)?.is_some();
            return Err(if is_taken { Trouble::taken(to) } else { Trouble::Refused(CHANGED) });
        };
        let mut set = || {
            let found = dir.stamped(&name)?.filter(|found| found.stamp == stamp);
            let found = found.ok_or(Trouble::Refused(CHANGED))?;
            let set = self.settings.lacking(&task.after, &found.entry.meta);
            dir.set_meta(&name, Kind::File, &set)?;
            held.is_changed(&look, Some(task.after.mtime), &dir, &name);
            let now =
                dir.stamped(&name)?.filter(|now| now.stamp.ino == stamp.ino && now.stamp.dev == stamp.dev);
            Ok(self.look_again(now.ok_or(Trouble::Refused(CHANGED))?.stamp, &task.after))
        };
        set().inspect_err(|_| {
            // Whatever it is by now, it gets its old name back, if that is free; else it keeps the new one.
            if let Ok(Some(now)) = dir.stamped(&name) {
                let _ = to.rename(&Expected::Version(now.stamp), from, || self.trash.open(&above));
            }
        })
    }

    /// Makes links and special files, and sets the attributes of all that is no directory. What is in a directory whose
    /// place something else is to take is removed before.
    pub(super) fn make_the_rest(&self) -> Result<(), TwoWayError> {
        let is_to_be_fetched = |outline: &Outline| outline.is_fetched && !outline.was_directory;
        let rest = self.tasks.such(|outline| !outline.is_directory && !is_to_be_fetched(outline));
        for (number, task) in rest {
            if self.role(number).is_some() {
                continue;
            }
            match task.here {
                Some(Change::Create | Change::Update | Change::Replace) => {
                    if task.before.state.is_directory() {
                        self.clear_below(number, &task)?;
                    }
                    if let Some(merged) = &task.at_hand {
                        self.install_merged(number, &task, merged)?;
                    } else if !matches!(task.after.state, State::File { .. }) {
                        self.make_node(number, &task, None)?;
                    }
                }
                Some(Change::Adjust) => self.adjust(number, &task)?,
                Some(Change::Remove | Change::Empty) | None => {}
            }
        }
        Ok(())
    }

    /// Makes a link or special file; one that is a copy has the attributes of the original.
    pub(super) fn make_node(
        &self,
        number: usize,
        task: &Task,
        original: Option<&RelPath>,
    ) -> Result<(), TwoWayError> {
        self.carry_out(number, task, |look| {
            let node = node(&task.after).ok_or(Trouble::Refused(IMPOSSIBLE))?;
            let (_, dir, name) = self.place(&task.path)?;
            let original = original.map(|original| self.place(original)).transpose()?;
            let original = original.as_ref().map(|(_, dir, name)| At::Entry(dir, name, node.kind()));
            let Some(look) = look else {
                let meta = self.settings.all(&task.after, None);
                let wanted = self.extended_anew(task, original, &dir)?;
                let at = Slot { dir: &dir, name: &name };
                let unset = self
                    .make_with(task, (&dir, &name), &node, &meta, &wanted)
                    .map_err(|error| Trouble::of_making(error, at))?;
                let made = dir.stamped(&name)?.filter(|made| made.entry.node == node);
                let stamp = made.ok_or(Trouble::Refused(CHANGED))?.stamp;
                return Ok(Some(Done { look: Some(self.look(stamp, &task.after)), trashed: None, unset }));
            };
            let meta = self.settings.all(&task.after, self.replaced_meta(task, &dir, &name)?.as_ref());
            let wanted = self.extended_anew(task, replaced(task, &dir, &name), &self.staging)?;
            let mut unset = Seen::new();
            let make = |staging: &WriteDir, name: &_| {
                unset = self.make_with(task, (staging, name), &node, &meta, &wanted)?;
                Ok(())
            };
            let (stamp, trashed) = self.replace(task, look, node.kind(), make)?;
            Ok(Some(Done { look: Some(self.look(stamp, &task.after)), trashed: Some(trashed), unset }))
        })
    }

    /// Makes a link or special file with its attributes. Returns what it has of facets that could not be set.
    fn make_with(
        &self,
        task: &Task,
        (dir, name): (&WriteDir, &Name),
        node: &Node,
        meta: &SetMeta,
        wanted: &Wanted,
    ) -> Result<Seen, Error> {
        dir.make_node(name, node, meta, false)?;
        let at = At::Entry(dir, name, node.kind());
        let unset = self.set_extended_at(task, at, meta.mode.unwrap_or(0), wanted)?;
        if !wanted.is_empty() {
            // Setting attributes leaves times alone, but an ACL sets the mode.
            dir.set_meta(name, node.kind(), meta)?;
        }
        Ok(unset)
    }

    /// The attributes of an entry of the same kind that gives way to another version, if any of them are to stay.
    pub(super) fn replaced_meta(
        &self,
        task: &Task,
        dir: &WriteDir,
        name: &Name,
    ) -> Result<Option<Meta>, Error> {
        let Settings { shared, owner, group, is_root, .. } = self.settings;
        let matters = shared.modes != Modes::Whole || is_root && !(owner && group);
        let of = kind(&task.after).filter(|kind| matters && Some(*kind) == super::kind(&task.before));
        let Some(kind) = of else { return Ok(None) };
        Ok(dir.entry(name)?.filter(|old| old.kind() == kind).map(|old| old.meta))
    }
}
