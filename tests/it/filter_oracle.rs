//! Filter verdicts against the installed rsync: random rule lists over a fixed tree, on both sides of a transfer.
//!
//! The sender is asked what it would transfer, the receiver what it would delete; both as dry runs. The lists are the
//! same in every run; `DSYNC_FILTER_CASES` sets how many are tried.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::tools;
use dsync::tree::filter::{
    Action, Directive, FileKind, FilterError, Merge, Rules, Side, Text, Verdict, parse_filter, parse_pattern,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

const DIRECTORIES: [&[u8]; 10] = [
    b"foo",
    b"foo/bar",
    b"foo/bar/baz",
    b"foo/foo",
    b"bar",
    b"bar/foo",
    b"bar/foo/bar",
    b"a b",
    b"d.o",
    b"x",
];

const FILES: [&[u8]; 26] = [
    b"a.o",
    b"b.c",
    b"c.h",
    b"-",
    b"+ q",
    b"!",
    b"#h",
    b"[x]",
    b"*star",
    b"back\\slash",
    b"high\xff",
    b"Upper1",
    b"a",
    b"foo/a.o",
    b"foo/b.c",
    b"foo/bar/a.o",
    b"foo/bar/foo",
    b"foo/bar/baz/a.o",
    b"foo/bar/baz/x",
    b"foo/foo/bar",
    b"bar/bar",
    b"bar/foo/a",
    b"bar/foo/bar/x.c",
    b"a b/c d",
    b"d.o/foo",
    b"x/x",
];

/// One option on the command line, as rsync and as dsync's parsers get it.
#[derive(Debug, Clone)]
enum Argument {
    Filter(Vec<u8>),
    Pattern(Action, Vec<u8>),
    File(Action, Vec<Vec<u8>>),
    Merge(&'static str, Vec<Vec<u8>>),
}

fn pattern() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"foo",
        b"foo",
        b"bar",
        b"bar",
        b"baz",
        b"a",
        b"x",
        b"o",
        b".",
        b".o",
        b".c",
        b" ",
        b"tree",
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
        b"***",
        b"/***",
        b"?",
        b"[a-f]",
        b"[!a-f]",
        b"[^b]",
        b"[]x]",
        b"[[:upper:]]",
        b"[![:alpha:].]",
        b"[[:x:]]",
        b"[",
        b"]",
        b"\\",
        b"\\*",
        b"\\[",
        b"!",
        b"-",
        b"+",
        b"#",
        b"_",
        b"\xff",
        b"[\xf0-\xff]",
    ];
    let arbitrary = vec(select(pieces), 1..6).prop_map(|pieces| pieces.concat());
    prop_oneof![1 => arbitrary, 3 => pattern_near_a_name()]
}

/// A path of the tree, from any of its elements on, some of them made wild.
fn pattern_near_a_name() -> impl Strategy<Value = Vec<u8>> {
    let path = select([DIRECTORIES.as_slice(), FILES.as_slice()].concat());
    let anchor = select(vec![&b""[..], b"", b"", b"/", b"/", b"**/", b"tree/", b"*/"]);
    let suffix = select(vec![&b""[..], b"", b"", b"/", b"/*", b"/**", b"/***"]);
    let choices = vec((0..3_usize, 0..20_u8), 5);
    (anchor, path, suffix, choices).prop_map(|(anchor, path, suffix, choices)| {
        let (skipped, _) = choices[4];
        let elements: Vec<&[u8]> = path.split(|&byte| byte == b'/').collect();
        let kept = &elements[skipped.min(elements.len() - 1)..];
        let wild: Vec<_> =
            kept.iter().zip(&choices).map(|(element, &(at, kind))| wilder(element, at, kind)).collect();
        [anchor, &wild.join(&b'/'), suffix].concat()
    })
}

/// The element with something wild in place of its byte `at`, or as it is.
fn wilder(element: &[u8], at: usize, kind: u8) -> Vec<u8> {
    let at = at.min(element.len() - 1);
    let (start, byte, end) = (&element[..at], element[at], &element[at + 1..]);
    let around = |middle: &[u8]| [start, middle, end].concat();
    match kind {
        0 => b"*".to_vec(),
        1 => b"**".to_vec(),
        2 => around(b"?"),
        3 => around(b"*"),
        4 => around(b"**"),
        5 => around(&[b'[', byte, b']']),
        6 => around(&[b'[', b'!', byte, b']']),
        7 => around(b"[^z]"),
        8 => around(&[b'[', b'^', byte, b']']),
        9 => around(&[b'[', byte.saturating_sub(1), b'-', byte.saturating_add(1), b']']),
        10 => around(b"[[:alpha:]]"),
        11 => around(&[b'\\', byte]),
        12 => [start, b"*"].concat(),
        13 => [b"*", end].concat(),
        _ => element.to_vec(),
    }
}

fn rule() -> impl Strategy<Value = Vec<u8>> {
    let prefixes = vec![
        "- ", "- ", "- ", "-_", "+ ", "+ ", "+ ", "+_", "H ", "S ", "P ", "R ", "-! ", "+! ", "-p ", "-/ ",
        "+/ ", "-s ", "-r ", "+sr ", "-,p! ", "exclude ", "include_", "hide,p ", "show ", "protect ",
        "risk,/ ", "Pp ",
    ];
    let refused = vec!["Ss ", "-e ", "-s,r ", "clear ", "clear", "!", "", " ", "exclude"];
    let prefix = prop_oneof![60 => select(prefixes), 1 => select(refused)];
    (prefix, pattern()).prop_map(|(prefix, pattern)| [prefix.as_bytes(), &pattern].concat())
}

fn argument() -> impl Strategy<Value = Argument> {
    let action = || select(vec![Action::Exclude, Action::Include]);
    let lines = |line: BoxedStrategy<Vec<u8>>| vec(line, 0..4);
    let old_prefix = select(vec!["", "", "", "", "- ", "+ ", "-_", "#", ";"]);
    let old_rule =
        (old_prefix, pattern()).prop_map(|(prefix, pattern)| [prefix.as_bytes(), &pattern].concat());
    let merge = select(vec![". ", ".- ", ".+_", "merge,s ", ".p ", ".e ", ".rs ", "./ "]);
    prop_oneof![
        12 => rule().prop_map(Argument::Filter),
        1 => Just(Argument::Filter(b"!".to_vec())),
        4 => (action(), pattern()).prop_map(|(action, pattern)| Argument::Pattern(action, pattern)),
        1 => (action(), lines(old_rule.boxed())).prop_map(|(action, lines)| Argument::File(action, lines)),
        1 => (merge, lines(rule().boxed())).prop_map(|(merge, lines)| Argument::Merge(merge, lines)),
    ]
}

struct Trees {
    _scratch: tempfile::TempDir,
    full: PathBuf,
    empty: PathBuf,
    rule_files: PathBuf,
}

impl Trees {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let base = scratch.path().canonicalize().expect("its real path");
        let [full, empty, rule_files] = ["tree", "empty", "rules"].map(|name| base.join(name));
        for dir in [&full, &empty, &rule_files] {
            fs::create_dir(dir).expect("a directory");
        }
        for dir in DIRECTORIES {
            fs::create_dir(full.join(OsStr::from_bytes(dir))).expect("a directory");
        }
        for file in FILES {
            fs::write(full.join(OsStr::from_bytes(file)), "").expect("a file");
        }
        Trees { _scratch: scratch, full, empty, rule_files }
    }

    /// Writes a file of rules and returns its name, the same for both programs.
    fn rule_file(&self, place: usize, lines: &[Vec<u8>]) -> PathBuf {
        let file = self.rule_files.join(format!("foo{place}"));
        let content: Vec<u8> = lines.iter().flat_map(|line| line.iter().copied().chain([b'\n'])).collect();
        fs::write(&file, content).expect("a file of rules");
        file
    }

    fn options(&self, arguments: &[Argument]) -> Vec<OsString> {
        let option = |name: &str, value: &[u8]| OsString::from_vec([name.as_bytes(), value].concat());
        let of_action =
            |action: &Action, exclude, include| if *action == Action::Exclude { exclude } else { include };
        (0..)
            .zip(arguments)
            .map(|(place, argument)| match argument {
                Argument::Filter(rule) => option("--filter=", rule),
                Argument::Pattern(action, text) => {
                    option(of_action(action, "--exclude=", "--include="), text)
                }
                Argument::File(action, lines) => {
                    let file = self.rule_file(place, lines);
                    option(
                        of_action(action, "--exclude-from=", "--include-from="),
                        file.as_os_str().as_bytes(),
                    )
                }
                Argument::Merge(merge, lines) => {
                    let file = self.rule_file(place, lines);
                    option("--filter=", &[merge.as_bytes(), file.as_os_str().as_bytes()].concat())
                }
            })
            .collect()
    }

    fn rules(&self, arguments: &[Argument]) -> Result<Rules, FilterError> {
        let mut rules = Rules::new();
        for (place, argument) in (0..).zip(arguments) {
            let directive = match argument {
                Argument::Filter(rule) => parse_filter(rule)?,
                Argument::Pattern(action, text) => parse_pattern(text, *action)?,
                Argument::File(action, lines) => {
                    let file = self.rule_file(place, lines).into_os_string().into_vec();
                    Some(Directive::Merge(Merge { file, kind: FileKind::Patterns(*action) }))
                }
                Argument::Merge(merge, lines) => {
                    let file = self.rule_file(place, lines);
                    parse_filter(&[merge.as_bytes(), file.as_os_str().as_bytes()].concat())?
                }
            };
            if let Some(directive) = directive {
                rules.add(directive, false, &mut |text| match text {
                    Text::File(file) => fs::read(Path::new(OsStr::from_bytes(file))),
                    Text::Cvs => Ok(Vec::new()),
                })?;
            }
        }
        rules.set_root(self.full.as_os_str().as_bytes());
        Ok(rules)
    }
}

/// The lines rsync prints in a dry run, unescaped; none if it refuses its options.
fn rsync(options: &[OsString], from: &Path, to: &Path) -> Option<Vec<Vec<u8>>> {
    let slashed = |dir: &Path| OsString::from_vec([dir.as_os_str().as_bytes(), b"/"].concat());
    let output = Command::new("rsync")
        .args(["-r", "--dry-run", "--out-format=%n"])
        .args(options)
        .args([slashed(from), slashed(to)])
        .env("LC_ALL", "C")
        .output()
        .expect("rsync runs");
    match output.status.code() {
        Some(0) => Some(output.stdout.split(|&byte| byte == b'\n').map(unescape).collect()),
        Some(1) => None,
        _ => panic!("rsync: {}, {}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}

/// Turns `\#ooo` back into the byte.
fn unescape(line: &[u8]) -> Vec<u8> {
    match line {
        [b'\\', b'#', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', rest @ ..] => {
            let byte = (a - b'0') * 64 + (b - b'0') * 8 + (c - b'0');
            [vec![byte], unescape(rest)].concat()
        }
        [byte, rest @ ..] => [vec![*byte], unescape(rest)].concat(),
        [] => Vec::new(),
    }
}

/// The paths an excluded directory does not cut off, themselves included by the rules.
fn included(rules: &Rules, side: Side, deleting: bool) -> BTreeSet<Vec<u8>> {
    let shown = |path: &[u8], is_dir: bool| {
        let in_deleted_dir = deleting && path.contains(&b'/');
        rules.decide(path, is_dir, side, in_deleted_dir).verdict == Verdict::Included
    };
    let reached = |path: &&[u8]| {
        let parents = (0..path.len()).filter(|&at| path[at] == b'/').map(|at| &path[..at]);
        parents.into_iter().all(|parent| shown(parent, true))
    };
    let directories = DIRECTORIES.into_iter().filter(reached).filter(|path| shown(path, true));
    let files = FILES.into_iter().filter(reached).filter(|path| shown(path, false));
    let slashed = directories.map(|path| [path, b"/"].concat());
    slashed.chain(files.map(<[u8]>::to_vec)).collect()
}

fn readable(paths: &BTreeSet<Vec<u8>>) -> Vec<String> {
    paths.iter().map(|path| path.escape_ascii().to_string()).collect()
}

fn compare(trees: &Trees, arguments: &[Argument], delete_excluded: bool) -> Result<(), TestCaseError> {
    let mut options = trees.options(arguments);
    let parsed = trees.rules(arguments);
    let sent = rsync(&options, &trees.full, &trees.empty);
    prop_assert_eq!(parsed.is_ok(), sent.is_some(), "refused by one: {:?}, {:?}", &parsed, &options);
    let (Ok(mut rules), Some(sent)) = (parsed, sent) else {
        return Ok(());
    };
    let known =
        |lines: Vec<Vec<u8>>| lines.into_iter().filter(|line| !line.is_empty() && line != b"./").collect();
    let sent: BTreeSet<_> = known(sent);
    let ours = included(&rules, Side::Sender, false);
    prop_assert_eq!(readable(&ours), readable(&sent), "sent under {:?}", &options);

    options.push(if delete_excluded { "--delete-excluded".into() } else { "--delete".into() });
    if delete_excluded {
        rules = rules.with_delete_excluded();
    }
    let lines = rsync(&options, &trees.empty, &trees.full).expect("options it took before");
    let deleted = lines.iter().filter_map(|line| line.strip_prefix(b"deleting "));
    let is_file = |path: &Vec<u8>| !path.ends_with(b"/");
    let theirs: BTreeSet<_> = deleted.map(<[u8]>::to_vec).filter(is_file).collect();
    let ours: BTreeSet<_> = included(&rules, Side::Receiver, true).into_iter().filter(is_file).collect();
    prop_assert_eq!(readable(&ours), readable(&theirs), "files deleted under {:?}", &options);
    Ok(())
}

#[test]
fn verdicts_agree_with_rsync() {
    if tools::find("rsync").is_none() {
        return;
    }
    let cases = env::var("DSYNC_FILTER_CASES").map_or(60, |value| value.parse().expect("a number"));
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let trees = Trees::new();
    // Includes show only where something below them excludes.
    let last = select(vec!["", "- *", "-! */", "P *"]).prop_map(|rule| Argument::Filter(rule.into()));
    let lists = ((vec(argument(), 1..7), last), any::<bool>());
    runner
        .run(&lists, |((mut arguments, last), delete_excluded)| {
            arguments.push(last);
            compare(&trees, &arguments, delete_excluded)
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}
