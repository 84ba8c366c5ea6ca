//! Which names are one file after a run with `-H`: what can be said of that without a word of identities.

use super::{Checked, Played, check};
use crate::two_way::model::Node;
use crate::two_way::user::Files;
use std::collections::{BTreeMap, BTreeSet};

/// A tree after its edits, beside what it was when both sides were last the same.
struct Edited<'a> {
    was: BTreeMap<String, &'a Node>,
    is: BTreeMap<String, &'a Node>,
    were_files: &'a Files,
    are_files: &'a Files,
}

/// All names of the file that has this one, if it has one.
fn names<'a>(files: &'a Files, path: &str) -> BTreeSet<&'a String> {
    let file = files.get(path);
    files.iter().filter(|(_, other)| Some(*other) == file).map(|(name, _)| name).collect()
}

fn are_one(files: &Files, one: &str, other: &str) -> Option<bool> {
    files.get(one).zip(files.get(other)).map(|(one, other)| one == other)
}

/// Whether the same names are one file on two sides.
pub(super) fn are_same(one: &Files, other: &Files) -> bool {
    one.keys().eq(other.keys()) && one.keys().all(|path| names(one, path) == names(other, path))
}

impl Edited<'_> {
    /// Whether anything was done to the file that has this name, or to its names.
    fn is_touched(&self, path: &str) -> bool {
        let is_same_file = self.were_files.get(path) == self.are_files.get(path);
        let has_same_names = || names(self.were_files, path) == names(self.are_files, path);
        self.was.get(path) != self.is.get(path) || !is_same_file || !has_same_names()
    }
}

/// Checks what came of the names in a run that left these conflicts: both sides have the same links, and what only one
/// side has touched is linked as it is there.
pub(super) fn hold(played: &Played, conflicts: &BTreeSet<String>) -> Checked<()> {
    let [base, before, after] = &played.files;
    let edited = [0, 1].map(|side| Edited {
        was: played.base.below(),
        is: played.before[side].below(),
        were_files: &base[side],
        are_files: &before[side],
    });
    let is_left = |path: &str| {
        let below = path.match_indices('/').map(|(at, _)| &path[..at]);
        below.chain([path]).any(|path| conflicts.contains(path))
    };
    let settled: Vec<&String> = after[0].keys().filter(|path| !is_left(path)).collect();
    for (number, one) in settled.iter().enumerate() {
        for other in &settled[number + 1..] {
            let [left, right] = after.each_ref().map(|files| are_one(files, one, other));
            let said = &played.output;
            check!(left == right, "{one} and {other} are one file on one side only: {after:?}\n{said}");
            for (side, theirs) in [(0, 1), (1, 0)] {
                let is_theirs = [one, other].iter().any(|path| edited[theirs].is_touched(path));
                let wanted = are_one(&before[side], one, other).filter(|_| !is_theirs);
                check!(
                    wanted.is_none() || left.is_none() || wanted == left,
                    "{one} and {other} are linked otherwise than on side {side}: {before:?} {after:?}\n{said}"
                );
            }
        }
    }
    Ok(())
}
