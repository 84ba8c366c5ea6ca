//! Ends of the process at a chosen moment, for tests of what a killed run leaves.
//!
//! Whatever changes a replica's tree or its history comes by `point` before and after. A program that was built for it,
//! with the feature `crash-points`, can be told at which of these to end, as if it were killed; any other passes by.

#[cfg(any(test, feature = "crash-points"))]
use std::sync::atomic::{AtomicU64, Ordering};

/// How many points are left until the end, with this one; 0 means that there is none.
#[cfg(any(test, feature = "crash-points"))]
static LEFT: AtomicU64 = AtomicU64::new(0);

/// Has the process end at the point with this number, counted from 1.
#[cfg(any(test, feature = "crash-points"))]
pub fn arm(number: u64) {
    LEFT.store(number, Ordering::SeqCst);
}

/// A moment at which a run might be killed.
#[cfg(any(test, feature = "crash-points"))]
pub(crate) fn point(_name: &str) {
    let counted = LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    if counted == Ok(1) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        std::process::abort();
    }
}

/// A moment at which a run might be killed.
#[cfg(not(any(test, feature = "crash-points")))]
pub(crate) fn point(_name: &str) {}
