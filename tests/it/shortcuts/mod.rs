//! However a run gets there, it ends at the same place: the same update of the same tree, by every transport, with
//! every shortcut taken or left out and every choice that is only about how, must leave the same tree and say the same.
//!
//! What is varied is data: [`CHOICES`] are those a user has, and `request::Shortcuts` names the others, so a new one
//! takes part by being there. All combinations would be thousands. Those run are one with everything as usual, one for
//! each thing that differs alone, and enough drawn ones for any two values to come together somewhere, which is
//! checked.
//!
//! [`directories`] varies the trees instead, for the shortcut that could miss a change.

mod directories;

use crate::oracle::random::Random;
use crate::oracle::trees::{self, Obstacles};
use crate::support::command::{self, Output};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, Snapshot};
use crate::support::tools;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::{Node, Tree, noise};
use dsync::request::Shortcuts;
use std::collections::BTreeSet;

/// What users may choose without a difference in what comes of it. The first of each is the default.
const CHOICES: &[&[&[&str]]] = &[
    &[&[], &["-W"], &["--no-W"], &["--no-W", "-B700"]],
    &[&[], &["--inplace"]],
    &[&[], &["-z"], &["--compress=auto"]],
    &[&[], &["--cc=md5"]],
];

/// Drawn combinations besides those in which one thing differs.
const DRAWN: usize = 40;

/// A value for each choice, and then for each shortcut.
type Row = Vec<usize>;

/// How many values each has.
fn dimensions() -> Vec<usize> {
    CHOICES.iter().map(|values| values.len()).chain(Shortcuts::NAMES.iter().map(|_| 2)).collect()
}

/// Everything as usual, then one thing different at a time.
fn one_by_one() -> Vec<Row> {
    let dimensions = dimensions();
    let mut rows = vec![vec![0; dimensions.len()]];
    for (place, values) in dimensions.iter().enumerate() {
        for value in 1..*values {
            let mut row = vec![0; dimensions.len()];
            row[place] = value;
            rows.push(row);
        }
    }
    rows
}

fn rows() -> Vec<Row> {
    let mut random = Random::new(0);
    let mut draw = || dimensions().iter().map(|values| random.below(*values)).collect();
    one_by_one().into_iter().chain(std::iter::repeat_with(&mut draw).take(DRAWN)).collect()
}

#[test]
fn any_two_values_come_together() {
    let (dimensions, rows) = (dimensions(), rows());
    for a in 0..dimensions.len() {
        for b in 0..a {
            let pairs: BTreeSet<_> = rows.iter().map(|row| (row[a], row[b])).collect();
            assert_eq!(pairs.len(), dimensions[a] * dimensions[b], "{a} and {b}: draw more");
        }
    }
}

fn options(row: &Row) -> Vec<String> {
    let (choices, shortcuts) = row.split_at(CHOICES.len());
    let chosen = choices.iter().zip(CHOICES).flat_map(|(value, values)| values[*value]);
    let plain = shortcuts.iter().zip(Shortcuts::NAMES).filter(|(value, _)| **value == 1);
    let plain: Vec<&str> = plain.map(|(_, name)| *name).collect();
    let plain = (!plain.is_empty()).then(|| format!("--plain={}", plain.join(",")));
    chosen.map(|option| (*option).to_owned()).chain(plain).collect()
}

/// Text of so many lines, which compresses.
fn text(lines: u32) -> Vec<u8> {
    (0..lines).flat_map(|line| format!("line {line} of {}\n", line * 7919 % 1000).into_bytes()).collect()
}

/// `content` with other bytes in `places` spread over it.
fn edited(content: &[u8], places: usize) -> Vec<u8> {
    let mut edited = content.to_vec();
    for place in 0..places {
        let at = content.len() / places * place + 321;
        edited[at..at + 37].copy_from_slice(&noise(37, place as u64 + 1));
    }
    edited
}

/// An earlier and a later state of a tree, with something in them for every way there is.
fn states() -> (Tree, Tree) {
    let (mut before, mut after) = (Tree::new(), Tree::new());
    let mut both = |path: &str, old: Option<Vec<u8>>, new: Option<Vec<u8>>| {
        let time = 1_600_000_000 + i64::from(old != new);
        for (tree, content, time) in [(&mut before, old, 1_600_000_000), (&mut after, new, time)] {
            if let Some(content) = content {
                *tree = std::mem::replace(tree, Tree::new()).file(path, content).mtime(path, time);
            }
        }
    };
    // More than one segment of a file sum, and blocks of three lengths.
    let large = noise(1_200_000, 1);
    let shifted = [&large[..200_000], &noise(1237, 2), &large[200_000..400_000], &large[404_321..600_000]];
    let zeros = vec![0; 300_000];
    both("large/edited", Some(large.clone()), Some(edited(&large, 12)));
    both("large/shifted", Some(large[..600_000].to_vec()), Some(shifted.concat()));
    both("large/grown", Some(large[..200_000].to_vec()), Some(large[..210_001].to_vec()));
    both("large/cut", Some(large[..200_000].to_vec()), Some(large[..190_001].to_vec()));
    both("large/holes", Some(edited(&zeros, 3)), Some(zeros.clone()));
    both("large/filled", Some(zeros.clone()), Some(edited(&zeros, 5)));
    both("large/text", Some(text(9000)), Some([&b"first\n"[..], &text(9000)].concat()));
    both("large/new", None, Some(noise(300_000, 3)));
    both("large/new text", None, Some(text(10_000)));
    for number in 0..200_u64 {
        let (name, content) = (
            format!("{}/{number}", ["same", "some", "new", "old"][number as usize % 4]),
            noise(number as usize * 40, number),
        );
        let (old, new) = match number % 4 {
            0 => (Some(content.clone()), Some(content)),
            1 if number % 5 == 0 => (Some(content.clone()), Some([content.as_slice(), b"x"].concat())),
            1 => (Some(content.clone()), Some(content)),
            2 => (None, Some(content)),
            _ => (Some(content), None),
        };
        both(&format!("small/{name}"), old, new);
    }
    both("renamed/before", Some(noise(9000, 5)), None);
    both("renamed/after", None, Some(noise(9000, 5)));
    both("kinds/to-file/was-here", Some(Vec::new()), None);
    both("kinds/from-file", Some(noise(90_000, 4)), None);
    after = after
        .file("kinds/to-file", noise(90_000, 4))
        .file("kinds/from-file/is-here", "")
        .symlink("kinds/to-link", "elsewhere")
        .symlink("kinds/link", "one")
        .node("kinds/fifo", Node::Fifo)
        .file("kinds/mode", "x")
        .mode("kinds/mode", 0o4711)
        .file("kinds/read-only", noise(80_000, 6))
        .mode("kinds/read-only", 0o444);
    before = before
        .file("kinds/to-link", "no link")
        .symlink("kinds/link", "two")
        .file("kinds/fifo", "no fifo")
        .file("kinds/mode", "x")
        .file("kinds/read-only", "shorter")
        .mode("kinds/read-only", 0o444);
    let mut random = Random::new(7);
    let tree = trees::tree(&mut random, 150);
    let obstacles = Obstacles { full_directories: true, for_directories: true };
    let earlier = trees::earlier(&mut random, &tree, obstacles);
    for (state, random) in [(&mut before, earlier), (&mut after, tree)] {
        for (path, mut entry) in random.entries.into_iter().filter(|(path, _)| !path.is_empty()) {
            // Without -A and -X, what of them is left depends on whether a file is replaced.
            entry.xattrs.clear();
            state.insert(&[&b"random/"[..], &path].concat(), entry);
        }
    }
    (before, after)
}

/// What a run left and what it said.
struct Outcome {
    tree: Snapshot,
    lines: String,
    output: Output,
}

impl Outcome {
    #[track_caller]
    fn expect(&self, usual: &Outcome) {
        let command = &self.output.command;
        let differences = usual.tree.differences(&self.tree, Columns::ALL);
        assert!(differences.is_empty(), "{differences:#?}\n{command}");
        assert!(self.lines == usual.lines, "usual:\n{}\n{command}\n{}", usual.lines, self.lines);
    }
}

fn run(way: Way, scene: &Scene, before: &Tree, task: &str, options: &[String]) -> Outcome {
    let to = scene.path("to");
    // A directory that nobody may write to is removed by root only, and there are none where others run this.
    let _ = std::fs::remove_dir_all(&to);
    before.write(&to);
    let options = [&[task, "--delete", "--force"].map(str::to_owned)[..], options].concat();
    let output = way.copy(&options, &[scene.path("source/")], &to).run().success();
    // The first letter of a file's line tells which end it goes to.
    let lines = output.out().lines().map(|line| line.replacen('<', ">", 1) + "\n").collect();
    Outcome { tree: Snapshot::of(&to), lines, output }
}

/// Runs every row by `way` and holds it against a run between local paths with everything as usual.
fn compare(way: Way) {
    if command::is_rsync() {
        return tools::not_for_rsync("it has no such options");
    }
    let (before, after) = states();
    let scene = Scene::in_memory().tree("source", &after);
    std::fs::hard_link(scene.path("source/large/new"), scene.path("source/large/linked")).unwrap();
    for (task, rows) in [("-ai", rows()), ("-aic", one_by_one())] {
        let usual = run(Way::LOCAL, &scene, &before, task, &[]);
        assert!(usual.lines.lines().count() > 150, "{}", usual.output);
        for row in rows {
            run(way, &scene, &before, task, &options(&row)).expect(&usual);
        }
    }
}

/// A basis so long that several threads sign it.
#[test]
fn a_long_file() {
    if command::is_rsync() {
        return tools::not_for_rsync("it has no such options");
    }
    let old = noise(40 << 20, 8);
    let new = edited(&old, 30);
    let (before, after) = (Tree::new().file("file", old), Tree::new().file("file", new).mtime("file", 1));
    let scene = Scene::in_memory().tree("source", &after);
    for way in Way::plain() {
        for place in [None, Some("--inplace")] {
            let matched = ["refinement", "threads", "all"].map(|plain| {
                let options = ["--no-W".to_owned(), "--stats".to_owned(), format!("--plain={plain}")];
                let options =
                    [&options[..], &place.map(str::to_owned).into_iter().collect::<Vec<_>>()].concat();
                let outcome = run(way, &scene, &before, "-ai", &options);
                let differences = scene.snapshot("source").differences(&outcome.tree, Columns::ALL);
                assert!(differences.is_empty(), "{differences:#?}\n{}", outcome.output);
                outcome.output.number("Literal data:")
            });
            let [unrefined, one_thread, plain] = matched;
            assert!(unrefined == plain && one_thread < plain, "{way:?}: {matched:?}");
        }
    }
}

/// Leaving out has to mean something, or all of this would show nothing.
#[test]
fn without_fingerprints_more_is_sent() {
    if command::is_rsync() {
        return tools::not_for_rsync("it has no such options");
    }
    let (_, tree) = states();
    let scene = Scene::in_memory().tree("source", &tree);
    for way in Way::plain().into_iter().filter(|way| *way != Way::LOCAL) {
        let [usual, plain] = ["--stats", "--plain=fingerprints"].map(|option| {
            let outcome = run(way, &scene, &tree, "-ai", &["--stats".to_owned(), option.to_owned()]);
            outcome.output.number("Total bytes sent:") + outcome.output.number("Total bytes received:")
        });
        assert!(usual * 2 < plain, "{way:?}: {usual} and {plain} bytes");
    }
}

#[test]
fn locally() {
    compare(Way::LOCAL);
}

#[test]
fn in_a_push() {
    compare(Way { transport: Transport::Rsh, direction: Direction::Push });
}

#[test]
fn in_a_pull() {
    compare(Way { transport: Transport::Rsh, direction: Direction::Pull });
}
