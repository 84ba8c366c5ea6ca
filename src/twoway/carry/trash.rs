//! Where what gives way goes: the directory of the run in the trash, with the paths of the tree.

use crate::fs::{Error, SetMeta, WriteDir};
use crate::tree::{Kind, Name, RelPath};
use crate::twoway::TwoWayError;
use crate::twoway::carry::{kept, lock};
use crate::twoway::facet::{At, Facets, Wanted};
use crate::twoway::replica::made;
use filetime::FileTime;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// The trash of one run. Its directory is there from the first time on that something gives way.
pub(super) struct Trash {
    /// What holds the directory of each run.
    all: WriteDir,
    run: Name,
    stay: Stay,
    last: Mutex<Option<(RelPath, WriteDir)>>,
    /// What was put there and had other names.
    linked: Mutex<Vec<RelPath>>,
    put: Mutex<Put>,
}

/// How what is in it stays beyond the end of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stay {
    /// It does not.
    None,
    /// With contents that nothing in the tree has.
    Apart,
    /// As names of the files that they were names of: whoever undoes the run gives each back to its file.
    Named,
}

/// By what it shows that somebody wrote to a file.
type Written = (u64, FileTime);

/// What was put there, where that does not stay.
#[derive(Default)]
struct Put {
    /// With its size and time of modification when it came: whoever had it open may have written to it since.
    entries: Vec<(RelPath, Kind, Option<Written>)>,
    directories: BTreeSet<RelPath>,
}

impl Trash {
    pub(super) fn new(all: WriteDir, run: u64, stay: Stay) -> Result<Trash, TwoWayError> {
        let (run, last, linked) = (run_name(run)?, Mutex::new(None), Mutex::default());
        Ok(Trash { all, run, stay, last, linked, put: Mutex::default() })
    }

    /// The directory for what was at this path of the tree, which is made if there is none.
    pub(super) fn open(&self, path: &RelPath) -> Result<WriteDir, Error> {
        let mut last = lock(&self.last);
        if let Some((_, dir)) = last.as_ref().filter(|(at, _)| at == path) {
            return Ok(dir.clone());
        }
        let mut dir = made(&self.all, &self.run)?;
        let mut at = RelPath::root();
        // Each element of a path is a name.
        for name in path.elements().filter_map(|element| Name::new(element).ok()) {
            dir = made(&dir, &name)?;
            at = at.join(&name);
            if self.stay == Stay::None {
                lock(&self.put).directories.insert(at.clone());
            }
        }
        *last = Some((path.clone(), dir.clone()));
        Ok(dir)
    }

    /// Makes a directory like one of the tree, which its owner can enter whatever its mode.
    pub(super) fn make_like(&self, path: &RelPath, mode: u32, like: &Wanted) -> Result<(), Error> {
        let (dir, mode) = (self.open(path)?, mode | 0o700);
        // What cannot be set here could not be put back from here either.
        like.set_at(At::Own(&dir), mode, |_| ())?;
        dir.set_own_meta(&SetMeta { mode: Some(mode), ..SetMeta::default() })
    }

    /// Takes note of what was put into the directory for `parent`, and returns its path in the trash.
    pub(super) fn note(&self, parent: &RelPath, name: &Name, kind: Kind) -> RelPath {
        let path = parent.join(name);
        match self.stay {
            Stay::None => {
                let written = self.open(parent).ok().and_then(|dir| written(&dir, name));
                lock(&self.put).entries.push((path.clone(), kind, written));
            }
            Stay::Apart if kind == Kind::File => {
                let linked = self.open(parent).and_then(|dir| dir.stamp_of_linked(name));
                if let Ok(Some(_)) = linked {
                    lock(&self.linked).push(path.clone());
                }
            }
            Stay::Apart | Stay::Named => {}
        }
        path
    }

    /// Gives what is to stay apart contents that nothing in the tree has. Returns those for which that could not be.
    pub(super) fn part_from_tree(&self, holds: Facets) -> Vec<(RelPath, Error)> {
        let linked = std::mem::take(&mut *lock(&self.linked));
        match self.all.open_dir_writable(&self.run) {
            Ok(run) if !linked.is_empty() => kept::part(&run, linked, holds),
            _ => Vec::new(),
        }
    }

    /// Removes what this run has put there, unless that is kept. What else there is stays, and what cannot be removed,
    /// which goes with the rest of the trash later.
    pub(super) fn empty_unless_kept(&self) {
        if self.stay != Stay::None {
            return;
        }
        *lock(&self.last) = None;
        let Put { entries, directories } = std::mem::take(&mut *lock(&self.put));
        let Ok(run) = self.all.open_dir_writable(&self.run) else { return };
        let remove = |path: &RelPath, kind: Kind, was: Option<Option<Written>>| {
            let Some((parent, name)) = path.split_last() else { return Ok(()) };
            let dir = run.open_beneath_writable(&parent)?;
            let is_as_it_came = was.is_none_or(|was| was.is_some() && was == written(&dir, &name));
            if is_as_it_came { dir.remove(&name, kind) } else { Ok(()) }
        };
        for (path, kind, was) in entries.iter().rev() {
            let _ = remove(path, *kind, Some(*was).filter(|_| *kind == Kind::File));
        }
        // What is in a directory sorts after it.
        for path in directories.iter().rev() {
            let _ = remove(path, Kind::Directory, None);
        }
        let _ = self.all.remove(&self.run, Kind::Directory);
    }
}

/// What the directory of a run is called.
pub(in crate::twoway) fn run_name(run: u64) -> Result<Name, TwoWayError> {
    let run = run.to_string();
    Name::new(&run).map_err(|_| TwoWayError::NoDirectory(run))
}

fn written(dir: &WriteDir, name: &Name) -> Option<Written> {
    dir.stamped(name).ok()?.map(|found| (found.stamp.size, found.stamp.mtime))
}
