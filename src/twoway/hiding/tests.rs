use super::*;
use crate::fs::{Links, Root};
use crate::tree::filter::{Directive, parse_filter};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// The rules of these options.
fn rules(options: &[&str]) -> Rules {
    let mut rules = Rules::new();
    for option in options {
        match *option {
            "--gitignore" => rules.add_git(false).unwrap(),
            rule => {
                let directive: Directive = parse_filter(rule.as_bytes()).unwrap().unwrap();
                rules.add(directive, false, &mut |_| unreachable!()).unwrap();
            }
        }
    }
    rules
}

fn path(path: &str) -> RelPath {
    RelPath::new(path.as_bytes()).unwrap()
}

/// A tree with these files, each with its content; those whose name ends in a slash are directories.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let at = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let file = at.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(file).unwrap();
        } else {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
    }
    at
}

/// The files of rules of a tree, and where there was trouble with them.
fn found(rules: &Rules, at: &Path) -> (RuleFiles, Vec<String>) {
    let root = Root::open(at.as_os_str(), Links::default()).unwrap();
    let mut troubles = Vec::new();
    let mut trouble = |path: &RelPath, error| troubles.push(format!("{path}: {error}"));
    let name = at.to_str().unwrap().as_bytes();
    let files = gather(root.dir(), (rules, name), &AtomicBool::new(false), &mut trouble).unwrap();
    (files, troubles)
}

/// Which of these paths take no part; those that end in a slash are directories.
fn hidden<'p>(hiding: Hiding, paths: &[&'p str]) -> Vec<&'p str> {
    let mut cursor = Arc::new(hiding).cursor();
    let hides = |named: &&&str| {
        let is_directory = named.ends_with('/');
        cursor.hides(&path(named.trim_end_matches('/')), is_directory)
    };
    paths.iter().filter(hides).copied().collect()
}

#[test]
fn what_either_side_leaves_out_takes_no_part() {
    let rules = rules(&["--gitignore", "- *.tmp"]);
    let left = tree(&[
        (".gitignore", "*.o\n/out\n"),
        ("sub/.gitignore", "!keep.o\n*.log\n"),
        ("out/.gitignore", "!*"),
    ]);
    let right = tree(&[("sub/.gitignore", "secret\n"), ("sub/deep/.gitignore", "/here\n")]);
    let files = [&left, &right].map(|side| found(&rules, side.path()));
    assert!(files.iter().all(|(_, troubles)| troubles.is_empty()));
    let [left, right] = files.map(|(files, _)| files);
    let paths = [
        "a",
        "a.o",
        "a.tmp",
        "out/",
        "out/x",
        "keep.o",
        "sub/keep.o",
        "sub/a.o",
        "sub/a.log",
        "sub/deep/a.log",
        "sub/deep/here",
        "sub/here",
        "sub/secret/",
        "sub/secret/a",
        "secret",
    ];
    let by_left = ["a.o", "a.tmp", "out/", "out/x", "keep.o", "sub/a.o", "sub/a.log", "sub/deep/a.log"];
    assert_eq!(hidden(Hiding::new(&rules, [left.clone()]), &paths), by_left);
    let by_both =
        by_left.into_iter().chain(["sub/deep/here", "sub/secret/", "sub/secret/a"]).collect::<Vec<_>>();
    assert_eq!(hidden(Hiding::new(&rules, [left.clone(), right.clone()]), &paths), by_both);
    let digest = |sides: [&RuleFiles; 2]| Hiding::new(&rules, sides.into_iter().cloned()).digest();
    assert_eq!(digest([&left, &right]), digest([&right, &left]));
    assert_eq!(digest([&left, &left]), Hiding::new(&rules, [left.clone()]).digest());
    assert_ne!(digest([&left, &right]), digest([&left, &left]));
}

#[test]
fn what_is_left_out_as_sent_or_as_received_takes_no_part() {
    let rules = rules(&["P /protected", "H /hidden", "R /risked", "S /shown", "+ /kept", "- *"]);
    let paths = ["protected", "hidden", "risked", "shown", "kept", "other"];
    assert_eq!(hidden(Hiding::of_rules(&rules), &paths), ["protected", "hidden", "risked", "shown", "other"]);
}

#[test]
fn where_nobody_knows_the_rules_nothing_takes_part() {
    let rules = rules(&[": .rules"]);
    let at = tree(&[("a/.rules", "no rule\n"), ("a/b/x", ""), ("c/.rules", "- x\n"), ("d/.rules", "")]);
    fs::remove_file(at.path().join("d/.rules")).unwrap();
    std::os::unix::fs::symlink("../c/.rules", at.path().join("d/.rules")).unwrap();
    let (files, troubles) = found(&rules, at.path());
    let mut places: Vec<&str> = troubles.iter().map(|trouble| trouble.split(':').next().unwrap()).collect();
    places.sort_unstable();
    assert_eq!(places, ["a", "d"], "{troubles:?}");
    let paths = ["a/", "a/b/", "a/b/x", "a/y", "c/", "c/x", "c/y", "d/", "d/x"];
    let expected = ["a/b/", "a/b/x", "a/y", "c/x", "d/x"];
    assert_eq!(hidden(Hiding::new(&rules, [files.clone()]), &paths), expected);
    // What is told is read again by who is told.
    let mut told = RuleFiles::default();
    for part in files.parts(1) {
        let bytes = postcard::to_stdvec(&part).unwrap();
        told.merge(postcard::from_bytes(&bytes).unwrap());
    }
    assert_eq!(hidden(Hiding::new(&rules, [RuleFiles::default(), told]), &paths), expected);
}

#[test]
fn files_above_a_tree_count_in_it() {
    let rules = rules(&[": /.rules-of-hiding"]);
    let at = tree(&[(".rules-of-hiding", "- /tree/x\n- y\n"), ("tree/", "")]);
    let (files, troubles) = found(&rules, &at.path().join("tree"));
    assert!(troubles.is_empty() && files.are_any_above(), "{troubles:?}");
    let paths = ["x", "y", "z", "tree/x", "z/y"];
    assert_eq!(hidden(Hiding::new(&rules, [files.clone()]), &paths), ["x", "y", "z/y"]);
    let told: RuleFiles = postcard::from_bytes(&postcard::to_stdvec(&files).unwrap()).unwrap();
    assert_eq!(hidden(Hiding::new(&rules, [told]), &paths), ["x", "y", "z/y"]);
}

#[test]
fn where_a_tree_is_matters_only_to_rules_that_look_at_it() {
    let at = tree(&[("a/.rules", "- x\n"), ("b/.abs", "-/ **/b/y\n"), ("c/", "")]);
    for (options, is_told) in
        [(&[": .rules"][..], false), (&[": .abs"], true), (&["-/ /home/**"], true), (&["- home"], false)]
    {
        let (files, _) = found(&rules(options), at.path());
        assert_eq!(!files.root().is_empty(), is_told, "{options:?}");
    }
    let absolute = format!("-/ {}/c", at.path().display());
    let rules = rules(&[&absolute]);
    let (files, _) = found(&rules, at.path());
    let elsewhere = RuleFiles::new(b"/elsewhere".to_vec());
    assert_eq!(hidden(Hiding::new(&rules, [elsewhere.clone()]), &["c/", "d"]), [""; 0]);
    assert_eq!(hidden(Hiding::new(&rules, [elsewhere, files]), &["c/", "d"]), ["c/"]);
}

/// Whether a path takes no part, from the top of the tree for each path anew.
fn hides_plainly(rules: &Rules, sides: &[RuleFiles], path: &RelPath) -> bool {
    sides.iter().any(|files| {
        let mut scope = files.enter(&files.above(rules), &RelPath::root());
        let mut all: Vec<RelPath> =
            std::iter::successors(Some(path.clone()), |path| Some(path.split_last()?.0)).collect();
        all.pop();
        all.into_iter().rev().any(|at| {
            let is_hidden = leave_out(std::slice::from_ref(&scope), &at, true);
            scope = files.enter(&scope, &at);
            is_hidden
        })
    })
}

proptest! {
    #[test]
    fn a_cursor_finds_what_is_found_from_the_top(
        files in prop::collection::vec(
            prop::collection::btree_map("([ab]/){0,3}", "(([-+PHS] /?([ab*]/?){1,3}|!)\n){0,3}", 0..4),
            1..3,
        ),
        paths in prop::collection::vec("[abc](/[abc]){0,4}", 1..20),
    ) {
        let rules = rules(&[": .rules", "- /c/a"]);
        let side = |files: BTreeMap<String, String>| {
            let mut found = RuleFiles::default();
            for (at, text) in files {
                found.add(crate::tree::filter::Holder::At(path(at.trim_end_matches('/'))), b".rules", text.as_bytes());
            }
            found
        };
        let sides: Vec<RuleFiles> = files.into_iter().map(side).collect();
        let mut cursor = Arc::new(Hiding::new(&rules, sides.clone())).cursor();
        for at in paths {
            let at = path(&at);
            prop_assert_eq!(cursor.hides(&at, true), hides_plainly(&rules, &sides, &at), "{}", at);
        }
    }
}
