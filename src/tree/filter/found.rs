//! The files of rules that were found in the directories of one tree, to be told to who has another: with them it knows
//! what they leave out there.
//!
//! They are kept as they were read, by the directory they were found in, and read again by whoever asks what holds in a
//! directory: both sides go the same way from the text to the verdict.

use crate::tree::RelPath;
use crate::tree::filter::rules::Rules;
use crate::tree::filter::scope::Scope;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A directory that holds files of rules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Holder {
    /// So many levels above the top of the tree.
    Above(u32),
    /// The top, or below it.
    At(RelPath),
}

/// What was found in one directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Content {
    /// Files, by the names under which rules look for them, and their contents.
    Files(BTreeMap<Vec<u8>, Vec<u8>>),
    /// Some file could not be read or understood: nobody knows what takes part there, so nothing does.
    Unknown,
}

/// All files of rules that were found in a tree.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RuleFiles {
    /// The absolute path of the tree, if rules look at it; else empty.
    root: Vec<u8>,
    found: BTreeMap<Holder, Content>,
}

impl Content {
    fn file(&self, name: &[u8]) -> Option<Vec<u8>> {
        match self {
            Content::Files(files) => files.get(name).cloned(),
            Content::Unknown => None,
        }
    }
}

impl RuleFiles {
    /// None yet, of a tree at this absolute path, which is empty if no rule looks at it.
    pub fn new(root: Vec<u8>) -> RuleFiles {
        RuleFiles { root, found: BTreeMap::new() }
    }

    /// Forgets where the tree is.
    pub fn forget_root(&mut self) {
        self.root.clear();
    }

    /// The absolute path of the tree, if rules look at it.
    pub fn root(&self) -> &[u8] {
        &self.root
    }

    /// Adds a file that was found in a directory.
    pub fn add(&mut self, holder: Holder, name: &[u8], content: &[u8]) {
        let none = || Content::Files(BTreeMap::new());
        if let Content::Files(files) = self.found.entry(holder).or_insert_with(none) {
            files.insert(name.to_vec(), content.to_vec());
        }
    }

    /// Takes it for unknown what takes part in a directory.
    pub fn close(&mut self, holder: Holder) {
        self.found.insert(holder, Content::Unknown);
    }

    /// How many bytes names and contents have, about.
    pub fn len(&self) -> usize {
        const EACH: usize = 32;
        let of_holder = |holder: &Holder| match holder {
            Holder::Above(_) => EACH,
            Holder::At(path) => path.as_bytes().len().saturating_add(EACH),
        };
        let of_file = |(name, content): (&Vec<u8>, &Vec<u8>)| {
            name.len().saturating_add(content.len()).saturating_add(EACH)
        };
        self.found.iter().fold(self.root.len(), |len, (holder, held)| {
            let files = match held {
                Content::Files(files) => files.iter().map(of_file).fold(0, usize::saturating_add),
                Content::Unknown => 0,
            };
            len.saturating_add(of_holder(holder)).saturating_add(files)
        })
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The same in parts, none of which is longer than `most` bytes unless a single file makes it so; at least one.
    pub fn parts(&self, most: usize) -> Vec<RuleFiles> {
        let mut parts = Vec::new();
        let (mut part, mut len) = (RuleFiles::new(self.root.clone()), 0_usize);
        for (holder, held) in &self.found {
            let each: Vec<RuleFiles> = match held {
                Content::Files(files) => {
                    files.iter().map(|(name, content)| self.one(holder, name, content)).collect()
                }
                Content::Unknown => {
                    let mut unknown = RuleFiles::new(self.root.clone());
                    unknown.close(holder.clone());
                    vec![unknown]
                }
            };
            for one in each {
                if len > 0 && len.saturating_add(one.len()) > most {
                    parts.push(std::mem::replace(&mut part, RuleFiles::new(self.root.clone())));
                    len = 0;
                }
                len = len.saturating_add(one.len());
                part.merge(one);
            }
        }
        parts.push(part);
        parts
    }

    fn one(&self, holder: &Holder, name: &[u8], content: &[u8]) -> RuleFiles {
        let mut one = RuleFiles::new(self.root.clone());
        one.add(holder.clone(), name, content);
        one
    }

    /// Adds another part.
    pub fn merge(&mut self, part: RuleFiles) {
        self.root = part.root;
        for (holder, held) in part.found {
            match held {
                Content::Files(files) => {
                    files.iter().for_each(|(name, content)| self.add(holder.clone(), name, content))
                }
                Content::Unknown => self.close(holder),
            }
        }
    }

    /// The files that were found in the tree and not above it: where each is, and for which directory it counts.
    pub fn in_tree(&self) -> Vec<(RelPath, &RelPath)> {
        let mut all = Vec::new();
        for (holder, content) in &self.found {
            let (Holder::At(at), Content::Files(files)) = (holder, content) else { continue };
            let slash: &[u8] = if at.is_root() { b"" } else { b"/" };
            let paths = files.keys().map(|name| RelPath::new([at.as_bytes(), slash, name].concat()));
            all.extend(paths.filter_map(Result::ok).map(|path| (path, at)));
        }
        all
    }

    /// Forgets what was found above the top of the tree.
    pub fn forget_above(&mut self) {
        self.found.retain(|holder, _| matches!(holder, Holder::At(_)));
    }

    /// Whether files were found above the top of the tree.
    pub fn are_any_above(&self) -> bool {
        self.found.keys().any(|holder| matches!(holder, Holder::Above(_)))
    }

    /// What holds above the top of the tree with these rules.
    pub fn above(&self, rules: &Rules) -> Scope {
        let mut rules = rules.clone();
        rules.set_root(&self.root);
        let scope = Scope::from(rules);
        let levels = (1..=scope.levels_above()).rev();
        levels.fold(scope, |scope, levels| {
            let holder = u32::try_from(levels).map(Holder::Above);
            let held = holder.ok().and_then(|holder| self.found.get(&holder));
            match held {
                Some(Content::Unknown) => Scope::closed(),
                held => scope
                    .enter_above(levels, &mut |name| Ok(held.and_then(|held| held.file(name))))
                    .unwrap_or_else(|_| Scope::closed()),
            }
        })
    }

    /// What holds in a directory of the tree, where this holds in the one above it.
    pub fn enter(&self, scope: &Scope, path: &RelPath) -> Scope {
        match self.found.get(&Holder::At(path.clone())) {
            Some(Content::Unknown) => Scope::closed(),
            held => scope
                .enter(path, &mut |name| Ok(held.and_then(|held| held.file(name))))
                .unwrap_or_else(|_| Scope::closed()),
        }
    }
}
