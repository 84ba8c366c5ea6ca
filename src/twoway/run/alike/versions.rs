//! The versions that all records of a stretch have, where these are the same.

use crate::twoway::decide::Side;
use crate::twoway::facet::{Extended, Facet, Facets, Register};
use crate::twoway::reconcile::{Step, Why};
use crate::twoway::record::{Modes, Record, Shared, State};
use crate::twoway::text;
use crate::twoway::version::{Author, Version};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The versions of records that all have the same ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Versions {
    #[serde(with = "text::version")]
    content: Arc<Version>,
    #[serde(with = "text::version")]
    meta: Arc<Version>,
    facets: Vec<FacetVersion>,
}

/// The version of a facet: of where there are such attributes, or of where there are none. A first look at an entry
/// makes an edit of the one and not of the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct FacetVersion {
    facet: Facet,
    is_some: bool,
    #[serde(with = "text::version")]
    version: Arc<Version>,
}

/// Whether all that is known of a path is what its sum is made of and its versions: who has the same sum and is told
/// the versions knows the whole record.
///
/// Not so if something of it each side has of its own. The sum of an ACL says nothing about who those are on the other
/// host that it names by number. Names of one file are decided together, wherever they are, and what is not there, or
/// not known, matters to what is above it: such paths are always told.
pub(super) fn is_told_by_versions(record: &Record, shared: Shared) -> bool {
    let is_told = |(facet, register): (Facet, &Register)| {
        let says_all = !matches!(facet, Facet::Acls | Facet::Links) || register.sum.is_none();
        shared.facets.contains(facet) && says_all
    };
    shared.modes == Modes::Whole
        && !matches!(record.state, State::Absent | State::Unknown)
        && record.extended.iter().all(is_told)
}

/// Whether all that a step does is to join the versions of both sides, so that this side, which the step is not
/// planned by, can do it by itself.
pub(super) fn is_join(step: &Step, side: Side, facets: Facets) -> bool {
    let (before, after) = (step.before.of(side), step.after.of(side));
    step.why == Why::Clear
        && step.noted.is_empty()
        && before.state.is_present()
        && !step.changes_anything()
        && Versions::of(step.before.of(side.other()), facets).joined_to(before, facets) == *after
}

impl Versions {
    /// Those of a record.
    pub(super) fn of(record: &Record, facets: Facets) -> Versions {
        let (content, meta) = (record.content.clone(), record.meta.clone());
        let mut versions = Versions { content, meta, facets: Vec::new() };
        versions.take(record, facets);
        versions
    }

    /// Takes in another record. Returns whether it has the same ones.
    pub(super) fn take(&mut self, record: &Record, facets: Facets) -> bool {
        let mut fits = self.content == record.content && self.meta == record.meta;
        for (facet, register) in record.extended.iter().filter(|(facet, _)| facets.contains(*facet)) {
            let (is_some, version) = (register.sum.is_some(), register.version.clone());
            match self.of_facet(facet, is_some) {
                Some(known) => fits &= *known == version,
                None => self.facets.push(FacetVersion { facet, is_some, version }),
            }
        }
        fits
    }

    fn of_facet(&self, facet: Facet, is_some: bool) -> Option<&Arc<Version>> {
        let known = self.facets.iter().find(|known| known.facet == facet && known.is_some == is_some)?;
        Some(&known.version)
    }

    /// What is known by whoever knows the same with these versions.
    pub(super) fn given_to(&self, record: &Record) -> Record {
        let given = |(facet, register): (Facet, &Register)| {
            let version = self.of_facet(facet, register.sum.is_some()).cloned().unwrap_or_default();
            (facet, Register { version, ..*register })
        };
        let extended = record.extended.iter().map(given).collect();
        Record { content: self.content.clone(), meta: self.meta.clone(), extended, ..record.clone() }
    }

    /// What is known here once it is known that the other side has the same with these versions.
    pub(super) fn joined_to(&self, record: &Record, facets: Facets) -> Record {
        let joined = |one: &Arc<Version>, other: &Arc<Version>| Arc::new(one.joined(other));
        let mut extended: Extended = record.extended.clone();
        for (facet, register) in record.extended.iter().filter(|(facet, _)| facets.contains(*facet)) {
            if let Some(version) = self.of_facet(facet, register.sum.is_some()) {
                extended.set(facet, Register { version: joined(&register.version, version), ..*register });
            }
        }
        let (content, meta) = (joined(&record.content, &self.content), joined(&record.meta, &self.meta));
        Record { content, meta, extended, ..record.clone() }
    }

    /// The counts in them, each with its author.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Author, u64)> {
        let facets = self.facets.iter().map(|known| &known.version);
        [&self.content, &self.meta].into_iter().chain(facets).flat_map(|version| version.counts())
    }
}
