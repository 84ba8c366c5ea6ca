//! From operands to sources and a destination.

use crate::cli::failure::Failure;
use crate::cli::resolve::operand_failure;
use crate::transport::target::{RemoteTarget, Target};
use std::ffi::OsString;

/// What the operands mean.
pub(super) struct Operands {
    /// At least one, all here or all on one host.
    pub sources: Vec<Target>,
    /// Where to; of no meaning for a source that is `alone`.
    pub destination: Target,
    /// Whether there is one source and no destination, so that it is only listed.
    pub alone: bool,
}

/// The operands: at least one source, and a destination unless the source is to be listed. With `splits`, a path on
/// another host may be several, parted by blanks.
pub(super) fn read(operands: &[OsString], splits: bool) -> Result<Operands, Failure> {
    let (last, first) = match operands.split_last() {
        None => return Err(Failure::usage("a source and a destination are needed").with_hint(SEE_HELP)),
        Some((_, [])) => {
            let (sources, destination) = (sources(operands, splits)?, Target::Local(b".".to_vec()));
            return Ok(Operands { sources, destination, alone: true });
        }
        Some(both) => both,
    };
    let sources = sources(first, splits)?;
    let destination = Target::parse(last).map_err(|error| operand_failure(&error))?;
    match (&destination, sources.first()) {
        (Target::SameHost(_), _) => Err(Failure::usage("the destination names no host before its colon")
            .with_hint("Write ./ before a local name that holds a colon.")),
        (Target::Local(path), _) if path.is_empty() => {
            Err(Failure::usage("the destination is empty").with_hint("A dot is the current directory."))
        }
        _ => Ok(Operands { sources, destination, alone: false }),
    }
}

const SEE_HELP: &str = "dsync --help lists the options and shows examples.";

/// The sources, with `:path` replaced by the host before it: all here, or all on one host.
fn sources(operands: &[OsString], splits: bool) -> Result<Vec<Target>, Failure> {
    let mut targets: Vec<Target> = Vec::with_capacity(operands.len());
    for operand in operands {
        if operand.is_empty() {
            return Err(Failure::usage("a source is empty").with_hint("A dot is the current directory."));
        }
        let target = match (Target::parse(operand).map_err(|error| operand_failure(&error))?, targets.last())
        {
            (Target::SameHost(path), Some(Target::Remote(before))) => {
                Target::Remote(RemoteTarget { host: before.host.clone(), path })
            }
            (Target::SameHost(_), _) => {
                let shown = operand.to_string_lossy();
                return Err(Failure::usage(format!("{shown}: no source before it names a host")));
            }
            (target, _) => target,
        };
        let host = |target: &Target| match target {
            Target::Remote(remote) => Some(remote.host.clone()),
            Target::Local(_) | Target::SameHost(_) => None,
        };
        if let Some(before) = targets.last()
            && host(before) != host(&target)
        {
            return Err(Failure::usage("all sources must be on the same host"));
        }
        match target {
            Target::Remote(RemoteTarget { host, path }) if splits && path.contains(&b' ') => {
                let words = path.split(|&byte| byte == b' ').filter(|word| !word.is_empty());
                let target = |word: &[u8]| RemoteTarget { host: host.clone(), path: word.to_vec() };
                targets.extend(words.map(|word| Target::Remote(target(word))));
            }
            target => targets.push(target),
        }
    }
    Ok(targets)
}
