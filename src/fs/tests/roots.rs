//! User-named paths.

use super::*;
use crate::fs::Error;
use crate::tree::Kind;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{lchown, symlink};

fn joined(at: &TempDir, rest: &str) -> OsString {
    at.path().join(rest).into_os_string()
}

#[test]
fn own_links_are_followed_wherever_they_lead() {
    both_ways(|| {
        let at = temporary();
        fs::create_dir_all(at.path().join("real/inner")).unwrap();
        symlink("real", at.path().join("relative")).unwrap();
        symlink(at.path().join("real"), at.path().join("absolute")).unwrap();
        symlink("../relative/inner/..", at.path().join("real/winding")).unwrap();
        let real = dir(&at.path().join("real")).identity().unwrap();
        for way in [
            "relative",
            "absolute",
            "absolute/",
            "real/winding",
            "real/./inner/..",
            "relative//",
            "absolute/.",
        ] {
            let root = Root::open(&joined(&at, way), Links::Trusted).unwrap();
            assert_eq!(root.dir().identity().unwrap(), real, "{way}");
        }
    });
}

#[test]
fn relative_paths_start_at_the_working_directory() {
    let here = std::env::current_dir().unwrap();
    for same in [".", "./", "./."] {
        let root = Root::open(OsStr::new(same), Links::Trusted).unwrap();
        assert_eq!(root.dir().identity().unwrap(), dir(&here).identity().unwrap());
    }
    assert_eq!(dir(Path::new("..")).identity().unwrap(), dir(here.parent().unwrap()).identity().unwrap());
    assert_eq!(dir(Path::new("/..")).identity().unwrap(), dir(Path::new("/")).identity().unwrap());
}

#[test]
fn a_link_of_another_user_is_refused_at_any_element() {
    if !root_or_skip("a link of another user") {
        return;
    }
    both_ways(|| {
        let at = temporary();
        fs::create_dir_all(at.path().join("real/inner")).unwrap();
        symlink("real", at.path().join("planted")).unwrap();
        lchown(at.path().join("planted"), Some(65534), None).unwrap();
        symlink("planted/inner", at.path().join("mine")).unwrap();
        for way in ["planted", "planted/", "planted/inner", "mine", "planted/inner/x"] {
            let refused = |outcome: Option<Error>| {
                let error = outcome.unwrap();
                assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{way}");
                assert!(error.to_string().contains("\"planted\" belongs to another user"), "{error}");
            };
            refused(Root::inspect(&joined(&at, way), Links::Trusted).err());
            refused(Root::open(&joined(&at, way), Links::Trusted).err());
            if way.contains('/') {
                refused(Root::create(&joined(&at, "planted/new"), Links::Trusted).err());
            }
        }
        assert!(Root::open(&joined(&at, "mine"), Links::Any).is_ok());
        // The last element of a file's path is not followed, so whose it is does not matter.
        let (_, last) = Root::open_parent(&joined(&at, "planted"), Links::Trusted).unwrap().unwrap();
        assert_eq!(last, name("planted"));
    });
}

#[test]
fn a_circle_of_links_ends() {
    both_ways(|| {
        let at = temporary();
        symlink("b", at.path().join("a")).unwrap();
        symlink("a", at.path().join("b")).unwrap();
        let error = Root::open(&joined(&at, "a"), Links::Trusted).unwrap_err();
        assert_eq!(error.source.raw_os_error(), Some(rustix::io::Errno::LOOP.raw_os_error()));
    });
}

#[test]
fn inspecting_tells_kind_and_absence_apart() {
    both_ways(|| {
        let at = temporary();
        fs::write(at.path().join("file"), b"").unwrap();
        symlink("file", at.path().join("link")).unwrap();
        symlink("nowhere", at.path().join("dangling")).unwrap();
        let inspect = |rest: &str| Root::inspect(&joined(&at, rest), Links::Trusted);
        assert_eq!(inspect("").unwrap(), Some(Kind::Directory));
        assert_eq!(inspect("file").unwrap(), Some(Kind::File));
        assert_eq!(inspect("link").unwrap(), Some(Kind::File));
        for absent in ["nothing", "dangling", "nothing/below", "dangling/below"] {
            assert_eq!(inspect(absent).unwrap(), None, "{absent}");
        }
        for through in ["file/below", "file/", "file/.", "link/"] {
            assert_eq!(inspect(through).unwrap_err().kind(), ErrorKind::NotADirectory, "{through}");
        }
        let error = Root::open(&joined(&at, "file"), Links::Trusted).unwrap_err();
        assert_eq!((error.doing, error.kind()), ("opening directory", ErrorKind::NotADirectory));
        assert!(Root::open(OsStr::new(""), Links::Trusted).unwrap_err().is_not_found());
    });
}

#[test]
fn the_last_element_of_a_path_is_split_off_unfollowed() {
    let at = temporary();
    fs::create_dir(at.path().join("dir")).unwrap();
    symlink("/", at.path().join("link")).unwrap();
    for (given, parent, last) in [("dir/file", "dir", "file"), ("link", "", "link"), ("dir/../x", "", "x")] {
        let (root, name) = Root::open_parent(&joined(&at, given), Links::Trusted).unwrap().unwrap();
        assert_eq!(root.dir().identity().unwrap(), dir(&at.path().join(parent)).identity().unwrap());
        assert_eq!(name.as_bytes(), last.as_bytes());
    }
    let (root, name) = Root::open_parent(OsStr::new("/file"), Links::Trusted).unwrap().unwrap();
    assert_eq!(
        (root.dir().identity().unwrap(), name.as_bytes()),
        (dir(Path::new("/")).identity().unwrap(), &b"file"[..])
    );
    let (root, _) = Root::open_parent(OsStr::new("file"), Links::Trusted).unwrap().unwrap();
    assert_eq!(root.dir().identity().unwrap(), dir(Path::new(".")).identity().unwrap());
    for whole in ["", ".", "..", "/", "a/", "a/..", "a/."] {
        assert!(Root::open_parent(OsStr::new(whole), Links::Trusted).unwrap().is_none(), "{whole}");
    }
    assert!(Root::open_parent(&joined(&at, "absent/x"), Links::Trusted).unwrap_err().is_not_found());
}

#[test]
fn a_root_is_created_one_level_deep() {
    let at = temporary();
    let made = Root::create(&joined(&at, "new//"), Links::Trusted).unwrap();
    assert_eq!(made.dir().identity().unwrap(), dir(&at.path().join("new")).identity().unwrap());
    assert!(made.writable().is_some());
    assert!(Root::create(&joined(&at, "a/b"), Links::Trusted).unwrap_err().is_not_found());
    assert_eq!(
        Root::create(&joined(&at, "new"), Links::Trusted).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    symlink("elsewhere", at.path().join("dangling")).unwrap();
    assert_eq!(
        Root::create(&joined(&at, "dangling"), Links::Trusted).unwrap_err().kind(),
        ErrorKind::AlreadyExists
    );
    assert!(Root::create(OsStr::new("/"), Links::Trusted).is_err());
}

#[test]
fn a_read_only_root_gives_no_write_access() {
    let at = temporary();
    assert!(open(at.path()).read_only().writable().is_none());
}

#[test]
fn a_root_stays_the_directory_it_was() {
    let at = temporary();
    fs::create_dir(at.path().join("before")).unwrap();
    let root = writable(&at.path().join("before"));
    fs::rename(at.path().join("before"), at.path().join("after")).unwrap();
    fs::create_dir(at.path().join("before")).unwrap();
    root.make_dir(&name("made"), 0o755).unwrap();
    assert_eq!(names(&at.path().join("after")), ["made"]);
    assert!(names(&at.path().join("before")).is_empty());
}

#[test]
fn a_path_that_is_confined_ends_inside() {
    both_ways(|| {
        let at = temporary();
        for name in ["in/deep/x", "out/x"] {
            fs::create_dir_all(at.path().join(name)).unwrap();
        }
        for name in ["in/file", "out/file"] {
            fs::write(at.path().join(name), "").unwrap();
        }
        for (target, name) in [
            ("deep", "in/inside"),
            ("../out", "in/away"),
            ("../out/file", "in/file-away"),
            ("../in", "out/back"),
        ] {
            symlink(target, at.path().join(name)).unwrap();
        }
        let top = dir(&at.path().join("in")).identity().unwrap();
        let within = Links::Within(Bounds { top, sources: false });
        let open = |path: &str| Root::open(&joined(&at, path), within);
        for inside in ["in", "in/", "in/deep", "in/deep/..", "in/inside/x", "out/back/deep", "out/../in"] {
            assert!(open(inside).is_ok(), "{inside}");
        }
        for outside in ["out", "in/..", "in/away", "in/away/x", "", "in/deep/../.."] {
            assert_eq!(open(outside).unwrap_err().kind(), ErrorKind::PermissionDenied, "{outside}");
        }
        let inspect = |path: &str| Root::inspect(&joined(&at, path), within);
        assert_eq!(inspect("in/file").unwrap(), Some(Kind::File));
        assert_eq!(inspect("in/nothing").unwrap(), None);
        assert!(inspect("in/file-away").is_err() && inspect("out/file").is_err());
    });
}
