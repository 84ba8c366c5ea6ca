//! Trees and changes that are drawn: with and without the option, and as rsync does it.

use crate::oracle::random::Random;
use crate::oracle::trees::{self, Obstacles};
use crate::support::command::{Invocation, Output};
use crate::support::scene::Scene;
use crate::support::snapshot::{self, Columns};
use crate::support::tools;
use crate::support::transport::Way;
use crate::support::tree::{Node, Tree, noise};
use crate::transfer::moved::changed;
use filetime::FileTime;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

/// What happens to a file of the source.
#[derive(Debug, Clone)]
enum Step {
    Move(usize, usize),
    Copy(usize, usize),
    MoveAndEdit(usize, usize),
    Edit(usize),
    Remove(usize),
    Touch(usize),
}

const PLACES: [&str; 12] =
    ["a/1", "a/2", "a/sub/1", "b", "c/1", "c/new", "d/1", "d/2", "m", "m-x/1", "z/sub/deep/1", "z/2"];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = || 0..PLACES.len();
    let pair = || (place(), place());
    let step = prop_oneof![
        4 => pair().prop_map(|(from, to)| Step::Move(from, to)),
        2 => pair().prop_map(|(from, to)| Step::Copy(from, to)),
        2 => pair().prop_map(|(from, to)| Step::MoveAndEdit(from, to)),
        1 => place().prop_map(Step::Edit),
        1 => place().prop_map(Step::Remove),
        1 => place().prop_map(Step::Touch),
    ];
    proptest::collection::vec(step, 1..10)
}

fn edit(path: &Path) {
    if let Ok(mut content) = fs::read(path)
        && let Some(byte) = content.get_mut(700)
    {
        *byte ^= 1;
        let times = fs::metadata(path).unwrap();
        fs::write(path, content).unwrap();
        // Sometimes nobody could tell by size and time.
        if path.as_os_str().len().is_multiple_of(2) {
            filetime::set_file_mtime(path, FileTime::from_last_modification_time(&times)).unwrap();
        }
    }
}

fn carry_out(source: &Path, step: &Step) {
    let at = |place: &usize| source.join(PLACES[*place]);
    let ready = |place: &usize| fs::create_dir_all(at(place).parent().unwrap()).unwrap();
    match step {
        Step::Move(from, to) | Step::MoveAndEdit(from, to) | Step::Copy(from, to) if at(from).is_file() => {
            ready(to);
            match step {
                Step::Copy(..) if from == to => {}
                Step::Copy(..) => drop(fs::copy(at(from), at(to)).unwrap()),
                _ => fs::rename(at(from), at(to)).unwrap(),
            }
            if matches!(step, Step::MoveAndEdit(..)) {
                edit(&at(to));
            }
        }
        Step::Edit(place) => edit(&at(place)),
        Step::Remove(place) => drop(fs::remove_file(at(place))),
        Step::Touch(place) if at(place).is_file() => {
            filetime::set_file_mtime(at(place), FileTime::from_unix_time(1_500_000_000, 0)).unwrap();
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_there_in_the_end_is_what_is_there_without_it(
        sizes in proptest::collection::vec(prop_oneof![Just(1500_usize), Just(3000), 900..200_000_usize], PLACES.len()),
        alike in any::<bool>(),
        steps in steps(),
        options in prop_oneof![
            Just(&["-a", "--delete"][..]),
            Just(&["-a"][..]),
            Just(&["-r", "--delete"][..]),
            Just(&["-ac", "--delete", "--delay-updates"][..]),
            Just(&["-a", "--delete", "-b", "--filter=P *~"][..]),
            Just(&["-a", "--delete", "--exclude=2", "--no-whole-file"][..]),
            Just(&["-au", "--delete", "--inplace", "--max-size=100k"][..]),
        ],
        way in 0..3_usize,
    ) {
        let mut tree = Tree::new();
        for (place, (path, size)) in PLACES.iter().zip(&sizes).enumerate() {
            let seed = if alike { place as u64 % 3 } else { place as u64 };
            tree = tree.file(path, noise(*size, seed)).mtime(path, 1_600_000_000 + (place as i64 % 2));
        }
        let way = Way::plain()[way];
        let outcome = |more: &[&str]| {
            let since = snapshot::from_now();
            let scene = changed(&tree, |source| steps.iter().for_each(|step| carry_out(source, step)));
            let options = [options, more].concat();
            let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
            let mut lines: Vec<String> = output.out().lines().map(str::to_owned).collect();
            lines.retain(|line| line.starts_with("*deleting"));
            lines.sort();
            (scene.snapshot("to").with_now(since), lines)
        };
        let ((with, deleted), (without, deleted_without)) =
            (outcome(&["-i", "--detect-renames"]), outcome(&["-i"]));
        let differences = with.differences(&without, Columns { directory_mtime: options[0] != "-r", ..Columns::ALL });
        prop_assert!(differences.is_empty(), "{way:?} {differences:?}");
        prop_assert_eq!(deleted, deleted_without);
    }
}

/// The same tree with some of its files under other names.
fn with_other_names(random: &mut Random, tree: &Tree) -> Tree {
    let mut other = tree.clone();
    let is_dir = |path: &&Vec<u8>| tree.entries[*path].is_directory();
    let directories: Vec<Vec<u8>> = tree.entries.keys().filter(is_dir).cloned().collect();
    for (number, (path, entry)) in tree.entries.iter().enumerate() {
        if matches!(entry.node, Node::File(_)) && random.chance(50) {
            let name = format!("moved-{number}").into_bytes();
            let above = random.pick(&directories).clone();
            let new = if above.is_empty() { name } else { [above, name].join(&b'/') };
            if random.chance(70) {
                other.remove(path);
            }
            other.insert(&new, entry.clone());
        }
    }
    other
}

/// What rsync makes of a tree whose files have other names at the destination, dsync makes of it too, by other means.
#[test]
fn rsync_ends_with_the_same() {
    let Some(rsync) = tools::find("rsync") else { return };
    let cases = std::env::var("DSYNC_ORACLE_CASES").map_or(60, |cases| cases.parse().unwrap());
    let mut saved = 0;
    for seed in 0..cases {
        let mut random = Random::new(7_000_000 + seed);
        let size = 3 + random.below(26);
        let mut source = trees::tree(&mut random, size);
        source.links.clear();
        for entry in source.entries.values_mut() {
            if let Node::File(content) = &mut entry.node
                && random.chance(60)
            {
                let length = 1024 + random.below(200_000);
                *content = random.bytes(length);
            }
        }
        let mut to = with_other_names(&mut random, &source);
        if random.chance(50) {
            let obstacles = Obstacles { full_directories: true, for_directories: true };
            to = trees::earlier(&mut random, &to, obstacles);
        }
        let sets: [&[&str]; 6] = [
            &["-a", "--delete"],
            &["-a"],
            &["-ac", "--delete"],
            &["-au", "--delete", "--exclude=lib"],
            &["-rlptD", "--delete", "--filter=P moved-1*"],
            &["-a", "--delete", "--no-whole-file", "--force"],
        ];
        let options = *random.pick(&sets);
        let scene = Scene::in_memory().tree("source", &source).tree("rsync", &to).tree("dsync", &to);
        let since = snapshot::from_now();
        let options = [options, &["-i"]].concat();
        let theirs = Invocation::new(&rsync, options.iter().copied())
            .args([scene.path("source/"), scene.path("rsync")])
            .run();
        let way = Way::plain()[random.below(3)];
        let ours = [&options[..], &["--detect-renames"]].concat();
        let ours = way.copy(&ours, &[scene.path("source/")], scene.path("dsync")).run();
        assert_eq!(ours.code, theirs.code, "{seed} {ours}\n{theirs}");
        let whole = |name: &str| scene.snapshot(name).with_now(since).in_whole_seconds();
        let columns = Columns { directory_mtime: false, ..Columns::ALL };
        let differences = whole("dsync").differences(&whole("rsync"), columns);
        assert!(differences.is_empty(), "{seed} {differences:#?}\n{ours}\n{theirs}");
        let names = |output: &Output| {
            let of_files =
                |line: &str| line.get(1..11) == Some("f+++++++++") || line.starts_with("*deleting");
            let text = output.out();
            let lines = text.lines().filter(|line| of_files(line));
            let mut names: Vec<String> = lines
                .map(|line| {
                    line.split(" => ").next().unwrap_or_default().get(2..).unwrap_or_default().to_owned()
                })
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&ours), names(&theirs), "{seed} {ours}\n{theirs}");
        saved += ours.out().lines().filter(|line| line.starts_with("cf+++++++++")).count();
    }
    assert!(saved as u64 > cases, "{saved} files were found again");
}
