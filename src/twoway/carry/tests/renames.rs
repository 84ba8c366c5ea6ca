//! Files that only get another name.

use super::*;

fn renamed(scene: &Scene, from: &str, to: &str, mode: u32) -> Vec<Task> {
    let state = scene.record(from).state;
    let to = Task { renamed_from: Some(path(from)), ..scene.becomes(to, state, mode) };
    vec![scene.goes(from), to]
}

#[test]
fn a_file_gets_another_name_and_its_attributes() {
    let mut scene = Scene::new(&[("old/file", "1"), ("other", "2")]);
    let inode = fs::metadata(scene.path("old/file")).unwrap().ino();
    let mut tasks = renamed(&scene, "old/file", "new/deep/name", 0o640);
    tasks.push(scene.becomes("new", State::Directory, 0o755));
    tasks.push(scene.becomes("new/deep", State::Directory, 0o500));
    tasks.push(scene.goes("old"));
    let came = scene.run(tasks, &[]);
    assert_eq!(scene.tree(""), ["new/", "new/deep/", "new/deep/name=1", "other=2"]);
    assert_eq!(fs::metadata(scene.path("new/deep/name")).unwrap().ino(), inode);
    assert_eq!(scene.looks("new/deep/name"), (THEN, 0o640));
    assert_eq!(scene.trash(), ["old/"]);
    assert!(came.said.contains(&"new Create new/deep/name".to_owned()), "{:?}", came.said);
}

#[test]
fn a_file_moves_out_of_a_directory_that_something_else_replaces() {
    let mut scene = Scene::new(&[("dir/file", "1")]);
    let mut tasks = renamed(&scene, "dir/file", "after", 0o644);
    tasks.push(scene.becomes("dir", link("x"), 0));
    scene.run(tasks, &[]);
    assert_eq!(scene.tree(""), ["after=1", "dir->x"]);
    assert_eq!(scene.trash(), ["dir/"]);
}

#[test]
fn a_name_that_is_taken_keeps_the_old_one() {
    let mut scene = Scene::new(&[("dir/old", "1")]);
    let mut tasks = renamed(&scene, "dir/old", "new", 0o644);
    tasks.push(scene.goes("dir"));
    let came = scene.run_with(tasks, &[], |scene| scene.put("new", "theirs"));
    assert_eq!(came.left, ["dir", "dir/old", "new"]);
    assert_eq!(scene.tree(""), ["dir/", "dir/old=1", "new=theirs"]);
    assert_eq!(came.said, [format!("making new: {TAKEN}")]);
    assert_eq!(scene.trash(), [""; 0]);
}

#[test]
fn a_file_that_was_changed_keeps_its_name() {
    let mut scene = Scene::new(&[("old", "1")]);
    let tasks = renamed(&scene, "old", "new", 0o644);
    let came = scene.run_with(tasks, &[], |scene| fs::write(scene.path("old"), "edit").unwrap());
    assert_eq!(came.left, ["new", "old"]);
    assert_eq!(scene.tree(""), ["old=edit"]);
    assert_eq!(came.said, [format!("making new: {CHANGED}")]);
}

#[test]
fn a_file_is_not_lost_with_the_directory_it_was_to_come_to() {
    let mut scene = Scene::new(&[("old", "1")]);
    let mut tasks = renamed(&scene, "old", "new/name", 0o644);
    tasks.push(scene.becomes("new", State::Directory, 0o755));
    let came = scene.run_with(tasks, &[], |scene| scene.put("new", "theirs"));
    assert_eq!(came.left, ["new", "new/name", "old"]);
    assert_eq!(scene.tree(""), ["new=theirs", "old=1"]);
    assert_eq!(came.totals.failed, 1);
}
