//! What an ordinary user may not do. Root runs these as nobody, in a process of their own.

use super::*;
use crate::fs::{Owners, SetMeta, stage_name};
use crate::tree::{Gid, Kind, Uid};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;

const NOBODY: u32 = 65534;
pub(crate) const PLACE: &str = "DSYNC_TEST_PLACE";

/// Whether to go on here; root sends the test to a process of nobody's.
fn here(test: &str) -> bool {
    if is_root() {
        as_nobody(module_path!(), test, Path::new("/"));
    }
    !is_root()
}

/// Runs one of a module's tests as nobody, who is told of `place`, and demands that it passes.
pub(crate) fn as_nobody(module: &str, test: &str, place: &Path) {
    let (_, module) = module.split_once("::").unwrap();
    let at = temporary();
    chmod(at.path(), 0o711);
    // The build may be where nobody else can look.
    let program = at.path().join("test");
    let current = std::env::current_exe().unwrap();
    fs::hard_link(&current, &program).or_else(|_| fs::copy(&current, &program).map(drop)).unwrap();
    let output = Command::new(program)
        .args(["--exact", &format!("{module}::{test}"), "--nocapture"])
        .env(PLACE, place)
        .uid(NOBODY)
        .gid(NOBODY)
        .current_dir("/")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn chmod(at: &Path, mode: u32) {
    fs::set_permissions(at, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn search_only_directories_are_passed_through() {
    if !here("search_only_directories_are_passed_through") {
        return;
    }
    let at = temporary();
    fs::create_dir_all(at.path().join("closed/deeper/open")).unwrap();
    fs::write(at.path().join("closed/file"), b"x").unwrap();
    chmod(&at.path().join("closed/deeper"), 0o311);
    chmod(&at.path().join("closed"), 0o111);
    let root = writable(at.path());
    for way in ["closed", "closed/deeper"] {
        let closed = root.open_beneath(&path(way)).unwrap();
        assert_eq!(closed.list().unwrap_err().kind(), ErrorKind::PermissionDenied);
        assert_eq!(open(&at.path().join(way)).dir().identity().unwrap(), closed.identity().unwrap());
    }
    root.open_beneath(&path("closed/deeper/open")).unwrap();
    let deeper = root.open_beneath_writable(&path("closed/deeper")).unwrap();
    deeper.stage(&name("new")).unwrap().install(&SetMeta::default()).unwrap();
    let closed = root.open_dir_writable(&name("closed")).unwrap();
    assert_eq!(closed.open_file(&name("file")).unwrap().len(), 1);
    crate::fs::kernel::without(|| assert!(root.open_dir(&name("closed")).is_err()));
    chmod(&at.path().join("closed"), 0o700);
    chmod(&at.path().join("closed/deeper"), 0o700);
}

#[test]
fn closed_entries_of_ones_own_are_opened_up() {
    if !here("closed_entries_of_ones_own_are_opened_up") {
        return;
    }
    let at = temporary();
    let root = writable(at.path());
    let mtime = Some(filetime::FileTime::from_unix_time(42, 0));
    root.make_dir(&name("dir"), 0).unwrap();
    fs::write(at.path().join("file"), b"x").unwrap();
    chmod(&at.path().join("file"), 0);
    for (entry, kind) in [("dir", Kind::Directory), ("file", Kind::File)] {
        root.set_meta(&name(entry), kind, &SetMeta { mtime, ..SetMeta::default() }).unwrap();
        assert_eq!(Some(root.entry(&name(entry)).unwrap().unwrap().meta.mtime), mtime);
    }
    let group = Some(Gid(rustix::process::getegid().as_raw()));
    let dir = root.open_dir_writable(&name("dir")).unwrap();
    assert!(dir.list().is_err());
    dir.set_own_meta(&SetMeta { mode: Some(0o700), owner: None, group, mtime, atime: None }).unwrap();
    assert!(dir.list().unwrap().is_whole());
    assert_eq!(root.entry(&name("dir")).unwrap().unwrap().meta.mode, 0o700);
}

#[test]
fn a_read_only_file_of_ones_own_is_changed_in_place() {
    if !here("a_read_only_file_of_ones_own_is_changed_in_place") {
        return;
    }
    let at = temporary();
    let root = writable(at.path());
    for mode in [0o444, 0o040, 0] {
        fs::write(at.path().join("file"), b"old").unwrap();
        chmod(&at.path().join("file"), mode);
        root.open_in_place(&name("file")).unwrap().write_at(b"new", 0).unwrap();
        assert_eq!(fs::metadata(at.path().join("file")).unwrap().mode() & 0o7777, mode);
        chmod(&at.path().join("file"), 0o600);
        assert_eq!(fs::read(at.path().join("file")).unwrap(), b"new");
    }
    let etc = writable(Path::new("/etc"));
    assert_eq!(etc.open_in_place(&name("passwd")).unwrap_err().kind(), ErrorKind::PermissionDenied);
}

#[test]
fn leftovers_of_others_are_in_the_way() {
    // Made by root, met by nobody, in a directory where both may write.
    let staged = |at: &Path| at.join(stage_name(&name("file")).as_os_str());
    if is_root() {
        let at = temporary();
        chmod(at.path(), 0o777);
        fs::write(staged(at.path()), b"root's").unwrap();
        chmod(&staged(at.path()), 0o666);
        as_nobody(module_path!(), "leftovers_of_others_are_in_the_way", at.path());
        assert_eq!(fs::read(staged(at.path())).unwrap(), b"root's");
    } else if let Some(place) = std::env::var_os(PLACE) {
        let error = writable(Path::new(&place)).stage(&name("file")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    } else {
        missing("root, for a leftover of another user");
    }
}

#[test]
fn nobody_is_not_root() {
    if !here("nobody_is_not_root") {
        return;
    }
    let owners = Owners::new().unwrap();
    assert!(!owners.is_root() && !owners.in_group(Gid::ROOT) && owners.effective_user() != Uid::ROOT);
    let at = temporary();
    fs::write(at.path().join("file"), b"").unwrap();
    let given = SetMeta { owner: Some(Uid::ROOT), ..SetMeta::default() };
    let error = writable(at.path()).set_meta(&name("file"), Kind::File, &given).unwrap_err();
    assert_eq!((error.doing, error.kind()), ("setting the owner of", ErrorKind::PermissionDenied));
}

#[test]
fn a_new_file_is_written_by_those_who_may_not_link_it() {
    if !here("a_new_file_is_written_by_those_who_may_not_link_it") {
        return;
    }
    let at = temporary();
    let root = writable(at.path());
    // Twice: the second time it is known what the system allows.
    for file in ["first", "second"] {
        let meta = SetMeta { mode: Some(0o640), ..SetMeta::default() };
        let set = |file: &crate::fs::WriteFile| file.set_meta(&file.lacking(&meta)?);
        assert!(root.write_new(&name(file), b"new", 0o640, set).unwrap());
        assert_eq!(fs::metadata(at.path().join(file)).unwrap().mode() & 0o7777, 0o640);
    }
    assert_eq!(names(at.path()), ["first", "second"]);
}
