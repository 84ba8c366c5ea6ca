//! Carrying out one replica's tasks of a plan, so that nothing is lost to anybody who works in the tree meanwhile, nor
//! to an end of the process at any moment.
//!
//! A [`Carrier`] has the tasks of one replica for the time of a run. Whoever has it calls, in this order:
//!
//! 1. [`copy_losers`](Carrier::copy_losers): what lost a conflict gets a name of its own, before anything else;
//! 2. [`write_down`](Carrier::write_down): what needs no file to be touched, and then what is intended;
//! 3. [`find_names`](Carrier::find_names), where it is kept alike which names are one file;
//! 4. when the other side has come so far too, and has told the attributes that this one [`lacks`](Carrier::lacks):
//!    [`make`](Carrier::make), which is everything that needs no content from there;
//! 5. the pass that fetches the rest, with the carrier as its [`Agenda`](crate::pass::Agenda);
//! 6. [`finish`](Carrier::finish): links to what was fetched, removals, deepest first, and the attributes of
//!    directories;
//! 7. [`ended`](Carrier::ended), which gives the history back.
//!
//! Every change is made by what [`fs`](crate::fs) calls a slot: it happens only if the entry is still the one that the
//! history has a look at, or the name is still free, and whatever gives way goes into the trash. What cannot be done is
//! a problem, which is told and counted; its task is left for a later run, as is every task that depends on it. Only
//! what is wrong with the history itself ends the run.
//!
//! A directory that is made can be written by its owner until the end, and one that cannot be is opened up for the time
//! of the run. [`recover()`] knows both, so that a run that was killed leaves neither.

mod agenda;
mod attributes;
mod copy;
mod directories;
mod extended;
mod handles;
mod journal;
mod kept;
mod late;
mod leaders;
mod links;
mod make;
mod merged;
mod names;
mod recover;
mod remove;
mod replace;
mod setting;
mod telling;
#[cfg(test)]
mod tests;
mod trash;
mod values;

pub(in crate::twoway) use directories::{open_up, shuts_out};
pub(in crate::twoway) use kept::part as part_from_tree;
pub use recover::{recover, recover_to_look};
pub(in crate::twoway) use trash::run_name;

use crate::fs::{Error, Expected, Slot, WriteDir};
use crate::report::{Reporter, Totals};
use crate::request::Detail;
use crate::tree::{InodeId, Kind, Name, RelPath};
use crate::twoway::facet::{Facet, Facets, Register, Seen, Visible};
use crate::twoway::history::{History, Known, Look};
use crate::twoway::names::Roles;
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::{Record, Shared, State};
use crate::twoway::replica::Replica;
use crate::twoway::task::{Outline, Task, Tasks};
use crate::twoway::{TwoWayError, crash, log};
use attributes::Alike;
use directories::Directories;
use filetime::FileTime;
use handles::Handles;
use journal::Journal;
use links::Links;
use setting::Setting;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use telling::{Telling, entry};
use trash::{Stay, Trash};
use values::Values;

/// What a run synchronises, and what is to be said of it.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Which attributes are synchronised, but for owners.
    pub shared: Shared,
    /// The facets that the file system here can hold and the running user may set.
    pub holds: Facets,
    /// Whether owners are.
    pub owner: bool,
    /// Whether groups are.
    pub group: bool,
    /// Whether the running user may give files to anybody.
    pub is_root: bool,
    /// Whether what gives way is kept beyond the end of the run.
    pub keep_trash: bool,
    /// The permission bits that new entries do not get where those are not synchronised.
    pub umask: u32,
    /// Which events anybody wants to hear of.
    pub detail: Detail,
}

/// The tasks of one replica being carried out. Shared by threads.
pub struct Carrier {
    tasks: Arc<Tasks>,
    outcomes: Mutex<Vec<Outcome>>,
    handles: Handles,
    staging: WriteDir,
    trash: Trash,
    directories: Directories,
    journal: Journal,
    telling: Telling,
    values: Mutex<Values>,
    setting: Setting,
    links: Links,
    roles: Mutex<Roles>,
    /// What was to be linked, and is fetched since what it was to be linked to could not be made.
    promoted: Mutex<Vec<usize>>,
    /// Which names are to get the same attributes, once that matters.
    alike: OnceLock<HashMap<InodeId, Alike>>,
    settings: Settings,
    /// The extended attributes that the scan has seen.
    visible: Visible,
    /// When the replica was opened.
    began: FileTime,
    stop: Arc<AtomicBool>,
}

/// What came of a run on one replica.
#[derive(Debug)]
pub struct Ended {
    /// The history.
    pub history: History,
    /// The numbers of the tasks that were to be done and are not, in their order.
    pub left: Vec<usize>,
    /// How many were done.
    pub done: u64,
    /// What was made, removed and could not be done. What a pass has fetched, that pass has counted.
    pub totals: Totals,
}

/// What there is to find at a path before anything is done.
#[derive(Debug, Clone, Copy)]
enum Expectation {
    /// Nothing.
    Free,
    /// What looked like this.
    There(Look),
    /// It cannot be told.
    Unclear(&'static str),
}

/// How far a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It is still to be done.
    Waiting,
    /// A directory was made, and is to get its attributes at the end.
    Made,
    /// It is done and recorded.
    Done,
    /// It is recorded, and nothing had to be done.
    Noted,
    /// It is done and recorded, but for attributes that could not be set.
    Partly,
    /// It cannot be done in this run.
    Left,
}

/// How something was done.
#[derive(Debug, Default)]
struct Done {
    /// How the entry looks since, if there is one.
    look: Option<Look>,
    /// Where the old one is, below the run's directory in the trash.
    trashed: Option<RelPath>,
    /// What it has of facets that could not be set.
    unset: Seen,
}

/// Why a task is not done.
#[derive(Debug)]
enum Trouble {
    /// The file system refuses.
    Failed(Error),
    /// It would be wrong.
    Refused(&'static str),
    /// The name is free, but the file system does not tell it from this one, which is not.
    Alias(Name),
    /// It has to be told by somebody else, or was: something that this depends on.
    Told(String),
}

const CHANGED: &str = "it was changed since it was looked at; run again";
const UNSEEN: &str = "nobody has looked at it yet; run again";
const TAKEN: &str = "something else has got the name meanwhile";
const AT_SOURCE: &str = "it changed at the source since it was looked at; run again";
const NOT_EMPTY: &str = "not empty: something new is inside";
const DEPENDENT: &str = "something that it depends on was not done";
const NO_FILE: &str = "the file that it is to be a name of could not be made; run again";
const NOT_REACHED: &str = "the run ended before";

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Failed(error)
    }
}

impl Trouble {
    /// Something else was not done, which was told.
    fn dependent() -> Trouble {
        Trouble::Told(DEPENDENT.to_owned())
    }

    /// What is said of a name that is to be free, and is not.
    fn taken(at: Slot<'_>) -> Trouble {
        match at.dir.alias(at.name) {
            Ok(Some(alias)) => Trouble::Alias(alias),
            _ => Trouble::Refused(TAKEN),
        }
    }

    /// What is said of an error where a name is to be free.
    fn of_making(error: Error, at: Slot<'_>) -> Trouble {
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => Trouble::taken(at),
            _ => Trouble::Failed(error),
        }
    }
}

impl Expectation {
    fn new(known: Option<Known>, task: &Task) -> Expectation {
        let is_there = task.before.state.is_present();
        match known {
            None if !is_there => Expectation::Free,
            Some(known) if known.record != task.before || known.is_unknown => Expectation::Unclear(CHANGED),
            Some(_) if !is_there => Expectation::Free,
            Some(Known { look: Some(look), .. }) => Expectation::There(look),
            Some(_) => Expectation::Unclear(UNSEEN),
            None => Expectation::Unclear(CHANGED),
        }
    }
}

impl Carrier {
    /// Begins with the tasks of a run with this number, which the history has begun. `stop` is set to end it early: the
    /// file in hand is finished, and nothing else is begun.
    ///
    /// # Errors
    /// Those of reading the history.
    pub fn new(
        replica: &Replica,
        history: History,
        run: u64,
        tasks: Arc<Tasks>,
        settings: Settings,
        reporter: Arc<dyn Reporter>,
        stop: Arc<AtomicBool>,
    ) -> Result<Carrier, TwoWayError> {
        let stay = match (settings.keep_trash, settings.shared.facets.contains(Facet::Links)) {
            (false, _) => Stay::None,
            (true, false) => Stay::Apart,
            (true, true) => Stay::Named,
        };
        Ok(Carrier {
            outcomes: Mutex::new(vec![Outcome::Waiting; tasks.len()]),
            tasks,
            handles: Handles::new(replica.root().clone()),
            staging: replica.staging().clone(),
            trash: Trash::new(replica.all_trash().clone(), run, stay)?,
            directories: Directories::default(),
            visible: history.visible().clone(),
            journal: Journal::new(history)?,
            telling: Telling::new(reporter, settings.detail),
            values: Mutex::new(Values::new(replica.staging().clone())),
            setting: Setting::new(replica.staging().clone()),
            links: Links::default(),
            roles: Mutex::default(),
            promoted: Mutex::default(),
            alike: OnceLock::new(),
            settings,
            began: replica.opened_at()?,
            stop,
        })
    }

    /// Gives the losers of conflicts the names that their copies are to have, as far as they are here. A loser whose
    /// copy cannot be made is left as it is; its path is returned, as the other side has to leave it, too.
    ///
    /// # Errors
    /// Those of the history.
    pub fn copy_losers(&self) -> Result<Vec<RelPath>, TwoWayError> {
        let mut uncopied = Vec::new();
        self.open_up()?;
        let is_copied = |outline: &Outline| {
            outline.is_copy && outline.here == Some(Change::Create) && !outline.is_renamed
        };
        for (number, task) in self.tasks.such(is_copied) {
            if let Why::CopyOf { original, .. } = &task.why {
                self.copy_loser(number, &task, original)?;
                if self.outcome(number) == Outcome::Left {
                    uncopied.push(original.clone());
                }
            }
        }
        self.journal.flush()?;
        // Nobody may take those that were not come to for copied.
        if self.is_stopped() { Err(TwoWayError::Stopped) } else { Ok(uncopied) }
    }

    /// Leaves these paths as they are, with all below and their copies, since a loser there could not be copied on one
    /// of the sides: nothing of how that conflict was settled may be written down.
    pub fn leave_uncopied(&self, originals: &[RelPath]) {
        for original in originals {
            let own = self.tasks.find(original).map(|(number, _)| number).into_iter();
            for number in own.chain(self.tasks.below(original)) {
                if let Some(task) = self.tasks.get(number).filter(|_| self.is_waiting(number)) {
                    self.leave(number, &task, &Trouble::dependent());
                }
            }
        }
        for (number, task) in self.tasks.such(|outline| outline.is_copy) {
            if let Why::CopyOf { original, .. } = &task.why
                && originals.contains(original)
                && self.is_waiting(number)
            {
                self.leave(number, &task, &Trouble::dependent());
            }
        }
    }

    /// Writes down what needs no file to be touched, and then what is intended.
    ///
    /// # Errors
    /// Those of the history.
    pub fn write_down(&self) -> Result<(), TwoWayError> {
        let waiting =
            |(number, task): (usize, Task)| self.is_waiting(number).then_some((task.path, task.after));
        let noted = self.tasks.such(|outline| outline.here.is_none() && outline.is_news);
        let intended = self.tasks.such(|outline| outline.here.is_some());
        self.journal.write_down(noted.filter_map(waiting), intended.filter_map(waiting))
    }

    /// Does all that needs no content from the other side and removes nothing, but for what is in a directory that
    /// something else takes the place of.
    ///
    /// # Errors
    /// Those of the history.
    pub fn make(&self) -> Result<(), TwoWayError> {
        self.make_directories()?;
        self.rename_all()?;
        self.part_and_link()?;
        self.make_the_rest()?;
        self.journal.flush()
    }

    /// Links what is to be one file with something that was fetched, removes what is to go, deepest first, and then
    /// sets the attributes of directories.
    ///
    /// # Errors
    /// Those of the history.
    pub fn finish(&self) -> Result<(), TwoWayError> {
        self.link_the_rest()?;
        self.remove_all()?;
        self.close_directories(true)?;
        self.journal.flush()
    }

    /// What came of it. Whatever ended the run, nothing is left open that was for its time, and nothing in the trash
    /// that is not to be kept.
    ///
    /// # Errors
    /// Those of the history, also what an [`Agenda`](crate::pass::Agenda) could not tell.
    pub fn ended(self) -> Result<Ended, TwoWayError> {
        self.close_directories(false)?;
        let (mut left, mut done) = (Vec::new(), 0_u64);
        for (number, outline) in self.tasks.outlines().iter().enumerate() {
            let (outcome, is_idle) = (self.outcome(number), outline.here.is_none());
            done = done.saturating_add(u64::from(outcome == Outcome::Done));
            if matches!(outcome, Outcome::Done | Outcome::Noted) || (is_idle && outcome == Outcome::Waiting) {
                continue;
            }
            left.push(number);
            if !matches!(outcome, Outcome::Left | Outcome::Partly)
                && let Some(task) = self.tasks.get(number)
            {
                self.journal.note(entry(&task, None, Some(NOT_REACHED.to_owned())));
            }
        }
        crash::point("all done");
        for (path, error) in self.trash.part_from_tree(self.settings.holds) {
            self.not_set(&path)(&error);
        }
        let history = self.journal.close()?;
        self.trash.empty_unless_kept();
        Ok(Ended { history, left, done, totals: self.telling.totals() })
    }

    /// Carries out a task by `act` unless that was done, or cannot be; `act` is told how the entry looked, if there is
    /// one. What is only done at the end of the run gives nothing.
    fn carry_out(
        &self,
        number: usize,
        task: &Task,
        act: impl FnOnce(Option<&Look>) -> Result<Option<Done>, Trouble>,
    ) -> Result<(), TwoWayError> {
        if self.is_stopped() || !self.is_waiting(number) {
            return Ok(());
        }
        crash::point("task");
        let done = match self.expectation(task)? {
            Expectation::Free => act(None),
            Expectation::There(look) => act(Some(&look)),
            Expectation::Unclear(why) => Err(Trouble::Refused(why)),
        };
        crash::point("task done");
        match done {
            Ok(Some(done)) => self.is_done(number, task, done),
            Ok(None) => {
                self.set_outcome(number, Outcome::Made);
                Ok(())
            }
            Err(trouble) => {
                self.leave(number, task, &trouble);
                Ok(())
            }
        }
    }

    /// What there is to find at the path of a task that is to be done and was not.
    fn expectation(&self, task: &Task) -> Result<Expectation, TwoWayError> {
        Ok(Expectation::new(self.journal.known(&task.path)?, task))
    }

    /// Records that a task is done, and tells of it.
    fn is_done(&self, number: usize, task: &Task, done: Done) -> Result<(), TwoWayError> {
        let Done { look, trashed, unset } = done;
        self.set_outcome(number, if unset.is_empty() { Outcome::Done } else { Outcome::Partly });
        self.telling.done(task, self.settings.shared.modes, self.is_linked(number));
        let mut after = task.after.clone();
        for (facet, sum) in unset {
            let before = task.before.extended.get(facet);
            let version = before.map_or_else(Arc::default, |register| register.version.clone());
            after.extended.set(facet, Register { sum, version });
        }
        let entry = entry(task, trashed, None).map(|entry| log::Entry { after: after.clone(), ..entry });
        self.journal.record(vec![(task.path.clone(), Known::there(after, look))], entry)
    }

    /// Leaves a task for a later run, and all that depend on it.
    fn leave(&self, number: usize, task: &Task, trouble: &Trouble) {
        self.set_outcome(number, Outcome::Left);
        let why = self.telling.problem(task, trouble);
        self.journal.note(entry(task, None, Some(why)));
        if task.after.state.is_directory() && matches!(task.here, Some(Change::Create | Change::Replace)) {
            for below in self.tasks.below(&task.path) {
                self.leave_dependent(below);
            }
        }
        self.let_another_lead(&task.path);
        // What would have lost its content, or its only name.
        let original = if let Why::CopyOf { original, .. } = &task.why { Some(original) } else { None };
        for other in original.into_iter().chain(&task.renamed_from) {
            if let Some((other, _)) = self.tasks.find(other) {
                self.leave_dependent(other);
            }
        }
    }

    /// Leaves a task because of another, if it was to be done.
    fn leave_dependent(&self, number: usize) {
        if let Some(task) = self.tasks.get(number).filter(|task| task.here.is_some())
            && self.is_waiting(number)
        {
            self.leave(number, &task, &Trouble::dependent());
        }
    }

    /// Whether everything that was to be done below a directory is done.
    fn is_done_below(&self, path: &RelPath) -> bool {
        let mut below = self.tasks.below(path);
        below.all(|number| {
            self.is_done_by_now(number)
                || self.tasks.outline(number).is_none_or(|outline| outline.here.is_none())
        })
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn is_waiting(&self, number: usize) -> bool {
        self.outcome(number) == Outcome::Waiting
    }

    fn outcome(&self, number: usize) -> Outcome {
        self.outcomes().get(number).copied().unwrap_or(Outcome::Left)
    }

    fn set_outcome(&self, number: usize, outcome: Outcome) {
        if let Some(place) = self.outcomes().get_mut(number) {
            *place = outcome;
        }
    }

    fn outcomes(&self) -> MutexGuard<'_, Vec<Outcome>> {
        lock(&self.outcomes)
    }

    /// The directory that an entry is in, and its name there. Its time is set again at the end.
    fn place(&self, path: &RelPath) -> Result<(RelPath, WriteDir, Name), Trouble> {
        let (parent, name) = path.split_last().ok_or(Trouble::Refused("it is the root"))?;
        let dir = self.handles.open(&parent)?;
        self.directories.touch(&parent);
        Ok((parent, dir, name))
    }
}

/// The entry that looked like this.
fn expected(record: &Record, look: &Look) -> Expected {
    match record.state {
        State::Directory => Expected::Directory { dev: look.stamp.dev, ino: look.stamp.ino },
        _ => Expected::Version(look.stamp),
    }
}

/// The kind of what is recorded; nothing of what is absent or unknown.
fn kind(record: &Record) -> Option<Kind> {
    record.state.kind()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Carrier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Carrier").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}
