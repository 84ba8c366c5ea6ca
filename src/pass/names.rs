//! Owners across hosts: numbers travel in entries, and the name behind each number travels once.

use crate::fs::Owners;
use crate::tree::{Entry, Meta, Owner};
use crate::wire::{OwnerKind, OwnerName};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// At the source: which names were sent already.
#[derive(Debug, Default)]
pub(crate) struct Names {
    sent: HashSet<(OwnerKind, u32)>,
}

impl Names {
    /// The names of `owners` that were not returned before.
    pub(crate) fn new_ones(&mut self, owners: &Owners, of: impl Iterator<Item = Owner>) -> Vec<OwnerName> {
        let mut new = Vec::new();
        for (kind, id) in of.flat_map(|of| [(OwnerKind::User, of.uid), (OwnerKind::Group, of.gid)]) {
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
        entry
    }

    /// The attributes with this host's numbers.
    pub(crate) fn translate_meta(&self, meta: Meta) -> Meta {
        let Owner { uid, gid } = self.translate_owner(meta.owner());
        Meta { uid, gid, ..meta }
    }

    /// An owner by this host's numbers.
    pub(crate) fn translate_owner(&self, owner: Owner) -> Owner {
        let known = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        let here = |kind, id| known.get(&(kind, id)).copied().unwrap_or(id);
        Owner { uid: here(OwnerKind::User, owner.uid), gid: here(OwnerKind::Group, owner.gid) }
    }
}
