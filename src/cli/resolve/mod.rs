//! From flags to a run: the second stage of the command line.
//!
//! Here flags become what they mean together: files of filter rules are read, operands become targets, units are
//! worked out, and what cannot go together is refused. After this nothing looks at a flag again.

mod content;
mod moment;
mod output;
mod owners;
mod remote;
mod restrict;
mod rules;
mod staging;
mod targets;
mod two_way;
mod view;

pub(in crate::cli) use self::output::{log_file, manner};
pub(super) use self::restrict::terms;
pub(in crate::cli) use self::rules::{filter_failure, read as read_rules};
pub(in crate::cli) use self::view::paths;

use crate::cli::environment::Environment;
use crate::cli::failure::{Failure, USAGE};
use crate::cli::flags::{Flags, size};
use crate::cli::output::Style;
use crate::request::{
    Backup, Bases, BasisKind, Deletion, DeletionLimit, DeletionTime, Options, Reflink, Shortcuts,
};
use crate::session::{Run, Shell};
use crate::transport;
use crate::transport::command::{RemoteCommand, split_command};
use crate::transport::target::Target;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The name dsync is looked for on the other host.
const DEFAULT_PROGRAM: &str = "dsync";

/// Works out what the flags ask for.
///
/// # Errors
/// A usage failure for what cannot be meant, a file failure for a file of rules that cannot be read.
pub(super) fn resolve(flags: &Flags, environment: &Environment) -> Result<(Run, Style), Failure> {
    restrict::check_unrestricted(flags)?;
    let targets::Operands { sources, destination, alone } =
        targets::read(&flags.operands, remote::splits(flags, environment))?;
    if alone && flags.two_way {
        return Err(Failure::usage("a second directory is needed after the first")
            .with_hint("A two-way run brings two directories up to date with each other."));
    }
    if flags.crtimes {
        return Err(Failure::usage(
            "--crtimes (-N): this system does not let anybody set when a file was made",
        ));
    }
    if flags.two_way && matches!((&sources[..], &destination), ([Target::Remote(_), ..], Target::Remote(_))) {
        return Err(Failure::usage("one of the two directories of a two-way run has to be here")
            .with_hint("Run dsync on one of the two hosts."));
    }
    two_way::check(flags, &sources)?;
    remote::check_of_peer(flags, &sources)?;
    remote::check_paths(flags, &sources, &destination)?;
    let style = output::style(flags, &destination, &sources, environment)?;
    let paths = view::paths(flags)?;
    let (names_from, names) = view::names(flags, &sources, &destination, paths)?;
    let mut options = options(flags, &style, environment)?;
    view::set(&mut options, flags, alone || flags.view.list_only, names_from);
    view::check_relative(&options, &sources)?;
    options.validate().map_err(|error| Failure::of(USAGE, &error))?;
    let shell = shell(flags, environment)?;
    let two_way = two_way::run(flags)?;
    let (seed, ends) = (content::seed(flags), moment::end(flags)?);
    let (sources, destination) = match two_way {
        Some(_) => (sources.into_iter().map(two_way::root).collect(), two_way::root(destination)),
        None => (sources, destination),
    };
    let is_local = sources.iter().chain([&destination]).all(|target| matches!(target, Target::Local(_)));
    if is_local && options.reflink == Reflink::Always && options.bandwidth.is_some() {
        return Err(Failure::usage("--reflink=always cannot be used with --bwlimit")
            .with_hint("Blocks that are shared are not sent."));
    }
    let mut peer_options = remote::peer_options(flags, &options, &style, environment, is_local)?;
    let receives = matches!(destination, Target::Local(_));
    if flags.drop_devices && receives {
        options.drop_devices();
    }
    // Between two paths of one host, the one process is both sides.
    if (flags.drop_devices && is_local) || (!receives && flags.remote.says("drop-D")) {
        peer_options.drop_devices();
    }
    let retry = remote::retry(flags, [&options, &peer_options], environment, is_local)?;
    options.keep_staged = retry.times > 0;
    peer_options.keep_staged = options.keep_staged;
    Ok((
        Run { sources, destination, options, peer_options, names, paths, shell, two_way, retry, seed, ends },
        style,
    ))
}

fn operand_failure(error: &transport::Error) -> Failure {
    let failure = Failure::of(USAGE, error);
    match error.hint() {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

fn options(flags: &Flags, style: &Style, environment: &Environment) -> Result<Options, Failure> {
    let when = deletion_time(flags)?;
    let deletes = flags.delete || flags.delete_excluded || when.is_some();
    let delete = deletes.then_some(Deletion {
        excluded: flags.delete_excluded,
        ignore_errors: flags.ignore_errors,
        when: when.unwrap_or_default(),
        from_empty: flags.delete_from_empty,
    });
    let backup = backup(flags);
    let beside = backup.as_ref().filter(|backup| backup.directory.is_none());
    // Backups beside what they are of are not to be deleted, unless a rule says otherwise.
    let spared = beside.filter(|_| deletes && !flags.delete_excluded).map(|backup| backup.suffix.as_slice());
    let input = (flags.view.from_nul, view::paths(flags)?);
    let rules = rules::read(&flags.filters, flags.cvs_exclude, input, environment, spared)?;
    let mut rules = if flags.delete_excluded { rules.with_delete_excluded() } else { rules };
    // What this adds is not excluded by the user, so it is protected in any case.
    let staging = staging::read(flags, environment, &mut rules)?;
    if flags.gitignore {
        rules.add_git(flags.delete_excluded).map_err(|error| rules::filter_failure(&error))?;
    }
    let (user_map, group_map) = owners::maps(flags)?;
    let (sum, compare_sum) = content::sums(flags)?;
    Ok(Options {
        recursive: flags.recursive,
        links: flags.links,
        hard_links: flags.hard_links,
        perms: flags.perms,
        executability: flags.executability,
        acls: flags.acls,
        xattrs: flags.xattrs.min(2),
        atimes: flags.atimes > 0,
        open_noatime: flags.open_noatime || flags.atimes > 1,
        super_user: flags.super_user,
        times: flags.times,
        owner: flags.owner,
        group: flags.group,
        devices: flags.devices,
        copy_devices: flags.copy_devices,
        write_devices: flags.write_devices,
        specials: flags.specials,
        numeric_ids: flags.numeric_ids,
        user_map,
        group_map,
        chmod: owners::chmod(flags)?,
        omit_link_times: flags.omit_link_times,
        checksum: flags.checksum,
        update: flags.update,
        ignore_times: flags.ignore_times,
        size_only: flags.size_only,
        existing: flags.existing,
        ignore_existing: flags.ignore_existing,
        bases: bases(flags)?,
        max_size: flags.max_size.map(|size| size.0),
        min_size: flags.min_size.map(|size| size.0),
        modify_window: flags.modify_window.unwrap_or(0),
        whole_file: flags.whole,
        in_place: staging.in_place,
        partial: staging.partial,
        partial_dir: staging.partial_dir,
        delay_updates: flags.delay_updates,
        append: flags.appends,
        fuzzy: flags.fuzzy.min(2),
        detect_renames: detect_renames(flags)?,
        block_size: block_size(flags)?,
        sum,
        compare_sum,
        compress: content::compression(flags)?,
        skip_compress: content::skip_compress(flags)?,
        fsync: flags.fsync,
        sparse: flags.sparse,
        preallocate: flags.preallocate,
        temp_dir: flags.temp_dir.as_ref().map(|path| path.as_os_str().as_bytes().to_vec()),
        reflink: reflink(flags.reflink.as_deref())?,
        bandwidth: bandwidth(flags.bwlimit.as_deref())?,
        timeout: flags.timeout.filter(|&seconds| seconds > 0),
        streams: flags.streams.filter(|&streams| streams != 1),
        delete,
        remove_source_files: flags.remove_source_files,
        max_delete: if flags.two_way { None } else { delete_limit(flags.max_delete.as_deref())? },
        explain: view::explained(flags)?,
        omit_dir_times: flags.omit_dir_times || beside.is_some(),
        backup,
        force: flags.force,
        rules,
        two_way: two_way::options(flags),
        prune_empty_dirs: flags.prune_empty_dirs,
        dry_run: flags.dry_run,
        detail: output::detail(style, deletes || flags.view.delete_missing_args),
        shortcuts: shortcuts(flags.plain.as_deref())?,
        ..Options::default()
    })
}

/// Where what is replaced or deleted is kept, if it is.
fn backup(flags: &Flags) -> Option<Backup> {
    let directory = flags.backup_dir.as_ref().map(|path| path.as_bytes().to_vec());
    let default: &[u8] = if directory.is_some() { b"" } else { b"~" };
    let suffix = flags.suffix.as_ref().map_or(default, |suffix| suffix.as_bytes()).to_vec();
    (flags.backup || directory.is_some()).then_some(Backup { directory, suffix })
}

/// The directories to compare with besides the destination, which are all of one kind.
fn bases(flags: &Flags) -> Result<Option<Bases>, Failure> {
    let given = [
        (BasisKind::Compare, &flags.compare_dest),
        (BasisKind::Copy, &flags.copy_dest),
        (BasisKind::Link, &flags.link_dest),
    ];
    let mut given = given.into_iter().filter(|(_, paths)| !paths.is_empty());
    let Some((kind, paths)) = given.next() else { return Ok(None) };
    if let Some((other, _)) = given.next() {
        return Err(Failure::usage(format!(
            "{} and {} cannot be meant together",
            kind.option(),
            other.option()
        )));
    }
    let directories = paths.iter().map(|path| path.as_bytes().to_vec()).collect();
    Ok(Some(Bases { kind, directories }))
}

/// The value of `--max-delete` in a run that is not two-way.
fn delete_limit(text: Option<&str>) -> Result<Option<DeletionLimit>, Failure> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<i64>() {
        // rsync takes a negative limit as "delete nothing".
        Ok(limit) => Ok(Some(DeletionLimit::Count(u64::try_from(limit).unwrap_or(0)))),
        Err(_) => match text.strip_suffix('%').map(str::parse) {
            Some(Ok(percent)) => Ok(Some(DeletionLimit::Percent(percent))),
            _ => Err(Failure::usage(format!("--max-delete: {text:?} is neither a number nor a percentage"))),
        },
    }
}

/// Whether new files may be taken from others at the destination.
fn detect_renames(flags: &Flags) -> Result<bool, Failure> {
    if flags.detect_renames && flags.remove_source_files {
        return Err(Failure::usage("--remove-source-files and --detect-renames cannot be given together")
            .with_hint(
                "Leave one out: files that are renamed at the end of the run are confirmed to nobody.",
            ));
    }
    Ok(flags.detect_renames)
}

/// When to delete, if anybody says.
fn deletion_time(flags: &Flags) -> Result<Option<DeletionTime>, Failure> {
    let given = [
        (flags.delete_before, DeletionTime::Before),
        (flags.delete_during, DeletionTime::During),
        (flags.delete_delay, DeletionTime::Delay),
        (flags.delete_after, DeletionTime::After),
    ];
    let mut given = given.iter().filter(|(given, _)| *given).map(|(_, time)| *time);
    match (given.next(), given.next()) {
        (Some(DeletionTime::Before), None) if flags.detect_renames => {
            Err(Failure::usage("--delete-before removes what --detect-renames would rename")
                .with_hint("Leave out --delete-before: with --detect-renames, deletions come last."))
        }
        (time, None) => Ok(time),
        // What is found on the way goes at the end.
        (Some(DeletionTime::During), Some(DeletionTime::Delay)) if given.next().is_none() => {
            Ok(Some(DeletionTime::Delay))
        }
        (_, Some(_)) => Err(Failure::usage("two options say when to delete")
            .with_hint("Give one of --delete-before, --delete-during, --delete-delay and --delete-after.")),
    }
}

fn shortcuts(plain: Option<&str>) -> Result<Shortcuts, Failure> {
    let mut shortcuts = Shortcuts::default();
    let names: Vec<&str> = match plain {
        None => Vec::new(),
        Some("all") => Shortcuts::NAMES.to_vec(),
        Some(names) => names.split(',').collect(),
    };
    for name in names {
        if !shortcuts.leave_out(name) {
            return Err(Failure::usage(format!("--plain: unknown shortcut {name:?}")).with_hint(format!(
                "There are {}; all leaves out each of them.",
                Shortcuts::NAMES.join(", ")
            )));
        }
    }
    Ok(shortcuts)
}

fn reflink(when: Option<&str>) -> Result<Reflink, Failure> {
    match when {
        None | Some("auto") => Ok(Reflink::Auto),
        Some("always") => Ok(Reflink::Always),
        Some("never") => Ok(Reflink::Never),
        Some(other) => Err(Failure::usage(format!("--reflink: the value {other:?} is not valid"))
            .with_hint("It is auto, always or never.")),
    }
}

fn block_size(flags: &Flags) -> Result<Option<u32>, Failure> {
    match flags.block_size {
        None | Some(size::Size(0)) => Ok(None),
        Some(size::Size(bytes)) => u32::try_from(bytes)
            .map(Some)
            .map_err(|_| Failure::usage(format!("--block-size: {bytes} bytes are too many"))),
    }
}

/// rsync's lowest limit, in bytes a second.
const MIN_BANDWIDTH: u64 = 512;

fn bandwidth(rate: Option<&str>) -> Result<Option<u64>, Failure> {
    let Some(text) = rate else { return Ok(None) };
    match size::parse(text, 'k') {
        Ok(0) => Ok(None),
        Ok(bytes) if bytes < MIN_BANDWIDTH => {
            Err(Failure::usage(format!("--bwlimit: {text:?} is less than {MIN_BANDWIDTH} bytes a second"))
                .with_hint("0 means no limit."))
        }
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) => Err(Failure::usage(format!("--bwlimit: the value {text:?} is not valid: {error}"))),
    }
}

fn shell(flags: &Flags, environment: &Environment) -> Result<Shell, Failure> {
    let command = flags.rsh.as_ref().or(environment.shell.as_ref());
    let command = command.map(|command| split_command(command)).transpose();
    let program = flags.remote_path.as_deref().unwrap_or(OsStr::new(DEFAULT_PROGRAM));
    RemoteCommand::server(program).map_err(|error| operand_failure(&error))?;
    let remote_program = program.to_owned();
    let is_put = flags.remote_path.is_none() && !flags.remote.no_bootstrap;
    Ok(Shell {
        executable: environment.executable.clone().filter(|_| is_put),
        command: command.map_err(|error| operand_failure(&error))?,
        remote_program,
        ssh_config: flags.ssh_config.clone(),
        ssh: remote::ssh_choice(flags)?,
        ssh_debug: flags.remote.ssh_debug || flags.verbose >= 3,
        family: remote::family(flags),
    })
}

#[cfg(test)]
mod tests;
