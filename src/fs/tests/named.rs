//! Files a user named.

use super::*;
use crate::fs::open_named;
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
