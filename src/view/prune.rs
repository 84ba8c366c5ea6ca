//! Directories in which nothing but directories would be listed, at any depth: with `-m` a view leaves them out.
//!
//! To know that, what is below is read ahead, up to the first thing that is no directory.

use crate::fs::Look;
use crate::tree::filter::{Side, Verdict};
use crate::tree::{Entry, Name};
use crate::view::{View, ViewDir, ViewListing};

impl View {
    /// Leaves such directories out of the listing of `dir`.
    pub(super) fn prune(&self, dir: &ViewDir, listing: &mut ViewListing) {
        let keeps = |entry: &Entry| !entry.is_dir() || self.holds_something(dir, listing, entry);
        let kept: Vec<Name> =
            listing.entries.iter().filter(|entry| keeps(entry)).map(|entry| entry.name.clone()).collect();
        listing.retain(|entry| kept.binary_search(&entry.name).is_ok());
    }

    /// Whether a directory holds, at any depth, what is no directory, or one that is protected by its name; or what
    /// cannot be looked at, which is told when it is listed.
    fn holds_something(&self, dir: &ViewDir, listing: &ViewListing, entry: &Entry) -> bool {
        let mut ahead = vec![(self.child(dir, listing, &entry.name), self.is_protected(dir, &entry.name))];
        while let Some((dir, is_protected)) = ahead.pop() {
            if is_protected {
                return true;
            }
            let listing = self.list_all(&dir, &Look::default());
            if !listing.troubles.is_empty() || listing.entries.iter().any(|entry| !entry.is_dir()) {
                return true;
            }
            let below = listing.entries.iter().rev();
            ahead.extend(below.map(|entry| {
                (self.child(&dir, &listing, &entry.name), self.is_protected(&dir, &entry.name))
            }));
        }
        false
    }

    /// Whether a rule, but none of a directory's own file, protects a directory from deletion: then it is not left out
    /// for being empty, as in rsync.
    fn is_protected(&self, dir: &ViewDir, name: &Name) -> bool {
        let path = dir.path().join(name);
        let arguments = dir.places().iter().filter_map(|place| self.arguments.get(place.argument));
        arguments
            .map(|argument| &argument.scope)
            .any(|scope| scope.check(path.as_bytes(), true, Side::Receiver, false) == Verdict::Excluded)
    }
}
