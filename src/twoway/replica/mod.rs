//! The directory `.dsync` at the top of a tree, which makes it a replica.
//!
//! It holds what one run leaves for the next: `history` (the database), `trash/` (what was replaced or deleted, a
//! directory for each run) and `staging/` (what is being received). It is open to its owner only, and it must be the
//! running user's: whoever can write there decides what is taken for deleted. It is reached by handles, like everything
//! below the root, so no symbolic link leads elsewhere.
//!
//! One run at a time has a replica. It holds a lock of the operating system on `.dsync/lock`, which ends with the
//! process however that ends; the file itself stays, and says who has the lock. Who only [looks](ReadReplica) at a
//! replica shares that lock with others who do, and writes nothing at all.
//!
//! A history is begun under another name, `history.new`, and gets its own when there is a whole one: a database that is
//! only half made could not be told from one that is damaged.

mod begun;
mod lock;
#[cfg(test)]
mod tests;

pub use begun::Begun;

use crate::fs::{Dir, Error, ReadFile, SetMeta, WriteDir, WriteFile};
use crate::tree::{Entry, Kind, Meta, Name, Node, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::crash;
use crate::twoway::history::{History, Origin};
use filetime::FileTime;
use std::sync::Arc;

/// The name of the directory in the root.
const HOME: &str = ".dsync";
const HISTORY: &str = "history";
/// The name of a history that is being begun.
const BEGINNING: &str = "history.new";
const LOCK: &str = "lock";
const STAGING: &str = "staging";
const TRASH: &str = "trash";

/// A tree that takes part in two-way runs, for the time of a run of which it is.
#[derive(Debug)]
pub struct Replica {
    root: WriteDir,
    home: WriteDir,
    staging: WriteDir,
    trash: WriteDir,
    /// Held as long as it is open, or its history is.
    lock: Arc<WriteFile>,
    had_runs: bool,
    /// When the tree was modified before this made a replica of it, if it did.
    made: Option<FileTime>,
}

/// A replica that is only looked at: nothing in it is written.
#[derive(Debug)]
pub struct ReadReplica {
    root: Dir,
    home: Dir,
    /// Held as long as it is open. `None` where no run has ever begun.
    lock: Option<ReadFile>,
    /// Whether there was a history before the lock was looked for. Without a lock one that comes later is still being
    /// written to.
    had_history: bool,
}

impl Replica {
    /// Whether a tree is a replica already.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn is_at(root: &Dir) -> Result<bool, TwoWayError> {
        let found = root.entry(&name(HOME)?).map_err(TwoWayError::at(HOME))?;
        Ok(found.is_some_and(|entry| entry.is_dir()))
    }

    /// Opens the replica at `root`, which becomes one if it is none, and locks it.
    ///
    /// # Errors
    /// Another run has it; what is there is not this user's or no directory; or the file system refuses.
    pub fn open(root: &WriteDir) -> Result<Replica, TwoWayError> {
        lock::while_there(|| Replica::open_once(root))
    }

    fn open_once(root: &WriteDir) -> Result<Replica, TwoWayError> {
        let before =
            if Replica::is_at(root)? { None } else { Some(root.own_meta().map_err(TwoWayError::at(HOME))?) };
        let home = own_directory(root, HOME, HOME)?;
        if let Some(meta) = before {
            // What dsync adds to a tree is no edit. Where the time cannot be set, it is taken for one.
            let _ = root.set_own_meta(&SetMeta { mtime: Some(meta.mtime), ..SetMeta::default() });
        }
        let (lock, had_runs) = lock::take(root, &home)?;
        let lock = Arc::new(lock);
        let part = |part: &str| own_directory(&home, part, &format!("{HOME}/{part}"));
        let (staging, trash) = (part(STAGING)?, part(TRASH)?);
        let made = before.map(|meta| meta.mtime);
        Ok(Replica { root: root.clone(), home, staging, trash, lock, had_runs, made })
    }

    /// Whether it has just been made, as what takes it back.
    pub fn begun(&self) -> Option<Begun> {
        Some(Begun::new(self.root.clone(), self.made?))
    }

    /// Opens the replica at `root` to look at it; `None` if it is none.
    ///
    /// # Errors
    /// A run has it; what is there is not this user's or no directory; or it cannot be read.
    pub fn look(root: &Dir) -> Result<Option<ReadReplica>, TwoWayError> {
        lock::while_there(|| {
            let Some(home) = existing(root, HOME, HOME)? else { return Ok(None) };
            let history = home.entry(&name(HISTORY)?);
            let had_history = history.map_err(TwoWayError::at(format!("{HOME}/{HISTORY}")))?.is_some();
            let lock = lock::share(root, &home)?;
            Ok(Some(ReadReplica { root: root.clone(), home, lock, had_history }))
        })
    }

    /// The tree.
    pub fn root(&self) -> &WriteDir {
        &self.root
    }

    /// Whether another run has opened it before.
    pub fn had_runs(&self) -> bool {
        self.had_runs
    }

    /// When the replica was opened, by the clock of its file system.
    ///
    /// # Errors
    /// The lock cannot be looked at.
    pub fn opened_at(&self) -> Result<FileTime, TwoWayError> {
        Ok(self.lock.stamp().map_err(TwoWayError::at(format!("{HOME}/{LOCK}")))?.mtime)
    }

    /// Opens the history, which is begun if there is none. From then on there always is one: it gets its name when it
    /// is whole.
    ///
    /// # Errors
    /// Those of opening it.
    pub fn history(&self) -> Result<(History, Origin), TwoWayError> {
        let (mut history, origin) = self.open_history()?;
        history.hold(self.lock.clone());
        Ok((history, origin))
    }

    fn open_history(&self) -> Result<(History, Origin), TwoWayError> {
        let at = |name| TwoWayError::at(format!("{HOME}/{name}"));
        let (history, beginning) = (name(HISTORY)?, name(BEGINNING)?);
        let is_begun = |entry: Entry| !matches!(entry.node, Node::File { size: 0 });
        if self.home.entry(&history).map_err(at(HISTORY))?.is_some_and(is_begun) {
            return History::open(self.home.open_in_place(&history).map_err(at(HISTORY))?, &self.root);
        }
        match self.home.remove(&beginning, Kind::File) {
            Err(error) if !error.is_not_found() => return Err(at(BEGINNING)(error)),
            _ => {}
        }
        let begun = History::open(self.home.open_in_place(&beginning).map_err(at(BEGINNING))?, &self.root)?;
        crash::point("history begun");
        self.home.rename(&beginning, &self.home, &history).map_err(at(HISTORY))?;
        crash::point("history named");
        Ok(begun)
    }

    /// The directory for what is being received.
    pub fn staging(&self) -> &WriteDir {
        &self.staging
    }

    /// Clears what a killed run left in the staging directory. What is no file of its own, a directory with something
    /// in it, goes into the trash of this run.
    ///
    /// # Errors
    /// Those of listing, removing and moving.
    pub fn clear_staging(&self, run: u64) -> Result<(), TwoWayError> {
        let at = || TwoWayError::at(format!("{HOME}/{STAGING}"));
        for left in self.staging.list_stamped().map_err(at())?.entries {
            let (entry, stamp) = (left.entry, left.stamp);
            match self.staging.remove(&entry.name, entry.kind()) {
                Err(error) if entry.kind() == Kind::Directory && !error.is_not_found() => {
                    let slot = crate::fs::Slot { dir: &self.staging, name: &entry.name };
                    let expected = crate::fs::Expected::Directory { dev: stamp.dev, ino: stamp.ino };
                    slot.discard(&expected, &self.trash(run)?).map_err(at())?;
                }
                Err(error) if error.is_not_found() => {}
                done => done.map_err(at())?,
            }
        }
        Ok(())
    }

    /// The directory for what a run replaces and deletes.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn trash(&self, run: u64) -> Result<WriteDir, TwoWayError> {
        own_directory(&self.trash, &run.to_string(), &format!("{HOME}/{TRASH}/{run}"))
    }

    /// The directory in a run's trash for what was at this path of the tree, which is made if there is none.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn trash_for(&self, run: u64, path: &RelPath) -> Result<WriteDir, TwoWayError> {
        let at = || TwoWayError::at(format!("{HOME}/{TRASH}/{run}/{path}"));
        let mut dir = self.trash(run)?;
        // Each element of a path is a name.
        for name in path.elements().filter_map(|element| Name::new(element).ok()) {
            dir = made(&dir, &name).map_err(at())?;
        }
        Ok(dir)
    }

    /// The directory in which there is one for each run that replaced or deleted something.
    pub fn all_trash(&self) -> &WriteDir {
        &self.trash
    }
}

impl ReadReplica {
    /// The tree.
    pub fn root(&self) -> &Dir {
        &self.root
    }

    /// Whether a run has ever opened it.
    pub fn had_runs(&self) -> bool {
        self.lock.as_ref().is_some_and(|lock| !lock.is_empty())
    }

    /// When the last run opened the replica, by the clock of its file system. A scan may take that for its own
    /// beginning: it only reads again what it would not need to.
    pub fn opened_at(&self) -> FileTime {
        self.lock.as_ref().map_or(FileTime::zero(), ReadFile::mtime)
    }

    /// Opens the file of the history, if there is one.
    ///
    /// # Errors
    /// Those of opening.
    pub fn history_file(&self) -> Result<Option<ReadFile>, TwoWayError> {
        if self.lock.is_none() && !self.had_history {
            return Ok(None);
        }
        opened(&self.home, HISTORY)
    }

    /// As [`Replica::staging`], if there is any.
    ///
    /// # Errors
    /// It cannot be opened, or is not this user's or no directory.
    pub fn staging(&self) -> Result<Option<Dir>, TwoWayError> {
        existing(&self.home, STAGING, &format!("{HOME}/{STAGING}"))
    }

    /// As [`Replica::all_trash`], if there is any.
    ///
    /// # Errors
    /// It cannot be opened, or is not this user's or no directory.
    pub fn all_trash(&self) -> Result<Option<Dir>, TwoWayError> {
        existing(&self.home, TRASH, &format!("{HOME}/{TRASH}"))
    }
}

/// The directory of that name in a replica's own, which is made for its owner alone if there is none.
pub(super) fn made(parent: &WriteDir, name: &Name) -> Result<WriteDir, Error> {
    match parent.open_dir_writable(name) {
        Err(error) if error.is_not_found() => match parent.make_dir(name, 0o700) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
            _ => parent.open_dir_writable(name),
        },
        opened => opened,
    }
}

/// Opens a file to read it, if there is one.
fn opened(home: &Dir, file: &str) -> Result<Option<ReadFile>, TwoWayError> {
    match home.open_file(&name(file)?) {
        Err(error) if error.is_not_found() => Ok(None),
        opened => opened.map(Some).map_err(TwoWayError::at(format!("{HOME}/{file}"))),
    }
}

/// Opens a directory that only the running user may use, if it is there.
fn existing(parent: &Dir, directory: &str, what: &str) -> Result<Option<Dir>, TwoWayError> {
    let at = || TwoWayError::at(what);
    let directory = name(directory)?;
    let Some(entry) = parent.entry(&directory).map_err(at())? else { return Ok(None) };
    check_directory(&entry, what)?;
    let opened = parent.open_dir(&directory).map_err(at())?;
    check_owner(&opened.own_meta().map_err(at())?, what)?;
    Ok(Some(opened))
}

fn check_directory(entry: &Entry, what: &str) -> Result<(), TwoWayError> {
    if entry.is_dir() { Ok(()) } else { Err(TwoWayError::NoDirectory(what.to_owned())) }
}

fn check_owner(meta: &Meta, what: &str) -> Result<(), TwoWayError> {
    let user = crate::fs::effective_user();
    match meta.uid == user {
        true => Ok(()),
        false => Err(TwoWayError::NotOurs { what: what.to_owned(), owner: meta.uid, user }),
    }
}

fn name(name: &str) -> Result<Name, TwoWayError> {
    Name::new(name).map_err(|_| TwoWayError::NoDirectory(name.to_owned()))
}

/// Opens a directory that only the running user may use, and makes it if there is none.
fn own_directory(parent: &WriteDir, directory: &str, what: &str) -> Result<WriteDir, TwoWayError> {
    let at = || TwoWayError::at(what);
    let directory = name(directory)?;
    match parent.entry(&directory).map_err(at())? {
        None => match parent.make_dir(&directory, 0o700) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.map_err(at())?,
        },
        Some(entry) => check_directory(&entry, what)?,
    }
    let opened = parent.open_dir_writable(&directory).map_err(at())?;
    let meta = opened.own_meta().map_err(at())?;
    check_owner(&meta, what)?;
    if meta.mode & 0o777 != 0o700 {
        opened.set_own_meta(&SetMeta { mode: Some(0o700), ..SetMeta::default() }).map_err(at())?;
        // The handle may be from before it could be read.
        return parent.open_dir_writable(&directory).map_err(at());
    }
    Ok(opened)
}
