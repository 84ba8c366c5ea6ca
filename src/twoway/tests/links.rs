//! Which names are one file, in replicas of a few names: what a scan finds out and what a run makes of a plan, said as
//! simply as it can be and with none of the code that does it.
//!
//! Files have numbers, as inodes are, and names lead to them. What must come of a run is said by these alone, without a
//! word of identities.

use crate::tree::RelPath;
use crate::twoway::decide;
use crate::twoway::facet::{Facet, FacetSum, Register};
use crate::twoway::names::InCommon;
use crate::twoway::plan::names;
use crate::twoway::policy::Policy;
use crate::twoway::reconcile::{Elsewhere, Pair, Rules, Settler, Step, Why, reconcile};
use crate::twoway::record::{Modes, Record, Shared, State};
use crate::twoway::tests::model::{attributes, cases, file, never, rel};
use crate::twoway::version::{Author, Version};
use filetime::FileTime;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

type Name = &'static str;

#[derive(Clone, PartialEq, Eq, Debug)]
struct File {
    content: u8,
    mode: u32,
    mtime: i64,
}

/// What is seen of a name: its file, and all names of that.
type Seen = BTreeMap<Name, (File, BTreeSet<Name>)>;

#[derive(Clone, Debug)]
struct Replica {
    author: Author,
    generation: u64,
    files: BTreeMap<u64, File>,
    names: BTreeMap<Name, u64>,
    /// What is known of each name, and which file it led to when it was last looked at.
    known: BTreeMap<Name, (Record, Option<u64>)>,
}

#[derive(Clone, Debug)]
enum Edit {
    /// Into the file that has the name, through which all its names have it.
    Write(Name, u8),
    /// Into a new one in its place.
    Replace(Name, u8),
    Join(Name, Name),
    Remove(Name),
    Chmod(Name, u32),
    Touch(Name, i64),
}

impl Replica {
    fn new(n: u8) -> Replica {
        Replica {
            author: Author([n; 16]),
            generation: 0,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            known: BTreeMap::new(),
        }
    }

    fn make(&mut self, file: File) -> u64 {
        let number = self.files.len() as u64;
        self.files.insert(number, file);
        number
    }

    fn edit(&mut self, edit: &Edit, now: i64) {
        let fresh = |content| File { content, mode: 0o644, mtime: now };
        match *edit {
            Edit::Write(at, content) if self.names.contains_key(at) => {
                self.change(at, |file| *file = File { content, mtime: now, ..file.clone() });
            }
            Edit::Write(at, content) | Edit::Replace(at, content) => {
                let number = self.make(fresh(content));
                self.names.insert(at, number);
            }
            Edit::Join(at, of) => {
                let number = self.names.get(of).copied();
                self.names.extend(number.map(|number| (at, number)));
            }
            Edit::Remove(at) => drop(self.names.remove(at)),
            Edit::Chmod(at, mode) => self.change(at, |file| file.mode = mode),
            Edit::Touch(at, mtime) => self.change(at, |file| file.mtime = mtime),
        }
    }

    fn edit_all(&mut self, edits: &[Edit], from: i64) {
        edits.iter().zip(from..).for_each(|(edit, now)| self.edit(edit, now));
    }

    fn change(&mut self, at: Name, change: impl FnOnce(&mut File)) {
        if let Some(file) = self.names.get(at).and_then(|number| self.files.get_mut(number)) {
            change(file);
        }
    }

    fn names_of(&self, number: u64) -> BTreeSet<Name> {
        self.names.iter().filter(|(_, of)| **of == number).map(|(name, _)| *name).collect()
    }

    fn seen(&self) -> Seen {
        let seen =
            |(name, number): (&Name, &u64)| (*name, (self.files[number].clone(), self.names_of(*number)));
        self.names.iter().map(seen).collect()
    }

    fn record(&self, name: Name) -> Record {
        self.known.get(name).map_or_else(never, |(record, _)| record.clone())
    }

    fn last(&self, name: Name) -> Option<u64> {
        self.known.get(name).and_then(|(_, last)| *last)
    }

    /// Of each file what one of its names had that has led to it before, if no other file has kept it; something new if
    /// none had, and there are several.
    fn identities(&self) -> BTreeMap<u64, FacetSum> {
        let had = |name: Name| self.last(name).and_then(|_| self.record(name).extended.identity());
        let mut taken: BTreeSet<FacetSum> = NAMES.into_iter().filter_map(had).collect();
        let (mut identities, mut kept_by) = (BTreeMap::new(), BTreeSet::new());
        for name in NAMES {
            let Some(number) = self.names.get(name).copied() else { continue };
            if identities.contains_key(&number) {
                continue;
            }
            let all = self.names_of(number);
            let stayed = all.iter().filter(|name| self.last(name) == Some(number));
            let kept = stayed.filter_map(|name| had(name)).find(|identity| kept_by.insert(*identity));
            let drawn = || {
                let first = name.as_bytes()[0];
                let sum = |n: u8| {
                    FacetSum(std::array::from_fn(|at| if at == 15 { n } else { first.wrapping_mul(151) }))
                };
                (0..=u8::MAX).map(sum).find(|sum| taken.insert(*sum)).unwrap()
            };
            let identity = kept.or_else(|| (all.len() > 1).then(drawn));
            identities.extend(identity.map(|identity| (number, identity)));
        }
        identities
    }

    fn has_one_file_for_each_identity(&self) -> bool {
        let mut files: BTreeMap<FacetSum, u64> = BTreeMap::new();
        self.names.iter().all(|(name, number)| {
            let identity = self.record(name).extended.identity();
            identity.is_none_or(|identity| *files.entry(identity).or_insert(*number) == *number)
        })
    }

    fn scan(&mut self, links: bool) {
        let identities = self.identities();
        let generation = self.generation + 1;
        let edited = |version: &Version| Arc::new(version.edited(self.author, generation));
        let mut known = BTreeMap::new();
        for name in NAMES {
            let (before, number) = (self.record(name), self.names.get(name).copied());
            let mut record = before.clone();
            let there = number.map(|number| &self.files[&number]);
            record.state = there.map_or(State::Absent, |there| file(there.content));
            let is_new = there.is_some() && !before.state.is_present();
            if record.state != before.state {
                record.content = edited(&record.content);
            }
            if let (Some(there), Some(number)) = (there, number) {
                record.attributes = attributes(there.mode);
                record.mtime = FileTime::from_unix_time(there.mtime, 0);
                if is_new || record.attributes != before.attributes {
                    record.meta = edited(&record.meta);
                }
                let (sum, old) = (identities.get(&number).copied(), before.extended.get(Facet::Links));
                let has_joined = self.names_of(number).len() > 1 && self.last(name) != Some(number);
                let is_other = old.map_or(sum.is_some(), |old| old.sum != sum);
                let version = old.map_or_else(Arc::default, |old| old.version.clone());
                // What a run took apart that knows nothing of names is nobody's edit, as long as nobody joins it.
                let is_joined = self.names_of(number).iter().any(|name| self.last(name) != Some(number));
                let is_parted = self.last(name) == Some(number)
                    && !is_joined
                    && old.is_some_and(|old| {
                        old.sum.is_some_and(|sum| {
                            identities.iter().any(|(of, had)| *of != number && *had == sum)
                        })
                    });
                let version = match (is_parted, is_other || has_joined) {
                    (true, _) => Arc::default(),
                    (_, true) => edited(&version),
                    _ => version,
                };
                if links {
                    record.extended.set(Facet::Links, Register { sum, version });
                }
            }
            known.insert(name, (record, number));
        }
        if known.iter().any(|(name, (record, _))| *record != self.record(name)) {
            self.generation = generation;
        }
        self.known = known;
    }

    /// Makes names lead to what is planned: those one file that have one identity, one content and one mode. It has the
    /// latest time that any of them is to have.
    fn carry_out(&mut self, side: decide::Side, steps: &[Step]) {
        let mut untouched: BTreeSet<Name> = NAMES.into_iter().collect();
        for step in steps {
            let name = NAMES.into_iter().find(|name| rel(name.as_bytes()) == step.path).unwrap();
            if step.change(side).is_some() {
                untouched.remove(name);
            }
            self.known.get_mut(name).unwrap().0 = step.after.of(side).clone();
        }
        let mut wanted: BTreeMap<_, Vec<Name>> = BTreeMap::new();
        for name in NAMES {
            let Record { state, attributes, extended, .. } = self.record(name);
            let State::File { sum, .. } = state else { continue };
            let identity = extended.identity();
            let alone = identity.is_none().then_some(name);
            wanted.entry((identity, alone, sum, attributes.mode)).or_default().push(name);
        }
        let before = std::mem::take(&mut self.names);
        for ((_, _, sum, mode), all) in wanted {
            let mtime = all.iter().map(|name| self.record(name).mtime.unix_seconds()).max().unwrap();
            let there = all.iter().find(|name| untouched.contains(*name)).map(|name| before[name]);
            let now = File { content: sum.0[0], mode, mtime };
            let number = match there {
                Some(number) => number,
                None => self.make(now.clone()),
            };
            self.files.insert(number, now);
            for name in all {
                self.names.insert(name, number);
                self.known.get_mut(name).unwrap().0.mtime = FileTime::from_unix_time(mtime, 0);
            }
        }
        for name in NAMES {
            self.known.get_mut(name).unwrap().1 = self.names.get(name).copied();
        }
    }

    /// What a run does that knows nothing of names of one file: whatever has another content is another file.
    fn carry_out_plainly(&mut self, side: decide::Side, steps: &[Step]) {
        for step in steps {
            let name = NAMES.into_iter().find(|name| rel(name.as_bytes()) == step.path).unwrap();
            let after = step.after.of(side);
            let now = match after.state {
                State::File { sum, .. } => {
                    let (mode, mtime) = (after.attributes.mode, after.mtime.unix_seconds());
                    Some(File { content: sum.0[0], mode, mtime })
                }
                _ => None,
            };
            match (now, self.names.get(name).copied()) {
                (None, _) => drop(self.names.remove(name)),
                (Some(now), Some(number)) if step.before.of(side).state == after.state => {
                    self.files.insert(number, now);
                }
                (Some(now), _) => {
                    let number = self.make(now);
                    self.names.insert(name, number);
                }
            }
            self.known.insert(name, (after.clone(), self.names.get(name).copied()));
        }
    }
}

/// Brings two replicas together, and returns what was planned.
fn run([left, right]: [&mut Replica; 2], policy: &Policy, links: bool) -> Vec<Step> {
    left.scan(links);
    right.scan(links);
    let pairs =
        NAMES.map(|name| (rel(name.as_bytes()), Pair { left: left.record(name), right: right.record(name) }));
    let settler = Settler { author: left.author, count: left.generation + 1 };
    let elsewhere = |_: &RelPath| Elsewhere::Excluded;
    let facets = links.then_some(Facet::Links).into_iter().collect();
    let mut resolver = policy.clone();
    let shared = Shared { modes: Modes::Whole, facets };
    let rules = Rules { settler, resolver: &mut resolver, elsewhere: &elsewhere, shared };
    let mut steps = Vec::new();
    reconcile(pairs.clone(), rules, &mut |step| steps.push(step)).unwrap();
    if links {
        let all = pairs.into_iter().map(|(path, pair)| {
            let known = steps.iter().find(|step| step.path == path).cloned();
            let (before, after, noted) = (pair.clone(), pair, Vec::new());
            known.unwrap_or(Step { path, why: Why::Clear, before, after, noted })
        });
        steps = names::settle(all.collect(), settler, InCommon { shared, owner: false, group: false });
    }
    left.generation += 1;
    for (side, replica) in decide::Side::BOTH.into_iter().zip([left, right]) {
        match links {
            true => replica.carry_out(side, &steps),
            false => replica.carry_out_plainly(side, &steps),
        }
    }
    steps
}

fn edit() -> impl Strategy<Value = Edit> {
    let name = || prop::sample::select(&NAMES[..]);
    prop_oneof![
        3 => (name(), 0_u8..4).prop_map(|(at, content)| Edit::Write(at, content)),
        2 => (name(), 0_u8..4).prop_map(|(at, content)| Edit::Replace(at, content)),
        6 => (name(), name()).prop_map(|(at, of)| Edit::Join(at, of)),
        2 => name().prop_map(Edit::Remove),
        1 => (name(), prop::sample::select(vec![0o600, 0o644, 0o755])).prop_map(|(at, mode)| Edit::Chmod(at, mode)),
        1 => (name(), 0_i64..4).prop_map(|(at, time)| Edit::Touch(at, time)),
    ]
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(edit(), 0..8)
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::Skip),
        Just(Policy::Newer),
        Just(Policy::Prefer(decide::Side::Left)),
        Just(Policy::Prefer(decide::Side::Right)),
    ]
}

fn swapped(policy: &Policy) -> Policy {
    match policy {
        Policy::Prefer(side) => Policy::Prefer(side.other()),
        same => same.clone(),
    }
}

/// Whether nothing was done between two looks to the file that a name leads to, nor to its names.
fn is_untouched(before: &Replica, after: &Replica, name: Name) -> bool {
    before.names.get(name) == after.names.get(name) && before.seen().get(name) == after.seen().get(name)
}

fn are_one(seen: &Seen, one: Name, other: Name) -> Option<bool> {
    let (one, _) = (seen.get(one)?, seen.get(other)?);
    Some(one.1.contains(other))
}

/// What is the same on both sides, and what only one of them has touched as it is there.
fn check(was: [&Replica; 2], before: [&Replica; 2], after: [&Replica; 2], steps: &[Step]) {
    let is_left = |name: &Name| steps.iter().any(|step| step.is_left() && step.path == rel(name.as_bytes()));
    let settled: Vec<Name> = NAMES.into_iter().filter(|name| !is_left(name)).collect();
    let seen = after.map(Replica::seen);
    for replica in after {
        assert!(replica.has_one_file_for_each_identity(), "{replica:?}: {steps:?}");
    }
    // A name that is left may be one with another on one side only, which then has a time from it.
    let is_whole = settled.len() == NAMES.len();
    let as_settled = |file: &File| File { mtime: if is_whole { file.mtime } else { 0 }, ..file.clone() };
    for (number, one) in settled.iter().enumerate() {
        let [left, right] = seen.each_ref().map(|seen| seen.get(one).map(|(file, _)| as_settled(file)));
        assert_eq!(left, right, "{one} differs: {steps:?}");
        for other in &settled[number + 1..] {
            let [left, right] = seen.each_ref().map(|seen| are_one(seen, one, other));
            assert_eq!(left, right, "{one} and {other} are one on one side only: {steps:?}");
            for (side, theirs) in [(0, 1), (1, 0)] {
                let is_mine = [one, other].iter().all(|name| is_untouched(was[theirs], before[theirs], name));
                let wanted = are_one(&before[side].seen(), one, other).filter(|_| is_mine);
                let is_so = wanted.is_none() || left.is_none() || wanted == left;
                assert!(is_so, "{one} and {other} are not as on side {side}: {steps:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn names_that_are_one_on_one_side_are_one_on_both(
        base in edits(),
        more in [edits(), edits()],
        plain in any::<bool>(),
        edits in [edits(), edits()],
        policy in policy(),
    ) {
        let (mut a, mut b) = (Replica::new(1), Replica::new(2));
        let prefer = Policy::Prefer(decide::Side::Left);
        a.edit_all(&base, 10);
        run([&mut a, &mut b], &prefer, true);
        prop_assert_eq!(a.seen(), b.seen());
        a.edit_all(&more[0], 20);
        b.edit_all(&more[1], 30);
        if plain {
            run([&mut a, &mut b], &prefer, false);
        }
        run([&mut a, &mut b], &prefer, true);
        prop_assert_eq!(a.seen(), b.seen());
        let was = (a.clone(), b.clone());
        a.edit_all(&edits[0], 40);
        b.edit_all(&edits[1], 50);
        let before = (a.clone(), b.clone());
        let steps = run([&mut a, &mut b], &policy, true);
        check([&was.0, &was.1], [&before.0, &before.1], [&a, &b], &steps);
        // Names of one identity that a conflict keeps apart get others, which is written down by the next run.
        if steps.iter().any(Step::is_left) {
            return Ok(());
        }
        // Once more, and nothing is to be done.
        let seen = [a.seen(), b.seen()];
        let again = run([&mut a, &mut b], &policy, true);
        prop_assert!(again.iter().all(|step| !step.changes_anything()), "second thoughts: {:?}", again);
        prop_assert_eq!([a.seen(), b.seen()], seen.clone());
        // The other way round.
        let (mut c, mut d) = before;
        run([&mut d, &mut c], &swapped(&policy), true);
        prop_assert_eq!([c.seen(), d.seen()], seen);
    }

    #[test]
    fn names_of_three_become_the_same_in_any_order(
        history in prop::collection::vec((0_usize..3, edits(), 0_usize..3, 0_usize..3, any::<bool>()), 1..8),
    ) {
        let mut replicas = [1, 2, 3].map(Replica::new);
        let policy = Policy::Prefer(decide::Side::Left);
        let meet = |replicas: &mut [Replica; 3], from: usize, to: usize, links: bool| {
            if from != to {
                let (mut left, mut right) = (replicas[from].clone(), replicas[to].clone());
                run([&mut left, &mut right], &policy, links);
                (replicas[from], replicas[to]) = (left, right);
            }
        };
        for (time, (at, edits, from, to, links)) in (1..).zip(history) {
            replicas[at].edit_all(&edits, time * 10);
            meet(&mut replicas, from, to, links);
        }
        for _ in 0..3 {
            for (from, to) in [(0, 1), (1, 2), (0, 2)] {
                meet(&mut replicas, from, to, true);
                prop_assert_eq!(replicas[from].seen(), replicas[to].seen());
            }
        }
        let [a, b, c] = replicas.each_ref().map(Replica::seen);
        prop_assert_eq!(&a, &b);
        prop_assert_eq!(&b, &c);
    }
}
