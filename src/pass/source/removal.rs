//! Removes what the sink has confirmed to have (`--remove-source-files`).
//!
//! An entry goes only if it is still as it was listed, and not if the sink has found that very file: a destination may
//! be the source under another name, on this host or on one that shares its disk. Directories stay, and so does what is
//! behind a symbolic link that was followed. One thread does it all, so that it knows which names of a file it has
//! removed: that changes the file, as its other names show it.
//!
//! With `-H`, names of a file that has others go last of all. One that went earlier would be missed by the walk: the
//! file would have fewer names when the others are listed, or none but one, and would not be the same to the sink.

use crate::fs::{Error, Removal, Removed, Stamp};
use crate::pass::PassError;
use crate::pass::source::kept::Kept;
use crate::pass::source::{Listed, Source};
use crate::report::Event;
use crate::tree::{Entry, RelPath};
use crate::view::ViewDir;
use crate::wire::{self, Confirm, DirId, FileThere};
use crossbeam_channel::{Receiver, Sender};
use filetime::FileTime;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// An entry that the sink has.
pub(super) struct Confirmed {
    listed: Listed,
    there: FileThere,
}

/// What was confirmed in the directories that the sink may still speak of.
pub(super) struct Confirmations {
    queue: Sender<Confirmed>,
    known: HashMap<DirId, HashSet<u32>>,
    /// Directories that are settled but for files that get their names at the end of the run (`--delay-updates`).
    late: HashMap<DirId, Arc<Kept>>,
}

impl Confirmations {
    pub(super) fn new(queue: Sender<Confirmed>) -> Confirmations {
        Confirmations { queue, known: HashMap::new(), late: HashMap::new() }
    }

    /// An entry was confirmed.
    pub(super) fn add(&mut self, source: &Source<'_>, confirm: &Confirm) -> Result<(), PassError> {
        let Confirm { dir, index, there } = *confirm;
        if source.removal.is_none() {
            return Err(PassError::Protocol("an entry is confirmed that nobody removes"));
        }
        let kept = self.late.get(&dir).cloned().map_or_else(|| source.kept_of(dir), Ok)?;
        let listed = Listed { kept, index: index as usize };
        let may_go = listed.entry().is_some_and(|entry| !entry.is_dir());
        if !may_go || !self.known.entry(dir).or_default().insert(index) {
            return Err(PassError::Protocol("an entry is confirmed that is none, or was before"));
        }
        // The other end is closed only when the run has failed.
        self.queue.send(Confirmed { listed, there }).map_err(|_| PassError::Lost)
    }

    /// A directory is settled. Files of it may still be confirmed if they get their names later.
    pub(super) fn close(&mut self, source: &Source<'_>, dir: DirId) {
        let known = self.known.get(&dir).map_or(0, HashSet::len);
        let kept = source.kept.get(dir).filter(|_| source.context.options.delay_updates);
        let files = |kept: &Kept| kept.listing.entries.iter().filter(|entry| !entry.is_dir()).count();
        match kept.filter(|kept| source.removal.is_some() && files(kept) > known) {
            Some(kept) => drop(self.late.insert(dir, kept)),
            None => drop(self.known.remove(&dir)),
        }
    }
}

/// Removes until the queue ends.
pub(super) fn run(source: &Source<'_>, removal: Removal, link: &wire::Sender, queue: &Receiver<Confirmed>) {
    let mut removing = Removing { source, removal, changed: HashMap::new() };
    let mut linked = Vec::new();
    let now = queue.iter().filter_map(|Confirmed { listed, there }| {
        let Listed { kept, index } = listed;
        let entry = kept.listing.entries.get(index)?.clone();
        let name = Removable { dir: kept.dir.clone(), place: kept.listing.origin(index), entry, there };
        if name.entry.inode().is_none() {
            return Some(name);
        }
        linked.push(name);
        None
    });
    // What is left when a run is stopped is there at the next one.
    let is_on = |_: &Removable| !link.is_stopped();
    now.take_while(is_on).for_each(|name| removing.remove(&name));
    linked.into_iter().take_while(is_on).for_each(|name| removing.remove(&name));
}

/// A name that may go, without the listing that it was in.
struct Removable {
    dir: ViewDir,
    place: usize,
    entry: Entry,
    there: FileThere,
}

struct Removing<'a, 'b> {
    source: &'a Source<'b>,
    removal: Removal,
    /// Of files that have names left, when they last changed because one was removed here.
    changed: HashMap<(u64, u64), FileTime>,
}

impl Removing<'_, '_> {
    fn remove(&mut self, name: &Removable) {
        let Removable { dir, entry, there, .. } = name;
        let (source, path) = (self.source, dir.path().join(&entry.name));
        let Some(seen) = entry.stamp() else { return };
        let later = self.changed.get(&(seen.dev, seen.ino)).copied();
        if is_file_there(&seen, later, there) {
            return source.tally.problem("removing", &path, &"it is the file that the destination has");
        }
        match self.remove_seen(name, seen) {
            Ok(Removed::Gone(left)) => {
                let identity = (seen.dev, seen.ino);
                match left {
                    Some(left) => self.changed.insert(identity, left.ctime),
                    None => self.changed.remove(&identity),
                };
                self.tell(path);
            }
            Ok(Removed::Vanished) => {}
            Ok(Removed::Device) => {
                source.tally.problem(
                    "removing",
                    &path,
                    &"it is a device, of which only the content was copied",
                );
            }
            Ok(Removed::Changed) => {
                source.tally.problem("removing", &path, &"it has changed since it was listed, so it stays");
            }
            Err(error) => source.tally.failed(&path, &error),
        }
    }

    fn remove_seen(&self, name: &Removable, seen: Stamp) -> Result<Removed, Error> {
        let Removable { dir, place, entry, .. } = name;
        let later = self.changed.get(&(seen.dev, seen.ino)).map(|&ctime| Stamp { ctime, ..seen });
        let versions = [seen, later.unwrap_or(seen)];
        let dir = self.source.view.unfollowed(dir, *place)?;
        self.removal.remove(&dir, &entry.name, entry.kind(), &versions)
    }

    fn tell(&self, path: RelPath) {
        if self.source.context.options.detail.changes {
            self.source.context.reporter.report(Event::Removed { path });
        }
    }
}

/// Whether this is the file that the sink has found; `later` is when it changed last because a name of it was removed
/// here. No two files of one number have changed in the same nanosecond, while one file may be on two disks, by their
/// numbers: two hosts number theirs each in its own way, and so does a file system that is laid over another.
fn is_file_there(seen: &Stamp, later: Option<FileTime>, there: &FileThere) -> bool {
    there.ino == seen.ino && (there.ctime == seen.ctime || Some(there.ctime) == later)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_itself_whatever_its_disk_is_called() {
        let at = |nanos| FileTime::from_unix_time(1_600_000_000, nanos);
        let seen = Stamp { dev: 7, ino: 5, ctime: at(1), mtime: at(0), size: 3 };
        let there = |ino, nanos| FileThere { ino, ctime: at(nanos) };
        assert!(is_file_there(&seen, None, &there(5, 1)));
        assert!(!is_file_there(&seen, None, &there(5, 2)));
        assert!(!is_file_there(&seen, None, &there(6, 1)));
        assert!(is_file_there(&seen, Some(at(2)), &there(5, 2)));
    }
}
