//! Owners across hosts: numbers travel in entries, and the name behind each number travels once.

use crate::fs::Owners;
use crate::tree::{Entry, Meta};
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
    pub(crate) fn new_ones<'a>(
        &mut self,
        owners: &Owners,
        metas: impl Iterator<Item = &'a Meta>,
    ) -> Vec<OwnerName> {
        let mut new = Vec::new();
        for (kind, id) in metas.flat_map(numbers) {
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

    /// Whether more than `limit` owners of `metas` were not returned before.
    pub(crate) fn are_more_new_than<'a>(&self, limit: usize, metas: impl Iterator<Item = &'a Meta>) -> bool {
        let mut new = HashSet::new();
        metas
            .flat_map(numbers)
            .any(|owner| !self.sent.contains(&owner) && new.insert(owner) && new.len() > limit)
    }
}

fn numbers(meta: &Meta) -> [(OwnerKind, u32); 2] {
    [(OwnerKind::User, meta.uid), (OwnerKind::Group, meta.gid)]
}

/// At the sink: what the source's numbers are here.
#[derive(Debug)]
pub(crate) struct OwnerMap {
    owners: Owners,
    numeric: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    here: HashMap<(OwnerKind, u32), u32>,
    /// Back again; `None` where several numbers of the source are one here.
    there: HashMap<(OwnerKind, u32), Option<u32>>,
}

impl Known {
    /// The number at the source that is `id` here, if it is known to be one and only one.
    fn there(&self, kind: OwnerKind, id: u32) -> Option<u32> {
        match self.there.get(&(kind, id)) {
            Some(there) => *there,
            // A number without a name stays as it is.
            None => (!self.here.contains_key(&(kind, id))).then_some(id),
        }
    }
}

/// The most owners a run may name: beyond any host's, and a bound for what a peer can make this side remember.
const LIMIT: usize = 1 << 20;

impl OwnerMap {
    pub(crate) fn new(numeric: bool) -> Result<OwnerMap, crate::fs::Error> {
        Ok(OwnerMap { owners: Owners::new()?, numeric, known: Mutex::default() })
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
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(Some(here)) = here
                && known.here.len() < LIMIT
            {
                known.here.insert((*kind, *id), here);
                let there = known.there.entry((*kind, here)).or_insert(Some(*id));
                if *there != Some(*id) {
                    *there = None;
                }
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
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let here = |kind, id| known.here.get(&(kind, id)).copied().unwrap_or(id);
        Meta { uid: here(OwnerKind::User, meta.uid), gid: here(OwnerKind::Group, meta.gid), ..meta }
    }

    /// The attributes of this host's `metas` with the source's numbers: those that [`OwnerMap::translate_meta`] takes
    /// back to these. `None` if that is not clear for all.
    pub(crate) fn at_source<'a>(&self, metas: impl Iterator<Item = &'a Meta>) -> Option<Vec<Meta>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let there = |meta: &Meta| {
            let uid = known.there(OwnerKind::User, meta.uid)?;
            Some(Meta { uid, gid: known.there(OwnerKind::Group, meta.gid)?, ..*meta })
        };
        metas.map(there).collect()
    }
}
