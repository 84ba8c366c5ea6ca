//! One rule as data: what the parsers make, what travels to the other side, what `--explain` prints.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::tree::filter::error::SyntaxError;

/// The longest pattern taken, in bytes. Linux's PATH_MAX; a longer one could match nothing.
pub const MAX_PATTERN_BYTES: usize = 4096;

/// What happens to a name that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Hidden on the sender, protected from deletion on the receiver.
    Exclude,
    /// Shown on the sender, at risk of deletion on the receiver.
    Include,
}

/// The sides of a pass on which a rule acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sides {
    /// None named: both, or the sender alone in a run with `--delete-excluded`.
    #[default]
    Unnamed,
    /// The sender (hide and show rules, modifier `s`).
    Sender,
    /// The receiver (protect and risk rules, modifier `r`).
    Receiver,
    /// Both, named (modifiers `sr`), so `--delete-excluded` does not change it.
    Both,
}

impl Sides {
    /// What they are with `--delete-excluded`.
    pub(super) fn sender_if_unnamed(self) -> Sides {
        if self == Sides::Unnamed { Sides::Sender } else { self }
    }

    /// Both what `self` and what `other` name.
    pub(super) fn and(self, other: Sides) -> Sides {
        match (self, other) {
            (Sides::Unnamed, named) | (named, Sides::Unnamed) => named,
            (one, two) if one == two => one,
            _ => Sides::Both,
        }
    }
}

/// An include or exclude rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Exclude or include.
    pub action: Action,
    /// Where it acts.
    pub sides: Sides,
    /// Modifier `/`: the pattern is matched against the absolute path of the entry.
    pub absolute: bool,
    /// Modifier `!`: the rule takes effect where the pattern does *not* match.
    pub negated: bool,
    /// Modifier `p`: the rule is ignored in directories that are being deleted.
    pub perishable: bool,
    /// Modifier `x`: the rule is about names of extended attributes, and about no others. Which kind of [`Item`] a rule
    /// is says so where it is encoded.
    ///
    /// [`Item`]: crate::tree::filter::Item
    #[serde(skip)]
    pub xattr: bool,
    /// The pattern as written, with the leading `/` that anchors it and the trailing `/` that limits it to directories.
    pub pattern: Vec<u8>,
}

impl Rule {
    /// A rule without modifiers.
    pub fn new(action: Action, pattern: impl Into<Vec<u8>>) -> Self {
        Rule {
            action,
            sides: Sides::Unnamed,
            absolute: false,
            negated: false,
            perishable: false,
            xattr: false,
            pattern: pattern.into(),
        }
    }

    /// Checks what parsing guarantees and decoding does not: a pattern of 1 to [`MAX_PATTERN_BYTES`] bytes without NUL.
    pub fn validate(&self) -> Result<(), SyntaxError> {
        if self.pattern.is_empty() {
            return Err(SyntaxError::MissingPattern);
        }
        if self.pattern.len() > MAX_PATTERN_BYTES {
            return Err(SyntaxError::PatternTooLong);
        }
        if self.pattern.contains(&0) {
            return Err(SyntaxError::NulByte);
        }
        Ok(())
    }

    /// The letter and modifiers that stand before the pattern, in canonical form.
    fn prefix(&self) -> String {
        let mut prefix = String::from(match (self.action, self.sides) {
            (Action::Exclude, Sides::Unnamed) => "-",
            (Action::Include, Sides::Unnamed) => "+",
            (Action::Exclude, Sides::Sender) => "H",
            (Action::Include, Sides::Sender) => "S",
            (Action::Exclude, Sides::Receiver) => "P",
            (Action::Include, Sides::Receiver) => "R",
            (Action::Exclude, Sides::Both) => "-sr",
            (Action::Include, Sides::Both) => "+sr",
        });
        let modifiers =
            [(self.absolute, '/'), (self.negated, '!'), (self.perishable, 'p'), (self.xattr, 'x')];
        prefix.extend(modifiers.iter().filter(|(set, _)| *set).map(|(_, letter)| letter));
        prefix
    }

    /// The rule in filter syntax, which [`parse_filter`](crate::tree::filter::parse_filter) reads back as the same
    /// rule.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = self.prefix().into_bytes();
        text.push(b' ');
        text.extend_from_slice(&self.pattern);
        text
    }
}

/// The text of [`Rule::to_bytes`], with bytes that are not UTF-8 replaced.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.prefix(), String::from_utf8_lossy(&self.pattern))
    }
}
