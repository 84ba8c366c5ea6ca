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
    /// A key file was passed over.
    KeySkipped {
        /// The key file.
        file: PathBuf,
        /// Why, as the end of a sentence.
        reason: String,
    },
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
            Self::KeySkipped { file, reason } => write!(f, "Key {} is not used: {reason}", file.display()),
            Self::AgentSkipped { reason } => write!(f, "The SSH agent is not used: {reason}"),
        }
    }
}
