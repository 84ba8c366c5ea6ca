//! An entry that is listed only to be shown (`--list-only`).

use crate::pass::PassError;
use crate::pass::sink::Sink;
use crate::pass::sink::compare::{Comparison, Current};
use crate::pass::sink::linked::Child;
use crate::report::{Event, Shown};
use crate::tree::{Entry, Node, RelPath};

impl Comparison<'_, '_> {
    /// Shows an entry, a directory when it is entered: whatever is in it comes after all else that is beside it.
    pub(super) fn show(&self, current: &Current, index: u32, entry: Entry) -> Result<(), PassError> {
        if entry.is_dir() {
            return self.sink.directories.with(current.id, |dir| {
                dir.unsettled += 1;
                dir.children.insert(index, Child::meant(entry, None));
            });
        }
        self.sink.show(current.path.join(&entry.name), &entry.node, &entry.meta);
        self.sink.pass_by(&entry);
        Ok(())
    }
}

impl Sink<'_> {
    /// Says what an entry is.
    pub(in crate::pass::sink) fn show(&self, path: RelPath, node: &Node, meta: &crate::tree::Meta) {
        let target = match node {
            Node::Symlink { target } if self.context.options.links => Some(target.to_vec()),
            _ => None,
        };
        let (kind, size, mode) = (node.kind(), node.size(), meta.mode);
        let shown = Shown { path, kind, target, size, mode, seconds: meta.mtime.unix_seconds() };
        self.announcer.say(Event::Shown(shown));
    }
}
