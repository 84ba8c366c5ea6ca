//! Backups (`-b`): what is about to be replaced or deleted is kept, beside its name or in a tree of its own.
//!
//! What is replaced keeps its name until the new version takes it, so the backup is a further name of the same file, or
//! a copy where there can be none or where the file is written in place. What is deleted is renamed. A backup that is
//! there already is replaced. If there can be no backup, nothing is replaced or deleted.
//!
//! The directory for backups is a path that a user named (see `fs::Links`); it is opened when the first backup is made,
//! and below it there are the directories of the destination, with their attributes of that moment.

use crate::fs::{
    Dir, Error, Linkable, Linked, Look, Root, SetAcls, SetExtended, SetMeta, WriteDir, XattrNames,
};
use crate::pass::PassError;
use crate::pass::sink::Sink;
use crate::request::Backup;
use crate::tree::{Extra, Kind, Name, Node, RelPath, Xattrs};
use crate::wire::DirId;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Mutex, PoisonError};

/// Where backups go, once that is known.
#[derive(Debug, Default)]
pub(super) struct Backups(Mutex<Opened>);

#[derive(Debug, Default)]
struct Opened {
    /// The directory for backups.
    root: Option<WriteDir>,
    /// The last of those below it that was needed, with its path.
    last: Option<(RelPath, WriteDir)>,
}

/// What is going to happen to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Another takes its place in one step.
    Replaced,
    /// It is written to.
    Overwritten,
    /// Its name is to be free.
    Removed,
}

impl Sink<'_> {
    /// Keeps the entry `name` of the directory at `parent`, if that is asked for. Where it is not, or nothing but a
    /// directory is there, nothing happens. Links that are left out are not kept (`--safe-links`).
    pub(super) fn keep(
        &self,
        parent: &RelPath,
        dir: &WriteDir,
        name: &Name,
        fate: Fate,
    ) -> Result<(), Error> {
        let Some(backup) = &self.context.options.backup else { return Ok(()) };
        let Some(found) = dir.stamped(name)?.filter(|found| !found.entry.is_dir()) else { return Ok(()) };
        // A link that leads out is no safer under another name.
        if self.context.options.leaves_out(&found.entry, parent) {
            return if fate == Fate::Removed { dir.remove(name, found.entry.kind()) } else { Ok(()) };
        }
        if fate == Fate::Removed && self.is_backup(name) {
            return dir.remove(name, found.entry.kind());
        }
        let new = Name::new([name.as_bytes(), &backup.suffix].concat()).map_err(|error| Error {
            doing: BACKING_UP,
            source: io::Error::new(io::ErrorKind::InvalidInput, error),
        })?;
        let to = match &backup.directory {
            Some(path) => self.backups_of(path, parent)?,
            None => dir.clone(),
        };
        clear(&to, &new)?;
        let is_kept = match fate {
            Fate::Removed => {
                return match dir.rename(name, &to, &new)? {
                    true => Ok(()),
                    false => self
                        .copy(dir, name, &found.entry.node, &to, &new)
                        .and_then(|()| dir.remove(name, found.entry.kind())),
                };
            }
            Fate::Overwritten => false,
            Fate::Replaced => {
                let identity = (found.stamp.dev, found.stamp.ino);
                matches!(to.link(&new, Linkable { dir, name, identity })?, Linked::Made)
            }
        };
        if is_kept {
            return Ok(());
        }
        // What is written to is content, also that of a device, of which another node would be no backup.
        let content = Node::File { size: 0 };
        let is_written_to = fate == Fate::Overwritten && found.entry.kind().is_device();
        let node = if is_written_to { &content } else { &found.entry.node };
        self.copy(dir, name, node, &to, &new)
    }

    /// The same for an entry that another is to replace, by its path and its directory.
    pub(super) fn keep_replaced(
        &self,
        dir: DirId,
        path: &RelPath,
        name: &Name,
    ) -> Result<Result<(), Error>, PassError> {
        if self.context.options.backup.is_none() {
            return Ok(Ok(()));
        }
        let dir = self.directories.writable(self, dir)?;
        Ok(dir.and_then(|dir| self.keep_of(&dir, path, name, Fate::Replaced)))
    }

    /// The same for an entry by its path.
    pub(super) fn keep_of(
        &self,
        dir: &WriteDir,
        path: &RelPath,
        name: &Name,
        fate: Fate,
    ) -> Result<(), Error> {
        match path.split_last() {
            Some((parent, _)) => self.keep(&parent, dir, name, fate),
            None => Ok(()),
        }
    }

    /// Whether an entry is kept when it is deleted, in the directory that it is in.
    pub(super) fn stays_as_backup(&self, name: &Name, kind: Kind) -> bool {
        let is_beside = |backup: &Backup| backup.directory.is_none();
        kind != Kind::Directory
            && self.context.options.backup.as_ref().is_some_and(is_beside)
            && !self.is_backup(name)
    }

    /// Whether a name is one of a backup, of which none is made.
    fn is_backup(&self, name: &Name) -> bool {
        let is_one = |backup: &Backup| {
            let before = name.as_bytes().strip_suffix(backup.suffix.as_slice());
            backup.directory.is_none() && before.is_some_and(|name| !name.is_empty())
        };
        self.context.options.backup.as_ref().is_some_and(is_one)
    }

    /// The directory for the backups of what is in the directory at `path`.
    fn backups_of(&self, named: &[u8], path: &RelPath) -> Result<WriteDir, Error> {
        let mut opened = self.backups.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, dir)) = opened.last.as_ref().filter(|(last, _)| last == path) {
            return Ok(dir.clone());
        }
        let mut dir = match &opened.root {
            Some(root) => root.clone(),
            None => {
                let root = self.open_backups(named)?;
                opened.root = Some(root.clone());
                root
            }
        };
        let mut live = self.live_root();
        // Each element of a path is a name.
        for name in path.elements().filter_map(|element| Name::new(element).ok()) {
            live = live.and_then(|live| live.open_dir(&name).ok());
            dir = self.made_like(&dir, &name, live.as_ref())?;
        }
        opened.last = Some((path.clone(), dir.clone()));
        Ok(dir)
    }

    fn open_backups(&self, named: &[u8]) -> Result<WriteDir, Error> {
        let missing = || Error { doing: BACKING_UP, source: io::ErrorKind::NotFound.into() };
        let root = self.live_root().ok_or_else(missing)?;
        Root::make_from(&root, OsStr::from_bytes(named), self.context.paths)?.writable().ok_or_else(missing)
    }

    /// Copies an entry, with its attributes.
    fn copy(&self, dir: &WriteDir, name: &Name, node: &Node, to: &WriteDir, new: &Name) -> Result<(), Error> {
        let Some(entry) = dir.entry(name)? else { return Ok(()) };
        let (kind, meta) = (node.kind(), entry.meta);
        let names = self.all_names();
        let kept = Kept {
            extra: dir.extra(name, kind, &Look { acls: true, xattrs: None, atimes: true })?,
            xattrs: dir.xattrs(name, kind, names)?,
            names: names.clone(),
        };
        let atime = kept.extra.as_ref().and_then(|extra| extra.atime);
        let owner = SetMeta { owner: Some(meta.uid), group: Some(meta.gid), ..SetMeta::default() };
        let set = SetMeta { mtime: Some(meta.mtime), atime, ..SetMeta::default() };
        if !matches!(node, Node::File { .. }) {
            let set = SetMeta { mode: Some(meta.mode), ..set };
            to.make_node(new, node, &set, true)?;
            // Who is not root keeps what others gave him as his own.
            let _ = to.set_meta(new, kind, &owner);
            let mode = kept.set(meta.mode, |extended| to.set_extended(new, kind, extended))?;
            return to.set_meta(new, kind, &SetMeta { mode: Some(mode), ..set });
        }
        let file = dir.open_file(name)?;
        let stage = to.stage(new)?;
        if !stage.share_blocks_of(&file)? {
            stage.copy_from(&file, 0, file.len(), 0, 1)?;
        }
        let stage = stage.brought_home(|| true)?;
        let _ = stage.set_meta(&owner);
        let mode = kept.set(meta.mode, |extended| stage.set_extended(extended))?;
        stage.install(&SetMeta { mode: Some(mode), ..set })
    }

    /// Opens a directory for backups, which is made like the one of the destination if it is not there.
    fn made_like(&self, parent: &WriteDir, name: &Name, live: Option<&Dir>) -> Result<WriteDir, Error> {
        match parent.open_dir_writable(name) {
            Err(error) if error.is_not_found() => {}
            opened => return opened,
        }
        if let Err(error) = parent.make_dir(name, 0o700)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error);
        }
        let dir = parent.open_dir_writable(name)?;
        let Some((live, meta)) = live.and_then(|live| Some((live, live.own_meta().ok()?))) else {
            let mode = Some(0o777 & !crate::fs::umask());
            dir.set_own_meta(&SetMeta { mode, ..SetMeta::default() })?;
            return Ok(dir);
        };
        let owner = SetMeta { owner: Some(meta.uid), group: Some(meta.gid), ..SetMeta::default() };
        let _ = dir.set_own_meta(&owner);
        let names = self.all_names();
        let kept = Kept {
            extra: live.own_extra(&Look { acls: true, ..Look::default() })?,
            xattrs: live.own_xattrs(names)?,
            names: names.clone(),
        };
        let mode = Some(kept.set(meta.mode | 0o700, |extended| dir.set_own_extended(extended))?);
        dir.set_own_meta(&SetMeta { mode, ..SetMeta::default() })?;
        Ok(dir)
    }

    fn live_root(&self) -> Option<Dir> {
        Some(self.destination.get()?.root.as_ref()?.dir().clone())
    }
}

const BACKING_UP: &str = "making a backup of";

/// Makes room for a backup where an empty directory has its name.
fn clear(to: &WriteDir, new: &Name) -> Result<(), Error> {
    match to.entry(new)? {
        Some(entry) if entry.is_dir() => to.remove(new, Kind::Directory),
        _ => Ok(()),
    }
}

/// What a backup has of extended attributes and ACLs.
struct Kept {
    extra: Option<Box<Extra>>,
    xattrs: Xattrs,
    names: XattrNames,
}

impl Kept {
    /// Sets it by `set` on what is to have this mode. Where a file system has nothing of the kind, nobody is let in by
    /// that: without its ACL, the bits of the group are what that had for it. Returns the mode to be set then.
    fn set(&self, mode: u32, set: impl Fn(&SetExtended<'_>) -> Result<(), Error>) -> Result<u32, Error> {
        let acls = self.extra.as_ref().and_then(|extra| extra.acls.as_deref());
        let xattrs = SetExtended { acls: None, xattrs: Some((&self.xattrs, &self.names)) };
        match set(&xattrs) {
            Err(error) if !error.is_unsupported() => return Err(error),
            _ => {}
        }
        let access = acls.and_then(|acls| acls.access.as_ref());
        match (set(&SetExtended { acls: Some(SetAcls { acls, mode }), xattrs: None }), access) {
            (Err(error), Some(access)) if error.is_unsupported() => {
                Ok((mode & !0o070) | u32::from(access.group) << 3)
            }
            (done, _) => done.map(|()| mode),
        }
    }
}
