//! A source argument that cannot be read.

use crate::fs;
use crate::tree::{Escaped, InvalidName};
use std::io;

/// Why a source argument is left out.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {}: {source}", Escaped(path))]
pub struct ViewError {
    /// What was being done.
    pub doing: &'static str,
    /// The argument as the user typed it.
    pub path: Vec<u8>,
    /// Why it failed.
    pub source: io::Error,
    /// Whether it may have held entries of the transfer root, which then cannot be taken for absent. As in rsync, a
    /// missing entry hides nothing, a missing directory that was to give its contents does.
    pub hides_entries: bool,
}

impl ViewError {
    pub(crate) fn new(path: &[u8], error: fs::Error) -> ViewError {
        ViewError { doing: error.doing, path: path.to_vec(), source: error.source, hides_entries: true }
    }

    pub(crate) fn missing(path: &[u8], hides_entries: bool) -> ViewError {
        let source = io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error());
        ViewError { doing: "looking up", path: path.to_vec(), source, hides_entries }
    }

    /// What no run shows, as the user may not know who names it.
    pub(crate) fn own(path: &[u8]) -> ViewError {
        let why =
            "it is dsync's own, like all in .dsync, where a replica keeps its history: no run copies it";
        let source = io::Error::new(io::ErrorKind::PermissionDenied, why);
        ViewError { doing: "copying", path: path.to_vec(), source, hides_entries: false }
    }

    pub(crate) fn invalid(path: &[u8], error: InvalidName) -> ViewError {
        let source = io::Error::new(io::ErrorKind::InvalidInput, error);
        ViewError { doing: "looking up", path: path.to_vec(), source, hides_entries: true }
    }
}
