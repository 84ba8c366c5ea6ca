//! Directories for the time of a run, and what they are left like.
//!
//! A new one can be used by its owner until everything is in it. One whose owner may not is opened up, which is written
//! down among the intents before, so that it is closed again after the run was killed. And as whatever is done in a
//! directory changes its time, that is set again at the end.

use crate::fs::{Dir, Error, SetMeta, WriteDir};
use crate::tree::{Meta, RelPath};
use crate::twoway::carry::{CHANGED, Carrier, Done, Outcome, Trouble, lock};
use crate::twoway::facet::At;
use crate::twoway::facet::is_root;
use crate::twoway::history::{Known, Look};
use crate::twoway::reconcile::Change;
use crate::twoway::record::Modes;
use crate::twoway::task::{Outline, Task};
use crate::twoway::{TwoWayError, crash};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// What there is to be done about directories at the end.
#[derive(Default)]
pub(super) struct Directories {
    /// Those that were made, by task.
    made: Mutex<BTreeMap<usize, Made>>,
    /// Those that were opened up, with the mode they had.
    opened: Mutex<BTreeMap<RelPath, u32>>,
    /// Those in which something was done.
    touched: Mutex<BTreeSet<RelPath>>,
}

struct Made {
    identity: (u64, u64),
    trashed: Option<RelPath>,
}

impl Directories {
    pub(super) fn is_made(&self, number: usize, identity: (u64, u64), trashed: Option<RelPath>) {
        lock(&self.made).insert(number, Made { identity, trashed });
    }

    pub(super) fn touch(&self, path: &RelPath) {
        let mut touched = lock(&self.touched);
        if !touched.contains(path) {
            touched.insert(path.clone());
        }
    }
}

impl Carrier {
    /// Opens up the directories in which something is to be done, or that are to give way, and that shut their owner
    /// out.
    pub(super) fn open_up(&self) -> Result<(), TwoWayError> {
        if is_root() {
            return Ok(());
        }
        let (mut closed, mut last) = (Vec::new(), None);
        for (_, task) in self.tasks.such(|outline| outline.here.is_some()) {
            let Some((parent, _)) = task.path.split_last() else { continue };
            let is_other = last.replace(parent.clone()).as_ref() != Some(&parent);
            // What gives way goes to another directory, and only who may write to it may give it another parent.
            let gives_way = task.before.state.is_directory() && !task.after.state.is_directory();
            let used = [Some(parent).filter(|_| is_other), Some(task.path).filter(|_| gives_way)];
            for path in used.into_iter().flatten() {
                // One that is not known is made in this run.
                let known = self.journal.known(&path)?.filter(|known| known.record.state.is_directory());
                let is_shut = known.is_some_and(|known| known.record.attributes.mode & 0o700 != 0o700);
                closed.extend(is_shut.then_some(path));
            }
        }
        closed.sort_by(RelPath::walk_order);
        closed.dedup();
        // What has a task of its own is intended anyway.
        let mut intended = Vec::new();
        for path in closed.iter().filter(|path| !self.has_change(path)) {
            intended.extend(self.journal.known(path)?.map(|known| (path.clone(), known.record)));
        }
        self.journal.write_down([], intended)?;
        for path in closed {
            // Why it cannot be opened will show in what is done in it.
            let opened = self.handles.open(&path).and_then(|dir| {
                let mode = shuts_out(&dir)?;
                mode.map_or(Ok(()), |mode| open_up(&dir, mode))?;
                Ok(mode)
            });
            crash::point("opened up");
            if let Ok(Some(mode)) = opened {
                lock(&self.directories.opened).insert(path, mode);
            }
            self.handles.forget();
        }
        Ok(())
    }

    fn has_change(&self, path: &RelPath) -> bool {
        self.tasks.find(path).is_some_and(|(_, task)| task.here.is_some())
    }

    /// Gives directories their attributes and times, deepest first: all that are to be given any, or else those alone
    /// that were made, opened up or changed in this run.
    pub(super) fn close_directories(&self, all_planned: bool) -> Result<(), TwoWayError> {
        let touched = std::mem::take(&mut *lock(&self.directories.touched));
        let made = lock(&self.directories.made).keys().copied().collect::<Vec<_>>();
        let mut all: Vec<RelPath> = touched.into_iter().collect();
        all.extend(lock(&self.directories.opened).keys().cloned());
        all.extend(made.into_iter().filter_map(|number| self.tasks.get(number)).map(|task| task.path));
        if all_planned {
            let is_adjusted =
                |outline: &Outline| outline.is_directory && outline.here == Some(Change::Adjust);
            let planned = self.tasks.such(is_adjusted);
            all.extend(planned.map(|(_, task)| task.path));
        }
        all.sort_by(|one, other| other.walk_order(one));
        all.dedup();
        self.handles.forget();
        all.iter().try_for_each(|path| self.close_directory(path, all_planned))
    }

    fn close_directory(&self, path: &RelPath, all_planned: bool) -> Result<(), TwoWayError> {
        if let Some((number, task)) = self.tasks.find(path) {
            if self.outcome(number) == Outcome::Made {
                return self.finish_made(number, &task);
            }
            if all_planned && is_adjusted(&task) {
                self.carry_out(number, &task, |look| self.adjust_directory(&task, look).map(Some))?;
            }
            if self.is_done_by_now(number) && task.here.is_some() {
                return Ok(());
            }
        }
        self.restore(path)
    }

    /// A directory that was made gets its attributes, and is recorded.
    fn finish_made(&self, number: usize, task: &Task) -> Result<(), TwoWayError> {
        let Some(made) = lock(&self.directories.made).remove(&number) else { return Ok(()) };
        let finish = || {
            let dir = self.handles.open(&task.path)?;
            if dir.identity()? != made.identity {
                return Err(Trouble::Refused(CHANGED));
            }
            let own = dir.own_meta()?;
            let is_new = !task.before.occupied;
            let all = self.settings.all(&task.after, Some(&own).filter(|_| !is_new));
            // What it got from the directory it is in is what it is to have.
            let is_whole = self.settings.shared.modes == Modes::Whole;
            let inherited = if is_whole { 0 } else { own.mode & 0o2000 };
            let mode = all.mode.map(|mode| mode | inherited);
            let meta = SetMeta { mode, ..all };
            let old = Some(At::Own(&dir)).filter(|_| !is_new);
            let wanted = self.extended(task, old, &dir)?;
            dir.set_own_meta(&meta.split_owner().0)?;
            let unset = self.set_extended_at(task, At::Own(&dir), mode.unwrap_or(own.mode), &wanted)?;
            dir.set_own_meta(&meta.split_owner().1)?;
            Ok((self.look_at(&dir, task)?, unset))
        };
        crash::point("directory");
        let finished = finish();
        crash::point("directory finished");
        match finished {
            Ok((look, unset)) => {
                self.is_done(number, task, Done { look: Some(look), trashed: made.trashed, unset })
            }
            Err(trouble) => {
                self.leave(number, task, &trouble);
                Ok(())
            }
        }
    }

    fn look_at(&self, dir: &WriteDir, task: &Task) -> Result<Look, Trouble> {
        let (_, stamp) = dir.own_stamped()?;
        Ok(self.look(stamp, &task.after))
    }

    fn adjust_directory(&self, task: &Task, look: Option<&Look>) -> Result<Done, Trouble> {
        let dir = self.handles.open(&task.path)?;
        let (own, stamp) = dir.own_stamped()?;
        let opened = lock(&self.directories.opened).get(&task.path).copied();
        let mode = opened.map_or(task.before.attributes.mode, |mode| mode | 0o700);
        let is_same = look.is_some_and(|look| look.stamp.inode() == stamp.inode());
        if !is_same || (self.settings.shared.modes == Modes::Whole && own.mode != mode) {
            return Err(Trouble::Refused(CHANGED));
        }
        // Without its permission bits being synchronised it keeps those that it had.
        let has = Meta { mode: opened.unwrap_or(own.mode), ..own };
        let set = self.settings.lacking(&task.after, &has);
        let mode =
            set.mode.or(opened.map(|_| self.settings.all(&task.after, Some(&has)).mode).unwrap_or_default());
        let set = SetMeta { mode, ..set };
        let set_meta = |set: &SetMeta| dir.set_own_meta(set);
        let unset = self.set_where_it_is(task, At::Own(&dir), (&set, own.mode), &set_meta)?;
        Ok(Done { look: Some(self.look_at(&dir, task)?), trashed: None, unset })
    }

    /// Gives a directory the time it had before something was done in it, and the mode it had before it was opened up.
    fn restore(&self, path: &RelPath) -> Result<(), TwoWayError> {
        let Some(known) = self.journal.known(path)? else { return Ok(()) };
        let opened = lock(&self.directories.opened).remove(path);
        if !known.record.state.is_directory() {
            return Ok(());
        }
        let restore = || {
            let dir = self.handles.open(path)?;
            let (own, stamp) = dir.own_stamped()?;
            let is_same = |look: &Look| look.stamp.inode() == stamp.inode();
            if !known.look.as_ref().is_some_and(is_same) {
                return Ok(None);
            }
            let mode = opened.filter(|mode| own.mode == *mode | 0o700);
            let mtime = Some(known.record.mtime).filter(|mtime| *mtime != own.mtime);
            dir.set_own_meta(&SetMeta { mode, mtime, ..SetMeta::default() })?;
            dir.own_stamped().map(|(_, stamp)| Some(stamp))
        };
        let restored: Result<_, Error> = restore();
        match restored {
            // It was among the intents.
            Ok(Some(stamp)) if opened.is_some() && !self.has_change(path) => {
                let look = Some(self.look(stamp, &known.record));
                self.journal.record(vec![(path.clone(), Known { look, ..known })], None)
            }
            Err(error) if !error.is_not_found() => {
                let cause = crate::pass::describe(&error.source);
                self.telling.say(error.doing, path, &cause);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Whether a directory is to get other attributes where it is.
fn is_adjusted(task: &Task) -> bool {
    task.after.state.is_directory() && task.here == Some(Change::Adjust)
}

/// The mode of a directory that shuts the running user out, who owns it.
pub(in crate::twoway) fn shuts_out(dir: &Dir) -> Result<Option<u32>, Error> {
    if is_root() {
        return Ok(None);
    }
    let own = dir.own_meta()?;
    let is_shut = own.mode & 0o700 != 0o700 && own.uid == crate::fs::effective_user();
    Ok(is_shut.then_some(own.mode))
}

/// Opens a directory of that mode up for its owner. Whoever does that has written down before what is known of it, among
/// the intents, so that it is closed again whatever happens.
pub(in crate::twoway) fn open_up(dir: &WriteDir, mode: u32) -> Result<(), Error> {
    dir.set_own_meta(&SetMeta { mode: Some(mode | 0o700), ..SetMeta::default() })
}
