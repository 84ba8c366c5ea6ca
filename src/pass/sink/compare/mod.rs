//! Compares what the source has with what is here, one directory after the other, and sets going what each entry
//! needs. What is cheap (directories, links, attributes, deletions) is done at once; content is asked for.
//!
//! A directory that is only mentioned (`mentioned`) is done if what is here has the same fingerprint. If not, a listing
//! of what differs in it is asked for, and whatever is mentioned below it has to wait until that has come (`listed`).
//!
//! What is not here may be elsewhere, if the run was told where to look (`based`).
//!
//! Of names that are one file at the source, all but the first are linked to that (`grouped`).
//!
//! Where it was planned what to fetch, nothing is compared: each listed entry is looked up in the plan (`planned`).

mod based;
mod grouped;
mod listed;
mod mentioned;
mod planned;
mod shown;

use crate::fs::{Dir, WriteDir};
use crate::pass::decide::SetXattrs;
use crate::pass::fingerprint::{self, Likenesses, Numbering};
use crate::pass::sink::Sink;
use crate::pass::sink::batches::Gathering;
use crate::pass::sink::directories::Counterpart;
use crate::pass::sink::enter::Own;
use crate::pass::sink::landings::Landed;
use crate::pass::sink::nearby::Nearby;
use crate::pass::sink::sign::Job;
use crate::pass::{PassError, Sweep};
use crate::tree::filter::Scope;
use crate::tree::{Asked, Buckets, Entry, Fingerprinter, Name, RelPath};
use crate::wire::{Begin, DirId, Listing, Mention, Message, Permit};
use crossbeam_channel::{Receiver, Sender, select};
use filetime::FileTime;
use grouped::Groups;
use std::collections::{HashMap, HashSet, VecDeque};

/// Compares until the queue ends.
pub(super) fn run(
    sink: &Sink<'_>,
    listings: &Receiver<(Message, Permit)>,
    landings: &Receiver<Landed>,
    signing: &Sender<Job>,
) -> Result<(), PassError> {
    let mut comparison = Comparison {
        sink,
        signing,
        landings,
        groups: Groups::default(),
        fingerprinter: fingerprint::fingerprinter(sink.context),
        begin: None,
        awaited: HashMap::new(),
        remembered: 0,
        deferred: HashMap::new(),
        in_parts: None,
        next: 0,
        all_listed: false,
    };
    loop {
        select! {
            recv(listings) -> message => match message {
                Ok((message, _permit)) => comparison.message(message)?,
                Err(_) => return Ok(()),
            },
            // The sink itself holds the other end.
            recv(landings) -> landed => landed.map_or(Ok(()), |landed| comparison.landed(landed))?,
        }
    }
}

struct Comparison<'a, 'b> {
    sink: &'a Sink<'b>,
    signing: &'a Sender<Job>,
    landings: &'a Receiver<Landed>,
    groups: Groups,
    fingerprinter: Option<Fingerprinter>,
    begin: Option<Begin>,
    /// Directories whose listing is to come.
    awaited: HashMap<DirId, Awaited>,
    /// How much is remembered for these, as [`Own::weight`] counts it.
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
const OTHER_COUNT: &str = "buckets that are said to be the same hold another number of entries here";
const UNKNOWN_BUCKETS: &str = "buckets are named that were not asked about";

/// A directory that has been entered, and whose listing is to come. It holds no handle, since there may be many.
struct Awaited {
    path: RelPath,
    unusable: bool,
    /// `None`: it has to be read again.
    own: Option<Own>,
    /// Whether not all of it could be read, which was told.
    told: bool,
    /// What holds in it.
    scope: Scope,
    /// What was said of it, if only what differs is to be listed.
    said: Option<Said>,
}

/// What was said of a directory here when its listing was asked for.
struct Said {
    likenesses: Likenesses,
    /// How many buckets those that may be the same were put into.
    buckets: usize,
}

/// A directory being compared.
pub(super) struct Current {
    pub id: DirId,
    pub path: RelPath,
    counterpart: Counterpart,
    unusable: bool,
    /// The directories of this path that are compared with besides, with their places.
    bases: Vec<(usize, Dir)>,
    /// What is here and has not been passed by the listing.
    own: Own,
    /// What is here and the listing does not have.
    extra: Vec<Entry>,
    numbering: Numbering,
    /// What holds in it.
    pub scope: Scope,
    /// What new entries here do not get of permissions, once that was asked.
    umask: Option<u32>,
    /// Directories of this part that are there only for what is below them, sorted.
    implied: Vec<Name>,
    /// Small files that are going to be asked for.
    pub gathering: Gathering,
    /// What an interrupted run kept of files in it.
    partials: Option<WriteDir>,
    /// The files that may be a basis for new ones.
    nearby: Nearby,
    /// Sizes and times of what was here when the listing had come as far as the first file that may be another of them.
    to_come: Option<HashSet<(u64, FileTime)>>,
}

impl Comparison<'_, '_> {
    fn message(&mut self, message: Message) -> Result<(), PassError> {
        match message {
            Message::Begin(begin) => self.begin(begin),
            Message::Listing(listing) => self.listing(listing),
            Message::Mention(_) if self.sink.goal.agenda().is_some() => {
                Err(PassError::Protocol("a directory is mentioned where all are listed"))
            }
            Message::Mention(mention) => self.mention(mention),
            Message::Listed if self.next > 0 && self.in_parts.is_none() => self.listed(),
            _ => Err(PassError::Protocol("the listings ended too early")),
        }
    }

    fn begin(&mut self, begin: Begin) -> Result<(), PassError> {
        let sink = self.sink;
        sink.owners.learn(&begin.owners);
        if self.begin.replace(begin).is_some() {
            return Err(PassError::Protocol("the transfer began twice"));
        }
        Ok(())
    }

    fn listing(&mut self, mut listing: Listing) -> Result<(), PassError> {
        self.sink.owners.learn(&listing.owners);
        let mut current = match self.in_parts.take() {
            Some(current) if current.id == listing.dir => current,
            Some(_) => return Err(PassError::Protocol(OUT_OF_TURN)),
            None => {
                let awaited = match self.awaited.remove(&listing.dir) {
                    Some(awaited) => awaited,
                    None => {
                        self.take_turn(listing.dir)?;
                        let is_empty = listing.entries.is_empty() && listing.asked.is_empty();
                        let empty = is_empty && listing.end.is_some();
                        self.enter(listing.dir, listing.parent, empty)?
                    }
                };
                self.sink.announcer.go_to(Some(listing.dir));
                let same = (std::mem::take(&mut listing.same), listing.same_entries);
                self.begin_listing(listing.dir, awaited, same)?
            }
        };
        if listing.same != Buckets::default() {
            return Err(PassError::Protocol("buckets are named within a listing"));
        }
        let Asked { absent, implied } = std::mem::take(&mut listing.asked);
        if self.sink.context.sweep != Sweep::Now {
            let here = (current.id, &current.path);
            absent.into_iter().for_each(|path| self.sink.remove_absent(here, path));
        }
        current.implied = implied;
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
                self.seek_no_more()?;
                let id = current.id;
                self.end(current, end)?;
                self.go_on_below(id)?;
                // Before it is settled, since nothing more is heard after the last that is.
                self.sink.announcer.go_to(None);
                self.sink.settle(id)
            }
        }
    }

    /// Looks at what is here, now that the source's listing comes, of which these buckets with so many entries are the
    /// same.
    fn begin_listing(
        &mut self,
        id: DirId,
        awaited: Awaited,
        (same, count): (Buckets, u64),
    ) -> Result<Current, PassError> {
        let sink = self.sink;
        let Awaited { path, mut unusable, own, told, said, scope } = awaited;
        let counterpart = match sink.directories.counterpart(sink, id)? {
            Ok(counterpart) => counterpart,
            Err(error) => {
                sink.tally.failed(&path, &error);
                unusable = true;
                sink.directories.with(id, |dir| dir.unusable = true)?;
                Counterpart::Absent
            }
        };
        let mut own = match own {
            Some(own) => {
                self.forget(own.weight());
                own
            }
            None => sink.own(&path, &counterpart, sink.destination()?.rename.as_ref(), told),
        };
        let numbering = Numbering::new(self.stand_in(&mut own, said, &same, count)?);
        if unusable {
            // What was here is out of reach now, and nobody knows what became of it.
            own = Own { incomplete: true, ..Own::default() };
        }
        let bases = sink.bases().map(|bases| bases.at(&path)).unwrap_or_default();
        let (extra, gathering) = (Vec::new(), Gathering::default());
        let (umask, implied) = (None, Vec::new());
        let partials = sink.partials_of(&counterpart);
        let mut nearby = Nearby::default();
        let fuzzy = if sink.context.whole_file() { 0 } else { sink.context.options.fuzzy };
        if fuzzy > 0 {
            nearby.add(None, own.entries.iter());
        }
        for (place, dir) in bases.iter().filter(|_| fuzzy > 1) {
            // What cannot be listed is no basis.
            dir.list().iter().for_each(|listing| nearby.add(Some(*place), listing.entries.iter()));
        }
        Ok(Current {
            id,
            path,
            counterpart,
            unusable,
            bases,
            own,
            extra,
            numbering,
            scope,
            umask,
            implied,
            gathering,
            partials,
            nearby,
            to_come: None,
        })
    }

    /// Takes out of what is here the entries of these buckets, which stand for those that are not listed: `count` in
    /// the source. If they are not as many here, sums agreed by chance or the source is wrong, and the places of all
    /// that follows would be others.
    fn stand_in(
        &self,
        own: &mut Own,
        said: Option<Said>,
        same: &Buckets,
        count: u64,
    ) -> Result<VecDeque<Entry>, PassError> {
        if *same == Buckets::default() {
            return Ok(VecDeque::new());
        }
        let (Some(Said { likenesses, buckets }), Some(fingerprinter)) = (said, &self.fingerprinter) else {
            return Err(PassError::Protocol(UNKNOWN_BUCKETS));
        };
        if !same.are_of(buckets) {
            return Err(PassError::Protocol(UNKNOWN_BUCKETS));
        }
        let is_same = |entry: &Entry| same.contains(fingerprinter.bucket(&entry.name, buckets));
        let (standing, rest) = likenesses.split(std::mem::take(&mut own.entries), is_same);
        own.entries = rest;
        if standing.len() as u64 != count {
            return Err(PassError::Protocol(OTHER_COUNT));
        }
        Ok(standing)
    }

    /// What is here in a directory is no longer remembered.
    fn forget(&mut self, weight: usize) {
        self.remembered = self.remembered.saturating_sub(weight);
    }

    /// Directories are mentioned or listed in the order of their numbers, but for those listed when asked for.
    fn take_turn(&mut self, dir: DirId) -> Result<(), PassError> {
        if dir.0 != self.next || self.in_parts.is_some() || self.all_listed {
            return Err(PassError::Protocol(OUT_OF_TURN));
        }
        self.next = self.next.checked_add(1).ok_or(PassError::Protocol("too many directories"))?;
        Ok(())
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
        // One for the listing itself, and one for attributes that have to come.
        let fetches = open.xattrs == SetXattrs::Fetch
            && !open.unusable
            && matches!(open.counterpart, Counterpart::Writable(_));
        open.unsettled = 1 + u64::from(fetches);
        let (path, counterpart, unusable) = (open.path.clone(), open.counterpart.clone(), open.unusable);
        let (fresh, scope) = (open.fresh, open.scope.clone());
        sink.directories.insert(id, open);
        if fetches {
            sink.fetch_own_xattrs(id, path.clone(), parent)?;
        }
        // What was planned is looked up by its name.
        let own = match fresh || sink.goal.agenda().is_some() {
            true => Own::default(),
            false => {
                let is_told_later = sink.context.sweep == Sweep::Now;
                sink.own(&path, &counterpart, destination.rename.as_ref(), is_told_later)
            }
        };
        sink.spool.saw(own.entries.len());
        self.remembered = self.remembered.saturating_add(own.weight());
        let told = own.incomplete;
        Ok(Awaited { path, unusable, own: Some(own), told, said: None, scope })
    }
}
