//! A process that is killed cannot clean up; the other end does, or the next run.

use crate::faults::{LOOK_ALIKE, SLOW, assert_completes, assert_old_or_new, begin, scene, staged};
use crate::faults::{wait_for, wait_until_nothing_is_staged};
use crate::support::command::{self, dsync};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::tools;
use crate::support::transport::{Direction, Transport, Way, remote, rsh_script, shell_options};
use crate::support::tree::{Tree, noise};
use rustix::fs::FlockOperation;
use rustix::process::{Pid, Signal};
use std::fs;

/// Kills the client in the middle of a run and lets the other end come to its own.
fn kill_client(scene: &Scene, way: Way) {
    let running = begin(scene, way, &[]);
    running.signal(Signal::KILL);
    assert_eq!(running.finish().signal, Some(Signal::KILL.as_raw()));
    let sink_lives = way.transport != Transport::Local && way.direction == Direction::Push;
    if sink_lives {
        wait_until_nothing_is_staged(scene);
    }
}

#[test]
fn a_killed_client() {
    for way in Way::all() {
        let scene = scene();
        kill_client(&scene, way);
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

/// With --retry the peer of a killed client leaves its part, and a side that is killed leaves its own in any case.
#[test]
fn the_same_command_goes_on_after_the_client_was_killed() {
    if command::is_rsync() {
        return tools::not_for_rsync("it begins again with a file");
    }
    let len: u64 = 8 << 20;
    let tree = Tree::new().file("large", noise(len as usize, 3)).file("small", "new");
    for way in Way::remote() {
        let (retry, counted) = match way.direction {
            Direction::Push => ("--retry=1", "Total bytes sent:"),
            Direction::Pull => ("--retry=0", "Total bytes received:"),
        };
        let scene = Scene::with_source(&tree).tree("to", &Tree::new());
        let options = ["-a", retry, "--retry-delay=0", "--bwlimit=4000", "--stats"];
        let same = || way.copy(&options, &[scene.path("source/")], scene.path("to"));
        let running = same().start();
        wait_for("half of it is there", || staged(&scene).iter().any(|(_, length)| *length > len / 2));
        running.signal(Signal::KILL);
        assert_eq!(running.finish().signal, Some(Signal::KILL.as_raw()), "{way:?}");
        wait_for("nobody writes it any more", || {
            staged(&scene).iter().all(|(name, _)| {
                let part = fs::File::open(scene.path("to").join(name)).unwrap();
                rustix::fs::flock(&part, FlockOperation::NonBlockingLockExclusive).is_ok()
            })
        });
        let [(_, part)] = staged(&scene)[..] else { panic!("{way:?}: {:?}", staged(&scene)) };
        let output = same().run().success();
        let rest = output.number(counted);
        assert!(rest < len - part + (64 << 10), "{way:?}: {part} were there\n{output}");
        assert_eq!(staged(&scene), [], "{way:?}");
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}

/// Neither end has the file any more, and nothing is deleted by this run: it is cleared all the same.
#[test]
fn what_is_left_of_a_file_that_nobody_knows() {
    for way in Way::all() {
        let scene = scene();
        kill_client(&scene, way);
        if command::is_rsync() {
            continue;
        }
        for name in ["source/large", "to/large"] {
            fs::remove_file(scene.path(name)).unwrap();
        }
        let dry = way.copy(&["-a", "-n"], &[scene.path("source/")], scene.path("to"));
        let left = staged(&scene);
        dry.run().success();
        assert_eq!(staged(&scene), left, "{way:?}: a dry run clears nothing");
        way.copy(&["-a"], &[scene.path("source/")], scene.path("to")).run().success();
        assert_eq!(staged(&scene), [], "{way:?}");
        assert_eq!(scene.read(&format!("to/{LOOK_ALIKE}")), b"mine", "{way:?}");
        assert_eq!(scene.read("to/small"), b"new", "{way:?}");
    }
}

/// Leftovers of files that need no writing now are cleared, whichever way that was found out; what a living writer
/// has locked, and what has a second name, is not.
#[test]
fn what_is_left_of_files_that_are_the_same() {
    if command::is_rsync() {
        return tools::not_for_rsync("its temporary files have names of their own");
    }
    let tree = Tree::new().file("same", "content").file("living", "content").file("linked", "content");
    for option in ["-a", "-ac", "-aI"] {
        let scene = Scene::with_source(&tree).tree("to", &tree);
        let staged = |name: &str| {
            let name = dsync::fs::stage_name(&dsync::tree::Name::new(name.as_bytes()).unwrap());
            scene.path("to").join(name.as_os_str())
        };
        for name in ["same", "living"] {
            fs::write(staged(name), "part").unwrap();
        }
        fs::write(scene.path("secret"), "secret").unwrap();
        fs::hard_link(scene.path("secret"), staged("linked")).unwrap();
        let living = fs::File::open(staged("living")).unwrap();
        rustix::fs::flock(&living, FlockOperation::NonBlockingLockExclusive).unwrap();
        let code = dsync([option]).args([scene.path("source/"), scene.path("to")]).run().code;
        assert_eq!(code, Some(if option == "-aI" { 23 } else { 0 }), "{option}");
        assert!(!staged("same").exists(), "{option}");
        assert!(staged("living").exists(), "{option}");
        assert!(staged("linked").exists(), "{option}");
        assert_eq!(scene.read("secret"), b"secret", "{option}");
    }
}

/// A run of one file leaves alone what another may go on with, and clears what is of no use to anybody.
#[test]
fn what_is_left_of_other_files() {
    if command::is_rsync() {
        return tools::not_for_rsync("its temporary files have names of their own");
    }
    let scene = Scene::with_source(&Tree::new().file("one", "1")).tree("to", &Tree::new());
    let staged = dsync::fs::stage_name(&dsync::tree::Name::new(*b"other").unwrap()).to_string();
    let (digits, check) = staged.strip_suffix(".part").unwrap().split_at(".dsync-".len() + 16);
    let check = !u32::from_str_radix(check, 16).unwrap();
    let passing = format!("{digits}{check:08x}.part");
    for name in [&staged, &passing] {
        fs::write(scene.path("to").join(name), "part").unwrap();
    }
    dsync(["-a"]).args([scene.path("source/one"), scene.path("to/")]).run().success();
    assert_eq!(scene.paths("to"), [staged.as_str(), "one"]);
    dsync(["-a"]).args([scene.path("source/"), scene.path("to")]).run().success();
    assert_eq!(scene.paths("to"), ["one"]);
}

/// A run that was killed before it wrote anything leaves empty files, from which there is nothing to be had.
#[test]
fn leftovers_that_are_empty() {
    if command::is_rsync() {
        return tools::not_for_rsync("its temporary files have names of their own");
    }
    let names: Vec<String> = (0..300).map(|number| format!("file{number}")).collect();
    let tree = names.iter().fold(Tree::new(), |tree, name| tree.file(name, name));
    for way in Way::all() {
        let scene = Scene::with_source(&tree).tree("to", &Tree::new());
        for (number, name) in names.iter().enumerate() {
            let staged = dsync::fs::stage_name(&dsync::tree::Name::new(name.as_bytes()).unwrap());
            fs::write(scene.path("to").join(staged.as_os_str()), "").unwrap();
            if number % 2 == 0 {
                fs::write(scene.path("to").join(name), "").unwrap();
            }
        }
        let options = ["-a", "--no-whole-file"];
        way.copy(&options, &[scene.path("source/")], scene.path("to")).run().success();
        assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
    }
}
