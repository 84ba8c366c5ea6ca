//! Histories of small replicas in memory: random edits, runs between random pairs, and what must be true of every run.

use crate::tree::{Name, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::policy::{ConflictKind, Policy};
use crate::twoway::reconcile::{Known, Pair, Settler, Step, Why, reconcile};
use crate::twoway::record::{Attributes, ContentSum, Record, State};
use crate::twoway::version::{Author, Version};
use filetime::FileTime;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Path = Vec<u8>;

#[derive(Clone, PartialEq, Eq, Debug)]
struct Thing {
    state: State,
    mode: u32,
    mtime: i64,
}

type Tree = BTreeMap<Path, Thing>;

/// What an edit was of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Of {
    Content,
    Attributes,
}

#[derive(Clone, Debug)]
struct Replica {
    author: Author,
    generation: u64,
    tree: Tree,
    history: BTreeMap<Path, Record>,
    /// When each record changed last, counted in changes of records.
    changed: BTreeMap<Path, u64>,
    sequence: u64,
    partners: BTreeMap<Author, Partner>,
    /// The edits that each path has absorbed, tracked apart from the versions.
    absorbed: BTreeMap<(Path, Of), BTreeSet<u64>>,
}

/// What a replica remembers of another.
#[derive(Clone, Debug, Default)]
struct Partner {
    /// Up to which change it has been told everything.
    acknowledged: u64,
    /// What could not be settled.
    pending: BTreeSet<Path>,
}

#[derive(Clone, Debug)]
enum Edit {
    Write(usize, u8),
    Link(usize, u8),
    MakeDir(usize),
    Remove(usize),
    Chmod(usize, u8),
    Touch(usize, u8),
    Rename(usize, usize),
}

const PLACES: [&str; 9] = ["a", "b", "c", "a/a", "a/b", "b/a", "a/a/a", "a/a/b", "b/a/a"];

fn place(n: usize) -> Path {
    PLACES[n % PLACES.len()].as_bytes().to_vec()
}

fn parent(path: &[u8]) -> Option<Path> {
    path.iter().rposition(|byte| *byte == b'/').map(|at| path[..at].to_vec())
}

fn is_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn file(content: u8) -> State {
    State::File { sum: ContentSum([content; 32]), size: u64::from(content) }
}

impl Replica {
    fn new(n: u8) -> Replica {
        Replica {
            author: Author([n; 16]),
            generation: 0,
            tree: Tree::new(),
            history: BTreeMap::new(),
            changed: BTreeMap::new(),
            sequence: 0,
            partners: BTreeMap::new(),
            absorbed: BTreeMap::new(),
        }
    }

    fn put(&mut self, path: &[u8], state: State, mtime: i64) {
        let fits =
            parent(path).is_none_or(|parent| self.tree.get(&parent).is_some_and(|p| p.state.is_directory()));
        if !fits {
            return;
        }
        let there = self.tree.get(path).cloned();
        if there.as_ref().is_some_and(|there| there.state.is_directory() && state.is_directory()) {
            return;
        }
        self.remove(path);
        let mode = there.map_or(0o644, |there| there.mode);
        self.tree.insert(path.to_vec(), Thing { state, mode, mtime });
    }

    fn remove(&mut self, path: &[u8]) {
        self.tree.retain(|there, _| there != path && !is_below(there, path));
    }

    fn edit(&mut self, edit: &Edit, now: i64) {
        match edit {
            Edit::Write(at, content) => self.put(&place(*at), file(*content), now),
            Edit::Link(at, target) => self.put(&place(*at), State::Symlink { target: [*target].into() }, now),
            Edit::MakeDir(at) => self.put(&place(*at), State::Directory, now),
            Edit::Remove(at) => self.remove(&place(*at)),
            Edit::Chmod(at, mode) => {
                if let Some(thing) = self.tree.get_mut(&place(*at)) {
                    thing.mode = 0o600 | u32::from(*mode);
                }
            }
            Edit::Touch(at, time) => {
                if let Some(thing) = self.tree.get_mut(&place(*at)) {
                    thing.mtime = i64::from(*time);
                }
            }
            Edit::Rename(from, to) => {
                let (from, to) = (place(*from), place(*to));
                if from == to || is_below(&to, &from) {
                    return;
                }
                let moved: Tree = self
                    .tree
                    .iter()
                    .filter(|(path, _)| **path == from || is_below(path, &from))
                    .map(|(path, thing)| (path.clone(), thing.clone()))
                    .collect();
                let fits = parent(&to)
                    .is_none_or(|parent| self.tree.get(&parent).is_some_and(|p| p.state.is_directory()));
                if moved.is_empty() || !fits || is_below(&from, &to) {
                    return;
                }
                self.remove(&from);
                self.remove(&to);
                for (path, thing) in moved {
                    self.tree.insert([&to, &path[from.len()..]].concat(), thing);
                }
            }
        }
    }

    /// What a scan does: tells edits by comparing the tree with the history.
    fn scan(&mut self, event: &mut u64) {
        let author = self.author;
        let generation = self.generation + 1;
        let mut edited = false;
        let paths: BTreeSet<Path> = self.tree.keys().chain(self.history.keys()).cloned().collect();
        for path in paths {
            let there = self.tree.get(&path);
            let known = self.history.get(&path).cloned();
            let known = known.unwrap_or_else(never);
            let state = there.map_or(State::Absent, |thing| thing.state.clone());
            let attributes = there.map_or(known.attributes, |thing| attributes(thing.mode));
            let mtime = there.map_or(known.mtime, |thing| FileTime::from_unix_time(thing.mtime, 0));
            let other_kind = state.is_present() && !state.is_like(&known.state);
            let content = state != known.state;
            let meta = other_kind || (state.is_present() && attributes != known.attributes);
            edited |= content || meta;
            let bump = |version: &Arc<Version>, really| match really {
                true => Arc::new(version.edited(author, generation)),
                false => version.clone(),
            };
            let record = Record {
                content: bump(&known.content, content),
                meta: bump(&known.meta, meta),
                state,
                attributes,
                mtime,
            };
            for (of, edited) in [(Of::Content, content), (Of::Attributes, meta)] {
                if edited {
                    *event += 1;
                    self.absorbed.entry((path.clone(), of)).or_default().insert(*event);
                }
            }
            self.note(path, record);
        }
        if edited {
            self.generation = generation;
        }
    }
}

impl Replica {
    fn note(&mut self, path: Path, record: Record) {
        if self.history.get(&path) != Some(&record) {
            self.sequence += 1;
            self.changed.insert(path.clone(), self.sequence);
            self.history.insert(path, record);
        }
    }

    /// What another has to be told.
    fn told(&self, other: Author) -> BTreeSet<Path> {
        let partner = self.partners.get(&other).cloned().unwrap_or_default();
        let mut told: BTreeSet<Path> = self
            .changed
            .iter()
            .filter(|(_, at)| **at > partner.acknowledged)
            .map(|(path, _)| path.clone())
            .collect();
        told.extend(
            self.history
                .keys()
                .filter(|path| {
                    partner.pending.iter().any(|pending| path == &pending || is_below(path, pending))
                })
                .cloned(),
        );
        for path in told.clone() {
            let mut above = parent(&path);
            while let Some(path) = above {
                above = parent(&path);
                told.insert(path);
            }
        }
        told
    }
}

fn attributes(mode: u32) -> Attributes {
    Attributes { mode, owner: (None, None) }
}

fn never() -> Record {
    Record {
        state: State::Absent,
        attributes: attributes(0o644),
        mtime: FileTime::zero(),
        content: Arc::default(),
        meta: Arc::default(),
    }
}

fn known(left: &Replica, right: &Replica, paths: &BTreeSet<Path>) -> Known {
    let dir = Record { state: State::Directory, ..never() };
    let mut root = Known { pair: Pair { left: dir.clone(), right: dir }, below: BTreeMap::new() };
    for path in paths {
        let record = |side: &Replica| side.history.get(path).cloned().unwrap_or_else(never);
        let mut at = &mut root;
        for element in path.split(|byte| *byte == b'/') {
            at = at.below.entry(Name::new(element).unwrap()).or_insert_with(|| Known {
                pair: Pair { left: never(), right: never() },
                below: BTreeMap::new(),
            });
        }
        at.pair = Pair { left: record(left), right: record(right) };
    }
    root
}

fn prefers(policy: Policy) -> Option<Side> {
    match policy {
        Policy::Prefer(side) => Some(side),
        _ => None,
    }
}

/// A run; what it leaves in the trash is returned.
fn run(left: &mut Replica, right: &mut Replica, policy: Policy, event: &mut u64) -> (Vec<Step>, Vec<Thing>) {
    left.scan(event);
    right.scan(event);
    let all: BTreeSet<Path> = left.history.keys().chain(right.history.keys()).cloned().collect();
    let told = &left.told(right.author) | &right.told(left.author);
    let everything = known(left, right, &all);
    let known = known(left, right, &told);
    let settler = Settler { author: left.author, count: left.generation + 1 };
    let unchanged = |path: &RelPath| left.history.get(path.as_bytes()).cloned();
    let steps = reconcile(&known, settler, prefers(policy), &unchanged, &mut |conflict| {
        check_conflict(conflict.path, conflict.kind, left, right);
        policy.resolve(conflict)
    });
    let of_all = reconcile(&everything, settler, prefers(policy), &unchanged, &mut |conflict| {
        policy.resolve(conflict)
    });
    let matters = |step: &&Step| !is_nothing(step) || is_left(step) || step.before != step.after;
    assert_eq!(
        steps.iter().filter(matters).collect::<Vec<_>>(),
        of_all.iter().filter(matters).collect::<Vec<_>>()
    );
    left.generation += 1;
    let mut trash = Vec::new();
    for side in Side::BOTH {
        let (replica, other) = match side {
            Side::Left => (&mut *left, &*right),
            Side::Right => (&mut *right, &*left),
        };
        trash.extend(apply(replica, side, other, &steps));
    }
    for step in steps.iter().filter(|step| !step.path.is_root()) {
        let open = match step.why {
            Why::Unknown | Why::Conflict(ConflictKind::Content | ConflictKind::Kinds) => continue,
            Why::Conflict(ConflictKind::Attributes) => Some(Of::Attributes),
            _ => None,
        };
        for of in [Of::Content, Of::Attributes].into_iter().filter(|of| Some(*of) != open) {
            let key = (step.path.as_bytes().to_vec(), of);
            let absorbed = |replica: &Replica| replica.absorbed.get(&key).cloned().unwrap_or_default();
            let mut union = &absorbed(left) | &absorbed(right);
            // Who settles something thereby edits it.
            if matches!(
                (&step.why, of),
                (Why::Settled(ConflictKind::Attributes, _), Of::Attributes)
                    | (
                        Why::Settled(ConflictKind::Content | ConflictKind::Kinds, _)
                            | Why::Kept { .. }
                            | Why::CopyOf(_),
                        _
                    )
            ) {
                *event += 1;
                union.insert(*event);
            }
            left.absorbed.insert(key.clone(), union.clone());
            right.absorbed.insert(key, union);
        }
    }
    let pending: BTreeSet<Path> =
        steps.iter().filter(|step| is_left(step)).map(|step| step.path.as_bytes().to_vec()).collect();
    let (here, there) = (left.author, right.author);
    for (replica, other) in [(left, there), (right, here)] {
        let acknowledged = replica.sequence;
        replica.partners.insert(other, Partner { acknowledged, pending: pending.clone() });
    }
    (steps, trash)
}

/// A conflict is one only if neither side knew the other's edits, there or, where kinds differ, below.
fn check_conflict(path: &RelPath, kind: ConflictKind, left: &Replica, right: &Replica) {
    let path = path.as_bytes();
    let concerns = |at: &[u8], of: Of| match kind {
        ConflictKind::Content => at == path && of == Of::Content,
        ConflictKind::Attributes => at == path && of == Of::Attributes,
        ConflictKind::Kinds => at == path || is_below(at, path),
    };
    let news = |of: &Replica, to: &Replica| {
        let mut edits = of.absorbed.iter().filter(|((at, part), _)| concerns(at, *part));
        edits.any(|(key, events)| {
            events.iter().any(|event| !to.absorbed.get(key).is_some_and(|known| known.contains(event)))
        })
    };
    assert!(news(left, right) && news(right, left), "a false conflict");
}

fn apply(replica: &mut Replica, side: Side, other: &Replica, steps: &[Step]) -> Vec<Thing> {
    let mut trash = Vec::new();
    let old = replica.tree.clone();
    for step in steps.iter().filter(|step| !step.path.is_root()) {
        let (before, after) = (step.before.of(side), step.after.of(side));
        let path = step.path.as_bytes().to_vec();
        assert_eq!(old.get(&path).map_or(&State::Absent, |thing| &thing.state), &before.state, "{step:?}");
        if before.state != after.state {
            let from_other = other.tree.values().chain(old.values()).any(|thing| thing.state == after.state);
            assert!(!after.state.is_present() || from_other, "made up: {step:?}");
            trash.extend(replica.tree.remove(&path));
        }
        if after.state.is_present() {
            let (mode, mtime) = (after.attributes.mode, after.mtime.unix_seconds());
            replica.tree.insert(path.clone(), Thing { state: after.state.clone(), mode, mtime });
        }
        replica.note(path, after.clone());
    }
    for path in replica.tree.keys() {
        if let Some(parent) = parent(path) {
            assert!(
                replica.tree.get(&parent).is_some_and(|parent| parent.state.is_directory()),
                "{path:?} hangs in the air: {steps:#?}"
            );
        }
    }
    trash
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0..PLACES.len();
    prop_oneof![
        4 => (at.clone(), 0_u8..6).prop_map(|(at, content)| Edit::Write(at, content)),
        1 => (at.clone(), 0_u8..2).prop_map(|(at, target)| Edit::Link(at, target)),
        4 => at.clone().prop_map(Edit::MakeDir),
        2 => at.clone().prop_map(Edit::Remove),
        1 => (at.clone(), 0_u8..4).prop_map(|(at, mode)| Edit::Chmod(at, mode)),
        1 => (at.clone(), 0_u8..4).prop_map(|(at, time)| Edit::Touch(at, time)),
        2 => (at.clone(), at).prop_map(|(from, to)| Edit::Rename(from, to)),
    ]
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec(edit(), 0..8)
}

fn policy() -> impl Strategy<Value = Policy> {
    prop_oneof![
        Just(Policy::Skip),
        Just(Policy::KeepBoth),
        Just(Policy::Newer),
        Just(Policy::Older),
        Just(Policy::Larger),
        Just(Policy::Smaller),
        Just(Policy::Prefer(Side::Left)),
        Just(Policy::Prefer(Side::Right)),
    ]
}

fn is_left(step: &Step) -> bool {
    matches!(step.why, Why::Conflict(_) | Why::Unknown)
}

/// Whether nothing is done by this step.
fn is_nothing(step: &Step) -> bool {
    Side::BOTH.iter().all(|side| {
        let (before, after) = (step.before.of(*side), step.after.of(*side));
        before.state == after.state
            && (!after.state.is_present()
                || (before.attributes, before.mtime) == (after.attributes, after.mtime))
    })
}

fn check_run(before: [&Replica; 2], after: [&Replica; 2], steps: &[Step], trash: &[Thing], policy: Policy) {
    let left: Vec<&Step> = steps.iter().filter(|step| is_left(step)).collect();
    // 1, 2: convergence but for what is reported.
    let excused = |path: &[u8]| {
        left.iter().any(|step| step.path.as_bytes() == path || is_below(path, step.path.as_bytes()))
    };
    let paths: BTreeSet<&Path> = after[0].tree.keys().chain(after[1].tree.keys()).collect();
    for path in paths {
        assert!(after[0].tree.get(path) == after[1].tree.get(path) || excused(path), "{path:?} differs");
    }
    for step in &left {
        assert!(
            policy != Policy::Prefer(Side::Left),
            "left under a policy that decides everything: {step:?}"
        );
    }
    // 5: nothing is lost.
    let kept = |state: &State| {
        after.iter().any(|replica| replica.tree.values().any(|thing| thing.state == *state))
            || trash.iter().any(|thing| thing.state == *state)
    };
    for replica in before {
        for thing in replica.tree.values() {
            assert!(kept(&thing.state), "lost: {thing:?}");
        }
    }
    // 8: no second thoughts.
    let (mut a, mut b) = (after[0].clone(), after[1].clone());
    let (again, trash) = run(&mut a, &mut b, policy, &mut 1_000_000);
    assert!(
        trash.is_empty() && again.iter().all(is_nothing),
        "{:#?}",
        again.iter().filter(|s| !is_nothing(s)).collect::<Vec<_>>()
    );
    assert_eq!(again.iter().filter(|step| is_left(step)).count(), left.len());
}

/// Content written since the last run and still there is on one of the sides, not in the trash, unless a policy gave
/// one up.
fn check_edits(before: [&Replica; 2], after: [&Replica; 2], steps: &[Step], policy: Policy) {
    if !matches!(policy, Policy::Skip | Policy::KeepBoth) {
        return;
    }
    for (replica, other) in [(before[0], before[1]), (before[1], before[0])] {
        for (path, thing) in &replica.tree {
            let is_edit = replica.history.get(path).is_none_or(|known| known.state != thing.state);
            let somewhere =
                after.iter().any(|after| after.tree.values().any(|there| there.state == thing.state));
            assert!(!is_edit || somewhere, "{path:?} {thing:?} is gone: {steps:#?} {other:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20000, ..ProptestConfig::default() })]

    #[test]
    fn pairs(base in edits(), more in edits(), left in edits(), right in edits(), policy in policy()) {
        let (mut a, mut b, mut event) = (Replica::new(1), Replica::new(2), 0);
        base.iter().chain(&more).zip(0..).for_each(|(edit, now)| a.edit(edit, now));
        run(&mut a, &mut b, Policy::Skip, &mut event);
        prop_assert_eq!(&a.tree, &b.tree);
        left.iter().zip(100..).for_each(|(edit, now)| a.edit(edit, now));
        right.iter().zip(100..).for_each(|(edit, now)| b.edit(edit, now));
        let before = (a.clone(), b.clone());
        let (steps, trash) = run(&mut a, &mut b, policy, &mut event);
        check_run([&before.0, &before.1], [&a, &b], &steps, &trash, policy);
        check_edits([&before.0, &before.1], [&a, &b], &steps, policy);
        // 3: what only one side touched ends as it is there.
        // 9: swapped.
        let (mut c, mut d) = before;
        let swapped = match policy { Policy::Prefer(side) => Policy::Prefer(side.other()), same => same };
        run(&mut d, &mut c, swapped, &mut event);
        prop_assert_eq!((&c.tree, &d.tree), (&a.tree, &b.tree));
    }

    #[test]
    fn first_meetings_remove_nothing(left in edits(), right in edits(), policy in policy()) {
        let (mut a, mut b, mut event) = (Replica::new(1), Replica::new(2), 0);
        left.iter().zip(100..).for_each(|(edit, now)| a.edit(edit, now));
        right.iter().zip(100..).for_each(|(edit, now)| b.edit(edit, now));
        let before = (a.clone(), b.clone());
        let (steps, trash) = run(&mut a, &mut b, policy, &mut event);
        check_run([&before.0, &before.1], [&a, &b], &steps, &trash, policy);
        for path in before.0.tree.keys().chain(before.1.tree.keys()) {
            let settled = |step: &&Step| matches!(step.why, Why::Settled(ConflictKind::Kinds, _)) && (is_below(path, step.path.as_bytes()));
            prop_assert!((a.tree.contains_key(path) && b.tree.contains_key(path)) || steps.iter().any(|step| is_left(step) && (step.path.as_bytes() == path || is_below(path, step.path.as_bytes()))) || steps.iter().find(settled).is_some());
        }
    }

    #[test]
    fn topologies(
        history in prop::collection::vec((0_usize..4, edits(), 0_usize..4, 0_usize..4), 1..14),
        policy in policy(),
    ) {
        let mut replicas: Vec<Replica> = (1..=4).map(Replica::new).collect();
        let mut event = 0;
        for (time, (at, edits, from, to)) in history.into_iter().enumerate() {
            edits.iter().zip(time as i64 * 100..).for_each(|(edit, now)| replicas[at].edit(edit, now));
            if from == to {
                continue;
            }
            let (mut a, mut b) = (replicas[from].clone(), replicas[to].clone());
            let before = (a.clone(), b.clone());
            let (steps, trash) = run(&mut a, &mut b, policy, &mut event);
            check_run([&before.0, &before.1], [&a, &b], &steps, &trash, policy);
            check_edits([&before.0, &before.1], [&a, &b], &steps, policy);
            replicas[from] = a;
            replicas[to] = b;
        }
    }
}
