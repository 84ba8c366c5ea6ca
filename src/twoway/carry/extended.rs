//! ACLs and extended attributes of what is made, replaced and adjusted.
//!
//! What takes the place of an entry of its kind begins with the attributes that that one has, whatever this run
//! synchronises, and whatever its rules hide: somebody gave them to the name, and not to the bytes below it. Then it
//! gets those that are planned: they were told by the other side, or this one has them.
//!
//! What cannot be set is told, and keeps nothing else from being done. The record says then what there is, as if
//! nobody had planned anything, and the path is left for a later run.

use crate::fs::{Error, WriteDir};
use crate::tree::{Name, RelPath};
use crate::twoway::carry::{AT_SOURCE, Carrier, Outcome, Trouble, kind, lock};
use crate::twoway::crash;
use crate::twoway::facet::{At, Extended, Facet, FacetSum, Facets, Seen, Value, Visible, Wanted};
use crate::twoway::task::{Outline, Task};

impl Carrier {
    /// Which extended attributes take part, where those do.
    pub(in crate::twoway) fn visible(&self) -> &Visible {
        &self.visible
    }

    /// Whether the other side has to tell anything of that kind.
    pub fn lacks_any(&self) -> bool {
        let shared = self.settings.shared.facets;
        let may_lack = |outline: &Outline| !outline.lacks.and(shared).is_empty();
        self.tasks.such(may_lack).any(|(number, _)| self.is_waiting(number))
    }

    /// What the other side has to tell before anything is made: each value once, with the path of an entry there that
    /// has it. Values that cannot be of use here are not asked for.
    pub fn lacks(&self) -> impl Iterator<Item = (RelPath, Facets)> {
        let may_lack = |outline: &Outline| !outline.lacks.and(self.settings.shared.facets).is_empty();
        let lacking = self.tasks.such(may_lack).filter(|(number, _)| self.is_waiting(*number));
        lacking.filter_map(|(_, task)| {
            let mut values = lock(&self.values);
            let is_news = |facet: &Facet| {
                let sum = planned(&task.after.extended, *facet).flatten();
                sum.is_some_and(|sum| values.need(*facet, sum))
            };
            let facets: Facets =
                task.lacks().and(self.settings.shared.facets).iter().filter(is_news).collect();
            (!facets.is_empty()).then_some((task.path, facets))
        })
    }

    /// Takes a value that the other side has told.
    ///
    /// # Errors
    /// Those of keeping it.
    pub fn is_told(&self, facet: Facet, value: &Value) -> Result<(), Error> {
        lock(&self.values).put(facet, value)
    }

    /// The attributes of what is made beside `old`, that it takes the place of or is a copy of, if it is of the same
    /// kind: what that one has, hidden or not, and those that are planned.
    pub(super) fn extended_anew(
        &self,
        task: &Task,
        old: Option<At<'_>>,
        dir: &WriteDir,
    ) -> Result<Wanted, Trouble> {
        let wanted = self.extended(task, old, dir)?;
        Ok(match old {
            Some(old) => wanted.with_hidden_of(old, self.settings.holds)?,
            None => wanted,
        })
    }

    /// The visible attributes of what is made: those of `old`, which may be what it was before, and those that are
    /// planned.
    pub(super) fn extended(
        &self,
        task: &Task,
        old: Option<At<'_>>,
        dir: &WriteDir,
    ) -> Result<Wanted, Trouble> {
        let held = self.settings.holds;
        let mut wanted = match old {
            Some(old) => Wanted::of(old, held, &self.visible)?,
            None => Wanted::nothing(&self.visible),
        };
        for facet in self.settings.shared.facets.attributes().iter() {
            let Some(sum) = planned(&task.after.extended, facet) else { continue };
            let has = wanted.sum(facet);
            if has == Some(sum) {
                continue;
            }
            // What is new has none but those that a directory gives to what is made in it.
            if sum.is_some() || old.is_some() || (facet == Facet::Acls && dir.default_acl()?.is_some()) {
                wanted.put(facet, self.value(facet, sum)?);
            }
        }
        Ok(wanted)
    }

    /// The planned attributes that an entry is to get where it is.
    pub(super) fn lacking_extended(&self, before: &Extended, after: &Extended) -> Result<Wanted, Trouble> {
        let mut wanted = Wanted::nothing(&self.visible);
        for facet in after.differing(before).and(self.settings.shared.facets).attributes().iter() {
            if let Some(sum) = planned(after, facet) {
                wanted.put(facet, self.value(facet, sum)?);
            }
        }
        Ok(wanted)
    }

    fn value(&self, facet: Facet, sum: Option<FacetSum>) -> Result<Value, Trouble> {
        let Some(sum) = sum else { return Ok(Value::none(facet)) };
        // Who tells what is hidden goes by other rules.
        let told = lock(&self.values).get(facet, sum)?.filter(|value| self.visible.shows_all_of(value));
        told.ok_or(Trouble::Refused(AT_SOURCE))
    }

    /// Sets attributes of an entry where it is, which has this mode or is to have it, so that who finds it half done
    /// can tell. Returns what it has of those that could not be set.
    pub(super) fn set_extended_at(
        &self,
        task: &Task,
        at: At<'_>,
        mode: u32,
        wanted: &Wanted,
    ) -> Result<Seen, Error> {
        if wanted.is_empty() {
            return Ok(Seen::new());
        }
        let has = Wanted::of(at, wanted.facets(), &self.visible)?;
        if self.setting.has_many() {
            // What was set before is waiting for the log, if it is not there yet.
            self.journal.keep_failure(self.journal.flush());
            if !self.journal.has_failed() {
                self.setting.drop_notes()?;
            }
        }
        self.setting.begin(&task.path, &has, wanted)?;
        crash::point("attributes noted");
        // For who undoes the run.
        if self.settings.keep_trash && kind(&task.before) == kind(&task.after) {
            self.journal.keep(has.into_values());
        }
        let unset = wanted.set_at(at, mode, self.not_set(&task.path))?;
        crash::point("attributes");
        Ok(unset)
    }

    /// Tells that attributes could not be set.
    pub(super) fn not_set(&self, path: &RelPath) -> impl FnOnce(&Error) {
        move |error| self.telling.say(error.doing, path, &crate::pass::describe(&error.source))
    }

    /// Whether a task was done, if perhaps not as a whole.
    pub(super) fn is_done_by_now(&self, number: usize) -> bool {
        matches!(self.outcome(number), Outcome::Done | Outcome::Noted | Outcome::Partly)
    }
}

/// The entry whose attributes stay with a name when another of its kind takes it.
pub(super) fn replaced<'a>(task: &Task, dir: &'a WriteDir, name: &'a Name) -> Option<At<'a>> {
    let kind = kind(&task.after).filter(|new| kind(&task.before) == Some(*new))?;
    Some(At::Entry(dir, name, kind))
}

/// The sum that is planned of a facet; `None` if nothing is.
fn planned(after: &Extended, facet: Facet) -> Option<Option<FacetSum>> {
    after.get(facet).map(|register| register.sum)
}
