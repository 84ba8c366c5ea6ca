//! Whether the host field of a line means a host.

use aws_lc_rs::hmac;
use russh::keys::ssh_key::known_hosts::HostPatterns;

/// Whether `hosts` is about `name`, which is in lower case.
///
/// In a list of patterns one must match and no negated one may. A hashed name must be the very name.
pub(super) fn matches(hosts: &HostPatterns, name: &str) -> bool {
    match hosts {
        HostPatterns::HashedName { salt, hash } => hashed(salt, name) == Some(*hash),
        HostPatterns::Patterns(patterns) => {
            let mut found = false;
            for pattern in patterns {
                let pattern = pattern.to_lowercase();
                match pattern.strip_prefix('!') {
                    Some(negated) if glob(negated, name) => return false,
                    Some(_) => {}
                    None => found |= glob(&pattern, name),
                }
            }
            found
        }
    }
}

/// Returns the HMAC-SHA1 that stands for a hashed host name.
pub(super) fn hashed(salt: &[u8], name: &str) -> Option<[u8; 20]> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
    hmac::sign(&key, name.as_bytes()).as_ref().try_into().ok()
}

/// Whether `pattern`, in which `*` stands for any text and `?` for one character, matches all of `name`.
///
/// On a mismatch only the last `*` is widened, so the time is at most the product of the lengths.
pub(in crate::transport::ssh) fn glob(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.as_bytes(), name.as_bytes());
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern, name) {
            ([b'*', after @ ..], _) => {
                pattern = after;
                retry = Some((after, name));
            }
            ([want, after @ ..], [have, rest @ ..]) if *want == b'?' || want == have => {
                (pattern, name) = (after, rest);
            }
            ([], []) => return true,
            _ => match retry {
                Some((after, [_, rest @ ..])) => {
                    (pattern, name) = (after, rest);
                    retry = Some((after, rest));
                }
                _ => return false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let cases = [
            ("host", "host", true),
            ("host", "hosts", false),
            ("*", "", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("h?st", "host", true),
            ("h?st", "hst", false),
            ("a*b*c", "axxbyybzc", true),
            ("a*b*c", "axxbyybz", false),
            ("[*.example.com]:2200", "[a.example.com]:2200", true),
            ("[a]", "a", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(glob(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn many_stars_stay_cheap() {
        assert!(!glob(&"*a".repeat(200), &"a".repeat(20_000).replace("aa", "ab")));
    }
}
