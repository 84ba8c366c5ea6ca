//! What the flags about the other host mean, besides how to reach it.

use crate::cli::environment::Environment;
use crate::cli::failure::{Failure, USAGE};
use crate::cli::flags::Flags;
use crate::cli::output::Style;
use crate::cli::resolve::view;
use crate::request::{LinkRules, Options};
use crate::transport::IpFamily;

/// Whether blanks part a path on another host into several, as they did when a shell there saw it.
pub(super) fn splits(flags: &Flags, environment: &Environment) -> bool {
    let remote = &flags.remote;
    !remote.secluded_args && remote.old_args.unwrap_or(environment.old_args)
}

/// Which addresses of the host are tried.
pub(super) fn family(flags: &Flags) -> Option<IpFamily> {
    match (flags.remote.ipv4, flags.remote.ipv6) {
        (true, _) => Some(IpFamily::V4),
        (_, true) => Some(IpFamily::V6),
        _ => None,
    }
}

/// The options as the other side has them: what is said of this side's links is not said of its, and what `-M` says is
/// said of nothing else.
pub(super) fn peer_options(
    flags: &Flags,
    options: &Options,
    style: &Style,
    environment: &Environment,
) -> Result<Options, Failure> {
    let Some(theirs) = &flags.of_peer else { return Ok(view::for_peer(options)) };
    let mut peer = super::options(theirs, style, environment)?;
    view::set(&mut peer, theirs, options.list_only, options.names_from.clone());
    peer.rules = options.rules.clone();
    let munge = theirs.view.munge_links && flags.remote.says("munge-links");
    peer.link_rules = LinkRules { munge, ..peer.link_rules };
    peer.validate().map_err(|error| Failure::of(USAGE, &error))?;
    Ok(peer)
}
