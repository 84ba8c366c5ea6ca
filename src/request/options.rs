//! The options of a run: what the flags mean once they are parsed.

use crate::request::{
    Chmod, Compression, InvalidChmod, InvalidOwnerRules, InvalidSkipCompress, OwnerRules, Shortcuts,
    SkipCompress, StrongKind,
};
use crate::tree::filter::Rules;
use crate::tree::{Entry, Kind, Node, RelPath, leads_outside};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything a run was asked besides its roots. [`Options::default`] is what `dsync` without any flag does: copy
/// regular files, with the quick check, whole content verified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `-r`: enter directories.
    pub recursive: bool,
    /// `-d`: make directories, and enter only those named with a slash at the end.
    pub dirs: bool,
    /// `-x`: what becomes of other file systems in the tree.
    pub mounts: Mounts,
    /// `--mkpath`: make the directories above the destination too.
    pub make_path: bool,
    /// `-R`: names are kept as they were typed.
    pub relative: bool,
    /// `--no-implied-dirs`: the directories that this makes have no attributes of the source.
    pub no_implied_dirs: bool,
    /// `--files-from`: where the list of names is.
    pub names_from: Option<NamesFrom>,
    /// What becomes of sources that are not there.
    pub missing: Missing,
    /// `--list-only`: show what there is, write nothing.
    pub list_only: bool,
    /// `-l`: copy symbolic links as links.
    pub links: bool,
    /// What else is done about symbolic links.
    pub link_rules: LinkRules,
    /// `-H`: names that are one file at the source become one file.
    pub hard_links: bool,
    /// `-p`: set permissions.
    pub perms: bool,
    /// `-E`: set whether files can be executed, where their permissions are not set.
    pub executability: bool,
    /// `-A`: set ACLs.
    pub acls: bool,
    /// `-X`: set extended attributes; given twice, those too that rsync gives to itself. How often it was given.
    pub xattrs: u8,
    /// `-U`: set the times of last access, except of directories and symbolic links.
    pub atimes: bool,
    /// `--open-noatime`: reading a file leaves its time of last access, as far as the system lets it.
    pub open_noatime: bool,
    /// `--super`, `--no-super`, `--fake-super`: what this side does about what only root may. `None`: it tries if it is
    /// root.
    pub super_user: Option<Super>,
    /// `-t`: set modification times.
    pub times: bool,
    /// `-o`: set the owner, as far as the user may.
    pub owner: bool,
    /// `-g`: set the group, as far as the user may.
    pub group: bool,
    /// `--devices`: make devices.
    pub devices: bool,
    /// `--copy-devices`: what devices of the source hold is copied, not they themselves.
    pub copy_devices: bool,
    /// `--write-devices`: what is at the destination a device is written to, not replaced. Only what is written in
    /// place can be.
    pub write_devices: bool,
    /// `--specials`: make fifos and sockets.
    pub specials: bool,
    /// `--numeric-ids`: owners and groups by number, not by name.
    pub numeric_ids: bool,
    /// `--usermap`, `--chown`: who gets what belongs to whom.
    pub user_map: OwnerRules,
    /// `--groupmap`, `--chown`: the same for groups.
    pub group_map: OwnerRules,
    /// `--chmod`: changes of the permissions that the source has.
    pub chmod: Chmod,
    /// `-O`: times of directories are none that `times` is about.
    pub omit_dir_times: bool,
    /// `-J`: times of symbolic links neither.
    pub omit_link_times: bool,

    /// `-c`: compare content, not size and time.
    pub checksum: bool,
    /// `-u`: leave destination files that are newer.
    pub update: bool,
    /// `-I`: transfer even where size and time agree.
    pub ignore_times: bool,
    /// `--size-only`: equal sizes are enough.
    pub size_only: bool,
    /// `--existing`: make nothing new.
    pub existing: bool,
    /// `--ignore-existing`: change no existing file.
    pub ignore_existing: bool,
    /// `--max-size`: transfer no longer file, in bytes.
    pub max_size: Option<u64>,
    /// `--min-size`: transfer no shorter file, in bytes.
    pub min_size: Option<u64>,
    /// `-@`: times that differ by no more than so many seconds are the same. 0 is within the same second, and less
    /// than 0 within the same nanosecond.
    pub modify_window: i32,

    /// `--compare-dest`, `--copy-dest`, `--link-dest`: what else to compare with.
    pub bases: Option<Bases>,
    /// `-W`: no delta. `None` means: only between local paths.
    pub whole_file: Option<bool>,
    /// `--inplace`: write into the existing file.
    pub in_place: bool,
    /// `--partial`: an interrupted transfer leaves what it has under the final name.
    pub partial: bool,
    /// `-B`: length of a block of the delta signature, in bytes. `None` means: by the file's size.
    pub block_size: Option<u32>,
    /// `--checksum-choice`: the strong sum of blocks and files that are transferred.
    pub sum: StrongKind,
    /// `--checksum-choice`: the one that `-c` compares by, if it is another.
    pub compare_sum: Option<StrongKind>,
    /// `-z`: compress content on the way.
    pub compress: Option<Compression>,
    /// `--skip-compress`: of which files not.
    pub skip_compress: SkipCompress,
    /// `--fsync`: a file is on the disk before it gets its name.
    pub fsync: bool,
    /// `--sparse`: zeros are holes at the destination.
    pub sparse: bool,
    /// `--preallocate`: a file gets all its room before its content.
    pub preallocate: bool,
    /// `--temp-dir`: where files are staged. A path that is not absolute begins at the destination.
    pub temp_dir: Option<Vec<u8>>,
    /// `--partial-dir`: where an interrupted transfer leaves what it has. A path that is not absolute begins at the
    /// directory of each file.
    pub partial_dir: Option<Vec<u8>>,
    /// `--delay-updates`: files get their names at the end of the run.
    pub delay_updates: bool,
    /// `--append`, `--append-verify`: files only grow.
    pub append: Option<Append>,
    /// `--fuzzy`: a file that is new may have another one for a basis: from 1 on one of its directory, from 2 on one of
    /// the same directory where it is compared with others besides (`bases`).
    pub fuzzy: u8,
    /// `--reflink`: whether copies on one host share blocks.
    pub reflink: Reflink,
    /// `--detect-renames`: content that is at the destination under another name is taken from there.
    pub detect_renames: bool,
    /// `--bwlimit`: bytes a second the content may take, both directions separately.
    pub bandwidth: Option<u64>,
    /// `--retry`: another run goes on with what is staged when the line breaks, so that stays.
    pub keep_staged: bool,
    /// `--timeout`: seconds without a byte from the peer after which the run fails.
    pub timeout: Option<u32>,
    /// `--streams`: how many channels to another host to use. `None` means one.
    pub streams: Option<u8>,

    /// `--delete`: remove what the source does not have.
    pub delete: Option<Deletion>,
    /// `-b`: what is replaced or deleted is kept under another name.
    pub backup: Option<Backup>,
    /// `--remove-source-files`: what is no directory is removed at the source when it is at the destination.
    pub remove_source_files: bool,
    /// `--max-delete`: entries removed at most, whatever for. `None` means no limit.
    pub max_delete: Option<DeletionLimit>,
    /// `--force`: a directory with something in it may be removed to make room for a non-directory.
    pub force: bool,
    /// `--exclude`, `--include`, `--filter`.
    pub rules: Rules,

    /// `--two-way`: what both replicas have to know of it.
    pub two_way: Option<TwoWay>,

    /// `-m`: leave out directories that are or become empty.
    pub prune_empty_dirs: bool,

    /// `-n`: change nothing, say what would be.
    pub dry_run: bool,
    /// `--explain`: the paths that are asked about, in the place of a pass.
    pub explain: Vec<RelPath>,
    /// Whether the peer talks to another peer, and somebody between them hears the events.
    pub relayed: bool,
    /// Which events are worth sending.
    pub detail: Detail,
    /// `--plain`: the quicker ways that are taken.
    pub shortcuts: Shortcuts,
}

/// What a side does about what only root may: to change owners, to make devices, to set some attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Super {
    /// `--no-super`: it does not try, even if it is root.
    Forgone,
    /// `--super`: it tries, even if it is not root.
    Tried,
    /// `--fake-super`: it keeps all that in extended attributes, and finds it there.
    Faked,
}

/// Whether copies of files that are made on one host share blocks with these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Reflink {
    /// Where the file system can.
    #[default]
    Auto,
    /// A file that is copied whole must.
    Always,
    /// They never do.
    Never,
}

/// What is made of files that are shorter than at the source, where no others are changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Append {
    /// The rest is appended to what is there.
    Trusting,
    /// The same, if what is there is what the source has; else it is changed.
    Verified,
}

/// What becomes of directories that are on another file system than the source argument they are below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Mounts {
    /// They are entered.
    #[default]
    Entered,
    /// `-x`: they are made and not entered.
    Made,
    /// `-xx`: they are left out.
    LeftOut,
}

/// Which side has the list of names of `--files-from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamesFrom {
    /// The asking side, which tells it if it is not the source.
    Asking,
    /// The peer: it reads a file of its own, and tells it if it is not the source.
    Peer {
        /// Which.
        file: Vec<u8>,
        /// `--from0`: whether names in it are parted by NUL, not by the ends of lines.
        nul: bool,
    },
}

/// What becomes of a source that was named and is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Missing {
    /// It is an error.
    #[default]
    Told,
    /// `--ignore-missing-args`: nothing.
    Ignored,
    /// `--delete-missing-args`: it is removed at the destination.
    Deleted,
}

/// What is done about symbolic links besides copying them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LinkRules {
    /// `-L`: what they lead to is copied.
    pub copy: bool,
    /// `-k`: where they lead to a directory, that is copied.
    pub copy_dirs: bool,
    /// `--copy-unsafe-links`: what those lead to is copied that may lead out of the tree.
    pub copy_unsafe: bool,
    /// `--safe-links`: those are left out that may lead out of the tree.
    pub safe: bool,
    /// `-K`: the destination keeps a link to a directory where the source has a directory.
    pub keep_dirs: bool,
    /// `--munge-links`: this side's links are kept so that they lead nowhere.
    pub munge: bool,
}

impl LinkRules {
    /// Whether a source ever looks at what a link leads to.
    pub fn follows(&self) -> bool {
        self.copy || self.copy_dirs || self.copy_unsafe
    }
}

/// How `--delete` goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deletion {
    /// `--delete-excluded`: excluded entries are removed too.
    pub excluded: bool,
    /// `--ignore-errors`: delete even after a read error at the source.
    pub ignore_errors: bool,
    /// When.
    pub when: DeletionTime,
    /// `--delete-from-empty`: also if the source is an empty directory, or one that cannot be read.
    pub from_empty: bool,
}

/// How many entries a run may remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeletionLimit {
    /// So many.
    Count(u64),
    /// So many of a hundred that the directories at the destination hold which are compared. That is about what is
    /// removed because the source does not have it, and about nothing else.
    Percent(u8),
}

impl fmt::Display for DeletionLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeletionLimit::Count(count) => write!(f, "{count}"),
            DeletionLimit::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

/// When `--delete` removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DeletionTime {
    /// `--delete-during`: as each directory has its turn.
    #[default]
    During,
    /// `--delete-delay`: when all else is done, what was found as each directory had its turn.
    Delay,
    /// `--delete-after`: when all else is done, by the rules that then are in the directories.
    After,
    /// `--delete-before`: before anything else is done, in a pass for that alone.
    Before,
}

/// Where what is replaced or deleted is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// `--backup-dir`: the directory, relative to the destination, in which it gets the path it had. `None`: it stays
    /// where it is.
    pub directory: Option<Vec<u8>>,
    /// `--suffix`: what is appended to its name. Only in another directory it may be empty.
    pub suffix: Vec<u8>,
}

/// Directories at the destination's host that are compared with besides the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bases {
    /// What becomes of a file that is in one of them as it is at the source.
    pub kind: BasisKind,
    /// Their paths, relative to the destination, in the order in which they are searched.
    pub directories: Vec<Vec<u8>>,
}

/// What becomes of a file that is as at the source, but elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BasisKind {
    /// `--compare-dest`: it is not made.
    Compare,
    /// `--copy-dest`: it is copied from there.
    Copy,
    /// `--link-dest`: it becomes another name of the file there.
    Link,
}

impl BasisKind {
    /// The option that asks for it.
    pub fn option(self) -> &'static str {
        match self {
            BasisKind::Compare => "--compare-dest",
            BasisKind::Copy => "--copy-dest",
            BasisKind::Link => "--link-dest",
        }
    }
}

/// The most directories to compare with besides the destination, as in rsync.
pub const MAX_BASES: usize = 20;

/// What both replicas of a two-way run are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwoWay {
    /// `--allow-mass-delete`: a root in which nothing is left is meant to be so.
    pub allow_mass_delete: bool,
    /// Not `--no-trash`: what is replaced and removed is kept.
    pub keep_trash: bool,
    /// `--trash-days`: for how many days.
    pub trash_days: u32,
}

/// For how many days what a two-way run replaced is kept where nobody says.
pub const DEFAULT_TRASH_DAYS: u32 = 30;

impl Default for TwoWay {
    fn default() -> TwoWay {
        TwoWay { allow_mass_delete: false, keep_trash: true, trash_days: DEFAULT_TRASH_DAYS }
    }
}

/// The most streams a run may ask for. OpenSSH's server allows ten sessions on a connection.
pub const MAX_STREAMS: u8 = 8;

/// Which events of the sink and the source the asking side wants to hear of, so that a silent run sends none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Detail {
    /// Entries that change, deletions, skipped kinds (`-v`, `-i`).
    pub changes: bool,
    /// Changes of attributes alone (`-i`).
    pub attributes: bool,
    /// Entries left alone and why (`-vv`, `-ii`).
    pub unchanged: bool,
    /// How far the run is (`--progress`).
    pub progress: bool,
    /// With each entry its owner, permissions and time (`--out-format`).
    pub facts: bool,
    /// With each file how much of it travelled, so that it is told when it is there.
    pub sent: bool,
    /// With each file the sum of its content.
    pub sums: bool,
}

impl Detail {
    /// Whether there is something to tell of a file that is transferred which is not known before it was.
    pub fn is_late(&self) -> bool {
        self.sent || self.sums
    }
}

/// Options that cannot go together, or a value out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// The block size is no usable length.
    #[error("a block size of {0} bytes is out of range (64 to 1048576)")]
    BlockSize(u32),
    /// The compression level is none of zstd's.
    #[error("compression level {0} is out of range (1 to 22)")]
    Level(i32),
    /// A list of names that no text stands for.
    #[error("--skip-compress: {0}")]
    SkipCompress(#[from] InvalidSkipCompress),
    /// What stands for attributes is no attribute to be copied.
    #[error("--fake-super cannot be meant together with -XX, which copies the attributes that it makes")]
    FakedTwice,
    /// Contents cannot be compared without a sum.
    #[error("--checksum (-c) needs a checksum, and --checksum-choice=none asks for none")]
    NothingToCompareBy,
    /// It names no directory of its own.
    #[error("--partial-dir needs the name of a directory that is only for that")]
    PartialDir,
    /// No path has a NUL byte.
    #[error("a path holds a NUL byte")]
    PathWithNul,
    /// No such number of streams is possible.
    #[error("{0} streams are out of range (1 to {MAX_STREAMS})")]
    Streams(u8),
    /// Too many directories to compare with, or none.
    #[error("at most {MAX_BASES} {} options may be given", .0.option())]
    Bases(BasisKind),
    /// A directory to compare with has no possible path.
    #[error("{}: a path is empty or holds a NUL byte", .0.option())]
    BasisPath(BasisKind),
    /// The suffix of backups is none.
    #[error("--suffix: {0}")]
    Suffix(&'static str),
    /// The directory for backups has no possible path.
    #[error("--backup-dir: the path is empty or holds a NUL byte")]
    BackupPath,
    /// Deleting needs whole directories.
    #[error("--delete does not work without --recursive (-r) or --dirs (-d)")]
    DeleteNeedsDirectories,
    /// More than all.
    #[error("--max-delete={0}%: more than 100 of a hundred cannot be")]
    DeletePercent(u8),
    /// Changes of permissions that no text stands for.
    #[error("--chmod: {0}")]
    Chmod(#[from] InvalidChmod),
    /// Maps that no text stands for.
    #[error("--usermap or --groupmap: {0}")]
    Owners(#[from] InvalidOwnerRules),
}

impl Options {
    /// The directory beside files in which they wait for the end of the run, if no other was named.
    const HOLDING: &[u8] = b".~tmp~";

    /// The directory beside files in which they wait for the end of the run, if they do (`--delay-updates`): that of
    /// `--partial-dir` if it is in each directory under one name. In one place for several directories those of one
    /// name would meet.
    pub fn holding(&self) -> Option<&[u8]> {
        let own = self.partial_dir.as_deref().filter(|path| !path.contains(&b'/'));
        self.delay_updates.then(|| own.unwrap_or(Options::HOLDING))
    }

    /// Where parts of files are kept: if nowhere else, where they wait for the end of the run.
    pub fn parts(&self) -> Option<&[u8]> {
        self.partial_dir.as_deref().or_else(|| self.holding())
    }

    /// Whether entries of this kind are copied, as far as the user may make them.
    pub fn asks_for(&self, kind: Kind) -> bool {
        match kind {
            Kind::File | Kind::Directory => true,
            Kind::Symlink => self.links,
            Kind::CharDevice | Kind::BlockDevice => self.devices,
            Kind::Fifo | Kind::Socket => self.specials,
        }
    }

    /// Asks for no devices and special files any more.
    pub fn drop_devices(&mut self) {
        (self.devices, self.specials) = (false, false);
    }

    /// Whether devices at the destination are written to.
    pub fn writes_devices(&self) -> bool {
        self.write_devices && self.in_place
    }

    /// Whether what only root may set is kept in extended attributes (`--fake-super`).
    pub fn fakes_super(&self) -> bool {
        self.super_user == Some(Super::Faked)
    }

    /// Whether a symbolic link in the directory `dir` stays out of the destination (`--safe-links`).
    pub fn leaves_out(&self, entry: &Entry, dir: &RelPath) -> bool {
        match &entry.node {
            Node::Symlink { target } if self.links && self.link_rules.safe => {
                leads_outside(target, dir.elements().count())
            }
            _ => false,
        }
    }

    /// Whether what the source does not have is kept in mind until a pass has done all else, and removed then.
    pub fn deletes_late(&self) -> bool {
        let is_part = matches!(self.max_delete, Some(DeletionLimit::Percent(_)));
        let is_late = is_part || self.detect_renames;
        self.delete.is_some_and(|deletion| is_late || deletion.when != DeletionTime::During)
    }

    /// Whether a pass for deletion alone comes before the one that does the rest.
    pub fn sweeps_first(&self) -> bool {
        !self.list_only && self.delete.is_some_and(|deletion| deletion.when == DeletionTime::Before)
    }

    /// Whether a listing may have directories at all.
    pub fn lists_directories(&self) -> bool {
        self.recursive || self.dirs || self.relative
    }

    /// Checks what the type cannot: called where options are made and where they are decoded.
    pub fn validate(&self) -> Result<(), InvalidOptions> {
        if let Some(size) = self.block_size
            && !(64..=1 << 20).contains(&size)
        {
            return Err(InvalidOptions::BlockSize(size));
        }
        if let Some(Compression { level, .. }) = self.compress
            && !(1..=22).contains(&level)
        {
            return Err(InvalidOptions::Level(level));
        }
        self.skip_compress.validate()?;
        if self.fakes_super() && self.xattrs > 1 {
            return Err(InvalidOptions::FakedTwice);
        }
        if self.checksum && self.compare_sum.unwrap_or(self.sum) == StrongKind::None {
            return Err(InvalidOptions::NothingToCompareBy);
        }
        if let Some(streams) = self.streams
            && !(1..=MAX_STREAMS).contains(&streams)
        {
            return Err(InvalidOptions::Streams(streams));
        }
        if [&self.temp_dir, &self.partial_dir].into_iter().flatten().any(|path| path.contains(&0)) {
            return Err(InvalidOptions::PathWithNul);
        }
        if let Some(path) = &self.partial_dir
            && matches!(
                path.rsplit(|byte| *byte == b'/').find(|last| !last.is_empty()),
                None | Some(b"." | b"..")
            )
        {
            return Err(InvalidOptions::PartialDir);
        }
        if let Some(Bases { kind, directories }) = &self.bases {
            if !(1..=MAX_BASES).contains(&directories.len()) {
                return Err(InvalidOptions::Bases(*kind));
            }
            if directories.iter().any(|path| path.is_empty() || path.contains(&0)) {
                return Err(InvalidOptions::BasisPath(*kind));
            }
        }
        if let Some(Backup { directory, suffix }) = &self.backup {
            if suffix.iter().any(|byte| matches!(byte, b'/' | 0)) {
                return Err(InvalidOptions::Suffix("it cannot contain slashes or NUL bytes"));
            }
            if suffix.is_empty() && directory.is_none() {
                return Err(InvalidOptions::Suffix("it cannot be empty without --backup-dir"));
            }
            if directory.as_ref().is_some_and(|path| path.is_empty() || path.contains(&0)) {
                return Err(InvalidOptions::BackupPath);
            }
        }
        self.chmod.validate()?;
        self.user_map.validate()?;
        self.group_map.validate()?;
        if let Some(DeletionLimit::Percent(percent)) = self.max_delete
            && percent > 100
        {
            return Err(InvalidOptions::DeletePercent(percent));
        }
        if self.delete.is_some() && !(self.recursive || self.dirs) {
            return Err(InvalidOptions::DeleteNeedsDirectories);
        }
        Ok(())
    }
}
