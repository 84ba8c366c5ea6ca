//! Paths chosen beforehand, of which a view shows nothing else.
//!
//! There may be millions, so they are kept as bytes in one buffer, in the order of a walk: what is below a directory is
//! then one stretch, which is found, and stepped over, by bisection.

use crate::tree::{Name, RelPath, below, walk_order};
use std::cmp::Ordering;
use std::ops::Range;

/// A set of paths below a root, each with how much of it is meant.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    bytes: Vec<u8>,
    /// In the order of a walk.
    paths: Vec<Chosen>,
}

/// Where a path is in the bytes.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    start: usize,
    len: u32,
    extent: Extent,
    leads: bool,
}

/// How much of what is at a path is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Extent {
    /// The entry.
    Entry,
    /// The entry, and if it is a directory, the entries of that.
    Layer,
    /// The entry and all below it.
    All,
}

/// What is meant of an entry whose very path is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meant {
    /// How much.
    pub extent: Extent,
    /// Whether the path was said as a directory's, with a slash at its end, so that a symbolic link stands for what it
    /// leads to.
    pub leads: bool,
}

impl Selection {
    /// These paths, in any order; in that of a walk they need no sorting.
    pub fn new(paths: impl Iterator<Item = RelPath>) -> Selection {
        let entry = Meant { extent: Extent::Entry, leads: false };
        Selection::of(paths.map(|path| (path, entry)))
    }

    /// The same, each with what is meant of it.
    pub fn of(paths: impl Iterator<Item = (RelPath, Meant)>) -> Selection {
        let mut selection = Selection::default();
        paths.for_each(|(path, meant)| selection.add(&path, meant));
        selection.sort();
        selection
    }

    /// Adds a path, which counts when the selection is [sorted](Selection::sort).
    pub(super) fn add(&mut self, path: &RelPath, Meant { extent, leads }: Meant) {
        // No system has longer paths.
        let Ok(len) = u32::try_from(path.as_bytes().len()) else { return };
        self.paths.push(Chosen { start: self.bytes.len(), len, extent, leads });
        self.bytes.extend_from_slice(path.as_bytes());
    }

    /// Brings the paths into their order.
    pub(super) fn sort(&mut self) {
        let Selection { bytes, paths } = self;
        let bytes_of = |path: &Chosen| bytes.get(path.range()).unwrap_or_default();
        paths.sort_by(|one, other| walk_order(bytes_of(one), bytes_of(other)));
    }

    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The path that is selected, if it is only one.
    pub fn only(&self) -> Option<(RelPath, Meant)> {
        let [only] = self.paths.as_slice() else { return None };
        let meant = Meant { extent: only.extent, leads: only.leads };
        Some((RelPath::new(self.bytes_of(only)).ok()?, meant))
    }

    /// What is meant of a path, and whether something below it is selected.
    pub fn at(&self, path: &RelPath) -> (Option<Meant>, bool) {
        let (meant, rest) = self.split_itself(path);
        (meant, rest.first().is_some_and(|next| below(self.bytes_of(next), path).is_some()))
    }

    /// The names in a directory under which something is selected, in order.
    pub fn names(&self, dir: &RelPath) -> Vec<Selected> {
        let mut names = Vec::new();
        // The directory may be selected itself.
        let (_, mut rest) = self.split_itself(dir);
        while let Some(first) = rest.first().and_then(|path| below(self.bytes_of(path), dir)) {
            let element = first.split(|&b| b == b'/').next().unwrap_or_default();
            // Elements of paths are valid names.
            let Ok(name) = Name::new(element) else { break };
            let has_name = |path: &Chosen| {
                let path = below(self.bytes_of(path), dir).unwrap_or_default();
                path.strip_prefix(element).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
            };
            let is_alone = !rest.get(1).is_some_and(has_name);
            let count = if is_alone { 1 } else { rest.partition_point(has_name).max(1) };
            let (these, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let is_itself = |path: &&Chosen| below(self.bytes_of(path), dir) == Some(element);
            let itself = meant(these.iter().take_while(is_itself));
            let last = these.last().and_then(|path| below(self.bytes_of(path), dir)).unwrap_or_default();
            names.push(Selected { itself, below: last != element, name });
            rest = after;
        }
        names
    }

    /// The paths that are selected below a path.
    pub fn below<'s>(&'s self, dir: &'s RelPath) -> impl Iterator<Item = RelPath> + 's {
        let (_, rest) = self.split_itself(dir);
        let below = rest.iter().map(|path| self.bytes_of(path)).take_while(|path| below(path, dir).is_some());
        below.filter_map(|path| RelPath::new(path).ok())
    }

    /// The paths of which more is selected than the entry.
    pub(super) fn wholes(&self) -> impl Iterator<Item = RelPath> {
        let wholes = self.paths.iter().filter(|path| path.extent != Extent::Entry);
        wholes.filter_map(|path| RelPath::new(self.bytes_of(path)).ok())
    }

    /// What is meant of a path, and what comes after it.
    fn split_itself(&self, path: &RelPath) -> (Option<Meant>, &[Chosen]) {
        let from = self.from(path);
        let count = from.iter().take_while(|other| self.bytes_of(other) == path.as_bytes()).count();
        let (these, after) = from.split_at_checked(count).unwrap_or((from, &[]));
        (meant(these.iter()), after)
    }

    /// From a path on, or from where it would be.
    fn from(&self, path: &RelPath) -> &[Chosen] {
        let is_before = |other: &Chosen| walk_order(self.bytes_of(other), path.as_bytes()) == Ordering::Less;
        let first = self.paths.partition_point(is_before);
        self.paths.get(first..).unwrap_or_default()
    }

    fn bytes_of(&self, path: &Chosen) -> &[u8] {
        self.bytes.get(path.range()).unwrap_or_default()
    }
}

impl Chosen {
    fn range(&self) -> Range<usize> {
        self.start..self.start.saturating_add(self.len as usize)
    }
}

/// What is meant of a path that was selected in these ways.
fn meant<'c>(chosen: impl Iterator<Item = &'c Chosen>) -> Option<Meant> {
    chosen.fold(None, |meant: Option<Meant>, Chosen { extent, leads, .. }| {
        let (so_far, led) = meant.map_or((*extent, false), |meant| (meant.extent, meant.leads));
        Some(Meant { extent: so_far.max(*extent), leads: led || *leads })
    })
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// It.
    pub name: Name,
    /// What is meant of it, if its very path is selected.
    pub itself: Option<Meant>,
    /// Whether something below it is.
    pub below: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn names(selection: &Selection, dir: &str) -> Vec<(String, bool, bool)> {
        let names = selection.names(&path(dir)).into_iter();
        names.map(|Selected { name, itself, below }| (name.to_string(), itself.is_some(), below)).collect()
    }

    #[test]
    fn each_name_is_there_once_whatever_is_below_it() {
        let paths = ["a/b/c", "a", "a-b", "a/b/d", "a/bc", "z/y", "a"].map(path);
        let selection = Selection::new(paths.into_iter());
        let name = |name: &str, itself, below| (name.to_owned(), itself, below);
        let (a, a_b, z) = (name("a", true, true), name("a-b", true, false), name("z", false, true));
        assert_eq!(names(&selection, ""), [a, a_b, z]);
        assert_eq!(names(&selection, "a"), [name("b", false, true), name("bc", true, false)]);
        assert_eq!(names(&selection, "a/b"), [name("c", true, false), name("d", true, false)]);
        for nothing in ["a-b", "a/b/c", "x", "a/a"] {
            assert_eq!(names(&selection, nothing), []);
        }
    }

    #[test]
    fn a_huge_directory_takes_no_long_search() {
        let selection = Selection::new((0..300_000).map(|n| path(&format!("dir/{n:06}"))));
        assert_eq!(selection.names(&path("dir")).len(), 300_000);
    }

    proptest! {
        #[test]
        fn it_is_a_set_of_paths(
            paths in vec(vec("[ab-]{1,2}", 0..4), 0..20),
            dir in vec("[ab-]{1,2}", 0..3),
        ) {
            let all: BTreeSet<RelPath> = paths.iter().map(|elements| path(&elements.join("/"))).collect();
            let selection = Selection::new(paths.iter().map(|elements| path(&elements.join("/"))));
            let dir = path(&dir.join("/"));
            let depth = dir.elements().count();
            let below = |dir: &RelPath| all.iter().filter(|path| path.is_below(dir)).collect::<Vec<_>>();
            let names: BTreeSet<Name> = below(&dir)
                .into_iter()
                .map(|path| Name::new(path.elements().nth(depth).unwrap()).unwrap())
                .collect();
            let expected = names.into_iter().map(|name| {
                let path = dir.join(&name);
                (name, all.contains(&path), !below(&path).is_empty())
            });
            let names = selection.names(&dir);
            let names = names.into_iter().map(|Selected { name, itself, below }| (name, itself.is_some(), below));
            prop_assert_eq!(names.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}
