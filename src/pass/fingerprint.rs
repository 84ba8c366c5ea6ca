//! Where fingerprints of directories stand in for listings, and what they must cover for that.
//!
//! The rule that makes them safe: if the fingerprints agree, `decide` finds nothing to do for any entry, nothing is
//! extra, and nothing would be said. Where that cannot be had, the directory is listed.

use crate::pass::Context;
use crate::request::Options;
use crate::tree::{Aspects, Fingerprinter};

/// How directories of this run are fingerprinted; `None` if they are listed in any case: contents are compared, or
/// everything is transferred or told, or there is no wire to save, or they are not to be.
pub(crate) fn fingerprinter(context: &Context) -> Option<Fingerprinter> {
    let options = &context.options;
    let looks_at_all = options.checksum || options.ignore_times || options.detail.unchanged;
    // Which entries a limit spares is decided in the order of the listings.
    let in_order = options.delete.is_some_and(|deletion| deletion.limit.is_some());
    let worth_it = options.recursive && !context.local && options.shortcuts.fingerprints;
    (worth_it && !looks_at_all && !in_order).then(|| Fingerprinter::new(context.sums.seed, aspects(options)))
}

/// What `decide` looks at.
pub(crate) fn aspects(options: &Options) -> Aspects {
    Aspects {
        file_time: options.times || !options.size_only,
        other_time: options.times,
        mode: options.perms,
        owner: options.owner,
        group: options.group,
    }
}
