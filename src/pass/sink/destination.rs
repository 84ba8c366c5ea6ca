//! What the destination argument means: a directory to fill, or a new name for one file.

use crate::fs::{self, Links, Root, Writing};
use crate::pass::tally::describe;
use crate::request::Options;
use crate::tree::{Escaped, Kind, Name};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Where entries of the transfer root go.
#[derive(Debug)]
pub(super) struct Destination {
    /// The directory; `None` in a dry run if it does not exist yet.
    pub root: Option<Root>,
    /// The name the one entry of the transfer gets.
    pub rename: Option<Name>,
    /// Whether the directory was made (or would be).
    pub created: bool,
}

/// Why the destination cannot be used. Ends the run before anything is changed.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// More than one entry, or a directory, is to go where a file is.
    #[error("{0} is not a directory, so only a single file can be copied to it")]
    NotADirectory(String),
    /// There is no directory for what is not finished.
    #[error("the directory of --temp-dir (-T) cannot be used: {path}: {cause}")]
    NoTemp {
        /// The path that was given.
        path: String,
        /// Why not.
        cause: String,
    },
    /// It cannot be opened or made.
    #[error("{doing} {path}: {cause}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// The argument.
        path: String,
        /// Why it failed.
        cause: String,
        /// Whether a directory above it is not there.
        missing: bool,
    },
}

impl DestinationError {
    fn failed(path: &[u8], error: &fs::Error) -> DestinationError {
        DestinationError::Failed {
            doing: error.doing,
            path: Escaped(path).to_string(),
            cause: describe(&error.source),
            missing: false,
        }
    }
}

impl DestinationError {
    /// Whether sources and destination do not fit each other, rather than that something failed.
    pub fn is_selection(&self) -> bool {
        matches!(self, DestinationError::NotADirectory(_) | DestinationError::Failed { missing: true, .. })
    }
}

impl Destination {
    /// Has files written as the options say.
    pub(super) fn written_by(mut self, options: &Options) -> Result<Destination, DestinationError> {
        let Some(root) = self.root.take() else { return Ok(self) };
        let open_temp = |path: &Vec<u8>| {
            let opened = root.open_from(OsStr::from_bytes(path), Links::Trusted);
            opened.map(|temp| temp.dir().clone()).map_err(|error| DestinationError::NoTemp {
                path: Escaped(path).to_string(),
                cause: describe(&error.source),
            })
        };
        let temp = options.temp_dir.as_ref().map(open_temp).transpose()?;
        self.root = Some(root.with_writing(Writing { fsync: options.fsync, sparse: options.sparse, temp }));
        Ok(self)
    }
}

/// Opens (or makes) the destination. `single` says that one entry that is no directory is all there is.
pub(super) fn open(path: &[u8], single: bool, dry_run: bool) -> Result<Destination, DestinationError> {
    let path = if path.is_empty() { b"." } else { path };
    let failed = |error: fs::Error| DestinationError::failed(path, &error);
    let os_path = OsStr::from_bytes(path);
    // A file's new name in a directory that is not there is a choice that does not fit, as in rsync.
    let no_parent = |error: fs::Error| match failed(error) {
        DestinationError::Failed { doing, path, cause, .. } => {
            DestinationError::Failed { doing, path, cause, missing: true }
        }
        other => other,
    };
    let as_directory = path.ends_with(b"/");
    let guard = |root: Root| if dry_run { root.read_only() } else { root };
    match Root::inspect(os_path, Links::Trusted).map_err(failed)? {
        Some(Kind::Directory) => {
            let root = Root::open(os_path, Links::Trusted).map_err(failed)?;
            Ok(Destination { root: Some(guard(root)), rename: None, created: false })
        }
        found => {
            if single
                && !as_directory
                && let Some((parent, name)) = Root::open_parent(os_path, Links::Trusted).map_err(no_parent)?
            {
                return Ok(Destination { root: Some(guard(parent)), rename: Some(name), created: false });
            }
            if found.is_some() {
                return Err(DestinationError::NotADirectory(Escaped(path).to_string()));
            }
            if dry_run {
                return Ok(Destination { root: None, rename: None, created: true });
            }
            let root = Root::create(os_path, Links::Trusted).map_err(failed)?;
            Ok(Destination { root: Some(root), rename: None, created: true })
        }
    }
}

#[cfg(test)]
mod tests;
