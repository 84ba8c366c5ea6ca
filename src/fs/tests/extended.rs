//! Extended attributes and ACLs, read and set by handles.

use super::*;
use crate::fs::{Look, SetAcls, SetExtended, SetMeta, XattrNames};
use crate::tree::{Acl, Acls, DefaultAcl, Kind, Node, Xattr, Xattrs};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

const USERS: XattrNames = XattrNames { all_namespaces: false, rsyncs_own: false, rules: None };
pub(super) const ALL: XattrNames = XattrNames { all_namespaces: true, rsyncs_own: true, rules: None };
pub(super) const LOOK: Look = Look { acls: true, xattrs: Some(ALL), atimes: false };

pub(super) fn xattrs(all: &[(&str, &str)]) -> Xattrs {
    let one =
        |(name, value): &(&str, &str)| Xattr { name: name.as_bytes().into(), value: value.as_bytes().into() };
    Xattrs::new(all.iter().map(one).collect())
}

/// Whether the file system of temporary files has what is tested here.
pub(super) fn are_here() -> bool {
    let at = temporary();
    fs::write(at.path().join("file"), "").unwrap();
    let wanted = xattrs(&[("user.a", "b")]);
    let set = SetExtended { xattrs: Some((&wanted, &USERS)), acls: None };
    let are = writable(at.path()).set_extended(&name("file"), Kind::File, &set).is_ok();
    if !are {
        missing("a file system with extended attributes for temporary files");
    }
    are
}

fn acls() -> Acls {
    let rest = Acl { group: 4, users: [(1, 7), (70_000, 0)].into(), groups: [(2, 5)].into() };
    Acls { access: Some(rest.clone()), default: Some(DefaultAcl { user: 7, mask: Some(5), other: 0, rest }) }
}

#[test]
fn what_is_set_is_what_is_seen_and_nothing_else_stays() {
    if !are_here() {
        return;
    }
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), "x").unwrap();
    fs::create_dir(at.path().join("dir")).unwrap();
    for (entry, kind) in [("file", Kind::File), ("dir", Kind::Directory)] {
        assert_eq!(root.extra(&name(entry), kind, &LOOK).unwrap(), None);
        let mut sums = Vec::new();
        for wanted in [xattrs(&[("user.a", "1"), ("user.b", "")]), xattrs(&[("user.a", "2")]), Xattrs::NONE] {
            let set = SetExtended { xattrs: Some((&wanted, &USERS)), acls: None };
            root.set_extended(&name(entry), kind, &set).unwrap();
            assert_eq!(root.xattrs(&name(entry), kind, &USERS).unwrap(), wanted);
            let extra = root.extra(&name(entry), kind, &LOOK).unwrap();
            sums.push(extra.map(|extra| extra.xattrs));
        }
        assert!(sums[0] != sums[1] && sums[2].is_none(), "{sums:?}");
        let all = acls();
        for wanted in [Some(&all), None] {
            let set = SetExtended { acls: Some(SetAcls { acls: wanted, mode: 0o750 }), xattrs: None };
            root.set_extended(&name(entry), kind, &set).unwrap();
            let seen = root.extra(&name(entry), kind, &LOOK).unwrap().and_then(|extra| extra.acls);
            let default = wanted.and_then(|all| all.default.clone()).filter(|_| kind == Kind::Directory);
            let expected = wanted.map(|all| Acls { access: all.access.clone(), default });
            assert_eq!(seen.as_deref(), expected.as_ref(), "{entry}");
            if kind == Kind::Directory && wanted.is_some() {
                assert_eq!(
                    root.open_dir(&name(entry)).unwrap().default_acl().unwrap().unwrap().mode(),
                    0o750
                );
            }
        }
    }
    let mode = fs::metadata(at.path().join("dir")).unwrap().mode() & 0o777;
    assert_eq!(mode & 0o700, 0o700);
}

/// The attributes of a link are its own, and no others are touched through it.
#[test]
fn links_are_not_followed() {
    if !are_here() || !root_or_skip("attributes of links") {
        return;
    }
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), "x").unwrap();
    symlink("file", at.path().join("link")).unwrap();
    root.make_node(&name("fifo"), &Node::Fifo, &SetMeta::default(), false).unwrap();
    let wanted = xattrs(&[("trusted.of-it", "1")]);
    for (entry, kind) in [("link", Kind::Symlink), ("fifo", Kind::Fifo)] {
        let set = SetExtended { xattrs: Some((&wanted, &ALL)), acls: None };
        root.set_extended(&name(entry), kind, &set).unwrap();
        assert_eq!(root.xattrs(&name(entry), kind, &ALL).unwrap(), wanted, "{entry}");
        // Who may set no others sees none.
        assert_eq!(root.xattrs(&name(entry), kind, &USERS).unwrap(), Xattrs::NONE);
    }
    assert_eq!(root.xattrs(&name("file"), Kind::File, &ALL).unwrap(), Xattrs::NONE);
    let set = SetExtended { xattrs: Some((&wanted, &ALL)), acls: None };
    let error = root.set_extended(&name("link"), Kind::File, &set).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = root.set_extended(&name("fifo"), Kind::Socket, &set).unwrap_err();
    assert!(error.to_string().contains("another kind"), "{error}");
}

#[test]
fn names_that_do_not_take_part_are_left() {
    if !are_here() {
        return;
    }
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), "x").unwrap();
    let (own, others) = (xattrs(&[("user.rsync.%stat", "1")]), xattrs(&[("user.a", "1")]));
    let set = |wanted: &Xattrs, names: &XattrNames| {
        let set = SetExtended { xattrs: Some((wanted, names)), acls: None };
        root.set_extended(&name("file"), Kind::File, &set).unwrap();
    };
    set(&own, &ALL);
    set(&others, &USERS);
    assert_eq!(root.xattrs(&name("file"), Kind::File, &USERS).unwrap(), others);
    let both = xattrs(&[("user.a", "1"), ("user.rsync.%stat", "1")]);
    assert_eq!(root.xattrs(&name("file"), Kind::File, &ALL).unwrap(), both);
}

/// Whoever owns a file that it may not write to gives it attributes all the same, and leaves it closed.
#[test]
fn closed_files_of_ones_own_get_theirs() {
    if !are_here() {
        return;
    }
    let at = temporary();
    let root = writable(at.path());
    fs::write(at.path().join("file"), "x").unwrap();
    fs::set_permissions(at.path().join("file"), fs::Permissions::from_mode(0o444)).unwrap();
    let wanted = xattrs(&[("user.a", "1")]);
    let set = SetExtended { xattrs: Some((&wanted, &USERS)), acls: None };
    root.set_extended(&name("file"), Kind::File, &set).unwrap();
    assert_eq!(root.xattrs(&name("file"), Kind::File, &USERS).unwrap(), wanted);
    assert_eq!(fs::metadata(at.path().join("file")).unwrap().mode() & 0o777, 0o444);
}
