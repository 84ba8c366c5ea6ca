//! One run of one command: prepared, run, and measured.
//!
//! A timed run carries no instrument: the clock is read before and after, and the CPU time the kernel has accounted for
//! is read afterwards. Bytes on the wire and peaks of memory come from a run of their own, the observed run, which goes
//! through the counting proxy and is not timed.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::failure::{Doing, Failure};
use crate::peaks::{Peaks, Watch};
use crate::process;
use crate::proxy::Wire;
use crate::server::Server;
use crate::tool::Tool;

/// What a timed run took, in seconds.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// From before the start of the local process to its end.
    pub(crate) wall: f64,
    /// User and system time of everything it took on both sides, ssh and sshd included. The kernel's resolution is a
    /// hundredth of a second.
    pub(crate) cpu: f64,
    /// What of it was used by the local side, with the ssh it may have started.
    #[serde(default)]
    pub(crate) local_cpu: f64,
}

/// What an observed run showed.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Observation {
    pub(crate) wire: Wire,
    pub(crate) peaks: Peaks,
}

/// Allocates, touches and frees memory in a process of its own, so that the run that follows at once finds pages the
/// machine has.
pub(crate) fn touch_memory(bytes: u64) -> Result<(), Failure> {
    let this = std::env::current_exe().doing(|| "Looking for the harness itself".to_owned())?;
    run(Command::new(this).arg("--touch-memory").arg(bytes.to_string()), |_| ()).map(|_| ())
}

/// The other end of `touch_memory`.
pub(crate) fn touch_here(bytes: u64) {
    let length = usize::try_from(bytes).unwrap_or(usize::MAX);
    // Any value but 0, which the kernel would lend as one shared page.
    std::hint::black_box(vec![1u8; length]);
}

/// Runs a command for its time.
pub(crate) fn timed(command: &mut Command, server: &Server) -> Result<Timing, Failure> {
    let cpu = || -> Result<[Duration; 2], Failure> {
        server.wait_until_idle()?;
        Ok([process::waited_cpu("self")?, process::waited_cpu(&server.pid.to_string())?])
    };
    let [local_before, remote_before] = cpu()?;
    let started = Instant::now();
    run(command, |_| ())?;
    let wall = started.elapsed().as_secs_f64();
    let [local, remote] = cpu()?;
    let local_cpu = local.saturating_sub(local_before).as_secs_f64();
    let remote_cpu = remote.saturating_sub(remote_before).as_secs_f64();
    Ok(Timing { wall, cpu: local_cpu + remote_cpu, local_cpu })
}

/// Runs a tool for what it moves and holds.
pub(crate) fn observed(tool: &Tool, command: &mut Command, server: &Server) -> Result<Observation, Failure> {
    server.wait_until_idle()?;
    server.take_wire();
    let watch = run(command, |local| Watch::start(tool.program.clone(), local, server.pid))?;
    server.wait_until_idle()?;
    Ok(Observation { wire: server.take_wire(), peaks: watch.finish()? })
}

/// Runs a command to its end; `started` is called with its process id. What it prints is not wanted, what it complains
/// about is.
fn run<T>(command: &mut Command, started: impl FnOnce(u32) -> T) -> Result<T, Failure> {
    let told = format!("Running {command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().doing(|| told.clone())?;
    let outcome = started(child.id());
    let mut complaint = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_end(&mut complaint).doing(|| told.clone())?;
    }
    let status = child.wait().doing(|| told.clone())?;
    if status.success() {
        return Ok(outcome);
    }
    Err(Failure::new(format!("{told}: {status}\n{}", String::from_utf8_lossy(&complaint).trim_end())))
}
