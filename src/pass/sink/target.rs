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
    InPlace(InPlace),
}

impl Target {
    /// Gives a verified file its attributes and, if it was staged, its name.
    pub(super) fn install(self, set: &SetMeta) -> Result<(), Error> {
        match self {
            Target::Stage(stage) => stage.install(set),
            Target::InPlace(file) => file.set_meta(set),
        }
    }
}

impl Deref for Target {
    type Target = WriteFile;
    fn deref(&self) -> &WriteFile {
        match self {
            Target::Stage(stage) => stage,
            Target::InPlace(file) => file,
        }
    }
}

impl Output for Target {
    fn write_at(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        WriteFile::write_at(self, data, position).map_err(|error| error.source)
    }

    fn keep(&mut self, data: &[u8], position: u64) -> io::Result<()> {
        match self {
            Target::Stage(_) => Output::write_at(self, data, position),
            Target::InPlace(_) => Ok(()),
        }
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
