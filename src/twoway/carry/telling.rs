//! What is said of a task that was carried out, or was not: an event, a count, an entry of the log.

use crate::pass::describe;
use crate::report::{self, Action, Event, Item, Problem, ProblemClass, Reporter, Role, TimeChange, Totals};
use crate::request::Detail;
use crate::tree::{Escaped, Kind, RelPath};
use crate::twoway::carry::{Trouble, kind, lock};
use crate::twoway::facet::Facet;
use crate::twoway::log;
use crate::twoway::reconcile::Change;
use crate::twoway::record::{Modes, Record, State};
use crate::twoway::task::Task;
use std::fmt::Display;
use std::sync::{Arc, Mutex};

pub(super) struct Telling {
    reporter: Arc<dyn Reporter>,
    detail: Detail,
    totals: Mutex<Totals>,
}

impl Telling {
    pub(super) fn new(reporter: Arc<dyn Reporter>, detail: Detail) -> Telling {
        Telling { reporter, detail, totals: Mutex::default() }
    }

    pub(super) fn totals(&self) -> Totals {
        *lock(&self.totals)
    }

    /// A task was done. Of what was fetched the pass tells, but not of what was linked instead.
    pub(super) fn done(&self, task: &Task, modes: Modes, is_linked: bool) {
        if (is_linked || !task.is_fetched()) && !is_made_before(task) {
            self.made(task, modes);
        }
    }

    /// Something was made, changed or removed.
    pub(super) fn made(&self, task: &Task, modes: Modes) {
        let Some(change) = task.here else { return };
        let event = match (change, kind(&task.before), kind(&task.after)) {
            (Change::Empty, ..) => return,
            (Change::Remove, Some(kind), _) => {
                self.count(|totals| totals.deleted.add(kind));
                Event::Deleted { path: task.path.clone(), kind }
            }
            (_, _, Some(kind)) => {
                if change == Change::Create {
                    self.count(|totals| totals.created.add(kind));
                }
                item(task, change, kind, modes)
            }
            _ => return,
        };
        if self.detail.changes {
            self.reporter.report(event);
        }
    }

    /// A task could not be done. Returns what is to be remembered of that.
    pub(super) fn problem(&self, task: &Task, trouble: &Trouble) -> String {
        match trouble {
            Trouble::Failed(error) => {
                let cause = describe(&error.source);
                self.say(error.doing, &task.path, &cause);
                format!("{}: {cause}", error.doing)
            }
            Trouble::Refused(why) => {
                self.say(doing(task.here), &task.path, why);
                (*why).to_owned()
            }
            Trouble::Alias(name) => {
                let why = format!(
                    "name conflict: the file system here does not tell this name from {}; rename one of the two",
                    Escaped(name.as_bytes())
                );
                self.say(doing(task.here), &task.path, &why);
                why
            }
            Trouble::Told(why) => why.clone(),
        }
    }

    /// Something could not be done that is nobody's task.
    pub(super) fn say(&self, doing: &str, path: &RelPath, cause: &dyn Display) {
        self.count(|totals| totals.count(ProblemClass::Failed));
        self.reporter.report(Event::Problem(Problem::new(Role::Sink, doing, path, &cause)));
    }

    fn count(&self, change: impl FnOnce(&mut Totals)) {
        change(&mut lock(&self.totals));
    }
}

/// What is to be remembered of a task.
pub(super) fn entry(task: &Task, trashed: Option<RelPath>, problem: Option<String>) -> Option<log::Entry> {
    let Task { path, why, before, after, .. } = task.clone();
    task.here.map(|change| log::Entry { path, change, why, before, after, trashed, problem })
}

/// Whether it was told when it was made that a directory was.
fn is_made_before(task: &Task) -> bool {
    task.after.state.is_directory() && matches!(task.here, Some(Change::Create | Change::Replace))
}

fn doing(change: Option<Change>) -> &'static str {
    match change {
        Some(Change::Create) => "making",
        Some(Change::Update | Change::Replace) => "replacing",
        Some(Change::Remove | Change::Empty) => "removing",
        Some(Change::Adjust) | None => "setting attributes of",
    }
}

fn item(task: &Task, change: Change, kind: Kind, modes: Modes) -> Event {
    let (before, after) = (&task.before, &task.after);
    let target = match &after.state {
        State::Symlink { target } => Some(target.to_vec()),
        _ => None,
    };
    let size = match &after.state {
        State::File { size, .. } => *size,
        State::Symlink { target } => target.len() as u64,
        _ => 0,
    };
    let change = match change {
        Change::Adjust => attributes(before, after, modes),
        _ => report::Change {
            new: change != Change::Update,
            content: change == Change::Update,
            ..report::Change::only(Action::Create)
        },
    };
    Event::Item(Item { path: task.path.clone(), kind, target, leader: None, size, change, facts: None })
}

/// How attributes differ.
fn attributes(before: &Record, after: &Record, modes: Modes) -> report::Change {
    let facets = after.extended.differing(&before.extended);
    let time = before.mtime.unix_seconds() != after.mtime.unix_seconds();
    report::Change {
        time: if time { TimeChange::Source } else { TimeChange::None },
        perms: modes != Modes::Own && before.attributes.mode != after.attributes.mode,
        owner: before.attributes.owner.0 != after.attributes.owner.0,
        group: before.attributes.owner.1 != after.attributes.owner.1,
        acls: facets.contains(Facet::Acls),
        xattrs: facets.contains(Facet::Xattrs) || facets.contains(Facet::RootXattrs),
        ..report::Change::only(Action::Attributes)
    }
}
