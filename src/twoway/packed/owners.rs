//! Who is meant by the numbers of users and groups in a batch.
//!
//! What a replica keeps has the numbers of its own host. What it tells has them, too, with the names behind them, each
//! once in a batch; and whoever hears it [translates](OwnerMap) them to its own, by the rule of passes.

use crate::pass::OwnerMap;
use crate::tree::{Acls, Gid, Uid};
use crate::twoway::exchange::Garbled;
use crate::twoway::text;
use crate::wire::{OwnerKind, OwnerName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A user and a group.
pub(super) type Owners = (Option<Uid>, Option<Gid>);

/// The numbers of users and of groups.
#[derive(Debug, Default)]
pub(super) struct Numbers([BTreeSet<u32>; 2]);

/// The names of some users and of some groups.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Named([Vec<NamedOwner>; 2]);

/// A number and the name behind it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct NamedOwner(u32, #[serde(with = "text::raw")] Vec<u8>);

/// In the order in which both are told.
const KINDS: [OwnerKind; 2] = [OwnerKind::User, OwnerKind::Group];

/// The longest name heard, in bytes; none that a host has is longer.
const LONGEST: usize = 256;

impl Numbers {
    /// Adds some; returns how many were not there.
    pub(super) fn add(&mut self, (user, group): Owners) -> usize {
        let Numbers([users, groups]) = self;
        let is_new = |numbers: &mut BTreeSet<u32>, id: Option<u32>| id.is_some_and(|id| numbers.insert(id));
        usize::from(is_new(users, user.map(|user| user.0)))
            + usize::from(is_new(groups, group.map(|group| group.0)))
    }

    /// Adds those whom ACLs name.
    pub(super) fn add_named(&mut self, acls: Option<&Acls>) {
        let Numbers([users, groups]) = self;
        users.extend(acls.iter().flat_map(|acls| acls.named_users()).map(|Uid(id)| id));
        groups.extend(acls.iter().flat_map(|acls| acls.named_groups()).map(|Gid(id)| id));
    }

    /// Those who have a name here that others are told.
    pub(super) fn named(self, owners: &OwnerMap) -> Named {
        let Numbers([users, groups]) = self;
        let named = |kind, numbers: BTreeSet<u32>| {
            let named = |id| Some(NamedOwner(id, owners.name(kind, id)?));
            numbers.into_iter().filter_map(named).collect()
        };
        Named([named(OwnerKind::User, users), named(OwnerKind::Group, groups)])
    }
}

impl Named {
    /// Has these learnt that were told with what can name so many users and groups.
    pub(super) fn learn(self, most: usize, owners: &OwnerMap) -> Result<(), Garbled> {
        let Named(both) = self;
        for (kind, named) in KINDS.into_iter().zip(both) {
            if named.len() > most {
                return Err(Garbled("more owners than there can be"));
            }
            if named.iter().any(|NamedOwner(_, name)| name.len() > LONGEST) {
                return Err(Garbled("an owner with too long a name"));
            }
            let name = |NamedOwner(id, name): NamedOwner| OwnerName { kind, id, name: name.into() };
            owners.learn(&named.into_iter().map(name).collect::<Vec<_>>());
        }
        Ok(())
    }
}

/// The user and the group here who were told of by these numbers.
pub(super) fn translate((user, group): Owners, owners: &OwnerMap) -> Owners {
    let user = user.map(|Uid(id)| Uid(owners.translate(OwnerKind::User, id)));
    (user, group.map(|Gid(id)| Gid(owners.translate(OwnerKind::Group, id))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Options;

    fn map(options: &Options) -> OwnerMap {
        OwnerMap::new(options).unwrap().0
    }

    fn named(users: &[(u32, &[u8])]) -> Named {
        let named = |(id, name): &(u32, &[u8])| NamedOwner(*id, name.to_vec());
        Named([users.iter().map(named).collect(), Vec::new()])
    }

    #[test]
    fn who_is_known_by_name_has_the_number_here() {
        let told: [(u32, &[u8]); 4] = [(4242, b"root"), (4243, b"no-such-user-here"), (4244, b""), (0, b"x")];
        let owners = map(&Options::default());
        named(&told).learn(4, &owners).unwrap();
        for (there, here) in [(4242, 0), (4243, 4243), (4244, 4244), (0, 0), (7, 7)] {
            assert_eq!(
                translate((Some(Uid(there)), Some(Gid(there))), &owners),
                (Some(Uid(here)), Some(Gid(there)))
            );
        }
        assert_eq!(translate((None, None), &owners), (None, None));
        let by_number = map(&Options { numeric_ids: true, ..Options::default() });
        named(&told).learn(4, &by_number).unwrap();
        assert_eq!(translate((Some(Uid(4242)), None), &by_number), (Some(Uid(4242)), None));
    }

    #[test]
    fn who_has_a_name_here_is_told_of_once() {
        let told = |options: &Options| {
            let mut numbers = Numbers::default();
            let all = [
                (Some(Uid(1)), None),
                (Some(Uid(1)), Some(Gid(1))),
                (Some(Uid(0)), Some(Gid(0))),
                (Some(Uid(u32::MAX - 7)), None),
            ];
            let new: usize = all.into_iter().map(|owners| numbers.add(owners)).sum();
            assert_eq!(new, 5);
            let Named([users, groups]) = numbers.named(&map(options));
            [users, groups].map(|named| named.into_iter().map(|NamedOwner(id, _)| id).collect::<Vec<_>>())
        };
        let owners = crate::fs::Owners::new().unwrap();
        let known = |name: Option<Vec<u8>>| if name.is_some() { vec![1] } else { Vec::new() };
        assert_eq!(
            told(&Options::default()),
            [known(owners.user_name(Uid(1))), known(owners.group_name(Gid(1)))]
        );
        let by_number = Options { numeric_ids: true, ..Options::default() };
        assert_eq!(told(&by_number), <[Vec<u32>; 2]>::default());
    }

    #[test]
    fn no_more_is_learnt_than_there_are_paths() {
        let owners = map(&Options::default());
        assert!(named(&[(5, b"root"), (6, b"root")]).learn(1, &owners).is_err());
        assert!(named(&[(5, &[b'x'; 257])]).learn(1, &owners).is_err());
        assert_eq!(owners.translate(OwnerKind::User, 5), 5);
    }
}
