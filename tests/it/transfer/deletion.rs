//! `--delete`: removes what the source does not have, and never more.

use crate::support::command::dsync;
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Node, Tree};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};

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
    let output = Way::LOCAL.copy(&["-a", "--delete"], &[scene.path("source/")], scene.path("to")).run();
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
