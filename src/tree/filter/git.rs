//! Files of patterns as git reads them (`--gitignore`), matched by the `ignore` crate.
//!
//! Where that crate serves ripgrep, it parts from git: braces hold alternatives, classes know no kinds and no quoted
//! members, a slash may be one of them, patterns are text. So a line is read here as git reads it, byte by byte, and
//! handed to the crate in a form that both take for the same: all bytes that could mean something to it stand for
//! themselves only as three others, in patterns and in paths alike.
//!
//! No line is an error, as in git: what is malformed matches nothing.

use crate::tree::filter::class::{ByteSet, parse_class};
use crate::tree::filter::error::FilterError;
use crate::tree::filter::rules::{MAX_RULES, Verdict};
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::iter;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The name of what belongs to git itself, about which its rules say nothing.
const OWN: &[u8] = b".git";

/// The lines of one file.
#[derive(Debug)]
pub(super) struct GitLines {
    lines: Gitignore,
    content: Vec<u8>,
}

impl GitLines {
    /// Reads the content of a file; `file` is its name, for errors.
    ///
    /// # Errors
    /// It has too many lines, or they are too much to be matched.
    pub(super) fn parse(file: &str, content: &[u8]) -> Result<GitLines, FilterError> {
        let too_much = || FilterError::TooMuch { file: file.to_owned() };
        let mut builder = GitignoreBuilder::new("");
        for (number, line) in (1_usize..).zip(lines(content)) {
            if number > MAX_RULES {
                return Err(too_much());
            }
            for form in forms(line) {
                // The crate keeps with a pattern where it comes from: that is the number of its line.
                builder.add_line(Some(number.to_string().into()), &form).map_err(|_| too_much())?;
            }
        }
        Ok(GitLines { lines: builder.build().map_err(|_| too_much())?, content: content.to_vec() })
    }

    /// What the last line says that matches a path, which is relative to the directory of the file, and its number.
    pub(super) fn verdict(&self, path: &[u8], is_dir: bool) -> Option<(Verdict, usize)> {
        let encoded = encoded(path);
        let (verdict, glob) = match self.lines.matched(Path::new(OsStr::from_bytes(&encoded)), is_dir) {
            Match::None => return None,
            Match::Ignore(glob) => (Verdict::Excluded, glob),
            Match::Whitelist(glob) => (Verdict::Included, glob),
        };
        let number = glob.from().and_then(|from| from.to_str()?.parse().ok());
        Some((verdict, number.unwrap_or_default()))
    }

    /// The line of a number, as it is written.
    pub(super) fn line(&self, number: usize) -> &[u8] {
        lines(&self.content).nth(number.saturating_sub(1)).unwrap_or_default()
    }
}

/// Whether a path is or leads through what belongs to git.
pub(super) fn is_own(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').any(|element| element == OWN)
}

/// The lines that say something, and blank ones in place of the others.
fn lines(content: &[u8]) -> impl Iterator<Item = &[u8]> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    content.split(|&byte| byte == b'\n').map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = line.split(|&byte| byte == 0).next().unwrap_or_default();
        if line.starts_with(b"#") { b"" } else { without_blanks(line) }
    })
}

/// A line without the blanks at its end, but for one that a backslash quotes.
fn without_blanks(line: &[u8]) -> &[u8] {
    let (mut end, mut quoted) = (0, false);
    for (at, &byte) in (1..).zip(line) {
        if byte != b' ' || quoted {
            end = at;
        }
        quoted = byte == b'\\' && !quoted;
    }
    line.get(..end).unwrap_or(line)
}

/// Whether a byte stands for itself, to the crate as well.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/.-_+~@%=:".contains(&byte)
}

/// What begins a byte that does not, and is no part of what follows: so no wildcard matches half of one unseen.
const LEAD: u8 = 1;

/// What a byte becomes.
fn code(byte: u8) -> impl Iterator<Item = u8> {
    let (first, rest) = match is_plain(byte) {
        true => (byte, None),
        false => (LEAD, Some([0x10 | (byte >> 4), 0x10 | (byte & 0xf)])),
    };
    iter::once(first).chain(rest.into_iter().flatten())
}

fn encoded(path: &[u8]) -> Cow<'_, [u8]> {
    match path.iter().all(|&byte| is_plain(byte)) {
        true => Cow::Borrowed(path),
        false => Cow::Owned(path.iter().flat_map(|&byte| code(byte)).collect()),
    }
}

/// The lines for the crate that together say what a line says; none, if that matches nothing.
fn forms(line: &[u8]) -> Vec<String> {
    let (not, rest) = line.strip_prefix(b"!").map_or(("", line), |rest| ("!", rest));
    let (text, only_dirs) = rest.strip_suffix(b"/").map_or((rest, ""), |text| (text, "/"));
    let (text, anchor) = match text.contains(&b'/') {
        true => (text.strip_prefix(b"/").unwrap_or(text), "/"),
        false => (text, ""),
    };
    let bodies = Forms::of(text, anchor.is_empty()).unwrap_or_default().into_iter();
    // No path is empty or ends in a slash.
    let bodies = bodies.filter(|body| !body.is_empty() && !body.ends_with('/'));
    bodies.map(|body| format!("{not}{anchor}{body}{only_dirs}")).collect()
}

/// What a pattern becomes: more than one where the crate has no single word for it.
struct Forms(Vec<String>);

impl Forms {
    /// The forms of a pattern for a name, or for a path; `None` if it is malformed or matches nothing.
    fn of(text: &[u8], is_name: bool) -> Option<Vec<String>> {
        let mut forms = Forms(vec![String::new()]);
        let mut rest = text;
        let mut previous = b'/';
        let mut is_literal = true;
        while let [byte, after @ ..] = rest {
            let after = match (byte, after) {
                (b'*', _) => {
                    let stars = rest.iter().take_while(|&&byte| byte == b'*').count();
                    let after = rest.get(stars..).unwrap_or_default();
                    // As in git, which is done with a literal start before it looks at the first wildcard.
                    let crosses = stars > 1 && !is_name && (is_literal || previous == b'/');
                    if crosses {
                        forms.double_star(previous == b'/', after)
                    } else {
                        forms.push("*");
                        after
                    }
                }
                (b'?', _) => {
                    forms.push(&any());
                    after
                }
                (b'[', _) => {
                    let (set, after) = parse_class(after)?;
                    forms.push(&class(&set)?);
                    after
                }
                (b'\\', [quoted, after @ ..]) => {
                    forms.literal(*quoted);
                    after
                }
                (b'\\', []) => return None,
                (&byte, after) => {
                    forms.literal(byte);
                    after
                }
            };
            is_literal &= !b"*?[\\".contains(byte);
            let taken = rest.len().saturating_sub(after.len());
            previous = rest.get(taken.saturating_sub(1)).copied().unwrap_or_default();
            rest = after;
        }
        Some(forms.0)
    }

    fn push(&mut self, text: &str) {
        self.0.iter_mut().for_each(|form| form.push_str(text));
    }

    fn literal(&mut self, byte: u8) {
        self.push(&code(byte).map(char::from).collect::<String>());
    }

    /// Goes on in either way.
    fn fork(&mut self, ways: [&str; 2]) {
        let on = |form: &String| ways.map(|way| format!("{form}{way}"));
        self.0 = self.0.iter().flat_map(on).collect();
    }

    /// Two stars or more that may cross slashes, if these come next or nothing does. Returns what comes after them, and
    /// after the slash that they took in.
    ///
    /// That they may do so behind a literal start of a pattern, too, is a quirk of git.
    fn double_star<'a>(&mut self, begins_element: bool, after: &'a [u8]) -> &'a [u8] {
        match (after, begins_element) {
            ([], true) => self.push("**"),
            ([], false) => self.fork(["*", "*/**"]),
            ([b'/', after @ ..], true) => {
                self.push("**/");
                return after;
            }
            ([b'/', after @ ..], false) => {
                self.fork(["", "*/**/"]);
                return after;
            }
            // A quoted slash is not one that they may do without.
            ([b'\\', b'/', after @ ..], begins_element) => {
                self.push(if begins_element { "**/*/" } else { "*/**/" });
                return after;
            }
            _ => self.push("*"),
        }
        after
    }
}

/// Any one byte but a slash.
fn any() -> String {
    format!(
        "{{{},{}??}}",
        one_of((0..=u8::MAX).filter(|&byte| is_plain(byte) && byte != b'/')),
        char::from(LEAD)
    )
}

/// Any one byte of a set; `None` if there is none.
fn class(set: &ByteSet) -> Option<String> {
    let members = || (0..=u8::MAX).filter(|&byte| byte != b'/' && set.contains(byte));
    let coded = members().filter(|&byte| !is_plain(byte));
    let mut ways: Vec<String> = coded.map(|byte| code(byte).map(char::from).collect()).collect();
    if members().any(is_plain) {
        ways.push(one_of(members().filter(|&byte| is_plain(byte))));
    }
    if ways.is_empty() { None } else { Some(format!("{{{}}}", ways.join(","))) }
}

/// A class of plain bytes. A `-` stands first, where it is no range.
fn one_of(members: impl Iterator<Item = u8> + Clone) -> String {
    let hyphen = members.clone().filter(|&byte| byte == b'-');
    let all = hyphen.chain(members.filter(|&byte| byte != b'-'));
    format!("[{}]", all.map(char::from).collect::<String>())
}
