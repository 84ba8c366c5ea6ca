//! Undoing what runs did that are played here.

use super::*;
use crate::fs::tests::unprivileged::as_nobody;
use crate::testing::is_root;
use crate::tree::Uid;

fn mtime(scene: &Scene, at: &str) -> FileTime {
    FileTime::from_last_modification_time(&fs::symlink_metadata(scene.path(at)).unwrap())
}

/// A run that has made a directory with content in the place of a file.
fn replaced_by_a_directory(scene: &Scene) {
    let mut run = scene.play();
    let trashed = run.discard("kind");
    fs::create_dir_all(scene.path("kind/sub")).unwrap();
    run.create("kind/sub/made", "made");
    fs::rename(scene.path("from"), scene.path("kind/moved")).unwrap();
    run.done("kind/moved", Change::Create, None);
    run.done("from", Change::Remove, None);
    run.done("kind/sub", Change::Create, None);
    run.done("kind", Change::Replace, trashed);
    run.end(outcome(5, 0), &[]);
}

#[test]
fn a_file_comes_back_with_what_was_made_in_its_place_gone() {
    let scene = Scene::new(&[("kind", "file"), ("from", "moved")]);
    replaced_by_a_directory(&scene);
    let (undone, refused) = scene.undo();
    assert_eq!((refused, undone.outcome.problems), (Vec::new(), 0));
    let read = |at: &str| scene.read(at);
    assert_eq!((read("kind").as_deref(), read("from").as_deref()), (Some("file"), Some("moved")));
    assert_eq!(read(".dsync/trash/2/kind/sub/made").as_deref(), Some("made"));
    // And all of that is undone again.
    let (again, refused) = scene.undo();
    assert_eq!((again.run, refused), (2, Vec::new()));
    assert_eq!(
        (read("kind/sub/made").as_deref(), read("kind/moved").as_deref()),
        (Some("made"), Some("moved"))
    );
    assert_eq!(read("from"), None);
}

#[test]
fn what_somebody_put_into_a_directory_keeps_it_there() {
    for (at, content) in [("kind/mine", "mine"), ("kind/sub/made", "edited")] {
        let scene = Scene::new(&[("kind", "file"), ("from", "moved")]);
        replaced_by_a_directory(&scene);
        scene.write(at, content);
        let (_, refused) = scene.undo();
        assert_eq!(refused, ["kind: a directory is there that holds what the run did not make"]);
        assert_eq!(scene.read(at).as_deref(), Some(content));
        assert!(scene.read("kind/sub/made").is_some());
    }
}

#[test]
fn a_directory_comes_back_with_its_content_in_the_place_of_a_file() {
    let scene = Scene::new(&[("kind/sub/inner", "inner"), ("kind/other", "other")]);
    let mut run = scene.play();
    run.remove("kind/sub/inner");
    run.remove_dir("kind/sub");
    run.remove("kind/other");
    fs::remove_dir(scene.path("kind")).unwrap();
    scene.write("kind", "file");
    run.done("kind", Change::Replace, Some(path("kind")));
    run.end(outcome(4, 0), &[]);
    let (_, refused) = scene.undo();
    assert_eq!(refused, [""; 0]);
    let read = |at: &str| scene.read(at);
    assert_eq!(
        (read("kind/sub/inner").as_deref(), read("kind/other").as_deref()),
        (Some("inner"), Some("other"))
    );
    let (_, refused) = scene.undo();
    assert_eq!((refused, read("kind").as_deref()), (Vec::new(), Some("file")));
}

#[test]
fn a_file_gets_its_old_time_with_its_old_name() {
    let scene = Scene::new(&[("old", "renamed")]);
    let (before, since) = (FileTime::from_unix_time(1000, 0), FileTime::from_unix_time(2000, 0));
    filetime::set_file_mtime(scene.path("old"), before).unwrap();
    let mut run = scene.play();
    fs::rename(scene.path("old"), scene.path("new")).unwrap();
    filetime::set_file_mtime(scene.path("new"), since).unwrap();
    fs::set_permissions(scene.path("new"), fs::Permissions::from_mode(0o600)).unwrap();
    run.done("new", Change::Create, None);
    run.done("old", Change::Remove, None);
    run.end(outcome(2, 0), &[]);
    scene.undo();
    assert_eq!((mtime(&scene, "old"), scene.mode("old")), (before, 0o644));
    scene.undo();
    assert_eq!((mtime(&scene, "new"), scene.mode("new")), (since, 0o600));
}

#[test]
fn files_with_one_content_get_their_own_old_names() {
    let scene = Scene::new(&[("a", "same"), ("b", "same"), ("c", "same")]);
    for (at, mode) in [("a", 0o600), ("b", 0o640), ("c", 0o644)] {
        fs::set_permissions(scene.path(at), fs::Permissions::from_mode(mode)).unwrap();
    }
    let inode = |at: &str| fs::symlink_metadata(scene.path(at)).unwrap().ino();
    let before = ["a", "b", "c"].map(inode);
    let mut run = scene.play();
    run.create("copy", "same");
    run.rename("a", "x");
    run.rename("b", "y");
    run.rename("c", "z");
    run.end(outcome(7, 0), &[]);
    let (_, refused) = scene.undo();
    assert_eq!((refused, ["a", "b", "c"].map(inode)), (Vec::new(), before));
    assert_eq!(scene.read("copy").as_deref(), Some("same"));
    // That has put them the other way round into its log.
    scene.undo();
    assert_eq!(["x", "y", "z"].map(inode), before);
}

/// The owner that a run has taken from an entry, which only the superuser can give back.
fn given_away(entry: Entry) -> Entry {
    let user = crate::fs::effective_user();
    let owned = |record: Record, owner| {
        let attributes =
            crate::twoway::record::Attributes { owner: (Some(owner), None), ..record.attributes };
        Record { attributes, ..record }
    };
    Entry { before: owned(entry.before, Uid(user.0 + 1)), after: owned(entry.after, user), ..entry }
}

#[test]
fn what_is_back_without_its_attributes_is_told_as_that() {
    if is_root() {
        let test = "what_is_back_without_its_attributes_is_told_as_that";
        return as_nobody(module_path!(), test, std::path::Path::new("/"));
    }
    let scene = Scene::new(&[("old", "renamed"), ("dir/stays", "1")]);
    let mut run = scene.play();
    fs::rename(scene.path("old"), scene.path("new")).unwrap();
    let (was, dir) = (run.known("old").unwrap(), run.known("dir").unwrap());
    let nothing = Record::never();
    let entry = |at: &str, change, before: &Record, after: &Record| {
        let (before, after) = (before.clone(), after.clone());
        Entry { path: path(at), change, why: Why::Clear, before, after, trashed: None, problem: None }
    };
    let named = given_away(entry("old", Change::Remove, &was, &was));
    let log = [
        Entry { before: nothing.clone(), ..given_away(entry("new", Change::Create, &nothing, &was)) },
        Entry { after: nothing, ..named },
        given_away(entry("dir", Change::Adjust, &dir, &dir)),
    ];
    run.hold.history.installed(&[], &log, &[]).unwrap();
    run.end(outcome(3, 0), &[]);
    let (undone, refused) = scene.undo();
    assert_eq!(scene.read("old").as_deref(), Some("renamed"));
    let told = |at: &str| format!("{at}: setting the owner of: Operation not permitted");
    assert_eq!(refused, ["dir", "old"].map(told));
    let hold = scene.hold();
    let entries = hold.history.entries(undone.number).unwrap();
    let done: Vec<_> = entries.map(Result::unwrap).filter(|entry| entry.problem.is_none()).collect();
    let done: Vec<String> = done.iter().map(|entry| entry.path.to_string()).collect();
    assert_eq!(done, ["new", "old"]);
}

#[test]
fn what_is_below_a_directory_that_is_gone_is_told() {
    let scene = Scene::new(&[("gone/file", "1"), ("other/file", "2")]);
    let mut run = scene.play();
    run.replace("gone/file", "new");
    run.replace("other/file", "new");
    run.end(outcome(2, 0), &[]);
    fs::remove_dir_all(scene.path("gone")).unwrap();
    fs::remove_dir_all(scene.path("other")).unwrap();
    scene.write("other", "a file");
    let (_, refused) = scene.undo();
    let told = [
        "other/file: the directory that it was in is something else by now",
        "gone/file: the directory that it was in is gone",
    ];
    assert_eq!(refused, told);
}

#[test]
fn directories_that_shut_their_owner_out_are_opened_and_closed_again() {
    if is_root() {
        let test = "directories_that_shut_their_owner_out_are_opened_and_closed_again";
        return as_nobody(module_path!(), test, std::path::Path::new("/"));
    }
    let scene = Scene::new(&[("dir/edited", "1"), ("dir/gone", "2"), ("other/mode", "3")]);
    let chmod =
        |at: &str, mode| fs::set_permissions(scene.path(at), fs::Permissions::from_mode(mode)).unwrap();
    let mut run = scene.play();
    run.replace("dir/edited", "new");
    run.remove("dir/gone");
    chmod("other/mode", 0o600);
    run.done("other/mode", Change::Adjust, None);
    run.chmod("other", 0o500);
    run.end(outcome(4, 0), &[]);
    chmod("dir", 0o555);
    scene.scan();
    let (_, refused) = scene.undo();
    assert_eq!(refused, [""; 0]);
    let read = |at: &str| scene.read(at);
    assert_eq!((read("dir/edited").as_deref(), read("dir/gone").as_deref()), (Some("1"), Some("2")));
    assert_eq!((scene.mode("dir"), scene.mode("other"), scene.mode("other/mode")), (0o555, 0o755, 0o644));
    assert_eq!(scene.hold().history.intents().unwrap(), []);
    chmod("dir", 0o755);
}
