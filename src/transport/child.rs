//! The peer behind a remote shell that the user names: `COMMAND [-l user] [-p port] HOST WORD...`, where the words are
//! those of the remote command.
//!
//! The child's standard input and output are two socket pairs rather than pipes, as rsync does it: a socket can be
//! shut down from another thread, which wakes a reader or writer that is blocked on it, whoever else still holds the
//! far end. Standard error is inherited, and the child stays in our process group, so that it can ask for a
//! password on the terminal and gets the terminal's signals.

use std::ffi::{OsStr, OsString};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::transport::command::RemoteCommand;
use crate::transport::connection::Carrier;
use crate::transport::target::Host;
use crate::transport::{Connection, Control, Error, IpFamily, RemoteExit};

/// How long a child that was told to end may take before it is killed.
const GRACE: Duration = Duration::from_millis(300);

/// How often a child is looked at while waiting for its end; there is no timed wait in the standard library.
const POLL: Duration = Duration::from_millis(10);

/// Runs `remote` on `host` through the remote shell `shell`, a command and its leading arguments. If that
/// is OpenSSH's client it is told the `family`.
///
/// # Errors
/// When `shell` is empty or cannot be started. That the far side does not answer shows only when reading.
pub fn connect(
    shell: &[OsString],
    host: &Host,
    remote: &RemoteCommand,
    family: Option<IpFamily>,
) -> Result<Connection, Error> {
    Launch { shell: shell.to_vec(), host: host.clone(), remote: remote.clone(), family }.start()
}

/// Whether a remote shell is OpenSSH's client. Of other commands it is not known what options mean to them, nor whether
/// there is a shell at their far end that reads the words as one line.
pub fn is_openssh(shell: &[OsString]) -> bool {
    shell.first().is_some_and(|program| Path::new(program).file_name() == Some(OsStr::new("ssh")))
}

/// What is run, to be run again for a further channel.
#[derive(Clone)]
struct Launch {
    shell: Vec<OsString>,
    host: Host,
    remote: RemoteCommand,
    family: Option<IpFamily>,
}

impl Launch {
    fn start(&self) -> Result<Connection, Error> {
        let (shell, arguments) = self.shell.split_first().ok_or(Error::EmptyCommand)?;
        let spawn_error = |source| Error::Spawn { program: shell.to_string_lossy().into_owned(), source };
        let (input, child_input) = UnixStream::pair().map_err(spawn_error)?;
        let (output, child_output) = UnixStream::pair().map_err(spawn_error)?;
        let mut command = Command::new(shell);
        command.args(arguments);
        if let Some(user) = &self.host.user {
            command.arg("-l").arg(user);
        }
        if let Some(port) = self.host.port {
            command.arg("-p").arg(port.to_string());
        }
        if is_openssh(&self.shell) {
            command.args(self.family.map(IpFamily::flag));
        }
        command.arg(&self.host.name).args(self.remote.words());
        command
            .stdin(Stdio::from(OwnedFd::from(child_input)))
            .stdout(Stdio::from(OwnedFd::from(child_output)));
        let child = command.spawn().map_err(spawn_error)?;
        // The command holds our copies of the child's ends, and end of file comes only when all copies are closed.
        drop(command);
        let process = Arc::new(Process {
            launch: self.clone(),
            child: Mutex::new(child),
            input: input.try_clone().map_err(spawn_error)?,
            output: output.try_clone().map_err(spawn_error)?,
        });
        Ok(Connection {
            reader: Box::new(ChildReader { stream: output, _process: Arc::clone(&process) }),
            writer: Box::new(ChildWriter { stream: input, _process: Arc::clone(&process) }),
            control: Control::new(process),
        })
    }
}

/// The child; when the last part of the connection is gone, so is the child.
struct Process {
    launch: Launch,
    child: Mutex<Child>,
    input: UnixStream,
    output: UnixStream,
}

impl Carrier for Process {
    fn close(&self) {
        // First: whoever reads here may end this process as soon as there is nothing more to read.
        self.signal(Signal::TERM);
        // Fails only where the far end is closed already, which is as good.
        let _ = self.input.shutdown(Shutdown::Both);
        let _ = self.output.shutdown(Shutdown::Both);
    }

    fn wait(&self, timeout: Duration) -> Option<RemoteExit> {
        let start = Instant::now();
        loop {
            match self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait() {
                Ok(Some(status)) => return Some(exit_of(status)),
                Ok(None) => {}
                Err(error) => return Some(RemoteExit::Lost(error.to_string())),
            }
            let left = timeout.checked_sub(start.elapsed())?;
            std::thread::sleep(left.min(POLL));
        }
    }

    fn may_ask(&self) -> bool {
        true
    }

    fn another(&self) -> Result<Connection, Error> {
        self.launch.start()
    }

    fn run(&self, command: &RemoteCommand) -> Result<Connection, Error> {
        Launch { remote: command.clone(), ..self.launch.clone() }.start()
    }
}

impl Process {
    /// Signals the child unless its end was seen, in which case its number may belong to another process.
    fn signal(&self, signal: Signal) {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(None) = child.try_wait() {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            // Fails only where the child has just ended.
            let _ = pid.map(|pid| kill_process(pid, signal));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.close();
        if self.wait(GRACE).is_none() {
            self.signal(Signal::KILL);
            // A child that was killed ends; were it stuck in the kernel, waiting would only get us stuck too.
            let _ = self.wait(GRACE);
        }
    }
}

fn exit_of(status: ExitStatus) -> RemoteExit {
    match (status.code(), status.signal()) {
        (Some(code), _) => RemoteExit::Status(u32::try_from(code).unwrap_or(u32::MAX)),
        (None, Some(signal)) => RemoteExit::Signal(signal_name(signal)),
        (None, None) => RemoteExit::Lost(status.to_string()),
    }
}

/// Returns the name SSH uses for a signal (RFC 4254, section 6.10), or its number.
fn signal_name(number: i32) -> String {
    let named = [
        (Signal::ABORT, "ABRT"),
        (Signal::ALARM, "ALRM"),
        (Signal::FPE, "FPE"),
        (Signal::HUP, "HUP"),
        (Signal::ILL, "ILL"),
        (Signal::INT, "INT"),
        (Signal::KILL, "KILL"),
        (Signal::PIPE, "PIPE"),
        (Signal::QUIT, "QUIT"),
        (Signal::SEGV, "SEGV"),
        (Signal::TERM, "TERM"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
    ];
    let name = named.iter().find(|(signal, _)| signal.as_raw() == number);
    name.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

struct ChildReader {
    stream: UnixStream,
    _process: Arc<Process>,
}

impl Read for ChildReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

struct ChildWriter {
    stream: UnixStream,
    _process: Arc<Process>,
}

impl Write for ChildWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ChildWriter {
    /// The process keeps a second handle on the socket, so closing this one alone would not end the child's input.
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::command::split_command;

    fn start(shell: &str) -> Result<Connection, Error> {
        let host = Host { user: Some("bob".into()), name: "box".into(), port: Some(22) };
        connect(
            &split_command(OsStr::new(shell)).unwrap(),
            &host,
            &RemoteCommand::server(OsStr::new("sudo dsync")).unwrap(),
            Some(IpFamily::V6),
        )
    }

    fn read_all(mut reader: Box<dyn Read + Send>) -> Vec<u8> {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn the_command_line_is_rsyncs() {
        let connection = start("sh -c 'printf \"<%s>\" \"$@\"' shell").unwrap();
        assert_eq!(read_all(connection.reader), b"<-l><bob><-p><22><box><sudo dsync><--server>");
        assert_eq!(connection.control.wait(Duration::from_secs(10)), Some(RemoteExit::Status(0)));
        let script = connection.control.run(&RemoteCommand::script("echo it").unwrap()).unwrap();
        assert_eq!(read_all(script.reader), b"<-l><bob><-p><22><box><exec sh -c 'echo it'>");
    }

    #[test]
    fn only_openssh_is_told_which_addresses_to_try() {
        let at = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/bin/echo", at.path().join("ssh")).unwrap();
        let connection = start(at.path().join("ssh").to_str().unwrap()).unwrap();
        assert_eq!(read_all(connection.reader), b"-l bob -p 22 -6 box sudo dsync --server\n");
    }

    #[test]
    fn bytes_pass_and_end_of_input_arrives() {
        let Connection { reader, mut writer, control } = start("sh -c 'cat; exit 7'").unwrap();
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let writing = std::thread::spawn(move || writer.write_all(&sent).unwrap());
        assert_eq!(read_all(reader), expected);
        writing.join().unwrap();
        assert_eq!(control.wait(Duration::from_secs(10)), Some(RemoteExit::Status(7)));
        let another = control.another().unwrap();
        drop(another.writer);
        assert_eq!(read_all(another.reader), b"");
        assert_eq!(another.control.wait(Duration::from_secs(10)), Some(RemoteExit::Status(7)));
    }

    #[test]
    fn closing_wakes_a_blocked_reader_even_if_a_grandchild_holds_the_pipe() {
        let Connection { mut reader, writer, control } = start("sh -c 'sleep 5 & exec sleep 5'").unwrap();
        let reading = std::thread::spawn(move || reader.read(&mut [0; 16]));
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(control.wait(Duration::ZERO), None);
        let start = Instant::now();
        control.close();
        assert_eq!(reading.join().unwrap().unwrap(), 0);
        assert_eq!(control.wait(Duration::from_secs(2)), Some(RemoteExit::Signal("TERM".into())));
        assert!(start.elapsed() < Duration::from_secs(2));
        drop(writer);
    }

    #[test]
    fn dropping_the_connection_ends_the_child() {
        let Connection { mut reader, writer, control } =
            start("sh -c 'trap \"\" TERM; echo $$; sleep 9'").unwrap();
        let mut line = [0; 32];
        let length = reader.read(&mut line).unwrap();
        let pid: i32 = std::str::from_utf8(&line[..length]).unwrap().trim().parse().unwrap();
        drop((reader, writer, control));
        let pid = Pid::from_raw(pid).unwrap();
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = start("/nonexistent/shell -v").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/shell"), "{error}");
        assert!(error.hint().unwrap().contains("-e"));
    }
}
