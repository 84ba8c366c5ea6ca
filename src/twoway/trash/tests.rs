//! Trash: all of it is found, what is old goes, and nothing else does.

use super::*;
use crate::fs::{Links, Root};
use crate::testing::is_root;
use crate::twoway::decide::Side;
use crate::twoway::log::Purpose;
use crate::twoway::record::Modes;
use crate::twoway::version::Author;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

struct Scene {
    at: tempfile::TempDir,
    replica: Replica,
    history: History,
}

impl Scene {
    fn new() -> Scene {
        let at = tempfile::tempdir().unwrap();
        let root = Root::open(at.path().as_os_str(), Links::Trusted).unwrap().writable().unwrap();
        let replica = Replica::open(&root).unwrap();
        let (history, _) = replica.history().unwrap();
        Scene { at, replica, history }
    }

    fn path(&self, rest: &str) -> PathBuf {
        self.at.path().join(".dsync/trash").join(rest)
    }

    fn trash(&self, rest: &str, content: &str) {
        fs::create_dir_all(self.path(rest).parent().unwrap()).unwrap();
        fs::write(self.path(rest), content).unwrap();
    }

    fn run_at(&mut self, seconds: i64) -> u64 {
        let purpose = Purpose::Meeting { partner: Author([1; 16]), name: "b".to_owned(), side: Side::Left };
        self.history.begin_run(FileTime::from_unix_time(seconds, 0), purpose, Modes::Whole).unwrap()
    }

    fn expire(&mut self, seconds: i64) -> (Amount, Vec<String>) {
        let mut told = Vec::new();
        let before = FileTime::from_unix_time(seconds, 0);
        let last = self.history.last_run();
        let expired = expire(&self.replica, &mut self.history, (before, Some(last)), &mut |path, _| {
            told.push(path.to_string())
        });
        (expired.unwrap(), told)
    }

    fn runs(&self) -> Vec<u64> {
        self.history.runs().unwrap().map(|run| run.unwrap().number).collect()
    }
}

fn names(at: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(at).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_each_run_has_is_listed_whether_it_is_logged_or_not() {
    let scene = Scene::new();
    scene.trash("10/a/b", "12345");
    scene.trash("10/c", "123");
    scene.trash("2/x", "1");
    symlink("/", scene.path("2/link")).unwrap();
    for other in ["007", "mine", "+3"] {
        fs::create_dir(scene.path(other)).unwrap();
    }
    let found: Vec<_> =
        list(scene.replica.all_trash()).unwrap().iter().map(|run| (run.run, run.amount)).collect();
    let amount = |entries, bytes| Amount { entries, bytes, failed: 0 };
    assert_eq!(found, [(2, amount(2, 1)), (10, amount(3, 8))]);
}

#[test]
fn what_is_old_goes_with_its_log_and_nothing_else() {
    let mut scene = Scene::new();
    for seconds in [100, 200, 300, 50] {
        let run = scene.run_at(seconds);
        scene.trash(&format!("{run}/dir/file"), "x");
    }
    // A run whose log was lost: the directory tells how old it is.
    for (run, seconds) in [("77", 10), ("78", 900)] {
        scene.trash(&format!("{run}/file"), "x");
        let time = FileTime::from_unix_time(seconds, 0);
        filetime::set_file_mtime(scene.path(run), time).unwrap();
    }
    fs::create_dir(scene.path("mine")).unwrap();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("kept"), "x").unwrap();
    symlink(outside.path(), scene.path("1/dir/link")).unwrap();
    let (amount, told) = scene.expire(250);
    assert_eq!((amount, told), (Amount { entries: 6, bytes: 3, failed: 0 }, vec![]));
    // The last run is the present one.
    assert_eq!(
        (scene.runs(), names(&scene.path(""))),
        (vec![3, 4], ["3", "4", "78", "mine"].map(String::from).into())
    );
    assert_eq!(names(outside.path()), ["kept"]);
    assert_eq!(scene.expire(250).0, Amount::default());
}

#[test]
fn all_of_it_can_be_emptied() {
    let mut scene = Scene::new();
    let run = scene.run_at(100);
    scene.trash(&format!("{run}/file"), "x");
    let amount = empty(&scene.replica, &|_, _| true, &mut |_, error| panic!("{error}")).unwrap();
    assert_eq!((amount.entries, scene.runs()), (1, vec![run]));
    assert_eq!(names(&scene.path("")), [""; 0]);
}

#[test]
fn depth_and_modes_do_not_keep_it() {
    let mut scene = Scene::new();
    let run = scene.run_at(100);
    scene.run_at(1000);
    let top = scene.replica.trash(run).unwrap();
    let mut dir = top.clone();
    let name = Name::new([b'd'; 100]).unwrap();
    for _ in 0..3000 {
        dir.make_dir(&name, 0o700).unwrap();
        dir = dir.open_dir_writable(&name).unwrap();
    }
    for part in ["1/a", "1/b", "2/a"] {
        scene.trash(&format!("{run}/{part}"), "x");
    }
    fs::set_permissions(scene.path(&format!("{run}/1")), fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(scene.path(&format!("{run}/2")), fs::Permissions::from_mode(0o0)).unwrap();
    if is_root() {
        // Root reads what is closed to its owner.
        assert_eq!(list(scene.replica.all_trash()).unwrap()[0].amount.entries, 3005);
    }
    let (amount, told) = scene.expire(200);
    assert_eq!((amount, told), (Amount { entries: 3005, bytes: 3, failed: 0 }, vec![]));
    assert_eq!(names(&scene.path("")), [""; 0]);
}

#[test]
fn what_cannot_be_removed_is_told_and_keeps_its_log() {
    if is_root() {
        // Nothing of its own keeps root from removing a file.
        return;
    }
    let mut scene = Scene::new();
    let run = scene.run_at(100);
    scene.run_at(1000);
    scene.trash(&format!("{run}/file"), "x");
    fs::set_permissions(scene.path(""), fs::Permissions::from_mode(0o500)).unwrap();
    let (amount, told) = scene.expire(200);
    fs::set_permissions(scene.path(""), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!((amount.failed, told), (1, vec![format!(".dsync/trash/{run}")]));
    assert_eq!(scene.runs(), [1, 2]);
}
