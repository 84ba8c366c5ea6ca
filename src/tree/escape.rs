//! How bytes from a file system or a peer are shown to a person.

use std::fmt::{self, Write};

/// Displays a name or path so that it cannot act on a terminal or forge a log line: control characters, bytes that
/// are not UTF-8 and a backslash that would read as an escape appear as `\#ooo` (three octal digits), as rsync
/// prints them.
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(f, self.0, true)
    }
}

/// Displays a sentence in which names were [`Escaped`] where it was made, so that what else is in it cannot act on a
/// terminal either. What reads as an escape stays as it is.
pub struct Sentence<'a>(pub &'a [u8]);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_bytes(f, self.0, false)
    }
}

fn write_bytes(f: &mut fmt::Formatter<'_>, mut rest: &[u8], tells_forged: bool) -> fmt::Result {
    while !rest.is_empty() {
        let (valid, after) = match std::str::from_utf8(rest) {
            Ok(text) => (text, &[][..]),
            Err(error) => {
                let (head, tail) = rest.split_at(error.valid_up_to());
                (std::str::from_utf8(head).unwrap_or_default(), tail)
            }
        };
        write_text(f, valid, tells_forged)?;
        rest = match after.split_first() {
            Some((&byte, tail)) => {
                write!(f, "\\#{byte:03o}")?;
                tail
            }
            None => after,
        };
    }
    Ok(())
}

fn write_text(f: &mut fmt::Formatter<'_>, text: &str, tells_forged: bool) -> fmt::Result {
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let forged = tells_forged && c == '\\' && chars.peek() == Some(&'#');
        // Bidirectional overrides and other format characters reorder what a person reads.
        let format = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || forged || format {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                write!(f, "\\#{byte:03o}")?;
            }
        } else {
            f.write_char(c)?;
        }
    }
    Ok(())
}

/// The bytes that [`Escaped`] showed as `text`. `None` if an escape in it is malformed.
pub fn unescaped(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split("\\#");
    let mut bytes = Vec::from(parts.next()?.as_bytes());
    for part in parts {
        let (escape, rest) = part.split_at_checked(3)?;
        if !escape.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(escape, 8).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes() {
        for (bytes, shown) in [
            (&b"plain name"[..], "plain name"),
            ("ünï".as_bytes(), "ünï"),
            (b"a\nb", "a\\#012b"),
            (b"\x1b[2J", "\\#033[2J"),
            (b"\xff.", "\\#377."),
            (b"a\\b", "a\\b"),
            (b"a\\#012", "a\\#134#012"),
            (b"\xc2\x9b", "\\#302\\#233"),
            ("x\u{202e}y".as_bytes(), "x\\#342\\#200\\#256y"),
        ] {
            assert_eq!(Escaped(bytes).to_string(), shown);
            assert_eq!(unescaped(shown).unwrap(), bytes);
        }
    }

    #[test]
    fn malformed_escapes_are_refused() {
        for text in ["\\#", "\\#12", "\\#999", "\\#+12", "\\#00é", "\\#400"] {
            assert_eq!(unescaped(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(unescaped(&Escaped(&bytes).to_string()), Some(bytes));
        }

        #[test]
        fn so_can_what_looks_like_escapes(text in "[\\\\#01]{0,12}") {
            prop_assert_eq!(unescaped(&Escaped(text.as_bytes()).to_string()), Some(text.into_bytes()));
        }
    }
}
