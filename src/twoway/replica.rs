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

use crate::fs::{Dir, Error, ReadFile, SetMeta, WriteDir, WriteFile};
use crate::tree::{Entry, Kind, Meta, Name, RelPath};
use crate::twoway::TwoWayError;
use filetime::FileTime;
use std::time::{Duration, Instant};

/// The name of the directory in the root.
const HOME: &str = ".dsync";
const HISTORY: &str = "history";
const LOCK: &str = "lock";
const STAGING: &str = "staging";
const TRASH: &str = "trash";

/// How long a lock that somebody has is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// How much of the lock's text is told to who is refused.
const MOST_TEXT: usize = 300;

/// A tree that takes part in two-way runs, for the time of a run of which it is.
#[derive(Debug)]
pub struct Replica {
    root: WriteDir,
    home: WriteDir,
    staging: WriteDir,
    trash: WriteDir,
    /// Held as long as it is open.
    lock: WriteFile,
    had_runs: bool,
    /// When the tree was modified before this made a replica of it, if it did.
    made: Option<FileTime>,
}

/// A tree that has just been made a replica. It is none any more when this is dropped, unless it is to [stay](Begun::keep)
/// one: what a guard refuses leaves nothing behind.
#[derive(Debug)]
pub struct Begun {
    root: WriteDir,
    before: Option<FileTime>,
}

/// A replica that is only looked at: nothing in it is written.
#[derive(Debug)]
pub struct ReadReplica {
    root: Dir,
    home: Dir,
    /// Held as long as it is open. `None` where no run has ever begun.
    lock: Option<ReadFile>,
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
        let before =
            if Replica::is_at(root)? { None } else { Some(root.own_meta().map_err(TwoWayError::at(HOME))?) };
        let home = own_directory(root, HOME, HOME)?;
        if let Some(meta) = before {
            // What dsync adds to a tree is no edit. Where the time cannot be set, it is taken for one.
            let _ = root.set_own_meta(&SetMeta { mtime: Some(meta.mtime), ..SetMeta::default() });
        }
        let (lock, had_runs) = lock(&home)?;
        let part = |part: &str| own_directory(&home, part, &format!("{HOME}/{part}"));
        let (staging, trash) = (part(STAGING)?, part(TRASH)?);
        let made = before.map(|meta| meta.mtime);
        Ok(Replica { root: root.clone(), home, staging, trash, lock, had_runs, made })
    }

    /// Whether it has just been made, as what takes it back.
    pub fn begun(&self) -> Option<Begun> {
        Some(Begun { root: self.root.clone(), before: Some(self.made?) })
    }

    /// Opens the replica at `root` to look at it; `None` if it is none.
    ///
    /// # Errors
    /// A run has it; what is there is not this user's or no directory; or it cannot be read.
    pub fn look(root: &Dir) -> Result<Option<ReadReplica>, TwoWayError> {
        let Some(home) = existing(root, HOME, HOME)? else { return Ok(None) };
        let at = || TwoWayError::at(format!("{HOME}/{LOCK}"));
        let lock = opened(&home, LOCK)?;
        if let Some(lock) = &lock
            && !patiently(|| lock.lock_shared()).map_err(at())?
        {
            return Err(TwoWayError::InUse { holder: holder(&|text| lock.read_full_at(text, 0)) });
        }
        Ok(Some(ReadReplica { root: root.clone(), home, lock }))
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

    /// Opens the file of the history, which is created if there is none.
    ///
    /// # Errors
    /// Those of opening.
    pub fn history_file(&self) -> Result<WriteFile, TwoWayError> {
        self.home.open_in_place(&name(HISTORY)?).map_err(TwoWayError::at(format!("{HOME}/{HISTORY}")))
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

impl Begun {
    /// The tree stays a replica.
    pub fn keep(mut self) {
        self.before = None;
    }

    fn take_back(&self, before: FileTime) -> Result<(), Error> {
        let name = |name| Name::new(name).ok();
        let Some(own) = name(HOME) else { return Ok(()) };
        let home = self.root.open_dir_writable(&own)?;
        for part in [HISTORY, LOCK, STAGING, TRASH] {
            let kind = if matches!(part, STAGING | TRASH) { Kind::Directory } else { Kind::File };
            match name(part).map(|part| home.remove(&part, kind)) {
                Some(Err(error)) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        self.root.remove(&own, Kind::Directory)?;
        self.root.set_own_meta(&SetMeta { mtime: Some(before), ..SetMeta::default() })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // What cannot be taken back is an empty history, which the next run goes on with.
            let _ = self.take_back(before);
        }
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
        opened(&self.home, HISTORY)
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
    let user = rustix::process::geteuid().as_raw();
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

/// Tries to have a lock for a moment: a run that has just ended may still be going away, on another host or in a process
/// that it was starting.
fn patiently(take: impl Fn() -> Result<bool, Error>) -> Result<bool, Error> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if take()? {
            return Ok(true);
        }
        std::thread::sleep(PATIENCE / 30);
    }
    take()
}

/// Takes the lock and says in it who has it; and returns whether anybody had it before.
fn lock(home: &WriteDir) -> Result<(WriteFile, bool), TwoWayError> {
    let at = || TwoWayError::at(format!("{HOME}/{LOCK}"));
    let lock = home.open_in_place(&name(LOCK)?).map_err(at())?;
    if !patiently(|| lock.lock()).map_err(at())? {
        // Nobody who only looks has written who that is.
        let holder = match lock.lock_shared().map_err(at())? {
            true => " (to look at it)".to_owned(),
            false => holder(&|text| lock.read_full_at(text, 0)),
        };
        return Err(TwoWayError::InUse { holder });
    }
    let had_runs = lock.stamp().map_err(at())?.size > 0;
    let host = crate::fs::host_name();
    let text = format!("process {} on {host}\n", std::process::id());
    lock.set_len(0).and_then(|()| lock.write_at(text.as_bytes(), 0)).map_err(at())?;
    Ok((lock, had_runs))
}

/// What the lock says about who has it.
fn holder(read: &dyn Fn(&mut [u8]) -> std::io::Result<usize>) -> String {
    let mut text = [0; MOST_TEXT];
    let read = read(&mut text).unwrap_or(0);
    let text = String::from_utf8_lossy(text.get(..read).unwrap_or_default());
    match text.lines().next() {
        Some(line) if !line.is_empty() => format!(" ({})", crate::tree::Escaped(line.as_bytes())),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Links, Root};
    use crate::testing::{is_root, missing};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
    use std::path::Path;

    fn root(at: &Path) -> WriteDir {
        Root::open(at.as_os_str(), Links::Trusted).unwrap().writable().unwrap()
    }

    #[test]
    fn it_is_made_on_first_use_for_its_owner_alone() {
        let at = tempfile::tempdir().unwrap();
        assert!(!Replica::is_at(&root(at.path())).unwrap());
        let before = fs::metadata(at.path()).unwrap().modified().unwrap();
        let replica = Replica::open(&root(at.path())).unwrap();
        assert!(Replica::is_at(&root(at.path())).unwrap());
        assert_eq!(fs::metadata(at.path()).unwrap().modified().unwrap(), before);
        replica.trash(7).unwrap();
        replica.history_file().unwrap();
        for part in [".dsync", ".dsync/trash", ".dsync/trash/7", ".dsync/staging"] {
            assert_eq!(fs::metadata(at.path().join(part)).unwrap().permissions().mode() & 0o777, 0o700);
        }
        for part in [".dsync/history", ".dsync/lock"] {
            assert_eq!(fs::metadata(at.path().join(part)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        drop(replica);
        fs::set_permissions(at.path().join(".dsync"), fs::Permissions::from_mode(0o777)).unwrap();
        Replica::open(&root(at.path())).unwrap();
        assert_eq!(fs::metadata(at.path().join(".dsync")).unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn one_run_at_a_time_has_it_and_says_who() {
        let at = tempfile::tempdir().unwrap();
        let first = Replica::open(&root(at.path())).unwrap();
        let error = Replica::open(&root(at.path())).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {} on ", std::process::id())), "{error}");
        drop(first);
        Replica::open(&root(at.path())).unwrap();
    }

    #[test]
    fn several_may_look_at_it_while_no_run_has_it() {
        let at = tempfile::tempdir().unwrap();
        assert!(Replica::look(&root(at.path())).unwrap().is_none());
        assert_eq!(fs::read_dir(at.path()).unwrap().count(), 0);
        let run = Replica::open(&root(at.path())).unwrap();
        let error = Replica::look(&root(at.path())).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {} on ", std::process::id())), "{error}");
        let began = run.opened_at().unwrap();
        drop(run);
        let one = Replica::look(&root(at.path())).unwrap().unwrap();
        let other = Replica::look(&root(at.path())).unwrap().unwrap();
        assert_eq!((one.opened_at(), one.history_file().unwrap().is_none()), (began, true));
        let error = Replica::open(&root(at.path())).unwrap_err().to_string();
        assert!(error.ends_with("(to look at it)"), "{error}");
        drop((one, other));
        Replica::open(&root(at.path())).unwrap();
    }

    #[test]
    fn what_is_no_directory_is_refused_and_stays() {
        let elsewhere = tempfile::tempdir().unwrap();
        for part in [".dsync", ".dsync/trash", ".dsync/staging"] {
            let at = tempfile::tempdir().unwrap();
            if part != ".dsync" {
                fs::create_dir(at.path().join(".dsync")).unwrap();
            }
            symlink(elsewhere.path(), at.path().join(part)).unwrap();
            let error = Replica::open(&root(at.path())).unwrap_err();
            assert!(matches!(error, TwoWayError::NoDirectory(what) if what == part));
            assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
            assert!(!Replica::is_at(&root(at.path())).unwrap() || part != ".dsync");
            let looked = Replica::look(&root(at.path())).and_then(|found| found.unwrap().all_trash());
            assert_eq!(looked.is_err(), part != ".dsync/staging");
        }
        for part in ["history", "lock"] {
            let at = tempfile::tempdir().unwrap();
            fs::create_dir(at.path().join(".dsync")).unwrap();
            symlink(elsewhere.path().join("file"), at.path().join(".dsync").join(part)).unwrap();
            let opened = Replica::open(&root(at.path())).and_then(|replica| replica.history_file());
            assert!(opened.is_err());
            assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn somebody_elses_is_refused() {
        if !is_root() {
            return missing("root, to give a directory away");
        }
        let at = tempfile::tempdir().unwrap();
        fs::create_dir(at.path().join(".dsync")).unwrap();
        chown(at.path().join(".dsync"), Some(65_534), None).unwrap();
        let error = Replica::open(&root(at.path())).unwrap_err();
        assert!(matches!(error, TwoWayError::NotOurs { owner: 65_534, user: 0, .. }));
        assert_eq!(Replica::look(&root(at.path())).unwrap_err().to_string(), error.to_string());
    }

    #[test]
    fn what_was_staged_is_cleared_and_a_full_directory_kept() {
        let at = tempfile::tempdir().unwrap();
        let replica = Replica::open(&root(at.path())).unwrap();
        let staging = at.path().join(".dsync/staging");
        fs::write(staging.join("file"), "x").unwrap();
        symlink("nowhere", staging.join("link")).unwrap();
        fs::create_dir(staging.join("empty")).unwrap();
        fs::create_dir(staging.join("full")).unwrap();
        fs::write(staging.join("full/inside"), "kept").unwrap();
        replica.clear_staging(3).unwrap();
        assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
        assert_eq!(fs::read(at.path().join(".dsync/trash/3/full/inside")).unwrap(), b"kept");
        assert_eq!(fs::read_dir(at.path().join(".dsync/trash/3")).unwrap().count(), 1);
    }
}
