//! Between hosts an owner is a name, unless numbers are asked for.

use crate::support::command::{self, Invocation, Output};
use crate::support::people::{NAMELESS, THERE, can_have_hosts, here, host};
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{Direction, remote};
use crate::support::tree::Tree;
use crate::support::xattr::{self, ACCESS_ACL, DEFAULT_ACL, acl};
use std::fs;
use std::os::unix::fs::{MetadataExt, lchown};

/// Copies to or from a host with users of its own.
fn copy(scene: &Scene, direction: Direction, more: &[&str]) -> Output {
    let (source, to) = (scene.path("source/"), scene.path("to"));
    let operands = match direction {
        Direction::Push => [source.into_os_string(), remote(&to)],
        Direction::Pull => [remote(source), to.into_os_string()],
    };
    Invocation::new(command::binary(), host(scene))
        .args(["-a"])
        .args(more.iter().copied())
        .args(operands)
        .run()
        .success()
}

fn owners(scene: &Scene, path: &str) -> (u32, u32) {
    let meta = fs::metadata(scene.path(path)).unwrap();
    (meta.uid(), meta.gid())
}

/// The owner and the group of what arrives from, or at, such a host.
fn arriving(direction: Direction, owner: u32, option: &str) -> (u32, u32) {
    let scene = Scene::with_source(&Tree::new().file("file", "content"));
    lchown(scene.path("source/file"), Some(owner), Some(owner)).unwrap();
    copy(&scene, direction, &[option]);
    owners(&scene, "to/file")
}

#[test]
fn owners_by_name_or_by_number() {
    if !can_have_hosts() {
        return;
    }
    let here = here();
    assert!(here.0 != THERE && here.1 != THERE);
    assert_eq!(arriving(Direction::Pull, THERE, "-v"), here);
    assert_eq!(arriving(Direction::Pull, THERE, "--numeric-ids"), (THERE, THERE));
    assert_eq!(arriving(Direction::Pull, NAMELESS, "-v"), (NAMELESS, NAMELESS));
    assert_eq!(arriving(Direction::Push, here.0, "-v").0, THERE);
    assert_eq!(arriving(Direction::Push, here.0, "--numeric-ids").0, here.0);
    assert_eq!(arriving(Direction::Push, NAMELESS, "--numeric-ids"), (NAMELESS, NAMELESS));
}

/// Whom an ACL names is found by name, too, and what names the same people is the same.
#[test]
fn acls_name_whom_the_other_host_calls_so() {
    if !can_have_hosts() || !xattr::are_here() {
        return;
    }
    let (here, group) = here();
    let names = |user, group| acl(0o640, 4, &[(0, 1), (user, 6), (NAMELESS, 4)], &[(group, 2)]);
    for (direction, option, users, expected) in [
        (Direction::Pull, "-A", (THERE, THERE), (here, group)),
        (Direction::Pull, "--numeric-ids", (THERE, THERE), (THERE, THERE)),
        (Direction::Push, "-A", (here, group), (THERE, THERE)),
    ] {
        let tree = Tree::new()
            .directory("dir")
            .xattr("dir", DEFAULT_ACL, names(users.0, users.1))
            .file("file", "content")
            .mode("file", 0o640)
            .xattr("file", ACCESS_ACL, names(users.0, users.1));
        let scene = Scene::with_source(&tree);
        copy(&scene, direction, &[option, "-A"]);
        for (path, name) in [("to/file", ACCESS_ACL), ("to/dir", DEFAULT_ACL)] {
            let found = xattr::get(&scene.path(path), name).unwrap();
            assert_eq!(found, sorted(names(expected.0, expected.1)), "{direction:?} {option} {path}");
        }
        let again = copy(&scene, direction, &[option, "-Ai"]);
        assert!(!again.out().contains("file"), "{direction:?} {option}\n{again}");
    }
}

/// The same ACL with its named users in order.
fn sorted(acl: Vec<u8>) -> Vec<u8> {
    let mut entries: Vec<&[u8]> = acl[4..].chunks(8).collect();
    entries.sort_by_key(|entry| {
        let id = u32::from_le_bytes(entry[4..].try_into().unwrap());
        (u16::from_le_bytes([entry[0], entry[1]]), id)
    });
    [&acl[..4], &entries.concat()].concat()
}

/// What belongs to the same people, whom the other host knows by other numbers, is the same; and where it does not,
/// that is found.
#[test]
fn directories_are_compared_by_who_owns_what() {
    if !can_have_hosts() {
        return;
    }
    if command::is_rsync() {
        return tools::not_for_rsync("it lists everything");
    }
    let here = here();
    for (direction, there, here) in
        [(Direction::Pull, (THERE, THERE), here), (Direction::Push, here, (THERE, THERE))]
    {
        let files =
            |tree, dir| (0..60).fold(tree, |tree: Tree, n| tree.file(format!("{dir}/{n}"), "content"));
        let scene = Scene::with_source(&files(files(Tree::new(), "one"), "several"));
        for file in 0..60 {
            let give = |dir, (user, group)| {
                lchown(scene.path(&format!("source/{dir}/{file}")), Some(user), Some(group)).unwrap();
            };
            give("one", there);
            give("several", if file % 3 == 0 { there } else { (0, NAMELESS) });
        }
        let first = copy(&scene, direction, &["--stats"]);
        let again = copy(&scene, direction, &["--stats"]);
        let received =
            |output: &Output| output.number("Total bytes sent:") + output.number("Total bytes received:");
        assert!(received(&again) < 1000 && received(&first) > 3000, "{direction:?}\n{first}\n{again}");
        for (path, wrong, right) in [
            ("to/one/7", (0, here.1), here),
            ("to/several/9", (here.0, NAMELESS), here),
            ("to/several/10", here, (0, NAMELESS)),
        ] {
            assert_eq!(owners(&scene, path), right, "{direction:?} {path}");
            lchown(scene.path(path), Some(wrong.0), Some(wrong.1)).unwrap();
            copy(&scene, direction, &["--stats"]);
            assert_eq!(owners(&scene, path), right, "{direction:?} {path}");
        }
    }
}
