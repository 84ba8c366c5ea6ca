//! How a run looks, from the flags about its output.

use crate::cli::environment::Environment;
use crate::cli::failure::{Failure, USAGE};
use crate::cli::flags::Flags;
use crate::cli::output::json;
use crate::cli::output::{
    Buffering, Direction, Format, Levels, LogStyle, Manner, Origins, Style, check_debug,
};
use crate::cli::resolve::{content, two_way};
use crate::request::Detail;
use crate::transport::target::Target;
use std::ffi::OsStr;

/// How lines are written.
pub(in crate::cli) fn manner(flags: &Flags) -> Result<Manner, Failure> {
    Ok(Manner {
        buffering: buffering(flags.outbuf.as_deref())?,
        all_to_stderr: all_to_stderr(flags)?,
        // In JSON a backslash is one, and what is no text is escaped for good.
        eight_bit: flags.eight_bit_output && !flags.json,
    })
}

/// A word counts by its first letter.
fn buffering(mode: Option<&str>) -> Result<Buffering, Failure> {
    let Some(mode) = mode else { return Ok(Buffering::default()) };
    match mode.chars().next().map(|letter| letter.to_ascii_lowercase()) {
        Some('n' | 'u' | 'l') => Ok(Buffering::Lines),
        Some('b' | 'f') => Ok(Buffering::Blocks),
        _ => Err(Failure::usage(format!("--outbuf: {mode:?} is none of its words"))
            .with_hint("They are N (none), L (line) and B (block).")),
    }
}

/// A word may be cut short.
fn all_to_stderr(flags: &Flags) -> Result<bool, Failure> {
    let Some(mode) = flags.stderr.as_deref() else { return Ok(false) };
    let word =
        ["errors", "all", "client"].into_iter().find(|word| !mode.is_empty() && word.starts_with(mode));
    let word = word.ok_or_else(|| {
        Failure::usage(format!("--stderr: {mode:?} is none of its words"))
            .with_hint("They are errors, all and client.")
    })?;
    Ok(word == "all")
}

/// How the output of a run looks.
pub(super) fn style(
    flags: &Flags,
    destination: &Target,
    sources: &[Target],
    environment: &Environment,
) -> Result<Style, Failure> {
    let mut levels = Levels::at_verbosity(flags.verbose);
    levels.raise_for(flags.progress, flags.stats);
    kinds(flags, &mut levels)?;
    if flags.quiet {
        levels = Levels::default();
    }
    let format = format(flags)?;
    let itemises = format.as_ref().is_some_and(Format::itemises);
    let destination_path = match destination {
        Target::Local(path) | Target::SameHost(path) => path,
        Target::Remote(remote) => &remote.path,
    };
    let direction = match (destination, sources.first()) {
        (Target::Remote(_), _) => Direction::Push,
        (_, Some(Target::Remote(_))) => Direction::Pull,
        _ => Direction::Local,
    };
    let local = sources.iter().filter_map(|source| match source {
        Target::Local(path) => Some(path.as_slice()),
        Target::Remote(_) | Target::SameHost(_) => None,
    });
    Ok(Style {
        quiet: flags.quiet,
        itemise: if itemises { flags.itemize_changes.max(1) } else { 0 },
        format,
        log: log(flags),
        json: json(flags, destination, sources)?,
        progress: levels.progress > 0 && (flags.json || environment.stderr_is_terminal),
        human: if flags.plain_numbers { 0 } else { flags.human_readable.saturating_add(1) },
        dry_run: flags.dry_run,
        // A two-way run has a plan to show, not a list.
        recursive: flags.recursive && !flags.two_way,
        destination: destination_path.clone(),
        origins: Origins::new(local, flags.view.relative, flags.view.files_from.is_some()),
        unmunges: direction != Direction::Pull && flags.remote.says("munge-links"),
        groups: flags.group,
        sum_width: content::shown_width(flags)?,
        direction,
        two_way: two_way::style(flags, &levels),
        levels,
    })
}

/// Sets what `--info` says. What is said to `--debug` has only to be known.
fn kinds(flags: &Flags, levels: &mut Levels) -> Result<(), Failure> {
    let unknown = |error| Failure::of(USAGE, &error);
    flags.debug.iter().try_for_each(|text| check_debug(text)).map_err(unknown)?;
    flags.info.iter().try_for_each(|text| levels.set(text)).map_err(unknown)
}

/// Checks what `-M` says about output, which is not shown apart.
pub(super) fn check_of_peer(theirs: &Flags) -> Result<(), Failure> {
    manner(theirs)?;
    kinds(theirs, &mut Levels::default())
}

/// The format of the lines about entries. That of `--out-format` takes the place of that of `-i`.
fn format(flags: &Flags) -> Result<Option<Format>, Failure> {
    if flags.two_way && flags.out_format.is_some() {
        return Err(Failure::usage("--out-format does not go with --two-way")
            .with_hint("-v shows the plan of a two-way run, --plan=FILE writes it."));
    }
    if flags.two_way && flags.log_file_format.is_some() {
        return Err(Failure::usage("--log-file-format does not go with --two-way")
            .with_hint("--log-file logs the plan of a two-way run."));
    }
    Ok(match &flags.out_format {
        _ if flags.quiet => None,
        Some(format) => Some(Format::new(format)),
        None => (flags.itemize_changes > 0).then(Format::itemised),
    })
}

fn json(flags: &Flags, destination: &Target, sources: &[Target]) -> Result<Option<json::Start>, Failure> {
    if flags.json && flags.out_format.is_some() {
        return Err(Failure::usage("--json and --out-format both say how changes are shown; choose one"));
    }
    Ok(flags.json.then(|| json::Start {
        sources: sources.to_vec(),
        destination: destination.clone(),
        two_way: flags.two_way,
    }))
}

/// Where the log is to be kept, if one is. An empty name stands for none, as in rsync.
pub(in crate::cli) fn log_file(flags: &Flags) -> Option<&OsStr> {
    flags.log_file.as_deref().filter(|path| !path.is_empty())
}

fn log(flags: &Flags) -> Option<LogStyle> {
    let format = match flags.log_file_format.as_deref() {
        None => Some(Format::itemised()),
        Some(format) if format.is_empty() => None,
        Some(format) => Some(Format::new(format)),
    };
    log_file(flags).map(|_| LogStyle { format })
}

/// The events that a style has a line for, in a run that may delete or not.
pub(super) fn detail(style: &Style, deletes: bool) -> Detail {
    let levels = &style.levels;
    if style.two_way.is_some() {
        // The plan says it all, and before.
        return Detail { progress: style.progress, ..Detail::default() };
    }
    let formats = || style.format.iter().chain(style.log.iter().filter_map(|log| log.format.as_ref()));
    let any = |needs: fn(&Format) -> bool| formats().any(needs);
    let json = style.json.is_some();
    Detail {
        // A log without a format tells of deletions all the same.
        changes: levels.name > 0
            || levels.delete > 0
            || levels.unsafe_links > 0
            || levels.remove > 0
            || json
            || any(|_| true)
            || (deletes && style.log.is_some()),
        attributes: levels.name > 0 || json || any(|_| true),
        unchanged: levels.name > 1 || levels.skip > 0 || style.itemise > 1,
        progress: style.progress,
        facts: json || any(Format::needs_facts),
        sent: json || any(Format::needs_sent),
        sums: any(Format::needs_sum),
    }
}
