//! A run between two replicas, in the order in which a real one does things, and with an end at any point.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::facet::Facet;
use crate::twoway::policy::{Conflict, ConflictKind, Policy, Resolution, Resolver};
use crate::twoway::reconcile::{Change, Elsewhere, Pair, Rules, Settler, Step, Why, reconcile};
use crate::twoway::record::{Record, State};
use crate::twoway::tests::model::*;
use crate::twoway::tests::{checks, stretches};
use std::collections::BTreeSet;

/// How a run goes.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) policy: Policy,
    pub(super) filter: Filter,
    /// How many things each side does before it ends.
    pub(super) until: [usize; 2],
    /// Whether conflicts are judged by the edit events.
    pub(super) judged: bool,
    /// Whether extended attributes are synchronised.
    pub(super) xattrs: bool,
}

/// What came of a run.
pub(super) struct Outcome {
    pub(super) steps: Vec<Step>,
    pub(super) trash: Vec<Thing>,
    /// Both after their scan.
    pub(super) scanned: [Replica; 2],
    /// How many things each side had to do.
    pub(super) length: [usize; 2],
}

/// One thing that a side does; the process may end after any of them.
enum Act {
    /// To the tree.
    Do(Box<Step>, Absorbed, bool),
    /// Records in one transaction, with what they have absorbed.
    Record(Vec<(Path, Record, Absorbed)>),
    Intend(Vec<(Path, Record, Absorbed)>),
}

struct Asked<'a> {
    policy: Policy,
    judge: Option<(&'a Replica, &'a Replica)>,
    xattrs: bool,
}

impl Resolver for Asked<'_> {
    fn resolve(&mut self, conflict: &Conflict<'_>) -> Resolution {
        if let Some((left, right)) = self.judge {
            checks::conflict(conflict.path, conflict.kind, left, right, self.xattrs);
        }
        self.policy.resolve(conflict)
    }

    fn removals_win(&self, _: &RelPath) -> Option<Side> {
        self.policy.removals_win()
    }
}

impl Run {
    pub(super) fn new(policy: Policy) -> Run {
        Run { policy, filter: None, until: [usize::MAX; 2], judged: true, xattrs: true }
    }

    pub(super) fn filtered(self, filter: Filter) -> Run {
        Run { filter, ..self }
    }

    pub(super) fn with_xattrs(self, xattrs: bool) -> Run {
        Run { xattrs, ..self }
    }

    /// Runs, and remembers it under this number, which no other run has.
    pub(super) fn go(&self, left: &mut Replica, right: &mut Replica, event: &mut u64) -> Outcome {
        left.scan(self.filter, self.xattrs, event);
        right.scan(self.filter, self.xattrs, event);
        left.database.agree(&mut right.database, event);
        let steps = self.plan(left, right);
        *event += 1;
        left.database.count_on(*event);
        // The other's records will have this generation: it must know its tag, too.
        left.database.agree(&mut right.database, event);
        let absorbed: Vec<Absorbed> =
            steps.iter().map(|step| absorbed(step, left, right, self.xattrs, event)).collect();
        *event += 1;
        let (was_left, was_right) = (left.clone(), right.clone());
        let (mut trash, mut length) = (Vec::new(), [0; 2]);
        let all = Side::BOTH.map(|side| acts(side, &steps, &absorbed, self.xattrs));
        let until = self.until_with_barrier(&all);
        for ((side, replica, other), acts) in
            [(Side::Left, &mut *left, &was_right), (Side::Right, &mut *right, &was_left)].into_iter().zip(all)
        {
            let n = side as usize;
            length[n] = acts.len();
            let old = replica.tree.clone();
            for act in acts.into_iter().take(until[n]) {
                trash.extend(perform(act, side, replica, [&other.tree, &old]));
            }
            checks::hangs_together(replica, &steps);
        }
        if (0..2).all(|n| self.until[n] >= length[n]) {
            self.acknowledge(
                left,
                right,
                &steps,
                *event,
                [self.until[0] > length[0], self.until[1] > length[1]],
            );
        }
        Outcome { steps, trash, scanned: [was_left, was_right], length }
    }

    /// How far each side comes. Neither installs anything before both have recorded what needs no installation: else
    /// the other's share of a decision about a whole directory could be lost while its top was carried out here.
    fn until_with_barrier(&self, acts: &[Vec<Act>; 2]) -> [usize; 2] {
        let prepared = [0, 1].map(|n| {
            let acts = &acts[n];
            acts.iter().position(|act| matches!(act, Act::Intend(_))).map_or(acts.len(), |at| at + 1)
        });
        let is_ready = (0..2).all(|n| self.until[n] >= prepared[n]);
        [0, 1].map(|n| if is_ready { self.until[n] } else { self.until[n].min(prepared[n]) })
    }

    fn plan(&self, left: &Replica, right: &Replica) -> Vec<Step> {
        let all: BTreeSet<Path> =
            left.database.history.keys().chain(right.database.history.keys()).cloned().collect();
        let mut all: BTreeSet<Path> = &(&all | &left.unknown) | &right.unknown;
        all.retain(|path| !is_ignored(path, self.filter));
        let told = match self.is_continued(left, right) {
            true => &left.told(right, self.filter) | &right.told(left, self.filter),
            false => all.clone(),
        };
        let plan = |paths: &BTreeSet<Path>, judge| {
            let known = |path: &RelPath| Pair {
                left: left.record(path.as_bytes()),
                right: right.record(path.as_bytes()),
            };
            let elsewhere = |path: &RelPath| match known(path) {
                _ if is_ignored(path.as_bytes(), self.filter) => Elsewhere::Excluded,
                Pair { left, right } if left == right => Elsewhere::Unchanged(Some(left)),
                pair => Elsewhere::Changed(pair),
            };
            let settler = Settler { author: left.author(), count: left.database.generation + 1 };
            let mut resolver = Asked { policy: self.policy.clone(), judge, xattrs: self.xattrs };
            let shared = shared(self.xattrs);
            let rules = Rules { settler, resolver: &mut resolver, elsewhere: &elsewhere, shared };
            let mut steps = Vec::new();
            let mut paths: Vec<RelPath> = paths.iter().map(|path| rel(path)).collect();
            paths.sort_by(RelPath::walk_order);
            let paths = paths.into_iter().map(|path| (path.clone(), known(&path)));
            reconcile(paths, rules, &mut |step| steps.push(step)).unwrap();
            steps
        };
        let steps = plan(&told, self.judged.then_some((left, right)));
        assert_eq!(steps, plan(&all, None), "what was not told matters");
        if !self.is_continued(left, right) {
            let what = (self.filter, self.xattrs);
            stretches::check([left, right], what, &steps, &|paths| plan(paths, None));
        }
        steps
    }

    /// Whether both remember the same last run, with the same filter.
    fn is_continued(&self, left: &Replica, right: &Replica) -> bool {
        let last = |of: &Replica, with: &Replica| {
            of.database
                .partners
                .get(&with.author())
                .map(|partner| (partner.run, partner.filter, partner.xattrs))
        };
        let is_same = |(_, filter, xattrs)| filter == self.filter && xattrs == self.xattrs;
        last(left, right).is_some_and(is_same) && last(left, right) == last(right, left)
    }

    fn acknowledge(
        &self,
        left: &mut Replica,
        right: &mut Replica,
        steps: &[Step],
        run: u64,
        really: [bool; 2],
    ) {
        let pending: BTreeSet<Path> =
            steps.iter().filter(|step| step.is_left()).map(|step| step.path.as_bytes().to_vec()).collect();
        let (here, there) =
            ((left.author(), left.database.sequence), (right.author(), right.database.sequence));
        for (replica, (other, seen), really) in [(left, there, really[0]), (right, here, really[1])] {
            if really {
                let (filter, xattrs) = (self.filter, self.xattrs);
                let partner = Partner { seen, pending: pending.clone(), filter, xattrs, run };
                replica.database.partners.insert(other, partner);
            }
        }
    }
}

impl Replica {
    /// What another has to be told.
    fn told(&self, other: &Replica, filter: Filter) -> BTreeSet<Path> {
        let seen = other.database.partners.get(&self.author()).map_or(0, |partner| partner.seen);
        let pending = self.database.partners.get(&other.author()).map(|partner| &partner.pending);
        let is_pending = |path: &Path| {
            pending.into_iter().flatten().any(|pending| path == pending || is_below(path, pending))
        };
        let changed = self.database.changed.iter().filter(|(_, at)| **at > seen).map(|(path, _)| path);
        let mut told: BTreeSet<Path> = changed.cloned().collect();
        told.extend(self.database.history.keys().filter(|path| is_pending(path)).cloned());
        told.extend(self.unknown.iter().cloned());
        for path in told.clone() {
            let mut above = parent(&path);
            while let Some(path) = above {
                above = parent(&path);
                told.insert(path);
            }
        }
        told.retain(|path| !is_ignored(path, filter));
        told
    }
}

/// What a step's path will have absorbed on either side.
fn absorbed(step: &Step, left: &Replica, right: &Replica, xattrs: bool, event: &mut u64) -> Absorbed {
    match step.why {
        Why::Unknown
        | Why::Conflict(ConflictKind::Content | ConflictKind::Kinds | ConflictKind::Occupied) => {
            return Absorbed::new();
        }
        _ => {}
    }
    let mut all = Absorbed::new();
    for of in [Of::Content, Of::Attributes, Of::Xattrs] {
        // Of what is about attributes, the versions tell which of them.
        let version = |record: &Record| match of {
            Of::Content => Some(record.content.clone()),
            Of::Attributes => Some(record.meta.clone()),
            Of::Xattrs => record.extended.get(Facet::Xattrs).map(|register| register.version.clone()),
        };
        let is_same = |left: &Record, right: &Record| match of {
            Of::Content => true,
            Of::Attributes => left.attributes == right.attributes,
            Of::Xattrs => left.extended == right.extended,
        };
        let (before, after) = (&step.before, &step.after);
        let is_open = step.why == Why::Conflict(ConflictKind::Attributes)
            && (version(&after.left) != version(&after.right) || !is_same(&after.left, &after.right));
        if is_open || (of == Of::Xattrs && !xattrs) {
            continue;
        }
        let key = (step.path.as_bytes().to_vec(), of);
        let mut union = &left.events(&key) | &right.events(&key);
        // Who settles something thereby edits it.
        let settles = match step.why {
            Why::Settled(ConflictKind::Attributes, _) => {
                let both = [&before.left, &before.right].map(|record| version(record).unwrap_or_default());
                version(&after.left).is_some_and(|version| !both[0].joined(&both[1]).covers(&version))
            }
            Why::Settled(..) | Why::Kept { .. } | Why::CopyOf { .. } => true,
            Why::Clear | Why::Conflict(_) | Why::Unknown | Why::Unplanned => false,
        };
        if settles {
            *event += 1;
            union.insert(*event);
        }
        all.insert(key, union);
    }
    all
}

/// What a side does, in order.
fn acts(side: Side, steps: &[Step], absorbed: &[Absorbed], xattrs: bool) -> Vec<Act> {
    let recorded = |(step, absorbed): &(&Step, &Absorbed)| {
        let (path, after) = (step.path.as_bytes().to_vec(), step.after.of(side).clone());
        let mut absorbed = Absorbed::clone(absorbed);
        if after.extended.get(Facet::Xattrs).is_none() {
            absorbed.insert((path.clone(), Of::Xattrs), BTreeSet::new());
        }
        (path, after, absorbed)
    };
    let done = |step: &(&Step, &Absorbed)| {
        [Act::Do(Box::new(step.0.clone()), recorded(step).2, xattrs), Act::Record(vec![recorded(step)])]
    };
    let steps = steps.iter().zip(absorbed).filter(|(step, _)| !step.path.is_root());
    let (copies, rest): (Vec<_>, Vec<_>) =
        steps.partition(|(step, _)| matches!(step.why, Why::CopyOf { .. }));
    let (ops, notes): (Vec<_>, Vec<_>) = rest.into_iter().partition(|(step, _)| step.change(side).is_some());
    let (mut removals, makes): (Vec<_>, Vec<_>) = ops
        .iter()
        .copied()
        .partition(|(step, _)| matches!(step.change(side), Some(Change::Remove | Change::Empty)));
    removals.sort_by(|(one, _), (other, _)| other.path.walk_order(&one.path));
    let mut makes = makes;
    makes.sort_by(|(one, _), (other, _)| one.path.walk_order(&other.path));
    let left_alone = |(step, _): &&(&Step, &Absorbed)| step.before.of(side) != step.after.of(side);
    let mut acts: Vec<Act> = copies.iter().flat_map(done).collect();
    acts.push(Act::Record(notes.iter().filter(left_alone).map(recorded).collect()));
    acts.push(Act::Intend(ops.iter().map(recorded).collect()));
    acts.extend(makes.iter().flat_map(done));
    acts.extend(removals.iter().flat_map(done));
    acts
}

/// Does one thing, and returns what it put into the trash.
fn perform(act: Act, side: Side, replica: &mut Replica, known: [&Tree; 2]) -> Vec<Thing> {
    match act {
        Act::Do(step, absorbed, xattrs) => {
            let after = step.after.of(side);
            let trash = change(&step, side, replica, known, xattrs);
            let path = step.path.as_bytes().to_vec();
            let keeps_own = after.extended.get(Facet::Xattrs).is_some();
            let was = replica.last.get(&path).filter(|_| keeps_own).map_or(0, |last| last.2);
            let there = replica.tree.get(&path).filter(|_| xattrs).map_or(was, |there| there.xattrs);
            let now = (after.state.clone(), after.attributes.mode, there);
            replica.last.insert(path, now);
            replica.absorbed.extend(absorbed);
            return trash;
        }
        Act::Intend(intents) => {
            replica.database.intents =
                intents.into_iter().map(|(path, record, absorbed)| (path, (record, absorbed))).collect();
        }
        Act::Record(records) => {
            for (path, record, absorbed) in records {
                replica.database.intents.remove(&path);
                replica.database.note(path, record);
                replica.absorbed.extend(absorbed);
            }
        }
    }
    Vec::new()
}

fn change(step: &Step, side: Side, replica: &mut Replica, known: [&Tree; 2], shares: bool) -> Vec<Thing> {
    let (before, after) = (step.before.of(side), step.after.of(side));
    let path = step.path.as_bytes().to_vec();
    let [_, old] = known;
    let was = old.get(&path);
    let is_as_told = match (&before.state, was) {
        (State::Absent, was) => was.is_none() || before.occupied,
        (state, Some(was)) => was.state == *state,
        _ => false,
    };
    assert!(is_as_told, "{was:?} was not told: {step:?}");
    if step.change(side) == Some(Change::Empty) {
        return Vec::new();
    }
    let mut trash = Vec::new();
    let renewed = before.state != after.state;
    if renewed && after.state.is_present() {
        let is_somewhere = known.iter().any(|tree| tree.values().any(|thing| thing.state == after.state));
        assert!(is_somewhere || before.occupied, "made up: {step:?}");
    }
    if renewed && before.state.is_present() {
        let below = replica.tree.keys().any(|there| is_below(there, &path));
        assert!(!below || after.state.is_present(), "a directory goes that is not empty: {step:?}");
        for (below, last) in &mut replica.last {
            if is_below(below, &path) {
                last.0 = State::Absent;
            }
        }
        trash.extend(replica.remove(&path));
    }
    if after.state.is_present() {
        let (mode, mtime) = (after.attributes.mode, after.mtime.unix_seconds());
        // What takes no part stays with what has the name.
        let own = was.filter(|was| was.state.is_like(&after.state)).map_or(0, |was| was.xattrs);
        let planned = after.extended.get(Facet::Xattrs).and_then(|register| register.sum);
        let xattrs = if shares { planned.map_or(0, |sum| sum.0[0]) } else { own };
        let thing = Thing { state: after.state.clone(), mode, mtime, xattrs, unreadable: false };
        replica.tree.insert(path, thing);
    }
    trash
}
