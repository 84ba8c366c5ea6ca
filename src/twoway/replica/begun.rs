//! Taking back what was made of a tree that does not become a replica after all.

use crate::fs::{Error, SetMeta, WriteDir};
use crate::tree::{Kind, Name};
use crate::twoway::replica::{BEGINNING, HISTORY, HOME, LOCK, STAGING, TRASH};
use filetime::FileTime;

/// A tree that has just been made a replica. It is none any more when this is dropped, unless it is to
/// [stay](Begun::keep) one: what a guard refuses leaves nothing behind.
#[derive(Debug)]
pub struct Begun {
    root: WriteDir,
    /// When the tree was modified before that; `None` once it stays one.
    before: Option<FileTime>,
}

impl Begun {
    pub(super) fn new(root: WriteDir, before: FileTime) -> Begun {
        Begun { root, before: Some(before) }
    }

    /// The tree stays a replica.
    pub fn keep(mut self) {
        self.before = None;
    }

    fn take_back(&self, before: FileTime) -> Result<(), Error> {
        let name = |name| Name::new(name).ok();
        let Some(own) = name(HOME) else { return Ok(()) };
        let home = self.root.open_dir_writable(&own)?;
        // The lock at last: whoever waits for it finds then that it is gone, and has touched nothing.
        for part in [BEGINNING, HISTORY, STAGING, TRASH, LOCK] {
            let kind = if matches!(part, STAGING | TRASH) { Kind::Directory } else { Kind::File };
            match name(part).map(|part| home.remove(&part, kind)) {
                Some(Err(error)) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
        self.root.remove(&own, Kind::Directory)?;
        self.root.set_own_meta(&SetMeta { mtime: Some(before), ..SetMeta::default() })
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            // What cannot be taken back is an empty history, which the next run goes on with.
            let _ = self.take_back(before);
        }
    }
}
