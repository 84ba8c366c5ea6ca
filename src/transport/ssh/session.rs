//! A logged-in session: the runtime its tasks live on, and the channels opened over it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client;
use russh::{ChannelOpenFailure, SshId};
use tokio::runtime::{Builder, Runtime};

use crate::transport::refusal::Spent;
use crate::transport::ssh::ask::Asker;
use crate::transport::ssh::channel::{self, Surroundings};
use crate::transport::ssh::client::{Client, Doubt, LossReason, SessionError, describe};
use crate::transport::ssh::dial::dial;
use crate::transport::ssh::greeting::Kept;
use crate::transport::ssh::known_hosts::{KnownHosts, Names};
use crate::transport::ssh::outbox::buffered;
use crate::transport::ssh::queue::Budget;
use crate::transport::ssh::settings::{Route, Settings};
use crate::transport::ssh::stream::{Hop, Stream};
use crate::transport::ssh::telling::Telling;
use crate::transport::ssh::{Choice, Interrupt, Options, algorithms, auth, proxy};
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
    /// The host itself, and with it those on the way.
    hop: Hop,
    inbound: Arc<Budget>,
    host: String,
    limit: Duration,
    interrupt: Interrupt,
    on_stderr: StderrSink,
    telling: Telling,
    /// Last, so that it is there while the rest ends.
    engine: Engine,
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
    /// Connects and logs in to the hosts of `way`, one through the other; the last is the one to be reached.
    pub(super) fn connect(
        way: &[Settings],
        options: &Options,
        telling: &Telling,
    ) -> Result<Arc<Self>, Error> {
        let nobody = || Error::Start { source: std::io::Error::other("there is no host to reach") };
        let target = way.last().ok_or_else(nobody)?;
        let engine = Engine::start()?;
        let work = async {
            let mut reached: Option<Hop> = None;
            for settings in way {
                telling.step(|| settings.to_string());
                let stream = match reached.take() {
                    Some(hop) => hop.onward(settings, telling).await?,
                    None => first_stream(settings, options, telling).await?,
                };
                reached = Some(enter(settings, stream, options, telling).await?);
            }
            reached.ok_or_else(nobody)
        };
        let hop = engine.block_on(options.interrupt.unless(&target.hostname, work))??;
        Ok(Arc::new(Self {
            hop,
            inbound: Budget::new(channel::INBOUND),
            host: target.hostname.clone(),
            limit: limit(target, options),
            interrupt: options.interrupt.clone(),
            on_stderr: Arc::clone(&options.on_stderr),
            telling: telling.clone(),
            engine,
        }))
    }

    /// Opens a channel and asks for the command on it.
    pub(super) fn open(self: &Arc<Self>, command: &[u8]) -> Result<Connection, Error> {
        let work = async {
            tokio::time::timeout(self.limit, self.open_channel(command)).await.map_err(|_| {
                Error::Timeout {
                    host: self.host.clone(),
                    stage: "the opening of a channel",
                    seconds: self.limit.as_secs(),
                    spent: Spent::default(),
                }
            })?
        };
        self.engine.block_on(self.interrupt.unless(&self.host, work))?
    }

    async fn open_channel(self: &Arc<Self>, command: &[u8]) -> Result<Connection, Error> {
        let channel =
            self.hop.handle.channel_open_session().await.map_err(|error| self.channel_error(error))?;
        let (reading, writing) = channel.split();
        self.telling.step(|| format!("running {:?}", String::from_utf8_lossy(command)));
        writing.exec(true, command).await.map_err(|error| self.channel_error(error))?;
        let surroundings = Surroundings {
            gate: self.hop.gate.clone(),
            inbound: Arc::clone(&self.inbound),
            loss: self.hop.loss.clone(),
            on_stderr: Arc::clone(&self.on_stderr),
        };
        channel::connection(reading, writing, surroundings, Arc::clone(self), command)
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
            _ => Error::Lost { host, reason: self.hop.loss.get() },
        }
    }
}

impl Drop for Session {
    /// Says goodbye, so that the server's log does not call the connection lost.
    fn drop(&mut self) {
        // Nothing is lost when it does not go through.
        let _ = self.engine.block_on(async { tokio::time::timeout(GOODBYE, self.hop.goodbye()).await });
    }
}

/// How long a step of connecting may take.
fn limit(settings: &Settings, options: &Options) -> Duration {
    options.connect_timeout.or(settings.connect_timeout).unwrap_or(DEFAULT_LIMIT)
}

/// The stream to the first host on a way.
async fn first_stream(settings: &Settings, options: &Options, telling: &Telling) -> Result<Stream, Error> {
    match &settings.route {
        Route::Command(command) => proxy::start(command, settings, &options.environment.shell, telling),
        Route::Direct | Route::Jump(_) => Ok(dial(settings, limit(settings, options), telling).await?.into()),
    }
}

/// Shakes hands over `stream`, checks the host key, and logs in.
async fn enter(
    settings: &Settings,
    stream: Stream,
    options: &Options,
    telling: &Telling,
) -> Result<Hop, Error> {
    let limit = limit(settings, options);
    let asker = Asker::new(Arc::clone(&options.prompter), settings.batch);
    let Stream { reading, writing, mut way } = stream;
    let (reading, greeting) = Kept::new(reading);
    let (stream, gate) = buffered(reading, writing);
    let loss = way.carrier().map_or_else(LossReason::default, |hop| LossReason::behind(&hop.host, &hop.loss));
    let login = async {
        let doubt = Doubt::default();
        let (config, client) = prepare(settings, &asker, (&loss, &doubt), telling)?;
        let mut handle =
            client::connect_stream(Arc::new(config), stream, client).await.map_err(|error| match error {
                SessionError::Refused(error) => error,
                SessionError::Ssh(russh::Error::NoCommonAlgo { kind, theirs, .. }) => {
                    algorithms::none_in_common(settings, &kind, &theirs)
                }
                other => {
                    let host = settings.hostname.clone();
                    match greeting.of_another_protocol() {
                        Some(said) => Error::NoSsh { host, port: settings.port, said },
                        None => Error::Handshake { host, reason: describe(&other) },
                    }
                }
            })?;
        let may_leave = options.choice == Choice::Auto && settings.read_by_ssh;
        // What is left without the agent has to have its time, too.
        let agent_limit = options.agent_timeout.min(limit / 2);
        auth::log_in(&mut handle, settings, &asker, (&loss, &doubt), telling, may_leave, agent_limit).await?;
        Ok(handle)
    };
    let entered = asker.clock().within(limit, login).await.unwrap_or_else(|| {
        Err(Error::Timeout {
            host: settings.hostname.clone(),
            stage: "the SSH handshake and login",
            seconds: limit.as_secs(),
            spent: asker.spent(),
        })
    });
    match entered {
        Ok(handle) => Ok(Hop { handle, gate, loss, way, host: settings.hostname.clone() }),
        Err(error) => Err(way.explain(settings, error)),
    }
}

/// What russh needs to know for a session, and our side of it.
fn prepare(
    settings: &Settings,
    asker: &Asker,
    (loss, doubt): (&LossReason, &Doubt),
    telling: &Telling,
) -> Result<(client::Config, Client), Error> {
    let names = Names::of(settings);
    let files = settings.user_known_hosts.iter().chain(&settings.global_known_hosts);
    let known = KnownHosts::load(&names, files, settings.authority_algorithms.as_ref())?;
    let config = client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!("SSH-2.0-dsync_", env!("CARGO_PKG_VERSION")))),
        window_size: WINDOW,
        maximum_packet_size: PACKET,
        preferred: algorithms::preferred(settings, &known, telling)?,
        keepalive_interval: Some(settings.alive_interval),
        keepalive_max: settings.alive_count,
        nodelay: true,
        ..client::Config::default()
    };
    let client =
        Client::new(settings, names, known, asker.clone(), telling.clone(), loss.clone(), doubt.clone());
    Ok((config, client))
}
