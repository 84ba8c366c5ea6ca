//! Removing entries of a tree that is otherwise only read, where the user asked for that (`--remove-source-files`).
//!
//! An entry goes only if it is still what was seen of it. The look and the removal are two calls on the same handle of
//! the directory: the system has none that does both, so whoever changes the entry between them loses the change.

use crate::fs::{Dir, Error, Stamp, file, kernel, status};
use crate::tree::{Kind, Name};
use rustix::fs::{AtFlags, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};

const REMOVING: &str = "removing";

/// The right to remove entries through handles that only read. A dry run has none.
#[derive(Debug, Clone, Copy)]
pub struct Removal(());

/// What became of an entry that was to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It is gone. If the file has other names besides, this is its stamp under those.
    Gone(Option<Stamp>),
    /// It was gone before.
    Vanished,
    /// It is another one, or another version, by now, and stays.
    Changed,
    /// It is a device that was listed as a file for its content, and stays.
    Device,
}

impl Removal {
    /// For a run that was asked to.
    pub fn asked_for() -> Removal {
        Removal(())
    }

    /// Removes what has this name and is no directory, if it is still as one of `seen`. What was listed as a file must
    /// not be a device: nothing tells whether what a device holds has changed, and it is more than that.
    ///
    /// # Errors
    /// Those of the system.
    pub fn remove(self, dir: &Dir, name: &Name, listed_as: Kind, seen: &[Stamp]) -> Result<Removed, Error> {
        let stat = match rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Removed::Vanished),
            Err(error) => return Err(Error::when(REMOVING)(error)),
        };
        let kind = status::kind(&stat);
        if listed_as == Kind::File && kind.is_some_and(Kind::is_device) {
            return Ok(Removed::Device);
        }
        if kind == Some(Kind::Directory) || !seen.contains(&Stamp::of(&stat)) {
            return Ok(Removed::Changed);
        }
        let others = status::inode(&stat).and_then(|_| handle(dir, name, &stat));
        match rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(Removed::Vanished),
            Err(error) => return Err(Error::when(REMOVING)(error)),
        }
        let after = others.and_then(|file| rustix::fs::fstat(file).ok());
        let is_same = |after: &Stat| status::identity(after) == status::identity(&stat);
        Ok(Removed::Gone(after.filter(is_same).map(|after| Stamp::of(&after))))
    }
}

/// A handle on a file that has several names, by which it can be looked at when it has lost this one. If none can be
/// had, nothing more will be known of it.
fn handle(dir: &Dir, name: &Name, stat: &Stat) -> Option<OwnedFd> {
    match kernel::entry_handle(dir.as_fd(), name.as_bytes()) {
        Some(handle) => handle.ok(),
        None if status::kind(stat) == Some(Kind::File) => {
            let flags = file::PLAIN.union(OFlags::RDONLY);
            rustix::fs::openat(dir, name.as_bytes(), flags, Mode::empty()).ok()
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::{Links, Root};
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn dir(path: &Path) -> Dir {
        Root::open(path.as_os_str(), Links::Trusted).unwrap().dir().clone()
    }

    fn name(text: &str) -> Name {
        Name::new(text.as_bytes()).unwrap()
    }

    fn stamp(dir: &Dir, text: &str) -> Stamp {
        dir.stamped(&name(text)).unwrap().unwrap().stamp
    }

    fn remove(dir: &Dir, text: &str, seen: &[Stamp]) -> Removed {
        Removal::asked_for().remove(dir, &name(text), Kind::File, seen).unwrap()
    }

    #[test]
    fn what_is_as_it_was_seen_goes() {
        let place = tempfile::tempdir().unwrap();
        let here = dir(place.path());
        std::fs::write(place.path().join("file"), "x").unwrap();
        symlink("file", place.path().join("link")).unwrap();
        for text in ["link", "file"] {
            let seen = stamp(&here, text);
            assert_eq!(remove(&here, text, &[seen]), Removed::Gone(None), "{text}");
            assert_eq!(remove(&here, text, &[seen]), Removed::Vanished, "{text}");
        }
    }

    #[test]
    fn what_has_changed_stays() {
        let place = tempfile::tempdir().unwrap();
        let here = dir(place.path());
        let at = |name: &str| place.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        std::fs::write(at("other"), "x").unwrap();
        std::fs::create_dir(at("dir")).unwrap();
        let (seen, other, directory) = (stamp(&here, "file"), stamp(&here, "other"), stamp(&here, "dir"));
        assert_eq!(remove(&here, "file", &[other]), Removed::Changed);
        assert_eq!(remove(&here, "file", &[]), Removed::Changed);
        assert_eq!(remove(&here, "dir", &[directory]), Removed::Changed);
        std::fs::write(at("file"), "y").unwrap();
        filetime::set_file_mtime(at("file"), seen.mtime).unwrap();
        assert_eq!(remove(&here, "file", &[seen]), Removed::Changed, "the same length and time");
        std::fs::rename(at("other"), at("file")).unwrap();
        assert_eq!(remove(&here, "file", &[seen]), Removed::Changed);
        assert!(at("file").exists() && at("dir").exists());
    }

    #[test]
    fn of_a_file_with_further_names_it_is_told_how_those_are() {
        let place = tempfile::tempdir().unwrap();
        let here = dir(place.path());
        let at = |name: &str| place.path().join(name);
        std::fs::write(at("one"), "x").unwrap();
        for other in ["two", "three"] {
            std::fs::hard_link(at("one"), at(other)).unwrap();
        }
        let listed = stamp(&here, "two");
        let Removed::Gone(Some(left)) = remove(&here, "one", &[stamp(&here, "one")]) else {
            panic!("it has other names");
        };
        assert_eq!(left, stamp(&here, "two"));
        assert!(matches!(remove(&here, "two", &[listed, left]), Removed::Gone(Some(_))));
        assert_eq!(remove(&here, "three", &[stamp(&here, "three")]), Removed::Gone(None));
    }
}
