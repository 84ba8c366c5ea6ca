//! Runs that are killed, at every point at which that makes a difference.
//!
//! The program that these tests run was built with the feature `crash-points`: `DSYNC_CRASH_AT=n` ends it at its n-th
//! point as if it were killed.

use crate::support::command::{Output, dsync};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, Content, Snapshot};
use crate::support::transport::{Direction, Transport, Way, rsh_script, shell_options};
use crate::support::tree::{Tree, noise};
use crate::support::xattr::{self, ACCESS_ACL, DEFAULT_ACL, acl};
use crate::two_way::{COLUMNS, Two};
use rustix::fs::{FileType, Mode};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::lchown;

const VARIABLE: &str = "DSYNC_CRASH_AT";
const OPTIONS: [&str; 4] = ["-2", "-AX", "--conflict=keep-both", "--allow-mass-delete"];
/// What the shell says that started a peer which was killed.
pub(super) const KILLED: &str = "killed at the point";
/// More points than any run here has.
pub(super) const MANY: u64 = 2000;
/// A directory that something was moved into has a new time, and a run that was killed cannot always give it the old.
pub(super) const WITHOUT_DIRECTORY_TIMES: Columns = Columns { directory_mtime: false, ..COLUMNS };

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Victim {
    Asking,
    Peer,
}

/// Two trees between which there is something of every kind to do, and the same every time.
fn with_work(way: Way) -> Two {
    let tree = Tree::new()
        .file("edited left", "one")
        .file("edited right", "two")
        .file("both", "both")
        .file("removed", "gone")
        .file("mode", "mode")
        .file("merged", "merged")
        .file("touched", "touched")
        .file("from", "renamed")
        .file("large", noise(300_000, 1))
        .file("dir/a", "a")
        .file("dir/b", "b")
        .file("gone/deep/c", "c")
        .file("gone/d", "d")
        .file("half/stays", "stays")
        .file("half/goes", "goes")
        .file("to dir", "file")
        .file("moved", "moved into that")
        .file("to file/e", "e")
        .symlink("link", "from")
        .symlink("to be a file", "link");
    let two = Two::met_in_memory(way, &tree);
    let write = |path: &str, content: &str| {
        two.write(path, content);
        two.touch(path, 1_700_000_000);
    };
    write("left/edited left", "one edited");
    write("right/edited right", "two edited");
    write("left/both", "both, left");
    write("right/both", "both, right");
    two.touch("right/both", 1_700_000_001);
    write("right/new/er/file", "new");
    write("left/new too", "also new");
    two.remove("left/removed");
    two.chmod("right/mode", 0o600);
    two.chmod("left/merged", 0o600);
    write("right/merged", "merged, edited");
    two.touch("left/touched", 1_700_000_000);
    if xattr::are_here() {
        for path in
            ["left/mode", "left/edited left", "left/new too", "right/touched", "right/dir", "right/merged"]
        {
            xattr::set(&two.scene.path(path), b"user.mark", path.as_bytes());
        }
        xattr::set(&two.scene.path("left/mode"), ACCESS_ACL, &acl(0o644, 4, &[(1, 7)], &[]));
        xattr::set(&two.scene.path("right/half"), DEFAULT_ACL, &acl(0o755, 5, &[(1, 7)], &[]));
        two.touch("left/edited left", 1_700_000_000);
    }
    two.rename("right/from", "right/dir/renamed");
    let mut large = two.scene.read("left/large");
    large[150_000] ^= 1;
    fs::write(two.scene.path("left/large"), large).unwrap();
    two.touch("left/large", 1_700_000_000);
    two.remove("right/gone");
    two.remove("left/half");
    write("right/half/stays", "edited");
    two.remove("left/to dir");
    write("left/to dir/f", "f");
    two.remove("right/to file");
    write("right/to file", "a file now");
    two.remove("left/link");
    two.link("left/link", "mode");
    two.remove("right/to be a file");
    write("right/to be a file", "a file");
    let time = filetime::FileTime::from_unix_time(1_600_000_000, 0);
    filetime::set_symlink_file_times(two.scene.path("left/link"), time, time).unwrap();
    for side in ["left", "right"] {
        for directory in two.snapshot(side).paths() {
            let path = format!("{side}/{}", String::from_utf8_lossy(directory));
            if two.scene.path(&path).symlink_metadata().unwrap().is_dir() {
                two.touch(&path, 1_600_000_000);
            }
        }
    }
    two
}

/// Two trees of which entries have other attributes on the left, of every kind and several of each, or are new there.
fn with_attributes(way: Way) -> Two {
    let named = |users: &[(u32, u16)]| acl(0o640, 4, users, &[]);
    let default = |user| acl(0o750, 5, &[(user, 7)], &[]);
    let tree = Tree::new()
        .file("marked", "1")
        .xattr("marked", "user.a", "1")
        .xattr("marked", "user.b", "1")
        .file("let in", "2")
        .mode("let in", 0o640)
        .xattr("let in", ACCESS_ACL, named(&[(1, 6)]))
        .directory("dir")
        .xattr("dir", "user.a", "1")
        .xattr("dir", DEFAULT_ACL, default(2))
        .file("dir/to be run", "3")
        .file("given", "4")
        .mode("given", 0o4755)
        .symlink("link", "given");
    let two = Two { scene: Scene::in_memory().tree("left", &tree).tree("right", &Tree::new()), way };
    two.sync(ATTRIBUTES).success();
    let left = |path: &str| two.scene.path(&format!("left/{path}"));
    let mark =
        |path: &str, name: &str, value: &str| xattr::set(&left(path), name.as_bytes(), value.as_bytes());
    for path in ["marked", "dir"] {
        xattr::remove(&left(path), b"user.a");
        ["user.b", "user.c", "trusted.d"].iter().for_each(|name| mark(path, name, "2"));
        two.chmod(&format!("left/{path}"), 0o710);
    }
    xattr::set(&left("let in"), ACCESS_ACL, &acl(0o660, 6, &[(3, 4)], &[]));
    mark("let in", "user.a", "2");
    xattr::set(&left("dir"), ACCESS_ACL, &acl(0o710, 1, &[(3, 1)], &[]));
    xattr::set(&left("dir"), DEFAULT_ACL, &default(3));
    two.chmod("left/dir/to be run", 0o755);
    fs::create_dir(left("dir/new")).unwrap();
    two.write("left/dir/new/file", "5");
    mark("dir/new", "user.a", "3");
    mark("dir/new", "user.b", "3");
    xattr::set(&left("dir/new"), DEFAULT_ACL, &default(4));
    xattr::set(&left("dir/new"), ACCESS_ACL, &acl(0o750, 5, &[(4, 5)], &[]));
    rustix::fs::mknodat(rustix::fs::CWD, left("dir/fifo"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
    two.chmod("left/dir/fifo", 0o640);
    mark("dir/fifo", "trusted.a", "4");
    mark("dir/fifo", "trusted.b", "4");
    for path in ["marked", "given", "dir/fifo", "link", "dir/new"] {
        lchown(left(path), Some(7), Some(8)).unwrap();
    }
    two.chmod("left/given", 0o4755);
    two
}

/// With these nothing is settled that nobody should have been asked about.
const ATTRIBUTES: &[&str] = &["-AXogD", "--conflict=skip"];

#[test]
fn between_two_attributes_of_an_entry() {
    if !rustix::process::geteuid().is_root() || !xattr::are_here() {
        return;
    }
    let columns = Columns { owner: true, mtime: false, ..WITHOUT_DIRECTORY_TIMES };
    let way = Way { transport: Transport::Rsh, direction: Direction::Push };
    for (way, victim) in [(Way::LOCAL, Victim::Asking), (way, Victim::Peer)] {
        let undisturbed = with_attributes(way);
        undisturbed.sync(ATTRIBUTES).success();
        let wanted = undisturbed.snapshot("left");
        for at in 1..MANY {
            let two = with_attributes(way);
            let crashed = crashing_with(&two, ATTRIBUTES, victim, at);
            let output = two.sync(ATTRIBUTES);
            assert_eq!(output.code, Some(0), "{way:?} {at}: {crashed}\n{output}");
            for side in ["left", "right"] {
                let differences = two.snapshot(side).differences(&wanted, columns);
                assert!(differences.is_empty(), "{way:?} {at} {side}: {differences:#?}\n{crashed}\n{output}");
            }
            let again = two.sync(&[ATTRIBUTES, &["-v"]].concat()).success();
            assert!(again.out().contains("in sync"), "{way:?} {at}: {again}");
            if crashed.code == Some(0) && !crashed.err().contains(KILLED) {
                assert!(at > 60, "there are few points: {at}");
                break;
            }
        }
    }
}

/// Two trees each with permissions of its own, of which only who may execute a file is the same.
fn with_executables(way: Way) -> Two {
    let tree = Tree::new()
        .file("a", "1")
        .mode("a", 0o640)
        .file("b", "2")
        .file("c", "3")
        .mode("c", 0o755)
        .file("edited", "4")
        .file("d", "5")
        .directory("dir")
        .mode("dir", 0o750);
    let two = Two { scene: Scene::in_memory().tree("left", &tree).tree("right", &Tree::new()), way };
    two.sync(EXECUTABLES).success();
    two.chmod("right/a", 0o600);
    two.chmod("left/a", 0o750);
    two.chmod("right/b", 0o700);
    two.chmod("left/c", 0o644);
    for (path, mode) in [("left/edited", 0o711), ("left/new", 0o755), ("right/dir/new too", 0o640)] {
        two.write(path, "edited");
        two.touch(path, 1_700_000_000);
        two.chmod(path, mode);
    }
    two.rename("left/d", "left/dir/renamed");
    two.chmod("right/dir", 0o700);
    two
}

const EXECUTABLES: &[&str] = &["--no-perms", "-E", "--conflict=skip"];

/// Without `-p` what is there of an entry's mode is not what is intended, but made of both.
#[test]
fn while_each_side_keeps_its_own_permissions() {
    let way = Way { transport: Transport::Rsh, direction: Direction::Push };
    for (way, victim) in [(Way::LOCAL, Victim::Asking), (way, Victim::Peer)] {
        let undisturbed = with_executables(way);
        undisturbed.sync(EXECUTABLES).success();
        let wanted = ["left", "right"].map(|side| undisturbed.snapshot(side));
        for at in 1..MANY {
            let two = with_executables(way);
            let crashed = crashing_with(&two, EXECUTABLES, victim, at);
            let output = two.sync(EXECUTABLES);
            assert_eq!(output.code, Some(0), "{way:?} {at}: {crashed}\n{output}");
            for (side, wanted) in ["left", "right"].iter().zip(&wanted) {
                let differences = two.snapshot(side).differences(wanted, WITHOUT_DIRECTORY_TIMES);
                assert!(differences.is_empty(), "{way:?} {at} {side}: {differences:#?}\n{crashed}\n{output}");
            }
            let again = two.sync(&[EXECUTABLES, &["-v"]].concat()).success();
            assert!(again.out().contains("in sync"), "{way:?} {at}: {again}");
            if crashed.code == Some(0) && !crashed.err().contains(KILLED) {
                assert!(at > 30, "there are few points: {at}");
                break;
            }
        }
    }
}

/// The run that does the work, with somebody being killed at a point. The other one hears nothing of the variable.
fn crashing(two: &Two, victim: Victim, at: u64) -> Output {
    crashing_with(two, &OPTIONS[1..], victim, at)
}

pub(super) fn crashing_with(two: &Two, options: &[&str], victim: Victim, at: u64) -> Output {
    let options = [&["-2"], options].concat();
    let run = two.way.copy(&options, &[two.scene.path("left")], two.scene.path("right"));
    let shell = |body: &str| shell_options(&rsh_script(two.scene.root(), body));
    // Of options given twice the last one counts.
    match victim {
        Victim::Asking => {
            let shell = shell(&format!("unset {VARIABLE}\nexec /bin/sh -c \"$*\"\n"));
            run.args(if two.way == Way::LOCAL { Vec::new() } else { shell }).variable(VARIABLE, at).run()
        }
        Victim::Peer => {
            let killed = format!("{VARIABLE}={at} /bin/sh -c \"$*\" 2>&3 || echo {KILLED} >&3\n");
            run.args(shell(&format!("exec 3>&2 2>/dev/null\n{killed}"))).run()
        }
    }
}

/// What is in the files and links of both trees, with where that is; without what was being written beside its target.
pub(super) fn contents(two: &Two) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for side in ["left", "right"] {
        let snapshot = two.snapshot(side);
        let is_staged =
            |path: &[u8]| path.rsplit(|byte| *byte == b'/').next().unwrap().starts_with(b".dsync-");
        for path in snapshot.paths().filter(|path| !is_staged(path)) {
            let content = &snapshot.get(path).unwrap().content;
            if *content != Content::None {
                found.insert(format!("{content:?}"), format!("{side}/{}", path.escape_ascii()));
            }
        }
    }
    found
}

fn at_every_point(way: Way, victim: Victim) {
    let undisturbed = with_work(way);
    let before = contents(&undisturbed);
    undisturbed.sync(&OPTIONS[1..]).success();
    undisturbed.assert_same();
    let wanted = undisturbed.snapshot("left");
    for at in 1..MANY {
        let two = with_work(way);
        let crashed = crashing(&two, victim, at);
        let ended = match victim {
            Victim::Asking => crashed.signal == Some(Signal::KILL.as_raw()),
            Victim::Peer => crashed.err().contains(KILLED),
        };
        if !ended {
            assert!(at > 40, "there are few points: {at}");
            crashed.success();
            two.assert_same();
            return;
        }
        let mut odd = contents(&two);
        odd.retain(|content, _| !before.contains_key(content));
        assert!(odd.is_empty(), "{way:?} {victim:?} {at}: {odd:?} {crashed}");
        let output = two.sync(&OPTIONS[1..]);
        assert_eq!(output.code, Some(0), "{way:?} {victim:?} {at}: {crashed}\n{output}");
        two.assert_same();
        let differences = two.snapshot("left").differences(&wanted, WITHOUT_DIRECTORY_TIMES);
        assert!(differences.is_empty(), "{way:?} {victim:?} {at}: {differences:#?}\n{crashed}\n{output}");
        let again = two.sync(&OPTIONS[1..]).success();
        assert!(
            again.out().contains("in sync") || again.out().is_empty(),
            "{way:?} {victim:?} {at}: {again}"
        );
    }
    panic!("more points than can be");
}

/// A history that is only half made could not be told from one that is damaged.
#[test]
fn the_first_run_of_two_trees() {
    let way = Way { transport: Transport::Rsh, direction: Direction::Pull };
    for (way, victim) in [(Way::LOCAL, Victim::Asking), (way, Victim::Asking), (way, Victim::Peer)] {
        for at in 1..MANY {
            let trees = [Tree::new().file("left", "1"), Tree::new().file("right", "2")];
            let scene = Scene::in_memory().tree("left", &trees[0]).tree("right", &trees[1]);
            let two = Two { scene, way };
            let crashed = crashing(&two, victim, at);
            let shown = two.sync(&["-n"]);
            assert_eq!(shown.code, Some(0), "{way:?} {victim:?} {at}: {shown}\n{crashed}");
            let output = two.sync(&[]);
            assert_eq!(output.code, Some(0), "{way:?} {victim:?} {at}: {output}\n{crashed}");
            two.assert_same();
            if crashed.code == Some(0) && !crashed.err().contains(KILLED) {
                assert!(at > 20, "there are few points: {at}");
                break;
            }
        }
    }
}

/// What was being made for a conflict that somebody settles by hand before the next run.
#[test]
fn nothing_is_left_of_what_nobody_wants_any_more() {
    for at in 1..MANY {
        let two = Two::met_in_memory(Way::LOCAL, &Tree::new().file("both", "both").file("other", "other"));
        two.write("left/both", "both, left");
        two.write("right/both", "both, right");
        two.write("left/other", "other, edited");
        let crashed = crashing(&two, Victim::Asking, at);
        if crashed.signal.is_none() {
            assert!(at > 10, "there are few points: {at}");
            return;
        }
        for side in ["left", "right"] {
            for path in two.paths(side).iter().filter(|path| path.starts_with("both")) {
                two.remove(&format!("{side}/{path}"));
            }
        }
        let output = two.sync(&["--allow-mass-delete"]).expect(0);
        two.assert_same();
        assert_eq!(two.paths("left"), ["other"], "{at}: {output}");
    }
    panic!("more points than can be");
}

#[test]
fn both_replicas_in_one_process() {
    at_every_point(Way::LOCAL, Victim::Asking);
}

#[test]
fn the_side_that_asks() {
    at_every_point(Way { transport: Transport::Rsh, direction: Direction::Push }, Victim::Asking);
}

#[test]
fn its_peer() {
    at_every_point(Way { transport: Transport::Rsh, direction: Direction::Pull }, Victim::Peer);
}

/// What gives way under one name and has another outside of what is synchronised: wherever the run is killed, after the
/// next one nobody writes to what is in the trash, and nothing is left that was being copied there.
#[test]
fn the_trash_has_nothing_to_do_with_the_tree_after_the_next_run() {
    for at in 1..MANY {
        let two = Two::met_in_memory(Way::LOCAL, &Tree::new().file("a", "one").file("dir/b", "two"));
        fs::hard_link(two.scene.path("right/a"), two.scene.path("outside")).unwrap();
        fs::hard_link(two.scene.path("right/dir/b"), two.scene.path("outside too")).unwrap();
        two.write("left/a", "another");
        two.remove("left/dir");
        let crashed = crashing_with(&two, &["--allow-mass-delete"], Victim::Asking, at);
        let next = two.sync(&["--allow-mass-delete"]).success();
        fs::write(two.scene.path("outside"), "written").unwrap();
        fs::write(two.scene.path("outside too"), "written").unwrap();
        let trash = two.scene.snapshot("right/.dsync/trash");
        let told = format!("{at}: {trash:?}\n{crashed}\n{next}");
        let is_file = |path: &&Vec<u8>| matches!(trash.get(*path).unwrap().content, Content::Bytes { .. });
        let place = |path: &Vec<u8>| two.scene.path("right/.dsync/trash").join(OsStr::from_bytes(path));
        let files = trash.paths().filter(is_file).map(place);
        let kept: Vec<String> = files.map(|path| fs::read_to_string(path).unwrap()).collect();
        let has = |content: &str| kept.iter().any(|kept| kept == content);
        assert!(has("one") && has("two") && !has("written"), "{told}");
        assert_eq!(trash.paths().filter(|path| contains(path, b"/.dsync-")).count(), 0, "{told}");
        if crashed.code == Some(0) {
            assert!(at > 10, "there are few points: {at}");
            break;
        }
    }
}

fn contains(path: &[u8], part: &[u8]) -> bool {
    path.windows(part.len()).any(|window| window == part)
}

/// Wherever a run is killed, an undo at once takes back all that it did on a side, and what the log says before it is
/// what it says after.
#[test]
fn an_undo_takes_back_what_a_killed_run_did() {
    let tree = Tree::new()
        .file("edited", "one")
        .file("removed", "two")
        .file("from", "renamed")
        .file("mode", "mode")
        .file("touched", "touched")
        .file("dir/sub/a", "a")
        .file("to dir", "file")
        .file("moved", "moved into that")
        .file("to file/b", "b")
        .file("marked", "marked")
        .file("marked too", "marked");
    for at in 1..MANY {
        let two = Two::met_in_memory(Way::LOCAL, &tree);
        let before = two.snapshot("right");
        two.write("left/edited", "one edited");
        two.remove("left/removed");
        two.rename("left/from", "left/dir/renamed");
        two.chmod("left/mode", 0o600);
        two.touch("left/touched", 1_700_000_000);
        two.remove("left/dir/sub");
        two.remove("left/to dir");
        two.write("left/to dir/sub/c", "c");
        two.remove("left/to file");
        two.write("left/to file", "a file now");
        if xattr::are_here() {
            for path in ["left/marked", "left/marked too"] {
                xattr::set(&two.scene.path(path), b"user.mark", path.as_bytes());
            }
        }
        let crashed = crashing(&two, Victim::Asking, at);
        let log = dsync(["log".into(), "-v".into(), two.scene.path("right").into_os_string()]);
        let told = log.run().success();
        let undone = dsync(["undo".into(), two.scene.path("right").into_os_string()]).run();
        assert_eq!(undone.code, Some(0), "{at}: {undone}\n{told}\n{crashed}");
        let differences = two.snapshot("right").differences(&before, WITHOUT_DIRECTORY_TIMES);
        assert!(differences.is_empty(), "{at}: {differences:#?}\n{undone}\n{told}\n{crashed}");
        let again =
            dsync(["log".into(), "-v".into(), two.scene.path("right").into_os_string()]).run().success();
        assert!(again.out().starts_with(&told.out()), "{at}: {again}\n{told}");
        if crashed.signal.is_none() {
            assert!(at > 40, "there are few points: {at}");
            return;
        }
    }
    panic!("more points than can be");
}

/// What the log of a side says.
fn log_of(two: &Two, side: &str) -> String {
    dsync(["log".into(), "-v".into(), two.scene.path(side).into_os_string()]).run().success().out()
}

/// Undoes a run on the right.
fn undo_run(two: &Two, run: &str) -> Output {
    dsync(["undo".into(), two.scene.path("right").into_os_string(), run.into()]).run()
}

/// Two trees of which the second run is to be undone on the right, and that side before and after it.
fn with_a_run_to_undo() -> (Two, Snapshot, Snapshot) {
    let tree = Tree::new()
        .file("edited", "one")
        .file("removed", "two")
        .file("from", "renamed")
        .file("mode", "mode")
        .file("touched", "touched")
        .file("dir/a", "a")
        .file("gone/sub/b", "b")
        .mode("gone/sub", 0o751)
        .mode("dir", 0o755)
        .file("to dir", "file")
        .file("moved", "moved into that")
        .file("to file/c", "c")
        .mode("to file", 0o705)
        .file("marked", "marked");
    let two = Two::met_in_memory(Way::LOCAL, &tree);
    let before = two.snapshot("right");
    two.write("left/edited", "one edited");
    two.remove("left/removed");
    two.rename("left/from", "left/dir/renamed");
    two.chmod("left/mode", 0o600);
    two.chmod("left/dir", 0o711);
    two.remove("left/gone");
    two.remove("left/to dir");
    two.write("left/to dir/sub/d", "d");
    two.rename("left/moved", "left/to dir/moved");
    two.remove("left/to file");
    two.write("left/to file", "a file now");
    if xattr::are_here() {
        for name in [&b"user.mark"[..], b"user.other"] {
            xattr::set(&two.scene.path("left/marked"), name, b"new");
        }
    }
    two.sync(&OPTIONS[1..]).success();
    let after = two.snapshot("right");
    (two, before, after)
}

/// Wherever an undo is killed, its log says what it did, before anything is changed and after; and it can be undone
/// itself, or finished. No directory is left with the mode that it has for the time of an undo.
#[test]
fn an_undo_that_is_killed_is_undone_or_finished() {
    let number = "2".to_owned();
    for at in 1..MANY {
        let mut is_over = false;
        for is_finished in [true, false] {
            let (two, before, after) = with_a_run_to_undo();
            let undo = ["undo".into(), two.scene.path("right").into_os_string(), number.clone().into()];
            let crashed = dsync(undo).variable(VARIABLE, at).run();
            is_over = crashed.signal.is_none();
            let left = two.snapshot("right");
            let shown = log_of(&two, "right");
            let differing = |wanted| left.differences(wanted, WITHOUT_DIRECTORY_TIMES);
            let told = |output: &Output| format!("{at} {is_finished}: {crashed}\n{shown}\n{output}");
            let again = number.parse::<u64>().unwrap() + u64::from(!is_finished);
            let output = undo_run(&two, &again.to_string());
            let is_nothing = !is_finished && output.code == Some(1);
            if is_nothing {
                // It was killed before it had a number.
                assert!(differing(&after).is_empty(), "{}", told(&output));
                continue;
            }
            assert_eq!(output.code, Some(0), "{}", told(&output));
            let log = log_of(&two, "right");
            assert!(log.starts_with(&shown), "{}\n{log}", told(&output));
            let (now, wanted) = (two.snapshot("right"), if is_finished { &before } else { &after });
            let mut differences = now.differences(wanted, WITHOUT_DIRECTORY_TIMES);
            // What the undo had made where nothing was stays, and is in its log.
            let said = shown.split("\nrun 3 ").nth(1).unwrap_or_default();
            let is_said = |path: &&Vec<u8>| {
                let made = format!("  made        {}", path.escape_ascii());
                said.lines().any(|line| line.trim_end_matches('/') == made)
            };
            let stays = |path: &&Vec<u8>| !is_finished && wanted.get(path).is_none() && is_said(path);
            let made: Vec<String> =
                now.paths().filter(stays).map(|path| path.escape_ascii().to_string()).collect();
            differences.retain(|line| !made.iter().any(|path| line.contains(path)));
            assert!(differences.is_empty(), "{differences:#?}\n{}", told(&output));
            let next = two.sync(&OPTIONS[1..]).success();
            assert!(
                two.snapshot("left").differences(&two.snapshot("right"), WITHOUT_DIRECTORY_TIMES).is_empty(),
                "{next}"
            );
            for path in now.paths() {
                let (mode, was) = (two.snapshot("right"), [before.get(path), after.get(path)]);
                let mode = mode.get(path).map(|entry| entry.mode);
                let is_known = was.iter().flatten().any(|entry| Some(entry.mode) == mode);
                assert!(is_known, "{} {mode:?}: {}", path.escape_ascii(), told(&next));
            }
        }
        if is_over {
            assert!(at > 40, "there are few points: {at}");
            return;
        }
    }
    panic!("more points than can be");
}
