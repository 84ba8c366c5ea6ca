//! Owners across hosts: numbers travel in entries, and the name behind each number travels once.

use crate::fs::Owners;
use crate::request::{From, Options, OwnerRules, Super, To};
use crate::tree::filter::{Action, Rule, Rules, Side, Verdict};
use crate::tree::{Acls, Extra, Gid, Meta, Owner, Uid};
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
        self.of(owners, of.flat_map(|of| [(OwnerKind::User, of.uid.0), (OwnerKind::Group, of.gid.0)]))
    }

    /// The same of those whom these ACLs name.
    pub(crate) fn named_in<'a>(
        &mut self,
        owners: &Owners,
        acls: impl Iterator<Item = &'a Arc<Acls>>,
    ) -> Vec<OwnerName> {
        let mut last: Option<&Arc<Acls>> = None;
        let acls = acls.filter(|acls| !last.replace(*acls).is_some_and(|last| Arc::ptr_eq(last, acls)));
        let of = acls.flat_map(|acls| {
            let users = acls.named_users().map(|Uid(id)| (OwnerKind::User, id));
            users.chain(acls.named_groups().map(|Gid(id)| (OwnerKind::Group, id)))
        });
        self.of(owners, of)
    }

    fn of(&mut self, owners: &Owners, of: impl Iterator<Item = (OwnerKind, u32)>) -> Vec<OwnerName> {
        let mut new = Vec::new();
        for (kind, id) in of {
            if !self.sent.insert((kind, id)) {
                continue;
            }
            new.extend(name_of(owners, kind, id).map(|name| OwnerName { kind, id, name: name.into() }));
        }
        new
    }
}

/// The name behind a number of this host.
fn name_of(owners: &Owners, kind: OwnerKind, id: u32) -> Option<Vec<u8>> {
    match kind {
        OwnerKind::User => owners.user_name(Uid(id)),
        OwnerKind::Group => owners.group_name(Gid(id)),
    }
}

/// At the sink: what the source's numbers are here. Between two replicas either is the other's source.
#[derive(Debug)]
pub(crate) struct OwnerMap {
    owners: Owners,
    numeric: bool,
    users: Vec<Mapping>,
    groups: Vec<Mapping>,
    here: Mutex<HashMap<(OwnerKind, u32), u32>>,
}

/// The most owners a run may name: beyond any host's, and a bound for what a peer can make this side remember.
const LIMIT: usize = 1 << 20;

/// A rule of a map, with this host's number.
#[derive(Debug)]
struct Mapping {
    from: Matcher,
    to: u32,
}

#[derive(Debug)]
enum Matcher {
    Numbers(u32, u32),
    /// Excludes the names that are meant.
    Name(Rules),
    Nameless,
    Anybody,
}

impl Mapping {
    fn is_about(&self, id: u32, name: Option<&[u8]>) -> bool {
        match (&self.from, name) {
            (Matcher::Numbers(low, high), _) => (*low..=*high).contains(&id),
            (Matcher::Name(rules), Some(name)) => rules.check(name, false, Side::Sender) == Verdict::Excluded,
            (Matcher::Name(_), None) | (Matcher::Nameless, Some(_)) => false,
            (Matcher::Nameless, None) | (Matcher::Anybody, _) => true,
        }
    }
}

/// The rules with this host's numbers, and the names that it does not know, whose rules are left out.
fn resolved(rules: &OwnerRules, number_of: impl Fn(&[u8]) -> Option<u32>) -> (Vec<Mapping>, Vec<Vec<u8>>) {
    let (mut mappings, mut unknown) = (Vec::new(), Vec::new());
    for rule in rules.iter() {
        let to = match &rule.to {
            To::Number(number) => Some(*number),
            To::Name(name) => number_of(name),
        };
        let from = match &rule.from {
            From::Numbers(low, high) => Matcher::Numbers(*low, *high),
            From::Nameless => Matcher::Nameless,
            From::Anybody => Matcher::Anybody,
            From::Name(pattern) => {
                let anchored = Rule::new(Action::Exclude, [b"/", pattern.as_slice()].concat());
                Matcher::Name(Rules::from(vec![anchored]))
            }
        };
        match (to, &rule.to) {
            (Some(to), _) => mappings.push(Mapping { from, to }),
            (None, To::Name(name)) => unknown.push(name.clone()),
            (None, To::Number(_)) => {}
        }
    }
    (mappings, unknown)
}

impl OwnerMap {
    /// What `options` make of owners, and the names in them that this host does not know.
    pub(crate) fn new(options: &Options) -> Result<(OwnerMap, Vec<Vec<u8>>), crate::fs::Error> {
        let owners = Owners::new()?.trying(options.super_user.map(|said| said != Super::Forgone));
        // A lookup that fails finds nobody.
        let (users, mut unknown) =
            resolved(&options.user_map, |name| owners.user_id(name).ok()?.map(|user| user.0));
        let (groups, more) =
            resolved(&options.group_map, |name| owners.group_id(name).ok()?.map(|group| group.0));
        unknown.extend(more);
        let numeric = options.numeric_ids;
        Ok((OwnerMap { owners, numeric, users, groups, here: Mutex::default() }, unknown))
    }

    fn has_maps(&self) -> bool {
        !(self.users.is_empty() && self.groups.is_empty())
    }

    /// Whom the maps lead to, if they do.
    fn mapped(&self, kind: OwnerKind, id: u32, name: Option<&[u8]>) -> Option<u32> {
        let mappings = match kind {
            OwnerKind::User => &self.users,
            OwnerKind::Group => &self.groups,
        };
        mappings.iter().find(|mapping| mapping.is_about(id, name)).map(|mapping| mapping.to)
    }

    /// What this host knows about owners.
    pub(crate) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Whether others are told of anybody by name.
    pub(crate) fn tells_names(&self) -> bool {
        !self.numeric
    }

    /// The name by which others are told of a number of this host. Who is told of by number has none.
    pub(crate) fn name(&self, kind: OwnerKind, id: u32) -> Option<Vec<u8>> {
        // Number 0 is the same everywhere, whatever it is called.
        if self.tells_names() && id != 0 { name_of(&self.owners, kind, id) } else { None }
    }

    /// Takes names that came with a listing. A name this host does not have leaves its number as it is, and so does
    /// a lookup that fails; number 0 is the same user everywhere. Only the maps lead elsewhere, and they come first.
    pub(crate) fn learn(&self, names: &[OwnerName]) {
        if self.numeric {
            return;
        }
        for OwnerName { kind, id, name } in names {
            let by_name = || match kind {
                _ if *id == 0 => None,
                OwnerKind::User => self.owners.user_id(name).ok()?.map(|user| user.0),
                OwnerKind::Group => self.owners.group_id(name).ok()?.map(|group| group.0),
            };
            let here = self.mapped(*kind, *id, Some(name)).or_else(by_name);
            // Where there are maps, what is not learnt has no name.
            let here = here.or_else(|| self.has_maps().then_some(*id));
            let mut known = self.here.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(here) = here
                && known.len() < LIMIT
            {
                known.insert((*kind, *id), here);
            }
        }
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
        if (known.is_empty() && !self.has_maps()) || acls.grants() == 0 {
            return acls.clone();
        }
        let here = |kind, id| self.here(&known, kind, id);
        Arc::new(acls.renumbered(|id| here(OwnerKind::User, id), |id| here(OwnerKind::Group, id)))
    }

    /// The number here of one who may have been learnt. Who has not been named has no name.
    fn here(&self, known: &HashMap<(OwnerKind, u32), u32>, kind: OwnerKind, id: u32) -> u32 {
        let learnt = known.get(&(kind, id)).copied();
        learnt.or_else(|| self.mapped(kind, id, None)).unwrap_or(id)
    }

    /// The number here of one who may have been learnt.
    pub(crate) fn translate(&self, kind: OwnerKind, id: u32) -> u32 {
        let known = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        self.here(&known, kind, id)
    }

    /// The attributes with this host's numbers.
    pub(crate) fn translate_meta(&self, meta: Meta) -> Meta {
        let Owner { uid, gid } = self.translate_owner(meta.owner());
        Meta { uid, gid, ..meta }
    }

    /// An owner by this host's numbers.
    pub(crate) fn translate_owner(&self, owner: Owner) -> Owner {
        let known = self.here.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() && !self.has_maps() {
            return owner;
        }
        let here = |kind, id| self.here(&known, kind, id);
        Owner { uid: Uid(here(OwnerKind::User, owner.uid.0)), gid: Gid(here(OwnerKind::Group, owner.gid.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_told_once_whoever_comes_before() {
        let owners = Owners::new().unwrap();
        let of = |numbers: &[(u32, u32)]| {
            numbers
                .iter()
                .map(|&(uid, gid)| Owner { uid: Uid(uid), gid: Gid(gid) })
                .collect::<Vec<_>>()
                .into_iter()
        };
        let mut names = Names::default();
        let mut told = |numbers: &[(u32, u32)]| -> Vec<(OwnerKind, u32)> {
            names.new_ones(&owners, of(numbers)).iter().map(|name| (name.kind, name.id)).collect()
        };
        let user = |id| owners.user_name(Uid(id)).map(|_| (OwnerKind::User, id));
        let group = |id| owners.group_name(Gid(id)).map(|_| (OwnerKind::Group, id));
        let expected: Vec<_> =
            [user(0), group(0), user(1), group(1), user(2)].into_iter().flatten().collect();
        assert_eq!(told(&[(0, 0), (0, 0), (1, 0), (0, 1), (0, 0), (2, 0)]), expected);
        let expected: Vec<_> = group(2).into_iter().collect();
        assert_eq!(told(&[(2, 2), (1, 1), (2, 2)]), expected);
    }
}
