//! What a run did on a replica, as it is remembered there: a header, which is written when the run begins and again
//! when it comes to its end, and an entry for each path at which it did something.

use crate::tree::RelPath;
use crate::twoway::decide::Side;
use crate::twoway::facet::Facet;
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::Record;
use crate::twoway::text;
use crate::twoway::version::Author;
use filetime::FileTime;
use serde::{Deserialize, Serialize};

/// A run, without what it did at each path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Runs of a replica are counted from 1.
    pub number: u64,
    /// When it began.
    #[serde(with = "text::time")]
    pub began: FileTime,
    /// What it was for.
    pub purpose: Purpose,
    /// How it ended; `None` if it did not come to its end.
    pub ending: Option<Ending>,
}

/// What a run is for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Synchronising with a partner.
    Meeting {
        /// Who that is.
        partner: Author,
        /// How the user named it.
        name: String,
        /// Which side this replica was.
        side: Side,
    },
    /// Putting back what another run had replaced and deleted.
    Undo {
        /// The number of that run.
        run: u64,
    },
}

/// How a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// When.
    #[serde(with = "text::time")]
    pub at: FileTime,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Paths at which something was done on this replica.
    pub done: u64,
    /// Paths at which something was done on the partner's.
    pub done_there: u64,
    /// Conflicts that were left.
    pub conflicts: u64,
    /// Paths at which something could not be done, on either.
    pub problems: u64,
}

/// Something that a run did, or could not do, at one path.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Where.
    #[serde(with = "text::path")]
    pub path: RelPath,
    /// What was to be done.
    pub change: Change,
    /// Why.
    pub why: Why,
    /// What was known of it before. A history keeps no versions with its log: they are empty when it is read.
    pub before: Record,
    /// What is known of it since; the same holds of it.
    pub after: Record,
    /// Where the old version is, below the directory of the run in the trash.
    pub trashed: Option<RelPath>,
    /// Why it was not done, if it was not.
    pub problem: Option<String>,
}

impl Entry {
    /// Whether it was kept alike which names are one file.
    pub(super) fn knows_names(&self) -> bool {
        [&self.before, &self.after].iter().any(|record| record.extended.get(Facet::Links).is_some())
    }
}
