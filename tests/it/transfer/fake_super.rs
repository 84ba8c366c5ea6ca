//! Attributes kept in extended attributes, in rsync's form: `--fake-super`.
//!
//! What one of the two programs has written so the other reads, in both directions, as root and as another user.

use crate::oracle::random::Random;
use crate::oracle::trees;
use crate::support::command::{Invocation, Output, dsync};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, Snapshot, assert_same};
use crate::support::tools;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::{Entry, Node, Tree, noise};
use crate::support::xattr::{self, ACCESS_ACL, DEFAULT_ACL, acl};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

const STAT: &[u8] = b"user.rsync.%stat";

/// How often random trees are copied by both programs.
const ROUNDS: u64 = 24;

/// What has only the destination keep attributes so.
fn at_the_sink(way: Way) -> &'static [&'static str] {
    match way.direction {
        Direction::Push => &["-M--fake-super"],
        Direction::Pull => &["--fake-super"],
    }
}

/// What has only the source do so.
fn at_the_source(way: Way) -> &'static [&'static str] {
    match (way.transport, way.direction) {
        (Transport::Local, _) => &["--fake-super", "-M--super"],
        (_, Direction::Push) => &["--fake-super"],
        (_, Direction::Pull) => &["-M--fake-super"],
    }
}

/// Entries of all kinds with all that only root may give them; without being root, what can be made of that.
fn of_each_kind() -> Tree {
    let file = |mode: u32, owner: (u32, u32)| {
        let root = tools::is_root();
        Entry { mode, owner: root.then_some(owner), ..Entry::new(Node::File(b"x".to_vec())) }
    };
    let tree = Tree::new()
        .file("plain", "content")
        .file("large", noise(300_000, 1))
        .with("setuid", file(0o4755, (0, 0)))
        .with("owned", file(0o640, (12_345, 23_456)))
        .with("read-only", file(0o444, (0, 0)))
        .directory("sticky")
        .mode("sticky", 0o1777)
        .directory("closed")
        .mode("closed", 0o500)
        .symlink("link", "nowhere at all")
        .node("fifo", Node::Fifo)
        .node("socket", Node::Socket)
        .xattr("plain", "user.a", "1")
        .xattr("large", ACCESS_ACL, acl(0o644, 0, &[(1, 4), (12_345, 6)], &[(7, 5)]))
        .xattr("sticky", DEFAULT_ACL, acl(0o755, 4, &[], &[(3, 6)]));
    if !tools::is_root() {
        return tree;
    }
    let tree = tree.xattr("plain", "trusted.b", "2").xattr("setuid", "security.c", "3");
    match tools::can_make_devices() {
        true => tree.node("char", Node::CharDevice(1, 3)).node("block", Node::BlockDevice(7, 300)),
        false => tree,
    }
}

fn copied(scene: &Scene, way: Way, options: &[&str], of: &[&str], from: &str, to: &str) -> Output {
    way.copy(&[options, of].concat(), &[scene.path(&format!("{from}/"))], scene.path(to)).run()
}

/// rsync between two paths of a scene.
fn rsync(scene: &Scene, options: &[&str], from: &str, to: &str) -> Option<Output> {
    let program = tools::find("rsync")?;
    let operands = [scene.path(&format!("{from}/")), scene.path(to)];
    Some(Invocation::new(&program, options).args(operands).run())
}

#[test]
fn what_was_kept_comes_back_and_is_compared() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::all() {
        let scene = Scene::with_source(&of_each_kind());
        copied(&scene, way, &["-aAX"], at_the_sink(way), "source", "kept").success();
        let kept = scene.snapshot("kept");
        assert!(kept.paths().all(|path| matches!(kept.get(path).unwrap().kind, 'd' | '-')), "{way:?}");
        assert!(fs::metadata(scene.path("kept/closed")).unwrap().mode() & 0o700 == 0o700);
        let again = copied(&scene, way, &["-aAXi"], at_the_sink(way), "source", "kept").success();
        assert_eq!(again.items(), [""; 0], "{way:?}");
        if tools::is_root() {
            copied(&scene, way, &["-aAX"], at_the_source(way), "kept", "back").success();
            assert_same(&scene.path("source"), &scene.path("back"), Columns::ALL);
            let again = copied(&scene, way, &["-aAXi"], at_the_source(way), "kept", "back").success();
            assert_eq!(again.items(), [""; 0], "{way:?}");
        }
    }
}

#[test]
fn what_differs_in_what_is_kept_is_told_and_set() {
    if !xattr::are_here() || !tools::is_root() {
        return;
    }
    for way in Way::all() {
        let scene = Scene::with_source(&of_each_kind());
        copied(&scene, way, &["-aAX"], at_the_sink(way), "source", "kept").success();
        let source = |name: &str| scene.path(&format!("source/{name}"));
        let mode = |name: &str, mode| fs::set_permissions(source(name), fs::Permissions::from_mode(mode));
        mode("setuid", 0o755).unwrap();
        mode("closed", 0o700).unwrap();
        std::os::unix::fs::lchown(source("link"), Some(5), None).unwrap();
        std::os::unix::fs::lchown(source("owned"), None, Some(6)).unwrap();
        xattr::set(&source("plain"), b"trusted.b", b"another");
        xattr::remove(&source("large"), ACCESS_ACL);
        let expected = [
            ".L....o.... link -> nowhere at all",
            ".d...p..... closed/",
            ".f........x plain",
            ".f.......a. large",
            ".f.....g... owned",
            ".f...p..... setuid",
        ];
        let planned = copied(&scene, way, &["-aAXni"], at_the_sink(way), "source", "kept").success();
        let done = copied(&scene, way, &["-aAXi"], at_the_sink(way), "source", "kept").success();
        for output in [planned, done] {
            assert_eq!(output.items(), expected, "{way:?}");
        }
        copied(&scene, way, &["-aAX"], at_the_source(way), "kept", "back").success();
        assert_same(&scene.path("source"), &scene.path("back"), Columns::ALL);
    }
}

#[test]
fn rsync_reads_and_writes_the_same() {
    if !xattr::are_here() || !tools::is_root() || tools::find("rsync").is_none() {
        return;
    }
    for seed in 0..ROUNDS {
        let mut random = Random::new(seed);
        let mut source = trees::tree(&mut random, 24);
        let mut later = trees::nearly(&mut random, &source);
        // With both, rsync loses ACLs of what has attributes too, until it runs again.
        let kept = if random.chance(50) { "-aAi" } else { "-aXi" };
        for tree in [&mut source, &mut later] {
            tree.links.clear();
            let is_acl = |name: &[u8]| name.starts_with(b"system.");
            let entries = tree.entries.values_mut();
            // What has a name of those in which attributes are kept is taken for one of them.
            let is_kept = |name: &[u8]| is_acl(name) == (kept == "-aAi") && !name.starts_with(b"user.rsync.");
            entries.for_each(|entry| entry.xattrs.retain(|name, _| is_kept(name)));
        }
        let scene = Scene::with_source(&source).tree("later", &later);
        let way = Way::all()[seed as usize % Way::all().len()];
        let (options, deleting) = ([kept], [kept, "--delete"]);
        let theirs = rsync(&scene, &[kept, "-M--fake-super"], "source", "theirs").unwrap();
        let ours = copied(&scene, way, &options, at_the_sink(way), "source", "ours");
        assert_eq!(theirs.items(), ours.items(), "seed {seed}");
        assert_same(&scene.path("theirs"), &scene.path("ours"), Columns::ALL);
        for tree in ["theirs", "ours"] {
            let back = format!("{tree}-back");
            copied(&scene, way, &options, at_the_source(way), tree, &back).success();
            assert_same(&scene.path("source"), &scene.path(&back), Columns::ALL);
        }
        // Each goes on with what the other has left.
        let ours = copied(&scene, way, &deleting, at_the_sink(way), "later", "theirs");
        let theirs = rsync(&scene, &[kept, "--delete", "-M--fake-super"], "later", "ours").unwrap();
        assert_eq!(theirs.items(), ours.items(), "seed {seed}");
        // Times that agree in their second are left as they are, or set again.
        let whole = |name: &str| scene.snapshot(name).in_whole_seconds();
        whole("ours").assert_same(&whole("theirs"), Columns::ALL);
        rsync(&scene, &[kept, "--fake-super", "-M--super"], "theirs", "again").unwrap().success();
        whole("later").assert_same(&whole("again"), Columns::ALL);
    }
}

#[test]
fn whoever_is_not_root_keeps_everything() {
    if !xattr::are_here() || !tools::is_root() {
        return;
    }
    let tree = of_each_kind();
    let scene = Scene::with_source(&tree);
    // Another user reads what everybody may read.
    for name in ["owned", "closed", "large"] {
        let open = if name == "closed" { 0o555 } else { 0o4644 };
        fs::set_permissions(scene.path("source").join(name), fs::Permissions::from_mode(open)).unwrap();
    }
    xattr::remove(&scene.path("source/plain"), b"trusted.b");
    fs::set_permissions(scene.root(), fs::Permissions::from_mode(0o777)).unwrap();
    let operands = |to: &str| [scene.path("source/"), scene.path(to)];
    let Some(ours) = dsync(["-aAX", "-M--fake-super"]).args(operands("ours")).unprivileged() else { return };
    ours.run().success();
    copied(&scene, Way::LOCAL, &["-aAX"], at_the_source(Way::LOCAL), "ours", "back").success();
    assert_same(&scene.path("source"), &scene.path("back"), Columns::ALL);
    let owner = fs::metadata(scene.path("ours/owned")).unwrap().uid();
    assert_eq!(owner, 65_534);
    let Some(program) = tools::find("rsync") else { return };
    let theirs = Invocation::new(&program, ["-aAX", "-M--fake-super"]).args(operands("theirs"));
    theirs.unprivileged().unwrap().run().success();
    assert_same(&scene.path("theirs"), &scene.path("ours"), Columns::ALL);
    // And goes on with it.
    fs::write(scene.path("source/plain"), "changed since").unwrap();
    let ours = dsync(["-aAXi", "-M--fake-super"]).args(operands("theirs")).unprivileged().unwrap();
    assert_eq!(ours.run().success().items(), [">f.st...... plain"]);
}

#[test]
fn the_other_ways_to_write_keep_it_too() {
    if !xattr::are_here() || !tools::is_root() {
        return;
    }
    let changed = of_each_kind().file("large", noise(300_500, 2)).file("plain", "a longer one");
    for way in Way::plain() {
        for options in [
            &["--inplace", "--no-whole-file"][..],
            &["--backup-dir=../backup"],
            &["--delay-updates"],
            &["--delete", "-H"],
            &["--link-dest=../base"],
            &["--copy-dest=../base"],
        ] {
            let scene = Scene::with_source(&changed).tree("earlier", &of_each_kind());
            let sink = at_the_sink(way);
            copied(&scene, way, &["-aAX"], sink, "earlier", "kept").success();
            copied(&scene, way, &["-aAX"], sink, "earlier", "base").success();
            if options[0].contains("-dest") {
                fs::remove_dir_all(scene.path("kept")).unwrap();
            }
            copied(&scene, way, &[&["-aAX"], options].concat(), sink, "source", "kept").success();
            copied(&scene, way, &["-aAX"], at_the_source(way), "kept", "back").success();
            scene.snapshot("source").assert_same(&scene.snapshot("back"), Columns::ALL);
        }
    }
}

#[test]
fn the_last_word_about_root_wins() {
    if !xattr::are_here() || !tools::is_root() {
        return;
    }
    let scene = Scene::with_source(&of_each_kind());
    for (options, is_faked) in [
        (&["--super", "--fake-super"][..], true),
        (&["--no-super", "--fake-super"], true),
        (&["--fake-super", "--super"], false),
        (&["--fake-super", "--no-super"], false),
        (&["--fake-super", "-M--super"], false),
        (&["-M--fake-super", "-M--super"], false),
        (&["-M--super", "-M--fake-super"], true),
    ] {
        let _ = fs::remove_dir_all(scene.path("to"));
        let words = [&["-a"], options].concat();
        dsync(words).args([scene.path("source/"), scene.path("to")]).run();
        let is = xattr::get(&scene.path("to/setuid"), STAT).is_some();
        assert_eq!(is, is_faked, "{options:?}");
    }
}

#[test]
fn it_is_about_its_own_side_only() {
    if !xattr::are_here() || !tools::is_root() {
        return;
    }
    for way in Way::plain().into_iter().filter(|way| way.transport != Transport::Local) {
        let scene = Scene::with_source(&of_each_kind());
        copied(&scene, way, &["-aAX"], at_the_source(way), "source", "to").success();
        let to = scene.snapshot("to");
        assert_eq!(to.get("fifo").unwrap().kind, 'p', "{way:?}");
        assert!(xattr::get(&scene.path("to/setuid"), STAT).is_none());
    }
}

#[test]
fn what_it_cannot_be_meant_with_is_refused() {
    let scene = Scene::with_source(&Tree::new().file("a", "a"));
    for options in [
        &["-aXX", "--fake-super"][..],
        &["-aXX", "-M--fake-super"],
        &["-a", "--no-fake-super"],
        &["--two-way", "--fake-super"],
    ] {
        let words: Vec<OsString> = options.iter().map(OsString::from).collect();
        let output = dsync(words).args([scene.path("source"), scene.path("to")]).run();
        assert_eq!(output.code, Some(1), "{options:?}");
        assert!(!scene.path("to").exists(), "{options:?}");
    }
}

#[test]
fn an_attribute_that_cannot_be_is_a_problem_of_its_file() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("bad", "x").file("good", "y"));
        xattr::set(&scene.path("source/bad"), STAT, b"garbage");
        let output = copied(&scene, way, &["-a"], at_the_source(way), "source", "to");
        assert_eq!(output.code, Some(23), "{way:?}");
        assert!(output.err().contains("user.rsync.%stat"), "{}", output.err());
        assert_eq!(scene.paths("to"), ["good"]);
    }
}

#[test]
fn what_stands_for_a_link_and_holds_no_path_gives_way() {
    if !xattr::are_here() {
        return;
    }
    let link = |content: &[u8]| Tree::new().file("a", content).xattr("a", STAT, "120777 0,0 0:0");
    for way in Way::all() {
        for content in [&b""[..], b"nul\0", &[b'x'; 5000]] {
            let scene = Scene::with_source(&Tree::new().symlink("a", "there")).tree("to", &link(content));
            copied(&scene, way, &["-a"], at_the_sink(way), "source", "to").success();
            assert_eq!(scene.read("to/a"), b"there", "{way:?}");
            // Of a source nobody knows what it is to be.
            let scene = scene.tree("bad", &link(content));
            let output = copied(&scene, way, &["-a"], at_the_source(way), "bad", "new").expect(23);
            assert!(output.err().contains("reading symbolic link a"), "{way:?}\n{output}");
            assert_eq!(scene.paths("new"), [""; 0], "{way:?}");
        }
    }
}

#[test]
fn of_what_cannot_keep_them_it_is_told_once_and_the_time_is_set() {
    if !xattr::are_here() || !tools::can_make_devices() {
        return;
    }
    let device = |owner| Entry { owner: Some(owner), mode: 0o640, ..Entry::new(Node::CharDevice(1, 3)) };
    for way in Way::plain() {
        let source = Tree::new().with("device", device((12_345, 0))).mtime("device", 1_500_000_000);
        let to = Tree::new().with("device", device((0, 0)));
        let scene = Scene::with_source(&source.mode("device", 0o600)).tree("to", &to);
        let output = copied(&scene, way, &["-a"], at_the_sink(way), "source", "to").expect(23);
        assert_eq!(output.err().matches("keeping the attributes of device").count(), 1, "{way:?}\n{output}");
        assert_eq!(fs::metadata(scene.path("to/device")).unwrap().mtime(), 1_500_000_000, "{way:?}");
    }
}

#[test]
fn links_that_stand_for_nothing_are_not_followed() {
    if !xattr::are_here() {
        return;
    }
    let tree = Tree::new().file("dir/file", "x").symlink("link", "dir").symlink("out", "/etc/passwd");
    for way in Way::plain() {
        let scene = Scene::with_source(&tree);
        copied(&scene, way, &["-a"], at_the_sink(way), "source", "kept").success();
        for option in ["-L", "-k", "--copy-unsafe-links"] {
            let to = format!("to{option}");
            copied(&scene, way, &["-a", option], at_the_source(way), "kept", &to).success();
            assert_eq!(fs::read_link(scene.path(&to).join("link")).unwrap(), Path::new("dir"));
            assert_eq!(fs::read_link(scene.path(&to).join("out")).unwrap(), Path::new("/etc/passwd"));
        }
    }
}

#[test]
fn of_what_stands_for_a_device_its_own_content_is_copied() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::all() {
        let scene = Scene::with_source(&Tree::new().file("null", "own").xattr("null", STAT, "20666 1,3 0:0"));
        copied(&scene, way, &["-a", "--copy-devices"], at_the_source(way), "source", "to").success();
        assert!(fs::symlink_metadata(scene.path("to/null")).unwrap().is_file(), "{way:?}");
        assert_eq!(scene.read("to/null"), b"own", "{way:?}");
    }
}

#[test]
fn a_fingerprint_does_not_hide_what_differs() {
    if !xattr::are_here() || !tools::is_root() {
        return;
    }
    for way in Way::remote() {
        let scene = Scene::with_source(&of_each_kind());
        copied(&scene, way, &["-aAX"], at_the_sink(way), "source", "kept").success();
        let before = Snapshot::of(&scene.path("kept"));
        // The same inode, standing for something else.
        xattr::set(&scene.path("kept/plain"), STAT, b"100644 0,0 5:5");
        xattr::set(&scene.path("kept/fifo"), STAT, b"140644 0,0 0:0");
        copied(&scene, way, &["-aAX"], at_the_sink(way), "source", "kept").success();
        before.assert_same(&scene.snapshot("kept"), Columns::ALL);
    }
}
