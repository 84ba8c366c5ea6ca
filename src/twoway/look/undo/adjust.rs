//! Setting attributes back that a run has set.

use crate::fs::{SetMeta, WriteDir};
use crate::tree::{Kind, Meta, Name};
use crate::twoway::carry::run_name;
use crate::twoway::facet::{At, Facets, Value, Visible, Wanted};
use crate::twoway::history::History;
use crate::twoway::log::Entry;
use crate::twoway::look::compare::{is_alike, set_back};
use crate::twoway::look::undo::{ATTRIBUTES_LOST, CHANGED, HIDDEN, Refusal, UNSET, Undo};

/// What is to be set of an entry that is there.
pub(super) struct ToSet {
    dir: WriteDir,
    /// Where in that directory it is; `None` if it is that itself.
    place: Option<(Name, Kind)>,
    mode: u32,
    pub(super) meta: SetMeta,
    pub(super) wanted: Wanted,
}

impl ToSet {
    /// The entry.
    pub(super) fn at(&self) -> At<'_> {
        match &self.place {
            Some((name, kind)) => At::Entry(&self.dir, name, *kind),
            None => At::Own(&self.dir),
        }
    }

    fn set_meta(&self, meta: &SetMeta) -> Result<(), Refusal> {
        match &self.place {
            Some((name, kind)) => self.dir.set_meta(name, *kind, meta)?,
            None => self.dir.set_own_meta(meta)?,
        }
        Ok(())
    }
}

impl Undo<'_> {
    /// What is to be set back of an entry, if anything is.
    pub(super) fn attributes_back(&mut self, entry: &Entry) -> Result<Option<ToSet>, Refusal> {
        let before = &entry.before;
        let (dir, place, mut now): (_, _, Meta) = match entry.path.is_root() {
            true => {
                let root = self.replica.root();
                (root.clone(), None, root.own_meta()?)
            }
            false => {
                let (_, dir, name) = self.place(&entry.path)?;
                let found = dir.stamped(&name)?.filter(|found| is_alike(&found.entry, &before.state));
                let found = found.ok_or(Refusal::Because(CHANGED))?;
                (dir, Some((name, found.entry.kind())), found.entry.meta)
            }
        };
        if let Some(mode) = self.closing.mode_before(&entry.path) {
            now.mode = mode;
        }
        let meta = set_back(before, &entry.after, &now, before.state.is_directory());
        let meta = meta.ok_or(Refusal::Because(CHANGED))?;
        let mut set = ToSet {
            dir,
            place,
            mode: meta.mode.unwrap_or(now.mode),
            meta,
            wanted: Wanted::nothing(self.history.visible()),
        };
        set.wanted = facets_before(self.history, self.run, entry, set.at())?;
        Ok(Some(set).filter(|set| !set.meta.is_empty() || !set.wanted.is_empty()))
    }

    /// Sets those attributes back that the run has set. Whether there were any.
    pub(super) fn adjust(&mut self, entry: &Entry) -> Result<bool, Refusal> {
        let Some(set) = self.attributes_back(entry)? else { return Ok(false) };
        if !set.wanted.is_empty() {
            let mut failed = None;
            set.wanted.set_at(set.at(), set.mode, |error| failed = Some(error.to_string()))?;
            if failed.is_some() {
                return Err(Refusal::Because(UNSET));
            }
        }
        if entry.before.state.is_directory() {
            // Its owner can go on working in it until all is done.
            let opened = SetMeta { mode: set.meta.mode.map(|mode| mode | 0o700), mtime: None, ..set.meta };
            set.set_meta(&opened)?;
            self.closing.set(entry.path.clone(), set.meta);
        } else {
            set.set_meta(&set.meta)?;
        }
        Ok(true)
    }
}

/// The attributes that the run has set others in place of, where these are still there.
fn facets_before(history: &History, run: u64, entry: &Entry, at: At<'_>) -> Result<Wanted, Refusal> {
    let (before, after) = (&entry.before.extended, &entry.after.extended);
    let (facets, visible) = (after.differing(before).attributes(), history.visible());
    let seen = Wanted::of(at, facets, visible)?;
    let mut wanted = Wanted::nothing(visible);
    for facet in facets.iter() {
        // What nobody had looked at nobody can put back.
        let Some((old, new)) = before.get(facet).zip(after.get(facet)) else { continue };
        match seen.sum(facet).flatten() {
            sum if sum == old.sum => continue,
            sum if sum == new.sum => {}
            _ => return Err(Refusal::Because(CHANGED)),
        }
        let value = match old.sum {
            None => Value::none(facet),
            Some(sum) => history.value(run, facet, sum)?.ok_or(Refusal::Because(ATTRIBUTES_LOST))?,
        };
        if !visible.shows_all_of(&value) {
            return Err(Refusal::Because(HIDDEN));
        }
        wanted.put(facet, value);
    }
    Ok(wanted)
}

/// What a directory that is made again gets when all in it is done.
pub(super) fn meta_before(entry: &Entry) -> SetMeta {
    let (owner, group) = entry.before.attributes.owner;
    let (mode, mtime) = (Some(entry.before.attributes.mode), Some(entry.before.mtime));
    SetMeta { mode, owner, group, mtime, atime: None }
}

/// Gives a directory that is made again the attributes of the one in the trash of the run.
pub(super) fn put_facets_back(
    trash: &WriteDir,
    run: u64,
    entry: &Entry,
    dir: &WriteDir,
    name: &Name,
) -> Result<(), Refusal> {
    let Some(trashed) = &entry.trashed else { return Ok(()) };
    let like = trash.open_dir_writable(&run_name(run)?).and_then(|run| run.open_beneath_writable(trashed));
    let Ok(like) = like else { return Ok(()) };
    let wanted = Wanted::of(At::Own(&like), Facets::held_by(&like), &Visible::ALL)?;
    // What cannot be set is less than what is back.
    wanted.set_at(At::Entry(dir, name, Kind::Directory), entry.before.attributes.mode, |_| ())?;
    Ok(())
}
