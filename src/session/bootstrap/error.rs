//! Why this program could not be put onto a host, and what to do then.

use crate::session::failure::{RUN_AGAIN, how};
use crate::transport::RemoteExit;
use crate::tree::Escaped;
use std::fmt;
use std::io;

/// This program could not be put onto a host.
#[derive(Debug, thiserror::Error)]
#[error("{host} has {present}, and this one cannot be put there: {obstacle}")]
pub struct BootstrapError {
    /// The host.
    pub host: String,
    /// What it has.
    pub present: Present,
    /// Why not.
    pub obstacle: Obstacle,
}

/// What a host has in the place of a dsync that understands this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    /// None.
    Nothing,
    /// One of another protocol.
    Other {
        /// Its version.
        program: String,
        /// The protocols it speaks.
        versions: String,
    },
    /// A program of another kind that goes by the name.
    Foreign {
        /// What it says.
        said: String,
    },
    /// Something that ended without a greeting.
    Silent {
        /// How.
        exit: RemoteExit,
    },
}

impl fmt::Display for Present {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Present::Nothing => f.write_str("no dsync"),
            Present::Other { program, versions } => {
                write!(f, "a dsync ({program}) that speaks another protocol ({versions})")
            }
            Present::Foreign { said } => {
                let first = said.lines().next().unwrap_or_default();
                write!(f, "another program called dsync, which says \"{}\"", Escaped(first.as_bytes()))
            }
            Present::Silent { exit } => write!(f, "no dsync that speaks{}", how(Some(exit))),
        }
    }
}

/// Why it was not put there.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// Another system, or another machine.
    #[error("it is made for {ours}, and the host is {}", Escaped(theirs.as_bytes()))]
    Machine {
        /// What it is made for.
        ours: String,
        /// What the host is.
        theirs: String,
    },
    /// There is no home directory.
    #[error("neither HOME nor XDG_CACHE_HOME names a directory there by an absolute path")]
    Home,
    /// The directory cannot be made.
    #[error("its directory cannot be made: {}", Escaped(.0.as_bytes()))]
    Place(String),
    /// The directory is not safe.
    #[error("{} is a link, belongs to another user, or others may write to it", Escaped(.0.as_bytes()))]
    Others(String),
    /// It cannot be written.
    #[error("it cannot be written: {}", Escaped(.0.as_bytes()))]
    Write(String),
    /// It did not arrive as it is.
    #[error("it did not arrive whole")]
    Damaged,
    /// Programs cannot be run where it is.
    #[error("no program runs below {}, which may be mounted noexec", Escaped(.0.as_bytes()))]
    Noexec(String),
    /// It does not run.
    #[error("it does not run there: {}", Escaped(.0.as_bytes()))]
    Run(String),
    /// It was put there and is not there.
    #[error("it was put there and is not there any more")]
    Gone,
    /// Nothing was said about it.
    #[error("the host did not say how that went{}", broken(exit.as_ref(), source.as_ref()))]
    Broken {
        /// How the command ended that was to do it.
        exit: Option<RemoteExit>,
        /// What was met in talking to it.
        source: Option<io::Error>,
    },
}

fn broken(exit: Option<&RemoteExit>, source: Option<&io::Error>) -> String {
    let source = source.map(|error| format!(": {error}")).unwrap_or_default();
    how(exit) + &source
}

impl Obstacle {
    /// What the host's word for it means.
    pub(super) fn of(word: &str, more: &str) -> Obstacle {
        let more = more.to_owned();
        match word {
            "home" => Obstacle::Home,
            "place" => Obstacle::Place(more),
            "others" => Obstacle::Others(more),
            "write" => Obstacle::Write(more),
            "noexec" => Obstacle::Noexec(more),
            "run" => Obstacle::Run(more),
            _ => Obstacle::Damaged,
        }
    }
}

impl BootstrapError {
    /// Whether it is the line that failed.
    pub(in crate::session) fn is_of_the_line(&self) -> bool {
        let Obstacle::Broken { exit, .. } = &self.obstacle else { return false };
        matches!(exit, None | Some(RemoteExit::Status(255) | RemoteExit::Lost(_)))
    }

    /// What to do about it, as a sentence.
    pub(in crate::session) fn hint(&self) -> String {
        let install = format!("scp dsync {}:bin/ and --remote-path='~/bin/dsync'", self.host);
        match &self.obstacle {
            Obstacle::Machine { theirs, .. } => format!(
                "Install one there (in the sources: cargo install --locked --path .), or build one for {theirs}: \
                 {install}."
            ),
            Obstacle::Run(_) => format!(
                "Build one without shared libraries, as README says, or one for that host: {install}."
            ),
            Obstacle::Others(place) => format!(
                "On the host: chmod go-w {place}, or remove it if it is a link, or let XDG_CACHE_HOME name a \
                 directory of one's own; or install dsync there and name it with --remote-path."
            ),
            Obstacle::Home | Obstacle::Place(_) | Obstacle::Write(_) | Obstacle::Noexec(_) => {
                "Let XDG_CACHE_HOME name a directory on the host where programs may be put and run, or install dsync \
                 there in the search path, or anywhere and name it with --remote-path."
                    .to_owned()
            }
            Obstacle::Damaged => format!("Run this again; if that does not help, {install}."),
            Obstacle::Gone => {
                "Look for what removes it on the host, or install dsync there and name it with --remote-path."
                    .to_owned()
            }
            Obstacle::Broken { .. } if self.is_of_the_line() => RUN_AGAIN.to_owned(),
            Obstacle::Broken { .. } => {
                "What was said above tells why, if anything; or install dsync there and name it with --remote-path."
                    .to_owned()
            }
        }
    }
}
