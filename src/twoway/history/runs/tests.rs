//! Logs: what is written is read, in order, and what is forgotten is gone.

use super::*;
use crate::twoway::decide::Side;
use crate::twoway::facet::Register;
use crate::twoway::history::Known;
use crate::twoway::history::tests::{known, open, path, record};
use crate::twoway::log::Outcome;
use crate::twoway::policy::{ConflictKind, Resolution};
use crate::twoway::version::Author;
use proptest::prelude::*;

fn time(seconds: i64) -> FileTime {
    FileTime::from_unix_time(seconds, 7)
}

fn meeting(name: &str) -> Purpose {
    Purpose::Meeting { partner: Author([9; 16]), name: name.to_owned(), side: Side::Right }
}

fn ending(done: u64) -> Ending {
    Ending { at: time(20), outcome: Outcome { done, ..Outcome::default() } }
}

fn bare(record: Record) -> Record {
    let none = Arc::new(Version::new());
    let bare = |(facet, register): (_, &Register)| (facet, Register { version: none.clone(), ..*register });
    let extended = record.extended.iter().map(bare).collect();
    Record { content: none.clone(), meta: none.clone(), extended, ..record }
}

fn entry(at: &str) -> Entry {
    Entry {
        path: path(at),
        change: reconcile::Change::Update,
        why: Why::Clear,
        before: bare(record(1, &[])),
        after: bare(record(2, &[])),
        trashed: Some(path(at)),
        problem: None,
    }
}

fn entries(history: &History, run: u64) -> Vec<Entry> {
    history.entries(run).unwrap().collect::<Result<_, _>>().unwrap()
}

fn why() -> impl Strategy<Value = Why> {
    prop_oneof![
        Just(Why::Clear),
        Just(Why::Kept { removed: Side::Left }),
        Just(Why::Settled(ConflictKind::Kinds, Resolution::Win(Side::Right))),
        Just(Why::Conflict(ConflictKind::Content)),
        Just(Why::CopyOf { original: path("x/y"), loser: Side::Right }),
        Just(Why::Unknown),
    ]
}

prop_compose! {
    fn any_entry()(
        at in "[a-z/]{1,9}", why in why(), before in known(), after in known(),
        change in prop::sample::select(&[reconcile::Change::Create, reconcile::Change::Empty][..]),
        trashed in prop::option::of("[a-z]{1,3}"), same in any::<bool>(), problem in prop::option::of(".{0,9}"),
    ) -> Entry {
        let at = RelPath::new(at.as_bytes()).unwrap_or_default();
        let trashed = trashed.map(|place| if same { at.clone() } else { path(&place) });
        let (before, after) = (bare(before.record), bare(after.record));
        Entry { path: at, change, why, before, after, trashed, problem }
    }
}

proptest! {
    #[test]
    fn an_entry_is_read_as_it_was_written(one in any_entry(), other in any_entry()) {
        let bytes = postcard::to_stdvec(&StoredEntry::from(&one)).unwrap();
        let bytes = postcard::to_extend(&StoredEntry::from(&other), bytes).unwrap();
        let all: Vec<Entry> = read_entries(&bytes).into_iter().collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(all, [one, other]);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_entries(&bytes);
        let _ = read_run(&bytes);
    }
}

#[test]
fn a_log_is_there_when_the_history_is_opened_again() {
    let at = tempfile::tempdir().unwrap();
    let (mut history, _) = open(at.path()).unwrap();
    assert_eq!(history.begin_run(time(1), meeting("nas:docs"), Modes::Whole).unwrap(), 1);
    // More than one row holds.
    let many: Vec<Entry> = (0..2000).map(|n| entry(&format!("dir/{n}"))).collect();
    let done = [(path("a"), Known::there(record(2, &[(1, 1)]), None))];
    history.installed(&done, &many, &[]).unwrap();
    history.installed(&[], &[entry("later")], &[]).unwrap();
    history.end_run(ending(2001)).unwrap();
    assert_eq!(history.begin_run(time(5), Purpose::Undo { run: 1 }, Modes::Own).unwrap(), 2);
    history.installed(&[], &[entry("dir/7")], &[]).unwrap();
    drop(history);
    let (mut history, _) = open(at.path()).unwrap();
    let first = Run { number: 1, began: time(1), purpose: meeting("nas:docs"), ending: Some(ending(2001)) };
    // The second was killed.
    let second = Run { number: 2, began: time(5), purpose: Purpose::Undo { run: 1 }, ending: None };
    let runs = history.runs().unwrap().collect::<Result<Vec<Run>, _>>().unwrap();
    assert_eq!(runs, [first.clone(), second.clone()]);
    assert_eq!(history.runs().unwrap().next_back().unwrap().unwrap(), second);
    assert_eq!((history.run(1).unwrap(), history.run(3).unwrap()), (Some(first), None));
    let mut expected = many;
    expected.push(entry("later"));
    assert!(entries(&history, 1) == expected);
    assert!(history.entries(1).unwrap().rev().map(Result::unwrap).eq(expected.into_iter().rev()));
    assert_eq!(history.known(&path("a")).unwrap().unwrap().record, record(2, &[(1, 1)]));
    let mut found = Vec::new();
    for of in ["dir/7", "later", "lat"] {
        let entries = history.entries_of(&path(of)).unwrap().map(Result::unwrap);
        found.extend(entries.map(|(run, entry)| (run, entry.path.to_string())));
    }
    let named = |run, at: &str| (run, at.to_owned());
    assert_eq!(found, [named(1, "dir/7"), named(2, "dir/7"), named(1, "later")]);
    history.forget_runs(&[1]).unwrap();
    assert_eq!((history.run(1).unwrap(), entries(&history, 1)), (None, vec![]));
    assert_eq!(entries(&history, 2).len(), 1);
    assert_eq!(history.begin_run(time(9), meeting("x"), Modes::Whole).unwrap(), 3);
}

#[test]
fn entries_take_little_room() {
    let bytes = postcard::to_stdvec(&StoredEntry::from(&entry("some/file"))).unwrap();
    assert!(bytes.len() < 120, "{}", bytes.len());
}
