//! Giving files further names.

use super::*;
use crate::fs::{Linkable, Linked, WriteDir, stage};
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

fn linkable<'a>(dir: &'a Dir, name: &'a Name) -> Linkable<'a> {
    let stamp = dir.stamped(name).unwrap().unwrap().stamp;
    Linkable { dir, name, identity: (stamp.dev, stamp.ino) }
}

fn is_made(linked: Result<Linked, crate::fs::Error>) -> bool {
    matches!(linked.unwrap(), Linked::Made)
}

#[test]
fn a_file_gets_a_name_in_place_of_whatever_has_it() {
    let at = temporary();
    let root = writable(at.path());
    let inode = |name: &str| fs::symlink_metadata(at.path().join(name)).unwrap().ino();
    fs::write(at.path().join("file"), "content").unwrap();
    fs::write(at.path().join("other"), "old").unwrap();
    symlink("elsewhere", at.path().join("link")).unwrap();
    fs::create_dir(at.path().join("dir")).unwrap();
    let file = name("file");
    for other in ["new", "other", "link", "new"] {
        assert!(is_made(root.link(&name(other), linkable(&root, &file))), "{other}");
        assert_eq!(inode(other), inode("file"), "{other}");
    }
    assert!(root.link(&name("dir"), linkable(&root, &file)).is_err());
    let below = root.open_dir_writable(&name("dir")).unwrap();
    assert!(is_made(below.link(&file, linkable(&root, &file))));
    assert_eq!(names(at.path()), ["dir", "file", "link", "new", "other"]);
    assert_eq!(names(&at.path().join("dir")), ["file"]);
}

#[test]
fn a_symbolic_link_gets_the_name_itself() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), "content").unwrap();
    symlink("file", at.path().join("link")).unwrap();
    assert!(is_made(root.link(&name("other"), linkable(&root, &name("link")))));
    assert!(at.path().join("other").symlink_metadata().unwrap().is_symlink());
}

#[test]
fn another_file_of_the_name_is_not_linked() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), "content").unwrap();
    fs::write(at.path().join("kept"), "kept").unwrap();
    let file = name("file");
    let seen = linkable(&root, &file);
    // Somebody exchanges it after it was looked at.
    fs::rename(at.path().join("kept"), at.path().join("aside")).unwrap();
    fs::write(at.path().join("new"), "planted").unwrap();
    fs::rename(at.path().join("new"), at.path().join("file")).unwrap();
    assert!(matches!(root.link(&name("aside"), seen).unwrap(), Linked::Gone));
    fs::remove_file(at.path().join("file")).unwrap();
    assert!(matches!(root.link(&name("aside"), seen).unwrap(), Linked::Gone));
    assert_eq!(fs::read(at.path().join("aside")).unwrap(), b"kept");
    assert_eq!(names(at.path()), ["aside"]);
}

#[test]
fn between_file_systems_it_is_refused() {
    let at = temporary();
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    if at.path().metadata().unwrap().dev() == other.path().metadata().unwrap().dev() {
        return;
    }
    fs::write(other.path().join("file"), "content").unwrap();
    let (root, from, file) = (writable(at.path()), dir(other.path()), name("file"));
    assert!(matches!(root.link(&file, linkable(&from, &file)).unwrap(), Linked::Refused(_)));
    assert_eq!(names(at.path()), [""; 0]);
}

/// What a run leaves that is killed between the two steps.
#[test]
fn a_link_that_did_not_get_its_name_is_cleared() {
    let at = temporary();
    let root: WriteDir = writable(at.path());
    fs::write(at.path().join("file"), "content").unwrap();
    let staged = stage::name_for(&name("other"), 7);
    fs::hard_link(at.path().join("file"), at.path().join(staged.to_string())).unwrap();
    assert!(root.clear_staged(&staged).unwrap());
    assert_eq!(names(at.path()), ["file"]);
    // A name under which content is staged may be somebody else's link to his own file.
    let staged = crate::fs::stage_name(&name("other"));
    fs::hard_link(at.path().join("file"), at.path().join(staged.to_string())).unwrap();
    assert!(root.clear_staged(&staged).is_err());
}
