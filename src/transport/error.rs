//! What can go wrong on the way to a peer, and what to advise.

use std::io;
use std::path::{Path, PathBuf};

use crate::transport::IpFamily;
use crate::transport::refusal::{Refusal, Spent, so_far};

/// Why an operand is not understood or a host is not reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operand is rsync's daemon syntax.
    #[error("{operand:?} names an rsync daemon, which dsync does not talk to")]
    DaemonSyntax {
        /// The operand as given.
        operand: String,
    },
    /// The operand's host, user, port or URL cannot be used.
    #[error("Remote operand {operand:?}: {reason}")]
    Operand {
        /// The operand as given.
        operand: String,
        /// What is wrong, as a sentence without its period.
        reason: &'static str,
    },
    /// The remote shell command of `-e` is empty.
    #[error("The remote shell command is empty")]
    EmptyCommand,
    /// The remote shell command of `-e` has a quote that does not end.
    #[error("The remote shell command has a {quote} without its second one")]
    UnbalancedQuote {
        /// The quote.
        quote: char,
    },
    /// The remote program holds a character that could end the command line.
    #[error("The remote program {program:?} holds a line break or a NUL")]
    RemoteProgram {
        /// The program as given.
        program: String,
    },
    /// A child process could not be started.
    #[error("Running {program}")]
    Spawn {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// `ssh -G` refused the host or the configuration.
    #[error("Reading the SSH configuration for {host}: {message}")]
    SshConfig {
        /// The host asked for.
        host: String,
        /// What ssh said, or what could not be understood.
        message: String,
    },
    /// There is a configuration file and no ssh program to read it with.
    #[error("Reading {} needs the ssh program, which is not installed", file.display())]
    ConfigNeedsSsh {
        /// The configuration file.
        file: PathBuf,
    },
    /// The configuration asks for something the built-in client does not do.
    #[error(
        "The SSH configuration for {host} sets {directive} to {value:?}, which dsync's own SSH client does not do"
    )]
    Directive {
        /// The host asked for.
        host: String,
        /// The directive, as `ssh_config(5)` spells it.
        directive: &'static str,
        /// Its value.
        value: String,
    },
    /// The way to a host is through too many others.
    #[error("The way to {host} is through more than {limit} hosts")]
    TooManyJumps {
        /// The host asked for.
        host: String,
        /// How many are the most.
        limit: usize,
    },
    /// A host to jump through did not connect to the next one.
    #[error("{via} {} connect to {host} port {port}", if *forbidden { "does not allow to" } else { "could not" })]
    Jump {
        /// The host to be reached.
        host: String,
        /// Its port.
        port: u16,
        /// The host that should have connected to it.
        via: String,
        /// Whether it was not willing to, rather than not able.
        forbidden: bool,
    },
    /// The proxy command ended instead of leading to the host.
    #[error("The proxy command for {host}, {command:?}, {ended}")]
    Proxy {
        /// The host name.
        host: String,
        /// What was run.
        command: String,
        /// How it ended.
        ended: String,
    },
    /// A known hosts file could not be read.
    #[error("Reading {}", file.display())]
    KnownHosts {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The threads of the SSH client could not be started.
    #[error("Starting the SSH client")]
    Start {
        /// What the system said.
        source: io::Error,
    },
    /// The host's name has no address.
    #[error("Finding the address of {host}")]
    Resolve {
        /// The host name.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The host's name has addresses, and none of the kind that is to be used.
    #[error("{host} has no {family} address")]
    NoAddress {
        /// The host name.
        host: String,
        /// The kind.
        family: IpFamily,
    },
    /// No address of the host took the connection.
    #[error("Connecting to {host} port {port}{}", bound_to(from.as_deref()))]
    Connect {
        /// The host name.
        host: String,
        /// The TCP port.
        port: u16,
        /// `BindAddress`, if it is set.
        from: Option<String>,
        /// What the last address tried gave.
        source: io::Error,
    },
    /// The host took the connection and then was silent for too long.
    #[error("{host} did not complete {stage} within {seconds} seconds")]
    Timeout {
        /// The host name.
        host: String,
        /// What was going on.
        stage: &'static str,
        /// The limit.
        seconds: u64,
        /// What the login had cost by then, if there was one.
        spent: Spent,
    },
    /// It was given up on before its end.
    #[error("Connecting to {host} was interrupted")]
    Interrupted {
        /// The host name.
        host: String,
    },
    /// The SSH handshake failed.
    #[error("Opening an SSH session with {host}: {reason}")]
    Handshake {
        /// The host name.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// Client and server have no algorithm of some kind in common.
    #[error("Opening an SSH session with {host}: no {kind} in common; the server offers {offered}")]
    Algorithms {
        /// The host name.
        host: String,
        /// What they are for.
        kind: &'static str,
        /// Those of the server.
        offered: String,
        /// Those of them that the `ssh` program has and the configuration allows.
        beyond: Option<String>,
    },
    /// What answers is no SSH server.
    #[error("What answers at {host} port {port} is no SSH server; it says {said:?}")]
    NoSsh {
        /// The host name.
        host: String,
        /// The TCP port.
        port: u16,
        /// The first it said.
        said: String,
    },
    /// The host is not known and nobody vouched for it.
    #[error("The key of {host} is not known: {fingerprint}")]
    UnknownHostKey {
        /// The name looked up.
        host: String,
        /// Type and SHA256 fingerprint of the key.
        fingerprint: String,
        /// Why nobody vouched for it.
        why: Unvouched,
        /// The file in which the user's known hosts are recorded, if there is one.
        file: Option<PathBuf>,
    },
    /// The host is known by another key.
    #[error(
        "The key of {host} is not the one recorded in {} line {line}: it offered {fingerprint}. \
         Somebody may be impersonating the host, or it was reinstalled",
        file.display()
    )]
    ChangedHostKey {
        /// The name looked up.
        host: String,
        /// Type and SHA256 fingerprint of the key offered.
        fingerprint: String,
        /// The known hosts file with the other key.
        file: PathBuf,
        /// The line in it, counted from one.
        line: usize,
    },
    /// The host offered a key that is marked as revoked.
    #[error("The key offered by {host} is revoked by {} line {line}: {fingerprint}", file.display())]
    RevokedHostKey {
        /// The name looked up.
        host: String,
        /// Type and SHA256 fingerprint of the key offered.
        fingerprint: String,
        /// The known hosts file that revokes it.
        file: PathBuf,
        /// The line in it, counted from one.
        line: usize,
    },
    /// The host offered a certificate of a trusted authority that is not valid.
    #[error("The certificate offered by {host} is not valid: {reason}")]
    HostCertificate {
        /// The name looked up.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Every way to log in was refused.
    #[error("{0}")]
    Authentication(Box<Refusal>),
    /// The server ended the session in the middle of the login.
    #[error("{host} ended the login of {user:?} ({}): {reason}", so_far(tried))]
    LoginEnded {
        /// The host name.
        host: String,
        /// The login name.
        user: String,
        /// What was tried, in order.
        tried: Vec<String>,
        /// What the server said, or what became of the connection.
        reason: String,
        /// Whether it was ended on purpose, rather than that the connection broke or was closed without a word.
        meant: bool,
        /// What it had cost by then.
        spent: Spent,
    },
    /// The host's key is shorter than the configuration requires.
    #[error("The key of {host} has {bits} bits, and RequiredRSASize is {required}: {fingerprint}")]
    ShortHostKey {
        /// The name looked up.
        host: String,
        /// Type and SHA256 fingerprint of the key.
        fingerprint: String,
        /// How long it is.
        bits: u32,
        /// How long it has to be.
        required: u32,
    },
    /// A question to the user was not answered.
    #[error("Asking for {what}")]
    Prompt {
        /// What was asked for.
        what: String,
        /// Why there is no answer.
        source: io::Error,
    },
    /// There is no socket at which processes of a peer meet, and none can be made.
    #[error("Meeting at a socket in {}: {source}", folder.display())]
    Place {
        /// Where the socket is looked for, or was to be made.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Processes of a peer could not meet.
    #[error("{doing}: {source}")]
    Meeting {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The connection ended while it was being made.
    #[error("Lost the connection to {host}: {reason}")]
    Lost {
        /// The host name.
        host: String,
        /// Why.
        reason: String,
    },
    /// The server did not open a channel.
    #[error("{host} refused to open a channel: {reason}")]
    Channel {
        /// The host name.
        host: String,
        /// Why.
        reason: String,
    },
}

/// The advice where the `ssh` program does what the built-in client does not.
pub(super) const MORE_BY_SSH: &str = "Use --ssh=external to go through the ssh program, which does more.";

/// Why nobody vouched for the key of a host that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unvouched {
    /// `StrictHostKeyChecking yes` lets nobody be asked.
    Strict,
    /// `BatchMode yes` lets nobody be asked.
    Batch,
    /// There is no terminal to ask at.
    NoTerminal,
    /// The user said no.
    Declined,
}

impl Unvouched {
    /// What to do about it, where known hosts are recorded in a file, or in none.
    fn hint(self, file: Option<&Path>) -> String {
        let file = file.map(|file| file.display().to_string());
        let file = file.unwrap_or("a file that UserKnownHostsFile names".to_owned());
        match self {
            Self::Strict => format!(
                "StrictHostKeyChecking lets nobody be asked; add the key to {file} after checking it."
            ),
            Self::Batch => format!(
                "Connect once from a terminal without BatchMode, or add the key to {file} after checking it."
            ),
            Self::NoTerminal => {
                format!("Connect once from a terminal, or add the key to {file} after checking it.")
            }
            Self::Declined => format!(
                "Ask the administrator of the host for its key; answer yes if it is this one, or add it to {file}."
            ),
        }
    }
}

fn bound_to(from: Option<&str>) -> String {
    from.map(|from| format!(" from {from}")).unwrap_or_default()
}

impl Error {
    /// Whether the host was not reached, which may pass, and was not that it said no. After a login that has cost
    /// something it may have said so by hanging up, and is not to be asked again by itself.
    pub fn is_of_the_line(&self) -> bool {
        match self {
            Error::Resolve { .. } | Error::Connect { .. } | Error::Handshake { .. } | Error::Lost { .. } => {
                true
            }
            Error::Timeout { spent, .. } => spent.is_nothing(),
            Error::LoginEnded { meant, spent, .. } => !meant && spent.is_nothing(),
            Error::Jump { forbidden, .. } => !forbidden,
            Error::NoAddress { .. } | Error::Proxy { .. } => true,
            _ => false,
        }
    }

    /// Whether another connection to the host, if there is one, may be used in the place of the one that was not made:
    /// nobody was asked anything in vain, and no doubt about the host is passed over.
    pub(in crate::transport) fn leaves_room_for_another(&self) -> bool {
        match self {
            // Where nothing answers, nothing comes of a connection made before either, and nobody would notice.
            Self::Resolve { .. } | Self::Connect { .. } => true,
            Self::Jump { .. } | Self::Proxy { .. } => true,
            Self::Authentication(refusal) => !refusal.asked,
            Self::LoginEnded { spent, .. } => !spent.asked,
            _ => false,
        }
    }

    /// Why the `ssh` program may succeed where the built-in client gave up, as a clause. Never after a host's key was
    /// not to be trusted.
    pub(in crate::transport) fn beyond_the_client(&self) -> Option<String> {
        match self {
            Self::Directive { host, directive, .. } => {
                Some(format!("the configuration for {host} sets {directive}"))
            }
            // No key of the host has been looked at by then.
            Self::Algorithms { host, kind, beyond: Some(beyond), .. } => {
                Some(format!("{host} offers no {kind} that the built-in client has, but {beyond}"))
            }
            Self::Authentication(refusal) => refusal.beyond.clone(),
            _ => None,
        }
    }

    /// Returns one sentence of advice; `None` where the user knows best what to do next.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Interrupted { .. } => return None,
            Self::DaemonSyntax { .. } => "Use host:path to go over SSH.".to_owned(),
            Self::Operand { .. } => "Write ./ before a local name that holds a colon.".to_owned(),
            Self::EmptyCommand => "Name a program, or leave the option out.".to_owned(),
            Self::UnbalancedQuote { .. } => "A quote that stands for itself is written twice within quotes.".to_owned(),
            Self::RemoteProgram { .. } => "Name the program on one line.".to_owned(),
            Self::Spawn { program, source }
                if source.kind() == io::ErrorKind::NotFound && Path::new(program).ends_with("ssh") =>
            {
                "Install the OpenSSH client, or leave it to the built-in one.".to_owned()
            }
            Self::Spawn { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "Check the command given with -e; its first word must be a program.".to_owned()
            }
            Self::Spawn { .. } => "Check that it is a program that this user may run.".to_owned(),
            Self::SshConfig { .. } => "Correct that, or name another file with --ssh-config.".to_owned(),
            Self::ConfigNeedsSsh { .. } => {
                "Install the OpenSSH client, or pass --ssh-config none to go on without the file.".to_owned()
            }
            Self::Directive { .. } => {
                "Use --ssh=external to go through the ssh program, which does it.".to_owned()
            }
            Self::TooManyJumps { .. } => {
                "Check ProxyJump in the SSH configuration: hosts seem to be reached through one another.".to_owned()
            }
            Self::Jump { forbidden: true, via, .. } => {
                format!("AllowTcpForwarding in the sshd_config of {via} has to allow it.")
            }
            Self::Jump { host, via, .. } => {
                format!("Check that the name is right as {via} sees it, and that sshd runs on {host}.")
            }
            Self::Proxy { .. } => {
                "What it wrote to standard error says why; run it by itself to see.".to_owned()
            }
            Self::KnownHosts { .. } => {
                "Make the file readable, as a line in it might speak against the host.".to_owned()
            }
            Self::Start { .. } | Self::Meeting { .. } => {
                "The system may be out of processes, files or memory; see ulimit -a.".to_owned()
            }
            Self::Resolve { .. } => {
                "Check the spelling of the host and that the name server answers.".to_owned()
            }
            Self::NoAddress { family, .. } => format!(
                "Leave the choice of addresses out: {} on the command line, or AddressFamily in the SSH configuration.",
                family.flag()
            ),
            Self::Connect { from: Some(_), source, .. } if source.kind() == io::ErrorKind::AddrNotAvailable => {
                "BindAddress in the SSH configuration has to be an address of this machine.".to_owned()
            }
            Self::Connect { source, .. } => connect_hint(source.kind()).to_owned(),
            Self::Timeout { .. } => {
                "The host may be overloaded or the port may not be SSH's; --timeout sets the limit."
                    .to_owned()
            }
            Self::NoSsh { .. } => {
                "Give the port that its SSH server listens at: ssh://HOST:PORT/PATH, or Port in the configuration."
                    .to_owned()
            }
            Self::Handshake { reason, .. } => handshake_hint(reason).to_owned(),
            Self::Algorithms { beyond: Some(_), .. } => MORE_BY_SSH.to_owned(),
            Self::Algorithms { .. } => {
                "Allow one that the server offers (Ciphers, MACs, KexAlgorithms, HostKeyAlgorithms).".to_owned()
            }
            Self::UnknownHostKey { why, file, .. } => why.hint(file.as_deref()),
            Self::ChangedHostKey { file, line, .. } => format!(
                "If the change is expected, remove line {line} of {} and connect again from a terminal.",
                file.display()
            ),
            Self::RevokedHostKey { .. } => "Ask the administrator of the host which key is right.".to_owned(),
            Self::HostCertificate { .. } => {
                "Ask the administrator of the host for a new certificate.".to_owned()
            }
            Self::ShortHostKey { .. } => "The host needs a longer key, or one of another type.".to_owned(),
            Self::Authentication(refusal) => refusal.hint(),
            Self::LoginEnded { spent: Spent { asked: true, .. }, .. } => {
                "Check the login name and what is answered, then run this again; the server's log says why it ended \
                 the login."
                    .to_owned()
            }
            Self::LoginEnded { meant, spent, .. } if *meant || spent.refused => {
                "If the server allows few tries, name the right key with IdentityFile and set IdentitiesOnly yes."
                    .to_owned()
            }
            Self::Prompt { .. } => "Run this from a terminal, or set SSH_ASKPASS to a program that asks.".to_owned(),
            Self::Place { .. } => {
                "Set XDG_RUNTIME_DIR or TMPDIR on the host to a folder that sockets can be made in."
                    .to_owned()
            }
            Self::Lost { .. } | Self::LoginEnded { .. } => {
                "Run this again; if it happens again, the server's log says why.".to_owned()
            }
            Self::Channel { .. } => "The server limits sessions per connection (MaxSessions).".to_owned(),
        };
        Some(text)
    }

    /// What happened and the advice, for a line that has room for both.
    pub fn with_hint(&self) -> String {
        let hint = self.hint().map(|hint| format!(". {hint}"));
        format!("{self}{}", hint.unwrap_or_default())
    }
}

fn connect_hint(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::ConnectionRefused => "Nothing listens there: check the port and that sshd runs.",
        io::ErrorKind::TimedOut => "The host may be down or a firewall may drop the connection.",
        _ => "Check that the host is reachable from here.",
    }
}

fn handshake_hint(reason: &str) -> &'static str {
    if reason.contains("closed the connection") {
        "The server may be busy (MaxStartups), or block this address; try again later or look into its log."
    } else {
        "Check that the port is that of an SSH server; --ssh-debug tells each step."
    }
}
