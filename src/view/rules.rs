//! Files of rules in the directories of a tree: what holds in each directory, on whichever side asks.
//!
//! They are opened like everything in the tree, by handle and name, so a symbolic link is none: one in the place of a
//! file of rules is an error, since nobody can know what it was meant to say. Only directories above the top of the
//! transfer, where the user asked to look there too, are outside the tree. What a file says is told to nobody, but in a
//! two-way run to the other side: there no file counts but those that the user's own rules name.

use crate::fs::{Dir, Error};
use crate::tree::filter::{FilterError, Scope};
use crate::tree::{Kind, Name, RelPath};
use std::io;

/// The largest file of rules that is read in a directory, in bytes.
const LARGEST: u64 = 1 << 20;

/// Reads a file of rules below a directory; `None` if there is none. May refuse to.
pub type ReadsRules<'a> = &'a mut dyn FnMut(&Dir, &[u8]) -> io::Result<Option<Vec<u8>>>;

/// The same for a directory that is so many levels above the top of the transfer.
pub type ReadsRulesAbove<'a> = &'a mut dyn FnMut(usize, &Dir, &[u8]) -> io::Result<Option<Vec<u8>>>;

/// What holds in a directory, which is `dir` and at `path` below the top of the transfer. `above` holds in the
/// directory above it.
///
/// # Errors
/// A file of rules cannot be read or understood; then nobody knows what holds.
pub fn enter(above: &Scope, dir: &Dir, path: &RelPath) -> Result<Scope, Error> {
    enter_by(above, (dir, path), &mut read_rules)
}

/// As [`enter`], with another way to read its files.
///
/// # Errors
/// The same.
pub fn enter_by(above: &Scope, (dir, path): (&Dir, &RelPath), reads: ReadsRules<'_>) -> Result<Scope, Error> {
    above.enter(path, &mut |file| reads(dir, file)).map_err(|error| failed(&error))
}

/// What holds above the top of the transfer, whose handle this is, and if `own` in that itself.
///
/// # Errors
/// Those of [`enter`].
pub fn enter_above(scope: &Scope, top: &Dir, own: bool) -> Result<Scope, Error> {
    enter_above_by(scope, (top, own), &mut |_, dir, file| read_rules(dir, file))
}

/// As [`enter_above`], with another way to read the files.
///
/// # Errors
/// The same.
pub fn enter_above_by(
    scope: &Scope,
    (top, own): (&Dir, bool),
    reads: ReadsRulesAbove<'_>,
) -> Result<Scope, Error> {
    let mut above = vec![top.clone()];
    while above.len() <= scope.levels_above()
        && let Some(next) = above.last().and_then(Dir::above)
    {
        above.push(next);
    }
    let innermost = usize::from(!own);
    let levels = above.iter().enumerate().skip(innermost).rev();
    levels.into_iter().try_fold(scope.clone(), |scope, (levels, dir)| {
        scope.enter_above(levels, &mut |file| reads(levels, dir, file)).map_err(|error| failed(&error))
    })
}

fn failed(error: &FilterError) -> Error {
    let because = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let source = io::Error::new(io::ErrorKind::InvalidData, format!("{error}{because}"));
    Error { doing: "reading filter rules in", source }
}

/// The content of a file of rules below a directory; `None` if there is none.
///
/// # Errors
/// It cannot be read, is no regular file, or is too large.
pub fn read_rules(dir: &Dir, file: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let path = RelPath::new(file).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
    let Some((parent, name)) = path.split_last() else { return Ok(None) };
    // What is in there is told to nobody, and neither is what its lines would leave out.
    crate::fs::check_path(file, "opening").map_err(|error| error.source)?;
    let holder = match dir.open_beneath(&parent) {
        Ok(holder) => holder,
        Err(error) if crate::view::listing::is_no_directory(&error) => return Ok(None),
        Err(error) => return Err(error.source),
    };
    read_file(&holder, &name)
}

fn read_file(dir: &Dir, name: &Name) -> io::Result<Option<Vec<u8>>> {
    let entry = dir.entry(name).map_err(|error| error.source)?;
    match entry.map(|entry| entry.kind()) {
        Some(Kind::File) => {}
        Some(Kind::Symlink) => {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is a symbolic link, which is not followed",
            ));
        }
        _ => return Ok(None),
    }
    let file = dir.open_file(name).map_err(|error| error.source)?;
    if file.len() > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is too large for filter rules"));
    }
    let mut content = Vec::new();
    if !file.append_to(&mut content)? {
        return Err(io::Error::other("it grew while it was read"));
    }
    Ok(Some(content))
}
