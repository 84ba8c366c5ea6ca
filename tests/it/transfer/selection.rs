//! What takes part in a run, and runs that only tell what they would do.

use crate::support::command::{self, Invocation};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, Snapshot};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Node, Tree};
use std::path::Path;

fn source() -> Tree {
    Tree::new()
        .file("changed", "new content")
        .file("same", "same")
        .file("new/inside", "x")
        .symlink("link", "changed")
        .node("fifo", Node::Fifo)
}

fn destination() -> Tree {
    Tree::new().file("changed", "old").file("same", "same").file("extra/deep/file", "x").mode("same", 0o600)
}

#[test]
fn a_dry_run_tells_what_the_real_one_does_and_changes_nothing() {
    for way in Way::all() {
        let scene = Scene::with_source(&source()).tree("to", &destination());
        let before = scene.snapshot("to");
        let sources = [scene.path("source/")];
        let dry = way.copy(&["-ain", "--delete"], &sources, scene.path("to")).run().success();
        assert!(before == scene.snapshot("to"), "{way:?}: the dry run changed something");
        let real = way.copy(&["-ai", "--delete"], &sources, scene.path("to")).run().success();
        assert_eq!(dry.items(), real.items(), "{way:?}");
        assert!(real.out().contains("*deleting   extra/deep/file"), "{way:?}\n{real}");
    }
}

/// The old form of `--dirs`, in whichever order: what is in the directory, and nothing below that.
#[test]
fn one_layer_is_copied() {
    for way in Way::all() {
        for options in [["-a", "--old-dirs"], ["--old-d", "-a"]] {
            let scene = Scene::with_source(&source());
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(scene.paths("to"), ["changed", "fifo", "link", "new", "same"], "{way:?}");
        }
    }
}

#[test]
fn deletion_on_the_way_and_delayed_is_delayed() {
    for options in [["--del", "--delete-delay"], ["--delete-delay", "--delete-during"]] {
        let scene = Scene::with_source(&source()).tree("to", &destination());
        let options = ["-ai", options[0], options[1]];
        let copied = Way::LOCAL.copy(&options, &[scene.path("source/")], scene.path("to"));
        let output = copied.run().success();
        let last = output.out().lines().last().map(str::to_owned);
        assert_eq!(last.as_deref(), Some("*deleting   extra/"), "{output}");
    }
}

#[test]
fn a_dry_run_does_not_make_the_destination() {
    for way in Way::all() {
        let scene = Scene::with_source(&source());
        let output = way.copy(&["-ain"], &[scene.path("source/")], scene.path("to")).run().success();
        assert!(!scene.path("to").exists(), "{way:?}");
        assert!(output.out().contains("+++++++++ new/inside"), "{way:?}\n{output}");
    }
}

#[test]
fn excluded_names_are_neither_read_nor_sent() {
    for way in Way::all() {
        let tree = Tree::new()
            .file("keep/a.c", "a")
            .file("keep/a.o", "b")
            .file("target/big", "c")
            .file("x/target", "d");
        let scene = Scene::with_source(&tree);
        let options = ["-a", "--exclude=*.o", "--exclude=/target/"];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["keep", "keep/a.c", "x", "x/target"], "{way:?}");
    }
}

#[test]
fn rules_are_read_from_files_and_from_standard_input() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("a", "").file("b", "").file("c", "").file("d", ""));
        std::fs::write(scene.path("rules"), "# comment\n\n; another\na\n").unwrap();
        let mut options = vec!["-a".into(), "--exclude-from".into(), scene.path("rules").into_os_string()];
        options.push("--exclude-from=-".into());
        way.copy(&options, &[scene.path("source/")], scene.path("to")).input(b"b\nd").run().success();
        assert_eq!(scene.paths("to"), ["c"], "{way:?}");
    }
}

#[test]
fn equal_size_and_time_mean_unchanged() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("file", "left"))
            .tree("to", &Tree::new().file("file", "same"));
        let sources = [scene.path("source/")];
        way.copy(&["-a"], &sources, scene.path("to")).run().success();
        assert_eq!(scene.read("to/file"), b"same", "{way:?}");
        way.copy(&["-ac"], &sources, scene.path("to")).run().success();
        assert_eq!(scene.read("to/file"), b"left", "{way:?}");
    }
}

#[test]
fn a_changed_mode_alone_transfers_no_content() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("file", "x").mode("file", 0o640))
            .tree("to", &Tree::new().file("file", "x").mode("file", 0o600));
        let inode = scene.snapshot("to").get("file").unwrap().inode;
        let output = way.copy(&["-a", "--stats"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(output.number("Number of regular files transferred:"), 0, "{way:?}");
        let after: Snapshot = scene.snapshot("to");
        after.assert_same(&scene.snapshot("source"), Columns::ALL);
        assert_eq!(after.get("file").unwrap().inode, inode, "{way:?}");
    }
}

/// A directory's handle is given up for those of deeper ones while its files are still being compared.
#[test]
fn a_dry_run_compares_contents_of_directories_that_were_closed_meanwhile() {
    if command::is_rsync() {
        return tools::not_for_rsync("it keeps no directories open");
    }
    let scene = Scene::with_source(
        &Tree::new().file("a/small", "the same").file(format!("{}end", "b/".repeat(40)), ""),
    );
    for name in ["big-1", "big-2", "big-3"] {
        let big = std::fs::File::create(scene.path("source/a").join(name)).unwrap();
        big.set_len(64 << 20).unwrap();
    }
    let copy = |options: &[&str]| {
        let limited = r#"ulimit -n 64; exec "$0" "$@""#;
        Invocation::new(Path::new("/bin/sh"), ["-c", limited])
            .args([command::binary()])
            .args(options)
            .args([scene.path("source/"), scene.path("to")])
            .run()
            .success()
    };
    copy(&["-a"]);
    let dry = copy(&["-anci", "--delete"]);
    assert_eq!(dry.out(), "", "{dry}");
}
