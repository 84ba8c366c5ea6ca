//! The flags about the other host.

use super::{Flags, REMOTE};
use crate::cli::failure::Failure;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// What is said to the other host, and how it is found.
#[derive(Debug, Args)]
pub(in crate::cli) struct RemoteFlags {
    /// Give OPTION to the other side only; say it once for each
    ///
    /// Written as one word, -M--munge-links. Between two local paths the other side is the destination. Filter rules,
    /// the log and what says how paths on a command line are followed are not given in this way.
    #[arg(short = 'M', long, value_name = "OPTION", help_heading = REMOTE)]
    pub remote_option: Vec<OsString>,
    /// Reach the host by IPv4 only
    #[arg(short = '4', long, overrides_with = "ipv6", help_heading = REMOTE)]
    pub ipv4: bool,
    /// Reach the host by IPv6 only
    #[arg(short = '6', long, overrides_with = "ipv4", help_heading = REMOTE)]
    pub ipv6: bool,
    /// Which SSH client: builtin, external (the ssh program), or auto (default): the built-in one where it can
    ///
    /// With auto, the ssh program is run by itself for what the built-in client does not do, such as smart cards and
    /// GSSAPI, and a line says so; it never is after a host's key was not to be trusted. -e goes before this.
    #[arg(long, value_name = "WHICH", help_heading = REMOTE)]
    pub ssh: Option<String>,
    /// Tell how the host is reached and logged in to, step by step
    ///
    /// So does -vvv.
    #[arg(long, help_heading = REMOTE)]
    pub ssh_debug: bool,
    /// Put nothing onto a host that has no dsync
    ///
    /// Else this program is put into ~/.cache/dsync there, unless --remote-path names one. See THE OTHER HOST.
    #[arg(long, help_heading = REMOTE)]
    pub no_bootstrap: bool,
    /// Let blanks part a path on the other host into several: host:'one two' is two
    ///
    /// So does RSYNC_OLD_ARGS=1, unless -s or RSYNC_PROTECT_ARGS=1 says that names are as they are typed.
    #[arg(long = "old-args", help_heading = REMOTE)]
    old_args_given: bool,
    /// Accepted: names are never seen by a shell
    #[arg(short = 's', long, alias = "protect-args", hide = true)]
    pub secluded_args: bool,

    /// What was said about old arguments, if anything was.
    #[arg(skip)]
    pub old_args: Option<bool>,
}

impl RemoteFlags {
    /// Whether one of the options for the other side is this long one.
    pub(in crate::cli) fn says(&self, name: &str) -> bool {
        let is_it = |option: &OsString| option.as_bytes().strip_prefix(b"--") == Some(name.as_bytes());
        self.remote_option.iter().any(is_it)
    }
}

/// Whether an option that no request carries differs.
type Differs = fn(&Flags, &Flags) -> bool;

/// The options that no request carries.
const NOT_CARRIED: [(&str, Differs); 25] = [
    ("filter rules", |own, peer| {
        own.filters.len() != peer.filters.len()
            || (own.cvs_exclude, own.gitignore) != (peer.cvs_exclude, peer.gitignore)
    }),
    ("--explain", |own, peer| own.view.explain != peer.view.explain),
    ("--log-file", |own, peer| own.log_file != peer.log_file),
    ("--log-file-format", |own, peer| own.log_file_format != peer.log_file_format),
    ("--insecure-links", |own, peer| own.link_rules.insecure_links != peer.link_rules.insecure_links),
    ("--confine-root", |own, peer| own.link_rules.confine_root != peer.link_rules.confine_root),
    ("--restrict", |own, peer| {
        let said = |flags: &Flags| {
            let asked = &flags.restriction;
            (asked.restrict.clone(), asked.read_only, asked.write_only)
        };
        said(own) != said(peer)
    }),
    ("--help", |own, peer| own.help != peer.help),
    ("--version", |own, peer| own.version != peer.version),
    ("--generate", |own, peer| own.generate != peer.generate),
    ("--server", |own, peer| (own.server, own.executable_sum) != (peer.server, peer.executable_sum)),
    ("--two-way", |own, peer| own.two_way != peer.two_way),
    ("--plan", |own, peer| own.plan != peer.plan),
    ("--apply", |own, peer| own.apply != peer.apply),
    ("--conflict", |own, peer| (&own.conflict, &own.conflict_for) != (&peer.conflict, &peer.conflict_for)),
    ("--files-from", |own, peer| own.view.files_from != peer.view.files_from),
    ("--stop-after", |own, peer| own.stop_after != peer.stop_after),
    ("--stop-at", |own, peer| own.stop_at != peer.stop_at),
    ("--retry", |own, peer| (own.retry, own.retry_delay) != (peer.retry, peer.retry_delay)),
    ("--rsh", |own, peer| own.rsh != peer.rsh),
    ("--ssh-config", |own, peer| own.ssh_config != peer.ssh_config),
    ("--ssh", |own, peer| own.remote.ssh != peer.remote.ssh),
    ("--ssh-debug", |own, peer| own.remote.ssh_debug != peer.remote.ssh_debug),
    ("--no-bootstrap", |own, peer| own.remote.no_bootstrap != peer.remote.no_bootstrap),
    ("--remote-path", |own, peer| own.remote_path != peer.remote_path),
];

/// Refuses what `-M` cannot give to the other side, so that nobody relies on it there.
///
/// # Errors
/// What it is, and what does instead.
pub(super) fn check(own: &Flags, peer: &Flags) -> Result<(), Failure> {
    let Some((name, _)) = NOT_CARRIED.iter().find(|(_, differs)| differs(own, peer)) else { return Ok(()) };
    let hint = match *name {
        "filter rules" => {
            "Rules for one side go with all others: P and R are for the receiver, H and S for the sender."
        }
        "--restrict" => "It is for whoever starts the server: put it into the command there.",
        "--insecure-links" | "--confine-root" => {
            "Put it into the command there: --remote-path='dsync --confine-root=DIR'."
        }
        _ => "It is of use on this side only.",
    };
    Err(Failure::usage(format!("--remote-option cannot give {name} to the other side")).with_hint(hint))
}
