//! Patterns compiled for checking: what part of a path they look at, and the cheapest test that decides.
//!
//! The three shapes most rules have, a plain name, `*.o` and `foo*`, compile to one comparison; only other wildcards
//! run the [`glob`] matcher.

use crate::tree::filter::glob::{self, Outcome, Token};

/// A path as patterns see it.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    path: &'a [u8],
    name: &'a [u8],
    is_dir: bool,
}

impl<'a> Subject<'a> {
    /// `path` has no leading, trailing or doubled `/`.
    pub(super) fn new(path: &'a [u8], is_dir: bool) -> Self {
        Subject { path, name: last_elements(path, 1).unwrap_or(path), is_dir }
    }
}

/// The part of a path that has to match the pattern, all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The last element.
    Name,
    /// The last so many elements, if there are that many.
    LastElements(usize),
    /// The whole path.
    Whole,
    /// The whole path, or what follows any of its slashes.
    AfterAnySlash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Equals(Box<[u8]>),
    StartsWith(Box<[u8]>),
    EndsWith(Box<[u8]>),
    Glob(Box<[Token]>),
}

/// A pattern ready to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    directories_only: bool,
    part: Part,
    test: Test,
}

impl Pattern {
    /// Compiles a pattern as written in a rule. Any bytes are a pattern; a malformed one matches nothing.
    pub(super) fn compile(written: &[u8]) -> Self {
        let (text, directories_only) = match written {
            [text @ .., b'/'] if !text.is_empty() => (text, true),
            _ => (written, false),
        };
        let wild = text.iter().any(|byte| b"*?[".contains(byte));
        let (text, part) = Part::of(text);
        let test = if wild { Test::wild(text, part) } else { Test::Equals(text.into()) };
        Pattern { directories_only, part, test }
    }

    /// Whether the pattern looks at more than the last element of a path.
    pub(super) fn sees_directories(&self) -> bool {
        self.part != Part::Name
    }

    pub(super) fn matches(&self, subject: Subject<'_>) -> bool {
        if self.directories_only && !subject.is_dir {
            return false;
        }
        match self.part {
            Part::Name => self.test.apply(subject.name, subject.is_dir) == Outcome::Match,
            Part::Whole => self.test.apply(subject.path, subject.is_dir) == Outcome::Match,
            Part::LastElements(count) => last_elements(subject.path, count)
                .is_some_and(|elements| self.test.apply(elements, subject.is_dir) == Outcome::Match),
            Part::AfterAnySlash => self.matches_after_slash(subject),
        }
    }

    fn matches_after_slash(&self, subject: Subject<'_>) -> bool {
        let mut rest = subject.path;
        loop {
            match self.test.apply(rest, subject.is_dir) {
                Outcome::Match => return true,
                Outcome::Hopeless => return false,
                Outcome::Mismatch => {}
            }
            match after_first_slash(rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
    }
}

impl Part {
    /// The part that a pattern (without the `/` that limits it to directories) looks at, and what has to match it.
    ///
    /// rsync looks for slashes and double stars in the text as written, so those in a class or after a backslash count.
    fn of(text: &[u8]) -> (&[u8], Part) {
        let crosses_slashes = |text: &[u8]| text.windows(2).any(|pair| pair == b"**");
        if let Some(anchored) = text.strip_prefix(b"/") {
            return (anchored, Part::Whole);
        }
        if text.starts_with(b"**") {
            let stars = text.iter().take_while(|&&byte| byte == b'*').count();
            // A path counts as beginning with a slash here, so `**/foo` is `foo` at any depth, the top included.
            // A quoted slash is a slash.
            let rest = text.get(stars..).unwrap_or_default();
            return match rest.strip_prefix(b"/").or_else(|| rest.strip_prefix(b"\\/")) {
                Some(rest) if rest.contains(&b'/') || crosses_slashes(rest) => (rest, Part::AfterAnySlash),
                Some(name) => (name, Part::Name),
                None => (text, Part::Whole),
            };
        }
        if crosses_slashes(text) {
            return (text, Part::AfterAnySlash);
        }
        match text.iter().filter(|&&byte| byte == b'/').count() {
            0 => (text, Part::Name),
            slashes => (text, Part::LastElements(slashes.saturating_add(1))),
        }
    }
}

impl Test {
    fn wild(text: &[u8], part: Part) -> Self {
        let tokens = glob::tokenize(text);
        let literal = |tokens: &[Token]| -> Option<Box<[u8]>> {
            tokens
                .iter()
                .map(|token| if let Token::Byte(byte) = token { Some(*byte) } else { None })
                .collect()
        };
        let simple = match tokens.as_slice() {
            // Within one element a star has no slash to stop at.
            [Token::Star, end @ ..] if part == Part::Name => literal(end).map(Test::EndsWith),
            [start @ .., Token::Star] if part == Part::Name => literal(start).map(Test::StartsWith),
            all => literal(all).map(Test::Equals),
        };
        simple.unwrap_or_else(|| Test::Glob(tokens.into()))
    }

    fn apply(&self, text: &[u8], is_dir: bool) -> Outcome {
        let matched = match self {
            Test::Equals(wanted) => text == &**wanted,
            Test::StartsWith(start) => text.starts_with(start),
            Test::EndsWith(end) => text.ends_with(end),
            Test::Glob(tokens) => return glob::matches(tokens, text, is_dir),
        };
        if matched { Outcome::Match } else { Outcome::Mismatch }
    }
}

fn after_first_slash(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().position(|&byte| byte == b'/')?;
    path.get(slash.saturating_add(1)..)
}

/// The last `count` elements of a path, if it has as many.
fn last_elements(path: &[u8], count: usize) -> Option<&[u8]> {
    let mut slashes_left = count;
    for (at, _) in path.iter().enumerate().rev().filter(|&(_, &byte)| byte == b'/') {
        slashes_left = slashes_left.saturating_sub(1);
        if slashes_left == 0 {
            return path.get(at.saturating_add(1)..);
        }
    }
    (slashes_left == 1).then_some(path)
}
