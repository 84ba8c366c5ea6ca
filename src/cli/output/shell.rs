//! Commands that can be pasted into a shell, whatever names they are about.
//!
//! Nothing that is shown may act on the terminal, nor mean anything to the shell but itself. What POSIX quotes cannot
//! show so is written with `$'...'`, which the shells of today know.

use crate::tree::{Escaped, RelPath};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

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

/// The word of a command by which `policy` holds for this path, and for no other but what is below it.
pub(in crate::cli) fn conflict_for(path: &RelPath, policy: &str) -> OsString {
    let bytes = path.as_bytes();
    let mut word = b"--conflict-for=/".to_vec();
    // Without a wildcard, a pattern is taken as it is.
    match bytes.iter().any(|byte| b"*?[=".contains(byte)) {
        true => bytes.iter().for_each(|byte| literal(*byte, &mut word)),
        false => word.extend_from_slice(bytes),
    }
    word.push(b'=');
    word.extend_from_slice(policy.as_bytes());
    OsString::from_vec(word)
}

/// Appends a byte as part of a pattern with wildcards.
fn literal(byte: u8, pattern: &mut Vec<u8>) {
    match byte {
        b'*' | b'?' | b'[' | b'\\' => pattern.extend_from_slice(&[b'\\', byte]),
        // The first one that is followed by a policy would end the pattern.
        b'=' => pattern.extend_from_slice(b"[=]"),
        _ => pattern.push(byte),
    }
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
    use crate::twoway::policy::{Override, Policies, Policy};
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
        b"a\nb",
        b"a\tb",
        b"a\xffb",
        b"a*b",
        b"a?b",
        b"a=b",
        b"a[=]b",
        b"a\\*b",
        b"a-b",
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
            let word = conflict_for(&path, "local");
            let text = word.as_bytes().strip_prefix(b"--conflict-for=").unwrap();
            let policies =
                Policies { overrides: vec![Override::parse(text).unwrap()], general: Policy::Skip };
            assert_eq!(policies.of(&path), &"local".parse().unwrap(), "{word:?}");
            for other in ODD.iter().map(|other| RelPath::new(*other).unwrap()) {
                let is_meant = policies.of(&other) != &Policy::Skip;
                assert_eq!(is_meant, other == path, "{word:?} {other}");
            }
        }
        let plain = conflict_for(&RelPath::new(*b"notes/a.txt").unwrap(), "local");
        assert_eq!(plain, "--conflict-for=/notes/a.txt=local");
    }
}
