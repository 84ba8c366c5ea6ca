//! One element of a path.

use crate::tree::Escaped;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;

/// The longest name accepted, in bytes. Linux file systems stop at 255; some others count 255 UTF-16 units, which
/// take up to 765 bytes in UTF-8.
pub const MAX_NAME: usize = 1020;

/// The name of an entry in its directory: any bytes but `/` and NUL, and neither empty, `.` nor `..`.
///
/// Names order by their bytes, which is the order of listings. Short ones, which most are, take no memory of their own:
/// a run handles several for each file it looks at.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct Name(Text);

#[derive(Clone)]
enum Text {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

/// Bytes that fit in a name itself: as many as make it three words long.
const SHORT: usize = 22;

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
    pub fn new(bytes: impl AsRef<[u8]>) -> Result<Name, InvalidName> {
        let bytes = bytes.as_ref();
        match bytes {
            b"" => Err(InvalidName::Empty),
            b"." => Err(InvalidName::Dots(".")),
            b".." => Err(InvalidName::Dots("..")),
            long if long.len() > MAX_NAME => Err(InvalidName::TooLong(long.len())),
            other if other.iter().any(|&b| b == b'/' || b == 0) => {
                Err(InvalidName::Separator(Escaped(other).to_string()))
            }
            _ => Ok(Name(Text::new(bytes))),
        }
    }

    /// The bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Text::Long(bytes) => bytes,
        }
    }

    /// The name as the operating system takes it.
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.as_bytes())
    }
}

impl Text {
    fn new(name: &[u8]) -> Text {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..name.len()), u8::try_from(name.len())) {
            (Some(start), Ok(len)) => {
                start.copy_from_slice(name);
                Text::Short { len, bytes }
            }
            _ => Text::Long(name.into()),
        }
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
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
        name.as_bytes().to_vec()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Escaped(self.as_bytes()).fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Escaped(self.as_bytes()).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn any_name() -> impl Strategy<Value = Vec<u8>> {
        vec(b'a'..b'd', 1..SHORT * 2)
    }

    proptest! {
        #[test]
        fn short_and_long_names_are_and_compare_as_their_bytes(a in any_name(), b in any_name()) {
            let (one, other) = (Name::new(&a).unwrap(), Name::new(&b).unwrap());
            prop_assert_eq!(one.as_bytes(), &a[..]);
            prop_assert_eq!(one.cmp(&other), a.cmp(&b));
            prop_assert_eq!(one == other, a == b);
            prop_assert_eq!(Vec::from(one), a);
        }
    }

    #[test]
    fn a_name_is_three_words() {
        assert_eq!(size_of::<Name>(), 3 * size_of::<usize>());
    }

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
