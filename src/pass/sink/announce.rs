//! Events in the order of the listing, also where a decision takes longer than the next one's: contents are compared
//! by others, and the listing of a directory that is not the same has to come first.

use crate::report::{Event, Reporter};
use crate::wire::{DirId, FileId};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How many turns are held back, while contents are compared, before who has more to say waits.
const HELD: usize = 8192;

/// How many turns are held back before the order of directories is given up.
const MOST_TURNS: usize = 65_536;

/// How many bytes of paths and texts are held back before the order of directories is given up.
const MOST_BYTES: usize = 8 << 20;

/// Passes events on, holding back those after a place that is still open. The comparison speaks, and may have to wait
/// for those who sign, who fill the places of files and never wait.
///
/// It cannot wait for the place of a directory or of a link, which it fills itself, when the listing or the verdict
/// comes; and the source may list any number of other entries before that. So beyond [`MOST_TURNS`] or [`MOST_BYTES`]
/// the order is given up: the places of directories that are open then are given up, and what they held back is said in
/// the order in which it stands.
pub(super) struct Announcer {
    reporter: Arc<dyn Reporter>,
    held: Mutex<Held>,
    said: Condvar,
}

#[derive(Default)]
struct Held {
    /// What belongs to each place, and to none; nothing where there is no queue.
    queues: HashMap<Option<Place>, VecDeque<Turn>>,
    /// The places that something may still be said in.
    files: HashSet<FileId>,
    dirs: HashSet<DirId>,
    links: HashSet<u32>,
    /// The directory whose place is being filled, if that is open.
    at: Option<DirId>,
    /// The places whose turn it is, each in the one before it.
    telling: Vec<Place>,
    /// How many turns are in the queues.
    turns: usize,
    /// How many bytes of paths and texts are in the queues.
    bytes: usize,
    stopped: bool,
}

/// What a place is kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// What will be said about a file.
    File(FileId),
    /// What will be said about everything in a directory.
    Dir(DirId),
    /// What will be said about a name of a file that is being compared, by a number that the comparison chose.
    Link(u32),
}

enum Turn {
    Said(Event),
    /// All that belongs to a place.
    Place(Place),
}

impl Held {
    fn is_open(&self, place: Place) -> bool {
        match place {
            Place::File(file) => self.files.contains(&file),
            Place::Dir(dir) => self.dirs.contains(&dir),
            Place::Link(link) => self.links.contains(&link),
        }
    }

    /// Whether who has something to say waits. There is an end to it, since all places of files are filled.
    fn is_waited_for(&self) -> bool {
        !self.files.is_empty() && self.turns >= HELD && !self.stopped
    }

    fn is_too_much(&self) -> bool {
        self.turns >= MOST_TURNS || self.bytes >= MOST_BYTES
    }

    /// Adds a turn to those of a place, or of none.
    fn add(&mut self, place: Option<Place>, turn: Turn) {
        self.turns += 1;
        self.bytes += turn.bytes();
        self.queues.entry(place).or_default().push_back(turn);
        if self.is_too_much() {
            (self.dirs, self.links) = Default::default();
            self.at = None;
        }
    }

    /// The next event that has its turn.
    fn next(&mut self) -> Option<Event> {
        loop {
            let place = self.telling.last().copied();
            let turn = self.queues.get_mut(&place).and_then(VecDeque::pop_front);
            if let Some(turn) = &turn {
                self.turns -= 1;
                self.bytes -= turn.bytes();
            }
            match turn {
                Some(Turn::Said(event)) => return Some(event),
                Some(Turn::Place(inner)) => self.telling.push(inner),
                None if place.is_some_and(|place| !self.is_open(place)) => {
                    self.queues.remove(&place);
                    self.telling.pop();
                }
                None => return None,
            }
        }
    }
}

impl Turn {
    /// What it holds besides itself.
    fn bytes(&self) -> usize {
        match self {
            Turn::Said(Event::Item(item)) => {
                let leader = item.leader.as_ref().map_or(0, |leader| leader.as_bytes().len());
                item.path.as_bytes().len() + item.target.as_ref().map_or(0, Vec::len) + leader
            }
            Turn::Said(
                Event::Deleted { path, .. } | Event::Skipped { path, .. } | Event::Removed { path },
            ) => path.as_bytes().len(),
            Turn::Said(Event::Problem(problem)) => {
                problem.doing.len() + problem.path.len() + problem.cause.len()
            }
            Turn::Said(Event::Shown(shown)) => {
                shown.path.as_bytes().len() + shown.target.as_ref().map_or(0, Vec::len)
            }
            Turn::Said(Event::UnsafeLink { path, target } | Event::FollowedLink { path, target }) => {
                path.as_bytes().len() + target.len()
            }
            Turn::Said(Event::Notice(text)) => text.len(),
            Turn::Said(Event::Remote(text)) => text.len(),
            Turn::Said(Event::CreatedDestination | Event::CreatedPath { .. }) | Turn::Place(_) => 0,
        }
    }
}

impl Announcer {
    pub(super) fn new(reporter: Arc<dyn Reporter>) -> Announcer {
        Announcer { reporter, held: Mutex::default(), said: Condvar::new() }
    }

    /// Says an event in its turn.
    pub(super) fn say(&self, event: Event) {
        let waited = self.said.wait_while(self.lock(), |held| held.is_waited_for());
        let mut held = waited.unwrap_or_else(PoisonError::into_inner);
        let at = held.at.map(Place::Dir);
        held.add(at, Turn::Said(event));
        self.go_on(held);
    }

    /// Keeps a place, though none for a directory where too much is held back already.
    pub(super) fn keep_place(&self, place: Place) {
        let mut held = self.lock();
        let is_new = match place {
            Place::File(file) => held.files.insert(file),
            Place::Dir(dir) => !held.is_too_much() && held.dirs.insert(dir),
            Place::Link(link) => !held.is_too_much() && held.links.insert(link),
        };
        if is_new {
            let at = held.at.map(Place::Dir);
            held.add(at, Turn::Place(place));
        }
        self.go_on(held);
    }

    /// Fills the place kept for `file`, with nothing if there is nothing to say.
    pub(super) fn fill(&self, file: FileId, event: Option<Event>) {
        let mut held = self.lock();
        if !held.files.remove(&file) {
            return;
        }
        if let Some(event) = event {
            held.add(Some(Place::File(file)), Turn::Said(event));
        }
        self.go_on(held);
    }

    /// The same for the place of a link. Was that given up, it is said now.
    pub(super) fn fill_link(&self, link: u32, event: Option<Event>) {
        let mut held = self.lock();
        let place = held.links.remove(&link).then_some(Place::Link(link));
        if let Some(event) = event {
            let place = place.or(held.at.map(Place::Dir));
            held.add(place, Turn::Said(event));
        }
        self.go_on(held);
    }

    /// What is said and kept from now on belongs to the place of this directory, if it has one; with `None`, and with
    /// another directory, the place is full.
    pub(super) fn go_to(&self, dir: Option<DirId>) {
        let mut held = self.lock();
        if let Some(full) = held.at.take() {
            held.dirs.remove(&full);
        }
        held.at = dir.filter(|dir| held.dirs.contains(dir));
        self.go_on(held);
    }

    /// Lets nobody wait any more: what is open will not be filled.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.said.notify_all();
    }

    /// Says what has its turn. Under the lock, so that two threads cannot change places.
    fn go_on(&self, mut held: MutexGuard<'_, Held>) {
        while let Some(event) = held.next() {
            self.reporter.report(event);
        }
        let room = !held.is_waited_for();
        drop(held);
        if room {
            self.said.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
