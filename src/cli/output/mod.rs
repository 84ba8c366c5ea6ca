//! What a run shows: lines on standard output, problems on standard error.
//!
//! [`Printer`] takes the events of a run and gives each its line, in rsync's wording, because people and scripts
//! read it. What a line says is decided by pure functions ([`wording`], [`itemise`], [`stats`], [`size`]; for two-way
//! runs [`plan`] and [`conflicts`]); only [`Screen`] writes. All names and all text from elsewhere are escaped on the
//! way.

pub(super) mod conflicts;
pub(super) mod explain;
mod format;
mod itemise;
pub(super) mod json;
mod levels;
mod listing;
mod log;
mod mode;
pub(super) mod moment;
mod origins;
pub(super) mod plan;
mod screen;
pub(super) mod shell;
pub(super) mod size;
mod stats;
mod wording;

pub(super) use self::format::Format;
pub(super) use self::levels::{Levels, asks_for_help, check_debug, debug_help, info_help};
pub(super) use self::log::Log;
pub(super) use self::origins::Origins;
pub(super) use self::screen::{Buffering, Manner, Screen};

use self::conflicts::Telling;
use self::moment::Clock;
use self::plan::{Names, Shown};
use self::size::Numbers;
use self::wording::{Line, Wording};
use crate::report::{Event, Reporter};
use crate::session::{Explained, Outcome, TwoWayOutcome};
use crate::twoway::plan::Plan;
use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How output looks, worked out from the flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Style {
    /// Whether nothing but problems is said.
    pub quiet: bool,
    /// Which kinds of lines are shown.
    pub levels: Levels,
    /// By what format entries are shown that change; `None`: by their names, if these are shown.
    pub format: Option<Format>,
    /// How often `-i` was given, if the format itemises: 1 shows what differs, 2 also what is the same.
    pub itemise: u8,
    /// The log, if one is kept.
    pub log: Option<LogStyle>,
    /// `--json`: standard output is for programs, which are told this first.
    pub json: Option<json::Start>,
    /// Whether a progress bar is asked for.
    pub progress: bool,
    /// 0: plain digits, 1: grouped, 2: units of 1000, 3 and up: units of 1024.
    pub human: u8,
    /// Whether nothing is really changed.
    pub dry_run: bool,
    /// Whether directories are entered, so that there is a list to speak of.
    pub recursive: bool,
    /// The path of the destination as it was typed, without its host.
    pub destination: Vec<u8>,
    /// The source arguments, where they are here.
    pub origins: Origins,
    /// Whether the other side writes the texts of links so that they lead nowhere, which are shown as the source's.
    pub unmunges: bool,
    /// Whether groups are preserved.
    pub groups: bool,
    /// How many characters the sum of a file has.
    pub sum_width: usize,
    /// Where content goes.
    pub direction: Direction,
    /// How a two-way run is shown.
    pub two_way: Option<TwoWayStyle>,
}

/// How the log of a run looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogStyle {
    /// By what format entries are told; `None`: not at all.
    pub format: Option<Format>,
}

/// How the output of a two-way run looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TwoWayStyle {
    /// What its sides are called.
    pub names: Names,
    /// How much of the plan is shown.
    pub shown: Shown,
    /// Whether it is said if there is nothing to do.
    pub says_in_sync: bool,
    /// Whether the user is asked about conflicts.
    pub asks: bool,
    /// The words of the command line, without those about plans.
    pub words: Vec<OsString>,
}

/// Where content goes, seen from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// From one local path to another.
    Local,
    /// To another host.
    Push,
    /// From another host.
    Pull,
}

/// A line of the remote side longer than this is shown in pieces.
const LONG_LINE: usize = 8192;

/// Shows the events of a run.
pub(super) struct Printer {
    style: Style,
    clock: Clock,
    screen: Arc<Screen>,
    kept: Option<Log>,
    /// Whether the first line is still to come. Also keeps the lines of different threads whole.
    header_due: Mutex<bool>,
    /// What the remote side wrote of a line it has not ended yet.
    remote: Mutex<Vec<u8>>,
    /// Whether any problem was told.
    is_troubled: AtomicBool,
}

impl Printer {
    /// A printer onto `screen`, and into a log.
    pub(super) fn new(style: Style, screen: Arc<Screen>, log: Option<Log>) -> Printer {
        let header_due = Mutex::new(style.levels.list > 0 && style.recursive && style.json.is_none());
        if let Some(start) = &style.json {
            screen.out(&json::start(start, style.direction, style.dry_run));
        }
        if let Some(log) = &log {
            log.write(&match &style.two_way {
                Some(two_way) => plan::log_header(&two_way.names),
                None => wording::log_header(style.direction).to_owned(),
            });
        }
        let (clock, remote, is_troubled) = (Clock::local(), Mutex::default(), AtomicBool::new(false));
        Printer { style, clock, screen, kept: log, header_due, remote, is_troubled }
    }

    /// Shows the first line, if nothing has been shown yet.
    pub(super) fn head(&self) {
        self.with_header(|| {});
    }

    /// Shows the plan of a two-way run, before anything of it is done. The log gets all of it, however little is shown.
    pub(super) fn plan(&self, plan: &Plan) {
        let Some(two_way) = &self.style.two_way else { return };
        // What could not be looked at takes no part in the plan, and was told before.
        let is_whole = !self.is_troubled.load(Ordering::Acquire);
        if self.style.json.is_some() {
            json::plan(plan, &mut |line| self.screen.out(line));
        } else {
            plan::tell(plan, two_way, is_whole, self.numbers(), &mut |text| self.screen.out(text));
        }
        self.screen.flush();
        if let Some(log) = &self.kept {
            let all = TwoWayStyle { shown: Shown::All, says_in_sync: true, ..two_way.clone() };
            plan::tell(plan, &all, is_whole, self.numbers(), &mut |text| log.write(text));
        }
    }

    /// Shows what a run would make of a path.
    pub(super) fn explain(&self, explained: &Explained) {
        let lines = explain::lines(explained);
        self.log(&lines);
        self.screen.out(&if self.style.json.is_some() { json::explained(explained) } else { lines });
        self.screen.flush();
    }

    /// Shows the numbers of a run that came to its end with this exit code.
    pub(super) fn finish(&self, outcome: &Outcome, code: u8) {
        let numbers = self.numbers();
        let both = self.style.two_way.as_ref().zip(outcome.two_way.as_ref());
        let counted = both.map(|(style, two_way)| plan::counted(&two_way.plan, &style.names, numbers));
        let mut text = String::new();
        if self.style.levels.stats > 1 {
            text.push_str(&stats::table(outcome, counted.as_deref(), numbers));
        }
        if self.style.levels.stats > 0 {
            text.push_str(&stats::summary(outcome, numbers, self.style.dry_run));
        }
        if text.is_empty() {
            self.log(&stats::log_line(outcome));
        } else {
            self.log(&text);
        }
        self.head();
        if self.style.json.is_some() {
            text = json::summary(outcome, code);
        }
        self.screen.out(&text);
        self.screen.flush();
        if let Some((style, two_way)) = both {
            self.finish_two_way(style, two_way);
        }
    }

    /// Shows why a run was ended, where that is not told in another way.
    pub(super) fn fail(&self, message: &str, code: u8) {
        self.log(message);
        if self.style.json.is_some() {
            self.screen.out(&json::failure(message, code));
            self.screen.flush();
        }
    }

    fn finish_two_way(&self, style: &TwoWayStyle, two_way: &TwoWayOutcome) {
        let clock = Clock::local();
        let TwoWayStyle { names, words, asks, .. } = style;
        let telling = Telling { names, numbers: self.numbers(), clock: &clock, words, asks: *asks };
        conflicts::tell(&two_way.plan, &telling, &mut |text| {
            self.screen.err(text);
            self.log(text);
        });
    }

    fn numbers(&self) -> Numbers {
        Numbers::new(self.style.human)
    }

    /// Shows what is left of the remote side's words. Called at the end of every run, whatever came of it.
    pub(super) fn finish_remote(&self) {
        if let Some(event) = self.remote_lines(b"", true) {
            self.show(&event);
        }
    }

    /// Puts words into the log that are shown in another way.
    pub(super) fn log(&self, words: &str) {
        if let Some(log) = &self.kept {
            log.write(words);
        }
    }

    fn show(&self, event: &Event) {
        if matches!(event, Event::Problem(_)) {
            self.is_troubled.store(true, Ordering::Release);
        }
        let wording = Wording { style: &self.style, clock: &self.clock };
        match wording.line(event) {
            Some(Line::Out(_)) if self.style.json.is_some() => {}
            Some(Line::Out(line)) => self.with_header(|| self.screen.out(&line)),
            Some(Line::Err(line)) => self.screen.err(&line),
            None => {}
        }
        if self.style.json.is_some() {
            self.screen.out(&json::event(event, &self.style.destination));
        }
        if let Some(log) = &self.kept
            && let Some(lines) = wording.log_lines(event)
        {
            log.write(&lines);
        }
    }

    /// The whole lines among what the remote side has written; with `all` also the one it has not ended.
    fn remote_lines(&self, bytes: &[u8], all: bool) -> Option<Event> {
        let mut pending = self.remote.lock().unwrap_or_else(PoisonError::into_inner);
        pending.extend_from_slice(bytes);
        let whole = match pending.iter().rposition(|&byte| byte == b'\n') {
            _ if all || pending.len() > LONG_LINE => pending.len(),
            Some(end) => end + 1,
            None => 0,
        };
        let lines: Vec<u8> = pending.drain(..whole).collect();
        (!lines.is_empty()).then_some(Event::Remote(lines))
    }

    fn with_header(&self, write: impl FnOnce()) {
        let mut due = self.header_due.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut *due) {
            self.screen.out(wording::header(self.style.direction));
        }
        write();
    }
}

impl Reporter for Printer {
    fn report(&self, event: Event) {
        let event = match event {
            Event::Remote(bytes) => match self.remote_lines(&bytes, false) {
                Some(lines) => lines,
                None => return,
            },
            event => event,
        };
        self.show(&event);
    }
}
