//! Putting this program onto a host that has none, or has one that does not understand it.
//!
//! ```text
//! first command   sh: the dsync of the search path, else the one put there before, else "dsync absent: Linux x86_64"
//!   absent          the next command takes this program's executable and puts it there, then the one put there is run
//!   unsuitable      the one put there is run at once, or found absent; so where it is no dsync that answers
//! ```
//!
//! So a host that has a dsync of either kind costs no further round trip. What it says first decides: a greeting, that
//! there is none, or something else. All of that happens behind a connection [on trial](crate::transport::trial), which
//! the roles of the run have begun to use.
//!
//! Everything goes through commands of a remote shell with bytes for their input. `script` has the commands,
//! `executable` what they put there.

mod error;
mod executable;
mod script;

pub use error::{BootstrapError, Obstacle, Present};
pub(super) use executable::Executable;

use crate::report::{Event, Reporter};
use crate::session::Failure;
use crate::session::expecting::Expecting;
use crate::session::remote::GRACE;
use crate::transport::command::RemoteCommand;
use crate::transport::trial::{Trial, Verdict, on_trial};
use crate::transport::{Connection, RemoteExit};
use crate::wire::WireError;
use crate::wire::hello::Hello;
use script::Answer;
use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the other host may take to take up a piece, or to answer, before it counts as silent: what is on its way
/// may be much for a slow line.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often a sign of life is given meanwhile.
const SIGN: Duration = Duration::from_millis(500);

/// Takes signs of life while the host is made ready.
pub(super) type Signs = Arc<dyn Fn() + Send + Sync>;

/// Why there is no peer, if that was found out here.
#[derive(Clone, Default)]
pub(super) struct Trouble(Arc<Mutex<Option<Failure>>>);

impl Trouble {
    /// Whether there is a failure.
    pub(super) fn is_there(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The failure, once.
    pub(super) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Puts one there.
    pub(super) fn put(&self, failure: Failure) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }
}

/// The sum of an executable, as one that was put on a host is asked for its own.
///
/// # Errors
/// It cannot be read.
pub fn executable_sum(path: &OsStr) -> Result<String, Failure> {
    Executable::read(path)?.sum()
}

/// The command that becomes a peer where there is one of either kind.
///
/// # Errors
/// Never for an executable that could be read.
pub(super) fn command(executable: &Executable) -> Result<RemoteCommand, Failure> {
    Ok(RemoteCommand::script(&script::any(executable))?)
}

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Whatever is there has been run.
    Any,
    /// Only what was put there before has been run.
    Own,
    /// It was put there now.
    Put,
}

struct Bootstrap {
    executable: Executable,
    /// Of the executable, once it is needed.
    sum: Option<String>,
    host: String,
    present: Present,
    stage: Stage,
    reporter: Arc<dyn Reporter>,
    signs: Signs,
    /// From when it is known that the first one does not stay.
    waiting: Option<Waiting>,
    expecting: Expecting,
}

/// Sees to it that a dsync is at the far end of the connection.
pub(super) fn see_to(
    connection: Connection,
    executable: Executable,
    host: String,
    reporter: Arc<dyn Reporter>,
    signs: Signs,
    expecting: Expecting,
) -> Connection {
    let (present, stage) = (Present::Nothing, Stage::Any);
    let (sum, waiting) = (None, None);
    let mut bootstrap =
        Bootstrap { executable, sum, host, present, stage, reporter, signs, waiting, expecting };
    let judge = move |reader: &mut dyn Read, trial: &Trial| {
        bootstrap.judge(reader, trial).unwrap_or_else(|failure| {
            let told = io::Error::other(failure.to_string());
            bootstrap.expecting.trouble.put(failure);
            Verdict::Fail(told)
        })
    };
    on_trial(connection, Box::new(judge))
}

impl Bootstrap {
    fn judge(&mut self, mut reader: &mut dyn Read, trial: &Trial) -> Result<Verdict, Failure> {
        // What is kept is read again by the link, which has the words for everything that is no greeting.
        let machine = match Hello::read(&mut reader) {
            Ok(_) => return Ok(Verdict::Keep),
            Err(_) if trial.is_closed() || self.expecting.trouble.is_there() => return Ok(Verdict::Keep),
            Err(WireError::Noise(said)) => match (script::absent(&said), script::before_absent(&said)) {
                (Some(machine), _) => Some(machine.to_owned()),
                (None, Some(before)) => return Err(WireError::Noise(before.to_owned()).into()),
                // What a login script says comes before the next command, too; what a program says does not.
                (None, None) if self.stage == Stage::Any => {
                    self.present = Present::Foreign { said };
                    None
                }
                (None, None) => return Ok(Verdict::Keep),
            },
            Err(WireError::Version { theirs, peer, .. }) if self.stage == Stage::Any => {
                self.present = Present::Other { program: peer, versions: theirs };
                None
            }
            Err(WireError::Ended | WireError::Io(_)) if self.stage == Stage::Any => match trial.wait(GRACE) {
                // That of a remote shell which did not get there.
                Some(RemoteExit::Status(255) | RemoteExit::Lost(_)) | None => return Ok(Verdict::Keep),
                Some(exit) => {
                    self.present = Present::Silent { exit };
                    None
                }
            },
            Err(_) => return Ok(Verdict::Keep),
        };
        self.waiting.get_or_insert_with(|| Waiting::start(self.signs.clone())).moved();
        self.stage = match (machine, self.stage) {
            (None, _) => Stage::Own,
            (Some(_), Stage::Put) => return Err(self.cannot(Obstacle::Gone)),
            (Some(machine), _) => {
                self.put(&machine, trial)?;
                Stage::Put
            }
        };
        let sum = self.sum()?;
        let command = RemoteCommand::script(&script::own(&self.executable, &sum))?;
        Ok(Verdict::Instead(self.expecting.watch(trial.run(&command)?)))
    }

    fn sum(&mut self) -> Result<String, Failure> {
        if let Some(sum) = &self.sum {
            return Ok(sum.clone());
        }
        let sum = self.executable.sum()?;
        self.sum = Some(sum.clone());
        Ok(sum)
    }

    fn cannot(&self, obstacle: Obstacle) -> Failure {
        BootstrapError { host: self.host.clone(), present: self.present.clone(), obstacle }.into()
    }

    /// Puts the executable onto the host.
    fn put(&mut self, machine: &str, trial: &Trial) -> Result<(), Failure> {
        let ours = Executable::machine();
        if !is_same(&ours, machine) {
            return Err(self.cannot(Obstacle::Machine { ours, theirs: machine.to_owned() }));
        }
        let (version, host) = (env!("CARGO_PKG_VERSION"), &self.host);
        let megabytes = self.executable.size as f64 / 1e6;
        let told = format!("putting dsync {version} ({megabytes:.1} MB) onto {host} ...");
        self.reporter.report(Event::Notice(told));
        let sum = self.sum()?;
        let command = RemoteCommand::script(&script::put(&self.executable, &sum))?;
        let Connection { reader, mut writer, control } = trial.run(&command)?;
        let waiting = self.waiting.as_ref();
        let written = self.executable.pieces(|piece| {
            writer.write_all(piece)?;
            waiting.into_iter().for_each(Waiting::moved);
            Ok(())
        });
        // The end of what it takes; it then says how it went.
        drop(writer);
        let mut said = Vec::new();
        let heard = reader.take(script::LONGEST).read_to_end(&mut said);
        let exit = control.wait(GRACE);
        waiting.into_iter().for_each(Waiting::moved);
        let obstacle = match script::answer(&String::from_utf8_lossy(&said)) {
            Answer::Ready => return Ok(()),
            Answer::Cannot(word, more) => Obstacle::of(word, more),
            Answer::Silence => Obstacle::Broken { exit, source: written.and(heard.map(drop)).err() },
        };
        Err(self.cannot(obstacle))
    }
}

/// Whether two names of a system and a machine mean the same.
fn is_same(ours: &str, theirs: &str) -> bool {
    // 64 bits of x86, as BSDs call it.
    let plain = |name: &str| name.replace(" amd64", " x86_64");
    plain(ours) == plain(theirs)
}

/// Gives signs of life as long as something moves now and then. Ends when dropped.
struct Waiting(Arc<(Mutex<Instant>, AtomicBool)>);

impl Waiting {
    fn start(signs: Signs) -> Waiting {
        let waiting = Arc::new((Mutex::new(Instant::now()), AtomicBool::new(false)));
        let shared = waiting.clone();
        let signs = move || {
            while !shared.1.load(Ordering::Relaxed) && moved(&shared.0).elapsed() < PATIENCE {
                signs();
                thread::sleep(SIGN);
            }
        };
        // Without it, a limit for silence may be met too early.
        let _ = thread::Builder::new().name("signs".into()).spawn(signs);
        Waiting(waiting)
    }

    fn moved(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

fn moved(at: &Mutex<Instant>) -> Instant {
    *at.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.1.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_apart() {
        assert!(is_same("Linux x86_64", "Linux x86_64"));
        assert!(is_same("FreeBSD amd64", "FreeBSD x86_64"));
        assert!(!is_same("Linux x86_64", "Linux aarch64"));
        assert!(!is_same("Linux x86_64", "FreeBSD amd64"));
        assert!(!is_same("Linux x86_64", ""));
    }
}
