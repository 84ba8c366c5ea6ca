//! Whether the two roots of a two-way run are apart. A directory is not synchronised with itself, nor with one inside
//! it, in which everything would be repeated without end.
//!
//! Paths cannot tell: a link, a mount or a host's other name leads to the same place. So the asking side sends
//! landmarks of its root and of every directory above it, and the other compares them with those of its own. What they
//! are made of, a name of the running system and numbers of its file systems, does not show from them.

use crate::fs::Root;
use crate::request::Landmark;
use crate::twoway::run::RunError;

/// The landmarks of a root and of the directories above it, itself first; none if they cannot be told from those of
/// other machines. If both roots are in this process, `system` need not be known.
pub(super) fn landmarks(root: &Root, system: Option<&str>) -> Vec<Landmark> {
    let Some(system) = system else { return Vec::new() };
    // What cannot be looked at will be told by whoever opens it.
    let above = root.dir().identities_upwards().unwrap_or_default();
    let landmark = |(dev, ino): (u64, u64)| {
        let mut hasher = blake3::Hasher::new_derive_key("dsync 2026 two-way landmark of a directory");
        hasher.update(&dev.to_le_bytes()).update(&ino.to_le_bytes()).update(system.as_bytes());
        let mut landmark = [0; 16];
        hasher.finalize_xof().fill(&mut landmark);
        landmark
    };
    above.into_iter().map(landmark).collect()
}

/// Refuses roots that are not apart.
///
/// # Errors
/// The run is halted.
pub(super) fn check_apart(ours: &[Landmark], theirs: &[Landmark]) -> Result<(), RunError> {
    let (Some(our), Some(their)) = (ours.first(), theirs.first()) else { return Ok(()) };
    let what = if our == their {
        "both arguments are the same directory"
    } else if ours.contains(their) || theirs.contains(our) {
        "one of the two directories is inside the other"
    } else {
        return Ok(());
    };
    Err(RunError::Halted(format!("{what}, so there is nothing to synchronise; name two that are apart")))
}
