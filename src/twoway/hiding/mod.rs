//! What takes no part in a run: what the rules leave out on either side.
//!
//! Rules are the same on both sides, but what they make of a path may not be: each tree has files of rules of its own,
//! and rules may look at where a tree is. So both sides find these files before anything else, and tell each other
//! ([`gather()`]). From then on both go by what is left out here or there, for whatever one side leaves out must not be
//! changed there, and what the other made of it would be a change.
//!
//! A rule may be limited to the side that sends or to the one that receives. Both sides do both, so what is left out as
//! either takes no part.
//!
//! A file of rules is synchronised like any other, and counts on the other side from the next run on.

mod gather;
mod staying;
#[cfg(test)]
mod tests;

pub use gather::gather;

use crate::tree::RelPath;
use crate::tree::filter::{RuleFiles, Rules, Scope, Side, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the rules leave out on either side.
#[derive(Debug, Default)]
pub struct Hiding {
    sides: Vec<OneSide>,
    /// Where files of rules are in either tree, and for which directory each counts.
    files: BTreeMap<RelPath, RelPath>,
}

/// What they leave out on one.
#[derive(Debug)]
struct OneSide {
    files: RuleFiles,
    /// What holds above the top of its tree.
    above: Scope,
}

impl Hiding {
    /// With these rules and the files of rules of both sides, or of one where the other has the same.
    pub fn new(rules: &Rules, files: impl IntoIterator<Item = RuleFiles>) -> Hiding {
        let side = |files: RuleFiles| OneSide { above: files.above(rules), files };
        let sides: Vec<OneSide> = files.into_iter().map(side).collect();
        let files = sides.iter().flat_map(|side| side.files.in_tree());
        let files = files.map(|(path, holder)| (path, holder.clone())).collect();
        Hiding { sides, files }
    }

    /// Where no directory may hold files of rules, and no rule looks at where a tree is.
    pub fn of_rules(rules: &Rules) -> Hiding {
        Hiding::new(rules, [RuleFiles::default()])
    }

    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.sides.iter().all(|side| side.above.is_empty())
    }

    /// What stands for all files of rules, whichever side which of them is on.
    pub fn digest(&self) -> Vec<[u8; 32]> {
        let mut digests: Vec<[u8; 32]> = self.sides.iter().map(|side| digest(&side.files)).collect();
        digests.sort_unstable();
        digests.dedup();
        digests
    }

    /// To hold paths against it.
    pub fn cursor(self: &Arc<Hiding>) -> Cursor {
        Cursor { hiding: self.clone(), open: Vec::new() }
    }
}

/// What stands for the files of rules of one side.
pub fn digest(files: &RuleFiles) -> [u8; 32] {
    // Nothing in it has a length that is not known, so there is nothing to fail.
    let bytes = postcard::to_stdvec(files).unwrap_or_default();
    blake3::derive_key("dsync 2026 two-way files of rules of a tree", &bytes)
}

/// A place in the tree, from which it is not far to the next that is asked about.
#[derive(Debug)]
pub struct Cursor {
    hiding: Arc<Hiding>,
    /// The directory that was last asked about and those above it, outermost first.
    open: Vec<Opened>,
}

#[derive(Debug)]
struct Opened {
    path: RelPath,
    /// What holds in it on each side.
    scopes: Vec<Scope>,
    /// It is left out itself, or one above it is.
    is_hidden: bool,
}

impl Cursor {
    /// Whether a path takes no part: it is left out, or a directory above it is. The top of the tree never is.
    pub fn hides(&mut self, path: &RelPath, is_directory: bool) -> bool {
        if self.hiding.is_empty() {
            return false;
        }
        let Some((above, _)) = path.split_last() else { return false };
        self.go_to(&above);
        let hides = |opened: &Opened| opened.is_hidden || leave_out(&opened.scopes, path, is_directory);
        self.open.last().is_some_and(hides)
    }

    /// Opens a directory and those above it.
    fn go_to(&mut self, dir: &RelPath) {
        let leads = |opened: &Opened| opened.path == *dir || dir.is_below(&opened.path);
        while self.open.last().is_some_and(|opened| !leads(opened)) {
            self.open.pop();
        }
        let is_open = |path: &RelPath| self.open.last().is_some_and(|opened| opened.path == *path);
        let above = std::iter::successors(Some(dir.clone()), |path| Some(path.split_last()?.0));
        let mut missing: Vec<RelPath> = above.take_while(|path| !is_open(path)).collect();
        while let Some(path) = missing.pop() {
            let opened = self.opened(path);
            self.open.push(opened);
        }
    }

    /// What holds in a directory below the last one that is open.
    fn opened(&self, path: RelPath) -> Opened {
        let sides = self.hiding.sides.iter();
        let Some(above) = self.open.last() else {
            let scopes = sides.map(|side| side.files.enter(&side.above, &path)).collect();
            return Opened { path, scopes, is_hidden: false };
        };
        if above.is_hidden || leave_out(&above.scopes, &path, true) {
            return Opened { path, scopes: Vec::new(), is_hidden: true };
        }
        let scopes = sides.zip(&above.scopes).map(|(side, scope)| side.files.enter(scope, &path)).collect();
        Opened { path, scopes, is_hidden: false }
    }
}

/// Whether one of these leaves out an entry of the directory in which they hold, as what is sent or what is received.
fn leave_out(scopes: &[Scope], path: &RelPath, is_directory: bool) -> bool {
    let sides = [Side::Sender, Side::Receiver];
    let leaves_out =
        |scope: &Scope, side| scope.check(path.as_bytes(), is_directory, side, false) == Verdict::Excluded;
    scopes.iter().any(|scope| sides.iter().any(|side| leaves_out(scope, *side)))
}
