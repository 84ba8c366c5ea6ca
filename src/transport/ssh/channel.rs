//! One remote command on its channel, turned into blocking streams.
//!
//! Two tasks move bytes. The *inbound* task takes every message of the channel as it comes, since a message nobody
//! takes stops the whole session; data goes to a queue that holds what the peer's credit allows. The *outbound* task
//! takes chunks from a small queue and gives them to the session when the outbox is low and the server's window
//! open. Standard error has a queue and a thread of its own, because whoever shows it may be slow.

use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf, Bytes};
use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::transport::command::RemoteCommand;
use crate::transport::connection::Carrier;
use crate::transport::ssh::client::LossReason;
use crate::transport::ssh::outbox::Gate;
use crate::transport::ssh::queue::{Budget, ByteQueue, Popped};
use crate::transport::ssh::server_text::visible;
use crate::transport::ssh::session::Session;
use crate::transport::{Connection, Control, Error, RemoteExit, StderrSink};

/// Received and not yet read by all channels of a session together, in bytes: the credit a link grants its peer (32
/// MiB) and its messages beside. Beyond it the session stops reading, which only a peer that ignores its credit brings
/// about.
pub(super) const INBOUND: usize = 34 << 20;

/// Written and not yet given to the session, in bytes.
const OUTBOUND: usize = 256 << 10;

/// What the session is given at a time, in bytes: OpenSSH's packet.
const PIECE: usize = 32 << 10;

/// Standard error not yet shown, in bytes.
const STDERR: usize = 1 << 20;

/// The most that one write takes, in bytes.
const CHUNK: usize = 256 << 10;

/// The extended data type of standard error (RFC 4254, section 5.2).
const EXTENDED_STDERR: u32 = 1;

/// The parts of a channel that its tasks, its streams and its control share.
pub(super) struct ExecChannel {
    inbound: ByteQueue,
    outbound: ByteQueue,
    stderr: ByteQueue,
    closing: Notify,
    ending: Ending,
}

/// How far the end has come.
#[derive(Default)]
struct Ending {
    state: Mutex<EndState>,
    changed: Condvar,
}

#[derive(Default)]
struct EndState {
    exit: Option<RemoteExit>,
    stderr_done: bool,
}

impl Ending {
    fn lock(&self) -> MutexGuard<'_, EndState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, change: impl FnOnce(&mut EndState)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn wait(&self, timeout: Duration) -> Option<RemoteExit> {
        let open = |state: &mut EndState| state.exit.is_none() || !state.stderr_done;
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), timeout, open)
            .unwrap_or_else(PoisonError::into_inner);
        state.exit.clone().filter(|_| state.stderr_done)
    }
}

/// What the inbound task needs beside the channel.
pub(super) struct Surroundings {
    pub(super) gate: Gate,
    pub(super) inbound: Arc<Budget>,
    pub(super) loss: LossReason,
    pub(super) on_stderr: StderrSink,
}

/// Starts the tasks of a channel on which the command has been asked for, and returns its streams. Called within
/// the runtime.
pub(super) fn connection(
    reading: ChannelReadHalf,
    writing: ChannelWriteHalf<Msg>,
    surroundings: Surroundings,
    session: Arc<Session>,
    command: &[u8],
) -> io::Result<Connection> {
    let Surroundings { gate, inbound, loss, on_stderr } = surroundings;
    let channel = Arc::new(ExecChannel {
        inbound: ByteQueue::within(&inbound),
        outbound: ByteQueue::new(OUTBOUND),
        stderr: ByteQueue::new(STDERR),
        closing: Notify::new(),
        ending: Ending::default(),
    });
    let for_stderr = Arc::clone(&channel);
    std::thread::Builder::new()
        .name("ssh-stderr".to_owned())
        .spawn(move || for_stderr.show_stderr(&on_stderr))?;
    let writing = Arc::new(writing);
    let outbound = tokio::spawn(send(Arc::clone(&channel), Arc::clone(&writing), gate)).abort_handle();
    tokio::spawn(receive(Arc::clone(&channel), reading, writing, outbound, loss));
    let held = Arc::new(Held { channel, session, command: command.to_vec() });
    Ok(Connection {
        reader: Box::new(ChannelReader { held: Arc::clone(&held), current: Bytes::new() }),
        writer: Box::new(ChannelWriter { held: Arc::clone(&held) }),
        control: Control::new(held),
    })
}

impl ExecChannel {
    fn show_stderr(&self, sink: &StderrSink) {
        while let Ok(Some(chunk)) = self.stderr.pop_blocking() {
            sink(&chunk);
        }
        self.ending.update(|state| state.stderr_done = true);
    }

    /// Takes one message; the exit it tells of, if it does.
    async fn take(&self, message: ChannelMsg) -> Option<RemoteExit> {
        match message {
            // A push fails when the reader is gone; what still comes is then discarded, as it must be taken.
            ChannelMsg::Data { data } => drop(self.inbound.push(data).await),
            ChannelMsg::ExtendedData { data, ext: EXTENDED_STDERR } => drop(self.stderr.push(data).await),
            ChannelMsg::Eof => self.inbound.finish(),
            ChannelMsg::ExitStatus { exit_status } => return Some(RemoteExit::Status(exit_status)),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                return Some(RemoteExit::Signal(signal_name_of(&signal_name)));
            }
            _ => {}
        }
        None
    }
}

fn signal_name_of(signal: &russh::Sig) -> String {
    match signal {
        russh::Sig::Custom(name) => visible(name),
        known => format!("{known:?}"),
    }
}

/// The outbound task.
async fn send(channel: Arc<ExecChannel>, writing: Arc<ChannelWriteHalf<Msg>>, gate: Gate) {
    loop {
        match channel.outbound.pop().await {
            Popped::Chunk(mut chunk) => {
                while !chunk.is_empty() {
                    let piece = chunk.split_to(chunk.len().min(PIECE));
                    gate.pass(piece.len()).await;
                    if writing.data_bytes(piece).await.is_err() {
                        return;
                    }
                }
            }
            Popped::Finished => {
                // Fails only when the session is over, which the inbound task reports.
                let _ = writing.eof().await;
                return;
            }
            Popped::Failed => return,
        }
    }
}

/// The inbound task; outlives the outbound one and reports the end.
async fn receive(
    channel: Arc<ExecChannel>,
    mut reading: ChannelReadHalf,
    writing: Arc<ChannelWriteHalf<Msg>>,
    outbound: AbortHandle,
    loss: LossReason,
) {
    let mut exit = None;
    let closed = loop {
        let message = tokio::select! {
            message = reading.wait() => message,
            () = channel.closing.notified() => {
                let _ = writing.close().await;
                break RemoteExit::Lost("the connection was closed".to_owned());
            }
        };
        match message {
            Some(ChannelMsg::Failure) => {
                let _ = writing.close().await;
                let reason = "the server refused to run the command";
                channel.inbound.fail(reason);
                break RemoteExit::Lost(reason.to_owned());
            }
            Some(ChannelMsg::Close) => {
                channel.inbound.finish();
                break RemoteExit::Lost("the server closed the channel without an exit status".to_owned());
            }
            Some(message) => exit = channel.take(message).await.or(exit),
            None => {
                let reason = loss.get();
                channel.inbound.fail(&reason);
                channel.outbound.fail(&reason);
                break RemoteExit::Lost(reason);
            }
        }
    };
    outbound.abort();
    channel.outbound.fail("the remote command has ended");
    channel.stderr.finish();
    channel.ending.update(|state| state.exit = Some(exit.unwrap_or(closed)));
}

/// Keeps the session alive as long as a part of the connection is held, and ends the channel after that.
struct Held {
    channel: Arc<ExecChannel>,
    session: Arc<Session>,
    command: Vec<u8>,
}

impl Carrier for Held {
    fn close(&self) {
        const REASON: &str = "the connection was closed";
        self.channel.inbound.abort(REASON);
        self.channel.outbound.abort(REASON);
        // Lets go of the inbound task and the thread, which may wait for each other over a sink that takes nothing.
        self.channel.stderr.finish();
        self.channel.closing.notify_one();
    }

    fn wait(&self, timeout: Duration) -> Option<RemoteExit> {
        self.channel.ending.wait(timeout)
    }

    fn may_ask(&self) -> bool {
        false
    }

    fn another(&self) -> Result<Connection, Error> {
        self.session.open(&self.command)
    }

    fn run(&self, command: &RemoteCommand) -> Result<Connection, Error> {
        self.session.open(&command.line())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.close();
    }
}

struct ChannelReader {
    held: Arc<Held>,
    current: Bytes,
}

impl Read for ChannelReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !buffer.is_empty() {
            match self.held.channel.inbound.pop_blocking()? {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let count = self.current.len().min(buffer.len());
        if let Some(start) = buffer.get_mut(..count) {
            self.current.copy_to_slice(start);
        }
        Ok(count)
    }
}

impl Drop for ChannelReader {
    fn drop(&mut self) {
        self.held.channel.inbound.abort("nobody reads any more");
    }
}

struct ChannelWriter {
    held: Arc<Held>,
}

impl Write for ChannelWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let taken = buffer.get(..CHUNK).unwrap_or(buffer);
        if !taken.is_empty() {
            self.held.channel.outbound.push_blocking(Bytes::copy_from_slice(taken))?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ChannelWriter {
    fn drop(&mut self) {
        self.held.channel.outbound.finish();
    }
}
