//! A connection that breaks in the middle of a run.

use crate::faults::{
    SLOW, assert_completes, assert_old_or_new, scene, staged, wait_for, wait_until_nothing_is_staged,
};
use crate::support::command::dsync;
use crate::support::login::Login;
use crate::support::russh_server;
use crate::support::scene::Scene;
use crate::support::transport::{Direction, Transport, Way, login_options, remote};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A port that leads to another, until it is cut.
struct Cable {
    port: u16,
    ends: Arc<Mutex<Vec<TcpStream>>>,
}

impl Cable {
    fn to(port: u16) -> Cable {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cable = Cable { port: listener.local_addr().unwrap().port(), ends: Arc::default() };
        let ends = Arc::clone(&cable.ends);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let far = TcpStream::connect(("127.0.0.1", port)).unwrap();
                let [near_too, far_too] = [&near, &far].map(|end| end.try_clone().unwrap());
                ends.lock().unwrap().extend([&near, &far].map(|end| end.try_clone().unwrap()));
                thread::spawn(move || carry(near, far));
                thread::spawn(move || carry(far_too, near_too));
            }
        });
        cable
    }

    fn cut(&self) {
        for end in self.ends.lock().unwrap().drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

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
        assert!(!output.stderr.is_empty(), "{direction:?}: it says nothing");
        wait_until_nothing_is_staged(&scene);
        assert_old_or_new(&scene);
        assert_completes(&scene, Way { transport: Transport::Embedded, direction });
    }
}
