//! Lines that break, and runs that go on over the next.

use crate::faults::{
    LOOK_ALIKE, begin, large, old_large, scene, staged, wait_for, wait_until_nothing_is_staged,
};
use crate::support::cable::Cable;
use crate::support::command::{Invocation, Output, dsync};
use crate::support::login::{HOST, Login};
use crate::support::scene::Scene;
use crate::support::snapshot::{Columns, assert_same};
use crate::support::transport::{Direction, Transport, Way, login_options, remote};
use crate::support::tree::{Tree, noise};
use crate::support::{sshd, tools};
use rustix::process::Signal;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// What may be under way when a line breaks, which is sent again: the credit for content, and what the buffers of
/// sockets and of the server hold.
const UNDER_WAY: u64 = 12 << 20;

const AGAIN: [&str; 3] = ["-a", "--retry=9", "--retry-delay=0"];

/// A way to a server, by a line that breaks.
struct Line {
    cable: Cable,
    config: PathBuf,
    _files: Scene,
}

impl Line {
    fn to(login: &Login, breaks: &[u64]) -> Line {
        let (cable, files) = (Cable::that_breaks(login.port, breaks), Scene::new());
        let through = Login { port: cable.port, ..login.clone() };
        let config = through.variant(files.root(), &through.known_hosts_text(), &login.user_key);
        Line { cable, config, _files: files }
    }

    /// The same, where the server at the other end is the one that leads to another.
    fn to_one_before(login: &Login, breaks: &[u64]) -> Line {
        let line = Line::to(login, breaks);
        let known_hosts = line.config.with_file_name("known_hosts");
        let both = fs::read_to_string(&known_hosts).unwrap() + &login.known_hosts_text();
        fs::write(known_hosts, both).unwrap();
        let way = format!("Host {HOST}\nPort {}\nProxyJump 127.0.0.1:{}\n", login.port, line.cable.port);
        fs::write(&line.config, way + &fs::read_to_string(&line.config).unwrap()).unwrap();
        line
    }

    fn run(&self, direction: Direction, options: &[&str], scene: &Scene) -> Invocation {
        let (source, to) = (scene.path("source/").into_os_string(), scene.path("to").into_os_string());
        let operands = match direction {
            Direction::Push => [source, remote(to)],
            Direction::Pull => [remote(source), to],
        };
        dsync(login_options(&self.config)).args(options).args(operands)
    }
}

/// Both servers that the built-in client knows.
fn logins() -> Vec<&'static Login> {
    [Transport::OpenSsh, Transport::Embedded].iter().filter_map(|transport| transport.login()).collect()
}

/// The files of a tree, but for those of dsync.
fn files(scene: &Scene, tree: &str) -> Vec<String> {
    let is_file = |name: &String| scene.path(&format!("{tree}/{name}")).is_file();
    let all = scene.paths(tree).into_iter();
    all.filter(|name| !name.starts_with(".dsync/")).filter(is_file).collect()
}

const BOTH: [Direction; 2] = [Direction::Push, Direction::Pull];

#[track_caller]
fn assert_whole(scene: &Scene, output: &Output) {
    assert_eq!(staged(scene), [], "{output}");
    assert_same(&scene.path("source"), &scene.path("to"), Columns::ALL);
}

#[test]
fn a_run_goes_on_with_what_was_staged() {
    let len: u64 = 60 << 20;
    for login in logins() {
        for direction in BOTH {
            let tree =
                Tree::new().file("a/large", noise(len as usize, 3)).file("b/small", "new").file("c", "old");
            let scene =
                Scene::with_source(&tree).tree("to", &Tree::new().file("c", "older").file("gone", ""));
            let line = Line::to(login, &[24 << 20, 100 << 10, 24 << 20]);
            let options = [&AGAIN[..], &["--delete", "--stats"]].concat();
            let output = line.run(direction, &options, &scene).run().expect(0);
            assert_whole(&scene, &output);
            assert_eq!(line.cable.connections(), 4, "{direction:?}\n{output}");
            let carried = line.cable.carried();
            assert!(carried < len + 2 * UNDER_WAY, "{direction:?}: {carried} bytes\n{output}");
            assert_eq!(output.number("Times the line broke:"), 3, "{output}");
            assert!(output.err().contains("trying again in 0 s (3 of 9)"), "{output}");
            assert!(output.number("Total bytes sent:") + output.number("Total bytes received:") > len / 2);
        }
    }
}

#[test]
fn a_run_between_two_hosts_goes_on() {
    let len: u64 = 40 << 20;
    let tree = Tree::new().file("large", noise(len as usize, 3)).file("small", "new");
    for by_ssh in [false, true] {
        if by_ssh && tools::find("ssh").is_none() {
            return;
        }
        let scene = Scene::with_source(&tree);
        fs::create_dir(scene.path("to")).unwrap();
        // Once the line to the source breaks, and once that to the destination.
        let line = Line::to(logins()[0], &[18 << 20, u64::MAX >> 1, u64::MAX >> 1, 18 << 20]);
        let operands = [remote(scene.path("source/")), remote(scene.path("to"))];
        let shell = format!("ssh -o BatchMode=yes -F {}", line.config.display());
        let shell = ["-e", &shell];
        let shell = if by_ssh { &shell[..] } else { &[] };
        let output =
            dsync(login_options(&line.config)).args(AGAIN).args(shell).args(operands).run().expect(0);
        assert_whole(&scene, &output);
        assert_eq!(line.cable.connections(), 6, "{output}");
        let carried = line.cable.carried();
        assert!(carried < 2 * len + 4 * UNDER_WAY, "{carried} bytes\n{output}");
    }
}

#[test]
fn a_run_by_another_remote_shell_goes_on() {
    if tools::find("ssh").is_none() {
        return;
    }
    let len: u64 = 30 << 20;
    for direction in BOTH {
        let scene = Scene::with_source(&Tree::new().file("large", noise(len as usize, 3)));
        let line = Line::to(logins()[0], &[18 << 20]);
        let shell = format!("ssh -o BatchMode=yes -F {}", line.config.display());
        let options = [&AGAIN[..], &["-e", &shell]].concat();
        let output = line.run(direction, &options, &scene).run().expect(0);
        assert_whole(&scene, &output);
        assert!(output.err().contains("(1 of 9)"), "{output}");
        let carried = line.cable.carried();
        assert!(carried < len + UNDER_WAY, "{direction:?}: {carried} bytes\n{output}");
    }
}

#[test]
fn a_run_goes_on_with_a_file_that_replaces_another() {
    // The first half is what was there, the rest is new.
    let len: u64 = 48 << 20;
    let new = [noise(len as usize / 2, 5), noise(len as usize / 2, 6)].concat();
    let old = [&new[..len as usize / 2], &noise(len as usize / 4, 7)[..]].concat();
    for direction in BOTH {
        let scene =
            Scene::with_source(&Tree::new().file("large", &new)).tree("to", &Tree::new().file("large", &old));
        let line = Line::to(logins()[0], &[15 << 20, 15 << 20]);
        let output = line.run(direction, &AGAIN, &scene).run().expect(0);
        assert_whole(&scene, &output);
        let carried = line.cable.carried();
        assert!(carried < len / 2 + UNDER_WAY, "{direction:?}: {carried} bytes\n{output}");
    }
}

#[test]
fn many_files_over_a_line_that_breaks_anywhere() {
    let mut tree = Tree::new();
    for n in 0..400 {
        tree = tree.file(format!("d{}/f{n}", n % 7), noise(1 + n * 97, n as u64));
    }
    tree = tree.file("z", noise(3 << 20, 11));
    for (seed, login) in logins().into_iter().enumerate() {
        for direction in BOTH {
            let scene = Scene::with_source(&tree);
            // From within the greeting to the end of the content.
            let breaks: Vec<u64> = (1..9).map(|n| 12_000 + n * n * n * (7919 + 613 * seed as u64)).collect();
            let line = Line::to(login, &breaks);
            let options = [&AGAIN[..], &["--delete"]].concat();
            let kept = Scene::with_source(&tree);
            let output = line.run(direction, &options, &scene).run();
            let output = output.expect(0);
            assert_eq!(staged(&scene), [], "{output}");
            assert_same(
                &kept.path("source"),
                &scene.path("to"),
                Columns { directory_mtime: false, ..Columns::ALL },
            );
        }
    }
}

/// Wherever in the next login, or soon after it, a line breaks that broke before.
#[test]
fn a_line_that_breaks_again_while_it_is_made_again() {
    let lines = logins().into_iter().zip(BOTH).map(|(login, direction)| {
        let line: fn(&Login, &[u64]) -> Line = Line::to;
        (login, direction, line, (1000..9000).step_by(500))
    });
    let by_another = Transport::OpenSsh.login().map(|login| {
        let line: fn(&Login, &[u64]) -> Line = Line::to_one_before;
        (login, Direction::Push, line, (1000..18_000).step_by(1000))
    });
    for (login, direction, line, again) in lines.chain(by_another) {
        let scene = Scene::with_source(&Tree::new().file("large", noise(6 << 20, 3)));
        let breaks: Vec<u64> = [5 << 20].into_iter().chain(again).collect();
        let line = line(login, &breaks);
        let output = line.run(direction, &["-a", "--retry=99", "--retry-delay=0"], &scene).run().expect(0);
        assert_whole(&scene, &output);
        assert_eq!(line.cable.connections(), breaks.len() as u64 + 1, "{output}");
    }
}

/// Nothing tells of such a line but that nothing comes.
#[test]
fn a_line_that_freezes_is_given_up_for_another() {
    for login in logins() {
        for direction in BOTH {
            let scene = scene();
            let line = Line::to(login, &[]);
            let options = [&AGAIN[..], &["-W", "--bwlimit=2000", "--timeout=3"]].concat();
            let running = line.run(direction, &options, &scene).start();
            wait_for("the large file is under way", || {
                staged(&scene).iter().any(|(_, length)| *length > 50_000)
            });
            line.cable.freeze();
            let output = running.finish().expect(0);
            assert!(output.err().contains("3 seconds; trying again in 0 s (1 of 9)"), "{output}");
            assert!(line.cable.connections() > 1, "{output}");
            assert_eq!(scene.read("to/large"), large(), "{output}");
            assert_eq!(staged(&scene), [], "{output}");
        }
    }
}

/// The peer of a line that broke may notice only when the next attempt is under way.
#[test]
fn a_file_that_another_lets_go_of_is_waited_for() {
    let scene = scene();
    let way = Way { transport: Transport::Rsh, direction: Direction::Push };
    let other = begin(&scene, way, &[]);
    let again = |options: &[&str]| way.copy(options, &[scene.path("source/")], scene.path("to"));
    let refused = again(&["-a", "--retry=0"]).run();
    assert_eq!(refused.code, Some(23), "{refused}");
    assert!(refused.err().contains("another dsync is writing this file"), "{refused}");
    let mut waiting = again(&["-a", "--retry=1"]).start();
    thread::sleep(Duration::from_secs(1));
    assert!(!waiting.has_ended());
    other.signal(Signal::KILL);
    other.finish();
    let went_on = waiting.finish().success();
    assert_eq!(scene.read("to/large"), large(), "{went_on}");
    assert_eq!(staged(&scene), []);
}

#[test]
fn the_same_command_goes_on_after_the_last_attempt() {
    let len: u64 = 40 << 20;
    for direction in BOTH {
        let scene = Scene::with_source(&Tree::new().file("large", noise(len as usize, 3)));
        fs::create_dir(scene.path("to")).unwrap();
        let line = Line::to(logins()[0], &[22 << 20, 2 << 20]);
        let once = ["-a", "--retry=1", "--retry-delay=0"];
        let output = line.run(direction, &once, &scene).run();
        assert!(matches!(output.code, Some(10 | 12)), "{output}");
        wait_for("the part is there", || staged(&scene).iter().any(|(_, length)| *length > 8 << 20));
        let output = line.run(direction, &["-a"], &scene).run().expect(0);
        assert_whole(&scene, &output);
        let carried = line.cable.carried();
        assert!(carried < len + UNDER_WAY, "{direction:?}: {carried} bytes\n{output}");
    }
}

#[test]
fn ctrl_c_leaves_nothing_where_a_lost_line_would() {
    for login in logins() {
        for direction in BOTH {
            let scene = scene();
            let line = Line::to(login, &[]);
            let options = ["-a", "-W", "--bwlimit=400", "--retry=9"];
            let running = line.run(direction, &options, &scene).start();
            wait_for("the large file is under way", || {
                staged(&scene).iter().any(|(_, length)| *length > 50_000)
            });
            running.signal(Signal::INT);
            running.finish().expect(20);
            wait_until_nothing_is_staged(&scene);
            assert_eq!(scene.read("to/large"), old_large());
        }
    }
}

#[test]
fn ctrl_c_ends_the_wait_for_the_next_attempt() {
    let scene = scene();
    let line = Line::to(logins()[0], &[3 << 20]);
    let options = ["-a", "-W", "--bwlimit=8000", "--retry=9", "--retry-delay=3600"];
    let running = line.run(Direction::Push, &options, &scene).start();
    wait_for("the line has broken", || line.cable.connections() == 1 && line.cable.carried() > 2 << 20);
    wait_for("the peer has gone", || {
        fs::read_dir(scene.path("to")).unwrap().count() == 4 && staged(&scene).len() == 1
    });
    running.signal(Signal::INT);
    running.finish().expect(20);
}

#[test]
fn what_another_attempt_would_not_mend_is_not_tried_again() {
    let scene = scene();
    let login = logins()[0];
    let line = Line::to(login, &[]);
    let stranger = Scene::new();
    let config = Login { port: line.cable.port, ..login.clone() }.variant(
        stranger.root(),
        &Login { port: line.cable.port, ..login.clone() }.known_hosts_text(),
        &crate::support::login::new_key(),
    );
    let refused = Line { config, ..line };
    let output = refused.run(Direction::Push, &AGAIN, &scene).run().expect(255);
    assert_eq!(refused.cable.connections(), 1, "{output}");
    // Nor is a host that was never reached.
    let nobody = Line::to(&Login { port: 1, ..login.clone() }, &[]);
    let port = nobody.cable.port;
    assert_ne!(port, 1);
    for options in
        [&["--retry=2", "--max-delete=3"][..], &["--retry=2", "-b"], &["--retry=2", "--remove-source-files"]]
    {
        let output = refused.run(Direction::Push, options, &scene).run().expect(1);
        assert!(output.err().contains("--retry cannot be used here"), "{output}");
    }
    assert_eq!(scene.read("to/large"), old_large());
    assert_eq!(scene.read(&format!("to/{LOOK_ALIKE}")), b"mine");
    assert_ne!(large(), old_large());
}

/// As with a key whose `command=` is for something else.
#[test]
fn a_command_that_ends_well_without_a_greeting_is_no_broken_line() {
    let Some(login) = sshd::login_to("true") else { return };
    let scene = scene();
    let (source, to) = (scene.path("source/"), scene.path("to"));
    for (direction, option) in [(0, "--times"), (1, "--no-bootstrap")] {
        let line = Line::to(&login, &[]);
        let config = line.config.display();
        for way in [format!("--ssh-config={config}"), format!("-essh -o BatchMode=yes -F {config}")] {
            let before = line.cable.connections();
            let operands = match direction {
                0 => [source.clone().into_os_string(), remote(&to)],
                _ => [remote(&source), to.clone().into_os_string()],
            };
            let output = dsync(AGAIN).args([&way, option]).args(operands).run().expect(12);
            assert!(output.err().contains("ended without a word (it ended with exit code 0)"), "{output}");
            assert!(output.err().contains("command= in authorized_keys"), "{output}");
            // The ssh program connects for each command.
            let commands = if way.starts_with("-e") && option == "--times" { 2 } else { 1 };
            assert_eq!(line.cable.connections() - before, commands, "{output}");
        }
    }
    let line = Line::to(&login, &[]);
    let operands = [remote(scene.path("source/")), remote(scene.path("to"))];
    let between = dsync(login_options(&line.config)).args(AGAIN).args(operands).run().expect(12);
    assert!(between.err().contains("ended without a word"), "{between}");
    assert_eq!(line.cable.connections(), 1, "{between}");
    assert_eq!(scene.read("to/large"), old_large());
}

#[test]
fn two_way_runs_keep_their_promises() {
    for direction in BOTH {
        let len: u64 = 20 << 20;
        let left = Tree::new().file("large", noise(len as usize, 3)).file("both", "left").file("d/x", "x");
        let right =
            Tree::new().file("back", noise(len as usize / 2, 4)).file("both", "right!").file("d/y", "y");
        let scene = Scene::with_source(&left).tree("to", &right);
        let line = Line::to(logins()[0], &[40 << 10, 12 << 20, 300 << 10, 12 << 20]);
        let options = ["-2", "--conflict=larger", "--retry=9", "--retry-delay=0"];
        let output = line.run(direction, &options, &scene).run().expect(0);
        assert!(output.err().contains("(3 of 9)"), "{output}");
        let all = ["back", "both", "d/x", "d/y", "large"];
        for side in ["source", "to"] {
            assert_eq!(files(&scene, side), all, "{direction:?} {side}\n{output}");
        }
        for name in all {
            assert!(scene.read(&format!("source/{name}")) == scene.read(&format!("to/{name}")), "{name}");
        }
        assert_eq!(scene.read("to/both"), b"right!");
        let carried = line.cable.carried();
        assert!(carried < len + len / 2 + 3 * UNDER_WAY, "{direction:?}: {carried} bytes\n{output}");
        // A run that has nothing to do says so.
        line.run(direction, &["-2"], &scene).run().success();
    }
}
