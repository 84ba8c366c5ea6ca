//! POSIX access control lists, as far as permission bits do not say the same.
//!
//! An entry with an access ACL has its mode all the same: the owner's bits and those of others are the ACL's own, and
//! the bits of the group are its mask (IEEE 1003.1e draft 17, section 23; acl(5)). So what is kept of it here is the
//! rest: what the group may, and the named users and groups. A directory's default ACL has no mode beside it and is
//! kept whole.
//!
//! Linux tells an ACL as an extended attribute: version 2, then for each entry a tag, permissions and a number, all
//! in little-endian order (linux/posix_acl_xattr.h). Users and groups are numbers of one host here; what they are on
//! another, whoever carries them finds out.

use crate::tree::{Gid, Uid};
use std::collections::BTreeMap;

/// The version of the attribute's format.
const VERSION: u32 = 2;
/// Bytes of its header, and of each entry.
const HEADER: usize = 4;
const ENTRY: usize = 8;
/// What stands for the number where there is none.
const NO_ID: u32 = u32::MAX;

/// The most named users, and the most named groups, of one ACL: more than most file systems have room for.
pub const MAX_GRANTS: usize = 512;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const GROUP: u16 = 0x08;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Read, write and execute, as three bits.
pub type Perms = u8;

/// Named users or groups, by number, and what each may.
///
/// The numbers are bare, as both are read and written by one function in each form that an ACL has; which of the two
/// they are of, the field says that they are in.
pub type Grants = BTreeMap<u32, Perms>;

/// What an ACL says beyond permission bits. An access ACL always has a mask, and that is in the mode.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Acl {
    /// What the entry's group may, before the mask.
    pub group: Perms,
    /// Named users.
    pub users: Grants,
    /// Named groups.
    pub groups: Grants,
}

/// What new entries of a directory get.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct DefaultAcl {
    /// What the owner may.
    pub user: Perms,
    /// The mask, if there is one.
    pub mask: Option<Perms>,
    /// What others may.
    pub other: Perms,
    /// The rest.
    pub rest: Acl,
}

/// Both ACLs of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Acls {
    /// Who may what.
    pub access: Option<Acl>,
    /// Of directories only: what new entries get.
    pub default: Option<DefaultAcl>,
}

/// An ACL that is no valid one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not valid, or names more than {MAX_GRANTS} users or groups")]
pub struct InvalidAcl;

impl Acls {
    /// How many named users and groups there are in both.
    pub fn grants(&self) -> usize {
        self.both().map(|acl| acl.users.len() + acl.groups.len()).sum()
    }

    /// The users whom they name. Who is in both is there twice.
    pub fn named_users(&self) -> impl Iterator<Item = Uid> {
        self.both().flat_map(|acl| acl.users.keys().copied().map(Uid))
    }

    /// The groups that they name. Which are in both are there twice.
    pub fn named_groups(&self) -> impl Iterator<Item = Gid> {
        self.both().flat_map(|acl| acl.groups.keys().copied().map(Gid))
    }

    fn both(&self) -> impl Iterator<Item = &Acl> {
        self.access.iter().chain(self.default.as_ref().map(|default| &default.rest))
    }

    /// The same with other numbers for users and groups. Where two become one, the first one's permissions count.
    pub fn renumbered(&self, user: impl Fn(u32) -> u32, group: impl Fn(u32) -> u32) -> Acls {
        let all = |grants: &Grants, number: &dyn Fn(u32) -> u32| {
            let mut renumbered = Grants::new();
            for (id, perms) in grants {
                renumbered.entry(number(*id)).or_insert(*perms);
            }
            renumbered
        };
        let one = |acl: &Acl| Acl {
            group: acl.group,
            users: all(&acl.users, &user),
            groups: all(&acl.groups, &group),
        };
        Acls {
            access: self.access.as_ref().map(one),
            default: self
                .default
                .as_ref()
                .map(|default| DefaultAcl { rest: one(&default.rest), ..default.clone() }),
        }
    }
}

impl Acl {
    /// Reads an access ACL from the system's attribute. `None` if the mode says it all.
    ///
    /// # Errors
    /// It is not valid.
    pub fn from_bytes(bytes: &[u8]) -> Result<Option<Acl>, InvalidAcl> {
        let read = DefaultAcl::from_bytes(bytes)?;
        Ok(read.and_then(|acl| acl.mask.map(|_| acl.rest)))
    }

    /// The system's attribute for an entry with this mode.
    pub fn to_bytes(&self, mode: u32) -> Vec<u8> {
        let bits = |shift: u32| (mode >> shift & 7) as Perms;
        encode(bits(6), self, Some(bits(3)), bits(0))
    }
}

impl DefaultAcl {
    /// Reads a default ACL from the system's attribute. `None` if it is empty, as one that was removed may look.
    ///
    /// # Errors
    /// It is not valid.
    pub fn from_bytes(bytes: &[u8]) -> Result<Option<DefaultAcl>, InvalidAcl> {
        let (header, entries) = bytes.split_first_chunk::<HEADER>().ok_or(InvalidAcl)?;
        if u32::from_le_bytes(*header) != VERSION || entries.len() > 2 * (MAX_GRANTS + 4) * ENTRY {
            return Err(InvalidAcl);
        }
        let (mut acl, mut user, mut group, mut other) = (DefaultAcl::default(), None, None, None);
        let mut rest = entries;
        while let Some((entry, after)) = rest.split_first_chunk::<ENTRY>() {
            rest = after;
            let [tag, tag_high, perms, perms_high, id @ ..] = *entry;
            let (tag, id) = (u16::from_le_bytes([tag, tag_high]), u32::from_le_bytes(id));
            if perms > 7 || perms_high != 0 {
                return Err(InvalidAcl);
            }
            let before = match tag {
                USER_OBJ => user.replace(perms),
                GROUP_OBJ => group.replace(perms),
                MASK => acl.mask.replace(perms),
                OTHER => other.replace(perms),
                USER => acl.rest.users.insert(id, perms),
                GROUP => acl.rest.groups.insert(id, perms),
                _ => return Err(InvalidAcl),
            };
            if before.is_some() {
                return Err(InvalidAcl);
            }
        }
        let is_long = |grants: &Grants| grants.len() > MAX_GRANTS;
        if !rest.is_empty() || is_long(&acl.rest.users) || is_long(&acl.rest.groups) {
            return Err(InvalidAcl);
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let (Some(user), Some(group), Some(other)) = (user, group, other) else { return Err(InvalidAcl) };
        (acl.user, acl.rest.group, acl.other) = (user, group, other);
        Ok(Some(acl))
    }

    /// The system's attribute.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self.user, &self.rest, self.mask, self.other)
    }

    /// The permission bits that a new entry may have in a directory with this.
    pub fn mode(&self) -> u32 {
        let group = self.mask.unwrap_or(self.rest.group);
        u32::from(self.user) << 6 | u32::from(group) << 3 | u32::from(self.other)
    }
}

/// The entries in the order that the system asks for: by tag, then by number. Where anybody is named there has to be
/// a mask.
fn encode(user: Perms, acl: &Acl, mask: Option<Perms>, other: Perms) -> Vec<u8> {
    let mut bytes = VERSION.to_le_bytes().to_vec();
    let mut put = |tag: u16, perms: Perms, id: u32| {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&u16::from(perms & 7).to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    };
    put(USER_OBJ, user, NO_ID);
    acl.users.iter().for_each(|(id, perms)| put(USER, *perms, *id));
    put(GROUP_OBJ, acl.group, NO_ID);
    acl.groups.iter().for_each(|(id, perms)| put(GROUP, *perms, *id));
    let is_named = !(acl.users.is_empty() && acl.groups.is_empty());
    let named = || acl.users.values().chain(acl.groups.values()).fold(acl.group, |all, perms| all | perms);
    if let Some(mask) = mask.or_else(|| is_named.then(named)) {
        put(MASK, mask, NO_ID);
    }
    put(OTHER, other, NO_ID);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn entry(tag: u16, perms: u8, id: u32) -> Vec<u8> {
        [&tag.to_le_bytes()[..], &[perms, 0], &id.to_le_bytes()].concat()
    }

    fn bytes(entries: &[(u16, u8, u32)]) -> Vec<u8> {
        let entries: Vec<u8> = entries.iter().flat_map(|&(tag, perms, id)| entry(tag, perms, id)).collect();
        [&VERSION.to_le_bytes()[..], &entries].concat()
    }

    #[test]
    fn what_the_mode_says_is_left_out_and_comes_back() {
        let whole = bytes(&[
            (USER_OBJ, 6, NO_ID),
            (USER, 7, 5),
            (USER, 1, 9),
            (GROUP_OBJ, 4, NO_ID),
            (GROUP, 2, 3),
            (MASK, 5, NO_ID),
            (OTHER, 1, NO_ID),
        ]);
        let acl = Acl::from_bytes(&whole).unwrap().unwrap();
        assert_eq!((acl.group, &acl.users), (4, &Grants::from([(5, 7), (9, 1)])));
        assert_eq!(acl.to_bytes(0o4651), whole);
        assert_eq!(DefaultAcl::from_bytes(&whole).unwrap().unwrap().mode(), 0o651);
    }

    #[test]
    fn what_is_no_more_than_a_mode_is_none() {
        let minimal = bytes(&[(USER_OBJ, 6, NO_ID), (GROUP_OBJ, 4, NO_ID), (OTHER, 0, NO_ID)]);
        assert_eq!(Acl::from_bytes(&minimal), Ok(None));
        assert_eq!(DefaultAcl::from_bytes(&minimal).unwrap().unwrap().mode(), 0o640);
        assert_eq!(DefaultAcl::from_bytes(&bytes(&[])), Ok(None));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let base = [(USER_OBJ, 6, NO_ID), (GROUP_OBJ, 4, NO_ID), (OTHER, 0, NO_ID)];
        let with = |more: (u16, u8, u32)| bytes(&[&base[..], &[more]].concat());
        for bad in [
            Vec::new(),
            vec![2, 0, 0],
            vec![1, 0, 0, 0],
            bytes(&base[..2]),
            with((OTHER, 1, NO_ID)),
            with((MASK, 8, NO_ID)),
            with((0x40, 1, NO_ID)),
            [with((USER, 1, 1)), vec![0]].concat(),
            [with((USER, 1, 1)), entry(USER, 2, 1)].concat(),
        ] {
            assert_eq!(DefaultAcl::from_bytes(&bad), Err(InvalidAcl), "{bad:?}");
        }
    }

    #[test]
    fn whom_both_name_is_told() {
        let acl = |users: &[u32], groups: &[u32]| {
            let grants = |ids: &[u32]| ids.iter().map(|id| (*id, 7)).collect();
            Acl { group: 0, users: grants(users), groups: grants(groups) }
        };
        let default = DefaultAcl { rest: acl(&[2], &[3, 5]), ..DefaultAcl::default() };
        let acls = Acls { access: Some(acl(&[1, 2], &[3])), default: Some(default) };
        assert_eq!(acls.named_users().collect::<Vec<_>>(), [1, 2, 2].map(Uid));
        assert_eq!(acls.named_groups().collect::<Vec<_>>(), [3, 3, 5].map(Gid));
        assert_eq!(acls.grants(), 6);
        assert_eq!(Acls::default().named_users().count(), 0);
    }

    #[test]
    fn two_that_become_one_number_leave_one() {
        let acl = Acl { group: 0, users: Grants::from([(1, 7), (2, 4), (3, 1)]), groups: Grants::new() };
        let acls = Acls { access: Some(acl), default: None };
        let renumbered = acls.renumbered(|user| if user == 2 { 3 } else { user }, |group| group);
        assert_eq!(renumbered.access.unwrap().users, Grants::from([(1, 7), (3, 4)]));
    }

    prop_compose! {
        fn any_acl()(group in 0_u8..8, users in btree_map(any::<u32>(), 0_u8..8, 0..5),
                     groups in btree_map(any::<u32>(), 0_u8..8, 0..5)) -> Acl {
            Acl { group, users, groups }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(acl in any_acl(), user in 0_u8..8, mask in 0_u8..8, other in 0_u8..8) {
            let mode = u32::from(user) << 6 | u32::from(mask) << 3 | u32::from(other);
            prop_assert_eq!(Acl::from_bytes(&acl.to_bytes(mode)).unwrap().unwrap(), acl.clone());
            let default = DefaultAcl { user, mask: Some(mask), other, rest: acl };
            prop_assert_eq!(DefaultAcl::from_bytes(&default.to_bytes()).unwrap().unwrap(), default);
        }

        #[test]
        fn nothing_that_is_read_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Acl::from_bytes(&bytes);
        }
    }
}
