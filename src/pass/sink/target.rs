//! What a file's new content is written to: a staged file beside it, or the file itself.

use crate::delta::{Basis, Output};
use crate::fs::{Error, InPlace, ReadFile, SetMeta, Stage, WriteFile};
use std::io;
use std::ops::Deref;
use std::sync::Arc;

/// The file being written.
#[derive(Debug)]
pub(super) enum Target {
    /// Renamed over the old one when it is whole.
    Stage(Stage),
    /// The old one itself (`--inplace`).
    InPlace {
        /// It.
        file: InPlace,
        /// What it was when it was signed.
        signed: Signed,
    },
}

/// What is known of a file that was signed and is to be updated in place.
#[derive(Debug)]
pub(super) enum Signed {
    /// This is the file as it was opened to be signed, if it was, and nothing has been written to it yet.
    Untouched(Option<Arc<ReadFile>>),
    /// Something was written; whether it was another version by then.
    Touched(bool),
}

impl Target {
    /// A file to be updated in place, which may have been signed.
    pub(super) fn in_place(file: InPlace, signed: Option<Arc<ReadFile>>) -> Target {
        Target::InPlace { file, signed: Signed::Untouched(signed) }
    }

    /// Whether somebody else changed it after it was opened to be signed, so that what was seen of it then is not known
    /// to be there. It cannot be told from this run's own changes once these have begun.
    pub(super) fn has_changed(&self) -> io::Result<bool> {
        match self {
            Target::Stage(_) | Target::InPlace { signed: Signed::Untouched(None), .. } => Ok(false),
            Target::InPlace { signed: Signed::Untouched(Some(signed)), .. } => signed.changed(),
            Target::InPlace { signed: Signed::Touched(changed), .. } => Ok(*changed),
        }
    }

    /// Gives a verified file its attributes and, if it was staged, its name.
    pub(super) fn install(self, set: &SetMeta) -> Result<(), Error> {
        match self {
            Target::Stage(stage) => stage.install(set),
            Target::InPlace { file, .. } => file.set_meta(set),
        }
    }
}

impl Deref for Target {
    type Target = WriteFile;
    fn deref(&self) -> &WriteFile {
        match self {
            Target::Stage(stage) => stage,
            Target::InPlace { file, .. } => file,
        }
    }
}

impl Output for Target {
    fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        let changed = self.has_changed()?;
        if let Target::InPlace { signed, .. } = self {
            *signed = Signed::Touched(changed);
        }
        WriteFile::write_at(self, data, position).map_err(|error| error.source)
    }
}

/// What copies are taken from; `None` if the source was told of no basis.
#[derive(Debug)]
pub(super) struct BasisFile(pub Option<Arc<ReadFile>>);

impl BasisFile {
    pub(super) fn len(&self) -> u64 {
        self.0.as_ref().map_or(0, |file| file.len())
    }
}

impl Basis for BasisFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let read = match &self.0 {
            Some(file) => file.read_full_at(buf, offset)?,
            None => 0,
        };
        if read == buf.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
