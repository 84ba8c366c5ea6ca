//! Which stretches of two histories are the same, so that only the rest of them is told.
//!
//! Where two replicas have to compare everything (the rules are others than last time, or what they remember of each
//! other is of different runs), most of what they know is the same all the same. So the records, in order, are cut into
//! stretches, and sums of these are compared. Where a stretch ends is decided by the record itself: so one that only
//! one side has changes the stretch it is in, and no other, as in the cutting of files by content (Muthitacharoen, Chen
//! and Mazières, "A Low-bandwidth Network File System", SOSP 2001).
//!
//! What is summed is all that is told of a path, versions included, so of what is the same nothing would have to be
//! done.

use crate::pass::OwnerMap;
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::facet::FacetSum;
use crate::twoway::history::{self, Stored, Time};
use crate::twoway::record::{Record, Shared};
use crate::twoway::run::told::{Keys, Knowledge};
use crate::wire::OwnerKind;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// The sum of a stretch: BLAKE3, cut to 128 bits, which is what hides no change for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stretch([u8; 16]);

/// Records in a stretch on average, less one in as many.
const USUAL: u8 = 32;
/// The most records in one.
const MOST: usize = 1024;

/// The stretches of all that is known of paths that take part, and how many records are in each.
pub(super) fn stretches(
    knowledge: &Knowledge,
    shared: Shared,
) -> Result<(Vec<Stretch>, Vec<usize>), TwoWayError> {
    let (mut all, mut lengths) = (Vec::new(), Vec::new());
    cut(knowledge, shared, &mut |stretch, keys| {
        all.push(stretch);
        lengths.push(keys.len());
    })?;
    Ok((all, lengths))
}

/// Which of the other side's stretches are here, too, one after the other; and the keys of what is in none of them.
/// `None` if these are few: then it takes less to tell everything.
pub(super) fn compare(
    knowledge: &Knowledge,
    shared: Shared,
    theirs: &[Stretch],
) -> Result<Option<(Vec<bool>, Keys)>, TwoWayError> {
    let there: HashSet<Stretch> = theirs.iter().copied().collect();
    let (mut both, mut rest) = (HashSet::new(), Keys::new());
    cut(knowledge, shared, &mut |stretch, keys| match there.contains(&stretch) {
        true => drop(both.insert(stretch)),
        false => rest.extend(keys.drain(..)),
    })?;
    let is_worth_it = both.len() > theirs.len() / 2;
    Ok(is_worth_it.then(|| (theirs.iter().map(|stretch| both.contains(stretch)).collect(), rest)))
}

/// The keys of what is in none of the stretches, of these lengths, that the other side has, too.
pub(super) fn rest(knowledge: &Knowledge, lengths: &[usize], alike: &[bool]) -> Result<Keys, TwoWayError> {
    let told = lengths.iter().zip(alike).flat_map(|(length, alike)| std::iter::repeat_n(!alike, *length));
    let mut rest = Keys::new();
    // What the other side said nothing of is told.
    for (row, is_told) in knowledge.all()?.zip(told.chain(std::iter::repeat(true))) {
        let (path, _) = row?;
        if is_told {
            rest.insert(history::key(&path));
        }
    }
    Ok(rest)
}

/// Hands each stretch, with the keys of what is in it, to `each`.
fn cut(
    knowledge: &Knowledge,
    shared: Shared,
    each: &mut dyn FnMut(Stretch, &mut Vec<Vec<u8>>),
) -> Result<(), TwoWayError> {
    let (mut keys, mut bytes) = (Vec::new(), Vec::new());
    let mut hasher = blake3::Hasher::new();
    let mut end = |hasher: &mut blake3::Hasher, keys: &mut Vec<Vec<u8>>| {
        let mut stretch = [0; 16];
        hasher.finalize_xof().fill(&mut stretch);
        hasher.reset();
        each(Stretch(stretch), keys);
        keys.clear();
    };
    for row in knowledge.all()? {
        let (path, record) = row?;
        bytes = told(&path, &record, (shared, knowledge.owners()), bytes)?;
        let sum = blake3::hash(&bytes);
        hasher.update(sum.as_bytes());
        keys.push(history::key(&path));
        if sum.as_bytes().first().is_some_and(|byte| byte % USUAL == 0) || keys.len() >= MOST {
            end(&mut hasher, &mut keys);
        }
    }
    if !keys.is_empty() {
        end(&mut hasher, &mut keys);
    }
    Ok(())
}

/// All that is told of a path, in a form that depends on nothing else, but for what each side has of its own.
fn told(
    path: &RelPath,
    record: &Record,
    (shared, owners): (Shared, &OwnerMap),
    mut bytes: Vec<u8>,
) -> Result<Vec<u8>, TwoWayError> {
    bytes.clear();
    let mode = shared.modes.taken(0o600, record.attributes.mode, record.state.kind());
    // By name, as whoever is told of an owner finds it; who has none is the same by number.
    let who = |kind, id: Option<u32>| id.map(|id| owners.name(kind, id).ok_or(id));
    let (user, group) = record.attributes.owner;
    let owner =
        (who(OwnerKind::User, user.map(|user| user.0)), who(OwnerKind::Group, group.map(|group| group.0)));
    let rest = (mode, owner, Time::from(record.mtime), record.occupied);
    let all = (path.as_bytes(), Stored::from(&record.state), rest);
    let mut bytes = postcard::to_extend(&all, bytes).map_err(history::unwritable)?;
    let extended = record.extended.only(shared.facets);
    for (facet, register) in extended.iter() {
        bytes.push(facet.code());
        bytes.extend_from_slice(&register.sum.map_or([0; 16], |FacetSum(sum)| sum));
    }
    let versions = extended.iter().map(|(_, register)| &register.version);
    for version in [&record.content, &record.meta].into_iter().chain(versions) {
        for (author, count) in version.counts() {
            bytes.extend_from_slice(&author.0);
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        // Nobody counts to nothing.
        bytes.extend_from_slice(&0_u64.to_le_bytes());
    }
    Ok(bytes)
}
