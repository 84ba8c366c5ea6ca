//! The decision table as simply as it can be said: three trees in, two out. Trees are maps; there are no records, no
//! versions and nothing of dsync's own code.

use crate::support::xattr;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// What is in a directory, by name.
pub(super) type Nodes = BTreeMap<String, Node>;

/// What is at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Node {
    pub(super) what: What,
    /// Permission bits; 0 for a symbolic link.
    pub(super) mode: u32,
    /// Nanoseconds since 1970.
    pub(super) mtime: i64,
    pub(super) marks: Marks,
}

/// Attributes that each are decided apart: whom an ACL lets in, and an extended attribute; 0 for none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Marks(pub(super) [u8; 2]);

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    File(Vec<u8>),
    Link(Vec<u8>),
    Dir(Nodes),
}

use What::{Dir, File, Link};

/// One of the two sides.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Left,
    Right,
}

/// What a run should come to.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) left: Node,
    pub(super) right: Node,
    /// The paths where something is left as it was.
    pub(super) conflicts: BTreeSet<String>,
}

/// What should become of two trees that were both `base` once, by a `--conflict` policy.
pub(super) fn expected(policy: &str, base: &Node, left: &Node, right: &Node) -> Expected {
    let mut table = Table { policy, conflicts: BTreeSet::new() };
    let merged = table.merge("", [Some(base), Some(left), Some(right)]);
    let there = |node: Option<Node>| node.expect("a root stays");
    Expected { left: there(merged.left), right: there(merged.right), conflicts: table.conflicts }
}

impl Node {
    /// A directory with nothing in it.
    pub(super) fn empty() -> Node {
        Node { what: Dir(Nodes::new()), mode: 0o755, mtime: 0, marks: Marks::default() }
    }

    pub(super) fn is_dir(&self) -> bool {
        matches!(self.what, Dir(_))
    }

    /// All that is below it, by path.
    pub(super) fn below(&self) -> BTreeMap<String, &Node> {
        let mut found = BTreeMap::new();
        self.gather("", &mut found);
        found
    }

    fn gather<'a>(&'a self, path: &str, found: &mut BTreeMap<String, &'a Node>) {
        if let Dir(nodes) = &self.what {
            for (name, node) in nodes {
                let path = join(path, name);
                node.gather(&path, found);
                found.insert(path, node);
            }
        }
    }

    fn kind(&self) -> u8 {
        match self.what {
            File(_) => 0,
            Link(_) => 1,
            Dir(_) => 2,
        }
    }

    pub(super) fn same_content(&self, other: &Node) -> bool {
        (self.is_dir() && other.is_dir()) || self.what == other.what
    }

    fn size(&self) -> Option<usize> {
        if let File(content) = &self.what { Some(content.len()) } else { None }
    }

    fn sum(&self) -> [u8; 32] {
        match &self.what {
            File(content) | Link(content) => *blake3::hash(content).as_bytes(),
            Dir(_) => [0; 32],
        }
    }

    fn child(&self, name: &str) -> Option<&Node> {
        if let Dir(nodes) = &self.what { nodes.get(name) } else { None }
    }
}

impl Marks {
    /// The extended attribute, with its name.
    pub(super) const NAME: &str = "user.mark";

    /// An ACL that lets this user in, on what has this mode.
    pub(super) fn acl(user: u8, mode: u32) -> Vec<u8> {
        xattr::acl(mode, 4, &[(u32::from(user), 7)], &[])
    }

    /// What records have of them.
    fn sums(self) -> [Option<[u8; 16]>; 2] {
        let sum = |purpose: &str, name: &str, value: &[u8]| {
            let mut hasher = blake3::Hasher::new_derive_key(purpose);
            for text in [name.as_bytes(), value] {
                hasher.update(&(text.len() as u64).to_le_bytes());
                hasher.update(text);
            }
            let mut sum = [0; 16];
            hasher.finalize_xof().fill(&mut sum);
            sum
        };
        let [acl, mark] = self.0;
        let acls = "dsync 2026 access control lists of an entry";
        let xattrs = "dsync 2026 extended attributes of an entry";
        [
            (acl > 0).then(|| sum(acls, "access", &Marks::acl(acl, 0))),
            (mark > 0).then(|| sum(xattrs, Marks::NAME, &[mark])),
        ]
    }
}

pub(super) fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
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

struct Table<'a> {
    policy: &'a str,
    conflicts: BTreeSet<String>,
}

impl Table<'_> {
    fn merge(&mut self, path: &str, [base, left, right]: [Option<&Node>; 3]) -> Merged {
        match (left, right) {
            (None, None) => Merged::default(),
            (Some(one), Some(other)) if one.kind() == other.kind() => self.alike(path, base, one, other),
            (Some(one), Some(other)) => self.kinds(path, base, one, other),
            (Some(there), None) => Merged::both(self.one_sided(path, base, there, Side::Left)),
            (None, Some(there)) => Merged::both(self.one_sided(path, base, there, Side::Right)),
        }
    }

    /// Rows 1 to 6, 9 to 14 and 19: the same kind of thing on both sides.
    fn alike(&mut self, path: &str, base: Option<&Node>, left: &Node, right: &Node) -> Merged {
        let marked = base.map_or(Marks::default(), |base| base.marks);
        let base = base.filter(|base| base.kind() == left.kind());
        let is_new = |node: &Node| base.is_none_or(|base| !base.same_content(node));
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
            let changed = |node: &Node| base.is_none_or(|base| base.mode != node.mode);
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
        for n in 0..2 {
            let [own, theirs] = [left, right].map(|node| node.marks.0[n]);
            // Who begins with none has changed nothing; what is made anew with some has.
            let changed = |mark: u8| marked.0[n] != mark || (base.is_none() && mark > 0);
            let mark = match (changed(own), changed(theirs)) {
                _ if own == theirs => continue,
                (true, true) => match self.marked(path, left, right) {
                    Some(Side::Left) => own,
                    Some(Side::Right) => theirs,
                    None => continue,
                },
                (true, false) => own,
                _ => theirs,
            };
            one.marks.0[n] = mark;
            other.marks.0[n] = mark;
        }
        if left.is_dir() {
            let (a, b) = self.contents(path, base, Some(left), Some(right));
            one.what = Dir(a);
            other.what = Dir(b);
        }
        Merged { left: Some(one), right: Some(other), copy: None }
    }

    /// Row 10.
    fn modes(&mut self, path: &str, left: &Node, right: &Node) -> Option<u32> {
        if self.policy == "keep-both" {
            return Some(left.mode & right.mode);
        }
        let winner = self.winner(left, right);
        if winner.is_none() {
            self.conflicts.insert(path.to_owned());
        }
        winner.map(|side| if side == Side::Left { left.mode } else { right.mode })
    }

    /// Row 10, for attributes that cannot be put together.
    fn marked(&mut self, path: &str, left: &Node, right: &Node) -> Option<Side> {
        let rank = |node: &Node| (node.is_dir(), node.mtime, node.sum(), node.mode, node.marks.sums());
        let winner = match self.policy {
            "keep-both" if rank(left) < rank(right) => Some(Side::Right),
            "keep-both" => Some(Side::Left),
            _ => self.winner(left, right),
        };
        if winner.is_none() {
            self.conflicts.insert(path.to_owned());
        }
        winner
    }

    /// Rows 3, 4, 7, 8, 17, 20 and 21: something is on one side only. Returns what both have then.
    fn one_sided(&mut self, path: &str, base: Option<&Node>, there: &Node, side: Side) -> Option<Node> {
        let kept = self.with_survivors(path, base, there, side);
        let Some(base) = base else { return Some(kept) };
        let other_kind = base.kind() != there.kind();
        let (content, mode) = (!base.same_content(there), base.mode != there.mode);
        let edited = content || mode || base.marks != there.marks;
        let remover = if side == Side::Left { "remote" } else { "local" };
        let removal_wins = self.policy == remover && !other_kind && !(content && mode);
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
            kept.what = Dir(self.contents(path, base, left, right).0);
        }
        kept
    }

    /// Rows 15, 16, 18 and 22: two kinds of things.
    fn kinds(&mut self, path: &str, base: Option<&Node>, left: &Node, right: &Node) -> Merged {
        let same = |node: &Node| {
            base.is_some_and(|base| {
                base.kind() == node.kind()
                    && base.same_content(node)
                    && (base.mode, base.marks) == (node.mode, node.marks)
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
        let sizes = || left.size().zip(right.size()).map_or(Ordering::Equal, |(l, r)| l.cmp(&r));
        let order = match self.policy {
            "local" => Ordering::Greater,
            "remote" => Ordering::Less,
            "newer" => left.mtime.cmp(&right.mtime),
            "older" => right.mtime.cmp(&left.mtime),
            "larger" => sizes(),
            "smaller" => sizes().reverse(),
            _ => Ordering::Equal,
        };
        match order {
            Ordering::Equal => None,
            Ordering::Greater => Some(Side::Left),
            Ordering::Less => Some(Side::Right),
        }
    }

    fn conflict(&mut self, path: &str, left: &Node, right: &Node) -> Merged {
        if self.policy == "keep-both" {
            let rank = |node: &Node| (node.is_dir(), node.mtime, node.sum(), node.mode);
            let (winner, loser) = if rank(left) < rank(right) { (right, left) } else { (left, right) };
            let copy = Some((copy_name(path, loser), loser.clone()));
            return Merged { copy, ..Merged::both(Some(winner.clone())) };
        }
        match self.winner(left, right) {
            Some(Side::Left) => Merged::both(Some(left.clone())),
            Some(Side::Right) => Merged::both(Some(right.clone())),
            None => {
                self.conflicts.insert(path.to_owned());
                Merged { left: Some(left.clone()), right: Some(right.clone()), copy: None }
            }
        }
    }

    /// What both sides have in a directory.
    fn contents(
        &mut self,
        path: &str,
        base: Option<&Node>,
        left: Option<&Node>,
        right: Option<&Node>,
    ) -> (Nodes, Nodes) {
        let three = [base, left, right];
        let names = three.into_iter().flatten().filter_map(|node| match &node.what {
            Dir(nodes) => Some(nodes.keys()),
            _ => None,
        });
        let names: BTreeSet<&String> = names.flatten().collect();
        let (mut one, mut other) = (Nodes::new(), Nodes::new());
        for name in names {
            let merged =
                self.merge(&join(path, name), three.map(|node| node.and_then(|node| node.child(name))));
            one.extend(merged.left.map(|node| (name.clone(), node)));
            other.extend(merged.right.map(|node| (name.clone(), node)));
            one.extend(merged.copy.clone());
            other.extend(merged.copy);
        }
        (one, other)
    }
}

/// What the loser of the name at `path` is called.
fn copy_name(path: &str, loser: &Node) -> String {
    let name = path.rsplit('/').next().unwrap();
    let digits: String = loser.sum()[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => format!("{stem}.conflict-{digits}.{extension}"),
        _ => format!("{name}.conflict-{digits}"),
    }
}

/// The same with everything dated alike.
pub(super) fn undated(node: &Node) -> Node {
    changed(node, &|_| 0)
}

/// The same with all directories dated alike.
pub(super) fn undated_directories(node: &Node) -> Node {
    changed(node, &|node| if node.is_dir() { 0 } else { node.mtime })
}

fn changed(node: &Node, mtime: &impl Fn(&Node) -> i64) -> Node {
    let what = match &node.what {
        Dir(nodes) => Dir(nodes.iter().map(|(name, node)| (name.clone(), changed(node, mtime))).collect()),
        same => same.clone(),
    };
    Node { what, mtime: mtime(node), ..*node }
}

/// What is on two sides that is not as expected.
pub(super) fn difference(found: [&Node; 2], expected: [&Node; 2]) -> String {
    let mut lines = Vec::new();
    for (side, (found, expected)) in ["left", "right"].iter().zip(found.into_iter().zip(expected)) {
        let (found, expected) = (found.below(), expected.below());
        let paths: BTreeSet<&String> = found.keys().chain(expected.keys()).collect();
        for path in paths {
            let shown = |node: Option<&&Node>| {
                node.map_or("nothing".to_owned(), |node| match &node.what {
                    File(content) => {
                        let text: String = String::from_utf8_lossy(content).chars().take(20).collect();
                        format!("file {text:?} {:o} {} {:?}", node.mode, node.mtime, node.marks)
                    }
                    Link(target) => format!("link {} {}", String::from_utf8_lossy(target), node.mtime),
                    Dir(_) => format!("directory {:o} {} {:?}", node.mode, node.mtime, node.marks),
                })
            };
            let [found, expected] = [shown(found.get(path)), shown(expected.get(path))];
            if found != expected {
                lines.push(format!("{side} {path}: {found} instead of {expected}"));
            }
        }
    }
    lines.join("\n")
}
