//! Whose generations are whose: how a copy of a replica that counted on under the name of the original is found out.
//!
//! A replica that was copied with its history, or put back to an older state of it, counts on from a generation that
//! somebody else knows to have gone on otherwise. Its versions would then claim to contain edits that they do not, and
//! overwrite them in silence. So each generation draws a random [`Tag`], and every replica remembers the tags of all
//! generations it has heard of. Two tags for one generation are a [`Fork`]: from there on the counts are two
//! authors', and each gets a name of its own, made of the author, the generation and the tag. Whoever knows the fork
//! makes the same names of it, in whatever order it hears of several: a run of generations between two forks, a
//! [`Segment`], is named by where it begins.
//!
//! Two replicas make their [`Lineages`] agree after both have scanned and before anything is compared: each sends its
//! [`Heads`], and what the other's show to be [missing](Lineages::news_for), until the heads are the same, which they
//! mostly are at once. What [`merge`](Lineages::merge) tells to be renamed is renamed in all records. Who finds that
//! [somebody else](Lineages::is_shared) has counted under its name goes on under a fresh one.
//!
//! No record may have a count of a generation whose tag its replica does not know: a fork there would not be seen. The
//! generation in which a plan settles conflicts draws a tag as any other does, and the other replica is told of it
//! before it records anything of the plan.

mod segment;

pub use self::segment::Segment;

use crate::twoway::version::{Author, Renaming};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a generation is told from another of the same number by: 64 random bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Tag(pub u64);

/// One way that an author's generations went on where there are several.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Fork {
    /// Under whose name several counted.
    pub author: Author,
    /// The first generation that is not common.
    pub from: u64,
    /// Its tag on this way.
    pub tag: Tag,
}

/// All generations that a replica has heard of, and all forks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Lineages {
    segments: BTreeMap<Author, Segment>,
    forks: BTreeSet<Fork>,
}

/// What a replica knows, in short.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Heads {
    /// Of each segment its newest generation, with the tag.
    newest: BTreeMap<Author, (u64, Tag)>,
    forks: BTreeSet<Fork>,
}

impl Fork {
    /// The name under which the generations from the fork on are known: the same for whoever knows this fork.
    pub fn name(&self) -> Author {
        let mut hasher = blake3::Hasher::new_derive_key("dsync 2026 two-way fork of a replica");
        hasher.update(&self.author.0);
        hasher.update(&self.from.to_le_bytes());
        hasher.update(&self.tag.0.to_le_bytes());
        let mut name = [0; 16];
        hasher.finalize_xof().fill(&mut name);
        Author(name)
    }
}

impl Heads {
    /// Whether any generation of an author is known.
    pub fn know(&self, author: Author) -> bool {
        self.newest.contains_key(&author)
    }
}

impl Lineages {
    /// Notes that `author` counted on, and drew this tag. Generations count from 1, without gaps.
    pub fn count_on(&mut self, author: Author, tag: Tag) -> u64 {
        self.segments.entry(author).or_insert_with(|| Segment::new(author, 1)).push(tag)
    }

    /// The newest generation known of an author, 0 if none is.
    pub fn newest(&self, author: Author) -> u64 {
        self.segments.get(&author).and_then(Segment::newest).map_or(0, |(generation, _)| generation)
    }

    /// Whether somebody else counts as `author` does, who is at this generation: its name is on both ways of a fork, or
    /// has been further than it is. It needs a fresh one.
    pub fn is_shared(&self, author: Author, generation: u64) -> bool {
        self.newest(author) > generation || self.forks.iter().any(|fork| fork.author == author)
    }

    /// What is known, in short. Who has the same heads knows the same.
    pub fn heads(&self) -> Heads {
        let newest = |(name, segment): (&Author, &Segment)| Some((*name, segment.newest()?));
        Heads { newest: self.segments.iter().filter_map(newest).collect(), forks: self.forks.clone() }
    }

    /// What somebody with these heads has not heard of, as far as that can be told from them.
    pub fn news_for(&self, heads: &Heads) -> Lineages {
        let news = |(name, segment): (&Author, &Segment)| {
            let news = match heads.newest.get(name) {
                Some((generation, tag)) if segment.tag(*generation) == Some(*tag) => {
                    segment.after(*generation)
                }
                Some((generation, _)) if segment.newest().is_some_and(|(newest, _)| newest < *generation) => {
                    None
                }
                _ => Some(segment.clone()),
            };
            Some((*name, news?))
        };
        let forks = self.forks.difference(&heads.forks).copied().collect();
        Lineages { segments: self.segments.iter().filter_map(news).collect(), forks }
    }

    /// Learns what another sent, and finds the forks that this shows. Returns what has to be renamed in every version,
    /// in this order.
    pub fn merge(&mut self, news: &Lineages) -> Vec<Renaming> {
        let mut news = news.clone();
        self.forks.append(&mut news.forks);
        let mut renamings = self.divide();
        news.forks.clone_from(&self.forks);
        news.divide();
        let clashes: Vec<[Fork; 2]> = self
            .segments
            .iter()
            .filter_map(|(name, segment)| segment.clash(news.segments.get(name)?))
            .collect();
        if !clashes.is_empty() {
            self.forks.extend(clashes.into_iter().flatten());
            renamings.extend(self.divide());
            news.forks.clone_from(&self.forks);
            news.divide();
        }
        for (name, segment) in news.segments {
            self.segments.entry(name).or_insert_with(|| segment.empty()).extend(&segment);
        }
        self.segments.retain(|_, segment| segment.newest().is_some());
        renamings
    }

    /// Divides the segments at all forks that are known.
    fn divide(&mut self) -> Vec<Renaming> {
        let mut renamings = Vec::new();
        for fork in self.forks.clone() {
            let is_on_this_way = |(name, segment): &(&Author, &Segment)| {
                **name != fork.name()
                    && segment.root == fork.author
                    && segment.tag(fork.from) == Some(fork.tag)
            };
            let Some(name) = self.segments.iter().find(is_on_this_way).map(|(name, _)| *name) else {
                continue;
            };
            let Some(rest) = self.segments.get_mut(&name).and_then(|segment| segment.divide(fork.from))
            else {
                continue;
            };
            self.segments.entry(fork.name()).or_insert_with(|| rest.empty()).extend(&rest);
            renamings.push(Renaming { author: name, from: fork.from, to: fork.name() });
        }
        self.segments.retain(|_, segment| segment.newest().is_some());
        renamings
    }
}

#[cfg(test)]
mod tests;
