//! The window of kept listings.

use super::*;
use crate::request::Options;
use crate::tree::{BUCKET_SUM_LEN, BucketSum};
use crate::view::View;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Keeps a listing that takes `cost` bytes.
fn keep(kept: &KeptListings, id: u32, cost: u64) {
    let dir = View::open(&[], None, &Options::default(), crate::fs::Links::Trusted).unwrap().0.root();
    kept.insert(DirId(id), Arc::new(Kept { dir, parent: None, listing: ViewListing::default(), cost }), true);
}

fn waits(kept: &KeptListings) -> bool {
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        scope.spawn(move || tell.send(kept.turn().is_ok()));
        let waits = told.recv_timeout(Duration::from_millis(50)).is_err();
        kept.stop();
        waits
    })
}

#[test]
fn the_directories_above_the_current_one_do_not_count() {
    let kept = KeptListings::default();
    (0..100).for_each(|id| keep(&kept, id, WINDOW));
    kept.leave(DirId(99), DirId(99));
    assert!(!waits(&kept), "one window is allowed to be full");
}

#[test]
fn the_walk_waits_until_the_sink_closes_what_it_left_behind() {
    let kept = KeptListings::default();
    (0..2).for_each(|id| keep(&kept, id, WINDOW));
    (0..2).for_each(|id| kept.leave(DirId(id), DirId(id)));
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let kept = &kept;
        scope.spawn(move || tell.send(kept.turn()));
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        kept.close(DirId(0)).unwrap();
        assert_eq!(told.recv().unwrap(), Ok(None));
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
        kept.leave(DirId(id), DirId(id));
    }
    assert!(!waits(&kept));
}

#[test]
fn closing_a_directory_above_makes_no_room() {
    let kept = KeptListings::default();
    (0..2).for_each(|id| keep(&kept, id, WINDOW * 2));
    kept.leave(DirId(1), DirId(1));
    kept.close(DirId(0)).unwrap();
    assert!(waits(&kept));
}

#[test]
fn stopping_ends_the_waiting() {
    let kept = KeptListings::default();
    keep(&kept, 0, WINDOW + 1);
    kept.leave(DirId(0), DirId(0));
    assert!(waits(&kept));
    assert_eq!(kept.turn(), Err(Closed));
}

#[test]
fn closing_what_is_not_open_breaks_the_protocol() {
    let kept = KeptListings::default();
    keep(&kept, 3, 1);
    assert!(kept.close(DirId(4)).is_err());
    kept.close(DirId(3)).unwrap();
    assert!(kept.close(DirId(3)).is_err());
}

/// Ten directories that were only mentioned, 1 to 9 below 0, and the walk is in 5.
fn mentioned() -> KeptListings {
    let kept = KeptListings::default();
    for id in 0..10 {
        let dir = View::open(&[], None, &Options::default(), crate::fs::Links::Trusted).unwrap().0.root();
        let listing = Kept { dir, parent: None, listing: ViewListing::default(), cost: 1 };
        kept.insert(DirId(id), Arc::new(listing), false);
    }
    kept.leave(DirId(2), DirId(4));
    kept
}

fn asked(kept: &KeptListings, id: u32, below: bool) -> Vec<u32> {
    kept.ask(Expand { dir: DirId(id), below, sums: Vec::new() }).unwrap();
    let expand = kept.turn().unwrap().unwrap();
    kept.take_asked(expand.dir, expand.below).into_iter().map(|(id, _)| id.0).collect()
}

#[test]
fn what_is_asked_for_is_sent_once() {
    let kept = mentioned();
    assert_eq!(asked(&kept, 3, false), [3]);
    assert!(kept.ask(Expand { dir: DirId(3), below: false, sums: Vec::new() }).is_err());
    assert_eq!(asked(&kept, 2, true), [2, 4]);
    kept.close(DirId(7)).unwrap();
    assert_eq!(asked(&kept, 0, true), [0, 1, 5, 6, 8, 9]);
    assert!(kept.ask(Expand { dir: DirId(9), below: false, sums: Vec::new() }).is_err());
    assert!(kept.ask(Expand { dir: DirId(10), below: false, sums: Vec::new() }).is_err());
}

#[test]
fn sums_without_entries_are_not_kept() {
    let kept = mentioned();
    let sums = vec![BucketSum([7; BUCKET_SUM_LEN])];
    kept.ask(Expand { dir: DirId(3), below: false, sums }).unwrap();
    assert_eq!(kept.turn(), Ok(Some(Expand { dir: DirId(3), below: false, sums: Vec::new() })));
}

#[test]
fn a_walk_that_waits_for_room_sends_what_is_asked_for() {
    let kept = mentioned();
    keep(&kept, 10, WINDOW * 2);
    kept.leave(DirId(10), DirId(10));
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let kept = &kept;
        scope.spawn(move || tell.send(kept.turn()));
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        let expand = Expand { dir: DirId(1), below: false, sums: Vec::new() };
        kept.ask(expand.clone()).unwrap();
        assert_eq!(told.recv().unwrap(), Ok(Some(expand)));
    });
}

#[test]
fn a_walk_that_is_through_waits_until_all_is_closed() {
    let kept = mentioned();
    kept.all_listed();
    assert_eq!(asked(&kept, 1, false), [1]);
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let kept = &kept;
        scope.spawn(move || tell.send(kept.turn()));
        assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
        (0..10).for_each(|id| kept.close(DirId(id)).unwrap());
        assert_eq!(told.recv().unwrap(), Ok(None));
    });
    assert!(kept.is_done());
}
