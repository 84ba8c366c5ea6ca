//! What only some runs tell of an entry, as bytes; and what holding it costs.
//!
//! An ACL that is the same as the last one told, of files or of directories, is not told again: in most directories
//! there are no more than these two.

use crate::tree::xattr::XattrSum;
use crate::tree::{Acl, Acls, DefaultAcl, Entry, Extra, Grants, Group, MAX_GRANTS, Perms, XattrSums};
use crate::wire::WireError;
use crate::wire::codec::{Cursor, Put};
use crate::wire::message::entry_cost;
use std::sync::Arc;

const ATIME: u8 = 1 << 0;
const ACLS: u8 = 1 << 1;
const SAME_ACLS: u8 = 1 << 2;
const USER_XATTRS: u8 = 1 << 3;
const OTHER_XATTRS: u8 = 1 << 4;
const GROUP: u8 = 1 << 5;
const LAST_OF_GROUP: u8 = 1 << 6;
const KNOWN: u8 = ATIME | ACLS | SAME_ACLS | USER_XATTRS | OTHER_XATTRS | GROUP | LAST_OF_GROUP;

const ACCESS: u8 = 1 << 0;
const DEFAULT: u8 = 1 << 1;
/// What stands for a mask where there is none.
const NO_MASK: u8 = 8;

/// What ACLs cost besides their named users and groups.
const ACLS_COST: u64 = 256;
/// What each of these costs, with a share of the name that may have to be told of it.
const GRANT_COST: u64 = 128;

/// The ACLs that were told last in a message, of other entries and of directories.
#[derive(Debug, Default)]
pub(crate) struct LastAcls([Option<Arc<Acls>>; 2]);

impl LastAcls {
    /// Notes those of the next entry. Returns whether they are the same as before.
    fn next(&mut self, is_dir: bool, acls: &Arc<Acls>) -> bool {
        let Some(last) = self.0.get_mut(usize::from(is_dir)) else { return false };
        let is_same = last.as_ref() == Some(acls);
        if !is_same {
            *last = Some(acls.clone());
        }
        is_same
    }

    fn last(&self, is_dir: bool) -> Option<Arc<Acls>> {
        self.0.get(usize::from(is_dir))?.clone()
    }
}

/// What holding entries costs that are told one after the other, in bytes.
#[derive(Debug, Default)]
pub(crate) struct EntryCosts(LastAcls);

impl EntryCosts {
    /// Of the next one.
    pub(crate) fn next(&mut self, entry: &Entry) -> u64 {
        let acls = entry.extra.as_ref().and_then(|extra| extra.acls.as_ref());
        let acls = acls.filter(|acls| !self.0.next(entry.is_dir(), acls));
        entry_cost(entry) + acls.map_or(0, |acls| acls_cost(acls))
    }

    /// Of all of them.
    pub(crate) fn of<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> u64 {
        let mut costs = EntryCosts::default();
        entries.into_iter().map(|entry| costs.next(entry)).sum()
    }
}

/// What holding ACLs costs.
pub(crate) fn acls_cost(acls: &Acls) -> u64 {
    ACLS_COST + GRANT_COST * acls.grants() as u64
}

/// Whether there is anything in this that another host is told.
pub(crate) fn tells(extra: &Extra) -> bool {
    let Extra { atime, acls, xattrs, group, inode: _, stamp: _ } = extra;
    atime.is_some() || acls.is_some() || !xattrs.is_empty() || group.is_some()
}

pub(crate) fn encode_extra(extra: &Extra, is_dir: bool, last: &mut LastAcls, out: &mut Vec<u8>) {
    let Extra { atime, acls, xattrs: XattrSums { user, other }, group, inode: _, stamp: _ } = extra;
    let acls = acls.as_ref().map(|acls| (acls, last.next(is_dir, acls)));
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    out.push(
        flag(atime.is_some(), ATIME)
            | acls.map_or(0, |(_, is_same)| if is_same { SAME_ACLS } else { ACLS })
            | flag(user.is_some(), USER_XATTRS)
            | flag(other.is_some(), OTHER_XATTRS)
            | flag(group.is_some(), GROUP)
            | flag(group.is_some_and(|group| group.last), LAST_OF_GROUP),
    );
    if let Some(atime) = atime {
        out.put_signed(atime.unix_seconds());
        out.put_varint(atime.nanoseconds().into());
    }
    if let Some((acls, false)) = acls {
        encode_acls(acls, out);
    }
    [user, other].into_iter().flatten().for_each(|sum| out.extend_from_slice(sum));
    if let Some(group) = group {
        out.put_varint(group.number.into());
    }
}

pub(crate) fn decode_extra(
    cursor: &mut Cursor,
    is_dir: bool,
    last: &mut LastAcls,
) -> Result<Option<Box<Extra>>, WireError> {
    let flags = cursor.byte()?;
    if flags & !KNOWN != 0 {
        return Err(WireError::Malformed("entry: what more is told of it is unknown"));
    }
    let mut extra = Extra::default();
    if flags & ATIME != 0 {
        extra.atime = Some(cursor.time()?);
    }
    if flags & SAME_ACLS != 0 {
        let same = last.last(is_dir).ok_or(WireError::Malformed("entry: it shares an ACL with none"))?;
        extra.acls = Some(same);
    } else if flags & ACLS != 0 {
        let acls = Arc::new(decode_acls(cursor)?);
        last.next(is_dir, &acls);
        extra.acls = Some(acls);
    }
    let mut sum = |flag: u8| match flags & flag {
        0 => Ok(None),
        _ => cursor.array("sum of attributes").map(|sum: XattrSum| Some(sum)),
    };
    extra.xattrs = XattrSums { user: sum(USER_XATTRS)?, other: sum(OTHER_XATTRS)? };
    if flags & GROUP != 0 {
        if is_dir {
            return Err(WireError::Malformed("entry: a directory with several names"));
        }
        extra.group = Some(Group { number: cursor.u32()?, last: flags & LAST_OF_GROUP != 0 });
    } else if flags & LAST_OF_GROUP != 0 {
        return Err(WireError::Malformed("entry: it is the last of no group"));
    }
    Ok(extra.boxed())
}

pub(crate) fn encode_acls(acls: &Acls, out: &mut Vec<u8>) {
    let Acls { access, default } = acls;
    out.push(if access.is_some() { ACCESS } else { 0 } | if default.is_some() { DEFAULT } else { 0 });
    if let Some(acl) = access {
        encode_acl(acl, out);
    }
    if let Some(DefaultAcl { user, mask, other, rest }) = default {
        out.extend_from_slice(&[*user, mask.unwrap_or(NO_MASK), *other]);
        encode_acl(rest, out);
    }
}

fn encode_acl(acl: &Acl, out: &mut Vec<u8>) {
    out.push(acl.group);
    for grants in [&acl.users, &acl.groups] {
        out.put_varint(grants.len() as u64);
        for (id, perms) in grants {
            out.put_varint((*id).into());
            out.push(*perms);
        }
    }
}

pub(crate) fn decode_acls(cursor: &mut Cursor) -> Result<Acls, WireError> {
    let flags = cursor.byte()?;
    let access = if flags & ACCESS != 0 { Some(decode_acl(cursor)?) } else { None };
    let default = match flags & DEFAULT {
        0 => None,
        _ => {
            let user = perms(cursor)?;
            let mask = match cursor.byte()? {
                NO_MASK => None,
                mask => Some(checked(mask)?),
            };
            Some(DefaultAcl { user, mask, other: perms(cursor)?, rest: decode_acl(cursor)? })
        }
    };
    Ok(Acls { access, default })
}

fn decode_acl(cursor: &mut Cursor) -> Result<Acl, WireError> {
    Ok(Acl { group: perms(cursor)?, users: grants(cursor)?, groups: grants(cursor)? })
}

fn grants(cursor: &mut Cursor) -> Result<Grants, WireError> {
    let mut grants = Grants::new();
    for _ in 0..cursor.count("ACL", 2, MAX_GRANTS as u64)? {
        let id = cursor.u32()?;
        let is_next = grants.last_key_value().is_none_or(|(last, _)| *last < id);
        // The highest number is nobody's.
        if !is_next || id == u32::MAX {
            return Err(WireError::Malformed("ACL: whom it names"));
        }
        grants.insert(id, perms(cursor)?);
    }
    Ok(grants)
}

fn perms(cursor: &mut Cursor) -> Result<Perms, WireError> {
    checked(cursor.byte()?)
}

fn checked(perms: u8) -> Result<Perms, WireError> {
    if perms <= 7 { Ok(perms) } else { Err(WireError::Malformed("ACL: permissions")) }
}
