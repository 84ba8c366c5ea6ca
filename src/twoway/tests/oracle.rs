//! The decision table once more, as simply as it can be said: three trees in, two out. No records, no versions and none
//! of the code that is tested; what comes out must be the same.

use crate::twoway::decide::Side;
use crate::twoway::policy::Policy;
use crate::twoway::record::State;
use crate::twoway::tests::model::{Replica, Thing, Tree, cases, edits, policy};
use crate::twoway::tests::run::Run;
use proptest::prelude::*;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

type Nodes = BTreeMap<String, Node>;

#[derive(Clone, PartialEq, Debug)]
struct Node {
    what: What,
    mode: u32,
    mtime: i64,
    xattrs: u8,
}

#[derive(Clone, PartialEq, Debug)]
enum What {
    File(u8),
    Link(u8),
    Dir(Nodes),
}

use What::{Dir, File, Link};

impl Node {
    fn kind(&self) -> u8 {
        match self.what {
            File(_) => 0,
            Link(_) => 1,
            Dir(_) => 2,
        }
    }

    fn is_dir(&self) -> bool {
        self.kind() == 2
    }

    fn same_content(&self, other: &Node) -> bool {
        (self.is_dir() && other.is_dir()) || self.what == other.what
    }

    fn size(&self) -> Option<u8> {
        if let File(content) = self.what { Some(content) } else { None }
    }

    fn sum(&self) -> [u8; 32] {
        match self.what {
            File(content) => [content; 32],
            Link(target) => *blake3::hash(&[target]).as_bytes(),
            Dir(_) => [0; 32],
        }
    }

    fn child(&self, name: &str) -> Option<&Node> {
        if let Dir(nodes) = &self.what { nodes.get(name) } else { None }
    }
}

/// What becomes of a path: what is there on each side, and a copy of who lost the name.
#[derive(Default)]
struct Merged {
    left: Option<Node>,
    right: Option<Node>,
    copy: Option<(String, Node)>,
}

impl Merged {
    fn both(node: Option<Node>) -> Merged {
        Merged { left: node.clone(), right: node, copy: None }
    }
}

struct Oracle {
    policy: Policy,
    /// Where something is left.
    left: BTreeSet<String>,
}

type Three<'a> = [Option<&'a Node>; 3];

impl Oracle {
    fn merge(&mut self, path: &str, three: Three<'_>) -> Merged {
        let [base, left, right] = three;
        match (left, right) {
            (None, None) => Merged::default(),
            (Some(one), Some(other)) if one.kind() == other.kind() => self.alike(path, base, one, other),
            (Some(one), Some(other)) => self.kinds(path, base, one, other),
            (Some(there), None) => Merged::both(self.one_sided(path, base, there, Side::Left)),
            (None, Some(there)) => Merged::both(self.one_sided(path, base, there, Side::Right)),
        }
    }

    fn alike(&mut self, path: &str, base: Option<&Node>, left: &Node, right: &Node) -> Merged {
        let base_alike = base.filter(|base| base.kind() == left.kind());
        let is_new = |node: &Node| base_alike.is_none_or(|base| !base.same_content(node));
        let (mut one, mut other) = (left.clone(), right.clone());
        if left.same_content(right) {
            one.mtime = left.mtime.max(right.mtime);
            other.mtime = one.mtime;
        } else {
            let from = match (is_new(left), is_new(right)) {
                (true, true) => return self.conflict(path, left, right),
                (true, false) => left,
                _ => right,
            };
            for node in [&mut one, &mut other] {
                node.what = from.what.clone();
                node.mtime = from.mtime;
            }
        }
        if left.mode != right.mode {
            let changed = |node: &Node| base_alike.is_none_or(|base| base.mode != node.mode);
            let mode = match (changed(left), changed(right)) {
                (true, true) => self.modes(path, left, right),
                (true, false) => Some(left.mode),
                _ => Some(right.mode),
            };
            if let Some(mode) = mode {
                one.mode = mode;
                other.mode = mode;
            }
        }
        if left.xattrs != right.xattrs {
            // Who begins with none has changed nothing.
            let changed = |node: &Node| base.map_or(0, |base| base.xattrs) != node.xattrs;
            let is_new = |node: &Node| base_alike.is_none() && node.xattrs > 0;
            let xattrs = match [left, right].map(|node| changed(node) || is_new(node)) {
                [true, true] => self.xattrs(path, left, right),
                [true, false] => Some(left.xattrs),
                _ => Some(right.xattrs),
            };
            if let Some(xattrs) = xattrs {
                one.xattrs = xattrs;
                other.xattrs = xattrs;
            }
        }
        if left.is_dir() {
            let (a, b) = self.below(path, base, Some(left), Some(right));
            one.what = Dir(a);
            other.what = Dir(b);
        }
        Merged { left: Some(one), right: Some(other), copy: None }
    }

    fn modes(&mut self, path: &str, left: &Node, right: &Node) -> Option<u32> {
        if self.policy == Policy::KeepBoth {
            return Some(left.mode & right.mode);
        }
        let winner = self.winner(left, right);
        if winner.is_none() {
            self.left.insert(path.to_owned());
        }
        winner.map(|side| if side == Side::Left { left.mode } else { right.mode })
    }

    fn xattrs(&mut self, path: &str, left: &Node, right: &Node) -> Option<u8> {
        let rank = |node: &Node| (node.is_dir(), node.mtime, node.sum(), node.mode, node.xattrs);
        let winner = match self.policy {
            Policy::KeepBoth if rank(left) < rank(right) => Some(Side::Right),
            Policy::KeepBoth => Some(Side::Left),
            _ => self.winner(left, right),
        };
        if winner.is_none() {
            self.left.insert(path.to_owned());
        }
        winner.map(|side| if side == Side::Left { left.xattrs } else { right.xattrs })
    }

    /// Only one side has something there; returns what both have then.
    fn one_sided(&mut self, path: &str, base: Option<&Node>, there: &Node, side: Side) -> Option<Node> {
        let kept = self.with_survivors(path, base, there, side);
        let Some(base) = base else { return Some(kept) };
        let other_kind = base.kind() != there.kind();
        let (content, mode) = (!base.same_content(there), base.mode != there.mode);
        let edited = content || mode || base.xattrs != there.xattrs;
        let removal_wins = self.policy == Policy::Prefer(side.other()) && !other_kind && !(content && mode);
        let has_survivors = matches!(&kept.what, Dir(nodes) if !nodes.is_empty());
        let stays = other_kind || (edited && !removal_wins) || has_survivors;
        stays.then_some(kept)
    }

    /// What is there on one side only, with what survives in it.
    fn with_survivors(&mut self, path: &str, base: Option<&Node>, there: &Node, side: Side) -> Node {
        let mut kept = there.clone();
        if there.is_dir() {
            let (left, right) = match side {
                Side::Left => (Some(there), None),
                Side::Right => (None, Some(there)),
            };
            kept.what = Dir(self.below(path, base, left, right).0);
        }
        kept
    }

    fn kinds(&mut self, path: &str, base: Option<&Node>, left: &Node, right: &Node) -> Merged {
        let same = |node: &Node| {
            base.is_some_and(|base| {
                base.kind() == node.kind()
                    && base.same_content(node)
                    && (base.mode, base.xattrs) == (node.mode, node.xattrs)
            })
        };
        let (new, old, old_side) = match (same(left), same(right)) {
            (false, true) => (left, right, Side::Right),
            (true, false) => (right, left, Side::Left),
            _ => return self.conflict(path, left, right),
        };
        let rest = self.with_survivors(path, base, old, old_side);
        match rest.what {
            Dir(nodes) if !nodes.is_empty() => self.conflict(path, left, right),
            _ => Merged::both(Some(new.clone())),
        }
    }

    fn winner(&self, left: &Node, right: &Node) -> Option<Side> {
        let order = match self.policy {
            Policy::Prefer(side) => return Some(side),
            Policy::Newer => left.mtime.cmp(&right.mtime),
            Policy::Older => right.mtime.cmp(&left.mtime),
            Policy::Larger => left.size().zip(right.size()).map_or(Ordering::Equal, |(l, r)| l.cmp(&r)),
            Policy::Smaller => left.size().zip(right.size()).map_or(Ordering::Equal, |(l, r)| r.cmp(&l)),
            _ => Ordering::Equal,
        };
        match order {
            Ordering::Equal => None,
            Ordering::Greater => Some(Side::Left),
            Ordering::Less => Some(Side::Right),
        }
    }

    fn conflict(&mut self, path: &str, left: &Node, right: &Node) -> Merged {
        if self.policy == Policy::KeepBoth {
            let rank = |node: &Node| (node.is_dir(), node.mtime, node.sum());
            let (winner, loser) = if rank(left) < rank(right) { (right, left) } else { (left, right) };
            let name = path.rsplit('/').next().unwrap();
            let digits: String = loser.sum()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
            let copy = Some((format!("{name}.conflict-{digits}"), loser.clone()));
            return Merged { copy, ..Merged::both(Some(winner.clone())) };
        }
        match self.winner(left, right) {
            Some(Side::Left) => Merged::both(Some(left.clone())),
            Some(Side::Right) => Merged::both(Some(right.clone())),
            None => {
                self.left.insert(path.to_owned());
                Merged { left: Some(left.clone()), right: Some(right.clone()), copy: None }
            }
        }
    }

    fn below(
        &mut self,
        path: &str,
        base: Option<&Node>,
        left: Option<&Node>,
        right: Option<&Node>,
    ) -> (Nodes, Nodes) {
        let names: BTreeSet<&String> = [base, left, right]
            .into_iter()
            .flatten()
            .filter_map(|node| if let Dir(nodes) = &node.what { Some(nodes.keys()) } else { None })
            .flatten()
            .collect();
        let (mut one, mut other) = (Nodes::new(), Nodes::new());
        for name in names {
            let child = |of: Option<&'_ Node>| of.and_then(|of| of.child(name)).cloned();
            let (base, left, right) = (child(base), child(left), child(right));
            let path = format!("{path}/{name}");
            let merged = self.merge(&path, [base.as_ref(), left.as_ref(), right.as_ref()]);
            one.extend(merged.left.map(|node| (name.clone(), node)));
            other.extend(merged.right.map(|node| (name.clone(), node)));
            one.extend(merged.copy.clone());
            other.extend(merged.copy);
        }
        (one, other)
    }
}

fn nested(tree: &Tree) -> Node {
    let mut root = Node { what: Dir(Nodes::new()), mode: 0, mtime: 0, xattrs: 0 };
    for (path, thing) in tree {
        let what = match &thing.state {
            State::File { sum, .. } => File(sum.0[0]),
            State::Symlink { target } => Link(target[0]),
            State::Directory => Dir(Nodes::new()),
            other => panic!("{other:?}"),
        };
        let path = std::str::from_utf8(path).unwrap();
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut at = &mut root;
        for element in above.split('/').filter(|element| !element.is_empty()) {
            let Dir(nodes) = &mut at.what else { panic!("{path} is below no directory") };
            at = nodes.get_mut(element).unwrap();
        }
        let Dir(nodes) = &mut at.what else { panic!("{path} is below no directory") };
        let Thing { mode, mtime, xattrs, .. } = *thing;
        nodes.insert(name.to_owned(), Node { what, mode, mtime, xattrs });
    }
    root
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn plans_do_what_the_table_says(
        base in edits(),
        more in edits(),
        left in edits(),
        right in edits(),
        policy in policy(),
    ) {
        let (mut a, mut b, mut event) = (Replica::new(1), Replica::new(2), 0);
        a.edit_all(&base, 0);
        a.edit_all(&more, 10);
        Run::new(Policy::Skip).go(&mut a, &mut b, &mut event);
        let base = nested(&a.tree);
        a.edit_all(&left, 100);
        b.edit_all(&right, 100);
        let (left, right) = (nested(&a.tree), nested(&b.tree));
        let outcome = Run::new(policy.clone()).go(&mut a, &mut b, &mut event);
        let mut oracle = Oracle { policy, left: BTreeSet::new() };
        let (one, other) = oracle.below("", Some(&base), Some(&left), Some(&right));
        prop_assert_eq!(nested(&a.tree).what, Dir(one));
        prop_assert_eq!(nested(&b.tree).what, Dir(other));
        let said: BTreeSet<String> =
            outcome.steps.iter().filter(|step| step.is_left()).map(|step| format!("/{}", step.path)).collect();
        prop_assert_eq!(said, oracle.left);
    }
}
