//! Content on its way out, gathered into messages of a good size.

use crate::wire::{Closed, Content, ContentEnd, ContentOp, FileId, Message, Sender};
use bytes::Bytes;

/// The most literal bytes of one operation.
const LONGEST: usize = 256 << 10;
/// A message is sent once it holds this many bytes of content.
const FULL_BYTES: usize = 128 << 10;
/// Or this many operations.
const FULL_OPS: usize = 1024;
/// Or operations for so many bytes of the file, so that the sink builds one part while the next is searched.
const FULL_COVERED: u64 = 8 << 20;

pub(super) struct Outgoing<'a> {
    sender: &'a Sender,
    file: FileId,
    ops: Vec<ContentOp>,
    bytes: usize,
    covered: u64,
    packed: bool,
}

impl<'a> Outgoing<'a> {
    /// Content of a file; `packed` if it is not worth compressing.
    pub(super) fn new(sender: &'a Sender, file: FileId, packed: bool) -> Outgoing<'a> {
        Outgoing { sender, file, ops: Vec::new(), bytes: 0, covered: 0, packed }
    }

    pub(super) fn push(&mut self, op: ContentOp) -> Result<(), Closed> {
        match &op {
            ContentOp::Literal(data) | ContentOp::Rewrite { data, .. } => self.bytes += data.len(),
            ContentOp::Copy { len, .. } => self.covered = self.covered.saturating_add(*len),
            ContentOp::Gap { .. } | ContentOp::File(_) => {}
        }
        self.ops.push(op);
        let full = self.bytes >= FULL_BYTES || self.covered >= FULL_COVERED || self.ops.len() >= FULL_OPS;
        if full { self.send(None, Bytes::new()) } else { Ok(()) }
    }

    /// Sends literal bytes, however many: in pieces, so that a message stays within a frame.
    pub(super) fn literal(&mut self, mut data: Bytes) -> Result<(), Closed> {
        while !data.is_empty() {
            self.push(ContentOp::Literal(data.split_to(data.len().min(LONGEST))))?;
        }
        Ok(())
    }

    /// Sends the rest, with what is attached.
    pub(super) fn end(mut self, end: ContentEnd, attached: Bytes) -> Result<(), Closed> {
        self.send(Some(end), attached)
    }

    fn send(&mut self, end: Option<ContentEnd>, attached: Bytes) -> Result<(), Closed> {
        self.bytes = 0;
        self.covered = 0;
        let ops = std::mem::take(&mut self.ops);
        let (file, packed) = (self.file, self.packed);
        self.sender.send(Message::Content(Content { file, ops, attached, end, packed }))
    }
}
