//! Runs that are killed while names join and leave files: the next run ends where an undisturbed one would.

use crate::support::scene::Scene;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::Tree;
use crate::two_way::Two;
use crate::two_way::crash::{KILLED, MANY, Victim, WITHOUT_DIRECTORY_TIMES, crashing_with};
use crate::two_way::linked::{groups, join};

const OPTIONS: &[&str] = &["-H", "--conflict=skip", "--allow-mass-delete"];
const NAMES: [&str; 15] = [
    "a",
    "b",
    "c",
    "parted 1",
    "parted 2",
    "parted 3",
    "new 1",
    "new 2",
    "dir/new 3",
    "alone",
    "joins",
    "moved",
    "gone",
    "link 1",
    "link 2",
];

/// Two trees with the same links, and then what makes, takes apart, changes and extends them, on the left.
fn with_work(way: Way) -> Two {
    let tree = Tree::new()
        .file("a", "edited through one name")
        .file("parted 1", "parted")
        .file("gone", "gone with one name")
        .file("alone", "alone")
        .symlink("link 1", "a");
    let two = Two { scene: Scene::in_memory().tree("left", &tree).tree("right", &Tree::new()), way };
    for (of, name) in
        [("a", "b"), ("a", "c"), ("parted 1", "parted 2"), ("parted 1", "parted 3"), ("gone", "moved")]
    {
        join(&two, &format!("left/{of}"), &format!("left/{name}"));
    }
    two.sync(OPTIONS).success();
    two.write("left/b", "edited, and longer");
    two.touch("left/b", 1_700_000_000);
    two.remove("left/parted 2");
    two.write("left/parted 2", "parted");
    two.touch("left/parted 2", 1_700_000_000);
    two.chmod("left/parted 2", 0o600);
    two.write("left/new 1", "new");
    two.touch("left/new 1", 1_700_000_000);
    join(&two, "left/new 1", "left/new 2");
    join(&two, "left/new 1", "left/dir/new 3");
    join(&two, "left/alone", "left/joins");
    two.remove("left/gone");
    join(&two, "left/link 1", "left/link 2");
    two
}

fn at_every_point(way: Way, victim: Victim) {
    let undisturbed = with_work(way);
    undisturbed.sync(OPTIONS).success();
    undisturbed.assert_same();
    let (wanted, wanted_groups) = (undisturbed.snapshot("left"), groups(&undisturbed, "left", &NAMES));
    assert_eq!(groups(&undisturbed, "right", &NAMES), wanted_groups);
    for at in 1..MANY {
        let two = with_work(way);
        let crashed = crashing_with(&two, OPTIONS, victim, at);
        let output = two.sync(OPTIONS);
        assert_eq!(output.code, Some(0), "{way:?} {victim:?} {at}: {crashed}\n{output}");
        for side in ["left", "right"] {
            let differences = two.snapshot(side).differences(&wanted, WITHOUT_DIRECTORY_TIMES);
            assert!(
                differences.is_empty(),
                "{way:?} {victim:?} {at} {side}: {differences:#?}\n{crashed}\n{output}"
            );
            let found = groups(&two, side, &NAMES);
            assert_eq!(found, wanted_groups, "{way:?} {victim:?} {at} {side}: {crashed}\n{output}");
        }
        let again = two.sync(&[OPTIONS, &["-v"]].concat()).success();
        assert!(again.out().contains("in sync"), "{way:?} {victim:?} {at}: {again}");
        if crashed.code == Some(0) && !crashed.err().contains(KILLED) {
            assert!(at > 40, "there are few points: {at}");
            return;
        }
    }
    panic!("more points than can be");
}

#[test]
fn while_links_are_made_and_taken_apart() {
    at_every_point(Way::LOCAL, Victim::Asking);
    at_every_point(Way { transport: Transport::Rsh, direction: Direction::Push }, Victim::Peer);
}
