//! Runs over several streams that are disturbed: however one of their processes ends, all of them do, and nothing is
//! left of where they met.

use crate::faults::{
    SLOW, assert_completes, assert_old_or_new, scene, staged, wait_for, wait_until_nothing_is_staged,
};
use crate::support::command::{self, Running, dsync};
use crate::support::scene::Scene;
use crate::support::tools;
use crate::support::transport::{Direction, Transport, Way, remote, rsh_script, shell_options};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::fs;

const BOTH: [Direction; 2] = [Direction::Push, Direction::Pull];

/// Starts a slow run over four streams that has written part of the large file. Each process of the peer notes who it
/// is, the first one first; `others` is the shell's text for those after it.
fn begin(scene: &Scene, direction: Direction, others: &str, options: &[&str]) -> Running {
    let body = format!(
        "cd {}; mkdir -p run; export XDG_RUNTIME_DIR=$PWD/run; echo $$ >> peers\n\
         mkdir first 2>/dev/null && exec $*\n{others}\n",
        scene.root().display()
    );
    let script = rsh_script(scene.root(), &body);
    let (source, to) = (scene.path("source/"), scene.path("to"));
    let operands = match direction {
        Direction::Push => [source.into_os_string(), remote(to)],
        Direction::Pull => [remote(source), to.into_os_string()],
    };
    let run = dsync(shell_options(&script)).args(SLOW).args(["--streams=4"]).args(options).args(operands);
    let running = run.start();
    wait_for("the large file is under way", || staged(scene).iter().any(|(_, length)| *length > 50_000));
    wait_for("all have come", || peers(scene).len() == 4);
    running
}

/// The same, and all streams are in use, since the first process has closed the door.
fn begin_with_all(scene: &Scene, direction: Direction, options: &[&str]) -> Running {
    let running = begin(scene, direction, "exec $*", options);
    wait_for("all have joined", || scene.paths("run").is_empty());
    running
}

fn peers(scene: &Scene) -> Vec<Pid> {
    let text = fs::read_to_string(scene.path("peers")).unwrap_or_default();
    text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)).collect()
}

#[track_caller]
fn all_processes_end(scene: &Scene) {
    wait_for("all processes have ended", || {
        peers(scene).iter().all(|peer| test_kill_process(*peer).is_err())
    });
}

/// Checks what has to hold after every end, and that the next run completes the work.
#[track_caller]
fn everything_ends(scene: &Scene, direction: Direction) {
    all_processes_end(scene);
    wait_until_nothing_is_staged(scene);
    assert_eq!(scene.paths("run"), [""; 0]);
    the_next_run_completes(scene, direction);
}

/// Checks what has to hold where the one who writes was killed: its leavings are for the next run.
#[track_caller]
fn the_next_run_completes(scene: &Scene, direction: Direction) {
    all_processes_end(scene);
    assert_old_or_new(scene);
    assert_completes(scene, Way { transport: Transport::Rsh, direction });
}

#[test]
fn any_of_the_peers_processes_is_killed() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    for direction in BOTH {
        for place in [0, 2] {
            let scene = scene();
            let running = begin_with_all(&scene, direction, &[]);
            kill_process(peers(&scene)[place], Signal::KILL).unwrap();
            let output = running.finish();
            if place == 2 {
                // It has handed its channel over. This shell leaves the channel open; a server would close it.
                output.success();
            } else {
                output.expect(12).stderr.is_empty().then(|| panic!("{direction:?}: it says nothing"));
            }
            if place == 0 && direction == Direction::Push {
                all_processes_end(&scene);
                assert_eq!(scene.paths("run"), [""; 0]);
                the_next_run_completes(&scene, direction);
            } else {
                everything_ends(&scene, direction);
            }
        }
    }
}

#[test]
fn the_client_is_killed_or_stopped() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    for direction in BOTH {
        for signal in [Signal::KILL, Signal::INT, Signal::TERM] {
            let scene = scene();
            let running = begin_with_all(&scene, direction, &[]);
            running.signal(signal);
            let output = running.finish();
            assert!(output.signal == Some(Signal::KILL.as_raw()) || output.code == Some(20), "{output}");
            if signal == Signal::KILL && direction == Direction::Pull {
                the_next_run_completes(&scene, direction);
            } else {
                everything_ends(&scene, direction);
            }
        }
    }
}

/// Before the others have joined the socket is still there.
#[test]
fn a_run_is_stopped_while_others_join() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    for direction in BOTH {
        let scene = scene();
        let running = begin(&scene, direction, "exec sleep 60", &[]);
        assert!(!scene.paths("run").is_empty());
        running.signal(Signal::TERM);
        running.finish().expect(20);
        everything_ends(&scene, direction);
    }
}

/// They may hang for ever, but neither the run nor its end waits for them.
#[test]
fn others_that_say_nothing_are_not_waited_for() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    let scene = scene();
    let running = begin(&scene, Direction::Push, "exec sleep 60", &["--bwlimit=4000"]);
    running.finish().success();
    everything_ends(&scene, Direction::Push);
}

#[test]
fn a_stream_that_stalls_meets_the_timeout() {
    if command::is_rsync() {
        return tools::not_for_rsync("rsync has one stream");
    }
    for (direction, stalls) in [
        (Direction::Push, "{ dd bs=1k count=100; exec sleep 20; } 2>/dev/null | $*"),
        (Direction::Pull, "$* | { dd bs=1k count=100; exec sleep 20; } 2>/dev/null"),
    ] {
        let scene = scene();
        let output = begin(&scene, direction, stalls, &["--timeout=2"]).finish().expect(30);
        assert!(output.elapsed.as_secs() < 18, "{output}");
        wait_until_nothing_is_staged(&scene);
        the_next_run_completes(&scene, direction);
    }
}
