//! The source's tree as a run sees it: several arguments merged into one tree, without what the rules hide.
//!
//! A [`View`] is asked for one directory at a time and answers with a [`ViewListing`]: the entries to send, and from
//! which argument each comes. Nothing is remembered between the calls but the roots and a few open directories, so a
//! walk's memory is the walker's own. The transfer root is a directory that need not exist anywhere: it holds each
//! argument named without a trailing slash as an entry, and the contents of each named with one. For a name found in
//! two arguments the first wins, but a directory beats anything else, and directories of one name are merged.
//!
//! Or a view shows what was [selected](Selection) of one tree, looked up by name: then no directory is read, and no rules
//! are asked, since whoever selected has done that.
//!
//! Rules in files of the directories hold where they are: each listing knows what holds in it, for those of the
//! directories below. Each argument has its own.
//!
//! Called by the source of a pass (to list and to open what it listed), and by `session` to expand wildcards.

mod error;
mod expand;
mod listing;
mod rules;
mod selection;

pub use error::ViewError;
pub use expand::expand;
pub use listing::{Trouble, ViewDir, ViewListing};
pub use rules::{enter, enter_above};
pub use selection::{Selected, Selection};

use crate::fs::{Dir, Links, ReadFile, Root};
use crate::tree::filter::{Rules, Scope, Side, Verdict};
use crate::tree::{Entry, Kind, Meta, Name, RelPath};
use crate::view::listing::Place;
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};

/// The merged tree of a run's source arguments, or what was selected of one.
#[derive(Debug)]
pub struct View {
    arguments: Vec<Argument>,
    /// All that is shown.
    selection: Option<Selection>,
    recursive: bool,
    /// Whether directories are left out in which nothing but directories would be listed.
    prune: bool,
    unentered: bool,
    /// Directories from which files were opened last: most files are followed by one of the same directory.
    recent: Mutex<VecDeque<Recent>>,
}

/// How many directories from which files were opened stay open.
const RECENT: usize = 16;

/// A directory of one argument.
#[derive(Debug)]
struct Recent {
    argument: usize,
    path: RelPath,
    dir: Dir,
}

/// One source argument.
#[derive(Debug)]
struct Argument {
    root: Dir,
    /// `None`: the contents of `root`. Else: this entry of it.
    only: Option<Name>,
    /// What holds for what it names, which files of rules say nothing about, as in rsync.
    itself: Scope,
    /// What holds above what is in it.
    scope: Scope,
}

impl View {
    /// Opens the arguments. Those that are missing are returned beside the view, as what is said about them; the
    /// run goes on with the rest.
    pub fn open(arguments: &[Vec<u8>], rules: Rules, recursive: bool) -> (View, Vec<ViewError>) {
        let mut opened = Vec::new();
        let mut missing = Vec::new();
        let mut unentered = false;
        for argument in arguments {
            match Argument::open(argument, &rules) {
                Ok(Argument { only: None, .. }) if !recursive => unentered = true,
                Ok(new) => opened.push(new),
                Err(error) => missing.push(error),
            }
        }
        let recent = Mutex::default();
        let (selection, prune) = (None, false);
        (View { arguments: opened, selection, recursive, prune, unentered, recent }, missing)
    }

    /// The same without directories that are or become empty (`-m`).
    pub fn pruning(self, prune: bool) -> View {
        View { prune, ..self }
    }

    /// What is selected below a directory, and the directories above that.
    pub fn selected(root: Dir, selection: Selection) -> View {
        View {
            arguments: vec![Argument { root, only: None, itself: Scope::default(), scope: Scope::default() }],
            selection: Some(selection),
            recursive: true,
            prune: false,
            unentered: false,
            recent: Mutex::default(),
        }
    }

    /// Whether it shows only what was selected.
    pub fn is_selected(&self) -> bool {
        self.selection.is_some()
    }

    /// The attributes of the transfer root, if an argument stands for its contents: the first such argument's. Of what
    /// was selected they are no part.
    pub fn root_meta(&self) -> Option<Meta> {
        if self.is_selected() {
            return None;
        }
        let contents = self.arguments.iter().find(|argument| argument.only.is_none())?;
        contents.root.own_meta().ok()
    }

    /// Whether the transfer is one entry that is no directory.
    pub fn is_single(&self) -> bool {
        let mut entries = self.arguments.iter().map(|Argument { root, only, .. }| match only {
            Some(name) => root.entry(name).ok().flatten(),
            None => None,
        });
        // Directories that are not entered take no part.
        let mut taking_part =
            entries.by_ref().filter(|entry| self.recursive || !entry.as_ref().is_some_and(Entry::is_dir));
        let first = taking_part.next();
        taking_part.next().is_none() && matches!(first, Some(Some(entry)) if !entry.is_dir())
    }

    /// The transfer root.
    pub fn root(&self) -> ViewDir {
        ViewDir::root(self.arguments.iter().map(|argument| argument.scope.clone()))
    }

    /// Lists a directory. What cannot be read is told in the listing.
    pub fn list(&self, dir: &ViewDir) -> ViewListing {
        if let Some(selection) = &self.selection {
            return self.list_selected(selection, dir);
        }
        let mut listing = self.list_all(dir);
        if self.prune {
            let keeps = |entry: &Entry| !entry.is_dir() || self.holds_something(dir, &listing, entry);
            let kept: Vec<bool> = listing.entries.iter().map(keeps).collect();
            let mut kept = kept.into_iter();
            listing.retain(|_| kept.next().unwrap_or(true));
        }
        listing
    }

    /// Whether a directory holds, at any depth, what is no directory, or one that is protected by its name; or what
    /// cannot be looked at, which is told when it is listed.
    fn holds_something(&self, dir: &ViewDir, listing: &ViewListing, entry: &Entry) -> bool {
        let mut ahead = vec![(self.child(dir, listing, &entry.name), self.is_protected(dir, &entry.name))];
        while let Some((dir, is_protected)) = ahead.pop() {
            if is_protected {
                return true;
            }
            let listing = self.list_all(&dir);
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
        let scopes = dir.places().iter().filter_map(|place| self.arguments.get(place.argument));
        scopes
            .map(|argument| &argument.scope)
            .any(|scope| scope.check(path.as_bytes(), true, Side::Receiver, false) == Verdict::Excluded)
    }

    /// Lists a directory with all that is in it.
    fn list_all(&self, dir: &ViewDir) -> ViewListing {
        let mut merged = listing::Merge::default();
        let mut seen = Vec::new();
        let mut elsewhere = Vec::new();
        let mut scopes = Vec::with_capacity(dir.places().len());
        for (place, Place { argument, path, scope }) in dir.places().iter().enumerate() {
            scopes.push(scope.clone());
            let Some(argument) = self.arguments.get(*argument) else { continue };
            let mut scope = scope.clone();
            let read = match (&argument.only, dir.path().is_root()) {
                (Some(name), true) => {
                    scope.clone_from(&argument.itself);
                    listing::Read::one(&argument.root, name)
                }
                _ => match self.open_place(argument, path) {
                    Ok(handle) => {
                        // One directory reached by two arguments is listed once.
                        let identity = handle.identity().ok();
                        if identity.is_some() && seen.contains(&identity) {
                            continue;
                        }
                        seen.push(identity);
                        match enter(&scope, &handle, dir.path()) {
                            Ok(here) => {
                                scope = here;
                                if let Some(known) = scopes.last_mut() {
                                    known.clone_from(&scope);
                                }
                                listing::Read::all(&handle)
                            }
                            // What would be left out by rules that nobody knows is not sent.
                            Err(error) => listing::Read::failed(error),
                        }
                    }
                    // It is a directory in some of the arguments; another may lack it, or have a file there.
                    Err(error) if listing::is_no_directory(&error) => {
                        elsewhere.push(error);
                        continue;
                    }
                    Err(error) => listing::Read::failed(error),
                },
            };
            // What the rules hide in one argument does not stand in the way of what another shows.
            merged.add(place, read.retain(|entry| shows(&scope, dir.path(), entry)));
        }
        if merged.is_empty()
            && let Some(error) = elsewhere.into_iter().next()
        {
            merged.add(0, listing::Read::failed(error));
        }
        merged.finish(scopes)
    }

    /// Looks up what is selected of a directory. What is not there any more is left out, as is what is a directory where
    /// nothing below it is selected, or none where something is.
    fn list_selected(&self, selection: &Selection, dir: &ViewDir) -> ViewListing {
        let mut listing = ViewListing::default();
        let handle = match self.dir_of(dir, 0) {
            Ok(handle) => handle,
            Err(error) => {
                listing.troubles.push(Trouble { name: None, error });
                return listing;
            }
        };
        for Selected { name, itself, below } in selection.names(dir.path()) {
            let is_meant = |entry: &Entry| if entry.is_dir() { below } else { itself };
            match handle.entry(&name) {
                Ok(entry) => {
                    let entry = entry.filter(|entry| is_meant(entry) && !crate::fs::is_reserved(entry));
                    listing.entries.extend(entry);
                }
                Err(error) => {
                    let name = Some(name.as_bytes().to_vec());
                    listing.troubles.push(Trouble { name, error });
                }
            }
        }
        listing
    }

    /// The directory behind an entry of the listing of `dir`.
    pub fn child(&self, dir: &ViewDir, listing: &ViewListing, name: &Name) -> ViewDir {
        dir.child(name, &listing.scopes, |argument| {
            self.arguments.get(argument).is_some_and(|argument| match &argument.only {
                Some(only) if dir.path().is_root() => only == name,
                _ => true,
            })
        })
    }

    /// Opens a file that `dir` listed, from the argument it came from.
    pub fn open_file(&self, dir: &ViewDir, place: usize, name: &Name) -> Result<ReadFile, crate::fs::Error> {
        self.dir_of(dir, place)?.open_file(name)
    }

    /// The directory of one argument that `dir` is there.
    pub fn dir_of(&self, dir: &ViewDir, place: usize) -> Result<Dir, crate::fs::Error> {
        let not_listed = crate::fs::Error::not_listed;
        let Place { argument: number, path, .. } = dir.places().get(place).ok_or_else(not_listed)?;
        if let Some(dir) = self.recent_place(*number, path) {
            return Ok(dir);
        }
        let argument = self.arguments.get(*number).ok_or_else(not_listed)?;
        let dir = self.open_place(argument, path)?;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front(Recent { argument: *number, path: path.clone(), dir: dir.clone() });
        recent.truncate(RECENT);
        Ok(dir)
    }

    fn recent_place(&self, argument: usize, path: &RelPath) -> Option<Dir> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let place = recent.iter().find(|place| place.argument == argument && place.path == *path)?;
        Some(place.dir.clone())
    }

    fn open_place(&self, argument: &Argument, path: &RelPath) -> Result<Dir, crate::fs::Error> {
        if path.is_root() { Ok(argument.root.clone()) } else { argument.root.open_beneath(path) }
    }

    /// Whether an argument stands for the contents of a directory that is not entered.
    pub fn has_unentered(&self) -> bool {
        self.unentered
    }

    /// Whether directories are entered (`-r`).
    pub fn is_recursive(&self) -> bool {
        self.recursive
    }
}

/// Whether a source lists this entry of the directory `dir`, in which this holds.
pub fn shows(scope: &Scope, dir: &RelPath, entry: &Entry) -> bool {
    let passes = |path: &RelPath| {
        scope.check(path.as_bytes(), entry.is_dir(), Side::Sender, false) == Verdict::Included
    };
    !crate::fs::is_reserved(entry) && (scope.is_empty() || passes(&dir.join(&entry.name)))
}

/// The absolute path of the directory that stands for the transfer root where this argument is concerned, for rules
/// that look at absolute paths.
fn transfer_root(argument: &[u8]) -> Option<Vec<u8>> {
    let contents = argument.ends_with(b"/") || argument.ends_with(b"/.") || argument == b".";
    let absolute = std::path::absolute(OsStr::from_bytes(argument)).ok()?;
    let root = if contents { Some(absolute.as_path()) } else { absolute.parent() };
    Some(root?.as_os_str().as_bytes().to_vec())
}

impl Argument {
    fn open(path: &[u8], rules: &Rules) -> Result<Argument, ViewError> {
        let mut rules = rules.clone();
        if let Some(root) = transfer_root(path) {
            rules.set_root(&root);
        }
        let itself = Scope::from(rules);
        let failed = |error| ViewError::new(path, error);
        let os_path = OsStr::from_bytes(if path.is_empty() { b"." } else { path });
        match Root::open_parent(os_path, Links::Trusted).map_err(failed)? {
            Some((root, name)) => match root.dir().entry(&name).map_err(failed)? {
                Some(_) => {
                    let scope = enter_above(&itself, root.dir(), true).map_err(failed)?;
                    Ok(Argument { root: root.dir().clone(), only: Some(name), itself, scope })
                }
                None => Err(ViewError::missing(path, false)),
            },
            None => {
                // A path that ends in a slash or a dot names what is inside.
                match crate::fs::Root::inspect(os_path, Links::Trusted).map_err(failed)? {
                    None => Err(ViewError::missing(path, true)),
                    Some(Kind::Directory) => {
                        let root = Root::open(os_path, Links::Trusted).map_err(failed)?;
                        let scope = enter_above(&itself, root.dir(), false).map_err(failed)?;
                        Ok(Argument { root: root.dir().clone(), only: None, itself, scope })
                    }
                    Some(_) => Err(ViewError::not_a_directory(path)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
