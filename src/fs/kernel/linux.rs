//! The calls as Linux has them.

use crate::fs::kernel::{offered, wanted};
use crate::tree::{Name, Rdev};
use rustix::fs::{
    Advice, AtFlags, CWD, FallocateFlags, FileType, Gid, Mode, OFlags, RawDir, RawMode, RenameFlags,
    ResolveFlags, SeekFrom, StatxFlags, Timestamps, Uid, XattrFlags,
};
use rustix::io::{Errno, Result, retry_on_intr};
use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// How often `openat2` is asked again when it answers that a rename elsewhere kept it from being sure (EAGAIN).
const ATTEMPTS: usize = 64;

/// Bytes for directory entries: some thousand short names, and room for the longest one many times over.
const NAMES_BUFFER: usize = 32 * 1024;

/// Opens `path`, of several elements and none of them a symbolic link, below `dir` in one call. `None` where
/// openat2(2) is missing (before Linux 5.6), hidden by a sandbox, or undecided too often.
pub(in crate::fs) fn open_beneath(
    dir: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
) -> Option<Result<OwnedFd>> {
    static MISSING: AtomicBool = AtomicBool::new(false);
    if !wanted() || MISSING.load(Ordering::Relaxed) {
        return None;
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..ATTEMPTS {
        match rustix::fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::NOSYS) => {
                MISSING.store(true, Ordering::Relaxed);
                return None;
            }
            // A sandbox's answer, or that of a file system which the portable way will give again.
            Err(Errno::PERM | Errno::INVAL | Errno::TOOBIG) => return None,
            done => return Some(done),
        }
    }
    None
}

/// A handle on an entry of any kind that gives access to its attributes only: it needs no permission on the entry,
/// waits for nobody and wakes no device (open(2), O_PATH). A symbolic link is opened itself.
pub(in crate::fs) fn entry_handle(dir: BorrowedFd<'_>, name: &[u8]) -> Option<Result<OwnedFd>> {
    offered().then(|| {
        rustix::fs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    })
}

/// Whether a directory is one of those in which the system tells of processes (proc(5)), where links lead to what these
/// have open. One of which that cannot be known counts as such.
pub(in crate::fs) fn tells_of_processes(dir: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatfs(dir).map_or(true, |stat| stat.f_type == rustix::fs::PROC_SUPER_MAGIC)
}

/// A handle on the directory that the symbolic link of that name leads to, which needs no permission to read it.
pub(in crate::fs) fn referent_handle(dir: BorrowedFd<'_>, name: &[u8]) -> Option<Result<OwnedFd>> {
    offered().then(|| {
        rustix::fs::openat(dir, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    })
}

/// Whether a file without a name could not be made, or not be given one, so that it is not worth trying again.
static NAMELESS_MISSING: AtomicBool = AtomicBool::new(false);

/// Creates a file without a name on the file system of `dir` (open(2), O_TMPFILE), to be written and then given its
/// name. `None` if that cannot be; why, a file with a name will show.
pub(in crate::fs) fn create_nameless(dir: BorrowedFd<'_>, mode: Mode) -> Option<OwnedFd> {
    if !wanted() || NAMELESS_MISSING.load(Ordering::Relaxed) {
        return None;
    }
    match rustix::fs::openat(dir, ".", OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
        Ok(file) => Some(file),
        // What file systems without them answer, and systems.
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOSYS) => {
            NAMELESS_MISSING.store(true, Ordering::Relaxed);
            None
        }
        Err(_) => None,
    }
}

/// Gives a file without a name one, unless that is taken: `false`. `None` if it cannot be, and then the file is lost:
/// mostly because the system does not let this process (before Linux 6.10 it needs the capability CAP_DAC_READ_SEARCH);
/// any other reason a file with a name will show.
pub(in crate::fs) fn give_name(file: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &Name) -> Option<bool> {
    match rustix::fs::linkat(file, "", dir, name.as_bytes(), AtFlags::EMPTY_PATH) {
        Ok(()) => Some(true),
        Err(Errno::EXIST) => Some(false),
        Err(Errno::NOENT | Errno::PERM | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
            NAMELESS_MISSING.store(true, Ordering::Relaxed);
            None
        }
        Err(_) => None,
    }
}

/// Renames an entry to a name that must be free (renameat2(2), RENAME_NOREPLACE). `None` where the file system cannot.
pub(in crate::fs) fn rename_to_free(
    from: BorrowedFd<'_>,
    name: &Name,
    to: BorrowedFd<'_>,
    free: &Name,
) -> Option<Result<()>> {
    rename_with(from, name, to, free, RenameFlags::NOREPLACE)
}

/// Lets two entries of any kind change names (renameat2(2), RENAME_EXCHANGE). `None` where the file system cannot.
pub(in crate::fs) fn exchange(
    dir: BorrowedFd<'_>,
    name: &Name,
    other: BorrowedFd<'_>,
    its_name: &Name,
) -> Option<Result<()>> {
    rename_with(dir, name, other, its_name, RenameFlags::EXCHANGE)
}

fn rename_with(
    from: BorrowedFd<'_>,
    name: &Name,
    to: BorrowedFd<'_>,
    its_name: &Name,
    flags: RenameFlags,
) -> Option<Result<()>> {
    if !offered() {
        return None;
    }
    match rustix::fs::renameat_with(from, name.as_bytes(), to, its_name.as_bytes(), flags) {
        Err(Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP) => None,
        done => Some(done),
    }
}

/// Sets owner and group of what an [`entry_handle`] refers to.
pub(in crate::fs) fn set_owner_by_handle(
    handle: BorrowedFd<'_>,
    owner: Option<Uid>,
    group: Option<Gid>,
) -> Result<()> {
    rustix::fs::chownat(handle, "", owner, group, AtFlags::EMPTY_PATH)
}

/// Sets the mode of what an [`entry_handle`] refers to. fchmod(2) refuses such handles and fchmodat2(2) is of Linux
/// 6.6, so this goes through the handle's name under `/proc`, which leads to the same inode and nowhere else.
pub(in crate::fs) fn set_mode_by_handle(handle: BorrowedFd<'_>, mode: Mode) -> Result<()> {
    rustix::fs::chmodat(CWD, proc_name(handle).as_str(), mode, AtFlags::empty())
}

/// Sets the times of what an [`entry_handle`] refers to; before Linux 5.8 by its name under `/proc`.
pub(in crate::fs) fn set_times_by_handle(handle: BorrowedFd<'_>, times: &Timestamps) -> Result<()> {
    match rustix::fs::utimensat(handle, "", times, AtFlags::EMPTY_PATH) {
        Err(Errno::INVAL) => rustix::fs::utimensat(CWD, proc_name(handle).as_str(), times, AtFlags::empty()),
        done => done,
    }
}

fn proc_name(handle: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

/// Copies up to `len` bytes inside the kernel and moves both offsets on. The file systems that can share blocks do
/// so here by themselves. `None` where this pair of files cannot be copied so.
pub(in crate::fs) fn copy_range(
    from: BorrowedFd<'_>,
    offset: &mut u64,
    to: BorrowedFd<'_>,
    at: &mut u64,
    len: usize,
) -> Option<Result<usize>> {
    if !wanted() {
        return None;
    }
    match retry_on_intr(|| rustix::fs::copy_file_range(from, Some(&mut *offset), to, Some(&mut *at), len)) {
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::XDEV | Errno::OPNOTSUPP | Errno::TXTBSY) => {
            None
        }
        done => Some(done),
    }
}

/// Whether the kernel copies into this file page by page, as reading and writing would: its file system neither shares
/// blocks nor leaves the work to another machine.
pub(in crate::fs) fn copies_page_by_page(to: BorrowedFd<'_>) -> bool {
    /// statfs(2); ext2, ext3 and ext4 have one number.
    const EXT: u64 = 0xef53;
    const TMPFS: u64 = 0x0102_1994;
    const RAMFS: u64 = 0x8584_58f6;
    rustix::fs::fstatfs(to).is_ok_and(|system| matches!(system.f_type as u64, EXT | TMPFS | RAMFS))
}

/// Whether a file can have several names on this file system, as far as that is known without trying.
pub(in crate::fs) fn holds_links(on: BorrowedFd<'_>) -> bool {
    /// statfs(2): FAT and its like, which have no inodes.
    const MSDOS: u64 = 0x4d44;
    const EXFAT: u64 = 0x2011_bab0;
    !rustix::fs::fstatfs(on).is_ok_and(|system| matches!(system.f_type as u64, MSDOS | EXFAT))
}

/// Makes an empty file share all blocks of another (ioctl_ficlone(2)). `None` where this pair of files cannot.
pub(in crate::fs) fn clone_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Option<Result<()>> {
    if !wanted() {
        return None;
    }
    match retry_on_intr(|| rustix::fs::ioctl_ficlone(to, from)) {
        Err(
            Errno::NOSYS
            | Errno::NOTTY
            | Errno::PERM
            | Errno::INVAL
            | Errno::XDEV
            | Errno::OPNOTSUPP
            | Errno::TXTBSY
            | Errno::BADF,
        ) => None,
        done => Some(done),
    }
}

/// Sets blocks aside for a stretch of a file without changing its length. Does nothing where the file system cannot.
pub(in crate::fs) fn reserve(file: BorrowedFd<'_>, range: Range<u64>) -> Result<()> {
    if !wanted() || range.is_empty() {
        return Ok(());
    }
    let len = range.end - range.start;
    match retry_on_intr(|| rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, range.start, len)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM | Errno::INVAL) => Ok(()),
        done => done,
    }
}

/// Whether a file can be renamed from one directory to the other: they are on the same file system and, as far as the
/// kernel tells (Linux 5.8), reached through the same mount.
pub(in crate::fs) fn same_mount(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    let mount = |dir| {
        let mask = StatxFlags::MNT_ID;
        let found = wanted().then(|| rustix::fs::statx(dir, "", AtFlags::EMPTY_PATH, mask));
        found
            .and_then(std::result::Result::ok)
            .filter(|found| found.stx_mask & mask.bits() != 0)
            .map(|found| found.stx_mnt_id)
    };
    let same_device = rustix::fs::fstat(one)?.st_dev == rustix::fs::fstat(other)?.st_dev;
    Ok(same_device && mount(one) == mount(other))
}

/// Makes a stretch of a file a hole (fallocate(2), FALLOC_FL_PUNCH_HOLE). Its length stays. `None` where the file
/// system cannot.
pub(in crate::fs) fn punch_hole(file: BorrowedFd<'_>, offset: u64, len: u64) -> Option<Result<()>> {
    if !wanted() {
        return None;
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match retry_on_intr(|| rustix::fs::fallocate(file, flags, offset, len)) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::NODEV) => None,
        done => Some(done),
    }
}

/// Where the next data begins in a file from `at` on, and where it ends (lseek(2), SEEK_DATA and SEEK_HOLE): nothing if
/// there is none. `None` where the file system does not tell. The handle's offset is lost.
pub(in crate::fs) fn data_after(file: BorrowedFd<'_>, at: u64) -> Option<Result<Option<Range<u64>>>> {
    if !wanted() {
        return None;
    }
    let found = rustix::fs::seek(file, SeekFrom::Data(at))
        .and_then(|start| Ok(start..rustix::fs::seek(file, SeekFrom::Hole(start))?));
    match found {
        Err(Errno::NXIO) => Some(Ok(None)),
        Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS | Errno::SPIPE) => None,
        found => Some(found.map(Some)),
    }
}

/// Tells the kernel that the file will be read from front to back. Only a hint: a refusal changes nothing.
pub(in crate::fs) fn advise_sequential(file: &File) {
    let _ = rustix::fs::fadvise(file.as_fd(), 0, None, Advice::Sequential);
}

/// Hands every name in the directory to `each`, including `.` and `..`, reading from the handle's offset on
/// (getdents64(2)) into one buffer for the whole of it.
pub(in crate::fs) fn read_names(
    dir: BorrowedFd<'_>,
    each: &mut dyn FnMut(&[u8], FileType),
) -> Option<Result<()>> {
    if !wanted() {
        return None;
    }
    let mut buffer: Vec<u8> = Vec::with_capacity(NAMES_BUFFER);
    let mut names = RawDir::new(dir, buffer.spare_capacity_mut());
    while let Some(entry) = names.next() {
        match entry {
            Ok(entry) => each(entry.file_name().to_bytes(), entry.file_type()),
            Err(Errno::INTR) => {}
            Err(error) => return Some(Err(error)),
        }
    }
    Some(Ok(()))
}

/// Makes a fifo, socket or device.
pub(in crate::fs) fn make_special(
    dir: BorrowedFd<'_>,
    name: &Name,
    kind: FileType,
    mode: RawMode,
    device: Rdev,
) -> Result<()> {
    let device = rustix::fs::makedev(device.major, device.minor);
    rustix::fs::mknodat(dir, name.as_bytes(), kind, Mode::from_raw_mode(mode), device)
}

/// Reads the extended attribute `name` of what a handle refers to, whether or not the handle gives access.
pub(in crate::fs) fn get_attribute(handle: BorrowedFd<'_>, name: &[u8], buffer: &mut [u8]) -> Result<usize> {
    match rustix::fs::fgetxattr(handle, name, &mut *buffer) {
        Err(Errno::BADF) => rustix::fs::getxattr(proc_name(handle).as_str(), name, buffer),
        done => done,
    }
}

/// Reads the names of all its extended attributes, each followed by a NUL.
pub(in crate::fs) fn list_attributes(handle: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    match rustix::fs::flistxattr(handle, &mut *buffer) {
        Err(Errno::BADF) => rustix::fs::listxattr(proc_name(handle).as_str(), buffer),
        done => done,
    }
}

/// Sets one.
pub(in crate::fs) fn set_attribute(handle: BorrowedFd<'_>, name: &[u8], value: &[u8]) -> Result<()> {
    match rustix::fs::fsetxattr(handle, name, value, XattrFlags::empty()) {
        Err(Errno::BADF) => {
            rustix::fs::setxattr(proc_name(handle).as_str(), name, value, XattrFlags::empty())
        }
        done => done,
    }
}

/// Removes one.
pub(in crate::fs) fn remove_attribute(handle: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    match rustix::fs::fremovexattr(handle, name) {
        Err(Errno::BADF) => rustix::fs::removexattr(proc_name(handle).as_str(), name),
        done => done,
    }
}
