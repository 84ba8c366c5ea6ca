//! Where fingerprints of directories stand in for listings, and what they must cover for that.
//!
//! The rule that makes them safe: where the fingerprints of two directories, or the sums of two buckets, agree,
//! `decide` finds nothing to do for any entry of them, nothing of them is extra, and nothing would be said. Where that
//! cannot be had, entries are listed.
//!
//! What an entry is to have is known to both sides, except for its owner. That has another number on each host, and
//! whether it is looked at depends on what the sink may set. So the source tells the owners that occur in a directory,
//! and the sink looks for one of them that leaves it nothing to do. If it takes one that the source's entry does not
//! have, though it would do as well, the sums differ, and the entry is listed. ACLs name owners, so they are told in
//! the same way; an entry's place says which owner it has of those told, and which ACLs.

use crate::pass::Context;
use crate::pass::decide::{Policy, asked_meta};
use crate::request::{DeletionTime, Options};
use crate::tree::{
    Acls, Aspects, BucketSum, Buckets, Entry, Fingerprint, Fingerprinter, Gid, Name, Owner, RelPath, Uid,
};
use crate::wire::{MENTIONED_ACLS, MENTIONED_OWNERS};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

/// How directories of this run are fingerprinted; `None` if they are listed in any case: fingerprints cannot tell
/// enough, or there is no wire to save, or they are not to be.
pub(crate) fn fingerprinter(context: &Context) -> Option<Fingerprinter> {
    let options = &context.options;
    let worth_it = options.recursive && !context.local && options.shortcuts.fingerprints;
    (worth_it && can_tell(options)).then(|| Fingerprinter::new(context.sums.seed, aspects(options)))
}

/// Whether nothing has to be done or said where fingerprints agree: not if contents are compared, or everything is
/// transferred or told.
fn can_tell(options: &Options) -> bool {
    // Access times change by being looked at, so they mostly differ.
    let looks_at_all = options.checksum || options.ignore_times || options.detail.unchanged || options.atimes;
    // Times may differ and be the same, or the source does not know which mode an entry is to have.
    let is_vague = options.modify_window > 0 || (looks_at_modes(options) && options.chmod.asks_umask());
    // Which entries a limit spares is decided in the order of the listings.
    let in_order = options.delete.is_some() && options.max_delete.is_some();
    // A link that is kept counts as a directory, one that is munged has another text, and a list of names is mostly
    // less than what is there.
    let is_apart = options.link_rules.keep_dirs || options.link_rules.munge || options.names_from.is_some();
    // Which extra entries are to go depends on files that are still to come.
    let by_later_rules = options.delete.is_some_and(|deletion| deletion.when == DeletionTime::After)
        && options.rules.has_dir_merges();
    let shows_or_looks_elsewhere = options.list_only || options.bases.is_some();
    let is_told = !looks_at_all && !is_vague && !is_apart && !shows_or_looks_elsewhere;
    is_told && !in_order && !by_later_rules && !options.remove_source_files
}

/// Whether it matters which permissions an entry has.
fn looks_at_modes(options: &Options) -> bool {
    options.perms || options.executability
}

/// What `decide` looks at, besides owners.
pub(crate) fn aspects(options: &Options) -> Aspects {
    Aspects {
        file_time: options.times || !options.size_only,
        directory_time: options.times && !options.omit_dir_times,
        link_time: options.times && !options.omit_link_times,
        other_time: options.times,
        nanoseconds: options.modify_window < 0,
        mode: options.perms,
        executable: options.executability && !options.perms,
        xattrs: options.xattrs > 0,
    }
}

/// The place of an entry with the owner that was told as number `owner`, and ACLs so told; 0 and none are alike first.
fn place(owner: usize, acls: Option<usize>) -> Option<u32> {
    let acls = acls.map_or(0, |acls| acls.saturating_add(1));
    u32::try_from(owner | acls << 8).ok()
}

/// The entries of a directory of the source with their owners and ACLs, and with the modes that they are to have.
#[derive(Debug)]
pub(crate) struct Owned<'a> {
    entries: Cow<'a, [Entry]>,
    /// Each once, in the order in which they first appear. What was not asked for is 0.
    owners: Vec<Owner>,
    /// The same of ACLs.
    acls: Vec<Arc<Acls>>,
    /// Which of them each entry has.
    places: Vec<u32>,
}

impl<'a> Owned<'a> {
    /// `None` if there are more owners or ACLs than a mention holds.
    pub(crate) fn new(entries: &'a [Entry], options: &Options) -> Option<Owned<'a>> {
        let mut owners: Vec<Owner> = Vec::new();
        let mut all_acls: Vec<Arc<Acls>> = Vec::new();
        let mut place_of = |entry: &Entry| {
            let Owner { uid, gid } = entry.meta.owner();
            let owner = Owner {
                uid: if options.owner { uid } else { Uid::ROOT },
                gid: if options.group { gid } else { Gid::ROOT },
            };
            let known = owners.iter().position(|known| *known == owner);
            let owner = known.or_else(|| {
                owners.push(owner);
                (owners.len() <= MENTIONED_OWNERS).then(|| owners.len() - 1)
            })?;
            let Some(acls) = entry.extra.as_ref().and_then(|extra| extra.acls.as_ref()) else {
                return place(owner, None);
            };
            let known = all_acls.iter().position(|known| known == acls);
            let acls = known.or_else(|| {
                all_acls.push(acls.clone());
                (all_acls.len() <= MENTIONED_ACLS).then(|| all_acls.len() - 1)
            })?;
            place(owner, Some(acls))
        };
        let places = entries.iter().map(&mut place_of).collect::<Option<_>>()?;
        let grants: usize = all_acls.iter().map(|acls| acls.grants()).sum();
        let entries = with_modes(entries, options);
        (grants <= MENTIONED_GRANTS).then_some(Owned { entries, owners, acls: all_acls, places })
    }

    /// The ACLs there are.
    pub(crate) fn acls(&self) -> &[Arc<Acls>] {
        &self.acls
    }

    /// The owners there are.
    pub(crate) fn owners(&self) -> &[Owner] {
        &self.owners
    }

    /// The fingerprint of the directory at `path`.
    pub(crate) fn fingerprint(&self, fingerprinter: &Fingerprinter, path: &RelPath) -> Fingerprint {
        fingerprinter.of(path, self.each())
    }

    /// The buckets that are as the sink says, which sent these sums.
    pub(crate) fn agreeing(&self, fingerprinter: &Fingerprinter, theirs: &[BucketSum]) -> Buckets {
        Buckets::that_agree(&fingerprinter.bucket_sums(theirs.len(), self.each()), theirs)
    }

    fn each(&self) -> impl Iterator<Item = (&Entry, u32)> {
        self.entries.iter().zip(self.places.iter().copied())
    }
}

/// The most users and groups that the ACLs of a mention name.
const MENTIONED_GRANTS: usize = 256;

/// The entries with the modes that `--chmod` gives them, which is such that no umask is asked.
fn with_modes<'a>(entries: &'a [Entry], options: &Options) -> Cow<'a, [Entry]> {
    if !looks_at_modes(options) || options.chmod.is_empty() {
        return Cow::Borrowed(entries);
    }
    let changed = |entry: &Entry| {
        let mut entry = entry.clone();
        entry.meta = asked_meta(options, entry.kind(), entry.meta, 0);
        entry
    };
    Cow::Owned(entries.iter().map(changed).collect())
}

/// What a source told of its owners and ACLs, by this host's numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    /// Each owner, with whether the running user may set its group.
    pub owners: &'a [(Owner, bool)],
    pub acls: &'a [Arc<Acls>],
}

/// What an entry of the sink may be to the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Likeness {
    /// The source would not list it.
    Hidden,
    /// Something would have to be done or said, whatever the source has.
    Unlike,
    /// The same as the source's, if that has this place: this one of the owners, and of the ACLs, that were told.
    Like(u32),
}

impl Likeness {
    /// Of an entry that the source would list if it had it.
    pub(crate) fn of(entry: &Entry, policy: &Policy<'_>, Told { owners, acls }: Told<'_>) -> Likeness {
        let fits = |(owner, may_set_group): &(Owner, bool)| {
            policy.owner_differs(*owner, entry.meta.owner(), *may_set_group) == (false, false)
        };
        let owner = owners.iter().position(fits).filter(|_| policy.is_wanted(entry.kind()));
        let place = match entry.acls() {
            None => owner.and_then(|owner| place(owner, None)),
            Some(own) => owner
                .zip(acls.iter().position(|acls| **acls == *own))
                .and_then(|(owner, acls)| place(owner, Some(acls))),
        };
        place.map_or(Likeness::Unlike, Likeness::Like)
    }
}

/// What each entry of a directory of the sink, in order, may be to the source.
#[derive(Debug)]
pub(crate) struct Likenesses(pub Vec<Likeness>);

impl Likenesses {
    /// The fingerprint of the directory at `path` with those of these entries that may be the same.
    pub(crate) fn fingerprint<'a>(
        &self,
        fingerprinter: &Fingerprinter,
        path: &RelPath,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Fingerprint {
        fingerprinter.of(path, self.alike(entries))
    }

    /// The sums of `count` buckets of those of these entries that may be the same.
    pub(crate) fn bucket_sums<'a>(
        &self,
        fingerprinter: &Fingerprinter,
        count: usize,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Vec<BucketSum> {
        fingerprinter.bucket_sums(count, self.alike(entries))
    }

    /// Splits the entries into those that are the same and the others. `is_same` says so of those that may be.
    pub(crate) fn split(
        self,
        entries: VecDeque<Entry>,
        is_same: impl Fn(&Entry) -> bool,
    ) -> (VecDeque<Entry>, VecDeque<Entry>) {
        let mut likenesses = self.0.into_iter();
        entries
            .into_iter()
            .partition(|entry| matches!(likenesses.next(), Some(Likeness::Like(_))) && is_same(entry))
    }

    fn alike<'a>(&self, entries: impl Iterator<Item = &'a Entry>) -> impl Iterator<Item = (&'a Entry, u32)> {
        entries.zip(&self.0).filter_map(|(entry, likeness)| match likeness {
            Likeness::Like(owner) => Some((entry, *owner)),
            Likeness::Hidden | Likeness::Unlike => None,
        })
    }
}

/// An entry with its place in the source's directory.
pub(crate) type Numbered = (u32, Entry);

/// Gives the entries of a source's directory the numbers they have there, though only some of them are listed: for the
/// others stand those of the sink that are the same. They are as many as in the source, which said how many.
#[derive(Debug, Default)]
pub(crate) struct Numbering {
    /// Sorted by name.
    standing: VecDeque<Entry>,
    next: u32,
    last: Option<Name>,
}

impl Numbering {
    /// Of a directory for some of whose entries these stand, which are sorted by name.
    pub(crate) fn new(standing: VecDeque<Entry>) -> Numbering {
        Numbering { standing, next: 0, last: None }
    }

    /// The entry of this name is the next that is listed: the number it has, after those that stand before it and
    /// theirs.
    ///
    /// # Errors
    /// What no source lists.
    pub(crate) fn listed(&mut self, name: &Name) -> Result<(Vec<Numbered>, u32), &'static str> {
        if self.last.as_ref().is_some_and(|last| last >= name) {
            return Err("a listing is not sorted");
        }
        self.last = Some(name.clone());
        let mut before = Vec::new();
        while let Some(entry) = self.standing.pop_front_if(|entry| entry.name < *name) {
            before.push((self.number()?, entry));
        }
        if self.standing.front().is_some_and(|entry| entry.name == *name) {
            return Err("an entry is listed that was said to be the same");
        }
        Ok((before, self.number()?))
    }

    /// Nothing more is listed: those that stand after it, and their numbers.
    ///
    /// # Errors
    /// Too many entries.
    pub(crate) fn rest(mut self) -> Result<Vec<Numbered>, &'static str> {
        std::mem::take(&mut self.standing).into_iter().map(|entry| Ok((self.number()?, entry))).collect()
    }

    fn number(&mut self) -> Result<u32, &'static str> {
        let number = self.next;
        self.next = number.checked_add(1).ok_or("a directory is too large")?;
        Ok(number)
    }
}

#[cfg(test)]
mod tests;
