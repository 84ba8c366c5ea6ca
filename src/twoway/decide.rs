//! What two records of one path say together: the decision table, one row at a time, without a look at what is above or
//! below the path.
//!
//! Content (with existence) and attributes are decided apart, each by its own version, as long as both sides have the
//! same kind of thing: so a changed mode and a changed content merge. Where the kinds differ there is one decision, and
//! a side has it only if it covers the other in both versions. The modification time is no edit: it goes along with the
//! content, and where that is the same the later one is taken. ACLs and extended attributes are decided each by itself,
//! too, beside the rest: [`facet()`].

use crate::twoway::facet::Facet;
use crate::twoway::record::{Record, Shared, State};
use crate::twoway::version::{Order, Version};
use serde::{Deserialize, Serialize};

/// One of the two replicas.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The first argument's.
    Left,
    /// The second argument's.
    Right,
}

/// What becomes of one part of a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Both have the same.
    Same,
    /// One side's is newer, and both get it.
    Take(Side),
    /// Each side has edits that the other has not.
    Conflict,
}

/// What two records of a path that has the same kind of thing on both sides, or nothing on both, or of different kinds,
/// say together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// The kinds are the same, and content and attributes are decided apart.
    Alike {
        /// Existence and content.
        content: Part,
        /// Permission bits and owners.
        attributes: Part,
    },
    /// The kinds differ, and one side covers the other.
    Replace(Side),
    /// One side has removed what the other has edited.
    RemovedAndEdited {
        /// Who still has something there.
        edited: Side,
    },
    /// The kinds differ, and neither covers the other.
    Kinds,
    /// Something there could not be looked at.
    Unknown,
}

impl Side {
    /// Both, in order.
    pub const BOTH: [Side; 2] = [Side::Left, Side::Right];

    /// The other one.
    pub fn other(self) -> Side {
        match self {
            Side::Left => Side::Right,
            Side::Right => Side::Left,
        }
    }
}

/// Decides a path that both replicas have told of. What is not `shared` each side has of its own.
pub fn decide(left: &Record, right: &Record, shared: Shared) -> Decision {
    match (&left.state, &right.state) {
        (State::Unknown, _) | (_, State::Unknown) => Decision::Unknown,
        (ours, theirs) if ours.is_like(theirs) => {
            let same_attributes = !ours.is_present()
                || left.attributes == left.attributes_with(&right.attributes, shared.modes);
            Decision::Alike {
                content: part(ours == theirs, &left.content, &right.content),
                attributes: part(same_attributes, &left.meta, &right.meta),
            }
        }
        (ours, _) => match (left.covers(right, shared.facets), right.covers(left, shared.facets)) {
            (true, false) => Decision::Replace(Side::Left),
            (false, true) => Decision::Replace(Side::Right),
            _ if !ours.is_present() => Decision::RemovedAndEdited { edited: Side::Right },
            _ if !right.state.is_present() => Decision::RemovedAndEdited { edited: Side::Left },
            _ => Decision::Kinds,
        },
    }
}

/// Decides a facet that is synchronised, of a path that has the same kind of thing on both sides. Where one side knows
/// nothing of it, nothing is done about it.
pub fn facet(left: &Record, right: &Record, facet: Facet) -> Part {
    match left.extended.order(&right.extended, facet) {
        None => Part::Same,
        // That is nobody's content: one of the two is as good as the other, if both sides have the same.
        Some(Order::Equal | Order::Concurrent) if facet == Facet::Links => {
            let is_left = left.extended.identity() > right.extended.identity();
            Part::Take(if is_left { Side::Left } else { Side::Right })
        }
        Some(order) => taken(order),
    }
}

/// The side whose name has been given to a file that the other side has not seen it given to. A file has one time of
/// modification, so the name has to have that of the file, even if it had a later one.
pub fn has_joined(left: &Record, right: &Record) -> Option<Side> {
    let register = |record: &Record| record.extended.get(Facet::Links).cloned();
    let (ours, theirs) = register(left).zip(register(right))?;
    match ours.version.order(&theirs.version) {
        Order::Newer => ours.sum.map(|_| Side::Left),
        Order::Older => theirs.sum.map(|_| Side::Right),
        Order::Equal | Order::Concurrent => None,
    }
}

fn part(same: bool, left: &Version, right: &Version) -> Part {
    if same { Part::Same } else { taken(left.order(right)) }
}

/// What becomes of two that differ.
fn taken(order: Order) -> Part {
    match order {
        Order::Newer => Part::Take(Side::Left),
        Order::Older => Part::Take(Side::Right),
        // What has absorbed the same edits and yet differs was edited unseen.
        Order::Equal | Order::Concurrent => Part::Conflict,
    }
}
