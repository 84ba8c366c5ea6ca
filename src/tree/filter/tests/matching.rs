use std::time::{Duration, Instant};

use crate::tree::filter::glob::{matches, tokenize};
use crate::tree::filter::pattern::{Pattern, Subject};

fn hits(pattern: &str, path: &str) -> bool {
    let (path, is_dir) = path.strip_suffix('/').map_or((path, false), |dir| (dir, true));
    Pattern::compile(pattern.as_bytes()).matches(Subject::new(path.as_bytes(), is_dir))
}

/// Paths that end in a slash are directories.
#[test]
fn patterns_against_paths() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        // plain names
        ("foo", &["foo", "a/foo", "foo/", "a/b/foo/"], &["foo/a", "afoo", "a/fooo", "fo"]),
        ("foo/", &["foo/", "a/foo/"], &["foo", "a/foo", "foo/a"]),
        ("/foo", &["foo", "foo/"], &["a/foo", "foo/a"]),
        ("/foo/", &["foo/"], &["foo", "a/foo/"]),
        ("foo/bar", &["foo/bar", "a/foo/bar/"], &["afoo/bar", "foo/a/bar", "bar"]),
        ("/foo/bar", &["foo/bar"], &["a/foo/bar"]),
        ("/", &[], &["a", "a/", "a/b"]),
        ("//", &[], &["a", "a/"]),
        ("foo//", &[], &["foo/", "foo"]),
        // one star, question mark
        ("*", &["a", "a/b", "a/"], &[]),
        ("*/", &["a/", "a/b/"], &["a", "a/b"]),
        ("/*", &["a", "a/"], &["a/b"]),
        ("*.o", &["a.o", "d/a.o", ".o"], &["a.oo", "a.o/b"]),
        ("foo*", &["foo", "foobar", "a/foox"], &["foo/a", "afoo"]),
        ("a*b*c", &["abc", "a1b2c", "x/abbc"], &["ab/c", "abcd"]),
        ("?", &["a", "d/b"], &["ab", "a/bc"]),
        ("foo/*/bar", &["foo/x/bar", "a/foo/x/bar/"], &["foo/bar", "foo/x/y/bar"]),
        ("a?b", &["axb"], &["a/b", "ab"]),
        ("/foo/*.c", &["foo/a.c"], &["foo/b/a.c", "x/foo/a.c"]),
        // two stars
        ("**", &["a", "a/b/c/"], &[]),
        ("/foo/**", &["foo/a", "foo/a/b"], &["foo", "foo/", "a/foo/b"]),
        ("foo/**", &["foo/a", "x/foo/a/b"], &["foo/", "xfoo/a"]),
        ("/foo/**/bar", &["foo/a/bar", "foo/a/b/bar"], &["foo/bar"]),
        ("**/foo", &["foo", "a/foo", "a/b/foo/"], &["afoo", "foo/a"]),
        ("/**/foo", &["a/foo", "a/b/foo"], &["foo"]),
        ("**foo", &["foo", "afoo", "a/bfoo"], &["foo/a"]),
        ("**/a/b", &["a/b", "x/a/b"], &["xa/b"]),
        ("**/*.[ch]", &["a.c", "x/y/b.h"], &["a.o", "a.c/x"]),
        ("a**b", &["ab", "a/b", "x/a/y/b", "axxb"], &["xa/b", "ba"]),
        ("a/**/", &["a/b/", "x/a/b/c/"], &["a/b", "a/"]),
        // a directory and all in it
        ("dir/***", &["dir/", "dir/a", "x/dir/", "x/dir/a/b"], &["dir", "xdir/", "xdir/a"]),
        ("/dir/***", &["dir/", "dir/a/b/"], &["x/dir/", "dir"]),
        ("d*/***", &["dir/", "dir/a", "x/d/a"], &["x/", "x/a"]),
        ("**/d/***", &["d/", "d/a", "x/d/", "x/d/y"], &["d", "xd/"]),
        ("***", &["a", "a/b/"], &[]),
        ("/***", &["a", "a/b/"], &[]),
        // classes
        ("[abc]", &["a", "x/c"], &["d", "ab", "[abc]"]),
        ("[!abc]", &["d", "]"], &["a", "dd"]),
        ("[^a-c]", &["d"], &["b"]),
        ("[]a]", &["]", "a"], &["b"]),
        ("[!]a]", &["b"], &["]", "a"]),
        ("[a-]", &["a", "-"], &["b"]),
        ("[-a]", &["a", "-"], &["b"]),
        ("[+--]", &["+", ",", "-"], &["."]),
        ("[\\]]", &["]"], &["\\"]),
        ("[a\\-c]", &["a", "-", "c"], &["b"]),
        ("[[:alpha:]]x", &["ax", "Zx"], &["1x", "x"]),
        ("[[:digit:]a-c_]", &["7", "b", "_"], &["d", "[", ":"]),
        ("[![:space:]]", &["a"], &[" ", "\t", "\u{b}"]),
        ("[[:upper:][:digit:]]", &["A", "1"], &["a"]),
        ("[[:]", &["[", ":"], &["]"]),
        ("[[:nosuch:]]", &[], &["n", "[:nosuch:]"]),
        ("[abc", &[], &["a", "[abc"]),
        ("[", &[], &["["]),
        ("a[/]b", &[], &["a/b"]),
        ("a[!x]b/c", &["ayb/c"], &["a/b/c"]),
        // backslashes
        ("foo\\bar", &["foo\\bar"], &["foobar"]),
        ("foo\\bar*", &["foobar", "foobarx"], &["foo\\bar"]),
        ("foo\\\\bar*", &["foo\\barx"], &["foobarx"]),
        ("\\*", &["*"], &["a", "\\*"]),
        ("a\\?", &["a?"], &["ab"]),
        ("a*\\", &[], &["a", "a\\"]),
        ("\\[x]", &["[x]"], &["x"]),
    ];
    for (pattern, yes, no) in cases {
        for path in *yes {
            assert!(hits(pattern, path), "{pattern} should match {path}");
        }
        for path in *no {
            assert!(!hits(pattern, path), "{pattern} should not match {path}");
        }
    }
}

#[test]
fn names_that_are_not_utf8() {
    for pattern in [&b"a\xff"[..], b"*\xff", b"a?", b"[a-z][\xf0-\xff]", b"[!b]*", b"a[!\\\xfe]"] {
        assert!(Pattern::compile(pattern).matches(Subject::new(b"d/a\xff", false)), "{pattern:?}");
    }
}

/// Patterns that a matcher with full backtracking would not finish within a lifetime.
#[test]
fn hostile_patterns_stay_cheap() {
    let element = "a".repeat(255);
    let long_path = vec![element.as_str(); 16].join("/");
    let started = Instant::now();
    for pattern in [
        format!("{}b", "*a".repeat(60)),
        format!("{}b", "**a".repeat(60)),
        format!("/{}b", "**a*a".repeat(40)),
        format!("{}b", "**a*a/".repeat(15)),
        format!("x{}", "**/a*".repeat(60)),
        format!("{}/***", "**a*b".repeat(30)),
    ] {
        let tokens = tokenize(pattern.as_bytes());
        matches(&tokens, element.as_bytes(), true);
        matches(&tokens, long_path.as_bytes(), true);
        assert!(!hits(&pattern, &format!("{long_path}/")), "{pattern}");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
}
