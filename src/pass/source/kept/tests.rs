//! The window of kept listings.

use super::*;
use crate::tree::filter::Rules;
use crate::view::View;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Keeps a listing that takes `cost` bytes.
fn keep(kept: &KeptListings, id: u32, cost: u64) {
    let dir = View::open(&[], Rules::new(), true).0.root();
    kept.insert(DirId(id), Arc::new(Kept { dir, listing: ViewListing::default(), cost }));
}

fn waits(kept: &KeptListings) -> bool {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        scope.spawn(move || tell.send(kept.wait_for_room().is_ok()));
        let waits = told.recv_timeout(Duration::from_millis(50)).is_err();
        kept.stop();
        waits
    })
}

#[test]
fn the_directories_above_the_current_one_do_not_count() {
    let kept = KeptListings::default();
    (0..100).for_each(|id| keep(&kept, id, WINDOW));
    kept.leave(DirId(99));
    assert!(!waits(&kept), "one window is allowed to be full");
}

#[test]
fn the_walk_waits_until_the_sink_closes_what_it_left_behind() {
    let kept = KeptListings::default();
    (0..2).for_each(|id| keep(&kept, id, WINDOW));
    (0..2).for_each(|id| kept.leave(DirId(id)));
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let kept = &kept;
        scope.spawn(move || tell.send(kept.wait_for_room()));
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        kept.close(DirId(0)).unwrap();
        assert_eq!(told.recv().unwrap(), Ok(()));
    });
    assert!(kept.get(DirId(0)).is_none());
    assert!(kept.get(DirId(1)).is_some());
}

#[test]
fn what_is_closed_before_the_walk_leaves_it_never_counts() {
    let kept = KeptListings::default();
    for id in 0..10 {
        keep(&kept, id, WINDOW);
        kept.close(DirId(id)).unwrap();
        kept.leave(DirId(id));
    }
    assert!(!waits(&kept));
}

#[test]
fn closing_a_directory_above_makes_no_room() {
    let kept = KeptListings::default();
    (0..2).for_each(|id| keep(&kept, id, WINDOW * 2));
    kept.leave(DirId(1));
    kept.close(DirId(0)).unwrap();
    assert!(waits(&kept));
}

#[test]
fn stopping_ends_the_waiting() {
    let kept = KeptListings::default();
    keep(&kept, 0, WINDOW + 1);
    kept.leave(DirId(0));
    assert!(waits(&kept));
    assert_eq!(kept.wait_for_room(), Err(Closed));
    assert!(kept.is_stopped());
}

#[test]
fn closing_what_is_not_open_breaks_the_protocol() {
    let kept = KeptListings::default();
    keep(&kept, 3, 1);
    assert!(kept.close(DirId(4)).is_err());
    kept.close(DirId(3)).unwrap();
    assert!(kept.close(DirId(3)).is_err());
}
