//! The flags about the other host.

use super::REMOTE;
use clap::Args;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

/// What is said to the other host, and how it is found.
#[derive(Debug, Args)]
pub(in crate::cli) struct RemoteFlags {
    /// Give OPTION to the other side only; say it once for each
    ///
    /// Written as one word, -M--munge-links. Between two local paths the other side is the destination.
    #[arg(short = 'M', long, value_name = "OPTION", help_heading = REMOTE)]
    pub remote_option: Vec<OsString>,
    /// Reach the host by IPv4 only
    #[arg(short = '4', long, overrides_with = "ipv6", help_heading = REMOTE)]
    pub ipv4: bool,
    /// Reach the host by IPv6 only
    #[arg(short = '6', long, overrides_with = "ipv4", help_heading = REMOTE)]
    pub ipv6: bool,
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
