//! Version vectors: which edits, of which replicas, a state has absorbed.
//!
//! Every replica counts its generations: scans that found edits. What it found edited gets a vector in which its own
//! counter is that generation; installing a version takes over its vector. So a vector says of each replica up to which
//! of its generations a path's edits are contained in this state, and two vectors tell whether one state was made
//! knowing the other (Parker et al., "Detection of mutual inconsistency in distributed systems", IEEE Transactions on
//! Software Engineering, 1983).
//!
//! A replica's counter is only worth something while nobody else counts under the same name. Where a copy of a replica
//! is found to have done so, the generations that are not common to both get names of their own:
//! [`lineage`](crate::twoway::lineage).

use crate::twoway::text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Who counts: one life of a replica, 128 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Author(#[serde(with = "text::hex")] pub [u8; 16]);

/// A version vector. Who is not in it has a count of 0.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "BTreeMap<Author, u64>")]
pub struct Version(BTreeMap<Author, u64>);

/// How two versions are related.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// They have absorbed the same edits.
    Equal,
    /// The first has absorbed all that the second has, and more.
    Newer,
    /// The second has absorbed all that the first has, and more.
    Older,
    /// Each has absorbed something that the other has not.
    Concurrent,
}

/// The counts of an author from some generation on belong to another name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Renaming {
    /// Under which name they stand.
    pub author: Author,
    /// The first generation that belongs to the other.
    pub from: u64,
    /// The other name.
    pub to: Author,
}

impl Version {
    /// The version of a path that nobody has ever seen.
    pub fn new() -> Version {
        Version::default()
    }

    /// Whether nothing was ever absorbed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How far this version knows `author`'s edits.
    pub fn count(&self, author: Author) -> u64 {
        self.0.get(&author).copied().unwrap_or(0)
    }

    /// This version after an edit that `author` found in its generation `count`.
    pub fn edited(&self, author: Author, count: u64) -> Version {
        let mut edited = self.clone();
        let known = edited.0.entry(author).or_default();
        *known = count.max(*known);
        edited
    }

    /// Whether everything `other` has absorbed is absorbed here.
    pub fn covers(&self, other: &Version) -> bool {
        other.0.iter().all(|(author, count)| self.count(*author) >= *count)
    }

    /// How this version is related to `other`.
    pub fn order(&self, other: &Version) -> Order {
        match (self.covers(other), other.covers(self)) {
            (true, true) => Order::Equal,
            (true, false) => Order::Newer,
            (false, true) => Order::Older,
            (false, false) => Order::Concurrent,
        }
    }

    /// The least version that covers both.
    pub fn joined(&self, other: &Version) -> Version {
        other.0.iter().fold(self.clone(), |joined, (author, count)| joined.edited(*author, *count))
    }

    /// The greatest version that both cover.
    pub fn common(&self, other: &Version) -> Version {
        self.counts().map(|(author, count)| (author, count.min(other.count(author)))).collect()
    }

    /// This version with those counts under their other name.
    pub fn renamed(&self, renaming: &Renaming) -> Version {
        let count = self.count(renaming.author);
        if count < renaming.from {
            return self.clone();
        }
        let mut renamed = self.clone();
        renamed.0.remove(&renaming.author);
        if renaming.from > 1 {
            renamed.0.insert(renaming.author, renaming.from - 1);
        }
        renamed.edited(renaming.to, count)
    }

    /// The counts, by author.
    pub fn counts(&self) -> impl Iterator<Item = (Author, u64)> {
        self.0.iter().map(|(author, count)| (*author, *count))
    }
}

impl FromIterator<(Author, u64)> for Version {
    fn from_iter<I: IntoIterator<Item = (Author, u64)>>(counts: I) -> Version {
        counts
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .fold(Version::new(), |version, (author, count)| version.edited(author, count))
    }
}

impl From<BTreeMap<Author, u64>> for Version {
    fn from(counts: BTreeMap<Author, u64>) -> Version {
        counts.into_iter().collect()
    }
}

impl fmt::Debug for Author {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn author(n: u8) -> Author {
        Author([n; 16])
    }

    fn version() -> impl Strategy<Value = Version> {
        prop::collection::vec((0_u8..4, 0_u64..4), 0..4)
            .prop_map(|counts| counts.into_iter().map(|(n, count)| (author(n), count)).collect())
    }

    proptest! {
        #[test]
        fn a_join_is_the_least_that_covers_both(a in version(), b in version(), c in version()) {
            let joined = a.joined(&b);
            prop_assert!(joined.covers(&a) && joined.covers(&b));
            prop_assert_eq!(&joined, &b.joined(&a));
            prop_assert!(!(c.covers(&a) && c.covers(&b)) || c.covers(&joined));
        }

        #[test]
        fn what_is_common_is_the_greatest_that_both_cover(a in version(), b in version(), c in version()) {
            let common = a.common(&b);
            prop_assert!(a.covers(&common) && b.covers(&common));
            prop_assert_eq!(&common, &b.common(&a));
            prop_assert!(!(a.covers(&c) && b.covers(&c)) || common.covers(&c));
        }

        #[test]
        fn order_is_antisymmetric(a in version(), b in version()) {
            let swapped = match a.order(&b) {
                Order::Newer => Order::Older,
                Order::Older => Order::Newer,
                same => same,
            };
            prop_assert_eq!(b.order(&a), swapped);
            prop_assert_eq!(a.order(&b) == Order::Equal, a == b);
        }

        #[test]
        fn an_edit_is_newer_than_what_was_edited(a in version()) {
            prop_assert_eq!(a.edited(author(9), 1).order(&a), Order::Newer);
        }
    }

    #[test]
    fn only_what_belongs_to_the_other_name_is_renamed() {
        let version = Version::from_iter([(author(1), 3), (author(2), 7)]);
        let renamed = |n, from| version.renamed(&Renaming { author: author(n), from, to: author(9) });
        assert_eq!(renamed(1, 4), version);
        assert_eq!(renamed(3, 1), version);
        assert_eq!(renamed(2, 5), Version::from_iter([(author(1), 3), (author(2), 4), (author(9), 7)]));
        assert_eq!(renamed(2, 1), Version::from_iter([(author(1), 3), (author(9), 7)]));
    }
}
