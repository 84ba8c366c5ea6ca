//! What the machine and the program under test let the tests do.

use crate::support::command;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::OnceLock;

#[path = "../../../src/testing.rs"]
mod testing;

pub(crate) use testing::{find, is_root, missing};

/// Says that the running test asks for what rsync, the program under test, does not do.
pub(crate) fn not_for_rsync(reason: &str) {
    assert!(command::is_rsync(), "dsync must do it: {reason}");
    println!("skipped: {reason}");
}

/// Whether device nodes can be made here; containers often forbid it even to root.
pub(crate) fn can_make_devices() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let null = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(
            rustix::fs::CWD,
            dir.path().join("null"),
            rustix::fs::FileType::CharacterDevice,
            mode,
            null,
        )
        .is_ok()
    })
}

/// Whether any user may reach `path`: every directory on the way lets strangers through.
pub(crate) fn is_reachable_by_all(path: &Path) -> bool {
    path.ancestors()
        .skip(1)
        .all(|dir| dir.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0))
}
