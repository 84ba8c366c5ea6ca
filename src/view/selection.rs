//! Paths chosen beforehand, of which a view shows nothing else.
//!
//! There may be millions, so they are kept as bytes in one buffer, in the order of a walk: what is below a directory is
//! then one stretch, which is found, and stepped over, by bisection.

use crate::tree::{Name, RelPath, below, walk_order};
use std::cmp::Ordering;
use std::ops::Range;

/// A set of paths below a root.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    bytes: Vec<u8>,
    /// Where each path is in the bytes, in the order of a walk.
    paths: Vec<Range<usize>>,
}

impl Selection {
    /// These paths, in any order; in that of a walk they need no sorting.
    pub fn new(paths: impl Iterator<Item = RelPath>) -> Selection {
        let mut selection = Selection::default();
        for path in paths {
            let start = selection.bytes.len();
            selection.bytes.extend_from_slice(path.as_bytes());
            selection.paths.push(start..selection.bytes.len());
        }
        let Selection { bytes, paths } = &mut selection;
        let bytes_of = |path: &Range<usize>| bytes.get(path.clone()).unwrap_or_default();
        paths.sort_by(|one, other| walk_order(bytes_of(one), bytes_of(other)));
        selection
    }

    /// Whether nothing is selected.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The names in a directory under which something is selected, in order.
    pub fn names(&self, dir: &RelPath) -> Vec<Selected> {
        let mut names = Vec::new();
        let mut rest = self.from(dir);
        // The directory may be selected itself.
        while let Some((_, after)) =
            rest.split_first().filter(|(path, _)| self.bytes_of(path) == dir.as_bytes())
        {
            rest = after;
        }
        while let Some(first) = rest.first().and_then(|path| below(self.bytes_of(path), dir)) {
            let element = first.split(|&b| b == b'/').next().unwrap_or_default();
            // Elements of paths are valid names.
            let Ok(name) = Name::new(element) else { break };
            let has_name = |path: &Range<usize>| {
                let path = below(self.bytes_of(path), dir).unwrap_or_default();
                path.strip_prefix(element).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
            };
            let is_alone = !rest.get(1).is_some_and(has_name);
            let count = if is_alone { 1 } else { rest.partition_point(has_name).max(1) };
            let (these, after) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let last = these.last().and_then(|path| below(self.bytes_of(path), dir)).unwrap_or_default();
            names.push(Selected { itself: first == element, below: last != element, name });
            rest = after;
        }
        names
    }

    /// From a path on, or from where it would be.
    fn from(&self, path: &RelPath) -> &[Range<usize>] {
        let is_before =
            |other: &Range<usize>| walk_order(self.bytes_of(other), path.as_bytes()) == Ordering::Less;
        let first = self.paths.partition_point(is_before);
        self.paths.get(first..).unwrap_or_default()
    }

    fn bytes_of(&self, path: &Range<usize>) -> &[u8] {
        self.bytes.get(path.clone()).unwrap_or_default()
    }
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// It.
    pub name: Name,
    /// Whether its very path is selected.
    pub itself: bool,
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
        names.map(|Selected { name, itself, below }| (name.to_string(), itself, below)).collect()
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
                Selected { itself: all.contains(&path), below: !below(&path).is_empty(), name }
            });
            prop_assert_eq!(selection.names(&dir), expected.collect::<Vec<_>>());
        }
    }
}
