//! The built-in SSH client.
//!
//! [`connect`] blocks, from reading the configuration to the open channel; what it returns is the plain
//! [`Connection`] of blocking streams that every transport gives. Inside, russh and tokio do the work, and their
//! types stay inside this folder.
//!
//! ```text
//! settings   what ssh_config says about each host on the way, asked of `ssh -G`   (resolve, lines, tokens)
//! stream     a TCP connection, a proxy command, or a channel of the host before     (dial, acknowledge, proxy)
//! handshake  algorithms in our order, the host key by our policy         (algorithms, client, known_hosts)
//! login      agent, key files, keyboard-interactive, password            (auth)
//! channel    the remote command and the queues around it                 (session, channel, queue, outbox)
//! ```
//!
//! With `ProxyJump`, shaking hands and logging in are done for one host after the other, each by its own settings, and
//! the streams of all but the first are channels of the host before. What the client does not do is left to the `ssh`
//! program (`external`), if the choice is not ours alone to make.
//!
//! **Why it cannot hang with both directions full.** A russh session is one task that waits for its socket write to
//! complete without reading meanwhile; two such ends with full buffers wait for each other for ever. So the session
//! writes into an outbox that takes everything at once, and the tasks that feed it data hold back while the
//! outbox is high. The reading side likewise hands every message to a queue whose reader always drains.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::report::Prompter;
use crate::transport::target::Host;
use crate::transport::{Connection, Error, IpFamily, Notice, NoticeSink, StderrSink};
use telling::Telling;

mod acknowledge;
mod algorithms;
mod ask;
mod auth;
mod channel;
mod client;
mod dial;
mod external;
mod greeting;
mod interrupt;
mod known_hosts;
mod lines;
mod outbox;
mod proxy;
mod queue;
mod resolve;
mod server_text;
mod session;
mod settings;
mod stream;
mod telling;
mod tokens;

#[cfg(test)]
mod tests;

pub use interrupt::Interrupt;

/// What the built-in client needs to know and whom it may talk to.
#[derive(Clone)]
pub struct Options {
    /// Facts about the user.
    pub environment: Environment,
    /// A configuration file to read instead of the user's and the system's, or `none` for no file (`ssh -F`).
    pub config_file: Option<PathBuf>,
    /// Which addresses are tried, whatever the configuration says.
    pub family: Option<IpFamily>,
    /// The longest that connecting, and then the handshake and login without the user's own time, may take.
    /// Without it the configuration's `ConnectTimeout` holds, else one minute.
    pub connect_timeout: Option<Duration>,
    /// The longest that the agent may take to tell what it holds, but never more than half of what a login may take.
    pub agent_timeout: Duration,
    /// Ends the connecting before that.
    pub interrupt: Interrupt,
    /// Answers questions about host keys, passphrases and passwords.
    pub prompter: Arc<dyn Prompter>,
    /// Takes the remote command's standard error.
    pub on_stderr: StderrSink,
    /// Takes notices.
    pub on_notice: NoticeSink,
    /// Whether each step is told as a notice, too.
    pub tell_steps: bool,
    /// Which client does it.
    pub choice: Choice,
}

/// Which SSH client is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice {
    /// The built-in one, and the `ssh` program for what that one does not do.
    #[default]
    Auto,
    /// The built-in one only.
    BuiltIn,
    /// The `ssh` program.
    External,
}

/// Facts about the user that the library does not look up itself.
#[derive(Debug, Clone)]
pub struct Environment {
    /// The home directory in the sense of `~` in `ssh_config`, that is the password database's.
    pub home: PathBuf,
    /// The local login name.
    pub user: String,
    /// The agent's socket (`SSH_AUTH_SOCK`).
    pub agent_socket: Option<PathBuf>,
    /// The shell that runs proxy commands (`SHELL`).
    pub shell: PathBuf,
    /// The OpenSSH client program, asked for the configuration: a path, or a name to be found in the path.
    pub ssh_program: OsString,
}

/// Connects to `host`, logs in, and runs `command` there.
///
/// Blocks until the command is asked for; whether it could be started shows when reading. Must not be called from
/// within an asynchronous runtime.
///
/// # Errors
/// When the configuration cannot be honoured, the host not reached, its key not trusted, no login is accepted, or it is
/// interrupted.
pub fn connect(host: &Host, command: &[u8], options: &Options) -> Result<Connection, Error> {
    let error = match options.choice {
        Choice::External => return external::connect(host, command, options),
        Choice::BuiltIn => return built_in(host, command, options),
        Choice::Auto => match built_in(host, command, options) {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        },
    };
    let shared = || external::shared_connection(host, options, &error);
    let Some(reason) = error.beyond_the_client().or_else(shared) else { return Err(error) };
    match external::connect(host, command, options) {
        // Without the program, what the built-in client says is what counts.
        Err(Error::Spawn { .. }) => Err(error),
        connected => {
            (options.on_notice)(Notice::External { host: host.name.clone(), reason });
            connected
        }
    }
}

fn built_in(host: &Host, command: &[u8], options: &Options) -> Result<Connection, Error> {
    let telling = Telling::of(options);
    let way = resolve::way(host, options, &telling)?;
    session::Session::connect(&way, options, &telling)?.open(command)
}
