//! One directory of a view: where it is, and what is in it.

use crate::fs::{Dir, Error, Listing, Stamped, fault_of_link};
use crate::tree::filter::Scope;
use crate::tree::{Acls, Asked, Entry, Extra, Name, RelPath};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where a directory of the view is: below which arguments.
#[derive(Debug, Clone)]
pub struct ViewDir {
    path: RelPath,
    /// Nearly always one; none if the directory is not entered.
    places: Vec<Place>,
}

/// Where a directory is in one argument.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The number of the argument.
    pub argument: usize,
    /// What it shows there.
    pub shown: Shown,
    /// How many bytes of the path the user named.
    pub named: usize,
    /// The file system outside of which nothing is entered, if that is so.
    pub device: Option<u64>,
    /// What holds in the directory above it.
    pub scope: Scope,
}

/// How much of a directory is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// What is in it, and all below.
    All,
    /// What is in it.
    Layer,
    /// What was selected.
    Selected,
}

impl ViewDir {
    pub(super) fn new(path: RelPath, places: Vec<Place>) -> ViewDir {
        ViewDir { path, places }
    }

    /// The path below the transfer root.
    pub fn path(&self) -> &RelPath {
        &self.path
    }

    /// Whether anything of what is in it may be shown.
    pub fn is_entered(&self) -> bool {
        !self.places.is_empty()
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }
}

/// The entries of a directory of the view.
#[derive(Debug, Default)]
pub struct ViewListing {
    /// Sorted by name.
    pub entries: Vec<Entry>,
    /// From which place of the directory each entry comes. Empty: all from the first.
    origins: Vec<u32>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
    /// The links, with their texts, that were followed because they may lead out of the tree.
    pub followed: Vec<(RelPath, Vec<u8>)>,
    /// Whether it has everything that an argument has in this directory, so that what is not listed is not there.
    pub is_whole: bool,
    /// What else is known of what was asked for by its name.
    pub asked: Asked,
    /// What holds in each place of the directory.
    pub(super) scopes: Vec<Scope>,
    /// The directories of a place that are [apart](Read::apart).
    pub(super) apart: BTreeSet<(usize, Name)>,
}

/// Something in a directory, or all of it, that could not be read.
#[derive(Debug)]
pub struct Trouble {
    /// The entry, by its path below the transfer root; `None` is the directory itself.
    pub path: Option<RelPath>,
    /// Why.
    pub error: Error,
    /// Whether there may be entries that were not seen.
    pub hides_entries: bool,
}

impl ViewListing {
    /// The place the entry at `index` comes from.
    pub fn origin(&self, index: usize) -> usize {
        self.origins.get(index).map_or(0, |&place| place as usize)
    }

    /// Drops the entries that `keeps` refuses.
    pub(super) fn retain(&mut self, keeps: impl Fn(&Entry) -> bool) {
        let kept: Vec<bool> = self.entries.iter().map(keeps).collect();
        let mut flags = kept.iter().copied();
        self.entries.retain(|_| flags.next().unwrap_or(true));
        let mut flags = kept.into_iter();
        self.origins.retain(|_| flags.next().unwrap_or(true));
    }
}

/// What one place of a directory holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub entries: Vec<Entry>,
    pub troubles: Vec<Trouble>,
    pub followed: Vec<(RelPath, Vec<u8>)>,
    pub asked: Asked,
    pub is_whole: bool,
    /// Directories that are shown for being named, or for what was named below them, though what is in the one above is
    /// shown anyway.
    pub apart: Vec<Name>,
    /// Names of directories that are on another file system.
    mounts: Vec<Name>,
}

impl Read {
    /// All that is in the directory at `path`. Of directories on another device than `top`, if there is one, the names
    /// are kept; and with `stamps`, of everything else what it was when it was seen.
    pub(super) fn all(dir: &Dir, path: &RelPath, (top, stamps): (Option<u64>, bool)) -> Read {
        let mut mounts = Vec::new();
        let listed = match (top, stamps) {
            (None, false) => dir.list(),
            _ => dir.list_stamped().map(|listing| {
                let is_mounted =
                    |one: &Stamped| one.entry.is_dir() && top.is_some_and(|top| one.stamp.dev != top);
                let mounted = listing.entries.iter().filter(|one| is_mounted(one));
                mounts = mounted.map(|one| one.entry.name.clone()).collect();
                let noted = |Stamped { mut entry, stamp }| {
                    if stamps && !Entry::is_dir(&entry) {
                        entry.extra_mut().stamp = Some(Box::new(stamp));
                    }
                    entry
                };
                let entries = listing.entries.into_iter().map(noted).collect();
                Listing { entries, failed: listing.failed, broken: listing.broken }
            }),
        };
        match listed {
            Err(error) => Read::failed(error),
            Ok(listing) => {
                let mut read = Read { entries: listing.entries, mounts, ..Read::default() };
                for (name, error) in listing.failed {
                    let path = Name::new(name).ok().map(|name| path.join(&name));
                    read.troubles.push(Trouble { path, error, hides_entries: true });
                }
                read.troubles.extend(listing.broken.map(Trouble::of_directory));
                read
            }
        }
    }

    pub(super) fn failed(error: Error) -> Read {
        Read { troubles: vec![Trouble::of_directory(error)], ..Read::default() }
    }

    /// Something is wrong with one entry of the directory, the one at `path`.
    pub(super) fn trouble(&mut self, path: RelPath, error: Error) {
        self.troubles.push(Trouble { path: Some(path), error, hides_entries: true });
    }

    /// The same without symbolic links of which nobody knows where they lead, which is told.
    pub(super) fn leading(mut self, path: &RelPath) -> Read {
        let troubles = &mut self.troubles;
        self.entries.retain(|entry| match fault_of_link(entry) {
            None => true,
            Some(error) => {
                let path = Some(path.join(&entry.name));
                troubles.push(Trouble { path, error, hides_entries: true });
                false
            }
        });
        self
    }

    /// Only what `shows` lets through.
    pub(super) fn retain(&mut self, shows: impl Fn(&Entry) -> bool) {
        self.entries.retain(|entry| shows(entry));
        self.entries.shrink_to_fit();
    }

    /// The same with what `look` sees of each entry. One of which that cannot be had is left out, and told, unless it
    /// is not there any more.
    pub(super) fn looked_at(
        mut self,
        path: &RelPath,
        look: impl Fn(&Entry) -> Result<Option<Box<Extra>>, Error>,
    ) -> Read {
        let troubles = &mut self.troubles;
        self.entries.retain_mut(|entry| match look(entry) {
            Ok(extra) => {
                entry.see_more(extra);
                true
            }
            Err(error) => {
                if !error.is_not_found() {
                    let path = Some(path.join(&entry.name));
                    troubles.push(Trouble { path, error, hides_entries: true });
                }
                false
            }
        });
        share_acls(&mut self.entries);
        self
    }

    /// Whether an entry of that name is a directory. The entries are sorted.
    pub(super) fn has_directory(&self, name: &Name) -> bool {
        let found = self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok();
        found.and_then(|at| self.entries.get(at)).is_some_and(Entry::is_dir)
    }

    /// Adds what was found by names, in the place of what has one of these.
    pub(super) fn prefer(&mut self, mut named: Read) {
        let by_name = |one: &Entry, other: &Entry| one.name.cmp(&other.name);
        named.entries.sort_unstable_by(by_name);
        let is_other = |entry: &Entry| named.entries.binary_search_by(|one| by_name(one, entry)).is_err();
        self.entries.retain(is_other);
        let directories = named.entries.iter().filter(|entry| entry.is_dir());
        self.apart.extend(directories.map(|entry| entry.name.clone()));
        self.entries.append(&mut named.entries);
        self.entries.sort_unstable_by(by_name);
        self.troubles.append(&mut named.troubles);
        self.followed.append(&mut named.followed);
        self.asked.absent.append(&mut named.asked.absent);
        self.asked.implied.append(&mut named.asked.implied);
    }

    /// Leaves out directories that are on another file system.
    pub(super) fn leave_out_mounts(&mut self) {
        let Read { entries, mounts, .. } = self;
        // Both are sorted.
        entries.retain(|entry| mounts.binary_search(&entry.name).is_err());
    }
}

impl Trouble {
    fn of_directory(error: Error) -> Trouble {
        Trouble { path: None, error, hides_entries: true }
    }
}

/// Has entries that have the same ACLs as one before them share these. Mostly files have those of the file before, and
/// directories those of the directory before.
fn share_acls(entries: &mut [Entry]) {
    let mut known: [Option<Arc<Acls>>; 2] = [None, None];
    for entry in entries {
        let place = usize::from(entry.is_dir());
        if let (Some(extra), Some(known)) = (&mut entry.extra, known.get_mut(place))
            && let Some(acls) = &mut extra.acls
        {
            match known {
                Some(known) if known == acls => *acls = known.clone(),
                _ => *known = Some(acls.clone()),
            }
        }
    }
}

/// Whether an error says that there is no directory of that name.
pub(super) fn is_no_directory(error: &Error) -> bool {
    use rustix::io::Errno;
    let none = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].map(Errno::raw_os_error);
    error.source.raw_os_error().is_some_and(|code| none.contains(&code))
}

/// Puts the places of a directory together.
#[derive(Debug, Default)]
pub(super) struct Merge {
    first: Option<(usize, Vec<Entry>)>,
    /// Used from the second place on.
    merged: BTreeMap<Name, (Entry, usize)>,
    several: bool,
    troubles: Vec<Trouble>,
    followed: Vec<(RelPath, Vec<u8>)>,
    is_whole: bool,
    asked: Asked,
    apart: BTreeSet<(usize, Name)>,
    /// Directories that are meant by themselves in one of the places, if any may be implied.
    meant: Vec<Name>,
}

impl Merge {
    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && !self.several
    }

    /// Adds what a place has. `is_apart`: directories that are there only for what is below them are told apart.
    pub(super) fn add(&mut self, place: usize, read: Read, is_apart: bool) {
        self.troubles.extend(read.troubles);
        self.followed.extend(read.followed);
        self.is_whole |= read.is_whole;
        self.apart.extend(read.apart.into_iter().map(|name| (place, name)));
        self.note(read.asked, &read.entries, is_apart);
        if self.first.is_none() && !self.several {
            self.first = Some((place, read.entries));
            return;
        }
        self.several = true;
        if let Some((place, entries)) = self.first.take() {
            self.insert(place, entries);
        }
        self.insert(place, read.entries);
    }

    /// A directory that one place has only for what is below it may be meant in another.
    fn note(&mut self, asked: Asked, entries: &[Entry], is_apart: bool) {
        let is_meant = |entry: &&Entry| entry.is_dir() && !asked.implies(&entry.name);
        if is_apart {
            self.meant.extend(entries.iter().filter(is_meant).map(|entry| entry.name.clone()));
        }
        self.asked.absent.extend(asked.absent);
        self.asked.implied.extend(asked.implied);
    }

    fn insert(&mut self, place: usize, entries: Vec<Entry>) {
        for entry in entries {
            match self.merged.get(&entry.name) {
                Some((known, _)) if known.is_dir() || !entry.is_dir() => {}
                _ => {
                    self.merged.insert(entry.name.clone(), (entry, place));
                }
            }
        }
    }

    /// The listing of a directory, in whose places this holds.
    pub(super) fn finish(mut self, scopes: Vec<Scope>) -> ViewListing {
        self.asked.implied.sort_unstable();
        self.asked.implied.dedup();
        self.meant.sort_unstable();
        let Merge { meant, is_whole, mut asked, troubles, followed, apart, .. } = self;
        asked.implied.retain(|name| meant.binary_search(name).is_err());
        let mut listing =
            ViewListing { troubles, followed, is_whole, asked, scopes, apart, ..ViewListing::default() };
        match self.first {
            Some((place, entries)) => {
                if place > 0 {
                    listing.origins = vec![place as u32; entries.len()];
                }
                listing.entries = entries;
            }
            None => {
                (listing.entries, listing.origins) =
                    self.merged.into_values().map(|(entry, place)| (entry, place as u32)).unzip();
            }
        }
        listing
    }
}
