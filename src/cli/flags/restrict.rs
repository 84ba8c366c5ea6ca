//! The flags of whoever starts a server for others: what it may do, whatever they ask for.

use super::REMOTE;
use super::negation::negated;
use clap::parser::ValueSource;
use clap::{ArgMatches, Args};
use std::ffi::OsString;

/// To what a server is restricted.
#[derive(Debug, Args)]
pub(in crate::cli) struct RestrictFlags {
    /// With --server: serve nothing but what is in DIR, see RESTRICTED PEERS
    ///
    /// This is for the command= of a key in ~/.ssh/authorized_keys. With --no-delete the server does not remove
    /// anything either.
    #[arg(long, value_name = "DIR", help_heading = REMOTE)]
    pub restrict: Option<OsString>,
    /// With --restrict: let nothing there be written
    #[arg(long, help_heading = REMOTE)]
    pub read_only: bool,
    /// With --restrict: let nothing there be read
    #[arg(long, help_heading = REMOTE)]
    pub write_only: bool,

    /// Whether nothing may be removed (`--no-delete`), which without `--restrict` only takes back `--delete`.
    #[arg(skip)]
    pub keeps_all: bool,
    /// What else was said that a server does not heed, and of which nobody may think that it does.
    #[arg(skip)]
    pub others: Vec<String>,
}

impl RestrictFlags {
    /// Looks at all that was said.
    pub(super) fn settle(&mut self, matches: &ArgMatches) {
        let no_delete = negated("delete");
        let is_said = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        let known = ["server", "restrict", "read_only", "write_only", no_delete.as_str()];
        self.keeps_all = matches.ids().filter(is_said).any(|id| id.as_str() == no_delete);
        let others = matches.ids().filter(is_said).map(clap::Id::as_str).filter(|id| !known.contains(id));
        // The groups of flags that are defined together have names of their own.
        let others = others.filter(|id| !id.ends_with("Flags"));
        self.others = others.map(|id| format!("--{}", id.replace('_', "-"))).collect();
    }
}
