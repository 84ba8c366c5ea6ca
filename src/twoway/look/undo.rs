//! Putting back what a run has replaced and deleted.
//!
//! An undo goes through the log of the run from its end to its beginning. It puts a path back only if it still is as
//! the run left it, by its stamp or else by its content; anything else is left, and told. What gives way goes into the
//! trash, as the undo is a run itself: it has a number and a log, and can be undone, also if it was killed. What the
//! run had made where nothing was stays, unless that is in a directory that something else was in the place of. The
//! next scan finds what was put back as edits of this replica, newer than those that it undoes, but for times, which
//! are no edits: of two that differ, the next run gives both replicas the later one.

mod adjust;
mod choice;
mod closing;
mod killed;
mod made;
mod steps;
mod work;

pub use choice::ToUndo;
pub(in crate::twoway) use killed::KilledUndo;

use crate::fs::{Error, SetMeta, Slot, Stamped, WriteDir};
use crate::pass::describe;
use crate::tree::{Kind, Name, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::{open_up, part_from_tree, shuts_out};
use crate::twoway::facet::{Facet, Facets, Value};
use crate::twoway::history::History;
use crate::twoway::log::{Ending, Entry, Outcome, Purpose};
use crate::twoway::look::Hold;
use crate::twoway::look::compare::{expected, is_alike, is_content, set_back};
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::{Modes, Record, State};
use crate::twoway::replica::Replica;
use adjust::{meta_before, put_facets_back};
use closing::Closing;
use filetime::FileTime;
use made::{Made, is_in_the_way};
use std::io::ErrorKind;
use steps::{Intended, STEP};
use work::{Renames, Work, old_name, trashed_with, undone};

const CHANGED: &str = "it was changed since";
const LOST: &str = "what was there is not in the trash any more";
const FULL: &str = "a directory is there that holds what the run did not make";
const GONE: &str = "the directory that it was in is gone";
const NO_DIRECTORY: &str = "the directory that it was in is something else by now";
const ATTRIBUTES_LOST: &str = "its attributes were not kept";
const HIDDEN: &str = "the rules of a later run hide attributes that it had";
const UNSET: &str = "its attributes cannot be set";
const TAKEN: &str = "something else has the name by now";

/// What came of an undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undone {
    /// The run that was undone.
    pub run: u64,
    /// The number of the undo itself.
    pub number: u64,
    /// How many paths were put back, and how many could not be.
    pub outcome: Outcome,
}

/// Why a path was not put back.
enum Refusal {
    Because(&'static str),
    Failed(Error),
    /// This ends the undo.
    Fatal(TwoWayError),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Refusal {
        Refusal::Failed(error)
    }
}

impl From<TwoWayError> for Refusal {
    fn from(error: TwoWayError) -> Refusal {
        Refusal::Fatal(error)
    }
}

/// Where the old version is that was put in the place of another, if there was one.
type Put = Option<RelPath>;

impl Hold {
    /// Puts back what the run of that number had replaced and deleted. Each path is told to `each` as the log has it:
    /// with a problem, if it could not be put back. `None` if there is no log of such a run.
    ///
    /// # Errors
    /// Those of the history. Whatever is wrong with one path is told.
    pub fn undo(
        &mut self,
        run: u64,
        now: FileTime,
        each: &mut dyn FnMut(&Entry),
    ) -> Result<Option<Undone>, TwoWayError> {
        if self.history.run(run)?.is_none() {
            return Ok(None);
        }
        let entries = self.history.entries(run)?.rev();
        let renamed = Renames::of(&self.history, run)?;
        let made = Made::by(&self.history, run, &renamed)?;
        let number = self.history.begin_run(now, Purpose::Undo { run }, Modes::Whole)?;
        let mut undo = Undo {
            replica: &self.replica,
            history: &mut self.history,
            each,
            run,
            number,
            made,
            in_the_way: Vec::new(),
            closing: Closing::default(),
            intended: Intended::new(),
            log: Vec::new(),
            replaced: Vec::new(),
            apart: Vec::new(),
            outcome: Outcome::default(),
        };
        let mut step = Vec::new();
        for entry in entries {
            let entry = entry?;
            let Some(work) = renamed.work(&entry) else { continue };
            step.push((entry, work));
            if step.len() >= STEP {
                undo.step(&std::mem::take(&mut step))?;
            }
        }
        undo.step(&step)?;
        // What was only moved there is back by now.
        let in_the_way = std::mem::take(&mut undo.in_the_way);
        let put_back = |entry: Entry| {
            let work = Work::PutBack(entry.change);
            (entry, work)
        };
        let last: Vec<_> = in_the_way.into_iter().map(put_back).collect();
        for step in last.chunks(STEP) {
            undo.step(step)?;
        }
        undo.finish().map(Some)
    }
}

struct Undo<'a> {
    replica: &'a Replica,
    history: &'a mut History,
    each: &'a mut dyn FnMut(&Entry),
    run: u64,
    number: u64,
    made: Made,
    /// What directories that the run made are in the place of.
    in_the_way: Vec<Entry>,
    /// Directories that get the attributes they had when all in them is done.
    closing: Closing,
    /// What is written down of what is being done.
    intended: Intended,
    log: Vec<Entry>,
    /// Attributes that others were set in place of.
    replaced: Vec<(Facet, Value)>,
    /// Files that have come into the trash and are to have nothing to do with the tree any more.
    apart: Vec<RelPath>,
    outcome: Outcome,
}

impl Undo<'_> {
    fn entry(&mut self, entry: &Entry, work: &Work) -> Result<(), TwoWayError> {
        match work {
            Work::RenameBack(old, was) => self.rename_back(entry, old, was),
            Work::PutBackLater => {
                self.in_the_way.push(entry.clone());
                Ok(())
            }
            Work::Adjust => {
                let done = self.adjust(entry);
                if entry.before.state.is_directory() && matches!(done, Ok(true)) {
                    self.closing.is_adjusted(entry);
                    return Ok(());
                }
                self.note(entry, Change::Adjust, done.map(|adjusted| adjusted.then_some(None)))
            }
            Work::PutBack(back) => {
                let done = self.put_back(entry);
                self.note(entry, *back, done)
            }
        }
    }

    /// Writes down what came of a path: what was done, or `None` if nothing was to be done.
    fn note(
        &mut self,
        entry: &Entry,
        change: Change,
        done: Result<Option<Put>, Refusal>,
    ) -> Result<(), TwoWayError> {
        let (trashed, problem) = match done {
            Ok(None) => return Ok(()),
            Ok(Some(trashed)) => (trashed, None),
            Err(Refusal::Because(why)) => (None, Some(why.to_owned())),
            Err(Refusal::Failed(error)) => {
                (None, Some(format!("{}: {}", error.doing, describe(&error.source))))
            }
            Err(Refusal::Fatal(error)) => return Err(error),
        };
        let is_file = matches!(entry.after.state, State::File { .. });
        self.apart.extend(trashed.clone().filter(|_| is_file && !entry.knows_names()));
        let count = if problem.is_some() { &mut self.outcome.problems } else { &mut self.outcome.done };
        *count = count.saturating_add(1);
        let entry = undone(entry, change, trashed, problem);
        (self.each)(&entry);
        self.log.push(entry);
        Ok(())
    }

    fn finish(mut self) -> Result<Undone, TwoWayError> {
        self.close_directories()?;
        let apart = std::mem::take(&mut self.apart);
        if !apart.is_empty() {
            let trash = self.replica.trash(self.number)?;
            for (path, error) in part_from_tree(&trash, apart, Facets::held_by(self.replica.root())) {
                self.failed(path, error)?;
            }
        }
        self.write_down(Intended::new())?;
        self.history.end_run(Ending { at: FileTime::now(), outcome: self.outcome })?;
        Ok(Undone { run: self.run, number: self.number, outcome: self.outcome })
    }

    /// Writes down what could not be done to a path at last.
    fn failed(&mut self, path: RelPath, error: Error) -> Result<(), TwoWayError> {
        let (change, why) = (Change::Adjust, Why::Clear);
        let (before, after) = (Record::never(), Record::never());
        let entry = Entry { path, change, why, before, after, trashed: None, problem: None };
        self.note(&entry, change, Err(Refusal::Failed(error)))
    }

    /// The directory that holds a path, and the name there.
    fn place(&mut self, path: &RelPath) -> Result<(RelPath, WriteDir, Name), Refusal> {
        let (parent, name) = path.split_last().ok_or(Refusal::Because(CHANGED))?;
        let dir = self.replica.root().open_beneath_writable(&parent).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Refusal::Because(GONE),
            ErrorKind::NotADirectory => Refusal::Because(NO_DIRECTORY),
            _ => Refusal::Failed(error),
        })?;
        let dir = self.open_up(&parent, dir)?;
        Ok((parent, dir, name))
    }

    /// Puts back what was at a path.
    fn put_back(&mut self, entry: &Entry) -> Result<Option<Put>, Refusal> {
        let (parent, dir, name) = self.place(&entry.path)?;
        let found = dir.stamped(&name)?;
        if !self.is_as_left(entry, &dir, &name, found.as_ref())? {
            // A killed undo may have come this far.
            let is_back = is_content(&dir, &name, found.as_ref(), &entry.before)?;
            if is_back && entry.before.state.is_directory() {
                // What is put back in it changes its time.
                let mtime = Some(entry.before.mtime);
                self.closing.set(entry.path.clone(), SetMeta { mtime, ..SetMeta::default() });
            }
            return if is_back { Ok(None) } else { Err(Refusal::Because(CHANGED)) };
        }
        let inside = match (&found, is_in_the_way(entry)) {
            (Some(found), true) if found.entry.is_dir() => {
                self.made.all_in(&entry.path, self.replica.root())?
            }
            _ => Vec::new(),
        };
        let (from, from_name) = self.old_version(entry)?;
        let slot = Slot { dir: &from, name: &from_name };
        let at = Slot { dir: &dir, name: &name };
        let put = match &found {
            None => slot.move_to(at)?.map(|_| None),
            Some(found) => {
                if found.entry.is_dir() && !entry.before.state.is_directory() {
                    // Only who may write to a directory may give it another parent.
                    self.open_up(&entry.path, dir.open_dir_writable(&name)?)?;
                }
                let trash = self.replica.trash_for(self.number, &parent)?;
                let replaced = slot.replace(at, &expected(found), &trash)?;
                replaced.map(|replaced| Some(parent.join(&replaced.trashed)))
            }
        };
        if let Some(Some(trashed)) = &put {
            self.closing.is_gone(&entry.path);
            // What is in a directory went with it.
            for made in inside.iter().rev() {
                let trashed = trashed_with(trashed, &entry.path, &made.path);
                self.note(made, Change::Remove, Ok(Some(trashed)))?;
            }
        }
        match put {
            None if entry.before.state.is_directory() => from.remove(&from_name, Kind::Directory)?,
            Some(_) if entry.before.state.is_directory() => {
                put_facets_back(self.replica.all_trash(), self.run, entry, &dir, &name)?;
                self.closing.set(entry.path.clone(), meta_before(entry));
            }
            _ => {}
        }
        Ok(Some(put.ok_or(Refusal::Because(CHANGED))?))
    }

    /// Where what was at a path is, to be moved from there.
    fn old_version(&self, entry: &Entry) -> Result<(WriteDir, Name), Refusal> {
        let before = &entry.before;
        if before.state.is_directory() {
            let name = Name::new(format!("undo-{}", self.number)).map_err(|_| Refusal::Because(LOST))?;
            let staging = self.replica.staging();
            match staging.make_dir(&name, 0o700) {
                // One that could not be put in its place.
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                made => made?,
            }
            return Ok((staging.clone(), name));
        }
        let (dir, name, found) = self.kept_version(entry)?;
        // With -H it is still the file that it was, which may have been written to by another name.
        let is_it = match entry.knows_names() {
            true => is_alike(&found.entry, &before.state),
            false => is_content(&dir, &name, Some(&found), before)?,
        };
        if is_it { Ok((dir, name)) } else { Err(Refusal::Because(LOST)) }
    }

    /// What the trash of the run has of a path, and where.
    fn kept_version(&self, entry: &Entry) -> Result<(WriteDir, Name, Stamped), Refusal> {
        let trashed = entry.trashed.as_ref().and_then(RelPath::split_last);
        let (parent, name) = trashed.ok_or(Refusal::Because(LOST))?;
        let dir = match self.trash_to_take_from(&parent) {
            Err(Refusal::Failed(error)) if error.is_not_found() => return Err(Refusal::Because(LOST)),
            dir => dir?,
        };
        let found = dir.stamped(&name)?.ok_or(Refusal::Because(LOST))?;
        Ok((dir, name, found))
    }

    /// A directory in the trash of the run. One that came there with all that is in it may shut its owner out: it is
    /// opened up. Its mode is in the log, so nobody needs it any more.
    fn trash_to_take_from(&self, path: &RelPath) -> Result<WriteDir, Refusal> {
        let trash = self.replica.trash(self.run)?;
        let dir = trash.open_beneath_writable(path)?;
        let Some(mode) = shuts_out(&dir)? else { return Ok(dir) };
        open_up(&dir, mode)?;
        // The handle is from before it could be read.
        Ok(trash.open_beneath_writable(path)?)
    }

    /// Gives a file back the name it had before the run.
    fn rename_back(&mut self, entry: &Entry, old: &RelPath, was: &Record) -> Result<(), TwoWayError> {
        let done = self.renamed_back(entry, old);
        let is_done = matches!(done, Ok(Some(())));
        self.note(entry, Change::Remove, done.map(|done| done.map(|()| None)))?;
        if !is_done {
            return Ok(());
        }
        self.note(&old_name(entry, old, was), Change::Create, Ok(Some(None)))?;
        // It has its old name whatever becomes of that.
        match self.set_renamed(entry, old, was) {
            Ok(()) => Ok(()),
            Err(error) => self.failed(old.clone(), error),
        }
    }

    fn renamed_back(&mut self, entry: &Entry, old: &RelPath) -> Result<Option<()>, Refusal> {
        let (_, old_dir, old_name) = self.place(old)?;
        let free = old_dir.stamped(&old_name)?;
        // An undo may have come this far before.
        let is_back = is_content(&old_dir, &old_name, free.as_ref(), &entry.after)?;
        let (_, dir, name) = match self.place(&entry.path) {
            // What had given way to the directory that it was moved into is back as well.
            Err(Refusal::Because(GONE | NO_DIRECTORY)) if is_back => return Ok(None),
            place => place?,
        };
        let found = dir.stamped(&name)?;
        if found.is_none() && is_back {
            return Ok(None);
        }
        let Some(found) = found.filter(|_| free.is_none()) else { return Err(Refusal::Because(CHANGED)) };
        if !self.is_as_left(entry, &dir, &name, Some(&found))? {
            return Err(Refusal::Because(CHANGED));
        }
        let trash = self.replica.trash(self.number)?;
        let (from, to) = (Slot { dir: &dir, name: &name }, Slot { dir: &old_dir, name: &old_name });
        let renamed = from.rename(&expected(&found), to, || Ok(trash))?;
        renamed.ok_or(Refusal::Because(TAKEN))?;
        Ok(Some(()))
    }

    /// Gives a file that has its old name back the attributes that it had. What somebody has given it since it keeps.
    fn set_renamed(&self, entry: &Entry, old: &RelPath, was: &Record) -> Result<(), Error> {
        let Some((parent, name)) = old.split_last() else { return Ok(()) };
        let dir = self.replica.root().open_beneath_writable(&parent)?;
        let found = dir.stamped(&name)?;
        let meta = found.and_then(|found| set_back(was, &entry.after, &found.entry.meta, false));
        meta.map_or(Ok(()), |meta| dir.set_meta(&name, Kind::File, &meta))
    }

    /// Whether a path is as the run left it.
    fn is_as_left(
        &self,
        entry: &Entry,
        dir: &WriteDir,
        name: &Name,
        found: Option<&Stamped>,
    ) -> Result<bool, Refusal> {
        if let (Some(found), State::Directory) = (found, &entry.after.state) {
            if is_in_the_way(entry) {
                return Ok(found.entry.is_dir());
            }
            let is_empty = || dir.open_dir(name)?.list().map(|all| all.is_whole() && all.entries.is_empty());
            return match found.entry.is_dir() {
                true if !is_empty()? => Err(Refusal::Because(FULL)),
                is_directory => Ok(is_directory),
            };
        }
        let known = self.history.known(&entry.path)?;
        let is_known = known.zip(found).is_some_and(|(known, found)| {
            let is_same_look = known.look.is_some_and(|look| look.settled && look.stamp == found.stamp);
            is_same_look && known.record.state == entry.after.state
        });
        Ok(is_known || is_content(dir, name, found, &entry.after)?)
    }
}
