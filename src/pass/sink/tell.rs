//! What is told of an entry, and when.
//!
//! An entry is told of when it is decided what becomes of it, in the order of the listing. Only where the output is to
//! say what is not known by then, how much of a file travelled or what its content sums up to, files are told of when
//! they have their content, in the order in which they do.

use crate::pass::decide::Update;
use crate::pass::sink::Sink;
use crate::report::{Action, Event, Facts, Item};
use crate::tree::{Meta, Node, RelPath};
use std::io;

/// Bytes of a file summed at once.
const PIECE: usize = 256 << 10;

/// What became known of a file by transferring it, or by comparing its content.
#[derive(Debug, Clone, Default)]
pub(super) struct Late {
    /// How many bytes of it travelled.
    pub sent: u64,
    /// The sum of its content, if it was asked for.
    pub sum: Option<Vec<u8>>,
}

impl Sink<'_> {
    /// Tells of a difference, if anybody wants to hear of it now.
    pub(super) fn announce(&self, path: impl FnOnce() -> RelPath, node: &Node, meta: &Meta, update: &Update) {
        if self.is_told(update)
            && let Some(event) = self.item(path(), node, meta, update)
        {
            self.announcer.say(event);
        }
    }

    /// What there is to tell of an entry when it is decided what becomes of it.
    pub(super) fn item(&self, path: RelPath, node: &Node, meta: &Meta, update: &Update) -> Option<Event> {
        let now = self.is_told(update) && !self.is_told_late(update);
        // Two empty files are the same without being read.
        let is_known = self.context.options.checksum && *node == Node::File { size: 0 };
        let sum = is_known.then(|| self.plain_sum(b"")).flatten();
        now.then(|| self.event(path, node, meta, update, Late { sent: 0, sum }))
    }

    /// The same of a file whose content was found to be here already.
    pub(super) fn item_of_known(
        &self,
        path: RelPath,
        node: &Node,
        meta: &Meta,
        update: &Update,
        sum: Option<Vec<u8>>,
    ) -> Option<Event> {
        self.is_told(update).then(|| self.event(path, node, meta, update, Late { sent: 0, sum }))
    }

    /// Tells of a file that has got its content, unless that was told before.
    pub(super) fn tell_transferred(
        &self,
        path: impl FnOnce() -> RelPath,
        node: &Node,
        meta: &Meta,
        update: &Update,
        late: Late,
    ) {
        if self.is_told(update) && self.is_told_late(update) && self.goal.agenda().is_none() {
            self.context.reporter.report(self.event(path(), node, meta, update, late));
        }
    }

    fn is_told(&self, update: &Update) -> bool {
        let detail = self.context.options.detail;
        if update.change.is_nothing() { detail.unchanged } else { detail.changes }
    }

    fn is_told_late(&self, update: &Update) -> bool {
        let transferred = update.change.action == Action::Transfer && !self.dry_run();
        transferred && self.context.options.detail.is_late()
    }

    fn event(&self, path: RelPath, node: &Node, meta: &Meta, update: &Update, late: Late) -> Event {
        let target = match node {
            Node::Symlink { target } => Some(target.to_vec()),
            _ => None,
        };
        let options = &self.context.options;
        let facts = options.detail.facts.then(|| {
            Box::new(Facts {
                modified: meta.mtime.unix_seconds(),
                mode: meta.mode,
                owner: options.owner.then_some(meta.uid),
                group: options.group.then_some(meta.gid),
                sent: late.sent,
                sum: late.sum,
            })
        });
        let (kind, size, change) = (node.kind(), node.size(), update.change);
        Event::Item(Item { path, kind, target, leader: None, size, change, facts })
    }

    /// The sum of a content that is at hand, if sums are asked for.
    pub(super) fn plain_sum(&self, content: &[u8]) -> Option<Vec<u8>> {
        self.context.options.detail.sums.then(|| {
            let mut hasher = self.context.shown_sum().plain_hasher();
            hasher.update(content);
            hasher.digest()
        })
    }

    /// The sum of what can be read of a file, if sums are asked for. One that cannot be read has none.
    pub(super) fn plain_sum_of(
        &self,
        read_at: impl Fn(&mut [u8], u64) -> io::Result<usize>,
    ) -> Option<Vec<u8>> {
        if !self.context.options.detail.sums {
            return None;
        }
        let mut hasher = self.context.shown_sum().plain_hasher();
        let mut buffer = vec![0; PIECE];
        let mut offset = 0;
        while !self.sender.is_stopped() {
            let read = read_at(&mut buffer, offset).ok()?;
            hasher.update(buffer.get(..read).unwrap_or_default());
            offset += read as u64;
            if read < PIECE {
                return Some(hasher.digest());
            }
        }
        None
    }
}
