//! The texts of symbolic links: which of them may lead out of a tree, and how one is made useless without being lost.
//!
//! A text is judged by itself, without a look at what it leads to, which may be another thing a moment later.

/// What munged links begin with: a directory that is not there, so that they lead nowhere. rsync's name for it.
const MUNGED: &[u8] = b"/rsyncd-munged/";

/// Whether a symbolic link may lead out of the transfer, in which `depth` directories are above it.
///
/// It may if its text is absolute or empty, if it rises above the top, or if a `..` comes after a name, since where
/// that leads depends on what the name is.
pub fn leads_outside(target: &[u8], depth: usize) -> bool {
    if target.is_empty() || target.starts_with(b"/") {
        return true;
    }
    let mut rest = target;
    let mut risen = 0usize;
    while let Some(after) =
        rest.strip_prefix(b"..").filter(|after| matches!(after.first(), None | Some(b'/')))
    {
        risen = risen.saturating_add(1);
        rest = after;
        while let Some(after) = rest.strip_prefix(b"/") {
            rest = after;
        }
    }
    risen > depth || rest.split(|&byte| byte == b'/').any(|element| element == b"..")
}

/// The text of a link that leads nowhere, from which the other is got back.
pub fn munged(target: &[u8]) -> Box<[u8]> {
    [MUNGED, target].concat().into()
}

/// The text that was munged; one that was not is as it is.
pub fn unmunged(target: &[u8]) -> &[u8] {
    target.strip_prefix(MUNGED).unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_texts_that_stay_inside_are_safe() {
        for (target, depth, outside) in [
            ("a", 0, false),
            ("a/b/c", 0, false),
            ("./a", 0, false),
            ("...", 0, false),
            ("..a/b", 0, false),
            ("", 5, true),
            ("/", 5, true),
            ("/a", 5, true),
            ("..", 0, true),
            ("..", 1, false),
            ("../", 0, true),
            ("../a", 0, true),
            ("../a", 1, false),
            ("../../a", 1, true),
            ("../../a", 2, false),
            ("..//..//a", 1, true),
            ("..//..//a", 2, false),
            ("../..", 1, true),
            ("../..", 2, false),
            ("a/..", 3, true),
            ("a/../b", 3, true),
            ("../a/../b", 3, true),
            ("./../a", 3, true),
            ("a/...", 0, false),
        ] {
            assert_eq!(leads_outside(target.as_bytes(), depth), outside, "{target:?} at {depth}");
        }
    }

    #[test]
    fn a_munged_link_leads_nowhere_and_comes_back() {
        for target in [&b"a"[..], b"/etc", b"../x", b""] {
            let text = munged(target);
            assert!(leads_outside(&text, 9));
            assert_eq!(unmunged(&text), target);
        }
        assert_eq!(unmunged(b"plain"), b"plain");
    }
}
