//! Directories that the run made in the place of something else, with all that it made in them.
//!
//! What a run made where nothing was stays. But where it made a directory in the place of a file, the file can come
//! back only if the directory goes, and what is in it with it. That goes into the trash, and only if all of it is still
//! as the run made it.

use crate::fs::Dir;
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::history::History;
use crate::twoway::log::Entry;
use crate::twoway::look::compare::is_content;
use crate::twoway::look::undo::work::Renames;
use crate::twoway::look::undo::{FULL, Refusal};
use std::collections::{BTreeMap, BTreeSet};

/// By path what the run made in such a directory.
#[derive(Default)]
pub(super) struct Made(BTreeMap<RelPath, Entry>);

/// Whether the run has made a directory in the place of something else.
pub(super) fn is_in_the_way(entry: &Entry) -> bool {
    let (before, after) = (&entry.before.state, &entry.after.state);
    entry.problem.is_none() && after.is_directory() && before.is_present() && !before.is_directory()
}

impl Made {
    /// Those of a run that are not there under another name only.
    pub(super) fn by(history: &History, run: u64, renames: &Renames) -> Result<Made, TwoWayError> {
        let (mut directories, mut made) = (BTreeSet::new(), BTreeMap::new());
        for entry in history.entries(run)? {
            let entry = entry?;
            if is_in_the_way(&entry) {
                directories.insert(entry.path);
            }
        }
        if directories.is_empty() {
            return Ok(Made(made));
        }
        let is_below = |path: &RelPath| {
            let above = std::iter::successors(path.split_last(), |(above, _)| above.split_last());
            above.into_iter().any(|(above, _)| directories.contains(&above))
        };
        for entry in history.entries(run)? {
            let entry = entry?;
            let is_made = entry.problem.is_none() && entry.after.state.is_present();
            if is_made && !renames.has(&entry) && is_below(&entry.path) {
                made.insert(entry.path.clone(), entry);
            }
        }
        Ok(Made(made))
    }

    /// What the run made below a directory.
    pub(super) fn below(&self, path: &RelPath) -> impl Iterator<Item = &Entry> {
        self.0.values().filter(|made| made.path.is_below(path))
    }

    /// What is in a directory, in the order of a walk, if the run has made all of it and nobody has changed it since.
    pub(super) fn all_in(&self, path: &RelPath, root: &Dir) -> Result<Vec<Entry>, Refusal> {
        let (mut all, mut left) = (Vec::new(), vec![path.clone()]);
        while let Some(above) = left.pop() {
            let dir = root.open_beneath(&above)?;
            let listing = dir.list_stamped()?;
            if !listing.is_whole() {
                return Err(Refusal::Because(FULL));
            }
            for found in listing.entries {
                let at = above.join(&found.entry.name);
                let made = self.0.get(&at).ok_or(Refusal::Because(FULL))?;
                if !is_content(&dir, &found.entry.name, Some(&found), &made.after)? {
                    return Err(Refusal::Because(FULL));
                }
                all.push(made.clone());
                if found.entry.is_dir() {
                    left.push(at);
                }
            }
        }
        all.sort_by(|one, other| one.path.walk_order(&other.path));
        Ok(all)
    }
}
