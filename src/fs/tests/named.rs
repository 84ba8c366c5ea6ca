//! Files a user named.

use super::*;
use crate::fs::{append_named, open_named};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{lchown, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

fn read(path: &Path) -> Result<String, crate::fs::Error> {
    let mut content = String::new();
    open_named(path.as_os_str(), Links::Trusted)?.read_to_string(&mut content).unwrap();
    Ok(content)
}

/// A file of rules, and a link beside it that another user made, to what that user may not read.
fn planted() -> TempDir {
    let at = temporary();
    fs::write(at.path().join("rules"), "rules").unwrap();
    fs::write(at.path().join("secret"), "secret").unwrap();
    symlink("secret", at.path().join("planted")).unwrap();
    lchown(at.path().join("planted"), Some(65534), None).unwrap();
    at
}

#[test]
fn a_named_file_is_opened_through_own_links() {
    both_ways(|| {
        let at = temporary();
        fs::create_dir(at.path().join("dir")).unwrap();
        fs::write(at.path().join("dir/rules"), "rules").unwrap();
        symlink("dir", at.path().join("way")).unwrap();
        symlink("way/rules", at.path().join("link")).unwrap();
        assert_eq!(read(&at.path().join("dir/rules")).unwrap(), "rules");
        assert_eq!(read(&at.path().join("link")).unwrap(), "rules");
        assert_eq!(read(&at.path().join("dir/absent")).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_named_file_behind_a_link_of_another_user_is_refused() {
    if !root_or_skip("a link of another user") {
        return;
    }
    both_ways(|| {
        let at = planted();
        let error = read(&at.path().join("planted")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("\"planted\" belongs to another user"), "{error}");
        let any = open_named(at.path().join("planted").as_os_str(), Links::Any);
        assert!(any.is_ok());
    });
}

fn append(path: &Path, text: &str) -> Result<(), crate::fs::Error> {
    append_named(path.as_os_str(), Links::Trusted)?.write_all(text.as_bytes()).unwrap();
    Ok(())
}

#[test]
fn a_file_is_made_where_own_links_lead() {
    both_ways(|| {
        let at = temporary();
        let path = |name: &str| at.path().join(name);
        fs::create_dir(path("dir")).unwrap();
        symlink("dir/one", path("first")).unwrap();
        symlink(path("first"), path("second")).unwrap();
        symlink("loop", path("loop")).unwrap();
        symlink("absent/one", path("astray")).unwrap();
        append(&path("second"), "1").unwrap();
        append(&path("first"), "2").unwrap();
        append(&path("dir/one"), "3").unwrap();
        assert_eq!(fs::read_to_string(path("dir/one")).unwrap(), "123");
        assert!(fs::symlink_metadata(path("first")).unwrap().is_symlink());
        assert!(append(&path("loop"), "x").is_err());
        assert_eq!(append(&path("astray"), "x").unwrap_err().kind(), ErrorKind::NotFound);
        assert!(append(&path("dir"), "x").is_err());
    });
}

#[test]
fn no_file_is_made_where_links_of_another_user_lead() {
    if !root_or_skip("a link of another user") {
        return;
    }
    both_ways(|| {
        let at = temporary();
        let path = |name: &str| at.path().join(name);
        symlink("made", path("planted")).unwrap();
        lchown(path("planted"), Some(65534), None).unwrap();
        symlink("planted", path("own")).unwrap();
        for name in ["planted", "own"] {
            let error = append(&path(name), "x").unwrap_err();
            assert!(error.to_string().contains("\"planted\" belongs to another user"), "{error}");
        }
        assert!(!path("made").exists());
    });
}

/// Each of several runs that begin a log at the same time gets to write to it.
#[test]
fn a_file_that_several_begin_is_one() {
    let at = temporary();
    for round in 0..50 {
        let path = at.path().join(round.to_string());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| append(&path, "x").unwrap());
            }
        });
        assert_eq!(fs::read_to_string(&path).unwrap(), "xxxx");
    }
}

/// What was looked at is what is read, whoever exchanges it in between.
#[test]
fn a_named_file_that_is_swapped_for_a_link_is_read_or_refused() {
    if !root_or_skip("a link of another user") {
        return;
    }
    let at = planted();
    let (rules, link) = (at.path().join("rules"), at.path().join("planted"));
    let done = AtomicBool::new(false);
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = renameat_with(CWD, &rules, CWD, &link, RenameFlags::EXCHANGE);
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            crate::fs::kernel::without(|| for_a_while(|| seen.push(read(&rules))));
            for_a_while(|| seen.push(read(&rules)));
        }));
        done.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
    for outcome in seen {
        assert!(outcome.as_ref().map_or(true, |content| content == "rules"), "{outcome:?}");
    }
}

/// As `/dev/stdin` and a shell's `<(...)` are: links to an open file, whose text is no path.
#[cfg(target_os = "linux")]
#[test]
fn a_name_of_an_open_file_is_no_path_and_can_be_read() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"piped").unwrap();
    drop(writer);
    let named = |number| std::path::PathBuf::from(format!("/proc/self/fd/{number}"));
    assert_eq!(read(&named(reader.as_raw_fd())).unwrap(), "piped");
    let at = temporary();
    fs::write(at.path().join("file"), "kept").unwrap();
    let file = File::open(at.path().join("file")).unwrap();
    assert_eq!(read(&named(file.as_raw_fd())).unwrap(), "kept");
    fs::remove_file(at.path().join("file")).unwrap();
    assert_eq!(read(&named(file.as_raw_fd())).unwrap(), "kept");
}
