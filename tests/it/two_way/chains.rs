//! Three and four replicas that meet in pairs, in any order.

use crate::oracle::random::Random;
use crate::support::command::Output;
use crate::support::scene::Scene;
use crate::support::transport::Way;
use crate::support::tree::Tree;
use crate::two_way::model::{Node, What};
use crate::two_way::user::{self, Edit};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// What some of the runs leave out.
const EXCLUDED: [&str; 4] = ["*.txt", "/c", "d", "/a/a"];

/// More sweeps over all neighbours than news needs to get everywhere.
const MANY: usize = 12;

struct Chain {
    // Holds the trees.
    scene: Scene,
    length: usize,
}

impl Chain {
    fn new(length: usize) -> Chain {
        let scene = (0..length).fold(Scene::in_memory(), |scene, n| scene.tree(&n.to_string(), &Tree::new()));
        Chain { scene, length }
    }

    fn root(&self, n: usize) -> PathBuf {
        self.scene.path(&n.to_string())
    }

    fn read(&self, n: usize) -> Node {
        user::read(&self.root(n))
    }

    fn all(&self) -> Vec<Node> {
        (0..self.length).map(|n| self.read(n)).collect()
    }

    fn run(&self, [one, other]: [usize; 2], policy: &str) -> Output {
        self.run_with(&["-AX", &format!("--conflict={policy}")], [one, other])
    }

    fn run_with(&self, options: &[&str], [one, other]: [usize; 2]) -> Output {
        let options: Vec<&str> = ["-2", "--allow-mass-delete"].iter().chain(options).copied().collect();
        Way::LOCAL.copy(&options, &[self.root(one)], self.root(other)).run()
    }

    /// Some two meet, perhaps leaving out something.
    fn run_some(&self, random: &mut Random, policy: &str) -> Output {
        let pair = self.some_pair(random);
        let policy = format!("--conflict={policy}");
        // Not all of them care for attributes.
        let extended = if random.chance(50) { "-AX" } else { "-p" };
        match random.chance(30) {
            true => {
                self.run_with(&[extended, &policy, &format!("--exclude={}", random.pick(&EXCLUDED))], pair)
            }
            false => self.run_with(&[extended, &policy], pair),
        }
    }

    fn some_pair(&self, random: &mut Random) -> [usize; 2] {
        let one = random.below(self.length);
        [one, (one + 1 + random.below(self.length - 1)) % self.length]
    }

    /// Runs neighbours until nothing changes any more.
    fn settle(&self, policy: &str) {
        for _ in 0..MANY {
            let before = self.all();
            for n in 1..self.length {
                let output = self.run([n - 1, n], policy);
                assert!(matches!(output.code, Some(0 | 40)), "{output}");
            }
            if self.all() == before {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    fn assert_all_same(&self, seed: u64) {
        for n in 1..self.length {
            assert!(self.read(0) == self.read(n), "seed {seed}: {:#?}\n{:#?}", self.read(0), self.read(n));
        }
    }
}

/// Whoever edits only what nobody else edits sees it everywhere, and never a conflict.
#[test]
fn who_has_a_part_of_the_tree_keeps_it() {
    for seed in 1..=20 {
        let random = &mut Random::new(seed);
        let chain = Chain::new(3 + random.below(2));
        for n in 0..chain.length {
            fs::create_dir(chain.root(n).join(format!("of {n}"))).unwrap();
        }
        for _ in 0..5 {
            for n in 0..chain.length {
                let places = Edit::places(random);
                user::edit(&chain.root(n).join(format!("of {n}")), &Edit::some(random, &places, 6));
            }
            for _ in 0..random.below(4) {
                let output = chain.run_some(random, "skip");
                // A directory that holds what is left out may have to stay where something else is to be.
                assert!(matches!(output.code, Some(0 | 40)), "seed {seed}: {output}");
                let conflicts = output.err().matches("conflict: ").count();
                let occupied = output.err().matches("takes no part").count();
                assert_eq!(conflicts, occupied, "seed {seed}: {output}");
            }
        }
        let own = |n: usize| -> Node {
            let What::Dir(mut nodes) = chain.read(n).what else { panic!("a root is a directory") };
            nodes.remove(&format!("of {n}")).unwrap()
        };
        let wanted: Vec<What> = (0..chain.length).map(|n| without_times(own(n)).what).collect();
        chain.settle("skip");
        chain.assert_all_same(seed);
        let found: Vec<What> = (0..chain.length).map(|n| without_times(own(n)).what).collect();
        assert!(found == wanted, "seed {seed}: {wanted:#?}\n{found:#?}");
    }
}

/// The same without what a later time of an untouched twin may change.
fn without_times(node: Node) -> Node {
    let what = match node.what {
        What::Dir(nodes) => {
            What::Dir(nodes.into_iter().map(|(name, node)| (name, without_times(node))).collect())
        }
        same => same,
    };
    Node { what, mtime: 0, ..node }
}

fn contents(tree: &Node) -> BTreeSet<Vec<u8>> {
    let files = tree.below().into_values().filter_map(|node| match &node.what {
        What::File(content) => Some(content.clone()),
        _ => None,
    });
    files.collect()
}

/// Everybody edits everything: in the end all have the same, and all that nobody gave up.
#[test]
fn where_both_are_kept_nothing_is_lost() {
    for seed in 1..=20 {
        let random = &mut Random::new(seed);
        let chain = Chain::new(3 + random.below(2));
        let (mut written, mut given_up) = (BTreeSet::new(), BTreeSet::new());
        for round in 0..4 {
            for n in 0..chain.length {
                let before = contents(&chain.read(n));
                let places = Edit::places(random);
                for edit in Edit::some(random, &places, 4) {
                    user::edit(&chain.root(n), &[edit]);
                    make_unique(&chain.root(n), &format!("{round} on {n}"), &before);
                }
                let after = contents(&chain.read(n));
                given_up.extend(before.difference(&after).cloned());
                written.extend(after.difference(&before).cloned());
            }
            for _ in 0..random.below(4) {
                let output = chain.run_some(random, "keep-both");
                assert!(matches!(output.code, Some(0 | 40)), "{output}");
            }
        }
        chain.settle("keep-both");
        chain.assert_all_same(seed);
        let left = contents(&chain.read(0));
        let lost: Vec<_> = written.difference(&given_up).filter(|content| !left.contains(*content)).collect();
        assert!(
            lost.is_empty(),
            "seed {seed}: {:?}",
            lost.iter().map(|l| String::from_utf8_lossy(l)).collect::<Vec<_>>()
        );
    }
}

/// Says in each new file whose it is, so that no two have the same content by chance.
fn make_unique(root: &std::path::Path, mark: &str, known: &BTreeSet<Vec<u8>>) {
    for (path, node) in user::read(root).below() {
        let What::File(content) = &node.what else { continue };
        if !known.contains(content) && !content.starts_with(b"made in ") {
            let marked = [format!("made in {mark} as {path}: ").as_bytes(), content].concat();
            let times =
                filetime::FileTime::from_last_modification_time(&root.join(&path).metadata().unwrap());
            fs::write(root.join(&path), marked).unwrap();
            filetime::set_file_mtime(root.join(&path), times).unwrap();
        }
    }
}

/// With `skip`, neighbours differ in the end only where they are told to.
#[test]
fn what_is_left_is_told() {
    for seed in 1..=20 {
        let random = &mut Random::new(seed);
        let chain = Chain::new(3 + random.below(2));
        user::edit(&chain.root(0), &Edit::first(random));
        chain.settle("skip");
        chain.assert_all_same(seed);
        for _ in 0..3 {
            for n in 0..chain.length {
                let places = Edit::places(random);
                user::edit(&chain.root(n), &Edit::some(random, &places, 4));
            }
            for _ in 0..random.below(4) {
                let output = chain.run_some(random, "skip");
                assert!(matches!(output.code, Some(0 | 40)), "{output}");
            }
        }
        chain.settle("skip");
        for n in 1..chain.length {
            let output = chain.run([n - 1, n], "skip");
            let (one, other) = (chain.read(n - 1), chain.read(n));
            let (one, other) = (one.below(), other.below());
            let said = output.err();
            let told = |path: &str| {
                let mut above = path.match_indices('/').map(|(at, _)| &path[..at]).chain([path]);
                above.any(|path| said.contains(&format!("conflict: {path} (")))
            };
            for path in one.keys().chain(other.keys()) {
                let same = match (one.get(path), other.get(path)) {
                    (Some(one), Some(other)) => one.same_content(other) && one.mode == other.mode,
                    _ => false,
                };
                assert!(same || told(path), "seed {seed}: {path} differs and is not reported: {output}");
            }
        }
    }
}

#[test]
fn what_is_deleted_stays_deleted() {
    let tree = Tree::new().file("a", "a").file("dir/b", "b").file("dir/c", "c").file("d", "d").file("e", "e");
    for gone_on in 0..4 {
        let chain = Chain::new(4);
        tree.write(&chain.root(0));
        chain.settle("skip");
        fs::remove_file(chain.root(gone_on).join("a")).unwrap();
        fs::remove_dir_all(chain.root(gone_on).join("dir")).unwrap();
        chain.settle("skip");
        for random in [1, 2].map(Random::new).iter_mut() {
            for _ in 0..6 {
                chain.run(chain.some_pair(random), "skip").success();
                for n in 0..4 {
                    let left: Vec<String> = chain.read(n).below().into_keys().collect();
                    assert_eq!(left, ["d", "e"]);
                }
            }
        }
    }
}
