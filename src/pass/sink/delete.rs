//! Removes what the source does not have.
//!
//! Which names are extra was found by comparing whole, error-free listings; the rules of the receiving side protect
//! what they exclude. A directory is emptied first, and stays if anything protected is inside. Mount points stay.

use crate::fs::{SetMeta, WriteDir};
use crate::pass::Sweep;
use crate::pass::sink::Sink;
use crate::pass::sink::backup::Fate;
use crate::pass::sink::directories::Counterpart;
use crate::pass::sink::moved::Away;
use crate::report::{Event, Problem, ProblemClass, Role, Skip};
use crate::request::{Missing, Mounts};
use crate::tree::filter::{Scope, Side, Verdict};
use crate::tree::{Entry, Kind, RelPath};
use crate::view;
use crate::wire::DirId;

/// How much of a directory that is being removed keeps its handle: deeper ones are opened again on the way up.
const HANDLES: usize = 64;

/// What was left of an entry that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    Something,
}

/// Why an entry goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// The source does not have it.
    Extra,
    /// Something else is to have its name.
    Room,
}

/// A directory being emptied.
struct Level {
    entry: Entry,
    path: RelPath,
    /// `None` while deeper levels need the handles.
    here: Option<Counterpart>,
    rest: std::vec::IntoIter<Entry>,
    left: Left,
    /// Whether its mode was widened so that it could be emptied.
    opened_up: bool,
    /// What holds in it.
    scope: Scope,
}

impl Sink<'_> {
    /// Whether the rules let an entry of the destination be removed.
    fn is_at_risk(&self, scope: &Scope, path: &RelPath, entry: &Entry, deleting_dir: bool) -> bool {
        let verdict = scope.check(path.as_bytes(), entry.is_dir(), Side::Receiver, deleting_dir);
        // A replica's history stays, and files that wait for the end of the run; what a killed run staged goes with its
        // directory.
        let is_ours = entry.is_dir()
            && (crate::fs::is_reserved(entry) || (!deleting_dir && self.holds_delayed(&entry.name)));
        verdict == Verdict::Included && !is_ours
    }

    /// Whether this pass removes what the source does not have.
    pub(super) fn deletes(&self) -> bool {
        self.context.options.delete.is_some() && !matches!(self.context.sweep, Sweep::Done(_))
    }

    /// Whether an entry that the source does not list is to be removed.
    pub(super) fn is_extra(&self, scope: &Scope, dir: &RelPath, entry: &Entry) -> bool {
        self.deletes() && self.is_at_risk(scope, &dir.join(&entry.name), entry, false)
    }

    /// Removes an entry of `dir`, in which `scope` holds, that the source does not have, if the rules and the limit
    /// allow.
    pub(super) fn delete_extra(&self, dir: &Counterpart, scope: &Scope, path: RelPath, entry: Entry) {
        if self.is_at_risk(scope, &path, &entry, false) {
            self.delete(dir, scope, path, entry, Purpose::Extra);
        }
    }

    /// Whether a directory is on another file system than the destination, where `-x` leaves everything.
    pub(super) fn is_mounted(&self, dir: &Counterpart) -> bool {
        if self.context.options.mounts == Mounts::Entered {
            return false;
        }
        let root = self.destination.get().and_then(|destination| destination.root.as_ref());
        let device = |dir: &crate::fs::Dir| dir.identity().ok().map(|(device, _)| device);
        let here = dir.dir().and_then(device);
        here.is_some() && here != root.and_then(|root| device(root.dir()))
    }

    /// Removes what the source was asked for and does not have (`--delete-missing-args`), which has nothing to do with
    /// what `--delete` removes. A directory with something in it goes only with that, or with `--force`. `listed` is
    /// the directory that is being listed, mostly the one that it is in.
    pub(super) fn remove_absent(&self, (listed, at): (DirId, &RelPath), path: RelPath) {
        if self.context.options.missing != Missing::Deleted {
            return;
        }
        let Some((above, name)) = path.split_last() else { return };
        // Of what is listed, nothing is dsync's own; but these are only named.
        if let Err(error) = crate::fs::check_path(path.as_bytes(), "removing") {
            self.tally.failed(&path, &error);
            return;
        }
        let Ok(dir) = self.counterpart_at(&above) else { return };
        if self.moves.is_on() && self.let_go_of(&path).is_err() {
            // The run was stopped.
            return;
        }
        let Some(Ok(Some(own))) = dir.dir().map(|dir| dir.entry(&name)) else { return };
        if above == *at {
            self.directories.touch(listed);
        }
        let options = &self.context.options;
        let goes_whole = options.delete.is_some() || options.force;
        if own.is_dir()
            && !goes_whole
            && dir.open(&name).and_then(|dir| dir.list()).is_ok_and(|inside| !inside.entries.is_empty())
        {
            return self.tell_not_empty(&path);
        }
        self.delete_extra(&dir, &self.scope_at(&above), path, own);
    }

    /// Removes an entry of `dir`, with everything in it that is not protected; in a dry run it only says so.
    /// As in rsync, what only clears the place for another entry is not counted itself, what was inside it is.
    fn delete(
        &self,
        dir: &Counterpart,
        scope: &Scope,
        path: RelPath,
        entry: Entry,
        purpose: Purpose,
    ) -> Left {
        if !entry.is_dir() {
            return self.delete_one(dir, &path, &entry, purpose);
        }
        let mut stack: Vec<Level> = Vec::new();
        stack.extend(self.level(dir, scope, path, entry));
        let mut left = if stack.is_empty() { Left::Something } else { Left::Nothing };
        while let Some(level) = stack.last_mut() {
            let Some(next) = level.rest.next() else {
                if let Some(done) = stack.pop() {
                    left = self.emptied(dir, stack.last_mut(), &done, purpose);
                }
                if let (Left::Something, Some(above)) = (left, stack.last_mut()) {
                    above.left = left;
                }
                continue;
            };
            let path = level.path.join(&next.name);
            let is_at_risk = self.is_at_risk(&level.scope, &path, &next, true);
            let here = if is_at_risk { self.reopened(level) } else { None };
            let below = match here {
                None => {
                    level.left = Left::Something;
                    continue;
                }
                Some(here) if next.is_dir() => self.level(&here, &level.scope, path, next),
                Some(here) => {
                    let left = self.delete_one(&here, &path, &next, Purpose::Extra);
                    if left == Left::Something || self.stays_as_backup(&next.name, next.kind()) {
                        level.left = Left::Something;
                    }
                    continue;
                }
            };
            match below {
                None => level.left = Left::Something,
                Some(below) => {
                    if stack.len() >= HANDLES
                        && let Some(level) = stack.last_mut()
                    {
                        level.here = None;
                    }
                    stack.push(below);
                }
            }
        }
        left
    }

    /// Opens and lists a directory that is to be removed; `None` if that cannot be, which was told.
    fn level(&self, parent: &Counterpart, above: &Scope, path: RelPath, entry: Entry) -> Option<Level> {
        let opened_up = self.open_up(parent, &entry);
        let opened = parent.open(&entry.name).and_then(|here| {
            let mounted = here.identity()?.0 != parent.identity()?.0;
            Ok((here.list()?, here, mounted))
        });
        match opened {
            Ok((_, _, true)) => {
                self.close_again(opened_up, parent, &entry);
                // With -x that is as it was asked.
                if self.context.options.mounts == Mounts::Entered {
                    self.tally.problem("removing", &path, &"it is a mount point");
                }
                None
            }
            Ok((listing, here, false)) => {
                let scope =
                    here.dir().map_or_else(|| Ok(above.clone()), |dir| view::enter(above, dir, &path));
                let scope = self.scope_or_closed(&path, scope);
                let left = if listing.is_whole() { Left::Nothing } else { Left::Something };
                Some(Level {
                    entry,
                    path,
                    here: Some(here),
                    rest: listing.entries.into_iter(),
                    left,
                    opened_up,
                    scope,
                })
            }
            Err(error) => {
                self.tally.failed(&path, &error);
                None
            }
        }
    }

    fn reopened(&self, level: &mut Level) -> Option<Counterpart> {
        if level.here.is_none() {
            level.here = self.counterpart_at(&level.path).ok();
        }
        level.here.clone()
    }

    /// A directory stays after all: gives it back the mode it had.
    fn close_again(&self, opened_up: bool, parent: &Counterpart, entry: &Entry) {
        if let (true, Counterpart::Writable(dir)) = (opened_up, parent) {
            let mode = SetMeta { mode: Some(entry.meta.mode), ..SetMeta::default() };
            // What could be widened can be narrowed.
            let _ = dir.set_meta(&entry.name, entry.kind(), &mode);
        }
    }

    /// Everything in a directory was tried: removes it too if nothing is left.
    fn emptied(&self, top: &Counterpart, parent: Option<&mut Level>, done: &Level, purpose: Purpose) -> Left {
        let (holder, purpose) = match parent {
            None => (Some(top.clone()), purpose),
            Some(parent) => (self.reopened(parent), Purpose::Extra),
        };
        match holder {
            Some(holder) if done.left == Left::Something => {
                self.close_again(done.opened_up, &holder, &done.entry);
                self.tell_not_empty(&done.path);
                Left::Something
            }
            Some(holder) => self.delete_one(&holder, &done.path, &done.entry, purpose),
            None => Left::Something,
        }
    }

    /// Excluded entries inside keep a directory; that is as it was asked, but worth a line.
    fn tell_not_empty(&self, path: &RelPath) {
        self.announcer.say(Event::Skipped { path: path.clone(), reason: Skip::NotEmpty });
    }

    fn delete_one(&self, dir: &Counterpart, path: &RelPath, entry: &Entry, purpose: Purpose) -> Left {
        if !self.dry_run() && !matches!(dir, Counterpart::Writable(_)) {
            // Else it would be counted and told without being done.
            self.tally.problem("removing", path, &"the directory it is in is not open");
            return Left::Something;
        }
        if crate::fs::is_reserved(entry) {
            return match dir {
                Counterpart::Writable(dir) if dir.clear_staged(&entry.name).is_err() => Left::Something,
                _ => Left::Nothing,
            };
        }
        if purpose == Purpose::Extra && !self.may_delete_another(path) {
            return Left::Something;
        }
        let away = match dir {
            Counterpart::Writable(dir) if self.moves.is_on() => self.take_away(dir, path, &entry.name),
            _ => Away::Still,
        };
        if away == Away::Needed {
            return Left::Something;
        }
        if let Counterpart::Writable(dir) = dir
            && away == Away::Still
            && let Err(error) = self.remove(dir, path, entry)
            && !error.is_not_found()
        {
            if error.kind() == std::io::ErrorKind::DirectoryNotEmpty && self.context.options.backup.is_some()
            {
                // Backups of what was in it went there.
                self.tell_not_empty(path);
            } else {
                self.tally.failed(path, &error);
            }
            return Left::Something;
        }
        if purpose == Purpose::Extra {
            self.tally.count(|totals| totals.deleted.add(entry.kind()));
            if self.context.options.detail.changes {
                self.announcer.say(Event::Deleted { path: path.clone(), kind: entry.kind() });
            }
        }
        Left::Nothing
    }

    /// Removes an entry, or keeps it elsewhere, if that is asked for.
    pub(super) fn remove(
        &self,
        dir: &WriteDir,
        path: &RelPath,
        entry: &Entry,
    ) -> Result<(), crate::fs::Error> {
        match &self.context.options.backup {
            Some(_) if !entry.is_dir() => self.keep_of(dir, path, &entry.name, Fate::Removed),
            _ => dir.remove(&entry.name, entry.kind()),
        }
    }

    /// Whether `--max-delete` allows one more; counts it as left over if not.
    fn may_delete_another(&self, path: &RelPath) -> bool {
        let (Some(limit), Some(asked)) = (self.deletion_limit(), self.context.options.max_delete) else {
            return true;
        };
        if self.tally.totals().deleted.total() < limit {
            return true;
        }
        if self.tally.totals().not_deleted == 0 {
            let text = format!("--max-delete={asked} is reached; the rest is left");
            self.tally.report(
                Problem::new(Role::Sink, "removing", path, &text).of_class(ProblemClass::DeleteLimit),
            );
        } else {
            self.tally.count(|totals| totals.count(ProblemClass::DeleteLimit));
        }
        false
    }

    /// Clears the name of `own` in `dir`, in which `scope` holds, for something of another kind. A directory with
    /// something in it goes only with `--delete` or `--force`. Returns whether the name is free (or would be, in a dry
    /// run).
    pub(super) fn make_room(&self, dir: &Counterpart, scope: &Scope, path: &RelPath, own: &Entry) -> bool {
        let options = &self.context.options;
        if own.is_dir() && crate::fs::is_reserved(own) {
            self.tally.problem("making room for", path, &"the history of a replica is in its place");
            return false;
        }
        if own.kind() == Kind::Directory && options.delete.is_none() && !options.force {
            let removed = match dir {
                Counterpart::Writable(dir) => dir.remove(&own.name, Kind::Directory),
                dir => dir.open(&own.name).and_then(|own| own.list()).and_then(|inside| {
                    let doing = "removing";
                    let full =
                        || crate::fs::Error { doing, source: std::io::ErrorKind::DirectoryNotEmpty.into() };
                    if inside.entries.is_empty() { Ok(()) } else { Err(full()) }
                }),
            };
            if let Err(error) = &removed {
                let why = crate::pass::tally::describe(&error.source);
                let cause =
                    format!("a directory is in its place ({why}); --force or --delete would remove it");
                self.tally.problem("making room for", path, &cause);
            }
            return removed.is_ok();
        }
        let free = self.delete(dir, scope, path.clone(), own.clone(), Purpose::Room) == Left::Nothing;
        if !free {
            self.tally.problem("making room for", path, &"not everything in its place could be removed");
        }
        free
    }
}
