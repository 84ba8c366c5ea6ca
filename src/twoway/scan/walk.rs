//! Going through a tree and its history at once.

use crate::fs::{Dir, Error, Listing, Stamp, Stamped};
use crate::tree::{Entry, Kind, Meta, Name, Node, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::facet::{Seen, sums_of};
use crate::twoway::hiding::Cursor;
use crate::twoway::history::{self, History, Known, Snapshot};
use crate::twoway::record::State;
use crate::twoway::scan::hash::Readers;
use crate::twoway::scan::settle::{Finding, Found, Settling, There};
use crate::twoway::scan::{Findings, Observer, ScanOptions, Trouble};
use std::cell::RefCell;
use std::iter::Peekable;
use std::sync::atomic::Ordering;

/// How many directories of a branch keep their handle; those further up are opened again.
const HANDLES: usize = 64;

/// How many entries there are between two reports of progress.
const PROGRESS: u64 = 4096;

type Row = Result<(Vec<u8>, Known), TwoWayError>;

/// A scan that is going on.
pub(super) struct Scan<'a, 'h, 'scope, 'env> {
    root: &'a Dir,
    options: &'a ScanOptions<'a>,
    readers: Readers<'scope, 'env>,
    /// Where paths are held against what is left out.
    cursor: RefCell<Cursor>,
    snapshot: Snapshot,
    rows: Peekable<Box<dyn Iterator<Item = Row>>>,
    settling: Settling<'a, 'h>,
}

/// A directory that is being walked.
struct Level {
    path: RelPath,
    /// `None` while deeper levels need the handles.
    dir: Option<Dir>,
    dev: u64,
    rest: std::vec::IntoIter<Item>,
    /// Whether something in it, at any depth, takes no part, as far as it was walked.
    occupied: bool,
    /// What is known of it, for when all in it has been seen.
    own: Option<Own>,
}

/// What was seen of a directory itself.
struct Own {
    before: Option<Known>,
    meta: Meta,
    stamp: Stamp,
    seen: Result<Seen, Error>,
}

struct Item {
    name: Name,
    found: Result<Stamped, Error>,
}

impl<'a, 'h, 'scope, 'env> Scan<'a, 'h, 'scope, 'env> {
    pub(super) fn new(
        root: &'a Dir,
        history: &'h mut History,
        options: &'a ScanOptions<'a>,
        observer: &'a mut dyn Observer,
        readers: Readers<'scope, 'env>,
    ) -> Result<Scan<'a, 'h, 'scope, 'env>, TwoWayError> {
        let snapshot = history.snapshot()?;
        let rows: Box<dyn Iterator<Item = Row>> = Box::new(snapshot.rows()?);
        let settling = Settling::new(history, options, observer);
        let cursor = RefCell::new(options.hiding.cursor());
        Ok(Scan { root, options, readers, cursor, rows: rows.peekable(), snapshot, settling })
    }

    pub(super) fn run(mut self) -> Result<Findings<'h>, TwoWayError> {
        let mut stack = vec![self.enter_root()?];
        while let Some(level) = stack.last_mut() {
            if self.options.stop.load(Ordering::Relaxed) {
                return Err(TwoWayError::Stopped);
            }
            match level.rest.next() {
                None => {
                    let occupied = stack.pop().map_or(Ok(false), |level| self.leave(level))?;
                    if let Some(above) = stack.last_mut() {
                        above.occupied |= occupied;
                    }
                }
                Some(item) => {
                    if let Some(below) = self.visit(level, item)? {
                        stack.push(below);
                        let up = stack.len().checked_sub(HANDLES).and_then(|up| stack.get_mut(up));
                        if let Some(level) = up.filter(|level| !level.path.is_root()) {
                            level.dir = None;
                        }
                    }
                }
            }
        }
        self.pass(None)?;
        self.settling.finish()
    }

    fn enter_root(&mut self) -> Result<Level, TwoWayError> {
        let path = RelPath::root();
        let (meta, stamp) = self.root.own_stamped().map_err(TwoWayError::at("."))?;
        let listing = self.root.list_stamped().map_err(TwoWayError::at("."))?;
        if let Some(error) = listing.broken {
            return Err(TwoWayError::at(".")(error));
        }
        let before = self.take(&path)?;
        let seen = self.own_seen(self.root, stamp, before.as_ref());
        let mut level = self.level(path, self.root.clone(), stamp.dev, listing);
        level.own = Some(Own { before, meta, stamp, seen });
        Ok(level)
    }

    /// Writes down a directory in which everything has been seen. Returns whether something in it takes no part.
    fn leave(&mut self, level: Level) -> Result<bool, TwoWayError> {
        let Level { path, occupied, own, .. } = level;
        if let Some(Own { before, meta, stamp, seen }) = own {
            self.found_there(path, before, (State::Directory, seen), (&meta, false), stamp, occupied)?;
        }
        Ok(occupied)
    }

    fn level(&mut self, path: RelPath, dir: Dir, dev: u64, listing: Listing<Stamped>) -> Level {
        let whole = listing.entries.iter().filter(|stamped| is_or_may_be_kept(&stamped.entry)).count();
        let mut items: Vec<Item> = self
            .shown(&path, listing.entries)
            .map(|stamped| Item { name: stamped.entry.name.clone(), found: Ok(stamped) })
            .collect();
        let seen = items.len();
        let occupied = seen < whole;
        for (name, error) in listing.failed {
            match Name::new(&name) {
                // What it is nobody knows, so rules for directories do not hide it.
                Ok(name) if self.hides(&path.join(&name), false) => {}
                Ok(name) => items.push(Item { name, found: Err(error) }),
                Err(_) => self.settling.tell(&path, &Trouble::Failed(error)),
            }
        }
        if items.len() > seen {
            items.sort_by(|one, other| one.name.cmp(&other.name));
        }
        Level { path, dir: Some(dir), dev, rest: items.into_iter(), occupied, own: None }
    }

    /// Those entries of a directory that take part.
    fn shown(&self, dir: &RelPath, entries: Vec<Stamped>) -> impl Iterator<Item = Stamped> {
        let hides_any = !self.options.hiding.is_empty();
        entries.into_iter().filter(move |Stamped { entry, .. }| {
            let is_hidden = || self.hides(&dir.join(&entry.name), entry.is_dir());
            !(crate::fs::is_reserved(entry) || hides_any && is_hidden())
        })
    }

    fn hides(&self, path: &RelPath, is_directory: bool) -> bool {
        self.cursor.borrow_mut().hides(path, is_directory)
    }

    /// Looks at one entry. Returns the directory to be walked next, if it is one.
    fn visit(&mut self, level: &mut Level, item: Item) -> Result<Option<Level>, TwoWayError> {
        let path = level.path.join(&item.name);
        let before = self.take(&path)?;
        let Stamped { entry, stamp } = match item.found {
            Ok(stamped) => stamped,
            Err(error) => {
                self.unknown(path, before, &Trouble::Failed(error))?;
                return Ok(None);
            }
        };
        let state = match self.options.state(&entry) {
            Err(trouble) => {
                level.occupied = true;
                if before.as_ref().is_some_and(|before| before.record.state.is_present()) {
                    self.unknown(path, before, &trouble)?;
                } else {
                    self.settling.trouble(&path, &trouble);
                }
                return Ok(None);
            }
            Ok(None) => {
                self.file(level, path, before, &entry, stamp)?;
                return Ok(None);
            }
            Ok(Some(state)) => state,
        };
        if !entry.is_dir() {
            self.count(&entry);
            let seen = self.seen(level, &entry, stamp, before.as_ref());
            self.found_there(path, before, (state, seen), of(&entry), stamp, false)?;
            return Ok(None);
        }
        self.directory(level, path, before, &entry)
    }

    fn directory(
        &mut self,
        level: &mut Level,
        path: RelPath,
        before: Option<Known>,
        entry: &Entry,
    ) -> Result<Option<Level>, TwoWayError> {
        let opened = self.dir_of(level).and_then(|dir| dir.open_dir(&entry.name)).and_then(|dir| {
            let own = dir.own_stamped()?;
            let mut listing = dir.list_stamped()?;
            listing.broken.take().map_or(Ok((dir, own, listing)), Err)
        });
        let (dir, (meta, stamp), listing) = match opened {
            Ok((_, (_, stamp), _)) if stamp.dev != level.dev => {
                self.unknown(path, before, &Trouble::Mounted)?;
                return Ok(None);
            }
            Ok(opened) => opened,
            Err(error) => {
                self.unknown(path, before, &Trouble::Failed(error))?;
                return Ok(None);
            }
        };
        let seen = self.own_seen(&dir, stamp, before.as_ref());
        let mut below = self.level(path.clone(), dir, level.dev, listing);
        if before.as_ref().is_some_and(is_kept) && !self.has_visible(&below)? {
            level.occupied = true;
            self.skip_below(&path)?;
            return Ok(None);
        }
        self.count(entry);
        below.own = Some(Own { before, meta, stamp, seen });
        Ok(Some(below))
    }

    fn count(&mut self, entry: &Entry) {
        self.settling.counts.entries = self.settling.counts.entries.saturating_add(1);
        if let Node::File { size } = entry.node {
            self.settling.counts.files = self.settling.counts.files.saturating_add(1);
            self.settling.counts.bytes = self.settling.counts.bytes.saturating_add(size);
        }
        if self.settling.counts.entries.is_multiple_of(PROGRESS) {
            self.settling.progress();
        }
    }

    /// Whether something that takes part is in a directory that was removed and kept for what does not. Other
    /// directories in it may have been kept too.
    fn has_visible(&self, level: &Level) -> Result<bool, TwoWayError> {
        let mut kept = Vec::new();
        let items = level.rest.as_slice().iter().filter_map(|item| item.found.as_ref().ok());
        let mut is_visible = self.is_any_visible(&level.path, items, &mut kept)?;
        while let (false, Some(path)) = (is_visible, kept.pop()) {
            let listing = self.root.open_beneath(&path).and_then(|dir| dir.list_stamped());
            // One that cannot be read shows nothing.
            let Ok(listing) = listing else { continue };
            let shown: Vec<Stamped> = self.shown(&path, listing.entries).collect();
            is_visible = self.is_any_visible(&path, shown.iter(), &mut kept)?;
        }
        Ok(is_visible)
    }

    /// Whether one of these entries of a directory was not kept; directories that were are collected.
    fn is_any_visible<'e>(
        &self,
        dir: &RelPath,
        mut entries: impl Iterator<Item = &'e Stamped>,
        kept: &mut Vec<RelPath>,
    ) -> Result<bool, TwoWayError> {
        entries.try_fold(false, |is_visible, Stamped { entry, .. }| {
            let Ok(state) = self.options.state(entry) else { return Ok(is_visible) };
            let path = dir.join(&entry.name);
            let known = self.snapshot.known(&history::key(&path))?;
            if !known.as_ref().is_some_and(is_kept) {
                return Ok(true);
            }
            // All else that was kept is a file of rules.
            if state == Some(State::Directory) {
                kept.push(path);
            }
            Ok(is_visible)
        })
    }

    fn dir_of(&self, level: &mut Level) -> Result<Dir, Error> {
        if level.dir.is_none() {
            level.dir = Some(self.root.open_beneath(&level.path)?);
        }
        Ok(level.dir.clone().unwrap_or_else(|| self.root.clone()))
    }

    fn file(
        &mut self,
        level: &mut Level,
        path: RelPath,
        before: Option<Known>,
        entry: &Entry,
        stamp: Stamp,
    ) -> Result<(), TwoWayError> {
        self.count(entry);
        let is_read = before.as_ref().is_some_and(|before| {
            let is_same = before.look.is_some_and(|look| look.settled && look.stamp == stamp);
            is_same && matches!(before.record.state, State::File { .. })
        });
        if let (true, Some(before)) = (is_read, &before) {
            let state = before.record.state.clone();
            let seen = self.seen(level, entry, stamp, Some(before));
            return self.found_there(path, Some(before.clone()), (state, seen), of(entry), stamp, false);
        }
        let dir = match self.dir_of(level) {
            Ok(dir) => dir,
            Err(error) => return self.unknown(path, before, &Trouble::Failed(error)),
        };
        let facets = self.options.facets;
        let look = self.options.visible.look_for(facets);
        let reading = self.readers.read(dir, entry.name.clone(), (facets, look));
        self.settling.take(Finding { path, before, found: Found::Reading(reading, entry.inode().is_some()) })
    }

    fn found_there(
        &mut self,
        path: RelPath,
        before: Option<Known>,
        (state, seen): (State, Result<Seen, Error>),
        (meta, is_linked): (&Meta, bool),
        stamp: Stamp,
        occupied: bool,
    ) -> Result<(), TwoWayError> {
        let seen = match seen {
            Ok(seen) => seen,
            // What is below a directory was seen all the same.
            Err(error) => {
                self.settling.trouble(&path, &Trouble::Failed(error));
                return self.settling.take(Finding { path, before, found: Found::Unknown });
            }
        };
        let kind = match &state {
            State::Directory => Kind::Directory,
            State::Symlink { .. } => Kind::Symlink,
            State::Special(kind, _) => *kind,
            _ => Kind::File,
        };
        let attributes = self.options.attributes(kind, meta, before.as_ref().map(|before| &before.record));
        let facets = seen.keys().copied().collect();
        let mut look = self.options.look(stamp, before.as_ref(), facets);
        // The content of a file was read; of all else it has just been looked at.
        look.settled |= !matches!(state, State::File { .. });
        let mtime = meta.mtime;
        let found = Found::There(There { state, attributes, mtime, occupied, seen, is_linked, look });
        self.settling.take(Finding { path, before, found })
    }

    /// Looks at those facets of an entry with this stamp that were not seen before.
    fn seen(
        &self,
        level: &mut Level,
        entry: &Entry,
        stamp: Stamp,
        before: Option<&Known>,
    ) -> Result<Seen, Error> {
        let facets = self.options.unseen(stamp, before);
        if facets.is_empty() {
            return Ok(Seen::new());
        }
        let extra =
            self.dir_of(level)?.extra(&entry.name, entry.kind(), &self.options.visible.look_for(facets))?;
        Ok(sums_of(facets, extra.as_deref()))
    }

    /// The same of a directory that is open.
    fn own_seen(&self, dir: &Dir, stamp: Stamp, before: Option<&Known>) -> Result<Seen, Error> {
        let facets = self.options.unseen(stamp, before);
        let extra =
            if facets.is_empty() { None } else { dir.own_extra(&self.options.visible.look_for(facets))? };
        Ok(sums_of(facets, extra.as_deref()))
    }

    fn unknown(
        &mut self,
        path: RelPath,
        before: Option<Known>,
        trouble: &Trouble,
    ) -> Result<(), TwoWayError> {
        self.settling.trouble(&path, trouble);
        self.skip_below(&path)?;
        self.settling.take(Finding { path, before, found: Found::Unknown })
    }

    /// The record of a path, after all that come before it: their entries are not there.
    fn take(&mut self, path: &RelPath) -> Result<Option<Known>, TwoWayError> {
        let key = history::key(path);
        self.pass(Some(&key))?;
        if !matches!(self.rows.peek(), Some(Ok((found, _))) if *found == key) {
            return Ok(None);
        }
        let known = self.rows.next().transpose()?.map(|(_, known)| known);
        if !path.is_root() && known.as_ref().is_some_and(|known| known.record.state.is_present()) {
            self.settling.counts.known = self.settling.counts.known.saturating_add(1);
        }
        Ok(known)
    }

    /// Takes the records before a key, or all that are left. Nothing is there.
    fn pass(&mut self, until: Option<&[u8]>) -> Result<(), TwoWayError> {
        let is_before = |row: &Row| match (row, until) {
            (Ok((key, _)), Some(until)) => key.as_slice() < until,
            _ => true,
        };
        while let Some(row) = self.rows.next_if(is_before) {
            let (key, before) = row?;
            self.missing(history::path(&key)?, before)?;
        }
        Ok(())
    }

    fn missing(&mut self, path: RelPath, before: Known) -> Result<(), TwoWayError> {
        let state = &before.record.state;
        if self.hides(&path, state.is_directory() || before.record.occupied) {
            return Ok(());
        }
        if state.is_present() {
            self.settling.counts.known = self.settling.counts.known.saturating_add(1);
            return self.settling.take(Finding { path, before: Some(before), found: Found::Gone });
        }
        if !before.is_unknown && !before.record.occupied {
            let oldest = self.settling.counts.oldest_removal.get_or_insert(before.record.mtime);
            *oldest = before.record.mtime.min(*oldest);
            return Ok(());
        }
        self.settling.take(Finding { path, before: Some(before), found: Found::Gone })
    }

    /// Leaves the records below a path as they are.
    fn skip_below(&mut self, path: &RelPath) -> Result<(), TwoWayError> {
        let mut prefix = history::key(path);
        prefix.push(0);
        while let Some(row) =
            self.rows.next_if(|row| row.as_ref().map_or(true, |(key, _)| key.starts_with(&prefix)))
        {
            let (_, known) = row?;
            if known.record.state.is_present() {
                self.settling.counts.known = self.settling.counts.known.saturating_add(1);
                self.settling.counts.entries = self.settling.counts.entries.saturating_add(1);
            }
        }
        Ok(())
    }
}

/// The attributes of an entry, and whether it has other names.
fn of(entry: &Entry) -> (&Meta, bool) {
    (&entry.meta, entry.inode().is_some())
}

/// Whether a directory, or a file of rules in it, was removed, but stays for the sake of what takes no part.
fn is_kept(known: &Known) -> bool {
    known.record.state == State::Absent && known.record.occupied
}

/// Whether an entry is more than what a killed run left of a file, which does not keep its directory from going.
fn is_or_may_be_kept(entry: &Entry) -> bool {
    !crate::fs::is_reserved(entry) || entry.is_dir()
}
