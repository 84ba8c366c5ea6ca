//! A directory for what is not finished, found from the directory of each file (`--partial-dir`, `--delay-updates`).
//!
//! The user named it, so it is resolved as other such paths are: from the file's directory if it is not absolute, and
//! through symbolic links of root and of the running user only. What is in it is opened by its name, like everything
//! else.

use crate::fs::resolve::{self, Links, Place};
use crate::fs::{Dir, Error, WriteDir};
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use std::os::fd::AsFd;

const OPENING: &str = "opening the directory for partial files";
const MAKING: &str = "creating the directory for partial files";

impl WriteDir {
    /// Opens the directory at `path`, from here on if it is not absolute. `None` if there is none.
    pub fn aside(&self, path: &[u8]) -> Result<Option<WriteDir>, Error> {
        match self.named(path) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same, and makes it if it is not there: the last element only, open to the user alone.
    pub fn make_aside(&self, path: &[u8]) -> Result<WriteDir, Error> {
        if let Some(dir) = self.aside(path)? {
            return Ok(dir);
        }
        let (parent, name) = split(path);
        match rustix::fs::mkdirat(self.named(parent)?.as_fd(), name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.named(path),
            Err(error) => Err(Error::when(MAKING)(error)),
        }
    }

    /// Removes it if it is empty.
    pub fn remove_aside(&self, path: &[u8]) {
        let (parent, name) = split(path);
        if let Ok(parent) = self.named(parent) {
            // What is not empty is still needed.
            let _ = rustix::fs::unlinkat(parent.as_fd(), name, AtFlags::REMOVEDIR);
        }
    }

    fn named(&self, path: &[u8]) -> Result<WriteDir, Error> {
        match resolve::resolve_from(Some(self.as_fd()), path, Links::Trusted, OPENING)? {
            Place::Directory(handle) => {
                let handle = resolve::readable(handle).map_err(Error::when(OPENING))?;
                Ok(self.like(Dir::new(handle)))
            }
            Place::Other { .. } => Err(Error::when(OPENING)(Errno::NOTDIR)),
        }
    }
}

/// A path as that of a directory and a name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last.saturating_add(1));
    let path = path.get(..end).unwrap_or_default();
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => path.split_at(slash.saturating_add(1)),
        None => (b".", path),
    }
}

#[cfg(test)]
mod tests {
    use crate::fs::tests::{temporary, writable};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    #[test]
    fn it_is_made_when_it_is_needed_and_removed_when_it_is_empty() {
        let at = temporary();
        let root = writable(at.path());
        for path in [&b".partial"[..], b"./.partial/"] {
            assert!(root.aside(path).unwrap().is_none());
            root.make_aside(path).unwrap();
            root.make_aside(path).unwrap();
            assert!(root.aside(path).unwrap().is_some());
            root.remove_aside(path);
            assert!(root.aside(path).unwrap().is_none());
        }
        root.make_aside(b".partial").unwrap();
        let mode = fs::metadata(at.path().join(".partial")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::write(at.path().join(".partial/file"), "").unwrap();
        root.remove_aside(b".partial");
        assert!(at.path().join(".partial/file").exists());
        // Only the last element is made.
        assert!(root.make_aside(b"no/such").is_err());
        assert!(root.make_aside(b".partial/file").is_err());
    }

    #[test]
    fn a_link_of_somebody_else_is_not_followed() {
        let (at, elsewhere) = (temporary(), temporary());
        let link = at.path().join(".partial");
        symlink(elsewhere.path(), &link).unwrap();
        let root = writable(at.path());
        assert!(root.aside(b".partial").unwrap().is_some());
        if lchown(&link, Some(12_345), None).is_ok() {
            assert!(root.aside(b".partial").is_err());
            assert!(root.make_aside(b".partial").is_err());
        }
    }
}
