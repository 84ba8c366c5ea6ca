//! Someone who may write to a tree swaps a directory of it for a link that leads out, again and again, while runs
//! read, fill and clear that tree. Whatever a run meets, it stays inside.

use super::peer::{directory, listing, mention};
use super::victim::{Role, Victim, Way};
use crate::support::command::{self, dsync};
use crate::support::scene::Scene;
use crate::support::snapshot::Columns;
use crate::support::tools;
use crate::support::tree::{Tree, contents};
use dsync::report::Event;
use dsync::wire::Message;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long each kind of run is repeated.
const REPEATED: Duration = Duration::from_millis(1500);
const FILES: usize = 100;
const SECRET: &[u8] = b"SECRET";

/// Swaps two paths until it is dropped.
pub(super) struct Flipper {
    stop: Arc<AtomicBool>,
    flips: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Flipper {
    pub(super) fn start(paths: [PathBuf; 2]) -> Flipper {
        let (stop, flips) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = thread::spawn({
            let (stop, flips) = (stop.clone(), flips.clone());
            move || {
                let [a, b] = &paths;
                while !stop.load(Ordering::Relaxed) {
                    // Fails while a run has just removed one of them.
                    if renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok() {
                        flips.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        });
        Flipper { stop, flips, thread: Some(thread) }
    }

    pub(super) fn finish(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.flips.load(Ordering::Relaxed)
    }
}

impl Drop for Flipper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn names() -> impl Iterator<Item = String> {
    (0..FILES).map(|n| format!("{n:03}"))
}

/// Files that all say the same, and a directory of them.
fn files(content: &str) -> Tree {
    names().fold(Tree::new().file("below/it", content), |tree, name| tree.file(name, content))
}

/// Repeats runs of `flags` from `source` to `to`, both made anew by `make` each time, while `flipped` (a path below
/// the scene) is swapped for a link to `target` outside. `check` looks at what became of it.
fn repeat(flags: &[&str], flipped: &str, target: &str, make: impl Fn(&Scene), check: impl Fn(&Scene)) {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync loses some of these races");
    }
    let outside = Tree::new().file("only-outside", SECRET).file("lone", SECRET);
    let outside = names().fold(outside, |tree, name| tree.file(format!("in/{name}"), SECRET));
    let scene = Scene::new().tree("outside", &outside.file("in/below/it", SECRET));
    let before = scene.snapshot("outside");
    let since = Instant::now();
    let (mut runs, mut flips) = (0, 0);
    while since.elapsed() < REPEATED {
        for tree in ["source", "to", "trap"] {
            let _ = fs::remove_dir_all(scene.path(tree));
            fs::create_dir(scene.path(tree)).unwrap();
        }
        make(&scene);
        let trap = scene.path("trap/link");
        symlink(scene.path("outside").join(target), &trap).unwrap();
        let flipper = Flipper::start([scene.path(flipped), trap]);
        let (source, to) = (contents(&scene.path("source")), scene.path("to"));
        let output = dsync(flags.iter().map(|flag| (*flag).to_owned())).args([source, to]).run();
        flips += flipper.finish();
        runs += 1;
        assert!(matches!(output.code, Some(0 | 23 | 24)), "{output}");
        assert!(!output.err().contains("panicked"), "{output}");
        let differences = before.differences(&scene.snapshot("outside"), Columns::ALL);
        assert!(differences.is_empty(), "outside changed\n{}\n{output}", differences.join("\n"));
        check(&scene);
    }
    assert!(flips > runs, "{flips} flips in {runs} runs are no race");
}

/// Everything at the destination came from the source.
fn nothing_secret(scene: &Scene) {
    let to = scene.snapshot("to");
    let outside = scene.snapshot("outside");
    let secret = &outside.get("lone").expect("it is there").content;
    for path in to.paths() {
        let shown = path.escape_ascii();
        assert!(!path.ends_with(b"only-outside") && !path.ends_with(b"lone"), "{shown} was listed");
        assert!(to.get(path).is_some_and(|stamp| stamp.content != *secret), "{shown} was read");
    }
}

fn write(tree: &Tree, at: &Path) {
    fs::create_dir_all(at).unwrap();
    tree.write(at);
}

#[test]
fn filling_a_directory_that_is_swapped() {
    for flags in [&["-a", "-I"][..], &["-a", "-I", "--inplace"], &["-rt", "-I", "--no-W"]] {
        let make = |scene: &Scene| {
            write(&files("new"), &scene.path("source/d"));
            write(&files("old"), &scene.path("to/d"));
        };
        repeat(flags, "to/d", "in", make, nothing_secret);
    }
}

#[test]
fn replacing_a_file_that_is_swapped() {
    for flags in [&["-a", "-I"][..], &["-a", "-I", "--inplace"], &["-a", "-c"]] {
        let make = |scene: &Scene| {
            write(&files("new"), &scene.path("source"));
            write(&files("old"), &scene.path("to"));
        };
        repeat(flags, "to/050", "lone", make, nothing_secret);
    }
}

/// Names in a directory that is swapped, of files in one that is not; and the other way round.
#[test]
fn linking_in_a_directory_that_is_swapped() {
    for flipped in ["to/d", "to/e"] {
        let make = |scene: &Scene| {
            write(&files("new"), &scene.path("source/d"));
            fs::create_dir(scene.path("source/e")).unwrap();
            for name in names() {
                let (one, other) = (format!("source/d/{name}"), format!("source/e/{name}"));
                fs::hard_link(scene.path(&one), scene.path(&other)).unwrap();
            }
            write(&files("old"), &scene.path("to/d"));
            write(&files("old"), &scene.path("to/e"));
        };
        repeat(&["-aH", "-I"], flipped, "in", make, nothing_secret);
    }
}

#[test]
fn looking_elsewhere_in_a_directory_that_is_swapped() {
    for option in ["--link-dest=basis", "--copy-dest=basis"] {
        let make = |scene: &Scene| {
            write(&files("the same"), &scene.path("source/d"));
            fs::create_dir(scene.path("to/basis")).unwrap();
            write(&files("the same"), &scene.path("to/basis/d"));
        };
        repeat(&["-a", option], "to/basis/d", "in", make, nothing_secret);
    }
}

#[test]
fn reading_a_directory_that_is_swapped() {
    for flags in [&["-rt"][..], &["-a"], &["-a", "-c"]] {
        let make = |scene: &Scene| {
            write(&files("open to all"), &scene.path("source/d"));
        };
        repeat(flags, "source/d", "in", make, nothing_secret);
    }
}

#[test]
fn reading_a_file_that_is_swapped() {
    let make = |scene: &Scene| write(&files("open to all"), &scene.path("source"));
    repeat(&["-rt"], "source/050", "lone", make, nothing_secret);
    repeat(&["-a"], "source/050", "lone", make, nothing_secret);
}

#[test]
fn clearing_a_directory_that_is_swapped() {
    // There is nothing else at the source.
    let flags = ["-r", "--delete", "--delete-from-empty"];
    let make = |scene: &Scene| write(&files("old"), &scene.path("to/d"));
    repeat(&flags, "to/d", "in", make, nothing_secret);
    let make = |scene: &Scene| write(&files("old"), &scene.path("to/d/deeper"));
    repeat(&flags, "to/d/deeper", "in", make, nothing_secret);
}

/// A link that is kept is followed only as far as the destination goes, whatever it is the next moment.
#[test]
fn filling_a_directory_that_is_swapped_where_links_are_kept() {
    for flags in [&["-aK", "-I"][..], &["-aK", "-I", "--inplace"], &["-aK", "--delete"]] {
        let make = |scene: &Scene| {
            write(&files("new"), &scene.path("source/d"));
            write(&files("old"), &scene.path("to/real"));
            write(&files("new"), &scene.path("source/real"));
            symlink("real", scene.path("to/d")).unwrap();
        };
        repeat(flags, "to/d", "in", make, nothing_secret);
    }
}

/// What has arrived is removed from the directory it was listed in, wherever another one of its name leads.
#[test]
fn removing_from_a_directory_that_is_swapped() {
    for flags in [&["-a", "--remove-source-files"][..], &["-aL", "--remove-source-files"]] {
        let make = |scene: &Scene| write(&files("open to all"), &scene.path("source/d"));
        repeat(flags, "source/d", "in", make, |_| {});
    }
    let make = |scene: &Scene| write(&files("open to all"), &scene.path("source"));
    repeat(&["-a", "--remove-source-files"], "source/050", "lone", make, |_| {});
}

/// Links that stay inside are read through, and none that is swapped in: it is another one by then.
#[test]
fn reading_a_link_that_is_swapped_where_only_unsafe_ones_are_left_out() {
    let make = |scene: &Scene| {
        write(&files("open to all"), &scene.path("source/d"));
        symlink("d/001", scene.path("source/link")).unwrap();
    };
    repeat(&["-a", "--safe-links"], "source/link", "lone", make, nothing_secret);
}

/// A directory in the place of a file is cleared by the same means.
#[test]
fn making_room_in_a_directory_that_is_swapped() {
    let make = |scene: &Scene| {
        fs::write(scene.path("source/d"), "a file").unwrap();
        write(&files("old"), &scene.path("to/d"));
    };
    repeat(&["-a", "--force"], "to/d", "in", make, nothing_secret);
}

/// Directories are gone, or something else has their name, when their listings come, and so many others are open that
/// they have to be opened again. What they held is told to be out of reach, and nothing is deleted anywhere else.
#[test]
fn clearing_directories_that_were_swapped_before_they_are_listed() {
    const DIRS: u32 = 300;
    let name = |n: u32| format!("d{n:03}");
    let to = (0..DIRS).fold(Tree::new(), |tree, n| tree.file(format!("{}/extra", name(n)), "mine"));
    let scene = Scene::new().tree("to", &to).tree("outside", &Tree::new().file("extra", "not yours"));
    let (mut peer, victim) = Victim::start(&scene, Role::Sink, Way::Server, &["-r", "--delete"]);
    peer.begin_with((0..DIRS).map(|n| directory(&name(n))).collect());
    peer.send_all((0..DIRS).map(|n| mention(n + 1, Some((0, n)))));
    for _ in 0..DIRS {
        peer.expect("a request for a listing", |message| matches!(message, Message::Expand(_)).then_some(()));
    }
    let at = |n: u32| scene.path("to").join(name(n));
    fs::rename(at(0), scene.path("outside/moved")).unwrap();
    fs::rename(at(1), scene.path("outside/swapped")).unwrap();
    symlink(scene.path("outside"), at(1)).unwrap();
    fs::remove_dir_all(at(2)).unwrap();
    fs::remove_dir_all(at(3)).unwrap();
    fs::write(at(3), "a file").unwrap();
    let outside = scene.snapshot("outside");
    peer.send_all((0..DIRS).map(|n| listing(n + 1, Some((0, n)), Vec::new(), true)));
    peer.send(Message::Listed);
    let mut told = Vec::new();
    loop {
        match peer.next() {
            Some(Message::Event(Event::Problem(problem))) => told.push(problem.path),
            Some(Message::Finish(_)) => break,
            Some(_) => {}
            None => panic!("it ended early"),
        }
    }
    peer.send(Message::Finish(Default::default()));
    victim.finish().assert_orderly("swapped before they are listed");
    told.sort();
    assert_eq!(told, (0..4).map(|n| name(n).into_bytes()).collect::<Vec<_>>());
    outside.assert_same(&scene.snapshot("outside"), Columns::ALL);
    assert_eq!(scene.read("to/d003"), b"a file");
    assert!((4..DIRS).all(|n| fs::read_dir(at(n)).unwrap().next().is_none()));
}
