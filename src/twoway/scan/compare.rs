//! What an entry is in the words of a record, and how it differs from the one there is.

use crate::fs::Stamp;
use crate::tree::{Entry, Kind, Meta, Node};
use crate::twoway::facet::Facets;
use crate::twoway::history::{Known, Look};
use crate::twoway::record::{Attributes, Record, State};
use crate::twoway::scan::{ScanOptions, Trouble};
use filetime::FileTime;

/// The permission bits of symbolic links, which have none of their own.
const LINK_MODE: u32 = 0o777;

/// How long two ticks of the clock take that file systems stamp with, in nanoseconds: a kernel ticks a hundred times a
/// second or more often.
const TICKS: i128 = 20_000_000;

/// The same where times have no fraction: then the file system keeps none, and some count in twos.
const COARSE_TICKS: i128 = 4_000_000_000;

/// How an entry differs from its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Difference {
    /// It is new, or of another kind.
    pub created: bool,
    /// It has another content.
    pub content: bool,
    /// It has other attributes.
    pub attributes: bool,
    /// Something of it differs that partners are to be told of, the time of modification included.
    pub news: bool,
}

pub(super) fn difference(before: Option<&Record>, now: &Record) -> Difference {
    let Some(before) = before.filter(|before| before.state.is_like(&now.state)) else {
        return Difference { created: true, content: true, attributes: true, news: true };
    };
    let content = before.state != now.state;
    let attributes = differ(&before.attributes, &now.attributes);
    let news = content
        || before.attributes != now.attributes
        || before.extended != now.extended
        || before.mtime != now.mtime
        || before.occupied != now.occupied;
    Difference { created: false, content, attributes, news }
}

/// Whether attributes differ, as far as both are known.
fn differ(before: &Attributes, now: &Attributes) -> bool {
    fn known<T: PartialEq>(before: Option<T>, now: Option<T>) -> bool {
        before.zip(now).is_some_and(|(before, now)| before != now)
    }
    before.mode != now.mode || known(before.owner.0, now.owner.0) || known(before.owner.1, now.owner.1)
}

impl ScanOptions<'_> {
    /// The attributes of an entry that are synchronised.
    pub(super) fn attributes(&self, kind: Kind, meta: &Meta, before: Option<&Record>) -> Attributes {
        let mode = match kind {
            Kind::Symlink => LINK_MODE,
            _ => before
                .map_or(meta.mode, |before| self.modes.taken(before.attributes.mode, meta.mode, Some(kind))),
        };
        Attributes { mode, owner: (self.owner.then_some(meta.uid), self.group.then_some(meta.gid)) }
    }

    /// The state of an entry that is no file, or why it has none.
    pub(super) fn state(&self, entry: &Entry) -> Result<Option<State>, Trouble> {
        let kind = entry.kind();
        Ok(Some(match &entry.node {
            Node::File { .. } => return Ok(None),
            Node::Directory => State::Directory,
            Node::Symlink { target } if self.links => State::Symlink { target: target.clone() },
            Node::Fifo | Node::Socket if self.specials => State::Special(kind, None),
            Node::CharDevice(device) | Node::BlockDevice(device) if self.devices => {
                State::Special(kind, Some(*device))
            }
            _ => return Err(Trouble::Kind(kind)),
        }))
    }

    /// A look at an entry, of which `before` was known and these facets were looked at now.
    pub(super) fn look(&self, stamp: Stamp, before: Option<&Known>, facets: Facets) -> Look {
        let look = look(stamp, self.began);
        let before = before.and_then(|before| before.look).filter(|before| before.stamp == stamp);
        let seen = before.map_or(Facets::NONE, |before| before.facets);
        Look { facets: if look.settled { seen.or(facets) } else { seen }, ..look }
    }

    /// The facets that are to be looked at of an entry with this stamp.
    pub(super) fn unseen(&self, stamp: Stamp, before: Option<&Known>) -> Facets {
        let before = before.and_then(|before| before.look).filter(|before| before.stamp == stamp);
        self.facets.attributes().without(before.map_or(Facets::NONE, |before| before.facets))
    }
}

/// A look at an entry that was taken after `began`: whether a later change would show depends on how long ago the last
/// one was.
pub(in crate::twoway) fn look(stamp: Stamp, began: FileTime) -> Look {
    let ticks = if stamp.ctime.nanoseconds() == 0 { COARSE_TICKS } else { TICKS };
    let settled = nanoseconds(stamp.ctime).saturating_add(ticks) < nanoseconds(began);
    Look { stamp, settled, facets: Facets::NONE }
}

fn nanoseconds(time: FileTime) -> i128 {
    i128::from(time.unix_seconds()) * 1_000_000_000 + i128::from(time.nanoseconds())
}
