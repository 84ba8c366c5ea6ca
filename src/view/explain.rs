//! What a view shows at one path, and why: what `--explain` asks. It is come to as a run comes to it, directory by
//! directory, so whatever hides it there hides it here.

use crate::fs::Dir;
use crate::tree::filter::{Ruling, Side, Verdict};
use crate::tree::{Entry, Name, RelPath};
use crate::view::listing::Shown;
use crate::view::{View, ViewDir, ViewListing};
use serde::{Deserialize, Serialize};

/// What became of a path.
#[derive(Debug)]
pub struct Found {
    /// What was decided about: the path itself, or a directory above it.
    pub path: RelPath,
    /// What is shown there, or why nothing is.
    pub shown: Result<Entry, Absence>,
    /// Whether it is a directory, as far as anything is there.
    pub is_dir: bool,
    /// The rule about it, if one matches.
    pub ruling: Option<Ruling>,
}

/// Why nothing is shown at a path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Absence {
    /// Nothing is there.
    Missing,
    /// What is there is no directory, and something below it was asked about.
    NoDirectory,
    /// A rule leaves it out.
    LeftOut,
    /// It is what dsync keeps for itself.
    Reserved,
    /// It is a directory in which there are none but directories (`-m`).
    Pruned,
    /// It is a directory that is not entered.
    NotEntered,
    /// It is of no kind that was asked for, on another file system, or none of the names that were.
    NotAsked,
    /// It could not be looked at.
    Trouble {
        /// What was tried.
        doing: String,
        /// With which path.
        path: RelPath,
        /// Why that failed.
        cause: String,
    },
}

/// What one argument has at a path.
struct Candidate {
    place: usize,
    entry: Entry,
    ruling: Option<Ruling>,
}

impl View {
    /// What is shown at a path below the transfer root, and why.
    pub fn explain(&self, path: &RelPath) -> Found {
        let mut dir = self.root();
        let mut rest = path.elements().filter_map(|name| Name::new(name).ok()).peekable();
        let mut above =
            Found { path: RelPath::root(), shown: Err(Absence::NotAsked), is_dir: true, ruling: None };
        while let Some(name) = rest.next() {
            if !dir.is_entered() {
                return Found { shown: Err(Absence::NotEntered), ..above };
            }
            let listing = self.list(&dir);
            let found = self.found(&dir, &listing, &name);
            match &found.shown {
                Ok(entry) if rest.peek().is_some() && !entry.is_dir() => {
                    return Found { shown: Err(Absence::NoDirectory), ..found };
                }
                Ok(_) if rest.peek().is_some() => dir = self.child(&dir, &listing, &name),
                Ok(_) | Err(_) => return found,
            }
            above = found;
        }
        above
    }

    /// What is shown at a name in a directory, which has this listing.
    fn found(&self, dir: &ViewDir, listing: &ViewListing, name: &Name) -> Found {
        let path = dir.path().join(name);
        let mut candidates = self.candidates(dir, listing, name);
        let index = listing.entries.iter().position(|entry| entry.name == *name);
        let shown = index.and_then(|index| Some((listing.origin(index), listing.entries.get(index)?)));
        if let Some((origin, entry)) = shown {
            candidates.retain(|candidate| candidate.place == origin);
            let ruling = candidates.into_iter().next().and_then(|candidate| candidate.ruling);
            return Found { path, is_dir: entry.is_dir(), shown: Ok(entry.clone()), ruling };
        }
        let trouble = listing.troubles.iter().find(|trouble| match &trouble.path {
            None => true,
            Some(troubled) => *troubled == path,
        });
        let candidate = candidates.into_iter().next();
        let is_dir = candidate.as_ref().is_some_and(|candidate| candidate.entry.is_dir());
        let is_left_out = |ruling: &Ruling| ruling.verdict == Verdict::Excluded;
        let absence = match (trouble, &candidate) {
            (Some(trouble), _) => Absence::Trouble {
                doing: trouble.error.doing.to_owned(),
                path: trouble.path.as_ref().unwrap_or(dir.path()).clone(),
                cause: trouble.error.source.to_string(),
            },
            (None, None) => Absence::Missing,
            (None, Some(one)) if crate::fs::is_reserved(&one.entry) => Absence::Reserved,
            (None, Some(one)) if one.ruling.as_ref().is_some_and(is_left_out) => Absence::LeftOut,
            (None, Some(_)) if is_dir && self.manner.prune => Absence::Pruned,
            (None, Some(_)) => Absence::NotAsked,
        };
        Found { path, shown: Err(absence), is_dir, ruling: candidate.and_then(|candidate| candidate.ruling) }
    }

    /// What the arguments have at a name, and what their rules say about it.
    fn candidates(&self, dir: &ViewDir, listing: &ViewListing, name: &Name) -> Vec<Candidate> {
        let candidate = |(number, place): (usize, &crate::view::listing::Place)| {
            let argument = self.arguments.get(place.argument)?;
            let handle: Dir = self.open_place(argument, place, dir.path()).ok()?;
            let entry = handle.entry(name).ok()??;
            let entry = self.seen(&argument.root, &handle, dir.path(), entry.clone()).unwrap_or(entry);
            let here = listing.scopes.get(number)?;
            let scope = match place.shown {
                Shown::Selected => self.rules_for_named(argument, here, dir.path()),
                Shown::All | Shown::Layer => here,
            };
            let path = dir.path().join(name);
            let ruling = scope.decide(path.as_bytes(), entry.is_dir(), Side::Sender, false);
            Some(Candidate { place: number, entry, ruling })
        };
        dir.places().iter().enumerate().filter_map(candidate).collect()
    }
}
