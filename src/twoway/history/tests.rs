//! The database: what is written is there afterwards, and what is damaged is told.

use super::*;
use crate::fs::{Links, Root, Stamp, WriteDir};
use crate::tree::{Gid, Kind, Uid, Xattr, Xattrs};
use crate::twoway::facet::{Extended, Facet, FacetSum, Facets, Register, Value};
use crate::twoway::lineage::{Fork, Lineages, Tag};
use crate::twoway::log::Purpose;
use crate::twoway::record::{Attributes, ContentSum, Modes, State};
use crate::twoway::replica::Replica;
use crate::twoway::version::{Renaming, Version};
use filetime::FileTime;
use proptest::prelude::*;
use std::fs;
use std::path::Path;
use std::sync::Arc;

fn root(at: &Path) -> WriteDir {
    Root::open(at.as_os_str(), Links::Trusted).unwrap().writable().unwrap()
}

pub(super) fn open(at: &Path) -> Result<(History, Origin), TwoWayError> {
    let root = root(at);
    Replica::open(&root)?.history()
}

pub(super) fn path(path: &str) -> RelPath {
    RelPath::new(path.as_bytes()).unwrap()
}

fn author(n: u8) -> Author {
    Author([n; 16])
}

fn version(counts: &[(u8, u64)]) -> Arc<Version> {
    Arc::new(counts.iter().map(|(n, count)| (author(*n), *count)).collect())
}

pub(super) fn record(content: u8, counts: &[(u8, u64)]) -> Record {
    Record {
        state: State::File { sum: ContentSum([content; 32]), size: 1 },
        attributes: Attributes { mode: 0o644, owner: (None, None) },
        mtime: FileTime::from_unix_time(5, 6),
        content: version(counts),
        meta: version(counts),
        extended: Extended::default(),
        occupied: false,
    }
}

/// An author's generations with these tags.
fn generations(author: Author, tags: &[u64]) -> Lineages {
    let mut lineages = Lineages::default();
    for tag in tags {
        lineages.count_on(author, Tag(*tag));
    }
    lineages
}

fn look(n: u64) -> Look {
    let time = FileTime::from_unix_time(5, 6);
    Look {
        stamp: Stamp { dev: 1, ino: n, size: 1, mtime: time, ctime: time },
        settled: true,
        facets: Facets::NONE,
    }
}

fn changes(history: &History, since: u64) -> Option<Vec<String>> {
    let mut all = Vec::new();
    let whole = history.changes(since, &mut |path| {
        all.push(path.to_string());
        Ok(())
    });
    whole.unwrap().then_some(all)
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Absent),
        Just(State::Directory),
        Just(State::Unknown),
        (any::<[u8; 32]>(), any::<u64>()).prop_map(|(sum, size)| State::File { sum: ContentSum(sum), size }),
        prop::collection::vec(1_u8.., 1..40).prop_map(|target| State::Symlink { target: target.into() }),
        Just(State::Special(Kind::Fifo, None)),
        (any::<u32>(), any::<u32>()).prop_map(|(major, minor)| State::Special(
            Kind::BlockDevice,
            Some(crate::tree::Rdev { major, minor })
        )),
    ]
}

fn facets() -> impl Strategy<Value = Facets> {
    prop::sample::subsequence(Facet::ALL.to_vec(), 0..=3).prop_map(Facets::from_iter)
}

prop_compose! {
    fn extended()(
        facets in facets(), sums in any::<[Option<[u8; 16]>; 3]>(),
        counts in prop::collection::vec((0_u8..9, 1_u64..99), 0..4),
    ) -> Extended {
        let register = |(facet, sum): (Facet, Option<[u8; 16]>)| {
            (facet, Register { sum: sum.map(FacetSum), version: version(&counts) })
        };
        facets.iter().zip(sums).map(register).collect()
    }
}

prop_compose! {
    fn time()(seconds in any::<i64>(), nanoseconds in 0_u32..1_000_000_000) -> FileTime {
        FileTime::from_unix_time(seconds, nanoseconds)
    }
}

prop_compose! {
    fn stamp()(
        dev in any::<u64>(), ino in any::<u64>(), size in any::<u64>(), mtime in time(), ctime in time(),
        settled in any::<bool>(), facets in facets(),
    ) -> Look {
        Look { stamp: Stamp { dev, ino, size, mtime, ctime }, settled, facets }
    }
}

prop_compose! {
    pub(super) fn known()(
        state in state(), mode in 0_u32..0o10000, (user, group) in any::<(Option<u32>, Option<u32>)>(), mtime in time(),
        content in prop::collection::vec((0_u8..9, 1_u64..99), 0..4),
        meta in prop::option::of(prop::collection::vec((0_u8..9, 1_u64..99), 0..4)),
        look in prop::option::of(stamp()), sequence in any::<u64>(),
        is_unknown in any::<bool>(), occupied in any::<bool>(), extended in extended(),
    ) -> Known {
        let content = version(&content);
        let meta = meta.map_or_else(|| content.clone(), |meta| version(&meta));
        let attributes = Attributes { mode, owner: (user.map(Uid), group.map(Gid)) };
        let record = Record { state, attributes, mtime, content, meta, extended, occupied };
        Known { record, look, sequence, is_unknown }
    }
}

proptest! {
    #[test]
    fn a_row_is_read_as_it_was_written(known in known()) {
        let mut authors = Authors::default();
        let bytes = row::encode(&known, &mut authors).unwrap();
        prop_assert_eq!(row::decode(&bytes, &authors).unwrap(), known);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut authors = Authors::default();
        authors.push(author(1));
        let _ = row::decode(&bytes, &authors);
        let _ = row::path(&bytes);
    }

    #[test]
    fn keys_are_in_the_order_of_a_walk(
        one in prop::collection::vec("[a-c\u{1} -]{1,3}", 0..4),
        other in prop::collection::vec("[a-c\u{1} -]{1,3}", 0..4),
    ) {
        let (one_path, other_path) = (path(&one.join("/")), path(&other.join("/")));
        prop_assert_eq!(row::path(&row::key(&one_path)).unwrap(), one_path.clone());
        prop_assert_eq!(row::key(&one_path).cmp(&row::key(&other_path)), one.cmp(&other));
        // Plans are made from paths in this order.
        prop_assert_eq!(one_path.walk_order(&other_path), one.cmp(&other));
        let (first, end) = row::below(&one_path);
        let key = row::key(&other_path);
        let is_below = key >= first && end.is_none_or(|end| key < end);
        prop_assert_eq!(is_below, other.len() > one.len() && other.starts_with(&one));
    }
}

#[test]
fn every_transaction_is_there_when_it_is_opened_again() {
    let at = tempfile::tempdir().unwrap();
    let (mut history, origin) = open(at.path()).unwrap();
    assert_eq!(origin, Origin::New);
    let me = history.author();
    history.intend([(path("a"), record(1, &[(1, 1)])), (path("b/c"), record(2, &[(2, 1)]))]).unwrap();
    history.plan_records([(path("joined"), record(3, &[(1, 1), (2, 2)]))]).unwrap();
    history.installed(&[(path("a"), Known::there(record(1, &[(1, 1)]), Some(look(7))))], &[], &[]).unwrap();
    assert!(!history.learn(&generations(author(1), &[11, 12])).unwrap().is_forked);
    drop(history);
    let (history, origin) = open(at.path()).unwrap();
    assert_eq!((origin, history.author()), (Origin::Known, me));
    assert_eq!(history.intents().unwrap(), [(path("b/c"), record(2, &[(2, 1)]))]);
    assert_eq!(history.known(&path("a")).unwrap().unwrap().look, Some(look(7)));
    assert_eq!(history.known(&path("joined")).unwrap().unwrap().record, record(3, &[(1, 1), (2, 2)]));
    assert_eq!(*history.lineages(), generations(author(1), &[11, 12]));
}

#[test]
fn a_killed_run_is_recovered_from_its_intents() {
    let at = tempfile::tempdir().unwrap();
    let (mut history, _) = open(at.path()).unwrap();
    history
        .plan_records([(path("done"), record(1, &[(1, 1)])), (path("not"), record(1, &[(1, 1)]))])
        .unwrap();
    let intents = [(path("done"), record(2, &[(2, 2)])), (path("not"), record(2, &[(2, 2)]))];
    history.intend(intents.clone()).unwrap();
    let done = [(path("done"), Known::there(record(2, &[(2, 2)]), Some(look(3))))];
    history.recover(&done, &Late::default()).unwrap();
    assert_eq!(history.intents().unwrap(), []);
    assert_eq!(history.known(&path("done")).unwrap().unwrap().record, record(2, &[(2, 2)]));
    assert_eq!(history.known(&path("not")).unwrap().unwrap().record, record(1, &[(1, 1)]));
}

#[test]
fn changes_are_kept_for_those_who_have_not_acknowledged_them() {
    let at = tempfile::tempdir().unwrap();
    let (mut history, _) = open(at.path()).unwrap();
    let put = |history: &mut History, name: &str| {
        history.plan_records([(path(name), record(1, &[(1, 1)]))]).unwrap();
    };
    let acknowledge = |history: &mut History, n: u8, acknowledged: u64| {
        let partner = Partner { acknowledged, received: 4, options: Some([n; 32]), token: [0; 16] };
        let pending = [path(&format!("pending/{n}")), path("x")];
        let acknowledgement = Acknowledgement { author: author(n), partner, pending: &pending, records: &[] };
        history.acknowledged(&acknowledgement).unwrap();
        assert_eq!(history.partner(author(n)).unwrap(), Some(partner));
        assert_eq!(history.pending(author(n)).unwrap(), pending);
    };
    put(&mut history, "before");
    // The first partner has to be told everything.
    assert_eq!(changes(&history, 0), None);
    assert_eq!(history.partner(author(1)).unwrap(), None);
    acknowledge(&mut history, 1, 1);
    acknowledge(&mut history, 2, 1);
    for name in ["a", "b/c", "a"] {
        put(&mut history, name);
    }
    assert_eq!(changes(&history, 1).unwrap(), ["b/c", "a"]);
    assert_eq!(changes(&history, 3).unwrap(), ["a"]);
    acknowledge(&mut history, 1, 3);
    assert_eq!(changes(&history, 1).unwrap(), ["b/c", "a"]);
    acknowledge(&mut history, 2, 4);
    assert_eq!(changes(&history, 1), None);
    assert_eq!(changes(&history, 3).unwrap(), ["a"]);
    assert_eq!(changes(&history, 4).unwrap(), [""; 0]);
    // Who acknowledges what has never been has met another life of this replica.
    assert_eq!(changes(&history, 5), None);
}

#[test]
fn a_copied_history_has_another_author_and_no_partners() {
    let at = tempfile::tempdir().unwrap();
    let (mut history, _) = open(&at.path().join("")).unwrap();
    history.plan_records([(path("a"), record(1, &[(1, 1)]))]).unwrap();
    let partner = Partner { acknowledged: 1, received: 4, options: None, token: [0; 16] };
    let acknowledgement = Acknowledgement { author: author(1), partner, pending: &[], records: &[] };
    history.acknowledged(&acknowledgement).unwrap();
    let me = history.author();
    drop(history);
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join(".dsync")).unwrap();
    fs::copy(at.path().join(".dsync/history"), copy.path().join(".dsync/history")).unwrap();
    let (copied, origin) = open(copy.path()).unwrap();
    assert_eq!((origin, copied.partner(author(1)).unwrap()), (Origin::Copied, None));
    assert_ne!(copied.author(), me);
    assert_eq!(copied.known(&path("a")).unwrap().unwrap().record, record(1, &[(1, 1)]));
    let fresh = copied.author();
    drop(copied);
    let (copied, origin) = open(copy.path()).unwrap();
    assert_eq!((origin, copied.author()), (Origin::Known, fresh));
    // The same file in the same place, but not the same inode: restored.
    fs::copy(at.path().join(".dsync/history"), at.path().join(".dsync/restored")).unwrap();
    fs::rename(at.path().join(".dsync/restored"), at.path().join(".dsync/history")).unwrap();
    assert_ne!(open(at.path()).unwrap().0.author(), me);
}

#[test]
fn a_fork_is_told_apart_in_every_record() {
    let at = tempfile::tempdir().unwrap();
    let (mut history, _) = open(at.path()).unwrap();
    let me = history.author();
    let mine = |count| Arc::new(Version::new().edited(me, count));
    for (name, count) in [("before", 3), ("after", 4)] {
        let record = Record { content: mine(count), meta: mine(1), ..record(1, &[]) };
        history.plan_records([(path(name), record)]).unwrap();
    }
    let mut change = Change::begin(&mut history).unwrap();
    for tag in 1..=5 {
        assert_eq!(change.generation(Tag(tag)), tag);
    }
    change.commit().unwrap();
    let partner = Partner { acknowledged: 1, received: 4, options: Some([0; 32]), token: [0; 16] };
    let acknowledgement = Acknowledgement { author: author(1), partner, pending: &[], records: &[] };
    history.acknowledged(&acknowledgement).unwrap();
    assert!(!history.learn(&generations(me, &[1, 2, 3])).unwrap().is_forked);
    assert_eq!((history.author(), history.generation()), (me, 5));
    // Somebody else went on from the third in another way.
    assert!(history.learn(&generations(me, &[1, 2, 3, 14])).unwrap().is_forked);
    assert_ne!(history.author(), me);
    assert_eq!(history.generation(), 0);
    let content = |name| history.known(&path(name)).unwrap().unwrap().record.content;
    assert_eq!(content("before"), mine(3));
    let to = Fork { author: me, from: 4, tag: Tag(4) }.name();
    assert_eq!(*content("after"), mine(4).renamed(&Renaming { author: me, from: 4, to }));
    assert_eq!((history.lineages().newest(me), history.lineages().newest(to)), (3, 5));
    assert_eq!(history.partner(author(1)).unwrap().unwrap().options, None);
}

#[test]
fn removals_are_forgotten_after_their_time() {
    let at = tempfile::tempdir().unwrap();
    let (mut history, _) = open(at.path()).unwrap();
    for (name, seconds) in [("old", 10), ("new", 1000)] {
        let mtime = FileTime::from_unix_time(seconds, 0);
        let removed = Record { state: State::Absent, mtime, ..record(0, &[(1, 1)]) };
        history.plan_records([(path(name), removed)]).unwrap();
    }
    history.plan_records([(path("there"), record(0, &[(1, 1)]))]).unwrap();
    for (n, acknowledged) in [(1, 0), (2, 1)] {
        let partner = Partner { acknowledged, received: 0, options: Some([0; 32]), token: [0; 16] };
        let acknowledgement = Acknowledgement { author: author(n), partner, pending: &[], records: &[] };
        history.acknowledged(&acknowledgement).unwrap();
    }
    assert_eq!(history.expire(FileTime::from_unix_time(500, 0)).unwrap(), 1);
    assert_eq!(history.expire(FileTime::from_unix_time(500, 0)).unwrap(), 0);
    assert!(history.known(&path("old")).unwrap().is_none());
    assert!(
        history.known(&path("new")).unwrap().is_some() && history.known(&path("there")).unwrap().is_some()
    );
    let options = |n| history.partner(author(n)).unwrap().unwrap().options;
    assert_eq!((options(1), options(2)), (None, Some([0; 32])));
}

/// A history with some thousand records, and its bytes.
fn sample() -> (tempfile::TempDir, Vec<u8>) {
    let at = tempfile::tempdir().unwrap();
    let (mut history, _) = open(at.path()).unwrap();
    for part in 0..4_u8 {
        let records: Vec<(RelPath, Record)> =
            (0..500).map(|n| (path(&format!("{part}/{n}")), record(part, &[(part, n + 1)]))).collect();
        history.plan_records(records.clone()).unwrap();
    }
    drop(history);
    let bytes = fs::read(at.path().join(".dsync/history")).unwrap();
    (at, bytes)
}

/// All records of a history, or why it cannot be read.
fn contents(at: &Path) -> Result<Vec<(RelPath, Known)>, TwoWayError> {
    let (history, _) = open(at)?;
    let mut all = Vec::new();
    history.all(&mut |path, known| {
        all.push((path, known));
        Ok(())
    })?;
    Ok(all)
}

/// The same of a history that is only looked at.
fn contents_seen(at: &Path) -> Result<Vec<(RelPath, Known)>, TwoWayError> {
    let root = root(at);
    let replica = Replica::look(&root)?.unwrap();
    let (history, _) = History::open_to_look(replica.history_file()?, &root)?;
    let mut all = Vec::new();
    history.all(&mut |path, known| {
        all.push((path, known));
        Ok(())
    })?;
    Ok(all)
}

/// Writes over the history, which stays the same file.
fn overwrite(at: &Path, bytes: &[u8]) {
    fs::write(at.join(".dsync/history"), bytes).unwrap();
}

#[test]
fn a_flipped_bit_is_told_or_does_not_matter() {
    let (at, bytes) = sample();
    let whole = contents(at.path()).unwrap();
    let mut told = 0;
    let step = bytes.len() / 400;
    for place in (0..320).chain((320..bytes.len()).step_by(step)) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << (place % 8);
        overwrite(at.path(), &damaged);
        let seen = (place % 8 == 0).then(|| contents_seen(at.path()));
        let found = contents(at.path());
        if let Some(seen) = seen {
            assert_eq!(format!("{seen:?}"), format!("{found:?}"), "byte {place}");
        }
        match found {
            // What is left is a state that was committed once.
            Ok(found) => assert!(
                whole.starts_with(&found[..]) && found.len().is_multiple_of(500),
                "byte {place}: {} records",
                found.len()
            ),
            Err(TwoWayError::Damaged { .. } | TwoWayError::Foreign { .. }) => told += 1,
            Err(error) => panic!("byte {place}: {error:?}"),
        }
    }
    assert!(told > 100, "{told}");
}

#[test]
fn a_history_that_is_cut_off_is_told() {
    let (at, bytes) = sample();
    let whole = contents(at.path()).unwrap();
    for len in (1..200).chain((200..bytes.len()).step_by(bytes.len() / 50)) {
        overwrite(at.path(), &bytes[..len]);
        let seen = contents_seen(at.path());
        assert!(fs::read(at.path().join(".dsync/history")).unwrap() == bytes[..len]);
        let found = contents(at.path());
        assert_eq!(format!("{seen:?}"), format!("{found:?}"), "{len} bytes");
        match found {
            Ok(found) => assert!(whole.starts_with(&found[..]) && found.len().is_multiple_of(500), "{len}"),
            Err(TwoWayError::Damaged { .. }) => {}
            Err(error) => panic!("{len} bytes: {error:?}"),
        }
    }
}

#[test]
fn what_is_no_history_is_told() {
    let at = tempfile::tempdir().unwrap();
    drop(Replica::open(&root(at.path())).unwrap());
    for other in [&b"SQLite format 3\0"[..], &[0; 8192], b"x"] {
        overwrite(at.path(), other);
        assert!(matches!(contents_seen(at.path()), Err(TwoWayError::Foreign { .. })), "{other:?}");
        assert!(matches!(open(at.path()), Err(TwoWayError::Foreign { .. })), "{other:?}");
        assert_eq!(fs::read(at.path().join(".dsync/history")).unwrap(), other);
    }
    fs::remove_file(at.path().join(".dsync/history")).unwrap();
    let other = Database::create(at.path().join(".dsync/history")).unwrap();
    let txn = other.begin_write().unwrap();
    txn.open_table(TableDefinition::<u64, u64>::new("somebody's")).unwrap();
    txn.commit().unwrap();
    drop(other);
    assert!(matches!(open(at.path()), Err(TwoWayError::Foreign { .. })));
}

/// What is said of a history of another format.
fn of_format(format: u32) -> TwoWayError {
    let at = tempfile::tempdir().unwrap();
    drop(open(at.path()).unwrap());
    let db = Database::create(at.path().join(".dsync/history")).unwrap();
    let txn = db.begin_write().unwrap();
    let other = postcard::to_stdvec(&(format, "whatever comes")).unwrap();
    txn.open_table(IDENTITY).unwrap().insert((), &*other).unwrap();
    txn.commit().unwrap();
    drop(db);
    open(at.path()).unwrap_err()
}

#[test]
fn another_format_is_told() {
    let error = of_format(FORMAT + 1);
    assert!(matches!(error, TwoWayError::NewerFormat { found, known: FORMAT } if found == FORMAT + 1));
    let error = of_format(FORMAT - 1);
    assert!(matches!(error, TwoWayError::OlderFormat { found, known: FORMAT } if found == FORMAT - 1));
}

#[test]
fn attributes_are_kept_with_the_run_that_set_others_in_their_place() {
    let at = tempfile::tempdir().unwrap();
    let (mut history, _) = open(at.path()).unwrap();
    let xattr = Xattr { name: (*b"user.a").into(), value: (*b"1").into() };
    let value = Value::Xattrs(Xattrs::new(vec![xattr]));
    let sum = value.sum(Facet::Xattrs).unwrap();
    let purpose = Purpose::Undo { run: 0 };
    let run = history.begin_run(FileTime::zero(), purpose, Modes::Whole).unwrap();
    history.installed(&[], &[], &[(Facet::Xattrs, value.clone())]).unwrap();
    let kept = |history: &History, run| history.value(run, Facet::Xattrs, sum).unwrap();
    assert_eq!(kept(&history, run), Some(value));
    assert_eq!(kept(&history, run + 1), None);
    history.forget_runs(&[run]).unwrap();
    assert_eq!(kept(&history, run), None);
}

fn owned(kind: State, owner: (Option<Uid>, Option<Gid>)) -> Record {
    Record { state: kind, attributes: Attributes { mode: 0o644, owner }, ..record(1, &[(1, 1)]) }
}

/// What one of many runs writes, and which of users and groups take part in it.
#[derive(Debug, Clone)]
struct Written {
    is_directory: bool,
    parts: (bool, bool),
    owner: (u32, u32),
}

fn written() -> impl Strategy<Value = Written> {
    (any::<bool>(), any::<(bool, bool)>(), (0..5_u32, 0..5_u32))
        .prop_map(|(is_directory, parts, owner)| Written { is_directory, parts, owner })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn what_takes_no_part_of_owners_stays_as_it_was(written in prop::collection::vec(written(), 1..12)) {
        let dir = tempfile::tempdir().unwrap();
        let (mut history, _) = open(dir.path()).unwrap();
        let (mut was_directory, mut expected) = (None, (None, None));
        for Written { is_directory, parts, owner: (user, group) } in written {
            history.takes_part(parts);
            let state = if is_directory { State::Directory } else { record(1, &[]).state };
            let owner = (parts.0.then_some(Uid(user)), parts.1.then_some(Gid(group)));
            history.installed(&[(path("a"), Known::there(owned(state, owner), None))], &[], &[]).unwrap();
            if was_directory.replace(is_directory) != Some(is_directory) {
                expected = (None, None);
            }
            expected = (owner.0.or(expected.0), owner.1.or(expected.1));
            let seen = (expected.0.filter(|_| parts.0), expected.1.filter(|_| parts.1));
            let read = |history: &History| history.known(&path("a")).unwrap().unwrap().record.attributes.owner;
            prop_assert_eq!(read(&history), seen);
            let mut all = Vec::new();
            history
                .all(&mut |_, known| {
                    all.push(known.record.attributes.owner);
                    Ok(())
                })
                .unwrap();
            let rows = history.snapshot().unwrap().rows().unwrap();
            all.extend(rows.map(|row| row.unwrap().1.record.attributes.owner));
            prop_assert_eq!(all, vec![seen; 2]);
            history.takes_part((true, true));
            prop_assert_eq!(read(&history), expected);
        }
    }
}
