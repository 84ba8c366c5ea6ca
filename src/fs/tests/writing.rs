//! Making, changing and removing entries; copying content.

use super::*;
use crate::fs::SetMeta;
use crate::tree::{Gid, Kind, Node, Rdev, Uid};
use filetime::FileTime;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};

const ALL: SetMeta = SetMeta {
    atime: None,
    mode: Some(0o2640),
    owner: None,
    group: None,
    mtime: Some(FileTime::from_unix_time(1_000_000_000, 123_456_789)),
};

#[test]
fn attributes_of_every_kind_are_set_and_no_link_is_followed() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), b"").unwrap();
    fs::create_dir(at.path().join("dir")).unwrap();
    let untouched = fs::symlink_metadata(at.path().join("file")).unwrap();
    root.make_node(&name("link"), &Node::Symlink { target: b"file"[..].into() }, &ALL, false).unwrap();
    root.make_node(&name("fifo"), &Node::Fifo, &ALL, false).unwrap();
    root.make_node(&name("socket"), &Node::Socket, &ALL, false).unwrap();
    let after = fs::symlink_metadata(at.path().join("file")).unwrap();
    assert_eq!((after.mode(), after.mtime_nsec()), (untouched.mode(), untouched.mtime_nsec()));
    root.set_meta(&name("file"), Kind::File, &ALL).unwrap();
    root.set_meta(&name("dir"), Kind::Directory, &ALL).unwrap();
    for entry in root.list().unwrap().entries {
        assert_eq!(Some(entry.meta.mtime), ALL.mtime, "{}", entry.name);
        if entry.kind() != Kind::Symlink {
            assert_eq!(entry.meta.mode, 0o2640, "{}", entry.name);
        }
    }
    root.set_own_meta(&SetMeta { mode: Some(0o750), ..ALL }).unwrap();
    let own = root.own_meta().unwrap();
    assert_eq!((own.mode, Some(own.mtime)), (0o750, ALL.mtime));
}

#[test]
fn a_link_has_its_own_owner_and_time_with_and_without_handles() {
    both_ways(|| {
        let at = temporary();
        let root = writable(at.path());
        fs::write(at.path().join("file"), b"").unwrap();
        symlink("file", at.path().join("link")).unwrap();
        let owner = is_root().then_some(12345);
        let meta = SetMeta { owner: owner.map(Uid), group: owner.map(Gid), ..ALL };
        root.set_meta(&name("link"), Kind::Symlink, &meta).unwrap();
        let link = root.entry(&name("link")).unwrap().unwrap().meta;
        assert_eq!(Some(link.mtime), ALL.mtime);
        assert!(owner.is_none_or(|owner| (link.uid, link.gid) == (Uid(owner), Gid(owner))));
        let file = root.entry(&name("file")).unwrap().unwrap().meta;
        assert_ne!(Some(file.mtime), ALL.mtime);
        assert_eq!(file.uid, crate::fs::effective_user());
    });
}

#[test]
fn a_change_of_owner_does_not_cost_setuid() {
    if !root_or_skip("changing owners") {
        return;
    }
    let at = temporary();
    let root = writable(at.path());
    for kind in [Kind::File, Kind::Fifo] {
        match kind {
            Kind::File => fs::write(at.path().join("entry"), b"").unwrap(),
            _ => root.make_node(&name("entry"), &Node::Fifo, &SetMeta::default(), true).unwrap(),
        }
        let meta = SetMeta {
            mode: Some(0o6755),
            owner: Some(Uid(1234)),
            group: Some(Gid(5678)),
            mtime: None,
            atime: None,
        };
        root.set_meta(&name("entry"), kind, &meta).unwrap();
        let set = root.entry(&name("entry")).unwrap().unwrap().meta;
        assert_eq!((set.mode, set.uid, set.gid), (0o6755, Uid(1234), Gid(5678)));
    }
    for nobody in
        [SetMeta { owner: Some(Uid(u32::MAX)), ..ALL }, SetMeta { group: Some(Gid(u32::MAX)), ..ALL }]
    {
        assert_eq!(
            root.set_meta(&name("entry"), Kind::Fifo, &nobody).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
    }
}

#[test]
fn attributes_are_refused_where_the_kind_is_another() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), b"").unwrap();
    symlink("file", at.path().join("link")).unwrap();
    for (entry, kind) in
        [("file", Kind::Directory), ("file", Kind::Symlink), ("link", Kind::File), ("link", Kind::Fifo)]
    {
        assert!(root.set_meta(&name(entry), kind, &ALL).is_err(), "{entry} as {kind:?}");
    }
    assert_ne!(root.entry(&name("file")).unwrap().map(|e| e.meta.mtime), ALL.mtime);
}

#[test]
fn nonsense_nanoseconds_do_no_harm() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), b"").unwrap();
    for nanoseconds in [1_000_000_000, 0x3fff_ffff, 0x3fff_fffe, u32::MAX] {
        let mtime = Some(FileTime::from_unix_time(9, nanoseconds));
        root.set_meta(&name("file"), Kind::File, &SetMeta { mtime, ..SetMeta::default() }).unwrap();
        let set = root.entry(&name("file")).unwrap().unwrap().meta.mtime;
        assert_eq!(set, FileTime::from_unix_time(9, 999_999_999));
    }
}

#[test]
fn a_special_file_takes_the_place_of_any_but_a_directory() {
    let at = temporary();
    let root = writable(at.path());
    let link = |target: &str| Node::Symlink { target: target.as_bytes().into() };
    fs::write(at.path().join("outside"), b"kept").unwrap();
    symlink("outside", at.path().join("entry")).unwrap();
    for node in [link("a"), Node::Fifo, link("b"), Node::Socket] {
        root.make_node(&name("entry"), &node, &SetMeta::default(), true).unwrap();
        assert_eq!(root.entry(&name("entry")).unwrap().unwrap().node, node);
    }
    let taken = root.make_node(&name("entry"), &link("c"), &SetMeta::default(), false).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    root.make_dir(&name("dir"), 0o700).unwrap();
    root.make_node(&name("dir"), &link("d"), &SetMeta::default(), true).unwrap_err();
    root.make_node(&name("x"), &Node::File { size: 0 }, &SetMeta::default(), false).unwrap_err();
    // Metadata that cannot be set leaves neither the new entry nor its staged name.
    let impossible = SetMeta { owner: Some(Uid(u32::MAX)), ..SetMeta::default() };
    for replace in [true, false] {
        root.make_node(&name("y"), &Node::Fifo, &impossible, replace).unwrap_err();
    }
    assert_eq!(names(at.path()), ["dir", "entry", "outside"]);
    assert_eq!(fs::read(at.path().join("outside")).unwrap(), b"kept");
}

#[test]
fn devices_keep_their_numbers() {
    if !root_or_skip("making devices") {
        return;
    }
    let at = temporary();
    let root = writable(at.path());
    let node = Node::CharDevice(Rdev { major: 10, minor: 70_000 });
    root.make_node(&name("device"), &node, &SetMeta { mode: Some(0o640), ..ALL }, true).unwrap();
    let made = root.entry(&name("device")).unwrap().unwrap();
    assert_eq!((made.node, made.meta.mode), (node, 0o640));
}

#[test]
fn removal_takes_the_link_and_not_what_it_leads_to() {
    let at = temporary();
    let root = writable(at.path());
    fs::create_dir(at.path().join("full")).unwrap();
    fs::write(at.path().join("full/file"), b"").unwrap();
    symlink("full", at.path().join("link")).unwrap();
    assert_eq!(root.remove(&name("link"), Kind::Directory).unwrap_err().kind(), ErrorKind::NotADirectory);
    root.remove(&name("link"), Kind::Symlink).unwrap();
    assert_eq!(root.remove(&name("full"), Kind::Directory).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    assert!(root.remove(&name("full"), Kind::File).is_err());
    root.open_dir_writable(&name("full")).unwrap().remove(&name("file"), Kind::File).unwrap();
    root.remove(&name("full"), Kind::Directory).unwrap();
    assert!(root.remove(&name("full"), Kind::Directory).unwrap_err().is_not_found());
}

#[test]
fn a_file_is_changed_where_it_is() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), b"0123456789").unwrap();
    fs::hard_link(at.path().join("file"), at.path().join("twin")).unwrap();
    let file = root.open_in_place(&name("file")).unwrap();
    assert_eq!(file.len().unwrap(), 10);
    let mut buffer = [0; 3];
    assert_eq!((file.read_full_at(&mut buffer, 4).unwrap(), &buffer), (3, b"456"));
    file.write_at(b"XY", 1).unwrap();
    file.set_len(5).unwrap();
    file.set_meta(&ALL).unwrap();
    assert_eq!(fs::read(at.path().join("twin")).unwrap(), b"0XY34");
    assert_eq!(root.entry(&name("twin")).unwrap().unwrap().meta.mode, 0o2640);

    let file = root.open_in_place(&name("new")).unwrap();
    file.write_at(b"end", 1 << 20).unwrap();
    assert_eq!(file.len().unwrap(), (1 << 20) + 3);
    assert_eq!(fs::metadata(at.path().join("new")).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn in_place_follows_no_link() {
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("outside"), b"kept").unwrap();
    symlink("outside", at.path().join("link")).unwrap();
    symlink("absent", at.path().join("dangling")).unwrap();
    root.make_dir(&name("dir"), 0o700).unwrap();
    for entry in ["link", "dangling", "dir"] {
        assert!(root.open_in_place(&name(entry)).is_err(), "{entry}");
    }
    assert_eq!(names(at.path()), ["dangling", "dir", "link", "outside"]);
}

#[test]
fn ranges_are_copied_between_files_and_file_systems() {
    let content: Vec<u8> = (0..2_700_001_u32).map(|n| (n % 251) as u8).collect();
    let elsewhere = tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| temporary());
    both_ways(|| {
        let at = temporary();
        for source in [at.path(), elsewhere.path()] {
            fs::write(source.join("source"), &content).unwrap();
            let source = dir(source).open_file(&name("source")).unwrap();
            let end = content.len() as u64;
            for (offset, len, to, threads) in [
                (0, end, 0, 2),
                (1, 300_000, 4097, 2),
                (3, end - 4, 9, 2),
                (3, end - 4, 9, 1),
                (end - 5, 5, 0, 1),
                (0, 0, 9, 2),
            ] {
                let file = writable(at.path()).open_in_place(&name("copy")).unwrap();
                file.set_len(0).unwrap();
                assert_eq!(file.copy_from(&source, offset, len, to, threads).unwrap(), len);
                let copied = fs::read(at.path().join("copy")).unwrap();
                let expected = &content[offset as usize..(offset + len) as usize];
                assert_eq!(copied.get(to as usize..).unwrap_or_default(), expected);
            }
            // Beyond the end of the source there is nothing to copy.
            let file = writable(at.path()).open_in_place(&name("copy")).unwrap();
            assert_eq!(file.copy_from(&source, end - 3, u64::MAX, 0, 2).unwrap(), 3);
            assert_eq!(file.copy_from(&source, 1, u64::MAX, 0, 2).unwrap(), end - 1);
            assert_eq!(fs::read(at.path().join("copy")).unwrap(), &content[1..]);
            assert_eq!(file.copy_from(&source, end + 3, 10, 0, 2).unwrap(), 0);
        }
    });
}

#[test]
fn what_only_one_of_two_threads_cannot_copy_is_an_error() {
    let at = temporary();
    fs::write(at.path().join("source"), vec![1; 2 << 20]).unwrap();
    let source = dir(at.path()).open_file(&name("source")).unwrap();
    // Of the file systems that are copied to by two, this one has the longest files: the first pieces fit.
    let Ok(elsewhere) = tempfile::tempdir_in("/dev/shm") else {
        return crate::testing::missing("/dev/shm");
    };
    let file = writable(elsewhere.path()).open_in_place(&name("copy")).unwrap();
    for _ in 0..30 {
        let end = i64::MAX as u64 - (1 << 20);
        assert!(file.copy_from(&source, 0, u64::MAX, end, 2).is_err());
        file.set_len(0).unwrap();
    }
}

#[test]
fn files_that_hide_their_length_are_copied_whole() {
    let at = temporary();
    let source = dir(Path::new("/proc/self")).open_file(&name("status")).unwrap();
    assert_eq!(source.len(), 0);
    let file = writable(at.path()).open_in_place(&name("copy")).unwrap();
    assert!(file.copy_from(&source, 0, u64::MAX, 0, 2).unwrap() > 0);
}

#[test]
fn a_clone_is_the_whole_file_or_nothing() {
    both_ways(|| {
        let at = temporary();
        fs::write(at.path().join("source"), b"content").unwrap();
        let source = dir(at.path()).open_file(&name("source")).unwrap();
        let file = writable(at.path()).open_in_place(&name("clone")).unwrap();
        let cloned = file.share_blocks_of(&source).unwrap();
        let there = fs::read(at.path().join("clone")).unwrap();
        assert_eq!(there, if cloned { &b"content"[..] } else { b"" });
    });
}
