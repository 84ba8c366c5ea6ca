use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use russh::MethodKind;

use super::in_process::{self, Server, host_key};
use super::sshd::keygen;
use super::{Heard, LONG, Script, echo_both_ways, host, options, within};
use crate::testing::find;
use crate::transport::refusal::Spent;
use crate::transport::ssh::{Options, connect};
use crate::transport::{Connection, Error, Notice, RemoteExit};

/// A home whose configuration reaches a server on loopback as `box`.
pub(super) struct Home(tempfile::TempDir);

impl Home {
    pub(super) fn new(port: u16, more: &str) -> Option<Self> {
        find("ssh")?;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().display();
        let config = format!(
            "{more}\nHost box\nHostName 127.0.0.1\nPort {port}\nUser someone\nIdentityAgent none\n\
             IdentityFile none\nUserKnownHostsFile {path}/known_hosts\nGlobalKnownHostsFile none\n"
        );
        fs::write(dir.path().join("ssh_config"), config).unwrap();
        let key = host_key().public_key().to_openssh().unwrap();
        fs::write(dir.path().join("known_hosts"), format!("[127.0.0.1]:{port} {key}\n")).unwrap();
        Some(Self(dir))
    }

    pub(super) fn write_known_hosts(&self, text: &str) {
        fs::write(self.0.path().join("known_hosts"), text).unwrap();
    }

    fn of(server: &Server) -> Option<Self> {
        Self::new(server.address.port(), "")
    }

    pub(super) fn options(&self, prompter: &Arc<Script>, heard: &Heard) -> Options {
        options(self.0.path(), &self.0.path().join("ssh_config"), Arc::clone(prompter), heard)
    }
}

#[test]
fn two_russh_ends_with_large_windows_do_not_stall() {
    let server = in_process::start(&[MethodKind::Password]);
    let Some(home) = Home::of(&server) else { return };
    let heard = Heard::default();
    let extra = 64 << 20;
    let command = format!("flood {extra}");
    let connection =
        connect(&host("box"), command.as_bytes(), &home.options(&Script::of(&["right"]), &heard)).unwrap();
    let exit = within(LONG, move || echo_both_ways(connection, 128 << 20));
    assert_eq!(exit, Some(RemoteExit::Status(0)));
    assert_eq!(heard.stderr.lock().unwrap().len(), extra);
}

#[test]
fn a_reader_that_pauses_holds_the_data_and_loses_none() {
    let server = in_process::start(&[MethodKind::Password]);
    let Some(home) = Home::of(&server) else { return };
    let connection =
        connect(&host("box"), b"echo", &home.options(&Script::of(&["right"]), &Heard::default())).unwrap();
    let Connection { mut reader, writer, control } = connection;
    let length = 96 << 20;
    let sending = std::thread::spawn(move || super::send_pattern(writer, length));
    std::thread::sleep(Duration::from_millis(700));
    within(LONG, move || super::check_pattern(&mut *reader, length));
    sending.join().unwrap();
    assert_eq!(control.wait(LONG), Some(RemoteExit::Status(0)));
}

#[test]
fn passwords_are_asked_for_three_times() {
    let server = in_process::start(&[MethodKind::Password]);
    let Some(home) = Home::of(&server) else { return };
    let heard = Heard::default();
    let script = Script::of(&["wrong", "wrong", "right"]);
    connect(&host("box"), b"echo", &home.options(&script, &heard)).unwrap();
    assert_eq!(script.asked(), ["someone@127.0.0.1's password: "; 3]);
    assert_eq!(heard.notices.lock().unwrap()[..], [Notice::Banner("welcome\\u{1b}[2J".to_owned())]);
    let script = Script::of(&["wrong", "wrong", "wrong", "right"]);
    let refused = connect(&host("box"), b"echo", &home.options(&script, &heard)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "127.0.0.1 refused to log in \"someone\" (tried password); it accepts password"
    );
}

#[test]
fn nobody_is_asked_in_batch_mode_or_without_a_terminal() {
    let server = in_process::start(&[MethodKind::Password, MethodKind::KeyboardInteractive]);
    for (more, script) in [("BatchMode yes", Script::of(&["right"])), ("", Script::nobody())] {
        let Some(home) = Home::new(server.address.port(), more) else { return };
        let refused = connect(&host("box"), b"echo", &home.options(&script, &Heard::default())).unwrap_err();
        let reason = if more.is_empty() { "there is no terminal to ask at" } else { "BatchMode is on" };
        assert_eq!(
            refused.to_string(),
            format!(
                "127.0.0.1 refused to log in \"someone\" (nothing to try; not tried: keyboard-interactive \
                 ({reason}), password ({reason})); it accepts password, keyboard-interactive"
            )
        );
        assert!(refused.hint().unwrap().contains("needs no question"));
        assert!(script.asked().is_empty());
    }
}

#[test]
fn a_dialogue_and_then_a_password() {
    let server = in_process::start(&[MethodKind::KeyboardInteractive]);
    let Some(home) = Home::of(&server) else { return };
    let script = Script::of(&["wrong", "41", "right", "42", "right"]);
    connect(&host("box"), b"echo", &home.options(&script, &Heard::default())).unwrap();
    let asked = script.asked();
    assert_eq!(asked[2], "Two questions\nbe\\u{7}careful\n(someone@127.0.0.1) Secret: ");
    assert_eq!(asked[3..], ["(someone@127.0.0.1) Token: ", "someone@127.0.0.1's password: "]);
}

/// A server that refuses by hanging up must not be told the same again and again, and nobody asked for it.
#[test]
fn a_login_that_has_cost_something_is_not_tried_again_where_the_server_hangs_up() {
    let server = in_process::start(&[MethodKind::Password]);
    let Some(home) = Home::of(&server) else { return };
    for (answers, refused) in [(&["wrong", "hang up"][..], true), (&["hang up"], false)] {
        let options = home.options(&Script::of(answers), &Heard::default());
        let error = connect(&host("box"), b"echo", &options).unwrap_err();
        let Error::LoginEnded { meant: false, spent, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*spent, Spent { asked: true, refused }, "{error:?}");
        assert!(!error.is_of_the_line() && error.hint().unwrap().contains("what is answered"), "{error:?}");
    }

    let server = in_process::start(&[MethodKind::PublicKey]);
    let Some(keys) = Home::of(&server) else { return };
    let lines = ["refused", "hang up"].map(|comment| {
        let key = keys.0.path().join(comment.replace(' ', "-"));
        keygen(&key, if comment == "refused" { "rsa" } else { "ecdsa" }, "");
        format!("IdentityFile {}\n", key.display())
    });
    for (lines, refused) in [(&lines[1..], false), (&lines[..], true)] {
        let Some(home) = Home::new(server.address.port(), &lines.concat()) else { return };
        let options = home.options(&Script::nobody(), &Heard::default());
        let error = connect(&host("box"), b"echo", &options).unwrap_err();
        let Error::LoginEnded { meant: false, spent, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*spent, Spent { asked: false, refused }, "{error:?}");
        assert_eq!(error.is_of_the_line(), !refused, "{error:?}");
        let advice = if refused { "name the right key" } else { "Run this again" };
        assert!(error.hint().unwrap().contains(advice), "{error:?}");
    }
}

#[test]
fn a_key_and_then_a_password() {
    let server = in_process::start(&[MethodKind::PublicKey]);
    let Some(keys) = Home::of(&server) else { return };
    let key = keys.0.path().join("key");
    keygen(&key, "ed25519", "");
    let Some(home) = Home::new(server.address.port(), &format!("IdentityFile {}", key.display())) else {
        return;
    };
    let script = Script::of(&["wrong", "right"]);
    connect(&host("box"), b"echo", &home.options(&script, &Heard::default())).unwrap();
    assert_eq!(script.asked(), ["someone@127.0.0.1's password: "; 2]);
}

#[test]
fn a_refused_command_and_a_vanished_server_are_told_apart() {
    let server = in_process::start(&[MethodKind::Password]);
    let Some(home) = Home::of(&server) else { return };
    for (command, expected) in [("nonsense", "refused to run"), ("vanish", "closed the connection")] {
        let options = home.options(&Script::of(&["right"]), &Heard::default());
        let Connection { reader, writer, control } =
            connect(&host("box"), command.as_bytes(), &options).unwrap();
        let exit = within(LONG, move || {
            drop(writer);
            let exit = control.wait(LONG);
            drop(reader);
            exit
        });
        assert!(
            matches!(&exit, Some(RemoteExit::Lost(reason)) if reason.contains(expected)),
            "{command}: {exit:?}"
        );
    }
}

#[test]
fn a_server_that_says_nothing_runs_into_the_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let Some(home) = Home::new(listener.local_addr().unwrap().port(), "") else { return };
    let mut options = home.options(&Script::nobody(), &Heard::default());
    options.connect_timeout = Some(Duration::from_secs(1));
    let error = within(LONG, move || connect(&host("box"), b"echo", &options).unwrap_err());
    assert!(matches!(error, Error::Timeout { seconds: 1, .. }), "{error:?}");
}

#[test]
fn connecting_can_be_interrupted_before_and_while_the_server_says_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let Some(home) = Home::new(listener.local_addr().unwrap().port(), "") else { return };
    let options = home.options(&Script::nobody(), &Heard::default());
    let interrupt = options.interrupt.clone();
    let waiting = std::thread::spawn({
        let options = options.clone();
        move || connect(&host("box"), b"echo", &options).unwrap_err()
    });
    let _silent = listener.accept().unwrap();
    interrupt.interrupt();
    let later = move || [waiting.join().unwrap(), connect(&host("box"), b"echo", &options).unwrap_err()];
    for error in within(LONG / 2, later) {
        assert!(matches!(error, Error::Interrupted { .. }), "{error:?}");
    }
}

#[test]
fn unreachable_hosts_are_explained() {
    // One that nothing listens at, and that no socket gets by itself.
    let closed = 1;
    let Some(home) = Home::new(closed, "") else { return };
    let options = home.options(&Script::nobody(), &Heard::default());
    let refused = connect(&host("box"), b"echo", &options).unwrap_err();
    assert!(refused.hint().unwrap().contains("sshd"), "{refused:?}");
    let unnamed = connect(&host("no-such-host.invalid"), b"echo", &options).unwrap_err();
    assert!(matches!(unnamed, Error::Resolve { .. }), "{unnamed}");
}

#[test]
fn without_an_ssh_program_the_defaults_hold_unless_there_is_a_configuration() {
    let server = in_process::start(&[MethodKind::Password]);
    let Some(home) = Home::of(&server) else { return };
    let script = Script::of(&["yes", "right"]);
    let mut options = home.options(&script, &Heard::default());
    options.environment.ssh_program = "/nonexistent/ssh".into();
    let refused = connect(&host("box"), b"echo", &options).unwrap_err();
    assert!(matches!(refused, Error::ConfigNeedsSsh { .. }), "{refused:?}");
    options.config_file = Some("none".into());
    let mut address = host("127.0.0.1");
    address.port = Some(server.address.port());
    address.user = Some("someone".to_owned());
    let Connection { mut reader, writer, control } = connect(&address, b"echo", &options).unwrap();
    drop(writer);
    assert_eq!(reader.read(&mut [0; 4]).unwrap(), 0);
    assert_eq!(control.wait(LONG), Some(RemoteExit::Status(0)));
    assert!(home.0.path().join(".ssh/known_hosts").exists());
    assert_eq!(script.asked().len(), 2);
}
