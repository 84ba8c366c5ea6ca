//! How a server was started: what it serves, and to what it was restricted by whoever started it.

use crate::fs::{self, Links, Root};
use crate::request::Restriction;
use crate::session::Paths;
use std::ffi::OsStr;
use std::io;

/// How a server was started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms {
    pub(super) paths: Paths,
    pub(super) restriction: Option<Restriction>,
}

impl Terms {
    /// It serves whatever its user may reach, by paths that are followed so.
    pub fn of(paths: Paths) -> Terms {
        Terms { paths, restriction: None }
    }

    /// It serves a directory, and of that what the restriction leaves (`--restrict`). From now on this process is in
    /// that directory and reaches nothing else. To be called before there are other threads, which are not kept there
    /// by the kernel.
    ///
    /// # Errors
    /// The directory cannot be opened, or the process cannot be restricted to it.
    pub fn restricted(directory: &OsStr, restriction: Restriction) -> io::Result<Terms> {
        let failed = |error: fs::Error| io::Error::new(error.kind(), error);
        let root = Root::open(directory, Links::Trusted).map_err(failed)?;
        let links = fs::keep_below(&root, restriction.writes()).map_err(failed)?;
        Ok(Terms { paths: Paths(links), restriction: Some(restriction) })
    }
}
