//! The client against real servers: OpenSSH's sshd on loopback, and russh's server side in this process for what
//! sshd will not do.

use std::io::{Read, Write};
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::report::Prompter;
use crate::transport::ssh::{Choice, Environment, Interrupt, Options};
use crate::transport::target::Host;
use crate::transport::{Connection, Notice, RemoteExit};

mod device;
mod dialling;
mod generated;
mod in_process;
mod logins;
mod outside;
mod sshd;
mod trust;
mod ways;
mod with_sshd;
mod without_sshd;

/// Longer than anything takes that comes to its end, however busy the machine is.
const LONG: Duration = Duration::from_secs(120);

/// Answers from a list; without any, nobody is there.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<&'static str>>,
    asked: Mutex<Vec<String>>,
    interactive: bool,
}

impl Script {
    fn of(answers: &[&'static str]) -> Arc<Self> {
        let answers = answers.iter().rev().copied().collect();
        Arc::new(Self { answers: Mutex::new(answers), asked: Mutex::default(), interactive: true })
    }

    fn nobody() -> Arc<Self> {
        Arc::default()
    }

    fn next(&self, text: &str) -> std::io::Result<String> {
        self.asked.lock().unwrap().push(text.to_owned());
        let answer = self.answers.lock().unwrap().pop();
        answer.map(str::to_owned).ok_or_else(|| std::io::Error::other("no answer left"))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Prompter for Script {
    fn interactive(&self) -> bool {
        self.interactive
    }
    fn confirm(&self, text: &str) -> std::io::Result<bool> {
        self.next(text).map(|answer| answer == "yes")
    }
    fn secret(&self, prompt: &str) -> std::io::Result<String> {
        self.next(prompt)
    }
    fn line(&self, prompt: &str) -> std::io::Result<String> {
        self.next(prompt)
    }
}

/// What the callbacks of a connection were given.
#[derive(Clone, Default)]
struct Heard {
    stderr: Arc<Mutex<Vec<u8>>>,
    notices: Arc<Mutex<Vec<Notice>>>,
}

fn options(home: &Path, config: &Path, prompter: Arc<Script>, heard: &Heard) -> Options {
    let (stderr, notices) = (Arc::clone(&heard.stderr), Arc::clone(&heard.notices));
    Options {
        environment: Environment {
            home: home.to_owned(),
            user: "nobody-in-particular".to_owned(),
            agent_socket: None,
            shell: "/bin/sh".into(),
            ssh_program: "ssh".into(),
        },
        config_file: Some(config.to_owned()),
        family: None,
        connect_timeout: Some(LONG),
        agent_timeout: LONG,
        interrupt: Interrupt::new(),
        prompter,
        on_stderr: Arc::new(move |bytes| stderr.lock().unwrap().extend_from_slice(bytes)),
        on_notice: Arc::new(move |notice| notices.lock().unwrap().push(notice)),
        tell_steps: false,
        choice: Choice::BuiltIn,
    }
}

fn host(name: &str) -> Host {
    Host { user: None, name: name.to_owned(), port: None }
}

/// Fails instead of hanging.
fn within<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(limit).expect("stalled or failed")
}

/// The byte at a position of an endless stream that does not repeat soon.
fn pattern(position: u64) -> u8 {
    (position ^ position >> 8 ^ position >> 19).to_le_bytes()[0]
}

fn pattern_block(start: u64, length: usize) -> Vec<u8> {
    (start..).take(length).map(pattern).collect()
}

/// Sends `length` bytes of the pattern in large writes and ends the input.
fn send_pattern(mut writer: Box<dyn Write + Send>, length: u64) {
    let mut sent = 0;
    while sent < length {
        let block = pattern_block(sent, usize::try_from((length - sent).min(1 << 20)).unwrap());
        writer.write_all(&block).unwrap();
        sent += block.len() as u64;
    }
}

/// Reads to the end and checks that it is `length` bytes of the pattern.
fn check_pattern(reader: &mut dyn Read, length: u64) {
    let mut buffer = vec![0; 1 << 20];
    let mut seen = 0;
    loop {
        let count = reader.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        assert!(buffer[..count] == pattern_block(seen, count)[..], "wrong bytes after {seen}");
        seen += count as u64;
    }
    assert_eq!(seen, length);
}

/// Sends and receives at once what the far side echoes.
fn echo_both_ways(connection: Connection, length: u64) -> Option<RemoteExit> {
    let Connection { mut reader, writer, control } = connection;
    let sending = std::thread::spawn(move || send_pattern(writer, length));
    check_pattern(&mut *reader, length);
    sending.join().unwrap();
    control.wait(LONG)
}

/// What a command that takes no input and succeeds writes.
fn output(connection: Connection) -> String {
    let Connection { mut reader, writer, control } = connection;
    drop(writer);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(control.wait(LONG), Some(RemoteExit::Status(0)));
    text
}
