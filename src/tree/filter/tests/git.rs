//! Lines of git's files, and where these files count.

use crate::tree::filter::git::GitLines;
use crate::tree::filter::tests::scopes::entered_from;
use crate::tree::filter::{Rules, Scope, Side, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn said(content: &[u8], path: &str, is_dir: bool) -> Option<(Verdict, usize)> {
    GitLines::parse("f", content).unwrap().verdict(path.as_bytes(), is_dir)
}

/// Which of the paths a file with this content leaves out; those with a slash at the end are directories.
fn left_out(content: &str, paths: &str) -> String {
    let is_out = |path: &&str| {
        let name = path.strip_suffix('/');
        let said = said(content.as_bytes(), name.unwrap_or(path), name.is_some());
        said.is_some_and(|(verdict, _)| verdict == Verdict::Excluded)
    };
    paths.split(' ').filter(is_out).collect::<Vec<_>>().join(" ")
}

#[test]
fn lines_mean_what_they_mean_to_git() {
    for (content, paths, out) in [
        ("a", "a b/a ab a/b", "a b/a"),
        ("/a", "a b/a", "a"),
        ("a/b", "a/b c/a/b", "a/b"),
        ("a/", "a a/ b/a/", "a/ b/a/"),
        ("*.o\n!x.o", "y.o x.o d/x.o", "y.o"),
        ("!x\nx", "x", "x"),
        ("**/a", "a b/a b/c/a", "a b/a b/c/a"),
        ("a/**", "a a/ a/b a/b/c", "a/b a/b/c"),
        ("a/**/b", "a/b a/x/b a/x/y/b ab", "a/b a/x/b a/x/y/b"),
        ("a**b/c", "ab/c axb/c a/b/c", "ab/c axb/c"),
        ("a**/c", "ac axc a/c a/b/c ax/b/c", "ac a/c a/b/c ax/b/c"),
        ("a/b**", "a/b a/bc a/bc/d a/c", "a/b a/bc a/bc/d"),
        ("?**b/c", "ab/c a/b/c", "ab/c"),
        ("a?c", "abc a/c", "abc"),
        ("{a,b}", "a b {a,b}", "{a,b}"),
        ("[a-c]x", "ax cx dx", "ax cx"),
        ("[!a]x", "ax bx -x", "bx -x"),
        ("[[:digit:]]", "1 a", "1"),
        ("[]-]", "] - a", "] -"),
        ("[\\]a]", "] a \\", "] a"),
        ("x[/]y", "x/y", ""),
        ("[a", "[a a", ""),
        ("a\\", "a a\\", ""),
        ("\\#a\n\\!b", "#a !b a b", "#a !b"),
        ("#a", "a #a", ""),
        ("a  \nb\\ ", "a b", "a"),
        ("a\r\nb\r", "a b", "a b"),
        ("\u{feff}a", "a", "a"),
        ("\n/\n!\n//\n", "a b/", ""),
        ("**//\na/**//\na//", "a/ a/b/ b", ""),
        ("a**//", "a/ ab/ a/b/ a", "a/"),
        ("ä?", "äx ä xä", "äx"),
        ("a\\*b", "a*b axb", "a*b"),
    ] {
        assert_eq!(left_out(content, paths), out, "{content:?}");
    }
}

#[test]
fn names_are_bytes() {
    let lines = GitLines::parse("f", b"\xff?\n[\xf0-\xf8]b\nx[!a]").unwrap();
    let is_out = |path: &[u8]| lines.verdict(path, false).is_some();
    for path in [&b"\xff\xfe"[..], b"\xffa", b"\xf4b", b"x\xe9"] {
        assert!(is_out(path), "{}", path.escape_ascii());
    }
    for path in [&b"\xff"[..], b"\xff\xc3\xa4", b"\xf9b", "xä".as_bytes(), b"\x1f\x1fb"] {
        assert!(!is_out(path), "{}", path.escape_ascii());
    }
}

#[test]
fn it_is_known_which_line_said_it() {
    let content = b"# c\n\n*.o\na**/x\n!a.o\n";
    assert_eq!(said(content, "b.o", false), Some((Verdict::Excluded, 3)));
    assert_eq!(said(content, "a/b/x", false), Some((Verdict::Excluded, 4)));
    assert_eq!(said(content, "a.o", false), Some((Verdict::Included, 5)));
    assert_eq!(said(content, "c", false), None);
}

/// Which of the paths the files leave out at a side, after these rules.
fn out_at(side: Side, sender_only: bool, options: &[&str], files: &[(&str, &str)], paths: &str) -> String {
    let mut rules = super::rules(options);
    rules.add_git(sender_only).unwrap();
    let is_out = |path: &&str| {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let scope = entered_from(Scope::from(rules.clone()), files, dir).unwrap();
        scope.check(path.as_bytes(), false, side, false) == Verdict::Excluded
    };
    paths.split(' ').filter(is_out).collect::<Vec<_>>().join(" ")
}

#[test]
fn deeper_files_count_for_more_and_rules_before_them() {
    let files = [
        (".gitignore", "x\n/y\nk\n"),
        ("a/.gitignore", "!x\n/z\n"),
        (".git/info/exclude", "w\n!k\n"),
        ("a/.git/info/exclude", "!y\n!w"),
    ];
    let paths = "x y w k a/x a/y a/z a/w a/k b/x b/y b/z";
    assert_eq!(out_at(Side::Sender, false, &[], &files, paths), "x y w k a/z a/k b/x");
    assert_eq!(out_at(Side::Receiver, false, &[], &files, paths), "x y w k a/z a/k b/x");
    assert_eq!(out_at(Side::Sender, false, &["+ x", "- b"], &files, paths), "y w k a/z a/k");
    assert_eq!(out_at(Side::Sender, true, &[], &files, paths), "x y w k a/z a/k b/x");
    assert_eq!(out_at(Side::Receiver, true, &[], &files, paths), "");
}

#[test]
fn what_is_gits_own_is_left_alone() {
    let files = [(".gitignore", "*\n"), (".git/.gitignore", "*\n")];
    let paths = ".git .git/config .git/x/y a/.git a/.git/x .gitx a";
    assert_eq!(out_at(Side::Sender, false, &[], &files, paths), ".gitx a");
}

#[test]
fn files_of_rules_of_the_same_name_stand_beside_them() {
    let mut rules = Rules::new();
    let directive = crate::tree::filter::parse_filter(b":- .gitignore").unwrap().unwrap();
    rules.add(directive, false, &mut |_| Err(std::io::ErrorKind::NotFound.into())).unwrap();
    rules.add_git(false).unwrap();
    let files = [(".gitignore", "a\n!b\n")];
    let scope = entered_from(Scope::from(rules), &files, "").unwrap();
    assert_eq!(scope.check(b"a", false, Side::Sender, false), Verdict::Excluded);
    assert_eq!(scope.check(b"!b", false, Side::Sender, false), Verdict::Excluded);
}

proptest! {
    #[test]
    fn no_line_is_an_error(
        content in vec(prop_oneof![any::<u8>(), select(&b"*?[]!/\\{},-^ \n"[..])], 0..60),
        path in "[a-z*{},!/\\\\]{1,9}",
    ) {
        GitLines::parse("f", &content).unwrap().verdict(path.as_bytes(), false);
    }
}
