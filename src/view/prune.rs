//! Directories in which nothing but directories would be listed, at any depth: with `-m` a view leaves them out.
//!
//! To know that, what is below is read ahead, up to the first thing that is no directory.

use crate::fs::Look;
use crate::tree::filter::{Side, Verdict};
use crate::tree::{Entry, Name};
use crate::view::{Trouble, View, ViewDir, ViewListing};

impl View {
    /// Leaves such directories out of the listing of `dir`, which then tells what is wrong with them.
    pub(super) fn prune(&self, dir: &ViewDir, listing: &mut ViewListing) {
        let mut pruned = Vec::new();
        let mut missed = ViewListing::default();
        for entry in listing.entries.iter().filter(|entry| entry.is_dir()) {
            if let Some(below) = self.emptiness(dir, listing, entry) {
                pruned.push(entry.name.clone());
                missed.troubles.extend(below.troubles);
                missed.followed.extend(below.followed);
            }
        }
        listing.retain(|entry| pruned.binary_search(&entry.name).is_err());
        listing.troubles.append(&mut missed.troubles);
        listing.followed.append(&mut missed.followed);
    }

    /// What is to be told of a directory that holds, at any depth, nothing but directories that are not protected by
    /// their names, as far as can be seen. `None` if it holds something.
    fn emptiness(&self, dir: &ViewDir, listing: &ViewListing, entry: &Entry) -> Option<ViewListing> {
        let mut told = ViewListing::default();
        let is_kept = |dir: &ViewDir, listing: &ViewListing, name: &Name| {
            // One that is there only for what is below it is not meant by any rule.
            !listing.asked.implies(name) && self.is_protected(dir, name)
        };
        let mut ahead = vec![(self.child(dir, listing, &entry.name), is_kept(dir, listing, &entry.name))];
        while let Some((dir, is_protected)) = ahead.pop() {
            if is_protected {
                return None;
            }
            let listing = self.list_all(&dir, &Look::default());
            if listing.entries.iter().any(|entry| !entry.is_dir()) {
                return None;
            }
            let below = listing.entries.iter().rev();
            ahead.extend(below.map(|entry| {
                (self.child(&dir, &listing, &entry.name), is_kept(&dir, &listing, &entry.name))
            }));
            let itself = |trouble: Trouble| {
                let path = trouble.path.or_else(|| Some(dir.path().clone()));
                Trouble { path, ..trouble }
            };
            told.troubles.extend(listing.troubles.into_iter().map(itself));
            told.followed.extend(listing.followed);
        }
        Some(told)
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
