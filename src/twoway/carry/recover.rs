//! After a run that was killed: what was intended and is there counts as done, and nothing that was being made is left.

use crate::fs::{Dir, SetMeta, Stamp, Stamped, WriteDir, stage_name};
use crate::tree::{Name, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::attributes::node;
use crate::twoway::carry::{Settings, kind};
use crate::twoway::history::{History, Look};
use crate::twoway::record::{ContentSum, Record, State};
use crate::twoway::replica::Replica;
use crate::twoway::scan;
use crate::twoway::trash;
use filetime::FileTime;
use std::sync::atomic::AtomicBool;

/// Bytes read at once.
const BUFFER: usize = 256 * 1024;

/// Takes over what a killed run did and did not record, and clears what it staged. This comes before a scan.
///
/// # Errors
/// Those of the history, and of clearing the staging directory.
pub fn recover(replica: &Replica, history: &mut History, settings: &Settings) -> Result<(), TwoWayError> {
    history.count_runs_after(trash::last(replica.all_trash())?);
    replica.clear_staging(history.last_run())?;
    let mut intents = history.intents()?;
    if intents.is_empty() {
        return Ok(());
    }
    // A directory is closed after what is in it was looked at.
    intents.sort_by(|(one, _), (other, _)| other.walk_order(one));
    let recovery = Recovery { replica, settings, began: replica.opened_at()? };
    let mut done = Vec::new();
    for (path, intended) in intents {
        let before = history.known(&path)?.map(|known| known.record);
        match recovery.found(&path, &intended, before.as_ref()) {
            Some(look) => done.push((path, look)),
            None => recovery.close_again(&path, before.as_ref()),
        }
    }
    history.recover(&done)
}

struct Recovery<'a> {
    replica: &'a Replica,
    settings: &'a Settings,
    began: FileTime,
}

impl Recovery<'_> {
    /// How what is intended at a path looks, if it is there, which may be nothing. What cannot be looked at is not.
    fn found(&self, path: &RelPath, intended: &Record, before: Option<&Record>) -> Option<Option<Look>> {
        if intended.state.is_directory() {
            return self.directory(path, intended, before).map(Some);
        }
        let is_removal = intended.state == State::Absent && !intended.occupied;
        let (parent, name) = path.split_last()?;
        let parent = match self.replica.root().open_beneath_writable(&parent) {
            Ok(parent) => parent,
            // Nor is anything below what is no directory any more.
            Err(error) => {
                let is_gone = error.is_not_found() || error.kind() == std::io::ErrorKind::NotADirectory;
                return (is_removal && is_gone).then_some(None);
            }
        };
        // What somebody else writes there is none of this run's.
        let _ = parent.clear_staged(&stage_name(&name));
        match parent.stamped(&name).ok()? {
            None => is_removal.then_some(None),
            Some(found) => self.is_there(&parent, &name, intended, &found).map(Some),
        }
    }

    fn is_there(&self, parent: &Dir, name: &Name, intended: &Record, found: &Stamped) -> Option<Look> {
        let has_mode = !self.settings.perms
            || matches!(intended.state, State::Symlink { .. })
            || found.entry.meta.mode == intended.attributes.mode;
        if !has_mode || kind(intended) != Some(found.entry.kind()) {
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

    /// A directory that is as intended, or was only not finished.
    fn directory(&self, path: &RelPath, intended: &Record, before: Option<&Record>) -> Option<Look> {
        let dir = self.replica.root().open_beneath_writable(path).ok()?;
        let own = dir.own_meta().ok()?;
        let mode = intended.attributes.mode;
        if self.settings.perms && own.mode != mode {
            // Only a mode that a run gives for its own time is not the user's.
            let is_for_a_while = match before.filter(|before| before.state.is_directory()) {
                None => own.mode & 0o777 == ((mode & 0o777) | 0o700) & !self.settings.umask,
                Some(before) => {
                    let was = before.attributes.mode;
                    was & 0o700 != 0o700 && own.mode == was | 0o700
                }
            };
            if !is_for_a_while {
                return None;
            }
            set_mode(&dir, mode)?;
        }
        let mtime = Some(intended.mtime).filter(|mtime| *mtime != own.mtime);
        dir.set_own_meta(&SetMeta { mtime, ..SetMeta::default() }).ok()?;
        Some(self.look(dir.own_stamped().ok()?.1, true))
    }

    /// A directory that was opened up for something that was not done.
    fn close_again(&self, path: &RelPath, before: Option<&Record>) {
        let Some(before) = before.filter(|before| before.state.is_directory()) else { return };
        let mode = before.attributes.mode;
        if mode & 0o700 == 0o700 {
            return;
        }
        // If it cannot be closed, the scan finds that, as it finds any other mode.
        if let Ok(dir) = self.replica.root().open_beneath_writable(path)
            && dir.own_meta().is_ok_and(|own| own.mode == mode | 0o700)
        {
            let _ = set_mode(&dir, mode);
        }
    }

    fn look(&self, stamp: Stamp, settled: bool) -> Look {
        let look = scan::look(stamp, self.began);
        Look { settled: look.settled || settled, ..look }
    }
}

fn set_mode(dir: &WriteDir, mode: u32) -> Option<()> {
    dir.set_own_meta(&SetMeta { mode: Some(mode), ..SetMeta::default() }).ok()
}

fn content(file: &crate::fs::ReadFile) -> Option<ContentSum> {
    let pieces = file.pieces(0..file.len());
    let mut buffer = pieces.buffer(BUFFER);
    scan::sum(pieces, &AtomicBool::new(false), &mut buffer).ok()
}
