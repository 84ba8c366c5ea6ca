//! Compares what the source lists with what is here, one directory after the other, and sets going what each entry
//! needs. What is cheap (directories, links, attributes, deletions) is done at once; content is asked for.

use crate::fs::SetMeta;
use crate::pass::PassError;
use crate::pass::decide::{Decision, Update};
use crate::pass::sink::Sink;
use crate::pass::sink::destination::{self, Destination};
use crate::pass::sink::directories::{Counterpart, OpenDir};
use crate::pass::sink::entry::{count_transfer, opened_up};
use crate::pass::sink::flights::{Flight, Phase};
use crate::pass::sink::sign::Job;
use crate::report::Event;
use crate::tree::{Entry, Kind, Name, Node, RelPath};
use crate::wire::{Begin, DirId, Listing, ListingEnd, Message, Permit};
use crossbeam_channel::{Receiver, Sender};
use std::collections::HashSet;

/// A basis shorter than this saves less than asking for its blocks costs.
const WORTH_SIGNING: u64 = 700;

/// Compares until the queue ends.
pub(super) fn run(
    sink: &Sink<'_>,
    listings: &Receiver<(Message, Permit)>,
    signing: &Sender<Job>,
) -> Result<(), PassError> {
    let mut comparison = Comparison { sink, signing, begin: None, current: None, next: 0 };
    for (message, _permit) in listings {
        match message {
            Message::Begin(begin) => comparison.begin(begin)?,
            Message::Listing(listing) => comparison.listing(listing)?,
            Message::Listed if comparison.current.is_none() && comparison.next > 0 => {
                sink.directories.all_listed(sink)?;
            }
            _ => return Err(PassError::Protocol("the listings ended too early")),
        }
    }
    Ok(())
}

struct Comparison<'a, 'b> {
    sink: &'a Sink<'b>,
    signing: &'a Sender<Job>,
    begin: Option<Begin>,
    current: Option<Current>,
    /// The number the next directory has.
    next: u32,
}

/// The directory whose listing is arriving.
struct Current {
    id: DirId,
    path: RelPath,
    counterpart: Counterpart,
    unusable: bool,
    /// What is here and has not been passed by the listing, sorted.
    own: std::iter::Peekable<std::vec::IntoIter<Entry>>,
    /// What is here and the listing does not have.
    extra: Vec<Entry>,
    /// Staged files that killed runs left here.
    leftovers: HashSet<Name>,
    /// Entries listed so far.
    count: u32,
    last: Option<Name>,
}

impl Comparison<'_, '_> {
    fn begin(&mut self, begin: Begin) -> Result<(), PassError> {
        let sink = self.sink;
        sink.owners.learn(&begin.owners);
        if self.begin.replace(begin).is_some() {
            return Err(PassError::Protocol("the transfer began twice"));
        }
        Ok(())
    }

    /// Opens the destination, or leaves it alone if there is nothing to put there.
    fn open_destination(&self, root: &Listing) -> Result<(), PassError> {
        let sink = self.sink;
        let Some(begin) = &self.begin else {
            return Err(PassError::Protocol("a listing came before the beginning"));
        };
        let nothing = begin.root.is_none() && root.entries.is_empty() && root.end.is_some();
        let destination = if nothing {
            Destination { root: None, rename: None, created: false }
        } else {
            destination::open(sink.path, begin.single, sink.dry_run())?
        };
        if destination.created {
            sink.announcer.say(Event::CreatedDestination);
        }
        sink.destination.set(destination).map_err(|_| PassError::Protocol("a second root is listed"))
    }

    fn listing(&mut self, listing: Listing) -> Result<(), PassError> {
        self.sink.owners.learn(&listing.owners);
        let mut current = match self.current.take() {
            Some(current) if current.id == listing.dir => current,
            None if listing.dir.0 == self.next => self.enter(&listing)?,
            _ => return Err(PassError::Protocol("a listing is out of turn")),
        };
        for entry in listing.entries {
            self.entry(&mut current, entry)?;
        }
        match listing.end {
            None => self.current = Some(current),
            Some(end) => self.end(current, end)?,
        }
        Ok(())
    }

    /// Begins a directory: makes it or looks at what is in it.
    fn enter(&mut self, listing: &Listing) -> Result<Current, PassError> {
        if listing.parent.is_none() {
            self.open_destination(listing)?;
        }
        let destination = self.sink.destination()?;
        self.next = self.next.checked_add(1).ok_or(PassError::Protocol("too many directories"))?;
        let mut open = match listing.parent {
            None if listing.dir.0 == 0 => self.enter_root(destination),
            Some((parent, index)) => self.enter_child(parent, index)?,
            None => return Err(PassError::Protocol("a second root is listed")),
        };
        // One for the listing itself.
        open.unsettled = 1;
        let (path, counterpart, unusable) = (open.path.clone(), open.counterpart.clone(), open.unusable);
        let fresh = std::mem::take(&mut open.touched);
        // A new directory's time is set in any case; an old one's only if something in it changes.
        self.sink.directories.insert(listing.dir, open);
        let (own, leftovers) =
            if fresh { Default::default() } else { self.own_entries(&path, &counterpart, destination) };
        Ok(Current {
            id: listing.dir,
            path,
            counterpart,
            unusable,
            own: own.into_iter().peekable(),
            extra: Vec::new(),
            leftovers,
            count: 0,
            last: None,
        })
    }

    fn enter_root(&self, destination: &Destination) -> OpenDir {
        let sink = self.sink;
        let counterpart = match &destination.root {
            None => Counterpart::Absent,
            Some(root) => match root.writable() {
                Some(dir) => Counterpart::Writable(dir),
                None => Counterpart::ReadOnly(root.dir().clone()),
            },
        };
        let mut open = OpenDir::new(RelPath::root(), None, counterpart);
        let root = self.begin.as_ref().and_then(|begin| begin.root).filter(|_| destination.rename.is_none());
        if let Some(meta) = root {
            let meta = sink.owners.translate_meta(meta);
            let own = open.counterpart.dir().and_then(|dir| dir.own_meta().ok());
            if let (Counterpart::Writable(dir), Some(own)) = (&open.counterpart, &own)
                && sink.shuts_out(own)
                && dir.set_own_meta(&opened_up(own)).is_ok()
            {
                open.finally.mode = Some(own.mode);
            }
            let update = match own {
                Some(own) if !destination.created => {
                    sink.policy().attributes(Kind::Directory, &meta, &own, sink.may_set_group(&meta))
                }
                _ => sink.policy().new_directory(&meta, sink.may_set_group(&meta)),
            };
            if destination.created {
                sink.count_created(Kind::Directory);
            }
            sink.announce(RelPath::root(), &Node::Directory, &update);
            open.finally = SetMeta { mode: update.set.mode.or(open.finally.mode), ..update.set };
            open.time_if_touched = meta.mtime;
            open.keeps_time = sink.context.options.times;
        }
        open
    }

    fn enter_child(&self, parent: DirId, index: u32) -> Result<OpenDir, PassError> {
        let sink = self.sink;
        let (path, unusable, child) = sink
            .directories
            .with(parent, |dir| (dir.path.clone(), dir.unusable, dir.children.remove(&index)))?;
        let (entry, own) = child.ok_or(PassError::Protocol("a listing is of no listed directory"))?;
        let path = path.join(&entry.name);
        let mut open = OpenDir::new(path, Some(parent), Counterpart::Absent);
        open.unusable = unusable;
        if unusable {
            return Ok(open);
        }
        let counterpart = match sink.directories.counterpart(sink, parent)? {
            Ok(counterpart) => counterpart,
            Err(error) => {
                sink.tally.failed(&open.path, &error);
                open.unusable = true;
                return Ok(open);
            }
        };
        let decision = sink.policy().decide(&entry, own.as_ref(), sink.may_set_group(&entry.meta));
        match decision {
            Decision::Skip(reason) => {
                sink.skipped(&open.path, reason);
                open.unusable = true;
            }
            Decision::Attributes(update) => {
                sink.announce(open.path.clone(), &entry.node, &update);
                open.finally = update.set;
                self.open_existing(&mut open, &counterpart, &entry, own.as_ref());
            }
            Decision::Make(update) => {
                self.make_directory(&mut open, &counterpart, &entry, own.as_ref(), &update)
            }
            Decision::Transfer(_) | Decision::Compare => {
                return Err(PassError::Protocol("a listing is of no directory"));
            }
        }
        open.time_if_touched = entry.meta.mtime;
        open.keeps_time = sink.context.options.times;
        Ok(open)
    }

    fn open_existing(&self, open: &mut OpenDir, parent: &Counterpart, entry: &Entry, own: Option<&Entry>) {
        let sink = self.sink;
        if let Some(own) = own
            && sink.open_up(parent, own)
        {
            open.finally.mode = open.finally.mode.or(Some(own.meta.mode));
        }
        match parent.open(&entry.name) {
            Ok(here) => open.counterpart = here,
            Err(error) => {
                sink.tally.failed(&open.path, &error);
                open.unusable = true;
            }
        }
    }

    fn make_directory(
        &self,
        open: &mut OpenDir,
        parent: &Counterpart,
        entry: &Entry,
        own: Option<&Entry>,
        update: &Update,
    ) {
        let sink = self.sink;
        open.touched = true;
        open.finally = update.set;
        if let Some(own) = own
            && !sink.make_room(parent, &open.path, own)
        {
            open.unusable = true;
            return;
        }
        sink.announce(open.path.clone(), &entry.node, update);
        let Counterpart::Writable(dir) = parent else {
            sink.count_created(Kind::Directory);
            return;
        };
        // Usable by its owner until it is full; the rest of the mode follows then.
        let mode = open.finally.mode.unwrap_or(0o777);
        let made = dir.make_dir(&entry.name, (mode & 0o777) | 0o700);
        match made.and_then(|()| parent.open(&entry.name)) {
            Ok(here) => {
                open.counterpart = here;
                sink.count_created(Kind::Directory);
                if !sink.context.options.perms {
                    // What the directory got from its parent and the umask is what it is to have, setgid included.
                    let inherited = open.counterpart.dir().and_then(|dir| dir.own_meta().ok());
                    let setgid = inherited.map_or(0, |own| own.mode & 0o2000);
                    open.finally.mode = (mode & 0o700 != 0o700).then_some(mode | setgid);
                }
                if let Some(parent) = open.parent {
                    sink.directories.touch(parent);
                }
            }
            Err(error) => {
                sink.tally.failed(&open.path, &error);
                open.unusable = true;
            }
        }
    }

    /// What is in a directory of the destination, with the staged files of killed runs apart.
    fn own_entries(
        &self,
        path: &RelPath,
        counterpart: &Counterpart,
        destination: &Destination,
    ) -> (Vec<Entry>, HashSet<Name>) {
        let Some(dir) = counterpart.dir() else { return Default::default() };
        let listing = match dir.list() {
            Ok(listing) => listing,
            Err(error) => {
                self.sink.tally.failed(path, &error);
                return Default::default();
            }
        };
        for error in listing.failed.iter().map(|(_, error)| error).chain(&listing.broken) {
            self.sink.tally.failed(path, error);
        }
        let mut leftovers = HashSet::new();
        let mut own = listing.entries;
        own.retain(|entry| {
            let staged = entry.kind() == Kind::File && crate::fs::is_stage_name(&entry.name);
            if staged {
                leftovers.insert(entry.name.clone());
            }
            !staged
        });
        if let Some(rename) = &destination.rename {
            own.retain(|entry| entry.name == *rename);
        }
        (own, leftovers)
    }

    /// Compares one entry with its counterpart.
    fn entry(&self, current: &mut Current, entry: Entry) -> Result<(), PassError> {
        let sink = self.sink;
        if current.last.as_ref().is_some_and(|last| *last >= entry.name) {
            return Err(PassError::Protocol("a listing is not sorted"));
        }
        if crate::fs::is_reserved(&entry) || (entry.is_dir() && !sink.context.options.recursive) {
            return Err(PassError::Protocol("an entry is listed that must not be"));
        }
        current.last = Some(entry.name.clone());
        let index = current.count;
        current.count = index.checked_add(1).ok_or(PassError::Protocol("a directory is too large"))?;
        let name = match &sink.destination()?.rename {
            Some(_) if index > 0 || entry.is_dir() => {
                return Err(PassError::Protocol("a single entry turned out to be more"));
            }
            Some(name) => name.clone(),
            None => entry.name.clone(),
        };
        let own = current.take_own(&name);
        let entry = sink.owners.translate(entry);
        if entry.is_dir() {
            return sink.directories.with(current.id, |dir| {
                dir.unsettled += 1;
                dir.children.insert(index, (entry, own));
            });
        }
        if current.unusable {
            sink.pass_by(&entry);
            return Ok(());
        }
        let path = current.path.join(&entry.name);
        let (dir, may_set_group) = (current.id, sink.may_set_group(&entry.meta));
        match sink.policy().decide(&entry, own.as_ref(), may_set_group) {
            Decision::Skip(reason) => {
                sink.skipped(&path, reason);
                sink.pass_by(&entry);
            }
            Decision::Attributes(update) => {
                sink.announce(path.clone(), &entry.node, &update);
                sink.set_attributes(dir, &path, &name, entry.kind(), &update)?;
                sink.pass_by(&entry);
            }
            Decision::Make(update) => {
                sink.make(&current.counterpart, dir, &path, &name, &entry, own.as_ref(), &update)?;
            }
            Decision::Transfer(update) => {
                let leftover = current.take_leftover(&name);
                let phase = Phase::Fetching;
                self.transfer(
                    &current.counterpart,
                    Flight { dir, index, name, path, entry, own, update, leftover, phase },
                )?;
            }
            Decision::Compare => {
                let leftover = current.take_leftover(&name);
                let (update, phase) = (Update::none(), Phase::Comparing);
                self.compare_content(Flight { dir, index, name, path, entry, own, update, leftover, phase })?;
            }
        }
        Ok(())
    }

    fn transfer(&self, here: &Counterpart, flight: Flight) -> Result<(), PassError> {
        let sink = self.sink;
        if let Some(own) = &flight.own
            && (own.is_dir() || (own.kind() != Kind::File && sink.context.options.in_place))
            && !sink.make_room(here, &flight.path, own)
        {
            sink.pass_by(&flight.entry);
            return Ok(());
        }
        sink.announce(flight.path.clone(), &flight.entry.node, &flight.update);
        if sink.dry_run() {
            count_transfer(sink, &flight.entry, flight.update.change.new);
            return Ok(());
        }
        let has_basis = flight
            .own
            .as_ref()
            .is_some_and(|own| own.kind() == Kind::File && own.node.size() >= WORTH_SIGNING);
        let with_basis = !sink.context.whole_file() && (has_basis || flight.leftover);
        let dir = flight.dir;
        let asked = flight.clone();
        let file = sink.flights.start(flight, with_basis)?;
        sink.directories.with(dir, |dir| dir.unsettled += 1)?;
        if with_basis {
            self.signing.send(Job::Sign(file)).map_err(|_| PassError::Lost)
        } else {
            sink.ask(file, &asked)
        }
    }

    fn compare_content(&self, flight: Flight) -> Result<(), PassError> {
        let dir = flight.dir;
        let file = self.sink.flights.start(flight, true)?;
        self.sink.directories.with(dir, |dir| dir.unsettled += 1)?;
        self.sink.announcer.keep_place(file);
        self.signing.send(Job::Check(file)).map_err(|_| PassError::Lost)
    }

    /// A listing is whole: removes what it does not have, if asked.
    fn end(&self, mut current: Current, end: ListingEnd) -> Result<(), PassError> {
        let sink = self.sink;
        let mut extra = std::mem::take(&mut current.extra);
        extra.extend(&mut current.own);
        if end.complete {
            for staged in current.leftovers.drain() {
                sink.clear_leftover(current.id, &staged)?;
            }
        }
        let whole_root = self.begin.as_ref().is_some_and(|begin| begin.root.is_some());
        let is_whole = current.id.0 != 0 || (whole_root && sink.destination()?.rename.is_none());
        if let Some(deletion) = sink.context.options.delete
            && is_whole
            && !extra.is_empty()
        {
            if end.complete || deletion.ignore_errors {
                for entry in extra {
                    let path = current.path.join(&entry.name);
                    sink.delete_extra(&current.counterpart, path, entry);
                }
                sink.directories.touch(current.id);
            } else if !sink.kept_extras.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let text = "errors were met while reading the source, so nothing more is deleted in this run";
                sink.announcer.say(Event::Notice(text.to_owned()));
            }
        }
        sink.settle(current.id)
    }
}

impl Current {
    /// What is here under this name. The listing has passed everything before it.
    fn take_own(&mut self, name: &Name) -> Option<Entry> {
        while let Some(entry) = self.own.next_if(|own| own.name < *name) {
            self.extra.push(entry);
        }
        self.own.next_if(|own| own.name == *name)
    }

    /// Whether a killed run left a part of this file.
    fn take_leftover(&mut self, name: &Name) -> bool {
        !self.leftovers.is_empty() && self.leftovers.remove(&crate::fs::stage_name(name))
    }
}
