//! Proof that the cases put each option to the test.
//!
//! An option that changes nothing in any case is not tested by it, however often it is drawn. So rsync also runs
//! without the option, and the outcomes must differ, as judged by the same comparison that judges dsync. A comparison
//! that could not see a lost option would show here.

use crate::oracle::options::{ALL, Effect};
use crate::support::tools;
use std::collections::BTreeMap;

/// In how many cases each option must have an effect.
const ENOUGH: usize = 10;

/// Per option: in how many cases it was drawn, and in how many it had its effect.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    counts: BTreeMap<&'static str, (usize, usize)>,
}

impl Coverage {
    pub(super) fn drawn(&mut self, name: &'static str) {
        self.counts.entry(name).or_default().0 += 1;
    }

    pub(super) fn effective(&mut self, name: &'static str) {
        self.counts.entry(name).or_default().1 += 1;
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
            (if without_effect { drawn } else { effective }) < ENOUGH
        };
        ALL.iter().filter(lacks).map(|(name, _)| *name).collect()
    }
}
