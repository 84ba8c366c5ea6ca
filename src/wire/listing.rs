//! Listings as bytes, and what stands for them.

use crate::tree::{
    Asked, BUCKET_SUM_LEN, BucketSum, Buckets, Fingerprint, Gid, MAX_BUCKETS, MAX_NAME, Name, Owner, RelPath,
    Uid,
};
use crate::wire::codec::{Cursor, Put};
use crate::wire::entry::{decode_entries, encode_entries};
use crate::wire::extra::{decode_acls, encode_acls};
use crate::wire::message::{MAX_ENTRIES, MAX_OWNERS, MENTIONED_ACLS, MENTIONED_OWNERS};
use crate::wire::{DirId, Expand, Listing, ListingEnd, Mention, OwnerKind, OwnerName, WireError};
use std::sync::Arc;

/// The longest path that may be told as absent.
const PATH_LIMIT: u64 = 64 << 10;

/// The flag of a part where something could not be read.
const BROKEN_PART: u8 = 32;

/// The longest name of a user or group.
const OWNER_LIMIT: u64 = 256;

pub(crate) fn encode_listing(listing: &Listing, out: &mut Vec<u8>) {
    out.push(2);
    let end = match listing.end {
        None => 0,
        Some(ListingEnd::Broken) => 1,
        Some(ListingEnd::Whole) => 2,
        Some(ListingEnd::Part) => 3,
        Some(ListingEnd::BrokenPart) => 3 | BROKEN_PART,
    };
    let same = listing.same.as_bytes();
    let asked = &listing.asked;
    let flags = [(listing.parent.is_some(), 4), (!same.is_empty(), 8), (!asked.is_empty(), 16)];
    out.push(flags.iter().filter(|(is_set, _)| *is_set).fold(end, |byte, (_, flag)| byte | flag));
    out.put_varint(listing.dir.0.into());
    if let Some((dir, index)) = listing.parent {
        out.put_varint(dir.0.into());
        out.put_varint(index.into());
    }
    if !same.is_empty() {
        out.put_bytes(same);
        out.put_varint(listing.same_entries);
    }
    if !asked.is_empty() {
        out.put_varint(asked.absent.len() as u64);
        asked.absent.iter().for_each(|path| out.put_bytes(path.as_bytes()));
        out.put_varint(asked.implied.len() as u64);
        asked.implied.iter().for_each(|name| out.put_bytes(name.as_bytes()));
    }
    encode_owners(&listing.owners, out);
    encode_entries(&listing.entries, out);
}

fn decode_asked(cursor: &mut Cursor) -> Result<Asked, WireError> {
    let absent = (0..cursor.count("list of absent names", 2, MAX_ENTRIES)?)
        .map(|_| Ok(RelPath::new(cursor.bytes("path", PATH_LIMIT)?.as_ref())?))
        .collect::<Result<Vec<_>, WireError>>()?;
    let implied = (0..cursor.count("list of names", 2, MAX_ENTRIES)?)
        .map(|_| Ok(Name::new(cursor.bytes("name", MAX_NAME as u64)?)?))
        .collect::<Result<Vec<_>, WireError>>()?;
    if absent.iter().any(RelPath::is_root) || !implied.is_sorted() {
        return Err(WireError::Malformed("list of names"));
    }
    Ok(Asked { absent, implied })
}

pub(crate) fn decode_listing(cursor: &mut Cursor) -> Result<Listing, WireError> {
    let flags = cursor.byte()?;
    let end = match flags & 3 {
        0 => None,
        1 => Some(ListingEnd::Broken),
        2 => Some(ListingEnd::Whole),
        _ if flags & BROKEN_PART != 0 => Some(ListingEnd::BrokenPart),
        _ => Some(ListingEnd::Part),
    };
    let dir = DirId(cursor.u32()?);
    let parent = if flags & 4 != 0 { Some((DirId(cursor.u32()?), cursor.u32()?)) } else { None };
    let (same, same_entries) = match flags & 8 {
        0 => (Buckets::default(), 0),
        _ => {
            let bytes = cursor.bytes("list of buckets", MAX_BUCKETS.div_ceil(8) as u64)?;
            (Buckets::from_bytes(&bytes), cursor.varint()?)
        }
    };
    let asked = if flags & 16 != 0 { decode_asked(cursor)? } else { Asked::default() };
    let (owners, entries) = (decode_owners(cursor)?, decode_entries(cursor)?);
    Ok(Listing { dir, parent, same, same_entries, entries, owners, asked, end })
}

pub(crate) fn encode_mention(mention: &Mention, out: &mut Vec<u8>) {
    out.push(17);
    let has_acls = u8::from(!mention.acls.is_empty());
    out.push(
        u8::from(mention.fingerprint.is_some()) | u8::from(mention.parent.is_some()) << 1 | has_acls << 2,
    );
    out.put_varint(mention.dir.0.into());
    if let Some((dir, index)) = mention.parent {
        // The parent is never far away.
        out.put_varint(mention.dir.0.wrapping_sub(dir.0).into());
        out.put_varint(index.into());
    }
    if let Some(Fingerprint(bytes)) = &mention.fingerprint {
        out.extend_from_slice(bytes);
    }
    out.put_varint(mention.owned_by.len() as u64);
    for owner in &mention.owned_by {
        out.put_varint(owner.uid.0.into());
        out.put_varint(owner.gid.0.into());
    }
    if !mention.acls.is_empty() {
        out.put_varint(mention.acls.len() as u64);
        mention.acls.iter().for_each(|acls| encode_acls(acls, out));
    }
    encode_owners(&mention.owners, out);
}

pub(crate) fn decode_mention(cursor: &mut Cursor) -> Result<Mention, WireError> {
    let flags = cursor.byte()?;
    let dir = cursor.u32()?;
    let parent = match flags & 2 {
        0 => None,
        _ => Some((DirId(dir.wrapping_sub(cursor.u32()?)), cursor.u32()?)),
    };
    let fingerprint = match flags & 1 {
        0 => None,
        _ => Some(Fingerprint(cursor.array("fingerprint")?)),
    };
    let owned_by = (0..cursor.count("list of owners", 2, MENTIONED_OWNERS as u64)?)
        .map(|_| Ok(Owner { uid: Uid(cursor.u32()?), gid: Gid(cursor.u32()?) }))
        .collect::<Result<_, WireError>>()?;
    let acls: Vec<_> = match flags & 4 {
        0 => Vec::new(),
        _ => (0..cursor.count("list of ACLs", 1, MENTIONED_ACLS as u64)?)
            .map(|_| decode_acls(cursor).map(Arc::new))
            .collect::<Result<_, _>>()?,
    };
    let owners = decode_owners(cursor)?;
    // A user and a group each, and whom ACLs name.
    if owners.len() > 2 * MENTIONED_OWNERS + acls.iter().map(|acls| acls.grants()).sum::<usize>() {
        return Err(WireError::Malformed("mention: it names too many owners"));
    }
    Ok(Mention { dir: DirId(dir), parent, fingerprint, owned_by, acls, owners })
}

pub(crate) fn encode_expand(expand: &Expand, out: &mut Vec<u8>) {
    out.push(18);
    out.push(expand.below.into());
    out.put_varint(expand.dir.0.into());
    out.put_varint(expand.sums.len() as u64);
    expand.sums.iter().for_each(|sum| out.extend_from_slice(&sum.0));
}

pub(crate) fn decode_expand(cursor: &mut Cursor) -> Result<Expand, WireError> {
    let (below, dir) = (cursor.byte()? != 0, DirId(cursor.u32()?));
    let sums = (0..cursor.count("list of buckets", BUCKET_SUM_LEN, MAX_BUCKETS as u64)?)
        .map(|_| cursor.array("sum of a bucket").map(BucketSum))
        .collect::<Result<_, _>>()?;
    Ok(Expand { dir, below, sums })
}

pub(crate) fn encode_owners(owners: &[OwnerName], out: &mut Vec<u8>) {
    out.put_varint(owners.len() as u64);
    for owner in owners {
        out.push(u8::from(owner.kind == OwnerKind::Group));
        out.put_varint(owner.id.into());
        out.put_bytes(&owner.name);
    }
}

pub(crate) fn decode_owners(cursor: &mut Cursor) -> Result<Vec<OwnerName>, WireError> {
    (0..cursor.count("list of owners", 3, MAX_OWNERS)?)
        .map(|_| {
            let kind = if cursor.byte()? == 0 { OwnerKind::User } else { OwnerKind::Group };
            Ok(OwnerName {
                kind,
                id: cursor.u32()?,
                name: Box::from(cursor.bytes("owner's name", OWNER_LIMIT)?.as_ref()),
            })
        })
        .collect()
}
