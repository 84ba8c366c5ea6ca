//! What a facet's sum is the sum of: read from an entry, told, stored.

use crate::fs::{self, Dir, Error};
use crate::tree::xattr::{MAX_XATTR_VALUE, MAX_XATTRS, is_carried, is_users};
use crate::tree::{Acl, Acls, DefaultAcl, Extra, RelPath, Xattr, XattrSummer, Xattrs};
use crate::twoway::facet::{Facet, FacetSum, Facets, Seen, Visible};
use std::collections::BTreeMap;

/// What sums of ACLs begin with.
const PURPOSE: &str = "dsync 2026 access control lists of an entry";

/// The attributes of one facet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Of [`Facet::Acls`].
    Acls(Option<Acls>),
    /// Of the others.
    Xattrs(Xattrs),
}

/// Bytes that are the value of no facet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("they are no attributes that can be")]
pub struct InvalidValue;

/// A value as it is told and stored: names and values of extended attributes, or the system's own form of both ACLs.
type Told = Vec<(Vec<u8>, Vec<u8>)>;

const ACCESS: &[u8] = b"access";
const DEFAULT: &[u8] = b"default";

/// The sums of these facets in what was seen of an entry.
pub fn sums_of(facets: Facets, extra: Option<&Extra>) -> Seen {
    let sum = |facet| match facet {
        Facet::Acls => extra?.acls.as_deref().map(sum_of_acls),
        Facet::Xattrs => extra?.xattrs.user.map(FacetSum),
        Facet::RootXattrs => extra?.xattrs.other.map(FacetSum),
        // That shows in no entry by itself.
        Facet::Links => None,
    };
    facets.attributes().iter().map(|facet| (facet, sum(facet))).collect()
}

/// Both ACLs without what the permission bits say.
fn parts(acls: &Acls) -> Told {
    let access = acls.access.as_ref().map(|acl| (ACCESS.to_vec(), acl.to_bytes(0)));
    let default = acls.default.as_ref().map(|acl| (DEFAULT.to_vec(), acl.to_bytes()));
    access.into_iter().chain(default).collect()
}

fn sum_of_acls(acls: &Acls) -> FacetSum {
    let mut hasher = blake3::Hasher::new_derive_key(PURPOSE);
    for (name, bytes) in parts(acls) {
        for text in [name, bytes] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(&text);
        }
    }
    let mut sum = [0; 16];
    hasher.finalize_xof().fill(&mut sum);
    FacetSum(sum)
}

impl Value {
    /// That of an entry without such attributes.
    pub fn none(facet: Facet) -> Value {
        match facet {
            Facet::Acls => Value::Acls(None),
            Facet::Xattrs | Facet::RootXattrs | Facet::Links => Value::Xattrs(Xattrs::NONE),
        }
    }

    /// Its sum.
    pub fn sum(&self, facet: Facet) -> Option<FacetSum> {
        let xattrs = match self {
            Value::Acls(acls) => return acls.as_ref().map(sum_of_acls),
            Value::Xattrs(xattrs) => xattrs,
        };
        let mut summer = XattrSummer::default();
        xattrs.iter().for_each(|xattr| summer.add(&xattr.name, &xattr.value));
        let sums = summer.finish();
        if facet == Facet::RootXattrs { sums.other } else { sums.user }.map(FacetSum)
    }

    /// Reads what of it is visible, by what looks at ACLs and what reads extended attributes.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(
        (facet, visible): (Facet, &Visible),
        extra: impl FnOnce(&fs::Look) -> Result<Option<Box<Extra>>, Error>,
        xattrs: impl FnOnce(fs::XattrNames) -> Result<Xattrs, Error>,
    ) -> Result<Value, Error> {
        let only = Facets::from_iter([facet]);
        match visible.names_of(only) {
            None if only.attributes().is_empty() => Ok(Value::none(facet)),
            None => {
                let seen = extra(&visible.look_for(only))?;
                Ok(Value::Acls(seen.and_then(|extra| extra.acls).map(|acls| Acls::clone(&acls))))
            }
            Some(names) => Ok(Value::Xattrs(of_facet(&xattrs(names)?, facet))),
        }
    }

    /// Reads what of it is visible, from what is at a path below a directory, or is that directory.
    ///
    /// # Errors
    /// Those of reading, or nothing is there.
    pub fn at(root: &Dir, path: &RelPath, facet: (Facet, &Visible)) -> Result<Value, Error> {
        let Some((parent, name)) = path.split_last() else {
            return Value::read(facet, |look| root.own_extra(look), |names| root.own_xattrs(&names));
        };
        let dir = root.open_beneath(&parent)?;
        let gone = || Error { doing: "looking at", source: std::io::ErrorKind::NotFound.into() };
        let kind = dir.entry(&name)?.ok_or_else(gone)?.kind();
        Value::read(facet, |look| dir.extra(&name, kind, look), |names| dir.xattrs(&name, kind, &names))
    }

    /// Whether this is what an entry may have while its attributes are being changed from one value to another: each of
    /// them that of before, or that of after.
    pub(in crate::twoway) fn is_between(&self, before: &Value, after: &Value) -> bool {
        let parts = [self, before, after].map(Value::by_name);
        let [now, before, after] = &parts;
        parts.iter().flat_map(BTreeMap::keys).all(|name| {
            let now = now.get(name);
            now == before.get(name) || now == after.get(name)
        })
    }

    /// What is set in one step each.
    fn by_name(&self) -> BTreeMap<Vec<u8>, Vec<u8>> {
        self.told().into_iter().collect()
    }

    /// As it is told and stored.
    pub fn encode(&self) -> Vec<u8> {
        // Nothing in it has a length that is not known, so there is nothing to fail.
        postcard::to_stdvec(&self.told()).unwrap_or_default()
    }

    fn told(&self) -> Told {
        match self {
            Value::Acls(acls) => acls.as_ref().map(parts).unwrap_or_default(),
            Value::Xattrs(xattrs) => {
                xattrs.iter().map(|xattr| (xattr.name.to_vec(), xattr.value.to_vec())).collect()
            }
        }
    }

    /// Reads what was told or stored.
    ///
    /// # Errors
    /// It is no value of that facet.
    pub fn decode(facet: Facet, bytes: &[u8]) -> Result<Value, InvalidValue> {
        let told: Told = postcard::from_bytes(bytes).map_err(|_| InvalidValue)?;
        if facet == Facet::Links {
            return Err(InvalidValue);
        }
        if facet == Facet::Acls {
            return acls(told);
        }
        let mut len = 0_usize;
        for (name, value) in &told {
            len = len.saturating_add(name.len()).saturating_add(value.len());
            let is_its_own = is_users(name) == (facet == Facet::Xattrs);
            if !is_carried(name) || !is_its_own || value.len() > MAX_XATTR_VALUE || len > MAX_XATTRS {
                return Err(InvalidValue);
            }
        }
        let xattrs = told.into_iter().map(|(name, value)| Xattr { name: name.into(), value: value.into() });
        Ok(Value::Xattrs(Xattrs::new(xattrs.collect())))
    }
}

fn acls(told: Told) -> Result<Value, InvalidValue> {
    let mut acls = Acls::default();
    for (name, bytes) in told {
        match &*name {
            ACCESS => acls.access = Acl::from_bytes(&bytes).map_err(|_| InvalidValue)?,
            DEFAULT => acls.default = DefaultAcl::from_bytes(&bytes).map_err(|_| InvalidValue)?,
            _ => return Err(InvalidValue),
        }
    }
    Ok(Value::Acls((acls != Acls::default()).then_some(acls)))
}

/// Those attributes that are of this facet.
pub(in crate::twoway) fn of_facet(xattrs: &Xattrs, facet: Facet) -> Xattrs {
    let is_its_own = |xattr: &&Xattr| is_users(&xattr.name) == (facet == Facet::Xattrs);
    Xattrs::new(xattrs.iter().filter(is_its_own).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn xattr(name: &str, value: &str) -> Xattr {
        Xattr { name: name.as_bytes().into(), value: value.as_bytes().into() }
    }

    fn an_acl(user: u32) -> Acl {
        Acl { group: 4, users: BTreeMap::from([(user, 6)]), groups: BTreeMap::new() }
    }

    #[test]
    fn values_come_back_and_have_sums_of_their_own() {
        let acls = |access, default| Value::Acls(Some(Acls { access, default }));
        let default = DefaultAcl { user: 7, mask: Some(5), other: 1, rest: an_acl(1) };
        let values = [
            (Facet::Acls, Value::none(Facet::Acls)),
            (Facet::Acls, acls(Some(an_acl(1)), None)),
            (Facet::Acls, acls(Some(an_acl(2)), None)),
            (Facet::Acls, acls(None, Some(default.clone()))),
            (Facet::Acls, acls(Some(an_acl(1)), Some(default))),
            (Facet::Xattrs, Value::none(Facet::Xattrs)),
            (Facet::Xattrs, Value::Xattrs(Xattrs::new(vec![xattr("user.a", "1"), xattr("user.b", "")]))),
            (Facet::RootXattrs, Value::Xattrs(Xattrs::new(vec![xattr("trusted.a", "1")]))),
        ];
        for (facet, value) in &values {
            assert_eq!(Value::decode(*facet, &value.encode()).as_ref(), Ok(value));
            assert_eq!(value.sum(*facet).is_none(), *value == Value::none(*facet));
        }
        let mut sums: Vec<_> = values.iter().filter_map(|(facet, value)| value.sum(*facet)).collect();
        let count = sums.len();
        sums.sort_unstable();
        sums.dedup();
        assert_eq!(sums.len(), count);
    }

    #[test]
    fn what_is_half_set_is_told_from_an_edit() {
        let value = |all: &[(&str, &str)]| {
            Value::Xattrs(Xattrs::new(all.iter().map(|(name, value)| xattr(name, value)).collect()))
        };
        let (before, after) =
            (value(&[("user.a", "1"), ("user.b", "1")]), value(&[("user.b", "2"), ("user.c", "2")]));
        for now in [&[("user.b", "1")][..], &[("user.b", "2")], &[("user.b", "1"), ("user.c", "2")]] {
            assert!(value(now).is_between(&before, &after), "{now:?}");
        }
        for now in [&[("user.b", "3")][..], &[("user.a", "1")], &[("user.b", "2"), ("user.d", "2")]] {
            assert!(!value(now).is_between(&before, &after), "{now:?}");
        }
        let default = DefaultAcl { user: 7, mask: Some(5), other: 1, rest: an_acl(1) };
        let acls = |access, default| Value::Acls(Some(Acls { access, default }));
        let after = acls(Some(an_acl(1)), Some(default));
        assert!(acls(Some(an_acl(1)), None).is_between(&Value::none(Facet::Acls), &after));
        assert!(!acls(Some(an_acl(2)), None).is_between(&Value::none(Facet::Acls), &after));
    }

    #[test]
    fn values_of_another_facet_are_refused() {
        let users = Value::Xattrs(Xattrs::new(vec![xattr("user.a", "1")])).encode();
        let roots = Value::Xattrs(Xattrs::new(vec![xattr("trusted.a", "1")])).encode();
        let systems = Value::Xattrs(Xattrs::new(vec![xattr("system.posix_acl_access", "1")])).encode();
        for (facet, bytes) in [
            (Facet::Acls, &users),
            (Facet::RootXattrs, &users),
            (Facet::Xattrs, &roots),
            (Facet::Xattrs, &systems),
            (Facet::RootXattrs, &systems),
        ] {
            assert_eq!(Value::decode(facet, bytes), Err(InvalidValue));
        }
        let long = "x".repeat(MAX_XATTR_VALUE);
        let many = (0..20).map(|n| xattr(&format!("user.{n}"), &long)).collect();
        assert_eq!(
            Value::decode(Facet::Xattrs, &Value::Xattrs(Xattrs::new(many)).encode()),
            Err(InvalidValue)
        );
    }

    proptest! {
        #[test]
        fn nothing_that_arrives_makes_it_panic(bytes in any::<Vec<u8>>()) {
            for facet in Facet::ALL {
                if let Ok(value) = Value::decode(facet, &bytes) {
                    let _ = value.sum(facet);
                }
            }
        }
    }
}
