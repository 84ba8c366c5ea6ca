//! What a run says, and what it keeps to itself.

use crate::support::command::{self, Output, dsync};
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{Way, remote, rsh_script, shell_options};
use crate::support::tree::Tree;
use std::os::unix::fs::{lchown, symlink};

fn scene() -> Scene {
    Scene::with_source(&Tree::new().file("same", "x").file("new", "y").directory("dir"))
}

#[test]
fn quiet_is_silent_and_loud_names_what_is_the_same() {
    let scene = scene();
    let (from, to) = (scene.path("source/"), scene.path("to"));
    let quiet = dsync(["-aq"]).args([&from, &to]).run().success();
    assert_eq!((quiet.out(), quiet.err()), (String::new(), String::new()), "{quiet}");
    std::fs::remove_file(scene.path("to/new")).unwrap();
    let named = dsync(["-av"]).args([&from, &to]).run().success();
    assert!(named.out().lines().any(|line| line == "new"), "{named}");
    assert!(!named.out().contains("same"), "{named}");
    let loud = dsync(["-avv"]).args([&from, &to]).run().success();
    assert!(loud.out().lines().any(|line| line == "same is uptodate"), "{loud}");
}

#[test]
fn there_is_no_bar_without_a_terminal() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync draws its bar anywhere");
    }
    let scene = scene();
    let output = dsync(["-aP"]).args([scene.path("source/"), scene.path("to")]).run().success();
    assert_eq!(output.err(), "", "{output}");
    assert!(!output.out().contains(['%', '\r']), "{output}");
}

/// Seconds after `label`.
fn seconds(output: &Output, label: &str) -> f64 {
    let out = output.out();
    let line = out.lines().find_map(|line| line.strip_prefix(label)).unwrap_or_else(|| panic!("{output}"));
    line.strip_suffix(" seconds").unwrap().parse().unwrap()
}

#[test]
fn the_time_to_reach_the_peer_is_told_apart() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync does not tell these times");
    }
    let scene = scene();
    let slow = rsh_script(scene.root(), "sleep 0.5\nexec /bin/sh -c \"$*\"\n");
    let operands = [scene.path("source/").into_os_string(), remote(scene.path("to"))];
    let output = dsync(["-a", "--stats"]).args(shell_options(&slow)).args(operands).run().success();
    let (connecting, all) = (seconds(&output, "Connection time: "), seconds(&output, "Total run time: "));
    assert!(connecting >= 0.5 && all >= connecting && all <= output.elapsed.as_secs_f64(), "{output}");
    for way in Way::remote() {
        let output = way.copy(&["-a", "--stats"], &[scene.path("source/")], scene.path("to")).run().success();
        assert!(seconds(&output, "Connection time: ") <= seconds(&output, "Total run time: "), "{output}");
    }
    let local = dsync(["-a", "--stats"]).args([scene.path("source/"), scene.path("to")]).run().success();
    assert!(!local.out().contains("Connection time"), "{local}");
    assert!(seconds(&local, "Total run time: ") <= local.elapsed.as_secs_f64(), "{local}");
}

/// Whoever may plant a link where a file of rules is expected must not choose what is read.
#[test]
fn a_file_of_rules_behind_somebody_elses_link() {
    let scene = scene();
    std::fs::write(scene.path("rules"), "new\n").unwrap();
    symlink(scene.path("rules"), scene.path("link")).unwrap();
    let run = || {
        let rules = format!("--exclude-from={}", scene.path("link").display());
        dsync(["-a", &rules]).args([scene.path("source/"), scene.path("to")]).run()
    };
    run().success();
    assert_eq!(scene.paths("to"), ["dir", "same"]);
    if !tools::is_root() {
        return tools::missing("root, who may give a link away");
    }
    lchown(scene.path("link"), Some(65534), None).unwrap();
    assert_ne!(run().code, Some(0));
}
