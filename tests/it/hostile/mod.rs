//! Peers that do not keep to the protocol, and trees that change under a run's feet.
//!
//! A peer here speaks through the library's own wire module, or in bytes made by hand where that refuses to say what
//! is wanted. Whatever it does, the program under test ends by itself within seconds, says why, does not panic, and
//! touches nothing but what it was asked to.

mod bases;
mod peer;
mod races;
mod restricted;
mod sinks;
mod sources;
mod talk;
mod victim;

use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, Snapshot};
use crate::support::tree::{Tree, noise};
use peer::Peer;
use victim::{Outcome, Role, Victim, Way};

/// One thing that a peer does, and what is said about it.
struct Case {
    name: String,
    told: &'static str,
    act: Box<dyn Fn(&mut Peer)>,
}

fn case(name: impl Into<String>, told: &'static str, act: impl Fn(&mut Peer) + 'static) -> Case {
    Case { name: name.into(), told, act: Box::new(act) }
}

/// A tree to be copied, one to be copied to that differs in everything, and one that neither has anything to do with.
fn scene() -> Scene {
    let source = Tree::new().file("old", noise(6000, 1)).file("dir/inner", "new").file("fresh", "content");
    let source = source.symlink("link", "old");
    let to = Tree::new().file("keep", "mine").file("old", noise(5000, 2)).file("dir/inner", "mine too");
    let to = to.file("large", noise(70_000, 3));
    let outside = Tree::new().file("secret", "not for you").file("dir/inner", "nor this");
    Scene::new().tree("source", &source).tree("to", &to).tree("outside", &outside)
}

/// Lets a peer act on the program under test in the given role, both as a server and as a client.
fn expect_refusals(role: Role, flags: &[&str], cases: Vec<Case>) {
    for case in cases {
        for way in [Way::Server, Way::Client] {
            let shown = format!("{} ({way:?})", case.name);
            let outcome = unharmed(&shown, role, way, flags, |peer| (case.act)(peer));
            assert!(matches!(outcome.code, Some(2 | 12)), "{shown}\n{outcome}");
            assert!(
                outcome.errors.contains(case.told),
                "{shown}: it does not say {:?}\n{outcome}",
                case.told
            );
        }
    }
}

/// Runs the program against a peer and checks that no tree has changed, that it did not panic and did not take long.
fn unharmed(name: &str, role: Role, way: Way, flags: &[&str], act: impl FnOnce(&mut Peer)) -> Outcome {
    let scene = scene();
    let before: Vec<Snapshot> = TREES.iter().map(|tree| scene.snapshot(tree)).collect();
    let (mut peer, victim) = Victim::start(&scene, role, way, flags);
    act(&mut peer);
    let outcome = victim.finish();
    drop(peer);
    for (tree, before) in TREES.iter().zip(before) {
        let columns = if *tree == "to" { CONTENT } else { Columns::ALL };
        let differences = before.differences(&scene.snapshot(tree), columns);
        assert!(differences.is_empty(), "{name}: {tree} changed\n{}\n{outcome}", differences.join("\n"));
    }
    outcome.assert_orderly(name);
    outcome
}

const TREES: [&str; 3] = ["source", "to", "outside"];

/// Names, kinds and contents alone: the destination's attributes are the run's to set.
const CONTENT: Columns =
    Columns { mode: false, owner: false, mtime: false, directory_mtime: false, xattrs: false };
