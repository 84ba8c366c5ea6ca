//! The flags as they are written: what each is called, what it takes, and what its help says.
//!
//! This is the first of two stages. It parses and nothing else: no file is read, no environment asked, and a value
//! that needs more than its own text is left for [`resolve`](crate::cli::resolve). The definition below is also what
//! `--help` and the manual page are made of.
//!
//! Names and meanings are rsync's. Three of its habits shape the parser: later flags win over earlier ones, every
//! flag that can be implied has a `--no-` form (made by [`negation`], not written out), and the filter rules keep
//! the order they have on the command line even across differently named flags.

mod generate;
mod links;
mod negation;
mod order;
mod remote;
mod repeat;
mod restrict;
pub(super) mod size;
mod usage;
mod view;

use crate::cli::failure::Failure;
use crate::request::{Append, Super};
use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};
use std::ffi::OsString;
use std::path::PathBuf;

pub(super) use self::generate::generate;
use self::links::LinkFlags;
pub(super) use self::order::FilterFlag;
use self::remote::RemoteFlags;
use self::restrict::RestrictFlags;
use self::size::Size;
use self::view::ViewFlags;

const USAGE: &str = "dsync [OPTION]... SRC... DEST
       dsync [OPTION]... SRC... [USER@]HOST:DEST
       dsync [OPTION]... [USER@]HOST:SRC... DEST
       dsync [OPTION]... [USER@]HOST:SRC... [USER@]HOST:DEST
       dsync --two-way [OPTION]... DIR [[USER@]HOST:]DIR";

const ABOUT: &str = "Copies directory trees, here or over SSH, sending only what changed.

SRC/ means the contents of a directory, SRC the directory itself.";

const AFTER_HELP: &str = "\
Every option that another one implies can be switched off again:
-a --no-owner is -rlptgD. The option that comes later wins.

Examples:
  dsync -a photos/ nas:photos/           copy what is new or changed to nas
  dsync -a nas:photos/ photos/           the other way round
  dsync -ain --delete src/ host:mirror/  show what a mirror run would do
  dsync -a --delete src/ host:mirror/    do it
  dsync -aP disk.img host:               a bar; a broken run can be resumed
  dsync -a --exclude='*.o' --exclude=/target/ src/ host:src/
  dsync -2n notes/ nas:notes/            what both sides have for each other
  dsync -2 notes/ nas:notes/             bring it to both sides
  dsync status notes/                    look back; so do log, undo and trash

dsync(1) tells the rest: filter rules, exit codes, what happens to interrupted
files.";

const WHAT: &str = "What to copy";
const LINKS: &str = "What to do about symbolic links";
const ATTRIBUTES: &str = "What to keep of it";
const TWO_WAY: &str = "Two-way";
const FILTERS: &str = "Which names take part";
const CHANGED: &str = "What counts as changed";
const DELETING: &str = "Deleting";
const TRANSFER: &str = "How to transfer";
const REMOTE: &str = "The other host";
const OUTPUT: &str = "What to show";

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "dsync",
    bin_name = "dsync",
    about = ABOUT,
    override_usage = USAGE,
    after_help = AFTER_HELP,
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true
)]
pub(super) struct Flags {
    /// Same as -rlptgoD: everything most people want kept
    ///
    /// Enters directories and keeps symbolic links, permissions, times, groups, owners, devices and special files.
    /// Hard links, ACLs and extended attributes are not part of it.
    #[arg(short = 'a', long, help_heading = WHAT)]
    archive: bool,
    /// Enter directories
    #[arg(short = 'r', long, help_heading = WHAT)]
    pub recursive: bool,
    /// Copy symbolic links as links (otherwise they are skipped)
    #[arg(short = 'l', long, help_heading = WHAT)]
    pub links: bool,
    /// Make names that are one file at the source (hard links) one file at the destination
    ///
    /// The content of such a file is sent once, for the first of its names. Names outside of what is copied take no
    /// part. Names that are one file at the destination only stay so.
    #[arg(short = 'H', long, help_heading = WHAT)]
    pub hard_links: bool,
    /// Same as --devices --specials
    #[arg(short = 'D', help_heading = WHAT)]
    devices_and_specials: bool,
    /// Make device files (needs to be root at the destination)
    #[arg(long, help_heading = WHAT)]
    pub devices: bool,
    /// Copy what devices of the source hold, as if they were files
    ///
    /// A device that holds blocks is as long as these are, and counts as changed just now: only what was copied from it
    /// in the same second (see --modify-window) counts as the same. Of others, as terminals, nothing is read, and an
    /// empty file is made. Fifos and sockets stay what they are.
    #[arg(long, help_heading = WHAT)]
    pub copy_devices: bool,
    /// Write content into devices that are at the destination, in place of replacing them (implies --inplace)
    ///
    /// Only where the source has a file of the name of the device, or a device and --copy-devices is given. Know what
    /// is there: nothing of what the device held comes back. Without this, no device is ever written to.
    #[arg(long, help_heading = WHAT)]
    pub write_devices: bool,
    /// Make named pipes and sockets
    #[arg(long, help_heading = WHAT)]
    pub specials: bool,
    /// Make no devices, named pipes and sockets on this side, whatever is asked for
    ///
    /// As without -D, but said to the side that receives alone: it is not carried to the other one, for which there is
    /// -M--drop-D, and means nothing to the side that sends. What is there already stays.
    #[arg(long = "drop-D", help_heading = WHAT)]
    pub drop_devices: bool,
    /// Change nothing, show what would be done (best with -v or -i)
    ///
    /// The lines printed are those the real run would print, deletions included.
    #[arg(short = 'n', long, help_heading = WHAT)]
    pub dry_run: bool,

    /// Keep permissions
    #[arg(short = 'p', long, help_heading = ATTRIBUTES)]
    pub perms: bool,
    /// Keep whether files can be executed, without the other permissions
    ///
    /// A file that nobody can execute at the source can be by nobody then. One that somebody can, and nobody at the
    /// destination, can be by all who may read it there. With --perms this changes nothing.
    #[arg(short = 'E', long, help_heading = ATTRIBUTES)]
    pub executability: bool,
    /// Keep ACLs, of directories also those that new entries get (implies --perms)
    ///
    /// Users and groups are found by name on the other host, as with --owner.
    #[arg(short = 'A', long, help_heading = ATTRIBUTES)]
    pub acls: bool,
    /// Keep extended attributes
    ///
    /// All but those of the namespace system.*, or, where the receiving user is not root, those of user.* alone. Others
    /// that an entry has at the destination are removed. Those that rsync gives to entries for itself, user.rsync.%*,
    /// are sent only if this is given twice. Filter rules with the modifier x leave out more. See FILTER RULES.
    #[arg(short = 'X', long, action = ArgAction::Count, help_heading = ATTRIBUTES)]
    pub xattrs: u8,
    /// Keep times of last access, except of directories and links; -UU also leaves those of the source
    #[arg(short = 'U', long, action = ArgAction::Count, help_heading = ATTRIBUTES)]
    pub atimes: u8,
    /// Leave the times of last access of the files that are read, where the system lets the user
    #[arg(long, help_heading = ATTRIBUTES)]
    pub open_noatime: bool,
    /// Refused, since Linux cannot set the time at which a file was made
    #[arg(short = 'N', long, hide = true)]
    pub crtimes: bool,
    /// Let the receiving side try what only root may; --no-super forbids it to
    ///
    /// That is setting owners and any group, making devices, and setting extended attributes outside of user.*. Without
    /// it, root tries and others do not.
    #[arg(long = "super", help_heading = ATTRIBUTES)]
    super_flag: bool,
    /// Keep what only root may set in extended attributes, in rsync's form, and read it there
    ///
    /// Owner and group, permissions that would shut the user out or run a program as somebody else, kinds and numbers
    /// of devices, ACLs (with -A) and extended attributes outside of user.* (with -X). Symbolic links, devices and
    /// special files become regular files. A tree that was copied so without being root gives everything back to a copy
    /// that reads it so, of dsync or of rsync. It is about this side; -M--fake-super is about the other. Between two
    /// local paths it is about both, -M--fake-super about the destination only, and with -M--super about the source
    /// only.
    #[arg(long, help_heading = ATTRIBUTES)]
    fake_super: bool,
    /// Keep modification times; without it, the next run compares every file anew
    #[arg(short = 't', long, help_heading = ATTRIBUTES)]
    pub times: bool,
    /// Keep the owner (as far as the receiving user may set it)
    #[arg(short = 'o', long, help_heading = ATTRIBUTES)]
    pub owner: bool,
    /// Keep the group (as far as the receiving user may set it)
    #[arg(short = 'g', long, help_heading = ATTRIBUTES)]
    pub group: bool,
    /// Keep owners and groups by number, not by name
    #[arg(long, help_heading = ATTRIBUTES)]
    pub numeric_ids: bool,
    /// Give what belongs to FROM there to TO here: FROM:TO,... (implies -o)
    ///
    /// FROM is a name or a number at the source, a range of numbers (100-199), a pattern of names, * for everybody, or
    /// nothing for those without a name. TO is a name or a number at the destination. The first pair that fits counts.
    #[arg(long, value_name = "MAP", help_heading = ATTRIBUTES)]
    pub usermap: Vec<String>,
    /// The same for groups (implies -g)
    #[arg(long, value_name = "MAP", help_heading = ATTRIBUTES)]
    pub groupmap: Vec<String>,
    /// Give everything to USER, to GROUP, or to both (implies -o, -g)
    ///
    /// USER:GROUP, USER or :GROUP, by name or by number: the same as --usermap=*:USER --groupmap=*:GROUP.
    #[arg(long, value_name = "USER:GROUP", help_heading = ATTRIBUTES)]
    pub chown: Vec<String>,
    /// Change permissions on the way, like D755,F644 or g=u,o-rwx
    ///
    /// What comes of it is taken for the permissions that the source has, so an existing file gets them only with -p.
    /// Clauses as chmod(1) takes them, in order; D and F before one limit it to directories and to everything else.
    #[arg(long, value_name = "CHANGES", help_heading = ATTRIBUTES)]
    pub chmod: Vec<String>,
    /// Leave out directories where times are kept
    #[arg(short = 'O', long, help_heading = ATTRIBUTES)]
    pub omit_dir_times: bool,
    /// Leave out symbolic links where times are kept
    #[arg(short = 'J', long, help_heading = ATTRIBUTES)]
    pub omit_link_times: bool,

    /// The flags about symbolic links.
    #[command(flatten)]
    pub link_rules: LinkFlags,

    /// Bring both directories up to date with each other (includes -rlpt)
    ///
    /// What was made, changed, renamed or deleted on one side since the last run is done on the other. What changed on
    /// both sides is a conflict. Each directory keeps what is known of it in its .dsync/. A slash at the end of SRC
    /// makes no difference. See TWO-WAY RUNS.
    #[arg(short = '2', long, help_heading = TWO_WAY)]
    pub two_way: bool,
    /// What to do about conflicts: skip (default), keep-both, newer, older, larger, smaller, local, remote, ask,
    /// merge=CMD
    ///
    /// local is the first argument's side, remote the second's, wherever they are.
    #[arg(long, value_name = "POLICY", help_heading = TWO_WAY)]
    pub conflict: Option<String>,
    /// The same for paths that match GLOB (the first that matches counts)
    ///
    /// GLOB is a pattern as that of --exclude: one with a slash at its start is about the whole path.
    #[arg(long, value_name = "GLOB=POLICY", help_heading = TWO_WAY)]
    pub conflict_for: Vec<OsString>,
    /// Go on although most files of a side were or will be deleted, all it had is gone, or another is in its place
    #[arg(long, help_heading = TWO_WAY)]
    pub allow_mass_delete: bool,
    /// Do not keep what is replaced and deleted in .dsync/trash
    #[arg(long, help_heading = TWO_WAY)]
    pub no_trash: bool,
    /// Keep it for N days (default 30)
    #[arg(long, value_name = "N", help_heading = TWO_WAY)]
    pub trash_days: Option<u32>,
    /// Write what will be done to FILE, as JSON (with -n: and do nothing)
    #[arg(long, value_name = "FILE", help_heading = TWO_WAY)]
    pub plan: Option<PathBuf>,
    /// Do what --plan wrote to FILE, except where something changed since
    #[arg(long, value_name = "FILE", help_heading = TWO_WAY)]
    pub apply: Option<PathBuf>,

    /// Leave out names that match PATTERN (/x: at the top only; x/: directories only)
    #[arg(long, value_name = "PATTERN", help_heading = FILTERS)]
    exclude: Vec<OsString>,
    /// Keep names that match PATTERN, although a later rule leaves them out
    #[arg(long, value_name = "PATTERN", help_heading = FILTERS)]
    include: Vec<OsString>,
    /// Read exclude patterns from FILE, one a line (- is standard input)
    #[arg(long, value_name = "FILE", help_heading = FILTERS)]
    exclude_from: Vec<OsString>,
    /// Read include patterns from FILE, one a line (- is standard input)
    #[arg(long, value_name = "FILE", help_heading = FILTERS)]
    include_from: Vec<OsString>,
    /// Add a filter rule, like '- *.o', '+ /keep/***', 'P *.db' or '. FILE'
    ///
    /// The first rule that matches a name decides, in the order of the command line. Nothing below a directory that
    /// is left out can be taken in again. See FILTER RULES.
    #[arg(short = 'f', long, value_name = "RULE", help_heading = FILTERS)]
    filter: Vec<OsString>,
    /// Read rules from .rsync-filter in each directory; -FF: and leave these files out
    ///
    /// Same as --filter=': /.rsync-filter', and given again, as --filter='- .rsync-filter'.
    #[arg(short = 'F', num_args = 0, default_missing_value = "true", action = ArgAction::Append,
        help_heading = FILTERS)]
    dir_filters: Vec<bool>,
    /// Leave out what CVS does: backups, objects, .git/ ..., and what .cvsignore in each directory names
    ///
    /// These rules come after all others: --filter=':C' and --filter=-C put them elsewhere. They also hold what
    /// ~/.cvsignore and the variable CVSIGNORE name.
    #[arg(short = 'C', long, help_heading = FILTERS)]
    pub cvs_exclude: bool,
    /// Leave out what git does: what .gitignore in each directory and .git/info/exclude name
    ///
    /// These count after all filter rules, and as excludes do: what they leave out is not deleted at the destination
    /// unless --delete-excluded is given. They are read as git reads them. What .git itself holds is copied. See
    /// FILTER RULES.
    #[arg(long, help_heading = FILTERS)]
    pub gitignore: bool,
    /// Leave out directories in which there is nothing but directories
    ///
    /// Also those that are so because of what filter rules leave out. With --delete, they count as not there. A
    /// directory that a rule protects, as in --filter='protect keep/', is not left out.
    #[arg(short = 'm', long, help_heading = FILTERS)]
    pub prune_empty_dirs: bool,

    /// Compare contents where sizes agree, not times
    ///
    /// Reads every file on both ends whose sizes agree. Without it a file whose size and modification time (in whole
    /// seconds) agree is taken to be unchanged.
    #[arg(short = 'c', long, help_heading = CHANGED)]
    pub checksum: bool,
    /// Leave files alone that are newer at the destination
    #[arg(short = 'u', long, help_heading = CHANGED)]
    pub update: bool,
    /// Transfer files even where size and time agree
    #[arg(short = 'I', long, help_heading = CHANGED)]
    pub ignore_times: bool,
    /// Equal sizes are enough to leave a file alone
    #[arg(long, help_heading = CHANGED)]
    pub size_only: bool,
    /// Make nothing new at the destination, only update
    #[arg(long, alias = "ignore-non-existing", help_heading = CHANGED)]
    pub existing: bool,
    /// Update nothing at the destination, only make new
    #[arg(long, help_heading = CHANGED)]
    pub ignore_existing: bool,
    /// Take times for the same that differ by N seconds or less; -1: only those of the same nanosecond
    ///
    /// The default is 0: times of the same second are the same. 1 suits file systems that keep every other second.
    #[arg(short = '@', long, value_name = "N", help_heading = CHANGED)]
    pub modify_window: Option<i32>,
    /// Transfer no file that is longer than SIZE
    ///
    /// A number of bytes, or with a unit: K, KiB (1024), KB (1000), and so on to P; fractions are fine, and +1 or -1
    /// may follow. A file that is too long counts as there: with --delete nothing goes for it.
    #[arg(long, value_name = "SIZE", help_heading = CHANGED)]
    pub max_size: Option<Size>,
    /// Transfer no file that is shorter than SIZE
    #[arg(long, value_name = "SIZE", help_heading = CHANGED)]
    pub min_size: Option<Size>,

    /// Compare also with DIR; leave out of the destination what is there as at the source
    ///
    /// A file that is neither at the destination nor the same in DIR is made; if DIR has another version of it, only
    /// what differs is sent. DIR is at the destination's host, and relative to the destination. The option may be given
    /// up to 20 times: the directories are searched in that order.
    #[arg(long, value_name = "DIR", help_heading = CHANGED)]
    pub compare_dest: Vec<OsString>,
    /// The same, but copy from DIR what is there as at the source
    #[arg(long, value_name = "DIR", help_heading = CHANGED)]
    pub copy_dest: Vec<OsString>,
    /// The same, but link to the file in DIR what is there as at the source
    ///
    /// The file at the destination is then another name of the one in DIR, so all attributes that are kept have to be
    /// the same; else it is copied. Backups made so hold each version of a file once.
    #[arg(long, value_name = "DIR", help_heading = CHANGED)]
    pub link_dest: Vec<OsString>,

    /// Delete at the destination what the source does not have
    ///
    /// Only in directories that are sent as a whole, and only as long as the source was read without error. Names
    /// left out by a filter rule are not deleted. If the source is empty, or cannot be read, nothing is done at all;
    /// --delete-from-empty says that an empty one is meant.
    #[arg(long, help_heading = DELETING)]
    pub delete: bool,
    /// Delete in each directory as its turn comes (the default with --delete, which it implies)
    #[arg(long, alias = "del", help_heading = DELETING)]
    pub delete_during: bool,
    /// Delete before anything else is done (implies --delete)
    ///
    /// The source is read twice for that. After an error in reading it nothing is deleted.
    #[arg(long, help_heading = DELETING)]
    pub delete_before: bool,
    /// Find what to delete as each directory's turn comes, delete it when all else is done (implies --delete)
    #[arg(long, help_heading = DELETING)]
    pub delete_delay: bool,
    /// Delete when all else is done (implies --delete)
    ///
    /// Rules in files of the destination's directories are then those that this run has put there.
    #[arg(long, help_heading = DELETING)]
    pub delete_after: bool,
    /// Delete also if the source is empty, as when it is not mounted; with --ignore-errors also if it cannot be read
    #[arg(long, help_heading = DELETING)]
    pub delete_from_empty: bool,
    /// Delete also what the filter rules leave out (implies --delete)
    #[arg(long, help_heading = DELETING)]
    pub delete_excluded: bool,
    /// Delete at most N entries; exit with 25 if there were more. With -2: change nothing at all then
    ///
    /// What is in a directory that gives way to something else (--force) and what --delete-missing-args removes counts
    /// too. N may also be a percentage, like 10%, of what the destination's directories hold: that limits what --delete
    /// removes, which then waits until all else is done. With --two-way, it is one of the files on a side; without this
    /// option, more than half of the files on a side, and more than five, are too many.
    #[arg(long, value_name = "N", help_heading = DELETING)]
    pub max_delete: Option<String>,
    /// Delete even after an error in reading the source
    #[arg(long, help_heading = DELETING)]
    pub ignore_errors: bool,
    /// Remove at the source what is no directory, once it is at the destination
    ///
    /// Also what was there before as it is at the source. What has changed since it was listed stays, and so does a
    /// file that the destination has itself, as another name of it. Directories stay.
    #[arg(long, alias = "remove-sent-files", help_heading = DELETING)]
    pub remove_source_files: bool,
    /// Keep what is replaced or deleted, as a backup beside it, with ~ after its name
    ///
    /// A backup replaces the one before it. Without --backup-dir, --delete leaves names alone that end like backups, as
    /// if the last filter rule were 'P *~', and the times of directories are not kept (-O).
    #[arg(short = 'b', long, help_heading = DELETING)]
    pub backup: bool,
    /// Keep it in DIR instead, under the path it had (implies -b)
    ///
    /// DIR is at the destination's host, and relative to the destination. If it is below the destination, a filter rule
    /// should keep it from being deleted.
    #[arg(long, value_name = "DIR", help_heading = DELETING)]
    pub backup_dir: Option<OsString>,
    /// End the names of backups in SUFFIX (default ~, or nothing with --backup-dir)
    #[arg(long, value_name = "SUFFIX", help_heading = DELETING)]
    pub suffix: Option<OsString>,
    /// Let a file take the place of a directory that is not empty
    #[arg(long, help_heading = DELETING)]
    pub force: bool,

    /// Send changed files whole (the default between local paths; --no-W forbids it)
    #[arg(short = 'W', long, help_heading = TRANSFER)]
    whole_file: bool,
    /// Write into existing files instead of replacing them
    ///
    /// Keeps the inode and its hard links, and needs no room for a second copy. A file is in a mixed state while it
    /// is written, and stays so if the run is interrupted.
    #[arg(long, help_heading = TRANSFER)]
    pub inplace: bool,
    /// Keep a file that was interrupted under its final name
    ///
    /// What was received replaces the old file, so that other programs see an incomplete one. Without this option the
    /// old file stays as it is.
    #[arg(long, help_heading = TRANSFER)]
    pub partial: bool,
    /// Keep it in DIR instead, and begin with that the next time (implies --partial)
    ///
    /// The old file stays as it is. DIR is made when it is needed. One that is not absolute is beside each file; it is
    /// removed when it is empty, and neither copied nor deleted. No symbolic link leads to it.
    #[arg(long, value_name = "DIR", help_heading = TRANSFER)]
    pub partial_dir: Option<PathBuf>,
    /// Give all files their names at the end of the run
    ///
    /// Until then they are in .~tmp~, or in the DIR of --partial-dir, beside the old ones.
    #[arg(long, help_heading = TRANSFER)]
    pub delay_updates: bool,
    /// Append to files that are shorter than at the source, and trust what they hold (implies --inplace)
    ///
    /// For files that only grow. One that differs and is not shorter is left alone. What was appended by a run that is
    /// interrupted stays, and the next one goes on behind it.
    #[arg(long, overrides_with = "append_verify", help_heading = TRANSFER)]
    append: bool,
    /// The same, but compare what they hold, and change what differs
    #[arg(long, overrides_with = "append", help_heading = TRANSFER)]
    append_verify: bool,
    /// Begin a file that is new with another one like it
    ///
    /// One in the same directory, of the same length and time, or else with a similar name. Given twice, it also looks
    /// into that directory where --compare-dest, --copy-dest or --link-dest have it.
    #[arg(short = 'y', long, action = ArgAction::Count, help_heading = TRANSFER)]
    pub fuzzy: u8,
    /// Rename or copy at the destination what was moved or copied at the source, instead of sending it
    ///
    /// A file that is new is looked for among all files of the destination, by its length, its time and its name; only
    /// where both sides find the same content, by its BLAKE3 sum, is it taken from there. With --delete the file that
    /// would be deleted is renamed, so deletions come last, after all else. What is shorter than 1 KiB is sent. The
    /// first change of a run reads all directories of the destination, which no run without this option does. It does
    /// not go with --delete-before and --remove-source-files.
    #[arg(long, help_heading = TRANSFER)]
    pub detect_renames: bool,
    /// Same as --partial --progress
    ///
    /// In a two-way run, which keeps no file that was interrupted, the same as --progress.
    #[arg(short = 'P', help_heading = TRANSFER)]
    partial_progress: bool,
    /// Compress content on the way; auto: only where that saves time
    ///
    /// WHEN is always, which is meant where it is left out, never or auto. What does not become shorter is sent as it
    /// is in any case. With auto so is what the line takes sooner than it could be compressed; both are measured, and
    /// each block is decided on its own.
    #[arg(short = 'z', long, value_name = "WHEN", num_args = 0..=1, require_equals = true,
        default_missing_value = "always", help_heading = TRANSFER)]
    pub compress: Option<String>,
    /// How hard, 1 to 22 (default 3; implies -z, unless --compress says otherwise)
    #[arg(long, alias = "zl", value_name = "N", help_heading = TRANSFER)]
    pub compress_level: Option<i32>,
    /// How: zstd, lz4 (faster, and larger), or none to switch it off
    #[arg(long, alias = "zc", value_name = "NAME", help_heading = TRANSFER)]
    pub compress_choice: Option<String>,
    /// Send files with these suffixes as they are: gz/jpg/mp3 (an empty LIST: none)
    ///
    /// The suffixes are parted by slashes; of characters in brackets, one is meant. Without this option they are those
    /// of files that are compressed already, as rsync lists them.
    #[arg(long, value_name = "LIST", help_heading = TRANSFER)]
    pub skip_compress: Option<String>,
    /// Accepted: each stream is compressed by a thread of its own
    #[arg(long, alias = "zt", value_name = "N", hide = true)]
    pub compress_threads: Option<i32>,
    /// Accepted: memory is bounded whatever is copied
    #[arg(long, value_name = "SIZE", hide = true)]
    pub max_alloc: Option<Size>,
    /// Have every file on the disk before it gets its name
    ///
    /// Each file is flushed by fsync(2) before it takes the place of the old one, and each directory after its names
    /// were changed, so that a power failure leaves the old or the new one.
    #[arg(long, help_heading = TRANSFER)]
    pub fsync: bool,
    /// Whether copies share blocks with what they are copies of: auto, always or never
    ///
    /// That is between two local paths, with --copy-dest, and for what a new version has of the old one, on file
    /// systems as Btrfs and XFS. Such a copy takes no room until one of the two files is changed, which the other does
    /// not see. The default is auto: where the file system can. With always, a file that is copied whole and cannot be
    /// copied so is an error. With never, every byte is written.
    #[arg(long, value_name = "WHEN", help_heading = TRANSFER)]
    pub reflink: Option<String>,
    /// Leave out zeros, so that they take no room at the destination
    ///
    /// Holes of the source are not read either. In files that are updated in place, zeros are punched out where the
    /// file system can.
    #[arg(short = 'S', long, help_heading = TRANSFER)]
    pub sparse: bool,
    /// Give a file all its room before its content comes
    #[arg(long, help_heading = TRANSFER)]
    pub preallocate: bool,
    /// Write new versions of files in DIR, until they are whole
    ///
    /// DIR is at the destination, and must be there; if it is not absolute, it begins there. If it is on another file
    /// system, a file is copied beside the old one before it takes its place. Interrupted files do not stay.
    #[arg(short = 'T', long, value_name = "DIR", help_heading = TRANSFER)]
    pub temp_dir: Option<PathBuf>,
    /// Send at most RATE a second: KiB, or with a suffix (1.5m); 0 is no limit
    #[arg(long, value_name = "RATE", help_heading = TRANSFER)]
    pub bwlimit: Option<String>,
    /// Give up when nothing came from the other host for SECONDS; 0 is never
    ///
    /// Without it, and with 0, what is started on the host has 60 seconds for its greeting where the built-in SSH client
    /// starts it; with another remote shell, which may have something to ask first, they begin with the first word.
    #[arg(long, value_name = "SECONDS", help_heading = TRANSFER)]
    pub timeout: Option<u32>,
    /// Try again N times when the line breaks, and go on from there (default: 3 on a terminal, else 0)
    ///
    /// What was transferred by then is not sent again, nor what had come of the files in hand. A run that could not
    /// log in, or failed for another reason than the line, is not tried again. Give --timeout as well, for lines that
    /// fall silent.
    #[arg(long, value_name = "N", help_heading = TRANSFER)]
    pub retry: Option<u32>,
    /// Wait SECONDS before each further attempt (default: 1, then twice as long each time, up to 60)
    #[arg(long, value_name = "SECONDS", help_heading = TRANSFER)]
    pub retry_delay: Option<u32>,
    /// Talk to the other host over N streams, 1 to 8 (default 1): faster where the round trip is long
    ///
    /// An SSH server takes no more than a fixed amount, 2 MiB with OpenSSH's, per round trip and stream; on a path of
    /// 100 ms that is 20 MB/s. A run begins over one stream and goes on over all that joined; if the host allows fewer,
    /// it says so and uses those. The built-in client opens them in one connection; with -e, COMMAND is run once for
    /// each, so it should ask for no password. Between local paths this changes nothing.
    #[arg(long, value_name = "N", help_heading = TRANSFER)]
    pub streams: Option<u8>,
    /// Length of the blocks that are compared (default: by the size of the file)
    #[arg(short = 'B', long, value_name = "SIZE", help_heading = TRANSFER)]
    pub block_size: Option<Size>,
    /// Sum that blocks and files are compared by: xxh128 (also auto), xxh3, xxh64, md5, sha1 or none
    ///
    /// With two names, ONE,OTHER, the other is for -c. Without a sum files are sent whole, and not verified.
    #[arg(long, alias = "cc", value_name = "NAME", help_heading = TRANSFER)]
    pub checksum_choice: Option<String>,
    /// Seed the sums with N (0: with something new each time)
    #[arg(long, value_name = "N", help_heading = TRANSFER)]
    pub checksum_seed: Option<i32>,
    /// Stop after N minutes, with exit code 30
    ///
    /// What is complete by then is at the destination, and the next run goes on.
    #[arg(long, alias = "time-limit", value_name = "N", help_heading = TRANSFER)]
    pub stop_after: Option<u32>,
    /// Stop at a time like 14:00, :30, 31T14:00, 12-24 or 2030-12-24T14:00, with exit code 30
    ///
    /// What is left out is the next that fits, in local time; a day without a time is its beginning.
    #[arg(long, value_name = "TIME", overrides_with = "stop_after", help_heading = TRANSFER)]
    pub stop_at: Option<String>,

    /// Reach the host by running COMMAND, like 'ssh -p 2222', not by the built-in SSH client
    ///
    /// The command is split at blanks, with ' and " keeping blanks, and run without a shell.
    #[arg(short = 'e', long, value_name = "COMMAND", help_heading = REMOTE)]
    pub rsh: Option<OsString>,
    /// Read this file in place of ~/.ssh/config ("none": no file)
    #[arg(long, value_name = "FILE", help_heading = REMOTE)]
    pub ssh_config: Option<PathBuf>,
    /// How to call dsync on the other host
    ///
    /// A fragment of that host's shell, so "sudo dsync" and a full path both work.
    #[arg(long, alias = "rsync-path", value_name = "PROGRAM", help_heading = REMOTE)]
    pub remote_path: Option<OsString>,

    /// Name what is changed; -vv also what is not
    #[arg(short = 'v', long, action = ArgAction::Count, help_heading = OUTPUT)]
    pub verbose: u8,
    /// Show errors only
    #[arg(short = 'q', long, help_heading = OUTPUT)]
    pub quiet: bool,
    /// Show what differs for each change; -ii also for what is the same
    #[arg(short = 'i', long, action = ArgAction::Count, help_heading = OUTPUT)]
    pub itemize_changes: u8,
    /// Show a line of your own for each change: %i %n%L is that of -i
    ///
    /// Escapes are %n name, %f name with its source, %i what differs, %l length, %b bytes sent, %L link target, %o
    /// operation, %M time, %C checksum, %B permissions, %U owner, %G group, %t now, %p process and %%. What could act
    /// on the terminal, but for tabs, is shown as in names. See OUTPUT.
    #[arg(long, alias = "log-format", value_name = "FORMAT", help_heading = OUTPUT)]
    pub out_format: Option<OsString>,
    /// Tell what happens as JSON on standard output, a line for each event, for programs
    ///
    /// See EVENTS AS JSON. Problems are also told on standard error as usual.
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,
    /// Keep a log in FILE: what is shown, with times, and each change
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub log_file: Option<OsString>,
    /// How changes are logged, as for --out-format; nothing: not at all (default '%i %n%L')
    #[arg(long, value_name = "FORMAT", help_heading = OUTPUT)]
    pub log_file_format: Option<OsString>,
    /// Show numbers about the run at its end
    ///
    /// With another host, the connection time is the part of the run until dsync there had answered: connecting,
    /// logging in and starting it. What is local goes on meanwhile. The size of the file list is what it took of the
    /// bytes that went to or came from that host, compressed: little where fingerprints of directories agreed. Between
    /// two local paths there is no list, and the bytes sent are those of the content that was copied.
    #[arg(long, help_heading = OUTPUT)]
    pub stats: bool,
    /// Show a progress bar for the whole run, and the names as they come
    ///
    /// The bar is drawn where standard error is a terminal, and nowhere else; --json tells programs how far the run is.
    #[arg(long, help_heading = OUTPUT)]
    pub progress: bool,
    /// Choose kinds of output: name, del, skip, stats, progress ... (--info=help lists them)
    #[arg(long, value_name = "FLAGS", help_heading = OUTPUT)]
    pub info: Vec<String>,
    /// Accepted for the sake of command lines written for rsync
    #[arg(long, value_name = "FLAGS", hide = true)]
    pub debug: Vec<String>,
    /// Write all to standard error (all), or only problems (errors, client)
    #[arg(long, value_name = "MODE", help_heading = OUTPUT)]
    pub stderr: Option<String>,
    /// rsync's old name of --stderr=all
    #[arg(long = "msgs2stderr", hide = true)]
    all_to_stderr: bool,
    /// Write output line by line (L, N), or in blocks (B)
    ///
    /// The default is by line on a terminal, and else in blocks.
    #[arg(long, value_name = "MODE", help_heading = OUTPUT)]
    pub outbuf: Option<String>,
    /// Show bytes in names that are no valid text as they are
    ///
    /// Without it they are shown as \#ooo, as control characters always are, and characters that change the direction
    /// of text. On a terminal that takes single bytes for characters, some of these bytes are control characters too.
    #[arg(short = '8', long = "8-bit-output", help_heading = OUTPUT)]
    pub eight_bit_output: bool,
    /// Numbers in K, M, G of 1000; -hh of 1024
    #[arg(short = 'h', long, action = ArgAction::Count, help_heading = OUTPUT)]
    pub human_readable: u8,
    /// Show this help (so does -h alone)
    #[arg(long, help_heading = OUTPUT)]
    pub help: bool,
    /// Print completions for a shell (complete-bash, complete-zsh, complete-fish), the manual page (man), or the JSON
    /// schema of what --json prints (events-schema)
    #[arg(long, value_name = "KIND", help_heading = OUTPUT)]
    pub generate: Option<String>,
    /// Show the version; -VV as JSON
    #[arg(short = 'V', long, action = ArgAction::Count, help_heading = OUTPUT)]
    pub version: u8,

    /// Leave out these shortcuts, or all: for tests, as the result is the same
    #[arg(long, value_name = "NAMES", hide = true)]
    pub plain: Option<String>,
    /// Be the peer of a dsync on another host: the protocol on standard input and output
    #[arg(long, hide = true)]
    pub server: bool,
    /// Show the sum of this executable: asked of one that was put onto a host
    #[arg(long, hide = true)]
    pub executable_sum: bool,

    /// The flags about what the sources show.
    #[command(flatten)]
    pub view: ViewFlags,

    /// The flags about the other host.
    #[command(flatten)]
    pub remote: RemoteFlags,

    /// The flags of a server for others.
    #[command(flatten)]
    pub restriction: RestrictFlags,

    /// Sources, then the destination.
    #[arg(hide = true)]
    pub operands: Vec<OsString>,

    /// The filter flags, in the order of the command line.
    #[arg(skip)]
    pub filters: Vec<FilterFlag>,
    /// Whether the delta algorithm is switched off or on. `None`: nobody said.
    #[arg(skip)]
    pub whole: Option<bool>,
    /// Whether content is compressed.
    #[arg(skip)]
    pub compressed: bool,
    /// What is made of files that only grow.
    #[arg(skip)]
    pub appends: Option<Append>,
    /// Whether plain digits are asked for (`--no-human-readable`).
    #[arg(skip)]
    pub plain_numbers: bool,
    /// What is done about what only root may. `None`: nobody said.
    #[arg(skip)]
    pub super_user: Option<Super>,
    /// The words of the command line, without those about plans.
    #[arg(skip)]
    pub words: Vec<OsString>,
    /// The flags with those of `-M`, if there are any, and without filter rules.
    #[arg(skip)]
    pub of_peer: Option<Box<Flags>>,
}

impl Flags {
    /// Parses the arguments after the program's name.
    ///
    /// # Errors
    /// For an unknown flag or an impossible value, as a usage failure that names it.
    pub(super) fn parse(arguments: &[OsString]) -> Result<Flags, Failure> {
        let mut flags = Flags::parse_words(arguments)?;
        if !flags.remote.remote_option.is_empty() {
            // Before what ends the options.
            let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
            let (before, after) = arguments.split_at_checked(end).unwrap_or((arguments, &[]));
            let words = [before, &flags.remote.remote_option, after].concat();
            let mut of_peer = Flags::parse_words(&words).map_err(Failure::of_peer)?;
            if of_peer.operands.len() != flags.operands.len() {
                return Err(Failure::usage("an option is missing its dash or its value")
                    .of_peer()
                    .with_hint("A value goes with its option: -M--timeout=9."));
            }
            remote::check(&flags, &of_peer)?;
            of_peer.filters.clear();
            flags.of_peer = Some(Box::new(of_peer));
        }
        Ok(flags)
    }

    fn parse_words(arguments: &[OsString]) -> Result<Flags, Failure> {
        let help_alone = matches!(arguments, [only] if only == "-h");
        let words = std::iter::once(OsString::from("dsync")).chain(arguments.iter().cloned());
        let parsed = command().try_get_matches_from(words).and_then(|matches| {
            let mut flags = Flags::from_arg_matches(&matches)?;
            flags.settle(&matches);
            flags.restriction.settle(&matches);
            Ok(flags)
        });
        let mut flags = parsed.map_err(|error| usage::failure(&error))?;
        flags.help |= help_alone;
        if flags.two_way {
            flags.words = repeat::without_plan(arguments);
        }
        Ok(flags)
    }
}

/// The definition that `--help` and the manual page are made of.
pub fn command() -> clap::Command {
    negation::extend(Flags::command())
}

/// The text of `--help`.
pub(super) fn help() -> String {
    command().render_help().to_string()
}

/// The text for someone who typed no arguments at all.
pub(super) fn short_usage() -> String {
    format!("Usage: {USAGE}\n\ndsync --help lists the options and shows examples.")
}

#[cfg(test)]
mod tests;
