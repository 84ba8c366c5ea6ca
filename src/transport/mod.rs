//! How to get a byte stream to a dsync on another host.
//!
//! [`Target`](target::Target) says what an operand of the command line means. Two ways then lead to the peer, and
//! both end in the same [`Connection`]: a pair of blocking byte streams and a [`Control`].
//!
//! * [`ssh`] is the built-in SSH client. It reads the user's `ssh_config`, known hosts, keys and agent, so a host
//!   that `ssh` reaches is reached the same way, through other hosts and programs where that is the way.
//! * [`child`] runs a remote shell the user names (`-e COMMAND`) and talks over its standard streams. The real
//!   `ssh` is run in the same way for what the built-in client does not do (smart cards, GSSAPI, shared connections).
//!
//! What the far side runs is made by [`command`]: no path and no option ever pass through a shell. Whether it is the
//! right thing can be found out while the connection is already used: see [`trial`]. A connection may have several
//! channels, each to a process of its own on the far side; those come together at a [`meeting`]. Nothing here prints,
//! prompts, or reads the environment: questions go to a [`Prompter`](crate::report::Prompter), warnings to a
//! [`NoticeSink`], and facts about the user come in as an [`ssh::Environment`].

pub mod child;
pub mod command;
pub mod connection;
pub mod error;
pub mod meeting;
pub mod notice;
pub mod pipe;
pub mod refusal;
pub mod ssh;
pub mod target;
pub mod trial;

pub use connection::{Connection, Control, RemoteExit};
pub use error::Error;
pub use notice::{Notice, NoticeSink, StderrSink};

use std::fmt;

/// Which addresses of a host are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IpFamily {
    /// Those of IPv4.
    V4,
    /// Those of IPv6.
    V6,
}

impl IpFamily {
    /// The option that OpenSSH's client has for it.
    pub(in crate::transport) fn flag(self) -> &'static str {
        match self {
            IpFamily::V4 => "-4",
            IpFamily::V6 => "-6",
        }
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IpFamily::V4 => "IPv4",
            IpFamily::V6 => "IPv6",
        })
    }
}
