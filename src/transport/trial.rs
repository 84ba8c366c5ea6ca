//! A connection on trial: the first words of its far end decide whether it is the right one.
//!
//! The asking side writes without waiting for an answer, and whether a dsync reads that shows only in the answer. So
//! what is written before there is one is kept. A [`Judge`] looks at the beginning of the answer, and may put another
//! connection in the place of this one, whose beginning it judges as well; once it is content, what was kept is written
//! again to the connection that stays. Whoever reads and writes notices nothing of all this.
//!
//! What is kept is bounded by what a side may say without having heard anything, which is the business of the link
//! above.

use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::transport::command::RemoteCommand;
use crate::transport::connection::Carrier;
use crate::transport::{Connection, Control, Error, RemoteExit};

/// What becomes of a connection on trial.
pub enum Verdict {
    /// It stays, and what was read of it is read again.
    Keep,
    /// This one takes its place, and is judged next.
    Instead(Connection),
    /// There is none; reading fails with this.
    Fail(io::Error),
}

/// Judges by what is read. It is asked again for each connection that it put in the place of another.
pub type Judge = Box<dyn FnMut(&mut dyn Read, &Trial) -> Verdict + Send>;

/// What a judge can do besides reading.
pub struct Trial(Arc<Shared>);

/// Puts a connection on trial. The judge is first asked when something is to be read.
pub fn on_trial(connection: Connection, judge: Judge) -> Connection {
    let Connection { reader, writer, control } = connection;
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            control,
            errand: None,
            is_closed: false,
            kept: Vec::new(),
            is_finished: false,
            phase: Phase::Undecided,
        }),
        changed: Condvar::new(),
    });
    Connection {
        reader: Box::new(TrialReader {
            again: Cursor::default(),
            reader,
            judge: Some(judge),
            shared: shared.clone(),
        }),
        writer: Box::new(TrialWriter { writer: Some(writer), is_settled: false, shared: shared.clone() }),
        control: Control::new(shared),
    }
}

impl Trial {
    /// Waits for the end of the connection that is judged: see [`Control::wait`].
    pub fn wait(&self, timeout: Duration) -> Option<RemoteExit> {
        self.0.wait(timeout)
    }

    /// Runs another command on the same host. Closing the connection on trial closes that, too.
    ///
    /// # Errors
    /// As for [`Control::run`], or when the connection on trial was closed.
    pub fn run(&self, command: &RemoteCommand) -> Result<Connection, Error> {
        let connection = self.0.run(command)?;
        let mut state = self.0.lock();
        state.errand = Some(connection.control.clone());
        if state.is_closed {
            connection.control.close();
        }
        Ok(connection)
    }

    /// Whether the connection on trial was closed.
    pub fn is_closed(&self) -> bool {
        self.0.lock().is_closed
    }
}

/// What the reader, the writer and the control share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Of the connection that is judged, or stays.
    control: Control,
    /// Of the command that the judge ran last.
    errand: Option<Control>,
    is_closed: bool,
    /// What was written so far.
    kept: Vec<u8>,
    /// Whether nothing more will be written.
    is_finished: bool,
    phase: Phase,
}

/// How far the trial has come, for the writer.
enum Phase {
    Undecided,
    /// The first connection stays, or none does: there is nothing to be written again.
    Over,
    /// What was kept is being written to another connection.
    Repeating,
    /// It was written to this one, or failed to be.
    Repeated(io::Result<Box<dyn Write + Send>>),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) {
        let mut state = self.lock();
        state.phase = Phase::Over;
        state.kept = Vec::new();
        self.changed.notify_all();
    }

    /// Puts another control in the place of the present one.
    fn exchange(&self, control: Control) {
        let mut state = self.lock();
        state.errand = None;
        if state.is_closed {
            control.close();
        }
        let old = std::mem::replace(&mut state.control, control);
        drop(state);
        // Wakes a writer that is blocked in it.
        old.close();
    }

    /// Writes what was kept to `writer`, in a thread of its own: the peer may have much to say before it reads all.
    fn repeat(self: &Arc<Self>, writer: Box<dyn Write + Send>) -> io::Result<()> {
        let kept = {
            let mut state = self.lock();
            state.phase = Phase::Repeating;
            self.changed.notify_all();
            std::mem::take(&mut state.kept)
        };
        let shared = Arc::clone(self);
        let repeating = move || {
            let mut writer = writer;
            let repeated = writer.write_all(&kept).map(|()| writer);
            let mut state = shared.lock();
            // Nobody comes for the writer of one who has finished.
            state.phase = if state.is_finished { Phase::Over } else { Phase::Repeated(repeated) };
            shared.changed.notify_all();
        };
        thread::Builder::new().name("repeat".to_owned()).spawn(repeating).map(drop)
    }
}

impl Carrier for Shared {
    fn close(&self) {
        let controls = {
            let mut state = self.lock();
            state.is_closed = true;
            [Some(state.control.clone()), state.errand.clone()]
        };
        controls.into_iter().flatten().for_each(|control| control.close());
    }

    fn wait(&self, timeout: Duration) -> Option<RemoteExit> {
        let control = self.lock().control.clone();
        control.wait(timeout)
    }

    fn may_ask(&self) -> bool {
        self.lock().control.may_ask()
    }

    fn another(&self) -> Result<Connection, Error> {
        let control = self.lock().control.clone();
        control.another()
    }

    fn run(&self, command: &RemoteCommand) -> Result<Connection, Error> {
        let control = self.lock().control.clone();
        control.run(command)
    }
}

struct TrialReader {
    /// What the judge has read.
    again: Cursor<Vec<u8>>,
    reader: Box<dyn Read + Send>,
    judge: Option<Judge>,
    shared: Arc<Shared>,
}

/// Reads and remembers.
struct Remembering<'a> {
    reader: &'a mut dyn Read,
    read: Vec<u8>,
}

impl Read for Remembering<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.read.extend_from_slice(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl TrialReader {
    fn decide(&mut self, judge: &mut Judge) -> io::Result<()> {
        let trial = Trial(self.shared.clone());
        let mut other = None;
        loop {
            let mut remembering = Remembering { reader: &mut *self.reader, read: Vec::new() };
            match judge(&mut remembering, &trial) {
                Verdict::Keep => self.again = Cursor::new(remembering.read),
                Verdict::Fail(error) => return Err(error),
                Verdict::Instead(Connection { reader, writer, control }) => {
                    self.reader = reader;
                    other = Some(writer);
                    self.shared.exchange(control);
                    continue;
                }
            }
            return match other {
                Some(writer) => self.shared.repeat(writer),
                None => {
                    self.shared.over();
                    Ok(())
                }
            };
        }
    }
}

impl Read for TrialReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(mut judge) = self.judge.take() {
            self.decide(&mut judge).inspect_err(|_| self.shared.over())?;
        }
        match self.again.read(buffer)? {
            0 => self.reader.read(buffer),
            count => Ok(count),
        }
    }
}

impl Drop for TrialReader {
    fn drop(&mut self) {
        if self.judge.is_some() {
            self.shared.over();
        }
    }
}

struct TrialWriter {
    /// `None` once it has failed.
    writer: Option<Box<dyn Write + Send>>,
    is_settled: bool,
    shared: Arc<Shared>,
}

impl TrialWriter {
    /// Keeps `bytes`, or finds out that this is needed no more.
    fn keep(&mut self, bytes: &[u8]) -> io::Result<()> {
        let repeating = |state: &mut State| matches!(state.phase, Phase::Repeating);
        let state = self.shared.changed.wait_while(self.shared.lock(), repeating);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        if matches!(state.phase, Phase::Undecided) {
            state.kept.extend_from_slice(bytes);
            return Ok(());
        }
        self.is_settled = true;
        if let Phase::Repeated(repeated) = std::mem::replace(&mut state.phase, Phase::Over) {
            self.writer = None;
            self.writer = Some(repeated?);
        }
        Ok(())
    }

    /// Waits until it is known whether what was kept is written to another connection.
    fn is_repeated(&self) -> bool {
        let undecided = |state: &mut State| matches!(state.phase, Phase::Undecided);
        let state = self.shared.changed.wait_while(self.shared.lock(), undecided);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        matches!(state.phase, Phase::Repeating | Phase::Repeated(_))
    }
}

impl Write for TrialWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if !self.is_settled {
            self.keep(buffer)?;
        }
        let writer = self.writer.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        if self.is_settled {
            return writer.write(buffer);
        }
        match writer.write_all(buffer) {
            Err(_) if self.is_repeated() => Ok(buffer.len()),
            written => written.map(|()| buffer.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.writer {
            Some(writer) if self.is_settled => writer.flush(),
            // What is not flushed here is in what was kept.
            _ => Ok(()),
        }
    }
}

impl Drop for TrialWriter {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_finished = true;
        if let Phase::Repeated(_) = state.phase {
            state.phase = Phase::Over;
        }
    }
}

#[cfg(test)]
mod tests;
