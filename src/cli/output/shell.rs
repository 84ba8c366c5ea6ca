//! Commands that can be pasted into a shell, whatever names they are about.
//!
//! Nothing that is shown may act on the terminal, nor mean anything to the shell but itself. What POSIX quotes cannot
//! show so is written with `$'...'`, which the shells of today know.

use crate::tree::{Escaped, RelPath};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A word that the shell reads as these bytes.
pub(in crate::cli) fn quoted(word: &OsStr) -> String {
    let bytes = word.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(byte);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && !text.starts_with('=') && bytes.iter().all(is_plain) => {
            text.to_owned()
        }
        Ok(text) if is_harmless(text) => format!("'{}'", text.replace('\'', "'\\''")),
        _ => format!("$'{}'", bytes.iter().map(|byte| escaped(*byte)).collect::<String>()),
    }
}

/// A command line of these words.
pub(in crate::cli) fn command<W: AsRef<OsStr>>(words: impl IntoIterator<Item = W>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| quoted(word.as_ref())).collect();
    words.join(" ")
}

/// The value of `--conflict-for` by which `policy` holds for this path. Bytes that cannot be shown are left open.
pub(in crate::cli) fn conflict_for(path: &RelPath, policy: &str) -> String {
    let bytes = path.as_bytes();
    let has_wildcards = bytes.iter().any(|byte| b"*?[=".contains(byte));
    match std::str::from_utf8(bytes) {
        // Without a wildcard, a pattern is taken as it is.
        Ok(text) if !has_wildcards && text.chars().all(can_be_shown) => format!("/{text}={policy}"),
        _ => {
            let parts = bytes.utf8_chunks().flat_map(|chunk| {
                let valid = chunk.valid().chars().map(literal);
                valid.chain(chunk.invalid().iter().map(|_| "?".to_owned()))
            });
            format!("/{}={policy}", parts.collect::<String>())
        }
    }
}

/// A character as part of a pattern with wildcards.
fn literal(character: char) -> String {
    match character {
        '*' | '?' | '[' | '\\' => format!("\\{character}"),
        // The first one that is followed by a policy would end the pattern.
        '=' => "[=]".to_owned(),
        _ if can_be_shown(character) => character.to_string(),
        _ => "?".repeat(character.len_utf8()),
    }
}

fn can_be_shown(character: char) -> bool {
    is_harmless(character.encode_utf8(&mut [0; 4]))
}

/// Whether text can be shown as it is.
fn is_harmless(text: &str) -> bool {
    Escaped(text.as_bytes()).to_string() == text
}

fn escaped(byte: u8) -> String {
    match byte {
        b'\'' | b'\\' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\{byte:03o}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::twoway::policy::{Policies, Policy};
    use std::process::Command;

    const ODD: &[&[u8]] = &[
        b"notes/a.txt",
        b"a b'c\"d$e`f!g\\h",
        b"a*b?c[d]e\\f",
        b"=x",
        b"x=newer/y=merge=z",
        b"~",
        b"-n",
        b"#;&|<>(){}",
        b"line\nend\x1b[2J",
        b"not \xff utf8 \xc3",
        b"back\\#033",
        "\u{e4}\u{202e}\u{1f600}".as_bytes(),
        b"a\\b",
    ];

    #[test]
    fn a_shell_reads_what_was_meant() {
        for word in ODD {
            let quoted = quoted(OsStr::from_bytes(word));
            assert_eq!(
                Escaped(quoted.as_bytes()).to_string().replace("\\#134", "\\"),
                quoted.replace("\\#134", "\\")
            );
            let output = Command::new("bash").arg("-c").arg(format!("printf %s {quoted}")).output().unwrap();
            assert_eq!(output.stdout, *word, "{quoted}");
        }
    }

    #[test]
    fn simple_words_stay_simple() {
        for (word, expected) in [
            ("nas:notes/", "nas:notes/"),
            ("", "''"),
            ("a b", "'a b'"),
            ("--conflict-for=/a=local", "--conflict-for=/a=local"),
            ("=a", "'=a'"),
            ("it's", "'it'\\''s'"),
            ("a\tb", "$'a\\011b'"),
        ] {
            assert_eq!(quoted(OsStr::new(word)), expected);
        }
        assert_eq!(command(["dsync", "a b"]), "dsync 'a b'");
    }

    #[test]
    fn a_policy_for_a_path_is_one_for_this_path() {
        for path in ODD.iter().copied().chain([&b""[..]]) {
            let path = RelPath::new(path).unwrap();
            let text = conflict_for(&path, "local");
            let policies = Policies { overrides: vec![text.parse().unwrap()], general: Policy::Skip };
            assert_eq!(policies.of(&path), &"local".parse().unwrap(), "{text}");
            assert_eq!(policies.of(&RelPath::new(*b"other").unwrap()), &Policy::Skip, "{text}");
        }
        assert_eq!(conflict_for(&RelPath::new(*b"notes/a.txt").unwrap(), "local"), "/notes/a.txt=local");
    }
}
