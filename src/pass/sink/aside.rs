//! What is not finished, or not to be seen yet, where there is a directory for that (`--partial-dir`,
//! `--delay-updates`).
//!
//! Of a file that an interrupted run has got in part, that part is kept there under the file's own name, and the next
//! run has it for a basis. Files whose names are to change all at once, at the end of the run, wait there too. A
//! directory that goes with each directory of files is made when it is needed and removed when it is empty.

use crate::fs::{Error, ReadFile, SetMeta, Slot, Stage, WriteDir};
use crate::pass::PassError;
use crate::pass::sink::Sink;
use crate::pass::sink::backup::Fate;
use crate::pass::sink::directories::Counterpart;
use crate::pass::sink::entry::opened_up;
use crate::pass::sink::flights::Flight;
use crate::tree::{Entry, Kind, Name, RelPath};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Files that wait for the end of the run, by the directory they belong to.
#[derive(Debug, Default)]
pub(super) struct Delayed(Mutex<BTreeMap<RelPath, Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    names: Vec<Name>,
    /// Whether the directory has got the source's time, which renaming changes.
    keeps_time: bool,
}

/// Whether a directory for partial files belongs to each directory, and not to the whole run.
fn goes_along(path: &[u8]) -> bool {
    !path.starts_with(b"/")
}

impl Sink<'_> {
    /// The directory with parts of files of this one, if there is one that can be opened.
    pub(super) fn partials_of(&self, here: &Counterpart) -> Option<WriteDir> {
        let path = self.context.options.parts()?;
        match here {
            Counterpart::Writable(dir) => dir.aside(path, self.context.paths).ok()?,
            _ => None,
        }
    }

    /// Opens what an earlier run has got of a file.
    pub(super) fn open_partial(&self, dir: &WriteDir, flight: &Flight) -> Option<ReadFile> {
        let path = self.context.options.parts().filter(|_| flight.partial)?;
        dir.aside(path, self.context.paths).ok()??.open_file(&flight.name).ok()
    }

    /// Keeps what there is of a file, of which `len` bytes are right, for the next run: under its own name, or where
    /// there is a place for it, unless there is more already.
    pub(super) fn keep_part(&self, flight: &Flight, stage: Stage, len: u64) -> Result<(), PassError> {
        let mode = SetMeta { mode: flight.update.set.mode, ..SetMeta::default() };
        let dir = self.directories.writable(self, flight.dir)?;
        let kept = dir.and_then(|dir| {
            let Some(path) = self.context.options.parts() else {
                if flight.own.is_some() {
                    self.keep_of(&dir, &flight.path, &flight.name, Fate::Replaced)?;
                }
                stage.set_len(len)?;
                return stage.brought_home(|| true)?.install(&mode);
            };
            if self.open_partial(&dir, flight).is_some_and(|before| before.len() >= len) {
                return Ok(());
            }
            stage.set_len(len)?;
            let stage = stage.brought_home(|| true)?;
            let aside = dir.make_aside(path, self.context.paths)?;
            stage.install_as(&mode, Slot { dir: &aside, name: &flight.name })
        });
        if let Err(error) = kept {
            self.tally.failed(&flight.path, &error);
        }
        Ok(())
    }

    /// Removes the part that was the basis of a file which is complete now.
    pub(super) fn clear_partial(&self, flight: &Flight) -> Result<(), PassError> {
        let Some(path) = self.context.options.parts().filter(|_| flight.partial) else {
            return Ok(());
        };
        let Ok(dir) = self.directories.writable(self, flight.dir)? else { return Ok(()) };
        if let Ok(Some(aside)) = dir.aside(path, self.context.paths) {
            // One that cannot be removed is only in the way of nobody.
            let _ = aside.remove(&flight.name, Kind::File);
        }
        if goes_along(path) {
            dir.remove_aside(path, self.context.paths);
        }
        Ok(())
    }

    /// Whether files get their names at the end of the run.
    pub(super) fn delays(&self) -> bool {
        self.context.options.delay_updates
    }

    /// Whether files may wait in directories of this name.
    pub(super) fn holds_delayed(&self, name: &Name) -> bool {
        self.context.options.holding() == Some(name.as_bytes())
    }

    /// Whether a file gets its name at the end of the run. One that has several does not, since the others are linked to
    /// it while the run goes on.
    pub(super) fn delays_file(&self, entry: &Entry) -> bool {
        self.delays() && !self.may_be_linked(entry)
    }

    /// Has a file that is complete, with its attributes, wait for the end of the run, or installs it if nothing waits.
    pub(super) fn delay(
        &self,
        flight: &Flight,
        stage: Stage,
        set: &SetMeta,
    ) -> Result<Result<(), Error>, PassError> {
        let path = self.context.options.holding().filter(|_| self.delays_file(&flight.entry));
        let Some(path) = path else { return Ok(stage.install(set)) };
        let (at, keeps_time) = self.directories.with(flight.dir, |dir| (dir.path.clone(), dir.keeps_time))?;
        let held = self.directories.writable(self, flight.dir)?.and_then(|dir| {
            let aside = dir.make_aside(path, self.context.paths)?;
            stage.install_as(set, Slot { dir: &aside, name: &flight.name })
        });
        if held.is_ok() {
            let mut delayed = self.delayed.0.lock().unwrap_or_else(PoisonError::into_inner);
            let waiting = delayed.entry(at).or_default();
            waiting.keeps_time = keeps_time;
            waiting.names.push(flight.name.clone());
        }
        Ok(held)
    }

    /// Gives all files that wait their names.
    pub(super) fn publish(&self) {
        let Some(path) = self.context.options.holding() else { return };
        let delayed = std::mem::take(&mut *self.delayed.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, waiting) in delayed {
            if let Err(error) = self.publish_in(&at, path, &waiting) {
                self.tally.failed(&at, &error);
            }
        }
    }

    fn publish_in(&self, at: &RelPath, path: &[u8], waiting: &Waiting) -> Result<(), Error> {
        let Counterpart::Writable(dir) = self.counterpart_at(at)? else { return Ok(()) };
        // It is as it was to be in the end, and is to be that again.
        let had = dir.own_meta()?;
        let shut = self.shuts_out(&had);
        if shut {
            dir.set_own_meta(&opened_up(&had))?;
        }
        if let Some(aside) = dir.aside(path, self.context.paths)? {
            for name in &waiting.names {
                let kept = self.keep(at, &dir, name, Fate::Replaced);
                let renamed =
                    kept.and_then(|()| Slot { dir: &aside, name }.rename_over(Slot { dir: &dir, name }));
                if let Err(error) = renamed {
                    self.tally.failed(&at.join(name), &error);
                }
            }
        }
        dir.remove_aside(path, self.context.paths);
        dir.sync_names()?;
        let mtime = waiting.keeps_time.then_some(had.mtime);
        dir.set_own_meta(&SetMeta { mtime, mode: shut.then_some(had.mode), ..SetMeta::default() })
    }
}
