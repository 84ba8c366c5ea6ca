//! Changing what is in a directory, one name at a time.

use crate::fs::attributes::{self, SetMeta};
use crate::fs::{
    Dir, Error, Keeping, SetExtended, Slot, Stage, Stamp, WriteFile, Writing, beneath, extended, fake,
    in_place, kernel, limits, stage, whole,
};
use crate::tree::{Kind, Name, Node, Rdev, RelPath};
use rustix::fs::{AtFlags, FileType, RawMode};
use rustix::io::Errno;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

const CREATING: &str = "creating";

/// A handle on a directory that may be changed. It does all that a [`Dir`] does. Only a writable
/// [`Root`](crate::fs::Root) gives one out.
#[derive(Debug, Clone)]
pub struct WriteDir {
    dir: Dir,
    writing: Arc<Writing>,
}

impl Deref for WriteDir {
    type Target = Dir;
    fn deref(&self) -> &Dir {
        &self.dir
    }
}

impl AsFd for WriteDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

impl WriteDir {
    pub(super) fn new(dir: Dir, writing: Arc<Writing>) -> WriteDir {
        WriteDir { dir, writing }
    }

    /// How files in it are written.
    pub(super) fn writing(&self) -> &Writing {
        &self.writing
    }

    /// Another directory, in which files are written as in this one.
    pub(super) fn like(&self, dir: Dir) -> WriteDir {
        WriteDir { dir, writing: self.writing.clone() }
    }

    /// As [`Dir::open_dir`], to change what is in it.
    pub fn open_dir_writable(&self, name: &Name) -> Result<WriteDir, Error> {
        let opened = beneath::open_one(self.as_fd(), name.as_bytes());
        Ok(self.like(self.dir.like(opened.map_err(Error::when("opening directory"))?)))
    }

    /// As [`Dir::open_beneath`], to change what is in it.
    pub fn open_beneath_writable(&self, path: &RelPath) -> Result<WriteDir, Error> {
        self.dir.open_beneath(path).map(|dir| self.like(dir))
    }

    /// As [`Dir::open_inside`], to change what is in it.
    pub fn open_inside_writable(&self, path: &RelPath) -> Result<WriteDir, Error> {
        self.dir.open_inside(path).map(|dir| self.like(dir))
    }

    /// Makes a directory with `mode` less the process's umask. The name must be free.
    pub fn make_dir(&self, name: &Name, mode: u32) -> Result<(), Error> {
        rustix::fs::mkdirat(self.as_fd(), name.as_bytes(), attributes::mode_bits(mode))
            .map_err(Error::when("creating directory"))
    }

    /// Makes a symbolic link, fifo, socket or device with these attributes. With `replace` it takes the place of
    /// whatever has the name (but a directory) in one step, so that the name always holds the old or the new entry;
    /// otherwise the name must be free. Files and directories are made elsewhere and refused here.
    pub fn make_node(&self, name: &Name, node: &Node, meta: &SetMeta, replace: bool) -> Result<(), Error> {
        self.make_node_with(name, node, meta, &SetExtended::default(), replace)
    }

    /// The same with extended attributes and ACLs.
    pub fn make_node_with(
        &self,
        name: &Name,
        node: &Node,
        meta: &SetMeta,
        extended: &SetExtended<'_>,
        replace: bool,
    ) -> Result<(), Error> {
        let make = |name: &Name| self.make_with_meta(name, node, meta, extended);
        if !replace {
            return make(name);
        }
        let staged = stage::stage_name(name);
        match make(&staged) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                stage::take_leftover(self.as_fd(), &staged)?;
                make(&staged)?;
            }
            done => done?,
        }
        rustix::fs::renameat(self.as_fd(), staged.as_bytes(), self.as_fd(), name.as_bytes()).map_err(
            |error| {
                self.discard(&staged);
                Error::when("renaming into place")(error)
            },
        )
    }

    /// Makes the entry and sets its attributes, or leaves nothing.
    fn make_with_meta(
        &self,
        name: &Name,
        node: &Node,
        meta: &SetMeta,
        extended: &SetExtended<'_>,
    ) -> Result<(), Error> {
        self.make(name, node, meta.mode)?;
        let (owner, rest) = meta.split_owner();
        let (here, kind) = (&self.dir, node.kind());
        let set = if extended.is_empty() {
            attributes::set_entry(here, name, kind, meta)
        } else {
            attributes::set_entry(here, name, kind, &owner)
                .and_then(|()| extended::set_entry(here, name, kind, extended))
                .and_then(|()| attributes::set_entry(here, name, kind, &rest))
        };
        set.inspect_err(|_| self.discard(name))
    }

    fn make(&self, name: &Name, node: &Node, mode: Option<u32>) -> Result<(), Error> {
        const NO_DEVICE: Rdev = Rdev { major: 0, minor: 0 };
        if self.keeping() == Keeping::Attributes && !matches!(node, Node::File { .. } | Node::Directory) {
            return fake::make(self.as_fd(), name, node, mode, limits::umask());
        }
        let (kind, device) = match node {
            Node::Symlink { target } => {
                return rustix::fs::symlinkat(&**target, self.as_fd(), name.as_bytes())
                    .map_err(Error::when("creating symbolic link"));
            }
            Node::Fifo => (FileType::Fifo, NO_DEVICE),
            Node::Socket => (FileType::Socket, NO_DEVICE),
            Node::CharDevice(device) => (FileType::CharacterDevice, *device),
            Node::BlockDevice(device) => (FileType::BlockDevice, *device),
            Node::File { .. } | Node::Directory => {
                return Err(Error::refused(CREATING, io::ErrorKind::InvalidInput, "not a special file"));
            }
        };
        // Closed to others until its owner and mode are set; 0666 is what mknod(1) gives when nothing is asked for.
        let mode: RawMode = if mode.is_some() { 0o600 } else { 0o666 };
        kernel::make_special(self.as_fd(), name, kind, mode, device).map_err(Error::when(CREATING))
    }

    /// Removes what this handle just made and cannot finish. If that fails too, the first error is the one to tell.
    fn discard(&self, name: &Name) {
        let _ = rustix::fs::unlinkat(self.as_fd(), name.as_bytes(), AtFlags::empty());
    }

    /// Begins a new version of the file `name`, beside the present one.
    pub fn stage(&self, name: &Name) -> Result<Stage, Error> {
        stage::begin(self, name)
    }

    /// Makes `content` the new version of the file `name`, beside the present one until it is whole. `set` gives the
    /// open file its attributes. `false` if somebody took the new version for a leftover and removed it: then the file
    /// is as it was, and is to be staged.
    pub fn write_whole(
        &self,
        name: &Name,
        content: &[u8],
        set: impl FnOnce(&WriteFile) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        whole::replace(self, name, content, set)
    }

    /// The same for a file that is not there yet. `mode` is what `set` is going to make of its permissions; `set` may
    /// be called twice. `false` also if there is a file of that name by now.
    pub fn write_new(
        &self,
        name: &Name,
        content: &[u8],
        mode: u32,
        set: impl FnMut(&WriteFile) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        whole::create(self, name, content, mode, set)
    }

    /// Makes a file with this content and these attributes under a name that must be free. Returns its stamp; `None` if
    /// the name is taken, and then nothing has changed.
    pub fn write_if_free(&self, name: &Name, content: &[u8], meta: &SetMeta) -> Result<Option<Stamp>, Error> {
        if let Some(done) = whole::create_if_free(self, name, content, meta) {
            return done;
        }
        let stage = self.stage(name)?;
        stage.write_at(content, 0)?;
        stage.install_if_free(meta, Slot { dir: self, name })
    }

    /// Removes what a killed run left under this staged name. `false` if there is nothing.
    ///
    /// # Errors
    ///
    /// A living run writes there, or what has the name is not of dsync's making.
    pub fn clear_staged(&self, staged: &Name) -> Result<bool, Error> {
        stage::take_leftover(self.as_fd(), staged).map(|found| found.is_some())
    }

    /// Opens the file `name` to change it where it is, or creates it, open to its owner only.
    pub fn open_in_place(&self, name: &Name) -> Result<WriteFile, Error> {
        in_place::open(self, name)
    }

    /// Gives an entry another name, in any directory of the same file system, in place of whatever but a directory has
    /// that. `false` if the other directory is on another file system.
    pub fn rename(&self, name: &Name, to: &WriteDir, new: &Name) -> Result<bool, Error> {
        match rustix::fs::renameat(self.as_fd(), name.as_bytes(), to.as_fd(), new.as_bytes()) {
            Err(Errno::XDEV) => Ok(false),
            done => done.map(|()| true).map_err(Error::when("renaming")),
        }
    }

    /// Sets attributes of an entry, which must be of that kind. A symbolic link gets them itself.
    pub fn set_meta(&self, name: &Name, kind: Kind, meta: &SetMeta) -> Result<(), Error> {
        attributes::set_entry(&self.dir, name, kind, meta)
    }

    /// Sees to it that the names in it are on the disk, if files are to be.
    pub fn sync_names(&self) -> Result<(), Error> {
        if !self.writing.fsync {
            return Ok(());
        }
        rustix::fs::fsync(self.as_fd()).map_err(Error::when("writing to the disk"))
    }

    /// Sets attributes of the directory itself.
    pub fn set_own_meta(&self, meta: &SetMeta) -> Result<(), Error> {
        attributes::set(self.as_fd(), self.keeping(), Kind::Directory, meta)
    }

    /// Sets extended attributes and ACLs of an entry, which must be of that kind. A symbolic link gets them itself.
    pub fn set_extended(&self, name: &Name, kind: Kind, extended: &SetExtended<'_>) -> Result<(), Error> {
        extended::set_entry(&self.dir, name, kind, extended)
    }

    /// Sets those of the directory itself.
    pub fn set_own_extended(&self, extended: &SetExtended<'_>) -> Result<(), Error> {
        extended::set(self.as_fd(), self.keeping(), Kind::Directory, extended)
    }

    /// Removes an entry, which must be of that kind as far as directories go; a directory must be empty.
    pub fn remove(&self, name: &Name, kind: Kind) -> Result<(), Error> {
        let (flags, doing) = match kind {
            Kind::Directory => (AtFlags::REMOVEDIR, "removing directory"),
            _ => (AtFlags::empty(), "removing"),
        };
        rustix::fs::unlinkat(self.as_fd(), name.as_bytes(), flags).map_err(Error::when(doing))
    }
}
