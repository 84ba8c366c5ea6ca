//! The commands that look back at one replica on this machine: `status`, `log`, `undo` and `trash`.
//!
//! Each is a word in the place of the first argument, with a few options of its own. What they do is in
//! [`twoway::look`](crate::twoway::look); here it is asked for and shown.

mod flags;
mod show;

use self::flags::{Command, LogFlags, StatusFlags, TrashFlags, UndoFlags};
use self::show::Show;
use crate::cli::environment::Environment;
use crate::cli::failure::{CONFLICTS, FILE_IO, FILE_SELECTION, Failure, PARTIAL};
use crate::cli::flags::Flags;
use crate::cli::output::{Screen, shell};
use crate::cli::resolve;
use crate::session::Paths;
use crate::transport::target::Target;
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::facet::{Facets, Visible};
use crate::twoway::log::{Purpose, Run};
use crate::twoway::look::{Glance, Hold};
use crate::twoway::record::Modes;
use crate::twoway::scan::{Observer, ScanOptions, Trouble};
use crate::twoway::trash;
use filetime::FileTime;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::atomic::AtomicBool;

const STATUS: &str = "status";
/// The words that these commands are called by.
pub(super) const WORDS: [&str; 4] = [STATUS, "log", "undo", "trash"];

/// How many edits are named unless all are asked for.
const FEW: u64 = 20;

/// Seconds in a day.
const DAY: i64 = 24 * 60 * 60;

/// Whether the arguments are one of these commands.
pub(super) fn is_command(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|first| WORDS.iter().any(|word| first == word))
}

/// `status` of two directories is what a two-way run of them would do: the arguments for that.
pub(super) fn comparison(arguments: &[OsString]) -> Option<Vec<OsString>> {
    let (_, rest) = arguments.split_first().filter(|(word, _)| *word == STATUS)?;
    let dry_run: Vec<OsString> =
        ["--two-way", "--dry-run"].map(OsString::from).into_iter().chain(rest.iter().cloned()).collect();
    let flags = Flags::parse(&dry_run).ok()?;
    (flags.operands.len() > 1 && !flags.help).then_some(dry_run)
}

/// Does what such a command asks for and returns the exit code.
pub(super) fn obey(arguments: &[OsString], screen: &Screen) -> Result<u8, Failure> {
    let command = match Command::parse(arguments) {
        Ok(command) => command,
        Err(error) if !error.use_stderr() => {
            screen.out(&error.to_string());
            return Ok(0);
        }
        Err(error) => {
            let word = WORDS.into_iter().find(|word| arguments.first().is_some_and(|first| first == word));
            return Err(flags::failure(&error, word.unwrap_or(STATUS)));
        }
    };
    let show = Show::new(screen);
    match command {
        Command::Status(asked) => status(&asked, &show),
        Command::Log(asked) => log(&asked, &show),
        Command::Undo(asked) => undo(&asked, &show),
        Command::Trash(asked) => empty_or_list(&asked, &show),
    }
}

/// A directory that was named, on this machine.
struct Directory(OsString);

impl Directory {
    fn new(operand: &OsStr, word: &str) -> Result<Directory, Failure> {
        match Target::parse(operand).map_err(|error| Failure::of(crate::cli::failure::USAGE, &error))? {
            Target::Local(path) => Ok(Directory(OsString::from_vec(path))),
            Target::SameHost(_) => Err(Failure::usage("the directory names no host before its colon")
                .with_hint("Write ./ before a local name that holds a colon.")),
            Target::Remote(remote) => {
                let path = if remote.path.is_empty() { b".".to_vec() } else { remote.path };
                let there = shell::command([OsStr::new("dsync"), OsStr::new(word), OsStr::from_bytes(&path)]);
                let scheme = if remote.host.port.is_some() { "ssh://" } else { "" };
                let here = shell::command(["ssh", &format!("{scheme}{}", remote.host), &there]);
                Err(Failure::usage(format!("{word} works on a directory of this machine"))
                    .with_hint(format!("Run it there: {here}")))
            }
        }
    }

    fn shown(&self) -> String {
        crate::tree::Escaped(self.0.as_bytes()).to_string()
    }

    fn failure(&self, error: &TwoWayError) -> Failure {
        let code = match error {
            TwoWayError::Storage { .. } => FILE_IO,
            _ => FILE_SELECTION,
        };
        Failure::new(code, format!("{}: {}", self.shown(), crate::cli::failure::with_sources(error)))
    }

    fn no_replica(&self) -> Failure {
        let message = format!("{}: no two-way run has ever taken part here", self.shown());
        Failure::new(FILE_SELECTION, message)
    }

    fn glance(&self) -> Result<Glance, Failure> {
        let glance = Glance::open(&self.0).map_err(|error| self.failure(&error))?;
        glance.ok_or_else(|| self.no_replica())
    }

    fn hold(&self) -> Result<Hold, Failure> {
        let hold = Hold::open(&self.0).map_err(|error| self.failure(&error))?;
        hold.ok_or_else(|| self.no_replica())
    }
}

/// Shows what cannot be looked at.
struct Troubles<'a> {
    show: &'a Show<'a>,
    are_any: bool,
}

impl Observer for Troubles<'_> {
    fn trouble(&mut self, path: &RelPath, trouble: &Trouble) {
        self.are_any = true;
        self.show.problem(path, trouble);
    }
}

fn status(asked: &StatusFlags, show: &Show<'_>) -> Result<u8, Failure> {
    let dir = Directory::new(&asked.dir, "status")?;
    let input = (false, Paths::default());
    let environment = Environment::read();
    let mut rules = resolve::read_rules(&asked.filters, asked.cvs_exclude, input, &environment, None)?;
    if asked.gitignore {
        rules.add_git(false).map_err(|error| resolve::filter_failure(&error))?;
    }
    let mut troubles = Troubles { show, are_any: false };
    let mut glance = dir.glance()?;
    let stop = AtomicBool::new(false);
    let hiding = glance.hiding((&rules, asked.dir.as_bytes()), &stop, &mut troubles);
    let options = ScanOptions {
        hiding: &hiding.map_err(|error| dir.failure(&error))?,
        modes: Modes::Whole,
        facets: Facets::NONE,
        visible: &Visible::ALL,
        owner: false,
        group: false,
        links: true,
        devices: true,
        specials: true,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        began: FileTime::zero(),
        now: FileTime::now(),
        stop: &stop,
        unfinished: None,
    };
    let mut edits = 0_u64;
    let most = if asked.verbose { u64::MAX } else { FEW };
    let seen = glance.status(&options, &mut troubles, &mut |edit| {
        edits = edits.saturating_add(1);
        if edits <= most {
            show.edit(&edit);
        }
    });
    let status = seen.map_err(|error| dir.failure(&error))?;
    show.status(&status, edits, edits.saturating_sub(most));
    Ok(match () {
        () if status.partners.iter().any(|partner| !partner.pending.is_empty()) => CONFLICTS,
        () if troubles.are_any => PARTIAL,
        () => 0,
    })
}

fn log(asked: &LogFlags, show: &Show<'_>) -> Result<u8, Failure> {
    let dir = Directory::new(&asked.dir, "log")?;
    let path = asked.path.as_deref().map(|path| path_in(&asked.dir, path)).transpose()?;
    let mut glance = dir.glance()?;
    glance.catch_up().map_err(|error| dir.failure(&error))?;
    let shown = || {
        let history = glance.history();
        if let Some(path) = &path {
            let mut last: Option<Run> = None;
            for found in history.entries_of(path)? {
                let (number, entry) = found?;
                if last.as_ref().is_none_or(|last| last.number != number) {
                    last = history.run(number)?;
                    last.iter().for_each(|run| show.run(run));
                }
                last.iter().for_each(|run| show.entry(&run.purpose, &entry));
            }
            let left = glance.left_at(path)?;
            for meeting in &left {
                if let Some(run) = meeting.as_ref().and_then(|meeting| history.run(meeting.run).transpose()) {
                    show.run(&run?);
                }
                show.left(path);
            }
            if last.is_none() && left.is_empty() {
                show.line(&format!("No run that is remembered did anything at {path}."));
            }
            return Ok(());
        }
        for run in history.runs()? {
            let run = run?;
            show.run(&run);
            if asked.verbose {
                for entry in history.entries(run.number)? {
                    show.entry(&run.purpose, &entry?);
                }
            }
        }
        Ok(())
    };
    shown().map_err(|error| dir.failure(&error))?;
    Ok(0)
}

/// A path in the tree as a user writes it: a slash at its end does not matter.
fn path_in(dir: &OsStr, path: &OsStr) -> Result<RelPath, Failure> {
    let bytes = path.as_bytes();
    if bytes.starts_with(b"/") {
        return Err(absolute(dir, path));
    }
    let bytes = bytes.strip_prefix(b"./").unwrap_or(bytes);
    let end = bytes.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last.saturating_add(1));
    let trimmed = bytes.get(..end).filter(|trimmed| *trimmed != b".").unwrap_or_default();
    RelPath::new(trimmed).map_err(|error| {
        Failure::usage(format!("{}: {error}", crate::tree::Escaped(bytes)))
            .with_hint("The path is written as it is in the directory, without that before it.")
    })
}

/// What is said of a path that begins at the root of the file system.
fn absolute(dir: &OsStr, path: &OsStr) -> Failure {
    let (within, path) = (dir.as_bytes(), path.as_bytes());
    let within = within.strip_suffix(b"/").unwrap_or(within);
    let rest = path.strip_prefix(within).and_then(|rest| rest.strip_prefix(b"/"));
    let rest = rest.filter(|rest| !within.is_empty() && !rest.is_empty());
    let hint = match rest {
        Some(rest) => {
            let words = [OsStr::new("dsync"), OsStr::new("log"), dir, OsStr::from_bytes(rest)];
            format!("Type: {}", shell::command(words))
        }
        None => {
            "Type it without what leads to the directory: docs/a.txt for what is there in docs.".to_owned()
        }
    };
    let path = crate::tree::Escaped(path);
    Failure::usage(format!("{path} begins with a slash, and a path in the directory does not"))
        .with_hint(hint)
}

fn undo(asked: &UndoFlags, show: &Show<'_>) -> Result<u8, Failure> {
    let dir = Directory::new(&asked.dir, "undo")?;
    let mut hold = dir.hold()?;
    let run = match asked.run {
        Some(run) => run,
        None => {
            let Some(last) = hold.last_to_undo().map_err(|error| dir.failure(&error))? else {
                show.line("No run that is remembered did anything here.");
                return Ok(0);
            };
            // Which one that is nobody has said.
            let begun = hold.history().run(last.run).map_err(|error| dir.failure(&error))?;
            begun.iter().for_each(|run| show.undoing(run, last.lost));
            last.run
        }
    };
    let undone = hold.undo(run, FileTime::now(), &mut |entry| match &entry.problem {
        Some(problem) => show.problem(&entry.path, problem),
        None if asked.verbose => show.entry(&Purpose::Undo { run }, entry),
        None => {}
    });
    let Some(undone) = undone.map_err(|error| dir.failure(&error))? else {
        return Err(Failure::usage(format!("run {run} is not remembered"))
            .with_hint("dsync log shows the runs that are."));
    };
    show.undone(&undone);
    Ok(if undone.outcome.problems > 0 { PARTIAL } else { 0 })
}

fn empty_or_list(asked: &TrashFlags, show: &Show<'_>) -> Result<u8, Failure> {
    let dir = Directory::new(&asked.dir, "trash")?;
    if !asked.empty {
        show.trash(&dir.glance()?.trash().map_err(|error| dir.failure(&error))?);
        return Ok(0);
    }
    let hold = dir.hold()?;
    let age = asked.older_than.map(|days| DAY.saturating_mul(i64::from(days)));
    let before = age.map(|age| FileTime::now().unix_seconds().saturating_sub(age));
    let is_meant = |_, at: FileTime| before.is_none_or(|before| at.unix_seconds() < before);
    let emptied = trash::empty(hold.replica(), &is_meant, &mut |path, error| show.problem(path, error));
    let amount = emptied.map_err(|error| dir.failure(&error))?;
    show.emptied(&amount);
    Ok(if amount.failed > 0 { PARTIAL } else { 0 })
}
