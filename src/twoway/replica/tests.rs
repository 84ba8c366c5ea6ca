//! A replica is opened, locked, looked at and cleared.

use super::*;
use crate::fs::{Links, Root};
use crate::testing::{is_root, missing};
use crate::tree::Uid;
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
    replica.history().unwrap();
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

/// Closing a database writes to it.
#[test]
fn it_is_locked_as_long_as_its_history_is_open() {
    let at = tempfile::tempdir().unwrap();
    let replica = Replica::open(&root(at.path())).unwrap();
    let (history, _) = replica.history().unwrap();
    drop(replica);
    assert!(matches!(Replica::look(&root(at.path())), Err(TwoWayError::InUse { .. })));
    drop(history);
    assert!(Replica::look(&root(at.path())).unwrap().is_some());
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
        let opened = Replica::open(&root(at.path())).and_then(|replica| replica.history());
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
    assert!(matches!(error, TwoWayError::NotOurs { owner: Uid(65_534), user: Uid::ROOT, .. }));
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

/// What a run leaves that is killed while the database is made, which is first long and then anything.
#[test]
fn a_history_that_was_only_begun_is_begun_again() {
    let at = tempfile::tempdir().unwrap();
    drop(Replica::open(&root(at.path())).unwrap());
    let own = at.path().join(".dsync");
    for left in [&[0; 100_000][..], b"redb", b""] {
        fs::write(own.join("history.new"), left).unwrap();
        let looked_at = Replica::look(&root(at.path())).unwrap().unwrap();
        assert!(looked_at.history_file().unwrap().is_none());
        drop(looked_at);
        let replica = Replica::open(&root(at.path())).unwrap();
        assert_eq!(replica.history().unwrap().1, Origin::New);
        assert_eq!(replica.history().unwrap().1, Origin::Known);
        assert!(!own.join("history.new").exists());
        fs::remove_file(own.join("history")).unwrap();
    }
}

#[test]
fn who_waited_for_one_that_was_taken_back_makes_another() {
    let at = tempfile::tempdir().unwrap();
    let first = Replica::open(&root(at.path())).unwrap();
    let begun = first.begun().unwrap();
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| Replica::open(&root(at.path())).unwrap());
        std::thread::sleep(std::time::Duration::from_millis(100));
        first.history().unwrap();
        drop(begun);
        assert_eq!(fs::read_dir(at.path()).unwrap().count(), 0);
        drop(first);
        waiting.join().unwrap()
    });
    waiting.history().unwrap();
    assert!(waiting.begun().map(Begun::keep).is_some());
    let parts = fs::read_dir(at.path().join(".dsync")).unwrap();
    assert_eq!(parts.count(), 4, "history, lock, staging and trash");
    let error = Replica::look(&root(at.path())).unwrap_err();
    assert!(matches!(error, TwoWayError::InUse { .. }), "{error}");
}
