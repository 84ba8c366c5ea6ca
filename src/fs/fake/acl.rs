//! The bytes of `user.rsync.%aacl` and `user.rsync.%dacl`: what the owner, the group, the mask and others may, and then
//! each named user or group with what that may; all numbers of four bytes in little-endian order.
//!
//! Of an access ACL the owner's and others' permissions are in the mode, and so is the group's where its ACL has no
//! more to say than the mode: each of these is then [`ABSENT`].

use crate::fs::{Error, extended};
use crate::tree::{Acl, Acls, DefaultAcl, Grants, InvalidAcl, Kind, MAX_GRANTS, Perms};
use rustix::io::Result as SystemResult;
use std::io;
use std::os::fd::BorrowedFd;

const ACCESS: &[u8] = b"user.rsync.%aacl";
const DEFAULT: &[u8] = b"user.rsync.%dacl";

/// Stands for permissions that are not there.
const ABSENT: u32 = 0x80;
/// In the permissions of who is named: it is a user.
const IS_USER: u32 = 1 << 31;

/// Bytes before those who are named, and of each.
const HEADER: usize = 16;
const ENTRY: usize = 8;

const READING: &str = "reading the ACL of";

/// The ACLs of an entry of this kind and mode.
pub(in crate::fs) fn acls(handle: BorrowedFd<'_>, kind: Kind, mode: u32) -> Result<Option<Acls>, Error> {
    let access = match read(handle, ACCESS)? {
        Some(parsed) => parsed.access(mode),
        None => None,
    };
    let default = match kind {
        Kind::Directory => read(handle, DEFAULT)?,
        _ => None,
    };
    let default = default.map(Parsed::default_acl).transpose().map_err(invalid)?;
    Ok((access.is_some() || default.is_some()).then_some(Acls { access, default }))
}

fn read(handle: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Parsed>, Error> {
    let bytes = extended::value(handle, name).map_err(Error::when(READING))?;
    bytes.map(|bytes| Parsed::read(&bytes).map_err(invalid)).transpose()
}

fn invalid(error: InvalidAcl) -> Error {
    Error::refused(READING, io::ErrorKind::InvalidData, error)
}

/// Keeps these ACLs of an entry of this kind and mode.
pub(in crate::fs) fn set_acls(
    handle: BorrowedFd<'_>,
    kind: Kind,
    acls: Option<&Acls>,
    mode: u32,
) -> SystemResult<()> {
    let access = acls.and_then(|acls| acls.access.as_ref());
    match access.map(|acl| Parsed::of_access(acl, mode).bytes()) {
        Some(bytes) => extended::set_or_remove(handle, ACCESS, Some(&bytes))?,
        // As in rsync, one that was there is not removed, but says nothing more.
        None if extended::value(handle, ACCESS)?.is_some() => {
            extended::set_or_remove(handle, ACCESS, Some(&Parsed::default().bytes()))?;
        }
        None => {}
    }
    if kind != Kind::Directory {
        return Ok(());
    }
    let default = acls.and_then(|acls| acls.default.as_ref());
    extended::set_or_remove(handle, DEFAULT, default.map(|acl| Parsed::of_default(acl).bytes()).as_deref())
}

/// An ACL with all that is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Parsed {
    user: Option<Perms>,
    group: Option<Perms>,
    mask: Option<Perms>,
    other: Option<Perms>,
    users: Grants,
    groups: Grants,
}

impl Parsed {
    fn read(bytes: &[u8]) -> Result<Parsed, InvalidAcl> {
        let (header, entries) = bytes.split_first_chunk::<HEADER>().ok_or(InvalidAcl)?;
        if entries.len() > 2 * MAX_GRANTS * ENTRY {
            return Err(InvalidAcl);
        }
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        let perms = |value: u32| Perms::try_from(value).ok().filter(|perms| *perms <= 7).ok_or(InvalidAcl);
        let mut object = header.chunks_exact(4).map(number).map(|value| match value {
            ABSENT => Ok(None),
            value => perms(value).map(Some),
        });
        let mut next = || object.next().unwrap_or(Err(InvalidAcl));
        let (user, group, mask, other) = (next()?, next()?, next()?, next()?);
        let mut parsed = Parsed { user, group, mask, other, ..Parsed::default() };
        let mut entries = entries.chunks_exact(ENTRY);
        for entry in entries.by_ref() {
            let (id, access) = entry.split_at_checked(4).ok_or(InvalidAcl)?;
            let access = number(access);
            let named = if access & IS_USER != 0 { &mut parsed.users } else { &mut parsed.groups };
            if named.insert(number(id), perms(access & !IS_USER)?).is_some() {
                return Err(InvalidAcl);
            }
        }
        let is_long = |grants: &Grants| grants.len() > MAX_GRANTS;
        if !entries.remainder().is_empty() || is_long(&parsed.users) || is_long(&parsed.groups) {
            return Err(InvalidAcl);
        }
        Ok(parsed)
    }

    fn bytes(&self) -> Vec<u8> {
        let objects = [self.user, self.group, self.mask, self.other];
        let header = objects.into_iter().map(|object| object.map_or(ABSENT, u32::from));
        let users = self.users.iter().map(|(id, perms)| [*id, u32::from(*perms) | IS_USER]);
        let groups = self.groups.iter().map(|(id, perms)| [*id, u32::from(*perms)]);
        header.chain(users.chain(groups).flatten()).flat_map(u32::to_le_bytes).collect()
    }

    /// The access ACL of an entry of this mode, which is its mask; `None` if the mode says it all.
    fn access(self, mode: u32) -> Option<Acl> {
        let is_more = self.mask.is_some() || !self.users.is_empty() || !self.groups.is_empty();
        let group = self.group.unwrap_or(group_bits(mode));
        is_more.then_some(Acl { group, users: self.users, groups: self.groups })
    }

    fn of_access(acl: &Acl, mode: u32) -> Parsed {
        let mask = group_bits(mode);
        let group = (acl.group != mask).then_some(acl.group);
        Parsed {
            group,
            mask: Some(mask),
            users: acl.users.clone(),
            groups: acl.groups.clone(),
            ..Parsed::default()
        }
    }

    fn default_acl(self) -> Result<DefaultAcl, InvalidAcl> {
        let (Some(user), Some(group), Some(other)) = (self.user, self.group, self.other) else {
            return Err(InvalidAcl);
        };
        let rest = Acl { group, users: self.users, groups: self.groups };
        Ok(DefaultAcl { user, mask: self.mask, other, rest })
    }

    fn of_default(acl: &DefaultAcl) -> Parsed {
        let DefaultAcl { user, mask, other, rest } = acl;
        Parsed {
            user: Some(*user),
            group: Some(rest.group),
            mask: *mask,
            other: Some(*other),
            users: rest.users.clone(),
            groups: rest.groups.clone(),
        }
    }
}

fn group_bits(mode: u32) -> Perms {
    (mode >> 3 & 7) as Perms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
        let pair = |pair: &[u8]| pair.iter().fold(0, |sum, byte| sum << 4 | digit(*byte));
        hex.as_bytes().chunks(2).map(pair).collect()
    }

    #[test]
    fn access_acls_have_the_form_that_rsync_gives_them() {
        for (hex, mode, group, users, groups) in [
            (
                "800000000500000007000000800000000b00000007000080",
                0o775,
                5,
                Grants::from([(11, 7)]),
                Grants::new(),
            ),
            (
                "800000000400000006000000800000000b000000040000800d00000006000000",
                0o664,
                4,
                Grants::from([(11, 4)]),
                Grants::from([(13, 6)]),
            ),
            ("80000000800000000400000080000000", 0o640, 4, Grants::new(), Grants::new()),
        ] {
            let acl = Acl { group, users, groups };
            assert_eq!(Parsed::of_access(&acl, mode).bytes(), bytes(hex));
            assert_eq!(Parsed::read(&bytes(hex)).unwrap().access(mode), Some(acl));
        }
        let nothing = "80000000800000008000000080000000";
        assert_eq!(Parsed::read(&bytes(nothing)).unwrap().access(0o640), None);
        assert_eq!(Parsed::default().bytes(), bytes(nothing));
    }

    #[test]
    fn so_have_default_acls() {
        for (hex, mask, users, groups, other) in [
            (
                "0700000005000000070000000500000007000000050000800800000002000000",
                Some(7),
                Grants::from([(7, 5)]),
                Grants::from([(8, 2)]),
                5,
            ),
            ("07000000050000008000000000000000", None, Grants::new(), Grants::new(), 0),
        ] {
            let acl = DefaultAcl { user: 7, mask, other, rest: Acl { group: 5, users, groups } };
            assert_eq!(Parsed::of_default(&acl).bytes(), bytes(hex));
            assert_eq!(Parsed::read(&bytes(hex)).unwrap().default_acl(), Ok(acl));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for hex in [
            "",
            "ff",
            "800000008000000080000000800000",
            "80000000080000008000000080000000",
            "8000000080000000800000008000000001",
            "800000000500000007000000800000000b00000008000080",
            "800000000500000007000000800000000b000000070000800b00000007000080",
        ] {
            assert_eq!(Parsed::read(&bytes(hex)), Err(InvalidAcl), "{hex}");
        }
        assert!(Parsed::read(&bytes("80000000050000008000000005000000")).unwrap().default_acl().is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(group in 0_u8..8, mode in 0_u32..0o1000,
                                   users in btree_map(any::<u32>(), 0_u8..8, 0..5),
                                   groups in btree_map(any::<u32>(), 0_u8..8, 0..5)) {
            let acl = Acl { group, users, groups };
            let bytes = Parsed::of_access(&acl, mode).bytes();
            prop_assert_eq!(Parsed::read(&bytes).unwrap().access(mode), Some(acl));
        }

        #[test]
        fn nothing_that_is_read_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = Parsed::read(&bytes);
        }
    }
}
