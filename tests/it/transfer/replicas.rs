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
