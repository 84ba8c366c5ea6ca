//! Random edits, and then an accident: a history that is lost, damaged, old or somebody else's, or a run that is
//! killed.
//!
//! What holds after each: nothing that was there is gone from both sides and their trash, nothing vanished that nobody
//! removed, and the next run comes to rest.

use crate::oracle::random::Random;
use crate::support::command::Output;
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::Two;
use crate::two_way::model::{Node, What};
use crate::two_way::user::{self, Edit};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

const SIDES: [&str; 2] = ["left", "right"];
/// ACLs and extended attributes take part.
const EXTENDED: &str = "-AX";
const FORKS: u64 = 120;
const KILLS: u64 = 100;
/// The exit code of a run that cannot read a history.
const FILE_IO: i32 = 11;

fn cp(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

fn start(random: &mut Random) -> Two {
    let scene = Scene::in_memory().tree("left", &Tree::new()).tree("right", &Tree::new());
    let two = Two { scene, way: Way::LOCAL };
    user::edit(&two.scene.path("left"), &Edit::first(random));
    two.sync(&[EXTENDED]).success();
    two
}

fn read(two: &Two) -> [Node; 2] {
    SIDES.map(|side| user::read(&two.scene.path(side)))
}

/// The contents of the files in a tree.
fn files(tree: &Node) -> impl Iterator<Item = Vec<u8>> {
    tree.below().into_values().filter_map(|node| match &node.what {
        What::File(content) => Some(content.clone()),
        _ => None,
    })
}

/// The contents of all files, with those in the trash.
fn contents(two: &Two) -> BTreeSet<Vec<u8>> {
    let trash = SIDES.map(|side| two.scene.path(&format!("{side}/.dsync/trash")));
    let trash = trash.iter().filter(|at| at.exists()).map(|at| user::read(at));
    let trees: Vec<Node> = read(two).into_iter().chain(trash).collect();
    trees.iter().flat_map(files).collect()
}

/// Edits of a tree after which everything that was there is still there, if perhaps in another version.
fn without_removals(random: &mut Random, root: &Path) -> Vec<Edit> {
    let places = Edit::places(random);
    let mut edits = Edit::some(random, &places, 5);
    edits.retain(|edit| match edit {
        Edit::Write(at, ..) => !root.join(at).is_dir(),
        Edit::Chmod(..) | Edit::Mark(..) | Edit::Grant(..) | Edit::Touch(..) | Edit::Restore(..) => true,
        _ => false,
    });
    edits
}

/// What happens to the history of one side.
fn accident(random: &mut Random, two: &Two, old: &Path) -> &'static str {
    let side = *random.pick(&SIDES);
    let own = two.scene.path(&format!("{side}/.dsync"));
    let history = own.join("history");
    match random.below(7) {
        0 => {
            fs::remove_dir_all(&own).unwrap();
            "lost"
        }
        1 => {
            SIDES
                .iter()
                .for_each(|side| fs::remove_dir_all(two.scene.path(&format!("{side}/.dsync"))).unwrap());
            "both lost"
        }
        2 => {
            fs::remove_dir_all(&own).unwrap();
            cp(&old.join(side), &own);
            "old, as a backup has it"
        }
        3 => {
            // In the same file, as a snapshot of the file system has it.
            fs::write(&history, fs::read(old.join(side).join("history")).unwrap()).unwrap();
            "old, in the same inode"
        }
        4 => {
            let other = if side == "left" { "right" } else { "left" };
            fs::remove_dir_all(&own).unwrap();
            cp(&two.scene.path(&format!("{other}/.dsync")), &own);
            "the other side's"
        }
        5 => {
            let length = fs::metadata(&history).unwrap().len();
            let file = fs::OpenOptions::new().write(true).open(&history).unwrap();
            file.set_len(random.below(usize::try_from(length).unwrap()) as u64).unwrap();
            "cut off"
        }
        _ => {
            let mut bytes = fs::read(&history).unwrap();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            fs::write(&history, bytes).unwrap();
            "with a wrong bit"
        }
    }
}

/// The run after an accident. A history that cannot be read is removed, as the message says.
fn next_run(two: &Two, policy: &str) -> Output {
    let policy = format!("--conflict={policy}");
    let options = [policy.as_str(), "--allow-mass-delete", EXTENDED];
    let before = read(two);
    let output = two.sync(&options);
    if output.code != Some(FILE_IO) {
        return output;
    }
    assert!(read(two) == before, "a run that could not read a history has changed something: {output}");
    for side in SIDES.iter().filter(|side| {
        output.err().contains(&format!("/{side}/.dsync")) || output.err().contains(&format!("/{side}:"))
    }) {
        fs::remove_dir_all(two.scene.path(&format!("{side}/.dsync"))).unwrap();
    }
    let again = two.sync(&options);
    assert_ne!(again.code, Some(FILE_IO), "{output}\n{again}");
    again
}

#[test]
fn a_history_that_is_not_what_it_should_be_deletes_nothing() {
    for seed in 1..=FORKS {
        let random = &mut Random::new(seed);
        let two = start(random);
        let old = two.scene.path("old");
        fs::create_dir(&old).unwrap();
        SIDES.iter().for_each(|side| cp(&two.scene.path(&format!("{side}/.dsync")), &old.join(side)));
        for side in SIDES {
            let places = Edit::places(random);
            user::edit(&two.scene.path(side), &Edit::some(random, &places, 6));
        }
        let policy = *random.pick(&["skip", "keep-both"]);
        two.sync(&[&format!("--conflict={policy}"), "--allow-mass-delete", EXTENDED]);
        let what = accident(random, &two, &old);
        for side in SIDES {
            let root = two.scene.path(side);
            user::edit(&root, &without_removals(random, &root));
        }
        let before = read(&two);
        let output = next_run(&two, policy);
        assert!(matches!(output.code, Some(0 | 40)), "seed {seed}, {what}: {output}");
        let kept = contents(&two);
        for content in before.iter().flat_map(files) {
            let text = String::from_utf8_lossy(&content);
            assert!(kept.contains(&content), "seed {seed}, {what}: {text:?} is lost: {output}");
        }
        let after = read(&two);
        let after = after.each_ref().map(Node::below);
        for path in before.iter().flat_map(|tree| tree.below().into_keys()) {
            assert!(
                after.iter().any(|tree| tree.contains_key(&path)),
                "seed {seed}, {what}: {path} vanished: {output}"
            );
        }
        // And it comes to rest.
        next_run(&two, policy);
        let now = read(&two);
        let last = next_run(&two, policy);
        assert!(read(&two) == now, "seed {seed}, {what}: {last}");
        if last.code == Some(0) {
            two.assert_same();
        }
    }
}

/// Wherever a run is killed, the next one leaves what an undisturbed one does.
#[test]
fn a_killed_run_is_made_up_for() {
    let mut killed = 0;
    for seed in 1..=KILLS {
        let [crashed, undisturbed] = [true, false].map(|crashes| {
            let random = &mut Random::new(seed);
            let two = start(random);
            for side in SIDES {
                let places = Edit::places(random);
                user::edit(&two.scene.path(side), &Edit::some(random, &places, 6));
            }
            let policy = *random.pick(&["skip", "keep-both", "larger", "local"]);
            let options = ["-2", EXTENDED, &format!("--conflict={policy}"), "--allow-mass-delete"];
            let written = contents(&two);
            if crashes {
                let run = two.way.copy(&options, &[two.scene.path("left")], two.scene.path("right"));
                let output = run.variable("DSYNC_CRASH_AT", 1 + random.below(60)).run();
                killed += usize::from(output.signal.is_some());
            }
            let output = two.sync(&options[1..]);
            assert!(matches!(output.code, Some(0 | 40)), "seed {seed}: {output}");
            let kept = contents(&two);
            assert!(written.is_subset(&kept), "seed {seed}: {output}");
            (read(&two), output)
        });
        let same = |one: &Node, other: &Node| {
            let (one, other) = (one.below(), other.below());
            one.keys().eq(other.keys())
                && one.iter().all(|(path, node)| {
                    other.get(path).is_some_and(|other| {
                        node.same_content(other) && (node.mode, node.marks) == (other.mode, other.marks)
                    })
                })
        };
        for side in 0..2 {
            assert!(
                same(&crashed.0[side], &undisturbed.0[side]),
                "seed {seed}: {:#?}\n{:#?}\n{}\n{}",
                crashed.0[side],
                undisturbed.0[side],
                crashed.1,
                undisturbed.1
            );
        }
    }
    assert!(killed > 20, "{killed}");
}
