//! What the flags about the sources mean.

use crate::cli::failure::{FILE_IO, Failure, USAGE, with_sources};
use crate::cli::flags::Flags;
use crate::request::{LinkRules, Missing, Mounts, NamesFrom, Options};
use crate::session::{self, Paths};
use crate::transport::target::{Host, Target};
use crate::tree::{Escaped, RelPath};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt;

/// Sets the options that are about what the sources show.
pub(super) fn set(options: &mut Options, flags: &Flags, list_only: bool, names_from: Option<NamesFrom>) {
    let (view, links) = (&flags.view, &flags.link_rules);
    options.list_only = list_only;
    options.dirs = view.dirs || (list_only && !flags.recursive);
    options.relative = view.relative;
    options.no_implied_dirs = view.no_implied_dirs;
    options.mounts = match view.one_file_system {
        0 => Mounts::Entered,
        1 => Mounts::Made,
        _ => Mounts::LeftOut,
    };
    options.make_path = view.mkpath;
    options.missing = match (view.delete_missing_args, view.ignore_missing_args) {
        (true, _) => Missing::Deleted,
        (false, true) => Missing::Ignored,
        (false, false) => Missing::Told,
    };
    options.link_rules = LinkRules {
        copy: links.copy_links,
        copy_dirs: links.copy_dirlinks,
        copy_unsafe: links.copy_unsafe_links,
        safe: links.safe_links && !links.copy_unsafe_links,
        keep_dirs: links.keep_dirlinks,
        munge: links.munge_links,
    };
    options.names_from = names_from;
}

/// The options as the other side has them: what is said of this side's links is not said of its.
pub(super) fn for_peer(options: &Options) -> Options {
    let link_rules = LinkRules { munge: false, ..options.link_rules };
    Options { link_rules, ..options.clone() }
}

/// Where the list of names is, and the list itself if it is on this side.
pub(super) fn names(
    flags: &Flags,
    sources: &[Target],
    destination: &Target,
    paths: Paths,
) -> Result<(Option<NamesFrom>, Option<Vec<u8>>), Failure> {
    let Some(file) = &flags.view.files_from else { return Ok((None, None)) };
    if sources.len() != 1 {
        return Err(Failure::usage("--files-from goes with one source, below which the names are")
            .with_hint("Name one directory, and begin each name in the list there."));
    }
    let host = [&sources.first(), &Some(destination)].into_iter().find_map(|target| host(target.as_ref()?));
    let nul = flags.view.from_nul;
    match (Target::parse(file), host) {
        (Ok(Target::SameHost(file)), Some(_)) => Ok((Some(NamesFrom::Peer { file, nul }), None)),
        (Ok(Target::Remote(remote)), Some(host)) if remote.host == *host => {
            Ok((Some(NamesFrom::Peer { file: remote.path, nul }), None))
        }
        (Ok(Target::SameHost(_) | Target::Remote(_)), _) => {
            Err(Failure::usage("--files-from names a host that is not that of the run").with_hint(
                "The list may be on this side or on the run's other host, as :FILE. Write ./ before a local name that holds a colon.",
            ))
        }
        (Ok(Target::Local(_)), _) | (Err(_), _) => {
            let names = read(file, nul, paths).map_err(|error| {
                let told = format!("--files-from: reading {}: {}", file.to_string_lossy(), with_sources(&error));
                Failure::new(USAGE, told)
            })?;
            Ok((Some(NamesFrom::Asking), Some(names)))
        }
    }
}

/// The paths that `--explain` asks about. A slash at the beginning is the top of the transfer, as in rules.
pub(super) fn explained(flags: &Flags) -> Result<Vec<RelPath>, Failure> {
    let path = |asked: &OsString| {
        let elements = asked.as_bytes().split(|&byte| byte == b'/');
        let elements: Vec<&[u8]> = elements.filter(|element| !matches!(*element, b"" | b".")).collect();
        match RelPath::new(elements.join(&b'/')) {
            Ok(path) if !path.is_root() => Ok(path),
            Ok(_) | Err(_) => {
                let shown = Escaped(asked.as_bytes());
                Err(Failure::usage(format!("--explain={shown}: this is no path below the destination"))
                    .with_hint("Give the path as -v shows it."))
            }
        }
    };
    flags.view.explain.iter().map(path).collect()
}

fn read(file: &OsStr, nul: bool, paths: Paths) -> io::Result<Vec<u8>> {
    if file.as_bytes() == b"-" {
        return session::read_names(&mut io::stdin().lock(), nul);
    }
    session::read_names(&mut session::open_named(file, paths)?, nul)
}

fn host(target: &Target) -> Option<&Host> {
    match target {
        Target::Remote(remote) => Some(&remote.host),
        Target::Local(_) | Target::SameHost(_) => None,
    }
}

/// How paths on this side are followed.
pub(in crate::cli) fn paths(flags: &Flags) -> Result<Paths, Failure> {
    let links = &flags.link_rules;
    match (&links.confine_root, links.insecure_links) {
        (Some(_), true) => {
            Err(Failure::usage("--insecure-links cannot be meant together with --confine-root")
                .with_hint("Links that are not looked at keep nobody inside."))
        }
        (None, true) => Ok(Paths::any()),
        (None, false) => Ok(Paths::default()),
        (Some(directory), false) if !directory.as_bytes().starts_with(b"/") => {
            Err(Failure::usage("--confine-root needs an absolute path"))
        }
        (Some(directory), false) => Paths::within(directory).map_err(|error| {
            let shown = directory.to_string_lossy();
            Failure::new(FILE_IO, format!("--confine-root: opening {shown}: {}", with_sources(&error)))
        }),
    }
}

/// Refuses source paths that lead upwards where they are kept as typed.
pub(super) fn check_relative(options: &Options, sources: &[Target]) -> Result<(), Failure> {
    if !options.relative || options.names_from.is_some() {
        return Ok(());
    }
    for source in sources {
        let (Target::Local(path) | Target::SameHost(path)) = source else { continue };
        check_rises_not(path)?;
    }
    for source in sources {
        if let Target::Remote(remote) = source {
            check_rises_not(&remote.path)?;
        }
    }
    Ok(())
}

fn check_rises_not(path: &[u8]) -> Result<(), Failure> {
    let cut = path.windows(3).position(|window| window == b"/./");
    let kept = cut.and_then(|cut| path.get(cut.saturating_add(3)..)).unwrap_or(path);
    if !kept.split(|&byte| byte == b'/').any(|element| element == b"..") {
        return Ok(());
    }
    let shown = String::from_utf8_lossy(path);
    Err(Failure::usage(format!("{shown}: there is a .. on a path that is to be kept (--relative)"))
        .with_hint("A dot cuts the path: of a/../b/./c, c is kept."))
}

/// Flags that make no sense in a two-way run, with advice what to do instead.
pub(super) fn never_two_way(flags: &Flags) -> [(bool, &'static str, &'static str); 16] {
    const NAMES: &str = "Filter rules say which names take part.";
    const LINKS: &str = "Symbolic links are kept as they are on both sides.";
    let (view, links) = (&flags.view, &flags.link_rules);
    [
        // It implies others, which nobody said.
        (view.files_from.is_some(), "--files-from", NAMES),
        (view.dirs || view.old_dirs, "--dirs (-d)", NAMES),
        (view.relative, "--relative (-R)", "Name the two directories themselves."),
        (view.no_implied_dirs, "--no-implied-dirs", NAMES),
        (view.one_file_system > 0, "--one-file-system (-x)", NAMES),
        (view.list_only, "--list-only", "-n shows what the run would do."),
        (links.copy_links, "--copy-links (-L)", LINKS),
        (links.copy_dirlinks, "--copy-dirlinks (-k)", LINKS),
        (links.copy_unsafe_links, "--copy-unsafe-links", LINKS),
        (links.safe_links, "--safe-links", LINKS),
        (links.keep_dirlinks, "--keep-dirlinks (-K)", LINKS),
        (links.munge_links, "--munge-links", LINKS),
        (view.mkpath, "--mkpath", "Make the directory first."),
        (view.ignore_missing_args, "--ignore-missing-args", NAMES),
        (view.delete_missing_args, "--delete-missing-args", NAMES),
        (
            !view.explain.is_empty(),
            "--explain",
            "Ask about a run without -2, from each side to the other: what one leaves out takes no part on both.",
        ),
    ]
}
