//! Extended attributes as bytes, attached to what is sent of an entry.
//!
//! They are held as these bytes until they are set, which bounds the memory they take by the credit of the message.

use crate::tree::xattr::{MAX_XATTR_NAME, MAX_XATTR_VALUE, MAX_XATTRS, is_carried};
use crate::tree::{Xattr, Xattrs};
use crate::wire::WireError;
use crate::wire::codec::{Cursor, Put};
use bytes::Bytes;

/// The most attributes of one entry.
const MOST: u64 = 1 << 16;

/// The most bytes that attributes take: their names and values, and the length of each.
pub(crate) const ATTACHED_LIMIT: u64 = (MAX_XATTRS as u64) + 8 * MOST;

/// Attributes as they are attached: no bytes at all if there are none.
pub(crate) fn encode(xattrs: &Xattrs) -> Bytes {
    let mut out = Vec::new();
    for Xattr { name, value } in xattrs.iter() {
        out.put_bytes(name);
        out.put_bytes(value);
    }
    out.into()
}

/// Reads what is attached to an entry.
///
/// # Errors
/// No honest peer attaches that.
pub(crate) fn decode(attached: Bytes) -> Result<Xattrs, WireError> {
    let mut cursor = Cursor::new(attached);
    let mut xattrs: Vec<Xattr> = Vec::new();
    while !cursor.is_empty() {
        let name = cursor.bytes("name of an attribute", MAX_XATTR_NAME as u64)?;
        let value = cursor.bytes("value of an attribute", MAX_XATTR_VALUE as u64)?;
        let is_next = xattrs.last().is_none_or(|last| *last.name < *name);
        if !is_next || !is_carried(&name) || xattrs.len() as u64 >= MOST {
            return Err(WireError::Malformed("extended attributes"));
        }
        xattrs.push(Xattr { name: name.as_ref().into(), value: value.as_ref().into() });
    }
    Ok(Xattrs::new(xattrs))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn xattr(name: &str, value: &[u8]) -> Xattr {
        Xattr { name: name.as_bytes().into(), value: value.into() }
    }

    #[test]
    fn what_is_attached_is_what_there_is() {
        let xattrs = Xattrs::new(vec![xattr("user.b", &[7; MAX_XATTR_VALUE]), xattr("trusted.a", b"")]);
        assert_eq!(decode(encode(&xattrs)).unwrap(), xattrs);
        assert!(encode(&Xattrs::default()).is_empty());
        assert_eq!(decode(Bytes::new()).unwrap(), Xattrs::default());
    }

    #[test]
    fn names_that_would_set_something_else_are_refused() {
        for bad in ["system.posix_acl_access", "", "user.\0", &"u".repeat(256)] {
            let mut bytes = Vec::new();
            bytes.put_bytes(bad.as_bytes());
            bytes.put_bytes(b"value");
            assert!(decode(bytes.into()).is_err(), "{bad:?}");
        }
        let mut unsorted = encode(&Xattrs::new(vec![xattr("user.b", b"")])).to_vec();
        unsorted.extend_from_slice(&unsorted.clone());
        assert!(decode(unsorted.into()).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            let _ = decode(bytes.into());
        }
    }
}
