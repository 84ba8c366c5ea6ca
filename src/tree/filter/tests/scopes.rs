//! What holds in a directory, by the files that are there and above.

use crate::tree::RelPath;
use crate::tree::filter::{Directive, FilterError, Origin, Rules, Scope, Side, Text, Verdict, parse_filter};
use std::io;

/// What holds in `dir`, with these rules as options, in a tree that holds these files.
pub(super) fn entered(options: &[&str], files: &[(&str, &str)], dir: &str) -> Result<Scope, FilterError> {
    let mut rules = Rules::new();
    for option in options {
        let directive: Directive = parse_filter(option.as_bytes())?.unwrap();
        rules.add(directive, false, &mut |_: Text<'_>| Err(io::ErrorKind::NotFound.into()))?;
    }
    rules.set_root(b"/home/me/top");
    let mut scope = Scope::from(rules);
    for levels in (1..=scope.levels_above()).rev() {
        let above: String = "../".repeat(levels);
        scope = scope.enter_above(levels, &mut |name| Ok(content(files, &above, name)))?;
    }
    entered_from(scope, files, dir)
}

/// The same, where this holds above the tree.
pub(super) fn entered_from(
    mut scope: Scope,
    files: &[(&str, &str)],
    dir: &str,
) -> Result<Scope, FilterError> {
    let mut path = String::new();
    scope = enter(&scope, files, &path)?;
    for element in dir.split('/').filter(|element| !element.is_empty()) {
        path = if path.is_empty() { element.to_owned() } else { format!("{path}/{element}") };
        scope = enter(&scope, files, &path)?;
    }
    Ok(scope)
}

fn enter(scope: &Scope, files: &[(&str, &str)], path: &str) -> Result<Scope, FilterError> {
    let dir = if path.is_empty() { String::new() } else { format!("{path}/") };
    scope.enter(&RelPath::new(path.as_bytes()).unwrap(), &mut |name| Ok(content(files, &dir, name)))
}

fn content(files: &[(&str, &str)], dir: &str, name: &[u8]) -> Option<Vec<u8>> {
    let path = format!("{dir}{}", String::from_utf8_lossy(name));
    files.iter().find(|(known, _)| *known == path).map(|(_, content)| content.as_bytes().to_vec())
}

/// Which of these paths, each in the directory that is before its last slash, are left out at a side.
fn left_out_at(side: Side, options: &[&str], files: &[(&str, &str)], paths: &str) -> String {
    let is_out = |path: &&str| {
        let dir = path.rsplit_once('/').map_or("", |(dir, _)| dir);
        let scope = entered(options, files, dir).unwrap();
        scope.check(path.as_bytes(), false, side, false) == Verdict::Excluded
    };
    paths.split(' ').filter(is_out).collect::<Vec<_>>().join(" ")
}

fn left_out(options: &[&str], files: &[(&str, &str)], paths: &str) -> String {
    left_out_at(Side::Sender, options, files, paths)
}

#[test]
fn a_file_holds_where_it_is_and_below() {
    let files = [("a/.f", "- x\n- /y\n- b/z\n")];
    let paths = "x y a/x a/y a/b/x a/b/y a/b/z b/z";
    assert_eq!(left_out(&[": .f"], &files, paths), "a/x a/y a/b/x a/b/z");
    assert_eq!(left_out(&[":n .f"], &files, paths), "a/x a/y");
}

#[test]
fn the_nearest_file_comes_first_and_all_stand_in_one_place() {
    let files = [(".f", "- x\n- y\n"), ("a/.f", "+ x\n"), ("a/b/.f", "!\n- z\n")];
    let paths = "x y z a/x a/y a/b/x a/b/y a/b/z";
    assert_eq!(left_out(&[": .f"], &files, paths), "x y a/y a/b/z");
    assert_eq!(left_out(&["- z", ": .f"], &files, paths), "x y z a/y a/b/z");
    assert_eq!(left_out(&["+ y", ": .f", "- x"], &files, paths), "x a/b/x a/b/z");
}

#[test]
fn modifiers_say_how_a_file_is_read() {
    let paths = "x y .f a/x a/.f";
    assert_eq!(left_out(&[":- .f"], &[(".f", "x\n- y\n")], paths), "x a/x");
    assert_eq!(left_out(&[":-w .f"], &[(".f", "x y\n# z")], paths), "x y a/x");
    assert_eq!(left_out(&[":+ .f", "- *"], &[(".f", "x\n")], paths), "y .f a/.f");
    assert_eq!(left_out(&[":e .f"], &[(".f", "- x\n")], paths), "x .f a/x a/.f");
    assert_eq!(left_out(&[":C"], &[(".cvsignore", "y ! x")], paths), "x");
    assert_eq!(left_out(&[":r .f"], &[(".f", "- x\n")], paths), "");
    assert_eq!(left_out_at(Side::Receiver, &[":r .f"], &[(".f", "- x\n")], paths), "x a/x");
    assert_eq!(left_out_at(Side::Receiver, &[":s .f"], &[(".f", "- x\n")], paths), "");
    assert_eq!(left_out(&[": d/.f"], &[("a/d/.f", "- /x\n- d/y\n")], "x a/x a/d/x a/d/y"), "a/x a/d/y");
}

#[test]
fn absolute_patterns_start_at_the_root_of_the_system() {
    let files = [("a/.f", "-/ /home/me/top/a/x\n-/ /y\n")];
    assert_eq!(left_out(&[": .f"], &files, "x a/x a/y"), "a/x");
}

#[test]
fn a_file_may_name_others_which_hold_below_it() {
    let files = [
        ("a/.f", "- 1\n: .g\n- 3\n. more\n"),
        ("a/more", "- 4\n"),
        (".g", "- 5\n"),
        ("a/.g", "- 2\n"),
        ("a/b/.g", "+ 3\n"),
    ];
    assert_eq!(
        left_out(&[": .f"], &files, "1 2 5 a/1 a/2 a/3 a/4 a/5 a/b/1 a/b/2 a/b/3"),
        "a/1 a/2 a/3 a/4 a/b/1 a/b/2"
    );
    // One of a name that is known stays where it is.
    let files = [(".f", ": .f\n- x\n"), ("a/.f", "+ x\n")];
    assert_eq!(left_out(&[": .f", ":n .f"], &files, "x a/x a/b/x"), "x");
}

#[test]
fn files_above_the_top_count_from_where_the_rule_says() {
    let files =
        [("../../../.f", "- 1\n- /home/me/top/a/2\n"), ("../.f", "- 3\n- /top/4\n- /5\n"), (".f", "+ 1\n")];
    let paths = "1 3 4 5 a/1 a/2 a/3 a/4";
    assert_eq!(left_out(&[": .f"], &files, paths), "");
    assert_eq!(left_out(&[": /.f"], &files, paths), "3 4 a/2 a/3");
    assert_eq!(left_out(&[": /home/me/.f"], &files, paths), "3 4 a/3");
    assert_eq!(left_out(&[": /home/me/top/.f"], &files, paths), "");
    assert_eq!(left_out(&[": /elsewhere/.f"], &files, paths), "");
}

#[test]
fn with_delete_excluded_files_protect_nothing_unless_they_say_so() {
    let scope = |line: &str| {
        let rules = entered_rules(": .f").with_delete_excluded();
        enter(&Scope::from(rules), &[(".f", line)], "").unwrap()
    };
    let verdicts =
        |line: &str| [Side::Sender, Side::Receiver].map(|side| scope(line).check(b"x", false, side, false));
    assert_eq!(verdicts("- x"), [Verdict::Excluded, Verdict::Included]);
    assert_eq!(verdicts("P x"), [Verdict::Included, Verdict::Excluded]);
}

fn entered_rules(option: &str) -> Rules {
    let mut rules = Rules::new();
    let directive = parse_filter(option.as_bytes()).unwrap().unwrap();
    rules.add(directive, false, &mut |_: Text<'_>| Err(io::ErrorKind::NotFound.into())).unwrap();
    rules
}

#[test]
fn perishable_rules_do_not_count_where_a_directory_goes() {
    let scope = entered(&[":p .f"], &[(".f", "- x\n")], "").unwrap();
    let verdict = |deleting| scope.check(b"x", false, Side::Receiver, deleting);
    assert_eq!([verdict(false), verdict(true)], [Verdict::Excluded, Verdict::Included]);
}

#[test]
fn what_is_wrong_is_located_and_not_quoted() {
    for (content, message) in [
        ("- fine\nsecret\n", "Filter rule in .f, entry 2"),
        (". nowhere\n", "Reading filter rules from nowhere"),
        (". .f\n", "Reading filter rules from .f: files merge one another more than 32 deep"),
        ("-C\n", "Filter rule in .f, entry 0"),
    ] {
        let error = entered(&[": .f"], &[(".f", content)], "").unwrap_err();
        assert_eq!(error.to_string(), message, "{content}");
    }
    let many: String = (0..100).map(|number| format!(": .{number}\n")).collect();
    assert!(matches!(entered(&[": .f"], &[(".f", &many)], ""), Err(FilterError::TooManyRules)));
}

#[test]
fn nothing_is_shown_nor_deleted_in_a_closed_scope() {
    for side in [Side::Sender, Side::Receiver] {
        for path in [&b"a"[..], b"a/b", b"\xff"] {
            assert_eq!(Scope::closed().check(path, true, side, true), Verdict::Excluded);
        }
    }
}

#[test]
fn it_is_known_which_rule_decided_and_where_it_stands() {
    let files = [("a/.f", "# c\n- x\n. more\n"), ("a/more", "\n+ y\n"), ("../.f", "- z\n")];
    let ruling = |options: &[&str], dir: &str, path: &str| {
        let scope = entered(options, &files, dir).unwrap();
        let ruling = scope.decide(path.as_bytes(), false, Side::Sender, false)?;
        let origin = match ruling.origin {
            Some(Origin::File { file, entry }) => format!("{}:{entry}", String::from_utf8_lossy(&file)),
            Some(Origin::Option(option)) => option.into_owned(),
            None => "?".to_owned(),
        };
        Some((String::from_utf8(ruling.text).unwrap(), origin))
    };
    let told = |text: &str, origin: &str| Some((text.to_owned(), origin.to_owned()));
    assert_eq!(ruling(&[": .f"], "a/b", "a/b/x"), told("- x", "a/.f:2"));
    assert_eq!(ruling(&[": .f"], "a/b", "a/b/y"), told("+ y", "a/more:2"));
    assert_eq!(ruling(&[": /.f"], "a/b", "a/b/z"), told("- z", "/home/me/.f:1"));
    assert_eq!(ruling(&["- x", ": .f"], "a", "a/x"), told("- x", "?"));
    assert_eq!(ruling(&["- x", ": .f"], "", "y"), None);
}
