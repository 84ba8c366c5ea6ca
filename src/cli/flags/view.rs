//! The flags about what the sources show, and where it lands.

use super::{FILTERS, TRANSFER, WHAT};
use clap::{ArgAction, Args};
use std::ffi::OsString;

/// What is shown of the sources.
#[derive(Debug, Args)]
pub(in crate::cli) struct ViewFlags {
    /// Make directories, and enter only those named with a slash at the end
    ///
    /// dir/ then means the directory and what is in it, without what is in the directories there. With -r it changes
    /// nothing.
    #[arg(short = 'd', long, help_heading = WHAT)]
    pub dirs: bool,
    #[arg(long, alias = "old-d", hide = true)]
    pub old_dirs: bool,
    /// Keep source paths as they are typed: a/b/c becomes a/b/c at the destination
    ///
    /// The directories on the way are made with their attributes at the source. A dot on the way cuts the path: of
    /// a/./b/c, b/c is kept. A path on which there is .. is refused.
    #[arg(short = 'R', long, help_heading = WHAT)]
    pub relative: bool,
    /// With -R: give the directories on the way no attributes of the source
    ///
    /// One that is missing at the destination is made as by mkdir. One that is a symbolic link there to a directory
    /// stays so, as long as it leads no further than to somewhere else in the destination.
    #[arg(long, alias = "no-i-d", help_heading = WHAT)]
    pub no_implied_dirs: bool,
    #[arg(long, alias = "i-d", overrides_with = "no_implied_dirs", hide = true)]
    implied_dirs: bool,
    /// Do not enter directories on other file systems; -xx leaves them out altogether
    ///
    /// With one -x they are made, and stay empty. What is on other file systems at the destination is not deleted.
    #[arg(short = 'x', long, action = ArgAction::Count, help_heading = WHAT)]
    pub one_file_system: u8,
    /// Show what the sources are, like ls -l, and copy nothing (so does a source without a destination)
    #[arg(long, help_heading = WHAT)]
    pub list_only: bool,

    /// Copy the names that FILE lists, one a line, below the source (- is standard input)
    ///
    /// Implies -R and -d, and -a then does not imply -r. Blank lines and those that begin with # or ; are skipped; a
    /// slash at the end of a name asks for what is in the directory as well. No name leads out of the source by .. or a
    /// slash at its beginning. HOST:FILE and :FILE are on the other host of the run.
    #[arg(long, value_name = "FILE", help_heading = FILTERS)]
    pub files_from: Option<OsString>,
    /// Names in the file of --files-from, and rules in files, end in NUL bytes, not with the line
    #[arg(short = '0', long = "from0", help_heading = FILTERS)]
    pub from_nul: bool,
    /// Say whether PATH takes part and which rule decides that, and copy nothing
    ///
    /// PATH is given as -v shows it: below the destination, not below the directory one is in. With --delete it is
    /// told, too, whether something there that the source does not show is protected. The option may be given several
    /// times. See FILTER RULES.
    #[arg(long, value_name = "PATH", help_heading = FILTERS)]
    pub explain: Vec<OsString>,
    /// Say nothing of sources that are not there
    #[arg(long, help_heading = FILTERS)]
    pub ignore_missing_args: bool,
    /// Delete at the destination the sources that are not there
    ///
    /// A directory with something in it goes only with --delete or --force.
    #[arg(long, help_heading = FILTERS)]
    pub delete_missing_args: bool,

    /// Make the directories above the destination, too, where they are missing
    #[arg(long, help_heading = TRANSFER)]
    pub mkpath: bool,
}
