//! Files that were renamed on one side, found again on the other: a cheaper way to carry out two steps.

use crate::twoway::decide::Side;
use crate::twoway::facet::Extended;
use crate::twoway::plan::Plan;
use crate::twoway::reconcile::{Change, Step, Why};
use crate::twoway::record::{Attributes, Record, State};

/// A file that a plan removes on a side and makes there again, with the same content, under another name. It need not
/// be sent. A wrong guess does no harm: what is there in the end is the same.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rename {
    /// Where to rename it.
    pub side: Side,
    /// The number of the step that makes it.
    pub to: usize,
    /// The number of the step that removes it.
    pub from: usize,
}

/// What tells contents apart: the beginning of their sums.
type Content = u128;

/// A content that is removed.
struct Gone {
    content: Content,
    attributes: Attributes,
    extended: Extended,
    from: usize,
    made: Made,
}

/// Where a content is made again.
#[derive(Clone, Copy)]
enum Made {
    Nowhere,
    Once(usize),
    Often,
}

impl Plan {
    /// The files that can be renamed instead of being sent: where exactly one with that content goes and exactly one
    /// comes. By side, and then by the new name.
    pub fn renames(&self) -> Vec<Rename> {
        let mut gone = Side::BOTH.map(|side| (side, Vec::new()));
        for (from, step) in self.steps.iter().enumerate() {
            for (side, gone) in &mut gone {
                let content = content(&step, *side, Change::Remove);
                let Record { attributes, extended, .. } = step.before.of(*side);
                gone.extend(content.map(|content| {
                    let (attributes, extended) = (*attributes, extended.clone());
                    Gone { content, attributes, extended, from, made: Made::Nowhere }
                }));
            }
        }
        for (_, gone) in &mut gone {
            keep_single(gone);
        }
        if gone.iter().all(|(_, gone)| gone.is_empty()) {
            return Vec::new();
        }
        // The loser of a conflict gets its copy before anything else is done, and so not by a rename.
        let made = self.steps.iter().enumerate().filter(|(_, step)| !matches!(step.why, Why::CopyOf { .. }));
        for (to, step) in made {
            for (side, gone) in &mut gone {
                let Some(content) = content(&step, *side, Change::Create) else { continue };
                let found = gone.binary_search_by_key(&content, |gone| gone.content);
                if let Some(gone) = found.ok().and_then(|place| gone.get_mut(place)) {
                    // A run that is killed between a new name and new attributes would leave what nobody planned.
                    let after = step.after.of(*side);
                    // And what has other names is linked to one of them, if they stay, or fetched once.
                    let is_same = after.attributes == gone.attributes
                        && after.extended.differing(&gone.extended).is_empty()
                        && after.extended.identity().is_none();
                    let is_first = is_same && matches!(gone.made, Made::Nowhere);
                    gone.made = if is_first { Made::Once(to) } else { Made::Often };
                }
            }
        }
        let mut renames: Vec<Rename> = Vec::new();
        for (side, gone) in gone {
            renames.extend(gone.into_iter().filter_map(|Gone { from, made, .. }| match made {
                Made::Once(to) => Some(Rename { side, to, from }),
                _ => None,
            }));
        }
        renames.sort_unstable();
        renames
    }
}

/// The content of the file that a step removes or makes on a side, if that is what it does.
fn content(step: &Step, side: Side, change: Change) -> Option<Content> {
    let state = match change {
        Change::Remove => &step.before.of(side).state,
        _ => &step.after.of(side).state,
    };
    // To make an empty file is as cheap.
    let State::File { sum, size: 1.. } = state else { return None };
    let beginning = sum.0.first_chunk()?;
    (step.change(side) == Some(change)).then(|| Content::from_le_bytes(*beginning))
}

/// Sorts by content, and drops those that go more than once.
fn keep_single(gone: &mut Vec<Gone>) {
    gone.sort_unstable_by_key(|gone| gone.content);
    let is_single: Vec<bool> = gone
        .chunk_by(|one, other| one.content == other.content)
        .flat_map(|alike| alike.iter().map(|_| alike.len() == 1))
        .collect();
    let mut is_single = is_single.into_iter();
    gone.retain(|_| is_single.next() == Some(true));
}
