//! Names that are one file at the source (`-H`): the first of them that is to be here is treated like any other entry,
//! the others are linked to it.
//!
//! Where one that comes later in the same directory may be here already, the first waits for it, so that nothing has to
//! be sent; what is here then counts as the first.
//!
//! While the content of the first is under way, the others wait; their directories stay open for so long. If it cannot
//! be had, the next of them takes its place, and so does the next where a link cannot be made. Whether a name takes
//! part is decided for each: one that is skipped is neither linked nor linked to. Everything about groups happens in
//! the thread that compares, which hears of what was under way as a [`Landed`].
//!
//! A file is remembered until the last of its names has come, or to the end of the run if some were not listed.

use crate::fs::{Error, Linkable, Linked};
use crate::pass::PassError;
use crate::pass::decide::{Decision, Likeness, Update};
use crate::pass::sink::announce;
use crate::pass::sink::backup::Fate;
use crate::pass::sink::bases::Found;
use crate::pass::sink::batches::Gathering;
use crate::pass::sink::compare::listed::Outcome;
use crate::pass::sink::compare::{Comparison, Current};
use crate::pass::sink::confirm::Listed;
use crate::pass::sink::directories::Counterpart;
use crate::pass::sink::enter::Own;
use crate::pass::sink::landings::{Identity, Landed, Landing};
use crate::pass::sink::nearby::Nearby;
use crate::report::Event;
use crate::tree::{Entry, Group, Kind, RelPath};
use crate::wire::DirId;
use crossbeam_channel::RecvTimeoutError;
use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

/// How many names may wait before the comparison waits itself: each takes some hundred bytes.
const WAITING: usize = 1 << 14;

/// How often it is looked whether the run was stopped while the comparison waits.
const LOOK: Duration = Duration::from_millis(100);

/// What is known of the files that may get further names.
#[derive(Debug, Default)]
pub(super) struct Groups {
    known: HashMap<u32, Known>,
    /// How many names wait.
    waiting: usize,
    /// The files whose first name waits for another in the directory that is being listed.
    sought: BTreeSet<u32>,
    /// The number of the next place that is kept for what will be said.
    next_place: u32,
    /// Whether it was told that links cannot be made.
    refusal_told: bool,
}

/// A file of which the first name was seen.
#[derive(Debug)]
struct Known {
    kind: Kind,
    /// That name here.
    path: RelPath,
    /// Whether its last name has come.
    complete: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It may be here under a name that is still to come in this directory.
    Sought(Vec<Waiting>),
    /// It is there: this file. In a dry run it need not be there yet.
    There(Option<Identity>),
    /// It is under way.
    UnderWay {
        /// The file that is here: kept for certain, or if the comparison of its content says so.
        kept: Option<Kept>,
        waiting: Vec<Waiting>,
    },
}

#[derive(Debug, Clone, Copy)]
struct Kept {
    identity: Identity,
    certain: bool,
}

/// A name that waits.
#[derive(Debug)]
struct Waiting {
    dir: DirId,
    named: Named,
}

/// A name that is not a directory's.
#[derive(Debug)]
struct Named {
    /// Its place in the source's listing.
    index: u32,
    /// What the source listed, with this host's owners.
    entry: Entry,
    /// What is here.
    own: Option<Entry>,
    told: Told,
    /// Whether another name was waited for in vain.
    sought: bool,
}

impl Named {
    /// Whether what is here is this very file.
    fn is(&self, file: Option<Identity>) -> bool {
        file.is_some() && self.own.as_ref().and_then(Entry::inode).map(|inode| inode.identity) == file
    }
}

/// Whether it was said that a name is linked.
#[derive(Debug, Clone, Copy)]
enum Told {
    No,
    Yes,
    /// It will be, in this place, or it will not.
    Later(u32),
}

impl Comparison<'_, '_> {
    /// An entry of a group is listed.
    pub(super) fn grouped(
        &mut self,
        current: &mut Current,
        index: u32,
        entry: Entry,
        own: Option<Entry>,
    ) -> Result<(), PassError> {
        self.place(current, Named { index, entry, own, told: Told::No, sought: false })?;
        if self.groups.waiting >= WAITING {
            self.seek_no_more()?;
            self.sink.fetch(current)?;
        }
        while self.groups.waiting >= WAITING {
            match self.landings.recv_timeout(LOOK) {
                Ok(landed) => self.landed(landed)?,
                Err(RecvTimeoutError::Timeout) if !self.sink.sender.is_stopped() => {}
                Err(_) => return Err(PassError::Lost),
            }
        }
        Ok(())
    }

    /// What was under way for a group is settled.
    pub(super) fn landed(&mut self, Landed { group, landing }: Landed) -> Result<(), PassError> {
        let Some(mut known) = self.groups.known.remove(&group) else { return Ok(()) };
        let State::UnderWay { waiting, .. } = std::mem::replace(&mut known.state, State::There(None)) else {
            return Err(PassError::Protocol("a file landed twice"));
        };
        self.groups.waiting = self.groups.waiting.saturating_sub(waiting.len());
        // It is not to be forgotten before those that wait have had their turn.
        let complete = std::mem::take(&mut known.complete);
        if let Landing::There(identity) = landing {
            known.state = State::There(identity);
            self.groups.known.insert(group, known);
        }
        waiting.into_iter().try_for_each(|name| self.resume(name))?;
        if complete && let Some(known) = self.groups.known.get_mut(&group) {
            known.complete = true;
            self.forget_complete(group);
        }
        Ok(())
    }

    /// The turn of a name that waited has come.
    fn resume(&mut self, Waiting { dir, named }: Waiting) -> Result<(), PassError> {
        let sink = self.sink;
        let (path, scope, mut unusable) =
            sink.directories.with(dir, |dir| (dir.path.clone(), dir.scope.clone(), dir.unusable))?;
        let counterpart = sink.directories.counterpart(sink, dir)?.unwrap_or_else(|error| {
            sink.tally.failed(&path.join(&named.entry.name), &error);
            unusable = true;
            Counterpart::Absent
        });
        let mut current = Current {
            id: dir,
            bases: sink.bases().map(|bases| bases.at(&path)).unwrap_or_default(),
            partials: sink.partials_of(&counterpart),
            path,
            counterpart,
            unusable,
            scope,
            own: Own::default(),
            extra: Vec::new(),
            numbering: Default::default(),
            umask: None,
            implied: Vec::new(),
            gathering: Gathering::default(),
            nearby: Nearby::default(),
            to_come: None,
        };
        if unusable {
            self.tell(named.told, None);
            sink.pass_by(&named.entry);
        } else {
            self.place(&mut current, named)?;
            sink.fetch(&mut current)?;
        }
        sink.settle(dir)
    }

    /// Finds the place of a name in its group: the first, one that waits, or one that is linked now.
    fn place(&mut self, current: &mut Current, mut named: Named) -> Result<(), PassError> {
        let sink = self.sink;
        let Some(group) = named.entry.group() else { return Ok(()) };
        let Some(known) = self.groups.known.get_mut(&group.number) else {
            return if self.may_follow(current, &named) {
                self.seek(current, named)
            } else {
                self.lead(current, named)
            };
        };
        if known.kind != named.entry.kind() {
            // What had the first name was removed, and another file got its number.
            named.entry.extra_mut().group = None;
            let Named { index, entry, own, .. } = named;
            return self.single(current, index, entry, own).map(|_| ());
        }
        known.complete |= group.last;
        let under_way = match known.state {
            State::There(_) => None,
            State::UnderWay { kept, .. } => Some(kept),
            State::Sought(_) => Some(None),
        };
        let is_sought = matches!(known.state, State::Sought(_));
        let decision = self.decide(current, &named.entry, named.own.as_ref());
        if let Decision::Skip(reason) = decision {
            sink.skipped(&current.path.join(&named.entry.name), &named.entry.node, reason);
            sink.pass_by(&named.entry);
            self.forget_complete(group.number);
            return Ok(());
        }
        if is_sought {
            let is_here = !matches!(decision, Decision::Transfer(_));
            return if is_here || group.last {
                self.found(current, named, is_here)
            } else {
                self.seek(current, named)
            };
        }
        match under_way {
            None => {
                self.link(current, named)?;
                self.forget_complete(group.number);
                Ok(())
            }
            Some(kept) => self.wait(current, named, kept),
        }
    }

    /// Whether the first name of a file may turn out to be another of something that is here and still to be listed.
    fn may_follow(&self, current: &mut Current, named: &Named) -> bool {
        let Named { entry, own, sought, .. } = named;
        let likeness = |entry: &Entry| (entry.node.size(), entry.meta.mtime);
        let is_like = |own: &Entry| own.kind() == Kind::File && likeness(own) == likeness(entry);
        // Where it could go on with something of its own, it does.
        let has_part = || {
            !current.own.leftovers.is_empty()
                && current.own.leftovers.contains(&crate::fs::stage_name(&entry.name))
        };
        if *sought
            || entry.kind() != Kind::File
            || entry.node.size() == 0
            || entry.group().is_none_or(|group| group.last)
            || self.sink.context.options.in_place
            || !current.bases.is_empty()
            || own.as_ref().is_some_and(is_like)
            || has_part()
            || current.nearby.like(entry).is_some()
        {
            return false;
        }
        let all = || {
            let files = current.own.entries.iter().filter(|own| own.kind() == Kind::File);
            files.map(likeness).collect()
        };
        if !current.to_come.get_or_insert_with(all).contains(&likeness(entry)) {
            return false;
        }
        matches!(self.decide(current, entry, own.as_ref()), Decision::Transfer(_))
    }

    /// Lets a name wait for one of its file that is here.
    fn seek(&mut self, current: &Current, named: Named) -> Result<(), PassError> {
        let Some(group) = named.entry.group() else { return Ok(()) };
        self.sink.directories.with(current.id, |dir| dir.unsettled += 1)?;
        self.groups.waiting += 1;
        let (kind, path) = (named.entry.kind(), current.path.join(&named.entry.name));
        let waiting = Waiting { dir: current.id, named: Named { sought: true, ..named } };
        let known = self.groups.known.entry(group.number).or_insert_with(|| {
            self.groups.sought.insert(group.number);
            Known { kind, path, complete: false, state: State::Sought(Vec::new()) }
        });
        if let State::Sought(names) = &mut known.state {
            names.push(waiting);
        }
        Ok(())
    }

    /// This name is here, or is the last of its file: those that waited follow it, or all have their turn.
    fn found(&mut self, current: &mut Current, mut named: Named, is_here: bool) -> Result<(), PassError> {
        let Some(group) = named.entry.group() else { return Ok(()) };
        let waiting = self.no_longer_sought(group.number);
        // It is not to be forgotten before those that waited have had their turn.
        named.entry.extra_mut().group = Some(Group { last: false, ..group });
        if is_here {
            self.lead(current, named)?;
            waiting.into_iter().try_for_each(|name| self.resume(name))?;
        } else {
            waiting.into_iter().try_for_each(|name| self.resume(name))?;
            self.place(current, Named { sought: true, ..named })?;
        }
        if group.last
            && let Some(known) = self.groups.known.get_mut(&group.number)
        {
            known.complete = true;
            self.forget_complete(group.number);
        }
        Ok(())
    }

    /// The listing of a directory has ended: what was waited for in it does not come.
    pub(super) fn seek_no_more(&mut self) -> Result<(), PassError> {
        for number in std::mem::take(&mut self.groups.sought) {
            let waiting = self.no_longer_sought(number);
            waiting.into_iter().try_for_each(|name| self.resume(name))?;
        }
        Ok(())
    }

    /// Takes out the names that wait for one that is here, and forgets their file, if they still do.
    fn no_longer_sought(&mut self, number: u32) -> Vec<Waiting> {
        if !matches!(self.groups.known.get(&number), Some(Known { state: State::Sought(_), .. })) {
            return Vec::new();
        }
        self.groups.sought.remove(&number);
        let Some(Known { state: State::Sought(waiting), .. }) = self.groups.known.remove(&number) else {
            return Vec::new();
        };
        self.groups.waiting = self.groups.waiting.saturating_sub(waiting.len());
        waiting
    }

    /// Treats the first name of a group like any other entry, and notes what the others are to know of it.
    fn lead(&mut self, current: &mut Current, named: Named) -> Result<(), PassError> {
        let Some(group) = named.entry.group() else { return Ok(()) };
        self.tell(named.told, None);
        let Named { index, entry, own, .. } = named;
        let (kind, node) = (entry.kind(), entry.node.clone());
        let name = self.sink.destination()?.rename.as_ref().unwrap_or(&entry.name).clone();
        let path = current.path.join(&name);
        let inode = own.as_ref().filter(|own| own.kind() == kind).and_then(Entry::inode);
        let here = inode.map(|inode| inode.identity);
        let in_place = self.sink.context.options.in_place;
        let under_way = |kept| State::UnderWay { kept, waiting: Vec::new() };
        let state = match self.single(current, index, entry, own)? {
            Outcome::Left => return Ok(()),
            Outcome::There if self.sink.dry_run() => State::There(here),
            Outcome::There => match current.counterpart.identity_of(&name, &node) {
                None => return Ok(()),
                identity => State::There(identity),
            },
            Outcome::Written => State::There(here.filter(|_| in_place)),
            Outcome::Comparing => under_way(here.map(|identity| Kept { identity, certain: false })),
            Outcome::Transferring => {
                under_way(here.filter(|_| in_place).map(|identity| Kept { identity, certain: true }))
            }
        };
        if !group.last || matches!(state, State::UnderWay { .. }) {
            let complete = group.last;
            self.groups.known.insert(group.number, Known { kind, path, complete, state });
        }
        Ok(())
    }

    /// Lets a name wait for the first of its group, and says what becomes of it as far as that is known.
    fn wait(&mut self, current: &Current, mut named: Named, kept: Option<Kept>) -> Result<(), PassError> {
        let sink = self.sink;
        let Some(group) = named.entry.group() else { return Ok(()) };
        match kept.filter(|kept| named.is(Some(kept.identity))) {
            // If the source is to remove it, it has to have its content before.
            Some(Kept { certain: true, .. }) if !sink.confirms() => return self.is_linked(current, &named),
            Some(_) if matches!(named.told, Told::No) => {
                let place = self.groups.next_place;
                self.groups.next_place = place.wrapping_add(1);
                sink.announcer.keep_place(announce::Place::Link(place));
                named.told = Told::Later(place);
            }
            Some(_) => {}
            None => {
                let event = self.link_event(current, &named);
                named.told = self.tell(named.told, event);
            }
        }
        if let Some(Known { state: State::UnderWay { waiting, .. }, .. }) =
            self.groups.known.get_mut(&group.number)
        {
            sink.directories.with(current.id, |dir| dir.unsettled += 1)?;
            waiting.push(Waiting { dir: current.id, named });
            self.groups.waiting += 1;
        }
        Ok(())
    }

    /// Makes a name one of the file that its group's first is, if it is not.
    fn link(&mut self, current: &mut Current, mut named: Named) -> Result<(), PassError> {
        let sink = self.sink;
        let number = named.entry.group().map(|group| group.number).unwrap_or_default();
        let Some(Known { path: leader, state: State::There(identity), .. }) = self.groups.known.get(&number)
        else {
            return Ok(());
        };
        let (leader, identity) = (leader.clone(), *identity);
        if named.is(identity) {
            return self.is_linked(current, &named);
        }
        let path = current.path.join(&named.entry.name);
        let event = self.link_event(current, &named);
        // Where it is that file elsewhere too, nothing of it is new.
        let found = self.found_of(current, &named);
        let is_it = |found: &Entry| found.inode().is_some_and(|inode| Some(inode.identity) == identity);
        let event =
            if found.as_ref().is_some_and(is_it) { self.linked_event(current, &named) } else { event };
        let is_of_kind = |own: &Entry| own.kind() == named.entry.kind();
        let is_new = !named.own.as_ref().is_some_and(is_of_kind) && found.is_none();
        if let Some(own) = named.own.take_if(|own| own.is_dir())
            && !sink.make_room(&current.counterpart, &current.scope, &path, &own)
        {
            self.tell(named.told, None);
            sink.pass_by(&named.entry);
            return Ok(());
        }
        let linked = match (&current.counterpart, identity) {
            (Counterpart::Writable(_), Some(identity)) => self.make_link(current, &leader, &named, identity),
            (Counterpart::Writable(_), None) => Ok(Linked::Gone),
            // A dry run.
            _ => Ok(Linked::Made),
        };
        match linked {
            Ok(Linked::Made) => {
                self.tell(named.told, event);
                if is_new {
                    sink.count_created(named.entry.kind());
                }
                sink.pass_by(&named.entry);
                sink.confirm(Listed { dir: current.id, index: named.index }, &named.entry)
            }
            Ok(gone_or_refused) => {
                if let Linked::Refused(error) = gone_or_refused
                    && !std::mem::replace(&mut self.groups.refusal_told, true)
                {
                    let why = crate::pass::tally::describe(&error.source);
                    let cause =
                        format!("{why}; it becomes a file of its own, as do others that cannot be linked");
                    sink.tally.problem(error.doing, &path, &cause);
                }
                self.groups.known.remove(&number);
                self.lead(current, named)
            }
            Err(error) => {
                self.tell(named.told, None);
                sink.tally.failed(&path, &error);
                sink.pass_by(&named.entry);
                Ok(())
            }
        }
    }

    fn make_link(
        &self,
        current: &Current,
        leader: &RelPath,
        Named { entry: Entry { name, .. }, own, .. }: &Named,
        identity: Identity,
    ) -> Result<Linked, Error> {
        let (sink, Counterpart::Writable(dir)) = (self.sink, &current.counterpart) else {
            return Ok(Linked::Gone);
        };
        let Some((parent, leader)) = leader.split_last() else { return Ok(Linked::Gone) };
        let beside = (parent == current.path).then(|| current.counterpart.clone());
        let from = match beside.map_or_else(|| sink.counterpart_at(&parent), Ok) {
            Ok(from) => from,
            // It went away, or was closed to this user when it got its own mode.
            Err(_) => return Ok(Linked::Gone),
        };
        let Some(from) = from.dir() else { return Ok(Linked::Gone) };
        sink.directories.touch(current.id);
        if own.is_some() {
            sink.keep(&current.path, dir, name, Fate::Replaced)?;
        }
        dir.link(name, Linkable { dir: from, name: &leader, identity })
    }

    /// Nothing is to be done about a name that is one of the file already.
    fn is_linked(&mut self, current: &Current, named: &Named) -> Result<(), PassError> {
        let event = self.linked_event(current, named);
        self.tell(named.told, event);
        self.sink.pass_by(&named.entry);
        self.sink.confirm(Listed { dir: current.id, index: named.index }, &named.entry)
    }

    /// What is elsewhere under a name that is not here.
    fn found_of(&self, current: &Current, named: &Named) -> Option<Entry> {
        let elsewhere = || self.sink.found(&current.bases, &named.entry, &named.entry.name);
        let nearest = |all: Vec<(Likeness, Found)>| all.into_iter().min_by_key(|(likeness, _)| *likeness);
        named.own.is_none().then(elsewhere).and_then(nearest).map(|(_, found)| found.entry)
    }

    fn linked_event(&self, current: &Current, named: &Named) -> Option<Event> {
        let Entry { name, node, meta, .. } = &named.entry;
        self.sink.item(current.path.join(name), node, meta, &Update::is_linked())
    }

    fn link_event(&self, current: &Current, named: &Named) -> Option<Event> {
        let sink = self.sink;
        let Named { entry, own, .. } = named;
        let found = self.found_of(current, named);
        let known = own.as_ref().or(found.as_ref());
        let update = sink.policy().linked(entry, known, sink.may_set_group(entry.meta.gid));
        let number = entry.group()?.number;
        let leader = self.groups.known.get(&number).map(|known| known.path.clone());
        match sink.item(current.path.join(&entry.name), &entry.node, &entry.meta, &update)? {
            Event::Item(item) => Some(Event::Item(crate::report::Item { leader, ..item })),
            other => Some(other),
        }
    }

    /// Says what becomes of a name, unless that was said before.
    fn tell(&self, told: Told, event: Option<Event>) -> Told {
        match (told, event) {
            (Told::Later(place), event) => self.sink.announcer.fill_link(place, event),
            (Told::No, Some(event)) => self.sink.announcer.say(event),
            _ => {}
        }
        Told::Yes
    }

    /// Forgets a group whose last name has come, unless some of them wait.
    fn forget_complete(&mut self, number: u32) {
        let is_done = |known: &Known| known.complete && matches!(known.state, State::There(_));
        if self.groups.known.get(&number).is_some_and(is_done) {
            self.groups.known.remove(&number);
        }
    }
}
