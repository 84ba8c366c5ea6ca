//! What runs have replaced and deleted: how much of it there is, and getting rid of it.
//!
//! Every run has a directory of its own in the trash, named by its number, with the paths of the tree in it. What runs
//! are there is told from these directories, so that of a run whose log was lost is found too. Nothing is reached by a
//! symbolic link, and trees of any depth are taken down with a handful of handles: a directory that is found in another
//! is first moved to the top.

use crate::fs::{Dir, Error, SetMeta, Slot, WriteDir};
use crate::tree::{Entry, Kind, Name, Node, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::history::History;
use crate::twoway::replica::Replica;
use filetime::FileTime;
use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// Where the trash is.
pub(in crate::twoway) const TRASH: &str = ".dsync/trash";

/// What a run has in the trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trashed {
    /// The number of the run.
    pub run: u64,
    /// When it was last put there.
    pub at: FileTime,
    /// How much there is.
    pub amount: Amount,
}

/// An amount of trash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// Entries of all kinds.
    pub entries: u64,
    /// Bytes in files.
    pub bytes: u64,
    /// Entries, or directories with all that is in them, that could not be read, or not removed.
    pub failed: u64,
}

impl Amount {
    fn add(&mut self, entry: &Entry) {
        self.entries = self.entries.saturating_add(1);
        if let Node::File { size } = entry.node {
            self.bytes = self.bytes.saturating_add(size);
        }
    }

    fn fail(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    /// Both together.
    pub fn and(self, other: Amount) -> Amount {
        Amount {
            entries: self.entries.saturating_add(other.entries),
            bytes: self.bytes.saturating_add(other.bytes),
            failed: self.failed.saturating_add(other.failed),
        }
    }
}

/// Who is told what could not be removed: where it was, from the top of the replica, and why.
pub type Told<'a> = &'a mut dyn FnMut(&RelPath, &Error);

/// The runs that have something in the trash, by number.
///
/// # Errors
/// The trash cannot be listed. What in it cannot be read is counted.
pub fn list(all: &Dir) -> Result<Vec<Trashed>, TwoWayError> {
    let mut runs = Vec::new();
    for (run, name, at) in directories(all)? {
        let mut amount = Amount::default();
        match all.open_dir(&name) {
            Ok(dir) => measure(&dir, &mut amount),
            Err(_) => amount.fail(),
        }
        if amount != Amount::default() {
            runs.push(Trashed { run, at, amount });
        }
    }
    Ok(runs)
}

/// Removes the trash of those runs.
///
/// # Errors
/// The trash cannot be listed. What cannot be removed is told, and stays.
pub fn empty(
    replica: &Replica,
    which: &dyn Fn(u64, FileTime) -> bool,
    told: Told<'_>,
) -> Result<Amount, TwoWayError> {
    let all = replica.all_trash();
    let mut amount = Amount::default();
    for (_, name, _) in directories(all)?.into_iter().filter(|(run, _, at)| which(*run, *at)) {
        let removed = Removal::new(all, &name, told).run();
        amount = amount.and(removed);
    }
    Ok(amount)
}

/// The greatest number of a run that has anything in the trash; 0 if none has.
///
/// # Errors
/// The trash cannot be listed.
pub fn last(all: &Dir) -> Result<u64, TwoWayError> {
    Ok(directories(all)?.into_iter().map(|(run, ..)| run).max().unwrap_or(0))
}

/// Forgets the logs of runs that began before `before`, with what they have in the trash. The `present` run is not
/// among them, and of what cannot be removed the log stays too, as does that of the last run: a replica that remembers
/// none has lost its past.
///
/// # Errors
/// The trash cannot be listed, or those of the history. What cannot be removed is told.
pub fn expire(
    replica: &Replica,
    history: &mut History,
    (before, present): (FileTime, Option<u64>),
    told: Told<'_>,
) -> Result<Amount, TwoWayError> {
    let (mut old, mut kept) = (BTreeSet::new(), BTreeSet::from_iter(present));
    for run in history.runs()? {
        let run = run?;
        if run.began < before && Some(run.number) != present {
            old.insert(run.number);
        } else {
            kept.insert(run.number);
        }
    }
    let is_old = |run: u64, at: FileTime| old.contains(&run) || (at < before && !kept.contains(&run));
    let amount = empty(replica, &is_old, told)?;
    for (run, ..) in directories(replica.all_trash())? {
        old.remove(&run);
    }
    old.remove(&history.last_run());
    history.forget_runs(&old.into_iter().collect::<Vec<u64>>())?;
    Ok(amount)
}

/// The directories of runs, by number, with the time of the last change in each.
fn directories(all: &Dir) -> Result<Vec<(u64, Name, FileTime)>, TwoWayError> {
    let listing = all.list().map_err(TwoWayError::at(TRASH))?;
    let run = |entry: Entry| {
        let number: u64 = std::str::from_utf8(entry.name.as_bytes()).ok()?.parse().ok()?;
        let is_run = entry.is_dir() && number.to_string().as_bytes() == entry.name.as_bytes();
        is_run.then_some((number, entry.name, entry.meta.mtime))
    };
    let mut runs: Vec<_> = listing.entries.into_iter().filter_map(run).collect();
    runs.sort_by_key(|(number, ..)| *number);
    Ok(runs)
}

/// Counts what is in a directory, at any depth.
fn measure(top: &Dir, amount: &mut Amount) {
    let mut left = vec![RelPath::root()];
    while let Some(path) = left.pop() {
        let Ok(listing) = top.open_beneath(&path).and_then(|dir| dir.list()) else {
            amount.fail();
            continue;
        };
        if !listing.is_whole() {
            amount.fail();
        }
        for entry in listing.entries {
            amount.add(&entry);
            if entry.is_dir() {
                left.push(path.join(&entry.name));
            }
        }
    }
}

/// The removal of one run's trash.
struct Removal<'a, 'b> {
    all: &'a WriteDir,
    run: &'a Name,
    told: Told<'b>,
    amount: Amount,
    /// Directories that are at the top of the run's by now, with the paths they had.
    left: Vec<(Name, RelPath)>,
    /// The last number that was used as a name.
    number: u64,
}

impl<'a, 'b> Removal<'a, 'b> {
    fn new(all: &'a WriteDir, run: &'a Name, told: Told<'b>) -> Removal<'a, 'b> {
        Removal { all, run, told, amount: Amount::default(), left: Vec::new(), number: 0 }
    }

    fn run(mut self) -> Amount {
        let path = format!("{TRASH}/{}", self.run);
        let path = RelPath::new(path.into_bytes()).unwrap_or_default();
        match open(self.all, self.run) {
            Ok(top) => {
                self.clear(&top, &top, &path);
                while let Some((name, path)) = self.left.pop() {
                    match open(&top, &name) {
                        Ok(dir) => self.clear(&top, &dir, &path),
                        Err(error) => self.fail(&path, &error),
                    }
                    self.remove_directory(&top, &name, &path);
                }
            }
            Err(error) => self.fail(&path, &error),
        }
        self.remove_directory(self.all, self.run, &path);
        self.amount
    }

    /// Removes what is in a directory, but for directories, which are moved to the top.
    fn clear(&mut self, top: &WriteDir, dir: &WriteDir, path: &RelPath) {
        let listing = match dir.list() {
            Ok(listing) => listing,
            Err(error) => return self.fail(path, &error),
        };
        for error in listing.failed.iter().map(|(_, error)| error).chain(&listing.broken) {
            self.fail(path, error);
        }
        for entry in listing.entries {
            let at = path.join(&entry.name);
            let done = match entry.kind() {
                Kind::Directory if std::ptr::eq(top, dir) => {
                    self.left.push((entry.name.clone(), at.clone()));
                    Ok(())
                }
                Kind::Directory => self.lift(top, dir, &entry.name, &at),
                kind => dir.remove(&entry.name, kind),
            };
            match done {
                Ok(()) => self.amount.add(&entry),
                Err(error) => self.fail(&at, &error),
            }
        }
    }

    /// Moves a directory to the top, under a name that is free there.
    fn lift(&mut self, top: &WriteDir, dir: &WriteDir, name: &Name, path: &RelPath) -> Result<(), Error> {
        // Only who may write to a directory may give it another parent.
        open(dir, name)?;
        loop {
            self.number = self.number.saturating_add(1);
            let Ok(free) = Name::new(self.number.to_string()) else { return Ok(()) };
            if (Slot { dir, name }).move_to(Slot { dir: top, name: &free })?.is_some() {
                self.left.push((free, path.clone()));
                return Ok(());
            }
        }
    }

    /// What is still in it was told.
    fn remove_directory(&mut self, parent: &WriteDir, name: &Name, path: &RelPath) {
        match parent.remove(name, Kind::Directory) {
            Err(error) if error.kind() != std::io::ErrorKind::DirectoryNotEmpty => self.fail(path, &error),
            _ => {}
        }
    }

    fn fail(&mut self, path: &RelPath, error: &Error) {
        self.amount.fail();
        (self.told)(path, error);
    }
}

/// Opens a directory of the trash, which gets what its owner needs to empty it.
fn open(parent: &WriteDir, name: &Name) -> Result<WriteDir, Error> {
    let dir = parent.open_dir_writable(name)?;
    if dir.own_meta()?.mode & 0o700 == 0o700 {
        return Ok(dir);
    }
    dir.set_own_meta(&SetMeta { mode: Some(0o700), ..SetMeta::default() })?;
    // The handle may be from before it could be read.
    parent.open_dir_writable(name)
}
