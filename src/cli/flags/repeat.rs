//! The words of a command line without some of its flags, to be said again.

use crate::cli::flags::command;
use crate::cli::flags::negation::takes_value;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Flags that ask to look at a plan or to use one, rather than to make it.
const ABOUT_PLANS: [&str; 3] = ["dry-run", "plan", "apply"];
const DRY_RUN: u8 = b'n';

/// Which flags take a value that may be the next word.
struct Values {
    long: Vec<String>,
    short: Vec<u8>,
}

/// What is left without `--dry-run`, `--plan` and `--apply`.
pub(super) fn without_plan(words: &[OsString]) -> Vec<OsString> {
    let values = Values::known();
    let mut left = Vec::with_capacity(words.len());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        let takes_next = match bytes {
            b"--" => {
                left.push(word.clone());
                left.extend(words.by_ref().cloned());
                break;
            }
            [b'-', b'-', flag @ ..] => {
                let name = flag.split(|byte| *byte == b'=').next().unwrap_or_default();
                let takes_next = name == flag && values.long.iter().any(|long| long.as_bytes() == name);
                if ABOUT_PLANS.iter().any(|about| about.as_bytes() == name) {
                    if takes_next {
                        words.next();
                    }
                    continue;
                }
                left.push(word.clone());
                takes_next
            }
            [b'-', letters @ ..] if !letters.is_empty() => {
                let valued = letters.iter().position(|letter| values.short.contains(letter));
                let (switches, value) =
                    letters.split_at_checked(valued.unwrap_or(letters.len())).unwrap_or_default();
                let kept: Vec<u8> = switches.iter().copied().filter(|letter| *letter != DRY_RUN).collect();
                if !(kept.is_empty() && value.is_empty()) {
                    left.push(OsStr::from_bytes(&[b"-", &kept[..], value].concat()).to_owned());
                }
                value.len() == 1
            }
            _ => {
                left.push(word.clone());
                false
            }
        };
        if takes_next {
            left.extend(words.next().cloned());
        }
    }
    left
}

impl Values {
    fn known() -> Values {
        let command = command();
        let mut values = Values { long: Vec::new(), short: Vec::new() };
        for flag in command.get_arguments().filter(|arg| !arg.is_positional()) {
            if takes_value(flag) && !flag.is_require_equals_set() {
                let aliases = flag.get_all_aliases().unwrap_or_default();
                values.long.extend(flag.get_long().into_iter().chain(aliases).map(str::to_owned));
                values.short.extend(flag.get_short().and_then(|short| u8::try_from(short).ok()));
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_plans_goes() {
        for (line, expected) in [
            ("-2 a b", "-2 a b"),
            ("-2n a b", "-2 a b"),
            ("-n -2 --dry-run a b", "-2 a b"),
            ("-2vne ssh a b -n", "-2ve ssh a b"),
            ("-2 -e -n a b", "-2 -e -n a b"),
            ("-2 -B4n a b", "-2 -B4n a b"),
            ("--exclude -n -2 --exclude=-n a b", "--exclude -n -2 --exclude=-n a b"),
            ("--plan=x --plan y --apply z --apply=n -2 a b", "-2 a b"),
            ("-2 -z -n --compress -n a b", "-2 -z --compress a b"),
            ("-2 -- -n --plan", "-2 -- -n --plan"),
            ("-2 - b", "-2 - b"),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(without_plan(&words).join(OsStr::new(" ")), OsStr::new(expected), "{line}");
        }
    }
}
