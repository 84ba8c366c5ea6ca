//! What the flags about the other host mean, besides how to reach it.

use crate::cli::environment::Environment;
use crate::cli::failure::{Failure, USAGE};
use crate::cli::flags::{FilterFlag, Flags};
use crate::cli::output::Style;
use crate::cli::resolve::{output, two_way, view};
use crate::request::{LinkRules, Options, Super};
use crate::session::{Retry, once_only};
use crate::transport::IpFamily;
use crate::transport::ssh::Choice;
use crate::transport::target::Target;
use std::time::Duration;

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

/// How often the run is tried again, for somebody who looks on, when the line breaks, if nobody says.
const RETRIES: u32 = 3;

/// How often the run is tried again when the line breaks. The options are those of both sides, this one first: what
/// cannot be done twice may be said to the other alone (`-M`).
pub(super) fn retry(
    flags: &Flags,
    [options, of_peer]: [&Options; 2],
    environment: &Environment,
    is_local: bool,
) -> Result<Retry, Failure> {
    let delay = flags.retry_delay.map(|seconds| Duration::from_secs(seconds.into()));
    let only_tells = options.dry_run || options.list_only || !options.explain.is_empty();
    let why_not = once_only(options).or_else(|| once_only(of_peer)).or_else(|| {
        flags.apply.is_some().then_some("what is done of the plan would count as changed since it was made")
    });
    let times = match (flags.retry, why_not) {
        (Some(1..), Some(why)) => {
            return Err(Failure::usage(format!("--retry cannot be used here: {why}"))
                .with_hint("Leave it out, and run the command again if the line breaks."));
        }
        (Some(times), _) => times,
        (None, None) if environment.stderr_is_terminal => RETRIES,
        (None, _) => 0,
    };
    Ok(Retry { times: if is_local || only_tells { 0 } else { times }, delay })
}

/// Which SSH client reaches the host.
pub(super) fn ssh_choice(flags: &Flags) -> Result<Choice, Failure> {
    match flags.remote.ssh.as_deref() {
        None | Some("auto") => Ok(Choice::Auto),
        Some("builtin") => Ok(Choice::BuiltIn),
        Some("external") => Ok(Choice::External),
        Some(other) => Err(Failure::usage(format!("--ssh: the value {other:?} is not valid"))
            .with_hint("It is builtin, external or auto.")),
    }
}

/// Refuses what is said about paths on this side where none is named here.
pub(super) fn check_paths(flags: &Flags, sources: &[Target], destination: &Target) -> Result<(), Failure> {
    let is_between = matches!((sources, destination), ([Target::Remote(_), ..], Target::Remote(_)));
    let names_rules = flags.cvs_exclude
        || flags.filters.iter().any(|filter| {
            matches!(filter, FilterFlag::ExcludeFrom(_) | FilterFlag::IncludeFrom(_) | FilterFlag::Filter(_))
        });
    let said = [
        ("--insecure-links", flags.link_rules.insecure_links),
        ("--confine-root", flags.link_rules.confine_root.is_some()),
    ];
    match said.iter().find(|(_, is_said)| *is_said && is_between && !names_rules) {
        None => Ok(()),
        Some((option, _)) => {
            Err(Failure::usage(format!("{option} is about paths on this side, and here is none"))
                .with_hint("Put it into the command of the hosts: --remote-path='dsync --insecure-links'."))
        }
    }
}

/// Refuses flags of `-M` that make no sense in this run.
pub(super) fn check_of_peer(flags: &Flags, sources: &[Target]) -> Result<(), Failure> {
    let theirs = flags.of_peer.as_deref().map(|theirs| two_way::check(theirs, sources));
    theirs.transpose().map(drop).map_err(Failure::of_peer)
}

/// The options as the other side has them: what is said of this side's links and attributes is not said of its, and
/// what `-M` says is said of nothing else.
pub(super) fn peer_options(
    flags: &Flags,
    options: &Options,
    style: &Style,
    environment: &Environment,
    is_local: bool,
) -> Result<Options, Failure> {
    let mut peer = match &flags.of_peer {
        None => view::for_peer(options),
        Some(theirs) => {
            let said =
                output::check_of_peer(theirs).and_then(|()| super::options(theirs, style, environment));
            let mut peer = said.map_err(Failure::of_peer)?;
            view::set(&mut peer, theirs, options.list_only, options.names_from.clone());
            peer.rules = options.rules.clone();
            let munge = theirs.link_rules.munge_links && flags.remote.says("munge-links");
            peer.link_rules = LinkRules { munge, ..peer.link_rules };
            if peer.sweeps_first() != options.sweeps_first() {
                return Err(Failure::usage("--delete-before has to be said to both sides").of_peer());
            }
            peer
        }
    };
    // Each host keeps attributes in its own way; two paths of one host, in the same.
    if !is_local && !flags.remote.says("fake-super") {
        peer.super_user = peer.super_user.filter(|said| *said != Super::Faked);
    }
    if peer.remove_source_files != options.remove_source_files {
        return Err(Failure::usage("--remove-source-files has to be said to both sides").of_peer());
    }
    // Without -M they are those of this side, which are valid.
    peer.validate().map_err(|error| Failure::of(USAGE, &error).of_peer())?;
    Ok(peer)
}

#[cfg(test)]
mod tests {
    use crate::cli::resolve::tests::{refusal, resolved};

    /// As they would be without `-M`: by the same words, after its name.
    #[test]
    fn values_of_options_for_the_other_side_are_looked_at() {
        for said in [
            "--info=nosuch",
            "--debug=del,nosuch",
            "--bwlimit=x",
            "--max-delete=x",
            "--chmod=q",
            "--usermap=x",
            "--skip-compress=[",
            "--checksum-choice=x",
            "--compress-choice=x",
            "--plain=x",
            "--trash-days=3",
            "--streams=99",
        ] {
            let (own, theirs) =
                (refusal(&format!("-a {said} a h:b")), refusal(&format!("-a -M{said} a h:b")));
            let message = own.strip_prefix("dsync: ").unwrap_or_default();
            assert_eq!(theirs, format!("dsync: --remote-option (-M): {message}"));
        }
        // Those of this side are looked at before there is anything else.
        for (said, message) in
            [("--outbuf=q", "--outbuf: \"q\" is none"), ("--stderr=zz", "--stderr: \"zz\"")]
        {
            let refusal = refusal(&format!("-a -M{said} a h:b"));
            assert!(refusal.starts_with(&format!("dsync: --remote-option (-M): {message}")), "{refusal}");
        }
        resolved("-a -M--info=name2,copy -M--debug=acl -M--outbuf=L -M--stderr=all a h:b").unwrap();
    }

    /// Nor does -q make sense of them.
    #[test]
    fn kinds_of_output_are_looked_at_in_quiet_runs() {
        assert!(refusal("-q --info=nosuch a b").starts_with("dsync: --info: unknown kind of output"));
    }
}
