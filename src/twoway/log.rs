//! What a run did on a replica, as it is remembered there.

use crate::tree::RelPath;
use crate::twoway::reconcile::{Change, Why};
use crate::twoway::record::Record;
use crate::twoway::text;
use serde::{Deserialize, Serialize};

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
    /// What was known of it before.
    pub before: Record,
    /// What is known of it since.
    pub after: Record,
    /// Where the old version is, below the directory of the run in the trash.
    pub trashed: Option<RelPath>,
    /// Why it was not done, if it was not.
    pub problem: Option<String>,
}
