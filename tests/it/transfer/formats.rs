//! Lines by a format of the user's own, how they are written, and the log.

use crate::support::command::{self, Output, dsync};
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{Direction, Transport, Way};
use crate::support::tree::{Tree, noise};
use rustix::process::Signal;
use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;
use std::time::Duration;

fn scene() -> Scene {
    Scene::with_source(&Tree::new().file("a", "hello\n").file("dir/b", "text").symlink("link", "a"))
}

fn lines(output: &Output) -> Vec<String> {
    let mut lines: Vec<String> = output.out().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn escapes_stand_for_the_same_in_all_directions() {
    for way in Way::plain() {
        let scene = scene();
        let source = scene.path("source/");
        let output =
            way.copy(&["-rl", "--out-format=%o %n%L %l"], &[&source], scene.path("to")).run().success();
        let operation = if way.direction == Direction::Pull { "recv" } else { "send" };
        let expected = ["a 6", "dir/ 0", "dir/b 4", "link -> a 1"].map(|rest| format!("{operation} {rest}"));
        let mut told = lines(&output);
        told.retain(|line| !line.contains("./ "));
        assert_eq!(told, expected, "{way:?}");
    }
}

/// What is known only when a file is there: how much of it travelled, and its sum.
#[test]
fn sums_and_traffic_are_told_when_the_file_is_there() {
    for way in Way::plain() {
        let (old, mut new) = (noise(1 << 20, 1), noise(1 << 20, 1));
        new[700_000] ^= 1;
        let scene =
            Scene::with_source(&Tree::new().file("big", &new).file("small", "hello\n").file("none", ""))
                .tree("to", &Tree::new().file("big", &old).mtime("big", 1_000));
        let options = ["-rt", "--no-whole-file", "--checksum-choice=md5", "--out-format=%n %C %b"];
        let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        let told = lines(&output);
        let line = |name: &str| {
            let line = told.iter().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{output}"));
            line.split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(line("small ")[1], "b1946ac92492d2347c6235b4d2611184", "{way:?}");
        assert_eq!(line("none ")[1], "d41d8cd98f00b204e9800998ecf8427e", "{way:?}");
        if command::is_rsync() {
            continue;
        }
        assert_eq!((&*line("small ")[2], &*line("none ")[2]), ("6", "0"), "{way:?}");
        let big = line("big ");
        assert!(big[2].parse::<u64>().unwrap() <= 300_000, "{way:?}: {big:?}");
        assert!(big[1].chars().all(|c| c.is_ascii_hexdigit()) && big[1].len() == 32, "{big:?}");
    }
}

#[test]
fn a_dry_run_has_no_sums_yet() {
    let scene = scene();
    let output = dsync(["-rn", "--out-format=%n %C"]).args([scene.path("source/"), scene.path("to")]).run();
    let output = output.success();
    assert!(output.out().contains(&format!("a {}\n", "0".repeat(32))), "{output}");
    assert!(output.out().contains(&format!("dir/ {}\n", " ".repeat(32))), "{output}");
}

#[test]
fn high_bytes_are_shown_only_if_asked_for() {
    let scene = Scene::with_source(&Tree::new().file(b"x\xff\x1b\xc3\xa9", "1"));
    let run = |option: &str| {
        dsync(["-rn", "--out-format=%n", option])
            .args([scene.path("source/"), scene.path("to")])
            .run()
            .success()
    };
    let shows = |output: &Output, name: &[u8]| output.stdout.windows(name.len()).any(|part| part == name);
    let (plain, raw) = (run("-v"), run("-8"));
    assert!(shows(&plain, b"\nx\\#377\\#033\xc3\xa9\n"), "{plain}");
    assert!(shows(&raw, b"x\xff\\#033\xc3\xa9\n"), "{raw}");
}

/// A control character of two bytes is one like any other, and what somebody typed stands for itself.
#[test]
fn high_bytes_that_are_characters_stay_harmless() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync lets them through");
    }
    let scene = Scene::with_source(&Tree::new().file(b"q\xc2\x9b[31mRED", "1"));
    let output =
        dsync(["-rn8", "--out-format=\\#377 %n"]).args([scene.path("source/"), scene.path("to")]).run();
    let shown = output.success().stdout;
    assert!(shown.is_ascii(), "{shown:?}");
    assert!(shown.ends_with(b"\\#134#377 q\\#302\\#233[31mRED\n"), "{shown:?}");
}

/// The name with its source, and what a format says itself.
#[test]
fn lines_are_those_of_rsync() {
    let Some(rsync) = tools::find("rsync") else { return };
    for (options, source) in [
        (&["-rl", "--out-format=%f"][..], "./source/"),
        (&["-rl", "--out-format=%f"], ".//source/./"),
        (&["-rl", "--out-format=%f"], "./source/dir"),
        (&["-rl", "--out-format=A\n%n\t\x1b\\#377"], "source/"),
        (&["-rl8", "--out-format=A\n%n\t\u{e9}\\#377"], "source/"),
        (&["-rl", "--out-format=%n%i"], "source/"),
        (&["-rlv", "--out-format=%n"], "source/"),
        (&["-rl", "--info=name"], "source/"),
    ] {
        let run = |program: &Path| {
            let scene = scene();
            let words = options.iter().map(std::ffi::OsString::from);
            let run = command::Invocation::new(program, words).args([source, "to"]).current_dir(scene.root());
            let mut lines = lines(&run.run().success());
            lines.retain(|line| !line.starts_with("sent ") && !line.starts_with("total "));
            lines
        };
        assert_eq!(run(command::binary()), run(&rsync), "{options:?} {source}");
    }
}

#[test]
fn all_goes_to_standard_error_if_asked_for() {
    let scene = scene();
    for option in ["--stderr=all", "--msgs2stderr"] {
        let output = dsync(["-rvn", option]).args([scene.path("source/"), scene.path("to")]).run().expect(0);
        assert_eq!(output.out(), "", "{output}");
        assert!(output.err().contains("dir/b\n"), "{output}");
    }
}

/// The lines of a log without time and process.
fn log_lines(path: &Path) -> Vec<String> {
    let log = fs::read_to_string(path).unwrap();
    let body = |line: &str| {
        let (before, after) = line.split_once("] ").unwrap_or_else(|| panic!("{line}"));
        let (time, process) = before.split_once(" [").unwrap_or_else(|| panic!("{line}"));
        assert!(time.len() == 19 && time.as_bytes()[4] == b'/' && time.as_bytes()[13] == b':', "{line}");
        assert!(process.parse::<u32>().is_ok(), "{line}");
        after.to_owned()
    };
    log.lines().map(body).filter(|line| !line.starts_with("sent ") && !line.starts_with("total ")).collect()
}

#[test]
fn a_log_says_what_rsyncs_says() {
    let Some(rsync) = tools::find("rsync") else { return };
    let tree = Tree::new().file("extra/x", "1").file("a", "old").mtime("a", 1_000);
    for options in [
        &["-a", "--delete"][..],
        &["-av", "--delete"],
        &["-aq", "--delete"],
        &["-rl", "--log-file-format=%o %n %l", "--delete", "--exclude=dir"],
        &["-a", "--log-file-format=%n", "--out-format=%n", "--delete"],
        &["-a", "--log-file-format=", "-v", "--delete"],
        &["-a", "--log-file-format=", "--delete"],
        &["-a", "--log-file-format=A\n%o\t\x1b%n"],
        &["-a", "--out-format=%n", "TO-NEW"],
        &["-a", "--out-format=%i", "--log-file-format=%n", "TO-NEW"],
        &["-av", "--log-file-format=%i", "TO-NEW"],
        &["-rv"],
        &["-rtvv", "--existing", "--specials", "--exclude=dir"],
        &["-aii"],
    ] {
        let run = |program: &Path| {
            let scene = scene().tree("to", &tree);
            let log = scene.path("log");
            let is_new = options.contains(&"TO-NEW");
            let options = options.iter().filter(|word| **word != "TO-NEW").map(std::ffi::OsString::from);
            command::Invocation::new(program, options)
                .args(["--log-file=log", "source/", if is_new { "new" } else { "to" }])
                .current_dir(scene.root())
                .run()
                .success();
            let mut lines = log_lines(&log);
            // What rsync says of how it works.
            lines.retain(|line| {
                !["delta-transmission ", "sending ", "total: ", "[sender] "]
                    .iter()
                    .any(|own| line.starts_with(own))
            });
            lines.sort();
            lines
        };
        assert_eq!(run(command::binary()), run(&rsync), "{options:?}");
    }
}

#[test]
fn a_log_goes_on_and_escapes() {
    let scene = Scene::with_source(&Tree::new().file(b"x\xff", "1"));
    let log = scene.path("log");
    let run = |more: &str| {
        let option = format!("--log-file={}", log.display());
        dsync(["-r8", &option, more]).args([scene.path("source/"), scene.path("to")]).run()
    };
    run("-q").success();
    run("--existing").success();
    if !command::is_rsync() {
        let told = log_lines(&log);
        let file = ">f+++++++++ x\\#377".to_owned();
        assert_eq!(told.iter().filter(|line| **line == file).count(), 1, "{told:?}");
        assert_eq!(told.iter().filter(|line| *line == "building file list").count(), 2, "{told:?}");
        fs::remove_dir_all(scene.path("source")).unwrap();
        run("-q").expect(23);
        let told = log_lines(&log);
        assert!(told.last().is_some_and(|line| line.ends_with("(code 23)")), "{told:?}");
    }
}

#[test]
fn a_log_that_cannot_be_written_is_done_without() {
    let scene = scene();
    let option = format!("--log-file={}", scene.path("nowhere/log").display());
    let output = dsync(["-a", &option]).args([scene.path("source/"), scene.path("to")]).run().expect(0);
    assert!(output.err().contains("nowhere/log"), "{output}");
    assert!(!output.err().contains("os error"), "{output}");
    assert!(scene.path("to/a").exists());
    let output = dsync(["-a", "--log-file="]).args([scene.path("source/"), scene.path("to")]).run().success();
    assert_eq!(output.err(), "", "{output}");
}

#[test]
fn a_log_is_begun_where_a_link_leads() {
    let scene = scene();
    symlink("real", scene.path("log")).unwrap();
    let option = format!("--log-file={}", scene.path("log").display());
    let output = dsync(["-a", &option]).args([scene.path("source/"), scene.path("to")]).run().success();
    assert_eq!(output.err(), "", "{output}");
    assert!(log_lines(&scene.path("real")).len() > 3);
}

#[test]
fn what_keeps_a_run_from_beginning_is_logged() {
    let scene = scene();
    let option = format!("--log-file={}", scene.path("log").display());
    let rules = format!("--exclude-from={}", scene.path("nowhere").display());
    dsync(["-a", &option, &rules]).args([scene.path("source/"), scene.path("to")]).run().expect(11);
    let told = log_lines(&scene.path("log"));
    assert!(told.iter().any(|line| line.contains("nowhere") && line.contains("No such file")), "{told:?}");
    assert!(told.last().is_some_and(|line| line.contains("(code 11)")), "{told:?}");
}

#[test]
fn a_log_that_nobody_reads_can_be_given_up() {
    let scene = scene();
    let fifo = scene.path("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    let option = format!("--log-file={}", fifo.display());
    for signal in [Signal::INT, Signal::TERM] {
        let mut running = dsync(["-a", &option]).args([scene.path("source/"), scene.path("to")]).start();
        std::thread::sleep(Duration::from_millis(300));
        assert!(!running.has_ended(), "nobody has opened the pipe");
        running.signal(signal);
        let output = running.finish();
        assert!(output.elapsed < Duration::from_secs(5), "{output}");
        assert!(output.signal.is_some() || output.code == Some(20), "{output}");
    }
}

/// Whoever may plant a link where the log is expected must not choose what is written to.
#[test]
fn no_log_is_written_through_somebody_elses_link() {
    if !tools::is_root() {
        return tools::missing("root, who may give a link away");
    }
    let scene = scene();
    fs::write(scene.path("victim"), "precious\n").unwrap();
    symlink(scene.path("victim"), scene.path("log")).unwrap();
    let run = || {
        let option = format!("--log-file={}", scene.path("log").display());
        dsync(["-a", &option]).args([scene.path("source/"), scene.path("to")]).run().expect(0)
    };
    lchown(scene.path("log"), Some(65_534), None).unwrap();
    let output = run();
    assert!(output.err().contains("belongs to another user"), "{output}");
    assert_eq!(scene.read("victim"), b"precious\n");
    lchown(scene.path("log"), Some(0), None).unwrap();
    run();
    assert!(scene.read("victim").len() > 20);
    // Nor is one made at the end of a link that leads nowhere.
    symlink(scene.path("new"), scene.path("dangling")).unwrap();
    lchown(scene.path("dangling"), Some(65_534), None).unwrap();
    let option = format!("--log-file={}", scene.path("dangling").display());
    dsync(["-a", &option]).args([scene.path("source/"), scene.path("to")]).run().expect(0);
    assert!(!scene.path("new").exists());
    let trusting = dsync(["-a", "--insecure-links", &option]);
    trusting.args([scene.path("source/"), scene.path("to")]).run().expect(0);
    assert!(scene.path("new").exists());
}

#[test]
fn no_log_is_written_outside_of_where_the_run_is_confined_to() {
    if command::is_rsync() {
        return tools::not_for_rsync("it lets a log be anywhere");
    }
    let scene = scene();
    fs::create_dir_all(scene.path("inside")).unwrap();
    for (log, is_written) in [("inside/log", true), ("outside", false)] {
        let options = [
            format!("--confine-root={}", scene.path("inside").display()),
            format!("--log-file={}", scene.path(log).display()),
        ];
        let output = dsync(["-a"]).args(options).args([scene.path("source/"), scene.path("inside/to")]).run();
        assert_eq!(scene.path(log).exists(), is_written, "{output}");
        assert_eq!(output.expect(0).err().contains("going on without it"), !is_written);
    }
}

#[test]
fn lines_come_one_by_one_over_a_pipe_if_asked_for() {
    if command::is_rsync() {
        return tools::not_for_rsync("how rsync buffers is its own affair");
    }
    // Enough that a block would not be full before the end.
    let tree = (0..50).fold(Tree::new(), |tree, n| tree.file(format!("f{n}"), "x"));
    let scene = Scene::with_source(&tree);
    for (mode, writes) in [("--outbuf=L", 50), ("--outbuf=B", 1)] {
        let Some(strace) = tools::find("strace") else { return };
        let trace = scene.path("trace");
        let words = ["-f", "-e", "trace=write", "-o"].map(std::ffi::OsString::from);
        command::Invocation::new(&strace, words)
            .args([trace.clone().into_os_string(), command::binary().into()])
            .args(["-rn", "--out-format=line %n", mode])
            .args([scene.path("source/"), scene.path("to")])
            .run()
            .success();
        let trace = fs::read_to_string(trace).unwrap();
        let lines = trace.lines().filter(|line| line.contains("write(1, \"")).count();
        assert!(if writes == 1 { lines <= 2 } else { lines >= writes }, "{mode}: {lines}");
    }
}

#[test]
fn over_a_remote_shell_the_log_is_kept_here() {
    let scene = scene();
    let option = format!("--log-file={}", scene.path("log").display());
    let way = Way { transport: Transport::Rsh, direction: Direction::Pull };
    way.copy(&["-a", &option], &[scene.path("source/")], scene.path("to")).run().success();
    let told = log_lines(&scene.path("log"));
    assert!(told.contains(&"receiving file list".to_owned()), "{told:?}");
    assert!(told.contains(&">f+++++++++ dir/b".to_owned()), "{told:?}");
}
