//! Killed at every point, a run leaves nothing that a scan takes for somebody's edit, and loses nothing.

use super::*;
use crate::twoway::look::Hold;
use crate::twoway::record::Modes;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};

const PLACE: &str = "DSYNC_TEST_PLACE";
const POINT: &str = "DSYNC_TEST_CRASH_AT";
/// Set where the system is to be taken for one that cannot exchange, nor rename to a free name.
const PORTABLE: &str = "DSYNC_TEST_PORTABLE";

const CONTENTS: [(&str, &str); 4] =
    [("new/file", "content"), ("edited", "newer"), ("winner", "won!"), ("kind2", "file")];

fn fill(at: &std::path::Path) {
    for dir in ["kind2/deep", "gone"] {
        fs::create_dir_all(at.join(dir)).unwrap();
    }
    for (file, content) in [
        ("edited", "1"),
        ("kind", "2"),
        ("gone/file", "3"),
        ("mode", "4"),
        ("winner", "loser"),
        ("name", "same"),
        ("kind2/deep/file", "5"),
    ] {
        fs::write(at.join(file), content).unwrap();
    }
    symlink("old", at.join("link")).unwrap();
}

fn tasks(scene: &Scene) -> Vec<Task> {
    let copy = Task {
        why: Why::CopyOf { original: path("winner"), loser: Side::Right },
        ..scene.becomes("copy", file("loser"), 0o640)
    };
    let renamed = Task { renamed_from: Some(path("name")), ..scene.becomes("new/name", file("same"), 0o600) };
    vec![
        copy,
        renamed,
        scene.goes("name"),
        scene.becomes("winner", file("won!"), 0o644),
        scene.becomes("new", State::Directory, 0o555),
        scene.becomes("new/file", file("content"), 0o640),
        scene.becomes("new/link", link("x"), 0),
        scene.becomes("link", link("new"), 0),
        scene.becomes("edited", file("newer"), 0o600),
        scene.becomes("kind", State::Directory, 0o751),
        scene.becomes("kind2", file("file"), 0o644),
        scene.goes("kind2/deep"),
        scene.goes("kind2/deep/file"),
        scene.goes("gone"),
        scene.goes("gone/file"),
        scene.task("mode", |record| record.attributes.mode = 0o400),
    ]
}

/// The run that is killed, in a process of its own.
#[test]
fn a_run_until_it_is_killed() {
    let (Some(place), Some(point)) = (std::env::var_os(PLACE), std::env::var_os(POINT)) else { return };
    let root = Root::open(&place, Links::Trusted).unwrap().writable().unwrap();
    let mut scene = Scene::in_place(None, root);
    scene.scan();
    let tasks = tasks(&scene);
    crash::arm(point.to_str().unwrap().parse().unwrap());
    let run = || scene.run_with(tasks, &CONTENTS, |_| {});
    let came = if std::env::var_os(PORTABLE).is_some() { crate::fs::tests::without(run) } else { run() };
    crash::arm(0);
    assert_eq!(came.left, [""; 0], "{:?}", came.said);
}

/// What a scan finds that may change nothing.
fn looked(at: &std::path::Path) -> Counts {
    let root = Root::open(at.as_os_str(), Links::Trusted).unwrap().read_only();
    let replica = Replica::look(root.dir()).unwrap().unwrap();
    let (mut history, _) = History::open_to_look(replica.history_file().unwrap(), root.dir()).unwrap();
    let unfinished = recover_to_look(&replica, &mut history, Modes::Whole).unwrap();
    assert_eq!(history.intents().unwrap(), []);
    let (hiding, stop) = (Arc::default(), AtomicBool::new(false));
    let options =
        ScanOptions { unfinished: Some(&unfinished), ..scan_options(&hiding, &stop, replica.opened_at()) };
    scan(root.dir(), &mut history, &options, &mut Deaf).unwrap().commit().unwrap()
}

fn run_until(point: u64, place: &std::path::Path, is_portable: bool) -> ExitStatus {
    let (_, module) = module_path!().split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::a_run_until_it_is_killed"), "--nocapture"])
        .env(PLACE, place)
        .env(POINT, point.to_string())
        .envs(is_portable.then_some((PORTABLE, "1")))
        .output()
        .unwrap();
    let is_killed = output.status.signal() == Some(9);
    assert!(output.status.success() || is_killed, "{}", String::from_utf8_lossy(&output.stdout));
    output.status
}

#[test]
fn wherever_a_run_is_killed_it_leaves_no_edit_and_loses_nothing() {
    // One after the other: a process that is being started shares the locks of this one for a moment.
    killed_everywhere(false);
    // Where the system cannot exchange, what gives way is moved away before anything has its name.
    killed_everywhere(true);
}

/// What the run may have made where nothing was, which stays.
const MADE: [&str; 5] = ["copy=loser", "new/", "new/file=content", "new/link->x", "new/name=same"];

/// Undoes the run, after which the tree is what it was before.
fn assert_undone(scene: Scene, is_portable: bool, point: u64) {
    let before = tempfile::tempdir().unwrap();
    fill(before.path());
    let mut wanted = Vec::new();
    list(before.path(), before.path(), &mut wanted);
    let Scene { at, _place, replica, history, .. } = scene;
    drop((replica, history));
    let mut hold = Hold::open(at.as_os_str()).unwrap().unwrap();
    let log: Vec<Entry> = hold.history().entries(RUN).unwrap().map(Result::unwrap).collect();
    let mut said = Vec::new();
    let undone =
        hold.undo(RUN, FileTime::zero(), &mut |entry| said.push((entry.path.clone(), entry.problem.clone())));
    let told = format!("{point} {is_portable}: {log:#?} {undone:?} {said:?}");
    // Before it began there was nothing to undo.
    assert!(undone.unwrap().is_none_or(|undone| undone.outcome.problems == 0), "{told}");
    let mut found = Vec::new();
    list(&at, &at, &mut found);
    for line in &wanted {
        assert!(found.contains(line), "{line} {told}");
    }
    // Where a file gets its new name by a link, it may be left with both.
    let is_made =
        |line: &String| MADE.contains(&line.as_str()) && (is_portable || !line.starts_with("new/name"));
    found.retain(|line| !wanted.contains(line) && !is_made(line));
    assert_eq!(found, [""; 0], "{told}");
    let mode = |at: &std::path::Path| fs::symlink_metadata(at.join("mode")).unwrap().mode();
    assert_eq!(mode(&at), mode(before.path()), "{told}");
}

fn killed_everywhere(is_portable: bool) {
    let mut states = std::collections::BTreeSet::new();
    for point in 1.. {
        let at = tempfile::tempdir().unwrap();
        fill(at.path());
        let is_over = run_until(point, at.path(), is_portable).success();
        let root = Root::open(at.path().as_os_str(), Links::Trusted).unwrap().writable().unwrap();
        let shown = looked(at.path());
        let mut scene = Scene::in_place(Some(at), root);
        scene.recover();
        // A copy that was made and not recorded is new here; the next plan wants none beside it.
        let is_copied = scene.record("copy").state == State::Absent && scene.path("copy").exists();
        let mut counts = scene.scan();
        let edits =
            |counts: &Counts| [counts.created, counts.edited, counts.gone, counts.attributes, counts.touched];
        // What is put back before a run scans is not there for who only looks.
        if !is_portable {
            assert_eq!(edits(&shown), edits(&counts), "{point}: {:?}", scene.tree(""));
        }
        counts.created -= u64::from(is_copied);
        assert!(!counts.has_edits(), "{point}: {counts:?} {:?}", scene.tree(""));
        assert_eq!(scene.tree(".dsync/staging"), [""; 0]);
        let (tree, trash) = (scene.tree(""), scene.tree(".dsync/trash"));
        assert!(tree.iter().all(|line| !line.contains(".part")), "{point}: {tree:?}");
        for kept in ["=1", "=2", "=3", "=4", "=loser", "=same", "=5", "->old"] {
            let is_kept = tree.iter().chain(&trash).any(|line| line.ends_with(kept));
            assert!(is_kept, "{point}: {kept} {tree:?} {trash:?}");
        }
        assert_undone(scene, is_portable, point);
        states.insert(tree);
        if is_over {
            assert!(point > 40 && states.len() > 12, "{point} {}", states.len());
            return;
        }
    }
}
