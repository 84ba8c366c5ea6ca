//! Runs over several streams: the trees are as they are over one, and fewer streams than were asked for will do.

use crate::support::command::{self, Invocation};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::transport::{Direction, Way, login_options, remote, rsh_script, shell_options};
use crate::support::tree::{Tree, noise};
use crate::support::{sshd, tools};
use std::ffi::OsString;
use std::fs;

/// 6 MB at this rate take long enough for the other streams to join in the beginning.
const RATE: &str = "--bwlimit=4000";

fn scene() -> Scene {
    let small = (0..300).fold(Tree::new(), |tree, number| {
        tree.file(format!("dir/{number}"), noise(number * 7, number as u64))
    });
    Scene::with_source(&small.file("large", noise(6_000_000, 9)))
}

fn assert_equal(scene: &Scene) {
    assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
}

/// A copy over a remote shell that runs `body`.
fn copy_over(scene: &Scene, body: &str, direction: Direction, options: &[&str]) -> Invocation {
    let script = rsh_script(scene.root(), body);
    let (source, to) = (scene.path("source/"), scene.path("to"));
    let operands: [OsString; 2] = match direction {
        Direction::Push => [source.into(), remote(to)],
        Direction::Pull => [remote(source), to.into()],
    };
    command::dsync(shell_options(&script)).args(["-a", RATE]).args(options).args(operands)
}

#[test]
fn every_way() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    for way in Way::all() {
        for streams in ["--streams=1", "--streams=4", "--streams=8"] {
            let scene = scene();
            // It would say so, were it to go on with fewer.
            way.copy(&["-a", streams, RATE], &[scene.path("source/")], scene.path("to")).run().success();
            assert_equal(&scene);
            way.copy(&["-ac", streams], &[scene.path("source/")], scene.path("to")).run().success();
            assert_equal(&scene);
        }
    }
}

/// What goes over each stream is counted on the way.
#[test]
fn each_stream_carries_its_share() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    for (direction, count) in [(Direction::Push, "tee seen.$$ | $*"), (Direction::Pull, "$* | tee seen.$$")] {
        let scene = scene();
        let body = format!("cd {}\n{count}\n", scene.root().display());
        copy_over(&scene, &body, direction, &["--streams=4"]).run().success();
        assert_equal(&scene);
        let seen = fs::read_dir(scene.root()).unwrap().map(|entry| entry.unwrap());
        let seen = seen.filter(|entry| entry.file_name().to_str().unwrap().starts_with("seen."));
        let loads: Vec<u64> = seen.map(|entry| entry.metadata().unwrap().len()).collect();
        assert_eq!(loads.len(), 4, "{loads:?}");
        assert!(loads.iter().all(|load| *load > 800_000), "{direction:?}: {loads:?}");
    }
}

#[test]
fn a_server_that_allows_fewer() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    let Some(login) = sshd::login_with("MaxSessions 2\n") else { return };
    for direction in [Direction::Push, Direction::Pull] {
        let scene = scene();
        let (source, to) = (scene.path("source/"), scene.path("to"));
        let operands: [OsString; 2] = match direction {
            Direction::Push => [source.into(), remote(to)],
            Direction::Pull => [remote(source), to.into()],
        };
        let run =
            command::dsync(login_options(&login.config)).args(["-a", "--streams=4", RATE]).args(operands);
        let output = run.run().expect(0);
        assert!(output.err().starts_with("dsync: going on with 2 of 4 streams: "), "{output}");
        assert!(output.err().contains("MaxSessions"), "{output}");
        assert_equal(&scene);
    }
}

/// The first process runs, the others are no peers, in one way or the other.
#[test]
fn others_that_do_not_come() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    // Slower than the other tests: a run that ends before it knows who does not come has nothing to say of them.
    for others in [
        "exit 7",
        "echo no; exec cat",
        "exec cat </dev/zero",
        "XDG_RUNTIME_DIR=; TMPDIR=/; export TMPDIR; exec $*",
    ] {
        let scene = scene();
        let body = format!(
            "cd {}; mkdir -p here; export XDG_RUNTIME_DIR=$PWD/here\n\
             mkdir first 2>/dev/null && exec $*\n{others}\n",
            scene.root().display()
        );
        let output =
            copy_over(&scene, &body, Direction::Push, &["--streams=3", "--bwlimit=1500"]).run().expect(0);
        assert!(output.err().starts_with("dsync: going on with 1 of 3 streams: "), "{others}\n{output}");
        assert_eq!(output.err().lines().count(), 1, "{others}\n{output}");
        assert_equal(&scene);
        assert!(scene.paths("here").is_empty());
    }
}

/// What has joined ends by itself with the run, which leaves it the time for that.
#[test]
fn others_that_are_slow_to_leave() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    let scene = scene();
    let body = format!(
        "cd {}; mkdir first 2>/dev/null && exec $*\ntrap 'echo told to end >&2' TERM\n$*\nsleep 0.3\necho >> left\n",
        scene.root().display()
    );
    let output = copy_over(&scene, &body, Direction::Push, &["--streams=3"]).run().success();
    assert!(output.err().is_empty(), "{output}");
    assert_eq!(fs::read(scene.path("left")).unwrap(), b"\n\n");
    assert_equal(&scene);
}

#[test]
fn a_host_without_a_place_to_meet() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    let scene = scene();
    let body = "export XDG_RUNTIME_DIR=/no/such TMPDIR=/no/such\nexec $*\n";
    let output = copy_over(&scene, body, Direction::Pull, &["--streams=3"]).run().expect(0);
    assert!(output.err().starts_with("dsync: going on with one stream: "), "{output}");
    // What is wrong with which folder, and what to do.
    assert!(output.err().contains("/no/such") && output.err().contains("XDG_RUNTIME_DIR"), "{output}");
    assert_equal(&scene);
}

#[test]
fn how_many_streams_there_can_be() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    let scene = scene();
    for streams in ["--streams=0", "--streams=9", "--streams=300", "--streams=-1"] {
        let output = command::dsync(["-a", streams]).args([scene.path("source/"), scene.path("to")]).run();
        output.expect(1);
        assert!(!scene.path("to").exists());
    }
}
