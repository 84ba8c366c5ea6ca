//! Compares what the source has with what is here, one directory after the other, and sets going what each entry
//! needs. What is cheap (directories, links, attributes, deletions) is done at once; content is asked for.
//!
//! A directory that is only mentioned is done if what is here has the same fingerprint. If not, its listing is asked
//! for, and whatever is mentioned below it has to wait until that has come.

use crate::pass::decide::{Decision, Update};
use crate::pass::fingerprint;
use crate::pass::sink::Sink;
use crate::pass::sink::announce::Place;
use crate::pass::sink::batches::{Gathering, Wanted};
use crate::pass::sink::directories::Counterpart;
use crate::pass::sink::enter::Own;
use crate::pass::sink::entry::count_transfer;
use crate::pass::sink::flights::Phase;
use crate::pass::sink::sign::Job;
use crate::pass::{PassError, SMALL};
use crate::report::Event;
use crate::tree::{Entry, Fingerprint, Fingerprinter, Kind, Name, RelPath};
use crate::view;
use crate::wire::{Begin, DirId, Expand, Listing, ListingEnd, Mention, Message, Permit};
use crossbeam_channel::{Receiver, Sender};
use std::collections::HashMap;

/// A basis shorter than this saves less than asking for its blocks costs.
const WORTH_SIGNING: u64 = 700;

/// Compares until the queue ends.
pub(super) fn run(
    sink: &Sink<'_>,
    listings: &Receiver<(Message, Permit)>,
    signing: &Sender<Job>,
) -> Result<(), PassError> {
    let mut comparison = Comparison {
        sink,
        signing,
        fingerprinter: fingerprint::fingerprinter(sink.context),
        begin: None,
        awaited: HashMap::new(),
        remembered: 0,
        deferred: HashMap::new(),
        in_parts: None,
        next: 0,
        all_listed: false,
    };
    for (message, _permit) in listings {
        match message {
            Message::Begin(begin) => comparison.begin(begin)?,
            Message::Listing(listing) => comparison.listing(listing)?,
            Message::Mention(mention) => comparison.mention(mention)?,
            Message::Listed if comparison.next > 0 && comparison.in_parts.is_none() => comparison.listed()?,
            _ => return Err(PassError::Protocol("the listings ended too early")),
        }
    }
    Ok(())
}

struct Comparison<'a, 'b> {
    sink: &'a Sink<'b>,
    signing: &'a Sender<Job>,
    fingerprinter: Option<Fingerprinter>,
    begin: Option<Begin>,
    /// Directories whose listing is to come.
    awaited: HashMap<DirId, Awaited>,
    /// How many entries are remembered for these.
    remembered: usize,
    /// What was mentioned in each of these, and in each of those mentioned there, in order.
    deferred: HashMap<DirId, Vec<Mention>>,
    /// The directory of which a part was listed and the next must be.
    in_parts: Option<Current>,
    /// The number the next directory has.
    next: u32,
    /// Whether no further directory will be mentioned or listed but those that were asked for.
    all_listed: bool,
}

const OUT_OF_TURN: &str = "a listing is out of turn";

/// How many directories may be mentioned before the listing of one above them has come. A source keeps less.
const DEFERRED: usize = 1 << 16;

/// How many entries may be remembered for the comparisons that are to come: beyond these, directories are read again
/// when it is their turn.
const REMEMBERED: usize = 20_000;

/// A directory that has been entered, and whose listing is to come. It holds no handle, since there may be many.
struct Awaited {
    path: RelPath,
    unusable: bool,
    /// `None`: it has to be read again.
    own: Option<Own>,
}

/// A directory being compared.
pub(super) struct Current {
    pub id: DirId,
    pub path: RelPath,
    counterpart: Counterpart,
    unusable: bool,
    /// What is here and has not been passed by the listing.
    own: Own,
    /// What is here and the listing does not have.
    extra: Vec<Entry>,
    /// Small files that are going to be asked for.
    pub gathering: Gathering,
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

    fn listing(&mut self, listing: Listing) -> Result<(), PassError> {
        self.sink.owners.learn(&listing.owners);
        let mut current = match self.in_parts.take() {
            Some(current) if current.id == listing.dir => current,
            Some(_) => return Err(PassError::Protocol(OUT_OF_TURN)),
            None => {
                let awaited = match self.awaited.remove(&listing.dir) {
                    Some(awaited) => awaited,
                    None => {
                        self.take_turn(listing.dir)?;
                        let empty = listing.entries.is_empty() && listing.end.is_some();
                        self.enter(listing.dir, listing.parent, empty)?
                    }
                };
                self.sink.announcer.go_to(Some(listing.dir));
                self.begin_listing(listing.dir, awaited)?
            }
        };
        current.check_order(&listing.entries)?;
        for entry in listing.entries {
            self.entry(&mut current, entry)?;
        }
        self.sink.fetch(&mut current)?;
        match listing.end {
            None => {
                self.in_parts = Some(current);
                Ok(())
            }
            Some(end) => {
                let id = current.id;
                self.end(current, end)?;
                self.go_on_below(id)?;
                // Before it is settled, since nothing more is heard after the last that is.
                self.sink.announcer.go_to(None);
                self.sink.settle(id)
            }
        }
    }

    /// Looks at what is here, now that the source's listing comes.
    fn begin_listing(&mut self, id: DirId, awaited: Awaited) -> Result<Current, PassError> {
        let sink = self.sink;
        let Awaited { path, mut unusable, own } = awaited;
        let counterpart = match sink.directories.counterpart(sink, id)? {
            Ok(counterpart) => counterpart,
            Err(error) => {
                sink.tally.failed(&path, &error);
                unusable = true;
                Counterpart::Absent
            }
        };
        let own = match own {
            Some(own) => {
                self.remembered -= own.entries.len();
                own
            }
            None => sink.own(&path, &counterpart, sink.destination()?.rename.as_ref()),
        };
        let (extra, gathering) = (Vec::new(), Gathering::default());
        Ok(Current { id, path, counterpart, unusable, own, extra, gathering, count: 0, last: None })
    }

    /// Directories are mentioned or listed in the order of their numbers, but for those listed when asked for.
    fn take_turn(&mut self, dir: DirId) -> Result<(), PassError> {
        if dir.0 != self.next || self.in_parts.is_some() || self.all_listed {
            return Err(PassError::Protocol(OUT_OF_TURN));
        }
        self.next = self.next.checked_add(1).ok_or(PassError::Protocol("too many directories"))?;
        Ok(())
    }

    fn mention(&mut self, mention: Mention) -> Result<(), PassError> {
        self.sink.owners.learn(&mention.owners);
        self.take_turn(mention.dir)?;
        let above = mention.parent.and_then(|(parent, _)| self.deferred.get_mut(&parent));
        let Some(above) = above else {
            let dir = mention.dir;
            return if self.compare_whole(mention)? { self.go_on_below(dir) } else { Ok(()) };
        };
        let dir = mention.dir;
        above.push(Mention { owners: Vec::new(), ..mention });
        self.deferred.insert(dir, Vec::new());
        let few = self.deferred.len() <= DEFERRED;
        few.then_some(()).ok_or(PassError::Protocol("too many directories are mentioned"))
    }

    /// What is in a directory is known, so what was mentioned there has its turn, depth first as it was mentioned.
    fn go_on_below(&mut self, dir: DirId) -> Result<(), PassError> {
        let mut known = Some(dir);
        let mut rest = Vec::new();
        loop {
            if let Some(dir) = known.take() {
                rest.extend(self.deferred.remove(&dir).into_iter().flatten().rev());
            }
            let Some(mention) = rest.pop() else { break };
            let dir = mention.dir;
            known = self.compare_whole(mention)?.then_some(dir);
        }
        if self.all_listed { self.sink.directories.is_complete(dir) } else { Ok(()) }
    }

    /// Compares a mentioned directory as a whole. If it is not the same, its listing has to come: `false`.
    fn compare_whole(&mut self, mention: Mention) -> Result<bool, PassError> {
        let Mention { dir, parent, fingerprint, .. } = mention;
        let mut awaited = self.enter(dir, parent, false)?;
        let directories = &self.sink.directories;
        let above = parent.map(|(parent, _)| directories.with(parent, |dir| dir.listed_below)).transpose()?;
        let comes_unasked = above.unwrap_or(false);
        if !comes_unasked
            && let Some(theirs) = fingerprint
            && let Some((ours, shown)) = self.fingerprint(&awaited)
            && ours == theirs
        {
            self.same(dir, awaited, shown)?;
            return Ok(true);
        }
        let own = awaited.own.as_ref();
        let below = comes_unasked || own.is_some_and(|own| own.entries.is_empty() && !own.incomplete);
        directories.with(dir, |dir| dir.listed_below = below)?;
        if !comes_unasked {
            self.sink.sender.send(Message::Expand(Expand { dir, below }))?;
        }
        if self.remembered >= REMEMBERED
            && let Some(own) = awaited.own.take_if(|own| !own.entries.is_empty())
        {
            self.remembered -= own.entries.len();
        }
        self.sink.announcer.keep_place(Place::Dir(dir));
        self.awaited.insert(dir, awaited);
        self.deferred.entry(dir).or_default();
        Ok(false)
    }

    /// The fingerprint of what is here, as the source would make it if it had the same, and which of the entries the
    /// source would list. `None` if there may be something to do all the same.
    fn fingerprint(&self, current: &Awaited) -> Option<(Fingerprint, Vec<bool>)> {
        let (sink, fingerprinter) = (self.sink, self.fingerprinter.as_ref()?);
        let own = current.own.as_ref().filter(|own| !own.incomplete && own.leftovers.is_empty())?;
        if current.unusable {
            return None;
        }
        let policy = sink.policy();
        let shown: Vec<bool> =
            own.entries.iter().map(|entry| view::shows(&sink.rules, &current.path, entry)).collect();
        let mut entries = Vec::with_capacity(own.entries.len());
        for (entry, shown) in own.entries.iter().zip(&shown) {
            let nothing_to_do = match shown {
                true => policy.is_wanted(entry.kind()),
                false => !sink.is_extra(&current.path, entry),
            };
            if !nothing_to_do {
                return None;
            }
            entries.extend(shown.then_some(entry));
        }
        let metas = sink.owners.at_source(entries.iter().map(|entry| &entry.meta))?;
        Some((fingerprinter.of(&current.path, entries.into_iter().zip(metas)), shown))
    }

    /// A directory is the same: what is here, as far as it is `shown`, stands for the listing.
    fn same(&mut self, id: DirId, current: Awaited, shown: Vec<bool>) -> Result<(), PassError> {
        let sink = self.sink;
        let mut own = current.own.unwrap_or_default().entries;
        self.remembered -= own.len();
        let mut shown = shown.into_iter();
        own.retain(|_| shown.next().unwrap_or(false));
        own.iter().for_each(|entry| sink.pass_by(entry));
        sink.directories.with(id, |dir| {
            for (index, entry) in (0..).zip(own) {
                if entry.is_dir() {
                    dir.unsettled += 1;
                    dir.children.insert(index, (entry.clone(), Some(entry)));
                }
            }
        })?;
        sink.settle(id)
    }

    /// No further directory will be mentioned or listed.
    fn listed(&mut self) -> Result<(), PassError> {
        self.all_listed = true;
        self.sink.directories.all_listed(self.sink)
    }

    /// Begins a directory: makes it or looks at what is in it.
    fn enter(
        &mut self,
        id: DirId,
        parent: Option<(DirId, u32)>,
        is_empty: bool,
    ) -> Result<Awaited, PassError> {
        let sink = self.sink;
        let begin = self.begin.as_ref().ok_or(PassError::Protocol("a listing came before the beginning"))?;
        if parent.is_none() {
            sink.open_destination(begin, is_empty)?;
        }
        let destination = sink.destination()?;
        let mut open = match parent {
            None if id.0 == 0 => sink.enter_root(begin, destination),
            Some((parent, index)) => sink.enter_child(parent, index)?,
            None => return Err(PassError::Protocol("a second root is listed")),
        };
        // One for the listing itself.
        open.unsettled = 1;
        let (path, counterpart, unusable) = (open.path.clone(), open.counterpart.clone(), open.unusable);
        let fresh = open.fresh;
        sink.directories.insert(id, open);
        let own =
            if fresh { Own::default() } else { sink.own(&path, &counterpart, destination.rename.as_ref()) };
        self.remembered += own.entries.len();
        Ok(Awaited { path, unusable, own: Some(own) })
    }

    /// Compares one entry with its counterpart.
    fn entry(&self, current: &mut Current, entry: Entry) -> Result<(), PassError> {
        let sink = self.sink;
        if crate::fs::is_reserved(&entry) || (entry.is_dir() && !sink.context.options.recursive) {
            return Err(PassError::Protocol("an entry is listed that must not be"));
        }
        let index = current.count;
        current.count = index.checked_add(1).ok_or(PassError::Protocol("a directory is too large"))?;
        let rename = sink.destination()?.rename.as_ref();
        if rename.is_some() && (index > 0 || entry.is_dir()) {
            return Err(PassError::Protocol("a single entry turned out to be more"));
        }
        let entry = sink.owners.translate(entry);
        let name = rename.unwrap_or(&entry.name);
        let own = match current.take_own(name) {
            None if current.own.incomplete => current.look_for(name),
            own => Ok(own),
        };
        let own = match own {
            Ok(own) => own,
            Err(error) => {
                // Whatever is there stays as it is.
                sink.tally.failed(&current.path.join(name), &error);
                if !entry.is_dir() {
                    sink.pass_by(&entry);
                    return Ok(());
                }
                // Making it will fail if anything is there.
                None
            }
        };
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
        let (dir, may_set_group) = (current.id, sink.may_set_group(&entry.meta));
        let decision = sink.policy().decide(&entry, own.as_ref(), may_set_group);
        let leftover = current.take_leftover(name);
        if leftover && !matches!(decision, Decision::Transfer(_) | Decision::Compare) {
            sink.clear_leftover(dir, &crate::fs::stage_name(name))?;
        }
        let path = || current.path.join(&entry.name);
        match decision {
            Decision::Skip(reason) => {
                sink.skipped(&path(), reason);
                sink.pass_by(&entry);
            }
            Decision::Attributes(update) => {
                sink.announce(path, &entry.node, &update);
                if !update.set.is_empty() {
                    sink.set_attributes(dir, &path(), name, entry.kind(), &update)?;
                }
                sink.pass_by(&entry);
            }
            Decision::Make(update) => {
                sink.make(&current.counterpart, dir, &path(), name, &entry, own.as_ref(), &update)?;
            }
            Decision::Transfer(update) => {
                self.transfer(current, Wanted { index, entry, own, update }, leftover)?;
            }
            Decision::Compare => {
                let wanted = Wanted { index, entry, own, update: Update::none() };
                self.compare_content(current, wanted, leftover)?;
            }
        }
        Ok(())
    }

    fn transfer(&self, current: &mut Current, wanted: Wanted, leftover: bool) -> Result<(), PassError> {
        let sink = self.sink;
        let options = &sink.context.options;
        let Wanted { index, entry, own, update } = &wanted;
        if let Some(own) = own
            && (own.is_dir() || (own.kind() != Kind::File && options.in_place))
            && !sink.make_room(&current.counterpart, &current.path.join(&entry.name), own)
        {
            sink.pass_by(entry);
            return Ok(());
        }
        sink.announce(|| current.path.join(&entry.name), &entry.node, update);
        if sink.dry_run() {
            count_transfer(sink, entry, update.change.new);
            return Ok(());
        }
        let has_basis =
            own.as_ref().is_some_and(|own| own.kind() == Kind::File && own.node.size() >= WORTH_SIGNING);
        let with_basis = !sink.context.whole_file() && (has_basis || leftover);
        let renamed = sink.destination()?.rename.as_ref();
        if entry.node.size() <= SMALL && !with_basis && !leftover && !options.in_place && renamed.is_none() {
            current.gathering.add(wanted);
            return if current.gathering.is_full() { sink.fetch(current) } else { Ok(()) };
        }
        let (dir, index) = (current.id, *index);
        let flight = wanted.flight(dir, &current.path, renamed, leftover, Phase::Fetching);
        let file = sink.flights.start(flight, with_basis)?;
        sink.directories.with(dir, |dir| dir.unsettled += 1)?;
        if with_basis {
            self.signing.send(Job::Sign(file)).map_err(|_| PassError::Lost)
        } else {
            sink.ask(file, dir, index)
        }
    }

    fn compare_content(&self, current: &Current, wanted: Wanted, leftover: bool) -> Result<(), PassError> {
        let dir = current.id;
        let renamed = self.sink.destination()?.rename.as_ref();
        let flight = wanted.flight(dir, &current.path, renamed, leftover, Phase::Comparing);
        let file = self.sink.flights.start(flight, true)?;
        self.sink.directories.with(dir, |dir| dir.unsettled += 1)?;
        self.sink.announcer.keep_place(Place::File(file));
        self.signing.send(Job::Check(file)).map_err(|_| PassError::Lost)
    }

    /// A listing is whole: removes what it does not have, if asked.
    fn end(&mut self, mut current: Current, end: ListingEnd) -> Result<(), PassError> {
        let sink = self.sink;
        let mut extra = std::mem::take(&mut current.extra);
        extra.extend(current.own.entries.drain(..));
        let whole_root = self.begin.as_ref().is_some_and(|begin| begin.root.is_some());
        let is_whole = current.id.0 != 0 || (whole_root && sink.destination()?.rename.is_none());
        for staged in current.own.leftovers.drain() {
            // Of a file that this run knows nothing of, another may go on with what is there.
            if (is_whole && end.complete) || crate::fs::is_passing(&staged) {
                sink.clear_leftover(current.id, &staged)?;
            }
        }
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
        Ok(())
    }
}

impl Current {
    /// Names ascend, also from one part of a listing to the next.
    fn check_order(&mut self, entries: &[Entry]) -> Result<(), PassError> {
        let Some(first) = entries.first() else { return Ok(()) };
        let goes_on = self.last.as_ref().is_none_or(|last| *last < first.name);
        if !goes_on || !entries.is_sorted_by(|one, next| one.name < next.name) {
            return Err(PassError::Protocol("a listing is not sorted"));
        }
        self.last = entries.last().map(|last| last.name.clone());
        Ok(())
    }

    /// What is here under this name. The listing has passed everything before it.
    fn take_own(&mut self, name: &Name) -> Option<Entry> {
        while let Some(entry) = self.own.entries.pop_front_if(|own| own.name < *name) {
            self.extra.push(entry);
        }
        self.own.entries.pop_front_if(|own| own.name == *name)
    }

    /// What is here under a name that may be one of those that could not be read.
    fn look_for(&self, name: &Name) -> Result<Option<Entry>, crate::fs::Error> {
        match self.counterpart.dir() {
            Some(dir) => dir.entry(name),
            None => Ok(None),
        }
    }

    /// Whether a killed run left a part of this file.
    fn take_leftover(&mut self, name: &Name) -> bool {
        !self.own.leftovers.is_empty() && self.own.leftovers.remove(&crate::fs::stage_name(name))
    }
}
