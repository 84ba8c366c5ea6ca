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

/// Who is shown a file of rules that was read, its name and what is in it, and may refuse it.
pub type SeesRules<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> io::Result<()>;

/// The same of files above the top of the transfer: first how many levels above.
pub type SeesRulesAbove<'a> = &'a mut dyn FnMut(usize, &[u8], &[u8]) -> io::Result<()>;

/// What holds in a directory, which is `dir` and at `path` below the top of the transfer. `above` holds in the
/// directory above it.
///
/// # Errors
/// A file of rules cannot be read or understood; then nobody knows what holds.
pub fn enter(above: &Scope, dir: &Dir, path: &RelPath) -> Result<Scope, Error> {
    enter_seen(above, (dir, path), &mut |_, _| Ok(()))
}

/// As [`enter`]; each file that is read is shown to `sees`.
///
/// # Errors
/// The same.
pub fn enter_seen(above: &Scope, (dir, path): (&Dir, &RelPath), sees: SeesRules<'_>) -> Result<Scope, Error> {
    above.enter(path, &mut |file| read_seen(dir, file, sees)).map_err(|error| failed(&error))
}

/// What holds above the top of the transfer, whose handle this is, and if `own` in that itself.
///
/// # Errors
/// Those of [`enter`].
pub fn enter_above(scope: &Scope, top: &Dir, own: bool) -> Result<Scope, Error> {
    enter_above_seen(scope, (top, own), &mut |_, _, _| Ok(()))
}

/// As [`enter_above`]; each file that is read is shown to `sees`.
///
/// # Errors
/// The same.
pub fn enter_above_seen(
    scope: &Scope,
    (top, own): (&Dir, bool),
    sees: SeesRulesAbove<'_>,
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
        let mut sees = |file: &[u8], content: &[u8]| sees(levels, file, content);
        scope.enter_above(levels, &mut |file| read_seen(dir, file, &mut sees)).map_err(|error| failed(&error))
    })
}

fn failed(error: &FilterError) -> Error {
    let because = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
    let source = io::Error::new(io::ErrorKind::InvalidData, format!("{error}{because}"));
    Error { doing: "reading filter rules in", source }
}

fn read_seen(dir: &Dir, file: &[u8], sees: SeesRules<'_>) -> io::Result<Option<Vec<u8>>> {
    let content = read(dir, file)?;
    content.iter().try_for_each(|content| sees(file, content))?;
    Ok(content)
}

/// The content of a file below a directory; `None` if there is no such file.
fn read(dir: &Dir, file: &[u8]) -> io::Result<Option<Vec<u8>>> {
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
