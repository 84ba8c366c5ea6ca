//! Extended attributes and ACLs of the trees that tests make.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

use crate::support::tools;

/// Names with values.
pub(crate) type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

pub(crate) const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
pub(crate) const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// An ACL as the system has it (acl(5); linux/posix_acl_xattr.h): `mode` says what the owner, the mask and others may,
/// `group` what the group may; then named users and groups with what they may, sorted.
pub(crate) fn acl(mode: u32, group: u16, users: &[(u32, u16)], groups: &[(u32, u16)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    let mut put = |tag: u16, perms: u16, id: u32| {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&perms.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    };
    let of_mode = |shift: u32| (mode >> shift & 7) as u16;
    put(1, of_mode(6), u32::MAX);
    users.iter().for_each(|(id, perms)| put(2, *perms, *id));
    put(4, group, u32::MAX);
    groups.iter().for_each(|(id, perms)| put(8, *perms, *id));
    put(16, of_mode(3), u32::MAX);
    put(32, of_mode(0), u32::MAX);
    bytes
}

/// All attributes of what is at a path, of a link itself; none where there are none to be had.
pub(crate) fn read(at: &Path) -> Xattrs {
    let mut list = vec![0; 64 << 10];
    let len = rustix::fs::llistxattr(at, &mut list[..]).unwrap_or(0);
    let names = list[..len].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.filter_map(|name| Some((name.to_vec(), get(at, name)?))).collect()
}

/// The value of one.
pub(crate) fn get(at: &Path, name: &[u8]) -> Option<Vec<u8>> {
    let mut value = vec![0; 64 << 10];
    let len = rustix::fs::lgetxattr(at, name, &mut value[..]).ok()?;
    value.truncate(len);
    Some(value)
}

/// Sets one.
#[track_caller]
pub(crate) fn set(at: &Path, name: &[u8], value: &[u8]) {
    let done = rustix::fs::lsetxattr(at, name, value, rustix::fs::XattrFlags::empty());
    done.unwrap_or_else(|error| panic!("{} of {}: {error}", name.escape_ascii(), at.display()));
}

/// Removes one.
#[track_caller]
pub(crate) fn remove(at: &Path, name: &[u8]) {
    rustix::fs::lremovexattr(at, name).unwrap_or_else(|error| panic!("{}: {error}", at.display()));
}

/// Whether the file systems on which tests make their trees have attributes and ACLs.
pub(crate) fn are_here() -> bool {
    static ARE: OnceLock<bool> = OnceLock::new();
    let here = *ARE.get_or_init(|| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let try_set = |name: &[u8], value: &[u8]| {
            rustix::fs::lsetxattr(file.path(), name, value, rustix::fs::XattrFlags::empty()).is_ok()
        };
        try_set(b"user.dsync", b"x") && try_set(ACCESS_ACL, &acl(0o644, 4, &[(1, 4)], &[]))
    });
    if !here {
        tools::missing("a file system with extended attributes and ACLs for temporary files");
    }
    here
}
