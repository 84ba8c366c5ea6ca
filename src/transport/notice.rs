//! What a transport has to say that is not an answer and not an error.

use std::path::PathBuf;
use std::sync::Arc;

/// Receives what the remote process writes to its standard error, as it comes, from a thread of the transport.
///
/// The bytes are the peer's: whoever shows them on a terminal makes them harmless first.
pub type StderrSink = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// Receives notices, possibly from a thread of the transport.
pub type NoticeSink = Arc<dyn Fn(Notice) + Send + Sync>;

/// Something the user may want to know while a connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The server sent this text before login. Control characters other than newline are already escaped.
    Banner(String),
    /// The key of a host seen for the first time was accepted and stored.
    HostKeyAdded {
        /// The name under which it was stored.
        host: String,
        /// Type and SHA256 fingerprint of the key.
        fingerprint: String,
        /// The known hosts file.
        file: PathBuf,
    },
    /// The key of a host seen for the first time was accepted but could not be stored.
    HostKeyNotStored {
        /// The name under which it should have been stored.
        host: String,
        /// The known hosts file and what was wrong with it.
        problem: String,
    },
    /// The key of a host is another than the one that is known, and the configuration says to go on.
    HostKeyDiffers {
        /// The name looked up.
        host: String,
        /// Type and SHA256 fingerprint of the key offered.
        fingerprint: String,
        /// The known hosts file with the other key.
        file: PathBuf,
        /// The line in it, counted from one.
        line: usize,
    },
    /// A key file was passed over.
    KeySkipped {
        /// The key file.
        file: PathBuf,
        /// Why, as the end of a sentence.
        reason: String,
    },
    /// The configuration asks for algorithms that the built-in client does not know, and for others.
    AlgorithmsSkipped {
        /// The host asked for.
        host: String,
        /// Their names, with the directives.
        names: String,
    },
    /// The `ssh` program is run in the place of the built-in client.
    External {
        /// The host asked for.
        host: String,
        /// Why, as a clause.
        reason: String,
    },
    /// One step of connecting, for whoever wants to know each.
    Step(String),
    /// The SSH agent could not be used.
    AgentSkipped {
        /// Why, as the end of a sentence.
        reason: String,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Banner(text) => f.write_str(text),
            Self::HostKeyAdded { host, fingerprint, file } => {
                write!(f, "Stored the key of {host} ({fingerprint}) in {}", file.display())
            }
            Self::HostKeyNotStored { host, problem } => {
                write!(f, "The key of {host} was accepted but not stored: {problem}")
            }
            Self::HostKeyDiffers { host, fingerprint, file, line } => write!(
                f,
                "WARNING: the key of {host}, {fingerprint}, is not the one in {} line {line}; going on without \
                 passwords, since StrictHostKeyChecking is off",
                file.display()
            ),
            Self::KeySkipped { file, reason } => write!(f, "Key {} is not used: {reason}", file.display()),
            Self::AlgorithmsSkipped { host, names } => write!(
                f,
                "Of the algorithms that the SSH configuration for {host} names, these are unknown and left out: \
                 {names}"
            ),
            Self::External { host, reason } => {
                write!(f, "Connecting to {host} through the ssh program, since {reason}")
            }
            Self::Step(text) => write!(f, "ssh: {text}"),
            Self::AgentSkipped { reason } => write!(f, "The SSH agent is not used: {reason}"),
        }
    }
}
