//! Files that have several names in a tree.
//!
//! Whatever is done to one of their names changes the time of change of the file, and so what all its names look like.
//! That is none of somebody else's edits. So it is written down how such a file looks after each thing that this run
//! does to it, and what is done to its next name expects that. Meanwhile no other thread does anything to one of them.

use crate::fs::{Dir, Error, Stamp};
use crate::tree::{InodeId, Name};
use crate::twoway::carry::lock;
use crate::twoway::history::Look;
use filetime::FileTime;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard};

/// How each file has looked since the run began, and how it looks now.
type Looks = HashMap<InodeId, (HashSet<Stamp>, Stamp)>;

/// What this run did to files with several names.
#[derive(Default)]
pub(super) struct Links(Mutex<Looks>);

/// A name that something is going to be done to.
pub(super) struct Held<'l>(Option<MutexGuard<'l, Looks>>);

impl Links {
    /// Keeps others from the names of a file as long as the result lives, if it has several.
    pub(super) fn hold(&self, dir: &Dir, name: &Name) -> Result<Held<'_>, Error> {
        Ok(Held(dir.stamp_of_linked(name)?.map(|_| lock(&self.0))))
    }

    /// The same of a file that is going to have several.
    pub(super) fn hold_to_link(&self) -> Held<'_> {
        Held(Some(lock(&self.0)))
    }
}

impl Held<'_> {
    /// How an entry that looked like this, when the run began or after something that it did, has to look now.
    pub(super) fn look(&self, look: &Look) -> Look {
        let looks = self.0.as_ref().and_then(|looks| looks.get(&look.stamp.inode()));
        let now = looks.filter(|(old, _)| old.contains(&look.stamp));
        Look { stamp: now.map_or(look.stamp, |(_, now)| *now), ..*look }
    }

    /// Something was done to an entry that looked like this when the run began, which has this name now, and this time
    /// of modification if that was set. If anybody has written to it since, that shows in what its other names look
    /// like.
    pub(super) fn is_changed(&mut self, look: &Look, mtime: Option<FileTime>, dir: &Dir, name: &Name) {
        let known = self.look(look).stamp;
        let Some(looks) = &mut self.0 else { return };
        let mtime = mtime.unwrap_or(known.mtime);
        let is_same = |now: &Stamp| Stamp { ctime: known.ctime, ..*now } == Stamp { mtime, ..known };
        match dir.stamp_of_linked(name) {
            Ok(Some(now)) if is_same(&now) => {
                let (old, last) =
                    looks.entry(look.stamp.inode()).or_insert((HashSet::from([look.stamp]), now));
                old.insert(known);
                *last = now;
            }
            _ => drop(looks.remove(&look.stamp.inode())),
        }
    }
}
