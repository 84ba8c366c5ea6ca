//! Where the paths lead that a user names as sources, and what they mean by the way they are written.

use crate::support::command::{binary, dsync};
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{Direction, Way, remote, rsh_script, shell_options_for};
use crate::support::tree::Tree;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

/// A path below the scene, as it is typed.
fn typed(scene: &Scene, path: &str) -> OsString {
    let mut typed = scene.root().as_os_str().to_owned();
    typed.push("/");
    typed.push(path);
    typed
}

/// The list of names of a run, and the option for it.
fn list(scene: &Scene, names: &str) -> String {
    fs::write(scene.path("list"), names).unwrap();
    format!("--files-from={}", scene.path("list").display())
}

/// As in rsync: what is read is the user's choice, whoever made the links on the way; the names of a list may be
/// somebody else's.
#[test]
fn sources_are_read_wherever_they_lead_and_names_of_lists_are_not() {
    if !tools::is_root() {
        return tools::missing("root, to give a link away");
    }
    let links = Tree::new().file("real/f", "x").file("real/sub/g", "y").symlink("theirs", "real");
    for way in Way::all() {
        let scene = Scene::with_source(&links);
        lchown(scene.path("source/theirs"), Some(65_534), Some(65_534)).unwrap();
        let copy = |options: &[&str], source: &str, to: &str| {
            way.copy(options, &[typed(&scene, source)], scene.path(to)).run()
        };
        for (number, (options, source, expected)) in [
            (&["-a"][..], "source/theirs/", "f"),
            (&["-a"], "source/theirs/f", "f"),
            (&["-aR"], "source/./theirs/f", "theirs/f"),
            (&["-aR"], "source/./theirs/sub/", "theirs/sub/g"),
        ]
        .into_iter()
        .enumerate()
        {
            let to = format!("to{number}/");
            copy(options, source, &to).success();
            assert!(scene.path(&to).join(expected).exists(), "{way:?} {options:?} {source}");
        }
        if way.direction == Direction::Pull {
            copy(&["-a"], "source/th*/f*", "wild/").success();
            assert_eq!(scene.paths("wild"), ["f"], "{way:?}");
        }
        copy(&["-a", &list(&scene, "f\n")], "source/theirs", "listed/").success();
        assert_eq!(scene.paths("listed"), ["f"], "{way:?}");
        let output = copy(&["-a", &list(&scene, "theirs/f\n")], "source", "refused").expect(23);
        assert!(output.err().contains("belongs to another user"), "{way:?}\n{output}");
        assert!(!scene.path("refused/theirs").exists(), "{way:?}");
    }
}

/// A peer that is bound by whoever started it reads nothing outside, whoever asks, and says so.
#[test]
fn a_bound_peer_reads_no_source_outside() {
    let scene = Scene::with_source(&Tree::new().file("f", "x"))
        .tree("inside", &Tree::new().file("f", "y").symlink("out", "../source"));
    let script = rsh_script(scene.root(), "exec /bin/sh -c \"$*\"\n");
    let program = format!("{} --confine-root={}", binary().display(), scene.path("inside").display());
    let copy = |source: &str| {
        let ends = [remote(scene.path(source)), scene.path("to").into_os_string()];
        dsync(["-a"]).args(shell_options_for(&script, Path::new(&program))).args(ends).run()
    };
    copy("inside/f").success();
    assert_eq!(scene.read("to"), b"y");
    for outside in ["source/f", "inside/out/f", "inside/o*/f"] {
        let output = copy(outside).expect(23);
        assert!(output.err().contains("--confine-root"), "{outside}\n{output}");
        assert_eq!(scene.read("to"), b"y", "{outside}");
    }
}

#[test]
fn without_a_directory_for_its_names_a_list_ends_the_run() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("f", "x"));
        let list = list(&scene, "f\n");
        for (source, options) in
            [("gone", &["-a"][..]), ("source/f", &["-a"]), ("gone", &["-a", "--ignore-missing-args"])]
        {
            let options: Vec<&str> = options.iter().copied().chain([list.as_str()]).collect();
            let output = way.copy(&options, &[scene.path(source)], scene.path("to")).run().expect(3);
            assert!(output.err().contains(source), "{way:?}\n{output}");
            assert!(!scene.path("to").exists(), "{way:?}");
        }
    }
}

#[test]
fn a_slash_after_what_is_no_directory_means_nothing() {
    let tree = Tree::new()
        .file("f", "x")
        .file("d/g", "y")
        .symlink("to-f", "f")
        .symlink("to-d", "d")
        .symlink("to-nothing", "nowhere");
    for way in Way::all() {
        let scene = Scene::with_source(&tree);
        for (number, (name, options, expected)) in [
            ("f/", &["-rl"][..], &["f"][..]),
            ("f/.", &["-rl"], &["f"]),
            ("d/g/", &["-rl"], &["d", "d/g"]),
            ("to-f/", &["-rl"], &["to-f"]),
            ("to-nothing/", &["-rl"], &["to-nothing"]),
            ("to-d/", &["-rl"], &["to-d", "to-d/g"]),
            ("to-d/g/", &["-rl"], &["to-d", "to-d/g"]),
            ("to-f/", &["-rL"], &["to-f"]),
        ]
        .into_iter()
        .enumerate()
        {
            let (kept, listed) = (format!("kept{number}"), format!("listed{number}"));
            fs::create_dir(scene.path(&kept)).unwrap();
            fs::create_dir(scene.path(&listed)).unwrap();
            let source = [typed(&scene, &format!("source/./{name}"))];
            let copy = |options: &[&str]| way.copy(options, &source, scene.path(&kept)).run();
            copy(&[options, &["-R"]].concat()).success();
            assert_eq!(scene.paths(&kept), expected, "{way:?} {name}");
            let list = list(&scene, &format!("{name}\n"));
            let options = [options, &[&list]].concat();
            way.copy(&options, &[scene.path("source")], scene.path(&listed)).run().success();
            assert_eq!(scene.paths(&listed), expected, "{way:?} {name}");
        }
        // It is one file, which may get another name.
        way.copy(&["-aR"], &[typed(&scene, "source/./f/")], scene.path("renamed")).run().success();
        assert_eq!(scene.read("renamed"), b"x", "{way:?}");
        // Without -R a slash asks for what is inside.
        way.copy(&["-a"], &[typed(&scene, "source/f/")], scene.path("none")).run().expect(23);
    }
}

/// Rules that look at absolute paths see the path as it was typed, without what goes up again.
#[test]
fn absolute_rules_know_where_a_source_is_however_it_is_written() {
    let tree = Tree::new().file("f", "1").file("x/g", "2").file("x/y/h", "3");
    let scene = Scene::with_source(&tree);
    let without = |hidden: &str, options: &[&str], source: &str| {
        let _ = fs::remove_dir_all(scene.path("to"));
        let rule = format!("--filter=-/ {}", typed(&scene, hidden).to_str().unwrap());
        let options = [options, &["-r", &rule]].concat();
        let run = Way::LOCAL.copy(&options, &[source], scene.path("to")).current_dir(scene.root());
        run.run().success();
        scene.paths("to")
    };
    for source in ["source/", "source/.", "source/x/..", "source/x/../", "source/x/y/../..", "./source/x/../"]
    {
        assert_eq!(without("source/x", &[], source), ["f"], "{source}");
        assert_eq!(without("source/f", &[], source), ["x", "x/g", "x/y", "x/y/h"], "{source}");
    }
    assert_eq!(without("source/x/y/h", &["-R"], "source/x/../x/./y"), ["y"]);
    let names = list(&scene, "f\nx/g\nx/./y/h\n");
    assert_eq!(without("source/x/y/h", &[&names], "source/x/.."), ["f", "x", "x/g"]);
    assert_eq!(without("source/x/g", &[&names, "--no-R"], "source"), ["f", "h"]);
}

#[test]
fn an_excluded_link_to_nothing_is_no_error_and_stops_no_deletion() {
    let tree = Tree::new().file("f", "x").file("sub/g", "y").symlink("gone", "/nowhere/at/all");
    for way in Way::all() {
        let scene = Scene::with_source(&tree).tree("to", &Tree::new().file("extra", "x"));
        let options = ["-a", "--copy-unsafe-links", "--exclude=gone", "--delete"];
        let sources = ["source/gone", "source/f", "source/sub/"].map(|name| scene.path(name));
        let output = way.copy(&options, &sources, scene.path("to")).run().success();
        assert_eq!(output.err(), "", "{way:?}");
        assert_eq!(scene.paths("to"), ["f", "g"], "{way:?}");
        // One that takes part is missed.
        fs::write(scene.path("to/extra"), "x").unwrap();
        way.copy(&["-a", "--copy-unsafe-links", "--delete"], &sources, scene.path("to")).run().expect(23);
        assert!(scene.path("to/extra").exists(), "{way:?}");
    }
}

/// Directories that may be searched and not read: what was named in them is there all the same.
#[test]
fn what_is_named_in_a_directory_that_may_only_be_searched_is_read() {
    let scene = Scene::new();
    let open = Tree::new().file("shut/f", "x").file("shut/deep/g", "y").file("open", "z");
    let tree = Tree::new().symlink("link", "../elsewhere/shut");
    open.write(&scene.path("elsewhere"));
    tree.write(&scene.path("source"));
    for to in ["linked", "listed"] {
        fs::create_dir(scene.path(to)).unwrap();
        fs::set_permissions(scene.path(to), fs::Permissions::from_mode(0o777)).unwrap();
    }
    let shut =
        |mode| fs::set_permissions(scene.path("elsewhere/shut"), fs::Permissions::from_mode(mode)).unwrap();
    shut(0o711);
    let copy = |options: &[&str], to: &str| {
        Way::LOCAL.copy(options, &[scene.path("source/")], scene.path(to)).unprivileged()
    };
    let Some(run) = copy(&["-rL"], "linked") else { return shut(0o755) };
    // As rsync, it makes the directory and says that it cannot be listed.
    let output = run.run().expect(23);
    assert!(output.err().contains("listing directory link"), "{output}");
    assert_eq!(scene.paths("linked"), ["link"]);
    for options in [["-rL"], ["-rk"]] {
        let names = list(&scene, "link\nlink/f\nlink/deep/\n");
        let Some(run) = copy(&[&options[..], &[&names]].concat(), "listed") else { return shut(0o755) };
        run.run().expect(23);
        let expected = ["link", "link/deep", "link/deep/g", "link/f"];
        assert_eq!(scene.paths("listed"), expected, "{options:?}");
        fs::remove_dir_all(scene.path("listed/link")).unwrap();
    }
    shut(0o755);
}

/// The time of a directory is that of the source, also where the only thing done in it was to remove what the source
/// was asked for in vain.
#[test]
fn what_is_removed_for_being_missing_leaves_the_time_of_its_directory() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("d/f", "x").mtime("d", 1_500_000_000));
        let to = Tree::new().file("d/gone", "x").mtime("d", 1_500_000_000);
        let scene = scene.tree("to", &to);
        let output = way
            .copy(&["-aiR", "--delete-missing-args"], &[typed(&scene, "source/./d/gone")], scene.path("to"))
            .run()
            .success();
        assert_eq!(output.out(), "*deleting   d/gone\n", "{way:?}");
        assert_eq!(fs::metadata(scene.path("to/d")).unwrap().mtime(), 1_500_000_000, "{way:?}");
    }
}

/// The directory that a kept link leads to may be extra itself: then what is below the link is copied all the same.
#[test]
fn a_kept_link_whose_directory_is_deleted_becomes_a_directory() {
    for way in Way::all() {
        let at_once = ["--delete-during", "--delete-before"].map(|option| (option, true));
        let later = ["--delete-delay", "--delete-after"].map(|option| (option, false));
        for (option, is_at_once) in at_once.into_iter().chain(later) {
            let scene = Scene::with_source(&Tree::new().file("a/f", "x").file("a/in/g", "y"));
            let scene = scene.tree("to", &Tree::new().file("target/old", "z"));
            symlink("target", scene.path("to/a")).unwrap();
            way.copy(&["-aK", option], &[scene.path("source/")], scene.path("to")).run().success();
            let there = if is_at_once { &["a", "a/f", "a/in", "a/in/g"][..] } else { &["a"] };
            assert_eq!(scene.paths("to"), there, "{way:?} {option}");
            // What it leads to goes after it was filled.
            assert_eq!(scene.path("to/a").is_symlink(), !is_at_once, "{way:?} {option}");
        }
    }
}
