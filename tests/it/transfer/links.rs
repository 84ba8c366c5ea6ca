//! Symbolic links: copied, followed, left out, munged, kept at the destination.

use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{Direction, Way};
use crate::support::tree::Tree;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;

/// Links to a file and a directory inside, to both outside, and to nothing.
fn linked() -> Scene {
    let source = Tree::new()
        .file("real/file", "inside")
        .symlink("to-file", "real/file")
        .symlink("to-dir", "real")
        .symlink("out-file", "../outside/secret")
        .symlink("out-dir", "../outside")
        .symlink("nowhere", "nothing");
    Scene::with_source(&source).tree("outside", &Tree::new().file("secret", "outside").file("sub/more", "m"))
}

fn target(scene: &Scene, path: &str) -> Option<String> {
    fs::read_link(scene.path(path)).ok().map(|target| target.to_str().unwrap().to_owned())
}

#[test]
fn all_links_are_followed() {
    for way in Way::all() {
        let scene = linked();
        let output = way.copy(&["-aL"], &[scene.path("source/")], scene.path("to")).run().expect(23);
        assert!(output.err().contains("nowhere"), "{way:?}\n{output}");
        let expected = [
            "out-dir",
            "out-dir/secret",
            "out-dir/sub",
            "out-dir/sub/more",
            "out-file",
            "real",
            "real/file",
            "to-dir",
            "to-dir/file",
            "to-file",
        ];
        assert_eq!(scene.paths("to"), expected, "{way:?}");
        assert_eq!(scene.read("to/out-file"), b"outside", "{way:?}");
        assert!(fs::symlink_metadata(scene.path("to/to-file")).unwrap().is_file(), "{way:?}");
        // Once more there is nothing to do.
        let again = way.copy(&["-aLi"], &[scene.path("source/")], scene.path("to")).run().expect(23);
        assert_eq!(again.out(), "", "{way:?}");
        // What is left out, or would be if it led to a directory, is not missed.
        for rule in ["--exclude=nowhere", "--exclude=*/"] {
            way.copy(&["-aL", rule], &[scene.path("source/")], scene.path("to")).run().success();
        }
    }
}

#[test]
fn what_a_link_leads_to_was_read_when_that_was_read() {
    const READ: i64 = 4_000_000_000;
    for way in Way::all() {
        let scene = linked();
        for link in ["source/to-file", "source/out-file"] {
            let time = |seconds| filetime::FileTime::from_unix_time(seconds, 0);
            filetime::set_symlink_file_times(scene.path(link), time(1_500_000_000), time(1_500_000_000))
                .unwrap();
            let referent = scene.path(link).canonicalize().unwrap();
            filetime::set_file_times(referent, time(READ), time(1_600_000_000)).unwrap();
        }
        for options in [["-aUL"], ["-aULX"]] {
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(23);
            for file in ["to/to-file", "to/out-file"] {
                assert_eq!(
                    fs::metadata(scene.path(file)).unwrap().atime(),
                    READ,
                    "{way:?} {options:?} {file}"
                );
            }
            fs::remove_dir_all(scene.path("to")).unwrap();
        }
    }
}

#[test]
fn a_directory_is_empty_that_holds_only_what_cannot_be_followed() {
    for way in Way::plain() {
        let source = Tree::new()
            .symlink("empty/below/nowhere", "nothing")
            .symlink("full/nowhere", "nothing")
            .file("full/file", "x");
        let to = Tree::new().file("empty/below/mine", "x").file("extra", "x");
        let scene = Scene::with_source(&source).tree("to", &to);
        let options = ["-aLm", "--delete"];
        let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(23);
        for path in ["empty/below/nowhere", "full/nowhere"] {
            let told = format!("following {path}: the symbolic link leads nowhere");
            assert_eq!(output.err().matches(&told).count(), 1, "{way:?}\n{output}");
        }
        // Nobody knows what may be missing.
        let kept = ["empty", "empty/below", "empty/below/mine", "extra", "full", "full/file"];
        assert_eq!(scene.paths("to"), kept, "{way:?}");
        way.copy(&options[..1], &[scene.path("source/")], scene.path("new")).run().expect(23);
        assert_eq!(scene.paths("new"), ["full", "full/file"], "{way:?}");
    }
}

#[test]
fn links_to_directories_are_followed() {
    for way in Way::all() {
        let scene = linked();
        way.copy(&["-ak"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.read("to/to-dir/file"), b"inside", "{way:?}");
        assert_eq!(scene.read("to/out-dir/sub/more"), b"m", "{way:?}");
        assert_eq!(target(&scene, "to/to-file").as_deref(), Some("real/file"), "{way:?}");
        assert_eq!(target(&scene, "to/nowhere").as_deref(), Some("nothing"), "{way:?}");
    }
}

#[test]
fn unsafe_links_are_followed_and_safe_ones_copied() {
    for way in Way::all() {
        let scene = linked();
        way.copy(&["-a", "--copy-unsafe-links"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.read("to/out-file"), b"outside", "{way:?}");
        assert_eq!(scene.read("to/out-dir/sub/more"), b"m", "{way:?}");
        assert_eq!(target(&scene, "to/to-dir").as_deref(), Some("real"), "{way:?}");
        // Without the slash the directory that it is in is the top.
        way.copy(&["-a", "--copy-unsafe-links"], &[scene.path("source")], scene.path("up")).run().success();
        assert_eq!(target(&scene, "up/source/out-file").as_deref(), Some("../outside/secret"), "{way:?}");
    }
}

#[test]
fn unsafe_links_that_are_followed_are_told() {
    for way in Way::plain() {
        let source =
            Tree::new().file("dir/file", "x").symlink("dir/out", "../../outside").symlink("in", "dir");
        let scene = Scene::with_source(&source);
        fs::write(scene.path("outside"), "out").unwrap();
        let line = "copying unsafe symlink \"dir/out\" -> \"../../outside\"";
        for (options, told) in [
            (&["-av"][..], true),
            (&["-an", "--info=symsafe"], true),
            (&["-a"], false),
            (&["-av", "--info=symsafe0"], false),
            (&["-av", "--copy-links"], false),
        ] {
            let options = [options, &["--copy-unsafe-links"]].concat();
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!(output.out().lines().any(|shown| shown == line), told, "{way:?}\n{output}");
        }
    }
}

#[test]
fn of_unsafe_links_it_is_told_first_that_they_are_there_or_are_not() {
    for way in Way::plain() {
        let source = Tree::new().symlink("here", "/etc").symlink("new", "/etc");
        let scene = Scene::with_source(&source).tree("to", &Tree::new().symlink("here", "/usr"));
        let [leaving_here, leaving_new] =
            ["here", "new"].map(|name| format!("ignoring unsafe symlink \"{name}\" -> \"/etc\""));
        for (option, told) in [
            ("--ignore-existing", ["here exists", &leaving_new]),
            ("--existing", [&leaving_here, "not creating new file \"new\""]),
        ] {
            let options = ["-rlvv", "--safe-links", option];
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            let out = output.out();
            let about_links = out.lines().filter(|line| line.contains("here") || line.contains("new"));
            assert_eq!(about_links.collect::<Vec<_>>(), told, "{way:?}\n{output}");
        }
    }
}

#[test]
fn unsafe_links_are_left_out_and_protect_what_has_their_names() {
    for way in Way::all() {
        let to = Tree::new().file("out-file", "mine").file("extra", "x");
        let scene = linked().tree("to", &to);
        let options = ["-av", "--safe-links", "--delete"];
        let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        let line = "ignoring unsafe symlink \"out-file\" -> \"../outside/secret\"";
        assert!(output.out().contains(line), "{way:?}\n{output}");
        let expected = ["nowhere", "out-file", "real", "real/file", "to-dir", "to-file"];
        assert_eq!(scene.paths("to"), expected, "{way:?}");
        assert_eq!(scene.read("to/out-file"), b"mine", "{way:?}");
    }
}

/// Nor in the place of a backup, whether something takes their names or they are deleted.
#[test]
fn unsafe_links_are_not_backed_up() {
    for way in Way::all() {
        for where_to in [&[][..], &["--backup-dir=../kept"]] {
            let source = Tree::new().file("name", "new").file("other", "new").directory("d");
            let to = Tree::new()
                .symlink("name", "/etc/passwd")
                .symlink("other", "d/within")
                .symlink("d/gone", "../../out")
                .symlink("d/old", "../within");
            let scene = Scene::with_source(&source).tree("to", &to);
            let options = [&["-ab", "--delete", "--safe-links"], where_to].concat();
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            assert_eq!((scene.read("to/name"), scene.read("to/other")), (b"new".to_vec(), b"new".to_vec()));
            match where_to {
                [] => assert_eq!(scene.paths("to"), ["d", "d/old~", "name", "other", "other~"], "{way:?}"),
                _ => {
                    assert_eq!(scene.paths("to"), ["d", "name", "other"], "{way:?}");
                    assert_eq!(scene.paths("kept"), ["d", "d/old", "other"], "{way:?}");
                }
            }
        }
    }
}

#[test]
fn links_that_lead_to_a_directory_above_end() {
    for way in Way::all() {
        let source = Tree::new().file("a/b/file", "x").symlink("a/b/up", "..").symlink("a/self", ".");
        let scene = Scene::with_source(&source.symlink("top", "."));
        let output = way.copy(&["-aL"], &[scene.path("source/")], scene.path("to")).run().expect(23);
        assert!(output.err().contains("above it"), "{way:?}\n{output}");
        assert_eq!(scene.paths("to"), ["a", "a/b", "a/b/file"], "{way:?}");
    }
}

#[test]
fn links_that_lead_around_end_too() {
    let source =
        Tree::new().file("a/file", "x").file("b/file", "y").symlink("a/b", "../b").symlink("b/a", "../a");
    let scene = Scene::with_source(&source);
    Way::LOCAL.copy(&["-aL"], &[scene.path("source/")], scene.path("to")).run().expect(23);
    let expected = ["a", "a/b", "a/b/file", "a/file", "b", "b/a", "b/a/file", "b/file"];
    assert_eq!(scene.paths("to"), expected);
}

#[test]
fn links_to_directories_are_kept_inside_and_never_followed_out() {
    for way in Way::all() {
        let source =
            Tree::new().file("d/file", "new").file("e/file", "new").file("f/file", "new").file("plain", "p");
        let to = Tree::new().directory("real").symlink("d", "real").symlink("plain", "real");
        let scene = Scene::with_source(&source.mtime("d", 1_500_000_000)).tree("to", &to);
        let (inside, outside) = (scene.path("to/real"), scene.path("outside"));
        fs::create_dir(&outside).unwrap();
        symlink(&outside, scene.path("to/e")).unwrap();
        symlink(&inside, scene.path("to/f")).unwrap();
        let output =
            way.copy(&["-aK", "--delete"], &[scene.path("source/")], scene.path("to")).run().expect(23);
        assert!(output.err().contains("leads out of the tree"), "{way:?}\n{output}");
        assert_eq!(scene.paths("outside"), [""; 0], "{way:?}");
        // What it leads to is not listed at the source and goes, as any other name; then, as with rsync, so does the
        // link.
        assert_eq!((target(&scene, "to/d"), scene.read("to/d/file")), (None, b"new".to_vec()), "{way:?}");
        // A file takes the place of a link in any case.
        assert_eq!(scene.read("to/plain"), b"p", "{way:?}");
    }
}

#[test]
fn what_is_below_a_kept_link_is_compared_and_cleaned() {
    for way in Way::all() {
        let source = Tree::new().file("d/file", "new").file("d/sub/more", "m").directory("real");
        let to = Tree::new().file("real/keep/x", "x").symlink("d", "real").file("extra", "x");
        let scene = Scene::with_source(&source.mtime("d", 1_500_000_000)).tree("to", &to);
        let options = ["-aK", "--exclude=keep", "--exclude=real"];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.read("to/real/sub/more"), b"m", "{way:?}");
        assert_eq!(fs::metadata(scene.path("to/real")).unwrap().mtime(), 1_500_000_000, "{way:?}");
        let again = way.copy(
            &["-aKi", "--exclude=keep", "--exclude=real"],
            &[scene.path("source/")],
            scene.path("to"),
        );
        assert_eq!(again.run().success().out(), "", "{way:?}");
        fs::remove_file(scene.path("source/d/file")).unwrap();
        let options = ["-aK", "--delete", "--exclude=keep", "--exclude=/real"];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(
            scene.paths("to"),
            ["d", "real", "real/keep", "real/keep/x", "real/sub", "real/sub/more"],
            "{way:?}"
        );
        // Without -K the link gives way.
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        assert!(fs::symlink_metadata(scene.path("to/d")).unwrap().is_dir(), "{way:?}");
    }
}

#[test]
fn munged_links_lead_nowhere_and_come_back() {
    for way in Way::all() {
        let scene = linked();
        let copy = |from: &str, to: &str| {
            way.copy(&["-a", "--munge-links"], &[scene.path(from)], scene.path(to)).run().success()
        };
        copy("source/", "to");
        let munged = "/rsyncd-munged/../outside/secret";
        // The option is about this side's links: those that are written by a pull.
        let expected = if way.direction == Direction::Pull { munged } else { "../outside/secret" };
        assert_eq!(target(&scene, "to/out-file").as_deref(), Some(expected), "{way:?}");
        let again =
            way.copy(&["-ai", "--munge-links"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(again.out(), "", "{way:?}");
        fs::remove_file(scene.path("source/out-file")).unwrap();
        symlink(munged, scene.path("source/out-file")).unwrap();
        copy("source/", "back");
        let read: PathBuf = fs::read_link(scene.path("back/out-file")).unwrap();
        let twice = "/rsyncd-munged//rsyncd-munged/../outside/secret";
        let expected = if way.direction == Direction::Pull { twice } else { "../outside/secret" };
        assert_eq!(read.to_str(), Some(expected), "{way:?}");
    }
}

#[test]
fn munged_links_come_back_also_where_those_to_directories_are_followed() {
    for way in Way::plain().into_iter().filter(|way| way.direction == Direction::Push) {
        let source = Tree::new()
            .symlink("away", "/rsyncd-munged//etc/nothing")
            .symlink("to-file", "/rsyncd-munged/dir/file")
            .symlink("to-dir", "dir");
        let scene = Scene::with_source(&source.file("dir/file", "x"));
        way.copy(&["-ak", "--munge-links"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(target(&scene, "to/away").as_deref(), Some("/etc/nothing"), "{way:?}");
        assert_eq!(target(&scene, "to/to-file").as_deref(), Some("dir/file"), "{way:?}");
        assert_eq!(scene.read("to/to-dir/file"), b"x", "{way:?}");
    }
}

/// A link that somebody else made is followed on no path that was named, unless it is said that it may be.
#[test]
fn links_of_others_are_followed_on_request_and_on_this_side_only() {
    if !tools::is_root() {
        return tools::missing("root, to give a link away");
    }
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("file", "x")).tree("real", &Tree::new());
        symlink("real", scene.path("planted")).unwrap();
        std::os::unix::fs::lchown(scene.path("planted"), Some(65_534), Some(65_534)).unwrap();
        let copy =
            |options: &[&str]| way.copy(options, &[scene.path("source/")], scene.path("planted")).run();
        let output = copy(&["-a"]);
        assert!(
            output.code != Some(0) && output.err().contains("belongs to another user"),
            "{way:?}\n{output}"
        );
        assert_eq!(scene.paths("real"), [""; 0], "{way:?}");
        let output = copy(&["-a", "--insecure-links"]);
        if way.direction == Direction::Push && way != Way::LOCAL {
            assert_ne!(output.code, Some(0), "{way:?}: the peer was not told");
        } else {
            output.success();
            assert_eq!(scene.paths("real"), ["file"], "{way:?}");
        }
    }
}

/// As rsync's, it bounds what is named besides the sources; and the destination too.
#[test]
fn paths_are_confined_on_request() {
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("file", "x").symlink("out", "../away"))
            .tree("inside", &Tree::new().symlink("out", "../away"));
        fs::create_dir(scene.path("away")).unwrap();
        let confined = format!("--confine-root={}", scene.path("inside").display());
        let copy =
            |to: &str| way.copy(&["-a", &confined], &[scene.path("source/file")], scene.path(to)).run();
        copy("inside/to/").success();
        assert_eq!(scene.paths("inside/to"), ["file"], "{way:?}");
        if way.direction == Direction::Push && way != Way::LOCAL {
            continue;
        }
        for outside in ["away", "inside/out"] {
            let output = copy(outside);
            assert!(output.code != Some(0) && output.err().contains("--confine-root"), "{way:?}\n{output}");
        }
        assert_eq!(scene.paths("away"), [""; 0], "{way:?}");
    }
}

#[test]
fn names_of_a_list_and_what_options_name_are_confined_on_request() {
    let scene = Scene::with_source(&Tree::new().file("file", "x").symlink("out", "../away"))
        .tree("away", &Tree::new().file("secret", "s"));
    fs::write(scene.path("source/list"), "file\nout/secret\n").unwrap();
    let confined = format!("--confine-root={}", scene.path("source").display());
    let copy = |option: String| {
        let to = scene.path("source/to");
        Way::LOCAL.copy(&["-a", &confined, &option], &[scene.path("source/")], to).run()
    };
    let output = copy(format!("--files-from={}", scene.path("source/list").display())).expect(23);
    assert!(output.err().contains("--confine-root"), "{output}");
    assert_eq!(scene.paths("source/to"), ["file"]);
    fs::copy(scene.path("source/list"), scene.path("away/list")).unwrap();
    for option in ["--files-from", "--exclude-from"] {
        let output = copy(format!("{option}={}", scene.path("away/list").display()));
        assert!(output.code != Some(0) && output.err().contains("--confine-root"), "{output}");
    }
}
