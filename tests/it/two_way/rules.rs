//! Files of rules in the directories of two trees: what they leave out on either side takes no part on both.

use crate::support::tools;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::Tree;
use crate::two_way::Two;
use std::fs;

/// What has a file of rules takes part by it on the other side, too, in the first run as in all others.
#[test]
fn what_one_side_leaves_out_is_left_alone_on_the_other() {
    for way in Way::all() {
        let left = Tree::new().file(".gitignore", "*.o\n").file("src/a.c", "a").file("src/a.o", "left");
        let right = Tree::new().file("src/.gitignore", "*.log\n!a.o\n").file("src/a.o", "right");
        let two = Two::new(way, &left, &right.file("src/b.o", "b").file("src/b.log", "right"));
        two.write("left/src/c.log", "left");
        let sync = |options: &[&str]| two.sync(&[&["--gitignore"], options].concat());
        sync(&[]).success();
        let common = [".gitignore", "src", "src/.gitignore", "src/a.c", "src/a.o"];
        let with = |own: &[&str]| {
            let mut paths: Vec<String> = common.iter().chain(own).map(|path| (*path).to_owned()).collect();
            paths.sort();
            paths
        };
        assert_eq!(two.paths("left"), with(&["src/c.log"]), "{way:?}");
        assert_eq!(two.paths("right"), with(&["src/b.log", "src/b.o"]), "{way:?}");
        // From now on both sides have all files of rules.
        assert_eq!((two.read("left/src/a.o"), two.read("right/src/a.o")), ("left".into(), "right".into()));
        let output = sync(&["-i"]);
        assert_eq!(output.code, Some(40), "what is taken in again differs: {output}");
        two.write("right/src/a.o", "left");
        sync(&[]).success();
        assert_eq!(sync(&["-i"]).success().out(), "", "{way:?}");
        // What is left out is neither an edit nor a removal.
        two.write("left/src/c.log", "edited");
        two.remove("right/src/b.o");
        sync(&[]).success();
        assert_eq!(
            (two.read("left/src/c.log"), sync(&["-i"]).success().out()),
            ("edited".into(), String::new())
        );
        assert!(!two.scene.path("right/src/c.log").exists(), "{way:?}");
    }
}

/// Files of rules that take no part themselves stay different, and count all the same.
#[test]
fn each_side_may_have_rules_of_its_own() {
    for way in Way::plain() {
        let two =
            Two::met(way, &Tree::new().file("d/x", "x").file("d/y", "y").file("d/z", "z").file("e", "e"));
        two.write("left/.rsync-filter", "- x\n");
        two.write("right/d/.rsync-filter", "- /y\n");
        let sync = |options: &[&str]| two.sync(&[&["-FF"], options].concat());
        sync(&[]).success();
        assert_eq!(sync(&["-i"]).success().out(), "", "{way:?}");
        for file in ["x", "y", "z"] {
            two.write(&format!("left/d/{file}"), "left");
            two.write(&format!("right/d/{file}"), if file == "z" { "z" } else { "right" });
        }
        sync(&[]).success();
        for (file, left, right) in [("x", "left", "right"), ("y", "left", "right"), ("z", "left", "left")] {
            let read = |side: &str| two.read(&format!("{side}/d/{file}"));
            assert_eq!((read("left"), read("right")), (left.into(), right.into()), "{way:?} {file}");
        }
        assert_eq!(two.paths("left"), [".rsync-filter", "d", "d/x", "d/y", "d/z", "e"], "{way:?}");
        assert_eq!(two.paths("right"), ["d", "d/.rsync-filter", "d/x", "d/y", "d/z", "e"], "{way:?}");
        // A directory goes but for what one of the two leaves out, and does not come back for that.
        two.remove("left/d");
        let output = sync(&["--allow-mass-delete"]);
        assert_eq!(two.paths("right"), ["d", "d/.rsync-filter", "d/x", "d/y", "e"], "{way:?}: {output}");
        assert_eq!(two.paths("left"), [".rsync-filter", "e"], "{way:?}: {output}");
        let again = sync(&["-i"]);
        assert_eq!((again.out(), two.paths("left").len()), (String::new(), 2), "{way:?}: {again}");
        // Without the rules all that is left is there again.
        two.remove("left/.rsync-filter");
        two.remove("right/d/.rsync-filter");
        sync(&["--conflict=keep-both"]).success();
        two.assert_same();
        assert_eq!((two.read("left/d/x"), two.read("left/d/y")), ("right".into(), "right".into()), "{way:?}");
    }
}

/// What a directory's own rules leave out does not take part because the directory goes, with its rules, on the other
/// side.
#[test]
fn what_is_left_behind_stays_left_out() {
    const EXCLUDE: &str = ".git/info/exclude";
    for way in Way::plain() {
        for (option, file, moves) in [
            ("-F", ".rsync-filter", false),
            ("--gitignore", ".gitignore", false),
            ("--gitignore", ".gitignore", true),
            ("--gitignore", EXCLUDE, true),
        ] {
            let tree = Tree::new().file("d/f", "f").file("d/sub/g", "g").file("e", "e");
            let rules = if option == "-F" { "- secret\n" } else { "secret\n" };
            let two = Two::met(way, &tree.file(format!("d/{file}"), rules));
            let sync = |options: &[&str]| two.sync(&[&[option, "--allow-mass-delete"], options].concat());
            two.write("right/d/secret", "secret");
            two.write("right/d/sub/secret", "secret, too");
            sync(&[]).success();
            match moves {
                true => two.rename("left/d", "left/moved"),
                false => two.remove("left/d"),
            }
            let output = sync(&[]);
            let is_told = output.err().contains("d stays a directory");
            assert!(output.code == Some(0) && is_told, "{way:?} {file}: {output}");
            let gone =
                |side: &str| two.paths(side).into_iter().filter(|path| path.starts_with('d')).collect();
            let left: Vec<String> = gone("left");
            let right: Vec<String> = gone("right");
            let nothing: [&str; 0] = [];
            assert_eq!(left, nothing, "{way:?} {file}");
            let stays: Vec<String> = ["d", "d/secret", "d/sub", "d/sub/secret"].map(str::to_owned).into();
            let others = |path: &&String| !file.starts_with(path.trim_start_matches("d/"));
            assert_eq!(right.iter().filter(others).cloned().collect::<Vec<_>>(), stays, "{way:?} {file}");
            assert_eq!(two.read(&format!("right/d/{file}")), rules, "{way:?}");
            for _ in 0..2 {
                assert_eq!(sync(&["-i"]).success().out(), "", "{way:?} {file}");
            }
            assert_eq!(gone("left"), nothing, "{way:?} {file}");
            // Something new brings it to life again, and with it the rules in it, but not a directory with nothing else.
            two.write("right/d/new", "new");
            sync(&[]).success();
            assert_eq!(two.read("left/d/new"), "new", "{way:?} {file}");
            assert_eq!(two.scene.path(&format!("left/d/{file}")).exists(), file != EXCLUDE, "{way:?} {file}");
            assert!(!two.scene.path("left/d/secret").exists(), "{way:?} {file}");
            assert_eq!(sync(&["-i"]).success().out(), "", "{way:?} {file}");
        }
    }
}

/// Who writes a file of rules on one side has nothing told by it that takes no part on the other, not even whether it is
/// there.
#[test]
fn rules_do_not_fetch_what_takes_no_part() {
    for way in Way::plain() {
        for planted in ["merge,- secret\n", ". sub/secret\n", ": secret\n"] {
            let told = [true, false].map(|is_there| {
                let two = Two::met(way, &Tree::new().file("a", "a").file("d/b", "b"));
                if is_there {
                    two.write("left/secret", "- password\n");
                    two.write("left/sub/secret", "- password\n");
                }
                two.write("left/.rsync-filter", planted);
                two.write("right/.rsync-filter", planted);
                two.write("left/a", "edited");
                let output = two.sync(&["-F", "--exclude=/secret", "--exclude=/sub"]);
                assert_eq!(output.code, Some(23), "{way:?} {planted}: {output}");
                assert!(output.err().contains("is not read in a two-way run"), "{way:?} {planted}: {output}");
                assert_eq!(two.read("right/a"), "a", "{way:?} {planted}: nothing takes part");
                // The two sides are searched at the same time.
                let mut lines: Vec<String> = output.err().lines().map(str::to_owned).collect();
                lines.sort_unstable();
                lines.join("\n").replace(&two.scene.path("").display().to_string(), "")
            });
            assert_eq!(told[0], told[1], "{way:?} {planted}");
        }
    }
}

/// What was known before it was left out is remembered: a removal meanwhile is one when it takes part again.
#[test]
fn what_takes_part_again_goes_on_where_it_was() {
    for way in Way::plain() {
        let two = Two::met(way, &Tree::new().file("gone.o", "1").file("kept.o", "2").file("a", "3"));
        let sync = || two.sync(&["--gitignore"]);
        two.write("right/.gitignore", "*.o\n");
        sync().success();
        two.remove("left/gone.o");
        two.write("right/kept.o", "edited");
        sync().success();
        assert_eq!((two.read("right/gone.o"), two.read("left/kept.o")), ("1".into(), "2".into()), "{way:?}");
        two.write("left/.gitignore", "");
        sync().success();
        sync().success();
        two.assert_same();
        assert_eq!(two.paths("right"), [".gitignore", "a", "kept.o"], "{way:?}");
        assert_eq!(two.read("left/kept.o"), "edited", "{way:?}");
    }
}

/// Where nobody knows what a file of rules was meant to say, nothing in its directory takes part.
#[test]
fn rules_that_cannot_be_read_leave_their_directory_alone() {
    for way in Way::plain() {
        for broken in ["no rule at all\n", ""] {
            let two = Two::met(way, &Tree::new().file("d/x", "x").file("d/sub/y", "y").file("e/z", "z"));
            two.write("right/d/.rules", broken);
            if broken.is_empty() {
                two.remove("right/d/.rules");
                two.link("right/d/.rules", "../e/z");
            }
            two.remove("left/d/x");
            two.write("left/d/sub/y", "edited");
            two.write("left/e/z", "edited");
            two.write("right/d/new", "new");
            let output = two.sync(&["--filter=: .rules", "--allow-mass-delete"]);
            assert_eq!(output.code, Some(23), "{way:?}: {output}");
            assert!(output.err().contains("nothing in there takes part"), "{way:?}: {output}");
            assert_eq!(
                (two.read("right/d/x"), two.read("right/d/sub/y")),
                ("x".into(), "y".into()),
                "{way:?}"
            );
            assert!(!two.scene.path("left/d/new").exists(), "{way:?}");
            assert_eq!(two.read("right/e/z"), "edited", "{way:?}");
            two.remove("right/d/.rules");
            two.sync(&["--filter=: .rules"]).success();
            two.assert_same();
            assert_eq!((two.read("right/d/sub/y"), two.read("left/d/new")), ("edited".into(), "new".into()));
            assert!(!two.scene.path("right/d/x").exists(), "{way:?}");
        }
    }
}

/// Rules that look at absolute paths see those of each side.
#[test]
fn where_a_tree_is_counts_for_both() {
    for way in Way::plain() {
        let two = Two::new(way, &Tree::new(), &Tree::new());
        for side in ["left", "right"] {
            for file in ["a", "b", "c"] {
                two.write(&format!("{side}/{file}"), side);
            }
        }
        let rule = |path: &str| format!("--filter=-/ {}", two.scene.path(path).display());
        let output = two.sync(&[&rule("left/a"), &rule("right/b"), "--conflict=local"]);
        output.success();
        let read = |file: &str| ["left", "right"].map(|side| two.read(&format!("{side}/{file}")));
        assert_eq!(read("a"), ["left", "right"], "{way:?}");
        assert_eq!(read("b"), ["left", "right"], "{way:?}");
        assert_eq!(read("c"), ["left", "left"], "{way:?}");
    }
}

/// What a rule protects from deletion is not deleted.
#[test]
fn what_is_protected_stays() {
    let two = Two::met(Way::LOCAL, &Tree::new().file("a", "a").file("b", "b").file("c", "c"));
    two.remove("left/a");
    two.remove("left/b");
    two.sync(&["--filter=P /a"]).success();
    assert_eq!(two.paths("right"), ["a", "c"]);
}

/// Where both sides have the same rules, next to nothing is said of them, and only what has changed is told.
#[test]
fn the_same_rules_are_not_told() {
    const DIRECTORIES: usize = 300;
    let tree = (0..DIRECTORIES).fold(Tree::new(), |tree, n| {
        let rules = format!("# rules of their own in each directory\n*.{n}\n");
        tree.file(format!("{n}/.gitignore"), rules).file(format!("{n}/x"), "x")
    });
    for way in
        [Direction::Push, Direction::Pull].map(|direction| Way { transport: Transport::Rsh, direction })
    {
        let two = Two::met_in_memory(way, &tree);
        let told = || {
            let output = two.sync(&["--gitignore", "--stats"]).success();
            ["Total bytes sent:", "Total bytes received:"].map(|line| output.number(line)).iter().sum::<u64>()
        };
        told();
        let unchanged = told();
        assert!(unchanged < 1000, "{way:?}: {unchanged}");
        two.write("left/7/.gitignore", "*.8\n");
        let edited = told();
        assert!(edited > 2 * unchanged && edited < 50_000, "{way:?}: {unchanged}, {edited}");
        told();
        let again = told();
        assert!(again < 1000, "{way:?}: {again}");
    }
}

/// `status` goes by the same rules.
#[test]
fn status_takes_the_rules_of_the_runs() {
    let two =
        Two::met(Way::LOCAL, &Tree::new().file(".gitignore", "*.o\n").file(".rsync-filter", "- *.log\n"));
    two.sync(&["--gitignore", "-FF", "-C"]).success();
    for file in ["a.o", "b.log", "c~", "d"] {
        two.write(&format!("left/{file}"), "new");
    }
    let status = |options: &[&str]| {
        let mut words = vec!["status", "-v"];
        words.extend(options);
        let left = two.scene.path("left");
        words.push(left.to_str().unwrap());
        let output = crate::support::command::dsync(&words).run().success();
        let named = output.out();
        let named =
            named.lines().filter_map(|line| line.strip_prefix("  new")).map(|line| line.trim().to_owned());
        named.collect::<Vec<_>>()
    };
    assert_eq!(status(&["--gitignore", "-F", "-C"]), ["d"]);
    assert_eq!(status(&["--gitignore"]), ["b.log", "c~", "d"]);
    assert_eq!(status(&["-F", "--exclude=d"]), ["a.o", "c~"]);
    assert_eq!(status(&["-C"]), ["b.log", "d"]);
}

/// Directories on other file systems, and those that cannot be read, are nobody's to search for rules.
#[test]
fn what_cannot_be_entered_does_not_end_a_run() {
    let two = Two::met(Way::LOCAL, &Tree::new().file("open/a", "a").file("closed/b", "b"));
    two.chmod("left/closed", 0);
    two.write("left/open/.gitignore", "*.o\n");
    two.write("left/open/a", "edited");
    let output = two.sync(&["--gitignore"]);
    let expected = if tools::is_root() { 0 } else { 23 };
    assert_eq!(output.code, Some(expected), "{output}");
    assert_eq!(two.read("right/open/a"), "edited");
    two.chmod("left/closed", 0o755);
    assert_eq!(fs::read_to_string(two.scene.path("right/closed/b")).unwrap(), "b");
}
