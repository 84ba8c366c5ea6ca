//! Which names are one file: the identity of each, from what it was before and what it is now.
//!
//! What matters is only which names have the same identity, so of all that would say the same, that is chosen which
//! changes least. The names of one inode get an identity that one of them had: of a file that lost a name to another,
//! what was there before keeps it. Two inodes never have the same one. A name that stands alone may keep its own, as
//! that says nothing.
//!
//! Not all of it is an edit. What was one file by what is known, and is two where each has stayed what it was, nobody
//! took apart but a run that did not come to its end, and the next one is to make it one again. Unless one of them got
//! a further name meanwhile: somebody wants that file as it is now.

use crate::fs::Stamp;
use crate::tree::{InodeId, RelPath};
use crate::twoway::facet::{Facet, FacetSum};
use crate::twoway::history::Known;
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What new identities begin with.
const PURPOSE: &str = "dsync 2026 identity of a file with several names";

/// A name of a file that has several, or that was one of several.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub path: RelPath,
    inode: InodeId,
    /// What is known of its identity, if anything is.
    known: Option<Option<FacetSum>>,
    /// Whether it was a name of this inode before.
    stayed: bool,
}

impl Named {
    /// A name of what looks like this, of which `before` was known of what was of the same kind; `None` if it is clear
    /// that it stands alone.
    pub(super) fn new(
        path: &RelPath,
        before: Option<&Known>,
        stamp: &Stamp,
        is_linked: bool,
    ) -> Option<Named> {
        let register = before.and_then(|before| before.record.extended.get(Facet::Links));
        let known = register.map(|register| register.sum);
        let inode = stamp.inode();
        let look = before.and_then(|before| before.look);
        let stayed = look.is_some_and(|look| look.stamp.inode() == inode);
        let may_be_one = is_linked || known.flatten().is_some();
        may_be_one.then(|| Named { path: path.clone(), inode, known, stayed })
    }

    /// Whether there is anything to be written down.
    pub(super) fn is_news(&self, decided: &Decided) -> bool {
        self.known != Some(decided.identity) || decided.found == Found::Edited
    }

    fn had(&self) -> Option<FacetSum> {
        self.known.flatten()
    }
}

/// What a scan finds out of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decided {
    pub identity: Option<FacetSum>,
    pub found: Found,
}

/// Whose doing it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is as it was, or was not known.
    Same,
    /// Somebody gave the name to another file, or took others away from it.
    Edited,
    /// A run has taken apart what was one, and not come to make it one again.
    Parted,
}

/// How well an inode deserves an identity: how many of the names that had it and were there before it has, how many at
/// all, and where the first is.
type Claim = (usize, usize, Reverse<usize>);

/// The identity of each of these names, which are all there are, in the order of a walk.
pub(super) fn identities(names: &[Named]) -> Vec<Decided> {
    let mut inodes: BTreeMap<InodeId, Vec<usize>> = BTreeMap::new();
    let mut claims: HashMap<FacetSum, BTreeMap<InodeId, Claim>> = HashMap::new();
    for (number, named) in names.iter().enumerate() {
        inodes.entry(named.inode).or_default().push(number);
        if let Some(identity) = named.had() {
            let of_identity = claims.entry(identity).or_default();
            let claim = of_identity.entry(named.inode).or_insert((0, 0, Reverse(number)));
            claim.0 = claim.0.saturating_add(usize::from(named.stayed));
            claim.1 = claim.1.saturating_add(1);
        }
    }
    // Which identities each inode may have, with how many of its names have it.
    let mut won: HashMap<InodeId, (usize, FacetSum)> = HashMap::new();
    let mut keepers: HashMap<FacetSum, InodeId> = HashMap::new();
    for (identity, of_identity) in &claims {
        let best = of_identity.iter().max_by_key(|(_, claim)| **claim);
        if let Some((inode, (_, count, _))) = best {
            keepers.insert(*identity, *inode);
            let won = won.entry(*inode).or_insert((*count, *identity));
            *won = (*won).max((*count, *identity));
        }
    }
    let mut taken: HashSet<FacetSum> = claims.into_keys().collect();
    let mut decided = vec![Decided { identity: None, found: Found::Same }; names.len()];
    let mut in_order: Vec<(InodeId, Vec<usize>)> = inodes.into_iter().collect();
    in_order.sort_by_key(|(_, of_inode)| of_inode.first().copied());
    for (inode, of_inode) in in_order {
        let kept = won.get(&inode).map(|(_, identity)| *identity);
        let first = of_inode.first().and_then(|first| names.get(*first)).filter(|_| of_inode.len() > 1);
        let identity = kept.or_else(|| first.map(|first| draw(&first.path, &mut taken)));
        let is_one_of_several = of_inode.len() > 1;
        let is_joined = is_one_of_several
            && of_inode.iter().any(|number| names.get(*number).is_some_and(|named| !named.stayed));
        for number in of_inode {
            if let (Some(place), Some(named)) = (decided.get_mut(number), names.get(number)) {
                let is_lost = named.had().and_then(|had| keepers.get(&had)).is_some_and(|of| *of != inode);
                let is_other = named.known.map_or(identity.is_some(), |known| known != identity);
                let has_joined = is_one_of_several && !named.stayed;
                let found = match (named.stayed && is_lost && !is_joined, is_other || has_joined) {
                    (true, _) => Found::Parted,
                    (_, true) => Found::Edited,
                    _ => Found::Same,
                };
                *place = Decided { identity, found };
            }
        }
    }
    decided
}

/// A new identity for a file whose first name is this, that no other has.
fn draw(first: &RelPath, taken: &mut HashSet<FacetSum>) -> FacetSum {
    let mut count = 0_u64;
    loop {
        let mut hasher = blake3::Hasher::new_derive_key(PURPOSE);
        hasher.update(&count.to_le_bytes());
        hasher.update(first.as_bytes());
        let mut identity = [0; 16];
        hasher.finalize_xof().fill(&mut identity);
        if taken.insert(FacetSum(identity)) {
            return FacetSum(identity);
        }
        count = count.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Names in order: the inode, the number of the identity that is known, and whether it was there before.
    fn names(all: &[(u64, Option<u8>, bool)]) -> Vec<Named> {
        let named = |(place, (inode, known, stayed)): (usize, &(u64, Option<u8>, bool))| Named {
            path: RelPath::new(format!("{place:02}").as_bytes()).unwrap(),
            inode: (1, *inode),
            known: known.map(|known| (known > 0).then_some(FacetSum([known; 16]))),
            stayed: *stayed,
        };
        all.iter().enumerate().map(named).collect()
    }

    fn decided(all: &[(u64, Option<u8>, bool)]) -> Vec<Option<FacetSum>> {
        identities(&names(all)).into_iter().map(|decided| decided.identity).collect()
    }

    fn one(known: u8) -> Option<FacetSum> {
        Some(FacetSum([known; 16]))
    }

    #[test]
    fn what_is_as_it_was_keeps_its_identity() {
        assert_eq!(decided(&[(1, Some(5), true), (1, Some(5), true)]), [one(5), one(5)]);
        // Its other name is gone, or hidden.
        assert_eq!(decided(&[(1, Some(5), true)]), [one(5)]);
    }

    #[test]
    fn who_joins_takes_the_identity_and_who_leaves_has_none() {
        assert_eq!(decided(&[(1, None, false), (1, Some(5), true)]), [one(5), one(5)]);
        assert_eq!(decided(&[(2, Some(5), false), (1, Some(5), true)]), [None, one(5)]);
        let three = [(2, Some(5), false), (2, Some(5), false), (1, Some(5), true)];
        let left = decided(&three);
        assert!(
            left[0].is_some() && left[0] == left[1] && left[0] != one(5) && left[2] == one(5),
            "{left:?}"
        );
    }

    #[test]
    fn two_trees_with_the_same_links_agree() {
        assert_eq!(
            decided(&[(1, None, false), (2, None, false), (1, Some(0), false)]),
            decided(&[(7, Some(0), true), (9, None, false), (7, None, true)])
        );
        assert_eq!(decided(&[(1, None, false), (1, None, false)])[0].map(|_| ()), Some(()));
    }

    #[test]
    fn what_a_run_has_taken_apart_is_no_edit() {
        let found =
            |all: &[_]| identities(&names(all)).into_iter().map(|decided| decided.found).collect::<Vec<_>>();
        let parted = [(2, Some(5), true), (1, Some(5), true), (1, Some(5), true)];
        assert_eq!(found(&parted), [Found::Parted, Found::Same, Found::Same]);
        let left = [(2, Some(5), false), (1, Some(5), true), (1, Some(5), true)];
        assert_eq!(found(&left), [Found::Edited, Found::Same, Found::Same]);
        // Somebody has given the one that was taken apart another name.
        let named = [(2, Some(5), true), (2, None, false), (1, Some(5), true), (1, Some(5), true)];
        assert_eq!(found(&named), [Found::Edited, Found::Edited, Found::Same, Found::Same]);
        // It is one with another file than before, though of the same identity.
        let moved = [(2, Some(5), false), (2, None, false)];
        assert_eq!(found(&moved), [Found::Edited, Found::Edited]);
    }

    proptest! {
        /// Names have the same identity if they are one file, and no others have.
        #[test]
        fn identities_say_which_names_are_one(
            all in proptest::collection::vec((0..5_u64, proptest::option::of(0..5_u8), any::<bool>()), 0..12)
        ) {
            let identities = decided(&all);
            for (place, (one, first)) in all.iter().zip(&identities).enumerate() {
                for (other, second) in all.iter().zip(&identities).skip(place + 1) {
                    prop_assert_eq!(one.0 == other.0, first.is_some() && first == second);
                }
            }
            // Found again, nothing has changed.
            let again: Vec<Named> = names(&all).into_iter().zip(&identities).map(|(named, identity)| {
                Named { known: Some(*identity), stayed: true, ..named }
            }).collect();
            let again = super::identities(&again);
            prop_assert!(again.iter().all(|decided| decided.found == Found::Same));
            prop_assert_eq!(again.iter().map(|decided| decided.identity).collect::<Vec<_>>(), identities);
        }
    }
}
