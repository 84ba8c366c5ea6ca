//! Files of rules: `--exclude-from`, `--include-from` and merge rules.

use crate::tree::filter::error::{FilterError, SyntaxError};
use crate::tree::filter::parse::{Directive, parse_old_rule, parse_rule};
use crate::tree::filter::rule::{Action, MAX_PATTERN_BYTES, Rule, Sides};
use serde::{Deserialize, Serialize};

/// A file whose rules stand in the place of this directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The file's name as written, `-` for standard input.
    pub file: Vec<u8>,
    /// How to read it.
    pub kind: FileKind,
}

/// A file that may be in any directory, whose rules then stand in the place of this directive there and below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirMerge {
    /// Its name, or a path below the directory.
    pub file: Vec<u8>,
    /// The name began with a slash: it is also looked for above the top of the transfer, from this absolute path on,
    /// which is given without a slash at its ends.
    pub from: Option<Vec<u8>>,
    /// How to read it.
    pub defaults: RuleDefaults,
    /// Modifier `n`: its rules hold in its own directory alone.
    pub not_below: bool,
    /// Rules in it that name no side act on the sender alone (`--delete-excluded`).
    pub sender_only: bool,
    /// What it holds are patterns as git reads them, of which the last that matches decides.
    pub git: bool,
}

impl DirMerge {
    /// Of a file named as in a rule.
    pub(super) fn new(
        named: &[u8],
        defaults: RuleDefaults,
        not_below: bool,
    ) -> Result<DirMerge, SyntaxError> {
        let (file, from) = match named.strip_prefix(b"/") {
            None => (named, None),
            Some(below) => match below.iter().rposition(|&byte| byte == b'/') {
                None => (below, Some(Vec::new())),
                Some(slash) => {
                    let (from, name) = below.split_at_checked(slash).unwrap_or_default();
                    (name.get(1..).unwrap_or_default(), Some(from.to_vec()))
                }
            },
        };
        let merge =
            DirMerge { file: file.to_vec(), from, defaults, not_below, sender_only: false, git: false };
        merge.validate().map(|()| merge)
    }

    /// The files in which git looks for what it leaves out, those first that count for more. What a user has told git
    /// for all work trees is none of them: it would make what is copied differ between users, and between both sides.
    pub(super) fn of_git(sender_only: bool) -> [DirMerge; 2] {
        [&b".gitignore"[..], b".git/info/exclude"].map(|file| DirMerge {
            file: file.to_vec(),
            from: None,
            defaults: RuleDefaults::default(),
            not_below: false,
            sender_only,
            git: true,
        })
    }

    /// Whether it asks for the same files as another: those of the same name, read in the same way.
    pub(super) fn is_like(&self, other: &DirMerge) -> bool {
        self.name() == other.name() && self.git == other.git
    }

    /// Checks what parsing guarantees and decoding does not.
    pub(super) fn validate(&self) -> Result<(), SyntaxError> {
        let paths = [Some(&self.file), self.from.as_ref()];
        match () {
            () if self.file.is_empty() => Err(SyntaxError::MissingPattern),
            () if paths.iter().flatten().any(|path| path.len() > MAX_PATTERN_BYTES) => {
                Err(SyntaxError::PatternTooLong)
            }
            () if paths.iter().flatten().any(|path| path.contains(&0)) => Err(SyntaxError::NulByte),
            () => Ok(()),
        }
    }

    /// The name without the directories above it.
    pub(super) fn name(&self) -> &[u8] {
        self.file.rsplit(|&byte| byte == b'/').next().unwrap_or(&self.file)
    }
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// As by `--exclude-from` or `--include-from`: patterns, each of which may begin with `- ` or `+ `; a lone `!`
    /// clears.
    Patterns(Action),
    /// As by a merge rule: rules in full syntax, unless the defaults ask for bare patterns.
    Rules(RuleDefaults),
}

/// What a merge rule's modifiers say about the rules in its file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDefaults {
    /// Modifiers `-` and `+`: the file holds only patterns, without any prefix.
    pub bare_patterns: Option<Action>,
    /// Modifiers `s` and `r`. Rules in the file then must not name sides themselves.
    pub sides: Sides,
    /// Modifier `/`.
    pub absolute: bool,
    /// Modifier `p`.
    pub perishable: bool,
    /// Modifier `e`: the file's own name is excluded.
    pub exclude_self: bool,
    /// Modifier `w`: rules are parted by white space, and there are no comments.
    pub split_words: bool,
    /// Modifier `C`: although it holds only patterns, a lone `!` clears.
    pub cvs: bool,
}

impl RuleDefaults {
    /// As CVS reads its files: patterns of what is left out, parted by white space.
    pub(super) const CVS: RuleDefaults = RuleDefaults {
        bare_patterns: Some(Action::Exclude),
        sides: Sides::Unnamed,
        absolute: false,
        perishable: false,
        exclude_self: false,
        split_words: true,
        cvs: true,
    };

    /// The rule with the defaults put in.
    pub(super) fn apply(&self, mut rule: Rule) -> Result<Rule, SyntaxError> {
        rule.sides = self.sides_for(rule.sides)?;
        rule.absolute |= self.absolute;
        rule.perishable |= self.perishable;
        Ok(rule)
    }

    /// The defaults of a file merged by a file that has the defaults `outer`.
    pub(super) fn within(mut self, outer: &RuleDefaults) -> Result<RuleDefaults, SyntaxError> {
        self.sides = outer.sides_for(self.sides)?;
        self.absolute |= outer.absolute;
        self.perishable |= outer.perishable;
        Ok(self)
    }

    fn sides_for(&self, named: Sides) -> Result<Sides, SyntaxError> {
        if self.sides != Sides::Unnamed && named != Sides::Unnamed {
            return Err(SyntaxError::SideGivenTwice);
        }
        Ok(self.sides.and(named))
    }
}

/// Parses the content of a file of rules; `file` is its name, for errors. With each rule comes the number of its
/// line, from 1; where rules are parted by blanks, its own.
///
/// Lines end at a line feed or carriage return, with `nul_separated` at a NUL byte. Empty lines and those that begin
/// with `#` or `;` are skipped.
pub fn parse_file(
    file: &[u8],
    content: &[u8],
    kind: FileKind,
    nul_separated: bool,
) -> Result<Vec<(usize, Directive)>, FilterError> {
    let located = |entry| {
        move |source| FilterError::File { file: String::from_utf8_lossy(file).into_owned(), entry, source }
    };
    if let FileKind::Rules(defaults) = kind
        && defaults.split_words
    {
        return parse_words(content, &defaults).map_err(|(entry, source)| located(entry)(source));
    }
    let ends_line = |byte: u8| if nul_separated { byte == 0 } else { matches!(byte, b'\n' | b'\r') };
    let mut directives = Vec::new();
    let mut line_number = 1_usize;
    let mut rest = content;
    loop {
        let end = rest.iter().position(|&byte| ends_line(byte)).unwrap_or(rest.len());
        let (line, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        if !matches!(line, [b'#' | b';', ..]) {
            let parsed = match kind {
                FileKind::Patterns(action) => parse_old_rule(line, action),
                FileKind::Rules(defaults) => parse_rule(line, &defaults),
            };
            let parsed = parsed.map_err(located(line_number))?;
            directives.extend(parsed.map(|directive| (line_number, directive)));
        }
        match after {
            [] => return Ok(directives),
            // The two bytes that end a line on other systems count as one line.
            [b'\r', b'\n', next @ ..] | [_, next @ ..] => rest = next,
        }
        line_number = line_number.saturating_add(1);
    }
}

/// Parses rules parted by white space. The blank between a prefix and its pattern does not part them: a word that is a
/// prefix alone takes the next word as its pattern.
fn parse_words(
    content: &[u8],
    defaults: &RuleDefaults,
) -> Result<Vec<(usize, Directive)>, (usize, SyntaxError)> {
    let is_space = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let mut words = (1_usize..).zip(content.split(is_space).filter(|word| !word.is_empty()));
    let mut directives = Vec::new();
    while let Some((number, word)) = words.next() {
        let parsed = match parse_rule(word, defaults) {
            Err(SyntaxError::MissingPattern) => {
                let (_, pattern) = words.next().ok_or((number, SyntaxError::MissingPattern))?;
                parse_rule(&[word, b" ", pattern].concat(), defaults)
            }
            parsed => parsed,
        };
        let parsed = parsed.map_err(|source| (number, source))?;
        directives.extend(parsed.map(|directive| (number, directive)));
    }
    Ok(directives)
}
