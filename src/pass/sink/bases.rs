//! Directories that are compared with besides the destination (`--compare-dest`, `--copy-dest`, `--link-dest`).
//!
//! They are opened once, by the rules for paths that a user names, and read like any tree: no symbolic link below them
//! is followed. A peer names none of them, since what comes from it is a path below the destination, and the directory
//! is chosen by its place in the list. Nothing in them is changed but for the number of names a file has.

use crate::fs::{Dir, Error, Linkable, Linked, ReadFile, Root, SetMeta, Stage, WriteDir};
use crate::pass::PassError;
use crate::pass::decide::{Likeness, SetXattrs, Update};
use crate::pass::sink::backup::Fate;
use crate::pass::sink::confirm::Listed;
use crate::pass::sink::entry::count_transfer;
use crate::pass::sink::flights::{Flight, Phase};
use crate::pass::sink::landings::{Identity, Landing};
use crate::pass::sink::{Goal, Sink};
use crate::pass::tally::describe;
use crate::report::{Event, Problem, ProblemClass, Role};
use crate::request::BasisKind;
use crate::tree::{Entry, Escaped, Name, RelPath};
use crate::view::keeping;
use crate::wire::{FileId, Verdict};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes copied at once, so that stopping the run need not wait for a huge file.
const PIECE: u64 = 64 << 20;

/// The directories, in the order in which they are searched.
#[derive(Debug)]
pub(super) struct Bases {
    pub kind: BasisKind,
    directories: Vec<Dir>,
    /// Whether it was told that a file could not be linked.
    refusal_told: AtomicBool,
}

/// An entry in one of them, under the path of an entry that is listed.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// The place of the directory in the list.
    pub basis: usize,
    /// What is there.
    pub entry: Entry,
}

/// What was made of a file that was found.
enum Taken {
    /// Another name of it.
    Linked(Identity),
    /// A copy.
    Copied(Identity),
    /// Nothing: it is not as it was.
    Not,
}

impl Bases {
    /// Those in which there is a directory of this path, with their places.
    pub(super) fn at(&self, path: &RelPath) -> Vec<(usize, Dir)> {
        let opened = |(place, dir): (usize, &Dir)| Some((place, dir.open_beneath(path).ok()?));
        self.directories.iter().enumerate().filter_map(opened).collect()
    }

    /// The same for the directory that a file in flight is in.
    fn dir_of(&self, flight: &Flight, basis: usize) -> Result<Dir, Error> {
        let dir = self.directories.get(basis).ok_or_else(Error::not_listed)?;
        let (parent, _) = flight.path.split_last().ok_or_else(Error::not_listed)?;
        dir.open_beneath(&parent)
    }

    /// Opens the file that was found for one in flight.
    pub(super) fn open(&self, flight: &Flight, found: &Found) -> Result<ReadFile, Error> {
        self.dir_of(flight, found.basis)?.open_file(&flight.name)
    }

    /// Opens another file of the directory that a file in flight is in, below the one in this place.
    pub(super) fn open_beside(&self, flight: &Flight, basis: usize, name: &Name) -> Result<ReadFile, Error> {
        self.dir_of(flight, basis)?.open_file(name)
    }
}

impl Sink<'_> {
    /// Opens the directories that were asked for. One that is not there is told and left out.
    pub(super) fn open_bases(&self, destination: Option<&Root>) -> Option<Bases> {
        let Goal::Destination(path) = &self.goal else { return None };
        let bases = self.context.options.bases.as_ref()?;
        let mut directories = Vec::new();
        for named in &bases.directories {
            match self.open_named(destination, path, named) {
                Ok(root) => directories.push(root.dir().clone()),
                Err(error) => {
                    let option = bases.kind.option();
                    if error.is_not_found() {
                        let text = format!("{option} arg does not exist: {}", Escaped(named));
                        self.announcer.say(Event::Notice(text));
                    } else {
                        let cause = format!("{option}: {}", describe(&error.source));
                        self.tally.report(Problem {
                            doing: error.doing.to_owned(),
                            path: named.clone(),
                            cause,
                            class: ProblemClass::Failed,
                            role: Role::Sink,
                        });
                    }
                }
            }
        }
        Some(Bases { kind: bases.kind, directories, refusal_told: AtomicBool::new(false) })
    }

    /// Opens a directory by its path from the destination, which need not be there in a dry run.
    fn open_named(&self, destination: Option<&Root>, path: &[u8], named: &[u8]) -> Result<Root, Error> {
        let opened = self.open_from(destination, path, named)?;
        Ok(opened.with_keeping(keeping(&self.context.options)))
    }

    fn open_from(&self, destination: Option<&Root>, path: &[u8], named: &[u8]) -> Result<Root, Error> {
        let os = OsStr::from_bytes;
        if let Some(root) = destination {
            return Root::open_from(root.dir(), os(named), self.context.paths);
        }
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last.saturating_add(1));
        let above = Root::open_parent(os(path.get(..end).unwrap_or_default()), self.context.paths)?;
        match (above, named.strip_prefix(b"../")) {
            (Some((above, _)), Some(rest)) if !rest.is_empty() => {
                Root::open_from(above.dir(), os(rest), self.context.paths)
            }
            _ => Root::open(os(named), self.context.paths),
        }
    }

    /// What the directories hold under the path of a directory's entry, and how like that it is.
    pub(super) fn found(&self, dirs: &[(usize, Dir)], entry: &Entry, name: &Name) -> Vec<(Likeness, Found)> {
        let may_set_group = self.may_set_group(entry.meta.gid);
        let look = |(basis, dir): &(usize, Dir)| {
            let mut found = dir.entry(name).ok()??;
            self.look_closer_in(dir, &mut found).ok()?;
            let likeness = self.policy().likeness(entry, &found, may_set_group)?;
            Some((likeness, Found { basis: *basis, entry: found }))
        };
        dirs.iter().filter_map(look).collect()
    }

    /// Makes `name` another name of what was found in `from`. `None` if that cannot be; the first time, why is told.
    pub(super) fn link_to(
        &self,
        dir: &WriteDir,
        name: &Name,
        from: &Dir,
        found: &Entry,
    ) -> Result<Option<Identity>, Error> {
        let Some(seen) = from.stamped(name)?.filter(|seen| seen.entry.node == found.node) else {
            return Ok(None);
        };
        let identity = (seen.stamp.dev, seen.stamp.ino);
        match dir.link(name, Linkable { dir: from, name, identity })? {
            Linked::Made => Ok(Some(identity)),
            Linked::Gone => Ok(None),
            Linked::Refused(error) => {
                if let Some(bases) = self.bases()
                    && !bases.refusal_told.swap(true, Ordering::Relaxed)
                {
                    let why = describe(&error.source);
                    let text =
                        format!("{name} could not be linked ({why}), so it is copied, as are others like it");
                    // Not in its turn: who signs may not wait for that.
                    self.context.reporter.report(Event::Notice(text));
                }
                Ok(None)
            }
        }
    }

    /// The content of a file was compared with what was found.
    pub(super) fn compared_elsewhere(
        &self,
        file: FileId,
        flight: &Flight,
        same: bool,
    ) -> Result<(), PassError> {
        let (Some(found), Some(bases)) = (&flight.found, self.bases()) else {
            return Err(PassError::Protocol("a verdict nobody asked for"));
        };
        let may_set_group = self.may_set_group(flight.entry.meta.gid);
        let entry = &flight.entry;
        let umask = || match self.directories.counterpart(self, flight.dir) {
            Ok(Ok(here)) => self.umask_in(&here),
            _ => self.umask,
        };
        let policy = self.policy_in(umask, entry, flight.own.as_ref());
        let here = flight.own.as_ref().filter(|own| own.kind() == entry.kind());
        if !same && let Some(own) = here {
            // What is here counts after all.
            let phase = Phase::Comparing;
            self.flights.replace(file, Flight { found: None, phase, ..Flight::clone(flight) });
            return match own.node == entry.node {
                true => self.check(file),
                false => self.compared(Verdict { file, same: false }),
            };
        }
        let attributes = policy.attributes(entry.kind(), entry.into(), (&found.entry).into(), may_set_group);
        let likeness = match (same, attributes.change.is_nothing()) {
            (false, _) => Likeness::Version,
            (true, false) => Likeness::Content,
            (true, true) => Likeness::Exact,
        };
        let exact = likeness == Likeness::Exact;
        let (is_left, is_linked) =
            (exact && bases.kind == BasisKind::Compare, exact && bases.kind == BasisKind::Link);
        let told = match (is_left, is_linked) {
            (true, _) => Update::none(),
            (_, true) => Update::is_linked(),
            _ => policy.based(entry, &found.entry, likeness, may_set_group),
        };
        let update = policy.based(entry, &found.entry, likeness, may_set_group);
        let path = flight.path.clone();
        self.announcer.fill(
            file,
            match likeness {
                Likeness::Version => self.item(path, &entry.node, &entry.meta, &told),
                _ => self.item_of_known(path, &entry.node, &entry.meta, &told, self.sum_compared(flight)?),
            },
        );
        if is_left {
            if let (Some(own), Ok(dir)) = (&flight.own, self.directories.writable(self, flight.dir)?) {
                self.directories.touch(flight.dir);
                if let Err(error) = self.remove(&dir, &flight.path, own) {
                    self.tally.failed(&flight.path, &error);
                }
            }
            self.settle_progress(1, entry.node.size());
            self.clear_unwritten(flight)?;
            self.confirm_found(flight.place(), &flight.path, entry, found)?;
            return self.land(file, flight, Landing::Failed);
        }
        let whole = self.context.whole_file();
        let phase = if likeness != Likeness::Version || whole { Phase::Fetching } else { Phase::Signing };
        self.flights.replace(file, Flight { update, phase, ..Flight::clone(flight) });
        match likeness {
            _ if self.dry_run() => {
                if likeness == Likeness::Version {
                    count_transfer(self, entry, false);
                } else {
                    self.pass_by(entry);
                }
                self.land(file, flight, Landing::There(None))
            }
            Likeness::Version if whole => self.ask(file, flight.dir, flight.index),
            Likeness::Version => self.ask_with_basis(file),
            _ => self.take_found(file, exact),
        }
    }

    /// A file in flight was found with the same content: makes it another name of that, or a copy.
    pub(super) fn take_found(&self, file: FileId, exact: bool) -> Result<(), PassError> {
        let flight = self.flights.get(file)?;
        let Some(found) = &flight.found else {
            return Err(PassError::Protocol("a verdict nobody asked for"));
        };
        let taken = match (self.bases(), self.directories.writable(self, flight.dir)?) {
            (Some(bases), Ok(dir)) => self.link_or_copy(bases, &dir, &flight, found, exact),
            (_, Err(error)) => Err(error),
            (None, _) => Ok(Taken::Not),
        };
        let landing = match &taken {
            Ok(Taken::Linked(identity) | Taken::Copied(identity)) => Landing::There(Some(*identity)),
            // It is another version by now.
            Ok(Taken::Not) => return self.ask_anew(file, &flight),
            Err(error) => {
                self.tally.failed(&flight.path, error);
                Landing::Failed
            }
        };
        self.settle_progress(1, flight.entry.node.size());
        match taken {
            // What is another name of it has these.
            Ok(Taken::Linked(_)) => self.clear_unwritten(&flight)?,
            Ok(Taken::Copied(_)) if flight.update.xattrs == SetXattrs::Fetch => {
                self.landed(&flight.entry, landing);
                return self.fetch_xattrs_of(file, Flight::clone(&flight), flight.update);
            }
            _ => {}
        }
        if matches!(landing, Landing::There(_)) {
            self.confirm(flight.place(), &flight.entry)?;
        }
        self.land(file, &flight, landing)
    }

    /// An entry need not be here, since it is in a directory that is compared with.
    pub(super) fn confirm_found(
        &self,
        place: Listed,
        path: &RelPath,
        entry: &Entry,
        found: &Found,
    ) -> Result<(), PassError> {
        let above = path.split_last().map(|(above, _)| above).unwrap_or_default();
        let bases = self.bases().map(|bases| bases.at(&above)).unwrap_or_default();
        match bases.iter().find(|(basis, _)| *basis == found.basis) {
            Some((_, dir)) => self.confirm_in(place, path, (&found.entry.name, &entry.node), dir),
            None => Ok(()),
        }
    }

    fn link_or_copy(
        &self,
        bases: &Bases,
        dir: &WriteDir,
        flight: &Flight,
        found: &Found,
        exact: bool,
    ) -> Result<Taken, Error> {
        self.directories.touch(flight.dir);
        if flight.own.is_some() {
            self.keep_of(dir, &flight.path, &flight.name, Fate::Replaced)?;
        }
        if exact && bases.kind == BasisKind::Link {
            let from = bases.dir_of(flight, found.basis)?;
            if let Some(identity) = self.link_to(dir, &flight.name, &from, &found.entry)? {
                return Ok(Taken::Linked(identity));
            }
        }
        Ok(self.copy_found(bases, dir, flight, found)?.map_or(Taken::Not, Taken::Copied))
    }

    /// Asks for the content of a file after all.
    fn ask_anew(&self, file: FileId, flight: &Flight) -> Result<(), PassError> {
        self.flights.replace(file, Flight { phase: Phase::Fetching, ..Flight::clone(flight) });
        self.ask(file, flight.dir, flight.index)
    }

    /// What else is compared with, if anything is.
    pub(super) fn bases(&self) -> Option<&Bases> {
        self.bases.get()
    }

    /// Copies what was found, if it is still that version, and gives it the attributes it is to have.
    fn copy_found(
        &self,
        bases: &Bases,
        dir: &WriteDir,
        flight: &Flight,
        found: &Found,
    ) -> Result<Option<Identity>, Error> {
        let Ok(open) = bases.open(flight, found) else { return Ok(None) };
        let is_it =
            |file: &ReadFile| (file.len(), file.mtime()) == (found.entry.node.size(), found.entry.meta.mtime);
        if !is_it(&open) {
            return Ok(None);
        }
        let Some(stage) = self.copied(dir, &flight.name, &open)? else { return Ok(None) };
        let stamp = stage.stamp()?;
        let set = self.dress(&stage, (&flight.path, &flight.entry), &flight.update);
        stage.install(&set)?;
        Ok(Some((stamp.dev, stamp.ino)))
    }

    /// Stages a copy of an open file for `name`. `None` if that changed meanwhile.
    pub(super) fn copied(
        &self,
        dir: &WriteDir,
        name: &Name,
        open: &ReadFile,
    ) -> Result<Option<Stage>, Error> {
        let stage = dir.stage(name)?;
        if !stage.share_blocks_of(open)? {
            stage.check_unshared()?;
            let mut at = 0;
            while at < open.len() && !self.sender.is_stopped() {
                match stage.copy_from(open, at, PIECE, at, self.context.workers())? {
                    0 => break,
                    copied => at = at.saturating_add(copied),
                }
            }
        }
        let is_whole =
            stage.len().is_ok_and(|len| len == open.len()) && open.changed().is_ok_and(|changed| !changed);
        if !is_whole {
            return Ok(None);
        }
        stage.brought_home(|| !self.sender.is_stopped()).map(Some)
    }

    /// Gives a staged copy its owner and extended attributes. Returns what is to be set when it is installed.
    pub(super) fn dress(&self, stage: &Stage, (path, entry): (&RelPath, &Entry), update: &Update) -> SetMeta {
        let set = self.set_owner_first(path, &update.set, |owner| stage.set_meta(owner));
        let extended = self.extended(entry.acls(), update, None);
        self.set_extended(path, &extended, |extended| stage.set_extended(extended));
        set
    }
}
