//! The content of one file, opened for reading or for writing.
//!
//! Positions are given with every call, so one open file serves several threads.

use crate::fs::holes::Holes;
use crate::fs::stage::{self, Lock};
use crate::fs::status::{self, Status};
use crate::fs::{
    Devices, Dir, Error, Keeping, Look, Pieces, SetExtended, SetMeta, Sharing, WriteDir, XattrNames,
    attributes, copy, devices, extended, kernel,
};
use crate::tree::{Extra, Kind, Meta, Name, Stamp, Xattrs};
use filetime::FileTime;
use rustix::buffer::spare_capacity;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::retry_on_intr;
use std::cmp::Ordering;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

impl Stamp {
    pub(super) fn of(stat: &Stat) -> Stamp {
        let (dev, ino) = status::identity(stat);
        let meta = status::meta(stat);
        Stamp { dev, ino, size: status::size(stat), mtime: meta.mtime, ctime: status::changed(stat) }
    }
}

/// What any open regular file is opened with, beside its direction: never through a symbolic link, never waiting for
/// the other end of a fifo, never becoming a terminal's owner.
pub(super) const PLAIN: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// A regular file opened for reading.
#[derive(Debug)]
pub struct ReadFile {
    file: File,
    stamp: Stamp,
    meta: Meta,
    /// Whether it has holes.
    sparse: bool,
    keeping: Keeping,
    /// Whether it is a device, of which nothing is read behind its end.
    device: bool,
}

/// Opens a regular file for reading.
pub(super) fn open_to_read(dir: &Dir, name: &Name) -> Result<ReadFile, Error> {
    let open =
        |flags| rustix::fs::openat(dir, name.as_bytes(), flags | PLAIN | OFlags::RDONLY, Mode::empty());
    let handle = match kernel::without_access() {
        // Only the owner of a file may leave no trace of reading it.
        Some(flag) => open(flag).or_else(|error| {
            if error == rustix::io::Errno::PERM { open(OFlags::empty()) } else { Err(error) }
        }),
        None => open(OFlags::empty()),
    };
    ReadFile::new(handle.map_err(Error::when("opening"))?, dir.keeping(), dir.devices())
}

/// The attributes of an open file, which must be a regular one, or a device where these have content.
pub(super) fn with_content(handle: &OwnedFd, devices: Devices) -> Result<Stat, Error> {
    let stat = rustix::fs::fstat(handle).map_err(Error::when("reading attributes of"))?;
    if devices.have_content(&stat) { Ok(stat) } else { Err(not_regular()) }
}

fn not_regular() -> Error {
    Error::refused("opening", io::ErrorKind::InvalidInput, "not a regular file")
}

impl ReadFile {
    pub(super) fn new(handle: OwnedFd, keeping: Keeping, devices: Devices) -> Result<ReadFile, Error> {
        let stat = with_content(&handle, devices)?;
        let Status { kind, meta, .. } = keeping.status(handle.as_fd(), &stat)?;
        if !devices.may_be(kind, Kind::File) {
            return Err(not_regular());
        }
        let device = status::kind(&stat) != Some(Kind::File);
        let sparse = !device && status::has_holes(&stat);
        let size = if device { devices::length(&handle) } else { status::size(&stat) };
        let stamp = Stamp { size, ..Stamp::of(&stat) };
        Ok(ReadFile { file: File::from(handle), stamp, meta, sparse, keeping, device })
    }

    /// What `look` sees of it besides what the system always tells.
    ///
    /// # Errors
    /// Those of the system.
    pub fn extra(&self, look: &Look) -> Result<Option<Box<Extra>>, Error> {
        extended::look_at(self.file.as_fd(), self.keeping, Kind::File, look)
    }

    /// Its extended attributes.
    ///
    /// # Errors
    /// Those of the system, or they are longer than [`MAX_XATTRS`](crate::tree::xattr::MAX_XATTRS).
    pub fn xattrs(&self, of: &XattrNames) -> Result<Xattrs, Error> {
        extended::xattrs(self.file.as_fd(), self.keeping, of)
    }

    /// Length in bytes when the file was opened.
    pub fn len(&self) -> u64 {
        self.stamp.size
    }

    /// Whether the file was empty when it was opened.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The attributes the file had when it was opened.
    pub fn meta(&self) -> Meta {
        self.meta
    }

    /// The modification time the file had when it was opened.
    pub fn mtime(&self) -> FileTime {
        self.stamp.mtime
    }

    /// Which version of the file was opened.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether the file is another version by now.
    pub fn changed(&self) -> io::Result<bool> {
        let now = Stamp::of(&rustix::fs::fstat(&self.file)?);
        // A device stays as long as it is.
        let size = if self.device { self.stamp.size } else { now.size };
        Ok(Stamp { size, ..now } != self.stamp)
    }

    /// Reads into `buffer` from `offset` on; fewer bytes than fit are possible anywhere, 0 means the end of the file.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::pread(&self.file, &mut *buffer, offset))?)
    }

    /// Reads until `buffer` is full or the file ends, and returns how many bytes that were.
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_full(self.as_fd(), buffer, offset)
    }

    /// Appends all of the file to `data`, if it is no longer than it was when it was opened. Else it appends nothing
    /// and returns `false`. After an error, part of the file may be there.
    pub fn append_to(&self, data: &mut Vec<u8>) -> io::Result<bool> {
        let start = data.len();
        let expected = usize::try_from(self.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = start.saturating_add(expected);
        if self.device {
            data.resize(end, 0);
            let read = self.read_full_at(data.get_mut(start..).unwrap_or_default(), 0)?;
            data.truncate(start.saturating_add(read));
            return Ok(true);
        }
        // One byte more shows where the file ends.
        data.reserve(expected.saturating_add(1));
        loop {
            let offset = data.len().saturating_sub(start) as u64;
            let read = retry_on_intr(|| rustix::io::pread(&self.file, spare_capacity(data), offset))?;
            match data.len().cmp(&end) {
                Ordering::Greater => {
                    data.truncate(start);
                    return Ok(false);
                }
                // One that ends where it ended is at its end, which saves asking once more.
                Ordering::Equal => return Ok(true),
                Ordering::Less if read == 0 => return Ok(true),
                Ordering::Less => {}
            }
        }
    }

    /// A stretch of the file, to be read piece by piece; one that ends at [`u64::MAX`] goes on to the end of the file,
    /// however long it has become.
    pub fn pieces(&self, range: Range<u64>) -> Pieces<'_> {
        let end = if self.device { range.end.min(self.len()) } else { range.end };
        Pieces::new(self.as_fd(), self.len(), range.start..end).with_holes(self.sparse)
    }

    /// Whether it is a device, which only who reads it here knows the length of.
    pub fn is_device(&self) -> bool {
        self.device
    }

    /// Locks the file against [`WriteFile::lock`], together with others that do the same, for as long as it is open
    /// here. `false` if somebody has it locked for himself.
    ///
    /// # Errors
    /// The file system has no locks.
    pub fn lock_shared(&self) -> Result<bool, Error> {
        is_held(stage::lock_shared(&self.file))
    }

    /// Announces that the file will be read from front to back.
    pub fn advise_sequential(&self) {
        kernel::advise_sequential(&self.file);
    }
}

impl From<ReadFile> for OwnedFd {
    fn from(file: ReadFile) -> OwnedFd {
        file.file.into()
    }
}

impl AsFd for ReadFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A regular file open for writing and reading: a [`Stage`](crate::fs::Stage), or one to be changed where it is. The
/// content of that stays until it is written over, so it serves as a basis as well.
#[derive(Debug)]
pub struct WriteFile {
    file: OwnedFd,
    /// If zeros are to be left out.
    holes: Option<Box<Holes>>,
    /// Whether what was written is to be on the disk in the end.
    fsync: bool,
    sharing: Sharing,
    keeping: Keeping,
    /// Whether it is a device, whose length is its own.
    device: bool,
}

impl WriteFile {
    /// A file of this length that is written as those of a directory.
    pub(super) fn new(file: OwnedFd, len: u64, dir: &WriteDir) -> WriteFile {
        let writing = dir.writing();
        let holes = writing.sparse.then(|| Box::new(Holes::of_len(len)));
        WriteFile {
            file,
            holes,
            fsync: writing.fsync,
            sharing: writing.sharing,
            keeping: dir.keeping(),
            device: false,
        }
    }

    /// The same as what it turned out to be: a device has no holes.
    pub(super) fn of_kind(self, kind: Option<Kind>) -> WriteFile {
        let device = kind != Some(Kind::File);
        WriteFile { device, holes: self.holes.filter(|_| !device), ..self }
    }

    /// Whether it is a device, whose length is its own.
    pub fn is_device(&self) -> bool {
        self.device
    }

    /// Length in bytes now.
    #[allow(clippy::len_without_is_empty, reason = "each would be a question to the system")]
    pub fn len(&self) -> io::Result<u64> {
        if self.device {
            return Ok(devices::length(&self.file));
        }
        Ok(status::size(&rustix::fs::fstat(&self.file)?))
    }

    /// Reads what is there, as [`ReadFile::read_at`].
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::pread(&self.file, &mut *buffer, offset))?)
    }

    /// Reads what is there, as [`ReadFile::read_full_at`].
    pub fn read_full_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        read_full(self.as_fd(), buffer, offset)
    }

    /// A stretch of what is there, as [`ReadFile::pieces`].
    pub fn pieces(&self, range: Range<u64>) -> Pieces<'_> {
        Pieces::new(self.as_fd(), range.end, range)
    }

    /// Which version of the file this is now.
    pub fn stamp(&self) -> Result<Stamp, Error> {
        let stat = rustix::fs::fstat(&self.file).map_err(Error::when("reading attributes of"))?;
        Ok(Stamp::of(&stat))
    }

    /// Writes all of `data` at `offset`, past the present end too.
    pub fn write_at(&self, data: &[u8], offset: u64) -> Result<(), Error> {
        let written = match &self.holes {
            None => write_full(self.as_fd(), data, offset),
            Some(holes) => holes.write(self.as_fd(), data, offset),
        };
        written.map_err(Error::when("writing"))
    }

    /// Copies `len` bytes from `offset` of `from` to `at` in this file, inside the kernel where possible. Returns how
    /// many were copied: fewer only if `from` ends before. At most `threads` threads work on it, and if there are
    /// several and `from` is cut off meanwhile, some of what was behind may be here too.
    pub fn copy_from(
        &self,
        from: impl AsFd,
        offset: u64,
        len: u64,
        at: u64,
        threads: usize,
    ) -> Result<u64, Error> {
        let copied = match &self.holes {
            None => {
                let in_kernel = self.sharing != Sharing::Never;
                copy::copy((from.as_fd(), offset), len, (self.as_fd(), at), threads, in_kernel)
            }
            Some(holes) => copy::copy_sparse(from.as_fd(), offset, len, self.as_fd(), at, holes),
        };
        copied.map_err(Error::when("copying into"))
    }

    /// Whether a copy of all of a file may only be made by sharing its blocks.
    pub fn demands_sharing(&self) -> bool {
        self.sharing == Sharing::Demanded
    }

    /// The error of a copy that would have to be made otherwise, though sharing is demanded.
    pub fn check_unshared(&self) -> Result<(), Error> {
        if self.demands_sharing() { Err(unshared()) } else { Ok(()) }
    }

    /// As [`share_blocks_of`](WriteFile::share_blocks_of), or an error. Returns how many bytes `from` has.
    pub fn share_all_of(&self, from: impl AsFd) -> Result<u64, Error> {
        const SHARING: &str = "copying into";
        let len = || rustix::fs::fstat(&from).map(|stat| status::size(&stat)).map_err(Error::when(SHARING));
        let before = len()?;
        if !self.share_blocks_of(&from)? {
            return Err(unshared());
        }
        match len()? == before {
            true => Ok(before),
            false => Err(Error::refused(SHARING, io::ErrorKind::Other, "the file changed; run again")),
        }
    }

    /// Makes this file, which is empty or is to lose what it holds, share all blocks of `from`: a copy of that as it is
    /// now, made at once and without room of its own. What it holds behind the end of `from` stays. `false` where the
    /// file system cannot, or this is not to be.
    pub fn share_blocks_of(&self, from: impl AsFd) -> Result<bool, Error> {
        if self.sharing == Sharing::Never {
            return Ok(false);
        }
        let shared = kernel::clone_file(from.as_fd(), self.as_fd())
            .transpose()
            .map_or_else(|error| Err(Error::when("copying into")(error)), |done| Ok(done.is_some()))?;
        if let (true, Some(holes)) = (shared, &self.holes) {
            holes.set_len(self.len().map_err(Error::when("copying into"))?);
        }
        Ok(shared)
    }

    /// Copies all of `from` into this file, which is empty: by sharing its blocks where that can be, and else with the
    /// holes that it has.
    pub fn copy_all_of(&self, from: &ReadFile) -> Result<(), Error> {
        if self.share_blocks_of(from)? {
            return Ok(());
        }
        if !from.sparse || self.holes.is_some() {
            return self.copy_from(from, 0, from.len(), 0, 1).map(drop);
        }
        let copied = copy::copy_sparse(from.as_fd(), 0, from.len(), self.as_fd(), 0, &Holes::default());
        copied.map(drop).map_err(Error::when("copying into"))
    }

    /// Cuts the file off at `len` bytes, or extends it by a hole. A device stays as long as it is.
    pub fn set_len(&self, len: u64) -> Result<(), Error> {
        if self.device {
            return Ok(());
        }
        retry_on_intr(|| rustix::fs::ftruncate(&self.file, len))
            .map_err(Error::when("setting the length of"))?;
        self.holes.iter().for_each(|holes| holes.set_len(len));
        Ok(())
    }

    /// Sets space aside for `len` bytes where the file system can, so that a full one is noticed before anything is
    /// sent. The length stays, and so do the holes of what is there already in a file in which zeros are left out.
    pub fn preallocate(&self, len: u64) -> Result<(), Error> {
        const RESERVING: &str = "allocating space for";
        if self.device {
            return Ok(());
        }
        let from = match &self.holes {
            None => 0,
            Some(holes) => {
                holes.reserved();
                self.len().map_err(Error::when(RESERVING))?
            }
        };
        kernel::reserve(self.as_fd(), from..len).map_err(Error::when(RESERVING))
    }

    /// Those of the attributes that the file does not have, to be set; its time among them in any case.
    pub fn lacking(&self, meta: &SetMeta) -> Result<SetMeta, Error> {
        let stat = rustix::fs::fstat(&self.file).map_err(Error::when("reading attributes of"))?;
        Ok(meta.lacking(&self.keeping.status(self.as_fd(), &stat)?.meta))
    }

    /// Sets attributes through the open file.
    pub fn set_meta(&self, meta: &SetMeta) -> Result<(), Error> {
        attributes::set(self.as_fd(), self.keeping, Kind::File, meta)
    }

    /// Sets extended attributes and ACLs through the open file. A change of owner afterwards would take the file's
    /// capabilities away, and so would writing to it.
    pub fn set_extended(&self, extended: &SetExtended<'_>) -> Result<(), Error> {
        extended::set(self.as_fd(), self.keeping, Kind::File, extended)
    }

    /// What `look` sees of the file.
    pub fn extra(&self, look: &Look) -> Result<Option<Box<Extra>>, Error> {
        extended::look_at(self.as_fd(), self.keeping, Kind::File, look)
    }

    /// Sees to it that what was written is on the disk, if that was asked for.
    pub fn sync(&self) -> Result<(), Error> {
        if !self.fsync {
            return Ok(());
        }
        retry_on_intr(|| rustix::fs::fsync(&self.file)).map_err(Error::when("writing to the disk"))
    }

    /// Ends the writing: sets these attributes, and all is on the disk if that was asked for.
    pub fn finish(&self, meta: &SetMeta) -> Result<(), Error> {
        self.set_meta(meta)?;
        self.sync()
    }

    /// Locks the file for as long as it is open here, or this process lives. `false` if another has it locked.
    ///
    /// # Errors
    /// The file system has no locks.
    pub fn lock(&self) -> Result<bool, Error> {
        is_held(stage::lock(&self.file))
    }

    /// As [`ReadFile::lock_shared`].
    ///
    /// # Errors
    /// The file system has no locks.
    pub fn lock_shared(&self) -> Result<bool, Error> {
        is_held(stage::lock_shared(&self.file))
    }
}

fn unshared() -> Error {
    let why = "the file system does not let the two files share blocks (--reflink=always)";
    Error::refused("copying into", io::ErrorKind::Unsupported, why)
}

/// Whether a lock was had.
fn is_held(lock: rustix::io::Result<Lock>) -> Result<bool, Error> {
    const LOCKING: &str = "locking";
    match lock.map_err(Error::when(LOCKING))? {
        Lock::Held => Ok(true),
        Lock::Busy => Ok(false),
        Lock::Unsupported => {
            let why = "the file system has no locks";
            Err(Error::refused(LOCKING, io::ErrorKind::Unsupported, why))
        }
    }
}

impl From<WriteFile> for File {
    fn from(file: WriteFile) -> File {
        file.file.into()
    }
}

impl AsFd for WriteFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Reads until `buffer` is full or the file ends.
pub(super) fn read_full(file: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match retry_on_intr(|| rustix::io::pread(file, &mut *rest, offset.saturating_add(done as u64)))? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}

/// Writes all of `data`.
pub(super) fn write_full(file: BorrowedFd<'_>, data: &[u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
        match retry_on_intr(|| rustix::io::pwrite(file, rest, offset.saturating_add(done as u64)))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => done += written,
        }
    }
    Ok(())
}
