//! Which policy holds for which path.

use crate::tree::filter::{Action, FilterError, Rule, Rules, Side as FilterSide, Verdict};
use crate::tree::{Escaped, RelPath};
use crate::twoway::decide::Side;
use crate::twoway::policy::{Conflict, InvalidPolicy, Policy, Resolution, Resolver};
use std::str::FromStr;

/// A policy for the paths that a pattern matches, and for what is below them: a value of `--conflict-for`.
///
/// The pattern is one of a filter rule: without a slash it is about the last name, with one at its start about the
/// whole path, and a slash alone about the top of the tree itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    /// A single rule, which excludes what is meant.
    pattern: Rules,
    /// Whether it is about the top, which no rule is about.
    is_top: bool,
    policy: Policy,
}

/// The policies of a run: the first override that matches a path decides, else the general one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Policies {
    /// In the order in which they are tried.
    pub overrides: Vec<Override>,
    /// For all other paths.
    pub general: Policy,
}

/// Why a text is no [`Override`].
#[derive(Debug, thiserror::Error)]
pub enum InvalidOverride {
    /// No equals sign, or nothing before it.
    #[error("{0:?} is not of the form PATTERN=POLICY")]
    Form(String),
    /// No policy after any equals sign.
    #[error("after the pattern in {text:?}, {source}")]
    Policy {
        /// All of it.
        text: String,
        /// What is said of what is after the first sign.
        source: InvalidPolicy,
    },
    /// No pattern before it, or one that cannot be used.
    #[error("the pattern before the policy cannot be used")]
    Pattern(#[from] FilterError),
}

impl Override {
    /// `PATTERN=POLICY`. Either may have equals signs: the first that is followed by a policy divides them. The pattern
    /// is of bytes, as paths are.
    ///
    /// # Errors
    /// There is no policy, or a pattern that cannot be used.
    pub fn parse(text: &[u8]) -> Result<Override, InvalidOverride> {
        let mut signs = text.iter().enumerate().filter(|(_, byte)| **byte == b'=');
        let divided = signs.find_map(|(at, _)| {
            let (pattern, policy) = text.split_at_checked(at)?;
            let policy = std::str::from_utf8(policy.strip_prefix(b"=")?).ok()?;
            let policy: Result<Policy, InvalidPolicy> = policy.parse();
            policy.ok().map(|policy| (pattern, policy)).filter(|(pattern, _)| !pattern.is_empty())
        });
        let (pattern, policy) = divided.ok_or_else(|| InvalidOverride::of(text))?;
        let mut rules = Rules::new();
        rules.push(Rule::new(Action::Exclude, pattern))?;
        Ok(Override { pattern: rules, is_top: pattern == b"/", policy })
    }

    fn matches(&self, path: &RelPath) -> bool {
        if path.is_root() {
            return self.is_top;
        }
        let bytes = path.as_bytes();
        let above = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let mut above = above.filter_map(|(at, _)| bytes.get(..at));
        let is_meant =
            |path, is_dir| self.pattern.check(path, is_dir, FilterSide::Sender) == Verdict::Excluded;
        above.any(|above| is_meant(above, true)) || is_meant(bytes, false)
    }
}

impl InvalidOverride {
    /// What is wrong with a text that has no policy after any equals sign with something before it.
    fn of(text: &[u8]) -> InvalidOverride {
        let shown = Escaped(text).to_string();
        let sign = text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0);
        match sign.and_then(|at| text.get(at.saturating_add(1)..)) {
            Some(policy) => {
                InvalidOverride::Policy { text: shown, source: InvalidPolicy(Escaped(policy).to_string()) }
            }
            None => InvalidOverride::Form(shown),
        }
    }
}

/// See [`parse`](Override::parse).
impl FromStr for Override {
    type Err = InvalidOverride;

    fn from_str(text: &str) -> Result<Override, InvalidOverride> {
        Override::parse(text.as_bytes())
    }
}

impl Policies {
    /// Whether anybody has to be asked about any path.
    pub fn ask(&self) -> bool {
        self.general.asks() || self.overrides.iter().any(|special| special.policy.asks())
    }

    /// The policy for a path.
    pub fn of(&self, path: &RelPath) -> &Policy {
        let special = self.overrides.iter().find(|special| special.matches(path));
        special.map_or(&self.general, |special| &special.policy)
    }
}

impl Resolver for Policies {
    fn resolve(&mut self, conflict: &Conflict<'_>) -> Resolution {
        self.of(conflict.path).resolve(conflict)
    }

    fn removals_win(&self, path: &RelPath) -> Option<Side> {
        self.of(path).removals_win()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policies(overrides: &[&str]) -> Policies {
        let overrides = overrides.iter().map(|text| text.parse().unwrap()).collect();
        Policies { overrides, general: Policy::Skip }
    }

    #[test]
    fn the_first_match_decides() {
        let policies =
            policies(&["/notes/a.txt=older", "*.txt=keep-both", "photos/=newer", "a=b=local", "/=larger"]);
        for (path, policy) in [
            ("notes/a.txt", Policy::Older),
            ("x/notes/a.txt", Policy::KeepBoth),
            ("b.txt", Policy::KeepBoth),
            ("photos/2026/1.jpg", Policy::Newer),
            ("photos", Policy::Skip),
            ("a=b", Policy::Prefer(Side::Left)),
            ("c", Policy::Skip),
            ("", Policy::Larger),
        ] {
            assert_eq!(policies.of(&RelPath::new(path.as_bytes()).unwrap()), &policy, "{path}");
        }
    }

    #[test]
    fn a_command_may_have_equals_signs() {
        let policies = policies(&["*.csv=merge=join -t= -a newer=older"]);
        let policy = policies.of(&RelPath::new(*b"x.csv").unwrap());
        assert_eq!(policy, &Policy::Merge("join -t= -a newer=older".into()));
    }

    #[test]
    fn what_is_no_override_is_refused() {
        for text in ["", "newer", "=newer"] {
            assert!(matches!(text.parse::<Override>(), Err(InvalidOverride::Form(_))), "{text:?}");
        }
        for text in ["*.txt=", "*.txt=newest", "*.txt=merge="] {
            assert!(matches!(text.parse::<Override>(), Err(InvalidOverride::Policy { .. })), "{text:?}");
        }
    }
}
