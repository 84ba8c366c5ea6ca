//! The walk: one directory after the other, depth first, in the order of names.
//!
//! A directory is mentioned with its fingerprint, and listed if the sink then asks; only a root that holds a few
//! sources by their names is listed at once, and so is everything that was selected. Where the sink has nothing to
//! compare with, it asks for everything below at once, and from then on directories there are listed right away.
//!
//! The walk keeps its own stack, since a tree may be deeper than a thread's.

use crate::fs::Error;
use crate::pass::PassError;
use crate::pass::fingerprint::{self, Owned};
use crate::pass::names::Names;
use crate::pass::source::Source;
use crate::pass::source::groups::Groups;
use crate::pass::source::kept::Kept;
use crate::pass::tally::describe;
use crate::report::{Event, Skip};
use crate::tree::{Acls, Asked, BucketSum, Buckets, Entry, Fingerprinter, Kind, Meta, Owner, RelPath};
use crate::view::{ViewDir, ViewListing};
use crate::wire::{
    Begin, DirId, EntryCosts, Expand, Listing, ListingEnd, Mention, Message, OwnerName, asked_cost,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// What a path that is told as absent costs besides its bytes, about.
const NAMED: u64 = 64;

/// A part of a listing is closed once it costs this much credit.
const PART: u64 = 64 << 10;

/// Lists everything. The receiving thread learns of a closed link itself.
pub(super) fn run(source: &Source<'_>) {
    let fingerprinter = fingerprint::fingerprinter(source.context);
    let (names, groups) = (Names::default(), Groups::new(&source.context.options, source.view));
    let mut walk = Walk { source, fingerprinter, names, groups, next: 0 };
    if walk.tree().and_then(|()| walk.answer()).is_err() {
        source.sender.stopper().stop();
    }
}

struct Walk<'a, 'b> {
    source: &'a Source<'b>,
    fingerprinter: Option<Fingerprinter>,
    names: Names,
    groups: Groups,
    next: u32,
}

/// A directory whose subdirectories are being walked.
struct Level {
    id: DirId,
    kept: Arc<Kept>,
    next: usize,
    /// Whether what is below is listed right away.
    listed: bool,
}

impl Walk<'_, '_> {
    fn tree(&mut self) -> Result<(), PassError> {
        let Source { view, sender, context, .. } = self.source;
        let root = view.root_meta();
        let extra = view.root_extra().unwrap_or_else(|error| {
            self.source.unreadable(&RelPath::root(), &error);
            None
        });
        let mut owners = self.names_of(root.iter().map(Meta::owner));
        owners.extend(self.named_in(extra.iter().filter_map(|extra| extra.acls.as_ref())));
        sender.send(Message::Begin(Begin {
            root,
            extra,
            single: view.is_single(),
            bare: context.options.delete.is_some() && view.is_bare(),
            owners,
        }))?;
        for path in view.unentered().iter().filter(|_| self.source.tells()) {
            context.reporter.report(Event::Skipped { path: path.clone(), reason: Skip::Directory });
        }
        let start = Instant::now();
        // A destination whose name depends on what is there to be copied is not compared as a whole; and of what was
        // selected nothing is the same.
        let listed = self.fingerprinter.is_none() || view.is_single() || view.is_planned();
        let mut stack = vec![self.directory(view.root(), None, listed)?];
        loop {
            while let Some(expand) = self.source.kept.turn()? {
                self.expand(expand, &mut stack)?;
            }
            let Some(level) = stack.last_mut() else { break };
            let entries = &level.kept.listing.entries;
            let here = entries.iter().enumerate().skip(level.next).find(|(_, entry)| entry.is_dir());
            match here {
                Some((index, entry)) => {
                    level.next = index + 1;
                    let child = view.child(&level.kept.dir, &level.kept.listing, &entry.name);
                    let parent = (level.id, index as u32);
                    let listed = level.listed;
                    stack.push(self.directory(child, Some(parent), listed)?);
                }
                None => {
                    self.source.kept.leave(level.id, DirId(self.next.saturating_sub(1)));
                    stack.pop();
                }
            }
        }
        let millis = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.source.tally.count(|totals| totals.listing_millis = millis);
        self.source.kept.all_listed();
        Ok(sender.send(Message::Listed)?)
    }

    /// Sends what is asked for until everything is settled.
    fn answer(&mut self) -> Result<(), PassError> {
        while let Some(expand) = self.source.kept.turn()? {
            self.expand(expand, &mut [])?;
        }
        Ok(())
    }

    /// Sends the listings that the sink asked for.
    fn expand(&mut self, expand: Expand, stack: &mut [Level]) -> Result<(), PassError> {
        let Expand { dir, below, sums } = expand;
        for (id, kept) in self.source.kept.take_asked(dir, below) {
            self.send(id, &kept, if id == dir { &sums } else { &[] })?;
        }
        if below && let Some(place) = stack.iter().position(|level| level.id == dir) {
            stack.iter_mut().skip(place).for_each(|level| level.listed = true);
        }
        Ok(())
    }

    /// Reads one directory, and lists or mentions it.
    fn directory(
        &mut self,
        dir: ViewDir,
        parent: Option<(DirId, u32)>,
        listed: bool,
    ) -> Result<Level, PassError> {
        let mut listing = self.source.view.list(&dir);
        let whole = listing.troubles.is_empty();
        for trouble in std::mem::take(&mut listing.troubles) {
            let path = trouble.path.as_ref().unwrap_or(dir.path());
            match trouble.hides_entries {
                true => self.source.unreadable(path, &trouble.error),
                false if !self.source.tells() => {}
                // Named and not there from the start: it did not vanish.
                false => {
                    let Error { doing, source } = &trouble.error;
                    self.source.tally.problem(doing, path, &describe(source));
                }
            }
        }
        self.groups.keep_needed(&mut listing.entries);
        for (path, target) in std::mem::take(&mut listing.followed) {
            let context = self.source.context;
            if context.options.detail.changes {
                context.reporter.report(Event::FollowedLink { path, target });
            }
        }
        let id = DirId(self.next);
        self.next =
            self.next.checked_add(1).ok_or(PassError::Protocol("there are more than 2^32 directories"))?;
        let cost = 256 + EntryCosts::of(&listing.entries) + asked_cost(&listing.asked);
        let at_once = listed || (parent.is_none() && self.root_is_listed(&listing, cost));
        let kept = Arc::new(Kept { dir, parent, listing, cost });
        self.count(&kept);
        self.source.kept.insert(id, kept.clone(), at_once);
        if at_once {
            self.send(id, &kept, &[])?
        } else {
            self.mention(id, &kept, whole)?
        }
        Ok(Level { id, kept, next: 0, listed })
    }

    /// Whether the root is not worth a mention.
    fn root_is_listed(&self, listing: &ViewListing, cost: u64) -> bool {
        // Without anything to put there the destination is left alone altogether.
        (listing.entries.is_empty() && listing.asked.is_empty())
            // Where the sources go by their names, the destination mostly has others besides, so it would ask.
            || (self.source.view.root_meta().is_none() && cost <= PART)
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
        });
    }

    /// Sends a directory's fingerprint instead of its listing.
    fn mention(&mut self, dir: DirId, kept: &Kept, whole: bool) -> Result<(), PassError> {
        let options = &self.source.context.options;
        let entries = kept.listing.entries.as_slice();
        // What was asked for by name is mostly less than what is there; but names at the top may be all of it.
        let is_all = kept.listing.is_whole || (kept.dir.path().is_root() && kept.listing.asked.is_empty());
        // The sink has to be told of the names of a group one by one, since one may be in any other directory.
        let is_copied = |entry: &Entry| {
            options.asks_for(entry.kind())
                && !options.leaves_out(entry, kept.dir.path())
                && entry.inode().is_none()
        };
        let comparable = whole && is_all && entries.iter().all(is_copied);
        let fingerprinter = self.fingerprinter.as_ref().filter(|_| comparable);
        let parent = kept.parent;
        let mention = match fingerprinter.zip(Owned::new(entries, options)) {
            None => Mention {
                dir,
                parent,
                fingerprint: None,
                owned_by: Vec::new(),
                acls: Vec::new(),
                owners: Vec::new(),
            },
            Some((fingerprinter, owned)) => {
                let fingerprint = Some(owned.fingerprint(fingerprinter, kept.dir.path()));
                let (owned_by, acls) = (owned.owners().to_vec(), owned.acls().to_vec());
                let mut owners = self.names_of(owned_by.iter().copied());
                owners.extend(self.named_in(acls.iter()));
                Mention { dir, parent, fingerprint, owners, owned_by, acls }
            }
        };
        Ok(self.source.sender.send(Message::Mention(mention))?)
    }

    /// Sends a listing in parts, without the buckets that have these sums, which are the sink's.
    fn send(&mut self, dir: DirId, kept: &Kept, sums: &[BucketSum]) -> Result<(), PassError> {
        let parent = kept.parent;
        let mut same = self.same(kept, sums);
        let listed = self.listed(kept, &same, sums.len());
        let mut same_entries = kept.listing.entries.len().saturating_sub(listed.len()) as u64;
        let mut rest = listed.into_iter().peekable();
        let mut absent = kept.listing.asked.absent.iter().peekable();
        loop {
            let (mut cost, mut costs) = (0, EntryCosts::default());
            let (mut entries, mut asked) = (Vec::new(), Asked::default());
            while cost < PART
                && let Some(path) = absent.next()
            {
                cost += NAMED + path.as_bytes().len() as u64;
                asked.absent.push(path.clone());
            }
            while cost < PART
                && let Some(entry) = rest.next()
            {
                cost += costs.next(entry);
                if kept.listing.asked.implies(&entry.name) {
                    asked.implied.push(entry.name.clone());
                }
                entries.push(self.groups.told(entry));
            }
            let mut owners = self.names_of(entries.iter().map(|entry| entry.meta.owner()));
            let extras = entries.iter().filter_map(|entry| entry.extra.as_ref());
            owners.extend(self.named_in(extras.filter_map(|extra| extra.acls.as_ref())));
            let is_last = rest.peek().is_none() && absent.peek().is_none();
            let end = is_last.then(|| match self.source.incomplete.load(Ordering::Acquire) {
                true if !kept.listing.is_whole => ListingEnd::BrokenPart,
                false if !kept.listing.is_whole => ListingEnd::Part,
                true => ListingEnd::Broken,
                false => ListingEnd::Whole,
            });
            let (same, same_entries) = (std::mem::take(&mut same), std::mem::take(&mut same_entries));
            let listing = Listing { dir, parent, same, same_entries, entries, owners, asked, end };
            self.source.sender.send(Message::Listing(listing))?;
            if end.is_some() {
                return Ok(());
            }
        }
    }

    /// The buckets of a directory that need not be listed: none if the sink sent no sums.
    fn same(&self, kept: &Kept, sums: &[BucketSum]) -> Buckets {
        let owned = || Owned::new(&kept.listing.entries, &self.source.context.options);
        match &self.fingerprinter {
            Some(fingerprinter) if !sums.is_empty() => {
                owned().map(|owned| owned.agreeing(fingerprinter, sums)).unwrap_or_default()
            }
            _ => Buckets::default(),
        }
    }

    /// The entries of all `count` buckets but these.
    fn listed<'k>(&self, kept: &'k Kept, same: &Buckets, count: usize) -> Vec<&'k Entry> {
        let entries = kept.listing.entries.iter();
        match &self.fingerprinter {
            Some(fingerprinter) if *same != Buckets::default() => {
                entries.filter(|entry| !same.contains(fingerprinter.bucket(&entry.name, count))).collect()
            }
            _ => entries.collect(),
        }
    }

    /// The names of those in ACLs that the sink does not have yet, if it needs any.
    fn named_in<'e>(&mut self, acls: impl Iterator<Item = &'e Arc<Acls>>) -> Vec<OwnerName> {
        if self.source.context.options.numeric_ids {
            return Vec::new();
        }
        self.names.named_in(&self.source.owners, acls)
    }

    /// The names of owners that the sink does not have yet, if it needs any.
    fn names_of(&mut self, owners: impl Iterator<Item = Owner>) -> Vec<OwnerName> {
        let options = &self.source.context.options;
        if options.numeric_ids || !(options.owner || options.group) {
            return Vec::new();
        }
        self.names.new_ones(&self.source.owners, owners)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::{StrongKind, SumChoice};
    use crate::pass::Context;
    use crate::report::Reporter;
    use crate::request::Options;
    use crate::view::View;
    use crate::wire::Link;
    use std::path::PathBuf;
    use std::thread;

    struct Deaf;

    impl Reporter for Deaf {
        fn report(&self, _: Event) {}
    }

    /// The first `count` messages about these sources, to a sink that says nothing.
    fn said(sources: &[PathBuf], count: usize) -> Vec<&'static str> {
        let sources: Vec<Vec<u8>> =
            sources.iter().map(|path| path.as_os_str().as_encoded_bytes().to_vec()).collect();
        let context = Context {
            options: Options { recursive: true, ..Options::default() },
            sums: SumChoice { kind: StrongKind::Xxh3, seed: 1 },
            compare_sums: SumChoice { kind: StrongKind::Xxh3, seed: 1 },
            reporter: Arc::new(Deaf),
            progress: Arc::default(),
            local: false,
            open_files: 64,
            paths: crate::fs::Links::Trusted,
            tell_progress: false,
            sweep: Default::default(),
            stop: Arc::default(),
        };
        let (view, missing) = View::open(&sources, None, &context.options, context.paths).unwrap();
        let (mut link, mut sink) = Link::pair();
        thread::scope(|scope| {
            scope.spawn(|| crate::pass::source::run(&mut link, &view, &missing, &context));
            let next = || match sink.receiver.receive().unwrap().message {
                Message::Begin(_) => "begin",
                Message::Listing(_) => "listing",
                Message::Mention(_) => "mention",
                Message::Listed => "listed",
                _ => "something else",
            };
            let said = std::iter::repeat_with(next).take(count).collect();
            sink.sender.stopper().stop();
            said
        })
    }

    #[test]
    fn what_goes_by_its_name_is_listed_unasked_and_what_is_in_it_is_not() {
        let at = tempfile::tempdir().unwrap();
        let tree = at.path().join("tree");
        std::fs::create_dir_all(tree.join("below")).unwrap();
        assert_eq!(said(&[tree.join("")], 4), ["begin", "mention", "mention", "listed"]);
        assert_eq!(
            said(std::slice::from_ref(&tree), 5),
            ["begin", "listing", "mention", "mention", "listed"]
        );
        // Too many to be sent for nothing.
        let many: Vec<PathBuf> = (0..500).map(|n| at.path().join(format!("{n:0100}"))).collect();
        many.iter().for_each(|path| std::fs::write(path, "").unwrap());
        assert_eq!(said(&many, 3), ["begin", "mention", "listed"]);
        assert_eq!(said(&many[..100], 3), ["begin", "listing", "listed"]);
    }
}
