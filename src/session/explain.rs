//! Why a path takes part in a run or not (`--explain`). The view, the rules and the decisions are those of the run,
//! which is not made.

use crate::fs::{Dir, Root};
use crate::pass::passed_over;
use crate::report::Skip;
use crate::session::{Direction, Failure, Run, direction};
use crate::tree::filter::{Ruling, Scope, Side, Verdict};
use crate::tree::{Entry, Name, RelPath};
use crate::view::{self, Found, View};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// What a run would make of one path.
#[derive(Debug)]
pub struct Explained {
    /// The path, below the transfer root.
    pub path: RelPath,
    /// What the sources show there.
    pub source: Found,
    /// Why the entry is left alone although it is shown, if it is.
    pub skip: Option<Skip>,
    /// What would keep it from being deleted, if that is asked for what the sources do not show, and this is such.
    pub deletion: Option<Deletion>,
}

/// What the rules of the destination say about what would be deleted.
#[derive(Debug)]
pub struct Deletion {
    /// What was decided about: the path itself, or a directory above it that is protected.
    pub path: RelPath,
    /// The rule about it, if one matches.
    pub ruling: Option<Ruling>,
    /// Whether it is there. `None`: that is on another host.
    pub is_there: Option<bool>,
    /// Whether there may be further rules in files of that host.
    pub may_be_more: bool,
}

impl Deletion {
    /// Whether it stays.
    pub fn is_protected(&self) -> bool {
        self.ruling.as_ref().is_some_and(|ruling| ruling.verdict == Verdict::Excluded)
    }
}

/// The destination, as far as it can be looked at.
enum There {
    /// It is a directory, or is not there.
    Here(Option<Dir>),
    /// It is on another host.
    Away,
}

/// Says what a run would make of these paths, and makes no run.
///
/// # Errors
/// The sources are on another host, or cannot be looked at.
pub fn explain(run: &Run, paths: &[RelPath]) -> Result<Vec<Explained>, Failure> {
    let (sources, destination) = match direction(run)? {
        Direction::Local { sources, destination } => (sources, Some(destination)),
        Direction::Push { sources, .. } => (sources, None),
        Direction::Pull { .. } | Direction::Between { .. } => {
            let why = "--explain looks at sources of this host only; run it on the host that has them";
            return Err(Failure::Usage(why.into()));
        }
    };
    let opened = View::open(&sources, run.names.as_deref(), &run.options, run.paths.0);
    let (view, missing) = opened.map_err(|error| Failure::Sources(error.to_string()))?;
    if let Some(missing) = missing.first() {
        return Err(Failure::Sources(missing.to_string()));
    }
    let mut rules = run.peer_options.rules.clone();
    let there = match &destination {
        None => There::Away,
        Some(path) => {
            let path = OsStr::from_bytes(path);
            if let Ok(absolute) = std::path::absolute(path) {
                rules.set_root(absolute.as_os_str().as_bytes());
            }
            There::Here(Root::open(path, run.paths.0).ok().map(|root| root.dir().clone()))
        }
    };
    let scope = Scope::from(rules);
    paths.iter().map(|path| explained(run, &view, (&there, &scope), path)).collect()
}

fn explained(
    run: &Run,
    view: &View,
    (there, scope): (&There, &Scope),
    path: &RelPath,
) -> Result<Explained, Failure> {
    let source = view.explain(path);
    let has_destination = !run.options.list_only;
    let (skip, deletion) = match &source.shown {
        Ok(entry) if has_destination => (skip(run, there, path, entry), None),
        Err(_) if has_destination && run.peer_options.delete.is_some() => {
            let is_listed = view.root_meta().is_some();
            (None, Some(deletion((there, is_listed), scope, path, &source)?))
        }
        Ok(_) | Err(_) => (None, None),
    };
    Ok(Explained { path: path.clone(), source, skip, deletion })
}

/// Why an entry that is shown is left alone.
fn skip(run: &Run, there: &There, path: &RelPath, entry: &Entry) -> Option<Skip> {
    let mut options = run.peer_options.clone();
    let (above, name) = path.split_last()?;
    let own = match there {
        There::Here(root) => root.as_ref().and_then(|root| own_entry(root, &above, &name)),
        There::Away => {
            // What is not known to be there may be, or not.
            options.existing = false;
            None
        }
    };
    passed_over(&options, &above, entry, own.as_ref())
}

fn own_entry(root: &Dir, above: &RelPath, name: &Name) -> Option<Entry> {
    root.open_beneath(above).ok()?.entry(name).ok()?
}

/// What the rules of the destination, which is listed itself or only the place of what is named, say of a path that the
/// sources do not show, and of the directories above it.
fn deletion(
    (there, is_listed): (&There, bool),
    scope: &Scope,
    path: &RelPath,
    source: &Found,
) -> Result<Deletion, Failure> {
    let failed = |error: crate::fs::Error| Failure::System { doing: error.doing, source: error.source };
    let mut dir = match there {
        There::Here(dir) => dir.clone(),
        There::Away => None,
    };
    let mut scope = match &dir {
        Some(dir) => view::enter_above(scope, dir, !is_listed).map_err(failed)?,
        None => scope.clone(),
    };
    let mut above = RelPath::root();
    let mut ruling = None;
    let mut is_there = matches!(there, There::Here(_)).then_some(false);
    for name in path.elements().filter_map(|name| Name::new(name).ok()) {
        if let Some(dir) = dir.as_ref().filter(|_| is_listed || !above.is_root()) {
            scope = view::enter(&scope, dir, &above).map_err(failed)?;
        }
        let here = above.join(&name);
        let own = dir.as_ref().and_then(|dir| dir.entry(&name).ok().flatten());
        let is_dir =
            here != *path || own.as_ref().map_or(here == source.path && source.is_dir, Entry::is_dir);
        // What the sources do not show goes as a whole, with what is in it.
        let deleting_dir = above == source.path || above.is_below(&source.path);
        ruling = scope.decide(here.as_bytes(), is_dir, Side::Receiver, deleting_dir);
        is_there = is_there.map(|_| own.is_some());
        dir = dir.and_then(|dir| dir.open_dir(&name).ok());
        above = here;
        if ruling.as_ref().is_some_and(|ruling| ruling.verdict == Verdict::Excluded) {
            break;
        }
    }
    let may_be_more = matches!(there, There::Away) && scope.has_files();
    Ok(Deletion { path: above, ruling, is_there, may_be_more })
}
