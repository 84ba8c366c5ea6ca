//! A logged-in session: the runtime its tasks live on, and the channels opened over it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle};
use russh::{ChannelOpenFailure, Disconnect, SshId};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

use crate::transport::ssh::acknowledge::Acknowledging;
use crate::transport::ssh::ask::Asker;
use crate::transport::ssh::channel::{self, Surroundings};
use crate::transport::ssh::client::{Client, LossReason, SessionError, describe};
use crate::transport::ssh::dial::dial;
use crate::transport::ssh::known_hosts::{KnownHosts, Names};
use crate::transport::ssh::outbox::{Gate, buffered};
use crate::transport::ssh::queue::Budget;
use crate::transport::ssh::settings::Settings;
use crate::transport::ssh::{Interrupt, Options, algorithms, auth};
use crate::transport::{Connection, Error, StderrSink};

/// What a channel may hold of ours at the server's side unacknowledged and the other way round, in bytes: bounds
/// a channel's speed to this per round trip. russh grants it anew on arrival, so it is no measure of our memory.
const WINDOW: u32 = 16 << 20;

/// The largest packet SSH implementations are sure to take, in bytes.
const PACKET: u32 = 65_535;

/// The limit for the steps of connecting where nobody set one.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

/// How long the goodbye to the server, and the runtime's end after it, may take.
const GOODBYE: Duration = Duration::from_millis(300);

/// See the module. Ends with its last channel.
pub(super) struct Session {
    engine: Engine,
    handle: Handle<Client>,
    gate: Gate,
    inbound: Arc<Budget>,
    loss: LossReason,
    host: String,
    command: Vec<u8>,
    limit: Duration,
    interrupt: Interrupt,
    on_stderr: StderrSink,
}

/// A runtime that ends in bounded time, even with a thread still in a name look-up.
struct Engine(Option<Runtime>);

impl Engine {
    fn start() -> Result<Self, Error> {
        // One thread encrypts and decrypts, which is the session's limit; the other writes to the socket.
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("ssh")
            .enable_all()
            .build()
            .map_err(|source| Error::Start { source })?;
        Ok(Self(Some(runtime)))
    }

    fn block_on<F: Future>(&self, work: F) -> Result<F::Output, Error> {
        let ended = || Error::Start { source: std::io::Error::other("the runtime has ended") };
        Ok(self.0.as_ref().ok_or_else(ended)?.block_on(work))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_timeout(GOODBYE);
        }
    }
}

impl Session {
    /// Connects and logs in.
    pub(super) fn connect(settings: Settings, command: &[u8], options: &Options) -> Result<Arc<Self>, Error> {
        let engine = Engine::start()?;
        let limit = options.connect_timeout.or(settings.connect_timeout).unwrap_or(DEFAULT_LIMIT);
        let loss = LossReason::default();
        let asker = Asker::new(Arc::clone(&options.prompter), settings.batch);
        let work = async {
            let stream = dial(&settings, limit).await?;
            let login = log_in(&settings, stream, &asker, &loss, options);
            asker.clock().within(limit, login).await.ok_or_else(|| Error::Timeout {
                host: settings.hostname.clone(),
                stage: "the SSH handshake and login",
                seconds: limit.as_secs(),
            })?
        };
        let (handle, gate) = engine.block_on(options.interrupt.unless(&settings.hostname, work))??;
        Ok(Arc::new(Self {
            engine,
            handle,
            gate,
            inbound: Budget::new(channel::INBOUND),
            loss,
            host: settings.hostname,
            command: command.to_vec(),
            limit,
            interrupt: options.interrupt.clone(),
            on_stderr: Arc::clone(&options.on_stderr),
        }))
    }

    /// Opens a channel and asks for the command on it.
    pub(super) fn open(self: &Arc<Self>) -> Result<Connection, Error> {
        let work = async {
            tokio::time::timeout(self.limit, self.open_channel()).await.map_err(|_| Error::Timeout {
                host: self.host.clone(),
                stage: "the opening of a channel",
                seconds: self.limit.as_secs(),
            })?
        };
        self.engine.block_on(self.interrupt.unless(&self.host, work))?
    }

    async fn open_channel(self: &Arc<Self>) -> Result<Connection, Error> {
        let channel = self.handle.channel_open_session().await.map_err(|error| self.channel_error(error))?;
        let (reading, writing) = channel.split();
        writing.exec(true, self.command.clone()).await.map_err(|error| self.channel_error(error))?;
        let surroundings = Surroundings {
            gate: self.gate.clone(),
            inbound: Arc::clone(&self.inbound),
            loss: self.loss.clone(),
            on_stderr: Arc::clone(&self.on_stderr),
        };
        channel::connection(reading, writing, surroundings, Arc::clone(self))
            .map_err(|source| Error::Start { source })
    }

    fn channel_error(&self, error: russh::Error) -> Error {
        let host = self.host.clone();
        match error {
            russh::Error::ChannelOpenFailure(failure) => {
                let reason = match failure {
                    ChannelOpenFailure::AdministrativelyProhibited => "it is not allowed".to_owned(),
                    ChannelOpenFailure::ResourceShortage => "it has no resources left".to_owned(),
                    // What OpenSSH's server says when it has opened as many as it allows.
                    ChannelOpenFailure::ConnectFailed => "it could not or allows no more".to_owned(),
                    other => format!("{other:?}"),
                };
                Error::Channel { host, reason }
            }
            _ => Error::Lost { host, reason: self.loss.get() },
        }
    }
}

impl Drop for Session {
    /// Says goodbye, so that the server's log does not call the connection lost.
    fn drop(&mut self) {
        let goodbye = async {
            let said = self.handle.disconnect(Disconnect::ByApplication, "", "").await;
            if said.is_ok() {
                self.gate.closed().await;
            }
        };
        // Nothing is lost when it does not go through.
        let _ = self.engine.block_on(async { tokio::time::timeout(GOODBYE, goodbye).await });
    }
}

/// Shakes hands over `stream`, checks the host key, and logs in.
async fn log_in(
    settings: &Settings,
    stream: TcpStream,
    asker: &Asker,
    loss: &LossReason,
    options: &Options,
) -> Result<(Handle<Client>, Gate), Error> {
    let names = Names::of(settings);
    let files = settings.user_known_hosts.iter().chain(&settings.global_known_hosts);
    let known = KnownHosts::load(&names, files)?;
    let config = client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-dsync_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        preferred: algorithms::preferred(settings, &known)?,
        keepalive_interval: Some(settings.alive_interval),
        keepalive_max: settings.alive_count,
        nodelay: true,
        ..client::Config::default()
    };
    let on_notice = Arc::clone(&options.on_notice);
    let client = Client::new(settings, names, known, asker.clone(), on_notice, loss.clone());
    let (reading, writing) = stream.into_split();
    let (stream, gate) = buffered(Acknowledging::new(reading), writing);
    let mut handle =
        client::connect_stream(Arc::new(config), stream, client).await.map_err(|error| match error {
            SessionError::Refused(error) => error,
            other => Error::Handshake { host: settings.hostname.clone(), reason: describe(&other) },
        })?;
    auth::log_in(&mut handle, settings, asker, loss, &options.on_notice).await?;
    Ok((handle, gate))
}
