//! The source's tree as a run sees it: several arguments merged into one tree, without what the rules hide.
//!
//! A [`View`] is asked for one directory at a time and answers with a [`ViewListing`]: the entries to send, and from
//! which argument each comes. Nothing is remembered between the calls but the arguments and a few open directories, so
//! a walk's memory is the walker's own. The transfer root is a directory that need not exist anywhere. Below it each
//! argument shows a [`Selection`]: one name; the contents of a directory; with `-R` or `--files-from` whole paths, with
//! the directories above them. For a name found in two arguments the first wins, but a directory beats anything else,
//! and directories of one name are merged. What is selected may be an entry alone, which is then not entered.
//!
//! Rules in files of the directories hold where they are: each listing knows what holds in it, for those of the
//! directories below (`rules`). Each argument has its own.
//!
//! A path that the user named is followed through symbolic links as any such path (`argument`); below it links are
//! followed only where the user asked for what they lead to (`look`).
//!
//! Or a view shows what was [planned](View::planned) to be sent of one tree, looked up by name: then no directory is
//! read, no link followed, and no rules are asked, since whoever planned has done that.
//!
//! Called by the source of a pass (to list and to open what it listed), and by `session` to expand wildcards and to
//! explain what is shown (`explain`).

mod argument;
mod error;
mod expand;
mod explain;
mod listing;
mod look;
mod prune;
mod rules;
mod selection;

pub use argument::absolute;
pub use error::ViewError;
pub use expand::expand;
pub use explain::{Absence, Found};
pub use listing::{Trouble, ViewDir, ViewListing};
pub use rules::{ReadsRules, ReadsRulesAbove, enter, enter_above, enter_above_by, enter_by, read_rules};
pub use selection::{Extent, Meant, Selected, Selection};

use crate::fs::{Devices, Dir, Error, Keeping, Links, Look, ReadFile, Root, XattrNames};
use crate::request::{LinkRules, Missing, Mounts, Options};
use crate::tree::filter::{Scope, Side, Verdict, XattrRules};
use crate::tree::{Entry, Extra, Meta, Name, RelPath, Xattrs};
use argument::{Argument, Opened};
use listing::{Merge, Place, Read, Shown};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The merged tree of a run's source arguments, or what was planned to be sent of one.
#[derive(Debug)]
pub struct View {
    arguments: Vec<Argument>,
    manner: Manner,
    /// Directories that were named and are not entered.
    unentered: Vec<RelPath>,
    /// What is looked at of each entry besides what the system always tells.
    look: Look,
    /// Directories from which files were opened last: most files are followed by one of the same directory.
    recent: Mutex<VecDeque<Recent>>,
}

/// How the arguments are looked at.
#[derive(Debug, Clone, Copy, Default)]
struct Manner {
    /// Whether exactly what is selected is shown, and nobody is told of the rest.
    planned: bool,
    /// Whether what is shown was named in a list.
    listed: bool,
    /// Whether directories are shown that are not above what was selected.
    directories: bool,
    /// Whether the directories above what was selected go without attributes.
    plain_above: bool,
    /// Whether files of rules say something about what was selected, and not only about what is below that.
    heeds_files: bool,
    /// Whether directories are left out in which nothing but directories would be listed.
    prune: bool,
    mounts: Mounts,
    links: LinkRules,
    missing: Missing,
    /// Whether it is to be known what each entry was when it was seen.
    stamps: bool,
    /// Which links paths may go through that the user named.
    paths: Links,
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

impl View {
    /// Opens the arguments; with a list of `names`, which are separated by NUL, these names below the only argument.
    /// `paths`: which links the names may go through, and where sources are removed the arguments too; these else as
    /// [`Links::for_sources`] says. What is missing is
    /// returned beside the view, as what is said about it; the run goes on with the rest.
    ///
    /// # Errors
    /// There is no directory for the names to be below.
    pub fn open(
        arguments: &[Vec<u8>],
        names: Option<&[u8]>,
        options: &Options,
        paths: Links,
    ) -> Result<(View, Vec<ViewError>), ViewError> {
        let (mut opened, mut missing, mut unentered) = (Vec::new(), Vec::new(), Vec::new());
        // What is removed is not to be found through links of others.
        let sources = if options.remove_source_files { paths } else { paths.for_sources() };
        match (names, arguments.first()) {
            (Some(names), first) => {
                let first = first.map(Vec::as_slice).unwrap_or_default();
                (opened, missing) = Argument::listed(first, names, options, paths)?;
            }
            (None, _) => {
                for argument in arguments {
                    match Argument::open(argument, options, sources) {
                        Ok(Opened::Shown(argument)) => opened.push(argument),
                        Ok(Opened::Unentered(path)) => unentered.push(path),
                        Ok(Opened::Nothing) => {}
                        Err(error) => missing.push(error),
                    }
                }
            }
        }
        let manner = Manner {
            planned: false,
            listed: names.is_some(),
            directories: options.recursive || options.dirs,
            plain_above: options.no_implied_dirs,
            heeds_files: options.recursive && options.relative,
            prune: options.prune_empty_dirs,
            mounts: options.mounts,
            links: options.link_rules,
            missing: options.missing,
            stamps: options.remove_source_files && !options.dry_run,
            paths: if names.is_some() { paths } else { sources },
        };
        let (recent, look) = (Mutex::default(), Look::default());
        Ok((View { arguments: opened, manner, unentered, look, recent }, missing))
    }

    /// The same with entries that say more.
    pub fn looking_at(self, look: Look) -> View {
        View { look, ..self }
    }

    /// What was planned to be sent of what is below a directory, and the directories above that.
    pub fn planned(root: Dir, selection: Selection) -> View {
        View {
            arguments: vec![Argument { root, selection, itself: Scope::default(), scope: Scope::default() }],
            manner: Manner { planned: true, ..Manner::default() },
            unentered: Vec::new(),
            look: Look::default(),
            recent: Mutex::default(),
        }
    }

    /// Whether it shows only what was planned.
    pub fn is_planned(&self) -> bool {
        self.manner.planned
    }

    /// The attributes of the transfer root, if it stands for a directory of an argument: the first such argument's. Of
    /// what was planned they are no part.
    pub fn root_meta(&self) -> Option<Meta> {
        if self.manner.planned {
            return None;
        }
        self.contents()?.root.own_meta().ok()
    }

    /// What else is looked at of the directory that has these attributes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn root_extra(&self) -> Result<Option<Box<Extra>>, Error> {
        match self.contents() {
            Some(argument) if !self.manner.planned => argument.root.own_extra(&self.look),
            _ => Ok(None),
        }
    }

    /// Its extended attributes.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn root_xattrs(&self, of: &XattrNames) -> Result<Xattrs, Error> {
        self.contents().map_or_else(|| Ok(Xattrs::default()), |argument| argument.root.own_xattrs(of))
    }

    /// The first argument that stands for its contents.
    fn contents(&self) -> Option<&Argument> {
        let is_root = |argument: &&Argument| argument.selection.at(&RelPath::root()).0.is_some();
        self.arguments.iter().find(is_root)
    }

    /// Whether it shows no more than one argument.
    pub fn is_of_one(&self) -> bool {
        self.arguments.len() < 2
    }

    /// Whether the transfer is one entry that is no directory.
    pub fn is_single(&self) -> bool {
        let [Argument { root, selection, .. }] = self.arguments.as_slice() else { return false };
        let Some((path, meant)) = selection.only().filter(|_| !self.manner.planned) else { return false };
        let Some((above, name)) = path.split_last().filter(|(above, _)| above.is_root()) else {
            return false;
        };
        let Ok(Some(entry)) = root.entry(&name) else { return false };
        let leads_on = || argument::named_directory(root, &path, meant.leads, self.manner.paths);
        !matches!(leads_on(), Ok(Some(_)))
            && self.seen(root, root, &above, entry).is_ok_and(|entry| !entry.is_dir())
    }

    /// Whether of directories that were named the contents are sent, and there are none in any of them, or none that
    /// can be read. What rules leave out is there.
    pub fn is_bare(&self) -> bool {
        let has_none = |argument: &Argument, path: &RelPath| {
            let place = Place {
                argument: 0,
                shown: Shown::All,
                named: path.as_bytes().len(),
                device: None,
                scope: Scope::default(),
            };
            let is_empty = self.open_place(argument, &place, path).and_then(|dir| dir.is_empty());
            is_empty.unwrap_or_else(|error| !listing::is_no_directory(&error))
        };
        let is_bare = |argument: &Argument| {
            let mut wholes = argument.selection.wholes().peekable();
            wholes.peek().is_some() && wholes.all(|path| has_none(argument, &path))
        };
        let arguments = &self.arguments;
        !self.manner.planned && !self.manner.listed && !arguments.is_empty() && arguments.iter().all(is_bare)
    }

    /// The transfer root.
    pub fn root(&self) -> ViewDir {
        let root = RelPath::root();
        let place =
            |(number, argument): (usize, &Argument)| self.place(number, &root, argument.scope.clone(), None);
        ViewDir::new(root.clone(), self.arguments.iter().enumerate().filter_map(place).collect())
    }

    /// The directory behind an entry of the listing of `dir`.
    pub fn child(&self, dir: &ViewDir, listing: &ViewListing, name: &Name) -> ViewDir {
        let path = dir.path().join(name);
        let inside = |(number, place): (usize, &Place)| {
            let scope = listing.scopes.get(number).cloned().unwrap_or_default();
            match place.shown {
                Shown::All if !listing.apart.contains(&(number, name.clone())) => {
                    Some(Place { scope, ..place.clone() })
                }
                Shown::All | Shown::Layer | Shown::Selected => {
                    self.place(place.argument, &path, scope, Some(dir))
                }
            }
        };
        let places = dir.places().iter().enumerate().filter_map(inside).collect();
        ViewDir::new(path, places)
    }

    /// What one argument shows in a directory that it does not show with all that is above; nothing if that is not
    /// entered. `scope` holds above it.
    fn place(&self, number: usize, path: &RelPath, scope: Scope, above: Option<&ViewDir>) -> Option<Place> {
        let argument = self.arguments.get(number)?;
        let (meant, below) = argument.selection.at(path);
        let shown = match meant.map(|meant| meant.extent) {
            Some(Extent::All) => Shown::All,
            Some(Extent::Layer) => Shown::Layer,
            Some(Extent::Entry) | None if below || above.is_none() => Shown::Selected,
            Some(Extent::Entry) | None => return None,
        };
        let leads = below || meant.is_some_and(|meant| meant.leads);
        let named = match path.split_last() {
            _ if self.manner.planned => 0,
            Some((above, _)) if !leads => above.as_bytes().len(),
            _ => path.as_bytes().len(),
        };
        let mut place = Place { argument: number, shown, named, device: None, scope };
        if self.manner.mounts != Mounts::Entered && shown != Shown::Selected {
            let top = self.open_place(argument, &place, path).and_then(|dir| dir.identity());
            place.device = top.ok().map(|(device, _)| device);
        }
        Some(place)
    }

    /// Lists a directory. What cannot be read is told in the listing.
    pub fn list(&self, dir: &ViewDir) -> ViewListing {
        let mut listing = self.list_all(dir, &self.look);
        if self.manner.prune {
            self.prune(dir, &mut listing);
        }
        listing
    }

    /// Lists a directory with all that is in it, at which so much is looked.
    fn list_all(&self, dir: &ViewDir, look: &Look) -> ViewListing {
        let mut merged = Merge::default();
        let mut seen = Vec::new();
        let mut elsewhere = Vec::new();
        let mut scopes: Vec<Scope> = dir.places().iter().map(|place| place.scope.clone()).collect();
        for (number, place) in dir.places().iter().enumerate() {
            let Some(argument) = self.arguments.get(place.argument) else { continue };
            let read = match self.open_place(argument, place, dir.path()) {
                Ok(handle) => {
                    // One directory reached by two arguments is listed once.
                    let identity = handle.identity().ok().filter(|_| place.shown == Shown::All);
                    if identity.is_some() && seen.contains(&identity) {
                        continue;
                    }
                    seen.push(identity);
                    let (read, here) = self.read_by_rules((argument, place), dir.path(), &handle);
                    let read = read.leading(dir.path());
                    scopes.get_mut(number).into_iter().for_each(|scope| scope.clone_from(&here));
                    let look = self.ruled(look, (argument, place.shown), dir.path(), &here);
                    let closer = |entry: &Entry| self.look_closer(&handle, dir.path(), entry, &look);
                    if look.is_nothing() { read } else { read.looked_at(dir.path(), closer) }
                }
                // It is a directory in some of the arguments; another may lack it, or have a file there.
                Err(error) if listing::is_no_directory(&error) => {
                    elsewhere.push(error);
                    continue;
                }
                Err(error) => Read::failed(error),
            };
            merged.add(number, read, self.manner.plain_above);
        }
        if merged.is_empty()
            && let Some(error) = elsewhere.into_iter().next()
            && !self.manner.planned
        {
            merged.add(0, Read::failed(error), false);
        }
        merged.finish(scopes)
    }

    /// What a place shows of a directory, and what holds there.
    fn read_by_rules(
        &self,
        (argument, place): (&Argument, &Place),
        path: &RelPath,
        dir: &Dir,
    ) -> (Read, Scope) {
        // The top of what was named is above all that is shown.
        let is_above = place.shown == Shown::Selected && path.is_root();
        let scope = if is_above { Ok(place.scope.clone()) } else { enter(&place.scope, dir, path) };
        match scope {
            Ok(scope) => (self.read(argument, (place, &scope), path, dir), scope),
            // What would be left out by rules that nobody knows is not sent.
            Err(error) => (Read::failed(error), place.scope.clone()),
        }
    }

    /// Opens a file that `dir` listed, from the argument it came from.
    pub fn open_file(&self, dir: &ViewDir, place: usize, name: &Name) -> Result<ReadFile, Error> {
        self.open_file_in(&self.dir_of(dir, place)?, dir, name)
    }

    /// The directory of one argument that `dir` is there.
    pub fn dir_of(&self, dir: &ViewDir, place: usize) -> Result<Dir, Error> {
        let place = dir.places().get(place).ok_or_else(Error::not_listed)?;
        if let Some(dir) = self.recent_dir(place.argument, dir.path()) {
            return Ok(dir);
        }
        let argument = self.arguments.get(place.argument).ok_or_else(Error::not_listed)?;
        let opened = self.open_place(argument, place, dir.path())?;
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let path = dir.path().clone();
        recent.push_front(Recent { argument: place.argument, path, dir: opened.clone() });
        recent.truncate(RECENT);
        Ok(opened)
    }

    /// The same, but only if no symbolic link is on the way to it besides those that the user named.
    ///
    /// # Errors
    /// Those of the system; there is one.
    pub fn unfollowed(&self, dir: &ViewDir, place: usize) -> Result<Dir, Error> {
        if !self.manner.links.follows() {
            return self.dir_of(dir, place);
        }
        let place = dir.places().get(place).ok_or_else(Error::not_listed)?;
        let argument = self.arguments.get(place.argument).ok_or_else(Error::not_listed)?;
        let (from, _, rest) = self.named_part(argument, place, dir.path())?;
        from.open_beneath(&rest)
    }

    fn recent_dir(&self, argument: usize, path: &RelPath) -> Option<Dir> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = recent.iter().find(|recent| recent.argument == argument && recent.path == *path)?;
        Some(recent.dir.clone())
    }

    /// Opens a directory of an argument: the part of its path that the user named as such, and the rest as the rules
    /// for links say.
    fn open_place(&self, argument: &Argument, place: &Place, path: &RelPath) -> Result<Dir, Error> {
        if path.is_root() {
            return Ok(argument.root.clone());
        }
        match argument.root.open_beneath(path) {
            Err(error) if listing::is_no_directory(&error) && self.may_lead(place) => {}
            done => return done,
        }
        let (from, named, rest) = self.named_part(argument, place, path)?;
        if self.manner.links.follows() {
            self.open_following(from, &named, &rest)
        } else {
            from.open_beneath(&rest)
        }
    }

    /// Opens the part of a path that the user named. Returns that part and the rest, too.
    fn named_part(
        &self,
        argument: &Argument,
        place: &Place,
        path: &RelPath,
    ) -> Result<(Dir, RelPath, RelPath), Error> {
        let bytes = path.as_bytes();
        let (named, rest) = bytes.split_at_checked(place.named).unwrap_or((bytes, b""));
        let part = |bytes: &[u8]| RelPath::new(bytes).unwrap_or_default();
        let named = part(named);
        let from = match named.is_root() {
            true => argument.root.clone(),
            false => argument.root.open_named(&named, self.manner.paths)?,
        };
        let rest = part(rest.strip_prefix(b"/").unwrap_or(rest));
        Ok((from, named, rest))
    }

    /// Whether the way to a directory may go through symbolic links.
    fn may_lead(&self, place: &Place) -> bool {
        place.named > 0 || self.manner.links.follows()
    }

    /// Directories that were named as arguments and are not entered.
    pub fn unentered(&self) -> &[RelPath] {
        &self.unentered
    }
}

/// Where the attributes are kept that only root may set, on a side with these options.
pub fn keeping(options: &Options) -> Keeping {
    Keeping::faked(options.fakes_super())
}

/// A root of the source, with attributes and devices as these options have them.
fn as_asked(root: Root, options: &Options) -> Root {
    root.with_keeping(keeping(options)).with_devices(Devices::read(options.copy_devices))
}

/// What a source looks at of each entry in a run with these options.
pub fn source_look(options: &Options) -> Look {
    let names = || XattrNames {
        all_namespaces: true,
        rsyncs_own: options.xattrs > 1,
        rules: XattrRules::among(&Scope::from(options.rules.clone()), Side::Sender),
    };
    Look { acls: options.acls, xattrs: (options.xattrs > 0).then(names), atimes: options.atimes }
}

/// Whether a source lists this entry of the directory `dir`, in which this holds.
pub fn shows(scope: &Scope, dir: &RelPath, entry: &Entry) -> bool {
    !crate::fs::is_reserved(entry)
        && (scope.is_empty() || passes(scope, &dir.join(&entry.name), entry.is_dir()))
}

/// Whether no rule leaves out the entry at a path.
fn passes(scope: &Scope, path: &RelPath, is_dir: bool) -> bool {
    scope.check(path.as_bytes(), is_dir, Side::Sender, false) == Verdict::Included
}

#[cfg(test)]
mod tests;
