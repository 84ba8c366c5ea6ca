//! What a replica knows of one path: the state it was last seen in, and which edits that state has absorbed.

use crate::request::Options;
use crate::tree::{Gid, Kind, Rdev, Uid, executable_like};
use crate::twoway::facet::{self, Extended, Facets};
use crate::twoway::text;
use crate::twoway::version::{Renaming, Version};
use filetime::FileTime;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The BLAKE3 sum of a file's content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentSum(#[serde(with = "text::hex")] pub [u8; 32]);

/// What is, or is not, at a path.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing: it was removed.
    Absent,
    /// A directory. What is in it has records of its own.
    Directory,
    /// A regular file.
    File {
        /// The sum of its content.
        sum: ContentSum,
        /// The length of its content, in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points to, as it was read.
        #[serde(with = "text::bytes")]
        target: Box<[u8]>,
    },
    /// A device, with its number, or a fifo or socket, which have none.
    Special(Kind, Option<Rdev>),
    /// Something that could not be looked at, or was still changing, or is of a kind that is not synchronised, where
    /// that matters: in the place of something that is.
    Unknown,
}

/// What a state carries besides its content that is compared by version: the permission bits, and the owner and group
/// where they are synchronised.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Attributes {
    /// Permission bits, 0o7777 at most.
    pub mode: u32,
    /// User and group by number, each where it is synchronised.
    pub owner: (Option<Uid>, Option<Gid>),
}

/// What of permission bits is synchronised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Modes {
    /// All of them.
    Whole,
    /// Of files, whether anybody can execute them; the rest each side has of its own.
    Executable,
    /// Nothing: each side has its own.
    Own,
}

/// Which attributes both sides of a run keep alike. Of owners that is told by the records: where these have none, each
/// side has its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shared {
    /// What of permission bits.
    pub modes: Modes,
    /// Which facets.
    pub facets: Facets,
}

/// All that is known of a path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// What was seen there.
    pub state: State,
    /// Of what is absent, those it had.
    pub attributes: Attributes,
    /// When it was modified; of what is absent, when the removal was found. Never an edit by itself.
    #[serde(with = "text::time")]
    pub mtime: FileTime,
    /// Which edits of existence and content the state has absorbed.
    #[serde(with = "text::version")]
    pub content: Arc<Version>,
    /// Which edits of the attributes.
    #[serde(with = "text::version")]
    pub meta: Arc<Version>,
    /// What is known of its ACLs and extended attributes.
    #[serde(default, skip_serializing_if = "Extended::is_empty")]
    pub extended: Extended,
    /// Whether a directory stands here that cannot go. Of a directory: it holds, at any depth, things that take no part
    /// (ignored, or of a kind that is not synchronised). Of what is absent: it was removed, but the directory stays for
    /// the sake of such things; its presence is no edit, nothing else can have its name, and it is there again as soon
    /// as a scan finds something inside that takes part. A file of rules that leaves out such things stays as a
    /// directory does. Never set on anything else. A fact about one replica, which no other takes over.
    pub occupied: bool,
}

impl State {
    /// Whether something is there.
    pub fn is_present(&self) -> bool {
        *self != State::Absent
    }

    /// The kind of what is there; `None` of nothing and of what is not known.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            State::Absent | State::Unknown => None,
            State::Directory => Some(Kind::Directory),
            State::File { .. } => Some(Kind::File),
            State::Symlink { .. } => Some(Kind::Symlink),
            State::Special(kind, _) => Some(*kind),
        }
    }

    /// The length of a file's content, in bytes; of all else 0.
    pub fn size(&self) -> u64 {
        match self {
            State::File { size, .. } => *size,
            _ => 0,
        }
    }

    /// Whether a directory is there.
    pub fn is_directory(&self) -> bool {
        *self == State::Directory
    }

    /// Whether both are of one kind, whatever their content.
    pub fn is_like(&self, other: &State) -> bool {
        match (self, other) {
            (State::Special(kind, _), State::Special(other, _)) => kind == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Attributes {
    /// These, with a user and a group only where the others have one: where they have none, that took no part.
    pub fn as_far_as(&self, others: &Attributes) -> Attributes {
        let ((user, group), (their_user, their_group)) = (self.owner, others.owner);
        let owner = (user.filter(|_| their_user.is_some()), group.filter(|_| their_group.is_some()));
        Attributes { mode: self.mode, owner }
    }
}

impl Modes {
    /// What the options of a run ask for.
    pub fn asked(options: &Options) -> Modes {
        match (options.perms, options.executability) {
            (true, _) => Modes::Whole,
            (false, true) => Modes::Executable,
            (false, false) => Modes::Own,
        }
    }

    /// The permission bits of an entry with the bits `own` that takes over those of another.
    pub fn taken(self, own: u32, others: u32, kind: Option<Kind>) -> u32 {
        match self {
            Modes::Whole => others,
            Modes::Executable if kind == Some(Kind::File) => executable_like(own, others),
            Modes::Executable | Modes::Own => own,
        }
    }
}

impl Record {
    /// That of what a replica has never seen.
    pub fn never() -> Record {
        Record {
            state: State::Absent,
            attributes: Attributes { mode: 0, owner: (None, None) },
            mtime: FileTime::zero(),
            content: Arc::default(),
            meta: Arc::default(),
            extended: Extended::default(),
            occupied: false,
        }
    }

    /// The attributes that this has once it takes over others, as far as these are synchronised.
    pub fn attributes_with(&self, others: &Attributes, modes: Modes) -> Attributes {
        let mode = modes.taken(self.attributes.mode, others.mode, self.state.kind());
        // Where one side has none, they take no part.
        fn taken<T>(own: Option<T>, other: Option<T>) -> Option<T> {
            own.and_then(|own| other.or(Some(own)))
        }
        let ((user, group), (their_user, their_group)) = (self.attributes.owner, others.owner);
        Attributes { mode, owner: (taken(user, their_user), taken(group, their_group)) }
    }

    /// Whether this has absorbed all edits of the other, of content, of attributes and of these facets.
    pub fn covers(&self, other: &Record, facets: Facets) -> bool {
        self.content.covers(&other.content)
            && self.meta.covers(&other.meta)
            && self.extended.covers(&other.extended, facets)
    }

    /// The record that follows on this one where another is taken over, as far as that goes for facets: those that are
    /// not shared stay with what is of the same kind, and are not known of what is made anew.
    pub(super) fn followed_by(&self, other: Record, shared: Facets) -> Record {
        // Of what is not there any more there is nothing left to find.
        let keeps_own = self.state.is_like(&other.state) || !other.state.is_present();
        Record { extended: self.extended.taken_over(&other.extended, shared, keeps_own), ..other }
    }

    /// This record with counts under another name.
    pub fn renamed(&self, renaming: &Renaming) -> Record {
        let renamed = |version: &Arc<Version>| facet::renamed(version, renaming);
        let extended = self.extended.renamed(renamed);
        Record { content: renamed(&self.content), meta: renamed(&self.meta), extended, ..self.clone() }
    }

    /// Whether nothing but a directory can have the name here, since one stands there that cannot go.
    pub fn bars(&self, other: &State) -> bool {
        self.occupied && other.is_present() && !other.is_directory()
    }
}

impl std::fmt::Debug for ContentSum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
