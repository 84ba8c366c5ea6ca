//! Runs that are disturbed: interrupted, killed, cut off, short of space, or working on files that change meanwhile.
//!
//! Whatever happens, a name at the destination shows its old content or its new one, nothing is left beside it once
//! both ends are gone, and the next run completes the work.

mod changing;
mod full_disk;
mod killed;
mod lost;
mod parts;
mod retry;
mod signals;
mod streams;

use crate::support::command::Running;
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::transport::Way;
use crate::support::tree::{Tree, noise};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

/// A name of the form that staged files have, but the user's.
const LOOK_ALIKE: &str = ".dsync-0123456789abcdef01234567.part";

/// Slow enough that a run is surely under way whenever a test gets round to disturbing it: 15 s for the large file.
const SLOW: [&str; 3] = ["-a", "-W", "--bwlimit=400"];

fn large() -> Vec<u8> {
    noise(6 << 20, 1)
}

fn old_large() -> Vec<u8> {
    noise(1 << 20, 2)
}

/// A small and a large file to be updated.
fn scene() -> Scene {
    Scene::with_source(&Tree::new().file("large", large()).file("small", "new")).tree(
        "to",
        &Tree::new().file("large", old_large()).file("small", "old content").file(LOOK_ALIKE, "mine"),
    )
}

/// A slow run that has written part of the large file.
fn begin(scene: &Scene, way: Way, options: &[&str]) -> Running {
    let options = [&SLOW, options].concat();
    let running = way.copy(&options, &[scene.path("source/")], scene.path("to")).start();
    wait_for("the large file is under way", || staged(scene).iter().any(|(_, length)| *length > 50_000));
    running
}

/// What lies beside the files at the destination: names and lengths.
fn staged(scene: &Scene) -> Vec<(String, u64)> {
    let entries = fs::read_dir(scene.path("to")).into_iter().flatten().flatten();
    let staged = entries.filter_map(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        let length = entry.metadata().ok()?.len();
        (name.starts_with('.') && name != LOOK_ALIKE).then_some((name, length))
    });
    staged.collect()
}

/// The directories in which parts of files are kept, or files that wait.
const KEPT: [&str; 2] = [".kept", ".~tmp~"];

/// Waits for the peer to have cleaned up after itself, which it may do after the client has ended.
fn wait_until_nothing_is_staged(scene: &Scene) {
    wait_for("nothing is staged", || staged(scene).iter().all(|(name, _)| KEPT.contains(&name.as_str())));
}

/// Checks that each name shows either state and not a mixture.
#[track_caller]
fn assert_old_or_new(scene: &Scene) {
    let large_now = scene.read("to/large");
    assert!(
        large_now == old_large() || large_now == large(),
        "large is a mixture of {} bytes",
        large_now.len()
    );
    let small = scene.read("to/small");
    assert!(small == b"old content" || small == b"new", "small is {small:?}");
    assert_eq!(scene.read(&format!("to/{LOOK_ALIKE}")), b"mine");
}

/// Runs again, undisturbed, and checks the result.
#[track_caller]
fn assert_completes(scene: &Scene, way: Way) {
    way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
    assert_eq!(scene.read(&format!("to/{LOOK_ALIKE}")), b"mine");
    fs::remove_file(scene.path(&format!("to/{LOOK_ALIKE}"))).unwrap();
    // Making and removing that name gave the directory another time.
    assert_same(&scene.path("source"), &scene.path("to"), Columns { directory_mtime: false, ..Columns::ALL });
}

#[track_caller]
pub(crate) fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
