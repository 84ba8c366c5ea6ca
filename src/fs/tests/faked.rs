//! Attributes kept in extended attributes.

use super::extended::{ALL, LOOK, are_here, xattrs};
use super::*;
use crate::fs::{Keeping, SetAcls, SetExtended, SetMeta, fault_of_link};
use crate::tree::{Acl, Acls, Gid, Kind, Meta, Node, Rdev, Uid};
use filetime::FileTime;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};

const STAT: &[u8] = b"user.rsync.%stat";

fn faked(at: &Path) -> WriteDir {
    open(at).with_keeping(Keeping::Attributes).writable().unwrap()
}

fn attribute(at: &Path, name: &[u8]) -> Option<Vec<u8>> {
    let mut value = [0; 512];
    let len = rustix::fs::getxattr(at, name, &mut value[..]).ok()?;
    Some(value[..len].to_vec())
}

fn text(at: &Path) -> Option<String> {
    attribute(at, STAT).map(|value| String::from_utf8(value).unwrap())
}

fn set_text(at: &Path, value: &str) {
    rustix::fs::setxattr(at, STAT, value.as_bytes(), rustix::fs::XattrFlags::empty()).unwrap();
}

/// The permissions of the inode.
fn mode(at: &Path) -> u32 {
    fs::metadata(at).unwrap().permissions().mode() & 0o7777
}

#[test]
fn every_kind_is_a_file_that_says_what_it_is() {
    if !are_here() {
        return;
    }
    let at = temporary();
    let root = faked(at.path());
    let device = Rdev { major: 7, minor: 300 };
    let nodes = [
        ("link", Node::Symlink { target: b"to \xff nowhere"[..].into() }, "120777 0,0"),
        ("fifo", Node::Fifo, "10640 0,0"),
        ("socket", Node::Socket, "140640 0,0"),
        ("char", Node::CharDevice(device), "20640 7,300"),
        ("block", Node::BlockDevice(device), "60640 7,300"),
    ];
    let time = FileTime::from_unix_time(1_000_000_000, 5);
    for (entry, node, kind) in nodes {
        let of_mode = if node.kind() == Kind::Symlink { 0o777 } else { 0o640 };
        let set = SetMeta {
            owner: Some(Uid(12_345)),
            group: Some(Gid(6)),
            mode: Some(of_mode),
            mtime: Some(time),
            ..SetMeta::default()
        };
        for replace in [false, true] {
            root.make_node(&name(entry), &node, &set, replace).unwrap();
            let found = root.entry(&name(entry)).unwrap().unwrap();
            assert_eq!(found.node, node);
            assert_eq!(found.meta, Meta { mode: of_mode, mtime: time, uid: Uid(12_345), gid: Gid(6) });
            let inode = fs::symlink_metadata(at.path().join(entry)).unwrap();
            assert!(inode.is_file() && !inode.file_type().is_char_device());
            assert_eq!(text(&at.path().join(entry)).unwrap(), format!("{kind} 12345:6"));
        }
        assert!(root.open_file(&name(entry)).is_err(), "{entry} is no file");
        assert!(root.make_node(&name(entry), &node, &set, false).is_err(), "{entry} is there");
    }
    assert_eq!(fs::read(at.path().join("link")).unwrap(), b"to \xff nowhere");
    let listed = root.list().unwrap();
    assert!(listed.is_whole());
    let kinds: Vec<Kind> = listed.entries.iter().map(|entry| entry.kind()).collect();
    assert_eq!(kinds, [Kind::BlockDevice, Kind::CharDevice, Kind::Fifo, Kind::Symlink, Kind::Socket]);
    // Where attributes are in inodes, all of them are files.
    let plain = dir(at.path()).list().unwrap();
    assert!(plain.entries.iter().all(|entry| entry.kind() == Kind::File));
}

#[test]
fn the_inode_lets_its_owner_in_and_nobody_more() {
    if !are_here() {
        return;
    }
    let at = temporary();
    let root = faked(at.path());
    fs::write(at.path().join("file"), "x").unwrap();
    fs::create_dir(at.path().join("dir")).unwrap();
    let inode = fs::metadata(at.path().join("file")).unwrap();
    let (uid, gid) = (inode.uid(), inode.gid());
    for (entry, kind, bits) in [("file", Kind::File, 0o100_000), ("dir", Kind::Directory, 0o040_000)] {
        let (name, here) = (name(entry), at.path().join(entry));
        let rights = if kind == Kind::File { 0o600 } else { 0o700 };
        for wanted in [0o4755, 0o2750, 0o1777, 0, 0o444, 0o500] {
            root.set_meta(&name, kind, &SetMeta { mode: Some(wanted), ..SetMeta::default() }).unwrap();
            assert_eq!(root.entry(&name).unwrap().unwrap().meta.mode, wanted);
            assert_eq!(mode(&here), (wanted & 0o777) | rights, "{entry} {wanted:o}");
            assert_eq!(text(&here), Some(format!("{:o} 0,0 {uid}:{gid}", bits | wanted)));
        }
        // What the inode says by itself needs no attribute.
        root.set_meta(&name, kind, &SetMeta { mode: Some(0o755), ..SetMeta::default() }).unwrap();
        assert_eq!((text(&here), mode(&here)), (None, 0o755));
        let owned = SetMeta { owner: Some(Uid(70_000)), ..SetMeta::default() };
        root.set_meta(&name, kind, &owned).unwrap();
        assert_eq!(root.entry(&name).unwrap().unwrap().meta.uid, Uid(70_000));
        assert_eq!(fs::metadata(&here).unwrap().uid(), uid);
        let nobody = SetMeta { owner: Some(Uid(u32::MAX)), ..SetMeta::default() };
        assert!(root.set_meta(&name, kind, &nobody).is_err());
    }
}

#[test]
fn a_new_file_has_its_attributes_however_it_is_written() {
    if !are_here() {
        return;
    }
    both_ways(|| {
        let at = temporary();
        let root = faked(at.path());
        let set = SetMeta { owner: Some(Uid(5)), mode: Some(0o4444), ..SetMeta::default() };
        let stage = root.stage(&name("staged")).unwrap();
        stage.write_at(b"x", 0).unwrap();
        stage.install(&set).unwrap();
        let give = |file: &crate::fs::WriteFile| file.set_meta(&file.lacking(&set)?);
        assert!(root.write_new(&name("new"), b"x", 0o4444, give).unwrap());
        assert!(root.write_whole(&name("whole"), b"x", give).unwrap());
        let group = fs::metadata(at.path().join("new")).unwrap().gid();
        for entry in ["staged", "new", "whole"] {
            let here = at.path().join(entry);
            assert_eq!(text(&here).unwrap(), format!("104444 0,0 5:{group}"), "{entry}");
            assert_eq!(mode(&here), 0o644, "{entry}");
            assert_eq!(root.open_file(&name(entry)).unwrap().meta().mode, 0o4444);
        }
    });
}

#[test]
fn acls_and_attributes_are_kept_under_other_names() {
    if !are_here() {
        return;
    }
    let at = temporary();
    let root = faked(at.path());
    let here = at.path().join("file");
    fs::write(&here, "").unwrap();
    let acl = Acl { group: 4, users: [(11, 4)].into(), groups: [(13, 6)].into() };
    let acls = Acls { access: Some(acl), default: None };
    let wanted =
        xattrs(&[("trusted.t", "1"), ("user.a", "2"), ("security.s", "3"), ("user.rsync.%stat", "no")]);
    let set =
        SetExtended { acls: Some(SetAcls { acls: Some(&acls), mode: 0o664 }), xattrs: Some((&wanted, &ALL)) };
    root.set_meta(&name("file"), Kind::File, &SetMeta { mode: Some(0o664), ..SetMeta::default() }).unwrap();
    root.set_extended(&name("file"), Kind::File, &set).unwrap();
    assert_eq!(attribute(&here, b"user.rsync.trusted.t").unwrap(), b"1");
    assert_eq!(attribute(&here, b"user.rsync.security.s").unwrap(), b"3");
    assert_eq!(attribute(&here, STAT), None, "no peer writes what stands for attributes");
    assert!(attribute(&here, b"user.rsync.%aacl").is_some());
    assert_eq!(attribute(&here, b"system.posix_acl_access"), None);
    let seen = root.extra(&name("file"), Kind::File, &LOOK).unwrap().unwrap();
    assert_eq!(seen.acls.as_deref(), Some(&acls));
    let names = xattrs(&[("trusted.t", "1"), ("user.a", "2"), ("security.s", "3")]);
    assert_eq!(root.xattrs(&name("file"), Kind::File, &ALL).unwrap(), names);
    let none = SetExtended {
        acls: Some(SetAcls { acls: None, mode: 0o664 }),
        xattrs: Some((&crate::tree::Xattrs::NONE, &ALL)),
    };
    root.set_extended(&name("file"), Kind::File, &none).unwrap();
    assert_eq!(root.extra(&name("file"), Kind::File, &LOOK).unwrap(), None);
    // As rsync leaves it: one that says no more than the mode.
    assert_eq!(attribute(&here, b"user.rsync.%aacl").unwrap().len(), 16);
}

#[test]
fn what_cannot_be_is_an_error_of_that_entry_and_can_be_written_over() {
    if !are_here() {
        return;
    }
    let at = temporary();
    let root = faked(at.path());
    fs::write(at.path().join("fine"), "x").unwrap();
    for (entry, value) in [
        ("bad-1", "garbage"),
        ("bad-2", "40755 0,0 1:1"),
        ("bad-3", "100644 0,0 -1:-1"),
        ("bad-4", "120777 0,0 0:0"),
        ("bad-5", "120777 0,0 0:0"),
    ] {
        fs::write(at.path().join(entry), if entry == "bad-5" { "a\0b" } else { "" }).unwrap();
        set_text(&at.path().join(entry), value);
    }
    fs::create_dir(at.path().join("bad-6")).unwrap();
    set_text(&at.path().join("bad-6"), "100644 0,0 0:0");
    let listed = root.list().unwrap();
    // Links that hold no path are there, so that they can be replaced.
    let faulty = listed.entries.iter().filter(|entry| fault_of_link(entry).is_some());
    assert!(faulty.map(|entry| &entry.name).eq([&name("bad-4"), &name("bad-5")]), "{listed:?}");
    assert_eq!((listed.entries.len(), listed.failed.len()), (3, 4), "{listed:?}");
    assert!(root.open_file(&name("bad-1")).is_err());
    let set = SetMeta { mode: Some(0o600), ..SetMeta::default() };
    let file = root.open_in_place(&name("bad-1")).unwrap();
    file.set_meta(&set).unwrap();
    assert_eq!(root.entry(&name("bad-1")).unwrap().unwrap().kind(), Kind::File);
}

#[test]
fn a_link_that_only_stands_for_one_is_never_followed() {
    if !are_here() {
        return;
    }
    let at = temporary();
    let root = faked(at.path());
    fs::create_dir(at.path().join("dir")).unwrap();
    let node = Node::Symlink { target: b"dir"[..].into() };
    root.make_node(&name("link"), &node, &SetMeta::default(), false).unwrap();
    std::os::unix::fs::symlink("dir", at.path().join("real")).unwrap();
    std::os::unix::fs::symlink("link", at.path().join("to-link")).unwrap();
    assert_eq!(root.referent(&name("link")).unwrap().unwrap().node, node);
    assert_eq!(root.referent(&name("to-link")).unwrap().unwrap().kind(), Kind::Symlink);
    assert_eq!(root.referent(&name("real")).unwrap().unwrap().kind(), Kind::Directory);
    assert!(root.open_dir(&name("link")).is_err());
    assert!(root.open_inside(&path("link")).is_err() && root.open_inside(&path("real")).is_ok());
}
