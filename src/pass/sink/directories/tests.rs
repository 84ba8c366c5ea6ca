//! Handles given up, and directories settled.

use super::*;
use crate::fs::{Links, Root};

/// Directories `0..count`, each with a handle.
fn open(handles: usize, count: u32) -> (Directories, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let root = Root::open(place.path().as_os_str(), Links::Trusted).unwrap();
    let directories = Directories::new(handles);
    for id in 0..count {
        let counterpart = Counterpart::Writable(root.writable().unwrap());
        directories.insert(DirId(id), OpenDir::new(RelPath::root(), None, counterpart));
    }
    (directories, place)
}

fn is_closed(directories: &Directories, id: u32) -> bool {
    directories.with(DirId(id), |dir| matches!(dir.counterpart, Counterpart::Closed)).unwrap()
}

#[test]
fn the_oldest_handles_are_given_up() {
    let (directories, _place) = open(3, 5);
    let closed: Vec<bool> = (0..5).map(|id| is_closed(&directories, id)).collect();
    assert_eq!(closed, [true, true, false, false, false]);
}

#[test]
fn what_was_never_there_has_no_handle_to_give_up() {
    let (directories, _place) = open(1, 1);
    for id in 1..4 {
        directories.insert(DirId(id), OpenDir::new(RelPath::root(), None, Counterpart::Absent));
    }
    assert!(!is_closed(&directories, 0));
    assert!(directories.with(DirId(2), |dir| matches!(dir.counterpart, Counterpart::Absent)).unwrap());
}

#[test]
fn a_directory_is_settled_when_nothing_in_it_is_unsettled() {
    let (directories, _place) = open(2, 1);
    directories.with(DirId(0), |dir| dir.unsettled = 3).unwrap();
    assert!(directories.take_settled(DirId(0), 1).unwrap().is_none());
    assert!(directories.take_settled(DirId(0), 1).unwrap().is_none());
    assert!(directories.take_settled(DirId(0), 1).unwrap().is_some());
    // Whatever names it afterwards breaks the protocol.
    assert!(directories.take_settled(DirId(0), 1).is_err());
    assert!(directories.with(DirId(0), |_| ()).is_err());
}

#[test]
fn a_settled_directory_makes_room_for_another_handle() {
    let (directories, place) = open(2, 2);
    assert!(directories.take_settled(DirId(1), 1).unwrap().is_some());
    let root = Root::open(place.path().as_os_str(), Links::Trusted).unwrap();
    let counterpart = Counterpart::Writable(root.writable().unwrap());
    directories.insert(DirId(2), OpenDir::new(RelPath::root(), None, counterpart));
    assert!(!is_closed(&directories, 0));
}
