//! Proof that the cases put each option to the test.
//!
//! An option that changes nothing in any case is not tested by it, however often it is drawn. So rsync also runs
//! without the option, and the outcomes must differ, as judged by the same comparison that judges dsync. A comparison
//! that could not see a lost option would show here.

use crate::oracle::groups::{self, GROUPS};
use crate::oracle::options::{ALL, Choice, Effect};
use crate::support::disk::Disk;
use crate::support::tools;
use std::collections::{BTreeMap, BTreeSet};

/// In how many cases each option must have an effect.
const ENOUGH: usize = 10;
/// In how many cases each two groups of options must come together.
const TOGETHER: usize = 3;

/// Per option: in how many cases it was drawn, and in how many it had its effect.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    counts: BTreeMap<&'static str, (usize, usize)>,
    /// By the numbers of two groups, the smaller first: how many cases had both.
    together: BTreeMap<(usize, usize), usize>,
}

impl Coverage {
    pub(super) fn drawn(&mut self, name: &'static str) {
        self.counts.entry(name).or_default().0 += 1;
    }

    pub(super) fn effective(&mut self, name: &'static str) {
        self.counts.entry(name).or_default().1 += 1;
    }

    /// Counts which groups of options a case has together.
    pub(super) fn met(&mut self, options: &[Choice]) {
        for pair in pairs_of(options) {
            *self.together.entry(pair).or_default() += 1;
        }
    }

    /// The pairs of groups that need further cases.
    fn lacking_pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        groups::pairs().filter(|pair| self.together.get(pair).copied().unwrap_or_default() < TOGETHER)
    }

    /// What needs further cases, by name.
    pub(super) fn lacks(&self) -> Vec<String> {
        let pair = |(one, other): (usize, usize)| format!("{} with {}", GROUPS[one].0, GROUPS[other].0);
        self.lacking().into_iter().map(str::to_owned).chain(self.lacking_pairs().map(pair)).collect()
    }

    /// Whether a case with these options would be one of those that are needed.
    pub(super) fn needs(&self, options: &[Choice]) -> bool {
        let lacking = self.lacking();
        let pairs = pairs_of(options);
        options.iter().any(|choice| lacking.contains(&choice.name))
            || self.lacking_pairs().any(|pair| pairs.contains(&pair))
    }

    /// One line an option.
    pub(super) fn report(&self) -> String {
        let lines = ALL.iter().map(|(name, effect)| {
            let (drawn, effective) = self.counts.get(name).copied().unwrap_or_default();
            format!("{name:20} drawn {drawn}, {effect:?} changed in {effective} or more")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The options that need further cases.
    pub(super) fn lacking(&self) -> Vec<&'static str> {
        let lacks = |(name, _): &&(&'static str, Effect)| {
            let (drawn, effective) = self.counts.get(name).copied().unwrap_or_default();
            // Files cannot be given away by everybody.
            let without_effect =
                matches!(*name, "-o" | "-g" | "--no-super" | "--chown" | "--usermap" | "--groupmap")
                    && !tools::is_root();
            // Nor is anything mounted by everybody.
            let is_out_of_reach = matches!(*name, "-x" | "-xx") && !Disk::is_possible();
            !is_out_of_reach && (if without_effect { drawn } else { effective }) < ENOUGH
        };
        ALL.iter().filter(lacks).map(|(name, _)| *name).collect()
    }
}

/// The pairs of groups that options are from.
fn pairs_of(options: &[Choice]) -> BTreeSet<(usize, usize)> {
    let groups = options.iter().map(|choice| groups::of(choice.name));
    let groups: BTreeSet<usize> = groups.map(|group| group.expect("every option is in a group")).collect();
    groups.iter().flat_map(|one| groups.range(one + 1..).map(|other| (*one, *other))).collect()
}
