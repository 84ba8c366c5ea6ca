//! A run that is asked to stop does so at once, says so by its exit code, and cleans up at both ends.

use crate::faults::{
    assert_completes, assert_old_or_new, begin, large, scene, staged, wait_for, wait_until_nothing_is_staged,
};
use crate::support::command::{self, Running, dsync};
use crate::support::login::Login;
use crate::support::scene::Scene;
use crate::support::transport::{Way, login_options, remote, rsh_script, shell_options};
use crate::support::tree::{Tree, noise};
use crate::support::{russh_server, tools};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn stops_cleanly(signal: Signal, whole_group: bool) {
    for way in Way::all() {
        let scene = scene();
        let running = begin(&scene, way, &[]);
        if whole_group {
            running.signal_group(signal);
        } else {
            running.signal(signal);
        }
        let output = running.finish();
        // A remote shell that is interrupted too may be the first to be heard of.
        let shells_own = command::is_rsync() && whole_group && output.code == Some(255);
        assert!(output.code == Some(20) || shells_own, "{way:?}\n{output}");
        assert!(output.elapsed < Duration::from_secs(12), "{way:?}: it waited for the transfer\n{output}");
        wait_until_nothing_is_staged(&scene);
        assert_old_or_new(&scene);
        assert_completes(&scene, way);
    }
}

#[test]
fn a_terminal_interrupts_everybody() {
    stops_cleanly(Signal::INT, true);
}

#[test]
fn a_request_to_terminate_reaches_the_client_alone() {
    stops_cleanly(Signal::TERM, false);
}

#[test]
fn a_hangup() {
    stops_cleanly(Signal::HUP, false);
}

/// Which of two that are interrupted together is heard first is chance, so both have to give one exit code.
#[test]
fn a_request_to_terminate_reaches_the_peer_alone() {
    for to_the_peer in [true, false] {
        let scene = scene();
        // Notes who it becomes. The words hold no blanks, so they may be split again.
        let note = format!("echo $$ > {}/peer; exec $*\n", scene.root().display());
        let script = rsh_script(scene.root(), &note);
        let (source, to) = (scene.path("source/").into_os_string(), scene.path("to").into_os_string());
        let operands = if to_the_peer { [source, remote(to)] } else { [remote(source), to] };
        let slow = ["-a", "-W", "--bwlimit=400"];
        let running = dsync(shell_options(&script)).args(slow).args(operands).start();
        wait_for("the large file is under way", || staged(&scene).iter().any(|(_, length)| *length > 50_000));
        let peer: i32 = String::from_utf8(scene.read("peer")).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(peer).unwrap(), Signal::TERM).unwrap();
        let output = running.finish().expect(20);
        assert!(output.err().contains("dsync: on the remote side: the run was interrupted\n"), "{output}");
        wait_until_nothing_is_staged(&scene);
        assert_old_or_new(&scene);
    }
}

#[test]
fn with_partial_what_was_sent_is_kept_and_used() {
    for way in Way::all() {
        let scene = scene();
        fs::remove_file(scene.path("to/large")).unwrap();
        let running = begin(&scene, way, &["--partial"]);
        running.signal(Signal::INT);
        running.finish().expect(20);
        wait_for("the partial file has its name", || scene.path("to/large").exists());
        wait_until_nothing_is_staged(&scene);
        let kept = scene.read("to/large");
        assert!(!kept.is_empty() && large().starts_with(&kept), "{way:?}: kept {} bytes", kept.len());
        let options = ["-av", "--partial", "--stats", "--no-whole-file"];
        let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        let sent = output.number("Literal data:");
        // What is after the last whole block of the kept part must be sent again.
        let block = 16_384;
        assert!(sent <= (large().len() - kept.len()) as u64 + block, "{way:?}\n{output}");
        assert_completes(&scene, way);
    }
}

#[test]
fn with_a_directory_for_it_what_was_sent_is_kept_there() {
    for way in Way::all() {
        let scene = scene();
        let old = scene.read("to/large");
        let running = begin(&scene, way, &["--partial-dir=.kept"]);
        running.signal(Signal::INT);
        running.finish().expect(20);
        wait_for("the part is kept", || scene.path("to/.kept/large").exists());
        wait_until_nothing_is_staged(&scene);
        assert_eq!(scene.read("to/large"), old, "{way:?}");
        let kept = scene.read("to/.kept/large");
        assert!(!kept.is_empty() && large().starts_with(&kept), "{way:?}: kept {} bytes", kept.len());
        let options = ["-av", "--partial-dir=.kept", "--stats", "--no-whole-file"];
        let output = way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        let (sent, block) = (output.number("Literal data:"), 16_384);
        assert!(sent <= (large().len() - kept.len()) as u64 + block, "{way:?}\n{output}");
        assert!(!scene.path("to/.kept").exists(), "{way:?}");
        assert_completes(&scene, way);
    }
}

#[test]
fn updates_that_were_to_come_at_the_end_do_not_come_when_there_is_none() {
    for way in Way::all() {
        let scene = scene();
        let before = ["small", "large"].map(|name| scene.read(&format!("to/{name}")));
        let running = begin(&scene, way, &["--delay-updates"]);
        running.signal(Signal::INT);
        running.finish().expect(20);
        wait_until_nothing_is_staged(&scene);
        assert_eq!(["small", "large"].map(|name| scene.read(&format!("to/{name}"))), before, "{way:?}");
        way.copy(&["-a", "--delay-updates"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_completes(&scene, way);
    }
}

/// What is kept of a file that was made over a copy of its old version ends where it is new.
#[test]
fn with_partial_nothing_is_kept_of_the_old_version() {
    if command::is_rsync() {
        return tools::not_for_rsync("what it stages begins empty");
    }
    let same = 3 << 20;
    let new = [&noise(same, 1)[..], &noise(1 << 20, 3)].concat();
    let old = [&new[..same], &noise(1 << 20, 4)].concat();
    for way in Way::all() {
        let scene =
            Scene::with_source(&Tree::new().file("large", &new)).tree("to", &Tree::new().file("large", &old));
        let options = ["-aI", "--no-whole-file", "--partial", "--bwlimit=200"];
        let running = way.copy(&options, &[scene.path("source/")], scene.path("to")).start();
        wait_for("something new is there", || {
            let name = staged(&scene).into_iter().next();
            let staged = name.and_then(|(name, _)| fs::read(scene.path("to").join(name)).ok());
            staged.is_some_and(|staged| {
                staged.get(same..).is_some_and(|end| end.starts_with(&new[same..same + 9]))
            })
        });
        running.signal(Signal::INT);
        running.finish().expect(20);
        wait_until_nothing_is_staged(&scene);
        let kept = scene.read("to/large");
        assert!(new.starts_with(&kept), "{way:?}: kept {} bytes", kept.len());
        assert!(kept.len() > same && kept.len() < new.len(), "{way:?}: kept {} bytes", kept.len());
    }
}

#[test]
fn in_place_an_interrupted_file_is_finished_by_the_next_run() {
    for way in Way::all() {
        let scene = scene();
        let inode = scene.snapshot("to").get("large").unwrap().inode;
        let options = [&super::SLOW[..], &["--inplace"]].concat();
        let running = way.copy(&options, &[scene.path("source/")], scene.path("to")).start();
        let prefix = &large()[..1000];
        wait_for("the large file is under way", || scene.read("to/large").starts_with(prefix));
        running.signal(Signal::TERM);
        running.finish().expect(20);
        wait_until_nothing_is_staged(&scene);
        assert_eq!(scene.snapshot("to").get("large").unwrap().inode, inode);
        assert_completes(&scene, way);
    }
}

#[test]
fn connecting_to_a_silent_server_is_given_up() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync leaves this to its remote shell");
    }
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let login = Login { port: silent.local_addr().unwrap().port(), ..russh_server::login().clone() };
        let (scene, files) = (scene(), Scene::new());
        let config = login.variant(files.root(), "", &login.user_key);
        let operands = [scene.path("source/").into_os_string(), remote(scene.path("to"))];
        let running = dsync(login_options(&config)).args(["-a"]).args(operands).start();
        let _silent = silent.accept().unwrap();
        stops_at_once(running, signal);
    }
}

#[test]
fn waiting_for_a_shell_that_says_nothing_is_given_up() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let scene = scene();
        let script = rsh_script(scene.root(), &format!(": >{}; exec sleep 60\n", scene.path("up").display()));
        let operands = [scene.path("source/").into_os_string(), remote(scene.path("to"))];
        let running = dsync(shell_options(&script)).args(["-a"]).args(operands).start();
        wait_for("the shell is up", || scene.path("up").exists());
        stops_at_once(running, signal);
    }
}

/// Checks that one signal, to the client alone, ends a run that has not begun.
#[track_caller]
fn stops_at_once(running: Running, signal: Signal) {
    let since = Instant::now();
    running.signal(signal);
    let output = running.finish().expect(20);
    assert!(since.elapsed() < Duration::from_secs(3), "{signal:?}: it went on waiting\n{output}");
}

/// Ctrl-C in a shell with `timeout` arrives twice: from the terminal, and from the program before it.
#[test]
fn one_interrupt_that_arrives_twice_is_one() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has no JSON to lose");
    }
    let scene = scene();
    let log = format!("--log-file={}", scene.path("log").display());
    let running = begin(&scene, Way::LOCAL, &["--json", &log]);
    running.signal(Signal::INT);
    running.signal(Signal::TERM);
    let output = running.finish().expect(20);
    assert!(output.out().lines().last().is_some_and(|line| line.contains("\"summary\"")), "{output}");
    let log = fs::read_to_string(scene.path("log")).unwrap();
    assert!(log.lines().last().is_some_and(|line| line.ends_with("(code 20)")), "{log}");
}

#[test]
fn a_second_signal_does_no_harm() {
    let scene = scene();
    let way = Way::remote()[0];
    let running = begin(&scene, way, &[]);
    running.signal(Signal::INT);
    running.signal(Signal::INT);
    let output = running.finish();
    assert!(output.code == Some(20) || output.signal == Some(2), "{output}");
    if !command::is_rsync() {
        wait_until_nothing_is_staged(&scene);
    }
    assert_old_or_new(&scene);
}

/// It stands for nobody: who stopped it, or the side that asks, says what happens.
#[test]
fn a_peer_that_is_stopped_says_nothing_of_that() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync's server is another");
    }
    let mut peer = Command::new(command::binary())
        .arg("--server")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It speaks when it has seen to its signals.
    peer.stdout.as_mut().unwrap().read_exact(&mut [0; 5]).unwrap();
    let pid = Pid::from_raw(i32::try_from(peer.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    // What it would say, it would say while it still waits to be asked.
    thread::sleep(Duration::from_millis(300));
    let output = peer.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{output:?}");
}
