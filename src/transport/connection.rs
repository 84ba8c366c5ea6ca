//! A connection to the peer: two blocking byte streams and a hold on what carries them.
//!
//! Made by [`child`](crate::transport::child) and [`ssh`](crate::transport::ssh), used by the link, which gives the
//! reader and the writer a thread each.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::transport::Error;
use crate::transport::command::RemoteCommand;

/// A running remote command and the streams to talk to it.
///
/// The connection lasts until its reader, its writer and every clone of its control are gone; then the child is
/// killed or the SSH connection closed, whatever is still under way. To end in order: drop the writer, read to the
/// end, [`wait`](Control::wait), drop the rest.
pub struct Connection {
    /// What the remote command writes to its standard output. An error means the connection broke; end of file
    /// means the command closed its output.
    pub reader: Box<dyn Read + Send>,
    /// The remote command's standard input. Every write is on its way when it returns, so there is nothing to
    /// flush; small writes make small packets, so callers gather (256 KiB is the most taken at once). Writes block
    /// while the peer accepts nothing. Dropping it closes the command's input once all is sent.
    pub writer: Box<dyn Write + Send>,
    /// Ends the connection or waits for its end, from any thread.
    pub control: Control,
}

/// How the remote command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteExit {
    /// It exited with this status.
    Status(u32),
    /// A signal ended it; the name is without `SIG`.
    Signal(String),
    /// The connection ended before it did, for this reason.
    Lost(String),
}

/// A hold on a connection that can be cloned and used from any thread.
#[derive(Clone)]
pub struct Control(Arc<dyn Carrier>);

/// What carries a connection: a child process or an SSH channel.
pub(in crate::transport) trait Carrier: Send + Sync {
    fn close(&self);
    fn wait(&self, timeout: Duration) -> Option<RemoteExit>;
    fn may_ask(&self) -> bool;
    fn another(&self) -> Result<Connection, Error>;
    fn run(&self, command: &RemoteCommand) -> Result<Connection, Error>;
}

impl Control {
    pub(in crate::transport) fn new(carrier: Arc<dyn Carrier>) -> Self {
        Self(carrier)
    }

    /// Breaks the connection off at once: blocked and later reads and writes fail, and the remote command loses
    /// its streams.
    pub fn close(&self) {
        self.0.close();
    }

    /// Waits until the remote command has ended and all it wrote to standard error was delivered.
    ///
    /// `None` when that took longer than `timeout`.
    pub fn wait(&self, timeout: Duration) -> Option<RemoteExit> {
        self.0.wait(timeout)
    }

    /// Whether what carries the connection is another program, which may be asking its user something by itself, so
    /// that the remote command has not begun yet.
    pub fn may_ask(&self) -> bool {
        self.0.may_ask()
    }

    /// Runs the same remote command once more beside this one: on a further channel of the same SSH connection, or by
    /// a further child.
    ///
    /// OpenSSH's server grants 2 MiB per channel and round trip, so long paths need several channels.
    ///
    /// # Errors
    /// When the server refuses a further channel, the connection is lost, or the child cannot be started.
    pub fn another(&self) -> Result<Connection, Error> {
        self.0.another()
    }

    /// Runs another command beside this one, in the same way as [`another`](Control::another).
    ///
    /// # Errors
    /// As there.
    pub fn run(&self, command: &RemoteCommand) -> Result<Connection, Error> {
        self.0.run(command)
    }
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control")
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}
