//! Why a run failed as a whole.

use crate::pass::PassError;
use crate::pass::sink::DestinationError;
use crate::request::Refused;
use crate::session::bootstrap::{BootstrapError, Present};
use crate::transport::{self, RemoteExit};
use crate::tree::Escaped;
use crate::twoway::TwoWayError;
use crate::twoway::run::{RunError, Stopped};
use crate::wire::{Abort, AbortKind, WireError};
use std::io;

/// The advice where a line broke.
pub(super) const RUN_AGAIN: &str = "Run this again; --retry=N does so by itself, up to N times.";

/// Why a run ended before its end. Per-file problems never do that.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The request makes no sense.
    #[error("{0}")]
    Usage(String),
    /// This server was restricted by whoever started it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// This server was started so that it serves nobody.
    #[error("{why}")]
    Unserved {
        /// What is wrong with that.
        why: String,
        /// The class of it.
        kind: FailureKind,
    },
    /// The destination cannot be used.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// The sources cannot be used.
    #[error("{0}")]
    Sources(String),
    /// The host could not be reached.
    #[error(transparent)]
    Connect(#[from] transport::Error),
    /// The peer could not be understood, or nothing came from it.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The peer sent what makes no sense.
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
    /// The peer gave up, for this reason.
    #[error("on the remote side: {}", Escaped(.0.text.as_bytes()))]
    Peer(Abort),
    /// The connection ended too early.
    #[error("the connection to the remote dsync was lost{}", how(.0.as_ref()))]
    Lost(Option<RemoteExit>),
    /// The program on the remote host could not be started.
    #[error("{}{}", unstarted(.0.as_ref()), how(.0.as_ref()))]
    NotStarted(Option<RemoteExit>),
    /// What was started on the host did not say a word.
    #[error("what {host} runs as dsync said nothing for {seconds} seconds")]
    Unanswered {
        /// The host.
        host: String,
        /// For how long.
        seconds: u64,
    },
    /// There is no peer on the host, and none could be put there.
    #[error(transparent)]
    Bootstrap(Box<BootstrapError>),
    /// Stopped by a signal.
    #[error("interrupted")]
    Cancelled,
    /// `--stop-after` or `--stop-at`.
    #[error("stopped, as the time for this run is over")]
    OutOfTime,
    /// A replica on this side, or its history, cannot be used.
    #[error("{}: {source}", Escaped(.root))]
    Replica {
        /// The argument that names it.
        root: Vec<u8>,
        /// Why.
        source: TwoWayError,
    },
    /// A two-way run was not carried out, and nothing was changed.
    #[error("{why}")]
    Halted {
        /// Why not.
        why: String,
        /// What to do about it, as a sentence.
        hint: Option<String>,
    },
    /// The list of `--files-from` cannot be read.
    #[error("reading the list of names {}: {source}", Escaped(.file))]
    Names {
        /// Where it is.
        file: Vec<u8>,
        /// Why.
        source: io::Error,
    },
    /// Something this process needs could not be had.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// What was not come by. A remote shell that cannot do what it is for ends with 255, as ssh(1) does. A dsync never ends
/// well without a greeting.
fn unstarted(exit: Option<&RemoteExit>) -> &'static str {
    match exit {
        Some(RemoteExit::Status(0)) => "what the host runs in the place of dsync ended without a word",
        Some(RemoteExit::Status(255)) => "the remote shell failed before it started the remote program",
        _ => "the remote program could not be started",
    }
}

/// How a remote command ended, as the end of a sentence.
pub(super) fn how(exit: Option<&RemoteExit>) -> String {
    match exit {
        None => String::new(),
        Some(RemoteExit::Status(code)) => format!(" (it ended with exit code {code})"),
        Some(RemoteExit::Signal(name)) => format!(" (signal {name} ended it)"),
        Some(RemoteExit::Lost(reason)) => format!(" ({reason})"),
    }
}

/// The classes of failure that scripts tell apart, as rsync does by exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// Wrong usage.
    Usage,
    /// Protocol incompatibility or violation.
    Protocol,
    /// Sources or destination do not fit.
    FilesSelection,
    /// An error in file input or output.
    FileIo,
    /// The stream of the protocol broke.
    Stream,
    /// A program could not be started, or something this process needs could not be had.
    Ipc,
    /// A signal.
    Cancelled,
    /// A guard, or whoever was asked, stopped a two-way run before anything was changed.
    Halted,
    /// Nothing came for too long.
    Timeout,
    /// The remote shell failed, with this code.
    RemoteShell(i32),
}

impl Failure {
    /// Whether it says no more than that the other side is gone.
    pub fn is_lost(&self) -> bool {
        matches!(self, Failure::Lost(_) | Failure::Wire(WireError::Io(_) | WireError::Ended))
    }

    /// Whether it is the line that failed, so that another attempt may come through.
    pub(super) fn is_of_the_line(&self) -> bool {
        match self {
            // A remote shell that failed itself; ssh(1) ends so.
            Failure::Lost(Some(RemoteExit::Status(code))) => *code == 255,
            Failure::Lost(None | Some(RemoteExit::Lost(_))) => true,
            Failure::Wire(WireError::Io(_) | WireError::Ended | WireError::Timeout(_)) => true,
            Failure::Peer(abort) => abort.kind == AbortKind::Timeout,
            Failure::Bootstrap(error) => error.is_of_the_line(),
            _ => false,
        }
    }

    /// Whether it is what comes after a line has broken, and passes: the host is out of reach, or the other end of the
    /// broken line has not noticed yet and still holds what a two-way run needs.
    pub(super) fn may_pass_soon(&self) -> bool {
        match self {
            Failure::Connect(error) => error.is_of_the_line(),
            Failure::Unanswered { .. } => true,
            Failure::Peer(abort) => abort.kind == AbortKind::InUse,
            Failure::NotStarted(exit) => {
                matches!(exit, None | Some(RemoteExit::Status(255) | RemoteExit::Lost(_)))
            }
            _ => false,
        }
    }

    /// Whether the two sides of a run have told it one another, so that the peer need not say it in another way.
    pub fn is_told(&self) -> bool {
        use Failure::{Destination, Halted, Names, Peer, Refused, Replica, Sources, Unserved};
        let is_ours =
            matches!(self, Halted { .. } | Names { .. } | Refused(_) | Replica { .. } | Unserved { .. });
        is_ours || matches!(self, Destination(_) | Peer(_) | Sources(_))
    }

    /// Its class.
    pub fn kind(&self) -> FailureKind {
        match self {
            Failure::Usage(_) | Failure::Refused(_) => FailureKind::Usage,
            Failure::Unserved { kind, .. } => *kind,
            Failure::Sources(_) => FailureKind::FilesSelection,
            Failure::Destination(error) if error.is_selection() => FailureKind::FilesSelection,
            Failure::Destination(DestinationError::NoTemp { .. }) => FailureKind::Usage,
            Failure::Destination(_) => FailureKind::FileIo,
            // Nothing was changed, and nothing is wrong but the moment.
            Failure::Replica { source: TwoWayError::InUse { .. }, .. } => FailureKind::Halted,
            Failure::Replica { .. } | Failure::Names { .. } => FailureKind::FileIo,
            Failure::Connect(transport::Error::Spawn { .. }) | Failure::System { .. } => FailureKind::Ipc,
            Failure::Connect(transport::Error::Timeout { .. }) => FailureKind::Timeout,
            Failure::Connect(_) => FailureKind::RemoteShell(255),
            Failure::Wire(WireError::Timeout(_)) | Failure::Unanswered { .. } => FailureKind::Timeout,
            Failure::Wire(WireError::Io(_) | WireError::Ended) | Failure::Lost(_) => FailureKind::Stream,
            Failure::Wire(_) | Failure::Protocol(_) => FailureKind::Protocol,
            Failure::Peer(abort) => match abort.kind {
                AbortKind::Failed => FailureKind::FileIo,
                AbortKind::Selection => FailureKind::FilesSelection,
                AbortKind::Protocol => FailureKind::Protocol,
                AbortKind::Timeout => FailureKind::Timeout,
                AbortKind::Halted | AbortKind::InUse => FailureKind::Halted,
                AbortKind::Usage => FailureKind::Usage,
                AbortKind::Interrupted => FailureKind::Cancelled,
            },
            Failure::Bootstrap(error) if error.is_of_the_line() => FailureKind::Stream,
            Failure::Bootstrap(error) => match error.present {
                Present::Other { .. } => FailureKind::Protocol,
                // What a shell says of a program that is not there.
                Present::Nothing | Present::Foreign { .. } | Present::Silent { .. } => {
                    FailureKind::RemoteShell(127)
                }
            },
            Failure::NotStarted(Some(RemoteExit::Status(code))) => {
                FailureKind::RemoteShell(i32::try_from(*code).unwrap_or(255))
            }
            Failure::NotStarted(_) => FailureKind::Stream,
            Failure::Cancelled => FailureKind::Cancelled,
            Failure::OutOfTime => FailureKind::Timeout,
            Failure::Halted { .. } => FailureKind::Halted,
        }
    }

    /// What to do about it, as a sentence, where that can be said.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Failure::Connect(error) => return error.hint(),
            Failure::Bootstrap(error) => error.hint(),
            Failure::Halted { hint, .. } => return hint.clone(),
            Failure::Wire(WireError::Noise(_)) => {
                "Make the login scripts on the host silent for shells that are not interactive; if it is a program \
                 that is only called dsync there, name the right one with --remote-path."
                    .to_owned()
            }
            Failure::NotStarted(Some(RemoteExit::Status(126 | 127))) => {
                "Install dsync on the host, in its PATH for non-interactive shells, or name it with --remote-path."
                    .to_owned()
            }
            Failure::NotStarted(Some(RemoteExit::Lost(_))) => {
                "Run this again; if it happens again, the log of the host's SSH server says why.".to_owned()
            }
            Failure::NotStarted(Some(RemoteExit::Status(0..=254))) => {
                "What was said above tells why, if anything; else see that it is dsync that the host runs: \
                 --remote-path names it, and command= in authorized_keys or ForceCommand in sshd_config puts another \
                 in its place."
                    .to_owned()
            }
            Failure::NotStarted(_) => {
                "What the remote shell said above tells why; run it by itself to see more.".to_owned()
            }
            Failure::Unanswered { .. } => {
                "See that it is dsync, which --remote-path names, and not another program that waits; give --timeout \
                 more seconds if the host is only slow."
                    .to_owned()
            }
            Failure::Wire(WireError::Timeout(_)) | Failure::Peer(Abort { kind: AbortKind::Timeout, .. }) => {
                "Give --timeout more seconds if the host is only slow.".to_owned()
            }
            Failure::Lost(Some(RemoteExit::Signal(_))) => {
                "The host's own log may tell what ended it there, such as a lack of memory; then run this again."
                    .to_owned()
            }
            Failure::Protocol(_)
            | Failure::Wire(WireError::Malformed(_) | WireError::TooLong { .. })
            | Failure::Peer(Abort { kind: AbortKind::Protocol, .. }) => {
                "See that both sides run the same version (dsync --version); if they do, please report this with what \
                 -vvv says."
                    .to_owned()
            }
            failure if failure.is_of_the_line() => RUN_AGAIN.to_owned(),
            Failure::Lost(_) => "What was said above tells why, if anything; then run this again.".to_owned(),
            _ => return None,
        })
    }
}

impl From<BootstrapError> for Failure {
    fn from(error: BootstrapError) -> Failure {
        Failure::Bootstrap(Box::new(error))
    }
}

impl From<Stopped> for Failure {
    fn from(stopped: Stopped) -> Failure {
        Failure::Halted { why: stopped.0, hint: None }
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Failure {
        match error {
            RunError::Replica { source: TwoWayError::Stopped, .. } => Failure::Cancelled,
            RunError::Replica { root, source } => Failure::Replica { root, source },
            RunError::Halted(why) => Failure::Halted { why, hint: None },
            RunError::Stopped(stopped) => stopped.into(),
            RunError::Pass(error) => error.into(),
        }
    }
}

impl From<PassError> for Failure {
    fn from(error: PassError) -> Failure {
        match error {
            PassError::Lost => Failure::Lost(None),
            PassError::Stopped => Failure::Cancelled,
            PassError::Protocol(what) => Failure::Protocol(what),
            PassError::Destination(error) => Failure::Destination(error),
            error @ PassError::Sources(_) => Failure::Sources(error.to_string()),
            PassError::Peer(abort) => Failure::Peer(abort),
            PassError::Setup(error) => Failure::System { doing: error.doing, source: error.source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::bootstrap::Obstacle;

    #[test]
    fn whatever_way_a_peer_is_lost_there_is_advice_for_it() {
        let status = |code| Some(RemoteExit::Status(code));
        let signal = || Some(RemoteExit::Signal("KILL".to_owned()));
        let closed = || Some(RemoteExit::Lost("the server closed the connection".to_owned()));
        let broken = |exit| {
            let (host, present) = ("box".to_owned(), Present::Nothing);
            Failure::from(BootstrapError { host, present, obstacle: Obstacle::Broken { exit, source: None } })
        };
        let cases = [
            (Failure::Lost(None), "--retry=N", FailureKind::Stream),
            (Failure::Lost(closed()), "--retry=N", FailureKind::Stream),
            (Failure::Lost(status(255)), "--retry=N", FailureKind::Stream),
            (Failure::Wire(WireError::Ended), "--retry=N", FailureKind::Stream),
            (broken(None), "--retry=N", FailureKind::Stream),
            (broken(closed()), "--retry=N", FailureKind::Stream),
            (Failure::Lost(signal()), "lack of memory", FailureKind::Stream),
            (Failure::Lost(status(3)), "said above", FailureKind::Stream),
            (Failure::Protocol("a file landed twice"), "the same version", FailureKind::Protocol),
            (Failure::Wire(WireError::Malformed("entry")), "the same version", FailureKind::Protocol),
            (broken(status(3)), "--remote-path", FailureKind::RemoteShell(127)),
            (Failure::NotStarted(status(127)), "--remote-path", FailureKind::RemoteShell(127)),
            (Failure::NotStarted(status(255)), "the remote shell said above", FailureKind::RemoteShell(255)),
            (Failure::NotStarted(closed()), "SSH server", FailureKind::Stream),
            (
                Failure::Unanswered { host: "box".to_owned(), seconds: 60 },
                "--remote-path",
                FailureKind::Timeout,
            ),
            (Failure::NotStarted(status(0)), "ForceCommand", FailureKind::RemoteShell(0)),
            (Failure::NotStarted(status(77)), "if anything", FailureKind::RemoteShell(77)),
        ];
        for (failure, advice, kind) in cases {
            let hint = failure.hint().unwrap_or_default();
            assert!(hint.contains(advice), "{failure}: {hint}");
            // Only what --retry does mend is left to it.
            assert_eq!(hint.contains("--retry"), failure.is_of_the_line(), "{failure}: {hint}");
            assert_eq!(failure.kind(), kind, "{failure}");
        }
        let [failed, missing] = [255, 127].map(|code| Failure::NotStarted(status(code)).to_string());
        assert_eq!(
            failed,
            "the remote shell failed before it started the remote program (it ended with exit code 255)"
        );
        assert_eq!(missing, "the remote program could not be started (it ended with exit code 127)");
    }
}
