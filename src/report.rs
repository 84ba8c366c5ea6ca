//! What a run says while it runs and when it ends.
//!
//! The library never prints: every line a person may see leaves it as an [`Event`] through a [`Reporter`], every
//! question through a [`Prompter`], and the numbers of a progress bar are read from a shared [`Progress`]. Events
//! of the peer arrive as the same values over the link, so that a push and a pull read alike.

use crate::tree::{Gid, Kind, RelPath, Uid};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Takes the events of a run, in the order in which they were decided. Called from several threads.
pub trait Reporter: Send + Sync {
    /// Takes one event.
    fn report(&self, event: Event);
}

/// Asks the person at the terminal.
pub trait Prompter: Send + Sync {
    /// Whether a person can answer.
    fn interactive(&self) -> bool;
    /// Shows `text` and asks yes or no.
    fn confirm(&self, text: &str) -> io::Result<bool>;
    /// Asks for a line that is not echoed.
    fn secret(&self, prompt: &str) -> io::Result<String>;
    /// Asks for a line that is echoed.
    fn line(&self, prompt: &str) -> io::Result<String>;
}

/// Something a run says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The destination directory did not exist and was made.
    CreatedDestination,
    /// An entry of the destination was made or changed (or would be, in a dry run), or was found unchanged where
    /// the request asked for those too.
    Item(Item),
    /// An entry of the destination that the source does not have was removed.
    Deleted {
        /// Below the destination.
        path: RelPath,
        /// What it was.
        kind: Kind,
    },
    /// An entry was left alone on purpose.
    Skipped {
        /// Below the transfer root.
        path: RelPath,
        /// Why.
        reason: Skip,
    },
    /// Something that could not be done; the run goes on.
    Problem(Problem),
    /// Something worth knowing that is no failure.
    Notice(String),
    /// What the remote shell or the remote process wrote to its standard error.
    Remote(Vec<u8>),
    /// `--mkpath`: so many directories were made, of which this is the last.
    CreatedPath {
        /// How many.
        count: u32,
        /// As the user named it.
        path: Vec<u8>,
    },
    /// A symbolic link that may lead out of the tree was left out.
    UnsafeLink {
        /// Below the transfer root.
        path: RelPath,
        /// Its text.
        target: Vec<u8>,
    },
    /// An entry of the source, where it is only to be shown.
    Shown(Shown),
    /// `--copy-unsafe-links`: what a symbolic link leads to that may lead out of the tree takes its place.
    FollowedLink {
        /// Below the transfer root.
        path: RelPath,
        /// Its text.
        target: Vec<u8>,
    },
    /// `--remove-source-files`: an entry of the source was removed.
    Removed {
        /// Below the transfer root.
        path: RelPath,
    },
}

/// An entry of the source that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Below the transfer root.
    pub path: RelPath,
    /// What it is.
    pub kind: Kind,
    /// The target of a symbolic link, where links are asked for.
    pub target: Option<Vec<u8>>,
    /// Length in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// Time of last modification, in seconds since 1970.
    pub seconds: i64,
}

/// An entry of the destination and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Below the destination; the root itself is the empty path.
    pub path: RelPath,
    /// What the entry is at the source.
    pub kind: Kind,
    /// The target of a symbolic link.
    pub target: Option<Vec<u8>>,
    /// The name, below the destination, of which the entry becomes another, or from which its content is taken.
    pub leader: Option<RelPath>,
    /// Length in bytes of a regular file.
    pub size: u64,
    /// What happened.
    pub change: Change,
    /// What only some formats of output show; carried where the request asks for it.
    pub facts: Option<Box<Facts>>,
}

/// What few people want to know of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// When its content was changed, in seconds since 1970.
    pub modified: i64,
    /// Its permissions, as it is to have them.
    pub mode: u32,
    /// The number of its owner at the destination; `None` where owners are not preserved.
    pub owner: Option<Uid>,
    /// That of its group.
    pub group: Option<Gid>,
    /// How many bytes of its content travelled, not compressed.
    pub sent: u64,
    /// The sum of its whole content, if that was asked for and is known.
    pub sum: Option<Vec<u8>>,
}

/// How an entry of the destination differs from the source, as rsync's `--itemize-changes` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What is done about it.
    pub action: Action,
    /// Whether the entry is new at the destination.
    pub new: bool,
    /// Content (of a file, by checksum), link target or device number differs.
    pub content: bool,
    /// The length of a regular file differs.
    pub size: bool,
    /// The modification time differs.
    pub time: TimeChange,
    /// The permissions differ.
    pub perms: bool,
    /// The owner differs.
    pub owner: bool,
    /// The group differs.
    pub group: bool,
    /// The time of last access differs.
    pub atime: bool,
    /// The ACLs differ.
    pub acls: bool,
    /// The extended attributes differ.
    pub xattrs: bool,
}

impl Change {
    /// This is done, and nothing differs.
    pub const fn only(action: Action) -> Change {
        Change {
            action,
            new: false,
            content: false,
            size: false,
            time: TimeChange::None,
            perms: false,
            owner: false,
            group: false,
            atime: false,
            acls: false,
            xattrs: false,
        }
    }
}

/// What is done about an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// A regular file's content is transferred.
    Transfer,
    /// Something without content is made or replaced: a directory, a link, a device.
    Create,
    /// At most attributes are set.
    Attributes,
    /// It becomes another name of a file that is there.
    Link,
    /// It is another name of a file that is there, so nothing is done about it; or becomes one of the same file
    /// elsewhere.
    Linked,
    /// It is copied from what is the same elsewhere at the destination, or gets its name.
    Copied,
}

/// What happens to a modification time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeChange {
    /// It is the same, or nobody asked.
    None,
    /// It is set to the source's.
    Source,
    /// It becomes the time of the transfer, because times are not preserved.
    Now,
}

impl Change {
    /// Whether nothing is done at all.
    pub fn is_nothing(&self) -> bool {
        let leaves = matches!(self.action, Action::Attributes | Action::Linked | Action::Copied);
        leaves && !self.new && !self.differs()
    }

    /// Whether anything of it that has a column of its own differs.
    pub fn differs(&self) -> bool {
        let Change { content, size, perms, owner, group, time, atime, acls, xattrs, .. } = *self;
        let has_changed = content || size || perms || owner || group || atime || acls || xattrs;
        has_changed || time != TimeChange::None
    }
}

/// Why an entry was left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Skip {
    /// A kind that the options do not ask for: a link without `-l`, a device without `--devices`, ...
    NotRegular,
    /// A directory without `-r`.
    Directory,
    /// `-u`: the destination is newer.
    Newer,
    /// `--ignore-existing`: the destination has it.
    Exists,
    /// `--existing`: the destination does not have it.
    NotExisting,
    /// `--max-size`: the file is longer.
    TooLarge,
    /// `--min-size`: the file is shorter.
    TooSmall,
    /// It is already the same.
    UpToDate,
    /// A directory that was to be removed holds something that must stay.
    NotEmpty,
    /// `--existing`: a directory that the destination does not have.
    NoSuchDirectory,
    /// `--safe-links`: a symbolic link that may lead out of the tree.
    Unsafe,
    /// `--append`: it differs and is no shorter at the destination.
    NotShorter,
}

/// Something that could not be done. Never ends a run; decides its exit code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What was being done, as a phrase that goes before a path: "opening", "setting permissions of".
    pub doing: String,
    /// To what: a path below one of the roots, or as the user named it.
    pub path: Vec<u8>,
    /// Why it failed, and what to do about it where that can be said.
    pub cause: String,
    /// How it counts.
    pub class: ProblemClass,
    /// Which role of the run met it.
    pub role: Role,
}

/// How a problem counts for the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ProblemClass {
    /// A source entry vanished between being listed and being read.
    Vanished,
    /// `--max-delete` stopped deletions.
    DeleteLimit,
    /// Anything else: a file was not transferred, an attribute not set.
    Failed,
}

/// One of the two roles of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Reads.
    Source,
    /// Writes.
    Sink,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Source => "source",
            Role::Sink => "sink",
        })
    }
}

impl Problem {
    /// A problem with the entry at `path`.
    pub fn new(role: Role, doing: &str, path: &RelPath, cause: &impl fmt::Display) -> Problem {
        Problem {
            doing: doing.to_owned(),
            path: if path.is_root() { b".".to_vec() } else { path.as_bytes().to_vec() },
            cause: cause.to_string(),
            class: ProblemClass::Failed,
            role,
        }
    }

    /// The same, counted as `class`.
    pub fn of_class(self, class: ProblemClass) -> Problem {
        Problem { class, ..self }
    }
}

/// Numbers of entries by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Character and block devices.
    pub devices: u64,
    /// Fifos and sockets.
    pub specials: u64,
}

impl Counts {
    /// Counts one more entry.
    pub fn add(&mut self, kind: Kind) {
        let count = match kind {
            Kind::File => &mut self.files,
            Kind::Directory => &mut self.directories,
            Kind::Symlink => &mut self.symlinks,
            Kind::CharDevice | Kind::BlockDevice => &mut self.devices,
            Kind::Fifo | Kind::Socket => &mut self.specials,
        };
        *count = count.saturating_add(1);
    }

    /// All kinds together.
    pub fn total(&self) -> u64 {
        [self.files, self.directories, self.symlinks, self.devices, self.specials]
            .iter()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }
}

/// What one role of a run counted. The two roles count different things, so [`Totals::merge`] of both is the whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Entries listed by the source.
    pub listed: Counts,
    /// Bytes of all listed files and link targets.
    pub total_size: u64,
    /// Entries that were new at the sink.
    pub created: Counts,
    /// Entries that the sink removed.
    pub deleted: Counts,
    /// Regular files whose content was transferred.
    pub transferred: u64,
    /// Bytes of those files.
    pub transferred_size: u64,
    /// Bytes of content that travelled as they are.
    pub literal: u64,
    /// Bytes of content taken from what the sink had.
    pub matched: u64,
    /// Milliseconds from the first listing to the last.
    pub listing_millis: u64,
    /// Problems by class: vanished sources.
    pub vanished: u64,
    /// Problems by class: everything else that failed.
    pub failed: u64,
    /// Entries not deleted because of `--max-delete`.
    pub not_deleted: u64,
}

impl Totals {
    /// Adds what the other role counted.
    pub fn merge(&mut self, other: &Totals) {
        fn counts(a: &mut Counts, b: &Counts) {
            a.files = a.files.saturating_add(b.files);
            a.directories = a.directories.saturating_add(b.directories);
            a.symlinks = a.symlinks.saturating_add(b.symlinks);
            a.devices = a.devices.saturating_add(b.devices);
            a.specials = a.specials.saturating_add(b.specials);
        }
        counts(&mut self.listed, &other.listed);
        counts(&mut self.created, &other.created);
        counts(&mut self.deleted, &other.deleted);
        for (mine, theirs) in [
            (&mut self.total_size, other.total_size),
            (&mut self.transferred, other.transferred),
            (&mut self.transferred_size, other.transferred_size),
            (&mut self.literal, other.literal),
            (&mut self.matched, other.matched),
            (&mut self.listing_millis, other.listing_millis),
            (&mut self.vanished, other.vanished),
            (&mut self.failed, other.failed),
            (&mut self.not_deleted, other.not_deleted),
        ] {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// Counts a problem.
    pub fn count(&mut self, class: ProblemClass) {
        let count = match class {
            ProblemClass::Vanished => &mut self.vanished,
            ProblemClass::DeleteLimit => &mut self.not_deleted,
            ProblemClass::Failed => &mut self.failed,
        };
        *count = count.saturating_add(1);
    }
}

/// How far a run is. Written by the roles, read by whoever draws it; all values only grow, until
/// another attempt [begins](Progress::begin).
#[derive(Debug, Default)]
pub struct Progress {
    total_bytes: AtomicU64,
    total_files: AtomicU64,
    total_known: AtomicBool,
    done_bytes: AtomicU64,
    done_files: AtomicU64,
}

/// A reading of a [`Progress`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgressReading {
    /// Bytes of the regular files found so far.
    pub total_bytes: u64,
    /// Regular files found so far.
    pub total_files: u64,
    /// Whether everything was found, so that the totals are final.
    pub total_known: bool,
    /// Bytes settled: transferred, matched or found unchanged.
    pub done_bytes: u64,
    /// Regular files settled.
    pub done_files: u64,
}

impl Progress {
    /// Sets it to nothing, as a run begins, or begins again.
    pub fn begin(&self) {
        self.total_known.store(false, Ordering::Release);
        for count in [&self.total_bytes, &self.total_files, &self.done_bytes, &self.done_files] {
            count.store(0, Ordering::Relaxed);
        }
    }

    /// Counts a file found.
    pub fn found(&self, bytes: u64) {
        self.total_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.total_files.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that no more files will be found.
    pub fn all_found(&self) {
        self.total_known.store(true, Ordering::Release);
    }

    /// Counts bytes of a file as settled.
    pub fn advance(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts files as settled.
    pub fn settled(&self, files: u64) {
        self.done_files.fetch_add(files, Ordering::Relaxed);
    }

    /// Takes over the peer's totals (on the side that does not walk the source).
    pub fn set_totals(&self, peer: &ProgressReading) {
        self.total_bytes.fetch_max(peer.total_bytes, Ordering::Relaxed);
        self.total_files.fetch_max(peer.total_files, Ordering::Relaxed);
        if peer.total_known {
            self.all_found();
        }
    }

    /// Takes over what the peer settled (on the side that does not write).
    pub fn set_done(&self, peer: &ProgressReading) {
        self.done_bytes.fetch_max(peer.done_bytes, Ordering::Relaxed);
        self.done_files.fetch_max(peer.done_files, Ordering::Relaxed);
    }

    /// Reads it.
    pub fn read(&self) -> ProgressReading {
        ProgressReading {
            total_known: self.total_known.load(Ordering::Acquire),
            total_bytes: self.total_bytes.load(Ordering::Relaxed),
            total_files: self.total_files.load(Ordering::Relaxed),
            done_bytes: self.done_bytes.load(Ordering::Relaxed),
            done_files: self.done_files.load(Ordering::Relaxed),
        }
    }
}

/// What is said about an error, without the numbers that Rust puts after the words of the operating system.
pub fn without_numbers(said: &str) -> String {
    let mut pieces = said.split(" (os error ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once(')').map_or("", |(_, rest)| rest))
}
