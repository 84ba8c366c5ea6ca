//! Tells the source what is here as it is there, so that it may remove its own (`--remove-source-files`).
//!
//! Each entry that is found the same, made or written is looked at once more, by the name it has got here: only what
//! then is there is confirmed, and which file that is, so that the source does not remove the only one. Nothing is
//! confirmed of which anything was told that could not be done.

use crate::fs::{Dir, Error, Stamped};
use crate::pass::sink::{Goal, Sink};
use crate::pass::{PassError, Sweep};
use crate::tree::{Entry, Name, Node, RelPath};
use crate::wire::{Confirm, DirId, FileThere, Message};

/// An entry of a listing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listed {
    pub dir: DirId,
    /// Its place in the listing of that.
    pub index: u32,
}

impl Sink<'_> {
    /// Whether the source waits to hear what is here.
    pub(super) fn confirms(&self) -> bool {
        let is_asked = self.context.options.remove_source_files && !self.dry_run();
        is_asked && self.context.sweep != Sweep::Now && matches!(self.goal, Goal::Destination(_))
    }

    /// An entry of a directory that is open has been seen to.
    pub(super) fn confirm(&self, place: Listed, entry: &Entry) -> Result<(), PassError> {
        if !self.confirms() {
            return Ok(());
        }
        let path = self.directories.with(place.dir, |dir| dir.path.join(&entry.name))?;
        let name = self.destination()?.rename.as_ref().unwrap_or(&entry.name);
        let here = self.directories.counterpart(self, place.dir)?;
        self.confirm_seen(place, &path, &entry.node, || stamped(here?.dir(), name))
    }

    /// The same where it is to be looked for in this directory, under its own name.
    pub(super) fn confirm_in(
        &self,
        place: Listed,
        path: &RelPath,
        (name, node): (&Name, &Node),
        dir: &Dir,
    ) -> Result<(), PassError> {
        if self.confirms() { self.confirm_seen(place, path, node, || dir.stamped(name)) } else { Ok(()) }
    }

    fn confirm_seen(
        &self,
        Listed { dir, index }: Listed,
        path: &RelPath,
        node: &Node,
        look: impl FnOnce() -> Result<Option<Stamped>, Error>,
    ) -> Result<(), PassError> {
        if self.tally.has_failed(path) {
            return Ok(());
        }
        match look() {
            Ok(Some(Stamped { entry, stamp })) if entry.node == *node => {
                let there = FileThere { ino: stamp.ino, ctime: stamp.ctime };
                self.sender.send(Message::Confirm(Confirm { dir, index, there }))?;
            }
            Ok(_) => {
                let cause = "it is not at the destination as it was listed, so the source keeps it";
                self.tally.problem("confirming", path, &cause);
            }
            Err(error) => self.tally.failed(path, &error),
        }
        Ok(())
    }
}

fn stamped(dir: Option<&Dir>, name: &Name) -> Result<Option<Stamped>, Error> {
    dir.map_or(Ok(None), |dir| dir.stamped(name))
}
