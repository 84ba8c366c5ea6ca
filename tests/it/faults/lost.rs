//! A connection that breaks, or over which nothing comes any more, in the middle of a run.

use crate::faults::{
    SLOW, assert_completes, assert_old_or_new, scene, staged, wait_for, wait_until_nothing_is_staged,
};
use crate::support::cable::Cable;
use crate::support::command::{self, Output, dsync};
use crate::support::login::Login;
use crate::support::scene::Scene;
use crate::support::transport::{Direction, Transport, Way, login_options, remote};
use crate::support::{russh_server, tools};
use std::fs;

/// A slow run to the embedded server over a line that something is done to once content is under way.
fn disturbed(
    scene: &Scene,
    direction: Direction,
    (lines, options): (&str, &[&str]),
    disturb: impl FnOnce(&Cable),
) -> Output {
    let (login, files) = (russh_server::login(), Scene::new());
    let cable = Cable::to(login.port);
    let through = Login { port: cable.port, ..login.clone() };
    let config = through.variant(files.root(), &through.known_hosts_text(), &login.user_key);
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{lines}\n{text}")).unwrap();
    let (source, to) = (scene.path("source/"), scene.path("to"));
    let operands = match direction {
        Direction::Push => [source.into_os_string(), remote(to)],
        Direction::Pull => [remote(source), to.into_os_string()],
    };
    let running = dsync(login_options(&config)).args(SLOW).args(options).args(operands).start();
    wait_for("the large file is under way", || staged(scene).iter().any(|(_, length)| *length > 50_000));
    disturb(&cable);
    running.finish()
}

#[test]
fn both_ends_notice_and_clean_up() {
    for direction in [Direction::Push, Direction::Pull] {
        let scene = scene();
        let output = disturbed(&scene, direction, ("", &[]), Cable::cut);
        assert!(matches!(output.code, Some(10 | 12 | 255)), "{direction:?}\n{output}");
        assert!(output.err().contains("  hint: Run this again; --retry=N"), "{direction:?}\n{output}");
        wait_until_nothing_is_staged(&scene);
        assert_old_or_new(&scene);
        assert_completes(&scene, Way { transport: Transport::Embedded, direction });
    }
}

/// Nothing tells of such a line but that no answer comes: to the SSH client, or within the time of `--timeout`.
#[test]
fn a_line_that_freezes_is_noticed() {
    if command::is_rsync() {
        return tools::not_for_rsync("it leaves this to its remote shell");
    }
    let asking = ("ServerAliveInterval 1\nServerAliveCountMax 3", &[][..]);
    let waiting = ("", &["--timeout=3"][..]);
    for (how, code, said, advice) in [
        (asking, 12, "was lost (the server stopped answering)", "  hint: Run this again; --retry=N"),
        (waiting, 30, "the peer sent nothing for 3 seconds", "  hint: Give --timeout more seconds"),
    ] {
        for direction in [Direction::Push, Direction::Pull] {
            let scene = scene();
            let output = disturbed(&scene, direction, how, Cable::freeze).expect(code);
            assert!(output.err().contains(said), "{direction:?}\n{output}");
            assert!(output.err().contains(advice), "{direction:?}\n{output}");
            wait_until_nothing_is_staged(&scene);
            assert_old_or_new(&scene);
        }
    }
}
