//! Listing, opening, reading.

use super::*;
use crate::tree::{Kind, Node};
use filetime::FileTime;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

#[test]
fn a_listing_holds_every_entry_in_order_with_its_attributes() {
    both_ways(|| {
        let at = temporary();
        let longest = vec![0xff; 255];
        fs::write(at.path().join("b"), b"12345").unwrap();
        fs::set_permissions(at.path().join("b"), fs::Permissions::from_mode(0o4751)).unwrap();
        filetime::set_file_mtime(at.path().join("b"), FileTime::from_unix_time(-5, 7)).unwrap();
        fs::write(at.path().join(OsStr::from_bytes(&longest)), b"").unwrap();
        fs::create_dir(at.path().join("a")).unwrap();
        symlink("\u{1b}nowhere", at.path().join("c")).unwrap();
        let dir = dir(at.path());
        // A second time too: the position of one reading is not that of the next.
        for _ in 0..2 {
            let listing = dir.list().unwrap();
            assert!(listing.is_whole());
            let listed: Vec<&[u8]> = listing.entries.iter().map(|e| e.name.as_bytes()).collect();
            assert_eq!(listed, [b"a", b"b", b"c", &longest[..]]);
            assert_eq!(listing.entries[0].node, Node::Directory);
            assert_eq!(listing.entries[1].node, Node::File { size: 5 });
            assert_eq!(listing.entries[1].meta.mode, 0o4751);
            assert_eq!(listing.entries[1].meta.mtime, FileTime::from_unix_time(-5, 7));
            assert_eq!(listing.entries[1].meta.uid, crate::fs::effective_user());
            assert_eq!(listing.entries[2].node, Node::Symlink { target: b"\x1bnowhere"[..].into() });
            for entry in &listing.entries {
                assert_eq!(dir.entry(&entry.name).unwrap().as_ref(), Some(entry));
            }
        }
        assert_eq!(dir.entry(&name("absent")).unwrap(), None);
    });
}

#[test]
fn directories_are_told_from_all_else() {
    both_ways(|| {
        let at = temporary();
        for directory in ["b", "a", ".c"] {
            fs::create_dir(at.path().join(directory)).unwrap();
        }
        fs::write(at.path().join("file"), b"").unwrap();
        symlink("a", at.path().join("link")).unwrap();
        let expected = [".c", "a", "b"].map(name);
        assert_eq!(dir(at.path()).directories().unwrap(), expected);
    });
}

#[test]
fn special_files_are_listed_as_what_they_are() {
    let at = temporary();
    let root = writable(at.path());
    let mut nodes = vec![("fifo", Node::Fifo), ("socket", Node::Socket)];
    if is_root() {
        nodes.push(("zchar", Node::CharDevice(crate::tree::Rdev { major: 1, minor: 3 })));
        nodes.push(("zzblock", Node::BlockDevice(crate::tree::Rdev { major: 7, minor: 300_000 })));
    }
    for (entry, node) in &nodes {
        root.make_node(&name(entry), node, &Default::default(), false).unwrap();
    }
    let listed: Vec<Node> = root.list().unwrap().entries.into_iter().map(|e| e.node).collect();
    assert_eq!(listed, nodes.into_iter().map(|(_, node)| node).collect::<Vec<_>>());
}

#[test]
fn many_entries_and_long_link_targets_are_listed() {
    both_ways(|| {
        let at = temporary();
        for number in 0..3000 {
            fs::write(at.path().join(format!("{number:0200}")), b"").unwrap();
        }
        let target = "t".repeat(4000);
        symlink(&target, at.path().join("link")).unwrap();
        let listing = dir(at.path()).list().unwrap();
        assert_eq!(listing.entries.len(), 3001);
        assert_eq!(listing.entries[3000].node, Node::Symlink { target: target.into_bytes().into() });
    });
}

#[test]
fn a_removed_directory_is_no_empty_one() {
    both_ways(|| {
        let at = temporary();
        fs::create_dir(at.path().join("gone")).unwrap();
        let gone = dir(&at.path().join("gone"));
        fs::remove_dir(at.path().join("gone")).unwrap();
        let whole = gone.list().is_ok_and(|listing| listing.is_whole());
        assert!(!whole);
    });
}

#[test]
fn no_link_is_taken_for_a_directory_or_a_file() {
    both_ways(|| {
        let at = temporary();
        fs::create_dir_all(at.path().join("real/below")).unwrap();
        fs::write(at.path().join("file"), b"x").unwrap();
        symlink("real", at.path().join("link")).unwrap();
        symlink("file", at.path().join("filelink")).unwrap();
        symlink("../real", at.path().join("real/below/up")).unwrap();
        let root = dir(at.path());
        assert_eq!(root.open_dir(&name("link")).unwrap_err().kind(), ErrorKind::NotADirectory);
        for way in ["link", "link/below", "real/below/up", "real/below/up/x", "file", "file/x"] {
            let error = root.open_beneath(&path(way)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotADirectory, "{way}");
        }
        assert!(root.open_beneath(&path("real/absent/x")).unwrap_err().is_not_found());
        assert!(root.open_file(&name("filelink")).is_err());
        assert_eq!(root.open_file(&name("real")).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert!(root.open_file(&name("absent")).unwrap_err().is_not_found());
    });
}

#[test]
fn opening_a_fifo_does_not_wait() {
    let at = temporary();
    let root = writable(at.path());
    root.make_node(&name("fifo"), &Node::Fifo, &Default::default(), false).unwrap();
    assert!(root.open_file(&name("fifo")).is_err());
    assert!(root.open_in_place(&name("fifo")).is_err());
    assert!(
        root.set_meta(&name("fifo"), Kind::File, &crate::fs::SetMeta { mode: Some(0), ..Default::default() })
            .is_err()
    );
}

#[test]
fn directories_are_reached_beyond_what_one_path_may_hold() {
    both_ways(|| {
        let at = temporary();
        let part = name([b'\xfe'; 255]);
        let mut deep = RelPath::root();
        let mut last = writable(at.path());
        for _ in 0..70 {
            last.make_dir(&part, 0o700).unwrap();
            last = last.open_dir_writable(&part).unwrap();
            deep = deep.join(&part);
        }
        assert!(deep.as_bytes().len() > 4 * 4096);
        let root = writable(at.path());
        assert_eq!(root.open_beneath(&deep).unwrap().identity().unwrap(), last.identity().unwrap());
        assert_eq!(
            root.open_beneath(&RelPath::root()).unwrap().identity().unwrap(),
            root.identity().unwrap()
        );
        let reached = root.open_beneath_writable(&deep).unwrap();
        reached.make_dir(&name("end"), 0o700).unwrap();
        assert_eq!(last.list().unwrap().entries.len(), 1);
        // What is this deep cannot be removed by its path.
        for depth in (0..70).rev() {
            let parent =
                root.open_beneath_writable(&path(vec![&[b'\xfe'; 255][..]; depth].join(&b'/'))).unwrap();
            if depth == 69 {
                parent.open_dir_writable(&part).unwrap().remove(&name("end"), Kind::Directory).unwrap();
            }
            parent.remove(&part, Kind::Directory).unwrap();
        }
    });
}

#[test]
fn files_are_read_at_any_offset() {
    let at = temporary();
    fs::write(at.path().join("file"), b"0123456789").unwrap();
    let file = dir(at.path()).open_file(&name("file")).unwrap();
    file.advise_sequential();
    assert_eq!((file.len(), file.is_empty()), (10, false));
    let mut buffer = [0; 4];
    assert_eq!((file.read_full_at(&mut buffer, 3).unwrap(), &buffer), (4, b"3456"));
    assert_eq!((file.read_full_at(&mut buffer, 8).unwrap(), &buffer[..2]), (2, &b"89"[..]));
    assert_eq!(file.read_full_at(&mut buffer, 10).unwrap(), 0);
    assert_eq!(file.read_at(&mut buffer, 1 << 40).unwrap(), 0);
    assert!(file.read_at(&mut buffer, u64::MAX).is_err());
}

#[test]
fn a_change_after_opening_is_seen() {
    let at = temporary();
    fs::write(at.path().join("file"), b"old").unwrap();
    let file = dir(at.path()).open_file(&name("file")).unwrap();
    assert!(!file.changed().unwrap());
    fs::write(at.path().join("file"), b"longer").unwrap();
    assert!(file.changed().unwrap());
    assert_eq!((file.len(), file.mtime()), (3, file.meta().mtime));
    assert_ne!(dir(at.path()).open_file(&name("file")).unwrap().stamp(), file.stamp());
}

#[test]
fn a_whole_file_is_appended_unless_it_has_grown() {
    let at = temporary();
    let path = at.path().join("a");
    for len in [0, 1, 5000] {
        let content = vec![7; len];
        fs::write(&path, &content).unwrap();
        let open = dir(at.path()).open_file(&name("a")).unwrap();
        let mut data = b"before".to_vec();
        assert!(open.append_to(&mut data).unwrap());
        assert_eq!(data, [&b"before"[..], &content].concat());
        fs::write(&path, vec![8; len + 1]).unwrap();
        assert!(!open.append_to(&mut data).unwrap());
        assert_eq!(data.len(), 6 + len, "nothing is left of what was read");
    }
    let open = dir(at.path()).open_file(&name("a")).unwrap();
    fs::write(&path, b"shorter").unwrap();
    let mut data = Vec::new();
    assert!(open.append_to(&mut data).unwrap());
    assert_eq!(data, b"shorter");
}
