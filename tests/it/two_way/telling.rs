//! What a run says, and what can be done with it.

use crate::support::command::{Invocation, binary};
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::Two;
use rustix::fs::{FileType, Mode};
use std::fs;
use std::path::Path;

/// Names that mean something to a shell, to a pattern, or to the terminal.
const ODD: [&str; 5] = ["it's", "a b=newer", "[x]*?", "line\nend", "back\\slash"];

fn conflicts_in_odd_names(way: Way) -> Two {
    let base = ODD.iter().fold(Tree::new(), |tree, name| tree.file(name, "base"));
    let two = Two::met(way, &base);
    for name in ODD {
        two.write(&format!("left/{name}"), "left");
        two.write(&format!("right/{name}"), "right");
    }
    two
}

#[test]
fn the_command_that_is_told_settles_the_conflicts() {
    for way in Way::plain() {
        let two = conflicts_in_odd_names(way);
        let told = two.sync(&[]).expect(40).err();
        let command = told.lines().find(|line| line.starts_with("  dsync ")).unwrap();
        let words = command.trim_start().strip_prefix("dsync").unwrap();
        let script = format!("\"$0\" {words}");
        let binary = binary().as_os_str().to_owned();
        Invocation::new(Path::new("/bin/bash"), ["-c".into(), script.into(), binary]).run().success();
        two.assert_same();
        for name in ODD {
            assert_eq!(two.read(&format!("right/{name}")), "left", "{way:?}: {name:?}");
        }
    }
}

#[test]
fn a_dry_run_shows_the_plan_and_does_nothing() {
    for way in Way::plain() {
        let two = Two::met(way, &Tree::new().file("a", "one").file("b", "two"));
        two.write("left/a", "changed");
        two.remove("right/b");
        two.write("right/c", "new");
        let before = [two.snapshot("left"), two.snapshot("right")];
        let shown = two.sync(&["-n"]).success().out();
        for line in ["  updated     a\n", "  deleted     b\n", "  new         c\n"] {
            assert!(shown.contains(line), "{line:?} in {shown}");
        }
        assert_eq!([two.snapshot("left"), two.snapshot("right")], before);
        assert_eq!(two.sync(&[]).success().out(), "");
        two.assert_same();
        assert_eq!(two.sync(&[]).success().out(), "");
        assert!(two.sync(&["-v"]).success().out().contains(" are in sync\n"));
    }
}

/// The log has the whole plan, also where nothing is shown of it, or something else is.
#[test]
fn the_log_has_the_plan_however_the_run_is_shown() {
    for options in [&[][..], &["-q"], &["-v"], &["--json"]] {
        let left = (0..30).fold(Tree::new(), |tree, n| tree.file(format!("f{n}"), "new"));
        let two = Two::new(Way::LOCAL, &left, &Tree::new().directory("dir"));
        let log = two.scene.path("log");
        let option = format!("--log-file={}", log.display());
        two.sync(&[options, &[&option]].concat()).success();
        let logged = || {
            let text = fs::read_to_string(&log).unwrap();
            text.lines().map(|line| line.split_once("] ").unwrap().1.to_owned()).collect::<Vec<_>>()
        };
        let first = logged();
        assert!(first[0].starts_with("comparing ") && first[0].contains(" and "), "{options:?}: {first:?}");
        for n in 0..30 {
            assert!(first.contains(&format!("  new         f{n}")), "{options:?}: {first:?}");
        }
        assert!(first.contains(&"  new         dir/".to_owned()), "{options:?}: {first:?}");
        assert!(first.last().is_some_and(|line| line.starts_with("sent ")), "{options:?}: {first:?}");
        two.sync(&[options, &[&option]].concat()).success();
        let second = &logged()[first.len()..];
        assert!(second.iter().any(|line| line.ends_with(" are in sync")), "{options:?}: {second:?}");
    }
}

#[test]
fn a_plan_is_carried_out_later() {
    for way in Way::plain() {
        let two = Two::met(way, &Tree::new().file("a", "one").file("b", "two"));
        two.write("left/a", "left");
        two.write("right/a", "right's");
        two.write("left/b", "changed");
        let plan = two.scene.path("plan");
        let plan = plan.to_str().unwrap();
        two.sync(&["-n", "--conflict=larger", &format!("--plan={plan}")]).success();
        two.write("left/c", "made after the plan");
        two.sync(&[&format!("--apply={plan}")]).success();
        assert_eq!((two.read("left/a"), two.read("right/b")), ("right's".into(), "changed".into()));
        assert!(!two.scene.path("right/c").exists(), "what the plan does not know of is not done");
        two.sync(&[]).success();
        two.assert_same();
    }
}

/// Two that have never met have no names yet: those in the plan are not the ones that they get.
#[test]
fn a_plan_of_a_first_meeting_is_carried_out_later() {
    let left = Tree::new().file("both", "same").file("d/mine", "1").file("differs", "left").file("x", "1");
    let right = Tree::new().file("both", "same").file("d/theirs", "2").file("differs", "the right one");
    for way in Way::plain() {
        let two = Two::new(way, &left, &right);
        let plan = two.scene.path("plan").into_os_string().into_string().unwrap();
        two.sync(&["-n", "--conflict=keep-both", &format!("--plan={plan}")]).success();
        assert!(!two.scene.path("left/.dsync").exists());
        two.write("left/x", "edited meanwhile");
        let apply = format!("--apply={plan}");
        let output = two.sync(&[&apply]).expect(23);
        assert!(output.err().contains("x: it has changed since the plan was made"), "{output}");
        let copies = |paths: Vec<String>| paths.iter().filter(|path| path.contains(".conflict-")).count();
        assert_eq!((copies(two.paths("left")), copies(two.paths("right"))), (1, 1), "{output}");
        assert_eq!((two.read("left/d/theirs"), two.read("right/d/mine")), ("2".into(), "1".into()));
        assert!(!two.scene.path("right/x").exists());
        let again = two.sync(&["-v"]).success();
        assert_eq!(changes(&again.out()), ["  new         x"], "{again}");
        two.assert_same();
        let output = two.sync(&[&apply]).expect(41);
        assert!(output.err().contains("before these had been in a run"), "{output}");
    }
}

#[test]
fn a_command_merges_two_files() {
    for way in Way::plain() {
        let two = Two::met(way, &Tree::new().file("list.txt", "b\n"));
        two.write("left/list.txt", "b\na\n");
        two.write("right/list.txt", "b\nc\n");
        let fails = "--conflict=merge=echo lost > \"$MERGED\"; exit 1";
        two.sync(&[fails]).expect(40);
        assert_eq!(
            (two.read("left/list.txt"), two.read("right/list.txt")),
            ("b\na\n".into(), "b\nc\n".into())
        );
        two.sync(&["--conflict-for=*.txt=merge=sort -u \"$LOCAL\" \"$REMOTE\" > \"$MERGED\""]).success();
        two.assert_same();
        assert_eq!(two.read("right/list.txt"), "a\nb\nc\n");
    }
}

/// So says a dry run, also before the two have met: it merges as well, and throws that away.
#[test]
fn a_dry_run_knows_that_a_command_merges() {
    for way in Way::plain() {
        let two = Two::new(way, &Tree::new().file("list.txt", "a\n"), &Tree::new().file("list.txt", "c\n"));
        let merges = "--conflict=merge=sort -u \"$LOCAL\" \"$REMOTE\" > \"$MERGED\"";
        let output = two.sync(&["-n", merges]).expect(0);
        assert!(output.out().contains("1 updated"), "{output}");
        assert_eq!((two.read("left/list.txt"), two.read("right/list.txt")), ("a\n".into(), "c\n".into()));
        assert!(!two.scene.path("left/.dsync").exists());
        two.sync(&[merges]).expect(0);
        assert_eq!(two.read("left/list.txt"), "a\nc\n");
        two.assert_same();
    }
}

/// What a plan says of removals it says of those that are found again later.
#[test]
fn a_plan_of_removals_is_carried_out_later() {
    for way in Way::plain() {
        for side in ["left", "right"] {
            let two = Two::met(way, &Tree::new().file("gone", "1").file("dir/gone", "2").file("old", "3"));
            two.remove(&format!("{side}/gone"));
            two.remove(&format!("{side}/dir"));
            two.rename(&format!("{side}/old"), &format!("{side}/new"));
            let plan = two.scene.path("plan");
            let plan = plan.to_str().unwrap();
            two.sync(&["-n", "--allow-mass-delete", &format!("--plan={plan}")]).success();
            two.sync(&["--allow-mass-delete", &format!("--apply={plan}")]).success();
            two.assert_same();
            assert_eq!(two.paths("left"), ["new"], "{way:?}");
            let again = two.sync(&["-v"]).success();
            assert!(again.out().contains("in sync"), "{again}");
        }
    }
}

/// What a killed run did and had no time to record is no edit, also to who may not record it.
#[test]
fn after_a_killed_run_a_dry_run_shows_what_the_next_one_does() {
    let tree = (0..6).fold(Tree::new(), |tree, n| tree.file(format!("dir/{n}"), "old"));
    for at in (1..200).step_by(4) {
        let two = Two::met_in_memory(Way::LOCAL, &tree);
        for n in 0..3 {
            two.write(&format!("left/dir/{n}"), "edited");
        }
        two.write("right/new/file", "new");
        two.remove("right/dir/5");
        two.chmod("right/dir", 0o750);
        let (left, right) = (two.scene.path("left"), two.scene.path("right"));
        let killed = two.way.copy(&["-2"], &[left], right).variable("DSYNC_CRASH_AT", at).run();
        let shown = two.sync(&["-n"]).success().out();
        let done = two.sync(&["-v"]).success().out();
        assert_eq!(changes(&shown), changes(&done), "{at}: {killed}\n{shown}\n{done}");
        two.assert_same();
        if killed.signal.is_none() {
            assert!(at > 20, "{killed}");
            return;
        }
    }
    panic!("more points than can be");
}

/// The lines that tell of a path each.
fn changes(shown: &str) -> Vec<&str> {
    shown.lines().filter(|line| line.starts_with("  ")).collect()
}

#[test]
fn what_a_plan_does_not_fit_any_more_is_found_again() {
    let trees = Tree::new().file("d/a", "a").file("d/b", "b").file("x", "x").file("y", "y");
    for way in Way::plain() {
        let two = Two::met(way, &trees);
        let plan = two.scene.path("plan").into_os_string().into_string().unwrap();
        two.remove("left/d");
        two.write("left/x", "edited");
        two.sync(&["-n", &format!("--plan={plan}")]).success();
        two.write("right/d/a", "edited meanwhile");
        two.write("right/y", "edited, too");
        two.sync(&[&format!("--apply={plan}")]).expect(23);
        assert_eq!(two.read("right/x"), "edited", "{way:?}: what fits is done");
        assert_eq!(two.read("right/d/a"), "edited meanwhile", "{way:?}");
        two.sync(&[]).success();
        two.assert_same();
        assert_eq!(two.paths("left"), ["d", "d/a", "x", "y"], "{way:?}");
        assert_eq!(two.read("left/y"), "edited, too", "{way:?}");
    }
}

#[test]
fn a_directory_that_stays_for_what_takes_no_part_is_told() {
    for way in Way::plain() {
        for (side, other) in [("left", "right"), ("right", "left")] {
            let two = Two::met(way, &Tree::new().file("file", "x").file("dir/inside", "y"));
            two.write(&format!("{other}/dir/made.o"), "z");
            two.remove(&format!("{side}/dir"));
            for more in ["-n", "--stats"] {
                let output = two.sync(&["--exclude=*.o", more]).expect(0);
                assert_eq!(output.err().matches("dir stays a directory").count(), 1, "{way:?}: {output}");
                assert!(output.err().contains(&format!("/{other}: dir stays")), "{way:?}: {output}");
            }
            assert_eq!(two.read(&format!("{other}/dir/made.o")), "z");
            assert!(!two.scene.path(&format!("{other}/dir/inside")).exists());
            assert_eq!(two.sync(&["--exclude=*.o"]).success().err(), "");
        }
    }
}

#[test]
fn what_is_not_synchronised_is_told_in_every_run() {
    for way in Way::plain() {
        for side in ["left", "right"] {
            let two = Two::met(way, &Tree::new().file("file", "x"));
            let fifo = two.scene.path(side).join("pipe");
            rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from(0o600), 0).unwrap();
            // That the other replica has nothing to do either makes no difference.
            for _ in 0..3 {
                let output = two.sync(&[]).expect(23);
                assert!(output.err().contains("pipe: it is a fifo or socket"), "{output}");
                let is_sided = output.err().contains(&format!("/{side}/pipe: it is"));
                assert_eq!(is_sided, way == Way::LOCAL, "{way:?}: {output}");
            }
            let output = two.sync(&["-v"]).expect(23);
            assert!(output.out().contains(", but for what is left alone, are in sync\n"), "{output}");
            two.sync(&["-D"]).success();
            two.assert_same();
        }
    }
}
