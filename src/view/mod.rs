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
//! Called by the source of a pass (to list and to open what it listed), and by `session` to expand wildcards.

mod error;
mod expand;
mod listing;
mod selection;

pub use error::ViewError;
pub use expand::expand;
pub use listing::{Trouble, ViewDir, ViewListing};
pub use selection::{Selected, Selection};

use crate::fs::{Dir, Links, Look, ReadFile, Root, XattrNames};
use crate::request::Options;
use crate::tree::filter::{Rules, Side, Verdict};
use crate::tree::{Entry, Extra, Kind, Meta, Name, RelPath, Xattrs};
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
    rules: Rules,
    recursive: bool,
    unentered: bool,
    /// What is looked at of each entry besides what the system always tells.
    look: Look,
    /// Directories from which files were opened last: most files are followed by one of the same directory.
    recent: Mutex<VecDeque<Place>>,
}

/// How many directories from which files were opened stay open.
const RECENT: usize = 16;

/// A directory of one argument.
#[derive(Debug)]
struct Place {
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
}

impl View {
    /// Opens the arguments. Those that are missing are returned beside the view, as what is said about them; the
    /// run goes on with the rest.
    pub fn open(arguments: &[Vec<u8>], mut rules: Rules, recursive: bool) -> (View, Vec<ViewError>) {
        if let Some(root) = arguments.first().and_then(|argument| transfer_root(argument)) {
            rules.set_root(&root);
        }
        let mut opened = Vec::new();
        let mut missing = Vec::new();
        let mut unentered = false;
        for argument in arguments {
            match Argument::open(argument) {
                Ok(Argument { only: None, .. }) if !recursive => unentered = true,
                Ok(new) => opened.push(new),
                Err(error) => missing.push(error),
            }
        }
        let recent = Mutex::default();
        let look = Look::default();
        (View { arguments: opened, selection: None, rules, recursive, unentered, look, recent }, missing)
    }

    /// The same with entries that say more.
    pub fn looking_at(self, look: Look) -> View {
        View { look, ..self }
    }

    /// What is selected below a directory, and the directories above that.
    pub fn selected(root: Dir, selection: Selection) -> View {
        View {
            arguments: vec![Argument { root, only: None }],
            selection: Some(selection),
            rules: Rules::new(),
            recursive: true,
            unentered: false,
            look: Look::default(),
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
        self.contents()?.root.own_meta().ok()
    }

    /// What else is looked at of the directory that has these attributes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn root_extra(&self) -> Result<Option<Box<Extra>>, crate::fs::Error> {
        match self.contents() {
            Some(argument) if !self.is_selected() => argument.root.own_extra(&self.look),
            _ => Ok(None),
        }
    }

    /// Its extended attributes.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn root_xattrs(&self, of: XattrNames) -> Result<Xattrs, crate::fs::Error> {
        self.contents().map_or_else(|| Ok(Xattrs::default()), |argument| argument.root.own_xattrs(of))
    }

    /// The first argument that stands for its contents.
    fn contents(&self) -> Option<&Argument> {
        self.arguments.iter().find(|argument| argument.only.is_none())
    }

    /// Whether the transfer is one entry that is no directory.
    pub fn is_single(&self) -> bool {
        let mut entries = self.arguments.iter().map(|Argument { root, only }| match only {
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
        ViewDir::root(self.arguments.len())
    }

    /// Lists a directory. What cannot be read is told in the listing.
    pub fn list(&self, dir: &ViewDir) -> ViewListing {
        if let Some(selection) = &self.selection {
            return self.list_selected(selection, dir);
        }
        let mut merged = listing::Merge::default();
        let mut seen = Vec::new();
        let mut elsewhere = Vec::new();
        for (place, (argument, path)) in dir.places().iter().enumerate() {
            let Some(argument) = self.arguments.get(*argument) else { continue };
            let shown = |read: listing::Read, handle: &Dir| {
                read.retain(|entry| shows(&self.rules, dir.path(), entry)).looked_at(handle, &self.look)
            };
            let read = match (&argument.only, dir.path().is_root()) {
                (Some(name), true) => shown(listing::Read::one(&argument.root, name), &argument.root),
                _ => match self.open_place(argument, path) {
                    Ok(handle) => {
                        // One directory reached by two arguments is listed once.
                        let identity = handle.identity().ok();
                        if identity.is_some() && seen.contains(&identity) {
                            continue;
                        }
                        seen.push(identity);
                        shown(listing::Read::all(&handle), &handle)
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
            merged.add(place, read);
        }
        if merged.is_empty()
            && let Some(error) = elsewhere.into_iter().next()
        {
            merged.add(0, listing::Read::failed(error));
        }
        merged.finish()
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
                    listing.entries.extend(entry.and_then(|mut entry| {
                        listing::look_at(&handle, &mut entry, &self.look, &mut listing.troubles)
                            .then_some(entry)
                    }));
                }
                Err(error) => {
                    let name = Some(name.as_bytes().to_vec());
                    listing.troubles.push(Trouble { name, error });
                }
            }
        }
        listing
    }

    /// The directory behind an entry of a listing.
    pub fn child(&self, dir: &ViewDir, name: &Name) -> ViewDir {
        dir.child(name, |argument| {
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
        let (number, path) = dir.places().get(place).ok_or_else(not_listed)?;
        if let Some(dir) = self.recent_place(*number, path) {
            return Ok(dir);
        }
        let argument = self.arguments.get(*number).ok_or_else(not_listed)?;
        let dir = self.open_place(argument, path)?;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.push_front(Place { argument: *number, path: path.clone(), dir: dir.clone() });
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

/// What a source looks at of each entry in a run with these options.
pub fn source_look(options: &Options) -> Look {
    let xattrs = XattrNames { all_namespaces: true, rsyncs_own: options.xattrs > 1 };
    Look { acls: options.acls, xattrs: (options.xattrs > 0).then_some(xattrs), atimes: options.atimes }
}

/// Whether a source with these rules lists this entry of the directory `dir`.
pub fn shows(rules: &Rules, dir: &RelPath, entry: &Entry) -> bool {
    let passes =
        |path: &RelPath| rules.check(path.as_bytes(), entry.is_dir(), Side::Sender) == Verdict::Included;
    !crate::fs::is_reserved(entry) && (rules.is_empty() || passes(&dir.join(&entry.name)))
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
    fn open(path: &[u8]) -> Result<Argument, ViewError> {
        let failed = |error| ViewError::new(path, error);
        let os_path = OsStr::from_bytes(if path.is_empty() { b"." } else { path });
        match Root::open_parent(os_path, Links::Trusted).map_err(failed)? {
            Some((root, name)) => match root.dir().entry(&name).map_err(failed)? {
                Some(_) => Ok(Argument { root: root.dir().clone(), only: Some(name) }),
                None => Err(ViewError::missing(path, false)),
            },
            None => {
                // A path that ends in a slash or a dot names what is inside.
                match crate::fs::Root::inspect(os_path, Links::Trusted).map_err(failed)? {
                    None => Err(ViewError::missing(path, true)),
                    Some(Kind::Directory) => {
                        let root = Root::open(os_path, Links::Trusted).map_err(failed)?;
                        Ok(Argument { root: root.dir().clone(), only: None })
                    }
                    Some(_) => Err(ViewError::not_a_directory(path)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
