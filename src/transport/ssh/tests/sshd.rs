//! A throw-away sshd on a port of loopback, and a home directory to reach it from.
//!
//! No daemon is started: this process listens, and gives every connection to an `sshd -i` of its own, as inetd would.
//! So the port is the server's from the first to the last, and nobody else is met there.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Heard, Script, options};
use crate::testing::find;
use crate::transport::ssh::Options;

pub(super) struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    sessions: Arc<Mutex<Vec<Child>>>,
    is_over: Arc<AtomicBool>,
    listening: Option<JoinHandle<()>>,
}

impl Sshd {
    /// Starts one, with further lines for its configuration; `None` where there is no sshd.
    pub(super) fn start(more: &str) -> Option<Self> {
        let program = find("sshd")?;
        // sshd insists on its directory for separated privileges; only root can make it, and only root needs it.
        let _ = fs::create_dir_all("/run/sshd");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        keygen(&path.join("host_key"), "ed25519", "");
        fs::create_dir_all(path.join("home/.ssh")).unwrap();
        keygen(&path.join("home/.ssh/id_test"), "ed25519", "");
        fs::copy(path.join("home/.ssh/id_test.pub"), path.join("authorized_keys")).unwrap();
        fs::write(path.join("sshd.log"), "").unwrap();
        let config = write_config(path, more);
        let check = Command::new(&program).arg("-t").arg("-f").arg(&config).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sessions, is_over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let listening = {
            let (sessions, is_over) = (Arc::clone(&sessions), Arc::clone(&is_over));
            thread::spawn(move || {
                while let Ok((connection, _)) = listener.accept() {
                    if is_over.load(Ordering::SeqCst) {
                        break;
                    }
                    sessions.lock().unwrap().push(serve(&program, &config, connection));
                }
            })
        };
        let sshd = Self { dir, port, sessions, is_over, listening: Some(listening) };
        sshd.configure("");
        sshd.know("host_key.pub");
        Some(sshd)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the client's configuration for the host `box`; lines in `first` win.
    pub(super) fn configure(&self, first: &str) {
        fs::write(self.path("ssh_config"), self.stanza("box", first)).unwrap();
    }

    /// What a configuration says about this server under a name; lines in `first` win.
    pub(super) fn stanza(&self, name: &str, first: &str) -> String {
        let home = self.path("home");
        format!(
            "Host {name}\n{first}\nHostName 127.0.0.1\nPort {}\nUser {}\nIdentityFile {2}/.ssh/id_test\n\
             IdentityAgent none\nUserKnownHostsFile {2}/.ssh/known_hosts\nGlobalKnownHostsFile none\n\
             HashKnownHosts no\n",
            self.port,
            login_name(),
            home.display()
        )
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.path("sshd.log")).unwrap()
    }

    /// Ends its sessions without a word, as a host does that loses power.
    pub(super) fn end_sessions(&self) {
        for session in self.sessions.lock().unwrap().iter_mut() {
            let _ = session.kill();
        }
    }

    /// Takes no further connection. Those that there are go on.
    pub(super) fn listen_no_more(&mut self) {
        let Some(listening) = self.listening.take() else { return };
        self.is_over.store(true, Ordering::SeqCst);
        // It waits for a connection, and then looks whether it wants one.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
        listening.join().unwrap();
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Makes the host known by the public key in a file.
    pub(super) fn know(&self, public: &str) {
        let key = fs::read_to_string(self.path(public)).unwrap();
        self.write_known_hosts(&format!("[127.0.0.1]:{} {key}", self.port));
    }

    pub(super) fn write_known_hosts(&self, text: &str) {
        fs::write(self.path("home/.ssh/known_hosts"), text).unwrap();
    }

    pub(super) fn options(&self, prompter: Arc<Script>, heard: &Heard) -> Options {
        options(&self.path("home"), &self.path("ssh_config"), prompter, heard)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("What sshd says:\n{}", self.log());
        }
        self.listen_no_more();
        self.end_sessions();
        for session in self.sessions.lock().unwrap().iter_mut() {
            let _ = session.wait();
        }
    }
}

/// The server's own configuration, with `more` before the rest.
fn write_config(dir: &Path, more: &str) -> PathBuf {
    let file = dir.join("sshd_config");
    let config = format!(
        "{more}\nHostKey {0}/host_key\nUsePAM no\nStrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\n\
         AuthorizedKeysFile {0}/authorized_keys\n",
        dir.display()
    );
    fs::write(&file, config).unwrap();
    file
}

/// Gives a connection to a server of its own.
fn serve(program: &Path, config: &Path, connection: TcpStream) -> Child {
    let output = OwnedFd::from(connection.try_clone().unwrap());
    Command::new(program)
        .arg("-i")
        .arg("-f")
        .arg(config)
        .arg("-E")
        .arg(config.with_file_name("sshd.log"))
        .stdin(Stdio::from(OwnedFd::from(connection)))
        .stdout(Stdio::from(output))
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// An agent on a socket of its own.
pub(super) struct Agent {
    process: Child,
    pub(super) socket: PathBuf,
}

impl Agent {
    pub(super) fn start(socket: PathBuf) -> Self {
        let mut command = Command::new("ssh-agent");
        let process = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        while !socket.exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { process, socket }
    }

    pub(super) fn add(&self, key: &Path) {
        let added = Command::new("ssh-add").arg("-q").arg(key).env("SSH_AUTH_SOCK", &self.socket).status();
        assert!(added.unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn login_name() -> String {
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    String::from_utf8(name).unwrap().trim().to_owned()
}

pub(super) fn keygen(file: &Path, kind: &str, passphrase: &str) {
    let made = Command::new("ssh-keygen").args(["-q", "-t", kind, "-N", passphrase, "-f"]).arg(file).status();
    assert!(made.unwrap().success());
}

/// Signs `public` with the authority's key; `more` says for whom and as what.
pub(super) fn certify(authority: &Path, public: &Path, more: &[&str]) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-I", "test", "-s"])
        .arg(authority)
        .args(more)
        .arg(public)
        .status();
    assert!(made.unwrap().success());
}
