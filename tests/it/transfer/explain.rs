//! `--explain`: which rule decides about a path, and where that stands.

use crate::support::command::{dsync, is_rsync};
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::transfer::relay;

fn source() -> Tree {
    Tree::new()
        .file("a/.rules", "# comment\n- x\n")
        .file("a/x", "x")
        .file("a/b/x", "x")
        .file("a/b/y.o", "x")
        .file("a/kept.o", "x")
        .file("build/deep/file", "x")
        .file("git/.gitignore", "\n*.log\n!a.log\n")
        .file("git/a.log", "x")
        .file("git/b.log", "x")
        .file("large", "0123456789")
        .directory("empty/empty")
        .symlink("link", "large")
        .file("list", "x")
}

/// What is said of these paths; nothing may have been copied.
fn said(way: Way, scene: &Scene, options: &[&str], paths: &[&str]) -> String {
    let asked: Vec<String> = paths.iter().map(|path| format!("--explain={path}")).collect();
    let options: Vec<&str> = options.iter().copied().chain(asked.iter().map(String::as_str)).collect();
    let before = scene.snapshot("to");
    let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(0);
    assert_eq!(scene.snapshot("to"), before, "{way:?}");
    output.out()
}

#[test]
fn the_rule_is_told_and_where_it_stands() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    for way in Way::plain() {
        let rules = Tree::new().file("rules", "+ kept.o\n\n- *.o\n");
        let scene = Scene::with_source(&source()).tree("files", &rules).tree("to", &Tree::new());
        let from = format!("--exclude-from={}", scene.path("files/rules").display());
        let options = ["-a", "-f: .rules", &from, "--include=list", "--exclude=/build", "--gitignore"];
        let paths = [
            "a/x",
            "a/b/x",
            "a/b/y.o",
            "a/kept.o",
            "/build/deep/file",
            "git/a.log",
            "git/b.log",
            "large",
            "list",
            "nothing",
            "no/where",
            "large/x",
        ];
        let file = scene.path("files/rules").display().to_string();
        let expected = [
            "a/x: left out: - x (a/.rules:2)",
            "a/b/x: left out: - x (a/.rules:2)",
            &format!("a/b/y.o: left out: - *.o ({file}:3)"),
            &format!("a/kept.o: takes part: + kept.o ({file}:1)"),
            "build/deep/file: left out, as build/ is: - /build (--exclude)",
            "git/a.log: takes part: !a.log (git/.gitignore:3)",
            "git/b.log: left out: *.log (git/.gitignore:2)",
            "large: takes part: no rule matches it",
            "list: takes part: + list (--include)",
            "nothing: not at the source",
            "no/where: not at the source, as no/ is not",
            "large/x: left out, as large/ is: this is no directory",
            "",
        ];
        assert_eq!(said(way, &scene, &options, &paths), expected.join("\n"), "{way:?}");
    }
}

#[test]
fn other_reasons_are_told_as_well() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    let scene = Scene::with_source(&source()).tree("to", &Tree::new().file("list", "x"));
    for (options, path, expected) in [
        (&["-r"][..], "link", "left alone: the options do not ask for entries of its kind (-l, -D)"),
        (&["-a", "--max-size=5"], "large", "left alone: it is longer than --max-size"),
        (&["-a", "--existing"], "large", "left alone: the destination does not have it (--existing)"),
        (&["-a", "--existing"], "list", "takes part: no rule matches it"),
        (&["-a", "--ignore-existing"], "list", "left alone: the destination has it (--ignore-existing)"),
        (&["-am"], "empty", "left out: nothing but directories would be in it (-m)"),
        (&["-d"], "a/x", "left out, as a/ is: it is not entered"),
        (&["-aC"], "a/b/y.o", "left out: -p *.o (-C)"),
        (&["-aC", "--delete"], "large", "takes part: no rule matches it"),
    ] {
        assert_eq!(
            said(Way::LOCAL, &scene, options, &[path]),
            format!("{path}: {expected}\n"),
            "{options:?}"
        );
    }
}

#[test]
fn what_is_said_to_take_part_is_what_a_run_copies() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    let scene = Scene::with_source(&source()).tree("to", &Tree::new());
    let options = ["-am", "-f: .rules", "--exclude=/build", "--gitignore", "--max-size=5"];
    let paths = scene.paths("source");
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    let said = said(Way::LOCAL, &scene, &options, &paths);
    let taken = said.lines().filter_map(|line| line.split_once(": takes part: "));
    let taken: Vec<&str> = taken.map(|(path, _)| path).collect();
    Way::LOCAL.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
    assert_eq!(scene.paths("to"), taken);
}

#[test]
fn what_is_left_out_may_be_protected() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    let there = Tree::new().file("gone/deep/x", "x").file("gone/.rules", "P deep\n").file("a.o", "x");
    let there = there.directory(".dsync");
    let scene = Scene::with_source(&source()).tree("to", &there);
    let paths = ["a.o", "gone/deep/x", "gone/z", "a/b/y.o", ".dsync"];
    let options = ["-a", "--delete", "--exclude=*.o", "-f: .rules"];
    let expected = "a.o: not at the source\n  \
        at the destination it is protected from deletion: - *.o (--exclude)\n\
        gone/deep/x: not at the source, as gone/ is not\n  \
        at the destination it is protected from deletion, as gone/deep/ is: P deep (gone/.rules:1)\n\
        gone/z: not at the source, as gone/ is not\n  \
        at the destination it is not protected from deletion: no rule matches it; it is not there\n\
        a/b/y.o: left out: - *.o (--exclude)\n  \
        at the destination it is protected from deletion: - *.o (--exclude); it is not there\n\
        .dsync: not at the source\n  \
        at the destination it is protected from deletion: dsync keeps it for itself\n";
    for way in Way::plain() {
        assert_eq!(said(way, &scene, &options, &paths), expected, "{way:?}");
    }
}

#[test]
fn between_two_hosts_each_is_asked() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    let there = Tree::new().file("gone/.rules", "P deep\n").file("gone/deep/x", "x").file("list", "x");
    let scene = Scene::with_source(&source()).tree("to", &there);
    let options = ["-a", "--delete", "--ignore-existing", "--exclude=*.o", "-f: .rules", "--explain=a/x"];
    let more = ["--explain=gone/deep", "--explain=a/b/y.o", "--explain=list"];
    let expected = "a/x: left out: - x (a/.rules:2)\n  \
        at the destination it is not protected from deletion: no rule matches it; it is not there\n\
        gone/deep: not at the source, as gone/ is not\n  \
        at the destination it is protected from deletion: P deep (gone/.rules:1)\n\
        a/b/y.o: left out: - *.o (--exclude)\n  \
        at the destination it is protected from deletion: - *.o (--exclude); it is not there\n\
        list: left alone: the destination has it (--ignore-existing)\n";
    let before = scene.snapshot("to");
    let operands = [relay::on("one", &scene.path("source/")), relay::on("two", &scene.path("to"))];
    let output = dsync(options).args(more).args(relay::shell(&scene)).args(operands).run().expect(0);
    assert_eq!(output.out(), expected);
    assert_eq!(scene.snapshot("to"), before);
}

#[test]
fn what_cannot_be_explained_is_refused() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    let scene = Scene::with_source(&source()).tree("to", &Tree::new());
    for way in Way::plain() {
        let output =
            way.copy(&["-a", "--explain=a"], &[scene.path("nothing/")], scene.path("to")).run().expect(3);
        assert!(output.err().contains("No such file or directory"), "{output}");
    }
    for (path, code, message) in [
        ("../a", 1, "this is no path below the destination"),
        ("/", 1, "this is no path below the destination"),
    ] {
        let output = dsync(["-a".to_owned(), format!("--explain={path}")])
            .args([scene.path("source/"), scene.path("to")])
            .run()
            .expect(code);
        assert!(output.err().contains(message), "{output}");
    }
}
