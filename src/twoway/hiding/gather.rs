//! Finding the files of rules in a tree.

use crate::fs::{Dir, Error};
use crate::tree::RelPath;
use crate::tree::filter::{Holder, RuleFiles, Rules, Scope, Side, Verdict};
use crate::twoway::TwoWayError;
use crate::view;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

/// Finds the files of rules in the tree at `root`, which an argument named `name`. Directories that are left out are
/// not entered, nor are those on other file systems.
///
/// Where a file cannot be read or understood, nothing takes part in its directory, and `trouble` is told. So it is
/// where a file names another one: what is found is told to the other side, which may have written the file, and
/// would be shown what takes no part.
///
/// # Errors
/// The search was stopped.
pub fn gather(
    root: &Dir,
    (rules, name): (&Rules, &[u8]),
    stop: &AtomicBool,
    trouble: &mut dyn FnMut(&RelPath, Error),
) -> Result<RuleFiles, TwoWayError> {
    let absolute = view::absolute(if name.is_empty() { b"." } else { name }).unwrap_or_default();
    let mut files = RuleFiles::new(absolute.into_os_string().into_vec());
    let mut looks_at_root = rules.look_at_root();
    if rules.has_dir_merges() {
        let device = device(root);
        let mut search = Search { root, rules, device, files, looks_at_root, trouble };
        search.tree(stop)?;
        (files, looks_at_root) = (search.files, search.looks_at_root);
    }
    // What is anchored in a file further up leads through the directories between it and the tree.
    if !looks_at_root && !files.are_any_above() {
        files.forget_root();
    }
    Ok(files)
}

fn device(dir: &Dir) -> Option<u64> {
    dir.own_stamped().ok().map(|(_, stamp)| stamp.dev)
}

/// A search that is going on.
struct Search<'a> {
    root: &'a Dir,
    rules: &'a Rules,
    device: Option<u64>,
    files: RuleFiles,
    /// Whether a rule looks at the absolute path of the tree.
    looks_at_root: bool,
    trouble: &'a mut dyn FnMut(&RelPath, Error),
}

impl Search<'_> {
    fn tree(&mut self, stop: &AtomicBool) -> Result<(), TwoWayError> {
        // Where it is not known what holds above, nothing takes part.
        let mut open: Vec<(RelPath, Scope)> =
            self.above().map(|scope| (RelPath::root(), scope)).into_iter().collect();
        while let Some((path, above)) = open.pop() {
            if stop.load(Ordering::Relaxed) {
                return Err(TwoWayError::Stopped);
            }
            let dir = match self.root.open_beneath(&path) {
                Ok(dir) => dir,
                Err(error) => {
                    self.unsearched(path, &error);
                    continue;
                }
            };
            if device(&dir) != self.device {
                continue;
            }
            let Some(scope) = self.directory(&above, &dir, &path) else { continue };
            let names = match dir.directories() {
                Ok(names) => names,
                Err(error) => {
                    self.unsearched(path, &error);
                    continue;
                }
            };
            let below = names.iter().filter(|name| !crate::fs::is_home(name));
            let shown = below.map(|name| path.join(name)).filter(|path| !is_left_out(&scope, path));
            open.extend(shown.map(|path| (path, scope.clone())));
        }
        Ok(())
    }

    /// What holds above the top.
    fn above(&mut self) -> Option<Scope> {
        let mut rules = self.rules.clone();
        rules.set_root(self.files.root());
        let (files, asked) = (&mut self.files, self.rules);
        let mut reads = |levels: usize, dir: &Dir, name: &[u8]| {
            let content = read(asked, dir, name)?;
            // There are not as many above any directory.
            if let (Some(content), Ok(levels)) = (&content, u32::try_from(levels)) {
                files.add(Holder::Above(levels), name, content);
            }
            Ok(content)
        };
        let scope = view::enter_above_by(&Scope::from(rules), (self.root, false), &mut reads);
        let known = self.known(&RelPath::root(), scope);
        if known.is_none() {
            self.files.forget_above();
        }
        known
    }

    /// What holds in a directory.
    fn directory(&mut self, above: &Scope, dir: &Dir, path: &RelPath) -> Option<Scope> {
        let (files, asked, mut has_any) = (&mut self.files, self.rules, false);
        let mut reads = |dir: &Dir, name: &[u8]| {
            let content = read(asked, dir, name)?;
            if let Some(content) = &content {
                has_any = true;
                files.add(Holder::At(path.clone()), name, content);
            }
            Ok(content)
        };
        let scope = view::enter_by(above, (dir, path), &mut reads);
        let scope = self.known(path, scope)?;
        self.looks_at_root |= has_any && scope.looks_at_root();
        Some(scope)
    }

    /// Nobody knows what holds in a directory that cannot be opened or listed. A scan tells of it.
    fn unsearched(&mut self, path: RelPath, error: &Error) {
        if !error.is_not_found() {
            self.files.close(Holder::At(path));
        }
    }

    fn known(&mut self, path: &RelPath, scope: Result<Scope, Error>) -> Option<Scope> {
        match scope {
            Ok(scope) => Some(scope),
            Err(error) => {
                self.files.close(Holder::At(path.clone()));
                (self.trouble)(path, error);
                None
            }
        }
    }
}

/// Reads a file of rules, but only one that a rule of the user's looks for: whoever wrote a name into another must not
/// even learn whether there is such a file.
fn read(rules: &Rules, dir: &Dir, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    if rules.look_for(name) {
        return view::read_rules(dir, name);
    }
    let text = "it is named by a file of rules, and so is not read in a two-way run";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

fn is_left_out(scope: &Scope, path: &RelPath) -> bool {
    let leaves_out = |side| scope.check(path.as_bytes(), true, side, false) == Verdict::Excluded;
    leaves_out(Side::Sender) || leaves_out(Side::Receiver)
}
