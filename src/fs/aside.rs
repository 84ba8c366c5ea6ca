//! A directory for what is not finished, found from the directory of each file (`--partial-dir`, `--delay-updates`).
//!
//! The user named it. An absolute path is resolved as other such paths are. One that is not begins at each directory of
//! the destination, where a symbolic link may have come from the source; so it goes through none, and what is kept
//! there stays in the tree that the user meant. What is in it is opened by its name, like everything else.

use crate::fs::confined::{self, End, Follow};
use crate::fs::resolve::{self, Bounds, Links, Place};
use crate::fs::{Dir, Error, WriteDir, beneath};
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

const OPENING: &str = "opening the directory for partial files";
const MAKING: &str = "creating the directory for partial files";

impl Dir {
    /// Refuses a path for which [`WriteDir::aside`] would be refused here. That there is nothing, or nothing that would
    /// do, is no refusal, as that may change until it is needed.
    pub fn check_aside(&self, path: &[u8], links: Links) -> Result<(), Error> {
        match named(self, path, links) {
            Err(error) if error.is_refusal() => Err(error),
            _ => Ok(()),
        }
    }
}

impl WriteDir {
    /// Opens the directory at `path`, from here on if it is not absolute; `links` says through which an absolute one
    /// may go. `None` if there is none.
    pub fn aside(&self, path: &[u8], links: Links) -> Result<Option<WriteDir>, Error> {
        match self.named(path, links) {
            Ok(dir) => Ok(Some(dir)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The same, and makes it if it is not there: the last element only, open to the user alone.
    pub fn make_aside(&self, path: &[u8], links: Links) -> Result<WriteDir, Error> {
        if let Some(dir) = self.aside(path, links)? {
            return Ok(dir);
        }
        let (parent, name) = split(path);
        match rustix::fs::mkdirat(self.named(parent, links)?.as_fd(), name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.named(path, links),
            Err(error) => Err(Error::when(MAKING)(error)),
        }
    }

    /// Removes it if it is empty.
    pub fn remove_aside(&self, path: &[u8], links: Links) {
        let (parent, name) = split(path);
        if let Ok(parent) = self.named(parent, links) {
            // What is not empty is still needed.
            let _ = rustix::fs::unlinkat(parent.as_fd(), name, AtFlags::REMOVEDIR);
        }
    }

    fn named(&self, path: &[u8], links: Links) -> Result<WriteDir, Error> {
        Ok(self.like(Dir::like(self, named(self, path, links)?)))
    }
}

fn named(dir: &Dir, path: &[u8], links: Links) -> Result<OwnedFd, Error> {
    match path.first() {
        Some(b'/') => match resolve::resolve(path, links, OPENING)? {
            Place::Directory(handle) => resolve::readable(handle).map_err(Error::when(OPENING)),
            Place::Other { .. } => Err(Error::when(OPENING)(Errno::NOTDIR)),
        },
        _ => walk(dir, path, links),
    }
}

/// Goes from a directory element by element, and through no link.
fn walk(dir: &Dir, path: &[u8], links: Links) -> Result<OwnedFd, Error> {
    if let Links::Beneath(beneath) = links {
        let here = dir.as_fd().try_clone_to_owned().map_err(Error::when(OPENING))?;
        return match confined::walk(here, path, beneath, Follow::None, OPENING)? {
            End::Directory(handle) => resolve::readable(handle).map_err(Error::when(OPENING)),
            End::Entry { .. } => Err(Error::when(OPENING)(Errno::NOTDIR)),
        };
    }
    let mut here = beneath::open_one(dir.as_fd(), b".").map_err(Error::when(OPENING))?;
    for element in path.split(|byte| *byte == b'/').filter(|element| !element.is_empty()) {
        here = beneath::open_one(here.as_fd(), element).map_err(Error::when(OPENING))?;
    }
    if let Links::Within(Bounds { top, .. }) = links {
        resolve::check_within(here.as_fd(), top, OPENING)?;
    }
    Ok(here)
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
    use crate::fs::{Bounds, Links};
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    const LINKS: Links = Links::Trusted;

    #[test]
    fn it_is_made_when_it_is_needed_and_removed_when_it_is_empty() {
        let at = temporary();
        let root = writable(at.path());
        for path in [&b".partial"[..], b"./.partial/"] {
            assert!(root.aside(path, LINKS).unwrap().is_none());
            root.make_aside(path, LINKS).unwrap();
            root.make_aside(path, LINKS).unwrap();
            assert!(root.aside(path, LINKS).unwrap().is_some());
            root.remove_aside(path, LINKS);
            assert!(root.aside(path, LINKS).unwrap().is_none());
        }
        root.make_aside(b".partial", LINKS).unwrap();
        let mode = fs::metadata(at.path().join(".partial")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        fs::write(at.path().join(".partial/file"), "").unwrap();
        root.remove_aside(b".partial", LINKS);
        assert!(at.path().join(".partial/file").exists());
        // Only the last element is made.
        assert!(root.make_aside(b"no/such", LINKS).is_err());
        assert!(root.make_aside(b".partial/file", LINKS).is_err());
    }

    #[test]
    fn a_path_from_each_directory_goes_through_no_link() {
        let (at, elsewhere) = (temporary(), temporary());
        fs::create_dir(elsewhere.path().join("in")).unwrap();
        symlink(elsewhere.path(), at.path().join("link")).unwrap();
        let root = writable(at.path());
        for path in [&b"link"[..], b"link/", b"link/in", b"link/new"] {
            assert!(root.aside(path, Links::Any).is_err(), "{path:?}");
            assert!(root.make_aside(path, Links::Any).is_err(), "{path:?}");
            root.remove_aside(path, Links::Any);
        }
        assert!(elsewhere.path().join("in").exists() && at.path().join("link").is_symlink());
        assert!(!elsewhere.path().join("new").exists());
    }

    #[test]
    fn an_absolute_path_goes_through_links_of_ones_own() {
        let (at, elsewhere) = (temporary(), temporary());
        let link = at.path().join("link");
        symlink(elsewhere.path(), &link).unwrap();
        let (root, path) = (writable(at.path()), link.as_os_str().as_bytes());
        assert!(root.aside(path, LINKS).unwrap().is_some());
        let top = root.identity().unwrap();
        assert!(root.aside(path, Links::Within(Bounds { top, sources: false })).is_err());
        if lchown(&link, Some(12_345), None).is_ok() {
            assert!(root.aside(path, LINKS).is_err());
            assert!(root.make_aside(path, LINKS).is_err());
            assert!(root.aside(path, Links::Any).unwrap().is_some());
        }
        // Nor does one from a directory lead out.
        assert!(root.aside(b"..", Links::Within(Bounds { top, sources: false })).is_err());
        assert!(root.aside(b"..", LINKS).unwrap().is_some());
    }
}
