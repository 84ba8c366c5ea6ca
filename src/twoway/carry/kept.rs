//! What is kept in the trash has nothing to do with the tree any more.
//!
//! A file that gives way under one name may have others, which stay. Whoever wrote to it by one of those would write to
//! what is in the trash, too. So at the end of a run the files in its trash that have names elsewhere get a content of
//! their own, once for all the names that such a file has there. An undo does the same with what it puts there, and
//! after a run that was killed [`recover`] does it. What a run with `-H` has finished stays a name of its file, to
//! which an undo gives it back.
//!
//! [`recover`]: super::recover()

use crate::fs::{Error, Linkable, Linked, SetMeta, Slot, WriteDir, is_stage_name, stage_name};
use crate::tree::{InodeId, Kind, Name, RelPath};
use crate::twoway::crash;
use crate::twoway::facet::{At, Facets, Visible, Wanted, is_root};
use std::collections::{BTreeMap, BTreeSet};
use std::io;

/// Gives these files of a run's trash contents of their own, as far as they have names elsewhere. Returns those for
/// which that could not be.
pub(in crate::twoway) fn part(
    run: &WriteDir,
    paths: impl IntoIterator<Item = RelPath>,
    holds: Facets,
) -> Vec<(RelPath, Error)> {
    let mut files: BTreeMap<InodeId, Vec<RelPath>> = BTreeMap::new();
    for path in paths {
        let found = place(run, &path).and_then(|(dir, name)| dir.stamp_of_linked(&name));
        if let Ok(Some(stamp)) = found {
            files.entry(stamp.inode()).or_default().push(path);
        }
    }
    let failed = |names: Vec<RelPath>| {
        let error = part_file(run, &names, holds).err()?;
        names.into_iter().next().map(|name| (name, error))
    };
    files.into_values().filter_map(failed).collect()
}

/// The same for all files of the trash of a run that was killed, but for those that are `named`: they stay names of
/// their files. What cannot be had stays as it is.
pub(super) fn part_all(run: &WriteDir, named: &BTreeSet<RelPath>, holds: Facets) {
    let (mut files, mut directories) = (Vec::new(), vec![RelPath::root()]);
    while let Some(above) = directories.pop() {
        let Ok(listing) = run.open_beneath(&above).and_then(|dir| dir.list()) else { continue };
        for entry in listing.entries {
            match entry.kind() {
                Kind::Directory => directories.push(above.join(&entry.name)),
                // A copy that the killed run had begun.
                Kind::File if is_stage_name(&entry.name) => {
                    let _ = run.open_beneath_writable(&above).and_then(|dir| dir.clear_staged(&entry.name));
                }
                Kind::File => files.push(above.join(&entry.name)),
                _ => {}
            }
        }
    }
    files.retain(|path| !named.contains(path));
    let _ = part(run, files, holds);
}

/// Parts a file that has these names in the trash from those that it has elsewhere.
fn part_file(run: &WriteDir, names: &[RelPath], holds: Facets) -> Result<(), Error> {
    let Some((first, others)) = names.split_first() else { return Ok(()) };
    let (dir, name) = place(run, first)?;
    if dir.link_count(&name)? <= names.len() as u64 {
        return Ok(());
    }
    let file = dir.open_file(&name)?;
    let like = Wanted::of(At::Entry(&dir, &name, Kind::File), holds, &Visible::ALL)?;
    let staged = dir.stage(&name)?;
    staged.copy_all_of(&file)?;
    crash::point("copied in the trash");
    let meta = file.meta();
    let is_root = is_root();
    let meta = SetMeta {
        mode: Some(meta.mode),
        owner: is_root.then_some(meta.uid),
        group: is_root.then_some(meta.gid),
        mtime: Some(meta.mtime),
        atime: None,
    };
    staged.set_meta(&meta.split_owner().0)?;
    // What cannot be set here could not be put back from here either.
    let mode = meta.mode.unwrap_or_default();
    like.set(mode, |extended| staged.set_extended(extended), |look| staged.extra(look), |_| ())?;
    staged.install(&meta)?;
    let Some(found) = dir.stamped(&name)? else { return Err(gone()) };
    let file = Linkable { dir: &dir, name: &name, identity: found.stamp.inode() };
    for other in others {
        let (dir, name) = place(run, other)?;
        let staged = stage_name(&name);
        match dir.link_as(&staged, file)? {
            Linked::Made => Slot { dir: &dir, name: &staged }.rename_over(Slot { dir: &dir, name: &name })?,
            Linked::Gone => return Err(gone()),
            Linked::Refused(error) => return Err(error),
        }
    }
    Ok(())
}

/// The directory of a path in the trash, and its name there.
fn place(run: &WriteDir, path: &RelPath) -> Result<(WriteDir, Name), Error> {
    let (above, name) = path.split_last().ok_or_else(gone)?;
    Ok((run.open_beneath_writable(&above)?, name))
}

fn gone() -> Error {
    Error { doing: "keeping in the trash", source: io::ErrorKind::NotFound.into() }
}
