//! Entries of every kind and with every name arrive as they were, and a second run finds nothing to do.

use crate::support::command;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Entry, LONG_AGO, Node, Tree};
use filetime::FileTime;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Copies `tree` by every way, compares all attributes, and copies again.
fn arrives(tree: &Tree) {
    for way in Way::all() {
        let scene = Scene::with_source(tree);
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        let before = scene.snapshot("to");
        let again = way.copy(&["-ai", "--stats"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(again.number("Number of regular files transferred:"), 0, "{way:?}\n{again}");
        assert_eq!(again.number("Number of created files:"), 0, "{way:?}\n{again}");
        let changes = again.out().lines().filter(|line| line.starts_with(['<', '>', 'c', '.', '*'])).count();
        assert_eq!(changes, 0, "{way:?}\n{again}");
        assert!(before == scene.snapshot("to"), "{way:?}: the second run changed something");
    }
}

#[test]
fn kinds_that_anyone_may_make() {
    arrives(
        &Tree::new()
            .file("empty", "")
            .file("text", "some text\n")
            .file("binary", [0, 255, 10, 13, 0])
            .directory("empty-directory")
            .symlink("to-file", "text")
            .symlink("to-directory", "empty-directory")
            .symlink("to-nothing", "no/such/file")
            .symlink("to-elsewhere", "/etc/passwd")
            .symlink("to-bytes", b"\xff\xfe")
            .symlink("to-far", [b'x'; 3000])
            .node("fifo", Node::Fifo)
            .node("socket", Node::Socket),
    );
}

#[test]
fn devices() {
    if !tools::can_make_devices() {
        return tools::missing("the right to make devices");
    }
    arrives(
        &Tree::new()
            .node("null", Node::CharDevice(1, 3))
            .node("loop", Node::BlockDevice(7, 0))
            .node("large-numbers", Node::CharDevice(4000, 70_000)),
    );
}

#[test]
fn owners() {
    if !tools::is_root() {
        return tools::missing("root, who may give files away");
    }
    let owned = |node, user, group| Entry { owner: Some((user, group)), ..Entry::new(node) };
    arrives(
        &Tree::new()
            .with("named", owned(Node::File(b"x".to_vec()), 1, 1))
            .with("nameless", owned(Node::File(b"x".to_vec()), 54_321, 65_432))
            .with("directory", owned(Node::Directory, 1, 54_321))
            .with("link", owned(Node::Symlink(b"named".to_vec()), 54_321, 1))
            .with("set-id", Entry { mode: 0o6755, ..owned(Node::File(b"x".to_vec()), 54_321, 1) }),
    );
}

#[test]
fn modes() {
    arrives(
        &Tree::new()
            .file("read-only", "a")
            .mode("read-only", 0o444)
            .file("private", "b")
            .mode("private", 0o600)
            .file("program", "c")
            .mode("program", 0o755)
            .file("set-user", "d")
            .mode("set-user", 0o4755)
            .file("sealed/inside", "e")
            .mode("sealed", 0o555)
            .directory("sticky")
            .mode("sticky", 0o1777)
            .directory("set-group")
            .mode("set-group", 0o2775),
    );
}

#[test]
fn times() {
    let made_at = |seconds, nanos| Entry {
        mtime: FileTime::from_unix_time(seconds, nanos),
        ..Entry::new(Node::File(b"x".to_vec()))
    };
    arrives(
        &Tree::new()
            .with("epoch", made_at(0, 0))
            .with("before-the-epoch", made_at(-1, 500_000_000))
            .with("nanoseconds", made_at(1_600_000_000, 1))
            .with("almost-a-second", made_at(1_600_000_000, 999_999_999))
            .with("after-2038", made_at(3_000_000_000, 7)),
    );
}

#[test]
fn names() {
    let mut tree = Tree::new();
    let names: [&[u8]; 20] = [
        b" ",
        b"two words",
        b" leading and trailing ",
        b"-n",
        b"--delete",
        b"new\nline",
        b"carriage\rreturn",
        b"tab\t",
        b"\x01\x1b[31m",
        b"not utf-8 \xff\xc0\x80",
        "\u{fc}mlaut \u{1f600}".as_bytes(),
        b"*",
        b"?[a-z]",
        b"back\\slash",
        b"$(touch pwned);`x`|&<>",
        b"quote'\"s",
        b"host:file",
        b"...",
        b"~",
        &[0xe4; 255],
    ];
    for name in names {
        tree = tree.file([name, b"/", name].concat(), name);
    }
    arrives(&tree);
}

#[test]
fn paths_a_hundred_deep() {
    let mut tree = Tree::new();
    let path = vec!["d"; 100].join("/");
    tree = tree.file(format!("{path}/file"), "deep").file(format!("{}/other", &path[..99]), "half way");
    arrives(&tree);
}

#[test]
fn paths_longer_than_the_kernel_takes_in_one_call() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync passes whole paths to the kernel");
    }
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new());
        let bottom = descend(&scene.path("source"), true);
        let file = openat(&bottom, "file", OFlags::CREATE | OFlags::WRONLY, Mode::RWXU).unwrap();
        rustix::io::write(file, b"deep").unwrap();
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        let bottom = descend(&scene.path("to"), false);
        let file = openat(&bottom, "file", OFlags::RDONLY, Mode::empty()).unwrap();
        let mut content = [0; 10];
        let length = rustix::io::read(file, &mut content).unwrap();
        assert_eq!(&content[..length], b"deep", "{way:?}");
    }
}

/// Enters 24 directories with names of 200 bytes, one at a time: 4823 bytes of path, more than `PATH_MAX`.
fn descend(root: &Path, make: bool) -> OwnedFd {
    let name = "n".repeat(200);
    let mut here = openat(CWD, root, OFlags::DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..24 {
        if make {
            mkdirat(&here, &name, Mode::RWXU).unwrap();
        }
        here = openat(&here, &name, OFlags::DIRECTORY, Mode::empty()).unwrap();
    }
    here
}

#[test]
fn a_directory_of_many_files() {
    let mut tree = Tree::new();
    for number in 0..3000 {
        tree.insert(format!("many/{number:05}").as_bytes(), Entry::new(Node::File(vec![b'x'; number % 50])));
    }
    arrives(&tree);
}

#[test]
fn a_file_larger_than_any_buffer() {
    let content: Vec<u8> = (0..24u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    arrives(&Tree::new().file("large", content));
}

#[test]
fn kinds_that_are_not_asked_for_are_named_and_left_out() {
    for way in Way::all() {
        let tree = Tree::new().file("file", "x").symlink("link", "file").node("fifo", Node::Fifo);
        let scene = Scene::with_source(&tree);
        let output = way.copy(&["-rv"], &[scene.path("source/")], scene.path("to")).run().expect(0);
        assert_eq!(scene.paths("to"), ["file"], "{way:?}");
        for name in ["link", "fifo"] {
            let note = format!("skipping non-regular file \"{name}\"");
            assert!(output.out().contains(&note), "{way:?}\n{output}");
        }
    }
}

#[test]
fn one_kind_takes_the_place_of_another() {
    let kinds = [
        Node::File(b"a file".to_vec()),
        Node::Directory,
        Node::Symlink(b"somewhere".to_vec()),
        Node::Fifo,
        Node::Socket,
    ];
    let (mut wanted, mut old) = (Tree::new(), Tree::new());
    for (i, new) in kinds.iter().enumerate() {
        for (j, before) in kinds.iter().enumerate() {
            wanted.insert(format!("{i}{j}").as_bytes(), Entry::new(new.clone()));
            old.insert(format!("{i}{j}").as_bytes(), Entry::new(before.clone()));
        }
    }
    for way in Way::all() {
        let scene = Scene::with_source(&wanted).tree("to", &old);
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

#[test]
fn a_full_directory_gives_way_to_a_file_only_by_force() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("x", "a file").file("y", "other"))
            .tree("to", &Tree::new().file("x/inside", "precious"));
        let sources = [scene.path("source/")];
        let output = way.copy(&["-a"], &sources, scene.path("to")).run().expect(23);
        assert!(output.err().contains('x'), "{way:?}\n{output}");
        assert_eq!(scene.paths("to"), ["x", "x/inside", "y"], "{way:?}");
        way.copy(&["-a", "--force"], &sources, scene.path("to")).run().success();
        assert_eq!(scene.paths("to"), ["x", "y"], "{way:?}");
    }
}

#[test]
fn a_link_to_a_directory_is_replaced_not_followed() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("d/new", "x"))
            .tree("to", &Tree::new().symlink("d", "../outside"))
            .tree("outside", &Tree::new().file("old", "y"));
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        assert_eq!(scene.paths("outside"), ["old"], "{way:?}");
    }
}

#[test]
fn other_names_of_a_replaced_file_keep_the_old_content() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("file", "new content"))
            .tree("to", &Tree::new().file("file", "old"));
        std::fs::hard_link(scene.path("to/file"), scene.path("other-name")).unwrap();
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(scene.read("to/file"), b"new content", "{way:?}");
        assert_eq!(scene.read("other-name"), b"old", "{way:?}");
    }
}

#[test]
fn without_times_a_file_gets_the_time_of_the_transfer() {
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("file", "x"));
        way.copy(&["-r"], &[scene.path("source/")], scene.path("to")).run().success();
        let meta = scene.path("to/file").metadata().unwrap();
        assert!(FileTime::from_last_modification_time(&meta) > LONG_AGO, "{way:?}");
    }
}

#[test]
fn reading_the_source_changes_nothing_in_it() {
    for way in Way::all() {
        let tree = Tree::new().file("a/b", "x").symlink("l", "a").node("fifo", Node::Fifo);
        let scene = Scene::with_source(&tree).tree("to", &Tree::new().file("extra", ""));
        let before = scene.snapshot("source");
        way.copy(&["-a", "--delete"], &[scene.path("source/")], scene.path("to")).run().success();
        assert!(before == scene.snapshot("source"), "{way:?}");
    }
}

#[test]
fn what_could_not_be_made_is_not_shown_as_made() {
    if !tools::is_root() {
        return tools::missing("root, who may make devices");
    }
    let tree = Tree::new().node("null", Node::CharDevice(1, 3)).symlink("link", "null");
    let scene = Scene::with_source(&tree);
    let to = Tree::new().file("old", "");
    to.write(&scene.path("to"));
    let run = Way::LOCAL.copy(&["-rliD", "--super"], &[scene.path("source/")], scene.path("to"));
    let Some(run) = run.unprivileged() else { return };
    scene.give_away("to", &to);
    let output = run.run().expect(23);
    assert!(output.out().contains("cL+++++++++ link") && !output.out().contains("cD"), "{output}");
    assert!(output.err().contains("null"), "{output}");
}

#[test]
fn restrictive_modes_do_not_stop_their_owner() {
    let scene = Scene::new();
    let tree = Tree::new().file("sealed/inside", "new").mode("sealed/inside", 0o444).mode("sealed", 0o555);
    tree.write(&scene.path("source"));
    let old =
        Tree::new().file("sealed/inside", "old content").mode("sealed/inside", 0o444).mode("sealed", 0o555);
    let old = old.file("sealed/extra", "x");
    old.write(&scene.path("to"));
    let run = Way::LOCAL.copy(&["-rlpt", "--delete"], &[scene.path("source/")], scene.path("to"));
    let Some(run) = run.unprivileged() else { return };
    scene.give_away("to", &old);
    run.run().success();
    assert_same(&scene.path("source"), &scene.path("to"), Columns { owner: false, ..Columns::ALL });
}
