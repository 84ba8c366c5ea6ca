//! What dsync takes from its environment. Read here, once, and nowhere else.

use crate::cli::askpass::Askpass;
use crate::transport::ssh;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use uzers::os::unix::UserExt;

/// The variables and facts about the user that a run needs.
#[derive(Debug, Clone)]
pub(super) struct Environment {
    /// The remote shell: `DSYNC_RSH`, else `RSYNC_RSH`.
    pub shell: Option<OsString>,
    /// Where parts of files are kept: `RSYNC_PARTIAL_DIR`.
    pub partial_dir: Option<OsString>,
    /// What CVS leaves out besides, parted by white space: `CVSIGNORE`.
    pub cvs_ignore: Option<OsString>,
    /// Whether blanks part paths on another host (`RSYNC_OLD_ARGS`), where nothing else is said.
    pub old_args: bool,
    /// Whether standard error is a terminal, where a progress bar makes sense.
    pub stderr_is_terminal: bool,
    /// The program that asks where there is no terminal.
    pub askpass: Option<Askpass>,
    /// Where files of the user's for this program are: `HOME`, else the account's home directory.
    pub home: PathBuf,
    /// What the SSH client needs to know about the user.
    pub ssh: ssh::Environment,
    /// The file of this program.
    pub executable: Option<PathBuf>,
}

impl Environment {
    /// Reads it.
    pub(super) fn read() -> Environment {
        let account = uzers::get_user_by_uid(uzers::get_effective_uid());
        let account_home = account.as_ref().map(|account| account.home_dir().to_path_buf());
        let account_name = account.as_ref().map(|account| account.name().to_os_string());
        let home = variable("HOME").map(PathBuf::from);
        let home_of = |first: Option<&PathBuf>, second: Option<&PathBuf>| {
            first.or(second).cloned().unwrap_or_else(|| PathBuf::from("/"))
        };
        let user = account_name.or_else(|| variable("USER")).or_else(|| variable("LOGNAME"));
        Environment {
            shell: variable("DSYNC_RSH").or_else(|| variable("RSYNC_RSH")),
            partial_dir: variable("RSYNC_PARTIAL_DIR"),
            cvs_ignore: variable("CVSIGNORE"),
            old_args: is_on("RSYNC_OLD_ARGS") && !is_on("RSYNC_PROTECT_ARGS"),
            stderr_is_terminal: io::stderr().is_terminal(),
            askpass: Askpass::of(
                variable("SSH_ASKPASS"),
                variable("SSH_ASKPASS_REQUIRE"),
                variable("DISPLAY").or_else(|| variable("WAYLAND_DISPLAY")).is_some(),
            ),
            home: home_of(home.as_ref(), account_home.as_ref()),
            ssh: ssh::Environment {
                // As the `ssh` program has it, which reads the configuration: under `sudo -E`, and in some containers,
                // HOME is another's, and following both would take half of each.
                home: home_of(account_home.as_ref(), home.as_ref()),
                user: user.as_deref().map(OsStr::to_string_lossy).unwrap_or_default().into_owned(),
                agent_socket: variable("SSH_AUTH_SOCK").map(PathBuf::from),
                shell: variable("SHELL").unwrap_or_else(|| "/bin/sh".into()).into(),
                ssh_program: OsStr::from_bytes(b"ssh").to_owned(),
            },
            executable: executable(),
        }
    }
}

/// Where processes of this user may meet at a socket: the user's own folder for such, else that of temporary files.
pub(super) fn meeting_folders() -> Vec<PathBuf> {
    let own = variable("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    own.into_iter().chain([std::env::temp_dir()]).collect()
}

/// The file of this program, if that can be told. On Linux by a name that leads there even if the file was replaced or
/// removed since this process was started.
pub(super) fn executable() -> Option<PathBuf> {
    const SELF: &str = "/proc/self/exe";
    match cfg!(target_os = "linux") && Path::new(SELF).exists() {
        true => Some(PathBuf::from(SELF)),
        false => std::env::current_exe().ok(),
    }
}

/// `DSYNC_CRASH_AT`: at which point a program that was built for such tests ends as if it were killed.
#[cfg(feature = "crash-points")]
pub(super) fn crash_at() -> Option<u64> {
    variable("DSYNC_CRASH_AT")?.to_str()?.parse().ok()
}

/// Whether a variable is set to anything but 0.
fn is_on(name: &str) -> bool {
    variable(name).is_some_and(|value| value != "0")
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
