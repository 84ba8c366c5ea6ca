//! `--conflict=ask`, at a terminal.

use crate::support::terminal::{CTRL_C, Terminal};
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::Tree;
use crate::two_way::{COLUMNS, Two};
use std::thread;
use std::time::Duration;

const PROMPT: &str = "or ? for help: ";

/// Three conflicts, and something that is none.
fn conflicts(way: Way) -> Two {
    let two = Two::met(way, &Tree::new().file("a", "old\n").file("b", "old\n").file("c", "old\n"));
    for name in ["a", "b", "c"] {
        two.write(&format!("left/{name}"), &format!("left {name}\n"));
        two.write(&format!("right/{name}"), &format!("right {name}\n"));
    }
    two.write("left/new", "new\n");
    two
}

fn ask(two: &Two, options: &[&str]) -> Option<Terminal> {
    let options: Vec<&str> = ["-2", "--conflict=ask"].iter().chain(options).copied().collect();
    Terminal::run(&two.way.copy(&options, &[two.scene.path("left")], two.scene.path("right")))
}

#[test]
fn conflicts_are_shown_and_settled_one_by_one() {
    for way in Way::plain() {
        let two = conflicts(way);
        let Some(mut terminal) = ask(&two, &[]) else { return };
        terminal.wait_for("Conflict 1 of 3: a (changed on both sides)");
        terminal.wait_for(PROMPT);
        terminal.write("?\n");
        terminal.wait_for("keep both, one of them under another name");
        terminal.wait_for(PROMPT);
        terminal.write("d\n");
        terminal.wait_for("-left a");
        terminal.wait_for("+right a");
        terminal.wait_for(PROMPT);
        terminal.write("r\n");
        terminal.wait_for("Conflict 2 of 3: b");
        terminal.wait_for(PROMPT);
        assert!(!two.scene.path("right/new").exists(), "nothing is done before all is answered");
        terminal.write("l\n");
        terminal.wait_for("Conflict 3 of 3: c");
        terminal.wait_for(PROMPT);
        terminal.write("b\n");
        terminal.expect(0);
        two.assert_same();
        assert_eq!((two.read("left/a"), two.read("right/b")), ("right a\n".into(), "left b\n".into()));
        let copies = two.paths("left").iter().filter(|path| path.starts_with("c.conflict-")).count();
        assert_eq!((copies, two.read("right/new")), (1, "new\n".into()));
    }
}

#[test]
fn one_answer_may_be_for_all_that_remain() {
    let two = conflicts(Way::LOCAL);
    let Some(mut terminal) = ask(&two, &[]) else { return };
    terminal.wait_for("Conflict 1 of 3");
    terminal.wait_for(PROMPT);
    terminal.write("s\n");
    terminal.wait_for("Conflict 2 of 3");
    terminal.wait_for(PROMPT);
    terminal.write("ar\n");
    let shown = terminal.expect(40);
    assert!(!shown.contains("Conflict 3"), "{shown}");
    assert_eq!((two.read("left/a"), two.read("right/a")), ("left a\n".into(), "right a\n".into()));
    assert_eq!((two.read("left/b"), two.read("left/c")), ("right b\n".into(), "right c\n".into()));
}

#[test]
fn whoever_quits_or_interrupts_has_done_nothing() {
    for way in Way::plain() {
        for (keys, code) in [("q\n", 41), (CTRL_C, 20)] {
            let two = conflicts(way);
            let before = ["left", "right"].map(|side| two.snapshot(side));
            let Some(mut terminal) = ask(&two, &[]) else { return };
            terminal.wait_for(PROMPT);
            terminal.write("l\n");
            terminal.wait_for("Conflict 2 of 3");
            terminal.wait_for(PROMPT);
            terminal.write(keys);
            let shown = terminal.expect(code);
            let last = format!("(code {code})");
            let has_line =
                shown.lines().any(|line| line.starts_with("dsync error: ") && line.contains(&last));
            assert!(has_line, "{way:?} {keys:?}: {shown}");
            for (side, before) in ["left", "right"].into_iter().zip(before) {
                let differences = before.differences(&two.snapshot(side), COLUMNS);
                assert!(differences.is_empty(), "{way:?} {keys:?}: {differences:#?}");
            }
            two.sync(&["--conflict=local"]).success();
            two.assert_same();
        }
    }
}

#[test]
fn the_peer_waits_for_who_thinks_longer_than_its_timeout() {
    let transports = Way::remote().into_iter().filter(|way| way.direction == Direction::Push);
    for way in transports {
        let two = conflicts(way);
        let Some(mut terminal) = ask(&two, &["--timeout=1"]) else { return };
        terminal.wait_for(PROMPT);
        thread::sleep(Duration::from_millis(if way.transport == Transport::Rsh { 3500 } else { 1500 }));
        terminal.write("d\n");
        terminal.wait_for("+right a");
        terminal.wait_for(PROMPT);
        terminal.write("al\n");
        terminal.expect(0);
        two.assert_same();
        assert_eq!(two.read("right/c"), "left c\n");
    }
}
