//! How what is looked back at is shown: a line for each run, path and partner.

use crate::cli::output::Screen;
use crate::cli::output::moment::Clock;
use crate::cli::output::size::Numbers;
use crate::tree::{Escaped, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::log::{Entry, Outcome, Purpose, Run};
use crate::twoway::look::status::{Copied, Edit, EditKind, Meeting, Standing, Status};
use crate::twoway::look::undo::Undone;
use crate::twoway::policy::{ConflictKind, Resolution};
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::State;
use crate::twoway::trash::{Amount, Trashed};
use std::fmt::Display;

/// Shows what commands find.
pub(super) struct Show<'a> {
    screen: &'a Screen,
    clock: Clock,
    numbers: Numbers,
}

impl<'a> Show<'a> {
    pub(super) fn new(screen: &'a Screen) -> Show<'a> {
        Show { screen, clock: Clock::local(), numbers: Numbers::new(2) }
    }

    pub(super) fn line(&self, line: &str) {
        self.screen.out(&format!("{line}\n"));
    }

    pub(super) fn problem(&self, path: &RelPath, why: &dyn Display) {
        self.screen.err(&format!("dsync: {path}: {}\n", Escaped(why.to_string().as_bytes())));
    }

    pub(super) fn edit(&self, edit: &Edit) {
        let kind = match edit.kind {
            EditKind::Created => "new",
            EditKind::Edited => "edited",
            EditKind::Attributes => "attributes",
            EditKind::Links => "links",
            EditKind::Removed => "removed",
        };
        self.line(&format!("  {kind:<10}  {}{}", edit.path, slash(&edit.state)));
    }

    /// What comes after the edits.
    pub(super) fn status(&self, status: &Status, edits: u64, hidden: u64) {
        if hidden > 0 {
            self.line(&format!("  and {} more (-v names all)", self.numbers.count(hidden)));
        }
        let entries = self.entries(status.counts.entries);
        self.line(&match edits {
            0 => format!("Nothing has changed here since the last run ({entries})."),
            _ => format!("{} of {entries} changed here since the last run.", self.numbers.count(edits)),
        });
        status.copies.iter().for_each(|copy| self.copy(copy));
        if status.is_interrupted {
            self.line("The last run did not come to its end; the next one goes on from there.");
        }
        if status.is_copied {
            self.line(
                "This directory was copied or restored with its history: the next run compares everything.",
            );
        }
        if status.partners.is_empty() {
            self.line("No run with a partner has come to its end yet.");
        }
        status.partners.iter().for_each(|standing| self.standing(standing));
    }

    fn copy(&self, copy: &Copied) {
        let Copied { run, entry } = copy;
        if let Some(why) = why(&entry.why, &run.purpose) {
            let (path, at) = (&entry.path, self.clock.show(run.began));
            self.line(&format!("  copy        {path}  ({why}; run {}, {at})", run.number));
        }
    }

    fn standing(&self, standing: &Standing) {
        let last = match &standing.last {
            None => "with a partner whose runs are no longer remembered".to_owned(),
            Some(Meeting { run, name, at, .. }) => {
                let name = Escaped(name.as_bytes());
                format!("with {name}, last met {} (run {run})", self.clock.show(*at))
            }
        };
        let news = match standing.news {
            None => "everything will be compared next time".to_owned(),
            Some(0) => "nothing to tell it".to_owned(),
            Some(1) => "1 path to tell it".to_owned(),
            Some(news) => format!("{} paths to tell it", self.numbers.count(news)),
        };
        self.line(&format!("{last}: {news}"));
        standing.pending.iter().for_each(|path| self.left(path));
    }

    /// A path that was left as it is, in conflict or because something could not be done.
    pub(super) fn left(&self, path: &RelPath) {
        self.line(&format!("  left        {path}"));
    }

    pub(super) fn run(&self, run: &Run) {
        let purpose = match &run.purpose {
            Purpose::Meeting { name, .. } => format!("with {}", Escaped(name.as_bytes())),
            Purpose::Undo { run } => format!("undoing run {run}"),
        };
        let outcome =
            run.ending.map_or("did not come to its end".to_owned(), |end| self.outcome(&end.outcome));
        self.line(&format!("run {:<5} {}  {purpose}: {outcome}", run.number, self.clock.show(run.began)));
    }

    fn outcome(&self, outcome: &Outcome) -> String {
        let Outcome { done, done_there, conflicts, problems } = *outcome;
        let counts = [
            (done, "changed here"),
            (done_there, "changed there"),
            (conflicts, "left in conflict"),
            (problems, "not done"),
        ];
        let told: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", self.numbers.count(*count)))
            .collect();
        if told.is_empty() { "nothing to do".to_owned() } else { told.join(", ") }
    }

    /// What a run with this purpose did at a path.
    pub(super) fn entry(&self, purpose: &Purpose, entry: &Entry) {
        let change = match entry.change {
            Change::Create => "made",
            Change::Update | Change::Replace => "replaced",
            Change::Remove => "removed",
            Change::Empty if entry.before.state.is_directory() => "emptied",
            Change::Empty => "stays",
            Change::Adjust if entry.change.is_of_names(&entry.before, &entry.after) => "links",
            Change::Adjust => "attributes",
        };
        let state = if entry.after.state.is_present() { &entry.after.state } else { &entry.before.state };
        let mut line = format!("  {change:<10}  {}{}", entry.path, slash(state));
        if let Some(why) = why(&entry.why, purpose) {
            line.push_str(&format!("  ({why})"));
        }
        if let Some(problem) = &entry.problem {
            line.push_str(&format!("  NOT DONE: {}", Escaped(problem.as_bytes())));
        }
        self.line(&line);
    }

    /// Which run is undone, where the user named none, and which one is not that comes after it.
    pub(super) fn undoing(&self, run: &Run, lost: Option<u64>) {
        let purpose = match &run.purpose {
            Purpose::Meeting { name, .. } => format!("with {}", Escaped(name.as_bytes())),
            Purpose::Undo { run } => format!("which was the undo of run {run}"),
        };
        let (number, began) = (run.number, self.clock.show(run.began));
        let last = match lost {
            None => "the last that did something here",
            Some(lost) => {
                self.line(&format!(
                    "Nothing that run {lost} has replaced or deleted here is in the trash any more."
                ));
                "the last that can still be undone"
            }
        };
        self.line(&format!("Undoing run {number}, {last}: {began}, {purpose}."));
    }

    pub(super) fn undone(&self, undone: &Undone) {
        let Undone { run, number, outcome } = undone;
        if *outcome == Outcome::default() {
            self.line(&format!(
                "Nothing of run {run} was to be put back; what it made where nothing was stays."
            ));
            return;
        }
        let (done, problems) = (self.numbers.count(outcome.done), outcome.problems);
        let paths = if outcome.done == 1 { "path" } else { "paths" };
        let left = match problems {
            0 => String::new(),
            _ => format!(", and not {}", self.numbers.count(problems)),
        };
        self.line(&format!("Put back {done} {paths} of run {run}{left} (this is run {number})."));
    }

    pub(super) fn trash(&self, runs: &[Trashed]) {
        let mut all = Amount::default();
        for trashed in runs {
            let Trashed { run, at, amount } = trashed;
            self.line(&format!("run {run:<5} {}  {}", self.clock.show(*at), self.amount(amount)));
            all = all.and(*amount);
        }
        self.line(&match runs {
            [] => "The trash is empty.".to_owned(),
            _ => format!("{} in all", self.amount(&all)),
        });
    }

    pub(super) fn emptied(&self, amount: &Amount) {
        self.line(&format!("Removed {}.", self.amount(&Amount { failed: 0, ..*amount })));
    }

    fn amount(&self, amount: &Amount) -> String {
        let (entries, bytes) = (self.entries(amount.entries), self.numbers.bytes(amount.bytes));
        let failed = match amount.failed {
            0 => String::new(),
            failed => format!(", {} not readable", self.numbers.count(failed)),
        };
        format!("{entries}, {bytes} bytes{failed}")
    }

    fn entries(&self, count: u64) -> String {
        format!("{} {}", self.numbers.count(count), if count == 1 { "entry" } else { "entries" })
    }
}

fn slash(state: &State) -> &'static str {
    if state.is_directory() { "/" } else { "" }
}

/// How a side is named where a run is looked back at: what is told of a replica is told from its side.
fn named(side: Side, purpose: &Purpose) -> String {
    match purpose {
        Purpose::Meeting { side: own, name, .. } if side != *own => Escaped(name.as_bytes()).to_string(),
        Purpose::Meeting { .. } | Purpose::Undo { .. } => "this side".to_owned(),
    }
}

/// Why something was done, if that is not clear.
fn why(why: &Why, purpose: &Purpose) -> Option<String> {
    let named = |side: Side| named(side, purpose);
    let about = |kind: &ConflictKind| match kind {
        ConflictKind::Content => "of contents",
        ConflictKind::Attributes => "of attributes",
        ConflictKind::Kinds => "of kinds",
        ConflictKind::Occupied => "about a directory that cannot go",
    };
    Some(match why {
        Why::Clear => return None,
        Why::Kept { removed } => {
            format!("kept: removed on {}, edited on {}", named(*removed), named(removed.other()))
        }
        Why::Settled(kind, resolution) => {
            let how = match resolution {
                Resolution::Skip => "both stay".to_owned(),
                Resolution::Win(side) => format!("that of {} was taken", named(*side)),
                Resolution::KeepBoth => "both are kept".to_owned(),
                Resolution::Merged(_) => "merged".to_owned(),
            };
            format!("conflict {}: {how}", about(kind))
        }
        Why::Conflict(kind) => format!("conflict {}", about(kind)),
        Why::CopyOf { original, loser } => {
            format!("the loser of the conflict at {original}: the version of {}", named(*loser))
        }
        Why::Unknown => "it could not be looked at".to_owned(),
        Why::Unplanned => "it was not part of the plan".to_owned(),
    })
}
