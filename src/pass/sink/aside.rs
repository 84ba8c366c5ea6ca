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
use crate::pass::sink::confirm::Listed;
use crate::pass::sink::directories::Counterpart;
use crate::pass::sink::entry::opened_up;
use crate::pass::sink::flights::Flight;
use crate::tree::{Entry, Kind, Name, Node, RelPath};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Files that wait for the end of the run, by the directory they belong to.
#[derive(Debug, Default)]
pub(super) struct Delayed(Mutex<BTreeMap<RelPath, Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    files: Vec<Held>,
    /// Whether the directory has got the source's time, which renaming changes.
    keeps_time: bool,
}

/// A file that waits.
#[derive(Debug)]
struct Held {
    name: Name,
    /// What it is at the source, and where that is listed, if the source is to hear when it has its name.
    listed: Option<Box<(Listed, RelPath, Node)>>,
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

    /// Whether a file gets its name at the end of the run. One that has several does not, since the others are linked
    /// to it while the run goes on.
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
            let listed = || Box::new((flight.place(), flight.path.clone(), flight.entry.node.clone()));
            let listed = self.confirms().then(listed);
            waiting.files.push(Held { name: flight.name.clone(), listed });
        }
        Ok(held)
    }

    /// Gives all files that wait their names.
    pub(super) fn publish(&self) -> Result<(), PassError> {
        let Some(path) = self.context.options.holding() else { return Ok(()) };
        let delayed = std::mem::take(&mut *self.delayed.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (at, waiting) in delayed {
            let mut named = Vec::new();
            if let Err(error) = self.publish_in(&at, path, &waiting, &mut named) {
                self.tally.failed(&at, &error);
            }
            for (Held { name, listed }, dir) in named {
                if let Some((place, path, node)) = listed.as_deref() {
                    self.confirm_in(*place, path, (name, node), &dir)?;
                }
            }
        }
        Ok(())
    }

    /// Those of one directory. Appends those that have got theirs to `named`.
    fn publish_in<'w>(
        &self,
        at: &RelPath,
        path: &[u8],
        waiting: &'w Waiting,
        named: &mut Vec<(&'w Held, WriteDir)>,
    ) -> Result<(), Error> {
        self.in_finished(at, waiting.keeps_time, |dir| {
            if let Some(aside) = dir.aside(path, self.context.paths)? {
                for held in &waiting.files {
                    let name = &held.name;
                    let kept = self.keep(at, dir, name, Fate::Replaced);
                    let renamed =
                        kept.and_then(|()| Slot { dir: &aside, name }.rename_over(Slot { dir, name }));
                    match renamed {
                        Ok(()) => named.push((held, dir.clone())),
                        Err(error) => self.tally.failed(&at.join(name), &error),
                    }
                }
            }
            dir.remove_aside(path, self.context.paths);
            Ok(())
        })
    }

    /// Changes what is in a directory that is as it was to be in the end, and is to be that again.
    pub(super) fn in_finished<T>(
        &self,
        at: &RelPath,
        keeps_time: bool,
        change: impl FnOnce(&WriteDir) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Counterpart::Writable(dir) = self.counterpart_at(at)? else { return Err(Error::not_listed()) };
        let had = dir.own_meta()?;
        let shut = self.shuts_out(&had);
        if shut {
            dir.set_own_meta(&opened_up(&had))?;
        }
        let changed = change(&dir);
        let mtime = keeps_time.then_some(had.mtime);
        let again = SetMeta { mtime, mode: shut.then_some(had.mode), ..SetMeta::default() };
        let restored = dir.sync_names().and_then(|()| dir.set_own_meta(&again));
        changed.and_then(|changed| restored.map(|()| changed))
    }
}
