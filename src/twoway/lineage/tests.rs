use super::*;
use crate::twoway::version::{Order, Version};
use proptest::prelude::*;

const B: Author = Author([2; 16]);

fn lineage(tags: &[u64]) -> Lineages {
    let mut lineages = Lineages::default();
    for tag in tags {
        lineages.count_on(B, Tag(*tag));
    }
    lineages
}

/// A replica that knows some generations and has a version with each count.
#[derive(Clone, Debug)]
struct Knower {
    lineages: Lineages,
    versions: Vec<(Vec<u64>, Version)>,
}

impl Knower {
    fn new(tags: &[u64]) -> Knower {
        let versions = (1..=tags.len())
            .map(|count| (tags[..count].to_vec(), Version::from_iter([(B, count as u64)])))
            .collect();
        Knower { lineages: lineage(tags), versions }
    }

    fn learn(&mut self, news: &Lineages) {
        for renaming in self.lineages.merge(news) {
            for (_, version) in &mut self.versions {
                *version = version.renamed(&renaming);
            }
        }
    }

    /// How many messages it took each way until both knew the same.
    fn meet(&mut self, other: &mut Knower) -> usize {
        for round in 0..10 {
            let (here, there) = (self.lineages.heads(), other.lineages.heads());
            if here == there {
                assert_eq!(self.lineages, other.lineages);
                return round;
            }
            let (ours, theirs) = (self.lineages.news_for(&there), other.lineages.news_for(&here));
            self.learn(&theirs);
            other.learn(&ours);
        }
        panic!("no end: {self:?} {other:?}");
    }
}

/// What the versions of two replicas say of each other is what their histories say.
fn agree(one: &Knower, other: &Knower) {
    for (tags, version) in &one.versions {
        for (other_tags, other_version) in &other.versions {
            let order = match (tags.starts_with(other_tags), other_tags.starts_with(tags)) {
                (true, true) => Order::Equal,
                (true, false) => Order::Newer,
                (false, true) => Order::Older,
                (false, false) => Order::Concurrent,
            };
            assert_eq!(version.order(other_version), order, "{tags:?} {other_tags:?}");
        }
    }
}

#[test]
fn who_knows_the_same_has_nothing_to_say() {
    let (mut one, mut other) = (Knower::new(&[1, 2, 3]), Knower::new(&[1, 2, 3]));
    assert_eq!(one.meet(&mut other), 0);
}

#[test]
fn who_is_behind_is_told_only_what_is_new() {
    let (mut one, mut other) = (Knower::new(&[1, 2, 3]), Knower::new(&[1]));
    let news = one.lineages.news_for(&other.lineages.heads());
    assert_eq!(
        news.segments.values().map(|segment| segment.newest()).collect::<Vec<_>>(),
        [Some((3, Tag(3)))]
    );
    assert_eq!(news.segments[&B].tag(1), None);
    assert_eq!(one.meet(&mut other), 1);
    assert!(!one.lineages.is_shared(B, 3));
    assert!(other.lineages.is_shared(B, 1), "a replica put back to an older state counts under a fresh name");
}

#[test]
fn a_fork_is_found_at_its_first_generation() {
    let (mut one, mut other) = (Knower::new(&[1, 2, 3, 4]), Knower::new(&[1, 2, 7]));
    one.meet(&mut other);
    assert_eq!(one.lineages.newest(B), 2);
    assert!(one.lineages.is_shared(B, 4) && other.lineages.is_shared(B, 3));
    agree(&one, &other);
}

#[test]
fn a_fork_is_passed_on() {
    let (mut one, mut other) = (Knower::new(&[1, 2, 3]), Knower::new(&[1, 7, 8]));
    let (mut third, mut fourth) = (one.clone(), Knower::new(&[1]));
    one.meet(&mut other);
    third.meet(&mut one);
    fourth.meet(&mut third);
    assert_eq!(fourth.lineages, one.lineages);
    agree(&third, &other);
    agree(&fourth, &other);
}

#[test]
fn news_that_make_no_sense_do_no_harm() {
    let mut one = Knower::new(&[1, 2, 3]);
    let before = one.lineages.clone();
    for first in [5, 9, u64::MAX] {
        let mut odd = Segment::new(B, first);
        odd.push(Tag(5));
        odd.push(Tag(6));
        one.learn(&Lineages { segments: [(B, odd)].into(), forks: BTreeSet::new() });
    }
    assert_eq!(one.lineages, before);
}

/// Histories that fork here and there: each goes on from a prefix of an earlier one.
fn histories() -> impl Strategy<Value = Vec<Vec<u64>>> {
    prop::collection::vec((any::<prop::sample::Index>(), 0_usize..6, 1_usize..4), 1..6).prop_map(|forks| {
        let mut histories: Vec<Vec<u64>> = vec![Vec::new()];
        let mut tag = 0;
        for (at, keep, more) in forks {
            let mut history = at.get(&histories).clone();
            history.truncate(keep);
            for _ in 0..more {
                tag += 1;
                history.push(tag);
            }
            histories.push(history);
        }
        histories
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn whoever_meets_compares_truly(
        histories in histories(),
        meetings in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..12),
    ) {
        let mut knowers: Vec<Knower> = histories.iter().map(|tags| Knower::new(tags)).collect();
        for (one, other) in meetings {
            let (one, other) = (one.index(knowers.len()), other.index(knowers.len()));
            let (mut a, mut b) = (knowers[one].clone(), knowers[other].clone());
            prop_assert!(a.meet(&mut b) <= 4);
            agree(&a, &b);
            knowers[one] = a;
            knowers[other] = b;
        }
    }
}
