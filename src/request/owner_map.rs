//! `--usermap`, `--groupmap` and `--chown`: whom entries are given to, by whom they belong to at the source.
//!
//! A map is a list of `FROM:TO` between commas; the first that fits counts. Parsed by `cli`, carried by `wire`, applied
//! by the sink of a pass, on whose host the names after the colons are looked up.

use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The value of `--usermap` or `--groupmap`, in order. By default nobody is mapped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRules(Vec<OwnerRule>);

/// One `FROM:TO`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerRule {
    /// Who is meant.
    pub from: From,
    /// Who takes the place.
    pub to: To,
}

/// Whom a rule is about, at the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum From {
    /// Those with a number from the first to the second.
    Numbers(u32, u32),
    /// Those whose name the pattern matches: `*`, `?` and `[...]` are wildcards.
    Name(Vec<u8>),
    /// Those that have no name there.
    Nameless,
    /// All.
    Anybody,
}

/// Whom a rule leads to, at the destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum To {
    /// The one with this number.
    Number(u32),
    /// The one with this name.
    Name(Vec<u8>),
}

/// What is wrong with a map.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOwnerRules {
    /// A pair without its middle.
    #[error("{0:?} has no colon; it is a list of FROM:TO")]
    NoColon(String),
    /// A pair without its end.
    #[error("{0:?} has nothing after its colon")]
    NoName(String),
    /// What begins like a number and is none.
    #[error("{0:?} is neither a number nor a range like 100-199")]
    Number(String),
    /// More, or longer names, than any map needs.
    #[error("it is too long")]
    TooLong,
}

/// The most rules taken.
const MOST_RULES: usize = 65_536;
/// The longest name or pattern taken, in bytes.
const LONGEST: usize = 256;

impl OwnerRules {
    /// Everybody to this one, by name or number: what `--chown` says.
    ///
    /// # Errors
    /// It is no single name or number.
    pub fn all_to(name: &str) -> Result<OwnerRules, InvalidOwnerRules> {
        format!("*:{name}").parse()
    }

    /// Whether nobody is mapped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = &OwnerRule> {
        self.0.iter()
    }

    /// Checks what parsing guarantees and decoding does not.
    pub(super) fn validate(&self) -> Result<(), InvalidOwnerRules> {
        let is_short = |rule: &OwnerRule| {
            let from = if let From::Name(name) = &rule.from { name.len() } else { 0 };
            let to = if let To::Name(name) = &rule.to { name.len() } else { 0 };
            from.max(to) <= LONGEST
        };
        let valid = self.0.len() <= MOST_RULES && self.0.iter().all(is_short);
        valid.then_some(()).ok_or(InvalidOwnerRules::TooLong)
    }
}

impl FromStr for OwnerRules {
    type Err = InvalidOwnerRules;
    fn from_str(text: &str) -> Result<OwnerRules, InvalidOwnerRules> {
        let rules = OwnerRules(text.split(',').map(parse).collect::<Result<_, _>>()?);
        rules.validate().map(|()| rules)
    }
}

impl To {
    fn of(text: &str) -> Result<To, InvalidOwnerRules> {
        match text.bytes().all(|byte| byte.is_ascii_digit()) {
            false => Ok(To::Name(text.as_bytes().to_vec())),
            true => text.parse().map(To::Number).map_err(|_| InvalidOwnerRules::Number(text.to_owned())),
        }
    }
}

fn parse(pair: &str) -> Result<OwnerRule, InvalidOwnerRules> {
    let (from, to) = pair.split_once(':').ok_or_else(|| InvalidOwnerRules::NoColon(pair.to_owned()))?;
    if to.is_empty() {
        return Err(InvalidOwnerRules::NoName(pair.to_owned()));
    }
    let from = match from {
        "" => From::Nameless,
        "*" => From::Anybody,
        number if number.starts_with(|first: char| first.is_ascii_digit()) => {
            let (low, high) = number.split_once('-').unwrap_or((number, number));
            let parsed = |text: &str| text.parse().map_err(|_| InvalidOwnerRules::Number(number.to_owned()));
            From::Numbers(parsed(low)?, parsed(high)?)
        }
        name => From::Name(name.as_bytes().to_vec()),
    };
    Ok(OwnerRule { from, to: To::of(to)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_rsync_reads_them() {
        let rules: OwnerRules = "0-99:nobody,wayne:7,a*:b,:x,*:normal,5:2:3".parse().unwrap();
        let name = |name: &str| name.as_bytes().to_vec();
        let expected = [
            (From::Numbers(0, 99), To::Name(name("nobody"))),
            (From::Name(name("wayne")), To::Number(7)),
            (From::Name(name("a*")), To::Name(name("b"))),
            (From::Nameless, To::Name(name("x"))),
            (From::Anybody, To::Name(name("normal"))),
            (From::Numbers(5, 5), To::Name(name("2:3"))),
        ];
        assert_eq!(
            rules.iter().map(|rule| (rule.from.clone(), rule.to.clone())).collect::<Vec<_>>(),
            expected
        );
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        for text in [
            "",
            "1",
            "1:",
            "1:2,",
            "0-:7",
            "-5x",
            "1x:5",
            "1-x:5",
            "999999999999:5",
            "1--2:5",
            "1:4294967296",
        ] {
            assert!(text.parse::<OwnerRules>().is_err(), "{text}");
        }
        assert!(format!("{}:1", "x".repeat(LONGEST + 1)).parse::<OwnerRules>().is_err());
    }
}
