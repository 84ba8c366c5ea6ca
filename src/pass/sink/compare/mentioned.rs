//! A directory that is mentioned: whether it is the same, and if not, what of it has to be listed.

use crate::pass::PassError;
use crate::pass::fingerprint::{Likeness, Likenesses, Numbered, Numbering, Told};
use crate::pass::sink::announce::Place;
use crate::pass::sink::compare::{Awaited, Comparison, Said};
use crate::pass::sink::enter::Own;
use crate::pass::sink::linked::Child;
use crate::tree::{Acls, BucketSum, Entry, Fingerprint, Fingerprinter, Owner};
use crate::view;
use crate::wire::{DirId, Expand, Mention, Message};
use std::sync::Arc;

/// How many directories may be mentioned before their own listing, or that of one above them, has come. A source keeps
/// less.
const DEFERRED: usize = 1 << 16;

/// How many users and groups the ACLs may name that are kept of such a directory: one with more is listed.
const DEFERRED_GRANTS: usize = 32;

/// How many entries and leftovers may be remembered for the comparisons that are to come, besides those of one
/// directory: beyond these, directories are listed as a whole, and read again when it is their turn.
const REMEMBERED: usize = 1 << 16;

impl Comparison<'_, '_> {
    pub(super) fn mention(&mut self, mention: Mention) -> Result<(), PassError> {
        self.sink.owners.learn(&mention.owners);
        self.take_turn(mention.dir)?;
        let above = mention.parent.and_then(|(parent, _)| self.deferred.get_mut(&parent));
        let Some(above) = above else {
            let dir = mention.dir;
            return if self.compare_whole(mention)? { self.go_on_below(dir) } else { Ok(()) };
        };
        let dir = mention.dir;
        let mut mention = Mention { owners: Vec::new(), ..mention };
        if mention.acls.iter().map(|acls| acls.grants()).sum::<usize>() > DEFERRED_GRANTS {
            (mention.fingerprint, mention.acls) = (None, Vec::new());
        }
        above.push(mention);
        self.defer_below(dir)
    }

    /// What is mentioned below a directory waits until what is in it is known.
    fn defer_below(&mut self, dir: DirId) -> Result<(), PassError> {
        self.deferred.entry(dir).or_default();
        let few = self.deferred.len() <= DEFERRED;
        few.then_some(()).ok_or(PassError::Protocol("too many directories are mentioned"))
    }

    /// What is in a directory is known, so what was mentioned there has its turn, depth first as it was mentioned.
    pub(super) fn go_on_below(&mut self, dir: DirId) -> Result<(), PassError> {
        let mut known = Some(dir);
        let (mut rest, mut all_known) = (Vec::new(), Vec::new());
        loop {
            if let Some(dir) = known.take() {
                rest.extend(self.deferred.remove(&dir).into_iter().flatten().rev());
                all_known.push(dir);
            }
            let Some(mention) = rest.pop() else { break };
            let dir = mention.dir;
            known = self.compare_whole(mention)?.then_some(dir);
        }
        if self.all_listed {
            all_known.into_iter().try_for_each(|dir| self.sink.directories.is_complete(dir))?;
        }
        Ok(())
    }

    /// Compares a mentioned directory as a whole. If it is not the same, a listing has to come: `false`.
    fn compare_whole(&mut self, mention: Mention) -> Result<bool, PassError> {
        let Mention { dir, parent, fingerprint, owned_by, acls, .. } = mention;
        let mut awaited = self.enter(dir, parent, false)?;
        let directories = &self.sink.directories;
        let above = parent.map(|(parent, _)| directories.with(parent, |dir| dir.listed_below)).transpose()?;
        let comes_unasked = above.unwrap_or(false);
        let mut sums = Vec::new();
        if !comes_unasked
            && let (Some(theirs), Some(fingerprinter)) = (fingerprint, self.fingerprinter.as_ref())
            && self.look_closer(dir, &mut awaited)?
            && let Some(likenesses) = self.likenesses(&awaited, &owned_by, &acls)?
        {
            if self.is_same(&awaited, &likenesses, fingerprinter, theirs) {
                self.same(dir, awaited, likenesses)?;
                return Ok(true);
            }
            (sums, awaited.said) = self.say(&awaited, likenesses, fingerprinter);
        }
        let own = awaited.own.as_ref();
        let below = comes_unasked || own.is_some_and(|own| own.entries.is_empty() && !own.incomplete);
        directories.with(dir, |dir| dir.listed_below = below)?;
        if !comes_unasked {
            self.sink.sender.send(Message::Expand(Expand { dir, below, sums }))?;
        }
        if !self.may_remember(&awaited)
            && let Some(own) = awaited.own.take_if(|own| own.weight() > 0)
        {
            self.forget(own.weight());
        }
        self.sink.announcer.keep_place(Place::Dir(dir));
        self.awaited.insert(dir, awaited);
        self.defer_below(dir)?;
        Ok(false)
    }

    /// Whether what is here of a directory is kept until its listing comes.
    fn may_remember(&self, awaited: &Awaited) -> bool {
        let own = awaited.own.as_ref().map_or(0, Own::weight);
        self.remembered.saturating_sub(own) < REMEMBERED
    }

    /// Looks closer at what is here in a directory, as far as it takes part. `false` if not all of that could be had;
    /// it is told when the directory is listed.
    fn look_closer(&self, dir: DirId, awaited: &mut Awaited) -> Result<bool, PassError> {
        let sink = self.sink;
        let Some(own) = awaited.own.as_mut().filter(|_| sink.looks_closer()) else { return Ok(true) };
        let Ok(here) = sink.directories.counterpart(sink, dir)? else { return Ok(false) };
        let mut shown = own.entries.iter_mut().filter(|own| view::shows(&awaited.scope, &awaited.path, own));
        own.looked_closer = shown.all(|entry| sink.look_closer(&here, entry).is_ok());
        Ok(own.looked_closer)
    }

    /// What each entry here may be to the source. `None` if nothing of the directory may go without being listed.
    fn likenesses(
        &self,
        awaited: &Awaited,
        owned_by: &[Owner],
        acls: &[Arc<Acls>],
    ) -> Result<Option<Likenesses>, PassError> {
        let sink = self.sink;
        let is_renamed = sink.destination()?.rename.is_some();
        let own = awaited.own.as_ref().filter(|own| !own.incomplete && !awaited.unusable && !is_renamed);
        let Some(own) = own else { return Ok(None) };
        let policy = sink.policy();
        let here = |owner: &Owner| {
            let owner = sink.owners.translate_owner(*owner);
            (owner, sink.may_set_group(owner.gid))
        };
        let owners: Vec<(Owner, bool)> = owned_by.iter().map(here).collect();
        let acls: Vec<Arc<Acls>> = acls.iter().map(|acls| sink.owners.translate_acls(acls)).collect();
        let told = Told { owners: &owners, acls: &acls };
        let likeness = |entry: &Entry| match view::shows(&awaited.scope, &awaited.path, entry) {
            true => Likeness::of(entry, &policy, told),
            false => Likeness::Hidden,
        };
        Ok(Some(Likenesses(own.entries.iter().map(likeness).collect())))
    }

    /// Whether the directory has the source's fingerprint, and there is nothing to be done that this does not cover.
    fn is_same(
        &self,
        awaited: &Awaited,
        likenesses: &Likenesses,
        fingerprinter: &Fingerprinter,
        theirs: Fingerprint,
    ) -> bool {
        let Some(own) = awaited.own.as_ref().filter(|own| own.leftovers.is_empty()) else { return false };
        let is_left = |(entry, likeness): (&Entry, &Likeness)| match likeness {
            Likeness::Like(_) => true,
            Likeness::Unlike => false,
            Likeness::Hidden => !self.sink.is_extra(&awaited.scope, &awaited.path, entry),
        };
        own.entries.iter().zip(&likenesses.0).all(is_left)
            && likenesses.fingerprint(fingerprinter, &awaited.path, own.entries.iter()) == theirs
    }

    /// What to say of a directory that is not the same, so that only what differs is listed: nothing if that would not
    /// pay, or if it cannot be remembered.
    fn say(
        &self,
        awaited: &Awaited,
        likenesses: Likenesses,
        fingerprinter: &Fingerprinter,
    ) -> (Vec<BucketSum>, Option<Said>) {
        let own = awaited.own.as_ref().filter(|_| self.may_remember(awaited));
        let Some(own) = own else { return (Vec::new(), None) };
        let buckets = Fingerprinter::bucket_count(own.entries.len());
        let sums = likenesses.bucket_sums(fingerprinter, buckets, own.entries.iter());
        (sums, Some(Said { likenesses, buckets }))
    }

    /// A directory is the same: what is here, as far as the source would list it, stands for the listing.
    fn same(&mut self, dir: DirId, awaited: Awaited, likenesses: Likenesses) -> Result<(), PassError> {
        let own = awaited.own.unwrap_or_default();
        self.forget(own.weight());
        let (standing, _) = likenesses.split(own.entries, |_| true);
        self.stand(dir, Numbering::new(standing).rest().map_err(PassError::Protocol)?)?;
        self.sink.settle(dir)
    }

    /// Nothing is to be done about these entries, which stand here for those of the source with these numbers.
    pub(super) fn stand(&self, dir: DirId, standing: Vec<Numbered>) -> Result<(), PassError> {
        standing.iter().for_each(|(_, entry)| self.sink.pass_by(entry));
        let mut below = standing.into_iter().filter(|(_, entry)| entry.is_dir()).peekable();
        if below.peek().is_none() {
            return Ok(());
        }
        self.sink.directories.with(dir, |dir| {
            for (number, entry) in below {
                dir.unsettled += 1;
                dir.children.insert(number, Child::meant(entry.clone(), Some(entry)));
            }
        })
    }
}
