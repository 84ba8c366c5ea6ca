//! Watches how much memory a tool's processes take on each side, while it runs.
//!
//! The kernel keeps the high-water mark of each process (`VmHWM`), so that sampling misses nothing but what a process
//! still adds between its last sample and its end, a few milliseconds later. Only the observed run is watched, which is
//! not timed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::process::{self, Family};

const INTERVAL: Duration = Duration::from_millis(5);

/// Peaks of resident memory on one side, in bytes.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Peak {
    /// Of the largest process.
    pub(crate) largest: u64,
    /// Of all processes of the side added up. Pages shared after a fork count in each.
    pub(crate) sum: u64,
}

/// Peaks of both sides. ssh and sshd are not the tool's own and not in it.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Peaks {
    pub(crate) local: Peak,
    pub(crate) remote: Peak,
}

/// A thread that looks at the processes of one run.
pub(crate) struct Watch {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Peaks>,
}

impl Watch {
    /// Begins to watch the processes that run `program` below the process `local` and below `sshd`.
    pub(crate) fn start(program: PathBuf, local: u32, sshd: u32) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let seen_over = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let (mut here, mut there) = (HashMap::new(), HashMap::new());
            while !seen_over.load(Ordering::Relaxed) {
                let family = Family::now();
                sample(&program, &family.of(local), &mut here);
                sample(&program, &family.of(sshd), &mut there);
                thread::sleep(INTERVAL);
            }
            Peaks { local: peak(&here), remote: peak(&there) }
        });
        Self { over, thread }
    }

    /// Ends the watch and tells what was seen.
    pub(crate) fn finish(self) -> Result<Peaks, Failure> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| Failure::new("The thread that watches memory died"))
    }
}

/// Notes the high-water marks of one side's processes. A process that turned into another program (a shell it
/// forked for) is forgotten again.
fn sample(program: &Path, processes: &HashSet<u32>, marks: &mut HashMap<u32, u64>) {
    for &pid in processes {
        match process::program(pid) {
            Some(running) if running == program => {
                if let Some(peak) = process::peak_resident(pid) {
                    marks.insert(pid, peak);
                }
            }
            Some(_) => {
                marks.remove(&pid);
            }
            None => {}
        }
    }
}

fn peak(marks: &HashMap<u32, u64>) -> Peak {
    Peak { largest: marks.values().copied().max().unwrap_or(0), sum: marks.values().sum() }
}
