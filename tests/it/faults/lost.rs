//! A connection that breaks in the middle of a run.

use crate::faults::{
    SLOW, assert_completes, assert_old_or_new, scene, staged, wait_for, wait_until_nothing_is_staged,
};
use crate::support::cable::Cable;
use crate::support::command::dsync;
use crate::support::login::Login;
use crate::support::russh_server;
use crate::support::scene::Scene;
use crate::support::transport::{Direction, Transport, Way, login_options, remote};

#[test]
fn both_ends_notice_and_clean_up() {
    let login = russh_server::login();
    for direction in [Direction::Push, Direction::Pull] {
        let (scene, files) = (scene(), Scene::new());
        let cable = Cable::to(login.port);
        let through = Login { port: cable.port, ..login.clone() };
        let config = through.variant(files.root(), &through.known_hosts_text(), &login.user_key);
        let (source, to) = (scene.path("source/"), scene.path("to"));
        let operands = match direction {
            Direction::Push => [source.into_os_string(), remote(to)],
            Direction::Pull => [remote(source), to.into_os_string()],
        };
        let running = dsync(login_options(&config)).args(SLOW).args(operands).start();
        wait_for("the large file is under way", || staged(&scene).iter().any(|(_, length)| *length > 50_000));
        cable.cut();
        let output = running.finish();
        assert!(matches!(output.code, Some(10 | 12 | 255)), "{direction:?}\n{output}");
        assert!(output.err().contains("  hint: Run this again; --retry=N"), "{direction:?}\n{output}");
        wait_until_nothing_is_staged(&scene);
        assert_old_or_new(&scene);
        assert_completes(&scene, Way { transport: Transport::Embedded, direction });
    }
}
