//! From what was found at a path to its record, and into the history.

use crate::tree::{Kind, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::facet::{Extended, Facet, Register, Seen};
use crate::twoway::history::{self, Change, History, Known, Look, Told};
use crate::twoway::record::{Attributes, Record, State};
use crate::twoway::scan::compare::{Difference, difference};
use crate::twoway::scan::hash::Outcome;
use crate::twoway::scan::names::{self, Decided, Named};
use crate::twoway::scan::{Counts, Findings, Observer, ScanOptions, Trouble};
use crate::twoway::version::Version;
use crossbeam_channel::Receiver;
use filetime::FileTime;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How many findings may wait for a file to be read.
const WAITING: usize = 4096;

/// What becomes of findings. They are written in the order in which they are found, so those after a file that is still
/// being read wait for it.
pub(super) struct Settling<'a, 'h> {
    options: &'a ScanOptions<'a>,
    observer: &'a mut dyn Observer,
    writer: Writer<'h>,
    waiting: VecDeque<Finding>,
    /// The names of files that have several, or had.
    names: Vec<Named>,
    pub counts: Counts,
}

/// A path and what was found there.
pub(super) struct Finding {
    pub path: RelPath,
    pub before: Option<Known>,
    pub found: Found,
}

pub(super) enum Found {
    /// Of a file, the outcome of reading it, and whether it has several names.
    Reading(Receiver<Outcome>, bool),
    /// What is there.
    There(There),
    /// Nothing is, any more.
    Gone,
    /// Something is that cannot be known.
    Unknown,
}

/// What is at a path.
pub(super) struct There {
    pub state: State,
    pub attributes: Attributes,
    pub mtime: FileTime,
    /// Whether it is a directory that holds what takes no part.
    pub occupied: bool,
    /// What was looked at of its facets.
    pub seen: Seen,
    /// Whether it may be a file with several names.
    pub is_linked: bool,
    pub look: Look,
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
            None => self.change()?.generation(history::new_tag()?),
        };
        self.generation = Some(generation);
        let author = self.change()?.author();
        Ok(Arc::new(version.edited(author, generation)))
    }
}

impl<'a, 'h> Settling<'a, 'h> {
    pub(super) fn new(
        history: &'h mut History,
        options: &'a ScanOptions<'a>,
        observer: &'a mut dyn Observer,
    ) -> Settling<'a, 'h> {
        let writer = Writer { history: Some(history), change: None, generation: None };
        Settling {
            options,
            observer,
            writer,
            waiting: VecDeque::new(),
            names: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Everything was found.
    pub(super) fn finish(mut self) -> Result<Findings<'h>, TwoWayError> {
        while self.settle_first()? {}
        self.settle_names()?;
        self.progress();
        Ok(Findings { change: self.writer.change, counts: self.counts })
    }

    pub(super) fn progress(&mut self) {
        self.observer.progress(&self.counts);
    }

    /// Tells of something that does not go by a record of its own.
    pub(super) fn tell(&mut self, path: &RelPath, trouble: &Trouble) {
        self.observer.trouble(path, trouble);
    }

    /// Tells that what is at a path is not known.
    pub(super) fn trouble(&mut self, path: &RelPath, trouble: &Trouble) {
        self.tell(path, trouble);
        self.counts.unknown = self.counts.unknown.saturating_add(1);
    }

    /// Takes a finding, after those before it.
    pub(super) fn take(&mut self, finding: Finding) -> Result<(), TwoWayError> {
        if self.waiting.is_empty() && !matches!(finding.found, Found::Reading(..)) {
            return self.settle(finding);
        }
        self.waiting.push_back(finding);
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
    fn settle(&mut self, finding: Finding) -> Result<(), TwoWayError> {
        let Finding { path, before, found } = finding;
        match found {
            Found::Reading(outcome, is_linked) => {
                let outcome = outcome.recv().unwrap_or(Err(Trouble::Changing));
                self.was_read(path, before, (outcome, is_linked))
            }
            Found::There(there) => self.is_there(&path, before, there),
            Found::Gone => self.is_gone(&path, before),
            Found::Unknown => self.is_unknown(&path, before),
        }
    }

    fn was_read(
        &mut self,
        path: RelPath,
        before: Option<Known>,
        (outcome, is_linked): (Outcome, bool),
    ) -> Result<(), TwoWayError> {
        match outcome {
            Ok(read) => {
                let size = read.stamp.size;
                self.counts.read = self.counts.read.saturating_add(1);
                self.counts.read_bytes = self.counts.read_bytes.saturating_add(size);
                let state = State::File { sum: read.sum, size };
                let record = before.as_ref().map(|before| &before.record);
                let attributes = self.options.attributes(Kind::File, &read.meta, record);
                let facets = read.seen.keys().copied().collect();
                let look = self.options.look(read.stamp, before.as_ref(), facets);
                let (mtime, seen) = (read.meta.mtime, read.seen);
                let occupied = false;
                let there = There { state, attributes, mtime, occupied, seen, is_linked, look };
                self.is_there(&path, before, there)
            }
            Err(_) if self.options.stop.load(Ordering::Relaxed) => Err(TwoWayError::Stopped),
            Err(trouble) => {
                self.trouble(&path, &trouble);
                self.is_unknown(&path, before)
            }
        }
    }

    fn is_there(&mut self, path: &RelPath, before: Option<Known>, there: There) -> Result<(), TwoWayError> {
        let There { state, mut attributes, mut mtime, occupied, mut seen, is_linked, look } = there;
        if let Some(before) = &before
            && self.options.unfinished.is_some_and(|unfinished| unfinished.contains(path))
        {
            (attributes, mtime) = (before.record.attributes, before.record.mtime);
            seen.clear();
        } else if self.options.facets.contains(Facet::Links) {
            let known = before.as_ref().filter(|before| before.record.state.is_like(&state));
            match Named::new(path, known, &look.stamp, is_linked) {
                Some(named) => self.names.push(named),
                None => drop(seen.insert(Facet::Links, None)),
            }
        }
        let none = Arc::new(Version::new());
        // What is written down may be finer than the times that the file system keeps.
        let is_same_stamp = |before: &&Known| before.look.is_some_and(|known| known.stamp == look.stamp);
        let mtime = before.as_ref().filter(is_same_stamp).map_or(mtime, |before| before.record.mtime);
        let (content, meta, sequence) = before.as_ref().map_or((none.clone(), none, None), |before| {
            (before.record.content.clone(), before.record.meta.clone(), Some(before.sequence))
        });
        let extended =
            before.as_ref().map_or_else(Extended::default, |before| before.record.extended.clone());
        let is_like = |before: &Known| before.record.state.is_like(&state);
        let edited = extended.edited(&seen, !before.as_ref().is_some_and(is_like));
        let mut record = Record { state, attributes, mtime, content, meta, extended, occupied };
        for (facet, sum) in seen {
            let version = record.extended.get(facet).map_or_else(Arc::default, |known| known.version.clone());
            let version = if edited.contains(facet) { self.writer.edited(&version)? } else { version };
            record.extended.set(facet, Register { sum, version });
        }
        let found = difference(before.as_ref().map(|before| &before.record), &record);
        let was_unknown = before.as_ref().is_some_and(|before| before.is_unknown);
        let is_same_look = before.as_ref().is_some_and(|before| before.look == Some(look));
        if !found.news && !was_unknown && is_same_look {
            return Ok(());
        }
        self.count_difference(path, found, !edited.is_empty());
        if found.content {
            record.content = self.writer.edited(&record.content)?;
        }
        if found.attributes {
            record.meta = self.writer.edited(&record.meta)?;
        }
        let told = if found.news || was_unknown { Told::Anew(sequence) } else { Told::Already };
        let known = Known { record, look: Some(look), sequence: sequence.unwrap_or(0), is_unknown: false };
        self.writer.change()?.put(history::key(path), known, told)
    }

    /// Finds out which names are one file, which is known when all have been seen.
    fn settle_names(&mut self) -> Result<(), TwoWayError> {
        let names = std::mem::take(&mut self.names);
        let decided = names::identities(&names);
        let news = names.into_iter().zip(decided).filter(|(named, decided)| named.is_news(decided));
        let (keys, decided): (Vec<Vec<u8>>, Vec<Decided>) =
            news.map(|(named, decided)| (history::key(&named.path), decided)).unzip();
        if keys.is_empty() {
            return Ok(());
        }
        let known = self.writer.change()?.known(&keys)?;
        for ((key, Decided { identity, found }), known) in keys.into_iter().zip(decided).zip(known) {
            let Some(mut known) = known else { continue };
            let before = known.record.extended.get(Facet::Links);
            let version = before.map_or_else(Arc::default, |register| register.version.clone());
            // What was removed and made again may be known of from before.
            let is_other = before.is_some_and(|before| before.sum != identity);
            let is_edit = found == names::Found::Edited || (found == names::Found::Same && is_other);
            let version = match found {
                _ if is_edit => self.writer.edited(&version)?,
                names::Found::Same | names::Found::Edited => version,
                // Whatever anybody has takes its place.
                names::Found::Parted => Arc::default(),
            };
            self.counts.attributes = self.counts.attributes.saturating_add(u64::from(is_edit));
            known.record.extended.set(Facet::Links, Register { sum: identity, version });
            let told = Told::Anew(Some(known.sequence));
            self.writer.change()?.put(key, known, told)?;
        }
        Ok(())
    }

    fn count_difference(&mut self, path: &RelPath, found: Difference, edited_facets: bool) {
        let count = match found {
            _ if path.is_root() => return,
            Difference { created: true, .. } => &mut self.counts.created,
            Difference { content: true, .. } => &mut self.counts.edited,
            Difference { attributes: true, .. } => &mut self.counts.attributes,
            _ if edited_facets => &mut self.counts.attributes,
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
        record.occupied = false;
        let known = Known { record, look: None, sequence, is_unknown: false };
        self.writer.change()?.put(history::key(path), known, Told::Anew(Some(sequence)))
    }

    fn is_unknown(&mut self, path: &RelPath, before: Option<Known>) -> Result<(), TwoWayError> {
        let sequence = before.as_ref().map(|before| before.sequence);
        let known = match before {
            Some(before) if before.is_unknown => return Ok(()),
            Some(before) => Known { is_unknown: true, ..before },
            None => Known {
                record: Record {
                    state: State::Unknown,
                    attributes: Attributes { mode: 0, owner: (None, None) },
                    mtime: FileTime::zero(),
                    content: Arc::new(Version::new()),
                    meta: Arc::new(Version::new()),
                    extended: Extended::default(),
                    occupied: false,
                },
                look: None,
                sequence: 0,
                is_unknown: true,
            },
        };
        self.writer.change()?.put(history::key(path), known, Told::Anew(sequence))
    }
}
