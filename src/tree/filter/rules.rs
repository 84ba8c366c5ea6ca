//! The rule list and its verdicts.

use std::borrow::Cow;
use std::io;

use serde::{Deserialize, Serialize};

use crate::tree::filter::error::FilterError;
use crate::tree::filter::file::{FileKind, Merge, parse_file};
use crate::tree::filter::parse::Directive;
use crate::tree::filter::pattern::{Pattern, Subject};
use crate::tree::filter::rule::{Action, Rule, Sides};

/// The most rules a list holds.
pub const MAX_RULES: usize = 65_536;

/// How deep files of rules may merge one another. As in rsync.
pub const MAX_MERGE_DEPTH: usize = 32;

/// The side of a pass that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that lists its tree: excluded names are hidden from the transfer.
    Sender,
    /// The one that is changed: excluded names are protected from deletion.
    Receiver,
}

/// What the rules say about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Takes part: shown by the sender, at risk of deletion on the receiver.
    Included,
    /// Takes no part: hidden by the sender, protected on the receiver.
    Excluded,
}

/// A verdict and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// Place in the list of the rule that decided, from 0; none if no rule matched.
    pub rule: Option<usize>,
}

/// An ordered list of rules, ready to be asked.
///
/// It is encoded as the list of its [`Rule`]s; whoever decodes one calls [`Rules::validate`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Rule>", into = "Vec<Rule>")]
pub struct Rules {
    list: Vec<CompiledRule>,
    /// Absolute path of the transfer root with a `/` at its end and none at its start. Each side has its own, so it
    /// is not encoded.
    root: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct CompiledRule {
    rule: Rule,
    pattern: Pattern,
}

impl CompiledRule {
    fn new(rule: Rule) -> Self {
        CompiledRule { pattern: Pattern::compile(&rule.pattern), rule }
    }

    fn acts_on(&self, side: Side) -> bool {
        match self.rule.sides {
            Sides::Unnamed | Sides::Both => true,
            Sides::Sender => side == Side::Sender,
            Sides::Receiver => side == Side::Receiver,
        }
    }

    fn needs_absolute_path(&self) -> bool {
        self.rule.absolute && self.pattern.sees_directories()
    }
}

impl From<Vec<Rule>> for Rules {
    fn from(rules: Vec<Rule>) -> Self {
        Rules { list: rules.into_iter().map(CompiledRule::new).collect(), root: Vec::new() }
    }
}

impl From<Rules> for Vec<Rule> {
    fn from(rules: Rules) -> Self {
        rules.list.into_iter().map(|compiled| compiled.rule).collect()
    }
}

impl Rules {
    /// An empty list, which includes everything.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rules in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Rule> {
        self.list.iter().map(|compiled| &compiled.rule)
    }

    /// The rule at a place given by [`Decision::rule`].
    pub fn get(&self, place: usize) -> Option<&Rule> {
        self.list.get(place).map(|compiled| &compiled.rule)
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Checks a decoded list: at most [`MAX_RULES`] rules, each valid by itself.
    pub fn validate(&self) -> Result<(), FilterError> {
        if self.list.len() > MAX_RULES {
            return Err(FilterError::TooManyRules);
        }
        for (number, rule) in (1..).zip(self.iter()) {
            rule.validate().map_err(|source| FilterError::Decoded { number, source })?;
        }
        Ok(())
    }

    /// Appends a rule.
    pub fn push(&mut self, rule: Rule) -> Result<(), FilterError> {
        if self.list.len() >= MAX_RULES {
            return Err(FilterError::TooManyRules);
        }
        self.list.push(CompiledRule::new(rule));
        Ok(())
    }

    /// Appends a rule, clears the list, or merges a file and the files it merges in turn.
    ///
    /// `read` returns the content of a file named in a merge rule; relative names are relative to wherever the caller
    /// takes them from. `nul_separated` is `--from0`: rules in files end at a NUL byte instead of a line's end.
    pub fn add(
        &mut self,
        directive: Directive,
        nul_separated: bool,
        read: &mut dyn FnMut(&[u8]) -> io::Result<Vec<u8>>,
    ) -> Result<(), FilterError> {
        self.add_nested(directive, nul_separated, read, 0)
    }

    fn add_nested(
        &mut self,
        directive: Directive,
        nul_separated: bool,
        read: &mut dyn FnMut(&[u8]) -> io::Result<Vec<u8>>,
        depth: usize,
    ) -> Result<(), FilterError> {
        let Merge { file, kind } = match directive {
            Directive::Rule(rule) => return self.push(rule),
            Directive::Clear => {
                self.list.clear();
                return Ok(());
            }
            Directive::Merge(merge) => merge,
        };
        let file_name = || String::from_utf8_lossy(&file).into_owned();
        if depth >= MAX_MERGE_DEPTH {
            return Err(FilterError::MergeDepth { file: file_name() });
        }
        if let FileKind::Rules(defaults) = kind
            && defaults.exclude_self
        {
            let name = file.rsplit(|&byte| byte == b'/').next().unwrap_or(&file);
            self.push(Rule::new(Action::Exclude, name))?;
        }
        let content = read(&file).map_err(|source| FilterError::Read { file: file_name(), source })?;
        for directive in parse_file(&file, &content, kind, nul_separated)? {
            self.add_nested(directive, nul_separated, read, depth.saturating_add(1))?;
        }
        Ok(())
    }

    /// The list as it is with `--delete-excluded`: rules that name no side act on the sender alone, so what they
    /// exclude is not protected.
    pub fn with_delete_excluded(mut self) -> Self {
        for compiled in &mut self.list {
            compiled.rule.sides = match compiled.rule.sides {
                Sides::Unnamed => Sides::Sender,
                named => named,
            };
        }
        self
    }

    /// Tells the absolute path of the transfer root on this machine, which rules with the modifier `/` look at. Without
    /// it they see the path below the root alone.
    pub fn set_root(&mut self, absolute_path: &[u8]) {
        self.root = absolute_path.split(|&byte| byte == b'/').filter(|element| !element.is_empty()).fold(
            Vec::new(),
            |mut root, element| {
                root.extend_from_slice(element);
                root.push(b'/');
                root
            },
        );
    }

    /// The verdict on a path for one side. See [`Rules::decide`].
    pub fn check(&self, path: &[u8], is_dir: bool, side: Side) -> Verdict {
        self.decide(path, is_dir, side, false).verdict
    }

    /// The verdict on a path for one side, with the rule that gave it.
    ///
    /// `path` is relative to the transfer root, without a slash at either end; the root itself, an empty path, is
    /// always included. `deleting_dir` says that the directory which holds the entry is being deleted: perishable rules
    /// do not count there.
    pub fn decide(&self, path: &[u8], is_dir: bool, side: Side, deleting_dir: bool) -> Decision {
        if path.is_empty() || self.list.is_empty() {
            return Decision { verdict: Verdict::Included, rule: None };
        }
        let below_root = Subject::new(path, is_dir);
        let absolute_path = self.absolute_path(path);
        let absolute = Subject::new(&absolute_path, is_dir);
        for (place, compiled) in self.list.iter().enumerate() {
            if !compiled.acts_on(side) || (deleting_dir && compiled.rule.perishable) {
                continue;
            }
            let subject = if compiled.needs_absolute_path() { absolute } else { below_root };
            if compiled.pattern.matches(subject) != compiled.rule.negated {
                let verdict = match compiled.rule.action {
                    Action::Exclude => Verdict::Excluded,
                    Action::Include => Verdict::Included,
                };
                return Decision { verdict, rule: Some(place) };
            }
        }
        Decision { verdict: Verdict::Included, rule: None }
    }

    /// The path with the root before it, made only if a rule looks at it.
    fn absolute_path<'a>(&self, path: &'a [u8]) -> Cow<'a, [u8]> {
        if self.root.is_empty() || !self.list.iter().any(CompiledRule::needs_absolute_path) {
            return Cow::Borrowed(path);
        }
        Cow::Owned([self.root.as_slice(), path].concat())
    }
}
