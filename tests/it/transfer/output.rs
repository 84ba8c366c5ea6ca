//! What a run says, and what it keeps to itself.

use crate::support::command::{self, Output, dsync};
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{Direction, Way, remote, rsh_script, shell_options};
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

#[test]
fn what_fails_at_the_other_side_is_told_once() {
    let tree = Tree::new().file("a", "1").file("b", "2");
    for way in Way::remote().into_iter().filter(|way| way.direction == Direction::Push) {
        let scene = Scene::with_source(&tree);
        std::fs::write(scene.path("to"), "a file").unwrap();
        let sources = [scene.path("source/a"), scene.path("source/b")];
        let output = way.copy(&["-r"], &sources, scene.path("to")).run().expect(3);
        if !command::is_rsync() {
            let err = output.err();
            let told = err.lines().filter(|line| line.contains("is not a directory")).count();
            assert_eq!((told, err.matches("remote: ").count()), (1, 0), "{way:?}\n{output}");
        }
    }
}

/// As in rsync, whose sender shows the paths that it was given and whose receiver those that it makes.
#[test]
fn kept_paths_begin_with_a_slash_where_they_were_typed_with_one() {
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().file("d/f", "x"));
        let (source, options) = (scene.path("source/d"), ["-aR", "--out-format=%n"]);
        let output = way.copy(&options, &[&source], scene.path("to")).run().success();
        let shown = source.join("f").to_str().unwrap().to_owned() + "\n";
        let expected = if way.direction == Direction::Pull { shown.trim_start_matches('/') } else { &shown };
        let is_shown = output.out().lines().any(|line| line == expected.trim_end());
        assert!(is_shown && output.out().ends_with(expected), "{way:?}\n{output}");
    }
}

#[test]
fn links_are_shown_with_the_text_that_the_source_has() {
    for way in Way::plain() {
        let scene = Scene::with_source(&Tree::new().symlink("l", "elsewhere"));
        let output = way.copy(&["-av", "-M--munge-links"], &[scene.path("source/")], scene.path("to")).run();
        assert!(output.success().out().contains("\nl -> elsewhere\n"), "{way:?}");
        let kept = std::fs::read_link(scene.path("to/l")).unwrap();
        assert_eq!(kept.starts_with("/rsyncd-munged"), way.direction == Direction::Push, "{way:?}");
    }
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

#[test]
fn the_size_of_the_file_list_is_what_of_the_traffic_was_listings() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync counts what it lists before it begins");
    }
    // Names that are hardly shorter for being compressed.
    let name = |n: u64| format!("dir/{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let tree = (0..500).fold(Tree::new(), |tree, n| tree.file(name(n), "text"));
    for way in Way::plain() {
        let scene = Scene::with_source(&tree);
        let copy = || {
            let output = way.copy(&["-a", "--stats"], &[scene.path("source/")], scene.path("to"));
            let output = output.run().success();
            let numbers = ["File list size:", "Total bytes sent:", "Total bytes received:", "Literal data:"];
            numbers.map(|label| output.number(label))
        };
        let ([first, ..], [again, sent, received, literal]) = (copy(), copy());
        if way == Way::LOCAL {
            assert_eq!((first, again, sent, received), (0, 0, literal, 0));
        } else {
            assert!(again > 0 && again * 10 < first && again < sent + received, "{way:?}: {first}, {again}");
        }
    }
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
