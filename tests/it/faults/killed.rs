//! A process that is killed cannot clean up; the other end does, or the next run.

use crate::faults::{SLOW, assert_completes, assert_old_or_new, begin, scene, staged};
use crate::faults::{wait_for, wait_until_nothing_is_staged};
use crate::support::command::{self, dsync};
use crate::support::scene::Scene;
use crate::support::transport::{Direction, Transport, Way, remote, rsh_script, shell_options};
use rustix::process::{Pid, Signal};
use std::fs;

#[test]
fn a_killed_client() {
    for way in Way::all() {
        let scene = scene();
        let running = begin(&scene, way, &[]);
        running.signal(Signal::KILL);
        assert_eq!(running.finish().signal, Some(Signal::KILL.as_raw()));
        let sink_lives = way.transport != Transport::Local && way.direction == Direction::Push;
        if sink_lives {
            wait_until_nothing_is_staged(&scene);
        }
        recovers(&scene, way);
    }
}

#[test]
fn a_killed_peer() {
    for direction in [Direction::Push, Direction::Pull] {
        let scene = scene();
        // Notes who it becomes. The words hold no blanks, so they may be split again.
        let script =
            rsh_script(scene.root(), &format!("echo $$ > {}/peer; exec $*\n", scene.root().display()));
        let (source, to) = (scene.path("source/"), scene.path("to"));
        let operands = match direction {
            Direction::Push => [source.into_os_string(), remote(to)],
            Direction::Pull => [remote(source), to.into_os_string()],
        };
        let running = dsync(shell_options(&script)).args(SLOW).args(operands).start();
        wait_for("the large file is under way", || staged(&scene).iter().any(|(_, length)| *length > 50_000));
        let peer: i32 = String::from_utf8(scene.read("peer")).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(peer).unwrap(), Signal::KILL).unwrap();
        let output = running.finish();
        let shells_own = Some(128 + Signal::KILL.as_raw());
        assert!(output.code == Some(12) || output.code == shells_own, "{direction:?}\n{output}");
        assert!(!output.stderr.is_empty(), "{direction:?}: it says nothing");
        if direction == Direction::Pull {
            wait_until_nothing_is_staged(&scene);
        }
        recovers(&scene, Way { transport: Transport::Rsh, direction });
    }
}

/// The next run completes the work and clears what the killed one left. rsync knows its own leavings only while it
/// runs, so there they are cleared by hand.
fn recovers(scene: &Scene, way: Way) {
    assert_old_or_new(scene);
    if command::is_rsync() {
        for (name, _) in staged(scene) {
            fs::remove_file(scene.path("to").join(name)).unwrap();
        }
    }
    assert_completes(scene, way);
}
