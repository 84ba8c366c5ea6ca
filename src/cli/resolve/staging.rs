//! Where new versions of files are until they are whole, from the flags about that.

use crate::cli::environment::Environment;
use crate::cli::failure::{Failure, USAGE};
use crate::cli::flags::Flags;
use crate::request::Options;
use crate::tree::filter::{Action, Origin, Rule, Rules};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What the flags mean together.
pub(super) struct Staging {
    pub in_place: bool,
    pub partial: bool,
    pub partial_dir: Option<Vec<u8>>,
}

/// Reads them, and adds to the rules that directories for what is not finished are neither copied nor deleted.
pub(super) fn read(flags: &Flags, environment: &Environment, rules: &mut Rules) -> Result<Staging, Failure> {
    let in_place = flags.inplace || flags.write_devices || flags.appends.is_some();
    let named = flags.partial_dir.as_deref().map(|path| path.as_os_str());
    let usual = environment.partial_dir.as_deref();
    let usual = usual.filter(|_| flags.partial && named.is_none() && !in_place && !flags.delay_updates);
    let partial_dir = named.or(usual).and_then(trimmed);
    check(flags, partial_dir.is_some())?;
    let options = Options { partial_dir, delay_updates: flags.delay_updates, ..Options::default() };
    let along = options.partial_dir.as_deref().filter(|path| !path.starts_with(b"/"));
    let apart = options.holding().filter(|path| along != Some(path));
    rules.come_from(Origin::Option(if along.is_some() { "--partial-dir" } else { "--delay-updates" }.into()));
    for path in along.into_iter().chain(apart) {
        let rule = Rule { perishable: true, ..Rule::new(Action::Exclude, [path, b"/"].concat()) };
        rules.push(rule).map_err(|error| Failure::of(USAGE, &error))?;
    }
    let partial = flags.partial || named.is_some() || flags.delay_updates;
    Ok(Staging { in_place, partial, partial_dir: options.partial_dir })
}

/// A path without slashes at its end. `None` if it names the directory of the files itself, as in rsync.
fn trimmed(path: &OsStr) -> Option<Vec<u8>> {
    let path = path.as_bytes();
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last.saturating_add(1));
    let path = path.get(..end).unwrap_or_default();
    (!path.is_empty() && path != b".").then(|| path.to_vec())
}

/// Refuses what cannot be meant together.
fn check(flags: &Flags, has_partial_dir: bool) -> Result<(), Failure> {
    let together = |one: &str, other: &str| Err(Failure::usage(format!("{one} cannot be used with {other}")));
    let in_place = match (flags.appends.is_some(), flags.inplace, flags.write_devices) {
        (true, _, _) => Some("--append"),
        (false, true, _) => Some("--inplace"),
        (false, false, true) => Some("--write-devices"),
        (false, false, false) => None,
    };
    match in_place {
        Some("--append") if flags.whole == Some(true) => together("--append", "--whole-file (-W)"),
        Some(in_place) if has_partial_dir => together(in_place, "--partial-dir"),
        Some(in_place) if flags.delay_updates => together(in_place, "--delay-updates"),
        _ => Ok(()),
    }
}
