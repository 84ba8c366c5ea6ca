//! Running a program with a deadline and keeping all that it says.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{lifetime, tools};
use rustix::process::{Pid, Signal};

/// How long a run may take unless it says otherwise. Far more than any needs, so that only a hang meets it.
const DEADLINE: Duration = Duration::from_secs(180);

/// The program under test.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match std::env::var_os("DSYNC_TEST_BINARY") {
        Some(other) => PathBuf::from(other),
        None => PathBuf::from(env!("CARGO_BIN_EXE_dsync")),
    })
}

/// Whether the program under test is rsync itself, to check the suite: then what only dsync has is left out.
pub(crate) fn is_rsync() -> bool {
    binary().file_name() == Some(OsStr::new("rsync"))
}

/// A command line to be run.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: Option<PathBuf>,
    input: Option<Vec<u8>>,
    variables: Vec<(&'static str, String)>,
    deadline: Duration,
}

/// The program under test with `arguments`.
pub(crate) fn dsync<A: Into<OsString>>(arguments: impl IntoIterator<Item = A>) -> Invocation {
    Invocation::new(binary(), arguments)
}

impl Invocation {
    /// `program` with `arguments`.
    pub(crate) fn new<A: Into<OsString>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
    ) -> Invocation {
        Invocation {
            program: program.to_owned(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            directory: None,
            input: None,
            variables: Vec::new(),
            deadline: DEADLINE,
        }
    }

    /// Further arguments.
    pub(crate) fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Invocation {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Where the program is run.
    pub(crate) fn current_dir(mut self, directory: &Path) -> Invocation {
        self.directory = Some(directory.to_owned());
        self
    }

    /// What the program reads from its standard input; nothing by default.
    pub(crate) fn input(mut self, text: &[u8]) -> Invocation {
        self.input = Some(text.to_owned());
        self
    }

    /// A variable of the program's environment.
    pub(crate) fn variable(mut self, name: &'static str, value: impl ToString) -> Invocation {
        self.variables.push((name, value.to_string()));
        self
    }

    /// The same run as the user 65534, who may do nothing special. `None`, after having said why, where that cannot
    /// be.
    pub(crate) fn unprivileged(mut self) -> Option<Invocation> {
        let setpriv = tools::find("setpriv")?;
        if !tools::is_root() {
            tools::missing("root, to become another user");
            return None;
        }
        if self.program == binary() {
            self.program = reachable()?;
        }
        Some(self.behind(&setpriv, &["--reuid=65534", "--regid=65534", "--clear-groups", "--"]))
    }

    /// The same run without a terminal to ask at.
    pub(crate) fn without_terminal(self) -> Option<Invocation> {
        let setsid = tools::find("setsid")?;
        Some(self.behind(&setsid, &["--wait"]))
    }

    fn behind(mut self, launcher: &Path, arguments: &[&str]) -> Invocation {
        let program = std::mem::replace(&mut self.program, launcher.to_owned());
        let before = arguments.iter().map(OsString::from).chain([program.into_os_string()]);
        self.arguments.splice(0..0, before);
        self
    }

    /// The command as a person would type it.
    pub(crate) fn text(&self) -> String {
        let words =
            [self.program.as_os_str()].into_iter().chain(self.arguments.iter().map(OsString::as_os_str));
        words.map(quoted).collect::<Vec<_>>().join(" ")
    }

    /// Starts it. It leads a process group of its own, so that it can be ended together with its helpers.
    pub(crate) fn start(self) -> Running {
        let text = self.text();
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env("LC_ALL", "C.UTF-8")
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        for name in ["DSYNC_RSH", "RSYNC_RSH", "RSYNC_PROTECT_ARGS", "RSYNC_OLD_ARGS", "SSH_AUTH_SOCK"] {
            command.env_remove(name);
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        for (name, value) in &self.variables {
            command.env(name, value);
        }
        let started = Instant::now();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{text}: {error}"));
        if let Some(input) = self.input {
            let mut stdin = child.stdin.take().expect("stdin is a pipe");
            thread::spawn(move || stdin.write_all(&input));
        }
        let stdout = collect(child.stdout.take().expect("stdout is a pipe"));
        let stderr = collect(child.stderr.take().expect("stderr is a pipe"));
        Running { child, text, started, deadline: self.deadline, stdout, stderr }
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Output {
        self.start().finish()
    }
}

/// A program that is running. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    text: String,
    started: Instant,
    deadline: Duration,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
}

impl Running {
    /// The process' number, which is also its group's.
    pub(crate) fn id(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap()
    }

    /// Sends a signal to the program alone, as `kill` does.
    pub(crate) fn signal(&self, signal: Signal) {
        rustix::process::kill_process(self.id(), signal).unwrap();
    }

    /// Sends a signal to the program and its helpers, as a terminal does.
    pub(crate) fn signal_group(&self, signal: Signal) {
        rustix::process::kill_process_group(self.id(), signal).unwrap();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end; a program that hangs is killed and fails the test.
    pub(crate) fn finish(mut self) -> Output {
        let mut pause = Duration::from_micros(500);
        let mut hangs = false;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if !hangs && self.started.elapsed() > self.deadline {
                hangs = true;
                let _ = rustix::process::kill_process_group(self.id(), Signal::KILL);
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        };
        // A helper that outlives the program may hold its output open, so this wait has an end too.
        let patience = Duration::from_secs(10);
        let output = Output {
            command: std::mem::take(&mut self.text),
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout.recv_timeout(patience).unwrap_or_default(),
            stderr: self.stderr.recv_timeout(patience).unwrap_or_default(),
            elapsed: self.started.elapsed(),
        };
        assert!(!hangs, "no end after {:?}\n{output}", self.deadline);
        output
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() {
            let _ = rustix::process::kill_process_group(self.id(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// How a program ended and what it said.
#[derive(Debug)]
pub(crate) struct Output {
    /// The command as a person would type it.
    pub(crate) command: String,
    /// The exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) elapsed: Duration,
}

impl Output {
    /// Fails the test unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Output {
        assert_eq!(self.code, Some(code), "\n{self}");
        self
    }

    /// Fails the test unless the run succeeded and complained about nothing.
    #[track_caller]
    pub(crate) fn success(self) -> Output {
        let output = self.expect(0);
        assert!(output.stderr.is_empty(), "\n{output}");
        output
    }

    /// Standard output as text.
    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// The lines of `-i`, columns and names, sorted, as if all had been fetched.
    pub(crate) fn items(&self) -> Vec<String> {
        let out = self.out();
        let is_item =
            |line: &&str| line.starts_with(['<', '>', 'c', 'h', '.', '*']) && line.get(11..12) == Some(" ");
        let items = out.lines().filter(is_item).map(|line| match line.strip_prefix('<') {
            Some(rest) => format!(">{rest}"),
            None => line.to_owned(),
        });
        let mut items: Vec<String> = items.collect();
        items.sort_unstable();
        items
    }

    /// The number after `label` in the output, its thousands separators left out.
    #[track_caller]
    pub(crate) fn number(&self, label: &str) -> u64 {
        let out = self.out();
        let (_, rest) =
            out.split_once(label).unwrap_or_else(|| panic!("no {label:?} in the output of\n{self}"));
        let digits: String = rest
            .trim_start()
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == ',')
            .filter(|c| *c != ',')
            .collect();
        digits.parse().unwrap_or_else(|_| panic!("no number after {label:?} in\n{self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "$ {}", self.command)?;
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(f, "exit {code} after {:?}", self.elapsed)?,
            (None, signal) => writeln!(f, "ended by signal {signal:?} after {:?}", self.elapsed)?,
        }
        writeln!(f, "stdout:\n{}", self.out())?;
        writeln!(f, "stderr:\n{}", self.err())
    }
}

/// The program under test where every user can run it: a copy, if it is in a closed home.
pub(crate) fn reachable() -> Option<PathBuf> {
    // Once: what is running cannot be written over.
    static REACHABLE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let reachable = || match is_rsync() || tools::is_reachable_by_all(binary()) {
        true => Some(binary().to_owned()),
        false => reachable_copy(binary()),
    };
    REACHABLE.get_or_init(reachable).clone()
}

/// A copy of `program` where every user can run it.
fn reachable_copy(program: &Path) -> Option<PathBuf> {
    let directory = lifetime::directory();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o711)).unwrap();
    // Written by another process: a child that another test is starting would inherit it open from this one, and
    // what is open for writing cannot be executed.
    let copied = Command::new("cp").arg(program).arg(&directory).status().unwrap();
    assert!(copied.success());
    let copy = directory.join(program.file_name().unwrap());
    if !tools::is_reachable_by_all(&copy) {
        tools::missing("a temporary directory that all users can reach");
        return None;
    }
    Some(copy)
}

fn collect(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (done, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = done.send(bytes);
    });
    receiver
}

fn quoted(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
