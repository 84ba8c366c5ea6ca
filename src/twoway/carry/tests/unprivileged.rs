//! Directories that their owner may not write, for who is not root.

use super::*;
use crate::fs::tests::unprivileged::as_nobody;
use crate::testing::is_root;

/// Whether to go on here; root sends the test to a process of nobody's.
fn here(test: &str) -> bool {
    if is_root() {
        as_nobody(module_path!(), test, std::path::Path::new("/"));
    }
    !is_root()
}

fn chmod(scene: &Scene, path: &str, mode: u32) {
    fs::set_permissions(scene.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

fn closed() -> Scene {
    let mut scene = Scene::new(&[("dir/deep/file", "1"), ("dir/gone", "2"), ("dir/edited", "3")]);
    chmod(&scene, "dir/deep", 0o500);
    chmod(&scene, "dir", 0o555);
    scene.scan();
    scene
}

#[test]
fn closed_directories_are_opened_and_closed_again() {
    if !here("closed_directories_are_opened_and_closed_again") {
        return;
    }
    let mut scene = closed();
    let tasks = vec![
        scene.becomes("dir/new", State::Directory, 0o511),
        scene.becomes("dir/new/file", file("x"), 0o400),
        scene.becomes("dir/edited", file("xy"), 0o400),
        scene.goes("dir/gone"),
        scene.goes("dir/deep"),
        scene.goes("dir/deep/file"),
    ];
    scene.run(tasks, &[("dir/new/file", "x"), ("dir/edited", "xy")]);
    assert_eq!(scene.tree(""), ["dir/", "dir/edited=xy", "dir/new/", "dir/new/file=x"]);
    assert_eq!((scene.looks("dir").1, scene.looks("dir/new").1), (0o555, 0o511));
    let tasks = vec![
        scene.task("dir", |record| record.attributes.mode = 0o511),
        scene.becomes("dir/edited", file("xyz"), 0o400),
    ];
    scene.run(tasks, &[("dir/edited", "xyz")]);
    assert_eq!(scene.looks("dir").1, 0o511);
    chmod(&scene, "dir", 0o755);
    chmod(&scene, "dir/new", 0o755);
}

#[test]
fn they_are_closed_after_a_run_that_was_killed() {
    if !here("they_are_closed_after_a_run_that_was_killed") {
        return;
    }
    let mut scene = closed();
    let tasks = vec![
        scene.becomes("dir/edited", file("xy"), 0o400),
        scene.goes("dir/deep"),
        scene.goes("dir/deep/file"),
    ];
    let (carrier, _) = scene.begin(tasks);
    carrier.copy_losers().unwrap();
    carrier.write_down().unwrap();
    drop(carrier);
    assert_eq!((scene.looks("dir").1, scene.looks("dir/deep").1), (0o755, 0o700));
    let (mut history, _) = scene.replica.history().unwrap();
    recover(&scene.replica, &mut history, scene.settings.shared.modes).unwrap();
    scene.history = Some(history);
    assert_eq!((scene.looks("dir").1, scene.looks("dir/deep").1), (0o555, 0o500));
    assert!(!scene.scan().has_edits());
    chmod(&scene, "dir", 0o755);
    chmod(&scene, "dir/deep", 0o755);
}
