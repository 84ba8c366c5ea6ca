//! What the user typed as sources, and the list of `--files-from`: below which directory each is, and under which path
//! it is shown.

use crate::fs::{Dir, Links, Root, is_reserved};
use crate::request::{Missing, Options};
use crate::tree::filter::Scope;
use crate::tree::{Entry, Kind, Node, RelPath};
use crate::view::listing::is_no_directory;
use crate::view::selection::{Extent, Meant, Selection};
use crate::view::{ViewError, as_asked, enter_above, passes, shows};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, PathBuf};

/// What all names begin with that are dsync's own, and the name of the directory in which a replica keeps its history.
const OWN: &[u8] = b".dsync";

/// Sources below one directory.
#[derive(Debug)]
pub(super) struct Argument {
    /// The directory.
    pub root: Dir,
    /// What of it is shown, by the paths under which it is shown.
    pub selection: Selection,
    /// What holds for what was named, about which files of rules mostly say nothing, as in rsync.
    pub itself: Scope,
    /// What holds above the top of it.
    pub scope: Scope,
}

/// What came of one source argument.
pub(super) enum Opened {
    /// It takes part.
    Shown(Argument),
    /// It is a directory, and none are to be made or entered.
    Unentered(RelPath),
    /// It takes no part, and nothing is said.
    Nothing,
}

/// A source as it was typed.
struct Typed {
    /// The directory it is below, as the user would name it.
    from: Vec<u8>,
    path: RelPath,
    /// Whether it names a directory's contents, or the directory that a symbolic link leads to.
    leads: bool,
    /// Whether it began with a dot for the directory itself, whose attributes are then meant too.
    with_top: bool,
}

impl Argument {
    /// Opens one source argument.
    pub(super) fn open(argument: &[u8], options: &Options, links: Links) -> Result<Opened, ViewError> {
        let failed = |error| ViewError::new(argument, error);
        let typed =
            if options.relative { Typed::relative(argument, false)? } else { Typed::plain(argument)? };
        links.check_elements(typed.path.as_bytes()).map_err(failed)?;
        let itself = rules_at(&typed.from, options);
        let root = match Root::open(OsStr::from_bytes(&typed.from), links) {
            Ok(root) => as_asked(root, options).dir().clone(),
            Err(error) if error.is_not_found() => {
                return match options.missing {
                    // What was to give its contents may be missed in the transfer root.
                    _ if typed.path.is_root() => Err(ViewError::missing(argument, true)),
                    // As may be what is in a directory that is not there; with -R it is the path that is not there.
                    Missing::Told => Err(ViewError::missing(argument, !options.relative)),
                    Missing::Ignored | Missing::Deleted => Ok(Opened::Nothing),
                };
            }
            Err(error) => return Err(failed(error)),
        };
        let lists = options.recursive || options.dirs;
        let mut is_hidden = false;
        if typed.path.is_root() {
            if !lists {
                return Ok(Opened::Unentered(RelPath::root()));
            }
        } else {
            let entry = entry_at(&root, &typed.path, typed.leads, options, links).map_err(failed)?;
            match (&entry, options.missing) {
                (None, Missing::Told) => return Err(ViewError::missing(argument, false)),
                (None, Missing::Ignored) => return Ok(Opened::Nothing),
                (None, Missing::Deleted) => {}
                (Some(entry), _) if entry.is_dir() && !lists => {
                    return Ok(Opened::Unentered(typed.path));
                }
                (Some(entry), _) => {
                    if is_own(&itself, &typed.path, entry) {
                        return Err(ViewError::own(argument));
                    }
                    // Else the directories above it would be made for nothing.
                    let above = typed.path.split_last().map(|(above, _)| above).unwrap_or_default();
                    is_hidden = options.relative && !shows(&itself, &above, entry);
                }
            }
        }
        let scope = enter_above(&itself, &root, !typed.path.is_root()).map_err(failed)?;
        let mut chosen = typed.chosen(options);
        if is_hidden {
            // Nothing but the top is left, if that was meant.
            chosen.pop();
        }
        if chosen.is_empty() {
            return Ok(Opened::Nothing);
        }
        let selection = Selection::of(chosen.into_iter());
        Ok(Opened::Shown(Argument { root, selection, itself, scope }))
    }

    /// The names of a list, separated by NUL, below the directory that is the only source argument. `links`: which
    /// links the names may go through.
    ///
    /// # Errors
    /// There is no such directory.
    pub(super) fn listed(
        argument: &[u8],
        names: &[u8],
        options: &Options,
        links: Links,
    ) -> Result<(Vec<Argument>, Vec<ViewError>), ViewError> {
        let from = if argument.is_empty() { b"." } else { argument };
        let top = Root::open(OsStr::from_bytes(from), links.for_sources());
        let top = top.map_err(|error| ViewError::new(argument, error))?;
        let top = as_asked(top, options).dir().clone();
        // In the order in which they are first met, since the first counts of what two of them have.
        let mut arguments: Vec<Argument> = Vec::new();
        let mut places: HashMap<RelPath, Option<usize>> = HashMap::new();
        let mut troubles = Vec::new();
        for name in names.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
            let allowed = links.check_elements(name).map_err(|error| ViewError::new(name, error));
            let typed = match allowed.and_then(|()| Typed::listed(name, options.relative)) {
                Ok(typed) => typed,
                Err(error) => {
                    troubles.push(error);
                    continue;
                }
            };
            let place = places.entry(typed.below.clone()).or_insert_with(|| {
                let root = match typed.below.is_root() {
                    true => Ok(top.clone()),
                    false => top.open_named(&typed.below, links),
                };
                let argument = |root: Dir| {
                    let itself = rules_at(&[from, b"/", typed.below.as_bytes()].concat(), options);
                    let scope = enter_above(&itself, &root, true)?;
                    Ok(Argument { root, selection: Selection::default(), itself, scope })
                };
                let add = |argument| arguments.push(argument);
                let added = root.and_then(argument).map(add);
                let added = added.map_err(|error| ViewError::new(typed.below.as_bytes(), error));
                added.map_err(|error| troubles.push(error)).ok().map(|()| arguments.len().saturating_sub(1))
            });
            let Some(argument) = place.and_then(|place| arguments.get_mut(place)) else { continue };
            for (path, meant) in typed.source.chosen(options) {
                let found = || entry_at(&argument.root, &path, meant.leads, options, links).ok().flatten();
                if may_be_own(&path) && found().is_some_and(|entry| is_own(&argument.itself, &path, &entry)) {
                    troubles.push(ViewError::own(name));
                    continue;
                }
                // Else the directories above what is hidden would be made for nothing.
                let is_hidden = || {
                    let above = path.split_last().map(|(above, _)| above).unwrap_or_default();
                    found().is_some_and(|entry| !shows(&argument.itself, &above, &entry))
                };
                if argument.itself.is_empty() || !is_hidden() {
                    argument.selection.add(&path, meant);
                }
            }
        }
        arguments.iter_mut().for_each(|argument| argument.selection.sort());
        Ok((arguments, troubles))
    }
}

/// Whether what is at a path may be dsync's own, by the names on it.
fn may_be_own(path: &RelPath) -> bool {
    path.elements().any(|element| element.starts_with(OWN))
}

/// Whether what was named is dsync's own, or below that, and so is never shown, though no rule leaves it out: rules are
/// the user's own words.
fn is_own(itself: &Scope, path: &RelPath, entry: &Entry) -> bool {
    let Some((above, _)) = path.split_last().filter(|_| may_be_own(path)) else { return false };
    let is_below = above.elements().any(|element| element == OWN);
    let mut all_above = std::iter::successors(Some(above), |path| Some(path.split_last()?.0));
    (is_below || is_reserved(entry))
        && passes(itself, path, entry.is_dir())
        && all_above.all(|above| above.is_root() || passes(itself, &above, true))
}

/// The rules of the command line, where what is named is below this directory.
fn rules_at(from: &[u8], options: &Options) -> Scope {
    let mut rules = options.rules.clone();
    if let Some(root) = absolute(from) {
        rules.set_root(root.as_os_str().as_bytes());
    }
    Scope::from(rules)
}

/// The absolute path of a directory that a user named: as that of the transfer root for rules that look at absolute
/// paths. As in rsync it is the path as it was typed: `a/..` is the current directory whatever `a` leads to.
pub fn absolute(path: &[u8]) -> Option<PathBuf> {
    let absolute = std::path::absolute(OsStr::from_bytes(path)).ok()?;
    let mut root = PathBuf::new();
    for component in absolute.components() {
        match component {
            Component::ParentDir => drop(root.pop()),
            component => root.push(component),
        }
    }
    Some(root)
}

/// The entry at a path that the user named; with `leads`, or with `-L`, what a symbolic link there leads to.
fn entry_at(
    root: &Dir,
    path: &RelPath,
    leads: bool,
    options: &Options,
    links: Links,
) -> Result<Option<Entry>, crate::fs::Error> {
    let Some((above, name)) = path.split_last() else { return Ok(None) };
    let found = root.open_named(&above, links).and_then(|dir| match dir.entry(&name)? {
        Some(entry) if entry.kind() == Kind::Symlink => match named_directory(root, path, leads, links)? {
            None if options.link_rules.copy => dir.referent(&name),
            None => Ok(Some(entry)),
            directory => Ok(directory),
        },
        found => Ok(found),
    });
    match found {
        Err(error) if error.is_not_found() => Ok(None),
        found => found,
    }
}

/// What a symbolic link at a path that the user named stands for: if it was said as a directory's (`leads`), the
/// directory that it leads to. `None`: for what any link would. A slash after anything else means nothing, as in rsync.
pub(super) fn named_directory(
    root: &Dir,
    path: &RelPath,
    leads: bool,
    links: Links,
) -> Result<Option<Entry>, crate::fs::Error> {
    let Some((_, name)) = path.split_last().filter(|_| leads) else { return Ok(None) };
    match root.open_named(path, links) {
        Ok(dir) => Ok(Some(Entry::new(name, Node::Directory, dir.own_meta()?))),
        Err(error) if is_no_directory(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A name of a list.
struct Listed {
    /// The directory it is below, itself below that of the list.
    below: RelPath,
    source: Typed,
}

impl Typed {
    /// Without `-R`: what is at the end of the path, or what is inside if that cannot be named.
    fn plain(argument: &[u8]) -> Result<Typed, ViewError> {
        let path = if argument.is_empty() { b"." } else { argument };
        let (parent, last) = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => path.split_at(slash.saturating_add(1)),
            None => (&b"."[..], path),
        };
        if matches!(last, b"" | b"." | b"..") {
            return Ok(Typed { from: path.to_vec(), path: RelPath::root(), leads: true, with_top: false });
        }
        let last = RelPath::new(last).map_err(|error| ViewError::invalid(argument, error))?;
        Ok(Typed { from: parent.to_vec(), path: last, leads: false, with_top: false })
    }

    /// With `-R`: the whole path, or what comes after `/./`. A `..` is refused, or in a `clamped` path goes up as far
    /// as there is something above.
    fn relative(argument: &[u8], clamped: bool) -> Result<Typed, ViewError> {
        let cut = argument.windows(3).position(|window| window == b"/./");
        let (from, rest) = match cut {
            Some(0) => (&b"/"[..], argument.get(3..)),
            Some(cut) => (argument.get(..cut).unwrap_or_default(), argument.get(cut.saturating_add(3)..)),
            None if argument.starts_with(b"/") => (&b"/"[..], Some(argument)),
            None => (&b"."[..], Some(argument)),
        };
        let rest = rest.unwrap_or_default();
        let mut elements: Vec<&[u8]> = Vec::new();
        for element in rest.split(|&byte| byte == b'/').filter(|element| !matches!(*element, b"" | b".")) {
            match element {
                b".." if clamped => drop(elements.pop()),
                element => elements.push(element),
            }
        }
        let path = RelPath::new(elements.join(&b'/')).map_err(|error| ViewError::invalid(argument, error))?;
        let last = rest.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        let leads = path.is_root() || matches!(last, b"" | b".");
        Ok(Typed { from: from.to_vec(), path, leads, with_top: cut.is_none() && rest.starts_with(b"./") })
    }

    /// A name of a list: below the directory of the list whatever it is, a slash at its beginning meaning nothing.
    fn listed(name: &[u8], relative: bool) -> Result<Listed, ViewError> {
        let start = name.iter().position(|&byte| byte != b'/').unwrap_or(name.len());
        let name = name.get(start..).unwrap_or_default();
        let source = Typed::relative(name, true)?;
        let below = match source.from.as_slice() {
            b"." => RelPath::root(),
            from => Typed::relative(&[from, b"/"].concat(), true)?.path,
        };
        if relative {
            return Ok(Listed { below, source });
        }
        let whole = [below.as_bytes(), source.path.as_bytes()].join(&b'/');
        let whole = Typed::relative(&whole, true)?.path;
        Ok(match whole.split_last().filter(|_| !source.leads) {
            Some((below, name)) => Listed { below, source: Typed { path: name.into(), ..source } },
            None => Listed { below: whole, source: Typed { path: RelPath::root(), ..source } },
        })
    }

    /// What is selected by it: itself, and before that what goes with it.
    fn chosen(self, options: &Options) -> Vec<(RelPath, Meant)> {
        let Typed { path, leads, with_top, .. } = self;
        let extent = match leads {
            _ if options.recursive => Extent::All,
            true => Extent::Layer,
            false => Extent::Entry,
        };
        let top = (RelPath::root(), Meant { extent: Extent::Entry, leads: true });
        let top = (with_top && !options.no_implied_dirs).then_some(top);
        top.into_iter().chain([(path, Meant { extent, leads })]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_kept_as_typed_or_from_the_dot_on() {
        for (argument, from, path, leads, with_top) in [
            ("a/b", ".", "a/b", false, false),
            ("a//b/", ".", "a/b", true, false),
            ("/a/b", "/", "a/b", false, false),
            ("a/./b/c", "a", "b/c", false, false),
            ("/a/b/./c", "/a/b", "c", false, false),
            ("/./c", "/", "c", false, false),
            ("a/b/./", "a/b", "", true, false),
            ("a/./b/./c", "a", "b/c", false, false),
            ("./a", ".", "a", false, true),
            (".", ".", "", true, false),
            ("a/.", ".", "a", true, false),
        ] {
            let typed = Typed::relative(argument.as_bytes(), false).unwrap();
            assert_eq!(typed.from, from.as_bytes(), "{argument}");
            assert_eq!(typed.path.as_bytes(), path.as_bytes(), "{argument}");
            assert_eq!((typed.leads, typed.with_top), (leads, with_top), "{argument}");
        }
        assert!(Typed::relative(b"a/../b", false).is_err());
    }

    #[test]
    fn no_name_of_a_list_rises_above_its_directory() {
        for (name, relative, from, path) in [
            ("/etc/passwd", true, "", "etc/passwd"),
            ("../../x", true, "", "x"),
            ("a/../../x", true, "", "x"),
            ("a/..", true, "", ""),
            ("a/b/./c", true, "a/b", "c"),
            ("../a/./../c", true, "a", "c"),
            ("a/b", false, "a", "b"),
            ("a/b/", false, "a/b", ""),
            ("x", false, "", "x"),
            ("a/./b/c", false, "a/b", "c"),
        ] {
            let Listed { below, source } = Typed::listed(name.as_bytes(), relative).unwrap();
            assert_eq!(below.as_bytes(), from.as_bytes(), "{name}");
            assert_eq!(source.path.as_bytes(), path.as_bytes(), "{name}");
        }
    }
}
