//! A path below a root.

use crate::tree::{Escaped, InvalidName, Name};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;

/// A path relative to a root, made of [`Name`]s only: no `..`, no leading slash, no empty element. The empty path
/// is the root itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// The root itself.
    pub fn root() -> RelPath {
        RelPath::default()
    }

    /// Checks every element of `bytes`, which is either empty or names joined by single slashes.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<RelPath, InvalidName> {
        let bytes = bytes.into();
        if !bytes.is_empty() {
            for element in bytes.split(|&b| b == b'/') {
                Name::new(element)?;
            }
        }
        Ok(RelPath(bytes))
    }

    /// This path with one more element.
    pub fn join(&self, name: &Name) -> RelPath {
        let mut bytes = Vec::with_capacity(self.0.len() + 1 + name.as_bytes().len());
        bytes.extend_from_slice(&self.0);
        if !self.0.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name.as_bytes());
        RelPath(bytes.into())
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The elements joined by slashes; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The elements, outermost first. Each is known to be a valid [`Name`].
    pub fn elements(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|&b| b == b'/').filter(|element| !element.is_empty())
    }

    /// Whether this is below `above`. Nothing is below itself.
    pub fn is_below(&self, above: &RelPath) -> bool {
        below(&self.0, above).is_some()
    }

    /// The order of a walk: each path before what is below it, and that before the path's next sibling. The order of
    /// the bytes is another one, since some sort before the slash.
    pub fn walk_order(&self, other: &RelPath) -> Ordering {
        walk_order(&self.0, &other.0)
    }

    /// The path without its last element, and that element. `None` for the root.
    pub fn split_last(&self) -> Option<(RelPath, Name)> {
        let at = self.0.iter().rposition(|&b| b == b'/');
        let (parent, last) = match at {
            Some(at) => (self.0.get(..at)?, self.0.get(at + 1..)?),
            None => (&[][..], &*self.0),
        };
        Some((RelPath(parent.into()), Name::new(last).ok()?))
    }
}

/// The order of a walk, of the bytes of two paths.
pub(crate) fn walk_order(one: &[u8], other: &[u8]) -> Ordering {
    let elements = |path| <[u8]>::split(path, |&b| b == b'/').filter(|element| !element.is_empty());
    elements(one).cmp(elements(other))
}

/// What follows `above` in the bytes of a path below it; `None` of any other path.
pub(crate) fn below<'a>(path: &'a [u8], above: &RelPath) -> Option<&'a [u8]> {
    let rest = match above.is_root() {
        true => path,
        false => path.strip_prefix(above.as_bytes())?.strip_prefix(b"/")?,
    };
    (!rest.is_empty()).then_some(rest)
}

impl From<Name> for RelPath {
    fn from(name: Name) -> RelPath {
        RelPath(Vec::from(name).into())
    }
}

impl TryFrom<Vec<u8>> for RelPath {
    type Error = InvalidName;
    fn try_from(bytes: Vec<u8>) -> Result<RelPath, InvalidName> {
        RelPath::new(bytes)
    }
}

impl From<RelPath> for Vec<u8> {
    fn from(path: RelPath) -> Vec<u8> {
        path.0.into_vec()
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str(".") } else { Escaped(&self.0).fmt(f) }
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_root_are_refused() {
        for bad in ["/", "/etc", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a\0"] {
            assert!(RelPath::new(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn joining_and_splitting_are_inverse() {
        let path = RelPath::root().join(&Name::new(*b"a").unwrap()).join(&Name::new(*b"b").unwrap());
        assert_eq!(path.as_bytes(), b"a/b");
        let (parent, last) = path.split_last().unwrap();
        assert_eq!((parent.as_bytes(), last.as_bytes()), (&b"a"[..], &b"b"[..]));
        assert_eq!(path.elements().collect::<Vec<_>>(), [b"a", b"b"]);
        assert!(RelPath::root().split_last().is_none());
        assert_eq!(RelPath::root().elements().count(), 0);
    }

    #[test]
    fn a_walk_comes_to_what_is_below_before_the_next_sibling() {
        let path = |text: &str| RelPath::new(text.as_bytes()).unwrap();
        let walk: Vec<RelPath> = ["", "a", "a/b", "a/b/c", "a-b", "b"].map(path).into();
        assert!(walk.is_sorted_by(|one, next| one.walk_order(next) == Ordering::Less));
        assert!(!walk.is_sorted());
        let below: Vec<bool> = walk.iter().map(|at| at.is_below(&path("a"))).collect();
        assert_eq!(below, [false, false, true, true, false, false]);
        assert!(walk[1].is_below(&walk[0]) && !walk[0].is_below(&walk[0]));
    }
}
