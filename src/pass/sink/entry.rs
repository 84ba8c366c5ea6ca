//! What is done at once to an entry that needs no content: attributes, links, devices, and letting the user in.

use crate::fs::SetMeta;
use crate::pass::PassError;
use crate::pass::decide::Update;
use crate::pass::sink::Sink;
use crate::pass::sink::backup::Fate;
use crate::pass::sink::directories::Counterpart;
use crate::report::{Event, Skip};
use crate::tree::filter::Scope;
use crate::tree::{Entry, Kind, Meta, Name, Node, RelPath, munged};
use crate::wire::DirId;

/// The mode with which a directory can be filled by its owner.
pub(super) fn opened_up(own: &Meta) -> SetMeta {
    SetMeta { mode: Some(own.mode | 0o700), ..SetMeta::default() }
}

/// A transfer in a dry run.
pub(super) fn count_transfer(sink: &Sink<'_>, entry: &Entry, new: bool) {
    let size = entry.node.size();
    sink.tally.count(|totals| {
        if new {
            totals.created.add(Kind::File);
        }
        totals.transferred += 1;
        totals.transferred_size = totals.transferred_size.saturating_add(size);
    });
    sink.settle_progress(1, size);
}

impl Sink<'_> {
    /// Lets the running user into a directory that it owns and may not write to, so that it can be filled or emptied.
    /// Returns whether its mode was changed.
    pub(super) fn open_up(&self, parent: &Counterpart, own: &Entry) -> bool {
        match parent {
            Counterpart::Writable(dir) if own.is_dir() && self.shuts_out(&own.meta) => {
                dir.set_meta(&own.name, Kind::Directory, &opened_up(&own.meta)).is_ok()
            }
            _ => false,
        }
    }

    /// What is here, as it is compared with what the source lists: a device that is written to is a file of its length,
    /// or an empty one if it has none.
    pub(super) fn as_written(&self, dir: &Counterpart, entry: &Entry, own: Entry) -> Entry {
        let options = &self.context.options;
        let is_written = options.writes_devices() && own.kind().is_device() && entry.kind() == Kind::File;
        let Some(dir) = dir.dir().filter(|dir| is_written && dir.is_device(&own.name)) else { return own };
        // Others may do something when they are opened.
        let keeps_blocks = own.kind() == Kind::BlockDevice;
        let opened = keeps_blocks.then(|| dir.open_file(&own.name).ok()).flatten();
        Entry { node: Node::File { size: opened.map_or(0, |device| device.len()) }, ..own }
    }

    pub(super) fn shuts_out(&self, meta: &Meta) -> bool {
        let owners = self.owners.owners();
        meta.mode & 0o700 != 0o700 && meta.uid == owners.effective_user() && !owners.is_root()
    }

    pub(super) fn skipped(&self, path: &RelPath, node: &Node, reason: Skip) {
        let detail = self.context.options.detail;
        let is_told = match &reason {
            Skip::NotRegular => true,
            Skip::Unsafe => detail.changes,
            _ => detail.unchanged,
        };
        if !is_told {
            return;
        }
        let path = path.clone();
        self.announcer.say(match (node, &reason) {
            (Node::Symlink { target }, Skip::Unsafe) => Event::UnsafeLink { path, target: target.to_vec() },
            _ => Event::Skipped { path, reason },
        });
    }

    /// A link as it is kept here (`--munge-links`).
    pub(super) fn kept_text(&self, entry: Entry) -> Entry {
        match &entry.node {
            Node::Symlink { target } if self.context.options.link_rules.munge => {
                Entry { node: Node::Symlink { target: munged(target) }, ..entry }
            }
            _ => entry,
        }
    }

    /// Removes what a killed run left of a file that is not going to be written now.
    pub(super) fn clear_leftover(&self, dir: DirId, staged: &Name) -> Result<(), PassError> {
        if self.dry_run() {
            return Ok(());
        }
        self.directories.touch(dir);
        // If it belongs to a living run, or to somebody else, it stays.
        let _ = self.directories.writable(self, dir)?.and_then(|dir| dir.clear_staged(staged));
        Ok(())
    }

    /// Counts a file that needs no content as done.
    pub(super) fn pass_by(&self, entry: &Entry) {
        if let Node::File { size } = entry.node {
            self.settle_progress(1, size);
        }
    }

    /// Sets the attributes of an existing entry that differ, but for extended ones that have to come first.
    pub(super) fn set_attributes(
        &self,
        dir: DirId,
        path: &RelPath,
        name: &Name,
        entry: &Entry,
        update: &Update,
    ) -> Result<(), PassError> {
        if self.dry_run() || update.sets_nothing() {
            return Ok(());
        }
        let kind = entry.kind();
        let extended = self.extended(entry.acls(), update, None);
        let done = self.directories.writable(self, dir)?.and_then(|dir| {
            let rest = self.set_owner_first(path, &update.set, |owner| dir.set_meta(name, kind, owner));
            self.set_extended(path, &extended, |extended| dir.set_extended(name, kind, extended));
            dir.set_meta(name, kind, &rest)
        });
        if let Err(error) = done {
            self.tally.failed(path, &error);
        }
        Ok(())
    }

    /// Makes a symbolic link, a device, a fifo or a socket in a directory, in which `scope` holds. Returns whether it
    /// is there (or would be, in a dry run).
    #[allow(clippy::too_many_arguments, reason = "an entry with everything that is known of it")]
    pub(super) fn make(
        &self,
        (here, scope): (&Counterpart, &Scope),
        dir: DirId,
        path: &RelPath,
        name: &Name,
        entry: &Entry,
        own: Option<&Entry>,
        update: &Update,
    ) -> bool {
        if let Some(own) = own.filter(|own| own.is_dir())
            && !self.make_room(here, scope, path, own)
        {
            return false;
        }
        let Counterpart::Writable(handle) = here else {
            self.announce(|| path.clone(), &entry.node, &entry.meta, update);
            if update.change.new {
                self.count_created(entry.kind());
            }
            return true;
        };
        let replace = own.is_some_and(|own| !own.is_dir());
        if replace && let Err(error) = self.keep_of(handle, path, name, Fate::Replaced) {
            self.tally.failed(path, &error);
            return false;
        }
        let extended = self.extended(entry.acls(), update, None);
        // A new entry gets its owner with the rest; only a failure is worth a second try without it.
        let made =
            handle.make_node_with(name, &entry.node, &update.set, &extended, replace).or_else(|error| {
                let rest = SetMeta { owner: None, group: None, ..update.set };
                if rest == update.set && extended.is_empty() {
                    return Err(error);
                }
                handle.make_node(name, &entry.node, &rest, true)?;
                self.not_extended(path, &error);
                Ok(())
            });
        self.directories.touch(dir);
        match &made {
            Ok(()) => {
                self.announce(|| path.clone(), &entry.node, &entry.meta, update);
                if update.change.new {
                    self.count_created(entry.kind());
                }
            }
            Err(error) => self.tally.failed(path, error),
        }
        made.is_ok()
    }
}
