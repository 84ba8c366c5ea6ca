//! The syntax of one rule: `-p *.o`, `hide,! */`, `merge FILE`, or a bare pattern.
//!
//! A rule is a letter or word, modifiers, one blank or underscore, and the pattern or file name, which takes the rest,
//! blanks included. Words need a comma before their modifiers; for letters it is optional.

use crate::tree::filter::error::{FilterError, SyntaxError};
use crate::tree::filter::file::{DirMerge, FileKind, Merge, RuleDefaults};
use crate::tree::filter::rule::{Action, Rule, Sides};

/// What one rule tells whoever builds the list; [`Rules::add`](crate::tree::filter::Rules::add) does so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// Append this rule.
    Rule(Rule),
    /// Forget all rules so far.
    Clear,
    /// Put the rules of a file here.
    Merge(Merge),
    /// Put the rules of a file here that is in the directory, or in one above it.
    DirMerge(DirMerge),
    /// Put the patterns here that CVS leaves out by default, and those of the user.
    Cvs,
}

/// Parses the value of `--filter`. An empty value says nothing.
pub fn parse_filter(rule: &[u8]) -> Result<Option<Directive>, FilterError> {
    parse_rule(rule, &RuleDefaults::default()).map_err(|source| FilterError::argument(rule, source))
}

/// Parses the value of `--exclude` or `--include`. An empty value says nothing.
///
/// As rsync takes it: a leading `- ` or `+ ` overrides the action, and a lone `!` clears the list.
pub fn parse_pattern(pattern: &[u8], action: Action) -> Result<Option<Directive>, FilterError> {
    parse_old_rule(pattern, action).map_err(|source| FilterError::argument(pattern, source))
}

/// A bare pattern with the prefixes that `--exclude`, `--include` and the files of `--exclude-from` and
/// `--include-from` may have.
pub(super) fn parse_old_rule(text: &[u8], action: Action) -> Result<Option<Directive>, SyntaxError> {
    match text {
        [] => Ok(None),
        [b'!'] => Ok(Some(Directive::Clear)),
        [b'-', b' ', pattern @ ..] => checked(Rule::new(Action::Exclude, pattern)),
        [b'+', b' ', pattern @ ..] => checked(Rule::new(Action::Include, pattern)),
        pattern => checked(Rule::new(action, pattern)),
    }
}

/// A rule in full syntax, or with no prefix if the defaults of its file say so.
pub(super) fn parse_rule(text: &[u8], defaults: &RuleDefaults) -> Result<Option<Directive>, SyntaxError> {
    if text.is_empty() {
        return Ok(None);
    }
    if let Some(action) = defaults.bare_patterns {
        if defaults.cvs && text == b"!" {
            return Ok(Some(Directive::Clear));
        }
        return checked(defaults.apply(Rule::new(action, text))?);
    }
    let (kind, modifiers_start) = rule_kind(text)?;
    let rest = text.get(modifiers_start..).unwrap_or_default();
    let ended_at = rest.iter().position(|byte| b" _".contains(byte)).unwrap_or(rest.len());
    let (letters, argument) = rest.split_at_checked(ended_at).unwrap_or((rest, &[]));
    let argument = argument.get(1..).unwrap_or_default();
    let modifiers = || (modifiers_start..).zip(letters.iter().copied());
    match kind {
        Kind::Clear if rest.is_empty() => Ok(Some(Directive::Clear)),
        Kind::Clear => Err(SyntaxError::ClearWithPattern),
        // A pattern that follows is not looked at, as in rsync.
        Kind::Match(Action::Exclude, Sides::Unnamed) if letters == b"C" => Ok(Some(Directive::Cvs)),
        Kind::Match(action, sides) => {
            let rule = modified_rule(Rule { sides, ..Rule::new(action, argument) }, modifiers())?;
            checked(defaults.apply(rule)?)
        }
        Kind::Merge | Kind::DirMerge => {
            let (own, not_below) = merge_defaults(modifiers())?;
            let file = match argument {
                [] if own.cvs => CVS_FILE,
                [] => return Err(SyntaxError::MissingPattern),
                named => named,
            };
            let own = own.within(defaults)?;
            Ok(Some(match kind {
                Kind::DirMerge => Directive::DirMerge(DirMerge::new(file, own, not_below)?),
                _ => Directive::Merge(Merge { file: file.to_vec(), kind: FileKind::Rules(own) }),
            }))
        }
    }
}

fn checked(rule: Rule) -> Result<Option<Directive>, SyntaxError> {
    rule.validate()?;
    Ok(Some(Directive::Rule(rule)))
}

#[derive(Clone, Copy)]
enum Kind {
    Match(Action, Sides),
    Merge,
    DirMerge,
    Clear,
}

/// The file of patterns that CVS looks for in each directory.
const CVS_FILE: &[u8] = b".cvsignore";

const KINDS: [(u8, &[u8], Kind); 9] = [
    (b'-', b"exclude", Kind::Match(Action::Exclude, Sides::Unnamed)),
    (b'+', b"include", Kind::Match(Action::Include, Sides::Unnamed)),
    (b'H', b"hide", Kind::Match(Action::Exclude, Sides::Sender)),
    (b'S', b"show", Kind::Match(Action::Include, Sides::Sender)),
    (b'P', b"protect", Kind::Match(Action::Exclude, Sides::Receiver)),
    (b'R', b"risk", Kind::Match(Action::Include, Sides::Receiver)),
    (b'.', b"merge", Kind::Merge),
    (b':', b"dir-merge", Kind::DirMerge),
    (b'!', b"clear", Kind::Clear),
];

/// What the rule is, and where its modifiers begin.
fn rule_kind(text: &[u8]) -> Result<(Kind, usize), SyntaxError> {
    let has_word = |word: &[u8]| {
        text.strip_prefix(word)
            .is_some_and(|rest| matches!(rest, [] | [b' ' | b'_' | b',' | b'\t'..=b'\r', ..]))
    };
    let (kind, name_end) = KINDS
        .iter()
        .find_map(|&(letter, word, kind)| match text.first() {
            Some(&first) if first == letter => Some((kind, 1)),
            _ => has_word(word).then_some((kind, word.len())),
        })
        .ok_or(SyntaxError::UnknownRule)?;
    let comma = usize::from(text.get(name_end) == Some(&b','));
    Ok((kind, name_end.saturating_add(comma)))
}

fn modified_rule(mut rule: Rule, modifiers: impl Iterator<Item = (usize, u8)>) -> Result<Rule, SyntaxError> {
    let named_by_letter = rule.sides != Sides::Unnamed;
    for (position, modifier) in modifiers {
        match modifier {
            b'/' => rule.absolute = true,
            b'!' => rule.negated = true,
            b'p' => rule.perishable = true,
            b's' if !named_by_letter => rule.sides = rule.sides.and(Sides::Sender),
            b'r' if !named_by_letter => rule.sides = rule.sides.and(Sides::Receiver),
            b'x' => rule.xattr = true,
            _ => return Err(SyntaxError::BadModifier { position }),
        }
    }
    Ok(rule)
}

/// What the modifiers of a merge rule say of the rules in its file, and whether these hold in its directory alone.
fn merge_defaults(modifiers: impl Iterator<Item = (usize, u8)>) -> Result<(RuleDefaults, bool), SyntaxError> {
    let mut not_below = false;
    let mut defaults = RuleDefaults::default();
    for (position, modifier) in modifiers {
        match modifier {
            b'-' if defaults.bare_patterns.is_none() => defaults.bare_patterns = Some(Action::Exclude),
            b'+' if defaults.bare_patterns.is_none() => defaults.bare_patterns = Some(Action::Include),
            b'/' => defaults.absolute = true,
            b'p' => defaults.perishable = true,
            b's' => defaults.sides = defaults.sides.and(Sides::Sender),
            b'r' => defaults.sides = defaults.sides.and(Sides::Receiver),
            b'e' => defaults.exclude_self = true,
            b'w' => defaults.split_words = true,
            b'n' => not_below = true,
            // As in rsync it is taken, and says nothing of the rules in the file.
            b'x' => {}
            b'C' if defaults.bare_patterns.is_none() => {
                let RuleDefaults { bare_patterns, split_words, cvs, .. } = RuleDefaults::CVS;
                defaults = RuleDefaults { bare_patterns, split_words, cvs, ..defaults };
                not_below = true;
            }
            _ => return Err(SyntaxError::BadModifier { position }),
        }
    }
    Ok((defaults, not_below))
}
