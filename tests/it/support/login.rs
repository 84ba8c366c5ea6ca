//! The client's side of an SSH server made for the tests: keys, known hosts and an `ssh_config` that names it.

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, PrivateKey};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The name by which the configuration knows the server.
pub(crate) const HOST: &str = "loop";

/// How to log in to a server on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// Holds all the files below.
    pub(crate) directory: PathBuf,
    /// The `ssh_config`, for `ssh -F` and `--ssh-config`. It knows [`HOST`], and how to log in to whatever it does not.
    pub(crate) config: PathBuf,
    /// The port on 127.0.0.1, and on ::1 where that exists.
    pub(crate) port: u16,
    /// The file of the user's private key.
    pub(crate) key: PathBuf,
    /// The same, not in a file.
    pub(crate) user_key: PrivateKey,
    /// The public half of the server's key.
    pub(crate) host_key: String,
    /// The directory that the server takes for the user's home.
    pub(crate) home: PathBuf,
}

impl Login {
    /// Writes what a client needs to reach the server with `host_key` at `port`.
    pub(crate) fn write(
        directory: PathBuf,
        port: u16,
        user_key: &PrivateKey,
        host_key: &PrivateKey,
    ) -> Login {
        let home = directory.join("home");
        fs::create_dir(&home).unwrap();
        let key = directory.join("user_key");
        write_private(&key, user_key);
        let host_key = host_key.public_key().to_openssh().unwrap();
        let config = directory.join("ssh_config");
        let login = Login { directory, config, port, key, user_key: user_key.clone(), host_key, home };
        fs::write(login.known_hosts(), login.known_hosts_text()).unwrap();
        fs::write(&login.config, login.config_text(&login.known_hosts())).unwrap();
        login
    }

    /// A second configuration, in `directory`, for a user who has `known_hosts` and logs in with `key`.
    pub(crate) fn variant(&self, directory: &Path, known_hosts: &str, key: &PrivateKey) -> PathBuf {
        let mut other = self.clone();
        other.key = directory.join("user_key");
        write_private(&other.key, key);
        let hosts = directory.join("known_hosts");
        fs::write(&hosts, known_hosts).unwrap();
        let config = directory.join("ssh_config");
        fs::write(&config, other.config_text(&hosts)).unwrap();
        config
    }

    /// What a user's known hosts say who has met the server, by any of its addresses.
    pub(crate) fn known_hosts_text(&self) -> String {
        ["127.0.0.1", "::1"].map(|address| format!("[{address}]:{} {}\n", self.port, self.host_key)).concat()
    }

    fn known_hosts(&self) -> PathBuf {
        self.directory.join("known_hosts")
    }

    fn config_text(&self, known_hosts: &Path) -> String {
        format!(
            "Host {HOST}\n\
             HostName 127.0.0.1\n\
             Host *\n\
             Port {}\n\
             User {}\n\
             IdentityFile {}\n\
             IdentitiesOnly yes\n\
             IdentityAgent none\n\
             UserKnownHostsFile {}\n\
             GlobalKnownHostsFile /dev/null\n",
            self.port,
            user(),
            self.key.display(),
            known_hosts.display(),
        )
    }
}

/// The name of the user who runs the tests, since that is whom a server run by them can log in.
pub(crate) fn user() -> String {
    uzers::get_effective_username().expect("the running user has a name").into_string().unwrap()
}

/// A new key.
pub(crate) fn new_key() -> PrivateKey {
    let mut seed = [0; 32];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut seed).unwrap();
    PrivateKey::from(Ed25519Keypair::from_seed(&seed))
}

/// Writes a key where only its owner may read it.
pub(crate) fn write_private(path: &Path, key: &PrivateKey) {
    use std::io::Write as _;
    let text = key.to_openssh(LineEnding::LF).unwrap();
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}
