//! The log that `--log-file` keeps of a run: a line for each thing, with the time and the process before it.

use crate::cli::output::format::now;
use crate::cli::output::moment::Clock;
use crate::session;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// A log that is being written.
pub(in crate::cli) struct Log {
    file: Mutex<Box<dyn Write + Send>>,
    clock: Clock,
}

impl Log {
    /// Goes on with the log at `path`, which is made if there is none.
    pub(in crate::cli) fn open(path: &OsStr, paths: session::Paths) -> io::Result<Log> {
        Ok(Log { file: Mutex::new(Box::new(session::append_named(path, paths)?)), clock: Clock::local() })
    }

    /// Writes lines, each at once, so that a log tells how far a run came that was killed. Empty ones are left out.
    pub(in crate::cli) fn write(&self, lines: &str) {
        let (time, process) = (self.clock.show_short(now()), std::process::id());
        let mut text = String::new();
        for line in lines.lines().filter(|line| !line.is_empty()) {
            text.push_str(&format!("{time} [{process}] {line}\n"));
        }
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A log on a full disk is no reason to stop, nor is there a better place to tell of it.
        let _ = file.write_all(text.as_bytes());
    }
}
