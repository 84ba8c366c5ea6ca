//! What an undo writes down of what it is going to do.
//!
//! It goes in steps, of many paths each. Before a step the history is told, among the intents, what there is at each
//! path of it: how the entry looks that may give way, and the mode of a directory. With the log of the run that is
//! undone that is enough for whoever takes over a killed undo to find out what it did. What a step did comes into the
//! log with the intents of the next one. Those of directories stay until the end, as these get their attributes then.

use crate::fs::Stamp;
use crate::tree::{Meta, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::crash;
use crate::twoway::facet::{Facets, Wanted};
use crate::twoway::history::{Known, Look};
use crate::twoway::log::Entry;
use crate::twoway::look::undo::work::Work;
use crate::twoway::look::undo::{Refusal, Undo};
use crate::twoway::record::{Attributes, Record, State};
use std::collections::BTreeMap;

/// How many paths are done in one step.
pub(super) const STEP: usize = 256;

/// What was at paths before something is done there.
pub(super) type Intended = BTreeMap<RelPath, Known>;

impl Undo<'_> {
    /// Does what is to be done for these entries, which is written down before.
    pub(super) fn step(&mut self, entries: &[(Entry, Work)]) -> Result<(), TwoWayError> {
        let mut next = Intended::new();
        for (entry, work) in entries {
            match work {
                Work::PutBackLater => {}
                Work::RenameBack(old, _) => {
                    for path in [&entry.path, old] {
                        next.insert(path.clone(), self.looked_at(path)?);
                    }
                }
                Work::PutBack(_) => {
                    // Without an old version nothing is going to be done.
                    let is_directory = entry.before.state.is_directory();
                    if is_directory || unless_fatal(self.kept_version(entry))?.is_some() {
                        next.insert(entry.path.clone(), self.looked_at(&entry.path)?);
                    }
                }
                Work::Adjust => {
                    let Some(Some(set)) = unless_fatal(self.attributes_back(entry))? else { continue };
                    let has = Wanted::of(set.at(), set.wanted.facets(), self.history.visible());
                    let Some(has) = unless_fatal(has.map_err(Refusal::from))? else { continue };
                    self.replaced.extend(has.into_values());
                    next.insert(entry.path.clone(), self.looked_at(&entry.path)?);
                }
            }
        }
        self.write_down(next)?;
        for (entry, work) in entries {
            crash::point("entry");
            self.entry(entry, work)?;
        }
        Ok(())
    }

    /// Writes what was done into the log, and what is intended next.
    pub(super) fn write_down(&mut self, next: Intended) -> Result<(), TwoWayError> {
        let (log, replaced) = (std::mem::take(&mut self.log), std::mem::take(&mut self.replaced));
        let mut done = std::mem::take(&mut self.intended);
        let stay: Intended = done.extract_if(.., |path, _| self.closing.has(path)).collect();
        self.history.undoing(&log, &replaced, done.keys(), &next)?;
        self.intended = stay;
        self.intended.extend(next);
        Ok(())
    }

    /// Writes down the mode of a directory before it is opened up.
    pub(super) fn write_down_mode(
        &mut self,
        path: &RelPath,
        meta: &Meta,
        stamp: Stamp,
    ) -> Result<(), TwoWayError> {
        let is = self.intended.get(path).cloned();
        let mut is = is.unwrap_or_else(|| known(meta, stamp, true));
        is.record.attributes.mode = meta.mode;
        let is = Intended::from([(path.clone(), is)]);
        self.history.undoing(&[], &[], [].iter(), &is)?;
        self.intended.extend(is);
        Ok(())
    }

    /// What is at a path, as far as whoever takes over has to know. What cannot be looked at cannot give way.
    fn looked_at(&mut self, path: &RelPath) -> Result<Known, TwoWayError> {
        let found = if path.is_root() {
            let (meta, stamp) = self.replica.root().own_stamped().map_err(TwoWayError::at("."))?;
            Some((meta, stamp, true))
        } else {
            let found = self.place(path).and_then(|(_, dir, name)| Ok(dir.stamped(&name)?));
            let found = unless_fatal(found)?.flatten();
            found.map(|found| (found.entry.meta, found.stamp, found.entry.is_dir()))
        };
        let Some((mut meta, stamp, is_dir)) = found else { return Ok(Known::there(Record::never(), None)) };
        meta.mode = self.closing.mode_before(path).unwrap_or(meta.mode);
        Ok(known(&meta, stamp, is_dir))
    }
}

/// What was there, of which the content shows only in the log.
fn known(meta: &Meta, stamp: Stamp, is_dir: bool) -> Known {
    let record = Record {
        state: if is_dir { State::Directory } else { State::Unknown },
        attributes: Attributes { mode: meta.mode, owner: (Some(meta.uid), Some(meta.gid)) },
        mtime: meta.mtime,
        ..Record::never()
    };
    Known::there(record, Some(Look { stamp, settled: false, facets: Facets::NONE }))
}

/// What there is, or nothing if it cannot be had, which whoever does something there says.
fn unless_fatal<T>(had: Result<T, Refusal>) -> Result<Option<T>, TwoWayError> {
    match had {
        Err(Refusal::Fatal(error)) => Err(error),
        had => Ok(had.ok()),
    }
}
