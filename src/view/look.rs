//! What a view makes of a directory of one argument: what was selected of it, what its links stand for, and where
//! another file system begins.

use crate::fs::{Dir, Error, Look, ReadFile, XattrNames};
use crate::request::{Missing, Mounts};
use crate::tree::filter::Scope;
use crate::tree::{Entry, Extra, Kind, Name, Node, RelPath, Xattrs, leads_outside, unmunged};
use crate::view::argument::{self, Argument};
use crate::view::listing::{Place, Read, Shown, Trouble, is_no_directory};
use crate::view::selection::Selected;
use crate::view::{View, ViewDir, shows};
use std::io;

/// As many links as Linux follows in one path.
const MOST_LINKS: usize = 40;

const FOLLOWING: &str = "following";

impl View {
    /// What an argument shows of a directory, in which `scope` holds.
    pub(super) fn read(
        &self,
        argument: &Argument,
        (place, scope): (&Place, &Scope),
        path: &RelPath,
        dir: &Dir,
    ) -> Read {
        if place.shown == Shown::Selected {
            let mut read = Read::default();
            for selected in argument.selection.names(path) {
                self.look_up((argument, scope), path, dir, selected, &mut read);
            }
            return read;
        }
        if self.is_mounted(place, dir) {
            return Read::default();
        }
        let mut read = Read::all(dir, path, place.device);
        let mut selected = argument.selection.names(path);
        selected.retain(|one| {
            let is_there = read.entries.binary_search_by(|entry| entry.name.cmp(&one.name)).is_ok();
            if !is_there && read.troubles.is_empty() {
                self.missing(argument, &path.join(&one.name), one.itself.is_some(), &mut read);
            }
            is_there
        });
        if self.manner.mounts == Mounts::LeftOut {
            read.leave_out_mounts();
        }
        if self.manner.links.follows() || self.manner.links.munge {
            self.see((&argument.root, scope), path, dir, &mut read);
        }
        // What the rules hide in one argument does not stand in the way of what another shows.
        read.retain(|entry| shows(scope, path, entry) && (self.manner.directories || !entry.is_dir()));
        if place.shown == Shown::Layer {
            for selected in selected {
                let is_shown = |entry: &Entry| entry.name == selected.name && entry.is_dir();
                let leads = selected.below || selected.itself.is_some_and(|meant| meant.leads);
                if leads && !read.entries.iter().any(is_shown) {
                    read.entries.retain(|entry| entry.name != selected.name);
                    self.look_up((argument, scope), path, dir, selected, &mut read);
                }
            }
            read.entries.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        }
        read.is_whole = true;
        read
    }

    /// Whether the directory is on another file system than what was named, which is not entered.
    fn is_mounted(&self, place: &Place, dir: &Dir) -> bool {
        let here = place.device.and_then(|top| Some((top, dir.identity().ok()?.0)));
        here.is_some_and(|(top, device)| top != device)
    }

    /// Looks up one name that was selected, or below which something was.
    fn look_up(
        &self,
        (argument, scope): (&Argument, &Scope),
        path: &RelPath,
        dir: &Dir,
        selected: Selected,
        read: &mut Read,
    ) {
        let Selected { name, itself, below } = selected;
        // As in rsync, files of rules count for what is named in a directory below the top, if any directory is entered.
        let heeds_files = self.manner.heeds_files && !path.is_root();
        let rules = if heeds_files { scope } else { &argument.itself };
        let whole = || path.join(&name);
        let found = match dir.entry(&name) {
            Ok(found) => found,
            Err(error) => return read.trouble(path.join(&name), error),
        };
        if self.manner.planned {
            // What is not there any more is left out, as is what is a directory where nothing below it is planned, or
            // none where something is.
            let is_meant = |entry: &Entry| if entry.is_dir() { below } else { itself.is_some() };
            read.entries.extend(found.filter(|entry| is_meant(entry) && !crate::fs::is_reserved(entry)));
            return;
        }
        let leads = below || itself.is_some_and(|meant| meant.leads);
        let found = match found {
            Some(entry) if leads && entry.kind() == Kind::Symlink => {
                match argument::named_directory(&argument.root, &whole(), &name, self.manner.paths) {
                    Ok(entry) => Some(entry),
                    Err(error) if error.is_not_found() => None,
                    Err(error) => return read.trouble(path.join(&name), error),
                }
            }
            // It is its referent that was named.
            Some(entry) if self.names_nothing(dir, &entry) => None,
            Some(entry) if !leads => match self.seen(&argument.root, dir, path, entry) {
                Ok(entry) => Some(entry),
                Err(error) => return read.trouble(path.join(&name), error),
            },
            found => found,
        };
        match found {
            None => self.missing(argument, &whole(), itself.is_some(), read),
            Some(entry) if leads && !entry.is_dir() => {
                let source = io::Error::from_raw_os_error(rustix::io::Errno::NOTDIR.raw_os_error());
                read.trouble(path.join(&name), Error { doing: "opening directory", source });
                // Its name may have been said for itself as well.
                if itself.is_some_and(|meant| !meant.leads) && shows(rules, path, &entry) {
                    read.entries.push(entry);
                }
            }
            Some(entry) => {
                let said = itself.is_some() && (self.manner.directories || !entry.is_dir());
                if said && shows(rules, path, &entry) {
                    read.entries.push(entry);
                } else if below && !crate::fs::is_reserved(&entry) {
                    if self.manner.plain_above {
                        read.asked.implied.push(entry.name.clone());
                    }
                    read.entries.push(entry);
                }
            }
        }
    }

    /// Whether an entry that was named stands for what it leads to, which is not there.
    fn names_nothing(&self, dir: &Dir, entry: &Entry) -> bool {
        let is_link = self.manner.links.copy && entry.kind() == Kind::Symlink;
        is_link && matches!(dir.referent(&entry.name), Ok(None))
    }

    /// Something that was named is not there: it, or what was named below it.
    fn missing(&self, argument: &Argument, path: &RelPath, itself: bool, read: &mut Read) {
        let gone = itself.then(|| path.clone()).into_iter().chain(argument.selection.below(path));
        match self.manner.missing {
            Missing::Ignored => {}
            Missing::Deleted => read.asked.absent.extend(gone),
            Missing::Told => read.troubles.extend(gone.map(|path| {
                let source = io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error());
                let error = Error { doing: "looking up", source };
                Trouble { path: Some(path), error, hides_entries: false }
            })),
        }
    }

    /// Puts in the place of links what they stand for.
    fn see(&self, (root, scope): (&Dir, &Scope), path: &RelPath, dir: &Dir, read: &mut Read) {
        let entries = std::mem::take(&mut read.entries);
        for entry in entries {
            if entry.kind() != Kind::Symlink {
                read.entries.push(entry);
                continue;
            }
            match self.seen(root, dir, path, entry.clone()) {
                Ok(entry) => read.entries.push(entry),
                // Nor is one missed that the rules leave out if it leads to a directory: that cannot be known.
                Err(_) if !shows(scope, path, &Entry { node: Node::Directory, ..entry.clone() }) => {}
                Err(_) if !shows(scope, path, &entry) => {}
                Err(error) => read.trouble(path.join(&entry.name), error),
            }
        }
    }

    /// What an entry of the directory at `path` stands for: itself, or if it is a link that is to be followed, what that
    /// leads to.
    pub(super) fn seen(&self, root: &Dir, dir: &Dir, path: &RelPath, entry: Entry) -> Result<Entry, Error> {
        let Node::Symlink { target } = &entry.node else { return Ok(entry) };
        let links = self.manner.links;
        if !self.may_follow(target, path) {
            if links.munge {
                let target = unmunged(target).into();
                return Ok(Entry { node: Node::Symlink { target }, ..entry });
            }
            return Ok(entry);
        }
        let of_any_kind = links.copy || (links.copy_unsafe && is_unsafe(target, path));
        let found = match dir.referent(&entry.name) {
            // It stays a link, wherever it leads.
            Err(_) if !of_any_kind => None,
            found => found?,
        };
        match found {
            Some(referent) if referent.is_dir() => {
                self.check_loop(root, dir, path, &referent.name)?;
                Ok(referent)
            }
            Some(referent) if of_any_kind => Ok(referent),
            _ if !of_any_kind => Ok(entry),
            _ => {
                let source = io::Error::other("the symbolic link leads nowhere");
                Err(Error { doing: FOLLOWING, source })
            }
        }
    }

    /// Whether a link in the directory at `path` stands for what it leads to, if that is of the right kind.
    fn may_follow(&self, target: &[u8], path: &RelPath) -> bool {
        let links = self.manner.links;
        links.copy || links.copy_dirs || (links.copy_unsafe && is_unsafe(target, path))
    }

    /// Refuses a link to a directory that is above it, which would be repeated without end.
    fn check_loop(&self, root: &Dir, dir: &Dir, path: &RelPath, name: &Name) -> Result<(), Error> {
        let there = dir.open_referent_dir(name)?.identity()?;
        let mut is_above = dir.identity()? == there;
        // What is above on the way that was taken to it, which with links need not be what `..` leads to.
        let mut above = path.split_last();
        while let Some((here, _)) = above.filter(|_| !is_above) {
            let dir = self.open_following(root.clone(), &RelPath::root(), &here);
            is_above = dir.and_then(|dir| dir.identity()).is_ok_and(|here| here == there);
            above = here.split_last();
        }
        if is_above {
            let source = io::Error::other("the symbolic link leads to a directory above it");
            return Err(Error { doing: FOLLOWING, source });
        }
        Ok(())
    }

    /// Opens a directory below `from`, which is at `top`, through the links that are to be followed.
    pub(super) fn open_following(&self, from: Dir, top: &RelPath, rest: &RelPath) -> Result<Dir, Error> {
        let (mut dir, mut path) = (from, top.clone());
        let mut followed = 0;
        for element in rest.elements() {
            let Ok(name) = Name::new(element) else { return Err(Error::not_listed()) };
            dir = match dir.open_dir(&name) {
                Err(error) if is_no_directory(&error) && followed < MOST_LINKS => {
                    followed += 1;
                    match self.is_followed(&dir, &path, &name)? {
                        true => dir.open_referent_dir(&name)?,
                        false => return Err(error),
                    }
                }
                opened => opened?,
            };
            path = path.join(&name);
        }
        Ok(dir)
    }

    /// Opens a file that was listed in `dir`, the directory of one argument, where it may have stood for a link.
    pub fn open_file_in(&self, dir: &Dir, listed: &ViewDir, name: &Name) -> Result<ReadFile, Error> {
        match dir.open_file(name) {
            Err(error) if self.manner.links.follows() && self.is_followed(dir, listed.path(), name)? => {
                dir.open_referent_file(name).map_err(|_| error)
            }
            opened => opened,
        }
    }

    /// What is looked at of an entry of `dir`, the directory of one argument at `path`, besides what the system always
    /// tells; of a link that is followed, that of what it leads to.
    pub(super) fn look_closer(
        &self,
        dir: &Dir,
        path: &RelPath,
        entry: &Entry,
        look: &Look,
    ) -> Result<Option<Box<Extra>>, Error> {
        match dir.extra(&entry.name, entry.kind(), look) {
            Err(error) if self.stands_for_another(dir, path, entry) => match entry.kind() {
                Kind::Directory => dir.open_referent_dir(&entry.name)?.own_extra(look),
                Kind::File => dir.open_referent_file(&entry.name)?.extra(look),
                _ => Err(error),
            },
            seen => seen,
        }
    }

    /// The extended attributes of an entry that was listed in `dir`, of the directory of one argument at `path`.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn xattrs(&self, dir: &Dir, path: &RelPath, entry: &Entry, of: XattrNames) -> Result<Xattrs, Error> {
        match dir.xattrs(&entry.name, entry.kind(), of) {
            Err(error) if self.stands_for_another(dir, path, entry) => match entry.kind() {
                Kind::Directory => dir.open_referent_dir(&entry.name)?.own_xattrs(of),
                Kind::File => dir.open_referent_file(&entry.name)?.xattrs(of),
                _ => Err(error),
            },
            read => read,
        }
    }

    /// Whether an entry is what a link leads to.
    fn stands_for_another(&self, dir: &Dir, path: &RelPath, entry: &Entry) -> bool {
        let may = self.manner.links.follows() && entry.kind() != Kind::Symlink;
        may && self.is_followed(dir, path, &entry.name).unwrap_or(false)
    }

    fn is_followed(&self, dir: &Dir, path: &RelPath, name: &Name) -> Result<bool, Error> {
        let entry = dir.entry(name)?;
        let target = entry.as_ref().and_then(|entry| match &entry.node {
            Node::Symlink { target } => Some(target),
            _ => None,
        });
        Ok(target.is_some_and(|target| self.may_follow(target, path)))
    }
}

fn is_unsafe(target: &[u8], dir: &RelPath) -> bool {
    leads_outside(target, dir.elements().count())
}
