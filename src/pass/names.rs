//! Owners across hosts: numbers travel in entries, and the name behind each number travels once.

use crate::fs::Owners;
use crate::tree::{Acls, Entry, Extra, Meta, Owner};
use crate::wire::{OwnerKind, OwnerName};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// At the source: which names were sent already.
#[derive(Debug, Default)]
pub(crate) struct Names {
    sent: HashSet<(OwnerKind, u32)>,
}

impl Names {
    /// The names of `owners` that were not returned before.
    pub(crate) fn new_ones(&mut self, owners: &Owners, of: impl Iterator<Item = Owner>) -> Vec<OwnerName> {
        // Most entries of a directory have the owner of the one before.
        let mut last = None;
        let of = of.filter(|of| last.replace(*of) != Some(*of));
        self.of(owners, of.flat_map(|of| [(OwnerKind::User, of.uid), (OwnerKind::Group, of.gid)]))
    }

    /// The same of those whom these ACLs name.
    pub(crate) fn named_in<'a>(
        &mut self,
        owners: &Owners,
        acls: impl Iterator<Item = &'a Arc<Acls>>,
    ) -> Vec<OwnerName> {
        let mut last: Option<&Arc<Acls>> = None;
        let acls = acls.filter(|acls| !last.replace(*acls).is_some_and(|last| Arc::ptr_eq(last, acls)));
        let all = acls.flat_map(|acls| {
            let access = acls.access.as_ref();
            access.into_iter().chain(acls.default.as_ref().map(|default| &default.rest))
        });
        self.of(
            owners,
            all.flat_map(|acl| {
                let users = acl.users.keys().map(|id| (OwnerKind::User, *id));
                users.chain(acl.groups.keys().map(|id| (OwnerKind::Group, *id)))
            }),
        )
    }

    fn of(&mut self, owners: &Owners, of: impl Iterator<Item = (OwnerKind, u32)>) -> Vec<OwnerName> {
        let mut new = Vec::new();
        for (kind, id) in of {
            if !self.sent.insert((kind, id)) {
                continue;
            }
            let name = match kind {
                OwnerKind::User => owners.user_name(id),
                OwnerKind::Group => owners.group_name(id),
            };
            new.extend(name.map(|name| OwnerName { kind, id, name: name.into() }));
        }
        new
    }
}

/// At the sink: what the source's numbers are here.
#[derive(Debug)]
pub(crate) struct OwnerMap {
    owners: Owners,
    numeric: bool,
    here: Mutex<HashMap<(OwnerKind, u32), u32>>,
}

/// The most owners a run may name: beyond any host's, and a bound for what a peer can make this side remember.
const LIMIT: usize = 1 << 20;

impl OwnerMap {
    pub(crate) fn new(numeric: bool) -> Result<OwnerMap, crate::fs::Error> {
        Ok(OwnerMap { owners: Owners::new()?, numeric, here: Mutex::default() })
    }

    /// What this host knows about owners.
    pub(crate) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Takes names that came with a listing. A name this host does not have leaves its number as it is, and so does
    /// a lookup that fails; number 0 is the same user everywhere.
    pub(crate) fn learn(&self, names: &[OwnerName]) {
        if self.numeric {
            return;
        }
        for OwnerName { kind, id, name } in names {
            if *id == 0 {
                continue;
            }
            let here = match kind {
                OwnerKind::User => self.owners.user_id(name),
                OwnerKind::Group => self.owners.group_id(name),
            };
            let mut known = self.here.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(Some(here)) = here
                && known.len() < LIMIT
            {
                known.insert((*kind, *id), here);
            }
        }
    }

    /// The entry with this host's numbers.
    pub(crate) fn translate(&self, mut entry: Entry) -> Entry {
        entry.meta = self.translate_meta(entry.meta);
        entry.extra = self.translate_extra(entry.extra);
        entry
    }

    /// What more is told of an entry, with this host's numbers.
    pub(crate) fn translate_extra(&self, mut extra: Option<Box<Extra>>) -> Option<Box<Extra>> {
        if let Some(acls) = extra.as_mut().and_then(|extra| extra.acls.as_mut()) {
            *acls = self.translate_acls(acls);
        }
        extra
    }

    /// ACLs by this host's numbers.
    pub(crate) fn translate_acls(&self, acls: &Arc<Acls>) -> Arc<Acls> {
        let known = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() || acls.grants() == 0 {
            return acls.clone();
        }
        let here = |kind, id| known.get(&(kind, id)).copied().unwrap_or(id);
        Arc::new(acls.renumbered(|id| here(OwnerKind::User, id), |id| here(OwnerKind::Group, id)))
    }

    /// The attributes with this host's numbers.
    pub(crate) fn translate_meta(&self, meta: Meta) -> Meta {
        let Owner { uid, gid } = self.translate_owner(meta.owner());
        Meta { uid, gid, ..meta }
    }

    /// An owner by this host's numbers.
    pub(crate) fn translate_owner(&self, owner: Owner) -> Owner {
        let known = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return owner;
        }
        let here = |kind, id| known.get(&(kind, id)).copied().unwrap_or(id);
        Owner { uid: here(OwnerKind::User, owner.uid), gid: here(OwnerKind::Group, owner.gid) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_told_once_whoever_comes_before() {
        let owners = Owners::new().unwrap();
        let of = |numbers: &[(u32, u32)]| {
            numbers.iter().map(|&(uid, gid)| Owner { uid, gid }).collect::<Vec<_>>().into_iter()
        };
        let mut names = Names::default();
        let mut told = |numbers: &[(u32, u32)]| -> Vec<(OwnerKind, u32)> {
            names.new_ones(&owners, of(numbers)).iter().map(|name| (name.kind, name.id)).collect()
        };
        let user = |id| owners.user_name(id).map(|_| (OwnerKind::User, id));
        let group = |id| owners.group_name(id).map(|_| (OwnerKind::Group, id));
        let expected: Vec<_> =
            [user(0), group(0), user(1), group(1), user(2)].into_iter().flatten().collect();
        assert_eq!(told(&[(0, 0), (0, 0), (1, 0), (0, 1), (0, 0), (2, 0)]), expected);
        let expected: Vec<_> = group(2).into_iter().collect();
        assert_eq!(told(&[(2, 2), (1, 1), (2, 2)]), expected);
    }
}
