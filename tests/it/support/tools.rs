//! Programs and rights that some tests need and not every machine has.
//!
//! A test that lacks something says so and returns. Where all tools are meant to be there,
//! `DSYNC_TEST_REQUIRE_TOOLS` turns a missing tool into a failure, so that a test cannot be lost silently.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The program `name`; `None` after having said that the test is skipped.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let found = locate(name);
    if found.is_none() {
        assert!(env::var_os("DSYNC_TEST_REQUIRE_TOOLS").is_none(), "{name} is required and was not found");
        skipped(&format!("{name} not found"));
    }
    found
}

/// Says that the running test does nothing here, and why.
pub(crate) fn skipped(reason: &str) {
    println!("skipped: {reason}");
}

/// Whether the tests may make devices, give files away and mount.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
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

/// sshd is rarely on a user's `PATH`.
fn locate(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(usual).map(|dir| dir.join(name)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
