//! What a replica holds that partners have not seen yet.

use crate::tree::RelPath;
use crate::tree::filter::Rules;
use crate::twoway::TwoWayError;
use crate::twoway::carry::recover_to_look;
use crate::twoway::facet::{Extended, Facet, Facets};
use crate::twoway::hiding::{Hiding, gather};
use crate::twoway::history::{self, Origin};
use crate::twoway::log::{Entry, Outcome, Purpose, Run};
use crate::twoway::look::Glance;
use crate::twoway::policy::is_copy;
use crate::twoway::reconcile::Why;
use crate::twoway::record::{Record, State};
use crate::twoway::scan::{Counts, Observer, ScanOptions, Trouble, scan};
use crate::twoway::version::Author;
use filetime::FileTime;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// How a replica stands.
#[derive(Debug, Clone)]
pub struct Status {
    /// Who counts here.
    pub author: Author,
    /// Whether it was copied here, or restored from a copy: then it goes on under another name, without partners.
    pub is_copied: bool,
    /// Whether the last run was killed, or stopped, before its end.
    pub is_interrupted: bool,
    /// What was seen in the tree.
    pub counts: Counts,
    /// The losers of conflicts that have got names of their own and are there still, as far as runs remember them.
    pub copies: Vec<Copied>,
    /// Those with whom it has been synchronised, in no order.
    pub partners: Vec<Standing>,
}

/// The loser of a conflict, under a name of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The run that settled the conflict.
    pub run: Run,
    /// What it did there.
    pub entry: Entry,
}

/// How a replica stands with a partner.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Who that is.
    pub author: Author,
    /// The last run with it, if that is remembered.
    pub last: Option<Meeting>,
    /// The paths that were left undone, with what is below each: conflicts, and what could not be done.
    pub pending: Vec<RelPath>,
    /// How many paths have changed here that it has not been told of, by edits or by runs with others; `None` if
    /// everything is to be compared next time.
    pub news: Option<u64>,
}

/// A run with a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meeting {
    /// The number of the run.
    pub run: u64,
    /// How the user named the partner.
    pub name: String,
    /// When it began; or later, when the two last met and there was nothing to be done.
    pub at: FileTime,
    /// What came of it; `None` if it did not come to its end.
    pub outcome: Option<Outcome>,
}

/// A path that has changed since it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Where.
    pub path: RelPath,
    /// What was done there.
    pub kind: EditKind,
    /// What is there now; of what was removed, what was there.
    pub state: State,
}

/// What a user did to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EditKind {
    /// It is new, or of another kind than before.
    Created,
    /// It has another content or target.
    Edited,
    /// It has other attributes.
    Attributes,
    /// It is one file with other names than before.
    Links,
    /// It is gone.
    Removed,
}

impl Glance {
    /// What takes no part by these rules and the files of rules that are here. `name` is the argument that named the
    /// replica. Files that cannot be read or understood are told to `observer`.
    ///
    /// # Errors
    /// The search was stopped.
    pub fn hiding(
        &self,
        (rules, name): (&Rules, &[u8]),
        stop: &AtomicBool,
        observer: &mut dyn Observer,
    ) -> Result<Arc<Hiding>, TwoWayError> {
        let mut trouble = |path: &RelPath, error| observer.trouble(path, &Trouble::Failed(error));
        let files = gather(self.replica.root(), (rules, name), stop, &mut trouble)?;
        Ok(Arc::new(Hiding::new(rules, [files])))
    }

    /// Looks for what has changed since the last run, in the tree too, and hands each path to `each`. What cannot be
    /// looked at is told to `observer`. Nothing of it is written. ACLs and extended attributes are looked at, besides
    /// what the options ask for, where runs have looked at them before; of extended attributes those that the last such
    /// run has seen.
    ///
    /// # Errors
    /// Those of reading, and a scan that was stopped.
    pub fn status(
        &mut self,
        options: &ScanOptions<'_>,
        observer: &mut dyn Observer,
        each: &mut dyn FnMut(Edit),
    ) -> Result<Status, TwoWayError> {
        let last = self.history.runs()?.next_back().transpose()?;
        let met = self.history.met()?;
        // A later run that found nothing to be done has left nothing of it.
        let is_over = |run: &Run| met.values().any(|at| *at > run.began);
        let is_interrupted = last.is_some_and(|run| run.ending.is_none() && !is_over(&run))
            || !self.history.intents()?.is_empty();
        let unfinished = recover_to_look(&self.replica, &mut self.history, options.modes)?;
        let before = self.history.snapshot()?;
        let known = self.history.sequence();
        let root = self.replica.root().clone();
        let visible = self.history.visible().clone();
        let options = ScanOptions {
            began: self.replica.opened_at(),
            unfinished: Some(&unfinished),
            facets: options.facets.or(self.followed()?).and(Facets::held_by(&root)),
            visible: &visible,
            ..*options
        };
        let counts = scan(&root, &mut self.history, &options, observer)?.commit()?;
        let mut copies = BTreeSet::new();
        for row in self.history.snapshot()?.rows()? {
            let (key, now) = row?;
            if now.record.state.is_present() && is_copy(&key) {
                copies.insert(history::path(&key)?);
            }
            if now.sequence <= known || now.is_unknown {
                continue;
            }
            let path = history::path(&key)?;
            let old = before.known(&key)?.map(|known| known.record);
            if let Some(edit) = edit(path, old.as_ref(), now.record) {
                each(edit);
            }
        }
        Ok(Status {
            author: self.history.author(),
            is_copied: self.origin == Origin::Copied,
            is_interrupted,
            counts,
            copies: self.copied(copies)?,
            partners: self.partners()?,
        })
    }

    /// What runs did that gave losers of conflicts these names, the latest for each.
    fn copied(&self, mut names: BTreeSet<RelPath>) -> Result<Vec<Copied>, TwoWayError> {
        let mut copies = Vec::new();
        // Most trees have none, and going through all that runs did takes its time.
        for run in self.history.runs()?.rev() {
            if names.is_empty() {
                break;
            }
            let run = run?;
            for entry in self.history.entries(run.number)? {
                let entry = entry?;
                if matches!(entry.why, Why::CopyOf { .. }) && names.remove(&entry.path) {
                    copies.push(Copied { run: run.clone(), entry });
                }
            }
        }
        copies.sort_by(|one, other| one.entry.path.walk_order(&other.entry.path));
        Ok(copies)
    }

    /// The facets that runs here have looked at: every one of them has looked at the root.
    fn followed(&self) -> Result<Facets, TwoWayError> {
        let root = self.history.known(&RelPath::root())?;
        Ok(root.map_or(Facets::NONE, |root| root.record.extended.iter().map(|(facet, _)| facet).collect()))
    }

    /// The last runs, if they are remembered, with those partners with whom something at a path, or above it, was left
    /// undone then.
    ///
    /// # Errors
    /// Those of reading.
    pub fn left_at(&self, path: &RelPath) -> Result<Vec<Option<Meeting>>, TwoWayError> {
        let is_left = |left: &RelPath| left == path || path.is_below(left);
        let partners = self.partners()?.into_iter();
        let left = partners.filter(|standing| standing.pending.iter().any(is_left));
        Ok(left.map(|standing| standing.last).collect())
    }

    fn partners(&self) -> Result<Vec<Standing>, TwoWayError> {
        let mut last: BTreeMap<Author, Meeting> = BTreeMap::new();
        let met = self.history.met()?;
        for run in self.history.runs()? {
            let run = run?;
            if let Purpose::Meeting { partner, name, .. } = run.purpose {
                let outcome = run.ending.map(|ending| ending.outcome);
                let at = met.get(&partner).map_or(run.began, |met| run.began.max(*met));
                last.insert(partner, Meeting { run: run.number, name, at, outcome });
            }
        }
        let standing = |(author, partner): (Author, history::Partner)| {
            let mut news = 0_u64;
            let count = &mut |path: RelPath| {
                // It changes with everything in it.
                news = news.saturating_add(u64::from(!path.is_root()));
                Ok(())
            };
            let is_told = partner.options.is_some() && self.history.changes(partner.acknowledged, count)?;
            let pending = self.history.pending(author)?;
            Ok(Standing { author, last: last.remove(&author), pending, news: is_told.then_some(news) })
        };
        self.history.partners()?.into_iter().map(standing).collect()
    }
}

/// What was done to a path, if it is more than a touch.
fn edit(path: RelPath, old: Option<&Record>, now: Record) -> Option<Edit> {
    let was_there = old.filter(|old| !matches!(old.state, State::Absent | State::Unknown));
    let (kind, state) = match was_there {
        _ if path.is_root() => return None,
        None if now.state == State::Absent => return None,
        None => (EditKind::Created, now.state),
        Some(old) if now.state == State::Absent => (EditKind::Removed, old.state.clone()),
        Some(old) if !old.state.is_like(&now.state) => (EditKind::Created, now.state),
        Some(old) if old.state != now.state => (EditKind::Edited, now.state),
        Some(old) if old.meta != now.meta || is_marked(&old.extended, &now.extended) => {
            (EditKind::Attributes, now.state)
        }
        Some(old) if is_edited(&old.extended, &now.extended, Facet::Links) => (EditKind::Links, now.state),
        Some(_) => return None,
    };
    Some(Edit { path, kind, state })
}

/// Whether ACLs or extended attributes were edited.
fn is_marked(old: &Extended, now: &Extended) -> bool {
    Facet::ALL.iter().any(|facet| *facet != Facet::Links && is_edited(old, now, *facet))
}

fn is_edited(old: &Extended, now: &Extended, facet: Facet) -> bool {
    now.get(facet).is_some_and(|register| match old.get(facet) {
        Some(old) => old.version != register.version,
        None => !register.version.is_empty(),
    })
}
