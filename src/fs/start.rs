//! Where paths begin that are not absolute: a directory, or one that is still to be made.

use crate::fs::{Dir, Error, Links, Root};
use crate::tree::Name;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A directory that is there, and the names of those that are going to be made below it, each in the one before. Paths
/// begin at the last of them, so that a path which leads nowhere is known before anything is made.
#[derive(Debug)]
pub struct Start {
    dir: Dir,
    unmade: Vec<Name>,
}

impl From<&Dir> for Start {
    fn from(dir: &Dir) -> Start {
        Start { dir: dir.clone(), unmade: Vec::new() }
    }
}

impl Start {
    /// Below a directory, where these are going to be made.
    pub fn unmade(above: &Root, unmade: Vec<Name>) -> Start {
        Start { dir: above.dir().clone(), unmade }
    }

    /// A directory to look at a path from, if there is one yet that does for it.
    pub fn dir_for(&self, path: &[u8]) -> Option<&Dir> {
        (self.unmade.is_empty() || path.starts_with(b"/")).then_some(&self.dir)
    }

    /// Opens the directory at a path, as [`Root::open_from`] does. `None` if it is one of those that are going to be
    /// made.
    pub fn open(&self, path: &OsStr, links: Links) -> Result<Option<Root>, Error> {
        let open = |path: &[u8]| Root::open_from(&self.dir, OsStr::from_bytes(path), links).map(Some);
        let (whole, mut depth) = (path.as_bytes(), self.unmade.len());
        if whole.starts_with(b"/") {
            return open(whole);
        }
        let mut left = Some(whole);
        while let Some(rest) = left {
            let slash = rest.iter().position(|&byte| byte == b'/');
            let element = slash.and_then(|slash| rest.get(..slash)).unwrap_or(rest);
            match element {
                b"" | b"." => {}
                _ if self.unmade.get(depth).is_some_and(|name| name.as_bytes() == element) => {
                    depth = depth.saturating_add(1);
                }
                _ if depth == 0 => return open(rest),
                b".." => depth = depth.saturating_sub(1),
                _ => return Err(Error::when("opening directory")(Errno::NOENT)),
            }
            left = slash.and_then(|slash| rest.get(slash.saturating_add(1)..));
        }
        if depth == 0 { open(b".") } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// What a path leads to, by what is there and what is going to be.
    #[test]
    fn a_path_leads_to_the_same_before_and_after_a_directory_is_made() {
        let place = tempfile::tempdir().unwrap();
        for dir in ["in", "in/beside", "out"] {
            fs::create_dir(place.path().join(dir)).unwrap();
        }
        fs::write(place.path().join("in/file"), "").unwrap();
        let above = Root::open(place.path().join("in").as_os_str(), Links::Trusted).unwrap();
        let names = ["new", "below"].map(|name| Name::new(name).unwrap());
        let before = Start::unmade(&above, names.to_vec());
        assert!(before.dir_for(b"out").is_none() && before.dir_for(b"/out").is_some());
        let absolute = place.path().join("out").to_str().unwrap().to_owned();
        let paths = [
            ".",
            "./",
            "..",
            "../",
            "../.",
            "../..",
            "../../",
            "../../beside",
            "../../beside/",
            "../../../out",
            "../below",
            "../../new",
            "../../new/below",
            "../../new/./below/..",
            "../../../in/beside",
            "no",
            "../no",
            "../../no",
            "../../file",
            "no/..",
            "..//../beside",
            "/nosuch",
            &absolute,
        ];
        let shown = |opened: Result<Option<Root>, Error>| match opened {
            Ok(Some(root)) => Ok(Some(root.dir().identity().unwrap())),
            Ok(None) => Ok(None),
            Err(error) => Err(error.to_string()),
        };
        let early: Vec<_> =
            paths.iter().map(|path| shown(before.open(OsStr::new(path), Links::Trusted))).collect();
        fs::create_dir_all(place.path().join("in/new/below")).unwrap();
        let made = Root::open(place.path().join("in/new/below").as_os_str(), Links::Trusted).unwrap();
        let after = Start::from(made.dir());
        for (path, early) in paths.iter().zip(early) {
            let late = shown(after.open(OsStr::new(path), Links::Trusted));
            match early {
                Ok(None) => assert!(late.is_ok(), "{path}: {late:?}"),
                early => assert_eq!(early, late, "{path}"),
            }
        }
    }
}
