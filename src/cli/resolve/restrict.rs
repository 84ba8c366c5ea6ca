//! How a server is started: what it is restricted to, if it is.

use crate::cli::failure::{FILE_IO, Failure, with_sources};
use crate::cli::flags::Flags;
use crate::cli::resolve::paths;
use crate::request::{Access, Restriction};
use crate::session::Terms;
use crate::tree::Escaped;
use std::os::unix::ffi::OsStrExt as _;

/// What `--server` goes by. With `--restrict` the process is in its directory from now on.
pub(in crate::cli) fn terms(flags: &Flags) -> Result<Terms, Failure> {
    let asked = &flags.restriction;
    let Some(directory) = &asked.restrict else {
        check_unrestricted(flags)?;
        return Ok(Terms::of(paths(flags)?));
    };
    if let Some(other) = asked.others.first() {
        return Err(Failure::usage(format!("a server with --restrict does not heed {other}")).with_hint(
            "Beside --server and --restrict there are --read-only, --write-only and --no-delete.",
        ));
    }
    let access = match (asked.read_only, asked.write_only) {
        (false, false) => Access::Both,
        (true, false) => Access::ReadOnly,
        (false, true) => Access::WriteOnly,
        (true, true) => {
            return Err(Failure::usage("--read-only and --write-only together leave nothing to serve"));
        }
    };
    let restriction = Restriction { access, keeps_all: asked.keeps_all };
    Terms::restricted(directory, restriction).map_err(|error| {
        let shown = Escaped(directory.as_bytes());
        Failure::new(FILE_IO, format!("--restrict={shown}: {}", with_sources(&error)))
    })
}

/// Refuses to seem restricted.
pub(in crate::cli) fn check_unrestricted(flags: &Flags) -> Result<(), Failure> {
    let asked = &flags.restriction;
    let said = [
        ("--restrict", asked.restrict.is_some()),
        ("--read-only", asked.read_only),
        ("--write-only", asked.write_only),
        // Without a server it only takes back --delete.
        ("--no-delete", flags.server && asked.keeps_all),
    ];
    match said.iter().find(|(_, is_said)| *is_said) {
        None => Ok(()),
        Some((option, _)) if flags.server => Err(Failure::usage(format!("{option} needs --restrict=DIR"))),
        Some((option, _)) => Err(Failure::usage(format!("{option} is for a server, with --server"))),
    }
}
