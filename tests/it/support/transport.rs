//! The ways between two directories: on one machine, or with one of them behind a remote shell.

use crate::support::command::{self, Invocation, dsync};
use crate::support::login::{HOST, Login};
use crate::support::{russh_server, sshd};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// How the two ends of a run are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// Both paths are local.
    Local,
    /// `-e` with a script that drops the host and runs the command here.
    Rsh,
    /// The built-in SSH client against OpenSSH's server.
    OpenSsh,
    /// The built-in SSH client against the server inside the test process.
    Embedded,
}

/// Which end is behind the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// The destination.
    Push,
    /// The sources.
    Pull,
}

/// A transport and a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) transport: Transport,
    pub(crate) direction: Direction,
}

impl Way {
    /// Between two local paths.
    pub(crate) const LOCAL: Way = Way { transport: Transport::Local, direction: Direction::Push };

    /// Every way that there is on this machine.
    pub(crate) fn all() -> Vec<Way> {
        [vec![Way::LOCAL], Way::remote()].concat()
    }

    /// Local, and both directions with a peer behind the simplest transport: for what does not depend on transports
    /// and takes long.
    pub(crate) fn plain() -> Vec<Way> {
        let remote =
            [Direction::Push, Direction::Pull].map(|direction| Way { transport: Transport::Rsh, direction });
        [&[Way::LOCAL][..], &remote].concat()
    }

    /// Every way with a peer.
    pub(crate) fn remote() -> Vec<Way> {
        [Transport::Rsh, Transport::OpenSsh, Transport::Embedded]
            .into_iter()
            .filter(|transport| *transport != Transport::OpenSsh || sshd::login().is_some())
            .flat_map(|transport| {
                [Direction::Push, Direction::Pull].map(|direction| Way { transport, direction })
            })
            .collect()
    }

    /// The program under test copying `sources` to `destination` this way. Paths are given as on a command line, so
    /// a trailing slash counts.
    pub(crate) fn copy<O, S>(self, options: &[O], sources: &[S], destination: impl AsRef<OsStr>) -> Invocation
    where
        O: AsRef<OsStr>,
        S: AsRef<OsStr>,
    {
        let mut arguments: Vec<OsString> = options.iter().map(|option| option.as_ref().to_owned()).collect();
        arguments.extend(self.transport.options());
        for source in sources {
            arguments.push(self.operand(Direction::Pull, source.as_ref()));
        }
        arguments.push(self.operand(Direction::Push, destination.as_ref()));
        dsync(arguments)
    }

    fn operand(self, end: Direction, path: &OsStr) -> OsString {
        if self.transport == Transport::Local || self.direction != end {
            path.to_owned()
        } else {
            remote(path)
        }
    }
}

impl Transport {
    /// The options that choose this transport.
    pub(crate) fn options(self) -> Vec<OsString> {
        match self {
            Transport::Local => Vec::new(),
            Transport::Rsh => shell_options(rsh()),
            Transport::OpenSsh => login_options(&sshd::login().expect("checked by Way::remote").config),
            Transport::Embedded => login_options(&russh_server::login().config),
        }
    }

    /// The server behind it, if it has one.
    pub(crate) fn login(self) -> Option<&'static Login> {
        match self {
            Transport::Local | Transport::Rsh => None,
            Transport::OpenSsh => sshd::login(),
            Transport::Embedded => Some(russh_server::login()),
        }
    }
}

/// `path` on the host of the tests.
pub(crate) fn remote(path: impl AsRef<OsStr>) -> OsString {
    OsString::from_vec([HOST.as_bytes(), b":", path.as_ref().as_bytes()].concat())
}

/// The options for the built-in client with the configuration `config`; rsync takes OpenSSH's client instead.
pub(crate) fn login_options(config: &Path) -> Vec<OsString> {
    let config = config.as_os_str();
    let mut options: Vec<OsString> = if command::is_rsync() {
        let shell = [b"ssh -o BatchMode=yes -F ".as_slice(), config.as_bytes()].concat();
        vec!["-e".into(), OsString::from_vec(shell)]
    } else {
        vec!["--ssh-config".into(), config.into()]
    };
    options.push(remote_program(command::binary()));
    options
}

/// The options for the remote shell that [`rsh_script`] wrote.
pub(crate) fn shell_options(script: &Path) -> Vec<OsString> {
    shell_options_for(script, command::binary())
}

/// The same for another program at the other end.
pub(crate) fn shell_options_for(script: &Path, program: &Path) -> Vec<OsString> {
    let shell = [b"/bin/sh ".as_slice(), script.as_os_str().as_bytes()].concat();
    vec!["-e".into(), OsString::from_vec(shell), remote_program(program)]
}

fn remote_program(program: &Path) -> OsString {
    OsString::from_vec([b"--rsync-path=".as_slice(), program.as_os_str().as_bytes()].concat())
}

/// A remote shell that stays here: it drops the host and gives the words to the shell, joined by blanks, as sshd does.
fn rsh() -> &'static Path {
    static SCRIPT: OnceLock<PathBuf> = OnceLock::new();
    SCRIPT.get_or_init(|| rsh_script(&crate::support::lifetime::directory(), "exec /bin/sh -c \"$*\"\n"))
}

/// Writes a remote shell into `directory` that runs `body` with the remote command's words as its arguments. It is not
/// made executable but read by `/bin/sh`: a program just written may still be open in a child that another test is
/// starting, and then cannot be executed.
pub(crate) fn rsh_script(directory: &Path, body: &str) -> PathBuf {
    let script = directory.join("rsh");
    fs::write(&script, format!("[ \"$1\" = -l ] && shift 2\nshift\n{body}")).unwrap();
    script
}
