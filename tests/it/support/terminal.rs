//! A program at a terminal of its own, and somebody who types there.

use crate::support::command::Invocation;
use crate::support::tools;
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{Action, LocalModes, tcflow, tcgetattr};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// How long something may take to appear, or the program to end. Far more than anything needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The key that interrupts.
pub(crate) const CTRL_C: &str = "\x03";

/// A program that runs at a terminal. Dropping it hangs up.
pub(crate) struct Terminal {
    /// script(1), which makes the terminal.
    script: Child,
    keys: ChildStdin,
    shown: Arc<Mutex<String>>,
    /// How much of it has been waited for.
    seen: usize,
}

impl Terminal {
    /// Runs a program at a terminal. `None`, after having said why, where none can be had.
    pub(crate) fn run(program: &Invocation) -> Option<Terminal> {
        // In the place of the shell, which a key that interrupts would end, too.
        Terminal::start(&format!("exec {}", program.text()))
    }

    /// The same at a terminal that shows nothing for now: whoever writes there waits. At the end it tells its modes.
    pub(crate) fn run_held(program: &Invocation) -> Option<(Terminal, Held)> {
        let words = format!("tty; read go; {}; code=$?; stty -a; exit $code", program.text());
        let mut terminal = Terminal::start(&words)?;
        terminal.wait_for("\r\n");
        let device = open(terminal.shown().trim_end(), OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        tcflow(&device, Action::OOff).unwrap();
        terminal.write("go\n");
        Some((terminal, Held(device)))
    }

    fn start(command: &str) -> Option<Terminal> {
        let script = tools::find("script")?;
        let mut script = Command::new(script)
            .args(["--quiet", "--return", "--command", command, "/dev/null"])
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (keys, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(String::new()));
        let show = shown.clone();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = screen.read(&mut piece) {
                show.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..read]));
            }
        });
        Some(Terminal { script, keys, shown, seen: 0 })
    }

    /// Waits until this is shown, after what was waited for before.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let started = Instant::now();
        loop {
            let shown = self.shown();
            if let Some(at) = shown[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            let has_ended = self.script.try_wait().unwrap().is_some();
            assert!(!has_ended && started.elapsed() < PATIENCE, "no {text:?} in {shown}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Types something.
    pub(crate) fn write(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// All that was shown until now.
    pub(crate) fn shown(&self) -> String {
        self.shown.lock().unwrap().clone()
    }

    /// Waits for the end of the program, which has to end with this exit code. Returns all that was shown.
    #[track_caller]
    pub(crate) fn expect(mut self, code: i32) -> String {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.script.try_wait().unwrap() {
                break status;
            }
            assert!(started.elapsed() < PATIENCE, "no end: {}", self.shown());
            thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(code), "{}", self.shown());
        self.shown()
    }
}

/// The terminal of a program that may show nothing yet.
pub(crate) struct Held(OwnedFd);

impl Held {
    /// Waits until it does not echo what is typed.
    #[track_caller]
    pub(crate) fn wait_until_it_is_silent(&self) {
        let started = Instant::now();
        while tcgetattr(&self.0).unwrap().local_modes.contains(LocalModes::ECHO) {
            assert!(started.elapsed() < PATIENCE, "it goes on echoing");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets it show what is written.
    pub(crate) fn let_go(self) {
        tcflow(&self.0, Action::OOn).unwrap();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}
