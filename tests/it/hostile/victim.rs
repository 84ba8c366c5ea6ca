//! The program under test with a peer of the test's at its other end.

use crate::hostile::peer::Peer;
use crate::support::command::{self, Invocation, Running};
use crate::support::scene::Scene;
use dsync::request::{Options, Part, Request};
use dsync::wire::hello::{self, Hello};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longer than any of these runs should take.
const SECONDS: Duration = Duration::from_secs(15);

/// Which role the program under test plays; the peer plays the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Source,
    Sink,
}

/// How the program under test was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// As `--server`, by a hostile client.
    Server,
    /// By its user, with a hostile server behind `-e`.
    Client,
}

/// A run under way.
pub(crate) enum Victim {
    Server(Server),
    Client(Running),
}

/// A server under test. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    errors: Option<JoinHandle<String>>,
    since: Instant,
}

/// How it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) output: String,
    pub(crate) errors: String,
    pub(crate) elapsed: Duration,
}

impl Victim {
    /// Starts the program on `source` or `to` in `scene`, with `flags` (see [`options`]).
    pub(crate) fn start(scene: &Scene, role: Role, way: Way, flags: &[&str]) -> (Peer, Victim) {
        match way {
            Way::Server => server(scene, role, flags),
            Way::Client => client(scene, role, flags),
        }
    }

    /// Starts a server in `scene` with these arguments besides, which is asked this.
    pub(crate) fn serve(scene: &Scene, arguments: &[String], request: &Request) -> (Peer, Victim) {
        serve(scene, arguments, request)
    }

    /// The directory in which the system tells about a server.
    pub(crate) fn process(&self) -> PathBuf {
        let Victim::Server(server) = self else { panic!("only a server's is known") };
        format!("/proc/{}", server.child.id()).into()
    }

    /// The most memory that a server has had at once so far, in KiB.
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = fs::read_to_string(self.process().join("status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn finish(self) -> Outcome {
        match self {
            Victim::Client(running) => {
                let output = running.finish();
                let (code, elapsed) = (output.code, output.elapsed);
                Outcome { code, output: output.out(), errors: output.err(), elapsed }
            }
            Victim::Server(server) => server.finish(),
        }
    }
}

impl Server {
    fn finish(mut self) -> Outcome {
        let code = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status.code();
            }
            if self.since.elapsed() > 2 * SECONDS {
                self.child.kill().unwrap();
            }
            thread::sleep(Duration::from_millis(2));
        };
        let elapsed = self.since.elapsed();
        let errors = self.errors.take().map(|errors| errors.join().unwrap()).unwrap_or_default();
        Outcome { code, output: String::new(), errors, elapsed }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// Fails the test if the program panicked, was killed or took long.
    #[track_caller]
    pub(crate) fn assert_orderly(&self, name: &str) {
        assert!(!self.errors.contains("panicked"), "{name}: it panicked\n{self}");
        assert!(self.elapsed < SECONDS, "{name}: it took {:?}\n{self}", self.elapsed);
        assert!(self.code.is_some(), "{name}: a signal ended it\n{self}");
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit {:?}\nstdout:\n{}\nstderr:\n{}", self.code, self.output, self.errors)
    }
}

/// The options that these few flags mean, since a hostile client makes its own request.
fn options(flags: &[&str]) -> Options {
    let mut options = Options::default();
    for flag in flags {
        match *flag {
            "-r" => options.recursive = true,
            "-l" => options.links = true,
            "-t" => options.times = true,
            "-c" => options.checksum = true,
            "-W" => options.whole_file = Some(true),
            "--delete" => options.delete = Some(Default::default()),
            "--inplace" => options.in_place = true,
            "--remove-source-files" => options.remove_source_files = true,
            "-n" => options.dry_run = true,
            "-v" => options.detail.changes = true,
            "--progress" => options.detail.progress = true,
            "--stats" => {}
            other => panic!("{other}"),
        }
    }
    options
}

/// The program under test, unless that is rsync, which has another protocol.
fn program() -> &'static Path {
    if command::is_rsync() { Path::new(env!("CARGO_BIN_EXE_dsync")) } else { command::binary() }
}

fn server(scene: &Scene, role: Role, flags: &[&str]) -> (Peer, Victim) {
    let part = match role {
        Role::Sink => Part::Sink { destination: b"to".to_vec() },
        Role::Source => Part::Source { arguments: vec![b"source/".to_vec()] },
    };
    serve(scene, &[], &Request { part, options: options(flags) })
}

fn serve(scene: &Scene, arguments: &[String], request: &Request) -> (Peer, Victim) {
    let mut child = Command::new(program())
        .arg("--server")
        .args(arguments)
        .current_dir(scene.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut stderr = child.stderr.take().unwrap();
    let errors = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stderr.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let mut greeting = Hello::new(1).encode();
    greeting.extend(hello::encode_request(request));
    let mut peer = Peer::new(Box::new(input), move || Box::new(output), false);
    peer.raw(&greeting);
    (peer, Victim::Server(Server { child, errors: Some(errors), since: Instant::now() }))
}

/// A server that is no dsync: a script that passes on what comes through two named pipes.
fn client(scene: &Scene, role: Role, flags: &[&str]) -> (Peer, Victim) {
    let (answers, requests) = (scene.path("answers"), scene.path("requests"));
    let script = scene.path("rsh");
    for pipe in [&answers, &requests] {
        mknodat(CWD, pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    }
    let text = format!(
        "cat '{}' 2>/dev/null &\nexec cat >'{}' 2>/dev/null\n",
        answers.display(),
        requests.display()
    );
    fs::write(&script, text).unwrap();
    let operands = match role {
        Role::Sink => ["host:source/".to_owned(), scene.path("to").display().to_string()],
        Role::Source => [scene.path("source/").display().to_string(), "host:to".to_owned()],
    };
    let shell = format!("/bin/sh {}", script.display());
    let running = Invocation::new(program(), flags.iter().map(|flag| (*flag).to_owned()))
        .args(["-e".to_owned(), shell])
        .args(operands)
        .start();
    // Open for reading too, or this would wait for the script.
    let writer = OpenOptions::new().read(true).write(true).open(&answers).unwrap();
    let mut peer = Peer::new(Box::new(writer), move || Box::new(File::open(requests).unwrap()), true);
    peer.raw(&Hello::new(0).encode());
    (peer, Victim::Client(running))
}
