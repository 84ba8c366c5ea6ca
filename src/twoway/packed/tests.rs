use super::*;
use crate::pass::OwnerMap;
use crate::request::Options;
use crate::tree::{Gid, RelPath, Uid};
use crate::twoway::decide::Side;
use crate::twoway::exchange::Garbled;
use crate::twoway::facet::{Facet, FacetSum, Register};
use crate::twoway::policy::ConflictKind;
use crate::twoway::reconcile::{Pair, Step, Why};
use crate::twoway::record::{Attributes, ContentSum, Record, State};
use crate::twoway::task::Task;
use crate::twoway::version::{Author, Version};
use filetime::FileTime;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A host that has learnt of nobody.
fn nobody() -> OwnerMap {
    OwnerMap::new(&Options::default()).unwrap().0
}

fn path() -> impl Strategy<Value = RelPath> {
    vec("[ab-]{1,2}", 0..4).prop_map(|names| RelPath::new(names.join("/").into_bytes()).unwrap())
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Absent),
        Just(State::Directory),
        Just(State::Unknown),
        (any::<[u8; 32]>(), any::<u64>()).prop_map(|(sum, size)| State::File { sum: ContentSum(sum), size }),
        vec(any::<u8>(), 0..300).prop_map(|target| State::Symlink { target: target.into() }),
    ]
}

fn version() -> impl Strategy<Value = Arc<Version>> {
    let counts = vec((0..3_u8, any::<u64>()), 0..3);
    counts.prop_map(|counts| {
        Arc::new(counts.into_iter().map(|(author, count)| (Author([author; 16]), count)).collect())
    })
}

fn record() -> impl Strategy<Value = Record> {
    let owner = (any::<Option<u32>>(), any::<Option<u32>>());
    let time = (any::<i64>(), 0..1_000_000_000_u32);
    let extended = vec((0..3_usize, any::<Option<[u8; 16]>>(), version()), 0..4);
    (state(), 0..0o10000_u32, owner, time, version(), version(), extended, any::<bool>()).prop_map(
        |(state, mode, owner, (seconds, nanos), content, meta, extended, occupied)| Record {
            extended: extended
                .into_iter()
                .map(|(facet, sum, version)| {
                    (Facet::ALL[facet], Register { sum: sum.map(FacetSum), version })
                })
                .collect(),
            attributes: Attributes { mode, owner: (owner.0.map(Uid), owner.1.map(Gid)) },
            mtime: FileTime::from_unix_time(seconds, nanos),
            content,
            meta,
            // Nothing else stands in the way of anything.
            occupied: occupied && !matches!(state, State::File { .. } | State::Symlink { .. }),
            state,
        },
    )
}

fn why() -> impl Strategy<Value = Why> {
    let conflict = Just(Why::Conflict(ConflictKind::Content));
    prop_oneof![
        Just(Why::Clear),
        conflict,
        path().prop_map(|original| Why::CopyOf { original, loser: Side::Left })
    ]
}

/// Steps in order, of which some records are the same.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let records = vec(record(), 1..4);
    let which = vec((path(), why(), any::<[prop::sample::Index; 4]>(), 1..200_usize), 0..12);
    (records, which).prop_map(|(records, which)| {
        let mut steps = BTreeMap::new();
        for (path, why, [a, b, c, d], copies) in which {
            let of = |index: prop::sample::Index| index.get(&records).clone();
            let before = Pair { left: of(a), right: of(b) };
            let after = Pair { left: of(c), right: of(d) };
            for copy in 0..copies {
                let mut bytes = path.as_bytes().to_vec();
                bytes.extend_from_slice(
                    format!("{}{copy}", if path.is_root() { "x" } else { "/x" }).as_bytes(),
                );
                let path = RelPath::new(bytes).unwrap();
                let (why, before, after) = (why.clone(), before.clone(), after.clone());
                steps.insert(path.clone(), Step { path, why, before, after, noted: Vec::new() });
            }
        }
        let mut steps: Vec<Step> = steps.into_values().collect();
        steps.sort_by(|one, other| one.path.walk_order(&other.path));
        steps
    })
}

fn store(steps: &[Step]) -> Store<Step> {
    steps.iter().cloned().collect()
}

proptest! {
    #[test]
    fn a_store_is_like_a_vector(steps in steps(), from_back in vec(any::<bool>(), 0..2500), asked in path()) {
        let store = store(&steps);
        prop_assert_eq!(store.len(), steps.len());
        prop_assert!(store.iter().eq(steps.iter().cloned()));
        prop_assert!(store.clone().into_items().eq(steps.iter().cloned()));
        let (mut packed, mut plain) = (store.iter(), steps.iter());
        for from_back in from_back {
            let (got, wanted) = match from_back {
                true => (packed.next_back(), plain.next_back()),
                false => (packed.next(), plain.next()),
            };
            prop_assert_eq!(got.as_ref(), wanted);
            prop_assert_eq!(packed.len(), plain.len());
        }
        for (number, step) in steps.iter().enumerate() {
            let got = store.get(number);
            prop_assert_eq!(got.as_ref(), Some(step));
            prop_assert_eq!(store.find(&step.path), Some((number, step.clone())));
        }
        prop_assert_eq!(store.get(steps.len()), None);
        let place = steps.iter().position(|step| step.path == asked);
        prop_assert_eq!(store.find(&asked).map(|(number, _)| number), place);
        let below = |number: &usize| steps[*number].path.is_below(&asked);
        prop_assert!(store.below(&asked).eq((0..steps.len()).filter(below)));
    }

    #[test]
    fn what_comes_late_is_put_in_its_place(steps in steps(), order in vec(any::<prop::sample::Index>(), 0..40)) {
        let mut shuffled = steps.clone();
        for index in order {
            if !steps.is_empty() {
                let step = shuffled.remove(index.index(steps.len()));
                shuffled.push(step);
            }
        }
        prop_assert!(store(&shuffled) == store(&steps));
        let mut collector = Collector::as_they_come();
        shuffled.iter().for_each(|step| collector.push(step));
        prop_assert!(collector.finish().iter().eq(shuffled));
    }

    #[test]
    fn directories_after_what_is_below_them(steps in steps()) {
        let mut upwards = steps.clone();
        upwards.sort_by(|one, other| match (one.path.is_below(&other.path), other.path.is_below(&one.path)) {
            (true, _) => std::cmp::Ordering::Less,
            (_, true) => std::cmp::Ordering::Greater,
            _ => one.path.walk_order(&other.path),
        });
        prop_assert!(store(&upwards) == store(&steps));
    }

    #[test]
    fn a_store_can_be_written_and_read(steps in steps()) {
        let store = store(&steps);
        let written = serde_json::to_string(&store).unwrap();
        prop_assert_eq!(&written, &serde_json::to_string(&steps).unwrap());
        let read: Store<Step> = serde_json::from_str(&written).unwrap();
        prop_assert!(read == store);
    }
}

proptest! {
    #[test]
    fn records_arrive_as_they_were(told in prop::collection::vec((path(), record()), 0..20)) {
        let mut packing = Packing::default();
        told.iter().for_each(|(path, record)| packing.record(path, record));
        let bytes = postcard::to_stdvec(&packing.take()).unwrap();
        let batch: Batch<PackedRecord> = postcard::from_bytes(&bytes).unwrap();
        prop_assert_eq!(batch.records(&nobody()).unwrap(), told);
    }

    #[test]
    fn tasks_arrive_where_what_was_before_is_known(
        told in prop::collection::vec((path(), record(), record()), 0..20),
    ) {
        let mut packing = Packing::default();
        let tasks: Vec<Task> = told
            .iter()
            .map(|(path, before, after)| {
                Task::between(path.clone(), Why::Clear, before.clone(), after.clone())
            })
            .collect();
        tasks.iter().for_each(|task| packing.task(task));
        let bytes = postcard::to_stdvec(&packing.take()).unwrap();
        let batch: Batch<PackedTask> = postcard::from_bytes(&bytes).unwrap();
        let mut known = told.iter().map(|(_, before, _)| before.clone());
        let arrived = batch.tasks::<Garbled>(&nobody(), |_| Ok(known.next().unwrap())).unwrap();
        prop_assert_eq!(arrived, tasks);
    }

    #[test]
    fn nothing_that_arrives_makes_it_panic(bytes in any::<Vec<u8>>()) {
        if let Ok(batch) = postcard::from_bytes::<Batch<PackedRecord>>(&bytes) {
            let _ = batch.records(&nobody());
        }
    }
}

#[test]
fn nobody_tells_of_what_is_dsyncs_own() {
    let staged = crate::fs::stage_name(&crate::tree::Name::new(*b"x").unwrap());
    for (told, refused) in [
        (".dsync", true),
        (".dsync/history", true),
        ("a/.dsync/history", true),
        (&*format!("a/{staged}"), true),
        ("a/.dsync", false),
        (".dsynced/a", false),
    ] {
        let mut packing = Packing::default();
        packing.add(&RelPath::new(told.as_bytes()).unwrap(), ());
        assert_eq!(packing.take().paths().is_err(), refused, "{told}");
    }
}

/// The planner knows the owner of what is there by another number, which need not lead back.
#[test]
fn an_owner_that_stays_is_not_told() {
    let path = RelPath::new(*b"a").unwrap();
    let record = |mode, user| Record {
        state: State::Directory,
        attributes: Attributes { mode, owner: (Some(Uid(user)), Some(Gid::ROOT)) },
        ..Record::never()
    };
    let arrived = |before: Record, after: Record, known: &Record| {
        let mut packing = Packing::default();
        packing.task(&Task::between(path.clone(), Why::Clear, before, after));
        let tasks = packing.take().tasks::<Garbled>(&nobody(), |_| Ok(known.clone())).unwrap();
        tasks.first().unwrap().after.attributes
    };
    let known = record(0o755, 4242);
    assert_eq!(arrived(record(0o755, 7), record(0o700, 7), &known), record(0o700, 4242).attributes);
    assert_eq!(arrived(record(0o755, 7), record(0o755, 8), &known), record(0o755, 8).attributes);
    // What is made has nobody who stays.
    let gone = Record { state: State::Absent, ..record(0o755, 7) };
    let known = Record { state: State::Absent, ..known };
    assert_eq!(arrived(gone, record(0o755, 7), &known), record(0o755, 7).attributes);
}
