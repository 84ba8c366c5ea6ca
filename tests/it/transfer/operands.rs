//! What the operands mean: trailing slashes, several sources, names that exist and names that do not.

use crate::support::command::dsync;
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::Tree;

fn small() -> Tree {
    Tree::new().file("one", "1").file("sub/two", "2")
}

#[test]
fn a_directory_with_a_slash_means_its_contents() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["one", "sub", "sub/two"], "{way:?}");
    }
}

#[test]
fn a_directory_without_a_slash_means_itself() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        way.copy(&["-a"], &[scene.path("source")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["source", "source/one", "source/sub", "source/sub/two"], "{way:?}");
    }
}

/// A variable of a script that is not set is not the directory that one happens to be in.
#[test]
fn an_empty_source_is_none() {
    for operands in [&["", "to"][..], &["", "-2", "to"], &["source", "", "to"], &["", "--list-only"]] {
        let scene = Scene::with_source(&small()).tree("to", &Tree::new().file("precious", "3"));
        let run = dsync(["-a", "--delete"]).args(operands).current_dir(scene.root()).run().expect(1);
        assert!(run.err().contains("a source is empty") && run.out().is_empty(), "{run}");
        assert_eq!(scene.paths("to"), ["precious"]);
    }
}

#[test]
fn a_slash_at_the_destination_changes_nothing_for_a_directory() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to/")).run().success();
        assert_eq!(scene.paths("to"), ["one", "sub", "sub/two"], "{way:?}");
    }
}

#[test]
fn a_dot_at_the_end_means_the_contents() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        way.copy(&["-a"], &[scene.path("source/.")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["one", "sub", "sub/two"], "{way:?}");
    }
}

#[test]
fn relative_operands_start_at_the_working_directory() {
    let scene = Scene::with_source(&small());
    Way::LOCAL.copy(&["-a"], &["source/sub"], "to").current_dir(scene.root()).run().success();
    assert_eq!(scene.paths("to"), ["sub", "sub/two"]);
    Way::LOCAL.copy(&["-a"], &["."], "../up").current_dir(&scene.path("source")).run().success();
    assert_eq!(scene.paths("up"), ["one", "sub", "sub/two"]);
}

#[test]
fn of_several_sources_the_first_wins() {
    for way in Way::all() {
        let scene = Scene::new()
            .tree("a", &Tree::new().file("same", "from a").file("only-a", "a").file("d/x", "a's x"))
            .tree(
                "b",
                &Tree::new().file("same", "from b!").file("only-b", "b").file("d/x", "b's").file("d/y", "y"),
            );
        let sources = [scene.path("a/"), scene.path("b/")];
        way.copy(&["-a"], &sources, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["d", "d/x", "d/y", "only-a", "only-b", "same"], "{way:?}");
        assert_eq!(scene.read("to/same"), b"from a", "{way:?}");
        assert_eq!(scene.read("to/d/x"), b"a's x", "{way:?}");
    }
}

#[test]
fn of_several_sources_a_directory_beats_a_file() {
    for way in Way::all() {
        let scene = Scene::new()
            .tree("a", &Tree::new().file("x", "a file"))
            .tree("b", &Tree::new().file("x/inside", "in a directory"));
        way.copy(&["-a"], &[scene.path("a/"), scene.path("b/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["x", "x/inside"], "{way:?}");
    }
}

#[test]
fn a_source_given_many_times_is_copied_once() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        let sources = vec![scene.path("source/"); 10];
        let output = way.copy(&["-a", "--stats"], &sources, scene.path("to")).run().success();
        assert_eq!(output.number("Number of regular files transferred:"), 2, "{way:?}");
        assert_eq!(scene.paths("to"), ["one", "sub", "sub/two"], "{way:?}");
    }
}

#[test]
fn files_and_directories_mix() {
    for way in Way::all() {
        let scene = Scene::with_source(&small()).tree("more", &Tree::new().file("three", "3"));
        let sources = [scene.path("source/one"), scene.path("source/sub"), scene.path("more/")];
        way.copy(&["-a"], &sources, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["one", "sub", "sub/two", "three"], "{way:?}");
    }
}

#[test]
fn one_file_to_a_new_name() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        way.copy(&["-a"], &[scene.path("source/one")], scene.path("new-name")).run().success();
        assert_eq!(scene.read("new-name"), b"1", "{way:?}");
    }
}

#[test]
fn one_file_over_another_name() {
    for way in Way::all() {
        let scene = Scene::with_source(&small()).tree("to", &Tree::new().file("old", "old content"));
        way.copy(&["-a"], &[scene.path("source/one")], scene.path("to/old")).run().success();
        assert_eq!(scene.paths("to"), ["old"], "{way:?}");
        assert_eq!(scene.read("to/old"), b"1", "{way:?}");
    }
}

#[test]
fn one_file_into_a_directory() {
    for way in Way::all() {
        let scene = Scene::with_source(&small()).tree("to", &Tree::new().file("other", "stays"));
        way.copy(&["-a"], &[scene.path("source/one")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["one", "other"], "{way:?}");
    }
}

#[test]
fn one_file_with_a_slash_at_the_destination_makes_the_directory() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        way.copy(&["-a"], &[scene.path("source/one")], scene.path("to/")).run().success();
        assert_eq!(scene.paths("to"), ["one"], "{way:?}");
    }
}

#[test]
fn only_the_last_element_of_the_destination_is_made() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        let output = way.copy(&["-a"], &[scene.path("source/")], scene.path("no/such/place")).run();
        assert!(matches!(output.code, Some(3 | 11)), "{way:?}\n{output}");
        assert!(output.err().contains("no/such"), "the message names the place\n{output}");
        assert!(!scene.path("no").exists(), "{way:?}");
    }
}

/// What is there does not do, or what is not there cannot be made: as rsync tells them apart.
#[test]
fn a_destination_that_does_not_do_has_an_exit_code_of_its_own() {
    for way in Way::plain() {
        let scene = Scene::with_source(&small()).tree("to", &Tree::new().file("file", "x"));
        for (source, destination, code) in [
            ("source/", "to/file/", 3),
            ("source/", "to/file/below", 3),
            ("source/", "to/no/such", 11),
            ("source/one", "to/no/such", 3),
        ] {
            let output = way.copy(&["-a"], &[scene.path(source)], scene.path(destination)).run().expect(code);
            assert!(output.err().contains(destination.trim_end_matches('/')), "{way:?}\n{output}");
        }
        assert_eq!(scene.paths("to"), ["file"], "{way:?}");
    }
}

#[test]
fn several_sources_need_a_directory() {
    for way in Way::all() {
        let scene = Scene::with_source(&small()).tree("to", &Tree::new().file("a-file", "old"));
        let sources = [scene.path("source/one"), scene.path("source/sub/two")];
        let output = way.copy(&["-a"], &sources, scene.path("to/a-file")).run();
        assert!(matches!(output.code, Some(3 | 11)), "{way:?}\n{output}");
        assert_eq!(scene.read("to/a-file"), b"old", "{way:?}");
    }
}

#[test]
fn a_missing_source_is_reported_and_the_others_are_copied() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        let sources = [scene.path("source/none"), scene.path("source/one")];
        let output = way.copy(&["-a"], &sources, scene.path("to/")).run().expect(23);
        assert!(output.err().contains("none"), "{way:?}\n{output}");
        assert_eq!(scene.paths("to"), ["one"], "{way:?}");
    }
}

#[test]
fn a_directory_needs_recursion() {
    for way in Way::all() {
        let scene = Scene::with_source(&small());
        let output = way.copy(&["-lpt"], &[scene.path("source")], scene.path("to/")).run().expect(0);
        assert!(output.out().contains("skipping directory"), "{way:?}\n{output}");
        assert_eq!(scene.paths("to"), [""; 0], "{way:?}");
    }
}

#[test]
fn a_destination_that_is_ones_own_link_is_followed() {
    for way in Way::all() {
        let scene = Scene::with_source(&small()).tree("real", &Tree::new());
        std::os::unix::fs::symlink("real", scene.path("link")).unwrap();
        way.copy(&["-a"], &[scene.path("source/")], scene.path("link")).run().success();
        assert_eq!(scene.paths("real"), ["one", "sub", "sub/two"], "{way:?}");
    }
}
