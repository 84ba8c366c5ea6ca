//! `.dsync`, in which a replica keeps its history: no one-way run lists, copies, compares or deletes it.

use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::Tree;

fn replica(name: &str) -> Tree {
    Tree::new()
        .file(".dsync/history", name)
        .file(".dsync/trash/1/lost", name)
        .file("file", name)
        .file("nested/.dsync/history", name)
        .file("nested/file", name)
}

#[test]
fn a_history_is_neither_copied_nor_deleted() {
    for way in Way::plain() {
        for options in
            [&["-a"][..], &["-a", "--delete"], &["-a", "--delete", "--delete-excluded", "--exclude=.dsync"]]
        {
            let scene = Scene::with_source(&replica("source")).tree("to", &replica("to"));
            way.copy(options, &[scene.path("source/")], scene.path("to")).run().success();
            for kept in [".dsync/history", ".dsync/trash/1/lost", "nested/.dsync/history"] {
                assert_eq!(scene.read(&format!("to/{kept}")), b"to", "{way:?} {options:?}");
                assert_eq!(scene.read(&format!("source/{kept}")), b"source", "{way:?} {options:?}");
            }
            for copied in ["file", "nested/file"] {
                assert_eq!(scene.read(&format!("to/{copied}")), b"source", "{way:?} {options:?}");
            }
        }
    }
}

#[test]
fn a_tree_is_copied_without_its_history() {
    for way in Way::plain() {
        let scene = Scene::with_source(&replica("source")).tree("to", &Tree::new());
        way.copy(&["-a"], &[scene.path("source")], scene.path("to")).run().success();
        let copied = ["source", "source/file", "source/nested", "source/nested/file"];
        assert_eq!(scene.paths("to"), copied, "{way:?}");
    }
}

#[test]
fn a_directory_that_the_source_does_not_have_goes_but_for_the_history_in_it() {
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("other", "x"))
            .tree("to", &Tree::new().file("gone/file", "x").file("gone/.dsync/history", "kept"));
        way.copy(&["-a", "--delete"], &[scene.path("source/")], scene.path("to")).run();
        assert_eq!(scene.paths("to"), ["gone", "gone/.dsync", "gone/.dsync/history", "other"], "{way:?}");
    }
}

#[test]
fn nothing_takes_the_place_of_a_history() {
    for way in Way::plain() {
        for options in [&["-a"][..], &["-a", "--delete"], &["-a", "--force"]] {
            for history in [&Tree::new().file(".dsync/history", "kept"), &Tree::new().directory(".dsync")] {
                let scene = Scene::with_source(&Tree::new().file(".dsync", "x").file("file", "x"))
                    .tree("to", history);
                let before = scene.paths("to");
                way.copy(options, &[scene.path("source/")], scene.path("to")).run().expect(23);
                let after: Vec<String> = before.into_iter().chain(["file".to_owned()]).collect();
                assert_eq!(scene.paths("to"), after, "{way:?} {options:?}");
            }
        }
    }
}

/// Who names it is to hear of it, unless a rule leaves it out as well.
#[test]
fn a_history_that_is_named_is_told() {
    for way in Way::all() {
        let scene = Scene::with_source(&replica("source").file(".dsync-notes", "x")).tree("to", &Tree::new());
        let names: &[(&[&str], &str)] = &[
            (&["-a"], ".dsync"),
            (&["-a", "--delete"], "nested/.dsync"),
            (&["-aR"], "./.dsync"),
            (&["-aR"], "./.dsync/trash/1/lost"),
            (&["-aR"], "./nested/.dsync/"),
        ];
        for (options, name) in names {
            let sources = [scene.path("source/file"), scene.path(&format!("source/{name}"))];
            let output = way.copy(options, &sources, scene.path("to")).run().expect(23);
            let told = format!("{name}: it is dsync's own");
            assert_eq!(output.err().matches(&told).count(), 1, "{way:?} {options:?} {output}");
            assert!(
                !scene.paths("to").iter().any(|path| path.contains(".dsync")),
                "{way:?} {options:?} {output}"
            );
            let without = [options, &["--exclude=.dsync"][..]].concat();
            way.copy(&without, &sources, scene.path("to")).run().success();
        }
        let list = scene.path("list");
        std::fs::write(&list, "file\n.dsync/trash/1/lost\n.dsync-notes\n").unwrap();
        let listed = format!("--files-from={}", list.display());
        let output =
            way.copy(&["-a", &listed], &[scene.path("source")], scene.path("listed")).run().expect(23);
        assert!(output.err().contains(".dsync/trash/1/lost: it is dsync's own"), "{way:?} {output}");
        assert_eq!(scene.paths("listed"), [".dsync-notes", "file"], "{way:?} {output}");
        // What is in it can be had by its contents.
        way.copy(&["-a"], &[scene.path("source/.dsync/trash/1/lost")], scene.path("found")).run().success();
        assert_eq!(scene.read("found"), b"source", "{way:?}");
    }
}

#[test]
fn no_destination_is_in_a_history() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("file", "x")).tree("to", &replica("to"));
        let before = scene.paths("to");
        for to in ["to/.dsync", "to/.dsync/", "to/.dsync/new", "to/nested/.dsync/trash"] {
            for options in [&["-a", "--delete"][..], &["-an"], &["-a", "--mkpath"]] {
                let output = way.copy(options, &[scene.path("source/")], scene.path(to)).run().expect(3);
                assert!(
                    output.err().contains("leads into .dsync, which is for dsync alone"),
                    "{way:?} {output}"
                );
                assert_eq!(scene.paths("to"), before, "{way:?} {to} {output}");
            }
        }
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to/.dsync/../from")).run().success();
        assert_eq!(scene.read("to/from/file"), b"x", "{way:?}");
    }
}
