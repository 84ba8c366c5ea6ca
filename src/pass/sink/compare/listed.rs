//! An entry that is listed, and what is left when all are.

use crate::pass::decide::{Decision, SetXattrs, Update};
use crate::pass::fingerprint::Numbered;
use crate::pass::sink::announce::Place;
use crate::pass::sink::batches::Wanted;
use crate::pass::sink::compare::{Comparison, Current};
use crate::pass::sink::confirm::Listed;
use crate::pass::sink::entry::count_transfer;
use crate::pass::sink::flights::{Flight, Phase};
use crate::pass::sink::linked::{Child, Standing};
use crate::pass::sink::sign::Job;
use crate::pass::sink::spool::Spooled;
use crate::pass::sink::{DestinationError, Sink};
use crate::pass::{PassError, SMALL, Sweep};
use crate::report::Skip;
use crate::request::{Append, Deletion, Reflink};
use crate::tree::{Entry, Kind, Name, RelPath};
use crate::view;
use crate::wire::{Identify, ListingEnd, Message};
use std::io;

/// A basis shorter than this saves less than asking for its blocks costs.
const WORTH_SIGNING: u64 = 256;

/// There is something that cannot be looked at, which was told.
struct Told;

/// What becomes of an entry, for what is to be another name of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is not as at the source, and will not be.
    Left,
    /// It is, or was made so (or would be, in a dry run).
    There,
    /// It would be, in a dry run, written anew.
    Written,
    /// Its content is being compared.
    Comparing,
    /// Its content was asked for.
    Transferring,
}

impl Comparison<'_, '_> {
    /// Compares one entry with its counterpart.
    pub(super) fn entry(&mut self, current: &mut Current, entry: Entry) -> Result<(), PassError> {
        let sink = self.sink;
        let (before, index) = current.numbering.listed(&entry.name).map_err(PassError::Protocol)?;
        self.pass_over(current, before)?;
        if crate::fs::is_reserved(&entry) || (entry.is_dir() && !sink.context.options.lists_directories()) {
            return Err(PassError::Protocol("an entry is listed that must not be"));
        }
        if let Some(agenda) = sink.goal.agenda() {
            return self.planned(agenda, current, index, entry);
        }
        if sink.goal.only_shows() {
            return self.show(current, index, entry);
        }
        let rename = sink.destination()?.rename.as_ref();
        if rename.is_some() && (index > 0 || entry.is_dir()) {
            return Err(PassError::Protocol("a single entry turned out to be more"));
        }
        let entry = sink.entry_here(sink.kept_text(entry));
        let name = rename.unwrap_or(&entry.name);
        if sink.context.sweep == Sweep::Now && !entry.is_dir() {
            // Whatever it is here, it stays.
            current.take_own(name);
            return Ok(());
        }
        let own = match current.take_own(name) {
            None if current.own.unreadable.contains(name) => Err(Told),
            None if current.own.incomplete => self.look_for(current, name)?,
            own => Ok(own),
        };
        let own = match own {
            Ok(own) => own,
            Err(Told) => {
                // Whatever is there stays as it is.
                if !entry.is_dir() {
                    sink.pass_by(&entry);
                    return Ok(());
                }
                // Making it will fail if anything is there.
                None
            }
        };
        let own = own.map(|own| sink.as_written(&current.counterpart, &entry, self.looked_at(current, own)));
        if sink.moves.is_on()
            && let Some(own) = own.as_ref()
            && (own.is_dir() != entry.is_dir() || sink.may_be_linked(&entry))
        {
            sink.let_go_of(&current.path.join(&own.name))?;
        }
        if entry.is_dir() {
            let is_implied = current.implied.binary_search(&entry.name).is_ok();
            let standing = if is_implied { Standing::Implied } else { Standing::Meant };
            return sink.directories.with(current.id, |dir| {
                dir.unsettled += 1;
                dir.children.insert(index, Child { entry, own, standing });
            });
        }
        if current.unusable {
            sink.pass_by(&entry);
            return Ok(());
        }
        if sink.may_be_linked(&entry) {
            return self.grouped(current, index, entry, own);
        }
        self.single(current, index, entry, own).map(|_| ())
    }

    /// Sets going what an entry needs that is no directory.
    pub(super) fn single(
        &self,
        current: &mut Current,
        index: u32,
        entry: Entry,
        own: Option<Entry>,
    ) -> Result<Outcome, PassError> {
        let sink = self.sink;
        let name = sink.destination()?.rename.as_ref().unwrap_or(&entry.name);
        let dir = current.id;
        let decision = self.decide(current, &entry, own.as_ref());
        if let Some(own) = own.as_ref().filter(|own| own.kind() == Kind::File && sink.moves.is_on()) {
            self.fate_is_known(current, own, &decision)?;
        }
        // A file that has grown here still gives way to what is elsewhere as at the source.
        let may_be_elsewhere = !matches!(decision, Decision::Skip(reason) if reason != Skip::NotShorter);
        if may_be_elsewhere
            && let Some((likeness, found)) = self.look_elsewhere(current, &entry, own.as_ref(), name)
        {
            sink.look_around();
            let wanted = Wanted { index, entry, own, found: Some(found), like: None, update: Update::none() };
            return self.based(current, wanted, likeness);
        }
        let leftover = current.take_leftover(name);
        if leftover && !matches!(decision, Decision::Transfer(_) | Decision::Compare) {
            sink.clear_leftover(dir, &crate::fs::stage_name(name))?;
        }
        let path = || current.path.join(&entry.name);
        match decision {
            Decision::Skip(reason) => {
                sink.skipped(&path(), &entry.node, reason);
                sink.pass_by(&entry);
                Ok(Outcome::Left)
            }
            Decision::Attributes(update) => {
                sink.announce(path, &entry.node, &entry.meta, &update);
                if !update.sets_nothing() {
                    sink.set_attributes(dir, &path(), name, &entry, &update)?;
                }
                sink.pass_by(&entry);
                self.fetch_xattrs(current, Wanted { index, entry, own, found: None, like: None, update })?;
                Ok(Outcome::There)
            }
            Decision::Make(update) => {
                let here = (&current.counterpart, &current.scope);
                if !sink.make(here, dir, &path(), name, &entry, own.as_ref(), &update) {
                    return Ok(Outcome::Left);
                }
                self.fetch_xattrs(current, Wanted { index, entry, own, found: None, like: None, update })?;
                Ok(Outcome::There)
            }
            Decision::Transfer(update) => self.transfer(
                current,
                Wanted { index, entry, own, found: None, like: None, update },
                leftover,
            ),
            Decision::Compare => {
                let wanted = Wanted { index, entry, own, found: None, like: None, update: Update::none() };
                self.compare_content(current, wanted, leftover).map(|()| Outcome::Comparing)
            }
        }
    }

    /// A file here may be what another has moved from: says whether it stays as it is.
    fn fate_is_known(&self, current: &Current, own: &Entry, decision: &Decision) -> Result<(), PassError> {
        let path = current.path.join(&own.name);
        let stays = match decision {
            Decision::Skip(_) => true,
            Decision::Attributes(update) => update.sets_nothing(),
            Decision::Make(_) | Decision::Transfer(_) | Decision::Compare => false,
        };
        if stays && current.bases.is_empty() {
            self.sink.stays(&path);
            return Ok(());
        }
        self.sink.let_go(&path)
    }

    /// What an entry needs that is no directory.
    pub(super) fn decide(&self, current: &mut Current, entry: &Entry, own: Option<&Entry>) -> Decision {
        let sink = self.sink;
        let policy = sink.policy_in(|| current.umask(sink), entry, own);
        match policy.decide(entry, own, sink.may_set_group(entry.meta.gid)) {
            // Where a link leads is not asked of one that has no part in the run for being there or not being there.
            skipped @ Decision::Skip(Skip::Exists | Skip::NotExisting) => skipped,
            _ if sink.context.options.leaves_out(entry, &current.path) => Decision::Skip(Skip::Unsafe),
            decision => decision,
        }
    }

    /// What an entry needs was done, but for extended attributes that have to come: gathers it if it needs these.
    pub(super) fn fetch_xattrs(&self, current: &mut Current, wanted: Wanted) -> Result<(), PassError> {
        if wanted.update.xattrs != SetXattrs::Fetch || self.sink.dry_run() {
            let place = Listed { dir: current.id, index: wanted.index };
            return self.sink.confirm(place, &wanted.entry);
        }
        current.gathering.add_xattrs(wanted);
        if current.gathering.is_full() { self.sink.fetch(current) } else { Ok(()) }
    }

    /// An entry that is here, with what more is asked for of it. What cannot be had of that is told, and taken not to
    /// be there.
    fn looked_at(&self, current: &Current, mut own: Entry) -> Entry {
        // What takes no part by the rules here may be listed by those at the source.
        let is_seen = current.own.looked_closer && view::shows(&current.scope, &current.path, &own);
        if self.sink.looks_closer() && !is_seen {
            let looked = self.sink.look_closer(&current.counterpart, &mut own);
            looked.unwrap_or_else(|error| self.sink.tally.failed(&current.path.join(&own.name), &error));
        }
        own
    }

    /// What is here under a name in a directory of which not all could be read, which was told. If names cannot be
    /// looked up there either, nothing more is to be had of it, and nothing more is told.
    fn look_for(&self, current: &mut Current, name: &Name) -> Result<Result<Option<Entry>, Told>, PassError> {
        if current.unusable {
            return Ok(Err(Told));
        }
        match current.counterpart.dir().map_or(Ok(None), |dir| dir.entry(name)) {
            Ok(own) => return Ok(Ok(own)),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                current.unusable = true;
                self.sink.directories.with(current.id, |dir| dir.unusable = true)?;
            }
            Err(error) => self.sink.tally.failed(&current.path.join(name), &error),
        }
        Ok(Err(Told))
    }

    /// Entries are not listed, because those here are the same.
    fn pass_over(&self, current: &mut Current, standing: Vec<Numbered>) -> Result<(), PassError> {
        for (_, entry) in &standing {
            if current.take_leftover(&entry.name) {
                self.sink.clear_leftover(current.id, &crate::fs::stage_name(&entry.name))?;
            }
        }
        self.stand(current.id, standing)
    }

    pub(super) fn transfer(
        &self,
        current: &mut Current,
        wanted: Wanted,
        leftover: bool,
    ) -> Result<Outcome, PassError> {
        let sink = self.sink;
        let options = &sink.context.options;
        let Wanted { index, entry, own, update, found, like: planned } = &wanted;
        if let Some(own) = own
            && (own.is_dir() || (own.kind() != Kind::File && options.in_place))
            && !sink.make_room(&current.counterpart, &current.scope, &current.path.join(&entry.name), own)
        {
            sink.pass_by(entry);
            return Ok(Outcome::Left);
        }
        // Nobody goes on with what is beside the file if it is staged elsewhere.
        let leftover = if leftover && options.temp_dir.is_some() {
            sink.clear_leftover(current.id, &crate::fs::stage_name(&entry.name))?;
            false
        } else {
            leftover
        };
        if own.is_none() && found.is_none() {
            let candidates = sink.candidates(entry);
            if !candidates.is_empty() {
                return self.identify(current, wanted, leftover, candidates);
            }
        }
        sink.announce(|| current.path.join(&entry.name), &entry.node, &entry.meta, update);
        if sink.dry_run() {
            count_transfer(sink, entry, update.change.new);
            return Ok(Outcome::Written);
        }
        let renamed = sink.destination()?.rename.as_ref();
        let name = renamed.unwrap_or(&entry.name);
        let there = own.as_ref().filter(|own| own.kind() == Kind::File).map(|own| own.node.size());
        let partial = current.has_partial(name);
        let is_found = found.as_ref().is_some_and(|found| {
            found.entry.kind() == Kind::File && found.entry.node.size() >= WORTH_SIGNING
        });
        let like = if there.is_none() && !is_found { current.nearby.like(entry) } else { None };
        let appended_to = match options.append {
            Some(Append::Trusting) => there.unwrap_or(0),
            _ => 0,
        };
        let planned =
            planned.as_ref().filter(|_| !sink.context.whole_file() && entry.node.size() >= WORTH_SIGNING);
        let namesake = || planned.cloned().or_else(|| self.namesake(entry));
        let namesake = if like.is_none() && there.is_none() { namesake() } else { None };
        // What counts as empty may be a device, which tells its length when it is opened.
        let may_hold_more = options.writes_devices() && there == Some(0);
        let is_worth = there.is_some_and(|size| size >= WORTH_SIGNING) || may_hold_more || is_found;
        let has_basis = is_worth || leftover || partial || like.is_some() || namesake.is_some();
        let with_basis = !sink.context.whole_file() && has_basis && appended_to == 0;
        let is_shared = sink.context.local && options.reflink == Reflink::Always;
        let elsewhere = options.temp_dir.is_some() || sink.delays() || options.in_place || is_shared;
        let is_plain = !(with_basis || leftover || partial || elsewhere) && renamed.is_none();
        if entry.node.size() <= SMALL && is_plain && options.shortcuts.small_files {
            current.gathering.add(wanted);
            if current.gathering.is_full() {
                sink.fetch(current)?;
            }
            return Ok(Outcome::Transferring);
        }
        let (dir, index) = (current.id, *index);
        let phase = if with_basis { Phase::Signing } else { Phase::Fetching };
        let flight = wanted.flight(dir, &current.path, renamed, leftover, phase);
        let flight = Flight { partial, appended_to, like, namesake, ..flight };
        let file = sink.flights.start(flight, with_basis)?;
        sink.directories.with(dir, |dir| dir.unsettled += 1)?;
        if with_basis {
            self.signing.send(Job::Sign(file)).map_err(|_| PassError::Lost)?;
        } else {
            sink.ask_rest(file, dir, index, appended_to)?;
        }
        Ok(Outcome::Transferring)
    }

    /// A file of the same name elsewhere at the destination, which may be an earlier version of a new one.
    fn namesake(&self, entry: &Entry) -> Option<RelPath> {
        (!self.sink.context.whole_file()).then(|| self.sink.namesake(entry)).flatten()
    }

    /// Asks which content a new file has, since these files may have it.
    fn identify(
        &self,
        current: &Current,
        wanted: Wanted,
        leftover: bool,
        candidates: Vec<RelPath>,
    ) -> Result<Outcome, PassError> {
        let (sink, dir, index) = (self.sink, current.id, wanted.index);
        let partial = current.has_partial(&wanted.entry.name);
        // One of the same length that was changed serves as well.
        let is_delta = !sink.context.whole_file();
        let like = current.nearby.like(&wanted.entry);
        let namesake = self.namesake(&wanted.entry);
        let namesake = namesake.or_else(|| candidates.first().filter(|_| is_delta).cloned());
        let flight = wanted.flight(dir, &current.path, None, leftover, Phase::Identifying);
        let flight = Flight { partial, like, namesake, candidates: candidates.into(), ..flight };
        let file = sink.flights.start(flight, true)?;
        sink.directories.with(dir, |dir| dir.unsettled += 1)?;
        sink.announcer.keep_place(Place::File(file));
        sink.sender.send(Message::Identify(Identify { file, dir, index }))?;
        Ok(Outcome::Comparing)
    }

    pub(super) fn compare_content(
        &self,
        current: &Current,
        wanted: Wanted,
        leftover: bool,
    ) -> Result<(), PassError> {
        let dir = current.id;
        let renamed = self.sink.destination()?.rename.as_ref();
        let flight = wanted.flight(dir, &current.path, renamed, leftover, Phase::Comparing);
        let file = self.sink.flights.start(flight, true)?;
        self.sink.directories.with(dir, |dir| dir.unsettled += 1)?;
        self.sink.announcer.keep_place(Place::File(file));
        self.signing.send(Job::Check(file)).map_err(|_| PassError::Lost)
    }

    /// A listing is whole: removes what it does not have, if asked.
    pub(super) fn end(&mut self, mut current: Current, end: ListingEnd) -> Result<(), PassError> {
        let sink = self.sink;
        let rest = std::mem::take(&mut current.numbering).rest().map_err(PassError::Protocol)?;
        self.pass_over(&mut current, rest)?;
        let mut extra = std::mem::take(&mut current.extra);
        extra.extend(current.own.entries.drain(..));
        let whole_root = self.begin.as_ref().is_some_and(|begin| begin.root.is_some());
        let is_top = current.id.0 == 0;
        let is_part = matches!(end, ListingEnd::Part | ListingEnd::BrokenPart);
        let is_whole = !is_part && (!is_top || (whole_root && sink.destination()?.rename.is_none()));
        let is_complete = end == ListingEnd::Whole;
        for staged in current.own.leftovers.drain() {
            // Of a file that this run knows nothing of, another may go on with what is there.
            let is_known = sink.context.sweep != Sweep::Now;
            if is_known && (is_whole && is_complete) || crate::fs::is_passing(&staged) {
                sink.clear_leftover(current.id, &staged)?;
            }
        }
        if matches!(end, ListingEnd::Broken | ListingEnd::BrokenPart) {
            sink.spool.give_up();
        }
        if let Some(deletion) = sink.context.options.delete
            && is_whole
            && !current.unusable
            && !sink.is_mounted(&current.counterpart)
            && !extra.is_empty()
        {
            self.extra(&current, extra, deletion, is_complete || deletion.ignore_errors)?;
        }
        Ok(())
    }

    /// Removes what the listing does not have, or keeps it in mind for the end.
    fn extra(
        &self,
        current: &Current,
        extra: Vec<Entry>,
        deletion: Deletion,
        is_known: bool,
    ) -> Result<(), PassError> {
        let sink = self.sink;
        if matches!(sink.context.sweep, Sweep::Done(_)) {
            return Ok(());
        }
        if self.begin.as_ref().is_some_and(|begin| begin.bare)
            && !deletion.from_empty
            && extra.iter().any(|entry| sink.is_extra(&current.scope, &current.path, entry))
        {
            return Err(DestinationError::EmptySource.into());
        }
        if !is_known {
            sink.tell_kept_extras();
            return Ok(());
        }
        if sink.context.options.deletes_late() {
            let (path, scope) = (current.path.clone(), current.scope.clone());
            let keeps_time = sink.directories.with(current.id, |dir| dir.keeps_time)?;
            let names = extra.into_iter().map(|entry| entry.name).collect();
            sink.spool.add(Spooled { path, scope, keeps_time, names });
            return Ok(());
        }
        for entry in extra {
            let path = current.path.join(&entry.name);
            sink.delete_extra(&current.counterpart, &current.scope, path, entry);
        }
        sink.directories.touch(current.id);
        Ok(())
    }
}

impl Current {
    /// Whether an interrupted run kept a part of this file.
    fn has_partial(&self, name: &Name) -> bool {
        let found = self.partials.as_ref().and_then(|dir| dir.entry(name).ok()?);
        found.is_some_and(|found| found.kind() == Kind::File)
    }

    /// What new entries here do not get of permissions.
    pub(super) fn umask(&mut self, sink: &Sink<'_>) -> u32 {
        *self.umask.get_or_insert_with(|| sink.umask_in(&self.counterpart))
    }

    /// What is here under this name. The listing has passed everything before it.
    fn take_own(&mut self, name: &Name) -> Option<Entry> {
        while let Some(entry) = self.own.entries.pop_front_if(|own| own.name < *name) {
            self.extra.push(entry);
        }
        self.own.entries.pop_front_if(|own| own.name == *name)
    }

    /// Whether a killed run left a part of this file.
    pub(super) fn take_leftover(&mut self, name: &Name) -> bool {
        !self.own.leftovers.is_empty() && self.own.leftovers.remove(&crate::fs::stage_name(name))
    }
}
