//! What somebody else did meanwhile stays, whatever was planned.

use super::*;

fn append(at: PathBuf) {
    use std::io::Write as _;
    fs::OpenOptions::new().append(true).open(at).unwrap().write_all(b"edit").unwrap();
}

/// Everything is left, told once, and nothing has changed.
fn is_left(
    scene: &mut Scene,
    tasks: Vec<Task>,
    contents: &[(&str, &str)],
    meanwhile: impl FnOnce(&Scene),
) -> Came {
    let records: Vec<Record> =
        tasks.iter().map(|task| scene.record(task.path.to_string().as_str())).collect();
    let mut before = Vec::new();
    let came = scene.run_with(tasks.clone(), contents, |scene| {
        meanwhile(scene);
        before = scene.tree("");
    });
    assert_eq!(scene.tree(""), before);
    assert_eq!(came.left.len(), tasks.len(), "{:?}", came.said);
    let known: Vec<Record> = tasks.iter().map(|task| scene.record(task.path.to_string().as_str())).collect();
    assert_eq!(known, records);
    assert!(came.log.iter().all(|entry| entry.problem.is_some()));
    assert_eq!(scene.tree(".dsync/staging"), [""; 0]);
    came
}

#[test]
fn an_edited_file_is_neither_replaced_nor_removed_nor_touched() {
    let changes: [fn(&Scene) -> Task; 5] = [
        |scene| scene.becomes("dir/it", file("new"), 0o600),
        |scene| scene.becomes("dir/it", link("x"), 0),
        |scene| scene.becomes("dir/it", State::Directory, 0o755),
        |scene| scene.goes("dir/it"),
        |scene| scene.task("dir/it", |record| record.attributes.mode = 0o400),
    ];
    for task in changes {
        let mut scene = Scene::new(&[("dir/it", "old")]);
        let tasks = vec![task(&scene)];
        let came = is_left(&mut scene, tasks, &[("dir/it", "new")], |scene| append(scene.path("dir/it")));
        assert_eq!((came.said.len(), came.totals.failed), (1, 1), "{:?}", came.said);
        assert!(came.said[0].contains(CHANGED), "{:?}", came.said);
        assert_eq!(scene.read("dir/it"), "oldedit");
        assert_eq!(scene.scan().edited, 1);
    }
}

#[test]
fn a_name_that_was_taken_is_not_taken_again() {
    for (what, content) in [("a file", "->x"), ("->link", "odd"), ("/", "even"), ("other", "/")] {
        let mut scene = Scene::new(&[]);
        let state = match content {
            "/" => State::Directory,
            "->x" => link("x"),
            content => file(content),
        };
        let mut tasks = vec![scene.becomes("it", state.clone(), 0o700)];
        if state.is_directory() {
            tasks.push(scene.becomes("it/below", file("x"), 0o600));
        }
        let came =
            is_left(&mut scene, tasks, &[("it", content), ("it/below", "x")], |scene| scene.put("it", what));
        assert_eq!((came.said.len(), came.totals.failed), (1, 1), "{:?}", came.said);
        assert!(came.said[0].contains(TAKEN), "{:?}", came.said);
    }
}

#[test]
fn a_directory_with_something_new_inside_stays() {
    let changes: [fn(&Scene) -> Task; 3] = [
        |scene| scene.goes("dir"),
        |scene| scene.becomes("dir", link("x"), 0),
        |scene| scene.becomes("dir", file("new"), 0o600),
    ];
    for task in changes {
        let mut scene = Scene::new(&[("dir", "/")]);
        let tasks = vec![task(&scene)];
        let came = is_left(&mut scene, tasks, &[("dir", "new")], |scene| scene.put("dir/theirs", "x"));
        assert_eq!(came.said.len(), 1, "{:?}", came.said);
        assert!(came.said[0].contains(NOT_EMPTY), "{:?}", came.said);
    }
}

#[test]
fn a_directory_of_which_something_stays_stays_and_is_told_once() {
    let changes: [fn(&Scene) -> Task; 3] = [
        |scene| scene.goes("dir"),
        |scene| scene.becomes("dir", link("x"), 0),
        |scene| scene.becomes("dir", file("new"), 0o600),
    ];
    for task in changes {
        let mut scene = Scene::new(&[("dir/deep/edited", "1"), ("dir/other", "2")]);
        let tasks = vec![
            task(&scene),
            scene.goes("dir/deep"),
            scene.goes("dir/deep/edited"),
            scene.goes("dir/other"),
        ];
        let came = scene.run_with(tasks, &[("dir", "new")], |scene| append(scene.path("dir/deep/edited")));
        assert_eq!(came.left, ["dir", "dir/deep", "dir/deep/edited"]);
        assert_eq!(scene.tree(""), ["dir/", "dir/deep/", "dir/deep/edited=1edit"]);
        assert_eq!(scene.trash(), ["dir/", "dir/deep/", "dir/other=2"]);
        assert_eq!(came.totals.failed, 1);
        // The next scan finds the edit and nothing else.
        let counts = scene.scan();
        assert_eq!((counts.edited, counts.created, counts.gone), (1, 0, 0));
    }
}

#[test]
fn a_directory_exchanged_for_another_is_left() {
    let mut scene = Scene::new(&[("dir/file", "1")]);
    let tasks = vec![scene.goes("dir"), scene.goes("dir/file")];
    let came = scene.run_with(tasks, &[], |scene| {
        fs::rename(scene.path("dir"), scene.path("moved")).unwrap();
        fs::create_dir(scene.path("dir")).unwrap();
    });
    // The file is gone from there, so it is removed; the directory is another.
    assert_eq!(came.left, ["dir"]);
    assert_eq!(scene.tree(""), ["dir/", "moved/", "moved/file=1"]);
}

#[test]
fn nothing_outside_the_root_is_written_through_a_link() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("file"), "1").unwrap();
    let mut scene = Scene::new(&[("dir/file", "1"), ("dir/link", "->x")]);
    let tasks = vec![
        scene.goes("dir/file"),
        scene.becomes("dir/new", link("x"), 0),
        scene.becomes("dir/sub", State::Directory, 0o755),
        scene.becomes("dir/link", link("y"), 0),
    ];
    let came = is_left(&mut scene, tasks, &[], |scene| {
        fs::rename(scene.path("dir"), scene.path("moved")).unwrap();
        symlink(outside.path(), scene.path("dir")).unwrap();
    });
    assert_eq!(came.totals.failed, 4, "{:?}", came.said);
    let names: Vec<_> =
        fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["file"]);
}

#[test]
fn another_content_than_was_planned_is_not_installed() {
    for (listed, content) in [("longer!", "longer!"), ("odd", "ODD"), ("even", "EVEN")] {
        let mut scene = Scene::new(&[("there", "1")]);
        let planned = if listed.len() == 7 { "short" } else { listed };
        let tasks =
            vec![scene.becomes("new", file(planned), 0o600), scene.becomes("there", file(planned), 0o600)];
        let came = is_left(&mut scene, tasks, &[("new", content), ("there", content)], |_| {});
        assert_eq!(came.said.len(), 2);
        assert!(came.said.iter().all(|line| line.contains(AT_SOURCE)), "{:?}", came.said);
    }
}

#[test]
fn what_nobody_planned_is_not_wanted() {
    let mut scene = Scene::new(&[("there", "1")]);
    let chmod = |record: &mut Record| record.attributes.mode = 0o400;
    let tasks = vec![scene.task("there", chmod)];
    let (carrier, said) = scene.begin(tasks);
    assert_eq!(scene.fetch(&carrier, &[("there", "2"), ("other", "2")]), [false; 0]);
    let came = scene.end(carrier, &said);
    assert_eq!((came.left, came.said.len()), (vec!["there".to_owned()], 0));
    assert_eq!(came.log[0].problem.as_deref(), Some(NOT_REACHED));
}

#[test]
fn what_the_plan_does_not_know_is_left() {
    let mut scene = Scene::new(&[("file", "1")]);
    let task = scene.goes("file");
    append(scene.path("file"));
    scene.scan();
    let came = scene.run_with(vec![task], &[], |_| {});
    assert_eq!((came.left.len(), scene.read("file").as_str()), (1, "1edit"));
}

#[test]
fn a_loser_without_its_copy_is_not_replaced() {
    let mut scene = Scene::new(&[("name", "loser")]);
    let copy = Task {
        why: Why::CopyOf { original: path("name"), loser: Side::Right },
        ..scene.becomes("copy", file("loser"), 0o640)
    };
    let tasks = vec![copy, scene.becomes("name", file("the winner"), 0o600)];
    let came = is_left(&mut scene, tasks, &[("name", "the winner"), ("copy", "loser")], |scene| {
        scene.put("copy", "theirs");
    });
    assert_eq!(came.said.len(), 1, "{:?}", came.said);
}

#[test]
fn an_early_end_begins_nothing_more() {
    let mut scene = Scene::new(&[("gone", "1")]);
    let tasks = vec![
        scene.goes("gone"),
        scene.becomes("dir", State::Directory, 0o555),
        scene.becomes("dir/file", file("x"), 0o600),
    ];
    let (carrier, said) = scene.begin(tasks);
    carrier.copy_losers().unwrap();
    carrier.write_down().unwrap();
    carrier.make().unwrap();
    carrier.stop.store(true, Ordering::Relaxed);
    assert_eq!(scene.fetch(&carrier, &[("dir/file", "x")]), [false; 0]);
    carrier.finish().unwrap();
    let came = scene.end(carrier, &said);
    assert_eq!(came.left, ["dir/file", "gone"]);
    assert_eq!((scene.looks("dir").1, came.totals.failed), (0o555, 0));
    assert!(!scene.scan().has_edits());
}
