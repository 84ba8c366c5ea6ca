//! Facets of an entry on the disk: reading them all, and setting some of them.

use crate::fs::{self, Error, SetAcls, SetExtended, WriteDir, XattrNames};
use crate::tree::{Acls, Extra, Kind, Name, Xattrs};
use crate::twoway::facet::{Facet, FacetSum, Facets, Seen, Value, Visible, sums_of};
use std::collections::BTreeMap;

/// The attributes that an entry is to have, by facet. Those of other facets stay as they are, and so do those that take
/// no part.
pub(in crate::twoway) struct Wanted {
    values: BTreeMap<Facet, Value>,
    visible: Visible,
    /// What takes no part and is set all the same.
    hidden: Xattrs,
}

/// The same in the system's words.
struct Together<'w> {
    acls: Option<Option<&'w Acls>>,
    xattrs: Option<(Xattrs, XattrNames)>,
}

/// An entry that is looked at.
#[derive(Clone, Copy)]
pub(in crate::twoway) enum At<'a> {
    /// One of this kind in a directory.
    Entry(&'a WriteDir, &'a Name, Kind),
    /// A directory itself.
    Own(&'a WriteDir),
}

impl At<'_> {
    pub(in crate::twoway) fn look(self, look: &fs::Look) -> Result<Option<Box<Extra>>, Error> {
        match self {
            At::Entry(dir, name, kind) => dir.extra(name, kind, look),
            At::Own(dir) => dir.own_extra(look),
        }
    }

    fn xattrs(self, names: XattrNames) -> Result<Xattrs, Error> {
        match self {
            At::Entry(dir, name, kind) => dir.xattrs(name, kind, &names),
            At::Own(dir) => dir.own_xattrs(&names),
        }
    }

    fn set(self, extended: &SetExtended<'_>) -> Result<(), Error> {
        match self {
            At::Entry(dir, name, kind) => dir.set_extended(name, kind, extended),
            At::Own(dir) => dir.set_own_extended(extended),
        }
    }
}

impl Wanted {
    /// Nothing yet, of what is visible.
    pub(in crate::twoway) fn nothing(visible: &Visible) -> Wanted {
        Wanted { values: BTreeMap::new(), visible: visible.clone(), hidden: Xattrs::NONE }
    }

    /// The visible attributes of an entry, as far as these facets go.
    pub(in crate::twoway) fn of(at: At<'_>, facets: Facets, visible: &Visible) -> Result<Wanted, Error> {
        let mut wanted = Wanted::nothing(visible);
        for facet in facets.attributes().iter() {
            let value = Value::read((facet, visible), |look| at.look(look), |names| at.xattrs(names))?;
            wanted.put(facet, value);
        }
        Ok(wanted)
    }

    /// The same for what is not that entry itself, and gets what takes no part of it as well.
    pub(in crate::twoway) fn with_hidden_of(self, at: At<'_>, facets: Facets) -> Result<Wanted, Error> {
        match Visible::ALL.names_of(facets) {
            Some(names) if !self.visible.is_all() => {
                let hidden = self.visible.hidden(&at.xattrs(names)?);
                Ok(Wanted { hidden, ..self })
            }
            _ => Ok(self),
        }
    }

    pub(in crate::twoway) fn put(&mut self, facet: Facet, value: Value) {
        self.values.insert(facet, value);
    }

    /// The sum of what is wanted of a facet; `None` if nothing is.
    pub(in crate::twoway) fn sum(&self, facet: Facet) -> Option<Option<FacetSum>> {
        self.values.get(&facet).map(|value| value.sum(facet))
    }

    pub(in crate::twoway) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    pub(in crate::twoway) fn facets(&self) -> Facets {
        self.values.keys().copied().collect()
    }

    /// What is wanted of a facet, if anything is.
    pub(in crate::twoway) fn get(&self, facet: Facet) -> Option<&Value> {
        self.values.get(&facet)
    }

    /// By facet.
    pub(in crate::twoway) fn iter(&self) -> impl Iterator<Item = (Facet, &Value)> {
        self.values.iter().map(|(facet, value)| (*facet, value))
    }

    /// By facet.
    pub(in crate::twoway) fn into_values(self) -> impl Iterator<Item = (Facet, Value)> {
        self.values.into_iter()
    }

    fn together(&self) -> Together<'_> {
        let acls = self.values.get(&Facet::Acls).and_then(|value| match value {
            Value::Acls(acls) => Some(acls.as_ref()),
            Value::Xattrs(_) => None,
        });
        let visible = self.values.values().filter_map(|value| match value {
            Value::Xattrs(xattrs) => Some(xattrs),
            Value::Acls(_) => None,
        });
        let all = visible.chain([&self.hidden]).flat_map(Xattrs::iter).cloned();
        let xattrs = Xattrs::new(all.collect());
        let names = match self.hidden.iter().next() {
            None => self.visible.names_of(self.facets()),
            Some(_) => Visible::ALL.names_of(self.facets()),
        };
        Together { acls, xattrs: names.map(|names| (xattrs, names)) }
    }

    /// Sets them by `set` on what has this mode or is to have it. What cannot be set is told to `trouble`; then those
    /// facets are returned that are others now, with what `look` sees of them.
    pub(in crate::twoway) fn set(
        &self,
        mode: u32,
        set: impl FnOnce(&SetExtended<'_>) -> Result<(), Error>,
        look: impl FnOnce(&fs::Look) -> Result<Option<Box<Extra>>, Error>,
        trouble: impl FnOnce(&Error),
    ) -> Result<Seen, Error> {
        if self.is_empty() {
            return Ok(Seen::new());
        }
        let Together { acls, xattrs } = self.together();
        let acls = acls.map(|acls| SetAcls { acls, mode });
        let extended = SetExtended { acls, xattrs: xattrs.as_ref().map(|(xattrs, names)| (xattrs, names)) };
        let Err(error) = set(&extended) else { return Ok(Seen::new()) };
        trouble(&error);
        let mut seen = sums_of(self.facets(), look(&self.visible.look_for(self.facets()))?.as_deref());
        seen.retain(|facet, sum| self.sum(*facet) != Some(*sum));
        Ok(seen)
    }

    /// The same of an entry.
    pub(in crate::twoway) fn set_at(
        &self,
        at: At<'_>,
        mode: u32,
        trouble: impl FnOnce(&Error),
    ) -> Result<Seen, Error> {
        self.set(mode, |extended| at.set(extended), |look| at.look(look), trouble)
    }
}
