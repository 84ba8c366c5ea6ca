//! What becomes of files of which others are to be further names (`-H`): whoever settles one tells the comparison.

use crate::pass::sink::Sink;
use crate::tree::Entry;

/// Device and inode of a file.
pub(super) type Identity = (u64, u64);

/// The first name of a group is settled.
#[derive(Debug)]
pub(super) struct Landed {
    /// The group's number.
    pub group: u32,
    pub landing: Landing,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Landing {
    /// As at the source, and this file; in a dry run it need not be there yet.
    There(Option<Identity>),
    /// Not as it should be, which was told: another name has to take its place.
    Failed,
}

impl Landing {
    /// Of a file that was written, if it was.
    pub(super) fn of(identity: Option<Identity>) -> Landing {
        if identity.is_some() { Landing::There(identity) } else { Landing::Failed }
    }
}

impl Sink<'_> {
    /// Tells what became of an entry, if that is the first name of a group.
    pub(super) fn landed(&self, entry: &Entry, landing: Landing) {
        if self.context.options.hard_links
            && let Some(group) = entry.group()
        {
            // Nobody hears it only when the run has failed.
            let _ = self.landings.send(Landed { group: group.number, landing });
        }
    }

    /// Whether it is of use to know which file an entry becomes.
    pub(super) fn may_be_linked(&self, entry: &Entry) -> bool {
        self.context.options.hard_links && entry.group().is_some()
    }
}
