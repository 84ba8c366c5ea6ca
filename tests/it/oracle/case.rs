//! A case: sources, a destination as it is before the run, and options. A seed determines all of it.

use crate::oracle::options::{self, Choice};
use crate::oracle::outcome::Comparison;
use crate::oracle::random::Random;
use crate::oracle::trees::{self, Obstacles};
use crate::support::snapshot::Snapshot;
use crate::support::tree::{Entry, Node, Tree, at, contents};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

/// One comparison of two programs.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) seed: u64,
    sources: Vec<Tree>,
    operands: Operands,
    /// `None`: there is nothing yet.
    destination: Option<Tree>,
    /// What else is compared with: the trees at `basis-0` and so on, which the options name.
    bases: Vec<Tree>,
    pub(super) options: Vec<Choice>,
    harmless: Vec<OsString>,
}

/// What the source arguments name.
#[derive(Debug, Clone)]
enum Operands {
    /// `source/`, of each source.
    Contents,
    /// `source`, the directory itself.
    Itself,
    /// These names in the first source.
    Names(Vec<Vec<u8>>),
}

impl Case {
    pub(super) fn draw(seed: u64) -> Case {
        let mut random = Random::new(seed);
        let size = 3 + random.below(26);
        let mut sources = vec![trees::tree(&mut random, size)];
        let operands = match random.below(100) {
            0..12 => Operands::Itself,
            12..22 => match some_names(&mut random, &sources[0]) {
                names if names.is_empty() => Operands::Contents,
                names => Operands::Names(names),
            },
            22..34 => {
                sources.push(trees::tree(&mut random, 8));
                Operands::Contents
            }
            _ => Operands::Contents,
        };
        let options = options::draw(&mut random, &wanted(&sources, &operands));
        let is_based = options::BASES.iter().any(|name| options::has(&options, name));
        if is_based || ["--max-delete", "--ignore-existing"].iter().any(|name| options::has(&options, name)) {
            sources.truncate(1); // only then is it known what would be an obstacle
        }
        if !options::has(&options, "-H") {
            // Written in place, names that are one file only here would have the last one's content.
            sources.iter_mut().for_each(|source| source.links.clear());
        }
        let wanted = wanted(&sources, &operands);
        let obstacles = Obstacles {
            // Which file finds its place cleared would depend on the order in which the limit is used up.
            full_directories: !options::has(&options, "--max-delete"),
            // rsync neither replaces these nor leaves out what is to go into the directory, and then fails.
            for_directories: !options::has(&options, "--ignore-existing"),
        };
        let destination = match random.below(100) {
            // By a name alone, what is listed decides whether a missing destination is the new name or a directory.
            // With --existing, rsync makes it or not by the number of entries.
            // Compared with other directories, it may be there as well, which rsync says in its own way.
            0..10
                if matches!(operands, Operands::Contents)
                    && !options::has(&options, "--existing")
                    && !is_based =>
            {
                None
            }
            10..15 => Some(Tree::new()),
            _ => Some(trees::earlier(&mut random, &wanted, obstacles)),
        };
        let is_given_away =
            ["--chown", "--usermap", "--groupmap"].iter().any(|name| options::has(&options, name));
        let destination = destination.map(|mut tree: Tree| {
            // rsync changes the owner first, which clears these bits, and then itemizes what it finds.
            let files =
                tree.entries.values_mut().filter(|entry| is_given_away && entry.node != Node::Directory);
            files.for_each(|entry| entry.mode &= 0o1777);
            tree
        });
        let harmless = options::harmless(&mut random);
        let is_kept = ["-b", "--backup-dir"].iter().any(|name| options::has(&options, name));
        let none = Obstacles { full_directories: false, for_directories: false };
        let mut destination = destination;
        if let Some(tree) = destination.as_mut().filter(|_| is_based) {
            leave_out_other_kinds(tree, &wanted);
        }
        if let Some(tree) = destination.as_mut().filter(|_| is_kept) {
            // rsync ends where it cannot make a backup.
            tree.entries.retain(|path, _| path.split(|byte| *byte == b'/').all(|name| name.len() < 250));
        }
        let mut basis = || {
            let mut basis = trees::earlier(&mut random, &wanted, none);
            basis.links.clear();
            leave_out_other_kinds(&mut basis, &wanted);
            basis
        };
        let bases = if is_based { vec![basis(), basis()] } else { Vec::new() };
        Case { seed, sources, operands, destination, bases, options, harmless }
    }

    /// Writes the sources and the files that options name into `directory`.
    pub(super) fn write(&self, directory: &Path) {
        for (number, source) in self.sources.iter().enumerate() {
            source.write(&directory.join(format!("source-{number}")));
        }
        for (number, basis) in self.bases.iter().enumerate() {
            basis.write(&directory.join(format!("basis-{number}")));
        }
        for (number, choice) in self.options.iter().enumerate() {
            choice.write(directory, number);
        }
    }

    /// Writes the destination as it is before the run.
    pub(super) fn write_destination(&self, at: &Path) {
        if let Some(tree) = &self.destination {
            tree.write(at);
        }
    }

    /// The sources in `directory` as they are.
    pub(super) fn snapshots(&self, directory: &Path) -> Vec<Snapshot> {
        let source = |number| Snapshot::of(&directory.join(format!("source-{number}")));
        (0..self.sources.len()).map(source).collect()
    }

    /// What else is compared with, in `directory`, as it is.
    pub(super) fn bases(&self, directory: &Path) -> Vec<Snapshot> {
        let basis = |number| Snapshot::of(&directory.join(format!("basis-{number}")));
        (0..self.bases.len()).map(basis).collect()
    }

    /// The source arguments, for sources in `directory`.
    pub(super) fn operands(&self, directory: &Path) -> Vec<PathBuf> {
        let source = |number: usize| directory.join(format!("source-{number}"));
        match &self.operands {
            Operands::Contents => (0..self.sources.len()).map(|number| contents(&source(number))).collect(),
            Operands::Itself => vec![source(0)],
            Operands::Names(names) => names.iter().map(|name| at(&source(0), name)).collect(),
        }
    }

    /// How the outcomes of this case are compared.
    pub(super) fn comparison(&self) -> Comparison {
        let sources = match &self.operands {
            Operands::Contents => self.sources.len(),
            Operands::Itself => 1,
            Operands::Names(names) => names.len(),
        };
        let groups = match options::has(&self.options, "-H") {
            true => wanted(&self.sources, &self.operands).links,
            false => BTreeMap::new(),
        };
        let names = groups.into_iter().flat_map(|(name, other)| [name, other]).collect();
        Comparison::of(&self.options, sources, &names)
    }

    /// The words of all options but the one at `without`.
    pub(super) fn words(&self, directory: &Path, without: Option<usize>) -> Vec<OsString> {
        let chosen = self.options.iter().enumerate().filter(|(number, _)| Some(*number) != without);
        let words = chosen.flat_map(|(number, choice)| choice.words(directory, number));
        words.chain(self.harmless.iter().cloned()).collect()
    }
}

/// Without -p, rsync takes the mode of anything that has the name.
fn leave_out_other_kinds(tree: &mut Tree, wanted: &Tree) {
    let others: Vec<Vec<u8>> = tree
        .entries
        .iter()
        .filter(|(path, entry)| {
            let wanted = wanted.entries.get(*path);
            wanted.is_some_and(|wanted| discriminant(&wanted.node) != discriminant(&entry.node))
        })
        .map(|(path, _)| path.clone())
        .collect();
    others.iter().for_each(|path| tree.remove(path));
}

/// Some names at the top of `tree`, without those that a remote side would take for patterns.
fn some_names(random: &mut Random, tree: &Tree) -> Vec<Vec<u8>> {
    let plain = |path: &&Vec<u8>| {
        !path.is_empty() && path.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._ ".contains(byte))
    };
    let mut names: Vec<Vec<u8>> = tree.entries.keys().filter(plain).cloned().collect();
    random.shuffle(&mut names);
    names.truncate(3);
    names
}

/// Roughly what the destination will hold: enough to derive an earlier state and patterns from.
fn wanted(sources: &[Tree], operands: &Operands) -> Tree {
    match operands {
        Operands::Contents => {
            let mut merged = sources[0].clone();
            for tree in &sources[1..] {
                merge(&mut merged, tree);
                merged.links.extend(tree.links.clone());
            }
            merged
        }
        Operands::Itself => below(b"source-0/", &sources[0], &[]),
        Operands::Names(names) => {
            let mut tree = Tree::new();
            for name in names {
                merge(&mut tree, &below(b"", &sources[0], name));
            }
            tree.links = sources[0].links.clone();
            tree
        }
    }
}

/// Adds what `merged` does not have, where it has directories to hold it.
fn merge(merged: &mut Tree, tree: &Tree) {
    for (path, entry) in &tree.entries {
        let parent = path.iter().rposition(|byte| *byte == b'/').map_or(&[][..], |slash| &path[..slash]);
        let fits = merged.entries.get(parent).is_some_and(|entry| entry.node == Node::Directory);
        if fits && !merged.entries.contains_key(path) {
            merged.entries.insert(path.clone(), entry.clone());
        }
    }
}

/// `top` of `tree` and all below it, under the name `prefix` + `top`.
fn below(prefix: &[u8], tree: &Tree, top: &[u8]) -> Tree {
    let mut moved = Tree::new();
    let under = [top, b"/"].concat();
    for (path, entry) in &tree.entries {
        if top.is_empty() || path == top || path.starts_with(&under) {
            let path = [prefix, path.as_slice()].concat();
            moved.insert(path.strip_suffix(b"/").unwrap_or(&path), entry.clone());
        }
    }
    if top.is_empty() {
        let moved_to = |path: &Vec<u8>| [prefix, path.as_slice()].concat();
        moved.links = tree.links.iter().map(|(path, other)| (moved_to(path), moved_to(other))).collect();
    }
    if top.is_empty() || tree.entries.contains_key(top) {
        moved.entries.entry(Vec::new()).or_insert_with(|| Entry::new(Node::Directory));
    }
    moved
}
