//! A plan at one glance: who changes what, and what becomes of conflicts.
//!
//! Shown by `-n`, `-v` and `-i` before anything is done. Long groups are cut, unless everything is asked for. Conflicts
//! that are left are not among them: those are told at the end, where they are not missed.

use crate::cli::output::TwoWayStyle;
use crate::cli::output::size::Numbers;
use crate::tree::{Escaped, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::plan::{Plan, Rename, Summary, Work};
use crate::twoway::policy::{ConflictKind, Resolution};
use crate::twoway::reconcile::{Change, Step, Why};
use crate::twoway::record::{Record, State};
use std::collections::BTreeMap;

/// What the two sides are called, as they were typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Names {
    left: String,
    right: String,
}

/// How much of a plan is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Shown {
    /// Nothing.
    No,
    /// The beginning of each group.
    Short,
    /// All.
    All,
}

/// Lines of a group that is cut.
const SHORT: usize = 20;
/// Room for the longest word of [`word`].
const COLUMN: usize = 10;
/// The word for names that are made one file, or are no longer one.
const LINKS: &str = "links";

impl Names {
    /// Makes the names harmless for a terminal.
    pub(in crate::cli) fn new(left: &[u8], right: &[u8]) -> Names {
        Names { left: Escaped(left).to_string(), right: Escaped(right).to_string() }
    }

    /// That of a side.
    pub(in crate::cli) fn of(&self, side: Side) -> &str {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }
}

/// The first line of the log of a two-way run.
pub(super) fn log_header(names: &Names) -> String {
    format!("comparing {} and {}\n", names.left, names.right)
}

/// Shows a plan, a few lines at a time. `is_whole` says whether everything takes part in it.
pub(super) fn tell(
    plan: &Plan,
    style: &TwoWayStyle,
    is_whole: bool,
    numbers: Numbers,
    out: &mut dyn FnMut(&str),
) {
    let names = &style.names;
    let limit = match style.shown {
        Shown::No => return,
        Shown::Short => SHORT,
        Shown::All => usize::MAX,
    };
    let summary = Summary::new(plan);
    if summary.is_in_sync() {
        if style.says_in_sync {
            let but = if is_whole { "" } else { ", but for what is left alone," };
            out(&format!("{} and {}{but} are in sync\n", names.left, names.right));
        }
        return;
    }
    let mut telling = Telling { plan, limit, numbers, out };
    for side in Side::BOTH {
        let work = summary.of(side);
        (telling.out)(&format!("{}: {}\n", names.of(side), counts(work, numbers)));
        for change in ORDER {
            telling.group(word(change), work.steps(change), &|step| path(step, side));
            if change == Change::Replace {
                telling.renames(&work.renames);
            }
        }
        telling.group(LINKS, &work.links, &|step| path(step, side));
    }
    let mut further = |title: &str, steps: &[usize], line: &dyn Fn(&Step) -> String| {
        if !steps.is_empty() {
            (telling.out)(&format!("{title}: {}\n", numbers.count(count(steps.len()))));
            telling.group("", steps, line);
        }
    };
    let copies = copies(plan, &summary.copies);
    further("conflicts settled", &summary.settled, &|step| settled(step, names, &copies));
    further("kept, because they were changed where they were not deleted", &summary.kept, &|step| match step
        .why
    {
        Why::Kept { removed } => format!("{} (deleted on {})", step.path, names.of(removed)),
        _ => step.path.to_string(),
    });
    further("left, because they cannot be looked at", &summary.unknown, &|step| step.path.to_string());
    further("left, because they changed apart from the plan", &summary.unplanned, &|step| {
        step.path.to_string()
    });
}

/// What is done on each side, in one line each, for the numbers at the end.
pub(super) fn counted(plan: &Plan, names: &Names, numbers: Numbers) -> Vec<(String, String)> {
    let summary = Summary::new(plan);
    let of = |side| (format!("Changes on {}", names.of(side)), counts(summary.of(side), numbers));
    let number = |steps: &[usize]| numbers.count(count(steps.len()));
    let mut lines: Vec<(String, String)> = Side::BOTH.map(of).into();
    lines.push(("Conflicts settled".to_owned(), number(&summary.settled)));
    lines.push(("Conflicts left".to_owned(), number(&summary.conflicts)));
    lines
}

/// The order in which changes are shown.
const ORDER: [Change; 6] =
    [Change::Create, Change::Update, Change::Replace, Change::Remove, Change::Empty, Change::Adjust];

fn word(change: Change) -> &'static str {
    match change {
        Change::Create => "new",
        Change::Update => "updated",
        Change::Replace => "replaced",
        Change::Remove => "deleted",
        Change::Empty => "emptied",
        Change::Adjust => "attributes",
    }
}

fn counts(work: &Work, numbers: Numbers) -> String {
    let number = |change| work.steps(change).len();
    let groups = [
        (number(Change::Create), word(Change::Create)),
        (number(Change::Update), word(Change::Update)),
        (number(Change::Replace), word(Change::Replace)),
        (work.renames.len(), "renamed"),
        (number(Change::Remove), word(Change::Remove)),
        (number(Change::Empty), word(Change::Empty)),
        (number(Change::Adjust), "with other attributes"),
        (work.links.len(), "with other links"),
    ];
    let parts = groups.iter().filter(|(number, _)| *number > 0);
    let mut parts: Vec<String> =
        parts.map(|(number, word)| format!("{} {word}", numbers.count(count(*number)))).collect();
    if work.bytes > 0 {
        parts.push(format!("{} bytes of files", numbers.bytes(work.bytes)));
    }
    if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") }
}

/// How the groups of a plan are told.
struct Telling<'a> {
    plan: &'a Plan,
    limit: usize,
    numbers: Numbers,
    out: &'a mut dyn FnMut(&str),
}

impl Telling<'_> {
    /// A line for each step with one of these numbers.
    fn group(&mut self, word: &str, steps: &[usize], line: &dyn Fn(&Step) -> String) {
        let plan = self.plan;
        let lines = steps.iter().filter_map(|number| plan.steps.get(*number)).map(|step| line(&step));
        self.lines(word, steps.len(), lines);
    }

    fn renames(&mut self, renames: &[Rename]) {
        let plan = self.plan;
        let line = |rename: &Rename| {
            let (from, to) = (plan.steps.get(rename.from)?, plan.steps.get(rename.to)?);
            Some(format!("{} -> {}", from.path, to.path))
        };
        self.lines("renamed", renames.len(), renames.iter().filter_map(line));
    }

    fn lines(&mut self, word: &str, all: usize, lines: impl Iterator<Item = String>) {
        // To say that one more was left out takes as much room as that one.
        let limit = if all <= self.limit.saturating_add(1) { all } else { self.limit };
        let indent = if word.is_empty() { String::new() } else { format!("{word:<COLUMN$}  ") };
        for line in lines.take(limit) {
            (self.out)(&format!("  {indent}{line}\n"));
        }
        if all > limit {
            let more = self.numbers.count(count(all.saturating_sub(limit)));
            (self.out)(&format!("  {indent}... and {more} more (-vv shows all)\n"));
        }
    }
}

/// The path of a step, with a slash if there is, or was, a directory on this side.
fn path(step: &Step, side: Side) -> String {
    let (before, after) = (&step.before.of(side).state, &step.after.of(side).state);
    let state = if after.is_present() { after } else { before };
    let path = if step.path.is_root() { ".".to_owned() } else { step.path.to_string() };
    match state {
        State::Directory => format!("{path}/"),
        State::Symlink { target } => format!("{path} -> {}", Escaped(target)),
        _ => path,
    }
}

fn settled(step: &Step, names: &Names, copies: &BTreeMap<RelPath, RelPath>) -> String {
    let Why::Settled(kind, resolution) = &step.why else { return step.path.to_string() };
    let outcome = match resolution {
        Resolution::Skip => "left".to_owned(),
        Resolution::Win(side) => format!("that of {} is taken", names.of(*side)),
        Resolution::KeepBoth if *kind == ConflictKind::Attributes => "what both permit".to_owned(),
        Resolution::KeepBoth => match copies.get(&step.path) {
            Some(copy) => format!("both are kept, one as {copy}"),
            None => "both are kept".to_owned(),
        },
        Resolution::Merged(_) => "merged".to_owned(),
    };
    format!("{} ({}): {outcome}", step.path, self::kind(*kind, &step.before.left, &step.before.right))
}

/// The names that losers got, by those that they had.
fn copies(plan: &Plan, copies: &[usize]) -> BTreeMap<RelPath, RelPath> {
    let names = |step: Step| match step.why {
        Why::CopyOf { original, .. } => Some((original, step.path)),
        _ => None,
    };
    copies.iter().filter_map(|number| plan.steps.get(*number)).filter_map(names).collect()
}

/// What a conflict is about.
pub(in crate::cli) fn kind(kind: ConflictKind, left: &Record, right: &Record) -> &'static str {
    match kind {
        ConflictKind::Content => "changed on both sides",
        ConflictKind::Attributes if left.attributes == right.attributes => {
            "other ACLs or extended attributes on each side"
        }
        ConflictKind::Attributes => "other permissions or owners on each side",
        ConflictKind::Kinds => "another kind of thing on each side",
        ConflictKind::Occupied => "the name of a directory that holds what takes no part",
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::policy::Policy;
    use crate::twoway::tests::plan_by;

    fn shown(policy: Policy, base: &str, left: &str, right: &str, shown: Shown) -> String {
        shown_if(true, policy, [base, left, right], shown)
    }

    fn shown_if(is_whole: bool, policy: Policy, [base, left, right]: [&str; 3], shown: Shown) -> String {
        let (plan, _) = plan_by(&policy, base, left, right);
        let names = Names::new(b"notes/", b"nas:\x1bnotes");
        let style =
            TwoWayStyle { names, shown, says_in_sync: shown == Shown::All, asks: false, words: Vec::new() };
        let mut text = String::new();
        tell(&plan, &style, is_whole, Numbers::new(1), &mut |more| text.push_str(more));
        text
    }

    #[test]
    fn who_changes_what_and_why() {
        let base = "a=1 b=2 c=3 d=4 e=5 f=6 l>x";
        let text = shown(
            Policy::KeepBoth,
            base,
            "a=9 c=3 d=7 e=5:600 f=8 n=2 l=3",
            "a=1 b=2 c=3 d=8 e=5 l>x m/",
            Shown::Short,
        );
        let expected = "\
notes/: 2 new, 1 updated, 15 bytes of files
  new         d.conflict-07070707
  new         m/
  updated     d
nas:\\#033notes: 2 new, 1 updated, 1 replaced, 1 renamed, 1 with other attributes, 27 bytes of files
  new         d.conflict-07070707
  new         f
  updated     a
  replaced    l
  renamed     b -> n
  attributes  e
conflicts settled: 1
  d (changed on both sides): both are kept, one as d.conflict-07070707
kept, because they were changed where they were not deleted: 1
  f (deleted on nas:\\#033notes)
";
        assert_eq!(text, expected);
    }

    #[test]
    fn nothing_to_do_is_one_line() {
        assert_eq!(shown(Policy::Skip, "a=1", "a=2", "a=2", Shown::Short), "");
        let text = shown(Policy::Skip, "a=1", "a=2", "a=2", Shown::All);
        assert_eq!(text, "notes/ and nas:\\#033notes are in sync\n");
        let text = shown_if(false, Policy::Skip, ["a=1", "a=2", "a=2"], Shown::All);
        assert_eq!(text, "notes/ and nas:\\#033notes, but for what is left alone, are in sync\n");
        assert_eq!(shown(Policy::Skip, "a=1", "a=2", "a=1", Shown::No), "");
    }

    #[test]
    fn long_groups_are_cut_unless_all_is_asked_for() {
        let many: Vec<String> = (0..30).map(|number| format!("f{number}=1")).collect();
        let short = shown(Policy::Skip, "", &many.join(" "), "", Shown::Short);
        assert_eq!(short.lines().count(), 2 + SHORT + 1, "{short}");
        assert!(short.ends_with("  new         ... and 10 more (-vv shows all)\n"), "{short}");
        let all = shown(Policy::Skip, "", &many.join(" "), "", Shown::All);
        assert_eq!(all.lines().count(), 2 + 30, "{all}");
        let one_more = shown(Policy::Skip, "", &many[..SHORT + 1].join(" "), "", Shown::Short);
        assert_eq!(one_more.lines().count(), 2 + SHORT + 1, "{one_more}");
    }
}
