//! ACLs and extended attributes, of which a record has sums, and which names are one file: facets of an entry.
//!
//! Not every run synchronises them, and not every file system can hold them. So each facet has a version of its own
//! beside its sum, and a run in which it takes no part leaves both alone: such a run neither passes an edit of it on
//! nor takes one for absorbed, and the next run in which it takes part goes on where the last one left off, whichever
//! replicas have met in between. It takes part where the user asked for it and both replicas can hold it.
//!
//! What nobody has looked at is unknown, which is not the same as none. To find none at the first look is no edit; to
//! find some is one, so where the other side has known of none, it gets them, and where it has others there is a
//! conflict. Nobody's attributes give way because somebody began to look at them.
//!
//! | at a path that is there on both sides | |
//! |---|---|
//! | it takes no part | each side keeps its own, also when the content is replaced by the other side's |
//! | the sums are the same | the versions are joined |
//! | one version covers the other | its attributes go to the other side |
//! | neither does | a conflict of attributes, as of modes |
//!
//! A record holds the sum alone. What it is the sum of is read from the entry when somebody needs it: [`Value`]. Of
//! extended attributes it is the sum of those that rules leave [visible](Visible); the others are left alone.
//!
//! # Names of one file
//!
//! Hard links are a facet without a value: [`Facet::Links`]. In the place of a sum there is the identity of a file,
//! which says nothing but that the names which have the same one are one file; what has none stands alone, and so does
//! what alone has one. A scan finds out which names are one, and makes as few edits as that takes: a file that loses a
//! name to another one is still what it was, so only the name that left it gets another identity. A new one is drawn
//! from the first of the names, and not by chance, so that two trees that hold the same links when they meet agree.
//!
//! Contents and attributes decide what becomes of a path; an identity says only how bytes lie on a disk. So edits of it
//! are never in conflict: of two that have not seen each other the greater one stays, on both sides and whoever meets
//! first. Nor does one save a name that the other side has removed. And where the names of one identity have different
//! contents or attributes once all else is decided, each is a file of its own. A time of modification is neither: a
//! file has one, and if its names were to have several, it gets the latest.
//!
//! A run in which the facet takes no part replaces names one by one, and so breaks links on a side where nobody meant
//! it. It [forgets](Extended::forget) the identity of what it replaces: what is not known is no edit.

mod entry;
mod value;
mod visible;

pub(super) use entry::{At, Wanted};
pub use value::{InvalidValue, Value, sums_of};
pub use visible::Visible;

use crate::fs::{Dir, Holds};
use crate::request::Options;
use crate::twoway::text;
use crate::twoway::version::{Order, Renaming, Version};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Attributes that are synchronised as one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facet {
    /// The ACLs, as far as the permission bits do not say them.
    Acls,
    /// The extended attributes that any user may set.
    Xattrs,
    /// All others, which only root may set and may not even be seen by anybody else.
    RootXattrs,
    /// Which names are one file. It has an identity in the place of a sum, and no value.
    Links,
}

/// A set of facets.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Facets(u8);

/// What stands for the value of a facet: BLAKE3, cut to 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct FacetSum(#[serde(with = "text::hex")] pub [u8; 16]);

/// What is known of one facet of an entry.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Register {
    /// The sum of its value; `None` if there are no such attributes.
    pub sum: Option<FacetSum>,
    /// Which edits of it that has absorbed.
    #[serde(with = "text::version")]
    pub version: Arc<Version>,
}

/// What is known of the facets of an entry. Those that are not in it are unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Extended(BTreeMap<Facet, Register>);

/// What was found at a look at an entry: the sums of those facets that were looked at.
pub type Seen = BTreeMap<Facet, Option<FacetSum>>;

impl Facet {
    /// All of them.
    pub const ALL: [Facet; 4] = [Facet::Acls, Facet::Xattrs, Facet::RootXattrs, Facet::Links];

    /// The number that stands for it where it is stored and told.
    pub const fn code(self) -> u8 {
        match self {
            Facet::Acls => 0,
            Facet::Xattrs => 1,
            Facet::RootXattrs => 2,
            Facet::Links => 3,
        }
    }

    /// The facet with this code, if there is one.
    pub fn from_code(code: u8) -> Option<Facet> {
        Facet::ALL.into_iter().find(|facet| facet.code() == code)
    }

    const fn bit(self) -> u8 {
        1 << self.code()
    }
}

impl Facets {
    /// None of them.
    pub const NONE: Facets = Facets(0);

    /// Those that the file system of a directory can hold and the running user may set.
    pub fn held_by(dir: &Dir) -> Facets {
        let Holds { acls, xattrs, links } = dir.holds();
        let is_root = is_root();
        let held = |facet: &Facet| match facet {
            Facet::Acls => acls,
            Facet::Xattrs => xattrs,
            Facet::RootXattrs => xattrs && is_root,
            Facet::Links => links,
        };
        Facet::ALL.into_iter().filter(held).collect()
    }

    /// Those that the options of a run ask for.
    pub fn asked(options: &Options) -> Facets {
        let acls = options.acls.then_some(Facet::Acls);
        let xattrs = (options.xattrs > 0).then_some([Facet::Xattrs, Facet::RootXattrs]);
        let links = options.hard_links.then_some(Facet::Links);
        acls.into_iter().chain(xattrs.into_iter().flatten()).chain(links).collect()
    }

    /// Extended attributes.
    pub const XATTRS: Facets = Facets(Facet::Xattrs.bit() | Facet::RootXattrs.bit());

    /// Those that are attributes, which have values.
    pub fn attributes(self) -> Facets {
        self.without(Facets(Facet::Links.bit()))
    }

    /// Whether it is one of them.
    pub fn contains(self, facet: Facet) -> bool {
        self.0 & facet.bit() != 0
    }

    /// Those that are in both.
    pub fn and(self, other: Facets) -> Facets {
        Facets(self.0 & other.0)
    }

    /// Those that are in either.
    pub fn or(self, other: Facets) -> Facets {
        Facets(self.0 | other.0)
    }

    /// Those that are not in the other.
    pub fn without(self, other: Facets) -> Facets {
        Facets(self.0 & !other.0)
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Facet> {
        Facet::ALL.into_iter().filter(move |facet| self.contains(*facet))
    }
}

impl FromIterator<Facet> for Facets {
    fn from_iter<I: IntoIterator<Item = Facet>>(facets: I) -> Facets {
        Facets(facets.into_iter().fold(0, |all, facet| all | facet.bit()))
    }
}

impl FromIterator<(Facet, Register)> for Extended {
    fn from_iter<I: IntoIterator<Item = (Facet, Register)>>(registers: I) -> Extended {
        Extended(registers.into_iter().collect())
    }
}

impl Register {
    /// Whether something that was looked at is edited: it has other attributes than are known, or was made anew with
    /// the same.
    fn is_edited(&self, sum: Option<FacetSum>, created: bool) -> bool {
        self.sum != sum || (created && sum.is_some())
    }
}

impl Extended {
    /// Whether nothing is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is known of a facet.
    pub fn get(&self, facet: Facet) -> Option<&Register> {
        self.0.get(&facet)
    }

    /// Everything that is known.
    pub fn iter(&self) -> impl Iterator<Item = (Facet, &Register)> {
        self.0.iter().map(|(facet, register)| (*facet, register))
    }

    /// Takes a facet as known to be this.
    pub fn set(&mut self, facet: Facet, register: Register) {
        self.0.insert(facet, register);
    }

    /// Takes a facet as not known any more.
    pub fn forget(&mut self, facet: Facet) {
        self.0.remove(&facet);
    }

    /// Which file an entry is a name of, as far as that is known and it may have others.
    pub fn identity(&self) -> Option<FacetSum> {
        self.get(Facet::Links).and_then(|register| register.sum)
    }

    /// Takes what is known of a facet from another record, which may be nothing.
    pub fn set_from(&mut self, other: &Extended, facet: Facet) {
        match other.get(facet) {
            Some(register) => self.set(facet, register.clone()),
            None => self.forget(facet),
        }
    }

    /// The same as far as these facets go.
    pub fn only(&self, facets: Facets) -> Extended {
        self.0
            .iter()
            .filter(|(facet, _)| facets.contains(**facet))
            .map(|(facet, register)| (*facet, register.clone()))
            .collect()
    }

    /// The facets that are known here and are others than there; what is not known there is.
    pub fn differing(&self, there: &Extended) -> Facets {
        let differs = |(facet, register): &(Facet, &Register)| {
            there.get(*facet).is_none_or(|other| other.sum != register.sum)
        };
        self.iter().filter(differs).map(|(facet, _)| facet).collect()
    }

    /// Which of what was seen are edits of an entry of which this was known before; `created` if it is new, or of
    /// another kind.
    pub fn edited(&self, seen: &Seen, created: bool) -> Facets {
        let is_edited = |(facet, sum): &(&Facet, &Option<FacetSum>)| match self.get(**facet) {
            Some(known) => known.is_edited(**sum, created),
            None => sum.is_some(),
        };
        seen.iter().filter(is_edited).map(|(facet, _)| *facet).collect()
    }

    /// Whether this has absorbed all edits of the other, of those facets that both know. Which names are one file is no
    /// edit of any of them.
    pub fn covers(&self, other: &Extended, facets: Facets) -> bool {
        facets.attributes().iter().all(|facet| {
            let both = self.get(facet).zip(other.get(facet));
            both.is_none_or(|(one, other)| one.version.covers(&other.version))
        })
    }

    /// How two records are related by one facet; `None` if one of them does not know it, or they have the same.
    pub fn order(&self, other: &Extended, facet: Facet) -> Option<Order> {
        let (one, other) = self.get(facet).zip(other.get(facet))?;
        (one.sum != other.sum).then(|| one.version.order(&other.version))
    }

    /// The join of what both know of the version of a facet.
    pub fn joined_version(&self, other: &Extended, facet: Facet) -> Version {
        let version = |extended: &Extended| extended.get(facet).map(|register| register.version.clone());
        match (version(self), version(other)) {
            (Some(one), Some(other)) => one.joined(&other),
            (one, other) => one.or(other).map_or_else(Version::new, |version| Version::clone(&version)),
        }
    }

    /// What is known of an entry that gets what another has, as far as these facets go. The others stay its own if it
    /// keeps them; those of a thing that was made anew are not known.
    pub fn taken_over(&self, other: &Extended, facets: Facets, keeps_own: bool) -> Extended {
        let mut taken = if keeps_own { self.clone() } else { Extended::default() };
        facets.iter().for_each(|facet| taken.set_from(other, facet));
        taken
    }

    /// The same with counts under another name.
    pub fn renamed(&self, renamed: impl Fn(&Arc<Version>) -> Arc<Version>) -> Extended {
        let rename = |(facet, register): (&Facet, &Register)| {
            (*facet, Register { version: renamed(&register.version), ..*register })
        };
        self.0.iter().map(rename).collect()
    }
}

/// Whether the running user may set what only root may, and give files to anybody.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A version with counts under another name.
pub(super) fn renamed(version: &Arc<Version>, renaming: &Renaming) -> Arc<Version> {
    match version.count(renaming.author) < renaming.from {
        true => version.clone(),
        false => Arc::new(version.renamed(renaming)),
    }
}
