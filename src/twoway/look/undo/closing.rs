//! Directories for the time of an undo. Those that shut their owner out are opened up, as by a run: this is written
//! down before, so that they are closed again if the undo is killed. And all get the attributes that they are to have
//! when everything in them is done.

use crate::fs::{SetMeta, WriteDir};
use crate::tree::RelPath;
use crate::twoway::TwoWayError;
use crate::twoway::carry::{open_up, shuts_out};
use crate::twoway::log::Entry;
use crate::twoway::look::undo::{Refusal, Undo};
use crate::twoway::reconcile::Change;
use std::collections::BTreeMap;

/// What directories are to get at the end.
#[derive(Default)]
pub(super) struct Closing {
    set: BTreeMap<RelPath, SetMeta>,
    /// Those that were opened up, with the mode they had.
    opened: BTreeMap<RelPath, u32>,
    /// What the run had done to those of which it had set attributes: told when they have got all of them.
    adjusted: BTreeMap<RelPath, Entry>,
    /// The last one that was looked at.
    last: Option<RelPath>,
}

impl Closing {
    /// A directory gets these attributes at the end.
    pub(super) fn set(&mut self, path: RelPath, meta: SetMeta) {
        self.set.insert(path, meta);
    }

    /// Attributes of a directory are being set back.
    pub(super) fn is_adjusted(&mut self, entry: &Entry) {
        self.adjusted.insert(entry.path.clone(), entry.clone());
    }

    /// The mode that a directory had before it was opened up, if it was.
    pub(super) fn mode_before(&self, path: &RelPath) -> Option<u32> {
        self.opened.get(path).copied()
    }

    /// Whether a directory is to get something at the end.
    pub(super) fn has(&self, path: &RelPath) -> bool {
        self.set.contains_key(path) || self.opened.contains_key(path)
    }

    /// A directory has gone into the trash, with what is in it.
    pub(super) fn is_gone(&mut self, path: &RelPath) {
        self.opened.retain(|at, _| at != path && !at.is_below(path));
    }
}

impl Undo<'_> {
    /// Opens a directory in which something is to be done, or that is to give way, if it shuts its owner out.
    pub(super) fn open_up(&mut self, path: &RelPath, dir: WriteDir) -> Result<WriteDir, Refusal> {
        if self.closing.last.as_ref() == Some(path) {
            return Ok(dir);
        }
        self.closing.last = Some(path.clone());
        let Some(mode) = shuts_out(&dir)? else { return Ok(dir) };
        let (meta, stamp) = dir.own_stamped()?;
        self.write_down_mode(path, &meta, stamp)?;
        open_up(&dir, mode)?;
        self.closing.opened.insert(path.clone(), mode);
        // The handle is from before it could be read.
        Ok(self.replica.root().open_beneath_writable(path)?)
    }

    /// Gives directories what they are to have, deepest first.
    pub(super) fn close_directories(&mut self) -> Result<(), TwoWayError> {
        let Closing { mut set, opened, mut adjusted, .. } = std::mem::take(&mut self.closing);
        for (path, mode) in opened {
            let meta = set.entry(path).or_default();
            meta.mode = meta.mode.or(Some(mode));
        }
        // What is in a directory sorts after it.
        for (path, meta) in set.into_iter().rev() {
            let dir = self.replica.root().open_beneath_writable(&path);
            let done = dir.and_then(|dir| dir.set_own_meta(&meta));
            match (adjusted.remove(&path), done) {
                (Some(entry), done) => {
                    self.note(&entry, Change::Adjust, done.map(|()| Some(None)).map_err(Refusal::Failed))?;
                }
                (None, Err(error)) => self.failed(path, error)?,
                (None, Ok(())) => {}
            }
        }
        Ok(())
    }
}
