//! `--delete`: removes what the source does not have, and never more.

use crate::support::command::{self, dsync};
use crate::support::scene::Scene;
use crate::support::snapshot::Columns;
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Node, Tree};
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown};

fn extras() -> Tree {
    Tree::new()
        .file("kept", "x")
        .file("extra", "x")
        .file("extra-dir/deep/file", "x")
        .symlink("extra-link", "kept")
        .node("extra-fifo", Node::Fifo)
        .mode("extra-dir/deep", 0o555)
}

fn wanted() -> Tree {
    Tree::new().file("kept", "x")
}

#[test]
fn extras_of_every_kind_go() {
    for way in Way::all() {
        let scene = Scene::with_source(&wanted()).tree("to", &extras());
        way.copy(&["-a", "--delete"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["kept"], "{way:?}");
    }
}

#[test]
fn without_the_option_nothing_goes() {
    for way in Way::all() {
        let scene = Scene::with_source(&wanted()).tree("to", &extras());
        let before = scene.paths("to");
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), before, "{way:?}");
    }
}

#[test]
fn it_needs_recursion() {
    for way in Way::all() {
        let scene = Scene::with_source(&wanted()).tree("to", &extras());
        let before = scene.paths("to");
        way.copy(&["-lpt", "--delete"], &[scene.path("source/")], scene.path("to")).run().expect(1);
        assert_eq!(scene.paths("to"), before, "{way:?}");
    }
}

#[test]
fn excluded_names_stay_unless_asked() {
    for way in Way::all() {
        let tree = Tree::new().file("a.o", "x").file("dir/b.o", "x").file("c", "x").file("keep.db", "x");
        let scene = Scene::with_source(&wanted()).tree("to", &tree);
        let sources = [scene.path("source/")];
        way.copy(&["-a", "--delete", "--exclude=*.o", "-f", "P *.db"], &sources, scene.path("to"))
            .run()
            .expect(0);
        assert_eq!(scene.paths("to"), ["a.o", "dir", "dir/b.o", "keep.db", "kept"], "{way:?}");
        let options = ["-a", "--delete", "--delete-excluded", "--exclude=*.o", "-f", "P *.db"];
        way.copy(&options, &sources, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["keep.db", "kept"], "{way:?}");
    }
}

#[test]
fn names_skipped_for_their_kind_count_as_present() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().symlink("name", "x").file("kept", "x"))
            .tree("to", &Tree::new().file("name", "a file here").file("kept", "x"));
        way.copy(&["-r", "--delete"], &[scene.path("source/")], scene.path("to")).run().expect(0);
        assert_eq!(scene.paths("to"), ["kept", "name"], "{way:?}");
    }
}

#[test]
fn only_directories_that_are_sent_whole_are_cleaned() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("a", "1").file("b", "2").file("dir/c", "3"))
            .tree("to", &Tree::new().file("extra", "x").file("dir/extra", "x").file("other/extra", "x"));
        // Files by name: their directory is not sent.
        let files = [scene.path("source/a"), scene.path("source/b")];
        way.copy(&["-a", "--delete"], &files, scene.path("to")).run().success();
        assert_eq!(
            scene.paths("to"),
            ["a", "b", "dir", "dir/extra", "extra", "other", "other/extra"],
            "{way:?}"
        );
        // A directory by name: it alone is.
        way.copy(&["-a", "--delete"], &[scene.path("source/dir")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["a", "b", "dir", "dir/c", "extra", "other", "other/extra"], "{way:?}");
    }
}

#[test]
fn of_several_sources_none_cleans_what_another_sends() {
    for way in Way::all() {
        let scene = Scene::new()
            .tree("one", &Tree::new().file("a", "").file("both/x", ""))
            .tree("two", &Tree::new().file("b", "").file("both/y", ""))
            .tree("to", &Tree::new().file("extra", "").file("both/extra", ""));
        let sources = [scene.path("one/"), scene.path("two/")];
        way.copy(&["-a", "--delete"], &sources, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["a", "b", "both", "both/x", "both/y"], "{way:?}");
    }
}

#[test]
fn a_missing_source_switches_it_off() {
    for way in Way::all() {
        let scene = Scene::with_source(&wanted()).tree("to", &extras());
        let before = scene.paths("to");
        // Of what is in a directory that is not there, nothing is known either.
        for missing in ["no-such-source/", "no-such-source/sub"] {
            let sources = [scene.path("source/"), scene.path(missing)];
            way.copy(&["-a", "--delete"], &sources, scene.path("to")).run().expect(23);
            assert_eq!(scene.paths("to"), before, "{way:?} {missing}");
        }
        let sources = [scene.path("source/"), scene.path("no-such-source/")];
        way.copy(&["-a", "--delete", "--ignore-errors"], &sources, scene.path("to")).run().expect(23);
        assert_eq!(scene.paths("to"), ["kept"], "{way:?}");
    }
}

#[test]
fn an_unreadable_directory_switches_it_off() {
    let scene = Scene::with_source(&Tree::new().file("secret/inside", "x").file("z/kept", "x"));
    let old = Tree::new()
        .file("secret/inside", "x")
        .file("secret/extra", "x")
        .file("z/kept", "x")
        .file("z/extra", "x");
    old.write(&scene.path("to"));
    fs::set_permissions(scene.path("source/secret"), fs::Permissions::from_mode(0o700)).unwrap();
    let run = Way::LOCAL.copy(&["-rlt", "--delete"], &[scene.path("source/")], scene.path("to"));
    let Some(run) = run.unprivileged() else { return };
    scene.give_away("to", &old);
    let before = scene.paths("to");
    run.run().expect(23);
    assert_eq!(scene.paths("to"), before);
}

#[test]
fn the_limit_stops_it() {
    for way in Way::all() {
        let extras =
            Tree::new().file("a", "").file("b", "").file("dir/c", "").file("dir/d", "").file("kept", "x");
        let scene = Scene::with_source(&wanted()).tree("to", &extras);
        let sources = [scene.path("source/")];
        let output =
            way.copy(&["-a", "--delete", "--max-delete=0"], &sources, scene.path("to")).run().expect(25);
        assert_eq!(scene.paths("to").len(), 6, "{way:?}");
        assert!(
            output.err().contains("--max-delete") || output.out().contains("--max-delete"),
            "{way:?}\n{output}"
        );
        way.copy(&["-a", "--delete", "--max-delete=2"], &sources, scene.path("to")).run().expect(25);
        assert_eq!(scene.paths("to").len(), 4, "{way:?}");
        way.copy(&["-a", "--delete", "--max-delete=3"], &sources, scene.path("to")).run().expect(0);
        assert_eq!(scene.paths("to"), ["kept"], "{way:?}");
    }
}

#[test]
fn the_limit_counts_what_is_removed_to_make_room() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("x", "a file"))
            .tree("to", &Tree::new().file("x/1", "").file("x/2", "").file("x/3", ""));
        let options = ["-a", "--delete", "--max-delete=1"];
        let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run();
        assert!(matches!(output.code, Some(23 | 25)), "{way:?}\n{output}");
        assert!(scene.paths("to").len() >= 3, "{way:?}: left {:?}", scene.paths("to"));
    }
}

#[test]
fn links_are_removed_not_followed() {
    for way in Way::all() {
        let scene = Scene::with_source(&wanted())
            .tree("to", &Tree::new().symlink("link", "../outside").symlink("dir/link", "../../outside"))
            .tree("outside", &Tree::new().file("precious", "x"));
        way.copy(&["-a", "--delete"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["kept"], "{way:?}");
        assert_eq!(scene.paths("outside"), ["precious"], "{way:?}");
    }
}

#[test]
fn a_deep_extra_tree_goes() {
    for way in Way::all() {
        let deep = vec!["d"; 200].join("/");
        let scene = Scene::with_source(&wanted()).tree("to", &Tree::new().file(format!("{deep}/file"), "x"));
        let output = way
            .copy(&["-a", "--delete", "--stats"], &[scene.path("source/")], scene.path("to"))
            .run()
            .success();
        assert_eq!(scene.paths("to"), ["kept"], "{way:?}");
        assert_eq!(output.number("Number of deleted files:"), 201, "{way:?}");
    }
}

#[test]
fn a_mount_point_is_never_removed() {
    let Some(mount) = tools::find("mount") else { return };
    let Some(umount) = tools::find("umount") else { return };
    let scene =
        Scene::with_source(&wanted()).tree("to", &Tree::new().directory("mounted").file("extra", "x"));
    let at = scene.path("to/mounted");
    let mounted = std::process::Command::new(mount).args(["-t", "tmpfs", "none"]).arg(&at).output().unwrap();
    if !mounted.status.success() {
        return tools::missing("the right to mount");
    }
    fs::write(at.join("inside"), "x").unwrap();
    let mut output = Way::LOCAL.copy(&["-a", "--delete"], &[scene.path("source/")], scene.path("to")).run();
    for option in ["--delete-before", "--delete-delay", "--delete-after", "--max-delete=100%"] {
        if matches!(output.code, Some(0 | 23)) {
            let options = ["-a", "--delete", "--force", option];
            output = Way::LOCAL.copy(&options, &[scene.path("source/")], scene.path("to")).run();
        }
    }
    let paths = scene.paths("to");
    let unmounted = std::process::Command::new(umount).arg(&at).status().unwrap();
    assert!(unmounted.success(), "{output}");
    assert!(matches!(output.code, Some(0 | 23)), "{output}");
    // What is in it may go or stay.
    assert_eq!(paths[..2], ["kept", "mounted"], "{output}");
}

/// A directory that cannot be entered keeps what is in it, which is told once, and the others are cleaned.
#[test]
fn a_directory_that_cannot_be_entered_is_left() {
    if !tools::is_root() {
        return tools::missing("root, to become another user");
    }
    let source = Tree::new().file("closed/kept", "x").file("open/kept", "x");
    let to = Tree::new().file("closed/extra", "x").file("closed/sub/extra", "x").file("open/extra", "x");
    for options in [&["-r", "--delete"][..], &["-r", "--delete", "--ignore-errors"]] {
        let scene = Scene::with_source(&source).tree("to", &to);
        scene.give_away("to", &to);
        lchown(scene.path("to/closed"), Some(0), Some(0)).unwrap();
        fs::set_permissions(scene.path("to/closed"), fs::Permissions::from_mode(0o700)).unwrap();
        let run = dsync(options.iter().copied()).args([scene.path("source/"), scene.path("to")]);
        let Some(run) = run.unprivileged() else { return };
        let output = run.run().expect(23);
        let left = ["closed", "closed/extra", "closed/sub", "closed/sub/extra", "open", "open/kept"];
        assert_eq!(scene.paths("to"), left, "{output}");
        assert_eq!(output.err().matches("closed").count(), 1, "{output}");
    }
}

/// A link where the source has a directory leads nowhere: what it points to is neither filled nor cleaned.
#[test]
fn a_link_in_the_place_of_a_directory_is_not_followed() {
    let source = Tree::new().file("dir/kept", "x");
    let outside = Tree::new().file("extra", "x").file("kept", "not yours");
    for way in Way::plain() {
        for (more, left) in [("--force", &["dir", "dir/kept"][..]), ("--ignore-existing", &["dir"])] {
            let scene = Scene::with_source(&source).tree("outside", &outside);
            Tree::new().symlink("dir", "../outside").file("extra", "x").write(&scene.path("to"));
            let before = scene.snapshot("outside");
            way.copy(&["-r", "--delete", more], &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(scene.paths("to"), left, "{way:?} {more}");
            assert!(before == scene.snapshot("outside"), "{way:?} {more}");
        }
    }
}

/// The lines of a run that tell of files and of deletions, in order.
fn told(way: Way, options: &[&str], scene: &Scene) -> Vec<String> {
    let output = way.copy(options, &[scene.path("source/")], scene.path("to")).run().success();
    let lines = output.out();
    let lines = lines.lines().filter(|line| line.starts_with("*deleting") || line.contains("f+++++++++"));
    lines.map(|line| line.split_whitespace().last().unwrap().to_owned()).collect()
}

#[test]
fn deletions_come_before_or_after_the_rest_if_that_is_asked() {
    for way in Way::all() {
        for (option, from, to) in [
            ("--delete", 0, 0),
            ("--delete-during", 0, 0),
            ("--delete-before", 0, 2),
            ("--delete-delay", 2, 4),
            ("--delete-after", 2, 4),
        ] {
            let source = Tree::new().file("a/new", "x").file("b/new", "x").mtime("a", 1000).mtime("b", 2000);
            let there = Tree::new().file("a/extra", "x").file("b/extra", "x").mode("a", 0o555);
            let scene = Scene::with_source(&source).tree("to", &there);
            let before = scene.snapshot("to");
            let dry = told(way, &["-ain", option], &scene);
            assert!(scene.snapshot("to").differences(&before, Columns::ALL).is_empty(), "{option} {way:?}");
            let real = told(way, &["-ai", option], &scene);
            let mut sorted = [dry.clone(), real.clone()];
            sorted.iter_mut().for_each(|lines| lines.sort());
            assert_eq!(sorted[0], sorted[1], "{option} {way:?}");
            assert_eq!(sorted[1], ["a/extra", "a/new", "b/extra", "b/new"], "{option} {way:?}");
            for lines in [&dry, &real] {
                let are_extra = lines[from..to].iter().all(|line| line.ends_with("extra"));
                assert!(are_extra, "{option} {way:?}: {lines:?}");
            }
            assert_eq!(scene.paths("to"), ["a", "a/new", "b", "b/new"], "{option} {way:?}");
            // What was removed after a directory was done does not change its time.
            for (dir, seconds) in [("to/a", 1000), ("to/b", 2000)] {
                assert_eq!(fs::metadata(scene.path(dir)).unwrap().mtime(), seconds, "{option} {way:?} {dir}");
            }
        }
    }
}

#[test]
fn an_error_at_the_source_keeps_what_waits_to_be_deleted() {
    for way in Way::plain() {
        for option in ["--delete-before", "--delete-delay", "--delete-after"] {
            let source = Tree::new().file("a/x", "x").symlink("z/.rules", "nowhere");
            let there = Tree::new().file("a/extra", "x");
            let scene = Scene::with_source(&source).tree("to", &there);
            let options = ["-a", "-f", ": .rules", option];
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(23);
            // Each error is told once.
            assert_eq!(output.err().matches("reading filter rules").count(), 1, "{option} {way:?}: {output}");
            assert_eq!(scene.paths("to"), ["a", "a/extra", "a/x", "z"], "{option} {way:?}");
            let despite = [&options[..], &["--ignore-errors"]].concat();
            way.copy(&despite, &[scene.path("source/")], scene.path("to")).run().expect(23);
            assert_eq!(scene.paths("to"), ["a", "a/x", "z"], "{option} {way:?}");
        }
    }
}

#[test]
fn despite_errors_nothing_goes_where_the_source_could_not_be_read() {
    for way in Way::plain() {
        let times =
            ["--delete-before", "--delete-during", "--delete-delay", "--delete-after", "--max-delete=100%"];
        for option in times {
            let source = Tree::new().file("a/x", "x").symlink("z/.rules", "nowhere");
            let there = Tree::new().file("a/extra", "x").file("z/kept", "x");
            let scene = Scene::with_source(&source).tree("to", &there);
            let options = ["-a", "-f", ": .rules", "--ignore-errors", "--delete", option];
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(23);
            assert_eq!(scene.paths("to"), ["a", "a/x", "z", "z/kept"], "{option} {way:?}");
        }
    }
}

#[test]
fn whenever_it_is_protected_names_and_directories_sent_in_part_stay() {
    for way in Way::all() {
        for option in ["--delete-before", "--delete-during", "--delete-delay", "--delete-after"] {
            let source = Tree::new().file("a/x", "x").file("b/x", "x");
            let there = Tree::new()
                .file("a/extra", "x")
                .file("a/kept.db", "x")
                .file("a/gone/kept.db", "x")
                .file("c/x", "x");
            let scene = Scene::with_source(&source).tree("to", &there);
            let options = ["-a", option, "-f", "P *.db"];
            let named = [scene.path("source/a"), scene.path("source/b")];
            way.copy(&options, &named, scene.path("to")).run().success();
            let left = ["a", "a/gone", "a/gone/kept.db", "a/kept.db", "a/x", "b", "b/x", "c", "c/x"];
            assert_eq!(scene.paths("to"), left, "{option} {way:?}");
        }
    }
}

#[test]
fn deleting_before_makes_nothing_and_clears_nothing_else() {
    for way in Way::all() {
        let source = Tree::new().file("a/x", "x").file("f", "new").file("d", "a file");
        let scene = Scene::with_source(&source)
            .tree("to", &Tree::new().file("a/extra", "x").file("f", "old").file("d/full", "x"));
        // No destination is made for it.
        way.copy(&["-an", "--delete-before"], &[scene.path("source/")], scene.path("new/sub")).run();
        assert!(!scene.path("new").exists(), "{way:?}");
        // What is in the way of a file goes when that comes.
        let output =
            way.copy(&["-ai", "--delete-before"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["a", "a/x", "d", "f"], "{way:?}");
        let lines = output.out();
        let place = |line: &str| lines.lines().position(|one| one.ends_with(line)).unwrap_or(usize::MAX);
        assert!(place("a/extra") < place("d/full") && place("d/full") < usize::MAX, "{way:?}: {output}");
        assert_eq!(lines.matches("extra").count(), 1, "{way:?}: {output}");
        // Into a destination that is not there yet.
        way.copy(&["-a", "--delete-before"], &[scene.path("source/")], scene.path("other")).run().success();
        assert_eq!(scene.paths("other"), ["a", "a/x", "d", "f"], "{way:?}");
    }
}

#[test]
fn a_limit_holds_for_what_goes_before_and_on_the_way_together() {
    for way in Way::all() {
        let source = Tree::new().file("d", "a file");
        let there = Tree::new().file("d/1", "x").file("d/2", "x").file("e", "x").file("f", "x");
        for (limit, code, left) in [("4", 0, &["d"][..]), ("2", 23, &["d", "d/1", "d/2"]), ("0", 23, &[])] {
            let scene = Scene::with_source(&source).tree("to", &there);
            let before = scene.paths("to");
            let options = ["-a", "--delete-before", &format!("--max-delete={limit}")];
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run();
            assert!(output.code == Some(code) || (code > 0 && output.code == Some(25)), "{way:?}: {output}");
            let left = if left.is_empty() { before } else { left.iter().map(|&path| path.into()).collect() };
            assert_eq!(scene.paths("to"), left, "{limit} {way:?}");
        }
    }
}

#[test]
fn a_limit_may_be_a_part_of_what_there_is() {
    for way in Way::all() {
        let mut there = Tree::new().file("kept", "x");
        for number in 0..9 {
            there = there.file(format!("extra-{number}"), "x");
        }
        for (limit, left) in [("100%", 1), ("90%", 1), ("50%", 5), ("9%", 10), ("0%", 10)] {
            let scene = Scene::with_source(&wanted()).tree("to", &there);
            let code = if left == 1 { 0 } else { 25 };
            let options = ["-a", "--delete", &format!("--max-delete={limit}")];
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(code);
            assert_eq!(scene.paths("to").len(), left, "{limit} {way:?}");
        }
    }
}

#[test]
fn an_empty_source_deletes_nothing_unless_that_is_meant() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new()).tree("to", &extras());
        let before = scene.snapshot("to");
        let run = |options: &[&str]| way.copy(options, &[scene.path("source/")], scene.path("to")).run();
        for options in
            [&["-a", "--delete"][..], &["-an", "--delete-after"], &["-a", "--delete", "--ignore-errors"]]
        {
            let output = run(options).expect(3);
            assert!(output.err().contains("--delete-from-empty"), "{way:?}: {output}");
            assert!(scene.snapshot("to").differences(&before, Columns::ALL).is_empty(), "{way:?}");
        }
        // Nor if it is named itself.
        let scene =
            Scene::with_source(&Tree::new().directory("sub")).tree("to", &Tree::new().file("sub/x", "x"));
        let copy =
            |options: &[&str], named: &str| way.copy(options, &[scene.path(named)], scene.path("to")).run();
        for (options, named) in [
            (&["-a", "--delete"][..], "source/sub"),
            (&["-a", "--delete-before"], "source/sub"),
            (&["-aR", "--delete-delay"], "source/./sub"),
        ] {
            let output = copy(options, named).expect(3);
            assert!(output.err().contains("--delete-from-empty"), "{way:?}: {output}");
            assert!(scene.path("to/sub/x").exists(), "{options:?} {way:?}");
        }
        // One among others need not be asked about, nor one that is in the source.
        copy(&["-a", "--delete"], "source/").success();
        assert!(!scene.path("to/sub/x").exists(), "{way:?}");
    }
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new()).tree("to", &extras());
        let run = |options: &[&str]| way.copy(options, &[scene.path("source/")], scene.path("to")).run();
        // Without anything that would go, nobody has to be asked.
        run(&["-a", "--delete", "--exclude=*"]).success();
        run(&["-a", "--delete", "--delete-from-empty"]).success();
        assert!(scene.paths("to").is_empty(), "{way:?}");
        run(&["-a", "--delete"]).success();
    }
}

/// Without `--delete` too: what a directory holds that gives way to a file, and what `--delete-missing-args` removes.
#[test]
fn a_limit_holds_for_whatever_is_removed() {
    for way in Way::all() {
        let there = Tree::new().file("d/1", "x").file("d/2", "x").file("extra", "x");
        for (limit, code, left) in [
            ("2", 0, &["d", "extra"][..]),
            // Which of them goes is open.
            ("1", 23, &["d", "d/1", "extra"]),
            ("0", 23, &["d", "d/1", "d/2", "extra"]),
        ] {
            let scene = Scene::with_source(&Tree::new().file("d", "a file")).tree("to", &there);
            let options = ["-a", "--force", &format!("--max-delete={limit}")];
            let run = way.copy(&options, &[scene.path("source/")], scene.path("to"));
            let output = run.run();
            assert!(output.code == Some(code) || (code > 0 && output.code == Some(25)), "{way:?}: {output}");
            assert_eq!(scene.paths("to").len(), left.len(), "{way:?} {limit}: {output}");
            assert_eq!(scene.path("to/d").is_file(), code == 0, "{way:?} {limit}");
        }
        for (limit, code, left) in [("3", 0, 0), ("2", 25, 1), ("0", 25, 3)] {
            let there = Tree::new().file("a", "x").file("b", "x").file("c", "x");
            let scene = Scene::with_source(&Tree::new()).tree("to", &there);
            let missing = ["source/a", "source/b", "source/c"].map(|name| scene.path(name));
            for dry in ["-n", "--no-n"] {
                let options = ["-a", "-v", dry, "--delete-missing-args", &format!("--max-delete={limit}")];
                let output = way.copy(&options, &missing, scene.path("to")).run().expect(code);
                let told = output.out().lines().filter(|line| line.starts_with("deleting ")).count();
                assert_eq!(told, 3 - left, "{way:?} {limit}: {output}");
            }
            assert_eq!(scene.paths("to").len(), left, "{way:?} {limit}");
        }
    }
}

#[test]
fn a_limit_is_told_as_it_was_given() {
    if command::is_rsync() {
        return tools::not_for_rsync("it tells how many were skipped");
    }
    for (option, limit) in [("--delete-before", "--max-delete=1"), ("--delete-during", "--max-delete=34%")] {
        let there = Tree::new().file("x/1", "x").file("x/2", "x").file("y/1", "x");
        let scene = Scene::with_source(&Tree::new().file("x", "a file")).tree("to", &there);
        let run = Way::LOCAL.copy(&["-a", option, limit], &[scene.path("source/")], scene.path("to"));
        let output = run.run();
        assert!(output.err().contains(&format!("{limit} is reached")), "{output}");
    }
}

/// A name of a file of several goes first, and the others stay one file, with those that come.
#[test]
fn deleting_before_leaves_linked_names_together() {
    for way in Way::all() {
        let there = Tree::new().file("a", "x").file("extra", "x");
        let scene = Scene::with_source(&Tree::new().file("b/1", "x").file("c", "y")).tree("to", &there);
        fs::hard_link(scene.path("source/b/1"), scene.path("source/b/2")).unwrap();
        fs::hard_link(scene.path("source/b/1"), scene.path("source/a")).unwrap();
        fs::create_dir(scene.path("to/b")).unwrap();
        fs::hard_link(scene.path("to/a"), scene.path("to/b/1")).unwrap();
        fs::hard_link(scene.path("to/a"), scene.path("to/b/gone")).unwrap();
        let options = ["-aH", "--delete-before", "--stats"];
        let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["a", "b", "b/1", "b/2", "c"], "{way:?}");
        let inode = |name: &str| fs::metadata(scene.path(name)).unwrap().ino();
        assert_eq!([inode("to/b/1"), inode("to/b/2")], [inode("to/a"); 2], "{way:?}");
        assert_eq!(fs::metadata(scene.path("to/a")).unwrap().nlink(), 3, "{way:?}");
        assert_eq!(output.number("Number of deleted files:"), 2, "{way:?}: {output}");
    }
}

#[test]
fn what_is_deleted_before_is_kept_once() {
    for way in Way::all() {
        for backups in [&["-b"][..], &["--backup-dir=../kept"]] {
            let there = Tree::new()
                .file("f", "old")
                .file("gone/deep", "gone")
                .file("extra", "extra")
                .file("d/in", "in");
            let source = Tree::new().file("f", "new content").file("d", "a file");
            let scene = Scene::with_source(&source).tree("to", &there);
            let options = [&["-a", "--delete-before"][..], backups].concat();
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run();
            let kept = |name: &str| match backups {
                ["-b"] => scene.path(&format!("to/{name}~")),
                _ => scene.path(&format!("kept/{name}")),
            };
            for (name, content) in [("f", "old"), ("gone/deep", "gone"), ("extra", "extra"), ("d/in", "in")] {
                let backup = fs::read_to_string(kept(name)).unwrap_or_default();
                assert_eq!(backup, content, "{way:?} {backups:?} {name}");
            }
            assert_eq!(scene.read("to/f"), b"new content", "{way:?} {backups:?}");
            assert!(!scene.path("to/extra").exists() && !scene.path("to/gone/deep").exists(), "{way:?}");
            // The next run has nothing more to keep, and takes no backup for something to delete.
            let before = scene.snapshot("to");
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run();
            assert_eq!(scene.read("to/f"), b"new content", "{way:?}");
            assert!(
                scene.snapshot("to").differences(&before, Columns::ALL).is_empty(),
                "{way:?} {backups:?}"
            );
        }
    }
}

/// A file of rules that the source does not have goes, but only after what it protects was left alone.
#[test]
fn rules_of_the_destination_hold_until_all_is_deleted() {
    for way in Way::all() {
        for option in ["--delete-before", "--delete-during", "--delete-delay", "--delete-after"] {
            let source = Tree::new().file("dir/sub/x", "x");
            let there = Tree::new()
                .file(".rsync-filter", "P kept\n")
                .file("dir/sub/kept", "x")
                .file("dir/sub/extra", "x")
                .file("dir/kept", "x");
            let scene = Scene::with_source(&source).tree("to", &there);
            let options = ["-aF", option];
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            let left = ["dir", "dir/kept", "dir/sub", "dir/sub/kept", "dir/sub/x"];
            assert_eq!(scene.paths("to"), left, "{option} {way:?}");
        }
    }
}
