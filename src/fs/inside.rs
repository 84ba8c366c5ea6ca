//! Reaching a directory through symbolic links that stay inside the tree.
//!
//! What the user keeps of links at the destination (`-K`, `--no-implied-dirs`) is followed element by element, with
//! every directory on the way held open: `..` goes back to the one that was gone through, never to where the link's
//! directory is by now, and above the root nothing is reached. An absolute link is outside, and none leads to what a
//! replica keeps for itself.

use crate::fs::{Dir, Error, confined, resolve};
use crate::tree::RelPath;
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

const OPENING: &str = "opening directory";

impl Dir {
    /// Opens a directory below this one, going through symbolic links as long as they stay below it.
    ///
    /// # Errors
    /// A link that leads out is "permission denied".
    pub fn open_inside(&self, path: &RelPath) -> Result<Dir, Error> {
        match walk(self, path.as_bytes())? {
            Some(handle) => Ok(self.like(resolve::readable(handle).map_err(Error::when(OPENING))?)),
            None => {
                let why = "a symbolic link leads out of the tree";
                Err(Error::refused(OPENING, io::ErrorKind::PermissionDenied, why))
            }
        }
    }
}

/// The directory at the end; `None` if the way there leaves the root.
fn walk(root: &Dir, path: &[u8]) -> Result<Option<OwnedFd>, Error> {
    let failed = |errno: Errno| Error::when(OPENING)(errno);
    let mut above: Vec<OwnedFd> = vec![root.as_fd().try_clone_to_owned().map_err(Error::when(OPENING))?];
    let mut ahead = resolve::elements(path);
    let mut followed = 0;
    while let Some(element) = ahead.pop() {
        confined::check_element(&element, OPENING)?;
        match element.as_slice() {
            b"." => continue,
            b".." => {
                above.pop();
                if above.is_empty() {
                    return Ok(None);
                }
                continue;
            }
            _ => {}
        }
        let here = above.last().ok_or_else(|| failed(Errno::NOENT))?;
        match resolve::step(here.as_fd(), &element).map_err(failed)? {
            resolve::Step::To(resolve::Place::Directory(handle)) => above.push(handle),
            resolve::Step::To(resolve::Place::Other { .. }) => return Err(failed(Errno::NOTDIR)),
            resolve::Step::Link { target, .. } if target.starts_with(b"/") => return Ok(None),
            resolve::Step::Link { target, .. } => {
                followed += 1;
                if followed > resolve::MOST_LINKS {
                    return Err(failed(Errno::LOOP));
                }
                ahead.extend(resolve::elements(&target));
            }
        }
    }
    Ok(above.pop())
}
