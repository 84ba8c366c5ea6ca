//! Sources that are named one by one: one layer, paths kept as typed, lists of names, and sources only shown.

use crate::support::disk::Disk;
use crate::support::scene::Scene;
use crate::support::transport::{Transport, Way, remote};
use crate::support::tree::Tree;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

fn deep() -> Tree {
    Tree::new()
        .file("top", "0")
        .file("a/one", "1")
        .file("a/sub/two", "2")
        .file("a/sub/deep/three", "3")
        .directory("b")
        .symlink("a/link", "sub")
        .mode("a", 0o750)
        .mode("a/sub", 0o711)
        .mtime("a/sub", 1_500_000_000)
}

#[test]
fn one_layer_is_made_and_not_entered() {
    for way in Way::all() {
        let scene = Scene::with_source(&deep());
        way.copy(&["-dlpt"], &[scene.path("source/a")], scene.path("itself")).run().success();
        assert_eq!(scene.paths("itself"), ["a"], "{way:?}");
        way.copy(&["-dlpt"], &[scene.path("source/a/")], scene.path("inside")).run().success();
        assert_eq!(scene.paths("inside"), ["link", "one", "sub"], "{way:?}");
        assert_eq!(fs::metadata(scene.path("inside/sub")).unwrap().mtime(), 1_500_000_000, "{way:?}");
    }
}

#[test]
fn one_layer_is_cleaned_and_what_is_below_is_not() {
    for way in Way::all() {
        let to = Tree::new().file("sub/mine", "x").file("extra/deep", "x").file("gone", "x");
        let scene = Scene::with_source(&deep()).tree("to", &to);
        way.copy(&["-dl", "--delete"], &[scene.path("source/a/")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["link", "one", "sub", "sub/mine"], "{way:?}");
        // A directory that only was named is not to be cleaned.
        way.copy(&["-d", "--delete"], &[scene.path("source/a/sub")], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["link", "one", "sub", "sub/mine"], "{way:?}");
    }
}

#[test]
fn paths_are_kept_as_typed_with_the_attributes_of_what_is_above() {
    for way in Way::all() {
        let scene = Scene::with_source(&deep());
        let source = |path: &str| {
            let mut named = scene.path("source").into_os_string();
            named.push(path);
            named
        };
        let sources = [source("/./a/sub/two"), source("/a/./link/deep")];
        way.copy(&["-aR"], &sources, scene.path("to")).run().success();
        assert_eq!(
            scene.paths("to"),
            ["a", "a/sub", "a/sub/two", "link", "link/deep", "link/deep/three"],
            "{way:?}"
        );
        let mode = |path: &str| fs::symlink_metadata(scene.path(path)).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode("to/a"), mode("to/a/sub")), (0o750, 0o711), "{way:?}");
        // A directory although the path goes through a link, with what that leads to.
        assert_eq!(mode("to/link"), 0o711, "{way:?}");
        assert_eq!(fs::metadata(scene.path("to/link")).unwrap().mtime(), 1_500_000_000, "{way:?}");
    }
}

#[test]
fn what_is_above_a_named_path_is_never_cleaned() {
    for way in Way::all() {
        let to = Tree::new().file("mine", "x").file("a/mine", "x").file("a/sub/extra", "x").file("c/d", "x");
        let scene = Scene::with_source(&deep()).tree("to", &to);
        let mut source = scene.path("source").into_os_string();
        source.push("/./a/sub");
        way.copy(&["-aR", "--delete"], &[source], scene.path("to")).run().success();
        let expected =
            ["a", "a/mine", "a/sub", "a/sub/deep", "a/sub/deep/three", "a/sub/two", "c", "c/d", "mine"];
        assert_eq!(scene.paths("to"), expected, "{way:?}");
    }
}

#[test]
fn without_implied_directories_links_of_the_destination_stay_as_long_as_they_stay_inside() {
    for way in Way::all() {
        let scene =
            Scene::with_source(&deep()).tree("to", &Tree::new().directory("real").symlink("a", "real"));
        let mut source = scene.path("source").into_os_string();
        source.push("/./a/sub/two");
        let options = ["-aR", "--no-implied-dirs"];
        way.copy(&options, &[&source], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["a", "real", "real/sub", "real/sub/two"], "{way:?}");
        // What had to be made has nothing of the source.
        assert_ne!(fs::metadata(scene.path("to/real/sub")).unwrap().mtime(), 1_500_000_000, "{way:?}");
        fs::create_dir(scene.path("outside")).unwrap();
        fs::remove_file(scene.path("to/a")).unwrap();
        symlink("../outside", scene.path("to/a")).unwrap();
        way.copy(&options, &[&source], scene.path("to")).run().expect(23);
        assert_eq!(scene.paths("outside"), [""; 0], "{way:?}");
        assert!(fs::read_link(scene.path("to/a")).is_ok(), "{way:?}: the link stays");
    }
}

#[test]
fn without_implied_directories_none_is_made_for_what_is_left_out() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().directory("a/b/empty").file("c/d/file", "x"));
        let named = ["a/b", "c/d"].map(|path| scene.path(&format!("source/./{path}")));
        // What a rule protects is not left out for being empty, but nobody named the directories above it.
        let options = ["-rRm", "--no-implied-dirs", "--include=file", "--include=d", "--exclude=*"];
        way.copy(&options, &named, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["c", "c/d", "c/d/file"], "{way:?}");
        // Nor for what is not there and is not to be made.
        fs::remove_dir_all(scene.path("to/c")).unwrap();
        let options = ["-rR", "--no-implied-dirs", "--existing"];
        way.copy(&options, &named, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), [""; 0], "{way:?}");
    }
}

#[test]
fn a_list_names_what_is_copied() {
    let list = "# a comment\n\n; another\na/sub/two\n/top\nb\na/../../../top\n";
    for way in Way::all() {
        let scene = Scene::with_source(&deep());
        fs::write(scene.path("list"), list).unwrap();
        let mut option = OsString::from("--files-from=");
        option.push(scene.path("list"));
        let source = [scene.path("source")];
        way.copy(&["-a".into(), option], &source, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["a", "a/sub", "a/sub/two", "b", "top"], "{way:?}");
        let nul = list.replace('\n', "\0");
        way.copy(&["-a0", "--files-from=-"], &source, scene.path("nul"))
            .input(nul.as_bytes())
            .run()
            .success();
        assert_eq!(scene.paths("nul"), scene.paths("to"), "{way:?}");
        let missing = ["-a", "--files-from=/no/such/list"];
        let output = way.copy(&missing, &source, scene.path("none")).run().expect(1);
        assert!(output.err().contains("/no/such/list"), "{way:?}\n{output}");
        assert!(!scene.path("none").exists(), "{way:?}");
    }
}

#[test]
fn a_list_may_be_on_the_other_host() {
    for way in Way::remote() {
        let scene = Scene::with_source(&deep());
        fs::write(scene.path("list"), "a/one\n").unwrap();
        for file in [remote(scene.path("list")), {
            let mut file = OsString::from(":");
            file.push(scene.path("list"));
            file
        }] {
            let mut option = OsString::from("--files-from=");
            option.push(file);
            let _ = fs::remove_dir_all(scene.path("to"));
            way.copy(&["-a".into(), option], &[scene.path("source")], scene.path("to/")).run().success();
            assert_eq!(scene.paths("to"), ["a", "a/one"], "{way:?}");
        }
        let missing = ["-a", "--files-from=:/no/such/list"];
        let output = way.copy(&missing, &[scene.path("source")], scene.path("none")).run();
        assert!(!output.err().is_empty() && output.code != Some(0), "{way:?}\n{output}");
        assert!(!scene.path("none").exists(), "{way:?}");
    }
    assert!(Way::remote().iter().any(|way| way.transport == Transport::Rsh));
}

#[test]
fn directories_of_a_list_are_entered_when_that_is_asked_for() {
    for way in Way::all() {
        let scene = Scene::with_source(&deep());
        let listed = |options: &[&str], list: &str, to: &str| {
            let options = [&["-a", "--files-from=-"], options].concat();
            let run = way.copy(&options, &[scene.path("source")], scene.path(to)).input(list.as_bytes());
            run.run().success();
            scene.paths(to)
        };
        assert_eq!(listed(&[], "a\n", "alone/"), ["a"], "{way:?}");
        assert_eq!(listed(&[], "a/\n", "layer/"), ["a", "a/link", "a/one", "a/sub"], "{way:?}");
        let all = ["a", "a/link", "a/one", "a/sub", "a/sub/deep", "a/sub/deep/three", "a/sub/two"];
        assert_eq!(listed(&["-r"], "a\n", "all/"), all, "{way:?}");
        assert_eq!(listed(&["--no-R"], "a/sub/two\na/one\n", "flat/"), ["one", "two"], "{way:?}");
    }
}

#[test]
fn what_is_named_below_a_directory_of_a_list_is_there_besides_it() {
    for way in Way::plain() {
        let scene = Scene::with_source(&deep());
        for (list, options, shown) in [
            // Rules hide the directory, not what is named in it; that is nothing that would be cleaned.
            (
                "a\na/sub/two",
                &["-r", "--exclude=a/sub"][..],
                &["a", "a/link", "a/one", "a/sub", "a/sub/two"][..],
            ),
            ("a\na/sub/two", &["-r", "--exclude=a/sub", "--exclude=two"], &["a", "a/link", "a/one"]),
            // A path that goes on, or ends with a slash, goes through a link.
            (
                "a\na/link/two",
                &["-r", "--exclude=deep"],
                &["a", "a/link", "a/link/two", "a/one", "a/sub", "a/sub/two"],
            ),
            (
                "a\na/link/",
                &["-r", "--exclude=deep"],
                &["a", "a/link", "a/link/two", "a/one", "a/sub", "a/sub/two"],
            ),
        ] {
            let options = [&["-a", "--files-from=-", "--delete"], options].concat();
            let to = scene.path("to");
            way.copy(&options, &[scene.path("source")], &to).input(list.as_bytes()).run().success();
            assert_eq!(scene.paths("to"), shown, "{way:?} {list} {options:?}");
            fs::remove_dir_all(to).unwrap();
        }
    }
}

#[test]
fn a_list_never_widens_what_is_deleted() {
    for way in Way::all() {
        let to = Tree::new().file("mine", "x").file("a/mine", "x").file("a/sub/mine", "x");
        let scene = Scene::with_source(&deep()).tree("to", &to);
        let copy = |options: &[&str], list: &str| {
            let options = [&["-a", "--delete", "--files-from=-"], options].concat();
            let run = way.copy(&options, &[scene.path("source")], scene.path("to"));
            run.input(list.as_bytes()).run().success();
            scene.paths("to")
        };
        let kept = copy(&[], "a\na/sub/two\n");
        assert_eq!(kept, ["a", "a/mine", "a/sub", "a/sub/mine", "a/sub/two", "mine"], "{way:?}");
        let kept = copy(&["-r"], "a/sub\n");
        let expected = ["a", "a/mine", "a/sub", "a/sub/deep", "a/sub/deep/three", "a/sub/two", "mine"];
        assert_eq!(kept, expected, "{way:?}");
    }
}

#[test]
fn names_that_are_not_there_are_told_passed_over_or_deleted() {
    let list = "top\nno/such\ngone\nfull\na/nothing\n";
    for way in Way::all() {
        let to =
            Tree::new().file("gone", "x").file("full/inside", "x").file("a/nothing", "x").file("mine", "x");
        let scene = Scene::with_source(&deep()).tree("to", &to);
        let copy = |options: &[&str]| {
            let options = [&["-a", "--files-from=-"], options].concat();
            way.copy(&options, &[scene.path("source")], scene.path("to")).input(list.as_bytes()).run()
        };
        let output = copy(&[]).expect(23);
        for name in ["no/such", "gone", "full", "a/nothing"] {
            assert!(output.err().contains(name), "{way:?}: {name}\n{output}");
        }
        let before = scene.paths("to");
        let output = copy(&["--ignore-missing-args"]).success();
        assert_eq!(output.err(), "", "{way:?}");
        assert_eq!(scene.paths("to"), before, "{way:?}");
        copy(&["-n", "--delete-missing-args"]).success();
        assert_eq!(scene.paths("to"), before, "{way:?}");
        copy(&["--delete-missing-args"]).success();
        assert_eq!(scene.paths("to"), ["a", "full", "full/inside", "mine", "top"], "{way:?}");
        copy(&["--delete-missing-args", "--force"]).success();
        assert_eq!(scene.paths("to"), ["a", "mine", "top"], "{way:?}");
    }
}

#[test]
fn a_name_below_what_is_no_directory_is_not_only_missing() {
    for way in Way::plain() {
        let source = deep().symlink("to-file", "top").symlink("nowhere", "nothing");
        let scene = Scene::with_source(&source);
        for (name, code) in [("top/x", 23), ("to-file/x", 23), ("nowhere/x", 0), ("no/x", 0)] {
            let options = ["-a", "--ignore-missing-args", "--files-from=-"];
            let run = way.copy(&options, &[scene.path("source")], scene.path("to")).input(name.as_bytes());
            let output = run.run().expect(code);
            assert_eq!(output.err().contains("Not a directory"), code == 23, "{way:?} {name}\n{output}");
        }
    }
}

#[test]
fn a_missing_source_deletes_only_what_it_names() {
    for way in Way::all() {
        let scene =
            Scene::with_source(&deep()).tree("to", &Tree::new().file("nosuch", "x").file("mine", "x"));
        let sources = [scene.path("source/nosuch"), scene.path("source/top")];
        way.copy(&["-a", "--delete-missing-args"], &sources, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["mine", "top"], "{way:?}");
        way.copy(&["-a", "--ignore-missing-args"], &sources, scene.path("other/")).run().success();
        assert_eq!(scene.paths("other"), ["top"], "{way:?}");
    }
}

#[test]
fn a_long_list_takes_a_time_that_grows_with_it() {
    let mut tree = Tree::new();
    for n in 0..400 {
        tree = tree.file(format!("d{}/f{n}", n % 7), "x");
    }
    let names: Vec<String> = (0..200_000).map(|n| format!("d{}/f{n}", n % 7)).collect();
    for way in Way::plain() {
        let scene = Scene::with_source(&tree);
        let options = ["-a", "--ignore-missing-args", "--files-from=-"];
        let run = way.copy(&options, &[scene.path("source")], scene.path("to"));
        run.input(names.join("\n").as_bytes()).run().success();
        assert_eq!(scene.paths("to").len(), 407, "{way:?}");
    }
}

#[test]
fn missing_directories_above_the_destination_are_made_when_asked() {
    for way in Way::all() {
        let scene = Scene::with_source(&deep());
        let copy = |options: &[&str], source: &str, to: &str| {
            way.copy(options, &[scene.path(source)], scene.path(to)).run()
        };
        let output = copy(&["-ai", "--mkpath"], "source/a/sub/", "x/y/z").success();
        assert!(output.out().starts_with("created 3 directories for "), "{way:?}\n{output}");
        assert_eq!(scene.paths("x/y/z"), ["deep", "deep/three", "two"], "{way:?}");
        copy(&["-a", "--mkpath"], "source/top", "p/q/name").success();
        assert_eq!(scene.read("p/q/name"), b"0", "{way:?}");
        copy(&["-a", "--mkpath"], "source/top", "r/s/").success();
        assert_eq!(scene.read("r/s/top"), b"0", "{way:?}");
        // Then the destination is one that is there, which may be as the source's directory is.
        let output = copy(&["-rl", "--mkpath", "--out-format=%n"], "source/a/sub/", "t/u/").success();
        assert_eq!(output.out(), "two\ndeep/\ndeep/three\n", "{way:?}");
        let output = copy(&["-ai", "--mkpath"], "source/a/sub/", "one").success();
        assert!(output.out().starts_with("created 1 directory for "), "{way:?}\n{output}");
        assert!(output.out().contains("\n.d..tp..... ./\n"), "{way:?}\n{output}");
        let output = copy(&["-ain", "--mkpath"], "source/top", "dry/s/").success();
        assert!(output.out().starts_with("created 2 directories for "), "{way:?}\n{output}");
        assert!(output.out().contains("\ncreated directory "), "{way:?}\n{output}");
        assert!(!scene.path("dry").exists(), "{way:?}");
        // For nothing, too.
        for (to, made) in [("e/f/g", ["e", "e/f"]), ("h/i/", ["h", "h/i"])] {
            let output = copy(&["-ai", "--mkpath", "--exclude=*"], "source/top", to).success();
            assert!(output.out().starts_with("created 2 directories for "), "{way:?}\n{output}");
            assert!(made.iter().all(|name| scene.paths(name).len() < 2), "{way:?}\n{output}");
            assert!(scene.path(made[1]).is_dir() && !scene.path("e/f/g").exists(), "{way:?}\n{output}");
        }
    }
}

#[test]
fn sources_are_shown_and_nothing_is_written() {
    for way in Way::all() {
        let tree = Tree::new().file("f", "x".repeat(1234)).mode("f", 0o4640).mtime("f", 1_577_934_245);
        let scene = Scene::with_source(&tree.symlink("l", "f").file("d/g", "y").directory("to"));
        let output = way
            .copy(&["-r", "--list-only"], &[scene.path("source/")], scene.path("none/such"))
            .run()
            .success();
        assert!(!scene.path("none").exists(), "{way:?}");
        let out = output.out();
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines[1].starts_with("-rwSr-----          1,234 2020/01/0"), "{way:?}\n{out}");
        let names: Vec<&str> = lines.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
        assert_eq!(names, [".", "f", "l", "d", "d/g", "to"], "{way:?}\n{out}");
    }
}

#[test]
fn a_source_without_a_destination_is_shown() {
    let scene = Scene::with_source(&deep());
    let shown = |options: &[&str], source: &str| {
        let path = scene.path(source);
        let arguments = [options, &[path.to_str().unwrap()]].concat();
        let output = crate::support::command::dsync(arguments).run().success();
        output.out().lines().map(|line| line.get(46..).unwrap_or(line).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(shown(&[], "source/a"), ["a"]);
    assert_eq!(shown(&["-l"], "source/a/"), [".", "link -> sub", "one", "sub"]);
    assert_eq!(
        shown(&["-r"], "source/a"),
        ["a", "a/link", "a/one", "a/sub", "a/sub/two", "a/sub/deep", "a/sub/deep/three"]
    );
}

#[test]
fn other_file_systems_are_made_left_out_and_left_alone() {
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("f", "x").directory("d")).tree("to", &Tree::new());
        let (Some(_there), Some(_here)) =
            (Disk::small(&scene, "source/m", 1), Disk::small(&scene, "to/mine", 1))
        else {
            return;
        };
        fs::write(scene.path("source/m/inside"), "y").unwrap();
        fs::write(scene.path("to/mine/kept"), "z").unwrap();
        let copy = |options: &[&str], to: &str| {
            way.copy(options, &[scene.path("source/")], scene.path(to)).run().success();
            scene.paths(to)
        };
        assert_eq!(copy(&["-ax", "--delete"], "to"), ["d", "f", "m", "mine", "mine/kept"], "{way:?}");
        assert_eq!(copy(&["-axx"], "without"), ["d", "f"], "{way:?}");
        assert_eq!(copy(&["-a"], "all"), ["d", "f", "m", "m/inside"], "{way:?}");
        // What is named is entered wherever it is.
        way.copy(&["-axx"], &[scene.path("source/m")], scene.path("named/")).run().success();
        assert_eq!(scene.paths("named"), ["m", "m/inside"], "{way:?}");
        // And what a link leads to is where it is.
        std::os::unix::fs::symlink("m", scene.path("source/link")).unwrap();
        assert_eq!(copy(&["-axxk"], "followed"), ["d", "f"], "{way:?}");
    }
}

#[test]
fn directories_above_what_is_not_there_are_not_made() {
    for way in Way::all() {
        let scene = Scene::with_source(&deep());
        let source = scene.path("source");
        fs::write(scene.path("list"), "a/sub/gone\nb/none\n").unwrap();
        let list = format!("--files-from={}", scene.path("list").display());
        let output = way.copy(&["-a", &list], &[&source], scene.path("to")).run().expect(23);
        assert!(output.err().contains("a/sub/gone") && output.err().contains("b/none"), "{way:?}\n{output}");
        assert_eq!(scene.paths("to"), [""; 0], "{way:?}");
        // Something else may lead there.
        fs::write(scene.path("list"), "a/sub/gone\na/sub/two\nb/none\n").unwrap();
        way.copy(&["-a", &list, "--ignore-missing-args"], &[&source], scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["a", "a/sub", "a/sub/two"], "{way:?}");
    }
}
