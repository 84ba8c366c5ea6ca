//! Owners where a run does not synchronise them: it reads of none, and what was known of them stays as it was.
//!
//! So whoever gives something away after a run that synchronises owners has changed them on his side alone, when the
//! next such run finds that, however many there were in between that did not. Once found, it counts as an edit of the
//! attributes as a whole: a run without owners that then brings two replicas together takes it over without them, and
//! the next with owners finds a conflict.

use crate::twoway::history::Known;
use crate::twoway::record::Record;

/// Whether users and groups are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub user: bool,
    pub group: bool,
}

impl Seen {
    /// Both: whoever looks at a history sees what is in it.
    pub(super) const BOTH: Seen = Seen { user: true, group: true };

    /// What is read of what is known.
    pub(super) fn of(self, mut known: Known) -> Known {
        let (user, group) = known.record.attributes.owner;
        known.record.attributes.owner = (user.filter(|_| self.user), group.filter(|_| self.group));
        known
    }
}

/// Whether a record says less of owners than the one in whose place it is written may have said.
pub(super) fn lacks(record: &Record) -> bool {
    let (user, group) = record.attributes.owner;
    user.is_none() || group.is_none()
}

/// Keeps in a record what it does not say of owners and the one before did. What is of another kind now is something
/// else.
pub(super) fn keep(record: &mut Record, before: &Record) {
    if before.state.is_like(&record.state) {
        let ((user, group), (was_user, was_group)) = (record.attributes.owner, before.attributes.owner);
        record.attributes.owner = (user.or(was_user), group.or(was_group));
    }
}
