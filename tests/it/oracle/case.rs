//! A case: sources, a destination as it is before the run, and options. A seed determines all of it.

use crate::oracle::fitting;
use crate::oracle::options::{self, Choice, Naming};
use crate::oracle::outcome::Comparison;
use crate::oracle::random::Random;
use crate::oracle::trees::{self, Obstacles};
use crate::support::disk::Disk;
use crate::support::snapshot::Snapshot;
use crate::support::tree::{Entry, Node, Tree, at, contents};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::mem::discriminant;
use std::path::{Path, PathBuf};

/// One comparison of two programs.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) sources: Vec<Tree>,
    operands: Operands,
    /// `None`: there is nothing yet.
    pub(super) destination: Option<Tree>,
    /// What else is compared with: the trees at `basis-0` and so on, which the options name.
    pub(super) bases: Vec<Tree>,
    pub(super) options: Vec<Choice>,
    pub(super) harmless: Vec<OsString>,
    /// The directory of the first source that is another file system.
    mount: Option<Vec<u8>>,
}

/// The options that are about other file systems.
const MOUNTED: &[&str] = &["-x", "-xx"];

/// What the source arguments name.
#[derive(Debug, Clone)]
enum Operands {
    /// `source/`, of each source.
    Contents,
    /// `source`, the directory itself.
    Itself,
    /// These names in the first source.
    Names(Vec<Vec<u8>>),
    /// These paths in the first source, to be kept as they are.
    Paths(Vec<Vec<u8>>),
    /// The first source, below which a list has these names.
    Listed(Vec<Vec<u8>>),
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
            34..44 => match some_paths(&mut random, &sources[0]) {
                names if names.is_empty() => Operands::Contents,
                names => Operands::Paths(names),
            },
            44..56 => Operands::Listed(a_list(&mut random, &sources[0])),
            _ => Operands::Contents,
        };
        let naming = match &operands {
            Operands::Paths(_) => Naming::Paths,
            Operands::Listed(names) => Naming::List(names),
            _ => Naming::Plain,
        };
        let mut options = options::draw_named(&mut random, &wanted(&sources, &operands), naming);
        if options::has(&options, "--no-super") {
            // Not being root, rsync opens up what it then may not remove, and leaves it so.
            options.retain(|choice| !["--max-delete", "-F", "dir-merge", "-C"].contains(&choice.name));
        }
        if !matches!(naming, Naming::Plain) {
            // Of a name that is not there and a limit that is reached, each has an exit code.
            // And which files of rules count for what is named depends in rsync on how its list is put together.
            options.retain(|choice| !["--max-delete", "-F", "dir-merge", "-C"].contains(&choice.name));
        }
        if matches!(operands, Operands::Names(_)) {
            // Of several names in one directory, rsync reads for the first only what files of rules there are above.
            options.retain(|choice| !choice.looks_above());
        }
        let is_late = options::has(&options, "--delete-after") && !matches!(naming, Naming::Plain);
        let is_repeated =
            matches!(&operands, Operands::Paths(names) | Operands::Listed(names) if repeat(names));
        if options::has(&options, "--delete-missing-args") || is_late || is_repeated {
            // To rsync, a directory in which there is something missing is not empty, nor is one that is named itself
            // and above another; and when all else is done, it deletes in named directories that it left out for being
            // empty.
            options.retain(|choice| choice.name != "-m");
        }
        let has = |options: &[Choice], names: &[&str]| names.iter().any(|name| options::has(options, name));
        if has(&options, &["-F", "dir-merge", "-C"]) {
            // What these say at the destination ends for rsync when they are deleted before the rest.
            // And by these it then deletes what is in a directory without regard to the rules in those above.
            options.retain(|choice| !choice.deletes_first() && !choice.says("--delete-delay"));
            // rsync counts also directories that it does not delete because of what rules in files keep in them, and
            // its dry run says that it deletes them.
            options.retain(|choice| !["--max-delete", "-n"].contains(&choice.name));
        }
        if has(&options, &["-k"]) && has(&options, &["-n"]) {
            // A dry run of rsync's looks behind a link for what would go, where a directory would take its place.
            options.retain(|choice| !choice.deletes_first());
        }
        // The files of rules at the top of the first source are those of all sources to rsync; and an empty directory
        // that two sources have is not empty to it.
        let one_only = ["--max-delete", "--ignore-existing", "-F", "dir-merge", "-C", "-m"];
        let is_based = has(&options, &options::BASES);
        if is_based || has(&options, &one_only) {
            sources.truncate(1); // only then is it known what would be an obstacle
        }
        for source in &mut sources {
            options::rule_files(&mut random, &options, source);
        }
        if !options::has(&options, "-H") {
            // Written in place, names that are one file only here would have the last one's content.
            sources.iter_mut().for_each(|source| source.links.clear());
        }
        // Drawn apart, so that the other cases stay what they are.
        let mut fitted = Random::new(!seed ^ 0x5a5a);
        sources.iter_mut().for_each(|source| fitting::source(&mut fitted, &options, source));
        let mut mount = None;
        if has(&options, MOUNTED) {
            mount = fitting::mount(&mut fitted, &mut sources[0]);
            options.retain(|choice| mount.is_some() || !MOUNTED.contains(&choice.name));
        }
        if has(&options, &["-L", "--copy-unsafe-links"]) {
            // To rsync, one that is named and leads nowhere is not there itself.
            let may_delete = has(&options, &["--delete"]) && !has(&options, &["--ignore-errors"]);
            let may_be_broken = !may_delete && matches!(naming, Naming::Plain);
            sources.iter_mut().for_each(|source| tame_links(source, may_be_broken));
        }
        let wanted = wanted(&sources, &operands);
        let is_ruled_late = has(&options, &["--delete-after"]) && has(&options, &["-F", "dir-merge", "-C"]);
        let obstacles = Obstacles {
            // Which file finds its place cleared would depend on the order in which the limit is used up.
            // And what goes later, rsync takes away for what comes without regard to the rules in directories above.
            // With -H, rsync then makes none of a file's names.
            full_directories: !has(&options, &["--max-delete", "-H"]) && !is_ruled_late,
            // rsync neither replaces these nor leaves out what is to go into the directory, and then fails.
            for_directories: !options::has(&options, "--ignore-existing"),
        };
        let is_made = has(&options, &["--mkpath"]);
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
        let destination = destination.filter(|_| !is_made);
        let destination = destination.map(|tree| with_rule_files(&mut random, tree, &options, &wanted));
        let destination = destination.map(|mut tree: Tree| {
            // Above what is named there are none for rsync then.
            let is_above = |path: &[u8]| !path.contains(&b'/') && options::is_rule_file(path);
            tree.entries.retain(|path, _| {
                !(is_ruled_late
                    && matches!(operands, Operands::Itself | Operands::Names(_))
                    && is_above(path))
            });
            tree
        });
        let is_given_away = has(&options, &["--chown", "--usermap", "--groupmap"]);
        let destination = destination.map(|mut tree: Tree| {
            // rsync changes the owner first, which clears these bits, and then itemizes what it finds.
            let files =
                tree.entries.values_mut().filter(|entry| is_given_away && entry.node != Node::Directory);
            files.for_each(|entry| entry.mode &= 0o1777);
            tree
        });
        let mut harmless = options::harmless(&mut random);
        // Drawn apart, so that the cases stay what they are.
        harmless.extend(options::writing(&mut Random::new(!seed), &options));
        let is_kept = has(&options, &["-b", "--backup-dir"]);
        let none = Obstacles { full_directories: false, for_directories: false };
        let mut destination = destination;
        // Linking a name in the place of a directory, rsync asks for the ACL that only directories have.
        // And which name of several takes the place of something else, and so counts as made, depends on which is
        // first.
        let is_led_astray = options::has(&options, "-H") && has(&options, &["-A", "--stats"]);
        // Nor does it leave out what is to go into a directory in whose place there is something else.
        let is_kept_out =
            matches!(operands, Operands::Listed(_)) && options::has(&options, "--ignore-existing");
        if let Some(tree) = destination.as_mut().filter(|_| is_based || is_led_astray || is_kept_out) {
            leave_out_other_kinds(tree, &wanted);
        }
        if is_based {
            // rsync forgets those of what has no content, if something like it is elsewhere.
            sources.iter_mut().for_each(forget_xattrs_of_others);
        }
        if let Some(tree) = destination.as_mut().filter(|_| is_kept) {
            // rsync ends where it cannot make a backup, and makes none of another kind that has the name of one.
            let may_be_kept = |name: &[u8]| name.len() < 250 && !name.ends_with(b"~");
            tree.entries.retain(|path, _| path.split(|byte| *byte == b'/').all(may_be_kept));
        }
        if let Some(tree) = &mut destination {
            fitting::destination(&mut fitted, &options, tree, &wanted);
        }
        let mut basis = || {
            let mut basis = trees::earlier(&mut random, &wanted, none);
            basis.links.clear();
            if !has(&options, &["-a", "-p"]) {
                // rsync gives what it makes of another version also its setuid.
                basis.entries.values_mut().for_each(|entry| entry.mode &= 0o777);
            }
            leave_out_other_kinds(&mut basis, &wanted);
            if has(&options, &["-E"]) {
                // To rsync, also what is no file is another if it can be executed.
                let others = basis
                    .entries
                    .iter_mut()
                    .filter(|(_, entry)| !matches!(entry.node, Node::File(_) | Node::Directory));
                for (entry, wanted) in
                    others.filter_map(|(path, entry)| Some((entry, wanted.entries.get(path)?)))
                {
                    entry.mode = wanted.mode;
                }
            }
            forget_xattrs_of_others(&mut basis);
            // Of several directories rsync chooses one without regard to these, and then tells how it differs.
            for (path, entry) in basis.entries.iter_mut().filter(|(_, entry)| entry.is_directory()) {
                entry.xattrs =
                    wanted.entries.get(path).map(|wanted| wanted.xattrs.clone()).unwrap_or_default();
            }
            basis
        };
        let mut bases = if is_based { vec![basis(), basis()] } else { Vec::new() };
        let mut there = destination.iter_mut().chain(&mut bases);
        fitting::keep(&mut fitted, &options, &mut sources, &mut there);
        Case { seed, sources, operands, destination, bases, options, harmless, mount }
    }

    /// Writes the sources and the files that options name into `directory`. Returns the file system among them, which
    /// is there for as long as that is kept.
    pub(super) fn write(&self, directory: &Path) -> Option<Disk> {
        let mount =
            self.mount.as_ref().filter(|_| MOUNTED.iter().any(|name| options::has(&self.options, name)));
        let mounted = mount.filter(|path| self.sources[0].entries.contains_key(*path)).map(|path| {
            let at = at(&directory.join("source-0"), path);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            Disk::at(at).unwrap()
        });
        for (number, source) in self.sources.iter().enumerate() {
            source.write(&directory.join(format!("source-{number}")));
        }
        for (number, basis) in self.bases.iter().enumerate() {
            basis.write(&directory.join(format!("basis-{number}")));
        }
        for (number, choice) in self.options.iter().enumerate() {
            choice.write(directory, number);
        }
        mounted
    }

    /// The destination as it is named, where it is to be `at`, or below that.
    pub(super) fn target(&self, at: &Path) -> PathBuf {
        // Without a slash at its end, rsync has the last directory be one of the list if that has no others.
        if options::has(&self.options, "--mkpath") { at.join("new/below/") } else { at.to_owned() }
    }

    /// Writes the destination as it is before the run.
    pub(super) fn write_destination(&self, at: &Path) {
        if let Some(tree) = &self.destination {
            tree.write(at);
        }
    }

    /// Whether files of the sources are removed.
    pub(super) fn removes(&self) -> bool {
        options::has(&self.options, "--remove-source-files")
    }

    /// What a run has left of the sources in `directory`, which are then written anew; nothing if it removes none.
    pub(super) fn sources_left(&self, directory: &Path) -> Vec<Snapshot> {
        if !self.removes() {
            return Vec::new();
        }
        let left = self.snapshots(directory);
        for (number, source) in self.sources.iter().enumerate() {
            let at = directory.join(format!("source-{number}"));
            fs::remove_dir_all(&at).unwrap();
            source.write(&at);
        }
        left
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
            Operands::Paths(paths) => {
                paths.iter().map(|path| at(&source(0), &[b"./", path.as_slice()].concat())).collect()
            }
            Operands::Listed(_) => vec![source(0)],
        }
    }

    /// How the outcomes of this case are compared.
    pub(super) fn comparison(&self) -> Comparison {
        let sources = match &self.operands {
            Operands::Contents => self.sources.len(),
            Operands::Itself => 1,
            Operands::Names(names) | Operands::Paths(names) | Operands::Listed(names) => names.len(),
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

/// The same with files of rules that are some: the same ones, others, or none.
fn with_rule_files(random: &mut Random, mut tree: Tree, options: &[Choice], wanted: &Tree) -> Tree {
    tree.entries.retain(|path, entry| {
        let above = path.iter().rposition(|byte| *byte == b'/').and_then(|slash| path.get(..slash));
        let is_file = matches!(entry.node, Node::File(_));
        // What is in the way of one may hold something.
        !above.is_some_and(|above| above.split(|byte| *byte == b'/').any(options::is_rule_file))
            && (is_file || !options::is_rule_file(path))
    });
    for (path, entry) in &mut tree.entries {
        if let (true, Some(known)) = (options::is_rule_file(path), wanted.entries.get(path)) {
            *entry = known.clone();
        }
    }
    // The rest of one file after the beginning of another is no rules, of which rsync makes an end of the run.
    if random.chance(50) && !options::has(options, "--append") {
        options::rule_files(random, options, &mut tree);
    }
    tree
}

/// Takes the extended attributes of what is neither file nor directory.
fn forget_xattrs_of_others(tree: &mut Tree) {
    let others = |entry: &&mut Entry| !matches!(entry.node, Node::File(_) | Node::Directory);
    tree.entries.values_mut().filter(others).for_each(|entry| entry.xattrs.clear());
}

/// Without -p, rsync takes the mode of anything that has the name.
pub(super) fn leave_out_other_kinds(tree: &mut Tree, wanted: &Tree) {
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
    some(random, tree, b"._ ")
}

/// Some paths in `tree`, by the same rule. Mostly none is below another.
fn some_paths(random: &mut Random, tree: &Tree) -> Vec<Vec<u8>> {
    let paths = some(random, tree, b"._ /");
    // Nothing else is drawn otherwise for it.
    if random.clone().chance(30) {
        return paths;
    }
    let is_apart = |path: &Vec<u8>| !paths.iter().any(|above| path.starts_with(&[above, &b"/"[..]].concat()));
    paths.iter().filter(|path| is_apart(path)).cloned().collect()
}

/// Some paths in `tree` that are made of letters, digits and these.
fn some(random: &mut Random, tree: &Tree, besides: &[u8]) -> Vec<Vec<u8>> {
    let plain = |path: &&Vec<u8>| {
        !path.is_empty() && path.iter().all(|byte| byte.is_ascii_alphanumeric() || besides.contains(byte))
    };
    let mut names: Vec<Vec<u8>> = tree.entries.keys().filter(plain).cloned().collect();
    random.shuffle(&mut names);
    names.truncate(3);
    names
}

/// Whether one of these is another, or above it.
fn repeat(names: &[Vec<u8>]) -> bool {
    let words = |name: &Vec<u8>| -> Vec<Vec<u8>> {
        name.split(|byte| *byte == b'/').filter(|word| !word.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let mut paths: Vec<_> = names.iter().map(words).collect();
    paths.sort();
    paths.windows(2).any(|two| two[1].starts_with(&two[0]))
}

/// What is at these paths, below and above them.
fn named(source: &Tree, names: &[Vec<u8>]) -> Tree {
    let is_below = |path: &[u8], above: &[u8]| path.starts_with(&[above, b"/"].concat());
    let is_named = |path: &[u8]| {
        let mut names = names.iter().map(|name| {
            let name = name.strip_prefix(b"/").unwrap_or(name);
            name.strip_suffix(b"/").unwrap_or(name)
        });
        names.any(|name| path == name || is_below(path, name) || is_below(name, path))
    };
    let mut tree = source.clone();
    tree.entries.retain(|path, _| path.is_empty() || is_named(path));
    tree
}

/// Names for a list: most of them there, some said as a directory's, some twice.
fn a_list(random: &mut Random, tree: &Tree) -> Vec<Vec<u8>> {
    let paths: Vec<&Vec<u8>> = tree.entries.keys().filter(|path| !path.is_empty()).collect();
    let mut names = Vec::new();
    for _ in 0..1 + random.below(6) {
        let path = if paths.is_empty() { Vec::new() } else { (*random.pick(&paths)).clone() };
        let is_dir = tree.entries.get(&path).is_some_and(|entry| entry.node == Node::Directory);
        names.push(match random.below(12) {
            0 => b"nosuch".to_vec(),
            // One that is too long to be there is found out in its turn by dsync, and by rsync before the others.
            1 if path.len() < 200 => [path.as_slice(), b".gone"].concat(),
            2 => [b"/", path.as_slice()].concat(),
            3..5 if is_dir => [path.as_slice(), b"/"].concat(),
            _ => path,
        });
    }
    names.retain(|name| !name.is_empty() && name != b"/");
    names
}

/// Links that lead to no directory above them, where they would be followed without end. A link that leads nowhere ends
/// all deletion, sooner or later by program.
fn tame_links(tree: &mut Tree, may_be_broken: bool) {
    for entry in tree.entries.values_mut() {
        if let Node::Symlink(target) = &mut entry.node
            && (!may_be_broken || target.starts_with(b".."))
        {
            *target = b"/etc/passwd".to_vec();
        }
    }
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
        Operands::Paths(names) | Operands::Listed(names) => named(&sources[0], names),
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
