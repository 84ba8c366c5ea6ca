//! An entry that is not here as at the source, but in one of the directories that are compared with besides.
//!
//! As in rsync: the first in which it is with all attributes that are kept counts, even if there is a file here; for
//! what is not here, else the first in which its content is, of which a copy gets the attributes; else the first in
//! which another version is, against which the content is sent. With `-c` a file of the same length has to be compared
//! before it counts; then the one whose attributes agree is tried, or else the first. What has no content counts only
//! where nothing is here at all.

use crate::pass::PassError;
use crate::pass::decide::{Likeness, Update};
use crate::pass::sink::backup::Fate;
use crate::pass::sink::bases::Found;
use crate::pass::sink::batches::Wanted;
use crate::pass::sink::compare::listed::Outcome;
use crate::pass::sink::compare::{Comparison, Current};
use crate::pass::sink::confirm::Listed;
use crate::pass::sink::directories::Counterpart;
use crate::pass::sink::flights::Phase;
use crate::pass::sink::sign::Job;
use crate::request::BasisKind;
use crate::tree::{Entry, Kind, Name};

impl Comparison<'_, '_> {
    /// What counts of what is elsewhere under this name.
    pub(super) fn look_elsewhere(
        &self,
        current: &Current,
        entry: &Entry,
        own: Option<&Entry>,
        name: &Name,
    ) -> Option<(Likeness, Found)> {
        if current.bases.is_empty() {
            return None;
        }
        let kind = self.sink.bases()?.kind;
        let is_here = own.is_some_and(|own| own.kind() == entry.kind());
        let is_file = entry.kind() == Kind::File;
        if (!is_file && own.is_some()) || (is_here && kind == BasisKind::Copy) {
            return None;
        }
        let mut found = self.sink.found(&current.bases, entry, name);
        let agrees = |found: &Found| {
            let (want, have, policy) = (entry.into(), (&found.entry).into(), self.sink.policy());
            let update = policy.attributes(entry.kind(), want, have, self.sink.may_set_group(entry.meta.gid));
            update.change.is_nothing()
        };
        // What is here is nearer than anything that is not just the same.
        found.retain(|(likeness, found)| match likeness {
            Likeness::Exact => true,
            Likeness::Length => !is_here || agrees(found),
            Likeness::Content | Likeness::Version => !is_here,
        });
        found
            .into_iter()
            .min_by_key(|(likeness, found)| (*likeness, *likeness == Likeness::Length && !agrees(found)))
    }

    /// Sets going what an entry needs of which this was found elsewhere.
    pub(super) fn based(
        &self,
        current: &mut Current,
        mut wanted: Wanted,
        likeness: Likeness,
    ) -> Result<Outcome, PassError> {
        let sink = self.sink;
        let (Some(found), Some(bases)) = (wanted.found.clone(), sink.bases()) else {
            return Ok(Outcome::Left);
        };
        let entry = &wanted.entry;
        let may_set_group = sink.may_set_group(entry.meta.gid);
        let policy = sink.policy_in(|| current.umask(sink), entry, wanted.own.as_ref());
        wanted.update = policy.based(entry, &found.entry, likeness, may_set_group);
        let is_file = entry.kind() == Kind::File;
        match likeness {
            Likeness::Exact if bases.kind == BasisKind::Compare => self.leave_elsewhere(current, wanted),
            Likeness::Exact if bases.kind == BasisKind::Link => self.link_elsewhere(current, wanted, &found),
            Likeness::Exact | Likeness::Content if is_file => self.copy_elsewhere(current, wanted),
            Likeness::Length if !self.clear(current, &mut wanted) => {
                sink.pass_by(&wanted.entry);
                Ok(Outcome::Left)
            }
            Likeness::Length => {
                let leftover = self.leftover(current, &wanted)?;
                self.compare_content(current, wanted, leftover).map(|()| Outcome::Comparing)
            }
            _ if is_file => {
                let leftover = self.leftover(current, &wanted)?;
                self.transfer(current, wanted, leftover)
            }
            _ => self.make_like(current, wanted),
        }
    }

    fn name<'e>(&'e self, entry: &'e Entry) -> Result<&'e Name, PassError> {
        Ok(self.sink.destination()?.rename.as_ref().unwrap_or(&entry.name))
    }

    fn tell_based(&self, current: &Current, Wanted { entry, .. }: &Wanted, update: &Update) {
        let path = || current.path.join(&entry.name);
        self.sink.announce(path, &entry.node, &entry.meta, update);
    }

    fn leftover(&self, current: &mut Current, wanted: &Wanted) -> Result<bool, PassError> {
        Ok(current.take_leftover(self.name(&wanted.entry)?))
    }

    /// Makes room for an entry, unless it only takes the place of a file.
    fn clear(&self, current: &Current, wanted: &mut Wanted) -> bool {
        let path = current.path.join(&wanted.entry.name);
        wanted
            .own
            .take_if(|own| own.is_dir())
            .is_none_or(|own| self.sink.make_room(&current.counterpart, &current.scope, &path, &own))
    }

    /// What is elsewhere need not be here, nor may it.
    fn leave_elsewhere(&self, current: &mut Current, mut wanted: Wanted) -> Result<Outcome, PassError> {
        let sink = self.sink;
        let name = self.name(&wanted.entry)?.clone();
        if self.leftover(current, &wanted)? {
            sink.clear_leftover(current.id, &crate::fs::stage_name(&name))?;
        }
        let is_clear = self.clear(current, &mut wanted);
        if let (Some(own), Counterpart::Writable(dir)) = (&wanted.own, &current.counterpart) {
            sink.directories.touch(current.id);
            if let Err(error) = sink.remove(dir, &current.path.join(&name), own) {
                sink.tally.failed(&current.path.join(&wanted.entry.name), &error);
            }
        }
        if is_clear {
            self.tell_based(current, &wanted, &Update::none());
            if let Some(found) = &wanted.found {
                let path = current.path.join(&wanted.entry.name);
                sink.confirm_found(place(current, &wanted), &path, &wanted.entry, found)?;
            }
        }
        sink.pass_by(&wanted.entry);
        Ok(Outcome::Left)
    }

    /// Makes an entry another name of what is elsewhere, or a copy where that cannot be.
    fn link_elsewhere(
        &self,
        current: &mut Current,
        mut wanted: Wanted,
        found: &Found,
    ) -> Result<Outcome, PassError> {
        let sink = self.sink;
        let is = |own: &Entry| own.inode().is_some() && own.inode() == found.entry.inode();
        if wanted.own.as_ref().is_some_and(is) {
            self.tell_based(current, &wanted, &Update::is_linked());
            sink.pass_by(&wanted.entry);
            sink.confirm(place(current, &wanted), &wanted.entry)?;
            return Ok(Outcome::There);
        }
        if !self.clear(current, &mut wanted) {
            sink.pass_by(&wanted.entry);
            return Ok(Outcome::Left);
        }
        let name = self.name(&wanted.entry)?.clone();
        let path = current.path.join(&wanted.entry.name);
        let basis = current.bases.iter().find(|(basis, _)| *basis == found.basis);
        let linked = match (&current.counterpart, basis) {
            (Counterpart::Writable(dir), Some((_, from))) => {
                sink.directories.touch(current.id);
                let kept = match &wanted.own {
                    Some(_) => sink.keep(&current.path, dir, &name, Fate::Replaced),
                    None => Ok(()),
                };
                kept.and_then(|()| sink.link_to(dir, &name, from, &found.entry))
                    .map(|linked| linked.is_some())
            }
            _ => Ok(true),
        };
        match linked {
            Ok(true) => {
                if self.leftover(current, &wanted)? {
                    sink.clear_leftover(current.id, &crate::fs::stage_name(&name))?;
                }
                self.tell_based(current, &wanted, &Update::is_linked());
                sink.pass_by(&wanted.entry);
                sink.confirm(place(current, &wanted), &wanted.entry)?;
                Ok(Outcome::There)
            }
            Ok(false) if wanted.entry.kind() == Kind::File => self.copy_elsewhere(current, wanted),
            Ok(false) => self.make_like(current, wanted),
            Err(error) => {
                sink.tally.failed(&path, &error);
                sink.pass_by(&wanted.entry);
                Ok(Outcome::Left)
            }
        }
    }

    /// Makes an entry without content, of which something like it is elsewhere.
    fn make_like(&self, current: &mut Current, wanted: Wanted) -> Result<Outcome, PassError> {
        let Wanted { entry, own, update, .. } = &wanted;
        let (path, name) = (current.path.join(&entry.name), self.name(entry)?);
        let here = (&current.counterpart, &current.scope);
        if !self.sink.make(here, current.id, &path, name, entry, own.as_ref(), update) {
            return Ok(Outcome::Left);
        }
        self.fetch_xattrs(current, wanted)?;
        Ok(Outcome::There)
    }

    /// Has a file copied from elsewhere.
    fn copy_elsewhere(&self, current: &mut Current, mut wanted: Wanted) -> Result<Outcome, PassError> {
        let sink = self.sink;
        if !self.clear(current, &mut wanted) {
            sink.pass_by(&wanted.entry);
            return Ok(Outcome::Left);
        }
        self.tell_based(current, &wanted, &wanted.update);
        if sink.dry_run() {
            sink.pass_by(&wanted.entry);
            return Ok(Outcome::Written);
        }
        self.leftover(current, &wanted)?;
        let dir = current.id;
        let renamed = sink.destination()?.rename.as_ref();
        let flight = wanted.flight(dir, &current.path, renamed, false, Phase::Compared);
        let file = sink.flights.start(flight, true)?;
        sink.directories.with(dir, |dir| dir.unsettled += 1)?;
        self.signing.send(Job::Copy(file)).map_err(|_| PassError::Lost)?;
        Ok(Outcome::Transferring)
    }
}

fn place(current: &Current, wanted: &Wanted) -> Listed {
    Listed { dir: current.id, index: wanted.index }
}
