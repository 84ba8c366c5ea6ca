//! How a run ends for whoever called it: exit codes and last words.
//!
//! The codes are rsync's, because scripts ask for them. A problem with a single file never ends a run; it is shown
//! when it happens and decides the code at the end. What does end a run is a [`Failure`]: a sentence that says what
//! went wrong, and hints, kept apart from it, that say what to do.

use crate::report::without_numbers;
use crate::session::{self, Outcome};
use crate::tree::Sentence;
use crate::twoway::reconcile::Why;
use std::fmt;

/// The command line is wrong.
pub(super) const USAGE: u8 = 1;
/// The destination or a file of rules could not be opened.
pub(super) const FILE_SELECTION: u8 = 3;
/// What was asked for is not to be had.
pub(super) const UNSUPPORTED: u8 = 4;
/// Reading or writing files failed in a way that stops the run.
pub(super) const FILE_IO: u8 = 11;
/// The stream between the hosts broke.
pub(super) const STREAM: u8 = 12;
/// A signal ended the run.
pub(super) const SIGNAL: u8 = 20;
/// Some files were not transferred.
pub(super) const PARTIAL: u8 = 23;
/// Some source files vanished before they could be read.
pub(super) const VANISHED: u8 = 24;
/// `--max-delete` stopped deletions.
pub(super) const DELETE_LIMIT: u8 = 25;

/// Conflicts of a two-way run are left.
pub(super) const CONFLICTS: u8 = 40;
/// A two-way run was stopped before anything was changed.
pub(super) const HALTED: u8 = 41;

/// What ended a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    code: u8,
    message: String,
    hints: Vec<String>,
}

impl Failure {
    /// A failure with an exit code and a sentence without its period.
    pub(super) fn new(code: u8, message: impl Into<String>) -> Failure {
        Failure { code, message: message.into(), hints: Vec::new() }
    }

    /// A failure of the command line.
    pub(super) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(USAGE, message)
    }

    /// An error with everything that led to it, outermost first.
    pub(super) fn of(code: u8, error: &dyn std::error::Error) -> Failure {
        Failure::new(code, with_sources(error))
    }

    /// The same with one more piece of advice.
    pub(super) fn with_hint(mut self, hint: impl Into<String>) -> Failure {
        self.hints.push(hint.into());
        self
    }

    /// The same about what `-M` gives to the other side.
    pub(super) fn of_peer(mut self) -> Failure {
        self.message = format!("--remote-option (-M): {}", self.message);
        self
    }

    /// Why nobody is served, for whoever asks to be.
    pub(super) fn unserved(&self) -> session::Failure {
        let kind = match self.code {
            USAGE => session::FailureKind::Usage,
            _ => session::FailureKind::FileIo,
        };
        session::Failure::Unserved { why: self.message.clone(), kind }
    }

    /// The exit code.
    pub(super) fn code(&self) -> u8 {
        self.code
    }
}

/// The lines for standard error. Text of a peer may be part of them, so it is made harmless here; names that were made
/// so before stay as they are.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.message.is_empty() {
            write_lines(f, "dsync: ", &self.message)?;
        }
        for hint in &self.hints {
            write_lines(f, "  hint: ", hint)?;
        }
        f.write_str(&last_line(self.code))
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, before: &str, text: &str) -> fmt::Result {
    text.lines().try_for_each(|line| writeln!(f, "{before}{}", Sentence(line.as_bytes())))
}

impl From<session::Failure> for Failure {
    fn from(failure: session::Failure) -> Failure {
        let code = code_of_kind(failure.kind());
        // The last line says it all, unless it was the other side that got the signal.
        let is_own = matches!(failure, session::Failure::Cancelled);
        let message = if is_own { String::new() } else { with_sources(&failure) };
        let hints = failure.hint().into_iter().collect();
        Failure { code, message, hints }
    }
}

/// rsync's code for what ended a run.
fn code_of_kind(kind: session::FailureKind) -> u8 {
    use session::FailureKind as Kind;
    match kind {
        Kind::Usage => USAGE,
        Kind::Protocol => 2,
        Kind::FilesSelection => FILE_SELECTION,
        Kind::Ipc => 14,
        Kind::FileIo => FILE_IO,
        Kind::Stream => STREAM,
        Kind::Cancelled => SIGNAL,
        Kind::Timeout => 30,
        Kind::Halted => HALTED,
        // A shell that "failed with 0" still did not give us a peer.
        Kind::RemoteShell(code) => u8::try_from(code).ok().filter(|&code| code != 0).unwrap_or(STREAM),
    }
}

/// The code of a run that came to its end. The worst of several kinds of problems decides.
pub(super) fn code_of(outcome: &Outcome) -> u8 {
    let totals = &outcome.totals;
    let two_way = outcome.two_way.as_ref();
    let steps = two_way.into_iter().flat_map(|two_way| &two_way.plan.steps);
    let mut is_partial = totals.failed > 0 || two_way.is_some_and(|two_way| !two_way.undone.is_empty());
    let mut has_conflicts = false;
    for step in steps {
        is_partial |= step.why == Why::Unknown;
        has_conflicts |= matches!(step.why, Why::Conflict(_));
    }
    if is_partial {
        PARTIAL
    } else if has_conflicts {
        CONFLICTS
    } else if totals.vanished > 0 {
        VANISHED
    } else if totals.not_deleted > 0 {
        DELETE_LIMIT
    } else {
        0
    }
}

/// The last line on standard error for a code other than 0.
pub(super) fn last_line(code: u8) -> String {
    let meaning = match code {
        USAGE => "syntax or usage error",
        2 => "protocol incompatibility",
        FILE_SELECTION => "errors selecting input or output files",
        UNSUPPORTED => "what is asked for is not supported",
        FILE_IO => "error in file I/O",
        STREAM => "error in the data stream between the hosts",
        SIGNAL => "received SIGINT, SIGTERM or SIGHUP",
        PARTIAL => "some files could not be transferred",
        VANISHED => {
            return format!(
                "dsync warning: some files vanished before they could be transferred (code {code})"
            );
        }
        DELETE_LIMIT => "the --max-delete limit stopped deletions",
        14 => "error starting a program or getting a resource of the system",
        30 => "timeout in data send or receive",
        CONFLICTS => "there are conflicts left; each side keeps its own version",
        HALTED => "stopped before anything was changed",
        255 => "the host could not be reached, or let nobody in",
        _ => "the remote shell failed",
    };
    format!("dsync error: {meaning} (code {code})")
}

/// The message of an error and of its sources, joined by colons.
pub(super) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        // Some errors already carry the text of their source.
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    without_numbers(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Totals;
    use crate::session::TwoWayOutcome;
    use crate::twoway::policy::Policy;
    use crate::twoway::tests::plan_by;
    use std::time::Duration;

    fn outcome(totals: Totals, two_way: Option<TwoWayOutcome>) -> Outcome {
        Outcome {
            totals,
            sent: 0,
            received: 0,
            listed: 0,
            compressed: None,
            elapsed: Duration::ZERO,
            connecting: None,
            retries: 0,
            two_way,
        }
    }

    #[test]
    fn conflicts_that_are_left_are_worse_than_what_vanished_and_better_than_what_failed() {
        for (left, undone, failed, code) in
            [("a=2", false, 0, 40), ("a=3", false, 0, 24), ("a=2", false, 1, 23), ("a=3", true, 0, 23)]
        {
            let (plan, _) = plan_by(&Policy::Skip, "a=1", left, "a=3");
            let undone = plan.steps.iter().filter(|_| undone).map(|step| step.path.clone()).collect();
            let totals = Totals { failed, vanished: 1, ..Totals::default() };
            let two_way = TwoWayOutcome { plan, undone };
            assert_eq!(code_of(&outcome(totals, Some(two_way))), code, "{left}");
        }
    }

    #[test]
    fn the_worst_problem_decides_the_code() {
        for (failed, vanished, not_deleted, code) in
            [(0, 0, 0, 0), (0, 0, 1, 25), (0, 2, 1, 24), (1, 2, 3, 23), (1, 0, 0, 23)]
        {
            let totals = Totals { failed, vanished, not_deleted, ..Totals::default() };
            assert_eq!(code_of(&outcome(totals, None)), code);
        }
    }

    #[test]
    fn codes_are_those_of_rsync() {
        use session::FailureKind as Kind;
        for (kind, code) in [
            (Kind::Usage, 1),
            (Kind::Protocol, 2),
            (Kind::FilesSelection, 3),
            (Kind::Ipc, 14),
            (Kind::FileIo, 11),
            (Kind::Stream, 12),
            (Kind::Cancelled, 20),
            (session::Failure::OutOfTime.kind(), 30),
            (Kind::Timeout, 30),
            (Kind::Halted, 41),
            (Kind::RemoteShell(255), 255),
            (Kind::RemoteShell(127), 127),
            (Kind::RemoteShell(0), 12),
            (Kind::RemoteShell(-1), 12),
            (Kind::RemoteShell(256), 12),
        ] {
            assert_eq!(code_of_kind(kind), code, "{kind:?}");
        }
    }

    #[test]
    fn a_failure_is_shown_with_its_hints_and_cannot_act_on_a_terminal() {
        let failure = Failure::usage("--fr\x1bob: unknown option").with_hint("Did you mean --force?");
        assert_eq!(
            failure.to_string(),
            "dsync: --fr\\#033ob: unknown option\n  hint: Did you mean --force?\n\
             dsync error: syntax or usage error (code 1)"
        );
    }

    #[test]
    fn names_are_escaped_once() {
        let obstacle = session::Obstacle::Place("mkdir: a\x1bb".to_owned());
        let (host, present) = ("host".to_owned(), session::Present::Nothing);
        let bootstrap = session::Failure::from(session::BootstrapError { host, present, obstacle });
        let names =
            session::Failure::Names { file: b"a\x1bb".to_vec(), source: std::io::Error::other("c\x1bd") };
        for (failure, shown) in [(bootstrap, "mkdir: a\\#033b\n"), (names, "names a\\#033b: c\\#033d\n")] {
            let text = Failure::from(failure).to_string();
            assert!(text.contains(shown), "{text}");
        }
    }

    #[test]
    fn sources_are_told_once() {
        let inner = std::io::Error::other("no route");
        let outer = crate::transport::Error::Start { source: inner };
        assert_eq!(with_sources(&outer), "Starting the SSH client: no route");
    }

    #[test]
    fn what_follows_the_systems_words_stays() {
        let said = std::io::Error::other(format!("{}; make it first", std::io::Error::from_raw_os_error(2)));
        assert_eq!(with_sources(&said), "No such file or directory; make it first");
    }
}
