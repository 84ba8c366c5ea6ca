//! The smallest case that still shows a difference: what a case has of options, of entries and of their attributes is
//! taken away as long as the difference stays (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
//! Input", 2002).

use crate::oracle::case::Case;
use crate::support::tree::{Entry, LONG_AGO, Node, Tree};
use std::fmt::Write as _;
use std::path::Path;

/// The most cases tried on the way.
const MOST_TRIED: usize = 900;

/// Takes away from `case` what `differs` does not need.
pub(super) fn smallest(case: &Case, differs: &mut dyn FnMut(&Case) -> bool) -> Case {
    let mut shrinking = Shrinking { case: case.clone(), differs, tried: 0 };
    let mut tried = usize::MAX;
    // What can be spared may be seen only when something else is gone.
    while shrinking.pass() && shrinking.tried < MOST_TRIED && tried != shrinking.tried {
        tried = shrinking.tried;
    }
    shrinking.case
}

struct Shrinking<'a> {
    case: Case,
    differs: &'a mut dyn FnMut(&Case) -> bool,
    tried: usize,
}

impl Shrinking<'_> {
    /// Whether anything could be taken away.
    fn pass(&mut self) -> bool {
        let mut any = self.without_some(
            |case| case.harmless.len(),
            |case, from, to| {
                case.harmless.drain(from..to);
            },
        );
        any |= self.without_some(
            |case| case.options.len(),
            |case, from, to| {
                case.options.drain(from..to);
            },
        );
        any |= self.attempt(|case| case.destination = None);
        any |= self.attempt(|case| case.bases.iter_mut().for_each(|tree| *tree = Tree::new()));
        any |= self.attempt(|case| case.sources.iter_mut().for_each(|tree| tree.links.clear()));
        for number in 0..=self.case.sources.len() + self.case.bases.len() {
            let len = move |case: &Case| tree(case, number).map_or(0, |tree| tree.entries.len() - 1);
            any |= self.without_some(len, move |case, from, to| remove(case, number, from, to));
            for at in 0..=len(&self.case) {
                for simpler in SIMPLER {
                    any |= self.attempt(|case| {
                        let entry = tree_mut(case, number).and_then(|tree| tree.entries.values_mut().nth(at));
                        entry.into_iter().for_each(simpler);
                    });
                }
            }
        }
        any
    }

    /// Takes away as many of so many things as can be spared, first many together, then one by one.
    fn without_some(
        &mut self,
        len: impl Fn(&Case) -> usize,
        without: impl Fn(&mut Case, usize, usize),
    ) -> bool {
        let mut any = false;
        let mut many = len(&self.case).div_ceil(2);
        while many > 0 {
            let mut from = 0;
            while from < len(&self.case) {
                let to = (from + many).min(len(&self.case));
                match self.attempt(|case| without(case, from, to)) {
                    true => any = true,
                    false => from = to,
                }
            }
            many /= 2;
        }
        any
    }

    /// Changes the case if it still differs then.
    fn attempt(&mut self, change: impl FnOnce(&mut Case)) -> bool {
        let mut changed = self.case.clone();
        change(&mut changed);
        if self.tried >= MOST_TRIED || described(&changed) == described(&self.case) {
            return false;
        }
        self.tried += 1;
        let differs = (self.differs)(&changed);
        if differs {
            self.case = changed;
        }
        differs
    }
}

/// The trees of a case by number: the sources, the destination, and what else is compared with.
fn tree(case: &Case, number: usize) -> Option<&Tree> {
    match number.checked_sub(case.sources.len()) {
        None => case.sources.get(number),
        Some(0) => case.destination.as_ref(),
        Some(basis) => case.bases.get(basis - 1),
    }
}

fn tree_mut(case: &mut Case, number: usize) -> Option<&mut Tree> {
    match number.checked_sub(case.sources.len()) {
        None => case.sources.get_mut(number),
        Some(0) => case.destination.as_mut(),
        Some(basis) => case.bases.get_mut(basis - 1),
    }
}

/// Takes some entries out of a tree, with what is below them; the root stays.
fn remove(case: &mut Case, number: usize, from: usize, to: usize) {
    let Some(tree) = tree_mut(case, number) else { return };
    let paths: Vec<Vec<u8>> = tree.entries.keys().skip(1 + from).take(to - from).cloned().collect();
    paths.iter().for_each(|path| tree.remove(path));
}

/// What makes an entry simpler.
const SIMPLER: [fn(&mut Entry); 7] = [
    |entry| entry.atime = None,
    |entry| entry.xattrs.clear(),
    |entry| entry.owner = None,
    |entry| entry.mode = Entry::new(entry.node.clone()).mode,
    |entry| entry.mtime = LONG_AGO,
    |entry| match &mut entry.node {
        Node::File(content) => content.clear(),
        Node::Symlink(target) => *target = b"a".to_vec(),
        _ => {}
    },
    |entry| {
        if let Node::File(content) = &mut entry.node {
            content.truncate(content.len() / 2);
        }
    },
];

/// A case in words, for sources in `directory`.
pub(super) fn description(case: &Case, directory: &Path) -> String {
    let words: Vec<String> = case
        .words(directory, None)
        .iter()
        .map(|word| format!("'{}'", word.as_encoded_bytes().escape_ascii()))
        .collect();
    let operands: Vec<String> =
        case.operands(directory).iter().map(|path| format!("{}", path.display())).collect();
    format!("{} {} DEST\n{}", words.join(" "), operands.join(" "), trees(case))
}

/// All that makes a case, to tell one from another.
fn described(case: &Case) -> String {
    description(case, Path::new("."))
}

fn trees(case: &Case) -> String {
    let mut text = String::new();
    let sources = case.sources.iter().enumerate().map(|(number, tree)| (format!("source-{number}"), tree));
    let bases = case.bases.iter().enumerate().map(|(number, tree)| (format!("basis-{number}"), tree));
    let destination = case.destination.iter().map(|tree| ("DEST".to_owned(), tree));
    for (name, tree) in sources.chain(destination).chain(bases) {
        for (path, Entry { node, mode, mtime, atime, owner, xattrs }) in &tree.entries {
            let what = match node {
                Node::File(content) => format!("file of {} bytes", content.len()),
                Node::Symlink(target) => format!("link to {}", target.escape_ascii()),
                other => format!("{other:?}"),
            };
            let _ = write!(text, "  {name}/{}: {what}, mode {mode:o}, time {mtime}", path.escape_ascii());
            if let Some(atime) = atime {
                let _ = write!(text, ", read {atime}");
            }
            if let Some((user, group)) = owner {
                let _ = write!(text, ", owner {user}:{group}");
            }
            for (name, value) in xattrs {
                let _ = write!(text, ", {}={}", name.escape_ascii(), value.escape_ascii());
            }
            if let Some(other) = tree.links.get(path) {
                let _ = write!(text, ", the file of {}", other.escape_ascii());
            }
            text.push('\n');
        }
    }
    text
}

#[test]
fn what_a_difference_does_not_need_is_taken_away() {
    let mut found = 0;
    for seed in 0..40 {
        let case = Case::draw(seed);
        let has_file = |tree: &Tree| {
            tree.entries
                .values()
                .any(|entry| matches!(&entry.node, Node::File(content) if content.len() > 10))
        };
        let mut differs = |case: &Case| {
            case.options.iter().any(|choice| choice.name == "-t") && case.sources.iter().any(has_file)
        };
        if !differs(&case) {
            continue;
        }
        found += 1;
        let case = smallest(&case, &mut differs);
        let names: Vec<&str> = case.options.iter().map(|choice| choice.name).collect();
        assert_eq!((names, case.harmless.len()), (vec!["-t"], 0));
        assert!(case.destination.is_none());
        let files: Vec<&Entry> = case
            .sources
            .iter()
            .flat_map(|tree| tree.entries.values())
            .filter(|entry| !entry.is_directory())
            .collect();
        let [
            Entry {
                node: Node::File(content),
                mtime: LONG_AGO,
                atime: None,
                mode: 0o644,
                owner: None,
                xattrs,
            },
        ] = &files[..]
        else {
            panic!("not one file alone: {files:?}");
        };
        // Half of it would be too short.
        assert!(content.len() / 2 <= 10 && xattrs.is_empty());
    }
    assert!(found > 3, "{found} cases");
}
