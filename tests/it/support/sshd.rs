//! A real OpenSSH server on the loopback, one for the test process.
//!
//! No daemon is started: this process listens, and gives every connection to an `sshd -i` of its own, as inetd would.
//! So there is no port to race for, and nothing is left behind when the process ends.

use crate::support::login::{Login, new_key, user, write_private};
use crate::support::{lifetime, tools};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::thread;

/// The way in to the server; `None` after having said why where there is none.
pub(crate) fn login() -> Option<&'static Login> {
    static SERVER: OnceLock<Option<Login>> = OnceLock::new();
    SERVER.get_or_init(|| login_with("")).as_ref()
}

/// The way in to another one, with these lines more in its configuration.
pub(crate) fn login_with(lines: &str) -> Option<Login> {
    login_by("", &format!("{RUNS_WHAT_IS_ASKED}{lines}"))
}

/// The way in to one where the key runs this command, whatever is asked.
pub(crate) fn login_to(command: &str) -> Option<Login> {
    login_by(&format!("restrict,command=\"{command}\" "), "")
}

/// The forced command runs what was asked in the home directory made for the tests, through the plain shell, whatever
/// the user's login shell and its start-up files would do.
const RUNS_WHAT_IS_ASKED: &str = "ForceCommand cd && exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\n";

/// With these options of the key, and these lines in the configuration.
fn login_by(options: &str, lines: &str) -> Option<Login> {
    let program = tools::find("sshd")?;
    if !can_log_in() {
        tools::missing("a login shell of the running user");
        return None;
    }
    Some(start(&program, options, lines))
}

/// Whether the user's login shell, which even a forced command goes through, runs commands at all.
fn can_log_in() -> bool {
    use uzers::os::unix::UserExt as _;
    let user = uzers::get_user_by_uid(uzers::get_effective_uid());
    user.is_some_and(|user| {
        Command::new(user.shell()).args(["-c", "true"]).status().is_ok_and(|s| s.success())
    })
}

fn start(program: &Path, options: &str, lines: &str) -> Login {
    let directory = lifetime::directory();
    let (user_key, host_key) = (new_key(), new_key());
    let host_key_file = directory.join("host_key");
    write_private(&host_key_file, &host_key);
    let authorized = directory.join("authorized_keys");
    let key = user_key.public_key().to_openssh().unwrap();
    fs::write(&authorized, format!("{options}{key}")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let login = Login::write(directory, listener.local_addr().unwrap().port(), &user_key, &host_key);
    let config = write_config(&login, &host_key_file, &authorized, lines);
    if tools::is_root() {
        // Where the unprivileged half of sshd is confined to; a package's start script makes it, and here none ran.
        fs::create_dir_all("/run/sshd").unwrap();
    }
    let version_6 = TcpListener::bind(("::1", login.port)).ok();
    for listener in [Some(listener), version_6].into_iter().flatten() {
        let (program, config) = (program.to_owned(), config.clone());
        thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                serve(&program, &config, connection);
            }
        });
    }
    login
}

/// The server's own configuration, by which the `bin` of the home directory made for the tests is first in the search
/// path.
fn write_config(login: &Login, host_key: &Path, authorized: &Path, lines: &str) -> PathBuf {
    let config = login.directory.join("sshd_config");
    let text = format!(
        "HostKey {}\n\
         AuthorizedKeysFile {}\n\
         AllowUsers {}\n\
         StrictModes no\n\
         UsePAM no\n\
         PermitRootLogin yes\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         PrintMotd no\n\
         LogLevel VERBOSE\n\
         SetEnv HOME={home} PATH={home}/bin:/usr/local/bin:/usr/bin:/bin\n\
         {lines}",
        host_key.display(),
        authorized.display(),
        user(),
        home = login.home.display(),
    );
    fs::write(&config, text).unwrap();
    config
}

fn serve(program: &Path, config: &Path, connection: TcpStream) {
    let log = config.with_file_name("sshd_log");
    let output = OwnedFd::from(connection.try_clone().unwrap());
    let child = Command::new(program)
        .args(["-i".as_ref(), "-f".as_ref(), config.as_os_str(), "-E".as_ref(), log.as_os_str()])
        .stdin(Stdio::from(OwnedFd::from(connection)))
        .stdout(Stdio::from(output))
        .stderr(Stdio::null())
        .spawn();
    if let Ok(mut child) = child {
        thread::spawn(move || child.wait());
    }
}
