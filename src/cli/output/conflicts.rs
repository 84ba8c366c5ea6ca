//! The last words of a two-way run that left conflicts: what each side has, and what to type to settle them.

use crate::cli::output::moment::Clock;
use crate::cli::output::plan::{Names, kind};
use crate::cli::output::shell;
use crate::cli::output::size::Numbers;
use crate::tree::{Escaped, Kind, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::facet::{Facet, FacetSum, Facets};
use crate::twoway::plan::Plan;
use crate::twoway::policy::ConflictKind;
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
}

/// Conflicts that one command is shown for. More are hardly settled one by one.
const IN_ONE_COMMAND: usize = 10;

/// Tells of the conflicts that a plan leaves; of none if it leaves none.
pub(super) fn tell(plan: &Plan, telling: &Telling<'_>, out: &mut dyn FnMut(&str)) {
    let (mut first, mut count) = (Vec::new(), 0_usize);
    for Step { path, why, before, .. } in &plan.steps {
        let Why::Conflict(about) = why else { continue };
        let title = format!("conflict: {} ({})\n", shown(&path), kind(about, &before.left, &before.right));
        out(&(title + &versions(&before.left, &before.right, about, telling)));
        count = count.saturating_add(1);
        if first.len() < IN_ONE_COMMAND {
            first.push((path, about));
        }
    }
    if count > 0 {
        out(&advice(&first, count, telling));
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

/// A command that settles the first of so many conflicts, and how to change it.
fn advice(first: &[(RelPath, ConflictKind)], count: usize, telling: &Telling<'_>) -> String {
    let overrides = first.iter().map(|(path, kind)| {
        // What cannot go can only keep its name.
        let policy = if *kind == ConflictKind::Occupied { "keep-both" } else { "local" };
        OsString::from(format!("--conflict-for={}", shell::conflict_for(path, policy)))
    });
    let words = [OsString::from("dsync")].into_iter().chain(overrides).chain(telling.words.iter().cloned());
    let number = telling.numbers.count(u64::try_from(count).unwrap_or(u64::MAX));
    let which = match (count, count > first.len()) {
        (1, _) => "1 conflict is left. To settle it".to_owned(),
        (_, false) => format!("{number} conflicts are left. To settle them"),
        (_, true) => format!("{number} conflicts are left. To settle the first {}", first.len()),
    };
    format!(
        "{which}, with local for that of {}, remote for that of {}, or keep-both:\n  {}\n\
         --conflict=ask asks about each.\n",
        telling.names.of(Side::Left),
        telling.names.of(Side::Right),
        shell::command(words),
    )
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
        let telling = Telling { names: &names, numbers: Numbers::new(1), clock: &clock, words: &words };
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
        assert!(text.contains("\n12 conflicts are left. To settle the first 10, with "), "{text}");
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
