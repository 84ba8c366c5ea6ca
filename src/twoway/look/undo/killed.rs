//! What an undo did that was killed.
//!
//! What it was about to do when it was killed is among the intents, with what there was at each of these paths; that
//! and the log of the run that it undid tell what of it was done. That goes into its log, so that it can be undone like
//! any other. What was done by half is finished: attributes, and directories, which get theirs. What was not come to
//! stays as it is, and whoever undoes the run again finds it so.

use crate::fs::{Dir, Expected, SetMeta, Slot, Stamped, WriteDir};
use crate::tree::{InodeId, Kind, Meta, Name, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::run_name;
use crate::twoway::facet::{At, Value, Wanted};
use crate::twoway::history::{History, Killed, Known, Late, Look};
use crate::twoway::log::{Entry, Purpose};
use crate::twoway::look::compare::{is_alike, is_content, set_back};
use crate::twoway::look::undo::adjust::{meta_before, put_facets_back};
use crate::twoway::look::undo::made::Made;
use crate::twoway::look::undo::steps::Intended;
use crate::twoway::look::undo::work::{Renames, Work, old_name, trashed_with, undone};
use crate::twoway::reconcile::Change;
use crate::twoway::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// An undo that was killed.
pub(in crate::twoway) struct KilledUndo<'a> {
    number: u64,
    /// The run that it undid.
    run: u64,
    root: &'a Dir,
    /// What that run has in the trash, and what the undo has there.
    from: Option<Dir>,
    kept: Option<Dir>,
    /// What it takes to finish what was done by half, if anything may be changed.
    repairs: Option<Repairs<'a>>,
}

struct Repairs<'a> {
    root: &'a WriteDir,
    /// The trash of all runs.
    trash: &'a WriteDir,
}

/// What is found out.
#[derive(Default)]
struct Found {
    late: Vec<Entry>,
    /// Directories that are to get attributes.
    closing: BTreeMap<RelPath, Close>,
    /// Where in the trash of the undo its log says that something is.
    trashed: BTreeSet<RelPath>,
}

enum Close {
    /// One that was made again, as this entry of the run says.
    Made(Box<Entry>),
    Adjusted(SetMeta),
}

impl<'a> KilledUndo<'a> {
    /// The run that was killed, if it was an undo. `trash` is that of all runs.
    pub(in crate::twoway) fn of(
        history: &History,
        killed: Option<Killed>,
        root: &'a Dir,
        trash: Option<&Dir>,
    ) -> Result<Option<KilledUndo<'a>>, TwoWayError> {
        let Some(Killed { number, .. }) = killed else { return Ok(None) };
        let purpose = history.run(number)?.map(|run| run.purpose);
        let Some(Purpose::Undo { run }) = purpose else { return Ok(None) };
        let open = |number| Ok::<_, TwoWayError>(trash.zip(Some(run_name(number)?)));
        let opened = |(trash, name): (&Dir, Name)| trash.open_dir(&name).ok();
        let (from, kept) = (open(run)?.and_then(opened), open(number)?.and_then(opened));
        Ok(Some(KilledUndo { number, run, root, from, kept, repairs: None }))
    }

    /// The same, and what was done by half is to be finished.
    pub(in crate::twoway) fn repairing(self, root: &'a WriteDir, trash: &'a WriteDir) -> KilledUndo<'a> {
        KilledUndo { repairs: Some(Repairs { root, trash }), ..self }
    }

    /// Writes down what it did. Returns the directories that only count as closed, as nothing may be changed.
    pub(in crate::twoway) fn take_over(
        self,
        history: &mut History,
    ) -> Result<BTreeSet<RelPath>, TwoWayError> {
        let intended: Intended = history.intended()?.into_iter().collect();
        if intended.is_empty() {
            return Ok(BTreeSet::new());
        }
        let (mut found, mut logged) = (Found::default(), BTreeSet::new());
        for entry in history.entries(self.number)? {
            let entry = entry?;
            found.trashed.extend(entry.trashed.filter(|_| entry.problem.is_none()));
            logged.extend(Some(entry.path).filter(|_| entry.problem.is_none()));
        }
        let renamed = Renames::of(history, self.run)?;
        let made = Made::by(history, self.run, &renamed)?;
        let mut in_the_way = Vec::new();
        for entry in history.entries(self.run)?.rev() {
            let entry = entry?;
            let Some(work) = renamed.work(&entry) else { continue };
            let Some(was) = intended.get(&entry.path) else { continue };
            let is_logged = logged.contains(&entry.path);
            let late = match work {
                // What is intended still is to close it.
                Work::PutBack(_) if is_logged => {
                    found.closing.insert(entry.path.clone(), Close::Made(Box::new(entry)));
                    continue;
                }
                Work::PutBackLater => {
                    in_the_way.push((entry, was));
                    continue;
                }
                Work::RenameBack(old, record) => self.renamed_back(&entry, was, &old, &record),
                Work::PutBack(change) => self.was_put_back(&entry, was, change, &mut found),
                Work::Adjust => self.was_adjusted(history, &entry, was, &mut found)?,
            };
            found.late.extend(late.into_iter().filter(|_| !is_logged));
        }
        for (entry, was) in in_the_way {
            let late = self.was_put_back(&entry, was, entry.change, &mut found);
            if let Some(Entry { trashed: Some(trashed), .. }) = late.first() {
                found.late.extend(self.inside(&entry, trashed, &made));
            }
            found.late.extend(late);
        }
        let opened = self.close(&intended, &found.closing);
        let late = Late { run: Some(self.number), entries: found.late, replaced: Vec::new() };
        history.recover(&[], &late)?;
        Ok(if self.repairs.is_some() { BTreeSet::new() } else { opened })
    }

    fn stamped(&self, path: &RelPath) -> Option<Stamped> {
        let (above, name) = path.split_last()?;
        self.root.open_beneath(&above).ok()?.stamped(&name).ok()?
    }

    fn inode(&self, path: &RelPath) -> Option<InodeId> {
        self.stamped(path).map(|found| found.stamp.inode())
    }

    /// What the log is to say if a file has got its old name back.
    fn renamed_back(&self, entry: &Entry, was: &Known, old: &RelPath, record: &Record) -> Vec<Entry> {
        let Some(look) = &was.look else { return Vec::new() };
        if self.inode(old) != Some(look.stamp.inode()) {
            // Where the system cannot do that in one step, it went by way of the trash.
            if let Some(repairs) = &self.repairs
                && self.inode(&entry.path).is_none()
            {
                repairs.restore(&entry.path, look, repairs.run_trash(self.number).as_ref());
            }
            return Vec::new();
        }
        if let Some(repairs) = &self.repairs {
            repairs.drop_other_name(repairs.place(old), repairs.place(&entry.path));
            repairs.set_back(old, record, &entry.after);
        }
        let new = undone(entry, Change::Remove, None, None);
        vec![new, undone(&old_name(entry, old, record), Change::Create, None, None)]
    }

    /// What the log is to say if what was at a path is back.
    fn was_put_back(&self, entry: &Entry, was: &Known, change: Change, found: &mut Found) -> Vec<Entry> {
        let Some(trashed) = self.put_back(entry, was, found) else { return Vec::new() };
        if entry.before.state.is_directory() {
            found.closing.insert(entry.path.clone(), Close::Made(Box::new(entry.clone())));
        }
        vec![undone(entry, change, trashed, None)]
    }

    /// Whether what was at a path is back: with the place in the trash of what gave way, if something did.
    fn put_back(&self, entry: &Entry, was: &Known, found: &Found) -> Option<Option<RelPath>> {
        let is_directory = entry.before.state.is_directory();
        let now = self.stamped(&entry.path);
        let old = self.old_version(entry);
        match (&was.look, &now) {
            (None, None) => None,
            (None, Some(now)) => {
                let is_it = match is_directory {
                    true => now.entry.is_dir(),
                    // By a link, where the system cannot rename to a free name.
                    false => old.is_none_or(|old| old == now.stamp.inode()),
                };
                if is_it {
                    self.drop_old_version(entry)
                }
                is_it.then_some(None)
            }
            (Some(look), Some(now)) if now.stamp.inode() == look.stamp.inode() => {
                self.return_old_version(entry, old, found);
                None
            }
            (Some(look), now) => {
                let trashed = self.trashed(&entry.path, look.stamp.inode())?;
                if now.is_none() && (is_directory || old.is_some()) {
                    // Where the system cannot exchange, what gives way is moved away before anything has its name.
                    if let Some(repairs) = &self.repairs {
                        let above = entry.path.split_last().map(|(above, _)| above);
                        let trash = repairs.run_trash(self.number).zip(above);
                        let trash = trash.and_then(|(trash, above)| trash.open_beneath_writable(&above).ok());
                        repairs.restore(&entry.path, look, trash.as_ref());
                    }
                    return None;
                }
                self.drop_old_version(entry);
                Some(Some(trashed))
            }
        }
    }

    /// What has the place in the trash of the run where what was at a path is to be.
    fn old_version(&self, entry: &Entry) -> Option<InodeId> {
        let (above, name) = entry.trashed.as_ref()?.split_last()?;
        let dir = self.from.as_ref()?.open_beneath(&above).ok()?;
        Some(dir.stamped(&name).ok()??.stamp.inode())
    }

    /// What is at a path has no other name in the trash of the run by now.
    fn drop_old_version(&self, entry: &Entry) {
        if let Some(repairs) = &self.repairs
            && !entry.before.state.is_directory()
        {
            repairs.drop_other_name(repairs.place(&entry.path), repairs.old_place(self.run, entry));
        }
    }

    /// What was to be put back is moved into the trash of the undo before it is exchanged with what gives way. If it
    /// was not, it goes back to the trash of the run.
    fn return_old_version(&self, entry: &Entry, old: Option<InodeId>, found: &Found) -> Option<()> {
        let repairs = self.repairs.as_ref().filter(|_| old.is_none())?;
        let (above, name) = entry.path.split_last()?;
        let dir = repairs.run_trash(self.number)?.open_beneath_writable(&above).ok()?;
        for name in dir.names_kept_for(&name).ok()? {
            if found.trashed.contains(&above.join(&name)) {
                continue;
            }
            let kept = dir.stamped(&name).ok()??;
            if entry.before.state.is_directory() {
                // One that was just made. What is not empty stays.
                let _ = dir.remove(&name, Kind::Directory);
            } else if is_alike(&kept.entry, &entry.before.state)
                && (entry.knows_names() || is_content(&dir, &name, Some(&kept), &entry.before).ok()?)
            {
                let (to, to_name) = repairs.old_place(self.run, entry)?;
                let to = Slot { dir: &to, name: &to_name };
                return Slot { dir: &dir, name: &name }.move_to(to).ok()?.map(drop);
            }
        }
        None
    }

    /// Where in the trash of the undo that is which was at a path.
    fn trashed(&self, path: &RelPath, inode: InodeId) -> Option<RelPath> {
        let (above, name) = path.split_last()?;
        let kept = self.kept.as_ref()?.open_beneath(&above).ok()?.kept_as(&name, inode).ok()??;
        Some(above.join(&kept))
    }

    /// What the log is to say of what went into the trash with a directory.
    fn inside(&self, entry: &Entry, trashed: &RelPath, made: &Made) -> Vec<Entry> {
        let went = made.below(&entry.path).filter_map(|made| {
            let trashed = trashed_with(trashed, &entry.path, &made.path)?;
            let (above, name) = trashed.split_last()?;
            self.kept.as_ref()?.open_beneath(&above).ok()?.entry(&name).ok()??;
            Some(undone(made, Change::Remove, Some(trashed), None))
        });
        let mut went: Vec<Entry> = went.collect();
        went.sort_by(|one, other| other.path.walk_order(&one.path));
        went
    }

    /// What the log is to say if attributes were set back. If some were, the others are set, too.
    fn was_adjusted(
        &self,
        history: &History,
        entry: &Entry,
        was: &Known,
        found: &mut Found,
    ) -> Result<Vec<Entry>, TwoWayError> {
        let is_directory = entry.before.state.is_directory();
        let now = match entry.path.is_root() {
            true => self.root.own_stamped().ok(),
            false => self.stamped(&entry.path).map(|found| (found.entry.meta, found.stamp)),
        };
        let same = |(_, stamp): &(Meta, _)| is_same(was, stamp);
        let Some((mut now, _)) = now.filter(same) else { return Ok(Vec::new()) };
        let had = &was.record.attributes;
        let (uid, gid) = (had.owner.0.unwrap_or(now.uid), had.owner.1.unwrap_or(now.gid));
        let then = Meta { mode: had.mode, uid, gid, mtime: was.record.mtime };
        let Some(set) = set_back(&entry.before, &entry.after, &then, is_directory) else {
            return Ok(Vec::new());
        };
        let (mut is_touched, wanted) = self.facets_to_set(history, entry)?;
        // Who sets what takes a permission gives it itself for a moment.
        if now.mode == had.mode | 0o200 && now.mode != had.mode && !wanted.is_empty() {
            now.mode = had.mode;
            is_touched = true;
        }
        let is_opened = |mode: u32| is_directory && now.mode == mode | 0o700;
        is_touched |= set.mode.is_some_and(|mode| now.mode == mode || is_opened(mode))
            || set.owner == Some(now.uid)
            || set.group == Some(now.gid)
            || (!is_directory && set.mtime == Some(now.mtime));
        if !is_touched {
            return Ok(Vec::new());
        }
        if is_directory {
            found.closing.insert(entry.path.clone(), Close::Adjusted(set));
        }
        if let Some(repairs) = &self.repairs {
            let mode = set.mode.unwrap_or(had.mode);
            let set = SetMeta { mode: Some(mode), ..set };
            repairs.finish(entry, &wanted, mode, Some(set).filter(|_| !is_directory).as_ref());
        }
        Ok(vec![undone(entry, Change::Adjust, None, None)])
    }

    /// Whether any of the attributes that a run has set were set back, and those that were not.
    fn facets_to_set(&self, history: &History, entry: &Entry) -> Result<(bool, Wanted), TwoWayError> {
        let (before, after) = (&entry.before.extended, &entry.after.extended);
        let visible = history.visible();
        let (mut is_touched, mut wanted) = (false, Wanted::nothing(visible));
        for facet in after.differing(before).attributes().iter() {
            let Some((old, new)) = before.get(facet).zip(after.get(facet)) else { continue };
            let value = |run, sum: Option<_>| match sum {
                None => Ok(Some(Value::none(facet))),
                Some(sum) => history.value(run, facet, sum),
            };
            let had = value(self.number, new.sum)?;
            let (Some(had), Some(value)) = (had, value(self.run, old.sum)?) else { continue };
            let Ok(now) = Value::at(self.root, &entry.path, (facet, visible)) else { continue };
            if now == value {
                is_touched = true;
            } else if now.is_between(&had, &value) {
                is_touched |= now != had;
                wanted.put(facet, value);
            }
        }
        Ok((is_touched, wanted))
    }

    /// Gives directories what they are to have, deepest first. Returns those that were only opened up.
    fn close(&self, intended: &Intended, closing: &BTreeMap<RelPath, Close>) -> BTreeSet<RelPath> {
        let mut opened = BTreeSet::new();
        for (path, was) in intended.iter().rev() {
            let Ok((own, stamp)) = self.root.open_beneath(path).and_then(|dir| dir.own_stamped()) else {
                continue;
            };
            let had = was.record.attributes.mode;
            let set = match closing.get(path) {
                Some(Close::Made(entry)) => {
                    let meta = meta_before(entry);
                    // What somebody has given it since it keeps, but for the time, which is no edit.
                    let is_new = own.mode & 0o777 == 0o700;
                    if let (Some(repairs), true) = (&self.repairs, is_new) {
                        repairs.put_facets_back(self.run, entry);
                    }
                    if is_new { meta } else { SetMeta { mtime: meta.mtime, ..SetMeta::default() } }
                }
                Some(Close::Adjusted(meta)) => {
                    let wanted = meta.mode.unwrap_or(had);
                    let is_its = [wanted | 0o700, had, had | 0o700].contains(&own.mode);
                    SetMeta { mode: Some(wanted).filter(|_| is_its), ..*meta }
                }
                None => {
                    let is_opened = had & 0o700 != 0o700 && own.mode == had | 0o700;
                    if !was.record.state.is_directory() || !is_opened || !is_same(was, &stamp) {
                        continue;
                    }
                    opened.insert(path.clone());
                    SetMeta { mode: Some(had), ..SetMeta::default() }
                }
            };
            if let Some(repairs) = &self.repairs {
                // If it cannot be closed, the scan finds that, as it finds any other mode.
                let _ = repairs.root.open_beneath_writable(path).and_then(|dir| dir.set_own_meta(&set));
            }
        }
        opened
    }
}

/// Whether what is there is what was there before.
fn is_same(was: &Known, stamp: &crate::fs::Stamp) -> bool {
    was.look.is_none_or(|look| look.stamp.inode() == stamp.inode())
}

/// A directory, and a name in it.
type Place = (WriteDir, Name);

/// Whatever of this cannot be done stays as it is, and the next scan finds it so.
impl Repairs<'_> {
    fn place(&self, path: &RelPath) -> Option<Place> {
        let (above, name) = path.split_last()?;
        Some((self.root.open_beneath_writable(&above).ok()?, name))
    }

    fn run_trash(&self, run: u64) -> Option<WriteDir> {
        self.trash.open_dir_writable(&run_name(run).ok()?).ok()
    }

    /// Where the run that was undone had what was at a path.
    fn old_place(&self, run: u64, entry: &Entry) -> Option<Place> {
        let (above, name) = entry.trashed.as_ref()?.split_last()?;
        Some((self.run_trash(run)?.open_beneath_writable(&above).ok()?, name))
    }

    /// Puts back what was moved away from a path into this directory of the trash.
    fn restore(&self, path: &RelPath, look: &Look, trash: Option<&WriteDir>) {
        if let Some(((dir, name), trash)) = self.place(path).zip(trash) {
            let (dev, ino) = look.stamp.inode();
            let slot = Slot { dir: &dir, name: &name };
            let directory = Expected::Directory { dev, ino };
            if !slot.restore(&Expected::Version(look.stamp), trash).unwrap_or(false) {
                let _ = slot.restore(&directory, trash);
            }
        }
    }

    fn drop_other_name(&self, of: Option<Place>, other: Option<Place>) {
        if let Some(((dir, name), (other_dir, other_name))) = of.zip(other) {
            let other = Slot { dir: &other_dir, name: &other_name };
            let _ = Slot { dir: &dir, name: &name }.drop_other_name(other);
        }
    }

    /// Gives a file that has its old name back the attributes that it had under that.
    fn set_back(&self, path: &RelPath, was: &Record, after: &Record) {
        let Some((dir, name)) = self.place(path) else { return };
        if let Ok(Some(found)) = dir.stamped(&name)
            && let Some(meta) = set_back(was, after, &found.entry.meta, false)
        {
            let _ = dir.set_meta(&name, Kind::File, &meta);
        }
    }

    /// Gives an entry the rest of its attributes.
    fn finish(&self, entry: &Entry, wanted: &Wanted, mode: u32, meta: Option<&SetMeta>) {
        let Some((dir, name)) = self.place(&entry.path) else {
            let _ = wanted.set_at(At::Own(self.root), mode, |_| ());
            return;
        };
        let Some(kind) = entry.before.state.kind() else { return };
        let _ = wanted.set_at(At::Entry(&dir, &name, kind), mode, |_| ());
        let _ = meta.map(|meta| dir.set_meta(&name, kind, meta));
    }

    fn put_facets_back(&self, run: u64, entry: &Entry) {
        if let Some((dir, name)) = self.place(&entry.path) {
            let _ = put_facets_back(self.trash, run, entry, &dir, &name);
        }
    }
}
