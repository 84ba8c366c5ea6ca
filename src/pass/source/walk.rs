//! The walk: one directory after the other, depth first, in the order of names.
//!
//! It keeps its own stack, since a tree may be deeper than a thread's.

use crate::pass::PassError;
use crate::pass::names::Names;
use crate::pass::source::Source;
use crate::pass::source::kept::Kept;
use crate::report::{Event, Skip};
use crate::tree::{Kind, RelPath};
use crate::view::{ViewDir, ViewListing};
use crate::wire::{Begin, DirId, Listing, ListingEnd, Message, OwnerName, entry_cost};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// A part of a listing is closed once it costs this much credit.
const PART: u64 = 64 << 10;

/// Lists everything. The receiving thread learns of a closed link itself.
pub(super) fn run(source: &Source<'_>) {
    let mut walk = Walk { source, names: Names::default(), next: 0 };
    if walk.tree().is_err() {
        source.sender.stopper().stop();
    }
}

struct Walk<'a, 'b> {
    source: &'a Source<'b>,
    names: Names,
    next: u32,
}

/// A directory whose subdirectories are being walked.
struct Level {
    id: DirId,
    kept: Arc<Kept>,
    next: usize,
}

impl Walk<'_, '_> {
    fn tree(&mut self) -> Result<(), PassError> {
        let Source { view, sender, context, .. } = self.source;
        let root = view.root_meta();
        let owners = self.names_of(root.iter());
        sender.send(Message::Begin(Begin { root, single: view.is_single(), owners }))?;
        if view.has_unentered() {
            context.reporter.report(Event::Skipped { path: RelPath::root(), reason: Skip::Directory });
        }
        let start = Instant::now();
        let mut stack = vec![self.directory(view.root(), None)?];
        while let Some(level) = stack.last_mut() {
            let entries = &level.kept.listing.entries;
            let here = entries.iter().enumerate().skip(level.next).find(|(_, entry)| entry.is_dir());
            match here {
                Some((index, entry)) => {
                    level.next = index + 1;
                    let child = view.child(&level.kept.dir, &entry.name);
                    let parent = (level.id, index as u32);
                    stack.push(self.directory(child, Some(parent))?);
                }
                None => {
                    self.source.kept.leave(level.id);
                    stack.pop();
                }
            }
        }
        let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.source.tally.count(|totals| totals.listing_millis = millis);
        self.source.kept.all_listed();
        Ok(sender.send(Message::Listed)?)
    }

    /// Lists one directory and sends it.
    fn directory(&mut self, dir: ViewDir, parent: Option<(DirId, u32)>) -> Result<Level, PassError> {
        self.source.kept.wait_for_room()?;
        let mut listing = self.source.view.list(&dir);
        for trouble in std::mem::take(&mut listing.troubles) {
            let path = match &trouble.name {
                None => dir.path().clone(),
                Some(name) => match crate::tree::Name::new(name.as_slice()) {
                    Ok(name) => dir.path().join(&name),
                    Err(_) => dir.path().clone(),
                },
            };
            self.source.unreadable(&path, &trouble.error);
        }
        if !self.source.view.is_recursive() {
            self.leave_out_directories(&dir, &mut listing);
        }
        let id = DirId(self.next);
        self.next =
            self.next.checked_add(1).ok_or(PassError::Protocol("there are more than 2^32 directories"))?;
        let cost = 256 + listing.entries.iter().map(entry_cost).sum::<u64>();
        let kept = Arc::new(Kept { dir, listing, cost });
        self.count(&kept);
        self.source.kept.insert(id, kept.clone());
        self.send(id, parent, &kept)?;
        Ok(Level { id, kept, next: 0 })
    }

    fn leave_out_directories(&self, dir: &ViewDir, listing: &mut ViewListing) {
        listing.retain(|entry| {
            if entry.is_dir() {
                let path = dir.path().join(&entry.name);
                self.source.context.reporter.report(Event::Skipped { path, reason: Skip::Directory });
            }
            !entry.is_dir()
        });
    }

    fn count(&self, kept: &Kept) {
        self.source.tally.count(|totals| {
            // The transfer root is an entry too, if it is one directory's contents.
            if kept.dir.path().is_root() && self.source.view.root_meta().is_some() {
                totals.listed.add(Kind::Directory);
            }
            for entry in &kept.listing.entries {
                totals.listed.add(entry.kind());
                totals.total_size = totals.total_size.saturating_add(entry.node.size());
            }
            totals.list_bytes = totals.list_bytes.saturating_add(kept.cost);
        });
    }

    /// Sends a listing in parts.
    fn send(&mut self, dir: DirId, parent: Option<(DirId, u32)>, kept: &Kept) -> Result<(), PassError> {
        let mut rest = kept.listing.entries.as_slice();
        loop {
            let mut cost = 0;
            let len = rest.iter().take_while(|entry| {
                let fits = cost < PART;
                cost += entry_cost(entry);
                fits
            });
            let (part, after) = rest.split_at(len.count());
            rest = after;
            let owners = self.names_of(part.iter().map(|entry| &entry.meta));
            let end = rest
                .is_empty()
                .then(|| ListingEnd { complete: !self.source.incomplete.load(Ordering::Acquire) });
            let listing = Listing { dir, parent, entries: part.to_vec(), owners, end };
            self.source.sender.send(Message::Listing(listing))?;
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// The names of owners that the sink does not have yet, if it needs any.
    fn names_of<'m>(&mut self, metas: impl Iterator<Item = &'m crate::tree::Meta>) -> Vec<OwnerName> {
        let options = &self.source.context.options;
        if options.numeric_ids || !(options.owner || options.group) {
            return Vec::new();
        }
        self.names.new_ones(&self.source.owners, metas)
    }
}
