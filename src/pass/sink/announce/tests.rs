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
