//! What went wrong at a file system.

use std::io;

/// A failed operation: what was being done, and why it failed. The path is the caller's to add, since only the caller
/// knows the whole of it; `{doing} {path}: {source}` reads as a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}")]
pub struct Error {
    /// What was being done, as in "opening directory".
    pub doing: &'static str,
    /// What the system answered.
    pub source: io::Error,
}

impl Error {
    /// The class of the failure.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// Whether the entry, or a directory on the way to it, is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind() == io::ErrorKind::NotFound
    }

    /// Whether a path was refused that the system would have followed.
    pub fn is_refusal(&self) -> bool {
        self.kind() == io::ErrorKind::PermissionDenied && self.source.raw_os_error().is_none()
    }

    /// Whether the file system, or the system, has nothing of the kind.
    pub fn is_unsupported(&self) -> bool {
        let unsupported = rustix::io::Errno::OPNOTSUPP.raw_os_error();
        self.kind() == io::ErrorKind::Unsupported || self.source.raw_os_error() == Some(unsupported)
    }

    /// A file is asked for that no listing had.
    pub fn not_listed() -> Error {
        Error::refused("opening", io::ErrorKind::NotFound, "it was never listed")
    }

    /// Names what failed, for `map_err`.
    pub(super) fn when<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Error {
        move |source| Error { doing, source: source.into() }
    }

    /// A refusal of this module's own, where the system would have gone on.
    pub(super) fn refused(
        doing: &'static str,
        kind: io::ErrorKind,
        why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error { doing, source: io::Error::new(kind, why) }
    }
}
