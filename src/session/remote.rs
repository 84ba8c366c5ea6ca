//! The asking side of a run with a peer.

use crate::pass::{Context, PassError};
use crate::report::{Event, Totals};
use crate::request::{NamesFrom, Part, Request};
use crate::session::bootstrap::{self, Executable, Signs, Trouble};
use crate::session::expecting::Expecting;
use crate::session::retry::Broken;
use crate::session::streams::Helpers;
use crate::session::{Failure, Outcome, Run, Surroundings, TwoWayOutcome, context, one_way, talk};
use crate::transport::{Connection, Control, RemoteExit, child, command::RemoteCommand, ssh, target::Host};
use crate::twoway::run::RunError;
use crate::wire::frame::Compressed;
use crate::wire::hello::{self, Hello};
use crate::wire::pump::{CompressedTraffic, Pump, PumpOptions, Traffic, Unconnected};
use crate::wire::{Link, WireError};
use std::borrow::Cow;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

/// How long the peer may take to end after everything is done, or after the connection broke.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How long the SSH agent may take to tell what it holds. More than one needs that has to be started first, or that
/// looks for a card.
const AGENT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the peer of a run that is stopped has to hear of it.
const HEARING: Duration = Duration::from_secs(1);

/// What a peer is told of a run that is stopped.
pub(super) const INTERRUPTED: &str = "the run was interrupted";

pub(super) fn push(
    run: &Run,
    surroundings: &Surroundings,
    sources: &[Vec<u8>],
    host: &Host,
    destination: Vec<u8>,
) -> Result<Outcome, Broken> {
    with_peer(run, surroundings, host, Part::Sink { destination }, |mut link, context| {
        let heard = match context.options.names_from {
            Some(NamesFrom::Peer { .. }) => Some(talk::hear(&mut link, &*context.reporter)?),
            _ => None,
        };
        let names = heard.map(Cow::Owned).or(run.names.as_deref().map(Cow::Borrowed));
        Ok(one_way::source(link, sources, names, context)?.into())
    })
}

pub(super) fn pull(
    run: &Run,
    surroundings: &Surroundings,
    host: &Host,
    sources: Vec<Vec<u8>>,
    destination: &[u8],
) -> Result<Outcome, Broken> {
    with_peer(run, surroundings, host, Part::Source { arguments: sources }, |mut link, context| {
        if let Some(names) = &run.names {
            talk::say(&mut link, names)?;
        }
        Ok(one_way::sink(link, destination, context)?.into())
    })
}

/// What came of playing a part.
pub(super) struct Played {
    pub totals: Totals,
    pub two_way: Option<TwoWayOutcome>,
}

impl From<Totals> for Played {
    fn from(totals: Totals) -> Played {
        Played { totals, two_way: None }
    }
}

/// Connects, asks the peer to play `part`, and plays the other.
pub(super) fn with_peer(
    run: &Run,
    surroundings: &Surroundings,
    host: &Host,
    part: Part,
    play: impl FnOnce(Link, &Context) -> Result<Played, RunError> + Send,
) -> Result<Outcome, Broken> {
    let start = Instant::now();
    let content_goes = match part {
        Part::Sink { .. } => (true, false),
        Part::Source { .. } => (false, true),
        Part::Replica { .. } => (true, true),
    };
    let seed = run.seed();
    let (reporter, progress) = (surroundings.reporter.clone(), surroundings.progress.clone());
    let context = context(run.options.clone(), run.paths, seed, reporter, progress);
    let mut greeting = Hello::new(seed).encode();
    greeting.extend(hello::encode_request(&Request { part, options: run.peer_options.clone() }));
    let options = PumpOptions {
        compression: run.options.compress,
        bandwidth: run.options.bandwidth,
        timeout: run.options.timeout,
        expects_hello: true,
    };
    // The content goes one way; what goes the other, the sums of blocks, is not what a person means by it.
    let compressed = |traffic: &Traffic| {
        let of = |counts: bool, traffic: &CompressedTraffic| {
            if counts { traffic.read() } else { Compressed::default() }
        };
        let (sent, received) = content_goes;
        of(sent, &traffic.sent_compressed).and(of(received, &traffic.received_compressed))
    };
    let (link, unconnected) = Unconnected::new();
    let stopper = unconnected.stopper();
    surroundings.cancel.on_cancel(move || stopper.give_up(INTERRUPTED));
    let signs = unconnected.signs();
    let signs: Signs = Arc::new(move || signs.seen());
    let helpers = Helpers::default();
    let to_close = helpers.clone();
    surroundings.cancel.on_cancel(move || to_close.close());
    let outcome = thread::scope(|scope| {
        // The role begins while the connection is made: a source has a tree to walk. If none is made, dropping
        // `unconnected` ends it.
        let playing = scope.spawn(|| play(link, &context));
        let connected = connect(run, surroundings, host, signs).and_then(|(connection, trouble)| {
            let Connection { reader, writer, control } = connection;
            let hold = control.clone();
            surroundings.cancel.on_cancel(move || close_soon(&hold));
            let system = |source| Failure::System { doing: "setting up the connection", source };
            let further = helpers.further(run.options.streams, &control, &surroundings.reporter);
            let pump = unconnected.connect(reader, writer, greeting, options, further).map_err(system)?;
            Ok((pump, control, trouble))
        });
        let played = playing.join().unwrap_or_else(|panic| resume_unwind(panic));
        let (pump, control, trouble) = connected?;
        let traffic = pump.traffic();
        let sent = || traffic.sent.load(Ordering::Relaxed);
        let received = || traffic.received.load(Ordering::Relaxed);
        match played {
            Ok(Played { totals, two_way }) => {
                pump.finish();
                control.wait(GRACE);
                helpers.wait(GRACE);
                Ok(Outcome {
                    totals,
                    sent: sent(),
                    received: received(),
                    listed: traffic.listed.load(Ordering::Relaxed),
                    compressed: run.options.compress.map(|_| compressed(&traffic)),
                    elapsed: start.elapsed(),
                    connecting: traffic.begun.get().map(|begun| begun.duration_since(start)),
                    retries: 0,
                    two_way,
                })
            }
            Err(error) => {
                let failure = explain(error, pump, &control, &trouble);
                Err(Broken { failure, sent: sent(), received: received() })
            }
        }
    });
    helpers.close();
    outcome
}

/// Closes a connection once the peer has had time to hear why, or at once if nothing can wait for that.
fn close_soon(control: &Control) {
    let hold = control.clone();
    let waits = move || {
        hold.wait(HEARING);
        hold.close();
    };
    if thread::Builder::new().name("last words".into()).spawn(waits).is_err() {
        control.close();
    }
}

/// Gets a byte stream to a dsync on a host, which is put there if need be and the user did not say otherwise. That may
/// go on while the stream is used: what it is not to be mistaken for silence is told to `signs`, and why it failed to
/// whoever looks for trouble once the stream has ended.
pub(super) fn connect(
    run: &Run,
    surroundings: &Surroundings,
    host: &Host,
    signs: Signs,
) -> Result<(Connection, Trouble), Failure> {
    let executable = run.shell.executable.as_deref();
    // A host that has dsync needs nothing of this one's file.
    let executable = executable.and_then(|path| Executable::read(path.as_os_str()).ok());
    let shell = run.shell.command.as_deref();
    let command = match &executable {
        Some(executable) if shell.is_none_or(child::is_openssh) => bootstrap::command(executable)?,
        _ => RemoteCommand::server(&run.shell.remote_program)?,
    };
    let connection = match shell {
        Some(shell) => child::connect(shell, host, &command, run.shell.family)?,
        None => connect_ssh(run, surroundings, host, &command)?,
    };
    let trouble = Trouble::default();
    let expecting = Expecting::of(host.to_string(), run.options.timeout, trouble.clone());
    let expecting = if executable.is_some() { expecting.twice() } else { expecting };
    let connection = expecting.watch(connection);
    let connection = match executable {
        Some(executable) => {
            let (host, reporter) = (host.to_string(), surroundings.reporter.clone());
            bootstrap::see_to(connection, executable, host, reporter, signs, expecting)
        }
        None => connection,
    };
    Ok((connection, trouble))
}

fn connect_ssh(
    run: &Run,
    surroundings: &Surroundings,
    host: &Host,
    command: &RemoteCommand,
) -> Result<Connection, Failure> {
    let interrupt = ssh::Interrupt::new();
    {
        let interrupt = interrupt.clone();
        surroundings.cancel.on_cancel(move || interrupt.interrupt());
    }
    let (stderr, notices) = (surroundings.reporter.clone(), surroundings.reporter.clone());
    let options = ssh::Options {
        environment: surroundings.environment.clone(),
        config_file: run.shell.ssh_config.clone(),
        family: run.shell.family,
        connect_timeout: run.options.timeout.map(|seconds| Duration::from_secs(seconds.into())),
        agent_timeout: AGENT_TIMEOUT,
        interrupt,
        prompter: surroundings.prompter.clone(),
        on_stderr: Arc::new(move |bytes| stderr.report(Event::Remote(bytes.to_vec()))),
        on_notice: Arc::new(move |notice| notices.report(Event::Notice(notice.to_string()))),
        tell_steps: run.shell.ssh_debug,
        choice: run.shell.ssh,
    };
    Ok(ssh::connect(host, &command.line(), &options)?)
}

/// Finds out why a pass ended early: from what the link says, else from how the peer ended.
fn explain(error: RunError, pump: Pump, control: &Control, trouble: &Trouble) -> Failure {
    if let Some(failure) = trouble.take() {
        control.close();
        return failure;
    }
    if !matches!(error, RunError::Pass(PassError::Lost)) {
        // What the other side still has to hear was put in the outbox before the link closed.
        control.close();
        return error.into();
    }
    let failure = pump.stopper().failure();
    if let Some(error) = failure.filter(|error| !matches!(error, WireError::Ended | WireError::Io(_))) {
        control.close();
        return error.into();
    }
    let heard = pump.traffic().received.load(Ordering::Relaxed) > 0;
    let exit = control.wait(GRACE);
    control.close();
    match exit {
        Some(_) if !heard => Failure::NotStarted(exit),
        _ => Failure::Lost(exit.filter(|exit| *exit != RemoteExit::Status(0))),
    }
}
