//! Runs between two other hosts, through this one.

use crate::support::command::{self, dsync};
use crate::support::scene::Scene;
use crate::support::snapshot::Columns;
use crate::support::tools;
use crate::support::transport::{rsh_script, shell_options};
use crate::support::tree::{Tree, noise};
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// A path on a host, which is this machine whatever it is called.
pub(super) fn on(host: &str, path: &Path) -> OsString {
    let mut operand = OsString::from(format!("{host}:"));
    operand.push(path);
    operand
}

/// The options for a shell that reaches any host but `down`.
pub(super) fn shell(scene: &Scene) -> Vec<OsString> {
    let script = rsh_script(scene.root(), "exec /bin/sh -c \"$*\"\n");
    let body = fs::read_to_string(&script).unwrap();
    fs::write(&script, format!("[ \"$1\" = down ] && exit 42\n{body}")).unwrap();
    shell_options(&script)
}

fn tree() -> Tree {
    Tree::new().file("big", vec![7; 300_000]).file("d/small", "x").symlink("l", "big").mode("d", 0o750)
}

#[test]
fn what_one_host_has_the_other_gets() {
    if command::is_rsync() {
        return tools::not_for_rsync("it refuses two other hosts");
    }
    for options in [&["-ai"][..], &["-aiz"]] {
        let scene = Scene::with_source(&tree()).tree("to", &Tree::new().file("extra", "x"));
        let run = |more: &[&str]| {
            let options: Vec<OsString> = options.iter().chain(more).map(OsString::from).collect();
            let operands = [on("one", &scene.path("source/")), on("two", &scene.path("to"))];
            dsync(options).args(shell(&scene)).args(operands).run()
        };
        let output = run(&["--delete", "--stats"]).success();
        assert!(output.out().contains("*deleting   extra"), "{output}");
        assert!(output.out().contains("+++++++++ d/small"), "{output}");
        assert_eq!(output.number("Number of regular files transferred:"), 2, "{output}");
        scene.snapshot("to").assert_same(&scene.snapshot("source"), Columns::ALL);
        let again = run(&["--delete"]).success();
        assert_eq!(again.out(), "", "{again}");
    }
}

#[test]
fn what_has_no_effect_between_them_is_told_or_refused() {
    if command::is_rsync() {
        return tools::not_for_rsync("it refuses two other hosts");
    }
    let scene = Scene::with_source(&tree());
    let run = |option: &str| {
        let operands = [on("one", &scene.path("source/")), on("two", &scene.path("to"))];
        dsync(["-a", option]).args(shell(&scene)).args(operands).run()
    };
    for option in ["--insecure-links", "--confine-root=/"] {
        let output = run(option).expect(1);
        assert!(output.err().contains("is about paths on this side"), "{output}");
        assert!(!scene.path("to").exists());
    }
    let output = run("--streams=3").expect(0);
    assert!(output.err().contains("going on with 1 of 3 streams"), "{output}");
    scene.snapshot("to").assert_same(&scene.snapshot("source"), Columns::ALL);
}

#[test]
fn only_what_changed_goes_between_them() {
    if command::is_rsync() {
        return tools::not_for_rsync("it refuses two other hosts");
    }
    let content: Vec<u8> =
        (0..4_000_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    let mut changed = content.clone();
    changed[1_000_000] ^= 1;
    let scene = Scene::in_memory().tree("source", &Tree::new().file("f", changed).mtime("f", 1_700_000_000));
    let scene = scene.tree("to", &Tree::new().file("f", content));
    let operands = [on("one", &scene.path("source/")), on("two", &scene.path("to"))];
    let output = dsync(["-a", "--stats"]).args(shell(&scene)).args(operands).run().success();
    assert!(scene.read("to/f") == scene.read("source/f"));
    assert!(output.number("Literal data:") < 600_000, "{output}");
    assert!(output.number("Total bytes sent:") < 1_000_000, "{output}");
}

#[test]
fn what_goes_wrong_on_either_host_is_told() {
    if command::is_rsync() {
        return tools::not_for_rsync("it refuses two other hosts");
    }
    let scene = Scene::with_source(&tree()).tree("to", &Tree::new().file("a-file", "old"));
    let run = |from: OsString, to: OsString| dsync(["-a"]).args(shell(&scene)).args([from, to]).run();
    let (source, to) = (scene.path("source/"), scene.path("to"));
    let output = run(on("one", &scene.path("nosuch")), on("two", &to)).expect(23);
    assert!(output.err().contains("nosuch"), "{output}");
    let output = run(on("one", &source), on("two", &scene.path("to/a-file")));
    assert!(matches!(output.code, Some(3 | 11)) && output.err().contains("a-file"), "{output}");
    assert_eq!(scene.read("to/a-file"), b"old");
    for (from, host) in [("down", "two"), ("one", "down")] {
        let output = run(on(from, &source), on(host, &to));
        assert_eq!(output.code, Some(42), "{output}");
    }
    let output = dsync(["-2"]).args(shell(&scene)).args([on("one", &source), on("two", &to)]).run();
    assert_eq!(output.code, Some(1), "{output}");
}

#[test]
fn a_list_on_the_host_of_the_source_is_used() {
    if command::is_rsync() {
        return tools::not_for_rsync("it refuses two other hosts");
    }
    let scene = Scene::with_source(&tree());
    fs::write(scene.path("list"), "d/small\n").unwrap();
    let mut list = OsString::from("--files-from=");
    list.push(on("one", &scene.path("list")));
    let operands = [on("one", &scene.path("source")), on("two", &scene.path("to/"))];
    dsync(["-a"]).args([list]).args(shell(&scene)).args(operands).run().success();
    assert_eq!(scene.paths("to"), ["d", "d/small"]);
}

/// The network is gone: neither host can say that it hears nothing of the other.
#[test]
fn hosts_that_both_fall_silent_meet_the_timeout() {
    if command::is_rsync() {
        return tools::not_for_rsync("it refuses two other hosts");
    }
    let scene = Scene::with_source(&Tree::new().file("big", noise(4 << 20, 1))).tree("to", &Tree::new());
    let script = rsh_script(scene.root(), "echo $$ >> pids; exec /bin/sh -c \"exec $*\"\n");
    let mut running = dsync(["-a", "--timeout=2", "--bwlimit=100"])
        .args(shell_options(&script))
        .args([on("one", &scene.path("source/")), on("two", &scene.path("to"))])
        .current_dir(scene.root())
        .start();
    let began = Instant::now();
    while scene.paths("to").is_empty() && !running.has_ended() {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing arrives");
        thread::sleep(Duration::from_millis(20));
    }
    let pids = fs::read_to_string(scene.path("pids")).unwrap();
    let pids: Vec<Pid> = pids.lines().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect();
    assert_eq!(pids.len(), 2);
    pids.iter().for_each(|pid| kill_process(*pid, Signal::STOP).unwrap());
    let output = running.finish().expect(30);
    assert!(output.err().contains("2 seconds"), "{output}");
    // Whoever never says anything is given up before that.
    fs::write(&script, "exec sleep 60\n").unwrap();
    let output = dsync(["-a", "--timeout=1"])
        .args(shell_options(&script))
        .args([on("one", &scene.path("source/")), on("two", &scene.path("to"))])
        .run()
        .expect(30);
    assert!(output.err().contains("1 seconds"), "{output}");
}
