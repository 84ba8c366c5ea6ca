//! Files of filter rules in the directories of a tree, and directories left out because they are empty.

use crate::support::command::dsync;
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use std::fs;

fn source() -> Tree {
    Tree::new().file("a/x", "x").file("a/y", "y").file("a/b/x", "x").file("a/.rules", "- x\n").file("x", "x")
}

#[test]
fn a_file_hides_at_the_source_and_protects_at_the_destination() {
    for way in Way::all() {
        let there = Tree::new().file("x", "x").file("a/x", "old").file("a/z", "z").file("gone/x", "x");
        let scene = Scene::with_source(&source()).tree("to", &there.file("gone/.rules", "P x\n"));
        let options = ["-a", "--delete", "-f", ": .rules"];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(0);
        // The destination had no rules of its own in `a`.
        assert_eq!(scene.paths("to"), ["a", "a/.rules", "a/b", "a/y", "gone", "gone/x", "x"], "{way:?}");
        // Now it has.
        fs::write(scene.path("to/a/x"), "kept").unwrap();
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(0);
        assert_eq!(scene.read("to/a/x"), b"kept", "{way:?}");
        way.copy(&["-a", "--delete-excluded", "-f", ":e .rules"], &[scene.path("source/")], scene.path("to"))
            .run()
            .expect(0);
        assert_eq!(scene.paths("to"), ["a", "a/b", "a/y", "x"], "{way:?}");
    }
}

#[test]
fn beside_what_is_named_no_file_counts_but_above_it() {
    for way in Way::all() {
        let source = source().file(".rules", "- y\n").file("a/b/y", "y");
        let scene = Scene::with_source(&source);
        let copied = |options: &[&str], named: &str, to: &str| {
            way.copy(options, &[scene.path(named)], scene.path(to)).run().expect(0);
            scene.paths(to)
        };
        let rules = "-f: .rules";
        assert_eq!(copied(&["-aR", rules], "source/./a/b", "whole"), ["a", "a/b", "a/b/y"], "{way:?}");
        assert_eq!(copied(&["-a", rules], "source/a/b", "name"), ["b", "b/x", "b/y"], "{way:?}");
        // These are looked for further up.
        fs::write(scene.path("source/.rsync-filter"), "- y\n").unwrap();
        assert_eq!(copied(&["-aRF"], "source/./a/b", "whole-up"), ["a", "a/b", "a/b/x"], "{way:?}");
        assert_eq!(copied(&["-aF"], "source/a/b", "name-up"), ["b", "b/x"], "{way:?}");
    }
}

#[test]
fn beside_what_is_named_no_file_counts_at_the_destination_either() {
    for way in Way::plain() {
        let source = Tree::new().file("x/a/y", "y").file("x/c/y", "y").file(".rules", "P extra\n");
        for option in ["--delete-during", "--delete-before", "--delete-after", "--delete-delay"] {
            let to = Tree::new().file(".rules", "P extra\n").file(".own", "P more\n");
            let to = ["a", "c"].into_iter().fold(to, |to, dir| {
                ["extra", "more"].into_iter().fold(to, |to, name| {
                    to.file(format!("{dir}/{name}"), "x").file(format!("x/{dir}/{name}"), "x")
                })
            });
            let left = |rule: &str, more: &[&str], named: &[&str]| {
                let scene = Scene::with_source(&source).tree("to", &to);
                let named: Vec<_> = named.iter().map(|name| scene.path(&format!("source/{name}"))).collect();
                way.copy(&[&["-a", rule, option], more].concat(), &named, scene.path("to")).run().success();
                let paths = scene.paths("to").into_iter();
                paths.filter(|path| path.ends_with("extra") || path.ends_with("more")).collect::<Vec<_>>()
            };
            let named = ["x/a", "x/c"];
            let elsewhere = ["x/a/extra", "x/a/more", "x/c/extra", "x/c/more"];
            assert_eq!(left("-f: .rules", &[], &named), elsewhere, "{way:?} {option}");
            let whole = ["./x/a", "./x/c"];
            let others = ["a/extra", "a/more", "c/extra", "c/more"];
            assert_eq!(left("-f: .rules", &["-R"], &whole), others, "{way:?} {option}");
            // These are looked for further up, and so for each name.
            let kept = [&["a/more", "c/more"][..], &elsewhere].concat();
            assert_eq!(left("-f: /.own", &[], &named), kept, "{way:?} {option}");
            // And it counts where it is beside what is listed.
            let kept = ["a/extra", "c/extra", "x/a/extra", "x/c/extra"];
            assert_eq!(left("-f: .rules", &[], &[""]), kept, "{way:?} {option}");
        }
    }
}

#[test]
fn what_nobody_can_read_hides_all_and_deletes_nothing() {
    let bad =
        |name: &str, content: &str| source().file(format!("bad/{name}"), content).file("bad/secret", "x");
    let sources = [
        ("an unknown rule", bad(".rules", "top secret\n")),
        ("a circle", bad(".rules", ". .rules\n")),
        ("a symbolic link", source().file("bad/secret", "x").symlink("bad/.rules", "../a/.rules")),
        ("a missing file", bad(".rules", ". nowhere\n")),
        ("a file outside", bad(".rules", ". ../a/.rules\n")),
    ];
    for way in Way::all() {
        for (name, source) in &sources {
            let scene = Scene::with_source(source).tree("to", &Tree::new().file("extra", "x"));
            let options = ["-a", "--delete", "-f", ": .rules"];
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(23);
            let paths = scene.paths("to");
            assert!(!paths.iter().any(|path| path.starts_with("bad/")), "{name} {way:?}: {paths:?}");
            assert!(paths.contains(&"a/y".to_owned()), "{name} {way:?}: {paths:?}");
            // What the file says is not told.
            assert!(output.err().contains("reading filter rules in bad"), "{name} {way:?}: {output}");
            assert!(!output.err().contains("top secret"), "{name} {way:?}: {output}");
        }
    }
}

#[test]
fn a_bad_file_at_the_destination_protects_everything_there() {
    for way in Way::all() {
        let there = Tree::new().file("a/.rules", "nonsense\n").file("a/extra", "x").file("extra", "x");
        let source = Tree::new().file("a/x", "x");
        let scene = Scene::with_source(&source).tree("to", &there);
        let options = ["-a", "--delete", "-f", ": .rules"];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(23);
        assert_eq!(scene.paths("to"), ["a", "a/.rules", "a/extra", "a/x"], "{way:?}");
        way.copy(&["-a", "-f", ": .rules"], &[scene.path("source/")], scene.path("to")).run().success();
    }
}

#[test]
fn files_above_the_source_count_if_that_is_asked() {
    let scene = Scene::with_source(&source());
    fs::write(scene.path(".rsync-filter"), "- y\n- /source/x\n").unwrap();
    for (option, expected) in [
        ("-F", &["a", "a/.rules", "a/b", "a/b/x", "a/x"][..]),
        ("--filter=: .rsync-filter", &["a", "a/.rules", "a/b", "a/b/x", "a/x", "a/y", "x"]),
    ] {
        dsync(["-a", option]).args([scene.path("source/"), scene.path("to")]).run().success();
        assert_eq!(scene.paths("to"), expected, "{option}");
        fs::remove_dir_all(scene.path("to")).unwrap();
    }
}

#[test]
fn cvs_leaves_out_what_it_and_the_user_say() {
    let tree = Tree::new()
        .file("main.c", "x")
        .file("main.o", "x")
        .file(".git/config", "x")
        .file("mine", "x")
        .file("theirs", "x")
        .file("sub/local", "x")
        .file("sub/.cvsignore", "local");
    let scene = Scene::with_source(&tree).tree("home", &Tree::new().file(".cvsignore", "mine"));
    let run = |options: &[&str]| {
        dsync(options.iter().chain(&["-a"]).copied())
            .args([scene.path("source/"), scene.path("to")])
            .variable("HOME", scene.path("home").display())
            .variable("CVSIGNORE", "theirs")
            .run()
            .success();
        let paths = scene.paths("to").join(" ");
        fs::remove_dir_all(scene.path("to")).unwrap();
        paths
    };
    assert_eq!(run(&["-C"]), "main.c sub sub/.cvsignore");
    assert_eq!(run(&["-C", "-f", "+ *.o"]), "main.c main.o sub sub/.cvsignore");
    assert_eq!(run(&["-f", "-C", "-f", "+ *.o"]), "main.c sub sub/.cvsignore sub/local");
    assert_eq!(run(&["-f", ":C"]), ".git .git/config main.c main.o mine sub sub/.cvsignore theirs");
}

#[test]
fn empty_directories_are_left_out_and_count_as_absent() {
    for way in Way::all() {
        let tree = Tree::new()
            .directory("empty/empty")
            .file("only/excluded.o", "x")
            .file("deep/er/file", "x")
            .directory("kept");
        let there = Tree::new().file("empty/extra", "x").directory("only");
        let scene = Scene::with_source(&tree).tree("to", &there);
        let options = ["-am", "--delete", "--exclude=*.o", "-f", "P /kept/"];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(0);
        assert_eq!(scene.paths("to"), ["deep", "deep/er", "deep/er/file", "kept"], "{way:?}");
    }
}
