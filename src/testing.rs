//! What some tests need and not every machine has: programs, and rights.
//!
//! A test that lacks something says so and returns. Where nothing is meant to be lacking, `DSYNC_TEST_REQUIRE_TOOLS`
//! turns that into a failure, so that a test cannot be lost silently. The unit tests and the integration tests both
//! compile this file.

use std::env;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Says that the running test does nothing for want of `what`, or fails where that is required.
#[track_caller]
pub(crate) fn missing(what: &str) {
    assert!(env::var_os("DSYNC_TEST_REQUIRE_TOOLS").is_none(), "required and missing: {what}");
    println!("skipped for want of {what}");
}

/// The program `name`; `None` after having said that it is [`missing`].
#[track_caller]
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // sshd is rarely on a user's PATH.
    let usual = ["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from);
    let found =
        env::split_paths(&path).chain(usual).map(|dir| dir.join(name)).find(|file| is_executable(file));
    if found.is_none() {
        missing(name);
    }
    found
}

/// Whether the tests may make devices, give files away and mount.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
