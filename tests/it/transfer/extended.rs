//! Extended attributes, ACLs, executability: `-X`, `-A`, `-E`.

use crate::support::command::{self, Invocation, Output, dsync};
use crate::support::disk::Disk;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::{Way, remote, rsh_script, shell_options_for};
use crate::support::tree::{Entry, LONG_AGO, Node, Tree, noise};
use crate::support::xattr::{self, ACCESS_ACL, DEFAULT_ACL, acl};
use filetime::FileTime;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

const EVERYTHING: &str = "-aAXi";

/// An entry of each kind with attributes and ACLs, as far as it can have them and this user may set them.
fn of_each_kind() -> Tree {
    let tree = Tree::new()
        .file("small", "content")
        .file("large", noise(300_000, 1))
        .file("plain", "nothing else to say")
        .file("same/acl-1", "a")
        .file("same/acl-2", "b")
        .directory("dir/empty")
        .xattr("", "user.root", "of the transfer")
        .xattr("small", "user.a", "1")
        .xattr("small", "user.empty", "")
        .xattr("large", "user.long", noise(2500, 2))
        .xattr("dir", "user.dir", b"\0\xff")
        .xattr("dir/empty", "user.b", "2")
        .xattr("", DEFAULT_ACL, acl(0o750, 5, &[(3, 7)], &[]))
        .xattr("dir", ACCESS_ACL, acl(0o755, 7, &[(1, 7)], &[(2, 4)]))
        .xattr("dir", DEFAULT_ACL, acl(0o755, 4, &[], &[(3, 6)]))
        .mode("large", 0o640)
        .xattr("large", ACCESS_ACL, acl(0o640, 0, &[(1, 4), (12_345, 6)], &[]))
        .xattr("same/acl-1", ACCESS_ACL, acl(0o644, 6, &[(4, 6)], &[]))
        .xattr("same/acl-2", ACCESS_ACL, acl(0o644, 6, &[(4, 6)], &[]));
    if !tools::is_root() {
        return tree;
    }
    let owned = Entry { owner: Some((12_345, 1)), mode: 0o755, ..Entry::new(Node::File(b"x".to_vec())) };
    tree.symlink("link", "small")
        .node("fifo", Node::Fifo)
        .with("program", owned)
        .xattr("program", "security.capability", CAPABILITY)
        .xattr("link", "trusted.link", "kept")
        .xattr("fifo", "trusted.fifo", "kept")
        .xattr("fifo", ACCESS_ACL, acl(0o644, 4, &[(1, 6)], &[]))
        .xattr("small", "trusted.small", "kept")
}

/// cap_net_raw, permitted and effective, in the second version of the format (linux/capability.h).
const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The same with cap_net_admin.
const ANOTHER_CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn copied(scene: &Scene, way: Way, options: &[&str]) -> Output {
    way.copy(options, &[scene.path("source/")], scene.path("to")).run()
}

#[test]
fn everything_has_what_it_has_at_the_source() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::all() {
        let scene = Scene::with_source(&of_each_kind());
        copied(&scene, way, &[EVERYTHING]).success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        let again = copied(&scene, way, &[EVERYTHING]).success();
        assert_eq!(again.items(), [""; 0], "{way:?}");
    }
}

#[test]
fn what_differs_is_told_and_set_without_content() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::all() {
        let scene = Scene::with_source(&of_each_kind());
        copied(&scene, way, &[EVERYTHING]).success();
        let source = |name: &str| scene.path(&format!("source/{name}"));
        let to = |name: &str| scene.path(&format!("to/{name}"));
        xattr::set(&source("small"), b"user.a", b"2");
        xattr::set(&to("plain"), b"user.more", b"than the source has");
        xattr::remove(&source("dir/empty"), b"user.b");
        xattr::set(&source(""), b"user.root", b"another");
        xattr::set(&source("same/acl-1"), ACCESS_ACL, &acl(0o644, 6, &[(4, 6), (9, 0)], &[]));
        xattr::remove(&to("same/acl-2"), ACCESS_ACL);
        xattr::remove(&source("dir"), DEFAULT_ACL);
        fs::write(source("large"), noise(300_010, 3)).unwrap();
        xattr::set(&source("large"), b"user.long", b"short");
        let mut expected = vec![
            ".d........x ./",
            ">f.st.....x large",
            ".f........x plain",
            ".f........x small",
            ".d.......a. dir/",
            ".d........x dir/empty/",
            ".f.......a. same/acl-1",
            ".f.......a. same/acl-2",
        ];
        if tools::is_root() {
            xattr::set(&source("link"), b"trusted.link", b"changed");
            xattr::remove(&source("fifo"), b"trusted.fifo");
            xattr::set(&to("program"), b"security.capability", ANOTHER_CAPABILITY);
            expected.extend([".L........x link -> small", ".S........x fifo", ".f........x program"]);
        }
        expected.sort_unstable();
        let planned = copied(&scene, way, &[EVERYTHING, "-n"]).success();
        let done = copied(&scene, way, &[EVERYTHING]).success();
        for output in [planned, done] {
            let mut items: Vec<String> =
                output.items().iter().map(|line| line.replacen('<', ">", 1)).collect();
            items.sort_unstable();
            assert_eq!(items, expected, "{way:?}");
        }
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

/// Values as long as the system lets them be, in a file system that takes them.
#[test]
fn a_link_that_is_made_anew_gets_what_it_has() {
    if !xattr::are_here() || !tools::is_root() {
        return;
    }
    for way in Way::all() {
        let tree = |target: &str| {
            Tree::new().symlink("with", target).symlink("without", target).xattr(
                "with",
                "trusted.link",
                "kept",
            )
        };
        let scene =
            Scene::with_source(&tree("new")).tree("to", &tree("old").xattr("without", "trusted.link", "old"));
        let copied = copied(&scene, way, &[EVERYTHING]).success();
        // As rsync has it, which compares with what it has just made.
        assert!(
            copied.out().contains("cLc.......x with -> new\ncLc........ without -> new\n"),
            "{way:?}\n{copied}"
        );
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

#[test]
fn long_values_are_carried_up_to_a_limit() {
    let long = |names: usize| {
        let tree = Tree::new().file("file", "content").file("other", "content").directory("dir");
        (0..names).fold(tree, |tree, n| {
            let value = noise(60_000, n as u64);
            let name = format!("user.{n:02}");
            tree.xattr("file", &name, &value).xattr("dir", &name, &value)
        })
    };
    for way in Way::plain() {
        let scene = Scene::in_memory().tree("source", &Tree::new());
        if rustix::fs::lsetxattr(
            scene.path("source"),
            "user.long",
            &vec![1; 60_000],
            rustix::fs::XattrFlags::empty(),
        )
        .is_err()
        {
            return tools::missing("a file system in memory with long extended attributes");
        }
        let scene = scene.tree("few", &long(17)).tree("many", &long(18));
        let copy = |from: &str| way.copy(&["-aX"], &[scene.path(from)], scene.path("to")).run();
        copy("few/").success();
        assert_same(&scene.path("few"), &scene.path("to"), Columns::ALL);
        if command::is_rsync() {
            continue;
        }
        let output = copy("many/").expect(23);
        assert!(output.err().contains("longer than 1 MiB"), "{output}");
        assert!(xattr::get(&scene.path("to/file"), b"user.17").is_none());
    }
}

#[test]
fn an_attribute_that_cannot_be_set_is_named() {
    let long = noise(60_000, 1);
    let (memory, disk) = (Scene::in_memory().tree("source", &Tree::new().file("file", "x")), Scene::new());
    let takes =
        |at: &Path| rustix::fs::lsetxattr(at, "user.long", &long, rustix::fs::XattrFlags::empty()).is_ok();
    if !takes(&memory.path("source/file")) {
        return tools::missing("a file system in memory with long extended attributes");
    }
    if command::is_rsync() || takes(&disk.path(".")) {
        return; // nor is there one here that would not be set
    }
    xattr::set(&memory.path("source/file"), b"user.short", b"value");
    for way in Way::plain() {
        let output = way.copy(&["-aX"], &[memory.path("source/")], disk.path("to")).run().expect(23);
        assert!(output.err().contains("file: attribute user.long: "), "{way:?}\n{output}");
        assert_eq!(xattr::get(&disk.path("to/file"), b"user.short").as_deref(), Some(&b"value"[..]));
        fs::remove_dir_all(disk.path("to")).unwrap();
    }
}

#[test]
fn acls_and_attributes_leave_each_other_alone() {
    if !xattr::are_here() {
        return;
    }
    let tree = |value: &str, user: u32| {
        let acl = acl(0o644, 4, &[(user, 6)], &[]);
        Tree::new().file("file", "content").xattr("file", "user.a", value).xattr("file", ACCESS_ACL, acl)
    };
    for (option, value, user) in
        [("-aX", "there", 1), ("-aA", "here", 2), ("-a", "here", 1), ("-aAX", "there", 2)]
    {
        let scene = Scene::with_source(&tree("there", 2)).tree("to", &tree("here", 1));
        copied(&scene, Way::LOCAL, &[option]).success();
        let at = scene.path("to/file");
        assert_eq!(xattr::get(&at, b"user.a").unwrap(), value.as_bytes(), "{option}");
        assert_eq!(xattr::get(&at, ACCESS_ACL).unwrap(), acl(0o644, 4, &[(user, 6)], &[]), "{option}");
    }
}

/// What a directory gives to what is made in it counts instead of the umask, unless permissions or ACLs are kept.
#[test]
fn new_entries_get_what_the_directory_gives() {
    if !xattr::are_here() {
        return;
    }
    let tree = Tree::new().file("file", "x").mode("file", 0o666).directory("dir").mode("dir", 0o777);
    let into = |default: Vec<u8>| Tree::new().mode("", 0o700).xattr("", DEFAULT_ACL, default);
    for way in Way::plain() {
        for (option, file, dir) in [("-r", 0o660, 0o770), ("-rp", 0o666, 0o777), ("-rA", 0o666, 0o777)] {
            let scene = Scene::with_source(&tree).tree("to", &into(acl(0o770, 7, &[(1, 6)], &[])));
            copied(&scene, way, &[option]).success();
            let mode = |name: &str| scene.path(name).metadata().unwrap().mode() & 0o7777;
            assert_eq!((mode("to/file"), mode("to/dir")), (file, dir), "{way:?} {option}");
            let inherited = xattr::get(&scene.path("to/dir"), DEFAULT_ACL).is_some();
            assert_eq!(inherited, option != "-rA", "{option}");
        }
    }
}

#[test]
fn with_acls_nothing_is_left_of_what_a_directory_gives() {
    if !xattr::are_here() {
        return;
    }
    let scene = Scene::with_source(&of_each_kind())
        .tree("to", &Tree::new().xattr("", DEFAULT_ACL, acl(0o777, 7, &[(1, 7)], &[(9, 7)])));
    copied(&scene, Way::LOCAL, &["-aAX"]).success();
    assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
}

#[test]
fn new_files_get_what_the_default_acl_of_the_source_grants() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        let closed = |tree: Tree| tree.xattr("dir", DEFAULT_ACL, acl(0o700, 0, &[], &[]));
        let open = |tree: Tree| tree.xattr("dir", DEFAULT_ACL, acl(0o777, 7, &[], &[]));
        let source = || Tree::new().file("dir/f", "x").mode("dir/f", 0o644);
        for (source, to, mode) in [
            (closed(source()), Tree::new(), 0o600),
            (closed(source()), open(Tree::new().directory("dir")), 0o600),
            (source(), closed(Tree::new().directory("dir")), 0o644),
        ] {
            let scene = Scene::with_source(&source).tree("to", &to);
            copied(&scene, way, &["-rA", "--no-perms"]).success();
            let made = fs::metadata(scene.path("to/dir/f")).unwrap().permissions().mode();
            assert_eq!(made & 0o777, mode, "{way:?}");
        }
    }
}

#[test]
fn whether_a_file_can_be_executed() {
    for way in Way::plain() {
        for (source, own, after) in [
            (0o755, 0o644, 0o755),
            (0o700, 0o640, 0o750),
            (0o100, 0o600, 0o700),
            (0o644, 0o755, 0o644),
            (0o744, 0o611, 0o611),
        ] {
            let tree = |mode: u32| Tree::new().file("file", "x").mode("file", mode).directory("d");
            let scene = Scene::with_source(&tree(source).mode("d", 0o700)).tree("to", &tree(own));
            let output = copied(&scene, way, &["-rtEi"]).success();
            let mode = |name: &str| scene.path(name).metadata().unwrap().mode() & 0o7777;
            assert_eq!(mode("to/file"), after, "{source:o} {own:o}");
            assert_eq!(mode("to/d"), 0o755);
            let told = output.items().iter().any(|line| line.contains(".f...p..... file"));
            assert_eq!(told, own != after, "{output}");
        }
    }
}

/// Attributes that only root sets are neither asked for nor missed by others; and who has closed a file to itself still
/// gets its attributes and ACL kept in step.
#[test]
fn an_unprivileged_user_keeps_its_own() {
    if !xattr::are_here() || !tools::is_root() {
        return;
    }
    let (Some(setpriv), Some(program)) = (tools::find("setpriv"), command::reachable()) else { return };
    let tree = of_each_kind().file("shut", "x").mode("shut", 0o400).xattr("shut", "user.a", "1");
    let scene = Scene::with_source(&tree).tree("to", &Tree::new());
    scene.give_away("to", &Tree::new());
    let become_another = format!("exec {} --reuid=65534 --regid=65534 --clear-groups", setpriv.display());
    let script = rsh_script(scene.root(), &format!("{become_another} /bin/sh -c \"$*\"\n"));
    let run = || {
        let options = shell_options_for(&script, &program);
        let run = Invocation::new(command::binary(), options).args(["-rlptXAi", "--delete"]);
        run.args([scene.path("source/").into_os_string(), remote(scene.path("to"))]).run().success()
    };
    run();
    assert_eq!(xattr::get(&scene.path("to/small"), b"user.a").unwrap(), b"1");
    assert!(xattr::get(&scene.path("to/small"), b"trusted.small").is_none());
    assert_eq!(run().items(), [""; 0]);
    xattr::set(&scene.path("source/shut"), b"user.a", b"2");
    xattr::set(&scene.path("source/shut"), ACCESS_ACL, &acl(0o400, 4, &[(1, 4)], &[]));
    assert_eq!(run().items(), [".f.......ax shut"]);
    assert_eq!(xattr::get(&scene.path("to/shut"), b"user.a").unwrap(), b"2");
    assert_eq!(scene.path("to/shut").metadata().unwrap().mode() & 0o777, 0o400);
}

/// Of names that rsync gives to what it keeps for itself, one `-X` sends none and leaves none.
#[test]
fn names_of_rsyncs_own_travel_if_asked_for_twice() {
    if !xattr::are_here() {
        return;
    }
    let tree = Tree::new().file("file", "x").xattr("file", "user.rsync.%own", "1").xattr(
        "file",
        "user.rsync.x",
        "2",
    );
    for way in Way::plain() {
        let scene = Scene::with_source(&tree);
        for (option, kept) in [("-aX", false), ("-aXX", true), ("-aX", false)] {
            copied(&scene, way, &[option]).success();
            let has = xattr::get(&scene.path("to/file"), b"user.rsync.%own").is_some();
            assert_eq!(has, kept, "{way:?} {option}");
            assert!(xattr::get(&scene.path("to/file"), b"user.rsync.x").is_some());
        }
    }
}

#[test]
fn a_file_system_without_attributes_is_told_of_once() {
    if !tools::is_root() || !xattr::are_here() {
        return;
    }
    let scene = Scene::with_source(&of_each_kind());
    let Some(disk) = Disk::without_attributes(&scene, "to") else { return };
    let output = copied(&scene, Way::LOCAL, &["-aAX"]).expect(23);
    let told = output.err().matches("not supported").count();
    assert!(told == 1 || command::is_rsync(), "{output}");
    assert_eq!(fs::read(disk.path("small")).unwrap(), b"content");
    assert_eq!(disk.path("program").metadata().unwrap().uid(), 12_345);
}

/// In place, attributes that agree are left, and those that writing takes away are set again.
#[test]
fn in_place_files_keep_theirs() {
    if !tools::is_root() || !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        let scene = Scene::with_source(&of_each_kind());
        copied(&scene, way, &["-aAX"]).success();
        let inode = scene.path("to/program").metadata().unwrap().ino();
        fs::write(scene.path("source/program"), "longer than it was").unwrap();
        xattr::set(&scene.path("source/program"), b"security.capability", CAPABILITY);
        copied(&scene, way, &["-aAX", "--inplace"]).success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
        assert_eq!(scene.path("to/program").metadata().unwrap().ino(), inode);
    }
}

/// One file under a new name.
#[test]
fn a_renamed_file_has_them_too() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        let scene = Scene::with_source(&of_each_kind());
        for content in ["content", "content"] {
            let from = scene.path("source/small");
            way.copy(&["-aAX"], std::slice::from_ref(&from), scene.path("renamed")).run().success();
            assert_eq!(fs::read(scene.path("renamed")).unwrap(), content.as_bytes());
            assert_eq!(xattr::read(&scene.path("renamed")), xattr::read(&from));
            xattr::set(&from, b"user.a", b"another value");
        }
    }
}

/// Where nothing of it changed, attributes and ACLs cost a fingerprint and no listing; where something did, it is
/// found.
#[test]
fn fingerprints_stand_for_them() {
    if !xattr::are_here() {
        return;
    }
    if command::is_rsync() {
        return tools::not_for_rsync("it lists everything");
    }
    let tree = (0..200).fold(Tree::new(), |tree, n| {
        let path = format!("dir/{n:03}");
        let tree = tree.file(&path, "x").xattr(&path, "user.a", format!("{n}"));
        tree.xattr(&path, ACCESS_ACL, acl(0o644, 4, &[(1 + n % 3, 6)], &[]))
    });
    for way in Way::plain().into_iter().filter(|way| *way != Way::LOCAL) {
        let scene = Scene::with_source(&tree);
        let traffic =
            |output: &Output| output.number("Total bytes sent:") + output.number("Total bytes received:");
        let first = copied(&scene, way, &["-aAX", "--stats"]).success();
        let again = copied(&scene, way, &["-aAX", "--stats"]).success();
        assert!(traffic(&again) < 1000 && traffic(&first) > 5000, "{way:?}\n{first}\n{again}");
        xattr::set(&scene.path("to/dir/100"), b"user.a", b"other");
        assert_eq!(copied(&scene, way, &[EVERYTHING]).success().items(), [".f........x dir/100"], "{way:?}");
        xattr::set(&scene.path("source/dir/101"), ACCESS_ACL, &acl(0o644, 4, &[(9, 6)], &[]));
        assert_eq!(copied(&scene, way, &[EVERYTHING]).success().items(), [".f.......a. dir/101"], "{way:?}");
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

/// Whatever rules there are at the destination only.
#[test]
fn what_only_the_destination_hides_is_looked_at() {
    if !xattr::are_here() {
        return;
    }
    let source = Tree::new().file("a", "a").directory("dir").xattr("a", "user.a", "1");
    let to = source.clone().file(".rsync-filter", "- *").xattr("a", "user.b", "2").xattr(
        "dir",
        ACCESS_ACL,
        acl(0o755, 7, &[(1, 7)], &[]),
    );
    for way in Way::all() {
        let scene = Scene::with_source(&source).tree("to", &to);
        copied(&scene, way, &["-aAXF"]).success();
        fs::remove_file(scene.path("to/.rsync-filter")).unwrap();
        filetime::set_file_mtime(scene.path("to"), LONG_AGO).unwrap();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

/// With content that is compared, too.
#[test]
fn with_checksums_attributes_follow_the_verdict() {
    if !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        let scene = Scene::with_source(&of_each_kind());
        copied(&scene, way, &["-aAX"]).success();
        xattr::set(&scene.path("source/large"), b"user.long", b"short");
        let output = copied(&scene, way, &["-caAXi"]).success();
        assert_eq!(output.items(), [".f........x large"], "{way:?}");
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

#[test]
fn two_way_runs_say_that_they_keep_no_times_of_access() {
    if command::is_rsync() {
        return;
    }
    let scene = Scene::new();
    for option in ["-U", "--no-super"] {
        let run: Invocation = dsync([option, "-2"]).args([scene.path("a"), scene.path("b")]);
        run.run().expect(1);
    }
}

/// What is denied to oneself stays so.
#[test]
fn permissions_are_as_they_were() {
    if !xattr::are_here() {
        return;
    }
    let scene = Scene::with_source(&of_each_kind());
    fs::set_permissions(scene.path("source/small"), fs::Permissions::from_mode(0o000)).unwrap();
    copied(&scene, Way::LOCAL, &["-aAX"]);
    if tools::is_root() {
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

#[test]
fn times_of_last_access_are_kept_and_left() {
    let at = |seconds| FileTime::from_unix_time(seconds, 0);
    for way in Way::plain() {
        let tree = Tree::new().file("small", "content").file("large", noise(300_000, 1));
        let scene = Scene::with_source(&tree);
        let access = |name: &str, seconds| {
            filetime::set_symlink_file_times(scene.path(name), at(seconds), LONG_AGO).unwrap();
        };
        let accessed = |name: &str| scene.path(name).symlink_metadata().unwrap().atime();
        ["small", "large"].iter().for_each(|name| access(&format!("source/{name}"), 1_000_000));
        copied(&scene, way, &["-aUU"]).success();
        for name in ["small", "large"] {
            for place in ["source", "to"] {
                assert_eq!(accessed(&format!("{place}/{name}")), 1_000_000, "{way:?} {place} {name}");
            }
        }
        assert_eq!(copied(&scene, way, &["-aUi", "--open-noatime"]).success().items(), [""; 0], "{way:?}");
        access("source/small", 2_000_000);
        let output = copied(&scene, way, &["-aUi"]).success();
        assert!(output.items().iter().any(|line| line == ".f......u.. small"), "{output}");
        assert_eq!(accessed("to/small"), 2_000_000, "{way:?}");
    }
}

#[test]
fn when_a_file_was_made_cannot_be_kept() {
    let scene = Scene::with_source(&Tree::new().file("file", "x"));
    let output = copied(&scene, Way::LOCAL, &["-aN"]).expect(1);
    assert!(output.err().contains("--crtimes (-N)"), "{output}");
    assert!(!scene.path("to").exists());
}

#[test]
fn who_is_root_need_not_do_what_only_root_may() {
    if !tools::is_root() || !xattr::are_here() {
        return;
    }
    for way in Way::plain() {
        let scene = Scene::with_source(&of_each_kind().node("device", Node::CharDevice(1, 3)));
        copied(&scene, way, &["-aX", "--no-super"]).success();
        let owner = |name: &str| scene.path(name).symlink_metadata().unwrap().uid();
        assert_eq!((owner("source/program"), owner("to/program")), (12_345, 0), "{way:?}");
        assert!(!scene.path("to/device").exists());
        assert!(xattr::get(&scene.path("to/small"), b"user.a").is_some());
        assert!(xattr::get(&scene.path("to/small"), b"trusted.small").is_none());
        copied(&scene, way, &["-aX", "--no-super", "--super"]).success();
        assert_eq!(owner("to/program"), 12_345);
        assert!(scene.path("to/device").symlink_metadata().is_ok());
        assert!(xattr::get(&scene.path("to/small"), b"trusted.small").is_some());
    }
}

/// More files than may be in flight, each compared and then given nothing but attributes: whoever goes on with one does
/// not wait for another.
#[test]
fn thousands_of_compared_files_get_their_attributes() {
    if !xattr::are_here() {
        return;
    }
    let tree = |value: &str| {
        (0..2500).fold(Tree::new(), |tree, n| {
            let path = format!("dir/{n}");
            tree.file(&path, "the same").xattr(&path, "user.a", value)
        })
    };
    for way in Way::plain() {
        let scene = Scene::in_memory().tree("source", &tree("new")).tree("to", &tree("old"));
        let output = copied(&scene, way, &["-caXi"]).success();
        assert_eq!(output.items().len(), 2500, "{way:?}");
        for n in [0, 1234, 2499] {
            let found = xattr::get(&scene.path(&format!("to/dir/{n}")), b"user.a");
            assert_eq!(found.unwrap(), b"new", "{way:?} {n}");
        }
    }
}
