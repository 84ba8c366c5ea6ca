//! Patterns against a place with files.

use super::*;
use std::path::Path;

fn place(files: &[&str]) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for file in files {
        let at = place.path().join(file);
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::fs::write(at, "").unwrap();
    }
    place
}

/// What a pattern below `place` expands to, without the place.
fn expanded(place: &Path, pattern: &str) -> Vec<String> {
    let prefix = place.join("").to_str().unwrap().to_owned();
    let paths = expand(&[(prefix.clone() + pattern).into_bytes()], Links::Trusted);
    let below = |path: &Vec<u8>| String::from_utf8_lossy(path).strip_prefix(&prefix).unwrap().to_owned();
    paths.iter().map(below).collect()
}

#[test]
fn patterns_match_as_in_a_shell() {
    let place = place(&["a.c", "b.c", "b.h", ".hidden", "[x]", "dir/one", "dir/two", "other/one", "a b"]);
    std::os::unix::fs::symlink("dir", place.path().join("link")).unwrap();
    std::os::unix::fs::symlink("nothing", place.path().join("dangling.c")).unwrap();
    for (pattern, expected) in [
        ("*.c", &["a.c", "b.c", "dangling.c"][..]),
        ("?.[ch]", &["a.c", "b.c", "b.h"]),
        ("[!a].c", &["b.c"]),
        ("*", &["[x]", "a b", "a.c", "b.c", "b.h", "dangling.c", "dir", "link", "other"]),
        (".*", &[".hidden"]),
        (".h*", &[".hidden"]),
        ("*/one", &["dir/one", "link/one", "other/one"]),
        ("d*/*", &["dir/one", "dir/two"]),
        ("*/", &["dir/", "link/", "other/"]),
        ("*/.", &["dir/.", "link/.", "other/."]),
        ("dir/../b.?", &["dir/../b.c", "dir/../b.h"]),
        ("a*b", &["a b"]),
        // What matches nothing stands for itself, and so does what is there as it stands.
        ("*.rs", &["*.rs"]),
        ("[x]", &["[x]"]),
        ("no/such*", &["no/such*"]),
        ("a.c/*", &["a.c/*"]),
        // Without wildcards nothing is looked for.
        ("missing", &["missing"]),
    ] {
        assert_eq!(expanded(place.path(), pattern), expected, "{pattern}");
    }
}

#[test]
fn a_tilde_is_where_the_peer_starts() {
    let argument = |text: &str| expand(&[text.as_bytes().to_vec()], Links::Trusted);
    assert_eq!(argument("~"), [b""]);
    assert_eq!(argument("~/no-such-place/x"), [b"no-such-place/x"]);
    assert_eq!(argument("a~"), [b"a~"]);
    assert_eq!(argument("~user/x"), [b"~user/x"]);
}

#[test]
fn arguments_stay_in_their_order() {
    let place = place(&["x1", "x2", "y"]);
    let paths: Vec<Vec<u8>> = ["y", "x*"]
        .iter()
        .map(|name| place.path().join(name).into_os_string().into_encoded_bytes())
        .collect();
    let names: Vec<Vec<u8>> = expand(&paths, Links::Trusted)
        .iter()
        .filter_map(|path| path.rsplit(|&b| b == b'/').next().map(<[u8]>::to_vec))
        .collect();
    assert_eq!(names, [&b"y"[..], b"x1", b"x2"]);
}
