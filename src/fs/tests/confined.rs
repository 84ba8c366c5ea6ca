//! Paths and links in a process that is restricted to a directory.

use super::*;
use crate::fs::confined::{self, Beneath};
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::{lchown, symlink};

/// A directory `top` with a tree, and one beside it that has nothing to do with it.
fn tree() -> TempDir {
    let at = temporary();
    let path = |name: &str| at.path().join(name);
    fs::create_dir_all(path("top/a/b")).unwrap();
    fs::create_dir_all(path("beside/a/b")).unwrap();
    fs::write(path("top/a/file"), "inside").unwrap();
    fs::write(path("beside/a/file"), "outside").unwrap();
    for (link, target) in [
        ("top/near", "a"),
        ("top/a/b/back", "../../a/file"),
        ("top/out", "../beside"),
        ("top/a/out", "../../beside/a"),
        ("top/out-and-in", "../top/a"),
        ("top/loop", "loop"),
        ("top/nothing", "nowhere"),
        ("beside/in", "../top/a"),
    ] {
        symlink(target, path(link)).unwrap();
    }
    symlink(path("top/a"), path("top/absolute")).unwrap();
    symlink(path("beside/in"), path("top/absolute-and-in")).unwrap();
    symlink(path("beside/a"), path("top/absolute-out")).unwrap();
    symlink(path("beside/gone/file"), path("top/absolute-gone")).unwrap();
    symlink("/", path("top/root")).unwrap();
    at
}

/// What a name outside leads to shows in nothing: a link that would be followed if it were there is not followed.
#[test]
fn no_link_asks_for_names_outside() {
    both_ways(|| {
        let at = tree();
        let beside = at.path().join("beside/a");
        let back: String = beside.components().skip(1).map(|_| "/..").collect();
        let inside = at.path().join("top/a");
        let probes = [
            ("directory", format!("{}{back}{}", beside.display(), inside.display())),
            ("no-directory", format!("{}/gone/..{back}{}", beside.display(), inside.display())),
            ("once-back", format!("{}/../top/a", at.path().join("beside").display())),
            ("process", format!("/proc/self/root{}", inside.display())),
            ("dots", format!("/..{}", inside.display())),
        ];
        let (top, beneath) = bound(&at, ".");
        for (name, text) in probes {
            symlink(&text, at.path().join("top").join(name)).unwrap();
            let error = read(&top, &format!("{name}/file"), beneath).unwrap_err();
            assert!(error.is_refusal() && error.to_string().contains("leads out"), "{text}: {error}");
        }
        // In the directory, and in links that are the system's, it may.
        symlink(inside.join("b/../file"), at.path().join("top/there-and-back")).unwrap();
        assert_eq!(read(&top, "there-and-back", beneath).unwrap(), "inside");
        assert_eq!(read(&top, "absolute-and-in/file", beneath).unwrap(), "inside");
    });
}

/// However a path gets there: as it is named, through a link, or by what a link leads to.
#[test]
fn nothing_leads_into_what_a_replica_keeps() {
    both_ways(|| {
        let at = tree();
        let path = |name: &str| at.path().join("top").join(name);
        fs::create_dir(path("a/.dsync")).unwrap();
        fs::write(path("a/.dsync/history"), "rows").unwrap();
        for (link, target) in [("state", "a/.dsync"), ("row", "a/.dsync/history"), ("through", "a/.dsync/..")]
        {
            symlink(target, path(link)).unwrap();
        }
        symlink(path("a/.dsync"), path("absolute-state")).unwrap();
        let (top, beneath) = bound(&at, ".");
        let links = Links::Beneath(beneath);
        let a = Root::open_from(&top, "a".as_ref(), links).unwrap().writable().unwrap();
        for refused in [
            read(&top, "a/.dsync/history", beneath).unwrap_err(),
            read(&top, "row", beneath).unwrap_err(),
            read(&top, "absolute-state/history", beneath).unwrap_err(),
            read(&top, "through/file", beneath).unwrap_err(),
            Root::open_from(&top, "a/.dsync".as_ref(), links).unwrap_err(),
            Root::make_from(&top, "a/.dsync/new".as_ref(), links).unwrap_err(),
            Root::make_from(&top, ".dsync".as_ref(), links).unwrap_err(),
            Root::open_parent(".dsync".as_ref(), links).unwrap_err(),
            top.referent(&name("row")).unwrap_err(),
            top.open_referent_dir(&name("state")).unwrap_err(),
            top.open_inside(&crate::tree::RelPath::new(*b"state").unwrap()).unwrap_err(),
            a.make_aside(b".dsync", links).unwrap_err(),
            links.check_elements(b"a/.dsync/history").unwrap_err(),
        ] {
            assert!(refused.is_refusal() && refused.to_string().contains(".dsync"), "{refused}");
        }
        assert!(links.check_elements(b"a/.dsyncs").is_ok());
        assert!(Links::Any.check_elements(b".dsync").is_ok());
        assert_eq!(names(&path("a/.dsync")), ["history"]);
    });
}

/// The directory of that name, bound to `top`.
fn bound(at: &TempDir, name: &str) -> (Dir, Beneath) {
    let top = dir(&at.path().join("top"));
    let beneath = Beneath::new(top.identity().unwrap());
    let root = Root::open_from(&top, name.as_ref(), Links::Beneath(beneath)).unwrap();
    (root.dir().clone(), beneath)
}

fn read(from: &Dir, path: &str, beneath: Beneath) -> Result<String, crate::fs::Error> {
    let from = from.as_fd().try_clone_to_owned().unwrap();
    let mut text = String::new();
    confined::open_file_from(from, path.as_bytes(), beneath, "reading")?.read_to_string(&mut text).unwrap();
    Ok(text)
}

#[test]
fn paths_end_in_the_directory() {
    both_ways(|| {
        let at = tree();
        for (from, inside) in [
            (".", "a/file"),
            (".", "/a/file"),
            (".", "./a//b/../file"),
            (".", "near/file"),
            (".", "a/b/back"),
            (".", "near/b/../file"),
            (".", "absolute/file"),
            (".", "absolute-and-in/file"),
            ("a/b", "../file"),
            ("a/b", "../../near/file"),
            ("a/b", "back"),
        ] {
            let (from, beneath) = bound(&at, from);
            assert_eq!(read(&from, inside, beneath).unwrap(), "inside", "{inside}");
        }
    });
}

#[test]
fn no_path_leads_out_of_the_directory() {
    both_ways(|| {
        let at = tree();
        for (from, outside) in [
            (".", "../beside/a/file"),
            (".", "/../beside/a/file"),
            (".", ".."),
            (".", "../top/a/file"),
            (".", "a/../../beside/a/file"),
            (".", "out/a/file"),
            (".", "out-and-in/file"),
            (".", "a/out/file"),
            (".", "near/out/file"),
            (".", "absolute-out/file"),
            (".", "absolute-gone"),
            (".", "root/etc/passwd"),
            (".", "root"),
            ("a/b", "../../../beside/a/file"),
        ] {
            let (from, beneath) = bound(&at, from);
            let error = read(&from, outside, beneath).unwrap_err();
            assert!(error.is_refusal() && error.to_string().contains("leads out"), "{outside}: {error}");
            let links = Links::Beneath(beneath);
            if !outside.starts_with('/') {
                let error = Root::open_from(&from, outside.as_ref(), links).unwrap_err();
                assert!(error.is_refusal(), "{outside}: {error}");
                let error = Root::make_from(&from, outside.as_ref(), links).unwrap_err();
                assert!(error.is_refusal(), "{outside}: {error}");
            }
        }
        let (top, beneath) = bound(&at, ".");
        assert!(read(&top, "nothing", beneath).unwrap_err().is_not_found());
        assert_eq!(read(&top, "loop", beneath).unwrap_err().source.raw_os_error(), Some(40));
        assert_eq!(read(&top, "a/file/b", beneath).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert_eq!(read(&top, "a", beneath).unwrap_err().kind(), ErrorKind::IsADirectory);
    });
}

/// A path that begins with a slash begins at the current directory, so that has to be the one that is meant.
#[test]
fn a_process_elsewhere_opens_nothing() {
    let at = tree();
    let (_, beneath) = bound(&at, ".");
    for path in ["a", "/a", "."] {
        assert!(Root::open(path.as_ref(), Links::Beneath(beneath)).is_err(), "{path}");
    }
}

#[test]
fn links_of_others_are_followed_where_sources_are_read() {
    if !root_or_skip("a link of another user") {
        return;
    }
    both_ways(|| {
        let at = tree();
        lchown(at.path().join("top/near"), Some(65_534), None).unwrap();
        let (top, beneath) = bound(&at, ".");
        assert!(read(&top, "near/file", beneath).unwrap_err().to_string().contains("another user"));
        assert_eq!(read(&top, "near/file", beneath.of_anyone()).unwrap(), "inside");
    });
}

#[test]
fn what_links_lead_to_is_in_the_directory() {
    both_ways(|| {
        let at = tree();
        let (top, _) = bound(&at, ".");
        for inside in ["near", "absolute", "absolute-and-in"] {
            let name = name(inside);
            assert!(top.referent(&name).unwrap().unwrap().is_dir(), "{inside}");
            let opened = top.open_referent_dir(&name).unwrap();
            assert_eq!(opened.entry(&super::name("file")).unwrap().unwrap().name.as_bytes(), b"file");
            assert!(opened.bound().is_some());
        }
        let (b, _) = bound(&at, "a/b");
        assert_eq!(b.open_referent_file(&name("back")).unwrap().len(), 6);
        assert_eq!(top.referent(&name("nothing")).unwrap(), None);
        for outside in ["out", "out-and-in", "absolute-out", "absolute-gone", "root"] {
            assert!(top.referent(&name(outside)).unwrap_err().is_refusal(), "{outside}");
            assert!(top.open_referent_dir(&name(outside)).unwrap_err().is_refusal(), "{outside}");
            assert!(top.open_referent_file(&name(outside)).unwrap_err().is_refusal(), "{outside}");
            assert!(top.referent_atime(&name(outside)).unwrap_err().is_refusal(), "{outside}");
        }
    });
}

#[test]
fn nothing_is_above_the_directory() {
    let at = tree();
    let (b, _) = bound(&at, "a/b");
    let a = b.above().unwrap();
    assert!(a.above().unwrap().above().is_none());
    assert!(dir(&at.path().join("top")).above().is_some());
}

#[test]
fn partial_files_wait_in_the_directory_and_behind_no_link() {
    both_ways(|| {
        let at = tree();
        let (_, beneath) = bound(&at, ".");
        let links = Links::Beneath(beneath);
        let top = dir(&at.path().join("top"));
        let a = Root::open_from(&top, "a".as_ref(), links).unwrap().writable().unwrap();
        for inside in ["parts", "../parts", "b/../parts"] {
            assert!(a.make_aside(inside.as_bytes(), links).is_ok(), "{inside}");
            a.remove_aside(inside.as_bytes(), links);
        }
        for outside in ["../../beside", "../../parts", "../../beside/parts", "out/parts", "out", "../near"] {
            assert!(a.make_aside(outside.as_bytes(), links).is_err(), "{outside}");
            assert!(!matches!(a.aside(outside.as_bytes(), links), Ok(Some(_))), "{outside}");
            a.remove_aside(outside.as_bytes(), links);
        }
        assert_eq!(names(&at.path().join("beside")), ["a", "in"]);
    });
}
