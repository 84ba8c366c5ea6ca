//! The words and options of the commands that look back.

use crate::cli::failure::{Failure, USAGE};
use crate::cli::flags::FilterFlag;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgAction, ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;

const STATUS: &str = "What has changed in DIR since the last two-way run, and how it stands with each partner.

Nothing is written. The exit code is 40 if conflicts, or anything else, were left undone in the last run with some \
partner. Give it the filter rules of the runs. With a second directory, here or on another host, it shows what a \
two-way run of both would do, and takes the options of such a run.";

const LOG: &str =
    "What the two-way runs of DIR did, oldest first; with PATH, what they did there and below it.";

const UNDO: &str = "Puts back what a two-way run replaced or deleted in DIR: RUN, or else the last that did something.

A path is put back only if it still is as the run left it. What the run made where nothing was stays, but for what is \
in a directory that it made in the place of something else. The next run takes what was put back for edits made in \
DIR; but a time of modification alone is no edit, and the later one comes back with it. The undo is a run itself, and \
can be undone. The exit code is 23 if something could not be put back.";

const TRASH: &str = "What the two-way runs of DIR replaced and deleted and is still in the trash.";

/// The command line of one of these commands.
#[derive(Debug, Parser)]
#[command(name = "dsync", bin_name = "dsync", disable_help_subcommand = true)]
pub(super) struct Words {
    #[command(subcommand)]
    command: Command,
}

/// What is asked for.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(about = STATUS)]
    Status(StatusFlags),
    #[command(about = LOG)]
    Log(LogFlags),
    #[command(about = UNDO)]
    Undo(UndoFlags),
    #[command(about = TRASH)]
    Trash(TrashFlags),
}

#[derive(Debug, Args)]
pub(super) struct StatusFlags {
    /// A directory on this machine that takes part in two-way runs
    pub dir: OsString,
    /// Name all that has changed, not only the first twenty
    #[arg(short, long)]
    pub verbose: bool,
    /// Leave out names that match PATTERN
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<OsString>,
    /// Keep names that match PATTERN, although a later rule leaves them out
    #[arg(long, value_name = "PATTERN")]
    include: Vec<OsString>,
    /// Read exclude patterns from FILE
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<OsString>,
    /// Read include patterns from FILE
    #[arg(long, value_name = "FILE")]
    include_from: Vec<OsString>,
    /// Add a filter rule
    #[arg(short = 'f', long, value_name = "RULE")]
    filter: Vec<OsString>,
    /// Read rules from .rsync-filter in each directory; -FF: and leave these files out
    #[arg(short = 'F', num_args = 0, default_missing_value = "true", action = ArgAction::Append)]
    dir_filters: Vec<bool>,
    /// Leave out what CVS does
    #[arg(short = 'C', long)]
    pub cvs_exclude: bool,
    /// Leave out what git does: what .gitignore in each directory and .git/info/exclude name
    #[arg(long)]
    pub gitignore: bool,
    /// The rules, in the order of the command line.
    #[arg(skip)]
    pub filters: Vec<FilterFlag>,
}

#[derive(Debug, Args)]
pub(super) struct LogFlags {
    /// A directory on this machine that takes part in two-way runs
    pub dir: OsString,
    /// A path in it
    pub path: Option<OsString>,
    /// Name every path with its run
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub(super) struct UndoFlags {
    /// A directory on this machine that takes part in two-way runs
    pub dir: OsString,
    /// The number of the run, as the log has it
    pub run: Option<u64>,
    /// Name every path that is put back
    #[arg(short, long)]
    pub verbose: bool,
}

#[derive(Debug, Args)]
pub(super) struct TrashFlags {
    /// A directory on this machine that takes part in two-way runs
    pub dir: OsString,
    /// Remove it all for good
    #[arg(long)]
    pub empty: bool,
    /// With --empty: only what was put there more than DAYS days ago
    #[arg(long, value_name = "DAYS", requires = "empty")]
    pub older_than: Option<u32>,
}

impl Command {
    /// Parses the arguments after the program's name.
    pub(super) fn parse(arguments: &[OsString]) -> Result<Command, clap::Error> {
        let words = std::iter::once(OsString::from("dsync")).chain(arguments.iter().cloned());
        let matches = Words::command().try_get_matches_from(words)?;
        let mut command = Words::from_arg_matches(&matches)?.command;
        if let (Command::Status(flags), Some(("status", matches))) = (&mut command, matches.subcommand()) {
            flags.order(matches);
        }
        Ok(command)
    }
}

impl StatusFlags {
    fn order(&mut self, matches: &ArgMatches) {
        self.filters = FilterFlag::in_order(
            matches,
            [
                &mut self.exclude,
                &mut self.include,
                &mut self.exclude_from,
                &mut self.include_from,
                &mut self.filter,
            ],
        );
    }
}

/// What the parser does not understand of what this command was given, as a usage failure.
pub(super) fn failure(error: &clap::Error, word: &str) -> Failure {
    let text = error.to_string();
    let lacks_empty = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.iter().any(|missing| missing == "--empty"),
        _ => false,
    };
    let message = match error.kind() {
        ErrorKind::MissingRequiredArgument if lacks_empty => {
            "--older-than is about --empty, which is missing"
        }
        ErrorKind::MissingRequiredArgument => "the directory is missing",
        _ => text.lines().next().unwrap_or_default().trim_start_matches("error: "),
    };
    Failure::new(USAGE, message).with_hint(format!("dsync {word} --help tells what it takes."))
}
