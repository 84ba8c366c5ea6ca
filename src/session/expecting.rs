//! How long a host may leave its peer's greeting to be waited for, where there is no `--timeout`.
//!
//! A program that is only called dsync may wait for input that never comes, and so would whoever waits for its
//! greeting. The limit holds from the start of the remote command. A remote shell that is a program of its own may ask
//! its user something before it connects, of which nothing is known here; there it holds from the first byte on. It
//! ends with the greeting: how long a run takes is not for anybody else to say.
//!
//! Where a host that does not greet is asked once more by another command, each of the two has half of it from when it
//! said something else: so one that talks and waits is given up in the same time.

use crate::session::Failure;
use crate::session::bootstrap::Trouble;
use crate::transport::{Connection, Control};
use crate::wire::hello::MAGIC;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The limit, the same as for each step of connecting.
const LIMIT: Duration = Duration::from_secs(60);

/// Puts connections under the limit.
#[derive(Clone)]
pub(super) struct Expecting {
    host: String,
    /// Takes the failure of a host that says nothing at all.
    pub(super) trouble: Trouble,
    limit: Option<Limit>,
}

/// How long the greeting may take.
#[derive(Clone, Copy)]
struct Limit {
    whole: Duration,
    /// From when something else was said.
    after_words: Duration,
}

impl Expecting {
    /// For a host, where the run has this `--timeout`, which is a limit of its own.
    pub(super) fn of(host: String, timeout: Option<u32>, trouble: Trouble) -> Expecting {
        let limit = Limit { whole: LIMIT, after_words: LIMIT };
        Expecting { host, trouble, limit: timeout.is_none().then_some(limit) }
    }

    /// The same where another command may follow the first.
    pub(super) fn twice(self) -> Expecting {
        let halved = |limit: Limit| Limit { after_words: limit.whole / 2, ..limit };
        Expecting { limit: self.limit.map(halved), ..self }
    }

    /// Has the reader of a connection come to its end where no greeting comes in time.
    pub(super) fn watch(&self, connection: Connection) -> Connection {
        let Some(limit) = self.limit else { return connection };
        let Connection { reader, writer, control } = connection;
        let since = (!control.may_ask()).then(Instant::now);
        let shared = Arc::new(Shared {
            state: Mutex::new(State { since, stage: Stage::Waiting, spoke: None }),
            changed: Condvar::new(),
        });
        let (watched, hold, expecting) = (shared.clone(), control.clone(), self.clone());
        let watching = move || expecting.wait(&watched, limit, &hold);
        // Without it there is no limit, which is better than no run.
        let _ = thread::Builder::new().name("greeting".into()).spawn(watching);
        let reader = Expectant { reader, seen: Vec::new(), shared };
        Connection { reader: Box::new(reader), writer, control }
    }

    /// Waits for the greeting, and breaks the connection off where it does not come in time.
    fn wait(&self, shared: &Shared, limit: Limit, control: &Control) {
        let mut state = shared.lock();
        while state.stage == Stage::Waiting {
            let left = state.left(limit);
            if left.is_zero() {
                state.stage = Stage::TooLate;
                // What was said tells more than that it took long.
                if state.spoke.is_none() {
                    let seconds = limit.whole.as_secs();
                    self.trouble.put(Failure::Unanswered { host: self.host.clone(), seconds });
                }
                drop(state);
                return control.close();
            }
            state = shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// From when the limit counts.
    since: Option<Instant>,
    stage: Stage,
    /// When something was said first.
    spoke: Option<Instant>,
}

impl State {
    /// How much is left of the limit.
    fn left(&self, Limit { whole, after_words }: Limit) -> Duration {
        let left =
            |limit: Duration, of: Option<Instant>| of.map_or(limit, |of| limit.saturating_sub(of.elapsed()));
        let whole = left(whole, self.since);
        if self.spoke.is_some() { whole.min(left(after_words, self.spoke)) } else { whole }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    /// The greeting has begun, or there is nothing to wait for any more.
    Over,
    TooLate,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn over(&self) {
        let mut state = self.lock();
        if state.stage == Stage::Waiting {
            state.stage = Stage::Over;
        }
        self.changed.notify_all();
    }
}

/// Looks for the greeting in what is read.
struct Expectant {
    reader: Box<dyn Read + Send>,
    /// The last that was read, of which the greeting may be the next part.
    seen: Vec<u8>,
    shared: Arc<Shared>,
}

impl Read for Expectant {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.shared.lock().stage == Stage::Over {
            return self.reader.read(buffer);
        }
        let read = self.reader.read(buffer);
        let mut state = self.shared.lock();
        match (&read, state.stage) {
            (_, Stage::TooLate) => return Ok(0),
            (Err(error), _) if error.kind() == io::ErrorKind::Interrupted => return read,
            (Ok(1..), Stage::Waiting) => {
                state.since.get_or_insert_with(Instant::now);
                if state.spoke.is_none() {
                    state.spoke = Some(Instant::now());
                    // Less may be left now.
                    self.shared.changed.notify_all();
                }
            }
            _ => {
                drop(state);
                self.shared.over();
                return read;
            }
        }
        drop(state);
        let new = read.as_ref().ok().and_then(|&count| buffer.get(..count)).unwrap_or_default();
        self.seen.extend_from_slice(new);
        if self.seen.windows(MAGIC.len()).any(|bytes| bytes == MAGIC) {
            self.shared.over();
        }
        let old = self.seen.len().saturating_sub(MAGIC.len());
        self.seen.drain(..old);
        read
    }
}

impl Drop for Expectant {
    fn drop(&mut self) {
        self.shared.over();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::child;
    use crate::transport::command::RemoteCommand;
    use crate::transport::target::Host;

    const SHORT: Duration = Duration::from_millis(300);

    fn read_of(script: &str, limit: Duration) -> (Vec<u8>, Option<Failure>) {
        read_in(script, Limit { whole: limit, after_words: limit })
    }

    /// What is read of a remote shell that runs a script, and the failure that it comes to.
    fn read_in(script: &str, limit: Limit) -> (Vec<u8>, Option<Failure>) {
        let shell = ["/bin/sh", "-c", script].map(Into::into);
        let host = Host { user: None, name: "box".to_owned(), port: None };
        let command = RemoteCommand::server("dsync".as_ref()).unwrap();
        let trouble = Trouble::default();
        let expecting = Expecting { host: "box".to_owned(), trouble: trouble.clone(), limit: Some(limit) };
        let mut connection = expecting.watch(child::connect(&shell, &host, &command, None).unwrap());
        let mut read = Vec::new();
        connection.reader.read_to_end(&mut read).unwrap();
        (read, trouble.take())
    }

    #[test]
    fn whoever_has_greeted_has_time() {
        let said = "printf 'words dsy'; sleep 0.1; printf 'nc\\0\\r\\n'; sleep 1; printf more";
        let (read, failure) = read_of(said, SHORT);
        assert_eq!(read, b"words dsync\0\r\nmore");
        assert!(failure.is_none(), "{failure:?}");
    }

    #[test]
    fn another_program_that_talks_and_waits_has_said_enough() {
        let (read, failure) = read_of("printf words; exec sleep 600", SHORT);
        assert_eq!(read, b"words");
        assert!(failure.is_none(), "{failure:?}");
    }

    /// It may be asking for a password.
    #[test]
    fn a_remote_shell_of_the_users_has_time_until_it_speaks() {
        let (read, failure) = read_of("sleep 1; printf words; exec sleep 600", SHORT);
        assert_eq!(read, b"words");
        assert!(failure.is_none(), "{failure:?}");
    }

    #[test]
    fn of_two_commands_each_has_half_once_it_has_spoken() {
        let long = Duration::from_secs(600);
        let began = Instant::now();
        let (read, failure) =
            read_in("printf words; exec sleep 600", Limit { whole: long, after_words: SHORT });
        assert_eq!((read.as_slice(), failure.is_none()), (&b"words"[..], true));
        assert!(began.elapsed() < Duration::from_secs(60));
        let twice = Expecting::of(String::new(), None, Trouble::default()).twice().limit.unwrap();
        assert_eq!((twice.whole, twice.after_words * 2), (LIMIT, LIMIT));
        assert!(Expecting::of(String::new(), Some(1), Trouble::default()).twice().limit.is_none());
    }
}
