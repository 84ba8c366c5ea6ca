//! The order of events.

use super::*;
use std::thread;

/// Keeps what notices say.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Reporter for Heard {
    fn report(&self, event: Event) {
        if let Event::Notice(text) = event {
            self.0.lock().unwrap().push(text);
        }
    }
}

fn announcer() -> (Announcer, Arc<Heard>) {
    let heard = Arc::new(Heard::default());
    (Announcer::new(heard.clone()), heard)
}

fn notice(text: impl Into<String>) -> Event {
    Event::Notice(text.into())
}

fn heard(heard: &Heard) -> String {
    heard.0.lock().unwrap().join(" ")
}

#[test]
fn an_event_is_said_at_once_if_nothing_is_open() {
    let (announcer, ear) = announcer();
    announcer.say(notice("a"));
    announcer.say(notice("b"));
    assert_eq!(heard(&ear), "a b");
}

#[test]
fn events_wait_for_what_was_listed_before_them() {
    let (announcer, ear) = announcer();
    announcer.say(notice("a"));
    announcer.keep_place(Place::File(FileId(1)));
    announcer.say(notice("c"));
    announcer.keep_place(Place::File(FileId(2)));
    announcer.say(notice("e"));
    assert_eq!(heard(&ear), "a");
    announcer.fill(FileId(2), Some(notice("d")));
    assert_eq!(heard(&ear), "a", "the first place is still open");
    announcer.fill(FileId(1), Some(notice("b")));
    assert_eq!(heard(&ear), "a b c d e");
    announcer.say(notice("f"));
    assert_eq!(heard(&ear), "a b c d e f");
}

#[test]
fn a_place_with_nothing_to_say_holds_nobody_up() {
    let (announcer, ear) = announcer();
    announcer.keep_place(Place::File(FileId(1)));
    announcer.keep_place(Place::File(FileId(2)));
    announcer.say(notice("c"));
    announcer.fill(FileId(1), None);
    assert_eq!(heard(&ear), "");
    announcer.fill(FileId(2), None);
    assert_eq!(heard(&ear), "c");
}

#[test]
fn a_place_that_was_not_kept_is_not_filled() {
    let (announcer, ear) = announcer();
    announcer.fill(FileId(1), Some(notice("x")));
    assert_eq!(heard(&ear), "");
}

#[test]
fn the_order_stands_whichever_thread_is_first() {
    let (announcer, ear) = announcer();
    let files: Vec<u32> = (0..100).collect();
    for file in &files {
        announcer.keep_place(Place::File(FileId(*file)));
    }
    thread::scope(|scope| {
        for half in 0..2 {
            let (announcer, files) = (&announcer, &files);
            scope.spawn(move || {
                for file in files.iter().rev().filter(|file| *file % 2 == half) {
                    announcer.fill(FileId(*file), Some(notice(file.to_string())));
                }
            });
        }
    });
    let expected: Vec<String> = files.iter().map(u32::to_string).collect();
    assert_eq!(heard(&ear), expected.join(" "));
}

#[test]
fn who_has_too_much_to_say_waits_until_the_place_is_filled() {
    let (announcer, ear) = announcer();
    announcer.keep_place(Place::File(FileId(1)));
    thread::scope(|scope| {
        let speaker = scope.spawn(|| (0..=HELD).for_each(|_| announcer.say(notice("x"))));
        thread::sleep(std::time::Duration::from_millis(50));
        assert!(!speaker.is_finished());
        announcer.fill(FileId(1), None);
        speaker.join().unwrap();
    });
    assert_eq!(ear.0.lock().unwrap().len(), HELD + 1);
}

#[test]
fn nobody_waits_in_a_run_that_was_stopped() {
    let (announcer, _ear) = announcer();
    announcer.keep_place(Place::File(FileId(1)));
    announcer.stop();
    (0..=HELD).for_each(|_| announcer.say(notice("x")));
}

#[test]
fn a_directory_is_told_in_its_place_with_all_that_is_below() {
    let (announcer, ear) = announcer();
    announcer.say(notice("a"));
    for dir in [1, 2] {
        announcer.keep_place(Place::Dir(DirId(dir)));
    }
    announcer.say(notice("z"));
    announcer.go_to(Some(DirId(2)));
    announcer.say(notice("y"));
    announcer.go_to(Some(DirId(1)));
    announcer.say(notice("b"));
    announcer.keep_place(Place::Dir(DirId(3)));
    announcer.say(notice("d"));
    assert_eq!(heard(&ear), "a b");
    announcer.go_to(Some(DirId(3)));
    announcer.say(notice("c"));
    announcer.go_to(None);
    assert_eq!(heard(&ear), "a b c d y z");
}

#[test]
fn a_directory_without_a_place_is_told_at_the_end() {
    let (announcer, ear) = announcer();
    announcer.keep_place(Place::Dir(DirId(1)));
    announcer.go_to(Some(DirId(2)));
    announcer.say(notice("b"));
    announcer.go_to(Some(DirId(1)));
    announcer.say(notice("a"));
    announcer.go_to(None);
    assert_eq!(heard(&ear), "a b");
}

#[test]
fn what_is_listed_before_an_open_directory_waits_for_files_in_it() {
    let (announcer, ear) = announcer();
    announcer.keep_place(Place::Dir(DirId(1)));
    announcer.keep_place(Place::Dir(DirId(2)));
    announcer.say(notice("i"));
    announcer.go_to(Some(DirId(1)));
    announcer.say(notice("a"));
    announcer.keep_place(Place::Dir(DirId(3)));
    announcer.keep_place(Place::File(FileId(1)));
    announcer.go_to(Some(DirId(2)));
    announcer.say(notice("h"));
    announcer.go_to(Some(DirId(3)));
    announcer.say(notice("b"));
    announcer.keep_place(Place::File(FileId(2)));
    announcer.keep_place(Place::Dir(DirId(4)));
    announcer.say(notice("f"));
    announcer.go_to(Some(DirId(4)));
    announcer.say(notice("d"));
    announcer.keep_place(Place::File(FileId(3)));
    announcer.go_to(None);
    assert_eq!(heard(&ear), "a b");
    announcer.fill(FileId(3), Some(notice("e")));
    announcer.fill(FileId(1), Some(notice("g")));
    announcer.fill(FileId(2), Some(notice("c")));
    assert_eq!(heard(&ear), "a b c d e f g h i");
    let held = announcer.lock();
    assert_eq!((held.turns, held.bytes, held.telling.len(), held.dirs.len()), (0, 0, 0, 0));
    assert!(held.queues.keys().all(Option::is_none));
}

/// Numbered lines, each as long, behind a directory that never comes: what is held back has a bound, and all is heard
/// that goes beyond it, in its order.
fn flood(lines: usize, len: usize) {
    let (announcer, ear) = announcer();
    announcer.keep_place(Place::Dir(DirId(1)));
    announcer.keep_place(Place::Dir(DirId(2)));
    announcer.go_to(Some(DirId(2)));
    let line = |n: usize| format!("{n:0len$}");
    for n in 0..lines {
        announcer.say(notice(line(n)));
        let held = announcer.lock();
        assert!(held.turns < MOST_TURNS && held.bytes < MOST_BYTES, "{} {}", held.turns, held.bytes);
    }
    announcer.go_to(None);
    assert!(ear.0.lock().unwrap().iter().enumerate().all(|(n, heard)| *heard == line(n)));
    assert_eq!(ear.0.lock().unwrap().len(), lines);
}

#[test]
fn too_many_lines_behind_a_directory_are_let_through() {
    flood(MOST_TURNS + 1000, 6);
}

#[test]
fn too_long_lines_behind_a_directory_are_let_through() {
    flood(MOST_BYTES / 4096 + 10, 4096);
}

#[test]
fn places_beyond_the_bound_are_not_kept_and_those_of_files_stand() {
    let (announcer, ear) = announcer();
    announcer.keep_place(Place::File(FileId(1)));
    for dir in 0..=MOST_TURNS {
        announcer.keep_place(Place::Dir(DirId(u32::try_from(dir).unwrap())));
    }
    assert_eq!(announcer.lock().turns, MOST_TURNS);
    announcer.fill(FileId(1), Some(notice("a")));
    announcer.keep_place(Place::Dir(DirId(1)));
    announcer.say(notice("c"));
    announcer.go_to(Some(DirId(1)));
    announcer.say(notice("b"));
    announcer.go_to(None);
    assert_eq!(heard(&ear), "a b c", "there is an order again");
}

#[test]
fn a_listing_without_a_place_is_not_gone_to() {
    let (announcer, _ear) = announcer();
    announcer.keep_place(Place::Dir(DirId(1)));
    announcer.go_to(Some(DirId(2)));
    assert_eq!(announcer.lock().at, None);
}

#[test]
fn who_waits_goes_on_when_all_files_are_told_although_a_directory_is_not() {
    let (announcer, ear) = announcer();
    announcer.keep_place(Place::Dir(DirId(1)));
    announcer.keep_place(Place::File(FileId(1)));
    (1..HELD).for_each(|_| announcer.say(notice("x")));
    let (sender, receiver) = std::sync::mpsc::channel();
    let announcer = Arc::new(announcer);
    let speaker = announcer.clone();
    thread::spawn(move || {
        speaker.say(notice("y"));
        sender.send(()).unwrap();
    });
    assert!(receiver.recv_timeout(std::time::Duration::from_millis(50)).is_err(), "it waits");
    announcer.fill(FileId(1), None);
    receiver.recv_timeout(std::time::Duration::from_secs(60)).expect("it goes on");
    assert_eq!(heard(&ear), "");
    announcer.go_to(Some(DirId(1)));
    announcer.go_to(None);
    assert_eq!(ear.0.lock().unwrap().len(), HELD);
}
