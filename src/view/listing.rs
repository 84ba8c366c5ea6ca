//! One directory of a view: where it is, and what is in it.

use crate::fs::{Dir, Error};
use crate::tree::filter::Scope;
use crate::tree::{Entry, Name, RelPath};
use std::collections::BTreeMap;

/// Where a directory of the view is: below which arguments.
#[derive(Debug, Clone)]
pub struct ViewDir {
    path: RelPath,
    /// Nearly always one.
    places: Vec<Place>,
}

/// Where a directory is in one argument.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Number of the argument.
    pub argument: usize,
    /// The path below its root.
    pub path: RelPath,
    /// What holds in the directory above it.
    pub scope: Scope,
}

impl ViewDir {
    pub(super) fn root(scopes: impl Iterator<Item = Scope>) -> ViewDir {
        let place = |(argument, scope)| Place { argument, path: RelPath::root(), scope };
        ViewDir { path: RelPath::root(), places: scopes.enumerate().map(place).collect() }
    }

    /// `scopes` are what holds in each place of this directory.
    pub(super) fn child(&self, name: &Name, scopes: &[Scope], has: impl Fn(usize) -> bool) -> ViewDir {
        let places = self.places.iter().enumerate().filter(|(_, place)| has(place.argument));
        let child = |(number, place): (usize, &Place)| Place {
            argument: place.argument,
            path: place.path.join(name),
            scope: scopes.get(number).cloned().unwrap_or_default(),
        };
        let places = places.map(child).collect();
        ViewDir { path: self.path.join(name), places }
    }

    /// The path below the transfer root.
    pub fn path(&self) -> &RelPath {
        &self.path
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
    /// What holds in each place of the directory.
    pub(super) scopes: Vec<Scope>,
}

/// Something in a directory, or all of it, that could not be read.
#[derive(Debug)]
pub struct Trouble {
    /// The entry; `None` is the directory itself.
    pub name: Option<Vec<u8>>,
    /// Why.
    pub error: Error,
}

impl ViewListing {
    /// The place the entry at `index` comes from.
    pub fn origin(&self, index: usize) -> usize {
        self.origins.get(index).map_or(0, |&place| place as usize)
    }

    /// Drops the entries that `keep` refuses.
    pub fn retain(&mut self, keep: impl FnMut(&Entry) -> bool) {
        let kept: Vec<bool> = self.entries.iter().map(keep).collect();
        let mut flags = kept.iter().copied();
        self.entries.retain(|_| flags.next().unwrap_or(true));
        let mut flags = kept.iter().copied();
        self.origins.retain(|_| flags.next().unwrap_or(true));
    }
}

/// What one place of a directory holds.
#[derive(Debug, Default)]
pub(super) struct Read {
    entries: Vec<Entry>,
    troubles: Vec<Trouble>,
}

impl Read {
    pub(super) fn all(dir: &Dir) -> Read {
        match dir.list() {
            Err(error) => Read::failed(error),
            Ok(listing) => {
                let mut troubles: Vec<Trouble> = listing
                    .failed
                    .into_iter()
                    .map(|(name, error)| Trouble { name: Some(name), error })
                    .collect();
                troubles.extend(listing.broken.map(|error| Trouble { name: None, error }));
                Read { entries: listing.entries, troubles }
            }
        }
    }

    pub(super) fn one(dir: &Dir, name: &Name) -> Read {
        match dir.entry(name) {
            Ok(entry) => Read { entries: entry.into_iter().collect(), troubles: Vec::new() },
            Err(error) => Read {
                entries: Vec::new(),
                troubles: vec![Trouble { name: Some(name.as_bytes().to_vec()), error }],
            },
        }
    }

    /// Only what `shows` lets through.
    pub(super) fn retain(mut self, shows: impl Fn(&Entry) -> bool) -> Read {
        self.entries.retain(|entry| shows(entry));
        self.entries.shrink_to_fit();
        self
    }

    pub(super) fn failed(error: Error) -> Read {
        Read { entries: Vec::new(), troubles: vec![Trouble { name: None, error }] }
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
}

impl Merge {
    /// Whether nothing was added.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && !self.several
    }

    pub(super) fn add(&mut self, place: usize, read: Read) {
        self.troubles.extend(read.troubles);
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

    pub(super) fn finish(self, scopes: Vec<Scope>) -> ViewListing {
        let mut listing = ViewListing { troubles: self.troubles, scopes, ..ViewListing::default() };
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
