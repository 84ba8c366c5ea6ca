//! What git leaves out, held against git itself: random patterns over a fixed tree; and what it means for a run.
//!
//! The patterns are the same in every run; `DSYNC_GITIGNORE_CASES` sets how many trees full of them are tried.

use crate::support::command::{Invocation, dsync, is_rsync};
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Each with files and patterns of its own, so that one run tries many.
const PARTS: usize = 8;

const DIRECTORIES: [&str; 7] = ["", "foo/", "foo/bar/", "foo/bar/foo/", "bar/", "bar/a/", "b/"];

const NAMES: [&[u8]; 21] = [
    b"a",
    b"ab",
    b"abc",
    b"a.o",
    b"b.o",
    b".o",
    b"x y",
    b"y ",
    b"\xc3\xa4",
    b"\xff",
    b"{a,b}",
    b"#a",
    b"!a",
    b"a\\b",
    b"[a]",
    b"*",
    b"-",
    b"A1",
    b"foobar",
    b"axb",
    b"b^",
];

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"foo",
        b"foo",
        b"bar",
        b"bar",
        b"a",
        b"a",
        b"b",
        b"x",
        b".o",
        b"/",
        b"/",
        b"/",
        b"/",
        b"*",
        b"*",
        b"*",
        b"**",
        b"**/",
        b"/**",
        b"/**/",
        b"***",
        b"?",
        b"[a-f]",
        b"[!a-f]",
        b"[^b]",
        b"[]a]",
        b"[a-]",
        b"[\\]#]",
        b"[[:upper:]]",
        b"[![:alpha:].]",
        b"[[:x:]]",
        b"[/]",
        b"[",
        b"]",
        b"{",
        b"{a,b}",
        b"\\",
        b"\\*",
        b"\\[",
        b"\\/",
        b"!",
        b"#",
        b"-",
        b"^",
        b" ",
        b"\\ ",
        b"\t",
        b"\r",
        b"\xc3\xa4",
        b"\xff",
        b"[\xc0-\xff]",
    ];
    let start =
        select(vec![&b""[..], b"", b"", b"", b"", b"!", b"!", b"/", b"/", b"!/", b"\\!", b"\\#", b"**/"]);
    let end = select(vec![&b""[..], b"", b"", b"", b"/", b"/", b"/**", b"/*", b" ", b"\r", b"\\"]);
    let random = (start, vec(select(pieces), 0..5), end)
        .prop_map(|(start, pieces, end)| [&[start][..], &pieces, &[end]].concat().concat());
    let usual =
        select(vec![&b"*"[..], b"!*/", b"!*.o", b"*.o", b"!a", b"/foo", b"/*/a", b"# x", b"", b"!/foo/"]);
    let line = prop_oneof![2 => random, 1 => usual.prop_map(<[u8]>::to_vec)];
    vec(line, 0..5).prop_map(|lines| lines.join(&b'\n'))
}

/// What the files of patterns hold: of each part, by directory; and that of the work tree.
type Patterns = (Vec<Vec<(&'static str, Vec<u8>)>>, Vec<u8>);

fn patterns() -> impl Strategy<Value = Patterns> {
    let file = (select(DIRECTORIES.to_vec()), lines());
    (vec(vec(file, 1..4), PARTS), lines())
}

fn part(number: usize) -> String {
    format!("p{number}/")
}

fn at(root: &Path, path: &[u8]) -> PathBuf {
    root.join(OsStr::from_bytes(path))
}

fn git(root: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = Invocation::new(&tools::find("git").unwrap(), ["-c", "core.excludesFile="])
        .args(arguments.iter().copied())
        .current_dir(root)
        .variable("GIT_CONFIG_NOSYSTEM", "1")
        .variable("HOME", root.display())
        .run()
        .expect(0);
    output.stdout
}

fn compare(scene: &Scene, (parts, exclude): &Patterns) -> Result<(), TestCaseError> {
    let root = scene.path("source");
    let mut files = BTreeSet::new();
    for (number, part_files) in parts.iter().enumerate() {
        for (directory, content) in part_files {
            let path = format!("{}{directory}.gitignore", part(number));
            fs::write(root.join(&path), content).unwrap();
            files.insert(path);
        }
    }
    fs::write(root.join(".git/info/exclude"), exclude).unwrap();
    let left = git(&root, &["ls-files", "-z", "--others", "--exclude-standard"]);
    let expected: BTreeSet<&[u8]> = left.split(|&byte| byte == 0).filter(|path| !path.is_empty()).collect();
    let copied = dsync(["-rln", "-8", "--out-format=%n", "--gitignore"])
        .args([scene.path("source/"), scene.path("nowhere")])
        .run()
        .expect(0);
    let names = copied.stdout.split(|&byte| byte == b'\n');
    let is_file = |path: &&[u8]| !path.is_empty() && !path.ends_with(b"/") && !path.starts_with(b".git/");
    let found: BTreeSet<&[u8]> = names.filter(is_file).collect();
    let differs: Vec<String> =
        expected.symmetric_difference(&found).map(|path| path.escape_ascii().to_string()).collect();
    for file in files {
        fs::remove_file(root.join(file)).unwrap();
    }
    prop_assert!(differs.is_empty(), "git and dsync differ about {differs:?}");
    Ok(())
}

#[test]
fn random_patterns_leave_out_what_git_leaves_out() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    if tools::find("git").is_none() {
        return;
    }
    let scene = Scene::in_memory().tree("source", &Tree::new());
    let root = scene.path("source");
    for number in 0..PARTS {
        let directories = DIRECTORIES.map(|directory| format!("{}{directory}", part(number)));
        directories.iter().for_each(|directory| fs::create_dir_all(root.join(directory)).unwrap());
        for directory in directories {
            let paths = NAMES.map(|name| at(&root, &[directory.as_bytes(), name].concat()));
            paths.iter().filter(|path| !path.is_dir()).for_each(|path| fs::write(path, "").unwrap());
        }
        std::os::unix::fs::symlink("foo", root.join(part(number)).join("link")).unwrap();
    }
    git(&root, &["init", "-q"]);
    let cases = std::env::var("DSYNC_GITIGNORE_CASES").ok().and_then(|cases| cases.parse().ok());
    let config = ProptestConfig {
        cases: cases.unwrap_or(40),
        failure_persistence: None,
        max_shrink_iters: 400,
        ..ProptestConfig::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    if let Err(error) = runner.run(&patterns(), |patterns| compare(&scene, &patterns)) {
        panic!("{error}");
    }
}

/// A work tree with files that git leaves out.
fn work_tree() -> Tree {
    Tree::new()
        .file(".gitignore", "*.o\n/build/\n!keep.o\n")
        .file(".git/info/exclude", "mine\n")
        .file(".git/objects/x.o", "x")
        .file("a.o", "x")
        .file("keep.o", "x")
        .file("mine", "x")
        .file("build/keep.o", "x")
        .file("sub/.gitignore", "!special.o\nkeep.o\n")
        .file("sub/build/b", "x")
        .file("sub/keep.o", "x")
        .file("sub/special.o", "x")
        .file("z", "x")
}

const KEPT: [&str; 13] = [
    ".git",
    ".git/info",
    ".git/info/exclude",
    ".git/objects",
    ".git/objects/x.o",
    ".gitignore",
    "keep.o",
    "sub",
    "sub/.gitignore",
    "sub/build",
    "sub/build/b",
    "sub/special.o",
    "z",
];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    let mut paths = [&KEPT[..], more].concat();
    paths.sort_unstable();
    paths
}

#[test]
fn what_git_leaves_out_is_hidden_and_protected() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    for way in Way::all() {
        let scene = Scene::with_source(&work_tree()).tree("to", &Tree::new());
        let run = |options: &[&str]| {
            let options = [&["-a", "--gitignore"], options].concat();
            way.copy(&options, &[scene.path("source/")], scene.path("to")).run().expect(0);
            scene.paths("to")
        };
        assert_eq!(run(&[]), with(&[]), "{way:?}");
        let extra =
            Tree::new().file("b.o", "x").file("build/x", "x").file("extra", "x").file("sub/build/c", "x");
        extra.write(&scene.path("to"));
        assert_eq!(run(&["--delete"]), with(&["b.o", "build", "build/x"]), "{way:?}");
        assert_eq!(
            run(&["--exclude=z", "--include=a.o", "--delete"]),
            with(&["a.o", "b.o", "build", "build/x"])
        );
        assert_eq!(run(&["--delete-excluded"]), with(&[]), "{way:?}");
    }
}

#[test]
fn a_file_that_nobody_can_read_hides_all() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    for way in Way::plain() {
        let source = work_tree().file("bad/x", "x").symlink("bad/.gitignore", "../.gitignore");
        let scene = Scene::with_source(&source);
        let output =
            way.copy(&["-a", "--gitignore"], &[scene.path("source/")], scene.path("to")).run().expect(23);
        assert_eq!(scene.paths("to"), with(&["bad"]), "{way:?}");
        assert!(output.err().contains("reading filter rules in bad"), "{way:?}: {output}");
    }
}

#[test]
fn what_the_user_told_git_for_all_work_trees_does_not_count() {
    if is_rsync() {
        return tools::not_for_rsync("it has no such option");
    }
    let home = Tree::new().file(".config/git/ignore", "z\n");
    let scene = Scene::with_source(&work_tree()).tree("home", &home);
    dsync(["-a", "--gitignore"])
        .args([scene.path("source/"), scene.path("to")])
        .variable("HOME", scene.path("home").display())
        .run()
        .success();
    assert_eq!(scene.paths("to"), with(&[]));
}
