//! What a view makes of a directory of one argument: what was selected of it, what its links stand for, and where
//! another file system begins.

use crate::fs::{Dir, Error, Look, ReadFile, Stamped, XattrNames};
use crate::request::{Missing, Mounts};
use crate::tree::filter::{Scope, Side, XattrRules};
use crate::tree::{Entry, Extra, Kind, Name, Node, RelPath, Xattrs, leads_outside, unmunged};
use crate::view::argument::{self, Argument};
use crate::view::listing::{Place, Read, Shown, Trouble, is_no_directory};
use crate::view::selection::Selected;
use crate::view::{View, ViewDir, ViewListing, shows};
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
        let mut read = Read::all(dir, path, (place.device, self.manner.stamps));
        let is_listed =
            |one: &Selected| read.entries.binary_search_by(|entry| entry.name.cmp(&one.name)).is_ok();
        let (selected, unlisted): (Vec<_>, Vec<_>) =
            argument.selection.names(path).into_iter().partition(is_listed);
        if self.manner.mounts == Mounts::LeftOut {
            read.leave_out_mounts();
        }
        if self.manner.links.follows() || self.manner.links.munge {
            let left_out = place.device.filter(|_| self.manner.mounts == Mounts::LeftOut);
            self.see((&argument.root, scope), path, dir, left_out, &mut read);
        }
        // What the rules hide in one argument does not stand in the way of what another shows.
        read.retain(|entry| shows(scope, path, entry) && (self.manner.directories || !entry.is_dir()));
        // What was named in a directory that cannot be listed may be there all the same; and where no directory is
        // shown, there may be one for what was named below it.
        let leads = |one: &Selected| one.below || one.itself.is_some_and(|meant| meant.leads);
        let apart = selected.into_iter().filter(|one| leads(one) && !read.has_directory(&one.name));
        let mut named = Read::default();
        for selected in unlisted.into_iter().chain(apart.collect::<Vec<_>>()) {
            self.look_up((argument, scope), path, dir, selected, &mut named);
        }
        read.prefer(named);
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
        let rules = self.rules_for_named(argument, scope, path);
        let whole = || path.join(&name);
        let found = dir.stamped(&name).map(|found| found.map(|found| self.noted(found)));
        let found = match found {
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
            Some(entry) if entry.kind() == Kind::Symlink => {
                match argument::named_directory(&argument.root, &whole(), leads, self.manner.paths) {
                    Ok(directory) => directory.or(Some(entry)),
                    Err(error) => return read.trouble(path.join(&name), error),
                }
            }
            found => found,
        };
        let Some(entry) = found else { return self.missing(argument, &whole(), itself.is_some(), read) };
        if below && !entry.is_dir() {
            self.has_nothing_below(argument, &whole(), read);
        }
        if itself.is_none() && !entry.is_dir() {
            return;
        }
        // It is its referent that was named.
        if self.names_nothing(dir, &entry) {
            return self.absent(std::iter::once(whole()), read);
        }
        let Some(entry) = self.shown_as((&argument.root, rules), path, dir, entry, read) else { return };
        let said = itself.is_some() && (self.manner.directories || !entry.is_dir());
        if said && shows(rules, path, &entry) {
            read.entries.push(entry);
        } else if below && entry.is_dir() && !crate::fs::is_reserved(&entry) {
            if !self.leads_to_any(argument, &whole()) {
                // Nor is it made for what is not there.
                return self.missing(argument, &whole(), false, read);
            }
            if self.manner.plain_above {
                read.asked.implied.push(entry.name.clone());
            }
            read.entries.push(entry);
        }
    }

    /// What holds for what was named in a directory, in which `scope` holds for all else.
    pub(super) fn rules_for_named<'a>(
        &self,
        argument: &'a Argument,
        scope: &'a Scope,
        path: &RelPath,
    ) -> &'a Scope {
        // As in rsync, files of rules count for what is named in a directory below the top, if any directory is
        // entered.
        let heeds_files = self.manner.heeds_files && !path.is_root();
        if heeds_files { scope } else { &argument.itself }
    }

    /// What was named below a path is not there, since at that is no directory. A link that leads nowhere is as if
    /// nothing were there; of anything else that is told, also where what is missing is not.
    fn has_nothing_below(&self, argument: &Argument, path: &RelPath, read: &mut Read) {
        match argument.root.open_named(path, self.manner.paths) {
            Err(error) if error.source.raw_os_error() == Some(rustix::io::Errno::NOTDIR.raw_os_error()) => {
                read.trouble(path.clone(), error);
            }
            _ => self.missing(argument, path, false, read),
        }
    }

    /// Whether anything of what was named below a path is there, or is to be deleted.
    fn leads_to_any(&self, argument: &Argument, path: &RelPath) -> bool {
        let is_there = |path: RelPath| {
            let Some((above, name)) = path.split_last() else { return true };
            let dir = argument.root.open_named(&above, self.manner.paths);
            match dir.and_then(|dir| dir.entry(&name)) {
                Ok(entry) => entry.is_some(),
                Err(error) => !is_no_directory(&error),
            }
        };
        self.manner.missing == Missing::Deleted || argument.selection.below(path).any(is_there)
    }

    /// Whether an entry that was named stands for what it leads to, which is not there.
    fn names_nothing(&self, dir: &Dir, entry: &Entry) -> bool {
        let is_link = self.manner.links.copy && entry.kind() == Kind::Symlink;
        is_link && matches!(dir.referent(&entry.name), Ok(None))
    }

    /// Something that was named is not there: it, or what was named below it.
    fn missing(&self, argument: &Argument, path: &RelPath, itself: bool, read: &mut Read) {
        let gone = itself.then(|| path.clone()).into_iter().chain(argument.selection.below(path));
        self.absent(gone, read);
    }

    /// These paths were named, and nothing is there.
    fn absent(&self, gone: impl Iterator<Item = RelPath>, read: &mut Read) {
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

    /// Puts in the place of links what they stand for; nothing for directories on another device than `top`.
    fn see(&self, place: (&Dir, &Scope), path: &RelPath, dir: &Dir, top: Option<u64>, read: &mut Read) {
        for entry in std::mem::take(&mut read.entries) {
            let is_link = entry.kind() == Kind::Symlink;
            let shown = self.shown_as(place, path, dir, entry, read);
            let is_mounted = |shown: &Entry| {
                let device = || Some(dir.open_referent_dir(&shown.name).ok()?.identity().ok()?.0);
                is_link
                    && shown.is_dir()
                    && top.is_some_and(|top| device().is_some_and(|device| device != top))
            };
            read.entries.extend(shown.filter(|shown| !is_mounted(shown)));
        }
    }

    /// What an entry of the directory at `path` is shown as, the rules for that apart: itself, or what it stands for.
    /// `None` if nobody can know that, which is told.
    fn shown_as(
        &self,
        (root, scope): (&Dir, &Scope),
        path: &RelPath,
        dir: &Dir,
        entry: Entry,
        read: &mut Read,
    ) -> Option<Entry> {
        if entry.kind() != Kind::Symlink {
            return Some(entry);
        }
        self.note_unsafe(path, &entry, read);
        match self.seen(root, dir, path, entry.clone()) {
            Ok(seen) => return Some(standing_for(seen, &entry)),
            // None is missed that the rules leave out, if only as a directory: whether it leads to one cannot be known.
            Err(_) if !shows(scope, path, &Entry { node: Node::Directory, ..entry.clone() }) => {}
            Err(_) if !shows(scope, path, &entry) => {}
            Err(error) => read.trouble(path.join(&entry.name), error),
        }
        None
    }

    /// Notes a link that is followed only because it may lead out of the tree, whatever comes of it.
    fn note_unsafe(&self, path: &RelPath, entry: &Entry, read: &mut Read) {
        let links = self.manner.links;
        if let Node::Symlink { target } = &entry.node
            && links.copy_unsafe
            && !links.copy
            && is_unsafe(target, path)
        {
            read.followed.push((path.join(&entry.name), target.to_vec()));
        }
    }

    /// An entry with what is to be known of it.
    fn noted(&self, found: Stamped) -> Entry {
        let Stamped { mut entry, stamp } = found;
        if self.manner.stamps && !entry.is_dir() {
            entry.extra_mut().stamp = Some(Box::new(stamp));
        }
        entry
    }

    /// What an entry of the directory at `path` stands for: itself, or if it is a link that is to be followed, what
    /// that leads to.
    pub(super) fn seen(&self, root: &Dir, dir: &Dir, path: &RelPath, entry: Entry) -> Result<Entry, Error> {
        let Node::Symlink { target } = &entry.node else { return Ok(entry) };
        let links = self.manner.links;
        if !self.may_follow(target, path) {
            return Ok(self.as_link(entry));
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
            _ if !of_any_kind => Ok(self.as_link(entry)),
            _ => {
                let source = io::Error::other("the symbolic link leads nowhere");
                Err(Error { doing: FOLLOWING, source })
            }
        }
    }

    /// A link that is shown as such: as it was before it was munged, if that is asked for.
    fn as_link(&self, entry: Entry) -> Entry {
        match &entry.node {
            Node::Symlink { target } if self.manner.links.munge => {
                let target = unmunged(target).into();
                Entry { node: Node::Symlink { target }, ..entry }
            }
            _ => entry,
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
        let extra = match dir.extra(&entry.name, entry.kind(), look) {
            Err(error) if self.stands_for_another(dir, path, entry) => match entry.kind() {
                Kind::Directory => dir.open_referent_dir(&entry.name)?.own_extra(look),
                Kind::File => dir.open_referent_file(&entry.name)?.extra(look),
                _ => Err(error),
            },
            seen => seen,
        }?;
        if look.atimes && !entry.is_dir() && self.stands_for_another(dir, path, entry) {
            let atime = Some(dir.referent_atime(&entry.name)?);
            return Ok(Some(Box::new(Extra { atime, ..extra.map_or_else(Extra::default, |extra| *extra) })));
        }
        Ok(extra)
    }

    /// Of what is looked at, that which the rules let take part of entries of a directory of one argument, at `path`,
    /// in which `scope` holds.
    pub(super) fn ruled(
        &self,
        look: &Look,
        (argument, shown): (&Argument, Shown),
        path: &RelPath,
        scope: &Scope,
    ) -> Look {
        let Some(names) = &look.xattrs else { return look.clone() };
        let scope =
            if shown == Shown::Selected { self.rules_for_named(argument, scope, path) } else { scope };
        let rules = XattrRules::among(scope, Side::Sender);
        Look { xattrs: Some(XattrNames { rules, ..names.clone() }), ..look.clone() }
    }

    /// The extended attributes of the entry at `index` of a listing, which is in `dir`, the directory of one argument:
    /// those of these names that the rules let take part.
    ///
    /// # Errors
    /// It was not listed, or they cannot be read.
    pub fn xattrs(
        &self,
        dir: &Dir,
        (listed, listing): (&ViewDir, &ViewListing),
        index: usize,
        look: &Look,
    ) -> Result<Xattrs, Error> {
        let entry = listing.entries.get(index).ok_or_else(Error::not_listed)?;
        let number = listing.origin(index);
        let place = listed.places().get(number).ok_or_else(Error::not_listed)?;
        let argument = self.arguments.get(place.argument).ok_or_else(Error::not_listed)?;
        let scope = listing.scopes.get(number).unwrap_or(&place.scope);
        match self.ruled(look, (argument, place.shown), listed.path(), scope).xattrs {
            Some(names) => self.xattrs_of(dir, listed.path(), entry, &names),
            None => Ok(Xattrs::default()),
        }
    }

    fn xattrs_of(&self, dir: &Dir, path: &RelPath, entry: &Entry, of: &XattrNames) -> Result<Xattrs, Error> {
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

/// What is seen in the place of an entry, which is what may be removed.
fn standing_for(mut seen: Entry, entry: &Entry) -> Entry {
    if let Some(stamp) = entry.stamp().filter(|_| !seen.is_dir()) {
        seen.extra_mut().stamp = Some(Box::new(stamp));
    }
    seen
}

fn is_unsafe(target: &[u8], dir: &RelPath) -> bool {
    leads_outside(target, dir.elements().count())
}
