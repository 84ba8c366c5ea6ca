//! A throw-away sshd on a port of loopback, and a home directory to reach it from.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::{Heard, Script, options};
use crate::testing::find;
use crate::transport::ssh::Options;

pub(super) struct Sshd {
    server: Child,
    dir: tempfile::TempDir,
    port: u16,
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
        // Another program may take the port between our look and sshd's start.
        let (server, port) = (0..5).find_map(|_| serve(&program, path, more)).unwrap_or_else(|| {
            panic!("sshd does not start: {}", fs::read_to_string(path.join("sshd.log")).unwrap())
        });
        let sshd = Self { server, dir, port };
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
        let daemon = self.server.id().to_string();
        let ended = Command::new("pkill").args(["-KILL", "-P", &daemon]).status().unwrap();
        assert!(ended.success());
    }

    /// Takes no further connection. Those that there are go on.
    pub(super) fn listen_no_more(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
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
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Starts sshd on a free port and waits until it listens; `None` when it ended instead.
fn serve(program: &Path, dir: &Path, more: &str) -> Option<(Child, u16)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!(
        "{more}\nListenAddress 127.0.0.1:{port}\nHostKey {0}/host_key\nPidFile none\nUsePAM no\nStrictModes no\n\
         PermitRootLogin yes\nPasswordAuthentication no\nAuthorizedKeysFile {0}/authorized_keys\n",
        dir.display()
    );
    fs::write(dir.join("sshd_config"), config).unwrap();
    let mut server = Command::new(program)
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stderr(fs::File::create(dir.join("sshd.log")).unwrap())
        .spawn()
        .unwrap();
    while server.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(50));
        if TcpStream::connect(("127.0.0.1", port)).is_ok() && server.try_wait().unwrap().is_none() {
            return Some((server, port));
        }
    }
    None
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
