//! Going through a tree and its history at once.

use crate::fs::{Dir, Error, Listing, Stamp, Stamped};
use crate::tree::filter::{Side, Verdict};
use crate::tree::{Entry, Meta, Name, Node, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::history::{self, Change, History, Known, Look, Mark, Snapshot, Told};
use crate::twoway::record::{Attributes, Record, State};
use crate::twoway::scan::compare::{Difference, difference};
use crate::twoway::scan::hash::{Outcome, Readers};
use crate::twoway::scan::{Counts, Findings, Observer, ScanOptions, Trouble};
use crate::twoway::version::Version;
use crossbeam_channel::Receiver;
use filetime::FileTime;
use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many findings may wait for a file to be read.
const WAITING: usize = 4096;

/// How many directories of a branch keep their handle; those further up are opened again.
const HANDLES: usize = 64;

/// How many entries there are between two reports of progress.
const PROGRESS: u64 = 4096;

type Row = Result<(Vec<u8>, Known), TwoWayError>;

/// A scan that is going on.
pub(super) struct Scan<'a, 'h, 'scope, 'env> {
    root: &'a Dir,
    options: &'a ScanOptions<'a>,
    observer: &'a mut dyn Observer,
    readers: Readers<'scope, 'env>,
    snapshot: Snapshot,
    rows: Peekable<Box<dyn Iterator<Item = Row>>>,
    writer: Writer<'h>,
    /// What was found, in order, from the first on that waits for a file to be read.
    waiting: VecDeque<Waiting>,
    counts: Counts,
}

/// A directory that is being walked.
struct Level {
    path: RelPath,
    /// `None` while deeper levels need the handles.
    dir: Option<Dir>,
    dev: u64,
    rest: std::vec::IntoIter<Item>,
}

struct Item {
    name: Name,
    found: Result<Stamped, Error>,
}

/// A file that is being read, or something that was found after it.
struct Waiting {
    path: RelPath,
    before: Option<Known>,
    found: Found,
}

enum Found {
    /// Of a file, the outcome of reading it.
    Reading(Receiver<Outcome>),
    /// What is there.
    There(State, Attributes, FileTime, Look),
    /// Nothing is, any more.
    Gone,
    /// Something is that cannot be known.
    Unknown,
}

/// The transaction, which begins with the first finding, as does the generation with the first edit.
struct Writer<'h> {
    history: Option<&'h mut History>,
    change: Option<Change<'h>>,
    generation: Option<u64>,
}

impl<'h> Writer<'h> {
    fn change(&mut self) -> Result<&mut Change<'h>, TwoWayError> {
        if let Some(history) = self.history.take() {
            self.change = Some(Change::begin(history)?);
        }
        self.change.as_mut().ok_or(TwoWayError::Stopped)
    }

    /// A version after an edit found in this scan.
    fn edited(&mut self, version: &Version) -> Result<Arc<Version>, TwoWayError> {
        let generation = match self.generation {
            Some(generation) => generation,
            None => self.change()?.generation(history::new_tag()?)?,
        };
        self.generation = Some(generation);
        let author = self.change()?.author();
        Ok(Arc::new(version.edited(author, generation)))
    }
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
        let writer = Writer { history: Some(history), change: None, generation: None };
        Ok(Scan {
            root,
            options,
            observer,
            readers,
            rows: rows.peekable(),
            snapshot,
            writer,
            waiting: VecDeque::new(),
            counts: Counts::default(),
        })
    }

    pub(super) fn run(mut self) -> Result<Findings<'h>, TwoWayError> {
        let mut stack = vec![self.enter_root()?];
        while let Some(level) = stack.last_mut() {
            if self.options.stop.load(Ordering::Relaxed) {
                return Err(TwoWayError::Stopped);
            }
            match level.rest.next() {
                None => drop(stack.pop()),
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
        while self.settle_first()? {}
        self.observer.progress(&self.counts);
        Ok(Findings { change: self.writer.change, counts: self.counts })
    }

    fn enter_root(&mut self) -> Result<Level, TwoWayError> {
        let path = RelPath::root();
        let (meta, stamp) = self.root.own_stamped().map_err(TwoWayError::at("."))?;
        let listing = self.root.list_stamped().map_err(TwoWayError::at("."))?;
        if let Some(error) = listing.broken {
            return Err(TwoWayError::at(".")(error));
        }
        let before = self.take(&path)?;
        self.found_there(path.clone(), before, State::Directory, &meta, stamp)?;
        Ok(self.level(path, self.root.clone(), stamp.dev, listing))
    }

    fn level(&mut self, path: RelPath, dir: Dir, dev: u64, listing: Listing<Stamped>) -> Level {
        let rules = self.options.rules;
        let shown = |stamped: &Stamped| {
            !crate::fs::is_reserved(&stamped.entry)
                && (rules.is_empty()
                    || !self.is_hidden(&path.join(&stamped.entry.name), stamped.entry.is_dir()))
        };
        let entries = listing.entries.into_iter().filter(shown);
        let mut items: Vec<Item> =
            entries.map(|stamped| Item { name: stamped.entry.name.clone(), found: Ok(stamped) }).collect();
        let seen = items.len();
        for (name, error) in listing.failed {
            match Name::new(&name) {
                Ok(name) => items.push(Item { name, found: Err(error) }),
                Err(_) => self.observer.trouble(&path, &Trouble::Failed(error)),
            }
        }
        if items.len() > seen {
            items.sort_by(|one, other| one.name.cmp(&other.name));
        }
        Level { path, dir: Some(dir), dev, rest: items.into_iter() }
    }

    /// Whether the rules hide an entry, by itself.
    fn is_hidden(&self, path: &RelPath, is_directory: bool) -> bool {
        self.options.rules.check(path.as_bytes(), is_directory, Side::Sender) == Verdict::Excluded
    }

    /// Whether the rules hide an entry, or a directory above it.
    fn is_ignored(&self, path: &RelPath, is_directory: bool) -> bool {
        if self.options.rules.is_empty() {
            return false;
        }
        let mut above = path.clone();
        let mut is_directory = is_directory;
        while let Some((parent, _)) = above.split_last() {
            if self.is_hidden(&above, is_directory) {
                return true;
            }
            (above, is_directory) = (parent, true);
        }
        false
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
                self.unknown(path, before, &trouble)?;
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
            self.found_there(path, before, state, &entry.meta, stamp)?;
            return Ok(None);
        }
        if stamp.dev != level.dev {
            self.unknown(path, before, &Trouble::Mounted)?;
            return Ok(None);
        }
        let listed = self.dir_of(level).and_then(|dir| dir.open_dir(&entry.name)).and_then(|dir| {
            let mut listing = dir.list_stamped()?;
            listing.broken.take().map_or(Ok((dir, listing)), Err)
        });
        let (dir, listing) = match listed {
            Ok(listed) => listed,
            Err(error) => {
                self.unknown(path, before, &Trouble::Failed(error))?;
                return Ok(None);
            }
        };
        let below = self.level(path.clone(), dir, level.dev, listing);
        let is_kept = before.as_ref().is_some_and(|before| before.mark == Mark::Kept);
        if is_kept && !self.has_visible(&below)? {
            self.skip_below(&path)?;
            return Ok(None);
        }
        self.count(&entry);
        self.found_there(path, before, state, &entry.meta, stamp)?;
        Ok(Some(below))
    }

    fn count(&mut self, entry: &Entry) {
        self.counts.entries = self.counts.entries.saturating_add(1);
        if let Node::File { size } = entry.node {
            self.counts.files = self.counts.files.saturating_add(1);
            self.counts.bytes = self.counts.bytes.saturating_add(size);
        }
        if self.counts.entries.is_multiple_of(PROGRESS) {
            self.observer.progress(&self.counts);
        }
    }

    /// Whether something that takes part is in a directory that was removed and kept for what does not.
    fn has_visible(&self, level: &Level) -> Result<bool, TwoWayError> {
        for item in level.rest.as_slice() {
            let Ok(stamped) = &item.found else { continue };
            match self.options.state(&stamped.entry) {
                Err(_) => continue,
                Ok(Some(State::Directory)) => {}
                Ok(_) => return Ok(true),
            }
            let path = level.path.join(&item.name);
            let known = self.snapshot.known(&history::key(&path))?;
            if known.is_none_or(|known| known.mark != Mark::Kept) {
                return Ok(true);
            }
            let Ok(dir) = self.root.open_beneath(&path) else { continue };
            let Ok(listing) = dir.list_stamped() else { continue };
            let shown = |stamped: &Stamped| {
                !crate::fs::is_reserved(&stamped.entry)
                    && !self.is_hidden(&path.join(&stamped.entry.name), stamped.entry.is_dir())
            };
            let items: Vec<Item> = listing
                .entries
                .into_iter()
                .filter(shown)
                .map(|stamped| Item { name: stamped.entry.name.clone(), found: Ok(stamped) })
                .collect();
            if self.has_visible(&Level { path, dir: None, dev: level.dev, rest: items.into_iter() })? {
                return Ok(true);
            }
        }
        Ok(false)
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
            return self.found_there(path, Some(before.clone()), state, &entry.meta, stamp);
        }
        let dir = match self.dir_of(level) {
            Ok(dir) => dir,
            Err(error) => return self.unknown(path, before, &Trouble::Failed(error)),
        };
        let reading = self.readers.read(dir, entry.name.clone());
        self.wait(Waiting { path, before, found: Found::Reading(reading) })
    }

    fn found_there(
        &mut self,
        path: RelPath,
        before: Option<Known>,
        state: State,
        meta: &Meta,
        stamp: Stamp,
    ) -> Result<(), TwoWayError> {
        let kind = match &state {
            State::Directory => crate::tree::Kind::Directory,
            State::Symlink { .. } => crate::tree::Kind::Symlink,
            State::Special(kind, _) => *kind,
            _ => crate::tree::Kind::File,
        };
        let attributes = self.options.attributes(kind, meta, before.as_ref().map(|before| &before.record));
        let mut look = self.options.look(stamp);
        // The content of a file was read; of all else it has just been looked at.
        look.settled |= !matches!(state, State::File { .. });
        self.wait(Waiting { path, before, found: Found::There(state, attributes, meta.mtime, look) })
    }

    fn unknown(
        &mut self,
        path: RelPath,
        before: Option<Known>,
        trouble: &Trouble,
    ) -> Result<(), TwoWayError> {
        self.observer.trouble(&path, trouble);
        self.counts.unknown = self.counts.unknown.saturating_add(1);
        self.skip_below(&path)?;
        self.wait(Waiting { path, before, found: Found::Unknown })
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
            self.counts.known = self.counts.known.saturating_add(1);
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
        if self.is_ignored(&path, state.is_directory() || before.mark == Mark::Kept) {
            return Ok(());
        }
        if state.is_present() {
            self.counts.known = self.counts.known.saturating_add(1);
            return self.wait(Waiting { path, before: Some(before), found: Found::Gone });
        }
        if before.mark == Mark::None {
            let oldest = self.counts.oldest_removal.get_or_insert(before.record.mtime);
            *oldest = before.record.mtime.min(*oldest);
            return Ok(());
        }
        self.wait(Waiting { path, before: Some(before), found: Found::Gone })
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
                self.counts.known = self.counts.known.saturating_add(1);
                self.counts.entries = self.counts.entries.saturating_add(1);
            }
        }
        Ok(())
    }

    fn wait(&mut self, found: Waiting) -> Result<(), TwoWayError> {
        if self.waiting.is_empty() && !matches!(found.found, Found::Reading(_)) {
            return self.settle(found);
        }
        self.waiting.push_back(found);
        while self.waiting.len() > WAITING && self.settle_first()? {}
        Ok(())
    }

    fn settle_first(&mut self) -> Result<bool, TwoWayError> {
        match self.waiting.pop_front() {
            Some(first) => self.settle(first).map(|()| true),
            None => Ok(false),
        }
    }

    /// Writes down what was found at one path.
    fn settle(&mut self, waiting: Waiting) -> Result<(), TwoWayError> {
        let Waiting { path, before, found } = waiting;
        match found {
            Found::Reading(outcome) => {
                self.was_read(path, before, outcome.recv().unwrap_or(Err(Trouble::Changing)))
            }
            Found::There(state, attributes, mtime, look) => {
                self.is_there(&path, before, state, attributes, mtime, look)
            }
            Found::Gone => self.is_gone(&path, before),
            Found::Unknown => self.is_unknown(&path, before),
        }
    }

    fn was_read(
        &mut self,
        path: RelPath,
        before: Option<Known>,
        outcome: Outcome,
    ) -> Result<(), TwoWayError> {
        match outcome {
            Ok(read) => {
                let size = read.stamp.size;
                self.counts.read = self.counts.read.saturating_add(1);
                self.counts.read_bytes = self.counts.read_bytes.saturating_add(size);
                let state = State::File { sum: read.sum, size };
                let record = before.as_ref().map(|before| &before.record);
                let attributes = self.options.attributes(crate::tree::Kind::File, &read.meta, record);
                let look = self.options.look(read.stamp);
                self.is_there(&path, before, state, attributes, read.meta.mtime, look)
            }
            Err(_) if self.options.stop.load(Ordering::Relaxed) => Err(TwoWayError::Stopped),
            Err(trouble) => {
                self.observer.trouble(&path, &trouble);
                self.counts.unknown = self.counts.unknown.saturating_add(1);
                self.is_unknown(&path, before)
            }
        }
    }

    fn is_there(
        &mut self,
        path: &RelPath,
        before: Option<Known>,
        state: State,
        attributes: Attributes,
        mtime: FileTime,
        look: Look,
    ) -> Result<(), TwoWayError> {
        let none = Arc::new(Version::new());
        let (content, meta, sequence) = before.as_ref().map_or((none.clone(), none, None), |before| {
            (before.record.content.clone(), before.record.meta.clone(), Some(before.sequence))
        });
        let mut record = Record { state, attributes, mtime, content, meta };
        let found = difference(before.as_ref().map(|before| &before.record), &record);
        let is_marked = before.as_ref().is_some_and(|before| before.mark != Mark::None);
        let is_same_look = before.as_ref().is_some_and(|before| before.look == Some(look));
        if !found.news && !is_marked && is_same_look {
            return Ok(());
        }
        self.count_difference(path, found);
        if found.content {
            record.content = self.writer.edited(&record.content)?;
        }
        if found.attributes {
            record.meta = self.writer.edited(&record.meta)?;
        }
        let told = if found.news || is_marked { Told::Anew(sequence) } else { Told::Already };
        let known = Known { record, look: Some(look), sequence: sequence.unwrap_or(0), mark: Mark::None };
        self.writer.change()?.put(history::key(path), known, told)
    }

    fn count_difference(&mut self, path: &RelPath, found: Difference) {
        let count = match found {
            _ if path.is_root() => return,
            Difference { created: true, .. } => &mut self.counts.created,
            Difference { content: true, .. } => &mut self.counts.edited,
            Difference { attributes: true, .. } => &mut self.counts.attributes,
            Difference { news: true, .. } => &mut self.counts.touched,
            _ => return,
        };
        *count = count.saturating_add(1);
    }

    fn is_gone(&mut self, path: &RelPath, before: Option<Known>) -> Result<(), TwoWayError> {
        let Some(Known { mut record, sequence, .. }) = before else { return Ok(()) };
        // What was never known, or is gone already and only was kept, is no removal of this replica's.
        if !matches!(record.state, State::Absent | State::Unknown) {
            self.counts.gone = self.counts.gone.saturating_add(1);
            let is_file = matches!(record.state, State::File { .. });
            self.counts.gone_files = self.counts.gone_files.saturating_add(u64::from(is_file));
            record.content = self.writer.edited(&record.content)?;
            record.mtime = self.options.now;
        }
        record.state = State::Absent;
        let known = Known { record, look: None, sequence, mark: Mark::None };
        self.writer.change()?.put(history::key(path), known, Told::Anew(Some(sequence)))
    }

    fn is_unknown(&mut self, path: &RelPath, before: Option<Known>) -> Result<(), TwoWayError> {
        let sequence = before.as_ref().map(|before| before.sequence);
        let known = match before {
            Some(before) if before.mark != Mark::None => return Ok(()),
            Some(before) => Known { mark: Mark::Unknown, ..before },
            None => Known {
                record: Record {
                    state: State::Unknown,
                    attributes: Attributes { mode: 0, owner: (None, None) },
                    mtime: FileTime::zero(),
                    content: Arc::new(Version::new()),
                    meta: Arc::new(Version::new()),
                },
                look: None,
                sequence: 0,
                mark: Mark::Unknown,
            },
        };
        self.writer.change()?.put(history::key(path), known, Told::Anew(sequence))
    }
}
