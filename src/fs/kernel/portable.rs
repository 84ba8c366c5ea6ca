//! What stands for the calls on a Unix that is not Linux: `None`, so that callers take the portable way.

use crate::tree::{Name, Rdev};
use rustix::fs::{FileType, Gid, Mode, OFlags, RawMode, Timestamps, Uid};
use rustix::io::{Errno, Result};
use std::fs::File;
use std::ops::Range;
use std::os::fd::{BorrowedFd, OwnedFd};

/// No several elements in one call.
pub(in crate::fs) fn open_beneath(
    _dir: BorrowedFd<'_>,
    _path: &[u8],
    _flags: OFlags,
) -> Option<Result<OwnedFd>> {
    None
}

/// No handles without access.
pub(in crate::fs) fn entry_handle(_dir: BorrowedFd<'_>, _name: &[u8]) -> Option<Result<OwnedFd>> {
    None
}

/// Other systems have no such links.
pub(in crate::fs) fn tells_of_processes(_dir: BorrowedFd<'_>) -> bool {
    false
}

/// No handles without access.
pub(in crate::fs) fn referent_handle(_dir: BorrowedFd<'_>, _name: &[u8]) -> Option<Result<OwnedFd>> {
    None
}

/// No files without names.
pub(in crate::fs) fn create_nameless(_dir: BorrowedFd<'_>, _mode: Mode) -> Option<OwnedFd> {
    None
}

/// Never called, as there are no such files.
pub(in crate::fs) fn give_name(_file: BorrowedFd<'_>, _dir: BorrowedFd<'_>, _name: &Name) -> Option<bool> {
    None
}

/// No renaming that leaves alone what is there.
pub(in crate::fs) fn rename_to_free(
    _from: BorrowedFd<'_>,
    _name: &Name,
    _to: BorrowedFd<'_>,
    _free: &Name,
) -> Option<Result<()>> {
    None
}

/// No exchange.
pub(in crate::fs) fn exchange(
    _dir: BorrowedFd<'_>,
    _name: &Name,
    _other: BorrowedFd<'_>,
    _its_name: &Name,
) -> Option<Result<()>> {
    None
}

/// Never called, as there are no such handles.
pub(in crate::fs) fn set_owner_by_handle(
    _handle: BorrowedFd<'_>,
    _owner: Option<Uid>,
    _group: Option<Gid>,
) -> Result<()> {
    Err(Errno::NOTSUP)
}

/// Never called, as there are no such handles.
pub(in crate::fs) fn set_mode_by_handle(_handle: BorrowedFd<'_>, _mode: Mode) -> Result<()> {
    Err(Errno::NOTSUP)
}

/// Never called, as there are no such handles.
pub(in crate::fs) fn set_times_by_handle(_handle: BorrowedFd<'_>, _times: &Timestamps) -> Result<()> {
    Err(Errno::NOTSUP)
}

/// No copy inside the kernel.
pub(in crate::fs) fn copy_range(
    _from: BorrowedFd<'_>,
    _offset: &mut u64,
    _to: BorrowedFd<'_>,
    _at: &mut u64,
    _len: usize,
) -> Option<Result<usize>> {
    None
}

/// Where nothing is copied inside the kernel it makes no difference.
pub(in crate::fs) fn copies_page_by_page(_to: BorrowedFd<'_>) -> bool {
    true
}

/// It shows when a name is given.
pub(in crate::fs) fn holds_links(_on: BorrowedFd<'_>) -> bool {
    true
}

/// No shared blocks.
pub(in crate::fs) fn clone_file(_from: BorrowedFd<'_>, _to: BorrowedFd<'_>) -> Option<Result<()>> {
    None
}

/// Nothing is set aside.
pub(in crate::fs) fn reserve(_file: BorrowedFd<'_>, _range: Range<u64>) -> Result<()> {
    Ok(())
}

/// Whether two directories are on the same file system.
pub(in crate::fs) fn same_mount(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<bool> {
    Ok(rustix::fs::fstat(one)?.st_dev == rustix::fs::fstat(other)?.st_dev)
}

/// No holes in what was written.
pub(in crate::fs) fn punch_hole(_file: BorrowedFd<'_>, _offset: u64, _len: u64) -> Option<Result<()>> {
    None
}

/// Nobody says where data is.
pub(in crate::fs) fn data_after(_file: BorrowedFd<'_>, _at: u64) -> Option<Result<Option<Range<u64>>>> {
    None
}

/// No hint.
pub(in crate::fs) fn advise_sequential(_file: &File) {}

/// Names are read through readdir(3).
pub(in crate::fs) fn read_names(
    _dir: BorrowedFd<'_>,
    _each: &mut dyn FnMut(&[u8], FileType),
) -> Option<Result<()>> {
    None
}

/// Makes a fifo, socket or device.
#[cfg(not(target_vendor = "apple"))]
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

/// macOS has no mknodat(2).
#[cfg(target_vendor = "apple")]
pub(in crate::fs) fn make_special(
    _dir: BorrowedFd<'_>,
    _name: &Name,
    _kind: FileType,
    _mode: RawMode,
    _device: Rdev,
) -> Result<()> {
    Err(Errno::NOTSUP)
}

/// No extended attributes.
pub(in crate::fs) fn get_attribute(_: BorrowedFd<'_>, _: &[u8], _: &mut [u8]) -> Result<usize> {
    Err(Errno::OPNOTSUPP)
}

/// No extended attributes.
pub(in crate::fs) fn list_attributes(_: BorrowedFd<'_>, _: &mut [u8]) -> Result<usize> {
    Err(Errno::OPNOTSUPP)
}

/// No extended attributes.
pub(in crate::fs) fn set_attribute(_: BorrowedFd<'_>, _: &[u8], _: &[u8]) -> Result<()> {
    Err(Errno::OPNOTSUPP)
}

/// No extended attributes.
pub(in crate::fs) fn remove_attribute(_: BorrowedFd<'_>, _: &[u8]) -> Result<()> {
    Err(Errno::OPNOTSUPP)
}
