//! Small files without a basis, and attributes of what needs no content: asked for and written many at a time.
//!
//! The comparison gathers them, directory by directory, and asks for them in batches. They arrive whole, in the order
//! in which they were asked for, and each is written, given its attributes and renamed in one go. What cannot be done
//! so is asked for by itself, like any other file.

use crate::delta::SegmentSums;
use crate::fs::{Error, WriteDir, WriteFile};
use crate::pass::PassError;
use crate::pass::decide::Update;
use crate::pass::sink::Sink;
use crate::pass::sink::backup::Fate;
use crate::pass::sink::bases::Found;
use crate::pass::sink::compare::Current;
use crate::pass::sink::confirm::Listed;
use crate::pass::sink::extended::attached;
use crate::pass::sink::flights::{Flight, Phase};
use crate::pass::sink::landings::Landing;
use crate::pass::sink::sign::Job;
use crate::pass::sink::tell::Late;
use crate::tree::{Entry, Name, RelPath, Xattrs};
use crate::wire::{
    BATCH_FILES, BatchId, DirId, Fetch, FetchWhat, Fetched, FetchedFile, Message, decode_attached,
};
use bytes::Bytes;
use crossbeam_channel::Sender;
use std::sync::Arc;
use std::vec::IntoIter;

/// A batch is asked for once it holds this many bytes.
const FULL: u64 = 256 << 10;

/// A file whose content is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Its place in the source's listing.
    pub index: u32,
    /// What the source listed, with this host's owners.
    pub entry: Entry,
    /// What is here.
    pub own: Option<Entry>,
    /// What is like it elsewhere, if it is not here.
    pub found: Option<Found>,
    /// Where there is a file that it is much like, if that was planned.
    pub like: Option<RelPath>,
    pub update: Update,
}

impl Wanted {
    pub(super) fn flight(
        self,
        dir: DirId,
        path: &RelPath,
        renamed: Option<&Name>,
        leftover: bool,
        phase: Phase,
    ) -> Flight {
        let Wanted { index, entry, own, found, update, .. } = self;
        let path = path.join(&entry.name);
        let name = renamed.unwrap_or(&entry.name).clone();
        let (partial, appended_to, like, namesake, candidates) = (false, 0, None, None, Arc::default());
        Flight {
            dir,
            index,
            name,
            path,
            entry,
            own,
            found,
            update,
            leftover,
            partial,
            appended_to,
            like,
            namesake,
            candidates,
            phase,
        }
    }
}

/// A batch on its way.
#[derive(Debug)]
pub(super) struct Batch {
    /// The directory in which this is to be settled.
    pub dir: DirId,
    /// The directory's path, as the user knows it.
    pub path: RelPath,
    pub asked: Asked,
    /// What has not arrived.
    pub files: IntoIter<Wanted>,
}

/// What was asked for in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// Small files.
    Content,
    /// The extended attributes of entries.
    Xattrs,
    /// Those of the directory itself, which is one more than its files.
    OwnXattrs,
}

impl Batch {
    /// How many things have not arrived.
    pub(super) fn expected(&self) -> usize {
        self.files.len() + usize::from(self.asked == Asked::OwnXattrs)
    }
}

/// Files of one directory that are going to be a batch.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    files: Vec<Wanted>,
    bytes: u64,
    /// Those of which only the extended attributes are wanted.
    xattrs: Vec<Wanted>,
}

impl Gathering {
    pub(super) fn add(&mut self, wanted: Wanted) {
        self.bytes = self.bytes.saturating_add(wanted.entry.node.size());
        self.files.push(wanted);
    }

    pub(super) fn add_xattrs(&mut self, wanted: Wanted) {
        self.xattrs.push(wanted);
    }

    pub(super) fn is_full(&self) -> bool {
        self.files.len() >= BATCH_FILES || self.bytes >= FULL || self.xattrs.len() >= BATCH_FILES
    }
}

impl Sink<'_> {
    /// Asks for what was gathered of a directory, if anything.
    pub(super) fn fetch(&self, current: &mut Current) -> Result<(), PassError> {
        let Gathering { files, xattrs, .. } = std::mem::take(&mut current.gathering);
        self.fetch_xattrs(current.id, &current.path, xattrs)?;
        if files.is_empty() {
            return Ok(());
        }
        let dir = current.id;
        let indices = files.iter().map(|file| file.index).collect();
        self.directories.with(dir, |dir| dir.unsettled += files.len() as u64)?;
        let files = files.into_iter();
        let batch = Batch { dir, path: current.path.clone(), asked: Asked::Content, files };
        let batch = self.flights.start_batch(batch)?;
        Ok(self.sender.send(Message::Fetch(Fetch { batch, dir, indices, what: FetchWhat::Content }))?)
    }

    /// Writes what has come of a batch.
    pub(super) fn fetched(&self, fetched: Fetched, signing: &Sender<Job>) -> Result<(), PassError> {
        let Fetched { batch: id, files, data, .. } = fetched;
        let batch = self.flights.take(id)?;
        if files.is_empty() || files.len() > batch.expected() {
            return Err(NOT_ASKED_FOR);
        }
        match batch.asked {
            Asked::Content => self.fetched_content(id, batch, (files, data), signing),
            Asked::Xattrs | Asked::OwnXattrs => self.fetched_xattrs(id, batch, (files, data)),
        }
    }

    /// Sets extended attributes that have come by themselves.
    fn fetched_xattrs(
        &self,
        id: BatchId,
        mut batch: Batch,
        (files, mut data): (Vec<FetchedFile>, Bytes),
    ) -> Result<(), PassError> {
        let (dir, settled) = (batch.dir, files.len() as u64);
        for file in files {
            let xattrs = match file {
                FetchedFile::Xattrs { .. } => Some(take_attached(file, &mut data)?),
                FetchedFile::Unreadable => None,
                FetchedFile::Whole { .. } | FetchedFile::Longer => return Err(NOT_ASKED_FOR),
            };
            match (batch.files.next(), xattrs) {
                (Some(wanted), Some(xattrs)) => {
                    self.set_xattrs(dir, (&batch.path, &wanted.entry), &xattrs)?;
                    self.confirm(Listed { dir, index: wanted.index }, &wanted.entry)?;
                }
                (None, Some(xattrs)) => self.set_own_xattrs(dir, &batch.path, &xattrs)?,
                (_, None) => {}
            }
        }
        if batch.files.len() == 0 {
            batch.asked = Asked::Xattrs;
        }
        self.flights.land_batch(id, batch, settled);
        self.directories.settle(self, dir, settled)
    }

    /// Writes files that have come.
    fn fetched_content(
        &self,
        id: BatchId,
        mut batch: Batch,
        (files, mut data): (Vec<FetchedFile>, Bytes),
        signing: &Sender<Job>,
    ) -> Result<(), PassError> {
        self.directories.touch(batch.dir);
        let writing =
            Writing { sink: self, path: &batch.path, dir: self.directories.writable(self, batch.dir)? };
        let mut done = Done::default();
        let mut alone = Vec::new();
        let mut written = Vec::new();
        for (file, wanted) in files.into_iter().zip(batch.files.by_ref()) {
            let is_done = match file {
                FetchedFile::Whole { len, sum, .. } => {
                    let xattrs = take_attached(file, &mut data)?;
                    let content = take(&mut data, len)?;
                    let sums = self.context.sums;
                    let is_right = sum.is_none_or(|sum| SegmentSums::of(sums, &content).root(sums) == sum);
                    let before = done.written;
                    let is_done = is_right && writing.write(&wanted, &content, &xattrs, &mut done);
                    if self.confirms() && done.written > before {
                        written.push((wanted.index, wanted.entry.clone()));
                    }
                    is_done
                }
                FetchedFile::Xattrs { .. } => return Err(NOT_ASKED_FOR),
                FetchedFile::Longer => false,
                FetchedFile::Unreadable => {
                    self.landed(&wanted.entry, Landing::Failed);
                    true
                }
            };
            if is_done {
                done.files += 1;
                done.size = done.size.saturating_add(wanted.entry.node.size());
            } else {
                alone.push(wanted);
            }
        }
        self.count(&done);
        for wanted in alone {
            let flight = wanted.flight(batch.dir, &batch.path, None, false, Phase::Fetching);
            let file = self.flights.single_out(flight);
            signing.send(Job::Ask(file)).map_err(|_| PassError::Lost)?;
        }
        let dir = batch.dir;
        written.into_iter().try_for_each(|(index, entry)| self.confirm(Listed { dir, index }, &entry))?;
        self.flights.land_batch(id, batch, done.files);
        self.directories.settle(self, dir, done.files)
    }

    fn count(&self, done: &Done) {
        self.tally.count(|totals| {
            totals.created.files = totals.created.files.saturating_add(done.new);
            totals.transferred = totals.transferred.saturating_add(done.written);
            totals.transferred_size = totals.transferred_size.saturating_add(done.literal);
            totals.literal = totals.literal.saturating_add(done.literal);
        });
        self.settle_progress(done.files, done.size);
    }
}

const NOT_ASKED_FOR: PassError = PassError::Protocol("content that was not asked for");

/// The next so many bytes of what came.
fn take(data: &mut Bytes, len: u32) -> Result<Bytes, PassError> {
    let len = len as usize;
    if len > data.len() { Err(NOT_ASKED_FOR) } else { Ok(data.split_to(len)) }
}

/// The extended attributes of what came.
fn take_attached(file: FetchedFile, data: &mut Bytes) -> Result<Xattrs, PassError> {
    match attached(file) {
        0 => Ok(Xattrs::NONE),
        len => decode_attached(take(data, len)?).map_err(|_| NO_ATTRIBUTES),
    }
}

pub(super) const NO_ATTRIBUTES: PassError = PassError::Protocol("extended attributes that no entry can have");

/// What became of the files of a batch that came together.
#[derive(Debug, Default)]
struct Done {
    /// How many are settled.
    files: u64,
    /// Their bytes, as they were listed.
    size: u64,
    written: u64,
    /// How many of those were not there before.
    new: u64,
    /// Bytes written.
    literal: u64,
}

impl Done {
    /// A file was written.
    fn count(&mut self, wanted: &Wanted, content: &[u8]) {
        self.written += 1;
        self.new += u64::from(wanted.update.change.new);
        self.literal = self.literal.saturating_add(content.len() as u64);
    }
}

/// Writes files of one directory.
struct Writing<'a> {
    sink: &'a Sink<'a>,
    path: &'a RelPath,
    dir: Result<WriteDir, Error>,
}

impl Writing<'_> {
    /// Writes a file, or tells why it cannot be. `false` if it is to be asked for by itself.
    fn write(&self, wanted: &Wanted, content: &[u8], xattrs: &Xattrs, done: &mut Done) -> bool {
        let tell = |error: &Error| self.sink.tally.failed(&self.path.join(&wanted.entry.name), error);
        let extended = self.sink.extended(wanted.entry.acls(), &wanted.update, Some(xattrs));
        let Wanted { entry: Entry { name, .. }, own, update, .. } = wanted;
        if let (Some(agenda), Ok(dir)) = (self.sink.goal.agenda(), &self.dir) {
            let path = self.path.join(name);
            if self.sink.install_planned((&path, name), dir, |place| agenda.write(place, content)) {
                done.count(wanted, content);
            }
            return true;
        }
        let (mut no_owner, mut not_extended, mut identity) = (None, None, None);
        let is_linked = self.sink.may_be_linked(&wanted.entry);
        let mut set = |file: &WriteFile| {
            if is_linked {
                identity = file.stamp().ok().map(|stamp| (stamp.dev, stamp.ino));
            }
            let (owner, rest) = file.lacking(&update.set)?.split_owner();
            no_owner = file.set_meta(&owner).err();
            if extended.is_empty() {
                return file.set_meta(&rest);
            }
            not_extended = file.set_extended(&extended).err();
            // That may have changed the mode.
            file.set_meta(&file.lacking(&update.set.split_owner().1)?)
        };
        let written = match (&self.dir, update.set.mode) {
            (Ok(dir), Some(mode)) if own.is_none() => dir.write_new(name, content, mode, &mut set),
            (Ok(dir), _) => {
                let kept = match own {
                    Some(_) => self.sink.keep(self.path, dir, name, Fate::Replaced),
                    None => Ok(()),
                };
                kept.and_then(|()| dir.write_whole(name, content, set))
            }
            (Err(error), _) => {
                tell(error);
                self.sink.landed(&wanted.entry, Landing::Failed);
                return true;
            }
        };
        // What its owner could not be is told when it is written by itself.
        if matches!(written, Ok(false)) {
            return false;
        }
        no_owner.iter().for_each(tell);
        let path = || self.path.join(&wanted.entry.name);
        not_extended.iter().for_each(|error| self.sink.not_extended(&path(), error));
        let landing = match written {
            Ok(_) => {
                done.count(wanted, content);
                let late = Late { sent: content.len() as u64, sum: self.sink.plain_sum(content) };
                let Entry { node, meta, .. } = &wanted.entry;
                self.sink.tell_transferred(path, node, meta, update, late);
                Landing::of(identity)
            }
            Err(error) => {
                tell(&error);
                Landing::Failed
            }
        };
        self.sink.landed(&wanted.entry, landing);
        true
    }
}
