//! Taking the content of a new file from the file here that has it: as a copy, or by giving that the new name.
//!
//! Which of the two it is makes no difference to what is there in the end, but for the inode: a file is renamed only
//! where nobody could tell it from one newly made. One that has other names, or attributes that a new file would not
//! have, is copied, and so is whatever cannot be renamed.

use crate::delta::{Digest, Digester};
use crate::fs::{Error, Expected, Look, ReadFile, SetMeta, Slot, Stamp, WriteDir, crash};
use crate::pass::PassError;
use crate::pass::decide::{SetXattrs, Update};
use crate::pass::sink::Sink;
use crate::pass::sink::entry::count_transfer;
use crate::pass::sink::flights::{Flight, Phase};
use crate::pass::sink::landings::{Identity, Landing};
use crate::pass::sink::moved::Waiting;
use crate::report::{Action, Event};
use crate::tree::{Entry, Kind, Meta, Name, RelPath};
use crate::wire::{FileId, Identified};
use filetime::FileTime;
use std::io;

const TAKING: &str = "copying from a file here";

/// A file here that has the content of a new one.
struct Found {
    path: RelPath,
    open: ReadFile,
    digest: Digest,
    /// Whether it has other names besides.
    is_linked: bool,
}

/// What became of a name that is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pass::sink) enum Away {
    /// It is still there.
    Still,
    /// The file has another name.
    Gone,
    /// It is still there and stays, since what was to be taken from it could not be; that was told.
    Needed,
}

impl Sink<'_> {
    /// The source has told which content a new file has.
    pub(in crate::pass::sink) fn identified(
        &self,
        Identified { file, digest }: Identified,
    ) -> Result<(), PassError> {
        let flight = self.flights.answered(file, Phase::Identifying)?;
        let size = flight.entry.node.size();
        let found = digest.and_then(|digest| {
            flight.candidates.iter().find_map(|path| self.has_content(path, size, digest))
        });
        let done = match found {
            Some(found) => self.take_from(file, &flight, &found),
            None => self.send_after_all(file, &flight),
        };
        self.moves.disengage(&flight.candidates);
        done
    }

    /// Opens a file here, if it has this content.
    fn has_content(&self, path: &RelPath, size: u64, digest: Digest) -> Option<Found> {
        let (above, name) = path.split_last()?;
        let dir = self.counterpart_at(&above).ok()?;
        let open = dir.open_file(&name).ok().filter(|open| open.len() == size)?;
        let is_linked = dir.dir()?.stamp_of_linked(&name).ok()?.is_some();
        let is_it = self.digest(&open).is_ok_and(|here| here == digest) && !open.changed().ok()?;
        is_it.then(|| Found { path: path.clone(), open, digest, is_linked })
    }

    fn digest(&self, open: &ReadFile) -> io::Result<Digest> {
        let mut digester = Digester::new(self.context.sums.seed);
        self.read_whole(open, |piece| digester.push(piece))?;
        Ok(digester.finish())
    }

    /// Takes a new file from what was found, or has it wait until it is known whether that gives up its name.
    fn take_from(&self, file: FileId, flight: &Flight, found: &Found) -> Result<(), PassError> {
        let Flight { path, entry, .. } = flight;
        let mut update = flight.update;
        update.change.action = Action::Copied;
        let told = self.told_of(path.clone(), entry, &update, found);
        if self.dry_run() {
            self.announcer.fill(file, told);
            self.count_created(Kind::File);
            self.pass_by(entry);
            return self.land(file, flight, Landing::There(None));
        }
        if self.may_wait(flight, found) {
            let waiting = self.waiting(flight, update, found)?;
            self.moves.wait_for(&found.path, waiting);
            self.announcer.fill(file, told);
            self.settle_progress(1, entry.node.size());
            self.clear_unwritten(flight)?;
            self.clear_partial(flight)?;
            return self.land(file, flight, Landing::Failed);
        }
        let copied = match self.directories.writable(self, flight.dir)? {
            Ok(dir) => {
                self.directories.touch(flight.dir);
                self.copy_found_here(&dir, flight, &update, &found.open)?
            }
            Err(error) => Err(error),
        };
        let landing = match copied {
            Ok(Some(identity)) => Landing::There(Some(identity)),
            // It has become another version.
            Ok(None) => return self.send_after_all(file, flight),
            Err(error) => {
                self.announcer.fill(file, None);
                self.tally.failed(path, &error);
                self.settle_progress(1, entry.node.size());
                return self.land(file, flight, Landing::Failed);
            }
        };
        self.announcer.fill(file, told);
        self.count_taken(entry);
        self.settle_progress(1, entry.node.size());
        if !self.delays() {
            self.clear_partial(flight)?;
        }
        if update.xattrs == SetXattrs::Fetch {
            self.landed(entry, landing);
            return self.fetch_xattrs_of(file, Flight { update, ..flight.clone() }, update);
        }
        self.land(file, flight, landing)
    }

    /// What there is to tell of a file that is taken from another.
    fn told_of(&self, path: RelPath, entry: &Entry, update: &Update, found: &Found) -> Option<Event> {
        let sum = self.plain_sum_of(|buffer, offset| found.open.read_full_at(buffer, offset));
        match self.item_of_known(path, &entry.node, &entry.meta, update, sum)? {
            Event::Item(mut item) => {
                item.leader = Some(found.path.clone());
                Some(Event::Item(item))
            }
            other => Some(other),
        }
    }

    /// Whether a file may wait for the name of the one that was found. What the source still has to be asked for cannot
    /// come later, a backup keeps the old file, and others are linked to the first name of a group.
    fn may_wait(&self, flight: &Flight, found: &Found) -> bool {
        let options = &self.context.options;
        let deletes = options.delete.is_some() && options.backup.is_none();
        let stays = || self.with_index(|index| index.is_kept(&found.path));
        deletes
            && flight.update.xattrs != SetXattrs::Fetch
            && !self.may_be_linked(&flight.entry)
            && !found.is_linked
            && !stays()
    }

    fn waiting(&self, flight: &Flight, update: Update, found: &Found) -> Result<Waiting, PassError> {
        let (dir, keeps_time) =
            self.directories.with(flight.dir, |dir| (dir.path.clone(), dir.keeps_time))?;
        Ok(Waiting {
            dir,
            name: flight.name.clone(),
            entry: flight.entry.clone(),
            update,
            keeps_time,
            stamp: found.open.stamp(),
            digest: found.digest,
        })
    }

    /// The content is not here: asks for it, like for that of any new file.
    fn send_after_all(&self, file: FileId, flight: &Flight) -> Result<(), PassError> {
        let Flight { path, entry, update, .. } = flight;
        self.announcer.fill(file, self.item(path.clone(), &entry.node, &entry.meta, update));
        if self.dry_run() {
            count_transfer(self, entry, update.change.new);
            return self.land(file, flight, Landing::There(None));
        }
        let has_basis =
            flight.leftover || flight.partial || flight.like.is_some() || flight.namesake.is_some();
        let with_basis = has_basis && !self.context.whole_file();
        let phase = if with_basis { Phase::Signing } else { Phase::Fetching };
        self.flights.replace(file, Flight { phase, ..flight.clone() });
        if with_basis { self.ask_with_basis(file) } else { self.ask(file, flight.dir, flight.index) }
    }

    fn copy_found_here(
        &self,
        dir: &WriteDir,
        flight: &Flight,
        update: &Update,
        open: &ReadFile,
    ) -> Result<Result<Option<Identity>, Error>, PassError> {
        let copied = self.copied(dir, &flight.name, open);
        let stage = match copied {
            Ok(Some(stage)) => stage,
            Ok(None) => return Ok(Ok(None)),
            Err(error) => return Ok(Err(error)),
        };
        let dressed = stage.stamp().map(|stamp| {
            let set = self.dress(&stage, (&flight.path, &flight.entry), update);
            ((stamp.dev, stamp.ino), set)
        });
        Ok(match dressed {
            Ok((identity, set)) => self.delay(flight, stage, &set)?.map(|()| Some(identity)),
            Err(error) => Err(error),
        })
    }

    /// A file was made without its content having travelled.
    fn count_taken(&self, entry: &Entry) {
        self.tally.count(|totals| {
            totals.created.add(Kind::File);
            totals.matched = totals.matched.saturating_add(entry.node.size());
        });
    }

    /// A name is about to be deleted: what waits for it gets it, or else a copy of the file.
    pub(in crate::pass::sink) fn take_away(&self, dir: &WriteDir, path: &RelPath, name: &Name) -> Away {
        let mut waiting = self.moves.take_waiting(path);
        let Some(heir) = waiting.pop() else { return Away::Still };
        let mut all_copied = true;
        for other in &waiting {
            all_copied &= self.copy_late(path, other);
        }
        if all_copied && self.rename_late(dir, name, &heir) {
            return Away::Gone;
        }
        all_copied &= self.copy_late(path, &heir);
        if all_copied { Away::Still } else { Away::Needed }
    }

    /// Gives a file the name that waits for it. `false` if that is better done by a copy; then nothing has changed.
    fn rename_late(&self, dir: &WriteDir, name: &Name, heir: &Waiting) -> bool {
        let done = self.in_finished(&heir.dir, heir.keeps_time, |to| {
            let Some(seen) = dir.stamped(name)? else { return Ok(false) };
            let is_it = seen.stamp == heir.stamp && seen.entry.inode().is_none();
            if !is_it || !self.is_like_new(dir, &seen.entry, to, &heir.update)? {
                return Ok(false);
            }
            let expected = self.narrowed(dir, (name, &seen.entry.meta), seen.stamp, &heir.update.set)?;
            crash::point("narrowed");
            let (from, slot) = (Slot { dir, name }, Slot { dir: to, name: &heir.name });
            let trash = || Err(Error { doing: "renaming", source: io::ErrorKind::Unsupported.into() });
            let renamed = from.rename(&Expected::Version(expected), slot, trash);
            if !matches!(renamed, Ok(Some(_))) {
                let mode = Some(seen.entry.meta.mode);
                // If it is another one by now, it is none of this run's.
                let _ = dir.set_meta(name, Kind::File, &SetMeta { mode, ..SetMeta::default() });
                return Ok(false);
            }
            self.dress_renamed(to, heir);
            crash::point("dressed");
            dir.sync_names()?;
            Ok(true)
        });
        let is_done = done.unwrap_or(false);
        if is_done {
            self.count_taken(&heir.entry);
        }
        is_done
    }

    /// Whether a file is as one that is newly made would be, but for what is set in any case.
    fn is_like_new(
        &self,
        dir: &WriteDir,
        file: &Entry,
        to: &WriteDir,
        update: &Update,
    ) -> Result<bool, Error> {
        let owners = self.owners.owners();
        let (above, meta) = (to.own_meta()?, &file.meta);
        let inherits = above.mode & 0o2000 != 0;
        let group = if inherits { above.gid } else { owners.effective_group() };
        let is_owner = update
            .set
            .owner
            .map_or(owners.effective_user() == meta.uid, |owner| owner == meta.uid || owners.is_root());
        let is_group = update.set.group.is_some() || group == meta.gid;
        let look = Look { acls: true, xattrs: Some(self.all_names().clone()), atimes: false };
        Ok(is_owner
            && is_group
            && dir.extra(&file.name, Kind::File, &look)?.is_none()
            && to.default_acl()?.is_none())
    }

    /// Takes the rights from a file that it is not to have under its new name. Returns its stamp.
    fn narrowed(
        &self,
        dir: &WriteDir,
        (name, meta): (&Name, &Meta),
        stamp: Stamp,
        set: &SetMeta,
    ) -> Result<Stamp, Error> {
        let mode = set.mode.map_or(meta.mode, |mode| meta.mode & mode);
        if mode == meta.mode {
            return Ok(stamp);
        }
        dir.set_meta(name, Kind::File, &SetMeta { mode: Some(mode), ..SetMeta::default() })?;
        let now = dir.stamped(name)?.map(|seen| seen.stamp);
        Ok(now.filter(|now| Stamp { ctime: stamp.ctime, ..*now } == stamp).unwrap_or(stamp))
    }

    /// Gives a file that has its new name its attributes.
    fn dress_renamed(&self, to: &WriteDir, Waiting { dir, name, entry, update, .. }: &Waiting) {
        let path = dir.join(name);
        let mtime = update.set.mtime.or_else(|| Some(FileTime::now()));
        let set = SetMeta { mtime, ..update.set };
        let rest = self.set_owner_first(&path, &set, |owner| to.set_meta(name, Kind::File, owner));
        let extended = self.extended(entry.acls(), update, None);
        self.set_extended(&path, &extended, |extended| to.set_extended(name, Kind::File, extended));
        if let Err(error) = to.set_meta(name, Kind::File, &rest) {
            self.tally.failed(&path, &error);
        }
    }

    /// Copies a file to where it was waited for. Returns whether that is done; if not, it is told.
    pub(super) fn copy_late(&self, path: &RelPath, waiting: &Waiting) -> bool {
        let Waiting { dir, name, entry, update, .. } = waiting;
        let to = dir.join(name);
        let done = self.reopened_for(path, waiting).and_then(|open| {
            self.in_finished(dir, waiting.keeps_time, |here| {
                let stage = self.copied(here, name, &open)?.ok_or_else(changed)?;
                let set = self.dress(&stage, (&to, entry), update);
                stage.install(&set)
            })
        });
        match done {
            Ok(()) => self.count_taken(entry),
            Err(error) => {
                self.tally.failed(&to, &error);
                return false;
            }
        }
        true
    }

    /// Opens a file that has, or had, the content that is waited for.
    fn reopened_for(&self, path: &RelPath, waiting: &Waiting) -> Result<ReadFile, Error> {
        let open = self.open_here(path)?;
        let has_content = || {
            let summed = self.digest(&open).map_err(|source| Error { doing: TAKING, source })?;
            Ok(open.len() == waiting.entry.node.size() && summed == waiting.digest)
        };
        if open.stamp() == waiting.stamp || has_content()? { Ok(open) } else { Err(changed()) }
    }
}

fn changed() -> Error {
    let why = "the file here that had its content changed during the run; run again";
    Error { doing: TAKING, source: io::Error::other(why) }
}
