//! A throw-away sshd on 127.0.0.1 with its own keys, and a client configuration that reaches it.
//!
//! The user's keys, configuration and known hosts are not looked at, and the home of a session holds no start-up files,
//! so that the user's shell does not add its own time to every run. Several names lead to the one sshd: `direct`,
//! `counted` through a counting proxy, and that of each slow path through a proxy that counts too.
//!
//! However the harness ends, by an interrupt or a kill too, gigabytes of tmpfs and a running sshd must not stay behind.
//! So both belong to a keeper, a shell that waits for the end of its standard input, a pipe from the harness, and then
//! clears up.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::LINKS;
use crate::failure::{Doing, Failure};
use crate::process::Family;
use crate::proxy::{Proxy, Wire};

/// The host name that leads straight to sshd.
pub(crate) const DIRECT: &str = "direct";
/// The host name that leads to sshd through a proxy that only counts.
pub(crate) const COUNTED: &str = "counted";

const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);

/// $1: the directory to remove, $2...: the server. Interrupts are for the harness; the keeper outlives it by a moment.
const KEEPER: &str = r#"trap "" INT HUP
directory=$1
shift
"$@" &
cat >/dev/null
kill $!
wait
rm -rf "$directory""#;

/// The running sshd and its keeper.
pub(crate) struct Server {
    /// The client configuration, for `ssh -F`.
    pub(crate) client_config: PathBuf,
    proxies: Vec<Proxy>,
    /// The process id of the listening sshd.
    pub(crate) pid: u32,
    keeper: Child,
    life: Option<ChildStdin>,
}

impl Server {
    /// Starts sshd with its files in `directory`/ssh, and has `directory` removed at the end.
    pub(crate) fn start(directory: &Path) -> Result<Self, Failure> {
        let files = directory.join("ssh");
        fs::create_dir(&files).doing(|| format!("Making {}", files.display()))?;
        make_keys(&files)?;
        let port = free_port()?;
        let mut hosts = vec![(DIRECT, port)];
        let mut proxies = Vec::new();
        let slow = LINKS.iter().map(|link| (link.host, Some(*link)));
        for (host, link) in [(COUNTED, None)].into_iter().chain(slow) {
            let proxy = Proxy::start(port, link)?;
            hosts.push((host, proxy.port));
            proxies.push(proxy);
        }
        let client_config = write_configurations(&files, port, &hosts)?;
        make_privilege_separation_directory();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(directory)
            .arg(sshd_program()?)
            .args(["-D", "-f"])
            .arg(files.join("sshd_config"))
            .arg("-E")
            .arg(files.join("log"))
            .stdin(Stdio::piped())
            .spawn()
            .doing(|| "Starting sshd".to_owned())?;
        let life = keeper.stdin.take();
        let mut server = Self { client_config, proxies, pid: 0, keeper, life };
        server.pid = wait_for_pid(&files)?;
        Ok(server)
    }

    /// The bytes that went through any of the proxies since the last call.
    pub(crate) fn take_wire(&self) -> Wire {
        let seen = self.proxies.iter().map(Proxy::take);
        seen.fold(Wire::default(), |sum, wire| Wire { up: sum.up + wire.up, down: sum.down + wire.down })
    }

    /// Waits until the last session is over and sshd has waited for it, so that its CPU time is accounted for and
    /// nothing of one run works during the next.
    pub(crate) fn wait_until_idle(&self) -> Result<(), Failure> {
        let started = Instant::now();
        while Family::now().of(self.pid).len() > 1 {
            if started.elapsed() > PATIENCE {
                return Err(Failure::new("A session of sshd did not end after its client had"));
            }
            thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.life.take());
        // If the keeper cannot be waited for it is gone already.
        let _gone = self.keeper.wait();
    }
}

fn make_keys(files: &Path) -> Result<(), Failure> {
    for name in ["host_key", "user_key"] {
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(files.join(name))
            .stdin(Stdio::null())
            .status()
            .doing(|| "Running ssh-keygen".to_owned())?;
        if !made.success() {
            return Err(Failure::new(format!("ssh-keygen failed to make {name}")));
        }
    }
    Ok(())
}

/// A port nobody listens on. Another process could take it before sshd does; sshd then fails and its log says so.
fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    Ok(listener.doing(|| "Looking for a free port".to_owned())?.port())
}

/// `port` is sshd's own, `hosts` are the names of the client's configuration with their ports.
fn write_configurations(files: &Path, port: u16, hosts: &[(&str, u16)]) -> Result<PathBuf, Failure> {
    let directory = files.display();
    let write = |name: &str, text: String| {
        let path = files.join(name);
        fs::write(&path, text).doing(|| format!("Writing {}", path.display())).map(|()| path)
    };
    write(
        "sshd_config",
        format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {directory}/host_key\nPidFile {directory}/pid\n\
             AuthorizedKeysFile {directory}/user_key.pub\nStrictModes no\nPermitRootLogin yes\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nPrintMotd no\n\
             SetEnv HOME={directory}\n"
        ),
    )?;
    let path = files.join("host_key.pub");
    let host_key = fs::read_to_string(&path).doing(|| format!("Reading {}", path.display()))?;
    let known = |(_, port): &(&str, u16)| format!("[127.0.0.1]:{port} {host_key}");
    write("known_hosts", hosts.iter().map(known).collect())?;
    let host = |(name, port): &(&str, u16)| format!("Host {name}\n  HostName 127.0.0.1\n  Port {port}\n");
    let everywhere = format!(
        "Host *\n  IdentityFile {directory}/user_key\n  IdentitiesOnly yes\n  UserKnownHostsFile {directory}/known_hosts\n  \
         GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking yes\n  BatchMode yes\n"
    );
    write("config", hosts.iter().map(host).collect::<String>() + &everywhere)
}

/// sshd refuses to start as root without its empty directory, which packages leave to the service manager. If it cannot
/// be made, sshd's own message tells.
fn make_privilege_separation_directory() {
    if rustix::process::geteuid().is_root() {
        let _made_or_there = fs::create_dir("/run/sshd");
    }
}

/// sshd has to be called by its absolute path, and its folder is not on every user's `PATH`.
fn sshd_program() -> Result<PathBuf, Failure> {
    ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd", "/usr/bin/sshd"]
        .into_iter()
        .map(PathBuf::from)
        .find(|path| path.exists())
        .ok_or_else(|| Failure::new("sshd is not installed"))
}

/// sshd writes its pid file once it listens.
fn wait_for_pid(files: &Path) -> Result<u32, Failure> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(pid) =
            fs::read_to_string(files.join("pid")).ok().and_then(|text| text.trim().parse().ok())
        {
            return Ok(pid);
        }
        thread::sleep(POLL);
    }
    let log = fs::read_to_string(files.join("log")).unwrap_or_default();
    Err(Failure::new(format!("sshd did not start: {}", log.trim())))
}
