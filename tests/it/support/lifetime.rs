//! Directories that live as long as the test process, and no longer.
//!
//! Servers are shared by all tests of a process, so they are statics, and statics are never dropped; the process may
//! also be killed. Their files are therefore removed from outside: a shell waits on a pipe whose other end this
//! process holds. However the process ends, the pipe closes.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

/// The shells, with our ends of their pipes. Nobody waits for them: they outlive this process.
static SHELLS: Mutex<Vec<Child>> = Mutex::new(Vec::new());

/// Makes an empty directory that is removed when this process ends.
pub(crate) fn directory() -> PathBuf {
    let path = tempfile::tempdir().expect("making a directory").keep();
    let shell = Command::new("/bin/sh")
        .args(["-c", r#"read -r line; rm -rf "$1""#, "sh"])
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("starting /bin/sh");
    SHELLS.lock().unwrap().push(shell);
    path
}
