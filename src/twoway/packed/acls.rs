//! Who is meant by the numbers in ACLs.
//!
//! A record has the sum of an ACL, which is over the numbers of the host that it is on. So whoever tells of one that
//! names somebody tells the ACL itself, too, once in a batch; whoever hears it puts the [numbers](OwnerMap) of its own
//! host in the place of the others, and the sum of that in the place of the one that was told.

use crate::pass::OwnerMap;
use crate::tree::{Acls, Gid, Uid};
use crate::twoway::exchange::Garbled;
use crate::twoway::facet::{Extended, Facet, FacetSum, Register, Value};
use crate::twoway::packed::owners::{Named, Numbers};
use crate::wire::OwnerKind;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// How many bytes an ACL takes for each whom it names.
const GRANT: usize = 8;

/// ACLs that name somebody, with their sums at who tells of them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ToldAcls(Vec<([u8; 16], Vec<u8>)>);

/// The ACLs that were heard of with the numbers of this host, by the sums that were told of them.
#[derive(Debug, Default)]
pub struct HeardAcls(HashMap<FacetSum, Value>);

/// The ACLs that a value is.
fn acls_in(value: &Value) -> Option<&Acls> {
    if let Value::Acls(acls) = value { acls.as_ref() } else { None }
}

/// The same attributes with the numbers of this host.
fn translated(value: Value, owners: &OwnerMap) -> Value {
    match value {
        Value::Acls(Some(acls)) => Value::Acls(Some(Acls::clone(&owners.translate_acls(&Arc::new(acls))))),
        other => other,
    }
}

/// Whether an ACL names somebody who has a name that others are told.
pub(super) fn names_anybody(value: &Value, owners: &OwnerMap) -> bool {
    acls_in(value).is_some_and(|acls| {
        acls.named_users().any(|Uid(id)| owners.name(OwnerKind::User, id).is_some())
            || acls.named_groups().any(|Gid(id)| owners.name(OwnerKind::Group, id).is_some())
    })
}

impl ToldAcls {
    /// Adds one, with those whom it names. Returns how many bytes that takes.
    pub(super) fn add(&mut self, FacetSum(sum): FacetSum, value: &Value, numbers: &mut Numbers) -> usize {
        if self.0.iter().any(|(known, _)| *known == sum) {
            return 0;
        }
        let bytes = value.encode();
        numbers.add_named(acls_in(value));
        let size = bytes.len().saturating_mul(4).saturating_add(16);
        self.0.push((sum, bytes));
        size
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many they can name.
    pub(super) fn grants(&self) -> usize {
        self.0.iter().map(|(_, bytes)| bytes.len() / GRANT).sum()
    }

    /// Hears them, once those are learnt whom they name.
    pub(super) fn hear(&self, owners: &OwnerMap) -> Result<HeardAcls, Garbled> {
        let hear = |(sum, bytes): &([u8; 16], Vec<u8>)| {
            let value = Value::decode(Facet::Acls, bytes).map_err(|_| Garbled("an ACL that cannot be"))?;
            let told = FacetSum(*sum);
            match value.sum(Facet::Acls) == Some(told) {
                true => Ok((told, translated(value, owners))),
                false => Err(Garbled("an ACL with another's sum")),
            }
        };
        self.0.iter().map(hear).collect::<Result<_, _>>().map(HeardAcls)
    }
}

impl HeardAcls {
    /// Puts sums of this host in the place of those that were told.
    pub(super) fn translate(&self, extended: &mut Extended) {
        let Some(register) = extended.get(Facet::Acls) else { return };
        if let Some(value) = register.sum.and_then(|told| self.0.get(&told)) {
            let version = register.version.clone();
            extended.set(Facet::Acls, Register { sum: value.sum(Facet::Acls), version });
        }
    }

    /// Each of them, with its sum here.
    pub fn into_values(self) -> impl Iterator<Item = (FacetSum, Value)> {
        self.0.into_values().filter_map(|value| Some((value.sum(Facet::Acls)?, value)))
    }
}

/// Values of facets on their way, with the names of those whom ACLs among them name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ToldValues {
    owners: Named,
    values: Vec<(Facet, Vec<u8>)>,
}

/// Puts them together.
#[derive(Default)]
pub struct TellingValues {
    numbers: Numbers,
    values: Vec<(Facet, Vec<u8>)>,
    size: usize,
}

impl TellingValues {
    /// Adds one.
    pub fn add(&mut self, facet: Facet, value: &Value) {
        let bytes = value.encode();
        self.numbers.add_named(acls_in(value));
        self.size = self.size.saturating_add(bytes.len());
        self.values.push((facet, bytes));
    }

    /// About how many bytes they take.
    pub fn size(&self) -> usize {
        self.size
    }

    /// What was added since this was last called.
    pub(crate) fn take(&mut self, owners: &OwnerMap) -> ToldValues {
        let TellingValues { numbers, values, .. } = std::mem::take(self);
        ToldValues { owners: numbers.named(owners), values }
    }
}

impl ToldValues {
    /// The values with the numbers of this host. What is no value is left out.
    pub(crate) fn hear(self, owners: &OwnerMap) -> Result<Vec<(Facet, Value)>, Garbled> {
        let ToldValues { owners: named, values } = self;
        named.learn(values.iter().map(|(_, bytes)| bytes.len() / GRANT).sum(), owners)?;
        let hear = |(facet, bytes): (Facet, Vec<u8>)| {
            Some((facet, translated(Value::decode(facet, &bytes).ok()?, owners)))
        };
        Ok(values.into_iter().filter_map(hear).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Options;
    use crate::tree::{Acl, Perms};

    fn acl(user: u32) -> Value {
        let users = [(user, Perms::default())].into_iter().collect();
        let access = Acl { group: Perms::default(), users, ..Acl::default() };
        Value::Acls(Some(Acls { access: Some(access), default: None }))
    }

    fn map() -> OwnerMap {
        OwnerMap::new(&Options::default()).unwrap().0
    }

    fn of_root() -> Named {
        let numbers = |id| postcard::to_stdvec(&[vec![(id, "root")], Vec::<(u32, &str)>::new()]).unwrap();
        postcard::from_bytes(&numbers(4242_u32)).unwrap()
    }

    #[test]
    fn sums_are_over_the_numbers_of_the_host() {
        let owners = map();
        let there = acl(4242).sum(Facet::Acls);
        let mut told = ToldAcls::default();
        assert!(told.add(there.unwrap(), &acl(4242), &mut Numbers::default()) > 0);
        assert_eq!(told.add(there.unwrap(), &acl(4242), &mut Numbers::default()), 0, "once");
        of_root().learn(told.grants(), &owners).unwrap();
        let heard = told.hear(&owners).unwrap();
        let register = |sum| Register { sum, version: Arc::default() };
        let mut extended = Extended::default();
        extended.set(Facet::Acls, register(there));
        heard.translate(&mut extended);
        assert_eq!(extended.get(Facet::Acls), Some(&register(acl(0).sum(Facet::Acls))));
        extended.set(Facet::Acls, register(acl(7).sum(Facet::Acls)));
        heard.translate(&mut extended);
        assert_eq!(extended.get(Facet::Acls), Some(&register(acl(7).sum(Facet::Acls))));
        let values: Vec<_> = heard.into_values().collect();
        assert_eq!(values, [(acl(0).sum(Facet::Acls).unwrap(), acl(0))]);
    }

    #[test]
    fn what_is_no_acl_or_has_another_sum_is_refused() {
        let sum = acl(1).sum(Facet::Acls).unwrap();
        assert!(ToldAcls(vec![(sum.0, acl(2).encode())]).hear(&map()).is_err());
        assert!(ToldAcls(vec![(sum.0, vec![1, 2, 3])]).hear(&map()).is_err());
    }

    #[test]
    fn values_name_whom_this_host_means() {
        let owners = map();
        let told = ToldValues {
            owners: of_root(),
            values: vec![(Facet::Acls, acl(4242).encode()), (Facet::Acls, vec![9])],
        };
        assert_eq!(told.hear(&owners).unwrap(), [(Facet::Acls, acl(0))]);
        let too_many = ToldValues { owners: of_root(), values: Vec::new() };
        assert!(too_many.hear(&map()).is_err());
    }
}
