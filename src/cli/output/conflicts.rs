//! The last words of a two-way run that left conflicts: what each side has, and what to type to settle them.

use crate::cli::output::moment::Clock;
use crate::cli::output::plan::{Names, kind};
use crate::cli::output::shell;
use crate::cli::output::size::Numbers;
use crate::tree::{Escaped, Kind, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::facet::{Facet, FacetSum, Facets};
use crate::twoway::plan::Plan;
use crate::twoway::policy::{Conflict, ConflictKind};
use crate::twoway::reconcile::{Step, Why};
use crate::twoway::record::{Record, State};
use std::ffi::OsString;

/// What is known besides the plan.
pub(in crate::cli) struct Telling<'a> {
    /// What the sides are called.
    pub names: &'a Names,
    /// How numbers are shown.
    pub numbers: Numbers,
    /// How times are.
    pub clock: &'a Clock,
    /// The words of the command line that are to be said again.
    pub words: &'a [OsString],
    /// Whether somebody was asked about each.
    pub asks: bool,
}

/// A conflict that is left.
struct Left {
    path: RelPath,
    /// Whether either side can be taken.
    can_be_won: bool,
    /// Whether both can be kept.
    can_keep_both: bool,
}

impl Left {
    /// The first policy that settles it, if any does.
    fn policy(&self) -> Option<&'static str> {
        match (self.can_be_won, self.can_keep_both) {
            (true, _) => Some("local"),
            (false, true) => Some("keep-both"),
            (false, false) => None,
        }
    }
}

/// What goes into the command. What a directory is settled by holds for all that is in it and comes later, so it comes
/// after that, and without that not at all.
#[derive(Default)]
struct Command {
    /// Directories to which more may come.
    open: Vec<Left>,
    taken: Vec<Left>,
}

impl Command {
    fn add(&mut self, left: Left) {
        while let Some(above) = self.open.pop_if(|above| !left.path.is_below(&above.path)) {
            self.take(above);
        }
        self.open.push(left);
    }

    fn take(&mut self, left: Left) {
        if self.taken.len() < IN_ONE_COMMAND && left.policy().is_some() {
            self.taken.push(left);
        }
    }

    fn finish(mut self) -> Vec<Left> {
        while let Some(left) = self.open.pop() {
            self.take(left);
        }
        self.taken
    }
}

/// Conflicts that one command is shown for. More are hardly settled one by one.
const IN_ONE_COMMAND: usize = 10;

/// Tells of the conflicts that a plan leaves; of none if it leaves none.
pub(super) fn tell(plan: &Plan, telling: &Telling<'_>, out: &mut dyn FnMut(&str)) {
    let (mut command, mut count) = (Command::default(), 0_usize);
    for Step { path, why, before, .. } in &plan.steps {
        let Why::Conflict(about) = why else { continue };
        let conflict = Conflict { path: &path, left: &before.left, right: &before.right, kind: about };
        let (can_be_won, can_keep_both) = (conflict.can_be_won(), conflict.can_keep_both());
        let title = format!("conflict: {} ({})\n", shown(&path), kind(about, &before.left, &before.right));
        out(&(title + &versions(&before.left, &before.right, about, telling)));
        count = count.saturating_add(1);
        command.add(Left { path, can_be_won, can_keep_both });
    }
    if count > 0 {
        out(&advice(&command.finish(), count, telling));
    }
}

/// What each side has, a line each.
pub(in crate::cli) fn versions(
    left: &Record,
    right: &Record,
    about: ConflictKind,
    telling: &Telling<'_>,
) -> String {
    let names = Side::BOTH.map(|side| telling.names.of(side));
    let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let with_modes = about == ConflictKind::Attributes || left.attributes.mode != right.attributes.mode;
    let with_owners = left.attributes.owner != right.attributes.owner;
    let differing = match about {
        ConflictKind::Attributes => left.extended.differing(&right.extended).attributes(),
        _ => Facets::NONE,
    };
    let line = |(name, record): (&str, &Record)| {
        let mut parts = vec![state(&record.state, telling.numbers), telling.clock.show(record.mtime)];
        if with_modes {
            parts.push(format!("mode {:04o}", record.attributes.mode));
        }
        if let (true, (user, group)) = (with_owners, record.attributes.owner) {
            parts.extend(user.map(|user| format!("user {user}")));
            parts.extend(group.map(|group| format!("group {group}")));
        }
        parts.extend(differing.iter().map(|facet| extended(record, facet)));
        format!("  {name:<width$}  {}\n", parts.join("  "))
    };
    let [left_name, right_name] = names;
    [(left_name, left), (right_name, right)].map(line).concat()
}

/// What is there of a facet that differs, which has no short form but its sum.
fn extended(record: &Record, facet: Facet) -> String {
    let what = match facet {
        Facet::Acls => "ACLs",
        Facet::Xattrs => "extended attributes",
        Facet::RootXattrs => "extended attributes of root's",
        Facet::Links => "links",
    };
    match record.extended.get(facet).and_then(|known| known.sum) {
        Some(FacetSum([first, second, ..])) => format!("{what} {first:02x}{second:02x}"),
        None => format!("no {what}"),
    }
}

fn state(state: &State, numbers: Numbers) -> String {
    match state {
        State::Absent => "nothing".to_owned(),
        State::Directory => "directory".to_owned(),
        State::File { size: 1, .. } => "1 byte".to_owned(),
        State::File { size, .. } => format!("{} bytes", numbers.bytes(*size)),
        State::Symlink { target } => format!("link to {}", Escaped(target)),
        State::Special(Kind::Fifo, _) => "named pipe".to_owned(),
        State::Special(Kind::Socket, _) => "socket".to_owned(),
        State::Special(..) => "device".to_owned(),
        State::Unknown => "not known".to_owned(),
    }
}

/// A command that settles some of so many conflicts, and how to change it.
fn advice(taken: &[Left], count: usize, telling: &Telling<'_>) -> String {
    let number = telling.numbers.count(u64::try_from(count).unwrap_or(u64::MAX));
    let are_left = match count {
        1 => "1 conflict is left.".to_owned(),
        _ => format!("{number} conflicts are left."),
    };
    if taken.is_empty() {
        return format!("{are_left} No policy settles this: give one of the two another name.\n");
    }
    let which = match (count, count > taken.len()) {
        (1, _) => "it".to_owned(),
        (_, false) => "them".to_owned(),
        (_, true) => format!("{} of them", taken.len()),
    };
    let overrides = taken.iter().filter_map(|left| Some(shell::conflict_for(&left.path, left.policy()?)));
    let words = [OsString::from("dsync")].into_iter().chain(overrides).chain(telling.words.iter().cloned());
    let ways = ways(taken, telling.names);
    let ask = if telling.asks { "" } else { "--conflict=ask asks about each.\n" };
    format!("{are_left} To settle {which}, {ways}:\n  {}\n{ask}", shell::command(words))
}

/// What may be said of these conflicts in place of the policies in the command.
fn ways(taken: &[Left], names: &Names) -> String {
    let (won, kept) = (taken.iter().any(|left| left.can_be_won), taken.iter().any(|left| left.can_keep_both));
    let is_all = taken.iter().all(|left| left.can_be_won && left.can_keep_both);
    let sides = format!("local for that of {}", names.of(Side::Left));
    let other = format!("remote for that of {}", names.of(Side::Right));
    match (won, kept) {
        (true, true) if is_all => format!("with {sides}, {other}, or keep-both"),
        (true, true) => format!("with {sides}, {other}, or keep-both, each where it can"),
        (true, false) => format!("with {sides}, or {other}"),
        (false, _) => "where the directory has to keep the name".to_owned(),
    }
}

fn shown(path: &RelPath) -> String {
    if path.is_root() { ".".to_owned() } else { path.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::policy::Policy;
    use crate::twoway::tests::plan_by;

    fn told(base: &str, left: &str, right: &str, words: &[&str]) -> String {
        let (plan, _) = plan_by(&Policy::Skip, base, left, right);
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let names = Names::new(b"notes/", b"nas:my notes");
        let clock = Clock::at(1);
        let asks = words.iter().any(|word| word == "--conflict=ask");
        let telling = Telling { names: &names, numbers: Numbers::new(1), clock: &clock, words: &words, asks };
        let mut text = String::new();
        tell(&plan, &telling, &mut |more| text.push_str(more));
        text
    }

    #[test]
    fn a_conflict_is_told_with_what_settles_it() {
        let text = told("x=1", "x=2~100", "x=200~90", &["-2", "notes/", "nas:my notes"]);
        let expected = "\
conflict: x (changed on both sides)
  notes/        2 bytes  1970-01-01 01:01:40 +01:00
  nas:my notes  200 bytes  1970-01-01 01:01:30 +01:00
1 conflict is left. To settle it, with local for that of notes/, remote for that of nas:my notes, or keep-both:
  dsync --conflict-for=/x=local -2 notes/ 'nas:my notes'
--conflict=ask asks about each.
";
        assert_eq!(text, expected);
    }

    #[test]
    fn no_conflict_no_words() {
        assert_eq!(told("a=1", "a=2", "a=1", &["-2"]), "");
    }

    #[test]
    fn only_so_many_are_in_a_command() {
        let many = |value| (0..12).map(|n| format!("f{n}={value}")).collect::<Vec<_>>().join(" ");
        let text = told(&many(1), &many(2), &many(3), &["-2", "a", "b"]);
        assert_eq!(text.matches("conflict: ").count(), 12);
        assert_eq!(text.matches("--conflict-for=").count(), IN_ONE_COMMAND);
        assert!(text.contains("\n12 conflicts are left. To settle 10 of them, with "), "{text}");
    }

    #[test]
    fn what_is_in_a_directory_is_settled_before_it() {
        let text = told("d/ d/a=1", "d/:700 d/a=2", "d/:750 d/a=3", &["-2", "a", "b"]);
        assert!(
            text.contains("\n  dsync --conflict-for=/d/a=local --conflict-for=/d=local -2 a b\n"),
            "{text}"
        );
        let many = |value| (0..12).map(|n| format!("d/f{n}={value}")).collect::<Vec<_>>().join(" ");
        let [base, left, right] =
            [("d/", 1), ("d/:700", 2), ("d/:750", 3)].map(|(d, value)| format!("{d} {}", many(value)));
        let text = told(&base, &left, &right, &["-2", "a", "b"]);
        assert_eq!(text.matches("--conflict-for=/d/").count(), IN_ONE_COMMAND, "{text}");
        assert!(!text.contains("--conflict-for=/d="), "{text}");
    }

    #[test]
    fn only_what_can_settle_a_conflict_is_offered() {
        let copy = "f.conflict-50cc1102";
        let edits = |value| format!("{copy}={value}");
        let text = told(&edits(1), &edits(2), &edits(3), &["-2"]);
        assert!(text.contains("To settle it, with local for that of notes/, or remote for that"), "{text}");
        assert!(!text.contains("keep-both"), "{text}");
        let both = |value| format!("a={value} {copy}={value}");
        let text = told(&both(1), &both(2), &both(3), &["-2"]);
        assert!(text.contains(", or keep-both, each where it can:\n"), "{text}");
        let left = |can_be_won, can_keep_both| {
            let path = RelPath::new(*b"d").unwrap();
            Left { path, can_be_won, can_keep_both }
        };
        let (names, clock) = (Names::new(b"a", b"b"), Clock::at(1));
        let telling =
            Telling { names: &names, numbers: Numbers::new(1), clock: &clock, words: &[], asks: false };
        let text = advice(&[left(false, true)], 1, &telling);
        assert!(text.contains("To settle it, where the directory has to keep the name:\n"), "{text}");
        assert!(text.contains(" --conflict-for=/d=keep-both\n") && !text.contains("local"), "{text}");
        assert_eq!(left(false, false).policy(), None);
        let text = advice(&[], 1, &telling);
        assert_eq!(text, "1 conflict is left. No policy settles this: give one of the two another name.\n");
    }

    #[test]
    fn whoever_was_asked_is_not_told_to_ask() {
        let text = told("x=1", "x=2", "x=3", &["--conflict=ask", "-2"]);
        assert!(text.ends_with("  dsync --conflict-for=/x=local --conflict=ask -2\n"), "{text}");
    }

    #[test]
    fn kinds_and_modes_are_told() {
        let text = told("a=1 b=1", "a=1:600 b/ b/x=1", "a=1:640 b>far", &["-2"]);
        let expected = "\
conflict: a (other permissions or owners on each side)
  notes/        1 byte  1970-01-01 01:00:00 +01:00  mode 0600
  nas:my notes  1 byte  1970-01-01 01:00:00 +01:00  mode 0640
conflict: b (another kind of thing on each side)
  notes/        directory  1970-01-01 01:00:00 +01:00
  nas:my notes  link to far  1970-01-01 01:00:00 +01:00
2 conflicts are left. ";
        assert!(text.starts_with(expected), "{text}");
    }
}
