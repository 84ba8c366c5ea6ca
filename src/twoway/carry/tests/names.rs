//! Names that become one file, or cease to be.

use super::*;
use crate::twoway::facet::{Facet, FacetSum, Register};

/// A tree of which it is kept alike which names are one file.
fn linked(entries: &[(&str, &str)], links: &[(&str, &str)]) -> Scene {
    let mut scene = Scene::new(entries);
    for (of, name) in links {
        fs::hard_link(scene.path(of), scene.path(name)).unwrap();
    }
    scene.settings.shared.facets = [Facet::Links].into_iter().collect();
    scene.scan();
    scene
}

/// A name of the file with this identity.
fn named(task: Task, identity: Option<FacetSum>) -> Task {
    let mut after = task.after;
    after.extended.set(Facet::Links, Register { sum: identity, version: Arc::default() });
    Task::between(task.path, task.why, task.before, after)
}

/// New names of one file.
fn new_names(scene: &Scene, names: &[&str]) -> Vec<Task> {
    let one = Some(FacetSum([7; 16]));
    names.iter().map(|name| named(scene.becomes(name, file("odd"), 0o600), one)).collect()
}

fn inode(scene: &Scene, name: &str) -> u64 {
    scene.path(name).metadata().unwrap().ino()
}

#[test]
fn another_name_leads_if_the_first_cannot_be_made() {
    let mut scene = linked(&[("dir", "/")], &[]);
    let tasks = new_names(&scene, &["a", "b", "dir/c", "dir/d"]);
    let contents = ["a", "b", "dir/c", "dir/d"].map(|name| (name, "odd"));
    let came = scene.run_with(tasks, &contents, |scene| scene.put("a", "theirs"));
    assert_eq!(came.left, ["a"], "{:?}", came.said);
    assert_eq!(scene.tree(""), ["a=theirs", "b=odd", "dir/", "dir/c=odd", "dir/d=odd"]);
    assert_eq!(inode(&scene, "b"), inode(&scene, "dir/c"));
    assert_eq!(inode(&scene, "b"), inode(&scene, "dir/d"));
}

#[test]
fn each_name_is_told_of_a_file_that_could_not_be_made() {
    let mut scene = linked(&[], &[]);
    let tasks = new_names(&scene, &["a", "b", "c"]);
    // What the others would have been fetched by is over when the first fails.
    let contents = ["b", "c", "a"].map(|name| (name, "odd"));
    let came = scene.run_with(tasks, &contents, |scene| scene.put("a", "theirs"));
    assert_eq!(came.left, ["a", "b", "c"], "{:?}", came.said);
    assert_eq!(came.totals.failed, 3, "{:?}", came.said);
    assert_eq!(came.said.iter().filter(|line| line.contains(NO_FILE)).count(), 2, "{:?}", came.said);
    assert_eq!(scene.tree(""), ["a=theirs"]);
}

#[test]
fn names_that_become_one_have_the_latest_of_their_times() {
    let mut scene = linked(&[], &[]);
    let mut tasks = new_names(&scene, &["a", "b", "c"]);
    tasks[1].after.mtime = FileTime::from_unix_time(THEN + 9, 0);
    let came = scene.run_with(tasks, &[("a", "odd")], |_| {});
    assert_eq!(came.left, [""; 0], "{:?}", came.said);
    for name in ["a", "b", "c"] {
        assert_eq!((scene.looks(name).0, inode(&scene, name)), (THEN + 9, inode(&scene, "a")));
        assert_eq!(scene.record(name).mtime.unix_seconds(), THEN + 9);
    }
    let counts = scene.scan();
    assert!(!counts.has_edits() && counts.touched == 0, "{counts:?}");
}

/// Else the next scan would read them, since one name more is a change of them all.
#[test]
fn it_is_known_how_names_look_whose_file_has_got_another() {
    let mut scene = linked(&[("a", "odd")], &[("a", "b")]);
    let before = scene.record("a");
    let task = scene.task("c", |record| *record = before.clone());
    let came = scene.run_with(vec![named(task, before.extended.identity())], &[], |_| {});
    assert_eq!(came.left, [""; 0], "{:?}", came.said);
    for name in ["a", "b", "c"] {
        assert_eq!(inode(&scene, name), inode(&scene, "a"));
        let look = scene.history().known(&path(name)).unwrap().unwrap().look.unwrap();
        let name = path(name).split_last().unwrap().1;
        assert_eq!(look.stamp, scene.replica.root().stamped(&name).unwrap().unwrap().stamp, "{name:?}");
    }
}
