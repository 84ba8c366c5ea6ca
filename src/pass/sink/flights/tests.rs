//! Who waits for room, and who is woken.

use super::*;
use crate::pass::sink::batches::Wanted;
use crate::tree::{Gid, Meta, Node, Uid};
use filetime::FileTime;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Long enough for a thread that is not held to get on.
const A_WHILE: Duration = Duration::from_millis(50);

fn flight(index: u32) -> Flight {
    let meta = Meta { mode: 0o644, mtime: FileTime::zero(), uid: Uid::ROOT, gid: Gid::ROOT };
    let name = Name::new(index.to_string().into_bytes()).unwrap();
    let entry = Entry::new(name.clone(), Node::File { size: 1 }, meta);
    let (path, update) = (RelPath::from(name.clone()), Update::none());
    Flight {
        dir: DirId(0),
        index,
        name,
        path,
        entry,
        own: None,
        found: None,
        update,
        leftover: false,
        partial: false,
        appended_to: 0,
        like: None,
        namesake: None,
        candidates: Arc::default(),
        phase: Phase::Fetching,
    }
}

/// Starts `flight` on a thread of its own, which tells when it got on.
fn start<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    flights: &'scope Flights,
    with_basis: bool,
) -> mpsc::Receiver<Result<FileId, Closed>> {
    let (tell, told) = mpsc::channel();
    scope.spawn(move || tell.send(flights.start(flight(99), with_basis)));
    told
}

#[test]
fn no_more_files_than_the_limit_are_in_flight() {
    let flights = Flights::new(Limits { all: 3, with_basis: 2 });
    let ids: Vec<FileId> = (0..3).map(|n| flights.start(flight(n), false).unwrap()).collect();
    thread::scope(|scope| {
        let told = start(scope, &flights, false);
        assert!(told.recv_timeout(A_WHILE).is_err(), "a fourth file started");
        flights.land(ids[0]);
        told.recv().unwrap().unwrap();
    });
}

#[test]
fn no_more_bases_than_their_limit_are_open() {
    let flights = Flights::new(Limits { all: 100, with_basis: 2 });
    let ids: Vec<FileId> = (0..2).map(|n| flights.start(flight(n), true).unwrap()).collect();
    flights.start(flight(2), false).unwrap();
    thread::scope(|scope| {
        let told = start(scope, &flights, true);
        assert!(told.recv_timeout(A_WHILE).is_err(), "a third basis was opened");
        // What was prepared is taken; the place is free only when the file has landed.
        flights.prepared(ids[1]);
        assert!(told.recv_timeout(A_WHILE).is_err(), "a third basis was opened");
        flights.land(ids[1]);
        told.recv().unwrap().unwrap();
    });
}

#[test]
fn every_file_gets_through_the_smallest_limits() {
    let flights = Flights::new(Limits { all: 1, with_basis: 1 });
    thread::scope(|scope| {
        let (tell, told) = mpsc::channel();
        let flights = &flights;
        scope.spawn(move || {
            for n in 0..200 {
                tell.send(flights.start(flight(n), n % 2 == 0).unwrap()).unwrap();
            }
        });
        for id in told {
            flights.land(id);
        }
    });
}

#[test]
fn stopping_wakes_whoever_waits_and_lets_nobody_start() {
    let flights = Flights::new(Limits { all: 1, with_basis: 1 });
    flights.start(flight(0), false).unwrap();
    thread::scope(|scope| {
        let told = start(scope, &flights, false);
        assert!(told.recv_timeout(A_WHILE).is_err());
        flights.stop();
        assert_eq!(told.recv().unwrap(), Err(Closed));
    });
    assert_eq!(flights.start(flight(1), false), Err(Closed));
}

#[test]
fn content_may_come_once_what_is_here_was_signed() {
    let flights = Flights::new(Limits { all: 2, with_basis: 1 });
    let id = flights.start(Flight { phase: Phase::Signing, ..flight(1) }, true).unwrap();
    assert!(matches!(flights.fetched(id), Err(PassError::Protocol(_))));
    flights.prepare(id, Prepared::default());
    assert_eq!(flights.fetched(id).unwrap().index, 1);
}

#[test]
fn a_file_is_known_from_its_start_to_its_landing() {
    let flights = Flights::new(Limits { all: 2, with_basis: 1 });
    let id = flights.start(flight(7), false).unwrap();
    assert_eq!(flights.get(id).unwrap().index, 7);
    flights.replace(id, flight(8));
    assert_eq!(flights.get(id).unwrap().index, 8);
    flights.land(id);
    assert!(matches!(flights.get(id), Err(PassError::Protocol(_))));
    // A peer may name anything.
    assert!(flights.get(FileId(77)).is_err());
    assert!(flights.prepared(FileId(77)).stage.is_none());
    flights.land(FileId(77));
}

fn batch(files: u32) -> Batch {
    let wanted = |index| {
        let Flight { entry, own, update, .. } = flight(index);
        Wanted { index, entry, own, found: None, like: None, update }
    };
    let files: Vec<Wanted> = (0..files).map(wanted).collect();
    Batch {
        asked: crate::pass::sink::batches::Asked::Content,
        dir: DirId(0),
        path: RelPath::root(),
        files: files.into_iter(),
    }
}

#[test]
fn files_in_batches_count_until_they_have_landed() {
    let flights = Flights::new(Limits { all: 3, with_basis: 2 });
    flights.start(flight(0), false).unwrap();
    let id = flights.start_batch(batch(2)).unwrap();
    thread::scope(|scope| {
        let told = start(scope, &flights, false);
        assert!(told.recv_timeout(A_WHILE).is_err(), "a fourth file started");
        let mut part = flights.take(id).unwrap();
        assert!(flights.take(id).is_err(), "it is taken");
        assert_eq!(part.files.next().unwrap().index, 0);
        flights.land_batch(id, part, 1);
        told.recv().unwrap().unwrap();
    });
    let mut rest = flights.take(id).unwrap();
    assert_eq!(rest.files.next().unwrap().index, 1);
    flights.land_batch(id, rest, 1);
    assert!(flights.take(id).is_err(), "all of it has landed");
    assert_eq!(flights.lock().in_flight(), 2);
}

#[test]
fn a_file_that_leaves_its_batch_stays_in_flight() {
    let flights = Flights::new(Limits { all: 2, with_basis: 1 });
    let id = flights.start_batch(batch(2)).unwrap();
    let mut all = flights.take(id).unwrap();
    let out = all.files.by_ref().last().unwrap();
    let file = flights.single_out(out.flight(DirId(0), &RelPath::root(), None, false, Phase::Fetching));
    flights.land_batch(id, all, 1);
    assert_eq!(flights.get(file).unwrap().index, 1);
    assert_eq!(flights.lock().in_flight(), 1);
    flights.land(file);
    assert_eq!(flights.lock().in_flight(), 0);
}

#[test]
fn a_batch_larger_than_the_limit_gets_through() {
    let flights = Flights::new(Limits { all: 2, with_basis: 1 });
    for _ in 0..3 {
        let id = flights.start_batch(batch(100)).unwrap();
        let mut all = flights.take(id).unwrap();
        all.files.by_ref().for_each(drop);
        flights.land_batch(id, all, 100);
    }
    flights.stop();
    assert_eq!(flights.start_batch(batch(1)), Err(Closed));
}
