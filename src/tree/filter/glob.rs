//! Wildcard matching over bytes: `*` and `?` stop at `/`, `**` does not, `[...]` matches one byte other than `/`.
//!
//! The matcher keeps one place to return to for the last `*` and one for the last `**`. That is enough: a later start
//! of an earlier wildcard reaches nothing the last one cannot. A `*` therefore costs at most its path element times
//! the pattern, and a `**` one such attempt for each byte of the path; nothing is exponential.

use crate::tree::filter::class::{ByteSet, parse_class};

/// One step of a wildcard pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// This byte.
    Byte(u8),
    /// `?`: any byte but `/`.
    NotSlash,
    /// `[...]`.
    Class(Box<ByteSet>),
    /// `*`: any number of bytes other than `/`.
    Star,
    /// `**` or more stars: any number of bytes.
    DoubleStar,
    /// A final `/***`: the end of the path of a directory, or a slash and anything.
    SelfAndContents,
    /// A malformed end of the pattern, which matches nothing.
    Never,
}

impl Token {
    fn accepts(&self, byte: u8) -> bool {
        match self {
            Token::Byte(wanted) => *wanted == byte,
            Token::NotSlash => byte != b'/',
            Token::Class(set) => set.contains(byte),
            Token::Star | Token::DoubleStar | Token::SelfAndContents | Token::Never => false,
        }
    }
}

/// How an attempt to match ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The pattern matches the whole text.
    Match,
    /// It does not.
    Mismatch,
    /// It does not, and it matches no later part of the text either: the text ran out before the pattern did.
    Hopeless,
}

/// Splits a wildcard pattern into tokens. A backslash quotes the byte after it.
pub(super) fn tokenize(pattern: &[u8]) -> Vec<Token> {
    let mut tokens = Vec::with_capacity(pattern.len());
    let mut rest = pattern;
    while let [first, after @ ..] = rest {
        let (token, after) = match (first, after) {
            (b'*', [b'*', ..]) => {
                let stars = after.iter().take_while(|&&byte| byte == b'*').count();
                (Token::DoubleStar, after.get(stars..).unwrap_or_default())
            }
            (b'*', _) => (Token::Star, after),
            (b'?', _) => (Token::NotSlash, after),
            (b'[', _) => match parse_class(after) {
                Some((set, after)) => (Token::Class(Box::new(set)), after),
                None => (Token::Never, [].as_slice()),
            },
            (b'\\', [quoted, after @ ..]) => (Token::Byte(*quoted), after),
            (b'\\', []) => (Token::Never, after),
            (byte, _) => (Token::Byte(*byte), after),
        };
        tokens.push(token);
        rest = after;
    }
    if pattern.ends_with(b"***") && tokens.ends_with(&[Token::Byte(b'/'), Token::DoubleStar]) {
        tokens.truncate(tokens.len().saturating_sub(2));
        tokens.push(Token::SelfAndContents);
    }
    tokens
}

/// A point to resume from: the token after a wildcard, and where in the text it is to be tried.
#[derive(Clone, Copy)]
struct Resume {
    token: usize,
    text: usize,
}

/// Matches all of `text`, the path, or the end of the path, of a directory or of something else.
pub(super) fn matches(tokens: &[Token], text: &[u8], is_dir: bool) -> Outcome {
    let mut here = Resume { token: 0, text: 0 };
    let mut star: Option<Resume> = None;
    let mut double_star: Option<Resume> = None;
    loop {
        match (tokens.get(here.token), text.get(here.text)) {
            (None, None) | (Some(Token::SelfAndContents), Some(b'/')) => return Outcome::Match,
            (Some(Token::SelfAndContents), None) if is_dir => return Outcome::Match,
            (Some(Token::DoubleStar), _) => {
                here.token += 1;
                if here.token == tokens.len() {
                    return Outcome::Match;
                }
                (star, double_star) = (None, Some(here));
                continue;
            }
            (Some(Token::Star), _) => {
                here.token += 1;
                star = Some(here);
                continue;
            }
            (Some(token), Some(&byte)) if token.accepts(byte) => {
                here = Resume { token: here.token + 1, text: here.text + 1 };
                continue;
            }
            (Some(_), None) => return Outcome::Hopeless,
            (_, Some(_)) => {}
        }
        let longer = |from: Resume| Resume { text: from.text + 1, ..from };
        if let Some(last) = star.filter(|last| text.get(last.text).is_some_and(|&byte| byte != b'/')) {
            here = longer(last);
            star = Some(here);
        } else if let Some(last) = double_star {
            here = longer(last);
            (star, double_star) = (None, Some(here));
        } else {
            return Outcome::Mismatch;
        }
    }
}
