//! Extended attributes: names with values, and sums by which those of two entries are compared.
//!
//! A listing carries the sums only, so it stays small whatever the values. Those of names in the namespace `user.` are
//! summed apart from all others, since a sink that is not root sets no others and must not miss them.

/// Length of a sum in bytes.
pub const XATTR_SUM_LEN: usize = 16;

/// The longest name, with its namespace (XATTR_NAME_MAX of Linux).
pub const MAX_XATTR_NAME: usize = 255;

/// The longest value in bytes (XATTR_SIZE_MAX of Linux).
pub const MAX_XATTR_VALUE: usize = 64 << 10;

/// The most bytes in the names and values of one entry that are sent. They are held in memory until they are set.
pub const MAX_XATTRS: usize = 1 << 20;

/// What sums of attributes begin with.
const PURPOSE: &str = "dsync 2026 extended attributes of an entry";

/// The attributes of an entry, sorted by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Xattrs(Vec<Xattr>);

/// One attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Xattr {
    /// With its namespace, as in `user.comment`.
    pub name: Box<[u8]>,
    /// Any bytes.
    pub value: Box<[u8]>,
}

/// What stands for attributes where they are compared: BLAKE3, cut to 128 bits, of their names and values.
pub type XattrSum = [u8; XATTR_SUM_LEN];

/// The sums of an entry's attributes; `None` where there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct XattrSums {
    /// Of those that any user may set.
    pub user: Option<XattrSum>,
    /// Of all others.
    pub other: Option<XattrSum>,
}

impl XattrSums {
    /// Those that a run looks at which may set only what any user may.
    pub fn seen_by(self, root: bool) -> XattrSums {
        if root { self } else { XattrSums { other: None, ..self } }
    }

    /// Whether there are no attributes.
    pub fn is_empty(&self) -> bool {
        *self == XattrSums::default()
    }
}

/// Whether any user may set an attribute of this name.
pub fn is_users(name: &[u8]) -> bool {
    name.starts_with(b"user.")
}

/// Whether a name can be one of an attribute that is carried: those of `system.` are no attributes of the user's, but
/// the system's way to tell other things.
pub fn is_carried(name: &[u8]) -> bool {
    (1..=MAX_XATTR_NAME).contains(&name.len()) && !name.contains(&0) && !name.starts_with(b"system.")
}

impl Xattrs {
    /// No attributes.
    pub const NONE: Xattrs = Xattrs(Vec::new());

    /// Sorts attributes. Of two with one name the first counts.
    pub fn new(mut attributes: Vec<Xattr>) -> Xattrs {
        attributes.sort_by(|one, other| one.name.cmp(&other.name));
        attributes.dedup_by(|one, other| one.name == other.name);
        Xattrs(attributes)
    }

    /// Each of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Xattr> {
        self.0.iter()
    }

    /// The value of the attribute of this name.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        let place = self.0.binary_search_by(|xattr| (*xattr.name).cmp(name)).ok()?;
        self.0.get(place).map(|xattr| &*xattr.value)
    }
}

/// Sums attributes, given in the order of their names, one at a time.
#[derive(Debug, Default)]
pub struct XattrSummer {
    user: Option<blake3::Hasher>,
    other: Option<blake3::Hasher>,
}

impl XattrSummer {
    /// Adds one.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        let side = if is_users(name) { &mut self.user } else { &mut self.other };
        let hasher = side.get_or_insert_with(|| blake3::Hasher::new_derive_key(PURPOSE));
        for text in [name, value] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text);
        }
    }

    /// The sums of all that were added.
    pub fn finish(self) -> XattrSums {
        let sum = |hasher: blake3::Hasher| {
            let mut sum = XattrSum::default();
            hasher.finalize_xof().fill(&mut sum);
            sum
        };
        XattrSums { user: self.user.map(sum), other: self.other.map(sum) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(attributes: &[(&str, &str)]) -> XattrSums {
        let mut summer = XattrSummer::default();
        attributes.iter().for_each(|(name, value)| summer.add(name.as_bytes(), value.as_bytes()));
        summer.finish()
    }

    #[test]
    fn names_and_values_count_and_namespaces_are_apart() {
        assert!(sums(&[]).is_empty());
        let one = sums(&[("user.a", "b")]);
        assert!(one.user.is_some() && one.other.is_none());
        for other in [&[("user.ab", "")][..], &[("user.a", "c")], &[("user.a", "b"), ("user.b", "")]] {
            assert_ne!(sums(other).user, one.user, "{other:?}");
        }
        let both = sums(&[("trusted.x", "y"), ("user.a", "b")]);
        assert_eq!(both.user, one.user);
        assert_eq!(both.seen_by(false), one);
        assert_eq!(both.seen_by(true), both);
    }

    #[test]
    fn attributes_are_found_by_name() {
        let xattr =
            |name: &str, value: &str| Xattr { name: name.as_bytes().into(), value: value.as_bytes().into() };
        let xattrs = Xattrs::new(vec![xattr("user.b", "1"), xattr("user.a", "2"), xattr("user.b", "3")]);
        let names: Vec<&[u8]> = xattrs.iter().map(|xattr| &*xattr.name).collect();
        assert_eq!(names, [b"user.a", b"user.b"]);
        assert_eq!(xattrs.get(b"user.b"), Some(&b"1"[..]));
        assert_eq!(xattrs.get(b"user.c"), None);
    }

    #[test]
    fn names_of_the_system_are_not_carried() {
        for (name, carried) in [
            (&b"user.a"[..], true),
            (b"trusted.\xff", true),
            (b"security.capability", true),
            (b"system.posix_acl_access", false),
            (b"", false),
            (b"user.\0", false),
            (&[b'u'; 256], false),
        ] {
            assert_eq!(is_carried(name), carried, "{name:?}");
        }
    }
}
