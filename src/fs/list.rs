//! Listing a directory: its names, then the attributes of each.

use crate::fs::status::{self, Status};
use crate::fs::{Dir, Error, Stamp, fake, file, kernel};
use crate::tree::{Entry, InvalidName, Kind, Meta, Name, Node};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How often an entry is looked at again when it changes between its attributes and its link target.
const ATTEMPTS: usize = 8;

const LISTING: &str = "listing directory";
const ATTRIBUTES: &str = "reading attributes of";

/// What a directory holds.
#[derive(Debug)]
pub struct Listing<E = Entry> {
    /// The entries, sorted by the bytes of their names.
    pub entries: Vec<E>,
    /// Names whose entry could not be read, as the system gave them, each with the reason.
    pub failed: Vec<(Vec<u8>, Error)>,
    /// Why reading the names ended early: what is not listed may be there all the same.
    pub broken: Option<Error>,
}

/// An entry with the stamp it was seen with.
#[derive(Debug, Clone)]
pub struct Stamped {
    /// The entry.
    pub entry: Entry,
    /// Its stamp.
    pub stamp: Stamp,
}

impl<E> Listing<E> {
    /// Whether everything in the directory is among the entries, so that a missing name means a missing entry.
    pub fn is_whole(&self) -> bool {
        self.failed.is_empty() && self.broken.is_none()
    }
}

/// A handle of its own, since the reading position belongs to the handle and clones share theirs.
fn reader(dir: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(dir, ".", flags, Mode::empty()).map_err(Error::when(LISTING))
}

/// Whether there is no name in the directory behind a handle.
pub(super) fn is_empty(dir: BorrowedFd<'_>) -> Result<bool, Error> {
    let mut is_empty = true;
    let mut see = |name: &[u8], _| is_empty &= matches!(name, b"." | b"..");
    read_names(reader(dir)?, &mut see).map_err(Error::when(LISTING))?;
    Ok(is_empty)
}

/// Lists the directory behind a handle. `make` makes of each entry and its stat what the listing holds of it.
pub(super) fn list<E>(dir: &Dir, make: impl Fn(Entry, &Stat) -> E) -> Result<Listing<E>, Error> {
    let reader = reader(dir.as_fd())?;
    let mut names: Vec<Name> = Vec::new();
    let mut listing = Listing { entries: Vec::new(), failed: Vec::new(), broken: None };
    let outcome = read_names(reader, &mut |bytes, _| match Name::new(bytes) {
        Ok(name) => names.push(name),
        Err(InvalidName::Dots(_)) => {}
        Err(invalid) => {
            let error = Error::refused(ATTRIBUTES, io::ErrorKind::InvalidInput, invalid);
            listing.failed.push((bytes.to_vec(), error));
        }
    });
    listing.broken = outcome.err().map(Error::when(LISTING));
    // Some file systems repeat a name when a directory changes while it is read.
    names.sort_unstable();
    names.dedup();
    listing.entries.reserve_exact(names.len());
    for name in names {
        match look(dir, &name) {
            Ok(Some((node, meta, stat))) => {
                listing.entries.push(make(seen(name, node, meta, &stat), &stat));
            }
            Ok(None) => {}
            Err(error) => listing.failed.push((name.into(), error)),
        }
    }
    Ok(listing)
}

/// The names of the directories behind a handle, sorted. Entries that vanish meanwhile are left out.
pub(super) fn directories(dir: &Dir) -> Result<Vec<Name>, Error> {
    let (mut names, mut unknown) = (Vec::new(), Vec::new());
    let outcome = read_names(reader(dir.as_fd())?, &mut |bytes, kind| match (Name::new(bytes), kind) {
        (Ok(name), FileType::Directory) => names.push(name),
        (Ok(name), FileType::Unknown) => unknown.push(name),
        _ => {}
    });
    outcome.map_err(Error::when(LISTING))?;
    // Not every file system tells it with the name.
    for name in unknown {
        // One that cannot be looked at is nothing that could be entered.
        if entry(dir, &name).is_ok_and(|entry| entry.is_some_and(|entry| entry.is_dir())) {
            names.push(name);
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Hands every name to `each`, with what it is a name of as far as that is told, by the system's own call or by
/// readdir(3).
fn read_names(reader: OwnedFd, each: &mut dyn FnMut(&[u8], FileType)) -> rustix::io::Result<()> {
    if let Some(outcome) = kernel::read_names(reader.as_fd(), each) {
        return outcome;
    }
    let mut reader = rustix::fs::Dir::new(reader)?;
    for entry in reader.by_ref() {
        let entry = entry?;
        each(entry.file_name().to_bytes(), entry.file_type());
    }
    // A directory removed while it was read looks empty here, where the system's own call says that it is gone.
    match rustix::fs::fstat(reader.fd()?)?.st_nlink {
        0 => Err(Errno::NOENT),
        _ => Ok(()),
    }
}

/// The entry of that name, `None` if there is none.
pub(super) fn entry(dir: &Dir, name: &Name) -> Result<Option<Entry>, Error> {
    Ok(stamped(dir, name)?.map(|found| found.entry))
}

/// The same with its stamp.
pub(super) fn stamped(dir: &Dir, name: &Name) -> Result<Option<Stamped>, Error> {
    Ok(look(dir, name)?.map(|(node, meta, stat)| with_stamp(seen(name.clone(), node, meta, &stat), &stat)))
}

/// The entry that was looked at.
pub(super) fn seen(name: Name, node: Node, meta: Meta, stat: &Stat) -> Entry {
    let mut entry = Entry::new(name, node, meta);
    if let Some(inode) = status::inode(stat) {
        entry.extra_mut().inode = Some(inode);
    }
    entry
}

/// The stamp of an entry that has other names besides, and is no directory.
pub(super) fn stamp_of_linked(dir: BorrowedFd<'_>, name: &Name) -> Result<Option<Stamp>, Error> {
    match rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(None),
        stat => {
            let stat = stat.map_err(Error::when(ATTRIBUTES))?;
            let is_linked = stat.st_nlink > 1 && status::kind(&stat) != Some(Kind::Directory);
            Ok(is_linked.then(|| Stamp::of(&stat)))
        }
    }
}

/// How many names the inode has that has this one.
#[allow(clippy::useless_conversion, reason = "it is narrower on other systems")]
pub(super) fn link_count(dir: BorrowedFd<'_>, name: &Name) -> Result<u64, Error> {
    let stat = rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
    Ok(stat.map_err(Error::when(ATTRIBUTES))?.st_nlink.into())
}

/// What is at the end of a symbolic link that was followed; `None` if that is a link all the same.
pub(super) fn followed(status: &Status, stat: &Stat) -> Result<Option<Node>, Error> {
    match status.kind {
        Some(Kind::Symlink) => Ok(None),
        _ => unlinked(status, stat).map(Some),
    }
}

/// For [`list`].
pub(super) fn with_stamp(entry: Entry, stat: &Stat) -> Stamped {
    Stamped { entry, stamp: Stamp::of(stat) }
}

/// Looks at one entry without following it.
fn look(dir: &Dir, name: &Name) -> Result<Option<(Node, Meta, Stat)>, Error> {
    for _ in 0..ATTEMPTS {
        let stat = match rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Error::when(ATTRIBUTES)(error)),
        };
        let (status, handle) = match dir.keeping().status_of_entry(dir.as_fd(), name, &stat) {
            Err(error) if error.is_not_found() => continue,
            status => status?,
        };
        let node = match handle.filter(|_| status.kind == Some(Kind::Symlink)) {
            Some(handle) => Some(Node::Symlink { target: fake::target(handle.as_fd())? }),
            None => node(dir.as_fd(), name, &status, &stat)?,
        };
        if let Some(node) = node {
            let open = |flags| rustix::fs::openat(dir, name.as_bytes(), file::PLAIN | flags, Mode::empty());
            let (node, meta) = dir.devices().listed((node, status.meta), &stat, open);
            return Ok(Some((node, meta, stat)));
        }
    }
    Err(Error::refused(ATTRIBUTES, io::ErrorKind::Other, "the entry keeps changing"))
}

/// The details of an entry; `None` if it is no longer the symbolic link that `stat` saw.
fn node(dir: BorrowedFd<'_>, name: &Name, status: &Status, stat: &Stat) -> Result<Option<Node>, Error> {
    if status.kind != Some(Kind::Symlink) {
        return unlinked(status, stat).map(Some);
    }
    match rustix::fs::readlinkat(dir, name.as_bytes(), Vec::new()) {
        Ok(target) => Ok(Some(Node::Symlink { target: target.into_bytes().into() })),
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(error) => Err(Error::when("reading symbolic link")(error)),
    }
}

/// The details of anything but a symbolic link.
fn unlinked(status: &Status, stat: &Stat) -> Result<Node, Error> {
    Ok(match status.kind {
        Some(Kind::File) => Node::File { size: status::size(stat) },
        Some(Kind::Directory) => Node::Directory,
        Some(Kind::Fifo) => Node::Fifo,
        Some(Kind::Socket) => Node::Socket,
        Some(Kind::CharDevice) => Node::CharDevice(status.device),
        Some(Kind::BlockDevice) => Node::BlockDevice(status.device),
        Some(Kind::Symlink) | None => {
            return Err(Error::refused(
                ATTRIBUTES,
                io::ErrorKind::Unsupported,
                "the entry is of an unknown kind",
            ));
        }
    })
}
