//! The lock that one run at a time has of a replica, and all who only look at it share.
//!
//! It is one of the operating system, on a file that says who has it. A run that takes back what it made of a tree
//! removes that file too, with somebody perhaps waiting for it: so who has got a lock makes sure that it is still the
//! replica's, and begins again if it is not.

use crate::fs::{Dir, Error, ReadFile, Stamp, WriteDir, WriteFile};
use crate::twoway::TwoWayError;
use crate::twoway::replica::{HOME, LOCK, name, opened};
use std::io;
use std::time::{Duration, Instant};

/// How long a lock that somebody has is waited for: a busy machine takes its time to end a process.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between two attempts to have it.
const PAUSE: Duration = Duration::from_millis(10);

/// How often a replica may be taken away between opening and locking it.
const ATTEMPTS: usize = 10;

/// How much of the lock's text is told to who is refused.
const MOST_TEXT: usize = 300;

/// Opens a replica, again if it was taken away meanwhile.
pub(super) fn while_there<T>(open: impl Fn() -> Result<T, TwoWayError>) -> Result<T, TwoWayError> {
    for _ in 1..ATTEMPTS {
        match open() {
            Err(TwoWayError::Files { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
    }
    open()
}

/// Sees to it that what was locked is the replica at `root`, and not one that was taken back before.
fn check_place(root: &Dir, home: &Dir, lock: &Stamp) -> Result<(), TwoWayError> {
    let at = || TwoWayError::at(format!("{HOME}/{LOCK}"));
    let is_here = root.open_dir(&name(HOME)?).map_err(at())?.identity().map_err(at())?
        == home.identity().map_err(at())?;
    let found = home.stamped(&name(LOCK)?).map_err(at())?;
    let is_same = found.is_some_and(|found| (found.stamp.dev, found.stamp.ino) == (lock.dev, lock.ino));
    if is_here && is_same {
        return Ok(());
    }
    let source = io::Error::new(io::ErrorKind::NotFound, "it was taken away meanwhile");
    Err(TwoWayError::Files { doing: "locking", what: format!("{HOME}/{LOCK}"), source })
}

/// Tries to have a lock for a moment: a run that has just ended may still be going away, on another host or in a
/// process that it was starting.
fn patiently(take: impl Fn() -> Result<bool, Error>) -> Result<bool, Error> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if take()? {
            return Ok(true);
        }
        std::thread::sleep(PAUSE);
    }
    take()
}

/// Takes the lock of a run and says in it who has it; and returns whether anybody had it before.
pub(super) fn take(root: &Dir, home: &WriteDir) -> Result<(WriteFile, bool), TwoWayError> {
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
    let stamp = lock.stamp().map_err(at())?;
    check_place(root, home, &stamp)?;
    let had_runs = stamp.size > 0;
    let host = crate::fs::host_name();
    let text = format!("process {} on {host}\n", std::process::id());
    lock.set_len(0).and_then(|()| lock.write_at(text.as_bytes(), 0)).map_err(at())?;
    Ok((lock, had_runs))
}

/// Shares the lock with others who look; `None` if there is none.
pub(super) fn share(root: &Dir, home: &Dir) -> Result<Option<ReadFile>, TwoWayError> {
    let at = || TwoWayError::at(format!("{HOME}/{LOCK}"));
    let Some(lock) = opened(home, LOCK)? else { return Ok(None) };
    if !patiently(|| lock.lock_shared()).map_err(at())? {
        return Err(TwoWayError::InUse { holder: holder(&|text| lock.read_full_at(text, 0)) });
    }
    check_place(root, home, &lock.stamp())?;
    Ok(Some(lock))
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
