//! Looking back at runs: what has changed, what they did, and putting it back.

use crate::support::command::{Output, dsync};
use crate::support::snapshot::Columns;
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::support::xattr::{self, DEFAULT_ACL, acl};
use crate::two_way::{COLUMNS, Two};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::chown;

fn tree() -> Tree {
    Tree::new().file("a", "one").file("b", "two").file("dir/c", "three").file("dir/sub/d", "four")
}

fn met() -> Two {
    met_over(Way::LOCAL)
}

fn met_over(way: Way) -> Two {
    Two::met(way, &tree())
}

/// One of the commands about a side.
fn look(two: &Two, word: &str, options: &[&str], side: &str, rest: &[&str]) -> Output {
    let mut arguments: Vec<OsString> = vec![word.into()];
    arguments.extend(options.iter().map(OsString::from));
    arguments.push(two.scene.path(side).into());
    arguments.extend(rest.iter().map(OsString::from));
    dsync(arguments).run()
}

fn has_line(output: &Output, words: &[&str]) -> bool {
    output
        .out()
        .lines()
        .any(|line| words.iter().all(|word| line.split_whitespace().any(|found| found == *word)))
}

#[test]
fn status_tells_what_has_changed_and_touches_nothing() {
    let two = met();
    let output = look(&two, "status", &[], "left", &[]).success();
    assert!(output.out().contains("Nothing has changed here"), "{output}");
    two.write("left/a", "edited");
    two.write("left/new", "new");
    two.remove("left/dir/c");
    two.chmod("left/b", 0o600);
    let before = two.scene.snapshot("left");
    let output = look(&two, "status", &[], "left", &[]).success();
    for (what, path) in [("edited", "a"), ("new", "new"), ("removed", "dir/c"), ("attributes", "b")] {
        assert!(has_line(&output, &[what, path]), "{what} {path}: {output}");
    }
    assert!(output.out().contains("last met"), "{output}");
    let all = Columns { mode: true, owner: true, mtime: true, directory_mtime: true, xattrs: true };
    assert!(two.scene.snapshot("left").differences(&before, all).is_empty());
    let output = look(&two, "status", &["--exclude=new"], "left", &[]).success();
    assert!(!has_line(&output, &["new", "new"]), "{output}");
}

/// Also when there was nothing to do.
#[test]
fn status_tells_when_the_two_last_met() {
    for way in Way::plain() {
        let two = Two::met(way, &tree());
        let status = |side| {
            let output = look(&two, "status", &[], side, &[]).success();
            output.out().lines().find(|line| line.contains("last met")).unwrap_or_default().to_owned()
        };
        let before = ["left", "right"].map(status);
        // Times are told in whole seconds.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        two.sync(&["-n"]).success();
        assert_eq!(["left", "right"].map(status), before, "{way:?}");
        two.sync(&[]).success();
        for (side, before) in ["left", "right"].into_iter().zip(before) {
            let now = status(side);
            assert!(now.contains("last met") && now != before, "{way:?} {side}: {now}");
        }
    }
}

#[test]
fn status_looks_at_what_runs_have_looked_at() {
    if !xattr::are_here() {
        return;
    }
    let two = met();
    let mark = |path: &str| xattr::set(&two.scene.path(path), b"user.colour", b"red");
    mark("left/a");
    let output = look(&two, "status", &[], "left", &[]).success();
    assert!(output.out().contains("Nothing has changed here"), "{output}");
    two.sync(&["-AX"]).success();
    mark("left/b");
    xattr::set(&two.scene.path("left/dir"), DEFAULT_ACL, &acl(0o755, 5, &[(1, 7)], &[]));
    let output = look(&two, "status", &[], "left", &[]).success();
    for path in ["b", "dir/"] {
        assert!(has_line(&output, &["attributes", path]), "{path}: {output}");
    }
    assert!(!has_line(&output, &["attributes", "a"]), "{output}");
}

#[test]
fn status_tells_conflicts_that_were_left() {
    let two = met();
    two.write("left/a", "left's");
    two.write("right/a", "right's, longer");
    two.sync(&[]).expect(40);
    for side in ["left", "right"] {
        let output = look(&two, "status", &[], side, &[]).expect(40);
        assert!(has_line(&output, &["left", "a"]), "{output}");
        let output = look(&two, "log", &[], side, &["a"]).success();
        assert!(has_line(&output, &["run", "2"]) && has_line(&output, &["left", "a"]), "{output}");
        let output = look(&two, "log", &[], side, &["b"]).success();
        assert!(!has_line(&output, &["left", "b"]), "{output}");
    }
}

/// Where both versions of a conflict were kept, whose got the other name, and in which run, as long as it is there.
#[test]
fn a_copy_of_a_loser_is_told_with_where_it_came_from() {
    for way in Way::plain() {
        let two = met_over(way);
        two.write("left/a", "the longer one");
        two.write("right/a", "short");
        for (path, seconds) in [("left/a", 1_700_000_000), ("right/a", 1_700_000_060)] {
            two.touch(path, seconds);
        }
        two.sync(&["--conflict=keep-both"]).success();
        assert_eq!(two.read("left/a"), "short");
        let copy = two.paths("left").into_iter().find(|path| path.starts_with("a.conflict-")).unwrap();
        for (side, whose) in [("left", "this side"), ("right", "left")] {
            let told = |output: Output| {
                let text = output.out();
                let line = text.lines().find(|line| line.contains(&copy)).map(str::to_owned);
                line.filter(|line| line.contains("the conflict at a: the version of"))
                    .filter(|line| line.contains(whose))
            };
            assert!(told(look(&two, "log", &["-v"], side, &[]).success()).is_some(), "{way:?} {side}");
            let line = told(look(&two, "status", &[], side, &[]).success()).unwrap();
            assert!(line.trim_start().starts_with("copy ") && line.contains("; run 2, 20"), "{line}");
        }
        two.remove(&format!("left/{copy}"));
        two.sync(&[]).success();
        for side in ["left", "right"] {
            let output = look(&two, "status", &[], side, &[]).success();
            assert!(!output.out().contains("copy"), "{way:?} {side}: {output}");
        }
    }
}

#[test]
fn the_log_tells_what_runs_did() {
    let two = met();
    two.write("left/a", "edited");
    two.remove("left/dir");
    two.sync(&[]).success();
    let output = look(&two, "log", &["-v"], "right", &[]).success();
    assert!(has_line(&output, &["run", "1"]) && has_line(&output, &["run", "2"]), "{output}");
    assert!(has_line(&output, &["replaced", "a"]) && has_line(&output, &["removed", "dir/sub/"]), "{output}");
    let output = look(&two, "log", &[], "right", &["dir/"]).success();
    assert!(has_line(&output, &["removed", "dir/c"]) && !has_line(&output, &["replaced", "a"]), "{output}");
    let output = look(&two, "log", &[], "right", &["../outside"]).expect(1);
    assert!(output.err().contains("hint:"), "{output}");
}

#[test]
fn an_undo_reaches_the_partner_with_the_next_run() {
    let two = met();
    two.write("left/a", "edited");
    two.remove("left/dir");
    two.rename("left/b", "left/renamed");
    two.write("left/fresh", "fresh");
    two.sync(&[]).success();
    let output = look(&two, "undo", &["-v"], "right", &[]).success();
    assert!(output.out().contains("of run 2"), "{output}");
    for (path, content) in
        [("a", "one"), ("b", "two"), ("dir/c", "three"), ("dir/sub/d", "four"), ("fresh", "fresh")]
    {
        assert_eq!(two.read(&format!("right/{path}")), content);
    }
    two.sync(&[]).success();
    two.assert_same();
    assert_eq!(two.paths("left"), ["a", "b", "dir", "dir/c", "dir/sub", "dir/sub/d", "fresh"]);
    assert_eq!(two.read("left/a"), "one");
}

#[test]
fn an_undo_tells_what_was_changed_since() {
    let two = met();
    two.write("left/a", "edited");
    two.write("left/b", "edited");
    two.sync(&[]).success();
    two.write("right/a", "and again");
    let output = look(&two, "undo", &[], "right", &["2"]).expect(23);
    assert!(output.err().contains("a: it was changed since"), "{output}");
    assert_eq!((two.read("right/a"), two.read("right/b")), ("and again".to_owned(), "two".to_owned()));
    let output = look(&two, "undo", &[], "right", &["77"]).expect(1);
    assert!(output.err().contains("run 77 is not remembered"), "{output}");
}

/// Also where a file was moved into a directory that is something else again by then.
#[test]
fn what_is_back_is_no_problem_of_an_undo_that_is_done_again() {
    let two = met();
    two.link("left/link", "a");
    two.sync(&[]).success();
    for path in ["b", "link"] {
        two.remove(&format!("left/{path}"));
        fs::create_dir(two.scene.path(&format!("left/{path}"))).unwrap();
    }
    two.rename("left/a", "left/b/moved");
    two.rename("left/dir/c", "left/link/moved");
    two.sync(&[]).success();
    for _ in 0..2 {
        look(&two, "undo", &[], "right", &["3"]).success();
        assert_eq!(two.read("right/b"), "two");
        assert_eq!((two.read("right/a"), two.read("right/dir/c")), ("one".to_owned(), "three".to_owned()));
    }
}

/// One who is not root does what these words say, in the place of the test if that is.
fn by_a_user(two: &Two, words: &[&str]) -> Option<Output> {
    let run = dsync(words.iter().map(OsString::from)).current_dir(two.scene.root());
    Some(if tools::is_root() { run.unprivileged()?.run() } else { run.run() })
}

/// A directory that gives way in an undo goes into the trash with what is in it, where it may shut its owner out.
#[test]
fn what_a_read_only_directory_took_into_the_trash_comes_back() {
    let two = Two::new(Way::LOCAL, &Tree::new().file("a", "a file"), &Tree::new());
    let is_theirs = |paths: &[&str]| {
        for path in paths.iter().filter(|_| tools::is_root()) {
            chown(two.scene.path(path), Some(65534), Some(65534)).unwrap();
        }
    };
    two.chmod("", 0o755);
    is_theirs(&["left", "left/a", "right"]);
    let Some(output) = by_a_user(&two, &["-2", "left", "right"]) else { return };
    output.success();
    two.remove("left/a");
    two.write("left/a/sub/b", "b");
    two.write("left/a/c", "c");
    is_theirs(&["left/a", "left/a/c", "left/a/sub", "left/a/sub/b"]);
    two.chmod("left/a/sub", 0o500);
    two.chmod("left/a", 0o555);
    by_a_user(&two, &["-2", "left", "right"]).unwrap().success();
    let before = two.snapshot("right");
    by_a_user(&two, &["undo", "right", "2"]).unwrap().success();
    assert_eq!(two.read("right/a"), "a file");
    by_a_user(&two, &["undo", "right", "3"]).unwrap().success();
    let differences = two.snapshot("right").differences(&before, COLUMNS);
    assert!(differences.is_empty(), "{differences:#?}");
    by_a_user(&two, &["-2", "left", "right"]).unwrap().success();
    two.assert_same();
    assert_eq!(two.paths("left"), ["a", "a/c", "a/sub", "a/sub/b"]);
}

/// What an undo has replaced may have further names, and is what comes back when the undo is undone.
#[test]
fn an_undo_is_undone_whatever_was_written_by_another_name() {
    let two = met();
    two.write("left/a", "NEWER");
    two.sync(&[]).success();
    fs::hard_link(two.scene.path("right/a"), two.scene.path("outside")).unwrap();
    look(&two, "undo", &[], "right", &[]).success();
    assert_eq!(two.read("right/a"), "one");
    fs::write(two.scene.path("outside"), "OTHER").unwrap();
    look(&two, "undo", &[], "right", &[]).success();
    assert_eq!(two.read("right/a"), "NEWER");
}

#[test]
fn what_was_altered_in_the_trash_does_not_come_back() {
    let two = met();
    two.write("left/a", "NEWER");
    two.sync(&[]).success();
    fs::write(two.scene.path("right/.dsync/trash/2/a"), "two").unwrap();
    let output = look(&two, "undo", &[], "right", &[]).expect(23);
    assert!(output.err().contains("a: what was there is not in the trash any more"), "{output}");
    assert_eq!(two.read("right/a"), "NEWER");
}

/// Also by a run that has nothing else to do, and then that of the last one, which is remembered still.
#[test]
fn old_trash_goes_when_there_is_nothing_to_do() {
    for way in Way::plain() {
        let two = Two::met(way, &tree());
        two.write("left/a", "NEWER");
        two.sync(&[]).success();
        let trash = two.scene.path("right/.dsync/trash/2");
        two.sync(&[]).success();
        assert!(trash.exists());
        // Runs begin in whole seconds, as far as that goes.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        two.sync(&["-n", "--trash-days=0"]).success();
        assert!(trash.exists());
        two.sync(&["--trash-days=0"]).success();
        assert!(!trash.exists(), "{way:?}");
        let log = look(&two, "log", &[], "right", &[]).success();
        assert!(has_line(&log, &["run", "2"]), "{log}");
        assert!(two.sync(&["-v"]).success().out().contains("in sync"), "{way:?}");
    }
}

#[test]
fn the_trash_is_listed_and_emptied() {
    let two = met();
    two.write("left/a", "edited");
    two.remove("left/dir");
    two.sync(&[]).success();
    let output = look(&two, "trash", &[], "right", &[]).success();
    assert!(has_line(&output, &["run", "2"]), "{output}");
    let output = look(&two, "trash", &["--older-than=1"], "right", &[]).expect(1);
    assert!(output.err().contains("--older-than is about --empty, which is missing"), "{output}");
    look(&two, "trash", &["--empty", "--older-than=1"], "right", &[]).success();
    assert!(two.scene.path("right/.dsync/trash/2/dir/c").exists());
    look(&two, "trash", &["--empty"], "right", &[]).success();
    assert_eq!(fs::read_dir(two.scene.path("right/.dsync/trash")).unwrap().count(), 0);
    let output = look(&two, "trash", &[], "right", &[]).success();
    assert!(output.out().contains("The trash is empty."), "{output}");
    let output = look(&two, "undo", &[], "right", &[]).expect(23);
    assert!(output.err().contains("not in the trash"), "{output}");
}

/// Except of the last run that put something there, which may have to be undone.
#[test]
fn the_trash_is_kept_for_as_many_days_as_are_asked_for() {
    let two = met();
    for (number, days) in [(2, "30"), (3, "0")] {
        two.write("left/a", &format!("edited {number}"));
        two.sync(&[&format!("--trash-days={days}")]).success();
    }
    let in_trash = |number: u8| two.scene.path(&format!("right/.dsync/trash/{number}/a")).exists();
    assert!(in_trash(3));
    // Days are counted in whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    two.write("left/a", "edited 4");
    two.sync(&["--trash-days=0"]).success();
    assert!(!in_trash(2) && in_trash(4));
    two.write("left/a", "edited 5");
    two.sync(&[]).success();
    assert!(in_trash(4) && in_trash(5));
}

#[test]
fn what_is_no_replica_is_told_and_does_not_become_one() {
    let two = Two::new(Way::LOCAL, &tree(), &Tree::new());
    for word in ["status", "log", "undo", "trash"] {
        let output = look(&two, word, &[], "left", &[]).expect(3);
        assert!(output.err().contains("no two-way run"), "{output}");
        assert!(!two.scene.path("left/.dsync").exists());
        let output = dsync([word, "host:some/dir"]).run().expect(1);
        assert!(output.err().contains(&format!("ssh host 'dsync {word} some/dir'")), "{output}");
        let output = dsync([word, "--help"]).run().success();
        assert!(output.out().contains(&format!("Usage: dsync {word}")), "{output}");
        dsync([word, "--nonsense"]).run().expect(1);
        let told = dsync([word]).run().expect(1).err();
        assert!(told.contains("the directory is missing"), "{told}");
        assert!(told.contains(&format!("hint: dsync {word} --help ")), "{told}");
        let output = dsync([word, "/nonexistent/dir"]).run().expect(3);
        assert!(output.err().contains("/nonexistent/dir"), "{output}");
    }
}

#[test]
fn a_directory_with_such_a_name_is_written_with_a_dot() {
    let two = Two::new(Way::LOCAL, &tree(), &Tree::new());
    fs::rename(two.scene.path("left"), two.scene.path("log")).unwrap();
    dsync(["-r", "./log/", "right"]).current_dir(two.scene.root()).run().success();
    assert_eq!(two.read("right/a"), "one");
}

#[test]
fn the_status_of_two_is_what_a_run_would_do() {
    for way in Way::plain() {
        let two = Two::met(way, &Tree::new().file("a", "one"));
        two.write("left/b", "two");
        let (left, right) = (two.scene.path("left"), two.scene.path("right"));
        let told = two.way.copy(&["status"], &[&left], &right).run().success().out();
        assert!(told.contains("new") && told.contains('b'), "{told}");
        assert_eq!(two.paths("right"), ["a"], "{way:?}: it was done");
        two.write("left/a", "left");
        two.write("right/a", "right");
        two.way.copy(&["status", "-v"], &[&left], &right).run().expect(40);
    }
}

#[test]
fn an_undo_says_which_run_it_undoes() {
    let two = met();
    two.write("left/a", "edited");
    two.sync(&[]).success();
    // What runs do elsewhere is not meant.
    two.write("right/b", "edited");
    two.sync(&[]).success();
    let output = look(&two, "undo", &[], "right", &[]).success();
    assert!(output.out().contains("Undoing run 2, the last that did something here"), "{output}");
    let output = look(&two, "undo", &[], "left", &["1"]).success();
    assert!(output.out().contains("Nothing of run 1 was to be put back"), "{output}");
}

#[test]
fn an_undo_passes_over_a_run_of_which_nothing_is_kept() {
    let two = met();
    two.write("left/b", "edited");
    two.sync(&[]).success();
    two.write("left/a", "edited");
    two.sync(&["--no-trash"]).success();
    let output = look(&two, "undo", &[], "right", &[]).success();
    let told = output.out();
    assert!(told.contains("Nothing that run 3 has replaced or deleted here is in the trash"), "{output}");
    assert!(told.contains("Undoing run 2, the last that can still be undone"), "{output}");
    assert_eq!((two.read("right/a"), two.read("right/b")), ("edited".to_owned(), "two".to_owned()));
}
