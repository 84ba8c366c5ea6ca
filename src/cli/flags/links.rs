//! The flags about symbolic links: those that are copied, and those that lie on the paths that are named.

use super::LINKS;
use clap::Args;
use std::ffi::OsString;

/// What is done about symbolic links, besides keeping them (`-l`).
#[derive(Debug, Args)]
pub(in crate::cli) struct LinkFlags {
    /// Copy what symbolic links lead to in their place
    #[arg(short = 'L', long, help_heading = LINKS)]
    pub copy_links: bool,
    /// Do so for links that lead to directories
    #[arg(short = 'k', long, help_heading = LINKS)]
    pub copy_dirlinks: bool,
    /// Do so for links that may lead out of what is copied
    ///
    /// A link may if its text is absolute, if it rises above the top, or if it has .. after a name. The top is the
    /// directory itself where a source ends in a slash, and the one that it is in otherwise.
    #[arg(long, help_heading = LINKS)]
    pub copy_unsafe_links: bool,
    /// Leave out links that may lead out of what is copied
    ///
    /// What is at the destination under the name of such a link is left alone, also by --delete.
    #[arg(long, help_heading = LINKS)]
    pub safe_links: bool,
    /// Keep links at the destination that lead to directories, where the source has directories
    ///
    /// Only links that stay inside the destination are followed. Without this option a link gives way to a directory.
    #[arg(short = 'K', long, help_heading = LINKS)]
    pub keep_dirlinks: bool,
    /// Keep links on this side so that they lead nowhere, and read them back
    ///
    /// Their texts get a prefix, /rsyncd-munged/, where they are written on this side, and lose it where they are read
    /// here.
    #[arg(long, help_heading = LINKS)]
    pub munge_links: bool,
    /// Follow symbolic links of other users on the paths that you name here
    ///
    /// Without this option only those of root and your own are followed, since whoever makes another could lead the run
    /// elsewhere; on the paths of sources all are. It is about this side only.
    #[arg(long, help_heading = LINKS)]
    pub insecure_links: bool,
    /// Refuse paths named here that end outside of DIR
    ///
    /// These are the destination, what options name, and the names of a list, but not the sources themselves. It is
    /// about this side only; in --remote-path it is about the other one, and there about sources, too.
    #[arg(long, value_name = "DIR", help_heading = LINKS)]
    pub confine_root: Option<OsString>,
}
