//! Calls that only some systems have, one function each.
//!
//! Each answers `None` (or does nothing, where nothing is lost) when the running system does not offer the call, and
//! its caller then takes a portable way to the same end. Whether a call exists is found out at run time: a kernel may
//! be older than the headers, and a sandbox may refuse what the kernel has. Tests run both ways: those of this module
//! by `without`, those of the program by [`give_up`].

use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(not(target_os = "linux"))]
mod portable;

#[cfg(target_os = "linux")]
pub(super) use linux::{
    advise_sequential, clone_file, copies_page_by_page, copy_range, create_nameless, data_after,
    entry_handle, exchange, get_attribute, give_name, holds_links, list_attributes, make_special,
    open_beneath, punch_hole, read_names, referent_handle, remove_attribute, rename_to_free, reserve,
    same_mount, set_attribute, set_mode_by_handle, set_owner_by_handle, set_times_by_handle,
    tells_of_processes,
};
#[cfg(not(target_os = "linux"))]
pub(super) use portable::{
    advise_sequential, clone_file, copies_page_by_page, copy_range, create_nameless, data_after,
    entry_handle, exchange, get_attribute, give_name, holds_links, list_attributes, make_special,
    open_beneath, punch_hole, read_names, referent_handle, remove_attribute, rename_to_free, reserve,
    same_mount, set_attribute, set_mode_by_handle, set_owner_by_handle, set_times_by_handle,
    tells_of_processes,
};

#[cfg(test)]
thread_local! {
    static WITHOUT: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `test` as if the system offered none of these calls.
#[cfg(test)]
pub(super) fn without<T>(test: impl FnOnce() -> T) -> T {
    WITHOUT.set(true);
    let result = test();
    WITHOUT.set(false);
    result
}

static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// From now on this process does without those of these calls that only save work, as in a sandbox that refuses them.
pub fn give_up() {
    GIVEN_UP.store(true, Ordering::Relaxed);
}

static KEEPS_ACCESS: AtomicBool = AtomicBool::new(false);

/// From now on this process leaves the times of last access of the files that it reads, where the system lets it.
pub fn keep_access_times() {
    KEEPS_ACCESS.store(true, Ordering::Relaxed);
}

/// What files are opened with so that reading leaves their times of last access, if that is asked for.
pub(super) fn without_access() -> Option<rustix::fs::OFlags> {
    #[cfg(target_os = "linux")]
    return KEEPS_ACCESS.load(Ordering::Relaxed).then_some(rustix::fs::OFlags::NOATIME);
    #[cfg(not(target_os = "linux"))]
    None
}

/// Whether the calls may be tried at all.
#[cfg(target_os = "linux")]
fn offered() -> bool {
    #[cfg(test)]
    return !WITHOUT.get();
    #[cfg(not(test))]
    true
}

/// Whether a call may be tried that only saves work.
#[cfg(target_os = "linux")]
fn wanted() -> bool {
    offered() && !GIVEN_UP.load(Ordering::Relaxed)
}
