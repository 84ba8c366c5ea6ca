//! After a run that was killed: what was intended and is there counts as done, and nothing that was being made is left.
//! What was done and is not in the log of that run is added there.

use crate::fs::{Dir, Expected, SetMeta, Slot, Stamp, Stamped, WriteDir, stage_name};
use crate::tree::{Kind, Meta, Name, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::attributes::node;
use crate::twoway::carry::late::Catching;
use crate::twoway::carry::names::{Moved, inode, settle_names};
use crate::twoway::carry::setting::HalfSet;
use crate::twoway::carry::trash::run_name;
use crate::twoway::carry::{expected, kept, kind};
use crate::twoway::facet::{Extended, Facet, Facets, Register, Value, Visible};
use crate::twoway::history::{History, Known, Look};
use crate::twoway::look::undo::KilledUndo;
use crate::twoway::record::{Attributes, ContentSum, Modes, Record, State};
use crate::twoway::replica::{ReadReplica, Replica};
use crate::twoway::scan;
use crate::twoway::trash;
use filetime::FileTime;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Takes over what a killed run did and did not record, and clears what it staged. This comes before a scan, and before
/// anything is done with the log or the trash. `modes` are taken for those of that run if it is not known what it
/// synchronised of permission bits.
///
/// # Errors
/// Those of the history, and of clearing the staging directory.
pub fn recover(replica: &Replica, history: &mut History, modes: Modes) -> Result<(), TwoWayError> {
    history.count_runs_after(trash::last(replica.all_trash())?);
    let half_set = HalfSet::left_in(replica.staging());
    let killed = history.killed()?;
    let was_killed = killed.is_some() || !history.intents()?.is_empty();
    let run = killed.map_or(history.last_run(), |killed| killed.number);
    let root = replica.root();
    let trash = replica.all_trash().open_dir_writable(&run_name(run)?).ok();
    let catching = Catching::new(root, trash.as_deref(), killed);
    let repairs = Some(Repairs { root, trash: trash.as_ref() });
    let modes = killed.and_then(|killed| killed.modes).unwrap_or(modes);
    let began = replica.opened_at()?;
    match KilledUndo::of(history, killed, root, Some(replica.all_trash()))? {
        Some(undo) => undo.repairing(root, replica.all_trash()).take_over(history)?,
        None => {
            let (given_up, visible) = (HashSet::new(), history.visible().clone());
            let recovery = Recovery { root, repairs, modes, began, given_up, half_set, catching, visible };
            recovery.recover(history)?
        }
    };
    // A run that had done all of it may not have come to parting what is in its trash. By now the log says what that
    // is: from here on it may be another file.
    if let Some(trash) = trash.filter(|_| was_killed) {
        kept::part_all(&trash, &named(history, run)?, Facets::held_by(root));
    }
    // At last: whoever is killed before finds all of it again.
    replica.clear_staging(history.last_run())?;
    killed.map_or(Ok(()), |killed| history.is_taken_over(&killed))
}

/// What a run has in its trash of which its log knows what was one file: an undo gives it back to that.
fn named(history: &History, run: u64) -> Result<BTreeSet<RelPath>, TwoWayError> {
    let named = history.entries(run)?.map(|entry| {
        let entry = entry?;
        let is_named = entry.knows_names();
        Ok(entry.trashed.filter(|_| is_named))
    });
    named.filter_map(Result::transpose).collect()
}

/// The same for a replica that is only looked at, of which the history stays in memory: it comes to know what a run
/// would find, and its log what the killed one did; the tree is left as it is. Returns what a run might have to finish
/// first, for the scan.
///
/// # Errors
/// Those of the history, and of listing the trash.
pub fn recover_to_look(
    replica: &ReadReplica,
    history: &mut History,
    modes: Modes,
) -> Result<BTreeSet<RelPath>, TwoWayError> {
    let all = replica.all_trash()?;
    if let Some(all) = &all {
        history.count_runs_after(trash::last(all)?);
    }
    let killed = history.killed()?;
    if let Some(undo) = KilledUndo::of(history, killed, replica.root(), all.as_ref())? {
        return undo.take_over(history);
    }
    let name = killed.map(|killed| run_name(killed.number)).transpose()?;
    let trash = all.zip(name).and_then(|(all, name)| all.open_dir(&name).ok());
    let half_set = replica.staging()?.map_or_else(HalfSet::default, |staging| HalfSet::left_in(&staging));
    let (root, began) = (replica.root(), replica.opened_at());
    let catching = Catching::new(root, trash.as_ref(), killed);
    let modes = killed.and_then(|killed| killed.modes).unwrap_or(modes);
    let (given_up, visible) = (HashSet::new(), history.visible().clone());
    Recovery { root, repairs: None, modes, began, given_up, half_set, catching, visible }.recover(history)
}

struct Recovery<'a> {
    root: &'a Dir,
    /// What it takes to put right what was left unfinished, if anything may be changed.
    repairs: Option<Repairs<'a>>,
    /// What of permission bits is synchronised.
    modes: Modes,
    began: FileTime,
    /// The files that were to be removed: one of them may have got its new name, and not yet the attributes that go
    /// with it.
    given_up: HashSet<(ContentSum, u32)>,
    half_set: HalfSet,
    catching: Catching<'a>,
    /// The extended attributes that the run has seen.
    visible: Visible,
}

struct Repairs<'a> {
    root: &'a WriteDir,
    /// The trash of the run that was killed, if it has any.
    trash: Option<&'a WriteDir>,
}

impl Repairs<'_> {
    /// Puts back what was moved away from a path and looked like this, if nothing is there. If it cannot be had, the
    /// scan finds the name free.
    fn put_back(&self, path: &RelPath, was: &Expected) -> Option<bool> {
        let (above, name) = path.split_last()?;
        let trash = self.trash?.open_beneath_writable(&above).ok()?;
        let dir = self.root.open_beneath_writable(&above).ok()?;
        Slot { dir: &dir, name: &name }.restore(was, &trash).ok()
    }
}

impl Recovery<'_> {
    /// Returns what only counts as finished.
    fn recover(mut self, history: &mut History) -> Result<BTreeSet<RelPath>, TwoWayError> {
        let mut unfinished = BTreeSet::new();
        let mut intents = history.intents()?;
        if intents.is_empty() {
            return Ok(unfinished);
        }
        // A directory is closed after what is in it was looked at.
        intents.sort_by(|(one, _), (other, _)| other.walk_order(one));
        let mut pending = Vec::with_capacity(intents.len());
        for (path, intended) in intents {
            let mut before = history.known(&path)?;
            if let Some(before) = &mut before {
                before.record.attributes = before.record.attributes.as_far_as(&intended.attributes);
            }
            if let (State::Absent, Some(before)) = (&intended.state, &before)
                && let State::File { sum, .. } = before.record.state
            {
                self.given_up.insert((sum, before.record.attributes.mode));
            }
            pending.push((path, intended, before));
        }
        let mut now = Vec::new();
        let mut done: Vec<(RelPath, Option<Known>)> = Vec::new();
        let mut moved = Moved::new();
        for (path, intended, before) in pending {
            let was = before.as_ref().map(|before| &before.record);
            let may_have_moved = intended.extended.get(Facet::Links).is_some()
                && [Some(&intended), was].iter().flatten().any(|record| record.extended.identity().is_some());
            let was_at = before.as_ref().and_then(inode);
            let known = match self.found(&path, &intended, was) {
                // Its time may be what was not come to. That of a directory is set, or counts as set.
                Some(look) => {
                    let found = look.filter(|_| !intended.state.is_directory());
                    let mtime = found.map_or(intended.mtime, |look| look.stamp.mtime);
                    let extended = self.extended(&path, &intended, was, &intended.extended);
                    Some(Known::there(Record { mtime, extended, ..intended.clone() }, look))
                }
                None => before.as_ref().and_then(|before| {
                    self.put_back(&path, before);
                    let known = self.close_again(&path, before);
                    known.or_else(|| self.half_set(&path, &intended, before.clone()))
                }),
            };
            let Some(known) = known else {
                self.catching.is_unclear(&path, before.as_ref(), &intended);
                continue;
            };
            done.push((path.clone(), before));
            if let Some(inode) = inode(&known).filter(|inode| may_have_moved && Some(*inode) != was_at) {
                moved.insert(path.clone(), inode);
            }
            if self.repairs.is_none() {
                unfinished.insert(path.clone());
            }
            now.push((path, known));
        }
        settle_names(history, &moved, &mut now)?;
        // What was settled beyond that comes after it.
        for ((path, before), (_, known)) in done.iter().zip(&now) {
            self.catching.is_done(path, before.as_ref(), &known.record);
        }
        let mut late = self.catching.into_late();
        late.replaced.extend(self.half_set.replaced());
        history.recover(&now, &late)?;
        Ok(unfinished)
    }

    /// How what is intended at a path looks, if it is there, which may be nothing. What cannot be looked at is not.
    fn found(&self, path: &RelPath, intended: &Record, before: Option<&Record>) -> Option<Option<Look>> {
        if intended.state.is_directory() {
            return self.directory(path, intended, before).map(Some);
        }
        let is_removal = intended.state == State::Absent && !intended.occupied;
        let (above, name) = path.split_last()?;
        let parent = match self.root.open_beneath(&above) {
            Ok(parent) => parent,
            // Nor is anything below what is no directory any more.
            Err(error) => {
                let is_gone = error.is_not_found() || error.kind() == std::io::ErrorKind::NotADirectory;
                return (is_removal && is_gone).then_some(None);
            }
        };
        if let Some(repairs) = &self.repairs
            && let Ok(parent) = repairs.root.open_beneath_writable(&above)
        {
            let staged = stage_name(&name);
            // What somebody else writes there is none of this run's.
            let _ = Slot { dir: &parent, name: &name }.drop_other_name(Slot { dir: &parent, name: &staged });
            let _ = parent.clear_staged(&staged);
        }
        let found = match parent.stamped(&name).ok()? {
            None => return is_removal.then_some(None),
            Some(found) => found,
        };
        if self.has_attributes(intended, &found.entry.meta) {
            return self.is_there(&parent, &name, intended, &found).map(Some);
        }
        let meta = &found.entry.meta;
        let is_unfinished = match before.filter(|before| before.state.is_present()) {
            None => self.was_renamed(intended, meta) || self.is_just_made(intended, meta),
            Some(before) => kind(before) == kind(intended) && self.is_between(before, intended, meta),
        };
        if is_unfinished {
            let look = self.is_there(&parent, &name, intended, &found)?;
            return self.finish_attributes(&above, &name, intended, look).map(Some);
        }
        None
    }

    fn has_attributes(&self, intended: &Record, meta: &Meta) -> bool {
        let has_mode = matches!(intended.state, State::Symlink { .. })
            || self.modes.taken(meta.mode, intended.attributes.mode, kind(intended)) == meta.mode;
        has_mode && has_owner(intended, meta)
    }

    /// Whether some of an entry's attributes are those of before and some those that are intended, so that a run was
    /// setting them one after the other.
    fn is_between(&self, before: &Record, intended: &Record, meta: &Meta) -> bool {
        if before.state != intended.state {
            // What takes the place of something comes with all of its attributes.
            return false;
        }
        let is_symlink = matches!(intended.state, State::Symlink { .. });
        let taken = self.modes.taken(meta.mode, intended.attributes.mode, kind(intended));
        // Who gives an entry away takes bits from it, and who sets what takes a permission gives it itself for a
        // moment.
        let taken_away = if before.attributes.owner == intended.attributes.owner { 0 } else { 0o6000 };
        let is_written = !intended.extended.differing(&before.extended).is_empty();
        let given = if is_written { 0o200 } else { 0 };
        let is_like = |mode: u32| [mode, mode & !taken_away, mode | given].contains(&meta.mode);
        let before = &before.attributes;
        let has_mode = is_symlink || is_like(before.mode) || is_like(taken);
        fn is_one_of<T: Copy + PartialEq>(now: T, before: Option<T>, intended: Option<T>) -> bool {
            intended.is_none_or(|intended| now == intended || before == Some(now))
        }
        let (owner, group) = intended.attributes.owner;
        let has_owner = is_one_of(meta.uid, before.owner.0, owner);
        let has_group = is_one_of(meta.gid, before.owner.1, group);
        let is_as_before = (is_symlink || meta.mode == before.mode)
            && before.owner.0.is_none_or(|owner| owner == meta.uid)
            && before.owner.1.is_none_or(|group| group == meta.gid);
        has_mode && has_owner && has_group && !is_as_before
    }

    /// Whether something without content may have been made and got no attributes yet.
    fn is_just_made(&self, intended: &Record, meta: &Meta) -> bool {
        let is_closed = meta.mode & 0o7177 == 0;
        let is_its_own = meta.uid == crate::fs::effective_user();
        match kind(intended) {
            None | Some(Kind::File | Kind::Directory) => false,
            Some(Kind::Symlink) => is_its_own,
            Some(kind) => {
                let mode = self.modes.taken(meta.mode, intended.attributes.mode, Some(kind));
                is_closed || mode & !0o6000 == meta.mode & !0o6000
            }
        }
    }

    /// What is known of the facets of an entry: `base`, but for those that are intended to be others than before. Of
    /// these, what was done is done. What was not come to, or could not be set, is as before, and what is found of them
    /// is an edit only if it is neither. What is half set is of no edits, so that whatever anybody has takes its place.
    fn extended(
        &self,
        path: &RelPath,
        intended: &Record,
        before: Option<&Record>,
        base: &Extended,
    ) -> Extended {
        let (mut known, nothing) = (base.clone(), Extended::default());
        let before = before.map_or(&nothing, |before| &before.extended);
        let differing = intended.extended.differing(before);
        if differing.contains(Facet::Links) {
            known.set_from(before, Facet::Links);
        }
        for facet in differing.attributes().iter() {
            let now = Value::at(self.root, path, (facet, &self.visible)).ok();
            let sum = now.as_ref().map(|now| now.sum(facet));
            if sum.is_some() && sum == intended.extended.get(facet).map(|register| register.sum) {
                known.set_from(&intended.extended, facet);
            } else if let Some(now) = &now
                && sum != before.get(facet).map(|register| register.sum)
                && (self.half_set.is(path, facet, now) || self.is_inherited(path, now, before.get(facet)))
            {
                known.set(facet, Register { sum: now.sum(facet), version: Arc::default() });
            } else {
                known.set_from(before, facet);
            }
        }
        known
    }

    /// Whether an ACL, of what was none before, is what the system gave it from the directory that it is in.
    fn is_inherited(&self, path: &RelPath, now: &Value, before: Option<&Register>) -> bool {
        let (None, Value::Acls(Some(now))) = (before, now) else { return false };
        let above = path.split_last().and_then(|(above, _)| self.root.open_beneath(&above).ok());
        let given = above.and_then(|above| above.default_acl().ok().flatten());
        given.is_some_and(|given| {
            now.access.as_ref().is_none_or(|access| *access == given.rest)
                && now.default.as_ref().is_none_or(|default| *default == given)
        })
    }

    /// What is known of an entry of which only facets were set, if any were.
    fn half_set(&self, path: &RelPath, intended: &Record, before: Known) -> Option<Known> {
        if kind(intended) != kind(&before.record)
            || intended.extended.differing(&before.record.extended).is_empty()
        {
            return None;
        }
        let was = &before.record;
        let extended = self.extended(path, intended, Some(was), &was.extended);
        (extended != was.extended).then(|| Known { record: Record { extended, ..was.clone() }, ..before })
    }

    /// Whether a file of this content and with these attributes was to be removed, as renamed ones are.
    fn was_renamed(&self, intended: &Record, meta: &Meta) -> bool {
        matches!(intended.state, State::File { sum, .. } if self.given_up.contains(&(sum, meta.mode)))
    }

    /// Gives an entry that is there the rest of its attributes. Where nothing may be changed, it counts as done.
    fn finish_attributes(&self, above: &RelPath, name: &Name, intended: &Record, was: Look) -> Option<Look> {
        let Some(Repairs { root, .. }) = &self.repairs else { return Some(was) };
        let (dir, kind) = (root.open_beneath_writable(above).ok()?, kind(intended)?);
        let Attributes { mode, owner: (owner, group) } = intended.attributes;
        let found = dir.entry(name).ok()??;
        let mode = Some(self.modes.taken(found.meta.mode, mode, Some(kind)));
        dir.set_meta(name, kind, &SetMeta { mode, owner, group, mtime: None, atime: None }).ok()?;
        let now = dir.stamped(name).ok()?.filter(|now| now.stamp.ino == was.stamp.ino)?;
        Some(self.look(now.stamp, kind != Kind::File))
    }

    fn is_there(&self, parent: &Dir, name: &Name, intended: &Record, found: &Stamped) -> Option<Look> {
        if kind(intended) != Some(found.entry.kind()) {
            return None;
        }
        let State::File { sum, size } = &intended.state else {
            return (node(intended)? == found.entry.node).then(|| self.look(found.stamp, true));
        };
        if found.stamp.size != *size {
            return None;
        }
        let file = parent.open_file(name).ok()?;
        let is_same = content(&file)? == *sum && !file.changed().ok()?;
        is_same.then(|| self.look(file.stamp(), false))
    }

    /// A directory that is as intended, or was only not finished. Where nothing may be changed, it counts as finished.
    fn directory(&self, path: &RelPath, intended: &Record, before: Option<&Record>) -> Option<Look> {
        let dir = self.root.open_beneath(path).ok()?;
        let own = dir.own_meta().ok()?;
        let mode = intended.attributes.mode;
        // Only a mode that a run gives for its own time is not the user's.
        let before = before.filter(|before| before.state.is_directory());
        let is_for_a_while = || match before {
            // Less what that run's umask took away.
            None => own.mode & 0o700 == 0o700 && own.mode & 0o777 & !((mode & 0o777) | 0o700) == 0,
            Some(before) => {
                let was = before.attributes.mode;
                was & 0o700 != 0o700 && own.mode == was | 0o700
            }
        };
        let is_whole = self.modes == Modes::Whole;
        let lacks_mode = is_whole && own.mode != mode;
        let lacks_owner = !has_owner(intended, &own);
        let is_half_set = before.is_some_and(|before| self.is_between(before, intended, &own));
        if !is_half_set && ((lacks_mode && !is_for_a_while()) || (lacks_owner && before.is_some())) {
            return None;
        }
        if let Some(Repairs { root, .. }) = &self.repairs {
            let dir = root.open_beneath_writable(path).ok()?;
            if lacks_owner {
                let (owner, group) = intended.attributes.owner;
                dir.set_own_meta(&SetMeta { owner, group, ..SetMeta::default() }).ok()?;
            }
            if lacks_mode || (lacks_owner && is_whole) {
                set_mode(&dir, mode)?;
            }
            let mtime = Some(intended.mtime).filter(|mtime| *mtime != own.mtime);
            dir.set_own_meta(&SetMeta { mtime, ..SetMeta::default() }).ok()?;
        }
        Some(self.look(dir.own_stamped().ok()?.1, true))
    }

    /// A directory that was opened up for something that was not done. Where nothing may be changed, it counts as
    /// closed, and what is known of it since is returned.
    fn close_again(&self, path: &RelPath, before: &Known) -> Option<Known> {
        let mode = before.record.attributes.mode;
        if !before.record.state.is_directory() || mode & 0o700 == 0o700 {
            return None;
        }
        let dir = self.root.open_beneath(path).ok()?;
        let (own, stamp) = dir.own_stamped().ok()?;
        if own.mode != mode | 0o700 {
            return None;
        }
        let Some(Repairs { root, .. }) = &self.repairs else {
            return Some(Known { look: Some(self.look(stamp, true)), ..before.clone() });
        };
        // If it cannot be closed, the scan finds that, as it finds any other mode.
        let dir = root.open_beneath_writable(path).ok()?;
        let _ = set_mode(&dir, mode);
        None
    }

    /// Where the system cannot exchange, what gives way is moved away before anything else has its name.
    fn put_back(&self, path: &RelPath, before: &Known) {
        if let (Some(repairs), Some(was)) = (&self.repairs, &before.look) {
            repairs.put_back(path, &expected(&before.record, was));
        }
    }

    fn look(&self, stamp: Stamp, settled: bool) -> Look {
        let look = scan::look(stamp, self.began);
        Look { settled: look.settled || settled, ..look }
    }
}

/// Whether an entry has the owner and group that are intended, where these are synchronised.
fn has_owner(intended: &Record, meta: &Meta) -> bool {
    let (user, group) = intended.attributes.owner;
    user.is_none_or(|user| user == meta.uid) && group.is_none_or(|group| group == meta.gid)
}

fn set_mode(dir: &WriteDir, mode: u32) -> Option<()> {
    dir.set_own_meta(&SetMeta { mode: Some(mode), ..SetMeta::default() }).ok()
}

fn content(file: &crate::fs::ReadFile) -> Option<ContentSum> {
    let pieces = file.pieces(0..file.len());
    let mut buffer = pieces.buffer(BUFFER);
    scan::sum(pieces, &AtomicBool::new(false), &mut buffer).ok()
}
