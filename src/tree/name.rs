//! One element of a path.

use crate::tree::Escaped;
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// The longest name accepted, in bytes. Linux file systems stop at 255; some others count 255 UTF-16 units, which
/// take up to 765 bytes in UTF-8.
pub const MAX_NAME: usize = 1020;

/// The name of an entry in its directory: any bytes but `/` and NUL, and neither empty, `.` nor `..`.
///
/// Names order by their bytes, which is the order of listings.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Name(Box<[u8]>);

/// Why bytes are no [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// No bytes at all.
    #[error("a name is empty")]
    Empty,
    /// `.` or `..`.
    #[error("a name is {0:?}")]
    Dots(&'static str),
    /// A separator or a NUL inside.
    #[error("the name {0:?} holds a slash or a NUL byte")]
    Separator(String),
    /// Longer than [`MAX_NAME`].
    #[error("a name of {0} bytes is too long")]
    TooLong(usize),
}

impl Name {
    /// Checks `bytes` and makes a name of them.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Name, InvalidName> {
        let bytes = bytes.into();
        match &*bytes {
            b"" => Err(InvalidName::Empty),
            b"." => Err(InvalidName::Dots(".")),
            b".." => Err(InvalidName::Dots("..")),
            long if long.len() > MAX_NAME => Err(InvalidName::TooLong(long.len())),
            other if other.iter().any(|&b| b == b'/' || b == 0) => {
                Err(InvalidName::Separator(Escaped(other).to_string()))
            }
            _ => Ok(Name(bytes)),
        }
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name as the operating system takes it.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

impl TryFrom<Vec<u8>> for Name {
    type Error = InvalidName;
    fn try_from(bytes: Vec<u8>) -> Result<Name, InvalidName> {
        Name::new(bytes)
    }
}

impl From<Name> for Vec<u8> {
    fn from(name: Name) -> Vec<u8> {
        name.0.into_vec()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(&self.0).fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Escaped(&self.0).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_leave_their_directory_are_refused() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"/", b"a\0b", &[b'x'; MAX_NAME + 1]] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn any_other_bytes_are_names() {
        for good in [&b"a"[..], b"...", b".a", b"\xff\xfe", b"-", b" ", b"a\nb", &[b'x'; 255]] {
            assert_eq!(Name::new(good).unwrap().as_bytes(), good);
        }
    }
}
